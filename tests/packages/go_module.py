"""The Go package in a module of a user, outside of this source tree: go_module.py BUILD CASE."""

import os
import pathlib
import re
import sys
import tempfile

import package
from package import ROOT, VERSION, check, run

PUBLISHED = "example.org/data/datablock"
MODULE = "module example.com/user\n\ngo 1.26.0\n"


class Module:
    """A module of a user, with a module cache of its own and no network."""

    def __init__(self, here, proxies, path):
        self.here = here / "user"
        self.here.mkdir()
        downloaded = run("go", "env", "GOMODCACHE").strip()
        self.environment = {
            "GOPROXY": ",".join(f"file://{folder}" for folder in (*proxies, f"{downloaded}/cache/download")),
            "GONOSUMDB": "*", "GOFLAGS": "-modcacherw", "GOMODCACHE": here / "cache", "GOTOOLCHAIN": "local",
            "GOWORK": "off", "CGO_ENABLED": "0", "CC": "/nowhere/cc",
        }
        source = (ROOT / "tests/packages/foreign/main.go").read_text()
        check(source.count('"datablock"') == 1, source)
        (self.here / "main.go").write_text(source.replace('"datablock"', f'"{path}"'))
        (self.here / "go.mod").write_text(MODULE)

    def go(self, *words, fails=False):
        return run("go", "-C", self.here, *words, fails=fails, **self.environment)

    def built(self, path, *said):
        """The program, which has no C code and contains the module of this path."""
        self.go("vet", ".")
        program = self.here / "program"
        self.go("build", "-o", program, ".")
        about = run("go", "version", "-m", program)
        for line in ("build\tCGO_ENABLED=0", f"dep\t{path}\tv{VERSION}", *said):
            check(line in about, line, about)
        return program


def exchanges(build, here, program):
    """The program exchanges messages with a C program, in both directions."""
    other = here / "exchange-c"
    library = build / "libdatablock.so.1"
    run("cc", "-O2", "-o", other, f"-I{ROOT}/include", ROOT / "tests/packages/exchange/exchange.c", library,
        f"-Wl,-rpath,{build}")
    users = ([program], {}), ([other], {})
    with package.blocks() as directory:
        package.exchanged(*users, directory)
        package.exchanged(*reversed(users), directory)


def published(folder, **variables):
    """The folder of `make go-module`."""
    run(sys.executable, ROOT / "scripts/go_module.py", PUBLISHED, folder, **variables)
    return folder


def from_proxy(here):
    """The program of a user who has got the module from that folder."""
    user = Module(here, [published(here / "proxy")], PUBLISHED)
    user.go("get", f"{PUBLISHED}@latest")
    user.go("mod", "tidy")
    return user.built(PUBLISHED, f"dep\t{PUBLISHED}\tv{VERSION}\th1:")


def proxy(build, here):
    """go get finds the module under its import path in the folder of `make go-module`."""
    def made(folder, **variables):
        published(here / folder, **variables)
        return {path.relative_to(here / folder): path.read_bytes()
                for path in (here / folder).rglob("*") if path.is_file()}

    first = made("proxy")
    check(len(first) == 4 and first == made("again", TZ="Asia/Tokyo"), *first)
    user = Module(here, [here / "proxy"], PUBLISHED)
    user.go("get", f"{PUBLISHED}@latest")
    user.go("mod", "tidy")
    user.go("mod", "verify")
    program = user.built(PUBLISHED, f"dep\t{PUBLISHED}\tv{VERSION}\th1:")
    user.go("build", f"{PUBLISHED}/schema")
    content = next((here / "cache" / PUBLISHED).parent.glob("datablock@*"))
    for file in content.rglob("*.go"):
        found = re.search(r'^(import )?\s*"datablock[/"]\S*$', file.read_text(), re.MULTILINE)
        check(not found, file, found)
    check(not (content / "cmd").exists() and (content / "LICENSE").exists(), *content.iterdir())
    exchanges(build, here, program)
    for wrong in ("datablock", "Example.org/datablock", "example.org/a b"):
        said = run(sys.executable, ROOT / "scripts/go_module.py", wrong, here / "wrong", fails=True)
        check("is no import path that go get can resolve" in said, said)


def replace(build, here):
    """The commands of the README make a module that uses these sources."""
    (row,) = re.findall(r"^\| in a module of your own.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    commands = re.findall(r"`go ([^`]+)`", row)
    check(len(commands) == 2, row)
    user = Module(here, [], "datablock")
    for command in commands:
        user.go(*(word.replace("/path/to/these/sources", str(ROOT)) for word in command.split()))
    exchanges(build, here, user.built("datablock", f"=>\t{ROOT}\t(devel)"))


CASES = {case.__name__: case for case in (proxy, replace)}

if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as folder:
        CASES[sys.argv[2]](pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder).resolve())
