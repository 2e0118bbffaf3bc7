"""What pyproject.toml cannot say: nothing is written into the source tree, and a wheel with a library in it is for one platform."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel

# A wheel is of the files that are there now: a build folder in the source tree would add those of earlier builds, and a source tree of
# another user may be read-only.
scratch = tempfile.mkdtemp(prefix="datablock-ctypes-")
atexit.register(shutil.rmtree, scratch, ignore_errors=True)

has_library = any((Path(__file__).resolve().parent / "datablock_ctypes").glob("libdatablock.so*"))


class Package(Distribution):
    def has_ext_modules(self) -> bool:
        return has_library


class Wheel(bdist_wheel):
    """For any Python 3, because the package goes through ctypes."""

    def get_tag(self) -> tuple[str, str, str]:
        _, _, platform = super().get_tag()
        return "py3", "none", platform


setup(
    distclass=Package,
    cmdclass={"bdist_wheel": Wheel},
    options={"build": {"build_base": f"{scratch}/build"}, "egg_info": {"egg_base": scratch}},
)
