"""What a producer and a consumer have in common: a handle, a name, and memory."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, NoReturn, TypeVar

from ._errors import Closed, DataBlockError, Invalid, Status
from ._interrupts import Leaving, Statement, forget, owe, settle_debts, watch
from ._library import Library, forked
from ._memory import Memory
from ._schema import record_step, records_over
from ._shared import Counters, FlexibleZone, SharedSpinLock
from ._types import Bound, refuse_objects, the_numpy, whole

if TYPE_CHECKING:
    import weakref

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from ._schema import Schema
    from ._waiters import Visit

Self = TypeVar("Self", bound="Participant")
Result = TypeVar("Result")

# One call waits no longer than this, so that signal handlers run in time.
SLICE_MS = 80


# What a call says that may find something later.
NOTHING_YET = (int(Status.TIMEOUT), int(Status.NO_PRODUCER))
HANDLE = int(Status.HANDLE)
BUSY = int(Status.BUSY)

# Timeouts as the functions of `Library.quick` want them.
DO_NOT_WAIT = ctypes.c_int64(0)

# Once in so many messages the interpreter lock is given up for a moment.
ID, BREATH = 2, 1023

# A struct that C fills: a reference to it for a call; its words, the first of which is the address of the payload, and zero while nothing is claimed or
# held, and the third the message's id; a place for a length.
Raw = tuple[Any, memoryview, Any]


class Link:
    """A handle of the library, from before it is opened until it is closed: a debt.

    ``memory``: what becomes private before another process may have the right to write.
    """

    def __init__(
        self, owner: object, handle: ctypes.Structure, close: Callable[[Any], int], memory: Memory | None = None
    ) -> None:
        self.handle = handle
        self.closing = self.over = False
        self._close = close
        self._memory = memory
        self._process = os.getpid()
        settle_debts()
        self._owner: weakref.ref[Any] | None = watch(owner, self)
        owe(self)

    def close(self) -> int:
        """Close the handle, if it was opened and not closed yet. After an interrupt it may be called again."""
        if self.over or self.handle.handle == 0 or os.getpid() != self._process:
            return 0
        self.closing = True
        if self._memory is not None:
            self._memory.end_writing()
        status = self._close(self.handle)
        if status == HANDLE:  # an earlier call has closed it, and was interrupted
            status = 0
        if status == 0:
            self.over = True
            if self._memory is not None:
                self._memory.leave()
            forget(self)
            self._owner = None
        return status

    def due(self) -> bool:
        return self._owner is not None and self._owner() is None

    settle = settle_at_exit = close


class Participant(Bound):
    """Base of `Producer` and `Consumer`."""

    _raw_type: type[ctypes.Structure]
    _writes: bool
    _visit: Visit | None = None  # of a thread of `aio`, which waits inside

    def __init__(self, library: Library, name: str, handle: ctypes.Structure, close: Callable[[Any], int]) -> None:
        """Everything that the library's handle needs later, before it is opened by `_open`."""
        self._library = library
        self._name = name
        self._handle = handle
        self._process = os.getpid()
        self._closed = False
        self._state = 0  # how many with statements it is in
        self._statement: Statement | None = None
        # Held around steps that closing must not come into. Re-entrant: a signal handler, or the
        # garbage collector, may interrupt such a step, and close.
        self._lock = threading.RLock()
        self._close_put_off = False
        self._view: memoryview | None = None
        self._base = 0
        self._raws: deque[Raw] = deque()
        self._memory = Memory(self._writes)
        # Also at exit: a program that comes to its end closes what it opened, as it does with files.
        self._link = Link(self, handle, close, self._memory if self._writes else None)

    def _open(self, open: Callable[..., int], *arguments: Any) -> None:
        """Call the function that opens the handle. After an exception there is none, whenever it came."""
        try:
            status = open(*arguments, self._handle)
            if status != 0:
                self._library.fail(status)
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        self._closed = True
        self._link.close()

    @property
    def name(self) -> str:
        """The block's name, as it was given."""
        return self._name

    @property
    def zone_schema(self) -> Schema | None:
        """What the flexible zone is."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        return self._closed or self._close_put_off

    def close(self) -> None:
        """Leave the block. May be called again, from any thread, and from a signal handler: a call
        that waits in another thread raises `Closed`. Where a handler interrupts a step that must not
        be closed into, such as a copy into the zone, the end of that step closes.

        Memoryviews of open slots are released. NumPy arrays stay valid, and keep the block's memory, but nothing else of the block: no row, no hold,
        no descriptor. Raises `Forked` in a forked child, where the object is its parent's.
        """
        if os.getpid() != self._process:
            raise forked()
        if self._inside():  # what the handler interrupts holds the lock, and would be waited for in vain
            self._close_put_off = True
            return
        with self._lock:
            self._closed = True
        self._expire()  # first: what a claim's views can write to belongs to the next producer soon
        self._finish()

    def _finish(self) -> None:
        self._view = None
        status = self._link.close()
        self._memory.leave()
        if status != 0:
            self._library.fail(status)

    # ---- What both sides share -------------------------------------------------------------------------------------------------

    def lock(self, index: int, timeout: float | None = None) -> SharedSpinLock:
        """Lock ``index``, 0 to 7, of those that the block's participants share, for a ``with`` block. Lock 0 is that of the flexible zone."""
        return SharedSpinLock(self, index, timeout)

    def flexible_zone(self, timeout: float | None = None, anyway: bool = False) -> FlexibleZone:
        """The flexible zone, for a ``with`` block. Entering raises `Timeout`, and `Checksum` when somebody died in it or wrote to it without the lock, unless ``anyway``."""
        return FlexibleZone(self, timeout, anyway)

    @property
    def counters(self) -> Counters:
        """The eight counters of 64 bits that the block's participants share."""
        return Counters(self)

    def _expire(self) -> None:
        """End, on the side of Python, the slots that closing ends."""
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        self._state += 1
        return self

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if os.getpid() == self._process:  # a forked child leaves a block of its parent's
            try:
                self.close()
            except DataBlockError:
                if error is None:
                    raise
        self._state -= 1
        self._statement = None

    def _abandon(self) -> None:
        """End what a with statement was kept from ending."""
        with suppress(DataBlockError):
            self._leave(None, None, None)

    if TYPE_CHECKING:

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)

    # ---- Memory ------------------------------------------------------------------------------------------------------------------

    def _take_raw(self) -> Raw:
        """A struct for a call. Each call in flight has its own: another thread's use of the same object spoils nothing."""
        try:
            raw = self._raws.pop()
        except IndexError:
            struct = self._raw_type()
            raw = ctypes.byref(struct), memoryview(struct).cast("B").cast("Q"), ctypes.c_size_t()
        if self._visit is not None:
            self._rejoin()
        if raw[1][ID] & BREATH == 0:
            # Before 3.13, Python looks for a signal that came to another thread, such as one of the library's, only when it takes its lock.
            time.sleep(0)
        return raw

    def _rejoin(self) -> None:
        """Wait until the thread of a cancelled wait of `aio` has left this object, 0.1 s at most."""
        visit = self._visit
        if visit is not None and visit.abandoned and visit.thread != threading.get_ident():
            visit.left.result()

    def _give_back(self, raw: Raw) -> None:
        """Keep the struct of a call that found nothing for the next call."""
        # The last message's id has had its pause. This call gave the interpreter lock up when it
        # asked for the detail.
        raw[1][ID] = 1
        self._raws.append(raw)

    def _map(self, address: int) -> memoryview:
        """The block's memory, mapped for Python at the first message. `address` is inside it."""
        return self._unclosed(self._map_once, address)

    def _map_once(self, address: int) -> memoryview:
        if self._view is None:
            view, self._base = self._memory.map(address)
            self._view = view  # after the base: a thread that sees this does not take the lock
        return self._view

    def _inside(self) -> bool:
        """Whether this thread is in `_unclosed`, and has come here by a signal handler or the garbage collector."""
        if not self._lock._is_owned():  # type: ignore[attr-defined]
            return False
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code is Participant._unclosed.__code__ and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        while self._lock._is_owned():  # type: ignore[attr-defined]  # an interrupt has kept a with statement from releasing it
            self._lock.release()
        return False

    def _unclosed(self, step: Callable[..., Result], *arguments: Any) -> Result:
        """Do a step that no other thread, and no signal handler, closes into. Raises `Closed`."""
        try:
            with self._lock:
                if self._closed:
                    raise self._closed_error()
                return step(*arguments)
        finally:
            if self._close_put_off and not self._lock._is_owned():  # type: ignore[attr-defined]
                self.close()

    # ---- Errors and waiting ------------------------------------------------------------------------------------------------------

    def _closed_error(self) -> Closed:
        return Closed(f'block "{self._name}": this {type(self).__name__} is closed')

    def _fail(self, status: int) -> NoReturn:
        """Raise what a call said that this thread has just made."""
        error = self._library.error(status)
        if status == HANDLE and (self.closed or self._link.closing):  # closed, or the program is at its end
            raise self._closed_error()
        visit = self._visit
        if status == BUSY and visit is not None:
            visit.refuse(self)
        raise error

    def _out_of_time(self, status: int, timeout: float) -> NoReturn:
        """Raise what the last slice of a wait said, with the time of the whole wait."""
        error = self._library.error(status)
        raise type(error)(waited(error.detail, timeout))

    def _wait(self, call: Callable[[Any, int, Any], int], reference: Any, timeout: float | None) -> None:
        """Repeat a call that found nothing until the time is over."""
        self._rejoin()
        handle = self._handle
        if timeout is None:
            status = NOTHING_YET[0]
            while status in NOTHING_YET:
                status = call(handle, SLICE_MS, reference)
        else:
            deadline = time.monotonic() + timeout
            while True:
                left = deadline - time.monotonic()
                last = left * 1000 <= SLICE_MS
                status = call(handle, max(0, math.ceil(left * 1000)) if last else SLICE_MS, reference)
                if last or status not in NOTHING_YET:
                    break
        if status != 0:
            if timeout is not None and timeout * 1000 > SLICE_MS and status in NOTHING_YET:
                self._out_of_time(status, timeout)
            self._fail(status)


def message_over(
    participant: Any, view: memoryview, start: int, size: int, dtype: DTypeLike, shape: tuple[int, ...] | int | None
) -> NDArray[Any]:
    """`array_over` of a message. With a dtype that has the first fields of the block's struct, and
    not all, one record for each struct.
    """
    if type(dtype) is not str:
        kind = _items(dtype)[0]
        schema: Schema | None = participant._schema_if_any() if kind.names is not None else None
        if schema is not None and record_step(schema, kind):
            return records_over(schema, view, start, size, kind, None if shape is None else _sides(shape))
    return array_over(view, start, size, dtype, shape)


def waited(detail: str, timeout: float) -> str:
    """The text of a wait in slices: the library knows only how long the last one was."""
    text, count = re.subn(
        r"\bwithin [0-9.]+(?: ms|[a-zµ][0-9a-zµ.]*)|\bnow, and the call was asked not to wait",
        f"within {timeout:g} s",
        detail,
        count=1,
    )
    return text if count else f"{detail} (waited {timeout:g} s)"


def array_over(
    view: memoryview, start: int, size: int, dtype: DTypeLike, shape: tuple[int, ...] | int | None
) -> NDArray[Any]:
    """A NumPy array of at most `size` bytes from `start` on, in place."""
    kind, item, over = (
        _known(dtype) if type(dtype) is str else _items(dtype)
    )  # other types are equal to such as differ in what they are called, or how they lie
    if shape is None:
        if size % item != 0:
            raise Invalid(f"{size} bytes are no whole number of {kind} items of {item} bytes: give a shape")
        return over(view, kind, size // item, start)
    sides = _sides(shape)
    count = math.prod(sides)
    if any(side < 0 for side in sides) or count * item > size:
        raise Invalid(f"shape {sides} of {kind} needs {count * item} bytes, the slot has {size}")
    return over(view, kind, count, start).reshape(sides)


def _sides(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, Iterable) and not isinstance(shape, str):
        return tuple(whole("shape", side) for side in shape)
    return (whole("shape", shape),)


def _items(dtype: DTypeLike) -> tuple[np.dtype[Any], int, Callable[..., NDArray[Any]]]:
    """What an array's items are, their size in bytes, and what makes an array of them."""
    numpy = the_numpy()
    kind = numpy.dtype(dtype)
    if kind.hasobject:
        refuse_objects(f"dtype {kind}")
    if kind.itemsize == 0:
        raise Invalid(f"dtype {kind} has items of no bytes: give their size")
    # frombuffer, and not ndarray(buffer=...): that one looks through a read-only view, at memory that it takes for writable.
    return kind, kind.itemsize, numpy.frombuffer


# A frame's copy leaves the caches nothing: the less is done for it besides, the better.
_known = functools.lru_cache(256)(_items)
