"""The example recovery_daemon: it repairs what a kill leaves, tells each thing once, and touches nobody who lives."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading

import pytest
from support import ROOT, Worker, eventually

from datablock_ctypes import Consumer, Start, diagnose_all_slots, list_participants

PROGRAM = ROOT / "examples" / "python" / "recovery_daemon" / "recovery_daemon.py"

WRITER = """
from datablock_ctypes import Producer
claims = []
for name in ("camera-left", "other"):
    producer = Producer(name, slot_size=64)
    producer.send(b"kept")
    claims.append((producer, producer.write().__enter__()))
print("ready", flush=True)
input()
"""

READER = """
from datablock_ctypes import Consumer, Delivery, Start
consumer = Consumer("camera-left", delivery=Delivery.LATEST, start=Start.OLDEST, consumer_name="viewer")
held = consumer.read().__enter__()
print("ready", flush=True)
input()
"""


class Daemon:
    """The example as a process, and what it has logged so far."""

    def __init__(self, *arguments):
        command = [sys.executable, "-B", "-W", "error", str(PROGRAM), "--interval", "0.02", *arguments]
        self.process = subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self.news: queue.Queue[str] = queue.Queue()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        for line in self.process.stdout:
            self.news.put(line)

    def said(self, *texts):
        """How many lines have all of these in them."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.lines.append(self.news.get_nowait())
        return sum(all(text in line for text in texts) for line in self.lines)

    def stop(self, number):
        self.process.send_signal(number)
        assert self.process.wait(20) == 0
        self.thread.join()
        assert self.said(f"stopped by {signal.Signals(number).name}") == 1
        assert "stopped by" in self.lines[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


def dead(name):
    return [one.pid for one in list_participants(name) if not one.alive]


def stuck(name):
    return [one.slot_index for one in diagnose_all_slots(name) if one.is_stuck]


def test_the_daemon_repairs_what_kills_leave(directory):
    with Worker(WRITER) as writer:
        assert writer.line() == "ready"
        with Worker(READER) as reader, Consumer("camera-left", start=Start.OLDEST, consumer_name="log") as log:
            assert reader.line() == "ready"
            with Daemon("camera-*") as watcher:
                assert eventually(lambda: watcher.said("a dry run, nothing is changed"))
                for process, what in (
                    (writer, "end the claim of a dead producer"),
                    (reader, 'release row 2 of the dead consumer "viewer"'),
                ):
                    process.kill()
                    told = ("camera-left: would:", what, str(process.pid))
                    assert eventually(lambda told=told: watcher.said(*told)), watcher.lines
                assert eventually(lambda: stuck("camera-left"))
                assert sorted(dead("camera-left")) == sorted([writer.pid, reader.pid])
                watcher.stop(signal.SIGTERM)
                assert watcher.said("would:") == 2  # each thing once, however often it looks
                assert watcher.said("other") == watcher.said("done:") == 0

            with Daemon("--act", "camera-*") as actor:
                assert eventually(lambda: reader.pid not in dead("camera-left") and not stuck("camera-left"))
                assert eventually(lambda: actor.said("done:") == 2)
                assert actor.said("camera-left: done:", 'the dead consumer "viewer"', str(reader.pid)) == 1
                assert actor.said("camera-left: done:", "dead producer", str(writer.pid)) == 1
                actor.stop(signal.SIGINT)
                assert actor.said("would:") == actor.said("failed:") == 0

            with log.read(timeout=5) as message:
                assert bytes(message.data) == b"kept"
            assert [one.name for one in list_participants("camera-left") if one.alive] == ["log"]
            assert stuck("other")  # not asked for


@pytest.mark.parametrize("arguments", [["--interval", "0"], ["--nonsense"]])
def test_wrong_arguments_are_refused(arguments):
    program = subprocess.run([sys.executable, "-B", str(PROGRAM), *arguments], env=os.environ, capture_output=True, text=True, timeout=60)
    assert program.returncode == 2
    assert arguments[0] in program.stderr
