"""Each test gets a block directory of its own in shared memory.

A test that leaves a file, a descriptor or a process behind fails.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest
from support import PACKAGE, ROOT, descriptors, eventually

BUILD = pathlib.Path(os.environ.get("DATABLOCK_BUILD", ROOT / "build"))


def pytest_configure() -> None:
    # A shell starts a background command with SIGINT ignored. The tests need the interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), str(PACKAGE / "tests")])
    if "DATABLOCK_LIBRARY" in os.environ:
        return
    library = BUILD / "libdatablock.so.1"
    if not library.exists():
        subprocess.run(["make", "all", f"BUILD={BUILD}"], cwd=ROOT, check=True)
    os.environ["DATABLOCK_LIBRARY"] = str(library)


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch):
    parent = os.environ.get("DATABLOCK_DIR", "/dev/shm")
    os.makedirs(parent, exist_ok=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix="datablock-test-python-", dir=parent))
    monkeypatch.setenv("DATABLOCK_DIR", str(path))
    yield path
    try:
        assert eventually(lambda: not descriptors(path)), f"open: {descriptors(path)}"
        for name in sorted(os.listdir(path)):
            if not name.endswith(".ctl"):
                unlink_or_remove(path / name)
        assert os.listdir(path) == []
    finally:
        shutil.rmtree(path)


def unlink_or_remove(path: pathlib.Path) -> None:
    import datablock_ctypes

    try:
        datablock_ctypes.unlink(path)
    except datablock_ctypes.Corrupt:
        path.unlink()
