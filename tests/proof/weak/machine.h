/* The representation of the memory, for memory.c and forget.c. memory.c explains it. */
#ifndef MACHINE_H
#define MACHINE_H

#include "memory.h"

typedef struct Set {
    uint8_t of[MAX_THREADS]; /* for each thread: the first so many of its accesses */
} Set;

typedef struct View {
    uint8_t seen[MAX_LOCATIONS]; /* stamp of the newest known message */
    Set before; /* plain accesses, in epochs */
    Set sc; /* sequentially consistent accesses */
} View;

typedef struct Message {
    uint64_t value;
    uint8_t location;
    uint8_t stamp; /* 1, 2, ... in modification order */
    uint8_t followed; /* by the read-modify-write that read it */
    uint8_t sc; /* number of the sequentially consistent write among its thread's accesses, 0: none */
    uint8_t thread;
    uint8_t unused[3];
    Set order; /* of a sequentially consistent write: the accesses before it, and itself */
    Set users; /* sequentially consistent accesses that wrote or read this, and all before them */
    View view;
} Message;

struct Machine {
    int threads;
    int messages;
    struct {
        View now;
        View fence; /* what a relaxed write releases: the view of the last release fence */
        View pending; /* what an acquire fence would acquire */
        uint8_t finished;
        uint8_t sc; /* number of accesses so far */
        uint8_t unused[6];
    } thread[MAX_THREADS];
    View bucket; /* the kernel's futex lock */
    Set forgotten[MAX_LOCATIONS]; /* users of messages that no thread can read any more */
    struct {
        uint8_t writer, write; /* the last write: thread and epoch, 0: none */
        uint8_t read[MAX_THREADS];
        uint8_t unused[2];
    } plain[MAX_PLAIN];
    Message message[MAX_MESSAGES]; /* by location, then stamp */
};

static inline void raise_to(uint8_t *a, uint8_t b)
{
    if (*a < b)
        *a = b;
}

static inline void join_set(Set *a, const Set *b)
{
    for (int t = 0; t < MAX_THREADS; t++)
        raise_to(&a->of[t], b->of[t]);
}

void each_view(void (*f)(View *, uint8_t, uint8_t), uint8_t a, uint8_t b);

#endif
