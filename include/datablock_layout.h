/*
 * datablock_layout.h - the segment format, for C and C++
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * This header says where every word of a block's two files is. docs/segment-format.md explains the
 * words. internal/layout/layout.go is the definition, and a test compares this file with it name by
 * name: a constant HdrSlotCount there is DATABLOCK_LAYOUT_HDR_SLOT_COUNT here.
 *
 * Programs need this header only to inspect a block without the library; datablock.h is the
 * interface. C11 or C++17.
 *
 * All words are little-endian and naturally aligned. Words that change while other processes read
 * them need atomic accesses: the structs say where the words are, not how to read them. A program
 * that maps a block checks the header against the file sizes first, and reads no offset twice.
 */
#ifndef DATABLOCK_LAYOUT_H
#define DATABLOCK_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* CAST converts a value in the form that the compilers of the language do not warn about. */
#ifdef __cplusplus
#define DATABLOCK_LAYOUT_LINKAGE inline
#define DATABLOCK_LAYOUT_ASSERT(condition) static_assert(condition, #condition)
#define DATABLOCK_LAYOUT_CAST(type, value) static_cast<type>(value)
#else
#define DATABLOCK_LAYOUT_LINKAGE static inline
#define DATABLOCK_LAYOUT_ASSERT(condition) _Static_assert(condition, #condition)
#define DATABLOCK_LAYOUT_CAST(type, value) ((type)(value))
#endif
#ifdef __GNUC__ /* the fast path depends on it */
#define DATABLOCK_LAYOUT_INLINE DATABLOCK_LAYOUT_LINKAGE __attribute__((always_inline))
#else
#define DATABLOCK_LAYOUT_INLINE DATABLOCK_LAYOUT_LINKAGE
#endif
#define DATABLOCK_LAYOUT_FIELD(type, field, at)                                                    \
    DATABLOCK_LAYOUT_ASSERT(offsetof(type, field) == DATABLOCK_LAYOUT_##at)

/* Identification of the two files. */
#define DATABLOCK_LAYOUT_MAGIC_DATA UINT64_C(0x314B4C4241544144) /* "DATABLK1" */
#define DATABLOCK_LAYOUT_MAGIC_CONTROL UINT64_C(0x314C544342415441) /* "ATABCTL1" */
#define DATABLOCK_LAYOUT_FORMAT_MAJOR 1 /* a block without features */
#define DATABLOCK_LAYOUT_FORMAT_MAJOR_FEATURES 2 /* with them; a reader refuses other values */
#define DATABLOCK_LAYOUT_FORMAT_MINOR 0 /* a reader accepts every value; fields are only added */

/* Sizes. */
#define DATABLOCK_LAYOUT_PAGE 4096
#define DATABLOCK_LAYOUT_CACHE_LINE 64
#define DATABLOCK_LAYOUT_SLOT_HEADER 64
#define DATABLOCK_LAYOUT_BLOCK_ID_LEN 16
#define DATABLOCK_LAYOUT_HASH_LEN 32
#define DATABLOCK_LAYOUT_MAX_NAME_LEN 200 /* of a block */
#define DATABLOCK_LAYOUT_MAX_ROW_NAME_LEN 63 /* of a participant */
#define DATABLOCK_LAYOUT_MAX_PINS 8
#define DATABLOCK_LAYOUT_MAX_CONSUMERS 255
#define DATABLOCK_LAYOUT_MAX_SLOT_COUNT (1 << 20)
#define DATABLOCK_LAYOUT_MAX_SLOTS ((1 << 22) - 1) /* ring and spare: 22 bits in an entry */
#define DATABLOCK_LAYOUT_MAX_SLOT_SIZE (UINT64_C(1) << 40)
#define DATABLOCK_LAYOUT_MAX_ALIGNMENT DATABLOCK_LAYOUT_PAGE
#define DATABLOCK_LAYOUT_SPIN_LOCK_COUNT 8
#define DATABLOCK_LAYOUT_COUNTER_COUNT 8
#define DATABLOCK_LAYOUT_LOG_RECORD_SIZE 128
#define DATABLOCK_LAYOUT_LOG_HEADER_SIZE 128
#define DATABLOCK_LAYOUT_ROW_SIZE 512
#define DATABLOCK_LAYOUT_PRODUCER_ROW 0
#define DATABLOCK_LAYOUT_MASK_WORDS 4
#define DATABLOCK_LAYOUT_IMMUTABLE_LEN 576 /* bytes of the immutable header, hash included */
#define DATABLOCK_LAYOUT_CONTROL_HEADER_LEN 256

/* ---- Data file: page 0 is the immutable header, producer and recovery write to page 1 ---- */

#define DATABLOCK_LAYOUT_HDR_MAGIC 0
#define DATABLOCK_LAYOUT_HDR_MAJOR 8
#define DATABLOCK_LAYOUT_HDR_MINOR 12
#define DATABLOCK_LAYOUT_HDR_DATA_SIZE 16
#define DATABLOCK_LAYOUT_HDR_CONTROL_SIZE 24
#define DATABLOCK_LAYOUT_HDR_BLOCK_ID 32
#define DATABLOCK_LAYOUT_HDR_CREATED 48
#define DATABLOCK_LAYOUT_HDR_SLOT_COUNT 56
#define DATABLOCK_LAYOUT_HDR_SPARE_SLOTS 60
#define DATABLOCK_LAYOUT_HDR_SLOT_SIZE 64
#define DATABLOCK_LAYOUT_HDR_STRIDE 72
#define DATABLOCK_LAYOUT_HDR_ALIGNMENT 80
#define DATABLOCK_LAYOUT_HDR_RING_OFFSET 88
#define DATABLOCK_LAYOUT_HDR_PAYLOAD_OFFSET 96
#define DATABLOCK_LAYOUT_HDR_SCHEMA_OFFSET 104
#define DATABLOCK_LAYOUT_HDR_SCHEMA_LENGTH 112
#define DATABLOCK_LAYOUT_HDR_CONSUMER_LIMIT 120
#define DATABLOCK_LAYOUT_HDR_MIN_CONSUMERS 124
#define DATABLOCK_LAYOUT_HDR_POLICY 128
#define DATABLOCK_LAYOUT_HDR_CHECKSUM 132
#define DATABLOCK_LAYOUT_HDR_FLAGS 136
#define DATABLOCK_LAYOUT_HDR_NAME_LEN 140
#define DATABLOCK_LAYOUT_HDR_ROWS_OFFSET 144
#define DATABLOCK_LAYOUT_HDR_FLEX_OFFSET 152
#define DATABLOCK_LAYOUT_HDR_FLEX_SIZE 160
#define DATABLOCK_LAYOUT_HDR_LOG_OFFSET 168
#define DATABLOCK_LAYOUT_HDR_LOG_RECORDS 176
#define DATABLOCK_LAYOUT_HDR_SCHEMA_MAJOR 180
#define DATABLOCK_LAYOUT_HDR_SCHEMA_MINOR 184
#define DATABLOCK_LAYOUT_HDR_SCHEMA_PATCH 188
#define DATABLOCK_LAYOUT_HDR_SCHEMA_HASH 192
#define DATABLOCK_LAYOUT_HDR_SECRET_HASH 224
#define DATABLOCK_LAYOUT_HDR_RETENTION 256
#define DATABLOCK_LAYOUT_HDR_NAME 264
#define DATABLOCK_LAYOUT_HDR_ZONE_SCHEMA_LENGTH 472
#define DATABLOCK_LAYOUT_HDR_ZONE_SCHEMA_MAJOR 480
#define DATABLOCK_LAYOUT_HDR_ZONE_SCHEMA_MINOR 484
#define DATABLOCK_LAYOUT_HDR_ZONE_SCHEMA_PATCH 488
#define DATABLOCK_LAYOUT_HDR_FEATURES 492
#define DATABLOCK_LAYOUT_HDR_ZONE_SCHEMA_HASH 496
#define DATABLOCK_LAYOUT_HDR_RESERVED 528
#define DATABLOCK_LAYOUT_HDR_HASH 544

#define DATABLOCK_LAYOUT_STATE 4096
#define DATABLOCK_LAYOUT_EPOCH 4160
#define DATABLOCK_LAYOUT_PRODUCER_PID 4168
#define DATABLOCK_LAYOUT_PRODUCER_START 4176
#define DATABLOCK_LAYOUT_PRODUCER_PIDNS 4184
#define DATABLOCK_LAYOUT_PRODUCER_CLOCK 4192
#define DATABLOCK_LAYOUT_COMMIT 4224
#define DATABLOCK_LAYOUT_EVENT 4288
#define DATABLOCK_LAYOUT_PRODUCER_WAITING 4352
#define DATABLOCK_LAYOUT_JOIN_ACK 4416
#define DATABLOCK_LAYOUT_SCAN_EPOCH 4480
#define DATABLOCK_LAYOUT_CLAIM_SINCE 4544
#define DATABLOCK_LAYOUT_CLAIM_ID 4552
#define DATABLOCK_LAYOUT_HEARTBEAT 4560
#define DATABLOCK_LAYOUT_WAIT_SINCE 4568
#define DATABLOCK_LAYOUT_METRIC_WRITTEN 4608
#define DATABLOCK_LAYOUT_METRIC_BYTES 4616
#define DATABLOCK_LAYOUT_METRIC_ABORTED 4624
#define DATABLOCK_LAYOUT_METRIC_FENCED 4632
#define DATABLOCK_LAYOUT_METRIC_WAITS 4640
#define DATABLOCK_LAYOUT_METRIC_WAIT_NS 4648
#define DATABLOCK_LAYOUT_METRIC_TIMEOUTS 4656
#define DATABLOCK_LAYOUT_METRIC_SCANS 4664
#define DATABLOCK_LAYOUT_METRIC_CLEANED 4672
#define DATABLOCK_LAYOUT_SCHEMA_REGION 8192 /* schema text, then the zone's; whole pages */

typedef struct datablock_layout_data {
    uint64_t magic;
    uint32_t major;
    uint32_t minor;
    uint64_t data_size; /* bytes of the data file */
    uint64_t control_size; /* bytes of the control file */
    uint8_t block_id[16]; /* random */
    uint64_t created; /* CLOCK_REALTIME ns */
    uint32_t slot_count; /* N, length of the ring */
    uint32_t spare_slots;
    uint64_t slot_size; /* payload capacity */
    uint64_t stride; /* distance of payloads */
    uint64_t alignment; /* of payloads */
    uint64_t ring_offset;
    uint64_t payload_offset; /* payload of slot 0; the slot's header is the line before */
    uint64_t schema_offset;
    uint64_t schema_length; /* bytes of canonical text, 0: no schema */
    uint32_t consumer_limit;
    uint32_t min_consumers;
    uint32_t policy; /* 1 single, 2 double buffer, 3 ring */
    uint32_t checksum; /* 0 none, 1 manual, 2 enforced */
    uint32_t flags; /* DATABLOCK_LAYOUT_FLAG_* */
    uint32_t name_len;
    uint64_t rows_offset; /* in the control file */
    uint64_t flex_offset; /* in the control file */
    uint64_t flex_size; /* bytes, header line included */
    uint64_t log_offset; /* in the control file */
    uint32_t log_records;
    uint32_t schema_major;
    uint32_t schema_minor;
    uint32_t schema_patch;
    uint8_t schema_hash[32]; /* BLAKE2b-256 of the canonical text, zero: no schema */
    uint8_t secret_hash[32]; /* BLAKE2b-256, keyed with the secret, of the block id; zero: none */
    uint64_t retention; /* ms for which the row of a dead durable consumer is kept, 0: for ever */
    char name[208]; /* name_len bytes, then zeros */
    uint64_t zone_schema_length; /* bytes of the zone's canonical text, 0: no schema */
    uint32_t zone_schema_major;
    uint32_t zone_schema_minor;
    uint32_t zone_schema_patch;
    uint32_t features; /* DATABLOCK_LAYOUT_FEATURE_*, 0 in version 1 */
    uint8_t zone_schema_hash[32]; /* BLAKE2b-256 of the zone's canonical text, zero: no schema */
    uint8_t reserved_header[16]; /* zeros, as every reserved byte */
    uint8_t hash[32]; /* BLAKE2b-256 of bytes [0, 544) */
    uint8_t reserved0[3520];
    uint32_t state; /* DATABLOCK_LAYOUT_STATE_*; all participants poll it, and it changes rarely */
    uint8_t reserved1[60];
    uint64_t epoch; /* number of producers that opened the block: the producer's generation */
    uint64_t producer_pid;
    uint64_t producer_start;
    uint64_t producer_pidns;
    uint64_t producer_clock; /* as a row's clock, for the times in the data file */
    uint8_t reserved2[24];
    uint64_t commit; /* hint: one past a published id, not always the newest */
    uint8_t reserved3[56];
    uint32_t event; /* event count of the consumers: their futex word */
    uint8_t reserved4[60];
    uint64_t producer_waiting; /* 0: no; else the awaited cursor, or DATABLOCK_LAYOUT_WAIT_ANY */
    uint8_t reserved5[56];
    uint64_t join_ack; /* the join_epoch that the producer's last rescan served */
    uint8_t reserved6[56];
    uint64_t scan_epoch; /* number of hazard-pointer scans begun */
    uint8_t reserved7[56];
    uint64_t claim_since; /* CLOCK_MONOTONIC ns of the open claim, 0: none */
    uint64_t claim_id; /* id + 1 of the open claim, 0: none */
    uint64_t heartbeat; /* CLOCK_MONOTONIC ns of the producer's last tick (100 ms of calls) */
    uint64_t wait_since; /* CLOCK_MONOTONIC ns at which the wait for room began, 0: not known */
    uint8_t reserved8[32];
    uint64_t metric_written; /* messages, by all producers of the block */
    uint64_t metric_bytes; /* payload bytes */
    uint64_t metric_aborted; /* claims given back */
    uint64_t metric_fenced; /* claims fenced by a forced recovery */
    uint64_t metric_waits; /* claims that had to wait */
    uint64_t metric_wait_ns;
    uint64_t metric_timeouts;
    uint64_t metric_scans; /* hazard-pointer scans */
    uint64_t metric_cleaned; /* dead rows that the producer cleaned */
    uint8_t reserved9[3512];
} datablock_layout_data;

DATABLOCK_LAYOUT_FIELD(datablock_layout_data, magic, HDR_MAGIC);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, major, HDR_MAJOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, minor, HDR_MINOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, data_size, HDR_DATA_SIZE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, control_size, HDR_CONTROL_SIZE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, block_id, HDR_BLOCK_ID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, created, HDR_CREATED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, slot_count, HDR_SLOT_COUNT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, spare_slots, HDR_SPARE_SLOTS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, slot_size, HDR_SLOT_SIZE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, stride, HDR_STRIDE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, alignment, HDR_ALIGNMENT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, ring_offset, HDR_RING_OFFSET);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, payload_offset, HDR_PAYLOAD_OFFSET);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, schema_offset, HDR_SCHEMA_OFFSET);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, schema_length, HDR_SCHEMA_LENGTH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, consumer_limit, HDR_CONSUMER_LIMIT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, min_consumers, HDR_MIN_CONSUMERS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, policy, HDR_POLICY);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, checksum, HDR_CHECKSUM);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, flags, HDR_FLAGS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, name_len, HDR_NAME_LEN);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, rows_offset, HDR_ROWS_OFFSET);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, flex_offset, HDR_FLEX_OFFSET);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, flex_size, HDR_FLEX_SIZE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, log_offset, HDR_LOG_OFFSET);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, log_records, HDR_LOG_RECORDS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, schema_major, HDR_SCHEMA_MAJOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, schema_minor, HDR_SCHEMA_MINOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, schema_patch, HDR_SCHEMA_PATCH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, schema_hash, HDR_SCHEMA_HASH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, secret_hash, HDR_SECRET_HASH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, retention, HDR_RETENTION);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, name, HDR_NAME);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, zone_schema_length, HDR_ZONE_SCHEMA_LENGTH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, zone_schema_major, HDR_ZONE_SCHEMA_MAJOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, zone_schema_minor, HDR_ZONE_SCHEMA_MINOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, zone_schema_patch, HDR_ZONE_SCHEMA_PATCH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, features, HDR_FEATURES);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, zone_schema_hash, HDR_ZONE_SCHEMA_HASH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, reserved_header, HDR_RESERVED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, hash, HDR_HASH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, state, STATE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, epoch, EPOCH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, producer_pid, PRODUCER_PID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, producer_start, PRODUCER_START);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, producer_pidns, PRODUCER_PIDNS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, producer_clock, PRODUCER_CLOCK);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, commit, COMMIT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, event, EVENT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, producer_waiting, PRODUCER_WAITING);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, join_ack, JOIN_ACK);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, scan_epoch, SCAN_EPOCH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, claim_since, CLAIM_SINCE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, claim_id, CLAIM_ID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, heartbeat, HEARTBEAT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, wait_since, WAIT_SINCE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_written, METRIC_WRITTEN);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_bytes, METRIC_BYTES);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_aborted, METRIC_ABORTED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_fenced, METRIC_FENCED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_waits, METRIC_WAITS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_wait_ns, METRIC_WAIT_NS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_timeouts, METRIC_TIMEOUTS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_scans, METRIC_SCANS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_data, metric_cleaned, METRIC_CLEANED);
DATABLOCK_LAYOUT_ASSERT(offsetof(datablock_layout_data, hash) + DATABLOCK_LAYOUT_HASH_LEN ==
                        DATABLOCK_LAYOUT_IMMUTABLE_LEN);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_data) == DATABLOCK_LAYOUT_SCHEMA_REGION);

/* Block flags, stored in HDR_FLAGS. The values are those of DATABLOCK_FLAG_*. */
#define DATABLOCK_LAYOUT_FLAG_ALLOW_LOSSLESS (1u << 0)
#define DATABLOCK_LAYOUT_FLAG_TIMESTAMP (1u << 4)
#define DATABLOCK_LAYOUT_FEATURE_CRC (1u << 0) /* checksums are CRC_* */
/* an entry may name SLOT_RECLAIMED; only with FLAG_ALLOW_LOSSLESS */
#define DATABLOCK_LAYOUT_FEATURE_RECLAIM (1u << 1)

/* In ROW_CLOCK and PRODUCER_CLOCK: the offset of the participant's time namespace is known. */
#define DATABLOCK_LAYOUT_CLOCK_KNOWN (UINT64_C(1) << 63)

/* In PRODUCER_WAITING: the producer waits for any cleared hazard pointer, attach or detach. */
#define DATABLOCK_LAYOUT_WAIT_ANY UINT64_MAX

/* Block states. */
#define DATABLOCK_LAYOUT_STATE_CREATING 1
#define DATABLOCK_LAYOUT_STATE_READY 2
#define DATABLOCK_LAYOUT_STATE_CLOSED 3
#define DATABLOCK_LAYOUT_STATE_SUPERSEDED 4
#define DATABLOCK_LAYOUT_STATE_REPLACING 5

/* ---- Control file, page 0: immutable header, then words that every participant may write ---- */

#define DATABLOCK_LAYOUT_CTL_MAGIC 0
#define DATABLOCK_LAYOUT_CTL_MAJOR 8
#define DATABLOCK_LAYOUT_CTL_MINOR 12
#define DATABLOCK_LAYOUT_CTL_BLOCK_ID 16
#define DATABLOCK_LAYOUT_CTL_SIZE 32
#define DATABLOCK_LAYOUT_CTL_CONSUMER_LIMIT 40
#define DATABLOCK_LAYOUT_CTL_WAITING 256
#define DATABLOCK_LAYOUT_CTL_WAKE 320
#define DATABLOCK_LAYOUT_CTL_JOIN_EPOCH 384
#define DATABLOCK_LAYOUT_CTL_ACTIVE 448
#define DATABLOCK_LAYOUT_CTL_LOSSLESS 512
#define DATABLOCK_LAYOUT_CTL_CLEANED 576
#define DATABLOCK_LAYOUT_CTL_MISMATCHES 584
#define DATABLOCK_LAYOUT_CTL_SPIN_LOCKS 640
#define DATABLOCK_LAYOUT_CTL_COUNTERS 1152
#define DATABLOCK_LAYOUT_CTL_ROWS 4096 /* rows, whole pages */

/* The line of one lock that applications share. */
#define DATABLOCK_LAYOUT_LOCK_OWNER 0
#define DATABLOCK_LAYOUT_LOCK_SLEEPERS 8

typedef struct datablock_layout_lock {
    uint64_t owner; /* generation:32 row+1:16, 0: free; bit 63 alone: free, but never released */
    /* the futex word. Odd: a participant sleeps or is about to; a waker adds 1 */
    uint32_t sleepers;
    uint8_t reserved[52];
} datablock_layout_lock;

DATABLOCK_LAYOUT_FIELD(datablock_layout_lock, owner, LOCK_OWNER);
DATABLOCK_LAYOUT_FIELD(datablock_layout_lock, sleepers, LOCK_SLEEPERS);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_lock) == DATABLOCK_LAYOUT_CACHE_LINE);

typedef struct datablock_layout_line {
    uint64_t word;
    uint8_t reserved[56];
} datablock_layout_line;

typedef struct datablock_layout_control {
    uint64_t magic;
    uint32_t major;
    uint32_t minor;
    uint8_t block_id[16]; /* as in the data file */
    uint64_t size; /* bytes of the control file */
    uint32_t consumer_limit;
    uint8_t reserved0[212];
    uint64_t waiting; /* mask of the consumers that sleep or are about to sleep, bit row % 64 */
    uint8_t reserved1[56];
    uint32_t wake; /* event count of the producer: the futex word */
    uint8_t reserved2[60];
    uint64_t join_epoch; /* number of consumers that have joined at the oldest message */
    uint8_t reserved3[56];
    uint64_t active[4]; /* bit per row: attached, hazard pointers count */
    uint8_t reserved4[32];
    uint64_t lossless[4]; /* bit per row: the row's cursor binds the producer */
    uint8_t reserved5[32];
    uint64_t cleaned; /* rows cleaned, by all processes */
    uint64_t mismatches; /* opens that were refused because of the schema */
    uint8_t reserved6[48];
    datablock_layout_lock spin_locks[8];
    datablock_layout_line counters[8];
    uint8_t reserved7[2432];
} datablock_layout_control;

DATABLOCK_LAYOUT_FIELD(datablock_layout_control, magic, CTL_MAGIC);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, major, CTL_MAJOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, minor, CTL_MINOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, block_id, CTL_BLOCK_ID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, size, CTL_SIZE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, consumer_limit, CTL_CONSUMER_LIMIT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, waiting, CTL_WAITING);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, wake, CTL_WAKE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, join_epoch, CTL_JOIN_EPOCH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, active, CTL_ACTIVE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, lossless, CTL_LOSSLESS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, cleaned, CTL_CLEANED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, mismatches, CTL_MISMATCHES);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, spin_locks, CTL_SPIN_LOCKS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_control, counters, CTL_COUNTERS);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_line) == DATABLOCK_LAYOUT_CACHE_LINE);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_control) == DATABLOCK_LAYOUT_CTL_ROWS);

/* ---- Control file: one participant row; row 0 belongs to the producer ---- */

#define DATABLOCK_LAYOUT_ROW_STATUS 0
#define DATABLOCK_LAYOUT_ROW_INCARNATION 4
#define DATABLOCK_LAYOUT_ROW_PID 8
#define DATABLOCK_LAYOUT_ROW_START 16
#define DATABLOCK_LAYOUT_ROW_PIDNS 24
#define DATABLOCK_LAYOUT_ROW_UID 32
#define DATABLOCK_LAYOUT_ROW_ROLE 36
#define DATABLOCK_LAYOUT_ROW_DELIVERY 37
#define DATABLOCK_LAYOUT_ROW_DURABLE 38
#define DATABLOCK_LAYOUT_ROW_MAX_PINS 39
#define DATABLOCK_LAYOUT_ROW_ATTACHED 40
#define DATABLOCK_LAYOUT_ROW_DIED 48
#define DATABLOCK_LAYOUT_ROW_NAME_LEN 56
#define DATABLOCK_LAYOUT_ROW_NAME 60
#define DATABLOCK_LAYOUT_ROW_CLOCK 128
#define DATABLOCK_LAYOUT_ROW_CURSOR 192
#define DATABLOCK_LAYOUT_ROW_HEARTBEAT 200
#define DATABLOCK_LAYOUT_ROW_READ 208
#define DATABLOCK_LAYOUT_ROW_MISSED 216
#define DATABLOCK_LAYOUT_ROW_BYTES 224
#define DATABLOCK_LAYOUT_ROW_JOIN 232
#define DATABLOCK_LAYOUT_ROW_PINS 256
#define DATABLOCK_LAYOUT_ROW_WAITS 320
#define DATABLOCK_LAYOUT_ROW_WAIT_NS 328
#define DATABLOCK_LAYOUT_ROW_TIMEOUTS 336
#define DATABLOCK_LAYOUT_ROW_LOST 344
#define DATABLOCK_LAYOUT_ROW_OVERRUNS 352
#define DATABLOCK_LAYOUT_ROW_CHECKSUMS 360

typedef struct datablock_layout_row {
    uint32_t status; /* DATABLOCK_LAYOUT_ROW_* */
    uint32_t incarnation; /* the generation: how many times this row was attached */
    uint64_t pid;
    uint64_t start; /* start time of the process, clock ticks since boot */
    uint64_t pidns; /* inode of the process's pid namespace */
    uint32_t uid;
    uint8_t role; /* 1 producer, 2 consumer */
    uint8_t delivery; /* 1 lossless, 2 ordered, 3 latest */
    uint8_t durable;
    uint8_t max_pins;
    uint64_t attached; /* CLOCK_REALTIME ns */
    uint64_t died; /* CLOCK_REALTIME ns at which a durable consumer was found dead, 0: alive */
    uint32_t name_len;
    char name[64]; /* name_len bytes, then zeros */
    uint8_t reserved0[4];
    /* CLOCK_KNOWN + the ns by which the owner's CLOCK_MONOTONIC is ahead, 0: not known */
    uint64_t clock;
    uint8_t reserved_clock[56];
    uint64_t cursor; /* the next id that the consumer has not released (LATEST: has not read) */
    uint64_t heartbeat; /* CLOCK_MONOTONIC ns of the last tick (100 ms of calls) */
    uint64_t read; /* messages */
    uint64_t missed; /* messages */
    uint64_t bytes;
    /* join_epoch that the producer must acknowledge before the cursor binds it, or 0 */
    uint64_t join;
    uint8_t reserved1[16];
    uint64_t pins[8]; /* hazard pointers: slot + 1, 0: none */
    uint64_t waits;
    uint64_t wait_ns;
    uint64_t timeouts;
    uint64_t lost;
    uint64_t overruns;
    uint64_t checksums;
    uint8_t reserved2[144];
} datablock_layout_row;

DATABLOCK_LAYOUT_FIELD(datablock_layout_row, status, ROW_STATUS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, incarnation, ROW_INCARNATION);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, pid, ROW_PID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, start, ROW_START);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, pidns, ROW_PIDNS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, uid, ROW_UID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, role, ROW_ROLE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, delivery, ROW_DELIVERY);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, durable, ROW_DURABLE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, max_pins, ROW_MAX_PINS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, attached, ROW_ATTACHED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, died, ROW_DIED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, name_len, ROW_NAME_LEN);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, name, ROW_NAME);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, clock, ROW_CLOCK);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, cursor, ROW_CURSOR);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, heartbeat, ROW_HEARTBEAT);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, read, ROW_READ);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, missed, ROW_MISSED);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, bytes, ROW_BYTES);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, join, ROW_JOIN);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, pins, ROW_PINS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, waits, ROW_WAITS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, wait_ns, ROW_WAIT_NS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, timeouts, ROW_TIMEOUTS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, lost, ROW_LOST);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, overruns, ROW_OVERRUNS);
DATABLOCK_LAYOUT_FIELD(datablock_layout_row, checksums, ROW_CHECKSUMS);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_row) == DATABLOCK_LAYOUT_ROW_SIZE);

/* Row states. Only the liveness lease decides whether an owner is alive. */
#define DATABLOCK_LAYOUT_ROW_FREE 0
#define DATABLOCK_LAYOUT_ROW_ATTACHING 1
#define DATABLOCK_LAYOUT_ROW_ACTIVE 2
#define DATABLOCK_LAYOUT_ROW_DEAD 3 /* durable, keeps name and cursor */
#define DATABLOCK_LAYOUT_ROW_EVICTING 4 /* by force: the owner lives and gets FENCED */

/* Roles and deliveries. */
#define DATABLOCK_LAYOUT_ROLE_PRODUCER 1
#define DATABLOCK_LAYOUT_ROLE_CONSUMER 2
#define DATABLOCK_LAYOUT_LOSSLESS 1
#define DATABLOCK_LAYOUT_ORDERED 2
#define DATABLOCK_LAYOUT_LATEST 3

/* Checksum policies. */
#define DATABLOCK_LAYOUT_CHECKSUM_NONE 0
#define DATABLOCK_LAYOUT_CHECKSUM_MANUAL 1
#define DATABLOCK_LAYOUT_CHECKSUM_ENFORCED 2

/* Policies. */
#define DATABLOCK_LAYOUT_SINGLE 1
#define DATABLOCK_LAYOUT_DOUBLE_BUFFER 2
#define DATABLOCK_LAYOUT_RING 3

/* Byte offsets of the locks on the control file, beyond any mapping of it. */
#define DATABLOCK_LAYOUT_LOCK_ROWS (UINT64_C(1) << 40) /* + LOCK_STRIDE * row: the liveness lease */
#define DATABLOCK_LAYOUT_LOCK_STRIDE 4 /* the locks of two rows are never neighbours */
#define DATABLOCK_LAYOUT_LOCK_CLEANING 1 /* the byte after a lease: row is cleaned */
/* + hash(name) % LOCK_NAME_MOD: attach by name */
#define DATABLOCK_LAYOUT_LOCK_NAMES ((UINT64_C(1) << 40) + 8192)
#define DATABLOCK_LAYOUT_LOCK_NAME_MOD 4096 /* number of name bytes */
#define DATABLOCK_LAYOUT_LOCK_REPLACE ((UINT64_C(1) << 40) + 12288) /* replace, remove */
#define DATABLOCK_LAYOUT_LOCK_SPINS ((UINT64_C(1) << 40) + 16384) /* reserved */

/* ---- Data file: the slot header before a payload. Plain stores, published by the entry ---- */

#define DATABLOCK_LAYOUT_SLOT_ID 0
#define DATABLOCK_LAYOUT_SLOT_LENGTH 8
#define DATABLOCK_LAYOUT_SLOT_TIMESTAMP 16
#define DATABLOCK_LAYOUT_SLOT_CLAIM 24
#define DATABLOCK_LAYOUT_SLOT_CHECKSUM 32 /* with FEATURE_CRC: CRC_* */
#define DATABLOCK_LAYOUT_CRC_PAYLOAD 0 /* u64 CRC32C of the payload */
#define DATABLOCK_LAYOUT_CRC_MESSAGE 8 /* u64 the message's id + 1 */
#define DATABLOCK_LAYOUT_CRC_LENGTH 16 /* u64 bytes of the payload */
#define DATABLOCK_LAYOUT_CRC_RESERVED 24 /* u64 zero */

typedef struct datablock_layout_slot {
    uint64_t id;
    uint64_t length; /* bytes */
    uint64_t timestamp; /* CLOCK_REALTIME ns, 0: the block has no FLAG_TIMESTAMP */
    uint64_t claim; /* claimed:1 epoch:16 generation:47 */
    uint8_t checksum[32]; /* BLAKE2b-256 of the payload, or CRC_*; zero: none */
} datablock_layout_slot;

DATABLOCK_LAYOUT_FIELD(datablock_layout_slot, id, SLOT_ID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_slot, length, SLOT_LENGTH);
DATABLOCK_LAYOUT_FIELD(datablock_layout_slot, timestamp, SLOT_TIMESTAMP);
DATABLOCK_LAYOUT_FIELD(datablock_layout_slot, claim, SLOT_CLAIM);
DATABLOCK_LAYOUT_FIELD(datablock_layout_slot, checksum, SLOT_CHECKSUM);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_slot) == DATABLOCK_LAYOUT_SLOT_HEADER);

/* ---- Control file: the recovery log, a header and a ring of records ---- */

#define DATABLOCK_LAYOUT_LOG_NEXT 0
#define DATABLOCK_LAYOUT_REC_TIME 0
#define DATABLOCK_LAYOUT_REC_SEQ 8
#define DATABLOCK_LAYOUT_REC_PID 16
#define DATABLOCK_LAYOUT_REC_UID 24
#define DATABLOCK_LAYOUT_REC_ACTION 28
#define DATABLOCK_LAYOUT_REC_TARGET 32
#define DATABLOCK_LAYOUT_REC_BEFORE 40
#define DATABLOCK_LAYOUT_REC_AFTER 72
#define DATABLOCK_LAYOUT_REC_RESERVED 96

typedef struct datablock_layout_log {
    uint64_t next; /* records ever written */
    uint8_t reserved0[120];
} datablock_layout_log;

typedef struct datablock_layout_record {
    uint64_t time; /* CLOCK_REALTIME ns */
    uint64_t seq; /* number of the record + 1, written last */
    uint64_t pid; /* of the process that acted */
    uint32_t uid;
    uint32_t action;
    uint64_t target; /* slot or row */
    uint64_t before[4];
    uint64_t after[3];
    uint8_t reserved[32];
} datablock_layout_record;

DATABLOCK_LAYOUT_FIELD(datablock_layout_log, next, LOG_NEXT);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_log) == DATABLOCK_LAYOUT_LOG_HEADER_SIZE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, time, REC_TIME);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, seq, REC_SEQ);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, pid, REC_PID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, uid, REC_UID);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, action, REC_ACTION);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, target, REC_TARGET);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, before, REC_BEFORE);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, after, REC_AFTER);
DATABLOCK_LAYOUT_FIELD(datablock_layout_record, reserved, REC_RESERVED);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_record) == DATABLOCK_LAYOUT_LOG_RECORD_SIZE);

/* ---- Control file: the flexible zone's header; the contents follow ---- */

#define DATABLOCK_LAYOUT_FLEX_SUM 0
#define DATABLOCK_LAYOUT_FLEX_WRITES 32
#define DATABLOCK_LAYOUT_FLEX_HEADER 64

typedef struct datablock_layout_zone {
    uint8_t sum[32]; /* BLAKE2b-256 of the contents */
    uint64_t writes; /* how many times a participant has left the zone with valid contents */
    uint8_t reserved[24];
} datablock_layout_zone;

DATABLOCK_LAYOUT_FIELD(datablock_layout_zone, sum, FLEX_SUM);
DATABLOCK_LAYOUT_FIELD(datablock_layout_zone, writes, FLEX_WRITES);
DATABLOCK_LAYOUT_ASSERT(sizeof(datablock_layout_zone) == DATABLOCK_LAYOUT_FLEX_HEADER);

/* ---- Packed words ---- */

/*
 * A ring entry packs tag (id + 1 modulo 2^40), slot, LOST, FENCE. NO_SLOT: never had a message.
 * SLOT_RECLAIMED: the message was reclaimed. A block with FEATURE_RECLAIM has no such slot.
 */
#define DATABLOCK_LAYOUT_ENTRY_FENCE (UINT64_C(1) << 0)
#define DATABLOCK_LAYOUT_ENTRY_LOST (UINT64_C(1) << 1)
#define DATABLOCK_LAYOUT_NO_SLOT ((1 << 22) - 1)
#define DATABLOCK_LAYOUT_SLOT_RECLAIMED ((1 << 22) - 2)
#define DATABLOCK_LAYOUT_ENTRY_NONE                                                                \
    ((uint64_t)DATABLOCK_LAYOUT_NO_SLOT << DATABLOCK_LAYOUT_ENTRY_SLOT_SHIFT)
#define DATABLOCK_LAYOUT_ENTRY_SLOT_SHIFT 2
#define DATABLOCK_LAYOUT_ENTRY_TAG_SHIFT 24
#define DATABLOCK_LAYOUT_ENTRY_TAG_MASK ((UINT64_C(1) << 40) - 1)

DATABLOCK_LAYOUT_INLINE uint64_t datablock_layout_entry(uint64_t id, uint32_t slot) {
    return ((id + 1) & DATABLOCK_LAYOUT_ENTRY_TAG_MASK) << DATABLOCK_LAYOUT_ENTRY_TAG_SHIFT |
           DATABLOCK_LAYOUT_CAST(uint64_t, slot) << DATABLOCK_LAYOUT_ENTRY_SLOT_SHIFT;
}

/* The slot that an entry names, NO_SLOT if it never held a message. */
DATABLOCK_LAYOUT_INLINE uint32_t datablock_layout_entry_slot(uint64_t entry) {
    return DATABLOCK_LAYOUT_CAST(uint32_t, entry >> DATABLOCK_LAYOUT_ENTRY_SLOT_SHIFT) &
           DATABLOCK_LAYOUT_NO_SLOT;
}

/* True: the entry never held a message. */
DATABLOCK_LAYOUT_INLINE int datablock_layout_entry_empty(uint64_t entry) {
    return datablock_layout_entry_slot(entry) == DATABLOCK_LAYOUT_NO_SLOT;
}

/* How far the entry's id is ahead of `id`, less than 2^39 away. The entry must not be empty. */
DATABLOCK_LAYOUT_INLINE int64_t datablock_layout_entry_ahead(uint64_t entry, uint64_t id) {
    uint64_t tag = DATABLOCK_LAYOUT_ENTRY_TAG_MASK << DATABLOCK_LAYOUT_ENTRY_TAG_SHIFT;
    return DATABLOCK_LAYOUT_CAST(int64_t,
                                 (entry & tag) - ((id + 1) << DATABLOCK_LAYOUT_ENTRY_TAG_SHIFT)) >>
           DATABLOCK_LAYOUT_ENTRY_TAG_SHIFT;
}

/* The id of the entry's message, given any id less than 2^39 away. The entry must not be empty. */
DATABLOCK_LAYOUT_INLINE uint64_t datablock_layout_entry_id(uint64_t entry, uint64_t near_id) {
    return near_id + DATABLOCK_LAYOUT_CAST(uint64_t, datablock_layout_entry_ahead(entry, near_id));
}

/* A claim mark packs claimed, the low bits of the producer's epoch, and the number of claims. */
#define DATABLOCK_LAYOUT_CLAIM_OPEN (UINT64_C(1) << 63)
#define DATABLOCK_LAYOUT_CLAIM_EPOCH_SHIFT 47
#define DATABLOCK_LAYOUT_CLAIM_EPOCH_MASK ((UINT64_C(1) << 16) - 1)
#define DATABLOCK_LAYOUT_CLAIM_GEN_MASK ((UINT64_C(1) << 47) - 1)

/* The mark of an open claim. */
DATABLOCK_LAYOUT_INLINE uint64_t datablock_layout_claim(uint64_t epoch, uint64_t generation) {
    return DATABLOCK_LAYOUT_CLAIM_OPEN | (generation & DATABLOCK_LAYOUT_CLAIM_GEN_MASK) |
           (epoch & DATABLOCK_LAYOUT_CLAIM_EPOCH_MASK) << DATABLOCK_LAYOUT_CLAIM_EPOCH_SHIFT;
}

/* The number of times that the slot was claimed. */
DATABLOCK_LAYOUT_INLINE uint64_t datablock_layout_claim_generation(uint64_t claim) {
    return claim & DATABLOCK_LAYOUT_CLAIM_GEN_MASK;
}

#endif /* DATABLOCK_LAYOUT_H */
