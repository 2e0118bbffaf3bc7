"""Batches: several messages that a consumer holds together."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, overload

from ._abi import RawReadSlot
from ._arrays import check_fit, record_step
from ._errors import Busy, DataBlockError, Fenced, Invalid, Overrun, Status
from ._holds import OVER, WIDTH, Ending, Part, Untold, holds_of, raw_of
from ._interrupts import Leaving, Statement, record, refuse_statement
from ._participant import ID, NOTHING_YET, Raw, first_look, waits
from ._slot_state import ENDED, NEW, OPEN, release
from ._types import Bound, refuse_objects, the_numpy, unsigned

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ._reader import Reader

BUSY = int(Status.BUSY)


class ReadBatch(Bound, Sequence[memoryview]):
    """Messages held together, in place: a sequence of memoryviews. See `Consumer.read_many`.

    ``ids``, ``lengths``, ``timestamps_ns`` and ``missed`` have a number for each message, as
    `ReadSlot` has them. These arrays stay valid after the end of the batch.
    """

    __slots__ = (
        "_consumer",
        "_count",
        "_ending",
        "_first",
        "_given",
        "_most",
        "_raw",
        "_starts",
        "_state",
        "_statement",
        "_timeout",
        "_total",
        "_view",
        "_views",
        "ids",
        "lengths",
        "missed",
        "timestamps_ns",
    )

    _hint = "copy its messages, [bytes(data) for data in batch]"

    def __init__(self, consumer: Reader, most: int, timeout: float | None) -> None:
        self._consumer = consumer
        self._most = unsigned("most", most, 32)
        if self._most == 0:
            raise Invalid("most is 0: ask for at least one message")
        self._timeout = timeout
        self._state = NEW
        self._statement: Statement | None = None
        self._given: list[Raw] | None = None
        self._count = 0
        self._total = self._first = 0  # what is held: messages first to total of the array
        self._ending: Ending | None = None
        self._view: memoryview | None = None
        self._views: list[memoryview] = []
        self._starts: array[int] = array("Q")
        self.ids: array[int] = array("Q")
        self.lengths: array[int] = array("Q")
        self.missed: array[int] = array("Q")
        self.timestamps_ns: array[int] = array("Q")

    def __enter__(self) -> ReadBatch:
        if self._state != NEW:
            refuse_statement(self)
            raise Invalid(f"{self!r} was used before: call read_many() for each batch")
        consumer = self._consumer
        consumer._rejoin()
        if consumer._parts:
            consumer._end_spent()
        if consumer._kept:
            taken: list[Raw] = []
            try:
                self._hold_kept(taken)
                return self
            except BaseException:
                if taken and taken[0][1][0] != 0:
                    consumer._kept.extendleft(reversed(taken))
                self._expire()
                self._statement = None
                raise
        library = consumer._library
        self._raw = (RawReadSlot * self._most)()
        count = ctypes.c_size_t()
        look = first_look(self._timeout)
        try:
            status = library.datablock_read_batch(
                consumer._handle, look, self._raw, self._most, count
            )
            if status != 0 and consumer._end_forgotten():
                status = library.datablock_read_batch(
                    consumer._handle, look, self._raw, self._most, count
                )
            if status in NOTHING_YET and waits(self._timeout):
                consumer._wait(
                    lambda handle, ms, raw: library.datablock_read_batch(
                        handle, ms, raw, self._most, count
                    ),
                    self._raw,
                    self._timeout,
                )
            elif status != 0:
                consumer._fail(status)
            self._hold(count.value)
            return self
        except BaseException:
            if count.value != 0:
                consumer._kept.append(Untold(self._raw, count))
            self._expire()
            self._statement = None
            raise

    def _hold_kept(self, taken: list[Raw]) -> None:
        """Hold the messages that an interrupted read has taken."""
        consumer = self._consumer
        if consumer._take_kept(taken, self._most)[1][0] == 0:
            raise Busy(
                f'block "{consumer.name}": another thread reads with this Consumer: '
                "one object is for one thread at a time"
            )
        self._raw = (RawReadSlot * len(taken))()
        words = memoryview(self._raw).cast("B").cast("Q")
        words[:] = array("Q", [word for raw in taken for word in raw[1]])
        self._given = taken
        self._hold(len(taken))

    def _hold(self, count: int) -> None:
        consumer = self._consumer
        self._total = count
        self._describe()
        self._state = OPEN
        consumer._held[self] = None
        if consumer._closed:
            raise consumer._closed_error()

    def _describe(self) -> None:
        first, total, size = self._first, self._total, ctypes.sizeof(RawReadSlot)
        words = array("Q", bytes(memoryview(self._raw).cast("B")[first * size : total * size]))
        addresses, self.lengths, self.ids, self.timestamps_ns, self.missed = (
            words[field::WIDTH] for field in range(5)
        )
        consumer = self._consumer
        view = consumer._view
        self._view = view if view is not None else consumer._map(addresses[0])
        base = consumer._base
        self._starts = array("Q", [address - base for address in addresses])
        self._count = total - first  # last: _catch_up repeats what was interrupted

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

    def _abandon(self) -> None:
        """End the hold that an interrupted with statement could not end."""
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
        __exit__ = Leaving(_leave)

    def release(self, first: int | None = None) -> None:
        """End the hold of the batch, or of its ``first`` messages, now.

        With ``first`` the other messages stay held, and are the batch from then on. Does nothing
        after the end of the batch. Raises `Overrun` and `Fenced`: discard what was read.
        """
        if self._state != OPEN:
            return
        self._catch_up()
        if first is not None and unsigned("first", first, 32) < self._count:
            self._release_first(first)
            return
        consumer = self._consumer
        if self._given is not None:
            holds = self._given[self._first :]
        else:
            holds = [
                raw_of(self._raw, first)
                for first, _ in holds_of(self._raw, self._total, self._first)
            ]
        try:
            status = self._end(holds)
        except BaseException:  # Ctrl-C
            self._end(
                [raw for raw in holds if raw[1][0] != 0]
            )  # the library refuses to end a hold twice
            raise
        if status != 0:
            consumer._fail(status)

    def _release_first(self, count: int) -> None:
        """Release the first messages, hold by hold. What was not released stays in the batch."""
        consumer = self._consumer
        consumer._rejoin()
        target = self._first + count
        failure: DataBlockError | None = None
        try:
            while self._first < target:
                status = self._release_run(target)
                if status not in OVER:
                    break
                if status != 0 and failure is None:
                    failure = consumer._library.error(status)
        except BaseException:  # Ctrl-C
            self._catch_up()
            raise
        if failure is not None:
            raise failure
        if self._first < target:
            consumer._fail(status)

    def _release_run(self, target: int) -> int:
        """Release the messages of the first hold, before index ``target``. Return the status."""
        consumer, first = self._consumer, self._first
        part: Part | None = None
        ids: set[int] = set()
        if self._given is None:
            upto = min(target, holds_of(self._raw, self._total, first)[0][1])
            begin, messages = raw_of(self._raw, first), upto - first
        else:
            upto, messages = first + 1, 1
            begin = self._given[first]
            part = consumer._part_of(begin)
            if part is not None:
                while upto < target and self._given[upto][2] is part:
                    upto += 1
                ids = {raw[1][ID] for raw in self._given[first:upto]}
                begin, messages = part.first, part.ended_without(ids)
        self._ending = ending = Ending(upto, [], part, ids)
        while not ending.statuses or ending.statuses[-1] == BUSY:  # see Consumer._settle
            record(
                ending.statuses,
                consumer._library.datablock_read_batch_end,
                consumer._handle,
                begin[0],
                messages,
            )
        status = ending.statuses[-1]
        self._catch_up()
        return status

    def _catch_up(self) -> None:
        """Do what follows from the release of the first messages. A repetition does nothing."""
        ending = self._ending
        if ending is not None:
            if ending.over():
                if ending.part is not None:
                    ending.part.forget(ending.ids)
                self._first = ending.upto
            self._ending = None
        if self._count != self._total - self._first:
            self._describe()

    def _end(self, holds: list[Raw]) -> int:
        self._expire()
        return self._end_holds(holds)

    def _end_holds(self, holds: list[Raw]) -> int:
        consumer = self._consumer
        first = 0
        for raw in holds:  # one by one: the end of a hold may have to wait for an older one
            status, about = consumer._end_any(raw)
            if status != 0 or consumer._late:
                status = consumer._settle(status, about)
            first = first or status
        return first

    def __len__(self) -> int:
        self._catch_up()
        return self._count

    @overload
    def __getitem__(self, at: int) -> memoryview: ...
    @overload
    def __getitem__(self, at: slice) -> list[memoryview]: ...
    def __getitem__(self, at: int | slice) -> memoryview | list[memoryview]:
        """Return the bytes of a message, in place and read-only. The batch's end releases them."""
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self._count))]
        view = self._memory()
        start = self._starts[at]
        data = view[start : start + self.lengths[at]]
        self._views.append(data)
        return data

    def __iter__(self) -> Iterator[memoryview]:
        return (self[i] for i in range(self._count))

    @property
    def records(self) -> NDArray[Any]:
        """All messages as the block's schema has them, one item each. Valid as `array` is.

        ``batch.records["value"].mean()`` is the mean of a field over the batch.
        """
        return self.array(self._consumer.schema.dtype)

    def array(self, dtype: DTypeLike = "u1") -> NDArray[Any]:
        """Return all messages as one NumPy array, read-only: a row for each message.

        All messages must have the same length, a whole number of items. With a dtype as large as a
        message, each message is one item. A dtype with only the first fields of the block's struct,
        as an older version of the schema has them, gives one record for each struct. A dtype that
        does not fit the block's schema raises `Invalid`. Single bytes, "u1", always fit.

        If the slots follow each other in memory, the array is a view in place. After the end of the
        batch such a view may show newer bytes: copy what is to be kept. Otherwise the array is a
        copy.
        """
        numpy = the_numpy()
        view = self._memory()
        kind = numpy.dtype(dtype)
        if kind.hasobject:
            refuse_objects(f"dtype {kind}")
        length = self.lengths[0]
        if self.lengths.count(length) != self._count:
            raise Invalid(
                f"the messages have between {min(self.lengths)} and {max(self.lengths)} bytes: "
                "one array has room for equal ones only"
            )
        schema = self._consumer._schema_if_any()
        check_fit(schema, kind, length)
        record = record_step(schema, kind)
        step = record or kind.itemsize
        if step == 0 or length % step != 0:
            raise Invalid(
                f"messages of {length} bytes are no whole number of {kind} items of {step} bytes"
            )
        starts = numpy.frombuffer(self._starts, "u8").astype("i8")
        whole = numpy.frombuffer(view, "u1")
        steps = numpy.diff(starts)
        if self._count == 1 or (steps[0] >= length and (steps == steps[0]).all()):
            rows = _rows(
                whole,
                int(starts[0]),
                self._count,
                int(steps[0]) if self._count > 1 else length,
                length,
            )
        else:
            first, step = int(starts.min()), int(numpy.gcd.reduce(steps))
            grid = _rows(whole, first, (int(starts.max()) - first) // step + 1, step, length)
            rows = grid[(starts - first) // step]
            rows.flags.writeable = False
        if record:  # each record is as large as the block says
            rows = rows.reshape(self._count, length // record, record)[..., : kind.itemsize]
            records: NDArray[Any] = rows.view(kind)[..., 0]
            return records[:, 0] if record == length else records
        items = rows.view(kind) if length else rows.reshape(self._count, 0).view("u1")
        return items[:, 0] if kind.itemsize == length else items

    def _memory(self) -> memoryview:
        if self._state != OPEN:
            self._refuse()
        self._catch_up()
        view = self._view
        assert view is not None
        return view

    def _expire(self) -> None:
        self._state = ENDED
        self._view = None
        self._consumer._held.pop(self, None)
        for view in self._views:
            release(view)
        self._views = []

    def _is_forgotten(self) -> bool:
        return False

    def _refuse(self) -> NoReturn:
        if self._state == NEW:
            raise Invalid(
                "the batch is held by a with statement: with consumer.read_many(most) as batch"
            )
        raise Invalid(f"{self!r} has ended")

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        state = ("not begun", "held", "ended")[self._state]
        return f"<ReadBatch of {self._consumer._name!r} {self._count} messages {state}>"


def _rows(whole: NDArray[Any], start: int, count: int, step: int, length: int) -> NDArray[Any]:
    """Return a view of a flat array: `count` rows of `length` bytes, `step` bytes apart."""
    import numpy

    part = whole[start : start + (count - 1) * step + length]
    rows: NDArray[Any] = numpy.lib.stride_tricks.as_strided(
        part, (count, length), (step, 1), writeable=False
    )
    return rows
