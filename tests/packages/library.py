"""The library as a file: library.py BUILD CASE.

readelf shows its properties, and copies that packagers change still work.
"""

import pathlib
import re
import shutil
import sys
import tempfile

import package
from package import ROOT, TOOLS, check, run

NAME = "libdatablock.so.1"
EXCHANGE = ROOT / "tests/packages/exchange"


def faults(library, soname=NAME):
    """What is wrong with a library, as readelf shows it."""
    said = run("readelf", "--wide", "--dynamic", "--program-headers", "--dyn-syms", library)
    wrong = []
    if f"soname: [{soname}]" not in said:
        wrong.append("the soname")
    if not re.search(r"^ +GNU_STACK .* RW +0x", said, re.MULTILINE):
        wrong.append("an executable stack")
    if "TEXTREL" in said:
        wrong.append("relocations in the text")
    if re.search(r"RPATH|RUNPATH", said):
        wrong.append("a search path")
    symbols = re.findall(r"^ +\d+: \w+ +\w+ +(\w+) +GLOBAL +DEFAULT +(\w+) (\S+)", said, re.MULTILINE)
    check(len(symbols) > 100, said)
    for kind, section, name in symbols:
        version = r"GLIBC_[\d.]+ \(\d+\)|GLIBC_[\d.]+" if section == "UND" else r"DATABLOCK_1\.0"
        public = r"\w+@+" if section == "UND" else r"datablock_\w+@@"
        if section != "ABS" and not re.fullmatch(f"{public}({version})", name):
            wrong.append(f"the symbol {name} ({kind}, {section})")
    return wrong


def properties(build, here):
    """What loaders and packagers rely on is as promised, also in the Debian package."""
    libraries = [build / NAME]
    for file in (build / "dist").glob(f"libdatablock1_{package.VERSION}_*.deb"):
        run("dpkg-deb", "--extract", file, here)
        libraries += here.glob(f"usr/lib/*/{NAME}")
    for library in libraries:
        check(not faults(library), library, *faults(library))
    print(*libraries)


def programs(build, here, library):
    """A C program and a C++ program that are linked with this library."""
    found = []
    for compiler, source in (("cc", "exchange.c"), ("c++", "exchange.cpp")):
        program = here / f"{library.name}-{source}.out"
        run(compiler, "-O2", "-o", program, f"-I{ROOT}/include", EXCHANGE / source, library)
        found.append(program)
    return found


def changed(build, here):
    """Programs in C and C++ with stripped and patched copies exchange messages."""
    original, whole = build / NAME, build / "debug" / NAME
    package.need(whole)
    patchelf = TOOLS / "bin/patchelf"
    package.need(patchelf)
    strip = ("strip", "--strip-unneeded", "--remove-section=.comment", "--remove-section=.note")
    long = f"$ORIGIN/{'folder/' * 60}"
    copies = {
        "stripped": [("strip",)],
        "as Debian": [strip],
        "search path": [(patchelf, "--set-rpath", long)],
        "another soname": [(patchelf, "--set-soname", "libdatablock-of-a-wheel-0a1b2c3d.so.1")],
        "needs more": [(patchelf, "--add-needed", "libm.so.6")],
        "patched and stripped": [(patchelf, "--set-rpath", long), strip],
        "stripped and patched": [strip, (patchelf, "--set-rpath", long)],
    }
    made = {}
    for name, commands in copies.items():
        folder = here / name
        folder.mkdir()
        library = folder / (commands[-1][2] if "--set-soname" in commands[-1] else NAME)
        source = whole if commands[0][0] == "strip" else original  # the original has nothing to strip
        shutil.copy(source, library)
        for command in commands:
            before = library.read_bytes()
            run(*command, library)
            check(library.read_bytes() != before, f"{name}: {command[0]} has changed nothing")
        check(not [fault for fault in faults(library, library.name) if "path" not in fault], name, *faults(library))
        for program in programs(build, here, library):
            environment = {"LD_LIBRARY_PATH": str(folder)}
            check(f"=> {library} " in run("ldd", program, **environment), program, library)
            made[name, program.suffixes[-2]] = [program], environment
    check(len(made) == 2 * len(copies), made)
    users = list(made.values())
    with package.blocks() as directory:
        for one, other in zip(users, users[1:] + users[:1], strict=True):
            package.exchanged(one, other, directory)


CASES = {case.__name__: case for case in (properties, changed)}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as folder:
        CASES[sys.argv[2]](pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder).resolve())
