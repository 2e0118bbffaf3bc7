/*
 * datablock.hpp - crash-safe, zero-copy data exchange in shared memory, in C++
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * OVERVIEW
 *
 * C++17 with exceptions, header only, over the inline functions of datablock_inline.h. With a
 * compiler that the inline functions do not support, over the exported functions of datablock.h.
 * datablock.h is the specification of everything that this header does not define. Owners close
 * what they opened. Transactions give back what they claimed or hold, however a program leaves
 * them. A status other than success is an exception. Nothing is allocated for a message.
 *
 * The producer:
 *
 *     #include <datablock.hpp>
 *
 *     datablock::Producer producer("camera",
 *         datablock::Config(datablock::Policy::ring).slot_count(8).slot_size(4096));
 *
 *     datablock::with_write_transaction(producer, -1, [&](datablock::WriteSlot &slot) {
 *         std::memcpy(slot.data(), frame, n);
 *         slot.commit(n);
 *     });
 *
 * A consumer:
 *
 *     auto consumer = datablock::find_datablock_consumer("camera");
 *     if (!consumer) {
 *         return; // there is no such block yet
 *     }
 *     for (const datablock::ReadSlot &slot : *consumer) {
 *         use(slot.data(), slot.size());
 *     } // ends when the producer has closed, and everything is read
 *
 *     auto mean = datablock::with_next_slot(*consumer, 100,
 *         [](const datablock::ReadSlot &slot) { return mean_of(slot); });
 *     // empty if there was no message within 100 ms
 *
 * RULES THAT HOLD EVERYWHERE
 *
 *  - Timeouts are milliseconds. 0 does not wait, -1 (datablock::for_ever) waits for ever, and a
 *    positive number is the longest wait. Any other negative number is error::invalid. A function
 *    without `timeout_ms` does not wait for a message, a free slot or a lock of the block, unless
 *    its comment says so.
 *  - A status other than DATABLOCK_OK is thrown: TIMEOUT as datablock::timeout_error, each other
 *    status as its own type in datablock::error. All these types derive from datablock::exception.
 *    A program decides by status(). what() is the sentence of datablock_error_detail():
 *    informational, with the values and what to do. Where a function lists its errors, they are
 *    these types. Any function of a closed or moved-from object throws error::handle, and any
 *    function in a forked child throws error::forked.
 *  - A transaction publishes, or counts as good, only if the program leaves it in the ordinary way.
 *    A transaction that is left by an exception publishes nothing, and the exception arrives
 *    unchanged.
 *  - A producer, a consumer, an observer, and the objects made from them belong to one thread at a
 *    time, as in C. Only close() may be called from another thread, and ends a wait. Different
 *    objects are independent. A function without such an object may be called from any thread.
 *  - Views (WriteSlot, ReadSlot, the results of data(), bytes(), text() and as()) point into the
 *    block. They are valid until the transaction, the guard, or the iterator's step ends. To read
 *    through a view afterwards is to read through a dangling pointer.
 *  - Arguments are read during the call only, unless the comment of the class says otherwise. The
 *    caller owns what a function returns by value.
 *  - A close() from another thread does not wait for the use of a view, and unmaps the view's
 *    memory. Producer::write and write_bytes, TypedProducer::send, write_batch, Consumer::next and
 *    try_next, and Observer copy inside the call, and close() waits for that call. These functions
 *    may run while another thread closes.
 *  - Guards and iterators may outlive the Producer or Consumer, and may be used after that object
 *    was moved. When that object is destroyed, they are harmless and hold nothing.
 *
 * THE PARTS
 *
 *  - datablock/errors.hpp        a type for each status
 *  - datablock/config.hpp        policies, schemas, options
 *  - datablock/slots.hpp         the memory of one message
 *  - datablock/producer.hpp      Producer
 *  - datablock/consumer.hpp      Consumer
 *  - datablock/transactions.hpp  transactions and their guards
 *  - datablock/iteration.hpp     a consumer as a range
 *  - datablock/batch.hpp         several messages in one call
 *  - datablock/observer.hpp      observing without taking part
 *  - datablock/recovery.hpp      diagnosis and repair
 *  - datablock/schema.hpp        the schema of a struct, typed producers and consumers
 *  - datablock/shared.hpp        locks, counters, the flexible zone
 *  - datablock/wait.hpp          waiting on several blocks
 *
 * CAVEATS
 *
 *  - Those of datablock.h.
 *  - pthread_cancel and pthread_exit unwind the stack without an exception that C++ counts.
 *    with_write_transaction then publishes nothing. A WriteTransactionGuard cannot detect this
 *    unwinding, and publishes. longjmp over a transaction leaves the transaction open.
 *  - Messages are bytes that another process wrote. Typed forms check size and alignment, not the
 *    values: a bool or an enum may have any value.
 */
#ifndef DATABLOCK_HPP
#define DATABLOCK_HPP

#include "datablock/detail/compiler.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__has_include)
#if __has_include(<span>)
#include <span>
#endif
#endif

#include "datablock/errors.hpp"
#include "datablock/config.hpp"
#include "datablock/slots.hpp"
#include "datablock/producer.hpp"
#include "datablock/consumer.hpp"
#include "datablock/transactions.hpp"
#include "datablock/iteration.hpp"

#include "datablock/batch.hpp"
#include "datablock/observer.hpp"
#include "datablock/recovery.hpp"
#include "datablock/schema.hpp"
#include "datablock/shared.hpp"
#include "datablock/wait.hpp"

#undef DATABLOCK_HPP_COLD
#undef DATABLOCK_HPP_HOT
#undef DATABLOCK_HPP_EXCEPTION
#undef DATABLOCK_HPP_LIKELY

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_HPP */
