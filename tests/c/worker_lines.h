/*
 * The input and output of a worker: --key=value arguments, and lines of text. See tests/README.md.
 */
#ifndef DATABLOCK_TESTS_WORKER_LINES_H
#define DATABLOCK_TESTS_WORKER_LINES_H

#include <datablock.h>

#include "portable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_OPEN_FAILED = 3 };
__attribute__((format(CHECK_PRINTF, 1, 2), noreturn)) static inline void usage(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("worker: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_USAGE);
}

/* Writes one line in one system call, so that a kill never leaves half of it. */
__attribute__((format(CHECK_PRINTF, 1, 2))) static inline void say(const char *format, ...) {
    char line[2048];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2) {
        length = (int)sizeof line - 2;
    }
    line[length] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)length + 1) < 0) {
        exit(EXIT_USAGE); /* the test has ended */
    }
}

/* The name of a status without its prefix. */
static inline const char *status_name(datablock_status status) {
    static const char *const names[] = {
#define STATUS_NAME(name, value, text) #name,
        DATABLOCK_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    };
    if ((size_t)status >= sizeof names / sizeof *names) {
        return "UNKNOWN";
    }
    const char *name = names[status] + strlen("DATABLOCK_");
    return strncmp(name, "E_", 2) == 0 ? name + 2 : name;
}

static inline bool say_error(datablock_status status) {
    if (status != DATABLOCK_OK) {
        say("error %s %s", status_name(status), datablock_error_detail());
    }
    return status != DATABLOCK_OK;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static char **arguments; /* --key or --key=value; NULL after option() has returned it */
static int argument_count;

/* The value of --key, "" if it has no value, NULL if the key is not given. */
static inline const char *option(const char *key) {
    size_t length = strlen(key);
    const char *found = NULL;
    for (int i = 0; i < argument_count; i++) {
        if (arguments[i] == NULL || strncmp(arguments[i], "--", 2) != 0 ||
            strncmp(arguments[i] + 2, key, length) != 0) {
            continue;
        }
        char end = arguments[i][2 + length];
        if (end == '=' || end == '\0') {
            found = arguments[i] + 2 + length + (end == '=');
            arguments[i] = NULL;
        }
    }
    return found;
}

static inline const char *text_option(const char *key) {
    const char *value = option(key);
    return value == NULL ? "" : value;
}

static inline uint64_t number_option(const char *key, uint64_t otherwise) {
    const char *text = text_option(key);
    char *end;
    if (*text == '\0') {
        return otherwise;
    }
    errno = 0;
    uint64_t number = strtoull(text, &end, 0);
    if (*end != '\0' || errno != 0) {
        usage("--%s=%s is not a number", key, text);
    }
    return number;
}

struct word {
    const char *text;
    uint32_t value;
};

static inline uint32_t word_value(const struct word *words, const char *text, size_t length, const char *key) {
    for (; words->text != NULL; words++) {
        if (strlen(words->text) == length && strncmp(words->text, text, length) == 0) {
            return words->value;
        }
    }
    usage("--%s=%s is unknown", key, text);
}

static inline uint32_t word_option(const char *key, const struct word *words) {
    const char *text = text_option(key);
    return word_value(words, text, strlen(text), key);
}

static inline void all_options_asked(void) {
    for (int i = 0; i < argument_count; i++) {
        if (arguments[i] != NULL) {
            usage("%s is unknown here", arguments[i]);
        }
    }
}

#endif
