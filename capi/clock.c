/*
 * The clocks, and the C half of the coarse clock: internal/platform has the other half. A reader
 * polls the coarse clock here, and stays out of Go.
 */
#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE */

#include "shim.h"

#ifdef _WIN32

#include <windows.h>

enum { COARSE, EXACT, REAL };

/* All processes have the same performance counter. internal/platform reads it in the same way. */
static uint64_t counter_ns(void) {
    static uint64_t frequency; /* a constant of the machine; threads may store it at once */
    uint64_t per_second = __atomic_load_n(&frequency, __ATOMIC_RELAXED);
    LARGE_INTEGER count;
    if (per_second == 0) {
        (void)QueryPerformanceFrequency(&count);
        per_second = (uint64_t)count.QuadPart;
        __atomic_store_n(&frequency, per_second, __ATOMIC_RELAXED);
    }
    (void)QueryPerformanceCounter(&count);
    uint64_t now = (uint64_t)count.QuadPart, second = 1000000000;
    return now / per_second * second + now % per_second * second / per_second;
}

static uint64_t clock_ns(int clock) {
    if (clock != REAL) {
        return counter_ns();
    }
    FILETIME now; /* in units of 100 ns, since 1601 */
    GetSystemTimePreciseAsFileTime(&now);
    uint64_t since_1601 = (uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime;
    return (since_1601 - UINT64_C(116444736000000000)) * 100;
}

#else

#include <time.h>

enum { COARSE = CLOCK_MONOTONIC_COARSE, EXACT = CLOCK_MONOTONIC, REAL = CLOCK_REALTIME };

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif

bool datablock_inline_look(datablock_inline_coarse_clock *clock) {
    if (__atomic_load_n(&clock->now, __ATOMIC_RELAXED) != 0) {
        return true;
    }
    clock->uses++;
    return clock->uses >= DATABLOCK_TUNING_COARSE_CLOCK_USES ||
           (int64_t)(clock_ns(COARSE) - clock->seen) >= DATABLOCK_TUNING_TICK_NS;
}

/*
 * CoarseClock.Poll for a reader. The reader stays out of Go until the updater has to start
 * refreshing the coarse clock, or until the clock is stale although the updater refreshes it.
 */
bool dbshim_begin_turn(datablock_inline_coarse_clock *clock) {
    uint64_t now = __atomic_load_n(&clock->now, __ATOMIC_RELAXED), exact = dbshim_monotonic();
    if (now == 0 ? clock->uses >= DATABLOCK_TUNING_COARSE_CLOCK_USES
                 : (int64_t)(exact - now) >= 2 * DATABLOCK_TUNING_TICK_NS) {
        return false;
    }
    now = now == 0 ? exact : now;
    clock->uses = 0;
    __atomic_store_n(&clock->seen, now, __ATOMIC_RELAXED);
    return true;
}

/* A coarse clock is stale when it has missed a tick. */
bool datablock_inline_kept_up(const datablock_inline_coarse_clock *clock) {
    return (int64_t)(clock_ns(COARSE) - clock->seen) < 2 * DATABLOCK_TUNING_TICK_NS;
}

uint64_t datablock_inline_realtime(void) { return clock_ns(REAL); }

uint64_t dbshim_monotonic(void) { return clock_ns(EXACT); }
