/*
 * Memory that disappears during a call: every call on a handle while another thread closes the
 * handle, and every call on a block with a truncated file. A copying call may be in the middle of
 * its copy. `make soak` repeats the random tests 10,000 times for each call.
 */
#include "pair.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SIZE = 64 << 10, SLOTS = 4, BATCH = 6 };

/* A block with one handle of each kind. */
struct block {
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_observer observer;
    datablock_participant participant; /* the producer or the consumer: the one that is closed */
    char path[300];
    uint64_t seen; /* number of messages read */
};

static _Thread_local unsigned char sent[SIZE], received[SIZE];

/*
 * The number of rounds of a random test. A soak runs all rounds in one of the ways that a test is
 * run, and a part of them in the other ways.
 */
static int rounds_of(int in_passing) {
#if defined(TEST_INLINE) || defined(__SANITIZE_ADDRESS__)
    const int soak = 1000;
#else
    const int soak = getenv("DATABLOCK_TEST_GO") != NULL ? 1000 : 10000;
#endif
    return getenv("DATABLOCK_SOAK") != NULL ? soak : in_passing;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Writes a message in which every byte follows from the id. */
static datablock_status write_next(struct block *b) {
    static _Thread_local unsigned char next;
    memset(sent, ++next, SIZE);
    return datablock_write(b->producer, -1, sent, SIZE, NULL);
}

/* Provides a message, from a producer that stays open. */
static void provide(struct block *b) {
    datablock_status status = write_next(b);
    CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_CORRUPT);
}

static void check_received(struct block *b, size_t length) {
    for (size_t i = 0; i < length; i++) {
        CHECK(received[i] == received[0]);
    }
    b->seen++;
}

static datablock_status call_write(struct block *b) { return write_next(b); }

static datablock_status call_write_batch(struct block *b) {
    datablock_message messages[BATCH];
    size_t written = 77;
    memset(sent, 'A', SIZE);
    for (size_t i = 0; i < BATCH; i++) {
        messages[i] = (datablock_message){sent, SIZE};
    }
    datablock_status status = datablock_write_batch(b->producer, -1, messages, BATCH, &written);
    CHECK(status == DATABLOCK_OK ? written == BATCH : written < BATCH);
    return status;
}

static datablock_status call_commit(struct block *b) {
    datablock_write_slot slot;
    datablock_status status = datablock_write_begin(b->producer, -1, &slot);
    return status == DATABLOCK_OK ? datablock_write_commit(b->producer, &slot, SIZE) : status;
}

static datablock_status call_abort(struct block *b) {
    datablock_write_slot slot;
    datablock_status status = datablock_write_begin(b->producer, -1, &slot);
    return status == DATABLOCK_OK ? datablock_write_abort(b->producer, &slot) : status;
}

static datablock_status call_checksum(struct block *b) {
    datablock_write_slot slot;
    datablock_status status = datablock_write_begin(b->producer, -1, &slot);
    if (status == DATABLOCK_OK && (status = datablock_write_checksum(b->producer, &slot, SIZE)) == DATABLOCK_OK) {
        status = datablock_write_abort(b->producer, &slot);
    }
    return status;
}

static datablock_status call_read(struct block *b) {
    datablock_read_slot slot;
    provide(b);
    datablock_status status = datablock_read_begin(b->consumer, 0, &slot);
    CHECK(status != DATABLOCK_OK || slot.length == SIZE);
    return status == DATABLOCK_OK ? datablock_read_end(b->consumer, &slot) : status;
}

static datablock_status call_read_copy(struct block *b) {
    datablock_copied copied = {0};
    provide(b);
    datablock_status status = datablock_read_copy(b->consumer, 0, 0, received, SIZE, &copied);
    if (status == DATABLOCK_OK) {
        CHECK(copied.length == SIZE);
        check_received(b, SIZE);
    }
    return status;
}

static datablock_status call_read_cut(struct block *b) {
    datablock_copied copied = {0};
    provide(b);
    datablock_status status = datablock_read_copy(b->consumer, 0, DATABLOCK_COPY_CUT, received, 100, &copied);
    CHECK(status != DATABLOCK_OK || copied.length == SIZE);
    return status;
}

static datablock_status call_read_without_room(struct block *b) {
    datablock_copied copied = {0};
    provide(b);
    datablock_status status = datablock_read_copy(b->consumer, 0, 0, received, 100, &copied);
    CHECK(status != DATABLOCK_OK);
    CHECK(status != DATABLOCK_E_INVALID || copied.length == SIZE);
    return status == DATABLOCK_E_INVALID ? DATABLOCK_OK : status;
}

static datablock_status call_read_at(struct block *b) {
    datablock_read_slot slot;
    uint64_t id = 0;
    datablock_status status = datablock_write(b->producer, -1, sent, SIZE, &id);
    CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_CORRUPT);
    status = datablock_read_at(b->consumer, id, &slot);
    CHECK(status != DATABLOCK_OK || slot.length == SIZE);
    return status == DATABLOCK_OK ? datablock_read_end(b->consumer, &slot) : status;
}

static datablock_status call_verify(struct block *b) {
    datablock_write_slot out;
    datablock_read_slot in;
    if (datablock_write_begin(b->producer, -1, &out) == DATABLOCK_OK) {
        (void)datablock_write_checksum(b->producer, &out, 64);
        (void)datablock_write_commit(b->producer, &out, 64);
    }
    datablock_status status = datablock_read_begin(b->consumer, 0, &in);
    if (status != DATABLOCK_OK) {
        return status;
    }
    status = datablock_read_verify(b->consumer, &in);
    CHECK(status != DATABLOCK_E_INVALID); /* the message has a checksum */
    datablock_status ended = datablock_read_end(b->consumer, &in);
    return status != DATABLOCK_OK ? status : ended;
}

static datablock_status call_read_batch(struct block *b) {
    datablock_read_slot slots[BATCH];
    size_t count = 77;
    provide(b);
    provide(b);
    datablock_status status = datablock_read_batch(b->consumer, 0, slots, BATCH, &count);
    CHECK(status == DATABLOCK_OK ? count >= 1 && count <= BATCH : count == 0);
    return status == DATABLOCK_OK ? datablock_read_batch_end(b->consumer, slots, count) : status;
}

static datablock_status call_wait_any(struct block *b) {
    bool ready = false;
    provide(b);
    return datablock_wait_any(&b->consumer, 1, 0, &ready);
}

static datablock_status call_consumer_schemas(struct block *b) {
    datablock_schema schema;
    datablock_status status = datablock_schema_of_consumer(b->consumer, &schema);
    if (status == DATABLOCK_E_SCHEMA) { /* the block has no schema */
        status = datablock_zone_schema_of_consumer(b->consumer, &schema);
    }
    return status;
}

static datablock_status call_lock(struct block *b) {
    datablock_status status = datablock_lock_acquire(b->participant, 3, -1, NULL);
    return status == DATABLOCK_OK ? datablock_lock_release(b->participant, 3) : status;
}

static datablock_status call_zone(struct block *b) {
    datablock_zone zone;
    datablock_status status = datablock_zone_begin(b->participant, 0, -1, &zone);
    return status == DATABLOCK_OK ? datablock_zone_end(b->participant, false) : status;
}

static datablock_status call_counters(struct block *b) {
    uint64_t value;
    datablock_status status = datablock_counter_add(b->participant, 2, 1, &value);
    if (status == DATABLOCK_OK && (status = datablock_counter_get(b->participant, 2, &value)) == DATABLOCK_OK &&
        (status = datablock_counter_exchange(b->participant, 2, value, 7, NULL)) == DATABLOCK_OK) {
        status = datablock_counter_set(b->participant, 2, 1, NULL);
    }
    return status;
}

static datablock_status observe(struct block *b, uint64_t id, size_t capacity) {
    datablock_observation seen;
    datablock_status status = datablock_observe(b->observer, id, received, capacity, &seen);
    if (status == DATABLOCK_OK) {
        CHECK(seen.length == SIZE);
        check_received(b, capacity);
    }
    return status;
}

static datablock_status call_observe(struct block *b) {
    provide(b);
    datablock_status status = observe(b, DATABLOCK_NEWEST, SIZE);
    return status == DATABLOCK_OK ? observe(b, DATABLOCK_NEWEST, 100) : status;
}

static datablock_status call_observe_at(struct block *b) {
    datablock_observation seen;
    provide(b);
    datablock_status status = datablock_observe(b->observer, DATABLOCK_NEWEST, NULL, 0, &seen);
    return status == DATABLOCK_OK ? observe(b, seen.id, SIZE) : status;
}

static datablock_status call_observer_schema(struct block *b) {
    datablock_schema schema;
    return datablock_schema_of_observer(b->observer, &schema);
}

/* Calls that wait until the close. */

static datablock_status wait_to_write(struct block *b) { return write_next(b); }

static datablock_status wait_to_write_batch(struct block *b) { return call_write_batch(b); }

static datablock_status wait_to_claim(struct block *b) {
    datablock_write_slot slot;
    return datablock_write_begin(b->producer, -1, &slot);
}

static datablock_status wait_to_read(struct block *b) {
    datablock_read_slot slot;
    return datablock_read_begin(b->consumer, -1, &slot);
}

static datablock_status wait_to_copy(struct block *b) {
    datablock_copied copied;
    return datablock_read_copy(b->consumer, -1, 0, received, SIZE, &copied);
}

static datablock_status wait_for_a_batch(struct block *b) {
    datablock_read_slot slots[BATCH];
    size_t count;
    return datablock_read_batch(b->consumer, -1, slots, BATCH, &count);
}

/* The close itself may be what is ready. Then the read reports it. */
static datablock_status wait_for_any(struct block *b) {
    bool ready;
    datablock_read_slot slot;
    datablock_status status = datablock_wait_any(&b->consumer, 1, -1, &ready);
    return status == DATABLOCK_OK ? datablock_read_begin(b->consumer, 0, &slot) : status;
}

static datablock_status wait_for_the_lock(struct block *b) {
    return datablock_lock_acquire(b->participant, 5, -1, NULL);
}

static datablock_status wait_for_the_zone(struct block *b) {
    datablock_zone zone;
    return datablock_zone_begin(b->participant, 0, -1, &zone);
}

typedef enum { PRODUCER, CONSUMER, OBSERVER } kind;

/* A call that is repeated on a handle. */
struct call {
    const char *name;
    kind of;
    datablock_status (*make)(struct block *b);
    bool in_data, in_control; /* the files that the call needs */
    bool waits;               /* the call waits for an event that does not happen */
    datablock_status ordinary; /* an allowed status besides OK */
};

static const struct call calls[] = {
    {"datablock_write", PRODUCER, call_write, true, true, false, DATABLOCK_OK},
    {"datablock_write_batch", PRODUCER, call_write_batch, true, true, false, DATABLOCK_OK},
    {"datablock_write_commit", PRODUCER, call_commit, true, true, false, DATABLOCK_OK},
    {"datablock_write_abort", PRODUCER, call_abort, true, true, false, DATABLOCK_OK},
    {"datablock_write_checksum", PRODUCER, call_checksum, true, true, false, DATABLOCK_OK},
    {"datablock_read_begin", CONSUMER, call_read, true, true, false, DATABLOCK_E_TIMEOUT},
    {"datablock_read_copy", CONSUMER, call_read_copy, true, true, false, DATABLOCK_E_TIMEOUT},
    {"datablock_read_copy, cut off", CONSUMER, call_read_cut, true, true, false, DATABLOCK_E_TIMEOUT},
    {"datablock_read_copy, without room", CONSUMER, call_read_without_room, true, true, false, DATABLOCK_E_TIMEOUT},
    {"datablock_read_at", CONSUMER, call_read_at, true, true, false, DATABLOCK_E_NOT_FOUND},
    {"datablock_read_verify", CONSUMER, call_verify, true, true, false, DATABLOCK_E_TIMEOUT},
    {"datablock_read_batch", CONSUMER, call_read_batch, true, true, false, DATABLOCK_E_TIMEOUT},
    {"datablock_wait_any", CONSUMER, call_wait_any, false, false, false, DATABLOCK_E_TIMEOUT},
    {"datablock_schema_of_consumer", CONSUMER, call_consumer_schemas, false, false, false, DATABLOCK_E_SCHEMA},
    {"datablock_lock_acquire of a producer", PRODUCER, call_lock, false, true, false, DATABLOCK_OK},
    {"datablock_lock_acquire of a consumer", CONSUMER, call_lock, false, true, false, DATABLOCK_OK},
    {"datablock_zone_begin of a producer", PRODUCER, call_zone, false, true, false, DATABLOCK_OK},
    {"datablock_zone_begin of a consumer", CONSUMER, call_zone, false, true, false, DATABLOCK_OK},
    {"datablock_counter_add of a producer", PRODUCER, call_counters, false, true, false, DATABLOCK_OK},
    {"datablock_counter_add of a consumer", CONSUMER, call_counters, false, true, false, DATABLOCK_OK},
    {"datablock_observe", OBSERVER, call_observe, true, false, false, DATABLOCK_OK},
    {"datablock_observe by id", OBSERVER, call_observe_at, true, false, false, DATABLOCK_OK},
    {"datablock_schema_of_observer", OBSERVER, call_observer_schema, false, false, false, DATABLOCK_E_SCHEMA},
    {"a waiting datablock_write", PRODUCER, wait_to_write, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_write_batch", PRODUCER, wait_to_write_batch, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_write_begin", PRODUCER, wait_to_claim, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_read_begin", CONSUMER, wait_to_read, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_read_copy", CONSUMER, wait_to_copy, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_read_batch", CONSUMER, wait_for_a_batch, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_wait_any", CONSUMER, wait_for_any, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_lock_acquire", CONSUMER, wait_for_the_lock, false, false, true, DATABLOCK_OK},
    {"a waiting datablock_zone_begin", CONSUMER, wait_for_the_zone, false, false, true, DATABLOCK_OK},
};
enum { CALLS = sizeof calls / sizeof calls[0] };

/* ---- Blocks ---------------------------------------------------------------------------------- */

static datablock_config big_config(void) {
    datablock_config config = ring_config(SLOTS);
    config.slot_size = SIZE;
    config.spare_slots = 4;
    config.checksum = DATABLOCK_CHECKSUM_MANUAL;
    config.zone_size = 8192;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    return config;
}

/*
 * A call that waits for free capacity gets a full ring and a LOSSLESS reader that does not read.
 * The other calls get a reader that causes no backpressure.
 */
static struct block open_block(const struct call *call) {
    struct block b = {0};
    datablock_config config = big_config();
    datablock_consumer_options options = options_here(call->waits ? DATABLOCK_LOSSLESS : DATABLOCK_ORDERED);
    options.max_pins = 2;
    snprintf(b.path, sizeof b.path, "%s/gone", test_directory());
    CHECK_OK(datablock_producer_open("gone", &config, &b.producer));
    CHECK_OK(datablock_consumer_open("gone", &options, &b.consumer));
    CHECK_OK(datablock_observer_open(b.path, NULL, &b.observer));
    b.participant = call->of == PRODUCER ? datablock_of_producer(b.producer) : datablock_of_consumer(b.consumer);
    if (call->waits) {
        CHECK_OK(datablock_lock_acquire(datablock_of_producer(b.producer), 5, 0, NULL));
        CHECK_OK(datablock_lock_acquire(datablock_of_producer(b.producer), 0, 0, NULL));
    }
    for (int i = 0; call->waits && call->of == PRODUCER && i < SLOTS; i++) {
        CHECK_OK(write_next(&b));
    }
    return b;
}

static datablock_status close_as(const struct block *b, kind of) {
    if (of == OBSERVER) {
        return datablock_observer_close(b->observer);
    }
    return of == PRODUCER ? datablock_producer_close(b->producer) : datablock_consumer_close(b->consumer);
}

/* Closes what is still open, on a block that may be damaged. */
static void close_rest(const struct block *b) {
    (void)datablock_observer_close(b->observer);
    (void)datablock_consumer_close(b->consumer);
    (void)datablock_producer_close(b->producer);
}

/* ---- Closing while a call is inside ---------------------------------------------------------- */

struct worker {
    const struct call *call;
    struct block *block;
    atomic_int made; /* number of started calls */
};

static void *call_until_closed(void *argument) {
    struct worker *w = argument;
    for (;;) {
        atomic_fetch_add(&w->made, 1);
        datablock_status status = w->call->make(w->block);
        if (status == DATABLOCK_E_HANDLE || status == DATABLOCK_E_CLOSED) {
            return NULL;
        }
        if (w->call->waits || (status != DATABLOCK_OK && status != w->call->ordinary)) {
            check_failed(__FILE__, __LINE__, "%s, while another thread closes the handle, said %d (%s)", w->call->name,
                         (int)status, datablock_strerror(status));
        }
    }
}

static uint32_t chance(uint32_t below) {
    static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(seed >> 33) % below;
}

/* Checks that no process has written to a block: all bytes of its file after the ring are zero. */
static void check_untouched(const char *path) {
    static unsigned char bytes[SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    struct stat file;
    CHECK(fstat(fd, &file) == 0);
    for (off_t at = file.st_size - SLOTS * (off_t)SIZE; at < file.st_size; at += SIZE) {
        CHECK(pread(fd, bytes, SIZE, at) == SIZE);
        CHECK(bytes[0] == 0 && memcmp(bytes, bytes + 1, SIZE - 1) == 0);
    }
    close(fd);
}

/*
 * One round. The closing thread opens another block at once, which gets the addresses of the old
 * one.
 */
static void close_against(const struct call *call) {
    struct block b = open_block(call);
    struct worker w = {.call = call, .block = &b};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, call_until_closed, &w) == 0);
    int calls_before = 1 + (int)(call->waits ? 0 : chance(8));
    while (atomic_load(&w.made) < calls_before) {
        sched_yield();
    }
    for (uint32_t spins = chance(20000); spins > 0; spins--) { /* to reach the middle of the call */
        __asm__ volatile("");
    }
    CHECK_OK(close_as(&b, call->of));
    if (call->of == PRODUCER) {
        datablock_config config = big_config();
        datablock_producer other;
        char path[300];
        snprintf(path, sizeof path, "%s/other", test_directory());
        CHECK_OK(datablock_producer_open("other", &config, &other));
        CHECK(pthread_join(thread, NULL) == 0);
        check_untouched(path);
        CHECK_OK(datablock_producer_close(other));
    } else {
        CHECK(pthread_join(thread, NULL) == 0);
    }
    close_rest(&b);
}

static void closing_against_every_call(void) {
    int rounds = rounds_of(25);
    for (int i = 0; i < CALLS; i++) {
        printf("    %s\n", calls[i].name);
        fflush(stdout);
        for (int round = 0; round < rounds; round++) {
            alarm(60);
            close_against(&calls[i]);
        }
    }
    CHECK(open_descriptors() == 0);
}

/* ---- Truncated files ------------------------------------------------------------------------- */

/* The control file of the only block. */
static void find_control(char *path, size_t size) {
    DIR *directory = opendir(test_directory());
    CHECK(directory != NULL);
    bool found = false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".ctl") == 0) {
            snprintf(path, size, "%s/%s", test_directory(), entry->d_name);
            found = true;
        }
    }
    closedir(directory);
    CHECK(found);
}

/*
 * `part` eighths of the file are left. No call ends with a signal, and every message that arrives
 * is complete. With an empty file the status is CORRUPT, also later. With a part of the file the
 * call may return CORRUPT when it checks the size of the file, or continue with the rest.
 */
static void truncate_and_call(const struct call *call, bool control, int part) {
    struct block b = open_block(call);
    char path[600];
    struct stat file;
    datablock_status before = call->make(&b);
    CHECK(before == DATABLOCK_OK || before == call->ordinary);
    if (control) {
        find_control(path, sizeof path);
    } else {
        snprintf(path, sizeof path, "%s", b.path);
    }
    CHECK(stat(path, &file) == 0);
    CHECK(truncate(path, file.st_size / 8 * part / 4096 * 4096) == 0);
    bool corrupt = false;
    for (int i = 0; i < 3 * (SLOTS + 4); i++) {
        datablock_status status = call->make(&b);
        bool ordinary = status == DATABLOCK_OK || status == call->ordinary;
        bool expected = status == DATABLOCK_E_CORRUPT || ((part > 0 || !corrupt) && ordinary);
        if (!expected) {
            check_failed(__FILE__, __LINE__, "%s, with %d of 8 of the %s file left, said %d (%s)%s", call->name, part,
                         control ? "control" : "data", (int)status, datablock_strerror(status),
                         corrupt ? " after CORRUPT" : "");
        }
        corrupt = corrupt || status == DATABLOCK_E_CORRUPT;
    }
    if (part == 0 && (control ? call->in_control : call->in_data) && !corrupt) {
        check_failed(__FILE__, __LINE__, "%s did not notice that the %s file is empty", call->name,
                     control ? "control" : "data");
    }
    close_rest(&b);
    check_remove_files();
}

static void truncated_files_and_every_call(void) {
    for (int i = 0; i < CALLS; i++) {
        for (int part = 0; part < 8 && !calls[i].waits; part++) {
            alarm(60);
            truncate_and_call(&calls[i], false, part);
            truncate_and_call(&calls[i], true, part);
        }
    }
}

/*
 * A message is 5 pages long, and two of them are missing. The copy reaches the first of these in
 * its middle. Nothing is published.
 */
static void write_into_a_hole(void) {
    static char message[20000];
    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_observer observer;
    datablock_observation seen;
    char path[300];
    config.slot_size = sizeof message;
    snprintf(path, sizeof path, "%s/hole", test_directory());
    CHECK_OK(datablock_producer_open("hole", &config, &producer));
    CHECK_OK(datablock_observer_open(path, NULL, &observer));
    CHECK_OK(datablock_write(producer, 0, message, sizeof message, NULL));
    CHECK(truncate(path, 16384) == 0);
    datablock_status status = datablock_write(producer, 0, message, sizeof message, NULL);
    CHECK_DETAIL(status, DATABLOCK_E_CORRUPT, "truncated while in use");
    CHECK_STATUS(datablock_write(producer, 0, message, sizeof message, NULL), DATABLOCK_E_CORRUPT);
    CHECK_STATUS(datablock_observe(observer, 1, NULL, 0, &seen), DATABLOCK_E_CORRUPT);
    CHECK_OK(datablock_observer_close(observer));
    (void)datablock_producer_close(producer);
    check_remove_files();
}

/*
 * Header and ring of the data file are left, and the slots are missing. A slot header of zeros
 * would be the header of an empty message 0.
 */
static void message_zero_in_a_hole(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    for (size_t i = 0; i < 3; i++) {
        datablock_config config = ring_config(4);
        datablock_consumer_options options = options_here(deliveries[i]);
        datablock_producer producer;
        datablock_consumer consumer;
        datablock_read_slot in;
        char path[300], message[5000] = "x";
        config.slot_size = 8000;
        options.start = DATABLOCK_START_OLDEST;
        snprintf(path, sizeof path, "%s/zero", test_directory());
        CHECK_OK(datablock_producer_open("zero", &config, &producer));
        CHECK_OK(datablock_consumer_open("zero", &options, &consumer));
        CHECK_OK(datablock_write(producer, 0, message, sizeof message, NULL));
        CHECK(truncate(path, 16384) == 0);
        CHECK_STATUS(datablock_read_begin(consumer, 0, &in), DATABLOCK_E_CORRUPT);
        CHECK_STATUS(datablock_read_begin(consumer, 0, &in), DATABLOCK_E_CORRUPT);
        (void)datablock_consumer_close(consumer);
        (void)datablock_producer_close(producer);
        check_remove_files();
    }
}

/*
 * A message of many pages, all of them missing. Each page causes its own signal, and the number of
 * mappings of a process is limited.
 */
static void a_hole_of_many_pages(void) {
    enum { BIG = 300 << 20 };
    datablock_config config = ring_config(1);
    datablock_producer producer;
    char path[300];
    char *message = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(message != MAP_FAILED);
    config.slot_size = BIG;
    config.spare_slots = 2;
    config.consumer_limit = 1;
    if (getenv("DATABLOCK_SOAK") == NULL) {
        printf("    SKIPPED: takes 1 GB of shared memory; make soak does it\n");
        return;
    }
    snprintf(path, sizeof path, "%s/many", test_directory());
    CHECK_OK(datablock_producer_open("many", &config, &producer));
    CHECK(truncate(path, 65536) == 0);
    CHECK_STATUS(datablock_write(producer, 0, message, BIG, NULL), DATABLOCK_E_CORRUPT);
    (void)datablock_producer_close(producer);
    CHECK(munmap(message, BIG) == 0);
    check_remove_files();
}

/* ---- The text of a poisoned handle ----------------------------------------------------------- */

static void *ask_until_closed(void *argument) {
    struct worker *w = argument;
    datablock_read_slot slot;
    for (datablock_status status = DATABLOCK_E_PANIC; status == DATABLOCK_E_PANIC;) {
        status = library.read_begin(w->block->consumer, 0, &slot);
        CHECK(status == DATABLOCK_E_PANIC || status == DATABLOCK_E_HANDLE);
        const char *detail = datablock_error_detail();
        bool whole = strstr(detail, "(internal error: provoked at consumer.next (") != NULL &&
                     strstr(detail, "close the handle and open again") != NULL;
        if (status == DATABLOCK_E_PANIC && !whole) {
            check_failed(__FILE__, __LINE__, "not the text of a panic");
        }
        atomic_fetch_add(&w->made, 1);
    }
    return NULL;
}

/* Allocates memory of the possible sizes of the text, with other contents. */
static void use_freed_memory(void) {
    char *other[64];
    for (size_t i = 0; i < 64; i++) {
        other[i] = malloc(16 + 8 * i);
        CHECK(other[i] != NULL);
        memset(other[i], 'X', 16 + 8 * i);
    }
    for (size_t i = 0; i < 64; i++) {
        free(other[i]);
    }
}

/* A thread with a refused call reads the text of the panic, while another thread closes the
 * handle. */
static void poison_text_and_closing(void) {
    int rounds = rounds_of(1000);
    for (int round = 0; round < rounds; round++) {
        struct pair pair = open_pair("poison", 2, DATABLOCK_LATEST);
        struct block b = {.consumer = pair.consumer};
        struct worker w = {.block = &b};
        datablock_read_slot slot;
        pthread_t thread;
        alarm(60);
        setenv("DATABLOCK_TEST_PANIC", "consumer.next", 1);
        CHECK_STATUS(library.read_begin(pair.consumer, 0, &slot), DATABLOCK_E_PANIC);
        unsetenv("DATABLOCK_TEST_PANIC");
        CHECK(pthread_create(&thread, NULL, ask_until_closed, &w) == 0);
        while (atomic_load(&w.made) < 3) {
            sched_yield();
        }
        CHECK_OK(datablock_consumer_close(pair.consumer));
        use_freed_memory();
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK_OK(datablock_producer_close(pair.producer));
    }
    CHECK_OK(unlink_here("poison"));
}

/* ---- The caller's buffers -------------------------------------------------------------------- */

/* Two pages, with an inaccessible page behind them. */
static unsigned char *fenced_pages(void) {
    unsigned char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + 2 * 4096, 4096, PROT_NONE) == 0);
    return pages;
}

struct buffers {
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_observer observer;
};

static struct buffers open_buffers(void) {
    struct buffers b;
    struct pair pair = open_pair("buffers", 4, DATABLOCK_LOSSLESS);
    char path[300];
    snprintf(path, sizeof path, "%s/buffers", test_directory());
    b.producer = pair.producer;
    b.consumer = pair.consumer;
    CHECK_OK(datablock_observer_open(path, NULL, &b.observer));
    return b;
}

static void close_buffers(struct buffers *b) {
    CHECK_OK(datablock_observer_close(b->observer));
    CHECK_OK(datablock_consumer_close(b->consumer));
    CHECK_OK(datablock_producer_close(b->producer));
    CHECK_OK(unlink_here("buffers"));
}

/*
 * The given size of the buffer is larger than the buffer. Nothing beyond the message is written,
 * and nothing at all before all arguments have been checked.
 */
static void no_more_than_the_message_needs(void) {
    enum { FAR = 1 << 30 };
    struct buffers b = open_buffers();
    unsigned char *pages = fenced_pages();
    datablock_observation seen;
    datablock_copied copied;
    CHECK_OK(datablock_write(b.producer, 0, "abc", 3, NULL));
    memset(pages, 0xee, 2 * 4096);
    CHECK_OK(datablock_observe(b.observer, DATABLOCK_NEWEST, pages, FAR, &seen));
    CHECK(seen.length == 3 && memcmp(pages, "abc\xee\xee", 5) == 0 && pages[4095] == 0xee && pages[4096] == 0xee);
    memset(pages, 0xee, 2 * 4096);
    CHECK_OK(datablock_read_copy(b.consumer, 0, 0, pages, FAR, &copied));
    CHECK(copied.length == 3 && memcmp(pages, "abc\xee\xee", 5) == 0 && pages[4095] == 0xee && pages[4096] == 0xee);
    CHECK_STATUS(datablock_observe((datablock_observer){0}, 0, pages, FAR, &seen), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_observe(b.observer, 99, pages, FAR, &seen), DATABLOCK_E_NOT_FOUND);
    CHECK_STATUS(datablock_observe(b.observer, 0, pages, FAR, NULL), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_read_copy((datablock_consumer){0}, 0, 0, pages, FAR, &copied), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_read_copy(b.consumer, 0, 0, pages, FAR, &copied), DATABLOCK_E_TIMEOUT);
    CHECK(pages[0] == 'a' && pages[3] == 0xee && pages[4096] == 0xee);
    CHECK(munmap(pages, 3 * 4096) == 0);
    close_buffers(&b);
}

/* Messages longer than the library's buffer: the length is exact, and so is every byte. */
static void observe_longer_messages(void) {
    enum { LONG = 9000 };
    static unsigned char message[LONG], buffer[LONG + 16];
    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_observer observer;
    datablock_observation seen;
    char path[300];
    config.slot_size = LONG;
    snprintf(path, sizeof path, "%s/long", test_directory());
    CHECK_OK(datablock_producer_open("long", &config, &producer));
    CHECK_OK(datablock_observer_open(path, NULL, &observer));
    for (size_t i = 0; i < LONG; i++) {
        message[i] = (unsigned char)(i * 7);
    }
    for (size_t length = 1000; length <= LONG; length += 8) {
        CHECK_OK(datablock_write(producer, 0, message, length, NULL));
        for (size_t capacity = length - 2; capacity < length + 3; capacity++) {
            size_t copied = capacity < length ? capacity : length;
            memset(buffer, 0xee, sizeof buffer);
            CHECK_OK(datablock_observe(observer, DATABLOCK_NEWEST, buffer, capacity, &seen));
            CHECK(seen.length == length && memcmp(buffer, message, copied) == 0 && buffer[copied] == 0xee);
        }
    }
    CHECK_OK(datablock_observer_close(observer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("long"));
}

static void wild_write(struct buffers *b, unsigned char *end) { (void)datablock_write(b->producer, 0, end, 50, NULL); }

static void wild_read_copy(struct buffers *b, unsigned char *end) {
    datablock_copied copied;
    (void)datablock_read_copy(b->consumer, 0, 0, end, 100, &copied);
}

static void wild_observe(struct buffers *b, unsigned char *end) {
    datablock_observation seen;
    (void)datablock_observe(b->observer, DATABLOCK_NEWEST, end, 100, &seen);
}

static void (*const wild[])(struct buffers *, unsigned char *) = {wild_write, wild_read_copy, wild_observe};

/*
 * A wild pointer is an error of the caller, and ends the program with a signal. No status reports a
 * damaged block.
 */
static void wild_pointers(void) {
    for (size_t i = 0; i < 3; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            char which[] = {(char)('0' + i), '\0'};
            execl("/proc/self/exe", "test_memory_gone", "wild", which, test_directory(), (char *)NULL);
            _exit(99);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 77);
        check_remove_files();
    }
}

/*
 * The child of the scenario above. The host's handler gets the address, and the thread was not
 * inside Go.
 */
static unsigned char *fence;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    _exit(info->si_addr >= (void *)fence && info->si_addr < (void *)(fence + 4096) ? 77 : 98);
}

static int wild_child(int which, const char *directory) {
    snprintf(check_directory_name, sizeof check_directory_name, "%s", directory);
    check_directory_owner = getppid(); /* the parent removes the directory */
    struct buffers b = open_buffers();
    unsigned char *pages = fenced_pages();
    fence = pages + 2 * 4096;
    CHECK_OK(datablock_write(b.producer, 0, "some message that is long enough", 32, NULL));
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    wild[which](&b, fence - 10);
    return 97; /* the access had no effect */
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"write-into-a-hole", write_into_a_hole},
        {"message-zero-in-a-hole", message_zero_in_a_hole},
        {"truncated-files-and-every-call", truncated_files_and_every_call},
        {"a-hole-of-many-pages", a_hole_of_many_pages},
        {"no-more-than-the-message-needs", no_more_than_the_message_needs},
        {"observe-longer-messages", observe_longer_messages},
        {"wild-pointers", wild_pointers},
        {"poison-text-and-closing", poison_text_and_closing},
        {"closing-against-every-call", closing_against_every_call},
    };
    if (argc == 4 && strcmp(argv[1], "wild") == 0) {
        return wild_child(argv[2][0] - '0', argv[3]);
    }
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
