"""The producer: claiming slots, publishing messages one by one or in batches."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

from . import _types
from ._abi import Config, ProducerHandle
from ._arrays import check_written
from ._errors import DataBlockError, Timeout
from ._library import Library, StrPath, library
from ._memory import pinned
from ._outgoing import Outgoing
from ._participant import LOOK, NOTHING_YET, NOW, TRY, first_look, waits
from ._schema import Schema, configure
from ._turn import BREATH, give_up_turn
from ._types import (
    ChecksumAlgorithm,
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
)
from ._write_slot import WriteSlot
from ._writer import Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from ._outgoing import Messages

# The content of the word for a message's id until the message is published.
UNPUBLISHED = (1 << 64) - 1
# Up to this length a copy of a buffer takes less time than the address of its bytes. In bytes.
SMALL = 4096

# A place for the id of a message, for one call of `Producer.send`: a reference, and the word.
Place = tuple[Any, memoryview]


# The flags of the arguments of `Producer`, in the order of their use.
FLAGS = (
    _types.FLAG_REPLACE,
    _types.FLAG_FORCE,
    _types.FLAG_UNLINK_ON_CLOSE,
    _types.FLAG_TIMESTAMP,
    _types.FLAG_RECLAIM,
)


def make_place() -> Place:
    word = ctypes.c_uint64(UNPUBLISHED)
    return ctypes.byref(word), memoryview(word).cast("B").cast("Q")


def _defaults(loaded: Library, policy: int) -> Config:
    config = Config()
    if status := loaded.datablock_config_init_sized(config, ctypes.sizeof(config), policy):
        loaded.fail(status)
    return config


class Producer(Writer):
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
    - ``checksum``: whether messages have a checksum, a `ChecksumPolicy`. ``algorithm``: how the
      checksums are made, a `ChecksumAlgorithm`.
    - ``retention``: the seconds for which the row of a dead durable consumer is kept. 0: for ever.
    - ``spare_slots``, ``alignment``, ``consumer_limit``, ``min_consumers``, ``mode``: as in
      ``datablock.h``. 0 selects the default.
    - ``directory``: default $DATABLOCK_DIR, else /dev/shm, or on Windows a folder of the user.
      ``secret``: bytes that consumers give.
    - ``allow_lossless``: whether consumers may apply backpressure. Default: yes for a RING.
    - ``replace``: put a new block in the place of a block of another geometry. With ``force`` also
      in the place of a block whose producer lives.
    - ``unlink_on_close``: a clean close removes the block. Attached consumers read what is left.
    - ``timestamp``: each commit stores a timestamp.
    - ``reclaim``: use the slot of a message again as soon as every LOSSLESS consumer has released
      it, before the ring laps. Others then find the message overwritten. The newest message stays.

    Timeouts are seconds. None waits for ever, 0 does not wait. Other Python threads run while a
    call waits, and Ctrl-C ends the wait. One thread at a time may use the object; any thread may
    call `close`. A Producer closes itself at the end of the program, and when nothing refers to it
    any more.

    Opening raises `Invalid`, `ProducerActive`, `Access`, `Secret`, `Corrupt`, `Version`,
    `Geometry`, `NoSpace`, `NotFound`, `SchemaMismatch`, `System`, `Forked`.
    """

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
        algorithm: ChecksumAlgorithm = ChecksumAlgorithm.DEFAULT,
        reclaim: bool = False,
    ) -> None:
        loaded = library()
        config = _defaults(loaded, choice(Policy, "policy", policy))
        config.slot_size = unsigned("slot_size", slot_size, 64)
        config.slot_count = unsigned("slot_count", slot_count)
        config.spare_slots = unsigned("spare_slots", spare_slots)
        config.alignment = unsigned("alignment", alignment)
        config.consumer_limit = unsigned("consumer_limit", consumer_limit)
        config.min_consumers = unsigned("min_consumers", min_consumers)
        config.checksum = choice(ChecksumPolicy, "checksum", checksum)
        config.algorithm = choice(ChecksumAlgorithm, "algorithm", algorithm)
        config.retention_ms = milliseconds("retention", retention)
        config.zone_size = unsigned("zone_size", zone_size, 64)
        config.mode = unsigned("mode", mode)
        config.directory = optional_path_bytes("directory", directory)
        config.secret, config.secret_length, keep = secret_bytes(secret, makes=True)
        if allow_lossless is not None:
            config.flags = (
                _types.FLAG_ALLOW_LOSSLESS if allow_lossless else _types.FLAG_FORBID_LOSSLESS
            )
        wanted = (replace, force, unlink_on_close, timestamp, reclaim)
        config.flags |= sum(flag for flag, on in zip(FLAGS, wanted) if on)
        described, self._zone_schema = configure(config, schema, registered, registry, zone_schema)
        self._schema = described
        self._slot_size: int = config.slot_size or (described.size if described is not None else 0)
        self._shortest: int = described.size if described is not None else 0  # bytes of a message
        self._policy = policy
        self._size: tuple[int, Any] = (-1, None)  # a length, and its form for `Library.quick`
        self._places: list[Place] = []
        path = block_name(name)
        super().__init__(
            loaded, os.fsdecode(path), ProducerHandle(), loaded.datablock_producer_close
        )
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
        if timeout is None:
            look = LOOK
        elif timeout is TRY:
            look = NOW
        else:
            timeout = seconds(timeout)
            look = NOW if timeout == 0 else LOOK
        source: Any = data
        if type(data) is not bytes and type(data) is not bytearray:
            source = flat("data", data)
        length = len(source)
        if length > self._slot_size:
            raise self._too_long(length)
        if self._schema is not None:
            check_written(self._schema, "data", data, getattr(data, "size", 1))
            if length < self._shortest:
                raise self._too_short("data", length, "send the whole struct")
        if type(source) is not bytes:  # ctypes takes the address of bytes by itself
            if length <= SMALL:
                source = bytes(source)
            else:
                source, _pin = pinned(source)
        if self._parts or self._visit is not None:
            self._rejoin()
            self._end_spent()
        self._calls = calls = self._calls + 1 & BREATH
        if calls == 0:
            give_up_turn()
        size = self._size
        if size[0] != length:
            size = self._size = (length, ctypes.c_size_t.from_param(length))
        try:
            place = self._places.pop()
        except IndexError:
            place = make_place()
        into, words = place
        number: int | None = None
        told = True
        try:
            status = self._write(self._number, look, source, size[1], into)
            if status != 0:
                if timeout is TRY and status in NOTHING_YET:
                    told = False
                    self._places.append(place)
                    return None  # type: ignore[return-value]
                self._write_later(status, source, length, into, timeout)
            number = words[0]
            words[0] = UNPUBLISHED
            self._places.append(place)
            return number
        except BaseException as error:
            if number is not None or words[0] != UNPUBLISHED:
                if not isinstance(error, DataBlockError):
                    error.sent = 1  # type: ignore[attr-defined]
            elif told:
                self._places.append(place)
            raise

    def try_send(self, data: Buffer | NDArray[Any]) -> int | None:
        """Publish a copy of ``data`` and return its id, or None if there is no room now.

        The call does not wait. It is the cheapest way to poll: `send` with the timeout 0 raises
        `Timeout`, which takes longer than the look. Otherwise raises as `send`.
        """
        return self.send(data, TRY)

    def _write_later(
        self, status: int, source: Any, length: int, into: Any, timeout: float | None
    ) -> None:
        if status not in NOTHING_YET or not waits(timeout):
            self._fail(status)
        call = self._library.datablock_write
        self._wait(
            lambda handle, wait_ms, _: call(handle, wait_ms, source, length, into), None, timeout
        )

    def send_many(self, messages: Messages, timeout: float | None = None) -> int:
        """Publish copies of several messages, in order, and return how many were published.

        The result is less than the number of messages if the time ran out after the first one.
        ``messages`` is a NumPy array, one message for each index of the first axis, or an iterable
        of bytes-like objects. The timeout is for the whole call. Each message is published by
        itself: consumers see it at once. The metrics count a wait for each message that waits.

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
        if self._parts:
            self._end_spent()
        call = self._library.datablock_write_batch
        counts = [
            ctypes.c_size_t()
        ]  # the library counts what it publishes: each call has a number of its own

        def sent() -> int:
            return sum([count.value for count in counts])

        def more(handle: Any, wait_ms: int, _: Any) -> int:
            nonlocal counts
            before = sent()
            counts = [ctypes.c_size_t(before), ctypes.c_size_t()]
            status: int = call(
                handle, wait_ms, outgoing.after(before), outgoing.count - before, counts[1]
            )
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
