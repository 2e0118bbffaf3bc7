/*
 * datablock/detail/compiler.h - whether and how this compiler compiles the fast path
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include. DATABLOCK_HAS_INLINE is defined where the
 * compiler and the machine can have the inline functions.
 */
#ifndef DATABLOCK_DETAIL_COMPILER_H
#define DATABLOCK_DETAIL_COMPILER_H

#if (defined(__GNUC__) || defined(__clang__)) && defined(__BYTE_ORDER__) &&                        \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && __SIZEOF_POINTER__ == 8 &&                        \
    ((defined(__cplusplus) && __cplusplus >= 201703L) ||                                           \
     (!defined(__cplusplus) && __STDC_VERSION__ >= 201112L))
#define DATABLOCK_HAS_INLINE 1

/*
 * Hidden: another shared object may have another version of this header. A module of Windows hides
 * every name that it does not export.
 */
#ifdef _WIN32
#define DATABLOCK_INLINE_HIDDEN
#else
#define DATABLOCK_INLINE_HIDDEN __attribute__((visibility("hidden")))
#endif

#ifdef __cplusplus
#define DATABLOCK_INLINE inline __attribute__((always_inline))
#define DATABLOCK_INLINE_COLD inline __attribute__((noinline)) DATABLOCK_INLINE_HIDDEN
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

#endif /* compiler */

#endif /* DATABLOCK_DETAIL_COMPILER_H */
