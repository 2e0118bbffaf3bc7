/* Waiting on several blocks. */
#include "pair.h"

#include <pthread.h>
#include <time.h>

enum { MANY = 200 };

/* Closes, and removes the block, so that the next scenario begins at message 0. */
static void close_and_unlink(struct pair *pair) {
    close_pair(pair);
    CHECK_OK(unlink_here(pair->name));
}

static void read_one(datablock_consumer consumer, uint64_t id) {
    datablock_read_slot slot;
    CHECK_OK(datablock_read_begin(consumer, 0, &slot));
    CHECK(slot.id == id);
    CHECK_OK(datablock_read_end(consumer, &slot));
}

static void wait_any_names_every_ready_one(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    for (size_t d = 0; d < 3; d++) {
        struct pair left = open_pair("left", 4, deliveries[d]), middle = open_pair("middle", 4, deliveries[d]),
            right = open_pair("right", 4, deliveries[d]);
        const datablock_consumer consumers[] = {left.consumer, middle.consumer, right.consumer};
        bool ready[3] = {true, true, true};
        CHECK_DETAIL(datablock_wait_any(consumers, 3, 0, ready), DATABLOCK_E_TIMEOUT,
                     "in any of 3 blocks, the first of which is \"left\"");
        CHECK_STATUS(datablock_wait_any(consumers, 3, 20, ready), DATABLOCK_E_TIMEOUT);
        CHECK(ready[0] && ready[1] && ready[2]); /* unchanged */
        write_text(right.producer, "1");
        write_text(left.producer, "1");
        write_text(left.producer, "2");
        for (int again = 0; again < 2; again++) { /* wait_any dequeues nothing */
            CHECK_OK(datablock_wait_any(consumers, 3, -1, ready));
            CHECK(ready[0] && !ready[1] && ready[2]);
        }
        read_one(right.consumer, 0);
        read_one(left.consumer, deliveries[d] == DATABLOCK_LATEST ? 1 : 0);
        if (deliveries[d] != DATABLOCK_LATEST) {
            CHECK_OK(datablock_wait_any(consumers, 3, 0, ready));
            CHECK(ready[0] && !ready[1] && !ready[2]);
            read_one(left.consumer, 1);
        }
        CHECK_STATUS(datablock_wait_any(consumers, 3, 0, ready), DATABLOCK_E_TIMEOUT);
        close_and_unlink(&left);
        close_and_unlink(&middle);
        close_and_unlink(&right);
    }
}

/* A thread that waits. */
struct waiter {
    const datablock_consumer *consumers;
    size_t count;
    bool ready[MANY];
    datablock_status status;
    char detail[200];
    pthread_t thread;
};

static void *wait_for_ever(void *of) {
    struct waiter *w = of;
    w->status = datablock_wait_any(w->consumers, w->count, -1, w->ready);
    snprintf(w->detail, sizeof w->detail, "%s", datablock_error_detail());
    return NULL;
}

static bool asleep(const char *name) {
    char path[300];
    datablock_participant_info rows[8];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    int count = datablock_list_participants(path, rows, 8);
    for (int i = 0; i < count; i++) {
        if (rows[i].row != 0 && rows[i].waits > 0) {
            return true;
        }
    }
    return false;
}

static void begin_waiting(struct waiter *w, const datablock_consumer *consumers, size_t count, const char *name) {
    *w = (struct waiter){.consumers = consumers, .count = count};
    CHECK(pthread_create(&w->thread, NULL, wait_for_ever, w) == 0);
    WAIT_UNTIL(asleep(name), 20);
}

static void wait_any_is_woken(void) {
    for (int which = 0; which < 2; which++) {
        struct pair pairs[] = {open_pair("left", 4, DATABLOCK_LOSSLESS), open_pair("right", 4, DATABLOCK_LATEST)};
        const datablock_consumer consumers[] = {pairs[0].consumer, pairs[1].consumer};
        struct waiter w;
        begin_waiting(&w, consumers, 2, pairs[1].name);
        write_text(pairs[which].producer, "wake up");
        pthread_join(w.thread, NULL);
        CHECK_STATUS(w.status, DATABLOCK_OK);
        CHECK(w.ready[which] && !w.ready[1 - which]);
        read_one(pairs[which].consumer, 0);
        close_and_unlink(&pairs[0]);
        close_and_unlink(&pairs[1]);
    }
}

static void wait_any_sees_the_end(void) {
    struct pair left = open_pair("left", 4, DATABLOCK_LOSSLESS), right = open_pair("right", 4, DATABLOCK_LOSSLESS);
    const datablock_consumer consumers[] = {left.consumer, right.consumer};
    struct waiter w;
    begin_waiting(&w, consumers, 2, "right");
    CHECK_OK(datablock_producer_close(right.producer));
    pthread_join(w.thread, NULL);
    CHECK_STATUS(w.status, DATABLOCK_OK);
    CHECK(!w.ready[0] && w.ready[1]);
    datablock_read_slot slot;
    CHECK_STATUS(datablock_read_begin(right.consumer, 0, &slot), DATABLOCK_E_CLOSED);
    CHECK_OK(datablock_consumer_close(right.consumer));
    CHECK_OK(unlink_here("right"));
    close_and_unlink(&left);
}

/* A sleeping wait_any uses none of the handles: a close does not wait for it, and the close ends
 * the wait. */
static void wait_any_closed_meanwhile(void) {
    struct pair left = open_pair("left", 4, DATABLOCK_LOSSLESS), right = open_pair("right", 4, DATABLOCK_LOSSLESS);
    const datablock_consumer consumers[] = {left.consumer, right.consumer};
    struct waiter w;
    begin_waiting(&w, consumers, 2, "right");
    CHECK_OK(datablock_consumer_close(left.consumer));
    pthread_join(w.thread, NULL);
    CHECK_STATUS(w.status, DATABLOCK_E_CLOSED);
    CHECK(strstr(w.detail, "consumers[0]: this consumer handle was closed") != NULL);
    CHECK_OK(datablock_producer_close(left.producer));
    CHECK_OK(unlink_here("left"));
    close_and_unlink(&right);
}

static void wait_any_leaves_the_handles_free(void) {
    struct pair left = open_pair("left", 4, DATABLOCK_LOSSLESS), right = open_pair("right", 4, DATABLOCK_LOSSLESS);
    const datablock_consumer consumers[] = {left.consumer, right.consumer};
    struct waiter w;
    datablock_read_slot slot;
    begin_waiting(&w, consumers, 2, "right");
    datablock_status status = DATABLOCK_E_BUSY;
    /* The waiting thread uses the handle from time to time. */
    WAIT_UNTIL((status = datablock_read_begin(left.consumer, 0, &slot)) != DATABLOCK_E_BUSY, 20);
    CHECK(status == DATABLOCK_E_TIMEOUT);
    write_text(left.producer, "wake up");
    pthread_join(w.thread, NULL);
    CHECK(w.status == DATABLOCK_OK || w.status == DATABLOCK_E_BUSY);
    close_pair(&left);
    close_pair(&right);
}

/* A tombstone is not a message: a LATEST reader would get nothing, and is not reported as ready. */
static void wait_any_passes_over_what_was_discarded(void) {
    struct pair p = open_pair("discarded", 4, DATABLOCK_LATEST);
    bool ready = false;
    write_text(p.producer, "1");
    write_text(p.producer, "2");
    char path[300];
    snprintf(path, sizeof path, "%s/discarded", test_directory());
    CHECK(datablock_force_reset_all_slots(path, true) == RECOVERY_SUCCESS);
    datablock_read_slot slot;
    datablock_status status = datablock_read_begin(p.consumer, 0, &slot);
    if (status == DATABLOCK_E_TIMEOUT) {
        CHECK_STATUS(datablock_wait_any(&p.consumer, 1, 20, &ready), DATABLOCK_E_TIMEOUT);
        write_text(p.producer, "3");
    } else {
        CHECK_STATUS(status, DATABLOCK_E_FENCED); /* the row has been taken too, and a read reports it at once */
    }
    CHECK_OK(datablock_wait_any(&p.consumer, 1, 20, &ready));
    CHECK(ready);
    close_pair(&p);
}

/* A read of a ready consumer returns at once, also for a block whose file has disappeared. */
static void wait_any_and_the_read_agree(void) {
    struct pair p = open_pair("gone", 4, DATABLOCK_LOSSLESS);
    bool ready = false;
    char path[300];
    snprintf(path, sizeof path, "%s/gone", test_directory());
    CHECK(take_away(path) == 0);
    for (int again = 0; again < 4; again++) {
        CHECK_OK(datablock_wait_any(&p.consumer, 1, 10000, &ready));
        datablock_read_slot slot;
        CHECK_STATUS(datablock_read_begin(p.consumer, 0, &slot), DATABLOCK_E_SUPERSEDED);
    }
    close_pair(&p);
}

static void wait_any_of_many(void) {
    static struct pair pairs[MANY];
    static char names[MANY][16];
    static datablock_consumer consumers[MANY];
    for (size_t i = 0; i < MANY; i++) { /* more than the kernel accepts in one call */
        snprintf(names[i], sizeof names[i], "many-%zu", i);
        pairs[i] = open_pair(names[i], 2, DATABLOCK_LOSSLESS);
        consumers[i] = pairs[i].consumer;
    }
    static const size_t counts[] = {2, 127, 128, 129, MANY};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        size_t last = counts[c] - 1;
        struct waiter w;
        begin_waiting(&w, consumers, counts[c], names[last]);
        write_text(pairs[last].producer, "the last one");
        pthread_join(w.thread, NULL);
        CHECK_STATUS(w.status, DATABLOCK_OK);
        for (size_t i = 0; i < counts[c]; i++) {
            CHECK(w.ready[i] == (i == last));
        }
        read_one(consumers[last], 0);
        close_and_unlink(&pairs[last]);
        pairs[last] = open_pair(names[last], 2, DATABLOCK_LOSSLESS);
        consumers[last] = pairs[last].consumer;
    }
    for (size_t i = 0; i < MANY; i++) {
        close_pair(&pairs[i]);
    }
}

static void wait_any_is_asked_for_properly(void) {
    struct pair p = open_pair("asked", 4, DATABLOCK_LOSSLESS);
    datablock_consumer two[] = {p.consumer, {0}};
    bool ready[2];
    CHECK_DETAIL(datablock_wait_any(NULL, 1, 0, ready), DATABLOCK_E_INVALID, "consumers is NULL");
    CHECK_DETAIL(datablock_wait_any(two, 1, 0, NULL), DATABLOCK_E_INVALID, "ready is NULL");
    CHECK_DETAIL(datablock_wait_any(two, 0, 0, ready), DATABLOCK_E_INVALID, "count is 0: give 1 to 1024 consumers");
    CHECK_DETAIL(datablock_wait_any(two, 1025, 0, ready), DATABLOCK_E_INVALID, "count is 1025");
    CHECK_DETAIL(datablock_wait_any(two, 1, -2, ready), DATABLOCK_E_INVALID, "timeout -2 ms");
    CHECK_DETAIL(datablock_wait_any(two, 2, 0, ready), DATABLOCK_E_HANDLE, "consumers[1]: the consumer handle is zero");
    two[1].handle = p.producer.handle;
    CHECK_DETAIL(datablock_wait_any(two, 2, 0, ready), DATABLOCK_E_HANDLE,
                 "consumers[1]: this is a producer handle, where a consumer is needed");
    two[1] = p.consumer;
    write_text(p.producer, "1");
    CHECK_OK(datablock_wait_any(two, 2, 0, ready)); /* the same consumer twice */
    CHECK(ready[0] && ready[1]);
    datablock_read_slot slot;
    CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
    CHECK_OK(datablock_wait_any(two, 1, 0, ready)); /* max_pins messages are held, and a read fails at once */
    CHECK_STATUS(datablock_read_begin(p.consumer, 0, &slot), DATABLOCK_E_BUSY);
    close_pair(&p);
}

/* A thread that waits repeatedly until it has been woken WAKES times. It counts its wake-ups. */
enum { WAKES = 40 };

struct sleeper {
    const datablock_consumer *consumers;
    size_t count;
    datablock_waker waker;
    unsigned woken;
    datablock_status status;
};

static void *sleep_until_woken(void *of) {
    struct sleeper *s = of;
    bool ready[MANY] = {false};
    while (__atomic_load_n(&s->woken, __ATOMIC_ACQUIRE) < WAKES) {
        s->status = datablock_wait_any_or_wake(s->consumers, s->count, -1, ready, &s->waker);
        for (size_t i = 0; i < s->count; i++) {
            CHECK(!ready[i]);
        }
        if (s->status != DATABLOCK_OK) {
            break;
        }
        __atomic_add_fetch(&s->woken, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static double seconds_of(struct sleeper *s) {
    struct timespec begin, end;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, sleep_until_woken, s) == 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < WAKES; i++) {
        datablock_wake(&s->waker);
        WAIT_UNTIL(__atomic_load_n(&s->woken, __ATOMIC_ACQUIRE) > i, 20);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    pthread_join(thread, NULL);
    CHECK_STATUS(s->status, DATABLOCK_OK);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

/* The longest time of one wake-up of a wait for so many blocks. Under Wine each entry into Go and
 * each word of a sleep takes several calls of Wine's server. */
#ifdef _WIN32
#define WAKE_SECONDS(count) (0.2 + 0.02 * (double)(count))
#else
#define WAKE_SECONDS(count) 0.05
#endif

/* The wake-up ends the sleep at once, and not at the next tick of 100 ms. */
static void a_wake_ends_the_sleep(void) {
    static struct pair pairs[MANY];
    static char names[MANY][16];
    static datablock_consumer consumers[MANY];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "woken-%zu", i);
        pairs[i] = open_pair(names[i], 2, DATABLOCK_LOSSLESS);
        consumers[i] = pairs[i].consumer;
    }
    static const size_t counts[] = {0, 1, 2, 127, 128, MANY};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        double limit = WAKES * WAKE_SECONDS(counts[c]), seconds = 2 * limit;
        for (int try = 0; try < 3 && seconds > limit; try++) { /* other programs may have the processor */
            struct sleeper s = {.consumers = consumers, .count = counts[c]};
            seconds = seconds_of(&s);
            if (seconds > limit) {
                fprintf(stderr, "%d wakes of a wait for %zu took %.3f s\n", WAKES, counts[c], seconds);
            }
        }
        CHECK(seconds <= limit);
    }
    for (size_t i = 0; i < MANY; i++) {
        close_pair(&pairs[i]);
    }
}

static void a_wake_is_kept_until_a_wait_takes_it(void) {
    struct pair p = open_pair("kept", 4, DATABLOCK_LOSSLESS);
    datablock_waker waker = {0};
    bool ready = true;
    datablock_wake(NULL);
    datablock_wake(&waker);
    datablock_wake(&waker);
    CHECK_OK(datablock_wait_any_or_wake(&p.consumer, 1, -1, &ready, &waker));
    CHECK(!ready);
    CHECK_STATUS(datablock_wait_any_or_wake(&p.consumer, 1, 5, &ready, &waker), DATABLOCK_E_TIMEOUT);
    CHECK_STATUS(datablock_wait_any_or_wake(NULL, 0, 5, NULL, &waker), DATABLOCK_E_TIMEOUT);
    datablock_wake(&waker);
    CHECK_OK(datablock_wait_any_or_wake(NULL, 0, 0, NULL, &waker)); /* also a call with timeout 0 */
    write_text(p.producer, "1");
    datablock_wake(&waker);
    CHECK_OK(datablock_wait_any_or_wake(&p.consumer, 1, -1, &ready, &waker)); /* readiness is reported first */
    CHECK(ready);
    read_one(p.consumer, 0);
    CHECK_OK(datablock_wait_any_or_wake(&p.consumer, 1, -1, &ready, &waker));
    CHECK(!ready);
    CHECK_DETAIL(datablock_wait_any_or_wake(&p.consumer, 1, 0, &ready, NULL), DATABLOCK_E_INVALID,
                 "datablock_wait_any_or_wake: waker is NULL");
    CHECK_DETAIL(datablock_wait_any_or_wake(NULL, 1, 0, &ready, &waker), DATABLOCK_E_INVALID,
                 "datablock_wait_any_or_wake: consumers is NULL");
    CHECK_DETAIL(datablock_wait_any_or_wake(&p.consumer, 1, 0, NULL, &waker), DATABLOCK_E_INVALID,
                 "datablock_wait_any_or_wake: ready is NULL");
    CHECK_DETAIL(datablock_wait_any_or_wake(&p.consumer, 1025, 0, &ready, &waker), DATABLOCK_E_INVALID,
                 "count is 1025");
    close_pair(&p);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"wait-any-names-every-ready-one", wait_any_names_every_ready_one},
        {"wait-any-is-woken", wait_any_is_woken},
        {"wait-any-sees-the-end", wait_any_sees_the_end},
        {"wait-any-closed-meanwhile", wait_any_closed_meanwhile},
        {"wait-any-leaves-the-handles-free", wait_any_leaves_the_handles_free},
        {"wait-any-passes-over-what-was-discarded", wait_any_passes_over_what_was_discarded},
        {"wait-any-and-the-read-agree", wait_any_and_the_read_agree},
        {"wait-any-of-many", wait_any_of_many},
        {"wait-any-is-asked-for-properly", wait_any_is_asked_for_properly},
        {"a-wake-ends-the-sleep", a_wake_ends_the_sleep},
        {"a-wake-is-kept-until-a-wait-takes-it", a_wake_is_kept_until_a_wait_takes_it},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
