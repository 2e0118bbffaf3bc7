/*
 * datablock/batch.hpp - several messages in one call, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     ReadBatch batch(consumer, 256);
 *     while (batch.next(1000) != 0) {
 *         for (ReadSlot slot : batch) use(slot.as<Sample>());
 *     }
 *     std::size_t written = write_batch(producer, samples.data(), samples.size());
 *
 * Part of datablock.hpp.
 */
#ifndef DATABLOCK_PART_BATCH_HPP
#define DATABLOCK_PART_BATCH_HPP

#include "consumer.hpp"
#include "producer.hpp"
#include "transactions.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

namespace datablock {

/*
 * Messages that are held together, in place. A batch refers to its consumer. The consumer must
 * outlive the batch and hold nothing else meanwhile. The memory of the batch is allocated once.
 * Move-only; a batch that was moved from is empty, and can only be destroyed or assigned to. One
 * thread at a time. next(), finish() and the destructor release what the batch holds.
 */
class ReadBatch {
public:
    /*
     * At most `capacity` messages at once. For an ORDERED consumer max_pins is a limit too, and a
     * LATEST consumer gets one message. Errors: invalid (0).
     */
    ReadBatch(const Consumer &consumer, std::size_t capacity)
        : consumer_(consumer.for_c()), slots_(capacity) {
        if (capacity == 0) {
            throw error::invalid("a batch of no messages");
        }
    }
    ReadBatch(ReadBatch &&other) noexcept
        : consumer_(other.consumer_), slots_(std::move(other.slots_)),
          count_(std::exchange(other.count_, 0)) {}
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
     * Releases the messages that are held, and reads the next ones: waits for the first message, at
     * most for the timeout, and takes all messages that are already there. Returns the number of
     * messages; 0 if none came in time.
     * Errors: as with_next_slot and finish.
     */
    std::size_t next(std::int64_t timeout_ms = for_ever) {
        finish();
        datablock_status status =
            datablock_read_batch(consumer_, timeout_ms, slots_.data(), slots_.size(), &count_);
        if (status != DATABLOCK_E_TIMEOUT && status != DATABLOCK_E_NO_PRODUCER) {
            check(status);
        }
        return count_;
    }

    /* Releases the messages that are held. Errors: overrun, fenced: discard what was read. */
    void finish() {
        check(datablock_read_batch_end(consumer_, slots_.data(), std::exchange(count_, 0)));
    }

    /*
     * Releases the first `count` messages. The rest stays held, and is the batch from now on. For a
     * LOSSLESS consumer the cursor moves past the released messages only. A count above size()
     * means all. Errors: as finish. After invalid and busy, unreleased messages stay in the batch.
     */
    void finish_first(std::size_t count) {
        const std::size_t wanted = count < count_ ? count : count_;
        std::size_t ended = 0;
        std::exception_ptr failure;
        while (ended < wanted) {
            const std::size_t run = covered_by_one(ended, wanted);
            const datablock_status status =
                datablock_read_batch_end(consumer_, slots_.data() + ended, run);
            const bool held = status != DATABLOCK_OK && status != DATABLOCK_E_OVERRUN &&
                              status != DATABLOCK_E_FENCED;
            if (status != DATABLOCK_OK && !failure) {
                try {
                    check(status);
                } catch (...) {
                    failure = std::current_exception();
                }
            }
            if (held) {
                break;
            }
            ended += run;
        }
        const auto begin = slots_.begin(), rest = begin + static_cast<std::ptrdiff_t>(ended);
        std::copy(rest, begin + static_cast<std::ptrdiff_t>(count_), begin);
        count_ -= ended;
        if (failure) {
            std::rethrow_exception(failure);
        }
    }

    /* The number of messages that are held. */
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    /* Valid while the batch is held. i < size(). */
    ReadSlot operator[](std::size_t i) const noexcept {
        ReadSlot slot;
        slot.consumer_ = consumer_;
        slot.slot_ = slots_[i];
        return slot;
    }

    /* Goes through the batch, and is valid until the batch changes. */
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
        friend bool operator==(const iterator &a, const iterator &b) noexcept {
            return a.at_ == b.at_;
        }
        friend bool operator!=(const iterator &a, const iterator &b) noexcept {
            return a.at_ != b.at_;
        }

    private:
        friend class ReadBatch;
        iterator(const ReadBatch *batch, std::size_t at) noexcept : batch_(batch), at_(at) {}
        const ReadBatch *batch_;
        std::size_t at_;
    };
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, count_}; }

private:
    /* How many messages from `first` on, before `end`, are consecutive under one hold. */
    std::size_t covered_by_one(std::size_t first, std::size_t end) const noexcept {
        std::size_t n = 1;
        while (first + n < end && slots_[first + n].token == slots_[first].token) {
            n++;
        }
        return n;
    }

    void drop() noexcept {
        (void)datablock_read_batch_end(consumer_, slots_.data(), std::exchange(count_, 0));
    }

    datablock_consumer consumer_;
    std::vector<datablock_read_slot> slots_;
    std::size_t count_ = 0;
};

/*
 * Publishes copies of `count` messages, in order. The timeout is for all of them. Returns the
 * number of published messages, which is less than `count` only if the time ran out.
 * Errors: as with_write_transaction; invalid (larger than a slot). If some messages were published
 * before the error, the error is nested in batch_error.
 */
inline std::size_t write_batch(const Producer &producer, const datablock_message *messages,
                               std::size_t count, std::int64_t timeout_ms = for_ever) {
    std::size_t written = 0;
    datablock_status status =
        datablock_write_batch(producer.for_c(), timeout_ms, messages, count, &written);
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

/* The same for values, trivially copyable, one per message. */
template <typename T>
std::size_t write_batch(const Producer &producer, const T *values, std::size_t count,
                        std::int64_t timeout_ms = for_ever) {
    static_assert(std::is_trivially_copyable_v<T>, "a message is copied byte by byte");
    std::vector<datablock_message> messages(count);
    for (std::size_t i = 0; i < count; i++) {
        messages[i] = {values + i, sizeof(T)};
    }
    return write_batch(producer, messages.data(), count, timeout_ms);
}

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_BATCH_HPP */
