"""The part of the build that pyproject.toml cannot describe.

The build writes nothing into the source tree. A wheel with a library in it is for one platform.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel

# A wheel contains the present files only. A build folder in the source tree would add those of
# earlier builds, and a source tree of another user may be read-only.
scratch = tempfile.mkdtemp(prefix="datablock-ctypes-")
atexit.register(shutil.rmtree, scratch, ignore_errors=True)

package = Path(__file__).resolve().parent / "datablock_ctypes"
has_library = any(package.glob("libdatablock.so*")) or (package / "datablock.dll").exists()


class Package(Distribution):
    def has_ext_modules(self) -> bool:
        return has_library


class Wheel(bdist_wheel):
    """A wheel for any Python 3, because the package uses ctypes."""

    def get_tag(self) -> tuple[str, str, str]:
        _, _, platform = super().get_tag()
        return "py3", "none", platform


setup(
    distclass=Package,
    cmdclass={"bdist_wheel": Wheel},
    options={"build": {"build_base": f"{scratch}/build"}, "egg_info": {"egg_base": scratch}},
)
