"""The source archive, and how it is used: dist.py BUILD CASE.

BUILD is a build folder in which the library is built. Each case makes the archive of the last commit.
"""

import os
import shutil
import stat
import sys
import tarfile
import tempfile
from pathlib import Path

from run import ENVIRONMENT, ROOT, SKIPPED, check, parent, run

# What an archive must not depend on.
OTHERWISE = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
# No module may be loaded: neither from the network nor from the cache.
OFFLINE = {"GOPROXY": "off", "GONOPROXY": "none", "GOTOOLCHAIN": "local"}


def archive_of_the_commit(folder, more=None, mask=0o022):
    before = os.umask(mask)
    try:
        run(ROOT / "scripts" / "dist.sh", folder, cwd=folder.parent, more=more)
    finally:
        os.umask(before)
    (archive,) = folder.glob("datablock-*.tar.gz")
    return archive


def without_network():
    """The words before a command that is to run without a network, where the system allows it."""
    words = ("unshare", "--map-root-user", "--net")
    return words if not os.system(f"{' '.join(words)} true 2>/dev/null") else ()


def reproducible(build, here):
    """Two archives of one commit are equal, whatever the environment. Nothing in them is of this machine."""
    first = archive_of_the_commit(here / "one")
    second = archive_of_the_commit(here / "two", OTHERWISE, 0o077)
    check(first.read_bytes() == second.read_bytes(), f"{first} and {second} differ")
    check(first.stat().st_mode & 0o777 == second.stat().st_mode & 0o777 == 0o644, "the modes of the archives differ")
    other = archive_of_the_commit(here / "three", {"SOURCE_DATE_EPOCH": "1000000000"})
    check(first.read_bytes() != other.read_bytes(), "SOURCE_DATE_EPOCH has no effect")
    with tarfile.open(first) as opened:
        members = opened.getmembers()
    names = [member.name for member in members]
    top = first.name.removesuffix(".tar.gz")
    check(names == sorted(names, key=lambda name: name.split("/")), "the files are in no order")
    check(len({member.mtime for member in members}) == 1, "the files have several times")
    for member in members:
        owner = (member.uid, member.gid, member.uname, member.gname)
        check(owner == (0, 0, "", ""), member.name, owner)
        check(member.mode & ~stat.S_IXUSR & ~stat.S_IXGRP & ~stat.S_IXOTH == 0o644, member.name, oct(member.mode))
    tracked = run("git", "ls-tree", "-r", "--name-only", "HEAD", cwd=ROOT).split("\n")
    missing = {f"{top}/{name}" for name in tracked if name} - set(names)
    check(not missing, "not in the archive:", *sorted(missing))
    added = {name.split("/")[1] for name in names if "/" in name} - {name.split("/")[0] for name in tracked}
    check(added == {"vendor"}, "in the archive, and not in the commit:", added)


def offline(build, here):
    """The archive builds with no network and no module cache, as itself and inside another project."""
    archive = archive_of_the_commit(here / "dist")
    environment = {**OFFLINE, "GOMODCACHE": str(here / "modules")}
    alone = without_network()
    print("without a network" if alone else "with GOPROXY=off: this system allows no network namespace")
    with tarfile.open(archive) as opened:
        opened.extractall(here / "a b", filter="data")
    tree = here / "a b" / archive.name.removesuffix(".tar.gz")
    run(*alone, "make", "configure", cwd=tree, more=environment)
    targets = ("datablock_go", "datablock-admin", "example_hello")
    run(*alone, "cmake", "--build", tree / "build", "--target", *targets, more=environment)
    run(tree / "build" / "examples" / "c" / "hello", more={"DATABLOCK_DIR": str(here)})
    said = run(tree / "build" / "datablock-admin", "list", "--directory", here)
    check("hello" in said, said)
    run("make", "install", "DESTDIR=", f"PREFIX={here}/prefix", cwd=tree, more={**environment, "SUDO_UID": "1000"})
    check((here / "prefix" / "include" / "datablock.h").exists(), "make install has installed no header")

    how = (
        f'include(FetchContent)\nFetchContent_Declare(datablock URL "{archive}")\nFetchContent_MakeAvailable(datablock)'
    )
    run(*alone, "cmake", "-S", parent(here / "parent", how), "-B", here / "made", more=environment)
    run(*alone, "cmake", "--build", here / "made", more=environment)
    run("ctest", "--test-dir", here / "made", "--no-tests=error")
    check(not (here / "modules").exists(), "a module was loaded")


def refusals(build, here):
    """Outside of a clone the script says so, and a change that is not committed is named."""
    tree = here / "tree"
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    said = run(tree / "scripts" / "dist.sh", here, fails=True)
    check("is no clone of the repository: make the archive in a clone" in said, said)
    run("git", "clone", "--quiet", "--no-local", "--depth=1", f"file://{ROOT}", here / "clone")
    (here / "clone" / "unknown.txt").write_text("new\n")
    said = run(here / "clone" / "scripts" / "dist.sh", here)
    check("without these changes:\n?? unknown.txt" in said, said)


CASES = {case.__name__: case for case in (reproducible, offline, refusals)}

if __name__ == "__main__":
    if not shutil.which("git") or "fatal" in run("sh", "-c", "git rev-parse HEAD 2>&1 || true", cwd=ROOT):
        print("this source tree is no clone of the repository, or git is missing")
        sys.exit(SKIPPED)
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory(prefix="datablock-dist-") as name:
        sys.exit(CASES[sys.argv[2]](Path(sys.argv[1]).resolve(), Path(name).resolve()) or 0)
