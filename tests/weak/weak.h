/*
 * What a scenario says to the checker. A scenario is one C file: setup() lays out the memory and
 * names the threads, the threads run the code under test, and finish() looks at what came out. All
 * of it is compiled with -fsanitize=thread, so that every access calls into hooks.c; what the
 * accesses mean is decided by memory.c, and search.c tries all that may happen.
 */
#ifndef WEAK_H
#define WEAK_H

#include <stddef.h>
#include <stdint.h>

/* The scenario defines these two. finish() runs at the end of each execution, when every thread
 * has returned. */
void setup(void);
void finish(void);

/* For setup(): memory that the threads share, whose accesses are checked; memory that is
 * restored when the search goes back, and told apart. */
void weak_shared(void *base, size_t size);
void weak_private(void *base, size_t size);

/*
 * For setup(): a part of the shared memory that has no order of its own, because something else
 * publishes it. A relaxed load or store there counts as a plain access: if there is no race on it,
 * it can read nothing but the last value, and if there is one, it is reported.
 */
void weak_published(void *base, size_t size);

/* For setup(): the part of the shared memory that holds figures for people. Its accesses are not
 * checked and tell no states apart. */
void weak_ignored(void *base, size_t size);

/* For setup(): what a trace calls this word. */
void weak_name(const void *word, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For setup(): one more thread. */
void weak_thread(const char *name, void (*run)(void));

/* For the threads: a futex. A thread that sleeps for ever is a violation: the checker knows no
 * bounded sleeps. */
void weak_wait(uint32_t *word, uint32_t expected);
void weak_wake(uint32_t *word);

/* A violated property: the search ends and the trace is shown. */
_Noreturn void weak_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define weak_check(condition, ...) ((condition) ? (void)0 : weak_fail(__VA_ARGS__))

#endif
