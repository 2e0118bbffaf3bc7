"""A slot that a producer has claimed."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from ._arrays import field_error, message_over
from ._errors import DataBlockError, Invalid, Status
from ._interrupts import LeavingOnce
from ._participant import LOOK, NOW, Raw
from ._slot_state import ENDED, NEW, OPEN, release
from ._types import Bound, whole

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ._writer import Writer

INVALID = int(Status.INVALID)


class WriteSlot(Bound):
    """A claimed slot, to be filled in place. See `Producer.write`.

    ``id`` is the number that the message will have. ``index`` is the number of the slot in the
    diagnosis. ``capacity`` is the size of the slot in bytes.
    """

    __slots__ = (
        "_arrays",
        "_data",
        "_length",
        "_producer",
        "_raw",
        "_sent",
        "_start",
        "_state",
        "_statement",
        "_timeout",
        "_view",
        "capacity",
        "id",
        "index",
    )

    _hint = "copy the message, bytes(slot.data)"

    def __init__(self, producer: Writer, timeout: float | None) -> None:
        self._producer = producer
        self._timeout = timeout
        self._state = NEW
        self._data: memoryview | None = None
        self._arrays: list[NDArray[Any]] | None = None
        self._length: int | None = None
        self._view: memoryview | None = None
        self._statement: weakref.ref[Any] | None = None
        self._sent = 0  # 1: published
        self.id = self.index = self.capacity = 0

    def __enter__(self) -> WriteSlot:
        if self._state != NEW:
            raise Invalid(f"{self!r} was used before: call write() for each message")
        producer = self._producer
        raw: Raw = producer._take_raw()
        reference, words, _ = raw
        try:
            status = producer._begin(
                producer._number, NOW if self._timeout == 0 else LOOK, reference
            )
            if status != 0:
                producer._claim_later(status, reference, self._timeout)
            view = producer._view
            if view is None:
                view = producer._map(words[0])
            self._view = view
            self._start = words[0] - producer._base
            self.capacity = words[1]
            self.id = words[2]
            self.index = words[3] & 0xFFFFFFFF
            self._raw = raw
            self._state = OPEN
            producer._claim = self
            if producer._closed:
                raise producer._closed_error()
            return self
        except BaseException:
            if words[0] != 0:
                producer._abort_surely(raw)
                self._end()
            else:
                producer._raws.append(raw)
            self._statement = None
            raise

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
            self._statement = None
            return
        producer = self._producer
        if self._state != OPEN:
            self._statement = None
            if producer._closed:
                raise producer._closed_error()
            return
        raw = self._raw
        reference, words, size = raw
        length = self._length
        size.value = self.capacity if length is None else length
        try:
            self._end()
            status = producer._commit(producer._number, reference, size)
            if status != 0:
                producer._fail(status)
            self._sent = 1
            words[0] = 0
            producer._raws.append(raw)
            self._statement = None
        except BaseException as failure:
            # The library refuses to abort a claim that has ended.
            aborted = producer._abort_surely(raw)
            self._end()
            if not isinstance(failure, DataBlockError):
                self._sent = int(aborted == INVALID)
                failure.sent = self._sent  # type: ignore[attr-defined]
            self._statement = None
            raise

    def _abandoned(self, statement: weakref.ref[Any]) -> None:
        """Abort the claim that an interrupted with statement could not end."""
        if self._statement is statement:
            self._statement = None
            self.abort()

    if TYPE_CHECKING:

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None: ...

    else:
        __exit__ = LeavingOnce(_leave)

    @property
    def published(self) -> bool:
        """Whether the message was published. Right also after an exception, wherever it came."""
        return self._sent == 1

    @property
    def data(self) -> memoryview:
        """All bytes of the slot, to be written in place. The end of the slot releases the view.

        The initial content is undefined. The end of the slot does not release a slice or a cast of
        the view: use these inside the block only.
        """
        data = self._data
        if data is None:
            if self._state != OPEN:
                self._refuse()
            view = self._view
            assert view is not None
            data = self._data = view[self._start : self._start + self.capacity]
        return data

    def array(
        self, dtype: DTypeLike = "u1", shape: tuple[int, ...] | int | None = None
    ) -> NDArray[Any]:
        """Return a NumPy array over the slot, in place; without a shape over all of it.

        The array has one dimension by default. When the slot ends, the array becomes read-only: the
        memory then belongs to the consumers, and later to other messages. The array keeps the
        memory mapped for as long as something refers to the array. Views that the program makes
        from it do not become read-only. A dtype that does not fit the block's schema raises
        `Invalid`. Single bytes, "u1", always fit. A dtype of an older version of the schema has its
        own fields of each record. The other fields keep the bytes that the slot has.
        """
        if self._state != OPEN:
            self._refuse()
        view = self._view
        assert view is not None
        array = message_over(
            self._producer._schema, view, self._start, self.capacity, dtype, shape, "slot"
        )
        if self._arrays is None:
            self._arrays = []
        self._arrays.append(array)
        return array

    @property
    def record(self) -> NDArray[Any]:
        """The fields of the block's schema, in place: ``slot.record["value"] = 3.0``.

        Valid as `array` is. The message has the length of the struct, unless `commit` sets another
        one. Raises `Invalid` when the producer was opened without a schema.
        """
        schema = self._producer._schema
        if schema is None:
            raise Invalid(
                f'block "{self._producer._name}" was opened without a schema: its messages have no '
                "fields"
            )
        if self._length is None:
            self._length = schema.size
        return self.array(schema.dtype, ())

    def __setitem__(self, field: str, value: Any) -> None:
        """Set a field of the block's schema, in place: ``slot["value"] = 3.0``."""
        record = self.record
        try:
            record[field] = value
        except ValueError as error:
            raise field_error(error, record, field) from None

    def __getitem__(self, field: str) -> Any:
        """Return a field's value; arrays and structs are in place: ``slot["at"]["x"] = 3.0``."""
        record = self.record[()]
        try:
            value = record[field]
        except ValueError as error:
            raise field_error(error, record, field) from None
        if (
            hasattr(value, "setflags") and value.shape
        ):  # an array in place: the end makes it read-only, too
            assert self._arrays is not None
            self._arrays.append(value)
        return value

    def __bytes__(self) -> bytes:
        """Return a copy of the whole slot."""
        return bytes(self.data)

    def commit(self, length: int | None = None) -> None:
        """Declare that the first ``length`` bytes are the message; by default all of the capacity.

        The last call counts. The message is published when the ``with`` block ends without an
        exception. Raises `Invalid` when the length exceeds the capacity, or is less than the struct
        of the block's schema. The end of the block then raises `Invalid` as well and publishes
        nothing, unless another call has corrected the length.
        """
        if self._state != OPEN:
            self._refuse()
        if length is not None:
            length = whole("length", length)
            if not 0 <= length <= self.capacity:
                self._length = (
                    length if 0 <= length < 1 << 64 else -1
                )  # the library refuses it, too
                what = "exceeds" if length > 0 else "is below zero, and a message has at most"
                raise Invalid(
                    f'block "{self._producer._name}": a length of {length} {what} the slot\'s '
                    f"{self.capacity} bytes"
                )
            if length < self._producer._shortest:
                self._length = length  # the library refuses it, too
                raise self._producer._too_short(
                    "the message",
                    length,
                    f"commit({self._producer._shortest}) is the struct alone, commit() the whole "
                    "slot",
                )
        self._length = length

    def seal(self, length: int | None = None) -> None:
        """Compute the checksum of the first ``length`` bytes, and `commit` this length.

        For a block with MANUAL checksums, after the bytes are filled. The default is all of the
        capacity. Raises `Invalid` on a block without checksums, or when the length exceeds the
        capacity.
        """
        self.commit(length)
        producer = self._producer
        size = self.capacity if self._length is None else self._length
        status = producer._library.datablock_write_checksum(producer._handle, self._raw[0], size)
        if status != 0:
            producer._fail(status)

    def abort(self) -> None:
        """End the claim now, unpublished. Does nothing after the end of the slot.

        The next claim has the same id.
        """
        if self._state == OPEN:
            producer = self._producer
            try:
                self._end()
            finally:
                producer._abort_surely(self._raw)

    def _end(self) -> None:
        """Take the memory back from the program, before the slot is published or used again."""
        self._state = ENDED
        self._view = None
        if self._producer._claim is self:
            self._producer._claim = None
        if self._data is not None:
            release(self._data)
            self._data = None
        if self._arrays is not None:
            for array in self._arrays:
                array.flags.writeable = False
            self._arrays = None

    def _refuse(self) -> NoReturn:
        if self._state == NEW:
            raise Invalid("the slot is claimed by a with statement: with producer.write() as slot")
        raise Invalid(f"{self!r} has ended")

    def __repr__(self) -> str:
        state = ("not begun", "open", "ended")[self._state]
        return (
            f"<WriteSlot of {self._producer._name!r} id={self.id} capacity={self.capacity} {state}>"
        )
