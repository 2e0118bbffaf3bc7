"""Which blocks there are, what is wrong with them, and mending it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import NoReturn

from . import _types
from ._errors import Invalid, InvalidSlot, RecoveryError
from ._functions import RawBlockInfo, RawSlotDiagnostic
from ._library import Library, StrPath, library
from ._types import BlockState, Policy, RecoveryResult, SlotState, optional_path_bytes, path_bytes, unsigned


def version() -> tuple[int, int, int]:
    """The version of the loaded library: major, minor, patch."""
    number: int = library().datablock_version()
    return number // 1_000_000, number // 1000 % 1000, number % 1000


@dataclass(frozen=True)
class BlockInfo:
    """A block, as `list_blocks` found it. Of a file that is not a readable block only the name is set."""

    name: str
    total_bytes: int
    """Of both files."""
    slot_size: int
    """Bytes that a message may have."""
    next_id: int
    """Messages written so far."""
    producer_pid: int
    """0: no living producer."""
    slot_count: int
    """Messages kept."""
    spare_slots: int
    policy: Policy | None
    consumers: int
    """Living ones."""
    consumer_limit: int
    state: BlockState


@dataclass(frozen=True)
class SlotDiagnostic:
    """One slot, as it was when it was looked at."""

    slot_id: int
    """The message's id."""
    slot_index: int
    slot_state: SlotState
    write_lock: int
    """Pid of the claiming producer; 0: not claimed."""
    reader_count: int
    """Pins on it, and LOSSLESS readers at that id."""
    write_generation: int
    """Times this slot was claimed."""
    writer_waiting: bool
    """A producer waits for this slot's readers."""
    is_stuck: bool
    """Held by the dead; by a reader that has kept the producer waiting for a second; or for more than 30 s claimed, or held by a silent reader."""
    stuck_duration_ms: int
    """Since when; 0 if it is not, or if nobody can tell: a clock of another time namespace."""
    holder: str = ""
    """Of a stuck slot, from `diagnose_slot`: who holds it (row, name, pid)."""


def list_blocks(directory: StrPath | None = None) -> list[BlockInfo]:
    """The blocks in a directory (default: $DATABLOCK_DIR, else /dev/shm), sorted by name. Reads only. Any thread.

    Raises `NotFound` (the directory), `Access`, `Invalid`, `System`, `Forked`.
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
        capacity = count.value + 8  # blocks may come meanwhile


def _block_info(info: RawBlockInfo) -> BlockInfo:
    fields = {name: getattr(info, name) for name, *_ in RawBlockInfo._fields_}
    policies = {int(policy): policy for policy in Policy}
    fields.update(
        name=info.name.decode("utf-8", "surrogateescape"),
        policy=policies.get(info.policy),
        state=BlockState(info.state),
    )
    return BlockInfo(**fields)


def unlink(name: StrPath, *, force: bool = False) -> None:
    """Remove a block. With ``force`` also while participants live: they are fenced and get `Superseded`. Any thread.

    Raises `NotFound`, `ProducerActive`, `Busy`, `Access`, `Corrupt` (not a block: remove the file by hand), `Invalid`, `System`, `Forked`.
    """
    loaded = library()
    status = loaded.datablock_unlink(path_bytes("block name", name), _types.FLAG_FORCE if force else 0)
    if status != 0:
        loaded.fail(status)


def is_process_alive(pid: int) -> bool:
    """Whether a process with that pid runs in this pid namespace. For people: the library judges by locks, never by pids. Any thread."""
    return bool(library().datablock_is_process_alive(unsigned("pid", pid, 64)))


def diagnose_slot(shm_name: StrPath, slot_index: int) -> SlotDiagnostic:
    """One slot of a block in any state. Reads only. Any thread. Raises `InvalidSlot`, `RecoveryError` (cannot open), `Invalid`, `Forked`."""
    loaded = library()
    found = RawSlotDiagnostic()
    result = loaded.datablock_diagnose_slot(
        path_bytes("block name", shm_name), unsigned("slot_index", slot_index), found
    )
    if result < 0:
        _fail(loaded, result)
    return _slot_diagnostic(found, loaded.detail())


def diagnose_all_slots(shm_name: StrPath) -> list[SlotDiagnostic]:
    """All slots of a block in any state, in index order. Reads only. Any thread. Raises `RecoveryError` (cannot open), `Invalid`, `Forked`."""
    loaded = library()
    name = path_bytes("block name", shm_name)
    capacity, count = 0, ctypes.c_size_t()
    while True:
        found = (RawSlotDiagnostic * capacity)()
        result = loaded.datablock_diagnose_all_slots(name, found, capacity, count)
        if result < 0:
            _fail(loaded, result)
        if count.value <= capacity:
            return [_slot_diagnostic(one, "") for one in found[: count.value]]
        capacity = count.value


def _slot_diagnostic(found: RawSlotDiagnostic, holder: str) -> SlotDiagnostic:
    fields = {name: getattr(found, name) for name, *_ in RawSlotDiagnostic._fields_}
    fields.update(slot_state=SlotState(found.slot_state), writer_waiting=bool(found.writer_waiting))
    return SlotDiagnostic(**fields, holder=holder)


def release_zombie_readers(shm_name: StrPath, slot_index: int) -> RecoveryResult:
    """Remove the dead readers of a slot, and no living one. Any thread.

    Returns SUCCESS, or NOT_STUCK when none of its readers is dead. Raises `InvalidSlot`, `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    name, index = path_bytes("block name", shm_name), unsigned("slot_index", slot_index)
    return _verdict(loaded, loaded.datablock_release_zombie_readers(name, index))


def release_zombie_writer(shm_name: StrPath, slot_index: int) -> RecoveryResult:
    """End a dead producer's claim on a slot; a committed message is never touched. Any thread.

    Returns SUCCESS, UNSAFE when the producer lives, or NOT_STUCK when the slot is not claimed. Raises `InvalidSlot`, `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    name, index = path_bytes("block name", shm_name), unsigned("slot_index", slot_index)
    return _verdict(loaded, loaded.datablock_release_zombie_writer(name, index))


def cleanup_dead_consumers(shm_name: StrPath, timeout_ns: int = 0) -> int:
    """Remove every dead consumer's row; a durable one only when it has been dead longer than ``timeout_ns``. Returns how many. Any thread.

    Raises `RecoveryError` (cannot open), `Invalid`, `Forked`.
    """
    loaded = library()
    result: int = loaded.datablock_cleanup_dead_consumers(
        path_bytes("block name", shm_name), unsigned("timeout_ns", timeout_ns, 64)
    )
    if result < 0:
        _fail(loaded, result)
    return result


def _verdict(loaded: Library, result: int) -> RecoveryResult:
    if result == RecoveryResult.INVALID_SLOT:
        raise InvalidSlot(loaded.detail(), result)
    if result == RecoveryResult.FAILED:
        raise RecoveryError(loaded.detail(), result)
    return RecoveryResult(result)


def _fail(loaded: Library, result: int) -> NoReturn:
    """Raise what one of the functions said that return 0 or a count, or a negative number."""
    if result == -1:
        raise Invalid(loaded.detail())
    if result == -3:
        raise InvalidSlot(loaded.detail(), result)
    raise RecoveryError(loaded.detail(), result)
