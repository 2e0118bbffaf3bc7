/* Boost.Interprocess' message_queue, which copies each message in and out under its lock. */
#include <boost/interprocess/ipc/message_queue.hpp>

#include "boost.h"

#include <memory>

#include <signal.h>
#include <sys/mman.h>

using boost::interprocess::message_queue;

struct out {
    std::unique_ptr<message_queue> queue;
    bool block;
};

struct in {
    std::unique_ptr<message_queue> queue;
    bool block;
};

static std::unique_ptr<message_queue> open_queue(const char *name) {
    std::unique_ptr<message_queue> queue;
    until_made([&] {
        queue.reset(new message_queue(boost::interprocess::open_or_create, name_of(name).c_str(),
                                      whole_argument("slots"), whole_argument("size")));
    });
    return queue;
}

static void out_open(struct out *o, const char *name) {
    o->queue = open_queue(name);
    o->block = whole_argument("block") != 0;
}

static void in_open(struct in *i, const char *name) {
    i->queue = open_queue(name);
    i->block = whole_argument("block") != 0;
}

static void out_connect(struct out *) {}

static void out_send(struct out *o, const void *source, size_t size) {
    if (o->block) {
        o->queue->send(source, size, 0);
        return;
    }
    while (!o->queue->try_send(source, size, 0)) {
    }
}

static void in_receive(struct in *i, void *target, size_t size) {
    message_queue::size_type received = 0;
    unsigned priority = 0;
    if (i->block) {
        i->queue->receive(target, size, received, priority);
    } else {
        while (!i->queue->try_receive(target, size, received, priority)) {
        }
    }
    if (received != size) {
        die("a message of %zu bytes instead of %zu", (size_t)received, size);
    }
}

/* The queue offers no claim. A copy stops half way because the second half of the memory may not be
 * touched. */
static void stop_here(int) {
    static const char line[] = "stopped 0 0\n";
    ssize_t done = write(STDOUT_FILENO, line, sizeof line - 1);
    for (;;) {
        pause();
    }
    (void)done;
}

static void forbid_half(const void *memory, size_t size) {
    signal(SIGSEGV, stop_here);
    if (mprotect((char *)const_cast<void *>(memory) + size / 2, size / 2, PROT_NONE) != 0) {
        die("cannot forbid half of a message");
    }
}

static void out_stop(struct out *o, const void *source, size_t size) {
    forbid_half(source, size);
    out_send(o, source, size);
}

static void in_stop(struct in *i, void *target, size_t size) {
    forbid_half(target, size);
    in_receive(i, target, size);
}

static void out_close(struct out *o) { o->queue.reset(); }
static void in_close(struct in *i) { i->queue.reset(); }

#include "../peer.h"
