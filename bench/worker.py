"""One side of an exchange in Python: `worker.py bytes|slots|numpy|ring ROLE key=value...`.

The first three go through DataBlock, and `ring` is a limit. measure.h describes the protocol with
run.py.
"""

from __future__ import annotations

import array
import json
import sys
import time
from typing import Any

import pyring

from datablock_ctypes import Closed, Consumer, Delivery, NotFound, Producer, Timeout

BATCH = 16  # messages between two clock reads


def rendezvous() -> None:
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(1)


def answer(**values: float) -> None:
    print(json.dumps(values), flush=True)


class Terms:
    """The form of a message, the timeout of a call, and the time of the measurement."""

    def __init__(self, options: dict[str, str]) -> None:
        self.options = options
        self.size = int(options["size"])
        self.copy = options["copy"] == "1"
        self.wait = None if options["block"] == "1" else 0
        self.warm = float(options["warm"])
        self.seconds = float(options["seconds"])

    def producer(self, name: str) -> Any:
        raise NotImplementedError

    def consumer(self, name: str) -> Any:
        raise NotImplementedError

    def send(self, producer: Any) -> None:
        raise NotImplementedError

    def receive(self, consumer: Any) -> None:
        raise NotImplementedError


class Blocks(Terms):
    """Through DataBlock."""

    def producer(self, name: str) -> Producer:
        slots, limit = int(self.options["slots"]), int(self.options["limit"])
        return Producer(name, slot_size=self.size, slot_count=slots, consumer_limit=limit)

    def consumer(self, name: str) -> Consumer:
        """Attaches as soon as the block exists."""
        deadline = time.monotonic() + 10
        while True:
            try:
                return Consumer(name, delivery=Delivery[self.options["delivery"].upper()])
            except NotFound:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)


class Bytes(Blocks):
    """Copies of bytes."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.message = b"\x5a" * self.size

    def send(self, producer: Producer) -> None:
        if self.wait is None:
            producer.send(self.message)
            return
        while producer.try_send(self.message) is None:
            pass

    def receive(self, consumer: Consumer) -> None:
        if self.wait is None:
            consumer.receive()
            return
        while consumer.try_receive() is None:
            pass


class Slots(Blocks):
    """Slots that are filled in place, and messages that are looked at in place."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.message = b"\x5a" * self.size

    def send(self, producer: Producer) -> None:
        with producer.write() as slot:
            slot.data[:] = self.message

    def receive(self, consumer: Consumer) -> None:
        with consumer.read() as slot:
            if slot.data[0] != 0x5A:
                sys.exit("the message is torn")


class Ring(Terms):
    """The limit: the same copies of bytes through a ring by hand."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.message = b"\x5a" * self.size

    def producer(self, name: str) -> pyring.Producer:
        return pyring.Producer(name, self.size, int(self.options["slots"]))

    def consumer(self, name: str) -> pyring.Consumer:
        return pyring.Consumer(name, self.size, int(self.options["slots"]))

    def send(self, producer: pyring.Producer) -> None:
        producer.send(self.message)

    def receive(self, consumer: pyring.Consumer) -> None:
        consumer.receive()


def whole_pages(size: int) -> Any:
    """An array at the beginning of a page, as in the other programs.

    The C library copies at another speed from other addresses.
    """
    import numpy

    page = 4096
    memory = numpy.zeros(size + page, "u1")
    begin = -memory.ctypes.data % page
    return memory[begin : begin + size]


class Arrays(Blocks):
    """NumPy arrays, copied into the slots, and copied out of them or used in place."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.frame: Any = whole_pages(self.size)
        self.frame[:] = 0x5A
        self.target: Any = whole_pages(self.size)

    def send(self, producer: Producer) -> None:
        while True:
            try:
                producer.send(self.frame, self.wait)
                return
            except Timeout:
                pass

    def receive(self, consumer: Consumer) -> None:
        while True:
            try:
                with consumer.read(self.wait) as slot:
                    frame = slot.array()
                    if self.copy:
                        self.target[:] = frame
                return
            except Timeout:
                pass


def pong(terms: Terms) -> None:
    send, receive = terms.send, terms.receive
    if terms.options["side"] == "1":
        with terms.producer("back") as producer, terms.consumer("there") as consumer:
            rendezvous()
            try:
                while True:
                    receive(consumer)
                    send(producer)
            except (Closed, pyring.Ended):
                return
    with terms.producer("there") as producer, terms.consumer("back") as consumer:
        samples = array.array("I")
        rendezvous()
        last = time.perf_counter_ns()
        begin = last + int(terms.warm * 1e9)
        end = begin + int(terms.seconds * 1e9)
        while last < end:
            send(producer)
            receive(consumer)
            now = time.perf_counter_ns()
            if last >= begin:
                samples.append(now - last)
            last = now
    with open(terms.options["samples"], "wb") as file:
        samples.tofile(file)
    answer(unit_ns=0.5)


def produce(terms: Terms) -> None:
    send = terms.send
    with terms.producer("stream") as producer:
        rendezvous()
        begun = now = time.perf_counter()
        end = begun + terms.warm + terms.seconds
        messages = 0
        while now < end:
            for _ in range(BATCH):
                send(producer)
            messages += BATCH
            now = time.perf_counter()
    answer(messages=messages, seconds=now - begun)


def consume(terms: Terms) -> None:
    receive = terms.receive
    messages = 0
    with terms.consumer("stream") as consumer:
        rendezvous()
        receive(consumer)
        first = now = time.perf_counter()
        begin = first + terms.warm
        try:
            while True:
                for _ in range(BATCH):
                    receive(consumer)
                now = time.perf_counter()
                if now < begin:
                    first = now
                else:
                    messages += BATCH
        except (Closed, pyring.Ended):
            pass
    answer(messages=messages, seconds=now - first)


def main() -> None:
    binding, role, *arguments = sys.argv[1:]
    options = dict(argument.split("=", 1) for argument in arguments)
    kinds: dict[str, type[Terms]] = {
        "bytes": Bytes,
        "slots": Slots,
        "numpy": Arrays,
        "ring": Ring,
    }
    terms = kinds[binding](options)
    {"pong": pong, "produce": produce, "consume": consume}[role](terms)


main()
