/* A ring in a shared memory object of Boost.Interprocess, with its mutex and its conditions. Slots
 * are filled and read outside the lock. */
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>

#include "boost.h"

#include <atomic>
#include <new>

using namespace boost::interprocess;

struct shared_ring {
    interprocess_mutex mutex;
    interprocess_condition not_empty, not_full;
    uint64_t head, tail;
    std::atomic<bool> made;
};

struct end {
    mapped_region region;
    shared_ring *ring;
    char *slots;
    uint64_t count;
    size_t size;
    bool block;

    char *slot(uint64_t index) const { return slots + index % count * size; }
};

struct out : end {};
struct in : end {};

/* The side that creates the object prepares the ring, and the other side waits for that. */
static void open_end(end *e, const char *name) {
    e->count = whole_argument("slots");
    e->size = whole_argument("size");
    e->block = whole_argument("block") != 0;
    bool created = false;
    shared_memory_object memory;
    until_made([&] {
        try {
            memory = shared_memory_object(create_only, name_of(name).c_str(), read_write);
            created = true;
        } catch (const interprocess_exception &) {
            memory = shared_memory_object(open_only, name_of(name).c_str(), read_write);
        }
    });
    const size_t bytes = 4096 + e->count * e->size;
    if (created) {
        memory.truncate((offset_t)bytes);
    }
    offset_t there = 0;
    while (!memory.get_size(there) || there < (offset_t)bytes) {
    }
    e->region = mapped_region(memory, read_write);
    e->ring = static_cast<shared_ring *>(e->region.get_address());
    e->slots = static_cast<char *>(e->region.get_address()) + 4096;
    if (created) {
        new (e->ring) shared_ring();
        e->ring->made = true;
    }
    while (!e->ring->made) {
    }
}

static void out_open(struct out *o, const char *name) { open_end(o, name); }
static void in_open(struct in *i, const char *name) { open_end(i, name); }
static void out_connect(struct out *) {}

/* Waits until the condition holds. A polling side gives the lock back each time. */
template <typename Holds>
static void wait_until(const end *e, interprocess_condition *condition, Holds holds) {
    for (;;) {
        scoped_lock<interprocess_mutex> lock(e->ring->mutex);
        while (e->block && !holds()) {
            condition->wait(lock);
        }
        if (holds()) {
            return;
        }
    }
}

static void advance(const end *e, uint64_t *index, interprocess_condition *condition) {
    {
        scoped_lock<interprocess_mutex> lock(e->ring->mutex);
        ++*index;
    }
    if (e->block) {
        condition->notify_one();
    }
}

static char *claim(const struct out *o) {
    shared_ring *r = o->ring;
    uint64_t head = 0;
    wait_until(o, &r->not_full, [&] { return (head = r->head) - r->tail < o->count; });
    return o->slot(head);
}

static const char *take(const struct in *i) {
    shared_ring *r = i->ring;
    uint64_t tail = 0;
    wait_until(i, &r->not_empty, [&] { return r->head != (tail = r->tail); });
    return i->slot(tail);
}

static void out_send(struct out *o, const void *source, size_t size) {
    memcpy(claim(o), source, size);
    advance(o, &o->ring->head, &o->ring->not_empty);
}

static void in_receive(struct in *i, void *target, size_t size) {
    memcpy(target, take(i), size);
    advance(i, &i->ring->tail, &i->ring->not_full);
}

static void out_stop(struct out *o, const void *source, size_t size) { memcpy(claim(o), source, size / 2); }
static void in_stop(struct in *i, void *target, size_t size) { memcpy(target, take(i), size / 2); }

static void out_close(struct out *) {}
static void in_close(struct in *) {}

#include "../peer.h"
