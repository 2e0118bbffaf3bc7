"""What the participants of a block share: locks, the flexible zone, counters; and checksums."""

import ctypes
import os
import signal
import subprocess
import sys
import threading

import pytest

from datablock_ctypes import (
    Checksum,
    ChecksumPolicy,
    Consumer,
    Invalid,
    Producer,
    Status,
    Timeout,
    cleanup_dead_consumers,
    with_flexible_zone,
)

HOLDER = """
import sys
from datablock_ctypes import Consumer
consumer = Consumer("shared")
if sys.argv[1] == "lock":
    consumer.lock(3).acquire()
else:
    consumer.flexible_zone().__enter__()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def both(directory):
    with Producer("shared", slot_size=64) as producer, Consumer("shared") as consumer:
        yield producer, consumer


def killed_holder(what):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, what],
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "ready\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()


def test_a_lock_is_recursive_for_its_owner(both):
    producer, consumer = both
    with producer.lock(1) as lock, producer.lock(1):
        assert not lock.abandoned
        with pytest.raises(Timeout, match="row 0"):
            consumer.lock(1, timeout=0).acquire()
    with consumer.lock(1, timeout=0):
        pass


def test_a_lock_is_let_go_of_by_its_owner_alone(both):
    producer, consumer = both
    with producer.lock(7), pytest.raises(Invalid, match="does not have lock 7"):
        consumer.lock(7).release()


def test_waiting_for_a_lock_ends_in_time(both):
    producer, consumer = both
    with producer.lock(2), pytest.raises(Timeout), consumer.lock(2, timeout=0.2):
        pytest.fail("it is the producer's")


def test_letting_go_wakes_a_waiter(both):
    producer, consumer = both
    got = threading.Event()

    def wait():
        with consumer.lock(2):
            got.set()

    waiter = threading.Thread(target=wait)
    with producer.lock(2):
        waiter.start()
        assert not got.wait(0.05)
    waiter.join(10)
    assert got.is_set()


def test_the_lock_of_a_killed_owner_is_taken_back(both):
    producer, _ = both
    killed_holder("lock")
    with producer.lock(3, timeout=10) as lock:
        assert lock.abandoned
    with producer.lock(3) as lock:
        assert not lock.abandoned


def test_what_a_cleaner_frees_is_told_to_the_next_owner(both):
    _, consumer = both
    killed_holder("lock")
    assert cleanup_dead_consumers("shared", 0) == 1
    with consumer.lock(3, timeout=0) as lock:
        assert lock.abandoned


def test_the_zone_is_shared_by_both_sides(both):
    producer, consumer = both
    with producer.flexible_zone() as zone:
        assert len(zone.data) == 4032
        assert not any(zone.data)
        assert zone.writes == 0
        assert zone.intact
        zone.data[:5] = b"hello"
    with consumer.flexible_zone() as zone:
        assert zone.data[:5] == b"hello"
        assert zone.writes == 1
        with pytest.raises(Invalid, match="already"):
            consumer.flexible_zone(timeout=0).__enter__()
    assert with_flexible_zone(producer, 0, lambda zone: zone.writes) == 2


def test_leaving_a_zone_that_one_is_not_in(both):
    producer, consumer = both
    lock = producer.lock(0)
    with producer.flexible_zone(), pytest.raises(Timeout), consumer.flexible_zone(timeout=0):
        pytest.fail("the producer is in it")
    with lock:
        zone = producer.flexible_zone(timeout=0)
        with pytest.raises(Invalid, match="already"):
            zone.__enter__()
        assert zone._end(None) == Status.INVALID
    with producer.flexible_zone():
        lock.acquire()
    assert zone._end(None) == Status.INVALID
    lock.release()
    with consumer.flexible_zone(timeout=0) as zone:
        assert zone.intact
        assert zone.writes == 2


def test_an_exception_leaves_the_zone_as_it_was(both):
    producer, consumer = both
    with pytest.raises(ZeroDivisionError), producer.flexible_zone() as zone:
        zone.data[:4] = b"half"
        raise ZeroDivisionError
    with pytest.raises(Invalid, match="4033 bytes"), producer.flexible_zone() as zone:
        zone.data.append(1)
    with consumer.flexible_zone() as zone:
        assert not any(zone.data)
        assert not zone.abandoned


def test_a_zone_that_changed_unseen_is_noticed(both):
    producer, consumer = both
    with producer.flexible_zone() as zone:
        zone.data[0] = 1
        address = zone._address
    ctypes.memset(address, 2, 1)
    with pytest.raises(Checksum, match="flexible zone"), consumer.flexible_zone():
        pytest.fail("its contents are not what was left")
    with consumer.flexible_zone(anyway=True) as zone:
        assert not zone.intact
        assert zone.data[0] == 2
    with producer.flexible_zone() as zone:
        assert zone.intact


def test_the_zone_of_a_killed_writer_is_noticed(both):
    _, consumer = both
    killed_holder("zone")
    with consumer.flexible_zone(timeout=10) as zone:
        assert zone.abandoned
        assert zone.intact
    with consumer.flexible_zone() as zone:
        assert not zone.abandoned


def test_counters_are_atomic_words(both):
    producer, consumer = both
    assert [counter.value for counter in producer.counters] == [0] * 8
    assert producer.counters[2].add(5) == 0
    assert consumer.counters[2].add(-1) == 5
    assert consumer.counters[2].exchange(5, 9) == 4
    assert consumer.counters[2].exchange(4, 9) == 4
    consumer.counters[2].value += 1
    assert producer.counters[2].value == 10
    with pytest.raises(IndexError, match="no counter 8"):
        producer.counters[8]


def test_checksums(directory):
    with (
        Producer("sums", slot_size=64, checksum=ChecksumPolicy.MANUAL) as producer,
        Consumer("sums") as consumer,
    ):
        with producer.write() as slot:
            slot.data[:3] = b"abc"
            slot.seal(3)
            data = (ctypes.c_char * 3).from_buffer(slot.data)
        with consumer.read() as message:
            message.verify()
            ctypes.memset(ctypes.addressof(data), 0, 1)
            with pytest.raises(Checksum):
                message.verify()
        del data
        producer.send(b"none")
        with consumer.read() as message, pytest.raises(Invalid):
            message.verify()
