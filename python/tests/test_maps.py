"""The mapping that contains an address, from the kernel's query and from its text."""

import ctypes
import fcntl
import mmap
import os

import pytest

from datablock_ctypes import _maps


@pytest.fixture(params=["query", "text"])
def kernel(request, monkeypatch):
    if request.param == "text":

        def refuse(*_):
            raise OSError

        monkeypatch.setattr(_maps.fcntl, "ioctl", refuse)
    else:
        assert fcntl.ioctl is _maps.fcntl.ioctl


def test_the_mapping_of_a_file(kernel, directory):
    size = 4 * mmap.PAGESIZE
    path = directory / "file"
    path.write_bytes(bytes(2 * size))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), size, offset=mmap.PAGESIZE) as memory:
        pages = (ctypes.c_char * size).from_buffer(memory)
        first = ctypes.addressof(pages)
        found = os.stat(path)
        for address in (first, first + 1, first + size - 1):
            assert _maps.mapping_at(address) == (
                first,
                size,
                mmap.PAGESIZE,
                found.st_dev,
                found.st_ino,
            )
        assert _maps.mapping_at(first + size - 1).first == first
        del pages
    path.unlink()


def test_an_address_of_no_mapping(kernel):
    with pytest.raises(RuntimeError, match="no mapping holds address 0x10"):
        _maps.mapping_at(0x10)
