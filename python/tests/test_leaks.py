"""Memory, descriptors and mappings do not grow."""

import gc
import os

import pytest
from support import descriptors, mappings, resident

from datablock_ctypes import Consumer, DataBlockError, Delivery, Producer, Timeout, unlink

# `make soak` opens and closes a million slots. An object of Python has at least 16 bytes: a leak of
# one for each slot exceeds the bound with 200,000 slots as well.
SLOTS = 1_000_000 if os.environ.get("DATABLOCK_SOAK") else 200_000
BOUND = 2 * SLOTS  # bytes


def test_many_slots_opened_and_closed(directory):
    with (
        Producer("camera", slot_size=64, slot_count=64) as producer,
        Consumer("camera") as consumer,
    ):

        def exchange(messages):
            for number in range(messages):
                with producer.write(0) as slot:
                    slot.data[0] = number & 255
                    slot.commit(number % 64 + 1)
                with consumer.read(0) as slot:
                    if slot.data[0] != number & 255 or slot.length != number % 64 + 1:
                        raise AssertionError(number)

        exchange(SLOTS // 20)
        gc.collect()
        before = resident(), len(os.listdir("/proc/self/fd")), mappings(directory)
        exchange(SLOTS // 2)  # a slot on each side
        gc.collect()
        after = resident(), len(os.listdir("/proc/self/fd")), mappings(directory)
        assert after[0] - before[0] < max(BOUND, 1 << 20), f"{before} {after}"
        assert after[1:] == before[1:]


def test_arrays_copies_and_errors_leave_nothing(directory):
    pytest.importorskip("numpy")
    with (
        Producer("camera", slot_size=64, slot_count=8) as producer,
        Consumer("camera", delivery=Delivery.ORDERED) as consumer,
    ):

        def exchange(messages):
            for number in range(messages):
                producer.send(b"x" * (number % 64))
                consumer.receive(0)
                with producer.write(0) as slot:
                    slot.array()[:] = 7
                with consumer.read(0) as slot:
                    slot.array("u8").sum()
                try:
                    with producer.write(0) as slot:
                        raise KeyError
                except KeyError:
                    pass
                try:
                    consumer.receive(0)
                except Timeout:
                    pass

        exchange(1000)
        gc.collect()
        before = resident(), mappings(directory), len(descriptors(directory))
        exchange(20_000)
        gc.collect()
        assert resident() - before[0] < 1 << 20
        assert (mappings(directory), len(descriptors(directory))) == before[1:]


@pytest.mark.parametrize("ending", ["close", "forget"])
def test_objects_opened_and_closed(directory, ending):
    def open_and_close(times):
        for _ in range(times):
            producer = Producer("camera", slot_size=64, slot_count=8)
            consumer = Consumer("camera")
            with producer.write() as slot:
                slot.array()[:] = 1
            with consumer.read() as slot:
                slot.array()
            try:
                Producer("camera", slot_size=64, slot_count=8)
            except DataBlockError:
                pass
            if ending == "close":
                consumer.close()
                producer.close()
            del producer, consumer, slot

    open_and_close(50)
    gc.collect()
    before = resident()
    open_and_close(500)
    gc.collect()
    assert resident() - before < 4 << 20
    assert descriptors(directory) == []
    assert mappings(directory) == 0
    unlink("camera")
