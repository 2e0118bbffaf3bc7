/*
 * A forced replacer sets the state and fences the next entry while the producer writes. Nothing may
 * be published behind the fence. A reader (READER: its delivery) that gets SUPERSEDED must have
 * read every message.
 */
#include "block.h"

#ifndef READER
#define READER 0
#endif
#ifndef ABORTS
#define ABORTS 0 /* 1: the producer aborts the first claim of message ABORTED */
#endif
#define ABORTED 2

static struct {
    uint64_t fenced; /* the id of the fenced message */
    uint64_t had;    /* the reader's next id when it got SUPERSEDED */
} told;

static void write_on(void) {
    bool aborted = false;
    while (writer.next < MESSAGES) {
        datablock_write_slot slot;
        status result = write_begin(&writer, false, &slot);
        if (result == WOULD_WAIT) {
            continue;
        }
        if (result == SUPERSEDED) {
            return;
        }
        weak_check(result == DONE, "a claim says %d", result);
        if (ABORTS && slot.id == ABORTED && !aborted) {
            aborted = true;
            datablock_inline_abort(&writer);
            continue;
        }
        fill(&slot);
        result = write_commit(&writer, 8);
        weak_check(result == DONE || result == FENCED || result == SUPERSEDED, "a commit says %d", result);
    }
}

/* Segment.Supersede and FenceNext */
static void replace(void) {
    const block b = plain_block();
    uint32_t *state = datablock_inline_u32(b.data, DATABLOCK_LAYOUT_STATE), before = DATABLOCK_LAYOUT_STATE_READY;
    (void)__atomic_compare_exchange_n(state, &before, DATABLOCK_LAYOUT_STATE_REPLACING, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST);
    for (;;) {
        uint64_t next = go_next(&b), entry = go_entry(&b, next);
        if (!datablock_layout_entry_empty(entry) && datablock_layout_entry_ahead(entry, next) >= 0) {
            continue;
        }
        if (__atomic_compare_exchange_n(entry_of(&b, next), &entry, entry | DATABLOCK_LAYOUT_ENTRY_FENCE, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            told.fenced = next;
            break;
        }
    }
    __atomic_store_n(state, DATABLOCK_LAYOUT_STATE_SUPERSEDED, __ATOMIC_SEQ_CST);
}

/* Polls. A sleeper makes the same checks after a wake-up. */
static void read_on(void) {
    consumer *c = &reader[1];
    for (;;) {
        datablock_read_slot slot;
        uint64_t expected = c->next;
        status result = try_read_begin(c, &slot);
        if (result == WOULD_WAIT) {
            result = go_read(c, &slot);
        }
        if (result == WOULD_WAIT) {
            continue;
        }
        if (result == OVER) {
            break;
        }
        weak_check(result == DONE, "the reader is told %d", result);
        check_turn(c, &slot, expected);
        look_and_release(c, &slot);
    }
    told.had = c->next;
}

void setup(void) {
    block_begin();
    weak_private(&told, sizeof told);
    weak_thread("producer", write_on);
    weak_thread("replacer", replace);
    if (READER) {
        block_attached(1, READER);
        weak_thread("reader", read_on);
    }
}

void finish(void) {
    weak_check(writer.next <= told.fenced, "message %llu is published behind the fence at %llu", (ull)writer.next - 1,
               (ull)told.fenced);
    weak_check(!READER || told.had == writer.next, "the reader was told that all was over and has not had message %llu",
               (ull)told.had);
}
