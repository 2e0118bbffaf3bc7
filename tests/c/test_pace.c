/* The savings of the fast path must not be visible in the age of a heartbeat, the result of an
 * empty poll, and the free capacity. The counters count what a caller did. */
#include "pair.h"

static void one_message(struct pair *pair) {
    datablock_read_slot slot;
    write_text(pair->producer, "x");
    CHECK_OK(datablock_read_begin(pair->consumer, 0, &slot));
    CHECK_OK(datablock_read_end(pair->consumer, &slot));
}

static const char *path_of(const char *name) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return path;
}

static datablock_participant_info consumer_of(const char *name) {
    datablock_participant_info found[8];
    int count = datablock_list_participants(path_of(name), found, 8);
    CHECK(count > 0);
    for (int i = 0; i < count; i++) {
        if (found[i].row != 0) {
            return found[i];
        }
    }
    check_failed(__FILE__, __LINE__, "block %s has no consumer", name);
}

static uint64_t producer_silent_ms(const char *name) {
    datablock_metrics metrics = {.size = sizeof metrics};
    CHECK_OK(datablock_get_metrics(path_of(name), &metrics));
    return metrics.idle_ms;
}

/* Checks that a participant with this silence has called after `begun`, up to the coarse clock's
 * tick. */
static void check_heard_since(uint64_t silent_ms, double begun) {
    /* The tick of the clock, which is late on a loaded machine. The checked times are at least
     * twice as long. */
    const double tick = 0.05;
    double silent = (double)silent_ms / 1000, now = check_now();
    if (silent > now - begun + tick) {
        check_failed(__FILE__, __LINE__, "silent for %g s, and called within the last %g s", silent, now - begun);
    }
}

static void pass(double seconds) {
    double until = check_now() + seconds;
    WAIT_UNTIL(check_now() > until, 3);
}

/* After a pause every call updates the heartbeat, even with few messages. */
static void heard_after_a_pause(void) {
    struct pair pair = open_pair("pause", 4, DATABLOCK_LOSSLESS);
    for (int round = 0; round < 3; round++) {
        one_message(&pair);
        pass(0.3);
        double begun = check_now();
        one_message(&pair);
        check_heard_since(producer_silent_ms("pause"), begun);
        check_heard_since(consumer_of("pause").silent_ms, begun);
    }
    close_pair(&pair);
}

/* A sequence of calls updates the heartbeat regularly, both with messages and with empty polls. */
static void heard_while_calling(void) {
    const double calling = 0.6, now_and_then = 0.25;
    struct pair pair = open_pair("calling", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slot;
    double end = check_now() + calling;
    while (check_now() < end) {
        one_message(&pair);
    }
    check_heard_since(producer_silent_ms("calling"), end - now_and_then);
    check_heard_since(consumer_of("calling").silent_ms, end - now_and_then);
    end = check_now() + calling;
    while (check_now() < end) {
        CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
    }
    check_heard_since(consumer_of("calling").silent_ms, end - now_and_then);
    close_pair(&pair);
}

#ifdef TEST_INLINE
static void *state_of(uint64_t handle)
{
    return datablock_inline_self->table[handle >> DATABLOCK_INLINE_INDEX_SHIFT].state;
}

/* The coarse clock stops, and still seems to be refreshed. */
static void stop_keeping_up(datablock_inline_coarse_clock *clock) {
    WAIT_UNTIL(__atomic_load_n(&clock->now, __ATOMIC_RELAXED) == 0, 3); /* no thread uses it */
    __atomic_store_n(&clock->now, clock->seen, __ATOMIC_RELAXED);
}

/* The library's thread may get no processor time, for example beside a thread of real-time
 * priority. Then calls still read the real clock from time to time. */
static void heard_though_nobody_keeps_time(void) {
    enum { CALLS = 5000 };
    struct pair pair = open_pair("stopped", 4, DATABLOCK_LOSSLESS);
    datablock_inline_producer *p = state_of(pair.producer.handle);
    datablock_inline_consumer *c = state_of(pair.consumer.handle);
    datablock_read_slot slot;
    one_message(&pair);
    stop_keeping_up(&p->clock);
    stop_keeping_up(&c->clock);
    pass(0.3);
    double begun = check_now();
    for (int i = 0; i < CALLS; i++) {
        one_message(&pair);
    }
    check_heard_since(producer_silent_ms("stopped"), begun);
    check_heard_since(consumer_of("stopped").silent_ms, begun);
    pass(0.3); /* the clock has still stopped */
    begun = check_now();
    for (int i = 0; i < CALLS; i++) {
        CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
    }
    check_heard_since(consumer_of("stopped").silent_ms, begun);
    close_pair(&pair);
}
#endif

/* Each empty poll is counted, and returns its status. The end of the stream is reported at once. */
static void polls_that_find_nothing(void) {
    enum { POLLS = 100 };
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    for (size_t d = 0; d < sizeof deliveries / sizeof *deliveries; d++) {
        struct pair pair = open_pair("idle", 4, deliveries[d]);
        datablock_read_slot slot;
        one_message(&pair);
        for (int i = 0; i < POLLS; i++) {
            CHECK_DETAIL(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_TIMEOUT,
                         "block \"idle\": nothing new to read");
        }
        CHECK(consumer_of("idle").timeouts == POLLS);
        one_message(&pair);
        CHECK(strcmp(datablock_error_detail(), "") == 0);
        CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
        CHECK_OK(datablock_producer_close(pair.producer));
        CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_CLOSED);
        CHECK_OK(datablock_consumer_close(pair.consumer));
        CHECK_OK(unlink_here("idle"));
    }
}

static datablock_status try_write(datablock_producer producer) {
    datablock_write_slot slot;
    datablock_status status = datablock_write_begin(producer, 0, &slot);
    return status != DATABLOCK_OK ? status : datablock_write_commit(producer, &slot, 1);
}

/* Each poll of a full ring is counted, and returns its status. */
static void polls_of_a_full_ring(void) {
    enum { POLLS = 100 };
    struct pair pair = open_pair("held", 4, DATABLOCK_LOSSLESS);
    datablock_metrics metrics = {.size = sizeof metrics};
    datablock_write_slot slot;
    datablock_read_slot message;
    for (int i = 0; i < 4; i++) {
        CHECK_OK(try_write(pair.producer));
    }
    for (int i = 0; i < POLLS; i++) {
        CHECK_DETAIL(datablock_write_begin(pair.producer, 0, &slot), DATABLOCK_E_TIMEOUT,
                     "block \"held\": the next message cannot be claimed now");
    }
    CHECK_OK(datablock_get_metrics(path_of("held"), &metrics));
    CHECK(metrics.timeouts == POLLS && metrics.waits == 0);
    CHECK_OK(datablock_read_begin(pair.consumer, 0, &message));
    CHECK_OK(datablock_read_end(pair.consumer, &message));
    CHECK_OK(datablock_write_begin(pair.producer, 0, &slot));
    CHECK(strcmp(datablock_error_detail(), "") == 0);
    CHECK_STATUS(datablock_write_begin(pair.producer, 0, &slot), DATABLOCK_E_INVALID); /* a claim is open */
    CHECK_OK(datablock_write_abort(pair.producer, &slot));
    close_pair(&pair);
    CHECK_OK(unlink_here("held"));
}

/* A ring takes exactly as many messages as it has entries, and one more for each released
 * message. */
static void full_to_the_last_place(void) {
    static const uint32_t lengths[] = {1, 2, 8, 9, 63, 64, 65, 200};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        struct pair pair = open_pair("full", lengths[l], DATABLOCK_LOSSLESS);
        datablock_read_slot slot;
        for (uint32_t i = 0; i < lengths[l]; i++) {
            CHECK_OK(try_write(pair.producer));
        }
        CHECK_STATUS(try_write(pair.producer), DATABLOCK_E_TIMEOUT);
        for (uint64_t id = 0; id < 3 * (uint64_t)lengths[l]; id++) { /* the reader lags by a whole ring */
            CHECK_OK(datablock_read_begin(pair.consumer, 0, &slot));
            CHECK(slot.id == id);
            CHECK_OK(datablock_read_end(pair.consumer, &slot));
            CHECK_OK(try_write(pair.producer));
            CHECK_STATUS(try_write(pair.producer), DATABLOCK_E_TIMEOUT);
        }
        for (uint32_t i = 0; i < lengths[l]; i++) {
            CHECK_OK(datablock_read_begin(pair.consumer, 0, &slot));
            CHECK_OK(datablock_read_end(pair.consumer, &slot));
        }
        CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
        /* the reader follows the producer closely */
        for (uint64_t id = 4 * (uint64_t)lengths[l]; id < 8 * (uint64_t)lengths[l]; id++) {
            CHECK_OK(try_write(pair.producer));
            CHECK_OK(datablock_read_begin(pair.consumer, 0, &slot));
            CHECK(slot.id == id);
            CHECK_OK(datablock_read_end(pair.consumer, &slot));
        }
        close_pair(&pair);
        CHECK_OK(unlink_here("full"));
    }
}

#ifdef TEST_INLINE
static bool close_after_reading(struct pair *pair, int written) {
    datablock_read_slot slot;
    for (int i = 0; i < written; i++) {
        CHECK_OK(try_write(pair->producer));
    }
    CHECK_OK(datablock_read_begin(pair->consumer, 0, &slot));
    CHECK_OK(datablock_read_end(pair->consumer, &slot));
    const datablock_inline_consumer *c = state_of(pair->consumer.handle);
    return c->near_producer != 0;
}

/*
 * A reader backs off once at the beginning of a cache line of entries, if the producer is in this
 * line with more messages than have been read. The reader does not back off if the two alternate,
 * or if the producer is further ahead.
 */
static void close_to_the_producer(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED};
    for (size_t d = 0; d < sizeof deliveries / sizeof *deliveries; d++) {
        struct pair pair = open_pair("close", 64, deliveries[d]);
        datablock_read_slot slot;
        for (int turn = 0; turn < 24; turn++) {
            CHECK(!close_after_reading(&pair, 1));
        }
        CHECK(close_after_reading(&pair, 2)); /* 24 and 25, in one line */
        CHECK(!close_after_reading(&pair, 1));
        for (int id = 26; id < 32; id++) {
            CHECK(!close_after_reading(&pair, 1));
        }
        for (int id = 32; id < 40; id++) {
            CHECK(!close_after_reading(&pair, id == 32 ? 7 : 0)); /* up to 39, the last entry of the line */
        }
        CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
        CHECK(!close_after_reading(&pair, 2)); /* the reader has backed off in this line already */
        CHECK(!close_after_reading(&pair, 0));
        close_pair(&pair);
        CHECK_OK(unlink_here("close"));
    }
}
#endif

static void check_counts(const struct pair *pair, uint64_t waits, uint64_t timeouts) {
    datablock_participant_info found = consumer_of(pair->name);
    CHECK(found.waits == waits && found.timeouts == timeouts);
}

/* A reader that waits for longer than a second probes for the producer meanwhile. */
static void one_call_is_one_wait(void) {
    struct pair pair = open_pair("one-wait", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slot;
    bool ready;
    CHECK_STATUS(datablock_read_begin(pair.consumer, 2200, &slot), DATABLOCK_E_TIMEOUT);
    check_counts(&pair, 1, 1);
    CHECK_STATUS(datablock_read_id(pair.consumer, 3, 1200, &slot), DATABLOCK_E_TIMEOUT);
    check_counts(&pair, 2, 2);
    CHECK_STATUS(datablock_wait_any(&pair.consumer, 1, 1200, &ready), DATABLOCK_E_TIMEOUT);
    check_counts(&pair, 3, 2);
    close_pair(&pair);
}

typedef datablock_status (*reading)(const struct pair *pair, int64_t timeout_ms);

static datablock_status next_part(const struct pair *pair, int64_t timeout_ms) {
    datablock_read_slot slot;
    return datablock_read_begin(pair->consumer, timeout_ms, &slot);
}

static datablock_status id_part(const struct pair *pair, int64_t timeout_ms) {
    datablock_read_slot slot;
    return datablock_read_id(pair->consumer, 3, timeout_ms, &slot);
}

static datablock_status batch_part(const struct pair *pair, int64_t timeout_ms) {
    datablock_read_slot slot;
    size_t count;
    return datablock_read_batch(pair->consumer, timeout_ms, &slot, 1, &count);
}

static datablock_status copy_part(const struct pair *pair, int64_t timeout_ms) {
    datablock_copied copied;
    return datablock_read_copy(pair->consumer, timeout_ms, 0, NULL, 0, &copied);
}

/* Three calls are one wait and one timeout. */
static void a_wait_in_parts(void) {
    static const reading readings[] = {next_part, id_part, batch_part, copy_part};
    struct pair pair = open_pair("parts", 4, DATABLOCK_LOSSLESS);
    for (uint64_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        CHECK_STATUS(readings[i](&pair, DATABLOCK_WAIT_PART(0, 0)), DATABLOCK_E_TIMEOUT);
        check_counts(&pair, i, i);
        CHECK_STATUS(readings[i](&pair, DATABLOCK_WAIT_PART(1, DATABLOCK_PART_FIRST)), DATABLOCK_E_TIMEOUT);
        check_counts(&pair, i + 1, i);
        CHECK_STATUS(readings[i](&pair, DATABLOCK_WAIT_PART(1, 0)), DATABLOCK_E_TIMEOUT);
        CHECK_STATUS(readings[i](&pair, DATABLOCK_WAIT_PART(1, DATABLOCK_PART_LAST)), DATABLOCK_E_TIMEOUT);
        check_counts(&pair, i + 1, i + 1);
    }
    for (int i = 0; i < 4; i++) {
        write_text(pair.producer, "x");
    }
    datablock_read_slot slot;
    CHECK_DETAIL(datablock_read_id(pair.consumer, 4, DATABLOCK_WAIT_PART(1, DATABLOCK_PART_ENDLESS), &slot),
                 DATABLOCK_E_INVALID, "would wait for ever");
    CHECK_STATUS(datablock_read_id(pair.consumer, 4, DATABLOCK_WAIT_PART(1, 0), &slot), DATABLOCK_E_TIMEOUT);
    const datablock_message message = {"x", 1};
    size_t written;
    static const int64_t parts[] = {DATABLOCK_WAIT_PART(0, 0), DATABLOCK_WAIT_PART(1, DATABLOCK_PART_FIRST),
                                    DATABLOCK_WAIT_PART(1, 0), DATABLOCK_WAIT_PART(1, DATABLOCK_PART_LAST)};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        CHECK_STATUS(datablock_write_batch(pair.producer, parts[i], &message, 1, &written), DATABLOCK_E_TIMEOUT);
        datablock_metrics metrics = {.size = sizeof metrics};
        CHECK_OK(datablock_get_metrics(path_of("parts"), &metrics));
        CHECK(metrics.waits == (i >= 1) && metrics.timeouts == (i == 3));
    }
    close_pair(&pair);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"heard-after-a-pause", heard_after_a_pause},
        {"heard-while-calling", heard_while_calling},
        {"polls-that-find-nothing", polls_that_find_nothing},
        {"polls-of-a-full-ring", polls_of_a_full_ring},
        {"full-to-the-last-place", full_to_the_last_place},
        {"one-call-is-one-wait", one_call_is_one_wait},
        {"a-wait-in-parts", a_wait_in_parts},
#ifdef TEST_INLINE
        {"heard-though-nobody-keeps-time", heard_though_nobody_keeps_time},
        {"close-to-the-producer", close_to_the_producer},
#endif
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}
