/*
 * datablock_inline.h - the fast path of datablock.h, compiled into the program
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Include this header instead of datablock.h. Then datablock_write_begin, _commit and _abort and
 * datablock_read_begin and _end are inline. They make no call of the library, no system call and no
 * allocation while there is a free slot or a message. The library does everything else, and every
 * unusual case. Therefore inline and exported functions do the same at every call, and a program
 * may mix them on one handle.
 *
 * The header is for C11 and C++17 with the atomics of GNU C (gcc, clang) on little-endian 64-bit
 * machines. Other compilers get datablock.h alone. A library that does not know this header's
 * version makes the program use the exported functions.
 *
 * THE PROTOCOL
 *
 * docs/protocol.md explains the protocol; internal/core is the reference. The private state of a
 * participant is one struct, below. The Go side of the library works on the same struct, never at
 * the same time. Shared words are reached through two mappings: only the producer can write to
 * `data`, and every participant can write to `ctl`.
 *
 * Every atomic access of the protocol has a named order, because the order is a property of the
 * protocol. The table below says what each access pairs with. Accesses to handles are private to
 * the process; their orders are explained in place.
 */
#ifndef DATABLOCK_INLINE_H
#define DATABLOCK_INLINE_H

#include "datablock.h"

#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && \
    __SIZEOF_POINTER__ == 8 && \
    ((defined(__cplusplus) && __cplusplus >= 201703L) || (!defined(__cplusplus) && __STDC_VERSION__ >= 201112L))
#define DATABLOCK_HAS_INLINE 1

#include "datablock_layout.h"

#ifdef __cplusplus
#define DATABLOCK_INLINE inline __attribute__((always_inline))
/* Hidden: another shared object may have another version of this header. */
#define DATABLOCK_INLINE_COLD inline __attribute__((noinline, visibility("hidden")))
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

/* ---- Memory orders --------------------------------------------------------------------------- */

/*
 * Sequentially consistent (SC) accesses come in pairs: each side writes its own word, then reads
 * the word of the other side. With a weaker order both sides could miss each other. The names are
 * names of accesses, not of words, so that tests/proof/weak can weaken one at a time. Some accesses
 * need a weaker order only. They stay stronger where x86-64 and arm64 would gain nothing.
 *
 *   access            | order   | pairs with, and why
 *   ------------------+---------+------------------------------------------------------------------
 *   PUBLISH           | SC      | ENTRY, RECHECK: the compare-and-swap of the entry; note 1
 *   ENTRY             | SC      | PUBLISH: a reader's load of an entry; an acquire. SC: note 2
 *   SCAN_EPOCH        | SC      | comes before ENTRY, so that ENTRY is not older; acquire is enough
 *   PIN               | SC      | SCAN_EPOCH_ADD, PINS: the reader pins, then makes RECHECK; note 3
 *   RECHECK           | SC      | PUBLISH: comes after PIN; the entry still stands; note 3
 *   SCAN_EPOCH_AGAIN  | SC      | SCAN_EPOCH_ADD, PINS: unchanged after PIN; note 3
 *   SCAN_EPOCH_ADD    | SC      | SCAN_EPOCH_AGAIN: after the retirements, before ACTIVE_MASK, PINS
 *   ACTIVE_MASK       | SC      | the attaching reader's bit, then entries and SCAN_EPOCH; note 4
 *   PINS              | SC      | PIN, UNPIN: the producer's load of a pin. Acquires UNPIN
 *   JOIN_EPOCH        | SC      | the joiner's epoch. A late answer only delays an acknowledgement
 *   JOIN_EPOCH_RESCAN | SC      | the joiner's cursor, bit, epoch in this order; acquire; note 5
 *   LOSSLESS_MASK     | SC      | the bit of a joiner at the latest message; note 6
 *   CURSOR            | SC      | ADVANCE: the rescan's load of a cursor. Acquires ADVANCE
 *   JOIN_ACK          | SC      | the joiner's acquire: stored after the rescan, released
 *   UNPIN             | SC      | PRODUCER_WAITING, PINS: clear the pin, then load; note 7
 *   ADVANCE           | SC      | PRODUCER_WAITING, CURSOR: move the cursor, then load; note 7
 *   PRODUCER_WAITING  | SC      | UNPIN, ADVANCE and the producer's store; note 7
 *   WAITING           | SC      | the sleeper's bit: loaded after PUBLISH; note 2
 *   REMEMBER          | SC      | a forced replacer's fence: load the entry, then the state; note 8
 *   STATE             | SC      | a forced replacer's mark: the claim's load after REMEMBER
 *   EPOCH             | SC      | the next producer's epoch: the claim's load after REMEMBER
 *   COMMIT_HINT_STORE | release | COMMIT_HINT_LOAD: after PUBLISH. An entry confirms each use
 *   COMMIT_HINT_LOAD  | acquire | COMMIT_HINT_STORE: a reader that begins there finds older entries
 *
 * 1. PUBLISH releases header and payload to ENTRY and RECHECK. In the total order PUBLISH comes
 *    before SCAN_EPOCH_ADD and PINS: a reader whose RECHECK found the old value has pinned before.
 *    PUBLISH comes before WAITING, see note 2. PUBLISH comes before LOSSLESS_MASK: a joiner that
 *    the rescan missed finds what was published.
 * 2. A consumer sets its WAITING bit and then loads the entry again. If the producer missed the
 *    bit, this load must observe the entry that the producer published.
 * 3. The reader pins, then checks that the entry is unchanged. The producer publishes the next
 *    entry, then makes SCAN_EPOCH_ADD, then loads PINS. If SCAN_EPOCH_AGAIN finds no change, no
 *    scan that could have missed the pin has begun.
 * 4. An attaching reader sets its bit and then loads entries and SCAN_EPOCH. A scan that misses the
 *    bit comes before these loads. The producer loads the mask before PINS.
 * 5. A joiner sets cursor, bit and epoch in this order. The rescan loads the epoch before
 *    LOSSLESS_MASK and CURSOR.
 * 6. A joiner at the latest message sets its bit, then loads where the stream is. A rescan that
 *    misses the bit comes before this load. PUBLISH comes before the load, too.
 * 7. The consumer releases, then loads PRODUCER_WAITING. The producer's half is in the library:
 *    store what the producer waits for, then check again, both SC. UNPIN and ADVANCE also release:
 *    what the reader read comes before the producer's reuse, which PINS and CURSOR acquire.
 * 8. This is a slow-path claim, which does not know its entry because a fence may have been meant
 *    for the claim before. A forced replacer marks the state, then fences the entry. REMEMBER
 *    acquires, so that a claim that finds the fence also finds the mark. The claim stores its own
 *    mark after REMEMBER. A claim that knows its entry accepts no fence: its commit fails.
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

/*
 * No order is needed for a word that another access publishes, an informational figure, the value
 * that a failed compare-and-swap has read, or a load that only prefetches.
 */
#define DATABLOCK_PLAIN __ATOMIC_RELAXED

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The private state of a participant ------------------------------------------------------ */

/*
 * Addresses and geometry of an open block. The library checks them once, when the block is opened.
 * They are constant from then on.
 */
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
    uint64_t row_mask[4];   /* bits of consumer rows */
    uint32_t slot_count;    /* length of the ring */
    uint32_t slots;         /* ring and spare */
    uint32_t min_consumers;
    uint32_t flags;         /* DATABLOCK_LAYOUT_FLAG_* and these: */
} datablock_inline_block;

#define DATABLOCK_INLINE_SHORTEST (1u << 28)  /* a message has at least the size of the block's schema */
/* Every claim takes the slow path: big slots, which are freed at once, or min_consumers. */
#define DATABLOCK_INLINE_ROOM (1u << 29)
#define DATABLOCK_INLINE_CHECKSUMS (1u << 30) /* messages may have a checksum: a claim clears that of an earlier one */
#define DATABLOCK_INLINE_ENFORCED (1u << 31)  /* the library makes and compares checksums */

/*
 * Coarse clock with a tick of 100 ms. It says when periodic housekeeping is due, and avoids a clock
 * read per message: even the cheapest clock takes a tenth of a message's time. While a participant
 * polls often, a thread of the library refreshes the clock.
 */
typedef struct datablock_inline_moment {
    uint64_t now;           /* CLOCK_MONOTONIC ns; 0: no thread refreshes it. Another thread writes this word */
    uint64_t seen;          /* the reading of the last tick that the participant acted on. Never 0 */
    uint32_t uses;          /* polls since that tick, while no thread refreshes it */
    uint32_t reserved;
} datablock_inline_moment;

typedef struct datablock_inline_producer {
    datablock_inline_block block;
    datablock_inline_moment moment;
    uint64_t next;          /* id of the next message */
    /*
     * The fast-path limit: claims of lower ids need only check join_epoch. A free slot, ring space
     * and an unfenced entry are guaranteed.
     */
    uint64_t until;
    uint64_t overdue;       /* the claim of this id reads the clock, and checks that the coarse clock is fresh */
    uint64_t epoch;         /* the generation of this producer */
    uint64_t min_cursor;    /* the low watermark: lower bound of all LOSSLESS cursors, as of the last rescan */
    uint64_t acked;         /* join_epoch that the last rescan served */
    uint64_t ring_next;     /* the id whose ring index is ring_at */
    uint32_t ring_at;
    uint32_t free_count;
    uint32_t retired_count;
    uint32_t pinned_scans;  /* scans in a row that found a retired slot pinned */
    uint32_t interrupted;   /* another thread closes the handle */
    uint32_t slot;          /* claimed */
    uint8_t claimed;
    uint8_t scanned;        /* this producer has set min_cursor */
    uint8_t attend;         /* the next claim has work for the library */
    uint8_t reserved[5];
    uint32_t *free_slots;   /* slots that no consumer can be reading; the last is the next to be used */
    uint32_t *retired;      /* the retire list: slots out of the ring that a reader may still pin */
    uint64_t *pinned;       /* bit per slot, all zero between scans */
    uint32_t *pins;         /* slots that a scan found pinned */
    /* The entries that a commit expects, as this producer left them. FENCE: to be loaded again. */
    uint64_t *expected;
    uint64_t *claims;       /* the claim mark of each slot, as this producer left it; 0: the next claim loads it */
    uint64_t shortest;      /* smallest length of a message: that of the schema's struct, 0 without a schema */
} datablock_inline_producer;

#define DATABLOCK_INLINE_APART 2

typedef struct datablock_inline_hold {
    uint64_t id;
    uint64_t claim;         /* the slot's claim mark when the hold began; it changes when the slot is used again */
    uint32_t slot;
    uint32_t token;
    uint8_t used;           /* 0; 1; APART: its end is the library's */
    uint8_t pinned;
    uint8_t in_order;       /* the release moves the cursor */
    uint8_t reserved;
    uint32_t more;          /* further messages of a LOSSLESS batch that the hold covers */
} datablock_inline_hold;

typedef struct datablock_inline_consumer {
    datablock_inline_block block;
    datablock_inline_moment moment;
    uint8_t *row;           /* of this consumer */
    uint64_t overdue;       /* the read of this id reads the clock, and checks that the coarse clock is fresh */
    uint64_t next;          /* the least id that the next read may return */
    uint64_t mine;          /* status and incarnation of the row as one word, while the row is this consumer's */
    uint64_t skipped;       /* ORDERED, LATEST: messages skipped since the last message, not reported yet */
    uint64_t losses;        /* ORDERED: skips in a row */
    uint64_t join_epoch;    /* LOSSLESS joining at oldest: the epoch that the producer must acknowledge, 0: bound */
    uint64_t ring_next;     /* the id whose ring index is ring_at */
    uint32_t ring_at;
    uint32_t row_number;
    uint32_t delivery;      /* DATABLOCK_LAYOUT_LOSSLESS, _ORDERED, _LATEST */
    uint32_t max_pins;
    uint32_t held;
    uint16_t next_hold;     /* number of the last hold, for tokens: 16 bits, so that a slot is four words in Go */
    uint32_t interrupted;   /* another thread closes the handle */
    uint8_t may_jump;       /* an overrun before the acknowledgement only moves the start */
    uint8_t producer_there; /* at the last probe */
    uint8_t close; /* this consumer shares a cache line with the producer: back-off before the next poll */
    uint8_t polling; /* the last read found nothing */
    uint32_t polls;  /* polls that found nothing and probed no lease */
    uint64_t producer_probed; /* CLOCK_MONOTONIC ns of the last probe for a producer */
    datablock_inline_hold holds[DATABLOCK_LAYOUT_MAX_PINS];
} datablock_inline_consumer;

/* ---- The coarse clock ------------------------------------------------------------------------ */

/* True: the caller has to poll the clock. */
DATABLOCK_INLINE bool datablock_inline_passed(const datablock_inline_moment *m) {
    return __atomic_load_n(&m->now, DATABLOCK_PLAIN) != m->seen;
}
/* Polls the clock. True: housekeeping is due, which the library does. */
DATABLOCK_API bool datablock_inline_look(datablock_inline_moment *moment);

DATABLOCK_INLINE bool datablock_inline_is_due(datablock_inline_moment *m) {
    return DATABLOCK_UNLIKELY(datablock_inline_passed(m)) && datablock_inline_look(m);
}

/*
 * Number of messages or empty polls after which the real clock is read, in case the background
 * thread that refreshes the coarse clock is starved.
 */
#define DATABLOCK_INLINE_TRUST 4096
DATABLOCK_API bool datablock_inline_kept_up(const datablock_inline_moment *moment);

/* Reads the real clock. False: the coarse clock is stale; datablock_inline_passed is then true. */
DATABLOCK_INLINE_COLD bool datablock_inline_check(datablock_inline_moment *m) {
    bool kept_up = datablock_inline_kept_up(m);
    if (!kept_up) {
        m->seen = 1;
    }
    return kept_up;
}

/* ---- Words ----------------------------------------------------------------------------------- */

DATABLOCK_INLINE uint64_t *datablock_inline_u64(uint8_t *base, uint64_t offset) {
    return DATABLOCK_LAYOUT_CAST(uint64_t *, DATABLOCK_LAYOUT_CAST(void *, base + offset));
}
DATABLOCK_INLINE uint32_t *datablock_inline_u32(uint8_t *base, uint64_t offset) {
    return DATABLOCK_LAYOUT_CAST(uint32_t *, DATABLOCK_LAYOUT_CAST(void *, base + offset));
}

DATABLOCK_INLINE uint64_t datablock_inline_peek(uint8_t *base, uint64_t offset) {
    return __atomic_load_n(datablock_inline_u64(base, offset), DATABLOCK_PLAIN);
}
DATABLOCK_INLINE void datablock_inline_poke(uint8_t *base, uint64_t offset, uint64_t value) {
    __atomic_store_n(datablock_inline_u64(base, offset), value, DATABLOCK_PLAIN);
}
/*
 * Adds to an informational counter that no other thread changes. The addition is not atomic, so
 * that it is one instruction. An aligned word is never torn.
 */
DATABLOCK_INLINE void datablock_inline_count(uint8_t *base, uint64_t offset, uint64_t more) {
    *datablock_inline_u64(base, offset) += more;
}

DATABLOCK_INLINE uint8_t *datablock_inline_payload(const datablock_inline_block *b, uint32_t slot) {
    return b->payloads + slot * b->stride;
}
DATABLOCK_INLINE uint8_t *datablock_inline_header(const datablock_inline_block *b, uint32_t slot) {
    return datablock_inline_payload(b, slot) - DATABLOCK_LAYOUT_SLOT_HEADER;
}

/*
 * Write prefetch: fetches a cache line for writing, ahead of the write. The lines of a message come
 * back from the caches of readers, and the locked publication would wait for them. Fetched during
 * the message before, the lines are there. The prefetch changes nothing, not even for readers.
 */
DATABLOCK_INLINE void datablock_inline_prepare(const void *line) {
#if defined(__x86_64__)
    /* __builtin_prefetch fetches for reading, unless the compiler may assume this instruction. */
    __asm__ volatile("prefetchw %0" : : "m"(*DATABLOCK_LAYOUT_CAST(const uint8_t *, line)));
#else
    __builtin_prefetch(line, 1);
#endif
}

/*
 * Cache-line demotion: moves a written cache line to the cache that the cores share, where readers
 * get the line sooner than from this core. The instruction takes time, so that only a thread
 * without other work uses it. A processor without the instruction ignores it.
 */
DATABLOCK_INLINE void datablock_inline_hand_on(const void *line) {
#if defined(__x86_64__)
    /* cldemote (%rdi) */
    __asm__ volatile(".byte 0x0f, 0x1c, 0x07" : : "D"(line), "m"(*DATABLOCK_LAYOUT_CAST(const uint8_t *, line)));
#else
    (void)line;
#endif
}

/*
 * A short pause. The other hardware thread of the core runs meanwhile, and another core can take
 * the cache line that was polled.
 */
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
DATABLOCK_INLINE uint32_t datablock_inline_entry_slot(uint64_t entry) {
    return DATABLOCK_LAYOUT_CAST(uint32_t, entry >> 2) & DATABLOCK_LAYOUT_MAX_SLOTS;
}
DATABLOCK_INLINE bool datablock_inline_entry_empty(uint64_t entry) {
    return datablock_inline_entry_slot(entry) == DATABLOCK_LAYOUT_MAX_SLOTS;
}
/* How far the entry's id is ahead of `id`. The entry must not be empty. */
DATABLOCK_INLINE int64_t datablock_inline_entry_ahead(uint64_t entry, uint64_t id) {
    return DATABLOCK_LAYOUT_CAST(int64_t, (entry & ~UINT64_C(0xffffff)) - ((id + 1) << 24)) >> 24;
}

/* The ring index of message `id`, from a known one: nearly always that of the message before. */
DATABLOCK_INLINE uint32_t datablock_inline_place_of(const datablock_inline_block *b, uint64_t id, uint64_t known,
                                                    uint32_t known_at) {
    uint64_t further = id - known;
    if (DATABLOCK_UNLIKELY(further >= b->slot_count)) {
        return DATABLOCK_LAYOUT_CAST(uint32_t, id % b->slot_count);
    }
    uint64_t at = known_at + further;
    return DATABLOCK_LAYOUT_CAST(uint32_t, at >= b->slot_count ? at - b->slot_count : at);
}

/* ---- Producer -------------------------------------------------------------------------------- */

/* Successive scans with a pinned retired slot, before the producer looks for a dead reader. */
#define DATABLOCK_INLINE_SUSPICIOUS 8
/* From this number of bytes on, a hazard-pointer scan costs nothing beside the message. */
#define DATABLOCK_INLINE_BIG_SLOT 65536
/* The write prefetch of a slot comes this number of messages ahead. */
#define DATABLOCK_INLINE_AHEAD 3
/*
 * Back-off of the producer. It applies if fewer entries than SHORT_OF_ROOM are free, in a ring of
 * twice this length or more. STAND_BACK is the number of pauses.
 */
#define DATABLOCK_INLINE_SHORT_OF_ROOM 32
#define DATABLOCK_INLINE_STAND_BACK 16

/* The next ring index. */
DATABLOCK_INLINE uint32_t datablock_inline_place_after(const datablock_inline_block *b, uint32_t at) {
    return at + 1 == b->slot_count ? 0 : at + 1;
}

/* The entry of the next message. */
DATABLOCK_INLINE uint64_t *datablock_inline_next_entry(datablock_inline_producer *p) {
    if (DATABLOCK_UNLIKELY(p->ring_next != p->next)) {
        p->ring_at = datablock_inline_place_of(&p->block, p->next, p->ring_next, p->ring_at);
        p->ring_next = p->next;
    }
    return &p->block.entries[p->ring_at];
}

/*
 * Producer.gate, the backpressure check, without the rescan: may the next message be published?
 * Before the first rescan min_cursor is so low that the answer is no. find_room checks
 * `min_consumers`.
 */
DATABLOCK_INLINE bool datablock_inline_gate(const datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint64_t epoch = __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH),
                                     DATABLOCK_ORDER_JOIN_EPOCH);
    return epoch == p->acked && p->next - p->min_cursor < b->slot_count;
}

/*
 * Producer.rescan: computes the low watermark, the smallest LOSSLESS cursor. Other processes write
 * the cursors, so that each is clamped to the possible range.
 */
DATABLOCK_INLINE void datablock_inline_rescan(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint64_t furthest = p->next < b->slot_count ? p->next : b->slot_count, behind = 0;
    uint64_t epoch = __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH),
                                     DATABLOCK_ORDER_JOIN_EPOCH_RESCAN);
    /* where LOSSLESS is forbidden, bits in the mask mean nothing */
    uint32_t words = (b->flags & DATABLOCK_LAYOUT_FLAG_ALLOW_LOSSLESS) != 0 ? DATABLOCK_LAYOUT_MASK_WORDS : 0;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t set = b->row_mask[w];
        if (set != 0) {
            set &= __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_LOSSLESS + 8 * w),
                                   DATABLOCK_ORDER_LOSSLESS_MASK);
        }
        for (; set != 0; set &= set - 1) {
            uint8_t *row =
                b->rows + DATABLOCK_LAYOUT_ROW_SIZE * (64 * w + DATABLOCK_LAYOUT_CAST(uint32_t, __builtin_ctzll(set)));
            int64_t distance = DATABLOCK_LAYOUT_CAST(
                int64_t, p->next - __atomic_load_n(datablock_inline_u64(row, DATABLOCK_LAYOUT_ROW_CURSOR),
                                                   DATABLOCK_ORDER_CURSOR));
            if (distance > DATABLOCK_LAYOUT_CAST(int64_t, behind)) {
                behind = DATABLOCK_LAYOUT_CAST(uint64_t, distance) < furthest
                             ? DATABLOCK_LAYOUT_CAST(uint64_t, distance)
                             : furthest;
            }
        }
    }
    p->min_cursor = p->next - behind;
    p->until = 0; /* a reader that has joined may be further back than those before */
    p->scanned = 1;
    uint64_t *acknowledged = datablock_inline_u64(b->data, DATABLOCK_LAYOUT_JOIN_ACK);
    if (epoch != p->acked || __atomic_load_n(acknowledged, DATABLOCK_PLAIN) != epoch) {
        DATABLOCK_CRASH_POINT("gate.rescanned");
        /* Only now: a joiner that reads the acknowledgement relies on the rescan. */
        __atomic_store_n(acknowledged, epoch, DATABLOCK_ORDER_JOIN_ACK);
        DATABLOCK_CRASH_POINT("gate.acknowledged");
        p->acked = epoch;
    }
}

/* Copies hazard pointers of attached rows to p->pins, as bits to p->pinned. Returns the count. */
DATABLOCK_INLINE uint32_t datablock_inline_find_pins(datablock_inline_producer *p) {
    const datablock_inline_block *b = &p->block;
    uint32_t found = 0;
    for (uint32_t w = 0; w < DATABLOCK_LAYOUT_MASK_WORDS; w++) {
        uint64_t set = b->row_mask[w];
        if (set != 0) {
            set &= __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_ACTIVE + 8 * w),
                                   DATABLOCK_ORDER_ACTIVE_MASK);
        }
        for (; set != 0; set &= set - 1) {
            uint8_t *row = b->rows + DATABLOCK_LAYOUT_ROW_SIZE * (64 * w + DATABLOCK_LAYOUT_CAST(uint32_t, __builtin_ctzll(set)));
            uint64_t pin[DATABLOCK_LAYOUT_MAX_PINS], any = 0;
            for (uint32_t k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
                pin[k] = __atomic_load_n(datablock_inline_u64(row, DATABLOCK_LAYOUT_ROW_PINS + 8 * k),
                                         DATABLOCK_ORDER_PINS);
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

/*
 * Prefetches header and beginning of the slot that the producer will claim after `messages` other
 * claims. This is a free slot or, beyond the free ones, a retired slot. A retired slot becomes free
 * unless a reader pins it.
 */
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

/*
 * Producer.refill: frees every retired slot that no hazard pointer names. The slot that was retired
 * first is used first. The scan begins after the last retirement that the scan serves.
 */
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
    for (uint32_t i = 0, at = 0; at < kept; i++) { /* the slots that stay, in their order */
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
        p->attend = 1; /* the library looks for a dead reader */
    }
}

/*
 * Producer.eager: big slots are freed at once. The producer then uses a few slots again and again,
 * which stay in the cache, instead of all spare slots in rotation.
 */
DATABLOCK_INLINE bool datablock_inline_eager(const datablock_inline_producer *p) {
    return p->block.slot_size >= DATABLOCK_INLINE_BIG_SLOT && p->retired_count != 0;
}

/*
 * Back-off of the producer when the ring is nearly full. The message has many messages before it,
 * so that a pause costs nothing. Without back-off the producer would load the line of the reader's
 * cursor at every message, and both would be slower.
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

/*
 * Producer.lookAt: loads the entry of the next message, which another process may have fenced.
 * False: the entry is fenced, or differs from what this producer left there.
 */
DATABLOCK_INLINE_COLD bool datablock_inline_remember(datablock_inline_producer *p, const uint64_t *place) {
    uint64_t entry = __atomic_load_n(place, DATABLOCK_ORDER_REMEMBER);
    if (((entry ^ p->expected[p->ring_at]) & ~(DATABLOCK_INLINE_FENCE | DATABLOCK_INLINE_LOST)) != 0 || (entry & DATABLOCK_INLINE_FENCE) != 0) {
        return false;
    }
    p->expected[p->ring_at] = entry;
    return true;
}

/*
 * Producer.findRoom without waiting: passes the backpressure check, finds a free slot and loads the
 * entry of the next message if needed. It also sets the fast-path limit: the messages below the
 * limit need none of these steps. False: the library has to do the work.
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
    if (p->free_count == 0 || ((p->expected[p->ring_at] & DATABLOCK_INLINE_FENCE) != 0 &&
                               !datablock_inline_remember(p, place))) {
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

/* The mark after the one in a slot's header, in the producer's epoch. */
DATABLOCK_INLINE_COLD uint64_t datablock_inline_mark(const datablock_inline_producer *p, uint8_t *header) {
    uint64_t before = datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM);
    return (p->epoch & 0xffff) << 47 | ((before + 1) & (DATABLOCK_INLINE_GENERATIONS - 1));
}

/* Producer.Claim without waiting. False: nothing has changed, and the library has to claim. */
DATABLOCK_INLINE bool datablock_inline_claim(datablock_inline_producer *p, datablock_write_slot *out) {
    const datablock_inline_block *b = &p->block;
    const uint64_t id = p->next;
    if (DATABLOCK_UNLIKELY(p->claimed || datablock_inline_is_due(&p->moment))) {
        return false;
    }
    if (DATABLOCK_UNLIKELY(id >= p->until ||
                           __atomic_load_n(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_JOIN_EPOCH),
                                           DATABLOCK_ORDER_JOIN_EPOCH) != p->acked) &&
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
    if (DATABLOCK_UNLIKELY(__atomic_load_n(datablock_inline_u32(data, DATABLOCK_LAYOUT_STATE),
                                           DATABLOCK_ORDER_STATE) >= DATABLOCK_LAYOUT_STATE_SUPERSEDED ||
                           __atomic_load_n(datablock_inline_u64(data, DATABLOCK_LAYOUT_EPOCH),
                                           DATABLOCK_ORDER_EPOCH) != p->epoch)) {
        return false;
    }
    p->free_count = left;
    p->slot = slot;
    DATABLOCK_CRASH_POINT("claim.remembered");
    uint64_t mark = p->claims[slot] + 1;
    if (DATABLOCK_UNLIKELY((mark & (DATABLOCK_INLINE_GENERATIONS - 1)) <= 1)) { /* unknown, or has wrapped */
        mark = datablock_inline_mark(p, header);
    }
    p->claims[slot] = mark;
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CLAIM, DATABLOCK_INLINE_OPEN | mark);
    DATABLOCK_CRASH_POINT("claim.opened");
    /* The payload comes after the mark. Observers rely on this where stores are seen in order. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_SINCE, p->moment.seen);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_ID, id + 1);
    DATABLOCK_CRASH_POINT("claim.marked");
    p->claimed = 1;
    for (uint32_t k = 0; DATABLOCK_UNLIKELY(b->flags & DATABLOCK_INLINE_CHECKSUMS) &&
         k < DATABLOCK_LAYOUT_HASH_LEN; k += 8) {
        datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CHECKSUM + k, 0);
    }
    out->data = header + DATABLOCK_LAYOUT_SLOT_HEADER;
    out->capacity = b->slot_size;
    out->id = id;
    out->index = slot;
    out->reserved = 0;
    return true;
}

DATABLOCK_INLINE void datablock_inline_unmark(const datablock_inline_producer *p, uint8_t *data, uint8_t *header,
                                              uint32_t slot) {
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_CLAIM, p->claims[slot]);
    DATABLOCK_CRASH_POINT("claim.closed");
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_ID, 0);
    datablock_inline_poke(data, DATABLOCK_LAYOUT_CLAIM_SINCE, 0);
}

/* True: `slot` is the open claim. */
DATABLOCK_INLINE bool datablock_inline_claimed(const datablock_inline_producer *p, const datablock_write_slot *slot) {
    return p->claimed && slot->id == p->next && slot->index == p->slot;
}

/*
 * Producer.Commit of the open claim. `length` fits the slot. `stamp` is CLOCK_REALTIME or 0. False:
 * the publication failed, and the library has to report why. The claim's marks are cleared.
 */
DATABLOCK_INLINE bool datablock_inline_commit(datablock_inline_producer *p, uint64_t length, uint64_t stamp) {
    const datablock_inline_block *b = &p->block;
    const uint64_t id = p->next;
    const uint32_t slot = p->slot;
    uint8_t *data = b->data, *header = datablock_inline_header(b, slot);
    uint64_t *place = datablock_inline_next_entry(p), *known = &p->expected[p->ring_at], expected = *known;
    datablock_inline_prepare(place);
    datablock_inline_prepare(place + DATABLOCK_INLINE_ENTRIES); /* beyond the ring's end: a line that is not needed */
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_ID, id);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_LENGTH, length);
    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_TIMESTAMP, stamp);
    DATABLOCK_CRASH_POINT("commit.header");
    datablock_inline_unmark(p, data, header, slot); /* before the publication: afterwards the slot is the readers' */
    p->claimed = 0;
    DATABLOCK_CRASH_POINT("commit.unmarked");
    uint64_t entry = datablock_inline_entry(id, slot);
    if (DATABLOCK_UNLIKELY(!__atomic_compare_exchange_n(place, &expected, entry, false, DATABLOCK_ORDER_PUBLISH,
                                                        DATABLOCK_PLAIN))) {
        return false;
    }
    DATABLOCK_CRASH_POINT("commit.published");
    uint32_t old = datablock_inline_entry_slot(expected);
    if (DATABLOCK_LIKELY(old < b->slots)) { /* false for an empty entry */
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

/* True: a consumer sleeps, or is about to sleep. A wake then follows the publication. */
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
    /* A forced recovery may have fenced this claim. The next claim is another: load the entry. */
    p->expected[p->ring_at] |= DATABLOCK_INLINE_FENCE;
    p->free_slots[p->free_count++] = p->slot;
    datablock_inline_count(p->block.data, DATABLOCK_LAYOUT_METRIC_ABORTED, 1);
}

/* ---- Consumer -------------------------------------------------------------------------------- */

/* The result of a poll for the next message. SLOW: an unusual case, and nothing has changed. */
typedef enum datablock_inline_found {
    DATABLOCK_INLINE_NOTHING,
    DATABLOCK_INLINE_MESSAGE,
    DATABLOCK_INLINE_SLOW
} datablock_inline_found;

/* Consumer.rowMine: this consumer owns the row. A forced eviction changes the row's status. */
DATABLOCK_INLINE bool datablock_inline_row_mine(const datablock_inline_consumer *c) {
    return datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_STATUS) == c->mine;
}

DATABLOCK_INLINE datablock_inline_hold *datablock_inline_free_hold(datablock_inline_consumer *c) {
    datablock_inline_hold *h = c->holds;
    while (DATABLOCK_UNLIKELY(h->used)) { /* terminates: fewer than max_pins are held */
        h++;
    }
    return h;
}

/* The hazard pointer of a hold. */
DATABLOCK_INLINE uint64_t *datablock_inline_pin_of(const datablock_inline_consumer *c, const datablock_inline_hold *h) {
    return datablock_inline_u64(c->row, DATABLOCK_LAYOUT_ROW_PINS + 8 * DATABLOCK_LAYOUT_CAST(uint64_t, h - c->holds));
}

/* Consumer.unpin: clears the hazard pointer. True: the producer waits for this; wake it. */
DATABLOCK_INLINE bool datablock_inline_unpin(const datablock_inline_consumer *c, const datablock_inline_hold *h) {
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), 0, DATABLOCK_ORDER_UNPIN);
    DATABLOCK_CRASH_POINT("release.unpinned");
    return __atomic_load_n(datablock_inline_u64(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING), DATABLOCK_ORDER_PRODUCER_WAITING) ==
           DATABLOCK_LAYOUT_WAIT_ANY;
}

/*
 * Consumer.advance: moves the cursor. True: the producer waits for one of the ids that the cursor
 * crosses, and the caller has to wake the producer.
 */
DATABLOCK_INLINE bool datablock_inline_advance(const datablock_inline_consumer *c, uint64_t to) {
    uint64_t from = __atomic_exchange_n(datablock_inline_u64(c->row, DATABLOCK_LAYOUT_ROW_CURSOR), to, DATABLOCK_ORDER_ADVANCE);
    DATABLOCK_CRASH_POINT("release.advanced");
    uint64_t awaited =
        __atomic_load_n(datablock_inline_u64(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING), DATABLOCK_ORDER_PRODUCER_WAITING);
    return awaited != 0 && (awaited == DATABLOCK_LAYOUT_WAIT_ANY || (from < awaited && awaited <= to));
}

/*
 * Consumer.hold: sets the hazard pointer to the slot that `entry` names. `entry` was loaded after
 * `scan`. False: the slot may already be free for the producer. True has one of two reasons:
 *
 * 1. The entry is unchanged: the slot is not retired.
 * 2. No scan has begun since before the entry was loaded: no scan that serves the slot's retirement
 *    can have missed the hazard pointer.
 */
DATABLOCK_INLINE bool datablock_inline_pin(datablock_inline_consumer *c, datablock_inline_hold *h, uint32_t at,
                                           uint64_t scan, uint64_t entry, bool *wake) {
    const datablock_inline_block *b = &c->block;
    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), DATABLOCK_LAYOUT_CAST(uint64_t, datablock_inline_entry_slot(entry)) + 1, DATABLOCK_ORDER_PIN);
    DATABLOCK_CRASH_POINT("read.pinned");
    uint64_t now = __atomic_load_n(&b->entries[at], DATABLOCK_ORDER_RECHECK);
    if (DATABLOCK_LIKELY(((now ^ entry) & ~DATABLOCK_INLINE_FENCE) == 0) ||
        __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH),
                        DATABLOCK_ORDER_SCAN_EPOCH_AGAIN) == scan) {
        return true;
    }
    *wake = datablock_inline_unpin(c, h);
    return false;
}

/*
 * Consumer.deliver. False: the slot's header is not what was published, or the library has a
 * checksum to compare. Nothing has changed then.
 */
DATABLOCK_INLINE bool datablock_inline_deliver(datablock_inline_consumer *c, uint32_t delivery,
                                               datablock_inline_hold *h, uint64_t id, uint32_t slot, uint64_t missed,
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

/* The entry of the next message in order. */
DATABLOCK_INLINE const uint64_t *datablock_inline_wanted_entry(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(c->ring_next != c->next)) {
        c->ring_at = datablock_inline_place_of(&c->block, c->next, c->ring_next, c->ring_at);
        c->ring_next = c->next;
    }
    return &c->block.entries[c->ring_at];
}

/* Reads the real clock once every DATABLOCK_INLINE_TRUST messages. */
DATABLOCK_INLINE void datablock_inline_overdue(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(c->next >= c->overdue)) {
        (void)datablock_inline_check(&c->moment);
        c->overdue = c->next + DATABLOCK_INLINE_TRUST;
    }
}

/*
 * The consumer has taken the message at ring_at. This function sets `close` once in each cache line
 * of entries. `close` means: the next message is present, and the producer still writes to the same
 * line. Such a reader takes the line from the producer at every message, and waits for the line in
 * turn. If the next message is absent, the two may alternate, and a back-off would gain nothing.
 */
DATABLOCK_INLINE void datablock_inline_step(datablock_inline_consumer *c) {
    const datablock_inline_block *b = &c->block;
    uint32_t at = c->ring_at, last = at + DATABLOCK_INLINE_ENTRIES - 1;
    if (DATABLOCK_UNLIKELY(at % DATABLOCK_INLINE_ENTRIES == 0)) {
        datablock_inline_overdue(c);
        c->close = b->slot_count > last && b->slot_count > DATABLOCK_INLINE_ENTRIES &&
                   datablock_inline_entry_ahead(__atomic_load_n(&b->entries[last], DATABLOCK_PLAIN),
                                                c->ring_next + (last - at)) < 0 &&
                   datablock_inline_entry_ahead(__atomic_load_n(&b->entries[at + 1], DATABLOCK_PLAIN), c->next) >= 0;
    }
    c->ring_next = c->next;
    c->ring_at = datablock_inline_place_after(b, at);
}

/* Consumer.nextLossless. The producer waits for the cursor, so that no hazard pointer is needed. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_lossless(datablock_inline_consumer *c,
                                                                       datablock_read_slot *out) {
    if (DATABLOCK_UNLIKELY(c->join_epoch != 0 || c->may_jump)) {
        return DATABLOCK_INLINE_SLOW;
    }
    uint64_t entry = __atomic_load_n(datablock_inline_wanted_entry(c), DATABLOCK_ORDER_ENTRY), id = c->next;
    if (DATABLOCK_UNLIKELY((entry ^ datablock_inline_entry(id, 0)) & (~UINT64_C(0xffffff) | DATABLOCK_INLINE_LOST))) {
        return datablock_inline_entry_empty(entry) || datablock_inline_entry_ahead(entry, id) < 0
                   ? DATABLOCK_INLINE_NOTHING
                   : DATABLOCK_INLINE_SLOW;
    }
    if (DATABLOCK_UNLIKELY(!datablock_inline_deliver(c, DATABLOCK_LAYOUT_LOSSLESS, datablock_inline_free_hold(c), id,
                                                     datablock_inline_entry_slot(entry), 0, out))) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_step(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/* Consumer.nextOrdered, unless the consumer was overrun. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_ordered(datablock_inline_consumer *c,
                                                                      datablock_read_slot *out, bool *wake) {
    const datablock_inline_block *b = &c->block;
    const uint64_t *place = datablock_inline_wanted_entry(c);
    uint64_t scan = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), DATABLOCK_ORDER_SCAN_EPOCH);
    uint64_t entry = __atomic_load_n(place, DATABLOCK_ORDER_ENTRY);
    int64_t ahead = datablock_inline_entry_empty(entry) ? -1 : datablock_inline_entry_ahead(entry, c->next);
    if (ahead < 0) { /* a reader that is 2^39 messages behind sees newer tags as older */
        uint64_t commit = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_COMMIT),
                                          DATABLOCK_ORDER_COMMIT_HINT_LOAD);
        return commit <= c->next + b->slot_count ? DATABLOCK_INLINE_NOTHING : DATABLOCK_INLINE_SLOW;
    }
    /* a gap that this message reports is recorded with the message's hold */
    if (DATABLOCK_UNLIKELY(ahead > 0 || (entry & DATABLOCK_INLINE_LOST) != 0 || c->skipped != 0)) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_hold *h = datablock_inline_free_hold(c);
    if (!datablock_inline_pin(c, h, c->ring_at, scan, entry, wake)) {
        return DATABLOCK_INLINE_SLOW;
    }
    if (!datablock_inline_deliver(c, DATABLOCK_LAYOUT_ORDERED, h, c->next, datablock_inline_entry_slot(entry), 0,
                                  out)) {
        *wake = datablock_inline_unpin(c, h);
        return DATABLOCK_INLINE_SLOW;
    }
    c->losses = 0;
    datablock_inline_step(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/* Consumer.nextLatest, unless the newest message has a tombstone or was overwritten meanwhile. */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next_latest(datablock_inline_consumer *c,
                                                                     datablock_read_slot *out, bool *wake) {
    const datablock_inline_block *b = &c->block;
    uint64_t scan = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH),
                                    DATABLOCK_ORDER_SCAN_EPOCH);
    uint64_t next = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_COMMIT),
                                    DATABLOCK_ORDER_COMMIT_HINT_LOAD);
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
    if (DATABLOCK_UNLIKELY(datablock_inline_entry_empty(newest) ||
                           datablock_inline_entry_ahead(newest, next - 1) != 0 ||
                           (newest & DATABLOCK_INLINE_LOST) != 0)) {
        return DATABLOCK_INLINE_SLOW;
    }
    datablock_inline_hold *h = datablock_inline_free_hold(c);
    if (!datablock_inline_pin(c, h, before, scan, newest, wake)) {
        return DATABLOCK_INLINE_SLOW;
    }
    uint64_t missed = next - 1 - c->next + c->skipped;
    if (!datablock_inline_deliver(c, DATABLOCK_LAYOUT_LATEST, h, next - 1, datablock_inline_entry_slot(newest), missed,
                                  out)) {
        *wake = datablock_inline_unpin(c, h);
        return DATABLOCK_INLINE_SLOW;
    }
    if (missed != 0) { /* what was skipped before a message that was damaged has been counted */
        datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_MISSED, missed - c->skipped);
        c->skipped = 0;
    }
    /* Informational, and for a durable consumer's return. */
    datablock_inline_poke(c->row, DATABLOCK_LAYOUT_ROW_CURSOR, c->next);
    DATABLOCK_CRASH_POINT("release.moved");
    datablock_inline_overdue(c);
    return DATABLOCK_INLINE_MESSAGE;
}

/*
 * Consumer.Next without waiting. *wake becomes true when the caller has to wake the producer,
 * whatever the result is.
 */
DATABLOCK_INLINE datablock_inline_found datablock_inline_next(datablock_inline_consumer *c, datablock_read_slot *out,
                                                              bool *wake) {
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

/*
 * The hold of `slot`. NULL: there is no such hold, it may not end yet, or another hold is APART.
 * *first becomes the least id of the other holds in order.
 */
DATABLOCK_INLINE_COLD datablock_inline_hold *datablock_inline_find(datablock_inline_consumer *c,
                                                                   const datablock_read_slot *slot, uint64_t *first) {
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
    return found != DATABLOCK_INLINE_NULL && c->delivery == DATABLOCK_LAYOUT_LOSSLESS && found->in_order &&
                   *first < found->id
               ? DATABLOCK_INLINE_NULL
               : found;
}

/* Consumer.Release. False: an unusual case, and nothing has changed. */
DATABLOCK_INLINE bool datablock_inline_release(datablock_inline_consumer *c, const datablock_read_slot *slot,
                                               bool *wake) {
    datablock_inline_hold *h = c->holds;
    uint64_t to = c->next, first = UINT64_MAX;
    if (DATABLOCK_UNLIKELY(c->held != 1 || h->used != 1 || h->token != slot->token || h->id != slot->id ||
                           h->slot != slot->index)) {
        h = datablock_inline_find(c, slot, &first);
        if (h == DATABLOCK_INLINE_NULL) {
            return false;
        }
        to = first < to ? first : to;
    }
    uint8_t *header = datablock_inline_header(&c->block, h->slot);
    if (DATABLOCK_UNLIKELY(datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_ID) != h->id ||
                           datablock_inline_peek(header, DATABLOCK_LAYOUT_SLOT_CLAIM) != h->claim ||
                           !datablock_inline_row_mine(c))) {
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

/* ---- Handles --------------------------------------------------------------------------------- */

/*
 * A handle leads to an entry of the library's handle table (a place). Its bits are
 * [index 16][flags 4][generation 42][kind 2], and the four flag bits of a valid handle are zero.
 * Only the slow path checks them: a forged handle with a flag bit may match an entry in transition
 * here, and enter a place that must not be entered.
 *
 * Handles use biased locking (an asymmetric Dekker handshake). The owning thread stores the table
 * entry in its `current`, then checks `word` and `owners`. A thread that takes or closes the handle
 * changes `word` or `owners`, executes a barrier for both threads, then reads the owner's
 * `current`. A thread that keeps its handle therefore pays for no locked instruction. A change of
 * threads costs a system call.
 */
typedef struct datablock_inline_place {
    uint64_t word; /* the handle while the fast path may use it; otherwise other bits, for the library */
    /* By kind: the thread that used the handle last. NULL for other kinds: they are refused. */
    struct datablock_inline_thread *owners[4];
    void *state; /* datablock_inline_producer or _consumer */
    uint64_t reserved[2]; /* for the library */
} datablock_inline_place;

typedef struct datablock_inline_thread {
    datablock_inline_place *current; /* the place whose call this thread is in, NULL: none */
    datablock_inline_place *places; /* the table of 65536 places */
    uint32_t fence; /* 1: the system has no membarrier, so that this thread executes its own fence */
    uint32_t failed; /* the result of the last call: DATABLOCK_INLINE_SUCCEEDED and so on */
    uint32_t idle; /* the place of a consumer that found nothing to read */
    uint32_t waited; /* 1: this thread has polled in vain since its last commit, and may alternate with a process */
    /* Back-off of a reader near the producer, in pauses: a pause differs tenfold by processor. */
    uint32_t stand_back;
    uint32_t reserved;
} datablock_inline_thread;

/*
 * Which text datablock_error_detail returns: none, the text of the last error, or the text of a
 * read that does not wait and found nothing, with or without a producer.
 */
enum { DATABLOCK_INLINE_SUCCEEDED, DATABLOCK_INLINE_FAILED, DATABLOCK_INLINE_IDLE, DATABLOCK_INLINE_ORPHANED };

#define DATABLOCK_INLINE_VERSION 6
#define DATABLOCK_INLINE_PRODUCER 1u
#define DATABLOCK_INLINE_CONSUMER 2u
#define DATABLOCK_INLINE_OBSERVER 3u
#define DATABLOCK_INLINE_INDEX_SHIFT 48

/*
 * For the functions below only. Returns the calling thread's struct, which lives as long as the
 * thread. NULL: use the exported functions.
 */
DATABLOCK_API datablock_inline_thread *datablock_inline_enlist(uint32_t version);
/* CLOCK_REALTIME in nanoseconds. */
DATABLOCK_API uint64_t datablock_inline_realtime(void);
/* Wake the sleepers, which then poll again. */
DATABLOCK_API void datablock_inline_wake_consumers(const datablock_inline_block *block);
DATABLOCK_API void datablock_inline_wake_producer(const datablock_inline_block *block);

#ifdef __cplusplus
} /* extern "C" */
/*
 * A thread that is not enlisted yet seems to be inside a call, so that its first call takes the
 * slow path. Such a thread has no table, which distinguishes it from a thread inside a call.
 */
inline __attribute__((visibility("hidden"))) datablock_inline_place datablock_inline_nowhere;
inline __attribute__((visibility("hidden"))) datablock_inline_thread datablock_inline_nobody = {
    &datablock_inline_nowhere, DATABLOCK_INLINE_NULL, 0, 0, 0, 0, 0, 0};
inline __attribute__((visibility("hidden"))) __thread datablock_inline_thread *datablock_inline_self =
    &datablock_inline_nobody;
extern "C" {
#else
static datablock_inline_place datablock_inline_nowhere __attribute__((unused));
static datablock_inline_thread datablock_inline_nobody __attribute__((unused)) = {
    &datablock_inline_nowhere, DATABLOCK_INLINE_NULL, 0, 0, 0, 0, 0, 0};
static __thread datablock_inline_thread *datablock_inline_self __attribute__((unused)) = &datablock_inline_nobody;
#endif

/*
 * Enlists this thread in the library. False: the thread is enlisted already, the library has no
 * memory for it, or the library does not know this version of the header.
 */
DATABLOCK_INLINE_COLD bool datablock_inline_meet(void) {
    datablock_inline_thread *self = datablock_inline_self->places == DATABLOCK_INLINE_NULL
                                        ? datablock_inline_enlist(DATABLOCK_INLINE_VERSION)
                                        : DATABLOCK_INLINE_NULL;
    if (self == DATABLOCK_INLINE_NULL) {
        return false;
    }
    datablock_inline_self = self;
    return __atomic_load_n(&self->current, __ATOMIC_RELAXED) == DATABLOCK_INLINE_NULL;
}

/* Enters a handle's place and sets *state; leave must follow. False: the library does the call. */
DATABLOCK_INLINE bool datablock_inline_enter(uint64_t handle, uint64_t kind, void **state) {
    if (DATABLOCK_UNLIKELY(__atomic_load_n(&datablock_inline_self->current, __ATOMIC_RELAXED) !=
                           DATABLOCK_INLINE_NULL) &&
        !datablock_inline_meet()) {
        return false; /* a signal handler inside a call */
    }
    datablock_inline_thread *self = datablock_inline_self;
    datablock_inline_place *place = &self->places[handle >> DATABLOCK_INLINE_INDEX_SHIFT];
    __atomic_store_n(&self->current, place, __ATOMIC_RELAXED);
    if (DATABLOCK_UNLIKELY(self->fence)) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } else {
        __atomic_signal_fence(__ATOMIC_SEQ_CST); /* the thread that takes the place executes the barrier for both */
    }
    if (DATABLOCK_UNLIKELY(__atomic_load_n(&place->word, __ATOMIC_ACQUIRE) != handle ||
                           __atomic_load_n(&place->owners[kind], __ATOMIC_RELAXED) != self)) {
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
 * A read that does not wait and found nothing; a program may poll so millions of times. False: the
 * library has to probe for a producer, once a tick, or has to report the end of the stream. Only a
 * probe may report that there is no producer: a new one may have attached.
 */
DATABLOCK_INLINE bool datablock_inline_idle(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(!c->producer_there ||
                           DATABLOCK_LAYOUT_CAST(int64_t, c->moment.seen - c->producer_probed) > 0 ||
                           (++c->polls % DATABLOCK_INLINE_TRUST == 0 && !datablock_inline_check(&c->moment)) ||
                           __atomic_load_n(datablock_inline_u32(c->block.data, DATABLOCK_LAYOUT_STATE),
                                           DATABLOCK_PLAIN) != DATABLOCK_LAYOUT_STATE_READY)) {
        return false;
    }
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_TIMEOUTS, 1);
    return true;
}

/* ---- The functions of datablock.h ------------------------------------------------------------ */

/* Each function does its work, or does nothing and returns false: then the library works. */

DATABLOCK_INLINE bool datablock_inline_try_write_begin(datablock_producer producer, int64_t timeout_ms,
                                                       datablock_write_slot *out) {
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
 * Publishes the open claim, and wakes consumers that sleep. False: the claim is still open, and the
 * library publishes or ends it. The caller has entered the place.
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

DATABLOCK_INLINE bool datablock_inline_try_write_commit(datablock_producer producer, const datablock_write_slot *slot,
                                                        size_t length) {
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
    if (DATABLOCK_UNLIKELY(p->block.flags & (DATABLOCK_INLINE_ENFORCED | DATABLOCK_INLINE_SHORTEST |
                                             DATABLOCK_LAYOUT_FLAG_TIMESTAMP))) {
        /* the library makes checksums, and refuses messages that are too short */
        done = done && (p->block.flags & DATABLOCK_INLINE_ENFORCED) == 0 && length >= p->shortest;
        stamp = done && (p->block.flags & DATABLOCK_LAYOUT_FLAG_TIMESTAMP) ? datablock_inline_realtime() : 0;
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

/*
 * Number of looks of a poll that follows a poll without a message. The way out of the call and back
 * takes longer than a look, and would delay a message that arrives meanwhile.
 */
#define DATABLOCK_INLINE_LOOKS 8

/*
 * A read that finds the message or does not wait. The caller has entered the place. SLOW: the
 * library has to continue. NOTHING: a call that does not wait found nothing, and the text for
 * datablock_error_detail is noted.
 */
DATABLOCK_INLINE datablock_inline_found datablock_inline_look_for(datablock_inline_consumer *c, uint64_t handle,
                                                                  int64_t timeout_ms, datablock_read_slot *out) {
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
    for (int looks = 1; DATABLOCK_UNLIKELY((found = datablock_inline_next(c, out, &wake)) == DATABLOCK_INLINE_NOTHING &&
                                           c->polling) && looks < DATABLOCK_INLINE_LOOKS; looks++) {
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

/* *status is OK, or TIMEOUT for a call that does not wait. */
DATABLOCK_INLINE bool datablock_inline_try_read_begin(datablock_consumer consumer, int64_t timeout_ms,
                                                      datablock_read_slot *out, datablock_status *status) {
    if (DATABLOCK_UNLIKELY(timeout_ms < -1 || out == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(!datablock_inline_enter(consumer.handle, DATABLOCK_INLINE_CONSUMER, &state))) {
        return false;
    }
    datablock_inline_found found = datablock_inline_look_for(DATABLOCK_LAYOUT_CAST(datablock_inline_consumer *, state),
                                                             consumer.handle, timeout_ms, out);
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

#ifndef DATABLOCK_INLINE_NO_NAMES /* set by the library itself, which exports these names */

DATABLOCK_INLINE datablock_status datablock_inline_write_begin(datablock_producer producer, int64_t timeout_ms,
                                                               datablock_write_slot *out) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_begin(producer, timeout_ms, out))
               ? DATABLOCK_OK
               : datablock_write_begin(producer, timeout_ms, out);
}
DATABLOCK_INLINE datablock_status datablock_inline_write_commit(datablock_producer producer,
                                                                const datablock_write_slot *slot, size_t length) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_commit(producer, slot, length))
               ? DATABLOCK_OK
               : datablock_write_commit(producer, slot, length);
}
DATABLOCK_INLINE datablock_status datablock_inline_write_abort(datablock_producer producer,
                                                               const datablock_write_slot *slot) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_abort(producer, slot)) ? DATABLOCK_OK
                                                                              : datablock_write_abort(producer, slot);
}
DATABLOCK_INLINE datablock_status datablock_inline_read_begin(datablock_consumer consumer, int64_t timeout_ms,
                                                              datablock_read_slot *out) {
    datablock_status status;
    return DATABLOCK_LIKELY(datablock_inline_try_read_begin(consumer, timeout_ms, out, &status))
               ? status
               : datablock_read_begin(consumer, timeout_ms, out);
}
DATABLOCK_INLINE datablock_status datablock_inline_read_end(datablock_consumer consumer,
                                                            const datablock_read_slot *slot) {
    return DATABLOCK_LIKELY(datablock_inline_try_read_end(consumer, slot)) ? DATABLOCK_OK
                                                                           : datablock_read_end(consumer, slot);
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
