"""`asyncio` for producers and consumers: the same objects, with awaitable calls.

::

    from datablock_ctypes import Consumer, aio

    with Consumer("camera") as consumer:
        async for slot in aio.messages(consumer):
            print(slot.id, slot.array("f4").mean())

A call that need not wait is done in the event loop, after other tasks had their turn. Only a wait
uses a thread: one thread of the loop for up to 127 waiting consumers, and one thread for each
producer that waits under backpressure. Messages are read in the event loop, so a task that is
cancelled while it waits loses no message.

Timeouts are seconds; None waits for ever. Several tasks may use different objects. One object is
for one task at a time, as it is for one thread at a time. While a task waits for a consumer, each
call of `aio` on this consumer by another task raises `Busy`, whatever its timeout. A call without
`aio` is not refused: with the timeout 0 it raises `Timeout`, or takes the message that the task
waits for.

After a cancelled wait its thread leaves a consumer at once, and a producer within a tenth of a
second. The next call on the object waits until then, also a call without `aio`, whatever its
timeout.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ._batch import ReadBatch
from ._consumer import Consumer
from ._errors import Closed, Timeout
from ._outgoing import one_by_one
from ._participant import Participant, waited
from ._producer import Producer
from ._read_slot import ReadSlot, SlotIterator
from ._types import ONLY_LOOK, Bound, flat, now, seconds
from ._visit import Visit
from ._waitany import Waiting, consumers_of
from ._waiters import first_of
from ._write_slot import WriteSlot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from ._outgoing import Messages

__all__ = [
    "AsyncSlotIterator",
    "messages",
    "read",
    "read_many",
    "receive",
    "send",
    "send_many",
    "wait_any",
    "write",
]

Slot = TypeVar("Slot", ReadSlot, ReadBatch, WriteSlot)
Held = TypeVar("Held", ReadSlot, ReadBatch)


async def wait_any(consumers: Iterable[Consumer], timeout: float | None = None) -> list[Consumer]:
    """Wait until at least one consumer can be read without waiting, and return all that can.

    An empty list: none became ready within the timeout. See `datablock_ctypes.wait_any`.
    """
    _deadline(timeout)
    some = consumers_of(consumers)
    await asyncio.sleep(0)  # always: other tasks get their turn, and a cancellation can be raised
    await _vacant(some)
    ready = Waiting(some).once(0)
    return (
        ready
        if ready or timeout == 0
        else await first_of(some, None if timeout is None else seconds(timeout))
    )


@asynccontextmanager
async def read(consumer: Consumer, timeout: float | None = None) -> AsyncIterator[ReadSlot]:
    """Hold the next message in place: ``async with aio.read(consumer) as slot``.

    Waits and raises as `Consumer.read`.
    """
    with _begun(
        await _begin(consumer, timeout, lambda wait: ReadSlot(consumer, wait, None))
    ) as slot:
        yield slot


@asynccontextmanager
async def read_many(
    consumer: Consumer, most: int, timeout: float | None = None
) -> AsyncIterator[ReadBatch]:
    """Hold up to ``most`` present messages: ``async with aio.read_many(consumer, 100) as batch``.

    The messages are in place. Waits for the first message only. Raises as `Consumer.read_many`.
    """
    with _begun(
        await _begin(consumer, timeout, lambda wait: ReadBatch(consumer, most, wait))
    ) as batch:
        yield batch


async def receive(consumer: Consumer, timeout: float | None = None) -> bytes:
    """Return a copy of the next message. Waits and raises as `Consumer.receive`."""
    with _begun(
        await _begin(consumer, timeout, lambda wait: ReadSlot(consumer, wait, None))
    ) as slot:
        return bytes(slot.data)


def messages(consumer: Consumer, timeout: float | None = None) -> AsyncSlotIterator:
    """Return the messages, one after the other, for ``async for``.

    Each slot ends when the next slot begins. The last slot ends with the iterator. The timeout is
    for each wait: the iterator raises `Timeout` when it is over.

    The iteration ends when the stream is `Closed`. Any other error of a read is raised, and the
    next call continues after it.
    """
    return AsyncSlotIterator(consumer, timeout)


class AsyncSlotIterator(Bound):
    """The result of `messages`, which says how it waits and what it raises."""

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
            slot = await _begin(
                self._consumer, self._timeout, lambda wait: ReadSlot(self._consumer, wait, None)
            )
        except Closed:
            self._slots._over = True
            raise StopAsyncIteration from None
        self._slots._given.append(slot)
        return slot

    def close(self) -> None:
        """End the last slot. Raises `Overrun` and `Fenced` as `ReadSlot.release` does."""
        self._slots.close()


@asynccontextmanager
async def write(producer: Producer, timeout: float | None = None) -> AsyncIterator[WriteSlot]:
    """Claim a slot, for ``async with aio.write(producer) as slot``. The end of the block publishes.

    The slot is filled in place. An exception publishes nothing. Waits and raises as
    `Producer.write`.
    """
    with _begun(await _claim(producer, timeout)) as slot:
        yield slot


async def send(
    producer: Producer, data: Buffer | NDArray[Any], timeout: float | None = None
) -> int:
    """Publish a copy of ``data``, and return its id. Waits and raises as `Producer.send`."""
    deadline = _deadline(timeout)
    await asyncio.sleep(0)  # as in wait_any
    await _vacant([producer])
    try:
        return producer.send(data, 0.0 if timeout == 0 else ONLY_LOOK)
    except Timeout:
        if timeout == 0:
            raise
    with _begun(await _claim(producer, _left(deadline), timeout)) as slot:
        view = flat("data", data)
        slot.data[: len(view)] = view
        slot.commit(len(view))
        return slot.id


async def send_many(producer: Producer, messages: Messages, timeout: float | None = None) -> int:
    """Publish copies of several messages, and return how many were published.

    The result is less than the number of messages if the time ran out after the first one. Waits
    and raises as `Producer.send_many`. The attribute ``sent`` of an exception, also of a
    cancellation, is the number of published messages.
    """
    deadline = _deadline(timeout)
    await asyncio.sleep(0)  # as in wait_any
    await _vacant([producer])
    outgoing: Any = (
        messages if hasattr(messages, "__array_interface__") else list(one_by_one(messages))
    )
    sent = 0
    try:
        while True:
            try:
                sent += producer.send_many(outgoing[sent:], 0.0 if timeout == 0 else ONLY_LOOK)
            except Timeout:
                if timeout == 0 and sent == 0:
                    raise
            left = _left(deadline)
            if (
                sent == len(outgoing)
                or timeout == 0
                or (left is not None and left <= 0 and sent > 0)
            ):
                return sent
            try:
                await send(producer, outgoing[sent], left)
            except Timeout:
                if sent == 0:
                    raise
                return sent
            sent += 1
    except BaseException as error:
        error.sent = sent + getattr(error, "sent", 0)  # type: ignore[attr-defined]
        raise


@contextmanager
def _begun(slot: Slot) -> Iterator[Slot]:
    """Hand an entered slot to a ``with`` block, and leave it at the end."""
    try:
        yield slot
    except BaseException as error:
        slot.__exit__(type(error), error, error.__traceback__)
        raise
    slot.__exit__(None, None, None)


# ---- Waiting ------------------------------------------------------------------------------------


def _deadline(timeout: float | None) -> float:
    return math.inf if timeout is None else now() + seconds(timeout)


def _left(deadline: float) -> float | None:
    return None if deadline == math.inf else max(0.0, deadline - now())


async def _vacant(participants: Iterable[Participant]) -> None:
    """Wait until the threads of cancelled waits have left.

    Raises `Busy` when a thread waits for another task.
    """
    for participant in participants:
        visit = participant._visit
        if visit is not None and not visit.left.done():
            visit.refuse(participant)
            await asyncio.wait([asyncio.wrap_future(visit.left)])


async def _begin(consumer: Consumer, timeout: float | None, make: Callable[[float], Held]) -> Held:
    """Enter what `make` returns, a read that does not wait, as soon as there is a message.

    ``make`` gets the timeout of the read: the last one counts as the timeout of the wait.
    """
    deadline = _deadline(timeout)
    await asyncio.sleep(0)  # as in wait_any
    await _vacant([consumer])
    while True:
        left = _left(deadline)
        last = left is not None and left <= 0
        try:
            return make(0.0 if last else ONLY_LOOK).__enter__()
        except Timeout as error:
            if last:
                if timeout:
                    raise type(error)(
                        f'block "{consumer.name}": nothing new to read within {float(timeout):g} s'
                    ) from None
                raise
        await first_of([consumer], left)


async def _claim(
    producer: Producer, timeout: float | None, asked: float | None = None
) -> WriteSlot:
    """Claim a slot. Under backpressure a thread waits for it.

    The thread aborts a claim that no task wants any more.
    """
    deadline = _deadline(timeout)
    await asyncio.sleep(0)  # as in wait_any
    await _vacant([producer])
    try:
        return WriteSlot(producer, 0.0 if timeout == 0 else ONLY_LOOK).__enter__()
    except Timeout:
        if timeout == 0:
            raise
    slot = await _claim_in_thread(producer, deadline)
    if slot is not None:
        return slot
    try:
        return WriteSlot(producer, ONLY_LOOK).__enter__()  # raises the error of the wait
    except Timeout as error:
        raise type(error)(waited(error.detail, float(asked or timeout or 0))) from None


async def _claim_in_thread(producer: Producer, deadline: float) -> WriteSlot | None:
    """Wait for a claim in a thread, until there is one or the time is over."""
    loop = asyncio.get_running_loop()
    visit, outcome = Visit([producer], loop), Future[Any]()
    # Re-entrant: the garbage collector may destroy a waiting coroutine in the middle of a step of
    # the same thread.
    deciding = threading.RLock()

    def repeat() -> None:
        visit.thread = threading.get_ident()
        result, failure = None, None
        try:
            with suppress(Timeout):
                result = WriteSlot(producer, _left(deadline)).__enter__()
        except BaseException as error:
            failure = error
        with deciding:
            wanted = not visit.over()
            if wanted:
                visit.leave()  # first: the task that gets the result may use the object
                if failure is not None:
                    outcome.set_exception(failure)
                else:
                    outcome.set_result(result)
        if not wanted:
            try:
                if result is not None:
                    result.abort()
            finally:
                visit.leave()

    future = asyncio.wrap_future(outcome)
    try:
        threading.Thread(
            target=repeat, name="datablock-aio", daemon=True
        ).start()  # a daemon: the program can end
    except BaseException:
        visit.leave()
        raise
    try:
        slot: WriteSlot | None = await asyncio.shield(future)
        return slot
    except BaseException:  # cancelled, closed, or an error of the thread
        with deciding:
            visit.abandoned = True
            late = outcome.done()
        if late and outcome.exception() is None and outcome.result() is not None:
            outcome.result().abort()
        raise
