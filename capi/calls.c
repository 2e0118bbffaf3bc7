/*
 * How every exported function begins and ends. Each function checks whether this process may enter
 * Go at all, checks its pointers, and brings its structs into the one shape that the Go half knows.
 * Then it enters Go.
 *
 * Results come back through locals. A wild pointer of the caller therefore faults here, in C, where
 * the caller's debugger shows it. Inside the Go runtime the fault would be taken for a damaged
 * block.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <stdio.h>
#include <string.h>

/* ---- Refusals -------------------------------------------------------------------------------- */

datablock_status dbshim_refusal(void) {
    const dbshim_thread *thread = dbshim_self();
    return !dbshim_usable() ? DATABLOCK_E_FORKED
           : thread == NULL ? DATABLOCK_E_SYSTEM
                            : DATABLOCK_E_BUSY;
}

static const char *why_refused(const dbshim_thread *thread) {
    if (!dbshim_usable()) {
        return "this process was forked from one that uses DataBlock, and the library's threads "
               "did not come along: "
               "call exec, or use DataBlock in a freshly started process";
    }
    if (thread == NULL) {
        dbshim_without_memory = true;
        return DBSHIM_NO_MEMORY;
    }
    if (thread->in_go || thread->shared.current != NULL) {
        return "this thread is inside a call of the library already: a signal handler that "
               "interrupts a call may "
               "not make another";
    }
    if (dbshim_last_round(thread)) {
        return DBSHIM_LAST_ROUND;
    }
    return NULL;
}

/*
 * The first line of every function that may enter Go. It returns false in a forked child, in a
 * signal handler that interrupts a call of this thread, and at the very end of a thread. Then the
 * detail has the reason. Otherwise the detail is the one that the call stores.
 */
bool dbshim_enter(void) {
    dbshim_thread *thread = dbshim_self();
    const char *why = why_refused(thread);
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    if (why != NULL) {
        snprintf(dbshim_detail(), DBSHIM_DETAIL_SIZE, "%s", why);
        return false;
    }
    dbshim_bind(thread);
    thread->detail[0] = '\0';
    return true;
}

/* ---- The beginning of a call ----------------------------------------------------------------- */

/*
 * The beginning of a function that works on a handle. `missing` is the name of an argument that is
 * NULL, or NULL. OK: the thread is inside the handle, and dbshim_end must follow.
 */
datablock_status dbshim_begin_handle_call(const char *function, const char *missing,
                                          uint64_t handle, uint64_t kind) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    return missing != NULL ? dbshim_null_argument(function, missing) : dbshim_take(handle, kind);
}

/*
 * The beginning of a function that works on a block by its name. `missing` is the name of another
 * argument that is NULL, or NULL. OK: `directory` has the block's directory.
 */
datablock_status dbshim_begin_named_call(const char *function, const char *shm_name,
                                         const char *missing, dbshim_directory *directory) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (shm_name == NULL || missing != NULL) {
        return dbshim_null_argument(function, shm_name == NULL ? "shm_name" : missing);
    }
    return dbshim_find_block(directory, "directory", shm_name, NULL);
}

/* The refusal of a call whose argument is NULL, before anything else is checked. */
datablock_status dbshim_refuse_null(const char *function, const char *argument) {
    return dbshim_enter() ? dbshim_null_argument(function, argument) : dbshim_refusal();
}

/* ---- The end of a call ----------------------------------------------------------------------- */

/* The end of an open: the handle leads to the object that Go made, or is given back. */
datablock_status dbshim_opened(datablock_status status, uint64_t handle, void *state,
                               const char *name, uint64_t *out) {
    if (status != DATABLOCK_OK) {
        dbshim_withdraw(handle);
        return status;
    }
    dbshim_catch_faults();
    dbshim_publish(handle, state, name);
    /* a signal handler that was refused meanwhile has left its text */
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    *out = handle;
    return DATABLOCK_OK;
}

/* A call in steps: the thread sleeps here, outside of Go, between two steps. */
bool dbshim_slept(const dbshim_sleep *sleep, int status) {
    if (status != DBSHIM_SLEEP) {
        return false;
    }
    if (sleep->held_count != 0) {
        dbshim_sleep_held(sleep);
    } else {
        dbshim_futex_wait(sleep->word, sleep->value, sleep->ns);
    }
    return true;
}

/* The end of a call on a handle that was taken. */
datablock_status dbshim_end(uint64_t handle, datablock_status status, bool begins_slot) {
    if (status == DATABLOCK_E_PANIC) {
        dbshim_poison(handle, dbshim_detail());
    }
    return dbshim_leave(status, begins_slot);
}

/* ---- Closing --------------------------------------------------------------------------------- */

datablock_status dbshim_close_here(uint64_t handle, uint64_t kind,
                                   int (*close)(uint32_t index, char *detail)) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    datablock_status status = dbshim_take_to_close(handle, kind);
    if (status == DATABLOCK_OK) {
        status = DBSHIM_GO(dbshim_self(), close(dbshim_index(handle), dbshim_detail()));
        dbshim_vacate(handle);
    }
    return status;
}
