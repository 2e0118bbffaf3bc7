// Diagnosis and recovery of a block, by its name or absolute path.
'use strict';

const { call, koffi, structs } = require('./native');
const { whole } = require('./arguments');
const { check, RecoveryError } = require('./errors');

const SLOT_STATES = ['FREE', 'WRITING', 'COMMITTED', 'DRAINING'];
const RESULTS = ['DONE', 'FAILED', 'UNSAFE', 'NOT_STUCK', 'INVALID_SLOT'];

function count(number) {
    if (number < 0) {
        throw new RecoveryError(call.error_detail(), 'DIAGNOSIS', number);
    }
    return number;
}

// 'DONE' or 'NOT_STUCK'. Everything else is a RecoveryError, whose status has the name of the
// result.
function recovered(result) {
    if (result === 0 || result === 3) {
        return RESULTS[result];
    }
    throw new RecoveryError(call.error_detail(), RESULTS[result], result);
}

// A list whose length is not known before.
function all(struct, read) {
    const size = koffi.sizeof(struct);
    for (let room = 64; ;) {
        const memory = Buffer.alloc(size * room);
        const length = read(memory, room);
        if (length <= room) {
            return Array.from({ length }, (_, i) => koffi.decode(memory, size * i, struct));
        }
        room = length + 16;
    }
}

const slotOf = (slot) => ({
    id: Number(slot.slot_id), index: slot.slot_index, state: SLOT_STATES[slot.slot_state],
    writerPid: Number(slot.write_lock), readers: slot.reader_count, generation: Number(slot.write_generation),
    writerWaiting: slot.writer_waiting !== 0, stuck: slot.is_stuck, stuckMs: Number(slot.stuck_duration_ms),
});

// The names of C in the style of JavaScript; 64-bit numbers as numbers.
function camel(struct) {
    const named = {};
    for (const [name, value] of Object.entries(struct)) {
        if (name !== 'size' && name !== 'reserved') {
            const own = name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
            named[own] = typeof value === 'bigint' ? Number(value) : value;
        }
    }
    return named;
}

module.exports = {
    diagnoseSlot(name, slot) {
        const out = {};
        count(call.diagnose_slot(name, slot, out));
        return slotOf(out);
    },
    diagnoseAllSlots(name) {
        return all(structs.SlotDiagnostic, (memory, room) => {
            const slots = [null];
            count(call.diagnose_all_slots(name, memory, room, slots));
            return Number(slots[0]);
        }).map(slotOf);
    },
    isProcessAlive: (pid) => call.is_process_alive(pid),
    releaseZombieReaders: (name, slot) => recovered(call.release_zombie_readers(name, slot)),
    releaseZombieWriter: (name, slot) => recovered(call.release_zombie_writer(name, slot)),
    // A durable consumer's row only if it has been dead for longer than `older` milliseconds.
    cleanupDeadConsumers: (name, older = 0) => count(call.cleanup_dead_consumers(name,
        BigInt(whole(older, 'older')) * 1000000n)),
    validateIntegrity(name) {
        const out = {};
        count(call.validate_integrity(name, out));
        return { ...camel(out), healthy: out.header_valid && out.slot_states_valid && out.checksum_valid };
    },
    repair: (name, force = false) => recovered(call.repair(name, force, null)),
    forceResetSlot: (name, slot, force = false) => recovered(call.force_reset_slot(name, slot, force)),
    forceResetAllSlots: (name, force = false) => recovered(call.force_reset_all_slots(name, force)),
    evictConsumer: (name, row, force = false) => recovered(call.evict_consumer(name, row, force)),
    listParticipants(name) {
        return all(structs.datablock_participant_info,
            (memory, room) => count(call.list_participants(name, memory, room))).map(camel);
    },
    metrics(name) {
        const out = Object.fromEntries(Object.keys(structs.datablock_metrics.members).map((field) => [field, 0]));
        out.size = koffi.sizeof(structs.datablock_metrics);
        check(call.get_metrics(name, out));
        return camel(out);
    },
    unlink: (name, force = false) => check(call.unlink(name, force ? 4 : 0)),
};
