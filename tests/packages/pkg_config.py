"""Programs by pkg-config, with an installation in any place: pkg_config.py BUILD."""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

import package
from package import ROOT, VERSION, check, run

EXCHANGE = ROOT / "tests/packages/exchange"
WAYS = ("--dont-define-prefix", "--define-prefix")


def installed(build, here, *settings, **variables):
    """Installs the library of the build with other settings of CMake."""
    made = here / "made"
    shutil.rmtree(made, ignore_errors=True)
    run("cmake", "-S", ROOT, "-B", made, "-DBUILD_TESTING=OFF", "-DDATABLOCK_BUILD_PROGRAMS=OFF", *settings)
    for name in (f"libdatablock.so.{VERSION}", "libdatablock.so.1", "libdatablock.so"):
        shutil.copy(build / name, made / name, follow_symlinks=False)
    run("cmake", "--install", made, **variables)


def programs(here, folder, way, place, **variables):
    """A C and a C++ program with the flags of pkg-config, as the shell splits them."""
    variables |= {"PKG_CONFIG_PATH": place}
    flags = run("pkg-config", way, "--cflags", "--libs", "datablock", **variables).strip()
    made = []
    for compiler, source in (("cc", "exchange.c"), ("c++", "exchange.cpp")):
        program = here / f"{folder} {source}.out"
        words = shlex.join([compiler, "-o", str(program), str(EXCHANGE / source)])
        libdir = '"$(pkg-config %s --variable=libdir datablock)"' % way
        run("sh", "-euc", f"eval {shlex.quote(words)} '{flags}' -Wl,-rpath,{libdir}", **variables)
        made.append(program)
    return made


def main(build, here):
    if not shutil.which("pkg-config"):
        package.not_run("pkg-config is missing")
    triplet = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    first, moved = here / "first pre fix", here / "mo ved" / "pre fix"
    library, include = here / "some library", here / "some include"
    for number, (libdir, includedir) in enumerate((
        ("lib", "include"),
        (f"lib/{triplet or 'machine-linux-gnu'}", "include"),
        ("lib/deep/er", "inc"),
        (library, "include"),
        ("lib", include),
        (library, include),
    )):
        installed(build, here, f"-DCMAKE_INSTALL_PREFIX={first}", f"-DCMAKE_INSTALL_LIBDIR={libdir}",
                  f"-DCMAKE_INSTALL_INCLUDEDIR={includedir}")
        prefix = first
        if not pathlib.Path(libdir).is_absolute():  # otherwise the file does not move with the prefix
            moved.parent.mkdir(exist_ok=True)
            prefix = first.rename(moved)
        for way in WAYS:
            made = programs(here, f"{number} {way}", way, prefix / libdir / "pkgconfig")
            expected = os.path.realpath(prefix / libdir / "libdatablock.so.1")
            for program in made:
                said = run("ldd", program)
                (found,) = [line.split("=> ")[1].rpartition(" (")[0] for line in said.splitlines()
                            if "libdatablock" in line]
                check(os.path.realpath(found) == expected, libdir, includedir, way, said)
            with package.blocks() as directory:
                package.exchanged(([made[0]], {}), ([made[1]], {}), directory)
        for folder in (first, moved, library, include):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as scratch:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(scratch).resolve())
