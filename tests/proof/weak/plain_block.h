/* A block in plain memory: both files as arrays, one producer, READERS consumers. Their private
 * state is set up as the library does it. */
#ifndef PLAIN_BLOCK_H
#define PLAIN_BLOCK_H

#include "library.h"

#ifndef N
#define N 2 /* length of the ring */
#endif
#ifndef SPARE
#define SPARE 2
#endif
#ifndef READERS
#define READERS 2 /* in rows 1, 2, ... */
#endif
#ifndef SLOT_SIZE
#define SLOT_SIZE 8
#endif

enum {
    SLOTS = N + SPARE,
    ENTRIES = 8192,
    STRIDE = (DATABLOCK_LAYOUT_SLOT_HEADER + SLOT_SIZE + 63) / 64 * 64,
    HEADERS = ENTRIES + (8 * N + 63) / 64 * 64,
    ROWS = DATABLOCK_LAYOUT_CTL_ROWS
};

_Static_assert(SLOTS <= 64 && READERS < 64, "one word of bits each");

static uint8_t data_file[HEADERS + SLOTS * STRIDE] __attribute__((aligned(64)));
static uint8_t ctl_file[ROWS + (READERS + 1) * DATABLOCK_LAYOUT_ROW_SIZE] __attribute__((aligned(64)));

static struct {
    producer writer;
    consumer reader[READERS + 1]; /* by row */
    uint32_t free_slots[SLOTS], retired[SLOTS], pins[READERS * DATABLOCK_LAYOUT_MAX_PINS];
    uint64_t pinned[1], expected[N], claims[SLOTS];
} own;

#define writer (own.writer)
#define reader (own.reader)

static inline block plain_block(void) {
    return (block){
        .data = data_file,
        .ctl = ctl_file,
        .entries = datablock_inline_u64(data_file, ENTRIES),
        .payloads = data_file + HEADERS + DATABLOCK_LAYOUT_SLOT_HEADER,
        .rows = ctl_file + ROWS,
        .data_size = sizeof data_file,
        .ctl_size = sizeof ctl_file,
        .stride = STRIDE,
        .slot_size = SLOT_SIZE,
        .row_mask = {((UINT64_C(1) << READERS) - 1) << 1},
        .slot_count = N,
        .flags = DATABLOCK_LAYOUT_FLAG_ALLOW_LOSSLESS,
        .slots = SLOTS,
    };
}

/* createBlock and newProducer */
static inline void plain_create(void) {
    *datablock_inline_u32(data_file, DATABLOCK_LAYOUT_STATE) = DATABLOCK_LAYOUT_STATE_READY;
    *datablock_inline_u64(data_file, DATABLOCK_LAYOUT_EPOCH) = 1;
    for (uint32_t i = 0; i < N; i++) {
        *datablock_inline_u64(data_file, ENTRIES + 8 * i) = own.expected[i] = DATABLOCK_LAYOUT_ENTRY_NONE;
    }
    writer = (producer){
        .block = plain_block(),
        .epoch = 1,
        .min_cursor = -(uint64_t)plain_block().slot_count,
        .clock = {.now = 1, .seen = 1},
        .next_clock_check = UINT64_MAX,
        .free_slots = own.free_slots,
        .retired = own.retired,
        .pins = own.pins,
        .pinned = own.pinned,
        .expected = own.expected,
        .claims = own.claims,
    };
    for (uint32_t s = 0; s < SLOTS; s++) {
        own.free_slots[writer.free_count++] = s;
    }
}

/* newConsumer, not attached yet */
static inline void plain_consumer(uint32_t row, uint32_t delivery, uint32_t max_pins) {
    reader[row] = (consumer){
        .block = plain_block(),
        .row = ctl_file + ROWS + row * DATABLOCK_LAYOUT_ROW_SIZE,
        .row_number = row,
        .delivery = delivery,
        .max_pins = max_pins,
        .producer_there = 1,
        .clock = {.now = 1, .seen = 1},
        .next_clock_check = UINT64_MAX,
    };
}

#endif
