"""Statistics over a stream of small records.

One process writes the records. Another process reads thousands of them at a time as one NumPy
array.
"""

from __future__ import annotations

import multiprocessing
import sys
import time

import numpy as np

from datablock_ctypes import Closed, Consumer, Delivery, NotFound, Producer, Schema, Start, Timeout

BLOCK = "example-batch-analysis"
RECORD = np.dtype([("time", "f8"), ("value", "f4"), ("channel", "u2")], align=True)
SCHEMA = Schema.from_dtype(RECORD, "Measurement", (1, 0, 0))
CHANNELS = 4
COUNT = 100_000


def produce() -> None:
    records = np.zeros(1000, RECORD)
    # The ring keeps the messages that the other process has not read. With min_consumers it keeps
    # them also before this process attaches.
    with Producer(
        BLOCK, schema=SCHEMA, slot_count=8192, min_consumers=1, unlink_on_close=True
    ) as producer:
        for first in range(0, COUNT, len(records)):
            number = np.arange(first, first + len(records))
            records["time"] = number / 1000
            records["channel"] = number % CHANNELS
            records["value"] = 20 + records["channel"] + np.sin(records["time"])
            producer.send_many(records, timeout=10)  # one message for each record


def attach(deadline: float) -> Consumer:
    """Waits for the block. Another schema is refused; the error names the fields that differ."""
    while True:
        try:
            return Consumer(
                BLOCK,
                delivery=Delivery.LOSSLESS,
                start=Start.OLDEST,
                schema=SCHEMA,
                consumer_name="analysis",
            )
        except NotFound:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)


class Statistics:
    def __init__(self) -> None:
        self.count = np.zeros(CHANNELS, int)
        self.sum = np.zeros(CHANNELS)
        self.least = np.full(CHANNELS, np.inf)
        self.most = np.full(CHANNELS, -np.inf)

    def add(self, records: np.ndarray) -> None:
        channel, value = records["channel"], records["value"]
        self.count += np.bincount(channel, minlength=CHANNELS)
        self.sum += np.bincount(channel, weights=value, minlength=CHANNELS)
        np.minimum.at(self.least, channel, value)
        np.maximum.at(self.most, channel, value)

    def print(self) -> None:
        for channel in range(CHANNELS):
            count, mean = self.count[channel], self.sum[channel] / self.count[channel]
            least, most = self.least[channel], self.most[channel]
            print(
                f"channel {channel}: {count} records, mean {mean:.2f}, "
                f"from {least:.2f} to {most:.2f}"
            )


def analyse() -> None:
    statistics = Statistics()
    following = 0
    with attach(time.monotonic() + 30) as consumer:
        while True:
            try:
                # Waits for one message, and reads all available messages with it, in place. The
                # producer continues in other slots.
                with consumer.read_many(4096, timeout=5) as batch:
                    if list(batch.ids) != list(range(following, following + len(batch))):
                        first, last = batch.ids[0], batch.ids[-1]
                        raise RuntimeError(
                            f"expected messages from {following} on, got {first} to {last}"
                        )
                    following += len(batch)
                    statistics.add(batch.records)
            except Timeout as error:
                print(
                    error, file=sys.stderr
                )  # also when the producer is dead: a restarted one continues
            except Closed:
                break  # the producer has closed, and every message has been read
    print(f"{following} records, none missing")
    statistics.print()


def main() -> None:
    # Not by fork: a forked child cannot use the inherited library.
    producer = multiprocessing.get_context("spawn").Process(target=produce)
    producer.start()
    analyse()
    producer.join()
    sys.exit(producer.exitcode)


if __name__ == "__main__":
    main()
