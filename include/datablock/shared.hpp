/*
 * datablock/shared.hpp - what the participants of a block share, for C++17: locks, the flexible
 * zone, counters
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     std::uint64_t n = with_flexible_zone(consumer, 1000, [](FlexibleZone &zone) {
 *         return ++zone.as<Settings>().version;
 *     });
 *     {
 *         SharedSpinLockGuardOwning guard(SharedSpinLock(producer, 3), 1000);
 *         if (guard.abandoned()) repair();
 *     }
 *     SharedCounter(producer, 2).fetch_add(1);
 *
 * The objects here refer to a producer or consumer. They must not outlive that producer or
 * consumer, and are used by its thread. Part of datablock.hpp.
 */
#ifndef DATABLOCK_PART_SHARED_HPP
#define DATABLOCK_PART_SHARED_HPP

#include "consumer.hpp"
#include "producer.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace datablock {

/* A producer or a consumer, for the functions of this header. Both convert implicitly. */
class SharedParticipant {
public:
    SharedParticipant(const Producer &producer) noexcept
        : participant_(datablock_of_producer(producer.for_c())) {}
    SharedParticipant(const Consumer &consumer) noexcept
        : participant_(datablock_of_consumer(consumer.for_c())) {}
    /* For functions of datablock.h. The Producer or the Consumer closes the handle. */
    datablock_participant for_c() const noexcept { return participant_; }

private:
    datablock_participant participant_;
};

/*
 * One of the block's eight locks. The lock is recursive: the owner releases the lock as often as it
 * acquired the lock. The lock of a dead owner is taken back.
 */
class SharedSpinLock {
public:
    static constexpr std::uint32_t count = 8;

    SharedSpinLock(SharedParticipant participant, std::uint32_t index) noexcept
        : participant_(participant), index_(index) {}

    /*
     * Acquires the lock. Waits, spinning first, then asleep. Returns true if the last owner ended
     * without releasing the lock. The data that the lock protects may then be half changed.
     * Errors: timeout_error, invalid (no such lock), closed, busy, handle.
     */
    [[nodiscard]] bool acquire(std::int64_t timeout_ms = for_ever) {
        bool abandoned = false;
        check(datablock_lock_acquire(participant_.for_c(), index_, timeout_ms, &abandoned));
        return abandoned;
    }

    /*
     * Releases the lock once. Errors: invalid (another participant owns the lock), fenced (the lock
     * was taken away), busy, handle.
     */
    void release() { check(datablock_lock_release(participant_.for_c(), index_)); }

private:
    friend class SharedSpinLockGuardOwning;
    SharedParticipant participant_;
    std::uint32_t index_;
};

/*
 * Owns a lock from construction to destruction. Move-only; a guard that was moved from, or
 * released, owns nothing and converts to false.
 */
class [[nodiscard]] SharedSpinLockGuardOwning {
public:
    /* Waits and errors: as SharedSpinLock::acquire. */
    explicit SharedSpinLockGuardOwning(SharedSpinLock lock, std::int64_t timeout_ms = for_ever)
        : lock_(lock), abandoned_(lock.acquire(timeout_ms)), owns_(true) {}
    SharedSpinLockGuardOwning(SharedSpinLockGuardOwning &&other) noexcept
        : lock_(other.lock_), abandoned_(other.abandoned_),
          owns_(std::exchange(other.owns_, false)) {}
    SharedSpinLockGuardOwning &operator=(SharedSpinLockGuardOwning &&other) noexcept {
        if (this != &other) {
            drop();
            lock_ = other.lock_;
            abandoned_ = other.abandoned_;
            owns_ = std::exchange(other.owns_, false);
        }
        return *this;
    }
    ~SharedSpinLockGuardOwning() { drop(); }

    explicit operator bool() const noexcept { return owns_; }
    /* Whether the last owner ended without releasing the lock. */
    bool abandoned() const noexcept { return abandoned_; }

    /*
     * Releases the lock now. Errors: as SharedSpinLock::release; invalid (the guard owns nothing).
     */
    void release() {
        if (!owns_) {
            raise(DATABLOCK_E_INVALID, "the guard has no lock: it was released, or moved from");
        }
        owns_ = false;
        lock_.release();
    }

private:
    void drop() noexcept {
        if (std::exchange(owns_, false)) {
            (void)datablock_lock_release(lock_.participant_.for_c(), lock_.index_);
        }
    }

    SharedSpinLock lock_;
    bool abandoned_;
    bool owns_;
};

class FlexibleZone;
template <typename F>
std::invoke_result_t<F, FlexibleZone &> with_flexible_zone(SharedParticipant participant,
                                                           std::int64_t timeout_ms, F &&f,
                                                           bool anyway = false);

/* The flexible zone while this participant is inside: memory that both sides change in place. */
class FlexibleZone {
public:
    void *data() const noexcept { return zone_.data; }
    /* Bytes: the block's zone_size. */
    std::size_t size() const noexcept { return zone_.size; }
    /* How often a participant has left the zone so far; 0: the zone is all zero. */
    std::uint64_t writes() const noexcept { return zone_.writes; }
    /* Whether the last participant in the zone ended inside, or could not finish. */
    bool abandoned() const noexcept { return zone_.abandoned; }
    /*
     * Whether the contents are what the last participant to leave the zone left; false only after
     * `anyway`.
     */
    bool intact() const noexcept { return zone_.intact; }
    /* The zone's beginning as a T, trivially copyable. Errors: invalid (larger than the zone). */
    template <typename T> T &as() const { return detail::view<T>(zone_.data, zone_.size); }

private:
    template <typename F>
    friend std::invoke_result_t<F, FlexibleZone &> with_flexible_zone(SharedParticipant,
                                                                      std::int64_t, F &&, bool);
    FlexibleZone() = default;
    datablock_zone zone_{};
};

/*
 * Lets f change the zone, under lock 0, and returns what f returns. Waits for the lock, as
 * SharedSpinLock::acquire. If f throws, the zone is left with its contents at that time, and the
 * next participant finds the zone abandoned. With `anyway` the call enters the zone also when the
 * contents are not what was left there.
 * Errors: timeout_error, checksum, invalid (this participant is in the zone already), fenced,
 * closed, busy, handle.
 */
template <typename F>
std::invoke_result_t<F, FlexibleZone &> with_flexible_zone(SharedParticipant participant,
                                                           std::int64_t timeout_ms, F &&f,
                                                           bool anyway) {
    FlexibleZone zone;
    check(datablock_zone_begin(participant.for_c(),
                               anyway ? static_cast<std::uint32_t>(DATABLOCK_ZONE_ANYWAY) : 0u,
                               timeout_ms, &zone.zone_));
    struct Leave {
        datablock_participant participant;
        bool inside = true;
        ~Leave() {
            if (inside) {
                (void)datablock_zone_end(participant, true);
            }
        }
        void well() {
            inside = false;
            check(datablock_zone_end(participant, false));
        }
    } leave{participant.for_c()};
    if constexpr (std::is_void_v<std::invoke_result_t<F, FlexibleZone &>>) {
        std::forward<F>(f)(zone);
        leave.well();
    } else {
        std::invoke_result_t<F, FlexibleZone &> result = std::forward<F>(f)(zone);
        leave.well();
        return result;
    }
}

/*
 * One of the block's eight counters of 64 bits, zero in a new block. Every function is one atomic
 * step and never waits. Errors: invalid (no such counter), busy, handle.
 */
class SharedCounter {
public:
    static constexpr std::uint32_t count = 8;

    SharedCounter(SharedParticipant participant, std::uint32_t index) noexcept
        : participant_(participant), index_(index) {}

    std::uint64_t load() const {
        std::uint64_t value = 0;
        check(datablock_counter_get(participant_.for_c(), index_, &value));
        return value;
    }
    /* exchange and fetch_add return the previous value. */
    std::uint64_t exchange(std::uint64_t value) {
        std::uint64_t before = 0;
        check(datablock_counter_set(participant_.for_c(), index_, value, &before));
        return before;
    }
    std::uint64_t fetch_add(std::uint64_t amount) {
        std::uint64_t before = 0;
        check(datablock_counter_add(participant_.for_c(), index_, amount, &before));
        return before;
    }
    /*
     * Stores `value` if the counter is `expected`. Otherwise `expected` receives the counter's
     * value.
     */
    bool compare_exchange(std::uint64_t &expected, std::uint64_t value) {
        std::uint64_t before = 0;
        check(datablock_counter_exchange(participant_.for_c(), index_, expected, value, &before));
        return before == std::exchange(expected, before);
    }

private:
    SharedParticipant participant_;
    std::uint32_t index_;
};

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_SHARED_HPP */
