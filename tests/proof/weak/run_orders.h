/*
 * The named orders of datablock/detail/orders.h, chosen when the program starts. One program
 * searches a scenario as it is and with each weakened order.
 *
 * run.py includes this file in front of a scenario, and defines each DATABLOCK_ORDER_… as a load
 * from weak_order. The compiler needs constant orders for its built-in functions. Therefore these
 * macros call the functions of hooks.c, which -fsanitize=thread would call.
 */
#ifndef RUN_ORDERS_H
#define RUN_ORDERS_H

#include <stdint.h>

/* The order of each access, by the numbers of run.py. hooks.c has the variable. Here it is
 * constant, so that -fsanitize=thread does not take a load from it for an access of the code. */
extern const int weak_order[];

/* clang-format off */
#define WEAK_DECLARE(bits, word) \
    word __tsan_atomic##bits##_load(const volatile void *at, int order); \
    void __tsan_atomic##bits##_store(volatile void *at, word value, int order); \
    word __tsan_atomic##bits##_exchange(volatile void *at, word value, int order); \
    word __tsan_atomic##bits##_fetch_add(volatile void *at, word value, int order); \
    word __tsan_atomic##bits##_fetch_and(volatile void *at, word value, int order); \
    word __tsan_atomic##bits##_fetch_or(volatile void *at, word value, int order); \
    word __tsan_atomic##bits##_compare_exchange_val(volatile void *at, word expected, word value, int order, \
        int failed);
/* clang-format on */
WEAK_DECLARE(8, uint8_t)
WEAK_DECLARE(16, uint16_t)
WEAK_DECLARE(32, uint32_t)
WEAK_DECLARE(64, uint64_t)

/* The function for the size of the word. */
#define WEAK_CALL(at, name, ...) \
    (sizeof *(at) == 8   ? __tsan_atomic64_##name(at, __VA_ARGS__) \
     : sizeof *(at) == 4 ? __tsan_atomic32_##name(at, __VA_ARGS__) \
     : sizeof *(at) == 2 ? __tsan_atomic16_##name(at, __VA_ARGS__) \
                         : __tsan_atomic8_##name(at, __VA_ARGS__))
/* The value of the call in the type of the word, which can be a pointer. */
#define WEAK_VALUE(at, name, ...) ((__typeof__(*(at)))WEAK_CALL(at, name, __VA_ARGS__))
#define WEAK_WORD(value) ((uint64_t)(value))

#define __atomic_load_n(at, order) WEAK_VALUE(at, load, order)
#define __atomic_store_n(at, value, order) WEAK_CALL(at, store, WEAK_WORD(value), order)
#define __atomic_exchange_n(at, value, order) WEAK_VALUE(at, exchange, WEAK_WORD(value), order)
#define __atomic_fetch_and(at, value, order) WEAK_VALUE(at, fetch_and, value, order)
#define __atomic_fetch_or(at, value, order) WEAK_VALUE(at, fetch_or, value, order)
#define __atomic_add_fetch(at, value, order) \
    ({ \
        __typeof__(*(at)) weak_sum = WEAK_VALUE(at, fetch_add, value, order) + (value); \
        weak_sum; \
    })
#define __atomic_compare_exchange_n(at, expected, value, weak, order, failed) \
    ({ \
        __typeof__(*(expected)) weak_old = *(expected); \
        __typeof__(*(expected)) weak_found = WEAK_VALUE(at, compare_exchange_val, weak_old, value, order, failed); \
        if (weak_found != weak_old) { \
            *(expected) = weak_found; \
        } \
        weak_found == weak_old; \
    })

#endif
