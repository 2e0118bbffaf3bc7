/*
 * datablock_inline.h - the fast path of datablock.h, compiled into the program
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Include this header instead of datablock.h. Then datablock_write_begin, _commit, _checksum and
 * _abort and datablock_read_begin, _verify and _end are inline. They make no call of the library,
 * no system call and no allocation while there is a free slot or a message. The library does
 * everything else, and every unusual case. Therefore inline and exported functions do the same at
 * every call, and a program may mix them on one handle.
 *
 * The header is for C11 and C++17 with the atomics of GNU C (gcc, clang) on little-endian 64-bit
 * machines: on Windows for MinGW and clang. Other compilers, such as Microsoft's, get datablock.h
 * alone, whose functions are the exported ones. A library that does not know this header's
 * version makes the program use the exported functions.
 *
 * THE PROTOCOL
 *
 * docs/protocol.md explains the protocol; internal/core/channel is the reference. The private state
 * of a participant is one struct. The Go side of the library works on the same struct, never at the
 * same time. Shared words are reached through two mappings: only the producer can write to `data`,
 * and every participant can write to `ctl`.
 *
 * Every atomic access of the protocol has a named order, because the order is a property of the
 * protocol. A table says what each access pairs with. Accesses to handles are private to the
 * process; their orders are explained in place.
 *
 * THE PARTS
 *
 *   datablock/detail/compiler.h   which compilers have the inline functions
 *   datablock/detail/orders.h     the table of memory orders
 *   datablock/detail/state.h      the private state of a participant, the coarse clock
 *   datablock/detail/ring.h       words of a block, prefetches, ring entries
 *   datablock/detail/checksum.h   CRC32C of a message
 *   datablock/detail/producer.h   claim, commit, abort
 *   datablock/detail/consumer.h   next, hazard pointers, release
 *   datablock/detail/handle.h     handles
 *   datablock/detail/calls.h      the functions of datablock.h
 */
#ifndef DATABLOCK_INLINE_H
#define DATABLOCK_INLINE_H

#include "datablock.h"
#include "datablock/detail/compiler.h"

#ifdef DATABLOCK_HAS_INLINE
#include "datablock/detail/calls.h" /* includes the other parts */
#endif

#endif /* DATABLOCK_INLINE_H */
