/*
 * What a scenario declares to the checker. A scenario is one C file. setup() lays out the memory
 * and names the threads, the threads run the code under test, and finish() checks the result.
 *
 * All of it is compiled with -fsanitize=thread, so that every access calls into hooks.c. memory.c
 * decides what the accesses mean, and search.c tries every execution.
 */
#ifndef WEAK_H
#define WEAK_H

#include <stddef.h>
#include <stdint.h>

/* The scenario defines these two. finish() runs at the end of each execution, when every thread
 * has returned. */
void setup(void);
void finish(void);

/* For setup(). weak_shared: memory that the threads share, whose accesses are checked.
 * weak_private: memory that is restored when the search goes back, and that distinguishes
 * states. */
void weak_shared(void *base, size_t size);
void weak_private(void *base, size_t size);

/*
 * For setup(): a part of the shared memory that has no order of its own, because another word
 * publishes it. A relaxed load or store there counts as a plain access. Without a race on it, the
 * load can return the last value only. A race is reported.
 */
void weak_published(void *base, size_t size);

/* For setup(): the part of the shared memory that holds informational figures. Its accesses are not
 * checked, and its contents do not distinguish states. */
void weak_ignored(void *base, size_t size);

/* For setup(): the name of this word in a trace. */
void weak_name(const void *word, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For setup(): adds a thread. */
void weak_thread(const char *name, void (*run)(void));

/* For the threads: a futex. A thread that sleeps for ever is a violation, because the checker
 * has no bounded sleeps. */
void weak_wait(uint32_t *word, uint32_t expected);
void weak_wake(uint32_t *word);

/* A violated property: the search ends and the trace is shown. */
_Noreturn void weak_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define weak_check(condition, ...) ((condition) ? (void)0 : weak_fail(__VA_ARGS__))

#endif
