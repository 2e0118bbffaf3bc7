"""The producer: claiming slots, publishing messages one by one or in batches."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from . import _types
from ._arrays import array_over, check_fit, check_written, items_of
from ._batch import Outgoing
from ._errors import DataBlockError, Invalid, Status, Timeout
from ._functions import Config, ProducerHandle, RawWriteSlot
from ._interrupts import Leaving, Statement
from ._library import StrPath, library
from ._memory import pinned
from ._participant import DO_NOT_WAIT, ID, LOOK_FIRST, NOTHING_YET, Participant, Raw, first_look, waits
from ._schema import Schema, configure
from ._types import (
    Bound,
    ChecksumPolicy,
    Policy,
    SecretBytes,
    block_name,
    choice,
    flat,
    milliseconds,
    optional_path_bytes,
    seconds,
    secret_bytes,
    unsigned,
    whole,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from typing_extensions import Buffer

    from ._batch import Messages

NEW, OPEN, ENDED = range(3)
BUSY = int(Status.BUSY)

# The content of the word for a message's id until the message is published.
UNPUBLISHED = (1 << 64) - 1


class Producer(Participant):
    """The one participant that publishes messages into a block.

    A producer creates the block, or takes over an existing block of the same name and geometry.
    After a takeover the ids continue, and attached consumers notice nothing.

    - ``name``: a plain name, or an absolute path. ``policy``: what the block keeps, a `Policy`.
    - ``slot_size``: the largest message in bytes. With a schema its struct is the default.
    - ``slot_count``: messages kept. 0 selects the default of the policy (1, 2 or 8).
    - ``schema``: the schema of a message: a `Schema`, the text of one, or a reference to the
      registry such as ``"SensorReading@2.1"``. The block keeps it. Consumers can read fields by
      name, and a consumer that expects another schema is refused.
    - ``registered``: a reference to the registry entry that ``schema`` must be equal to.
    - ``registry``: the directory of the registry. The default is that of `Schema.lookup`.
    - ``zone_schema``: the schema of the flexible zone, given like ``schema``. The zone is then at
      least as large. ``zone_size``: bytes of the flexible zone. 0 selects 4032.
    - ``checksum``: whether messages have a checksum, a `ChecksumPolicy`.
    - ``retention``: the seconds for which the row of a dead durable consumer is kept. 0: for ever.
    - ``spare_slots``, ``alignment``, ``consumer_limit``, ``min_consumers``, ``mode``: as in
      ``datablock.h``. 0 selects the default.
    - ``directory``: default $DATABLOCK_DIR, else /dev/shm. ``secret``: bytes that consumers give.
    - ``allow_lossless``: whether consumers may apply backpressure. Default: yes for a RING.
    - ``replace``: put a new block in the place of a block of another geometry. With ``force`` also
      in the place of a block whose producer lives.
    - ``unlink_on_close``: a clean close removes the block. Attached consumers read what is left.
    - ``timestamp``: each commit stores a timestamp.

    Timeouts are seconds. None waits for ever, 0 does not wait. Other Python threads run while a
    call waits, and Ctrl-C ends the wait. One thread at a time may use the object; any thread may
    call `close`. A Producer closes itself at the end of the program, and when nothing refers to it
    any more.

    Opening raises `Invalid`, `ProducerActive`, `Access`, `Secret`, `Corrupt`, `Version`,
    `Geometry`, `NoSpace`, `NotFound`, `SchemaMismatch`, `System`, `Forked`.
    """

    _raw_type = RawWriteSlot
    _writes = True

    def __init__(
        self,
        name: StrPath,
        *,
        slot_size: int = 0,
        slot_count: int = 0,
        policy: Policy = Policy.RING,
        spare_slots: int = 0,
        alignment: int = 0,
        consumer_limit: int = 0,
        min_consumers: int = 0,
        checksum: ChecksumPolicy = ChecksumPolicy.NONE,
        retention: float = 0,
        zone_size: int = 0,
        mode: int = 0,
        directory: StrPath | None = None,
        secret: SecretBytes | None = None,
        allow_lossless: bool | None = None,
        replace: bool = False,
        force: bool = False,
        unlink_on_close: bool = False,
        timestamp: bool = False,
        schema: Schema | str | None = None,
        registered: str | None = None,
        registry: StrPath | None = None,
        zone_schema: Schema | str | None = None,
    ) -> None:
        loaded = library()
        config = Config()
        status = loaded.datablock_config_init(config, choice(Policy, "policy", policy))
        if status != 0:
            loaded.fail(status)
        config.slot_size = unsigned("slot_size", slot_size, 64)
        config.slot_count = unsigned("slot_count", slot_count)
        config.spare_slots = unsigned("spare_slots", spare_slots)
        config.alignment = unsigned("alignment", alignment)
        config.consumer_limit = unsigned("consumer_limit", consumer_limit)
        config.min_consumers = unsigned("min_consumers", min_consumers)
        config.checksum = choice(ChecksumPolicy, "checksum", checksum)
        config.retention_ms = milliseconds("retention", retention)
        config.zone_size = unsigned("zone_size", zone_size, 64)
        config.mode = unsigned("mode", mode)
        config.directory = optional_path_bytes("directory", directory)
        config.secret, config.secret_length, keep = secret_bytes(secret, makes=True)
        if allow_lossless is not None:
            config.flags = _types.FLAG_ALLOW_LOSSLESS if allow_lossless else _types.FLAG_FORBID_LOSSLESS
        for wanted, flag in (
            (replace, _types.FLAG_REPLACE),
            (force, _types.FLAG_FORCE),
            (unlink_on_close, _types.FLAG_UNLINK_ON_CLOSE),
            (timestamp, _types.FLAG_TIMESTAMP),
        ):
            if wanted:
                config.flags |= flag
        described, self._zone_schema = configure(config, schema, registered, registry, zone_schema)
        self._schema = described
        self._slot_size: int = config.slot_size or (described.size if described is not None else 0)
        self._shortest: int = described.size if described is not None else 0  # bytes of a message
        self._policy = policy
        self._claim: WriteSlot | None = None
        quick = loaded.quick
        self._begin = quick.datablock_write_begin
        self._commit = quick.datablock_write_commit
        self._abort = quick.datablock_write_abort
        self._write = quick.datablock_write
        path = block_name(name)
        super().__init__(loaded, os.fsdecode(path), ProducerHandle(), loaded.datablock_producer_close)
        self._open(loaded.datablock_producer_open, path, config)
        del keep

    @property
    def next_id(self) -> int:
        """The id of the next message. After an exception it tells which messages were published.

        Does not wait. Raises `Closed`, `Busy` (another thread is in a call).
        """
        if self.closed:
            raise self._closed_error()
        self._rejoin()
        found = ctypes.c_uint64()
        status = self._library.datablock_producer_next_id(self._handle, found)
        if status != 0:
            self._fail(status)
        return found.value

    @property
    def slot_size(self) -> int:
        """The largest message in bytes."""
        return self._slot_size

    @property
    def policy(self) -> Policy:
        return Policy(self._policy)

    @property
    def schema(self) -> Schema | None:
        """The schema of a message that the program gave, or None."""
        return self._schema

    @property
    def zone_schema(self) -> Schema | None:
        """The schema of the flexible zone that the program gave, or None."""
        return self._zone_schema

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Producer {self._name!r} {self.policy.name} slot_size={self._slot_size} {state}>"

    def write(self, timeout: float | None = None) -> WriteSlot:
        """Claim a slot and fill it in place::

            with producer.write() as slot:
                n = camera.readinto(slot.data)
                slot.commit(n)

        The claim begins with the ``with`` block. The end of the block publishes the message:
        `WriteSlot.commit` sets the number of bytes, and the default is the whole capacity. An
        exception in the block aborts the claim, and nothing is published. A producer has one claim
        at a time.

        Entering waits up to ``timeout`` seconds while a LOSSLESS consumer has yet to read the
        message that would be overwritten, or while fewer than ``min_consumers`` consumers are
        attached.

        Entering raises `Timeout`, `Superseded`, `Closed`, `Corrupt`, `Invalid`, `Busy`. Leaving
        raises `Fenced`, `Superseded`, `Corrupt`: nothing was published.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        return WriteSlot(self, timeout)

    def send(self, data: Buffer | NDArray[Any], timeout: float | None = None) -> int:
        """Publish a copy of ``data`` and return the id of the message.

        ``data`` is any C-contiguous bytes-like object or NumPy array of at most ``slot_size``
        bytes. Waits and raises as `write`. Raises `Invalid` when ``data`` is too long, or does not
        match the block's schema: it is shorter than the struct, or an array with other fields.
        Raises TypeError when ``data`` contains Python objects. An interrupt that comes after the
        publication has the attribute ``sent``, 1.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        source: Any = data if type(data) is bytes or type(data) is bytearray else flat("data", data)
        length = len(source)
        if length > self._slot_size:
            raise self._too_long(length)
        if self._schema is not None:
            check_written(self._schema, "data", data, getattr(data, "size", 1))
            if length < self._shortest:
                raise self._too_short("data", length, "send the whole struct")
        if type(source) is not bytes:  # ctypes takes the address of bytes by itself
            source, _pin = pinned(source)
        raw = self._take_raw()
        reference, words, size = raw
        size.value = length
        words[0] = UNPUBLISHED
        try:
            status = self._write(self._handle, DO_NOT_WAIT if timeout == 0 else LOOK_FIRST, source, size, reference)
            if status != 0:
                self._write_later(status, source, length, words, timeout)
            number = words[0]
            words[0], words[ID] = 0, number
            self._raws.append(raw)
            return number
        except BaseException as error:
            if words[0] == UNPUBLISHED:
                words[0] = 0
                self._give_back(raw)
            elif not isinstance(error, DataBlockError):
                error.sent = 1  # type: ignore[attr-defined]
            raise

    def _write_later(self, status: int, source: Any, length: int, words: memoryview, timeout: float | None) -> None:
        if status not in NOTHING_YET or not waits(timeout):
            self._fail(status)
        call, number = self._library.datablock_write, ctypes.byref(ctypes.c_uint64.from_buffer(words))
        self._wait(lambda handle, wait_ms, _: call(handle, wait_ms, source, length, number), None, timeout)

    def send_many(self, messages: Messages, timeout: float | None = None) -> int:
        """Publish copies of several messages, in order, and return how many were published.

        The result is less than the number of messages if the time ran out after the first one.
        ``messages`` is a NumPy array, one message for each index of the first axis, or an iterable
        of bytes-like objects. The timeout is for the whole call. Each message is published by
        itself: consumers see it at once.

        Waits and raises as `write`. Raises `Invalid` when a message is longer than ``slot_size``,
        or does not match the block's schema (see `send`). Raises TypeError when a message contains
        Python objects. In these cases nothing was published. Any other exception, Ctrl-C included,
        has the number of published messages in ``sent``, or came before the first message.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        outgoing = Outgoing(messages, self._schema)
        if outgoing.longest() > self._slot_size:
            raise self._too_long(outgoing.longest())
        if outgoing.count and outgoing.shortest() < self._shortest:
            raise self._too_short("a message", outgoing.shortest(), "send whole structs")
        self._rejoin()
        call = self._library.datablock_write_batch
        counts = [ctypes.c_size_t()]  # the library counts what it publishes: each call has a number of its own

        def sent() -> int:
            return sum([count.value for count in counts])

        def more(handle: Any, wait_ms: int, _: Any) -> int:
            nonlocal counts
            before = sent()
            counts = [ctypes.c_size_t(before), ctypes.c_size_t()]
            status: int = call(handle, wait_ms, outgoing.after(before), outgoing.count - before, counts[1])
            return status

        try:
            try:
                status = more(self._handle, first_look(timeout).value, None)
                if status in NOTHING_YET and waits(timeout):
                    self._wait(more, None, timeout)
                elif status != 0:
                    self._fail(status)
            except Timeout:
                if sent() == 0:
                    raise
            return sent()
        except BaseException as error:
            error.sent = sent()  # type: ignore[attr-defined]
            raise

    def _too_long(self, length: int) -> Invalid:
        return Invalid(f'block "{self._name}": a message of {length} bytes exceeds the slot\'s {self._slot_size} bytes')

    def _too_short(self, what: str, length: int, cure: str) -> Invalid:
        schema = self._schema.name if self._schema is not None else ""
        return Invalid(
            f'block "{self._name}": {what} has {length} bytes, and a message has {self._shortest}, the struct of its '
            f"schema {schema}, to {self._slot_size} bytes: {cure}"
        )

    def _claim_later(self, status: int, reference: Any, timeout: float | None) -> None:
        if status in NOTHING_YET and waits(timeout):
            self._wait(self._library.datablock_write_begin, reference, timeout)
        else:
            self._fail(status)

    def _abort_surely(self, reference: Any) -> int:
        """Abort a claim, also while another thread is in a call. Return the status."""
        status = BUSY
        while status == BUSY:  # the collector, too, may abort, in any thread
            status = self._abort(self._handle, reference)
        return status

    def _expire(self) -> None:
        claim = self._claim
        if claim is not None:
            claim._end()


class WriteSlot(Bound):
    """A claimed slot. See `Producer.write`.

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

    def __init__(self, producer: Producer, timeout: float | None) -> None:
        self._producer = producer
        self._timeout = timeout
        self._state = NEW
        self._data: memoryview | None = None
        self._arrays: list[NDArray[Any]] | None = None
        self._length: int | None = None
        self._view: memoryview | None = None
        self._statement: Statement | None = None
        self._sent = 0  # 1: published
        self.id = self.index = self.capacity = 0

    def __enter__(self) -> WriteSlot:
        if self._state != NEW:
            raise Invalid(f"{self!r} was used before: call write() for each message")
        producer = self._producer
        raw: Raw = producer._take_raw()
        reference, words, _ = raw
        try:
            status = producer._begin(producer._handle, DO_NOT_WAIT if self._timeout == 0 else LOOK_FIRST, reference)
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
                producer._abort_surely(reference)
                self._end()
            else:
                producer._give_back(raw)
            self._statement = None
            raise

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
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
            status = producer._commit(producer._handle, reference, size)
            if status != 0:
                producer._fail(status)
            self._sent = 1
            words[0] = 0
            producer._raws.append(raw)
            self._statement = None
        except BaseException as failure:
            # The library refuses to abort a claim that has ended.
            aborted = producer._abort_surely(reference)
            self._end()
            if not isinstance(failure, DataBlockError):
                self._sent = int(aborted != 0)
                failure.sent = self._sent  # type: ignore[attr-defined]
            self._statement = None
            raise

    def _abandon(self) -> None:
        """Abort the claim that an interrupted with statement could not end."""
        self.abort()

    if TYPE_CHECKING:

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)

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

    def array(self, dtype: DTypeLike = "u1", shape: tuple[int, ...] | int | None = None) -> NDArray[Any]:
        """Return a NumPy array over the slot, in place; without a shape over all of it.

        The array has one dimension by default. When the slot ends, the array becomes read-only: the
        memory then belongs to the consumers, and later to other messages. The array keeps the
        memory mapped for as long as something refers to the array. Views that the program makes
        from it do not become read-only. A dtype that does not fit the block's schema raises
        `Invalid`. Single bytes, "u1", always fit.
        """
        if self._state != OPEN:
            self._refuse()
        view = self._view
        assert view is not None
        schema = self._producer._schema
        if schema is not None:
            check_fit(schema, items_of(dtype)[0], self.capacity)
        array = array_over(view, self._start, self.capacity, dtype, shape)
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
            raise Invalid(f'block "{self._producer._name}" was opened without a schema: its messages have no fields')
        if self._length is None:
            self._length = schema.size
        return self.array(schema.dtype, ())

    def __setitem__(self, field: str, value: Any) -> None:
        """Set a field of the block's schema, in place: ``slot["value"] = 3.0``."""
        self.record[field] = value

    def __getitem__(self, field: str) -> Any:
        """Return a field's value; arrays and structs are in place: ``slot["at"]["x"] = 3.0``."""
        value = self.record[()][field]
        if hasattr(value, "setflags") and value.shape:  # an array in place: the end makes it read-only, too
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
                self._length = length if 0 <= length < 1 << 64 else -1  # the library refuses it, too
                what = "exceeds" if length > 0 else "is below zero, and a message has at most"
                raise Invalid(
                    f'block "{self._producer._name}": a length of {length} {what} the slot\'s {self.capacity} bytes'
                )
            if length < self._producer._shortest:
                self._length = length  # the library refuses it, too
                raise self._producer._too_short(
                    "the message",
                    length,
                    f"commit({self._producer._shortest}) is the struct alone, commit() the whole slot",
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
                producer._abort_surely(self._raw[0])

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
        return f"<WriteSlot of {self._producer._name!r} id={self.id} capacity={self.capacity} {state}>"


def release(view: memoryview) -> None:
    with suppress(BufferError):  # an object uses the memory through this view; the memory stays mapped
        view.release()
