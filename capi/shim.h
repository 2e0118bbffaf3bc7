/*
 * What the two halves of the boundary know of each other. The Go half includes this file in its
 * preamble. An export whose signature differs from its declaration here, or from a type of
 * datablock.h, therefore does not compile.
 */
#ifndef DATABLOCK_SHIM_H
#define DATABLOCK_SHIM_H

#include "datablock.h"
#ifdef DATABLOCK_CRASHPOINTS
DATABLOCK_API void datablock_crash_point(const char *name);
#define DATABLOCK_CRASH_POINT(name) datablock_crash_point("c/" name)
#endif
#define DATABLOCK_INLINE_NO_NAMES /* the library exports functions of these names */
#include "datablock_inline.h"

#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#endif

/* Bytes of a thread's detail text, its end included. */
#define DBSHIM_DETAIL_SIZE 1024
/* Bytes of a directory's path, its end included. */
#define DBSHIM_PATH_SIZE 4097

/*
 * True: the fast path may be taken. A test may ask for the path through Go: only that path can be
 * made to panic, and its crash points are the crash points of Go.
 */
#ifdef DATABLOCK_CRASHPOINTS
#include <stdlib.h>
#define DBSHIM_FAST (getenv("DATABLOCK_TEST_PANIC") == NULL && getenv("DATABLOCK_TEST_GO") == NULL)
#else
#define DBSHIM_FAST true
#endif

/* ---- The operating system: its types --------------------------------------------------------- */

/*
 * The functions of the operating system are in files that are named after it: *_linux.c and
 * *_windows.c. This header declares each of them with its subject.
 */
#ifdef _WIN32

/* Windows has no signals: a thread that the library uses is never interrupted. */
typedef struct dbshim_mask {
    char unused;
} dbshim_mask;
typedef struct dbshim_mutex {
    void *lock; /* SRWLOCK */
} dbshim_mutex;
typedef struct dbshim_once_flag {
    void *once; /* INIT_ONCE */
} dbshim_once_flag;
typedef uint32_t dbshim_tid;

#define DBSHIM_MUTEX_INIT {NULL}
#define DBSHIM_ONCE_INIT {NULL}
#define DBSHIM_TLS_MODEL
#define DBSHIM_PRINTF gnu_printf /* MinGW's own, which knows %zu and %lld */

#else

typedef sigset_t dbshim_mask;
typedef pthread_mutex_t dbshim_mutex;
typedef pthread_once_t dbshim_once_flag;
typedef pid_t dbshim_tid;

#define DBSHIM_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define DBSHIM_ONCE_INIT PTHREAD_ONCE_INIT
/* No access to a variable of a thread calls the loader, which may allocate. */
#define DBSHIM_TLS_MODEL __attribute__((tls_model("initial-exec")))
#define DBSHIM_PRINTF printf

#endif

/* ---- thread_state.c -------------------------------------------------------------------------- */

typedef struct dbshim_thread {
    datablock_inline_thread shared;
    bool in_go; /* Go catches a fault */
    bool bound; /* the thread has entered Go before */
#ifndef _WIN32
    bool stack_given; /* the thread has an alternate stack, its own or one of the library's */
    int cancel; /* while the thread is in Go: its cancel state */
    sigset_t mask; /* while the thread is in Go: its signal mask */
    int rounds; /* of destructors at the thread's end */
#endif
    bool ending; /* the end of the thread has begun */
    dbshim_tid tid; /* of the thread, or of the last thread that used this struct */
    struct dbshim_thread *next;
    char detail[DBSHIM_DETAIL_SIZE];
} dbshim_thread;

dbshim_thread *dbshim_self(void); /* NULL: no memory */
dbshim_thread *dbshim_self_if_any(void); /* async-signal-safe */
char *dbshim_detail(void); /* the calling thread's text; never null */
/* Stores the result of the calling thread's last call: DATABLOCK_INLINE_SUCCEEDED and so on. */
void dbshim_failed(uint32_t how);

/* ---- thread_linux.c, thread_windows.c -------------------------------------------------------- */

dbshim_thread *dbshim_make_thread(void); /* zeroed, and never freed. NULL: no memory */
dbshim_tid dbshim_own_tid(void);
/* True: no thread of this process has this number. The thread has done all that it ever does. */
bool dbshim_is_gone(dbshim_tid tid);
/*
 * The struct belongs to the calling thread from now on. The system sets `ending` at the end of the
 * thread, if it can do that.
 */
void dbshim_begin_thread(dbshim_thread *thread);
bool dbshim_ends_are_noted(void);
/* The struct belongs to a thread that is gone, and goes to the calling thread. */
void dbshim_take_over(dbshim_thread *thread);
/* Called once. False: dbshim_barrier reaches the calling thread alone, so each call has a fence. */
bool dbshim_start_barriers(void);
/* A full barrier on every thread of the process. False: the system refuses the barrier. */
bool dbshim_barrier(void);
void dbshim_yield(void);

#define DBSHIM_LAST_ROUND                                                                          \
    "this thread is in the last round of its end: call the library from an earlier destructor, "   \
    "or from another thread"

#ifdef _WIN32
/*
 * On Windows the runtime of Go keeps nothing for a thread of the host between two calls. A call
 * from any destructor is therefore a call like every other.
 */
static inline bool dbshim_last_round(const dbshim_thread *thread) {
    (void)thread;
    return false;
}
#else
/* True: the thread is in the last round of its destructors and may not enter Go. */
bool dbshim_last_round(const dbshim_thread *thread);
/*
 * Bytes of an alternate stack of the library. It has room for a handler's 64 KiB and the largest
 * frame of any processor.
 */
#define DBSHIM_SIGNAL_STACK_SIZE (UINT32_C(256) << 10)
/* An alternate stack. The page below the stack is a guard page. */
void *dbshim_signal_stack(dbshim_thread *thread);
#endif

/* ---- clock.c --------------------------------------------------------------------------------- */

uint64_t dbshim_monotonic(void); /* CLOCK_MONOTONIC ns, or the clock of Windows in its place */
/* Does the housekeeping of a tick that is due. False: Go has to do the housekeeping. */
bool dbshim_begin_turn(datablock_inline_coarse_clock *clock);

/* ---- handle_table.c -------------------------------------------------------------------------- */

extern datablock_inline_handle_entry *dbshim_handle_table;

enum { DBSHIM_ENTRIES = 1 << 16 };

void dbshim_table_start(void);
void dbshim_table_wipe(void); /* async-signal-safe */

static inline uint32_t dbshim_index(uint64_t handle) {
    return (uint32_t)(handle >> DATABLOCK_INLINE_INDEX_SHIFT);
}

/* Opening: reserve, then publish the opened object, or withdraw. */
datablock_status dbshim_reserve(uint64_t kind, uint64_t *handle);
void dbshim_publish(uint64_t handle, void *state, const char *name);
void dbshim_withdraw(uint64_t handle);
const char *dbshim_name(uint32_t index);

/*
 * A call: take, then leave. dbshim_leave decides the final status. If another thread is about to
 * close the handle, the slot would be gone before the caller could look at it. In a damaged block
 * no result is true.
 */
datablock_status dbshim_take(uint64_t handle, uint64_t kind);
datablock_status dbshim_leave(datablock_status status, bool begins_slot);
void dbshim_poison(uint64_t handle, const char *text);
void dbshim_damage(datablock_inline_handle_entry *entry);
void dbshim_damage_current(void); /* from Go: the current call of this thread met a fault */
bool dbshim_is_closing(const datablock_inline_handle_entry *entry);
bool dbshim_is_damaged(const datablock_inline_handle_entry *entry);

/*
 * Closing: of several closing threads one gets the handle. A call that is inside is interrupted
 * until it has left. Then vacate.
 */
datablock_status dbshim_take_to_close(uint64_t handle, uint64_t kind);
void dbshim_vacate(uint64_t handle);

/* ---- calls.c: how every exported function begins and ends ------------------------------------ */

/* The directory in which a block name is looked up. */
typedef struct dbshim_directory {
    char *path; /* NULL: the default. "": the name has the directory */
    char copy[DBSHIM_PATH_SIZE];
} dbshim_directory;

datablock_status dbshim_begin_handle_call(const char *function, const char *missing,
                                          uint64_t handle, uint64_t kind);
datablock_status dbshim_begin_named_call(const char *function, const char *shm_name,
                                         const char *missing, dbshim_directory *directory);
datablock_status dbshim_refuse_null(const char *function, const char *argument);
datablock_status dbshim_opened(datablock_status status, uint64_t handle, void *state,
                               const char *name, uint64_t *out);
datablock_status dbshim_close_here(uint64_t handle, uint64_t kind,
                                   int (*close)(uint32_t index, char *detail));
bool dbshim_enter(void); /* false: refused */
datablock_status dbshim_refusal(
    void); /* why the calling thread was refused: FORKED, BUSY, SYSTEM */
datablock_status dbshim_end(uint64_t handle, datablock_status status, bool begins_slot);
struct dbshim_sleep;
/* True: the thread has slept, and makes the next step. False: the call has ended with `status`. */
bool dbshim_slept(const struct dbshim_sleep *sleep, int status);

/* ---- paths_linux.c, paths_windows.c, arguments.c --------------------------------------------- */

/*
 * Copies an environment variable to `copy`, which has DBSHIM_PATH_SIZE bytes. Returns its length,
 * or -1: not set. Of a variable of DBSHIM_PATH_SIZE bytes or more, `copy` has the beginning, and
 * the length is DBSHIM_PATH_SIZE.
 */
int dbshim_environment(const char *variable, char *copy);
/* Where the registry of schemas is, as platform.DataDirectory has it: a path below the directory
 * that the first variable names, or else the second. */
#ifdef _WIN32
#define DBSHIM_DATA "LOCALAPPDATA"
#define DBSHIM_BELOW_DATA "\\DataBlock\\schemas"
#define DBSHIM_HOME "USERPROFILE"
#define DBSHIM_BELOW_HOME "\\AppData\\Local\\DataBlock\\schemas"
#else
#define DBSHIM_DATA "XDG_DATA_HOME"
#define DBSHIM_BELOW_DATA "/datablock/schemas"
#define DBSHIM_HOME "HOME"
#define DBSHIM_BELOW_HOME "/.local/share/datablock/schemas"
#endif
bool dbshim_is_absolute(const char *path);
/* What follows the last separator of a path. */
const char *dbshim_last_name(const char *path);
datablock_status dbshim_find_directory(dbshim_directory *directory, const char *what,
                                       const char *given);
datablock_status dbshim_find_block(dbshim_directory *directory, const char *what, const char *name,
                                   const char *given);
datablock_status dbshim_import_config(const datablock_config *config, const char *name,
                                      datablock_config *own, char *registry,
                                      dbshim_directory *directory);
datablock_status dbshim_import_options(const datablock_consumer_options *options, const char *name,
                                       datablock_consumer_options *own, char *registry,
                                       dbshim_directory *directory);

/* ---- errors.c -------------------------------------------------------------------------------- */

/* The only text that a thread may need when there was no memory to keep it in. */
#define DBSHIM_NO_MEMORY "no memory for this thread's part of the library: free some, and try again"
extern _Thread_local bool dbshim_without_memory;

__attribute__((format(DBSHIM_PRINTF, 1, 2))) datablock_status dbshim_invalid(const char *format,
                                                                             ...);
datablock_status dbshim_null_argument(const char *function, const char *argument);

/* ---- schema.c -------------------------------------------------------------------------------- */

datablock_status dbshim_check_schema(const char *what,
                                     const datablock_schema *schema); /* may be NULL */
/*
 * Finds the registry of a reference. The reference may be NULL. The registry is NULL only if the
 * environment names none either. `copy` has DBSHIM_PATH_SIZE bytes.
 */
datablock_status dbshim_find_registered(const char *what, const char *reference,
                                        const char **registry, char *copy);

/* ---- recovery.c ------------------------------------------------------------------------------ */

int dbshim_diagnosis_of(datablock_status refused);

/* ---- sigbus_linux.c -------------------------------------------------------------------------- */

#ifdef _WIN32
/* Windows refuses to truncate a file that is mapped. So no access to a mapping can fault. */
static inline void dbshim_catch_faults(void) {}
#else
void dbshim_catch_faults(void); /* after Go has started */
#endif

/* ---- futex_linux.c, futex_windows.c: sleeping and waking, across processes ------------------- */

void dbshim_futex_wake(uint32_t *word);
/* The caller polls again, whatever ended the sleep. */
void dbshim_futex_wait(uint32_t *word, uint32_t value, uint64_t ns);

#define DBSHIM_FUTEX_MAX 128 /* FUTEX_WAITV_MAX */
#define DBSHIM_FUTEX_SIZE_32 2 /* FUTEX_32; not private */

/* One of several words to sleep on: struct futex_waitv of Linux, which older headers lack. */
typedef struct dbshim_waiter {
    uint64_t value;
    uint32_t *word;
    uint32_t flags;
    uint32_t reserved;
} dbshim_waiter;

/*
 * Sleeps while every word has its value, and no word is woken. A word may be in a mapping that is
 * gone. False: the system cannot sleep on several words.
 */
bool dbshim_futex_wait_any(dbshim_waiter *words, size_t count, uint64_t ns);

/* ---- protocol_wait.c ------------------------------------------------------------------------- */

/* Consumer.Next of the handle that the thread has taken. Everything unusual is left to Go. */
datablock_status dbshim_read(dbshim_thread *thread, uint32_t index, int64_t timeout_ms,
                             datablock_read_slot *out);

/* ---- signals_linux.c, thread_windows.c: how a thread of the host enters Go ------------------- */

#ifdef _WIN32
static inline void dbshim_block_signals(dbshim_mask *before) { before->unused = 0; }
static inline void dbshim_restore_signals(const dbshim_mask *before) { (void)before; }
#else
void dbshim_block_signals(dbshim_mask *before); /* the asynchronous ones */
void dbshim_restore_signals(const dbshim_mask *before);
#endif
/* Calls the function once in a process. No signal handler runs meanwhile. */
void dbshim_once(dbshim_once_flag *once, void (*body)(void));
void dbshim_lock(dbshim_mutex *mutex);
void dbshim_unlock(dbshim_mutex *mutex);
void dbshim_go_begin(dbshim_thread *thread);
int dbshim_go_end(dbshim_thread *thread, int result); /* returns the result */
void dbshim_bind(
    dbshim_thread
        *thread); /* before a thread's first call: a later entry into Go allocates nothing */

/* A call of Go. Its result is an int. */
#define DBSHIM_GO(thread, call) (dbshim_go_begin(thread), dbshim_go_end((thread), (call)))

#define DBSHIM_HELD_MAX 32

/* What the thread sleeps on after a step of a call that waits. Zero before the first step. */
typedef struct dbshim_sleep {
    uint32_t *word; /* in the mapping of the handle that the thread has taken */
    uint64_t ns; /* at most */
    uint32_t value; /* while the word has it */
    bool again; /* the next step is not the first */
    bool counted; /* the caller has counted the wait */
    /*
     * If held_count is not 0, the thread sleeps only while other descriptions lock these bytes of
     * the descriptor's file.
     */
    int descriptor;
    uint32_t held_count;
    bool late; /* the bytes are queried less often */
    int64_t held[DBSHIM_HELD_MAX];
} dbshim_sleep;

/*
 * Whether a timeout is one of DATABLOCK_WAIT_PART, its milliseconds, and its flags. Any other
 * timeout is that of a whole wait.
 */
static inline bool dbshim_is_part(int64_t timeout_ms) {
    return (uint64_t)timeout_ms >> 48 == DATABLOCK_PART_MARK;
}

static inline int64_t dbshim_part_ms(int64_t timeout_ms) {
    return dbshim_is_part(timeout_ms) ? (int64_t)(uint32_t)timeout_ms : timeout_ms;
}

static inline uint32_t dbshim_part_flags(int64_t timeout_ms) {
    return dbshim_is_part(timeout_ms) ? (uint32_t)(timeout_ms >> 32) & 0xffff
                                      : (uint32_t)(DATABLOCK_PART_FIRST | DATABLOCK_PART_LAST);
}

#define DBSHIM_SLEEP                                                                               \
    (-1) /* the result of a step after which the thread sleeps and makes another step */

void dbshim_pause(uint64_t ns); /* no cancellation point */

/* ---- protocol_sleep_held_linux.c, futex_windows.c -------------------------------------------- */

/* How the thread sleeps when held_count is not 0. */
void dbshim_sleep_held(const dbshim_sleep *sleep);

/* ---- producer.c ------------------------------------------------------------------------------ */

/* Producer.Claim and Commit of the handle that the thread has taken. */
datablock_status dbshim_claim(dbshim_thread *thread, uint32_t index, int64_t timeout_ms,
                              datablock_write_slot *out);
datablock_status dbshim_commit(dbshim_thread *thread, uint32_t index,
                               const datablock_write_slot *slot, size_t length);

/* ---- fork_linux.c, thread_windows.c ---------------------------------------------------------- */

/* True: Go may be entered. False in a forked child. Starts the table of handles. */
bool dbshim_usable(void);

#ifdef _WIN32

static inline datablock_status dbshim_close_handle(uint64_t handle, uint64_t kind,
                                                   int (*close)(uint32_t index, char *detail)) {
    return dbshim_close_here(handle, kind, close);
}

#else

/* dbshim_close_here, also for a thread in the last round of its end. */
datablock_status dbshim_close_handle(uint64_t handle, uint64_t kind,
                                     int (*close)(uint32_t index, char *detail));
void dbshim_nap(uint64_t ns); /* Go -> C */

/*
 * Go calls these functions. Begin and end bracket the opening and closing of lock descriptors, and
 * exclude fork. Different threads may call them. opened and closing maintain the list of
 * descriptors that a forked child closes.
 */
void dbshim_fork_begin(void);
void dbshim_fork_end(void);
void dbshim_fork_opened(int fd);
void dbshim_fork_closing(int fd);

#endif

/* ---- C -> Go --------------------------------------------------------------------------------- */

/*
 * These functions return a datablock_status (0 .. 26), or what the function of datablock.h returns.
 * They write `out` only when the status is DATABLOCK_OK.
 *
 * The caller has checked the arguments for null. A directory may be null (the default) or empty
 * (the name is an absolute path). An index is the index of a handle that the thread has taken.
 * `detail` has DBSHIM_DETAIL_SIZE bytes and is an empty text at the call. Memory behind any pointer
 * belongs to the caller and is not kept. `state` is valid until the close.
 */
int dbgo_producer_open(uint32_t index, char *name, char *directory, datablock_config *config,
                       void **state, char *detail);
int dbgo_producer_close(uint32_t index, char *detail);
/* In steps. */
int dbgo_write_begin(uint32_t index, int64_t timeout_ms, datablock_write_slot *out,
                     dbshim_sleep *sleep, char *detail);
int dbgo_write_commit(uint32_t index, uint64_t id, uint32_t slot, size_t length, char *detail);
int dbgo_write_checksum(uint32_t index, uint64_t id, uint32_t slot, size_t length, char *detail);
int dbgo_write_abort(uint32_t index, uint64_t id, uint32_t slot, char *detail);

int dbgo_consumer_open(uint32_t index, char *name, char *directory,
                       datablock_consumer_options *options, void **state, char *detail);
int dbgo_consumer_close(uint32_t index, char *detail);
/* In steps. */
int dbgo_read_begin(uint32_t index, int64_t timeout_ms, datablock_read_slot *out,
                    dbshim_sleep *sleep, char *detail);
int dbgo_read_look_around(uint32_t index, char *detail); /* the housekeeping of a consumer */
/* Checks whether a message can still come. One may have come meanwhile. */
int dbgo_read_probe(uint32_t index, datablock_read_slot *out, _Bool *found, char *detail);
/* The end of a wait that found nothing. */
int dbgo_read_conclude(uint32_t index, int64_t timeout_ms, datablock_read_slot *out, char *detail);
int dbgo_consumer_resumed(uint32_t index, _Bool *resumed, char *detail);
int dbgo_producer_next_id(uint32_t index, uint64_t *id, char *detail);
int dbgo_consumer_ready(uint32_t index, _Bool *ready, char *detail);
int dbgo_read_at(uint32_t index, uint64_t id, datablock_read_slot *out, char *detail);
/* More messages of the batch that begins with this message. */
int dbgo_read_more(uint32_t index, uint64_t id, uint32_t slot, uint32_t token,
                   datablock_read_slot *out, size_t capacity, size_t *count, char *detail);
int dbgo_read_verify(uint32_t index, uint64_t id, uint32_t slot, uint32_t token, char *detail);
/* Ends a hold, in any order. */
int dbgo_read_copied(uint32_t index, uint64_t id, uint32_t slot, uint32_t token, char *detail);
/* Gives back the message that was taken last: the next read gets it again. */
int dbgo_read_give_back(uint32_t index, uint64_t id, uint32_t slot, uint32_t token, uint64_t length,
                        uint64_t missed, char *detail);
/* As dbgo_read_give_back, for a message that the program has received. */
int dbgo_read_undo(uint32_t index, uint64_t id, uint32_t slot, uint32_t token, uint64_t length,
                   uint64_t missed, char *detail);
int dbgo_read_end(uint32_t index, uint64_t id, uint32_t slot, uint32_t token, char *detail);

/* Ends the hold of the first messages that a hold covers. */
int dbgo_read_end_first(uint32_t index, uint64_t id, uint32_t slot, uint32_t token,
                        uint64_t messages, char *detail);
/* In steps. */
int dbgo_read_id(uint32_t index, uint64_t id, int64_t timeout_ms, datablock_read_slot *out,
                 dbshim_sleep *sleep, char *detail);

int dbgo_observer_open(uint32_t index, char *name, char *directory,
                       datablock_consumer_options *options, char *detail);
int dbgo_observer_close(uint32_t index, char *detail);
int dbgo_observe(uint32_t index, uint64_t id, void *buffer, size_t capacity,
                 datablock_observation *out, char *detail);

/* In steps. The handle belongs to a producer or to a consumer, as in the next three functions. */
int dbgo_lock_acquire(uint32_t index, uint32_t lock, int64_t timeout_ms, _Bool *abandoned,
                      dbshim_sleep *sleep, char *detail);
int dbgo_lock_release(uint32_t index, uint32_t lock, char *detail);
/* In steps. */
int dbgo_zone_begin(uint32_t index, uint32_t flags, int64_t timeout_ms, datablock_zone *out,
                    dbshim_sleep *sleep, char *detail);
int dbgo_zone_end(uint32_t index, _Bool spoilt, char *detail);

int dbgo_schema_parse(char *text, datablock_schema *out,
                      char *detail); /* the caller frees out->canonical */
/* `line` is a canonical line, and `out` has the version. The caller frees out->canonical. */
int dbgo_schema_describe(char *line, datablock_schema *out, char *detail);
int dbgo_schema_of_block(char *name, char *directory, int zone, datablock_schema *out,
                         char *detail);
int dbgo_schema_of_handle(uint32_t index, int zone, datablock_schema *out, char *detail);
/* The registry may be null: the default. */
int dbgo_schema_lookup(char *reference, char *registry, datablock_schema *out, char *detail);
int dbgo_schema_register(datablock_schema *schema, char *registry, char *detail);
int dbgo_schema_check(datablock_schema *producer, datablock_schema *consumer, uint32_t mode,
                      char *detail);

#ifdef _WIN32
/* Sleeping and waking: internal/platform has the only body of it there. */
int dbgo_futex_wake(uint32_t *word);
int dbgo_futex_wait(uint32_t *word, uint32_t value, uint64_t ns);
int dbgo_futex_wait_any(dbshim_waiter *words, size_t count, uint64_t ns);
int dbgo_sleep_held(uint32_t index);
#endif

void dbgo_bind(void);
void dbgo_crash_point(char *name); /* test builds only */

int dbgo_list(char *directory, datablock_block_info *out, size_t capacity, size_t *count,
              char *detail);
int dbgo_unlink(char *name, char *directory, uint32_t flags, char *detail);

int dbgo_diagnose_slot(char *name, char *directory, uint32_t slot, SlotDiagnostic *out,
                       char *detail);
int dbgo_diagnose_all_slots(char *name, char *directory, SlotDiagnostic *out, size_t capacity,
                            size_t *count, char *detail);
_Bool dbgo_is_process_alive(uint64_t pid, char *detail);
int dbgo_release_zombie_readers(char *name, char *directory, uint32_t slot, char *detail);
int dbgo_release_zombie_writer(char *name, char *directory, uint32_t slot, char *detail);
int dbgo_get_metrics(char *name, char *directory, datablock_metrics *out, char *detail);
int dbgo_list_participants(char *name, char *directory, datablock_participant_info *out,
                           size_t capacity, char *detail);
int dbgo_force_reset_slot(char *name, char *directory, uint32_t slot, _Bool force, char *detail);
int dbgo_force_reset_all_slots(char *name, char *directory, _Bool force, char *detail);
int dbgo_evict_consumer(char *name, char *directory, uint32_t row, _Bool force, char *detail);
int dbgo_recovery_log(char *name, char *directory, datablock_recovery_record *out, size_t capacity,
                      char *detail);
int dbgo_cleanup_dead_consumers(char *name, char *directory, uint64_t timeout_ns, char *detail);

int dbgo_validate_integrity(char *name, char *directory, IntegrityCheck *out, char *detail);
int dbgo_repair(char *name, char *directory, _Bool force, IntegrityCheck *out, _Bool *filled,
                char *detail);
/* The caller frees *steps. */
int dbgo_auto_recover(char *name, char *directory, _Bool dry_run, datablock_recovery_step **steps,
                      size_t *count, char *detail);

#endif
