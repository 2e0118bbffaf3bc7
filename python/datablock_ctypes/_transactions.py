"""A message as a transaction: a function that gets the slot, or a guard that holds it.

Both end as the ``with`` blocks of `Producer.write` and `Consumer.read` do. Without an exception the
message is published or released. An exception aborts it, and nothing is published.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar, cast

from ._consumer import Consumer
from ._errors import Closed, DataBlockError, Fenced, Invalid, Overrun, Timeout
from ._interrupts import Leaving, Statement, at_end
from ._producer import Producer
from ._read_slot import ReadSlot, SlotIterator
from ._slot_state import OPEN
from ._types import Bound, seconds, unsigned
from ._write_slot import WriteSlot

T = TypeVar("T")
Slot = TypeVar("Slot", ReadSlot, WriteSlot)
Guard = TypeVar("Guard", bound="_Guard[Any]")


def with_write_transaction(
    producer: Producer, timeout: float | None, f: Callable[[WriteSlot], T]
) -> T:
    """Claim a slot, call ``f`` with it, and publish the message. Return the result of ``f``.

    ``slot.commit(n)`` sets the length to ``n`` bytes; the default is the whole slot. The message is
    published when ``f`` has returned. If ``f`` raises, also after ``slot.commit(n)``, nothing is
    published, the next claim has the same id, and the caller gets the exception of ``f``.

    Waits and raises as `Producer.write`.
    """
    slot = _producer("producer", producer).write(timeout)
    try:
        slot.__enter__()
        value = f(slot)
        slot._leave(None, None, None)
        return value
    except BaseException as error:  # Ctrl-C, too, wherever it comes
        slot.abort()
        if slot._sent:
            error.sent = 1  # type: ignore[attr-defined]
        raise


def with_read_transaction(
    consumer: Consumer, slot_id: int, timeout: float | None, f: Callable[[ReadSlot], T]
) -> T:
    """Hold message ``slot_id``, call ``f`` with it, and release it. Return the result of ``f``.

    The cursor does not move. The call waits up to ``timeout`` seconds for a message that is not
    written yet, whatever the consumer's delivery. A LOSSLESS consumer applies backpressure during
    this wait: a message that is a whole ring ahead of its cursor cannot be written.

    Raises `Timeout` (not written in time), `Overrun`, `Lost`, `Closed` or `Superseded` (the message
    will never be written), `Fenced`, `Busy`, `Corrupt`, `System`, and the exceptions of ``f``.
    `Overrun` before ``f`` is called means that the message was overwritten. `Overrun` after ``f``
    has returned means that the bytes may have changed meanwhile: discard what was read.
    """
    slot = _slot_of(consumer, slot_id, timeout)
    try:
        slot.__enter__()
        value = f(slot)
        slot.release()
    except BaseException as error:
        slot._leave(type(error), error, error.__traceback__)
        raise
    return value


class NextResult(Generic[T]):
    """The result of `with_next_slot`. True if there was a message, also if the result is None."""

    __slots__ = ("_nothing", "_value")

    def __init__(self, value: T | None, nothing: Timeout | None = None) -> None:
        self._value = value
        self._nothing = nothing

    def __bool__(self) -> bool:
        return self._nothing is None

    @property
    def value(self) -> T:
        """The result of the function. Raises the `Timeout` of the wait if there was no message."""
        if self._nothing is not None:
            raise self._nothing.with_traceback(None)
        return cast(T, self._value)

    def __repr__(self) -> str:
        return f"<NextResult {self._value!r}>" if self else "<NextResult nothing>"


def with_next_slot(
    source: SlotIterator | Consumer, timeout: float | None, f: Callable[[ReadSlot], T]
) -> NextResult[T]:
    """Hold the next message, call ``f`` with it, and release it::

        result = with_next_slot(consumer, 0.5, decode)
        if result:
            use(result.value)

    Waits up to ``timeout`` seconds. The result is false when no message came in this time. ``f``
    was then not called. There is no default value: None is what ``f`` returned, and never means "no
    message". ``source`` is a `Consumer`, or its iterator, whose last slot ends first. A message
    counts as read when ``f`` raises.

    Raises `Closed`, `Superseded`, `Overrun`, `Lost`, `Fenced`, `Busy`, `Corrupt` as
    `Consumer.read`, and the exceptions of ``f``.
    """
    if timeout is not None:
        timeout = seconds(timeout)
    if isinstance(source, Consumer):
        slot = ReadSlot(source, timeout, None)
    elif isinstance(source, SlotIterator):
        if source._over:
            raise Closed("the iteration has ended")
        slot = source._follow(timeout)
    else:
        raise TypeError(f"a Consumer or its iterator is needed, not {type(source).__name__}")
    called = False
    try:
        try:
            slot.__enter__()
        except Timeout as nothing:  # the timeout of this wait, not of a wait inside f
            return NextResult(None, nothing.with_traceback(None))
        called = True  # Python checks for no signal from here to the beginning of f
        value = f(slot)
        slot.release()
        return NextResult(value)
    except BaseException as error:
        if not called:
            slot._put_back()
        slot._leave(type(error), error, error.__traceback__)
        raise


class _Guard(Bound, Generic[Slot]):
    """The common part of the guards. A ``with`` statement gets the guard itself."""

    _hint = "copy the message, bytes(guard.slot.data)"
    _slot: Slot | None = None  # None until a slot is held
    _asked: list[None]  # not empty: the program has asked for the slot
    _over = False
    _state = 0  # 1: in a with statement, 2: after it
    _statement: Statement | None = None

    def __bool__(self) -> bool:
        return self._slot is not None and self._slot._state == OPEN

    @property
    def slot(self) -> Slot:
        """The slot that the guard holds. Raises `Invalid` when the transaction has ended."""
        slot = self._slot
        if slot is None or slot._state != OPEN:
            raise Invalid(f"{self!r}: there is no slot any more")
        if not self._asked:
            self._asked += (None,)  # no call: Python checks for no signal from here to the return
        return slot

    def _begin(self, slot: Slot) -> None:
        """Hold a slot. If the guard is collected, so that no code has it, the hold ends."""
        asked: list[None] = []
        self._asked = asked
        self._slot = slot
        self._ending = at_end(_forgotten, type(self).__name__, slot, asked)
        try:
            slot.__enter__()
        except BaseException:
            _give_up(slot, asked)
            raise

    def abort(self) -> None:
        raise NotImplementedError

    def __enter__(self: Guard) -> Guard:
        if self._over:
            raise Invalid(f"{self!r}: make a guard for each transaction")
        self._state = 1
        return self

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._over and self._slot is not None:
            self._over = True
            if kind is not None and not self._asked:
                _give_up(self._slot, self._asked)
            self._slot._leave(kind, error, traceback)
        self._state = 2
        self._statement = None

    def _abandon(self) -> None:
        """End the transaction that an interrupted with statement could not end."""
        self._over = True
        if self._slot is not None:
            _give_up(self._slot, self._asked)

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
        return f"<{type(self).__name__} {'holds' if self else 'without'} {self._slot!r}>"


def _give_up(slot: ReadSlot | WriteSlot, asked: list[None]) -> None:
    """End a hold without a result.

    A message that the program has not asked for is given by the next read.
    """
    if isinstance(slot, WriteSlot):
        slot.abort()
    elif asked:
        with suppress(DataBlockError):
            slot.release()
    else:
        slot._put_back()
        slot._consumer._untake()  # otherwise the hold stays until the next read


def _forgotten(kind: str, slot: ReadSlot | WriteSlot, asked: list[None]) -> None:
    if slot._state == OPEN:
        text = f"<{kind} holds {slot!r}>"
        _give_up(slot, asked)
        warnings.warn(
            f"{text} was neither committed nor aborted: aborted",
            ResourceWarning,
            stacklevel=2,
            source=slot,
        )


class WriteTransactionGuard(_Guard[WriteSlot]):
    """A claimed slot, from the construction on, for code that fits no ``with`` block or function.

    The guard is true while it holds the slot::

        guard = WriteTransactionGuard(producer, timeout=1.0)
        n = fill(guard.slot.data)
        guard.commit(n)

    As a context manager the guard publishes at the end of the block unless `commit` or `abort` was
    called. An exception aborts. A guard that is collected without commit or abort aborts, with a
    `ResourceWarning`. Construction waits and raises as entering `Producer.write` does.
    """

    def __init__(self, producer: Producer, timeout: float | None = None) -> None:
        self._begin(_producer("producer", producer).write(timeout))

    def commit(self, length: int | None = None) -> None:
        """Publish the message now and end the transaction, also when an error is raised.

        The message has ``length`` bytes, else as many as ``slot.commit`` set, else the whole slot.

        Raises `Fenced`, `Superseded`, `Corrupt`, and `Invalid` when the length exceeds the slot:
        nothing was published. Raises `Closed` when the producer was closed, and `Invalid` when the
        transaction had ended.
        """
        slot = self._slot
        assert slot is not None
        if not self:
            if slot._producer.closed and not self._over:
                raise slot._producer._closed_error()
            raise Invalid(f"{self!r} has ended")
        self._over = True
        try:
            if length is not None:
                slot.commit(length)
            slot._leave(None, None, None)
        except BaseException as error:
            slot.abort()
            if slot._sent:
                error.sent = 1  # type: ignore[attr-defined]
            raise

    def abort(self) -> None:
        """Abort the claim now. Does nothing when the transaction has ended."""
        self._over = True
        if self._slot is not None:
            self._slot.abort()


class ReadTransactionGuard(_Guard[ReadSlot]):
    """A held message, from the construction on. The guard is true while it holds the message.

    ``slot_id`` is the message's id: construction waits and raises as `with_read_transaction`. None
    is the next message, as `Consumer.read`. See `WriteTransactionGuard`.
    """

    def __init__(
        self, consumer: Consumer, slot_id: int | None = None, timeout: float | None = None
    ) -> None:
        self._begin(
            _consumer("consumer", consumer).read(timeout)
            if slot_id is None
            else _slot_of(consumer, slot_id, timeout)
        )

    def commit(self) -> None:
        """Release the message now.

        Raises `Overrun` or `Fenced` when the bytes may have changed while they were held: discard
        what was read. Raises `Invalid` when the transaction has ended.
        """
        slot = self._slot
        assert slot is not None
        if not self:
            raise Invalid(f"{self!r} has ended")
        self._over = True
        slot.release()

    def abort(self) -> None:
        """Release the message now, also if the bytes have changed. Does nothing after the end.

        A message that was read in order counts as read.
        """
        self._over = True
        if self._slot is not None:
            with suppress(Overrun, Fenced):
                self._slot.release()


def _slot_of(consumer: Consumer, slot_id: int, timeout: float | None) -> ReadSlot:
    if timeout is not None:
        timeout = seconds(timeout)
    return ReadSlot(_consumer("consumer", consumer), timeout, unsigned("slot_id", slot_id, 64))


def _producer(what: str, value: Any) -> Producer:
    if not isinstance(value, Producer):
        raise TypeError(
            f"{what} is {value!r}: a Producer is needed, which writes; "
            "a Consumer reads, by with_next_slot or with_read_transaction"
        )
    return value


def _consumer(what: str, value: Any) -> Consumer:
    if not isinstance(value, Consumer):
        raise TypeError(
            f"{what} is {value!r}: a Consumer is needed, which reads; a Producer writes, by "
            "with_write_transaction"
        )
    return value
