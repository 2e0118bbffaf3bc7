"""A signal handler or the garbage collector closes in the middle of any step: no deadlock."""

import contextlib
import gc
import signal
import textwrap
import threading

import pytest
from support import Worker, eventually

from datablock_ctypes import (
    Busy,
    Closed,
    Consumer,
    Producer,
    Timeout,
    WriteTransactionGuard,
    _integrity,
    auto_recover,
    list_participants,
)

# In a process of its own, which the worker kills when it hangs. A deadlock of its only thread ends
# in no other way.
PREAMBLE = """
import ctypes, gc, signal, sys, threading, time
from datablock_ctypes import *
from datablock_ctypes import _library, _participant, _shared, _memory

def interrupt(function, handler):
    "Run the handler as a signal's, when a function of the package is at work, before and after it."
    running = []
    def handle(*_):
        if not running:
            running.append(1)
            handler()
            running.clear()
    signal.signal(signal.SIGUSR1, handle)
    def interrupted(*arguments, **named):
        signal.raise_signal(signal.SIGUSR1)
        value = function(*arguments, **named)
        signal.raise_signal(signal.SIGUSR1)
        return value
    return interrupted
"""

ZONE_EXIT = """
producer = Producer("handler", slot_size=64, zone_size=1 << 20)
zone = producer.flexible_zone()
zone.__enter__()
zone.data[:] = b"x" * len(zone.data)
ctypes.memmove = interrupt(ctypes.memmove, producer.close)
zone.__exit__(None, None, None)
assert producer.closed
assert list_participants("handler") == [] or not list_participants("handler")[0].alive
with Producer("handler", slot_size=64, zone_size=1 << 20).flexible_zone() as again:
    assert bytes(again.data) == b"x" * len(again.data)
    assert not again.abandoned
print("done")
"""

ZONE_ENTER = """
producer = Producer("handler", slot_size=64, zone_size=1 << 20)
ctypes.string_at = interrupt(ctypes.string_at, producer.close)
try:
    producer.flexible_zone().__enter__().__exit__(None, None, None)
    print("entered")
except Closed:
    print("done")
"""

MAP = """
producer = Producer("handler", slot_size=64)
consumer = Consumer("handler", start=Start.OLDEST)
_memory.Memory.map = interrupt(_memory.Memory.map, consumer.close)
producer.send(b"x", timeout=1)
try:
    consumer.receive(1)
    print("received")
except Closed:
    print("done")
assert consumer.closed
assert not any(one.row for one in list_participants("handler"))
"""

CLOSE = """
producer = Producer("handler", slot_size=64)
producer._expire = interrupt(producer._expire, producer.close)
producer.close()
assert producer.closed
Producer("handler", slot_size=64).close()
print("done")
"""

LOAD = """
_library.Library.__init__ = interrupt(_library.Library.__init__, list_blocks)
producer = Producer("handler", slot_size=64)
producer.close()
assert [block.name for block in list_blocks()] == ["handler"]
assert load(load()) == load()
print("done")
"""

EXIT = """
producer = Producer("handler", slot_size=64, zone_size=1 << 20)
zone = producer.flexible_zone()
zone.__enter__()
def stop():
    producer.close()
    print("done", flush=True)
    sys.exit(0)
ctypes.memmove = interrupt(ctypes.memmove, stop)
zone.__exit__(None, None, None)
print("not stopped")
"""


@pytest.mark.parametrize(
    "script",
    [ZONE_EXIT, ZONE_ENTER, MAP, CLOSE, LOAD, EXIT],
    ids=["zone exit", "zone enter", "map", "close", "load", "exit"],
)
def test_a_handler_closes_in_the_middle(directory, script):
    with Worker(PREAMBLE + script) as worker:
        assert worker.end(20) == "done\n"


def test_a_handler_closes_at_any_moment(directory):
    """The handler comes at every place sooner or later: no hang, and no row left."""
    script = """
    import itertools
    producer = Producer("handler", slot_size=64, zone_size=1 << 16)
    struck = closed = 0
    def stop(*_):
        global struck
        struck += 1
        consumer.close()
    signal.signal(signal.SIGALRM, stop)
    consumer = Consumer("handler", delivery=Delivery.ORDERED)
    end = time.monotonic() + 5
    for i in itertools.count():
        if time.monotonic() > end:
            break
        consumer = Consumer("handler", delivery=Delivery.ORDERED)
        producer.send(b"x", timeout=1)
        signal.setitimer(signal.ITIMER_REAL, 5e-5 + i % 40 * 2e-5)
        try:
            consumer.receive(1)
            with consumer.flexible_zone(1) as zone:
                zone.data[:1] = b"z"
            consumer.receive(0.02)
        except (Closed, Timeout):
            closed += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        consumer.close()
        assert len(list_participants("handler")) == 1, list_participants("handler")
    assert struck > 20 and closed > 20, (struck, closed)
    producer.close()
    print("done")
    """
    with Worker(PREAMBLE + textwrap.dedent(script)) as worker:
        assert worker.end(60) == "done\n"


def test_another_thread_closes_in_the_middle(directory):
    """The closing thread waits for the end of the step, and then closes."""
    with Producer("handler", slot_size=64) as producer:
        inside, left = threading.Event(), threading.Event()
        stages = []

        def step():
            inside.set()
            assert not left.wait(0.05)
            stages.append("step")

        def close():
            inside.wait()
            producer.close()
            stages.append("closed")
            left.set()

        other = threading.Thread(target=close, daemon=True)
        other.start()
        producer._unclosed(step)
        other.join()
        assert stages == ["step", "closed"]
        with pytest.raises(Closed):
            producer._unclosed(step)


def test_a_step_that_raises_closes_all_the_same(directory):
    with Producer("handler", slot_size=64) as producer:

        def step():
            producer.close()
            assert producer.closed
            raise KeyError

        with pytest.raises(KeyError):
            producer._unclosed(step)
        with Producer("handler", slot_size=64):
            pass


def test_the_collector_ends_a_hold_in_the_middle_of_a_step(directory):
    """A hold is collected while its participant is in a step, and in the middle of a read."""
    with Producer("handler", slot_size=64) as producer, Consumer("handler", max_pins=2) as consumer:
        for number in range(4):
            producer.send(b"%d" % number)
        iterator = iter(consumer)
        next(iterator)
        cycle = [[iterator]]
        cycle[0].append(cycle[0])
        del iterator
        with consumer.read(0) as slot:
            assert bytes(slot.data) == b"1"

            def step():
                del cycle[:]
                gc.collect()

            consumer._unclosed(step)
            assert bytes(slot.data) == b"1"
        assert [consumer.receive(0) for _ in range(2)] == [b"2", b"3"]
        with pytest.raises(Timeout):
            consumer.receive(0)
        assert not consumer._held
        assert not consumer._late


def inside_a_call(participant):
    """Whether another thread is inside a call."""
    try:
        participant.counters[0].value  # noqa: B018
    except Busy:
        return True
    return False


def test_the_collector_aborts_in_another_thread(directory):
    """The claim is aborted although the producer is inside a call."""
    with Producer("handler", slot_size=64) as producer, Consumer("handler") as consumer:
        with consumer.lock(1):
            cell = [WriteTransactionGuard(producer)]
            waits, given_back = threading.Event(), threading.Event()

            def wait():
                waits.set()
                while not given_back.is_set():
                    with contextlib.suppress(
                        Timeout, Busy
                    ):  # Busy: this question itself came in between
                        producer.lock(1, 0.3).acquire()

            other = threading.Thread(target=wait, daemon=True)
            other.start()
            waits.wait()
            assert eventually(lambda: inside_a_call(producer))
            with pytest.warns(ResourceWarning):
                cell.clear()
            given_back.set()
            other.join()
        assert producer.send(b"x") == 0


def test_a_handler_while_the_library_calls_back(directory, monkeypatch):
    """A handler comes while auto_recover hands its steps over, uses another block and closes it."""
    claim = """
    from datablock_ctypes import Producer
    producer = Producer("stuck", slot_size=8)
    producer.write().__enter__()
    print("claimed", flush=True)
    input()
    """
    with Worker(claim) as worker:
        assert worker.line() == "claimed"
        worker.kill()
    producer, consumer = Producer("other", slot_size=8), Consumer("other")
    seen = []

    def stop(*_):
        producer.send(b"x")
        seen.append(consumer.receive(0))
        consumer.close()
        producer.close()

    step = _integrity._step

    def interrupted(found):
        if not seen:
            signal.raise_signal(signal.SIGUSR1)
        return step(found)

    monkeypatch.setattr(_integrity, "_step", interrupted)
    previous = signal.signal(signal.SIGUSR1, stop)
    try:
        steps = auto_recover("stuck", False)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert steps
    assert seen == [b"x"]
    assert not list_participants("other") or not any(
        one.alive for one in list_participants("other")
    )
