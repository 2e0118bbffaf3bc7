"""Many consumers in one event loop, tasks that come and go, cancelled waits."""

import asyncio
import contextlib
import gc
import resource
import signal
import threading
import time
import weakref

import pytest
from support import Worker, eventually

from datablock_ctypes import (
    Busy,
    Closed,
    Consumer,
    Delivery,
    Producer,
    Timeout,
    _waiters,
    aio,
    get_metrics,
    list_participants,
    unlink,
    wait_any,
)

MANY = 300


def run(coroutine, seconds=30):
    return asyncio.run(asyncio.wait_for(coroutine, seconds))


async def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.001)


def threads():
    return sum(thread.name == "datablock-aio" for thread in threading.enumerate())


def asleep(name):
    return any(row.waits for row in list_participants(name)[1:])


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert eventually(lambda: threads() == 0, 5), "a thread outlived its loop"


@pytest.fixture
def ring(directory):
    with Producer("ring", slot_size=64, slot_count=4) as producer, Consumer("ring") as consumer:
        yield producer, consumer


@contextlib.contextmanager
def blocks(count):
    with contextlib.ExitStack() as stack:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        names = [f"many{i}" for i in range(count)]
        for name in names:
            stack.callback(unlink, name)
        producers = [
            stack.enter_context(Producer(name, slot_size=16, slot_count=4, consumer_limit=1))
            for name in names
        ]
        yield producers, [stack.enter_context(Consumer(name)) for name in names]


@pytest.mark.measured
def test_many_consumers_wait_in_few_threads(directory):
    """One thread for 127 consumers, the most that can sleep together.

    Each message arrives, in whatever order they are sent.
    """
    with blocks(MANY) as (producers, consumers):

        async def main():
            for number in range(3):
                tasks = [asyncio.create_task(aio.receive(consumer)) for consumer in consumers]
                await until(lambda: all(asleep(f"many{i}") for i in range(MANY)))
                assert threads() == -(-MANY // _waiters.MOST)
                for producer in producers[::-1] if number % 2 else producers:
                    producer.send(b"%s %d" % (producer.name.encode(), number))
                assert await asyncio.gather(*tasks) == [
                    b"many%d %d" % (i, number) for i in range(MANY)
                ]

        run(main())


@pytest.mark.measured
def test_a_wait_costs_little(directory):
    """A thread for each of 300 consumers, woken every 80 ms, took 14 to 68 % of a core.

    The shared threads take a few percent.
    """
    with blocks(MANY) as (producers, consumers):

        async def main():
            tasks = [asyncio.create_task(aio.receive(consumer)) for consumer in consumers]
            await until(lambda: asleep("many0") and asleep(f"many{MANY - 1}"))
            await asyncio.sleep(0.2)
            used, began = time.process_time(), time.monotonic()
            await asyncio.sleep(2)
            share = (time.process_time() - used) / (time.monotonic() - began)
            for producer in producers:
                producer.send(b"x")
            await asyncio.gather(*tasks)
            return share

        assert run(main()) < 0.08


@pytest.mark.measured
def test_a_task_that_joins_is_waited_for_at_once(directory):
    """The thread sleeps for other tasks. Without a wake it would look after a tenth of a second."""
    with blocks(20) as (producers, consumers):

        async def main():
            forever = [asyncio.create_task(aio.receive(consumer)) for consumer in consumers[1:]]
            await until(lambda: asleep("many19"))
            taken = []
            for _ in range(30):
                task = asyncio.create_task(aio.receive(consumers[0]))
                for _ in range(4):
                    await asyncio.sleep(0)  # it has looked and joined
                assert consumers[0]._visit is not None
                began = time.monotonic()
                producers[0].send(b"x")
                await task
                taken.append(time.monotonic() - began)
            for task in forever:
                task.cancel()
            await asyncio.gather(*forever, return_exceptions=True)
            assert threads() == 1
            return sorted(taken)

        taken = run(main())
        assert taken[len(taken) // 2] < 0.03, taken


@pytest.mark.measured
def test_a_cancelled_wait_is_left_at_once(directory):
    """Any next call may use the object, with `aio` or without, while others are waited for."""
    with blocks(20) as (producers, consumers):

        async def main():
            forever = [asyncio.create_task(aio.receive(consumer)) for consumer in consumers[1:]]
            await until(lambda: asleep("many19"))
            consumer, taken = consumers[0], []
            for number in range(60):
                task = asyncio.create_task(aio.receive(consumer))
                for _ in range(number % 6):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                producers[0].send(b"%d" % number)
                began = time.monotonic()
                if number % 3 == 0:
                    assert consumer.receive(0) == b"%d" % number
                elif number % 3 == 1:
                    assert wait_any([consumer], 0) == [consumer]
                    with consumer.read_many(2, 0) as batch:
                        assert [bytes(data) for data in batch] == [b"%d" % number]
                else:
                    assert await aio.receive(consumer, 0) == b"%d" % number
                taken.append(time.monotonic() - began)
                assert consumer.counters[0].add(1) == number
                with consumer.lock(1, 0):
                    pass
            for task in forever:
                task.cancel()
            await asyncio.gather(*forever, return_exceptions=True)
            return sorted(taken)

        taken = run(main())
        assert taken[len(taken) // 2] < 0.03, taken


def test_a_timeout_leaves_at_once(ring):
    producer, consumer = ring

    async def main():
        for number in range(20):
            with pytest.raises(Timeout, match=r"within 0\.01 s"):
                await aio.receive(consumer, 0.01)
            assert consumer._visit is None
            producer.send(b"%d" % number)
            assert consumer.receive(0) == b"%d" % number

    run(main())


def test_messages_and_cancellations_at_random(directory):
    """Every message arrives once and in order, whatever is cancelled and when."""
    with blocks(10) as (producers, consumers):
        got = [[] for _ in consumers]

        async def reader(i):
            attempts = 0
            while len(got[i]) < 200:
                attempts += 1
                task = asyncio.create_task(aio.receive(consumers[i]))
                if attempts % 3 == 0:
                    for _ in range(attempts % 7):
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    got[i].append(int(task.result()))

        async def writer(i):
            for number in range(200):
                await aio.send(producers[i], b"%d" % number)

        async def main():
            await asyncio.gather(*map(reader, range(10)), *map(writer, range(10)))

        run(main(), 60)
        assert got == [list(range(200))] * 10


def test_one_that_is_closed_ends_its_own_wait_only(directory):
    with blocks(5) as (producers, consumers):

        async def main():
            tasks = [asyncio.create_task(aio.receive(consumer)) for consumer in consumers]
            await until(lambda: all(asleep(f"many{i}") for i in range(5)))
            consumers[2].close()
            producers[3].close()
            for i in (2, 3):
                with pytest.raises(Closed):
                    await asyncio.wait_for(tasks[i], 5)
            for i in (0, 1, 4):
                assert not tasks[i].done()
                producers[i].send(b"x")
                assert await asyncio.wait_for(tasks[i], 5) == b"x"

        run(main())


def test_waits_for_any_of_many_side_by_side(directory):
    """One task waits for more consumers than fit a thread, beside tasks for one consumer each."""
    with blocks(200) as (producers, consumers):

        async def main():
            some = asyncio.create_task(aio.wait_any(consumers[:150]))
            others = [asyncio.create_task(aio.receive(consumer)) for consumer in consumers[150:]]
            await until(lambda: asleep("many149") and asleep("many199"))
            producers[149].send(b"x")
            assert await some == [consumers[149]]
            for producer in producers[150:]:
                producer.send(b"y")
            assert await asyncio.gather(*others) == [b"y"] * 50
            assert await aio.wait_any(consumers, 0) == [consumers[149]]

        run(main())


def test_two_loops_at_once(directory):
    with blocks(2) as (producers, consumers):
        got = [[], []]

        def loop(i):
            async def main():
                while len(got[i]) < 100:
                    got[i].append(int(await aio.receive(consumers[i], 10)))

            run(main())

        loops = [threading.Thread(target=loop, args=(i,), daemon=True) for i in range(2)]
        for one in loops:
            one.start()
        for number in range(100):
            for producer in producers:
                producer.send(b"%d" % number, 10)
        for one in loops:
            one.join()
        assert got == [list(range(100))] * 2


def test_a_loop_that_is_closed_with_tasks_in_it(ring):
    producer, consumer = ring
    loop = asyncio.new_event_loop()
    task = loop.create_task(aio.receive(consumer))
    loop.run_until_complete(until(lambda: asleep("ring")))
    loop.close()
    assert eventually(lambda: threads() == 0 and consumer._visit is None, 5)
    producer.send(b"x")
    assert consumer.receive(0) == b"x"
    task._log_destroy_pending = False


def test_a_loop_is_not_kept(ring):
    _, consumer = ring

    async def main():
        with pytest.raises(Timeout):
            await aio.receive(consumer, 0.01)
        return weakref.ref(asyncio.get_running_loop())

    loop = run(main())
    assert eventually(lambda: (gc.collect(), loop() is None)[1], 5)


def test_a_coroutine_that_is_dropped_leaves(ring):
    """The coroutine is never cancelled, only collected."""
    producer, consumer = ring

    async def main():
        waiting = aio.receive(consumer)
        with pytest.raises(RuntimeError, match="await wasn't used"):
            for _ in range(3):
                waiting.send(None)  # until it waits for a future, and no task continues it
                await asyncio.sleep(0)
            waiting.throw(RuntimeError("await wasn't used"))
        del waiting
        gc.collect()
        await until(lambda: consumer._visit is None)
        producer.send(b"x")
        assert await aio.receive(consumer, 0) == b"x"

    run(main())


def test_no_thread_can_be_started(ring, monkeypatch):
    producer, consumer = ring

    def refuse(_):
        raise RuntimeError("can't start new thread")

    async def main():
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="start new thread"):
                await aio.receive(consumer)
            for _ in range(4):
                producer.send(b"x", 0)
            with pytest.raises(RuntimeError, match="start new thread"):
                await aio.send(producer, b"y")
        assert (consumer._visit, producer._visit) == (None, None)
        assert [await aio.receive(consumer) for _ in range(4)] == [b"x"] * 4

    run(main())


ABANDONED = {
    "send": lambda producer: producer.send(b"z", timeout=1),
    "send of a view": lambda producer: producer.send(memoryview(b"z"), timeout=1),
    "send at once": lambda producer: producer.send(b"z", timeout=0),
    "send_many": lambda producer: producer.send_many([b"z"], timeout=1),
    "write": lambda producer: producer.write(1).__enter__().__exit__(None, None, None),
    "lock": lambda producer: producer.lock(1, 1).acquire(),
    "zone": lambda producer: producer.flexible_zone(1).__enter__().__exit__(None, None, None),
    "counter": lambda producer: producer.counters[0].add(1),
}


@pytest.mark.parametrize("way", ABANDONED)
def test_a_producer_after_a_cancelled_send(directory, way):
    """A call without asyncio waits until the thread of the cancelled send has left the producer."""
    with (
        Producer("ring", slot_size=8, slot_count=2) as producer,
        Consumer("ring", delivery=Delivery.LOSSLESS) as consumer,
    ):

        async def main():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(aio.send(producer, b"y"), 0.02)

        for _ in range(5):
            with contextlib.suppress(Timeout):
                while True:
                    producer.send(b"x", timeout=0)
            asyncio.run(main())
            consumer.receive(0)  # there is room now
            ABANDONED[way](producer)
            assert producer._visit is None
        with contextlib.suppress(Timeout):
            while True:
                assert consumer.receive(0) != b"y"


def test_a_consumer_that_holds_messages_after_a_cancelled_wait(directory):
    """A call on what is held waits until the thread of the cancelled wait has left the consumer."""
    with (
        Producer("ring", slot_size=8, slot_count=4) as producer,
        Consumer("ring", delivery=Delivery.LOSSLESS, max_pins=2) as consumer,
    ):

        async def main():
            for number in range(200):
                assert producer.send_many([b"%d" % number] * 4, 0) == 4
                async with aio.read_many(consumer, 4) as batch:
                    waiting = asyncio.create_task(aio.receive(consumer))
                    await asyncio.sleep(0.0005 * (number % 3))
                    waiting.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await waiting
                    if number % 2:
                        assert not consumer.resumed
                    batch.release(2)
                    assert list(batch.ids) == [4 * number + 2, 4 * number + 3]

        run(main())


def test_a_producer_that_a_task_waits_for(directory):
    """The producer is refused, and the error says that another task uses it."""
    with (
        Producer("ring", slot_size=8, slot_count=2) as producer,
        Consumer("ring", delivery=Delivery.LOSSLESS) as consumer,
    ):
        producer.send(b"1")
        producer.send(b"2")

        async def main():
            waiting = asyncio.create_task(aio.send(producer, b"3"))
            await until(lambda: get_metrics("ring").waits)

            def refused():
                try:
                    producer.send(b"4", 0)
                except Busy as error:
                    return str(error)
                except Timeout:
                    return ""

            await until(refused)
            assert "another task waits for this Producer" in refused()
            assert consumer.receive(0) == b"1"
            assert await waiting == 2

        run(main())


def test_ctrl_c_out_of_a_run_leaves_everything_free(directory):
    script = """
    import asyncio, signal, threading
    from datablock_ctypes import *
    from datablock_ctypes import aio
    producer = Producer("ring", slot_size=8, slot_count=2, unlink_on_close=True)
    consumer = Consumer("ring", delivery=Delivery.LOSSLESS)
    async def main():
        waiting = asyncio.create_task(aio.receive(consumer))
        while not list_participants("ring")[1].waits:
            await asyncio.sleep(0.001)
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(10)
    for number in range(5):
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            producer.send(b"%d" % number, 0)
            print(consumer.receive(0).decode())
    """
    with Worker(script) as worker:
        assert worker.end(60).split() == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "ending", ["sys.exit(0)", "consumer.close()", "os.kill(os.getpid(), signal.SIGTERM)", "pass"]
)
def test_a_program_ends_quietly_while_it_waits(directory, ending):
    """The threads sleep in the library when the interpreter ends."""
    script = f"""
    import asyncio, os, signal, sys, threading
    from datablock_ctypes import *
    from datablock_ctypes import aio
    producer = Producer("ring", slot_size=8, slot_count=2, unlink_on_close=True)
    consumer = Consumer("ring", delivery=Delivery.LOSSLESS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    loop = asyncio.new_event_loop()
    task = loop.create_task(aio.receive(consumer))
    task._log_destroy_pending = False
    async def until_asleep():
        while not list_participants("ring")[1].waits:
            await asyncio.sleep(0.001)
    loop.run_until_complete(until_asleep())
    {ending}
    """
    for _ in range(3):
        with Worker(script) as worker:
            assert worker.end(20) == ""


def test_a_handler_is_run_while_the_loop_waits(ring):
    producer, consumer = ring
    seen = []
    previous = signal.signal(
        signal.SIGUSR1, lambda *_: (seen.append(1), producer.send(b"from a handler", 0))
    )
    try:

        async def main():
            waiting = asyncio.create_task(aio.receive(consumer))
            await until(lambda: asleep("ring"))
            signal.raise_signal(signal.SIGUSR1)
            assert await waiting == b"from a handler"

        run(main())
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert seen == [1]
