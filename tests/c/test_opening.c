/*
 * Opening: a consumer that waits for its block, the permission for LOSSLESS, and the functions that
 * bindings need beyond the header.
 */
#include "pair.h"

#include <pthread.h>
#ifndef _WIN32
#include <dlfcn.h>
#include <signal.h>
#endif

static datablock_status open_with(const char *name, uint32_t flags, datablock_producer *out) {
    datablock_config config = ring_config(4);
    config.flags = flags;
    return datablock_producer_open(name, &config, out);
}

static datablock_status attach(const char *name, datablock_delivery delivery, int64_t wait_ms,
    datablock_consumer *out) {
    datablock_consumer_options options = options_here(delivery);
    options.wait_ms = wait_ms;
    return datablock_consumer_open(name, &options, out);
}

/* ---- Waiting for a block --------------------------------------------------------------------- */

static int called; /* the waiting thread has called the library: its handlers may call it, too */

#ifndef _WIN32
static int inside; /* signals that have interrupted the call */

/* The library refuses a call of a handler while its thread is inside a call. */
static void handler(int signal) {
    (void)signal;
    if (datablock_unlink("absent", 0) == DATABLOCK_E_BUSY) {
        __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    }
}

static void expect_signals(void) {
    struct sigaction action = {.sa_handler = handler};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

/* Signals interrupt the call, and do not end it. */
static void interrupt(pthread_t thread) {
    inside = 0;
    WAIT_UNTIL(pthread_kill(thread, SIGUSR1) == 0 && __atomic_load_n(&inside, __ATOMIC_SEQ_CST) >= 3, 60);
}
#endif

struct waiter {
    datablock_consumer consumer;
    datablock_status status;
    int64_t wait_ms;
};

static void *wait_in_thread(void *argument) {
    struct waiter *w = argument;
    CHECK_STATUS(datablock_unlink("absent", 0), DATABLOCK_E_NOT_FOUND);
    __atomic_store_n(&called, 1, __ATOMIC_SEQ_CST);
    w->status = attach("late", DATABLOCK_LOSSLESS, w->wait_ms, &w->consumer);
    return NULL;
}

/* The handler runs while the call waits, and ends no wait. */
static void a_consumer_waits_for_its_block(void) {
    static const int64_t waits[] = {-1, 60000, INT64_MAX};
#ifndef _WIN32
    expect_signals();
#endif
    for (size_t i = 0; i < 3; i++) {
        struct waiter w = {.wait_ms = waits[i], .status = DATABLOCK_E_PANIC};
        datablock_producer producer;
        pthread_t thread;
        __atomic_store_n(&called, 0, __ATOMIC_SEQ_CST);
        CHECK(pthread_create(&thread, NULL, wait_in_thread, &w) == 0);
        WAIT_UNTIL(__atomic_load_n(&called, __ATOMIC_SEQ_CST), 60);
#ifndef _WIN32
        interrupt(thread);
#endif
        CHECK_OK(open_with("late", 0, &producer));
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK_OK(w.status);
        write_text(producer, "first");
        datablock_read_slot slot;
        CHECK_OK(datablock_read_begin(w.consumer, 0, &slot));
        CHECK(slot.id == 0);
        CHECK_OK(datablock_consumer_close(w.consumer));
        CHECK_OK(datablock_producer_close(producer));
        CHECK_OK(unlink_here("late"));
    }
}

static void a_wait_for_a_block_ends(void) {
    datablock_consumer consumer = {77};
    double begun = check_now();
    CHECK_DETAIL(attach("late", DATABLOCK_LATEST, 30, &consumer), DATABLOCK_E_TIMEOUT, "no block \"late\" in ");
    CHECK(check_now() - begun >= 0.030);
    CHECK_DETAIL(attach("late", DATABLOCK_LATEST, 1, &consumer), DATABLOCK_E_TIMEOUT, " within 1ms: ");
    CHECK_DETAIL(attach("late", DATABLOCK_LATEST, 0, &consumer), DATABLOCK_E_NOT_FOUND, "no block \"late\" in ");
    CHECK_DETAIL(attach("late", DATABLOCK_LATEST, -2, &consumer), DATABLOCK_E_INVALID, "wait_ms is -2");
    CHECK(consumer.handle == 77);
}

/* All other errors are reported at once. */
static void a_wait_is_for_the_block_alone(void) {
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_observer observer;
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    CHECK_STATUS(attach("bad/name", DATABLOCK_LATEST, -1, &consumer), DATABLOCK_E_INVALID);
    CHECK_OK(open_with("there", DATABLOCK_FLAG_FORBID_LOSSLESS, &producer));
    CHECK_STATUS(attach("there", DATABLOCK_LOSSLESS, -1, &consumer), DATABLOCK_E_INVALID);
    options.wait_ms = -1;
    options.registered = "Absent@1";
    options.registry = test_directory();
    CHECK_STATUS(datablock_consumer_open("there", &options, &consumer), DATABLOCK_E_NOT_FOUND);
    options = (datablock_consumer_options){.size = sizeof options, .directory = test_directory(), .wait_ms = -1};
    CHECK_STATUS(datablock_observer_open("there", &options, &observer), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("there"));
}

/* A program that was compiled with the first header. */
static void options_without_a_wait_are_accepted(void) {
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    options.size = offsetof(datablock_consumer_options, wait_ms);
    options.wait_ms = -1;
    CHECK_STATUS(datablock_consumer_open("old", &options, &consumer), DATABLOCK_E_NOT_FOUND);
    CHECK_OK(open_with("old", 0, &producer));
    CHECK_OK(datablock_consumer_open("old", &options, &consumer));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("old"));
}

/* ---- LOSSLESS -------------------------------------------------------------------------------- */

enum { ALLOW = DATABLOCK_FLAG_ALLOW_LOSSLESS, FORBID = DATABLOCK_FLAG_FORBID_LOSSLESS,
    STAMP = DATABLOCK_FLAG_TIMESTAMP };

/* The delivery of a consumer that sets none. */
static uint32_t delivery_by_default(const char *name) {
    datablock_consumer consumer;
    datablock_participant_info rows[4];
    char path[400];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    CHECK_OK(attach(name, DATABLOCK_DELIVERY_DEFAULT, 0, &consumer));
    CHECK(datablock_list_participants(path, rows, 4) == 2 && rows[1].row == 1);
    CHECK_OK(datablock_consumer_close(consumer));
    return rows[1].delivery;
}

static void a_ring_allows_lossless_unless_it_forbids_it(void) {
    static const struct {
        uint32_t flags;
        bool allowed;
    } cases[] = {{0, true}, {STAMP, true}, {ALLOW, true}, {ALLOW | STAMP, true}, {FORBID, false},
        {FORBID | ALLOW, false}, {FORBID | STAMP, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        datablock_producer producer;
        datablock_consumer consumer;
        CHECK_OK(open_with("ring", cases[i].flags, &producer));
        CHECK(delivery_by_default("ring") == (uint32_t)(cases[i].allowed ? DATABLOCK_LOSSLESS : DATABLOCK_ORDERED));
        if (cases[i].allowed) {
            CHECK_OK(attach("ring", DATABLOCK_LOSSLESS, 0, &consumer));
            CHECK_OK(datablock_consumer_close(consumer));
        } else {
            CHECK_DETAIL(attach("ring", DATABLOCK_LOSSLESS, 0, &consumer), DATABLOCK_E_INVALID,
                "create it without FORBID_LOSSLESS");
        }
        CHECK_OK(datablock_producer_close(producer));
        CHECK_OK(unlink_here("ring"));
    }
}

static void the_next_producer_agrees_about_lossless(void) {
    static const struct {
        uint32_t made, asked;
        datablock_status status;
    } cases[] = {
        {0, 0, DATABLOCK_OK},           {0, ALLOW, DATABLOCK_OK},       {ALLOW, 0, DATABLOCK_OK},
        {0, FORBID, DATABLOCK_E_GEOMETRY}, {ALLOW, FORBID, DATABLOCK_E_GEOMETRY}, {FORBID, 0, DATABLOCK_OK},
        {FORBID, FORBID, DATABLOCK_OK}, {FORBID, FORBID | ALLOW, DATABLOCK_OK}, {FORBID, ALLOW, DATABLOCK_E_GEOMETRY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        datablock_producer producer;
        CHECK_OK(open_with("ring", cases[i].made, &producer));
        uint32_t delivery = delivery_by_default("ring");
        CHECK_OK(datablock_producer_close(producer));
        CHECK_STATUS(open_with("ring", cases[i].asked, &producer), cases[i].status);
        if (cases[i].status == DATABLOCK_OK) {
            CHECK(delivery_by_default("ring") == delivery); /* the block keeps its settings */
            CHECK_OK(datablock_producer_close(producer));
        } else {
            CHECK(strstr(datablock_error_detail(), "allow_lossless") != NULL);
        }
        CHECK_OK(unlink_here("ring"));
    }
}

/* ---- For bindings ---------------------------------------------------------------------------- */

static void the_detail_is_copied(void) {
    char buffer[1100];
    memset(buffer, 0x55, sizeof buffer);
    CHECK(datablock_version() != 0 && datablock_error_detail_copy(NULL, 0) == 1);
    CHECK(datablock_error_detail_copy(buffer, 1) == 1 && buffer[0] == '\0' && buffer[1] == 0x55);
    CHECK_STATUS(datablock_unlink("caf\xc3\xa9", 0), DATABLOCK_E_INVALID);
    char whole[1100];
    snprintf(whole, sizeof whole, "%s", datablock_error_detail());
    const size_t needed = strlen(whole) + 1, accent = (size_t)(strstr(whole, "\xc3\xa9") - whole);
    CHECK(datablock_error_detail_copy(NULL, 0) == needed);
    for (size_t capacity = 1; capacity <= needed + 1; capacity++) {
        size_t wanted = capacity < needed ? capacity - 1 : needed - 1;
        wanted -= wanted == accent + 1; /* half a character */
        memset(buffer, 0x55, sizeof buffer);
        CHECK(datablock_error_detail_copy(buffer, capacity) == needed);
        CHECK(strlen(buffer) == wanted && memcmp(buffer, whole, wanted) == 0 && buffer[capacity] == 0x55);
    }
    CHECK(strcmp(buffer, datablock_error_detail()) == 0); /* copying the detail does not change it */
}

/* The library also exports the inline functions of the header. */
static void the_library_has_what_is_inline(void) {
    struct pair p = open_pair("pair", 4, DATABLOCK_LOSSLESS);
    datablock_participant (*of_producer)(datablock_producer), (*of_consumer)(datablock_consumer);
#ifdef _WIN32
    HMODULE loaded = GetModuleHandleA("datablock.dll");
    CHECK(loaded != NULL);
    FARPROC producers = GetProcAddress(loaded, "datablock_of_producer");
    FARPROC consumers = GetProcAddress(loaded, "datablock_of_consumer");
    memcpy(&of_producer, &producers, sizeof of_producer);
    memcpy(&of_consumer, &consumers, sizeof of_consumer);
#else
    void *loaded = dlopen("libdatablock.so.1", RTLD_NOW | RTLD_NOLOAD);
    CHECK(loaded != NULL);
    *(void **)&of_producer = dlsym(loaded, "datablock_of_producer");
    *(void **)&of_consumer = dlsym(loaded, "datablock_of_consumer");
#endif
    CHECK(of_producer != NULL && of_consumer != NULL);
    CHECK(of_producer(p.producer).handle == datablock_of_producer(p.producer).handle);
    CHECK(of_consumer(p.consumer).handle == datablock_of_consumer(p.consumer).handle);
    uint64_t before;
    CHECK_OK(datablock_counter_add(of_consumer(p.consumer), 0, 1, &before));
#ifndef _WIN32
    CHECK(dlclose(loaded) == 0);
#endif
    close_pair(&p);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"a-consumer-waits-for-its-block", a_consumer_waits_for_its_block},
        {"a-wait-for-a-block-ends", a_wait_for_a_block_ends},
        {"a-wait-is-for-the-block-alone", a_wait_is_for_the_block_alone},
        {"options-without-a-wait-are-accepted", options_without_a_wait_are_accepted},
        {"a-ring-allows-lossless-unless-it-forbids-it", a_ring_allows_lossless_unless_it_forbids_it},
        {"the-next-producer-agrees-about-lossless", the_next_producer_agrees_about_lossless},
        {"the-detail-is-copied", the_detail_is_copied},
        {"the-library-has-what-is-inline", the_library_has_what_is_inline},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
