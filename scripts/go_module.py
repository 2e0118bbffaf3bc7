"""Makes the Go module for an import path that `go get` can resolve: go_module.py PATH FOLDER.

The module in the repository is `datablock`. PATH replaces this name, in go.mod and in each import.
FOLDER becomes a module proxy with the version of datablock.h, of the last commit. The same commit
makes the same bytes.
"""

import datetime
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATH = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(/[a-z0-9][a-z0-9._~-]*)*")


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"go_module.py: this source tree is no clone of the repository: {done.stderr.decode()}")
    return done.stdout


def files_of_the_commit():
    """The name and the contents of each file that belongs to the module."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", "HEAD"))) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    # A folder with a go.mod of its own is another module. go.work is for work in the repository.
    others = tuple(name.removesuffix("go.mod") for name in files if name.endswith("/go.mod"))
    return {name: data for name, data in sorted(files.items())
            if not name.startswith(others) and name not in ("go.work", "go.work.sum")}


def renamed(name, data, own, path):
    """The file with the import path in place of the module's own name."""
    if name == "go.mod":
        return data.replace(f"module {own}\n".encode(), f"module {path}\n".encode())
    if not name.endswith(".go"):
        return data
    imports = re.compile(rb'^import (?:\(.*?^\)|[^(\n]*$)', re.MULTILINE | re.DOTALL)
    package = re.compile(rb'"%s((?:/[^"\n]*)?)"' % own.encode())
    return imports.sub(lambda found: package.sub(rb'"%s\1"' % path.encode(), found[0]), data)


def main():
    path, folder = sys.argv[1:]
    if not PATH.fullmatch(path):
        sys.exit(f"go_module.py: {path!r} is no import path that go get can resolve: it begins with the name of "
                 "a host, in lower case and with a dot in it, such as example.org/datablock")
    files = files_of_the_commit()
    own = re.search(r"^module (\S+)$", files["go.mod"].decode(), re.MULTILINE)[1]
    numbers = re.findall(r"^#define DATABLOCK_VERSION_\w+ +(\d+)$", files["include/datablock.h"].decode(), re.MULTILINE)
    version = f"v{'.'.join(numbers)}"
    files = {name: renamed(name, data, own, path) for name, data in files.items()}
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct"))
    time = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    place = Path(folder, path, "@v")
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place / f"{version}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(f"{path}@{version}/{name}")  # of 1980: the same bytes at any time
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    (place / f"{version}.mod").write_bytes(files["go.mod"])
    (place / f"{version}.info").write_text(json.dumps({"Version": version, "Time": time}) + "\n")
    (place / "list").write_text(f"{version}\n")
    print(f"{path}@{version} in {folder}")


if __name__ == "__main__":
    main()
