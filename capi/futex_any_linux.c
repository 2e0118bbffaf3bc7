/* Sleeping on several words. */
#define _GNU_SOURCE /* syscall */

#include "shim.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

_Static_assert(sizeof(dbshim_waiter) == 24 && offsetof(dbshim_waiter, word) == 8,
               "the kernel reads a dbshim_waiter as struct futex_waitv");

static bool waitv_missing; /* the kernel is older than 5.16, or a seccomp filter refuses the call */

bool dbshim_futex_wait_any(dbshim_waiter *words, size_t count, uint64_t ns) {
    if (__atomic_load_n(&waitv_missing, __ATOMIC_RELAXED)) {
        return false;
    }
    uint64_t until = dbshim_monotonic() + ns;
    struct timespec timeout = {.tv_sec = (time_t)(until / 1000000000),
                               .tv_nsec = (long)(until % 1000000000)};
    if (syscall(SYS_futex_waitv, words, (unsigned)count, 0, &timeout, CLOCK_MONOTONIC) >= 0 ||
        (errno != ENOSYS && errno != EPERM && errno != EINVAL)) {
        return true;
    }
    __atomic_store_n(&waitv_missing, true, __ATOMIC_RELAXED);
    return false;
}
