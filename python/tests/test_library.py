"""Finding and loading the library."""

import os
import shutil
import subprocess
import sys

from support import PACKAGE, Worker

LOAD = """
    import datablock_ctypes, sys
    try:
        print("loaded", datablock_ctypes.load(*sys.argv[1:]))
    except (OSError, datablock_ctypes.DataBlockError) as error:
        print(type(error).__name__, error)
"""


def said(*arguments, **environment):
    with Worker(LOAD, *arguments, **environment) as worker:
        return worker.end()


def test_import_loads_nothing():
    with Worker("""
        import datablock_ctypes
        print(any("libdatablock" in line for line in open("/proc/self/maps")))
        datablock_ctypes.version()
        print(any("libdatablock" in line for line in open("/proc/self/maps")))
    """) as worker:
        assert worker.end() == "False\nTrue\n"


def test_numpy_is_not_needed():
    with Worker("""
        import sys
        sys.modules["numpy"] = None
        from datablock_ctypes import Consumer, Producer, unlink
        with Producer("camera", slot_size=64) as producer, Consumer("camera") as consumer:
            producer.send(b"hello")
            with consumer.read() as slot:
                print(bytes(slot.data))
                try:
                    slot.array()
                except ImportError as error:
                    print("ImportError")
        unlink("camera")
    """) as worker:
        assert worker.end() == "b'hello'\nImportError\n"


def test_an_explicit_path_comes_first(tmp_path):
    library = os.environ["DATABLOCK_LIBRARY"]
    assert said(library, DATABLOCK_LIBRARY="/nowhere/libdatablock.so") == f"loaded {library}\n"
    copy = tmp_path / "other.so"
    shutil.copy(library, copy)
    assert said(copy) == f"loaded {copy}\n"


def test_the_environment_says_where(tmp_path):
    copy = tmp_path / "other.so"
    shutil.copy(os.environ["DATABLOCK_LIBRARY"], copy)
    assert said(DATABLOCK_LIBRARY=str(copy)) == f"loaded {copy}\n"


def installed(tmp_path):
    """The package away from its source tree."""
    shutil.copytree(PACKAGE / "datablock_ctypes", tmp_path / "datablock_ctypes")
    return {"DATABLOCK_LIBRARY": "", "PYTHONPATH": str(tmp_path)}


def test_beside_the_package(tmp_path):
    environment = installed(tmp_path)
    library = tmp_path / "datablock_ctypes" / "libdatablock.so.1"
    shutil.copy(os.environ["DATABLOCK_LIBRARY"], library)
    assert said(**environment) == f"loaded {library}\n"


def test_in_the_build_directory(tmp_path):
    environment = installed(tmp_path / "tree" / "python")
    build = tmp_path / "tree" / "build"
    build.mkdir()
    shutil.copy(os.environ["DATABLOCK_LIBRARY"], build / "libdatablock.so.1")
    assert said(**environment) == f"loaded {build / 'libdatablock.so.1'}\n"


def test_by_the_systems_loader(tmp_path):
    environment = installed(tmp_path / "package")
    shutil.copy(os.environ["DATABLOCK_LIBRARY"], tmp_path / "libdatablock.so.1")
    assert said(**environment, LD_LIBRARY_PATH=str(tmp_path)) == "loaded libdatablock.so.1\n"


def test_every_candidate_is_named_with_its_reason(tmp_path):
    environment = installed(tmp_path / "tree" / "python")
    (tmp_path / "tree" / "python" / "datablock_ctypes" / "libdatablock.so.1").write_text("not a library")
    text = said(**environment, LD_LIBRARY_PATH="")
    assert text.startswith("LibraryNotFound the DataBlock library was not found. Looked at:\n")
    lines = text.splitlines()
    assert lines[1].startswith(f"  {tmp_path}/tree/python/datablock_ctypes/libdatablock.so.1 (beside the package): ")
    assert "file too short" in lines[1] or "invalid ELF header" in lines[1]
    assert lines[2] == f"  {tmp_path}/tree/build/libdatablock.so.1 (the build directory of the source tree): there is no such file"
    assert lines[3].startswith("  libdatablock.so.1 (the system's loader): ")
    assert "DATABLOCK_LIBRARY" in lines[4]


def test_another_library_is_refused(tmp_path):
    for version, complaint in (
        (2_000_000, "it is version 2.0.0"),
        (999_999, "it is version 0.999.999"),
        (None, "no function datablock_version"),
    ):
        source, library = tmp_path / "other.c", tmp_path / f"other-{version}.so"
        source.write_text(f"unsigned datablock_version(void) {{ return {version}; }}" if version else "int other;")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", source, "-o", library], check=True)
        text = said(library)
        assert text.startswith("LibraryNotFound")
        assert complaint in text


def test_a_second_library_is_refused():
    with Worker("""
        import datablock_ctypes
        print(datablock_ctypes.load() == datablock_ctypes.load(datablock_ctypes.load()))
        try:
            datablock_ctypes.load("/nowhere/libdatablock.so")
        except datablock_ctypes.Invalid as error:
            print(error)
    """) as worker:
        assert worker.end().splitlines()[0] == "True"


def test_the_public_names():
    import datablock_ctypes

    assert datablock_ctypes.__all__ == sorted(datablock_ctypes.__all__)
    for name in datablock_ctypes.__all__:
        assert getattr(datablock_ctypes, name).__doc__, name
    assert sys.version_info >= (3, 9)
