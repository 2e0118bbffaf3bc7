/* The producer's part of library.h. */
#ifndef LIBRARY_PRODUCER_H
#define LIBRARY_PRODUCER_H

/* Segment.Ending */
static inline bool go_ending(const producer *p) {
    uint32_t state = go_load32(p->block.data, DATABLOCK_LAYOUT_STATE);
    return state == DATABLOCK_LAYOUT_STATE_REPLACING || state == DATABLOCK_LAYOUT_STATE_SUPERSEDED;
}

/* Producer.gate, rescan and clamped: the backpressure check */
static inline bool go_gate(producer *p) {
    const block *b = &p->block;
    uint64_t epoch = go_load(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH);
    if (p->scanned && epoch == p->acked && p->next - p->min_cursor < b->slot_count) {
        return true;
    }
    p->min_cursor = p->next;
    uint64_t set = go_load(b->ctl, DATABLOCK_LAYOUT_CTL_LOSSLESS) & b->row_mask[0];
    for (; set != 0; set &= set - 1) {
        uint64_t cursor = go_load(row_of(b, (uint32_t)__builtin_ctzll(set)), DATABLOCK_LAYOUT_ROW_CURSOR);
        int64_t behind = (int64_t)(p->next - cursor),
            furthest = (int64_t)(p->next < b->slot_count ? p->next : b->slot_count);
        cursor = behind < 0 ? p->next : behind > furthest ? p->next - (uint64_t)furthest : cursor;
        p->min_cursor = cursor < p->min_cursor ? cursor : p->min_cursor;
    }
    p->fast_path_end = 0;
    p->scanned = 1;
    if (epoch != p->acked || go_load(b->data, DATABLOCK_LAYOUT_JOIN_ACK) != epoch) {
        go_store(b->data, DATABLOCK_LAYOUT_JOIN_ACK, epoch);
        p->acked = epoch;
    }
    return p->next - p->min_cursor < b->slot_count;
}

/* Producer.hasSlot and refill */
static inline bool go_has_slot(producer *p) {
    const block *b = &p->block;
    if (p->free_count == 0) {
        (void)__atomic_add_fetch(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), 1, __ATOMIC_SEQ_CST);
        uint64_t pinned = 0; /* blocks have fewer than 64 slots here */
        uint64_t set = go_load(b->ctl, DATABLOCK_LAYOUT_CTL_ACTIVE) & b->row_mask[0];
        for (; set != 0; set &= set - 1) {
            for (uint64_t k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
                uint64_t pin = go_load(row_of(b, (uint32_t)__builtin_ctzll(set)), DATABLOCK_LAYOUT_ROW_PINS + 8 * k);
                pinned |= pin != 0 && pin <= b->slots ? UINT64_C(1) << (pin - 1) : 0;
            }
        }
        uint32_t kept = 0;
        for (uint32_t i = p->retired_count; i-- != 0;) {
            if ((pinned >> p->retired[i] & 1) == 0) {
                p->free_slots[p->free_count++] = p->retired[i];
            }
        }
        for (uint32_t i = 0; i < p->retired_count; i++) {
            if (pinned >> p->retired[i] & 1) {
                p->retired[kept++] = p->retired[i];
            }
        }
        p->retired_count = kept;
    }
    return p->free_count != 0;
}

/* Producer.awaited */
static inline uint64_t go_awaited(const producer *p) {
    return p->next - p->min_cursor >= p->block.slot_count ? p->next - p->block.slot_count + 1
        : DATABLOCK_LAYOUT_WAIT_ANY;
}

/* Producer.waitForRoom */
static inline status go_wait_for_room(producer *p) {
    const block *b = &p->block;
    uint32_t *ctl_wake = datablock_inline_u32(b->ctl, DATABLOCK_LAYOUT_CTL_WAKE);
    status result = DONE;
    for (;;) {
        if (go_ending(p)) {
            result = SUPERSEDED;
            break;
        }
        uint32_t wake = __atomic_load_n(ctl_wake, __ATOMIC_SEQ_CST);
        go_store(b->data, DATABLOCK_LAYOUT_PRODUCER_WAITING, go_awaited(p));
        if (go_gate(p) && go_has_slot(p)) {
            break;
        }
        dbshim_futex_wait(ctl_wake, wake, DATABLOCK_TUNING_SLEEP_SLICE_NS);
    }
    go_store(b->data, DATABLOCK_LAYOUT_PRODUCER_WAITING, 0);
    return result;
}

/* Producer.place */
static inline uint32_t go_place(const producer *p) { return (uint32_t)(p->next % p->block.slot_count); }

/* Producer.resyncEntry */
static inline bool go_look_at(producer *p) {
    uint64_t *at = entry_of(&p->block, p->next);
    for (;;) {
        uint64_t entry = __atomic_load_n(at, __ATOMIC_SEQ_CST), clear = entry & ~DATABLOCK_LAYOUT_ENTRY_FENCE;
        if (!datablock_layout_entry_empty(entry) && datablock_layout_entry_ahead(entry, p->next) >= 0) {
            return false;
        }
        if (entry == clear ||
            __atomic_compare_exchange_n(at, &entry, clear, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            p->expected[go_place(p)] = clear;
            return true;
        }
    }
}

/* Producer.invalidateFastPath */
static inline void go_forget(producer *p) {
    p->expected[go_place(p)] |= DATABLOCK_LAYOUT_ENTRY_FENCE;
    p->fast_path_end = 0;
}

/* Producer.prepareClaim and Claim: loads the entry, then the state */
static inline bool go_remember(producer *p) {
    return ((p->expected[go_place(p)] & DATABLOCK_LAYOUT_ENTRY_FENCE) == 0 || go_look_at(p)) && !go_ending(p) &&
           go_load(p->block.data, DATABLOCK_LAYOUT_EPOCH) == p->epoch;
}

/* Producer.Claim. The inline claim was the check before the first sleep. */
static inline status go_claim(producer *p, bool wait, datablock_write_slot *out) {
    p->slow_path_pending = 0;
    status result = DONE;
    if (wait) {
        result = go_wait_for_room(p);
    } else if (!go_gate(p) || !go_has_slot(p)) {
        result = go_ending(p) ? SUPERSEDED : WOULD_WAIT;
    }
    if (result != DONE) {
        return result;
    }
    uint64_t slots = p->next + p->free_count, gate = p->min_cursor + p->block.slot_count;
    p->fast_path_end = slots < gate ? slots : gate;
    if (!go_remember(p)) {
        go_forget(p);
        return SUPERSEDED;
    }
    p->slot = p->free_slots[--p->free_count];
    uint8_t *header = datablock_inline_header(&p->block, p->slot);
    uint64_t before = p->claims[p->slot] != 0 ? p->claims[p->slot]
        : datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM);
    uint64_t mark = datablock_layout_claim(p->epoch, datablock_layout_claim_generation(before) + 1);
    p->claims[p->slot] = mark & ~(UINT64_C(1) << 63);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CLAIM, mark);
    p->claimed = 1;
    *out = (datablock_write_slot){.data = datablock_inline_payload(&p->block, p->slot), .capacity = p->block.slot_size,
        .id = p->next, .index = p->slot};
    return DONE;
}

/* Producer.Commit of a claim whose inline commit has failed. Nothing sets LOST here, so this
 * publish fails as well. */
static inline status go_commit(producer *p) {
    uint64_t expected = p->expected[go_place(p)];
    datablock_inline_unmark(p, p->block.data, datablock_inline_header(&p->block, p->slot), p->slot);
    if (__atomic_compare_exchange_n(entry_of(&p->block, p->next), &expected, datablock_layout_entry(p->next, p->slot),
                                    false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        return CORRUPT;
    }
    p->claimed = 0;
    go_forget(p);
    p->free_slots[p->free_count++] = p->slot;
    return go_ending(p) ? SUPERSEDED : FENCED;
}

/* Producer.Close of the stream: sets CLOSED and wakes all consumers (Segment.WakeConsumers) */
static inline void go_close(producer *p) {
    uint32_t ready = DATABLOCK_LAYOUT_STATE_READY;
    uint32_t *event = datablock_inline_u32(p->block.data, DATABLOCK_LAYOUT_EVENT);
    (void)__atomic_compare_exchange_n(datablock_inline_u32(p->block.data, DATABLOCK_LAYOUT_STATE), &ready,
                                      DATABLOCK_LAYOUT_STATE_CLOSED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    (void)__atomic_add_fetch(event, 1, __ATOMIC_SEQ_CST);
    dbshim_futex_wake(event);
}

/* datablock_write_begin, without a bound or without waiting */
static inline status write_begin(producer *p, bool wait, datablock_write_slot *out) {
    return datablock_inline_claim(p, out) ? DONE : go_claim(p, wait, out);
}

/* datablock_write_commit */
static inline status write_commit(producer *p, uint64_t length) {
    if (!datablock_inline_commit(p, length, 0)) {
        return go_commit(p);
    }
    if (datablock_inline_sleepers(&p->block)) {
        datablock_inline_wake_consumers(&p->block);
    }
    return DONE;
}

#endif
