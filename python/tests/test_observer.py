"""Observers: copying messages without being a participant."""

import numpy as np
import pytest
from support import eventually

from datablock_ctypes import (
    Closed,
    Consumer,
    Invalid,
    NotFound,
    Observer,
    Overrun,
    Producer,
    SchemaMismatch,
    Secret,
    Superseded,
    list_participants,
)


def ring(**more):
    return Producer("ring", **{"slot_size": 64, "slot_count": 4, **more})


def test_observer_sees_the_newest(directory):
    with ring() as producer, Observer("ring") as observer:
        with pytest.raises(NotFound, match="has no message yet"):
            observer.newest()
        producer.send(b"one")
        producer.send(b"number two")
        for _ in range(2):  # an observer has no cursor
            seen = observer.newest()
            assert (seen.id, seen.data, seen.next_id) == (1, b"number two", 2)
        assert observer.read_at(0).data == b"one"
        with pytest.raises(NotFound):
            observer.read_at(2)
        for _ in range(4):
            producer.send(b"")
        assert observer.newest().data == b""
        with pytest.raises(Overrun, match="the oldest present is 2"):
            observer.read_at(1)


def test_observer_leaves_no_trace(directory):
    with ring() as producer:
        producer.send(b"1")
        before = {path.name: path.read_bytes() for path in directory.iterdir()}
        with Observer("ring") as observer:
            observer.newest()
            assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
            assert len(list_participants("ring")) == 1


def test_observer_is_told_of_the_end(directory):
    with ring(unlink_on_close=True) as producer:
        producer.send(b"last words")
        observer = Observer("ring")

    def superseded():
        try:
            return observer.newest().data != b"last words"
        except Superseded:
            return True

    assert eventually(superseded)
    observer.close()
    observer.close()
    with pytest.raises(Closed):
        observer.newest()


def test_observer_sees_fields_by_name(directory):
    with ring(schema="schema Sample 1.0.0 { time: u64; value: f64[3]; }") as producer:
        with producer.write() as slot:
            slot["time"] = 7
            slot["value"] = 1, 2, 3
        with Observer("ring") as observer:
            seen = observer.newest()
            assert seen["time"] == 7
            assert np.array_equal(seen["value"], [1, 2, 3])
            assert observer.schema.name == "Sample"
        with pytest.raises(SchemaMismatch, match='"value"'):
            Observer("ring", schema="schema Sample 1.0.0 { time: u64; value: f32[3]; }")


def test_observer_is_asked_for_properly(directory):
    with pytest.raises(NotFound, match='no block "ring"'):
        Observer("ring")
    with ring(secret=b"open") as producer:
        producer.send(b"1")
        with pytest.raises(Secret):
            Observer("ring")
        with Observer("ring", secret=b"open") as observer, Consumer("ring", secret=b"open"):
            with pytest.raises(SchemaMismatch):
                observer.newest()["x"]
            with pytest.raises(Invalid):
                observer.read_at(-1)
            assert repr(observer) == "<Observer 'ring' open>"
