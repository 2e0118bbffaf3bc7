"""Participants, metrics, recovery by force, and the recovery log."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, TypeVar

from ._abi import RawMetrics, RawParticipantInfo, RawRecoveryRecord
from ._library import StrPath, library
from ._recovery import fail_recovery, verdict
from ._types import Delivery, RecoveryResult, path_bytes, unsigned

Raw = TypeVar("Raw", RawParticipantInfo, RawRecoveryRecord)


@dataclass(frozen=True)
class ParticipantInfo:
    """One participant, as its row shows it.

    Row 0 is the producer. ``alive`` is what the kernel says of the participant's liveness lease.
    ``datablock.h`` describes the other attributes.
    """

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
    """A block's figures, as ``datablock.h`` describes them. Each may change while they are read."""

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
    """One recovery of a block.

    ``text`` describes it. ``before`` and ``after`` depend on the action.
    """

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
    """Return the whole of a list whose function returns the length."""
    loaded = library()
    name, capacity = path_bytes("block name", shm_name), 0
    while True:
        found: Any = (kind * capacity)()
        count = getattr(loaded, function)(name, ctypes.cast(found, ctypes.POINTER(kind)), capacity)
        if count < 0:
            fail_recovery(loaded, count)
        if count <= capacity:
            return list(found[:count])
        capacity = count


def list_participants(shm_name: StrPath) -> list[ParticipantInfo]:
    """Return the participants of a block, also dead ones whose rows still exist.

    Reads only. Any thread. Raises `RecoveryError` (cannot open), `Invalid`, `Forked`.
    """
    return [
        ParticipantInfo(**_participant(one))
        for one in _all("datablock_list_participants", RawParticipantInfo, shm_name)
    ]


def _participant(one: RawParticipantInfo) -> dict[str, Any]:
    fields = {
        name: getattr(one, name) for name, *_ in RawParticipantInfo._fields_ if name != "reserved"
    }
    delivery = Delivery(one.delivery) if one.delivery in set(Delivery) else Delivery.DEFAULT
    return {**fields, "name": one.name.decode("utf-8", "replace"), "delivery": delivery}


def get_metrics(shm_name: StrPath) -> Metrics:
    """Return the figures of a block in any state.

    Reads only. Any thread. Raises `NotFound`, `Access`, `Corrupt`, `Version`, `Invalid`, `System`,
    `Forked`.
    """
    loaded = library()
    found = RawMetrics(size=ctypes.sizeof(RawMetrics))
    status = loaded.datablock_get_metrics(path_bytes("block name", shm_name), found)
    if status != 0:
        loaded.fail(status)
    return Metrics(
        **{name: getattr(found, name) for name, *_ in RawMetrics._fields_ if name != "size"}
    )


def recovery_log(shm_name: StrPath) -> list[RecoveryRecord]:
    """Return the recoveries of a block, the oldest first.

    Reads only. Any thread. Raises `RecoveryError` (cannot open), `Invalid`, `Forked`.
    """
    return [
        RecoveryRecord(
            *(
                one.number,
                one.time_ns,
                one.pid,
                one.uid,
                one.action,
                one.target,
                tuple(one.before),
                tuple(one.after),
            ),
            one.text.decode("utf-8", "replace"),
        )
        for one in _all("datablock_recovery_log", RawRecoveryRecord, shm_name)
    ]


def force_reset_slot(shm_name: StrPath, slot_index: int, force: bool = False) -> RecoveryResult:
    """Make a slot usable again. Any thread.

    The holds of dead participants are released. With ``force`` also what living participants hold
    is taken: a producer's claim is fenced, a message is discarded, and a consumer whose hazard
    pointer names a slot outside the ring is evicted.

    Returns SUCCESS, UNSAFE or NOT_STUCK. UNSAFE: a living participant holds the slot. With
    ``force`` UNSAFE means that all of the above was done, and a reader at the slot's message still
    keeps the producer waiting. Only `evict_consumer` ends that. Raises `InvalidSlot`,
    `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    return verdict(
        loaded,
        loaded.datablock_force_reset_slot(
            path_bytes("block name", shm_name), unsigned("slot_index", slot_index), force
        ),
    )


def force_reset_all_slots(shm_name: StrPath, force: bool = False) -> RecoveryResult:
    """Do `force_reset_slot` for every slot. Any thread. With ``force`` every message is discarded.

    UNSAFE: a living participant's slot was left alone, or a reader still keeps the producer
    waiting; the rest was done. Raises `RecoveryError` also when every slot was reset and the block
    is damaged.
    """
    loaded = library()
    return verdict(
        loaded, loaded.datablock_force_reset_all_slots(path_bytes("block name", shm_name), force)
    )


def evict_consumer(shm_name: StrPath, row: int, force: bool = False) -> RecoveryResult:
    """Remove the row of a dead consumer, or with ``force`` of a living one. Any thread.

    The next call of an evicted living consumer raises `Fenced`. Returns SUCCESS, UNSAFE (the
    consumer lives) or NOT_STUCK (the row is free). Raises `InvalidSlot` (no such row),
    `RecoveryError` (cannot open), `Forked`.
    """
    loaded = library()
    return verdict(
        loaded,
        loaded.datablock_evict_consumer(
            path_bytes("block name", shm_name), unsigned("row", row), force
        ),
    )
