/*
 * Whole messages in one call: copies, and several messages at once. A claim, its copy and its
 * commit are in one hold of the handle, and so are a read, its copy and its end. A close from
 * another thread waits for them. A page that is missing in the block makes them
 * DATABLOCK_E_CORRUPT. The copy is made here, so that a wild pointer of the caller faults where the
 * debugger shows it.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <stdio.h>
#include <string.h>

/* The work of every message is compiled into its function, and the rest is not. */
#define HOT static inline __attribute__((always_inline))
#define COLD static __attribute__((noinline, cold))

/* ---- Handles --------------------------------------------------------------------------------- */

COLD datablock_status take_slowly(uint64_t handle, uint64_t kind) {
    datablock_status status = dbshim_begin_handle_call(__func__, NULL, handle, kind);
    if (status == DATABLOCK_OK) {
        /* The inline functions below write to it. */
        datablock_inline_self = datablock_inline_enlist(DATABLOCK_INLINE_VERSION);
    }
    return status;
}

/* Takes a handle as the inline functions do, or as the library does. `end` gives it back. */
HOT datablock_status take(uint64_t handle, uint64_t kind) {
    void *state;
    return DBSHIM_FAST && datablock_inline_enter(handle, kind, &state) ? DATABLOCK_OK
                                                                       : take_slowly(handle, kind);
}

HOT datablock_inline_handle_entry *taken_entry(void) { return datablock_inline_self->current; }

/* dbshim_end. After a success it has nothing to report. */
HOT datablock_status end(uint64_t handle, datablock_status status, bool begins_slot) {
    if (DATABLOCK_LIKELY(status == DATABLOCK_OK &&
                         __atomic_load_n(&taken_entry()->word, __ATOMIC_ACQUIRE) == handle)) {
        datablock_inline_leave(true);
        return DATABLOCK_OK;
    }
    return dbshim_end(handle, status, begins_slot);
}

/*
 * Before a call of Go on a handle that was entered as the inline functions do: the other checks of
 * dbshim_enter. A thread in the last round of its end may not enter Go. A call that has begun is
 * ended nevertheless.
 */
COLD bool too_late(void) {
    dbshim_thread *thread = dbshim_self();
    if (!dbshim_last_round(thread)) {
        return false;
    }
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    snprintf(thread->detail, sizeof thread->detail, "%s", DBSHIM_LAST_ROUND);
    return true;
}

COLD dbshim_thread *begin_slowly(void) {
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    dbshim_detail()[0] = '\0';
    return dbshim_self();
}

/* Whether a page of the block was missing. Asked often, so the word is looked at first. */
HOT bool hole_in(const datablock_inline_handle_entry *entry, uint64_t handle) {
    return __atomic_load_n(&entry->word, __ATOMIC_ACQUIRE) != handle && dbshim_is_damaged(entry);
}

HOT void copy(void *to, const void *from, size_t length) {
    if (length != 0) { /* at length 0 both pointers may be invalid */
        memcpy(to, from, length);
    }
}

/* ---- Writing --------------------------------------------------------------------------------- */

/*
 * The functions of this section work on a handle that the thread has taken. dbshim_end has the text
 * of their CORRUPT.
 */

HOT datablock_status claim(uint64_t handle, int64_t timeout_ms, datablock_write_slot *slot) {
    datablock_inline_handle_entry *entry = taken_entry();
    if (DBSHIM_FAST && timeout_ms >= -1 && datablock_inline_claim(entry->state, slot)) {
        return DATABLOCK_OK;
    }
    if (hole_in(entry, handle)) {
        return DATABLOCK_E_CORRUPT;
    }
    return too_late() ? DATABLOCK_E_BUSY
                      : dbshim_claim(begin_slowly(), dbshim_index(handle), timeout_ms, slot);
}

/* Fills a claimed slot and publishes it. A message with a missing page is not published. */
HOT datablock_status publish(uint64_t handle, const datablock_write_slot *slot, const void *data,
                             size_t length) {
    datablock_inline_handle_entry *entry = taken_entry();
    datablock_inline_producer *p = entry->state;
    copy(slot->data, data, length);
    bool fast = DBSHIM_FAST && ((p->block.flags & DATABLOCK_INLINE_ENFORCED) == 0 ||
                                datablock_inline_seal(&p->block, p->slot, p->next, length));
    if (hole_in(entry, handle)) {
        return DATABLOCK_E_CORRUPT;
    }
    uint64_t stamp =
        (p->block.flags & DATABLOCK_LAYOUT_FLAG_TIMESTAMP) != 0 ? datablock_inline_realtime() : 0;
    if (fast && datablock_inline_publish(p, length, stamp)) {
        return DATABLOCK_OK;
    }
    return dbshim_commit(begin_slowly(), dbshim_index(handle), slot, length);
}

HOT datablock_status write_one(uint64_t handle, int64_t timeout_ms, const void *data, size_t length,
                               uint64_t *id) {
    const datablock_inline_producer *p = taken_entry()->state;
    if (length > p->block.slot_size) {
        return dbshim_invalid(
            "block \"%.200s\": a message of %zu bytes exceeds the slot's %llu bytes",
            dbshim_name(dbshim_index(handle)), length, (unsigned long long)p->block.slot_size);
    }
    if (length < p->shortest) {
        return dbshim_invalid(
            "block \"%.200s\": a message of %zu bytes is shorter than its schema's struct, which "
            "has %llu",
            dbshim_name(dbshim_index(handle)), length, (unsigned long long)p->shortest);
    }
    datablock_write_slot slot;
    slot.data = NULL; /* Go's collector may look at what a pointer that Go stores replaces */
    datablock_status status = claim(handle, timeout_ms, &slot);
    if (status != DATABLOCK_OK) {
        return status;
    }
    *id = slot.id;
    return publish(handle, &slot, data, length);
}

datablock_status datablock_write(datablock_producer producer, int64_t timeout_ms, const void *data,
                                 size_t length, uint64_t *id) {
    if (data == NULL && length != 0) {
        return dbshim_refuse_null(__func__, "data");
    }
    datablock_status status = take(producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    uint64_t written = 0;
    status =
        end(producer.handle, write_one(producer.handle, timeout_ms, data, length, &written), false);
    if (status == DATABLOCK_OK && id != NULL) {
        *id = written;
    }
    return status;
}

/*
 * The timeout of a later message of a call. Each message that waits is one wait in the metrics.
 * PART_FIRST is therefore the caller's for the first message only, which an earlier part may have
 * counted. In a part that is not the last one, a later message has at least a millisecond: without
 * one it would not be counted here, and the next part does not count it.
 */
static int64_t time_left(int64_t timeout_ms, uint64_t begun) {
    const int64_t ms = dbshim_part_ms(timeout_ms);
    if (ms <= 0) {
        return timeout_ms;
    }
    int64_t passed = (int64_t)((dbshim_monotonic() - begun) / 1000000);
    int64_t left = passed < ms ? ms - passed : 0;
    if (!dbshim_is_part(timeout_ms)) {
        return left;
    }
    uint32_t flags = dbshim_part_flags(timeout_ms) | DATABLOCK_PART_FIRST;
    return DATABLOCK_WAIT_PART(left == 0 && (flags & DATABLOCK_PART_LAST) == 0 ? 1 : left, flags);
}

COLD datablock_status closed_between(uint64_t handle, size_t written, size_t count) {
    snprintf(begin_slowly()->detail, DBSHIM_DETAIL_SIZE,
             "block \"%.200s\": the handle is being closed by another thread: %zu of %zu messages "
             "were published",
             dbshim_name(dbshim_index(handle)), written, count);
    return DATABLOCK_E_CLOSED;
}

/*
 * All messages are written in one hold of the handle, so that no message of another thread comes
 * between them. A close does not wait for messages that are not begun.
 */
static datablock_status write_all(uint64_t handle, int64_t timeout_ms,
                                  const datablock_message *messages, size_t count,
                                  size_t *written) {
    uint64_t begun = timeout_ms > 0 ? dbshim_monotonic() : 0, id;
    for (int64_t left = timeout_ms; *written < count; left = time_left(timeout_ms, begun)) {
        const datablock_message *message = &messages[*written];
        if (message->data == NULL && message->length != 0) {
            return dbshim_invalid("datablock_write_batch: messages[%zu].data is NULL", *written);
        }
        if (*written != 0 && dbshim_is_closing(taken_entry())) {
            return closed_between(handle, *written, count);
        }
        datablock_status status = write_one(handle, left, message->data, message->length, &id);
        if (status != DATABLOCK_OK) {
            return status;
        }
        ++*written;
    }
    return DATABLOCK_OK;
}

datablock_status datablock_write_batch(datablock_producer producer, int64_t timeout_ms,
                                       const datablock_message *messages, size_t count,
                                       size_t *written) {
    if ((messages == NULL && count != 0) || written == NULL) {
        const char *missing = written == NULL ? "written" : "messages";
        return dbshim_refuse_null(__func__, missing);
    }
    *written = 0;
    if (count == 0) {
        dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
        return DATABLOCK_OK;
    }
    datablock_status status = take(producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    return end(producer.handle, write_all(producer.handle, timeout_ms, messages, count, written),
               false);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The functions of this section also work on a handle that the thread has taken. */

/* The next message. */
HOT datablock_status take_message(uint64_t handle, int64_t timeout_ms, datablock_read_slot *out) {
    datablock_inline_handle_entry *entry = taken_entry();
    if (DBSHIM_FAST && timeout_ms >= -1) {
        datablock_inline_found found =
            datablock_inline_look_for(entry->state, handle, timeout_ms, out);
        if (found != DATABLOCK_INLINE_SLOW) {
            return found == DATABLOCK_INLINE_MESSAGE ? DATABLOCK_OK : DATABLOCK_E_TIMEOUT;
        }
    }
    if (hole_in(entry, handle)) {
        return DATABLOCK_E_CORRUPT;
    }
    return too_late() ? DATABLOCK_E_BUSY
                      : dbshim_read(begin_slowly(), dbshim_index(handle), timeout_ms, out);
}

/* Ends the hold of a message that was copied, in any order. */
HOT datablock_status end_copied(uint64_t handle, const datablock_read_slot *slot) {
    datablock_inline_handle_entry *entry = taken_entry();
    datablock_inline_consumer *c = entry->state;
    bool wake = false;
    bool done = DBSHIM_FAST && datablock_inline_release(c, slot, &wake);
    if (wake) {
        datablock_inline_wake_producer(&c->block);
    }
    if (done || hole_in(entry, handle)) {
        return DATABLOCK_OK; /* or CORRUPT, which is dbshim_end's to say */
    }
    dbshim_thread *thread = begin_slowly();
    uint32_t index = dbshim_index(handle);
    return DBSHIM_GO(thread,
                     dbgo_read_copied(index, slot->id, slot->index, slot->token, thread->detail));
}

/* Reports that there is no room for a message, and leaves the message for the next read. */
COLD datablock_status no_room(uint64_t handle, const datablock_read_slot *slot, size_t capacity) {
    uint32_t index = dbshim_index(handle);
    dbshim_thread *thread = begin_slowly();
    datablock_status status =
        DBSHIM_GO(thread, dbgo_read_give_back(index, slot->id, slot->index, slot->token,
                                              slot->length, slot->missed, thread->detail));
    if (status != DATABLOCK_OK) {
        return status;
    }
    return dbshim_invalid("block \"%.200s\": message %llu has %zu bytes, and the buffer %zu: "
                          "the next read gets it again; give it more room, or DATABLOCK_COPY_CUT",
                          dbshim_name(index), (unsigned long long)slot->id, slot->length, capacity);
}

datablock_status datablock_read_copy(datablock_consumer consumer, int64_t timeout_ms,
                                     uint32_t flags, void *buffer, size_t capacity,
                                     datablock_copied *out) {
    if (out == NULL || (buffer == NULL && capacity != 0)) {
        return dbshim_refuse_null(__func__, out == NULL ? "out" : "buffer");
    }
    if ((flags & ~(uint32_t)DATABLOCK_COPY_CUT) != 0) {
        if (!dbshim_enter()) {
            return dbshim_refusal();
        }
        return dbshim_invalid("%s: flags 0x%x: only DATABLOCK_COPY_CUT (0x%x) is known", __func__,
                              flags, DATABLOCK_COPY_CUT);
    }
    datablock_status status = take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_read_slot slot;
    slot.data = NULL; /* Go's collector may look at what a pointer that Go stores replaces */
    bool found = false;
    status = take_message(consumer.handle, timeout_ms, &slot);
    if (status == DATABLOCK_OK && slot.length > capacity && (flags & DATABLOCK_COPY_CUT) == 0) {
        status = no_room(consumer.handle, &slot, capacity);
        found = status == DATABLOCK_E_INVALID;
    } else if (status == DATABLOCK_OK) {
        copy(buffer, slot.data, slot.length < capacity ? slot.length : capacity);
        status = end_copied(consumer.handle, &slot);
        found = status == DATABLOCK_OK;
    }
    datablock_status last = end(consumer.handle, status, false);
    if (found && last == status) {
        *out = (datablock_copied){.id = slot.id,
                                  .length = slot.length,
                                  .timestamp_ns = slot.timestamp_ns,
                                  .missed = slot.missed,
                                  .index = slot.index};
    }
    return last;
}

/*
 * The hold of the first message of a batch that can cover further messages. NULL: Go continues,
 * where each message may need a hold of its own.
 */
HOT datablock_inline_hold *covering_hold(datablock_inline_consumer *c,
                                         const datablock_read_slot *first) {
    const datablock_inline_block *b = &c->block;
    datablock_inline_hold *h = c->holds;
    while (h->used != 1 || h->token != first->token || h->id != first->id) {
        if (++h == c->holds + DATABLOCK_LAYOUT_MAX_PINS) {
            return NULL;
        }
    }
    bool covers = DBSHIM_FAST && c->delivery == DATABLOCK_LAYOUT_LOSSLESS && !h->pinned &&
                  c->join_epoch == 0 && !c->may_jump &&
                  ((b->flags & DATABLOCK_INLINE_ENFORCED) == 0 || datablock_inline_compares(b));
    return covers ? h : NULL;
}

/*
 * Consumer.appendNext with a hold that covers the message: the next message, if it is present,
 * whole and without a gap.
 */
HOT bool cover_next(datablock_inline_consumer *c, datablock_inline_hold *h,
                    datablock_read_slot *out) {
    const datablock_inline_block *b = &c->block;
    const uint64_t id = c->next,
                   wrong = DATABLOCK_LAYOUT_ENTRY_TAG_MASK << DATABLOCK_LAYOUT_ENTRY_TAG_SHIFT |
                           DATABLOCK_LAYOUT_ENTRY_LOST;
    uint64_t entry = __atomic_load_n(datablock_inline_wanted_entry(c), DATABLOCK_ORDER_ENTRY);
    uint32_t slot = datablock_layout_entry_slot(entry);
    if (((entry ^ datablock_layout_entry(id, 0)) & wrong) != 0 || slot >= b->slots ||
        !datablock_inline_owns_row(c)) {
        return false;
    }
    uint8_t *header = datablock_inline_header(b, slot);
    uint64_t length = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_LENGTH);
    if (datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_ID) != id || length > b->slot_size ||
        ((b->flags & DATABLOCK_INLINE_ENFORCED) != 0 &&
         !datablock_inline_intact(b, slot, id, length))) {
        return false;
    }
    *out = (datablock_read_slot){
        .data = header + DATABLOCK_LAYOUT_SLOT_HEADER,
        .length = length,
        .id = id,
        .timestamp_ns = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_TIMESTAMP),
        .index = slot,
        .token = h->token,
    };
    h->more++;
    c->next = id + 1;
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_READ, 1);
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_BYTES, length);
    datablock_inline_step(c);
    return true;
}

/* The messages after the first message of a batch, as far as they are present. */
static datablock_status take_more(uint64_t handle, datablock_read_slot *out, size_t capacity,
                                  size_t *count) {
    enum { CHUNK = 64 };
    datablock_inline_consumer *c = taken_entry()->state;
    datablock_inline_hold *h = covering_hold(c, out);
    if (h != NULL) {
        while (*count < capacity && cover_next(c, h, out + *count)) {
            ++*count;
            datablock_inline_keep_distance(c);
        }
        return DATABLOCK_OK;
    }
    datablock_read_slot chunk[CHUNK];
    for (size_t want, got = CHUNK; got == CHUNK && *count < capacity && !too_late();
         *count += got) {
        want = capacity - *count < CHUNK ? capacity - *count : CHUNK;
        got = 0;
        dbshim_thread *thread = begin_slowly();
        datablock_status status =
            DBSHIM_GO(thread, dbgo_read_more(dbshim_index(handle), out->id, out->index, out->token,
                                             chunk, want, &got, thread->detail));
        if (status != DATABLOCK_OK) {
            return status;
        }
        memcpy(out + *count, chunk, got * sizeof *chunk);
    }
    return DATABLOCK_OK;
}

datablock_status datablock_read_batch(datablock_consumer consumer, int64_t timeout_ms,
                                      datablock_read_slot *out, size_t capacity, size_t *count) {
    if (out == NULL || count == NULL) {
        return dbshim_refuse_null(__func__, out == NULL ? "out" : "count");
    }
    *count = 0;
    if (capacity == 0) {
        return dbshim_enter() ? dbshim_invalid("%s: capacity is 0", __func__) : dbshim_refusal();
    }
    datablock_status status = take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    size_t taken = 0;
    datablock_read_slot first;
    first.data = NULL;
    status = take_message(consumer.handle, timeout_ms, &first);
    if (status == DATABLOCK_OK) {
        *out = first;
        taken = 1;
        status = take_more(consumer.handle, out, capacity, &taken);
    }
    /* closed meanwhile, or damaged: the holds have ended */
    status = end(consumer.handle, status, true);
    *count = status == DATABLOCK_OK ? taken : 0;
    return status;
}

/* How many of these messages are consecutive under one hold. */
static size_t covered_by_one(const datablock_read_slot *slots, size_t count) {
    size_t n = 1;
    while (n < count && slots[n].token == slots[0].token && slots[n].id == slots[0].id + n) {
        n++;
    }
    return n;
}

/* Ends the hold of the first messages that it covers: of all of them, or only of these. */
static datablock_status end_first(uint64_t handle, const datablock_read_slot *slots, size_t count) {
    datablock_inline_handle_entry *entry = taken_entry();
    datablock_inline_consumer *c = entry->state;
    bool all = false, wake = false;
    for (int k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
        const datablock_inline_hold *h = &c->holds[k];
        all |= h->used == 1 && h->token == slots->token && h->id == slots->id &&
               count == h->more + (size_t)1;
    }
    bool done = DBSHIM_FAST && all && datablock_inline_release(c, slots, &wake);
    if (wake) {
        datablock_inline_wake_producer(&c->block);
    }
    if (done || hole_in(entry, handle)) {
        return DATABLOCK_OK; /* or CORRUPT, which is dbshim_end's to say */
    }
    dbshim_thread *thread = begin_slowly();
    return DBSHIM_GO(thread, dbgo_read_end_first(dbshim_index(handle), slots->id, slots->index,
                                                 slots->token, count, thread->detail));
}

datablock_status datablock_read_batch_end(datablock_consumer consumer,
                                          const datablock_read_slot *slots, size_t count) {
    if (slots == NULL && count != 0) {
        return dbshim_refuse_null(__func__, "slots");
    }
    datablock_status first = DATABLOCK_OK;
    char detail[DBSHIM_DETAIL_SIZE] = "";
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    for (size_t i = 0, n; i < count; i += n) {
        n = covered_by_one(slots + i, count - i);
        datablock_status status = take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
        if (status == DATABLOCK_OK) {
            status = end(consumer.handle, end_first(consumer.handle, slots + i, n), false);
        }
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
