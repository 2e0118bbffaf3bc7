/*
 * Both event counts: a reader that sleeps until there is a message (capi/protocol_wait.c), and a
 * producer that sleeps until there is free capacity (Producer.waitForRoom). Every sleep needs its
 * wake-up.
 *
 * CLOSE: the producer ends the stream, and the reader reads on until it gets the end of the stream.
 * READS: after this number of messages the reader stops reading. With LEAVE it detaches instead,
 * while it holds the last message.
 */
#include "block.h"

#ifndef DELIVERY
#define DELIVERY DATABLOCK_LAYOUT_LOSSLESS
#endif
#ifndef CLOSE
#define CLOSE 0
#endif
#ifndef READS
#define READS MESSAGES
#endif
#ifndef LEAVE
#define LEAVE 0
#endif

static void write_and_sleep(void) {
    while (writer.next < MESSAGES) {
        datablock_write_slot slot;
        weak_check(write_begin(&writer, true, &slot) == DONE, "a claim fails");
        fill(&slot);
        weak_check(write_commit(&writer, 8) == DONE, "a commit fails");
    }
    if (CLOSE) {
        go_close(&writer);
    }
}

static void read_and_sleep(void) {
    consumer *c = &reader[1];
    uint64_t expected = 0;
    while (expected < READS || CLOSE) {
        datablock_read_slot slot;
        status result = read_begin(c, &slot);
        if (result == OVER) {
            break;
        }
        weak_check(result == DONE, "the reader is told %d", result);
        check_turn(c, &slot, expected);
        expected = slot.id + 1;
        if (LEAVE && expected >= READS) {
            go_detach(c);
            return;
        }
        look_and_release(c, &slot);
    }
    weak_check(!CLOSE || expected == MESSAGES, "the stream is over, and the reader has not had message %llu",
               (ull)expected);
}

void setup(void) {
    block_begin();
    weak_thread("producer", write_and_sleep);
    block_attached(1, DELIVERY);
    weak_thread("reader", read_and_sleep);
}

void finish(void) {}
