"""A message that a consumer holds, and the iterator over messages."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from ._arrays import field_error, message_over
from ._errors import Closed, DataBlockError, Fenced, Forked, Invalid, Overrun, Timeout
from ._interrupts import LeavingOnce, at_end
from ._participant import LOOK, NOTHING_YET, NOW, TRY, Raw
from ._slot_state import ENDED, NEW, OPEN, release
from ._types import Bound

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ._reader import Reader


class SlotIterator(Bound, Iterator["ReadSlot"]):
    """The messages of a consumer, one after the other: the result of ``iter(consumer)``.

    Each slot ends when the next slot begins. The last slot ends with `close` or with the iterator
    itself. The iteration ends when the stream is `Closed`. Any other error of a read, such as
    `Lost`, is raised, and the next call continues after it.
    """

    __slots__ = ("__weakref__", "_consumer", "_ending", "_given", "_over")

    def __init__(self, consumer: Reader) -> None:
        self._consumer = consumer
        self._over = False
        self._given: list[ReadSlot] = []  # none or one
        self._ending = at_end(_end_given, self._given)

    def __next__(self) -> ReadSlot:
        if self._over:
            raise StopIteration
        slot = self._follow(None)
        try:
            return slot.__enter__()
        except Closed:
            self._over = True
            raise StopIteration from None
        except BaseException:
            slot._put_back()
            raise

    def _follow(self, timeout: float | None) -> ReadSlot:
        """End the current slot and prepare the next one."""
        self._end()
        slot = ReadSlot(self._consumer, timeout, None)
        slot._source = weakref.ref(self)
        self._given.append(slot)
        return slot

    def _end(self) -> None:
        if self._given:
            _end_given(self._given)

    def close(self) -> None:
        """End the iteration and its last slot. Raises as `ReadSlot.release` does."""
        self._over = True
        self._end()


def _end_given(given: list[ReadSlot]) -> None:
    """End the last slot of an iterator."""
    while given:
        with suppress(
            Closed, Forked
        ):  # the hold ended with the consumer, or belongs to the parent process
            given[0].release()
        given.clear()


class ReadSlot(Bound):
    """A message held in place. See `Consumer.read`.

    - ``id``: the number of the message. ``length``: bytes.
    - ``timestamp_ns``: time of the commit in nanoseconds since 1970, or 0 if the block has no
      timestamps.
    - ``missed``: the number of messages skipped between the message read before and this one.
    - ``index``: the number of the slot in the diagnosis.

    These values stay valid after the end of the slot.
    """

    __slots__ = (
        *(
            "_at",
            "_consumer",
            "_data",
            "_raw",
            "_source",
            "_start",
            "_state",
            "_statement",
            "_timeout",
            "_view",
        ),
        *("id", "index", "length", "missed", "timestamp_ns"),
    )

    _hint = "copy the message, bytes(slot.data)"

    def __init__(self, consumer: Reader, timeout: float | None, at: int | None) -> None:
        self._consumer = consumer
        self._timeout = timeout
        self._at = at
        self._state = NEW
        self._statement: weakref.ref[Any] | None = None
        self._source: weakref.ref[SlotIterator] | None = None
        self._data: memoryview | None = None
        self._view: memoryview | None = None

    def __enter__(self) -> ReadSlot:
        if self._state != NEW:
            raise Invalid(f"{self!r} was used before: call read() for each message")
        consumer = self._consumer
        if consumer._kept and self._at is None:
            taken: list[Raw] = []
            try:
                self._hold_kept(taken)
                return self
            except BaseException as error:
                if taken and taken[0][1][0] != 0:
                    consumer._kept.appendleft(taken[0])
                self._expire()
                self._statement = None
                if self._timeout is TRY and isinstance(error, Timeout):
                    return None  # type: ignore[return-value]
                raise
        raw = consumer._take_raw()
        reference, words, _ = raw
        told = True
        try:
            if self._at is None:
                timeout = self._timeout
                look = NOW if timeout == 0 or timeout is TRY else LOOK
                status = consumer._begin(consumer._number, look, reference)
                if status != 0:
                    if (
                        timeout is TRY
                        and status in NOTHING_YET
                        and not (consumer._held or consumer._late)
                    ):
                        told = False
                        consumer._raws.append(raw)
                        self._state = ENDED
                        self._statement = None
                        return None  # type: ignore[return-value]
                    consumer._hold_later(status, reference, timeout)
            else:
                status = consumer._begin_at(consumer._handle, ctypes.c_uint64(self._at), reference)
                if status != 0:
                    consumer._hold_at_later(status, self._at, reference, self._timeout)
            view = consumer._view
            if view is None:
                view = consumer._map(words[0])
            address, self.length, self.id, self.timestamp_ns, self.missed, where = words.tolist()
            self._start = address - consumer._base
            self.index = where & 0xFFFFFFFF
            self._view = view
            self._raw = raw
            self._state = OPEN
            consumer._held[self] = None
            if consumer._closed:
                raise consumer._closed_error()
            return self
        except BaseException as error:
            if words[0] == 0:
                if told:
                    consumer._raws.append(raw)
            elif self._at is None:
                consumer._kept.append(raw)
            else:
                consumer._end(consumer._handle, reference)
            self._expire()
            self._statement = None
            if self._timeout is TRY and isinstance(error, Timeout):
                return None  # type: ignore[return-value]
            raise

    def _hold_kept(self, taken: list[Raw]) -> None:
        """Hold a message that an interrupted read has taken."""
        consumer = self._consumer
        raw = consumer._take_kept(taken)
        if raw[1][0] == 0:
            look = NOW if self._timeout in (0, TRY) else LOOK
            status = consumer._begin(consumer._number, look, raw[0])
            if status != 0:
                consumer._hold_later(status, raw[0], self._timeout)
        self._hold(raw)

    def _hold(self, raw: Raw) -> None:
        consumer = self._consumer
        words = raw[1]
        view = consumer._view
        if view is None:
            view = consumer._map(words[0])
        address, self.length, self.id, self.timestamp_ns, self.missed, where = words.tolist()
        self._start = address - consumer._base
        self.index = where & 0xFFFFFFFF
        self._view = view
        self._raw = raw
        self._state = OPEN
        consumer._held[self] = None
        if consumer._closed:
            raise consumer._closed_error()

    def _put_back(self) -> None:
        """Undo the entering. The next read gives a message that was read in order.

        A caller that is interrupted repeats the call.
        """
        if self._state == OPEN:
            consumer, raw = self._consumer, self._raw
            if self._at is not None:
                consumer._end(consumer._handle, raw[0])
            elif not any(one is raw for one in consumer._kept):
                consumer._kept.appendleft(raw)
            consumer._held.pop(self, None)
            if self._data is not None:
                release(self._data)
            self._expire()  # changes the state last

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except DataBlockError as failure:
            # If the body of the with statement failed, these errors may be the reason for that.
            if kind is None or (
                isinstance(failure, (Overrun, Fenced)) and isinstance(error, Exception)
            ):
                raise
        finally:
            if self._state != OPEN:
                self._statement = None

    def _abandoned(self, statement: weakref.ref[Any]) -> None:
        """End the hold that an interrupted with statement could not end."""
        if self._statement is statement:
            self._statement = None
            with suppress(DataBlockError):
                self.release()

    if TYPE_CHECKING:

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None: ...

    else:
        __exit__ = LeavingOnce(_leave)

    def verify(self) -> None:
        """Compare the message with its checksum.

        Raises `Checksum` if the message changed after the commit: discard what was computed from
        it. The hold continues. Raises `Invalid` if the message has no checksum.
        """
        if self._state != OPEN:
            self._refuse()
        consumer = self._consumer
        consumer._rejoin()
        status = consumer._library.datablock_read_verify(consumer._handle, self._raw[0])
        if status != 0:
            consumer._fail(status)

    def release(self) -> None:
        """End the hold and the memoryview now. Does nothing after the end of the slot.

        Raises `Overrun` and `Fenced` as leaving the block does. After `System` the library still
        holds the message, and the next read ends this.
        """
        if self._state == OPEN:
            consumer = self._consumer
            raw = self._raw
            try:
                self._state = ENDED
                self._view = None
                consumer._held.pop(self, None)
                data = self._data
                if data is not None:
                    release(data)
                    self._data = None
                if consumer._parts:
                    status, raw = consumer._end_any(raw)
                else:
                    status = consumer._end(consumer._number, raw[0])
                if status == 0 and not consumer._late:
                    raw[1][0] = 0
                    if type(raw[2]) is ctypes.c_size_t:
                        consumer._raws.append(raw)
                    return
                status = consumer._settle(status, raw)
            except BaseException:  # Ctrl-C
                if raw[1][0] != 0:  # the library refuses to end a hold twice
                    consumer._settle(*consumer._end_any(raw))
                self._expire()
                raise
            if status != 0:
                consumer._fail(status)

    @property
    def data(self) -> memoryview:
        """The bytes of the message, in place and read-only. The end of the slot releases the view.

        A slice or a cast is a view of its own. The end of the slot does not release such a view,
        which may then show newer bytes: use it inside the block only.
        """
        data = self._data
        if data is None:
            if self._state != OPEN:
                self._refuse()
            view = self._view
            assert view is not None
            data = self._data = view[self._start : self._start + self.length]
        return data

    def array(
        self, dtype: DTypeLike = "u1", shape: tuple[int, ...] | int | None = None
    ) -> NDArray[Any]:
        """Return the message as a NumPy array, in place and read-only.

        Without a shape the array has one dimension and covers the message. A dtype with only the
        first fields of the block's struct, as an older version of the schema has them, gives one
        record for each struct. A dtype that does not fit the block's schema raises `Invalid`.
        Single bytes always fit: ``slot.array("u1").view(dtype)`` reads them as any other type.

        The array keeps the memory mapped for as long as something refers to the array, also after
        the consumer is closed. After the end of the slot the array may show newer bytes: copy what
        is to be kept.
        """
        if self._state != OPEN:
            self._refuse()
        view = self._view
        assert view is not None
        return message_over(
            self._consumer._schema_if_any(), view, self._start, self.length, dtype, shape
        )

    @property
    def record(self) -> NDArray[Any]:
        """The message as the block's schema describes it: an array without an axis, in place.

        What is read from the array is in place as well; ``slot["value"]`` gives a value instead.
        Valid as `array` is. Raises `SchemaMismatch` when the block has no schema.
        """
        return self.array(self._consumer.schema.dtype, ())

    def __getitem__(self, field: str) -> Any:
        """Return a field of the block's schema, ``slot["value"]``.

        A scalar field gives its value, which the program may keep. Arrays and structs are in place,
        and valid as `array` is. Raises `Invalid` when the schema has no such field.
        """
        record = self.record[()]
        try:
            return record[field]
        except ValueError as error:
            raise field_error(error, record, field) from None

    def __bytes__(self) -> bytes:
        """Return a copy of the message."""
        return bytes(self.data)

    def _expire(self) -> None:
        self._state = ENDED
        self._view = None
        self._consumer._held.pop(self, None)
        if self._data is not None:
            release(self._data)
            self._data = None

    def _is_forgotten(self) -> bool:
        """Whether it is the slot of an iterator that is gone."""
        return self._source is not None and self._source() is None

    def _refuse(self) -> NoReturn:
        if self._state == NEW:
            raise Invalid("the message is held by a with statement: with consumer.read() as slot")
        raise Invalid(f"{self!r} has ended")

    def __repr__(self) -> str:
        if self._state == NEW or not hasattr(self, "index"):
            return f"<ReadSlot of {self._consumer._name!r} not begun>"
        state = "held" if self._state == OPEN else "ended"
        return f"<ReadSlot of {self._consumer._name!r} id={self.id} length={self.length} {state}>"
