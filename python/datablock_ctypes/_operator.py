"""Who is there, figures, recovery by force, and what was done."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, TypeVar

from ._functions import RawMetrics, RawParticipantInfo, RawRecoveryRecord
from ._library import StrPath, library
from ._recovery import _fail, _verdict
from ._types import Delivery, RecoveryResult, path_bytes, unsigned

Raw = TypeVar("Raw", RawParticipantInfo, RawRecoveryRecord)


@dataclass(frozen=True)
class ParticipantInfo:
    """One participant, as its row shows it. Row 0 is the producer. ``alive`` is what the kernel says of its lock."""

    name: str
    pid: int
    start_time: int
    pid_namespace: int
    attached_ns: int
    died_ns: int
    cursor: int
    lag: int
    read: int
    missed: int
    bytes: int
    waits: int
    wait_ns: int
    timeouts: int
    lost: int
    overruns: int
    checksum_failures: int
    silent_ms: int
    uid: int
    row: int
    delivery: Delivery
    pins: int
    alive: bool
    durable: bool


@dataclass(frozen=True)
class Metrics:
    """A block's figures, as ``datablock.h`` describes them. They change while they are read, each by itself."""

    consumers: int
    next_id: int
    written: int
    bytes: int
    aborted: int
    fenced: int
    waits: int
    wait_ns: int
    timeouts: int
    scans: int
    cleaned: int
    recoveries: int
    age_ms: int
    idle_ms: int
    read: int
    missed: int
    lost: int
    overruns: int
    checksum_failures: int
    max_lag: int
    schema_mismatches: int


@dataclass(frozen=True)
class RecoveryRecord:
    """What somebody did to a block. ``text`` says it; ``before`` and ``after`` depend on the action."""

    number: int
    time_ns: int
    pid: int
    uid: int
    action: int
    target: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    text: str


def _all(function: str, kind: type[Raw], shm_name: StrPath) -> list[Raw]:
    """The whole of a list whose function returns how long it is."""
    loaded = library()
    name, capacity = path_bytes("block name", shm_name), 0
    while True:
        found: Any = (kind * capacity)()
        count = getattr(loaded, function)(name, ctypes.cast(found, ctypes.POINTER(kind)), capacity)
        if count < 0:
            _fail(loaded, count)
        if count <= capacity:
            return list(found[:count])
        capacity = count


def list_participants(shm_name: StrPath) -> list[ParticipantInfo]:
    """The participants of a block, the dead whose rows are still there included. Reads only. Any thread. Raises `RecoveryError` (cannot open), `Invalid`, `Forked`."""
    return [
        ParticipantInfo(**_participant(one))
        for one in _all("datablock_list_participants", RawParticipantInfo, shm_name)
    ]


def _participant(one: RawParticipantInfo) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name, *_ in RawParticipantInfo._fields_ if name != "reserved"}
    delivery = Delivery(one.delivery) if one.delivery in set(Delivery) else Delivery.DEFAULT
    return {**fields, "name": one.name.decode("utf-8", "replace"), "delivery": delivery}


def get_metrics(shm_name: StrPath) -> Metrics:
    """A block's figures, in any state. Reads only. Any thread. Raises `NotFound`, `Access`, `Corrupt`, `Version`, `Invalid`, `System`, `Forked`."""
    loaded = library()
    found = RawMetrics(size=ctypes.sizeof(RawMetrics))
    status = loaded.datablock_get_metrics(path_bytes("block name", shm_name), found)
    if status != 0:
        loaded.fail(status)
    return Metrics(**{name: getattr(found, name) for name, *_ in RawMetrics._fields_ if name != "size"})


def recovery_log(shm_name: StrPath) -> list[RecoveryRecord]:
    """What was done to a block by recoveries, oldest first. Reads only. Any thread. Raises `RecoveryError` (cannot open), `Invalid`, `Forked`."""
    return [
        RecoveryRecord(
            *(one.number, one.time_ns, one.pid, one.uid, one.action, one.target, tuple(one.before), tuple(one.after)),
            one.text.decode("utf-8", "replace"),
        )
        for one in _all("datablock_recovery_log", RawRecoveryRecord, shm_name)
    ]


def force_reset_slot(shm_name: StrPath, slot_index: int, force: bool = False) -> RecoveryResult:
    """Give a slot back to where it can be used again. Any thread.

    What the dead hold is released; with ``force`` a living producer's claim is fenced, a message discarded, a pin outside the ring taken. Returns SUCCESS, UNSAFE (a living participant
    holds it; or, with ``force``, a reader at the slot's message still keeps the producer waiting, which only `evict_consumer` ends) or NOT_STUCK. Raises `InvalidSlot`, `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    return _verdict(
        loaded,
        loaded.datablock_force_reset_slot(
            path_bytes("block name", shm_name), unsigned("slot_index", slot_index), force
        ),
    )


def force_reset_all_slots(shm_name: StrPath, force: bool = False) -> RecoveryResult:
    """`force_reset_slot` for every slot; with ``force`` every message is discarded. UNSAFE: something was left alone, or a reader still keeps the producer waiting; the rest was done.

    Raises `RecoveryError` also where every slot was reset and the block is damaged. Any thread.
    """
    loaded = library()
    return _verdict(loaded, loaded.datablock_force_reset_all_slots(path_bytes("block name", shm_name), force))


def evict_consumer(shm_name: StrPath, row: int, force: bool = False) -> RecoveryResult:
    """Remove a consumer's row: a dead one's, or with ``force`` a living one's, which is told `Fenced` at its next call. Any thread.

    Returns SUCCESS, UNSAFE (it lives) or NOT_STUCK (the row is free). Raises `InvalidSlot` (no such row), `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    return _verdict(
        loaded, loaded.datablock_evict_consumer(path_bytes("block name", shm_name), unsigned("row", row), force)
    )
