/*
 * datablock/iteration.hpp - a consumer as a range of its messages
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include.
 */
#ifndef DATABLOCK_PART_ITERATION_HPP
#define DATABLOCK_PART_ITERATION_HPP

#include "consumer.hpp"
#include "transactions.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

namespace datablock {

/*
 * Goes through the messages of a consumer: an input iterator, move-only, that holds one message at
 * a time. A new iterator holds none: ++ releases the old message and waits for the next one. A
 * range-for over a Consumer, or over Consumer::slots, makes an iterator.
 */
class DataBlockSlotIterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = ReadSlot;
    using difference_type = std::ptrdiff_t;
    using pointer = const ReadSlot *;
    using reference = const ReadSlot &;

    /*
     * Holds nothing yet. Refers to the consumer's block, not to the object. With a finite timeout
     * the messages end when none comes in time.
     */
    explicit DataBlockSlotIterator(Consumer &consumer, std::int64_t timeout_ms = for_ever) noexcept
        : consumer_(consumer.consumer_), reader_(detail::Reader::share(consumer.reader_)),
          timeout_ms_(timeout_ms) {}
    DataBlockSlotIterator(DataBlockSlotIterator &&other) noexcept
        : consumer_(std::exchange(other.consumer_, datablock_consumer{})),
          reader_(std::exchange(other.reader_, nullptr)), timeout_ms_(other.timeout_ms_),
          hold_(std::move(other.hold_)) {}
    DataBlockSlotIterator &operator=(DataBlockSlotIterator &&other) noexcept {
        if (this != &other) {
            hold_ = std::move(other.hold_);
            detail::Reader::drop(reader_);
            consumer_ = std::exchange(other.consumer_, datablock_consumer{});
            reader_ = std::exchange(other.reader_, nullptr);
            timeout_ms_ = other.timeout_ms_;
        }
        return *this;
    }
    /* Releases the message, which counts as read. */
    ~DataBlockSlotIterator() { detail::Reader::drop(reader_); }

    /* Whether there is a message: false before the first, and at the end. */
    explicit operator bool() const noexcept { return hold_.held(); }

    /* The message, until the next ++. There must be one. */
    const ReadSlot &operator*() const noexcept { return hold_.slot(); }
    const ReadSlot *operator->() const noexcept { return &hold_.slot(); }

    /*
     * The next message. There is none at the end: the producer has closed and everything is read,
     * or the consumer was closed, or the time ran out. A later call tries again.
     * Errors: overrun, fenced (the old message was overwritten while held: discard what was read);
     * superseded, overrun, lost, checksum (each thrown once: continue), busy, invalid, corrupt.
     */
    DataBlockSlotIterator &operator++() {
        hold_.finish();
        datablock_status status = hold_.begin(consumer_, reader_, timeout_ms_);
        if (!DATABLOCK_HPP_LIKELY(status == DATABLOCK_OK) && status != DATABLOCK_E_CLOSED &&
            !(timeout_ms_ >= 0 && detail::is_timeout(status))) {
            check(status);
        }
        return *this;
    }
    void operator++(int) { ++*this; }

    friend bool operator==(const DataBlockSlotIterator &at, DataBlockSlotEnd) noexcept {
        return !at;
    }
    friend bool operator!=(const DataBlockSlotIterator &at, DataBlockSlotEnd) noexcept {
        return static_cast<bool>(at);
    }
    friend bool operator==(DataBlockSlotEnd, const DataBlockSlotIterator &at) noexcept {
        return !at;
    }
    friend bool operator!=(DataBlockSlotEnd, const DataBlockSlotIterator &at) noexcept {
        return static_cast<bool>(at);
    }

private:
    template <typename F>
    friend detail::NextResult<F> with_next_slot(DataBlockSlotIterator &iterator,
                                                std::int64_t timeout_ms, F &&f);

    datablock_consumer consumer_;
    detail::Reader *reader_;
    std::int64_t timeout_ms_;
    detail::Hold hold_;
};

/*
 * The next message behind an iterator, with this call's timeout. Waits and errors: as on a
 * Consumer; also overrun and fenced of the message that the iterator held.
 */
template <typename F>
detail::NextResult<F> with_next_slot(DataBlockSlotIterator &iterator, std::int64_t timeout_ms,
                                     F &&f) {
    iterator.hold_.finish();
    return detail::next_slot(iterator.consumer_, iterator.reader_, timeout_ms, std::forward<F>(f));
}

/* The messages of a consumer for a loop. Refers to the consumer, which must outlive the range. */
class DataBlockSlotRange {
public:
    /* Does not wait. The timeout is that of each step. */
    DataBlockSlotRange(Consumer &consumer, std::int64_t timeout_ms) noexcept
        : consumer_(&consumer), timeout_ms_(timeout_ms) {}
    /* Waits for the first message. Errors: as DataBlockSlotIterator::operator++. */
    DataBlockSlotIterator begin() const {
        DataBlockSlotIterator first(*consumer_, timeout_ms_);
        ++first;
        return first;
    }
    DataBlockSlotEnd end() const noexcept { return {}; }

private:
    Consumer *consumer_;
    std::int64_t timeout_ms_;
};

inline DataBlockSlotRange Consumer::slots(std::int64_t timeout_ms) { return {*this, timeout_ms}; }
inline DataBlockSlotIterator Consumer::begin() { return slots(for_ever).begin(); }

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_ITERATION_HPP */
