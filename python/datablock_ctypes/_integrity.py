"""Whether a block is sound, and making it so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ._errors import RecoveryError
from ._functions import RawIntegrityCheck, RawRecoveryStep, RecoveryCallback
from ._library import StrPath, library
from ._recovery import _fail
from ._types import RecoveryResult, path_bytes


@dataclass(frozen=True)
class IntegrityCheck:
    """The verdict on a block. It is true when nothing is wrong."""

    header_valid: bool
    """The immutable bytes of both files, their sizes, the words that belong to the whole block, the recovery log."""
    slot_states_valid: bool
    """Ring entries, slot headers, participants' rows and masks."""
    checksum_valid: bool
    """Payloads, where messages have checksums."""
    corrupted_slots: int
    """Slots that are concerned."""
    error_message: str
    """The first problem, with the values and what to do."""

    def __bool__(self) -> bool:
        return self.header_valid and self.slot_states_valid and self.checksum_valid


class RecoveryStepKind(IntEnum):
    """What a step of `auto_recover` does."""

    REPAIR = 1
    RELEASE_READER = 2
    RELEASE_WRITER = 3
    COLLECT = 4
    ATTEND = 5
    """Nothing is done without being asked: somebody lives, or may come back."""


@dataclass(frozen=True)
class RecoveryStep:
    """One thing that `auto_recover` did, or would do."""

    kind: RecoveryStepKind
    target: int
    """Row (RELEASE_READER), else slot; 0 where it is the block."""
    pid: int
    """Of the process concerned; 0: unknown."""
    result: RecoveryResult
    done: bool
    """False in a dry run, when it failed, and for ATTEND."""
    text: str


def validate_integrity(shm_name: StrPath) -> IntegrityCheck:
    """Recompute everything about a block from its bytes. Reads only, also while the block is in use. Any thread.

    Raises `RecoveryError` (cannot open, or truncated meanwhile), `Invalid`, `Forked`. Damage is in the result.
    """
    loaded = library()
    found = RawIntegrityCheck()
    result = loaded.datablock_validate_integrity(path_bytes("block name", shm_name), found)
    if result < 0:
        _fail(loaded, result)
    return _check(found)


def _check(found: RawIntegrityCheck) -> IntegrityCheck:
    fields = {name: getattr(found, name) for name, *_ in RawIntegrityCheck._fields_}
    fields.update(error_message=found.error_message.decode("utf-8", "replace"))
    return IntegrityCheck(**fields)


def repair(shm_name: StrPath, *, force: bool = False) -> RecoveryResult:
    """Rebuild in place what can be concluded from the rest of the block, and reset what cannot. Any thread.

    With ``force`` the ring is repaired although its producer lives, which may get `Fenced` once; damaged messages are then discarded.
    Returns SUCCESS, NOT_STUCK (nothing was wrong) or UNSAFE (a living producer is in the way).
    Raises `RecoveryError` (something cannot be rebuilt, or the block cannot be opened), `Forked`.
    """
    loaded = library()
    result = loaded.datablock_repair(path_bytes("block name", shm_name), force, None)
    if result == RecoveryResult.FAILED:
        raise RecoveryError(loaded.detail(), result)
    return RecoveryResult(result)


def auto_recover(
    shm_name: StrPath, dry_run: bool = True, callback: Callable[[RecoveryStep], object] | None = None
) -> list[RecoveryStep]:
    """Do for everything that is stuck or damaged in a block what is right for it; with ``dry_run`` only say what. Nobody who lives is touched. Any thread.

    ``callback`` gets each step, in order, when all have been tried; an exception from it is raised.
    Raises `RecoveryError` (cannot open, failed while running), `Invalid`, `Forked`.
    """
    loaded = library()
    steps: list[RecoveryStep] = []

    def tell(step: Any, _context: Any) -> None:
        steps.append(_step(step.contents))

    result = loaded.datablock_auto_recover(path_bytes("block name", shm_name), dry_run, RecoveryCallback(tell), None)
    if result < 0:
        _fail(loaded, result)
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
