"""Consumers: reading messages in place, one by one, by id, or in batches."""

from __future__ import annotations

import ctypes
import math
import os
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from ._arrays import message_over
from ._batch import ReadBatch, Untold, holds_of, raw_of
from ._errors import Closed, DataBlockError, Fenced, Forked, Invalid, Overrun, SchemaMismatch, Status, Timeout
from ._functions import ConsumerHandle, ConsumerOptions, RawReadSlot
from ._interrupts import Leaving, Statement, at_end, record
from ._library import StrPath, library
from ._participant import (
    DO_NOT_WAIT,
    ID,
    LOOK_FIRST,
    NOTHING_YET,
    SLICE_MS,
    Participant,
    Raw,
    first_look,
    waits,
)
from ._producer import ENDED, NEW, OPEN, release
from ._schema import Schema, configure
from ._types import (
    Bound,
    Delivery,
    SecretBytes,
    Start,
    block_name,
    choice,
    optional_path_bytes,
    seconds,
    secret_bytes,
    unsigned,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

INVALID = int(Status.INVALID)
TIMEOUT = int(Status.TIMEOUT)
NOT_FOUND = int(Status.NOT_FOUND)
BUSY = int(Status.BUSY)
SYSTEM = int(Status.SYSTEM)

# The timeout of a slot that does not wait for its id: the read raises `NotFound` instead of
# `Timeout`.
LOOK_ONCE = -1.0


class Consumer(Participant):
    """A participant that reads the messages of a block.

    - ``name``: a plain name, or an absolute path.
    - ``delivery``: which messages the consumer gets, a `Delivery`.
    - ``start``: the first message, a `Start`.
    - ``max_pins``: messages held at once, 1 to 8. 0 selects the default, 1.
    - ``consumer_name``: the name in the diagnosis, at most 63 bytes. The default is the program's
      name.
    - ``durable``: the row and the cursor outlive this process. The next consumer with the same
      ``consumer_name`` continues there.
    - ``directory``, ``secret``: as for `Producer`.
    - ``schema``: the schema that this consumer expects: a `Schema`, the text of one, or a reference
      to the registry such as ``"SensorReading@2.1"``. None accepts any block.
    - ``exact``: the hashes of the block's schema and of ``schema`` must be equal. By default name
      and major version must be equal, and each field of ``schema`` must exist with its type, count
      and offset.
    - ``registered``: a reference to the registry entry that ``schema`` must be equal to. Without a
      ``schema`` the entry is the schema.
    - ``registry``: the directory of the registry. The default is that of `Schema.lookup`.
    - ``zone_schema``: the schema that this consumer expects of the flexible zone.
    - ``wait``: the seconds for which opening waits for a block that does not exist yet, then
      `Timeout`. None waits for ever. The default is 0: opening does not wait.

    Timeouts are seconds. None waits for ever, 0 does not wait. Other Python threads run while a
    call waits, and Ctrl-C ends the wait. One thread at a time may use the object; any thread may
    call `close`. A Consumer closes itself at the end of the program, and when nothing refers to it
    any more.

    Iterating gives each message until the stream is `Closed`. A slot ends when the next slot begins
    or the loop ends. See `SlotIterator`::

        for slot in consumer:
            print(slot.id, slot.array("f4").mean())

    Opening raises `Invalid`, `Timeout`, `NotFound`, `Access`, `Secret`, `SchemaMismatch`,
    `Corrupt`, `Version`, `Full`, `NoSpare`, `Busy`, `Superseded`, `System`, `Forked`.
    """

    _raw_type = RawReadSlot
    _writes = False

    def __init__(
        self,
        name: StrPath,
        *,
        delivery: Delivery = Delivery.DEFAULT,
        start: Start = Start.LATEST,
        max_pins: int = 0,
        consumer_name: str | None = None,
        durable: bool = False,
        directory: StrPath | None = None,
        secret: SecretBytes | None = None,
        schema: Schema | str | None = None,
        exact: bool = False,
        registered: str | None = None,
        registry: StrPath | None = None,
        zone_schema: Schema | str | None = None,
        wait: float | None = 0,
    ) -> None:
        loaded = library()
        if wait is not None:
            wait = seconds(wait, "wait")
        options = ConsumerOptions()
        status = loaded.datablock_consumer_options_init(options)
        if status != 0:
            loaded.fail(status)
        options.delivery = choice(Delivery, "delivery", delivery)
        options.start = choice(Start, "start", start)
        options.max_pins = unsigned("max_pins", max_pins)
        options.durable = int(durable)
        options.name = optional_path_bytes("consumer_name", consumer_name)
        options.directory = optional_path_bytes("directory", directory)
        options.secret, options.secret_length, keep = secret_bytes(secret)
        configure(options, schema, registered, registry, zone_schema)
        options.schema_mode = int(exact)
        self._delivery = delivery
        self._schema: Schema | None = None
        self._without_schema = False
        self._zone_schema: Schema | None = None
        self._held: dict[ReadSlot | ReadBatch, None] = {}
        self._late: list[Raw] = []
        self._kept: deque[Raw | Untold] = deque()  # messages that interrupted reads took, in order
        self._parts: list[Part] = []
        quick = loaded.quick
        self._begin = quick.datablock_read_begin
        self._begin_at = quick.datablock_read_at
        self._end = quick.datablock_read_end
        self._undo = quick.datablock_read_undo
        path = block_name(name)
        super().__init__(loaded, os.fsdecode(path), ConsumerHandle(), loaded.datablock_consumer_close)
        self._open(self._attach, wait, path, options)
        del keep

    def _attach(self, wait: float | None, path: bytes, options: ConsumerOptions, handle: ConsumerHandle) -> int:
        """Open the handle. The wait is divided into slices, so that signal handlers run in time."""
        attach = self._library.datablock_consumer_open
        deadline = math.inf if wait is None else time.monotonic() + wait
        while True:
            left = (deadline - time.monotonic()) * 1000
            last = left <= SLICE_MS
            options.wait_ms = 0 if wait == 0 else max(1, math.ceil(left)) if last else SLICE_MS
            status: int = attach(path, options, handle)
            if last or status != TIMEOUT:
                break
        if status == TIMEOUT and wait is not None:
            self._out_of_time(status, wait)
        return status

    @property
    def delivery(self) -> Delivery:
        """The delivery that the program asked for."""
        return Delivery(self._delivery)

    @property
    def resumed(self) -> bool:
        """Whether a durable consumer continues at the cursor that was kept under its name.

        If False, the consumer began like a new one, for one of these reasons: it is the first
        consumer with this name, its row expired or was removed, or the block was made anew. The
        consumer may then have missed messages that ``missed`` does not count. Raises `Closed`.
        """
        self._rejoin()
        kept = ctypes.c_bool()
        status = self._library.datablock_consumer_resumed(self._handle, kept)
        if status != 0:
            self._fail(status)
        return kept.value

    @property
    def schema(self) -> Schema:
        """The schema of a message, as the producer of the block declared it.

        Raises `SchemaMismatch` (the block has no schema), `Closed`, `Corrupt`.
        """
        if self._schema is None:
            self._schema = Schema._from("datablock_schema_of_consumer", self._handle, fail=self._fail)
        return self._schema

    def _schema_if_any(self) -> Schema | None:
        """The schema of the messages, or None if the block has none."""
        if self._schema is None and not self._without_schema:
            try:
                return self.schema
            except SchemaMismatch:
                self._without_schema = True
        return self._schema

    @property
    def zone_schema(self) -> Schema:
        """The schema of the flexible zone, as the producer declared it. Raises as `schema`."""
        if self._zone_schema is None:
            self._zone_schema = Schema._from("datablock_zone_schema_of_consumer", self._handle, fail=self._fail)
        return self._zone_schema

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"holding {len(self._held)}" if self._held else "open"
        return f"<Consumer {self._name!r} {self.delivery.name} {state}>"

    def read(self, timeout: float | None = None) -> ReadSlot:
        """Hold the next message in place while a ``with`` block runs::

            with consumer.read(timeout=1.0) as slot:
                process(slot.data)

        Up to ``max_pins`` messages may be held at once. Entering waits up to ``timeout`` seconds.

        Entering raises `Timeout` (also as `NoProducer`), `Closed`, `Superseded`, `Overrun`, `Lost`,
        `Fenced`, `Busy`, `Corrupt`. Leaving raises `Overrun` or `Fenced` when the bytes may have
        changed while they were held: discard what was read.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        return ReadSlot(self, timeout, None)

    def read_at(self, id: int) -> ReadSlot:
        """Hold message ``id`` in place while a ``with`` block runs, if the block still has it.

        The cursor does not move. The call does not wait.

        Entering raises `NotFound` (not written yet), `Overrun` (overwritten), `Lost`, `Fenced`,
        `Busy`, `Corrupt`. Leaving raises as for `read`.
        """
        return ReadSlot(self, LOOK_ONCE, unsigned("id", id, 64))

    def read_many(self, most: int, timeout: float | None = None) -> ReadBatch:
        """Hold up to ``most`` present messages in place while a ``with`` block runs::

            with consumer.read_many(1000, timeout=1.0) as batch:
                samples = batch.array(SAMPLE)

        Entering waits up to ``timeout`` seconds for the first message only.

        - LOSSLESS: one hold covers the whole batch, and the cursor moves once, when the batch ends.
        - ORDERED: each message takes one of ``max_pins``.
        - LATEST: the batch is the one newest message.

        A message that would raise an error (`Lost`, `Checksum`), or that follows a gap, ends the
        batch before this message. The next call reports it.

        Entering and leaving raise as for `read`. No other message may be held meanwhile, unless
        ``max_pins`` allows it.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        return ReadBatch(self, most, timeout)

    def receive(self, timeout: float | None = None) -> bytes:
        """Return a copy of the next message. Waits and raises as `read`."""
        if timeout is not None:
            timeout = seconds(timeout)
        taken: list[Raw] = []
        ended: list[int | None] = []
        if not self._kept:
            taken.append(self._take_raw())
        try:
            raw = taken[0] if taken else self._take_kept(taken)
            reference, words, size = raw
            if words[0] == 0:
                status = self._begin(self._handle, DO_NOT_WAIT if timeout == 0 else LOOK_FIRST, reference)
                if status != 0:
                    self._hold_later(status, reference, timeout)
            view = self._view
            if view is None:
                view = self._map(words[0])
            start = words[0] - self._base
            data = view[start : start + words[1]].tobytes()
            end, arguments = self._end, ((self._handle,), (reference,))
            if self._parts:
                end, arguments, ended = self._end_of(raw, ended)
            spent = taken if type(size) is ctypes.c_size_t else ()
            ending = map(ended.append, map(end, *arguments))
            # The end of the hold and the return are one step for signals. Python checks for signals
            # at calls, at the beginning of functions and at backward jumps. There is none of these
            # from here to the return.
            if None in ending and not ended[0] and not self._late:
                words[0] = 0
                self._raws += spent
                return data
            if ended[-1] == SYSTEM:
                self._fail(SYSTEM)  # the next read gives the message
            status = self._settle(ended[0] or 0, raw)
        except BaseException:
            if taken:
                words = taken[0][1]
                if words[0] == 0:
                    self._give_back(taken[0])
                elif not ended or ended[0] in (INVALID, SYSTEM):
                    self._kept.appendleft(taken[0])
                    with suppress(ValueError):
                        self._late.remove(taken[0])
            raise
        if status != 0:
            self._fail(status)
        return data

    def __iter__(self) -> SlotIterator:
        return SlotIterator(self)

    def _hold_later(self, status: int, reference: Any, timeout: float | None) -> None:
        if self._end_forgotten():
            status = self._begin(self._handle, first_look(timeout), reference)
            if status == 0:
                return
        if status in NOTHING_YET and waits(timeout):
            self._wait(self._library.datablock_read_begin, reference, timeout)
        else:
            self._fail(status)

    def _end_forgotten(self) -> bool:
        """End the holds that are still to be ended. Return whether one has ended.

        They are those of iterators that an interrupt kept from ending them, and are gone, and those
        that the library could not end.
        """
        forgotten = [
            slot
            for slot in self._held
            if isinstance(slot, ReadSlot) and slot._source is not None and slot._source() is None
        ]
        for slot in forgotten:
            with suppress(Overrun, Fenced):
                slot.release()
        if not self._late:
            return bool(forgotten)
        before = len(self._late)
        with suppress(Overrun, Fenced):
            status = self._end_late()
            if status != 0:
                self._fail(status)
        return bool(forgotten) or len(self._late) < before

    def _hold_at_later(self, status: int, number: int, reference: Any, timeout: float | None) -> None:
        if status == BUSY and (self._end_forgotten() or self._untake()):
            status = self._begin_at(self._handle, ctypes.c_uint64(number), reference)
            if status == 0:
                return
        if status != NOT_FOUND or timeout == LOOK_ONCE:
            self._fail(status)
        if timeout == 0:
            raise Timeout(f"{self._library.detail()} (asked not to wait)")
        read_id, wanted = self._library.datablock_read_id, ctypes.c_uint64(number)
        self._wait(lambda handle, ms, into: read_id(handle, wanted, ms, into), reference, timeout)

    def _settle(self, status: int, raw: Raw) -> int:
        """Decide what becomes of a hold after an attempt to end it, and return the status.

        The messages of a LOSSLESS consumer end in the order in which they began. A message that
        ends before an older one gets `INVALID` and waits here for the older one. The `Raw` of a
        batch's hold has no length: the struct stays the batch's. After SYSTEM the message is still
        held, and waits here, too: the library could not begin the call.
        """
        while status == BUSY:  # another thread is in a call and leaves it soon: calls wait in slices
            status = self._end(self._handle, raw[0])
        if status in (INVALID, SYSTEM):
            self._late.append(raw)
            status = 0 if status == INVALID else status
        else:
            raw[1][0] = 0
            if type(raw[2]) is ctypes.c_size_t:
                self._raws.append(raw)
        later = self._end_late()
        if status == SYSTEM and not any(one is raw for one in self._late):
            status = 0  # the second attempt has ended it
        return status or later

    def _end_late(self) -> int:
        """End the holds that wait for an older one. Return the first error."""
        status = 0
        for other in sorted(self._late, key=lambda other: int(other[1][2])):
            ended = BUSY
            while ended == BUSY:
                ended = self._end(self._handle, other[0])
            if ended == SYSTEM or (ended == INVALID and "is not held" not in self._library.detail()):
                continue  # it is still held: it, or an older message
            with suppress(ValueError):  # another thread removed it first
                self._late.remove(other)
            # Here INVALID means that it is not held: an interrupt came before its end was known.
            status = status or (ended if ended != INVALID else 0)
        return status

    # ---- Messages that an interrupted read has taken --------------------------------------------

    def _take_kept(self, taken: list[Raw], most: int = 1) -> Raw:
        """Move kept messages into a list, from which an interrupted caller puts them back.

        If another thread has taken the kept messages, the list gets an unused struct.
        """
        self._tell()
        if self._parts:
            self._end_spent()
        with suppress(IndexError):
            taken.extend(map(deque.popleft, [self._kept] * min(most, len(self._kept))))  # type: ignore[arg-type]
        if not taken:
            taken.append(self._take_raw())
        return taken[0]

    def _tell(self) -> None:
        """Divide kept batches into single messages."""
        if any(type(one) is Untold for one in self._kept):
            kept: deque[Raw | Untold] = deque()
            parts = [part for part in self._parts if not part.over()]
            for one in self._kept:
                if isinstance(one, Untold):
                    kept.extend(_messages(one, parts))
                else:
                    kept.append(one)
            self._parts, self._kept = parts, kept

    def _untake(self) -> bool:
        """Give kept messages back to the library, the last one first. Return whether a hold ended.

        The next read takes the messages again.
        """
        self._tell()
        if self._parts:
            self._end_spent()
        done = False
        while self._kept:
            moved: list[Any] = []
            undone: list[int] = []
            try:
                moved.extend(map(deque.pop, (self._kept,)))
                record(undone, self._undo, self._handle, moved[0][0])
                self._after_undo(moved, undone)
            except BaseException:
                self._after_undo(moved, undone)
                raise
            if undone != [0]:
                break
            done = True
        return done

    def _after_undo(self, moved: list[Any], undone: list[int]) -> None:
        """Forget a message that was given back, or keep it. A repetition does nothing."""
        if not moved:
            return
        raw = moved[0]
        if undone != [0]:
            if not any(one is raw for one in self._kept):
                self._kept.append(raw)
        elif isinstance(raw[2], Part):
            raw[2].ids.discard(raw[1][ID])
            self._end_spent()

    def _end_spent(self) -> None:
        """End the holds of several messages of which no message is left.

        An undo does not end a hold whose earlier messages were read one by one. An interrupt may
        come after the last message and before the end. Each read therefore looks for such holds.
        """
        parts = []
        for part in self._parts:
            if not part.ids:
                status = self._end(self._handle, part.first[0])
                if status in (BUSY, SYSTEM) or (status == INVALID and "is not held" not in self._library.detail()):
                    parts.append(part)  # still held: another thread is in a call, or an older message is held
            elif not part.over():
                parts.append(part)
        self._parts = parts

    def _part_of(self, raw: Raw) -> Part | None:
        """Return the hold of several messages that a message belongs to, if it does."""
        return raw[2] if isinstance(raw[2], Part) else None

    def _end_any(self, raw: Raw) -> tuple[int, Raw]:
        """End a hold, or one part of a hold. A hold of several parts ends with its last part.

        Returns the status, and the struct that the status is about.
        """
        part = raw[2]
        if not isinstance(part, Part):
            return self._end(self._handle, raw[0]), raw
        part.ids.discard(raw[1][ID])
        if part.ids:
            return 0, raw
        if not part.over():
            record(part.ended, self._end, self._handle, part.first[0])
        self._parts = [other for other in self._parts if not other.over()]
        return part.ended[-1], part.first

    def _end_of(self, raw: Raw, ended: list[int | None]) -> tuple[Any, Any, list[Any]]:
        """Return what `_end_any` would call: the C function, its arguments, the list for its
        result.
        """
        self._parts = [other for other in self._parts if not other.over()]
        part = raw[2]
        if not isinstance(part, Part):
            return self._end, ((self._handle,), (raw[0],)), ended
        number = raw[1][ID]
        if part.ids != {number}:
            return part.ids.discard, ((number,),), ended
        return self._end, ((self._handle,), (part.first[0],)), part.ended

    def _expire(self) -> None:
        for slot in list(self._held):
            slot._expire()


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


def _messages(batch: Untold, parts: list[Part]) -> list[Raw]:
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


class SlotIterator(Bound, Iterator["ReadSlot"]):
    """The messages of a consumer, one after the other: the result of ``iter(consumer)``.

    Each slot ends when the next slot begins. The last slot ends with `close` or with the iterator
    itself. The iteration ends when the stream is `Closed`. Any other error of a read, such as
    `Lost`, is raised, and the next call continues after it.
    """

    __slots__ = ("__weakref__", "_consumer", "_ending", "_given", "_over")

    def __init__(self, consumer: Consumer) -> None:
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
        with suppress(Closed, Forked):  # the hold ended with the consumer, or belongs to the parent process
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
        *("_at", "_consumer", "_data", "_raw", "_source", "_start", "_state", "_statement", "_timeout", "_view"),
        *("id", "index", "length", "missed", "timestamp_ns"),
    )

    _hint = "copy the message, bytes(slot.data)"

    def __init__(self, consumer: Consumer, timeout: float | None, at: int | None) -> None:
        self._consumer = consumer
        self._timeout = timeout
        self._at = at
        self._state = NEW
        self._statement: Statement | None = None
        self._source: weakref.ref[SlotIterator] | None = None
        self._data: memoryview | None = None
        self._view: memoryview | None = None

    def __enter__(self) -> ReadSlot:
        if self._state != NEW:
            raise Invalid(f"{self!r} was used before: call read() for each message")
        consumer = self._consumer
        if consumer._kept and self._at is None:
            return self._enter_kept()
        raw = consumer._take_raw()
        reference, words, _ = raw
        try:
            if self._at is None:
                status = consumer._begin(consumer._handle, DO_NOT_WAIT if self._timeout == 0 else LOOK_FIRST, reference)
                if status != 0:
                    consumer._hold_later(status, reference, self._timeout)
            else:
                status = consumer._begin_at(consumer._handle, ctypes.c_uint64(self._at), reference)
                if status != 0:
                    consumer._hold_at_later(status, self._at, reference, self._timeout)
            self._hold(raw)
            return self
        except BaseException:
            if words[0] == 0:
                consumer._give_back(raw)
            elif self._at is None:
                consumer._kept.append(raw)
            else:
                consumer._end(consumer._handle, reference)
            self._expire()
            self._statement = None
            raise

    def _enter_kept(self) -> ReadSlot:
        """Hold a message that an interrupted read has taken."""
        taken: list[Raw] = []
        consumer = self._consumer
        try:
            raw = consumer._take_kept(taken)
            if raw[1][0] == 0:
                status = consumer._begin(consumer._handle, first_look(self._timeout), raw[0])
                if status != 0:
                    consumer._hold_later(status, raw[0], self._timeout)
            self._hold(raw)
            return self
        except BaseException:
            if taken and taken[0][1][0] != 0:
                consumer._kept.appendleft(taken[0])
            self._expire()
            self._statement = None
            raise

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
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.release()
        except DataBlockError as failure:
            # If the body of the with statement failed, these errors may be the reason for that.
            if kind is None or (isinstance(failure, (Overrun, Fenced)) and isinstance(error, Exception)):
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
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)

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

        Raises `Overrun` and `Fenced` as leaving the block does. After `System` the library still holds
        the message, and the next read ends this.
        """
        if self._state == OPEN:
            consumer = self._consumer
            raw = self._raw
            try:
                self._expire()
                if consumer._parts:
                    status, raw = consumer._end_any(raw)
                else:
                    status = consumer._end(consumer._handle, raw[0])
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

    def array(self, dtype: DTypeLike = "u1", shape: tuple[int, ...] | int | None = None) -> NDArray[Any]:
        """Return the message as a NumPy array, in place and read-only.

        Without a shape the array has one dimension and covers the message. A dtype with only the
        first fields of the block's struct, as an older version of the schema has them, gives one
        record for each struct. A dtype that does not fit the block's schema raises `Invalid`. Single
        bytes always fit: ``slot.array("u1").view(dtype)`` reads them as any other type.

        The array keeps the memory mapped for as long as something refers to the array, also after
        the consumer is closed. After the end of the slot the array may show newer bytes: copy what
        is to be kept.
        """
        if self._state != OPEN:
            self._refuse()
        view = self._view
        assert view is not None
        return message_over(self._consumer._schema_if_any(), view, self._start, self.length, dtype, shape)

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
        and valid as `array` is.
        """
        return self.record[()][field]

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

    def _refuse(self) -> NoReturn:
        if self._state == NEW:
            raise Invalid("the message is held by a with statement: with consumer.read() as slot")
        raise Invalid(f"{self!r} has ended")

    def __repr__(self) -> str:
        if self._state == NEW or not hasattr(self, "index"):
            return f"<ReadSlot of {self._consumer._name!r} not begun>"
        state = "held" if self._state == OPEN else "ended"
        return f"<ReadSlot of {self._consumer._name!r} id={self.id} length={self.length} {state}>"
