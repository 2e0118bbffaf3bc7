/*
 * datablock.h - crash-safe, zero-copy data exchange in shared memory
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * OVERVIEW
 *
 * A *block* is a named channel in shared memory. One *producer* writes *messages*, numbered 0, 1,
 * 2 ... without gaps. A *ring* keeps the last `slot_count` messages. Any number of *consumers* in
 * other processes read the messages in place. SIGKILL may end any of these processes at any
 * instruction: the others continue, no committed message is lost, and no consumer reads half a
 * message.
 *
 * The producer:
 *
 *     datablock_config config;
 *     datablock_producer producer;
 *     datablock_write_slot out;
 *     datablock_config_init(&config, DATABLOCK_RING);
 *     config.slot_count = 8;
 *     config.slot_size = 4096;
 *     datablock_producer_open("camera", &config, &producer);
 *     datablock_write_begin(producer, -1, &out);
 *     memcpy(out.data, frame, n);
 *     datablock_write_commit(producer, &out, n);
 *     datablock_producer_close(producer);
 *
 * A consumer:
 *
 *     datablock_consumer consumer;
 *     datablock_read_slot in;
 *     datablock_consumer_open("camera", NULL, &consumer);
 *     while (datablock_read_begin(consumer, -1, &in) == DATABLOCK_OK) {
 *         use(in.data, in.length);
 *         datablock_read_end(consumer, &in);
 *     }
 *     datablock_consumer_close(consumer);
 *
 * Link with -ldatablock. A program that exchanges many small messages includes datablock_inline.h
 * instead, which has the same functions inline. The sections below go from simple to special:
 * status, configuration, writing, reading, housekeeping, diagnosis and recovery. docs/glossary.md
 * defines the terms.
 *
 * RULES THAT HOLD EVERYWHERE
 *
 *  - Zero (DATABLOCK_OK) is success. On any other status the out parameters are untouched, unless
 *    the function's comment says otherwise. datablock_error_detail() then has a sentence that says
 *    what was wrong, with the values, and what to do.
 *  - Timeouts are `int64_t` milliseconds. 0 does not wait, -1 waits for ever, and a positive number
 *    is the longest wait. Any other negative number is DATABLOCK_E_INVALID. DATABLOCK_WAIT_PART
 *    divides one wait into several calls.
 *  - A block is named by a plain name or by an absolute path ("/run/blocks/camera"). A plain name
 *    ("camera") has letters, digits, '.', '_' and '-', and at most 200 bytes. A plain name does not
 *    begin with '.' or '-' and does not end in ".ctl". The library looks for a plain name in the
 *    configured directory, else in $DATABLOCK_DIR (read at each call), else in /dev/shm.
 *  - On Windows an absolute path begins with a drive ("C:\\blocks\\camera") or with "\\\\". In the
 *    place of /dev/shm is DataBlock\boot-N in %LOCALAPPDATA%, where N counts the starts of the
 *    system. The name of a device, such as "con", is DATABLOCK_E_INVALID. "camera" and "Camera" are
 *    one name: the other spelling of an existing block is DATABLOCK_E_INVALID. Paths are UTF-8.
 *  - A handle may be used by one thread at a time. A second thread gets DATABLOCK_E_BUSY. The
 *    exception is closing: a close from any thread makes a waiting call on the same handle return
 *    DATABLOCK_E_CLOSED. Different handles are independent. A function without a handle may be
 *    called from any thread.
 *  - A function without `timeout_ms` does not wait for a message, a free slot or a lock of the
 *    block, unless its comment says so. At most it makes system calls.
 *  - Handles are never reused: a closed, stale or zeroed handle is DATABLOCK_E_HANDLE, no crash.
 *  - The caller owns out structs. The block owns the memory that out structs point to, and that
 *    memory is valid until the slot ends.
 *  - In structs, and everything that they point to (names, secrets, schemas, layouts), are read
 *    during the call only. The library keeps no pointer of the caller's: all of this memory may be
 *    freed when the call has returned.
 *  - A handle is a struct of one uint64_t, passed by value: on amd64 and arm64 as one uint64_t.
 *
 * BINDINGS
 *
 *  - With DATABLOCK_DECLARATIONS_ONLY defined, this header has declarations and nothing else: no
 *    attributes, no function bodies and no #include. This form is for tools that read C but do not
 *    compile C. The functions datablock_of_producer and datablock_of_consumer are inline otherwise.
 *    In this form they are declared as exported functions, and the library exports them.
 *        cffi:      cc -E -P -DDATABLOCK_DECLARATIONS_ONLY datablock.h >declarations  (ffi.cdef)
 *        libclang:  -DDATABLOCK_DECLARATIONS_ONLY
 *                   -include stdbool.h -include stddef.h -include stdint.h
 *    DATABLOCK_API may be defined too, as the text that then stands before each function. The form
 *    has no macros of functions either: call datablock_config_init_sized and
 *    datablock_consumer_options_init_sized.
 *  - The text of datablock_error_detail belongs to the thread of the operating system that made the
 *    call. A host whose code moves between threads keeps the call and datablock_error_detail_copy
 *    together: in one native function, or with the thread locked (runtime.LockOSThread in Go).
 *
 * THREADS AND CLOSING
 *
 *  - A call holds its handle from its beginning to its end. A close from another thread ends a
 *    wait, and the waiting call returns DATABLOCK_E_CLOSED. The close waits for everything else
 *    that a call does: a copy, a checksum, a step of a counter. In a batch the close waits for the
 *    message that is being written, and the batch returns DATABLOCK_E_CLOSED. A call that begins
 *    later returns DATABLOCK_E_HANDLE.
 *  - A close does not wait for the program's own use of `data` of a write slot, a read slot, a
 *    batch or the zone. The close unmaps that memory, and the next block that the process opens may
 *    have the same address. Before a thread closes a handle, every other thread must have stopped
 *    using such a pointer.
 *  - datablock_write, datablock_write_batch, datablock_read_copy and datablock_observe give out no
 *    pointer: they may run in one thread while another thread closes the handle.
 *  - The library reads and writes the caller's memory during the call only. Of a buffer the library
 *    uses no more than the message needs. A wild pointer faults in the calling thread, in C.
 *  - A signal handler must not leave a call by siglongjmp, and neither must the handler of a fault.
 *    The handle would be held for ever, and a close would wait for ever.
 *
 * CAVEATS
 *
 *  - One producer per block, by design. Fan-in is several blocks. One machine.
 *  - A LOSSLESS consumer that is slow or stopped applies backpressure to the producer. The library
 *    releases a killed consumer automatically, unless the consumer is durable. A durable consumer's
 *    position is kept until the consumer attaches again or datablock_cleanup_dead_consumers removes
 *    the row. LATEST and ORDERED consumers never apply backpressure.
 *  - Signal handlers: see SIGNALS AND THREADS below.
 *  - No signal ends a wait. A program that wants to end on SIGINT waits with a finite timeout in a
 *    loop (DATABLOCK_WAIT_PART), or closes the handle from another thread. The death of the
 *    producer does not end a wait for ever either, because a restarted producer continues the
 *    stream.
 *  - A process that was killed, or ended without closing, may leave files NAME.*.ctl behind. The
 *    next producer of that name removes these files, and so does `datablock-admin gc`.
 *  - After fork() the child cannot use the library (DATABLOCK_E_FORKED) until exec. The child has
 *    no access to payloads that the parent writes. Open blocks in the child of a fresh process
 *    instead.
 *  - If another process truncates a block's file while the block is open, the call that meets the
 *    missing part returns DATABLOCK_E_CORRUPT, or the next call on the handle does. A call that
 *    copies returns DATABLOCK_E_CORRUPT at once. A load or store of the program's own, through the
 *    pointer of a slot or the zone, raises SIGBUS. A program that copies has no such pointer.
 *  - A process with permission to write the control file (by default: your own uid) can stall or
 *    skip consumers, but can never alter a written message. Consumers map messages read-only: a
 *    write to `in.data` is a segmentation fault in the writing program.
 *  - The library contains a Go runtime, with threads of its own and with handlers for SIGSEGV,
 *    SIGBUS and SIGFPE. These handlers pass signals that do not concern the library on to the
 *    handlers that were installed before. A handler of SIGSEGV, SIGBUS or SIGSYS that a program
 *    installs later needs SA_ONSTACK, and should pass signals on in the same way: the library's
 *    handler turns a truncated file into DATABLOCK_E_CORRUPT.
 *  - A thread that takes over a handle from another thread pays one system call, once. If a seccomp
 *    filter that is installed later refuses membarrier, the takeover fails with DATABLOCK_E_SYSTEM.
 *  - An open producer or consumer keeps two descriptors, which are 3 or more and close-on-exec. An
 *    observer keeps none. A program that closes descriptors that it has not opened (closefrom,
 *    daemon helpers) takes the handle's lock away. Calls then return DATABLOCK_E_SYSTEM within a
 *    tenth of a second or a thousand messages. Locks and counters do not notice. The library does
 *    not touch other files that got the same descriptor numbers. Open blocks after closing
 *    descriptors, not before.
 *  - daemon() forks: a daemon that links the library gets DATABLOCK_E_FORKED. Such a daemon loads
 *    the library by dlopen() after daemon(), or calls exec on itself, or stays in the foreground,
 *    as service managers want.
 *  - A child that is made by clone(2) or _Fork(), not by fork(), keeps its parent's locks until the
 *    child ends or calls exec.
 *  - The library needs 2 GB of address space (RLIMIT_AS, ulimit -v), most of it reserved and never
 *    used, and 6 threads (RLIMIT_NPROC). With less, the Go runtime may end the process when the
 *    library is loaded, or later. All other limits lead to an error that names the limit.
 *
 * SIGNALS AND THREADS
 *
 *  - A signal handler of the program may interrupt any call, with or without SA_ONSTACK. (SIGSEGV,
 *    SIGBUS and SIGSYS are the exception, see above.) The handler runs on the stack of the thread
 *    that is interrupted, or on that thread's alternate stack. The library's own threads block
 *    every asynchronous signal. The library neither sends nor uses SIGURG, SIGALRM, SIGPROF,
 *    SIGCHLD or a real-time signal.
 *  - While a thread is in a part of the library that is written in Go, the thread's asynchronous
 *    signals are blocked. That takes microseconds in general. A call that creates, validates or
 *    repairs a large block blocks the signals for the whole call. A call that waits does not block
 *    signals while the thread sleeps. After every call the thread has its former signal mask.
 *  - A handler that interrupts a call of its thread gets DATABLOCK_E_BUSY from every function,
 *    closes included. The exceptions are datablock_wake, datablock_error_detail_copy,
 *    datablock_error_detail, datablock_strerror and datablock_version. Set a flag instead, and
 *    close when the call has returned.
 *  - A handler that interrupts code of the program may call any function, if the thread has called
 *    the library before. The exceptions are the functions of schemas and datablock_auto_recover,
 *    which use malloc.
 *  - datablock_wait_any and datablock_wait_any_or_wake hold none of the handles while they sleep. A
 *    handler that interrupts such a sleep gets no DATABLOCK_E_BUSY for that reason.
 *  - A handler may end the process by exit(). If the handler has interrupted a call, every close in
 *    atexit functions and static destructors returns BUSY, and the system releases the handles as
 *    after a kill. Then a stream is not marked as closed, and UNLINK_ON_CLOSE does nothing. A
 *    handler that sets a flag avoids that.
 *  - A handler that has interrupted a call may not leave by longjmp, by an exception or by
 *    pthread_exit: the handle would stay BUSY.
 *  - A handler that calls the library replaces the text of its thread's last error.
 *  - A thread without an alternate signal stack gets one at its first call, of 256 KiB above a
 *    guard page, and keeps this stack. A thread that has an alternate stack keeps its own, which
 *    needs 16 KiB where a handler on that stack calls the library. A program may install another
 *    stack at any time. The program must not leave the thread without an alternate stack while the
 *    thread calls the library: a fault in a truncated file would then end the process.
 *  - No function is a cancellation point. A thread that is cancelled ends after the call.
 *    Asynchronous cancellation is not supported.
 *  - A destructor of a thread's end (of a pthread key, or of a C++ thread_local object) may use the
 *    library. The system runs these destructors in rounds (PTHREAD_DESTRUCTOR_ITERATIONS). In the
 *    last round a close still works, and a call that needs Go returns DATABLOCK_E_BUSY.
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
#define DATABLOCK_VERSION                                                                          \
    ((DATABLOCK_VERSION_MAJOR * 1000 + DATABLOCK_VERSION_MINOR) * 1000 + DATABLOCK_VERSION_PATCH)

/*
 * The version of the loaded library, as DATABLOCK_VERSION. The library works with every header of
 * the same major version that is not newer.
 */
DATABLOCK_API uint32_t datablock_version(void);

/* ---- Status ---------------------------------------------------------------------------------- */

/*
 * Name, value, text of datablock_strerror. Values are only ever appended. docs/errors.md says when
 * each status occurs and what to do.
 */
#define DATABLOCK_STATUS_LIST(X)                                                                   \
    X(DATABLOCK_OK, 0, "success")                                                                  \
    X(DATABLOCK_E_TIMEOUT, 1, "timed out")                                                         \
    X(DATABLOCK_E_INVALID, 2, "invalid argument or call out of order")                             \
    X(DATABLOCK_E_NOT_FOUND, 3, "no such block, message or directory")                             \
    X(DATABLOCK_E_EXISTS, 4, "already exists")                                                     \
    X(DATABLOCK_E_PRODUCER_ACTIVE, 5, "the block has a living producer")                           \
    X(DATABLOCK_E_ACCESS, 6, "permission denied")                                                  \
    X(DATABLOCK_E_SECRET, 7, "the shared secret differs")                                          \
    X(DATABLOCK_E_CORRUPT, 8, "not a valid block, or damaged")                                     \
    X(DATABLOCK_E_VERSION, 9, "unsupported format version")                                        \
    X(DATABLOCK_E_GEOMETRY, 10, "the block has another geometry")                                  \
    X(DATABLOCK_E_SCHEMA, 11, "the schema differs")                                                \
    X(DATABLOCK_E_NO_SPACE, 12, "not enough space in the block directory")                         \
    X(DATABLOCK_E_FULL, 13, "the consumer limit is reached")                                       \
    X(DATABLOCK_E_BUSY, 14, "in use")                                                              \
    X(DATABLOCK_E_CLOSED, 15, "closed")                                                            \
    X(DATABLOCK_E_SUPERSEDED, 16, "the block was replaced or removed: attach again")               \
    X(DATABLOCK_E_FENCED, 17, "fenced by a forced recovery")                                       \
    X(DATABLOCK_E_OVERRUN, 18, "the message was overwritten")                                      \
    X(DATABLOCK_E_LOST, 19, "the message was discarded by an operator")                            \
    X(DATABLOCK_E_NO_PRODUCER, 20, "nothing to read and no producer")                              \
    X(DATABLOCK_E_NO_SPARE, 21, "not enough spare slots for another pin")                          \
    X(DATABLOCK_E_CHECKSUM, 22, "checksum mismatch")                                               \
    X(DATABLOCK_E_FORKED, 23, "not usable in a forked child")                                      \
    X(DATABLOCK_E_HANDLE, 24, "stale, closed or null handle")                                      \
    X(DATABLOCK_E_SYSTEM, 25, "operating system error")                                            \
    X(DATABLOCK_E_PANIC, 26, "internal error; the handle is poisoned")

typedef enum datablock_status {
#define DATABLOCK_STATUS_ENUM(name, value, text) name = value,
    DATABLOCK_STATUS_LIST(DATABLOCK_STATUS_ENUM)
#undef DATABLOCK_STATUS_ENUM
        DATABLOCK_STATUS_FORCE_INT = 0x7fffffff
} datablock_status;

/* The fixed English text of a status, else "unknown status". Static memory, never NULL. */
DATABLOCK_API const char *datablock_strerror(datablock_status status);

/*
 * What exactly went wrong in this thread's last call: the values and what to do. After a call that
 * succeeded the text is "". After a diagnosis that succeeded the text names the holders of what is
 * stuck. UTF-8, under 1024 bytes. The text stays valid until this thread's next call of the
 * library. Never NULL.
 */
DATABLOCK_API const char *datablock_error_detail(void);

/*
 * Copies that text, zero-terminated, into `buffer`. A text that is longer than `capacity` is cut
 * between two characters, never within one. `buffer` may be NULL if `capacity` is 0. Returns the
 * capacity that the whole text needs, the zero included: at most 1024.
 */
DATABLOCK_API size_t datablock_error_detail_copy(char *buffer, size_t capacity);

/* ---- One wait in several calls --------------------------------------------------------------- */

enum {
    DATABLOCK_PART_FIRST = 1u << 0, /* the metrics count the wait, if the call has to wait */
    DATABLOCK_PART_LAST = 1u << 1, /* the metrics count the timeout, if nothing comes */
    DATABLOCK_PART_ENDLESS = 1u << 2 /* the whole wait has no limit */
};

#define DATABLOCK_PART_MARK 0x4442 /* bits 48 to 63 of such a timeout */

/*
 * The timeout of a call that is a part of a longer wait. The call waits for at most `ms`
 * milliseconds, 0 to 2^32 - 1, and has the statuses of any other call. An interpreter, which runs
 * signal handlers between two calls, divides a wait of a caller in this way. The metrics then
 * count one wait and at most one timeout: the first call has PART_FIRST, the last one PART_LAST,
 * and the calls between neither. In a batch that is written, PART_FIRST is about the first message.
 * A call with 0 ms counts no wait, except datablock_wait_any with PART_FIRST alone. With
 * PART_ENDLESS datablock_read_id refuses what it refuses with -1. Any `timeout_ms` may be one.
 */
#define DATABLOCK_WAIT_PART(ms, flags)                                                             \
    ((int64_t)(((uint64_t)DATABLOCK_PART_MARK << 48) | ((uint64_t)(flags) << 32) | (uint32_t)(ms)))

/* ---- Configuration of a block ---------------------------------------------------------------- */

typedef enum datablock_policy {
    /* one message, the newest; consumers default to LATEST, and LOSSLESS needs ALLOW_LOSSLESS */
    DATABLOCK_SINGLE = 1,
    DATABLOCK_DOUBLE_BUFFER = 2, /* two messages; otherwise as SINGLE */
    DATABLOCK_RING = 3 /* slot_count messages; consumers default to LOSSLESS */
} datablock_policy;

enum {
    /* consumers may apply backpressure, also in a SINGLE or DOUBLE_BUFFER; a RING allows that
     * without the flag */
    DATABLOCK_FLAG_ALLOW_LOSSLESS = 1u << 0,
    /* if the existing block has another geometry: replace the block instead of failing */
    DATABLOCK_FLAG_REPLACE = 1u << 1,
    /* with REPLACE: replace the block even while a producer holds it, and fence that producer */
    DATABLOCK_FLAG_FORCE = 1u << 2,
    /* a clean producer_close removes the block; attached consumers drain what is left */
    DATABLOCK_FLAG_UNLINK_ON_CLOSE = 1u << 3,
    /* stamp each message at commit (CLOCK_REALTIME, nanoseconds) */
    DATABLOCK_FLAG_TIMESTAMP = 1u << 4,
    /* consumers may not apply backpressure; wins over ALLOW_LOSSLESS */
    DATABLOCK_FLAG_FORBID_LOSSLESS = 1u << 5,
    /*
     * The producer may use a slot again as soon as every LOSSLESS consumer has released its
     * message, before the ring laps. Other consumers, consumers that start at the oldest message,
     * and observers then find that message overwritten. The newest message stays, and so do all
     * messages while no LOSSLESS consumer is attached. Requires LOSSLESS consumers to be allowed.
     * A library that does not know this flag refuses the block (DATABLOCK_E_VERSION).
     */
    DATABLOCK_FLAG_RECLAIM = 1u << 6
};

typedef enum datablock_checksum {
    DATABLOCK_CHECKSUM_NONE = 0,
    /* made by datablock_write_checksum, compared by datablock_read_verify */
    DATABLOCK_CHECKSUM_MANUAL = 1,
    /* made at each commit, and compared before a consumer gets the message */
    DATABLOCK_CHECKSUM_ENFORCED = 2
} datablock_checksum;

typedef enum datablock_algorithm {
    DATABLOCK_ALGORITHM_DEFAULT = 0, /* CRC32C in a new block, otherwise that of the block */
    DATABLOCK_ALGORITHM_CRC32C = 1, /* memory speed; libraries of format 1 refuse the block */
    DATABLOCK_ALGORITHM_BLAKE2B = 2 /* about a nanosecond per byte on each side */
} datablock_algorithm;

struct datablock_schema;

/*
 * Zero means "the default" in every field but `size` and `slot_size`. A `policy` of 0 is a RING.
 *
 * A producer that opens an existing block must ask for the geometry of that block: slot_count,
 * slot_size, alignment, policy, consumer_limit, spare_slots, min_consumers, checksum, algorithm
 * (unless 0), retention_ms, zone_size, ALLOW_LOSSLESS, TIMESTAMP. Otherwise the open fails with
 * DATABLOCK_E_GEOMETRY, and the detail names the differences. The producer must also ask for the
 * schema of that block (DATABLOCK_E_SCHEMA). A RING with neither ALLOW_LOSSLESS nor FORBID_LOSSLESS
 * allows LOSSLESS when the open creates the block, and takes over a block that forbids LOSSLESS.
 * datablock_config_init sets ALLOW_LOSSLESS for a RING: clear it to take over such a block.
 *
 * Memory: slot_count + spare_slots slots of (64 + slot_size rounded up to the alignment) bytes,
 * 8 bytes per ring entry, and under 64 KiB fixed at 64 consumers. The open reserves all of this
 * memory at creation: a full directory is an error then, not a SIGBUS later.
 */
typedef struct datablock_config {
    uint32_t size; /* sizeof(datablock_config), set by datablock_config_init */
    uint32_t flags; /* DATABLOCK_FLAG_* */
    uint32_t policy; /* datablock_policy */
    /* messages kept, 1 .. 1048576; default 8 for a RING. A SINGLE has 1 and a DOUBLE_BUFFER has 2:
     * the default, and the only choice */
    uint32_t slot_count;
    /* at least 2; default 1 + consumer_limit + 8 (4 above a slot_size of 64 KiB, 1 above 1 MiB) */
    uint32_t spare_slots;
    uint32_t alignment; /* of the payload: a power of two up to 4096; default 64, the minimum */
    /* payload capacity in bytes, 1 .. 2^40; required, unless a schema is given. The default is then
     * the size of the schema's struct */
    uint64_t slot_size;
    uint32_t consumer_limit; /* consumers attached at once, 1 .. 255; default 16 */
    /* less than spare_slots, at most consumer_limit; default 0. While fewer consumers are attached,
     * the producer waits and overwrites nothing. Dead consumers do not count, except durable
     * LOSSLESS ones */
    uint32_t min_consumers;
    /* permission to attach, independent of umask. Default 0600: the own uid. 0660: the group too,
     * which may also produce. 0640: the group may only attach. 0646: every user may attach, and
     * cannot write messages. With 0644 other users may read the data file but not attach, because
     * to attach takes a control file that they may write. On Windows the mode becomes an access
     * control list, and the group is the primary group of the user */
    uint32_t mode;
    uint32_t checksum; /* datablock_checksum; default none */
    const char *directory; /* NULL: $DATABLOCK_DIR, else the default; must be absolute */
    /* compared at attach, against mix-ups. The permissions of the files are the defence */
    const void *secret;
    size_t secret_length; /* bytes, at most 1024; 0: none */
    /* how long a dead durable consumer keeps its place; at most 2^40; 0: for ever */
    uint64_t retention_ms;
    uint64_t zone_size; /* bytes of the flexible zone, at most 2^30; default 4032 */
    /* the type of a message; written into the block at creation, and compared when the block is
     * taken over (SCHEMA). NULL: the schema that `registered` refers to; if `registered` is NULL
     * too, none */
    const struct datablock_schema *schema;
    /* the schema by a reference to the registry, "SensorReading@2.1". If `schema` is given as well,
     * both must be the same (SCHEMA). NULL: none */
    const char *registered;
    const char *registry; /* the directory of the registry; NULL: as in datablock_schema_lookup */
    /* the type of the flexible zone, handled as `schema`; zone_size is then at least its size */
    const struct datablock_schema *zone_schema;
    uint64_t reserved[2]; /* zero */
    uint32_t algorithm; /* datablock_algorithm, of the checksums; 0 without checksums */
    uint32_t reserved1; /* zero */
} datablock_config;

/*
 * Fills the first `size` bytes of `config` with the defaults of `policy`, and sets config->size to
 * `size`. A program passes sizeof(datablock_config), of the header that it was compiled with, and
 * may be linked with a library of another version: no byte behind `size` is written, and a field
 * that the library does not know is zero. (A later open refuses such a field if it is not zero.)
 * Errors: INVALID (null, unknown policy, a `size` below the 136 bytes of the first header or above
 * 4096; then nothing is written).
 */
DATABLOCK_API datablock_status datablock_config_init_sized(datablock_config *config, size_t size,
                                                           datablock_policy policy);

/*
 * The same with the right size. A program calls the macro. The function of this name serves
 * programs that were compiled with the first header: the function fills the 136 bytes that a
 * datablock_config had there, and an open then uses these fields only. A binding that calls
 * functions by name, without this header's macros, calls datablock_config_init_sized. Errors:
 * INVALID (null, unknown policy).
 */
DATABLOCK_API datablock_status datablock_config_init(datablock_config *config,
                                                     datablock_policy policy);
#ifndef DATABLOCK_DECLARATIONS_ONLY
#define datablock_config_init(config, ...) /* the policy may have commas */                        \
    datablock_config_init_sized((config), sizeof(datablock_config), __VA_ARGS__)
#endif

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct datablock_producer {
    uint64_t handle;
} datablock_producer;

typedef struct datablock_write_slot {
    void *data; /* `capacity` bytes to fill, with arbitrary contents before */
    size_t capacity; /* the block's slot_size */
    uint64_t id; /* the id that a commit will publish */
    uint32_t index; /* the slot's number, as in the diagnosis */
    uint32_t reserved; /* zero */
} datablock_write_slot;

/*
 * Creates the block, or takes over the existing block of that name and geometry. After a takeover
 * ids continue, and attached consumers notice nothing. Blocks briefly (system calls only). `config`
 * may not be NULL.
 * Errors: INVALID, PRODUCER_ACTIVE (another process or handle writes the block), ACCESS, SECRET,
 * CORRUPT, VERSION, GEOMETRY, SCHEMA, NO_SPACE, NOT_FOUND (the directory, the registered schema),
 * SYSTEM.
 */
DATABLOCK_API datablock_status datablock_producer_open(const char *name,
                                                       const datablock_config *config,
                                                       datablock_producer *out);

/*
 * Marks the end of the stream, aborts an open claim, and releases the block. Consumers drain the
 * messages that are there, and then get CLOSED. With UNLINK_ON_CLOSE the close also removes the
 * block. After an exit or a death without a close the next producer takes the block over.
 * Errors: HANDLE. Pointers into the block are invalid afterwards.
 */
DATABLOCK_API datablock_status datablock_producer_close(datablock_producer producer);

/*
 * The id of the next message that this producer publishes. A program that an exception or a signal
 * has interrupted compares this id before and after, and knows how many messages were published.
 * Never waits. Errors: INVALID (null), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_producer_next_id(datablock_producer producer,
                                                          uint64_t *id);

/*
 * Claims a slot for the next message. One claim at a time. Waits while a LOSSLESS consumer has yet
 * to read the message that would be overwritten, or while fewer than min_consumers are attached. A
 * waiting call releases dead consumers.
 * Errors: INVALID (null, timeout, a claim is already open), TIMEOUT, SUPERSEDED (another producer
 * replaced the block: open again), CLOSED (closed by another thread), CORRUPT (the file was
 * truncated while open), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_write_begin(datablock_producer producer,
                                                     int64_t timeout_ms, datablock_write_slot *out);

/*
 * Publishes the first `length` bytes of the claimed slot as message `slot->id`, atomically, and
 * wakes waiting consumers. Never waits. After success the slot belongs to the consumers: the
 * program must no longer write to the slot.
 * Errors: INVALID (null, no such claim; or a length above the capacity or below the size of the
 * block's schema, and then the claim stays open), FENCED or SUPERSEDED (nothing was published, and
 * the claim has ended; after FENCED the next claim gets the same id), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_write_commit(datablock_producer producer,
                                                      const datablock_write_slot *slot,
                                                      size_t length);

/*
 * On a block with MANUAL checksums: stores the checksum of the first `length` bytes of the claimed
 * slot. A commit of that length publishes the checksum. Fill the payload first.
 * Errors: INVALID (null, no such claim, length above the capacity, a block without checksums),
 * BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_write_checksum(datablock_producer producer,
                                                        const datablock_write_slot *slot,
                                                        size_t length);

/*
 * Aborts the claim: the slot is given back unpublished, and the next claim gets the same id.
 * Errors: INVALID (no such claim), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_write_abort(datablock_producer producer,
                                                     const datablock_write_slot *slot);

/* ---- Reading --------------------------------------------------------------------------------- */

typedef struct datablock_consumer {
    uint64_t handle;
} datablock_consumer;

typedef enum datablock_delivery {
    DATABLOCK_DELIVERY_DEFAULT = 0, /* the default of the block's policy */
    /* every message, in order; applies backpressure to the producer */
    DATABLOCK_LOSSLESS = 1,
    /* in order; a consumer that is lapped skips messages, and `missed` counts them; never applies
     * backpressure */
    DATABLOCK_ORDERED = 2,
    DATABLOCK_LATEST = 3 /* the newest; ids only rise; never applies backpressure */
} datablock_delivery;

typedef enum datablock_start {
    /* LOSSLESS, ORDERED: the next message committed after the attach; LATEST: the newest present */
    DATABLOCK_START_LATEST = 0,
    DATABLOCK_START_OLDEST = 1 /* the oldest message present */
} datablock_start;

/* Zero means "the default" in every field but `size`. */
typedef struct datablock_consumer_options {
    /* sizeof(datablock_consumer_options), set by datablock_consumer_options_init */
    uint32_t size;
    uint32_t delivery; /* datablock_delivery */
    uint32_t start; /* datablock_start */
    /* slots held at once, 1 .. 8; default 1. Each takes one of the block's spare slots */
    uint32_t max_pins;
    /* 1: keep row and cursor when this consumer dies, and continue there under the same name; needs
     * a name */
    uint32_t durable;
    uint32_t reserved0; /* zero */
    const char *name; /* shown in the diagnosis; at most 63 bytes; NULL: the program's name */
    const char *directory; /* as in datablock_config */
    const void *secret; /* as in datablock_config */
    size_t secret_length;
    /* the type of a message that this consumer expects (SCHEMA: the block's does not match). NULL:
     * the schema that `registered` refers to; if `registered` is NULL too, any */
    const struct datablock_schema *schema;
    uint32_t schema_mode; /* datablock_schema_mode, also for the zone */
    uint32_t reserved1; /* zero */
    const char *registered; /* as in datablock_config */
    const char *registry; /* as in datablock_config */
    /* the expected type of the flexible zone (SCHEMA: the block's does not match); NULL: any */
    const struct datablock_schema *zone_schema;
    uint64_t reserved[3]; /* zero */
    /* how long the open waits for a missing block; 0: not at all, -1: for ever. Consumers only */
    int64_t wait_ms;
} datablock_consumer_options;

typedef struct datablock_read_slot {
    const void *data; /* `length` bytes, in place, read-only, valid until datablock_read_end */
    size_t length; /* bytes */
    uint64_t id; /* the message's id */
    uint64_t timestamp_ns; /* CLOCK_REALTIME at commit; 0 without DATABLOCK_FLAG_TIMESTAMP */
    /* messages skipped since the previous read, or since this consumer's start; at most 2^48-1;
     * always 0 for LOSSLESS */
    uint64_t missed;
    uint32_t index; /* the slot's number, as in the diagnosis */
    uint32_t token; /* identifies the hold; do not change */
} datablock_read_slot;

/*
 * Fills the first `size` bytes of `options` with the defaults, and sets options->size to `size`, as
 * datablock_config_init_sized does. A program passes sizeof(datablock_consumer_options). Errors:
 * INVALID (null, a `size` below the 120 bytes of the first header or above 4096; then nothing is
 * written).
 */
DATABLOCK_API datablock_status
datablock_consumer_options_init_sized(datablock_consumer_options *options, size_t size);

/*
 * The same with the right size, as a macro. The function of this name fills the 120 bytes of the
 * first header: see datablock_config_init. Errors: INVALID (null).
 */
DATABLOCK_API datablock_status datablock_consumer_options_init(datablock_consumer_options *options);
#ifndef DATABLOCK_DECLARATIONS_ONLY
#define datablock_consumer_options_init(options)                                                   \
    datablock_consumer_options_init_sized((options), sizeof(datablock_consumer_options))
#endif

/*
 * Attaches to an existing block. `options` may be NULL for the defaults. Blocks briefly (system
 * calls only), unless options.wait_ms asks to wait: then it polls every 16 ms or sooner.
 * Errors: INVALID (also: LOSSLESS on a block that forbids LOSSLESS), TIMEOUT (no block of that name
 * within wait_ms), NOT_FOUND (also: the registered schema), ACCESS, SECRET, CORRUPT, VERSION,
 * SCHEMA, FULL (consumer limit), NO_SPARE (max_pins of all consumers would leave the producer no
 * slot), BUSY (a consumer of the durable name is attached), SUPERSEDED, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_consumer_open(const char *name,
                                                       const datablock_consumer_options *options,
                                                       datablock_consumer *out);

/*
 * Whether a durable consumer continues at the place that was kept under its name. If not, this
 * consumer began as a new consumer does. The name is then new, or the place expired (retention_ms
 * was over, and another participant needed the row) or was removed, or the block was created anew.
 * The consumer may then have missed messages that `missed` does not count. The answer is decided at
 * the attach and never changes. Never waits.
 * Errors: INVALID (null), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_consumer_resumed(datablock_consumer consumer,
                                                          bool *resumed);

/*
 * Detaches. Slots that are still held are released, and pointers into the block are invalid
 * afterwards. The row of a durable consumer stays. Errors: HANDLE.
 */
DATABLOCK_API datablock_status datablock_consumer_close(datablock_consumer consumer);

/*
 * Waits for the next message, and holds the message in place until datablock_read_end. A consumer
 * may hold up to max_pins messages at once.
 * Errors:
 *     INVALID     null, timeout
 *     TIMEOUT
 *     NO_PRODUCER the time ran out, and no process has the block open for writing. A restarted
 *                 producer continues where the old producer stopped
 *     CHECKSUM    see datablock_read_verify
 *     CLOSED      the stream has ended and was read, or another thread closed the handle
 *     SUPERSEDED  the block was replaced and every message was read: attach again
 *     OVERRUN     LOSSLESS only: this consumer was evicted; attach again
 *     LOST        an operator discarded this message; the next call continues after this message
 *     FENCED      this consumer's row was taken away: attach again
 *     BUSY        max_pins slots are held, or another thread is inside
 *     CORRUPT, HANDLE
 */
DATABLOCK_API datablock_status datablock_read_begin(datablock_consumer consumer, int64_t timeout_ms,
                                                    datablock_read_slot *out);

/*
 * Reads message `id` if the message is still present. The cursor stays. `missed` is 0. Does not
 * wait.
 * Errors: INVALID (null), NOT_FOUND (not yet written), OVERRUN (overwritten), LOST, CHECKSUM,
 * FENCED, BUSY (max_pins slots are held), CORRUPT, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_at(datablock_consumer consumer, uint64_t id,
                                                 datablock_read_slot *out);

/*
 * datablock_read_at that waits, at most for the timeout, for a message that is not written yet. The
 * call sleeps between the producer's messages, and is closed, superseded or interrupted as
 * datablock_read_begin. A LOSSLESS consumer cannot wait for a message that the producer cannot
 * write before this consumer has read on.
 * Errors: those of datablock_read_begin and datablock_read_at, except NOT_FOUND. TIMEOUT or
 * NO_PRODUCER when the time is over. CLOSED and SUPERSEDED when the message will never come.
 * INVALID (null, timeout; or, with -1, the consumer would wait for ever for itself).
 */
DATABLOCK_API datablock_status datablock_read_id(datablock_consumer consumer, uint64_t id,
                                                 int64_t timeout_ms, datablock_read_slot *out);

/*
 * Compares a message that is held with its checksum. With ENFORCED checksums the read has done that
 * before it returned the message. A message that failed is DATABLOCK_E_CHECKSUM there, once, and
 * the next call continues with the next message.
 * Errors: CHECKSUM (the message was changed after the commit: discard what was computed from the
 * message; the hold continues), INVALID (null, not held, or without a checksum), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_verify(datablock_consumer consumer,
                                                     const datablock_read_slot *slot);

/*
 * Releases the message. LOSSLESS messages are released in the order of their reads. The release of
 * the last message lets a waiting producer continue.
 * Errors: INVALID (not held, or out of order), OVERRUN (the slot was reused while held, because
 * this consumer was evicted or the control file is damaged: discard what was computed from the
 * message; the hold has ended), FENCED (as OVERRUN, and this consumer's row is gone), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_end(datablock_consumer consumer,
                                                  const datablock_read_slot *slot);

/*
 * Releases the message that was read last as if it had not been read: the cursor is before the
 * message again. The next read returns the message, or the status that says what has become of it.
 * (The next read of a LATEST consumer returns the newest message at that time.) `slot` is from
 * datablock_read_begin or datablock_read_batch. Of a batch, undo the last message first. A hold
 * that covers earlier messages of its batch stays, and ends with the first of these messages,
 * released or undone. Without a hold the message may be overwritten, as any unread message.
 * Errors: INVALID (null; not held; a later message was read; or the message was read by its id),
 * FENCED (as datablock_read_end: the hold has ended, nothing is redelivered), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_read_undo(datablock_consumer consumer,
                                                   const datablock_read_slot *slot);

/* ---- Waiting on several blocks --------------------------------------------------------------- */

#define DATABLOCK_WAIT_ANY_MAX 1024 /* consumers */

/*
 * Waits until at least one of `count` consumers can be read without waiting. Sets ready[i] for each
 * consumer whose next datablock_read_begin would return immediately, with a message or with a final
 * status such as CLOSED, and clears the other entries. A consumer whose stream has ended stays
 * ready: leave such a consumer out of the next wait. Reports readiness only, and dequeues nothing.
 * Fair: a caller that serves each ready consumer once before the next wait starves none.
 *
 * The call sleeps on all consumers at once. On a kernel before 5.16, or with more than 128
 * consumers, the call polls every millisecond instead. While the call sleeps, it holds none of the
 * handles: other threads may close them. The call enters the handles at least every 100 ms. If
 * another thread is inside one of the handles at that time, the call or the other thread gets BUSY.
 * Errors: INVALID (null, count, timeout), TIMEOUT (none is ready; also where a read would return
 * NO_PRODUCER), CLOSED (another thread closed one of the handles), BUSY (another thread is inside
 * one of them), HANDLE. The detail names the entry. `ready` is untouched unless the status is OK.
 */
DATABLOCK_API datablock_status datablock_wait_any(const datablock_consumer *consumers, size_t count,
                                                  int64_t timeout_ms, bool *ready);

/*
 * Ends a wait from outside. Zero the struct before its first use. The memory may be freed when no
 * call uses the struct any more.
 */
typedef struct datablock_waker {
    uint32_t woken;
} datablock_waker;

/*
 * As datablock_wait_any, until datablock_wake is called for this waker: then returns OK with no
 * entry of `ready` set. A wake before the call ends the call at once. The wait that a wake ends
 * clears the wake. Ready consumers are returned first. `count` may be 0. One wait at a time may use
 * a waker. The call sleeps with up to 127 consumers, and polls every millisecond with more. Errors:
 * as datablock_wait_any.
 */
DATABLOCK_API datablock_status datablock_wait_any_or_wake(const datablock_consumer *consumers,
                                                          size_t count, int64_t timeout_ms,
                                                          bool *ready, datablock_waker *waker);

/*
 * Ends the wait for this waker, the present one or the next one. Never waits. Any thread, also from
 * a signal handler. Leaves the text of datablock_error_detail unchanged. NULL does nothing.
 */
DATABLOCK_API void datablock_wake(datablock_waker *waker);

/* ---- Whole messages in one call -------------------------------------------------------------- */

/*
 * Publishes a copy of `length` bytes as the next message: datablock_write_begin, a copy and
 * datablock_write_commit in one hold of the handle. `*id` receives the message's id; `id` may be
 * NULL. `data` may be NULL for an empty message. Nothing is published, and no claim stays open,
 * unless the status is OK.
 * Waits and errors: as these two functions. Also INVALID (fewer bytes than the struct of the
 * block's schema, or more bytes than a slot; returned without waiting).
 */
DATABLOCK_API datablock_status datablock_write(datablock_producer producer, int64_t timeout_ms,
                                               const void *data, size_t length, uint64_t *id);

typedef struct datablock_message {
    const void *data; /* the caller's; read during the call only */
    size_t length; /* bytes */
} datablock_message;

/*
 * Publishes copies of several messages, in order. `timeout_ms` is for the whole call. Each message
 * is published by itself: consumers see the message at once, and a death in between loses only the
 * messages that were not yet published. `*written` is the number of published messages, whatever
 * the status. The status is that of the first message that was not published. The handle is held
 * for the whole batch. The ids of the batch are consecutive and follow the id of this producer's
 * previous message. Errors: as datablock_write.
 */
DATABLOCK_API datablock_status datablock_write_batch(datablock_producer producer,
                                                     int64_t timeout_ms,
                                                     const datablock_message *messages,
                                                     size_t count, size_t *written);

enum {
    /* a message that is longer than the buffer is cut off, instead of refused */
    DATABLOCK_COPY_CUT = 1u << 0
};

/* Describes the message whose copy is in the caller's buffer. */
typedef struct datablock_copied {
    uint64_t id; /* the message's */
    uint64_t length; /* bytes of the message, also when the buffer has room for fewer */
    uint64_t timestamp_ns; /* as in datablock_read_slot */
    uint64_t missed; /* as in datablock_read_slot */
    uint32_t index; /* the slot's number, as in the diagnosis */
    uint32_t reserved; /* zero */
} datablock_copied;

/*
 * Copies the next message into `buffer`: datablock_read_begin, a copy, datablock_read_end. Needs
 * one of the consumer's max_pins during the call. May be called while messages are held: the copy
 * is no hold, so the order in which a LOSSLESS consumer releases its messages does not apply to the
 * copy. `buffer` may be NULL if `capacity` is 0.
 *
 * A message of more than `capacity` bytes is INVALID and counts as unread: the next read returns
 * that message again (of a LATEST consumer: the newest at that time), and `out` has the length.
 * With DATABLOCK_COPY_CUT the call copies the first `capacity` bytes instead, and the message
 * counts as read.
 * Waits and errors: as datablock_read_begin and datablock_read_end. After OVERRUN and FENCED
 * discard the contents of the buffer. Whatever the status, `buffer` may have been written to,
 * though never beyond the message's length.
 */
DATABLOCK_API datablock_status datablock_read_copy(datablock_consumer consumer, int64_t timeout_ms,
                                                   uint32_t flags, void *buffer, size_t capacity,
                                                   datablock_copied *out);

/*
 * Reads the next messages, in place: all that are already there, up to `capacity`. Waits for the
 * first message only. The messages are held until datablock_read_batch_end.
 *
 * LOSSLESS: one hold covers the whole batch, however long the batch is. (While a join at the oldest
 * message is not complete, the batch is as ORDERED.) The release moves the cursor once, so that a
 * batch costs its consumer and the producer less than the same messages one by one. A durable
 * consumer that dies in a batch gets all of the batch again. ORDERED: each message takes one of
 * max_pins. LATEST: one message.
 *
 * A message that would return an error (LOST, CHECKSUM), or that follows a gap, ends the batch
 * before it. The next call reports the error or the gap.
 * Errors: as datablock_read_begin; INVALID (null, capacity 0). On an error nothing is held, and
 * *count is 0.
 */
DATABLOCK_API datablock_status datablock_read_batch(datablock_consumer consumer, int64_t timeout_ms,
                                                    datablock_read_slot *out, size_t capacity,
                                                    size_t *count);

/*
 * Releases the given messages of a batch. Where one hold covers the batch, they may be its first
 * messages: the cursor moves past them, and the rest stays held, as a batch of its own.
 * (datablock_read_end of the first message releases everything that its hold covers.) Messages
 * that were undone are not held: the others are released, and the status is INVALID. Errors: as
 * datablock_read_end; of several errors the first is returned.
 */
DATABLOCK_API datablock_status datablock_read_batch_end(datablock_consumer consumer,
                                                        const datablock_read_slot *slots,
                                                        size_t count);

/* ---- Observing without taking part ----------------------------------------------------------- */

/*
 * An observer copies messages out of a block without being a participant. The observer has no row
 * and no hazard pointer, applies no backpressure, is not listed among the participants, and changes
 * no byte. An observer needs permission to read the data file only, as with mode 0644. Observers
 * are for monitors, and for users who may read but not attach. No process can wake an observer: an
 * observer looks at the block when the program calls.
 */
typedef struct datablock_observer {
    uint64_t handle;
} datablock_observer;

typedef struct datablock_observation {
    uint64_t id; /* the message's */
    uint64_t length; /* bytes of the message; the copy has as many as there was room for */
    uint64_t timestamp_ns; /* CLOCK_REALTIME at commit; 0 without DATABLOCK_FLAG_TIMESTAMP */
    uint64_t next_id; /* the id of the message that is written next */
    uint32_t index; /* the slot's number, as in the diagnosis */
    uint32_t reserved; /* zero */
} datablock_observation;

#define DATABLOCK_NEWEST UINT64_MAX /* for datablock_observe: no message has this id */

/*
 * Opens an existing block, with or without a producer. Of `options` (may be NULL) the call uses
 * directory, secret, schema, schema_mode, registered and registry. Everything else must be zero.
 * Blocks briefly (system calls only).
 * Errors: INVALID, NOT_FOUND, ACCESS, SECRET, SCHEMA, CORRUPT, VERSION, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_observer_open(const char *name,
                                                       const datablock_consumer_options *options,
                                                       datablock_observer *out);

/*
 * Copies a message into `buffer`, up to `capacity` bytes: message `id`, or with DATABLOCK_NEWEST
 * the newest message that no operator discarded. With a capacity of 0 the call describes the
 * message only, and `buffer` may be NULL. The copy is a seqlock read: the status is OK only if the
 * message was present before and after the copy. Does not wait. With ENFORCED checksums the call
 * also compares a whole copy with its checksum. Whatever the status, `buffer` may have been written
 * to, though never beyond the message's length.
 * Errors: INVALID (null), NOT_FOUND (no message yet, or message `id` is not written yet), OVERRUN
 * (overwritten, perhaps during the copy; NEWEST: the producer was faster at each of a hundred
 * attempts), LOST, CHECKSUM, SUPERSEDED (the block was replaced or removed, which the observer
 * notices within 100 ms: open again), CORRUPT, BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_observe(datablock_observer observer, uint64_t id,
                                                 void *buffer, size_t capacity,
                                                 datablock_observation *out);

/* Releases the block. Errors: HANDLE. */
DATABLOCK_API datablock_status datablock_observer_close(datablock_observer observer);

/* ---- Schemas --------------------------------------------------------------------------------- */

/*
 * A schema defines what the bytes of a struct mean: the names, types, counts and offsets of the
 * fields, and the size and alignment of the struct. docs/schema.md has the text form and the rules.
 * A schema comes from a text, from a struct of C (datablock_schema.h) or C++
 * (datablock_schema.hpp), or from a block. The same struct has the same hash from each of them.
 */
typedef struct datablock_schema {
    /* one line, zero-terminated; the library's memory, until datablock_schema_free */
    char *canonical;
    uint64_t bytes; /* of the struct */
    uint32_t alignment; /* of the struct; 1: packed */
    uint32_t major; /* the version, which is no part of line and hash */
    uint32_t minor;
    uint32_t patch;
    uint8_t hash[32]; /* BLAKE2b-256 of the line */
} datablock_schema;

typedef enum datablock_schema_mode {
    /* the same name and major version, and the producer has every field of the consumer, with the
     * same type, count and offset */
    DATABLOCK_SCHEMA_COMPATIBLE = 0,
    DATABLOCK_SCHEMA_EXACT = 1 /* COMPATIBLE, and the hashes are equal */
} datablock_schema_mode;

/*
 * Reads the text form, such as "schema Sample 1.0.0 { time: u64; value: f64[3]; }".
 * Errors: INVALID (null; or a fault in the text: the detail has line and column, the text found
 * there, and what is expected).
 */
DATABLOCK_API datablock_status datablock_schema_parse(const char *text, datablock_schema *out);

/*
 * The schema of a block, also without a producer. Reads the data file only, as an observer.
 * Errors: INVALID (null), SCHEMA (the block has none), NOT_FOUND, ACCESS, CORRUPT, VERSION, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_schema_of_block(const char *shm_name,
                                                         datablock_schema *out);

/*
 * The schema of the block that a consumer reads. Errors: INVALID (null), SCHEMA (the block has
 * none), CORRUPT, BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_schema_of_consumer(datablock_consumer consumer,
                                                            datablock_schema *out);

/* The same for an observer. Errors: as datablock_schema_of_consumer. */
DATABLOCK_API datablock_status datablock_schema_of_observer(datablock_observer observer,
                                                            datablock_schema *out);

/*
 * The schemas of the flexible zone. Errors: as datablock_schema_of_block and
 * datablock_schema_of_consumer.
 */
DATABLOCK_API datablock_status datablock_zone_schema_of_block(const char *shm_name,
                                                              datablock_schema *out);
DATABLOCK_API datablock_status datablock_zone_schema_of_consumer(datablock_consumer consumer,
                                                                 datablock_schema *out);

/*
 * Checks whether a consumer that expects the schema `consumer` can read the messages of a producer
 * that has the schema `producer`.
 * Errors: SCHEMA (the consumer cannot; the detail names every field that differs, with both sides),
 * INVALID (null, mode).
 */
DATABLOCK_API datablock_status datablock_schema_check(const datablock_schema *producer,
                                                      const datablock_schema *consumer,
                                                      datablock_schema_mode mode);

/*
 * Finds the newest schema that a reference ("SensorReading", "SensorReading@2", "SensorReading@2.1"
 * or "@2.1.0") names in a registry. A registry is a directory, and `registry` is its absolute path.
 * NULL: $DATABLOCK_SCHEMAS, else datablock/schemas in $XDG_DATA_HOME, else in ~/.local/share; on
 * Windows %DATABLOCK_SCHEMAS%, else DataBlock\schemas in %LOCALAPPDATA%. Reads files.
 * Errors: INVALID (null, the reference, a relative path), NOT_FOUND (the detail lists the versions
 * that exist), ACCESS, SYSTEM (the directory, or a file of that version that was changed).
 */
DATABLOCK_API datablock_status datablock_schema_lookup(const char *reference, const char *registry,
                                                       datablock_schema *out);

/*
 * Adds a schema to a registry. Creates the registry if the directory does not exist. To add the
 * same schema again does nothing.
 * Errors: INVALID (null, no version), SCHEMA (the schema breaks the version rules of
 * docs/schema.md, or that version is registered as another struct: the detail names a version that
 * is free and right, and the fields), ACCESS, NO_SPACE, SYSTEM (also: a file of that name and major
 * version was changed).
 */
DATABLOCK_API datablock_status datablock_schema_register(const datablock_schema *schema,
                                                         const char *registry);

/* Frees the memory of a schema. `schema` may be NULL, or zeroed, or freed already. No errors. */
DATABLOCK_API void datablock_schema_free(datablock_schema *schema);

/* A struct as the macros of datablock_schema.h describe it. */
struct datablock_schema_layout;
typedef struct datablock_schema_field {
    const char *name;
    const char *type; /* "u64", "char" and so on as in the text form; NULL: a struct, `nested` */
    const struct datablock_schema_layout *nested;
    uint64_t offset; /* bytes */
    uint64_t size; /* bytes, of all items */
    uint64_t dims[8]; /* of an array, outermost first; 0 ends them */
} datablock_schema_field;
typedef struct datablock_schema_layout {
    const datablock_schema_field *fields; /* in the order of their offsets */
    size_t count;
    uint64_t size; /* bytes */
    uint64_t alignment; /* bytes */
} datablock_schema_layout;

/*
 * Makes the schema of a described struct. `name` and the names of fields have letters, digits and
 * '_', and at most 63 bytes. They do not begin with a digit. All limits are in docs/schema.md.
 * `name` and `layout` are read during the call only.
 * Errors: INVALID (null; a name; a field that overlaps another field, or whose size is not the size
 * of its type: the detail names schema and field).
 */
DATABLOCK_API datablock_status datablock_schema_describe(const char *name, uint32_t major,
                                                         uint32_t minor, uint32_t patch,
                                                         const datablock_schema_layout *layout,
                                                         datablock_schema *out);

/* ---- What both sides share ------------------------------------------------------------------- */

/*
 * Beside its messages a block has eight locks, a flexible zone and eight counters. The producer and
 * all consumers of the block may use them. Locks, zone and counters are in the control file, and
 * every process that may attach is trusted with them.
 */

/*
 * A producer or a consumer. The handle is the same: one thread at a time may use the handle, and
 * datablock_producer_close or datablock_consumer_close closes the handle.
 */
typedef struct datablock_participant {
    uint64_t handle;
} datablock_participant;

/* The same handle, for the functions of this section. No errors: they check the handle. */
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
 * Acquires lock `lock`, 0 to 7. Lock 0 protects the flexible zone. The lock is recursive: the owner
 * releases the lock as often as it acquired the lock. Waits, at most for the timeout (0: not at
 * all, -1: for ever), spinning first, then asleep. The lock of a dead owner is taken back: the
 * kernel proves the death. A living owner keeps the lock, however long that owner is silent.
 *
 * `*abandoned` (`abandoned` may be NULL) is true if the last owner ended, or was evicted, without
 * releasing the lock. The data that the lock protects may then be half changed.
 * Errors: INVALID (no such lock, timeout), TIMEOUT (the detail names the owner), CLOSED (closed by
 * another thread), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_lock_acquire(datablock_participant participant,
                                                      uint32_t lock, int64_t timeout_ms,
                                                      bool *abandoned);

/*
 * Releases the lock once. Does not wait.
 * Errors: INVALID (this participant does not own the lock), FENCED (the lock was taken away:
 * changes made under the lock may have met the changes of other participants), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_lock_release(datablock_participant participant,
                                                      uint32_t lock);

/* The flexible zone: memory that both sides change in place, under lock 0 only. */
typedef struct datablock_zone {
    /* `size` bytes, aligned to 64; all zero in a new block. Not to be used after
     * datablock_zone_end */
    void *data;
    size_t size; /* bytes: the block's zone_size */
    uint64_t writes; /* how often a participant has left the zone */
    bool abandoned; /* the last participant in the zone ended inside */
    bool intact; /* the contents are what the last participant to leave the zone left */
} datablock_zone;

enum {
    /* enter also when the contents are not what was left in the zone: to restore them */
    DATABLOCK_ZONE_ANYWAY = 1u << 0
};

/*
 * Enters the zone: acquires lock 0, and compares the zone with its checksum (BLAKE2b-256; about a
 * nanosecond per byte). Waits as datablock_lock_acquire.
 * Errors: those of datablock_lock_acquire; INVALID (unknown flags; this participant is in the zone,
 * or owns lock 0, already), CHECKSUM (a participant died in the zone, or a process wrote to the
 * zone without the lock: enter with DATABLOCK_ZONE_ANYWAY and restore the contents).
 */
DATABLOCK_API datablock_status datablock_zone_begin(datablock_participant participant,
                                                    uint32_t flags, int64_t timeout_ms,
                                                    datablock_zone *out);

/*
 * Leaves the zone. The contents get a new checksum. A participant that could not finish passes
 * `spoilt`: then the contents get no new checksum, and the next participant finds the zone
 * abandoned.
 * Errors: INVALID (not in the zone, whatever this participant holds of lock 0), FENCED (as
 * datablock_lock_release), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_zone_end(datablock_participant participant, bool spoilt);

/*
 * Eight counters of 64 bits, 0 to 7, zero in a new block. Each function is one atomic, sequentially
 * consistent step. `*before` receives the previous value. `before` may be NULL; `value` of
 * datablock_counter_get may not. Never wait.
 * Errors: INVALID (null, no such counter), BUSY, HANDLE.
 */
DATABLOCK_API datablock_status datablock_counter_get(datablock_participant participant,
                                                     uint32_t counter, uint64_t *value);
DATABLOCK_API datablock_status datablock_counter_set(datablock_participant participant,
                                                     uint32_t counter, uint64_t value,
                                                     uint64_t *before);
/* Adds, modulo 2^64: UINT64_MAX is minus one. Errors: as datablock_counter_get. */
DATABLOCK_API datablock_status datablock_counter_add(datablock_participant participant,
                                                     uint32_t counter, uint64_t amount,
                                                     uint64_t *before);
/*
 * Compare-and-exchange: stores `value` if the counter is `expected`. The exchange happened if and
 * only if `*before` is `expected`. Errors: as datablock_counter_get.
 */
DATABLOCK_API datablock_status datablock_counter_exchange(datablock_participant participant,
                                                          uint32_t counter, uint64_t expected,
                                                          uint64_t value, uint64_t *before);

/* ---- Housekeeping ---------------------------------------------------------------------------- */

typedef struct datablock_block_info {
    char name[204]; /* zero-terminated; at most 200 bytes and the zero */
    /* datablock_checksum and datablock_algorithm; 0 without checksums. Until these fields came, the
     * name had their bytes, which were always zero */
    uint16_t checksum;
    uint16_t algorithm;
    uint64_t total_bytes; /* of both files */
    uint64_t slot_size; /* bytes */
    uint64_t next_id; /* messages written so far */
    uint64_t producer_pid; /* 0: no living producer */
    uint32_t slot_count; /* messages */
    uint32_t spare_slots; /* slots */
    uint32_t policy; /* datablock_policy */
    uint32_t consumers; /* living ones */
    uint32_t consumer_limit; /* rows */
    /* 2 ready, 3 closed, 4 superseded, 5 being replaced; 0: the file is not a readable block, and
     * only `name` is set */
    uint32_t state;
} datablock_block_info;

/*
 * Lists the blocks in `directory` (NULL: the default directory), sorted by name, up to `capacity`.
 * `*count` is the number of blocks in the directory. `out` may be NULL when `capacity` is 0. Opens
 * files read-only and changes nothing.
 * Errors: INVALID, NOT_FOUND (the directory), ACCESS, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_list(const char *directory, datablock_block_info *out,
                                              size_t capacity, size_t *count);

/*
 * Removes a block. Refused with PRODUCER_ACTIVE or BUSY while participants live, unless `flags` has
 * DATABLOCK_FLAG_FORCE. Then the call fences the participants, and they get SUPERSEDED.
 * Errors: INVALID (also: any other flag), NOT_FOUND, ACCESS, PRODUCER_ACTIVE, BUSY, CORRUPT (not a
 * block; remove the file by hand), SYSTEM.
 */
DATABLOCK_API datablock_status datablock_unlink(const char *name, uint32_t flags);

/* ---- Diagnosis and recovery ------------------------------------------------------------------ */

enum {
    DATABLOCK_SLOT_FREE = 0, /* not in use */
    DATABLOCK_SLOT_WRITING = 1, /* claimed */
    DATABLOCK_SLOT_COMMITTED = 2, /* in the ring */
    DATABLOCK_SLOT_DRAINING = 3 /* out of the ring, and a consumer still holds the slot */
};

typedef struct SlotDiagnostic {
    uint64_t slot_id; /* the message's id */
    uint32_t slot_index; /* 0 .. slot_count + spare_slots - 1 */
    uint8_t slot_state; /* DATABLOCK_SLOT_* */
    uint64_t write_lock; /* pid of the claiming producer, 0: not claimed */
    uint32_t reader_count; /* hazard pointers to the slot, and LOSSLESS consumers at that id */
    uint64_t write_generation; /* how often this slot was claimed */
    uint8_t writer_waiting; /* 1: a producer waits for the consumers of this slot */
    /* true if: a dead participant holds the slot; or a consumer of the slot has kept the producer
     * waiting for 1 s or longer; or the slot has been claimed for more than 30 s; or a consumer
     * that has been silent for more than 30 s holds the slot */
    bool is_stuck;
    /* for how long the slot has been stuck; 0 if the slot is not stuck, or if the time is unknown
     * (a clock of another time namespace) */
    uint64_t stuck_duration_ms;
} SlotDiagnostic;

typedef enum RecoveryResult {
    RECOVERY_SUCCESS = 0, /* done */
    RECOVERY_FAILED = 1, /* not possible: datablock_error_detail() has the reason */
    RECOVERY_UNSAFE = 2, /* a living participant holds the slot, row or block */
    RECOVERY_NOT_STUCK = 3, /* nothing to do */
    RECOVERY_INVALID_SLOT = 4 /* no such slot */
} RecoveryResult;

/*
 * For all functions below: `shm_name` is a block name or an absolute path. Any thread. The
 * functions trust no byte that they read.
 *
 * The `int` functions return 0 or a count, or: -1 bad argument, -2 cannot open, -3 index out of
 * range, -4 failed while running, -5 unexpected. datablock_error_detail() has the details. A
 * function that returns a RecoveryResult returns RECOVERY_FAILED for a bad argument, and when the
 * block cannot be opened. datablock_is_process_alive has no errors.
 *
 * The functions have no `directory`. They look for a plain name in $DATABLOCK_DIR, else in
 * the default directory. A block elsewhere is given by its absolute path.
 */

/*
 * Diagnoses one slot, of a block in any state. Read-only, changes nothing. If the slot is stuck,
 * datablock_error_detail() names the holder (row, name, pid).
 */
DATABLOCK_API int datablock_diagnose_slot(const char *shm_name, uint32_t slot_index,
                                          SlotDiagnostic *out);

/*
 * Diagnoses all slots, up to `array_capacity`, in index order. `*out_count` is the number of slots
 * of the block. `out_array` may be NULL when the capacity is 0. Returns 0.
 */
DATABLOCK_API int datablock_diagnose_all_slots(const char *shm_name, SlotDiagnostic *out_array,
                                               size_t array_capacity, size_t *out_count);

/*
 * Whether a process with that pid, or a thread with that id, runs in this pid namespace. An
 * unreaped zombie does not run. Informational: the library itself judges by locks, never by pids.
 */
DATABLOCK_API bool datablock_is_process_alive(uint64_t pid);

/*
 * Removes the dead consumers of that slot, and no living consumer. NOT_STUCK: none of the slot's
 * consumers is dead.
 */
DATABLOCK_API RecoveryResult datablock_release_zombie_readers(const char *shm_name,
                                                              uint32_t slot_index);

/*
 * Ends a dead producer's claim on that slot. Never changes a committed message. UNSAFE: the
 * producer lives. NOT_STUCK: the slot is not claimed.
 */
DATABLOCK_API RecoveryResult datablock_release_zombie_writer(const char *shm_name,
                                                             uint32_t slot_index);

/*
 * Removes every dead consumer's row. A durable consumer's row is removed only if the consumer has
 * been dead for longer than `timeout_ns`: nanoseconds, where other timeouts are milliseconds.
 * Returns the number of removed rows, or -1 to -5 as above.
 */
DATABLOCK_API int datablock_cleanup_dead_consumers(const char *shm_name, uint64_t timeout_ns);

/* ---- Integrity and repair -------------------------------------------------------------------- */

typedef struct IntegrityCheck {
    /* the immutable bytes of both files, their sizes, the words that belong to the whole block, the
     * recovery log */
    bool header_valid;
    bool slot_states_valid; /* ring entries, slot headers, participants' rows and masks */
    bool checksum_valid; /* payloads, where messages have checksums */
    uint32_t corrupted_slots; /* slots with a finding, each counted once */
    /* the first problem, with the values and what to do; "" when nothing is wrong */
    char error_message[256];
} IntegrityCheck;

/*
 * Validates a block: recomputes everything from the bytes of the block and trusts no stored
 * verdict. That is: the digest of the header, the sizes of the files, every ring entry, every slot
 * in the ring with its checksum, every participant's row and mask, the recovery log. Opens
 * read-only, changes nothing, and may run while the block is in use. Two states are not damage: the
 * state during the step of a living participant, and the state that a dead participant left for
 * other processes to clean. Takes as long as to read the block once or, with checksums, to hash it.
 *
 * Returns 0 whatever the verdict, which is in `*out`. -1 bad argument. -2 cannot open (no such
 * block, no permission, not a regular file, another format version). -4 failed while running (a
 * file was truncated meanwhile). -5 unexpected. Any thread.
 */
DATABLOCK_API int datablock_validate_integrity(const char *shm_name, IntegrityCheck *out);

/*
 * Repairs a block in place: rebuilds what can be concluded from the rest of the block, and resets
 * what cannot. Files and attachments stay the same, and no good message is changed. A message with
 * a damaged payload or length is discarded: LOSSLESS and ORDERED consumers get LOST.
 *
 * The ring belongs to the producer. While a producer lives, the repair changes the ring only with
 * `force`, and then that producer may get FENCED once. Even with `force` the repair leaves the ring
 * unchanged where the producer would use a slot twice: an entry that is empty, that names no slot,
 * or that names the slot of another entry (UNSAFE; stop the producer first). The repair completes a
 * truncated control file only with `force`, and only when no participant is attached: the contents
 * behind the cut are lost. Rows of living consumers are corrected so that no consumer loses
 * anything. Rows without an owner are cleaned. The repair continues while it makes progress.
 *
 * SUCCESS: nothing is wrong any more, also if another repair has mended the block meanwhile.
 * NOT_STUCK: nothing was wrong. UNSAFE: a living producer is in the way. FAILED: something cannot
 * be rebuilt, or the block cannot be opened. Unless the result is SUCCESS, datablock_error_detail()
 * has the reason. `out` may be NULL. Otherwise `*out` describes what is left, except when the block
 * could not be opened. Any thread. Two repairs at a time are safe, and so is a repair that dies.
 */
DATABLOCK_API RecoveryResult datablock_repair(const char *shm_name, bool force,
                                              IntegrityCheck *out);

enum {
    DATABLOCK_STEP_REPAIR = 1, /* damage, as datablock_repair does it without force */
    /* the row of a dead consumer; a durable consumer keeps its place */
    DATABLOCK_STEP_RELEASE_READER = 2,
    DATABLOCK_STEP_RELEASE_WRITER = 3, /* the claim of a dead producer */
    DATABLOCK_STEP_COLLECT = 4, /* files that dead processes left under this name */
    /* nothing is done without a request: a participant lives, or may come back, or the step takes
     * an operator's decision */
    DATABLOCK_STEP_ATTEND = 5
};

typedef struct datablock_recovery_step {
    uint32_t kind; /* DATABLOCK_STEP_* */
    uint32_t target; /* row (RELEASE_READER), else slot; 0 for a step that concerns the block */
    uint64_t pid; /* of the process concerned, 0: unknown */
    uint32_t result; /* a RecoveryResult; in a dry run RECOVERY_SUCCESS */
    bool done; /* false in a dry run, after a failure, and for ATTEND */
    char text[256]; /* informational */
} datablock_recovery_step;

typedef void (*datablock_recovery_callback)(const datablock_recovery_step *step, void *context);

/*
 * Recovers everything in a block that is stuck or damaged, each by the step that is right for the
 * case. Calls `callback` (may be NULL) once for each step, in order and on this thread, after all
 * steps have been tried. No living participant is affected: what would take force is an ATTEND
 * step. With `dry_run` nothing is done and no byte changes. The callback may call the library. The
 * step is valid until the callback returns. Returns the number of steps without the ATTEND steps;
 * -1 bad argument, -2 cannot open, -4 failed while running, -5 unexpected. Any thread.
 */
DATABLOCK_API int datablock_auto_recover(const char *shm_name, bool dry_run,
                                         datablock_recovery_callback callback, void *context);

/* One participant, as its row in the control file shows it. */
typedef struct datablock_participant_info {
    char name[64]; /* zero-terminated */
    uint64_t pid; /* the process's own, in its own pid namespace */
    uint64_t start_time; /* of the process, clock ticks since boot */
    uint64_t pid_namespace; /* inode, 0: unknown */
    uint64_t attached_ns; /* CLOCK_REALTIME */
    /* CLOCK_REALTIME at which a durable consumer was found dead, 0: it was not */
    uint64_t died_ns;
    /* the next id that the consumer reads; of a producer: the next id to write */
    uint64_t cursor;
    uint64_t lag; /* messages that a consumer has yet to read */
    uint64_t read; /* messages; this and the next fields: consumers only */
    uint64_t missed; /* messages skipped */
    uint64_t bytes; /* of payload */
    uint64_t waits; /* reads that had to wait */
    uint64_t wait_ns; /* total time of these waits */
    uint64_t timeouts; /* reads */
    uint64_t lost; /* messages that an operator had discarded */
    uint64_t overruns; /* messages overwritten before or while the consumer read them */
    uint64_t checksum_failures; /* messages */
    /* since the participant's last tick: 100 ms of calls, so a participant that calls all the time
     * has up to 100 ms; 0 if the time is unknown (a clock of another time namespace) */
    uint64_t silent_ms;
    uint32_t uid;
    uint32_t row; /* 0: the producer */
    uint32_t delivery; /* datablock_delivery; 0 for the producer */
    uint32_t pins; /* slots that the consumer holds */
    bool alive; /* what the kernel says of the lock; not what the silence suggests */
    bool durable; /* keeps its place when it dies */
    uint8_t reserved[6]; /* zero */
} datablock_participant_info;

/*
 * Lists the participants of a block by row, up to `capacity`, including dead ones whose rows still
 * exist. Returns the number of participants. `out` may be NULL when the capacity is 0. Read-only.
 */
DATABLOCK_API int datablock_list_participants(const char *shm_name, datablock_participant_info *out,
                                              size_t capacity);

/* A block's figures. Each word behind them has one writer. The figures change during the read. */
typedef struct datablock_metrics {
    /* sizeof(datablock_metrics), set by the caller. No byte behind it is written, and a field that
     * the library does not know keeps the caller's value */
    uint32_t size;
    uint32_t consumers; /* living ones */
    uint64_t next_id; /* messages written since the block was created */
    uint64_t written; /* of next_id: the messages that producers have counted */
    uint64_t bytes; /* of payload */
    uint64_t aborted; /* claims */
    uint64_t fenced; /* claims that a recovery ended */
    uint64_t waits; /* claims that had to wait; in a batch each message is a claim */
    uint64_t wait_ns; /* total time of these waits */
    uint64_t timeouts; /* claims */
    uint64_t scans; /* hazard-pointer scans */
    uint64_t cleaned; /* rows of dead consumers, cleaned by any process */
    uint64_t recoveries; /* records that were ever written to the recovery log */
    uint64_t age_ms; /* since the block was created */
    /* since the producer's last tick (100 ms of calls); 0 if the time is unknown */
    uint64_t idle_ms;
    /* messages; this and the next fields: by the consumers that are attached */
    uint64_t read;
    uint64_t missed; /* messages */
    uint64_t lost; /* messages that an operator had discarded */
    uint64_t overruns; /* messages */
    uint64_t checksum_failures; /* messages */
    uint64_t max_lag; /* messages, of the LOSSLESS and ORDERED consumers */
    /* opens refused because of the schema, since the block was created */
    uint64_t schema_mismatches;
} datablock_metrics;

/*
 * Reads the figures of a block in any state. Changes nothing. Any thread.
 * Errors: INVALID (null, out->size), NOT_FOUND, ACCESS, CORRUPT, VERSION, SYSTEM.
 */
DATABLOCK_API datablock_status datablock_get_metrics(const char *shm_name, datablock_metrics *out);

/*
 * Resets a slot to a state in which the slot can be used again. What dead participants hold is
 * released. Without `force` nothing that a living participant holds is affected.
 *
 * With `force`:
 *  - A claim is fenced: its commit publishes nothing and returns FENCED, and the next claim has the
 *    same id.
 *  - A message is discarded. The message stays in place until it is overwritten, so no consumer
 *    that reads the message is harmed. LOSSLESS consumers that reach the message later get LOST,
 *    once.
 *  - A consumer that still holds a slot that has left the ring is evicted.
 *
 * UNSAFE: a living participant holds the slot. With `force`: all of the above was done, and a
 * consumer at the slot's message still keeps the producer waiting. datablock_error_detail() names
 * that consumer, and only datablock_evict_consumer takes the consumer's place away. To find that
 * out takes up to a second. NOT_STUCK: the slot is free, or has a message that no consumer holds.
 */
DATABLOCK_API RecoveryResult datablock_force_reset_slot(const char *shm_name, uint32_t slot_index,
                                                        bool force);

/*
 * The same for every slot. With `force` every message is discarded. UNSAFE: something was left
 * alone because a living participant holds it, or, with `force`, a consumer still keeps the
 * producer waiting; the rest was done. FAILED, with `force`: every slot was reset, and the block is
 * damaged; datablock_repair mends the block. NOT_STUCK: nothing was stuck.
 */
DATABLOCK_API RecoveryResult datablock_force_reset_all_slots(const char *shm_name, bool force);

/*
 * Removes a consumer's row; `row` is the number that the diagnosis shows. A dead consumer's row is
 * removed, also a durable one's, whatever its age. With `force` a living consumer is evicted, such
 * as one that hangs. The evicted consumer gets FENCED at its next call, and may attach again. Data
 * that the evicted consumer reads before it sees FENCED may be overwritten: its release reports
 * that. FAILED: also returned if the consumer is still attaching. INVALID_SLOT: no such row.
 * UNSAFE: the consumer lives. NOT_STUCK: the row is free.
 */
DATABLOCK_API RecoveryResult datablock_evict_consumer(const char *shm_name, uint32_t row,
                                                      bool force);

/*
 * One entry of a block's recovery log. The meaning of `before` and `after` depends on the action:
 * docs/segment-format.md.
 */
typedef struct datablock_recovery_record {
    uint64_t number; /* of the record, from 0 on */
    uint64_t time_ns; /* CLOCK_REALTIME */
    uint64_t pid; /* of the process that wrote the record */
    uint32_t uid;
    uint32_t action; /* numbers as in docs/segment-format.md; `text` has the action in words */
    uint64_t target; /* slot or row */
    uint64_t before[4];
    uint64_t after[3];
    char text[160]; /* the whole record in a sentence, zero-terminated */
} datablock_recovery_record;

/*
 * What recoveries did to the block, oldest first, up to `capacity` of the newest records. Returns
 * the number of records in the log, which is at most what fits the log. `out` may be NULL when the
 * capacity is 0. Read-only. The log is in the block, and survives the processes that wrote it.
 */
DATABLOCK_API int datablock_recovery_log(const char *shm_name, datablock_recovery_record *out,
                                         size_t capacity);

#ifdef __cplusplus
}
#endif

#endif /* DATABLOCK_H */
