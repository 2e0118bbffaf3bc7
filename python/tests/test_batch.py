"""Several messages in one call."""

import os
import struct

import numpy as np
import pytest

from datablock_ctypes import (
    Checksum,
    ChecksumPolicy,
    Closed,
    Consumer,
    Delivery,
    Fenced,
    Invalid,
    Producer,
    Start,
    Timeout,
    evict_consumer,
)

PAIR = np.dtype([("id", "<u8"), ("half", "<f8")])


def pairs(first, count):
    samples = np.zeros(count, PAIR)
    samples["id"] = np.arange(first, first + count)
    samples["half"] = samples["id"] / 2
    return samples


def producer(**more):
    return Producer("batch", **{"slot_size": 64, "slot_count": 8, **more})


def test_parts_of_a_batch(directory):
    place = {"delivery": Delivery.LOSSLESS, "durable": True, "consumer_name": "log"}
    with producer(slot_count=8) as p:
        with Consumer("batch", **place) as c:
            assert not c.resumed
            p.send_many(pairs(0, 8))
            with pytest.raises(ZeroDivisionError), c.read_many(8, timeout=0) as batch:
                batch.release(4)
                assert list(batch.ids) == [4, 5, 6, 7]
                assert (batch.array(PAIR) == pairs(4, 4)).all()
                assert p.send_many(pairs(8, 4), timeout=0) == 4
                batch.release(0)
                batch.release(1)
                assert list(batch.ids) == [5, 6, 7]
                c.close()
                raise ZeroDivisionError
        with Consumer("batch", **place) as c:
            assert c.resumed
            with c.read_many(8, timeout=0) as batch:
                assert list(batch.ids) == [5, 6, 7, 8, 9, 10, 11]
                batch.release(3)
                batch.release(99)
                batch.release(1)
            assert p.send_many(pairs(12, 8), timeout=0) == 8
            with c.read_many(8, timeout=0) as batch:
                assert list(batch.ids) == list(range(12, 20))


def test_batch_of_a_lossless_reader(directory):
    with producer(slot_count=300) as p, Consumer("batch", delivery=Delivery.LOSSLESS) as c:
        assert p.send_many(pairs(0, 250)) == 250
        with c.read_many(200, timeout=0) as batch:
            assert len(batch) == 200
            samples = batch.array(PAIR)
            assert (samples == pairs(0, 200)).all()
            assert not samples.flags.writeable
            assert list(batch.ids) == list(range(200))
            assert set(batch.missed) == {0}
            assert struct.unpack("<Qd", batch[3]) == (3, 1.5)
            assert [len(message) for message in batch[-2:]] == [16, 16]
        with c.read_many(200) as batch:
            assert (batch.array(PAIR) == pairs(200, 50)).all()
        with pytest.raises(Timeout), c.read_many(1, timeout=0.01):
            pass


def test_batch_in_place_and_gathered(directory):
    """Slots that follow each other in memory are used in place. Other slots are copied."""
    with (
        producer(slot_count=8, spare_slots=16) as p,
        Consumer("batch", delivery=Delivery.LOSSLESS) as c,
    ):
        kinds = set()
        for lap in range(40):
            count = 1 + lap % 7
            p.send_many(pairs(10 * lap, count))
            with c.read_many(8) as batch:
                samples = batch.array(PAIR)
                assert (samples == pairs(10 * lap, count)).all()
                kinds.add(np.shares_memory(samples, np.frombuffer(c._view, "u1")))
            if lap % 3 == 0:
                p.send(b"one by itself")
                c.receive()
        assert kinds == {True, False}


def test_batch_of_rows_and_of_texts(directory):
    with producer() as p, Consumer("batch", delivery=Delivery.LOSSLESS) as c:
        rows = np.arange(24, dtype="<u4").reshape(3, 8)
        assert p.send_many(rows[:, ::2]) == 3  # not in order in memory: copied
        with c.read_many(8) as batch:
            assert (batch.array("<u4") == rows[:, ::2]).all()
        assert p.send_many([b"one", bytearray(b"three"), memoryview(b""), np.ones(2, "u1")]) == 4
        with c.read_many(8) as batch:
            assert [bytes(message) for message in batch] == [b"one", b"three", b"", b"\1\1"]
            assert list(batch.lengths) == [3, 5, 0, 2]
            with pytest.raises(Invalid, match="between 0 and 5 bytes"):
                batch.array()
        assert p.send_many([]) == 0
        assert p.send_many(np.zeros((0, 4))) == 0
        assert p.send_many([b"", b""]) == 2
        with c.read_many(8) as batch:
            assert batch.array().shape == (2, 0)


def test_batch_holds_the_producer_up(directory):
    with producer() as p, Consumer("batch", delivery=Delivery.LOSSLESS) as c:
        assert p.send_many(pairs(0, 12), timeout=0.02) == 8
        with c.read_many(100) as batch:
            with pytest.raises(Timeout):
                p.send_many(pairs(8, 1), timeout=0)
            assert len(batch) == 8
        assert p.send_many(pairs(8, 4), timeout=0) == 4


def test_batch_of_an_ordered_reader(directory):
    with producer() as p, Consumer("batch", delivery=Delivery.ORDERED, max_pins=3) as c:
        p.send_many(pairs(0, 10))
        with c.read_many(8) as batch:
            samples = batch.array(PAIR)
            p.send_many(pairs(10, 8))
            assert (samples == pairs(2, 3)).all()
            assert list(batch.missed) == [2, 0, 0]


def test_batch_ends_before_an_error(directory):
    with (
        producer(checksum=ChecksumPolicy.ENFORCED) as p,
        Consumer("batch", delivery=Delivery.LOSSLESS) as c,
    ):
        p.send_many(pairs(0, 4))
        with c.read_at(2) as slot:
            index, start = slot.index, slot._start
        with open(os.path.join(directory, "batch"), "r+b") as file:
            file.seek(start)
            file.write(b"\xff")
        with c.read_many(8) as batch:
            assert list(batch.ids) == [0, 1]
        with pytest.raises(Checksum), c.read_many(8):
            pass
        with c.read_many(8) as batch:
            assert list(batch.ids) == [3]
        assert index < 8 + 64


def test_batch_of_an_evicted_reader(directory):
    with producer() as p, Consumer("batch", delivery=Delivery.LOSSLESS) as c:
        p.send_many(pairs(0, 8))
        with pytest.raises(Fenced), c.read_many(8):
            evict_consumer("batch", 1, force=True)


def test_batch_is_asked_for_properly(directory):
    with producer() as p, Consumer("batch", start=Start.OLDEST) as c:
        with pytest.raises(Invalid, match="65 bytes exceeds"):
            p.send_many([b"x", b"y" * 65])
        with pytest.raises(Timeout):
            c.receive(0)  # nothing of it was sent
        with pytest.raises(Invalid, match="most"):
            c.read_many(0)
        with pytest.raises(Invalid, match="no axis"):
            p.send_many(np.array(3))
        with pytest.raises(TypeError, match="Python objects"):
            p.send_many(np.array([object()]))
        batch = c.read_many(8, timeout=0)
        with pytest.raises(Invalid, match="with statement"):
            batch.array()
        p.send(b"x")
        with batch:
            first = batch[0]
            with pytest.raises(Invalid, match="was used before"):
                batch.__enter__()
        assert "ended" in repr(batch)
        with pytest.raises(ValueError, match="released"):
            bytes(first)
        with pytest.raises(Invalid, match="ended"):
            batch.array()
        p.close()
        with pytest.raises(Closed), c.read_many(8):
            pass


def test_close_ends_a_batch(directory):
    with producer() as p, Consumer("batch", delivery=Delivery.LOSSLESS) as c:
        p.send_many(pairs(0, 8))
        with c.read_many(8) as batch:
            c.close()
            with pytest.raises(Invalid):
                batch.array()


def test_send_waits_where_one_call_is_not_enough(directory):
    with producer() as p, Consumer("batch", delivery=Delivery.LOSSLESS) as c:
        assert [p.send(b"%d" % i, timeout=0) for i in range(8)] == list(range(8))
        with pytest.raises(Timeout):
            p.send(b"8", timeout=0)
        with pytest.raises(Timeout):
            p.send(b"8", timeout=0.01)
        assert c.receive() == b"0"
        assert p.send(b"8", timeout=0.01) == 8
