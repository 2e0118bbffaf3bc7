/* A tiny block for the scenarios, and how an application uses it. */
#ifndef BLOCK_H
#define BLOCK_H

#include "weak.h"

#include <linux/futex.h>

/* Sleeps have no bound here. */
static inline void block_futex(uint32_t *word, int operation, uint32_t value, const void *timeout) {
    (void)timeout;
    if (operation == FUTEX_WAKE) {
        weak_wake(word);
    } else {
        weak_wait(word, value);
    }
}

#define LIBRARY_FUTEX block_futex
#define LIBRARY_TRIES 2
#include "plain_block.h"

#ifndef MESSAGES
#define MESSAGES 4
#endif
#ifndef HOLDS
#define HOLDS 1 /* number of messages that a reader holds at a time */
#endif
#ifndef ONCE
/* 1: a reader gets one message, and the writer stops at a refused claim. This keeps the number of
 * states small enough for two readers with hazard pointers. */
#define ONCE 0
#endif

typedef unsigned long long ull;

uint64_t dbshim_monotonic(void) { return 0; }

static inline void block_begin(void) {
    plain_create();
    weak_shared(data_file + DATABLOCK_LAYOUT_STATE, DATABLOCK_LAYOUT_CLAIM_SINCE - DATABLOCK_LAYOUT_STATE);
    weak_shared(data_file + ENTRIES, sizeof data_file - ENTRIES);
    weak_shared(ctl_file + DATABLOCK_LAYOUT_CTL_WAITING, DATABLOCK_LAYOUT_CTL_CLEANED - DATABLOCK_LAYOUT_CTL_WAITING);
    weak_shared(ctl_file + ROWS, sizeof ctl_file - ROWS);
    weak_published(data_file + HEADERS, sizeof data_file - HEADERS);
    weak_private(&own, sizeof own);

    weak_name(data_file + DATABLOCK_LAYOUT_STATE, "state");
    weak_name(data_file + DATABLOCK_LAYOUT_COMMIT, "commit");
    weak_name(data_file + DATABLOCK_LAYOUT_EVENT, "event");
    weak_name(data_file + DATABLOCK_LAYOUT_PRODUCER_WAITING, "producer_waiting");
    weak_name(data_file + DATABLOCK_LAYOUT_JOIN_ACK, "join_ack");
    weak_name(data_file + DATABLOCK_LAYOUT_SCAN_EPOCH, "scan_epoch");
    weak_name(ctl_file + DATABLOCK_LAYOUT_CTL_WAITING, "waiting");
    weak_name(ctl_file + DATABLOCK_LAYOUT_CTL_WAKE, "ctl_wake");
    weak_name(ctl_file + DATABLOCK_LAYOUT_CTL_JOIN_EPOCH, "join_epoch");
    weak_name(ctl_file + DATABLOCK_LAYOUT_CTL_ACTIVE, "active");
    weak_name(ctl_file + DATABLOCK_LAYOUT_CTL_LOSSLESS, "lossless");
    for (uint32_t i = 0; i < N; i++) {
        weak_name(&writer.block.entries[i], "entry %u", i);
    }
    for (uint32_t s = 0; s < SLOTS; s++) {
        uint8_t *header = datablock_inline_header(&writer.block, s);
        weak_name(header + DATABLOCK_LAYOUT_SLOT_ID, "id of slot %u", s);
        weak_name(header + DATABLOCK_LAYOUT_SLOT_LENGTH, "length of slot %u", s);
        weak_name(header + DATABLOCK_LAYOUT_SLOT_TIMESTAMP, "timestamp of slot %u", s);
        weak_name(header + DATABLOCK_LAYOUT_SLOT_CLAIM, "claim of slot %u", s);
        weak_name(datablock_inline_payload(&writer.block, s), "payload of slot %u", s);
    }
}

/* A reader that has not attached yet. */
static inline void block_reader(uint32_t row, uint32_t delivery) {
    plain_consumer(row, delivery, HOLDS);
    uint8_t *at = reader[row].row;
    weak_ignored(at + DATABLOCK_LAYOUT_ROW_HEARTBEAT, DATABLOCK_LAYOUT_ROW_PINS - DATABLOCK_LAYOUT_ROW_HEARTBEAT);
    weak_ignored(at + DATABLOCK_LAYOUT_ROW_WAITS, DATABLOCK_LAYOUT_ROW_SIZE - DATABLOCK_LAYOUT_ROW_WAITS);
    weak_name(at + DATABLOCK_LAYOUT_ROW_STATUS, "status of row %u", row);
    weak_name(at + DATABLOCK_LAYOUT_ROW_CURSOR, "cursor of row %u", row);
    for (uint32_t k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
        weak_name(at + DATABLOCK_LAYOUT_ROW_PINS + 8 * k, "pin %u of row %u", k, row);
    }
}

/* A reader that attached before the first message. setup() is not a thread of the search, so its
 * accesses are plain ones. */
static inline void block_attached(uint32_t row, uint32_t delivery) {
    block_reader(row, delivery);
    go_attach(&reader[row], START_NEXT);
}

/* What the application does with a claimed slot, and with a message that it holds. */
static inline void fill(datablock_write_slot *slot) { *(uint64_t *)slot->data = 1000 + slot->id; }

static inline void look_at(const consumer *c, const datablock_read_slot *slot) {
    weak_check(slot->length == 8 && *(const uint64_t *)slot->data == 1000 + slot->id, "row %u reads message %llu torn",
               c->row_number, (ull)slot->id);
}

static inline void look_and_release(consumer *c, const datablock_read_slot *slot) {
    look_at(c, slot);
    weak_check(read_end(c, slot) == DONE, "row %u releases a slot that was used again", c->row_number);
}

/* The whole run of the writer. Under backpressure it polls with the inline claim. With ONCE it
 * stops at the first backpressure instead. */
static inline void write_all(void) {
    while (writer.next < MESSAGES) {
        datablock_write_slot slot;
        writer.slow_path_pending = 0; /* the writer looks for dead participants */
        if (datablock_inline_claim(&writer, &slot)) {
            fill(&slot);
            weak_check(write_commit(&writer, 8) == DONE, "a commit fails");
        } else if (ONCE) {
            break;
        }
    }
}

/* A reader gets the id that follows, unless the library has reported missed messages to it. */
static inline void check_turn(const consumer *c, const datablock_read_slot *slot, uint64_t expected) {
    weak_check(slot->id == expected + slot->missed && (slot->missed == 0 || c->delivery != DATABLOCK_LAYOUT_LOSSLESS),
               "row %u gets message %llu and missed %llu, expected %llu", c->row_number, (ull)slot->id,
                   (ull)slot->missed, (ull)expected);
}

/* A reader that polls until it has read the last message, and holds up to HOLDS of them. */
static inline void read_all(consumer *c) {
    datablock_read_slot held[HOLDS];
    uint32_t count = 0;
    for (uint64_t expected = c->next; expected < MESSAGES || count > 0;) {
        status result = WOULD_WAIT;
        if (expected < MESSAGES && count < HOLDS) {
            result = try_read_begin(c, &held[count]);
        }
        if (result == DONE) {
            check_turn(c, &held[count], expected);
            look_at(c, &held[count]);
            expected = ONCE ? MESSAGES : held[count].id + 1;
            count++;
        } else {
            weak_check(result == WOULD_WAIT, "row %u is told %d", c->row_number, result);
        }
        if (count > 0 && (count == HOLDS || result != DONE)) {
            look_and_release(c, &held[0]);
            count--;
            for (uint32_t i = 0; i < count; i++) {
                held[i] = held[i + 1];
            }
        }
    }
}

#endif
