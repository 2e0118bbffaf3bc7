/*
 * What thread_state.c and handle_table.c need of Linux: the memory and the number of a thread, its
 * end, and a barrier on all threads.
 */
#define _GNU_SOURCE /* syscall, MAP_STACK */

#include "shim.h"

#include <errno.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- The end of a thread --------------------------------------------------------------------- */

static pthread_key_t at_thread_end;
static bool has_key;

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

void dbshim_take_over(dbshim_thread *thread) {
    if (__tsan_acquire != NULL) {
        __tsan_acquire(thread);
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

bool dbshim_ends_are_noted(void) { return has_key; }

void dbshim_begin_thread(dbshim_thread *thread) {
    thread->stack_given = false;
    thread->rounds = 0;
    if (has_key) {
        /* without memory, the struct is lost with its thread */
        (void)pthread_setspecific(at_thread_end, thread);
    }
}

/* ---- Closing in the last round --------------------------------------------------------------- */

typedef struct close_call {
    uint64_t handle, kind;
    int (*close)(uint32_t index, char *detail);
    datablock_status status;
    char detail[DBSHIM_DETAIL_SIZE];
} close_call;

static void *close_in_thread(void *call) {
    close_call *c = call;
    c->status = dbshim_close_here(c->handle, c->kind, c->close);
    memcpy(c->detail, dbshim_detail(), sizeof c->detail);
    return NULL;
}

/*
 * A thread in the last round of its end may not enter Go. If its last destructor closes a handle,
 * another thread closes the handle.
 */
datablock_status dbshim_close_handle(uint64_t handle, uint64_t kind,
                                     int (*close)(uint32_t index, char *detail)) {
    const dbshim_thread *thread = dbshim_self();
    close_call call = {.handle = handle, .kind = kind, .close = close};
    dbshim_mask mask;
    pthread_t closer;
    if (thread == NULL || !dbshim_last_round(thread) || !dbshim_usable()) {
        return dbshim_close_here(handle, kind, close);
    }
    dbshim_block_signals(&mask); /* the closer has them blocked, too */
    int failed = pthread_create(&closer, NULL, close_in_thread, &call);
    if (failed == 0) {
        pthread_join(closer, NULL);
    }
    dbshim_restore_signals(&mask);
    if (failed != 0) {
        return dbshim_close_here(handle, kind, close); /* the detail then has the reason */
    }
    dbshim_failed(call.status == DATABLOCK_OK ? DATABLOCK_INLINE_SUCCEEDED
                                              : DATABLOCK_INLINE_FAILED);
    memcpy(dbshim_detail(), call.detail, sizeof call.detail);
    return call.status;
}

/* ---- The struct of a thread ------------------------------------------------------------------ */

/* The mapping of a struct is [guard][alternate stack][struct]. */
static size_t guard_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void *dbshim_signal_stack(dbshim_thread *thread) {
    return (uint8_t *)thread - DBSHIM_SIGNAL_STACK_SIZE;
}

dbshim_thread *dbshim_make_thread(void) {
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

dbshim_tid dbshim_own_tid(void) { return (pid_t)syscall(SYS_gettid); }

bool dbshim_is_gone(dbshim_tid tid) {
    return syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH;
}

/* ---- The barrier ----------------------------------------------------------------------------- */

static bool barriers;

bool dbshim_start_barriers(void) {
    barriers = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    return barriers;
}

bool dbshim_barrier(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !barriers || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void dbshim_yield(void) { (void)sched_yield(); }
