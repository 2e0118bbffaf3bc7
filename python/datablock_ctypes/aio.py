"""`asyncio` in front of producers and consumers: the same objects, awaited instead of waited for.

::

    from datablock_ctypes import Consumer, aio

    with Consumer("camera") as consumer:
        async for slot in aio.messages(consumer):
            print(slot.id, slot.array("f4").mean())

What can be done at once is done at once, in the event loop, after other tasks had their turn. Only a wait takes a thread, and it takes nothing else: a message is read in the event loop, so that a task that is cancelled while it waits has lost
none. Timeouts are seconds; None waits for ever. Several tasks may use different objects; one object is for one task at a time, as for one thread. After a cancelled wait the object is free again within a
tenth of a second: what is awaited next in this module waits for that.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, TypeVar
from weakref import WeakKeyDictionary

from ._consumer import Consumer, ReadSlot, SlotIterator
from ._errors import Busy, Closed, Timeout
from ._participant import SLICE_MS, Participant
from ._producer import Producer, WriteSlot
from ._types import Bound, flat, seconds
from ._waitany import Waiting, consumers_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AsyncSlotIterator", "messages", "read", "receive", "send", "wait_any", "write"]

T = TypeVar("T")
Slot = TypeVar("Slot", ReadSlot, WriteSlot)


class _Visit:
    """A thread that waits inside some objects, which it does not keep."""

    def __init__(self) -> None:
        self.abandoned = False
        """Nobody waits for it any more; it leaves within a tenth of a second."""
        self.left: Future[None] = Future()


_inside: WeakKeyDictionary[Participant, _Visit] = WeakKeyDictionary()


async def wait_any(consumers: Iterable[Consumer], timeout: float | None = None) -> list[Consumer]:
    """Wait until at least one of the consumers can be read without waiting, and return all that can, as `datablock_ctypes.wait_any`; an empty list: none within the timeout."""
    _deadline(timeout)
    some = consumers_of(consumers)
    await asyncio.sleep(0)  # also when there is something at once: other tasks get their turn, and a cancellation its place
    await _vacant(some)
    waiting = Waiting(some)
    return waiting.once(0) or await _in_thread(some, partial(_first, waiting.once), timeout) or []


@asynccontextmanager
async def read(consumer: Consumer, timeout: float | None = None) -> AsyncIterator[ReadSlot]:
    """Hold the next message in place: ``async with aio.read(consumer) as slot``. Raises as `Consumer.read`."""
    with _begun(await _begin(consumer, timeout)) as slot:
        yield slot


async def receive(consumer: Consumer, timeout: float | None = None) -> bytes:
    """A copy of the next message. Raises as `Consumer.receive`."""
    with _begun(await _begin(consumer, timeout)) as slot:
        return bytes(slot.data)


def messages(consumer: Consumer, timeout: float | None = None) -> AsyncSlotIterator:
    """The messages, one after the other, for ``async for``. Each slot ends when the next one begins, the last one with the iterator. The timeout is for each wait: `Timeout` is raised when it is over.

    The iteration ends when the stream is `Closed`. What else a read raises, it raises, and goes on after it when it is asked again.
    """
    return AsyncSlotIterator(consumer, timeout)


class AsyncSlotIterator(Bound):
    """What `messages` returns."""

    def __init__(self, consumer: Consumer, timeout: float | None) -> None:
        self._consumer = consumer
        self._timeout = timeout
        self._slots = SlotIterator(consumer)

    def __aiter__(self) -> AsyncSlotIterator:
        return self

    async def __anext__(self) -> ReadSlot:
        if self._slots._over:
            raise StopAsyncIteration
        self._slots._end()
        try:
            slot = await _begin(self._consumer, self._timeout)
        except Closed:
            self._slots._over = True
            raise StopAsyncIteration from None
        self._slots._slot = slot
        return slot

    def close(self) -> None:
        """End the slot that it gave last. Raises `Overrun` and `Fenced` as `ReadSlot.release` does."""
        self._slots.close()


@asynccontextmanager
async def write(producer: Producer, timeout: float | None = None) -> AsyncIterator[WriteSlot]:
    """Claim a slot, and publish it at the end of the block: ``async with aio.write(producer) as slot``. An exception publishes nothing. Raises as `Producer.write`."""
    with _begun(await _claim(producer, timeout)) as slot:
        yield slot


async def send(producer: Producer, data: Buffer, timeout: float | None = None) -> int:
    """Publish a copy of ``data``, and return its id. Raises as `Producer.send`."""
    deadline = _deadline(timeout)
    await asyncio.sleep(0)  # as in wait_any
    await _vacant([producer])
    try:
        return producer.send(data, 0)
    except Timeout:
        if timeout == 0:
            raise
    with _begun(await _claim(producer, None if timeout is None else max(0.0, deadline - time.monotonic()))) as slot:
        view = flat("data", data)
        slot.data[: len(view)] = view
        slot.commit(len(view))
        return slot.id


@contextmanager
def _begun(slot: Slot) -> Iterator[Slot]:
    """A slot that is begun, for a ``with`` block."""
    try:
        yield slot
    except BaseException as error:
        slot.__exit__(type(error), error, error.__traceback__)
        raise
    slot.__exit__(None, None, None)


# ---- Waiting -------------------------------------------------------------------------------------------------------------------------


def _deadline(timeout: float | None) -> float:
    return math.inf if timeout is None else time.monotonic() + seconds(timeout)


async def _vacant(participants: Iterable[Participant]) -> None:
    """Wait until the threads of cancelled waits have left. Raises `Busy` when one waits for another task."""
    for participant in participants:
        visit = _inside.get(participant)
        if visit is not None and not visit.left.done():
            if not visit.abandoned:
                raise Busy(
                    f'block "{participant.name}": another task waits for this {type(participant).__name__}: one object is for one task at a time'
                )
            await asyncio.wait([asyncio.wrap_future(visit.left)])


async def _begin(consumer: Consumer, timeout: float | None) -> ReadSlot:
    """The next message, held."""
    deadline = _deadline(timeout)
    await asyncio.sleep(0)  # as in wait_any
    await _vacant([consumer])
    while True:
        slot = consumer.read(0)
        try:
            return slot.__enter__()
        except Timeout as error:
            left = deadline - time.monotonic()
            if left <= 0:
                if timeout:
                    raise type(error)(f'block "{consumer.name}": nothing new to read within {timeout:g} s') from None
                raise
        await _in_thread([consumer], partial(_first, Waiting([consumer]).once), left)


async def _claim(producer: Producer, timeout: float | None) -> WriteSlot:
    """A claim. While there is no room, a thread waits for it; what it has claimed when nobody wants it any more, it gives back."""
    deadline = _deadline(timeout)
    await asyncio.sleep(0)  # as in wait_any
    await _vacant([producer])
    try:
        return producer.write(0).__enter__()
    except Timeout:
        if timeout == 0:
            raise

    def claim(milliseconds: int) -> WriteSlot | None:
        try:
            return producer.write(milliseconds / 1000).__enter__()
        except Timeout:
            return None

    slot = await _in_thread([producer], claim, None if timeout is None else deadline - time.monotonic(), WriteSlot.abort)
    return slot if slot is not None else producer.write(0).__enter__()  # which says what there is to say


def _first(once: Callable[[int], T], milliseconds: int) -> T | None:
    return once(milliseconds) or None


async def _in_thread(
    inside: list[Any], attempt: Callable[[int], T | None], timeout: float | None, give_back: Callable[[T], object] | None = None
) -> T | None:
    """Repeat an attempt, which is told how many milliseconds to wait at most, in a thread, until it has a result or the time is over. A result that nobody wants any more is given back."""
    deadline = _deadline(None if timeout is None else max(timeout, 0.0))
    loop = asyncio.get_running_loop()
    visit, outcome, deciding = _Visit(), Future[Any](), threading.Lock()

    def repeat() -> None:
        result, failure = None, None
        try:
            while result is None and not visit.abandoned and not loop.is_closed() and (left := deadline - time.monotonic()) > 0:
                result = attempt(SLICE_MS if left * 1000 > SLICE_MS else math.ceil(left * 1000))
        except BaseException as error:
            failure = error
        with deciding:
            wanted = not visit.abandoned and not loop.is_closed()
            if wanted:
                visit.left.set_result(None)  # first: who has the result may use the objects
                if failure is not None:
                    outcome.set_exception(failure)
                else:
                    outcome.set_result(result)
        if not wanted:
            try:
                if result is not None and give_back is not None:
                    give_back(result)
            finally:
                visit.left.set_result(None)

    future = asyncio.wrap_future(outcome)
    threading.Thread(target=repeat, name="datablock-aio", daemon=True).start()  # it keeps no program from ending
    for participant in inside:
        _inside[participant] = visit
    try:
        return await asyncio.shield(future)
    except BaseException:  # cancelled, or closed; or what the thread has met
        with deciding:
            visit.abandoned = True
            late = outcome.done()
        if late and outcome.exception() is None and outcome.result() is not None and give_back is not None:
            give_back(outcome.result())
        raise
