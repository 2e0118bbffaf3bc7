"""Producers and consumers in asyncio."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref

import pytest

from datablock_ctypes import (
    Busy,
    Closed,
    Consumer,
    Delivery,
    Invalid,
    NoProducer,
    Producer,
    SlotState,
    Superseded,
    Timeout,
    aio,
    diagnose_all_slots,
    get_metrics,
    list_participants,
)

COUNT = 4


@pytest.fixture
def ring():
    with Producer("ring", slot_size=64, slot_count=COUNT) as producer, Consumer("ring") as consumer:
        yield producer, consumer


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


async def until(condition):
    for _ in range(20000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("not in time")


def asleep(name="ring"):
    return any(row.waits for row in list_participants(name)[1:])


def test_messages_to_a_task(ring):
    producer, consumer = ring

    async def reader():
        return [(slot.id, bytes(slot.data)) async for slot in aio.messages(consumer)]

    async def writer():
        for number in range(100):  # many times around the ring: each waits for the other
            assert await aio.send(producer, str(number).encode()) == number
        producer.close()

    async def both():
        return await asyncio.gather(reader(), writer())

    read, _ = run(both())
    assert read == [(number, str(number).encode()) for number in range(100)]


def test_other_tasks_go_on_meanwhile(ring):
    producer, consumer = ring

    async def main():
        waiting = asyncio.create_task(aio.receive(consumer))
        await until(asleep)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        producer.send(b"at last")
        assert await waiting == b"at last"

    run(main())


def test_a_cancelled_wait_loses_nothing(ring):
    producer, consumer = ring

    async def main():
        for number in range(20):
            waiting = asyncio.create_task(aio.receive(consumer))
            if number % 2:
                await until(asleep)
            else:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            producer.send(str(number).encode())
            assert await aio.receive(consumer, 10) == str(number).encode()

    run(main())


def test_a_cancelled_claim_is_given_back(ring):
    producer, consumer = ring

    async def main():
        for number in range(COUNT):
            producer.send(str(number).encode(), 0)
        waiting = asyncio.create_task(aio.send(producer, b"too much"))
        await until(lambda: get_metrics("ring").waits)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await aio.receive(consumer) == b"0"
        assert await aio.send(producer, b"4", 10) == COUNT  # no claim is open any more
        assert [await aio.receive(consumer) for _ in range(COUNT)] == [b"1", b"2", b"3", b"4"]
        assert not any(slot.is_stuck for slot in diagnose_all_slots("ring"))

    run(main())


def test_an_exception_publishes_nothing(ring):
    producer, consumer = ring

    async def main():
        with pytest.raises(KeyError):
            async with aio.write(producer) as slot:
                slot.commit(3)
                raise KeyError
        async with aio.write(producer) as slot:
            slot.data[:2] = b"ok"
            slot.commit(2)
        async with aio.read(consumer) as slot:
            assert (slot.id, bytes(slot.data)) == (0, b"ok")
        with pytest.raises(Invalid, match="has ended"):
            slot.data  # noqa: B018

    run(main())


def test_a_cancelled_wait_whose_loop_has_ended(ring):
    producer, consumer = ring
    for number in range(3):
        with pytest.raises((asyncio.TimeoutError, Timeout)):
            asyncio.run(asyncio.wait_for(aio.receive(consumer), 0.03))
        producer.send(str(number).encode())
        assert run(aio.receive(consumer, 5)) == str(number).encode()


def test_a_cancelled_claim_whose_loop_has_ended(ring):
    producer, consumer = ring
    for _ in range(COUNT):
        producer.send(b"", 0)
    with pytest.raises((asyncio.TimeoutError, Timeout)):
        asyncio.run(asyncio.wait_for(aio.send(producer, b"too much"), 0.03))
    consumer.receive(0)  # frees a slot for the cancelled message
    assert run(aio.send(producer, b"wanted", 5)) == COUNT


def test_a_claim_that_comes_with_the_cancellation(ring):
    producer, consumer = ring

    async def main():
        for _ in range(COUNT):
            producer.send(b"", 0)
        for number in range(5):
            waits = get_metrics("ring").waits
            waiting = asyncio.create_task(aio.send(producer, b"too much"))
            await until(lambda waits=waits: get_metrics("ring").waits > waits)
            consumer.receive(0)
            while not any(
                slot.slot_state == SlotState.WRITING for slot in diagnose_all_slots("ring")
            ):
                pass  # blocks the loop until the thread has its claim
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await aio.send(producer, b"", 0) == COUNT + number

    run(main())


def test_what_has_waited_closes_itself(directory):
    async def wait(consumer, producer):
        waiting = asyncio.create_task(aio.wait_any([consumer]))
        await until(asleep)
        producer.send(b"1")
        await waiting

    def waited(producer):
        consumer = Consumer("ring")
        run(wait(consumer, producer))
        return weakref.ref(consumer)

    with Producer("ring", slot_size=8) as producer:
        forgotten = waited(producer)
        gc.collect()
        assert forgotten() is None


def test_one_object_is_for_one_task(ring):
    _, consumer = ring

    async def main():
        waiting = asyncio.create_task(aio.receive(consumer))
        await until(asleep)
        with pytest.raises(Busy, match="another task waits"):
            await aio.receive(consumer, 0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(Timeout):
            await aio.receive(consumer, 0)

    run(main())


def test_messages_stay_ended(directory):
    async def main():
        with Consumer("ring") as consumer:
            messages = aio.messages(consumer)
            producer.close()
            for _ in range(2):
                with pytest.raises(StopAsyncIteration):
                    await anext_of(messages)
            with Producer("ring", slot_size=8) as again:
                again.send(b"1")
                with pytest.raises(StopAsyncIteration):
                    await anext_of(messages)

    with Producer("ring", slot_size=8) as producer:
        run(main())


def test_a_block_that_is_removed_is_told(directory):
    with Producer("ring", slot_size=8), Consumer("ring") as consumer:
        (directory / "ring").unlink()
        with pytest.raises(Superseded):
            run(aio.receive(consumer))
        for path in directory.iterdir():
            path.unlink()


def test_other_tasks_have_their_turn_and_cancellation_its_place(directory):
    with Producer("ring", slot_size=8, slot_count=1024) as producer, Consumer("ring") as consumer:
        for _ in range(1024):
            producer.send(b"")

        async def main():
            read = turns = 0

            async def drain():
                nonlocal read
                async for _ in aio.messages(consumer):
                    read += 1

            draining = asyncio.create_task(drain())
            while read < 100:
                turns += 1
                await asyncio.sleep(0)
            assert turns >= 100
            draining.cancel()
            with pytest.raises(asyncio.CancelledError):
                await draining
            assert read < 200

        run(main())


def test_timeouts(ring):
    producer, consumer = ring

    async def main():
        for timeout in (0, 0.05, 0.2):
            with pytest.raises(Timeout):
                await aio.receive(consumer, timeout)
            with pytest.raises(Timeout):
                await anext_of(aio.messages(consumer, timeout))
            assert await aio.wait_any([consumer], timeout) == []
        for _ in range(COUNT):
            await aio.send(producer, b"", 0)
        for timeout in (0, 0.2):
            with pytest.raises(Timeout):
                await aio.send(producer, b"", timeout)
            with pytest.raises(Timeout):
                async with aio.write(producer, timeout):
                    pass
        with pytest.raises(Invalid, match="timeout is -1"):
            await aio.receive(consumer, -1)
        with pytest.raises(Invalid, match="timeout is -1"):
            await aio.wait_any([consumer], -1)

    run(main())


async def anext_of(iterator):
    return await iterator.__anext__()


def test_no_producer_is_said(directory):
    code = (
        "import os; from datablock_ctypes import Producer; "
        "p = Producer('gone', slot_size=8); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with Consumer("gone") as consumer, pytest.raises(NoProducer):
        run(aio.receive(consumer, 0.01))


def test_wait_any_of_two(directory):
    left, right = Producer("left", slot_size=8), Producer("right", slot_size=8)
    with (
        left,
        right,
        Consumer("left", delivery=Delivery.LATEST) as from_left,
        Consumer("right") as from_right,
    ):

        async def main():
            waiting = asyncio.create_task(aio.wait_any([from_left, from_right]))
            await until(lambda: asleep("right"))
            right.send(b"r")
            assert await waiting == [from_right]
            left.send(b"l")
            assert await aio.wait_any([from_left, from_right]) == [from_left, from_right]

        run(main())


def test_closed_while_a_task_waits(ring):
    _, consumer = ring

    async def main():
        waiting = asyncio.create_task(aio.receive(consumer))
        await until(asleep)
        threading.Thread(target=consumer.close).start()
        with pytest.raises(Closed):
            await waiting

    run(main())


def test_a_slot_ends_with_its_loop(ring):
    producer, consumer = ring
    producer.send(b"1")
    producer.send(b"2")

    async def main():
        async for slot in aio.messages(consumer):
            assert slot.id == 0
            break
        async for slot in aio.messages(consumer):
            assert slot.id == 1
            break

    run(main())


def test_a_program_that_leaves_a_wait_behind_ends(directory):
    """The thread of a wait that was not cancelled does not keep the program running."""
    program = """
import asyncio
from datablock_ctypes import Consumer, Producer, aio, list_participants
producer, consumer = Producer("left", slot_size=8, unlink_on_close=True), Consumer("left")
loop = asyncio.new_event_loop()
task = loop.create_task(aio.receive(consumer))
async def until_asleep():
    while not list_participants("left")[1].waits:
        await asyncio.sleep(0.001)
loop.run_until_complete(until_asleep())
print("waits", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20
    )
    assert (done.stdout, done.returncode) == ("waits\n", 0), (
        done.stderr
    )  # asyncio warns of the task there


def test_many_at_once(ring):
    producer, consumer = ring

    async def reader():
        got = []
        while len(got) < 10:
            async with aio.read_many(consumer, 3, 10) as batch:
                got += [(number, bytes(data)) for number, data in zip(batch.ids, batch)]
        return got

    async def both():
        return await asyncio.gather(
            reader(), aio.send_many(producer, [b"%d" % number for number in range(10)], 10)
        )

    assert run(both()) == [[(number, b"%d" % number) for number in range(10)], 10]
    assert run(aio.send_many(producer, [b"x"] * (COUNT + 3), 0)) == COUNT
    assert run(aio.send_many(producer, [], 0)) == 0
    for timeout in (0, 0.05):
        with pytest.raises(Timeout) as said:
            run(aio.send_many(producer, [b"x"], timeout))
        assert said.value.sent == 0

    async def cancelled():
        consumer.receive(0)
        task = asyncio.ensure_future(aio.send_many(producer, [b"y"] * 3))
        await until(lambda: producer._visit is not None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert get_metrics("ring").written == 10 + COUNT + 1
    assert producer.next_id == 10 + COUNT + 1


def test_a_call_without_aio_is_not_refused(ring):
    """A call of `aio` by another task is `Busy`, whatever its timeout.

    A call without `aio` is not refused: here it does not wait.
    """
    producer, consumer = ring

    async def tasks():
        waiting = asyncio.ensure_future(aio.receive(consumer, 10))
        await until(lambda: consumer._visit is not None)
        with pytest.raises(Timeout):
            consumer.receive(0)
        for timeout in (0, 1, None):
            with pytest.raises(Busy, match="another task waits"):
                await aio.receive(consumer, timeout)
        producer.send(b"x")
        assert await waiting == b"x"

    run(tasks())
