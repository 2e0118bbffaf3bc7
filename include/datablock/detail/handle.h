/*
 * datablock/detail/handle.h - handles: biased entries of the handle table
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include. capi/handle_table.c is the other half.
 */
#ifndef DATABLOCK_DETAIL_HANDLE_H
#define DATABLOCK_DETAIL_HANDLE_H

#include "state.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A handle leads to an entry of the library's handle table. The bits of the handle are
 * [index 16][flags 4][generation 42][kind 2], and the four flag bits of a valid handle are zero.
 * Only the slow path checks them: a forged handle with a flag bit may match an entry in transition
 * here, and enter an entry that must not be entered.
 *
 * Handles use biased locking (an asymmetric Dekker handshake). The owning thread stores the table
 * entry in its `current`, then checks `word` and `owners`. A thread that takes or closes the handle
 * changes `word` or `owners`, executes a barrier for both threads, then reads the owner's
 * `current`. A thread that keeps its handle therefore pays for no locked instruction. A change of
 * threads costs a system call.
 */
typedef struct datablock_inline_handle_entry {
    /* the handle while the fast path may use it; otherwise other bits, for the library */
    uint64_t word;
    /* By kind: the thread that used the handle last. NULL for other kinds: they are refused. */
    struct datablock_inline_thread *owners[4];
    void *state; /* datablock_inline_producer or _consumer */
    uint64_t reserved[2]; /* for the library */
} datablock_inline_handle_entry;

typedef struct datablock_inline_thread {
    datablock_inline_handle_entry *current; /* the entry whose call this thread is in, NULL: none */
    datablock_inline_handle_entry *table; /* the table of 65536 entries */
    /* 1: the system has no membarrier, so that this thread executes a fence */
    uint32_t fence;
    uint32_t failed; /* the result of the last call: DATABLOCK_INLINE_SUCCEEDED and so on */
    uint32_t idle; /* the entry of a consumer that found nothing, or of a producer without room */
    /* 1: this thread has polled in vain since its last commit, and may alternate with a process */
    uint32_t waited;
    /* Back-off of a reader near the producer, in pauses: a pause differs tenfold by processor. */
    uint32_t stand_back;
    uint32_t reserved;
} datablock_inline_thread;

/*
 * Which text datablock_error_detail returns: none, the text of the last error, the text of a read
 * that does not wait and found nothing, with or without a producer, or the text of a claim that
 * does not wait and found the ring full.
 */
enum {
    DATABLOCK_INLINE_SUCCEEDED,
    DATABLOCK_INLINE_FAILED,
    DATABLOCK_INLINE_IDLE,
    DATABLOCK_INLINE_ORPHANED,
    DATABLOCK_INLINE_FULL
};

#define DATABLOCK_INLINE_VERSION 6
#define DATABLOCK_INLINE_PRODUCER 1u
#define DATABLOCK_INLINE_CONSUMER 2u
#define DATABLOCK_INLINE_OBSERVER 3u
#define DATABLOCK_INLINE_INDEX_SHIFT 48

/*
 * For the functions below only. Returns the calling thread's struct, which lives as long as the
 * thread. NULL: use the exported functions.
 */
DATABLOCK_API datablock_inline_thread *datablock_inline_enlist(uint32_t version);
/* CLOCK_REALTIME in nanoseconds. */
DATABLOCK_API uint64_t datablock_inline_realtime(void);
/* Wake the sleepers, which then poll again. */
DATABLOCK_API void datablock_inline_wake_consumers(const datablock_inline_block *block);
DATABLOCK_API void datablock_inline_wake_producer(const datablock_inline_block *block);

#ifdef __cplusplus
} /* extern "C" */
/*
 * A thread that is not enlisted yet seems to be inside a call, so that its first call takes the
 * slow path. Such a thread has no table, which distinguishes it from a thread inside a call.
 */
inline DATABLOCK_INLINE_HIDDEN datablock_inline_handle_entry datablock_inline_nowhere;
inline DATABLOCK_INLINE_HIDDEN datablock_inline_thread datablock_inline_nobody = {
    &datablock_inline_nowhere, DATABLOCK_INLINE_NULL, 0, 0, 0, 0, 0, 0};
inline DATABLOCK_INLINE_HIDDEN __thread datablock_inline_thread *datablock_inline_self =
    &datablock_inline_nobody;
extern "C" {
#else
static datablock_inline_handle_entry datablock_inline_nowhere __attribute__((unused));
static datablock_inline_thread datablock_inline_nobody
    __attribute__((unused)) = {&datablock_inline_nowhere, DATABLOCK_INLINE_NULL, 0, 0, 0, 0, 0, 0};
static __thread datablock_inline_thread *datablock_inline_self __attribute__((unused)) =
    &datablock_inline_nobody;
#endif

/*
 * Enlists this thread in the library. False: the thread is enlisted already, the library has no
 * memory, or the library does not know this version of the header.
 */
DATABLOCK_INLINE_COLD bool datablock_inline_meet(void) {
    datablock_inline_thread *self = datablock_inline_self->table == DATABLOCK_INLINE_NULL
                                        ? datablock_inline_enlist(DATABLOCK_INLINE_VERSION)
                                        : DATABLOCK_INLINE_NULL;
    if (self == DATABLOCK_INLINE_NULL) {
        return false;
    }
    datablock_inline_self = self;
    return __atomic_load_n(&self->current, __ATOMIC_RELAXED) == DATABLOCK_INLINE_NULL;
}

/* Enters a handle's entry and sets *state; leave must follow. False: the library does the call. */
DATABLOCK_INLINE bool datablock_inline_enter(uint64_t handle, uint64_t kind, void **state) {
    if (DATABLOCK_UNLIKELY(__atomic_load_n(&datablock_inline_self->current, __ATOMIC_RELAXED) !=
                           DATABLOCK_INLINE_NULL) &&
        !datablock_inline_meet()) {
        return false; /* a signal handler inside a call */
    }
    datablock_inline_thread *self = datablock_inline_self;
    datablock_inline_handle_entry *entry = &self->table[handle >> DATABLOCK_INLINE_INDEX_SHIFT];
    __atomic_store_n(&self->current, entry, __ATOMIC_RELAXED);
    if (DATABLOCK_UNLIKELY(self->fence)) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } else {
        /* the thread that takes the entry executes the barrier for both */
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
    if (DATABLOCK_UNLIKELY(__atomic_load_n(&entry->word, __ATOMIC_ACQUIRE) != handle ||
                           __atomic_load_n(&entry->owners[kind], __ATOMIC_RELAXED) != self)) {
        __atomic_store_n(&self->current, DATABLOCK_INLINE_NULL, __ATOMIC_RELEASE);
        return false;
    }
    *state = entry->state;
    return true;
}

DATABLOCK_INLINE void datablock_inline_leave(bool succeeded) {
    datablock_inline_thread *self = datablock_inline_self;
    if (succeeded) {
        self->failed = DATABLOCK_INLINE_SUCCEEDED;
    }
    __atomic_store_n(&self->current, DATABLOCK_INLINE_NULL, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DATABLOCK_DETAIL_HANDLE_H */
