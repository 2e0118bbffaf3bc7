/*
 * datablock/errors.hpp - a type for each status
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include.
 */
#ifndef DATABLOCK_PART_ERRORS_HPP
#define DATABLOCK_PART_ERRORS_HPP

#include "../datablock_inline.h"
#include "detail/compiler.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace datablock {

/* The timeout that waits for ever. */
inline constexpr std::int64_t for_ever = -1;

#if defined(__clang__) /* a header alone has no source file for their vtables */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wweak-vtables"
#endif

/*
 * Base of all errors of this header. what() is the library's sentence about the error, or the text
 * of the status if the library has none.
 */
class DATABLOCK_HPP_EXCEPTION exception : public std::runtime_error {
public:
    exception(datablock_status status, const std::string &detail)
        : std::runtime_error(detail.empty() ? datablock_strerror(status) : detail),
          status_(status) {}
    datablock_status status() const noexcept { return status_; }

private:
    datablock_status status_;
};

/* The time ran out: no new message, or no free capacity for one. Call again. */
class DATABLOCK_HPP_EXCEPTION timeout_error : public exception {
public:
    explicit timeout_error(const std::string &detail, datablock_status status = DATABLOCK_E_TIMEOUT)
        : exception(status, detail) {}
};

/*
 * One type for each status but OK and TIMEOUT. datablock.h and docs/errors.md define the meaning of
 * each.
 */
namespace error {

/*
 * The time ran out, and no process has the block open for writing. Call again: a restarted producer
 * continues where the old producer stopped.
 */
class DATABLOCK_HPP_EXCEPTION no_producer : public timeout_error {
public:
    explicit no_producer(const std::string &detail)
        : timeout_error(detail, DATABLOCK_E_NO_PRODUCER) {}
};

#define DATABLOCK_HPP_ERROR(type, status)                                                          \
    class DATABLOCK_HPP_EXCEPTION type : public exception {                                        \
    public:                                                                                        \
        explicit type(const std::string &detail) : exception(status, detail) {}                    \
    }

DATABLOCK_HPP_ERROR(invalid, DATABLOCK_E_INVALID);
DATABLOCK_HPP_ERROR(not_found, DATABLOCK_E_NOT_FOUND);
DATABLOCK_HPP_ERROR(exists, DATABLOCK_E_EXISTS);
DATABLOCK_HPP_ERROR(producer_active, DATABLOCK_E_PRODUCER_ACTIVE);
DATABLOCK_HPP_ERROR(access, DATABLOCK_E_ACCESS);
DATABLOCK_HPP_ERROR(secret, DATABLOCK_E_SECRET);
DATABLOCK_HPP_ERROR(corrupt, DATABLOCK_E_CORRUPT);
DATABLOCK_HPP_ERROR(version, DATABLOCK_E_VERSION);
DATABLOCK_HPP_ERROR(geometry, DATABLOCK_E_GEOMETRY);
DATABLOCK_HPP_ERROR(schema, DATABLOCK_E_SCHEMA);
DATABLOCK_HPP_ERROR(no_space, DATABLOCK_E_NO_SPACE);
DATABLOCK_HPP_ERROR(full, DATABLOCK_E_FULL);
DATABLOCK_HPP_ERROR(busy, DATABLOCK_E_BUSY);
DATABLOCK_HPP_ERROR(closed, DATABLOCK_E_CLOSED);
DATABLOCK_HPP_ERROR(superseded, DATABLOCK_E_SUPERSEDED);
DATABLOCK_HPP_ERROR(fenced, DATABLOCK_E_FENCED);
DATABLOCK_HPP_ERROR(overrun, DATABLOCK_E_OVERRUN);
DATABLOCK_HPP_ERROR(lost, DATABLOCK_E_LOST);
DATABLOCK_HPP_ERROR(no_spare, DATABLOCK_E_NO_SPARE);
DATABLOCK_HPP_ERROR(checksum, DATABLOCK_E_CHECKSUM);
DATABLOCK_HPP_ERROR(forked, DATABLOCK_E_FORKED);
DATABLOCK_HPP_ERROR(handle, DATABLOCK_E_HANDLE);
DATABLOCK_HPP_ERROR(system, DATABLOCK_E_SYSTEM);
DATABLOCK_HPP_ERROR(panic, DATABLOCK_E_PANIC);
#undef DATABLOCK_HPP_ERROR

} // namespace error

/*
 * Thrown by write_batch. The nested exception (std::rethrow_if_nested) is the error of the first
 * message that was not published.
 */
class DATABLOCK_HPP_EXCEPTION batch_error : public std::runtime_error {
public:
    batch_error(const char *what, std::size_t written)
        : std::runtime_error(what), written_(written) {}
    /* How many messages were published before the error. */
    std::size_t written() const noexcept { return written_; }

private:
    std::size_t written_;
};

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

/*
 * Throws the type of a status. A status that this header does not know is thrown as
 * datablock::exception.
 */
[[noreturn]] DATABLOCK_HPP_COLD inline void raise(datablock_status status,
                                                  const std::string &detail) {
    switch (static_cast<int>(status)) {
    case DATABLOCK_E_TIMEOUT: throw timeout_error(detail);
    case DATABLOCK_E_INVALID: throw error::invalid(detail);
    case DATABLOCK_E_NOT_FOUND: throw error::not_found(detail);
    case DATABLOCK_E_EXISTS: throw error::exists(detail);
    case DATABLOCK_E_PRODUCER_ACTIVE: throw error::producer_active(detail);
    case DATABLOCK_E_ACCESS: throw error::access(detail);
    case DATABLOCK_E_SECRET: throw error::secret(detail);
    case DATABLOCK_E_CORRUPT: throw error::corrupt(detail);
    case DATABLOCK_E_VERSION: throw error::version(detail);
    case DATABLOCK_E_GEOMETRY: throw error::geometry(detail);
    case DATABLOCK_E_SCHEMA: throw error::schema(detail);
    case DATABLOCK_E_NO_SPACE: throw error::no_space(detail);
    case DATABLOCK_E_FULL: throw error::full(detail);
    case DATABLOCK_E_BUSY: throw error::busy(detail);
    case DATABLOCK_E_CLOSED: throw error::closed(detail);
    case DATABLOCK_E_SUPERSEDED: throw error::superseded(detail);
    case DATABLOCK_E_FENCED: throw error::fenced(detail);
    case DATABLOCK_E_OVERRUN: throw error::overrun(detail);
    case DATABLOCK_E_LOST: throw error::lost(detail);
    case DATABLOCK_E_NO_PRODUCER: throw error::no_producer(detail);
    case DATABLOCK_E_NO_SPARE: throw error::no_spare(detail);
    case DATABLOCK_E_CHECKSUM: throw error::checksum(detail);
    case DATABLOCK_E_FORKED: throw error::forked(detail);
    case DATABLOCK_E_HANDLE: throw error::handle(detail);
    case DATABLOCK_E_SYSTEM: throw error::system(detail);
    case DATABLOCK_E_PANIC: throw error::panic(detail);
    default: throw exception(status, detail);
    }
}

namespace detail {

[[noreturn]] DATABLOCK_HPP_COLD inline void raise_last(datablock_status status) {
    raise(status, datablock_error_detail());
}

} // namespace detail

/*
 * Throws the error of this thread's last call of the library, unless the call succeeded. Also for
 * calls of datablock.h that have no form here.
 */
DATABLOCK_HPP_HOT inline void check(datablock_status status) {
    if (!DATABLOCK_HPP_LIKELY(status == DATABLOCK_OK)) {
        detail::raise_last(status);
    }
}

namespace detail {

[[noreturn]] DATABLOCK_HPP_COLD inline void goes_on(const char *what, const std::string &text,
                                                    const char *advice) {
    raise(DATABLOCK_E_INVALID, "the " + std::string(what) + " \"" + text.c_str() +
                                   "\" goes on after a zero byte" + advice);
}

/* A text for C. C would take a text with a zero byte inside for a shorter one. */
inline const char *text_for_c(const char *what, const std::string &text, const char *advice = "") {
    if (text.find('\0') != std::string::npos) {
        goes_on(what, text, advice);
    }
    return text.c_str();
}
inline const char *name_for_c(const std::string &name) {
    return text_for_c("name", name, ": names are at most 200 of letters, digits, '.', '_', '-'");
}

[[noreturn]] DATABLOCK_HPP_COLD inline void misfit(std::size_t have, std::size_t want,
                                                   const void *data, std::size_t alignment) {
    if (have < want) {
        raise(DATABLOCK_E_INVALID,
              "there are " + std::to_string(have) + " bytes, and the type has " +
                  std::to_string(want) +
                  ": use the type that was written, or create the block with a larger slot_size");
    }
    raise(DATABLOCK_E_INVALID, "the payload at " +
                                   std::to_string(reinterpret_cast<std::uintptr_t>(data)) +
                                   " is not aligned to the type's " + std::to_string(alignment) +
                                   " bytes: create the block with that alignment");
}

template <typename T> void check_type() {
    static_assert(std::is_trivially_copyable_v<T>,
                  "a message is bytes for other processes: its type must be trivially copyable");
    static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_reference_v<T>,
                  "a pointer means nothing to another process");
}

/* `data` as a T. Errors: invalid. */
template <typename T, typename Void> T &view(Void *data, std::size_t size) {
    check_type<std::remove_const_t<T>>();
    if (!DATABLOCK_HPP_LIKELY(size >= sizeof(T) &&
                              reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0)) {
        misfit(size, sizeof(T), data, alignof(T));
    }
    return *static_cast<T *>(data);
}

/* A wait without a result, with a producer or without. */
inline bool is_timeout(datablock_status status) noexcept {
    return status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER;
}

[[noreturn]] DATABLOCK_HPP_COLD inline void too_long(std::size_t length, std::size_t capacity) {
    raise(DATABLOCK_E_INVALID, "a length of " + std::to_string(length) + " exceeds the slot's " +
                                   std::to_string(capacity) + " bytes: nothing is published");
}

[[noreturn]] DATABLOCK_HPP_COLD inline void ended() {
    raise(DATABLOCK_E_INVALID,
          "the guard holds nothing: it was committed, aborted, moved from, or never begun");
}

} // namespace detail

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_ERRORS_HPP */
