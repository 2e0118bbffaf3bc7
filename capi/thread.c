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

uint64_t datablock_inline_clock(void) { return clock_ns(CLOCK_MONOTONIC_COARSE); }

void datablock_inline_look_at_clock(datablock_inline_moment *moment) {
    moment->second = (int64_t)time(NULL); /* first: should the second end now, the reading is old at the next look */
    moment->now = datablock_inline_clock();
    moment->left = DATABLOCK_INLINE_MOMENT_USES - 1;
}

uint64_t datablock_inline_realtime(void) { return clock_ns(CLOCK_REALTIME); }

uint64_t dbshim_monotonic(void) { return clock_ns(CLOCK_MONOTONIC); }
