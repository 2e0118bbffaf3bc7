"""The second mapping of a block, on Windows: see `Memory`.

The system makes a second view of a file from a handle of the file, and the library has closed its
handle. Therefore the file is opened again, by the name that the system has for the first view. The
new view counts only if it begins with the header of the same block.
"""

from __future__ import annotations

import ctypes
import functools
import os
import stat
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ._errors import System
from ._interrupts import Descriptor, record

assert sys.platform == "win32"  # _mapping is for Linux

GENERIC_READ, GENERIC_WRITE = 0x8000_0000, 0x4000_0000
SHARE_ALL, OPEN_EXISTING, ITSELF = 7, 3, 0x0020_0000  # ITSELF: no symbolic link is followed
PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY = 2, 4, 8
FILE_MAP_WRITE, FILE_MAP_READ = 2, 4
INVALID_HANDLE = ctypes.c_void_p(-1).value
LONGEST_PATH = 32_768
PAGE = 4096

# What two views of one block have in common, as offset and size: the immutable header, with a
# random id in it, and which producer has the block. A copy of the files, made earlier, has another
# producer.
IDENTITY = ((0, 576), (4160, 24))


class _Region(ctypes.Structure):
    """The C struct MEMORY_BASIC_INFORMATION."""

    _fields_ = (
        ("base", ctypes.c_void_p),
        ("allocation", ctypes.c_void_p),
        ("allocation_protection", ctypes.c_uint32),
        ("partition", ctypes.c_uint32),
        ("size", ctypes.c_size_t),
        ("state", ctypes.c_uint32),
        ("protection", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
    )


@functools.cache
def _system() -> Any:
    system = ctypes.WinDLL("kernel32", use_last_error=True)
    pointer, size, number, text = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_uint32,
        ctypes.c_wchar_p,
    )
    for name, restype, argtypes in (
        ("GetCurrentProcess", pointer, ()),
        ("VirtualQuery", size, (pointer, pointer, size)),
        ("VirtualProtect", number, (pointer, size, number, pointer)),
        ("K32GetMappedFileNameW", number, (pointer, pointer, text, number)),
        ("CreateFileW", pointer, (text, number, number, pointer, number, number, pointer)),
        ("CreateFileMappingW", pointer, (pointer, pointer, number, number, number, text)),
        ("MapViewOfFile", pointer, (pointer, number, number, number, size)),
        ("UnmapViewOfFile", number, (pointer,)),
        ("CloseHandle", number, (pointer,)),
    ):
        function = getattr(system, name)
        function.restype, function.argtypes = restype, argtypes
    return system


def _last_error(what: str) -> OSError:
    return ctypes.WinError(ctypes.get_last_error(), what)


class SecondMapping:
    """What is known of a second mapping: a debt."""

    def __init__(self, writable: bool) -> None:
        self.writable = writable
        self.addresses: list[int] = []  # none or one
        self.size = self.base = 0
        self.memory: weakref.ref[Any] | None = None
        self.pages: weakref.ref[Any] | None = None

    def make(self, address: int) -> None:
        """Map the region around an address a second time."""
        self.settle()  # an interrupted call may have left a view that was not compared
        base, size = _region_at(address)
        refused: list[OSError] = []
        try:
            named = _path_of(base)
            if not self._takes(named, base, size, refused):
                path = self._search(named, base, size, refused)
                if path is None or not self._takes(path, base, size, refused):
                    missing = OSError(f"the file of the block is not found at {named!r}")
                    raise refused[0] if refused else missing
            self.size = size
            self.base = base  # last: the view is the block's
        finally:
            del refused  # its traceback has this frame: the pages would wait for the collector

    def ready(self) -> bool:
        """Whether there is a second view, and it is the block's."""
        return bool(self.base and self.addresses)

    def _search(self, named: str, base: int, size: int, refused: list[OSError]) -> str | None:
        """Return the path of the one file in a directory that is mapped at a base, or None."""
        found = None
        for path in _files_beside(named, size):
            if self._takes(path, base, size, refused):
                self.settle()
                if found is not None:
                    raise OSError(
                        f"{found} and {path} both look like the file of the block: remove the copy"
                    )
                found = path
        return found

    def _takes(self, path: str, base: int, size: int, refused: list[OSError]) -> bool:
        """Map a file, and keep the view if it is of the same block as the view at a base."""
        same = False
        try:
            same = self._map_file(path, base, size)
        except OSError as error:
            refused.append(error.with_traceback(None))
        finally:
            if not same:
                self.settle()
        return same

    def _map_file(self, path: str, base: int, size: int) -> bool:
        """Map a file, and report whether it is the one that is mapped at a base."""
        system = _system()
        file, section = Descriptor(system.CloseHandle), Descriptor(system.CloseHandle)
        try:
            access, protection, wanted = GENERIC_READ, PAGE_READONLY, FILE_MAP_READ
            if self.writable:
                access |= GENERIC_WRITE
                protection, wanted = PAGE_READWRITE, FILE_MAP_READ | FILE_MAP_WRITE
            opened = file.open(
                system.CreateFileW, path, access, SHARE_ALL, None, OPEN_EXISTING, ITSELF, None
            )
            if opened == INVALID_HANDLE:
                raise _last_error(f"open {path} a second time")
            made = section.open(system.CreateFileMappingW, opened, None, protection, 0, 0, None)
            if not made:
                raise _last_error(f"map {path} a second time")
            record(self.addresses, system.MapViewOfFile, made, wanted, 0, 0, 0)
            if not self.addresses[0]:
                self.addresses.clear()
                raise _last_error(f"map {size} bytes of the block a second time")
        finally:
            section.close()
            file.close()
        if _region_at(self.addresses[0])[1] != size:
            return False
        # Not once: the next producer may come between the two reads.
        return any(_same_block(base, self.addresses[0]) for _ in range(3))

    def end_writing(self) -> None:
        """Let later stores change copies of the pages, in place and in one step.

        The caller keeps the pages from being collected meanwhile.
        """
        if not self.writable or not self.ready():
            return
        private = _copies_on_write() and _protect(self.addresses[0], self.size, PAGE_WRITECOPY)
        # A late store then ends this process. That is better than a changed message.
        if not private and not _protect(self.addresses[0], self.size, PAGE_READONLY):
            raise System(str(_last_error("end the right to write to the block's memory")))
        self.writable = False

    def due(self) -> bool:
        """Whether the pages are gone; if there never were any, whether the `Memory` is gone."""
        last = self.pages if self.pages is not None else self.memory
        return last is not None and last() is None

    def settle(self) -> None:
        if self.addresses:
            with suppress(IndexError):  # another thread unmapped it first
                done: list[int] = []
                done.extend(map(_system().UnmapViewOfFile, map(list.pop, (self.addresses,))))

    def settle_at_exit(self) -> None:
        """Do nothing: the system unmaps. Arrays may outlive any order of finalizers."""


def _same_block(first: int, second: int) -> bool:
    return all(
        ctypes.string_at(first + offset, size) == ctypes.string_at(second + offset, size)
        for offset, size in IDENTITY
    )


def _region_at(address: int) -> tuple[int, int]:
    """Return the first address of the view that contains an address, and its size in bytes."""
    region, first, size = _Region(), 0, 0
    while _system().VirtualQuery(
        first + size or address, ctypes.byref(region), ctypes.sizeof(region)
    ):
        if first == 0:
            first = region.allocation or 0
            if first == 0:
                break
            continue  # from the first address on
        if region.allocation != first:
            return first, size
        size += region.size
    raise RuntimeError(f"no mapping holds address {address:#x}")


def _name_of(base: int) -> str:
    """Return the name that the system has for the file of a view."""
    name = ctypes.create_unicode_buffer(LONGEST_PATH)
    system = _system()
    if not system.K32GetMappedFileNameW(system.GetCurrentProcess(), base, name, LONGEST_PATH):
        raise _last_error("find the file of the block")
    return name.value


def _path_of(base: int) -> str:
    r"""Return the path that the system has for the file of a view.

    The name begins with a device, as in ``\Device\HarddiskVolume3\blocks\camera``. Wine says
    ``\??\C:\blocks\camera`` instead, and it says the name that the file had when it was opened: a
    new block gets its name later.
    """
    name = _name_of(base)
    prefix, drive = "\\\\?\\GLOBALROOT", "\\??\\"
    return "\\\\?\\" + name[len(drive) :] if name.startswith(drive) else prefix + name


def _files_beside(path: str, size: int) -> Iterator[str]:
    """Yield the files in the directory of a path whose views have a size.

    A control file is never mapped here. A data file without a name has a name like one.
    """
    directory = path[: path.rindex("\\")]
    for name in os.listdir(directory):
        if name.endswith(".ctl") and not name.endswith(".tmp.ctl"):
            continue
        file = f"{directory}\\{name}"
        with suppress(OSError):  # it is gone
            found = os.lstat(file)
            if stat.S_ISREG(found.st_mode) and -(-found.st_size // PAGE) * PAGE == size:
                yield file


def _protect(address: int, size: int, protection: int) -> bool:
    before = ctypes.c_uint32()
    return bool(_system().VirtualProtect(address, size, protection, ctypes.byref(before)))


_copying: list[bool] = []  # what a comparison has shown, or nothing


def _copies_on_write() -> bool:
    """Whether a view that becomes PAGE_WRITECOPY is private from then on. Under Wine it is not.

    If the system refuses the comparison, the next call repeats it.
    """
    if not _copying:
        found = _compare_views()
        if found is None:
            return False
        _copying.append(found)
    return _copying[0]


def _compare_views() -> bool | None:
    """Find out with two views of memory of this process. None: the system refused a step."""
    system = _system()
    section = Descriptor(system.CloseHandle)
    views: list[int] = []
    try:
        made = section.open(
            system.CreateFileMappingW, INVALID_HANDLE, None, PAGE_READWRITE, 0, PAGE, None
        )
        if not made:
            return None
        for _ in range(2):
            record(views, system.MapViewOfFile, made, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, PAGE)
        if not all(views) or not _protect(views[0], PAGE, PAGE_WRITECOPY):
            return None
        ctypes.memset(views[0], 1, 1)
        return ctypes.string_at(views[1], 1) == b"\0"
    finally:
        section.close()
        for view in filter(None, views):
            system.UnmapViewOfFile(view)
