"""Enumerations of the header, and the conversion of arguments for C."""

from __future__ import annotations

import ctypes
import math
import operator
import os
import re
import sys
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn, Union

from ._errors import Invalid
from ._library import StrPath

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

SecretBytes = Union[bytes, bytearray, memoryview]

# The seconds by which waits count. On Windows time.monotonic() moves in steps of 16 ms before
# Python 3.13, and a wait would end early.
now = time.perf_counter if sys.platform == "win32" else time.monotonic


class Policy(IntEnum):
    """Which messages a block keeps."""

    SINGLE = 1
    """The newest message. Consumers default to LATEST; LOSSLESS is forbidden unless allowed."""
    DOUBLE_BUFFER = 2
    """Two messages, otherwise like SINGLE."""
    RING = 3
    """The last `slot_count` messages. Consumers default to LOSSLESS."""


class ChecksumPolicy(IntEnum):
    """Whether messages have a checksum."""

    NONE = 0
    MANUAL = 1
    """`WriteSlot.seal` computes the checksum, `ReadSlot.verify` compares it."""
    ENFORCED = 2
    """Every commit computes the checksum, and it is compared before a consumer gets the message."""


class ChecksumAlgorithm(IntEnum):
    """How the checksums of a block are made."""

    DEFAULT = 0
    """CRC32C for a new block. A producer that takes a block over keeps the block's algorithm."""
    CRC32C = 1
    """Detects damage, at the speed of memory. Libraries of block format 1 refuse the block."""
    BLAKE2B = 2
    """BLAKE2b-256. It takes about a nanosecond a byte on each side."""


class Delivery(IntEnum):
    """Which messages a consumer gets."""

    DEFAULT = 0
    """The delivery that fits the block's policy."""
    LOSSLESS = 1
    """Every message, in order. The producer waits for this consumer."""
    ORDERED = 2
    """In order. An overrun makes the consumer skip; ``missed`` counts. No backpressure."""
    LATEST = 3
    """The newest message; ids only rise. No backpressure."""


class Start(IntEnum):
    """The first message of a consumer."""

    LATEST = 0
    """LOSSLESS, ORDERED: the next message after the attach. LATEST: the newest present message."""
    OLDEST = 1
    """The oldest present message."""


class BlockState(IntEnum):
    """The state in the header of a block."""

    UNREADABLE = 0
    CREATING = 1
    READY = 2
    CLOSED = 3
    SUPERSEDED = 4
    REPLACING = 5


class SlotState(IntEnum):
    """The state of a slot."""

    FREE = 0
    WRITING = 1
    COMMITTED = 2
    DRAINING = 3


class RecoveryResult(IntEnum):
    """The result of a repair."""

    SUCCESS = 0
    FAILED = 1
    UNSAFE = 2
    NOT_STUCK = 3
    INVALID_SLOT = 4


FLAG_ALLOW_LOSSLESS = 1 << 0
FLAG_FORBID_LOSSLESS = 1 << 5
FLAG_REPLACE = 1 << 1
FLAG_FORCE = 1 << 2
FLAG_UNLINK_ON_CLOSE = 1 << 3
FLAG_TIMESTAMP = 1 << 4
FLAG_RECLAIM = 1 << 6


class Bound:
    """Base of objects for a hold, or for a place in a stream: a copy would end it a second time."""

    __slots__ = ()
    _hint = "send the block's name, and open it there"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"this {type(self).__name__} belongs to its process, and is not copied: {self._hint}"
        )


def the_numpy() -> Any:
    """Return NumPy. Only arrays and fields by name need it."""
    try:
        import numpy
    except ImportError as error:
        text = (
            'arrays, dtypes and fields by name need NumPy: pip install "datablock-ctypes[arrays]"'
        )
        raise ModuleNotFoundError(f"{text} ({error})", name="numpy") from None
    return numpy


def whole(what: str, value: Any) -> int:
    """Return the value as an int. Its type may be any type with whole numbers."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is {value!r}: a whole number is needed") from None


def unsigned(what: str, value: int, bits: int = 32) -> int:
    """Return the value if it fits the C type: ctypes would truncate it without an error."""
    number = whole(what, value)
    if not 0 <= number < 1 << bits:
        raise Invalid(f"{what} is {number}: a number from 0 to {(1 << bits) - 1} is needed")
    return number


def choice(kind: type[IntEnum], what: str, value: int) -> int:
    """Return the number of a member. A number that only a newer library may know is passed on."""
    if isinstance(value, str):
        named = value.upper() if value.upper() in kind.__members__ else next(iter(kind.__members__))
        raise TypeError(
            f"{what} is {value!r}: a {kind.__name__} is needed, such as {kind.__name__}.{named}"
        )
    return unsigned(what, value)


def real(what: str, value: Any, need: str) -> float:
    """Return the value as a float. Its type may be any type with real numbers, and no text."""
    if type(value) is float:
        return value
    try:
        if isinstance(value, (str, bytes, bytearray, memoryview)):
            raise TypeError
        return float(value)
    except TypeError:
        raise TypeError(f"{what} is {value!r}: {need}") from None
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def seconds(timeout: Any, what: str = "timeout") -> float:
    """Return a timeout that is not None as a checked float. Every call with a timeout uses this."""
    number = timeout if type(timeout) is float else real(what, timeout, TIMEOUT_NEEDS)
    if not number >= 0 and timeout is not ONLY_LOOK:
        raise Invalid(f"{what} is {timeout!r}: {TIMEOUT_NEEDS}")
    return number


# The timeout of a first look, which the wait of an event loop follows. It is this very object.
ONLY_LOOK = -2.0

TIMEOUT_NEEDS = "use None (for ever), 0 (do not wait) or a number of seconds"


def milliseconds(what: str, seconds: float) -> int:
    """Return a number of seconds as whole milliseconds."""
    need = "a number of seconds from 0 on is needed"
    number = real(what, seconds, need)
    if not 0 <= number * 1000 < 1 << 63:
        raise Invalid(f"{what} is {seconds!r}: {need}")
    return round(number * 1000)


def flat(what: str, data: Buffer | NDArray[Any]) -> memoryview:
    """Return the bytes of a C-contiguous buffer of any shape and type, in place.

    Python objects are refused.
    """
    try:
        view = memoryview(data)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} is {_brief(data)}: {_instead_of(data)}") from None
    except ValueError:  # NumPy has dtypes that buffers do not have, such as datetime64
        return _flat_array(what, data)
    kind = view.format
    if kind != "B" and "O" in re.sub(":[^:]*:", "", kind):  # without the names of fields
        refuse_objects(f"{what}, {_brief(data)}, of format {kind!r},")
    if not view.c_contiguous:
        _refuse_order(what, data)
    if view.nbytes == 0:
        return memoryview(b"")
    return view.cast("B") if kind != "B" or view.ndim != 1 else view


def _flat_array(what: str, data: Any) -> memoryview:
    import numpy

    array = numpy.asarray(data)
    if array.dtype.hasobject:
        refuse_objects(f"{what}, an array of dtype {array.dtype},")
    if not array.flags.c_contiguous:
        _refuse_order(what, data)
    return memoryview(array.reshape(-1).view("u1") if array.nbytes else b"")  # type: ignore[arg-type]


def _refuse_order(what: str, data: Any) -> NoReturn:
    copy = (
        "numpy.ascontiguousarray(data)" if hasattr(data, "__array_interface__") else "bytes(data)"
    )
    raise TypeError(
        f"{what} is {_brief(data)} that is not C-contiguous: give a copy that is, {copy}"
    )


def refuse_objects(what: str) -> NoReturn:
    raise TypeError(f"{what} has Python objects in it, which mean nothing to another process")


def _brief(value: object) -> str:
    text = repr(value)
    return f"a {type(value).__name__}" if len(text) > 40 else f"the {type(value).__name__} {text}"


def _instead_of(data: object) -> str:
    return (
        "encode it: data.encode()"
        if isinstance(data, str)
        else "bytes, or another object that has the buffer protocol, are needed"
    )


def path_bytes(what: str, path: StrPath) -> bytes:
    try:
        # On Windows os.fsencode() lets lone surrogates pass, or has another encoding.
        encoded = _utf8(what, path) if sys.platform == "win32" else os.fsencode(path)
    except TypeError:
        raise TypeError(f"{what} is {path!r}: a str, bytes or os.PathLike is needed") from None
    except UnicodeError:
        _refuse_text(what, path)
    if b"\0" in encoded:
        raise Invalid(f"{what} {os.fsdecode(encoded)!r} has a zero byte")
    return encoded


def _utf8(what: str, path: StrPath) -> bytes:
    text = os.fspath(path)
    if isinstance(text, str):
        return text.encode("utf-8")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid(
            f"{what} {text!r} is not UTF-8, which the library needs: give a str"
        ) from None
    return text


def block_name(path: StrPath) -> bytes:
    """Return a block's name as bytes.

    ``"/name"`` is a POSIX shared memory object, and here a file in the root directory: it is
    refused.
    """
    name = path_bytes("block name", path)
    if name.startswith(b"/") and b"/" not in name[1:] and len(name) > 1:
        plain = os.fsdecode(name[1:])
        raise Invalid(
            f"block name {os.fsdecode(name)!r} is an absolute path, to the root directory: "
            f"a name has no slash, {plain!r}; a directory is an argument of its own"
        )
    return name


def text_bytes(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        _refuse_text(what, text)


def _refuse_text(what: str, text: object) -> NoReturn:
    raise Invalid(
        f"{what} {text!a} has a lone surrogate, which is no character: "
        "decode the text that it comes from with its own encoding"
    ) from None


def optional_path_bytes(what: str, path: StrPath | None) -> bytes | None:
    return None if path is None else path_bytes(what, path)


def secret_bytes(secret: SecretBytes | None, makes: bool = False) -> tuple[int | None, int, object]:
    """Return address and length of a shared secret, and the object that keeps its bytes."""
    if secret is None:
        return None, 0, None
    if isinstance(secret, str):
        raise TypeError("the secret is bytes, not str: encode it")
    found = flat("secret", secret)
    if len(found) == 0:
        if not makes:  # a block with a secret refuses it
            return None, 0, None
        raise Invalid("secret has no bytes, and would be none: give at least one byte, or None")
    copy = (ctypes.c_char * len(found)).from_buffer_copy(found)
    return ctypes.addressof(copy), len(found), copy
