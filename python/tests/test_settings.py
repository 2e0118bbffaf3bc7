"""Each setting of a producer and a consumer has its effect, and is refused when out of range."""

import time

import pytest

from datablock_ctypes import (
    Consumer,
    Delivery,
    Full,
    Invalid,
    Policy,
    Producer,
    Secret,
    Start,
    list_blocks,
    unlink,
)


def ring(slot_count=4, **settings):
    return Producer("camera", slot_size=100, slot_count=slot_count, **settings)


def test_secrets():
    with ring(secret=b"open\0sesame"):
        with Consumer("camera", secret=b"open\0sesame"):
            pass
        for other in (None, b"", b"open", b"wrong"):
            with pytest.raises(Secret):
                Consumer("camera", secret=other)
        with pytest.raises(TypeError):
            Consumer("camera", secret="text")


def test_timestamps():
    with ring(timestamp=True) as producer, Consumer("camera") as consumer:
        before = time.time_ns()
        producer.send(b"x")
        after = time.time_ns()
        with consumer.read() as slot:
            assert before <= slot.timestamp_ns <= after


def test_reclaimed_slots_are_used_again():
    with (
        Producer("camera", slot_size=65536, slot_count=16, reclaim=True) as producer,
        Consumer("camera") as consumer,
    ):
        used = set()
        for number in range(40):
            producer.send(bytes([number]))
            with consumer.read(0) as slot:
                used.add(slot.index)
                assert bytes(slot) == bytes([number])
        assert len(used) <= 3
        late = Consumer("camera", delivery=Delivery.ORDERED, start=Start.OLDEST)
        with late, late.read(0) as slot:
            assert (slot.id, slot.missed) == (38, 0)


def test_policies():
    for policy, present in ((Policy.SINGLE, 1), (Policy.DOUBLE_BUFFER, 2)):
        with Producer("camera", slot_size=8, policy=policy) as producer:
            with pytest.raises(Invalid):
                Consumer("camera", delivery=Delivery.LOSSLESS)
            with Consumer("camera") as consumer:
                for number in range(3):
                    producer.send(b"%d" % number, 0)
                assert consumer.receive(0) == b"2"
                assert list_blocks()[0].slot_count == present
        unlink("camera")
    with (
        Producer("camera", slot_size=8, policy=Policy.SINGLE, allow_lossless=True),
        Consumer("camera", delivery=Delivery.LOSSLESS),
    ):
        pass
    unlink("camera")
    with ring(allow_lossless=False), pytest.raises(Invalid):
        Consumer("camera", delivery=Delivery.LOSSLESS)


@pytest.mark.parametrize(
    "setting",
    [
        {"slot_count": 1 << 32 | 4},
        {"slot_count": -1},
        {"slot_size": 1 << 64 | 100},
        {"slot_size": 0},
        {"mode": -1},
        {"min_consumers": 17},
        {"alignment": 48},
        {"policy": 4},
        {"force": True},
        {"directory": "relative"},
        {"directory": "/dev/shm\0/elsewhere"},
        {"name": "camera\0left"},
        {"name": ".camera"},
        {"secret": b"x" * 1025},
    ],
)
def test_settings_out_of_range(setting):
    """No value is truncated to its C type."""
    settings = {"name": "camera", "slot_size": 100, **setting}
    with pytest.raises(Invalid):
        Producer(settings.pop("name"), **settings)
    assert list_blocks() == []


def test_settings_of_a_consumer_out_of_range():
    with ring():
        for setting in (
            {"delivery": 257},
            {"delivery": 1 << 32 | 1},
            {"start": 2},
            {"max_pins": 9},
            {"durable": True, "consumer_name": ""},
            {"consumer_name": "n" * 64},
            {"consumer_name": "a\0b"},
        ):
            with pytest.raises(Invalid):
                Consumer("camera", **setting)


def test_the_consumer_limit_is_kept():
    with ring(consumer_limit=1), Consumer("camera"), pytest.raises(Full):
        Consumer("camera")
