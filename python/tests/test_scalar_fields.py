"""A scalar field of a message is a value.

The memory of the message may contain another message a moment later.
"""

import numpy as np
import pytest

from datablock_ctypes import Consumer, Delivery, Invalid, Observer, Producer, Start

READING = (
    "schema Reading 1.0 { time: u64; value: f64; at: { x: f32; y: f32; }; "
    "raw: i16[3]; name: char[8]; }"
)
ROUNDS = 12


@pytest.fixture
def pair(directory):
    producer = Producer(
        "fields", slot_count=4, spare_slots=2, consumer_limit=1, schema=READING, zone_schema=READING
    )
    with producer, Consumer("fields", delivery=Delivery.LOSSLESS, start=Start.OLDEST) as consumer:
        yield producer, consumer


def fill(slot, number):
    slot["time"] = number
    slot["value"] = number / 10
    slot["at"] = (number, -number)
    slot["raw"] = (number, number + 1, number + 2)
    slot["name"] = b"n%d" % number


def test_values_of_many_messages_stay_what_they_were(pair):
    producer, consumer = pair
    times, values, xs, names, written = [], [], [], [], []
    for number in range(ROUNDS):
        with producer.write() as slot:
            fill(slot, number)
            written.append(slot["time"])
        with consumer.read(0) as slot:
            times.append(slot["time"])
            values.append(slot["value"])
            xs.append(slot["at"]["x"])
            names.append(slot["name"])
    assert [int(time) for time in times] == list(range(ROUNDS))
    assert [int(time) for time in written] == list(range(ROUNDS))
    assert values == [number / 10 for number in range(ROUNDS)]
    assert xs == list(range(ROUNDS))
    assert names == [b"n%d" % number for number in range(ROUNDS)]


def test_a_scalar_field_has_the_type_of_its_field(pair):
    producer, consumer = pair
    with producer.write() as slot:
        fill(slot, 7)
        types = [type(slot[field]) for field in ("time", "value", "name")]
    assert types == [np.uint64, np.float64, np.bytes_]
    with consumer.read(0) as slot:
        assert [type(slot[field]) for field in ("time", "value", "name")] == types
    with Observer("fields") as observer:
        assert [type(observer.newest()[field]) for field in ("time", "value", "name")] == types


def test_arrays_and_structs_are_in_place(pair):
    producer, consumer = pair
    with producer.write() as slot:
        fill(slot, 7)
        slot["raw"][1] = 100
        slot["at"]["x"] = 2.5
        assert slot["at"]["x"] == 2.5
    with consumer.read(0) as slot:
        assert list(slot["raw"]) == [7, 100, 9]
        assert slot["at"]["x"] == 2.5
        assert np.shares_memory(slot["raw"], slot.array())
        with pytest.raises(ValueError, match="read-only"):
            slot["raw"][0] = 1
        with pytest.raises(ValueError, match="read-only"):
            slot["at"]["x"] = 1


def test_a_field_of_the_zone_is_a_value(pair):
    producer, consumer = pair
    with producer.flexible_zone() as zone:
        zone["time"] = 1
        before = zone["time"]
        zone["time"] = 2
        zone["at"]["x"] = 0.5
        assert (int(before), int(zone["time"]), zone["at"]["x"]) == (1, 2, 0.5)
        assert type(before) is np.uint64
    with consumer.flexible_zone() as zone:
        assert (int(zone["time"]), zone["at"]["x"]) == (2, 0.5)


def test_a_field_of_a_batch_is_a_value(pair):
    producer, consumer = pair
    with producer.write() as slot:
        fill(slot, 3)
    with consumer.read_many(4, 0) as batch:
        assert type(batch.records[0]["time"]) is np.uint64


def test_an_array_field_cannot_be_written_to_after_the_end(pair):
    producer, consumer = pair
    with producer.write() as slot:
        fill(slot, 5)
        raw = slot["raw"]
        raw[1] = 9
    with pytest.raises(ValueError, match="read-only"):
        raw[1] = 8
    with consumer.read(0) as slot:
        assert list(slot["raw"]) == [5, 9, 7]


def test_a_field_that_the_schema_does_not_have(pair):
    """The error names the fields that there are, wherever a program gives a name."""
    producer, consumer = pair
    says = 'there is no field "tme": the schema has time, value, at, raw, name'
    with producer.write() as slot:
        with pytest.raises(Invalid, match=says):
            slot["tme"] = 1
        with pytest.raises(Invalid, match=says):
            slot["tme"]
        with pytest.raises(ValueError, match="could not convert"):
            slot["value"] = "a text"
        fill(slot, 1)
    with consumer.read(timeout=1.0) as slot, pytest.raises(Invalid, match=says):
        slot["tme"]
    with Observer("fields") as observer, pytest.raises(Invalid, match=says):
        observer.newest()["tme"]
    with producer.flexible_zone() as zone:
        with pytest.raises(Invalid, match=says):
            zone["tme"] = 1
        with pytest.raises(Invalid, match=says):
            zone["tme"]
        with pytest.raises(ValueError, match="could not convert"):
            zone["value"] = "a text"
