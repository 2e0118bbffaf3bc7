"""Messages as transactions. The scenarios have the same names in Go, C and C++."""

import gc
import time

import pytest
from support import control_file, layout, mark, poke
from ways import (
    CAPACITY,
    DELIVERIES,
    ENDS,
    at_by_function,
    at_by_guard,
    by_commit,
    by_function,
    by_guard,
    by_with,
    check_free,
    content,
    deliveries,
    errors,
    fail_with,
    never,
    next_by_function,
    next_by_guard,
    next_by_iterator,
    next_by_loop,
    next_by_with,
    next_ways,
    nothing_is_held,
    ring,
    send,
    write_ways,
)

from datablock_ctypes import (
    Closed,
    Consumer,
    Delivery,
    Fenced,
    Invalid,
    Overrun,
    ReadTransactionGuard,
    Start,
    Superseded,
    Timeout,
    WriteTransactionGuard,
    with_next_slot,
    with_read_transaction,
    with_write_transaction,
)


@write_ways
@next_ways
@deliveries
def test_basic_success(write, take, delivery):
    with ring() as producer, Consumer("camera", delivery=delivery) as consumer:
        for number in range(20):
            text = b"message %d" % number

            def fill(slot, number=number, text=text):
                assert (slot.id, slot.capacity, slot.data.readonly) == (number, CAPACITY, False)
                slot.data[: len(text)] = text
                slot.commit(len(text))
                return "written", slot.id

            def look(slot, number=number, text=text):
                assert (slot.id, slot.length, bytes(slot.data), slot.data.readonly) == (
                    number,
                    len(text),
                    text,
                    True,
                )
                return "read", slot.id

            assert write(producer, None, fill) == ("written", number)
            assert take(consumer, 1, look) == ("read", number)
        assert delivery == Delivery.LOSSLESS or nothing_is_held()


@write_ways
def test_commit_sets_the_length(write):
    with ring() as producer, Consumer("camera") as consumer:

        def commit(*lengths):
            def fill(slot):
                slot.data[:5] = b"hello"
                for length in lengths:
                    slot.commit(length)
                assert slot.data[0] == ord("h")  # published at the end, not before
                with pytest.raises(Timeout):
                    consumer.receive(0)

            write(producer, 0, fill)

        commit(5)
        assert consumer.receive(0) == b"hello"
        commit(0)
        assert consumer.receive(0) == b""
        commit(50, 3)
        assert consumer.receive(0) == b"hel"
        commit(1, 4)
        assert consumer.receive(0) == b"hell"
        for length in (CAPACITY + 1, 1 << 64, -1):
            with pytest.raises(Invalid, match=r"exceeds|below zero"):
                commit(2, length)
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert producer.send(b"next") == 4


@write_ways
@pytest.mark.parametrize("length", [CAPACITY + 1, -1, 1 << 64, (1 << 64) + 5, 1 << 80])
def test_a_refused_length_that_is_not_corrected(write, length):
    with ring() as producer, Consumer("camera") as consumer:

        def fill(slot, *after):
            slot.commit(2)
            with pytest.raises(Invalid, match=r"exceeds|below zero"):
                slot.commit(length)
            for better in after:
                slot.commit(better)

        with pytest.raises(Invalid, match=r"exceeds|below zero"):
            write(producer, 0, fill)
        with pytest.raises(Timeout):
            consumer.receive(0)
        write(producer, 0, lambda slot: fill(slot, 3))
        write(producer, 0, lambda slot: fill(slot, None))
        assert [len(consumer.receive(0)) for _ in range(2)] == [3, CAPACITY]


@write_ways
def test_whole_slot_without_commit(write):
    with ring() as producer, Consumer("camera") as consumer:

        def fill(slot):
            slot.data[:] = bytes(range(CAPACITY))

        assert write(producer, 0, fill) is None
        assert consumer.receive(0) == bytes(range(CAPACITY))


@write_ways
@pytest.mark.parametrize("timeout", [0, 0.03, 0.12])
def test_timeout_acquiring(write, timeout):
    with ring() as producer, Consumer("camera", delivery=Delivery.LOSSLESS) as consumer:
        send(producer, b"0", b"1", b"2", b"3")
        start = time.monotonic()
        with pytest.raises(Timeout):
            write(producer, timeout, never)
        assert timeout <= time.monotonic() - start < timeout + 5
        assert [consumer.receive(0) for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert write(producer, timeout, lambda slot: slot.id) == 4


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan")])
def test_timeouts_mean_the_same_in_every_call(timeout):
    with ring() as producer, Consumer("camera") as consumer:
        send(producer, b"0")
        for call in (
            lambda: with_write_transaction(producer, timeout, never),
            lambda: WriteTransactionGuard(producer, timeout),
            lambda: with_read_transaction(consumer, 0, timeout, never),
            lambda: ReadTransactionGuard(consumer, 0, timeout),
            lambda: ReadTransactionGuard(consumer, timeout=timeout),
            lambda: with_next_slot(consumer, timeout, never),
            lambda: with_next_slot(iter(consumer), timeout, never),
        ):
            with pytest.raises(Invalid, match="timeout is"):
                call()
        for good in (None, 0, 1e300, float("inf")):
            assert with_read_transaction(consumer, 0, good, content) == (0, b"0")
            assert with_write_transaction(producer, good, lambda slot: slot.commit(0)) is None
            assert with_next_slot(consumer, good, lambda slot: True)


@write_ways
def test_early_return(write):
    with ring() as producer, Consumer("camera") as consumer:

        def fill(slot):
            for number in range(CAPACITY):
                slot.data[number] = number
                if number == 9:
                    slot.commit(number)
                    return "early"
            raise AssertionError

        assert write(producer, 0, fill) == "early"
        assert consumer.receive(0) == bytes(range(9))


def test_leaving_a_loop_early_commits():
    with ring() as producer, Consumer("camera") as consumer:
        while True:
            with producer.write(0) as slot:
                slot.commit(7)
                break
        for _ in range(1):
            with WriteTransactionGuard(producer, 0) as guard:
                guard.slot.commit(8)
                continue
        assert [len(consumer.receive(0)) for _ in range(2)] == [7, 8]


def nothing_was_published(write, error, *lengths):
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        send(producer, b"before")
        for _ in range(3):
            with pytest.raises(type(error)) as raised:
                write(producer, 0, fail_with(error, *lengths))
            assert raised.value is error
            assert raised.value.__cause__ is raised.value.__context__ is None
        assert consumer.receive(0) == b"before"
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert nothing_is_held()
        assert write(producer, 0, lambda slot: slot.id) == 1  # the same id again
        assert len(consumer.receive(0)) == CAPACITY  # not the length that was set before


@write_ways
@errors
def test_exception_before_commit(write, error):
    nothing_was_published(write, error)


@write_ways
@errors
def test_exception_after_commit(write, error):
    nothing_was_published(write, error, 3)


def test_nested():
    with (
        ring() as producer,
        ring(name="other") as other,
        Consumer("camera") as consumer,
        Consumer("other") as last,
    ):
        send(producer, b"payload")

        def pass_on(read):
            def fill(slot):
                slot.data[: read.length] = read.data
                slot.commit(read.length)
                return slot.id

            return read.id, with_write_transaction(other, 0, fill)

        assert with_next_slot(consumer, 0, pass_on).value == (0, 0)
        assert with_read_transaction(consumer, 0, 0, pass_on) == (0, 1)
        assert [last.receive(0) for _ in range(2)] == [b"payload"] * 2


@write_ways
def test_nested_on_the_same_producer(write):
    with ring() as producer, Consumer("camera") as consumer:

        def outer(slot):
            for inner in (by_function, by_with, by_guard):
                with pytest.raises(Invalid, match="still open"):
                    inner(producer, 0, never)
            slot.data[:5] = b"outer"
            slot.commit(5)

        write(producer, 0, outer)
        assert consumer.receive(0) == b"outer"


def test_nested_reads_take_a_pin_each():
    with ring() as producer, Consumer("camera", max_pins=2) as consumer:
        send(producer, b"0", b"1")

        def both(first):
            with consumer.read_at(1) as second:
                return content(first), content(second)

        assert with_next_slot(consumer, 0, both).value == ((0, b"0"), (1, b"1"))
        assert with_next_slot(
            consumer, 0, lambda first: with_read_transaction(consumer, 0, 0, content)
        ).value == (
            0,
            b"0",
        )
        with pytest.raises(Timeout):
            consumer.receive(0)


@write_ways
def test_aborts_leave_no_gap(write):
    with (
        ring() as producer,
        Consumer("camera", delivery=Delivery.ORDERED, start=Start.OLDEST) as consumer,
    ):
        for number in range(3):
            send(producer, b"%d" % number)
            for attempt in range(2 * 4):
                with pytest.raises(ZeroDivisionError):
                    write(producer, 0, fail_with(ZeroDivisionError(), *[3] * (attempt % 2)))
            with Consumer("camera", delivery=Delivery.LATEST) as latest:
                assert with_next_slot(latest, 0, content).value == (number, b"%d" % number)
        assert [with_next_slot(consumer, 0, content).value for _ in range(3)] == [
            (number, b"%d" % number) for number in range(3)
        ]


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_released_in_every_case(delivery):
    """After any end of a transaction the producer can claim and the consumer can read.

    Nothing is held.
    """
    with ring() as producer, ring(name="other"), Consumer("camera", delivery=delivery) as consumer:

        def ends(error, call, *arguments):
            with pytest.raises(error):
                call(*arguments)

        def fine(slot):
            slot.commit(1)

        def aborted(slot):
            slot.abort()

        def released(slot):
            slot.release()

        for way in (by_function, by_with, by_guard, by_commit):
            for f, error in (
                (fine, None),
                (aborted, None),
                (fail_with(KeyError()), KeyError),
                (fail_with(KeyboardInterrupt(), 5), KeyboardInterrupt),
            ):
                if way is by_commit and f is aborted:
                    error = Invalid  # nothing is left to commit
                if error is None:
                    way(producer, 0, f)
                else:
                    ends(error, way, producer, 0, f)
                check_free(producer, consumer, delivery)
            ends(Invalid, way, producer, 0, lambda slot: slot.commit(CAPACITY + 1))
            ends(Invalid, way, producer, 0, lambda slot: by_function(producer, 0, never))
            check_free(producer, consumer, delivery)
        for way in (next_by_function, next_by_iterator, next_by_with, next_by_guard, next_by_loop):
            for f, error in (
                (content, None),
                (released, None),
                (lambda slot: 1 / 0, ZeroDivisionError),
                (lambda slot: int("x"), ValueError),
            ):
                send(producer, b"x")
                if error is None:
                    way(consumer, 0, f)
                else:
                    ends(error, way, consumer, 0, f)
                gc.collect()
                check_free(producer, consumer, delivery)
        for way in (at_by_function, at_by_guard):
            number = producer.send(b"x", 0)
            ends(Timeout, way, consumer, number + 1, 0.01, never)
            ends(Overrun, way, consumer, number - 4, 0, never)
            ends(ZeroDivisionError, way, consumer, number, 0, lambda slot: 1 / 0)
            assert way(consumer, number, 0, released) is None
            consumer.receive(0)
            check_free(producer, consumer, delivery)


@write_ways
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_superseded_inside(write, how):
    with ring() as producer, Consumer("camera") as consumer:
        send(producer, b"old")

        def fill(slot):
            slot.data[:3] = b"bad"
            slot.commit(3)
            ENDS[how][1](producer)

        for _ in range(2):
            with pytest.raises((Superseded, Fenced)):
                write(producer, 0, fill)
        assert consumer.receive(0) == b"old"
        with pytest.raises(Superseded):
            consumer.receive(0)
        if how == "replaced":
            with Consumer("camera", start=Start.OLDEST) as again, pytest.raises(Closed):
                again.receive(0)


@write_ways
def test_fenced_inside(write, directory):
    with ring() as producer, Consumer("camera") as consumer:
        with pytest.raises(Fenced):
            write(producer, 0, lambda slot: mark(directory / "camera", slot.id, "ENTRY_FENCE"))
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert write(producer, 0, lambda slot: slot.id) == 0


@write_ways
def test_closed_inside(write):
    with ring() as producer, Consumer("camera") as consumer:
        with pytest.raises(Closed):
            write(producer, 0, lambda slot: producer.close())
        with pytest.raises(Closed):
            consumer.receive(0)


@pytest.mark.parametrize(
    "take",
    [next_by_function, next_by_iterator, next_by_with, next_by_guard, at_by_function, at_by_guard],
)
def test_overrun_inside(take, directory):
    """The bytes may have changed while the function ran: the call returns no result."""
    with ring(spare_slots=2) as producer, Consumer("camera", delivery=Delivery.LATEST) as consumer:
        pins = layout("CTL_ROWS") + layout("ROW_SIZE") + layout("ROW_PINS")

        def look(slot, error=None):
            poke(control_file(directory / "camera"), pins, 0)
            for _ in range(12):
                producer.send(b"x", 0)
            if error is not None:
                raise error

        for error in (None, ZeroDivisionError()):
            number = producer.send(b"x", 0)
            arguments = (number, 0) if take in (at_by_function, at_by_guard) else (0,)
            with pytest.raises(Overrun, match="discard"):
                take(consumer, *arguments, lambda slot, error=error: look(slot, error))
            check_free(producer, consumer, Delivery.LATEST)


def test_a_slot_used_after_the_end_raises():
    with ring() as producer, Consumer("camera") as consumer:
        kept = []

        def keep(slot):
            kept.append((slot, slot.data))

        with_write_transaction(producer, 0, keep)
        with_next_slot(consumer, 0, keep)
        with_read_transaction(consumer, 0, 0, keep)
        with pytest.raises(ZeroDivisionError):
            with_write_transaction(producer, 0, lambda slot: (keep(slot), 1 / 0))
        for slot, view in kept:
            with pytest.raises(ValueError, match="released"):
                view[0]
            for use in (lambda slot=slot: slot.data, slot.array, slot.__enter__):
                with pytest.raises(Invalid, match=r"ended|before"):
                    use()
        with pytest.raises(Invalid, match="ended"):
            kept[0][0].commit(1)
