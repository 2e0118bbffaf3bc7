"""Enumerations of the header, and arguments on their way to C."""

from __future__ import annotations

import ctypes
import operator
import os
from enum import IntEnum
from typing import Union

from ._errors import Invalid
from ._library import StrPath

SecretBytes = Union[bytes, bytearray, memoryview]


class Policy(IntEnum):
    """What a block keeps."""

    SINGLE = 1
    """One message, the newest. Consumers default to LATEST; LOSSLESS is forbidden unless allowed."""
    DOUBLE_BUFFER = 2
    """Two messages, else as SINGLE."""
    RING = 3
    """The last `slot_count` messages. Consumers default to LOSSLESS."""


class ChecksumPolicy(IntEnum):
    """Whether messages carry a BLAKE2b-256 of their payload."""

    NONE = 0
    MANUAL = 1
    """Where the producer asks for one (`WriteSlot.seal`), compared where a consumer asks (`ReadSlot.verify`)."""
    ENFORCED = 2
    """At every commit, compared before a reader sees the message."""


class Delivery(IntEnum):
    """Which messages a consumer gets."""

    DEFAULT = 0
    """What fits the block's policy."""
    LOSSLESS = 1
    """Every message, in order. The producer waits for this consumer."""
    ORDERED = 2
    """In order; when lapped it skips and is told how many it missed. Never holds the producer up."""
    LATEST = 3
    """The newest; ids only rise. Never holds the producer up."""


class Start(IntEnum):
    """Where a consumer begins."""

    LATEST = 0
    """LOSSLESS, ORDERED: the next message committed after the attach. LATEST: the newest present."""
    OLDEST = 1
    """The oldest message present."""


class BlockState(IntEnum):
    """What a block's header says about it."""

    UNREADABLE = 0
    CREATING = 1
    READY = 2
    CLOSED = 3
    SUPERSEDED = 4
    REPLACING = 5


class SlotState(IntEnum):
    """Who uses a slot."""

    FREE = 0
    WRITING = 1
    COMMITTED = 2
    DRAINING = 3


class RecoveryResult(IntEnum):
    """What became of a repair."""

    SUCCESS = 0
    FAILED = 1
    UNSAFE = 2
    NOT_STUCK = 3
    INVALID_SLOT = 4


FLAG_ALLOW_LOSSLESS = 1 << 0
FLAG_REPLACE = 1 << 1
FLAG_FORCE = 1 << 2
FLAG_UNLINK_ON_CLOSE = 1 << 3
FLAG_TIMESTAMP = 1 << 4


def unsigned(what: str, value: int, bits: int = 32) -> int:
    """The value if C can have it: ctypes would cut it off without a word."""
    number = operator.index(value)
    if not 0 <= number < 1 << bits:
        raise Invalid(f"{what} is {number}: a number from 0 to {(1 << bits) - 1} is needed")
    return number


def milliseconds(what: str, seconds: float) -> int:
    """Whole milliseconds of a number of seconds."""
    if not 0 <= seconds * 1000 < 1 << 63:
        raise Invalid(f"{what} is {seconds!r}: a number of seconds from 0 on is needed")
    return round(seconds * 1000)


def path_bytes(what: str, path: StrPath) -> bytes:
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise Invalid(f"{what} {os.fsdecode(encoded)!r} has a zero byte")
    return encoded


def optional_path_bytes(what: str, path: StrPath | None) -> bytes | None:
    return None if path is None else path_bytes(what, path)


def secret_bytes(secret: SecretBytes | None) -> tuple[int | None, int, object]:
    """Address and length of a shared secret, and what keeps it alive."""
    if secret is None or len(secret) == 0:
        return None, 0, None
    if isinstance(secret, str):
        raise TypeError("the secret is bytes, not str: encode it")
    copy = (ctypes.c_char * len(secret)).from_buffer_copy(secret)
    return ctypes.addressof(copy), len(secret), copy
