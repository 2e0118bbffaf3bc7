"""Finding and loading the library."""

import os
import shutil
import subprocess
import sys

import pytest
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


def source_tree(tree):
    """The package in a source tree, with an empty build folder."""
    environment = installed(tree / "python")
    for mark in ("go.mod", "include/datablock.h", "python/pyproject.toml"):
        (tree / mark).parent.mkdir(exist_ok=True)
        (tree / mark).touch()
    (tree / "build").mkdir()
    return environment


def test_in_the_build_directory(tmp_path):
    environment = source_tree(tmp_path / "tree")
    library = tmp_path / "tree" / "build" / "libdatablock.so.1"
    shutil.copy(os.environ["DATABLOCK_LIBRARY"], library)
    assert said(**environment) == f"loaded {library}\n"


PLANTED = (
    "#include <stdlib.h>\n__attribute__((constructor)) static void planted(void) { _Exit(3); }\n"
)


def plant(tmp_path, library):
    """A library whose code runs as soon as it is loaded."""
    library.parent.mkdir(exist_ok=True)
    source = tmp_path / "planted.c"
    source.write_text(PLANTED)
    subprocess.run(
        [os.environ.get("CC", "cc"), "-shared", "-fPIC", source, "-o", library], check=True
    )


@pytest.mark.parametrize("place", ["site", "python"])
def test_no_library_of_a_folder_that_is_no_source_tree(tmp_path, place):
    """As after `pip install --target /tmp/site`: any user may make /tmp/build."""
    environment = installed(tmp_path / place)
    plant(tmp_path, tmp_path / "build" / "libdatablock.so.1")
    text = said(**environment, LD_LIBRARY_PATH="")
    assert text.startswith("LibraryNotFound")
    assert f"{tmp_path}/build" not in text


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    "mark",
    ["go.mod", "include/datablock.h", "python/pyproject.toml", "build", "build/libdatablock.so.1"],
)
def test_no_library_of_another_users_source_tree(tmp_path, mark):
    environment = source_tree(tmp_path)
    plant(tmp_path, tmp_path / "build" / "libdatablock.so.1")
    os.chown(tmp_path / mark, 65534, -1)
    assert said(**environment, LD_LIBRARY_PATH="").startswith("LibraryNotFound")


def test_by_the_systems_loader(tmp_path):
    environment = installed(tmp_path / "package")
    shutil.copy(os.environ["DATABLOCK_LIBRARY"], tmp_path / "libdatablock.so.1")
    assert said(**environment, LD_LIBRARY_PATH=str(tmp_path)) == "loaded libdatablock.so.1\n"


def test_every_candidate_is_named_with_its_reason(tmp_path):
    environment = source_tree(tmp_path / "tree")
    (tmp_path / "tree" / "python" / "datablock_ctypes" / "libdatablock.so.1").write_text(
        "not a library"
    )
    text = said(**environment, LD_LIBRARY_PATH="")
    assert text.startswith("LibraryNotFound the DataBlock library was not found. Looked at:\n")
    lines = text.splitlines()
    assert lines[1].startswith(
        f"  {tmp_path}/tree/python/datablock_ctypes/libdatablock.so.1 (beside the package): "
    )
    assert "file too short" in lines[1] or "invalid ELF header" in lines[1]
    assert (
        lines[2]
        == f"  {tmp_path}/tree/build/libdatablock.so.1 (the build directory of the source tree): "
        "there is no such file"
    )
    assert lines[3].startswith("  libdatablock.so.1 (the system's loader): ")
    assert "DATABLOCK_LIBRARY" in lines[4]


def test_another_library_is_refused(tmp_path):
    for version, complaint in (
        (2_000_000, "it is version 2.0.0"),
        (999_999, "it is version 0.999.999"),
        (None, "no function datablock_version"),
    ):
        source, library = tmp_path / "other.c", tmp_path / f"other-{version}.so"
        source.write_text(
            f"unsigned datablock_version(void) {{ return {version}; }}" if version else "int other;"
        )
        subprocess.run(
            [os.environ.get("CC", "cc"), "-shared", "-fPIC", source, "-o", library], check=True
        )
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
