"""The sides of an exchange in Python: `worker.py PEER ROLE key=value...`.

peer.h describes the roles and the messages, measure.h the protocol with the runner. Whatever a peer
reads ends as bytes of this process. Large messages are stamped and checked by NumPy, for all peers.
"""

from __future__ import annotations

import array
import json
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import channels

PAGE = 4096
COMPARED = 16
LAST = (1 << 64) - 1
BATCH = 16  # messages between two clock reads
FILLER = 0x5A


def rendezvous() -> None:
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit(1)


def wait_for_end() -> None:
    while sys.stdin.readline():
        pass


def answer(**values: float) -> None:
    print(json.dumps(values), flush=True)


class Messages:
    """Stamps messages with their numbers, and checks the numbers."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.source = bytearray([FILLER]) * size
        self.sent = self.received = 0
        self.last = size - 8
        self.paged = size >= PAGE
        if self.paged:
            import numpy

            self.numpy = numpy
            self.words: Any = numpy.frombuffer(self.source, "u8")

    def stamped(self, number: int) -> bytearray:
        if self.paged:
            self.words[:: PAGE // 8] = number
        else:
            struct.pack_into("<Q", self.source, 0, number)
        struct.pack_into("<Q", self.source, self.last, number)
        return self.source

    def next(self) -> bytearray:
        self.sent += 1
        return self.stamped(self.sent)

    def check(self, data: Any) -> bool:
        """Return False if the exchange is over."""
        number = struct.unpack_from("<Q", data)[0]
        if struct.unpack_from("<Q", data, self.last)[0] != number or len(data) != self.size:
            sys.exit(f"message {number} is torn")
        if self.paged:
            words = self.numpy.frombuffer(data, "u8")
            if not (words[:: PAGE // 8] == number).all():
                sys.exit(f"message {number} is torn")
        if number == LAST:
            return False
        self.received += 1
        if number != self.received:
            sys.exit(f"message {number} instead of {self.received}")
        if number <= COMPARED:
            self._compare(bytes(data), number)
        return True

    def _compare(self, data: bytes, number: int) -> None:
        for page in range(0, self.size, PAGE):
            end = min(page + PAGE, self.last)
            if data[page + 8 : end].strip(bytes([FILLER])):
                sys.exit(f"message {number} is spoilt in the page at byte {page}")


Exchange = Callable[[dict[str, str], channels.Peer], None]


def pong(options: dict[str, str], peer: channels.Peer) -> None:
    messages = Messages(int(options["size"]))
    first = options["side"] == "0"
    send, receive = peer.open("there" if first else "back", "back" if first else "there")
    check, following = messages.check, messages.next
    rendezvous()
    if not first:
        while check(receive()):
            send(following())
        wait_for_end()
        return
    samples = array.array("I")
    last = time.perf_counter_ns()
    begin = last + int(float(options["warm"]) * 1e9)
    end = begin + int(float(options["seconds"]) * 1e9)
    while last < end:
        send(following())
        check(receive())
        now = time.perf_counter_ns()
        if last >= begin:
            samples.append(min(now - last, 0xFFFFFFFF))
        last = now
    send(messages.stamped(LAST))
    with open(options["samples"], "wb") as file:
        samples.tofile(file)
    answer(unit_ns=0.5)
    wait_for_end()


def produce(options: dict[str, str], peer: channels.Peer) -> None:
    messages = Messages(int(options["size"]))
    send, _ = peer.open("stream", None)
    rendezvous()
    begun = now = time.perf_counter()
    end = begun + float(options["warm"]) + float(options["seconds"])
    while now < end:
        for _ in range(BATCH):
            send(messages.next())
        now = time.perf_counter()
    send(messages.stamped(LAST))
    answer(messages=messages.sent, seconds=now - begun)
    wait_for_end()


def consume(options: dict[str, str], peer: channels.Peer) -> None:
    messages = Messages(int(options["size"]))
    _, receive = peer.open(None, "stream")
    rendezvous()
    messages.check(receive())
    first = last = time.perf_counter()
    begin = first + float(options["warm"])
    counted = count = 0
    while messages.check(receive()):
        count += 1
        if count % BATCH == 0:
            last = time.perf_counter()
            if last < begin:
                first, counted = last, count
    answer(messages=count // BATCH * BATCH - counted, seconds=last - first)


def main() -> None:
    name, role, *arguments = sys.argv[1:]
    options = dict(argument.split("=", 1) for argument in arguments) | {"role": role}
    peer = channels.PEERS[name](options)
    if peer.forked and role == "produce":
        role = "consume"
    roles: dict[str, Exchange] = {"pong": pong, "produce": produce, "consume": consume}
    roles[role](options, peer)
    peer.close()


main()
