/*
 * The functions of an observer.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <string.h>

datablock_status datablock_observer_open(const char *name,
                                         const datablock_consumer_options *options,
                                         datablock_observer *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL ? "name" : "out");
    }
    datablock_consumer_options own;
    char registry[DBSHIM_PATH_SIZE];
    dbshim_directory directory;
    uint64_t handle;
    datablock_status status;
    if ((status = dbshim_import_options(options, name, &own, registry, &directory)) !=
            DATABLOCK_OK ||
        (status = dbshim_reserve(DATABLOCK_INLINE_OBSERVER, &handle)) != DATABLOCK_OK) {
        return status;
    }
    status = DBSHIM_GO(dbshim_self(), dbgo_observer_open(dbshim_index(handle), (char *)name,
                                                         directory.path, &own, dbshim_detail()));
    return dbshim_opened(status, handle, NULL, name, &out->handle);
}

datablock_status datablock_observer_close(datablock_observer observer) {
    return dbshim_close_handle(observer.handle, DATABLOCK_INLINE_OBSERVER, dbgo_observer_close);
}

/*
 * A wild pointer of the caller faults here, and not inside Go, where the fault would be taken for a
 * truncated file. All of these bytes are about to be overwritten.
 */
static void touch(void *buffer, size_t length) {
    enum { PAGE = 4096 };
    volatile unsigned char *bytes = buffer;
    for (size_t i = 0; i<length; i += length - i> PAGE ? PAGE : length - i) {
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
static datablock_status observe_into(dbshim_thread *thread, uint32_t index, uint64_t id,
                                     void *buffer, size_t capacity, datablock_observation *seen) {
    enum { SHORT = 1024, TRIES = 100 /* as in core's Observer */ };
    unsigned char short_message[SHORT];
    datablock_status status;
    for (int tries = 0;; tries++) {
        status = DBSHIM_GO(thread, dbgo_observe(index, id, short_message, least(capacity, SHORT),
                                                seen, thread->detail));
        size_t length = least(capacity, seen->length);
        if (status != DATABLOCK_OK || length == 0) {
            return status;
        }
        if (length <= SHORT) {
            memcpy(buffer, short_message, length);
            return status;
        }
        touch(buffer, length);
        status =
            DBSHIM_GO(thread, dbgo_observe(index, seen->id, buffer, length, seen, thread->detail));
        bool gone = status == DATABLOCK_E_OVERRUN || status == DATABLOCK_E_LOST;
        if (!gone || id != DATABLOCK_NEWEST || tries == TRIES) {
            return status;
        }
    }
}

datablock_status datablock_observe(datablock_observer observer, uint64_t id, void *buffer,
                                   size_t capacity, datablock_observation *out) {
    const char *missing = out == NULL ? "out" : buffer == NULL && capacity != 0 ? "buffer" : NULL;
    datablock_status status =
        dbshim_begin_handle_call(__func__, missing, observer.handle, DATABLOCK_INLINE_OBSERVER);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_observation seen = {0};
    status = dbshim_end(
        observer.handle,
        observe_into(dbshim_self(), dbshim_index(observer.handle), id, buffer, capacity, &seen),
        false);
    if (status == DATABLOCK_OK) {
        *out = seen;
    }
    return status;
}
