/*
 * The plainest ring of one producer and one consumer, in a file that both map, and a futex. The
 * limits and the peer `ring` share them.
 */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include "measure.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { LINE = 128 }; /* two cache lines, because the prefetcher loads pairs */

/* Maps the file of the two sides. The first side creates the file, zeroed and with its memory
 * reserved, like the files of a block. */
static inline void *shared(const char *name, size_t size) {
    int file = open(name, O_RDWR | O_CREAT, 0600);
    if (file < 0 || posix_fallocate(file, 0, (off_t)size) != 0) {
        die("cannot make %s", name);
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) {
        die("cannot map %s", name);
    }
    close(file);
    return memory;
}

static inline char *path_of(const char *name) {
    char *path;
    if (asprintf(&path, "%s/%s", getenv("DATABLOCK_DIR"), name) < 0) {
        die("no memory");
    }
    return path;
}

/* ---- A futex --------------------------------------------------------------------------------- */

static inline void futex_wake(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }

/* Sleeps while the word is `value`. */
static inline uint32_t futex_wait(_Atomic uint32_t *word, uint32_t value) {
    uint32_t seen;
    while ((seen = atomic_load(word)) == value) {
        syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
    }
    return seen;
}

/* ---- The ring -------------------------------------------------------------------------------- */

/* Each side writes one word, and loads the word of the other side for every message. */
typedef struct ring {
    _Atomic uint64_t *head, *tail, *closed;
    char *slots;
    uint64_t count, size, own;
} ring;

static inline ring ring_at(const char *name) {
    size_t size = whole_argument("size"), count = whole_argument("slots");
    char *memory = shared(path_of(name), 4096 + size * count);
    return (ring){
        .head = (_Atomic uint64_t *)memory,
        .closed = (_Atomic uint64_t *)(memory + 8),
        .tail = (_Atomic uint64_t *)(memory + LINE),
        .slots = memory + 4096,
        .count = count,
        .size = size,
    };
}

static inline void ring_write(ring *r, const void *source, size_t copied) {
    while (r->own - atomic_load_explicit(r->tail, memory_order_acquire) == r->count) {
    }
    memcpy(r->slots + r->own % r->count * r->size, source, copied);
    atomic_store_explicit(r->head, ++r->own, memory_order_release);
}

/* Returns false if the ring is closed and empty. */
static inline bool ring_read(ring *r, void *target, size_t copied) {
    while (r->own == atomic_load_explicit(r->head, memory_order_acquire)) {
        if (atomic_load_explicit(r->closed, memory_order_acquire) &&
            r->own == atomic_load_explicit(r->head, memory_order_acquire)) {
            return false;
        }
    }
    memcpy(target, r->slots + r->own % r->count * r->size, copied);
    atomic_store_explicit(r->tail, ++r->own, memory_order_release);
    return true;
}

#endif
