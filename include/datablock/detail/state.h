/*
 * datablock/detail/state.h - the private state of a participant, and the coarse clock
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include. internal/core/channel/state.go has the same
 * structs. tests/format/layout compares the two, field by field.
 */
#ifndef DATABLOCK_DETAIL_STATE_H
#define DATABLOCK_DETAIL_STATE_H

#include "../../datablock.h"
#include "../../datablock_layout.h"
#include "../../datablock_tuning.h"
#include "compiler.h"
#include "orders.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* the producer reclaims messages */
#define DATABLOCK_INLINE_RECLAIM (1u << 25)
/* the slots take at most DATABLOCK_TUNING_SMALL_BLOCK bytes */
#define DATABLOCK_INLINE_SMALL (1u << 26)
/* checksums are CRC32C, and the processor has an instruction for it */
#define DATABLOCK_INLINE_CRC (1u << 27)
/* a message has at least the size of the block's schema */
#define DATABLOCK_INLINE_SHORTEST (1u << 28)
/* Every claim takes the slow path: big slots, which are freed at once, or min_consumers. */
#define DATABLOCK_INLINE_ROOM (1u << 29)
/* messages may have a checksum: a claim clears that of an earlier one */
#define DATABLOCK_INLINE_CHECKSUMS (1u << 30)
/* every message has a checksum: without INLINE_CRC the library makes and compares it */
#define DATABLOCK_INLINE_ENFORCED (1u << 31)

/*
 * Coarse clock with a tick of 100 ms. It says when periodic housekeeping is due, and avoids a clock
 * read per message: even the cheapest clock takes a tenth of a message's time. While a participant
 * polls often, a thread of the library refreshes the clock.
 */
typedef struct datablock_inline_coarse_clock {
    /* CLOCK_MONOTONIC ns; 0: no thread refreshes it. Another thread writes this word */
    uint64_t now;
    /* the reading of the last tick that the participant acted on. Never 0 */
    uint64_t seen;
    uint32_t uses;          /* polls since that tick, while no thread refreshes it */
    uint32_t reserved;
} datablock_inline_coarse_clock;

typedef struct datablock_inline_producer {
    datablock_inline_block block;
    datablock_inline_coarse_clock clock;
    uint64_t next;          /* id of the next message */
    /*
     * The fast-path limit: claims of lower ids need only check join_epoch. A free slot, ring space
     * and an unfenced entry are guaranteed.
     */
    uint64_t fast_path_end;
    /* the claim of this id reads the clock, and checks that the coarse clock is fresh */
    uint64_t next_clock_check;
    uint64_t epoch;         /* the generation of this producer */
    /* the low watermark: lower bound of all LOSSLESS cursors, as of the last rescan */
    uint64_t min_cursor;
    uint64_t acked;         /* join_epoch that the last rescan served */
    uint64_t ring_next;     /* the id whose ring index is ring_index */
    uint32_t ring_index;
    uint32_t free_count;
    uint32_t retired_count;
    uint32_t pinned_scans;  /* scans in a row that found a retired slot pinned */
    uint32_t interrupted;   /* another thread closes the handle */
    uint32_t slot;          /* claimed */
    uint8_t claimed;
    uint8_t scanned;        /* this producer has set min_cursor */
    uint8_t slow_path_pending;         /* the next claim has work for the library */
    uint8_t reserved[5];
    /* slots that no consumer can be reading; the last is the next to be used */
    uint32_t *free_slots;
    uint32_t *retired; /* the retire list: slots out of the ring that a reader may still pin */
    uint64_t *pinned; /* bit per slot, all zero between scans */
    uint32_t *pins; /* slots that a scan found pinned */
    /* The entries that a commit expects, as this producer left them. FENCE: to be loaded again. */
    uint64_t *expected;
    /* the claim mark of each slot, as this producer left it; 0: the next claim loads it */
    uint64_t *claims;
    /* smallest length of a message: that of the schema's struct, 0 without a schema */
    uint64_t shortest;
    /* CLOCK_MONOTONIC ns of the last search for dead consumers outside a wait */
    uint64_t swept;
    /*
     * Every LOSSLESS consumer has released the messages below this id, at the last rescan. 0: there
     * was no LOSSLESS consumer.
     */
    uint64_t released;
    uint64_t reclaimed; /* no message below can be reclaimed any more */
} datablock_inline_producer;

#define DATABLOCK_INLINE_APART 2

typedef struct datablock_inline_hold {
    uint64_t id;
    /* the slot's claim mark when the hold began; it changes when the slot is used again */
    uint64_t claim;
    uint32_t slot;
    uint32_t token;
    uint8_t used; /* 0; 1; APART: its end is the library's */
    uint8_t pinned;
    uint8_t in_order; /* the release moves the cursor */
    uint8_t reserved;
    uint32_t more; /* further messages of a LOSSLESS batch that the hold covers */
} datablock_inline_hold;

typedef struct datablock_inline_consumer {
    datablock_inline_block block;
    datablock_inline_coarse_clock clock;
    uint8_t *row; /* of this consumer */
    /* the read of this id reads the clock, and checks that the coarse clock is fresh */
    uint64_t next_clock_check;
    uint64_t next; /* the least id that the next read may return */
    /* status and incarnation of the row as one word, while the row is this consumer's */
    uint64_t owner_word;
    /* ORDERED, LATEST: messages skipped since the last message, not reported yet */
    uint64_t skipped;
    uint64_t losses; /* ORDERED: skips in a row */
    /* LOSSLESS joining at oldest: the epoch that the producer must acknowledge, 0: bound */
    uint64_t join_epoch;
    uint64_t ring_next; /* the id whose ring index is ring_index */
    uint32_t ring_index;
    uint32_t row_number;
    uint32_t delivery; /* DATABLOCK_LAYOUT_LOSSLESS, _ORDERED, _LATEST */
    uint32_t max_pins;
    uint32_t held;
    /* number of the last hold, for tokens: 16 bits, so that a slot is four words in Go */
    uint16_t next_hold;
    uint32_t interrupted; /* another thread closes the handle */
    uint8_t may_jump; /* an overrun before the acknowledgement only moves the start */
    uint8_t producer_there; /* at the last probe */
    /* this consumer shares a cache line with the producer: back-off before the next poll */
    uint8_t near_producer;
    uint8_t polling; /* the last read found nothing */
    uint32_t polls; /* polls that found nothing and probed no lease */
    uint64_t producer_probed; /* CLOCK_MONOTONIC ns of the last probe for a producer */
    datablock_inline_hold holds[DATABLOCK_LAYOUT_MAX_PINS];
} datablock_inline_consumer;

/* ---- The coarse clock ------------------------------------------------------------------------ */

/* True: the caller has to poll the clock. */
DATABLOCK_INLINE bool datablock_inline_passed(const datablock_inline_coarse_clock *m) {
    return __atomic_load_n(&m->now, DATABLOCK_PLAIN) != m->seen;
}
/* Polls the clock. True: housekeeping is due, which the library does. */
DATABLOCK_API bool datablock_inline_look(datablock_inline_coarse_clock *clock);

DATABLOCK_INLINE bool datablock_inline_is_due(datablock_inline_coarse_clock *m) {
    return DATABLOCK_UNLIKELY(datablock_inline_passed(m)) && datablock_inline_look(m);
}

/* Asked once in DATABLOCK_TUNING_CLOCK_CHECK_INTERVAL: the refreshing thread may starve. */
DATABLOCK_API bool datablock_inline_kept_up(const datablock_inline_coarse_clock *clock);

/* Reads the real clock. False: the coarse clock is stale; datablock_inline_passed is then true. */
DATABLOCK_INLINE_COLD bool datablock_inline_check(datablock_inline_coarse_clock *m) {
    bool kept_up = datablock_inline_kept_up(m);
    if (!kept_up) {
        m->seen = 1;
    }
    return kept_up;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DATABLOCK_DETAIL_STATE_H */
