"""Reading."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from ._batch import ReadBatch
from ._errors import Closed, Fenced, Forked, Invalid, Overrun, Status, Timeout
from ._functions import ConsumerHandle, ConsumerOptions, RawReadSlot
from ._library import StrPath, library
from ._participant import DO_NOT_WAIT, NOTHING_YET, Participant, Raw, array_over
from ._producer import ENDED, NEW, OPEN, release
from ._schema import Schema, configure
from ._types import (
    BlockState,
    Bound,
    Delivery,
    SecretBytes,
    Start,
    choice,
    optional_path_bytes,
    path_bytes,
    seconds,
    secret_bytes,
    unsigned,
)
from ._unwritten import NOT_FOUND, STATE, BlockFile, wait_for

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

INVALID = int(Status.INVALID)
BUSY = int(Status.BUSY)

# The timeout of a slot that is not to wait for its id, and says `NotFound` instead of `Timeout`.
LOOK_ONCE = -1.0


class Consumer(Participant):
    """A reader of a block.

    - ``name``: a plain name, or an absolute path.
    - ``delivery``, ``start``: which messages, and from where on.
    - ``max_pins``: messages held at once, 1 to 8; 0 for the default, 1.
    - ``consumer_name``: shown in the diagnosis, at most 63 bytes; default the program's name.
    - ``durable``: keep the place when this consumer dies, and continue there under the same ``consumer_name``.
    - ``directory``, ``secret``: as for `Producer`.

    Timeouts are seconds; None waits for ever, 0 does not wait. Waiting lets other threads run and obeys Ctrl-C. One thread at a time; `close` from any.
    At the end of the program, and when nothing refers to it any more, a Consumer closes itself.

    Iterating gives each message until the stream is `Closed`; the slot ends when the next one begins, or the loop does. See `SlotIterator`::

        for slot in consumer:
            print(slot.id, slot.array("f4").mean())

    ``schema``: what this consumer expects a message to be, a `Schema`, its text, or a reference to the registry, ``"SensorReading@2.1"``; None: anything. ``exact``: the very same, and not only
    one that has all its fields. ``registered``: a reference to what ``schema`` has to be in the registry, a directory, ``registry``. ``zone_schema``: what it expects the flexible zone to be.

    Opening raises `Invalid`, `NotFound`, `Access`, `Secret`, `SchemaMismatch`, `Corrupt`, `Version`, `Full`, `NoSpare`, `Busy`, `Superseded`, `System`, `Forked`.
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
    ) -> None:
        loaded = library()
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
        handle = ConsumerHandle()
        status = loaded.datablock_consumer_open(path_bytes("block name", name), options, handle)
        del keep
        if status != 0:
            loaded.fail(status)
        self._file = BlockFile(name, directory)
        self._delivery = Delivery(delivery)
        self._schema: Schema | None = None
        self._zone_schema: Schema | None = None
        self._held: dict[ReadSlot | ReadBatch, None] = {}
        self._late: list[Raw] = []
        quick = loaded.quick
        self._begin = quick.datablock_read_begin
        self._begin_at = quick.datablock_read_at
        self._end = quick.datablock_read_end
        super().__init__(loaded, os.fsdecode(name), handle, loaded.datablock_consumer_close)

    @property
    def delivery(self) -> Delivery:
        """As it was asked for."""
        return self._delivery

    @property
    def schema(self) -> Schema:
        """What a message of this block is, as its producer has said. Raises `SchemaMismatch` when it has said nothing, `Closed`, `Corrupt`."""
        if self._schema is None:
            self._schema = Schema._from("datablock_schema_of_consumer", self._handle, fail=self._fail)
        return self._schema

    @property
    def zone_schema(self) -> Schema:
        """What the flexible zone is, as the block's producer has said. Raises as `schema`."""
        if self._zone_schema is None:
            self._zone_schema = Schema._from("datablock_zone_schema_of_consumer", self._handle, fail=self._fail)
        return self._zone_schema

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"holding {len(self._held)}" if self._held else "open"
        return f"<Consumer {self._name!r} {self._delivery.name} {state}>"

    def read(self, timeout: float | None = None) -> ReadSlot:
        """Hold the next message in place while a ``with`` block runs::

            with consumer.read(timeout=1.0) as slot:
                process(slot.data)

        Up to ``max_pins`` messages may be held at once.

        Entering raises `Timeout` (also as `NoProducer`), `Closed`, `Superseded`, `Overrun`, `Lost`, `Fenced`, `Busy`, `Corrupt`; leaving raises `Overrun` or
        `Fenced` when the bytes may have changed while they were held: discard what was read.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        return ReadSlot(self, timeout, None)

    def read_at(self, id: int) -> ReadSlot:
        """Hold message ``id`` in place while a ``with`` block runs, if it is still there. The place in the stream stays. Does not wait.

        Entering raises `NotFound` (not written yet), `Overrun` (overwritten), `Lost`, `Fenced`, `Busy`, `Corrupt`; leaving as for `read`.
        """
        return ReadSlot(self, LOOK_ONCE, unsigned("id", id, 64))

    def read_many(self, most: int, timeout: float | None = None) -> ReadBatch:
        """Hold as many messages as are there already, up to ``most``, in place while a ``with`` block runs::

            with consumer.read_many(1000, timeout=1.0) as batch:
                samples = batch.array(SAMPLE)

        Waits for the first message only. LOSSLESS: one hold covers the whole batch, and the place in the stream moves once, when it ends. ORDERED: each message takes one of
        ``max_pins``. LATEST: there is one newest. What there is to say of a message (`Lost`, `Checksum`, a gap) ends the batch before it, and the next call says it.

        Entering and leaving raise as those of `read`; no other message may be held meanwhile, unless ``max_pins`` allows it.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        return ReadBatch(self, most, timeout)

    def receive(self, timeout: float | None = None) -> bytes:
        """A copy of the next message. Waits and raises as `read`."""
        if timeout is not None:
            timeout = seconds(timeout)
        raw = self._take_raw()
        reference, words, _ = raw
        try:
            status = self._begin(self._handle, DO_NOT_WAIT, reference)
            if status != 0:
                self._hold_later(status, reference, timeout)
            view = self._view
            if view is None:
                view = self._map(words[0])
            start = words[0] - self._base
            data = view[start : start + words[1]].tobytes()
            status = self._end(self._handle, reference)
            if status == 0 and not self._late:
                words[0] = 0
                self._raws.append(raw)
                return data
            status = self._settle(status, raw)
        except BaseException:
            if words[0] != 0:
                self._end(self._handle, reference)
            else:
                self._give_back(raw)
            raise
        if status != 0:
            self._fail(status)
        return data

    def __iter__(self) -> SlotIterator:
        return SlotIterator(self)

    def _hold_later(self, status: int, reference: Any, timeout: float | None) -> None:
        if status in NOTHING_YET and timeout != 0:
            self._wait(self._library.datablock_read_begin, reference, timeout)
        else:
            self._fail(status)

    def _hold_at_later(self, status: int, number: int, reference: Any, timeout: float | None) -> None:
        if status != NOT_FOUND or timeout == LOOK_ONCE:
            self._fail(status)
        if timeout != 0:
            handle, wanted = self._handle, ctypes.c_uint64(number)
            status = wait_for(self._file, number, timeout, lambda: self._begin_at(handle, wanted, reference), self._last_state)
        if status == NOT_FOUND:
            raise Timeout(f"{self._library.detail()} ({f'waited {timeout:g} s' if timeout else 'asked not to wait'})")
        if status != 0:
            self._fail(status)

    def _last_state(self) -> int:
        """What the header says of a block that has no name any more, if this consumer ever looked at its memory."""
        view = self._view
        return BlockState.UNREADABLE if view is None else int.from_bytes(view[STATE : STATE + 4], "little")

    def _settle(self, status: int, raw: Raw) -> int:
        """What becomes of a hold after an attempt to end it.

        A LOSSLESS consumer's messages end in the order they were begun: one that ends before an older one (`INVALID`) waits here for that. A hold of a batch has no length in its `Raw`: its
        struct stays the batch's.
        """
        while status == BUSY:  # another thread is in a call, and leaves it soon: it waits in slices
            status = self._end(self._handle, raw[0])
        if status == INVALID:
            self._late.append(raw)
            status = 0
        else:
            raw[1][0] = 0
            if raw[2] is not None:
                self._raws.append(raw)
        late, self._late = sorted(self._late, key=lambda other: int(other[1][2])), []
        for other in late:
            ended = self._end(self._handle, other[0])
            if ended == INVALID:
                self._late.append(other)
            else:
                status = status or ended
        return status

    def _expire(self) -> None:
        for slot in list(self._held):
            slot._expire()


class SlotIterator(Bound, Iterator["ReadSlot"]):
    """The messages of a consumer, one after the other; what ``iter(consumer)`` returns.

    Each slot ends when the next one begins, and the last one with `close` or with the iterator itself. The iteration ends when the stream is `Closed`.
    Whatever else a read raises, such as `Lost`, it raises too, and goes on after it when it is asked again.
    """

    __slots__ = ("_consumer", "_over", "_slot")

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._over = False
        self._slot: ReadSlot | None = None

    def __next__(self) -> ReadSlot:
        if self._over:
            raise StopIteration
        slot = self._follow(None)
        try:
            slot.__enter__()
        except Closed:
            self._over = True
            raise StopIteration from None
        return slot

    def _follow(self, timeout: float | None) -> ReadSlot:
        """End the slot that there is, and prepare the next one."""
        self._end()
        self._slot = slot = ReadSlot(self._consumer, timeout, None)
        return slot

    def _end(self) -> None:
        slot = getattr(self, "_slot", None)  # of an object that __init__ has refused there is none
        if slot is not None:
            try:
                slot.release()
            except (Closed, Forked):  # the hold has ended with the consumer, or is that of a parent
                return
            finally:
                self._slot = None

    def close(self) -> None:
        """End the iteration, and the slot it gave last. Raises `Overrun` and `Fenced` as `ReadSlot.release` does."""
        self._over = True
        self._end()

    def __del__(self) -> None:
        self._end()


class ReadSlot(Bound):
    """A message held in place. See `Consumer.read`.

    ``id``: its number. ``length``: bytes. ``timestamp_ns``: time of the commit, nanoseconds since 1970, 0 unless the block stamps. ``missed``: messages
    skipped between the previous one read and this one. ``index``: the slot's number as in the diagnosis. These stay when the slot has ended.
    """

    __slots__ = (
        *("_at", "_consumer", "_data", "_raw", "_start", "_state", "_timeout", "_view"),
        *("id", "index", "length", "missed", "timestamp_ns"),
    )

    _hint = "copy the message, bytes(slot.data)"

    def __init__(self, consumer: Consumer, timeout: float | None, at: int | None) -> None:
        self._consumer = consumer
        self._timeout = timeout
        self._at = at
        self._state = NEW
        self._data: memoryview | None = None
        self._view: memoryview | None = None

    def __enter__(self) -> ReadSlot:
        if self._state != NEW:
            raise Invalid(f"{self!r} was used before: call read() for each message")
        consumer = self._consumer
        raw = consumer._take_raw()
        reference, words, _ = raw
        try:
            if self._at is None:
                status = consumer._begin(consumer._handle, DO_NOT_WAIT, reference)
                if status != 0:
                    consumer._hold_later(status, reference, self._timeout)
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
        except BaseException:
            if words[0] != 0:
                self._expire()
                consumer._end(consumer._handle, reference)
            else:
                consumer._give_back(raw)
            raise
        if consumer._closed:
            self._expire()
            raise consumer._closed_error()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is None:
            self.release()
            return
        try:
            self.release()
        except (Overrun, Fenced):
            if isinstance(error, Exception):
                raise  # which may well be the reason for the other one
        except Exception:
            pass

    def verify(self) -> None:
        """Compare the message with its checksum. Raises `Checksum`: it was changed after the commit, discard what was computed from it (the hold goes on); `Invalid`: it has none."""
        if self._state != OPEN:
            self._refuse()
        consumer = self._consumer
        status = consumer._library.datablock_read_verify(consumer._handle, self._raw[0])
        if status != 0:
            consumer._fail(status)

    def release(self) -> None:
        """End the hold now, and the memoryview with it. Does nothing when the slot has ended. Raises `Overrun` and `Fenced` as leaving the block does."""
        if self._state == OPEN:
            consumer = self._consumer
            try:
                self._expire()
                status = consumer._end(consumer._handle, self._raw[0])
                if status == 0 and not consumer._late:
                    self._raw[1][0] = 0
                    consumer._raws.append(self._raw)
                    return
                status = consumer._settle(status, self._raw)
            except BaseException:  # Ctrl-C
                consumer._end(consumer._handle, self._raw[0])
                self._expire()
                raise
            if status != 0:
                consumer._fail(status)

    @property
    def data(self) -> memoryview:
        """The message's bytes, in place and read-only. Released when the slot ends.

        A slice or cast of it is a view of its own, which the end of the slot does not reach, and may then show newer bytes: use it inside the block only.
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
        """The message as a NumPy array, in place and read-only; without a shape one dimension, all of the message.

        The array stays valid for as long as it is referred to, also after the consumer is closed; but after the end of the slot it may show newer
        bytes: copy what is to be kept.
        """
        if self._state != OPEN:
            self._refuse()
        view = self._view
        assert view is not None
        return array_over(view, self._start, self.length, dtype, shape)

    @property
    def record(self) -> NDArray[Any]:
        """The message as the block's schema has it, an array without an axis, in place, and so is what it gives: ``slot["value"]`` is a value. Valid as `array` is. Raises `SchemaMismatch` when the block has no schema."""
        return self.array(self._consumer.schema.dtype, ())

    def __getitem__(self, field: str) -> Any:
        """A field of the block's schema, ``slot["value"]``: of a scalar its value, which is yours; arrays and structs are in place, valid as `array` is."""
        return self.record[()][field]

    def _expire(self) -> None:
        self._state = ENDED
        self._view = None
        self._consumer._held.pop(self, None)
        data, self._data = self._data, None
        if data is not None:
            release(data)

    def _refuse(self) -> NoReturn:
        if self._state == NEW:
            raise Invalid("the message is held by a with statement: with consumer.read() as slot")
        raise Invalid(f"{self!r} has ended")

    def __repr__(self) -> str:
        if self._state == NEW or not hasattr(self, "index"):
            return f"<ReadSlot of {self._consumer._name!r} not begun>"
        state = "held" if self._state == OPEN else "ended"
        return f"<ReadSlot of {self._consumer._name!r} id={self.id} length={self.length} {state}>"
