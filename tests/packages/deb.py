"""The Debian packages: deb.py BUILD CASE.

BUILD has the packages in dist/: ctest -C packages -R package.build.deb makes them.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import package
from package import ROOT, VERSION, check, run

DEBIAN = ROOT / ".tools/debian"
NAMES = ("libdatablock1", "libdatablock-dev", "datablock-tools", "python3-datablock")
# What a package may not depend on when it is built.
OTHERWISE = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "GOFLAGS": "-mod=mod", "GOWORK": "off"}


def debs(folder):
    """The file of each package, by its name."""
    found = {name: list(folder.glob(f"{name}_{VERSION}_*.deb")) for name in NAMES}
    for name, files in found.items():
        if len(files) != 1:
            package.not_run(f"{folder} has {len(files)} packages {name}; make deb builds them after "
                            "`make setup PACKAGES=1`")
    return {name: files[0] for name, files in found.items()}


def lintian(build, here):
    """lintian says nothing, and the copyright file names every Go module in the source package."""
    debs(build / "dist")
    if not shutil.which("lintian"):
        package.not_run("lintian is missing; `make setup PACKAGES=1` installs it")
    (changes,) = (build / "dist").glob(f"datablock_{VERSION}_*.changes")
    said = run("lintian", "--allow-root", "--display-info", "--fail-on", "error,warning,info", changes)
    check(said == "", said)

    with tarfile.open(build / f"dist/datablock_{VERSION}.tar.xz") as source:
        modules = source.extractfile(f"datablock-{VERSION}/vendor/modules.txt").read().decode()
    copyright_of = re.findall(r"vendor/(\S+?)/?\*$", (ROOT / "debian/copyright").read_text(), re.MULTILINE)
    vendored = re.findall(r"^# (\S+) v\S+$", modules, re.MULTILINE)
    check(len(vendored) > 5, modules)
    for module in vendored:
        check(any(f"{module}/".startswith(f"{path}/") for path in copyright_of),
              f"debian/copyright does not name vendor/{module}")


def same_bytes(build, here):
    """A second build, in another place and without a network, makes the same packages."""
    first = debs(build / "dist")
    before = os.umask(0o077)
    run("unshare", "--map-root-user", "--net", ROOT / "scripts/deb.sh", here / "second", limit=1200,
        **OTHERWISE)
    os.umask(before)
    for name, file in debs(here / "second").items():
        check(file.name == first[name].name and file.read_bytes() == first[name].read_bytes(),
              f"{file} and {first[name]} differ")


# ---- In a minimal root ---------------------------------------------------------------------------

# The root has its own processes and no network. With the last process the mounts are gone.
ENTER = """
set -e
mkdir -p "$1/packages" "$1/debs"
mount --bind "$2" "$1/packages"
mount --bind "$3" "$1/debs"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/dev/shm"
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive sh -euc "$4"
"""
APT = "apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0"
CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(exchange C CXX)
find_package(datablock 1.0 REQUIRED)
add_executable(exchange-c exchange.c)
add_executable(exchange-cpp exchange.cpp)
target_compile_features(exchange-cpp PRIVATE cxx_std_17)
target_link_libraries(exchange-c PRIVATE datablock::datablock)
target_link_libraries(exchange-cpp PRIVATE datablock::datablock)
"""
BUILDS = """
cd /work
cc -Wall -Wextra -Werror -o pkg-config-c exchange.c $(pkg-config --cflags --libs datablock)
c++ -std=c++17 -Wall -Wextra -Werror -o pkg-config-cpp exchange.cpp $(pkg-config --cflags --libs datablock)
cmake -S . -B made
cmake --build made
mv made/exchange-c find-package-c
mv made/exchange-cpp find-package-cpp
"""
# sh ends with the status of its last command: each side has to succeed.
EXCHANGE = """
cd /work
{producer} produce block 20000 & producer=$!
{consumer} consume block 20000
wait $producer
test -z "$(ls -A /dev/shm)"
"""
STATUS = """
cd /work
./pkg-config-c produce live 100 & producer=$!
end=$(($(date +%s) + 60))
until datablock-admin list | grep '^live .*READY'; do test $(date +%s) -lt $end; sleep 0.05; done
datablock-admin status --shm-name live
./find-package-cpp consume live 100
wait $producer
datablock-admin list
"""


class Root:
    def __init__(self, here, packages):
        self.path, self.debs = here / "root", here / "debs"
        self.path.mkdir()
        self.debs.mkdir()
        for file in packages.values():
            shutil.copy(file, self.debs)
        run("tar", "-x", "-C", self.path, "-f", DEBIAN / "root.tar.gz")
        for sources in (self.path / "etc/apt/sources.list.d").iterdir():
            sources.unlink()
        (self.path / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/packages ./\n")
        (self.path / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n")
        work = self.path / "work"
        work.mkdir()
        for file in (ROOT / "tests/packages/exchange").iterdir():
            shutil.copy(file, work)
        (work / "CMakeLists.txt").write_text(CMAKE)
        self.run(f"{APT} update")

    def run(self, script):
        return run("unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "sh", "-c", ENTER, "sh",
                   self.path, DEBIAN / "packages", self.debs, script, limit=1200)

    def install(self, *names):
        """Installs packages as a user does. Returns the names of the packages that are new."""
        before = self.installed()
        own = {name: f"/debs/{file.name}" for name in names for file in self.debs.glob(f"{name}_*.deb")}
        self.run(f"{APT} install {' '.join(own.get(name, name) for name in names)}")
        return self.installed() - before

    def installed(self):
        return set(self.run("dpkg-query -W -f '${Package}\n'").split())

    def files(self):
        """Every file but the logs and the caches of the package manager."""
        said = self.run("find / -xdev ! -path '/var/log/*' ! -path '/var/cache/*' ! -path '/var/lib/apt/*' "
                        "! -name '*-old' ! -path '/work/*' ! -path '/debs/*' ! -path '/packages/*'")
        return set(said.splitlines())


def prepared(build, here):
    """A minimal root of Debian that can install the packages and what they need."""
    packages = debs(build / "dist")
    package.need(DEBIAN / "root.tar.gz")
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "true"],
                                           check=False).returncode != 0:
        package.not_run("only root may mount and chroot")
    return Root(here, packages)


def minimal_root(build, here):
    """In a minimal root of Debian the packages install, work, and leave nothing behind."""
    root = prepared(build, here)

    # Each package brings what it needs. The library and the tools need nothing more.
    new = root.install("libdatablock1", "datablock-tools")
    check(new == {"libdatablock1", "datablock-tools"}, new)
    check(root.run("datablock-admin list") == "no blocks\n")
    check(root.run("datablock-admin --version") == f"datablock-admin {VERSION}\n")
    new = root.install("python3-datablock")
    check("python3" in new and "libdatablock-dev" not in new, new)
    said = root.run("python3 -c 'import datablock_ctypes, importlib.metadata as m; print(datablock_ctypes.load(), "
                    'm.version("datablock-ctypes"))\'')
    check(said.split() == ["libdatablock.so.1", VERSION], said)
    began = time.monotonic()
    root.install("libdatablock-dev", "gcc", "libc6-dev", "pkg-config")
    root.run(EXCHANGE.format(producer="python3 exchange.py", consumer="python3 exchange.py"))
    root.install("g++", "cmake", "make")
    print(f"compilers and headers: {time.monotonic() - began:.0f} s")

    root.run(BUILDS)
    programs = ["./pkg-config-c", "python3 exchange.py", "./find-package-cpp", "./find-package-c",
                "./pkg-config-cpp"]
    for producer, consumer in zip(programs, programs[1:] + programs[:1], strict=True):
        for one, other in ((producer, consumer), (consumer, producer)):
            said = root.run(EXCHANGE.format(producer=one, consumer=other))
            check(said.endswith("\nread 20000 of 20000\n"), one, other, said)
    said = root.run(STATUS)
    check(re.search(r'^block "live": READY, RING', said, re.MULTILINE), said)
    check(re.search(r"^0 +producer .* alive$", said, re.MULTILINE) and said.endswith("\nno blocks\n"), said)
    listed = root.run(f"dpkg -L {' '.join(NAMES)}")
    check("/usr/share/man/man1/datablock-admin.1.gz" in listed, listed)

    purge = f"{APT} purge {' '.join(NAMES)}"
    root.run(purge)
    before = root.files()
    check(not [file for file in before if "datablock" in file], *[file for file in before if "datablock" in file])
    root.install(*NAMES)
    root.run("python3 -B -c 'import datablock_ctypes'")
    check(len(root.files() - before) > 150, *(root.files() - before))
    root.run(purge)
    check(root.files() == before, *sorted(root.files() ^ before))


CASES = {case.__name__: case for case in (lintian, same_bytes, minimal_root)}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as folder:
        CASES[sys.argv[2]](pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder).resolve())
