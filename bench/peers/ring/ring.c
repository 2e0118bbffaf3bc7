/* The plain ring. Its sides poll, or sleep on a futex (block=1). Nothing in it notices a death.
 *
 * With entries=1 a message is in a slot that its entry names, as in DataBlock. The reader does not
 * know the slot before it has the entry. It waits for three cache lines one after the other, where
 * the plain ring waits for two. This is the least that a ring of such entries can take.
 *
 * With more=N each write takes about N instructions more. They depend on nothing. With as many as
 * DataBlock has beyond this ring, the ring shows what the number of the instructions costs. */
#include "../../ring.h"

/* Slots named by entries. There are twice as many slots as entries. */
typedef struct named_slots {
    _Atomic uint64_t *entries, *tail;
    char *slots;
    uint64_t count, stride, own, free;
    size_t more; /* instructions, in 64 */
} named_slots;

struct out {
    ring ring;
    named_slots named; /* with entries=1, which polls */
    bool block;
};

struct in {
    ring ring;
    named_slots named;
    bool block;
};

enum { HEADER = 64, SLOT_BITS = 20 };

static named_slots named_at(const char *name) {
    size_t size = whole_argument("size"), count = whole_argument("slots");
    size_t stride = HEADER + (size + 63) / 64 * 64, entries = (count * 8 + 4095) / 4096 * 4096;
    char *memory = shared(path_of(name), 4096 + entries + 2 * count * stride);
    return (named_slots){
        .tail = (_Atomic uint64_t *)memory,
        .entries = (_Atomic uint64_t *)(memory + 4096),
        .slots = memory + 4096 + entries,
        .count = count,
        .stride = stride,
        .free = count,
        .more = whole_argument("more") / 64,
    };
}

/* The header of the slot of a message. The message is behind it. */
static uint64_t *slot_of(const named_slots *n, uint64_t slot) { return (uint64_t *)(n->slots + slot * n->stride); }

/* Takes a line from the core of the reader, without waiting for it. */
static void own(volatile uint64_t *line) { *line = *line; }

/* 64 instructions in four chains, which a core executes side by side. */
#define FOUR_MORE                                                  \
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));     \
    a++, b++, c++, d++;
#define SIXTEEN_MORE FOUR_MORE FOUR_MORE FOUR_MORE FOUR_MORE

static inline void work(void) {
    size_t a = 1, b = 2, c = 3, d = 4;
    SIXTEEN_MORE SIXTEEN_MORE SIXTEEN_MORE SIXTEEN_MORE
    __asm__ volatile("" ::"r"(a), "r"(b), "r"(c), "r"(d));
}

static void named_write(named_slots *n, const void *source, size_t size) {
    for (size_t i = 0; i < n->more; i++) {
        work();
    }
    while (n->own == n->free) {
        n->free = atomic_load_explicit(n->tail, memory_order_acquire) + n->count;
    }
    uint64_t slot = n->own % (2 * n->count), *header = slot_of(n, slot);
    header[0] = n->own;
    header[1] = size;
    memcpy(header + HEADER / 8, source, size);
    _Atomic uint64_t *entry = &n->entries[n->own % n->count];
    atomic_store_explicit(entry, ++n->own << SLOT_BITS | slot, memory_order_release);
    uint64_t *next = slot_of(n, n->own % (2 * n->count));
    own(next);
    own(next + HEADER / 8);
}

static void named_read(named_slots *n, void *target, size_t size) {
    uint64_t entry;
    do {
        entry = atomic_load_explicit(&n->entries[n->own % n->count], memory_order_acquire);
    } while (entry >> SLOT_BITS != n->own + 1);
    const uint64_t *header = slot_of(n, entry & ((1 << SLOT_BITS) - 1));
    if (header[0] != n->own || header[1] != size) {
        die("message %llu is not in its slot", (unsigned long long)n->own);
    }
    memcpy(target, header + HEADER / 8, size);
    atomic_store_explicit(n->tail, ++n->own, memory_order_release);
}

/* A side that sleeps counts itself here, in the header of the ring. A futex is 32 bits wide: the
 * lower half of an index, which comes first on a little-endian machine. */
static _Atomic uint32_t *sleepers(const ring *r) { return (_Atomic uint32_t *)((char *)r->tail + LINE); }

static void wake(const ring *r, _Atomic uint64_t *index) {
    if (atomic_load(sleepers(r)) != 0) {
        futex_wake((_Atomic uint32_t *)index);
    }
}

/* Sleeps while the index has this value. */
static void sleep_while(const ring *r, _Atomic uint64_t *index, uint64_t value) {
    atomic_fetch_add(sleepers(r), 1);
    while (atomic_load(index) == value) {
        syscall(SYS_futex, index, FUTEX_WAIT, (uint32_t)value, NULL, NULL, 0);
    }
    atomic_fetch_sub(sleepers(r), 1);
}

static void out_open(struct out *o, const char *name) {
    if (whole_argument("entries")) {
        o->named = named_at(name);
        return;
    }
    o->named = (named_slots){.count = 0};
    o->ring = ring_at(name);
    o->ring.own = atomic_load(o->ring.head);
    o->block = whole_argument("block") != 0;
}

static void in_open(struct in *i, const char *name) {
    if (whole_argument("entries")) {
        i->named = named_at(name);
        return;
    }
    i->named = (named_slots){.count = 0};
    i->ring = ring_at(name);
    i->ring.own = atomic_load(i->ring.tail);
    i->block = whole_argument("block") != 0;
}

static void out_connect(struct out *o) { (void)o; }

static void out_wait(struct out *o) {
    if (o->block && o->ring.own - atomic_load(o->ring.tail) == o->ring.count) {
        sleep_while(&o->ring, o->ring.tail, o->ring.own - o->ring.count);
    }
}

static void in_wait(struct in *i) {
    if (i->block) {
        sleep_while(&i->ring, i->ring.head, i->ring.own);
    }
}

static void out_send(struct out *o, const void *source, size_t size) {
    if (o->named.count) {
        named_write(&o->named, source, size);
        return;
    }
    out_wait(o);
    ring_write(&o->ring, source, size);
    if (o->block) {
        atomic_thread_fence(memory_order_seq_cst);
        wake(&o->ring, o->ring.head);
    }
}

static void in_receive(struct in *i, void *target, size_t size) {
    if (i->named.count) {
        named_read(&i->named, target, size);
        return;
    }
    in_wait(i);
    ring_read(&i->ring, target, size);
    if (i->block) {
        atomic_thread_fence(memory_order_seq_cst);
        wake(&i->ring, i->ring.tail);
    }
}

static void out_stop(struct out *o, const void *source, size_t size) {
    out_wait(o);
    memcpy(o->ring.slots + o->ring.own % o->ring.count * size, source, size / 2);
}

static void in_stop(struct in *i, void *target, size_t size) {
    in_wait(i);
    memcpy(target, i->ring.slots + i->ring.own % i->ring.count * size, size / 2);
}

static void out_close(struct out *o) { (void)o; }
static void in_close(struct in *i) { (void)i; }

#include "../peer.h"
