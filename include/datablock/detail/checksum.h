/*
 * datablock/detail/checksum.h - CRC32C of a message, by the instruction of the processor
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include. The library sets DATABLOCK_INLINE_CRC in the
 * flags of a block if the block's checksums are CRC32C and the processor has the instruction. The
 * library makes and compares all other checksums.
 */
#ifndef DATABLOCK_DETAIL_CHECKSUM_H
#define DATABLOCK_DETAIL_CHECKSUM_H

#include "ring.h"

#if defined(__x86_64__) || defined(__aarch64__)
#define DATABLOCK_INLINE_HAS_CRC 1
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* True: a read compares the checksum in this process, without the library. */
DATABLOCK_INLINE bool datablock_inline_compares(const datablock_inline_block *b) {
    const uint32_t both = DATABLOCK_INLINE_ENFORCED | DATABLOCK_INLINE_CRC;
    return (b->flags & both) == both;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#ifdef DATABLOCK_INLINE_HAS_CRC

/* Hidden, as the functions, or static: a table that each translation unit of C has. */
#ifdef __cplusplus
#define DATABLOCK_INLINE_TABLE inline DATABLOCK_INLINE_HIDDEN constexpr
#else
#define DATABLOCK_INLINE_TABLE static const __attribute__((unused))
#endif

/*
 * The instruction gives a result after three cycles, and the processor begins one in each cycle. A
 * long payload is therefore read in three lanes, side by side. The value of a lane is then moved
 * past the next lane: as many zero bytes would change the value so. The table has the change of
 * each group of four bits, for both lengths of a lane.
 */
#define DATABLOCK_INLINE_LONG_LANE 1360
#define DATABLOCK_INLINE_SHORT_LANE 128

DATABLOCK_INLINE_TABLE uint32_t datablock_inline_moved[2][8][16] = {
    {
        {0x00000000, 0x79113270, 0xf22264e0, 0x8b335690, 0xe1a8bf31, 0x98b98d41, 0x138adbd1,
         0x6a9be9a1, 0xc6bd0893, 0xbfac3ae3, 0x349f6c73, 0x4d8e5e03, 0x2715b7a2, 0x5e0485d2,
         0xd537d342, 0xac26e132},
        {0x00000000, 0x889667d7, 0x14c0b95f, 0x9c56de88, 0x298172be, 0xa1171569, 0x3d41cbe1,
         0xb5d7ac36, 0x5302e57c, 0xdb9482ab, 0x47c25c23, 0xcf543bf4, 0x7a8397c2, 0xf215f015,
         0x6e432e9d, 0xe6d5494a},
        {0x00000000, 0xa605caf8, 0x49e7e301, 0xefe229f9, 0x93cfc602, 0x35ca0cfa, 0xda282503,
         0x7c2deffb, 0x2273faf5, 0x8476300d, 0x6b9419f4, 0xcd91d30c, 0xb1bc3cf7, 0x17b9f60f,
         0xf85bdff6, 0x5e5e150e},
        {0x00000000, 0x44e7f5ea, 0x89cfebd4, 0xcd281e3e, 0x1673a159, 0x529454b3, 0x9fbc4a8d,
         0xdb5bbf67, 0x2ce742b2, 0x6800b758, 0xa528a966, 0xe1cf5c8c, 0x3a94e3eb, 0x7e731601,
         0xb35b083f, 0xf7bcfdd5},
        {0x00000000, 0x59ce8564, 0xb39d0ac8, 0xea538fac, 0x62d66361, 0x3b18e605, 0xd14b69a9,
         0x8885eccd, 0xc5acc6c2, 0x9c6243a6, 0x7631cc0a, 0x2fff496e, 0xa77aa5a3, 0xfeb420c7,
         0x14e7af6b, 0x4d292a0f},
        {0x00000000, 0x8eb5fb75, 0x1887801b, 0x96327b6e, 0x310f0036, 0xbfbafb43, 0x2988802d,
         0xa73d7b58, 0x621e006c, 0xecabfb19, 0x7a998077, 0xf42c7b02, 0x5311005a, 0xdda4fb2f,
         0x4b968041, 0xc5237b34},
        {0x00000000, 0xc43c00d8, 0x8d947741, 0x49a87799, 0x1ec49873, 0xdaf898ab, 0x9350ef32,
         0x576cefea, 0x3d8930e6, 0xf9b5303e, 0xb01d47a7, 0x7421477f, 0x234da895, 0xe771a84d,
         0xaed9dfd4, 0x6ae5df0c},
        {0x00000000, 0x7b1261cc, 0xf624c398, 0x8d36a254, 0xe9a5f1c1, 0x92b7900d, 0x1f813259,
         0x64935395, 0xd6a79573, 0xadb5f4bf, 0x208356eb, 0x5b913727, 0x3f0264b2, 0x4410057e,
         0xc926a72a, 0xb234c6e6},
    },
    {
        {0x00000000, 0x6992cea2, 0xd3259d44, 0xbab753e6, 0xa3a74c79, 0xca3582db, 0x7082d13d,
         0x19101f9f, 0x42a2ee03, 0x2b3020a1, 0x91877347, 0xf815bde5, 0xe105a27a, 0x88976cd8,
         0x32203f3e, 0x5bb2f19c},
        {0x00000000, 0x8545dc06, 0x0f67cefd, 0x8a2212fb, 0x1ecf9dfa, 0x9b8a41fc, 0x11a85307,
         0x94ed8f01, 0x3d9f3bf4, 0xb8dae7f2, 0x32f8f509, 0xb7bd290f, 0x2350a60e, 0xa6157a08,
         0x2c3768f3, 0xa972b4f5},
        {0x00000000, 0x7b3e77e8, 0xf67cefd0, 0x8d429838, 0xe915a951, 0x922bdeb9, 0x1f694681,
         0x64573169, 0xd7c72453, 0xacf953bb, 0x21bbcb83, 0x5a85bc6b, 0x3ed28d02, 0x45ecfaea,
         0xc8ae62d2, 0xb390153a},
        {0x00000000, 0xaa623e57, 0x51280a5f, 0xfb4a3408, 0xa25014be, 0x08322ae9, 0xf3781ee1,
         0x591a20b6, 0x414c5f8d, 0xeb2e61da, 0x106455d2, 0xba066b85, 0xe31c4b33, 0x497e7564,
         0xb234416c, 0x18567f3b},
        {0x00000000, 0x8298bf1a, 0x00dd08c5, 0x8245b7df, 0x01ba118a, 0x8322ae90, 0x0167194f,
         0x83ffa655, 0x03742314, 0x81ec9c0e, 0x03a92bd1, 0x813194cb, 0x02ce329e, 0x80568d84,
         0x02133a5b, 0x808b8541},
        {0x00000000, 0x06e84628, 0x0dd08c50, 0x0b38ca78, 0x1ba118a0, 0x1d495e88, 0x167194f0,
         0x1099d2d8, 0x37423140, 0x31aa7768, 0x3a92bd10, 0x3c7afb38, 0x2ce329e0, 0x2a0b6fc8,
         0x2133a5b0, 0x27dbe398},
        {0x00000000, 0x6e846280, 0xdd08c500, 0xb38ca780, 0xbffdfcf1, 0xd1799e71, 0x62f539f1,
         0x0c715b71, 0x7a178f13, 0x1493ed93, 0xa71f4a13, 0xc99b2893, 0xc5ea73e2, 0xab6e1162,
         0x18e2b6e2, 0x7666d462},
        {0x00000000, 0xf42f1e26, 0xedb24abd, 0x199d549b, 0xde88e38b, 0x2aa7fdad, 0x333aa936,
         0xc715b710, 0xb8fdb1e7, 0x4cd2afc1, 0x554ffb5a, 0xa160e57c, 0x6675526c, 0x925a4c4a,
         0x8bc718d1, 0x7fe806f7},
    },
};

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One step for eight, four and one bytes. The instruction is hidden from the compiler, which would
 * otherwise refuse the instruction in a function for every processor.
 */
DATABLOCK_INLINE uint32_t datablock_inline_crc8(uint32_t crc, const uint8_t *from) {
    uint64_t word;
    __builtin_memcpy(&word, from, sizeof word);
#if defined(__x86_64__)
    uint64_t wide = crc;
    __asm__("crc32q %1, %0" : "+r"(wide) : "r"(word));
    return DATABLOCK_LAYOUT_CAST(uint32_t, wide);
#else
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
    return crc;
#endif
}
DATABLOCK_INLINE uint32_t datablock_inline_crc4(uint32_t crc, const uint8_t *from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
#if defined(__x86_64__)
    __asm__("crc32l %1, %0" : "+r"(crc) : "r"(word));
#else
    __asm__(".arch_extension crc\n\tcrc32cw %w0, %w0, %w1" : "+r"(crc) : "r"(word));
#endif
    return crc;
}
DATABLOCK_INLINE uint32_t datablock_inline_crc1(uint32_t crc, uint8_t byte) {
#if defined(__x86_64__)
    __asm__("crc32b %1, %0" : "+r"(crc) : "q"(byte));
#else
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1"
            : "+r"(crc)
            : "r"(DATABLOCK_LAYOUT_CAST(uint32_t, byte)));
#endif
    return crc;
}

/* Moves the value of a lane past a lane of that kind. */
DATABLOCK_INLINE uint32_t datablock_inline_move(const uint32_t moved[8][16], uint32_t crc) {
    return moved[0][crc & 15] ^ moved[1][crc >> 4 & 15] ^ moved[2][crc >> 8 & 15] ^
           moved[3][crc >> 12 & 15] ^ moved[4][crc >> 16 & 15] ^ moved[5][crc >> 20 & 15] ^
           moved[6][crc >> 24 & 15] ^ moved[7][crc >> 28];
}

/* Three lanes of `lane` bytes, a multiple of 16. */
DATABLOCK_INLINE uint32_t datablock_inline_lanes(uint32_t crc, const uint8_t *from, uint32_t lane,
                                                 const uint32_t moved[8][16]) {
    uint32_t second = 0, third = 0;
    for (const uint8_t *end = from + lane; from != end; from += 16) {
        crc = datablock_inline_crc8(crc, from);
        second = datablock_inline_crc8(second, from + lane);
        third = datablock_inline_crc8(third, from + 2 * lane);
        crc = datablock_inline_crc8(crc, from + 8);
        second = datablock_inline_crc8(second, from + lane + 8);
        third = datablock_inline_crc8(third, from + 2 * lane + 8);
    }
    return datablock_inline_move(moved, datablock_inline_move(moved, crc) ^ second) ^ third;
}

/* CRC32C, as other implementations have it. The processor has the instruction. */
DATABLOCK_INLINE_COLD uint32_t datablock_inline_crc32c(const uint8_t *from, uint64_t length) {
    uint32_t crc = UINT32_MAX;
    for (; length >= 3 * DATABLOCK_INLINE_LONG_LANE; length -= 3 * DATABLOCK_INLINE_LONG_LANE) {
        crc = datablock_inline_lanes(crc, from, DATABLOCK_INLINE_LONG_LANE,
                                     datablock_inline_moved[0]);
        from += 3 * DATABLOCK_INLINE_LONG_LANE;
    }
    for (; length >= 3 * DATABLOCK_INLINE_SHORT_LANE; length -= 3 * DATABLOCK_INLINE_SHORT_LANE) {
        crc = datablock_inline_lanes(crc, from, DATABLOCK_INLINE_SHORT_LANE,
                                     datablock_inline_moved[1]);
        from += 3 * DATABLOCK_INLINE_SHORT_LANE;
    }
    for (; length >= 8; length -= 8, from += 8) {
        crc = datablock_inline_crc8(crc, from);
    }
    if ((length & 4) != 0) {
        crc = datablock_inline_crc4(crc, from);
        from += 4;
    }
    for (length &= 3; length != 0; length--, from++) {
        crc = datablock_inline_crc1(crc, *from);
    }
    return ~crc;
}

/*
 * Segment.Seal: stores the checksum of a message that is about to be published. False: the library
 * makes the checksum.
 */
DATABLOCK_INLINE_COLD bool datablock_inline_seal(const datablock_inline_block *b, uint32_t slot,
                                                 uint64_t id, uint64_t length) {
    if ((b->flags & DATABLOCK_INLINE_CRC) == 0) {
        return false;
    }
    uint8_t *sum = datablock_inline_header(b, slot) + DATABLOCK_LAYOUT_SLOT_CHECKSUM;
    datablock_inline_poke(sum, DATABLOCK_LAYOUT_CRC_PAYLOAD,
                          datablock_inline_crc32c(datablock_inline_payload(b, slot), length));
    datablock_inline_poke(sum, DATABLOCK_LAYOUT_CRC_MESSAGE, id + 1);
    datablock_inline_poke(sum, DATABLOCK_LAYOUT_CRC_LENGTH, length);
    datablock_inline_poke(sum, DATABLOCK_LAYOUT_CRC_RESERVED, 0);
    return true;
}

/*
 * Segment.Intact: a held message matches its checksum. False: the library compares, and reports a
 * message that differs.
 */
DATABLOCK_INLINE bool datablock_inline_intact(const datablock_inline_block *b, uint32_t slot,
                                              uint64_t id, uint64_t length) {
    if ((b->flags & DATABLOCK_INLINE_CRC) == 0) {
        return false;
    }
    uint8_t *sum = datablock_inline_header(b, slot) + DATABLOCK_LAYOUT_SLOT_CHECKSUM;
    uint64_t crc = datablock_inline_crc32c(datablock_inline_payload(b, slot), length);
    return datablock_inline_peek(sum, DATABLOCK_LAYOUT_CRC_PAYLOAD) == crc &&
           datablock_inline_peek(sum, DATABLOCK_LAYOUT_CRC_MESSAGE) == id + 1 &&
           datablock_inline_peek(sum, DATABLOCK_LAYOUT_CRC_LENGTH) == length &&
           datablock_inline_peek(sum, DATABLOCK_LAYOUT_CRC_RESERVED) == 0;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#else /* a processor without the instruction: the library makes and compares all checksums */

#ifdef __cplusplus
extern "C" {
#endif

DATABLOCK_INLINE bool datablock_inline_seal(const datablock_inline_block *b, uint32_t slot,
                                            uint64_t id, uint64_t length) {
    (void)b, (void)slot, (void)id, (void)length;
    return false;
}
DATABLOCK_INLINE bool datablock_inline_intact(const datablock_inline_block *b, uint32_t slot,
                                              uint64_t id, uint64_t length) {
    return datablock_inline_seal(b, slot, id, length);
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DATABLOCK_INLINE_HAS_CRC */

#endif /* DATABLOCK_DETAIL_CHECKSUM_H */
