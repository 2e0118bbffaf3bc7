"""Crash-safe data exchange through shared memory, for Python.

One `Producer` publishes messages into a named block. Any number of `Consumer` objects read them in
place, in other processes and in any language. Any of these processes may be killed at any
instruction: the other processes continue, no committed message is lost, and no consumer reads half
a message::

    from datablock_ctypes import Consumer, Producer

    with Producer("camera", slot_size=1 << 20) as producer:  # one process
        with producer.write() as slot:
            slot.array("f4", (480, 640))[:] = frame

    with Consumer("camera") as consumer:  # another process
        for slot in consumer:
            print(slot.id, slot.array("f4").mean())

These rules hold everywhere:

- Timeouts are seconds. None waits for ever, 0 does not wait. A call without a timeout does not wait
  for a message, a free slot or a lock of the block, unless its docstring says so.
- One thread at a time may use a `Producer`, `Consumer` or `Observer`, and what was obtained from
  it. Any thread may call `close`. Every other function may be called from any thread.
- The caller owns what a function returns, unless the docstring says that the result is in place.
  Such a result is memory of the block, and is valid until the slot or the batch ends.
- Errors are subclasses of `DataBlockError`. A closed object raises `Closed`. A slot, batch or guard
  that has ended raises `Invalid`. In a forked child the library raises `Forked`.

The package is pure Python over ctypes. Only arrays need NumPy. ``datablock.h`` is the
specification: it holds wherever a docstring says nothing.
"""

import sys as _sys

# Without pip nothing has compared the version, and the error would be one of the syntax.
if _sys.version_info < (3, 9):  # noqa: UP036
    raise ImportError(
        "datablock_ctypes needs Python 3.9 or newer, and this is Python " + _sys.version.split()[0]
    )

from ._admin import (
    Metrics,
    ParticipantInfo,
    RecoveryRecord,
    evict_consumer,
    force_reset_all_slots,
    force_reset_slot,
    get_metrics,
    list_participants,
    recovery_log,
)
from ._batch import ReadBatch
from ._consumer import Consumer
from ._errors import (
    Access,
    Busy,
    Checksum,
    Closed,
    Corrupt,
    DataBlockError,
    Exists,
    Fenced,
    Forked,
    Full,
    Geometry,
    Handle,
    Invalid,
    InvalidSlot,
    Lost,
    NoProducer,
    NoSpace,
    NoSpare,
    NotFound,
    Overrun,
    Panic,
    ProducerActive,
    RecoveryError,
    SchemaMismatch,
    Secret,
    Status,
    Superseded,
    System,
    Timeout,
    Version,
)
from ._integrity import (
    IntegrityCheck,
    RecoveryStep,
    RecoveryStepKind,
    auto_recover,
    repair,
    validate_integrity,
)
from ._library import LibraryNotFound, load
from ._observer import Observation, Observer
from ._producer import Producer
from ._read_slot import ReadSlot, SlotIterator
from ._recovery import (
    BlockInfo,
    SlotDiagnostic,
    cleanup_dead_consumers,
    diagnose_all_slots,
    diagnose_slot,
    is_process_alive,
    list_blocks,
    release_zombie_readers,
    release_zombie_writer,
    unlink,
    version,
)
from ._schema import Schema
from ._shared import Counter, Counters, FlexibleZone, SharedSpinLock, with_flexible_zone
from ._transactions import (
    NextResult,
    ReadTransactionGuard,
    WriteTransactionGuard,
    with_next_slot,
    with_read_transaction,
    with_write_transaction,
)
from ._types import (
    BlockState,
    ChecksumAlgorithm,
    ChecksumPolicy,
    Delivery,
    Policy,
    RecoveryResult,
    SlotState,
    Start,
)
from ._waitany import wait_any
from ._write_slot import WriteSlot

__all__ = [
    "Access",
    "BlockInfo",
    "BlockState",
    "Busy",
    "Checksum",
    "ChecksumAlgorithm",
    "ChecksumPolicy",
    "Closed",
    "Consumer",
    "Corrupt",
    "Counter",
    "Counters",
    "DataBlockError",
    "Delivery",
    "Exists",
    "Fenced",
    "FlexibleZone",
    "Forked",
    "Full",
    "Geometry",
    "Handle",
    "IntegrityCheck",
    "Invalid",
    "InvalidSlot",
    "LibraryNotFound",
    "Lost",
    "Metrics",
    "NextResult",
    "NoProducer",
    "NoSpace",
    "NoSpare",
    "NotFound",
    "Observation",
    "Observer",
    "Overrun",
    "Panic",
    "ParticipantInfo",
    "Policy",
    "Producer",
    "ProducerActive",
    "ReadBatch",
    "ReadSlot",
    "ReadTransactionGuard",
    "RecoveryError",
    "RecoveryRecord",
    "RecoveryResult",
    "RecoveryStep",
    "RecoveryStepKind",
    "Schema",
    "SchemaMismatch",
    "Secret",
    "SharedSpinLock",
    "SlotDiagnostic",
    "SlotIterator",
    "SlotState",
    "Start",
    "Status",
    "Superseded",
    "System",
    "Timeout",
    "Version",
    "WriteSlot",
    "WriteTransactionGuard",
    "auto_recover",
    "cleanup_dead_consumers",
    "diagnose_all_slots",
    "diagnose_slot",
    "evict_consumer",
    "force_reset_all_slots",
    "force_reset_slot",
    "get_metrics",
    "is_process_alive",
    "list_blocks",
    "list_participants",
    "load",
    "recovery_log",
    "release_zombie_readers",
    "release_zombie_writer",
    "repair",
    "unlink",
    "validate_integrity",
    "version",
    "wait_any",
    "with_flexible_zone",
    "with_next_slot",
    "with_read_transaction",
    "with_write_transaction",
]
