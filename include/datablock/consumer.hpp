/*
 * datablock/consumer.hpp - a reader of a block
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include.
 */
#ifndef DATABLOCK_PART_CONSUMER_HPP
#define DATABLOCK_PART_CONSUMER_HPP

#include "config.hpp"
#include "errors.hpp"
#include "slots.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace datablock {

namespace detail {

/*
 * The state that a Consumer shares with the messages it holds. The last owner deletes it. One
 * thread at a time uses it, so the count is a plain integer. A moved-from object has no Reader, and
 * a handle of zero. No static object may stand for "none" by its address, because each shared
 * object may have its own copy, and a shared object may be unloaded.
 */
struct Reader {
    std::uint32_t owners = 1;
    std::uint32_t waiting = 0;      /* in `late` */
    /*
     * of a LOSSLESS consumer: ended before an older message has ended, which the library does not
     * accept yet; 8 is the most that can be held
     */
    datablock_read_slot late[8]{};

    /* Adds an owner. */
    static Reader *share(Reader *reader) noexcept {
        if (reader != nullptr) {
            reader->owners++;
        }
        return reader;
    }
    /* Removes an owner. The last one deletes the Reader. */
    static void drop(Reader *reader) noexcept {
        if (reader != nullptr && --reader->owners == 0) {
            delete reader;
        }
    }

    static ReadSlot nothing() noexcept { return {}; }

    DATABLOCK_HPP_HOT static datablock_status begin(datablock_consumer consumer,
                                                    std::int64_t timeout_ms,
                                                    ReadSlot &out) noexcept {
        out.consumer_ = consumer;
        return datablock_read_begin(consumer, timeout_ms, &out.slot_);
    }
    static datablock_status begin_at(datablock_consumer consumer, std::uint64_t id,
                                     std::int64_t timeout_ms, ReadSlot &out) noexcept {
        out.consumer_ = consumer;
        return datablock_read_id(consumer, id, timeout_ms, &out.slot_);
    }

    /*
     * Ends a hold. The library accepts the holds of a LOSSLESS consumer in order only, and nested
     * transactions end from the inside out.
     */
    DATABLOCK_HPP_HOT datablock_status end(const ReadSlot &slot) noexcept {
        datablock_status status = datablock_read_end(slot.consumer_, &slot.slot_);
        if (DATABLOCK_HPP_LIKELY(status == DATABLOCK_OK && waiting == 0)) {
            return status;
        }
        return settle(slot.consumer_, slot.slot_, status);
    }

    DATABLOCK_HPP_COLD datablock_status settle(datablock_consumer consumer,
                                               const datablock_read_slot &slot,
                                               datablock_status status) noexcept {
        if (status == DATABLOCK_E_INVALID && waiting < sizeof late / sizeof late[0]) {
            late[waiting++] = slot;
            return DATABLOCK_OK;
        }
        /* after an error its detail must stay */
        for (std::uint32_t i = 0; status == DATABLOCK_OK && i < waiting;) {
            datablock_status ended = datablock_read_end(consumer, &late[i]);
            if (ended == DATABLOCK_E_INVALID) {
                i++;
                continue;
            }
            status = ended;
            late[i] = late[--waiting];
            i = 0; /* another message may be the oldest now */
        }
        return status;
    }
};

/* The end of a message that a transaction holds. The consumer outlives the call. */
class Holding {
public:
    Holding(Reader *reader, ReadSlot &slot) noexcept : reader_(reader), slot_(&slot) {}

    ReadSlot &slot() const noexcept { return *slot_; }
    DATABLOCK_HPP_HOT void finish() const { check(reader_->end(*slot_)); }
    DATABLOCK_HPP_COLD void abandon() const noexcept { (void)reader_->end(*slot_); }

private:
    Reader *reader_;
    ReadSlot *slot_;
};

/* A held message, or none. The destructor releases the message. */
class Hold {
public:
    Hold() noexcept = default;
    Hold(const Hold &) = delete;
    Hold &operator=(const Hold &) = delete;
    Hold(Hold &&other) noexcept { take(other); }
    Hold &operator=(Hold &&other) noexcept {
        if (this != &other) {
            (void)end();
            take(other);
        }
        return *this;
    }
    ~Hold() { (void)end(); }

    /* Nothing may be held. */
    datablock_status begin(datablock_consumer consumer, Reader *reader,
                           std::int64_t timeout_ms) noexcept {
        return began(reader, Reader::begin(consumer, timeout_ms, slot_));
    }
    datablock_status begin_at(datablock_consumer consumer, Reader *reader, std::uint64_t id,
                              std::int64_t timeout_ms) {
        return began(reader, Reader::begin_at(consumer, id, timeout_ms, slot_));
    }

    datablock_status end() noexcept {
        if (reader_ == nullptr) {
            return DATABLOCK_OK;
        }
        Reader *reader = std::exchange(reader_, nullptr);
        datablock_status status = reader->end(slot_);
        Reader::drop(reader);
        return status;
    }
    /* end() that throws errors. */
    void finish() { check(end()); }

    bool held() const noexcept { return reader_ != nullptr; }
    const ReadSlot &slot() const noexcept { return slot_; }

private:
    datablock_status began(Reader *reader, datablock_status status) noexcept {
        if (status == DATABLOCK_OK) {
            reader_ = Reader::share(reader);
        }
        return status;
    }
    void take(Hold &other) noexcept {
        if (other.reader_ != nullptr) {
            slot_ = other.slot_;
            reader_ = std::exchange(other.reader_, nullptr);
        }
    }

    Reader *reader_ = nullptr;
    ReadSlot slot_;
};

} // namespace detail

class DataBlockSlotIterator;
class ReadTransactionGuard;

/* The end of a range of messages. */
struct DataBlockSlotEnd {};

/* The result of Consumer::slots. */
class DataBlockSlotRange;

/*
 * Reads a block. Move-only; a moved-from consumer is closed. A consumer is a range of its messages:
 * a loop waits for each message, and ends when the producer has closed and everything is read.
 */
class Consumer {
public:
    /*
     * Attaches to an existing block: a name, or an absolute path. Blocks briefly, unless the
     * options have wait_ms.
     * Errors: invalid, timeout_error (no such block within wait_ms), not_found, access, secret,
     * corrupt, version, schema, full, no_spare, busy, superseded, system.
     */
    explicit Consumer(const std::string &name, const ConsumerOptions &options = {}) {
        datablock_consumer consumer;
        datablock_consumer_options c = options.for_c();
        check(datablock_consumer_open(detail::name_for_c(name), &c, &consumer));
        own(consumer);
    }
    Consumer(Consumer &&other) noexcept
        : consumer_(std::exchange(other.consumer_, datablock_consumer{})),
          reader_(std::exchange(other.reader_, nullptr)) {}
    Consumer &operator=(Consumer &&other) noexcept {
        if (this != &other) {
            shut();
            consumer_ = std::exchange(other.consumer_, datablock_consumer{});
            reader_ = std::exchange(other.reader_, nullptr);
        }
        return *this;
    }
    /* Closes, as close() does, but reports no errors. */
    ~Consumer() { shut(); }

    /*
     * Detaches. Messages that are still held are released. Any thread: a wait in another thread
     * ends with error::closed. Errors: handle (closed already).
     */
    void close() { check(datablock_consumer_close(for_c())); }

    /*
     * Whether a durable consumer continues at the place that was kept under its name:
     * datablock_consumer_resumed. Errors: busy, handle.
     */
    bool resumed() const {
        bool kept = false;
        check(datablock_consumer_resumed(for_c(), &kept));
        return kept;
    }

    /*
     * The schema of the messages, as the producer declared it. Errors: schema (the producer
     * declared none), corrupt, busy, handle.
     */
    Schema schema() const {
        datablock_schema schema;
        check(datablock_schema_of_consumer(for_c(), &schema));
        return Schema(schema);
    }
    /* The schema of the flexible zone. Errors: as schema(). */
    Schema zone_schema() const {
        datablock_schema schema;
        check(datablock_zone_schema_of_consumer(for_c(), &schema));
        return Schema(schema);
    }

    /* For functions of datablock.h. This object closes the handle. */
    datablock_consumer for_c() const noexcept { return consumer_; }

    /*
     * A copy of the next message, as a T. A longer message is cut off. The block need not be
     * aligned as the type is. May be called while older messages are held. Needs one of max_pins
     * during the call. Waits and errors: as with_next_slot; also timeout_error, from which
     * error::no_producer derives, and invalid (the message is shorter, and counts as read).
     */
    template <typename T> T next(std::int64_t timeout_ms = for_ever);

    /* The same; empty on a timeout. */
    template <typename T> std::optional<T> try_next(std::int64_t timeout_ms = 0);

    /*
     * For loops: begin() waits for the first message, for ever. Errors: as
     * DataBlockSlotIterator::operator++.
     */
    DataBlockSlotIterator begin();
    DataBlockSlotEnd end() const noexcept { return {}; }

    /*
     * The messages until none comes within the timeout, or the stream ends; 0: the messages that
     * are there already. The range refers to this consumer. Throws nothing: the loop waits, and
     * throws as DataBlockSlotIterator::operator++.
     */
    DataBlockSlotRange slots(std::int64_t timeout_ms);

private:
    friend class ReadTransactionGuard;
    friend class DataBlockSlotIterator;
    template <typename F>
    friend detail::NextResult<F> with_next_slot(Consumer &consumer, std::int64_t timeout_ms, F &&f);
    template <typename F>
    friend std::invoke_result_t<F, ReadSlot &> with_read_transaction(Consumer &consumer,
                                                                     std::uint64_t slot_id,
                                                                     std::int64_t timeout_ms,
                                                                     F &&f);

    void own(datablock_consumer consumer) {
        try {
            reader_ = new detail::Reader;
        } catch (...) {
            (void)datablock_consumer_close(consumer);
            throw;
        }
        consumer_ = consumer;
    }
    void shut() noexcept {
        if (reader_ != nullptr) {
            (void)datablock_consumer_close(consumer_); /* refused, if the handle was closed */
            detail::Reader::drop(reader_);
        }
    }

    datablock_consumer consumer_{};
    detail::Reader *reader_ = nullptr;
};

using DataBlockConsumer = Consumer;

/*
 * Attaches to an existing block. Empty if there is no block of that name, or no such directory,
 * also after the wait_ms of the options. Errors: as Consumer, except not_found and timeout_error.
 */
inline std::optional<Consumer> find_datablock_consumer(const std::string &name,
                                                       const ConsumerOptions &options = {}) {
    try {
        return std::optional<Consumer>(std::in_place, name, options);
    } catch (const error::not_found &) {
        return std::nullopt;
    } catch (const timeout_error &) {
        return std::nullopt;
    }
}

namespace detail {

/*
 * Copies the next message into the memory of a T. A longer message is cut off. A shorter message
 * counts as read, too, and throws.
 */
template <typename T>
datablock_status copy_next(datablock_consumer consumer, std::int64_t timeout_ms, T *to) {
    check_type<T>();
    datablock_copied copied{};
    datablock_status status =
        datablock_read_copy(consumer, timeout_ms, DATABLOCK_COPY_CUT, to, sizeof(T), &copied);
    if (!DATABLOCK_HPP_LIKELY(status != DATABLOCK_OK || copied.length >= sizeof(T))) {
        misfit(copied.length, sizeof(T), to, alignof(T));
    }
    return status;
}

/* Memory for a T that has no default constructor. */
template <typename T> union Room {
    Room() noexcept {}
    T value;
};

} // namespace detail

template <typename T> T Consumer::next(std::int64_t timeout_ms) {
    if constexpr (std::is_default_constructible_v<T>) {
        T value;
        check(detail::copy_next(consumer_, timeout_ms, std::addressof(value)));
        return value;
    } else {
        detail::Room<T> room;
        check(detail::copy_next(consumer_, timeout_ms, std::addressof(room.value)));
        return room.value;
    }
}

template <typename T> std::optional<T> Consumer::try_next(std::int64_t timeout_ms) {
    detail::Room<T> room;
    datablock_status status = detail::copy_next(consumer_, timeout_ms, std::addressof(room.value));
    if (detail::is_timeout(status)) {
        return std::nullopt;
    }
    check(status);
    return std::optional<T>(room.value);
}

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_CONSUMER_HPP */
