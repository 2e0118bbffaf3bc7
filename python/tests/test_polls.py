"""A poll that finds nothing does not sleep and allocates no struct."""

import time

import pytest

from datablock_ctypes import Consumer, Producer, Timeout, _participant

POLLS = 300


@pytest.fixture
def pair(directory):
    with Producer("polls", slot_size=8, slot_count=2) as producer, Consumer("polls") as consumer:
        yield producer, consumer


@pytest.fixture
def sleeps(monkeypatch):
    found = []
    sleep = time.sleep
    monkeypatch.setattr(
        _participant.time, "sleep", lambda seconds: (found.append(seconds), sleep(seconds))
    )
    return found


def read(pair):
    pair[1].receive(0)


def hold(pair):
    with pair[1].read(0):
        pass


def send(pair):
    pair[0].send(b"x", 0)


def send_other(pair):
    pair[0].send(memoryview(b"x"), 0)


def claim(pair):
    with pair[0].write(0):
        pass


@pytest.mark.parametrize("many", [0, 1023, 1024, 1025])
@pytest.mark.parametrize("poll", [read, hold, send, send_other, claim])
def test_a_failed_poll_neither_sleeps_nor_allocates(pair, sleeps, monkeypatch, poll, many):
    producer, consumer = pair
    for _ in range(many):  # the id of the last message decides when the next call pauses
        producer.send(b"x")
        consumer.receive(0)
    if poll in (send, send_other, claim):
        producer.send(b"x")
        producer.send(b"x")
    made = []
    kind = Consumer if poll in (read, hold) else Producer
    raw_type = kind._raw_type
    monkeypatch.setattr(kind, "_raw_type", staticmethod(lambda: (made.append(1), raw_type())[1]))
    del sleeps[:]
    for _ in range(POLLS):
        with pytest.raises(Timeout):
            poll(pair)
    assert len(made) <= 1
    assert len(sleeps) <= 1
