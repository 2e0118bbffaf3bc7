/*
 * What the benchmark's C and C++ programs share: arguments, the clock, samples, and the protocol
 * with run.py.
 *
 * A program is called as `PROGRAM ROLE key=value...`. It prepares, prints "ready", waits for a
 * line, measures, and answers with one line of JSON. After an error it prints a sentence to stderr
 * and exits with 1.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static inline void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static char **given;

static inline const char *text_argument(const char *key) {
    size_t n = strlen(key);
    for (char **a = given; *a != NULL; a++) {
        if (strncmp(*a, key, n) == 0 && (*a)[n] == '=') {
            return *a + n + 1;
        }
    }
    die("the argument %s=... is missing", key);
}

static inline double real_argument(const char *key) { return atof(text_argument(key)); }

static inline size_t whole_argument(const char *key) { return strtoull(text_argument(key), NULL, 10); }

/* ---- The protocol with run.py ---------------------------------------------------------------- */

static inline bool next_line(char *line, int size) { return fgets(line, size, stdin) != NULL; }

static inline void say(const char *line) {
    puts(line);
    fflush(stdout);
}

/* Prints that everything is prepared, and waits for the start. */
static inline void rendezvous(void) {
    char line[64];
    say("ready");
    if (!next_line(line, sizeof line)) {
        exit(1);
    }
}

/* ---- Time ------------------------------------------------------------------------------------ */

static inline uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The cheapest clock. Only differences on one core are used. */
static inline uint64_t ticks(void) {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return monotonic_ns();
#endif
}

static double tick_ns; /* nanoseconds of a tick, set by calibrate() */

static inline void calibrate(void) {
    uint64_t begun = monotonic_ns(), first = ticks(), now;
    while ((now = monotonic_ns()) < begun + 5000000) {
    }
    tick_ns = (double)(now - begun) / (double)(ticks() - first);
}

static inline uint64_t ticks_in(double seconds) { return (uint64_t)(seconds * 1e9 / tick_ns); }

/* The time of a measurement. The time before `from` is the warm-up. */
typedef struct window {
    uint64_t from, until;
} window;

static inline window window_from(uint64_t now) {
    window w;
    w.from = now + ticks_in(real_argument("warm"));
    w.until = w.from + ticks_in(real_argument("seconds"));
    return w;
}

/* The number of messages between two clock reads: small for large messages, and otherwise so large
 * that the clock read does not count. */
static inline size_t batch_of(size_t size) { return size < 4096 ? 64 : 1; }

/* ---- Samples --------------------------------------------------------------------------------- */

static uint32_t *samples;
static size_t sample_count, sample_capacity;

/* Allocates memory for as many samples as the time allows. Touches it now, so that no page fault is
 * measured. */
static inline void make_room(double seconds) {
    sample_capacity = (size_t)(seconds * 25e6) + 1000;
    samples = (uint32_t *)malloc(sample_capacity * sizeof *samples);
    if (samples == NULL) {
        die("no memory for %zu samples", sample_capacity);
    }
    memset(samples, 1, sample_capacity * sizeof *samples);
}

static inline void record(uint64_t duration) {
    if (sample_count < sample_capacity) {
        samples[sample_count++] = duration < UINT32_MAX ? (uint32_t)duration : UINT32_MAX;
    }
}

/* Answers with the samples, each divided by `times`: two for a round trip, of which one way
 * counts. */
static inline void answer_samples(double times) {
    const char *path = text_argument("samples");
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(samples, sizeof *samples, sample_count, file) != sample_count || fclose(file) != 0) {
        die("cannot write %s", path);
    }
    printf("{\"unit_ns\": %.9f}\n", tick_ns / times);
    fflush(stdout);
}

static inline void answer_rate(uint64_t messages, uint64_t duration) {
    printf("{\"messages\": %llu, \"seconds\": %.9f}\n", (unsigned long long)messages,
           (double)duration * tick_ns * 1e-9);
    fflush(stdout);
}

/* How long each side pauses before it sends, so that the other side has fallen asleep. 0 if no side
 * sleeps. */
static uint64_t rest_ticks;

static inline void rest_as_given(void) { rest_ticks = ticks_in(real_argument("rest")); }

/* Pauses in a busy loop from `now` on. Returns the time of the end. */
static inline uint64_t rest(uint64_t now) {
    for (uint64_t until = now + rest_ticks; now < until; now = ticks()) {
    }
    return now;
}

/* Repeats a statement, which is one round trip, over the window. Records the time of each
 * without the other side's pause. */
#define TIME_ROUND_TRIPS(statement)                                                            \
    do {                                                                                       \
        uint64_t last_ = ticks(), now_;                                                        \
        for (window window_ = window_from(last_); last_ < window_.until; last_ = rest(now_)) { \
            statement;                                                                         \
            now_ = ticks();                                                                    \
            if (last_ >= window_.from) {                                                       \
                record(now_ - last_ - rest_ticks);                                             \
            }                                                                                  \
        }                                                                                      \
    } while (0)

/* The consumer's side of a stream: the rate between the first and the last clock read after the
 * warm-up. */
typedef struct rate {
    uint64_t messages, from, first_messages, first, last_messages, last;
} rate;

static inline void rate_look(rate *r) {
    uint64_t now = ticks();
    if (r->from == 0) {
        r->from = now + ticks_in(real_argument("warm"));
    } else if (r->first == 0 && now >= r->from) {
        r->first = r->last = now;
        r->first_messages = r->last_messages = r->messages;
    } else if (r->first != 0) {
        r->last = now;
        r->last_messages = r->messages;
    }
}

static inline void answer_stream(const rate *r) {
    answer_rate(r->last_messages - r->first_messages, r->last - r->first);
}

/* A buffer for copies. */
static inline void *buffer_of(size_t size) {
    void *buffer = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (buffer == NULL) {
        die("no memory for %zu bytes", size);
    }
    memset(buffer, 0x5a, size);
    return buffer;
}

/* Resident memory of this process, kB. */
static inline long resident_kb(void) {
    char line[256];
    long kb = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmRSS: %ld", &kb) == 1) {
            break;
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return kb;
}

/* ---- Roles ----------------------------------------------------------------------------------- */

typedef struct role {
    const char *name;
    void (*play)(void);
} role;

static inline int play_role(int argc, char **argv, const role *roles) {
    given = argv;
    calibrate();
    for (; roles->name != NULL; roles++) {
        if (argc > 1 && strcmp(argv[1], roles->name) == 0) {
            roles->play();
            return 0;
        }
    }
    die("usage: %s ROLE key=value...", argv[0]);
}

#endif
