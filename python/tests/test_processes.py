"""Python processes killed with -9, and Python processes that continue without them."""

import pytest
from support import Worker, eventually

from datablock_ctypes import (
    Consumer,
    Delivery,
    Producer,
    RecoveryResult,
    SlotState,
    Start,
    Timeout,
    cleanup_dead_consumers,
    diagnose_all_slots,
    diagnose_slot,
    is_process_alive,
    list_blocks,
    release_zombie_readers,
    release_zombie_writer,
)

PRODUCER = """
    import sys
    from datablock_ctypes import Producer
    producer = Producer("camera", slot_size=4096, slot_count=8)
    print("open", flush=True)
    for line in sys.stdin:
        if line == "flood\\n":
            while True:
                number = 0
                with producer.write() as slot:
                    number = slot.id
                    slot.array("u8")[:] = number
                print(number, flush=True)
        elif line == "claim\\n":
            claim = producer.write().__enter__()
            claim.data[:100] = b"x" * 100
            print("claimed", claim.id, claim.index, flush=True)
        else:
            print("sent", producer.send(line.strip().encode()), flush=True)
"""

CONSUMER = """
    import sys
    from datablock_ctypes import Consumer, Delivery
    consumer = Consumer(
        "camera", delivery=Delivery[sys.argv[1]], durable=len(sys.argv) > 2, consumer_name="victim"
    )
    print("open", flush=True)
    for line in sys.stdin:
        if line == "hold\\n":
            slot = consumer.read().__enter__()
            array = slot.array()
            print("holding", slot.id, slot.index, flush=True)
        elif line == "wait\\n":
            print("waiting", flush=True)
            consumer.receive()
        else:
            print("received", consumer.receive(), flush=True)
"""


def torn(slot):
    return not (slot.array("u8") == slot.id).all()


@pytest.mark.parametrize("delivery", [Delivery.LOSSLESS, Delivery.ORDERED, Delivery.LATEST])
def test_a_producer_is_killed_while_it_writes(delivery):
    """Kills a producer again and again, at any moment.

    Every message that the producer reported as committed exists, no message is torn, ids have no
    gap, and the surviving consumer notices nothing.
    """
    consumer, seen, said = None, [], []
    for _ in range(5):
        with Worker(PRODUCER) as worker:
            assert worker.line() == "open"
            if consumer is None:
                consumer = Consumer("camera", delivery=delivery)
            worker.say("flood")
            for _ in range(20):
                with consumer.read(20) as slot:
                    assert not torn(slot)
                    seen.append((slot.id, slot.missed))
            worker.kill()
            said += [int(line) for line in worker.process.stdout.read().splitlines()]
        while True:
            try:
                with consumer.read(0) as slot:
                    assert not torn(slot)
                    seen.append((slot.id, slot.missed))
            except Timeout:
                break
    numbers = [number for number, _ in seen]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] >= said[-1]
    assert said == sorted(set(said))
    if delivery is Delivery.LOSSLESS:
        assert numbers == list(range(numbers[-1] + 1))
    elif delivery is Delivery.ORDERED:
        assert all(
            later - missed - 1 == earlier for (earlier, _), (later, missed) in zip(seen, seen[1:])
        )
    consumer.close()


def test_a_dead_claim_is_diagnosed_and_released():
    with Worker(PRODUCER) as worker:
        assert worker.line() == "open"
        with Consumer("camera", start=Start.OLDEST) as consumer:
            worker.say("good")
            assert worker.line() == "sent 0"
            worker.say("claim")
            _, number, index = worker.line().split()
            assert release_zombie_writer("camera", int(index)) == RecoveryResult.UNSAFE
            pid = worker.pid
            worker.kill()
            assert not is_process_alive(pid)
            found = diagnose_slot("camera", int(index))
            assert (found.slot_state, found.is_stuck, found.write_lock) == (
                SlotState.WRITING,
                True,
                pid,
            )
            assert "DEAD" in found.holder
            assert str(pid) in found.holder
            assert found.slot_index in [
                slot.slot_index for slot in diagnose_all_slots("camera") if slot.is_stuck
            ]
            assert release_zombie_writer("camera", int(index)) == RecoveryResult.SUCCESS
            assert release_zombie_writer("camera", int(index)) == RecoveryResult.NOT_STUCK
            with Producer("camera", slot_size=4096, slot_count=8) as successor:
                assert successor.send(b"next") == int(number) == 1
            assert [bytes(slot.data) for slot in consumer] == [b"good", b"next"]


def test_a_dead_lossless_reader_is_released_by_the_producer_it_holds_up():
    with (
        Producer("camera", slot_size=64, slot_count=4) as producer,
        Consumer("camera") as survivor,
        Worker(CONSUMER, "LOSSLESS") as worker,
    ):
        assert worker.line() == "open"
        producer.send(b"0")
        worker.say("hold")
        assert worker.line().startswith("holding 0 ")
        for number in range(1, 4):
            producer.send(b"%d" % number)
        for number in range(4):
            assert survivor.receive(0) == b"%d" % number
        with pytest.raises(Timeout, match="victim"):
            producer.send(b"4", 0.1)
        worker.kill()
        assert producer.send(b"4", 20) == 4
        assert survivor.receive(0) == b"4"
        assert list_blocks()[0].consumers == 1


@pytest.mark.parametrize("delivery", ["ORDERED", "LATEST"])
def test_only_the_dead_readers_of_a_slot_are_released(delivery):
    with (
        Producer("camera", slot_size=64, slot_count=4) as producer,
        Worker(CONSUMER, delivery) as worker,
    ):
        assert worker.line() == "open"
        with Consumer("camera", delivery=Delivery[delivery]) as survivor:
            producer.send(b"0")
            worker.say("hold")
            _, _, index = worker.line().split()
            with survivor.read() as slot:
                assert slot.index == int(index)
                assert diagnose_slot("camera", slot.index).reader_count == 2
                assert release_zombie_readers("camera", slot.index) == RecoveryResult.NOT_STUCK
                worker.kill()
                found = diagnose_slot("camera", slot.index)
                assert found.is_stuck
                assert "victim" in found.holder
                assert release_zombie_readers("camera", slot.index) == RecoveryResult.SUCCESS
                assert diagnose_slot("camera", slot.index).reader_count == 1
                assert bytes(slot.data) == b"0"
        for number in range(1, 100):
            assert producer.send(b"x", 0) == number


def test_cleanup_removes_dead_rows_and_keeps_durable_ones_for_a_time():
    with Producer("camera", slot_size=64, slot_count=4) as producer:
        for durable in ((), ("durable",)):
            with Worker(CONSUMER, "LOSSLESS", *durable) as worker:
                assert worker.line() == "open"
                producer.send(b"x")
                worker.say("wait")
                assert worker.line() == "waiting"
                worker.say("next")
                producer.send(b"y")
                assert worker.line() == "received b'y'"
                worker.kill()
        assert cleanup_dead_consumers("camera", 10**18) in (0, 1)
        with (
            Consumer("camera", durable=True, consumer_name="victim") as again,
            pytest.raises(Timeout),
        ):
            again.receive(0)
        assert eventually(lambda: cleanup_dead_consumers("camera", 0) in (0, 1))


def test_a_waiting_consumer_outlives_its_producer():
    with Worker(PRODUCER) as worker:
        assert worker.line() == "open"
        with Worker(CONSUMER, "LOSSLESS") as reader:
            assert reader.line() == "open"
            reader.say("next")
            worker.kill()
            with Producer("camera", slot_size=4096, slot_count=8) as successor:
                successor.send(b"from the successor")
                assert reader.line() == "received b'from the successor'"
