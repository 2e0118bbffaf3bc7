"""Messages in place: the lifetime of views, and that no view can crash the interpreter."""

import ctypes
import gc
import pathlib
import threading
import weakref

import numpy as np
import pytest
from support import Worker, eventually, mappings

from datablock_ctypes import (
    Closed,
    Consumer,
    Delivery,
    Invalid,
    NoProducer,
    Producer,
    Timeout,
    unlink,
)

MEGABYTE = 1 << 20


def address(array):
    return array.__array_interface__["data"][0]


def test_frames_without_a_copy():
    """A 1 MB frame on both sides: the same pages of shared memory, and no others."""
    shape = (512, 512)
    with (
        Producer("camera", slot_size=MEGABYTE, slot_count=2) as producer,
        Consumer("camera") as consumer,
    ):
        with producer.write() as slot:
            frame = slot.array("f4", shape)
            again = slot.array("u1")
            assert np.shares_memory(frame, again)
            assert np.shares_memory(frame, np.frombuffer(slot.data, "u1"))
            assert (
                ctypes.addressof(ctypes.c_ubyte.from_buffer(slot.data))
                == address(frame)
                == address(again)
            )
            assert frame.nbytes == MEGABYTE
            frame[:] = np.arange(frame.size, dtype="f4").reshape(shape)
        with consumer.read() as slot:
            seen = slot.array("f4", shape)
            assert not seen.flags.writeable
            assert not seen.flags.owndata
            assert np.shares_memory(seen, slot.array("u1"))
            assert np.shares_memory(seen, np.frombuffer(slot.data, "u1"))
            assert seen[0, 1] == 1
            assert seen[-1, -1] == frame.size - 1
            # Both sides use the same memory: a store on one side is visible on the other without a
            # call.
            pointer = ctypes.cast(address(frame), ctypes.POINTER(ctypes.c_float))
            pointer[5] = 4711.0
            assert seen[0, 5] == 4711.0
            assert address(seen) % 64 == address(frame) % 64 == 0


def test_reading_and_writing_frames_allocates_nothing(directory):
    import tracemalloc

    with (
        Producer("camera", slot_size=MEGABYTE, slot_count=2) as producer,
        Consumer("camera") as consumer,
    ):

        def exchange():
            with producer.write() as slot:
                slot.array("u1")[:] = 7
            with consumer.read() as slot:
                assert slot.array("u1")[-1] == 7

        exchange()
        tracemalloc.start()
        for _ in range(20):
            exchange()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 * 1024
        assert (
            mappings(directory) <= 6
        )  # data file: two of the library, two of Python. Control file: two


def test_consumers_cannot_write():
    with Producer("camera", slot_size=64) as producer, Consumer("camera") as consumer:
        producer.send(b"x" * 64)
        with consumer.read() as slot:
            with pytest.raises(TypeError):
                slot.data[0] = 1
            array = slot.array()
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            with pytest.raises(ValueError, match="WRITEABLE"):
                array[1:].flags.writeable = True
            with pytest.raises(TypeError):
                ctypes.c_ubyte.from_buffer(slot.data)


def test_a_view_of_an_ended_slot_raises():
    with Producer("camera", slot_size=64, slot_count=2) as producer, Consumer("camera") as consumer:
        with producer.write() as slot:
            written = slot.data
        with pytest.raises(ValueError, match="released"):
            written[0] = 1
        with pytest.raises(ZeroDivisionError), producer.write() as slot:
            written = slot.data
            raise ZeroDivisionError
        with pytest.raises(ValueError, match="released"):
            written[0] = 1
        with consumer.read() as slot:
            read = slot.data
            other = slot.data
            assert other is read
        for use in (
            lambda: read[0],
            lambda: bytes(read),
            lambda: read.cast("H"),
            lambda: read[1:2],
        ):
            with pytest.raises(ValueError, match="released"):
                use()
        with pytest.raises(ValueError, match="has ended"):
            slot.data  # noqa: B018


def test_an_array_of_an_ended_write_slot_is_read_only():
    """Prevents that a program writes by mistake into a message that consumers read."""
    with Producer("camera", slot_size=64) as producer:
        with producer.write() as slot:
            array = slot.array()
            array[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2
        assert array[0] == 1
        with producer.write() as slot:
            array = slot.array()
            slot.abort()
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2


def test_what_was_made_of_a_view_stays_valid():
    """Slices, casts and arrays of slot.data are views of their own.

    The slot ends nevertheless, and the memory stays.
    """
    with Producer("camera", slot_size=64) as producer:
        consumer = Consumer("camera")
        producer.send(bytes(range(64)))
        with consumer.read() as slot:
            piece, words, array = (
                slot.data[8:16],
                slot.data.cast("Q"),
                np.frombuffer(slot.data, "u1"),
            )
        assert consumer.closed is False
        with pytest.raises(Timeout):
            consumer.receive(0)
        consumer.close()
    unlink("camera")
    del consumer, producer
    gc.collect()
    assert bytes(piece) == bytes(range(8, 16))
    assert len(words) == 8
    assert array.sum() == sum(range(64))


def test_shapes_and_types():
    record = np.dtype([("time", "f8"), ("value", "i4"), ("flags", "u2"), ("spare", "u2")])
    with Producer("camera", slot_size=100) as producer, Consumer("camera") as consumer:
        with producer.write() as slot:
            with pytest.raises(Invalid, match="no whole number"):
                slot.array("f8")
            with pytest.raises(Invalid, match="needs 104 bytes"):
                slot.array("f8", 13)
            with pytest.raises(TypeError):
                slot.array("O")
            with pytest.raises(TypeError):
                slot.array([("a", "O")])
            rows = slot.array(record, (2, 3))
            rows["value"] = [[1, 2, 3], [4, 5, 6]]
            slot.commit(rows.nbytes)
        with consumer.read() as slot:
            assert slot.array(record).shape == (6,)
            assert slot.array(record)["value"].tolist() == [1, 2, 3, 4, 5, 6]
            assert slot.array(record, (3, 2))["value"][2, 1] == 6
            assert slot.array("u1").shape == (96,)
            assert slot.array([("time", "f8"), ("rest", "u8")])["time"].shape == (6,)
            for kind in (record, np.dtype((np.record, record)), record):  # equal, and not identical
                assert slot.array(kind).dtype.type is kind.type
            assert slot.array("f8", ()).shape == ()
            with pytest.raises(Invalid):  # fits the slot, not the message
                slot.array("u1", 97)
            for shape in (-1, (-1, -2), (2, -1)):
                with pytest.raises(Invalid):
                    slot.array("u1", shape)
            with pytest.raises(Invalid):
                slot.array("V0")
            with pytest.raises(Invalid):
                slot.array("f8", (1 << 62, 1 << 62))
        producer.send(b"")
        with consumer.read() as slot:
            assert slot.array().shape == (0,)
            assert slot.data == b""


def test_numpy_arrays_may_be_sent():
    frame = np.arange(12, dtype="i2").reshape(3, 4)
    with Producer("camera", slot_size=64) as producer, Consumer("camera") as consumer:
        producer.send(frame)
        assert consumer.receive() == frame.tobytes()
        with pytest.raises(TypeError, match="contiguous"):
            producer.send(frame.T)
        producer.send(np.ascontiguousarray(frame.T))
        assert consumer.receive() == frame.T.tobytes()


@pytest.mark.parametrize("ending", ["close", "collect"])
def test_arrays_outlive_everything(ending, directory):
    producer = Producer("camera", slot_size=4096, slot_count=2, unlink_on_close=True)
    consumer = Consumer("camera")
    with producer.write() as slot:
        written = slot.array("u8")
        written[:] = 4711
    with consumer.read() as slot:
        read = slot.array("u8")
    if ending == "close":
        consumer.close()
        producer.close()
    gone = weakref.ref(producer), weakref.ref(consumer)
    del producer, consumer, slot
    gc.collect()
    assert gone[0]() is gone[1]() is None
    assert list(directory.iterdir()) == []
    views = [read[::2], read.reshape(16, 32).T, memoryview(read)]
    del read
    gc.collect()
    assert views[0].sum() == 4711 * 256
    assert views[1].sum() == written.sum() == 4711 * 512
    assert mappings(directory) == 2
    del views, written
    assert mappings(directory) == 0


def test_closing_does_not_wait_for_arrays():
    """A closed consumer applies no backpressure, whatever arrays are left.

    Its row and its holds are gone.
    """
    producer = Producer("camera", slot_size=64, slot_count=2)
    consumer = Consumer("camera")
    producer.send(b"a" * 64)
    with consumer.read() as slot:
        kept = slot.array()
        producer.send(b"b" * 64)
        with pytest.raises(Timeout):
            producer.send(b"c" * 64, 0)
        consumer.close()
        producer.send(b"c" * 64, 0)
    # The end of a stream is the producer's close, not the last array.
    reader = Consumer("camera")
    with producer.write() as slot:
        frame = slot.array()
        frame[:] = 9
    producer.close()
    assert [bytes(slot.data) for slot in reader] == [b"\x09" * 64]
    with Producer("camera", slot_size=64, slot_count=2) as successor:
        assert successor.send(b"e") == 4
    reader.close()
    assert kept.size == frame.size == 64


def test_exit_with_live_arrays():
    with Worker("""
        import atexit, os
        from datablock_ctypes import Consumer, Producer

        producer = Producer("camera", slot_size=4096, slot_count=2)
        consumer = Consumer("camera")
        with producer.write() as slot:
            written = slot.array("u8")
            written[:] = 7
        claim = producer.write().__enter__()
        claimed, view = claim.array(), claim.data
        with consumer.read() as slot:
            read = slot.array("u8")
            kept = [read[::2], memoryview(read), slot.data[3:9]]
        cycle = [read]
        cycle.append(cycle)

        class Late:
            def __init__(self):
                self.array, self.view = read, claim.data[1:5]
            def __del__(self, write=os.write):
                write(1, b"%d %d\\n" % (self.array[-1], len(bytes(self.view))))

        atexit.register(lambda: print(read.sum(), flush=True))
        late = Late()
    """) as worker:
        assert worker.end().split() == ["3584", "7", "4"]
    with (
        Consumer("camera") as consumer,
        pytest.raises(Closed),
    ):  # the program closed what it had opened
        consumer.receive(0)


def test_exit_with_threads_that_wait():
    with Worker("""
        import threading
        from datablock_ctypes import Consumer, Producer
        producer, consumer = Producer("camera", slot_size=64), Consumer("camera")
        producer.send(b"x")
        reading = threading.Event()

        def read():
            for slot in consumer:
                kept = slot.array()
                reading.set()

        threading.Thread(target=read, daemon=True).start()
        reading.wait()
    """) as worker:
        worker.end()


def test_exit_with_an_exception():
    with Worker("""
        from datablock_ctypes import Consumer, Producer
        producer, consumer = Producer("camera", slot_size=64), Consumer("camera")
        producer.send(b"x")
        for slot in consumer:
            array = slot.array()
            raise SystemExit(0)
    """) as worker:
        worker.end()


def test_closing_while_another_thread_looks():
    """Threads that use objects during their close get an exception, never foreign memory."""
    for _ in range(30):
        producer, consumer = (
            Producer("camera", slot_size=4096, slot_count=4),
            Consumer("camera", delivery=Delivery.LATEST),
        )
        started = threading.Barrier(3)
        problems = []

        def write(producer=producer, started=started, problems=problems):
            started.wait()
            try:
                while True:
                    with producer.write() as slot:
                        slot.array("u8")[:] = slot.id
            except Exception as problem:
                problems.append(problem)

        def read(consumer=consumer, started=started, problems=problems):
            started.wait()
            try:
                while True:
                    with consumer.read() as slot:
                        array = slot.array("u8")
                        assert (array == slot.id).all() or consumer.closed
            except Exception as problem:
                problems.append(problem)

        threads = [threading.Thread(target=write), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        started.wait()
        consumer.close()
        producer.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        # Closed by the next call; Invalid or ValueError if the close came while a slot was held.
        assert len(problems) == 2
        assert all(isinstance(error, (Closed, Invalid, ValueError)) for error in problems), problems
    unlink("camera")


def test_descriptors_are_those_of_the_library(directory):
    """The memory for Python objects needs no descriptor."""
    from support import descriptors

    with Producer("camera", slot_size=64) as producer, Consumer("camera") as consumer:
        producer.send(b"x")
        before = descriptors(directory)
        consumer.receive()
        assert descriptors(directory) == before
    assert pathlib.Path(directory, "camera").exists()
    assert eventually(lambda: not descriptors(directory))
    assert issubclass(NoProducer, Timeout)
