"""Validating and repairing blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ._abi import RawIntegrityCheck, RawRecoveryStep, RecoveryCallback
from ._errors import RecoveryError
from ._library import StrPath, library
from ._recovery import fail_recovery
from ._types import RecoveryResult, path_bytes


@dataclass(frozen=True)
class IntegrityCheck:
    """The result of a validation. It is true when nothing is wrong."""

    header_valid: bool
    """The immutable bytes and the sizes of both files, the words of the whole block, the log."""
    slot_states_valid: bool
    """Ring entries, slot headers, rows of participants and masks."""
    checksum_valid: bool
    """Payloads of messages that have checksums."""
    corrupted_slots: int
    """The number of slots that are concerned."""
    error_message: str
    """The first problem, with the values and what to do."""

    def __bool__(self) -> bool:
        return self.header_valid and self.slot_states_valid and self.checksum_valid


class RecoveryStepKind(IntEnum):
    """The kind of a step of `auto_recover`."""

    REPAIR = 1
    RELEASE_READER = 2
    RELEASE_WRITER = 3
    COLLECT = 4
    ATTEND = 5
    """Nothing is done by itself: a participant lives or may come back, or a person must decide."""


@dataclass(frozen=True)
class RecoveryStep:
    """One step that `auto_recover` did, or would do."""

    kind: RecoveryStepKind
    target: int
    """The row (RELEASE_READER), else the slot. 0 where it is the block."""
    pid: int
    """The pid of the process concerned. 0: unknown."""
    result: RecoveryResult
    done: bool
    """False in a dry run, after a failure, and for ATTEND."""
    text: str


def validate_integrity(shm_name: StrPath) -> IntegrityCheck:
    """Recompute everything about a block from its bytes. Any thread.

    Reads only, also while the block is in use. Raises `RecoveryError` (cannot open, or the file was
    truncated meanwhile), `Invalid`, `Forked`. Damage is in the result.
    """
    loaded = library()
    found = RawIntegrityCheck()
    result = loaded.datablock_validate_integrity(path_bytes("block name", shm_name), found)
    if result < 0:
        fail_recovery(loaded, result)
    return _check(found)


def _check(found: RawIntegrityCheck) -> IntegrityCheck:
    fields = {name: getattr(found, name) for name, *_ in RawIntegrityCheck._fields_}
    fields.update(error_message=found.error_message.decode("utf-8", "replace"))
    return IntegrityCheck(**fields)


def repair(shm_name: StrPath, *, force: bool = False) -> RecoveryResult:
    """Rebuild in place what follows from the rest of the block, and reset the rest. Any thread.

    With ``force`` the ring is repaired although its producer lives, and this producer may get
    `Fenced` once. Damaged messages are then discarded. Returns SUCCESS, NOT_STUCK (nothing was
    wrong) or UNSAFE (a living producer prevents the repair). Raises `RecoveryError` (something
    cannot be rebuilt, or the block cannot be opened), `Forked`.
    """
    loaded = library()
    result = loaded.datablock_repair(path_bytes("block name", shm_name), force, None)
    if result == RecoveryResult.FAILED:
        raise RecoveryError(loaded.detail(), result)
    return RecoveryResult(result)


def auto_recover(
    shm_name: StrPath,
    dry_run: bool = True,
    callback: Callable[[RecoveryStep], object] | None = None,
) -> list[RecoveryStep]:
    """Clean and repair everything that is stuck or damaged in a block. Any thread.

    With ``dry_run`` the steps are only returned. No living participant is touched. ``callback``
    gets each step, in order, after all steps were tried. An exception of the callback is raised.

    Raises `RecoveryError` (cannot open, failed while running), `Invalid`, `Forked`.
    """
    loaded = library()
    steps: list[RecoveryStep] = []

    def tell(step: Any, _context: Any) -> None:
        steps.append(_step(step.contents))

    result = loaded.datablock_auto_recover(
        path_bytes("block name", shm_name), dry_run, RecoveryCallback(tell), None
    )
    if result < 0:
        fail_recovery(loaded, result)
    if callback is not None:
        for step in steps:
            callback(step)
    return steps


def _step(found: RawRecoveryStep) -> RecoveryStep:
    return RecoveryStep(
        kind=RecoveryStepKind(found.kind),
        target=found.target,
        pid=found.pid,
        result=RecoveryResult(found.result),
        done=found.done,
        text=found.text.decode("utf-8", "replace"),
    )
