"""Reading as a transaction: the next message, or a message by its id.

The scenarios have the same names in Go, C and C++.
"""

import os
import time

import pytest
from support import Worker, eventually, layout, mark, poke
from ways import (
    ENDS,
    at_ways,
    content,
    deliveries,
    errors,
    in_a_thread,
    never,
    next_ways,
    nothing_is_held,
    ring,
    send,
    timed_next_ways,
)

from datablock_ctypes import (
    Closed,
    Consumer,
    Delivery,
    Invalid,
    Lost,
    NextResult,
    NotFound,
    Overrun,
    Superseded,
    Timeout,
    unlink,
    with_next_slot,
    with_read_transaction,
)


@timed_next_ways
def test_timeout_reading(take):
    with ring(), Consumer("camera") as consumer:
        for timeout in (0, 0.02, 0.1):
            start = time.monotonic()
            with pytest.raises(Timeout):
                take(consumer, timeout, never)
            assert timeout <= time.monotonic() - start < timeout + 5


@deliveries
def test_no_default_value_on_timeout(delivery):
    with ring() as producer, Consumer("camera", delivery=delivery) as consumer:
        slots = iter(consumer)
        for source in (consumer, slots, iter(consumer)):
            for timeout in (0, 0.02):
                result = with_next_slot(source, timeout, never)
                assert not result
                assert isinstance(result, NextResult)
                assert repr(result) == "<NextResult nothing>"
                for _ in range(2):
                    with pytest.raises(Timeout):
                        result.value  # noqa: B018
        for value in (None, False, 0, b""):
            send(producer, b"x")
            result = with_next_slot(slots, 0, lambda slot, value=value: value)
            assert result
            assert result.value is value
            assert repr(result) == f"<NextResult {value!r}>"


def test_a_timeout_of_the_function_is_no_empty_result():
    with (
        ring() as producer,
        ring(name="other") as other,
        Consumer("camera") as consumer,
        Consumer("other") as last,
    ):
        send(producer, b"x")
        with pytest.raises(Timeout):
            with_next_slot(consumer, 0, lambda slot: last.receive(0))
        assert not with_next_slot(consumer, 0, never)  # the message counts as read
        send(other, b"y")


@next_ways
@errors
def test_exception_reading(take, error):
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        send(producer, b"0", b"1")

        def fail(slot):
            raise error

        with pytest.raises(type(error)) as raised:
            take(consumer, 0, fail)
        assert raised.value is error
        del raised
        assert eventually(nothing_is_held)
        assert take(consumer, 0, content) == (1, b"1")


@at_ways
@errors
def test_exception_reading_an_id(at, error):
    with ring() as producer, Consumer("camera") as consumer:
        send(producer, b"0")

        def fail(slot):
            raise error

        with pytest.raises(type(error)) as raised:
            at(consumer, 0, 0, fail)
        assert raised.value is error
        assert repr(consumer) == "<Consumer 'camera' DEFAULT open>"
        assert consumer.receive(0) == b"0"


def test_next_slot_of_an_iterator():
    with ring(8) as producer, Consumer("camera") as consumer:
        send(producer, *(b"%d" % number for number in range(6)))
        slots = iter(consumer)
        first = next(slots)
        view = first.data
        assert with_next_slot(slots, 0, content).value == (
            1,
            b"1",
        )  # first has ended; otherwise this transaction would be refused
        with pytest.raises(ValueError, match="released"):
            view[0]
        assert content(next(slots)) == (2, b"2")
        slots.close()
        assert repr(consumer) == "<Consumer 'camera' DEFAULT open>"
        assert list(slots) == []
        with pytest.raises(Closed, match="iteration"):
            with_next_slot(slots, 0, never)
        assert with_next_slot(consumer, 0, content).value == (3, b"3")
        for wrong in (producer, [1, 2], None):
            with pytest.raises(TypeError, match="Consumer or its iterator"):
                with_next_slot(wrong, 0, never)


def test_next_slot_at_the_end_of_the_stream():
    producer = ring()
    with Consumer("camera") as consumer:
        send(producer, b"last")
        producer.close()
        slots = iter(consumer)
        assert with_next_slot(slots, None, content).value == (0, b"last")
        for source in (consumer, slots):
            with pytest.raises(Closed):
                with_next_slot(source, None, never)
        assert list(slots) == []
        with ring() as successor:
            send(successor, b"more")
            assert list(slots) == []  # an iteration that has ended does not continue
            assert with_next_slot(consumer, 0, content).value == (1, b"more")


def test_lost_is_said_once_and_an_iterator_goes_on(directory):
    with ring() as producer, Consumer("camera") as consumer:
        send(producer, b"0", b"1", b"2")
        mark(directory / "camera", 1, "ENTRY_LOST")
        slots = iter(consumer)
        assert next(slots).id == 0
        with pytest.raises(Lost):
            next(slots)
        assert next(slots).id == 2
        slots.close()
        send(producer, b"3", b"4")
        mark(directory / "camera", 3, "ENTRY_LOST")
        with pytest.raises(Lost):
            with_next_slot(consumer, 0, never)
        assert with_next_slot(consumer, 0, content).value == (4, b"4")


@at_ways
@deliveries
def test_read_transaction_of_an_id(at, delivery, directory):
    with ring(8) as producer, Consumer("camera", delivery=delivery) as consumer:
        send(producer, *(b"%d" % number for number in range(8)))
        for timeout in (0, 0.05, None):
            for number in (5, 0, 7, 5):
                assert at(consumer, number, timeout, content) == (number, b"%d" % number)
        mark(directory / "camera", 3, "ENTRY_LOST")
        for timeout in (0, None):  # raised each time: the read is by id
            with pytest.raises(Lost, match="message 3"):
                at(consumer, 3, timeout, never)
        assert take_all(consumer, delivery) == (
            [7] if delivery == Delivery.LATEST else [0, 1, 2, "lost", 4, 5, 6, 7]
        )  # the cursor had not moved
        send(producer, *(b"%d" % number for number in range(8, 13)))
        for number in (4, 0):
            with pytest.raises(Overrun, match=f"message {number}"):
                at(consumer, number, None, never)
        assert at(consumer, 8, 0, content) == (8, b"8")
        for wrong in (-1, 1 << 64):
            with pytest.raises(Invalid, match="slot_id"):
                at(consumer, wrong, 0, never)


@at_ways
@pytest.mark.parametrize("timeout", [0, 0.0001, 0.03, 0.15])
def test_read_transaction_of_an_unwritten_id(at, timeout):
    with ring() as producer, Consumer("camera") as consumer:
        send(producer, b"0")
        start = time.monotonic()
        with pytest.raises(
            Timeout, match="no message 1 within" if timeout else "message 1 is not written yet"
        ) as raised:
            at(consumer, 1, timeout, never)
        assert timeout <= time.monotonic() - start < timeout + 5
        assert not isinstance(raised.value, NotFound)
        assert timeout or str(raised.value).endswith("(asked not to wait)")
        with pytest.raises(NotFound), consumer.read_at(1):  # a release has no timeout
            pass
        assert consumer.receive(0) == b"0"
        send(producer, b"1")
        assert at(consumer, 1, timeout, content) == (1, b"1")


@at_ways
@deliveries
def test_read_transaction_waits_for_an_id(at, delivery):
    """Other messages may come before the wanted one, and the cursor does not move."""
    with ring(8) as producer, Consumer("camera", delivery=delivery) as consumer:
        for number in range(3):
            thread, outcome = in_a_thread(
                lambda number=number: at(consumer, number * 2 + 1, 20, content)
            )
            time.sleep(0.02)
            send(producer, b"%d" % (number * 2))
            time.sleep(0.01)
            assert outcome == []
            send(producer, b"%d" % (number * 2 + 1))
            thread.join(20)
            assert outcome == [(number * 2 + 1, b"%d" % (number * 2 + 1))]
        assert take_all(consumer, delivery) == (
            [5] if delivery == Delivery.LATEST else list(range(6))
        )


def test_read_transaction_waits_although_the_newest_id_is_not_told(directory):
    """A producer was killed right after its publication: only the ring has the newest id."""
    with ring() as producer, Consumer("camera") as consumer:
        thread, outcome = in_a_thread(lambda: with_read_transaction(consumer, 0, 20, content))
        time.sleep(0.02)
        commit = layout("COMMIT")
        with producer.write() as slot:
            slot.data[:1] = b"x"
            slot.commit(1)
        poke(directory / "camera", commit, 0)
        thread.join(20)
        assert outcome == [(0, b"x")]


def test_overwritten_while_it_is_waited_for():
    """The read gives the wanted message or none, and never another one."""
    with ring(2) as producer, Consumer("camera", delivery=Delivery.LATEST) as consumer:
        for number in range(0, 400, 40):
            thread, outcome = in_a_thread(
                lambda number=number: with_read_transaction(consumer, number + 20, 20, content)
            )
            for each in range(number, number + 40):
                producer.send(b"%d" % each)
            thread.join(20)
            assert outcome[0] == (number + 20, b"%d" % (number + 20)) or isinstance(
                outcome[0], Overrun
            )


@at_ways
@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("how", ENDS)
def test_read_transaction_of_what_never_comes(at, when, how):
    error, end = ENDS[how]
    with ring() as producer, Consumer("camera") as consumer:
        send(producer, b"0")
        if when == "before":
            end(producer)
        thread, outcome = in_a_thread(lambda: at(consumer, 1, None, never))
        if when == "meanwhile":
            time.sleep(0.02)
            assert outcome == []
            end(producer)
        thread.join(20)
        assert [type(one) for one in outcome] == [error]
        assert at(consumer, 0, None, content) == (0, b"0")  # the published message is still there


def test_read_transaction_after_the_block_was_removed_as_asked():
    """The producer closed the stream, although the block has no name any more."""
    with ring(unlink_on_close=True) as producer, Consumer("camera") as consumer:
        send(producer, b"0")
        producer.close()
        with pytest.raises(Closed):
            with_read_transaction(consumer, 1, None, never)
        with ring(5), pytest.raises(Superseded):
            with_read_transaction(consumer, 1, None, never)


def test_read_transaction_ends_with_its_consumer():
    with ring():
        consumer = Consumer("camera")
        thread, outcome = in_a_thread(lambda: with_read_transaction(consumer, 0, None, never))
        time.sleep(0.02)
        consumer.close()
        thread.join(20)
        assert [type(one) for one in outcome] == [Closed]


def test_read_transaction_waits_for_the_next_producer():
    with Worker("""
        from datablock_ctypes import Producer
        producer = Producer("camera", slot_size=100, slot_count=4)
        producer.send(b"0")
        print("ready", flush=True)
        input()
    """) as worker:
        assert worker.line() == "ready"
        with Consumer("camera", delivery=Delivery.ORDERED) as consumer:
            thread, outcome = in_a_thread(lambda: with_read_transaction(consumer, 1, 20, content))
            time.sleep(0.02)
            worker.kill()
            time.sleep(0.1)
            assert outcome == []
            with ring() as successor:
                send(successor, b"1")
                thread.join(20)
            assert outcome == [(1, b"1")]


def test_a_lossless_consumer_holds_up_what_it_waits_for():
    with ring() as producer, Consumer("camera", delivery=Delivery.LOSSLESS) as consumer:
        send(producer, b"0", b"1", b"2", b"3")
        with pytest.raises(Timeout):
            with_read_transaction(consumer, 4, 0.01, never)
        with pytest.raises(Timeout):
            send(producer, b"4")
        consumer.receive(0)
        send(producer, b"4")
        assert with_read_transaction(consumer, 4, 0, content) == (4, b"4")


def test_directories_are_found_as_the_library_finds_them(directory):
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    for name, settings in (
        ("camera", {"directory": elsewhere}),
        (elsewhere / "camera", {}),
        (str(elsewhere / "camera"), {}),
        ("camera", {}),
    ):
        with ring(name=name, **settings) as producer, Consumer(name, **settings) as consumer:
            thread, outcome = in_a_thread(
                lambda consumer=consumer: with_read_transaction(consumer, 0, 2, never)
            )
            producer.close()
            thread.join(20)
            assert [type(one) for one in outcome] == [Closed]
        unlink(elsewhere / "camera" if name != "camera" or settings else "camera")
    elsewhere.rmdir()


@pytest.mark.measured
def test_waiting_for_an_id_costs_little_and_leaves_no_descriptor():
    with ring(), Consumer("camera") as consumer:
        with pytest.raises(Timeout):
            with_read_transaction(consumer, 0, 0.01, never)
        before = len(os.listdir("/proc/self/fd"))
        shares = []
        while len(shares) < 3 and not (shares and min(shares) < 0.05):  # the machine may be busy
            start, used = time.monotonic(), time.process_time()
            with pytest.raises(Timeout):
                with_read_transaction(consumer, 0, 1, never)
            shares.append((time.process_time() - used) / (time.monotonic() - start))
        assert min(shares) < 0.05
        assert len(os.listdir("/proc/self/fd")) == before


def take_all(consumer, delivery):
    seen = []
    while True:
        try:
            result = with_next_slot(consumer, 0, lambda slot: slot.id)
        except Lost:
            seen.append("lost")
            continue
        if not result:
            return seen
        seen.append(result.value)
