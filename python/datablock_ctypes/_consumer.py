"""Consumers: reading messages in place, one by one, by id, or in batches."""

from __future__ import annotations

import ctypes
import math
import os
from contextlib import AbstractContextManager, suppress
from typing import Any

from ._abi import ConsumerHandle, ConsumerOptions
from ._batch import ReadBatch
from ._errors import Status, Timeout
from ._holds import SYSTEM
from ._library import StrPath, library
from ._participant import LOOK, NOTHING_YET, NOW, SLICE_MS, TRY, Raw
from ._read_slot import ReadSlot, SlotIterator
from ._reader import INVALID, LOOK_ONCE, Reader
from ._schema import Schema, configure
from ._turn import BREATH, give_up_turn
from ._types import (
    Delivery,
    SecretBytes,
    Start,
    block_name,
    choice,
    now,
    optional_path_bytes,
    seconds,
    secret_bytes,
    unsigned,
)

TIMEOUT = int(Status.TIMEOUT)


class Consumer(Reader):
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
        status = loaded.datablock_consumer_options_init_sized(options, ctypes.sizeof(options))
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
        path = block_name(name)
        super().__init__(
            loaded, os.fsdecode(path), ConsumerHandle(), loaded.datablock_consumer_close
        )
        self._open(self._attach, wait, path, options)
        del keep

    def _attach(
        self, wait: float | None, path: bytes, options: ConsumerOptions, handle: ConsumerHandle
    ) -> int:
        """Open the handle. The wait is divided into slices, so that signal handlers run in time."""
        attach = self._library.datablock_consumer_open
        deadline = math.inf if wait is None else now() + wait
        while True:
            left = (deadline - now()) * 1000
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
        if timeout is None:
            look = LOOK
        elif timeout is TRY:
            look = NOW
        else:
            timeout = seconds(timeout)
            look = NOW if timeout == 0 else LOOK
        if self._kept or self._parts or self._visit is not None:
            return self._receive_kept(timeout, look)
        self._calls = calls = self._calls + 1 & BREATH
        if calls == 0:
            give_up_turn()
        try:
            raw = self._raws.pop()
        except IndexError:
            raw = self._make_raw()
        reference, words, _ = raw
        status: int | None = None
        told = True
        try:
            begun = self._begin(self._number, look, reference)
            if begun != 0:
                if timeout is TRY and begun in NOTHING_YET and not self._held and not self._late:
                    told = False
                    self._raws.append(raw)
                    return None  # type: ignore[return-value]
                self._hold_later(begun, reference, timeout)
            # The view is stored last: an interrupt may have come between `pages` and `_base`.
            pages = self._memory.pages if self._view is not None else None
            if pages is None:
                pages = self._map_pages(words[0])
            start = words[0] - self._base
            data: bytes = pages[start : start + words[1]]
            ending = map(self._end, self._numbers, (reference,))
            # The end of the hold and the return are one step for signals. Python checks for signals
            # at calls, at the beginning of functions and at backward jumps. There is none of these
            # from here to the return.
            [status] = ending
            if status == 0 and not self._late:
                words[0] = 0
                self._raws += (raw,)
                return data
            if status == SYSTEM:
                self._fail(SYSTEM)  # the next read gives the message
            status = self._settle(status, raw)
        except BaseException:
            if words[0] == 0:
                if told:
                    self._raws.append(raw)
            elif status is None or status in (INVALID, SYSTEM):
                self._kept.appendleft(raw)
                with suppress(ValueError):
                    self._late.remove(raw)
            raise
        if status != 0:
            self._fail(status)
        return data

    def _receive_kept(self, timeout: float | None, look: Any) -> bytes:
        """Do what `receive` does, with the messages that an interrupted read has taken."""
        taken: list[Raw] = []
        ended: list[int | None] = []
        try:
            raw = self._take_kept(taken)
            reference, words, size = raw
            if words[0] == 0:
                status = self._begin(self._number, look, reference)
                if status != 0:
                    self._hold_later(status, reference, timeout)
            # The view is stored last: an interrupt may have come between `pages` and `_base`.
            pages = self._memory.pages if self._view is not None else None
            if pages is None:
                pages = self._map_pages(words[0])
            start = words[0] - self._base
            data: bytes = pages[start : start + words[1]]
            end, arguments, ended = self._end_of(raw, ended)
            spent = taken if type(size) is ctypes.c_size_t else ()
            ending = map(ended.append, map(end, *arguments))
            # One step, as in `receive`.
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
                    self._raws.append(taken[0])
                elif not ended or ended[0] in (INVALID, SYSTEM):
                    self._kept.appendleft(taken[0])
                    with suppress(ValueError):
                        self._late.remove(taken[0])
            raise
        if status != 0:
            self._fail(status)
        return data

    def try_receive(self) -> bytes | None:
        """Return a copy of the next message, or None if there is none now.

        The call does not wait. It is the cheapest way to poll: `receive` with the timeout 0 raises
        `Timeout`, which takes longer than the look. None also means that no producer has the block
        open. Otherwise raises as `read`.
        """
        try:
            return self.receive(TRY)
        except Timeout:
            return None

    def try_read(self) -> AbstractContextManager[ReadSlot | None]:
        """Hold the next message in place, or give None if there is none now::

            with consumer.try_read() as slot:
                if slot is not None:
                    process(slot.data)

        The call does not wait, and is the cheapest way to poll, as `try_receive` is. Otherwise
        entering and leaving raise as for `read`.
        """
        return ReadSlot(self, TRY, None)

    def __iter__(self) -> SlotIterator:
        return SlotIterator(self)
