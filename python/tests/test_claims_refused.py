"""Claims that the library could not end: SYSTEM, in a process whose threads it cannot serve."""

import asyncio

import pytest

from datablock_ctypes import (
    Consumer,
    Producer,
    Status,
    System,
    WriteTransactionGuard,
    aio,
    with_write_transaction,
)


@pytest.fixture
def pair(directory):
    producer = Producer("claims", slot_size=64, slot_count=4)
    with producer, Consumer("claims") as consumer:
        yield producer, consumer


class Refused:
    """A C function of a claim. While it is active, each call returns SYSTEM, and does nothing."""

    def __init__(self, producer, name):
        self.function, self.active = getattr(producer, name), True
        setattr(producer, name, self)

    def __call__(self, *arguments):
        return int(Status.SYSTEM) if self.active else self.function(*arguments)


def the_end_of_a_block(producer):
    with producer.write(0):
        pass


def a_transaction(producer):
    with_write_transaction(producer, 0, lambda slot: slot.commit(1))


def a_guard(producer):
    WriteTransactionGuard(producer, 0).commit(1)


def an_async_block(producer):
    async def write():
        async with aio.write(producer, 0):
            pass

    asyncio.run(write())


def an_error_in_a_block(producer):
    with producer.write(0):
        raise System("of the program")


def an_abort(producer):
    with producer.write(0) as slot:
        slot.abort()
    raise System("of the test: an abort raises nothing")


def an_abort_of_a_guard(producer):
    WriteTransactionGuard(producer, 0).abort()
    raise System("of the test: an abort raises nothing")


def an_error_of_the_claim(producer):
    """The claim has begun, and entering the block fails."""

    def fail(address):
        raise System("of the test")

    producer._view, producer._map = None, fail
    try:
        with producer.write(0):
            pass
    finally:
        del producer._map


ENDS = [
    the_end_of_a_block,
    a_transaction,
    a_guard,
    an_async_block,
    an_error_in_a_block,
    an_abort,
    an_abort_of_a_guard,
    an_error_of_the_claim,
]


def claim(producer):
    with producer.write(0) as slot:
        slot.data[:4] = b"next"
        slot.commit(4)


NEXT = {
    "write": claim,
    "send": lambda producer: producer.send(b"next", 0),
    "send_many": lambda producer: producer.send_many([b"next"], 0),
    "aio.send": lambda producer: asyncio.run(aio.send(producer, b"next", 0)),
    "aio.send_many": lambda producer: asyncio.run(aio.send_many(producer, [b"next"], 0)),
}


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("end", ENDS)
def test_the_next_claim_aborts_it_first(pair, end, then):
    producer, consumer = pair
    refused = [Refused(producer, name) for name in ("_commit", "_abort")]
    with pytest.raises(System):
        end(producer)
    for _ in range(2):
        with pytest.raises(System):  # and not Invalid: "the claim is still open"
            NEXT[then](producer)
    for function in refused:
        function.active = False
    for number in range(8):  # every slot is free again
        NEXT[then](producer)
        with consumer.read(0) as slot:
            assert (slot.id, bytes(slot.data)) == (number, b"next")


def test_a_commit_that_failed_and_an_abort_that_did_not(pair):
    producer, consumer = pair
    refused = Refused(producer, "_commit")
    with pytest.raises(System), producer.write(0) as slot:
        pass
    assert not slot.published
    refused.active = False
    claim(producer)
    assert consumer.receive(0) == b"next"


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("refused", [False, True])
def test_an_interrupt_at_the_commit(pair, late, refused):
    """The message counts as published only if the library says that its claim has ended."""
    producer, consumer = pair
    commit = producer._commit

    def interrupted(*arguments):
        if late:
            assert commit(*arguments) == 0
        raise KeyboardInterrupt

    producer._commit = interrupted
    abort = Refused(producer, "_abort")
    abort.active = refused and not late
    with pytest.raises(KeyboardInterrupt) as caught, producer.write(0) as slot:
        slot.data[:] = b"x" * 64
    assert slot.published == late
    assert caught.value.sent == int(late)
    abort.active, producer._commit = False, commit
    claim(producer)
    assert consumer.receive(0) == (b"x" * 64 if late else b"next")
