/*
 * datablock_schema.h - the schema of a struct, from the struct itself
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     struct sample { uint64_t time; double value[3]; char name[16]; };
 *
 *     static const datablock_schema_field sample_fields[] = {
 *         DATABLOCK_FIELD(struct sample, time), DATABLOCK_ARRAY(struct sample, value), DATABLOCK_ARRAY(struct sample, name),
 *     };
 *     static const datablock_schema_layout sample_layout = DATABLOCK_LAYOUT(struct sample, sample_fields);
 *
 *     datablock_schema schema;
 *     datablock_schema_describe("Sample", 1, 0, 0, &sample_layout, &schema);
 *     config.schema = &schema;
 *
 * Offsets, sizes, padding and types are the compiler's. For C11; datablock_schema.hpp is for C++. A member of a type that means nothing to another process (a pointer, long double), a plain
 * member that is an array, and an array that is none do not compile.
 */
#ifndef DATABLOCK_SCHEMA_H
#define DATABLOCK_SCHEMA_H

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

/* The type of an expression, by its name in a schema. An enum is the integer that the compiler takes for it. */
#define DATABLOCK_SCHEMA_TYPE(expression)                                                                                                                            \
    _Generic((expression), bool: "bool", char: "char", signed char: "i8", unsigned char: "u8", short: "i16", unsigned short: "u16", int: "i32", unsigned: "u32",      \
             long: DATABLOCK_SCHEMA_LONG, unsigned long: DATABLOCK_SCHEMA_UNSIGNED_LONG, long long: "i64", unsigned long long: "u64", float: "f32", double: "f64")

#define DATABLOCK_SCHEMA_MEMBER(type, member) (((type *)0)->member)
#define DATABLOCK_SCHEMA_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A member that is a number. */
#define DATABLOCK_FIELD(type, member)                                                                                                                                \
    {#member, DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)), NULL, offsetof(type, member), sizeof(DATABLOCK_SCHEMA_MEMBER(type, member)), {0}}

/* An array of numbers, of one, two or three dimensions. */
#define DATABLOCK_ARRAY(type, member)                                                                                                                                \
    {#member, DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)[0]), NULL, offsetof(type, member), sizeof(DATABLOCK_SCHEMA_MEMBER(type, member)),           \
     {DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member))}}
#define DATABLOCK_ARRAY2(type, member)                                                                                                                               \
    {#member, DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)[0][0]), NULL, offsetof(type, member), sizeof(DATABLOCK_SCHEMA_MEMBER(type, member)),        \
     {DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)), DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)[0])}}
#define DATABLOCK_ARRAY3(type, member)                                                                                                                               \
    {#member, DATABLOCK_SCHEMA_TYPE(DATABLOCK_SCHEMA_MEMBER(type, member)[0][0][0]), NULL, offsetof(type, member), sizeof(DATABLOCK_SCHEMA_MEMBER(type, member)),     \
     {DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)), DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)[0]),                                \
      DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member)[0][0])}}

/* A member that is a struct, or an array of structs, with the datablock_schema_layout of that struct. */
#define DATABLOCK_STRUCT(type, member, layout) {#member, NULL, &(layout), offsetof(type, member), sizeof(DATABLOCK_SCHEMA_MEMBER(type, member)), {0}}
#define DATABLOCK_STRUCT_ARRAY(type, member, layout)                                                                                                                 \
    {#member, NULL, &(layout), offsetof(type, member), sizeof(DATABLOCK_SCHEMA_MEMBER(type, member)), {DATABLOCK_SCHEMA_COUNT(DATABLOCK_SCHEMA_MEMBER(type, member))}}

/* A struct, with the array of its fields. */
#define DATABLOCK_LAYOUT(type, fields) {(fields), sizeof(fields) / sizeof((fields)[0]), sizeof(type), _Alignof(type)}

#endif /* DATABLOCK_SCHEMA_H */
