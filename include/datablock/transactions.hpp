/*
 * datablock/transactions.hpp - transactions that write, and transactions that read
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include.
 */
#ifndef DATABLOCK_PART_TRANSACTIONS_HPP
#define DATABLOCK_PART_TRANSACTIONS_HPP

#include "consumer.hpp"
#include "producer.hpp"
#include "slots.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace datablock {

namespace detail {

/*
 * Calls f(what.slot()), then what.finish(), and returns the result of f. If f throws, calls
 * what.abandon(), and the exception continues.
 */
template <typename F, typename Slot, typename What>
DATABLOCK_HPP_HOT inline std::invoke_result_t<F, Slot &> attempt(F &&f, What &&what) {
    try {
        return std::invoke(std::forward<F>(f), what.slot());
    } catch (...) {
        what.abandon();
        throw;
    }
}
template <typename F, typename Slot, typename What>
DATABLOCK_HPP_HOT inline std::invoke_result_t<F, Slot &> transact(F &&f, What &&what) {
    using R = std::invoke_result_t<F, Slot &>;
    if constexpr (std::is_void_v<R>) {
        attempt<F, Slot>(std::forward<F>(f), what);
        what.finish();
    } else {
        R result = attempt<F, Slot>(std::forward<F>(f), what);
        what.finish();
        if constexpr (std::is_reference_v<R>) {
            return static_cast<R>(result);
        } else {
            return result;
        }
    }
}

} // namespace detail

/* ---- Write transactions ---------------------------------------------------------------------- */

namespace detail {

/* The end of the claim that belongs to a slot. */
class Claim {
public:
    explicit Claim(WriteSlot &slot) noexcept : slot_(&slot) {}

    WriteSlot &slot() const noexcept { return *slot_; }
    DATABLOCK_HPP_HOT void finish() const {
        datablock_status status =
            datablock_write_commit(slot_->producer_, slot_->raw_, slot_->length_);
        if (!DATABLOCK_HPP_LIKELY(status == DATABLOCK_OK)) {
            refuse(slot_->producer_, slot_->raw_, status);
        }
    }
    /* finish() where no error can be reported. */
    void finish_quietly() const noexcept {
        if (datablock_write_commit(slot_->producer_, slot_->raw_, slot_->length_) != DATABLOCK_OK) {
            abandon();
        }
    }
    DATABLOCK_HPP_HOT void abandon() const noexcept { give_back(slot_->producer_, slot_->raw_); }

    /* Memory for a slot that begins later, or never. */
    struct Place {
        datablock_write_slot raw{};
        WriteSlot slot{datablock_producer{}, &raw};

        Place() noexcept = default;
        Place(const Place &) = delete;
        Place &operator=(const Place &other) noexcept {
            raw = other.raw;
            slot = other.slot;
            slot.raw_ = &raw;
            return *this;
        }
        void begin(datablock_producer producer, std::int64_t timeout_ms) {
            check(datablock_write_begin(producer, timeout_ms, &raw));
            slot = WriteSlot(producer, &raw);
        }
    };

private:
    DATABLOCK_HPP_COLD static void give_back(datablock_producer producer,
                                             const datablock_write_slot *raw) noexcept {
        /* refused, if a fence or a close has ended the claim */
        (void)datablock_write_abort(producer, raw);
    }
    [[noreturn]] DATABLOCK_HPP_COLD static void refuse(datablock_producer producer,
                                                       const datablock_write_slot *raw,
                                                       datablock_status status) {
        const std::string text = datablock_error_detail();
        give_back(producer, raw);
        raise(status, text);
    }

    WriteSlot *slot_;
};

} // namespace detail

/*
 * Claims a slot, lets f(WriteSlot &) fill the slot in place, and publishes the message: the length
 * that f committed, or the whole slot. Waits, at most for the timeout, while there is no free
 * capacity. Returns the result of f. If f throws, nothing is published, also if f has
 * committed a length. Then the next transaction gets the same id, and the exception arrives
 * unchanged. One transaction at a time per producer. Transactions on different producers nest.
 * Errors: whatever f throws; timeout_error, invalid (a transaction is open; a length above the
 * capacity), superseded, fenced (after either nothing was published), closed, corrupt, busy.
 */
template <typename F>
std::invoke_result_t<F, WriteSlot &> with_write_transaction(Producer &producer,
                                                            std::int64_t timeout_ms, F &&f) {
    const datablock_producer handle = producer.for_c();
    datablock_write_slot raw;
    check(datablock_write_begin(handle, timeout_ms, &raw));
    WriteSlot slot(handle, &raw);
    return detail::transact<F, WriteSlot>(std::forward<F>(f), detail::Claim(slot));
}

/*
 * A write transaction for code that a function does not fit. Move-only; true while the transaction
 * is open. If the transaction was neither committed nor aborted, the destructor ends it. The
 * destructor aborts if an exception that began during the guard's life is leaving the scope, and
 * publishes otherwise. The destructor throws nothing: if that publication fails (fenced,
 * superseded, a refused length), the message is not published, and no error is reported. A program
 * that needs the result calls commit().
 */
class [[nodiscard]] WriteTransactionGuard {
public:
    /* Holds nothing. */
    WriteTransactionGuard() noexcept = default;
    /* Claims a slot. Waits and errors: as with_write_transaction. */
    explicit WriteTransactionGuard(Producer &producer, std::int64_t timeout_ms = for_ever) {
        place_.begin(producer.for_c(), timeout_ms);
        open_ = true;
    }
    WriteTransactionGuard(const WriteTransactionGuard &) = delete;
    WriteTransactionGuard &operator=(const WriteTransactionGuard &) = delete;
    WriteTransactionGuard(WriteTransactionGuard &&other) noexcept : exceptions_(other.exceptions_) {
        take(other);
    }
    /* An open transaction of this guard ends as in the destructor. */
    WriteTransactionGuard &operator=(WriteTransactionGuard &&other) noexcept {
        if (this != &other) {
            end();
            take(other);
        }
        return *this;
    }
    ~WriteTransactionGuard() { end(); }

    explicit operator bool() const noexcept { return open_; }

    /* The slot to fill, until commit or abort. Errors: invalid (nothing is open). */
    WriteSlot &slot() {
        if (!open_) {
            detail::ended();
        }
        return place_.slot;
    }
    WriteSlot *operator->() { return &slot(); }

    /*
     * Publishes the message and ends the transaction, whatever the result. Errors: invalid (nothing
     * is open; a length above the capacity), superseded, fenced, busy.
     */
    void commit() {
        (void)slot();
        open_ = false;
        claim().finish();
    }
    /* The same with a length in bytes. A refused length ends the transaction, too. */
    void commit(std::size_t length) {
        try {
            slot().commit(length);
        } catch (...) {
            abort();
            throw;
        }
        commit();
    }
    /* Ends the transaction without a message. Harmless if nothing is open. */
    void abort() noexcept {
        if (std::exchange(open_, false)) {
            claim().abandon();
        }
    }

private:
    detail::Claim claim() noexcept { return detail::Claim(place_.slot); }
    void end() noexcept {
        if (std::uncaught_exceptions() > exceptions_) {
            abort();
        } else if (std::exchange(open_, false)) {
            claim().finish_quietly();
        }
    }
    void take(WriteTransactionGuard &other) noexcept {
        exceptions_ = other.exceptions_;
        if (other.open_) {
            place_ = other.place_;
            open_ = std::exchange(other.open_, false);
        }
    }

    detail::Claim::Place place_;
    bool open_ = false;
    int exceptions_ = std::uncaught_exceptions();
};

/* ---- Read transactions ----------------------------------------------------------------------- */

namespace detail {

/* The common end of both forms of with_next_slot. */
template <typename F>
NextResult<F> next_slot(datablock_consumer consumer, Reader *reader, std::int64_t timeout_ms,
                        F &&f) {
    using R = std::invoke_result_t<F, ReadSlot &>;
    static_assert(
        !std::is_reference_v<R>,
        "a reference does not go into a std::optional; and one into the message would dangle");
    ReadSlot slot = Reader::nothing();
    datablock_status status = Reader::begin(consumer, timeout_ms, slot);
    if constexpr (std::is_void_v<R>) {
        if (is_timeout(status)) {
            return false;
        }
        check(status);
        transact<F, ReadSlot>(std::forward<F>(f), Holding(reader, slot));
        return true;
    } else {
        if (is_timeout(status)) {
            return std::optional<R>();
        }
        check(status);
        return std::optional<R>(transact<F, ReadSlot>(std::forward<F>(f), Holding(reader, slot)));
    }
}

} // namespace detail

/*
 * Lets f(ReadSlot &) read message `slot_id` in place, whatever the delivery. The consumer's cursor
 * stays. Waits, asleep and at most for the timeout, for a message that is not written yet:
 * datablock_read_id. Returns the result of f. The message is released in every case. Needs one of
 * the consumer's max_pins. On a LOSSLESS consumer do not wait for ever for a message that the
 * producer cannot write before this consumer has read on.
 * Errors: whatever f throws; timeout_error, overrun (overwritten; or the slot was reused while
 * held, and then the result of f is discarded), lost, checksum, closed (the end of the stream, or
 * closed by another thread), superseded, fenced, busy (max_pins messages are held), invalid,
 * corrupt.
 */
template <typename F>
std::invoke_result_t<F, ReadSlot &> with_read_transaction(Consumer &consumer, std::uint64_t slot_id,
                                                          std::int64_t timeout_ms, F &&f) {
    ReadSlot slot = detail::Reader::nothing();
    check(detail::Reader::begin_at(consumer.consumer_, slot_id, timeout_ms, slot));
    return detail::transact<F, ReadSlot>(std::forward<F>(f),
                                         detail::Holding(consumer.reader_, slot));
}

/*
 * Lets f(ReadSlot &) read the next message in place, and waits for the message at most for the
 * timeout. Returns std::optional of the result of f, or bool if f returns nothing. The result is
 * empty, or false, if the time ran out, with a producer or without (Consumer::next distinguishes
 * the two). Then f was not called. The message counts as read in every other case, also when f
 * throws, and the exception arrives unchanged. On an iterator, the call first releases the message
 * that the iterator holds, and the iterator holds none afterwards.
 * Errors: whatever f throws; closed (the end of the stream and everything read, or closed by
 * another thread), superseded, overrun, lost, checksum, fenced, busy (max_pins messages are held),
 * invalid, corrupt.
 */
template <typename F>
detail::NextResult<F> with_next_slot(Consumer &consumer, std::int64_t timeout_ms, F &&f) {
    return detail::next_slot(consumer.consumer_, consumer.reader_, timeout_ms, std::forward<F>(f));
}

/*
 * A read transaction for code that a function does not fit. Move-only; true while the guard holds a
 * message, which the destructor releases. The destructor throws nothing. A program that needs to
 * know whether the message was overwritten while held (see datablock_read_end) calls commit().
 */
class [[nodiscard]] ReadTransactionGuard {
public:
    /* Holds nothing. */
    ReadTransactionGuard() noexcept = default;
    /* Message `slot_id`. Waits and errors: as with_read_transaction. */
    ReadTransactionGuard(Consumer &consumer, std::uint64_t slot_id, std::int64_t timeout_ms) {
        check(hold_.begin_at(consumer.consumer_, consumer.reader_, slot_id, timeout_ms));
    }
    ReadTransactionGuard(ReadTransactionGuard &&) noexcept = default;
    /* The message that this guard held is released. */
    ReadTransactionGuard &operator=(ReadTransactionGuard &&) noexcept = default;

    /* The next message; an empty guard on a timeout. Waits and errors: as with_next_slot. */
    static ReadTransactionGuard next(Consumer &consumer, std::int64_t timeout_ms = for_ever) {
        ReadTransactionGuard guard;
        datablock_status status =
            guard.hold_.begin(consumer.consumer_, consumer.reader_, timeout_ms);
        if (!detail::is_timeout(status)) {
            check(status);
        }
        return guard;
    }

    explicit operator bool() const noexcept { return hold_.held(); }

    /* The message, until commit or abort. Errors: invalid (nothing is held). */
    const ReadSlot &slot() const {
        if (!hold_.held()) {
            detail::ended();
        }
        return hold_.slot();
    }
    const ReadSlot *operator->() const { return &slot(); }

    /*
     * Releases the message. Errors: invalid (nothing is held); overrun, fenced: discard what was
     * read.
     */
    void commit() {
        (void)slot();
        hold_.finish();
    }
    /*
     * Releases the message without a check, for a program that does not use what was read. The
     * message counts as read. Harmless if nothing is held.
     */
    void abort() noexcept { (void)hold_.end(); }

private:
    detail::Hold hold_;
};

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_TRANSACTIONS_HPP */
