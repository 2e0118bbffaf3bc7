/*
 * A producer under backpressure may sleep for long, and has to learn soon when the consumer that it
 * waits for has died. The liveness leases of the consumers show that. The query of a lease is a
 * system call of a microsecond. This file makes the query in C, where it costs no entry into Go, no
 * descriptor and no thread of the host. No code here touches the mapping: only the kernel reads the
 * futex word.
 */
#define _GNU_SOURCE /* F_OFD_GETLK */

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * With few holders (at most FEW), each poll queries all leases, every LOOK_EVERY. The producer
 * resumes that soon after a death. With more holders, or after the first second of a wait, polls
 * are LOOK_LATER_EVERY apart, and each queries at most FEW leases. Therefore a long wait, or a wait
 * for many holders, uses no more of a core.
 */
enum {
    FEW = DATABLOCK_TUNING_HELD_PROBES,
    LOOK_EVERY = 8000000, /* ns */
    LOOK_LATER_EVERY = DATABLOCK_TUNING_HELD_LATER_NS
};

/* True: all of at most FEW bytes are locked. The check begins with the byte at index `first`. */
static bool are_locked(int descriptor, const int64_t *bytes, size_t count, size_t first) {
    for (size_t i = 0; i < count && i < FEW; i++) {
        struct flock lock = {.l_type = F_WRLCK,
                             .l_whence = SEEK_SET,
                             .l_start = bytes[(first + i) % count],
                             .l_len = 1};
        if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
            return false;
        }
    }
    return true;
}

void dbshim_sleep_held(const dbshim_sleep *sleep) {
    const uint64_t every = sleep->held_count <= FEW && !sleep->late ? LOOK_EVERY : LOOK_LATER_EVERY;
    size_t first = 0;
    for (uint64_t now = dbshim_monotonic(), end = now + sleep->ns; now < end;
         now = dbshim_monotonic()) {
        uint64_t slice = end - now < every ? end - now : every;
        struct timespec timeout = {.tv_nsec = (long)slice};
        if (syscall(SYS_futex, sleep->word, FUTEX_WAIT, sleep->value, &timeout, NULL, 0) == 0 ||
            (errno != ETIMEDOUT && errno != EINTR)) {
            return; /* woken, or the word has changed */
        }
        if (!are_locked(sleep->descriptor, sleep->held, sleep->held_count, first)) {
            return;
        }
        first += FEW;
    }
}
