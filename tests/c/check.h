/*
 * What the C tests share: checks that end the program with the place and the library's error text,
 * scenarios, a directory for blocks that is removed at exit, and waiting on conditions. A program
 * runs all scenarios, or one by name. Include this header first, because it requests the POSIX and
 * GNU names.
 */
#ifndef DATABLOCK_TESTS_CHECK_H
#define DATABLOCK_TESTS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <datablock.h>

/*
 * With -DTEST_INLINE a test uses the inline functions under the same names. `library` always has
 * the exported functions. Tests of the path through Go need them, because inline code does not read
 * DATABLOCK_TEST_PANIC and DATABLOCK_TEST_GO.
 */
static const struct {
    datablock_status (*write_begin)(datablock_producer, int64_t, datablock_write_slot *);
    datablock_status (*write_commit)(datablock_producer, const datablock_write_slot *, size_t);
    datablock_status (*write_abort)(datablock_producer, const datablock_write_slot *);
    datablock_status (*read_begin)(datablock_consumer, int64_t, datablock_read_slot *);
    datablock_status (*read_end)(datablock_consumer, const datablock_read_slot *);
} library __attribute__((unused)) =
    {datablock_write_begin, datablock_write_commit, datablock_write_abort, datablock_read_begin, datablock_read_end};

#ifdef TEST_INLINE
/* Called at the crash points of inline code, where a scenario is in the middle of a call. */
static void (*check_at_point)(const char *name) __attribute__((unused));
#define DATABLOCK_CRASH_POINT(name) (check_at_point != NULL ? check_at_point(name) : (void)0)
#include <datablock_inline.h>
#if !DATABLOCK_HAS_INLINE
#error "no inline functions to test"
#endif
#endif

#include "portable.h"

#include <stdarg.h>

/* Ends the program unless the condition holds. */
#define CHECK(condition)                                        \
    do {                                                        \
        if (!(condition)) {                                     \
            check_failed(__FILE__, __LINE__, "%s", #condition); \
        }                                                       \
    } while (0)

/* Ends the program unless the call returns this status. */
#define CHECK_STATUS(call, wanted)                                                                            \
    do {                                                                                                      \
        datablock_status check_got = (call), check_wanted = (wanted);                                         \
        if (check_got != check_wanted) {                                                                      \
            check_failed(__FILE__, __LINE__, "%s\n    returned %d (%s), not %d (%s)", #call, (int)check_got,  \
                         datablock_strerror(check_got), (int)check_wanted, datablock_strerror(check_wanted)); \
        }                                                                                                     \
    } while (0)

/* The same for a call that succeeds. */
#define CHECK_OK(call) CHECK_STATUS(call, DATABLOCK_OK)

/* Ends the program unless the call returns this status and the detail contains this text. */
#define CHECK_DETAIL(call, wanted, text)                                                 \
    do {                                                                                 \
        CHECK_STATUS(call, wanted);                                                      \
        if (strstr(datablock_error_detail(), text) == NULL) {                            \
            check_failed(__FILE__, __LINE__, "%s\n    did not say \"%s\"", #call, text); \
        }                                                                                \
    } while (0)

static inline void check_failed(const char *file, int line, const char *format,
                                ...) __attribute__((format(CHECK_PRINTF, 3, 4), noreturn));

static inline void check_failed(const char *file, int line, const char *format, ...) {
    char detail[1024];
    snprintf(detail, sizeof detail, "%s", datablock_error_detail());
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n    detail: \"%s\"\n", detail);
    exit(1);
}

/* Polls the condition every millisecond until it holds. Ends the program after this time. */
#define WAIT_UNTIL(condition, seconds)                                                                  \
    do {                                                                                                \
        double check_deadline = check_now() + (seconds);                                                \
        while (!(condition)) {                                                                          \
            if (check_now() > check_deadline) {                                                         \
                check_failed(__FILE__, __LINE__, "not within %g s: %s", (double)(seconds), #condition); \
            }                                                                                           \
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);                                    \
        }                                                                                               \
    } while (0)

/* Seconds of a clock that only rises. */
static inline double check_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- A directory of blocks ------------------------------------------------------------------- */

static char check_directory_name[256];
static pid_t check_directory_owner;

/* Removes all files of the test directory. */
static inline void check_remove_files(void) {
    DIR *directory = opendir(check_directory_name);
    if (directory != NULL) {
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            char path[sizeof check_directory_name + sizeof entry->d_name];
            snprintf(path, sizeof path, "%s/%s", check_directory_name, entry->d_name);
            unlink(path);
        }
        closedir(directory);
    }
}

static inline void check_remove_directory(void) {
    if (getpid() != check_directory_owner) {
        return; /* a forked child that calls exit */
    }
    check_remove_files();
    rmdir(check_directory_name);
}

/* This program's own directory, in shared memory unless TMPDIR is set. It is removed at exit. */
static inline const char *test_directory(void) {
    if (check_directory_owner == 0) {
        const char *parent = getenv("TMPDIR");
        int length = snprintf(check_directory_name, sizeof check_directory_name, "%s/datablock-test-XXXXXX",
                              parent ? parent : TEST_PARENT_DIRECTORY);
        if (length >= (int)sizeof check_directory_name || mkdtemp(check_directory_name) == NULL) {
            perror("mkdtemp");
            exit(1);
        }
        check_directory_owner = getpid();
        atexit(check_remove_directory);
    }
    return check_directory_name;
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

/* The number of this process's descriptors of files in the test directory. */
static inline int open_descriptors(void) {
    int count = descriptors_in(test_directory());
    CHECK(count >= 0);
    return count;
}

/* ---- Scenarios ------------------------------------------------------------------------------- */

struct scenario {
    const char *name;
    void (*run)(void);
};

/* Runs the scenario that argv[1] names, or all. SIGALRM ends a scenario that hangs; the last
 * printed name is the name of this scenario. */
static inline int run_scenarios(const struct scenario *scenarios, size_t count, int argc, char **argv) {
    bool found = false;
    test_directory(); /* before any fork, so that a child uses the same directory */
    for (size_t i = 0; i < count; i++) {
        if (argc < 2 || strcmp(argv[1], scenarios[i].name) == 0) {
            found = true;
            printf("%s\n", scenarios[i].name);
            fflush(stdout);
            alarm(SCENARIO_SECONDS);
            scenarios[i].run();
            alarm(0);
        }
    }
    if (!found) {
        fprintf(stderr, "no scenario \"%s\"; there are:\n", argv[1]);
        for (size_t i = 0; i < count; i++) {
            fprintf(stderr, "    %s\n", scenarios[i].name);
        }
        return 1;
    }
    return 0;
}

#endif
