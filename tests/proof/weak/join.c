/* A reader that attaches while the producer writes, at the oldest message (OLDEST) or at the
 * newest. LEAVE: the reader detaches after this number of messages, and attaches again. */
#include "block.h"

#ifndef DELIVERY
#define DELIVERY DATABLOCK_LAYOUT_LOSSLESS
#endif
#ifndef OLDEST
#define OLDEST 0
#endif
#ifndef LEAVE
#define LEAVE MESSAGES
#endif

/* Reads `most` messages, or up to the last one. */
static void read_some(consumer *c, unsigned most) {
    /* A LOSSLESS reader gets every message from the first one that it reads. If it joined at the
     * newest message, it gets every message from the join on. */
    bool bound = DELIVERY == DATABLOCK_LAYOUT_LOSSLESS && !OLDEST;
    uint64_t expected = c->next;
    for (unsigned had = 0; expected < MESSAGES && had < most;) {
        datablock_read_slot slot;
        status result = try_read_begin(c, &slot);
        if (result == WOULD_WAIT) {
            continue;
        }
        weak_check(result == DONE, "the joiner is told %d", result);
        weak_check(slot.id >= expected && (!bound || slot.id == expected),
                   "the joiner gets message %llu, expected %llu", (ull)slot.id, (ull)expected);
        expected = slot.id + 1;
        bound |= DELIVERY == DATABLOCK_LAYOUT_LOSSLESS && c->join_epoch == 0;
        had++;
        look_and_release(c, &slot);
    }
}

static void join_and_read(void) {
    consumer *c = &reader[1];
    go_attach(c, OLDEST ? START_OLDEST : START_NEXT);
    read_some(c, LEAVE);
    if (LEAVE < MESSAGES) {
        go_detach(c);
        go_attach(c, OLDEST ? START_OLDEST : START_NEXT);
        read_some(c, MESSAGES);
    }
}

void setup(void) {
    block_begin();
    weak_thread("producer", write_all);
    block_reader(1, DELIVERY);
    weak_thread("joiner", join_and_read);
}

void finish(void) {}
