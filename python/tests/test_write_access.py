"""The right to write ends with the producer.

Objects that are left in the process cannot change what the next producer publishes.
"""

import os
import pathlib
import socket
import threading

import numpy as np
import pytest
from support import Worker, eventually

from datablock_ctypes import Closed, Consumer, Delivery, Observer, Producer, Start, _mapping

SUCCESSOR = """
import sys
from datablock_ctypes import Producer
producer = Producer("camera", slot_size=64, slot_count=2, spare_slots=2)
for i in range(8):  # every slot is used
    producer.send(b"B" * 64)
print("published", flush=True)
sys.stdin.read()
producer.close()
"""


def camera():
    return Producer("camera", slot_size=64, slot_count=2, spare_slots=2)


def newest():
    with Observer("camera") as observer:
        last = observer.newest().id
        return [observer.read_at(number).data for number in (last - 1, last)]


def end(producer, how):
    if how == "close":
        producer.close()
    else:
        thread = threading.Thread(target=producer.close)
        thread.start()
        thread.join()


@pytest.mark.parametrize("how", ["close", "another thread"])
@pytest.mark.parametrize(
    "what", ["array", "view of an array", "slice", "cast", "memoryview", "recv_into"]
)
def test_what_a_claim_has_handed_out_reaches_no_later_message(what, how):
    producer = camera()
    near, far = socket.socketpair()
    slot = producer.write(0).__enter__()
    array = slot.array()
    views = {
        "array": lambda: array,
        "view of an array": lambda: array[1:],
        "slice": lambda: slot.data[:],
        "cast": lambda: slot.data.cast("Q"),
        "memoryview": lambda: memoryview(slot.data),
        "recv_into": lambda: slot.data,
    }
    view = views[what]()
    started = threading.Event()

    def receive():
        started.set()
        with near:
            near.recv_into(view)

    thread = threading.Thread(target=receive)
    if what == "recv_into":
        thread.start()
        started.wait()
        state = pathlib.Path(f"/proc/self/task/{thread.native_id}/stat")
        assert eventually(
            lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "S"
        )  # the thread sleeps in the call
    end(producer, how)
    assert producer.closed
    with Worker(SUCCESSOR) as successor:
        assert successor.line() == "published"
        before = newest()
        if what == "recv_into":
            far.send(b"Z" * 64)
            thread.join()
        else:
            try:
                view[:] = (
                    memoryview(b"Z" * view.nbytes).cast("B").cast(view.format)
                    if isinstance(view, memoryview)
                    else ord("Z")
                )
                assert bytes(view[:1])[:1] == b"Z"  # the store stays in this process
            except ValueError:
                assert what == "array"  # read-only by now
        assert newest() == before == [b"B" * 64] * 2
    near.close()
    far.close()


def test_a_view_of_a_published_message_reaches_no_later_one_either():
    """Views made from the slot's view stay writable. The producer that published is closed."""
    producer = camera()
    views = []
    for _ in range(4):
        with producer.write(0) as slot:
            views.append(slot.array()[1:])
    producer.close()
    with Worker(SUCCESSOR) as successor:
        assert successor.line() == "published"
        for view in views:
            view[:] = ord("Z")
        assert newest() == [b"B" * 64] * 2


def test_a_forgotten_producer_leaves_no_access():
    producer = camera()
    with producer.write(0) as slot:
        view = slot.array()[1:]
    del producer, slot
    with Worker(SUCCESSOR) as successor:
        assert successor.line() == "published"
        view[:] = ord("Z")
        assert newest() == [b"B" * 64] * 2


def test_an_array_shows_after_the_close_what_the_block_has():
    producer = Producer("camera", slot_size=64, slot_count=2, unlink_on_close=True)
    with producer.write(0) as slot:
        array = slot.array()
        array[:] = 7
    producer.close()
    assert (array == 7).all()
    assert not os.path.exists(os.path.join(os.environ["DATABLOCK_DIR"], "camera"))


@pytest.mark.parametrize("keeps", [True, False], ids=["with an array", "without an array"])
def test_a_second_close_comes_in_the_middle_of_the_first(monkeypatch, keeps):
    """The second close ends, and removes the block, before the first replaces the mapping."""
    producer = Producer("camera", slot_size=64, slot_count=2, unlink_on_close=True)
    with producer.write(0) as slot:
        array = slot.array()
        array[:] = 7
    if not keeps:
        del array
    replace = _mapping.SecondMapping._replace_by_file

    def close_again(mapping, flags):
        monkeypatch.setattr(_mapping.SecondMapping, "_replace_by_file", replace)
        end(producer, "another thread")
        assert not os.path.exists(os.path.join(os.environ["DATABLOCK_DIR"], "camera"))
        return replace(mapping, flags)

    monkeypatch.setattr(_mapping.SecondMapping, "_replace_by_file", close_again)
    mapping = producer._memory._mapping
    producer.close()
    assert not mapping.writable
    assert bool(mapping.addresses) == keeps
    if keeps:
        assert (array == 7).all()


@pytest.mark.parametrize(
    "data",
    [
        bytearray(b"Z" * 64),
        memoryview(b"Z" * 64),
        memoryview(bytearray(b"Z" * 64)),
        np.full(64, ord("Z"), "u1"),
        np.frombuffer(b"Z" * 64, "u8"),
    ],
    ids=["bytearray", "read-only view", "view", "array", "read-only array"],
)
def test_sending_needs_no_mapping_of_its_own(data):
    """The library copies in the call that claims and publishes.

    No copy of Python's can therefore come after the end of the right.
    """
    with camera() as producer, Consumer("camera", delivery=Delivery.LOSSLESS) as consumer:
        producer.send(data)
        assert producer._view is None
        assert consumer.receive(0) == b"Z" * 64
        for _ in range(2):
            producer.send(data)
        with pytest.raises(TimeoutError):
            producer.send(data, 0.1)
        threading.Timer(0.05, consumer.receive, (0,)).start()
        assert producer.send(data, 20) == 3
        if isinstance(data, bytearray):
            data.append(1)  # no lock is held
            data.pop()


def test_closing_in_the_middle_of_sending():
    for _ in range(50):
        producer, frame = Producer("camera", slot_size=1 << 16, slot_count=4), bytearray(1 << 16)
        outcome = []

        def send(producer=producer, frame=frame, outcome=outcome):
            try:
                while True:
                    producer.send(frame)
            except Closed as error:
                outcome.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        producer.close()
        thread.join()
        assert len(outcome) == 1


def test_views_of_a_consumer_after_its_close_show_the_block():
    """The views are read-only, keep the memory, and may show later messages, as documented."""
    with camera() as producer:
        consumer = Consumer("camera", start=Start.OLDEST)
        producer.send(b"A" * 64)
        with consumer.read(0) as slot:
            array = slot.array()
        consumer.close()
        assert bytes(array) == b"A" * 64
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
