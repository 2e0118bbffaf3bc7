"""The plainest ring in Python, a limit: two indices in multiprocessing.shared_memory, and polling.

One producer, one consumer, messages of one size. The processors of the benchmark keep the order of
stores, and a store of eight aligned bytes is one store.
"""

from __future__ import annotations

import os
import time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

HEAD, TAIL, OVER = 0, 16, 32  # words, each in cache lines of its own
SLOTS = 4096  # where the slots begin


class Ended(Exception):
    """The producer has closed the ring, and every message was read."""


class _End:
    """What both ends of a ring share."""

    def __init__(self, name: str, size: int, slots: int, create: bool) -> None:
        name = f"{os.path.basename(os.environ['DATABLOCK_DIR'])}-{name}"
        total = SLOTS + size * slots
        self._memory = SharedMemory(name, create=create, size=total) if create else attached(name)
        if not create:  # the producer removes it; a tracker here would do so, too, and complain
            resource_tracker.unregister("/" + name, "shared_memory")
        memory: Any = self._memory.buf
        self.words: Any = memory[:SLOTS].cast("Q")
        self.data: Any = memory[SLOTS:]
        self.size, self.count = size, slots

    def __exit__(self, *_: object) -> None:
        self.words.release()
        self.data.release()
        self._memory.close()


class Producer(_End):
    def __init__(self, name: str, size: int, slots: int) -> None:
        super().__init__(name, size, slots, True)

    def __enter__(self) -> Producer:
        return self

    def send(self, message: bytes) -> None:
        words, size = self.words, self.size
        head = words[HEAD]
        while head - words[TAIL] == self.count:
            pass
        at = head % self.count * size
        self.data[at : at + size] = message
        words[HEAD] = head + 1

    def __exit__(self, *error: object) -> None:
        self.words[OVER] = 1
        self._memory.unlink()
        super().__exit__(*error)


class Consumer(_End):
    def __init__(self, name: str, size: int, slots: int) -> None:
        super().__init__(name, size, slots, False)

    def __enter__(self) -> Consumer:
        return self

    def receive(self) -> bytes:
        words, size = self.words, self.size
        tail = words[TAIL]
        while words[HEAD] == tail:
            if words[OVER] and words[HEAD] == tail:
                raise Ended
        at = tail % self.count * size
        message = bytes(self.data[at : at + size])
        words[TAIL] = tail + 1
        return message


def attached(name: str) -> SharedMemory:
    """The memory, as soon as the producer has made it."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return SharedMemory(name)
        except (FileNotFoundError, ValueError):  # ValueError: it is still empty
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)
