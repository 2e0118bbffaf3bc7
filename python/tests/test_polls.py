"""A poll that finds nothing does not sleep, leaves nothing behind, and gives up its turn."""

import gc
import sys
import tracemalloc
import warnings

import pytest
from support import resident

from datablock_ctypes import (
    Busy,
    Closed,
    Consumer,
    Delivery,
    NotFound,
    Observer,
    Producer,
    ReadTransactionGuard,
    Timeout,
    _consumer,
    _participant,
    _producer,
    wait_any,
    with_next_slot,
    with_read_transaction,
    with_write_transaction,
)

POLLS, FEWER = 100_000, 10_000
FIRST = 2000  # some polls make what all of them use

# What all of these polls together may leave. An object of Python has at least 16 bytes.
BYTES, BLOCKS, RESIDENT = 20_000, 200, 2 << 20


class Pair:
    def __init__(self):
        self.producer = Producer("polls", slot_size=8, slot_count=2)
        self.consumer = Consumer("polls")
        self.observer = Observer("polls")

    def fill(self):
        while self.producer.try_send(b"x") is not None:
            pass

    def close(self):
        for one in (self.observer, self.consumer, self.producer):
            one.close()


@pytest.fixture
def pair(directory):
    made = Pair()
    yield made
    made.close()


def receive(pair):
    pair.consumer.receive(0)


def try_receive(pair):
    assert pair.consumer.try_receive() is None


def read(pair):
    with pair.consumer.read(0):
        pass


def try_read(pair):
    with pair.consumer.try_read() as slot:
        assert slot is None


def read_array(pair):
    with pair.consumer.read(0) as slot:
        slot.array("u1")


def read_many(pair):
    with pair.consumer.read_many(4, 0):
        pass


def next_slot(pair):
    assert not with_next_slot(pair.consumer, 0, bytes)


def read_transaction(pair):
    with_read_transaction(pair.consumer, 7, 0, bytes)


def read_guard(pair):
    ReadTransactionGuard(pair.consumer, None, 0)


def any_of_several(pair):
    assert wait_any([pair.consumer], 0) == []


def observe(pair):
    pair.observer.read_at(7)


def send(pair):
    pair.producer.send(b"x", 0)


def send_memory(pair):
    pair.producer.send(memoryview(b"x"), 0)


def try_send(pair):
    assert pair.producer.try_send(b"x") is None


def send_many(pair):
    pair.producer.send_many([b"x"], 0)


def claim(pair):
    with pair.producer.write(0):
        pass


def write_transaction(pair):
    with_write_transaction(pair.producer, 0, bytes)


READS = [
    receive,
    try_receive,
    read,
    try_read,
    read_array,
    read_many,
    next_slot,
    read_transaction,
    read_guard,
    any_of_several,
    observe,
]
WRITES = [send, send_memory, try_send, send_many, claim, write_transaction]


def prepared(pair, poll):
    """Return a poll that finds nothing, without its exception."""
    if poll in WRITES:
        pair.fill()

    def polls(times):
        for _ in range(times):
            try:
                poll(pair)
            except (Timeout, NotFound):
                pass

    return polls


@pytest.mark.parametrize("poll", READS + WRITES, ids=lambda poll: poll.__name__)
def test_a_failed_poll_neither_sleeps_nor_allocates(pair, poll):
    """The collector is off: what only the collector would free counts as left behind, too.

    A thread that sleeps gives the processor up by itself, and the kernel counts this.
    """
    resource = pytest.importorskip("resource")  # not on Windows
    polls = prepared(pair, poll)
    times = POLLS if poll in (receive, try_receive, try_read, send, try_send) else FEWER
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        polls(FIRST)
        before = tracemalloc.get_traced_memory()[0], sys.getallocatedblocks(), resident()
        slept = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        polls(times)
        slept = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - slept
        after = tracemalloc.get_traced_memory()[0], sys.getallocatedblocks(), resident()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after[0] - before[0] < BYTES
    assert after[1] - before[1] < BLOCKS
    assert after[2] - before[2] < RESIDENT
    assert slept < times // 10  # the library may wait for a lock now and then


# Not the observer, which works on a copy and is no participant, and not what calls a function of
# the library that releases the interpreter lock itself.
TURNS = [receive, try_receive, read, try_read, next_slot, send, try_send, claim]


@pytest.mark.parametrize("poll", TURNS, ids=lambda poll: poll.__name__)
def test_a_poll_gives_up_its_turn_now_and_then(pair, poll, monkeypatch):
    turns = []
    for module in (_participant, _consumer, _producer):
        give_up = module.give_up_turn
        monkeypatch.setattr(
            module, "give_up_turn", lambda give_up=give_up: (turns.append(1), give_up())
        )
    polls = prepared(pair, poll)
    del turns[:]
    polls(4096)
    assert len(turns) == 4


@pytest.mark.parametrize("exchange", ["receive", "slots"])
def test_messages_give_up_the_turn_now_and_then(pair, exchange, monkeypatch):
    turns = []
    for module in (_participant, _consumer, _producer):
        monkeypatch.setattr(module, "give_up_turn", lambda: turns.append(1))
    for _ in range(2048):
        if exchange == "receive":
            pair.producer.send(b"x")
            pair.consumer.receive()
        else:
            with pair.producer.write() as slot:
                slot.commit(1)
            with pair.consumer.read():
                pass
    assert len(turns) == 4  # two of each side


# ---- Polls that return None ---------------------------------------------------------------------


def test_polls_without_an_exception(pair):
    producer, consumer = pair.producer, pair.consumer
    assert consumer.try_receive() is None
    assert producer.try_send(b"a") == 0
    assert producer.try_send(bytearray(b"b")) == 1
    assert producer.try_send(b"c") is None
    assert consumer.try_receive() == b"a"
    with consumer.try_read() as slot:
        assert (bytes(slot.data), slot.id) == (b"b", 1)
    with consumer.try_read() as slot:
        assert slot is None
    assert consumer.try_receive() is None
    assert producer.try_send(b"d") == 2
    assert consumer.receive() == b"d"


def test_a_poll_after_the_end_raises(pair):
    pair.producer.send(b"a")
    pair.producer.close()
    assert pair.consumer.try_receive() == b"a"
    with pytest.raises(Closed):
        pair.consumer.try_receive()
    with pytest.raises(Closed), pair.consumer.try_read():
        pass
    pair.consumer.close()
    with pytest.raises(Closed):
        pair.consumer.try_receive()
    with pytest.raises(Closed), pair.consumer.try_read():
        pass
    with pytest.raises(Closed):
        pair.producer.try_send(b"x")


def test_polls_while_messages_are_held(directory):
    """A poll raises `Busy` when all pins are in use: this is no lack of messages."""
    with Producer("polls", slot_size=8) as producer, Consumer("polls", max_pins=1) as consumer:
        for data in (b"a", b"b"):
            producer.send(data)
        with consumer.read(0):
            for poll in (consumer.try_receive, lambda: consumer.try_read().__enter__()):
                with pytest.raises(Busy):
                    poll()
        assert consumer.try_receive() == b"b"
    with Producer("pins", slot_size=8) as producer, Consumer("pins", max_pins=2) as consumer:
        producer.send(b"a")
        with consumer.read(0):
            assert consumer.try_receive() is None
            with consumer.try_read() as slot:
                assert slot is None


def test_a_poll_gives_what_an_interrupted_read_has_taken(pair):
    for poll in (pair.consumer.try_receive, lambda: bytes(pair.consumer.try_read().__enter__())):
        pair.producer.send(b"x")
        slot = pair.consumer.read(0)
        slot.__enter__()
        slot._put_back()
        assert pair.consumer._kept
        assert poll() == b"x"


def test_a_poll_counts_as_one_that_does_not_wait(directory):
    from datablock_ctypes import list_participants

    with Producer("polls", slot_size=8), Consumer("polls", delivery=Delivery.LATEST) as consumer:
        for _ in range(3):
            consumer.try_receive()
            with consumer.try_read():
                pass
        (row,) = list_participants("polls")[1:]
        assert (row.waits, row.timeouts) == (0, 6)


def test_no_warning_of_a_slot_that_was_not_there(pair):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            with pair.consumer.try_read() as slot:
                assert slot is None
        gc.collect()
