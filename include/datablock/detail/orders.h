/*
 * datablock/detail/orders.h - the memory orders of the protocol
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include.
 */
#ifndef DATABLOCK_DETAIL_ORDERS_H
#define DATABLOCK_DETAIL_ORDERS_H

#include "compiler.h"

/*
 * Sequentially consistent (SC) accesses come in pairs: each side writes its own word, then reads
 * the word of the other side. With a weaker order both sides could miss each other. The names are
 * names of accesses, not of words, so that tests/proof/weak can weaken one at a time. Some accesses
 * need a weaker order only. They stay stronger where x86-64 and arm64 would gain nothing.
 *
 *   access            | order   | pairs with, and why
 *   ------------------+---------+------------------------------------------------------------------
 *   PUBLISH           | SC      | ENTRY, RECHECK: the compare-and-swap of the entry, for a message
 *                     |         | that is published, or that is reclaimed; note 1
 *   ENTRY             | SC      | PUBLISH: a reader's load of an entry; an acquire. SC: note 2
 *   SCAN_EPOCH        | SC      | comes before ENTRY, so that ENTRY is not older; acquire is enough
 *   PIN               | SC      | SCAN_EPOCH_ADD, PINS: the reader pins, then makes RECHECK; note 3
 *   RECHECK           | SC      | PUBLISH: comes after PIN; the entry still stands; note 3
 *   SCAN_EPOCH_AGAIN  | SC      | SCAN_EPOCH_ADD, PINS: unchanged after PIN; note 3
 *   SCAN_EPOCH_ADD    | SC      | SCAN_EPOCH_AGAIN: after the retirements, before ACTIVE_MASK, PINS
 *   ACTIVE_MASK       | SC      | the attaching reader's bit, then entries and SCAN_EPOCH; note 4
 *   PINS              | SC      | PIN, UNPIN: the producer's load of a pin. Acquires UNPIN
 *   JOIN_EPOCH        | SC      | the joiner's epoch. For a claim a late answer only delays an
 *                     |         | acknowledgement. Before PUBLISH of a reclaimed entry: note 9
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
 * 9. A joiner at oldest increments the epoch, then loads entries. If JOIN_EPOCH missed the
 *    increment, these loads find every entry that PUBLISH reclaimed before.
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

#endif /* DATABLOCK_DETAIL_ORDERS_H */
