/*
 * datablock/detail/ring.h - words of a block, prefetches, ring entries
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include.
 */
#ifndef DATABLOCK_DETAIL_RING_H
#define DATABLOCK_DETAIL_RING_H

#include "state.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* Read prefetch: fetches a cache line for reading, ahead of the read. */
DATABLOCK_INLINE void datablock_inline_expect(const void *line) { __builtin_prefetch(line, 0); }

/*
 * Cache-line demotion: moves a written cache line to the cache that the cores share, where readers
 * get the line sooner than from this core. The instruction takes time, so that only a thread
 * without other work uses it. A processor without the instruction ignores it.
 */
DATABLOCK_INLINE void datablock_inline_hand_on(const void *line) {
#if defined(__x86_64__)
    /* cldemote (%rdi) */
    __asm__ volatile(".byte 0x0f, 0x1c, 0x07"
                     :
                     : "D"(line), "m"(*DATABLOCK_LAYOUT_CAST(const uint8_t *, line)));
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

/* The ring index of message `id`, from a known one: nearly always that of the message before. */
DATABLOCK_INLINE uint32_t datablock_inline_ring_index(const datablock_inline_block *b, uint64_t id,
                                                      uint64_t known, uint32_t known_at) {
    uint64_t further = id - known;
    if (DATABLOCK_UNLIKELY(further >= b->slot_count)) {
        return DATABLOCK_LAYOUT_CAST(uint32_t, id % b->slot_count);
    }
    uint64_t at = known_at + further;
    return DATABLOCK_LAYOUT_CAST(uint32_t, at >= b->slot_count ? at - b->slot_count : at);
}

/* The next ring index. */
DATABLOCK_INLINE uint32_t datablock_inline_ring_index_after(const datablock_inline_block *b,
                                                            uint32_t at) {
    return at + 1 == b->slot_count ? 0 : at + 1;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DATABLOCK_DETAIL_RING_H */
