"""Interrupted transactions: Ctrl-C, closed generators, left iterations, other threads."""

import gc
import os
import signal
import threading
import time
import weakref

import pytest
from support import Worker, control_file, layout, poke
from ways import CAPACITY, content, in_a_thread, next_ways, nothing_is_held, ring, send, write_ways

from datablock_ctypes import (
    Closed,
    Consumer,
    Delivery,
    Overrun,
    Start,
    Timeout,
    WriteTransactionGuard,
    with_next_slot,
    with_write_transaction,
)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(20)


@write_ways
def test_ctrl_c_inside_aborts(write):
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:

        def fill(slot):
            slot.commit(3)
            interrupt()

        with pytest.raises(KeyboardInterrupt):
            write(producer, 0, fill)
        assert nothing_is_held()
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert producer.send(b"x") == 0


@next_ways
def test_ctrl_c_inside_releases(take):
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        send(producer, b"0", b"1")
        with pytest.raises(KeyboardInterrupt):
            take(consumer, 0, lambda slot: interrupt())
        gc.collect()
        assert nothing_is_held()
        assert consumer.receive(0) == b"1"


def test_ctrl_c_ends_a_wait_for_an_id():
    with Worker("""
        from datablock_ctypes import Consumer, Producer, with_read_transaction
        producer, consumer = Producer("camera", slot_size=64), Consumer("camera")
        print("waiting", flush=True)
        try:
            with_read_transaction(consumer, 7, None, print)
        except KeyboardInterrupt:
            print("interrupted", producer.send(b"after", 1), consumer.receive(1))
    """) as worker:
        assert worker.line() == "waiting"
        time.sleep(0.1)
        os.kill(worker.pid, signal.SIGINT)
        assert worker.end() == "interrupted 0 b'after'\n"


def test_ctrl_c_at_any_moment_of_a_transaction_leaves_nothing_open():
    """A `with` block can be entered or left without reaching its end. These functions cannot."""
    with Worker("""
        import signal, time
        from datablock_ctypes import Consumer, Delivery, Producer
        from datablock_ctypes import with_next_slot, with_read_transaction, with_write_transaction

        class Ring(Exception):
            pass

        def ring(number, frame):
            raise Ring

        def fill(slot):
            slot.data[:4] = b"sent"
            slot.commit(4)

        def look(slot):
            assert slot.data == b"sent"
            return slot.id

        signal.signal(signal.SIGALRM, ring)
        producer = Producer("camera", slot_size=64, slot_count=4)
        consumer = Consumer("camera", delivery=Delivery.ORDERED)
        with_write_transaction(producer, 0, fill)
        with_next_slot(consumer, 0, look)
        rung = 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0001 + rung % 100 * 2e-6)
                    while True:
                        with_write_transaction(producer, 0, fill)
                        number = with_next_slot(consumer, 0, look).value
                        with_read_transaction(consumer, number, 0, look)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Ring:
                rung += 1
            if producer._claim or consumer._held:
                print("left open", producer._claim, consumer._held)
                break
            producer.send(b"sent", 0)  # and for the library, too
            consumer.receive(0)
        print(rung > 100)
    """) as worker:
        assert worker.end() == "True\n"


def test_generators_closed_in_the_middle():
    with ring(8) as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:

        def lengths():
            for slot in consumer:
                yield slot.length

        def writing():
            with producer.write(0) as slot:
                slot.commit(3)
                yield slot.id

        def guarded():
            with WriteTransactionGuard(producer, 0) as guard:
                guard.slot.commit(3)
                yield guard.slot.id

        send(producer, b"1", b"22", b"333")
        generator = lengths()
        assert [next(generator), next(generator)] == [1, 2]
        assert not nothing_is_held()
        generator.close()
        assert nothing_is_held()
        for make in (writing, guarded):
            for end in (lambda one: one.close(), lambda one: None):
                generator = make()
                assert next(generator) == 3
                assert not nothing_is_held()
                end(generator)
                del generator
                assert nothing_is_held()
                assert producer._claim is None
        assert [
            len(consumer.receive(0)),
            len(consumer.receive(0) if producer.send(b"4444") == 3 else b""),
        ] == [3, 4]


def test_an_iteration_that_is_left_lets_go():
    with ring(8) as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        send(producer, *(b"%d" % number for number in range(8)))
        for _ in consumer:
            break
        assert nothing_is_held()
        slots = iter(consumer)
        assert iter(slots) is slots
        next(slots)
        assert not nothing_is_held()
        del slots
        gc.collect()
        assert nothing_is_held()
        slots = iter(consumer)
        next(slots)
        slots.close()
        slots.close()
        assert nothing_is_held()
        assert next(slots, None) is None


def test_an_iteration_whose_slot_is_overrun_says_so(directory):
    with ring(spare_slots=2) as producer, Consumer("camera", delivery=Delivery.LATEST) as consumer:
        send(producer, b"x")
        slots = iter(consumer)
        next(slots)
        poke(
            control_file(directory / "camera"),
            layout("CTL_ROWS") + layout("ROW_SIZE") + layout("ROW_PINS"),
            0,
        )
        for _ in range(12):
            send(producer, b"x")
        with pytest.raises(Overrun):
            next(slots)
        assert next(slots).id == 12
        slots.close()


def test_threads():
    """Each thread has a consumer, and the producer fails now and then.

    Every consumer gets every message once, in order, and whole.
    """
    messages, readers = 3000, 3
    producer, seen, problems = ring(16), [[] for _ in range(readers)], []
    consumers = [Consumer("camera", delivery=Delivery.LOSSLESS) for _ in range(readers)]

    def look(slot):
        data = bytes(slot.data)
        assert data == bytes([slot.id & 255]) * (slot.id % CAPACITY)
        return slot.id

    def read(consumer, ids):
        try:
            while True:
                result = with_next_slot(consumer, 5, look)
                if result:
                    ids.append(result.value)
        except Closed:
            pass
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=read, args=pair) for pair in zip(consumers, seen)]
    for thread in threads:
        thread.start()
    written = 0
    for attempt in range(messages * 2):

        def fill(slot, attempt=attempt):
            slot.data[: slot.id % CAPACITY] = bytes([slot.id & 255]) * (slot.id % CAPACITY)
            slot.commit(slot.id % CAPACITY)
            if attempt % 2:
                raise KeyError

        try:
            with_write_transaction(producer, 20, fill)
            written += 1
        except KeyError:
            pass
    producer.close()
    for thread in threads:
        thread.join(20)
    assert problems == []
    assert written == messages
    assert seen == [list(range(messages))] * readers
    for consumer in consumers:
        consumer.close()


def test_threads_on_one_producer():
    """An object belongs to one thread at a time: other calls are refused without harm."""
    with ring(64) as producer, Consumer("camera") as consumer:
        refused, written = [], []
        start = threading.Barrier(2)

        def write(mine):
            start.wait()
            for number in range(500):

                def fill(slot, number=number):
                    slot.data[:8] = b"%d %06d" % (mine, number)
                    slot.commit(8)
                    return slot.id

                try:
                    written.append(
                        (with_write_transaction(producer, 0, fill), b"%d %06d" % (mine, number))
                    )
                except Timeout:
                    pass
                except Exception as error:
                    refused.append(type(error).__name__)

        threads = [threading.Thread(target=write, args=(mine,)) for mine in range(2)]
        for thread in threads:
            thread.start()
        got = []
        while any(thread.is_alive() for thread in threads):
            while result := with_next_slot(consumer, 0.01, content):
                got.append(result.value)
        while result := with_next_slot(consumer, 0, content):
            got.append(result.value)
        assert sorted(written) == got
        assert set(refused) <= {"Busy", "Invalid"}


def test_closing_from_another_thread_inside_a_transaction():
    with ring() as producer:
        inside, go_on = threading.Event(), threading.Event()

        def fill(slot):
            inside.set()
            go_on.wait(20)

        thread, outcome = in_a_thread(lambda: with_write_transaction(producer, 0, fill))
        inside.wait(20)
        producer.close()
        go_on.set()
        thread.join(20)
        assert [type(one) for one in outcome] == [Closed]
    with Consumer("camera", start=Start.OLDEST) as consumer, pytest.raises(Closed):
        consumer.receive(0)


def test_what_a_transaction_refers_to_goes_with_it():
    class Something:
        pass

    with ring() as producer, Consumer("camera") as consumer:
        thing = Something()
        gone = weakref.ref(thing)
        with_write_transaction(producer, 0, lambda slot, thing=thing: None)
        result = with_next_slot(consumer, 0, lambda slot, thing=thing: thing)
        assert result.value is thing
        empty = with_next_slot(consumer, 0, lambda slot, thing=thing: thing)
        assert not empty
        gc.disable()
        try:
            del result, thing
            assert gone() is None
        finally:
            gc.enable()
