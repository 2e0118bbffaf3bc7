/* The C boundary: invalid handles, handles and threads, and the effect of a panic on a handle. */
#include "pair.h"

#include <datablock_layout.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#ifndef _WIN32
#include <sys/resource.h>
#endif

/* ---- Handles --------------------------------------------------------------------------------- */

static void dead_handles(void) {
    struct pair pair = open_pair("handles", 4, DATABLOCK_LOSSLESS);
    CHECK_DETAIL(datablock_producer_close((datablock_producer){0}), DATABLOCK_E_HANDLE, "zero");
    CHECK_DETAIL(datablock_consumer_close((datablock_consumer){0}), DATABLOCK_E_HANDLE, "zero");
    for (int bit = 0; bit < 64; bit++) { /* each differs from a valid handle in one bit */
        uint64_t flip = UINT64_C(1) << bit;
        check_dead_producer((datablock_producer){pair.producer.handle ^ flip});
        check_dead_consumer((datablock_consumer){pair.consumer.handle ^ flip});
        check_dead_producer((datablock_producer){flip});
        check_dead_consumer((datablock_consumer){~flip});
    }
    write_text(pair.producer, "still there");

    close_pair(&pair);
    check_dead_producer(pair.producer);
    check_dead_consumer(pair.consumer);
    for (int i = 0; i < 100; i++) { /* table entries are reused, handles never */
        struct pair other = open_pair("handles", 4, DATABLOCK_LOSSLESS);
        CHECK(other.producer.handle != pair.producer.handle && other.consumer.handle != pair.consumer.handle);
        check_dead_producer(pair.producer);
        check_dead_consumer(pair.consumer);
        close_pair(&other);
    }
}

/* The compiler refuses a producer in the place of a consumer. After a cast the library refuses
 * it at run time. */
static void confused_handles(void) {
    struct pair pair = open_pair("confused", 4, DATABLOCK_LOSSLESS);
    check_dead_producer((datablock_producer){pair.consumer.handle});
    check_dead_consumer((datablock_consumer){pair.producer.handle});
    CHECK_DETAIL(datablock_producer_close((datablock_producer){pair.consumer.handle}), DATABLOCK_E_HANDLE,
                 "this is a consumer handle");
    CHECK_DETAIL(datablock_consumer_close((datablock_consumer){pair.producer.handle}), DATABLOCK_E_HANDLE,
                 "this is a producer handle");
    write_text(pair.producer, "unharmed");
    close_pair(&pair);
}

/* With hundreds of open handles the table grows. */
static void many_handles(void) {
    enum { MANY = 600 };
#ifndef _WIN32
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < 5 * MANY || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        printf("    SKIPPED: this process may not open %d files\n", 5 * MANY);
        return;
    }
#endif
    static datablock_producer producers[MANY];
    datablock_config config = ring_config(2);
    config.consumer_limit = 1;
    char name[32];
    int before = open_descriptors();
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "many.%d", i);
        CHECK_OK(datablock_producer_open(name, &config, &producers[i]));
    }
    for (int i = 0; i < MANY; i++) {
        write_text(producers[i], "one of many");
        CHECK_OK(datablock_producer_close(producers[i]));
    }
    CHECK(open_descriptors() == before);
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct waiter {
    pthread_t thread;
    const char *block;
    datablock_producer producer; /* the producer or the consumer is zero */
    datablock_consumer consumer;
    datablock_status status;
    char detail[200];
};

static void *wait_in_a_call(void *argument) {
    struct waiter *waiter = argument;
    datablock_write_slot out;
    datablock_read_slot in;
    waiter->status = waiter->producer.handle != 0 ? datablock_write_begin(waiter->producer, -1, &out)
        : datablock_read_begin(waiter->consumer, -1, &in);
    snprintf(waiter->detail, sizeof waiter->detail, "%s", datablock_error_detail());
    return NULL;
}

/* True if a participant has announced in the block that it is about to sleep. */
static bool sleeping(const struct waiter *waiter) {
    return waiter->producer.handle != 0 ? word_of(waiter->block, false, DATABLOCK_LAYOUT_PRODUCER_WAITING) != 0
                                        : word_of(waiter->block, true, DATABLOCK_LAYOUT_CTL_WAITING) != 0;
}

/* Starts a thread that waits for ever on a handle, and returns when the thread waits. No other
 * thread may have waited in this block before. */
static void start_waiter(struct waiter *waiter) {
    CHECK(!sleeping(waiter));
    CHECK(pthread_create(&waiter->thread, NULL, wait_in_a_call, waiter) == 0);
    WAIT_UNTIL(sleeping(waiter), 10);
}

static void fill_ring(struct pair *pair) {
    write_text(pair->producer, "a");
    write_text(pair->producer, "b");
}

static void two_threads_on_a_handle(void) {
    struct pair pair = open_pair("busy", 2, DATABLOCK_LOSSLESS);
    datablock_write_slot out = {0};
    datablock_read_slot in = {0};
    struct waiter reader = {.block = pair.name, .consumer = pair.consumer};
    start_waiter(&reader);
    CHECK_DETAIL(datablock_read_begin(pair.consumer, 0, &in), DATABLOCK_E_BUSY, "another thread");
    CHECK_STATUS(datablock_read_at(pair.consumer, 0, &in), DATABLOCK_E_BUSY);
    CHECK_STATUS(datablock_read_end(pair.consumer, &in), DATABLOCK_E_BUSY);
    write_text(pair.producer, "wakes it");
    CHECK(pthread_join(reader.thread, NULL) == 0);
    CHECK_OK(reader.status);

    write_text(pair.producer, "fills the ring");
    struct waiter writer = {.block = pair.name, .producer = pair.producer};
    start_waiter(&writer);
    CHECK_DETAIL(datablock_write_begin(pair.producer, 0, &out), DATABLOCK_E_BUSY, "another thread");
    CHECK_STATUS(datablock_write_commit(pair.producer, &out, 0), DATABLOCK_E_BUSY);
    CHECK_STATUS(datablock_write_abort(pair.producer, &out), DATABLOCK_E_BUSY);
    CHECK_OK(datablock_consumer_close(pair.consumer)); /* ends the backpressure */
    CHECK(pthread_join(writer.thread, NULL) == 0);
    CHECK_OK(writer.status);
    CHECK_OK(datablock_producer_close(pair.producer));
}

static void closing_wakes_a_waiting_consumer(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    for (size_t i = 0; i < 3; i++) {
        struct pair pair = open_pair("close.consumer", 2, deliveries[i]);
        struct waiter reader = {.block = pair.name, .consumer = pair.consumer};
        start_waiter(&reader);
        double start = check_now();
        CHECK_OK(datablock_consumer_close(pair.consumer));
        CHECK(pthread_join(reader.thread, NULL) == 0);
        CHECK_STATUS(reader.status, DATABLOCK_E_CLOSED);
        CHECK(check_now() - start < 5);
        check_dead_consumer(pair.consumer);
        CHECK_OK(datablock_producer_close(pair.producer));
        CHECK_OK(unlink_here(pair.name));
    }
}

static void closing_wakes_a_waiting_producer(void) {
    struct pair pair = open_pair("close.producer", 2, DATABLOCK_LOSSLESS);
    fill_ring(&pair);
    struct waiter writer = {.block = pair.name, .producer = pair.producer};
    start_waiter(&writer);
    CHECK_OK(datablock_producer_close(pair.producer));
    CHECK(pthread_join(writer.thread, NULL) == 0);
    CHECK_STATUS(writer.status, DATABLOCK_E_CLOSED);
    check_dead_producer(pair.producer);
    CHECK_OK(datablock_consumer_close(pair.consumer));
}

struct closers {
    pthread_barrier_t barrier;
    datablock_consumer consumer;
    atomic_int closed, refused;
};

static void *close_together(void *argument) {
    struct closers *closers = argument;
    pthread_barrier_wait(&closers->barrier);
    datablock_status status = datablock_consumer_close(closers->consumer);
    atomic_fetch_add(status == DATABLOCK_OK ? &closers->closed : &closers->refused, 1);
    CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_HANDLE);
    return NULL;
}

static void one_of_many_closers_wins(void) {
    enum { CLOSERS = 4 };
    for (int round = 0; round < 50; round++) {
        struct pair pair = open_pair("closers", 2, DATABLOCK_LOSSLESS);
        struct closers closers = {.consumer = pair.consumer};
        struct waiter reader = {.block = pair.name, .consumer = pair.consumer};
        if (round % 2 == 0) {
            start_waiter(&reader);
        }
        pthread_t threads[CLOSERS];
        CHECK(pthread_barrier_init(&closers.barrier, NULL, CLOSERS) == 0);
        for (int i = 0; i < CLOSERS; i++) {
            CHECK(pthread_create(&threads[i], NULL, close_together, &closers) == 0);
        }
        for (int i = 0; i < CLOSERS; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
        if (round % 2 == 0) {
            CHECK(pthread_join(reader.thread, NULL) == 0);
            CHECK_STATUS(reader.status, DATABLOCK_E_CLOSED);
        }
        CHECK(closers.closed == 1 && closers.refused == CLOSERS - 1);
        pthread_barrier_destroy(&closers.barrier);
        CHECK_OK(datablock_producer_close(pair.producer));
        CHECK_OK(unlink_here(pair.name));
    }
}

static void *fail_elsewhere(void *argument) {
    CHECK(strcmp(datablock_error_detail(), "") == 0);
    CHECK_DETAIL(datablock_unlink("not/a/name", 0), DATABLOCK_E_INVALID, "not/a/name");
    *(int *)argument = 1;
    return NULL;
}

static void detail_belongs_to_a_thread(void) {
    struct pair pair = open_pair("detail", 2, DATABLOCK_LOSSLESS);
    CHECK_DETAIL(datablock_unlink(NULL, 0), DATABLOCK_E_INVALID, "name is NULL");
    pthread_t thread;
    int done = 0;
    CHECK(pthread_create(&thread, NULL, fail_elsewhere, &done) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(done == 1 && strstr(datablock_error_detail(), "name is NULL") != NULL);
    write_text(pair.producer, "success leaves no text");
    CHECK(strcmp(datablock_error_detail(), "") == 0);
    close_pair(&pair);
}

/* For every length of a text, and wherever it is cut, the detail has whole characters and an
 * end. */
static void detail_is_text(void) {
    datablock_config config = ring_config(2);
    datablock_producer producer;
    char name[3000];
    for (size_t offset = 0; offset < 4; offset++) {
        memset(name, 'x', offset);
        for (size_t i = offset; i + 3 < sizeof name; i += 3) {
            memcpy(name + i, "\xe2\x82\xac", 4); /* the euro sign */
        }
        config.directory = name;
        name[0] = '/';
        CHECK_STATUS(datablock_producer_open(offset % 2 ? "x" : name, &config, &producer),
                     offset % 2 ? datablock_producer_open("x", &config, &producer) : DATABLOCK_E_INVALID);
        const char *detail = datablock_error_detail();
        size_t length = strlen(detail);
        CHECK(length > 0 && length < 1024);
        /* ASCII, the euro sign or the replacement character, and no character is cut in the
         * middle */
        for (size_t i = 0; i < length;) {
            unsigned char c = (unsigned char)detail[i];
            size_t bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
            CHECK(c < 0x80 || c >= 0xc0);
            CHECK(i + bytes <= length);
            for (size_t k = 1; k < bytes; k++) {
                CHECK(((unsigned char)detail[i + k] & 0xc0) == 0x80);
            }
            i += bytes;
        }
    }
}

/* ---- From thread to thread ------------------------------------------------------------------- */

enum { HANDS = 4, MESSAGES_A_HAND = 200 };

/* A handle moves from thread to thread: a posted thread makes some calls and posts another
 * thread. */
struct relay {
    struct pair pair;
    sem_t turn[HANDS];
    unsigned step, last;
    bool often; /* each call is in another thread */
    datablock_write_slot out;
    datablock_read_slot in;
};

struct hand {
    struct relay *relay;
    unsigned number;
    pthread_t thread;
};

static void relay_step(struct relay *relay) {
    uint64_t id = relay->step / 4;
    switch (relay->step++ % 4) {
    case 0:
        CHECK_OK(datablock_write_begin(relay->pair.producer, 0, &relay->out));
        CHECK(relay->out.id == id);
        break;
    case 1:
        memcpy(relay->out.data, &id, sizeof id);
        CHECK_OK(datablock_write_commit(relay->pair.producer, &relay->out, sizeof id));
        break;
    case 2:
        CHECK_OK(datablock_read_begin(relay->pair.consumer, 0, &relay->in));
        CHECK(relay->in.id == id && memcmp(relay->in.data, &id, sizeof id) == 0);
        break;
    default:
        CHECK_OK(datablock_read_end(relay->pair.consumer, &relay->in));
    }
    CHECK(strcmp(datablock_error_detail(), "") == 0);
}

static void *take_turns(void *argument) {
    struct hand *hand = argument;
    struct relay *relay = hand->relay;
    for (;;) {
        CHECK(sem_wait(&relay->turn[hand->number]) == 0);
        for (unsigned calls = relay->often ? 1 : 1 + relay->step % 11; relay->step < relay->last && calls > 0;
             calls--) {
            relay_step(relay);
        }
        bool done = relay->step == relay->last;
        CHECK(sem_post(&relay->turn[(hand->number + 1) % HANDS]) == 0);
        if (done) {
            return NULL;
        }
    }
}

static void handles_go_from_thread_to_thread(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    for (int round = 0; round < 3; round++) {
        struct relay relay = {.pair = open_pair("relay", 4, deliveries[round])};
        for (int i = 0; i < HANDS; i++) {
            CHECK(sem_init(&relay.turn[i], 0, 0) == 0);
        }
        /* The library's data of an ended thread are reused for another thread. */
        for (int generation = 0; generation < 4; generation++) {
            struct hand hands[HANDS];
            relay.last += 4 * MESSAGES_A_HAND;
            relay.often = generation % 2 == 0;
            for (unsigned i = 0; i < HANDS; i++) {
                hands[i] = (struct hand){.relay = &relay, .number = i};
                CHECK(pthread_create(&hands[i].thread, NULL, take_turns, &hands[i]) == 0);
            }
            CHECK(sem_post(&relay.turn[0]) == 0);
            for (int i = 0; i < HANDS; i++) {
                CHECK(pthread_join(hands[i].thread, NULL) == 0);
            }
            for (int i = 0; i < HANDS; i++) {
                (void)sem_trywait(&relay.turn[i]); /* the post of the last thread */
            }
        }
        for (int i = 0; i < HANDS; i++) {
            sem_destroy(&relay.turn[i]);
        }
        close_pair(&relay.pair);
        CHECK_OK(unlink_here("relay"));
    }
}

/* Two independent threads call on one handle. Each call belongs to one of them or is refused,
 * and never belongs to both. */
struct rivals {
    struct pair pair;
    pthread_barrier_t start;
    atomic_int inside;
    atomic_uint written, read;
    atomic_ullong next; /* the next message to read */
};

static void *rival(void *argument) {
    struct rivals *rivals = argument;
    pthread_barrier_wait(&rivals->start);
    double until = check_now() + 0.1;
    for (unsigned turn = 0; turn % 64 != 0 || check_now() < until; turn++) {
        datablock_write_slot out;
        datablock_read_slot in;
        datablock_status status = datablock_write_begin(rivals->pair.producer, 0, &out);
        CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_BUSY || status == DATABLOCK_E_INVALID ||
              status == DATABLOCK_E_TIMEOUT);
        if (status == DATABLOCK_OK) {
            CHECK(atomic_fetch_add(&rivals->inside, 1) == 0);
            memset(out.data, (int)out.id, out.capacity);
            CHECK(atomic_fetch_sub(&rivals->inside, 1) == 1);
            while ((status = datablock_write_commit(rivals->pair.producer, &out, out.capacity)) == DATABLOCK_E_BUSY) {
            }
            CHECK_OK(status);
            atomic_fetch_add(&rivals->written, 1);
        }
        status = datablock_read_begin(rivals->pair.consumer, 0, &in);
        CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_BUSY || status == DATABLOCK_E_TIMEOUT);
        if (status == DATABLOCK_OK) {
            CHECK(in.id == atomic_fetch_add(&rivals->next, 1) && in.length == 100);
            CHECK(((const unsigned char *)in.data)[99] == (unsigned char)in.id);
            while ((status = datablock_read_end(rivals->pair.consumer, &in)) == DATABLOCK_E_BUSY) {
            }
            CHECK_OK(status);
            atomic_fetch_add(&rivals->read, 1);
        }
    }
    return NULL;
}

static void rivals_are_kept_apart(void) {
#ifdef __SANITIZE_THREAD__
    printf("    SKIPPED: the thread sanitizer does not see how the library, which is built without it, keeps "
           "them apart\n");
    return;
#endif
    struct rivals rivals = {.pair = open_pair("rivals", 4, DATABLOCK_LOSSLESS)};
    pthread_t threads[2];
    CHECK(pthread_barrier_init(&rivals.start, NULL, 2) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, rival, &rivals) == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    pthread_barrier_destroy(&rivals.start);
    CHECK(rivals.written > 0 && rivals.read > 0 && rivals.next == rivals.read && rivals.read <= rivals.written &&
          rivals.written <= rivals.read + 4);
    for (int i = 0; i < 100; i++) { /* no slot was lost */
        datablock_read_slot in;
        datablock_write_slot out;
        datablock_status status = datablock_write_begin(rivals.pair.producer, 0, &out);
        if (status == DATABLOCK_OK) {
            CHECK_OK(datablock_write_commit(rivals.pair.producer, &out, 1));
        }
        CHECK_OK(datablock_read_begin(rivals.pair.consumer, 0, &in));
        CHECK_OK(datablock_read_end(rivals.pair.consumer, &in));
    }
    close_pair(&rivals.pair);
}

/* A thread that calls repeatedly, without access to a payload, while another thread closes. */
struct caller {
    pthread_t thread;
    struct pair pair;
    bool writes;
    atomic_uint calls;
    datablock_status status;
};

static void *call_and_call(void *argument) {
    struct caller *caller = argument;
    datablock_write_slot out = {0};
    datablock_read_slot in = {0};
    do {
        if (caller->writes &&
            (caller->status = datablock_write_begin(caller->pair.producer, 0, &out)) == DATABLOCK_OK) {
            caller->status = caller->calls % 8 == 0 ? datablock_write_abort(caller->pair.producer, &out)
                : datablock_write_commit(caller->pair.producer, &out, 0);
        } else if (!caller->writes &&
                   (caller->status = datablock_read_begin(caller->pair.consumer, 0, &in)) == DATABLOCK_OK) {
            caller->status = datablock_read_end(caller->pair.consumer, &in);
        }
        atomic_fetch_add_explicit(&caller->calls, 1, memory_order_relaxed);
    } while (caller->status == DATABLOCK_OK || caller->status == DATABLOCK_E_TIMEOUT);
    return NULL;
}

static void closing_ends_somebody_who_calls(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_ORDERED, DATABLOCK_LATEST, DATABLOCK_LOSSLESS};
    for (int round = 0; round < 120; round++) {
        struct caller caller = {.pair = open_pair("caller", 4, deliveries[round / 2 % 3]), .writes = round % 2 == 0};
        unsigned some = (unsigned)round * 37 % 200 + 1;
        datablock_write_slot out;
        CHECK(pthread_create(&caller.thread, NULL, call_and_call, &caller) == 0);
        if (caller.writes) {
            datablock_read_slot in;
            while (caller.calls < some) { /* LOSSLESS: ends its backpressure */
                if (datablock_read_begin(caller.pair.consumer, 0, &in) == DATABLOCK_OK) {
                    CHECK_OK(datablock_read_end(caller.pair.consumer, &in));
                }
            }
            CHECK_OK(datablock_producer_close(caller.pair.producer));
        } else {
            while (caller.calls < some) {
                if (datablock_write_begin(caller.pair.producer, 0, &out) == DATABLOCK_OK) {
                    CHECK_OK(datablock_write_commit(caller.pair.producer, &out, 0));
                }
            }
            CHECK_OK(datablock_consumer_close(caller.pair.consumer));
        }
        CHECK(pthread_join(caller.thread, NULL) == 0);
        CHECK(caller.status == DATABLOCK_E_HANDLE || caller.status == DATABLOCK_E_CLOSED);
        if (caller.writes) {
            check_dead_producer(caller.pair.producer);
            CHECK_OK(datablock_consumer_close(caller.pair.consumer));
        } else {
            check_dead_consumer(caller.pair.consumer);
            CHECK_OK(datablock_producer_close(caller.pair.producer));
        }
    }
    CHECK_OK(unlink_here("caller"));
}

/* ---- Signals --------------------------------------------------------------------------------- */

#ifndef _WIN32 /* Windows has none that would interrupt a thread */

static struct pair interrupted;
static atomic_int refusals, admissions;

/* A handler's call on a handle that its thread is using in a call is refused. */
static void call_in_handler(int signal) {
    (void)signal;
    datablock_write_slot out = {0};
    datablock_read_slot in = {0};
    const datablock_status statuses[] = {
        datablock_write_begin(interrupted.producer, 0, &out),    datablock_write_commit(interrupted.producer, &out, 0),
        datablock_write_abort(interrupted.producer, &out),       datablock_read_begin(interrupted.consumer, 0, &in),
        datablock_read_begin(interrupted.consumer, -1, &in),     datablock_read_at(interrupted.consumer, 0, &in),
        datablock_read_end(interrupted.consumer, &in),           datablock_producer_close(interrupted.producer),
        datablock_consumer_close(interrupted.consumer),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i] == DATABLOCK_E_BUSY) {
            refusals++;
        } else {
            admissions++;
        }
    }
}

static void expect_signals(void) {
    struct sigaction action = {.sa_handler = call_in_handler, .sa_flags = SA_ONSTACK | SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    refusals = admissions = 0;
}

static void a_handler_is_refused_while_its_thread_waits(void) {
    interrupted = open_pair("interrupted", 2, DATABLOCK_LOSSLESS);
    struct waiter reader = {.block = interrupted.name, .consumer = interrupted.consumer};
    expect_signals();
    start_waiter(&reader);
    for (int i = 1; i <= 20; i++) {
        CHECK(pthread_kill(reader.thread, SIGUSR1) == 0);
        WAIT_UNTIL(refusals + admissions >= 9 * i, 10);
    }
    CHECK(refusals == 9 * 20 && admissions == 0);
    write_text(interrupted.producer, "ends the wait");
    CHECK(pthread_join(reader.thread, NULL) == 0);
    CHECK_OK(reader.status);
    CHECK(strcmp(reader.detail, "") == 0);
    close_pair(&interrupted);
}

#ifdef TEST_INLINE
static void interrupt_ourselves(const char *point) {
    (void)point;
    check_at_point = NULL; /* not in the handler itself */
    CHECK(raise(SIGUSR1) == 0);
    check_at_point = interrupt_ourselves;
}

/* At every crash point of inline code, where a signal could do harm. */
static void a_handler_is_refused_in_inline_code(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    for (int round = 0; round < 3; round++) {
        interrupted = open_pair("inline", 4, deliveries[round]);
        expect_signals();
        check_at_point = interrupt_ourselves;
        for (uint64_t id = 0; id < 100; id++) { /* enough messages for scans */
            datablock_write_slot out;
            datablock_read_slot in;
            CHECK_OK(datablock_write_begin(interrupted.producer, 0, &out));
            CHECK_OK(datablock_write_abort(interrupted.producer, &out));
            CHECK(strcmp(datablock_error_detail(), "") == 0);
            CHECK_OK(datablock_write_begin(interrupted.producer, 0, &out));
            CHECK_OK(datablock_write_commit(interrupted.producer, &out, 0));
            CHECK_OK(datablock_read_begin(interrupted.consumer, 0, &in));
            CHECK(in.id == 100 * (uint64_t)round + id && strcmp(datablock_error_detail(), "") == 0);
            CHECK_OK(datablock_read_end(interrupted.consumer, &in));
        }
        check_at_point = NULL;
        CHECK(refusals >= 100 * 9 * 10 && admissions == 0);
        close_pair(&interrupted);
    }
}
#endif

#endif

/* ---- Panics ---------------------------------------------------------------------------------- */

#define PANIC "DATABLOCK_TEST_PANIC"

/* Only Go panics, so the provoking calls go through the library. The calls after them also use the
 * inline functions in builds with inline functions. */

static void panic_in_a_commit(datablock_producer producer) {
    datablock_write_slot out = {0};
    CHECK_OK(datablock_write_begin(producer, 0, &out));
    setenv(PANIC, "producer.commit", 1);
    CHECK_DETAIL(library.write_commit(producer, &out, 1), DATABLOCK_E_PANIC, "provoked at producer.commit");
    unsetenv(PANIC);
    CHECK_DETAIL(datablock_write_commit(producer, &out, 1), DATABLOCK_E_PANIC, "provoked at producer.commit");
    CHECK_STATUS(datablock_write_abort(producer, &out), DATABLOCK_E_PANIC);
    CHECK_STATUS(datablock_write_begin(producer, 0, &out), DATABLOCK_E_PANIC);
    CHECK_OK(datablock_producer_close(producer));
    check_dead_producer(producer);
}

static void panics_of_consumers(const datablock_consumer_options *options) {
    datablock_read_slot in = {0};
    static const char *const points[] = {"consumer.next", "consumer.read_at", "consumer.release"};
    for (int i = 0; i < 3; i++) {
        datablock_consumer consumer;
        CHECK_OK(datablock_consumer_open("panic", options, &consumer));
        setenv(PANIC, points[i], 1);
        CHECK_DETAIL(i == 0   ? library.read_begin(consumer, 0, &in)
                     : i == 1 ? datablock_read_at(consumer, 0, &in)
                              : library.read_end(consumer, &in),
                     DATABLOCK_E_PANIC, points[i]);
        unsetenv(PANIC);
        CHECK_STATUS(datablock_read_begin(consumer, 0, &in), DATABLOCK_E_PANIC);
        CHECK_OK(datablock_consumer_close(consumer));
        check_dead_consumer(consumer);
    }
}

static void panics_outside_of_handles(void) {
    char name[300];
    size_t count;
    SlotDiagnostic diagnostic;
    snprintf(name, sizeof name, "%s/panic", test_directory());
    setenv(PANIC, "block.list", 1);
    CHECK_STATUS(datablock_list(test_directory(), NULL, 0, &count), DATABLOCK_E_PANIC);
    setenv(PANIC, "block.unlink", 1);
    CHECK_STATUS(datablock_unlink(name, 0), DATABLOCK_E_PANIC);
    setenv(PANIC, "recovery.diagnose", 1);
    CHECK(datablock_diagnose_slot(name, 0, &diagnostic) == -5);
    setenv(PANIC, "recovery.diagnose_all", 1);
    CHECK(datablock_diagnose_all_slots(name, NULL, 0, &count) == -5);
    setenv(PANIC, "recovery.alive", 1);
    CHECK(!datablock_is_process_alive((uint64_t)getpid()));
    setenv(PANIC, "recovery.readers", 1);
    CHECK(datablock_release_zombie_readers(name, 0) == RECOVERY_FAILED);
    setenv(PANIC, "recovery.writer", 1);
    CHECK(datablock_release_zombie_writer(name, 0) == RECOVERY_FAILED);
    setenv(PANIC, "recovery.cleanup", 1);
    CHECK(datablock_cleanup_dead_consumers(name, 0) == -5 &&
          strstr(datablock_error_detail(), "provoked at recovery.cleanup"));
    unsetenv(PANIC);
}

/* A panic inside makes the handle unusable, except for its close. It has no effect on the
 * process, the block and other handles. */
static void panics_poison_the_handle(void) {
    datablock_config config = ring_config(4);
    datablock_producer producer;
    setenv(PANIC, "producer.open", 1);
    datablock_status status = datablock_producer_open("panic", &config, &producer);
    unsetenv(PANIC);
    if (status != DATABLOCK_E_PANIC) {
        printf("    SKIPPED: this library was built without -tags crashpoints and cannot be made to panic\n");
        CHECK_OK(status);
        CHECK_OK(datablock_producer_close(producer));
        return;
    }
    CHECK(strstr(datablock_error_detail(), "provoked at producer.open") && strstr(datablock_error_detail(), ".go:"));

    struct pair pair = open_pair("panic", 4, DATABLOCK_LOSSLESS);
    panic_in_a_commit(pair.producer);

    datablock_read_slot in = {0};
    CHECK_OK(datablock_producer_open("panic", &config, &pair.producer));
    write_text(pair.producer, "the reader is unharmed");
    CHECK_OK(datablock_read_begin(pair.consumer, 0, &in));
    CHECK_OK(datablock_read_end(pair.consumer, &in));
    datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
    panics_of_consumers(&options);
    setenv(PANIC, "consumer.open", 1);
    CHECK_STATUS(datablock_consumer_open("panic", &options, &pair.consumer), DATABLOCK_E_PANIC);

    panics_outside_of_handles();

    setenv(PANIC, "consumer.close", 1); /* the handle ends, and the row ends with the process */
    CHECK_STATUS(datablock_consumer_close(pair.consumer), DATABLOCK_E_PANIC);
    unsetenv(PANIC);
    check_dead_consumer(pair.consumer);
    CHECK_OK(datablock_producer_close(pair.producer));
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"dead-handles", dead_handles},
        {"confused-handles", confused_handles},
        {"many-handles", many_handles},
        {"two-threads-on-a-handle", two_threads_on_a_handle},
        {"closing-wakes-a-waiting-consumer", closing_wakes_a_waiting_consumer},
        {"closing-wakes-a-waiting-producer", closing_wakes_a_waiting_producer},
        {"one-of-many-closers-wins", one_of_many_closers_wins},
        {"handles-go-from-thread-to-thread", handles_go_from_thread_to_thread},
        {"rivals-are-kept-apart", rivals_are_kept_apart},
        {"closing-ends-somebody-who-calls", closing_ends_somebody_who_calls},
#ifndef _WIN32
        {"a-handler-is-refused-while-its-thread-waits", a_handler_is_refused_while_its_thread_waits},
#endif
#if defined(TEST_INLINE) && !defined(_WIN32)
        {"a-handler-is-refused-in-inline-code", a_handler_is_refused_in_inline_code},
#endif
        {"detail-belongs-to-a-thread", detail_belongs_to_a_thread},
        {"detail-is-text", detail_is_text},
        {"panics-poison-the-handle", panics_poison_the_handle},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
