/*
 * The texts of errors. These functions do not enter Go, and work in a forked child too.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Thread_local bool dbshim_without_memory;

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

uint32_t datablock_version(void) { return DATABLOCK_VERSION; }

const char *datablock_strerror(datablock_status status) {
    switch ((int)status) {
#define TEXT(name, value, text)                                                                    \
    case value: return text;
        DATABLOCK_STATUS_LIST(TEXT)
#undef TEXT
    }
    return "unknown status";
}

const char *datablock_error_detail(void) {
    dbshim_thread *thread = dbshim_self_if_any();
    if (thread == NULL) {
        return dbshim_without_memory ? DBSHIM_NO_MEMORY : "";
    }
    if (thread->shared.failed == DATABLOCK_INLINE_SUCCEEDED) {
        return "";
    }
    if (thread->shared.failed == DATABLOCK_INLINE_FULL) {
        /* as in internal/core/channel/backpressure.go */
        snprintf(
            thread->detail, sizeof thread->detail,
            "block \"%.200s\": the next message cannot be claimed now, and the call was asked not "
            "to wait: a LOSSLESS consumer has not read the message that would be overwritten",
            dbshim_name(thread->shared.idle));
        thread->shared.failed = DATABLOCK_INLINE_FAILED;
    } else if (thread->shared.failed != DATABLOCK_INLINE_FAILED) {
        snprintf(thread->detail, sizeof thread->detail,
                 "block \"%.200s\": nothing new to read, and %s", dbshim_name(thread->shared.idle),
                 thread->shared.failed == DATABLOCK_INLINE_IDLE
                     ? "the call was asked not to wait"
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
        /* do not cut a character of UTF-8 */
        while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80) {
            end--;
        }
    }
    memcpy(buffer, text, end);
    buffer[end] = '\0';
    return length + 1;
}
