"""What the participants of a block share: locks, the flexible zone, counters."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Protocol, TypeVar

from ._abi import ParticipantHandle, RawZone
from ._arrays import field_error
from ._errors import Closed, DataBlockError, Invalid
from ._interrupts import Leaving, Statement, record
from ._types import Bound, flat, seconds, the_numpy, unsigned, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._library import Library
    from ._schema import Schema

Result = TypeVar("Result")

COUNT = 8
ANYWAY = 1 << 0

# The content of a flag until the library sets the flag.
UNTOUCHED = 255


class Sharer(Protocol):
    """What a lock, the zone and a counter need of their participant."""

    _library: Library
    _handle: Any

    @property
    def zone_schema(self) -> Schema | None: ...

    def _rejoin(self) -> None: ...

    def _wait(
        self, call: Callable[[Any, int, Any], int], reference: Any, timeout: float | None
    ) -> None: ...

    def _unclosed(self, step: Callable[..., Result], *arguments: Any) -> Result: ...

    def _fail(self, status: int) -> NoReturn: ...


def _of(participant: Sharer) -> ParticipantHandle:
    participant._rejoin()
    return ParticipantHandle(participant._handle.handle)


class SharedSpinLock(Bound):
    """One of the block's eight shared locks, 0 to 7, as a context manager::

        with producer.lock(3, timeout=1) as lock:
            if lock.abandoned:
                repair()

    The lock is recursive: an owner that acquires it again must release it as often. The library
    takes the lock of a dead owner back, whatever ended the owner. It never takes the lock of a
    living owner. The thread that uses the participant uses the lock. Entering waits and raises as
    `acquire`; leaving raises as `release`.
    """

    def __init__(self, participant: Sharer, index: int, timeout: float | None) -> None:
        self._participant = participant
        self._index = unsigned("index", index)
        self._timeout = None if timeout is None else seconds(timeout)
        # The number of with statements that were entered, and the library's status at the end of
        # each. One attribute holds both, so that they agree.
        self._statements: tuple[int, list[int]] = 0, []
        self._statement: Statement | None = None
        self.abandoned = False
        """Whether the last owner ended without releasing the lock, as of the last `acquire`.

        The data that the lock protects may then be half changed.
        """

    def acquire(self) -> bool:
        """Take the lock, waiting up to the timeout. Returns `abandoned`.

        Other Python threads run while the call waits. Raises `Timeout`, `Invalid`, `Closed`,
        `Busy`.
        """
        taken = ctypes.c_uint8(UNTOUCHED)
        try:
            self._acquire(taken)
            return self.abandoned
        except BaseException:
            if taken.value != UNTOUCHED:
                self._release([])
            raise

    def _acquire(self, taken: ctypes.c_uint8) -> None:
        """Take the lock. The number tells the caller whether this was done, also if interrupted."""
        participant, index = self._participant, self._index
        reference = ctypes.cast(ctypes.byref(taken), ctypes.POINTER(ctypes.c_bool))
        function = participant._library.datablock_lock_acquire

        def call(handle: Any, timeout_ms: Any, _: Any) -> int:
            status: int = function(ParticipantHandle(handle.handle), index, timeout_ms, reference)
            return status

        participant._wait(call, None, self._timeout)
        self.abandoned = bool(taken.value)

    def release(self) -> None:
        """Release the lock once.

        Raises `Invalid` (the lock is not this participant's), `Fenced` (the lock was taken away),
        `Busy`, `Closed`.
        """
        self._release([])

    def _release(self, done: list[int]) -> None:
        """Release the lock unless this was done already, also when an interrupt comes."""
        participant = self._participant
        function, arguments = (
            participant._library.datablock_lock_release,
            (_of(participant), self._index),
        )
        before = len(done)
        try:
            record(done, function, *arguments)
        except BaseException:
            if len(done) == before:
                record(done, function, *arguments)
            raise
        if done[before] != 0:
            participant._fail(done[before])

    @property
    def _state(self) -> int:
        """The number of with statements that the lock is in."""
        entered, left = self._statements
        return entered - len(left)

    def __enter__(self) -> SharedSpinLock:
        before, taken = self._statements, ctypes.c_uint8(UNTOUCHED)
        try:
            self._acquire(taken)
            entered, left = before
            self._statements = (1, []) if entered == len(left) else (entered + 1, left)
            return self
        except BaseException:
            self._statements = before
            if taken.value != UNTOUCHED:
                self._release([])
            if self._statement is not None:
                self._statement = self._statement.outer
            raise

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release(self._statements[1])
        if self._statement is not None:
            self._statement = self._statement.outer

    def _abandon(self) -> None:
        """Release what an interrupted with statement could not release."""
        with suppress(DataBlockError):
            self._release(self._statements[1])

    if TYPE_CHECKING:

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)

    def __repr__(self) -> str:
        return f"<SharedSpinLock {self._index} of {self._participant!r}>"


class FlexibleZone(Bound):
    """The block's flexible zone, protected by lock 0, as a context manager::

        with consumer.flexible_zone(timeout=1) as zone:
            zone.data[:4] = (42).to_bytes(4, "little")

    `data` is a copy, a bytearray. The end of the block writes the contents of `data` into the zone.
    An exception in the block leaves the zone as it was. If the zone has a schema, ``zone["gain"] =
    2.0`` and ``zone["gain"]`` are its fields in that copy. A scalar field gives its value.

    Entering waits up to the timeout. It raises `Timeout`, `Invalid` (this participant is inside
    already), `Closed`, `Busy`, and `Checksum` unless ``anyway`` is true. Leaving raises `Fenced`
    (lock 0 was taken away), and `Invalid` when `data` has another size than before: then the zone
    is as it was.
    """

    _hint = "copy the contents, bytes(zone.data)"

    def __init__(self, participant: Sharer, timeout: float | None, anyway: bool) -> None:
        self._participant = participant
        self._timeout = None if timeout is None else seconds(timeout)
        self._anyway = anyway
        self._address = self._size = 0
        self._state = 0  # 1: inside the zone
        self._statement: Statement | None = None
        self.data = bytearray()
        """The contents. The length must stay the zone's."""
        self.writes = 0
        """The number of times that participants left the zone so far."""
        self.abandoned = False
        """Whether the last participant in the zone ended inside, or could not finish."""
        self.intact = True
        """Whether the zone is what the last leaving participant left. False only with ``anyway``.
        """

    @property
    def record(self) -> NDArray[Any]:
        """The fields of the zone's schema, in `data`: ``zone.record["at"]["x"] = 3``.

        Without a schema a consumer raises `SchemaMismatch` and a producer raises `Invalid`.
        """
        numpy = the_numpy()
        schema = self._participant.zone_schema
        if schema is None:
            raise Invalid(
                f"{self._participant!r} was opened without a schema of its zone: it has no fields"
            )
        record: NDArray[Any] = numpy.frombuffer(self.data, schema.dtype, 1).reshape(())
        return record

    def __getitem__(self, field: str) -> Any:
        record = self.record[()]
        try:
            return record[field]
        except ValueError as error:
            raise field_error(error, record, field) from None

    def __setitem__(self, field: str, value: Any) -> None:
        record = self.record
        try:
            record[field] = value
        except ValueError as error:
            raise field_error(error, record, field) from None

    def __enter__(self) -> FlexibleZone:
        participant, raw = self._participant, RawZone()
        function = participant._library.datablock_zone_begin

        def call(handle: Any, timeout_ms: Any, reference: Any) -> int:
            status: int = function(
                ParticipantHandle(handle.handle),
                ANYWAY if self._anyway else 0,
                timeout_ms,
                reference,
            )
            return status

        try:
            participant._wait(call, ctypes.byref(raw), self._timeout)
            self._address, self._size = raw.data, raw.size
            self.data = participant._unclosed(
                lambda: bytearray(ctypes.string_at(raw.data, raw.size))
            )
            self.writes, self.abandoned, self.intact = raw.writes, raw.abandoned, raw.intact
            self._state = 1
            return self
        except BaseException:
            if raw.data:
                participant._library.datablock_zone_end(_of(participant), not raw.intact)
            self._state = 0
            self._statement = None
            raise

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        wrong: Exception | None = None
        data = b""
        if error is None:
            try:
                data = bytes(flat("the zone's data", self.data))
            except TypeError as refused:
                wrong = refused
            if wrong is None and len(data) != self._size:
                wrong = Invalid(
                    f"the zone's data has {len(data)} bytes now, the zone has {self._size}: "
                    "nothing was written"
                )
        given_up = error is not None or wrong is not None
        try:
            status = self._participant._unclosed(self._end, None if given_up else data)
        except Closed:
            self._state = 0
            if not given_up:
                raise
            status = 0
        except BaseException:
            if self._state == 1:
                self._end(None)
            raise
        self._statement = None
        if wrong is not None:
            raise wrong
        if status != 0 and error is None:
            self._participant._fail(status)

    def _end(self, data: bytes | None) -> int:
        """Write the contents, if there are any, and leave the zone.

        A caller that was interrupted may repeat the call: the library refuses to leave a zone
        twice.
        """
        if data is not None:
            ctypes.memmove(self._address, data, len(data))
        spoilt = self._anyway and not self.intact and data is None  # no participant repaired it
        status: int = self._participant._library.datablock_zone_end(_of(self._participant), spoilt)
        self._state = 0
        return status

    def _abandon(self) -> None:
        """Leave the zone that an interrupted with statement could not leave."""
        self._end(None)

    if TYPE_CHECKING:

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)


class Counter(Bound):
    """One of the block's eight 64-bit counters.

    Each method is one atomic step and never waits. The methods raise `Invalid`, `Busy`, `Closed`.
    """

    _hint = "copy the number, counter.value"

    def __init__(self, participant: Sharer, index: int) -> None:
        self._participant = participant
        self._index = index

    def _call(self, name: str, *arguments: int) -> int:
        before = ctypes.c_uint64()
        status = getattr(self._participant._library, name)(
            _of(self._participant), self._index, *arguments, ctypes.byref(before)
        )
        if status != 0:
            self._participant._fail(status)
        return before.value

    @property
    def value(self) -> int:
        return self._call("datablock_counter_get")

    @value.setter
    def value(self, value: int) -> None:
        self._call("datablock_counter_set", unsigned("value", value, 64))

    def add(self, amount: int) -> int:
        """Add ``amount`` modulo 2**64 and return the value before. ``amount`` may be negative."""
        return self._call("datablock_counter_add", whole("amount", amount) & (1 << 64) - 1)

    def exchange(self, expected: int, value: int) -> int:
        """Store ``value`` if the counter is ``expected``, in one step. Return the value before.

        The exchange happened if and only if the returned value equals ``expected``.
        """
        return self._call(
            "datablock_counter_exchange",
            unsigned("expected", expected, 64),
            unsigned("value", value, 64),
        )

    def __repr__(self) -> str:
        return f"<Counter {self._index} of {self._participant!r}>"


class Counters(Bound):
    """The block's counters: ``producer.counters[2].add(1)``.

    A number that is not 0 to 7 raises IndexError.
    """

    def __init__(self, participant: Sharer) -> None:
        self._participant = participant

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Counter:
        index = whole("the number of a counter", index)
        if not 0 <= index < COUNT:
            raise IndexError(f"a block has counters 0 to {COUNT - 1}, there is no counter {index}")
        return Counter(self._participant, index)


def with_flexible_zone(
    participant: Sharer, timeout: float | None, function: Callable[[FlexibleZone], Result]
) -> Result:
    """Let ``function`` change the flexible zone, and return its result.

    An exception of ``function`` leaves the zone as it was. Waits and raises as `FlexibleZone`.
    """
    with FlexibleZone(participant, timeout, False) as zone:
        return function(zone)
