"""The ways to write, to read the next message, and to read a message by its id.

All ways have to do the same. The module also has what the tests of transactions share.
"""

import threading

import pytest

from datablock_ctypes import (
    Closed,
    Delivery,
    Producer,
    ReadTransactionGuard,
    SlotState,
    Superseded,
    Timeout,
    WriteTransactionGuard,
    diagnose_all_slots,
    unlink,
    with_next_slot,
    with_read_transaction,
    with_write_transaction,
)

CAPACITY = 100
DELIVERIES = [Delivery.LOSSLESS, Delivery.ORDERED, Delivery.LATEST]


def ring(slot_count=4, name="camera", **settings):
    return Producer(name, slot_size=CAPACITY, slot_count=slot_count, **settings)


def by_function(producer, timeout, f):
    return with_write_transaction(producer, timeout, f)


def by_with(producer, timeout, f):
    with producer.write(timeout) as slot:
        return f(slot)


def by_guard(producer, timeout, f):
    with WriteTransactionGuard(producer, timeout) as guard:
        return f(guard.slot)


def by_commit(producer, timeout, f):
    guard = WriteTransactionGuard(producer, timeout)
    try:
        value = f(guard.slot)
        guard.commit()
        return value
    except BaseException:
        guard.abort()
        raise


def next_by_function(consumer, timeout, f):
    result = with_next_slot(consumer, timeout, f)
    return result.value


def next_by_iterator(consumer, timeout, f):
    return with_next_slot(iter(consumer), timeout, f).value


def next_by_with(consumer, timeout, f):
    with consumer.read(timeout) as slot:
        return f(slot)


def next_by_guard(consumer, timeout, f):
    with ReadTransactionGuard(consumer, timeout=timeout) as guard:
        return f(guard.slot)


def next_by_loop(consumer, timeout, f):
    for slot in consumer:
        return f(slot)


def at_by_function(consumer, number, timeout, f):
    return with_read_transaction(consumer, number, timeout, f)


def at_by_guard(consumer, number, timeout, f):
    with ReadTransactionGuard(consumer, number, timeout) as guard:
        return f(guard.slot)


write_ways = pytest.mark.parametrize("write", [by_function, by_with, by_guard, by_commit])
next_ways = pytest.mark.parametrize(
    "take", [next_by_function, next_by_iterator, next_by_with, next_by_guard, next_by_loop]
)
timed_next_ways = pytest.mark.parametrize(
    "take", [next_by_function, next_by_iterator, next_by_with, next_by_guard]
)
at_ways = pytest.mark.parametrize("at", [at_by_function, at_by_guard])
deliveries = pytest.mark.parametrize("delivery", DELIVERIES)


def content(slot):
    return slot.id, bytes(slot.data)


def never(slot):
    raise AssertionError(f"called with {slot!r}")


def nothing_is_held(name="camera"):
    """The diagnosis shows no claim and no hazard pointer.

    A LOSSLESS consumer counts at its cursor's slot, which is no hold.
    """
    return all(
        slot.slot_state not in (SlotState.WRITING, SlotState.DRAINING)
        and not slot.write_lock
        and not slot.reader_count
        for slot in diagnose_all_slots(name)
    )


def send(producer, *texts):
    for text in texts:
        producer.send(text, 0)


def fail_with(error, *lengths):
    def fill(slot):
        slot.data[:3] = b"bad"
        for length in lengths:
            slot.commit(length)
        raise error

    return fill


def in_a_thread(call):
    outcome = []

    def run():
        try:
            outcome.append(call())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def check_free(producer, consumer, delivery):
    while with_next_slot(consumer, 0, lambda slot: slot.id):
        pass
    for number in range(5):  # more than the ring has
        producer.send(b"%d" % number, 0)
        assert consumer.receive(0) == b"%d" % number
    slots = diagnose_all_slots("camera")
    assert not any(
        slot.write_lock or slot.slot_state in (SlotState.WRITING, SlotState.DRAINING)
        for slot in slots
    )
    assert sum(slot.reader_count for slot in slots) == 0
    assert repr(consumer).endswith("open>")


class Unusual(BaseException):
    """Derived from BaseException, not from Exception."""


errors = pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(), Timeout("another one"), KeyboardInterrupt(), SystemExit(), Unusual()],
    ids=repr,
)


ENDS = {
    "closed": (Closed, lambda producer: producer.close()),
    "removed": (Superseded, lambda producer: unlink("camera", force=True)),
    "replaced": (Superseded, lambda producer: ring(5, replace=True, force=True).close()),
}
