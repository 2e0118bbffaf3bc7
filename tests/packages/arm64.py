"""The wheel for arm64 in a Python for arm64, which QEMU emulates: arm64.py BUILD.

The README's programs run without NumPy. Messages go to a native C program and come from it. QEMU
refuses to map a block a second time by mremap, so that the package maps the file by its name.
"""

import pathlib
import shutil
import sys
import tempfile

import package
from package import ROOT, check, run

SYSTEM = ROOT / ".tools/arm64-python"
EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
SAYS_WHERE = "import datablock_ctypes, platform; print(platform.machine(), datablock_ctypes.load())"


def main(build, here):
    package.need(SYSTEM / "usr/bin/python3")
    if EMULATOR is None:
        package.not_run("qemu-aarch64 is missing; `make setup` installs it")
    python = [EMULATOR, "-L", SYSTEM, (SYSTEM / "usr/bin/python3").resolve()]
    # pip of this machine chooses by the name of the wheel, as pip on arm64 does.
    wheel, version = package.wheel(build, package.LINUX["aarch64"]), python[-1].name.removeprefix("python")
    folder = package.installed_for(wheel, here / "installed", "--platform", package.LINUX["aarch64"],
                                   "--implementation", "cp", "--python-version", version)
    variables = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    said = run(*python, "-c", SAYS_WHERE, **variables)
    check(said == f"aarch64 {folder}/{package.PACKAGE}/libdatablock.so.1\n", said)
    with package.blocks() as directory:
        def start(file, fails=False):
            return run(*python, "-W", "error", file, fails=fails, DATABLOCK_DIR=directory, **variables)

        package.run_examples(here, start, with_numpy=False)
    package.exchanges(build, python, 1000, **variables)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as scratch:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(scratch).resolve())
