"""Forked children are refused and do no harm. The start methods spawn and forkserver work."""

import multiprocessing

import pytest
from support import Worker

from datablock_ctypes import Consumer, Producer, Start, unlink

CHILD = """
    import gc, os, sys
    import datablock_ctypes as db

    producer = db.Producer("camera", slot_size=64, slot_count=4)
    consumer = db.Consumer("camera", max_pins=4)
    producer.send(b"zero"), producer.send(b"one"), producer.send(b"two")
    slots = iter(consumer)
    next(slots)
    held = consumer.read().__enter__()
    claim = producer.write().__enter__()
    written, read = claim.array(), held.array()
    written[:] = 7
    sys.stdout.flush()

    pid = os.fork()
    if pid == 0:
        def tried(name, function):
            try:
                print(name, "returned", function())
            except BaseException as error:
                print(name, type(error).__name__, "spawn" in str(error) or "fresh" in str(error))

        tried("producer", lambda: db.Producer("other", slot_size=64))
        tried("consumer", lambda: db.Consumer("camera"))
        tried("send", lambda: producer.send(b"x"))
        tried("write", lambda: producer.write().__enter__())
        tried("commit", lambda: claim.__exit__(None, None, None))
        tried("receive", lambda: consumer.receive())
        tried("read", lambda: consumer.read().__enter__())
        tried("read_at", lambda: consumer.read_at(0).__enter__())
        tried("iterate", lambda: next(iter(consumer)))
        tried("release", lambda: held.release())
        tried("close", lambda: producer.close())
        tried("close", lambda: consumer.close())
        tried("version", db.version)
        tried("list", db.list_blocks)
        tried("unlink", lambda: db.unlink("camera", force=True))
        tried("alive", lambda: db.is_process_alive(os.getppid()))
        tried("diagnose", lambda: db.diagnose_slot("camera", 0))
        tried("diagnose", lambda: db.diagnose_all_slots("camera"))
        tried("release", lambda: db.release_zombie_readers("camera", 0))
        tried("release", lambda: db.release_zombie_writer("camera", 0))
        tried("cleanup", lambda: db.cleanup_dead_consumers("camera"))
        # What it inherited is neither the parent's memory to write to, nor a trap.
        print("array", int(written.sum()), bytes(read))
        with producer, consumer:
            pass
        del producer, consumer, slots, claim, held
        gc.collect()
        print("sum", int(written.sum()), int(read[0]))
        sys.exit(0)  # with all of Python's finalizers
    assert os.waitpid(pid, 0)[1] == 0
    assert (written == 7).all()
    written[0] = 65
    claim.commit(1)
    claim.__exit__(None, None, None)
    held.release()
    print("parent", bytes(next(slots).data), bytes(next(slots).data))
"""


def test_forked_child():
    with Worker(CHILD) as worker:
        lines = worker.end().splitlines()
    refused = [line.split() for line in lines[:21]]
    assert [line[1:] for line in refused] == [["Forked", "True"]] * 21
    assert lines[21:] == ["array 0 b'one'", "sum 0 111", "parent b'two' b'A'"]
    unlink("camera")


def test_a_child_may_write_to_inherited_arrays():
    """The arrays are the child's own memory: no store of the child reaches the block."""
    with Worker("""
        import os
        import numpy as np
        from datablock_ctypes import Consumer, Producer
        producer, consumer = Producer("camera", slot_size=1 << 16), Consumer("camera")
        with producer.write() as slot:
            array = slot.array()
            array[:] = 7
            pid = os.fork()
            if pid == 0:
                array[:] = 9
                os._exit(int(array[0]))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
        with consumer.read() as slot:
            print(np.unique(slot.array()))
    """) as worker:
        assert worker.end() == "[7]\n"


def test_leaving_blocks_in_a_forked_child():
    """A child that leaves `with` blocks ends nothing of its parent and hides no exception."""
    with Worker("""
        import os, sys
        from datablock_ctypes import Consumer, Producer
        with Producer("camera", slot_size=64) as producer, Consumer("camera") as consumer:
            producer.send(b"x"), producer.send(b"y")
            with consumer.read() as slot, producer.write() as claim:
                pid = os.fork()
                if pid == 0:
                    sys.exit(5)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
                claim.commit(1)
            for slot in consumer:
                if os.fork() == 0:
                    sys.exit(5)
                assert os.waitstatus_to_exitcode(os.wait()[1]) == 5
                print(slot.id, bytes(slot.data)[:1])
                if slot.id == 2:
                    break
    """) as worker:
        assert worker.end() == "1 b'y'\n2 b'\\x00'\n"


def test_fork_before_first_use():
    with Worker("""
        import os, sys, datablock_ctypes
        pid = os.fork()
        with datablock_ctypes.Producer(f"block-{pid == 0}", slot_size=64) as producer:
            producer.send(b"x")
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
    """) as worker:
        worker.end()


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_multiprocessing(method):
    with Producer("camera", slot_size=64, slot_count=4) as producer:
        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        process = context.Process(target=echo, args=(theirs,))
        process.start()
        theirs.close()
        assert ours.poll(60)
        said = ours.recv()
        if method == "fork":
            assert said.startswith("Forked: this process was forked")
        else:
            assert said == "attached"
            producer.send(b"to the child")
            assert ours.poll(60)
            assert ours.recv() == b"to the child"
            with Consumer("answer", start=Start.OLDEST) as consumer:
                assert consumer.receive(60) == b"from the child"
            ours.send("end")
        process.join(60)
        assert process.exitcode == 0
        process.close()


def echo(pipe):
    """A child of multiprocessing: attaches to the parent's block and makes a block of its own."""
    try:
        consumer = Consumer("camera")
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    with consumer, Producer("answer", slot_size=64, slot_count=4) as producer:
        pipe.send("attached")
        pipe.send(consumer.receive(60))
        producer.send(b"from the child")
        pipe.recv()
