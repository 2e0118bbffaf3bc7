/*
 * The exported functions. Each function checks whether this process may enter Go at all, checks its
 * pointers, and brings its structs into the one shape that the Go half knows. Then it enters Go.
 *
 * Results come back through locals. A wild pointer of the caller therefore faults here, in C, where
 * the caller's debugger shows it. Inside the Go runtime the fault would be taken for a damaged
 * block.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Refusals -------------------------------------------------------------------------------- */

datablock_status dbshim_invalid(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(dbshim_detail(), DBSHIM_DETAIL_SIZE, format, arguments);
    va_end(arguments);
    dbshim_failed(DATABLOCK_INLINE_FAILED);
    return DATABLOCK_E_INVALID;
}

datablock_status dbshim_null_argument(const char *function, const char *argument) {
    return dbshim_invalid("%s: %s is NULL", function, argument);
}

datablock_status dbshim_refusal(void) {
    const dbshim_thread *thread = dbshim_self();
    return !dbshim_usable() ? DATABLOCK_E_FORKED : thread == NULL ? DATABLOCK_E_SYSTEM : DATABLOCK_E_BUSY;
}

/* The only text that a thread may need when there was no memory to keep it in. */
#define NO_MEMORY "no memory for this thread's part of the library: free some, and try again"
static _Thread_local bool without_memory;

static const char *why_refused(const dbshim_thread *thread) {
    if (!dbshim_usable()) {
        return "this process was forked from one that uses DataBlock, and the library's threads did not come along: "
               "call exec, or use DataBlock in a freshly started process";
    }
    if (thread == NULL) {
        without_memory = true;
        return NO_MEMORY;
    }
    if (thread->in_go || thread->shared.current != NULL) {
        return "this thread is inside a call of the library already: a signal handler that interrupts a call may "
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

/* ---- Without Go: these work in a forked child too -------------------------------------------- */

uint32_t datablock_version(void) { return DATABLOCK_VERSION; }

const char *datablock_strerror(datablock_status status) {
    switch ((int)status) {
#define TEXT(name, value, text)                                                                    \
    case value:                                                                                    \
        return text;
        DATABLOCK_STATUS_LIST(TEXT)
#undef TEXT
    }
    return "unknown status";
}

const char *datablock_error_detail(void) {
    dbshim_thread *thread = dbshim_self_if_any();
    if (thread == NULL) {
        return without_memory ? NO_MEMORY : "";
    }
    if (thread->shared.failed == DATABLOCK_INLINE_SUCCEEDED) {
        return "";
    }
    if (thread->shared.failed != DATABLOCK_INLINE_FAILED) {
        snprintf(thread->detail, sizeof thread->detail, "block \"%.200s\": nothing new to read, and %s",
            dbshim_name(thread->shared.idle),
            thread->shared.failed == DATABLOCK_INLINE_IDLE ? "the call was asked not to wait"
                : "nobody has the block open for writing");
        thread->shared.failed = DATABLOCK_INLINE_FAILED;
    }
    return thread->detail;
}

size_t datablock_error_detail_copy(char *buffer, size_t capacity) {
    const char *text = datablock_error_detail();
    size_t length = strlen(text), end = length;
    if (buffer == NULL || capacity == 0) {
        return length + 1;
    }
    if (end >= capacity) {
        end = capacity - 1;
        while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80) { /* do not cut a character of UTF-8 */
            end--;
        }
    }
    memcpy(buffer, text, end);
    buffer[end] = '\0';
    return length + 1;
}

datablock_status datablock_config_init(datablock_config *config, datablock_policy policy) {
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    if (config == NULL) {
        return dbshim_null_argument(__func__, "config");
    }
    if (policy != DATABLOCK_SINGLE && policy != DATABLOCK_DOUBLE_BUFFER && policy != DATABLOCK_RING) {
        return dbshim_invalid("%s: policy %d is unknown: use DATABLOCK_SINGLE (1), DATABLOCK_DOUBLE_BUFFER (2) or "
            "DATABLOCK_RING (3)", __func__, (int)policy);
    }
    *config = (datablock_config){
        .size = sizeof *config,
        .policy = (uint32_t)policy,
        .flags = policy == DATABLOCK_RING ? DATABLOCK_FLAG_ALLOW_LOSSLESS : 0,
    };
    return DATABLOCK_OK;
}

datablock_status datablock_consumer_options_init(datablock_consumer_options *options) {
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    if (options == NULL) {
        return dbshim_null_argument(__func__, "options");
    }
    *options = (datablock_consumer_options){.size = sizeof *options};
    return DATABLOCK_OK;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

/*
 * Configuration structs grow at their end. The sizes of version 1 never change: they are the sizes
 * that the oldest program passes. A newer program's larger struct is accepted while every byte that
 * this library does not know is zero.
 */
enum { CONFIG_SIZE_V1 = 136, OPTIONS_SIZE_V1 = 120, SIZE_LIMIT = 4096 };
_Static_assert(sizeof(datablock_config) == CONFIG_SIZE_V1, "version 1");
_Static_assert(offsetof(datablock_consumer_options, wait_ms) == OPTIONS_SIZE_V1, "version 1");

/* Copies a struct that begins with its size into `own`, which is zeroed and has own_size bytes. */
static datablock_status import_struct(const char *what, const void *given, uint32_t v1_size, void *own,
    uint32_t own_size) {
    uint32_t size;
    memcpy(&size, given, sizeof size);
    if (size < v1_size || size > SIZE_LIMIT) {
        return dbshim_invalid("%s.size is %u, and %u in this version: call datablock_%s_init first", what, size,
            own_size, what);
    }
    for (uint32_t i = own_size; i < size; i++) {
        if (((const unsigned char *)given)[i] != 0) {
            return dbshim_invalid("%s has a setting at byte %u that this library, version %d.%d.%d, does not know: "
                "use a newer one", what, i, DATABLOCK_VERSION_MAJOR, DATABLOCK_VERSION_MINOR, DATABLOCK_VERSION_PATCH);
        }
    }
    memcpy(own, given, size < own_size ? size : own_size);
    return DATABLOCK_OK;
}

static datablock_status check_reserved(const char *what, uint32_t reserved0, const uint64_t *reserved, size_t count) {
    if (reserved0 != 0) {
        return dbshim_invalid("%s.reserved0 is %u: reserved fields must be zero", what, reserved0);
    }
    for (size_t i = 0; i < count; i++) {
        if (reserved[i] != 0) {
            return dbshim_invalid("%s.reserved[%zu] is %llu: reserved fields must be zero", what, i,
                (unsigned long long)reserved[i]);
        }
    }
    return DATABLOCK_OK;
}

enum { SECRET_LIMIT = 1024 };

static datablock_status check_secret(const char *what, const void *secret, size_t length) {
    if (secret == NULL && length != 0) {
        return dbshim_invalid("%s.secret is NULL and %s.secret_length is %zu", what, what, length);
    }
    if (length > SECRET_LIMIT) {
        return dbshim_invalid("%s.secret_length is %zu, the limit is %d", what, length, SECRET_LIMIT);
    }
    return DATABLOCK_OK;
}

/*
 * The directory in which a block name is looked up. The text of the environment is copied at once,
 * because a later setenv may overwrite it.
 */
typedef struct place {
    char *directory; /* NULL: the default. "": the name has the directory */
    char copy[DBSHIM_PATH_SIZE];
} place;

static datablock_status find_place(place *place, const char *what, const char *given) {
    place->directory = NULL;
    if (given != NULL) {
        if (given[0] == '\0') {
            return dbshim_invalid("%s is empty: give an absolute path, or NULL for the default", what);
        }
        place->directory = (char *)given;
        return DATABLOCK_OK;
    }
    const char *variable = getenv("DATABLOCK_DIR");
    if (variable == NULL || variable[0] == '\0') {
        return DATABLOCK_OK;
    }
    size_t length = strnlen(variable, sizeof place->copy);
    if (length == sizeof place->copy) {
        return dbshim_invalid("the environment variable DATABLOCK_DIR has more than %zu bytes", sizeof place->copy - 1);
    }
    memcpy(place->copy, variable, length + 1);
    place->directory = place->copy;
    return DATABLOCK_OK;
}

/*
 * As above, for a block's name. An absolute path contains its directory, whatever the environment
 * says.
 */
static datablock_status find_block(place *place, const char *what, const char *name, const char *given) {
    if (given == NULL && name[0] == '/') {
        place->copy[0] = '\0';
        place->directory = place->copy;
        return DATABLOCK_OK;
    }
    return find_place(place, what, given);
}

bool dbshim_find_block(const char *name, char *copy, char **directory) {
    place place;
    if (find_block(&place, "directory", name, NULL) != DATABLOCK_OK) {
        return false;
    }
    *directory = place.directory;
    if (place.directory == place.copy) {
        *directory = strcpy(copy, place.copy);
    }
    return true;
}

/* ---- Handles --------------------------------------------------------------------------------- */

/* The end of an open: the handle leads to the object that Go made, or is given back. */
static datablock_status opened(datablock_status status, uint64_t handle, void *state, const char *name, uint64_t *out) {
    if (status != DATABLOCK_OK) {
        dbshim_withdraw(handle);
        return status;
    }
    dbshim_catch_faults();
    dbshim_publish(handle, state, name);
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED); /* a signal handler that was refused meanwhile has left its text */
    *out = handle;
    return DATABLOCK_OK;
}

/* The end of a call on a place that was taken. */
datablock_status dbshim_end(uint64_t handle, datablock_status status, bool begins_slot) {
    if (status == DATABLOCK_E_PANIC) {
        dbshim_poison(handle, dbshim_detail());
    }
    return dbshim_leave(status, begins_slot);
}

typedef struct close_call {
    uint64_t handle, kind;
    int (*close)(uint32_t index, char *detail);
    datablock_status status;
    char detail[DBSHIM_DETAIL_SIZE];
} close_call;

static datablock_status close_here(uint64_t handle, uint64_t kind, int (*close)(uint32_t index, char *detail)) {
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

static void *close_in_thread(void *call) {
    close_call *c = call;
    c->status = close_here(c->handle, c->kind, c->close);
    memcpy(c->detail, dbshim_detail(), sizeof c->detail);
    return NULL;
}

/*
 * A thread in the last round of its end may not enter Go. If its last destructor closes a handle,
 * another thread closes the handle.
 */
static datablock_status close_handle(uint64_t handle, uint64_t kind, int (*close)(uint32_t index, char *detail)) {
    const dbshim_thread *thread = dbshim_self();
    close_call call = {.handle = handle, .kind = kind, .close = close};
    sigset_t mask;
    pthread_t closer;
    if (thread == NULL || !dbshim_last_round(thread) || !dbshim_usable()) {
        return close_here(handle, kind, close);
    }
    dbshim_block_signals(&mask); /* the closer has them blocked, too */
    int failed = pthread_create(&closer, NULL, close_in_thread, &call);
    if (failed == 0) {
        pthread_join(closer, NULL);
    }
    dbshim_restore_signals(&mask);
    if (failed != 0) {
        return close_here(handle, kind, close); /* the detail then has the reason */
    }
    dbshim_failed(call.status == DATABLOCK_OK ? DATABLOCK_INLINE_SUCCEEDED : DATABLOCK_INLINE_FAILED);
    memcpy(dbshim_detail(), call.detail, sizeof call.detail);
    return call.status;
}

/* ---- Writing --------------------------------------------------------------------------------- */

datablock_status datablock_producer_open(const char *name, const datablock_config *config, datablock_producer *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || config == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL ? "name" : config == NULL ? "config" : "out");
    }
    datablock_config own = {0};
    char registry[DBSHIM_PATH_SIZE];
    place place;
    uint64_t handle;
    void *state = NULL; /* Go's collector may look at what a pointer that Go stores replaces */
    datablock_status status;
    if ((status = import_struct("config", config, CONFIG_SIZE_V1, &own, sizeof own)) != DATABLOCK_OK ||
        (status = check_reserved("config", 0, own.reserved,
            sizeof own.reserved / sizeof own.reserved[0])) != DATABLOCK_OK ||
        (status = check_secret("config", own.secret, own.secret_length)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("config.schema", own.schema)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("config.zone_schema", own.zone_schema)) != DATABLOCK_OK ||
        (status = dbshim_find_registered("config", own.registered, &own.registry, registry)) != DATABLOCK_OK ||
        (status = find_block(&place, "config.directory", name, own.directory)) != DATABLOCK_OK ||
        (status = dbshim_reserve(DATABLOCK_INLINE_PRODUCER, &handle)) != DATABLOCK_OK) {
        return status;
    }
    status = DBSHIM_GO(dbshim_self(), dbgo_producer_open(dbshim_index(handle), (char *)name, place.directory, &own,
        &state, dbshim_detail()));
    return opened(status, handle, state, name, &out->handle);
}

datablock_status datablock_producer_close(datablock_producer producer) {
    return close_handle(producer.handle, DATABLOCK_INLINE_PRODUCER, dbgo_producer_close);
}

datablock_status dbshim_claim(dbshim_thread *thread, uint32_t index, int64_t timeout_ms, datablock_write_slot *out) {
    dbshim_sleep sleep = {0};
    int status;
    do {
        status = DBSHIM_GO(thread, dbgo_write_begin(index, timeout_ms, out, &sleep, thread->detail));
    } while (dbshim_slept(&sleep, status));
    return (datablock_status)status;
}

datablock_status dbshim_commit(dbshim_thread *thread, uint32_t index, const datablock_write_slot *slot, size_t length) {
    return DBSHIM_GO(thread, dbgo_write_commit(index, slot->id, slot->index, length, thread->detail));
}

datablock_status datablock_write_begin(datablock_producer producer, int64_t timeout_ms, datablock_write_slot *out) {
    if (DBSHIM_FAST && (datablock_inline_try_write_begin(producer, timeout_ms, out))) {
        return DATABLOCK_OK;
    }
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (out == NULL) {
        return dbshim_null_argument(__func__, "out");
    }
    datablock_status status = dbshim_take(producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_write_slot slot = {0}; /* as in datablock_producer_open */
    status = dbshim_claim(dbshim_self(), dbshim_index(producer.handle), timeout_ms, &slot);
    status = dbshim_end(producer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_write_commit(datablock_producer producer, const datablock_write_slot *slot, size_t length) {
    if (DBSHIM_FAST && (datablock_inline_try_write_commit(producer, slot, length))) {
        return DATABLOCK_OK;
    }
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (slot == NULL) {
        return dbshim_null_argument(__func__, "slot");
    }
    datablock_status status = dbshim_take(producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = dbshim_commit(thread, dbshim_index(producer.handle), slot, length);
    return dbshim_end(producer.handle, status, false);
}

datablock_status datablock_write_checksum(datablock_producer producer, const datablock_write_slot *slot,
    size_t length) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (slot == NULL) {
        return dbshim_null_argument(__func__, "slot");
    }
    datablock_status status = dbshim_take(producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_write_checksum(dbshim_index(producer.handle), slot->id, slot->index, length,
        thread->detail));
    return dbshim_end(producer.handle, status, false);
}

datablock_status datablock_write_abort(datablock_producer producer, const datablock_write_slot *slot) {
    if (DBSHIM_FAST && (datablock_inline_try_write_abort(producer, slot))) {
        return DATABLOCK_OK;
    }
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (slot == NULL) {
        return dbshim_null_argument(__func__, "slot");
    }
    datablock_status status = dbshim_take(producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_write_abort(dbshim_index(producer.handle), slot->id, slot->index, thread->detail));
    return dbshim_end(producer.handle, status, false);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Copies and checks the options of a consumer or an observer, and finds its block. */
static datablock_status import_options(const datablock_consumer_options *options, const char *name,
    datablock_consumer_options *own, char *registry, place *place) {
    datablock_status status;
    *own = (datablock_consumer_options){.size = sizeof *own};
    if (options != NULL && (status = import_struct("consumer_options", options, OPTIONS_SIZE_V1, own,
        sizeof *own)) != DATABLOCK_OK) {
        return status;
    }
    if ((status = check_reserved("consumer_options", own->reserved0 | own->reserved1, own->reserved,
        sizeof own->reserved / sizeof own->reserved[0])) != DATABLOCK_OK ||
        (status = check_secret("consumer_options", own->secret, own->secret_length)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("consumer_options.schema", own->schema)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("consumer_options.zone_schema", own->zone_schema)) != DATABLOCK_OK ||
        (status = dbshim_find_registered("consumer_options", own->registered, &own->registry,
            registry)) != DATABLOCK_OK) {
        return status;
    }
    return find_block(place, "consumer_options.directory", name, own->directory);
}

datablock_status datablock_consumer_open(const char *name, const datablock_consumer_options *options,
    datablock_consumer *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL ? "name" : "out");
    }
    datablock_consumer_options own;
    char registry[DBSHIM_PATH_SIZE];
    place place;
    uint64_t handle;
    void *state = NULL; /* as in datablock_producer_open */
    datablock_status status;
    if ((status = import_options(options, name, &own, registry, &place)) != DATABLOCK_OK ||
        (status = dbshim_reserve(DATABLOCK_INLINE_CONSUMER, &handle)) != DATABLOCK_OK) {
        return status;
    }
    status = DBSHIM_GO(dbshim_self(), dbgo_consumer_open(dbshim_index(handle), (char *)name, place.directory, &own,
        &state, dbshim_detail()));
    return opened(status, handle, state, name, &out->handle);
}

datablock_status datablock_consumer_resumed(datablock_consumer consumer, bool *resumed) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (resumed == NULL) {
        return dbshim_null_argument(__func__, "resumed");
    }
    datablock_status status = dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    bool kept = false;
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_consumer_resumed(dbshim_index(consumer.handle), &kept, thread->detail));
    status = dbshim_end(consumer.handle, status, false);
    if (status == DATABLOCK_OK) {
        *resumed = kept;
    }
    return status;
}

datablock_status datablock_producer_next_id(datablock_producer producer, uint64_t *id) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (id == NULL) {
        return dbshim_null_argument(__func__, "id");
    }
    datablock_status status = dbshim_take(producer.handle, DATABLOCK_INLINE_PRODUCER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    uint64_t next = 0;
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_producer_next_id(dbshim_index(producer.handle), &next, thread->detail));
    status = dbshim_end(producer.handle, status, false);
    if (status == DATABLOCK_OK) {
        *id = next;
    }
    return status;
}

datablock_status datablock_consumer_close(datablock_consumer consumer) {
    return close_handle(consumer.handle, DATABLOCK_INLINE_CONSUMER, dbgo_consumer_close);
}

datablock_status datablock_read_begin(datablock_consumer consumer, int64_t timeout_ms, datablock_read_slot *out) {
    datablock_status status;
    if (DBSHIM_FAST && (datablock_inline_try_read_begin(consumer, timeout_ms, out, &status))) {
        return status;
    }
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (out == NULL) {
        return dbshim_null_argument(__func__, "out");
    }
    status = dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_read_slot slot = {0}; /* as in datablock_producer_open */
    status = dbshim_read(dbshim_self(), dbshim_index(consumer.handle), timeout_ms, &slot);
    status = dbshim_end(consumer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_read_at(datablock_consumer consumer, uint64_t id, datablock_read_slot *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (out == NULL) {
        return dbshim_null_argument(__func__, "out");
    }
    datablock_status status = dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_read_slot slot = {0}; /* as in datablock_producer_open */
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_read_at(dbshim_index(consumer.handle), id, &slot, thread->detail));
    status = dbshim_end(consumer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_read_id(datablock_consumer consumer, uint64_t id, int64_t timeout_ms,
    datablock_read_slot *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (out == NULL) {
        return dbshim_null_argument(__func__, "out");
    }
    datablock_status status = dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_read_slot slot = {0}; /* as in datablock_producer_open */
    dbshim_thread *thread = dbshim_self();
    dbshim_sleep sleep = {0};
    do {
        status = DBSHIM_GO(thread, dbgo_read_id(dbshim_index(consumer.handle), id, timeout_ms, &slot, &sleep,
            thread->detail));
    } while (dbshim_slept(&sleep, (int)status));
    status = dbshim_end(consumer.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = slot;
    }
    return status;
}

datablock_status datablock_read_verify(datablock_consumer consumer, const datablock_read_slot *slot) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (slot == NULL) {
        return dbshim_null_argument(__func__, "slot");
    }
    datablock_status status = dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_read_verify(dbshim_index(consumer.handle), slot->id, slot->index, slot->token,
        thread->detail));
    return dbshim_end(consumer.handle, status, false);
}

datablock_status datablock_read_end(datablock_consumer consumer, const datablock_read_slot *slot) {
    if (DBSHIM_FAST && (datablock_inline_try_read_end(consumer, slot))) {
        return DATABLOCK_OK;
    }
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (slot == NULL) {
        return dbshim_null_argument(__func__, "slot");
    }
    datablock_status status = dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_read_end(dbshim_index(consumer.handle), slot->id, slot->index, slot->token,
        thread->detail));
    return dbshim_end(consumer.handle, status, false);
}

datablock_status datablock_read_undo(datablock_consumer consumer, const datablock_read_slot *slot) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (slot == NULL) {
        return dbshim_null_argument(__func__, "slot");
    }
    datablock_status status = dbshim_take(consumer.handle, DATABLOCK_INLINE_CONSUMER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_read_undo(dbshim_index(consumer.handle), slot->id, slot->index, slot->token,
        slot->length, slot->missed, thread->detail));
    return dbshim_end(consumer.handle, status, false);
}

/* ---- Observing ------------------------------------------------------------------------------- */

datablock_status datablock_observer_open(const char *name, const datablock_consumer_options *options,
    datablock_observer *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL ? "name" : "out");
    }
    datablock_consumer_options own;
    char registry[DBSHIM_PATH_SIZE];
    place place;
    uint64_t handle;
    datablock_status status;
    if ((status = import_options(options, name, &own, registry, &place)) != DATABLOCK_OK ||
        (status = dbshim_reserve(DATABLOCK_INLINE_OBSERVER, &handle)) != DATABLOCK_OK) {
        return status;
    }
    status = DBSHIM_GO(dbshim_self(), dbgo_observer_open(dbshim_index(handle), (char *)name, place.directory, &own,
        dbshim_detail()));
    return opened(status, handle, NULL, name, &out->handle);
}

/*
 * A wild pointer of the caller faults here, and not inside Go, where the fault would be taken for a
 * truncated file. All of these bytes are about to be overwritten.
 */
static void touch(void *buffer, size_t length) {
    enum { PAGE = 4096 };
    volatile unsigned char *bytes = buffer;
    for (size_t i = 0; i < length; i += length - i > PAGE ? PAGE : length - i) {
        bytes[i] = 0;
    }
    bytes[length - 1] = 0; /* on a page that no step has met, perhaps */
}

static size_t least(size_t a, uint64_t b) { return a < b ? a : (size_t)b; }

/*
 * A short message goes through a buffer of the library. Of a longer message the first step learns
 * the length, and the message is then copied to the caller's buffer. No more of this buffer is
 * touched than the message needs.
 */
static datablock_status observe_into(dbshim_thread *thread, uint32_t index, uint64_t id, void *buffer, size_t capacity,
    datablock_observation *seen) {
    enum { SHORT = 1024, TRIES = 100 /* as in core's Observer */ };
    unsigned char short_message[SHORT];
    datablock_status status;
    for (int tries = 0;; tries++) {
        status = DBSHIM_GO(thread, dbgo_observe(index, id, short_message, least(capacity, SHORT), seen,
            thread->detail));
        size_t length = least(capacity, seen->length);
        if (status != DATABLOCK_OK || length == 0) {
            return status;
        }
        if (length <= SHORT) {
            memcpy(buffer, short_message, length);
            return status;
        }
        touch(buffer, length);
        status = DBSHIM_GO(thread, dbgo_observe(index, seen->id, buffer, length, seen, thread->detail));
        bool gone = status == DATABLOCK_E_OVERRUN || status == DATABLOCK_E_LOST;
        if (!gone || id != DATABLOCK_NEWEST || tries == TRIES) {
            return status;
        }
    }
}

datablock_status datablock_observe(datablock_observer observer, uint64_t id, void *buffer, size_t capacity,
    datablock_observation *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (out == NULL || (buffer == NULL && capacity != 0)) {
        return dbshim_null_argument(__func__, out == NULL ? "out" : "buffer");
    }
    datablock_status status = dbshim_take(observer.handle, DATABLOCK_INLINE_OBSERVER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_observation seen = {0};
    status = dbshim_end(observer.handle, observe_into(dbshim_self(), dbshim_index(observer.handle), id, buffer,
        capacity, &seen), false);
    if (status == DATABLOCK_OK) {
        *out = seen;
    }
    return status;
}

datablock_status datablock_observer_close(datablock_observer observer) {
    return close_handle(observer.handle, DATABLOCK_INLINE_OBSERVER, dbgo_observer_close);
}

/* ---- Housekeeping ---------------------------------------------------------------------------- */

datablock_status datablock_list(const char *directory, datablock_block_info *out, size_t capacity, size_t *count) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (count == NULL || (out == NULL && capacity != 0)) {
        return dbshim_null_argument(__func__, count == NULL ? "count" : "out");
    }
    place place;
    datablock_status status = find_place(&place, "directory", directory);
    if (status != DATABLOCK_OK) {
        return status;
    }
    size_t found;
    status = DBSHIM_GO(dbshim_self(), dbgo_list(place.directory, out, capacity, &found, dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *count = found;
    }
    return status;
}

datablock_status datablock_unlink(const char *name, uint32_t flags) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL) {
        return dbshim_null_argument(__func__, "name");
    }
    place place;
    datablock_status status = find_block(&place, "directory", name, NULL);
    if (status != DATABLOCK_OK) {
        return status;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_unlink((char *)name, place.directory, flags, dbshim_detail()));
}

/* ---- Diagnosis and recovery ------------------------------------------------------------------ */

enum { BAD_ARGUMENT = -1, FAILED_RUNNING = -4 };

int datablock_diagnose_slot(const char *shm_name, uint32_t slot_index, SlotDiagnostic *out) {
    if (!dbshim_enter()) {
        return FAILED_RUNNING;
    }
    place place;
    if (shm_name == NULL || out == NULL) {
        dbshim_null_argument(__func__, shm_name == NULL ? "shm_name" : "out");
        return BAD_ARGUMENT;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return BAD_ARGUMENT;
    }
    SlotDiagnostic diagnostic;
    int result = DBSHIM_GO(dbshim_self(), dbgo_diagnose_slot((char *)shm_name, place.directory, slot_index, &diagnostic,
        dbshim_detail()));
    if (result == 0) {
        *out = diagnostic;
    }
    return result;
}

int datablock_diagnose_all_slots(const char *shm_name, SlotDiagnostic *out_array, size_t array_capacity,
    size_t *out_count) {
    if (!dbshim_enter()) {
        return FAILED_RUNNING;
    }
    place place;
    if (shm_name == NULL || out_count == NULL || (out_array == NULL && array_capacity != 0)) {
        dbshim_null_argument(__func__, shm_name == NULL ? "shm_name" : out_count == NULL ? "out_count" : "out_array");
        return BAD_ARGUMENT;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return BAD_ARGUMENT;
    }
    size_t count;
    int result = DBSHIM_GO(dbshim_self(), dbgo_diagnose_all_slots((char *)shm_name, place.directory, out_array,
        array_capacity, &count, dbshim_detail()));
    if (result == 0) {
        *out_count = count;
    }
    return result;
}

bool datablock_is_process_alive(uint64_t pid) {
    return dbshim_enter() && DBSHIM_GO(dbshim_self(), dbgo_is_process_alive(pid, dbshim_detail())) != 0;
}

RecoveryResult datablock_release_zombie_readers(const char *shm_name, uint32_t slot_index) {
    if (!dbshim_enter()) {
        return RECOVERY_FAILED;
    }
    place place;
    if (shm_name == NULL) {
        dbshim_null_argument(__func__, "shm_name");
        return RECOVERY_FAILED;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_release_zombie_readers((char *)shm_name, place.directory, slot_index,
        dbshim_detail()));
}

RecoveryResult datablock_release_zombie_writer(const char *shm_name, uint32_t slot_index) {
    if (!dbshim_enter()) {
        return RECOVERY_FAILED;
    }
    place place;
    if (shm_name == NULL) {
        dbshim_null_argument(__func__, "shm_name");
        return RECOVERY_FAILED;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_release_zombie_writer((char *)shm_name, place.directory, slot_index,
        dbshim_detail()));
}

int datablock_cleanup_dead_consumers(const char *shm_name, uint64_t timeout_ns) {
    if (!dbshim_enter()) {
        return FAILED_RUNNING;
    }
    place place;
    if (shm_name == NULL) {
        dbshim_null_argument(__func__, "shm_name");
        return BAD_ARGUMENT;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return BAD_ARGUMENT;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_cleanup_dead_consumers((char *)shm_name, place.directory, timeout_ns,
        dbshim_detail()));
}

/* ---- Integrity and repair -------------------------------------------------------------------- */

int datablock_validate_integrity(const char *shm_name, IntegrityCheck *out) {
    if (!dbshim_enter()) {
        return FAILED_RUNNING;
    }
    place place;
    if (shm_name == NULL || out == NULL) {
        dbshim_null_argument(__func__, shm_name == NULL ? "shm_name" : "out");
        return BAD_ARGUMENT;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return BAD_ARGUMENT;
    }
    IntegrityCheck check;
    int result = DBSHIM_GO(dbshim_self(), dbgo_validate_integrity((char *)shm_name, place.directory, &check,
        dbshim_detail()));
    if (result == 0) {
        *out = check;
    }
    return result;
}

RecoveryResult datablock_repair(const char *shm_name, bool force, IntegrityCheck *out) {
    if (!dbshim_enter()) {
        return RECOVERY_FAILED;
    }
    place place;
    if (shm_name == NULL) {
        dbshim_null_argument(__func__, "shm_name");
        return RECOVERY_FAILED;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    IntegrityCheck check;
    bool filled = false;
    RecoveryResult result = DBSHIM_GO(dbshim_self(), dbgo_repair((char *)shm_name, place.directory, force, &check,
        &filled, dbshim_detail()));
    if (filled && out != NULL) {
        *out = check;
    }
    return result;
}

int datablock_auto_recover(const char *shm_name, bool dry_run, datablock_recovery_callback callback, void *context) {
    if (!dbshim_enter()) {
        return FAILED_RUNNING;
    }
    place place;
    if (shm_name == NULL) {
        dbshim_null_argument(__func__, "shm_name");
        return BAD_ARGUMENT;
    }
    if (find_block(&place, "directory", shm_name, NULL) != DATABLOCK_OK) {
        return BAD_ARGUMENT;
    }
    datablock_recovery_step *steps = NULL;
    size_t count = 0;
    int result = DBSHIM_GO(dbshim_self(), dbgo_auto_recover((char *)shm_name, place.directory, dry_run, &steps, &count,
        dbshim_detail()));
    /* In C, and not from Go: whatever the callback does, no Go frame is below it. */
    for (size_t i = 0; callback != NULL && i < count; i++) {
        callback(&steps[i], context);
    }
    free(steps);
    return result;
}
