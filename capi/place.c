/*
 * The table of handles. A place is taken by compare-and-swap of its word; datablock_inline_enter says how the thread that used it last gets in without.
 *
 *   word   the handle, with flags where that has none: [index 16][flags 4][generation 42][kind 2]; zero while no handle leads here
 *
 * A place changes its generation when its handle is closed, so that no value is ever given out twice. Place 0 leads nowhere: it says that the table is this process's own. A forked
 * child finds the table wiped.
 *
 * Memory orders. Who takes or closes a place writes to `word`, makes a barrier, and reads the owner's `current`; the owner writes to `current` and reads `word`. One of the two sees the other. The owner
 * passes at each call, and has no instruction for it: the barrier of the other one is for both (membarrier; without it the owner fences, see thread.c). So:
 *
 *   current   entering: relaxed, the barrier puts it before the load of `word`. Leaving: a release, of what the call has done to the state, to the acquire of who finds that nobody is inside; where that
 *             finds the owner in another place already, it reads a later store of the owner's, and has what the release gave away by C11's rule for stores of one thread (C++20 dropped it; compilers
 *             and processors keep it). dbshim_take's own: sequentially consistent, before TAKEN is taken back, so that who closes finds one of the two
 *   word      entering: an acquire, of the state that dbshim_publish has set before it, and, where a place has changed its owner, of `owners`, which dbshim_take has set before it took TAKEN back: a
 *             former owner that finds no TAKEN any more finds that it is not the owner. Leaving: an acquire, while `current` still keeps the place from being closed. Writes: sequentially consistent, for
 *             their order with those to `current`. (A forked child, alone, wipes the table with plain ones)
 *   owners    entering: relaxed, behind `word`. The others: an acquire, of the new owner's struct, which it has filled before it put itself there with a release
 *   poison    the buffer: set with a release, loaded with an acquire, never freed. Its text is written before POISONED is set, by the thread that is inside; a reader looks at `word` once more, and
 *             takes nothing that may be another handle's
 *
 * tests/c/test_capi_handles.c runs it, also under ThreadSanitizer; the checker in tests/weak has no membarrier.
 */
#define _GNU_SOURCE /* MADV_WIPEONFORK */

#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PLACES = 1 << 16 };

#define NEXT_MASK ((UINT64_C(1) << 44) - 1) /* generation and kind */
#define KIND_MASK UINT64_C(3)
#define GENERATION UINT64_C(4)

#define TAKEN (UINT64_C(1) << 47)    /* a thread is taking the place from its owner */
#define CLOSING (UINT64_C(1) << 46)  /* a thread waits for the call inside to end; nobody else gets in */
#define POISONED (UINT64_C(1) << 45) /* a call panicked */
#define DAMAGED (UINT64_C(1) << 44)  /* a file of the block was truncated */
#define FLAGS (TAKEN | CLOSING | POISONED | DAMAGED)

enum { MOMENT = 10000 }; /* looks at a place that another thread is taking, which it does in microseconds */

#define OURS UINT64_C(0xDA7AB10C)

datablock_inline_place *dbshim_places;

/* The table is part of the library, so that no limit of memory can be in its way once the library is loaded. A page of it is memory only when a handle leads there. */
enum { PAGE_AT_MOST = 1 << 16 };
static unsigned char table[PLACES * sizeof(datablock_inline_place) + PAGE_AT_MOST];
static bool wiped_on_fork;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static uint32_t used = 1;                                /* places that ever had a handle */
static uint32_t unused[PLACES];                          /* places without one */
static uint32_t unused_count;
static uint64_t next_word[PLACES];                       /* of each place's next handle, kind missing */

static char *poison[PLACES]; /* what the last panic in a place said: DBSHIM_DETAIL_SIZE bytes that are never freed, because a thread that is refused reads them while another one closes */
static char names[PLACES][DATABLOCK_LAYOUT_MAX_NAME_LEN + 8];

void dbshim_table_start(void) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    dbshim_places = (datablock_inline_place *)(((uintptr_t)table + page - 1) & ~(page - 1));
#ifdef MADV_WIPEONFORK
    wiped_on_fork = madvise(dbshim_places, PLACES * sizeof *dbshim_places, MADV_WIPEONFORK) == 0; /* an old kernel, or a filter: dbshim_table_wipe alone */
#endif
    dbshim_places[0].reserved[0] = OURS;
    dbshim_places[0].reserved[1] = (uint64_t)getpid();
}

bool dbshim_table_ours(void) {
    return dbshim_places[0].reserved[0] == OURS && (wiped_on_fork || dbshim_places[0].reserved[1] == (uint64_t)getpid());
}

/* In a forked child; async-signal-safe. */
void dbshim_table_wipe(void) {
    for (uint32_t i = 0; dbshim_places != NULL && i < used; i++) {
        dbshim_places[i].word = 0;
        dbshim_places[i].reserved[0] = 0;
    }
}

/* ---- Texts ----------------------------------------------------------------------------------------------------------------------- */

static datablock_status refuse(datablock_status status, const char *text) {
    snprintf(dbshim_detail(), DBSHIM_DETAIL_SIZE, "%s", text);
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    return status;
}

static const char *kind_name(uint64_t kind) {
    return kind == DATABLOCK_INLINE_PRODUCER ? "producer" : kind == DATABLOCK_INLINE_CONSUMER ? "consumer" : kind == DATABLOCK_INLINE_OBSERVER ? "observer" : "";
}

static const char *n(uint64_t kind) { return kind == DATABLOCK_INLINE_OBSERVER ? "n" : ""; }

static datablock_status no_handle(uint64_t handle, uint64_t wanted) {
    char text[160];
    if (handle == 0) {
        snprintf(text, sizeof text, "the %s handle is zero: it was never opened", kind_name(wanted));
    } else if ((handle & KIND_MASK) != wanted && kind_name(handle & KIND_MASK)[0] != '\0') {
        snprintf(text, sizeof text, "this is a%s %s handle, where a%s %s is needed", n(handle & KIND_MASK), kind_name(handle & KIND_MASK),
                 n(wanted), kind_name(wanted));
    } else {
        snprintf(text, sizeof text, "this %s handle was closed, or never opened", kind_name(wanted));
    }
    return refuse(DATABLOCK_E_HANDLE, text);
}

static datablock_status damaged(uint32_t index) {
    char text[DBSHIM_DETAIL_SIZE];
    snprintf(text, sizeof text, "block \"%.200s\": one of its files was truncated while in use: close, remove both by hand, and open again", names[index]);
    return refuse(DATABLOCK_E_CORRUPT, text);
}

static datablock_status refusal(uint32_t index, uint64_t handle, uint64_t kind, uint64_t word) {
    if ((word & ~FLAGS) != handle || (word & CLOSING) != 0) {
        return no_handle(handle, kind);
    }
    if ((word & POISONED) != 0) {
        char text[DBSHIM_DETAIL_SIZE];
        const char *what = __atomic_load_n(&poison[index], __ATOMIC_ACQUIRE);
        snprintf(text, sizeof text, "an earlier call on this handle failed inside the library (%.800s): close the handle and open again",
                 what != NULL ? what : "no memory for what it said");
        if ((__atomic_load_n(&dbshim_places[index].word, __ATOMIC_ACQUIRE) & ~FLAGS) != handle) {
            return no_handle(handle, kind); /* closed meanwhile: the text may be of another handle */
        }
        return refuse(DATABLOCK_E_PANIC, text);
    }
    if ((word & DAMAGED) != 0) {
        return damaged(index);
    }
    return refuse(DATABLOCK_E_BUSY, "another thread is in a call on this handle: a handle may be used by one thread at a time");
}

const char *dbshim_name(uint32_t index) { return names[index]; }

/* ---- Opening --------------------------------------------------------------------------------------------------------------------- */

/* A signal handler that opens or closes on this thread would wait for its own thread. */
static void lock_table(sigset_t *mask) {
    dbshim_block_signals(mask);
    pthread_mutex_lock(&lock);
}

static void unlock_table(const sigset_t *mask) {
    pthread_mutex_unlock(&lock);
    dbshim_restore_signals(mask);
}

static datablock_status no_memory(void) { return refuse(DATABLOCK_E_SYSTEM, "no memory for this thread's part of the library"); }

datablock_status dbshim_reserve(uint64_t kind, uint64_t *handle) {
    if (dbshim_self() == NULL) {
        return no_memory();
    }
    sigset_t mask;
    lock_table(&mask);
    uint32_t index = 0;
    if (unused_count > 0) {
        index = unused[--unused_count];
    } else if (used < PLACES) {
        index = used++;
        next_word[index] = GENERATION;
    }
    uint64_t word = next_word[index];
    unlock_table(&mask);
    if (index == 0) {
        return refuse(DATABLOCK_E_SYSTEM, "this process has 65535 open handles, and that is all there can be: close some");
    }
    *handle = (uint64_t)index << DATABLOCK_INLINE_INDEX_SHIFT | word | kind;
    return DATABLOCK_OK;
}

/* The system allowed membarrier once and refuses it now, as a seccomp filter that was set meanwhile does. */
static datablock_status no_barrier(void) {
    return refuse(DATABLOCK_E_SYSTEM, "membarrier is refused since this process first used it (by a seccomp filter?), and without it no thread can take a "
                                      "handle over from another: use and close the handle in the thread that used it last, or allow membarrier");
}

static datablock_inline_thread **owner_of(datablock_inline_place *place, uint64_t handle) { return &place->owners[handle & KIND_MASK]; }

void dbshim_publish(uint64_t handle, void *state, const char *name) {
    uint32_t index = dbshim_index(handle);
    datablock_inline_place *place = &dbshim_places[index];
    const char *slash = strrchr(name, '/');
    snprintf(names[index], sizeof names[index], "%s", slash != NULL ? slash + 1 : name);
    place->state = state;
    for (uint64_t kind = 0; kind <= KIND_MASK; kind++) {
        __atomic_store_n(owner_of(place, kind), kind == (handle & KIND_MASK) ? &dbshim_self()->shared : NULL, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&place->word, handle, __ATOMIC_SEQ_CST);
}

/* A reserved or closed handle's place goes to the next handle. One whose generations are used up is never used again. */
void dbshim_withdraw(uint64_t handle) {
    uint32_t index = dbshim_index(handle);
    uint64_t next = ((handle & NEXT_MASK) | KIND_MASK) + 1;
    if (next > NEXT_MASK) {
        return;
    }
    sigset_t mask;
    lock_table(&mask);
    next_word[index] = next;
    unused[unused_count++] = index;
    unlock_table(&mask);
}

/* ---- Using ----------------------------------------------------------------------------------------------------------------------- */

/* The thread is inside no longer. */
static datablock_status outside(dbshim_thread *thread, datablock_status status) {
    __atomic_store_n(&thread->shared.current, NULL, __ATOMIC_RELEASE);
    return status;
}

datablock_status dbshim_take(uint64_t handle, uint64_t kind) {
    dbshim_thread *thread = dbshim_self();
    uint32_t index = dbshim_index(handle);
    datablock_inline_place *place = &dbshim_places[index];
    if (thread == NULL) {
        return no_memory();
    }
    if ((handle & KIND_MASK) != kind || (handle & FLAGS) != 0) {
        return no_handle(handle, kind);
    }
    /*
     * From here on the thread is inside, also to its signal handlers: a close in a handler would wait for TAKEN, and so for the
     * thread that it interrupts.
     */
    __atomic_store_n(&thread->shared.current, place, __ATOMIC_SEQ_CST);
    uint64_t found = handle;
    for (int tries = 0; !__atomic_compare_exchange_n(&place->word, &found, handle | TAKEN, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); tries++) {
        if (found != (handle | TAKEN) || tries == MOMENT) {
            return outside(thread, refusal(index, handle, kind, found));
        }
        sched_yield(); /* another thread is taking it, or finding out that it may not: if both were refused, neither would be inside */
        found = handle;
    }
    datablock_inline_thread *owner = __atomic_load_n(owner_of(place, handle), __ATOMIC_ACQUIRE);
    if (owner != &thread->shared) {
        if (!dbshim_barrier()) { /* else the owner has now either said that it is inside, or will see that the place is taken */
            __atomic_and_fetch(&place->word, ~TAKEN, __ATOMIC_SEQ_CST);
            return outside(thread, no_barrier());
        }
        if (__atomic_load_n(&owner->current, __ATOMIC_ACQUIRE) == place) {
            found = __atomic_and_fetch(&place->word, ~TAKEN, __ATOMIC_SEQ_CST);
            return outside(thread, (found & CLOSING) != 0 ? no_handle(handle, kind) : refusal(index, handle, kind, handle));
        }
        __atomic_store_n(owner_of(place, handle), &thread->shared, __ATOMIC_RELEASE);
    }
    found = __atomic_and_fetch(&place->word, ~TAKEN, __ATOMIC_SEQ_CST);
    return (found & CLOSING) != 0 ? outside(thread, no_handle(handle, kind)) : DATABLOCK_OK;
}

datablock_status dbshim_leave(datablock_status status, bool begins_slot) {
    datablock_inline_thread *thread = &dbshim_self()->shared;
    uint32_t index = (uint32_t)(thread->current - dbshim_places);
    uint64_t word = __atomic_load_n(&thread->current->word, __ATOMIC_ACQUIRE);
    __atomic_store_n(&thread->current, NULL, __ATOMIC_RELEASE);
    if ((word & DAMAGED) != 0) {
        return damaged(index);
    }
    if ((word & CLOSING) != 0 && begins_slot && status == DATABLOCK_OK) {
        return refuse(DATABLOCK_E_CLOSED, "the handle is being closed by another thread");
    }
    if (status == DATABLOCK_OK) {
        thread->failed = DATABLOCK_INLINE_SUCCEEDED; /* a signal handler that was refused meanwhile has left its text */
    } else if (thread->failed == DATABLOCK_INLINE_SUCCEEDED) {
        thread->failed = DATABLOCK_INLINE_FAILED; /* a signal handler succeeded before the thread was inside */
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
    __atomic_or_fetch(&dbshim_places[index].word, POISONED, __ATOMIC_SEQ_CST);
}

void dbshim_damage(datablock_inline_place *place) { __atomic_or_fetch(&place->word, DAMAGED, __ATOMIC_SEQ_CST); }

bool dbshim_is_closing(const datablock_inline_place *place) { return (__atomic_load_n(&place->word, __ATOMIC_ACQUIRE) & CLOSING) != 0; }

bool dbshim_is_damaged(const datablock_inline_place *place) { return (__atomic_load_n(&place->word, __ATOMIC_ACQUIRE) & DAMAGED) != 0; }

/* ---- Closing --------------------------------------------------------------------------------------------------------------------- */

/* Makes a waiting call return. The wait may begin only after the wake-up, so it is repeated. */
static void interrupt(datablock_inline_place *place, uint64_t kind) {
    if (kind == DATABLOCK_INLINE_PRODUCER) {
        datablock_inline_producer *p = place->state;
        __atomic_store_n(&p->interrupted, 1, __ATOMIC_SEQ_CST);
        dbshim_futex_wake(datablock_inline_u32(p->block.ctl, DATABLOCK_LAYOUT_CTL_WAKE));
    } else if (kind == DATABLOCK_INLINE_CONSUMER) { /* an observer never waits */
        datablock_inline_consumer *c = place->state;
        __atomic_store_n(&c->interrupted, 1, __ATOMIC_SEQ_CST);
        dbshim_futex_wake(datablock_inline_u32(c->block.data, DATABLOCK_LAYOUT_EVENT));
    }
}

datablock_status dbshim_take_to_close(uint64_t handle, uint64_t kind) {
    dbshim_thread *thread = dbshim_self();
    datablock_inline_place *place = &dbshim_places[dbshim_index(handle)];
    uint64_t word = __atomic_load_n(&place->word, __ATOMIC_ACQUIRE);
    bool own = (word & ~FLAGS) == handle && __atomic_load_n(owner_of(place, handle), __ATOMIC_ACQUIRE) == &thread->shared;
    if ((word & ~FLAGS) == handle && !own && !dbshim_barrier()) { /* asked before anything is changed */
        return no_barrier();
    }
    do {
        if ((handle & KIND_MASK) != kind || (word & ~FLAGS) != handle || (word & CLOSING) != 0) {
            return no_handle(handle, kind);
        }
    } while (!__atomic_compare_exchange_n(&place->word, &word, word | CLOSING, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    if (!dbshim_barrier() && __atomic_load_n(owner_of(place, handle), __ATOMIC_ACQUIRE) != &thread->shared) {
        __atomic_and_fetch(&place->word, ~CLOSING, __ATOMIC_SEQ_CST);
        return no_barrier();
    }
    for (long pause = 1000;; pause = pause < 1000000 ? 2 * pause : pause) {
        bool taken = (__atomic_load_n(&place->word, __ATOMIC_SEQ_CST) & TAKEN) != 0;
        datablock_inline_thread *owner = __atomic_load_n(owner_of(place, handle), __ATOMIC_ACQUIRE);
        if (!taken && __atomic_load_n(&owner->current, __ATOMIC_ACQUIRE) != place) {
            interrupt(place, kind); /* a datablock_wait_any sleeps outside */
            return DATABLOCK_OK;
        }
        interrupt(place, kind);
        dbshim_pause((uint64_t)pause);
    }
}

void dbshim_vacate(uint64_t handle) {
    uint32_t index = dbshim_index(handle);
    datablock_inline_place *place = &dbshim_places[index];
    place->state = NULL;
    __atomic_store_n(&place->word, 0, __ATOMIC_SEQ_CST);
    dbshim_withdraw(handle);
}
