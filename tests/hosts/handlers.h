/*
 * Signal handlers that use and verify much of their stack, for hosts in every language:
 * build/tests/hosts/libhandlers.so.
 *
 * A host calls handlers_begin once, handlers_thread on each thread that uses the library, and
 * handlers_end when no more signals come.
 */
#ifndef DATABLOCK_TESTS_HANDLERS_H
#define DATABLOCK_TESTS_HANDLERS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HANDLERS_ALTERNATE = 0,  /* SA_ONSTACK or not, by turns, signal by signal */
    HANDLERS_PLAIN = 1,      /* never SA_ONSTACK */
    HANDLERS_ONSTACK = 2,    /* always */
    HANDLERS_NO_NESTING = 4, /* no handler interrupts another: for threads with little stack */
    HANDLERS_ANY_STACK = 8   /* the host's own runtime makes calls on stacks that it allocates: no
                                stack is the wrong one */
};

/*
 * Installs a handler for each of the signals 1 to 31 and 34 to 64 but those of `except` ("11 7
 * 62"), SIGKILL and SIGSTOP. A thread of its own installs all of them anew every 10 ms in the next
 * way: with and without SA_ONSTACK, SA_RESTART, and a full mask.
 */
void handlers_begin(const char *except, int how);

/* This thread is the host's own. It returns the thread's id. */
int handlers_thread(void);

/* Gives this thread an alternate stack of 256 KiB, before handlers_thread. */
void handlers_own_stack(void);

/* A handler of the host for one signal, called by this library's handler of it after its own work.
 * NULL ends that. */
void handlers_also(int signal, void (*call)(int));

/*
 * Whether everything was right; what was not is printed to standard error. Every signal has to have
 * come, and no handler may have run on a stack that is not its thread's. With `strangers` 0 none
 * may have run on a thread that handlers_thread does not know.
 */
int handlers_end(int strangers);

/* How many handlers have ended, and how many of them ran where no handler of the host belongs. */
unsigned long handlers_count(void);
unsigned long handlers_misplaced(void);

#ifdef __cplusplus
}
#endif

#endif
