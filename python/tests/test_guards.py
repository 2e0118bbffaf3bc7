"""Guards: transactions without a function or a block."""

import gc
import warnings
import weakref

import pytest
from support import control_file, layout, poke
from ways import CAPACITY, check_free, content, nothing_is_held, ring, send

from datablock_ctypes import (
    Closed,
    Consumer,
    Delivery,
    Invalid,
    Overrun,
    ReadTransactionGuard,
    Timeout,
    WriteTransactionGuard,
)


def test_a_guard_is_true_while_it_holds():
    with ring() as producer, Consumer("camera") as consumer:
        guard = WriteTransactionGuard(producer, 0)
        assert guard
        assert (
            repr(guard)
            == "<WriteTransactionGuard holds <WriteSlot of 'camera' id=0 capacity=100 open>>"
        )
        guard.slot.data[:5] = b"hello"
        guard.commit(5)
        assert not guard
        assert (
            repr(guard)
            == "<WriteTransactionGuard without <WriteSlot of 'camera' id=0 capacity=100 ended>>"
        )
        for use in (lambda: guard.slot, guard.commit, guard.__enter__):
            with pytest.raises(Invalid):
                use()
        guard.abort()  # does nothing after the end
        taken = ReadTransactionGuard(consumer, timeout=0)
        assert taken
        assert content(taken.slot) == (0, b"hello")
        taken.commit()
        assert not taken
        for use in (lambda: taken.slot, taken.commit, taken.__enter__):
            with pytest.raises(Invalid):
                use()
        taken.abort()
        with pytest.raises(Timeout):
            ReadTransactionGuard(consumer, timeout=0)
        assert producer.send(b"x") == 1


def test_guard_commits_and_aborts_at_once():
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        with pytest.raises(ZeroDivisionError), WriteTransactionGuard(producer, 0) as guard:
            guard.slot.data[:4] = b"done"
            guard.slot.commit(1)
            guard.commit(4)
            assert consumer.receive(0) == b"done"
            raise ZeroDivisionError  # too late to abort
        with WriteTransactionGuard(producer, 0) as guard:
            guard.slot.commit(4)
            guard.abort()
            assert not guard
            assert nothing_is_held()
        with WriteTransactionGuard(producer, 0) as guard:
            assert guard.slot.id == 1
            with pytest.raises(Invalid, match="exceeds"):
                guard.commit(CAPACITY + 1)
            assert not guard
        with WriteTransactionGuard(producer, 0) as guard:
            assert guard.slot.id == 1
            guard.slot.commit(2)
            guard.commit()
            producer.close()
        assert len(consumer.receive(0)) == 2


def test_a_read_guard_lets_go():
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        send(producer, b"0", b"1", b"2")
        for number, end in enumerate((ReadTransactionGuard.commit, ReadTransactionGuard.abort)):
            with ReadTransactionGuard(consumer, timeout=0) as guard:
                assert content(guard.slot) == (number, b"%d" % number)
                end(guard)
                assert nothing_is_held()
        with ReadTransactionGuard(consumer, 0, 0) as guard:
            assert content(guard.slot) == (0, b"0")
        assert consumer.receive(0) == b"2"


def test_a_read_guard_that_aborts_does_not_mind_an_overrun(directory):
    with ring(spare_slots=2) as producer, Consumer("camera", delivery=Delivery.LATEST) as consumer:
        for end, error in (("commit", Overrun), ("abort", None)):
            send(producer, b"x")
            guard = ReadTransactionGuard(consumer, timeout=0)
            poke(
                control_file(directory / "camera"),
                layout("CTL_ROWS") + layout("ROW_SIZE") + layout("ROW_PINS"),
                0,
            )
            for _ in range(12):
                send(producer, b"x")
            if error is None:
                getattr(guard, end)()
            else:
                with pytest.raises(error):
                    getattr(guard, end)()
            assert not guard
            check_free(producer, consumer, Delivery.LATEST)


def test_guard_unwinding_aborts():
    with ring() as producer, Consumer("camera") as consumer:

        def fill():
            with WriteTransactionGuard(producer, 0) as guard:
                guard.slot.commit(3)
                raise KeyError

        with pytest.raises(KeyError):
            fill()
        with pytest.raises(Timeout):
            consumer.receive(0)
        with WriteTransactionGuard(producer, 0) as guard:
            assert guard.slot.id == 0


def test_a_forgotten_guard_aborts():
    with ring() as producer, Consumer("camera", delivery=Delivery.ORDERED) as consumer:
        guard = WriteTransactionGuard(producer, 0)
        guard.slot.commit(3)
        gone = weakref.ref(guard)
        guards = [guard]
        del guard
        with pytest.warns(ResourceWarning, match="neither committed nor aborted"):
            guards.clear()
        assert gone() is None
        assert nothing_is_held()
        assert producer.send(b"0") == 0
        for asked in (False, True):  # a message that the program has not asked for comes again
            guards = [ReadTransactionGuard(consumer, timeout=0)]
            assert guards[0]
            if asked:
                assert guards[0].slot.id == 0
            with pytest.warns(ResourceWarning, match="neither committed nor aborted"):
                guards.clear()
            assert nothing_is_held()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                with pytest.raises(Timeout):
                    ReadTransactionGuard(consumer, timeout=0)
            gc.collect()


def test_a_guard_whose_participant_is_closed():
    producer, consumer = ring(), Consumer("camera")
    send(producer, b"x")
    reading, writing = ReadTransactionGuard(consumer), WriteTransactionGuard(producer)
    consumer.close()
    producer.close()
    assert not reading
    assert not writing
    with pytest.raises(Closed):
        writing.commit()
    writing.abort()
    reading.abort()
