"""Python objects are addresses in one process: every way into a block refuses them."""

import asyncio
import ctypes

import numpy as np
import pytest

from datablock_ctypes import Consumer, Invalid, Observer, Producer, Schema, Timeout, aio

OBJECTS = np.array([None, "text"])
NESTED = np.zeros(2, [("a", "i4"), ("inside", [("b", "O")])])
CTYPES = (ctypes.py_object * 2)(None, "text")


class WithObject(ctypes.Structure):
    _fields_ = (("O", ctypes.c_int), ("o", ctypes.py_object))


class CalledO(ctypes.Structure):
    _fields_ = (("O", ctypes.c_int), ("ZOO", ctypes.c_int))


WAYS = {
    "send": lambda producer, data: producer.send(data),
    "send with a timeout": lambda producer, data: producer.send(data, timeout=1),
    "send_many of an array": lambda producer, data: producer.send_many(data),
    "send_many of a list": lambda producer, data: producer.send_many([data]),
    "send_many of a generator": lambda producer, data: producer.send_many(data for _ in range(2)),
    "aio.send": lambda producer, data: asyncio.run(aio.send(producer, data)),
}


@pytest.fixture
def pair(directory):
    with Producer("objects", slot_size=64) as producer, Consumer("objects") as consumer:
        yield producer, consumer


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "data",
    [OBJECTS, NESTED, OBJECTS[:1], OBJECTS.reshape(2, 1)[::-1]],
    ids=["plain", "nested", "one", "strided"],
)
def test_an_array_of_objects_is_refused(pair, way, data):
    producer, consumer = pair
    with pytest.raises(TypeError, match="Python objects"):
        WAYS[way](producer, data)
    with pytest.raises(Timeout):
        consumer.receive(0)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "send_many of an array"])
@pytest.mark.parametrize(
    "data", [CTYPES, memoryview(CTYPES), WithObject()], ids=["array", "view", "structure"]
)
def test_ctypes_objects_are_refused(pair, way, data):
    producer, consumer = pair
    with pytest.raises(TypeError, match="Python objects"):
        WAYS[way](producer, data)
    with pytest.raises(Timeout):
        consumer.receive(0)


def test_a_field_that_is_called_as_the_code_of_an_object(pair):
    producer, consumer = pair
    producer.send(CalledO(1, 2))
    assert consumer.receive(0) == bytes(CalledO(1, 2))
    producer.send(np.ones(2, [("O", "u1"), (":O:", "u1")]))
    assert consumer.receive(0) == b"\1" * 4


def test_arrays_in_place_are_of_no_objects(pair):
    producer, consumer = pair
    with producer.write() as slot:
        for dtype in ("O", NESTED.dtype):
            with pytest.raises(TypeError, match="Python objects"):
                slot.array(dtype)
    with consumer.read_at(0) as slot, pytest.raises(TypeError, match="Python objects"):
        slot.array("O")
    with consumer.read_many(1) as batch, pytest.raises(TypeError, match="Python objects"):
        batch.array("O")
    with Observer("objects") as observer, pytest.raises(TypeError, match="Python objects"):
        observer.newest().array("O")
    with pytest.raises(Invalid, match="counterpart"):
        Schema.from_dtype(NESTED.dtype, "Nested")


def test_the_zone_takes_no_objects(pair):
    producer, _ = pair
    with pytest.raises(TypeError, match="Python objects"), producer.flexible_zone() as zone:
        zone.data = np.full(len(zone.data), None)
    with producer.flexible_zone() as zone:
        assert bytes(zone.data) == bytes(len(zone.data))


def test_any_other_array_is_sent(pair):
    producer, consumer = pair
    for array in (
        np.arange(6, dtype=">u2").reshape(2, 3),
        np.array(["2020-01-01", "2021-01-01"], "M8[D]"),
        np.array("2020-01-01", "M8[D]"),
        np.array([["2020-01-01"]], "M8[D]"),
        np.zeros(0, "M8[D]"),
        np.float64(3),
        np.array(5),
        np.zeros(0),
        np.zeros((2, 0)),
        np.zeros(2, [("a", "M8[s]"), ("O", "u1")]),
    ):
        producer.send(array)
        assert consumer.receive(0) == array.tobytes()
        asyncio.run(aio.send(producer, array))
        assert consumer.receive(0) == array.tobytes()
        producer.send_many([array])
        assert consumer.receive(0) == array.tobytes()


@pytest.mark.parametrize("way", [way for way in WAYS if way != "send_many of an array"])
def test_what_is_not_contiguous_is_refused_with_the_cure(pair, way):
    for data, cure in (
        (np.arange(6).reshape(2, 3).T, r"numpy\.ascontiguousarray"),
        (np.array(["2020-01-01"] * 4, "M8[D]")[::2], r"numpy\.ascontiguousarray"),
        (memoryview(b"abcdef")[::2], r"bytes\(data\)"),
    ):
        with pytest.raises(TypeError, match=f"not C-contiguous.*{cure}"):
            WAYS[way](pair[0], data)
    with pytest.raises(Timeout):
        pair[1].receive(0)
