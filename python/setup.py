"""The part of the build that pyproject.toml cannot describe.

The build writes nothing into the source tree. A wheel with a library in it is for one platform.

The source distribution contains the sources of the library in the folder `library`. A wheel that is
built from it contains the library. A wheel that is built from DataBlock's own source tree contains
the library only if the library lies beside the modules.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

# A wheel contains the present files only. A build folder in the source tree would add those of
# earlier builds, and a source tree of another user may be read-only.
scratch = tempfile.mkdtemp(prefix="datablock-ctypes-")
atexit.register(shutil.rmtree, scratch, ignore_errors=True)

here = Path(__file__).resolve().parent
package = here / "datablock_ctypes"
sources = here / "library"
is_there = any(package.glob("libdatablock.so*")) or (package / "datablock.dll").exists()
to_be_built = sources.exists() and not is_there

OTHERWISE = (
    "A wheel needs no tools: pip install --only-binary=:all: datablock-ctypes, on 64-bit Linux "
    "with glibc 2.28 or newer, and on 64-bit Windows."
)


class Package(Distribution):
    def has_ext_modules(self) -> bool:
        return is_there or to_be_built


class Wheel(bdist_wheel):
    """A wheel for any Python 3, because the package uses ctypes."""

    def get_tag(self) -> tuple[str, str, str]:
        _, _, platform = super().get_tag()
        return "py3", "none", platform


class Modules(build_py):
    """The modules and, from the source distribution, the library."""

    def run(self) -> None:
        super().run()
        if to_be_built and not self.editable_mode:
            shutil.copy(built_library(), Path(self.build_lib) / package.name)


class Sources(sdist):
    """The modules, and the sources of the library from DataBlock's own source tree."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        # The generated metadata are in the scratch folder, and the archive does not need them.
        super().make_release_tree(base_dir, [name for name in files if not os.path.isabs(name)])
        root = here.parent
        names = ["CMakeLists.txt", "LICENSE", "go.mod", "go.sum"]
        names += [f"cmake/{name}.cmake" for name in ("Go", "Library", "Windows", "Wheels")]
        parts = (("", "*.go"), ("internal", "**/*"), ("schema", "*"), ("capi", "**/*"))
        for folder, pattern in (*parts, ("include", "**/*")):
            names += [str(path.relative_to(root)) for path in (root / folder).glob(pattern)]
        for name in names:
            if (root / name).is_file() and not re.search(r"_test\.go$|/testdata/", name):
                copy = Path(base_dir, sources.name, name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, copy)


def built_library() -> Path:
    if sys.platform != "linux":
        sys.exit(f"The source distribution builds the library on Linux only. {OTHERWISE}")
    compiler = os.environ.get("CC", "cc").split()[0]
    missing = [tool for tool in ("go", "cmake", "make", compiler) if shutil.which(tool) is None]
    if missing:
        go = re.search(r"^go (\S+)$", (sources / "go.mod").read_text(), re.MULTILINE)
        assert go is not None
        sys.exit(
            f"The source distribution builds the library with Go {go[1]} or newer, CMake 3.20 or "
            f"newer, make and a C compiler. These programs are not on PATH: {', '.join(missing)}. "
            f"{OTHERWISE}"
        )
    build = Path(scratch, "library")
    options = [f"-DDATABLOCK_{what}=OFF" for what in ("BUILD_PROGRAMS", "INSTALL")]
    for command in (
        ["cmake", "-S", str(sources), "-B", str(build), "-DBUILD_TESTING=OFF", *options],
        ["cmake", "--build", str(build), "--target", "datablock_go"],
    ):
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
            sys.exit(f"{' '.join(command)} failed. The output above says why. {OTHERWISE}")
    return next(build.glob("libdatablock.so.[0-9]"))


setup(
    distclass=Package,
    cmdclass={"bdist_wheel": Wheel, "build_py": Modules, "sdist": Sources},
    options={"build": {"build_base": f"{scratch}/build"}, "egg_info": {"egg_base": scratch}},
)
