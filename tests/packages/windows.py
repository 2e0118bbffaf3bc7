"""The wheel for Windows in CPython for Windows, under Wine: windows.py BUILD.

The README's programs run without NumPy, and with it. Workers in C and Python exchange messages. Two
copies of the library are in one process. pip of this machine installs the wheel, because pip asks
Windows for its version by WMI, where Wine 8 ends the process.
"""

import pathlib
import subprocess
import sys
import tempfile

import package
from package import ROOT, check

sys.path.insert(0, str(ROOT / "tests/portability/windows"))
import exchange  # noqa: E402
import wine  # noqa: E402

PYTHON = ROOT / ".tools/windows-python/python.exe"
TWO_COPIES = """
import importlib.util, os, shutil, sys
import datablock_ctypes as first
spec = importlib.util.spec_from_file_location("second_ctypes", first.__file__,
                                              submodule_search_locations=first.__path__)
second = sys.modules["second_ctypes"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(second)
library = first.load()
shutil.copy(library, sys.argv[1])
print(second.load(sys.argv[1]) != library)
for one, other in ((first, second), (second, first)):
    with one.Producer("two", slot_size=64, unlink_on_close=True) as producer:
        try:
            other.Producer("two", slot_size=64)
        except other.ProducerActive:
            print("refused")
        with other.Consumer("two", delivery=other.Delivery.LOSSLESS) as consumer:
            for message in range(2000):
                producer.send(b"%d" % message, 20)
                assert int(consumer.receive(20)) == message
os._exit(0) if os.listdir(os.environ["DATABLOCK_DIR"]) else print("nothing left")
"""


class Python:
    """CPython for Windows with the installed wheel."""

    def __init__(self, prefix, installed):
        self.prefix = prefix
        prefix.environment |= {"PYTHONPATH": prefix.path(installed), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *arguments, fails=False, **variables):
        # Python cannot begin with /dev/null as its input, which Wine takes for another device.
        process = self.prefix.start(PYTHON, *arguments, variables=variables, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = process.communicate(timeout=wine.LIMIT)[0].decode(errors="replace").replace("\r\n", "\n")
        check((process.returncode != 0) == fails, arguments, process.returncode, said)
        return said


def main(build, here):
    wine.require_tools()
    package.need(PYTHON, "WINDOWS=1")
    wheel, installed = package.wheel(build, package.WINDOWS), here / "installed"
    with wine.prefix(build) as prefix:
        python, path = Python(prefix, installed), prefix.path
        package.installed_for(wheel, installed, "--platform", package.WINDOWS, "--implementation", "cp",
                              "--python-version", "3.12")
        said = python.run("-c", "import datablock_ctypes; print(datablock_ctypes.load())")
        check(said.strip() == path(installed / package.PACKAGE / "datablock.dll"), said)
        for with_numpy, options in ((False, ["-S"]), (True, [])):  # -S: without the other packages
            directory = tempfile.mkdtemp(dir=prefix.blocks)

            def start(file, fails=False, options=options, directory=directory):
                return python.run(*options, path(file), fails=fails, DATABLOCK_DIR=path(directory))

            package.run_examples(here, start, with_numpy)
        directory = tempfile.mkdtemp(dir=prefix.blocks)
        said = python.run("-c", TWO_COPIES, path(here / "datablock.dll"), DATABLOCK_DIR=path(directory))
        check(said.splitlines() == ["True", "refused", "refused", "nothing left"], said)
        (here / "workers").mkdir()
        programs = exchange.programs_in(here / "workers", build)
        programs["python"] = (PYTHON, path(ROOT / "tests/python/worker.py"))
        for first, second in (("python", "c_inline"), ("c", "python")):
            exchange.deliveries(prefix, programs, first, second, 200)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as scratch:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(scratch).resolve())
