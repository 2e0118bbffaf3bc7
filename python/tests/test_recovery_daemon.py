"""The example recovery_daemon repairs what a kill leaves, and reports each finding once.

It touches no living participant.
"""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from support import ROOT, Worker, eventually, poke

from datablock_ctypes import (
    Consumer,
    Delivery,
    Producer,
    Start,
    Timeout,
    diagnose_all_slots,
    get_metrics,
    list_participants,
    validate_integrity,
)

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
consumer = Consumer(
    "camera-left", delivery=Delivery.LATEST, start=Start.OLDEST, consumer_name="viewer"
)
held = consumer.read().__enter__()
print("ready", flush=True)
input()
"""


class Daemon:
    """The example as a process, and its log so far."""

    def __init__(self, *arguments):
        command = [
            sys.executable,
            "-W",
            "error",
            str(PROGRAM),
            "--interval",
            "0.02",
            *arguments,
        ]
        self.process = subprocess.Popen(
            command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self.news: queue.Queue[str] = queue.Queue()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        for line in self.process.stdout:
            self.news.put(line)

    def said(self, *texts):
        """The number of lines that contain all of these texts."""
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
        with (
            Worker(READER) as reader,
            Consumer("camera-left", start=Start.OLDEST, consumer_name="log") as log,
        ):
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
                assert (
                    watcher.said("would:") == 2
                )  # each finding once, however often the daemon looks
                assert watcher.said("other") == watcher.said("done:") == 0

            with Daemon("--act", "camera-*") as actor:
                assert eventually(
                    lambda: reader.pid not in dead("camera-left") and not stuck("camera-left")
                )
                assert eventually(lambda: actor.said("done:") == 2)
                assert (
                    actor.said("camera-left: done:", 'the dead consumer "viewer"', str(reader.pid))
                    == 1
                )
                assert actor.said("camera-left: done:", "dead producer", str(writer.pid)) == 1
                actor.stop(signal.SIGINT)
                assert actor.said("would:") == actor.said("failed:") == 0

            with log.read(timeout=5) as message:
                assert bytes(message.data) == b"kept"
            assert [one.name for one in list_participants("camera-left") if one.alive] == ["log"]
            assert stuck("other")  # not requested


def test_a_healthy_stream_is_no_news(directory):
    """The producer is a little faster than its consumer, and waits for it at every message."""
    with (
        Producer("camera", slot_size=64, slot_count=8) as producer,
        Consumer("camera", delivery=Delivery.LOSSLESS) as consumer,
    ):
        over = threading.Event()

        def read():
            while not over.is_set():
                with contextlib.suppress(Timeout):
                    consumer.receive(timeout=0.1)

        reader = threading.Thread(target=read)
        reader.start()
        looks = 0
        with Daemon() as watcher:
            assert eventually(lambda: watcher.said("a dry run, nothing is changed"))
            while looks < 40 or get_metrics("camera").waits < 100:
                with contextlib.suppress(Timeout):
                    producer.send(b"x", timeout=1)
                looks += get_metrics("camera").written % 50 == 0 and not stuck("camera")
            over.set()
            reader.join()
            watcher.stop(signal.SIGTERM)
            assert watcher.said("attend:") == 0, watcher.lines


HUNG = """
from datablock_ctypes import Consumer, Delivery, Start
consumer = Consumer("camera", delivery=Delivery.LOSSLESS, start=Start.OLDEST, consumer_name="hung")
held = consumer.read().__enter__()
print("ready", flush=True)
input()
"""


@pytest.mark.measured
def test_a_reader_that_hangs_is_told_after_the_stated_time(directory):
    with (
        Producer("camera", slot_size=64, slot_count=2) as producer,
        Daemon("--stuck-after", "1.5") as late,
        Daemon() as watcher,
    ):
        producer.send(b"x")
        with Worker(HUNG) as reader:
            assert reader.line() == "ready"
            producer.send(b"x")
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                producer.send(b"x", timeout=3)
            assert time.monotonic() - begun >= 3
            for daemon in (watcher, late):
                assert daemon.said("attend:", '"hung"', str(reader.pid)) == 1, daemon.lines
            first, later = (
                float(re.search(r"alive for ([0-9.]+)s", "".join(daemon.lines)).group(1))
                for daemon in (watcher, late)
            )
            assert 1 <= first < later
            assert later >= 1.5


def test_a_block_whose_first_bytes_are_damaged_is_seen_and_mended(directory):
    with Producer("camera", slot_size=64) as producer:
        producer.send(b"kept")
    poke(directory / "camera", 3, 0xFF, 1)
    with Daemon("--act") as actor:
        assert eventually(lambda: actor.said("camera: done: repair:") == 1), actor.lines
    assert validate_integrity("camera").header_valid


@pytest.mark.parametrize(
    "arguments", [["--interval", "0"], ["--stuck-after", "0.5"], ["--nonsense"]]
)
def test_wrong_arguments_are_refused(arguments):
    program = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert program.returncode == 2
    assert arguments[0] in program.stderr
