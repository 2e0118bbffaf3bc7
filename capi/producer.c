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

datablock_status dbshim_claim(dbshim_thread *thread, uint32_t index, int64_t timeout_ms,
                              datablock_write_slot *out) {
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
