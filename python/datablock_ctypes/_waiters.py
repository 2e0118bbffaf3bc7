"""The threads in which an event loop waits for its consumers: one thread for up to 127 of them.

The loop and a thread share a queue of orders. Neither holds the lock of the queue while it waits.
Everything else in a `_Group` belongs to its thread. The thread sleeps in the library, inside no
handle. An order wakes the thread there, so that it accepts and leaves a request at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
import weakref
from array import array
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ._abi import PART_FIRST, ConsumerHandle, RawWaker, wait_part
from ._errors import Status
from ._library import library
from ._visit import Visit
from ._waitany import Waiting

if TYPE_CHECKING:
    from ._consumer import Consumer

TIMEOUT = int(Status.TIMEOUT)

# The most consumers of one thread. Together with the word that wakes the thread, they are as many
# words as the kernel lets a thread sleep on.
MOST = 127

# A thread checks at this interval whether its loop was closed with tasks in it. The thread ends
# after so many checks without a request.
LOOK_MS = 100
IDLE_LOOKS = 20


class _Request:
    """A task's wait for the first of some consumers."""

    def __init__(self, consumers: list[Consumer], loop: asyncio.AbstractEventLoop) -> None:
        self.consumers = consumers
        self.handles = array("Q", [consumer._handle.handle for consumer in consumers])
        self.future: asyncio.Future[list[Consumer]] = loop.create_future()
        self.visit = Visit(consumers, loop)

    def count(self) -> None:
        """Let the metrics count the wait, once for each consumer."""
        if not self.visit.abandoned:
            with suppress(Exception):  # the round after this one has the same error
                Waiting(self.consumers).once(0, PART_FIRST)


async def first_of(consumers: list[Consumer], timeout: float | None) -> list[Consumer]:
    """Return the consumers that can be read, as soon as one can.

    An empty list: none became ready within the time.
    """
    loop = asyncio.get_running_loop()
    request = _Request(consumers, loop)
    group = None
    try:
        group = _enter(request, loop)
        found, _ = await asyncio.wait({request.future}, timeout=timeout)
        if found:
            return request.future.result()
        group.withdraw(request)
        await asyncio.wrap_future(request.visit.left)
        return []
    finally:
        if group is not None:
            group.withdraw(request)
        if not request.future.cancel() and not request.future.cancelled():
            # asyncio warns of an exception that no code retrieves.
            request.future.exception()


_groups: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Group]] = WeakKeyDictionary()


def _enter(request: _Request, loop: asyncio.AbstractEventLoop) -> _Group:
    groups = _groups.setdefault(loop, [])
    for group in groups:
        if group.take(request):
            return group
    groups[:] = [group for group in groups if not group.ended]
    group = _Group(loop)
    groups.append(group)
    group.take(request)
    try:
        threading.Thread(
            target=group.run, name="datablock-aio", daemon=True
        ).start()  # a daemon: the program can end
    except BaseException:
        group.leave_all(None)
        raise
    return group


class _Group:
    """A thread and its requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._library = library()
        self._loop = weakref.ref(loop)  # weak: a thread without requests does not keep the loop
        # Re-entrant: the garbage collector may destroy a waiting coroutine, which withdraws its
        # request, in the middle of a step of the same thread.
        self._lock = threading.RLock()
        self._orders: deque[_Request] = deque()
        self._load = 0
        self.ended = False
        self._waker = RawWaker()
        # The thread's own.
        self._requests: dict[_Request, None] = {}
        self._changed = True
        self._new: list[_Request] = []  # whose wait is not counted yet
        self._owners: list[_Request] = []
        self._handles: Any = None
        self._found: Any = None

    # ---- Of the loop ----------------------------------------------------------------------------

    def take(self, request: _Request) -> bool:
        """Accept a request, if there is room. A request that never fits gets a thread alone."""
        count = len(request.consumers)
        with self._lock:
            if self.ended or (self._load > 0 and self._load + count > MOST):
                return False
            self._load += count
            self._orders.append(request)
        self._wake()
        return True

    def withdraw(self, request: _Request) -> None:
        """Stop waiting for a request. `Visit.left` is set when the thread has stopped."""
        if request.visit.left.done():
            return
        request.visit.abandoned = True
        with self._lock:
            self._orders.append(request)
        self._wake()

    def _wake(self) -> None:
        self._library.quick.datablock_wake(ctypes.byref(self._waker))

    # ---- Of the thread --------------------------------------------------------------------------

    def run(self) -> None:
        failure = None
        try:
            idle = 0
            while not self._over() and not self._end_when_idle(idle > IDLE_LOOKS):
                self._take_orders()
                idle = 0 if self._requests else idle + 1
                self._round()
        except BaseException as error:
            failure = error
        with suppress(BaseException):  # at the end of the interpreter calls fail
            self.leave_all(failure)

    def _over(self) -> bool:
        loop = self._loop()
        return loop is None or loop.is_closed()

    def _end_when_idle(self, idle: bool) -> bool:
        with self._lock:
            self.ended = idle and not self._orders and not self._requests
            return self.ended

    def leave_all(self, failure: BaseException | None) -> None:
        """End all requests: the loop is closed, or the interpreter ends and calls fail."""
        with self._lock:
            self.ended = True
        self._take_orders()
        if failure is None:
            for request in list(self._requests):
                self._let_go(request)
        else:
            self._answer([(request, failure) for request in list(self._requests)])

    def _take_orders(self) -> None:
        while self._orders:
            request = self._orders.popleft()
            self._changed = True
            if not request.visit.abandoned:
                self._requests[request] = None
                self._new.append(request)
            elif request in self._requests:
                self._let_go(request)
            elif not request.visit.left.done():  # withdrawn before it was accepted
                self._load_off(request)

    def _let_go(self, request: _Request) -> None:
        del self._requests[request]
        self._changed = True
        self._load_off(request)

    def _load_off(self, request: _Request) -> None:
        with self._lock:
            self._load -= len(request.consumers)
        request.visit.leave()

    def _round(self) -> None:
        """Do one wait, and answer its requests."""
        if self._changed:
            self._changed = False
            handles = array("Q")
            self._owners = []
            for request in self._requests:
                handles.extend(request.handles)
                self._owners.extend([request] * len(request.handles))
            count = len(handles)
            self._handles = (ConsumerHandle * count).from_buffer(handles) if count else None
            self._found = (ctypes.c_bool * count)() if count else None
        for request in self._new:
            request.count()
        self._new = []
        status = self._library.datablock_wait_any_or_wake(
            self._handles,
            len(self._owners),
            wait_part(LOOK_MS, 0),
            self._found,
            ctypes.byref(self._waker),
        )
        if status == 0:
            self._answer_ready(bytes(self._found or b""))
        elif status != TIMEOUT:
            self._look_at_each()

    def _answer_ready(self, found: bytes) -> None:
        answers: dict[_Request, list[Consumer]] = {}
        at = found.find(1)
        while at >= 0:
            request = self._owners[at]
            if request not in answers:
                first = self._owners.index(request)
                answers[request] = [
                    consumer for i, consumer in enumerate(request.consumers) if found[first + i]
                ]
            at = found.find(1, at + 1)
        self._answer(list(answers.items()))

    def _look_at_each(self) -> None:
        """Ask about each request alone. An error is for one request, the others continue."""
        answers: list[tuple[_Request, list[Consumer] | BaseException]] = []
        for request in self._requests:
            try:
                ready = Waiting(request.consumers).once(0)
                if ready:
                    answers.append((request, ready))
            except Exception as error:
                answers.append((request, error))
        self._answer(answers)

    def _answer(self, answers: list[Any]) -> None:
        if answers:
            for request, _ in answers:
                self._let_go(request)  # first: the task that gets the answer may use them
            self._owners = []
            loop = self._loop()
            if loop is not None:
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(_deliver, answers)


def _deliver(answers: list[Any]) -> None:
    for request, answer in answers:
        if not request.future.done():
            if isinstance(answer, BaseException):
                request.future.set_exception(answer)
            else:
                request.future.set_result(answer)
