/*
 * The limits: what the machine can do without DataBlock. A role of two sides is started twice, with
 * side=0 and side=1, on the same files.
 */
#include "ring.h"

#include <errno.h>
#include <sys/stat.h>

static size_t side(void) { return whole_argument("side"); }

/* ---- A cache line that goes back and forth --------------------------------------------------- */

static const uint64_t over = UINT64_MAX; /* the value that ends the exchange */

static void play_line(void) {
    _Atomic uint64_t *ball = shared(path_of("line"), 4096);
    if (side() == 0) {
        make_room(real_argument("seconds"));
        rendezvous();
        uint64_t turn = 0;
        TIME_ROUND_TRIPS({
            atomic_store_explicit(ball, ++turn, memory_order_release);
            ++turn;
            while (atomic_load_explicit(ball, memory_order_acquire) != turn) {
            }
        });
        atomic_store(ball, over);
        answer_samples(2);
        return;
    }
    rendezvous();
    for (uint64_t turn = 1;; turn += 2) {
        uint64_t seen;
        while ((seen = atomic_load_explicit(ball, memory_order_acquire)) != turn) {
            if (seen == over) {
                return;
            }
        }
        atomic_store_explicit(ball, turn + 1, memory_order_release);
    }
}

/* ---- Two sleepers that wake each other ------------------------------------------------------- */

static void play_futex(void) {
    char *page = shared(path_of("futex"), 4096);
    _Atomic uint32_t *there = (_Atomic uint32_t *)page, *back = (_Atomic uint32_t *)(page + LINE);
    uint32_t turn = 0;
    rest_as_given();
    if (side() == 0) {
        make_room(real_argument("seconds"));
        rendezvous();
        TIME_ROUND_TRIPS({
            atomic_store(there, ++turn);
            futex_wake(there);
            futex_wait(back, turn - 1);
        });
        atomic_store(there, UINT32_MAX);
        futex_wake(there);
        answer_samples(2);
        return;
    }
    rendezvous();
    while (futex_wait(there, turn) != UINT32_MAX) {
        rest(ticks());
        atomic_store(back, ++turn);
        futex_wake(back);
    }
}

/* ---- A plain ring of one producer and one consumer ------------------------------------------- */

static size_t copied_bytes(void) { return whole_argument("copy") ? whole_argument("size") : 0; }

static void play_ring_stream(void) {
    ring r = ring_at("ring");
    size_t copied = copied_bytes(), batch = batch_of(r.size);
    void *buffer = buffer_of(r.size);
    rendezvous();
    if (side() == 0) {
        uint64_t begun = ticks();
        window w = window_from(begun);
        do {
            for (size_t i = 0; i < batch; i++) {
                ring_write(&r, buffer, copied);
            }
        } while (ticks() < w.until);
        atomic_store(r.closed, 1);
        answer_rate(r.own, ticks() - begun);
        return;
    }
    rate rate = {0};
    while (ring_read(&r, buffer, copied)) {
        if (++rate.messages % batch == 0) {
            rate_look(&rate);
        }
    }
    answer_stream(&rate);
}

static void play_ring_pong(void) {
    ring there = ring_at("there"), back = ring_at("back");
    size_t copied = copied_bytes();
    void *source = buffer_of(there.size), *target = buffer_of(there.size);
    if (side() == 0) {
        make_room(real_argument("seconds"));
        rendezvous();
        TIME_ROUND_TRIPS({
            ring_write(&there, source, copied);
            ring_read(&back, target, copied);
        });
        atomic_store(there.closed, 1);
        answer_samples(2);
        return;
    }
    rendezvous();
    while (ring_read(&there, target, copied)) {
        ring_write(&back, source, copied);
    }
}

/* The cost of a write, in bursts. The other side reads each burst before the next one begins, or
 * there is no reader. */
static void play_ring_cost(void) {
    enum { BURST = 64 };
    ring r = ring_at("ring");
    void *buffer = buffer_of(r.size);
    bool followed = whole_argument("follow") != 0;
    if (side() == 1) {
        rendezvous();
        while (ring_read(&r, buffer, r.size)) {
        }
        return;
    }
    make_room(real_argument("seconds"));
    rendezvous();
    for (window w = window_from(ticks()); ticks() < w.until;) {
        uint64_t begun = ticks();
        for (int i = 0; i < BURST; i++) {
            ring_write(&r, buffer, r.size);
        }
        uint64_t now = ticks();
        if (begun >= w.from) {
            record(now - begun);
        }
        if (!followed) {
            atomic_store(r.tail, r.own);
        }
        while (atomic_load_explicit(r.tail, memory_order_acquire) != r.own) {
        }
    }
    atomic_store(r.closed, 1);
    answer_samples(BURST);
}

/* ---- Copying alone --------------------------------------------------------------------------- */

/* Copies from a private buffer into the slots of a ring, one after the other, like a producer. */
static void play_memcpy(void) {
    ring r = ring_at("memcpy");
    void *buffer = buffer_of(r.size);
    size_t batch = batch_of(r.size);
    rate rate = {0};
    rendezvous();
    for (window w = window_from(ticks()); rate.last < w.until;) {
        for (size_t i = 0; i < batch; i++) {
            memcpy(r.slots + rate.messages++ % r.count * r.size, buffer, r.size);
        }
        rate_look(&rate);
    }
    answer_stream(&rate);
}

/* ---- System calls ---------------------------------------------------------------------------- */

static int lock_byte(int file, int how) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    int result;
    do {
        result = fcntl(file, how, &lock);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* The bare system calls of an attach: opens, maps and reads two files, and locks a third open file
 * description. */
static void play_open(void) {
    enum { SIZE = 1 << 16 };
    char *data = path_of("plain-data"), *control = path_of("plain-control");
    shared(data, SIZE);
    shared(control, SIZE);
    make_room(real_argument("seconds"));
    rendezvous();
    for (window w = window_from(ticks()); ticks() < w.until;) {
        struct stat status;
        uint64_t begun = ticks();
        int files[] =
            {open(data, O_RDONLY | O_CLOEXEC), open(control, O_RDWR | O_CLOEXEC), open(control, O_RDWR | O_CLOEXEC)};
        if (files[0] < 0 || files[1] < 0 || files[2] < 0 || fstat(files[0], &status) != 0 ||
            fstat(files[1], &status) != 0) {
            die("cannot open %s", data);
        }
        volatile char *first = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, files[0], 0);
        volatile char *second = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, files[1], 0);
        if (first == MAP_FAILED || second == MAP_FAILED || lock_byte(files[2], F_OFD_SETLK) != 0) {
            die("cannot map or lock %s", data);
        }
        second[0] = (char)(first[0] + 1);
        uint64_t now = ticks();
        if (begun >= w.from) {
            record(now - begun);
        }
        munmap((void *)first, SIZE);
        munmap((void *)second, SIZE);
        for (int i = 0; i < 3; i++) {
            close(files[i]);
        }
    }
    answer_samples(1);
}

/* For each line of input: waits for a lock that another process holds until its death, and
 * prints the time at which it got the lock. */
static void play_lock_wait(void) {
    int file = open(path_of("death"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char line[64];
    say("ready");
    while (next_line(line, sizeof line)) {
        say("held");
        if (lock_byte(file, F_OFD_SETLKW) != 0) {
            die("cannot lock");
        }
        printf("{\"at_ns\": %llu}\n", (unsigned long long)monotonic_ns());
        fflush(stdout);
        struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
        fcntl(file, F_OFD_SETLK, &none);
    }
}

static void play_lock_hold(void) {
    int file = open(path_of("death"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || lock_byte(file, F_OFD_SETLK) != 0) {
        die("cannot lock");
    }
    rendezvous();
}

static void play_memory(void) {
    rendezvous();
    printf("{\"resident_kb\": %ld}\n", resident_kb());
}

int main(int argc, char **argv) {
    static const role roles[] = {
        {"line", play_line},           {"futex", play_futex},         {"ring-stream", play_ring_stream},
            {"ring-pong", play_ring_pong},
        {"ring-cost", play_ring_cost}, {"memcpy", play_memcpy},       {"open", play_open},
            {"fill", play_lock_wait},
        {"hold", play_lock_hold},      {"memory", play_memory},       {NULL, NULL},
    };
    return play_role(argc, argv, roles);
}
