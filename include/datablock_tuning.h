/*
 * datablock_tuning.h - the numbers that the C half and the Go half of the library share
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Some numbers differ between the two on purpose. They are no part of the format: processes with
 * other numbers can share a block. internal/layout/tuning.go is the definition, and a test compares
 * this file with it name by name. Part of datablock_inline.h; programs need none of these.
 */
#ifndef DATABLOCK_TUNING_H
#define DATABLOCK_TUNING_H

#include <stdint.h>

/* Polls of a wait before it sleeps. */
#define DATABLOCK_TUNING_SPIN_TRIES 100
/* The longest sleep: a producer may die between its publication and the wake-up. */
#define DATABLOCK_TUNING_SLEEP_SLICE_NS 100000000

/* The tick of the coarse clock. */
#define DATABLOCK_TUNING_TICK_NS 100000000
/* Uses in a tick from which on a thread of the library refreshes the clock. */
#define DATABLOCK_TUNING_COARSE_CLOCK_USES 1000
/* Messages, or polls that find nothing, after which the clock is read itself. */
#define DATABLOCK_TUNING_CLOCK_CHECK_INTERVAL 4096

/* This timeout, some thirty years, and every longer one count as for ever. */
#define DATABLOCK_TUNING_FOREVER_MS INT64_C(1000000000000)
/* The longest secret, in bytes. */
#define DATABLOCK_TUNING_SECRET_LIMIT 1024

/* Consecutive scans with a pinned retired slot, before the search for a dead consumer. */
#define DATABLOCK_TUNING_SUSPICIOUS_SCANS 8
/* From this slot size on, in bytes, a scan costs nothing beside the message. */
#define DATABLOCK_TUNING_BIG_SLOT 65536
/* Messages that a claim reclaims at most. */
#define DATABLOCK_TUNING_RECLAIM_MOST 8
/* Bytes of the next slot that a producer owns in advance, if it alternates with a consumer. */
#define DATABLOCK_TUNING_OWN_AHEAD 16384
/* Slots that a producer owns after a scan. */
#define DATABLOCK_TUNING_OWN_MOST 1024
/* Messages that the read prefetch is ahead, in blocks whose slots take at most this many bytes. */
#define DATABLOCK_TUNING_READ_AHEAD 4
#define DATABLOCK_TUNING_SMALL_BLOCK 32768
/* Ring entries of a cache line. */
#define DATABLOCK_TUNING_LINE_ENTRIES 8

/*
 * How often a consumer of an idle block probes for a producer: one that polls, and in Go one that
 * waits. A consumer that waits in C probes less often, because each probe enters Go.
 */
#define DATABLOCK_TUNING_POLL_PROBE_NS 10000000
#define DATABLOCK_TUNING_WAIT_PROBE_NS_C 1000000000

/* How often a claim that does not sleep searches for dead consumers. */
#define DATABLOCK_TUNING_SWEEP_NS 10000000

/*
 * A sleeping producer polls at most this number of leases, and the others at its next polls. In C
 * this is so after a second, or with more leases that hold it up. The second number is the interval
 * of these polls.
 */
#define DATABLOCK_TUNING_HELD_PROBES 8
#define DATABLOCK_TUNING_HELD_LATER_NS 20000000

/*
 * Loads of the next entry by a read that does not wait. In C only a read that follows a read
 * without a message polls: leaving the call and coming back takes longer than a few loads. C pauses
 * once, after the last load.
 */
#define DATABLOCK_TUNING_POLL_LOOKS_GO 4
#define DATABLOCK_TUNING_POLL_LOOKS_C 16

/*
 * The back-off of a consumer: about twice the time in which a producer fills a cache line of
 * entries. A Go producer is slower.
 */
#define DATABLOCK_TUNING_BACKOFF_NS_GO 1000
#define DATABLOCK_TUNING_BACKOFF_NS_C 500
/*
 * Looks of a claim in C that finds the ring full, with a back-off between them: of a claim that
 * does not wait, and of a claim that waits, before it enters Go.
 */
#define DATABLOCK_TUNING_FULL_LOOKS_POLL 2
#define DATABLOCK_TUNING_FULL_LOOKS_WAIT 40

#endif /* DATABLOCK_TUNING_H */
