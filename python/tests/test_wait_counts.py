"""One wait of a caller is one wait, and at most one timeout, in the metrics."""

import asyncio
import threading

import pytest
from support import control_file, eventually, layout, peek

from datablock_ctypes import (
    Consumer,
    Delivery,
    Invalid,
    Producer,
    ReadTransactionGuard,
    Timeout,
    aio,
    get_metrics,
    list_participants,
    wait_any,
    with_next_slot,
    with_read_transaction,
)

SLICES = 0.25  # seconds: several slices


def ring(slot_count=2):
    return Producer("camera", slot_size=64, slot_count=slot_count)


def of_consumer():
    (row,) = list_participants("camera")[1:]
    return row.waits, row.timeouts


def of_producer():
    found = get_metrics("camera")
    return found.waits, found.timeouts


def marked(directory, name="camera"):
    """The bits of the consumers that the next commit wakes."""
    return peek(control_file(directory / name), layout("CTL_WAITING"))


def entered(slot):
    with slot as held:
        return held


READS = {
    "read": lambda consumer, timeout: entered(consumer.read(timeout)),
    "receive": lambda consumer, timeout: consumer.receive(timeout),
    "read_many": lambda consumer, timeout: entered(consumer.read_many(4, timeout)),
    "with_next_slot": lambda consumer, timeout: with_next_slot(consumer, timeout, bytes).value,
    "with_read_transaction": lambda consumer, timeout: with_read_transaction(
        consumer, 0, timeout, bytes
    ),
    "aio": lambda consumer, timeout: asyncio.run(aio.receive(consumer, timeout)),
}
WRITES = {
    "write": lambda producer, timeout: entered(producer.write(timeout)),
    "send": lambda producer, timeout: producer.send(b"x", timeout),
    "send_many": lambda producer, timeout: producer.send_many([b"x"], timeout),
    "aio": lambda producer, timeout: asyncio.run(aio.send(producer, b"x", timeout)),
    "aio_many": lambda producer, timeout: asyncio.run(aio.send_many(producer, [b"x"], timeout)),
}


@pytest.mark.parametrize("how", READS)
def test_a_read_that_finds_nothing(how):
    with ring(), Consumer("camera") as consumer:
        with pytest.raises(Timeout):
            READS[how](consumer, SLICES)
        assert of_consumer() == (1, 1)


@pytest.mark.parametrize("how", READS)
def test_a_read_that_waits_for_its_message(how):
    with ring() as producer, Consumer("camera") as consumer:
        thread = threading.Thread(target=READS[how], args=(consumer, None))
        thread.start()
        assert eventually(
            lambda: list_participants("camera")[1].wait_ns > SLICES * 1e9
        )  # several slices passed
        producer.send(b"x")
        thread.join(20)
        assert not thread.is_alive()
        assert of_consumer() == (1, 0)


def test_a_read_that_does_not_wait():
    with ring(), Consumer("camera") as consumer:
        for how in ("read", "receive", "read_many", "aio"):
            with pytest.raises(Timeout):
                READS[how](consumer, 0)
        assert of_consumer() == (0, 4)


@pytest.mark.parametrize("how", WRITES)
def test_a_claim_that_is_held_up(how):
    with ring() as producer, Consumer("camera"):
        for _ in range(2):
            producer.send(b"x")
        with pytest.raises(Timeout):
            WRITES[how](producer, SLICES)
        assert of_producer() == (1, 1)


@pytest.mark.parametrize("how", WRITES)
def test_a_claim_that_waits_for_its_slot(how):
    with ring() as producer, Consumer("camera") as consumer:
        for _ in range(2):
            producer.send(b"x")
        thread = threading.Thread(target=WRITES[how], args=(producer, None))
        thread.start()
        assert eventually(lambda: get_metrics("camera").wait_ns > SLICES * 1e9)
        consumer.receive(0)
        thread.join(20)
        assert not thread.is_alive()
        assert of_producer() == (1, 0)


@pytest.mark.parametrize(
    "wait", [wait_any, lambda *arguments: asyncio.run(aio.wait_any(*arguments))]
)
def test_a_wait_for_the_first_of_several(wait):
    with ring(), Consumer("camera") as consumer:
        assert wait([consumer], SLICES) == []
        assert of_consumer() == (1, 0)


@pytest.mark.parametrize("how", ["send_many", "aio_many"])
def test_each_message_of_a_batch_that_waits(how):
    """It is one wait, in whichever slice of the call it begins."""
    send = {
        "send_many": lambda producer, messages: producer.send_many(messages),
        "aio_many": lambda producer, messages: asyncio.run(aio.send_many(producer, messages)),
    }[how]
    with ring() as producer, Consumer("camera") as consumer:
        sent = []
        thread = threading.Thread(target=lambda: sent.append(send(producer, [b"x"] * 5)))
        thread.start()
        for number in (1, 2, 3):
            waited = number * SLICES * 1e9
            assert eventually(lambda least=waited: get_metrics("camera").wait_ns > least)
            assert of_producer() == (number, 0)
            consumer.receive(0)
        thread.join(20)
        assert sent == [5]
        assert of_producer() == (3, 0)


WAITS_FOR_ANY = {
    "wait_any": wait_any,
    "aio": lambda *arguments: asyncio.run(aio.wait_any(*arguments)),
}


@pytest.mark.parametrize("how", WAITS_FOR_ANY)
def test_a_poll_of_several(directory, how):
    """It counts no wait, and the consumer is not marked as sleeping: a commit wakes nobody."""
    with ring(), Consumer("camera") as consumer:
        for _ in range(5):
            assert WAITS_FOR_ANY[how]([consumer], 0) == []
        assert of_consumer() == (0, 0)
        assert marked(directory) == 0


@pytest.mark.parametrize("timeout", [0, SLICES, None])
def test_a_wait_for_a_message_that_an_interrupted_read_has_taken(directory, timeout):
    """The message is there: the call does not wait, and does not mark the other consumer."""
    with (
        ring() as producer,
        Producer("other", slot_size=64),
        Consumer("camera") as consumer,
        Consumer("other") as idle,
    ):
        producer.send(b"x")
        slot = consumer.read(0)
        slot.__enter__()
        slot._put_back()
        assert consumer._kept
        assert wait_any([idle, consumer], timeout) == [consumer]
        assert of_consumer() == (0, 0)
        assert list_participants("other")[1].waits == 0
        assert marked(directory) == marked(directory, "other") == 0
        assert consumer.receive(0) == b"x"


@pytest.mark.parametrize(
    "wait",
    [
        lambda consumer, timeout: with_read_transaction(consumer, 4, timeout, bytes),
        lambda consumer, timeout: ReadTransactionGuard(consumer, 4, timeout),
    ],
)
def test_a_lossless_consumer_does_not_wait_for_ever_for_itself(wait):
    """The library refuses this with the timeout -1, and so it refuses the slices of such a wait."""
    with ring(4) as producer, Consumer("camera", delivery=Delivery.LOSSLESS) as consumer:
        for number in range(4):
            producer.send(b"%d" % number)
        for endless in (None, float("inf"), 1e10):
            with pytest.raises(Invalid, match="it would wait for ever"):
                wait(consumer, endless)
        with pytest.raises(Timeout):  # it ends by itself
            wait(consumer, 0.1)
        consumer.receive(0)
        producer.send(b"4")
        assert with_read_transaction(consumer, 4, None, lambda slot: bytes(slot.data)) == b"4"
