/*
 * A producer that is held up sleeps for long, and has to know soon when a consumer that holds it up has died. The consumers' locks
 * say so. To ask for one is a system call of a microsecond. It is made here, where it costs neither an entry into Go nor a
 * descriptor or a thread of the host's. Nothing here touches the mapping: only the kernel reads the word that is slept on.
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
 * Of few holders each is asked about at every look, so that a producer goes on that soon after a death. Of many, eight are, and less
 * often, as after the first second of a wait: a producer that is held up for long, or by many, uses no more of a core.
 */
enum { FEW = 8, LOOK_EVERY = 8000000, LOOK_LATER_EVERY = 20000000 /* ns */ };

/* Whether some of the bytes are locked, beginning with the one at `first`. */
static bool are_locked(int descriptor, const int64_t *bytes, size_t count, size_t first) {
    for (size_t i = 0; i < count && i < FEW; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = bytes[(first + i) % count], .l_len = 1};
        if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
            return false;
        }
    }
    return true;
}

void dbshim_sleep_held(const dbshim_sleep *sleep) {
    const uint64_t every = sleep->held_count <= FEW && !sleep->late ? LOOK_EVERY : LOOK_LATER_EVERY;
    size_t first = 0;
    for (uint64_t now = dbshim_monotonic(), end = now + sleep->ns; now < end; now = dbshim_monotonic()) {
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
