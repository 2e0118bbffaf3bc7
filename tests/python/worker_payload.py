"""The contents of a worker's messages: words of a generator whose seed is the id.

The workers of all languages write the same contents.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datablock_ctypes import ReadSlot, WriteSlot

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
SALTED_FROM = 16  # bytes; shorter payloads do not identify their writer
VECTOR_FROM = 64  # words; below that NumPy is slower than Python, and its import takes even longer


def mix(z: int) -> int:
    """The output function of splitmix64."""
    z = (z ^ z >> 30) * FIRST & MASK
    z = (z ^ z >> 27) * SECOND & MASK
    return z ^ z >> 31


def payload_length(number: int, capacity: int) -> int:
    return mix(number ^ 0x6874676E656C) % (capacity + 1)


def some_words(number: int, count: int, salt: int) -> bytes:
    state = mix(number)
    words = []
    for _ in range(count):
        state = state + GOLDEN & MASK
        z = (state ^ state >> 30) * FIRST & MASK
        z = (z ^ z >> 27) * SECOND & MASK
        words.append(z ^ z >> 31 ^ salt)
    return struct.pack(f"<{count}Q", *words)


class ManyWords:
    """The same with NumPy, for slots of one size."""

    def __init__(self, capacity: int) -> None:
        import numpy

        self.numpy = numpy
        self.steps = numpy.arange(1, capacity // 8 + 1, dtype="<u8") * numpy.uint64(GOLDEN)

    def __call__(self, number: int, count: int, salt: int, out: Any = None) -> Any:
        numpy = self.numpy
        z = numpy.add(self.steps[:count], numpy.uint64(mix(number)), out=out)
        for shift, factor in ((30, FIRST), (27, SECOND)):
            z ^= z >> numpy.uint64(shift)
            z *= numpy.uint64(factor)
        z ^= z >> numpy.uint64(31)
        z ^= numpy.uint64(salt)
        return z


class Payload:
    """The contents of a block's messages. With an unknown capacity, 0, lengths are not checked."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.vectors: ManyWords | None = None

    def _many(self, length: int) -> ManyWords:
        if self.vectors is None or length > self.vectors.steps.nbytes + 7:
            self.vectors = ManyWords(max(length, self.capacity))
        return self.vectors

    def fill(self, slot: WriteSlot, salt: int) -> int:
        """Write the slot's message in place, and return its length."""
        length = payload_length(slot.id, slot.capacity)
        if length < SALTED_FROM:
            salt = 0
        count, rest = divmod(length, 8)
        if count < VECTOR_FROM:
            slot.data[:length] = some_words(slot.id, count + 1, salt)[:length]
            return length
        self._many(length)(slot.id, count, salt, out=slot.array("<u8", count))
        if rest:
            slot.data[length - rest : length] = self._word(slot.id, count, salt)[:rest]
        return length

    def verify(self, slot: ReadSlot) -> tuple[int, bool]:
        """Return the writer's salt, whether every byte is right for the id, and the number of
        bytes.
        """
        data, length = slot.data, slot.length
        count, rest = divmod(length, 8)
        salt = 0
        if length >= SALTED_FROM:
            salt = int.from_bytes(data[:8], "little") ^ mix(mix(slot.id) + GOLDEN & MASK)
        if count < VECTOR_FROM:
            good = data == some_words(slot.id, count + 1, salt)[:length]
        else:
            many = self._many(length)
            good = many.numpy.array_equal(slot.array("<u8", (count,)), many(slot.id, count, salt))
            good = good and data[length - rest :] == self._word(slot.id, count, salt)[:rest]
        return salt, good and (self.capacity == 0 or length == payload_length(slot.id, self.capacity))

    @staticmethod
    def _word(number: int, i: int, salt: int) -> bytes:
        return struct.pack("<Q", mix(mix(number) + (i + 1) * GOLDEN & MASK) ^ salt)
