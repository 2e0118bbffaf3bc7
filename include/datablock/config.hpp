/*
 * datablock/config.hpp - policies, schemas, the options of a producer and of a consumer
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include.
 */
#ifndef DATABLOCK_PART_CONFIG_HPP
#define DATABLOCK_PART_CONFIG_HPP

#include "errors.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace datablock {

/* How many messages a block keeps, and the default delivery of its consumers. */
enum class Policy {
    single = DATABLOCK_SINGLE,
    double_buffer = DATABLOCK_DOUBLE_BUFFER,
    ring = DATABLOCK_RING
};
enum class Checksum {
    none = DATABLOCK_CHECKSUM_NONE,
    manual = DATABLOCK_CHECKSUM_MANUAL,
    enforced = DATABLOCK_CHECKSUM_ENFORCED
};
enum class Algorithm {
    by_default = DATABLOCK_ALGORITHM_DEFAULT,
    crc32c = DATABLOCK_ALGORITHM_CRC32C,
    blake2b = DATABLOCK_ALGORITHM_BLAKE2B
};
enum class Delivery {
    by_policy = DATABLOCK_DELIVERY_DEFAULT,
    /* every message, in order; applies backpressure to the producer */
    lossless = DATABLOCK_LOSSLESS,
    /* in order; skips when lapped, and counts the skipped messages */
    ordered = DATABLOCK_ORDERED,
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
        check(datablock_schema_lookup(
            detail::text_for_c("reference", reference),
            registry.empty() ? nullptr : detail::text_for_c("registry", registry), &schema));
        return Schema(schema);
    }
    /*
     * Adds the schema to a registry. To add the same schema again does nothing.
     * Errors: invalid (the schema has no version), schema (the schema breaks the version rules),
     * access, no_space, system.
     */
    void enroll(const std::string &registry = {}) const {
        check(datablock_schema_register(
            schema_.get(), registry.empty() ? nullptr : detail::text_for_c("registry", registry)));
    }
    /* Of a block's flexible zone. Errors: as of_block. */
    static Schema of_zone(const std::string &name) {
        datablock_schema schema;
        check(datablock_zone_schema_of_block(detail::name_for_c(name), &schema));
        return Schema(schema);
    }
    /*
     * Of a struct that DATABLOCK_DESCRIBE, in datablock_schema.hpp, describes. Errors: invalid (a
     * name that is none, members that overlap).
     */
    template <typename T> static Schema of();

    /* The one line that the hash is made of, and the hash. Valid as long as any copy of this. */
    std::string_view canonical() const noexcept { return schema_->canonical; }
    const std::uint8_t (&hash() const noexcept)[32] { return schema_->hash; }
    /* Of the struct, in bytes. */
    std::uint64_t size() const noexcept { return schema_->bytes; }
    std::uint32_t alignment() const noexcept { return schema_->alignment; }
    /* The version, which is no part of line and hash. */
    std::uint32_t major_version() const noexcept { return schema_->major; }
    std::uint32_t minor_version() const noexcept { return schema_->minor; }
    std::uint32_t patch_version() const noexcept { return schema_->patch; }

    /*
     * Checks whether a consumer that expects `consumer` can read the messages of a producer with
     * this schema. Errors: schema (the consumer cannot; every field that differs, with both sides).
     */
    void check_consumer(const Schema &consumer, SchemaMode mode = SchemaMode::compatible) const {
        check(datablock_schema_check(schema_.get(), consumer.schema_.get(),
                                     static_cast<datablock_schema_mode>(mode)));
    }

    friend bool operator==(const Schema &a, const Schema &b) noexcept {
        return a.canonical() == b.canonical();
    }
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
 * datablock_config, which defines each setting, with owned strings. Setters check nothing: a wrong
 * setting is an error of Producer. Every setter returns *this:
 *
 *     Config(Policy::ring).slot_count(64).slot_size(4096)
 *     Config::of<Sample>(Policy::single)
 */
class Config {
public:
    /* The defaults of the policy. slot_size has no default. Errors: invalid (no such policy). */
    explicit Config(Policy policy = Policy::ring) {
        check(datablock_config_init_sized(&config_, sizeof config_,
                                          static_cast<datablock_policy>(policy)));
    }

    /* A block whose messages are a T each: slot_size and alignment are those of T. */
    template <typename T> static Config of(Policy policy = Policy::ring) {
        detail::check_type<T>();
        return Config(policy).slot_size(sizeof(T)).alignment(
            alignof(T) > 64 ? static_cast<std::uint32_t>(alignof(T)) : 64);
    }

    Config &slot_count(std::uint32_t messages) { return set(config_.slot_count, messages); }
    Config &spare_slots(std::uint32_t slots) { return set(config_.spare_slots, slots); }
    Config &alignment(std::uint32_t bytes) { return set(config_.alignment, bytes); }
    Config &slot_size(std::uint64_t bytes) { return set(config_.slot_size, bytes); }
    Config &consumer_limit(std::uint32_t consumers) {
        return set(config_.consumer_limit, consumers);
    }
    Config &min_consumers(std::uint32_t consumers) { return set(config_.min_consumers, consumers); }
    Config &mode(std::uint32_t permissions) { return set(config_.mode, permissions); }
    Config &checksum(Checksum checksum) {
        return set(config_.checksum, static_cast<std::uint32_t>(checksum));
    }
    /* How the checksums are made. */
    Config &algorithm(Algorithm algorithm) {
        return set(config_.algorithm, static_cast<std::uint32_t>(algorithm));
    }
    Config &zone_size(std::uint64_t bytes) { return set(config_.zone_size, bytes); }
    Config &retention_ms(std::uint64_t milliseconds) {
        return set(config_.retention_ms, milliseconds);
    }
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
    Config &zone_schema(Schema schema) {
        return set(zone_schema_, std::optional<Schema>(std::move(schema)));
    }
    Config &directory(std::string path) {
        return set(directory_, std::optional<std::string>(std::move(path)));
    }
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
    /* Use slots again as soon as every LOSSLESS consumer has released them. */
    Config &reclaim(bool on = true) { return flag(DATABLOCK_FLAG_RECLAIM, on); }

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

/*
 * datablock_consumer_options, which defines each setting, with owned strings. Setters check
 * nothing: a wrong setting is an error of Consumer and Observer. Every setter returns *this.
 */
class ConsumerOptions {
public:
    ConsumerOptions() { check(datablock_consumer_options_init_sized(&options_, sizeof options_)); }

    ConsumerOptions &delivery(Delivery delivery) {
        return set(options_.delivery, static_cast<std::uint32_t>(delivery));
    }
    ConsumerOptions &start(Start start) {
        return set(options_.start, static_cast<std::uint32_t>(start));
    }
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
    ConsumerOptions &zone_schema(Schema schema) {
        return set(zone_schema_, std::optional<Schema>(std::move(schema)));
    }
    ConsumerOptions &name(std::string name) {
        return set(name_, std::optional<std::string>(std::move(name)));
    }
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
    ConsumerOptions &wait_ms(std::int64_t milliseconds) {
        return set(options_.wait_ms, milliseconds);
    }

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

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_CONFIG_HPP */
