/* The plain ring. Its sides poll, or sleep on a futex (block=1). Nothing in it notices a death. */
#include "../../ring.h"

struct out {
    ring ring;
    bool block;
};

struct in {
    ring ring;
    bool block;
};

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
    o->ring = ring_at(name);
    o->ring.own = atomic_load(o->ring.head);
    o->block = whole_argument("block") != 0;
}

static void in_open(struct in *i, const char *name) {
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
    out_wait(o);
    ring_write(&o->ring, source, size);
    if (o->block) {
        atomic_thread_fence(memory_order_seq_cst);
        wake(&o->ring, o->ring.head);
    }
}

static void in_receive(struct in *i, void *target, size_t size) {
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
