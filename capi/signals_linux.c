/*
 * How a thread of the host enters Go.
 *
 * A goroutine's stack is a few KiB in Go's heap. A signal handler that the host has installed
 * without SA_ONSTACK would run on this stack, and its frame would overwrite the memory below.
 * Therefore a thread blocks its asynchronous signals before it enters Go, and restores its mask
 * after the call. A thread never sleeps in Go: a call that has to wait returns to C. The thread
 * sleeps there, on its own stack and with its own signals (see dbshim_slept in calls.c).
 *
 * SIGSEGV, SIGBUS and SIGSYS stay unblocked, because the kernel ends a process that faults with the
 * signal blocked. A fault on a mapping whose file was truncated becomes a panic in Go. The handler
 * needs an alternate stack. A thread without one gets and keeps a large alternate stack with a
 * guard page. Correct Go code raises no other synchronous signal.
 *
 * Go's own threads have every asynchronous signal blocked from their start. The first one inherits
 * the mask that the constructors below set around the start of the runtime. The others inherit the
 * mask of the first. The runtime would unblock some signals again; the build removes these signals
 * from the runtime's table (cmake/Library.cmake).
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

void dbshim_restore_signals(const sigset_t *before) {
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

/*
 * pthread_once with signals blocked: a signal handler that came here meanwhile would wait for its
 * own thread.
 */
void dbshim_once(dbshim_once_flag *once, void (*body)(void)) {
    sigset_t mask;
    dbshim_block_signals(&mask);
    (void)pthread_once(once, body);
    dbshim_restore_signals(&mask);
}

void dbshim_lock(dbshim_mutex *mutex) { (void)pthread_mutex_lock(mutex); }

void dbshim_unlock(dbshim_mutex *mutex) { (void)pthread_mutex_unlock(mutex); }

/* ---- The start of the Go runtime ------------------------------------------------------------- */

/*
 * The runtime starts in a constructor without a priority. Its first thread inherits the mask of the
 * thread that loads the library. Constructors with a priority run before that constructor.
 * Constructors without a priority run in the order in which the linker got their objects, and Go's
 * comes first. tests/hosts checks the masks of all threads.
 */
static sigset_t loader_mask;

__attribute__((constructor(101))) static void before_go(void) {
    dbshim_block_signals(&loader_mask);
}

__attribute__((constructor)) static void after_go(void) { dbshim_restore_signals(&loader_mask); }

/* ---- Entering and leaving -------------------------------------------------------------------- */

/*
 * Gives a thread without an alternate stack one, once. The program may install another one later.
 */
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

/*
 * The order matters: a handler that runs before the signals are blocked may enter Go, and uses the
 * same fields.
 */
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

/*
 * Enters Go for the first time, which allocates: a signal handler may have interrupted malloc, and
 * must not do so.
 */
void dbshim_bind(dbshim_thread *thread) {
    if (!thread->bound) {
        dbshim_go_begin(thread);
        dbgo_bind();
        thread->bound = true;
        (void)dbshim_go_end(thread, 0);
    }
}

static void sleep_ns(uint64_t ns) {
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};
    /* no cancellation point, as nanosleep() is */
    while (syscall(SYS_nanosleep, &time, &time) != 0 && errno == EINTR) {
    }
}

/*
 * Go calls this function for the short waits of an open or a recovery for another process. The
 * thread gets the signals of the host meanwhile, on the host's stack. The handlers find the thread
 * inside a call, of table entry 0 if it is in none. Therefore exported and inline functions refuse
 * the handlers.
 */
void dbshim_nap(uint64_t ns) {
    dbshim_thread *thread = dbshim_self_if_any();
    if (thread == NULL || !thread->in_go) { /* a thread of the Go runtime */
        sleep_ns(ns);
        return;
    }
    sigset_t blocked, mask = thread->mask;
    datablock_inline_handle_entry *current = thread->shared.current;
    __atomic_store_n(&thread->shared.current, current != NULL ? current : &dbshim_handle_table[0],
                     __ATOMIC_RELAXED);
    (void)pthread_sigmask(SIG_SETMASK, &mask, &blocked);
    sleep_ns(ns);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    __atomic_store_n(&thread->shared.current, current, __ATOMIC_RELAXED);
}

void dbshim_pause(uint64_t ns) { sleep_ns(ns); }
