"""Waiting for several blocks."""

import threading

import pytest
from support import eventually

from datablock_ctypes import (
    Busy,
    Closed,
    Consumer,
    Delivery,
    Invalid,
    Producer,
    Timeout,
    list_participants,
    wait_any,
)


def open_named(name, delivery=Delivery.LOSSLESS):
    producer = Producer(name, slot_size=64, slot_count=4, unlink_on_close=True)
    return producer, Consumer(name, delivery=delivery)


@pytest.fixture(
    params=[Delivery.LOSSLESS, Delivery.ORDERED, Delivery.LATEST],
    ids=lambda delivery: delivery.name.lower(),
)
def both(request):
    left, right = open_named("left", request.param), open_named("right", request.param)
    with left[0], left[1], right[0], right[1]:
        yield left, right


def asleep(name):
    return any(row.waits for row in list_participants(name)[1:])


def in_background(consumers, timeout=None):
    """Wait in a thread, and return when the thread sleeps.

    The returned function gives the result of the wait, or raises its error.
    """
    outcome = []

    def run():
        try:
            outcome.append(wait_any(consumers, timeout))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert eventually(lambda: asleep("right"))

    def result():
        thread.join(20)
        assert outcome
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    return result


def test_wait_any_names_every_ready_one(both):
    (left_producer, left), (right_producer, right) = both
    assert wait_any([left, right], timeout=0) == []
    assert wait_any([left, right], timeout=0.1) == []
    right_producer.send(b"right")
    for _ in range(2):  # no message was dequeued
        assert wait_any([left, right]) == [right]
    left_producer.send(b"left")
    assert wait_any(iter([left, right]), timeout=0) == [left, right]
    assert [consumer.receive(0) for consumer in (left, right)] == [b"left", b"right"]
    assert wait_any([left, right], timeout=0) == []


@pytest.mark.parametrize("which", [0, 1])
def test_wait_any_is_woken(both, which):
    result = in_background([both[0][1], both[1][1]])
    both[which][0].send(b"wake up")
    assert result() == [both[which][1]]


def test_wait_any_sees_the_end(both):
    (_, left), (right_producer, right) = both
    result = in_background([left, right])
    right_producer.close()
    assert result() == [right]
    with pytest.raises(Closed):
        right.receive(0)


def test_wait_any_closed_meanwhile(both):
    (_, left), (_, right) = both
    result = in_background([left, right])
    left.close()
    with pytest.raises(Closed, match="left"):
        result()


def test_wait_any_leaves_the_handles_free(both):
    (left_producer, left), (_, right) = both
    result = in_background([left, right])

    def free():
        try:
            left.receive(0)
        except Timeout:
            return True
        except Busy:  # the waiting thread polls now and then
            return False

    assert eventually(free)
    left_producer.send(b"wake up")
    assert eventually(lambda: not result_pending(result))


def result_pending(result):
    try:
        return not result()
    except Busy:
        return False


def test_wait_any_is_asked_for_properly(both):
    (_, left), _ = both
    with pytest.raises(Invalid, match="no consumer to wait for"):
        wait_any([])
    with pytest.raises(Invalid, match="takes a list of consumers"):
        wait_any(left)
    with pytest.raises(Invalid, match="5 is no consumer"):
        wait_any([left, 5])
    for timeout in (-1, float("nan")):
        with pytest.raises(Invalid, match="timeout is"):
            wait_any([left], timeout)
    with pytest.raises(Invalid, match="count is 1025"):
        wait_any([left] * 1025, 0)
