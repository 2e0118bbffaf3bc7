"""Each status arrives as its exception, with the library's text."""

import ctypes
import errno
import os
import pickle

import pytest
from support import Worker, control_file, layout, mark, peek, poke

from datablock_ctypes import (
    Access,
    Busy,
    Closed,
    Consumer,
    Corrupt,
    DataBlockError,
    Delivery,
    Fenced,
    Full,
    Geometry,
    Handle,
    Invalid,
    InvalidSlot,
    Lost,
    NoProducer,
    NoSpace,
    NoSpare,
    NotFound,
    Overrun,
    Panic,
    Producer,
    ProducerActive,
    RecoveryError,
    Secret,
    Start,
    Status,
    Superseded,
    System,
    Timeout,
    Version,
    _abi,
    _errors,
    _library,
    unlink,
)


def ring(slot_count=4, **settings):
    return Producer("camera", slot_size=100, slot_count=slot_count, **settings)


def attach(delivery=Delivery.LOSSLESS, **settings):
    return Consumer("camera", delivery=delivery, **settings)


def fails(error, words, call):
    with pytest.raises(error, match=words) as raised:
        call()
    assert type(raised.value) is error
    assert raised.value.status == error.status
    assert isinstance(raised.value.status, Status)
    assert raised.value.detail == str(raised.value)
    assert isinstance(raised.value, DataBlockError)
    return raised.value


def test_from_opening(directory):
    path = directory / "camera"
    fails(NotFound, 'no block "camera" in', lambda: Consumer("camera"))
    fails(NotFound, "there is no directory", lambda: ring(directory=directory / "missing"))
    fails(System, "not a directory", lambda: ring(directory="/dev/null"))
    fails(Invalid, "alignment 48", lambda: ring(alignment=48))
    fails(NoSpace, "no space left", lambda: Producer("camera", slot_size=1 << 40))
    path.write_text("x" * 10000)
    fails(Corrupt, "not a DataBlock file", lambda: Consumer("camera"))
    path.unlink()
    with ring(consumer_limit=2, spare_slots=2, secret=b"sesame"):
        fails(
            ProducerActive,
            "is being written|has a living producer|pid",
            lambda: ring(secret=b"sesame"),
        )
        fails(Secret, "secret", lambda: Consumer("camera"))
        with Consumer("camera", secret=b"sesame", delivery=Delivery.LATEST):
            fails(
                NoSpare,
                "spare",
                lambda: Consumer("camera", secret=b"sesame", delivery=Delivery.LATEST),
            )
    unlink("camera")
    with ring(consumer_limit=1), attach():
        fails(Full, "1", attach)
    fails(Geometry, "slot_count", lambda: ring(5))
    poke(path, layout("HDR_MAJOR"), 77, 4)
    fails(Version, "77", attach)
    poke(path, layout("HDR_MAJOR"), 1, 4)


def test_access(directory):
    with Worker("""
        import os
        import datablock_ctypes
        datablock_ctypes.load()
        with datablock_ctypes.Producer("camera", slot_size=64):
            path = os.path.join(os.environ["DATABLOCK_DIR"], "camera")
            if os.geteuid() == 0:
                os.chmod(os.path.dirname(path), 0o755)
                os.setuid(65534)
            else:
                os.chmod(path, 0)
            try:
                datablock_ctypes.Consumer("camera")
            except PermissionError as error:
                told = "permission denied" in str(error)
                print(type(error).__name__, error.errno, int(error.status), told)
            os._exit(0)
    """) as worker:
        printed = worker.process.stdout.read()
        assert printed == f"{Access.__name__} {errno.EACCES} 6 True\n"
    (directory / "camera").chmod(0o600)


def test_from_writing(directory):
    path = directory / "camera"
    with ring() as producer, attach():
        with producer.write() as slot:
            fails(Invalid, "still open", lambda: producer.send(b"x"))
            slot.commit(1)
        for _ in range(3):
            producer.send(b"x", 0)
        fails(Timeout, "asked not to wait", lambda: producer.send(b"x", 0))
        fails(Timeout, r"within \d+ms: a LOSSLESS consumer", lambda: producer.send(b"x", 0.02))
    with ring() as producer:

        def fenced():
            with producer.write() as slot:
                mark(path, slot.id, "ENTRY_FENCE")

        fails(Fenced, "nothing was published", fenced)
        with producer.write() as slot:
            assert slot.id == 4  # the same id again

        def superseded():
            with producer.write():
                unlink("camera", force=True)

        fails(Superseded, "nothing was published", superseded)
        fails(Superseded, "open it again", lambda: producer.send(b"x"))
    fails(Closed, "is closed", lambda: producer.send(b"x"))


def test_from_reading(directory):
    path = directory / "camera"
    with ring() as producer:
        with attach() as consumer:
            producer.send(b"0")
            producer.send(b"1")
            mark(path, 0, "ENTRY_LOST")
            fails(Lost, "message 0 was discarded", consumer.receive)
            with consumer.read() as slot:
                assert slot.id == 1
                fails(Busy, "max_pins 1", consumer.receive)
            fails(Timeout, "nothing new", lambda: consumer.receive(0))
            fails(NotFound, "not written yet", consumer.read_at(2).__enter__)
        with attach() as consumer:
            producer.send(b"2")
            poke(control_file(path), layout("CTL_LOSSLESS"), 0)
            for _ in range(4):
                producer.send(b"x", 0)
            fails(Overrun, "although this consumer is LOSSLESS", consumer.receive)
            fails(Overrun, "was overwritten", consumer.read_at(0).__enter__)
        with attach() as consumer:
            take_row_away(path)
            fails(Fenced, "attach again", consumer.receive)
        with attach() as consumer:
            producer.send(b"last")
            producer.close()
            assert consumer.receive() == b"last"
            fails(Closed, "closed the stream", consumer.receive)
        with ring() as producer, attach() as consumer:
            unlink("camera", force=True)
            fails(Superseded, "attach again", consumer.receive)


def take_row_away(path):
    """Give row 1 to another owner: another incarnation, as a forced recovery does."""
    control = control_file(path)
    at = (
        peek(control, layout("CTL_ROWS"), 0)
        + layout("CTL_ROWS")
        + layout("ROW_SIZE")
        + layout("ROW_INCARNATION")
    )
    poke(control, at, peek(control, at, 4) + 1, 4)


def test_from_the_end_of_a_slot(directory):
    """The end of a slot raises if the bytes may have changed, whatever else failed."""
    path = directory / "camera"
    with ring(spare_slots=2) as producer:

        def fenced(ending=None):
            with attach(Delivery.LATEST, start=Start.OLDEST) as consumer, consumer.read():
                take_row_away(path)
                if ending is not None:
                    raise ending

        def overrun(ending=None):
            with attach(Delivery.LATEST, start=Start.OLDEST) as consumer, consumer.read():
                at = layout("CTL_ROWS") + layout("ROW_SIZE") + layout("ROW_PINS")
                poke(control_file(path), at, 0)
                for _ in range(12):
                    producer.send(b"x", 0)
                if ending is not None:
                    raise ending

        producer.send(b"x")
        for call, error in ((fenced, Fenced), (overrun, Overrun)):
            fails(error, "attach again|discard", call)
            told = fails(error, "attach again|discard", lambda call=call: call(ZeroDivisionError()))
            assert isinstance(told.__context__, ZeroDivisionError)
            with pytest.raises(KeyboardInterrupt):
                call(KeyboardInterrupt())

        with attach(Delivery.LATEST, start=Start.OLDEST) as consumer:

            def loop():
                for _ in consumer:
                    poke(
                        control_file(path),
                        layout("CTL_ROWS") + layout("ROW_SIZE") + layout("ROW_PINS"),
                        0,
                    )
                    for _ in range(12):
                        producer.send(b"x", 0)

            fails(Overrun, "discard", loop)


def test_no_producer():
    with Worker("""
        from datablock_ctypes import Producer
        producer = Producer("camera", slot_size=100)
        print("open", flush=True)
        input()
    """) as worker:
        assert worker.line() == "open"
        with Consumer("camera") as consumer:
            worker.kill()
            error = fails(NoProducer, "nobody has the block open", lambda: consumer.receive(0.3))
            assert isinstance(error, (Timeout, TimeoutError))


def test_handle():
    """Producer and Consumer never raise it: they know that they are closed."""
    loaded = _library.library()
    slot = _abi.RawReadSlot()
    assert loaded.datablock_read_begin(_abi.ConsumerHandle(0), 0, slot) == Status.HANDLE
    error = loaded.error(int(Status.HANDLE))
    assert type(error) is Handle
    assert "never opened" in str(error)
    assert type(loaded.error(99)) is DataBlockError
    assert "99" in str(loaded.error(99))


def test_panic():
    with Worker(
        """
        import os
        from datablock_ctypes import Panic, Producer
        with Producer("camera", slot_size=64) as producer:
            os.environ["DATABLOCK_TEST_PANIC"] = "producer.commit"
            for _ in range(2):
                try:
                    producer.send(b"x")
                except Panic as error:
                    print(type(error).__name__, "provoked at producer.commit" in str(error))
            del os.environ["DATABLOCK_TEST_PANIC"]
        """,
        DATABLOCK_LIBRARY=crashpoints_library(),
    ) as worker:
        assert worker.end() == f"{Panic.__name__} True\n" * 2


def crashpoints_library():
    path = os.path.join(
        os.path.dirname(os.environ["DATABLOCK_LIBRARY"]), "test", "libdatablock.so.1"
    )
    if not os.path.exists(path):
        pytest.skip(f"there is no {path}, the library that can be made to panic")
    return path


def test_bases():
    bases = {
        Timeout: TimeoutError,
        NoProducer: Timeout,
        Invalid: ValueError,
        NotFound: FileNotFoundError,
        Access: PermissionError,
        NoSpace: OSError,
        System: OSError,
        InvalidSlot: IndexError,
    }
    for error, base in bases.items():
        assert issubclass(error, base)
    assert issubclass(NotFound, LookupError)
    assert NotFound("x").errno == errno.ENOENT
    assert NoSpace("x").errno == errno.ENOSPC
    assert System("x").errno is None


@pytest.mark.parametrize(
    "error",
    [*_errors.BY_STATUS.values(), RecoveryError, InvalidSlot],
    ids=lambda error: error.__name__,
)
def test_exceptions_travel_between_processes(error):
    raised = (
        error("what, and what to do", -3)
        if issubclass(error, RecoveryError)
        else error("what, and what to do")
    )
    again = pickle.loads(pickle.dumps(raised))
    assert type(again) is error
    assert (str(again), again.detail, again.status) == (
        "what, and what to do",
        "what, and what to do",
        error.status,
    )
    assert getattr(again, "code", None) == getattr(raised, "code", None)
    assert str(error()).startswith(error.status.name)
    assert ctypes.sizeof(ctypes.c_int) == 4
