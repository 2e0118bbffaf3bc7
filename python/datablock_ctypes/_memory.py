"""Memory that Python objects look at for as long as they like.

The library unmaps a block when its handle is closed, and that must not wait for whoever still has an array: a consumer that cannot detach
would hold its producer up. So views and arrays never point into the library's mapping but into a second one of the same pages, made from the
first, which lives until the last Python object that looks at it is gone.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from typing import Any

from ._maps import mapping_at

MREMAP_MAYMOVE = 1
MADV_DOFORK = 11
PROT_READ, PROT_WRITE = 1, 2
MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE = 0x02, 0x10, 0x20, 0x4000
MAP_FAILED = ctypes.c_void_p(-1).value

_system: Any = None
_writable: dict[int, int] = {}  # address and size of each second mapping that can be written to


def _load_system() -> Any:
    global _system
    if _system is None:
        system = ctypes.CDLL(None, use_errno=True)
        pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        system.mremap.restype = system.mmap.restype = pointer
        system.mremap.argtypes = (pointer, size, size, number)
        system.mmap.argtypes = (pointer, size, number, number, number, ctypes.c_int64)
        system.munmap.argtypes = (pointer, size)
        system.madvise.argtypes = (pointer, size, number)
        _system = system
    return _system


def map_again(address: int, writable: bool) -> tuple[memoryview, int]:
    """Map what is mapped around an address a second time.

    Returns a view of all of it, read-only unless `writable`, and the address in the first mapping that its first byte corresponds to. The first mapping
    must stay until this returns; what becomes of it then is of no matter.
    """
    if not sys.platform.startswith("linux"):
        raise NotImplementedError("datablock_ctypes runs on Linux only, so far")
    system = _load_system()
    first, size = mapping_at(address)[:2]
    # An old size of zero makes a further mapping of the same pages, and leaves the old one as it is; see mremap(2).
    again = system.mremap(first, 0, size, MREMAP_MAYMOVE)
    if again == MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"map {size} bytes of the block a second time: {os.strerror(number)}")
    if writable:
        _writable[again] = size
        # The library keeps its writable mapping from children. A hole at this address would be filled with who knows what, and an array
        # that came along would write there; so this one is inherited, and replaced at once (_after_fork_in_child).
        system.madvise(again, size, MADV_DOFORK)
    pages = (ctypes.c_ubyte * size).from_address(again)
    # At exit the kernel unmaps: an array may live longer than any order of finalizers says.
    weakref.finalize(pages, _unmap, again, size, os.getpid()).atexit = False
    view = memoryview(pages).cast("B")
    return (view if writable else view.toreadonly()), first


def _unmap(address: int, size: int, process: int) -> None:
    _writable.pop(address, None)
    if os.getpid() == process:
        _system.munmap(address, size)


def _after_fork_in_child() -> None:
    """Arrays of a producer's slots that came along in a fork look at memory of the child's own, zeros: two processes must not write through one claim."""
    for address, size in _writable.items():
        flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE
        if _system.mmap(address, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED:
            os._exit(1)
    _writable.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
