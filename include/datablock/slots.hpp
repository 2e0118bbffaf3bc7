/*
 * datablock/slots.hpp - the memory of one message, for its writer and for its readers
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include.
 */
#ifndef DATABLOCK_PART_SLOTS_HPP
#define DATABLOCK_PART_SLOTS_HPP

#include "errors.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#if defined(__has_include)
#if __has_include(<span>)
#include <span>
#endif
#endif

namespace datablock {

class ReadSlot;
class ReadBatch;

class Producer;

namespace detail {
class Claim;
struct Reader;
class Hold;

/* bool if f returns nothing, else std::optional of the result of f. */
template <typename F, typename R = std::invoke_result_t<F, ReadSlot &>>
using NextResult = std::conditional_t<std::is_void_v<R>, bool, std::optional<R>>;
} // namespace detail

/* The memory of the message that a write transaction fills. The contents are arbitrary before. */
class WriteSlot {
public:
    WriteSlot(const WriteSlot &) = delete; /* commit() belongs to the transaction's own slot */

    std::byte *data() const noexcept { return static_cast<std::byte *>(raw_->data); }
    /* Bytes that can be filled: the block's slot_size. */
    std::size_t size() const noexcept { return raw_->capacity; }
    std::size_t capacity() const noexcept { return raw_->capacity; }
    /* The id that the transaction publishes. */
    std::uint64_t id() const noexcept { return raw_->id; }
    /* The slot's number, as in the diagnosis. */
    std::uint32_t index() const noexcept { return raw_->index; }
#if defined(__cpp_lib_span)
    std::span<std::byte> bytes() const noexcept { return {data(), size()}; }
#endif

    /*
     * The beginning of the slot as a T, trivially copyable. Errors: invalid (the slot is smaller
     * than the type, or less aligned).
     */
    template <typename T> T &as() const { return detail::view<T>(raw_->data, raw_->capacity); }

    /*
     * Sets the message's length in bytes. The last call counts. Without a call the message is the
     * whole slot. Publishes nothing yet: the end of the transaction publishes.
     * Errors: invalid (above the capacity: unless another call corrects the length, the transaction
     * publishes nothing and fails with this error, too).
     */
    DATABLOCK_HPP_HOT void commit(std::size_t length) {
        length_ = length;
        if (!DATABLOCK_HPP_LIKELY(length <= raw_->capacity)) {
            detail::too_long(length, raw_->capacity);
        }
    }

    /*
     * On a block with Checksum::manual: stores the checksum of the first `length` bytes, and sets
     * that length as commit does. Call this function after the bytes are filled. Errors: invalid.
     */
    void checksum(std::size_t length) {
        commit(length);
        check(datablock_write_checksum(producer_, raw_, length));
    }

private:
    friend class detail::Claim;
    template <typename F>
    friend std::invoke_result_t<F, WriteSlot &> with_write_transaction(Producer &producer,
                                                                       std::int64_t timeout_ms,
                                                                       F &&f);
    WriteSlot(datablock_producer producer, datablock_write_slot *raw) noexcept
        : producer_(producer), raw_(raw), length_(raw->capacity) {}
    WriteSlot &operator=(const WriteSlot &) = default;

    datablock_producer producer_;
    /* an object of its own, so that the compiler keeps the rest in registers */
    datablock_write_slot *raw_;
    std::size_t length_;
};

/* A message that is held, in place and read-only. A copy is another view of the same hold. */
class ReadSlot {
public:
    const std::byte *data() const noexcept { return static_cast<const std::byte *>(slot_.data); }
    /* The message's length in bytes. */
    std::size_t size() const noexcept { return slot_.length; }
    std::uint64_t id() const noexcept { return slot_.id; }
    /* The slot's number, as in the diagnosis. */
    std::uint32_t index() const noexcept { return slot_.index; }
    /*
     * Messages skipped between the previous read and this one; 0 for a LOSSLESS consumer, and for a
     * message that was read by its id.
     */
    std::uint64_t missed() const noexcept { return slot_.missed; }
    /* CLOCK_REALTIME at the commit, in nanoseconds; 0 unless the block stamps messages. */
    std::uint64_t timestamp_ns() const noexcept { return slot_.timestamp_ns; }
#if defined(__cpp_lib_span)
    std::span<const std::byte> bytes() const noexcept { return {data(), size()}; }
#endif
    /* The bytes as characters. */
    std::string_view text() const noexcept {
        return {static_cast<const char *>(slot_.data), slot_.length};
    }

    /*
     * The beginning of the message as a T, trivially copyable. Errors: invalid (the message is
     * shorter than the type, or less aligned).
     */
    template <typename T> const T &as() const {
        return detail::view<const T>(slot_.data, slot_.length);
    }

    /*
     * Compares the message with its checksum. Errors: checksum (discard what was computed from the
     * message), invalid (the message has no checksum).
     */
    void verify() const { check(datablock_read_verify(consumer_, &slot_)); }

    ReadSlot(const ReadSlot &) = default;

private:
    friend class detail::Hold;
    friend struct detail::Reader;
    friend class ReadBatch;
    ReadSlot() noexcept {} /* set when the hold begins, and not read before */
    /* the transaction releases the hold of its own view */
    ReadSlot &operator=(const ReadSlot &) = default;

    datablock_consumer consumer_;
    datablock_read_slot slot_;
};

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_SLOTS_HPP */
