"""Several messages in the form in which the library publishes them."""

from __future__ import annotations

import ctypes
import math
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Union

from ._abi import RawMessage
from ._arrays import check_written
from ._errors import Invalid
from ._types import flat, refuse_objects

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from ._schema import Schema

    Messages = Union[Iterable[Buffer], NDArray[Any]]


class Outgoing:
    """Messages in the library's form: ``raw`` is an array of ``count``, ``keep`` owns the bytes."""

    def __init__(self, messages: Messages, schema: Schema | None = None) -> None:
        if hasattr(messages, "__array_interface__"):
            self.keep: Any = _in_rows(messages)
            if schema is not None:
                check_written(schema, "messages", self.keep, math.prod(self.keep.shape[1:]))
            self.count = len(self.keep)
            start, length = self.keep.ctypes.data, self.keep[0].nbytes if self.count else 0
            words = array("Q", bytes(16 * self.count))
            words[::2] = array(
                "Q",
                range(start, start + self.count * length, length)
                if length
                else [start] * self.count,
            )
            words[1::2] = array("Q", [length]) * self.count
        else:
            parts = []
            for i, message in enumerate(one_by_one(messages)):
                parts.append(flat(f"messages[{i}]", message))
                if schema is not None:
                    check_written(schema, f"messages[{i}]", message, getattr(message, "size", 1))
            self.keep = b"".join(parts)
            self.count = len(parts)
            words = array("Q")
            at = ctypes.cast(ctypes.c_char_p(self.keep), ctypes.c_void_p).value or 0
            for part in parts:
                words.extend((at, len(part)))
                at += len(part)
        self._words = words
        self.raw = (RawMessage * self.count).from_buffer(words) if self.count else None

    def longest(self) -> int:
        return max(self._words[1::2], default=0)

    def shortest(self) -> int:
        return min(self._words[1::2], default=0)

    def after(self, sent: int) -> Any:
        """Return what is left when ``sent`` messages are published."""
        return None if self.raw is None or sent >= self.count else ctypes.byref(self.raw[sent])


def _in_rows(messages: Any) -> NDArray[Any]:
    """Return the array with its bytes in order: one message for each index of its first axis."""
    import numpy

    if messages.ndim == 0:
        raise Invalid(
            "a batch is an array of messages, one for each index of its first axis, and this one "
            "has no axis"
        )
    if messages.dtype.hasobject:
        refuse_objects(f"messages, an array of dtype {messages.dtype},")
    rows: NDArray[Any] = numpy.ascontiguousarray(messages)
    return rows


def one_by_one(messages: Any) -> Iterable[Any]:
    """Return the messages of an iterable. A bytes-like object is one message and is refused."""
    if isinstance(messages, str):
        raise TypeError(
            f"messages is the text {messages[:40]!r}: give an iterable of bytes-like objects, "
            "[data.encode()]"
        )
    if isinstance(messages, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"messages is one {type(messages).__name__}: give an iterable of such, [data], or an "
            "array"
        )
    if not isinstance(messages, Iterable):
        raise TypeError(
            f"messages is a {type(messages).__name__}: an iterable of bytes-like objects, or an "
            "array, is needed"
        )
    return messages
