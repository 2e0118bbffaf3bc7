"""Writing."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from . import _types
from ._batch import Outgoing
from ._errors import DataBlockError, Invalid, Status, Timeout
from ._functions import Config, ProducerHandle, RawWriteSlot
from ._interrupts import Leaving, Statement
from ._library import StrPath, library
from ._memory import pinned
from ._participant import DO_NOT_WAIT, ID, NOTHING_YET, Participant, Raw, array_over
from ._schema import Schema, check_written, configure
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

# What the place for a message's id has in it until the message is published.
UNPUBLISHED = (1 << 64) - 1


class Producer(Participant):
    """The one writer of a block.

    Creates the block, or takes over the existing one of that name and geometry: ids continue, and attached consumers notice nothing.

    - ``name``: a plain name, or an absolute path.
    - ``slot_size``: bytes that a message may have; with a schema that of its struct is the default.
    - ``schema``: what a message is, a `Schema`, its text, or a reference to the registry, ``"SensorReading@2.1"``. It stays in the block, consumers can read fields by name, and whoever expects another one is refused.
    - ``registered``: a reference to what ``schema`` has to be in the registry; ``registry``: its directory, by default as of `Schema.lookup`.
    - ``zone_schema``: what the flexible zone is, as ``schema``; the zone is then at least as large.
    - ``slot_count``: messages kept; 0 for the default of the policy (1, 2 or 8).
    - ``checksum``: whether messages carry one. ``retention``: seconds for which a durable consumer that died keeps its place; 0: for ever.
    - ``zone_size``: bytes of the flexible zone; 0 for 4032.
    - ``spare_slots``, ``alignment``, ``consumer_limit``, ``min_consumers``, ``mode``: as in ``datablock.h``; 0 for the default.
    - ``directory``: default $DATABLOCK_DIR, else /dev/shm. ``secret``: bytes that consumers must show.
    - ``allow_lossless``: whether consumers may hold the producer up; by default a RING allows it.
    - ``replace``: put a new block in the place of one of another geometry; with ``force`` also of one whose producer lives.
    - ``unlink_on_close``: a clean close removes the block; attached consumers drain it. ``timestamp``: stamp each message.

    Timeouts are seconds; None waits for ever, 0 does not wait. Waiting lets other threads run and obeys Ctrl-C. One thread at a time; `close` from any.
    At the end of the program, and when nothing refers to it any more, a Producer closes itself.

    Opening raises `Invalid`, `ProducerActive`, `Access`, `Secret`, `Corrupt`, `Version`, `Geometry`, `NoSpace`, `NotFound`, `SchemaMismatch`, `System`, `Forked`.
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
        """The id of the next message.

        After an exception it tells which messages were published. Does not wait. Raises `Closed`,
        `Busy` (another thread is in a call).
        """
        if self.closed:
            raise self._closed_error()
        found = ctypes.c_uint64()
        status = self._library.datablock_producer_next_id(self._handle, found)
        if status != 0:
            self._fail(status)
        return found.value

    @property
    def slot_size(self) -> int:
        """Bytes that a message may have."""
        return self._slot_size

    @property
    def policy(self) -> Policy:
        return Policy(self._policy)

    @property
    def schema(self) -> Schema | None:
        """What a message is, as it was given."""
        return self._schema

    @property
    def zone_schema(self) -> Schema | None:
        """What the flexible zone is, as it was given."""
        return self._zone_schema

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Producer {self._name!r} {self.policy.name} slot_size={self._slot_size} {state}>"

    def write(self, timeout: float | None = None) -> WriteSlot:
        """Claim a slot, to be filled in place::

            with producer.write() as slot:
                n = camera.readinto(slot.data)
                slot.commit(n)

        The claim begins with the ``with`` block and is published when the block ends: `WriteSlot.commit` says how many bytes, else the whole capacity.
        An exception in the block gives the slot back, and nothing is published.

        Waits up to ``timeout`` seconds while a LOSSLESS consumer has yet to read the message that would be overwritten, or fewer than ``min_consumers``
        are attached. One claim at a time.

        Entering raises `Timeout`, `Superseded`, `Closed`, `Corrupt`, `Invalid`, `Busy`; leaving raises `Fenced`, `Superseded`, `Corrupt`: nothing was
        published.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        return WriteSlot(self, timeout)

    def send(self, data: Buffer | NDArray[Any], timeout: float | None = None) -> int:
        """Publish a copy of ``data``, any C-contiguous bytes-like object or NumPy array up to ``slot_size`` bytes, and return the message's id.

        Waits and raises as `write`; `Invalid` when ``data`` is too long, or cannot be what
        the block's schema says: shorter than its struct, or an array with other fields;
        TypeError when there are Python objects in it. An interrupt that comes when the
        message
        is published already has the attribute ``sent``, 1.
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
                raise self._too_short("data", length)
        if type(source) is not bytes:  # whose address ctypes knows
            source, _pin = pinned(source)
        raw = self._take_raw()
        reference, words, size = raw
        size.value = length
        words[0] = UNPUBLISHED
        try:
            status = self._write(self._handle, DO_NOT_WAIT, source, size, reference)
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
        if status not in NOTHING_YET or timeout == 0:
            self._fail(status)
        call, number = self._library.datablock_write, ctypes.byref(ctypes.c_uint64.from_buffer(words))
        self._wait(lambda handle, wait_ms, _: call(handle, wait_ms, source, length, number), None, timeout)

    def send_many(self, messages: Messages, timeout: float | None = None) -> int:
        """Publish copies of several messages, in order, and return how many: all of them, or fewer if the time ran out after the first.

        ``messages``: a NumPy array, one message for each index of its first axis, or an iterable of bytes-like objects. The timeout is for the whole call. Each message is published
        by itself: consumers see it at once.

        Waits and raises as `write`; `Invalid` when one is longer than ``slot_size``, or
        cannot be what the block's schema says (see `send`), TypeError when there are Python
        objects in one: then none is published. Whatever else stops it,
        also Ctrl-C, ``sent`` of the exception says how many were published; an exception without it came before the first.
        """
        if timeout is not None:
            timeout = seconds(timeout)
        outgoing = Outgoing(messages, self._schema)
        if outgoing.longest() > self._slot_size:
            raise self._too_long(outgoing.longest())
        if outgoing.count and outgoing.shortest() < self._shortest:
            raise self._too_short("a message", outgoing.shortest())
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
                status = more(self._handle, 0, None)
                if status in NOTHING_YET and timeout != 0:
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

    def _too_short(self, what: str, length: int) -> Invalid:
        struct = f"the struct of its schema {self._schema.name if self._schema is not None else ''}"
        return Invalid(f'block "{self._name}": {what} has {length} bytes, and {struct} {self._shortest}')

    def _claim_later(self, status: int, reference: Any, timeout: float | None) -> None:
        if status in NOTHING_YET and timeout != 0:
            self._wait(self._library.datablock_write_begin, reference, timeout)
        else:
            self._fail(status)

    def _expire(self) -> None:
        claim = self._claim
        if claim is not None:
            claim._end()


class WriteSlot(Bound):
    """A claimed slot. See `Producer.write`.

    ``id`` is the number that the message will have, ``index`` the slot's number as in the diagnosis, ``capacity`` its size in bytes.
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
        self._sent = 0  # 1: it was published
        self.id = self.index = self.capacity = 0

    def __enter__(self) -> WriteSlot:
        if self._state != NEW:
            raise Invalid(f"{self!r} was used before: call write() for each message")
        producer = self._producer
        raw: Raw = producer._take_raw()
        reference, words, _ = raw
        try:
            status = producer._begin(producer._handle, DO_NOT_WAIT, reference)
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
                producer._abort(producer._handle, reference)
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
            aborted = producer._abort(producer._handle, reference)  # of a claim that has ended it is refused
            self._end()
            if not isinstance(failure, DataBlockError):
                self._sent = int(aborted != 0)
                failure.sent = self._sent  # type: ignore[attr-defined]
            self._statement = None
            raise

    def _abandon(self) -> None:
        """End what a with statement was kept from ending."""
        self.abort()

    if TYPE_CHECKING:

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)

    @property
    def published(self) -> bool:
        """Whether the message was published: after an exception, too, wherever it came."""
        return self._sent == 1

    @property
    def data(self) -> memoryview:
        """All bytes of the slot, to be written in place; what is in them is whatever was there. Released when the slot ends.

        A slice or cast of it is a view of its own, which the end of the slot does not reach: use it inside the block only.
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
        """A NumPy array over the slot, in place; without a shape one dimension, all of the capacity.

        When the slot ends, the array becomes read-only: the memory then belongs to the readers, and later to other messages. It stays valid for as long as
        it is referred to. Views that the program makes from it do not become read-only.
        """
        if self._state != OPEN:
            self._refuse()
        view = self._view
        assert view is not None
        array = array_over(view, self._start, self.capacity, dtype, shape)
        if self._arrays is None:
            self._arrays = []
        self._arrays.append(array)
        return array

    @property
    def record(self) -> NDArray[Any]:
        """The fields of the block's schema, in place: ``slot.record["value"] = 3.0``. See `array` for how long it is valid. The length of the message is that of the struct, unless `commit` says another."""
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
        """A field as it is now, of a scalar its value; arrays and structs are in place: ``slot["at"]["x"] = 3.0``."""
        value = self.record[()][field]
        if hasattr(value, "setflags") and value.shape:  # an array in place, which the end makes read-only, too
            assert self._arrays is not None
            self._arrays.append(value)
        return value

    def __bytes__(self) -> bytes:
        """A copy of the whole slot."""
        return bytes(self.data)

    def commit(self, length: int | None = None) -> None:
        """Say that the first ``length`` bytes are the message; without a length all of the capacity. The last call counts.

        Published when the ``with`` block ends well. Raises `Invalid` when the length exceeds the capacity; so does the end of the block, which then publishes nothing,
        unless another call has corrected it. As does one that is less than the struct of
        the block's schema.
        """
        if self._state != OPEN:
            self._refuse()
        if length is not None:
            length = whole("length", length)
            if not 0 <= length <= self.capacity:
                self._length = length if 0 <= length < 1 << 64 else -1  # the library will refuse it, too
                what = "exceeds" if length > 0 else "is below zero, and a message has at most"
                raise Invalid(
                    f'block "{self._producer._name}": a length of {length} {what} the slot\'s {self.capacity} bytes'
                )
            if length < self._producer._shortest:
                self._length = length  # which the library will refuse, too
                raise self._producer._too_short("the message", length)
        self._length = length

    def seal(self, length: int | None = None) -> None:
        """On a block with MANUAL checksums: give the first ``length`` bytes, without a length all, their checksum, after they are filled, and `commit` that length.

        Raises `Invalid` on a block without checksums, or when the length exceeds the capacity.
        """
        self.commit(length)
        producer = self._producer
        size = self.capacity if self._length is None else self._length
        status = producer._library.datablock_write_checksum(producer._handle, self._raw[0], size)
        if status != 0:
            producer._fail(status)

    def abort(self) -> None:
        """Give the slot back unpublished, now. The next claim has the same id. Does nothing when the slot has ended."""
        if self._state == OPEN:
            producer = self._producer
            try:
                self._end()
            finally:
                while producer._abort(producer._handle, self._raw[0]) == BUSY:
                    pass  # another thread is in a call: the collector, too, may abort, in any thread

    def _end(self) -> None:
        """Take the memory back from the program, before it is published or reused."""
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
    with suppress(BufferError):  # something looks at the memory through this view; it may, and the memory stays
        view.release()
