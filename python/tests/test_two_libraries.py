"""Two copies of the library in one process, as of a wheel and of a C extension.

Each copy has a Go runtime, signal handlers, fork handlers, threads and descriptors of its own.
"""

import os
import shutil
import signal

import pytest
from support import Worker

# `first` and `second` are two packages. Each has loaded a library of its own.
TWO = """
import importlib.util, os, select, sys, threading
import datablock_ctypes as first
spec = importlib.util.spec_from_file_location(
    "second_ctypes", first.__file__, submodule_search_locations=first.__path__
)
second = sys.modules["second_ctypes"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(second)
paths = {"first": sys.argv[1], "second": sys.argv[2]}
for name in sys.argv[3].split():  # the order of loading
    assert globals()[name].load(paths[name]) == paths[name]
loaded = {line.split()[-1] for line in open("/proc/self/maps") if "libdatablock" in line}
assert loaded == set(map(os.path.realpath, paths.values())), loaded
DIRECTORY = os.environ["DATABLOCK_DIR"]
"""


@pytest.fixture(params=["first second", "second first"])
def two(request, tmp_path):
    """A worker with both copies, which are loaded in this order."""
    own = os.environ["DATABLOCK_LIBRARY"]
    copy = tmp_path / "libdatablock.so.1"
    shutil.copy(own, copy)

    def start(script):
        return Worker(TWO + script, own, copy, request.param)

    return start


def test_both_copies_exchange_messages(two):
    with two("""
for producing, other in ((first, second), (second, first)):
    with producing.Producer("both", slot_size=64, slot_count=8, unlink_on_close=True) as producer:
        try:
            other.Producer("both", slot_size=64, slot_count=8)
        except other.ProducerActive as error:
            print(f"pid {os.getpid()}" in str(error))
        got = {first: [], second: []}
        consumers = {
            package: package.Consumer("both", delivery=package.Delivery.LOSSLESS) for package in got
        }
        def read(package):
            for message in range(20_000):
                got[package].append(int(consumers[package].receive(20)))
        threads = [threading.Thread(target=read, args=[package]) for package in got]
        for thread in threads:
            thread.start()
        for message in range(20_000):
            producer.send(b"%d" % message, 20)
        for thread in threads:
            thread.join()
        print([numbers == list(range(20_000)) for numbers in got.values()])
        for consumer in consumers.values():
            consumer.close()
""") as worker:
        assert worker.end().splitlines() == ["True", "[True, True]"] * 2


def test_force_against_the_other_copy(two):
    """An eviction treats a participant of the same process as that of another one."""
    with two("""
with first.Producer("forced", slot_size=64, unlink_on_close=True) as producer:
    consumer = second.Consumer("forced", delivery=second.Delivery.LOSSLESS)
    row, = [p.row for p in first.list_participants("forced") if p.pid == os.getpid() and p.row]
    first.evict_consumer("forced", row, force=True)
    producer.send(b"message")
    try:
        consumer.receive(0)
    except second.Fenced:
        print("fenced")
    consumer.close()
    newer = second.Producer("forced", slot_size=64, force=True, replace=True, unlink_on_close=True)
    try:
        producer.send(b"message")
    except first.Superseded:
        print("superseded")
    newer.close()
""") as worker:
        assert worker.end() == "fenced\nsuperseded\n"


def test_truncated_files_are_errors_of_both(two):
    """The handlers of both copies are installed for the signals of a missing page."""
    with two("""
for turn in range(3):
    for one, other in ((first, second), (second, first)):
        producer = one.Producer("gone", slot_size=65536, slot_count=8)
        consumers = [one.Consumer("gone"), other.Consumer("gone")]
        producer.send(bytes(60_000))
        os.truncate(os.path.join(DIRECTORY, "gone"), 4096)
        for consumer in consumers:
            try:
                print("read", len(consumer.receive(0)))
            except (first.Corrupt, second.Corrupt):
                pass
        try:
            print("wrote", [producer.send(bytes(60_000)) for message in range(3)])
        except one.Corrupt:
            pass
        for participant in (producer, *consumers):
            try:
                participant.close()
            except (first.Corrupt, second.Corrupt):
                pass
        for name in os.listdir(DIRECTORY):
            os.remove(os.path.join(DIRECTORY, name))
print("end")
""") as worker:
        assert worker.end() == "end\n"


FORKS = """
producer = first.Producer("forked", slot_size=64, unlink_on_close=True)
consumer = second.Consumer("forked")
child = os.fork()
if child == 0:
    answers = []
    for call in (
        lambda: producer.send(b"1"),
        lambda: consumer.receive(0),
        lambda: first.Consumer("forked"),
        lambda: second.Consumer("forked"),
    ):
        try:
            call()
            answers.append("done")
        except (first.Forked, second.Forked):
            answers.append("Forked")
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    left = [file for file in map(os.path.realpath, links) if file.startswith(DIRECTORY)]
    os.write(1, f"{answers} {left}{os.linesep}".encode())
    # Until the test closes the pipe. Reading would take the parent's line.
    poll = select.poll()
    poll.register(sys.stdin, 0)
    poll.poll()
    os._exit(0)
"""


def test_a_forked_child_is_refused_by_both(two):
    with two(
        FORKS
        + """
print(sys.stdin.readline().strip(), flush=True)
producer.send(b"after")
print(consumer.receive(20))
consumer.close()
producer.close()
os.kill(child, 9)
os.waitpid(child, 0)
"""
    ) as worker:
        assert worker.line().startswith("['Forked', 'Forked', 'Forked', 'Forked'] []")
        worker.process.stdin.write("go on\n")
        worker.process.stdin.flush()
        assert worker.end() == "go on\nb'after'\n"


def test_threads_leave_nothing_in_either(two):
    with two("""
def use(name):
    with first.Producer(name, slot_size=64, unlink_on_close=True) as producer:
        with second.Consumer(name) as consumer:
            producer.send(b"x")
            consumer.receive(20)
def count():
    return len(os.listdir("/proc/self/fd")), sum(1 for line in open("/proc/self/maps"))
def run(times):
    for turn in range(times):
        thread = threading.Thread(target=use, args=[f"thread{turn % 7}"])
        thread.start()
        thread.join()
run(50)
descriptors, mappings = count()
run(500)
more_descriptors, more_mappings = count()
print(more_descriptors <= descriptors, more_mappings < mappings + 100)
""") as worker:
        assert worker.end() == "True True\n"


def test_a_killed_process_holds_nothing_of_either(two):
    """The liveness leases of both copies end with the process, although its child lives on."""
    import datablock_ctypes

    with two(
        FORKS
        + """
os.write(1, b"ready\\n")  # One write: the child writes a line to the same pipe.
signal = threading.Event()
signal.wait()
"""
    ) as worker:
        lines = {worker.line().split()[0] for _ in range(2)}
        assert lines == {"['Forked',", "ready"}
        os.kill(worker.pid, signal.SIGKILL)
        worker.process.wait()
        with datablock_ctypes.Producer("forked", slot_size=64, unlink_on_close=True) as producer:
            producer.send(b"next")
            rows = datablock_ctypes.list_participants("forked")
            assert [row.pid for row in rows if row.pid != os.getpid() and row.alive] == []
