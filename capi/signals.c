/*
 * How a thread of the host enters Go.
 *
 * A goroutine's stack is a few KiB in Go's heap. A signal handler that the host has installed without SA_ONSTACK would run right
 * there, and its frame would overwrite what lies below. So a thread blocks its asynchronous signals before it enters Go, and
 * restores its mask when it is back. It never sleeps in Go: a call that has to wait returns to C, and the thread sleeps there, on
 * its own stack and with its own signals (see dbshim_sleep in shim.h).
 *
 * SIGSEGV, SIGBUS and SIGSYS stay as they are, because the kernel ends a process that faults with its signal blocked. A fault on a
 * mapping whose file was truncated becomes a panic in Go. Its handler needs an alternate stack: a thread that has none gets one
 * that is large and has a guard page, and keeps it. Go code raises no other synchronous signal, unless it is wrong.
 *
 * Go's own threads have every asynchronous signal blocked from their birth. The first of them inherits the mask that the
 * constructors below set around the start of the runtime, and the others inherit its mask. The build removes the signals that the
 * runtime would unblock again from the runtime's table (cmake/Library.cmake).
 */
#define _GNU_SOURCE /* syscall */

#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void asynchronous(sigset_t *set) {
    static const int synchronous[] = {SIGSEGV, SIGBUS, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < sizeof synchronous / sizeof synchronous[0]; i++) {
        sigdelset(set, synchronous[i]);
    }
}

void dbshim_block_signals(sigset_t *before) {
    sigset_t set;
    asynchronous(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, before);
}

void dbshim_restore_signals(const sigset_t *before) { (void)pthread_sigmask(SIG_SETMASK, before, NULL); }

/* A signal handler that came here in the middle of it would wait for its own thread. */
void dbshim_once(pthread_once_t *once, void (*body)(void)) {
    sigset_t mask;
    dbshim_block_signals(&mask);
    (void)pthread_once(once, body);
    dbshim_restore_signals(&mask);
}

/* ---- The start of the Go runtime --------------------------------------------------------------------------------------------- */

/*
 * The runtime starts in a constructor without a priority, and its first thread inherits the mask of the thread that loads the
 * library. Constructors with a priority run before it. Those without one run in the order in which the linker got their objects,
 * and Go's comes first. tests/hosts looks at the masks of all threads.
 */
static sigset_t loader_mask;

__attribute__((constructor(101))) static void before_go(void) { dbshim_block_signals(&loader_mask); }

__attribute__((constructor)) static void after_go(void) { dbshim_restore_signals(&loader_mask); }

/* ---- Entering and leaving ------------------------------------------------------------------------------------------------------ */

/* A thread whose program gave it no alternate stack gets one, once. What the program installs later is the program's. */
static void give_stack(dbshim_thread *thread) {
    stack_t now;
    if (thread->stack_given || sigaltstack(NULL, &now) != 0) {
        return;
    }
    thread->stack_given = true;
    if ((now.ss_flags & SS_DISABLE) != 0) {
        now = (stack_t){.ss_sp = dbshim_signal_stack(thread), .ss_size = DBSHIM_SIGNAL_STACK_SIZE};
        (void)sigaltstack(&now, NULL);
    }
}

/* The order matters: a handler that runs before the signals are blocked may enter Go itself, and uses the same fields. */
void dbshim_go_begin(dbshim_thread *thread) {
    dbshim_block_signals(&thread->mask);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &thread->cancel);
    give_stack(thread);
    thread->in_go = true;
}

int dbshim_go_end(dbshim_thread *thread, int result) {
    int ignored;
    thread->in_go = false;
    (void)pthread_setcancelstate(thread->cancel, &ignored);
    dbshim_restore_signals(&thread->mask);
    return result;
}

/* The first entry of a thread allocates. It is not to happen in a signal handler, which may have interrupted malloc. */
void dbshim_bind(dbshim_thread *thread) {
    if (!thread->bound) {
        dbshim_go_begin(thread);
        dbgo_bind();
        thread->bound = true;
        (void)dbshim_go_end(thread, 0);
    }
}

static void sleep_ns(uint64_t ns) {
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    while (syscall(SYS_nanosleep, &time, &time) != 0 && errno == EINTR) { /* no cancellation point, as nanosleep() is */
    }
}

/*
 * Go -> C, for the few moments that an open or a recovery waits for another process which is about to be done. The signals of the
 * host are delivered meanwhile, on the host's stack. Their handlers find the thread in a call, of place 0 where it is in none, so
 * that neither the functions here nor the inline ones let them in.
 */
void dbshim_nap(uint64_t ns) {
    dbshim_thread *thread = dbshim_self_if_any();
    if (thread == NULL || !thread->in_go) { /* a thread of Go's */
        sleep_ns(ns);
        return;
    }
    sigset_t blocked, mask = thread->mask;
    datablock_inline_place *current = thread->shared.current;
    __atomic_store_n(&thread->shared.current, current != NULL ? current : &dbshim_places[0], __ATOMIC_RELAXED);
    (void)pthread_sigmask(SIG_SETMASK, &mask, &blocked);
    sleep_ns(ns);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    __atomic_store_n(&thread->shared.current, current, __ATOMIC_RELAXED);
}

void dbshim_pause(uint64_t ns) { sleep_ns(ns); }

bool dbshim_slept(const dbshim_sleep *sleep, int status) {
    if (status != DBSHIM_SLEEP) {
        return false;
    }
    if (sleep->held_count != 0) {
        dbshim_sleep_held(sleep);
    } else {
        dbshim_futex_wait(sleep->word, sleep->value, sleep->ns);
    }
    return true;
}
