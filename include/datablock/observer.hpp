/*
 * datablock/observer.hpp - observing a block without taking part, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     Observer observer("camera");
 *     std::vector<std::byte> frame(observer.newest().length());
 *     Observation seen = observer.newest(frame.data(), frame.size());
 *
 * Part of datablock.hpp.
 */
#ifndef DATABLOCK_PART_OBSERVER_HPP
#define DATABLOCK_PART_OBSERVER_HPP

#include "config.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace datablock {

/* Describes the message that was copied. */
class Observation {
public:
    std::uint64_t id() const noexcept { return seen_.id; }
    /* Bytes of the message, also when the buffer had room for fewer. */
    std::size_t length() const noexcept { return seen_.length; }
    /* Nanoseconds since 1970; 0 if the block does not stamp messages. */
    std::uint64_t timestamp_ns() const noexcept { return seen_.timestamp_ns; }
    /* The id of the message that is written next. */
    std::uint64_t next_id() const noexcept { return seen_.next_id; }
    /* The slot's number, as in the diagnosis. */
    std::uint32_t index() const noexcept { return seen_.index; }

private:
    friend class Observer;
    datablock_observation seen_{};
};

/*
 * Copies messages out of a block without being a participant. An observer applies no backpressure,
 * is not listed among the participants, and needs permission to read the data file only. An
 * observer looks at the block when the program calls, and never waits. Move-only; a moved-from
 * observer is closed. One thread at a time.
 */
class Observer {
public:
    /*
     * Opens an existing block, with or without a producer. Of the options the program may set
     * directory, secret, schema and registered.
     * Errors: invalid, not_found, access, secret, schema, corrupt, version, system.
     */
    explicit Observer(const std::string &name, const ConsumerOptions &options = {}) {
        datablock_consumer_options c = options.for_c();
        check(datablock_observer_open(detail::name_for_c(name), &c, &observer_));
    }
    Observer(Observer &&other) noexcept
        : observer_(std::exchange(other.observer_, datablock_observer{})) {}
    Observer &operator=(Observer &&other) noexcept {
        if (this != &other) {
            (void)datablock_observer_close(observer_);
            observer_ = std::exchange(other.observer_, datablock_observer{});
        }
        return *this;
    }
    /* refused, if the handle was closed */
    ~Observer() { (void)datablock_observer_close(observer_); }

    /* Errors: handle (closed already). */
    void close() { check(datablock_observer_close(observer_)); }

    /*
     * Copies the newest message that no operator discarded, up to `capacity` bytes. Without a
     * buffer the call describes the message only. `buffer` may have been written to, whatever the
     * result.
     * Errors: not_found (no message yet), overrun (the producer was faster at every attempt),
     * checksum, superseded (noticed within 100 ms: open again), corrupt, busy, handle.
     */
    Observation newest(void *buffer = nullptr, std::size_t capacity = 0) const {
        return at(DATABLOCK_NEWEST, buffer, capacity);
    }

    /*
     * The same for message `id`. Errors: also not_found (not written yet), overrun (overwritten,
     * perhaps during the copy), lost.
     */
    Observation at(std::uint64_t id, void *buffer = nullptr, std::size_t capacity = 0) const {
        Observation seen;
        check(datablock_observe(observer_, id, buffer, capacity, &seen.seen_));
        return seen;
    }

    /*
     * The schema of the messages, as the producer declared it. Errors: schema (the producer
     * declared none), corrupt, busy, handle.
     */
    Schema schema() const {
        datablock_schema schema;
        check(datablock_schema_of_observer(observer_, &schema));
        return Schema(schema);
    }

    /* For functions of datablock.h. This object closes the handle. */
    datablock_observer for_c() const noexcept { return observer_; }

private:
    datablock_observer observer_{};
};

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_OBSERVER_HPP */
