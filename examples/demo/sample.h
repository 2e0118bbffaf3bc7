/*
 * The demo's message: one sample of the machine. It is a plain struct of fixed-size fields without
 * padding, so every language can read it from its offsets. live/sample.go has the same struct in
 * Go, checker.py in Python. The fields are little-endian, like the words of a block.
 *
 * Counters count from boot. A consumer subtracts two of them, so skipped messages lose nothing.
 */
#ifndef DEMO_SAMPLE_H
#define DEMO_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

struct sample {
    uint64_t id;                   /*  0  the message's id; it ties the contents to the message */
    uint64_t sampled_ns;           /*  8  CLOCK_MONOTONIC */
    uint64_t cpu_busy_ticks;       /* 16  of all CPUs: everything but idle and iowait */
    uint64_t cpu_total_ticks;      /* 24 */
    uint64_t memory_total_kib;     /* 32 */
    uint64_t memory_available_kib; /* 40 */
    uint64_t received_bytes;       /* 48  of all network interfaces but the loopback */
    uint64_t sent_bytes;           /* 56 */
    uint32_t load_1m_percent;      /* 64  the load averages times 100 */
    uint32_t load_5m_percent;      /* 68 */
    uint32_t load_15m_percent;     /* 72 */
    uint32_t tasks_runnable;       /* 76 */
    uint32_t tasks;                /* 80 */
    uint32_t crc;                  /* 84  CRC-32 (IEEE 802.3, as in zlib) of the 84 bytes before it */
};
_Static_assert(sizeof(struct sample) == 88 && offsetof(struct sample, crc) == 84, "the message has no padding");

/* The library has its own checks. This CRC is the demo's independent proof. It is computed bit
 * by bit, without a table; 84 bytes take a microsecond. */
static inline uint32_t sample_crc(const struct sample *sample)
{
    const unsigned char *byte = (const unsigned char *)sample;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < offsetof(struct sample, crc); i++) {
        crc ^= byte[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

#endif
