"""Participants, recovery by force, and its log."""

import os
import signal
import subprocess
import sys

import pytest

from datablock_ctypes import (
    Consumer,
    Delivery,
    Fenced,
    InvalidSlot,
    Lost,
    NotFound,
    Producer,
    RecoveryError,
    RecoveryResult,
    SlotState,
    Timeout,
    diagnose_all_slots,
    evict_consumer,
    force_reset_all_slots,
    force_reset_slot,
    get_metrics,
    list_participants,
    recovery_log,
)

CLAIMER = """
import sys
from datablock_ctypes import Producer
producer = Producer("reset", slot_size=64)
producer.send(b"before")
slot = producer.write().__enter__()
print(slot.index, flush=True)
sys.stdin.read()
"""


def test_a_killed_writer_is_reset_and_readers_are_not_affected(directory):
    claimer = subprocess.Popen(
        [sys.executable, "-c", CLAIMER],
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    index = int(claimer.stdout.readline())
    with Consumer("reset", start=1) as consumer:
        assert force_reset_slot("reset", index) == RecoveryResult.UNSAFE
        claimer.send_signal(signal.SIGKILL)
        claimer.wait()
        claimer.stdin.close()
        claimer.stdout.close()
        assert diagnose_all_slots("reset")[index].is_stuck
        assert force_reset_slot("reset", index) == RecoveryResult.SUCCESS
        assert diagnose_all_slots("reset")[index].slot_state == SlotState.FREE
        assert force_reset_slot("reset", index) == RecoveryResult.NOT_STUCK
        with consumer.read() as message:
            assert message.data == b"before"
        with Producer("reset", slot_size=64) as producer:
            assert producer.send(b"after") == 1
        with consumer.read() as message:
            assert message.data == b"after"
    assert [record.text for record in recovery_log("reset")] == [
        f"slot {index}: ended the claim of the dead producer, pid {claimer.pid}; nothing was "
        "published"
    ]


def test_a_living_producers_claim_is_fenced_by_force_only(directory):
    with Producer("reset", slot_size=64) as producer, Consumer("reset") as consumer:
        slot = producer.write().__enter__()
        assert force_reset_slot("reset", slot.index) == RecoveryResult.UNSAFE
        assert force_reset_slot("reset", slot.index, force=True) == RecoveryResult.SUCCESS
        with pytest.raises(Fenced):
            slot.__exit__(None, None, None)
        with pytest.raises(Timeout):
            consumer.read(0).__enter__()
        assert producer.send(b"next") == slot.id


def test_messages_that_are_reset_by_force_are_lost(directory):
    with Producer("reset", slot_size=64) as producer, Consumer("reset") as consumer:
        for _ in range(3):
            producer.send(b"x")
        assert (
            force_reset_all_slots("reset") == RecoveryResult.UNSAFE
        )  # the consumer has yet to read the first message
        assert force_reset_all_slots("reset", force=True) == RecoveryResult.SUCCESS
        for _ in range(3):
            with pytest.raises(Lost):
                consumer.read(0).__enter__()
        assert producer.send(b"y") == 3
        with consumer.read() as message:
            assert message.id == 3
        assert {record.text.split(":")[1] for record in recovery_log("reset")} == {
            f" discarded message {n}; its readers get LOST" for n in range(3)
        }


def test_a_hung_reader_is_evicted(directory):
    with (
        Producer("reset", slot_size=64, slot_count=2) as producer,
        Consumer("reset", consumer_name="hung") as consumer,
    ):
        producer.send(b"x")
        producer.send(b"x")
        with pytest.raises(Timeout):
            producer.send(b"x", timeout=0)
        (row,) = [one.row for one in list_participants("reset") if one.name == "hung"]
        assert evict_consumer("reset", row) == RecoveryResult.UNSAFE
        assert evict_consumer("reset", row, force=True) == RecoveryResult.SUCCESS
        producer.send(b"x", timeout=0)
        with pytest.raises(Fenced):
            consumer.read(0).__enter__()
        assert evict_consumer("reset", row) == RecoveryResult.NOT_STUCK
    with pytest.raises(InvalidSlot):
        evict_consumer("reset", 0)
    with pytest.raises(RecoveryError):
        force_reset_slot("nothing", 0)


def test_participants_are_listed(directory):
    with (
        Producer("reset", slot_size=64) as producer,
        Consumer("reset", delivery=Delivery.LATEST, consumer_name="display"),
    ):
        producer.send(b"x")
        first, second = list_participants("reset")
        assert (first.row, first.pid, first.cursor, first.alive) == (0, os.getpid(), 1, True)
        assert (second.name, second.delivery, second.lag, second.alive, second.durable) == (
            "display",
            Delivery.LATEST,
            1,
            True,
            False,
        )


def test_metrics_count_what_happened(directory):
    with (
        Producer("reset", slot_size=64) as producer,
        Consumer("reset", consumer_name="log") as consumer,
    ):
        for _ in range(3):
            producer.send(b"abc")
        with consumer.read():
            pass
        with pytest.raises(ZeroDivisionError), producer.write():
            raise ZeroDivisionError
        figures = get_metrics("reset")
        assert (
            figures.written,
            figures.bytes,
            figures.aborted,
            figures.read,
            figures.max_lag,
            figures.consumers,
        ) == (
            3,
            9,
            1,
            1,
            2,
            1,
        )
        log = list_participants("reset")[1]
        assert (log.name, log.read, log.bytes, log.lag, log.uid) == ("log", 1, 3, 2, os.getuid())
    with pytest.raises(NotFound):
        get_metrics("nothing")
