/*
 * The state of each thread that uses the library: the handle whose call the thread is in, and the
 * text of its last error. The library maps a thread's struct at the thread's first call. The struct
 * is never freed, because another thread may read it at any time.
 *
 * The struct goes to a new thread when the kernel no longer knows its own thread. Then no
 * destructor of the old thread can run any more, in whatever order destructors run.
 *
 * All functions here may run in a signal handler, which may have interrupted malloc or this file.
 * Therefore this file uses no lock.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <errno.h>
#include <string.h>

static _Thread_local dbshim_thread *self DBSHIM_TLS_MODEL;

static dbshim_thread *threads; /* all structs. A struct is only added, at the front */
static dbshim_once_flag once = DBSHIM_ONCE_INIT;
static bool barriers;
static uint32_t stand_back;

static void measure_pauses(void) {
    enum { RUNS = 3, PAUSES = 50, MOST = 64 };
    uint64_t least = UINT64_MAX;
    for (int run = 0; run < RUNS; run++) {
        uint64_t begun = dbshim_monotonic();
        for (int i = 0; i < PAUSES; i++) {
            datablock_inline_pause();
        }
        uint64_t took = dbshim_monotonic() - begun;
        least = took < least ? took : least;
    }
    uint64_t pauses = least == 0 ? MOST : DATABLOCK_TUNING_BACKOFF_NS_C * PAUSES / least;
    stand_back = (uint32_t)(pauses < MOST ? pauses : MOST);
}

/* ---- The structs of threads ------------------------------------------------------------------ */

static void start(void) {
    measure_pauses();
    barriers = dbshim_start_barriers();
}

/*
 * Finds a struct whose thread has ended outside any call. If a thread ended inside a call, the
 * struct is not used again, so that what the call was changing stays out of reach.
 *
 * The system notes the end of a thread in `ending`, with two exceptions: all threads if it has no
 * means to do so, and a thread whose first call comes in its last destructor. Therefore recycle
 * asks the kernel about every thread in the first case, and otherwise also about a part of the
 * other threads.
 */
static dbshim_thread *recycle(dbshim_tid tid) {
    enum { PARTS = 16 };
    static uint32_t turns;
    uint32_t at = __atomic_fetch_add(&turns, 1, __ATOMIC_RELAXED);
    for (dbshim_thread *t = __atomic_load_n(&threads, __ATOMIC_ACQUIRE); t != NULL;
         t = t->next, at++) {
        dbshim_tid last = __atomic_load_n(&t->tid, __ATOMIC_RELAXED);
        bool ask = __atomic_load_n(&t->ending, __ATOMIC_ACQUIRE) || !dbshim_ends_are_noted() ||
                   at % PARTS == 0;
        if (ask && dbshim_is_gone(last) &&
            __atomic_load_n(&t->shared.current, __ATOMIC_ACQUIRE) == NULL && !t->in_go &&
            __atomic_compare_exchange_n(&t->tid, &last, tid, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            dbshim_take_over(t);
            return t;
        }
    }
    return NULL;
}

static void begin(dbshim_thread *thread) {
    thread->shared.table = dbshim_handle_table;
    thread->shared.fence = !barriers;
    thread->shared.failed = thread->shared.idle = thread->shared.waited = 0;
    thread->shared.stand_back = stand_back;
    thread->in_go = thread->bound = false;
    thread->detail[0] = '\0';
    __atomic_store_n(&thread->ending, false, __ATOMIC_RELEASE);
    dbshim_begin_thread(thread);
}

static dbshim_thread *enlist(void) {
    dbshim_mask mask;
    int saved = errno;
    dbshim_tid tid = dbshim_own_tid();
    dbshim_block_signals(&mask); /* a handler that ran first would get a struct of its own */
    dbshim_once(&once, start);
    dbshim_thread *thread = recycle(tid);
    if (thread == NULL && (thread = dbshim_make_thread()) != NULL) {
        thread->tid = tid;
        begin(thread);
        thread->next = __atomic_load_n(&threads, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&threads, &thread->next, thread, false,
                                            __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        }
    } else if (thread != NULL) {
        begin(thread);
    }
    self = thread;
    dbshim_restore_signals(&mask);
    errno = saved;
    return thread;
}

dbshim_thread *dbshim_self(void) { return self != NULL ? self : enlist(); }

dbshim_thread *dbshim_self_if_any(void) { return self; }

char *dbshim_detail(void) {
    /* for threads without memory: texts of two threads may mix */
    static char shared[DBSHIM_DETAIL_SIZE];
    dbshim_thread *thread = dbshim_self();
    return thread != NULL ? thread->detail : shared;
}

void dbshim_failed(uint32_t how) {
    dbshim_thread *thread = dbshim_self();
    if (thread != NULL) {
        thread->shared.failed = how;
    }
}

datablock_inline_thread *datablock_inline_enlist(uint32_t version) {
    if (version != DATABLOCK_INLINE_VERSION || !dbshim_usable()) {
        return NULL;
    }
    dbshim_thread *thread = dbshim_self();
    if (thread != NULL) {
        thread->shared.table = dbshim_handle_table;
        dbshim_bind(thread);
    }
    return thread != NULL ? &thread->shared : NULL;
}
