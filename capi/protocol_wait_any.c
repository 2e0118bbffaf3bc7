/*
 * Waiting on several blocks. The protocol is that of WaitAny in internal/core/channel. A sleeping
 * thread is inside none of the handles, so that a close need not wait for it. The kernel gets
 * addresses only, and reports an error for a mapping that is gone.
 *
 * A waker is one more word to sleep on. datablock_wake sets the word and then wakes the sleeper.
 * The wait checks the word after it has checked the consumers, and the kernel lets it sleep only
 * while the word is 0. The wait that the wake ends clears the word.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <stdio.h>
#include <string.h>

/* ns of one sleep that does not cover all words */
#define NOT_ALL_WORDS_NS UINT64_C(1000000)
#define WAITERS DBSHIM_FUTEX_MAX

typedef dbshim_waiter waiter;

/* One wait: the words that it watches, and the result of a round. */
typedef struct wait_any {
    const datablock_consumer *consumers;
    size_t count;
    bool *ready;
    bool any;
    bool entered;    /* every handle was good once */
    bool sleeping;   /* set the waiting bits before each check */
    uint32_t part;   /* flags of DATABLOCK_WAIT_PART */
    uint64_t waited; /* ns of the last sleep, which the next round adds to the counters */
    datablock_waker *waker; /* NULL: none */
    waiter events[WAITERS];
} wait_any;

typedef enum readiness { NOT_YET, READY, ASK_GO } readiness;

/* Consumer.Ready. Go handles the unusual cases. */
static readiness ready(const datablock_inline_consumer *c) {
    const datablock_inline_block *b = &c->block;
    if (!DBSHIM_FAST || c->held >= c->max_pins || !datablock_inline_owns_row(c)) {
        return ASK_GO;
    }
    uint64_t commit = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_COMMIT),
                                      DATABLOCK_ORDER_COMMIT_HINT_LOAD);
    uint64_t at = c->delivery == DATABLOCK_LAYOUT_LATEST && commit > c->next ? commit - 1 : c->next;
    uint64_t entry = __atomic_load_n(
        &b->entries[datablock_inline_ring_index(b, at, c->ring_next, c->ring_index)],
        DATABLOCK_ORDER_ENTRY);
    int64_t ahead =
        datablock_layout_entry_empty(entry) ? -1 : datablock_layout_entry_ahead(entry, at);
    if (ahead < 0) {
        uint32_t state = __atomic_load_n(datablock_inline_u32(b->data, DATABLOCK_LAYOUT_STATE),
                                         __ATOMIC_SEQ_CST);
        bool over =
            state == DATABLOCK_LAYOUT_STATE_CLOSED || state == DATABLOCK_LAYOUT_STATE_SUPERSEDED;
        return over || commit > c->next ||
                       (int64_t)(dbshim_monotonic() - c->producer_probed) >
                           DATABLOCK_TUNING_WAIT_PROBE_NS_C
                   ? ASK_GO
                   : NOT_YET;
    }
    return c->delivery == DATABLOCK_LAYOUT_LATEST &&
                   (ahead > 0 || (entry & DATABLOCK_LAYOUT_ENTRY_LOST) != 0)
               ? ASK_GO
               : READY;
}

static datablock_status look_inside(wait_any *w, size_t i) {
    dbshim_thread *thread = dbshim_self();
    datablock_inline_consumer *c = thread->shared.current->state;
    uint32_t *event = datablock_inline_u32(c->block.data, DATABLOCK_LAYOUT_EVENT);
    if (i < WAITERS) {
        w->events[i] = (waiter){.value = __atomic_load_n(event, __ATOMIC_SEQ_CST),
                                .word = event,
                                .flags = DBSHIM_FUTEX_SIZE_32};
    }
    if (w->sleeping) {
        (void)__atomic_fetch_or(datablock_inline_u64(c->block.ctl, DATABLOCK_LAYOUT_CTL_WAITING),
                                UINT64_C(1) << c->row_number % 64, __ATOMIC_SEQ_CST);
        DATABLOCK_CRASH_POINT("sleep.marked_any");
        datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_HEARTBEAT, dbshim_monotonic());
        if (w->waited != 0) {
            datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_WAIT_NS, w->waited);
        } else if ((w->part & DATABLOCK_PART_FIRST) != 0) {
            datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_WAITS, 1);
        }
    }
    readiness found = ready(c);
    w->ready[i] = found == READY;
    return found == ASK_GO
               ? DBSHIM_GO(thread, dbgo_consumer_ready(dbshim_index(w->consumers[i].handle),
                                                       &w->ready[i], thread->detail))
               : DATABLOCK_OK;
}

/* Adds to the text of an error which consumer has it. */
static datablock_status of_consumer(const wait_any *w, size_t i, datablock_status status) {
    char text[DBSHIM_DETAIL_SIZE];
    snprintf(text, sizeof text, "consumers[%zu]: %.900s", i, dbshim_detail());
    strcpy(dbshim_detail(), text);
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    return status == DATABLOCK_E_HANDLE && w->entered ? DATABLOCK_E_CLOSED : status;
}

/*
 * Checks every consumer, whatever the first one has: of two consumers that always have messages,
 * neither may starve the other.
 */
static datablock_status look_at_all(wait_any *w) {
    w->any = false;
    for (size_t i = 0; i < w->count; i++) {
        uint64_t handle = w->consumers[i].handle;
        void *state;
        datablock_status status = datablock_inline_enter(handle, DATABLOCK_INLINE_CONSUMER, &state)
                                      ? DATABLOCK_OK
                                      : dbshim_take(handle, DATABLOCK_INLINE_CONSUMER);
        if (status == DATABLOCK_OK) {
            status = dbshim_end(handle, look_inside(w, i), false);
        }
        if (status == DATABLOCK_E_CORRUPT) { /* a read reports more about this */
            w->ready[i] = true;
        } else if (status != DATABLOCK_OK) {
            return of_consumer(w, i, status);
        }
        w->any = w->any || w->ready[i];
    }
    w->entered = true;
    return DATABLOCK_OK;
}

static void sleep_on(wait_any *w, uint64_t ns) {
    const size_t most = w->waker != NULL ? WAITERS - 1 : WAITERS;
    size_t count = w->count < most ? w->count : most;
    if (w->waker != NULL) {
        w->events[count++] =
            (waiter){.value = 0, .word = &w->waker->woken, .flags = DBSHIM_FUTEX_SIZE_32};
    }
    if (w->count > most) {
        ns = ns < NOT_ALL_WORDS_NS ? ns : NOT_ALL_WORDS_NS;
    }
    if (count > 1) {
        if (dbshim_futex_wait_any(w->events, count, ns)) {
            return;
        }
        ns = ns < NOT_ALL_WORDS_NS ? ns : NOT_ALL_WORDS_NS;
    }
    dbshim_futex_wait(w->events[0].word, (uint32_t)w->events[0].value, ns);
}

static bool woken(const wait_any *w) {
    return w->waker != NULL && __atomic_exchange_n(&w->waker->woken, 0, __ATOMIC_SEQ_CST) != 0;
}

static datablock_status wait_for_one(wait_any *w, int64_t timeout_ms) {
    uint64_t until = timeout_ms == -1 || timeout_ms >= DATABLOCK_TUNING_FOREVER_MS
                         ? UINT64_MAX
                         : dbshim_monotonic() + (uint64_t)timeout_ms * 1000000;
    w->sleeping =
        timeout_ms == 0 && w->part == DATABLOCK_PART_FIRST; /* a part that only counts the wait */
    for (size_t spins = timeout_ms == 0 ? 1
                        : w->count > 1  ? 1 + DATABLOCK_TUNING_SPIN_TRIES / w->count
                                        : DATABLOCK_TUNING_SPIN_TRIES;
         spins > 0; spins--) {
        datablock_status status = look_at_all(w);
        if (status != DATABLOCK_OK || w->any || woken(w)) {
            return status;
        }
    }
    for (w->sleeping = true; timeout_ms != 0;) {
        datablock_status status = look_at_all(w);
        if (status != DATABLOCK_OK || w->any || woken(w)) {
            return status;
        }
        uint64_t now = dbshim_monotonic();
        if (now >= until) {
            break;
        }
        DATABLOCK_CRASH_POINT("sleep.any");
        sleep_on(w, until - now < DATABLOCK_TUNING_SLEEP_SLICE_NS
                        ? until - now
                        : DATABLOCK_TUNING_SLEEP_SLICE_NS);
        w->waited = dbshim_monotonic() - now;
    }
    snprintf(
        dbshim_detail(), DBSHIM_DETAIL_SIZE,
        "nothing to read within %lld ms in any of %zu blocks, the first of which is \"%.200s\"",
        (long long)timeout_ms, w->count,
        w->count > 0 ? dbshim_name(dbshim_index(w->consumers[0].handle)) : "");
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    return DATABLOCK_E_TIMEOUT;
}

static datablock_status wait_checked(const char *function, const datablock_consumer *consumers,
                                     size_t count, int64_t timeout_ms, bool *out,
                                     datablock_waker *waker) {
    if (count > 0 && (consumers == NULL || out == NULL)) {
        return dbshim_null_argument(function, consumers == NULL ? "consumers" : "ready");
    }
    if ((count == 0 && waker == NULL) || count > DATABLOCK_WAIT_ANY_MAX) {
        return dbshim_invalid("%s: count is %zu: give 1 to %d consumers", function, count,
                              DATABLOCK_WAIT_ANY_MAX);
    }
    const uint32_t part = dbshim_part_flags(timeout_ms);
    timeout_ms = dbshim_part_ms(timeout_ms);
    if (timeout_ms < -1) {
        return dbshim_invalid("%s: timeout %lld ms: use 0, -1 (for ever) or a positive time",
                              function, (long long)timeout_ms);
    }
    bool found[DATABLOCK_WAIT_ANY_MAX];
    wait_any w = {
        .consumers = consumers, .count = count, .ready = found, .waker = waker, .part = part};
    datablock_status status = wait_for_one(&w, timeout_ms);
    if (status == DATABLOCK_OK) {
        if (count > 0) {
            memcpy(out, found, count * sizeof *found);
        }
        dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    }
    return status;
}

datablock_status datablock_wait_any(const datablock_consumer *consumers, size_t count,
                                    int64_t timeout_ms, bool *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (consumers == NULL || out == NULL) {
        return dbshim_null_argument(__func__, consumers == NULL ? "consumers" : "ready");
    }
    return wait_checked(__func__, consumers, count, timeout_ms, out, NULL);
}

datablock_status datablock_wait_any_or_wake(const datablock_consumer *consumers, size_t count,
                                            int64_t timeout_ms, bool *out, datablock_waker *waker) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    return waker == NULL ? dbshim_null_argument(__func__, "waker")
                         : wait_checked(__func__, consumers, count, timeout_ms, out, waker);
}

void datablock_wake(datablock_waker *waker) {
    if (waker != NULL && __atomic_exchange_n(&waker->woken, 1, __ATOMIC_SEQ_CST) == 0) {
        dbshim_futex_wake(&waker->woken);
    }
}
