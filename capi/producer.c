/*
 * The functions of a producer. batch.c has those that write whole messages.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

datablock_status datablock_producer_open(const char *name, const datablock_config *config,
                                         datablock_producer *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || config == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL     ? "name"
                                              : config == NULL ? "config"
                                                               : "out");
    }
    datablock_config own;
    char registry[DBSHIM_PATH_SIZE];
    dbshim_directory directory;
    uint64_t handle;
    void *state = NULL; /* Go's collector may look at what a pointer that Go stores replaces */
    datablock_status status;
    if ((status = dbshim_import_config(config, name, &own, registry, &directory)) != DATABLOCK_OK ||
        (status = dbshim_reserve(DATABLOCK_INLINE_PRODUCER, &handle)) != DATABLOCK_OK) {
        return status;
    }
    status =
        DBSHIM_GO(dbshim_self(), dbgo_producer_open(dbshim_index(handle), (char *)name,
                                                    directory.path, &own, &state, dbshim_detail()));
    return dbshim_opened(status, handle, state, name, &out->handle);
}

datablock_status datablock_producer_close(datablock_producer producer) {
    return dbshim_close_handle(producer.handle, DATABLOCK_INLINE_PRODUCER, dbgo_producer_close);
}

/*
 * True: a claim has just failed, and the only reason is a LOSSLESS consumer that has not read the
 * message that would be overwritten.
 */
static bool is_held_up(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    /* when a tick is over, the claim has failed before it loaded a cursor */
    return !datablock_inline_is_due(&p->clock) && p->scanned &&
           p->next - p->min_cursor >= b->slot_count && b->min_consumers == 0 && !p->claimed &&
           !p->slow_path_pending && p->next < p->next_clock_check &&
           __atomic_load_n(&p->interrupted, __ATOMIC_RELAXED) == 0 &&
           __atomic_load_n(datablock_inline_u32(b->data, DATABLOCK_LAYOUT_STATE),
                           DATABLOCK_ORDER_STATE) == DATABLOCK_LAYOUT_STATE_READY &&
           __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_EPOCH),
                           DATABLOCK_ORDER_EPOCH) == p->epoch;
}

/*
 * The first looks of a claim that found no room, without Go: a program may poll a full ring
 * millions of times, and a waiting claim often finds room at once. OK: `out` is claimed. TIMEOUT:
 * the result of a call that does not wait. BUSY: Go has to continue.
 */
static datablock_status look_for_room(dbshim_thread *thread, uint32_t index, int64_t timeout_ms,
                                      datablock_write_slot *out) {
    datablock_inline_producer *p = thread->shared.current->state;
    if (timeout_ms < -1) {
        return DATABLOCK_E_BUSY;
    }
    const bool waits = dbshim_part_ms(timeout_ms) != 0;
    const int most = waits ? DATABLOCK_TUNING_FULL_LOOKS_WAIT : DATABLOCK_TUNING_FULL_LOOKS_POLL;
    for (int looks = 1;; looks++) {
        if (datablock_inline_claim(p, out)) {
            return DATABLOCK_OK;
        }
        if (!is_held_up(p)) {
            return DATABLOCK_E_BUSY;
        }
        if (looks == most) {
            break;
        }
        /* Each look takes the line of the consumer's cursor away from the consumer. */
        for (int i = 0; i < DATABLOCK_INLINE_STAND_BACK; i++) {
            datablock_inline_pause();
        }
    }
    /* Go searches for dead consumers when this is due */
    if (timeout_ms != 0 || dbshim_monotonic() - p->swept >= DATABLOCK_TUNING_SWEEP_NS) {
        return DATABLOCK_E_BUSY;
    }
    datablock_inline_count(p->block.data, DATABLOCK_LAYOUT_METRIC_TIMEOUTS, 1);
    thread->shared.idle = index;
    thread->shared.failed = DATABLOCK_INLINE_FULL;
    return DATABLOCK_E_TIMEOUT;
}

datablock_status dbshim_claim(dbshim_thread *thread, uint32_t index, int64_t timeout_ms,
                              datablock_write_slot *out) {
    if (DBSHIM_FAST) {
        datablock_status found = look_for_room(thread, index, timeout_ms, out);
        if (found != DATABLOCK_E_BUSY) {
            return found;
        }
    }
    dbshim_sleep sleep = {0};
    int status;
    do {
        status =
            DBSHIM_GO(thread, dbgo_write_begin(index, timeout_ms, out, &sleep, thread->detail));
    } while (dbshim_slept(&sleep, status));
    return (datablock_status)status;
}

datablock_status dbshim_commit(dbshim_thread *thread, uint32_t index,
                               const datablock_write_slot *slot, size_t length) {
    return DBSHIM_GO(thread,
                     dbgo_write_commit(index, slot->id, slot->index, length, thread->detail));
}

datablock_status datablock_write_begin(datablock_producer producer, int64_t timeout_ms,
                                       datablock_write_slot *out) {
    if (DBSHIM_FAST && (datablock_inline_try_write_begin(producer, timeout_ms, out))) {
        return DATABLOCK_OK;
    }
    datablock_status status = dbshim_begin_handle_call(__func__, out == NULL ? "out" : NULL,
                                                       producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_write_slot slot = {0}; /* as in datablock_producer_open */
    status = dbshim_claim(dbshim_self(), dbshim_index(producer.handle), timeout_ms, &slot);
    status = dbshim_end(producer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_write_commit(datablock_producer producer,
                                        const datablock_write_slot *slot, size_t length) {
    if (DBSHIM_FAST && (datablock_inline_try_write_commit(producer, slot, length))) {
        return DATABLOCK_OK;
    }
    datablock_status status = dbshim_begin_handle_call(__func__, slot == NULL ? "slot" : NULL,
                                                       producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = dbshim_commit(thread, dbshim_index(producer.handle), slot, length);
    return dbshim_end(producer.handle, status, false);
}

datablock_status datablock_write_checksum(datablock_producer producer,
                                          const datablock_write_slot *slot, size_t length) {
    if (DBSHIM_FAST && (datablock_inline_try_write_checksum(producer, slot, length))) {
        return DATABLOCK_OK;
    }
    datablock_status status = dbshim_begin_handle_call(__func__, slot == NULL ? "slot" : NULL,
                                                       producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_write_checksum(dbshim_index(producer.handle), slot->id,
                                                   slot->index, length, thread->detail));
    return dbshim_end(producer.handle, status, false);
}

datablock_status datablock_write_abort(datablock_producer producer,
                                       const datablock_write_slot *slot) {
    if (DBSHIM_FAST && (datablock_inline_try_write_abort(producer, slot))) {
        return DATABLOCK_OK;
    }
    datablock_status status = dbshim_begin_handle_call(__func__, slot == NULL ? "slot" : NULL,
                                                       producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_write_abort(dbshim_index(producer.handle), slot->id,
                                                slot->index, thread->detail));
    return dbshim_end(producer.handle, status, false);
}

datablock_status datablock_producer_next_id(datablock_producer producer, uint64_t *id) {
    datablock_status status = dbshim_begin_handle_call(__func__, id == NULL ? "id" : NULL,
                                                       producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    uint64_t next = 0;
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread,
                       dbgo_producer_next_id(dbshim_index(producer.handle), &next, thread->detail));
    status = dbshim_end(producer.handle, status, false);
    if (status == DATABLOCK_OK) {
        *id = next;
    }
    return status;
}
