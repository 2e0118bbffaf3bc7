"""The second mapping of a block, on Linux: see `Memory`.

It is made from the first mapping by its address, whatever has become of the file's name.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import weakref
from contextlib import suppress
from typing import Any

from ._interrupts import Descriptor, debts, record
from ._maps import Mapping, files_at, mapping_at

MREMAP_MAYMOVE = 1
MADV_DOFORK = 11
PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE, MAP_FIXED = 0x01, 0x02, 0x10
MAP_ANONYMOUS, MAP_NORESERVE = 0x20, 0x4000
MAP_FAILED = ctypes.c_void_p(-1).value

_system: Any = None


def _load_system() -> Any:
    global _system
    if _system is None:
        system = ctypes.CDLL(None, use_errno=True)
        pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        system.mremap.restype = system.mmap.restype = pointer
        system.mremap.argtypes = (pointer, size, size, number)
        system.mmap.argtypes = (pointer, size, number, number, number, ctypes.c_int64)
        system.munmap.argtypes = (pointer, size)
        system.madvise.argtypes = system.mprotect.argtypes = (pointer, size, number)
        _system = system
    return _system


class SecondMapping:
    """What is known of a second mapping: a debt."""

    def __init__(self, writable: bool) -> None:
        self.writable = writable
        self.addresses: list[int] = []  # none or one
        self.size = self.base = 0
        self.region: Mapping | None = None
        self.process = os.getpid()
        self.memory: weakref.ref[Any] | None = None
        self.pages: weakref.ref[Any] | None = None

    def make(self, address: int) -> None:
        """Map the region around an address a second time."""
        if not sys.platform.startswith("linux"):
            raise NotImplementedError("datablock_ctypes runs on Linux and Windows only, so far")
        system, region = _load_system(), mapping_at(address)
        self.region, self.size, self.base = region, region.size, region.first
        # An old size of zero makes another mapping of the same pages and keeps the old one; see
        # mremap(2).
        record(self.addresses, system.mremap, region.first, 0, region.size, MREMAP_MAYMOVE)
        if self.addresses[0] == MAP_FAILED:
            number = ctypes.get_errno()
            self.addresses.clear()
            self._map_file()
        if not self.addresses:
            raise OSError(
                number, f"map {region.size} bytes of the block a second time: {os.strerror(number)}"
            )
        if self.writable:
            # The library keeps its writable mapping from children. A child could map other memory
            # into the hole at this address, and an inherited array would write into that memory.
            # Therefore a child inherits this mapping and replaces it at once
            # (_after_fork_in_child).
            system.madvise(self.addresses[0], self.size, MADV_DOFORK)

    def ready(self) -> bool:
        """Whether there is a second mapping."""
        return bool(self.addresses)

    def end_writing(self) -> None:
        """Replace the mapping by a private one, in place and in one step.

        The caller keeps the pages from being collected meanwhile.
        """
        if not self.writable or not self.addresses:
            return
        flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE
        if not self._replace_by_file(flags):
            if not self.writable:  # another thread has replaced it, and the library the file
                return
            if not self._replace(flags | MAP_ANONYMOUS, -1, 0):
                # A late store then ends this process. That is better than a changed message.
                _system.mprotect(self.addresses[0], self.size, PROT_READ)
        self.writable = False

    def _replace_by_file(self, flags: int) -> bool:
        """Map the file by its name, which mostly exists until the library closes the block.

        If this fails, the contents of the replaced mapping are zeros.
        """
        own = Descriptor()
        try:
            number = self._open_file(own, os.O_RDONLY)
            return number >= 0 and self._replace(flags, number, self._offset())
        except OSError:
            return False
        finally:
            own.close()

    def _map_file(self) -> None:
        """Map the file by its name, where mremap does not know an old size of zero, as in QEMU.

        If this fails, there is no address.
        """
        rights, access = PROT_READ, os.O_RDONLY
        if self.writable:
            rights, access = PROT_READ | PROT_WRITE, os.O_RDWR
        own = Descriptor()
        try:
            number = self._open_file(own, access)
            if number >= 0:
                place = (number, self._offset())
                record(self.addresses, _system.mmap, None, self.size, rights, MAP_SHARED, *place)
                if self.addresses[0] == MAP_FAILED:
                    self.addresses.clear()
        finally:
            own.close()

    def _offset(self) -> int:
        assert self.region is not None
        return self.region.offset

    def _open_file(self, own: Descriptor, access: int) -> int:
        """Open the mapped file, and return the descriptor. -1: no name leads to the file."""
        assert self.region is not None
        for path in files_at(self.region):
            with suppress(OSError):
                number = own.open(os.open, path, access | os.O_CLOEXEC | os.O_NONBLOCK)
                if _is_file(number, (self.region.device, self.region.inode)):
                    return number
                own.close()
        return -1

    def _replace(self, flags: int, descriptor: int, offset: int) -> bool:
        found = _system.mmap(
            self.addresses[0], self.size, PROT_READ | PROT_WRITE, flags, descriptor, offset
        )
        return bool(found != MAP_FAILED)

    def due(self) -> bool:
        """Whether the pages are gone; if there never were any, whether the `Memory` is gone."""
        last = self.pages if self.pages is not None else self.memory
        return last is not None and last() is None

    def settle(self) -> None:
        if os.getpid() == self.process and self.addresses:
            with suppress(IndexError):  # another thread unmapped it first
                done: list[int] = []
                done.extend(map(_system.munmap, map(list.pop, (self.addresses,)), (self.size,)))

    def settle_at_exit(self) -> None:
        """Do nothing: the kernel unmaps. Arrays may outlive any order of finalizers."""

    def after_fork_in_child(self) -> None:
        if self.writable and self.addresses:
            if not self._replace(MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0):
                os._exit(1)
            self.writable = False


def _is_file(descriptor: int, file: tuple[int, int]) -> bool:
    found = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == file and stat.S_ISREG(found.st_mode)


def _after_fork_in_child() -> None:
    """Give the child zeros of its own in the place of a producer's slots.

    Parent and child must not both write through one claim.
    """
    for debt in debts():
        if isinstance(debt, SecondMapping):
            debt.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
