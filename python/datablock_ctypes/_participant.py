"""The base of producers and consumers: a handle, a name, the mapped memory, errors and waiting."""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, NoReturn, TypeVar

from ._abi import PART_ENDLESS, PART_FIRST, PART_LAST, wait_part
from ._errors import Closed, DataBlockError, Status
from ._interrupts import Leaving, Statement, forget, owe, settle_debts, watch
from ._library import Library, forked
from ._memory import Memory
from ._shared import Counters, FlexibleZone, SharedSpinLock
from ._turn import BREATH, give_up_turn
from ._types import Bound, now

if TYPE_CHECKING:
    import weakref

    from ._schema import Schema
    from ._visit import Visit

Self = TypeVar("Self", bound="Participant")
Result = TypeVar("Result")

# One call of C waits no longer than this, so that signal handlers run in time.
SLICE_MS = 80

# Windows does not remove a file that is mapped, and the close may remove the block.
UNMAP_FIRST = sys.platform == "win32"

# The seconds that a close waits for the close of another thread. An interrupt may keep a thread
# from releasing the lock.
PATIENCE = 1.0

# The statuses of a call that may succeed later.
NOTHING_YET = (int(Status.TIMEOUT), int(Status.NO_PRODUCER))
HANDLE = int(Status.HANDLE)
BUSY = int(Status.BUSY)

# Timeouts: of a call that does not wait, and of the first look of a call that waits if nothing is
# there. The metrics count no timeout of a look.
DO_NOT_WAIT = ctypes.c_int64(0)
LOOK_FIRST = ctypes.c_int64(wait_part(0, 0))

# The same in the form that the functions of `Library.quick` take fastest. Another object of ctypes
# is converted to this form in each call.
NOW: Any = ctypes.c_int64.from_param(DO_NOT_WAIT.value)
LOOK: Any = ctypes.c_int64.from_param(LOOK_FIRST.value)

# The timeout of a read or write that does not wait, and gives None instead of `Timeout`.
TRY = -3.0

# The library takes a timeout of so many seconds and more for one without a limit.
ENDLESS = 1e9

# The word of a struct with the message's id.
ID = 2

# A struct that C fills, in three forms: a reference for a call, the words, a place for a length.
# The first word is the address of the payload, and zero while nothing is claimed or held. The third
# word is the id of the message.
Raw = tuple[Any, memoryview, Any]


class Link:
    """A handle of the library, from before the opening until the close: a debt.

    ``memory`` becomes private before another process may have the right to write.
    """

    def __init__(
        self,
        owner: object,
        handle: ctypes.Structure,
        close: Callable[[Any], int],
        memory: Memory | None = None,
    ) -> None:
        self.handle = handle
        self.closing = self.over = False
        self._close = close
        self._memory = memory
        self._process = os.getpid()
        self._unmapping = threading.RLock()
        settle_debts()
        self._owner: weakref.ref[Any] | None = watch(owner, self)
        owe(self)

    def close(self) -> int:
        """Close the handle if it is open. A caller that was interrupted may repeat the call."""
        if self.over or self.handle.handle == 0 or os.getpid() != self._process:
            return 0
        self.closing = True
        if self._memory is not None:
            if UNMAP_FIRST:
                self._unmap(self._memory)
            else:
                self._memory.end_writing()
        status = self._close(self.handle)
        if status == HANDLE:  # an earlier call closed the handle and was interrupted
            status = 0
        if status == 0:
            self.over = True
            if self._memory is not None:
                self._memory.leave()
            forget(self)
            self._owner = None
        return status

    def _unmap(self, memory: Memory) -> None:
        """Unmap the memory, unless an array uses it.

        A second thread that closes goes on when the first has unmapped.
        """
        locked = self._unmapping.acquire(timeout=PATIENCE)
        try:
            memory.end_writing()
            owner = None if self._owner is None else self._owner()
            if owner is None:
                memory.release()
            else:
                owner._unpin()
            memory.leave()
        finally:
            if locked:
                self._unmapping.release()

    def due(self) -> bool:
        return self._owner is not None and self._owner() is None

    settle = settle_at_exit = close


class Participant(Bound):
    """Base of `Producer` and `Consumer`."""

    _raw_type: type[ctypes.Structure]
    _writes: bool
    # What the next call ends first: holds of several messages, or the claim of a failed abort.
    _parts: Sequence[object] = ()

    def __init__(
        self, library: Library, name: str, handle: ctypes.Structure, close: Callable[[Any], int]
    ) -> None:
        """Prepare everything that needs to exist before `_open` opens the library's handle."""
        self._library = library
        self._name = name
        self._handle = handle
        # The handle in the form that the functions of `Library.quick` take fastest.
        self._number: Any = None
        self._numbers: tuple[Any, ...] = ()
        self._visit: Visit | None = None  # the stay of an `aio` thread that waits with this object
        self._process = os.getpid()
        self._closed = False
        self._calls = 0  # their number, as far as `give_up_turn` needs it
        self._state = 0  # the number of with statements that the object is in
        self._statement: Statement | None = None
        # Held during steps that a close must not interrupt. Re-entrant: a signal handler, or the
        # garbage collector, may interrupt such a step and close.
        self._lock = threading.RLock()
        self._close_put_off = False
        self._view: memoryview | None = None
        self._base = 0
        self._raws: list[Raw] = []
        self._memory = Memory(self._writes)
        # Also at exit: a program that ends closes what it opened, as it does with files.
        memory = self._memory if self._writes or UNMAP_FIRST else None
        self._link = Link(self, handle, close, memory)

    def _open(self, open: Callable[..., int], *arguments: Any) -> None:
        """Call the function that opens the handle. After any exception no handle is open."""
        try:
            status = open(*arguments, self._handle)
            if status != 0:
                self._library.fail(status)
            self._number = ctypes.c_uint64.from_param(self._handle.handle)
            self._numbers = (self._number,)
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        self._closed = True
        self._link.close()

    @property
    def name(self) -> str:
        """The name of the block that the program gave."""
        return self._name

    @property
    def zone_schema(self) -> Schema | None:
        """The schema of the flexible zone."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        return self._closed or self._close_put_off

    def close(self) -> None:
        """Leave the block. Any thread and a signal handler may call this, also repeatedly.

        A call that waits in another thread raises `Closed`. If a signal handler interrupts a step
        that must not be closed into, such as a copy into the zone, the end of that step closes.

        The close releases the memoryviews of open slots, the row, the holds and the descriptors at
        once. NumPy arrays stay valid and keep the memory of the block mapped, and nothing else.
        Raises `Forked` in a forked child, where the object belongs to the parent process.
        """
        if os.getpid() != self._process:
            raise forked()
        if self._inside():  # the interrupted step holds the lock and cannot go on
            self._close_put_off = True
            return
        with self._lock:
            self._closed = True
        self._expire()  # first: the next producer may soon own the memory of a claim
        self._finish()

    def _finish(self) -> None:
        self._view = None
        status = self._link.close()
        self._memory.leave()
        if status != 0:
            self._library.fail(status)

    def _unpin(self) -> None:
        """Let go of the mapped memory. The link calls this, also at exit."""
        self._expire()
        self._view = None

    # ---- What both sides share ------------------------------------------------------------------

    def lock(self, index: int, timeout: float | None = None) -> SharedSpinLock:
        """Return shared lock ``index`` of the block, 0 to 7, for a ``with`` block.

        Lock 0 protects the flexible zone. Entering waits up to ``timeout`` seconds. See
        `SharedSpinLock`.
        """
        return SharedSpinLock(self, index, timeout)

    def flexible_zone(self, timeout: float | None = None, anyway: bool = False) -> FlexibleZone:
        """Return the flexible zone, for a ``with`` block. Entering waits up to ``timeout`` seconds.

        Entering raises `Timeout`. It raises `Checksum` when a participant died inside the zone or
        wrote to it without the lock, unless ``anyway`` is true. See `FlexibleZone`.
        """
        return FlexibleZone(self, timeout, anyway)

    @property
    def counters(self) -> Counters:
        """The eight 64-bit counters that the participants of the block share."""
        return Counters(self)

    def _expire(self) -> None:
        """End those Python slots that the close ends."""
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        self._state += 1
        return self

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if os.getpid() == self._process:  # a forked child does not close its parent's block
            try:
                self.close()
            except DataBlockError:
                if error is None:
                    raise
        self._state -= 1
        self._statement = None

    def _abandon(self) -> None:
        """Do what an interrupted with statement could not do at its end."""
        with suppress(DataBlockError):
            self._leave(None, None, None)

    if TYPE_CHECKING:

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)

    # ---- Memory ---------------------------------------------------------------------------------

    def _take_raw(self) -> Raw:
        """Return a struct for a call.

        Each call in flight has its own struct, so that another thread's use of the same object
        cannot damage the result.
        """
        try:
            raw = self._raws.pop()
        except IndexError:
            raw = self._make_raw()
        if self._visit is not None:
            self._rejoin()
        if self._parts:
            self._end_spent()
        self._calls = calls = self._calls + 1 & BREATH
        if calls == 0:
            give_up_turn()
        return raw

    def _make_raw(self) -> Raw:
        struct = self._raw_type()
        return ctypes.byref(struct), memoryview(struct).cast("B").cast("Q"), ctypes.c_size_t()

    def _end_spent(self) -> None:
        """End those holds of several messages of which no message is left, or a failed claim."""

    def _rejoin(self) -> None:
        """Wait until the thread of a cancelled `aio` wait has left this object, 0.1 s at most."""
        visit = self._visit
        if visit is not None and visit.abandoned and visit.thread != threading.get_ident():
            visit.left.result()

    def _map(self, address: int) -> memoryview:
        """Return the memory of the block. The first message maps it for Python.

        `address` is inside the memory.
        """
        return self._unclosed(self._map_once, address)

    def _map_once(self, address: int) -> memoryview:
        if self._view is None:
            if UNMAP_FIRST and self._link.closing:  # the program ends
                raise self._closed_error()
            view, self._base = self._memory.map(address)
            self._view = view  # after the base: a thread that sees the view takes no lock
        return self._view

    def _map_pages(self, address: int) -> Any:
        """Return the memory of the block as `Memory.pages`."""
        return self._unclosed(self._map_pages_once, address)

    def _map_pages_once(self, address: int) -> Any:
        self._map_once(address)
        return self._memory.pages

    def _inside(self) -> bool:
        """Whether a signal handler or the collector has interrupted `_unclosed` in this thread."""
        if not self._lock._is_owned():  # type: ignore[attr-defined]
            return False
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if (
                frame.f_code is Participant._unclosed.__code__
                and frame.f_locals.get("self") is self
            ):
                return True
            frame = frame.f_back
        while self._lock._is_owned():  # type: ignore[attr-defined]  # an interrupted with statement did not release it
            self._lock.release()
        return False

    def _unclosed(self, step: Callable[..., Result], *arguments: Any) -> Result:
        """Do a step that no other thread and no signal handler closes into. Raises `Closed`."""
        try:
            with self._lock:
                if self._closed:
                    raise self._closed_error()
                return step(*arguments)
        finally:
            if self._close_put_off and not self._lock._is_owned():  # type: ignore[attr-defined]
                self.close()

    # ---- Errors and waiting ---------------------------------------------------------------------

    def _closed_error(self) -> Closed:
        return Closed(f'block "{self._name}": this {type(self).__name__} is closed')

    def _fail(self, status: int) -> NoReturn:
        """Raise the error of a call that this thread has just made."""
        error = self._library.error(status)
        if status == HANDLE and (self.closed or self._link.closing):  # closed, or the program ends
            raise self._closed_error()
        visit = self._visit
        if status == BUSY and visit is not None:
            visit.refuse(self)
        try:
            raise error
        finally:
            del error  # its traceback has this frame: the object would wait for the collector

    def _out_of_time(self, status: int, timeout: float) -> NoReturn:
        """Raise the error of the last slice of a wait, with the time of the whole wait."""
        error = self._library.error(status)
        raise type(error)(waited(error.detail, timeout))

    def _wait(
        self, call: Callable[[Any, int, Any], int], reference: Any, timeout: float | None
    ) -> None:
        """Repeat a call that found nothing until it succeeds, fails or the time is over.

        The library counts the calls as one wait.
        """
        self._rejoin()
        handle = self._handle
        visit = self._visit
        part = PART_FIRST
        if timeout is None or timeout >= ENDLESS:
            part |= PART_ENDLESS
        deadline = math.inf if timeout is None else now() + timeout
        while True:
            left = (deadline - now()) * 1000
            last = left <= SLICE_MS
            if visit is not None and visit.over():
                left, last = 0.0, True
            milliseconds = max(1, math.ceil(left)) if last else SLICE_MS
            status = call(
                handle, wait_part(milliseconds, part | PART_LAST if last else part), reference
            )
            if last or status not in NOTHING_YET:
                break
            part &= ~PART_FIRST
        if status != 0:
            if timeout is not None and timeout * 1000 > SLICE_MS and status in NOTHING_YET:
                self._out_of_time(status, timeout)
            self._fail(status)


def first_look(timeout: float | None) -> Any:
    """Return the timeout of the first call of a wait, which does not wait."""
    return DO_NOT_WAIT if timeout == 0 else LOOK_FIRST


def waits(timeout: float | None) -> bool:
    return timeout is None or timeout > 0


def waited(detail: str, timeout: float) -> str:
    """Return the text of a wait in slices. The library knows the time of the last slice only."""
    text, count = re.subn(
        r"\bwithin [0-9.]+(?: ms|[a-zµ][0-9a-zµ.]*)|\bnow, and the call was asked not to wait",
        f"within {timeout:g} s",
        detail,
        count=1,
    )
    return text if count else f"{detail} (waited {timeout:g} s)"
