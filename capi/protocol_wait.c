/*
 * Waiting for a message. The ordinary case stays in C: every entry into Go keeps the Go scheduler
 * awake for a while, and a program that mostly waits would notice that. The protocol is that of
 * Consumer.wait in internal/core/channel.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

/* Pairs with the sleepers: a sleeper sets its bit and then polls again. */
void datablock_inline_wake_consumers(const datablock_inline_block *block) {
    (void)__atomic_exchange_n(datablock_inline_u64(block->ctl, DATABLOCK_LAYOUT_CTL_WAITING), 0,
                              __ATOMIC_SEQ_CST);
    DATABLOCK_CRASH_POINT("commit.unwaited");
    uint32_t *event = datablock_inline_u32(block->data, DATABLOCK_LAYOUT_EVENT);
    __atomic_add_fetch(event, 1, __ATOMIC_SEQ_CST);
    DATABLOCK_CRASH_POINT("wake.consumers");
    dbshim_futex_wake(event);
}

void datablock_inline_wake_producer(const datablock_inline_block *block) {
    uint32_t *wake = datablock_inline_u32(block->ctl, DATABLOCK_LAYOUT_CTL_WAKE);
    __atomic_add_fetch(wake, 1, __ATOMIC_SEQ_CST);
    DATABLOCK_CRASH_POINT("wake.producer");
    dbshim_futex_wake(wake);
}

static datablock_inline_found look(datablock_inline_consumer *c, datablock_read_slot *out) {
    bool wake = false;
    datablock_inline_found found =
        datablock_inline_next(c, datablock_inline_compares(&c->block), out, &wake);
    if (wake) {
        datablock_inline_wake_producer(&c->block);
    }
    return found;
}

/* The result of a wait. ASK_GO: an unusual case, or the end of the stream. */
typedef enum { GO_ON, FOUND, ASK_GO, PROBE, EXPIRED } outcome;

static outcome outcome_of(datablock_inline_found found) {
    return found == DATABLOCK_INLINE_MESSAGE ? FOUND
           : found == DATABLOCK_INLINE_SLOW  ? ASK_GO
                                             : GO_ON;
}

static bool ending(const datablock_inline_consumer *c) {
    uint32_t state = __atomic_load_n(datablock_inline_u32(c->block.data, DATABLOCK_LAYOUT_STATE),
                                     __ATOMIC_SEQ_CST);
    return state == DATABLOCK_LAYOUT_STATE_CLOSED || state == DATABLOCK_LAYOUT_STATE_SUPERSEDED;
}

/* One round of an event count: set the waiting bit, check everything again, sleep. */
static outcome sleep_once(const datablock_inline_handle_entry *entry, datablock_inline_consumer *c,
                          uint64_t until, datablock_read_slot *out) {
    const datablock_inline_block *b = &c->block;
    uint32_t *event = datablock_inline_u32(b->data, DATABLOCK_LAYOUT_EVENT);
    if (__atomic_load_n(&c->interrupted, __ATOMIC_SEQ_CST) || dbshim_is_damaged(entry)) {
        return ASK_GO;
    }
    uint32_t seen = __atomic_load_n(event, __ATOMIC_SEQ_CST);
    (void)__atomic_fetch_or(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_WAITING),
                            UINT64_C(1) << c->row_number % 64, __ATOMIC_SEQ_CST);
    DATABLOCK_CRASH_POINT("sleep.marked");
    if (ending(c)) {
        return ASK_GO;
    }
    outcome found = outcome_of(look(c, out));
    if (found != GO_ON) {
        return found;
    }
    uint64_t now = dbshim_monotonic();
    if (now >= until) {
        return EXPIRED;
    }
    if ((int64_t)(now - c->producer_probed) > DATABLOCK_TUNING_WAIT_PROBE_NS_C) {
        return PROBE;
    }
    DATABLOCK_CRASH_POINT("sleep.consumer");
    dbshim_futex_wait(event, seen,
                      until - now < DATABLOCK_TUNING_SLEEP_SLICE_NS
                          ? until - now
                          : DATABLOCK_TUNING_SLEEP_SLICE_NS);
    datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_HEARTBEAT, dbshim_monotonic());
    return GO_ON;
}

static outcome wait_until(const datablock_inline_handle_entry *entry, datablock_inline_consumer *c,
                          uint64_t until, datablock_read_slot *out) {
    outcome result = GO_ON;
    uint64_t start = dbshim_monotonic();
    while (result == GO_ON) {
        result = sleep_once(entry, c, until, out);
    }
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_WAIT_NS, dbshim_monotonic() - start);
    return result;
}

/*
 * Housekeeping of a reader. A reader that sleeps between messages writes its heartbeat while it
 * sleeps, and needs no housekeeping.
 */
static void look_around(dbshim_thread *thread, uint32_t index, datablock_inline_consumer *c) {
    if (!datablock_inline_is_due(&c->clock)) {
        return;
    }
    if (!dbshim_begin_turn(&c->clock)) {
        (void)DBSHIM_GO(thread, dbgo_read_look_around(index, thread->detail));
    } else if (datablock_inline_owns_row(c)) {
        datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_HEARTBEAT, c->clock.seen);
    }
}

/* A read that does not wait and finds nothing. A program may poll so millions of times. */
static outcome idle(dbshim_thread *thread, uint32_t index, datablock_inline_consumer *c,
                    uint32_t part) {
    if (ending(c) ||
        (int64_t)(dbshim_monotonic() - c->producer_probed) > DATABLOCK_TUNING_POLL_PROBE_NS) {
        return ASK_GO;
    }
    look_around(thread, index, c);
    if ((part & DATABLOCK_PART_LAST) != 0) {
        datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_TIMEOUTS, 1);
    }
    thread->shared.idle = index;
    thread->shared.failed = c->producer_there ? DATABLOCK_INLINE_IDLE : DATABLOCK_INLINE_ORPHANED;
    return EXPIRED;
}

/* A waiting reader has found a message: there is no back-off before its next poll. */
static datablock_status found_one(datablock_inline_consumer *c) {
    c->near_producer = c->polling = 0;
    return DATABLOCK_OK;
}

/* Milliseconds until a time, rounded up. */
static int64_t left(uint64_t until) {
    uint64_t now = dbshim_monotonic();
    return until == UINT64_MAX ? -1
           : now >= until      ? 0
                               : (int64_t)((until - now + 999999) / 1000000);
}

/* What is left of a timeout. Go reports an invalid one. */
static int64_t rest(int64_t timeout_ms, uint64_t until) {
    return timeout_ms < -1 ? timeout_ms
           : dbshim_is_part(timeout_ms)
               ? DATABLOCK_WAIT_PART(left(until), dbshim_part_flags(timeout_ms))
               : left(until);
}

/* The read in Go, in steps: the thread sleeps here between the steps. */
static datablock_status read_in_go(dbshim_thread *thread, uint32_t index, int64_t timeout_ms,
                                   bool counted, datablock_read_slot *out) {
    dbshim_sleep sleep = {.counted = counted};
    int status;
    do {
        status = DBSHIM_GO(thread, dbgo_read_begin(index, timeout_ms, out, &sleep, thread->detail));
    } while (dbshim_slept(&sleep, status));
    return (datablock_status)status;
}

datablock_status dbshim_read(dbshim_thread *thread, uint32_t index, int64_t timeout_ms,
                             datablock_read_slot *out) {
    datablock_inline_consumer *c = thread->shared.current->state;
    if (!DBSHIM_FAST) {
        return read_in_go(thread, index, timeout_ms, false, out);
    }
    const uint32_t part = dbshim_part_flags(timeout_ms);
    const int64_t ms = dbshim_part_ms(timeout_ms);
    if (ms == 0) {
        outcome result = outcome_of(look(c, out));
        if (result == GO_ON) {
            result = idle(thread, index, c, part);
        }
        if (result == EXPIRED) {
            return c->producer_there ? DATABLOCK_E_TIMEOUT : DATABLOCK_E_NO_PRODUCER;
        }
        if (result == FOUND) {
            look_around(thread, index, c);
        }
        return result == FOUND ? found_one(c) : read_in_go(thread, index, timeout_ms, false, out);
    }
    uint64_t until = ms == -1 || ms >= DATABLOCK_TUNING_FOREVER_MS
                         ? UINT64_MAX
                         : dbshim_monotonic() + (uint64_t)ms * 1000000;
    bool counted = (part & DATABLOCK_PART_FIRST) == 0;
    outcome result = timeout_ms < -1 ? ASK_GO : GO_ON; /* Go reports the invalid timeout */
    for (int i = 0; result == GO_ON && i < DATABLOCK_TUNING_SPIN_TRIES; i++) {
        result = outcome_of(look(c, out));
    }
    if (result == FOUND) {
        look_around(thread, index, c);
    }
    for (;;) {
        datablock_status status;
        bool found;
        if (result == GO_ON) {
            if (!counted) { /* one call is one wait, however often it probes for the producer */
                datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_WAITS, 1);
                counted = true;
            }
            result = wait_until(thread->shared.current, c, until, out);
        }
        switch (result) {
        case FOUND: return found_one(c);
        case EXPIRED:
            return DBSHIM_GO(thread, dbgo_read_conclude(index, timeout_ms, out, thread->detail));
        case PROBE:
            status = DBSHIM_GO(thread, dbgo_read_probe(index, out, &found, thread->detail));
            if (status != DATABLOCK_OK || found) {
                return status;
            }
            result = GO_ON;
            break;
        default: return read_in_go(thread, index, rest(timeout_ms, until), counted, out);
        }
    }
}
