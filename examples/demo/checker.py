"""checker BLOCK: reads every message (LOSSLESS) and checks its id and its CRC.

It prints its progress every second, and a summary of the values at the end. The exit status is not
zero if a message was missing or damaged.
"""

from __future__ import annotations

import signal
import sys
import time
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datablock_ctypes import Consumer, DataBlockError, Delivery, ReadSlot, Start

# struct sample of sample.h, where the fields are described.
SAMPLE = np.dtype(
    [
        ("id", "<u8"),
        ("sampled_ns", "<u8"),
        ("cpu_busy_ticks", "<u8"),
        ("cpu_total_ticks", "<u8"),
        ("memory_total_kib", "<u8"),
        ("memory_available_kib", "<u8"),
        ("received_bytes", "<u8"),
        ("sent_bytes", "<u8"),
        ("load_1m_percent", "<u4"),
        ("load_5m_percent", "<u4"),
        ("load_15m_percent", "<u4"),
        ("tasks_runnable", "<u4"),
        ("tasks", "<u4"),
        ("crc", "<u4"),
    ]
)
CRC_OFFSET = 84

SECOND_NS = 1_000_000_000
# Counters become rates over at least this time. The kernel's CPU clock ticks only 100 times a
# second.
WINDOW_NS = 200_000_000
BATCH = 1024  # messages that NumPy processes at once


class Statistics:
    """The smallest, mean and largest value of each field, collected batch by batch."""

    def __init__(self) -> None:
        self._fields: dict[str, tuple[float, float, float, int]] = {}
        self._last = np.empty(0, SAMPLE)  # of the previous batch

    def add(self, samples: NDArray[np.void], delays_ns: NDArray[np.int64]) -> None:
        if samples.size == 0:
            return
        joined = np.concatenate((self._last, samples))
        self._last = samples[-1:].copy()
        times = joined["sampled_ns"]
        windows = int(times[-1] - times[0]) // WINDOW_NS
        if windows > 0:
            edges = np.linspace(times[0], times[-1], windows + 1)
            busy, total, received, sent = (
                np.diff(np.interp(edges, times, joined[counter]))
                for counter in ("cpu_busy_ticks", "cpu_total_ticks", "received_bytes", "sent_bytes")
            )
            self._field("CPU busy, %", 100 * busy[total > 0] / total[total > 0])
            self._field("received, kB/s", received / np.diff(edges) * 1e6)
            self._field("sent, kB/s", sent / np.diff(edges) * 1e6)
        self._field(
            "memory used, MiB",
            (samples["memory_total_kib"] - samples["memory_available_kib"]) / 1024,
        )
        self._field("load (1 min)", samples["load_1m_percent"] / 100)
        self._field("tasks runnable", samples["tasks_runnable"])
        self._field("between samples, ms", np.diff(times) / 1e6)
        self._field(
            "commit to reader, us", delays_ns[delays_ns >= 0] / 1e3
        )  # the clock may have been set back

    def _field(self, name: str, values: NDArray[Any]) -> None:
        if values.size:
            low, total, high, count = self._fields.get(name, (np.inf, 0.0, -np.inf, 0))
            low, high = min(low, values.min()), max(high, values.max())
            self._fields[name] = (low, total + values.sum(), high, count + values.size)

    def print(self) -> None:
        print(f"{'':22} {'min':>12} {'mean':>12} {'max':>12}")
        for name, (low, total, high, count) in self._fields.items():
            print(f"{name:22} {low:12.2f} {total / count:12.2f} {high:12.2f}")


class Checker:
    """The state of the stream."""

    def __init__(self) -> None:
        self.first = self.next = 0  # the ids of the first message and of the next one
        self.read = self.missed = self.crc_failures = 0
        self._statistics = Statistics()
        self._samples = np.empty(BATCH, SAMPLE)
        self._delays_ns = np.empty(BATCH, np.int64)
        self._filled = 0
        self._begin_ns = self._reported_ns = time.monotonic_ns()
        self._reported = 0

    def take(self, slot: ReadSlot) -> None:
        if self.read == 0:
            self.first = self.next = slot.id
        if slot.id != self.next or slot.missed != 0:
            print(f"expected message {self.next}, got {slot.id}", file=sys.stderr)
            self.missed += max(slot.id - self.next, 1)
        self.next = slot.id + 1
        self.read += 1
        if not self._keep(slot):
            print(f"message {slot.id} is damaged", file=sys.stderr)
            self.crc_failures += 1
        if time.monotonic_ns() - self._reported_ns >= SECOND_NS:
            self._report()

    def _keep(self, slot: ReadSlot) -> bool:
        """Add the message to the batch, unless it is damaged."""
        if slot.length != SAMPLE.itemsize:
            return False
        sample = slot.array(SAMPLE)[0]  # in place, without a copy
        if sample["id"] != slot.id or sample["crc"] != zlib.crc32(slot.data[:CRC_OFFSET]):
            return False
        self._samples[self._filled] = sample
        self._delays_ns[self._filled] = time.time_ns() - slot.timestamp_ns
        self._filled += 1
        if self._filled == BATCH:
            self._add_batch()
        return True

    def _add_batch(self) -> None:
        self._statistics.add(self._samples[: self._filled], self._delays_ns[: self._filled])
        self._filled = 0

    def _report(self) -> None:
        now_ns = time.monotonic_ns()
        rate = (self.read - self._reported) * SECOND_NS / (now_ns - self._reported_ns)
        print(
            f"{rate:.0f} messages/s, {self.read} read, missed {self.missed}, "
            f"CRC failures {self.crc_failures}"
        )
        self._reported_ns, self._reported = now_ns, self.read

    def end(self) -> int:
        """Print the result, and return the exit status."""
        self._add_batch()
        seconds = (time.monotonic_ns() - self._begin_ns) / SECOND_NS
        rate = self.read / seconds
        print(
            f"{self.read} messages in {seconds:.1f} s: {rate:.0f}/s, "
            f"{rate * SAMPLE.itemsize / 1e3:.1f} kB/s"
        )
        self._statistics.print()
        ids = f"first {self.first} next {self.next}"
        print(
            f"result: read {self.read} {ids} skipped {self.missed} crc_failures {self.crc_failures}"
        )
        return 1 if self.missed or self.crc_failures else 0


def run(block: str) -> int:
    checker = Checker()
    try:
        with Consumer(
            block, delivery=Delivery.LOSSLESS, start=Start.OLDEST, consumer_name="checker"
        ) as consumer:
            # The loop ends when the producer closes the stream. A producer that is killed and
            # started again continues with the next id, and the loop continues as well.
            for slot in consumer:
                checker.take(slot)
    except KeyboardInterrupt:
        pass
    return checker.end()


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: checker BLOCK", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a pipe gets each line at once
    try:
        return run(sys.argv[1])
    except DataBlockError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
