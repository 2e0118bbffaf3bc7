"""Batches and slots that end in another order than they began.

The end of a hold waits for the ends of older holds.
"""

import threading

import pytest
from support import eventually

from datablock_ctypes import Busy, Consumer, Delivery, Producer, Status, System, Timeout

COUNT = 8


@pytest.fixture(params=[Delivery.LOSSLESS, Delivery.ORDERED])
def ring(request, directory):
    producer = Producer("order", slot_size=64, slot_count=COUNT)
    with producer, Consumer("order", delivery=request.param, max_pins=4) as consumer:
        yield producer, consumer


def goes_on(producer, consumer):
    """Every slot was released: three times as many messages as there are slots pass."""
    for number in range(3 * COUNT):
        producer.send(b"n%d" % number, timeout=5)
        assert consumer.receive(0) == b"n%d" % number
    assert not consumer._held
    assert not consumer._late


def test_a_batch_that_ends_before_an_older_slot(ring):
    producer, consumer = ring
    for number in range(4):
        producer.send(b"%d" % number)
    older = consumer.read(0)
    older.__enter__()
    with consumer.read_many(2, 0) as batch:
        assert [bytes(data) for data in batch] == [b"1", b"2"]
    assert bytes(older.data) == b"0"
    older.release()
    assert consumer.receive(0) == b"3"
    goes_on(producer, consumer)


def test_a_slot_that_ends_before_an_older_batch(ring):
    producer, consumer = ring
    for number in range(4):
        producer.send(b"%d" % number)
    with consumer.read_many(2, 0) as batch:
        with consumer.read(0) as slot:
            assert bytes(slot.data) == b"2"
        assert consumer.receive(0) == b"3"
        assert [bytes(data) for data in batch] == [b"0", b"1"]
    goes_on(producer, consumer)


def test_batches_that_end_backwards(ring):
    producer, consumer = ring
    for number in range(4):
        producer.send(b"%d" % number)
    batches = [consumer.read_many(1, 0) for _ in range(4)]
    for batch in batches:
        batch.__enter__()
    for batch in reversed(batches):
        batch.release()
    goes_on(producer, consumer)


def test_a_batch_in_a_batch_that_raises(ring):
    producer, consumer = ring
    for number in range(4):
        producer.send(b"%d" % number)
    outer = consumer.read_many(1, 0)
    outer.__enter__()
    with pytest.raises(KeyError), consumer.read_many(2, 0):
        raise KeyError
    outer.release()
    assert consumer.receive(0) == b"3"
    goes_on(producer, consumer)


def test_a_claim_ends_although_another_thread_is_in_a_call(directory):
    """Its end publishes, or raises `Busy` and aborts. The next claim finds no other."""
    with (
        Producer("order", slot_size=64, slot_count=COUNT) as producer,
        Consumer("order", delivery=Delivery.LATEST) as consumer,
    ):
        refused = 0
        with consumer.lock(1):
            for number in range(20):
                begins = threading.Event()

                def wait(begins=begins):
                    begins.set()
                    try:
                        producer.lock(1, 0.02).acquire()
                    except (Timeout, Busy):
                        pass

                slot = producer.write(0)
                slot.__enter__()
                other = threading.Thread(target=wait, daemon=True)
                other.start()
                begins.wait()
                try:
                    slot.__exit__(None, None, None)
                except Busy:
                    refused += 1
                other.join()
                assert producer.next_id == number + 1 - refused
        assert refused
        producer.send(b"x", 0)


@pytest.mark.parametrize("first", [None, 1])
def test_a_batch_ends_although_another_thread_is_in_a_call(directory, first):
    """The end of a batch waits for another thread inside the consumer, as the end of a slot does.

    The consumer is `Busy` meanwhile. The same holds for the end of a part of a batch.
    """
    with (
        Producer("order", slot_size=64, slot_count=COUNT) as producer,
        Consumer("order", max_pins=4) as consumer,
    ):
        for _ in range(20):
            producer.send(b"1")
            producer.send(b"2")
            batch = consumer.read_many(2, 0)
            batch.__enter__()
            waits = threading.Event()

            def wait(waits=waits):
                waits.set()
                try:
                    consumer.receive(0.05)
                except (Timeout, Busy):
                    pass

            other = threading.Thread(target=wait, daemon=True)
            other.start()
            waits.wait()
            batch.release(first)
            assert len(batch) == (2 if first is None else 1)
            batch.release()
            other.join()
            assert eventually(lambda: not consumer._late)
        goes_on(producer, consumer)


class Refused:
    """The C function that ends a hold, in a process whose threads the library cannot serve.

    While it is active, each call returns SYSTEM, and does nothing.
    """

    def __init__(self, consumer):
        self.function, self.active = consumer._end, False
        consumer._end = self

    def __call__(self, *arguments):
        return int(Status.SYSTEM) if self.active else self.function(*arguments)


def end_of_a_slot(consumer, refused):
    slot = consumer.read(0)
    slot.__enter__()
    refused.active = True
    slot.release()


def end_of_a_batch(consumer, refused):
    batch = consumer.read_many(1, 0)
    batch.__enter__()
    refused.active = True
    batch.release()


def end_of_a_copy(consumer, refused):
    refused.active = True
    consumer.receive(0)


@pytest.mark.parametrize("end", [end_of_a_slot, end_of_a_batch, end_of_a_copy])
@pytest.mark.parametrize("delivery", [Delivery.LOSSLESS, Delivery.ORDERED])
def test_a_hold_that_the_library_could_not_end(directory, end, delivery):
    """The message stays held, and the next read ends the hold. The producer is not held up."""
    with (
        Producer("order", slot_size=64, slot_count=COUNT) as producer,
        Consumer("order", delivery=delivery) as consumer,
    ):
        refused = Refused(consumer)
        for number in range(2):
            producer.send(b"%d" % number)
        with pytest.raises(System):
            end(consumer, refused)
        refused.active = False
        if end is end_of_a_copy:  # the caller got no message: it comes again
            assert consumer.receive(0) == b"0"
        assert consumer.receive(0) == b"1"
        goes_on(producer, consumer)
