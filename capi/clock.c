/*
 * The clocks, and the C half of the coarse clock: internal/platform has the other half. A reader
 * polls the coarse clock here, and stays out of Go.
 */
#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE */

#include "shim.h"

#include <time.h>

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool datablock_inline_look(datablock_inline_coarse_clock *clock) {
    if (__atomic_load_n(&clock->now, __ATOMIC_RELAXED) != 0) {
        return true;
    }
    clock->uses++;
    return clock->uses >= DATABLOCK_TUNING_COARSE_CLOCK_USES ||
           (int64_t)(clock_ns(CLOCK_MONOTONIC_COARSE) - clock->seen) >= DATABLOCK_TUNING_TICK_NS;
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
    return (int64_t)(clock_ns(CLOCK_MONOTONIC_COARSE) - clock->seen) < 2 * DATABLOCK_TUNING_TICK_NS;
}

uint64_t datablock_inline_realtime(void) { return clock_ns(CLOCK_REALTIME); }

uint64_t dbshim_monotonic(void) { return clock_ns(CLOCK_MONOTONIC); }
