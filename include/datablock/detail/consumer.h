/*
 * datablock/detail/consumer.h - the three deliveries, hazard pointers, release
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include. internal/core/channel has the same functions
 * in Go: each comment here names the Go function.
 */
#ifndef DATABLOCK_DETAIL_CONSUMER_H
#define DATABLOCK_DETAIL_CONSUMER_H

#include "checksum.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The result of a poll for the next message. SLOW: an unusual case, and nothing has changed. */
typedef enum datablock_inline_found {
    DATABLOCK_INLINE_NOTHING,
    DATABLOCK_INLINE_MESSAGE,
    DATABLOCK_INLINE_SLOW
} datablock_inline_found;

/* Consumer.ownsRow: this consumer owns the row. A forced eviction changes the row's status. */
DATABLOCK_INLINE bool datablock_inline_owns_row(const datablock_inline_consumer *c) {
    return datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_STATUS) == c->owner_word;
}

DATABLOCK_INLINE datablock_inline_hold *datablock_inline_free_hold(datablock_inline_consumer *c) {
    datablock_inline_hold *h = c->holds;
    while (DATABLOCK_UNLIKELY(h->used)) { /* terminates: fewer than max_pins are held */
        h++;
    }
    return h;
}

/* The hazard pointer of a hold. */
DATABLOCK_INLINE uint64_t *datablock_inline_pin_of(const datablock_inline_consumer *c,
                                                   const datablock_inline_hold *h) {
    return datablock_inline_u64(c->row, DATABLOCK_LAYOUT_ROW_PINS +
                                            8 * DATABLOCK_LAYOUT_CAST(uint64_t, h - c->holds));
}

/* Consumer.unpin: clears the hazard pointer. True: the producer waits for this; wake it. */
DATABLOCK_INLINE bool datablock_inline_unpin(const datablock_inline_consumer *c,
                                             const datablock_inline_hold *h) {
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), 0, DATABLOCK_ORDER_UNPIN);
    DATABLOCK_CRASH_POINT("release.unpinned");
    return __atomic_load_n(datablock_inline_u64(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING),
                           DATABLOCK_ORDER_PRODUCER_WAITING) == DATABLOCK_LAYOUT_WAIT_ANY;
}

/*
 * Consumer.advance: moves the cursor. True: the producer waits for one of the ids that the cursor
 * crosses, and the caller has to wake the producer.
 */
DATABLOCK_INLINE bool datablock_inline_advance(const datablock_inline_consumer *c, uint64_t to) {
    uint64_t from = __atomic_exchange_n(datablock_inline_u64(c->row, DATABLOCK_LAYOUT_ROW_CURSOR),
                                        to, DATABLOCK_ORDER_ADVANCE);
    DATABLOCK_CRASH_POINT("release.advanced");
    uint64_t awaited =
        __atomic_load_n(datablock_inline_u64(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING),
                        DATABLOCK_ORDER_PRODUCER_WAITING);
    return awaited != 0 &&
           (awaited == DATABLOCK_LAYOUT_WAIT_ANY || (from < awaited && awaited <= to));
}

/*
 * Consumer.hold: sets the hazard pointer to the slot that `entry` names. `entry` was loaded after
 * `scan`. False: the slot may already be free for the producer. True has one of two reasons:
 *
 * 1. The entry is unchanged: the slot is not retired.
 * 2. No scan has begun since before the entry was loaded: no scan that serves the slot's retirement
 *    can have missed the hazard pointer.
 */
DATABLOCK_INLINE bool datablock_inline_pin(datablock_inline_consumer *c, datablock_inline_hold *h,
                                           uint32_t at, uint64_t scan, uint64_t entry, bool *wake) {
    const datablock_inline_block *b = &c->block;
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h),
                              DATABLOCK_LAYOUT_CAST(uint64_t, datablock_layout_entry_slot(entry)) +
                                  1,
                              DATABLOCK_ORDER_PIN);
    DATABLOCK_CRASH_POINT("read.pinned");
    uint64_t now = __atomic_load_n(&b->entries[at], DATABLOCK_ORDER_RECHECK);
    if (DATABLOCK_LIKELY(((now ^ entry) & ~DATABLOCK_LAYOUT_ENTRY_FENCE) == 0) ||
        __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH),
                        DATABLOCK_ORDER_SCAN_EPOCH_AGAIN) == scan) {
        return true;
    }
    *wake = datablock_inline_unpin(c, h);
    return false;
}

/*
 * Consumer.deliver. False: the slot's header is not what was published, or the library has to
 * compare the checksum. Nothing has changed then.
 */
DATABLOCK_INLINE bool datablock_inline_deliver(datablock_inline_consumer *c, uint32_t delivery,
                                               bool compare, datablock_inline_hold *h, uint64_t id,
                                               uint32_t slot, uint64_t missed,
                                               datablock_read_slot *out) {
    const datablock_inline_block *b = &c->block;
    if (DATABLOCK_UNLIKELY(slot >= b->slots)) {
        return false;
    }
    uint8_t *header = datablock_inline_header(b, slot);
    uint64_t length = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_LENGTH);
    if (DATABLOCK_UNLIKELY(datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_ID) != id ||
                           length > b->slot_size ||
                           (!compare && (b->flags & DATABLOCK_INLINE_ENFORCED) != 0))) {
        return false;
    }
    if (compare && !datablock_inline_intact(b, slot, id, length)) {
        return false;
    }
    uint32_t token = ++c->next_hold;
    h->used = 1;
    h->pinned = delivery != DATABLOCK_LAYOUT_LOSSLESS;
    h->in_order = delivery != DATABLOCK_LAYOUT_LATEST;
    h->reserved = 0; /* one store for all of these */
    h->more = 0;
    h->id = id;
    h->slot = slot;
    h->claim = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM);
    h->token = token;
    c->held++;
    c->next = id + 1;
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_READ, 1);
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_BYTES, length);
    out->data = header + DATABLOCK_LAYOUT_SLOT_HEADER;
    out->length = length;
    out->id = id;
    out->timestamp_ns = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_TIMESTAMP);
    out->missed = missed;
    out->index = slot;
    out->token = token;
    return true;
}

/* The entry of the next message in order. */
DATABLOCK_INLINE const uint64_t *datablock_inline_wanted_entry(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(c->ring_next != c->next)) {
        c->ring_index =
            datablock_inline_ring_index(&c->block, c->next, c->ring_next, c->ring_index);
        c->ring_next = c->next;
    }
    return &c->block.entries[c->ring_index];
}

/* Reads the real clock once every DATABLOCK_TUNING_CLOCK_CHECK_INTERVAL messages. */
DATABLOCK_INLINE void datablock_inline_overdue(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(c->next >= c->next_clock_check)) {
        (void)datablock_inline_check(&c->clock);
        c->next_clock_check = c->next + DATABLOCK_TUNING_CLOCK_CHECK_INTERVAL;
    }
}

/*
 * Consumer.readAhead: prefetches header and beginning of the slot of a later message, if it is
 * published. `at` is the ring index of message `id`, which the consumer has taken. In a small block
 * the producer has taken these lines back a short time ago, and the processor does not prefetch
 * them by itself.
 */
DATABLOCK_INLINE void datablock_inline_read_ahead(const datablock_inline_consumer *c, uint64_t id,
                                                  uint32_t at) {
    const datablock_inline_block *b = &c->block;
    uint32_t later = datablock_inline_ring_index(b, id + DATABLOCK_TUNING_READ_AHEAD, id, at);
    uint64_t entry = __atomic_load_n(&b->entries[later], DATABLOCK_PLAIN);
    uint32_t slot = datablock_layout_entry_slot(entry);
    if (datablock_layout_entry_ahead(entry, id + DATABLOCK_TUNING_READ_AHEAD) == 0 &&
        slot < b->slots) {
        uint8_t *header = datablock_inline_header(b, slot);
        datablock_inline_expect(header);
        datablock_inline_expect(header + DATABLOCK_LAYOUT_SLOT_HEADER);
    }
}

/*
 * The consumer has taken the message at ring_index. This function sets `near_producer` once in each
 * cache line of entries. `near_producer` means: the next message is present, and the producer still
 * writes to the same line. Such a reader takes the line from the producer at every message, and
 * waits for the line in turn. If the next message is absent, the two may alternate, and a back-off
 * would gain nothing.
 */
DATABLOCK_INLINE void datablock_inline_step(datablock_inline_consumer *c) {
    const datablock_inline_block *b = &c->block;
    uint32_t at = c->ring_index, last = at + DATABLOCK_TUNING_LINE_ENTRIES - 1;
    if (DATABLOCK_UNLIKELY(at % DATABLOCK_TUNING_LINE_ENTRIES == 0)) {
        datablock_inline_overdue(c);
        c->near_producer =
            b->slot_count > last && b->slot_count > DATABLOCK_TUNING_LINE_ENTRIES &&
            datablock_layout_entry_ahead(__atomic_load_n(&b->entries[last], DATABLOCK_PLAIN),
                                         c->ring_next + (last - at)) < 0 &&
            datablock_layout_entry_ahead(__atomic_load_n(&b->entries[at + 1], DATABLOCK_PLAIN),
                                         c->next) >= 0;
    }
    if ((b->flags & DATABLOCK_INLINE_SMALL) != 0) {
        datablock_inline_read_ahead(c, c->ring_next, at);
    }
    c->ring_next = c->next;
    c->ring_index = datablock_inline_ring_index_after(b, at);
}

/* Consumer.nextLossless. The producer waits for the cursor, so that no hazard pointer is needed. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_lossless(datablock_inline_consumer *c,
                                                                       bool compare,
                                                                       datablock_read_slot *out) {
    if (DATABLOCK_UNLIKELY(c->join_epoch != 0 || c->may_jump)) {
        return DATABLOCK_INLINE_SLOW;
    }
    uint64_t entry = __atomic_load_n(datablock_inline_wanted_entry(c), DATABLOCK_ORDER_ENTRY),
             id = c->next;
    const uint64_t wrong = DATABLOCK_LAYOUT_ENTRY_TAG_MASK << DATABLOCK_LAYOUT_ENTRY_TAG_SHIFT |
                           DATABLOCK_LAYOUT_ENTRY_LOST;
    if (DATABLOCK_UNLIKELY((entry ^ datablock_layout_entry(id, 0)) & wrong)) {
        return datablock_layout_entry_empty(entry) || datablock_layout_entry_ahead(entry, id) < 0
                   ? DATABLOCK_INLINE_NOTHING
                   : DATABLOCK_INLINE_SLOW;
    }
    if (DATABLOCK_UNLIKELY(!datablock_inline_deliver(c, DATABLOCK_LAYOUT_LOSSLESS, compare,
                                                     datablock_inline_free_hold(c), id,
                                                     datablock_layout_entry_slot(entry), 0, out))) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_step(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/* Consumer.nextOrdered, unless the consumer was overrun. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_ordered(datablock_inline_consumer *c,
                                                                      bool compare,
                                                                      datablock_read_slot *out,
                                                                      bool *wake) {
    const datablock_inline_block *b = &c->block;
    const uint64_t *place = datablock_inline_wanted_entry(c);
    uint64_t scan = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH),
                                    DATABLOCK_ORDER_SCAN_EPOCH);
    uint64_t entry = __atomic_load_n(place, DATABLOCK_ORDER_ENTRY);
    int64_t ahead =
        datablock_layout_entry_empty(entry) ? -1 : datablock_layout_entry_ahead(entry, c->next);
    if (ahead < 0) { /* a reader that is 2^39 messages behind sees newer tags as older */
        uint64_t commit = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_COMMIT),
                                          DATABLOCK_ORDER_COMMIT_HINT_LOAD);
        return commit <= c->next + b->slot_count ? DATABLOCK_INLINE_NOTHING : DATABLOCK_INLINE_SLOW;
    }
    /* a gap that this message reports is recorded with the message's hold */
    if (DATABLOCK_UNLIKELY(ahead > 0 || (entry & DATABLOCK_LAYOUT_ENTRY_LOST) != 0 ||
                           c->skipped != 0)) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_hold *h = datablock_inline_free_hold(c);
    if (!datablock_inline_pin(c, h, c->ring_index, scan, entry, wake)) {
        return DATABLOCK_INLINE_SLOW;
    }
    if (!datablock_inline_deliver(c, DATABLOCK_LAYOUT_ORDERED, compare, h, c->next,
                                  datablock_layout_entry_slot(entry), 0, out)) {
        *wake = datablock_inline_unpin(c, h);
        return DATABLOCK_INLINE_SLOW;
    }
    c->losses = 0;
    datablock_inline_step(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/* Consumer.nextLatest, unless the newest message has a tombstone or was overwritten meanwhile. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_latest(datablock_inline_consumer *c,
                                                                     bool compare,
                                                                     datablock_read_slot *out,
                                                                     bool *wake) {
    const datablock_inline_block *b = &c->block;
    uint64_t scan = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH),
                                    DATABLOCK_ORDER_SCAN_EPOCH);
    uint64_t next = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_COMMIT),
                                    DATABLOCK_ORDER_COMMIT_HINT_LOAD);
    if (next < c->next) {
        next = c->next; /* the hint lags behind what was read */
    }
    uint32_t at = datablock_inline_ring_index(b, next, c->ring_next, c->ring_index), before = 0;
    uint64_t entry, newest = 0;
    for (uint32_t tries = 0;; tries++) { /* the hint lags: the entries decide */
        entry = __atomic_load_n(&b->entries[at], DATABLOCK_ORDER_ENTRY);
        if (datablock_layout_entry_empty(entry) || datablock_layout_entry_ahead(entry, next) < 0) {
            break;
        }
        if (tries == 4 || datablock_layout_entry_ahead(entry, next) > 0) {
            return DATABLOCK_INLINE_SLOW;
        }
        newest = entry;
        before = at;
        next++;
        at = at + 1 == b->slot_count ? 0 : at + 1;
    }
    c->ring_next = next;
    c->ring_index = at;
    if (next <= c->next) {
        return DATABLOCK_INLINE_NOTHING;
    }
    if (newest == 0) {
        before = at == 0 ? b->slot_count - 1 : at - 1;
        newest = __atomic_load_n(&b->entries[before], DATABLOCK_ORDER_ENTRY);
    }
    if (DATABLOCK_UNLIKELY(datablock_layout_entry_empty(newest) ||
                           datablock_layout_entry_ahead(newest, next - 1) != 0 ||
                           (newest & DATABLOCK_LAYOUT_ENTRY_LOST) != 0)) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_hold *h = datablock_inline_free_hold(c);
    if (!datablock_inline_pin(c, h, before, scan, newest, wake)) {
        return DATABLOCK_INLINE_SLOW;
    }
    uint64_t missed = next - 1 - c->next + c->skipped;
    if (!datablock_inline_deliver(c, DATABLOCK_LAYOUT_LATEST, compare, h, next - 1,
                                  datablock_layout_entry_slot(newest), missed, out)) {
        *wake = datablock_inline_unpin(c, h);
        return DATABLOCK_INLINE_SLOW;
    }
    if (missed != 0) { /* what was skipped before a message that was damaged has been counted */
        datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_MISSED, missed - c->skipped);
        c->skipped = 0;
    }
    /* Informational, and for a durable consumer's return. */
    datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, c->next);
    DATABLOCK_CRASH_POINT("release.moved");
    datablock_inline_overdue(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/*
 * Consumer.Next without waiting. *wake becomes true when the caller has to wake the producer,
 * whatever the result is. `compare`, a constant: this function compares the checksum. Otherwise a
 * message of a block with ENFORCED checksums is SLOW.
 */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next(datablock_inline_consumer *c,
                                                              bool compare,
                                                              datablock_read_slot *out,
                                                              bool *wake) {
    if (DATABLOCK_UNLIKELY(!datablock_inline_owns_row(c) || c->held >= c->max_pins)) {
        return DATABLOCK_INLINE_SLOW;
    }
    switch (c->delivery) {
    case DATABLOCK_LAYOUT_LOSSLESS: return datablock_inline_next_lossless(c, compare, out);
    case DATABLOCK_LAYOUT_ORDERED: return datablock_inline_next_ordered(c, compare, out, wake);
    default: return datablock_inline_next_latest(c, compare, out, wake);
    }
}

/*
 * The hold of `slot`. NULL: there is no such hold, it may not end yet, or another hold is APART.
 * *first becomes the least id of the other holds in order.
 */
DATABLOCK_INLINE_COLD datablock_inline_hold *datablock_inline_find(datablock_inline_consumer *c,
                                                                   const datablock_read_slot *slot,
                                                                   uint64_t *first) {
    datablock_inline_hold *found = DATABLOCK_INLINE_NULL;
    for (uint32_t i = 0; i < DATABLOCK_LAYOUT_MAX_PINS; i++) {
        datablock_inline_hold *h = &c->holds[i];
        if (h->used == 1 && h->token == slot->token && h->id == slot->id &&
            h->slot == slot->index) {
            found = h;
        } else if (h->used == DATABLOCK_INLINE_APART) {
            return DATABLOCK_INLINE_NULL;
        } else if (h->used && h->in_order && h->id < *first) {
            *first = h->id;
        }
    }
    return found != DATABLOCK_INLINE_NULL && c->delivery == DATABLOCK_LAYOUT_LOSSLESS &&
                   found->in_order && *first < found->id
               ? DATABLOCK_INLINE_NULL
               : found;
}

/*
 * Consumer.Verify. False: the message does not match its checksum or has none, it is not held, or
 * a hold of another message covers it. The library then says which.
 */
DATABLOCK_INLINE bool datablock_inline_verify(const datablock_inline_consumer *c,
                                              const datablock_read_slot *slot) {
    for (uint32_t i = 0; i < DATABLOCK_LAYOUT_MAX_PINS; i++) {
        const datablock_inline_hold *h = &c->holds[i];
        if (h->used && h->token == slot->token && h->id == slot->id && h->slot == slot->index) {
            uint64_t length = datablock_inline_peek(datablock_inline_header(&c->block, h->slot),
                                                    DATABLOCK_LAYOUT_SLOT_LENGTH);
            return length <= c->block.slot_size &&
                   datablock_inline_intact(&c->block, h->slot, h->id, length);
        }
    }
    return false;
}

/* Consumer.Release. False: an unusual case, and nothing has changed. */
DATABLOCK_INLINE bool datablock_inline_release(datablock_inline_consumer *c,
                                               const datablock_read_slot *slot, bool *wake) {
    datablock_inline_hold *h = c->holds;
    uint64_t to = c->next, first = UINT64_MAX;
    if (DATABLOCK_UNLIKELY(c->held != 1 || h->used != 1 || h->token != slot->token ||
                           h->id != slot->id || h->slot != slot->index)) {
        h = datablock_inline_find(c, slot, &first);
        if (h == DATABLOCK_INLINE_NULL) {
            return false;
        }
        to = first < to ? first : to;
    }
    uint8_t *header = datablock_inline_header(&c->block, h->slot);
    if (DATABLOCK_UNLIKELY(datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_ID) != h->id ||
                           datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM) != h->claim ||
                           !datablock_inline_owns_row(c))) {
        return false;
    }
    if (h->pinned) {
        *wake = datablock_inline_unpin(c, h);
    }
    h->used = 0;
    c->held--;
    if (h->in_order) {
        if (c->delivery == DATABLOCK_LAYOUT_LOSSLESS) {
            *wake |= datablock_inline_advance(c, to);
        } else {
            datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, to);
            DATABLOCK_CRASH_POINT("release.moved");
        }
    }
    return true;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DATABLOCK_DETAIL_CONSUMER_H */
