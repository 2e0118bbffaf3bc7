/*
 * datablock.h - crash-proof shared-memory data exchange
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * OVERVIEW
 *
 * A *block* is a named channel in shared memory. One *producer* writes *messages*, numbered 0, 1, 2 ... without gaps, into a *ring*
 * of the last `slot_count` messages; any number of *consumers* in other processes read them in place. Any of them may be killed
 * with SIGKILL at any instruction: the others go on, nothing committed is lost, and nobody reads half a message.
 *
 *     datablock_config config;                               datablock_consumer consumer;
 *     datablock_producer producer;                           datablock_read_slot in;
 *     datablock_write_slot out;
 *                                                            datablock_consumer_open("camera", NULL, &consumer);
 *     datablock_config_init(&config, DATABLOCK_RING);        while (datablock_read_begin(consumer, -1, &in) == DATABLOCK_OK) {
 *     config.slot_count = 8;                                     use(in.data, in.length);
 *     config.slot_size = 4096;                                   datablock_read_end(consumer, &in);
 *     datablock_producer_open("camera", &config, &producer); }
 *     datablock_write_begin(producer, -1, &out);             datablock_consumer_close(consumer);
 *     memcpy(out.data, frame, n);
 *     datablock_write_commit(producer, &out, n);
 *     datablock_producer_close(producer);
 *
 * Link with -ldatablock. Programs that exchange many small messages include datablock_inline.h instead, which has the same
 * functions inline. The sections below go from simple to special: status, configuration, writing, reading, housekeeping,
 * diagnosis and recovery.
 *
 * RULES THAT HOLD EVERYWHERE
 *
 *  - Zero (DATABLOCK_OK) is success. On any other status the out parameters are untouched unless it is said otherwise, and
 *    datablock_error_detail() has a sentence that says what was wrong, with the values, and what to do.
 *  - Timeouts are `int64_t` milliseconds: 0 does not wait, -1 waits for ever, > 0 waits that long at most. Another negative
 *    number is DATABLOCK_E_INVALID.
 *  - A block is named by a plain name ("camera": letters, digits, '.', '_', '-'; at most 200 bytes; not beginning with '.' or '-', not
 *    ending in ".ctl"), found in the configured directory, else in $DATABLOCK_DIR (read at each call), else in /dev/shm; or by an absolute path
 *    ("/run/blocks/camera").
 *  - A handle may be used by one thread at a time; a second one gets DATABLOCK_E_BUSY. The exception is closing: close from
 *    any thread makes a waiting call on the same handle return DATABLOCK_E_CLOSED. Different handles are independent.
 *  - Handles are never reused: a closed, stale or zeroed handle gives DATABLOCK_E_HANDLE, never a crash.
 *  - Out structs are owned by the caller, memory they point to is owned by the block and is valid until the slot ends.
 *  - In structs, and all that they point to (names, secrets, schemas, layouts), are read during the call only. The
 *    library keeps no pointer of the caller's: all of it may be freed when the call has returned.
 *  - A handle is a struct of one uint64_t, passed by value: on amd64 and arm64 as one uint64_t.
 *
 * BINDINGS
 *
 *  - With DATABLOCK_DECLARATIONS_ONLY defined this header has declarations and nothing else: no attributes, no
 *    function bodies and no #include. It is for tools that read C but do not compile it. datablock_of_producer and
 *    datablock_of_consumer, which are inline otherwise, are then declared as the exported functions that they
 *    are too.
 *        cffi:      cc -E -P -DDATABLOCK_DECLARATIONS_ONLY datablock.h >declarations   (for ffi.cdef)
 *        libclang:  -DDATABLOCK_DECLARATIONS_ONLY -include stdbool.h -include stddef.h -include stdint.h
 *    DATABLOCK_API may be defined too, to what then stands before each function.
 *  - The text of datablock_error_detail belongs to the thread of the operating system that made the call. A host
 *    whose code moves between threads keeps the call and datablock_error_detail_copy together: in one native
 *    function, or with the thread locked (runtime.LockOSThread in Go).
 *
 * THREADS AND CLOSING
 *
 *  - A call holds its handle from its beginning to its end. A close from another thread ends a wait
 *    (the waiting call returns DATABLOCK_E_CLOSED) and waits for everything else that a call does:
 *    a copy, a checksum, a step of a counter. Of a batch it waits for the message that is being
 *    written, and the batch returns DATABLOCK_E_CLOSED. A call that begins later returns
 *    DATABLOCK_E_HANDLE.
 *  - A close does not wait for the program's own use of `data` of a write slot, a read slot, a batch
 *    or the zone. It unmaps that memory, and the next block that the process opens may have the same
 *    address. Before a thread closes a handle, no other thread may use such a pointer any more.
 *  - datablock_write, datablock_write_batch, datablock_read_copy and datablock_observe give out no
 *    pointer: they may run in one thread while another one closes the handle.
 *  - The library reads and writes the caller's memory during the call only, and of a buffer no more
 *    than the message needs. A wild pointer faults in the calling thread, in C.
 *  - A signal handler must not leave a call by siglongjmp, nor a fault's handler: the handle would
 *    be held for ever, and a close would wait for ever.
 *
 * CAVEATS
 *
 *  - One producer per block, by design. Fan-in is several blocks. One machine.
 *  - A LOSSLESS consumer holds the producer up while it is slow or stopped; a killed one is released automatically, but for a durable one,
 *    whose place is kept until it comes back or datablock_cleanup_dead_consumers gives it up. LATEST and ORDERED ones never do.
 *  - Signal handlers: see SIGNALS AND THREADS below.
 *  - No signal ends a wait. A program that wants to end on SIGINT waits with a finite timeout in a loop, or closes the handle from another
 *    thread. A wait for ever does not end because the producer died, either: a restarted one goes on where it stopped.
 *  - Files NAME.*.ctl that a process left behind, which was killed or ended without closing, are removed by the next producer of that name, or by `datablock-admin gc`.
 *  - After fork() the library cannot be used in the child (DATABLOCK_E_FORKED) until exec; the child has no access to payloads
 *    that the parent writes. Open blocks in the child of a fresh process instead.
 *  - If somebody truncates a block's file while it is open, the call that meets the missing part
 *    returns DATABLOCK_E_CORRUPT, or the next call on the handle does; a call that copies returns it
 *    at once. A load or store of the program's own, through the pointer of a slot or the zone, raises
 *    SIGBUS: a program that copies has no such pointer.
 *  - Whoever may write the control file (by default: your own uid) can stall or skip consumers, though never alter a written message.
 *    Consumers map messages read-only: a write to `in.data` is a segmentation fault of the writer.
 *  - The library contains a Go runtime: threads of its own, and its handlers for SIGSEGV, SIGBUS and SIGFPE, which pass on to
 *    the handlers that were there before what is not theirs. A handler of SIGSEGV, SIGBUS or SIGSYS that a program installs later
 *    needs SA_ONSTACK and should do the same: it is how a truncated file becomes DATABLOCK_E_CORRUPT.
 *  - A thread that takes over a handle from another one pays a system call for it, once. If a seccomp filter that is installed
 *    later refuses membarrier, taking over fails with DATABLOCK_E_SYSTEM.
 *  - An open producer or consumer keeps two descriptors, which are 3 or more and close-on-exec; an observer keeps none. A program that closes
 *    descriptors that it has not opened (closefrom, daemon helpers) takes the handle's lock away: calls say DATABLOCK_E_SYSTEM within a
 *    tenth of a second or a thousand messages, locks and counters do not notice, and the library touches nothing that got the numbers. Open
 *    blocks after that, not before.
 *  - daemon() forks: a daemon that links the library gets DATABLOCK_E_FORKED. It loads the library by dlopen() after daemon(), or calls
 *    exec on itself, or stays in the foreground, as service managers want it.
 *  - A child that is made by clone(2) or _Fork(), not by fork(), keeps its parent's locks until it ends or calls exec.
 *  - The library needs 2 GB of address space (RLIMIT_AS, ulimit -v), most of it reserved and never used, and 6 threads (RLIMIT_NPROC). With less the
 *    Go runtime may end the process when the library is loaded, or later. All other limits lead to an error that names them.
 *
 * SIGNALS AND THREADS
 *
 *  - A signal handler of the program may interrupt any call, with or without SA_ONSTACK. (SIGSEGV, SIGBUS and SIGSYS are the
 *    exception, see above.) It runs on the stack of the thread that it interrupts, or on that thread's alternate stack. The
 *    library's own threads block every asynchronous signal. The library neither sends nor uses SIGURG, SIGALRM, SIGPROF, SIGCHLD
 *    or a real-time signal.
 *  - While a thread is in a part of the library that is written in Go, its asynchronous signals are blocked. That takes
 *    microseconds, but as long as the call where a call creates, validates or repairs a large block. A call that waits does not
 *    block signals while it sleeps. After every call the thread's signal mask is what it was.
 *  - A handler that interrupts a call of its thread gets DATABLOCK_E_BUSY from every function but datablock_wake,
 *    datablock_error_detail_copy,
 *    datablock_error_detail, datablock_strerror and datablock_version, also from a close: set a flag instead, and close when the
 *    call has returned. A handler that interrupts code of the program may call any function, if its thread has called the library
 *    before, but for those of schemas and datablock_auto_recover, which use malloc.
 *    datablock_wait_any and datablock_wait_any_or_wake are no such call while they sleep: they are in none of the handles.
 *  - A handler may end the process by exit(). If it has interrupted a call, every close in atexit functions and static destructors
 *    is BUSY, and the system releases the handles as after a kill: a stream is not marked as closed, and UNLINK_ON_CLOSE does
 *    nothing. A handler that sets a flag avoids that.
 *  - A handler may not leave by longjmp, by an exception or by pthread_exit when it has interrupted a call: the handle would stay
 *    BUSY.
 *  - A handler that calls the library replaces the text of its thread's last error.
 *  - A thread without an alternate signal stack gets one at its first call, of 256 KiB above a guard page, and keeps it. A thread
 *    that has one keeps its own, which needs 16 KiB where a handler on it calls the library. A program may install another one at
 *    any time. It must not leave the thread without one while
 *    the thread calls the library: a fault in a truncated file would then end the process.
 *  - No function is a cancellation point. A thread that is cancelled ends after the call. Asynchronous cancellation is not
 *    supported.
 *  - A destructor of a thread's end (of a pthread key, or of a C++ thread_local object) may use the library. In the last of the
 *    rounds in which the system runs them (PTHREAD_DESTRUCTOR_ITERATIONS) a close still works, and a call that needs Go is
 *    DATABLOCK_E_BUSY.
 */
#ifndef DATABLOCK_H
#define DATABLOCK_H

#ifndef DATABLOCK_DECLARATIONS_ONLY
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(DATABLOCK_API)
#elif defined(DATABLOCK_DECLARATIONS_ONLY)
#define DATABLOCK_API
#elif defined(_WIN32) && defined(DATABLOCK_BUILD)
#define DATABLOCK_API __declspec(dllexport)
#elif defined(_WIN32)
#define DATABLOCK_API __declspec(dllimport)
#else
#define DATABLOCK_API __attribute__((visibility("default")))
#endif

#define DATABLOCK_VERSION_MAJOR 1
#define DATABLOCK_VERSION_MINOR 0
#define DATABLOCK_VERSION_PATCH 0
#define DATABLOCK_VERSION ((DATABLOCK_VERSION_MAJOR * 1000 + DATABLOCK_VERSION_MINOR) * 1000 + DATABLOCK_VERSION_PATCH)

/* The version of the loaded library, as DATABLOCK_VERSION. It works with every header of the same major version that is not newer. */
DATABLOCK_API uint32_t datablock_version(void);

/* ---- Status -------------------------------------------------------------------------------------------------------------------- */

/* name, value, text of datablock_strerror. Values are only ever appended. docs/errors.md says when each occurs and what to do. */
#define DATABLOCK_STATUS_LIST(X)                                                                                                      \
    X(DATABLOCK_OK, 0, "success")                                                                                                     \
    X(DATABLOCK_E_TIMEOUT, 1, "timed out")                                                                                            \
    X(DATABLOCK_E_INVALID, 2, "invalid argument or call out of order")                                                                \
    X(DATABLOCK_E_NOT_FOUND, 3, "no such block, message or directory")                                                                           \
    X(DATABLOCK_E_EXISTS, 4, "already exists")                                                                                        \
    X(DATABLOCK_E_PRODUCER_ACTIVE, 5, "the block has a living producer")                                                              \
    X(DATABLOCK_E_ACCESS, 6, "permission denied")                                                                                     \
    X(DATABLOCK_E_SECRET, 7, "the shared secret differs")                                                                             \
    X(DATABLOCK_E_CORRUPT, 8, "not a valid block, or damaged")                                                                        \
    X(DATABLOCK_E_VERSION, 9, "unsupported format version")                                                                           \
    X(DATABLOCK_E_GEOMETRY, 10, "the block has another geometry")                                                                     \
    X(DATABLOCK_E_SCHEMA, 11, "the schema differs")                                                                                   \
    X(DATABLOCK_E_NO_SPACE, 12, "not enough space in the block directory")                                                            \
    X(DATABLOCK_E_FULL, 13, "the consumer limit is reached")                                                                          \
    X(DATABLOCK_E_BUSY, 14, "in use")                                                                                                 \
    X(DATABLOCK_E_CLOSED, 15, "closed")                                                                                               \
    X(DATABLOCK_E_SUPERSEDED, 16, "the block was replaced or removed: attach again")                                                             \
    X(DATABLOCK_E_FENCED, 17, "fenced by a forced recovery")                                                                          \
    X(DATABLOCK_E_OVERRUN, 18, "the message was overwritten")                                                                         \
    X(DATABLOCK_E_LOST, 19, "the message was discarded by an operator")                                                               \
    X(DATABLOCK_E_NO_PRODUCER, 20, "nothing to read and no producer")                                                                 \
    X(DATABLOCK_E_NO_SPARE, 21, "not enough spare slots for another pin")                                                             \
    X(DATABLOCK_E_CHECKSUM, 22, "checksum mismatch")                                                                                  \
    X(DATABLOCK_E_FORKED, 23, "not usable in a forked child")                                                                         \
    X(DATABLOCK_E_HANDLE, 24, "stale, closed or null handle")                                                                         \
    X(DATABLOCK_E_SYSTEM, 25, "operating system error")                                                                               \
    X(DATABLOCK_E_PANIC, 26, "internal error; the handle is poisoned")

typedef enum datablock_status {
#define DATABLOCK_STATUS_ENUM(name, value, text) name = value,
    DATABLOCK_STATUS_LIST(DATABLOCK_STATUS_ENUM)
#undef DATABLOCK_STATUS_ENUM
    DATABLOCK_STATUS_FORCE_INT = 0x7fffffff
} datablock_status;

/* The fixed English text of a status; "unknown status" for any other number. Static memory, never NULL; any thread. */
DATABLOCK_API const char *datablock_strerror(datablock_status status);

/* What exactly went wrong in this thread's last call: the values and what to do; after a call that succeeded it is "", or, after a diagnosis, who
 * holds what is stuck. UTF-8, under 1024 bytes. The text stays valid until this thread's next call of the library. Never NULL. */
DATABLOCK_API const char *datablock_error_detail(void);

/*
 * Copies that text, which ends with zero, into `buffer`, as far as `capacity` bytes go, and never cuts a character of it.
 * `buffer` may be NULL if `capacity` is 0. Returns the capacity that the whole text needs, its zero included: at most 1024.
 */
DATABLOCK_API size_t datablock_error_detail_copy(char *buffer, size_t capacity);

/* ---- Configuration of a block -------------------------------------------------------------------------------------------------- */

typedef enum datablock_policy {
    DATABLOCK_SINGLE = 1,        /* one message, the newest; consumers default to LATEST, LOSSLESS forbidden unless allowed */
    DATABLOCK_DOUBLE_BUFFER = 2, /* two messages, as SINGLE */
    DATABLOCK_RING = 3           /* slot_count messages; consumers default to LOSSLESS */
} datablock_policy;

enum {
    DATABLOCK_FLAG_ALLOW_LOSSLESS = 1u << 0,  /* consumers may hold the producer up, also of a SINGLE or DOUBLE_BUFFER; a RING allows it anyhow */
    DATABLOCK_FLAG_REPLACE = 1u << 1,         /* if the existing block has another geometry: replace it instead of failing */
    DATABLOCK_FLAG_FORCE = 1u << 2,           /* with REPLACE: replace even while a producer holds the block; it is fenced */
    DATABLOCK_FLAG_UNLINK_ON_CLOSE = 1u << 3, /* a clean producer_close removes the block; attached consumers drain it */
    DATABLOCK_FLAG_TIMESTAMP = 1u << 4,       /* stamp each message at commit (CLOCK_REALTIME, nanoseconds) */
    DATABLOCK_FLAG_FORBID_LOSSLESS = 1u << 5  /* consumers may not hold the producer up; wins over ALLOW_LOSSLESS */
};

typedef enum datablock_checksum {
    DATABLOCK_CHECKSUM_NONE = 0,
    DATABLOCK_CHECKSUM_MANUAL = 1,  /* made by datablock_write_checksum, compared by datablock_read_verify */
    DATABLOCK_CHECKSUM_ENFORCED = 2 /* made at each commit, compared before a reader sees the message; about a nanosecond a byte on each side */
} datablock_checksum;

struct datablock_schema;

/*
 * Zero means "the default" in every field but `size` and `slot_size`; a `policy` of 0 is a RING. A producer that opens an existing block must ask for the geometry it has (slot_count,
 * slot_size, alignment, policy, consumer_limit, spare_slots, min_consumers, checksum, retention_ms, zone_size, ALLOW_LOSSLESS, TIMESTAMP): DATABLOCK_E_GEOMETRY names what differs;
 * and with the schema it has: DATABLOCK_E_SCHEMA. A RING with neither ALLOW_LOSSLESS nor FORBID_LOSSLESS allows LOSSLESS when it
 * makes the block, and takes over one that forbids it.
 *
 * Memory: slot_count + spare_slots slots of (64 + slot_size rounded up to the alignment) bytes, 8 bytes a ring entry,
 * and under 64 KiB fixed at 64 consumers. All of it is reserved at creation: a full directory is an error then, not a SIGBUS later.
 */
typedef struct datablock_config {
    uint32_t size;           /* sizeof(datablock_config), set by datablock_config_init */
    uint32_t flags;          /* DATABLOCK_FLAG_* */
    uint32_t policy;         /* datablock_policy */
    uint32_t slot_count;     /* messages kept, 1 .. 1048576; default 1, 2 or 8 by policy (and then 1 and 2 are the only choice) */
    uint32_t spare_slots;    /* beyond them; at least 2. Default 1 + consumer_limit + batch (8; 4 above 64 KiB, 1 above 1 MiB) */
    uint32_t alignment;      /* of the payload: a power of two up to 4096; default 64, the least */
    uint64_t slot_size;      /* payload capacity in bytes, 1 .. 2^40; required, unless there is a schema, whose size is the default */
    uint32_t consumer_limit; /* attached at once, 1 .. 255; default 16 */
    uint32_t min_consumers;  /* less than spare_slots; while fewer are attached nothing is overwritten: the producer waits; default 0. Of the dead only a durable
                                LOSSLESS consumer counts, whose place is kept */
    uint32_t mode;           /* who may attach, independent of umask; default 0600: the own uid. 0660: the group too (and may produce); 0640: the group
                                may attach only; 0646: everybody may attach, and still not write messages. With 0644 others may look at the data file
                                but not attach, because attaching takes a control file that they may write */
    uint32_t checksum;       /* datablock_checksum; default none */
    const char *directory;   /* NULL: $DATABLOCK_DIR, else /dev/shm; must be absolute */
    const void *secret;      /* shared secret, checked at attach (a mix-up check, not a defence: permissions are) */
    size_t secret_length;    /* bytes, at most 1024; 0: none */
    uint64_t retention_ms;   /* how long a durable consumer that died keeps its place; at most 2^40; 0: for ever */
    uint64_t zone_size;      /* bytes of the flexible zone, at most 2^30; default 4032 */
    const struct datablock_schema *schema; /* what a message is; written into the block when it is made, and compared when it is taken over (SCHEMA). NULL: what `registered` means, or nothing is said of it */
    const char *registered;  /* the schema by a reference to the registry, "SensorReading@2.1"; with a `schema` as well, that has to be the registered one (SCHEMA). NULL: none */
    const char *registry;    /* its directory; NULL: as in datablock_schema_lookup */
    const struct datablock_schema *zone_schema; /* what the flexible zone is, as `schema`; zone_size is then at least its size */
    uint64_t reserved[2];    /* zero */
} datablock_config;

/* Fills `config` with the defaults of `policy`. Errors: INVALID (null, unknown policy). */
DATABLOCK_API datablock_status datablock_config_init(datablock_config *config, datablock_policy policy);

/* ---- Writing ------------------------------------------------------------------------------------------------------------------- */

typedef struct datablock_producer {
    uint64_t handle;
} datablock_producer;

typedef struct datablock_write_slot {
    void *data;        /* `capacity` bytes to fill; contents are whatever was there */
    size_t capacity;   /* the block's slot_size */
    uint64_t id;       /* the id that a commit will publish */
    uint32_t index;    /* the slot's number, as in the diagnosis */
    uint32_t reserved; /* zero */
} datablock_write_slot;

/*
 * Creates the block, or takes over the existing one of that name and geometry: ids continue and attached consumers notice nothing.
 * Blocks briefly (system calls only). `config` may not be NULL.
 * Errors: INVALID, PRODUCER_ACTIVE (another process or handle writes it), ACCESS, SECRET, CORRUPT, VERSION, GEOMETRY, SCHEMA, NO_SPACE, NOT_FOUND (the
 * directory, the registered schema), SYSTEM.
 */
DATABLOCK_API datablock_status datablock_producer_open(const char *name, const datablock_config *config, datablock_producer *out);

/*
 * Marks the end of the stream (readers drain what is there, then get CLOSED), aborts an open claim, and releases the block. With UNLINK_ON_CLOSE also
 * removes it. A process that exits or dies without closing leaves a block that the next producer takes over.
 * Errors: HANDLE. Pointers into the block are invalid afterwards.
 */
DATABLOCK_API datablock_status datablock_producer_close(datablock_producer producer);

/*
 * The id of the next message that this producer publishes. A program that an exception or a signal
 * has interrupted compares this id before and after, and knows how many messages were published.
 * Never waits. Errors: INVALID (null), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_producer_next_id(datablock_producer producer, uint64_t *id);

/*
 * Claims a slot for the next message. Waits while a LOSSLESS consumer has yet to read the message that would be overwritten, or fewer than min_consumers are attached;
 * dead consumers are released meanwhile. One claim at a time.
 * Errors: INVALID (null, timeout, a claim is already open), TIMEOUT, SUPERSEDED (another producer replaced the block: open again), CLOSED (closed by another
 * thread), CORRUPT (truncated under us), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_write_begin(datablock_producer producer, int64_t timeout_ms, datablock_write_slot *out);

/*
 * Publishes the first `length` bytes of the claimed slot as message `slot->id`, atomically, and wakes waiting consumers. Never waits.
 * After success the slot belongs to the readers: do not write to it any more.
 * Errors: INVALID (null, length above the capacity, or below the size of the block's schema: the claim stays open; no such claim), FENCED or SUPERSEDED (nothing was published, the claim
 * has ended; after FENCED the next claim gets the same id), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_write_commit(datablock_producer producer, const datablock_write_slot *slot, size_t length);

/*
 * On a block with MANUAL checksums: stores the BLAKE2b-256 of the first `length` bytes of the claimed slot, which a commit of that length publishes. To be called
 * after the payload is filled. Errors: INVALID (null, no such claim, length above the capacity, a block without checksums), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_write_checksum(datablock_producer producer, const datablock_write_slot *slot, size_t length);

/* Gives the claimed slot back unpublished; the same id is claimed next. Errors: INVALID (no such claim), BUSY, HANDLE. */
DATABLOCK_API datablock_status datablock_write_abort(datablock_producer producer, const datablock_write_slot *slot);

/* ---- Reading ------------------------------------------------------------------------------------------------------------------- */

typedef struct datablock_consumer {
    uint64_t handle;
} datablock_consumer;

typedef enum datablock_delivery {
    DATABLOCK_DELIVERY_DEFAULT = 0, /* what fits the block's policy */
    DATABLOCK_LOSSLESS = 1,         /* every message, in order; the producer waits for it */
    DATABLOCK_ORDERED = 2,          /* in order; when lapped it skips and is told how many it missed; never holds the producer up */
    DATABLOCK_LATEST = 3            /* the newest; ids only rise; never holds the producer up */
} datablock_delivery;

typedef enum datablock_start {
    DATABLOCK_START_LATEST = 0, /* LOSSLESS, ORDERED: the next message committed after the attach; LATEST: the newest present */
    DATABLOCK_START_OLDEST = 1  /* the oldest message present */
} datablock_start;

/* Zero means "the default" in every field but `size`. */
typedef struct datablock_consumer_options {
    uint32_t size;         /* sizeof(datablock_consumer_options), set by datablock_consumer_options_init */
    uint32_t delivery;     /* datablock_delivery */
    uint32_t start;        /* datablock_start */
    uint32_t max_pins;     /* slots held at once, 1 .. 8; default 1. Each takes one of the block's spare slots */
    uint32_t durable;      /* 1: keep row and cursor when this consumer dies, and continue there under the same name; needs a name */
    uint32_t reserved0;    /* zero */
    const char *name;      /* shown in the diagnosis; at most 63 bytes; NULL: the program's name */
    const char *directory; /* as in datablock_config */
    const void *secret;    /* as in datablock_config */
    size_t secret_length;
    const struct datablock_schema *schema; /* what this consumer expects a message to be (SCHEMA: it is not); NULL: what `registered` means, or anything */
    uint32_t schema_mode;  /* datablock_schema_mode, also of the zone's */
    uint32_t reserved1;    /* zero */
    const char *registered; /* as in datablock_config */
    const char *registry;   /* as in datablock_config */
    const struct datablock_schema *zone_schema; /* what it expects the flexible zone to be (SCHEMA: it is not); NULL: anything */
    uint64_t reserved[3];  /* zero */
    int64_t wait_ms;       /* how long the open waits for a block that is not there; 0: not, -1: for ever. Of a consumer only */
} datablock_consumer_options;

typedef struct datablock_read_slot {
    const void *data;      /* `length` bytes, in place, read-only, valid until datablock_read_end */
    size_t length;         /* bytes */
    uint64_t id;           /* the message's id */
    uint64_t timestamp_ns; /* CLOCK_REALTIME at commit, 0 unless the block has DATABLOCK_FLAG_TIMESTAMP */
    uint64_t missed;       /* messages skipped between the previous one read and this one, at most 2^48-1; always 0 for LOSSLESS */
    uint32_t index;        /* the slot's number, as in the diagnosis */
    uint32_t token;        /* identifies the hold; do not change */
} datablock_read_slot;

/* Fills `options` with the defaults. Errors: INVALID (null). */
DATABLOCK_API datablock_status datablock_consumer_options_init(datablock_consumer_options *options);

/*
 * Attaches to an existing block. `options` may be NULL for the defaults. Blocks briefly (system calls only), unless
 * options.wait_ms says that it is to wait for the block: then it looks again every 16 ms or sooner.
 * Errors: INVALID (also: LOSSLESS on a block that forbids it), TIMEOUT (no block of that name within wait_ms), NOT_FOUND (also: the registered schema), ACCESS, SECRET, CORRUPT, VERSION, SCHEMA, FULL (consumer limit), NO_SPARE (max_pins of
 * all consumers would leave the producer no slot), BUSY (the durable name is attached elsewhere), SUPERSEDED, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_consumer_open(const char *name, const datablock_consumer_options *options, datablock_consumer *out);

/*
 * Whether a durable consumer goes on at the place that was kept under its name. If not, it has begun
 * as a new consumer does: it is the first of that name, or its place has expired (retention_ms) or
 * was removed, or the block was made anew. Then it may have missed messages of which `missed` does
 * not tell. The answer is of the moment of the attach and never changes. Never waits.
 * Errors: INVALID (null), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_consumer_resumed(datablock_consumer consumer, bool *resumed);

/* Detaches; slots still held are released, and pointers into the block are invalid afterwards. A durable consumer's row stays. Errors: HANDLE. */
DATABLOCK_API datablock_status datablock_consumer_close(datablock_consumer consumer);

/*
 * The next message, held in place until datablock_read_end. Up to max_pins messages may be held at once.
 * Errors: INVALID (null, timeout), TIMEOUT, NO_PRODUCER (the time ran out and nobody has the block open for writing; a restarted producer goes on
 * where the old one stopped), CHECKSUM (see datablock_read_verify), CLOSED (end of the stream and everything read, or closed by another thread), SUPERSEDED (replaced and everything
 * read: attach again), OVERRUN (LOSSLESS only: this consumer was evicted; attach again), LOST (an operator discarded this message; said once, call again for the next), FENCED (one's row was taken away: attach
 * again), BUSY (max_pins slots are held, or another thread is inside), CORRUPT, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_begin(datablock_consumer consumer, int64_t timeout_ms, datablock_read_slot *out);

/*
 * Message `id` if it is still present; the cursor stays. `missed` is 0. Does not wait.
 * Errors: INVALID (null), NOT_FOUND (not yet written), OVERRUN (overwritten), LOST, CHECKSUM, FENCED, BUSY (max_pins slots are held), CORRUPT, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_at(datablock_consumer consumer, uint64_t id, datablock_read_slot *out);

/*
 * datablock_read_at that waits, at most for the timeout, for a message that is not written yet: asleep
 * between the producer's messages, and closed, superseded or interrupted as datablock_read_begin. A
 * LOSSLESS consumer cannot wait for a message that the producer cannot write before this consumer
 * has read on.
 * Errors: as both, but for NOT_FOUND: TIMEOUT or NO_PRODUCER when the time is over, CLOSED and
 * SUPERSEDED when the message will never come; INVALID (null, timeout, it would wait for ever for
 * itself).
 */
DATABLOCK_API datablock_status datablock_read_id(datablock_consumer consumer, uint64_t id, int64_t timeout_ms, datablock_read_slot *out);

/*
 * Compares a message that is held with its checksum. With ENFORCED checksums that was done before it was handed out; a message that failed is DATABLOCK_E_CHECKSUM there, once, and the next
 * call goes on after it. Errors: CHECKSUM (the payload was changed after the commit: discard what was computed from it; the hold goes on), INVALID (null, not held, or the message has none), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_verify(datablock_consumer consumer, const datablock_read_slot *slot);

/*
 * Ends the hold. LOSSLESS messages end in the order they were begun. Ending the last one lets a waiting producer go on.
 * Errors: INVALID (not held, or out of order), OVERRUN (the slot was reused while it was held, because this consumer was evicted or the
 * control file damaged: discard what was computed from it; the hold has ended), FENCED (as OVERRUN, one's row is gone), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_end(datablock_consumer consumer, const datablock_read_slot *slot);

/*
 * Ends the hold of the message that was taken last as if it had not been taken: the place in the stream is before it again, and
 * the next read gives it, or says what has become of it (of a LATEST consumer: the newest then). `slot` is of
 * datablock_read_begin, or one of datablock_read_batch; of a batch the last message first. A hold that covers earlier messages
 * of its batch stays, and ends by the first of them. Without a hold the message may be overwritten, as any that was not read.
 * Errors: INVALID (null, not held, a later message was taken, or read by its id), FENCED, BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_undo(datablock_consumer consumer, const datablock_read_slot *slot);

/* ---- Waiting on several blocks ---------------------------------------------------------------------------------------------------- */

#define DATABLOCK_WAIT_ANY_MAX 1024 /* consumers */

/*
 * Waits until at least one of `count` consumers can be read without waiting, and sets each of the `count` entries of `ready`: whether that one can. It can when there is a message, or something else that
 * datablock_read_begin says at once, such as the end of the stream: a consumer that has ended stays ready, so leave it out of the next wait. Nothing is taken. Looking begins at no favourite: whoever serves every ready consumer once before waiting again starves none.
 *
 * It sleeps on all of them at once. On a kernel before 5.16, or with more than 128 consumers, it looks every millisecond instead. While it sleeps it is in none of the handles: other threads may close them. It comes
 * round at least every 100 ms, and then another thread that is inside one of them makes it BUSY, or is told BUSY itself.
 * Errors: INVALID (null, count, timeout), TIMEOUT (none; also where a read would say NO_PRODUCER), CLOSED (one of them was closed by another thread), BUSY (another thread is inside one of them), HANDLE. The
 * detail names the entry. `ready` is untouched unless the status is OK.
 */
DATABLOCK_API datablock_status datablock_wait_any(const datablock_consumer *consumers, size_t count, int64_t timeout_ms, bool *ready);

/* Ends a wait from outside. Zero it before its first use; it may go when no call uses it any more. */
typedef struct datablock_waker {
    uint32_t woken;
} datablock_waker;

/*
 * As datablock_wait_any, until datablock_wake is called for this waker: then OK with no entry of `ready`
 * set. A wake before the call ends it at once. The wait that it ends clears it. Consumers that are ready
 * are returned first. `count` may be 0. One wait at a time may use a waker. It sleeps with up to 127
 * consumers; with more it looks every millisecond. Errors: as datablock_wait_any.
 */
DATABLOCK_API datablock_status datablock_wait_any_or_wake(const datablock_consumer *consumers, size_t count, int64_t timeout_ms, bool *ready, datablock_waker *waker);

/*
 * Ends the wait, under way or to come, for this waker. Never waits. Any thread, also from a signal
 * handler; it leaves the detail as it is. NULL does nothing.
 */
DATABLOCK_API void datablock_wake(datablock_waker *waker);

/* ---- Whole messages in one call -------------------------------------------------------------------------------------------------- */

/*
 * Publishes a copy of `length` bytes as the next message: datablock_write_begin, a copy and
 * datablock_write_commit in one hold of the handle. `id` is the message's; it may be NULL. `data`
 * may be NULL for an empty message. Waits, and fails, as these do; also INVALID (fewer bytes than the struct of the block's schema has, more than a
 * slot has, which is said without waiting). Nothing is published, and no claim is left, unless the
 * status is OK.
 */
DATABLOCK_API datablock_status datablock_write(datablock_producer producer, int64_t timeout_ms, const void *data, size_t length, uint64_t *id);

typedef struct datablock_message {
    const void *data; /* the caller's; read during the call only */
    size_t length;    /* bytes */
} datablock_message;

/*
 * Publishes copies of several messages, in order. `timeout_ms` is for the whole call. Each is published by itself: readers see it at once, and a death in between loses only
 * what was not published yet. *written is how many were, whatever the status; the status is of the first that was not. The handle is held for the whole batch. Errors: as datablock_write.
 * Their ids follow each other, and the id of this producer's message before them.
 */
DATABLOCK_API datablock_status datablock_write_batch(datablock_producer producer, int64_t timeout_ms, const datablock_message *messages, size_t count,
                                                     size_t *written);

enum {
    DATABLOCK_COPY_CUT = 1u << 0 /* a message that is longer than the buffer is cut off, instead of refused */
};

/* What a message was whose copy is in the caller's buffer. */
typedef struct datablock_copied {
    uint64_t id;           /* the message's */
    uint64_t length;       /* bytes of the message, also when there was room for fewer */
    uint64_t timestamp_ns; /* as in datablock_read_slot */
    uint64_t missed;       /* as in datablock_read_slot */
    uint32_t index;        /* the slot's number, as in the diagnosis */
    uint32_t reserved;     /* zero */
} datablock_copied;

/*
 * Copies the next message into `buffer`: datablock_read_begin, a copy, datablock_read_end. Needs
 * one of the consumer's max_pins during the call, and may be called while messages are held: the
 * copy is no hold, so that the order in which a LOSSLESS consumer ends its messages does not
 * concern it. `buffer` may be NULL if `capacity` is 0. A message of more than `capacity` bytes is
 * INVALID, is not read, and comes again with the next read (of a LATEST consumer: the newest then);
 * `out` says of it how long it is. With DATABLOCK_COPY_CUT its first `capacity` bytes are copied
 * instead, and it counts as read. Waits, and fails, as the two do: after OVERRUN and FENCED discard
 * what is in the buffer. Whatever the status, `buffer` may have been written to, though never
 * beyond the message's length.
 */
DATABLOCK_API datablock_status datablock_read_copy(datablock_consumer consumer, int64_t timeout_ms, uint32_t flags, void *buffer, size_t capacity,
                                                   datablock_copied *out);

/*
 * The next messages, in place, as many as are there already, up to `capacity`: waits for the first one only. They are held until datablock_read_batch_end.
 * LOSSLESS: one hold covers the whole batch, however long it is (while a join at the oldest message is not complete: as ORDERED). Its end moves the cursor once, so that a batch costs
 * its reader and the producer less than its messages one by one. A durable consumer that dies in a batch gets all of it again. ORDERED: each message takes one of max_pins. LATEST: one.
 * A message of which there is something to say (LOST, CHECKSUM, a gap) ends the batch before it, and the next call says it. Errors: as datablock_read_begin, INVALID (null, capacity 0);
 * nothing is held then, and *count is 0.
 */
DATABLOCK_API datablock_status datablock_read_batch(datablock_consumer consumer, int64_t timeout_ms, datablock_read_slot *out, size_t capacity, size_t *count);

/*
 * Ends the messages of a batch that are given. Where one hold covers it they may be its first ones:
 * the cursor moves past them, and the rest stays held, as a batch of its own. (datablock_read_end of
 * the first message ends all that its hold covers.) The errors are those of datablock_read_end; with
 * several, the first is returned.
 */
DATABLOCK_API datablock_status datablock_read_batch_end(datablock_consumer consumer, const datablock_read_slot *slots, size_t count);

/* ---- Looking without taking part -------------------------------------------------------------------------------------------------- */

/*
 * An observer copies messages out of a block, and is no part of it: it has no row and no pin, holds nobody up, is seen by nobody, changes no byte, and needs no permission but to read the data file, as
 * with mode 0644. It is for monitors, and for users who may look but not touch. It cannot be woken: it looks when it is asked.
 */
typedef struct datablock_observer {
    uint64_t handle;
} datablock_observer;

typedef struct datablock_observation {
    uint64_t id;           /* the message's */
    uint64_t length;       /* bytes of the message; it was copied as far as there was room */
    uint64_t timestamp_ns; /* CLOCK_REALTIME at commit, 0 unless the block has DATABLOCK_FLAG_TIMESTAMP */
    uint64_t next_id;      /* of the message that is written next */
    uint32_t index;        /* the slot's number, as in the diagnosis */
    uint32_t reserved;     /* zero */
} datablock_observation;

#define DATABLOCK_NEWEST UINT64_MAX /* for datablock_observe: no message has this id */

/*
 * Opens an existing block, with or without a producer. Of `options` (may be NULL) directory, secret, schema, schema_mode, registered and registry count; everything else must be zero. Blocks briefly (system calls only).
 * Errors: INVALID, NOT_FOUND, ACCESS, SECRET, SCHEMA, CORRUPT, VERSION, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_observer_open(const char *name, const datablock_consumer_options *options, datablock_observer *out);

/*
 * Copies message `id`, or the newest that nobody discarded (DATABLOCK_NEWEST), into `buffer`, as far as `capacity` goes; 0, and then `buffer` may be NULL, tells of the message alone. It looks before and after the copy, and says OK
 * only when the message stood all the time. Does not wait. With ENFORCED checksums a whole copy is compared, too. Whatever the status, `buffer` may have been written to, though never
 * beyond the message's length.
 * Errors: INVALID (null), NOT_FOUND (no message yet, or that one is not written yet), OVERRUN (overwritten, perhaps while it was copied; NEWEST: the producer was faster at each of a hundred attempts), LOST, CHECKSUM, SUPERSEDED
 * (the block was replaced or removed, which is noticed within 100 ms: open again), CORRUPT, BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_observe(datablock_observer observer, uint64_t id, void *buffer, size_t capacity, datablock_observation *out);

/* Lets go of the block. Errors: HANDLE. */
DATABLOCK_API datablock_status datablock_observer_close(datablock_observer observer);

/* ---- Schemas --------------------------------------------------------------------------------------------------------------------- */

/*
 * A schema says what the bytes of a struct mean: names, types, counts and offsets of its fields, its size and alignment. docs/schema.md has the text form and the rules. It comes from a text, from
 * a struct of C (datablock_schema.h) or C++ (datablock_schema.hpp), or from a block. The same struct, from whichever, has the same hash.
 */
typedef struct datablock_schema {
    char *canonical;    /* its one line, which ends with zero; the library's memory, until datablock_schema_free */
    uint64_t bytes;     /* of the struct */
    uint32_t alignment; /* of the struct; 1: packed */
    uint32_t major;     /* its version, which is no part of line and hash */
    uint32_t minor;
    uint32_t patch;
    uint8_t hash[32];   /* BLAKE2b-256 of the line */
} datablock_schema;

typedef enum datablock_schema_mode {
    DATABLOCK_SCHEMA_COMPATIBLE = 0, /* the same name and major version; every field that the consumer has is there with the same type, count and offset */
    DATABLOCK_SCHEMA_EXACT = 1       /* and the hashes are equal */
} datablock_schema_mode;

/* Reads the text form, such as "schema Sample 1.0.0 { time: u64; value: f64[3]; }". Errors: INVALID (null; the detail says line and column, what stands there, and what is expected). Any thread, as all functions here. */
DATABLOCK_API datablock_status datablock_schema_parse(const char *text, datablock_schema *out);

/* The schema of a block, also without a producer; like an observer it reads the data file only. Errors: INVALID (null), SCHEMA (it has none), NOT_FOUND, ACCESS, CORRUPT, VERSION, SYSTEM. */
DATABLOCK_API datablock_status datablock_schema_of_block(const char *shm_name, datablock_schema *out);

/* The schema of the block that a consumer reads. Errors: INVALID (null), SCHEMA (it has none), CORRUPT, BUSY, HANDLE. */
DATABLOCK_API datablock_status datablock_schema_of_consumer(datablock_consumer consumer, datablock_schema *out);

/* The same for an observer. */
DATABLOCK_API datablock_status datablock_schema_of_observer(datablock_observer observer, datablock_schema *out);

/* Those of the flexible zone. Errors: as of the two above. */
DATABLOCK_API datablock_status datablock_zone_schema_of_block(const char *shm_name, datablock_schema *out);
DATABLOCK_API datablock_status datablock_zone_schema_of_consumer(datablock_consumer consumer, datablock_schema *out);

/* Whether a consumer that expects `consumer` can read what a producer writes that has `producer`. Errors: SCHEMA (it cannot; the detail names every field that differs, with both sides), INVALID (null, mode). */
DATABLOCK_API datablock_status datablock_schema_check(const datablock_schema *producer, const datablock_schema *consumer, datablock_schema_mode mode);

/*
 * The newest schema that a reference ("SensorReading", "SensorReading@2", "SensorReading@2.1" or "@2.1.0") means in a registry, which is a directory. NULL: $DATABLOCK_SCHEMAS, else datablock/schemas in
 * $XDG_DATA_HOME, else in ~/.local/share. Reads files. Errors: INVALID (null, the reference), NOT_FOUND (the detail says which versions there are), SYSTEM (the directory, or a file of that version that was changed).
 * `registry` is an absolute path (INVALID).
 */
DATABLOCK_API datablock_status datablock_schema_lookup(const char *reference, const char *registry, datablock_schema *out);

/*
 * Adds a schema to a registry, which is made if it is not there. Again the same does nothing. Errors: INVALID (null, no version), SCHEMA (it breaks the version rules of docs/schema.md, or that version is
 * registered as another struct: the detail names a version that is free and right, and the fields), SYSTEM (also: a file of that name and major version was changed).
 */
DATABLOCK_API datablock_status datablock_schema_register(const datablock_schema *schema, const char *registry);

/* Gives its memory back. It may be NULL, or zeroed, or freed already. */
DATABLOCK_API void datablock_schema_free(datablock_schema *schema);

/* A struct as the macros of datablock_schema.h describe it. */
struct datablock_schema_layout;
typedef struct datablock_schema_field {
    const char *name;
    const char *type; /* "u64", "char" and so on as in the text form; NULL: a struct, `nested` */
    const struct datablock_schema_layout *nested;
    uint64_t offset;  /* bytes */
    uint64_t size;    /* bytes, of all items */
    uint64_t dims[8]; /* of an array, outermost first; 0 ends them */
} datablock_schema_field;
typedef struct datablock_schema_layout {
    const datablock_schema_field *fields; /* in the order of their offsets */
    size_t count;
    uint64_t size;      /* bytes */
    uint64_t alignment; /* bytes */
} datablock_schema_layout;

/*
 * The schema of a struct that is described. `name`, and the names of fields, have letters, digits and '_', do not begin with a
 * digit, and have at most 63 bytes; all limits are in docs/schema.md. `name` and `layout` are read during the call only. Errors:
 * INVALID (null; a name; a field that overlaps another or whose size is not that of its type: the detail names schema and field).
 */
DATABLOCK_API datablock_status datablock_schema_describe(const char *name, uint32_t major, uint32_t minor, uint32_t patch, const datablock_schema_layout *layout, datablock_schema *out);

/* ---- What both sides share ------------------------------------------------------------------------------------------------------ */

/*
 * Beside its messages a block has eight locks, a flexible zone and eight counters, which its producer and all its consumers may use. They are in the control file, and
 * trust everybody who may attach.
 */

/* A producer or a consumer. It is the same handle: used by one thread at a time, closed as what it is. */
typedef struct datablock_participant {
    uint64_t handle;
} datablock_participant;

#ifdef DATABLOCK_DECLARATIONS_ONLY
DATABLOCK_API datablock_participant datablock_of_producer(datablock_producer producer);
DATABLOCK_API datablock_participant datablock_of_consumer(datablock_consumer consumer);
#else
static inline datablock_participant datablock_of_producer(datablock_producer producer) {
    datablock_participant participant = {producer.handle};
    return participant;
}
static inline datablock_participant datablock_of_consumer(datablock_consumer consumer) {
    datablock_participant participant = {consumer.handle};
    return participant;
}
#endif

/*
 * Takes lock `lock`, 0 to 7; lock 0 is that of the flexible zone. Its owner may take it again, and lets go of it as often. Waits, at most for the timeout (0: not, -1: for ever), spinning
 * first, then asleep. The lock of a dead owner is taken back: the kernel says that it is dead, however long the living are silent.
 * `*abandoned` (may be NULL): the last owner ended, or was thrown out, without letting go of it: what the lock protects may be half changed.
 * Errors: INVALID (no such lock, timeout), TIMEOUT (the detail names the owner), CLOSED (closed by another thread), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_lock_acquire(datablock_participant participant, uint32_t lock, int64_t timeout_ms, bool *abandoned);

/* Lets go of it, once. Does not wait. Errors: INVALID (it is not this participant's), FENCED (it was taken away: what was done under it may have met what others did), BUSY, HANDLE. */
DATABLOCK_API datablock_status datablock_lock_release(datablock_participant participant, uint32_t lock);

/* The flexible zone: memory that both sides change in place, under lock 0 and no other way. */
typedef struct datablock_zone {
    void *data;      /* `size` bytes, aligned to 64; all zero in a new block. Not to be used after datablock_zone_end */
    size_t size;     /* bytes: the block's zone_size */
    uint64_t writes; /* how often it was left */
    bool abandoned;  /* the last one in it ended inside */
    bool intact;     /* it is what the last one to leave it left */
} datablock_zone;

enum {
    DATABLOCK_ZONE_ANYWAY = 1u << 0 /* also when its contents are not what was left in it: to put it right */
};

/*
 * Enters the zone: takes lock 0, and compares the zone with its checksum (BLAKE2b-256; about a nanosecond a byte). Waits as datablock_lock_acquire.
 * Errors: those; INVALID (unknown flags; in the zone, or owner of lock 0, already), CHECKSUM (somebody died in it, or wrote to it without the lock: enter it with DATABLOCK_ZONE_ANYWAY
 * and put it right).
 */
DATABLOCK_API datablock_status datablock_zone_begin(datablock_participant participant, uint32_t flags, int64_t timeout_ms, datablock_zone *out);

/*
 * Leaves it. Its contents get a new checksum; with `spoilt`, for somebody who could not finish, they do not, and the next one is told that the zone was abandoned.
 * Errors: INVALID (not in it, whatever this participant has of lock 0), FENCED (as datablock_lock_release), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_zone_end(datablock_participant participant, bool spoilt);

/*
 * Eight counters of 64 bits, 0 to 7, zero in a new block. Each function is one atomic, sequentially consistent step; the value before it goes to `*before`, which may be
 * NULL except in datablock_counter_get. Never wait. Errors: INVALID (null, no such counter), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_counter_get(datablock_participant participant, uint32_t counter, uint64_t *value);
DATABLOCK_API datablock_status datablock_counter_set(datablock_participant participant, uint32_t counter, uint64_t value, uint64_t *before);
/* Adds, modulo 2^64: UINT64_MAX is minus one. */
DATABLOCK_API datablock_status datablock_counter_add(datablock_participant participant, uint32_t counter, uint64_t amount, uint64_t *before);
/* Sets it to `value` if it is `expected`: if `*before` is, it has. */
DATABLOCK_API datablock_status datablock_counter_exchange(datablock_participant participant, uint32_t counter, uint64_t expected, uint64_t value, uint64_t *before);

/* ---- Housekeeping -------------------------------------------------------------------------------------------------------------- */

typedef struct datablock_block_info {
    char name[208];          /* zero-terminated */
    uint64_t total_bytes;    /* of both files */
    uint64_t slot_size;      /* bytes */
    uint64_t next_id;        /* messages written so far */
    uint64_t producer_pid;   /* 0: no living producer */
    uint32_t slot_count;     /* messages */
    uint32_t spare_slots;    /* slots */
    uint32_t policy;         /* datablock_policy */
    uint32_t consumers;      /* living ones */
    uint32_t consumer_limit; /* rows */
    uint32_t state;          /* 2 ready, 3 closed, 4 superseded, 5 being replaced; 0: the file is not a readable block, only `name` is set */
} datablock_block_info;

/*
 * The blocks in `directory` (NULL: the default one), sorted by name, up to `capacity`; `*count` is how many there are. `out` may be NULL when capacity is 0.
 * Opens read-only and changes nothing. Errors: INVALID, NOT_FOUND (the directory), ACCESS, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_list(const char *directory, datablock_block_info *out, size_t capacity, size_t *count);

/*
 * Removes a block. Refused with PRODUCER_ACTIVE or BUSY while participants live, unless `flags` has DATABLOCK_FLAG_FORCE: then they are fenced and get
 * SUPERSEDED. Errors: INVALID (also: any other flag), NOT_FOUND, ACCESS, PRODUCER_ACTIVE, BUSY, CORRUPT (not a block; remove the file by hand), SYSTEM.
 */
DATABLOCK_API datablock_status datablock_unlink(const char *name, uint32_t flags);

/* ---- Diagnosis and recovery ---------------------------------------------------------------------------------------------------- */

enum {
    DATABLOCK_SLOT_FREE = 0,      /* nobody uses it */
    DATABLOCK_SLOT_WRITING = 1,   /* claimed */
    DATABLOCK_SLOT_COMMITTED = 2, /* in the ring */
    DATABLOCK_SLOT_DRAINING = 3   /* out of the ring, a reader still holds it */
};

typedef struct SlotDiagnostic {
    uint64_t slot_id;           /* the message's id */
    uint32_t slot_index;        /* 0 .. slot_count + spare_slots - 1 */
    uint8_t slot_state;         /* DATABLOCK_SLOT_* */
    uint64_t write_lock;        /* pid of the claiming producer, 0: not claimed */
    uint32_t reader_count;      /* pins on it, and LOSSLESS readers at that id */
    uint64_t write_generation;  /* times this slot was claimed */
    uint8_t writer_waiting;     /* 1: a producer waits for this slot's readers */
    bool is_stuck;              /* held by the dead; or by a reader that has kept the producer waiting for 1 s or longer; or claimed, or held by a silent reader, for more than 30 s */
    uint64_t stuck_duration_ms; /* since when, 0 if it is not, or if nobody can tell: a clock of another time namespace */
} SlotDiagnostic;

typedef enum RecoveryResult {
    RECOVERY_SUCCESS = 0,     /* done */
    RECOVERY_FAILED = 1,      /* could not: datablock_error_detail() says why */
    RECOVERY_UNSAFE = 2,      /* a living participant holds it */
    RECOVERY_NOT_STUCK = 3,   /* nothing to do */
    RECOVERY_INVALID_SLOT = 4 /* no such slot */
} RecoveryResult;

/*
 * `shm_name` is a block name or an absolute path. The `int` functions return 0 or a count, or: -1 bad argument, -2 cannot open, -3 index out of range, -4 failed
 * while running, -5 unexpected; datablock_error_detail() says more. Any thread. They trust nothing they read.
 * They have no `directory`: a plain name is looked for in $DATABLOCK_DIR, else in /dev/shm, and a block elsewhere is given by its
 * absolute path. A function that returns a RecoveryResult says RECOVERY_FAILED to a bad argument, and when it cannot open the
 * block. datablock_is_process_alive has no errors.
 */

/* One slot. Read-only, changes nothing, on a block in any state. If the slot is stuck, datablock_error_detail() names who holds it (row, name, pid). */
DATABLOCK_API int datablock_diagnose_slot(const char *shm_name, uint32_t slot_index, SlotDiagnostic *out);

/* All slots, up to `array_capacity`, in index order; `*out_count` is how many the block has. `out_array` may be NULL when the capacity is 0. Returns 0. */
DATABLOCK_API int datablock_diagnose_all_slots(const char *shm_name, SlotDiagnostic *out_array, size_t array_capacity, size_t *out_count);

/* Whether a process with that pid, or a thread with that id, runs in this pid namespace; an unreaped zombie does not. For people: the library itself judges by locks, never by pids. */
DATABLOCK_API bool datablock_is_process_alive(uint64_t pid);

/* Removes the dead readers of that slot and no living one. NOT_STUCK: none of its readers is dead. */
DATABLOCK_API RecoveryResult datablock_release_zombie_readers(const char *shm_name, uint32_t slot_index);

/* Ends a dead producer's claim on that slot; never touches a committed message. UNSAFE: the producer lives. NOT_STUCK: the slot is not claimed. */
DATABLOCK_API RecoveryResult datablock_release_zombie_writer(const char *shm_name, uint32_t slot_index);

/* Removes every dead consumer's row; a durable one only when it has been dead longer than `timeout_ns`: nanoseconds, where other timeouts are
 * milliseconds. Returns how many, or -1 to -5 as above. */
DATABLOCK_API int datablock_cleanup_dead_consumers(const char *shm_name, uint64_t timeout_ns);

/* ---- Integrity and repair ------------------------------------------------------------------------------------------------------- */

typedef struct IntegrityCheck {
    bool header_valid;       /* the immutable bytes of both files, their sizes, the words that belong to the whole block, the recovery log */
    bool slot_states_valid;  /* ring entries, slot headers, participants' rows and masks */
    bool checksum_valid;     /* payloads, where messages have checksums */
    uint32_t corrupted_slots; /* slots that are concerned, each counted once */
    char error_message[256]; /* the first problem, with the values and what to do; "" when nothing is wrong */
} IntegrityCheck;

/*
 * Recomputes everything about a block from its bytes and trusts no stored verdict: the digest of the header, the sizes of the files, every ring entry, every slot that
 * the ring names with its checksum, every participant's row and mask, the recovery log. Opens read-only, changes nothing, and may run while the block is in use: what a
 * participant is just doing, and what a dead one left for others to clean, is not damage. Time: that of reading the block once, or, with checksums, of hashing it.
 * Returns 0 whatever it found, and `*out` says what; -1 bad argument, -2 cannot open (no such block, no permission, not a regular file, another format version), -4 failed while running (a file was truncated
 * meanwhile), -5 unexpected. Any thread.
 */
DATABLOCK_API int datablock_validate_integrity(const char *shm_name, IntegrityCheck *out);

/*
 * Rebuilds in place what can be concluded from the rest of the block, and resets what cannot: the same files, the same attachments, no good message is touched. A message
 * whose payload or length is damaged is discarded: LOSSLESS and ORDERED consumers are told LOST. The ring belongs to the producer: while one lives it is repaired only with `force`, and
 * then that producer may get FENCED once. Also with it a ring is left alone where the producer would use a slot twice: an entry that is empty, or names no slot or another one's (UNSAFE; stop the producer first).
 * A control file that was truncated is made whole with `force` alone, and when nobody is attached: what stood behind the cut is lost. Rows of living consumers are corrected so that nobody loses anything; rows of nobody are cleaned.
 * It goes on while it makes progress. SUCCESS: nothing is wrong any more, also if another repair has mended it meanwhile. NOT_STUCK: nothing was. UNSAFE: a living producer is in the way. FAILED: something cannot be rebuilt, or the block cannot be opened.
 * Unless it is SUCCESS datablock_error_detail() says why. `out` may be NULL; otherwise it is what is left, except when the block could not be opened. Any thread; two at a time are safe, and so is one that dies.
 */
DATABLOCK_API RecoveryResult datablock_repair(const char *shm_name, bool force, IntegrityCheck *out);

enum {
    DATABLOCK_STEP_REPAIR = 1,         /* damage, as datablock_repair does it without force */
    DATABLOCK_STEP_RELEASE_READER = 2, /* the row of a dead consumer; a durable one keeps its place */
    DATABLOCK_STEP_RELEASE_WRITER = 3, /* the claim of a dead producer */
    DATABLOCK_STEP_COLLECT = 4,        /* files that dead processes left under this name */
    DATABLOCK_STEP_ATTEND = 5          /* nothing is done without being asked: somebody lives, or may come back, or it takes a person */
};

typedef struct datablock_recovery_step {
    uint32_t kind;   /* DATABLOCK_STEP_* */
    uint32_t target; /* row (RELEASE_READER), else slot; 0 where it is the block */
    uint64_t pid;    /* of the process concerned, 0: unknown */
    uint32_t result; /* a RecoveryResult; in a dry run RECOVERY_SUCCESS */
    bool done;       /* false in a dry run, when it failed, and for ATTEND */
    char text[256];  /* for people */
} datablock_recovery_step;

typedef void (*datablock_recovery_callback)(const datablock_recovery_step *step, void *context);

/*
 * Does for everything that is stuck or damaged in a block what is right for it, and calls `callback` (may be NULL) once for each step, in order and on this thread, when all have been tried. Nobody who lives is touched: what would take force
 * is an ATTEND step. With `dry_run` nothing is done and no byte changed. The callback may call the library; the step is valid until it returns.
 * Returns the number of steps without the ATTEND ones; -1 bad argument, -2 cannot open, -4 failed while running, -5 unexpected. Any thread.
 */
DATABLOCK_API int datablock_auto_recover(const char *shm_name, bool dry_run, datablock_recovery_callback callback, void *context);

/* One participant, as its row in the control file shows it. */
typedef struct datablock_participant_info {
    char name[64];              /* zero-terminated */
    uint64_t pid;               /* as it calls itself, in its own pid namespace */
    uint64_t start_time;        /* of its process, clock ticks since boot */
    uint64_t pid_namespace;     /* inode, 0: unknown */
    uint64_t attached_ns;       /* CLOCK_REALTIME */
    uint64_t died_ns;           /* CLOCK_REALTIME at which a durable consumer was found dead, 0: it was not */
    uint64_t cursor;            /* the next id it wants; a producer's: the next it writes */
    uint64_t lag;               /* messages that a consumer has yet to read */
    uint64_t read;              /* messages; this and what follows is of consumers only */
    uint64_t missed;            /* messages skipped */
    uint64_t bytes;             /* of payload */
    uint64_t waits;             /* reads that had to wait */
    uint64_t wait_ns;           /* how long */
    uint64_t timeouts;          /* reads */
    uint64_t lost;              /* messages that an operator had discarded */
    uint64_t overruns;          /* messages overwritten under it */
    uint64_t checksum_failures; /* messages */
    uint64_t silent_ms;         /* since its last call, to a second or sixteen calls; 0 if nobody can tell: a clock of another time namespace */
    uint32_t uid;
    uint32_t row;               /* 0: the producer */
    uint32_t delivery;          /* datablock_delivery; 0 for the producer */
    uint32_t pins;              /* slots it holds */
    bool alive;                 /* what the kernel says of its lock; not what its silence suggests */
    bool durable;               /* keeps its place when it dies */
    uint8_t reserved[6];        /* zero */
} datablock_participant_info;

/*
 * The participants of a block, the dead whose rows are still there included, by row, up to `capacity`; returns how many there are. `out` may be NULL when the capacity is 0. Read-only.
 */
DATABLOCK_API int datablock_list_participants(const char *shm_name, datablock_participant_info *out, size_t capacity);

/* A block's figures. Each word behind them has one writer; they change while they are read. */
typedef struct datablock_metrics {
    uint32_t size;              /* sizeof(datablock_metrics), set by the caller */
    uint32_t consumers;         /* living ones */
    uint64_t next_id;           /* messages written since the block was made */
    uint64_t written;           /* of these: counted by producers */
    uint64_t bytes;             /* of payload */
    uint64_t aborted;           /* claims */
    uint64_t fenced;            /* claims that a recovery ended */
    uint64_t waits;             /* claims that had to wait */
    uint64_t wait_ns;           /* how long */
    uint64_t timeouts;          /* claims */
    uint64_t scans;             /* of the pins */
    uint64_t cleaned;           /* rows of dead consumers, by anybody */
    uint64_t recoveries;        /* records that the recovery log ever had */
    uint64_t age_ms;            /* since the block was made */
    uint64_t idle_ms;           /* since the producer's last call, to a second or sixteen calls */
    uint64_t read;              /* messages, by the consumers that are attached, as all that follows */
    uint64_t missed;            /* messages */
    uint64_t lost;              /* messages that an operator had discarded */
    uint64_t overruns;          /* messages */
    uint64_t checksum_failures; /* messages */
    uint64_t max_lag;           /* messages, of the LOSSLESS and ORDERED ones */
    uint64_t schema_mismatches; /* opens that were refused because of the schema, since the block was made */
} datablock_metrics;

/* Reads them, from a block in any state. Changes nothing. Any thread. Errors: INVALID (null, out->size), NOT_FOUND, ACCESS, CORRUPT, VERSION, SYSTEM. */
DATABLOCK_API datablock_status datablock_get_metrics(const char *shm_name, datablock_metrics *out);

/*
 * Gives a slot back to where it can be used again. What the dead hold is released. Without `force` nothing that a living participant holds is touched. With it, a claim is broken: its commit publishes
 * nothing and says FENCED, and the next claim has the same id; a message is discarded: it stays where it is until it is overwritten, so nobody who reads it is hurt, and LOSSLESS readers who come to it are told
 * LOST, once; and a reader that still pins a slot that has left the ring is evicted. UNSAFE: a living participant holds it; or, with `force`, all of that
 * was done, and a reader at the slot's message still keeps the producer waiting: datablock_error_detail() names it, and only datablock_evict_consumer takes its place from it. To find out takes up to a second. NOT_STUCK: it is free, or a message that nobody holds.
 */
DATABLOCK_API RecoveryResult datablock_force_reset_slot(const char *shm_name, uint32_t slot_index, bool force);

/* The same for every slot; with `force` every message is discarded. UNSAFE: something was left alone because a living participant holds it, or, with `force`, a reader still keeps the producer
 * waiting; the rest was done. FAILED, with `force`: every slot was reset, and the block is damaged; datablock_repair mends it. NOT_STUCK: nothing was stuck. */
DATABLOCK_API RecoveryResult datablock_force_reset_all_slots(const char *shm_name, bool force);

/*
 * Removes a consumer's row, as the diagnosis shows it: a dead one's, also a durable one's whatever its age; with `force` a living one's, which hangs, say. It is told FENCED at its next call, and may
 * attach again; what it reads meanwhile it learns not to trust. FAILED: also one that is still attaching. INVALID_SLOT: no such row. UNSAFE: it lives. NOT_STUCK: the row is free.
 */
DATABLOCK_API RecoveryResult datablock_evict_consumer(const char *shm_name, uint32_t row, bool force);

/* One entry of a block's recovery log. What `before` and `after` hold depends on the action: docs/segment-format.md. */
typedef struct datablock_recovery_record {
    uint64_t number;    /* of the record, from 0 on */
    uint64_t time_ns;   /* CLOCK_REALTIME */
    uint64_t pid;       /* who did it */
    uint32_t uid;
    uint32_t action;    /* what: numbers as in docs/segment-format.md; `text` says it in words */
    uint64_t target;    /* slot or row */
    uint64_t before[4];
    uint64_t after[3];
    char text[160];     /* the whole in a sentence, zero-terminated */
} datablock_recovery_record;

/*
 * What was done to the block by recoveries, oldest first, up to `capacity` of the newest; returns how many records the log has, which is at most what fits it. `out` may be NULL when the
 * capacity is 0. Read-only. The log is in the block, and survives who wrote it.
 */
DATABLOCK_API int datablock_recovery_log(const char *shm_name, datablock_recovery_record *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif /* DATABLOCK_H */
