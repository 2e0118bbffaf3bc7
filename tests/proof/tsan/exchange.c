/*
 * One producer and several readers of all deliveries exchange messages through a block in plain
 * memory, for SECONDS. Payloads are plain memory, so ThreadSanitizer reports every access that the
 * protocol does not order. The readers also check every word and the order of the messages.
 *
 * Usage: exchange SECONDS
 */
#define N 4
#define READERS 6
#define SPARE 14 /* one for each hazard pointer, and one more */
#define SLOT_SIZE 64
#include "../weak/plain_block.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WORDS = SLOT_SIZE / 8, MAX_HOLDS = 3, STAY = 0 };

/*
 * What a reader does: how many messages it holds, about how many it reads before it detaches and
 * attaches again (STAY: it stays), and whether it polls. A reader that sleeps sets its bit for the
 * producer, and this store also orders its earlier reads. Only with a polling reader the cursor or
 * the hazard pointer is the sole order.
 */
static const struct plan {
    uint32_t delivery, holds;
    start from;
    uint32_t visit;
    bool polls;
} plan[READERS + 1] = {
    [1] = {DATABLOCK_LAYOUT_LOSSLESS, 3, START_NEXT, STAY, true},
        [2] = {DATABLOCK_LAYOUT_LOSSLESS, 1, START_NEXT, 20, false},
    [3] = {DATABLOCK_LAYOUT_LOSSLESS, 2, START_OLDEST, 20, false},
        [4] = {DATABLOCK_LAYOUT_ORDERED, 3, START_NEXT, STAY, true},
    [5] = {DATABLOCK_LAYOUT_ORDERED, 2, START_OLDEST, 50, false},
        [6] = {DATABLOCK_LAYOUT_LATEST, 2, START_NEXT, 50, false},
};

static double seconds;
static uint64_t had[READERS + 1], visits[READERS + 1];

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(1);
}

uint64_t dbshim_monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* splitmix64: the same decisions in every run, as far as the threads allow */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t word_of(uint64_t id, uint64_t i) { return id * WORDS + i + 1; }
static uint64_t length_of(uint64_t id) { return 8 * (id % WORDS + 1); }

static void *write_all(void *unused) {
    (void)unused;
    uint64_t random = 1, end = dbshim_monotonic() + (uint64_t)(seconds * 1e9);
    while (dbshim_monotonic() < end) {
        datablock_write_slot slot;
        if (write_begin(&writer, true, &slot) != DONE) {
            fail("message %llu cannot be claimed", (unsigned long long)writer.next);
        }
        uint64_t *words = slot.data;
        for (uint64_t i = 0; i < WORDS; i++) {
            words[i] = word_of(slot.id, i);
        }
        if (next_random(&random) % 16 == 0) {
            words[0] = 0;
            datablock_inline_abort(&writer);
        } else if (write_commit(&writer, length_of(slot.id)) != DONE) {
            fail("message %llu cannot be published", (unsigned long long)slot.id);
        }
    }
    go_close(&writer);
    return NULL;
}

static void check_payload(uint32_t row, const datablock_read_slot *slot) {
    const uint64_t *words = slot->data;
    if (slot->length != length_of(slot->id)) {
        fail("row %u: message %llu has %zu bytes", row, (unsigned long long)slot->id, slot->length);
    }
    for (uint64_t i = 0; 8 * i < slot->length; i++) {
        if (words[i] != word_of(slot->id, i)) {
            fail("row %u: word %llu of message %llu is %llu", row, (unsigned long long)i, (unsigned long long)slot->id,
                 (unsigned long long)words[i]);
        }
    }
}

static status next_message(consumer *c, bool polls, datablock_read_slot *out) {
    if (!polls) {
        return read_begin(c, out);
    }
    for (;;) {
        status result = try_read_begin(c, out);
        if (result == WOULD_WAIT) {
            result = go_read(c, out);
        }
        if (result != WOULD_WAIT) {
            return result;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
}

/* Reads until the visit is over. False: the stream is over. */
static bool visit(consumer *c, const struct plan *p, uint64_t *random) {
    datablock_read_slot held[MAX_HOLDS];
    uint32_t row = c->row_number, count = 0;
    uint64_t expected = c->next;
    bool lossless = p->delivery == DATABLOCK_LAYOUT_LOSSLESS, bound = lossless && p->from == START_NEXT;
    uint64_t most = p->visit == STAY ? UINT64_MAX : next_random(random) % (2 * p->visit);
    for (uint64_t read = 0; read < most; read++) {
        status result = next_message(c, p->polls, &held[count]);
        if (result == OVER) {
            return false; /* while it holds messages */
        }
        const datablock_read_slot *slot = &held[count];
        if (result != DONE) {
            fail("row %u is told %d at message %llu", row, result, (unsigned long long)expected);
        }
        if (lossless ? slot->missed != 0 || slot->id < expected || (bound && slot->id != expected)
            : slot->id != expected + slot->missed) {
            fail("row %u gets message %llu and missed %llu, expected %llu", row, (unsigned long long)slot->id,
                 (unsigned long long)slot->missed, (unsigned long long)expected);
        }
        bound = lossless && c->join_epoch == 0;
        expected = slot->id + 1;
        had[row]++;
        check_payload(row, slot);
        count++;
        while (count > 0 && (count == p->holds || next_random(random) % 2 == 0)) {
            /* LOSSLESS messages are released in order */
            uint32_t which = lossless ? 0 : (uint32_t)(next_random(random) % count);
            check_payload(row, &held[which]);
            if (read_end(c, &held[which]) != DONE) {
                fail("row %u: message %llu was used again while it was held", row, (unsigned long long)held[which].id);
            }
            count--;
            for (uint32_t i = which; i < count; i++) {
                held[i] = held[i + 1];
            }
        }
    }
    return true;
}

static void *read_all(void *argument) {
    uint32_t row = (uint32_t)(uintptr_t)argument;
    uint64_t random = 1000 + row;
    bool more = true;
    while (more) {
        if (visits[row]++ > 0 || plan[row].visit != STAY) {
            go_attach(&reader[row], plan[row].from);
        }
        more = visit(&reader[row], &plan[row], &random);
        go_detach(&reader[row]);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2 || (seconds = strtod(argv[1], NULL)) <= 0) {
        fprintf(stderr, "usage: exchange SECONDS\n");
        return 2;
    }
    plain_create();
    for (uint32_t row = 1; row <= READERS; row++) {
        plain_consumer(row, plan[row].delivery, plan[row].holds);
        if (plan[row].visit == STAY) {
            go_attach(&reader[row], START_NEXT); /* before the first message, so the reader gets all of them */
        }
    }
    pthread_t thread[READERS + 1];
    for (uint32_t row = 1; row <= READERS; row++) {
        pthread_create(&thread[row], NULL, read_all, (void *)(uintptr_t)row);
    }
    pthread_create(&thread[0], NULL, write_all, NULL);
    for (uint32_t i = 0; i <= READERS; i++) {
        pthread_join(thread[i], NULL);
    }
    printf("%llu messages", (unsigned long long)writer.next);
    for (uint32_t row = 1; row <= READERS; row++) {
        printf("; row %u: %llu in %llu visits", row, (unsigned long long)had[row], (unsigned long long)visits[row]);
        if (had[row] == 0) {
            fail("\nrow %u has read nothing", row);
        }
    }
    putchar('\n');
    if (had[1] != writer.next) {
        fail("the LOSSLESS reader has had %llu of %llu messages", (unsigned long long)had[1],
             (unsigned long long)writer.next);
    }
    return 0;
}
