/*
 * datablock.hpp - crash-safe, zero-copy data exchange in shared memory, in C++
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * OVERVIEW
 *
 * C++17 with exceptions, header only, over the inline functions of datablock_inline.h. With a
 * compiler that the inline functions do not support, over the exported functions of datablock.h.
 * datablock.h is the specification of everything that this header does not define. Owners close
 * what they opened. Transactions give back what they claimed or hold, however a program leaves
 * them. A status other than success is an exception. Nothing is allocated for a message.
 *
 * The producer:
 *
 *     #include <datablock.hpp>
 *
 *     datablock::Producer producer("camera",
 *         datablock::Config(datablock::Policy::ring).slot_count(8).slot_size(4096));
 *
 *     datablock::with_write_transaction(producer, -1, [&](datablock::WriteSlot &slot) {
 *         std::memcpy(slot.data(), frame, n);
 *         slot.commit(n);
 *     });
 *
 * A consumer:
 *
 *     auto consumer = datablock::find_datablock_consumer("camera");
 *     if (!consumer) {
 *         return; // there is no such block yet
 *     }
 *     for (const datablock::ReadSlot &slot : *consumer) {
 *         use(slot.data(), slot.size());
 *     } // ends when the producer has closed, and everything is read
 *
 *     auto mean = datablock::with_next_slot(*consumer, 100,
 *         [](const datablock::ReadSlot &slot) { return mean_of(slot); });
 *     // empty if there was no message within 100 ms
 *
 * RULES THAT HOLD EVERYWHERE
 *
 *  - Timeouts are milliseconds. 0 does not wait, -1 (datablock::for_ever) waits for ever, and a
 *    positive number is the longest wait. Any other negative number is error::invalid.
 *  - A status other than DATABLOCK_OK is thrown: TIMEOUT as datablock::timeout_error, each other
 *    status as its own type in datablock::error. All these types derive from datablock::exception.
 *    A program decides by status(). what() is the sentence of datablock_error_detail():
 *    informational, with the values and what to do. Where a function lists its errors, they are
 *    these types. Any function of a closed or moved-from object throws error::handle, and any
 *    function in a forked child throws error::forked.
 *  - A transaction publishes, or counts as good, only if the program leaves it in the ordinary way.
 *    A transaction that is left by an exception publishes nothing, and the exception arrives
 *    unchanged.
 *  - A producer, a consumer, and the objects made from them belong to one thread at a time, as in
 *    C. Only close() may be called from another thread, and ends a wait. Different objects are
 *    independent.
 *  - Views (WriteSlot, ReadSlot, the results of data(), bytes(), text() and as()) point into the
 *    block. They are valid until the transaction, the guard, or the iterator's step ends. To read
 *    through a view afterwards is to read through a dangling pointer.
 *  - A close() from another thread does not wait for the use of a view, and unmaps the view's
 *    memory. Producer::write and write_bytes, TypedProducer::send, write_batch, Consumer::next and
 *    try_next, and Observer copy inside the call, and close() waits for that call. These functions
 *    may run while another thread closes.
 *  - Guards and iterators may outlive the Producer or Consumer, and may be used after that object
 *    was moved. When that object is destroyed, they are harmless and hold nothing.
 *
 * CAVEATS
 *
 *  - Those of datablock.h.
 *  - pthread_cancel and pthread_exit unwind the stack without an exception that C++ counts.
 *    with_write_transaction then publishes nothing. A WriteTransactionGuard cannot detect this
 *    unwinding, and publishes. longjmp over a transaction leaves the transaction open.
 *  - Messages are bytes that another process wrote. Typed forms check size and alignment, not the
 *    values: a bool or an enum may have any value.
 */
#ifndef DATABLOCK_HPP
#define DATABLOCK_HPP

#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "datablock.hpp needs C++17: compile with -std=c++17 or later, or use datablock.h"
#elif !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "datablock.hpp needs exceptions: compile without -fno-exceptions, or use datablock_inline.h, \
which has the same functions and returns statuses"
#else
#define DATABLOCK_HAS_HPP 1

#include "datablock_inline.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__has_include)
#if __has_include(<span>)
#include <span>
#endif
#endif

#if defined(__GNUC__)
#define DATABLOCK_HPP_COLD __attribute__((noinline, cold))
/* the parts are inline, too: the compiler would judge the whole too large */
#define DATABLOCK_HPP_HOT __attribute__((always_inline))
/* one type in the whole program, whatever -fvisibility is */
#define DATABLOCK_HPP_EXCEPTION __attribute__((visibility("default")))
#define DATABLOCK_HPP_LIKELY(x) __builtin_expect(!!(x), 1)
#else
#define DATABLOCK_HPP_COLD
#define DATABLOCK_HPP_HOT
#define DATABLOCK_HPP_EXCEPTION
#define DATABLOCK_HPP_LIKELY(x) (x)
#endif

namespace datablock {

/* The timeout that waits for ever. */
inline constexpr std::int64_t for_ever = -1;

/* ---- Errors ---------------------------------------------------------------------------------- */

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
        : std::runtime_error(detail.empty() ? datablock_strerror(status) : detail), status_(status) {}
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
    explicit no_producer(const std::string &detail) : timeout_error(detail, DATABLOCK_E_NO_PRODUCER) {}
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
    batch_error(const char *what, std::size_t written) : std::runtime_error(what), written_(written) {}
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
[[noreturn]] DATABLOCK_HPP_COLD inline void raise(datablock_status status, const std::string &detail) {
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

[[noreturn]] DATABLOCK_HPP_COLD inline void goes_on(const char *what, const std::string &text, const char *advice) {
    raise(DATABLOCK_E_INVALID,
          "the " + std::string(what) + " \"" + text.c_str() + "\" goes on after a zero byte" + advice);
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

[[noreturn]] DATABLOCK_HPP_COLD inline void misfit(std::size_t have, std::size_t want, const void *data,
                                                   std::size_t alignment) {
    if (have < want) {
        raise(DATABLOCK_E_INVALID, "there are " + std::to_string(have) + " bytes, and the type has " +
                                       std::to_string(want) +
                                       ": use the type that was written, or create the block with a larger slot_size");
    }
    raise(DATABLOCK_E_INVALID, "the payload at " + std::to_string(reinterpret_cast<std::uintptr_t>(data)) +
                                   " is not aligned to the type's " +
                                   std::to_string(alignment) + " bytes: create the block with that alignment");
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
    if (!DATABLOCK_HPP_LIKELY(size >= sizeof(T) && reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0)) {
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
    raise(DATABLOCK_E_INVALID, "the guard holds nothing: it was committed, aborted, moved from, or never begun");
}

} // namespace detail

/* ---- Configuration --------------------------------------------------------------------------- */

/* How many messages a block keeps, and the default delivery of its consumers. */
enum class Policy { single = DATABLOCK_SINGLE, double_buffer = DATABLOCK_DOUBLE_BUFFER, ring = DATABLOCK_RING };
enum class Checksum {
    none = DATABLOCK_CHECKSUM_NONE,
    manual = DATABLOCK_CHECKSUM_MANUAL,
    enforced = DATABLOCK_CHECKSUM_ENFORCED
};
enum class Delivery {
    by_policy = DATABLOCK_DELIVERY_DEFAULT,
    lossless = DATABLOCK_LOSSLESS, /* every message, in order; applies backpressure to the producer */
    ordered = DATABLOCK_ORDERED,   /* in order; skips when lapped, and counts the skipped messages */
    latest = DATABLOCK_LATEST      /* the newest */
};
enum class Start { latest = DATABLOCK_START_LATEST, oldest = DATABLOCK_START_OLDEST };

/* How closely a consumer's schema must match the block's. */
enum class SchemaMode { compatible = DATABLOCK_SCHEMA_COMPATIBLE, exact = DATABLOCK_SCHEMA_EXACT };

/*
 * What the bytes of a struct mean: see datablock_schema in datablock.h. A copy refers to the same
 * schema, which is immutable. Any thread.
 */
class Schema {
public:
    /*
     * From the text form, which docs/schema.md describes. Errors: invalid (with line and column).
     */
    static Schema parse(const std::string &text) {
        datablock_schema schema;
        check(datablock_schema_parse(detail::text_for_c("schema", text), &schema));
        return Schema(schema);
    }
    /*
     * Of a block, read-only, also without a producer.
     * Errors: schema (the block has none), not_found, access, corrupt, version, system, invalid.
     */
    static Schema of_block(const std::string &name) {
        datablock_schema schema;
        check(datablock_schema_of_block(detail::name_for_c(name), &schema));
        return Schema(schema);
    }
    /*
     * The newest schema that a reference such as "SensorReading@2.1" names in a registry, which is
     * a directory; empty: the default registry. Errors: invalid, not_found, access, system.
     */
    static Schema lookup(const std::string &reference, const std::string &registry = {}) {
        datablock_schema schema;
        check(datablock_schema_lookup(detail::text_for_c("reference", reference),
                                      registry.empty() ? nullptr : detail::text_for_c("registry", registry), &schema));
        return Schema(schema);
    }
    /*
     * Adds the schema to a registry. To add the same schema again does nothing.
     * Errors: invalid (the schema has no version), schema (the schema breaks the version rules),
     * access, system.
     */
    void enroll(const std::string &registry = {}) const {
        check(datablock_schema_register(schema_.get(),
                                        registry.empty() ? nullptr : detail::text_for_c("registry", registry)));
    }
    /* Of a block's flexible zone. Errors: as of_block. */
    static Schema of_zone(const std::string &name) {
        datablock_schema schema;
        check(datablock_zone_schema_of_block(detail::name_for_c(name), &schema));
        return Schema(schema);
    }
    /* Of a struct that DATABLOCK_DESCRIBE, in datablock_schema.hpp, describes. */
    template <typename T> static Schema of();

    /* The one line that the hash is made of. */
    std::string_view canonical() const noexcept { return schema_->canonical; }
    const std::uint8_t (&hash() const noexcept)[32] { return schema_->hash; }
    std::uint64_t size() const noexcept { return schema_->bytes; }
    std::uint32_t alignment() const noexcept { return schema_->alignment; }
    std::uint32_t major_version() const noexcept { return schema_->major; }
    std::uint32_t minor_version() const noexcept { return schema_->minor; }
    std::uint32_t patch_version() const noexcept { return schema_->patch; }

    /*
     * Checks whether a consumer that expects `consumer` can read the messages of a producer with
     * this schema. Errors: schema (the consumer cannot; every field that differs, with both sides).
     */
    void check_consumer(const Schema &consumer, SchemaMode mode = SchemaMode::compatible) const {
        check(datablock_schema_check(schema_.get(), consumer.schema_.get(), static_cast<datablock_schema_mode>(mode)));
    }

    friend bool operator==(const Schema &a, const Schema &b) noexcept { return a.canonical() == b.canonical(); }
    friend bool operator!=(const Schema &a, const Schema &b) noexcept { return !(a == b); }

    /* For functions of datablock.h. Valid as long as any copy of this object. */
    const datablock_schema *for_c() const noexcept { return schema_.get(); }

private:
    friend class Consumer;
    friend class Observer;
    explicit Schema(datablock_schema schema) : schema_(take(schema)) {}
    static std::shared_ptr<const datablock_schema> take(datablock_schema schema) {
        struct Owner {
            datablock_schema schema;
            ~Owner() { datablock_schema_free(&schema); }
        };
        Owner first{schema}; /* until the shared owner has the schema */
        auto owner = std::make_shared<Owner>();
        std::swap(owner->schema, first.schema);
        return {owner, &owner->schema};
    }

    std::shared_ptr<const datablock_schema> schema_;
};

/*
 * datablock_config, which defines each setting, with owned strings. Every setter returns *this:
 *
 *     Config(Policy::ring).slot_count(64).slot_size(4096)
 *     Config::of<Sample>(Policy::single)
 */
class Config {
public:
    /* The defaults of the policy. slot_size has no default. */
    explicit Config(Policy policy = Policy::ring) {
        check(datablock_config_init(&config_, static_cast<datablock_policy>(policy)));
    }

    /* A block whose messages are a T each: slot_size and alignment are those of T. */
    template <typename T> static Config of(Policy policy = Policy::ring) {
        detail::check_type<T>();
        return Config(policy)
            .slot_size(sizeof(T))
            .alignment(alignof(T) > 64 ? static_cast<std::uint32_t>(alignof(T)) : 64);
    }

    Config &slot_count(std::uint32_t messages) { return set(config_.slot_count, messages); }
    Config &spare_slots(std::uint32_t slots) { return set(config_.spare_slots, slots); }
    Config &alignment(std::uint32_t bytes) { return set(config_.alignment, bytes); }
    Config &slot_size(std::uint64_t bytes) { return set(config_.slot_size, bytes); }
    Config &consumer_limit(std::uint32_t consumers) { return set(config_.consumer_limit, consumers); }
    Config &min_consumers(std::uint32_t consumers) { return set(config_.min_consumers, consumers); }
    Config &mode(std::uint32_t permissions) { return set(config_.mode, permissions); }
    Config &checksum(Checksum checksum) { return set(config_.checksum, static_cast<std::uint32_t>(checksum)); }
    Config &zone_size(std::uint64_t bytes) { return set(config_.zone_size, bytes); }
    Config &retention_ms(std::uint64_t milliseconds) { return set(config_.retention_ms, milliseconds); }
    /* The type of a message. Unless slot_size is set, slot_size is the schema's size. */
    Config &schema(Schema schema) { return set(schema_, std::optional<Schema>(std::move(schema))); }
    /*
     * The schema by a reference to the registry, "SensorReading@2.1". If a schema is set as well,
     * also by a TypedProducer, both must be the same. The registry: as in Schema::lookup.
     */
    Config &registered(std::string reference, std::string registry = {}) {
        registry_ = std::move(registry);
        return set(registered_, std::optional<std::string>(std::move(reference)));
    }
    /* The type of the flexible zone; zone_size is then at least its size. */
    Config &zone_schema(Schema schema) { return set(zone_schema_, std::optional<Schema>(std::move(schema))); }
    Config &directory(std::string path) { return set(directory_, std::optional<std::string>(std::move(path))); }
    Config &secret(std::string bytes) { return set(secret_, std::move(bytes)); }

    /* Whether consumers may apply backpressure. A ring allows that unless this setting is false. */
    Config &allow_lossless(bool on = true) {
        flag(DATABLOCK_FLAG_FORBID_LOSSLESS, !on && config_.policy == DATABLOCK_RING);
        return flag(DATABLOCK_FLAG_ALLOW_LOSSLESS, on);
    }
    Config &replace(bool on = true) { return flag(DATABLOCK_FLAG_REPLACE, on); }
    /* With replace: also while a producer holds the block, and that producer is fenced. */
    Config &force(bool on = true) { return flag(DATABLOCK_FLAG_FORCE, on); }
    Config &unlink_on_close(bool on = true) { return flag(DATABLOCK_FLAG_UNLINK_ON_CLOSE, on); }
    Config &timestamps(bool on = true) { return flag(DATABLOCK_FLAG_TIMESTAMP, on); }

    /*
     * For functions of datablock.h. The result points into this Config. Errors: invalid (a zero
     * byte in the directory).
     */
    datablock_config for_c() const {
        datablock_config config = config_;
        config.directory = directory_ ? detail::text_for_c("directory", *directory_) : nullptr;
        config.secret = secret_.empty() ? nullptr : secret_.data();
        config.secret_length = secret_.size();
        config.schema = schema_ ? schema_->for_c() : nullptr;
        config.zone_schema = zone_schema_ ? zone_schema_->for_c() : nullptr;
        config.registered = registered_ ? detail::text_for_c("reference", *registered_) : nullptr;
        config.registry = registry_.empty() ? nullptr : detail::text_for_c("registry", registry_);
        return config;
    }

private:
    template <typename T> Config &set(T &field, T value) {
        field = std::move(value);
        return *this;
    }
    Config &flag(std::uint32_t flag, bool on) {
        config_.flags = on ? config_.flags | flag : config_.flags & ~flag;
        return *this;
    }

    datablock_config config_{};
    std::optional<std::string> directory_, registered_;
    std::optional<Schema> schema_, zone_schema_;
    std::string secret_, registry_;
};

/* datablock_consumer_options, which defines each setting, with owned strings. */
class ConsumerOptions {
public:
    ConsumerOptions() { check(datablock_consumer_options_init(&options_)); }

    ConsumerOptions &delivery(Delivery delivery) {
        return set(options_.delivery, static_cast<std::uint32_t>(delivery));
    }
    ConsumerOptions &start(Start start) { return set(options_.start, static_cast<std::uint32_t>(start)); }
    /*
     * Messages held at once. Each of several nested transactions needs one. For a LOSSLESS
     * consumer, a transaction that ends before an older one keeps its pin until the older one has
     * ended.
     */
    ConsumerOptions &max_pins(std::uint32_t slots) { return set(options_.max_pins, slots); }
    /* The type of a message that this consumer expects. */
    ConsumerOptions &schema(Schema schema, SchemaMode mode = SchemaMode::compatible) {
        options_.schema_mode = static_cast<std::uint32_t>(mode);
        return set(schema_, std::optional<Schema>(std::move(schema)));
    }
    /* As in Config. The mode is that of `schema`. */
    ConsumerOptions &registered(std::string reference, std::string registry = {}) {
        registry_ = std::move(registry);
        return set(registered_, std::optional<std::string>(std::move(reference)));
    }
    /* The expected type of the flexible zone, in the mode of `schema`. */
    ConsumerOptions &zone_schema(Schema schema) { return set(zone_schema_, std::optional<Schema>(std::move(schema))); }
    ConsumerOptions &name(std::string name) { return set(name_, std::optional<std::string>(std::move(name))); }
    /* Keeps cursor and row under that name when this consumer dies, and continues there. */
    ConsumerOptions &durable(std::string under) {
        options_.durable = 1;
        return name(std::move(under));
    }
    ConsumerOptions &directory(std::string path) {
        return set(directory_, std::optional<std::string>(std::move(path)));
    }
    ConsumerOptions &secret(std::string bytes) { return set(secret_, std::move(bytes)); }
    /*
     * How long the opening of a Consumer waits for a block that does not exist yet: 0 (the
     * default), -1 (for ever), or milliseconds.
     */
    ConsumerOptions &wait_ms(std::int64_t milliseconds) { return set(options_.wait_ms, milliseconds); }

    /*
     * For functions of datablock.h. The result points into these options. Errors: invalid (a zero
     * byte in a name).
     */
    datablock_consumer_options for_c() const {
        datablock_consumer_options options = options_;
        options.name = name_ ? detail::name_for_c(*name_) : nullptr;
        options.directory = directory_ ? detail::text_for_c("directory", *directory_) : nullptr;
        options.secret = secret_.empty() ? nullptr : secret_.data();
        options.secret_length = secret_.size();
        options.schema = schema_ ? schema_->for_c() : nullptr;
        options.zone_schema = zone_schema_ ? zone_schema_->for_c() : nullptr;
        options.registered = registered_ ? detail::text_for_c("reference", *registered_) : nullptr;
        options.registry = registry_.empty() ? nullptr : detail::text_for_c("registry", registry_);
        return options;
    }

private:
    template <typename T> ConsumerOptions &set(T &field, T value) {
        field = std::move(value);
        return *this;
    }

    datablock_consumer_options options_{};
    std::optional<std::string> name_, directory_, registered_;
    std::optional<Schema> schema_, zone_schema_;
    std::string secret_, registry_;
};

/* ---- Slots ----------------------------------------------------------------------------------- */

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
    friend std::invoke_result_t<F, WriteSlot &> with_write_transaction(Producer &producer, std::int64_t timeout_ms,
                                                                       F &&f);
    WriteSlot(datablock_producer producer, datablock_write_slot *raw) noexcept
        : producer_(producer), raw_(raw), length_(raw->capacity) {}
    WriteSlot &operator=(const WriteSlot &) = default;

    datablock_producer producer_;
    datablock_write_slot *raw_; /* an object of its own, so that the compiler keeps the rest in registers */
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
    std::string_view text() const noexcept { return {static_cast<const char *>(slot_.data), slot_.length}; }

    /*
     * The beginning of the message as a T, trivially copyable. Errors: invalid (the message is
     * shorter than the type, or less aligned).
     */
    template <typename T> const T &as() const { return detail::view<const T>(slot_.data, slot_.length); }

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
    ReadSlot &operator=(const ReadSlot &) = default; /* the transaction releases the hold of its own view */

    datablock_consumer consumer_;
    datablock_read_slot slot_;
};

/* ---- Producer -------------------------------------------------------------------------------- */

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
    Producer(Producer &&other) noexcept : producer_(std::exchange(other.producer_, datablock_producer{})) {}
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
    std::uint64_t write_bytes(const void *bytes, std::size_t length, std::int64_t timeout_ms = for_ever);

private:
    void shut() noexcept {
        if (producer_.handle != 0) {
            (void)datablock_producer_close(producer_); /* refused, if the handle was closed */
        }
    }

    datablock_producer producer_{};
};

using DataBlockProducer = Producer;

/* ---- Consumer -------------------------------------------------------------------------------- */

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

    DATABLOCK_HPP_HOT static datablock_status begin(datablock_consumer consumer, std::int64_t timeout_ms,
                                                    ReadSlot &out) noexcept {
        out.consumer_ = consumer;
        return datablock_read_begin(consumer, timeout_ms, &out.slot_);
    }
    static datablock_status begin_at(datablock_consumer consumer, std::uint64_t id, std::int64_t timeout_ms,
                                     ReadSlot &out) noexcept {
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

    DATABLOCK_HPP_COLD datablock_status settle(datablock_consumer consumer, const datablock_read_slot &slot,
                                               datablock_status status) noexcept {
        if (status == DATABLOCK_E_INVALID && waiting < sizeof late / sizeof late[0]) {
            late[waiting++] = slot;
            return DATABLOCK_OK;
        }
        for (std::uint32_t i = 0; status == DATABLOCK_OK && i < waiting;) { /* after an error its detail must stay */
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
    datablock_status begin(datablock_consumer consumer, Reader *reader, std::int64_t timeout_ms) noexcept {
        return began(reader, Reader::begin(consumer, timeout_ms, slot_));
    }
    datablock_status begin_at(datablock_consumer consumer, Reader *reader, std::uint64_t id, std::int64_t timeout_ms) {
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
    explicit Consumer(const std::string &name, const ConsumerOptions &options = {})  {
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

    /* For loops: begin() waits for the first message, for ever. */
    DataBlockSlotIterator begin();
    DataBlockSlotEnd end() const noexcept { return {}; }

    /*
     * The messages until none comes within the timeout, or the stream ends; 0: the messages that
     * are there already. The range refers to this consumer.
     */
    DataBlockSlotRange slots(std::int64_t timeout_ms);

private:
    friend class ReadTransactionGuard;
    friend class DataBlockSlotIterator;
    template <typename F>
    friend detail::NextResult<F> with_next_slot(Consumer &consumer, std::int64_t timeout_ms, F &&f);
    template <typename F>
    friend std::invoke_result_t<F, ReadSlot &> with_read_transaction(Consumer &consumer, std::uint64_t slot_id,
                                                                     std::int64_t timeout_ms, F &&f);

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
inline std::optional<Consumer> find_datablock_consumer(const std::string &name, const ConsumerOptions &options = {}) {
    try {
        return std::optional<Consumer>(std::in_place, name, options);
    } catch (const error::not_found &) {
        return std::nullopt;
    } catch (const timeout_error &) {
        return std::nullopt;
    }
}

/* ---- Write transactions ---------------------------------------------------------------------- */

namespace detail {

/* The end of the claim that belongs to a slot. */
class Claim {
public:
    explicit Claim(WriteSlot &slot) noexcept : slot_(&slot) {}

    WriteSlot &slot() const noexcept { return *slot_; }
    DATABLOCK_HPP_HOT void finish() const {
        datablock_status status = datablock_write_commit(slot_->producer_, slot_->raw_, slot_->length_);
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
    DATABLOCK_HPP_COLD static void give_back(datablock_producer producer, const datablock_write_slot *raw) noexcept {
        (void)datablock_write_abort(producer, raw); /* refused, if a fence or a close has ended the claim */
    }
    [[noreturn]] DATABLOCK_HPP_COLD static void refuse(datablock_producer producer, const datablock_write_slot *raw,
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
std::invoke_result_t<F, WriteSlot &> with_write_transaction(Producer &producer, std::int64_t timeout_ms, F &&f) {
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
    WriteTransactionGuard(WriteTransactionGuard &&other) noexcept : exceptions_(other.exceptions_) { take(other); }
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

template <typename T> std::uint64_t Producer::write(const T &value, std::int64_t timeout_ms) {
    static_assert(!std::is_array_v<T> && !std::is_same_v<T, std::string_view>,
                  "use write_bytes: this would write the terminating zero, or a pointer");
    detail::check_type<T>();
    return write_bytes(&value, sizeof value, timeout_ms);
}

inline std::uint64_t Producer::write_bytes(const void *bytes, std::size_t length, std::int64_t timeout_ms) {
    std::uint64_t id = 0;
    check(datablock_write(producer_, timeout_ms, bytes, length, &id));
    return id;
}

/* ---- Read transactions ----------------------------------------------------------------------- */

namespace detail {

/* The common end of both forms of with_next_slot. */
template <typename F>
NextResult<F> next_slot(datablock_consumer consumer, Reader *reader, std::int64_t timeout_ms, F &&f) {
    using R = std::invoke_result_t<F, ReadSlot &>;
    static_assert(!std::is_reference_v<R>,
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
    return detail::transact<F, ReadSlot>(std::forward<F>(f), detail::Holding(consumer.reader_, slot));
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
template <typename F> detail::NextResult<F> with_next_slot(Consumer &consumer, std::int64_t timeout_ms, F &&f) {
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
        datablock_status status = guard.hold_.begin(consumer.consumer_, consumer.reader_, timeout_ms);
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

/* ---- Iteration ------------------------------------------------------------------------------- */

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
        : consumer_(consumer.consumer_), reader_(detail::Reader::share(consumer.reader_)), timeout_ms_(timeout_ms) {}
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

    friend bool operator==(const DataBlockSlotIterator &at, DataBlockSlotEnd) noexcept { return !at; }
    friend bool operator!=(const DataBlockSlotIterator &at, DataBlockSlotEnd) noexcept { return static_cast<bool>(at); }
    friend bool operator==(DataBlockSlotEnd, const DataBlockSlotIterator &at) noexcept { return !at; }
    friend bool operator!=(DataBlockSlotEnd, const DataBlockSlotIterator &at) noexcept { return static_cast<bool>(at); }

private:
    template <typename F>
    friend detail::NextResult<F> with_next_slot(DataBlockSlotIterator &iterator, std::int64_t timeout_ms, F &&f);

    datablock_consumer consumer_;
    detail::Reader *reader_;
    std::int64_t timeout_ms_;
    detail::Hold hold_;
};

/* The same on an iterator, with this call's timeout. */
template <typename F>
detail::NextResult<F> with_next_slot(DataBlockSlotIterator &iterator, std::int64_t timeout_ms, F &&f) {
    iterator.hold_.finish();
    return detail::next_slot(iterator.consumer_, iterator.reader_, timeout_ms, std::forward<F>(f));
}

class DataBlockSlotRange {
public:
    DataBlockSlotRange(Consumer &consumer, std::int64_t timeout_ms) noexcept
        : consumer_(&consumer), timeout_ms_(timeout_ms) {}
    /* Waits for the first message. */
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

namespace detail {

/*
 * Copies the next message into the memory of a T. A longer message is cut off. A shorter message
 * counts as read, too, and throws.
 */
template <typename T> datablock_status copy_next(datablock_consumer consumer, std::int64_t timeout_ms, T *to) {
    check_type<T>();
    datablock_copied copied{};
    datablock_status status = datablock_read_copy(consumer, timeout_ms, DATABLOCK_COPY_CUT, to, sizeof(T), &copied);
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

#undef DATABLOCK_HPP_COLD
#undef DATABLOCK_HPP_HOT
#undef DATABLOCK_HPP_EXCEPTION
#undef DATABLOCK_HPP_LIKELY

#include "datablock_batch.hpp"
#include "datablock_observer.hpp"
#include "datablock_recovery.hpp"
#include "datablock_schema.hpp"
#include "datablock_shared.hpp"
#include "datablock_wait.hpp"

#endif /* compiler */
#endif /* DATABLOCK_HPP */
