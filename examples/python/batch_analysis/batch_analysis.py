"""Statistics over a stream of small records: one process fills them in, another one reads thousands
at a time as one NumPy array.
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
    # The ring keeps what the other side has yet to read; min_consumers: also while there is no
    # other side yet.
    with Producer(BLOCK, schema=SCHEMA, slot_count=8192, min_consumers=1, unlink_on_close=True) as producer:
        for first in range(0, COUNT, len(records)):
            number = np.arange(first, first + len(records))
            records["time"] = number / 1000
            records["channel"] = number % CHANNELS
            records["value"] = 20 + records["channel"] + np.sin(records["time"])
            producer.send_many(records, timeout=10)  # one message each


def attach(deadline: float) -> Consumer:
    """Waits for the block. One of other messages is refused, by the names of the fields that
    differ.
    """
    while True:
        try:
            return Consumer(BLOCK, delivery=Delivery.LOSSLESS, start=Start.OLDEST, schema=SCHEMA, consumer_name="analysis")
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
            print(f"channel {channel}: {count} records, mean {mean:.2f}, from {self.least[channel]:.2f} to {self.most[channel]:.2f}")


def analyse() -> None:
    statistics = Statistics()
    following = 0
    with attach(time.monotonic() + 30) as consumer:
        while True:
            try:
                # Waits for one message, and takes what is there with it, in place: the producer
                # goes on in other slots.
                with consumer.read_many(4096, timeout=5) as batch:
                    if list(batch.ids) != list(range(following, following + len(batch))):
                        raise RuntimeError(f"expected messages from {following} on, got {batch.ids[0]} to {batch.ids[-1]}")
                    following += len(batch)
                    statistics.add(batch.records)
            except Timeout as error:
                print(error, file=sys.stderr)  # also when the producer is dead: one that is started again goes on
            except Closed:
                break  # the producer has closed, and everything is read
    print(f"{following} records, none missing")
    statistics.print()


def main() -> None:
    # Not by fork: the library cannot be used in a child that has inherited it.
    producer = multiprocessing.get_context("spawn").Process(target=produce)
    producer.start()
    analyse()
    producer.join()
    sys.exit(producer.exitcode)


if __name__ == "__main__":
    main()
