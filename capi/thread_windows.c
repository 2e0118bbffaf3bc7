/*
 * What the C half needs of Windows: the struct and the end of a thread, how a thread enters Go, and
 * the start of the library.
 *
 * Windows needs less than Linux:
 *
 *   signals        there are none. A thread is never interrupted inside a call, needs no
 *                  alternate stack, and may sleep inside Go
 *   fork           does not exist. No child has copies of handles, locks or the table
 *   cancellation   does not exist. TerminateThread is as a kill of the process: the handle of the
 *                  thread stays taken
 *   SIGBUS         Windows refuses to truncate a file that is mapped
 *   rounds         Go keeps nothing for a thread of the host between two calls, so that there is
 *                  no last moment at which a thread may call
 */
#include "shim.h"

#include <windows.h>

_Static_assert(sizeof(SRWLOCK) == sizeof(dbshim_mutex), "shim.h has the size of SRWLOCK");
_Static_assert(sizeof(INIT_ONCE) == sizeof(dbshim_once_flag), "shim.h has the size of INIT_ONCE");

/* ---- The start of the library ---------------------------------------------------------------- */

/*
 * The end of a thread is noted by a slot of fiber-local storage: its callback runs when the thread
 * ends. A fiber that is deleted before the end of its thread sets `ending` too early. That does no
 * harm, because thread_state.c asks the kernel about each thread that seems to end.
 */
static DWORD at_thread_end = FLS_OUT_OF_INDEXES;

static void WINAPI thread_ends(void *ending) {
    if (ending != NULL) {
        __atomic_store_n(&((dbshim_thread *)ending)->ending, true, __ATOMIC_RELEASE);
    }
}

/*
 * The runtime of Go cannot be unloaded. FreeLibrary must not unload the library, nor the callback
 * above.
 */
__attribute__((constructor)) static void start(void) {
    HMODULE own;
    (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                             (const wchar_t *)(uintptr_t)&at_thread_end, &own);
    at_thread_end = FlsAlloc(thread_ends);
}

bool dbshim_usable(void) {
    static dbshim_once_flag once = DBSHIM_ONCE_INIT;
    dbshim_once(&once, dbshim_table_start);
    return true;
}

/* ---- The struct of a thread ------------------------------------------------------------------ */

dbshim_thread *dbshim_make_thread(void) {
    return VirtualAlloc(NULL, sizeof(dbshim_thread), MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

dbshim_tid dbshim_own_tid(void) { return GetCurrentThreadId(); }

bool dbshim_is_gone(dbshim_tid tid) {
    HANDLE thread = OpenThread(SYNCHRONIZE | THREAD_QUERY_LIMITED_INFORMATION, FALSE, tid);
    if (thread == NULL) {
        return GetLastError() == ERROR_INVALID_PARAMETER; /* no thread has this number */
    }
    /* A thread of another process has the number when ours is gone. 0: the system does not say. */
    DWORD process = GetProcessIdOfThread(thread);
    bool gone = (process != 0 && process != GetCurrentProcessId()) ||
                WaitForSingleObject(thread, 0) == WAIT_OBJECT_0;
    (void)CloseHandle(thread);
    return gone;
}

bool dbshim_ends_are_noted(void) { return at_thread_end != FLS_OUT_OF_INDEXES; }

void dbshim_begin_thread(dbshim_thread *thread) {
    if (at_thread_end != FLS_OUT_OF_INDEXES) {
        /* without memory, the struct is lost with its thread */
        (void)FlsSetValue(at_thread_end, thread);
    }
}

void dbshim_take_over(dbshim_thread *thread) { (void)thread; }

/* ---- Entering Go ----------------------------------------------------------------------------- */

/* The thread may be NULL: datablock_wake has no use for a struct. */
void dbshim_go_begin(dbshim_thread *thread) {
    if (thread != NULL) {
        thread->in_go = true;
    }
}

int dbshim_go_end(dbshim_thread *thread, int result) {
    if (thread != NULL) {
        thread->in_go = false;
    }
    return result;
}

void dbshim_bind(dbshim_thread *thread) {
    if (!thread->bound) {
        dbshim_go_begin(thread);
        dbgo_bind();
        thread->bound = true;
        (void)dbshim_go_end(thread, 0);
    }
}

/* ---- Locks, pauses and the barrier ----------------------------------------------------------- */

static BOOL CALLBACK call_body(PINIT_ONCE once, void *body, void **context) {
    (void)once, (void)context;
    (*(void (**)(void))body)();
    return TRUE;
}

void dbshim_once(dbshim_once_flag *once, void (*body)(void)) {
    (void)InitOnceExecuteOnce((INIT_ONCE *)once, call_body, (void *)&body, NULL);
}

void dbshim_lock(dbshim_mutex *mutex) { AcquireSRWLockExclusive((SRWLOCK *)mutex); }

void dbshim_unlock(dbshim_mutex *mutex) { ReleaseSRWLockExclusive((SRWLOCK *)mutex); }

/* Sleep has milliseconds. */
void dbshim_pause(uint64_t ns) {
    if (ns < 1000000) {
        (void)SwitchToThread();
    } else {
        Sleep((DWORD)(ns / 1000000));
    }
}

void dbshim_yield(void) { (void)SwitchToThread(); }

/*
 * Here the library decides for a fence at each call on a handle, as on a Linux without membarrier.
 * FlushProcessWriteBuffers would be the barrier of Windows. Its documentation speaks of writes only
 * (docs/RATIONALE.md).
 */
bool dbshim_start_barriers(void) { return false; }

bool dbshim_barrier(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return true;
}
