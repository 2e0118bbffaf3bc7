"""Makes one package of the Python package: wheel.py VERSION INTO PLATFORM LIBRARY
or wheel.py VERSION INTO source.

A wheel has the library inside. For a platform of the kind manylinux, auditwheel checks that the
library needs nothing that such a system lacks. The sources of this tree are only read.

The Python that runs this program has what scripts/requirements-packages.txt names.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "datablock_ctypes"
# The times of the files in an archive. The same sources then make the same bytes.
ZIP_BEGINS = "315532800"


def run(*command, **options):
    environment = {"SOURCE_DATE_EPOCH": ZIP_BEGINS, **os.environ}
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, env=environment, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def one_file(folder, pattern):
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder} has {len(found)} files {pattern}")
    return found[0]


def source_distribution(here):
    backend = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", backend, here, cwd=ROOT / "python")
    return one_file(here, "*.tar.gz")


def built_wheel(here, platform, library):
    sources = here / "python"
    shutil.copytree(ROOT / "python", sources, ignore=shutil.ignore_patterns("tests", "__pycache__", "*.so*", "*.dll"))
    shutil.copyfile(library, sources / PACKAGE / library.name)
    for file in sources.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)  # an archive keeps the modes
    run(sys.executable, "-m", "pip", "wheel", sources, "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", f"--config-settings=--build-option=--plat-name={platform}", "--wheel-dir", here)
    return one_file(here, "*.whl")


def glibc(tag):
    """The version of the C library in the name of a platform."""
    found = re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", tag)
    return (int(found[1]), int(found[2])) if found else (sys.maxsize, 0)


def audit(wheel, platform):
    """Refuses a wheel that needs a newer system, or a library that may not be there.

    auditwheel also compares the processor of the library with the name of the wheel.
    """
    found = json.loads(run(sys.executable, "-m", "auditwheel", "show", "--json", wheel))
    if "error" in found or found["external_libs"] or glibc(found["overall_tag"]) > glibc(platform):
        sys.exit(f"not for {platform}: {json.dumps(found, indent=4)}")


def main():
    version, into, platform, *libraries = sys.argv[1:]
    into = Path(into)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="datablock-wheel-") as folder:
        here = Path(folder)
        if platform == "source":
            made = source_distribution(here)
        else:
            made = built_wheel(here, platform, Path(libraries[0]))
            if platform.startswith("manylinux"):
                audit(made, platform)
        if made.name.split("-")[1].removesuffix(".tar.gz") != version:
            sys.exit(f"{made.name} has not the version {version} of datablock.h")
        shutil.move(made, into / made.name)
    print(into / made.name)


if __name__ == "__main__":
    main()
