"""Listing, diagnosing and cleaning blocks."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import NoReturn

from . import _types
from ._abi import RawBlockInfo, RawSlotDiagnostic
from ._errors import Invalid, InvalidSlot, RecoveryError
from ._library import Library, StrPath, library
from ._types import (
    BlockState,
    ChecksumAlgorithm,
    ChecksumPolicy,
    Policy,
    RecoveryResult,
    SlotState,
    optional_path_bytes,
    path_bytes,
    unsigned,
)


def version() -> tuple[int, int, int]:
    """Return the version of the loaded library: major, minor, patch. Raises as `load`."""
    number: int = library().datablock_version()
    return number // 1_000_000, number // 1000 % 1000, number % 1000


@dataclass(frozen=True)
class BlockInfo:
    """A block, as `list_blocks` found it. A file that is not a readable block has only a name."""

    name: str
    total_bytes: int
    """The bytes of both files."""
    slot_size: int
    """The largest message in bytes."""
    next_id: int
    """The number of messages written so far."""
    producer_pid: int
    """0: no living producer."""
    slot_count: int
    """The number of messages kept."""
    spare_slots: int
    policy: Policy | None
    consumers: int
    """The number of living consumers."""
    consumer_limit: int
    state: BlockState
    checksum: ChecksumPolicy = ChecksumPolicy.NONE
    algorithm: ChecksumAlgorithm = ChecksumAlgorithm.DEFAULT
    """DEFAULT: without checksums."""


@dataclass(frozen=True)
class SlotDiagnostic:
    """One slot, as of the time of the diagnosis."""

    slot_id: int
    """The id of the message."""
    slot_index: int
    slot_state: SlotState
    write_lock: int
    """The pid of the claiming producer; 0: not claimed."""
    reader_count: int
    """Hazard pointers that name the slot, and LOSSLESS consumers whose cursor is at that id."""
    write_generation: int
    """How often this slot was claimed."""
    writer_waiting: bool
    """Whether a producer waits for this slot's readers."""
    is_stuck: bool
    """Whether the slot is stuck, for one of these reasons:

    - A dead participant holds it.
    - A reader of it has kept the producer waiting for 1 s or longer.
    - It has been claimed, or held by a silent reader, for more than 30 s.
    """
    stuck_duration_ms: int
    """For how long. 0: not stuck, or unknown because of a clock of another time namespace."""
    holder: str = ""
    """The holder of a stuck slot (row, name, pid). Set by `diagnose_slot`."""


def list_blocks(directory: StrPath | None = None) -> list[BlockInfo]:
    """Return the blocks in a directory, sorted by name. Reads only. Any thread.

    The default directory is $DATABLOCK_DIR, else /dev/shm, or on Windows a folder of the user.
    Raises `NotFound` (no such directory), `Access`, `Invalid`, `System`, `Forked`.
    """
    loaded = library()
    place = optional_path_bytes("directory", directory)
    capacity, count = 0, ctypes.c_size_t()
    while True:
        infos = (RawBlockInfo * capacity)()
        status = loaded.datablock_list(place, infos, capacity, count)
        if status != 0:
            loaded.fail(status)
        if count.value <= capacity:
            return [_block_info(info) for info in infos[: count.value]]
        capacity = count.value + 8  # new blocks may appear meanwhile


def _block_info(info: RawBlockInfo) -> BlockInfo:
    fields = {name: getattr(info, name) for name, *_ in RawBlockInfo._fields_}
    policies = {int(policy): policy for policy in Policy}
    fields.update(
        name=info.name.decode("utf-8", "surrogateescape"),
        policy=policies.get(info.policy),
        state=BlockState(info.state),
        checksum=ChecksumPolicy(info.checksum),
        algorithm=ChecksumAlgorithm(info.algorithm),
    )
    return BlockInfo(**fields)


def unlink(name: StrPath, *, force: bool = False) -> None:
    """Remove a block. Any thread.

    With ``force`` the block is removed also while participants live. They are fenced and get
    `Superseded`. Raises `NotFound`, `ProducerActive`, `Busy`, `Access`, `Corrupt` (not a block:
    remove the file by hand), `Invalid`, `System`, `Forked`.
    """
    loaded = library()
    status = loaded.datablock_unlink(
        path_bytes("block name", name), _types.FLAG_FORCE if force else 0
    )
    if status != 0:
        loaded.fail(status)


def is_process_alive(pid: int) -> bool:
    """Whether a process with this pid runs in this pid namespace. Any thread.

    The answer is informational: the library judges by liveness leases, never by pids. Raises
    `Invalid` (not a number of 64 bits).
    """
    return bool(library().datablock_is_process_alive(unsigned("pid", pid, 64)))


def diagnose_slot(shm_name: StrPath, slot_index: int) -> SlotDiagnostic:
    """Return the diagnosis of one slot of a block in any state.

    Reads only. Any thread. Raises `InvalidSlot`, `RecoveryError` (cannot open), `Invalid`,
    `Forked`.
    """
    loaded = library()
    found = RawSlotDiagnostic()
    result = loaded.datablock_diagnose_slot(
        path_bytes("block name", shm_name), unsigned("slot_index", slot_index), found
    )
    if result < 0:
        fail_recovery(loaded, result)
    return _slot_diagnostic(found, loaded.detail())


def diagnose_all_slots(shm_name: StrPath) -> list[SlotDiagnostic]:
    """Return the diagnosis of all slots of a block in any state, in the order of their indexes.

    Reads only. Any thread. Raises `RecoveryError` (cannot open), `Invalid`, `Forked`.
    """
    loaded = library()
    name = path_bytes("block name", shm_name)
    capacity, count = 0, ctypes.c_size_t()
    while True:
        found = (RawSlotDiagnostic * capacity)()
        result = loaded.datablock_diagnose_all_slots(name, found, capacity, count)
        if result < 0:
            fail_recovery(loaded, result)
        if count.value <= capacity:
            return [_slot_diagnostic(one, "") for one in found[: count.value]]
        capacity = count.value


def _slot_diagnostic(found: RawSlotDiagnostic, holder: str) -> SlotDiagnostic:
    fields = {name: getattr(found, name) for name, *_ in RawSlotDiagnostic._fields_}
    fields.update(slot_state=SlotState(found.slot_state), writer_waiting=bool(found.writer_waiting))
    return SlotDiagnostic(**fields, holder=holder)


def release_zombie_readers(shm_name: StrPath, slot_index: int) -> RecoveryResult:
    """Remove the dead readers of a slot, and no living one. Any thread.

    Returns SUCCESS, or NOT_STUCK when no reader of the slot is dead. Raises `InvalidSlot`,
    `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    name, index = path_bytes("block name", shm_name), unsigned("slot_index", slot_index)
    return verdict(loaded, loaded.datablock_release_zombie_readers(name, index))


def release_zombie_writer(shm_name: StrPath, slot_index: int) -> RecoveryResult:
    """End a dead producer's claim of a slot. A committed message is never touched. Any thread.

    Returns SUCCESS, UNSAFE when the producer lives, or NOT_STUCK when the slot is not claimed.
    Raises `InvalidSlot`, `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    name, index = path_bytes("block name", shm_name), unsigned("slot_index", slot_index)
    return verdict(loaded, loaded.datablock_release_zombie_writer(name, index))


def cleanup_dead_consumers(shm_name: StrPath, timeout_ns: int = 0) -> int:
    """Remove the row of every dead consumer, and return their number. Any thread.

    The row of a durable consumer is removed only if the consumer has been dead for longer than
    ``timeout_ns`` nanoseconds. Raises `RecoveryError` (cannot open), `Invalid`, `Forked`.
    """
    loaded = library()
    result: int = loaded.datablock_cleanup_dead_consumers(
        path_bytes("block name", shm_name), unsigned("timeout_ns", timeout_ns, 64)
    )
    if result < 0:
        fail_recovery(loaded, result)
    return result


def verdict(loaded: Library, result: int) -> RecoveryResult:
    if result == RecoveryResult.INVALID_SLOT:
        raise InvalidSlot(loaded.detail(), result)
    if result == RecoveryResult.FAILED:
        raise RecoveryError(loaded.detail(), result)
    return RecoveryResult(result)


def fail_recovery(loaded: Library, result: int) -> NoReturn:
    """Raise the error of a function that returns 0 or a count, or a negative number."""
    if result == -1:
        raise Invalid(loaded.detail())
    if result == -3:
        raise InvalidSlot(loaded.detail(), result)
    raise RecoveryError(loaded.detail(), result)
