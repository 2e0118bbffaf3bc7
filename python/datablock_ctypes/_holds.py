"""The library's holds of messages, as an interrupt may leave them."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from ._abi import RawReadSlot
from ._errors import Status
from ._participant import ID, Raw

# After these statuses of the end of a hold, the messages are no longer held.
OVER = (0, int(Status.OVERRUN), int(Status.FENCED), int(Status.CORRUPT))
BUSY = int(Status.BUSY)
SYSTEM = int(Status.SYSTEM)

# The number of words of a struct, and the word whose upper half is the token of the hold.
WIDTH = ctypes.sizeof(RawReadSlot) // 8
TOKEN = 5


def holds_of(raw: Any, count: int, start: int = 0) -> list[tuple[int, int]]:
    """Return the holds of a batch, as pairs: the first message, and the one after the last.

    A LOSSLESS consumer has one hold for all messages. Messages before ``start`` have ended.
    """
    words = memoryview(raw).cast("B").cast("Q")
    tokens = [words[i * WIDTH + TOKEN] >> 32 for i in range(start, count)]
    firsts = [start + i for i in range(len(tokens)) if i == 0 or tokens[i] != tokens[i - 1]]
    return list(zip(firsts, [*firsts[1:], count]))


def raw_of(raw: Any, i: int) -> Raw:
    """Return a struct of an array, for calls. It has no length: the struct stays the array's."""
    return (
        ctypes.byref(raw[i]),
        memoryview(raw).cast("B").cast("Q")[i * WIDTH : (i + 1) * WIDTH],
        None,
    )


class Untold(NamedTuple):
    """A batch that an interrupted call has taken: an array, and the number of messages in it."""

    raw: Any
    count: Any


class Ending(NamedTuple):
    """A call that releases messages of a batch up to index ``upto``.

    ``statuses`` gets the results of the C function in the call itself. A later use of the batch
    finds there what an interrupted call has released.
    """

    upto: int
    statuses: list[int]
    part: Part | None
    ids: set[int]

    def over(self) -> bool:
        return bool(self.statuses) and self.statuses[-1] in OVER


class Part:
    """A hold of several messages that reads hand out one by one. The last message ends the hold.

    ``raw`` is the array of the messages. ``first`` is the message from which on the hold covers
    them, at first the one at index ``at``.
    """

    def __init__(self, raw: Any, at: int) -> None:
        self.raw = raw
        self.first = raw_of(raw, at)
        self.ids: set[int] = set()
        self.ended: list[int] = []
        self._at = at - int(self.first[1][ID])

    def over(self) -> bool:
        """Whether the hold was ended, or waits in ``_late`` for the end of an older one."""
        return bool(self.ended) and self.ended[-1] not in (BUSY, SYSTEM)

    def ended_without(self, ids: set[int]) -> int:
        """Return how many messages, from the first one on, the hold can release with these."""
        left = self.ids - ids
        after = min(left) if left else max(ids) + 1
        return after - int(self.first[1][ID])

    def forget(self, ids: set[int]) -> None:
        """Remove messages that were released together with all before them that are not left."""
        self.ids -= ids
        if self.ids:
            self.first = raw_of(self.raw, self._at + min(self.ids))


def messages_of(batch: Untold, parts: list[Part]) -> list[Raw]:
    """Return the messages of a batch. Holds of several messages are added to ``parts``."""
    found: list[Raw] = []
    for first, end in holds_of(batch.raw, batch.count.value):
        raw = raw_of(batch.raw, first)
        if end - first == 1:
            found.append(raw)
            continue
        part = Part(batch.raw, first)
        parts.append(part)
        for i in range(first, end):
            reference, words, _ = raw_of(batch.raw, i)
            part.ids.add(words[ID])
            found.append((reference, words, part))
    return found
