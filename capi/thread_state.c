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
#define _GNU_SOURCE /* syscall, MAP_STACK */

#include "shim.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local dbshim_thread *self __attribute__((tls_model("initial-exec")));

#ifndef _WIN32

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static dbshim_thread *threads; /* all structs. A struct is only added, at the front */
static pthread_key_t at_thread_end;
static bool has_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
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

/* ---- The end of a thread --------------------------------------------------------------------- */

/*
 * The end of a thread in the kernel orders all that the thread did before what the next thread does
 * with the struct. ThreadSanitizer cannot know that: in a program under it, these functions exist.
 */
extern void __tsan_release(void *) __attribute__((weak));
extern void __tsan_acquire(void *) __attribute__((weak));

/* Runs in each round of destructors, and counts the rounds. */
static void thread_ends(void *ending) {
    dbshim_thread *thread = ending;
    if (__tsan_release != NULL) {
        __tsan_release(thread);
    }
    __atomic_store_n(&thread->ending, true, __ATOMIC_RELEASE);
    if (++thread->rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
        (void)pthread_setspecific(at_thread_end, thread);
    }
}

/*
 * Go has resources for each thread, and a destructor of Go's releases them. An entry into Go after
 * the last run of that destructor would keep the resources for ever.
 */
bool dbshim_last_round(const dbshim_thread *thread) {
    return thread->rounds >= PTHREAD_DESTRUCTOR_ITERATIONS;
}

/*
 * The key is made when the library is loaded. Destructors run in the order of their keys, and this
 * one has to count the round before the others run.
 */
__attribute__((constructor)) static void make_key(void) {
    has_key = pthread_key_create(&at_thread_end, thread_ends) == 0;
}

/* ---- The structs of threads ------------------------------------------------------------------ */

static void start(void) {
    measure_pauses();
    barriers = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* The mapping of a struct is [guard][alternate stack][struct]. */
static size_t guard_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void *dbshim_signal_stack(dbshim_thread *thread) {
    return (uint8_t *)thread - DBSHIM_SIGNAL_STACK_SIZE;
}

static dbshim_thread *make(void) {
    size_t guard = guard_size();
    size_t size = guard + DBSHIM_SIGNAL_STACK_SIZE + sizeof(dbshim_thread);
    uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    (void)mprotect(at, guard, PROT_NONE);
    return (dbshim_thread *)(void *)(at + guard + DBSHIM_SIGNAL_STACK_SIZE);
}

static bool gone(pid_t tid) { return syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH; }

/*
 * Finds a struct whose thread has ended outside any call. If a thread ended inside a call, the
 * struct is not used again, so that what the call was changing stays out of reach.
 *
 * A thread notes its end in `ending`. Two kinds of threads do not: all threads if there is no key,
 * and a thread whose first call comes in its last round of destructors. Therefore recycle asks the
 * kernel about every thread if there is no key, and otherwise also about a part of the other
 * threads.
 */
static dbshim_thread *recycle(pid_t tid) {
    enum { PARTS = 16 };
    static uint32_t turns;
    uint32_t at = __atomic_fetch_add(&turns, 1, __ATOMIC_RELAXED);
    for (dbshim_thread *t = __atomic_load_n(&threads, __ATOMIC_ACQUIRE); t != NULL;
         t = t->next, at++) {
        pid_t last = __atomic_load_n(&t->tid, __ATOMIC_RELAXED);
        bool ask = __atomic_load_n(&t->ending, __ATOMIC_ACQUIRE) || !has_key || at % PARTS == 0;
        if (ask && gone(last) && __atomic_load_n(&t->shared.current, __ATOMIC_ACQUIRE) == NULL &&
            !t->in_go &&
            __atomic_compare_exchange_n(&t->tid, &last, tid, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            if (__tsan_acquire != NULL) {
                __tsan_acquire(t);
            }
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
    thread->in_go = thread->bound = thread->stack_given = false;
    thread->rounds = 0;
    thread->detail[0] = '\0';
    __atomic_store_n(&thread->ending, false, __ATOMIC_RELEASE);
    if (has_key) {
        /* without memory, the struct is lost with its thread */
        (void)pthread_setspecific(at_thread_end, thread);
    }
}

static dbshim_thread *enlist(void) {
    sigset_t mask;
    int saved = errno;
    pid_t tid = (pid_t)syscall(SYS_gettid);
    dbshim_block_signals(&mask); /* a handler that ran first would get a struct of its own */
    pthread_once(&once, start);
    dbshim_thread *thread = recycle(tid);
    if (thread == NULL && (thread = make()) != NULL) {
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

bool dbshim_barrier(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !barriers || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

#endif

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
