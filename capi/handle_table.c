/*
 * The handle table. A thread takes an entry by compare-and-swap of `word`. The thread
 * that used the entry last enters without a locked instruction: see datablock_inline_enter.
 *
 *   word   [index 16][flags 4][generation 42][kind 2]: the handle, in which the flags are zero.
 *          The word is zero while no handle leads to the entry
 *
 * The generation of an entry changes when its handle is closed, so that no handle value is used
 * twice. Entry 0 belongs to no handle: it marks the table as this process's own. A forked child
 * finds the table wiped.
 *
 * MEMORY ORDERS
 *
 * A thread that takes or closes an entry (the taker) writes `word`, executes a barrier, then reads
 * the owner's `current`. The owner writes `current`, then reads `word`. At least one of the two
 * observes the other. The owner enters at each call and executes no barrier: membarrier, called by
 * the taker, orders both threads. Without membarrier the owner executes a fence (thread_state.c).
 *
 *   access                | order   | pairs with, and why
 *   ----------------------+---------+--------------------------------------------------------------
 *   current: enter        | relaxed | the barrier orders the store before the load of `word`
 *   current: leave        | release | the taker's load, which sees the call's changes; note 1
 *   current: taker's load | acquire | leave; note 1
 *   current: dbshim_take  | SC      | the closer's loads: before TAKEN is cleared; note 2
 *   word: enter           | acquire | dbshim_publish (`state`), dbshim_take (`owners`); note 3
 *   word: leave           | acquire | `current` still keeps the entry from being closed
 *   word: stores          | SC      | the stores to `current`, for one order of both; note 4
 *   owners: enter         | relaxed | comes after the load of `word`
 *   owners: store         | release | owners: other loads. The new owner's struct is complete then
 *   owners: other loads   | acquire | owners: store
 *   poison: store         | release | poison: load. The buffer is never freed; note 5
 *   poison: load          | acquire | poison: store
 *
 * 1. A taker that finds the owner in another entry reads a later store of the owner. The later
 *    store carries what the release published, by C11's rule for the stores of one thread. C++20
 *    dropped the rule; compilers and processors keep it.
 * 2. A thread that closes the handle finds TAKEN or this `current`.
 * 3. dbshim_publish stores `state` before `word`. dbshim_take stores `owners` before it clears
 *    TAKEN: a former owner that no longer sees TAKEN sees that it lost the handle.
 * 4. A forked child has one thread and wipes the table with plain stores.
 * 5. The thread inside writes the text before it sets POISONED. A reader loads `word` once more,
 *    and takes no text that may belong to another handle.
 *
 * tests/c/test_capi_handles.c tests the table, also under ThreadSanitizer. The checker in
 * tests/proof/weak has no membarrier.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = DBSHIM_ENTRIES };

#define NEXT_MASK ((UINT64_C(1) << 44) - 1) /* generation and kind */
#define KIND_MASK UINT64_C(3)
#define GENERATION UINT64_C(4)

#define TAKEN (UINT64_C(1) << 47)    /* a thread is taking the entry from its owner */
/* a thread waits for the call inside to end; no other thread may enter */
#define CLOSING (UINT64_C(1) << 46)
#define POISONED (UINT64_C(1) << 45) /* a call panicked */
#define DAMAGED (UINT64_C(1) << 44)  /* a file of the block was truncated */
#define FLAGS (TAKEN | CLOSING | POISONED | DAMAGED)

/* polls of an entry that another thread is taking: taking lasts microseconds */
enum { TAKE_POLLS = 10000 };

datablock_inline_handle_entry *dbshim_handle_table;

/*
 * The table is part of the library, so that no memory limit applies to it once the library is
 * loaded. A page of the table uses memory only when a handle leads there.
 */
enum { PAGE_AT_MOST = 1 << 16 };
static unsigned char table[ENTRIES * sizeof(datablock_inline_handle_entry) + PAGE_AT_MOST];

static dbshim_mutex lock = DBSHIM_MUTEX_INIT; /* guards the next four variables */
static uint32_t used = 1;                     /* entries that ever had a handle */
static uint32_t unused[ENTRIES];              /* entries without a handle */
static uint32_t unused_count;
/* `word` of each entry's next handle, without the kind */
static uint64_t next_word[ENTRIES];

/*
 * The text of the last panic in each entry, of DBSHIM_DETAIL_SIZE bytes. The buffers are never
 * freed: a thread that is refused reads the text while another thread closes the handle.
 */
static char *poison[ENTRIES];
static char names[ENTRIES][DATABLOCK_LAYOUT_MAX_NAME_LEN + 8];

void dbshim_table_start(void) {
    uintptr_t page = PAGE_AT_MOST; /* of any system */
    dbshim_handle_table =
        (datablock_inline_handle_entry *)(((uintptr_t)table + page - 1) & ~(page - 1));
}

/* Runs in a forked child. Async-signal-safe. */
void dbshim_table_wipe(void) {
    for (uint32_t i = 0; dbshim_handle_table != NULL && i < used; i++) {
        dbshim_handle_table[i].word = 0;
        dbshim_handle_table[i].reserved[0] = 0;
    }
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static datablock_status refuse(datablock_status status, const char *text) {
    snprintf(dbshim_detail(), DBSHIM_DETAIL_SIZE, "%s", text);
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    return status;
}

static const char *kind_name(uint64_t kind) {
    return kind == DATABLOCK_INLINE_PRODUCER   ? "producer"
           : kind == DATABLOCK_INLINE_CONSUMER ? "consumer"
           : kind == DATABLOCK_INLINE_OBSERVER ? "observer"
                                               : "";
}

static const char *n(uint64_t kind) { return kind == DATABLOCK_INLINE_OBSERVER ? "n" : ""; }

static datablock_status no_handle(uint64_t handle, uint64_t wanted) {
    char text[160];
    if (handle == 0) {
        snprintf(text, sizeof text, "the %s handle is zero: it was never opened",
                 kind_name(wanted));
    } else if ((handle & KIND_MASK) != wanted && kind_name(handle & KIND_MASK)[0] != '\0') {
        snprintf(text, sizeof text, "this is a%s %s handle, where a%s %s is needed",
                 n(handle & KIND_MASK), kind_name(handle & KIND_MASK), n(wanted),
                 kind_name(wanted));
    } else {
        snprintf(text, sizeof text, "this %s handle was closed, or never opened",
                 kind_name(wanted));
    }
    return refuse(DATABLOCK_E_HANDLE, text);
}

static datablock_status damaged(uint32_t index) {
    char text[DBSHIM_DETAIL_SIZE];
    snprintf(text, sizeof text,
             "block \"%.200s\": one of its files was truncated while in use: close, remove both "
             "by hand, and open again",
             names[index]);
    return refuse(DATABLOCK_E_CORRUPT, text);
}

static datablock_status refusal(uint32_t index, uint64_t handle, uint64_t kind, uint64_t word) {
    if ((word & ~FLAGS) != handle || (word & CLOSING) != 0) {
        return no_handle(handle, kind);
    }
    if ((word & POISONED) != 0) {
        char text[DBSHIM_DETAIL_SIZE];
        const char *what = __atomic_load_n(&poison[index], __ATOMIC_ACQUIRE);
        snprintf(text, sizeof text,
                 "an earlier call on this handle failed inside the library (%.800s): close the "
                 "handle and open again",
                 what != NULL ? what : "no memory for what it said");
        if ((__atomic_load_n(&dbshim_handle_table[index].word, __ATOMIC_ACQUIRE) & ~FLAGS) !=
            handle) {
            /* closed meanwhile: the text may belong to another handle */
            return no_handle(handle, kind);
        }
        return refuse(DATABLOCK_E_PANIC, text);
    }
    if ((word & DAMAGED) != 0) {
        return damaged(index);
    }
    return refuse(
        DATABLOCK_E_BUSY,
        "another thread is in a call on this handle: a handle may be used by one thread at a time");
}

const char *dbshim_name(uint32_t index) { return names[index]; }

/* ---- Opening --------------------------------------------------------------------------------- */

/* Blocks signals: a signal handler that opens or closes a handle would wait for its own thread. */
static void lock_table(dbshim_mask *mask) {
    dbshim_block_signals(mask);
    dbshim_lock(&lock);
}

static void unlock_table(const dbshim_mask *mask) {
    dbshim_unlock(&lock);
    dbshim_restore_signals(mask);
}

static datablock_status no_memory(void) {
    return refuse(DATABLOCK_E_SYSTEM, "no memory for this thread's part of the library");
}

datablock_status dbshim_reserve(uint64_t kind, uint64_t *handle) {
    if (dbshim_self() == NULL) {
        return no_memory();
    }
    dbshim_mask mask;
    lock_table(&mask);
    uint32_t index = 0;
    if (unused_count > 0) {
        index = unused[--unused_count];
    } else if (used < ENTRIES) {
        index = used++;
        next_word[index] = GENERATION;
    }
    uint64_t word = next_word[index];
    unlock_table(&mask);
    if (index == 0) {
        return refuse(
            DATABLOCK_E_SYSTEM,
            "this process has 65535 open handles, and that is all there can be: close some");
    }
    *handle = (uint64_t)index << DATABLOCK_INLINE_INDEX_SHIFT | word | kind;
    return DATABLOCK_OK;
}

/* The system allowed membarrier once and refuses it now: a seccomp filter was set meanwhile. */
static datablock_status no_barrier(void) {
    return refuse(DATABLOCK_E_SYSTEM,
                  "membarrier is refused since this process first used it (by a seccomp "
                  "filter?), and without it no thread can take a handle over from another: use and "
                  "close the handle in the "
                  "thread that used it last, or allow membarrier");
}

static datablock_inline_thread **owner_of(datablock_inline_handle_entry *entry, uint64_t handle) {
    return &entry->owners[handle & KIND_MASK];
}

void dbshim_publish(uint64_t handle, void *state, const char *name) {
    uint32_t index = dbshim_index(handle);
    datablock_inline_handle_entry *entry = &dbshim_handle_table[index];
    snprintf(names[index], sizeof names[index], "%s", dbshim_last_name(name));
    entry->state = state;
    for (uint64_t kind = 0; kind <= KIND_MASK; kind++) {
        __atomic_store_n(owner_of(entry, kind),
                         kind == (handle & KIND_MASK) ? &dbshim_self()->shared : NULL,
                         __ATOMIC_RELEASE);
    }
    __atomic_store_n(&entry->word, handle, __ATOMIC_SEQ_CST);
}

/*
 * Gives the entry of a reserved or closed handle to the next handle. An entry whose generations are
 * used up is never used again.
 */
void dbshim_withdraw(uint64_t handle) {
    uint32_t index = dbshim_index(handle);
    uint64_t next = ((handle & NEXT_MASK) | KIND_MASK) + 1;
    if (next > NEXT_MASK) {
        return;
    }
    dbshim_mask mask;
    lock_table(&mask);
    next_word[index] = next;
    unused[unused_count++] = index;
    unlock_table(&mask);
}

/* ---- Using ----------------------------------------------------------------------------------- */

/* Marks the thread as outside again. */
static datablock_status outside(dbshim_thread *thread, datablock_status status) {
    __atomic_store_n(&thread->shared.current, NULL, __ATOMIC_RELEASE);
    return status;
}

datablock_status dbshim_take(uint64_t handle, uint64_t kind) {
    dbshim_thread *thread = dbshim_self();
    uint32_t index = dbshim_index(handle);
    datablock_inline_handle_entry *entry = &dbshim_handle_table[index];
    if (thread == NULL) {
        return no_memory();
    }
    if ((handle & KIND_MASK) != kind || (handle & FLAGS) != 0) {
        return no_handle(handle, kind);
    }
    /*
     * From here on the thread is inside, also for its signal handlers. A close in a handler would
     * wait for TAKEN, and so for the thread that the handler interrupts.
     */
    __atomic_store_n(&thread->shared.current, entry, __ATOMIC_SEQ_CST);
    uint64_t found = handle;
    for (int tries = 0; !__atomic_compare_exchange_n(&entry->word, &found, handle | TAKEN, false,
                                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
         tries++) {
        if (found != (handle | TAKEN) || tries == TAKE_POLLS) {
            return outside(thread, refusal(index, handle, kind, found));
        }
        /*
         * another thread takes the entry or is refused. If both were refused, none would be inside
         */
        dbshim_yield();
        found = handle;
    }
    datablock_inline_thread *owner = __atomic_load_n(owner_of(entry, handle), __ATOMIC_ACQUIRE);
    if (owner != &thread->shared) {
        if (!dbshim_barrier()) { /* else the owner has set `current` by now, or will see TAKEN */
            __atomic_and_fetch(&entry->word, ~TAKEN, __ATOMIC_SEQ_CST);
            return outside(thread, no_barrier());
        }
        if (__atomic_load_n(&owner->current, __ATOMIC_ACQUIRE) == entry) {
            found = __atomic_and_fetch(&entry->word, ~TAKEN, __ATOMIC_SEQ_CST);
            return outside(thread, (found & CLOSING) != 0 ? no_handle(handle, kind)
                                                          : refusal(index, handle, kind, handle));
        }
        __atomic_store_n(owner_of(entry, handle), &thread->shared, __ATOMIC_RELEASE);
    }
    found = __atomic_and_fetch(&entry->word, ~TAKEN, __ATOMIC_SEQ_CST);
    return (found & CLOSING) != 0 ? outside(thread, no_handle(handle, kind)) : DATABLOCK_OK;
}

datablock_status dbshim_leave(datablock_status status, bool begins_slot) {
    datablock_inline_thread *thread = &dbshim_self()->shared;
    uint32_t index = (uint32_t)(thread->current - dbshim_handle_table);
    uint64_t word = __atomic_load_n(&thread->current->word, __ATOMIC_ACQUIRE);
    __atomic_store_n(&thread->current, NULL, __ATOMIC_RELEASE);
    if ((word & DAMAGED) != 0) {
        return damaged(index);
    }
    if ((word & CLOSING) != 0 && begins_slot && status == DATABLOCK_OK) {
        return refuse(DATABLOCK_E_CLOSED, "the handle is being closed by another thread");
    }
    if (status == DATABLOCK_OK) {
        /* a signal handler that was refused meanwhile has left a text */
        thread->failed = DATABLOCK_INLINE_SUCCEEDED;
    } else if (thread->failed == DATABLOCK_INLINE_SUCCEEDED) {
        /* a signal handler succeeded before the thread was inside */
        thread->failed = DATABLOCK_INLINE_FAILED;
    }
    return status;
}

void dbshim_poison(uint64_t handle, const char *text) {
    uint32_t index = dbshim_index(handle);
    if (poison[index] == NULL) {
        __atomic_store_n(&poison[index], calloc(1, DBSHIM_DETAIL_SIZE), __ATOMIC_RELEASE);
    }
    if (poison[index] != NULL) {
        snprintf(poison[index], DBSHIM_DETAIL_SIZE, "%s", text);
    }
    __atomic_or_fetch(&dbshim_handle_table[index].word, POISONED, __ATOMIC_SEQ_CST);
}

void dbshim_damage(datablock_inline_handle_entry *entry) {
    __atomic_or_fetch(&entry->word, DAMAGED, __ATOMIC_SEQ_CST);
}

void dbshim_damage_current(void) {
    dbshim_thread *thread = dbshim_self_if_any();
    if (thread != NULL && thread->shared.current != NULL) {
        dbshim_damage(thread->shared.current);
    }
}

bool dbshim_is_closing(const datablock_inline_handle_entry *entry) {
    return (__atomic_load_n(&entry->word, __ATOMIC_ACQUIRE) & CLOSING) != 0;
}

bool dbshim_is_damaged(const datablock_inline_handle_entry *entry) {
    return (__atomic_load_n(&entry->word, __ATOMIC_ACQUIRE) & DAMAGED) != 0;
}

/* ---- Closing --------------------------------------------------------------------------------- */

/* Makes a waiting call return. A wait may begin after the wake-up: the caller repeats the call. */
static void interrupt(datablock_inline_handle_entry *entry, uint64_t kind) {
    if (kind == DATABLOCK_INLINE_PRODUCER) {
        datablock_inline_producer *p = entry->state;
        __atomic_store_n(&p->interrupted, 1, __ATOMIC_SEQ_CST);
        dbshim_futex_wake(datablock_inline_u32(p->block.ctl, DATABLOCK_LAYOUT_CTL_WAKE));
    } else if (kind == DATABLOCK_INLINE_CONSUMER) { /* an observer never waits */
        datablock_inline_consumer *c = entry->state;
        __atomic_store_n(&c->interrupted, 1, __ATOMIC_SEQ_CST);
        dbshim_futex_wake(datablock_inline_u32(c->block.data, DATABLOCK_LAYOUT_EVENT));
    }
}

datablock_status dbshim_take_to_close(uint64_t handle, uint64_t kind) {
    dbshim_thread *thread = dbshim_self();
    datablock_inline_handle_entry *entry = &dbshim_handle_table[dbshim_index(handle)];
    uint64_t word = __atomic_load_n(&entry->word, __ATOMIC_ACQUIRE);
    bool own = (word & ~FLAGS) == handle &&
               __atomic_load_n(owner_of(entry, handle), __ATOMIC_ACQUIRE) == &thread->shared;
    if ((word & ~FLAGS) == handle && !own && !dbshim_barrier()) { /* before anything is changed */
        return no_barrier();
    }
    do {
        if ((handle & KIND_MASK) != kind || (word & ~FLAGS) != handle || (word & CLOSING) != 0) {
            return no_handle(handle, kind);
        }
    } while (!__atomic_compare_exchange_n(&entry->word, &word, word | CLOSING, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    if (!dbshim_barrier() &&
        __atomic_load_n(owner_of(entry, handle), __ATOMIC_ACQUIRE) != &thread->shared) {
        __atomic_and_fetch(&entry->word, ~CLOSING, __ATOMIC_SEQ_CST);
        return no_barrier();
    }
    for (long pause = 1000;; pause = pause < 1000000 ? 2 * pause : pause) {
        bool taken = (__atomic_load_n(&entry->word, __ATOMIC_SEQ_CST) & TAKEN) != 0;
        datablock_inline_thread *owner = __atomic_load_n(owner_of(entry, handle), __ATOMIC_ACQUIRE);
        if (!taken && __atomic_load_n(&owner->current, __ATOMIC_ACQUIRE) != entry) {
            interrupt(entry, kind); /* a datablock_wait_any sleeps outside */
            return DATABLOCK_OK;
        }
        interrupt(entry, kind);
        dbshim_pause((uint64_t)pause);
    }
}

void dbshim_vacate(uint64_t handle) {
    uint32_t index = dbshim_index(handle);
    datablock_inline_handle_entry *entry = &dbshim_handle_table[index];
    entry->state = NULL;
    __atomic_store_n(&entry->word, 0, __ATOMIC_SEQ_CST);
    dbshim_withdraw(handle);
}
