"""Exceptions of a signal handler, at each bytecode of the package and at random.

No message is lost or comes twice, and nothing stays held. Each way of acquiring something is a
`Way`: what is prepared, what is interrupted, and what must hold afterwards.
"""

import array
import ctypes
import dis
import gc
import os
import pathlib
import signal
import threading
import time

import pytest
from interrupts import LOOKS, ONE_STEP, at_each_bytecode, at_random
from support import Worker, descriptors, eventually, mappings
from ways import nothing_is_held

from datablock_ctypes import (
    Consumer,
    Delivery,
    Observer,
    Producer,
    ReadTransactionGuard,
    Start,
    Timeout,
    WriteTransactionGuard,
    _consumer,
    _transactions,
    get_metrics,
    list_participants,
    unlink,
    wait_any,
    with_flexible_zone,
    with_next_slot,
    with_read_transaction,
    with_write_transaction,
)
from datablock_ctypes._batch import Untold

# Python closes a file that is dropped, with a warning.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

# The number of random signals.
SOAK = bool(os.environ.get("DATABLOCK_SOAK"))
TIMES = 10_000 if SOAK else 100
# A round that opens a block or attaches takes milliseconds. The short run has fewer of them.
OPENING_TIMES = TIMES if SOAK else TIMES // 4
OPENING_STRIDE = 1 if SOAK else 23


def number(data):
    return int.from_bytes(data, "little")


class Pair:
    """A producer and a consumer that stay open during the interrupts."""

    def __init__(self, delivery=Delivery.LOSSLESS, **settings):
        self.producer = Producer(
            "camera", slot_size=64, slot_count=16, consumer_limit=8, **settings
        )
        self.consumer = Consumer("camera", delivery=delivery, max_pins=1)
        self.other = Consumer("camera", delivery=Delivery.LATEST)
        self.producer.write(0).__enter__().abort()  # the memory is mapped
        self.rows = len(list_participants("camera"))
        self.got, self.sent, self.done = [], 0, False

    def close(self):
        for one in (self.consumer, self.other, self.producer):
            one.close()
        unlink("camera")

    def fresh(self, messages=0):
        self.got, self.done = [], False
        self.first = self.sent
        for _ in range(messages):
            self.producer.send(self.sent.to_bytes(8, "little"), 0)
            self.sent += 1
        return self

    def drain(self):
        try:
            while True:
                self.got.append(self.consumer.receive(0))
        except Timeout:
            pass

    def all_once(self, error=None):
        """Every message was handed over once and in order; nothing is held."""
        self.drain()
        assert numbers(self.got) == [*range(self.first, self.sent)]
        self.nothing_open()

    def nothing_open(self):
        for left in (self.consumer._held, self.consumer._kept, self.consumer._late):
            assert not left
        assert all(part.over() for part in self.consumer._parts)
        assert self.producer._claim is None


@pytest.fixture
def pair(directory):
    made = Pair()
    yield made
    assert nothing_is_held()
    assert len(list_participants("camera")) == made.rows
    made.close()


# ---- Reading ------------------------------------------------------------------------------------


# The result is appended first, by a call of C. A later exception is one of the test itself.


def receive(pair):
    pair.got.append(pair.consumer.receive(0))


def receive_waiting(pair):
    pair.got.append(pair.consumer.receive(1))
    pair.got.append(pair.consumer.receive())


def read(pair):
    with pair.consumer.read(0) as slot:
        pair.got.append(slot.id)


def read_twice(pair):
    read(pair)
    read(pair)


def read_many(pair):
    with pair.consumer.read_many(4, 0) as batch:
        pair.got.append(batch.ids)


def read_some_then_one(pair):
    read_many(pair)
    with pair.consumer.read_many(1, 0) as batch:
        pair.got.append(batch.ids)


def read_many_in_parts(pair):
    with pair.consumer.read_many(4, 0) as batch:
        pair.got.append(batch.ids)
        batch.release(2)
        assert numbers([batch.ids]) == [pair.first + 2, pair.first + 3]
        batch.release(1)


def iterate(pair):
    slots = iter(pair.consumer)
    for slot in slots:
        pair.got.append(slot.id)
        if slot.id > pair.first:
            slots.close()


def iterate_and_break(pair):
    for slot in pair.consumer:
        pair.got.append(slot.id)
        break


def next_slot(pair):
    with_next_slot(pair.consumer, 0, pair.got.append)


def numbers(got):
    """The ids of all messages of a result, whatever its form."""
    found = []
    for one in got:
        if isinstance(one, array.array):
            found.extend(one)
        elif isinstance(one, bytes):
            found.append(number(one))
        else:
            found.append(one if isinstance(one, int) else one.id)
    return found


READS = [
    receive,
    receive_waiting,
    read,
    read_twice,
    read_many,
    read_some_then_one,
    read_many_in_parts,
    iterate,
    iterate_and_break,
    next_slot,
]


@pytest.mark.parametrize("way", READS, ids=lambda way: way.__name__)
def test_no_message_is_lost_at_any_bytecode(pair, way):
    count = at_each_bytecode(lambda: pair.fresh(5), way, Pair.all_once)
    assert count > 20


@pytest.mark.parametrize("drain", ["read", "iterate", "read_many", "one by one of a batch"])
def test_what_an_interrupted_batch_has_taken_is_given_by_any_read(pair, drain):
    def check(pair, error):
        try:
            while True:
                if drain == "read":
                    with pair.consumer.read(0) as slot:
                        assert number(slot.data[:8]) == slot.id
                        pair.got.append(slot.id)
                elif drain == "iterate":
                    slots = iter(pair.consumer)
                    slot = slots._follow(0)
                    pair.got.append(slot.__enter__().id)
                    slots.close()
                else:
                    with pair.consumer.read_many(2 if drain == "read_many" else 1, 0) as batch:
                        assert [number(data[:8]) for data in batch] == list(batch.ids)
                        pair.got.extend(batch.ids)
        except Timeout:
            pass
        pair.all_once()

    at_each_bytecode(lambda: pair.fresh(5), read_many, check)


def fresh_kept(pair, alone):
    """Messages of which an interrupted batch has taken four. The first are read one by one."""
    pair.fresh(5)
    batch = pair.consumer.read_many(4, 0)
    batch.__enter__()
    pair.consumer._kept.append(Untold(batch._raw, ctypes.c_size_t(4)))
    batch._expire()
    for _ in range(alone):
        receive(pair)
    return pair


def what_is_left_in_parts(pair):
    """Read the rest of what `fresh_kept` leaves as a batch, and release it in parts."""
    with pair.consumer.read_many(4, 0) as batch:
        pair.got.append(batch.ids)
        for left in range(len(batch) - 1, 0, -1):
            batch.release(1)
            assert len(batch) == left


@pytest.mark.parametrize("alone", [0, 1])
def test_a_read_by_id_that_gives_back_what_was_taken_at_random(pair, alone):
    """The end of the last message's hold does not depend on the code after the undo."""

    def act(pair):
        with pair.consumer.read_at(pair.first + 4):
            pass

    came = at_random(lambda: fresh_kept(pair, alone), act, Pair.all_once, TIMES, 1e-4)
    assert came > TIMES // 20


@pytest.mark.parametrize("alone", [0, 1, 2])
def test_parts_of_what_an_interrupted_batch_has_taken_at_random(pair, alone):
    came = at_random(
        lambda: fresh_kept(pair, alone), what_is_left_in_parts, Pair.all_once, TIMES, 3e-4
    )
    assert came > TIMES // 20


@pytest.mark.parametrize("alone", [0, 1])
def test_parts_of_what_an_interrupted_batch_has_taken_give_room(pair, alone):
    def send():
        pair.producer.send(pair.sent.to_bytes(8, "little"), 0)
        pair.sent += 1

    fresh_kept(pair, alone)
    for _ in range(16 - 5):
        send()
    with pair.consumer.read_many(4 - alone, 0) as batch:
        pair.got.append(batch.ids)
        batch.release(2)
        for _ in range(2 + alone):
            send()
        with pytest.raises(Timeout):
            send()
    pair.all_once()


@pytest.mark.parametrize("way", READS, ids=lambda way: way.__name__)
def test_no_message_is_lost_at_random(pair, way):
    came = at_random(lambda: pair.fresh(5), way, Pair.all_once, TIMES, 3e-4)
    assert came > TIMES // 20


@pytest.mark.parametrize("delivery", [Delivery.ORDERED, Delivery.LATEST])
def test_other_deliveries(directory, delivery):
    pair = Pair(delivery)
    for way in (receive, read, read_many):
        at_each_bytecode(lambda: pair.fresh(1), way, Pair.all_once)
    pair.close()


def test_a_read_guard_at_any_bytecode(pair):
    def act(pair):
        guard = ReadTransactionGuard(pair.consumer, timeout=0)
        pair.got.append(guard.slot.id)
        guard.commit()

    def check(pair, error):
        pair.drain()
        assert numbers(pair.got) == list(range(pair.first, pair.sent))
        pair.nothing_open()

    at_each_bytecode(lambda: pair.fresh(2), act, check)


def test_a_read_by_id_at_any_bytecode(pair):
    def act(pair):
        with pair.consumer.read_at(pair.first) as slot:
            pair.done = slot.id == pair.first

    def act_by_function(pair):
        pair.done = with_read_transaction(
            pair.consumer, pair.first, 0, lambda slot: slot.id == pair.first
        )

    def check(pair, error):
        assert pair.done or error is not None
        pair.all_once()

    for one in (act, act_by_function):
        at_each_bytecode(lambda: pair.fresh(1), one, check)


def test_a_wait_for_an_id_leaves_no_descriptor(pair, directory):
    before = len(descriptors(directory))

    def act(pair):
        with pytest.raises(Timeout):
            with_read_transaction(pair.consumer, pair.sent + 5, 0.0001, print)

    def check(pair, error):
        assert len(descriptors(directory)) == before
        pair.all_once()

    at_each_bytecode(pair.fresh, act, check)


def test_waiting_for_several_takes_nothing(pair):
    at_each_bytecode(
        lambda: pair.fresh(2), lambda pair: wait_any([pair.consumer, pair.other], 0), Pair.all_once
    )


def test_waiting_for_several_knows_of_what_was_taken(pair):
    """A message that an interrupted read has taken makes the consumer ready."""
    found = []

    def check(pair, error):
        if pair.consumer._kept:
            found.append(pair.consumer in wait_any([pair.other, pair.consumer], 5))
        pair.drain()

    at_each_bytecode(lambda: pair.fresh(1), receive, check)
    assert found
    assert all(found)


def test_one_step():
    """The lines that the tests above leave out have no instruction that checks for signals."""
    seen = set()
    for function in (
        *(_consumer.Consumer.receive, _consumer.Consumer._receive_kept),
        _transactions.with_next_slot,
        _transactions._Guard.slot.fget,
    ):
        lines = pathlib.Path(function.__code__.co_filename).read_text().split("\n")
        line, calls = None, []
        for instruction in dis.get_instructions(function):
            line = instruction.starts_line or line
            text = lines[line - 1].strip() if isinstance(line, int) and line is not True else ""
            step = next((one for one in ONE_STEP if text.startswith(one)), None)
            if step is not None:
                seen.add(step)
                if instruction.opname.startswith(LOOKS):
                    calls.append((step, instruction.opname))
        # The one call is that of f. A call of f that has begun counts.
        assert [step for step, _ in calls if step != "value = f(slot)"] == []
    assert seen == set(ONE_STEP)


@pytest.mark.parametrize("way", ["receive", "iterate", "read_many", "read"])
def test_ctrl_c_while_waiting_loses_nothing(pair, way):
    """The message ends the wait in C, not the signal: it is there when the exception comes."""
    ways = {
        "receive": lambda: pair.consumer.receive(),
        "iterate": lambda: [pair.got.append(slot.id) for slot in pair.consumer],
        "read_many": lambda: pair.consumer.read_many(8).__enter__(),
        "read": lambda: pair.consumer.read().__enter__(),
    }
    pair.fresh()

    def interrupt():
        time.sleep(0.03)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        pair.producer.send(pair.sent.to_bytes(8, "little"))
        pair.sent += 1

    for _ in range(10):
        thread = threading.Thread(target=interrupt)
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            ways[way]()
            raise AssertionError("it was to be interrupted")
        thread.join()
        pair.drain()  # the taken message; otherwise the next round does not wait
    pair.all_once()


def test_what_was_taken_comes_again_to_a_durable_consumer(directory):
    """A waiting recorder is stopped: the close does not release a message that no code got."""
    with Worker("""
        import os, signal, threading, time
        from datablock_ctypes import Consumer, Delivery, Producer, Timeout

        def recorder():
            return Consumer(
                "camera", delivery=Delivery.LOSSLESS, durable=True, consumer_name="recorder"
            )

        def interrupt():
            time.sleep(0.03)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            producer.send(b"%d" % sent)

        producer = Producer("camera", slot_size=64, slot_count=64, unlink_on_close=True)
        recorder().close()
        got, sent = [], 0
        for way in ("receive", "iterate", "read_many") * 5:
            thread = threading.Thread(target=interrupt)
            try:
                with recorder() as consumer:
                    thread.start()
                    if way == "receive":
                        while True:
                            got.append(int(consumer.receive()))
                    elif way == "iterate":
                        for slot in consumer:
                            got.append(int(bytes(slot.data)))
                    else:
                        while True:
                            with consumer.read_many(10) as batch:
                                got.extend([int(bytes(data)) for data in batch])
            except KeyboardInterrupt:
                pass
            thread.join()
            sent += 1
        with recorder() as consumer:
            try:
                while True:
                    got.append(int(consumer.receive(0)))
            except Timeout:
                pass
        print(sorted(set(got)) == list(range(sent)), got == sorted(got))
    """) as worker:
        assert worker.end() == "True True\n"


# ---- Writing ------------------------------------------------------------------------------------


def send(pair):
    pair.producer.send(b"1" * 8, 0)
    pair.done = True


def send_a_bytearray(pair):
    pair.producer.send(pair.buffer, 0)
    pair.done = True


def send_read_only(pair):
    pair.producer.send(memoryview(b"12345678")[1:], 0)
    pair.done = True


def write(pair):
    slot = pair.slot = pair.producer.write(0)
    with slot:
        slot.commit(8)
    pair.done = True


def write_by_function(pair):
    with_write_transaction(pair.producer, 0, lambda slot: slot.commit(8))
    pair.done = True


def write_by_guard(pair):
    guard = WriteTransactionGuard(pair.producer, 0)
    guard.commit(8)
    pair.done = True


def send_many(pair):
    pair.producer.send_many([b"%08d" % i for i in range(6)], 0)
    pair.done = True


def send_many_waiting(pair):
    """The ring is nearly full: some messages are published, and then the time runs out."""
    pair.producer.send_many([b"%08d" % i for i in range(20)], 0.0001)
    pair.done = True


WRITES = [
    send,
    send_a_bytearray,
    send_read_only,
    write,
    write_by_function,
    write_by_guard,
    send_many,
    send_many_waiting,
]


def published(pair):
    """The number of messages that were published since."""
    count = 0
    try:
        while True:
            pair.consumer.receive(0)
            count += 1
    except Timeout:
        pass
    return count


def check_sent(pair, error):
    assert pair.producer.next_id == get_metrics("camera").written
    count = published(pair)
    assert (
        pair.producer.next_id - pair.next_id == count
    )  # also when the exception came after the last step of the call
    if pair.slot is not None:
        assert pair.slot.published == (count == 1)
    if not pair.done and error.inside:
        assert getattr(error, "sent", 0) == count
    assert pair.producer._claim is None
    pair.buffer.append(1)  # no export of the buffer is left
    pair.buffer.pop()
    pair.nothing_open()
    pair.producer.send(b"x", 0)
    pair.consumer.receive(0)


def fresh_buffer(pair):
    pair.buffer = bytearray(8)
    pair.slot, pair.next_id = None, pair.producer.next_id
    return pair.fresh()


@pytest.mark.parametrize("way", WRITES, ids=lambda way: way.__name__)
def test_sent_is_right_at_any_bytecode(pair, way):
    count = at_each_bytecode(lambda: fresh_buffer(pair), way, check_sent)
    assert count > 20


@pytest.mark.parametrize("way", WRITES, ids=lambda way: way.__name__)
def test_sent_is_right_at_random(pair, way):
    came = at_random(lambda: fresh_buffer(pair), way, check_sent, TIMES, 1e-4)
    assert came > TIMES // 20


def test_ctrl_c_in_send_many_says_how_many(pair):
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        pair.producer.send_many([b"%d" % i for i in range(40)])
    timer.join()
    assert caught.value.sent == 16 == get_metrics("camera").written
    del caught
    published(pair)


# ---- Locks, the zone ----------------------------------------------------------------------------


def lock(pair):
    with pair.consumer.lock(3, 0):
        pair.done = True


def lock_by_hand(pair):
    one = pair.consumer.lock(3, 0)
    one.acquire()
    try:
        pair.done = True
    finally:
        one.release()


def lock_twice(pair):
    one = pair.consumer.lock(3, 0)
    with one, one, pair.consumer.lock(3, 0):
        pair.done = True


def check_lock(pair, error):
    gc.collect(0)
    with pair.other.lock(3, timeout=0) as one:
        assert not one.abandoned
    assert pair.done or error is not None


def zone(pair):
    with pair.consumer.flexible_zone(0) as one:
        one.data[:8] = b"7" * 8


def zone_by_function(pair):
    def fill(one):
        one.data[:8] = b"7" * 8

    with_flexible_zone(pair.consumer, 0, fill)


def check_zone(pair, error):
    with pair.other.flexible_zone(timeout=0) as one:
        assert not one.abandoned
        assert one.intact
        assert one.data[:8] in (bytes(8), b"7" * 8)
        assert error is not None or one.data[:8] == b"7" * 8
        one.data[:8] = bytes(8)


SHARED = [
    (lock, check_lock),
    (lock_twice, check_lock),
    (zone, check_zone),
    (zone_by_function, check_zone),
]


@pytest.mark.parametrize(("way", "check"), SHARED, ids=lambda way: way.__name__)
def test_a_lock_has_an_owner_at_any_bytecode(pair, way, check):
    count = at_each_bytecode(pair.fresh, way, check)
    assert count > 20


@pytest.mark.parametrize(("way", "check"), SHARED, ids=lambda way: way.__name__)
def test_a_lock_has_an_owner_at_random(pair, way, check):
    came = at_random(pair.fresh, way, check, TIMES, 1e-4)
    assert came > TIMES // 20


@pytest.mark.parametrize("what", ["lock", "zone"])
def test_ctrl_c_while_waiting_for_a_lock(pair, what):
    """The lock is released within the slice of the wait in which the signal came."""

    def make(participant, timeout=None):
        return (
            participant.lock(3, timeout) if what == "lock" else participant.flexible_zone(timeout)
        )

    holder = make(pair.producer)
    holder.__enter__()

    def interrupt():
        time.sleep(0.03)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        holder.__exit__(None, None, None)

    thread = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        with make(pair.consumer):
            raise AssertionError("it was to be interrupted")
    thread.join()
    with make(pair.other, 1):
        pass


# ---- Opening and closing ------------------------------------------------------------------------


class Openings:
    """Objects that are opened during the interrupts, and what existed before."""

    def __init__(self, directory):
        self.directory = directory
        self.producer = Producer("camera", slot_size=64, slot_count=4)
        self.producer.send(b"x")
        Consumer("camera").close()
        self.opened = None
        self.settle()
        self.before = self.left()

    def settle(self):
        """The next use of the package settles what is left."""
        self.opened = None
        gc.collect(0)
        Observer("camera").close()

    def left(self):
        rows = [one.row for one in list_participants("camera")]
        return rows, len(descriptors(self.directory)), mappings(self.directory)

    def check(self, error=None):
        self.settle()
        if self.left() != self.before:
            gc.collect()  # a traceback may have made a cycle
            Observer("camera").close()
        assert self.left() == self.before
        self.producer.send(b"x", 0)  # no backpressure


def open_consumer(openings):
    openings.opened = Consumer("camera", delivery=Delivery.LOSSLESS, start=Start.OLDEST)
    openings.opened.receive(0)


def open_observer(openings):
    openings.opened = Observer("camera")


def open_and_close_consumer(openings):
    with Consumer("camera", delivery=Delivery.LOSSLESS, start=Start.OLDEST) as consumer:
        consumer.receive(0)


def open_and_close_observer(openings):
    with Observer("camera"):
        pass


OPENINGS = [open_consumer, open_observer, open_and_close_consumer, open_and_close_observer]


@pytest.mark.parametrize("way", OPENINGS, ids=lambda way: way.__name__)
def test_nothing_is_left_open_at_any_bytecode(directory, way):
    openings = Openings(directory)
    count = at_each_bytecode(lambda: openings, way, Openings.check, step=OPENING_STRIDE)
    assert count > 100
    openings.producer.close()


@pytest.mark.parametrize("way", OPENINGS, ids=lambda way: way.__name__)
def test_nothing_is_left_open_at_random(directory, way):
    openings = Openings(directory)
    came = at_random(lambda: openings, way, Openings.check, TIMES, 1e-3)
    assert came > TIMES // 20
    openings.producer.close()


def make_producer(directory):
    producer = Producer("other", slot_size=64, slot_count=4)
    with producer.write(0) as slot:
        slot.data[:1] = b"x"
    producer.close()


def check_producer(directory, error):
    if os.path.exists(directory / "other") and any(one.alive for one in list_participants("other")):
        gc.collect()  # a traceback may have made a cycle
    Producer("other", slot_size=64, slot_count=4).close()
    assert [one.pid for one in list_participants("other") if one.alive] == []
    assert len(descriptors(directory)) == 0
    assert mappings(directory) == 0


def test_a_producer_that_is_interrupted_while_it_is_made_is_none(directory):
    at_each_bytecode(lambda: directory, make_producer, check_producer, step=OPENING_STRIDE)
    came = at_random(lambda: directory, make_producer, check_producer, OPENING_TIMES, 3e-3)
    assert came > OPENING_TIMES // 20


@pytest.mark.parametrize("end", ["again", "forgotten"])
@pytest.mark.parametrize("kind", ["consumer", "producer", "observer"])
def test_an_interrupted_close_can_be_finished(directory, kind, end):
    with (
        Producer("camera", slot_size=64, slot_count=4) as first,
        Consumer("camera", start=Start.OLDEST) as second,
    ):
        first.send(b"x")
        second.receive(0)
        first.write(0).__enter__().abort()
        before = descriptors(directory), mappings(directory)
        before_rows = len(list_participants("camera"))

        def prepare():
            if kind == "consumer":
                one = Consumer("camera", delivery=Delivery.LOSSLESS, start=Start.OLDEST)
                one.receive(0)
            elif kind == "observer":
                one = Observer("camera")
            else:
                one = Producer("other", slot_size=64)
                with one.write(0) as slot:
                    slot.data[:1] = b"y"
            return [one]

        def check(state, error):
            if end == "again":
                state[0].close()
                assert state[0].closed
            state.clear()
            if end == "forgotten":
                gc.collect()  # a traceback may have made a cycle
                Observer("camera").close()
            assert len(list_participants("camera")) == before_rows
            assert (descriptors(directory), mappings(directory)) == before
            if kind == "producer":
                assert not any(one.alive for one in list_participants("other"))

        def close(state):
            state[0].close()

        assert at_each_bytecode(prepare, close, check, step=OPENING_STRIDE) > 10
        assert at_random(prepare, close, check, OPENING_TIMES, 2e-4) > 0


def test_ctrl_c_while_a_big_block_is_made(directory):
    """One call of C makes the block. The interrupt comes after its success."""
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        kept = Producer("big", slot_size=4 << 20, slot_count=16)
        while True:
            time.sleep(0.01)
    timer.join()
    if "kept" in locals():
        kept.close()
    assert list_participants("big") == [] or not any(one.alive for one in list_participants("big"))
    Producer("big", slot_size=4 << 20, slot_count=16).close()


def test_a_with_statement_that_cannot_enter_exit_is_over():
    """The hold ends when the object that `with` found as `__exit__` is dropped, and only then."""
    with Producer("camera", slot_size=64) as producer, Consumer("camera") as consumer:
        producer.send(b"x")
        slot = consumer.read(0)
        leave = slot.__exit__
        slot.__enter__()
        assert hasattr(slot, "__exit__")  # drops what it found
        assert not nothing_is_held()
        assert callable(type(slot).__exit__)  # for ExitStack
        del leave
        assert nothing_is_held()
        assert not consumer._held
        assert eventually(lambda: slot._statement is None)


# ---- Ends whose exceptions Python discards ------------------------------------------------------


def every_call_works(pair):
    """No call is Busy after an interrupt, whichever call comes first."""
    first = pair.calls.pop(0)
    pair.calls.append(first)
    before = len(numbers(pair.got))
    if first == "read_at":
        with pair.consumer.read_at(pair.sent - 1) as slot:
            assert slot.id == pair.sent - 1
    elif first == "with_read_transaction":
        assert (
            with_read_transaction(pair.consumer, pair.sent - 1, 0, lambda slot: slot.id)
            == pair.sent - 1
        )
    elif first == "guard":
        with ReadTransactionGuard(pair.consumer, pair.sent - 1, 0) as guard:
            assert guard.slot.id == pair.sent - 1
    elif before < pair.sent - pair.first:
        READ_BY[first](pair)
    pair.all_once()


READ_BY = {"read_many": read_many, "read": read, "iterate": iterate_and_break, "receive": receive}
CALLS = ["read_many", "read_at", "read", "with_read_transaction", "receive", "guard", "iterate"]


def fresh_calls(pair, messages=5):
    if not hasattr(pair, "calls"):
        pair.calls = list(CALLS)
    return pair.fresh(messages)


def guard_of_the_next(pair):
    with ReadTransactionGuard(pair.consumer, None, 0) as guard:
        pair.got.append(guard.slot.id)


def guard_that_is_forgotten(pair):
    ReadTransactionGuard(pair.consumer, None, 0)


def loop_in_a_generator(pair):
    def ids():
        for slot in pair.consumer:
            pair.got.append(slot.id)
            yield

    found = ids()
    next(found)
    found.close()


WAYS_TO_BE_LEFT = [*READS, guard_of_the_next, guard_that_is_forgotten, loop_in_a_generator]


@pytest.mark.parametrize("way", WAYS_TO_BE_LEFT, ids=lambda way: way.__name__)
def test_every_call_works_after_an_interrupt_at_any_bytecode(pair, way):
    for _ in CALLS if SOAK else CALLS[:1]:
        assert (
            at_each_bytecode(
                lambda: fresh_calls(pair), way, lambda pair, error: every_call_works(pair)
            )
            > 20
        )
        pair.calls.append(
            pair.calls.pop(0)
        )  # otherwise each bytecode would interrupt the same call


@pytest.mark.parametrize("way", WAYS_TO_BE_LEFT, ids=lambda way: way.__name__)
def test_every_call_works_after_an_interrupt_at_random(pair, way):
    came = at_random(
        lambda: fresh_calls(pair), way, lambda pair, error: every_call_works(pair), TIMES, 3e-4
    )
    assert came > TIMES // 20
