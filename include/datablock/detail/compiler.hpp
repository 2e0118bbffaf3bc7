/*
 * datablock/detail/compiler.hpp - what datablock.hpp needs of the compiler
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock.hpp, which programs include. It defines the macros below for the
 * parts, and removes them at its end.
 */
#ifndef DATABLOCK_DETAIL_COMPILER_HPP
#define DATABLOCK_DETAIL_COMPILER_HPP

#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "datablock.hpp needs C++17: compile with -std=c++17 or later, or use datablock.h"
#elif !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error                                                                                             \
    "datablock.hpp needs exceptions: compile without -fno-exceptions, or use datablock_inline.h, \
which has the same functions and returns statuses"
#else
#define DATABLOCK_HAS_HPP 1

#if defined(__GNUC__)
#define DATABLOCK_HPP_COLD __attribute__((noinline, cold))
/* the parts are inline, too: the compiler would judge the whole too large */
#define DATABLOCK_HPP_HOT __attribute__((always_inline))
/* one type in the whole program, whatever -fvisibility is */
#ifdef _WIN32
#define DATABLOCK_HPP_EXCEPTION
#else
#define DATABLOCK_HPP_EXCEPTION __attribute__((visibility("default")))
#endif
#define DATABLOCK_HPP_LIKELY(x) __builtin_expect(!!(x), 1)
#else
#define DATABLOCK_HPP_COLD
#define DATABLOCK_HPP_HOT
#define DATABLOCK_HPP_EXCEPTION
#define DATABLOCK_HPP_LIKELY(x) (x)
#endif

#endif /* compiler */
#endif /* DATABLOCK_DETAIL_COMPILER_HPP */
