/*
 * datablock/schema.hpp - the schema of a struct, from the struct itself, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     struct Point { float x, y; };
 *     struct Sample { std::uint64_t time; double value[3]; Point at[2]; char name[16]; };
 *
 *     DATABLOCK_DESCRIBE(Point, "Point", 1, 0, 0, x, y)
 *     DATABLOCK_DESCRIBE(Sample, "Sample", 1, 2, 0, time, value, at, name)
 *
 *     TypedProducer<Sample> producer("samples");
 *     producer.send({now(), {1, 2, 3}, {}, "left"});
 *     TypedConsumer<Sample> consumer("samples");
 *
 * The constructor of TypedConsumer refuses a block of other messages, and the error names the
 * fields that differ.
 *
 * The compiler gives types, counts, offsets, size and alignment. A member that means nothing to
 * another process does not compile. Part of datablock.hpp.
 */
#ifndef DATABLOCK_PART_SCHEMA_HPP
#define DATABLOCK_PART_SCHEMA_HPP

#include "iteration.hpp"
#include "observer.hpp"
#include "transactions.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>

namespace datablock {

/* What DATABLOCK_DESCRIBE declares about a type. */
template <typename T> struct Described {
    static constexpr bool described = false;
};

namespace detail {

template <typename T> struct Unwrapped { /* std::array is an array */
    using type = T;
};
template <typename T, std::size_t n> struct Unwrapped<std::array<T, n>> {
    using type = typename Unwrapped<T>::type[n];
};
template <typename T, std::size_t n> struct Unwrapped<T[n]> {
    using type = typename Unwrapped<T>::type[n];
};

template <typename T> constexpr const char *scalar_name() {
    if constexpr (std::is_enum_v<T>) {
        return scalar_name<std::underlying_type_t<T>>();
    } else if constexpr (std::is_same_v<T, bool>) {
        return "bool";
    } else if constexpr (std::is_same_v<T, char>) {
        return "char";
    } else if constexpr (std::is_floating_point_v<T>) {
        static_assert(sizeof(T) == 4 || sizeof(T) == 8,
                      "a float of another size (long double, __float128, _Float16) has no "
                      "counterpart in a schema: "
                      "use float or double");
        return sizeof(T) == 4 ? "f32" : "f64";
    } else {
        static_assert(!std::is_integral_v<T> || sizeof(T) <= 8,
                      "an integer of more than 8 bytes (__int128) has no counterpart in a schema: "
                      "use std::uint64_t[2]");
        static_assert(std::is_integral_v<T>, "a member is neither number, enum, array nor a struct "
                                             "that DATABLOCK_DESCRIBE describes");
        constexpr int power = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
        constexpr const char *names[2][4] = {{"u8", "u16", "u32", "u64"},
                                             {"i8", "i16", "i32", "i64"}};
        return names[std::is_signed_v<T>][power];
    }
}

template <typename M, std::size_t dimension = 0>
constexpr void fill_extents(std::uint64_t (&dims)[8]) {
    if constexpr (std::rank_v<M> != 0) {
        static_assert(dimension < 8, "an array of more than eight dimensions");
        dims[dimension] = std::extent_v<M>;
        fill_extents<std::remove_extent_t<M>, dimension + 1>(dims);
    }
}

template <typename T, bool no = false> datablock_schema_field describe_none() {
    static_assert(no, "DATABLOCK_DESCRIBE takes 1 to 40 members behind the version: "
                      "DATABLOCK_DESCRIBE(Type, \"Name\", 1, 0, 0, members...)");
    return {};
}

template <typename Member>
datablock_schema_field describe_member(const char *name, std::size_t offset) {
    using M = typename Unwrapped<Member>::type;
    using Item = std::remove_cv_t<std::remove_all_extents_t<M>>;
    static_assert(sizeof(M) == sizeof(Member), "an array that is larger than its items");
    datablock_schema_field field{};
    field.name = name;
    field.offset = offset;
    field.size = sizeof(Member);
    fill_extents<M>(field.dims);
    if constexpr (Described<Item>::described) {
        field.nested = &Described<Item>::layout();
    } else {
        field.type = scalar_name<Item>();
    }
    return field;
}

} // namespace detail

template <typename T> Schema Schema::of() {
    static_assert(
        Described<T>::described,
        "say what is in the struct: DATABLOCK_DESCRIBE(Type, \"Name\", 1, 0, 0, members...)");
    datablock_schema schema;
    check(datablock_schema_describe(Described<T>::name, Described<T>::version[0],
                                    Described<T>::version[1], Described<T>::version[2],
                                    &Described<T>::layout(), &schema));
    return Schema(schema);
}

/* Writes messages that are a T each, on a block with the schema of T. */
template <typename T> class TypedProducer : public Producer {
public:
    /*
     * Slot size, alignment and schema are those of T. Errors: as Producer, and schema (the block
     * has another schema).
     */
    explicit TypedProducer(const std::string &name, const Config &config = Config())
        : Producer(name, typed(config)) {}

    /*
     * Publishes a copy, and returns the message's id. Waits and errors: as with_write_transaction.
     */
    std::uint64_t send(const T &value, std::int64_t timeout_ms = for_ever) {
        return this->write(value, timeout_ms);
    }

    /*
     * f(T &) fills the message in place. The contents are arbitrary before. If f throws, nothing is
     * published. Returns the id. Waits and errors: as with_write_transaction.
     */
    template <typename F> std::uint64_t send_in_place(std::int64_t timeout_ms, F &&f) {
        return with_write_transaction(*this, timeout_ms, [&f](WriteSlot &slot) {
            std::invoke(f, slot.template as<T>());
            slot.commit(sizeof(T));
            return slot.id();
        });
    }

private:
    static Config typed(Config config) {
        detail::check_type<T>();
        return config.slot_size(sizeof(T))
            .alignment(alignof(T) > 64 ? static_cast<std::uint32_t>(alignof(T)) : 64)
            .schema(Schema::of<T>());
    }
};

/* Reads messages that are a T each. A loop over `slots` and slot.as<T>() reads them in place. */
template <typename T> class TypedConsumer : public Consumer {
public:
    /*
     * Errors: as Consumer, and schema (the block has other messages: every field that differs, with
     * both sides).
     */
    explicit TypedConsumer(const std::string &name, ConsumerOptions options = {},
                           SchemaMode mode = SchemaMode::compatible)
        : Consumer(name, options.schema(Schema::of<T>(), mode)) {}

    /* A copy of the next message. Waits and errors: as Consumer::next. */
    T next(std::int64_t timeout_ms = for_ever) { return Consumer::template next<T>(timeout_ms); }
    /* The same; empty on a timeout. */
    std::optional<T> try_next(std::int64_t timeout_ms = 0) {
        return Consumer::template try_next<T>(timeout_ms);
    }
};

} // namespace datablock

/*
 * Declares the members of a struct. Use the macro outside of all namespaces. 1 to 40 members, in
 * the order of their offsets. A gap between two members is padding.
 */
#define DATABLOCK_DESCRIBE(type, schema_name, major, minor, ...) /* patch, members */              \
    template <> struct datablock::Described<type> {                                                \
        static_assert(std::is_standard_layout_v<type> && std::is_trivially_copyable_v<type>,       \
                      "a message is a plain struct");                                              \
        [[maybe_unused]] static constexpr bool described = true;                                   \
        [[maybe_unused]] static constexpr const char *name = schema_name;                          \
        [[maybe_unused]] static constexpr std::uint32_t version[3] = {                             \
            major, minor, DATABLOCK_HPP_FIRST(__VA_ARGS__, none)};                                 \
        static const datablock_schema_layout &layout() {                                           \
            static const datablock_schema_field fields[] = {                                       \
                DATABLOCK_HPP_TOP(DATABLOCK_HPP_EACH(__VA_ARGS__), type, __VA_ARGS__)};            \
            static const datablock_schema_layout all = {fields, sizeof fields / sizeof fields[0],  \
                                                        sizeof(type), alignof(type)};              \
            return all;                                                                            \
        }                                                                                          \
    };

#define DATABLOCK_HPP_FIRST(first, ...) first
#define DATABLOCK_HPP_TOP(each, type, ...) DATABLOCK_HPP_CALL(each, type, __VA_ARGS__)
#define DATABLOCK_HPP_CALL(each, type, patch, ...) each(type, __VA_ARGS__)
#define DATABLOCK_HPP_NONE(type, ...) ::datablock::detail::describe_none<type>()
#define DATABLOCK_HPP_MEMBER(type, member)                                                         \
    ::datablock::detail::describe_member<decltype(type::member)>(#member, offsetof(type, member))
#define DATABLOCK_HPP_EACH_1(type, member) DATABLOCK_HPP_MEMBER(type, member)
#define DATABLOCK_HPP_EACH_2(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_1(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_3(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_2(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_4(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_3(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_5(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_4(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_6(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_5(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_7(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_6(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_8(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_7(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_9(type, member, ...)                                                    \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_8(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_10(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_9(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_11(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_10(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_12(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_11(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_13(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_12(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_14(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_13(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_15(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_14(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_16(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_15(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_17(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_16(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_18(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_17(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_19(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_18(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_20(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_19(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_21(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_20(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_22(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_21(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_23(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_22(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_24(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_23(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_25(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_24(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_26(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_25(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_27(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_26(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_28(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_27(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_29(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_28(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_30(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_29(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_31(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_30(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_32(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_31(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_33(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_32(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_34(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_33(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_35(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_34(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_36(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_35(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_37(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_36(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_38(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_37(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_39(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_38(type, __VA_ARGS__)
#define DATABLOCK_HPP_EACH_40(type, member, ...)                                                   \
    DATABLOCK_HPP_MEMBER(type, member), DATABLOCK_HPP_EACH_39(type, __VA_ARGS__)
#define DATABLOCK_HPP_PICK(                                                                        \
    m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20,     \
    m21, m22, m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36, m37, m38, m39, \
    m40, m41, m42, m43, m44, m45, m46, m47, m48, m49, m50, m51, m52, m53, m54, m55, m56, m57, m58, \
    m59, m60, m61, m62, m63, m64, m65, m66, m67, m68, m69, m70, m71, m72, m73, m74, m75, m76, m77, \
    m78, m79, m80, m81, m82, m83, m84, m85, m86, m87, m88, m89, m90, m91, m92, m93, m94, m95, m96, \
    m97, m98, m99, m100, m101, each, ...)                                                          \
    each
#define DATABLOCK_HPP_EACH(...)                                                                    \
    DATABLOCK_HPP_PICK(                                                                            \
        __VA_ARGS__, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,                   \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE, DATABLOCK_HPP_NONE,            \
        DATABLOCK_HPP_NONE, DATABLOCK_HPP_EACH_40, DATABLOCK_HPP_EACH_39, DATABLOCK_HPP_EACH_38,   \
        DATABLOCK_HPP_EACH_37, DATABLOCK_HPP_EACH_36, DATABLOCK_HPP_EACH_35,                       \
        DATABLOCK_HPP_EACH_34, DATABLOCK_HPP_EACH_33, DATABLOCK_HPP_EACH_32,                       \
        DATABLOCK_HPP_EACH_31, DATABLOCK_HPP_EACH_30, DATABLOCK_HPP_EACH_29,                       \
        DATABLOCK_HPP_EACH_28, DATABLOCK_HPP_EACH_27, DATABLOCK_HPP_EACH_26,                       \
        DATABLOCK_HPP_EACH_25, DATABLOCK_HPP_EACH_24, DATABLOCK_HPP_EACH_23,                       \
        DATABLOCK_HPP_EACH_22, DATABLOCK_HPP_EACH_21, DATABLOCK_HPP_EACH_20,                       \
        DATABLOCK_HPP_EACH_19, DATABLOCK_HPP_EACH_18, DATABLOCK_HPP_EACH_17,                       \
        DATABLOCK_HPP_EACH_16, DATABLOCK_HPP_EACH_15, DATABLOCK_HPP_EACH_14,                       \
        DATABLOCK_HPP_EACH_13, DATABLOCK_HPP_EACH_12, DATABLOCK_HPP_EACH_11,                       \
        DATABLOCK_HPP_EACH_10, DATABLOCK_HPP_EACH_9, DATABLOCK_HPP_EACH_8, DATABLOCK_HPP_EACH_7,   \
        DATABLOCK_HPP_EACH_6, DATABLOCK_HPP_EACH_5, DATABLOCK_HPP_EACH_4, DATABLOCK_HPP_EACH_3,    \
        DATABLOCK_HPP_EACH_2, DATABLOCK_HPP_EACH_1, DATABLOCK_HPP_NONE, none)

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_SCHEMA_HPP */
