"""The example prometheus_export, scraped over HTTP as Prometheus does."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import ROOT, Worker, eventually, poke

from datablock_ctypes import Consumer, Delivery, Producer

PROGRAM = ROOT / "examples" / "python" / "prometheus_export" / "prometheus_export.py"

READER = """
from datablock_ctypes import Consumer, Start
consumer = Consumer("camera", start=Start.OLDEST, consumer_name="viewer")
held = consumer.read().__enter__()
print("ready", flush=True)
input()
"""


class Exporter:
    def __init__(self, *arguments):
        command = [sys.executable, "-W", "error", str(PROGRAM), "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()

    def families(self):
        with urllib.request.urlopen(self.url, timeout=20) as response:
            assert response.headers["Content-Type"].startswith("text/plain")
            return list(text_string_to_metric_families(response.read().decode()))

    def scrape(self):
        """The value of each sample, by its name and the values of its labels, sorted."""
        return {
            (s.name, *sorted(s.labels.values())): s.value
            for family in self.families()
            for s in family.samples
        }

    def stop(self, number):
        self.process.send_signal(number)
        assert self.process.wait(20) == 0
        assert self.process.stderr.read() == ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def test_a_block_with_traffic_is_scraped(directory):
    with (
        Producer("camera", slot_size=64, slot_count=4) as producer,
        Producer("other", slot_size=64),
        Exporter("cam*") as exporter,
    ):
        with (
            Consumer("camera", delivery=Delivery.ORDERED, consumer_name='lo"g') as log,
            Worker(READER) as viewer,
        ):
            for _ in range(3):
                producer.send(b"abc")
            assert viewer.line() == "ready"
            for _ in range(2):
                with log.read():
                    pass
            with pytest.raises(ZeroDivisionError), producer.write():
                raise ZeroDivisionError

            found = exporter.scrape()
            mine, its = (
                sorted(("camera", "1", 'lo"g', "ORDERED")),
                sorted(("camera", "2", "viewer", "LOSSLESS")),
            )
            expected = {
                ("datablock_readable", "camera"): 1,
                ("datablock_written_messages_total", "camera"): 3,
                ("datablock_written_bytes_total", "camera"): 9,
                ("datablock_aborted_claims_total", "camera"): 1,
                ("datablock_producer_alive", "camera"): 1,
                ("datablock_consumers", "camera"): 2,
                ("datablock_stuck_slots", "camera"): 0,
                ("datablock_memory_bytes", "camera"): sum(
                    file.stat().st_size for file in directory.glob("camera*")
                ),
                ("datablock_consumer_read_messages_total", *mine): 2,
                ("datablock_consumer_read_bytes_total", *mine): 6,
                ("datablock_consumer_lag_messages", *mine): 1,
                ("datablock_consumer_held_slots", *mine): 0,
                ("datablock_consumer_alive", *mine): 1,
                ("datablock_consumer_held_slots", *its): 1,
                ("datablock_consumer_alive", *its): 1,
            }
            assert {key: found.get(key) for key in expected} == expected
            assert not any("other" in key for key in found)  # not requested

            viewer.kill()
            assert eventually(lambda: exporter.scrape()[("datablock_consumer_alive", *its)] == 0)
            assert exporter.scrape()["datablock_stuck_slots", "camera"] == 1
            waited = exporter.scrape()["datablock_producer_wait_seconds_total", "camera"]
            for _ in range(3):
                producer.send(b"abc")
            found = exporter.scrape()
            assert found["datablock_written_messages_total", "camera"] == 6
            assert found["datablock_producer_wait_seconds_total", "camera"] >= waited
            assert 0 < found["datablock_age_seconds", "camera"] < 3600
        exporter.stop(signal.SIGTERM)


def test_a_wait_is_exported_in_seconds(directory):
    with (
        Producer("camera", slot_size=64, slot_count=2) as producer,
        Consumer("camera"),
        Exporter() as exporter,
    ):
        for _ in range(2):
            producer.send(b"x")
        with pytest.raises(TimeoutError):
            producer.send(b"x", timeout=0.2)
        found = exporter.scrape()
        assert found["datablock_producer_timeouts_total", "camera"] == 1
        assert 0.1 < found["datablock_producer_wait_seconds_total", "camera"] < 20
        exporter.stop(signal.SIGINT)


def test_names_follow_the_conventions(directory):
    with Producer("camera", slot_size=64), Consumer("camera"), Exporter() as exporter:
        families = exporter.families()
        assert len(families) > 25
        for family in families:
            assert family.name.startswith("datablock_")
            assert family.documentation.endswith(".")
            assert not any(unit in family.name for unit in ("_ms", "_ns", "_milli", "_kilo"))
            assert {sample.name for sample in family.samples} == {
                family.name + ("_total" if family.type == "counter" else "")
            }


def test_a_damaged_block_is_told_and_the_others_are_scraped(directory):
    with Producer("camera", slot_size=64) as producer, Exporter() as exporter:
        with Producer("broken", slot_size=64):
            pass
        poke(directory / "broken", 70, 1, 1)
        producer.send(b"x")
        found = exporter.scrape()
        assert found["datablock_readable", "broken"] == 0
        assert ("datablock_written_messages_total", "broken") not in found
        assert found["datablock_written_messages_total", "camera"] == 1
        (directory / "broken").unlink()
        for file in directory.glob("broken*"):
            file.unlink()


def test_a_block_that_was_truncated_to_nothing_is_told(directory):
    with Producer("broken", slot_size=64):
        pass
    (directory / "broken").write_bytes(b"")
    with Exporter() as exporter:
        assert exporter.scrape()["datablock_readable", "broken"] == 0
    for file in directory.glob("broken*"):
        file.unlink()


HUNG = """
from datablock_ctypes import Consumer, Delivery, Start
consumer = Consumer("camera", delivery=Delivery.LOSSLESS, start=Start.OLDEST, consumer_name="hung")
held = consumer.read().__enter__()
print("ready", flush=True)
input()
"""


@pytest.mark.measured
def test_a_reader_that_keeps_the_producer_waiting_counts_after_a_second(directory):
    with (
        Producer("camera", slot_size=64, slot_count=2) as producer,
        Exporter() as exporter,
        Exporter("--stuck-after", "60") as patient,
    ):
        producer.send(b"x")
        with Worker(HUNG) as reader:
            assert reader.line() == "ready"
            producer.send(b"x")
            counts: list[float] = []

            def watch():
                while len(counts) < 2 or counts[-1] == 0:
                    counts.append(exporter.scrape()["datablock_stuck_slots", "camera"])

            watcher = threading.Thread(target=watch)
            watcher.start()
            begun = time.monotonic()
            while watcher.is_alive() and time.monotonic() < begun + 20:
                with contextlib.suppress(TimeoutError):
                    producer.send(b"x", timeout=0.2)
                if time.monotonic() < begun + 0.8:
                    assert not any(counts)
            watcher.join(20)
            assert counts[0] == 0
            assert counts[-1] == 1
            assert patient.scrape()["datablock_stuck_slots", "camera"] == 0


def test_a_port_that_is_taken_is_told(directory):
    with Exporter() as exporter:
        port = exporter.url.split(":")[-1].split("/")[0]
        second = subprocess.run(
            [sys.executable, str(PROGRAM), "--port", port],
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
