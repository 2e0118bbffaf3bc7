/* What the hosts in C share. A failed check ends the program with the place and the library's error
 * text, and waits for no other thread. */
#ifndef DATABLOCK_TESTS_HOST_H
#define DATABLOCK_TESTS_HOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <datablock.h>
#ifdef TEST_INLINE
#include <datablock_inline.h>
#endif

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : host_failed(__FILE__, __LINE__, #condition, DATABLOCK_OK))
#define CHECK_OK(call) CHECK_EITHER(call, DATABLOCK_OK, DATABLOCK_OK)

/* Returns the status, which must be one of the two. */
#define CHECK_EITHER(call, one, other) host_status(__FILE__, __LINE__, #call, call, one, other)

static inline void host_failed(const char *file, int line, const char *text,
                               datablock_status status) {
    fprintf(stderr, "%s:%d: %s\n    status %d (%s), detail \"%s\"\n", file, line, text, (int)status,
            datablock_strerror(status), datablock_error_detail());
    _exit(1);
}

static inline datablock_status host_status(const char *file, int line, const char *text,
                                           datablock_status got, datablock_status one,
                                           datablock_status other) {
    if (got != one && got != other) {
        host_failed(file, line, text, got);
    }
    return got;
}

static inline double host_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Sleeps for this time, or until a signal arrives. */
static inline void host_pause(long microseconds) {
    nanosleep(&(struct timespec){microseconds / 1000000, microseconds % 1000000 * 1000}, NULL);
}

/* The length and the bytes of message `id`, equal in every host. */
enum { HOST_SLOT = 512 };

static inline size_t host_length(uint64_t id) { return 1 + (size_t)(id * 37 % HOST_SLOT); }

static inline void host_fill(uint8_t *data, uint64_t id) {
    for (size_t i = 0; i < host_length(id); i++) {
        data[i] = (uint8_t)(id * 31 + i);
    }
}

static inline bool host_right(const void *data, size_t length, uint64_t id) {
    if (length != host_length(id)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (((const uint8_t *)data)[i] != (uint8_t)(id * 31 + i)) {
            return false;
        }
    }
    return true;
}

#endif
