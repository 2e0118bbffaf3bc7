/*
 * datablock/detail/producer.h - claim, commit and abort, and what a claim needs now and then
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include. internal/core/channel has the same functions
 * in Go: each comment here names the Go function.
 */
#ifndef DATABLOCK_DETAIL_PRODUCER_H
#define DATABLOCK_DETAIL_PRODUCER_H

#include "checksum.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Back-off of the producer. It applies if fewer entries than SHORT_OF_ROOM are free, in a ring of
 * twice this length or more. STAND_BACK is the number of pauses.
 */
#define DATABLOCK_INLINE_SHORT_OF_ROOM 32
#define DATABLOCK_INLINE_STAND_BACK 16

/* The entry of the next message. */
DATABLOCK_INLINE uint64_t *datablock_inline_next_entry(datablock_inline_producer *p) {
    if (DATABLOCK_UNLIKELY(p->ring_next != p->next)) {
        p->ring_index =
            datablock_inline_ring_index(&p->block, p->next, p->ring_next, p->ring_index);
        p->ring_next = p->next;
    }
    return &p->block.entries[p->ring_index];
}

/*
 * Producer.isCurrent: the block is still this producer's. After a program has closed the descriptor
 * of the lease, another producer may adopt the block.
 */
DATABLOCK_INLINE bool datablock_inline_is_current(const datablock_inline_producer *p) {
    uint8_t *data = p->block.data;
    return __atomic_load_n(datablock_inline_u32(data, DATABLOCK_LAYOUT_STATE),
                           DATABLOCK_ORDER_STATE) < DATABLOCK_LAYOUT_STATE_SUPERSEDED &&
           __atomic_load_n(datablock_inline_u64(data, DATABLOCK_LAYOUT_EPOCH),
                           DATABLOCK_ORDER_EPOCH) == p->epoch;
}

/*
 * Producer.gate, the backpressure check, without the rescan: may the next message be published?
 * Before the first rescan min_cursor is so low that the answer is no. find_room checks
 * `min_consumers`.
 */
DATABLOCK_INLINE bool datablock_inline_gate(const datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint64_t epoch = __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH),
                                     DATABLOCK_ORDER_JOIN_EPOCH);
    return epoch == p->acked && p->next - p->min_cursor < b->slot_count;
}

/*
 * Producer.rescan: computes the low watermark, the smallest LOSSLESS cursor. Other processes write
 * the cursors, so that each is clamped to the possible range.
 */
DATABLOCK_INLINE void datablock_inline_rescan(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint64_t furthest = p->next < b->slot_count ? p->next : b->slot_count, behind = 0, any = 0;
    uint64_t epoch = __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH),
                                     DATABLOCK_ORDER_JOIN_EPOCH_RESCAN);
    /* where LOSSLESS is forbidden, bits in the mask mean nothing */
    uint32_t words =
        (b->flags & DATABLOCK_LAYOUT_FLAG_ALLOW_LOSSLESS) != 0 ? DATABLOCK_LAYOUT_MASK_WORDS : 0;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t set = b->row_mask[w];
        if (set != 0) {
            set &=
                __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_LOSSLESS + 8 * w),
                                DATABLOCK_ORDER_LOSSLESS_MASK);
        }
        any |= set;
        for (; set != 0; set &= set - 1) {
            uint8_t *row =
                b->rows + DATABLOCK_LAYOUT_ROW_SIZE *
                              (64 * w + DATABLOCK_LAYOUT_CAST(uint32_t, __builtin_ctzll(set)));
            int64_t distance = DATABLOCK_LAYOUT_CAST(
                int64_t,
                p->next - __atomic_load_n(datablock_inline_u64(row, DATABLOCK_LAYOUT_ROW_CURSOR),
                                          DATABLOCK_ORDER_CURSOR));
            if (distance > DATABLOCK_LAYOUT_CAST(int64_t, behind)) {
                behind = DATABLOCK_LAYOUT_CAST(uint64_t, distance) < furthest
                             ? DATABLOCK_LAYOUT_CAST(uint64_t, distance)
                             : furthest;
            }
        }
    }
    p->min_cursor = p->next - behind;
    p->released = any != 0 ? p->min_cursor : 0;
    p->fast_path_end = 0; /* a reader that has joined may be further back than those before */
    p->scanned = 1;
    uint64_t *acknowledged = datablock_inline_u64(b->data, DATABLOCK_LAYOUT_JOIN_ACK);
    if (epoch != p->acked || __atomic_load_n(acknowledged, DATABLOCK_PLAIN) != epoch) {
        DATABLOCK_CRASH_POINT("gate.rescanned");
        /* Only now: a joiner that reads the acknowledgement relies on the rescan. */
        __atomic_store_n(acknowledged, epoch, DATABLOCK_ORDER_JOIN_ACK);
        DATABLOCK_CRASH_POINT("gate.acknowledged");
        p->acked = epoch;
    }
}

/* Copies hazard pointers of attached rows to p->pins, as bits to p->pinned. Returns the count. */
DATABLOCK_INLINE uint32_t datablock_inline_find_pins(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint32_t found = 0;
    for (uint32_t w = 0; w < DATABLOCK_LAYOUT_MASK_WORDS; w++) {
        uint64_t set = b->row_mask[w];
        if (set != 0) {
            set &=
                __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_ACTIVE + 8 * w),
                                DATABLOCK_ORDER_ACTIVE_MASK);
        }
        for (; set != 0; set &= set - 1) {
            uint8_t *row =
                b->rows + DATABLOCK_LAYOUT_ROW_SIZE *
                              (64 * w + DATABLOCK_LAYOUT_CAST(uint32_t, __builtin_ctzll(set)));
            uint64_t pin[DATABLOCK_LAYOUT_MAX_PINS], any = 0;
            for (uint32_t k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
                pin[k] =
                    __atomic_load_n(datablock_inline_u64(row, DATABLOCK_LAYOUT_ROW_PINS + 8 * k),
                                    DATABLOCK_ORDER_PINS);
                any |= pin[k];
            }
            for (uint32_t k = 0; any != 0 && k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
                if (pin[k] != 0 && pin[k] <= b->slots) {
                    uint32_t slot = DATABLOCK_LAYOUT_CAST(uint32_t, pin[k]) - 1;
                    p->pinned[slot / 64] |= UINT64_C(1) << slot % 64;
                    p->pins[found++] = slot;
                }
            }
        }
    }
    return found;
}

/*
 * Producer.own: makes this core the owner of the lines of a free slot, up to the end of this number
 * of bytes of the payload, which is not 0. Readers have these lines as well. Therefore the first
 * store to each waits for the cores of the readers. Stores to many lines wait side by side, where
 * each message alone would wait once. The stores change no value. A write prefetch alone does not
 * do this: some processors ignore it for a line that they can read.
 */
DATABLOCK_INLINE void datablock_inline_own(const datablock_inline_block *b, uint32_t slot,
                                           uint64_t bytes) {
    uint8_t *header = datablock_inline_header(b, slot);
    for (uint64_t at = 0; at < DATABLOCK_LAYOUT_SLOT_HEADER + bytes;
         at += DATABLOCK_LAYOUT_SLOT_HEADER) { /* a header is as long as a line */
        datablock_inline_prepare(header + at);
        datablock_inline_poke(header, at, datablock_inline_peek(header, at));
    }
    DATABLOCK_CRASH_POINT("claim.owned");
}

/*
 * Producer.refill: frees every retired slot that no hazard pointer names. The slot that was retired
 * first is used first. The scan begins after the last retirement that the scan serves. With `own`
 * this core then owns the first lines of the slots that are used first.
 */
DATABLOCK_INLINE void datablock_inline_refill(datablock_inline_producer *p, bool own) {
    const datablock_inline_block *b = &p->block;
    __atomic_add_fetch(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), 1,
                       DATABLOCK_ORDER_SCAN_EPOCH_ADD);
    datablock_inline_count(b->data, DATABLOCK_LAYOUT_METRIC_SCANS, 1);
    DATABLOCK_CRASH_POINT("claim.scan");
    uint32_t found = datablock_inline_find_pins(p), kept = 0, before = p->free_count;
    for (uint32_t i = p->retired_count; i-- != 0;) {
        uint32_t slot = p->retired[i];
        if (DATABLOCK_UNLIKELY(found != 0) && (p->pinned[slot / 64] >> slot % 64 & 1) != 0) {
            kept++;
        } else {
            p->free_slots[p->free_count++] = slot;
        }
    }
    for (uint32_t i = 0, at = 0; at < kept; i++) { /* the slots that stay, in their order */
        if ((p->pinned[p->retired[i] / 64] >> p->retired[i] % 64 & 1) != 0) {
            p->retired[at++] = p->retired[i];
        }
    }
    for (uint32_t i = 0; i < found; i++) {
        p->pinned[p->pins[i] / 64] = 0;
    }
    p->retired_count = kept;
    if (p->free_count - before > DATABLOCK_TUNING_OWN_MOST) {
        before = p->free_count - DATABLOCK_TUNING_OWN_MOST;
    }
    for (uint32_t i = p->free_count; own && i-- > before;) {
        datablock_inline_own(b, p->free_slots[i], 1);
    }
    p->pinned_scans = kept == 0 ? 0 : p->pinned_scans + 1;
    if (kept != 0 && p->pinned_scans % DATABLOCK_TUNING_SUSPICIOUS_SCANS == 0) {
        p->slow_path_pending = 1; /* the library looks for a dead reader */
    }
}

/*
 * Producer.reclaim: retires the slots of messages that every LOSSLESS consumer has released, in the
 * order of their ids. It stops at the newest message, and at an entry that another process has
 * changed. A joiner at oldest counts on the load of join_epoch before each swap.
 */
DATABLOCK_INLINE_COLD void datablock_inline_reclaim(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint64_t oldest = p->next < b->slot_count ? 0 : p->next - b->slot_count,
             id = p->reclaimed < oldest ? oldest : p->reclaimed,
             end = p->next == 0 || p->released < p->next ? p->released : p->next - 1;
    for (int i = 0; i < DATABLOCK_TUNING_RECLAIM_MOST && id < end &&
                    __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH),
                                    DATABLOCK_ORDER_JOIN_EPOCH) == p->acked;
         i++, id++) {
        uint32_t at = DATABLOCK_LAYOUT_CAST(uint32_t, id % b->slot_count);
        uint64_t known = p->expected[at], expected = known,
                 entry = datablock_layout_entry(id, DATABLOCK_LAYOUT_SLOT_RECLAIMED);
        uint32_t slot = datablock_layout_entry_slot(known);
        if (slot >= b->slots) { /* reclaimed already */
            continue;
        }
        if ((known & DATABLOCK_LAYOUT_ENTRY_FENCE) != 0 ||
            !__atomic_compare_exchange_n(&b->entries[at], &expected, entry, false,
                                         DATABLOCK_ORDER_PUBLISH, DATABLOCK_PLAIN)) {
            break;
        }
        DATABLOCK_CRASH_POINT("claim.reclaimed");
        p->expected[at] = entry;
        p->retired[p->retired_count++] = slot;
    }
    p->reclaimed = id;
}

/*
 * Producer.eager: big slots are freed at once. The producer then uses a few slots again and again,
 * which stay in the cache, instead of all spare slots in rotation.
 */
DATABLOCK_INLINE bool datablock_inline_eager(const datablock_inline_producer *p) {
    return p->block.slot_size >= DATABLOCK_TUNING_BIG_SLOT && p->retired_count != 0;
}

/*
 * Back-off of the producer when the ring is nearly full. The message has many messages before it,
 * so that a pause costs nothing. Without back-off the producer would load the line of the reader's
 * cursor at every message, and both would be slower.
 */
DATABLOCK_INLINE void datablock_inline_stand_back(datablock_inline_producer *p) {
    uint64_t used = p->next - p->min_cursor, count = p->block.slot_count;
    if (used < count && count - used < DATABLOCK_INLINE_SHORT_OF_ROOM &&
        count >= 2 * DATABLOCK_INLINE_SHORT_OF_ROOM) {
        for (int i = 0; i < DATABLOCK_INLINE_STAND_BACK; i++) {
            datablock_inline_pause();
        }
        datablock_inline_rescan(p);
    }
}

/*
 * Producer.resyncEntry: loads the entry of the next message, which another process may have fenced.
 * False: the entry is fenced, or differs from what this producer left there.
 */
DATABLOCK_INLINE_COLD bool datablock_inline_remember(datablock_inline_producer *p,
                                                     const uint64_t *place) {
    uint64_t entry = __atomic_load_n(place, DATABLOCK_ORDER_REMEMBER);
    if (((entry ^ p->expected[p->ring_index]) &
         ~(DATABLOCK_LAYOUT_ENTRY_FENCE | DATABLOCK_LAYOUT_ENTRY_LOST)) != 0 ||
        (entry & DATABLOCK_LAYOUT_ENTRY_FENCE) != 0) {
        return false;
    }
    p->expected[p->ring_index] = entry;
    return true;
}

/*
 * Producer.fastPathLimit: claims below this id need no check, given a free slot, the low watermark
 * and an unfenced entry of the next message.
 */
DATABLOCK_INLINE void datablock_inline_set_limit(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    p->fast_path_end = 0;
    if (!p->slow_path_pending && (b->flags & DATABLOCK_INLINE_ROOM) == 0) {
        uint64_t slots = p->next + p->free_count, gate = p->min_cursor + b->slot_count;
        p->fast_path_end = slots < gate ? slots : gate;
        p->fast_path_end =
            p->fast_path_end < p->next_clock_check ? p->fast_path_end : p->next_clock_check;
    }
}

/*
 * Producer.findRoom without waiting: passes the backpressure check, finds a free slot and loads the
 * entry of the next message if needed. It also sets the fast-path limit: the messages below the
 * limit need none of these steps. False: the library has to do the work.
 */
DATABLOCK_INLINE_COLD bool datablock_inline_find_room(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    if (p->next >= p->next_clock_check && datablock_inline_check(&p->clock)) {
        p->next_clock_check = p->next + DATABLOCK_TUNING_CLOCK_CHECK_INTERVAL;
    }
    if (p->slow_path_pending || p->next >= p->next_clock_check || !datablock_inline_is_current(p) ||
        (b->min_consumers != 0 && p->next >= b->slot_count)) {
        return false;
    }
    if (!datablock_inline_gate(p) || (b->flags & DATABLOCK_INLINE_RECLAIM) != 0) {
        datablock_inline_rescan(p);
        datablock_inline_stand_back(p);
    }
    if (p->next - p->min_cursor >= b->slot_count) {
        return false;
    }
    if ((b->flags & DATABLOCK_INLINE_RECLAIM) != 0) {
        datablock_inline_reclaim(p);
    }
    if (p->free_count == 0 || datablock_inline_eager(p)) {
        datablock_inline_refill(p, true);
    }
    const uint64_t *place = datablock_inline_next_entry(p);
    if (p->free_count == 0 || ((p->expected[p->ring_index] & DATABLOCK_LAYOUT_ENTRY_FENCE) != 0 &&
                               !datablock_inline_remember(p, place))) {
        return false;
    }
    datablock_inline_set_limit(p);
    return true;
}

/*
 * Producer.prepareNext: after a publication, does what the next claim would do before its message:
 * it scans hazard pointers when no slot is free, and loads the cursors when the low watermark is
 * too far behind. The thread alternates with the consumer, which has its message already. Lines are
 * owned slot by slot then (own_next): those of all slots at once would delay the next message.
 */
DATABLOCK_INLINE_COLD void datablock_inline_prepare_next(datablock_inline_producer *p) {
    if ((p->block.flags & DATABLOCK_INLINE_ROOM) != 0) {
        return;
    }
    if (p->free_count == 0) {
        datablock_inline_refill(p, false);
    }
    if (!datablock_inline_gate(p)) {
        datablock_inline_rescan(p);
    }
    (void)datablock_inline_next_entry(p);
    if ((p->expected[p->ring_index] & DATABLOCK_LAYOUT_ENTRY_FENCE) == 0) {
        datablock_inline_set_limit(p);
    }
}

/*
 * Producer.ownNext: after a message of `length` bytes, owns as much of the next slot, and its first
 * line at least. The thread alternates with the consumer and would wait for these lines in the next
 * message. In a block of big slots the next slot is not known yet.
 */
DATABLOCK_INLINE_COLD void datablock_inline_own_next(const datablock_inline_producer *p,
                                                     uint64_t length) {
    if (p->free_count != 0 && p->block.slot_size < DATABLOCK_TUNING_BIG_SLOT) {
        uint64_t bytes = length < DATABLOCK_TUNING_OWN_AHEAD ? length : DATABLOCK_TUNING_OWN_AHEAD;
        datablock_inline_own(&p->block, p->free_slots[p->free_count - 1], bytes == 0 ? 1 : bytes);
    }
}

/* The mark after the one in a slot's header, in the producer's epoch. */
DATABLOCK_INLINE_COLD uint64_t datablock_inline_mark(const datablock_inline_producer *p,
                                                     uint8_t *header) {
    uint64_t before = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM);
    return datablock_layout_claim(p->epoch, before + 1) & ~DATABLOCK_LAYOUT_CLAIM_OPEN;
}

/* Producer.Claim without waiting. False: nothing has changed, and the library has to claim. */
DATABLOCK_INLINE bool datablock_inline_claim(datablock_inline_producer *p,
                                             datablock_write_slot *out) {
    const datablock_inline_block *b = &p->block;
    const uint64_t id = p->next;
    if (DATABLOCK_UNLIKELY(p->claimed || datablock_inline_is_due(&p->clock))) {
        return false;
    }
    if (DATABLOCK_UNLIKELY(
            id >= p->fast_path_end ||
            __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH),
                            DATABLOCK_ORDER_JOIN_EPOCH) != p->acked) &&
        !datablock_inline_find_room(p)) {
        return false;
    }
    uint8_t *data = b->data;
    uint32_t left = p->free_count - 1, slot = p->free_slots[left];
    uint8_t *header = datablock_inline_header(b, slot);
    DATABLOCK_CRASH_POINT("claim.slot");
    if (DATABLOCK_UNLIKELY(!datablock_inline_is_current(p))) {
        return false;
    }
    p->free_count = left;
    p->slot = slot;
    DATABLOCK_CRASH_POINT("claim.remembered");
    uint64_t mark = p->claims[slot] + 1;
    /* unknown, or has wrapped */
    if (DATABLOCK_UNLIKELY(datablock_layout_claim_generation(mark) <= 1)) {
        mark = datablock_inline_mark(p, header);
    }
    p->claims[slot] = mark;
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CLAIM, DATABLOCK_LAYOUT_CLAIM_OPEN | mark);
    DATABLOCK_CRASH_POINT("claim.opened");
    /* The payload comes after the mark. Observers rely on this where stores are seen in order. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_SINCE, p->clock.seen);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_ID, id + 1);
    DATABLOCK_CRASH_POINT("claim.marked");
    p->claimed = 1;
    for (uint32_t k = 0;
         DATABLOCK_UNLIKELY(b->flags & DATABLOCK_INLINE_CHECKSUMS) && k < DATABLOCK_LAYOUT_HASH_LEN;
         k += 8) {
        datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CHECKSUM + k, 0);
    }
    out->data = header + DATABLOCK_LAYOUT_SLOT_HEADER;
    out->capacity = b->slot_size;
    out->id = id;
    out->index = slot;
    out->reserved = 0;
    return true;
}

DATABLOCK_INLINE void datablock_inline_unmark(const datablock_inline_producer *p, uint8_t *data,
                                              uint8_t *header, uint32_t slot) {
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CLAIM, p->claims[slot]);
    DATABLOCK_CRASH_POINT("claim.closed");
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_ID, 0);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_SINCE, 0);
}

/* True: `slot` is the open claim. */
DATABLOCK_INLINE bool datablock_inline_claimed(const datablock_inline_producer *p,
                                               const datablock_write_slot *slot) {
    return p->claimed && slot->id == p->next && slot->index == p->slot;
}

/*
 * Producer.Commit of the open claim. `length` fits the slot. `stamp` is CLOCK_REALTIME or 0. False:
 * the publication failed, and the library has to report why. The claim's marks are cleared.
 */
DATABLOCK_INLINE bool datablock_inline_commit(datablock_inline_producer *p, uint64_t length,
                                              uint64_t stamp) {
    const datablock_inline_block *b = &p->block;
    const uint64_t id = p->next;
    const uint32_t slot = p->slot;
    uint8_t *data = b->data, *header = datablock_inline_header(b, slot);
    uint64_t *place = datablock_inline_next_entry(p), *known = &p->expected[p->ring_index],
             expected = *known;
    datablock_inline_prepare(place);
    /* beyond the ring's end: a line that is not needed */
    datablock_inline_prepare(place + DATABLOCK_TUNING_LINE_ENTRIES);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_ID, id);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_LENGTH, length);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_TIMESTAMP, stamp);
    DATABLOCK_CRASH_POINT("commit.header");
    /* before the publication: afterwards the slot is the readers' */
    datablock_inline_unmark(p, data, header, slot);
    p->claimed = 0;
    DATABLOCK_CRASH_POINT("commit.unmarked");
    uint64_t entry = datablock_layout_entry(id, slot);
    if (DATABLOCK_UNLIKELY(!__atomic_compare_exchange_n(
            place, &expected, entry, false, DATABLOCK_ORDER_PUBLISH, DATABLOCK_PLAIN))) {
        return false;
    }
    DATABLOCK_CRASH_POINT("commit.published");
    uint32_t old = datablock_layout_entry_slot(expected);
    if (DATABLOCK_LIKELY(old < b->slots)) { /* false for an empty entry */
        p->retired[p->retired_count++] = old;
    }
    *known = entry;
    p->next = p->ring_next = id + 1;
    p->ring_index = datablock_inline_ring_index_after(b, p->ring_index);
    __atomic_store_n(datablock_inline_u64(data, DATABLOCK_LAYOUT_COMMIT), id + 1,
                     DATABLOCK_ORDER_COMMIT_HINT_STORE);
    DATABLOCK_CRASH_POINT("commit.hint");
    datablock_inline_count(data, DATABLOCK_LAYOUT_METRIC_WRITTEN, 1);
    datablock_inline_count(data, DATABLOCK_LAYOUT_METRIC_BYTES, length);
    return true;
}

/* True: a consumer sleeps, or is about to sleep. A wake then follows the publication. */
DATABLOCK_INLINE bool datablock_inline_sleepers(const datablock_inline_block *b) {
    return __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_WAITING),
                           DATABLOCK_ORDER_WAITING) != 0;
}

/* Producer.Abort of the open claim. */
DATABLOCK_INLINE void datablock_inline_abort(datablock_inline_producer *p) {
    datablock_inline_unmark(p, p->block.data, datablock_inline_header(&p->block, p->slot), p->slot);
    DATABLOCK_CRASH_POINT("abort.unmarked");
    p->claimed = 0;
    (void)datablock_inline_next_entry(p);
    p->fast_path_end = 0;
    /* A forced recovery may have fenced this claim. The next claim is another: load the entry. */
    p->expected[p->ring_index] |= DATABLOCK_LAYOUT_ENTRY_FENCE;
    p->free_slots[p->free_count++] = p->slot;
    datablock_inline_count(p->block.data, DATABLOCK_LAYOUT_METRIC_ABORTED, 1);
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DATABLOCK_DETAIL_PRODUCER_H */
