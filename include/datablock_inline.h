/*
 * datablock_inline.h - the fast path of datablock.h, compiled into the program
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Include this instead of datablock.h, and datablock_write_begin, _commit, _abort, datablock_read_begin and _end are inline: no call of the library, no system
 * call and no allocation while there is room, or a message. Everything else, and whatever is out of the ordinary, goes on in the library, so that both ways do the same at
 * every call and may be mixed on one handle. For C11 and C++17 with GNU C's atomics (gcc, clang) on little-endian 64-bit machines; other compilers
 * get datablock.h alone. The library checks that it knows this header's version; if not, its own functions are used.
 *
 * THE PROTOCOL
 *
 * docs/protocol.md explains it; internal/core is the reference. A participant's private state is one struct, below, which the library's Go side works on too, never both
 * at once. Shared words are reached through two mappings: `data`, which only the producer can write, and `ctl`, which everybody attached can.
 * Every atomic access of the protocol has its order by name, because which order it needs is a property of the protocol; the table says with what it pairs.
 * (Those on handles, which nobody outside the process sees, are explained where they are.)
 */
#ifndef DATABLOCK_INLINE_H
#define DATABLOCK_INLINE_H

#include "datablock.h"

#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && __SIZEOF_POINTER__ == 8 && \
    ((defined(__cplusplus) && __cplusplus >= 201703L) || (!defined(__cplusplus) && __STDC_VERSION__ >= 201112L))
#define DATABLOCK_HAS_INLINE 1

#include "datablock_layout.h"

#ifdef __cplusplus
#define DATABLOCK_INLINE inline __attribute__((always_inline))
#define DATABLOCK_INLINE_COLD inline __attribute__((noinline, visibility("hidden"))) /* another shared object may have another version of this header */
#define DATABLOCK_INLINE_NULL nullptr
#else
#define DATABLOCK_INLINE_NULL NULL
#define DATABLOCK_INLINE static inline __attribute__((always_inline, unused))
#define DATABLOCK_INLINE_COLD static __attribute__((noinline, unused))
#endif
#define DATABLOCK_LIKELY(x) __builtin_expect(!!(x), 1)
#define DATABLOCK_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Test builds kill the process at these places. */
#ifndef DATABLOCK_CRASH_POINT
#define DATABLOCK_CRASH_POINT(name) ((void)0)
#endif

/* ---- Memory orders -------------------------------------------------------------------------------------------------------------- */

/*
 * Sequentially consistent accesses come in pairs of "I write mine, then read yours": a weaker order would let both sides miss each other. Names are of accesses, not of
 * words, so that tests/weak/ can weaken one at a time. Where a weaker order would do, and nothing would be gained by it on x86-64 and arm64, the stronger one stays.
 *
 *   PUBLISH               the entry's compare-and-swap. Releases header and payload to ENTRY and RECHECK. Before SCAN_EPOCH_ADD and PINS in the total order (a reader whose RECHECK
 *                         found the old value has pinned before), before WAITING, and before LOSSLESS_MASK (a joiner that the rescan missed finds what was published)
 *   ENTRY                 a reader's load of an entry: acquires what PUBLISH released. Sequentially consistent for the sake of one who is about to sleep: it has set its bit
 *                         (see WAITING) and must not find an older entry than the waker that missed the bit has published
 *   SCAN_EPOCH            loaded before ENTRY, which must not come before it: an acquire
 *   PIN, RECHECK          the reader's half: pin, then look whether the entry still stands. The producer's: PUBLISH the next one, then SCAN_EPOCH_ADD, then PINS
 *   SCAN_EPOCH_AGAIN      after PIN: unchanged, no scan that could have missed the pin has begun. Pairs with SCAN_EPOCH_ADD, PINS
 *   SCAN_EPOCH_ADD        see there; it comes after the retirements that the scan serves, and before ACTIVE_MASK and PINS
 *   ACTIVE_MASK           the producer's load before PINS. An attaching reader sets its bit and then looks at entries and SCAN_EPOCH: a scan that misses the bit comes before these
 *   PINS                  the producer's load of a pin: acquires what UNPIN released; pairs with PIN
 *   JOIN_EPOCH            the gate's load: has a reader joined since the last rescan? A late answer only delays its acknowledgement
 *   JOIN_EPOCH_RESCAN     the rescan's load, before LOSSLESS_MASK and CURSOR. A joiner sets cursor, bit and epoch in that order: an acquire
 *   LOSSLESS_MASK         the rescan's load. A joiner at latest sets its bit and then looks where the stream is: a rescan that misses the bit comes before that look, so PUBLISH does, too
 *   CURSOR                the rescan's load of a cursor: acquires what ADVANCE released
 *   JOIN_ACK              stored after the rescan that it speaks of; released to the joiner's acquire
 *   UNPIN, ADVANCE        let go, then look at PRODUCER_WAITING. Also release: what the reader read comes before the producer's reuse (acquired by PINS and CURSOR)
 *   PRODUCER_WAITING      see there. The producer's half is the library's: store what it waits for, then look again, sequentially consistent
 *   WAITING               the producer's load after PUBLISH. The sleeper sets its bit, then looks at the entry again
 *   REMEMBER              a claim that does not know its entry, because a fence may have been meant for the one before: load the entry, then the state. A forced replacer's half: mark the
 *                         state, then fence the entry. An acquire: a fence that it finds brings the mark along. The claim's mark, too, comes after it. (A claim that knows its entry takes
 *                         no fence for it, so that its commit fails)
 *   STATE, EPOCH          the claim's loads after REMEMBER
 *   COMMIT_HINT_STORE     released after PUBLISH; nothing is concluded from it that an entry does not confirm
 *   COMMIT_HINT_LOAD      acquires it: a reader that begins there finds the entries before it
 */
#ifndef DATABLOCK_ORDER_PUBLISH
#define DATABLOCK_ORDER_PUBLISH __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_ENTRY
#define DATABLOCK_ORDER_ENTRY __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_SCAN_EPOCH
#define DATABLOCK_ORDER_SCAN_EPOCH __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_PIN
#define DATABLOCK_ORDER_PIN __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_RECHECK
#define DATABLOCK_ORDER_RECHECK __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_SCAN_EPOCH_AGAIN
#define DATABLOCK_ORDER_SCAN_EPOCH_AGAIN __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_SCAN_EPOCH_ADD
#define DATABLOCK_ORDER_SCAN_EPOCH_ADD __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_ACTIVE_MASK
#define DATABLOCK_ORDER_ACTIVE_MASK __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_PINS
#define DATABLOCK_ORDER_PINS __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_JOIN_EPOCH
#define DATABLOCK_ORDER_JOIN_EPOCH __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_JOIN_EPOCH_RESCAN
#define DATABLOCK_ORDER_JOIN_EPOCH_RESCAN __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_LOSSLESS_MASK
#define DATABLOCK_ORDER_LOSSLESS_MASK __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_CURSOR
#define DATABLOCK_ORDER_CURSOR __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_JOIN_ACK
#define DATABLOCK_ORDER_JOIN_ACK __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_UNPIN
#define DATABLOCK_ORDER_UNPIN __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_ADVANCE
#define DATABLOCK_ORDER_ADVANCE __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_PRODUCER_WAITING
#define DATABLOCK_ORDER_PRODUCER_WAITING __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_WAITING
#define DATABLOCK_ORDER_WAITING __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_REMEMBER
#define DATABLOCK_ORDER_REMEMBER __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_STATE
#define DATABLOCK_ORDER_STATE __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_EPOCH
#define DATABLOCK_ORDER_EPOCH __ATOMIC_SEQ_CST
#endif
#ifndef DATABLOCK_ORDER_COMMIT_HINT_STORE
#define DATABLOCK_ORDER_COMMIT_HINT_STORE __ATOMIC_RELEASE
#endif
#ifndef DATABLOCK_ORDER_COMMIT_HINT_LOAD
#define DATABLOCK_ORDER_COMMIT_HINT_LOAD __ATOMIC_ACQUIRE
#endif

/* No order of its own: a word that something else publishes, a figure for people, what a failed compare-and-swap has read, a look that only prefetches. */
#define DATABLOCK_PLAIN __ATOMIC_RELAXED

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The private state of a participant ------------------------------------------------------------------------------------------ */

/* Where a block's words are: addresses and geometry of an open block, checked once when it was opened, and constant from then on. */
typedef struct datablock_inline_block {
    uint8_t *data;          /* mapping of the data file */
    uint8_t *ctl;           /* mapping of the control file */
    uint64_t *entries;      /* the ring */
    uint8_t *payloads;      /* payload of slot 0 */
    uint8_t *rows;          /* row 0 */
    uint64_t data_size;     /* bytes */
    uint64_t ctl_size;      /* bytes */
    uint64_t stride;        /* bytes between payloads */
    uint64_t slot_size;     /* bytes */
    uint64_t row_mask[4];   /* bits that stand for consumer rows */
    uint32_t slot_count;    /* length of the ring */
    uint32_t slots;         /* ring and spare */
    uint32_t min_consumers;
    uint32_t flags;         /* DATABLOCK_LAYOUT_FLAG_* and these: */
} datablock_inline_block;

#define DATABLOCK_INLINE_ROOM (1u << 29)      /* each claim has to look for room: big slots, which are freed one by one, or min_consumers */
#define DATABLOCK_INLINE_CHECKSUMS (1u << 30) /* messages may carry a checksum: a claim clears what is left of an earlier one */
#define DATABLOCK_INLINE_ENFORCED (1u << 31)  /* the library makes and compares them */

/*
 * When there is something to do that is done now and then, and what time it is. While it is used often, the library keeps it up: even the cheapest clock takes a tenth of a message's
 * time.
 */
typedef struct datablock_inline_moment {
    uint64_t now;           /* CLOCK_MONOTONIC ns; 0: not kept up. Another thread writes to it */
    uint64_t seen;          /* the reading that was acted upon last. Never 0 */
    uint32_t uses;          /* since then, while it is not kept up */
    uint32_t reserved;
} datablock_inline_moment;

typedef struct datablock_inline_producer {
    datablock_inline_block block;
    datablock_inline_moment moment;
    uint64_t next;          /* id of the next message */
    uint64_t until;         /* claims of lower ids have nothing to look at but that nobody joins: they have room, and know their entries */
    uint64_t overdue;       /* the claim of this id asks the clock whether the moment is kept up */
    uint64_t epoch;         /* of this producer */
    uint64_t min_cursor;    /* lower bound of all LOSSLESS cursors, as of the last rescan */
    uint64_t acked;         /* join_epoch that the last rescan served */
    uint64_t ring_next;     /* the id whose place in the ring is ring_at */
    uint32_t ring_at;
    uint32_t free_count;
    uint32_t retired_count;
    uint32_t pinned_scans;  /* scans in a row that found a retired slot pinned */
    uint32_t interrupted;   /* another thread closes the handle */
    uint32_t slot;          /* claimed */
    uint8_t claimed;
    uint8_t scanned;        /* min_cursor is of this producer */
    uint8_t attend;         /* the next claim has something to do in the library */
    uint8_t reserved[5];
    uint32_t *free_slots;   /* slots that nobody can be reading; the last is the next to be used */
    uint32_t *retired;      /* slots out of the ring that a reader may still pin */
    uint64_t *pinned;       /* bit per slot, all zero between scans */
    uint32_t *pins;         /* what a scan found */
    uint64_t *expected;     /* each entry of the ring as a commit expects it: as this producer left it, or, with a FENCE, to be looked at by the next claim */
    uint64_t *claims;       /* the claim mark of each slot, as this producer left it; 0: to be looked at */
} datablock_inline_producer;

#define DATABLOCK_INLINE_APART 2

typedef struct datablock_inline_hold {
    uint64_t id;
    uint64_t claim;         /* the slot's claim mark when the hold began; it changes when the slot is used again */
    uint32_t slot;
    uint32_t token;
    uint8_t used;           /* 0; 1; APART: its end is the library's */
    uint8_t pinned;
    uint8_t in_order;       /* ending it moves the cursor */
    uint8_t reserved;
    uint32_t more;          /* messages of a LOSSLESS batch that it covers beside its own */
} datablock_inline_hold;

typedef struct datablock_inline_consumer {
    datablock_inline_block block;
    datablock_inline_moment moment;
    uint8_t *row;           /* its own */
    uint64_t overdue;       /* the read of this id asks the clock whether the moment is kept up */
    uint64_t next;          /* the least id that the next read may give */
    uint64_t mine;          /* what the row's status and incarnation are, as one word, until it is taken away */
    uint64_t skipped;       /* ORDERED, LATEST: what was jumped over since the last message, and has not been told */
    uint64_t losses;        /* ORDERED: jumps in a row */
    uint64_t join_epoch;    /* LOSSLESS joining at oldest: the epoch to be acknowledged, 0: bound */
    uint64_t ring_next;     /* the id whose place in the ring is ring_at */
    uint32_t ring_at;
    uint32_t row_number;
    uint32_t delivery;      /* DATABLOCK_LAYOUT_LOSSLESS, _ORDERED, _LATEST */
    uint32_t max_pins;
    uint32_t held;
    uint16_t next_hold;     /* number of the last hold, for tokens: of 16 bits, so that Go has a slot in four words */
    uint32_t interrupted;   /* another thread closes the handle */
    uint8_t may_jump;       /* what was overtaken before the acknowledgement only moves the start */
    uint8_t producer_there; /* at the last look */
    uint8_t close; /* on the producer's heels */
    uint8_t polling; /* the last read found nothing */
    uint32_t polls;  /* that found nothing and asked nobody */
    uint64_t producer_probed; /* CLOCK_MONOTONIC ns of the last look whether there is a producer */
    datablock_inline_hold holds[DATABLOCK_LAYOUT_MAX_PINS];
} datablock_inline_consumer;

/* ---- The clock ------------------------------------------------------------------------------------------------------------------- */

/* Whether a look is needed. */
DATABLOCK_INLINE bool datablock_inline_passed(const datablock_inline_moment *m) { return __atomic_load_n(&m->now, DATABLOCK_PLAIN) != m->seen; }
/* That look. True: there is something to do now, which is the library's. */
DATABLOCK_API bool datablock_inline_look(datablock_inline_moment *moment);

DATABLOCK_INLINE bool datablock_inline_is_due(datablock_inline_moment *m) { return DATABLOCK_UNLIKELY(datablock_inline_passed(m)) && datablock_inline_look(m); }

/* How many messages, and how many polls that find nothing, a participant goes on for without asking the clock itself whether its moment is kept up: whoever does that may not be let run. */
#define DATABLOCK_INLINE_TRUST 4096
DATABLOCK_API bool datablock_inline_kept_up(const datablock_inline_moment *moment);

/* Asks it. If the moment is not kept up, it has passed, and the answer is false. */
DATABLOCK_INLINE_COLD bool datablock_inline_check(datablock_inline_moment *m) {
    bool kept_up = datablock_inline_kept_up(m);
    if (!kept_up) {
        m->seen = 1;
    }
    return kept_up;
}

/* ---- Words ----------------------------------------------------------------------------------------------------------------------- */

DATABLOCK_INLINE uint64_t *datablock_inline_u64(uint8_t *base, uint64_t offset) { return DATABLOCK_LAYOUT_CAST(uint64_t *, DATABLOCK_LAYOUT_CAST(void *, base + offset)); }
DATABLOCK_INLINE uint32_t *datablock_inline_u32(uint8_t *base, uint64_t offset) { return DATABLOCK_LAYOUT_CAST(uint32_t *, DATABLOCK_LAYOUT_CAST(void *, base + offset)); }

DATABLOCK_INLINE uint64_t datablock_inline_peek(uint8_t *base, uint64_t offset) {
    return __atomic_load_n(datablock_inline_u64(base, offset), DATABLOCK_PLAIN);
}
DATABLOCK_INLINE void datablock_inline_poke(uint8_t *base, uint64_t offset, uint64_t value) {
    __atomic_store_n(datablock_inline_u64(base, offset), value, DATABLOCK_PLAIN);
}
/* Counts in a figure for people, which nobody else changes. Not atomic, so that it is one instruction: an aligned word is not torn all the same. */
DATABLOCK_INLINE void datablock_inline_count(uint8_t *base, uint64_t offset, uint64_t more) { *datablock_inline_u64(base, offset) += more; }

DATABLOCK_INLINE uint8_t *datablock_inline_payload(const datablock_inline_block *b, uint32_t slot) { return b->payloads + slot * b->stride; }
DATABLOCK_INLINE uint8_t *datablock_inline_header(const datablock_inline_block *b, uint32_t slot) {
    return datablock_inline_payload(b, slot) - DATABLOCK_LAYOUT_SLOT_HEADER;
}

/*
 * Fetches a cache line with the right to write to it, ahead of the write. Readers have had the lines that a message goes to, and the locked publication would
 * wait until they are given up; fetched during the message before, they are there. Changes nothing, also not for others who read the line.
 */
DATABLOCK_INLINE void datablock_inline_prepare(const void *line) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*DATABLOCK_LAYOUT_CAST(const uint8_t *, line))); /* __builtin_prefetch asks to read only, unless told that the processor has this */
#else
    __builtin_prefetch(line, 1);
#endif
}

/*
 * Hands a cache line that has been written on to the cache that the cores share, where readers get it sooner than from this core. It takes its time, so it is for who has nothing else to do.
 * A processor that does not know the instruction passes over it.
 */
DATABLOCK_INLINE void datablock_inline_hand_on(const void *line) {
#if defined(__x86_64__)
    __asm__ volatile(".byte 0x0f, 0x1c, 0x07" : : "D"(line), "m"(*DATABLOCK_LAYOUT_CAST(const uint8_t *, line))); /* cldemote (%rdi) */
#else
    (void)line;
#endif
}

/* A moment in which the other hardware thread of the core, and whoever wants the line that was looked at, have their turn. */
DATABLOCK_INLINE void datablock_inline_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Entries of a cache line. */
#define DATABLOCK_INLINE_ENTRIES 8

/* Ring entries: tag (id + 1 modulo 2^40), slot, LOST, FENCE. */
#define DATABLOCK_INLINE_TAG_MASK ((UINT64_C(1) << 40) - 1)
#define DATABLOCK_INLINE_FENCE UINT64_C(1)
#define DATABLOCK_INLINE_LOST UINT64_C(2)

DATABLOCK_INLINE uint64_t datablock_inline_entry(uint64_t id, uint32_t slot) {
    return ((id + 1) & DATABLOCK_INLINE_TAG_MASK) << 24 | DATABLOCK_LAYOUT_CAST(uint64_t, slot) << 2;
}
DATABLOCK_INLINE uint32_t datablock_inline_entry_slot(uint64_t entry) { return DATABLOCK_LAYOUT_CAST(uint32_t, entry >> 2) & DATABLOCK_LAYOUT_MAX_SLOTS; }
DATABLOCK_INLINE bool datablock_inline_entry_empty(uint64_t entry) { return datablock_inline_entry_slot(entry) == DATABLOCK_LAYOUT_MAX_SLOTS; }
/* How far the entry's id is ahead of `id`; the entry must not be empty. */
DATABLOCK_INLINE int64_t datablock_inline_entry_ahead(uint64_t entry, uint64_t id) {
    return DATABLOCK_LAYOUT_CAST(int64_t, (entry & ~UINT64_C(0xffffff)) - ((id + 1) << 24)) >> 24;
}

/* The place of message `id` in the ring, by way of a place known: nearly always that of the message before. */
DATABLOCK_INLINE uint32_t datablock_inline_place_of(const datablock_inline_block *b, uint64_t id, uint64_t known, uint32_t known_at) {
    uint64_t further = id - known;
    if (DATABLOCK_UNLIKELY(further >= b->slot_count)) {
        return DATABLOCK_LAYOUT_CAST(uint32_t, id % b->slot_count);
    }
    uint64_t at = known_at + further;
    return DATABLOCK_LAYOUT_CAST(uint32_t, at >= b->slot_count ? at - b->slot_count : at);
}

/* ---- Producer -------------------------------------------------------------------------------------------------------------------- */

/* Scans in a row that find a retired slot pinned, before a dead reader is looked for. */
#define DATABLOCK_INLINE_SUSPICIOUS 8
/* From so many bytes on, a scan of the pins costs nothing beside the message. */
#define DATABLOCK_INLINE_BIG_SLOT 65536
/* How many messages ahead a slot is prepared. */
#define DATABLOCK_INLINE_AHEAD 3
/* A ring that has room for fewer messages than this is about to be full, if it is twice as long or longer, and how long the producer then stands back. */
#define DATABLOCK_INLINE_SHORT_OF_ROOM 32
#define DATABLOCK_INLINE_STAND_BACK 16

/* One place further. */
DATABLOCK_INLINE uint32_t datablock_inline_place_after(const datablock_inline_block *b, uint32_t at) { return at + 1 == b->slot_count ? 0 : at + 1; }

/* The entry of the next message. */
DATABLOCK_INLINE uint64_t *datablock_inline_next_entry(datablock_inline_producer *p) {
    if (DATABLOCK_UNLIKELY(p->ring_next != p->next)) {
        p->ring_at = datablock_inline_place_of(&p->block, p->next, p->ring_next, p->ring_at);
        p->ring_next = p->next;
    }
    return &p->block.entries[p->ring_at];
}

/* Producer.gate, without the rescan: may the next message be published? Before the first rescan min_cursor is so low that it may not. `min_consumers` is find_room's. */
DATABLOCK_INLINE bool datablock_inline_gate(const datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint64_t epoch = __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH), DATABLOCK_ORDER_JOIN_EPOCH);
    return epoch == p->acked && p->next - p->min_cursor < b->slot_count;
}

/* Producer.rescan: the least LOSSLESS cursor. Cursors are written by others: each is clamped to what it can be. */
DATABLOCK_INLINE void datablock_inline_rescan(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint64_t furthest = p->next < b->slot_count ? p->next : b->slot_count, behind = 0;
    uint64_t epoch = __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH), DATABLOCK_ORDER_JOIN_EPOCH_RESCAN);
    uint32_t words = (b->flags & DATABLOCK_LAYOUT_FLAG_ALLOW_LOSSLESS) != 0 ? DATABLOCK_LAYOUT_MASK_WORDS : 0; /* where LOSSLESS is forbidden, bits in the mask mean nothing */
    for (uint32_t w = 0; w < words; w++) {
        uint64_t set = b->row_mask[w];
        if (set != 0) {
            set &= __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_LOSSLESS + 8 * w), DATABLOCK_ORDER_LOSSLESS_MASK);
        }
        for (; set != 0; set &= set - 1) {
            uint8_t *row = b->rows + DATABLOCK_LAYOUT_ROW_SIZE * (64 * w + DATABLOCK_LAYOUT_CAST(uint32_t, __builtin_ctzll(set)));
            int64_t distance = DATABLOCK_LAYOUT_CAST(int64_t, p->next - __atomic_load_n(datablock_inline_u64(row, DATABLOCK_LAYOUT_ROW_CURSOR), DATABLOCK_ORDER_CURSOR));
            if (distance > DATABLOCK_LAYOUT_CAST(int64_t, behind)) {
                behind = DATABLOCK_LAYOUT_CAST(uint64_t, distance) < furthest ? DATABLOCK_LAYOUT_CAST(uint64_t, distance) : furthest;
            }
        }
    }
    p->min_cursor = p->next - behind;
    p->until = 0; /* a reader that has joined may be further back than those before */
    p->scanned = 1;
    uint64_t *acknowledged = datablock_inline_u64(b->data, DATABLOCK_LAYOUT_JOIN_ACK);
    if (epoch != p->acked || __atomic_load_n(acknowledged, DATABLOCK_PLAIN) != epoch) {
        DATABLOCK_CRASH_POINT("gate.rescanned");
        __atomic_store_n(acknowledged, epoch, DATABLOCK_ORDER_JOIN_ACK); /* only now: whoever reads it relies on having been seen */
        DATABLOCK_CRASH_POINT("gate.acknowledged");
        p->acked = epoch;
    }
}

/* The pins of the attached rows, into p->pins and as bits into p->pinned. Returns how many. */
DATABLOCK_INLINE uint32_t datablock_inline_find_pins(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint32_t found = 0;
    for (uint32_t w = 0; w < DATABLOCK_LAYOUT_MASK_WORDS; w++) {
        uint64_t set = b->row_mask[w];
        if (set != 0) {
            set &= __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_ACTIVE + 8 * w), DATABLOCK_ORDER_ACTIVE_MASK);
        }
        for (; set != 0; set &= set - 1) {
            uint8_t *row = b->rows + DATABLOCK_LAYOUT_ROW_SIZE * (64 * w + DATABLOCK_LAYOUT_CAST(uint32_t, __builtin_ctzll(set)));
            uint64_t pin[DATABLOCK_LAYOUT_MAX_PINS], any = 0;
            for (uint32_t k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
                pin[k] = __atomic_load_n(datablock_inline_u64(row, DATABLOCK_LAYOUT_ROW_PINS + 8 * k), DATABLOCK_ORDER_PINS);
                any |= pin[k];
            }
            for (uint32_t k = 0; any != 0 && k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
                if (pin[k] != 0 && pin[k] <= b->slots) {
                    uint32_t slot = DATABLOCK_LAYOUT_CAST(uint32_t, pin[k]) - 1;
                    p->pinned[slot / 64] |= UINT64_C(1) << slot % 64;
                    p->pins[found++] = slot;
                }
            }
        }
    }
    return found;
}

/* Prepares header and beginning of the slot that is claimed after `messages` others: a free one, or, beyond these, one that will be unless a reader pins it. */
DATABLOCK_INLINE void datablock_inline_prepare_slot(const datablock_inline_producer *p, uint32_t messages) {
    uint32_t slot;
    if (messages < p->free_count) {
        slot = p->free_slots[p->free_count - 1 - messages];
    } else if (messages - p->free_count < p->retired_count) {
        slot = p->retired[messages - p->free_count];
    } else {
        return;
    }
    uint8_t *header = datablock_inline_header(&p->block, slot);
    datablock_inline_prepare(header);
    datablock_inline_prepare(header + DATABLOCK_LAYOUT_SLOT_HEADER);
}

/* Producer.refill: frees every retired slot that no pin names, the one that was retired first to be used first. The scan begins after the last retirement it serves. */
DATABLOCK_INLINE void datablock_inline_refill(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    __atomic_add_fetch(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), 1, DATABLOCK_ORDER_SCAN_EPOCH_ADD);
    datablock_inline_count(b->data, DATABLOCK_LAYOUT_METRIC_SCANS, 1);
    DATABLOCK_CRASH_POINT("claim.scan");
    uint32_t found = datablock_inline_find_pins(p), kept = 0;
    for (uint32_t i = p->retired_count; i-- != 0;) {
        uint32_t slot = p->retired[i];
        if (DATABLOCK_UNLIKELY(found != 0) && (p->pinned[slot / 64] >> slot % 64 & 1) != 0) {
            kept++;
        } else {
            p->free_slots[p->free_count++] = slot;
        }
    }
    for (uint32_t i = 0, at = 0; at < kept; i++) { /* those that stay, in their order */
        if ((p->pinned[p->retired[i] / 64] >> p->retired[i] % 64 & 1) != 0) {
            p->retired[at++] = p->retired[i];
        }
    }
    for (uint32_t i = 0; i < found; i++) {
        p->pinned[p->pins[i] / 64] = 0;
    }
    p->retired_count = kept;
    p->pinned_scans = kept == 0 ? 0 : p->pinned_scans + 1;
    if (kept != 0 && p->pinned_scans % DATABLOCK_INLINE_SUSPICIOUS == 0) {
        p->attend = 1; /* a dead reader is looked for */
    }
}

/* Producer.eager: big slots are freed as soon as they can be, so that a few are used again and again, which the cache then holds, instead of all spare ones by turns. */
DATABLOCK_INLINE bool datablock_inline_eager(const datablock_inline_producer *p) {
    return p->block.slot_size >= DATABLOCK_INLINE_BIG_SLOT && p->retired_count != 0;
}

/*
 * The ring is nearly full, so the message has many before it, and a moment more is nothing to it. Were the producer to take each place as soon as the reader gives it up, it would ask for
 * the line of the reader's cursor at every message, and both would be slower.
 */
DATABLOCK_INLINE void datablock_inline_stand_back(datablock_inline_producer *p) {
    uint64_t used = p->next - p->min_cursor, count = p->block.slot_count;
    if (used < count && count - used < DATABLOCK_INLINE_SHORT_OF_ROOM && count >= 2 * DATABLOCK_INLINE_SHORT_OF_ROOM) {
        for (int i = 0; i < DATABLOCK_INLINE_STAND_BACK; i++) {
            datablock_inline_pause();
        }
        datablock_inline_rescan(p);
    }
}

/* Producer.lookAt: looks at the entry of the next message, which somebody may have fenced off. False: it is, or it is not what this producer left there. */
DATABLOCK_INLINE_COLD bool datablock_inline_remember(datablock_inline_producer *p, const uint64_t *place) {
    uint64_t entry = __atomic_load_n(place, DATABLOCK_ORDER_REMEMBER);
    if (((entry ^ p->expected[p->ring_at]) & ~(DATABLOCK_INLINE_FENCE | DATABLOCK_INLINE_LOST)) != 0 || (entry & DATABLOCK_INLINE_FENCE) != 0) {
        return false;
    }
    p->expected[p->ring_at] = entry;
    return true;
}

/*
 * Producer.findRoom, if that takes no waiting: opens the gate, finds a free slot, knows the entry of the next message; and says for how many more messages nothing of that has to be looked at. False: the
 * library has to do it.
 */
DATABLOCK_INLINE_COLD bool datablock_inline_find_room(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    if (p->next >= p->overdue && datablock_inline_check(&p->moment)) {
        p->overdue = p->next + DATABLOCK_INLINE_TRUST;
    }
    if (p->attend || p->next >= p->overdue || (b->min_consumers != 0 && p->next >= b->slot_count)) {
        return false;
    }
    if (!datablock_inline_gate(p)) {
        datablock_inline_rescan(p);
        datablock_inline_stand_back(p);
    }
    if (p->next - p->min_cursor >= b->slot_count) {
        return false;
    }
    if (p->free_count == 0 || datablock_inline_eager(p)) {
        datablock_inline_refill(p);
    }
    const uint64_t *place = datablock_inline_next_entry(p);
    if (p->free_count == 0 || ((p->expected[p->ring_at] & DATABLOCK_INLINE_FENCE) != 0 && !datablock_inline_remember(p, place))) {
        return false;
    }
    p->until = 0;
    if (!p->attend && (b->flags & DATABLOCK_INLINE_ROOM) == 0) {
        uint64_t slots = p->next + p->free_count, gate = p->min_cursor + b->slot_count;
        p->until = slots < gate ? slots : gate;
        p->until = p->until < p->overdue ? p->until : p->overdue;
    }
    return true;
}

/* Claim marks: [open 1][epoch 16][generation 47]. */
#define DATABLOCK_INLINE_OPEN (UINT64_C(1) << 63)
#define DATABLOCK_INLINE_GENERATIONS (UINT64_C(1) << 47)

/* The mark that follows on the one in a slot's header, in the producer's epoch. */
DATABLOCK_INLINE_COLD uint64_t datablock_inline_mark(const datablock_inline_producer *p, uint8_t *header) {
    uint64_t before = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM);
    return (p->epoch & 0xffff) << 47 | ((before + 1) & (DATABLOCK_INLINE_GENERATIONS - 1));
}

/* Producer.Claim, without waiting. False: nothing has changed, the library has to do it. */
DATABLOCK_INLINE bool datablock_inline_claim(datablock_inline_producer *p, datablock_write_slot *out) {
    const datablock_inline_block *b = &p->block;
    const uint64_t id = p->next;
    if (DATABLOCK_UNLIKELY(p->claimed || datablock_inline_is_due(&p->moment))) {
        return false;
    }
    if (DATABLOCK_UNLIKELY(id >= p->until ||
                           __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH), DATABLOCK_ORDER_JOIN_EPOCH) != p->acked) &&
        !datablock_inline_find_room(p)) {
        return false;
    }
    uint8_t *data = b->data;
    uint32_t left = p->free_count - 1, slot = p->free_slots[left];
    uint8_t *header = datablock_inline_header(b, slot);
    datablock_inline_prepare(header);
    datablock_inline_prepare(header + DATABLOCK_LAYOUT_SLOT_HEADER);
    DATABLOCK_CRASH_POINT("claim.slot");
    datablock_inline_prepare_slot(p, DATABLOCK_INLINE_AHEAD);
    if (DATABLOCK_UNLIKELY(__atomic_load_n(datablock_inline_u32(data, DATABLOCK_LAYOUT_STATE), DATABLOCK_ORDER_STATE) >= DATABLOCK_LAYOUT_STATE_SUPERSEDED ||
                           __atomic_load_n(datablock_inline_u64(data, DATABLOCK_LAYOUT_EPOCH), DATABLOCK_ORDER_EPOCH) != p->epoch)) {
        return false;
    }
    p->free_count = left;
    p->slot = slot;
    DATABLOCK_CRASH_POINT("claim.remembered");
    uint64_t mark = p->claims[slot] + 1;
    if (DATABLOCK_UNLIKELY((mark & (DATABLOCK_INLINE_GENERATIONS - 1)) <= 1)) { /* not known, or its generations have come round */
        mark = datablock_inline_mark(p, header);
    }
    p->claims[slot] = mark;
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CLAIM, DATABLOCK_INLINE_OPEN | mark);
    DATABLOCK_CRASH_POINT("claim.opened");
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* the payload comes after the mark: an observer relies on it where stores are seen in order */
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_SINCE, p->moment.seen);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_ID, id + 1);
    DATABLOCK_CRASH_POINT("claim.marked");
    p->claimed = 1;
    for (uint32_t k = 0; DATABLOCK_UNLIKELY(b->flags & DATABLOCK_INLINE_CHECKSUMS) && k < DATABLOCK_LAYOUT_HASH_LEN; k += 8) {
        datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CHECKSUM + k, 0);
    }
    out->data = header + DATABLOCK_LAYOUT_SLOT_HEADER;
    out->capacity = b->slot_size;
    out->id = id;
    out->index = slot;
    out->reserved = 0;
    return true;
}

DATABLOCK_INLINE void datablock_inline_unmark(const datablock_inline_producer *p, uint8_t *data, uint8_t *header, uint32_t slot) {
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CLAIM, p->claims[slot]);
    DATABLOCK_CRASH_POINT("claim.closed");
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_ID, 0);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_SINCE, 0);
}

/* Whether `slot` is the open claim. */
DATABLOCK_INLINE bool datablock_inline_claimed(const datablock_inline_producer *p, const datablock_write_slot *slot) {
    return p->claimed && slot->id == p->next && slot->index == p->slot;
}

/*
 * Producer.Commit of the open claim; `length` fits. `stamp` is CLOCK_REALTIME or 0. False: the publication failed and the library has to say why; the claim's marks are gone.
 */
DATABLOCK_INLINE bool datablock_inline_commit(datablock_inline_producer *p, uint64_t length, uint64_t stamp) {
    const datablock_inline_block *b = &p->block;
    const uint64_t id = p->next;
    const uint32_t slot = p->slot;
    uint8_t *data = b->data, *header = datablock_inline_header(b, slot);
    uint64_t *place = datablock_inline_next_entry(p), *known = &p->expected[p->ring_at], expected = *known;
    datablock_inline_prepare(place);
    datablock_inline_prepare(place + DATABLOCK_INLINE_ENTRIES); /* beyond the ring's end it is a line that nobody needs */
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_ID, id);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_LENGTH, length);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_TIMESTAMP, stamp);
    DATABLOCK_CRASH_POINT("commit.header");
    datablock_inline_unmark(p, data, header, slot); /* before the publication: afterwards the slot is the readers' */
    p->claimed = 0;
    DATABLOCK_CRASH_POINT("commit.unmarked");
    uint64_t entry = datablock_inline_entry(id, slot);
    if (DATABLOCK_UNLIKELY(!__atomic_compare_exchange_n(place, &expected, entry, false, DATABLOCK_ORDER_PUBLISH, DATABLOCK_PLAIN))) {
        return false;
    }
    DATABLOCK_CRASH_POINT("commit.published");
    uint32_t old = datablock_inline_entry_slot(expected);
    if (DATABLOCK_LIKELY(old < b->slots)) { /* an empty entry's is not */
        p->retired[p->retired_count++] = old;
    }
    *known = entry;
    p->next = p->ring_next = id + 1;
    p->ring_at = datablock_inline_place_after(b, p->ring_at);
    __atomic_store_n(datablock_inline_u64(data, DATABLOCK_LAYOUT_COMMIT), id + 1, DATABLOCK_ORDER_COMMIT_HINT_STORE);
    DATABLOCK_CRASH_POINT("commit.hint");
    datablock_inline_count(data, DATABLOCK_LAYOUT_METRIC_WRITTEN, 1);
    datablock_inline_count(data, DATABLOCK_LAYOUT_METRIC_BYTES, length);
    return true;
}

/* Whether somebody sleeps, or is about to: then the publication is followed by a wake. */
DATABLOCK_INLINE bool datablock_inline_sleepers(const datablock_inline_block *b) {
    return __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_WAITING), DATABLOCK_ORDER_WAITING) != 0;
}

/* Producer.Abort of the open claim. */
DATABLOCK_INLINE void datablock_inline_abort(datablock_inline_producer *p) {
    datablock_inline_unmark(p, p->block.data, datablock_inline_header(&p->block, p->slot), p->slot);
    DATABLOCK_CRASH_POINT("abort.unmarked");
    p->claimed = 0;
    (void)datablock_inline_next_entry(p);
    p->until = 0;
    p->expected[p->ring_at] |= DATABLOCK_INLINE_FENCE; /* a forced recovery may have fenced off the claim that has ended: the next one is another */
    p->free_slots[p->free_count++] = p->slot;
    datablock_inline_count(p->block.data, DATABLOCK_LAYOUT_METRIC_ABORTED, 1);
}

/* ---- Consumer -------------------------------------------------------------------------------------------------------------------- */

/* What a look for the next message found. SLOW: something out of the ordinary, and nothing has changed. */
typedef enum datablock_inline_found { DATABLOCK_INLINE_NOTHING, DATABLOCK_INLINE_MESSAGE, DATABLOCK_INLINE_SLOW } datablock_inline_found;

/* Consumer.rowMine: a forced eviction changes the row's state. */
DATABLOCK_INLINE bool datablock_inline_row_mine(const datablock_inline_consumer *c) {
    return datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_STATUS) == c->mine;
}

DATABLOCK_INLINE datablock_inline_hold *datablock_inline_free_hold(datablock_inline_consumer *c) {
    datablock_inline_hold *h = c->holds;
    while (DATABLOCK_UNLIKELY(h->used)) { /* ends: fewer than max_pins are held */
        h++;
    }
    return h;
}

/* The pin of a hold. */
DATABLOCK_INLINE uint64_t *datablock_inline_pin_of(const datablock_inline_consumer *c, const datablock_inline_hold *h) {
    return datablock_inline_u64(c->row, DATABLOCK_LAYOUT_ROW_PINS + 8 * DATABLOCK_LAYOUT_CAST(uint64_t, h - c->holds));
}

/* Consumer.unpin. True: the producer waits for it and is to be woken. */
DATABLOCK_INLINE bool datablock_inline_unpin(const datablock_inline_consumer *c, const datablock_inline_hold *h) {
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), 0, DATABLOCK_ORDER_UNPIN);
    DATABLOCK_CRASH_POINT("release.unpinned");
    return __atomic_load_n(datablock_inline_u64(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING), DATABLOCK_ORDER_PRODUCER_WAITING) ==
           DATABLOCK_LAYOUT_WAIT_ANY;
}

/* Consumer.advance. True: the producer waits for one of the ids that the cursor crosses and is to be woken. */
DATABLOCK_INLINE bool datablock_inline_advance(const datablock_inline_consumer *c, uint64_t to) {
    uint64_t from = __atomic_exchange_n(datablock_inline_u64(c->row, DATABLOCK_LAYOUT_ROW_CURSOR), to, DATABLOCK_ORDER_ADVANCE);
    DATABLOCK_CRASH_POINT("release.advanced");
    uint64_t awaited =
        __atomic_load_n(datablock_inline_u64(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING), DATABLOCK_ORDER_PRODUCER_WAITING);
    return awaited != 0 && (awaited == DATABLOCK_LAYOUT_WAIT_ANY || (from < awaited && awaited <= to));
}

/*
 * Consumer.hold: pins the slot that `entry`, loaded after `scan`, names. False: it may already be free for the producer. Either the entry still stands, then the
 * slot is not retired; or no scan has begun since before it was loaded, then none that serves the slot's retirement can have missed the pin.
 */
DATABLOCK_INLINE bool datablock_inline_pin(datablock_inline_consumer *c, datablock_inline_hold *h, uint32_t at, uint64_t scan, uint64_t entry, bool *wake) {
    const datablock_inline_block *b = &c->block;
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), DATABLOCK_LAYOUT_CAST(uint64_t, datablock_inline_entry_slot(entry)) + 1, DATABLOCK_ORDER_PIN);
    DATABLOCK_CRASH_POINT("read.pinned");
    uint64_t now = __atomic_load_n(&b->entries[at], DATABLOCK_ORDER_RECHECK);
    if (DATABLOCK_LIKELY(((now ^ entry) & ~DATABLOCK_INLINE_FENCE) == 0) ||
        __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), DATABLOCK_ORDER_SCAN_EPOCH_AGAIN) == scan) {
        return true;
    }
    *wake = datablock_inline_unpin(c, h);
    return false;
}

/* Consumer.deliver. False: the slot's header is not what was published, or there is a checksum to compare; nothing has changed. */
DATABLOCK_INLINE bool datablock_inline_deliver(datablock_inline_consumer *c, uint32_t delivery, datablock_inline_hold *h, uint64_t id, uint32_t slot, uint64_t missed,
                                               datablock_read_slot *out) {
    const datablock_inline_block *b = &c->block;
    if (DATABLOCK_UNLIKELY(slot >= b->slots)) {
        return false;
    }
    uint8_t *header = datablock_inline_header(b, slot);
    uint64_t length = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_LENGTH);
    if (DATABLOCK_UNLIKELY(datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_ID) != id || length > b->slot_size ||
                           (b->flags & DATABLOCK_INLINE_ENFORCED) != 0)) {
        return false;
    }
    uint32_t token = ++c->next_hold;
    h->used = 1;
    h->pinned = delivery != DATABLOCK_LAYOUT_LOSSLESS;
    h->in_order = delivery != DATABLOCK_LAYOUT_LATEST;
    h->reserved = 0; /* one store for all of these */
    h->more = 0;
    h->id = id;
    h->slot = slot;
    h->claim = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM);
    h->token = token;
    c->held++;
    c->next = id + 1;
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_READ, 1);
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_BYTES, length);
    out->data = header + DATABLOCK_LAYOUT_SLOT_HEADER;
    out->length = length;
    out->id = id;
    out->timestamp_ns = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_TIMESTAMP);
    out->missed = missed;
    out->index = slot;
    out->token = token;
    return true;
}

/* The entry of the message that comes next in order. */
DATABLOCK_INLINE const uint64_t *datablock_inline_wanted_entry(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(c->ring_next != c->next)) {
        c->ring_at = datablock_inline_place_of(&c->block, c->next, c->ring_next, c->ring_at);
        c->ring_next = c->next;
    }
    return &c->block.entries[c->ring_at];
}

/* Asks the clock when it is time to. */
DATABLOCK_INLINE void datablock_inline_overdue(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(c->next >= c->overdue)) {
        (void)datablock_inline_check(&c->moment);
        c->overdue = c->next + DATABLOCK_INLINE_TRUST;
    }
}

/*
 * The message at ring_at has been taken. `close`, which is looked at once a line of entries: the next one is there already, and the producer is about to write to the same line. A reader that
 * keeps so close takes the line from it at every message, and waits for it in turn. Where the next one is not there, the two may be taking turns, and nothing is to be gained by waiting.
 */
DATABLOCK_INLINE void datablock_inline_step(datablock_inline_consumer *c) {
    const datablock_inline_block *b = &c->block;
    uint32_t at = c->ring_at, last = at + DATABLOCK_INLINE_ENTRIES - 1;
    if (DATABLOCK_UNLIKELY(at % DATABLOCK_INLINE_ENTRIES == 0)) {
        datablock_inline_overdue(c);
        c->close = b->slot_count > last && b->slot_count > DATABLOCK_INLINE_ENTRIES &&
                   datablock_inline_entry_ahead(__atomic_load_n(&b->entries[last], DATABLOCK_PLAIN), c->ring_next + (last - at)) < 0 &&
                   datablock_inline_entry_ahead(__atomic_load_n(&b->entries[at + 1], DATABLOCK_PLAIN), c->next) >= 0;
    }
    c->ring_next = c->next;
    c->ring_at = datablock_inline_place_after(b, at);
}

/* Consumer.nextLossless: the producer waits for this reader's cursor, so no pin is needed. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_lossless(datablock_inline_consumer *c, datablock_read_slot *out) {
    if (DATABLOCK_UNLIKELY(c->join_epoch != 0 || c->may_jump)) {
        return DATABLOCK_INLINE_SLOW;
    }
    uint64_t entry = __atomic_load_n(datablock_inline_wanted_entry(c), DATABLOCK_ORDER_ENTRY), id = c->next;
    if (DATABLOCK_UNLIKELY((entry ^ datablock_inline_entry(id, 0)) & (~UINT64_C(0xffffff) | DATABLOCK_INLINE_LOST))) {
        return datablock_inline_entry_empty(entry) || datablock_inline_entry_ahead(entry, id) < 0 ? DATABLOCK_INLINE_NOTHING : DATABLOCK_INLINE_SLOW;
    }
    if (DATABLOCK_UNLIKELY(!datablock_inline_deliver(c, DATABLOCK_LAYOUT_LOSSLESS, datablock_inline_free_hold(c), id, datablock_inline_entry_slot(entry), 0, out))) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_step(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/* Consumer.nextOrdered, unless it was overtaken. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_ordered(datablock_inline_consumer *c, datablock_read_slot *out, bool *wake) {
    const datablock_inline_block *b = &c->block;
    const uint64_t *place = datablock_inline_wanted_entry(c);
    uint64_t scan = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), DATABLOCK_ORDER_SCAN_EPOCH);
    uint64_t entry = __atomic_load_n(place, DATABLOCK_ORDER_ENTRY);
    int64_t ahead = datablock_inline_entry_empty(entry) ? -1 : datablock_inline_entry_ahead(entry, c->next);
    if (ahead < 0) { /* half a turn of the tags behind, newer looks like older */
        uint64_t commit = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_COMMIT), DATABLOCK_ORDER_COMMIT_HINT_LOAD);
        return commit <= c->next + b->slot_count ? DATABLOCK_INLINE_NOTHING : DATABLOCK_INLINE_SLOW;
    }
    if (DATABLOCK_UNLIKELY(ahead > 0 || (entry & DATABLOCK_INLINE_LOST) != 0 || c->skipped != 0)) { /* a gap that is told with this message is noted with its hold */
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_hold *h = datablock_inline_free_hold(c);
    if (!datablock_inline_pin(c, h, c->ring_at, scan, entry, wake)) {
        return DATABLOCK_INLINE_SLOW;
    }
    if (!datablock_inline_deliver(c, DATABLOCK_LAYOUT_ORDERED, h, c->next, datablock_inline_entry_slot(entry), 0, out)) {
        *wake = datablock_inline_unpin(c, h);
        return DATABLOCK_INLINE_SLOW;
    }
    c->losses = 0;
    datablock_inline_step(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/* Consumer.nextLatest, unless the newest message was discarded or overtaken meanwhile. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_latest(datablock_inline_consumer *c, datablock_read_slot *out, bool *wake) {
    const datablock_inline_block *b = &c->block;
    uint64_t scan = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), DATABLOCK_ORDER_SCAN_EPOCH);
    uint64_t next = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_COMMIT), DATABLOCK_ORDER_COMMIT_HINT_LOAD);
    if (next < c->next) {
        next = c->next; /* the hint lags behind what was read */
    }
    uint32_t at = datablock_inline_place_of(b, next, c->ring_next, c->ring_at), before = 0;
    uint64_t entry, newest = 0;
    for (uint32_t tries = 0;; tries++) { /* the hint lags: the entries decide */
        entry = __atomic_load_n(&b->entries[at], DATABLOCK_ORDER_ENTRY);
        if (datablock_inline_entry_empty(entry) || datablock_inline_entry_ahead(entry, next) < 0) {
            break;
        }
        if (tries == 4 || datablock_inline_entry_ahead(entry, next) > 0) {
            return DATABLOCK_INLINE_SLOW;
        }
        newest = entry;
        before = at;
        next++;
        at = at + 1 == b->slot_count ? 0 : at + 1;
    }
    c->ring_next = next;
    c->ring_at = at;
    if (next <= c->next) {
        return DATABLOCK_INLINE_NOTHING;
    }
    if (newest == 0) {
        before = at == 0 ? b->slot_count - 1 : at - 1;
        newest = __atomic_load_n(&b->entries[before], DATABLOCK_ORDER_ENTRY);
    }
    if (DATABLOCK_UNLIKELY(datablock_inline_entry_empty(newest) || datablock_inline_entry_ahead(newest, next - 1) != 0 ||
                           (newest & DATABLOCK_INLINE_LOST) != 0)) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_hold *h = datablock_inline_free_hold(c);
    if (!datablock_inline_pin(c, h, before, scan, newest, wake)) {
        return DATABLOCK_INLINE_SLOW;
    }
    uint64_t missed = next - 1 - c->next + c->skipped;
    if (!datablock_inline_deliver(c, DATABLOCK_LAYOUT_LATEST, h, next - 1, datablock_inline_entry_slot(newest), missed, out)) {
        *wake = datablock_inline_unpin(c, h);
        return DATABLOCK_INLINE_SLOW;
    }
    if (missed != 0) { /* what was skipped before a message that was damaged has been counted */
        datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_MISSED, missed - c->skipped);
        c->skipped = 0;
    }
    datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, c->next); /* for people, and for a durable consumer's return */
    DATABLOCK_CRASH_POINT("release.moved");
    datablock_inline_overdue(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/* Consumer.Next, without waiting. *wake becomes true when the producer is to be woken, whatever was found. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next(datablock_inline_consumer *c, datablock_read_slot *out, bool *wake) {
    if (DATABLOCK_UNLIKELY(!datablock_inline_row_mine(c) || c->held >= c->max_pins)) {
        return DATABLOCK_INLINE_SLOW;
    }
    switch (c->delivery) {
    case DATABLOCK_LAYOUT_LOSSLESS:
        return datablock_inline_next_lossless(c, out);
    case DATABLOCK_LAYOUT_ORDERED:
        return datablock_inline_next_ordered(c, out, wake);
    default:
        return datablock_inline_next_latest(c, out, wake);
    }
}

/* The hold that `slot` is of, NULL if it is none, or may not end yet, or one beside it is APART. *first becomes the least id held in order beside it. */
DATABLOCK_INLINE_COLD datablock_inline_hold *datablock_inline_find(datablock_inline_consumer *c, const datablock_read_slot *slot, uint64_t *first) {
    datablock_inline_hold *found = DATABLOCK_INLINE_NULL;
    for (uint32_t i = 0; i < DATABLOCK_LAYOUT_MAX_PINS; i++) {
        datablock_inline_hold *h = &c->holds[i];
        if (h->used == 1 && h->token == slot->token && h->id == slot->id && h->slot == slot->index) {
            found = h;
        } else if (h->used == DATABLOCK_INLINE_APART) {
            return DATABLOCK_INLINE_NULL;
        } else if (h->used && h->in_order && h->id < *first) {
            *first = h->id;
        }
    }
    return found != DATABLOCK_INLINE_NULL && c->delivery == DATABLOCK_LAYOUT_LOSSLESS && found->in_order && *first < found->id ? DATABLOCK_INLINE_NULL : found;
}

/* Consumer.Release. False: something out of the ordinary, and nothing has changed. */
DATABLOCK_INLINE bool datablock_inline_release(datablock_inline_consumer *c, const datablock_read_slot *slot, bool *wake) {
    datablock_inline_hold *h = c->holds;
    uint64_t to = c->next, first = UINT64_MAX;
    if (DATABLOCK_UNLIKELY(c->held != 1 || h->used != 1 || h->token != slot->token || h->id != slot->id || h->slot != slot->index)) {
        h = datablock_inline_find(c, slot, &first);
        if (h == DATABLOCK_INLINE_NULL) {
            return false;
        }
        to = first < to ? first : to;
    }
    uint8_t *header = datablock_inline_header(&c->block, h->slot);
    if (DATABLOCK_UNLIKELY(datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_ID) != h->id ||
                           datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM) != h->claim || !datablock_inline_row_mine(c))) {
        return false;
    }
    if (h->pinned) {
        *wake = datablock_inline_unpin(c, h);
    }
    h->used = 0;
    c->held--;
    if (h->in_order) {
        if (c->delivery == DATABLOCK_LAYOUT_LOSSLESS) {
            *wake |= datablock_inline_advance(c, to);
        } else {
            datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, to);
            DATABLOCK_CRASH_POINT("release.moved");
        }
    }
    return true;
}

/* ---- Handles --------------------------------------------------------------------------------------------------------------------- */

/*
 * A handle leads to a place in the library's table: [index 16][0: 4][generation 42][kind 2]. (With a bit of the four a caller would have to invent, it may lead to a place that is not to
 * be entered.) A thread that uses a handle says so in a word of its own (`current`) and then looks at the place (`word`, `owners`); whoever takes the place away from it changes these and then looks at that word, with a barrier on behalf of both. So a thread that goes on using its
 * handle pays for no locked operation; a change of threads costs a system call.
 */
typedef struct datablock_inline_place {
    uint64_t word; /* the handle while it can be used; other bits when the library has to be asked */
    struct datablock_inline_thread *owners[4]; /* by kind: the thread that used it last. NULL for every other kind, so that a handle of the wrong one is not let in */
    void *state; /* datablock_inline_producer or _consumer */
    uint64_t reserved[2]; /* the library's */
} datablock_inline_place;

typedef struct datablock_inline_thread {
    datablock_inline_place *current; /* where this thread is in a call, NULL: nowhere */
    datablock_inline_place *places; /* the table, 65536 of them */
    uint32_t fence; /* 1: the system has no barrier on behalf of others, so this thread makes its own */
    uint32_t failed; /* what the last call came to: DATABLOCK_INLINE_SUCCEEDED and so on */
    uint32_t idle; /* the place of a consumer that found nothing to read */
    uint32_t waited; /* 1: it has polled for a message in vain since it wrote one itself, so that it may be taking turns with somebody */
    uint32_t stand_back; /* pauses for which a reader stands back that is close to the producer: on one processor a pause is ten times as long as on another */
    uint32_t reserved;
} datablock_inline_thread;

/* Which text datablock_error_detail gives: none, that of the last error, one of a read that was not to wait and found nothing, with or without a producer. */
enum { DATABLOCK_INLINE_SUCCEEDED, DATABLOCK_INLINE_FAILED, DATABLOCK_INLINE_IDLE, DATABLOCK_INLINE_ORPHANED };

#define DATABLOCK_INLINE_VERSION 5
#define DATABLOCK_INLINE_PRODUCER 1u
#define DATABLOCK_INLINE_CONSUMER 2u
#define DATABLOCK_INLINE_OBSERVER 3u
#define DATABLOCK_INLINE_INDEX_SHIFT 48

/* For the functions below only. The calling thread's struct, or NULL: use the exported functions. Never freed while the thread lives. */
DATABLOCK_API datablock_inline_thread *datablock_inline_enlist(uint32_t version);
/* CLOCK_REALTIME in nanoseconds. */
DATABLOCK_API uint64_t datablock_inline_realtime(void);
/* Let sleepers look again. */
DATABLOCK_API void datablock_inline_wake_consumers(const datablock_inline_block *block);
DATABLOCK_API void datablock_inline_wake_producer(const datablock_inline_block *block);

#ifdef __cplusplus
} /* extern "C" */
/*
 * A thread that the library has not met seems to be inside a call, so that its first one goes the
 * slow way. That it has no table tells it from one that is inside.
 */
inline __attribute__((visibility("hidden"))) datablock_inline_place datablock_inline_nowhere;
inline __attribute__((visibility("hidden"))) datablock_inline_thread datablock_inline_nobody = {&datablock_inline_nowhere, DATABLOCK_INLINE_NULL, 0, 0, 0, 0, 0, 0};
inline __attribute__((visibility("hidden"))) __thread datablock_inline_thread *datablock_inline_self = &datablock_inline_nobody;
extern "C" {
#else
static datablock_inline_place datablock_inline_nowhere __attribute__((unused));
static datablock_inline_thread datablock_inline_nobody __attribute__((unused)) = {&datablock_inline_nowhere, DATABLOCK_INLINE_NULL, 0, 0, 0, 0, 0, 0};
static __thread datablock_inline_thread *datablock_inline_self __attribute__((unused)) = &datablock_inline_nobody;
#endif

/* The library meets this thread. False: it knows it already, or has no memory for it, or does not know this version of the header. */
DATABLOCK_INLINE_COLD bool datablock_inline_meet(void) {
    datablock_inline_thread *self = datablock_inline_self->places == DATABLOCK_INLINE_NULL ? datablock_inline_enlist(DATABLOCK_INLINE_VERSION) : DATABLOCK_INLINE_NULL;
    if (self == DATABLOCK_INLINE_NULL) {
        return false;
    }
    datablock_inline_self = self;
    return __atomic_load_n(&self->current, __ATOMIC_RELAXED) == DATABLOCK_INLINE_NULL;
}

/* Enters a handle's place, whose *state it gives. False: the library has to do it. Otherwise leave follows. */
DATABLOCK_INLINE bool datablock_inline_enter(uint64_t handle, uint64_t kind, void **state) {
    if (DATABLOCK_UNLIKELY(__atomic_load_n(&datablock_inline_self->current, __ATOMIC_RELAXED) != DATABLOCK_INLINE_NULL) && !datablock_inline_meet()) {
        return false; /* a signal handler inside a call */
    }
    datablock_inline_thread *self = datablock_inline_self;
    datablock_inline_place *place = &self->places[handle >> DATABLOCK_INLINE_INDEX_SHIFT];
    __atomic_store_n(&self->current, place, __ATOMIC_RELAXED);
    if (DATABLOCK_UNLIKELY(self->fence)) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } else {
        __atomic_signal_fence(__ATOMIC_SEQ_CST); /* whoever takes the place away makes the barrier for both */
    }
    if (DATABLOCK_UNLIKELY(__atomic_load_n(&place->word, __ATOMIC_ACQUIRE) != handle || __atomic_load_n(&place->owners[kind], __ATOMIC_RELAXED) != self)) {
        __atomic_store_n(&self->current, DATABLOCK_INLINE_NULL, __ATOMIC_RELEASE);
        return false;
    }
    *state = place->state;
    return true;
}

DATABLOCK_INLINE void datablock_inline_leave(bool succeeded) {
    datablock_inline_thread *self = datablock_inline_self;
    if (succeeded) {
        self->failed = DATABLOCK_INLINE_SUCCEEDED;
    }
    __atomic_store_n(&self->current, DATABLOCK_INLINE_NULL, __ATOMIC_RELEASE);
}

/*
 * A read that does not wait and has found nothing: polled, perhaps, millions of times. False: the library has to look at the producer, which it does once a moment, or at the end of the stream. That
 * there is no producer is not said without a look: one may have come.
 */
DATABLOCK_INLINE bool datablock_inline_idle(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(!c->producer_there || DATABLOCK_LAYOUT_CAST(int64_t, c->moment.seen - c->producer_probed) > 0 || (++c->polls % DATABLOCK_INLINE_TRUST == 0 && !datablock_inline_check(&c->moment)) ||
                           __atomic_load_n(datablock_inline_u32(c->block.data, DATABLOCK_LAYOUT_STATE), DATABLOCK_PLAIN) != DATABLOCK_LAYOUT_STATE_READY)) {
        return false;
    }
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_TIMEOUTS, 1);
    return true;
}

/* ---- The functions of datablock.h ------------------------------------------------------------------------------------------------ */

/* Each does its work, or nothing and says false: then the library does it. */

DATABLOCK_INLINE bool datablock_inline_try_write_begin(datablock_producer producer, int64_t timeout_ms, datablock_write_slot *out) {
    if (DATABLOCK_UNLIKELY(timeout_ms < -1 || out == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(!datablock_inline_enter(producer.handle, DATABLOCK_INLINE_PRODUCER, &state))) {
        return false;
    }
    datablock_inline_producer *p = DATABLOCK_LAYOUT_CAST(datablock_inline_producer *, state);
    bool done = datablock_inline_claim(p, out);
    datablock_inline_leave(done);
    return done;
}

/*
 * Publishes the open claim, and wakes consumers that sleep. False: it is still open, and the
 * library publishes or ends it. The place is entered.
 */
DATABLOCK_INLINE bool datablock_inline_publish(datablock_inline_producer *p, uint64_t length, uint64_t stamp) {
    bool done = datablock_inline_commit(p, length, stamp);
    if (DATABLOCK_UNLIKELY(!done)) {
        p->claimed = 1;
    } else if (DATABLOCK_UNLIKELY(datablock_inline_sleepers(&p->block))) {
        datablock_inline_wake_consumers(&p->block);
    } else if (DATABLOCK_UNLIKELY(datablock_inline_self->waited)) {
        datablock_inline_self->waited = 0;
        uint8_t *payload = datablock_inline_payload(&p->block, p->slot);
        datablock_inline_hand_on(payload - DATABLOCK_LAYOUT_SLOT_HEADER);
        datablock_inline_hand_on(payload);
    }
    return done;
}

DATABLOCK_INLINE bool datablock_inline_try_write_commit(datablock_producer producer, const datablock_write_slot *slot, size_t length) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(!datablock_inline_enter(producer.handle, DATABLOCK_INLINE_PRODUCER, &state))) {
        return false;
    }
    datablock_inline_producer *p = DATABLOCK_LAYOUT_CAST(datablock_inline_producer *, state);
    uint64_t stamp = 0;
    bool done = datablock_inline_claimed(p, slot) && length <= p->block.slot_size;
    if (DATABLOCK_UNLIKELY(p->block.flags & (DATABLOCK_INLINE_ENFORCED | DATABLOCK_LAYOUT_FLAG_TIMESTAMP))) {
        done = done && (p->block.flags & DATABLOCK_INLINE_ENFORCED) == 0;
        stamp = done ? datablock_inline_realtime() : 0; /* ENFORCED is the library's */
    }
    if (DATABLOCK_LIKELY(done)) {
        done = datablock_inline_publish(p, length, stamp);
    }
    datablock_inline_leave(done);
    return done;
}

DATABLOCK_INLINE bool datablock_inline_try_write_abort(datablock_producer producer, const datablock_write_slot *slot) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(!datablock_inline_enter(producer.handle, DATABLOCK_INLINE_PRODUCER, &state))) {
        return false;
    }
    datablock_inline_producer *p = DATABLOCK_LAYOUT_CAST(datablock_inline_producer *, state);
    bool done = datablock_inline_claimed(p, slot);
    if (DATABLOCK_LIKELY(done)) {
        datablock_inline_abort(p);
    }
    datablock_inline_leave(done);
    return done;
}

/* How often a poll looks that follows on one that found nothing: there and back again takes longer than a look, and a message that comes meanwhile would be found that much later. */
#define DATABLOCK_INLINE_LOOKS 8

/*
 * What a read comes to that finds the message there, or does not wait; the place is entered. SLOW:
 * the library has to go on. NOTHING: the time of a call that does not wait is up, and what
 * datablock_error_detail says of it is noted.
 */
DATABLOCK_INLINE datablock_inline_found datablock_inline_look_for(datablock_inline_consumer *c, uint64_t handle, int64_t timeout_ms, datablock_read_slot *out) {
    if (DATABLOCK_UNLIKELY(datablock_inline_is_due(&c->moment))) {
        return DATABLOCK_INLINE_SLOW;
    }
    bool wake = false;
    datablock_inline_found found;
    if (DATABLOCK_UNLIKELY(c->close)) {
        c->close = 0;
        for (uint32_t i = 0; i < datablock_inline_self->stand_back; i++) {
            datablock_inline_pause();
        }
    }
    for (int looks = 1; DATABLOCK_UNLIKELY((found = datablock_inline_next(c, out, &wake)) == DATABLOCK_INLINE_NOTHING && c->polling) && looks < DATABLOCK_INLINE_LOOKS; looks++) {
        datablock_inline_pause();
    }
    if (DATABLOCK_LIKELY(found == DATABLOCK_INLINE_MESSAGE)) {
        if (DATABLOCK_UNLIKELY(c->polling)) {
            c->polling = c->close = 0; /* the reader waits for the producer, which is the slower one */
        }
    } else {
        c->close = 0;
        c->polling = 1;
        if (found != DATABLOCK_INLINE_NOTHING || timeout_ms != 0 || !datablock_inline_idle(c)) {
            found = DATABLOCK_INLINE_SLOW;
        }
    }
    if (DATABLOCK_UNLIKELY(wake)) {
        datablock_inline_wake_producer(&c->block);
    }
    if (DATABLOCK_UNLIKELY(found == DATABLOCK_INLINE_NOTHING)) {
        datablock_inline_self->waited = 1;
        datablock_inline_self->idle = DATABLOCK_LAYOUT_CAST(uint32_t, handle >> DATABLOCK_INLINE_INDEX_SHIFT);
        datablock_inline_self->failed = DATABLOCK_INLINE_IDLE;
    }
    return found;
}

/* *status is OK, or TIMEOUT of a call that does not wait. */
DATABLOCK_INLINE bool datablock_inline_try_read_begin(datablock_consumer consumer, int64_t timeout_ms, datablock_read_slot *out, datablock_status *status) {
    if (DATABLOCK_UNLIKELY(timeout_ms < -1 || out == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(!datablock_inline_enter(consumer.handle, DATABLOCK_INLINE_CONSUMER, &state))) {
        return false;
    }
    datablock_inline_found found = datablock_inline_look_for(DATABLOCK_LAYOUT_CAST(datablock_inline_consumer *, state), consumer.handle, timeout_ms, out);
    datablock_inline_leave(found == DATABLOCK_INLINE_MESSAGE);
    *status = found == DATABLOCK_INLINE_MESSAGE ? DATABLOCK_OK : DATABLOCK_E_TIMEOUT;
    return found != DATABLOCK_INLINE_SLOW;
}

DATABLOCK_INLINE bool datablock_inline_try_read_end(datablock_consumer consumer, const datablock_read_slot *slot) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(!datablock_inline_enter(consumer.handle, DATABLOCK_INLINE_CONSUMER, &state))) {
        return false;
    }
    datablock_inline_consumer *c = DATABLOCK_LAYOUT_CAST(datablock_inline_consumer *, state);
    bool wake = false;
    bool done = datablock_inline_release(c, slot, &wake);
    if (DATABLOCK_UNLIKELY(wake)) {
        datablock_inline_wake_producer(&c->block);
    }
    datablock_inline_leave(done);
    return done;
}

#ifndef DATABLOCK_INLINE_NO_NAMES /* the library itself, which exports these names */

DATABLOCK_INLINE datablock_status datablock_inline_write_begin(datablock_producer producer, int64_t timeout_ms, datablock_write_slot *out) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_begin(producer, timeout_ms, out)) ? DATABLOCK_OK
                                                                                        : datablock_write_begin(producer, timeout_ms, out);
}
DATABLOCK_INLINE datablock_status datablock_inline_write_commit(datablock_producer producer, const datablock_write_slot *slot, size_t length) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_commit(producer, slot, length)) ? DATABLOCK_OK
                                                                                       : datablock_write_commit(producer, slot, length);
}
DATABLOCK_INLINE datablock_status datablock_inline_write_abort(datablock_producer producer, const datablock_write_slot *slot) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_abort(producer, slot)) ? DATABLOCK_OK : datablock_write_abort(producer, slot);
}
DATABLOCK_INLINE datablock_status datablock_inline_read_begin(datablock_consumer consumer, int64_t timeout_ms, datablock_read_slot *out) {
    datablock_status status;
    return DATABLOCK_LIKELY(datablock_inline_try_read_begin(consumer, timeout_ms, out, &status)) ? status : datablock_read_begin(consumer, timeout_ms, out);
}
DATABLOCK_INLINE datablock_status datablock_inline_read_end(datablock_consumer consumer, const datablock_read_slot *slot) {
    return DATABLOCK_LIKELY(datablock_inline_try_read_end(consumer, slot)) ? DATABLOCK_OK : datablock_read_end(consumer, slot);
}

#define datablock_write_begin datablock_inline_write_begin
#define datablock_write_commit datablock_inline_write_commit
#define datablock_write_abort datablock_inline_write_abort
#define datablock_read_begin datablock_inline_read_begin
#define datablock_read_end datablock_inline_read_end

#endif /* DATABLOCK_INLINE_NO_NAMES */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* compiler */
#endif /* DATABLOCK_INLINE_H */
