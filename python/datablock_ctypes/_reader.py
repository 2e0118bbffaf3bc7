"""What a consumer is behind its public methods: its holds, and messages that interrupts left."""

from __future__ import annotations

import ctypes
import time
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Protocol

from ._abi import ConsumerHandle, RawReadSlot
from ._errors import Fenced, Overrun, SchemaMismatch, Status, Timeout
from ._holds import BUSY, SYSTEM, Part, Untold, messages_of
from ._interrupts import record
from ._library import Library
from ._participant import ID, LOOK, NOTHING_YET, NOW, TRY, Participant, Raw, waits
from ._schema import Schema

INVALID = int(Status.INVALID)
NOT_FOUND = int(Status.NOT_FOUND)

# A wait that ended within BRISK seconds lets the next one begin with so many looks, before it
# sleeps. They take about 40 us, in which a peer in Python answers a message. A consumer whose
# messages come less often sleeps at once.
LOOKS, BRISK = 64, 100e-6

# The timeout of a slot that does not wait for its id: the read raises `NotFound` instead of
# `Timeout`.
LOOK_ONCE = -1.0


class Held(Protocol):
    """A slot or a batch that the program holds."""

    def release(self) -> None: ...

    def _expire(self) -> None:
        """End it for the program."""

    def _is_forgotten(self) -> bool:
        """Whether no code can end it any more."""


class Reader(Participant):
    """Base of `Consumer`, and what slots and batches know of it."""

    _raw_type = RawReadSlot
    _writes = False

    def __init__(
        self, library: Library, name: str, handle: ConsumerHandle, close: Callable[[Any], int]
    ) -> None:
        self._schema: Schema | None = None
        self._without_schema = False
        self._zone_schema: Schema | None = None
        self._held: dict[Held, None] = {}
        self._late: list[Raw] = []
        self._kept: deque[Raw | Untold] = deque()  # messages that interrupted reads took, in order
        self._parts: list[Part] = []
        self._brisk = False  # the last wait was short
        quick = library.quick
        self._begin = quick.datablock_read_begin
        self._begin_at = quick.datablock_read_at
        self._end = quick.datablock_read_end
        self._undo = quick.datablock_read_undo
        super().__init__(library, name, handle, close)

    @property
    def schema(self) -> Schema:
        """The schema of a message, as the producer of the block declared it.

        Raises `SchemaMismatch` (the block has no schema), `Closed`, `Corrupt`.
        """
        if self._schema is None:
            self._schema = Schema._from(
                "datablock_schema_of_consumer", self._handle, fail=self._fail
            )
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
            self._zone_schema = Schema._from(
                "datablock_zone_schema_of_consumer", self._handle, fail=self._fail
            )
        return self._zone_schema

    # ---- Holds ----------------------------------------------------------------------------------

    def _hold_later(self, status: int, reference: Any, timeout: float | None) -> None:
        if timeout is TRY:
            timeout = 0.0
        if (self._held or self._late) and self._end_forgotten():
            status = self._begin(self._number, NOW if timeout == 0 else LOOK, reference)
            if status == 0:
                return
        if status not in NOTHING_YET or not waits(timeout):
            self._fail(status)
        began = time.perf_counter()
        if self._brisk:
            begin, number = self._begin, self._number
            for _ in range(LOOKS):
                status = begin(number, LOOK, reference)
                if status not in NOTHING_YET:
                    break
        if status in NOTHING_YET:
            self._brisk = False
            self._wait(self._library.datablock_read_begin, reference, timeout)
            self._brisk = time.perf_counter() - began < BRISK
        elif status != 0:
            self._fail(status)

    def _end_forgotten(self) -> bool:
        """End the holds that are still to be ended. Return whether one has ended.

        They are those of iterators that an interrupt kept from ending them, and are gone, and those
        that the library could not end.
        """
        forgotten = [slot for slot in self._held if slot._is_forgotten()]
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

    def _hold_at_later(
        self, status: int, number: int, reference: Any, timeout: float | None
    ) -> None:
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
        while (
            status == BUSY
        ):  # another thread is in a call and leaves it soon: calls wait in slices
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
            if ended == SYSTEM or (
                ended == INVALID and "is not held" not in self._library.detail()
            ):
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
            # An interrupt may have come between the two stores below: those parts are made again.
            untold = [one.raw for one in self._kept if isinstance(one, Untold)]
            parts = [
                part
                for part in self._parts
                if not part.over() and all(part.raw is not raw for raw in untold)
            ]
            for one in self._kept:
                if isinstance(one, Untold):
                    kept.extend(messages_of(one, parts))
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
                if status in (BUSY, SYSTEM) or (
                    status == INVALID and "is not held" not in self._library.detail()
                ):
                    parts.append(
                        part
                    )  # still held: another thread is in a call, or an older message is held
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
