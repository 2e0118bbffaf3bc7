/* The functions that code compiled with -fsanitize=thread calls: before each plain access, and
 * instead of each atomic one. */
#include "checker.h"
#include "weak.h"

/* Scenarios read these as constants (run_orders.h). run.py passes the number of each order. */
enum { MAX_ORDERS = 64 };
int weak_order[MAX_ORDERS];

bool hooks_set_order(int access, int order)
{
    if (access < 0 || access >= MAX_ORDERS || order < __ATOMIC_RELAXED || order > __ATOMIC_SEQ_CST)
        return false;
    weak_order[access] = order;
    return true;
}

#define WORDS(X) X(8, uint8_t) X(16, uint16_t) X(32, uint32_t) X(64, uint64_t)

void __tsan_init(void) {}
void __tsan_func_entry(void *caller) { (void)caller; }
void __tsan_func_exit(void) {}

#define ACCESS(name, size, write) \
    void name(void *at) { search_access(at, size, write); }
#define ACCESSES(size) \
    ACCESS(__tsan_read##size, size, false) \
    ACCESS(__tsan_write##size, size, true) \
    ACCESS(__tsan_volatile_read##size, size, false) \
    ACCESS(__tsan_volatile_write##size, size, true) \
    ACCESS(__tsan_unaligned_read##size, size, false) \
    ACCESS(__tsan_unaligned_write##size, size, true)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void *at, size_t size) { search_access(at, size, false); }
void __tsan_write_range(void *at, size_t size) { search_access(at, size, true); }

/* True if the access is checked as an atomic one. A relaxed access to memory that another word
 * publishes is checked as a plain access and carried out at once. */
static bool checked(const volatile void *at, int size, int order, bool write)
{
    if (!search_checks(at))
        return false;
    if (order != __ATOMIC_RELAXED || !scenario_published(at))
        return true;
    search_access(at, (size_t)size, write);
    return false;
}

static uint64_t operation(Kind kind, volatile void *at, int size, int order, uint64_t operand)
{
    return search_operation(
        (Operation){.kind = kind, .size = size, .order = order, .at = (char *)at, .operand = operand});
}

/* For memory that is not shared, and outside of all threads: the plain operation. */
#define MODIFY(bits, word, name, kind, builtin) \
    word __tsan_atomic##bits##_##name(volatile word *at, word operand, int order) \
    { \
        if (search_checks(at)) \
            return (word)operation(kind, at, bits / 8, order, operand); \
        return builtin(at, operand, __ATOMIC_SEQ_CST); \
    }

#define ATOMIC(bits, word) \
    word __tsan_atomic##bits##_load(const volatile word *at, int order) \
    { \
        if (checked(at, bits / 8, order, false)) \
            return (word)operation(LOAD, (volatile void *)at, bits / 8, order, 0); \
        return *at; \
    } \
    void __tsan_atomic##bits##_store(volatile word *at, word value, int order) \
    { \
        if (checked(at, bits / 8, order, true)) \
            operation(STORE, at, bits / 8, order, value); \
        else \
            *at = value; \
    } \
    MODIFY(bits, word, exchange, EXCHANGE, __atomic_exchange_n) \
    MODIFY(bits, word, fetch_add, ADD, __atomic_fetch_add) \
    MODIFY(bits, word, fetch_sub, SUBTRACT, __atomic_fetch_sub) \
    MODIFY(bits, word, fetch_and, AND, __atomic_fetch_and) \
    MODIFY(bits, word, fetch_or, OR, __atomic_fetch_or) \
    MODIFY(bits, word, fetch_xor, XOR, __atomic_fetch_xor) \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile word *at, word *expected, word value, int order, \
        int failed) \
    { \
        if (!search_checks(at)) \
            return __atomic_compare_exchange_n(at, expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        word found = (word)search_operation((Operation){ \
            .kind = COMPARE_EXCHANGE, .size = bits / 8, .order = order, .failed_order = failed, \
            .at = (char *)at, .operand = value, .expected = *expected}); \
        int same = found == *expected; \
        *expected = found; \
        return same; \
    } \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile word *at, word *expected, word value, int order, \
        int failed) \
    { \
        return __tsan_atomic##bits##_compare_exchange_strong(at, expected, value, order, failed); \
    } \
    word __tsan_atomic##bits##_compare_exchange_val(volatile word *at, word expected, word value, int order, \
        int failed) \
    { \
        __tsan_atomic##bits##_compare_exchange_strong(at, &expected, value, order, failed); \
        return expected; \
    }
WORDS(ATOMIC)

void __tsan_atomic_thread_fence(int order)
{
    if (search_checks(NULL))
        search_operation((Operation){.kind = FENCE, .order = order});
}

void __tsan_atomic_signal_fence(int order) { (void)order; }

void weak_wait(uint32_t *word, uint32_t expected)
{
    search_operation(
        (Operation){.kind = WAIT, .size = 4, .order = __ATOMIC_RELAXED, .at = (char *)word, .expected = expected});
}

void weak_wake(uint32_t *word) { search_operation((Operation){.kind = WAKE, .at = (char *)word}); }
