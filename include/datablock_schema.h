/*
 * datablock_schema.h - the schema of a struct, from the struct itself
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     struct point { float x, y; };
 *     struct sample { uint64_t time; double value[3]; struct point at; char name[16]; };
 *
 *     DATABLOCK_TYPED_LAYOUT(point_layout, struct point, (FIELD, x), (FIELD, y));
 *     DATABLOCK_TYPED_LAYOUT(sample_layout, struct sample,
 *         (FIELD, time), (ARRAY, value), (STRUCT, at, point_layout), (ARRAY, name));
 *
 *     datablock_schema schema;
 *     datablock_schema_describe("Sample", 1, 0, 0, &sample_layout.layout, &schema);
 *     config.schema = &schema;
 *
 * The compiler gives offsets, sizes, padding and types. For C11; datablock_schema.hpp is for C++.
 *
 * Four kinds of members do not compile: a type that means nothing to another process (a pointer,
 * long double), a FIELD that is an array, an ARRAY that is no array, and a STRUCT that is no struct
 * or not the struct of its layout.
 */
#ifndef DATABLOCK_SCHEMA_H
#define DATABLOCK_SCHEMA_H

#if defined(__cplusplus)
#error "datablock_schema.h is for C: include datablock_schema.hpp, and say \
DATABLOCK_DESCRIBE(Type, \"Name\", 1, 0, 0, members...)"
#elif !defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L
#error "datablock_schema.h needs C11: compile with -std=c11 or a later one"
#else

#include "datablock.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#if LONG_MAX > 0x7fffffffL
#define DATABLOCK_SCHEMA_LONG "i64"
#define DATABLOCK_SCHEMA_UNSIGNED_LONG "u64"
#else
#define DATABLOCK_SCHEMA_LONG "i32"
#define DATABLOCK_SCHEMA_UNSIGNED_LONG "u32"
#endif

/*
 * The type of an expression, by its name in a schema. An enum is the integer that the compiler
 * chooses for the enum.
 */
#define DATABLOCK_SCHEMA_TYPE(expression)                                                          \
    _Generic((expression),                                                                         \
        bool: "bool",                                                                              \
        char: "char",                                                                              \
        signed char: "i8",                                                                         \
        unsigned char: "u8",                                                                       \
        short: "i16",                                                                              \
        unsigned short: "u16",                                                                     \
        int: "i32",                                                                                \
        unsigned: "u32",                                                                           \
        long: DATABLOCK_SCHEMA_LONG,                                                               \
        unsigned long: DATABLOCK_SCHEMA_UNSIGNED_LONG,                                             \
        long long: "i64",                                                                          \
        unsigned long long: "u64",                                                                 \
        float: "f32",                                                                              \
        double: "f64")

#define DATABLOCK_SCHEMA_MEMBER(type, member) (((type *)0)->member)
#define DATABLOCK_SCHEMA_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Checks of what a member is declared as: each is 1, or does not compile. */
#if defined(__GNUC__)
#define DATABLOCK_SCHEMA_IS_ARRAY(array)                                                           \
    _Generic(&(array), __typeof__((array)[0])(*)[DATABLOCK_SCHEMA_COUNT(array)]: (size_t)1)
#define DATABLOCK_SCHEMA_IS_ARRAY2(array)                                                          \
    _Generic(&(array),                                                                             \
        __typeof__((array)[0][0])(*)[DATABLOCK_SCHEMA_COUNT(array)]                                \
                                    [DATABLOCK_SCHEMA_COUNT((array)[0])]: (size_t)1)
#define DATABLOCK_SCHEMA_IS_ARRAY3(array)                                                          \
    _Generic(&(array),                                                                             \
        __typeof__((array)[0][0][0])(*)[DATABLOCK_SCHEMA_COUNT(array)][DATABLOCK_SCHEMA_COUNT(     \
            (array)[0])][DATABLOCK_SCHEMA_COUNT((array)[0][0])]: (size_t)1)
enum { DATABLOCK_SCHEMA_CLASS_OF_STRUCTS = 12 }; /* both compilers number the classes of types so */
#define DATABLOCK_SCHEMA_IS_STRUCT(item)                                                           \
    sizeof(char[__builtin_classify_type(item) == DATABLOCK_SCHEMA_CLASS_OF_STRUCTS ? 1 : -1])
/*
 * The `fields` of a typed layout are a pointer to its struct. The fields of another layout have
 * their own type.
 */
#define DATABLOCK_SCHEMA_IS_OF(item, layout)                                                       \
    _Generic((layout).fields,                                                                      \
        const datablock_schema_field *: DATABLOCK_SCHEMA_IS_STRUCT(item),                          \
        const __typeof__(((void)0, (item))) *: (size_t)1)
#else
#define DATABLOCK_SCHEMA_IS_ARRAY(array) 1
#define DATABLOCK_SCHEMA_IS_ARRAY2(array) 1
#define DATABLOCK_SCHEMA_IS_ARRAY3(array) 1
#define DATABLOCK_SCHEMA_IS_OF(item, layout) 1
#endif

/*
 * Name, type, struct, offset and size of a member, after the check of what the member is declared
 * as.
 */
#define DATABLOCK_SCHEMA_PLACE(type, member, is)                                                   \
    offsetof(type, member), sizeof(DATABLOCK_SCHEMA_MEMBER(type, member)) * (is)

/* A member that is a number. */
#define DATABLOCK_FIELD(type, member)                                                              \
    {#member,                                                                                      \
     DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)),                                 \
     NULL,                                                                                         \
     DATABLOCK_SCHEMA_PLACE(type, member, 1),                                                      \
     {0}}

/* An array of numbers, of one, two or three dimensions. */
#define DATABLOCK_ARRAY(type, member)                                                              \
    {                                                                                              \
        #member, DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)[0]), NULL,            \
            DATABLOCK_SCHEMA_PLACE(                                                                \
                type, member, DATABLOCK_SCHEMA_IS_ARRAY(DATABLOCK_SCHEMA_MEMBER(type, member))),   \
        {                                                                                          \
            DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member))                          \
        }                                                                                          \
    }
#define DATABLOCK_ARRAY2(type, member)                                                             \
    {                                                                                              \
        #member, DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)[0][0]), NULL,         \
            DATABLOCK_SCHEMA_PLACE(                                                                \
                type, member, DATABLOCK_SCHEMA_IS_ARRAY2(DATABLOCK_SCHEMA_MEMBER(type, member))),  \
        {                                                                                          \
            DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)),                         \
                DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)[0])                   \
        }                                                                                          \
    }
#define DATABLOCK_ARRAY3(type, member)                                                             \
    {                                                                                              \
        #member, DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)[0][0][0]), NULL,      \
            DATABLOCK_SCHEMA_PLACE(                                                                \
                type, member, DATABLOCK_SCHEMA_IS_ARRAY3(DATABLOCK_SCHEMA_MEMBER(type, member))),  \
        {                                                                                          \
            DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)),                         \
                DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)[0]),                  \
                DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)[0][0])                \
        }                                                                                          \
    }

/*
 * A member that is a struct, or an array of structs, with the layout of that struct. A layout that
 * DATABLOCK_TYPED_LAYOUT has made fits no other struct. For a plain datablock_schema_layout the
 * compiler knows no struct: then any struct compiles, and datablock_schema_describe compares sizes.
 */
#define DATABLOCK_STRUCT(type, member, layout)                                                     \
    {#member,                                                                                      \
     NULL,                                                                                         \
     (const datablock_schema_layout *)(const void *)&(layout),                                     \
     DATABLOCK_SCHEMA_PLACE(                                                                       \
         type, member, DATABLOCK_SCHEMA_IS_OF(DATABLOCK_SCHEMA_MEMBER(type, member), layout)),     \
     {0}}
#define DATABLOCK_STRUCT_ARRAY(type, member, layout)                                               \
    {                                                                                              \
        #member, NULL, (const datablock_schema_layout *)(const void *)&(layout),                   \
            DATABLOCK_SCHEMA_PLACE(                                                                \
                type, member,                                                                      \
                DATABLOCK_SCHEMA_IS_ARRAY(DATABLOCK_SCHEMA_MEMBER(type, member)) *                 \
                    DATABLOCK_SCHEMA_IS_OF(DATABLOCK_SCHEMA_MEMBER(type, member)[0], layout)),     \
        {                                                                                          \
            DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member))                          \
        }                                                                                          \
    }

/* A struct, with the array of its fields: the initializer of a datablock_schema_layout. */
#define DATABLOCK_LAYOUT(type, fields)                                                             \
    {(fields), DATABLOCK_SCHEMA_COUNT(fields) * DATABLOCK_SCHEMA_IS_ARRAY(fields), sizeof(type),   \
     _Alignof(type)}

/*
 * Defines the layout of a struct, of 1 to 40 of its members, in the order of their offsets:
 * (FIELD, member), (ARRAY, member), (ARRAY2, member), (ARRAY3, member), (STRUCT, member, layout),
 * (STRUCT_ARRAY, member, layout).
 * `name` is for DATABLOCK_STRUCT of other structs, &name.layout for datablock_schema_describe.
 */
#define DATABLOCK_TYPED_LAYOUT(name, ...) /* type, members */                                      \
    static const datablock_schema_field name##_fields[] = {                                        \
        DATABLOCK_SCHEMA_TOP(DATABLOCK_SCHEMA_SELECT(__VA_ARGS__), __VA_ARGS__)};                  \
    static const union {                                                                           \
        datablock_schema_layout layout;                                                            \
        const DATABLOCK_SCHEMA_FIRST(__VA_ARGS__, none) * fields;                                  \
    } name = {DATABLOCK_LAYOUT(DATABLOCK_SCHEMA_FIRST(__VA_ARGS__, none), name##_fields)}

#define DATABLOCK_SCHEMA_FIRST(first, ...) first
#define DATABLOCK_SCHEMA_TOP(each, ...) DATABLOCK_SCHEMA_CALL(each, __VA_ARGS__)
#define DATABLOCK_SCHEMA_CALL(each, ...) each(__VA_ARGS__)
#define DATABLOCK_SCHEMA_ENTRY(type, entry)                                                        \
    DATABLOCK_SCHEMA_UNWRAPPED(type, DATABLOCK_SCHEMA_UNWRAP entry)
#define DATABLOCK_SCHEMA_UNWRAP(...) __VA_ARGS__
#define DATABLOCK_SCHEMA_UNWRAPPED(...) DATABLOCK_SCHEMA_MAKE(__VA_ARGS__)
#define DATABLOCK_SCHEMA_MAKE(type, kind, ...) DATABLOCK_##kind(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_NOT_40(...)                                                               \
    {.size = sizeof(struct {                                                                       \
         int none;                                                                                 \
         _Static_assert(0, "DATABLOCK_TYPED_LAYOUT takes 1 to 40 members");                        \
     })}
#define DATABLOCK_SCHEMA_EACH_1(type, entry) DATABLOCK_SCHEMA_ENTRY(type, entry)
#define DATABLOCK_SCHEMA_EACH_2(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_1(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_3(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_2(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_4(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_3(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_5(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_4(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_6(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_5(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_7(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_6(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_8(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_7(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_9(type, entry, ...)                                                  \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_8(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_10(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_9(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_11(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_10(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_12(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_11(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_13(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_12(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_14(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_13(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_15(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_14(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_16(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_15(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_17(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_16(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_18(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_17(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_19(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_18(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_20(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_19(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_21(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_20(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_22(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_21(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_23(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_22(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_24(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_23(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_25(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_24(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_26(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_25(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_27(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_26(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_28(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_27(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_29(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_28(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_30(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_29(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_31(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_30(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_32(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_31(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_33(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_32(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_34(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_33(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_35(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_34(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_36(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_35(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_37(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_36(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_38(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_37(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_39(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_38(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_EACH_40(type, entry, ...)                                                 \
    DATABLOCK_SCHEMA_ENTRY(type, entry), DATABLOCK_SCHEMA_EACH_39(type, __VA_ARGS__)
#define DATABLOCK_SCHEMA_PICK(                                                                     \
    p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19, p20,     \
    p21, p22, p23, p24, p25, p26, p27, p28, p29, p30, p31, p32, p33, p34, p35, p36, p37, p38, p39, \
    p40, p41, p42, p43, p44, p45, p46, p47, p48, p49, p50, p51, p52, p53, p54, p55, p56, p57, p58, \
    p59, p60, p61, p62, p63, p64, p65, p66, p67, p68, p69, p70, p71, p72, p73, p74, p75, p76, p77, \
    p78, p79, p80, p81, each, ...)                                                                 \
    each
#define DATABLOCK_SCHEMA_SELECT(...)                                                               \
    DATABLOCK_SCHEMA_PICK(                                                                         \
        __VA_ARGS__, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,    \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_NOT_40,                 \
        DATABLOCK_SCHEMA_NOT_40, DATABLOCK_SCHEMA_EACH_40, DATABLOCK_SCHEMA_EACH_39,               \
        DATABLOCK_SCHEMA_EACH_38, DATABLOCK_SCHEMA_EACH_37, DATABLOCK_SCHEMA_EACH_36,              \
        DATABLOCK_SCHEMA_EACH_35, DATABLOCK_SCHEMA_EACH_34, DATABLOCK_SCHEMA_EACH_33,              \
        DATABLOCK_SCHEMA_EACH_32, DATABLOCK_SCHEMA_EACH_31, DATABLOCK_SCHEMA_EACH_30,              \
        DATABLOCK_SCHEMA_EACH_29, DATABLOCK_SCHEMA_EACH_28, DATABLOCK_SCHEMA_EACH_27,              \
        DATABLOCK_SCHEMA_EACH_26, DATABLOCK_SCHEMA_EACH_25, DATABLOCK_SCHEMA_EACH_24,              \
        DATABLOCK_SCHEMA_EACH_23, DATABLOCK_SCHEMA_EACH_22, DATABLOCK_SCHEMA_EACH_21,              \
        DATABLOCK_SCHEMA_EACH_20, DATABLOCK_SCHEMA_EACH_19, DATABLOCK_SCHEMA_EACH_18,              \
        DATABLOCK_SCHEMA_EACH_17, DATABLOCK_SCHEMA_EACH_16, DATABLOCK_SCHEMA_EACH_15,              \
        DATABLOCK_SCHEMA_EACH_14, DATABLOCK_SCHEMA_EACH_13, DATABLOCK_SCHEMA_EACH_12,              \
        DATABLOCK_SCHEMA_EACH_11, DATABLOCK_SCHEMA_EACH_10, DATABLOCK_SCHEMA_EACH_9,               \
        DATABLOCK_SCHEMA_EACH_8, DATABLOCK_SCHEMA_EACH_7, DATABLOCK_SCHEMA_EACH_6,                 \
        DATABLOCK_SCHEMA_EACH_5, DATABLOCK_SCHEMA_EACH_4, DATABLOCK_SCHEMA_EACH_3,                 \
        DATABLOCK_SCHEMA_EACH_2, DATABLOCK_SCHEMA_EACH_1, DATABLOCK_SCHEMA_NOT_40, none)

#endif /* C11 */
#endif /* DATABLOCK_SCHEMA_H */
