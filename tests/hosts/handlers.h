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
    HANDLERS_ALTERNATE = 0,  /* with and without SA_ONSTACK alternately, for each signal */
    HANDLERS_PLAIN = 1,      /* never SA_ONSTACK */
    HANDLERS_ONSTACK = 2,    /* always SA_ONSTACK */
    HANDLERS_NO_NESTING = 4, /* no handler interrupts another: for threads with little stack */
    HANDLERS_ANY_STACK = 8   /* the host's runtime calls on stacks that it allocates: any stack is
                                right */
};

/*
 * Installs a handler for each of the signals 1 to 31 and 34 to 64, except SIGKILL, SIGSTOP and the
 * signals of `except` ("11 7 62"). A thread of its own installs all handlers anew every 10 ms with
 * the next combination of SA_ONSTACK, SA_RESTART and a full mask.
 */
void handlers_begin(const char *except, int how);

/* Registers the calling thread as one of the host. Returns the thread's id. */
int handlers_thread(void);

/* Gives this thread an alternate stack of 256 KiB, before handlers_thread. */
void handlers_own_stack(void);

/* A handler of the host for one signal. This library's handler calls it after its own work. NULL
 * removes it. */
void handlers_also(int signal, void (*call)(int));

/*
 * True if everything was right. Errors are printed to standard error. Every signal must have
 * arrived, and every handler must have run on a stack of its thread. With `strangers` 0 every
 * handler must have run on a thread that called handlers_thread.
 */
int handlers_end(int strangers);

/* The number of ended handlers, and how many of them ran outside of the host's threads and
 * stacks. */
unsigned long handlers_count(void);
unsigned long handlers_misplaced(void);

#ifdef __cplusplus
}
#endif

#endif
