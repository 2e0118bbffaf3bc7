/*
 * datablock_batch.hpp - several messages in one call, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     ReadBatch batch(consumer, 256);
 *     while (batch.next(1000) != 0) {
 *         for (ReadSlot slot : batch) use(slot.as<Sample>());
 *     }
 *     std::size_t written = write_batch(producer, samples.data(), samples.size());
 *
 * datablock.hpp includes this.
 */
#ifndef DATABLOCK_BATCH_HPP
#define DATABLOCK_BATCH_HPP

#include "datablock.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <algorithm>
#include <iterator>
#include <vector>

namespace datablock {

/*
 * Messages that are held together, in place. It refers to its consumer, which must outlive it and hold nothing else meanwhile. Its memory is allocated once. Move-only; one that was moved from
 * is empty and can only be destroyed or assigned to. One thread at a time. What it holds is let go of by next, by end, and when it goes.
 */
class ReadBatch {
public:
    /* At most `capacity` messages at once. Of an ORDERED consumer its max_pins is the limit too, and of a LATEST one there is one message. Errors: invalid (0). */
    ReadBatch(const Consumer &consumer, std::size_t capacity) : consumer_(consumer.for_c()), slots_(capacity) {
        if (capacity == 0) {
            throw error::invalid("a batch of no messages");
        }
    }
    ReadBatch(ReadBatch &&other) noexcept : consumer_(other.consumer_), slots_(std::move(other.slots_)), count_(std::exchange(other.count_, 0)) {}
    ReadBatch &operator=(ReadBatch &&other) noexcept {
        if (this != &other) {
            drop();
            consumer_ = other.consumer_;
            slots_ = std::move(other.slots_);
            count_ = std::exchange(other.count_, 0);
        }
        return *this;
    }
    ~ReadBatch() { drop(); }

    /*
     * Ends the messages held, and takes the next ones: waits for the first, at most for the timeout, and takes with it what is there already. Returns how many, 0: none came in time.
     * Errors: as with_next_slot's and end's.
     */
    std::size_t next(std::int64_t timeout_ms = for_ever) {
        finish();
        datablock_status status = datablock_read_batch(consumer_, timeout_ms, slots_.data(), slots_.size(), &count_);
        if (status != DATABLOCK_E_TIMEOUT && status != DATABLOCK_E_NO_PRODUCER) {
            check(status);
        }
        return count_;
    }

    /* Ends the messages held. Errors: overrun, fenced: what was read is to be discarded. */
    void finish() { check(datablock_read_batch_end(consumer_, slots_.data(), std::exchange(count_, 0))); }

    /*
     * Ends the first `count` of them; the rest stays held and is the batch from now on. Of a LOSSLESS consumer the place in the stream moves past these alone. More than size() are all. Errors: as finish.
     */
    void finish_first(std::size_t count) {
        const std::size_t ended = count < count_ ? count : count_;
        const datablock_status status = datablock_read_batch_end(consumer_, slots_.data(), ended);
        const auto begin = slots_.begin(), rest = begin + static_cast<std::ptrdiff_t>(ended);
        std::copy(rest, begin + static_cast<std::ptrdiff_t>(count_), begin);
        count_ -= ended;
        check(status);
    }

    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    /* Valid while the batch is held. i < size(). */
    ReadSlot operator[](std::size_t i) const noexcept {
        ReadSlot slot;
        slot.consumer_ = consumer_;
        slot.slot_ = slots_[i];
        return slot;
    }

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = ReadSlot;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = ReadSlot;

        ReadSlot operator*() const noexcept { return (*batch_)[at_]; }
        iterator &operator++() noexcept {
            ++at_;
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            ++at_;
            return before;
        }
        friend bool operator==(const iterator &a, const iterator &b) noexcept { return a.at_ == b.at_; }
        friend bool operator!=(const iterator &a, const iterator &b) noexcept { return a.at_ != b.at_; }

    private:
        friend class ReadBatch;
        iterator(const ReadBatch *batch, std::size_t at) noexcept : batch_(batch), at_(at) {}
        const ReadBatch *batch_;
        std::size_t at_;
    };
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, count_}; }

private:
    void drop() noexcept { (void)datablock_read_batch_end(consumer_, slots_.data(), std::exchange(count_, 0)); }

    datablock_consumer consumer_;
    std::vector<datablock_read_slot> slots_;
    std::size_t count_ = 0;
};

/*
 * Publishes copies of `count` messages, in order; the timeout is for all of them. Returns how many were published: fewer only if the time ran out.
 * Errors: as with_write_transaction's; invalid (larger than a slot). If some were published before, they are nested in batch_error.
 */
inline std::size_t write_batch(const Producer &producer, const datablock_message *messages, std::size_t count, std::int64_t timeout_ms = for_ever) {
    std::size_t written = 0;
    datablock_status status = datablock_write_batch(producer.for_c(), timeout_ms, messages, count, &written);
    if (status == DATABLOCK_OK || (status == DATABLOCK_E_TIMEOUT && written != 0)) {
        return written;
    }
    try {
        check(status);
    } catch (const exception &e) {
        if (written == 0) {
            throw;
        }
        std::throw_with_nested(batch_error(e.what(), written));
    }
    return written;
}

/* The same for values, trivially copyable, one a message. */
template <typename T> std::size_t write_batch(const Producer &producer, const T *values, std::size_t count, std::int64_t timeout_ms = for_ever) {
    static_assert(std::is_trivially_copyable_v<T>, "a message is copied byte by byte");
    std::vector<datablock_message> messages(count);
    for (std::size_t i = 0; i < count; i++) {
        messages[i] = {values + i, sizeof(T)};
    }
    return write_batch(producer, messages.data(), count, timeout_ms);
}

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_BATCH_HPP */
