/*
 * Sleeping and waking by futexes. The kernel finds a word by its file and offset, whatever the
 * process and the mapping.
 */
#define _GNU_SOURCE /* syscall */

#include "shim.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void dbshim_futex_wake(uint32_t *word) {
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void dbshim_futex_wait(uint32_t *word, uint32_t value, uint64_t ns) {
    struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000),
                               .tv_nsec = (long)(ns % 1000000000)};
    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL,
                  0); /* the caller polls again in every case */
}
