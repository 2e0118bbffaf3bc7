/*
 * The functions of a consumer. batch.c has those that read whole messages.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

datablock_status datablock_consumer_open(const char *name,
                                         const datablock_consumer_options *options,
                                         datablock_consumer *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL ? "name" : "out");
    }
    datablock_consumer_options own;
    char registry[DBSHIM_PATH_SIZE];
    dbshim_directory directory;
    uint64_t handle;
    void *state = NULL; /* as in datablock_producer_open */
    datablock_status status;
    if ((status = dbshim_import_options(options, name, &own, registry, &directory)) !=
            DATABLOCK_OK ||
        (status = dbshim_reserve(DATABLOCK_INLINE_CONSUMER, &handle)) != DATABLOCK_OK) {
        return status;
    }
    status =
        DBSHIM_GO(dbshim_self(), dbgo_consumer_open(dbshim_index(handle), (char *)name,
                                                    directory.path, &own, &state, dbshim_detail()));
    return dbshim_opened(status, handle, state, name, &out->handle);
}

datablock_status datablock_consumer_close(datablock_consumer consumer) {
    return dbshim_close_handle(consumer.handle, DATABLOCK_INLINE_CONSUMER, dbgo_consumer_close);
}

datablock_status datablock_consumer_resumed(datablock_consumer consumer, bool *resumed) {
    datablock_status status = dbshim_begin_handle_call(__func__, resumed == NULL ? "resumed" : NULL,
                                                       consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    bool kept = false;
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread,
                       dbgo_consumer_resumed(dbshim_index(consumer.handle), &kept, thread->detail));
    status = dbshim_end(consumer.handle, status, false);
    if (status == DATABLOCK_OK) {
        *resumed = kept;
    }
    return status;
}

datablock_status datablock_read_begin(datablock_consumer consumer, int64_t timeout_ms,
                                      datablock_read_slot *out) {
    datablock_status status;
    if (DBSHIM_FAST && (datablock_inline_try_read_begin(consumer, timeout_ms, out, &status))) {
        return status;
    }
    status = dbshim_begin_handle_call(__func__, out == NULL ? "out" : NULL, consumer.handle,
                                      DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_read_slot slot = {0}; /* as in datablock_producer_open */
    status = dbshim_read(dbshim_self(), dbshim_index(consumer.handle), timeout_ms, &slot);
    status = dbshim_end(consumer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_read_at(datablock_consumer consumer, uint64_t id,
                                   datablock_read_slot *out) {
    datablock_status status = dbshim_begin_handle_call(__func__, out == NULL ? "out" : NULL,
                                                       consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_read_slot slot = {0}; /* as in datablock_producer_open */
    dbshim_thread *thread = dbshim_self();
    status =
        DBSHIM_GO(thread, dbgo_read_at(dbshim_index(consumer.handle), id, &slot, thread->detail));
    status = dbshim_end(consumer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_read_id(datablock_consumer consumer, uint64_t id, int64_t timeout_ms,
                                   datablock_read_slot *out) {
    datablock_status status = dbshim_begin_handle_call(__func__, out == NULL ? "out" : NULL,
                                                       consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_read_slot slot = {0}; /* as in datablock_producer_open */
    dbshim_thread *thread = dbshim_self();
    dbshim_sleep sleep = {0};
    do {
        status = DBSHIM_GO(thread, dbgo_read_id(dbshim_index(consumer.handle), id, timeout_ms,
                                                &slot, &sleep, thread->detail));
    } while (dbshim_slept(&sleep, (int)status));
    status = dbshim_end(consumer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_read_verify(datablock_consumer consumer,
                                       const datablock_read_slot *slot) {
    if (DBSHIM_FAST && (datablock_inline_try_read_verify(consumer, slot))) {
        return DATABLOCK_OK;
    }
    datablock_status status = dbshim_begin_handle_call(__func__, slot == NULL ? "slot" : NULL,
                                                       consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_read_verify(dbshim_index(consumer.handle), slot->id,
                                                slot->index, slot->token, thread->detail));
    return dbshim_end(consumer.handle, status, false);
}

datablock_status datablock_read_end(datablock_consumer consumer, const datablock_read_slot *slot) {
    if (DBSHIM_FAST && (datablock_inline_try_read_end(consumer, slot))) {
        return DATABLOCK_OK;
    }
    datablock_status status = dbshim_begin_handle_call(__func__, slot == NULL ? "slot" : NULL,
                                                       consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_read_end(dbshim_index(consumer.handle), slot->id, slot->index,
                                             slot->token, thread->detail));
    return dbshim_end(consumer.handle, status, false);
}

datablock_status datablock_read_undo(datablock_consumer consumer, const datablock_read_slot *slot) {
    datablock_status status = dbshim_begin_handle_call(__func__, slot == NULL ? "slot" : NULL,
                                                       consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status =
        DBSHIM_GO(thread, dbgo_read_undo(dbshim_index(consumer.handle), slot->id, slot->index,
                                         slot->token, slot->length, slot->missed, thread->detail));
    return dbshim_end(consumer.handle, status, false);
}
