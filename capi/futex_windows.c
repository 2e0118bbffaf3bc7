/*
 * Sleeping and waking across processes. Windows has no futex for shared memory: internal/platform
 * emulates one. The emulation exists once, in Go, and a thread may sleep inside Go here. Each
 * function is therefore a call of Go.
 */
#include "shim.h"

void dbshim_futex_wake(uint32_t *word) {
    dbshim_thread *thread = dbshim_self();
    (void)DBSHIM_GO(thread, dbgo_futex_wake(word));
}

void dbshim_futex_wait(uint32_t *word, uint32_t value, uint64_t ns) {
    dbshim_thread *thread = dbshim_self();
    (void)DBSHIM_GO(thread, dbgo_futex_wait(word, value, ns));
}

bool dbshim_futex_wait_any(dbshim_waiter *words, size_t count, uint64_t ns) {
    dbshim_thread *thread = dbshim_self();
    (void)DBSHIM_GO(thread, dbgo_futex_wait_any(words, count, ns));
    return true;
}

/* Go has the word, the bytes and the lock descriptor of the step. */
void dbshim_sleep_held(const dbshim_sleep *sleep) {
    dbshim_thread *thread = dbshim_self();
    uint32_t index = (uint32_t)(thread->shared.current - dbshim_handle_table);
    (void)sleep;
    (void)DBSHIM_GO(thread, dbgo_sleep_held(index));
}
