"""Consumers that wait for their block, and the permission to be LOSSLESS."""

import signal
import threading
import time

import pytest
from support import eventually

from datablock_ctypes import (
    Consumer,
    Delivery,
    Geometry,
    Invalid,
    NotFound,
    Policy,
    Producer,
    Start,
    Timeout,
    unlink,
)
from datablock_ctypes._library import library


@pytest.fixture
def waits(monkeypatch):
    """The wait_ms of each call that opens a consumer."""
    found = []
    attach = library().datablock_consumer_open

    def opening(path, options, handle):
        found.append(options.wait_ms)
        return attach(path, options, handle)

    monkeypatch.setattr(library(), "datablock_consumer_open", opening)
    return found


@pytest.mark.parametrize("wait", [None, 60, 1e300])
def test_a_consumer_waits_for_its_block(waits, wait):
    received = []

    def attach():
        with Consumer("late", wait=wait, start=Start.OLDEST) as consumer:
            received.append(consumer.receive(60))

    thread = threading.Thread(target=attach)
    thread.start()
    assert eventually(lambda: len(waits) >= 2)
    with Producer("late", slot_size=8) as producer:
        producer.send(b"first")
        thread.join(60)
    assert received == [b"first"]
    assert 0 < max(waits) < 100  # an interrupt comes between two of these calls
    unlink("late")


def test_a_wait_for_a_block_ends(waits):
    start = time.monotonic()
    with pytest.raises(Timeout, match=r'no block "late" in .* within 0\.15 s: ') as raised:
        Consumer("late", wait=0.15)
    assert time.monotonic() - start >= 0.15
    assert isinstance(raised.value, TimeoutError)
    with pytest.raises(NotFound):
        Consumer("late")
    with pytest.raises(NotFound):
        Consumer("late", wait=0)
    for wait in (-1, float("nan")):
        with pytest.raises(Invalid, match="wait is"):
            Consumer("late", wait=wait)


def test_an_interrupt_ends_a_wait_for_a_block(waits):
    class Interrupt(Exception):
        pass

    def interrupt(*_):
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Interrupt):
            Consumer("late", wait=None)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(waits) < 20


def opened(**settings):
    return Producer("ring", slot_size=8, **settings)


def allows_lossless():
    try:
        Consumer("ring", delivery=Delivery.LOSSLESS).close()
    except Invalid:
        return False
    return True


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({}, True),
        ({"timestamp": True}, True),
        ({"allow_lossless": True}, True),
        ({"allow_lossless": False}, False),
        ({"allow_lossless": False, "timestamp": True}, False),
        ({"policy": Policy.SINGLE}, False),
        ({"policy": Policy.SINGLE, "allow_lossless": True}, True),
        ({"policy": Policy.SINGLE, "allow_lossless": False}, False),
    ],
)
def test_who_may_be_lossless(settings, allowed):
    with opened(unlink_on_close=True, **settings):
        assert allows_lossless() is allowed


def test_another_answer_about_lossless_is_another_geometry():
    opened(allow_lossless=False).close()
    with pytest.raises(Geometry, match="allow_lossless false, asked for true"):
        opened(allow_lossless=True)
    with opened(allow_lossless=False):
        assert not allows_lossless()
    unlink("ring")
