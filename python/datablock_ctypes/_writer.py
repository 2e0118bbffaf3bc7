"""What a producer is behind its public methods: its claim, and the limits of its messages."""

from __future__ import annotations

from typing import Any, Callable, Protocol

from ._abi import ProducerHandle, RawWriteSlot
from ._errors import Invalid, Status
from ._library import Library
from ._participant import NOTHING_YET, Participant, Raw, waits
from ._schema import Schema

BUSY = int(Status.BUSY)
SYSTEM = int(Status.SYSTEM)


class Claim(Protocol):
    """A slot that the program has claimed."""

    def _end(self) -> None:
        """End it for the program."""


class Writer(Participant):
    """Base of `Producer`, and what its slots know of it."""

    _raw_type = RawWriteSlot
    _writes = True
    _schema: Schema | None
    _slot_size: int
    _shortest: int  # bytes of a message

    def __init__(
        self, library: Library, name: str, handle: ProducerHandle, close: Callable[[Any], int]
    ) -> None:
        self._claim: Claim | None = None
        self._parts: list[Raw] = []  # a claim that is to be aborted, or none
        quick = library.quick
        self._begin = quick.datablock_write_begin
        self._commit = quick.datablock_write_commit
        self._abort = quick.datablock_write_abort
        self._write = quick.datablock_write
        super().__init__(library, name, handle, close)

    def _too_long(self, length: int) -> Invalid:
        return Invalid(
            f'block "{self._name}": a message of {length} bytes exceeds the slot\'s '
            f"{self._slot_size} bytes"
        )

    def _too_short(self, what: str, length: int, cure: str) -> Invalid:
        schema = self._schema.name if self._schema is not None else ""
        return Invalid(
            f'block "{self._name}": {what} has {length} bytes, and the struct of schema {schema} '
            f"has {self._shortest}: {cure}"
        )

    def _claim_later(self, status: int, reference: Any, timeout: float | None) -> None:
        if status in NOTHING_YET and waits(timeout):
            self._wait(self._library.datablock_write_begin, reference, timeout)
        else:
            self._fail(status)

    def _abort_surely(self, raw: Raw) -> int:
        """Abort a claim, also while another thread is in a call. Return the status.

        INVALID: the claim had ended. After SYSTEM the claim is still open, because the library
        could not begin the call: the next claim repeats the abort first.
        """
        self._parts = [raw]  # before the call: an interrupt may come after it
        status = BUSY
        while status == BUSY:  # the collector, too, may abort, in any thread
            status = self._abort(self._handle, raw[0])
        if status != SYSTEM:
            self._parts = []
        return status

    def _end_spent(self) -> None:
        """Abort the claim whose abort failed or was interrupted."""
        for raw in self._parts:
            if self._abort_surely(raw) == SYSTEM:
                self._fail(SYSTEM)

    def _expire(self) -> None:
        claim = self._claim
        if claim is not None:
            claim._end()
