"""Consumers read what producers write.

The scenarios have the same names in Go (internal/core/channel) and C (tests/c).
"""

import array
import pickle

import pytest
from support import eventually

from datablock_ctypes import (
    BlockState,
    Busy,
    ChecksumAlgorithm,
    ChecksumPolicy,
    Closed,
    Consumer,
    Delivery,
    Geometry,
    Invalid,
    InvalidSlot,
    NoProducer,
    NotFound,
    Overrun,
    Policy,
    Producer,
    ProducerActive,
    RecoveryError,
    RecoveryResult,
    SlotState,
    Start,
    Superseded,
    Timeout,
    cleanup_dead_consumers,
    diagnose_all_slots,
    diagnose_slot,
    is_process_alive,
    list_blocks,
    release_zombie_readers,
    release_zombie_writer,
    unlink,
)


def ring(slot_count=4, **settings):
    return Producer("camera", slot_size=100, slot_count=slot_count, **settings)


@pytest.mark.parametrize("delivery", [Delivery.LOSSLESS, Delivery.ORDERED, Delivery.LATEST])
def test_messages_arrive_in_order(delivery):
    with ring() as producer, Consumer("camera", delivery=delivery) as consumer:
        for number in range(1000):
            payload = b"%d" % number * (number % 20)
            assert producer.send(payload) == number
            with consumer.read(0) as slot:
                assert (slot.id, slot.length, slot.missed, slot.timestamp_ns) == (
                    number,
                    len(payload),
                    0,
                    0,
                )
                assert slot.data == payload
        producer.send(b"by copy")
        assert consumer.receive(0) == b"by copy"


@pytest.mark.parametrize(
    "data",
    [
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"memoryview"),
        memoryview(b"abcdef").cast("H"),
        memoryview(bytes(range(24))).cast("B", (2, 3, 4)),
        array.array("d", [1.5, 2.5]),
        b"",
        memoryview(b""),
        array.array("i"),
        b"x" * 100,
    ],
)
def test_bytes_round_trip(data):
    with ring() as producer, Consumer("camera") as consumer:
        producer.send(data)
        assert consumer.receive(0) == memoryview(data).tobytes()
        producer.send(data)
        with consumer.read(0) as slot:
            assert bytes(slot.data) == memoryview(data).tobytes()


def test_what_is_not_bytes_is_refused():
    with ring() as producer, Consumer("camera") as consumer:
        for data, error in (
            ("text", TypeError),
            (5, TypeError),
            (memoryview(b"abcdef").cast("H")[::2], TypeError),
            (b"x" * 101, Invalid),
        ):
            with pytest.raises(error):
                producer.send(data)
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert producer.send(b"the first") == 0  # the claim was never open


def test_slots_are_filled_in_place():
    with ring() as producer, Consumer("camera") as consumer:
        with producer.write() as slot:
            assert (slot.id, slot.capacity, len(slot.data), slot.data.readonly) == (
                0,
                100,
                100,
                False,
            )
            slot.data[:5] = b"hello"
            slot.commit(5)
        with consumer.read() as slot:
            assert bytes(slot.data) == b"hello"
            assert slot.data.readonly
        with producer.write() as slot:  # no length: all of the slot
            slot.data[:] = b"y" * 100
        assert consumer.receive() == b"y" * 100
        with producer.write() as slot:
            slot.commit(5)
            slot.commit()
        assert len(consumer.receive()) == 100
        with producer.write() as slot:
            slot.commit(0)
        assert consumer.receive() == b""


def test_lossless_holds_the_producer_up():
    with ring() as producer, Consumer("camera") as consumer:
        for number in range(4):
            producer.send(b"%d" % number, 0)
        with pytest.raises(Timeout):
            producer.send(b"one too many", 0)
        with pytest.raises(
            Timeout, match=r"could not be claimed within 0.1 s: .*not read the message"
        ):
            producer.send(b"one too many", 0.1)
        with pytest.raises(Timeout), producer.write(0.01):
            pass
        assert consumer.receive(0) == b"0"
        assert producer.send(b"4", 0) == 4


def test_latest_and_ordered_never_hold_the_producer_up():
    with (
        ring() as producer,
        Consumer("camera", delivery=Delivery.LATEST) as latest,
        Consumer("camera", delivery=Delivery.ORDERED) as ordered,
    ):
        for number in range(100):
            producer.send(b"%d" % number, 0)
        with latest.read(0) as slot:
            assert slot.id == 99
        with ordered.read(0) as slot:
            assert slot.missed == slot.id == 96
        with ordered.read(0) as slot:
            assert (slot.id, slot.missed) == (97, 0)
        with pytest.raises(Timeout):
            latest.receive(0)


def test_abort_publishes_nothing_and_keeps_the_id():
    with ring() as producer, Consumer("camera") as consumer:
        with pytest.raises(ZeroDivisionError), producer.write() as slot:
            slot.data[:3] = b"bad"
            raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), producer.write() as slot:
            slot.data[:3] = b"bad"
            slot.commit(3)
            raise ZeroDivisionError
        with producer.write() as slot:
            slot.commit(3)
            slot.abort()
            slot.abort()
            with pytest.raises(ValueError, match="has ended"):
                slot.data  # noqa: B018
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert producer.send(b"good") == 0
        assert consumer.receive() == b"good"


def test_joining_starts_where_the_option_says():
    with ring(8) as producer:
        for number in range(3):
            producer.send(b"%d" % number)
        with Consumer("camera") as latest, Consumer("camera", start=Start.OLDEST) as oldest:
            assert oldest.receive(0) == b"0"
            with pytest.raises(Timeout):
                latest.receive(0)
            producer.send(b"3")
            assert latest.receive(0) == b"3"
            assert [oldest.receive(0) for _ in range(3)] == [b"1", b"2", b"3"]


def test_restart_continues_and_consumers_notice_nothing():
    with ring() as producer, Consumer("camera") as consumer:
        producer.send(b"0")
        with pytest.raises(ProducerActive):
            ring()
        producer.close()
        assert consumer.receive(0) == b"0"
        with pytest.raises(Closed):
            consumer.receive(0)
        with pytest.raises(Closed):
            consumer.receive()
        with ring() as second:
            assert second.send(b"1") == 1
            assert consumer.receive(0) == b"1"


def test_replace_hands_over():
    with ring() as producer, Consumer("camera") as consumer:
        producer.send(b"old")
        with pytest.raises(ProducerActive):
            ring(5, replace=True)
        producer.close()
        with pytest.raises(Geometry, match="slot_count"):
            ring(5)
        with ring(5, replace=True) as second:
            second.send(b"new")
            assert consumer.receive(0) == b"old"
            with pytest.raises(Superseded):
                consumer.receive()
            with Consumer("camera", start=Start.OLDEST) as again:
                assert again.receive() == b"new"


def test_a_forced_replacement_ends_the_old_producer():
    with ring() as producer:
        with pytest.raises(Superseded), producer.write() as slot:
            slot.data[:3] = b"old"
            ring(5, replace=True, force=True).close()
        with pytest.raises(Superseded):
            producer.send(b"x")
        with Consumer("camera", start=Start.OLDEST) as consumer, pytest.raises(Closed):
            consumer.receive()


def test_durable_consumer_continues():
    with ring(8) as producer:
        with Consumer("camera", durable=True, consumer_name="logger") as consumer:
            for number in range(3):
                producer.send(b"%d" % number)
            assert consumer.receive() == b"0"
            with pytest.raises(Busy):
                Consumer("camera", durable=True, consumer_name="logger")
        with Consumer("camera", durable=True, consumer_name="logger") as consumer:
            assert consumer.receive(0) == b"1"


def test_unlink_on_close_lets_consumers_drain():
    with ring(unlink_on_close=True) as producer, Consumer("camera") as consumer:
        producer.send(b"last")
        producer.close()
        assert list_blocks() == []
        assert [bytes(slot.data) for slot in consumer] == [b"last"]


def test_several_messages_may_be_held_at_once():
    with ring(8) as producer, Consumer("camera", max_pins=3) as consumer:
        for number in range(8):
            producer.send(b"%d" % number)
        with consumer.read() as first, consumer.read() as second, consumer.read() as third:
            assert [bytes(slot.data) for slot in (first, second, third)] == [b"0", b"1", b"2"]
            assert repr(consumer) == "<Consumer 'camera' DEFAULT holding 3>"
            with pytest.raises(Busy), consumer.read(0):
                pass
            with pytest.raises(Timeout):
                producer.send(b"8", 0)
        # The newest message ended first. A LOSSLESS consumer releases them in order nevertheless.
        for number in range(8, 11):
            producer.send(b"%d" % number, 0)
        with pytest.raises(Timeout):
            producer.send(b"11", 0)
        assert [consumer.receive(0) for _ in range(8)] == [
            b"%d" % number for number in range(3, 11)
        ]
        first, second = consumer.read(), consumer.read()
        producer.send(b"11")
        producer.send(b"12")
        with first:
            second.__enter__()
            assert bytes(second.data) == b"12"
            second.release()
            second.release()
            assert bytes(first.data) == b"11"


def test_read_at_gives_that_message_or_none():
    with ring() as producer, Consumer("camera", delivery=Delivery.LATEST, max_pins=2) as consumer:
        for number in range(6):
            producer.send(b"%d" % number)
        with consumer.read_at(3) as three, consumer.read_at(4) as four:
            assert (three.id, bytes(three.data), four.id, bytes(four.data)) == (3, b"3", 4, b"4")
        with pytest.raises(Overrun), consumer.read_at(0):
            pass
        with pytest.raises(NotFound), consumer.read_at(6):
            pass
        assert consumer.receive(0) == b"5"


def test_iteration_ends_with_the_stream():
    producer = ring(8)
    with Consumer("camera") as consumer:
        for number in range(5):
            producer.send(b"%d" % number)
        producer.close()
        seen = []
        for slot in consumer:
            seen.append((slot.id, bytes(slot.data)))
            before = slot.data
        assert seen == [(number, b"%d" % number) for number in range(5)]
        with pytest.raises(ValueError, match="released"):
            before[0]
        assert list(consumer) == []


def test_each_slot_of_an_iteration_ends_when_the_next_begins():
    with ring(8) as producer, Consumer("camera") as consumer:
        for number in range(8):
            producer.send(b"%d" % number)
        slots = iter(consumer)
        first = next(slots)
        view = first.data
        assert bytes(view) == b"0"
        assert next(slots).id == 1
        with pytest.raises(ValueError, match="released"):
            view[0]
        for slot in slots:
            if slot.id == 3:
                break
        del slots  # after the loop nothing is held
        assert repr(slot) == "<ReadSlot of 'camera' id=3 length=1 ended>"
        assert "open" in repr(consumer)
        with pytest.raises(KeyError):
            for _ in consumer:
                raise KeyError
        assert "open" in repr(consumer)
        assert consumer.receive() == b"5"


def test_misused_writes():
    with ring() as producer:
        slot = producer.write()
        assert repr(slot) == "<WriteSlot of 'camera' id=0 capacity=0 not begun>"
        for use in (lambda: slot.data, slot.array, slot.commit):
            with pytest.raises(Invalid, match="with"):
                use()
        with slot:
            assert repr(slot) == "<WriteSlot of 'camera' id=0 capacity=100 open>"
            with pytest.raises(TypeError):
                slot.commit(2.5)
            for length in (-1, 101, 1 << 64):
                with pytest.raises(Invalid, match=r"exceeds|below zero"):
                    slot.commit(length)
            with pytest.raises(Invalid, match="still open"), producer.write():
                pass
            with pytest.raises(Invalid, match="still open"):
                producer.send(b"x")
            slot.commit(5)
        assert repr(slot) == "<WriteSlot of 'camera' id=0 capacity=100 ended>"
        for use in (lambda: slot.data, slot.array, slot.commit, slot.__enter__):
            with pytest.raises(Invalid):
                use()
        assert producer.send(b"x") == 1
        for timeout in (-1, -0.001, float("nan")):
            with pytest.raises(Invalid, match="timeout"):
                producer.send(b"x", timeout)
            with pytest.raises(Invalid, match="timeout"):
                producer.write(timeout)


def test_misused_reads():
    with ring() as producer, Consumer("camera") as consumer:
        producer.send(b"0")
        slot = consumer.read()
        assert repr(slot) == "<ReadSlot of 'camera' not begun>"
        for use in (lambda: slot.data, slot.array):
            with pytest.raises(Invalid, match="with"):
                use()
        with slot:
            assert repr(slot) == "<ReadSlot of 'camera' id=0 length=1 held>"
            with pytest.raises(Busy), consumer.read(0):
                pass
            with pytest.raises(Busy):
                consumer.receive(0)
            with pytest.raises(TypeError, match="read-only"):
                slot.data[0] = 1
        for use in (lambda: slot.data, slot.array, slot.__enter__):
            with pytest.raises(Invalid):
                use()
        with pytest.raises(Invalid):
            consumer.read_at(-1)
        for timeout in (-1, float("nan")):
            for use in (consumer.read, consumer.receive):
                with pytest.raises(Invalid, match="timeout"):
                    use(timeout)


def test_closed_objects_say_so():
    producer = ring()
    consumer = Consumer("camera")
    assert (repr(producer), repr(consumer)) == (
        "<Producer 'camera' RING slot_size=100 open>",
        "<Consumer 'camera' DEFAULT open>",
    )
    for participant in (producer, consumer):
        with pytest.raises(TypeError, match="belongs to its process"):
            pickle.dumps(participant)
        participant.close()
        participant.close()
        assert participant.closed
    assert (repr(producer), repr(consumer)) == (
        "<Producer 'camera' RING slot_size=100 closed>",
        "<Consumer 'camera' DEFAULT closed>",
    )
    for use in (
        lambda: producer.send(b""),
        producer.write().__enter__,
        consumer.receive,
        consumer.read().__enter__,
        consumer.read_at(0).__enter__,
    ):
        with pytest.raises(Closed, match="is closed"):
            use()
    assert list(consumer) == []


def test_closing_within_a_slot():
    with ring() as producer, Consumer("camera") as consumer:
        producer.send(b"0")
        with consumer.read() as slot:
            view = slot.data
            consumer.close()
            with pytest.raises(ValueError, match="released"):
                view[0]
            with pytest.raises(Invalid):
                slot.data  # noqa: B018
        with pytest.raises(Closed, match="is closed"), producer.write() as slot:
            view = slot.data
            producer.close()
            with pytest.raises(ValueError, match="released"):
                view[0] = 1
        with ring() as second:
            assert second.send(b"1") == 1


def test_what_nothing_refers_to_is_closed():
    ring().send(b"x")
    with ring():
        with pytest.raises(NotFound):
            Consumer("other")
        Consumer("camera")
        assert eventually(lambda: list_blocks()[0].consumers == 0)


def test_no_producer_is_a_timeout():
    producer = ring()
    with Consumer("camera") as consumer:
        producer.close()
        with pytest.raises(Closed):
            consumer.receive(0.01)
    assert issubclass(NoProducer, Timeout)


def test_listing(directory):
    with ring(8) as producer, Consumer("camera"), Producer("a", slot_size=64):
        producer.send(b"x")
        (directory / "zzz").write_text("something else")
        a, camera, *_ = list_blocks()
        assert a.name == "a"
        assert (camera.name, camera.slot_count, camera.slot_size, camera.next_id) == (
            "camera",
            8,
            100,
            1,
        )
        assert (camera.policy, camera.consumers, camera.consumer_limit, camera.state) == (
            Policy.RING,
            1,
            16,
            BlockState.READY,
        )
        assert is_process_alive(camera.producer_pid)
        assert (camera.checksum, camera.algorithm) == (
            ChecksumPolicy.NONE,
            ChecksumAlgorithm.DEFAULT,
        )
        with Producer("b", slot_size=64, checksum=ChecksumPolicy.MANUAL):
            _, b, _ = list_blocks()
            assert (b.checksum, b.algorithm) == (ChecksumPolicy.MANUAL, ChecksumAlgorithm.CRC32C)
        unlink("b")
        assert list_blocks(directory)[0] == a
        with pytest.raises(NotFound):
            list_blocks(directory / "missing")
        with pytest.raises(ProducerActive):
            unlink("camera")
        producer.close()
        with pytest.raises(Busy):
            unlink(directory / "camera")
        unlink("camera", force=True)
        with pytest.raises(NotFound):
            unlink("camera")
    unlink("a")
    (directory / "zzz").unlink()
    assert list_blocks() == []


def test_diagnosis():
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        producer.send(b"0")
        with consumer.read() as read, producer.write() as write:
            slots = diagnose_all_slots("camera")
            assert [slot.slot_index for slot in slots] == list(range(len(slots)))
            assert not any(slot.is_stuck or slot.stuck_duration_ms or slot.holder for slot in slots)
            assert (
                slots[read.index].slot_state,
                slots[read.index].slot_id,
                slots[read.index].reader_count,
            ) == (
                SlotState.COMMITTED,
                0,
                1,
            )
            assert slots[write.index].slot_state == SlotState.WRITING
            assert is_process_alive(slots[write.index].write_lock)
            assert diagnose_slot("camera", read.index) == slots[read.index]
            assert release_zombie_readers("camera", read.index) == RecoveryResult.NOT_STUCK
            assert release_zombie_writer("camera", write.index) == RecoveryResult.UNSAFE
            assert release_zombie_writer("camera", read.index) == RecoveryResult.NOT_STUCK
        for function in (diagnose_slot, release_zombie_readers, release_zombie_writer):
            with pytest.raises(InvalidSlot, match="there is no slot 999"):
                function("camera", 999)
            with pytest.raises(IndexError):
                function("camera", len(slots))
            with pytest.raises(RecoveryError, match="no block"):
                function("missing", 0)
            with pytest.raises(Invalid):
                function("camera", -1)
        with pytest.raises(Invalid):
            diagnose_all_slots(".camera")
        with pytest.raises(RecoveryError) as raised:
            cleanup_dead_consumers("missing")
        assert raised.value.code == -2
        assert cleanup_dead_consumers("camera", (1 << 64) - 1) == 0
    for pid in (0, (1 << 64) - 1):
        assert not is_process_alive(pid)
