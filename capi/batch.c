/*
 * Whole messages in one call: copies, and several at once. Copying is done here, so that a caller's wild pointer faults where its debugger shows it.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <string.h>

datablock_status datablock_write(datablock_producer producer, int64_t timeout_ms, const void *data, size_t length, uint64_t *id) {
    if (data == NULL && length != 0) {
        return dbshim_enter() ? dbshim_null_argument(__func__, "data") : dbshim_refusal();
    }
    datablock_write_slot slot;
    datablock_status status = datablock_write_begin(producer, timeout_ms, &slot);
    if (status != DATABLOCK_OK) {
        return status;
    }
    if (length > slot.capacity) {
        datablock_write_abort(producer, &slot);
        return dbshim_invalid("block \"%.200s\": a message of %zu bytes exceeds the slot's %zu bytes", dbshim_name(dbshim_index(producer.handle)), length,
                              slot.capacity);
    }
    if (length != 0) {
        memcpy(slot.data, data, length);
    }
    status = datablock_write_commit(producer, &slot, length);
    if (status == DATABLOCK_OK && id != NULL) {
        *id = slot.id;
    }
    return status;
}

datablock_status datablock_write_batch(datablock_producer producer, int64_t timeout_ms, const datablock_message *messages, size_t count, size_t *written) {
    if ((messages == NULL && count != 0) || written == NULL) {
        return dbshim_enter() ? dbshim_null_argument(__func__, written == NULL ? "written" : "messages") : dbshim_refusal();
    }
    uint64_t begun = timeout_ms > 0 ? dbshim_monotonic() : 0;
    int64_t left = timeout_ms;
    for (*written = 0; *written < count; ++*written) {
        datablock_status status = datablock_write(producer, left, messages[*written].data, messages[*written].length, NULL);
        if (status != DATABLOCK_OK) {
            return status;
        }
        if (timeout_ms > 0) {
            int64_t passed = (int64_t)((dbshim_monotonic() - begun) / 1000000);
            left = passed < timeout_ms ? timeout_ms - passed : 0;
        }
    }
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    return DATABLOCK_OK;
}

datablock_status datablock_read_batch(datablock_consumer consumer, int64_t timeout_ms, datablock_read_slot *out, size_t capacity, size_t *count) {
    if (out == NULL || count == NULL) {
        return dbshim_enter() ? dbshim_null_argument(__func__, out == NULL ? "out" : "count") : dbshim_refusal();
    }
    *count = 0;
    if (capacity == 0) {
        return dbshim_enter() ? dbshim_invalid("%s: capacity is 0", __func__) : dbshim_refusal();
    }
    datablock_status status = datablock_read_begin(consumer, timeout_ms, out);
    if (status != DATABLOCK_OK) {
        return status;
    }
    *count = 1;
    enum { CHUNK = 64 };
    datablock_read_slot chunk[CHUNK];
    for (size_t want, got = CHUNK; got == CHUNK && *count < capacity; *count += got) {
        want = capacity - *count < CHUNK ? capacity - *count : CHUNK;
        got = 0;
        if (!dbshim_enter() || dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER) != DATABLOCK_OK) {
            break; /* another thread is at the handle: the first message is a batch, too */
        }
        dbshim_thread *thread = dbshim_self();
        status = DBSHIM_GO(thread, dbgo_read_more(dbshim_index(consumer.handle), out->id, out->index, out->token, chunk, want, &got, thread->detail));
        status = dbshim_end(consumer.handle, status, true);
        if (status != DATABLOCK_OK) { /* closed meanwhile, or damaged: what was held is not any more */
            *count = 0;
            return status;
        }
        memcpy(out + *count, chunk, got * sizeof *chunk);
    }
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    return DATABLOCK_OK;
}

datablock_status datablock_read_batch_end(datablock_consumer consumer, const datablock_read_slot *slots, size_t count) {
    if (slots == NULL && count != 0) {
        return dbshim_enter() ? dbshim_null_argument(__func__, "slots") : dbshim_refusal();
    }
    datablock_status first = DATABLOCK_OK;
    char detail[DBSHIM_DETAIL_SIZE] = "";
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && slots[i].token == slots[i - 1].token) {
            continue; /* under the same hold */
        }
        datablock_status status = datablock_read_end(consumer, &slots[i]);
        if (status != DATABLOCK_OK && first == DATABLOCK_OK) {
            first = status;
            strcpy(detail, dbshim_detail());
        }
    }
    if (first != DATABLOCK_OK) {
        strcpy(dbshim_detail(), detail);
        dbshim_failed(DATABLOCK_INLINE_FAILED);
    }
    return first;
}
