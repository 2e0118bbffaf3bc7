"""The structs and functions of ``datablock.h``. A test compares each with the header."""

from __future__ import annotations

import ctypes
import sys
from ctypes import (
    POINTER,
    c_bool,
    c_char,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, NamedTuple

# The header that this package was written for. A library may be newer within the same major
# version, and not older.
HEADER_VERSION = (1, 0, 0)
LIBRARY_FILE = (
    "datablock.dll" if sys.platform == "win32" else f"libdatablock.so.{HEADER_VERSION[0]}"
)


# The flags of DATABLOCK_WAIT_PART, and its mark.
PART_FIRST, PART_LAST, PART_ENDLESS = 1 << 0, 1 << 1, 1 << 2
PART_MARK = 0x4442


def wait_part(milliseconds: int, flags: int) -> int:
    """Return the timeout of a part of a longer wait, as the macro DATABLOCK_WAIT_PART does."""
    return PART_MARK << 48 | flags << 32 | milliseconds


class RawSchema(ctypes.Structure):
    _fields_ = (
        ("canonical", c_char_p),
        ("bytes", c_uint64),
        ("alignment", c_uint32),
        ("major", c_uint32),
        ("minor", c_uint32),
        ("patch", c_uint32),
        ("hash", ctypes.c_uint8 * 32),
    )


class RawSchemaLayout(ctypes.Structure):
    pass


class RawSchemaField(ctypes.Structure):
    _fields_ = (
        ("name", c_char_p),
        ("type", c_char_p),
        ("nested", POINTER(RawSchemaLayout)),
        ("offset", c_uint64),
        ("size", c_uint64),
        ("dims", c_uint64 * 8),
    )


RawSchemaLayout._fields_ = (
    ("fields", POINTER(RawSchemaField)),
    ("count", c_size_t),
    ("size", c_uint64),
    ("alignment", c_uint64),
)


class Config(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("flags", c_uint32),
        ("policy", c_uint32),
        ("slot_count", c_uint32),
        ("spare_slots", c_uint32),
        ("alignment", c_uint32),
        ("slot_size", c_uint64),
        ("consumer_limit", c_uint32),
        ("min_consumers", c_uint32),
        ("mode", c_uint32),
        ("checksum", c_uint32),
        ("directory", c_char_p),
        ("secret", c_void_p),
        ("secret_length", c_size_t),
        ("retention_ms", c_uint64),
        ("zone_size", c_uint64),
        ("schema", POINTER(RawSchema)),
        ("registered", c_char_p),
        ("registry", c_char_p),
        ("zone_schema", POINTER(RawSchema)),
        ("reserved", c_uint64 * 2),
        ("algorithm", c_uint32),
        ("reserved1", c_uint32),
    )


class ConsumerOptions(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("delivery", c_uint32),
        ("start", c_uint32),
        ("max_pins", c_uint32),
        ("durable", c_uint32),
        ("reserved0", c_uint32),
        ("name", c_char_p),
        ("directory", c_char_p),
        ("secret", c_void_p),
        ("secret_length", c_size_t),
        ("schema", POINTER(RawSchema)),
        ("schema_mode", c_uint32),
        ("reserved1", c_uint32),
        ("registered", c_char_p),
        ("registry", c_char_p),
        ("zone_schema", POINTER(RawSchema)),
        ("reserved", c_uint64 * 3),
        ("wait_ms", c_int64),
    )


class ProducerHandle(ctypes.Structure):
    _fields_ = (("handle", c_uint64),)


class ConsumerHandle(ctypes.Structure):
    _fields_ = (("handle", c_uint64),)


class ParticipantHandle(ctypes.Structure):
    _fields_ = (("handle", c_uint64),)


class RawZone(ctypes.Structure):
    _fields_ = (
        ("data", c_void_p),
        ("size", c_size_t),
        ("writes", c_uint64),
        ("abandoned", c_bool),
        ("intact", c_bool),
    )


class ObserverHandle(ctypes.Structure):
    _fields_ = (("handle", c_uint64),)


class RawObservation(ctypes.Structure):
    _fields_ = (
        ("id", c_uint64),
        ("length", c_uint64),
        ("timestamp_ns", c_uint64),
        ("next_id", c_uint64),
        ("index", c_uint32),
        ("reserved", c_uint32),
    )


class RawCopied(ctypes.Structure):
    _fields_ = (
        ("id", c_uint64),
        ("length", c_uint64),
        ("timestamp_ns", c_uint64),
        ("missed", c_uint64),
        ("index", c_uint32),
        ("reserved", c_uint32),
    )


class RawWriteSlot(ctypes.Structure):
    _fields_ = (
        ("data", c_void_p),
        ("capacity", c_size_t),
        ("id", c_uint64),
        ("index", c_uint32),
        ("reserved", c_uint32),
    )


class RawReadSlot(ctypes.Structure):
    _fields_ = (
        ("data", c_void_p),
        ("length", c_size_t),
        ("id", c_uint64),
        ("timestamp_ns", c_uint64),
        ("missed", c_uint64),
        ("index", c_uint32),
        ("token", c_uint32),
    )


class RawWaker(ctypes.Structure):
    _fields_ = (("woken", c_uint32),)


class RawMessage(ctypes.Structure):
    _fields_ = (
        ("data", c_void_p),
        ("length", c_size_t),
    )


class RawBlockInfo(ctypes.Structure):
    _fields_ = (
        ("name", c_char * 204),
        ("checksum", c_uint16),
        ("algorithm", c_uint16),
        ("total_bytes", c_uint64),
        ("slot_size", c_uint64),
        ("next_id", c_uint64),
        ("producer_pid", c_uint64),
        ("slot_count", c_uint32),
        ("spare_slots", c_uint32),
        ("policy", c_uint32),
        ("consumers", c_uint32),
        ("consumer_limit", c_uint32),
        ("state", c_uint32),
    )


class RawSlotDiagnostic(ctypes.Structure):
    _fields_ = (
        ("slot_id", c_uint64),
        ("slot_index", c_uint32),
        ("slot_state", c_uint8),
        ("write_lock", c_uint64),
        ("reader_count", c_uint32),
        ("write_generation", c_uint64),
        ("writer_waiting", c_uint8),
        ("is_stuck", c_bool),
        ("stuck_duration_ms", c_uint64),
    )


class RawIntegrityCheck(ctypes.Structure):
    _fields_ = (
        ("header_valid", c_bool),
        ("slot_states_valid", c_bool),
        ("checksum_valid", c_bool),
        ("corrupted_slots", c_uint32),
        ("error_message", c_char * 256),
    )


class RawRecoveryStep(ctypes.Structure):
    _fields_ = (
        ("kind", c_uint32),
        ("target", c_uint32),
        ("pid", c_uint64),
        ("result", c_uint32),
        ("done", c_bool),
        ("text", c_char * 256),
    )


RecoveryCallback = ctypes.CFUNCTYPE(None, POINTER(RawRecoveryStep), c_void_p)


class RawParticipantInfo(ctypes.Structure):
    _fields_ = (
        ("name", c_char * 64),
        ("pid", c_uint64),
        ("start_time", c_uint64),
        ("pid_namespace", c_uint64),
        ("attached_ns", c_uint64),
        ("died_ns", c_uint64),
        ("cursor", c_uint64),
        ("lag", c_uint64),
        ("read", c_uint64),
        ("missed", c_uint64),
        ("bytes", c_uint64),
        ("waits", c_uint64),
        ("wait_ns", c_uint64),
        ("timeouts", c_uint64),
        ("lost", c_uint64),
        ("overruns", c_uint64),
        ("checksum_failures", c_uint64),
        ("silent_ms", c_uint64),
        ("uid", c_uint32),
        ("row", c_uint32),
        ("delivery", c_uint32),
        ("pins", c_uint32),
        ("alive", c_bool),
        ("durable", c_bool),
        ("reserved", c_uint8 * 6),
    )


class RawMetrics(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("consumers", c_uint32),
        ("next_id", c_uint64),
        ("written", c_uint64),
        ("bytes", c_uint64),
        ("aborted", c_uint64),
        ("fenced", c_uint64),
        ("waits", c_uint64),
        ("wait_ns", c_uint64),
        ("timeouts", c_uint64),
        ("scans", c_uint64),
        ("cleaned", c_uint64),
        ("recoveries", c_uint64),
        ("age_ms", c_uint64),
        ("idle_ms", c_uint64),
        ("read", c_uint64),
        ("missed", c_uint64),
        ("lost", c_uint64),
        ("overruns", c_uint64),
        ("checksum_failures", c_uint64),
        ("max_lag", c_uint64),
        ("schema_mismatches", c_uint64),
    )


class RawRecoveryRecord(ctypes.Structure):
    _fields_ = (
        ("number", c_uint64),
        ("time_ns", c_uint64),
        ("pid", c_uint64),
        ("uid", c_uint32),
        ("action", c_uint32),
        ("target", c_uint64),
        ("before", c_uint64 * 4),
        ("after", c_uint64 * 3),
        ("text", c_char * 160),
    )


# The C name of each struct.
STRUCTS: dict[str, type[ctypes.Structure]] = {
    "datablock_config": Config,
    "datablock_consumer_options": ConsumerOptions,
    "datablock_producer": ProducerHandle,
    "datablock_consumer": ConsumerHandle,
    "datablock_participant": ParticipantHandle,
    "datablock_zone": RawZone,
    "datablock_write_slot": RawWriteSlot,
    "datablock_read_slot": RawReadSlot,
    "datablock_waker": RawWaker,
    "datablock_message": RawMessage,
    "datablock_copied": RawCopied,
    "datablock_observer": ObserverHandle,
    "datablock_observation": RawObservation,
    "datablock_schema": RawSchema,
    "datablock_schema_field": RawSchemaField,
    "datablock_schema_layout": RawSchemaLayout,
    "datablock_block_info": RawBlockInfo,
    "SlotDiagnostic": RawSlotDiagnostic,
    "datablock_participant_info": RawParticipantInfo,
    "datablock_metrics": RawMetrics,
    "datablock_recovery_record": RawRecoveryRecord,
    "IntegrityCheck": RawIntegrityCheck,
    "datablock_recovery_step": RawRecoveryStep,
}


class Function(NamedTuple):
    name: str
    restype: Any
    argtypes: tuple[Any, ...]


# The enums of the header are `int` wide in every C compiler for these platforms. The test asserts
# it.
FUNCTIONS = (
    Function("datablock_version", c_uint32, ()),
    Function("datablock_strerror", c_char_p, (c_int,)),
    Function("datablock_error_detail", c_char_p, ()),
    Function("datablock_error_detail_copy", c_size_t, (c_char_p, c_size_t)),
    Function("datablock_config_init_sized", c_int, (POINTER(Config), c_size_t, c_int)),
    Function("datablock_config_init", c_int, (POINTER(Config), c_int)),
    Function(
        "datablock_producer_open", c_int, (c_char_p, POINTER(Config), POINTER(ProducerHandle))
    ),
    Function("datablock_producer_close", c_int, (ProducerHandle,)),
    Function("datablock_producer_next_id", c_int, (ProducerHandle, POINTER(c_uint64))),
    Function("datablock_write_begin", c_int, (ProducerHandle, c_int64, POINTER(RawWriteSlot))),
    Function("datablock_write_commit", c_int, (ProducerHandle, POINTER(RawWriteSlot), c_size_t)),
    Function("datablock_write_checksum", c_int, (ProducerHandle, POINTER(RawWriteSlot), c_size_t)),
    Function("datablock_write_abort", c_int, (ProducerHandle, POINTER(RawWriteSlot))),
    Function("datablock_consumer_options_init_sized", c_int, (POINTER(ConsumerOptions), c_size_t)),
    Function("datablock_consumer_options_init", c_int, (POINTER(ConsumerOptions),)),
    Function(
        "datablock_consumer_open",
        c_int,
        (c_char_p, POINTER(ConsumerOptions), POINTER(ConsumerHandle)),
    ),
    Function("datablock_consumer_resumed", c_int, (ConsumerHandle, POINTER(c_bool))),
    Function("datablock_consumer_close", c_int, (ConsumerHandle,)),
    Function("datablock_read_begin", c_int, (ConsumerHandle, c_int64, POINTER(RawReadSlot))),
    Function("datablock_read_at", c_int, (ConsumerHandle, c_uint64, POINTER(RawReadSlot))),
    Function("datablock_read_id", c_int, (ConsumerHandle, c_uint64, c_int64, POINTER(RawReadSlot))),
    Function("datablock_read_verify", c_int, (ConsumerHandle, POINTER(RawReadSlot))),
    Function("datablock_read_end", c_int, (ConsumerHandle, POINTER(RawReadSlot))),
    Function("datablock_read_undo", c_int, (ConsumerHandle, POINTER(RawReadSlot))),
    Function(
        "datablock_wait_any", c_int, (POINTER(ConsumerHandle), c_size_t, c_int64, POINTER(c_bool))
    ),
    Function(
        "datablock_wait_any_or_wake",
        c_int,
        (POINTER(ConsumerHandle), c_size_t, c_int64, POINTER(c_bool), POINTER(RawWaker)),
    ),
    Function("datablock_wake", None, (POINTER(RawWaker),)),
    Function(
        "datablock_write", c_int, (ProducerHandle, c_int64, c_void_p, c_size_t, POINTER(c_uint64))
    ),
    Function(
        "datablock_write_batch",
        c_int,
        (ProducerHandle, c_int64, POINTER(RawMessage), c_size_t, POINTER(c_size_t)),
    ),
    Function(
        "datablock_read_copy",
        c_int,
        (ConsumerHandle, c_int64, c_uint32, c_void_p, c_size_t, POINTER(RawCopied)),
    ),
    Function(
        "datablock_read_batch",
        c_int,
        (ConsumerHandle, c_int64, POINTER(RawReadSlot), c_size_t, POINTER(c_size_t)),
    ),
    Function("datablock_read_batch_end", c_int, (ConsumerHandle, POINTER(RawReadSlot), c_size_t)),
    Function(
        "datablock_observer_open",
        c_int,
        (c_char_p, POINTER(ConsumerOptions), POINTER(ObserverHandle)),
    ),
    Function(
        "datablock_observe",
        c_int,
        (ObserverHandle, c_uint64, c_void_p, c_size_t, POINTER(RawObservation)),
    ),
    Function("datablock_observer_close", c_int, (ObserverHandle,)),
    Function("datablock_schema_parse", c_int, (c_char_p, POINTER(RawSchema))),
    Function("datablock_schema_of_block", c_int, (c_char_p, POINTER(RawSchema))),
    Function("datablock_schema_of_consumer", c_int, (ConsumerHandle, POINTER(RawSchema))),
    Function("datablock_schema_of_observer", c_int, (ObserverHandle, POINTER(RawSchema))),
    Function("datablock_zone_schema_of_block", c_int, (c_char_p, POINTER(RawSchema))),
    Function("datablock_zone_schema_of_consumer", c_int, (ConsumerHandle, POINTER(RawSchema))),
    Function("datablock_schema_check", c_int, (POINTER(RawSchema), POINTER(RawSchema), c_int)),
    Function("datablock_schema_lookup", c_int, (c_char_p, c_char_p, POINTER(RawSchema))),
    Function("datablock_schema_register", c_int, (POINTER(RawSchema), c_char_p)),
    Function("datablock_schema_free", None, (POINTER(RawSchema),)),
    Function(
        "datablock_schema_describe",
        c_int,
        (c_char_p, c_uint32, c_uint32, c_uint32, POINTER(RawSchemaLayout), POINTER(RawSchema)),
    ),
    Function("datablock_of_producer", ParticipantHandle, (ProducerHandle,)),
    Function("datablock_of_consumer", ParticipantHandle, (ConsumerHandle,)),
    Function(
        "datablock_lock_acquire", c_int, (ParticipantHandle, c_uint32, c_int64, POINTER(c_bool))
    ),
    Function("datablock_lock_release", c_int, (ParticipantHandle, c_uint32)),
    Function(
        "datablock_zone_begin", c_int, (ParticipantHandle, c_uint32, c_int64, POINTER(RawZone))
    ),
    Function("datablock_zone_end", c_int, (ParticipantHandle, c_bool)),
    Function("datablock_counter_get", c_int, (ParticipantHandle, c_uint32, POINTER(c_uint64))),
    Function(
        "datablock_counter_set", c_int, (ParticipantHandle, c_uint32, c_uint64, POINTER(c_uint64))
    ),
    Function(
        "datablock_counter_add", c_int, (ParticipantHandle, c_uint32, c_uint64, POINTER(c_uint64))
    ),
    Function(
        "datablock_counter_exchange",
        c_int,
        (ParticipantHandle, c_uint32, c_uint64, c_uint64, POINTER(c_uint64)),
    ),
    Function(
        "datablock_list", c_int, (c_char_p, POINTER(RawBlockInfo), c_size_t, POINTER(c_size_t))
    ),
    Function("datablock_unlink", c_int, (c_char_p, c_uint32)),
    Function("datablock_diagnose_slot", c_int, (c_char_p, c_uint32, POINTER(RawSlotDiagnostic))),
    Function(
        "datablock_diagnose_all_slots",
        c_int,
        (c_char_p, POINTER(RawSlotDiagnostic), c_size_t, POINTER(c_size_t)),
    ),
    Function("datablock_is_process_alive", c_bool, (c_uint64,)),
    Function("datablock_release_zombie_readers", c_int, (c_char_p, c_uint32)),
    Function("datablock_release_zombie_writer", c_int, (c_char_p, c_uint32)),
    Function("datablock_cleanup_dead_consumers", c_int, (c_char_p, c_uint64)),
    Function("datablock_validate_integrity", c_int, (c_char_p, POINTER(RawIntegrityCheck))),
    Function("datablock_repair", c_int, (c_char_p, c_bool, POINTER(RawIntegrityCheck))),
    Function("datablock_auto_recover", c_int, (c_char_p, c_bool, RecoveryCallback, c_void_p)),
    Function(
        "datablock_list_participants", c_int, (c_char_p, POINTER(RawParticipantInfo), c_size_t)
    ),
    Function("datablock_get_metrics", c_int, (c_char_p, POINTER(RawMetrics))),
    Function("datablock_force_reset_slot", c_int, (c_char_p, c_uint32, c_bool)),
    Function("datablock_force_reset_all_slots", c_int, (c_char_p, c_bool)),
    Function("datablock_evict_consumer", c_int, (c_char_p, c_uint32, c_bool)),
    Function("datablock_recovery_log", c_int, (c_char_p, POINTER(RawRecoveryRecord), c_size_t)),
)
