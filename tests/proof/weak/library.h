/*
 * The library's half of the protocol, for programs that check the fast path without the library.
 *
 * It contains what the inline functions leave to Go (library_producer.h, library_consumer.h), step
 * by step as in internal/core. Every shared access is sequentially consistent, as in Go. Errors are
 * numbers here. Informational figures and the search for dead participants are left out.
 * capi/protocol_wait.c and capi/futex_linux.c are compiled unchanged.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#ifndef _GNU_SOURCE
#error "compile with -D_GNU_SOURCE=, as capi/futex_linux.c has it"
#endif

#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef LIBRARY_FUTEX /* (word, operation, value, timeout): another futex than the kernel's */
#define syscall(number, word, operation, value, timeout, ...) LIBRARY_FUTEX(word, operation, value, timeout)
#endif
#include "futex_linux.c"
#include "protocol_wait.c"

#ifndef LIBRARY_TRIES
#define LIBRARY_TRIES 1000 /* the number of tries in nextInOrder and nextLatest */
#endif

typedef datablock_inline_block block;
typedef datablock_inline_producer producer;
typedef datablock_inline_consumer consumer;

/* OVER: the stream is closed or superseded, and every message has been read. */
typedef enum status { DONE, WOULD_WAIT, OVER, SUPERSEDED, FENCED, OVERRUN, CORRUPT } status;

static inline uint64_t go_load(uint8_t *base, uint64_t offset) {
    return __atomic_load_n(datablock_inline_u64(base, offset), __ATOMIC_SEQ_CST);
}
static inline uint32_t go_load32(uint8_t *base, uint64_t offset) {
    return __atomic_load_n(datablock_inline_u32(base, offset), __ATOMIC_SEQ_CST);
}
static inline void go_store(uint8_t *base, uint64_t offset, uint64_t value) {
    __atomic_store_n(datablock_inline_u64(base, offset), value, __ATOMIC_SEQ_CST);
}
static inline uint64_t go_swap(uint8_t *base, uint64_t offset, uint64_t value) {
    return __atomic_exchange_n(datablock_inline_u64(base, offset), value, __ATOMIC_SEQ_CST);
}

static inline uint64_t *entry_of(const block *b, uint64_t id) { return &b->entries[id % b->slot_count]; }
static inline uint64_t go_entry(const block *b, uint64_t id) {
    return __atomic_load_n(entry_of(b, id), __ATOMIC_SEQ_CST);
}
static inline uint8_t *row_of(const block *b, uint32_t row) {
    return b->rows + row * (uint64_t)DATABLOCK_LAYOUT_ROW_SIZE;
}

/* Segment.MaskSet, MaskClear and ForMask, for rows below 64 */
static inline void go_mask_set(const block *b, uint64_t mask, uint32_t row) {
    (void)__atomic_fetch_or(datablock_inline_u64(b->ctl, mask), UINT64_C(1) << row, __ATOMIC_SEQ_CST);
}
static inline void go_mask_clear(const block *b, uint64_t mask, uint32_t row) {
    (void)__atomic_fetch_and(datablock_inline_u64(b->ctl, mask), ~(UINT64_C(1) << row), __ATOMIC_SEQ_CST);
}

/* Segment.End: the newest message's number plus one */
static inline uint64_t go_next(const block *b) {
    uint64_t next = go_load(b->data, DATABLOCK_LAYOUT_COMMIT);
    for (uint32_t i = 0; i <= b->slot_count; i++) {
        uint64_t entry = go_entry(b, next);
        if (datablock_layout_entry_empty(entry) || datablock_layout_entry_ahead(entry, next) < 0) {
            break;
        }
        next += (uint64_t)datablock_layout_entry_ahead(entry, next) + 1;
    }
    return next;
}

/* Segment.OldestPossible */
static inline uint64_t go_oldest(const block *b, uint64_t next) {
    return next > b->slot_count ? next - b->slot_count : 0;
}

/* ---- What capi/protocol_wait.c needs of the rest of the library ------------------------------ */

#define LIBRARY_UNUSED __attribute__((unused))

bool dbshim_is_damaged(const datablock_inline_handle_entry *place LIBRARY_UNUSED) { return false; }

/* dbshim_read is not used. read_begin in library_consumer.h replaces it, without the hundred polls
 * before the first sleep. */
bool datablock_inline_look(datablock_inline_coarse_clock *clock) { (void)clock, __builtin_trap(); }
bool dbshim_begin_turn(datablock_inline_coarse_clock *clock) { (void)clock, __builtin_trap(); }
bool datablock_inline_kept_up(const datablock_inline_coarse_clock *clock) { (void)clock, __builtin_trap(); }
int dbgo_read_look_around(uint32_t index LIBRARY_UNUSED, char *detail LIBRARY_UNUSED) { __builtin_trap(); }
int dbgo_read_begin(uint32_t index LIBRARY_UNUSED, int64_t timeout_ms LIBRARY_UNUSED,
                    datablock_read_slot *out LIBRARY_UNUSED,
                    dbshim_sleep *sleep LIBRARY_UNUSED, char *detail LIBRARY_UNUSED) {
    __builtin_trap();
}
void dbshim_go_begin(dbshim_thread *thread LIBRARY_UNUSED) { __builtin_trap(); }
int dbshim_go_end(dbshim_thread *thread LIBRARY_UNUSED, int result LIBRARY_UNUSED) { __builtin_trap(); }
bool dbshim_slept(const dbshim_sleep *sleep LIBRARY_UNUSED, int status LIBRARY_UNUSED) { __builtin_trap(); }
int dbgo_read_probe(uint32_t index LIBRARY_UNUSED, datablock_read_slot *out LIBRARY_UNUSED, _Bool *found LIBRARY_UNUSED,
                    char *detail LIBRARY_UNUSED) {
    __builtin_trap();
}
int dbgo_read_conclude(uint32_t index LIBRARY_UNUSED, int64_t timeout_ms LIBRARY_UNUSED,
                       datablock_read_slot *out LIBRARY_UNUSED,
                       char *detail LIBRARY_UNUSED) {
    __builtin_trap();
}

#include "library_producer.h"
#include "library_consumer.h"

#endif
