"""The memory mapping that Python objects use for as long as they exist.

The library unmaps a block when its handle is closed. The close must not wait until the last array
is gone: a consumer that cannot detach would hold the producer up. Therefore views and arrays never
point into the library's mapping. They point into a second mapping of the same pages, which is made
from the first one. The second mapping lives until the last Python object that uses it is gone.

The second mapping of a producer is writable. The right to write ends with the producer, and the
arrays remain. Therefore the close makes this mapping private, in place and in one step. Later
stores stay in this process.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from ._interrupts import forget, owe, watch

if sys.platform == "win32":
    from ._mapping_windows import SecondMapping
else:
    from ._mapping import SecondMapping


class Pin(ctypes.Structure):
    """The C struct Py_buffer."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("object", ctypes.c_void_p),
        ("length", ctypes.c_ssize_t),
        ("item_size", ctypes.c_ssize_t),
        ("read_only", ctypes.c_int),
        ("dimensions", ctypes.c_int),
        ("pointers", ctypes.c_void_p * 5),
    )


_get_buffer = ctypes.pythonapi["PyObject_GetBuffer"]
_release_buffer = ctypes.pythonapi["PyBuffer_Release"]
_release_buffer.restype = None
_call = partial.__call__


def pinned(data: Any) -> tuple[Any, object]:
    """Return the address of the bytes of a bytearray or memoryview, and the object that pins them.

    The address has the form that C calls take. The bytes do not move while the object exists.
    """
    if len(data) == 0:
        return None, None
    if type(data) is bytearray or not data.readonly:
        first = ctypes.c_char.from_buffer(data)
        return ctypes.byref(first), first
    # The memoryview itself pins the bytes. Its own buffer has the address, and is released in the
    # same step, so that no interrupt can leave it behind.
    pin = Pin()
    reference = ctypes.byref(pin)
    deque(
        map(
            _call,
            (
                partial(_get_buffer, ctypes.py_object(data), reference, 0),
                partial(_release_buffer, reference),
            ),
        ),
        0,
    )
    return ctypes.c_void_p(pin.address), data


class Memory:
    """The second mapping of a participant's data file.

    The object exists from before the mapping is made until the participant is closed.
    """

    def __init__(self, writable: bool) -> None:
        self._mapping = SecondMapping(writable)
        self.pages: Any = None
        """The mapped region as an array of c_char. A slice of it is a copy, of type bytes."""
        self._view: memoryview | None = None
        self._mapping.memory = watch(self, self._mapping)
        owe(self._mapping)

    def map(self, address: int) -> tuple[memoryview, int]:
        """Map the region around an address a second time, or continue after an interrupt.

        Returns a view of the whole region, which only a producer can write to, and the address in
        the first mapping that corresponds to the first byte of the view. The first mapping must
        stay until this call returns. Later it may go.
        """
        mapping = self._mapping
        if self.pages is None:
            if not mapping.ready():
                mapping.make(address)
            self.pages = (ctypes.c_char * mapping.size).from_address(mapping.addresses[0])
        if mapping.pages is None:
            mapping.pages = watch(self.pages, mapping)
        view = memoryview(self.pages).cast("B")
        self._view = view if mapping.writable else view.toreadonly()
        return self._view, mapping.base

    def end_writing(self) -> None:
        """Make later stores through the mapping change a private copy only."""
        pages = self.pages  # keeps them mapped if another thread, or a signal handler, leaves
        self._mapping.end_writing()
        del pages

    def release(self) -> None:
        """Take the view from a participant that is being collected, which still refers to it."""
        if self._view is not None:
            with suppress(BufferError):  # an array uses the memory
                self._view.release()

    def leave(self) -> None:
        """Keep the memory mapped only for as long as arrays use it."""
        if not self._mapping.addresses:
            forget(self._mapping)
            self._mapping.memory = None
        self._view = self.pages = None
