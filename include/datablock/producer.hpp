/*
 * datablock/producer.hpp - the writer of a block
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include.
 */
#ifndef DATABLOCK_PART_PRODUCER_HPP
#define DATABLOCK_PART_PRODUCER_HPP

#include "config.hpp"
#include "errors.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace datablock {

/*
 * Writes a block. Move-only; a moved-from producer is closed. Opening creates the block, or takes
 * over the existing block of that name and geometry.
 */
class Producer {
public:
    /*
     * A name, or an absolute path. Blocks briefly. Errors: invalid, producer_active, access,
     * secret, corrupt, version, geometry, schema, no_space, not_found (the directory, the
     * registered schema), system.
     */
    Producer(const std::string &name, const Config &config) {
        datablock_config c = config.for_c();
        check(datablock_producer_open(detail::name_for_c(name), &c, &producer_));
    }
    Producer(Producer &&other) noexcept
        : producer_(std::exchange(other.producer_, datablock_producer{})) {}
    Producer &operator=(Producer &&other) noexcept {
        if (this != &other) {
            shut();
            producer_ = std::exchange(other.producer_, datablock_producer{});
        }
        return *this;
    }
    /* Closes, as close() does, but reports no errors. */
    ~Producer() { shut(); }

    /*
     * Marks the end of the stream, aborts an open transaction and releases the block. Any thread: a
     * wait in another thread ends with error::closed. Errors: handle (closed already).
     */
    void close() { check(datablock_producer_close(producer_)); }

    /* The id of the next message: datablock_producer_next_id. Errors: busy, handle. */
    std::uint64_t next_id() const {
        std::uint64_t id = 0;
        check(datablock_producer_next_id(producer_, &id));
        return id;
    }

    /* For functions of datablock.h. This object closes the handle. */
    datablock_producer for_c() const noexcept { return producer_; }

    /*
     * Publishes a copy of `value`, which is trivially copyable, as a message: datablock_write.
     * Returns the message's id. Waits and errors: as with_write_transaction; also invalid (larger
     * than a slot).
     */
    template <typename T> std::uint64_t write(const T &value, std::int64_t timeout_ms = for_ever);

    /* The same for `length` bytes. */
    std::uint64_t write_bytes(const void *bytes, std::size_t length,
                              std::int64_t timeout_ms = for_ever);

private:
    void shut() noexcept {
        if (producer_.handle != 0) {
            (void)datablock_producer_close(producer_); /* refused, if the handle was closed */
        }
    }

    datablock_producer producer_{};
};

using DataBlockProducer = Producer;

template <typename T> std::uint64_t Producer::write(const T &value, std::int64_t timeout_ms) {
    static_assert(!std::is_array_v<T> && !std::is_same_v<T, std::string_view>,
                  "use write_bytes: this would write the terminating zero, or a pointer");
    detail::check_type<T>();
    return write_bytes(&value, sizeof value, timeout_ms);
}

inline std::uint64_t Producer::write_bytes(const void *bytes, std::size_t length,
                                           std::int64_t timeout_ms) {
    std::uint64_t id = 0;
    check(datablock_write(producer_, timeout_ms, bytes, length, &id));
    return id;
}

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_PRODUCER_HPP */
