/* The consumers' part of library.h. */
#ifndef LIBRARY_CONSUMER_H
#define LIBRARY_CONSUMER_H

/* Consumer.unpin */
static inline void go_unpin(consumer *c, const datablock_inline_hold *h) {
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), 0, __ATOMIC_SEQ_CST);
    if (go_load(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING) == DATABLOCK_LAYOUT_WAIT_ANY) {
        datablock_inline_wake_producer(&c->block);
    }
}

/* Consumer.advance */
static inline void go_advance(consumer *c, uint64_t to) {
    uint64_t from = go_swap(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, to),
        awaited = go_load(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING);
    if (awaited != 0 && (awaited == DATABLOCK_LAYOUT_WAIT_ANY || (from < awaited && awaited <= to))) {
        datablock_inline_wake_producer(&c->block);
    }
}

/* Consumer.stepOver */
static inline void go_step_over(consumer *c) {
    uint64_t to = c->next;
    for (uint32_t k = 0; k < c->max_pins; k++) {
        to = c->holds[k].used && c->holds[k].in_order && c->holds[k].id < to ? c->holds[k].id : to;
    }
    if (c->delivery == DATABLOCK_LAYOUT_LOSSLESS) {
        go_advance(c, to);
    } else {
        datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, to);
    }
}

/* Consumer.hold */
static inline bool go_hold(consumer *c, const datablock_inline_hold *h, uint64_t scan, uint64_t entry, uint64_t id) {
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), (uint64_t)datablock_layout_entry_slot(entry) + 1,
                              __ATOMIC_SEQ_CST);
    if (((go_entry(&c->block, id) ^ entry) & ~DATABLOCK_LAYOUT_ENTRY_FENCE) == 0 ||
        go_load(c->block.data, DATABLOCK_LAYOUT_SCAN_EPOCH) == scan) {
        return true;
    }
    go_unpin(c, h);
    return false;
}

/* Consumer.deliver: reads what the entry published, and records the hold */
static inline status go_deliver(consumer *c, datablock_inline_hold *h, uint64_t id, uint64_t entry, bool pinned,
                                uint64_t missed, datablock_read_slot *out) {
    if (!datablock_inline_deliver(c, c->delivery, false, h, id, datablock_layout_entry_slot(entry), missed, out)) {
        return CORRUPT;
    }
    h->pinned = pinned;
    return DONE;
}

/* Consumer.jump */
static inline void go_jump(consumer *c, uint64_t further) {
    uint64_t last = c->block.slot_count - 1,
        to = go_oldest(&c->block, go_next(&c->block)) + (further < last ? further : last);
    if (to <= c->next) {
        return;
    }
    if (c->delivery == DATABLOCK_LAYOUT_ORDERED) {
        c->skipped += to - c->next;
        c->next = to;
        return;
    }
    c->next = to;
    go_step_over(c);
}

/* Consumer.nextInOrder, and what nextOrdered adds */
static inline status go_next_in_order(consumer *c, datablock_read_slot *out) {
    const block *b = &c->block;
    for (int i = 0; i < LIBRARY_TRIES; i++) {
        uint64_t scan = go_load(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), entry = go_entry(b, c->next);
        int64_t ahead = datablock_layout_entry_empty(entry) ? -1 : datablock_layout_entry_ahead(entry, c->next);
        if (ahead < 0 && go_load(b->data, DATABLOCK_LAYOUT_COMMIT) <= c->next + b->slot_count) {
            return WOULD_WAIT;
        }
        if (ahead != 0) {
            go_jump(c, c->losses * b->slot_count / 8);
            /* Go has no bound here. Higher counts change nothing, and they would add states. */
            c->losses += c->losses < 8;
            continue;
        }
        datablock_inline_hold *h = datablock_inline_free_hold(c);
        if (!go_hold(c, h, scan, entry, c->next)) {
            continue;
        }
        c->losses = 0;
        status result = go_deliver(c, h, c->next, entry, true, c->skipped, out);
        c->skipped = 0;
        return result;
    }
    return WOULD_WAIT;
}

/* Consumer.nextLossless */
static inline status go_next_lossless(consumer *c, datablock_read_slot *out) {
    const block *b = &c->block;
    if (c->join_epoch != 0 && go_load(b->data, DATABLOCK_LAYOUT_JOIN_ACK) >= c->join_epoch) {
        c->join_epoch = 0;
    }
    if (c->join_epoch != 0) {
        return go_next_in_order(c, out);
    }
    uint64_t entry = go_entry(b, c->next);
    if (c->may_jump && !datablock_layout_entry_empty(entry) && datablock_layout_entry_ahead(entry, c->next) > 0) {
        go_jump(c, 0);
        entry = go_entry(b, c->next);
    }
    if (datablock_layout_entry_empty(entry) || datablock_layout_entry_ahead(entry, c->next) < 0) {
        return WOULD_WAIT;
    }
    if (datablock_layout_entry_ahead(entry, c->next) > 0) {
        return OVERRUN;
    }
    c->may_jump = 0;
    return go_deliver(c, datablock_inline_free_hold(c), c->next, entry, false, 0, out);
}

/* Consumer.nextLatest and newest */
static inline status go_next_latest(consumer *c, datablock_read_slot *out) {
    const block *b = &c->block;
    for (int i = 0; i < LIBRARY_TRIES; i++) {
        uint64_t scan = go_load(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), next = go_next(b), least = go_oldest(b, next),
            entry = 0, id = 0;
        bool found = false;
        for (uint64_t want = next; !found && want > c->next && want > least;) {
            entry = go_entry(b, --want);
            if (!datablock_layout_entry_empty(entry)) {
                id = want + (uint64_t)datablock_layout_entry_ahead(entry, want);
                found = id >= c->next;
            }
        }
        if (!found) {
            return WOULD_WAIT;
        }
        datablock_inline_hold *h = datablock_inline_free_hold(c);
        if (go_hold(c, h, scan, entry, id)) {
            return go_deliver(c, h, id, entry, true, id - c->next, out);
        }
    }
    return WOULD_WAIT;
}

/* Consumer.tryNext */
static inline status go_look(consumer *c, datablock_read_slot *out) {
    switch (c->delivery) {
    case DATABLOCK_LAYOUT_LOSSLESS:
        return go_next_lossless(c, out);
    case DATABLOCK_LAYOUT_ORDERED:
        return go_next_in_order(c, out);
    default:
        return go_next_latest(c, out);
    }
}

/* Consumer.Next: one poll, then one round of Consumer.wait, which finds the end of the stream */
static inline status go_read(consumer *c, datablock_read_slot *out) {
    status result = go_look(c, out);
    if (result == WOULD_WAIT && ending(c)) {
        result = go_look(c, out);
        return result == WOULD_WAIT ? OVER : result;
    }
    return result;
}

/* datablock_read_begin without waiting; it does not check for the end of the stream */
static inline status try_read_begin(consumer *c, datablock_read_slot *out) {
    switch (look(c, out)) {
    case DATABLOCK_INLINE_MESSAGE:
        return DONE;
    case DATABLOCK_INLINE_NOTHING:
        return WOULD_WAIT;
    default:
        return go_look(c, out);
    }
}

/* datablock_read_begin without a bound */
static inline status read_begin(consumer *c, datablock_read_slot *out) {
    outcome found = outcome_of(look(c, out));
    while (found != FOUND) {
        if (found == PROBE) {
            c->producer_probed = dbshim_monotonic();
        } else if (found != GO_ON) {
            status result = go_read(c, out);
            if (result != WOULD_WAIT) {
                return result;
            }
        }
        found = wait_until(NULL, c, UINT64_MAX, out);
    }
    return DONE;
}

/* datablock_read_end. OVERRUN: the inline release would leave the release to Go. In all these
 * scenarios that is an error. */
static inline status read_end(consumer *c, const datablock_read_slot *slot) {
    bool wake = false, done = datablock_inline_release(c, slot, &wake);
    if (wake) {
        datablock_inline_wake_producer(&c->block);
    }
    return done ? DONE : OVERRUN;
}

/* ---- Attaching and detaching ----------------------------------------------------------------- */

typedef enum start { START_NEXT, START_OLDEST } start;

/* Stores the status together with the generation, which no other thread changes here. So each load
 * has the same size as the store. */
static inline void go_store_status(const consumer *c, uint32_t status) {
    go_store(c->row, DATABLOCK_LAYOUT_ROW_STATUS, (c->owner_word & ~UINT64_C(0xffffffff)) | status);
}

/* Segment.ClearRow. Its plain stores are relaxed ones here. A hazard pointer that is never used is
 * not cleared. */
static inline void go_clear_row(consumer *c) {
    go_mask_clear(&c->block, DATABLOCK_LAYOUT_CTL_LOSSLESS, c->row_number);
    go_mask_clear(&c->block, DATABLOCK_LAYOUT_CTL_ACTIVE, c->row_number);
    for (uint64_t k = 0; k < c->max_pins; k++) {
        go_store(c->row, DATABLOCK_LAYOUT_ROW_PINS + 8 * k, 0);
    }
    datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, 0);
    go_store_status(c, DATABLOCK_LAYOUT_ROW_FREE);
}

/* Consumer.joinLatest */
static inline void go_join_latest(consumer *c) {
    go_store(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, 0);
    go_mask_set(&c->block, DATABLOCK_LAYOUT_CTL_LOSSLESS, c->row_number);
    c->next = go_next(&c->block);
    go_advance(c, c->next);
}

/* Consumer.joinAt, of the oldest */
static inline void go_join_oldest(consumer *c) {
    c->next = go_oldest(&c->block, go_next(&c->block));
    go_store(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, c->next);
    go_mask_set(&c->block, DATABLOCK_LAYOUT_CTL_LOSSLESS, c->row_number);
    c->may_jump = 1;
    c->join_epoch =
        __atomic_add_fetch(datablock_inline_u64(c->block.ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH), 1, __ATOMIC_SEQ_CST);
}

/* OpenConsumer: takes a row and joins */
static inline void go_attach(consumer *c, start from) {
    const block *b = &c->block;
    go_clear_row(c);
    c->owner_word = ((c->owner_word >> 32) + 1) << 32 | DATABLOCK_LAYOUT_ROW_ACTIVE;
    go_store_status(c, DATABLOCK_LAYOUT_ROW_ATTACHING);
    go_mask_set(b, DATABLOCK_LAYOUT_CTL_ACTIVE, c->row_number);
    if (c->delivery != DATABLOCK_LAYOUT_LOSSLESS) {
        c->next = go_next(b);
        if (from == START_OLDEST) {
            c->next = go_oldest(b, c->next);
        } else if (c->delivery == DATABLOCK_LAYOUT_LATEST && c->next > 0 &&
                   !datablock_layout_entry_empty(go_entry(b, c->next - 1))) {
            c->next--;
        }
        go_store(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, c->next);
    } else if (from == START_OLDEST) {
        go_join_oldest(c);
    } else {
        go_join_latest(c);
    }
    go_store_status(c, DATABLOCK_LAYOUT_ROW_ACTIVE);
    if (go_load(b->data, DATABLOCK_LAYOUT_PRODUCER_WAITING) != 0) {
        datablock_inline_wake_producer(b);
    }
}

/* Consumer.detach, which releases every held message */
static inline void go_detach(consumer *c) {
    go_clear_row(c);
    if (go_load(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING) != 0) {
        datablock_inline_wake_producer(&c->block);
    }
    for (uint32_t k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
        c->holds[k].used = 0;
    }
    c->held = 0;
}

#endif
