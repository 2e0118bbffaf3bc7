/*
 * What the library knows of each thread that uses it: where it is in a call, and the text of its last error. A thread's struct is allocated when it first calls and goes to the next new
 * thread when it ends; it is never freed, because another thread may look at it at any time.
 */
#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE, syscall */

#include "shim.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Thread_local dbshim_thread *self __attribute__((tls_model("initial-exec")));

#ifndef _WIN32

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static dbshim_thread *unused;
static pthread_key_t at_thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool barriers;
static uint32_t stand_back;

/* A reader stands back for about twice as long as a C producer needs for the line of entries that both are in; Go's, whose producer is slower, for longer. */
#define STAND_BACK_NS 500

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
    uint64_t pauses = least == 0 ? MOST : STAND_BACK_NS * PAUSES / least;
    stand_back = (uint32_t)(pauses < MOST ? pauses : MOST);
}

/* Other destructors of the thread may still use the library, so this one lets them go first: it comes round as often as the system allows. */
static void thread_ended(void *ended) {
    dbshim_thread *thread = ended;
    if (++thread->rounds < 3 && pthread_setspecific(at_thread_end, thread) == 0) {
        return;
    }
    pthread_mutex_lock(&lock);
    thread->next = unused;
    unused = thread;
    pthread_mutex_unlock(&lock);
}

static void start(void) {
    (void)pthread_key_create(&at_thread_end, thread_ended);
    measure_pauses();
    barriers = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static dbshim_thread *enlist(void) {
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    dbshim_thread *thread = unused;
    if (thread != NULL) {
        unused = thread->next;
    }
    pthread_mutex_unlock(&lock);
    if (thread == NULL && posix_memalign((void **)&thread, 64, sizeof *thread) != 0) {
        return NULL;
    }
    memset(thread, 0, sizeof *thread);
    thread->shared.places = dbshim_places;
    thread->shared.fence = !barriers;
    thread->shared.stand_back = stand_back;
    (void)pthread_setspecific(at_thread_end, thread); /* without memory for it the struct is lost with its thread */
    return self = thread;
}

void dbshim_barrier(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (barriers) {
        (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
}

#endif

dbshim_thread *dbshim_self(void) { return self != NULL ? self : enlist(); }

dbshim_thread *dbshim_self_if_any(void) { return self; }

char *dbshim_detail(void) {
    static char shared[DBSHIM_DETAIL_SIZE]; /* for a thread that finds no memory: better mixed up with another's than none */
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
        thread->shared.places = dbshim_places;
    }
    return thread != NULL ? &thread->shared : NULL;
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#define TURN_NS INT64_C(100000000)
#define OFTEN 1000 /* as internal/platform has it */

bool datablock_inline_look(datablock_inline_moment *moment) {
    if (__atomic_load_n(&moment->now, __ATOMIC_RELAXED) != 0) {
        return true;
    }
    moment->uses++;
    return moment->uses >= OFTEN || (int64_t)(clock_ns(CLOCK_MONOTONIC_COARSE) - moment->seen) >= TURN_NS;
}

/* Moment.Look of a reader, which keeps out of Go until it is to be kept up, or is not although it should be. */
bool dbshim_begin_turn(datablock_inline_moment *moment) {
    uint64_t now = __atomic_load_n(&moment->now, __ATOMIC_RELAXED), exact = dbshim_monotonic();
    if (now == 0 ? moment->uses >= OFTEN : (int64_t)(exact - now) >= 2 * TURN_NS) {
        return false;
    }
    now = now == 0 ? exact : now;
    moment->uses = 0;
    __atomic_store_n(&moment->seen, now, __ATOMIC_RELAXED);
    return true;
}

/* Not kept up is one that has missed a turn. */
bool datablock_inline_kept_up(const datablock_inline_moment *moment) { return (int64_t)(clock_ns(CLOCK_MONOTONIC_COARSE) - moment->seen) < 2 * TURN_NS; }

uint64_t datablock_inline_realtime(void) { return clock_ns(CLOCK_REALTIME); }

uint64_t dbshim_monotonic(void) { return clock_ns(CLOCK_MONOTONIC); }
