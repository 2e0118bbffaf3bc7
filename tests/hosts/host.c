/*
 * host [small] EXCEPT: a host in C, for run.py. One thread publishes, two threads read every
 * message, one thread opens, closes and diagnoses. All of them take a lock and enter the zone. The
 * host prints its threads and `ready`, runs until it reads a line, and prints `ok` if every message
 * was right.
 *
 * small: the host's threads have 64 KiB of stack.
 */
#include "host.h"

#include "handlers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { RING = 4, BATCH = 3, OWN_STACK = 256 << 10 };

static atomic_bool stop,
    end_of_stream;                   /* after stop: so no thread uses a removed block */
static atomic_uint threads;          /* threads that have printed their ids */
static atomic_uint sharers, in_lock; /* threads in share(), and inside lock 1 */
static atomic_ulong entered;         /* how often the zone was left */
static uint64_t written, read_slowly, read_any; /* messages of "stream" */
static atomic_ulong looked;

static void say_thread(void) {
    printf("thread %d\n", handlers_thread());
    fflush(stdout);
    atomic_fetch_add(&threads, 1);
}

/* Uses what participants share: lock 1 with one owner at a time, the zone, a counter. */
static void share(datablock_participant participant, long hold) {
    atomic_fetch_add(&sharers, 1);
    if (!atomic_load(&stop)) {
        if (CHECK_EITHER(datablock_lock_acquire(participant, 1, 20, NULL), DATABLOCK_OK,
                         DATABLOCK_E_TIMEOUT) == DATABLOCK_OK) {
            CHECK(atomic_fetch_add(&in_lock, 1) == 0);
            host_pause(hold);
            CHECK(atomic_fetch_sub(&in_lock, 1) == 1);
            CHECK_OK(datablock_lock_release(participant, 1));
        }
        datablock_zone zone;
        if (CHECK_EITHER(datablock_zone_begin(participant, 0, 20, &zone), DATABLOCK_OK,
                         DATABLOCK_E_TIMEOUT) == DATABLOCK_OK) {
            ++*(uint64_t *)zone.data;
            CHECK_OK(datablock_zone_end(participant, false));
            atomic_fetch_add(&entered, 1);
        }
        CHECK_OK(datablock_counter_add(participant, 2, 1, NULL));
    }
    atomic_fetch_sub(&sharers, 1);
}

static datablock_config ring(uint32_t flags) {
    datablock_config config;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = RING;
    config.slot_size = HOST_SLOT;
    config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    config.flags |= DATABLOCK_FLAG_TIMESTAMP | DATABLOCK_FLAG_UNLINK_ON_CLOSE | flags;
    return config;
}

static datablock_consumer attach(const char *name, datablock_delivery delivery) {
    datablock_consumer_options options;
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_options_init(&options));
    options.delivery = (uint32_t)delivery;
    CHECK_OK(datablock_consumer_open(name, &options, &consumer));
    return consumer;
}

/* ---- The producer ---- */

static void publish_one(datablock_producer producer) {
    datablock_write_slot slot;
    if (CHECK_EITHER(datablock_write_begin(producer, 10, &slot), DATABLOCK_OK,
                     DATABLOCK_E_TIMEOUT) != DATABLOCK_OK) {
        return;
    }
    CHECK(slot.id == written && slot.capacity == HOST_SLOT);
    host_fill(slot.data, slot.id);
    if (written % 7 == 3 && slot.index % 2 == 0) {
        CHECK_OK(datablock_write_abort(producer, &slot));
        return;
    }
    CHECK_OK(datablock_write_commit(producer, &slot, host_length(slot.id)));
    written++;
}

static void publish_copies(datablock_producer producer) {
    uint8_t bytes[BATCH][HOST_SLOT];
    datablock_message messages[BATCH];
    size_t count = 1 + (size_t)(written % BATCH), done;
    for (size_t i = 0; i < count; i++) {
        host_fill(bytes[i], written + i);
        messages[i] = (datablock_message){bytes[i], host_length(written + i)};
    }
    CHECK_EITHER(datablock_write_batch(producer, 10, messages, count, &done), DATABLOCK_OK,
                 DATABLOCK_E_TIMEOUT);
    CHECK(done <= count);
    written += done;
}

static void publish_copy(datablock_producer producer) {
    uint8_t bytes[HOST_SLOT];
    uint64_t id;
    host_fill(bytes, written);
    if (CHECK_EITHER(datablock_write(producer, -1, bytes, host_length(written), &id), DATABLOCK_OK,
                     DATABLOCK_OK) == DATABLOCK_OK) {
        CHECK(id == written);
        written++;
    }
}

static void *produce(void *handle) {
    datablock_producer producer = *(datablock_producer *)handle;
    say_thread();
    for (unsigned turn = 0; !atomic_load(&end_of_stream); turn++) {
        if (turn % 3 == 0) {
            publish_one(producer);
        } else if (turn % 3 == 1) {
            publish_copies(producer);
        } else {
            publish_copy(producer);
        }
        if (turn % 8 == 0) {
            share(datablock_of_producer(producer), 50);
        }
    }
    while (atomic_load(&sharers) != 0) {
        host_pause(1000);
    }
    datablock_zone zone;
    CHECK_OK(datablock_zone_begin(datablock_of_producer(producer), 0, 1000, &zone));
    CHECK(zone.intact && *(const uint64_t *)zone.data == atomic_load(&entered));
    CHECK_OK(datablock_zone_end(datablock_of_producer(producer), false));
    datablock_metrics metrics = {.size = sizeof metrics};
    CHECK_OK(datablock_get_metrics("stream", &metrics));
    CHECK(metrics.written == written && metrics.waits > 0);
    CHECK_OK(datablock_producer_close(producer));
    return NULL;
}

/* ---- The consumers ---- */

/* This thread has an alternate stack of its own, which the library must not change. */
static void *read_slow(void *handle) {
    datablock_consumer consumer = *(datablock_consumer *)handle;
    static char stack[OWN_STACK];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack}, now;
    CHECK(sigaltstack(&own, NULL) == 0);
    say_thread();
    for (;;) {
        datablock_read_slot slots[BATCH];
        size_t count = 1;
        bool batch = read_slowly % 5 == 0;
        datablock_status status = batch ? datablock_read_batch(consumer, -1, slots, BATCH, &count)
                                        : datablock_read_begin(consumer, 5, slots);
        if (status == DATABLOCK_E_CLOSED) {
            break;
        }
        if (CHECK_EITHER(status, DATABLOCK_OK, DATABLOCK_E_TIMEOUT) != DATABLOCK_OK) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            CHECK(slots[i].id == read_slowly && slots[i].missed == 0 &&
                  host_right(slots[i].data, slots[i].length, slots[i].id));
            CHECK_OK(datablock_read_verify(consumer, &slots[i]));
            read_slowly++;
        }
        host_pause((long)(read_slowly % 4) * 100);
        if (batch) {
            CHECK_OK(datablock_read_batch_end(consumer, slots, count));
        } else {
            CHECK_OK(datablock_read_end(consumer, slots));
        }
        if (read_slowly % 16 == 0) {
            share(datablock_of_consumer(consumer), 200);
        }
    }
    CHECK(sigaltstack(NULL, &now) == 0 && now.ss_sp == own.ss_sp && now.ss_size == own.ss_size);
    CHECK_OK(datablock_consumer_close(consumer));
    return NULL;
}

/* Waits for two blocks at once. */
static void *read_either(void *handles) {
    const datablock_consumer *both = handles;
    uint64_t side = 0;
    say_thread();
    for (bool open = true; open;) {
        bool ready[2] = {false, false};
        if (CHECK_EITHER(datablock_wait_any(both, 2, 20, ready), DATABLOCK_OK,
                         DATABLOCK_E_TIMEOUT) != DATABLOCK_OK) {
            continue;
        }
        for (int i = 0; i < 2; i++) {
            uint64_t *next = i == 0 ? &read_any : &side;
            datablock_read_slot slot;
            if (!ready[i]) {
                continue;
            }
            datablock_status status = datablock_read_begin(both[i], 0, &slot);
            if (status == DATABLOCK_E_CLOSED) {
                CHECK(i == 0); /* the other block is closed later */
                open = false;
                continue;
            }
            CHECK_OK(status);
            CHECK(slot.id == *next && slot.missed == 0 &&
                  host_right(slot.data, slot.length, slot.id));
            CHECK_OK(datablock_read_end(both[i], &slot));
            ++*next;
        }
        if (read_any % 16 == 0) {
            share(datablock_of_consumer(both[0]), 100);
        }
    }
    CHECK_OK(datablock_consumer_close(both[0]));
    CHECK_OK(datablock_consumer_close(both[1]));
    return NULL;
}

/* ---- The other calls ---- */

static void look_at(const char *name) {
    SlotDiagnostic slots[32];
    datablock_participant_info participants[8];
    datablock_metrics metrics = {.size = sizeof metrics};
    IntegrityCheck check;
    size_t count;
    CHECK(datablock_diagnose_all_slots(name, slots, 32, &count) == 0 && count > RING);
    CHECK(datablock_diagnose_slot(name, 0, slots) == 0);
    CHECK(datablock_list_participants(name, participants, 8) >= 3);
    CHECK_OK(datablock_get_metrics(name, &metrics));
    CHECK(datablock_validate_integrity(name, &check) == 0 && check.header_valid &&
          check.slot_states_valid && check.checksum_valid);
    CHECK(datablock_auto_recover(name, true, NULL, NULL) == 0);
    atomic_fetch_add(&looked, 1);
}

static void observe(const char *name) {
    datablock_observer observer;
    datablock_observation seen;
    uint8_t bytes[HOST_SLOT];
    CHECK_OK(datablock_observer_open(name, NULL, &observer));
    for (int i = 0; i < 5; i++) {
        datablock_status status =
            datablock_observe(observer, DATABLOCK_NEWEST, bytes, sizeof bytes, &seen);
        if (status != DATABLOCK_E_NOT_FOUND &&
            CHECK_EITHER(status, DATABLOCK_OK, DATABLOCK_E_OVERRUN) == DATABLOCK_OK) {
            CHECK(host_right(bytes, seen.length, seen.id));
        }
    }
    CHECK_OK(datablock_observer_close(observer));
}

static void attach_briefly(const char *name, datablock_delivery delivery) {
    datablock_consumer consumer = attach(name, delivery);
    datablock_read_slot slot;
    if (CHECK_EITHER(datablock_read_begin(consumer, 5, &slot), DATABLOCK_OK, DATABLOCK_E_TIMEOUT) ==
        DATABLOCK_OK) {
        CHECK(host_right(slot.data, slot.length, slot.id));
        CHECK_OK(datablock_read_end(consumer, &slot));
    }
    CHECK_OK(datablock_consumer_close(consumer));
}

static void make_briefly(void) {
    datablock_config config = ring(0);
    datablock_producer producer;
    datablock_block_info blocks[8];
    datablock_schema schema;
    size_t count;
    CHECK_OK(datablock_producer_open("brief", &config, &producer));
    CHECK_OK(datablock_list(NULL, blocks, 8, &count));
    CHECK(count == 3);
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(datablock_schema_parse("schema Brief 1.0.0 { x: u64; }", &schema));
    datablock_schema_free(&schema);
    CHECK(strstr(datablock_strerror(DATABLOCK_E_BUSY), "in use") != NULL);
}

static void *look_about(void *handle) {
    datablock_producer side = *(datablock_producer *)handle;
    uint64_t id = 0;
    say_thread();
    while (!atomic_load(&stop)) {
        uint8_t bytes[HOST_SLOT];
        host_fill(bytes, id);
        if (CHECK_EITHER(datablock_write(side, 5, bytes, host_length(id), NULL), DATABLOCK_OK,
                         DATABLOCK_E_TIMEOUT) == DATABLOCK_OK) {
            id++;
        }
        look_at("stream");
        observe("stream");
        attach_briefly("stream", id % 2 == 0 ? DATABLOCK_ORDERED : DATABLOCK_LOSSLESS);
        make_briefly();
    }
    return NULL;
}

/* ---- The host ---- */

static pthread_t start(void *(*run)(void *), void *of, bool small) {
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(!small || pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, run, of) == 0);
    pthread_attr_destroy(&attributes);
    return thread;
}

int main(int argc, char **argv) {
    bool small = argc > 2 && strcmp(argv[1], "small") == 0;
    datablock_config config = ring(0);
    datablock_producer producer, side;
    CHECK_OK(datablock_producer_open("stream", &config, &producer));
    CHECK_OK(datablock_producer_open("side", &config, &side));
    datablock_consumer slow = attach("stream", DATABLOCK_LOSSLESS);
    datablock_consumer both[2] = {attach("stream", DATABLOCK_LOSSLESS),
                                  attach("side", DATABLOCK_LOSSLESS)};
    handlers_begin(argc > 1 ? argv[argc - 1] : "",
                   small ? HANDLERS_NO_NESTING : HANDLERS_ALTERNATE);

    say_thread();
    pthread_t running[4] = {start(read_slow, &slow, false), start(read_either, both, small),
                            start(produce, &producer, small), start(look_about, &side, small)};
    while (atomic_load(&threads) < 5) {
        host_pause(1000);
    }
    printf("ready\n");
    fflush(stdout);
    for (struct pollfd input = {.fd = 0, .events = POLLIN}; poll(&input, 1, 20) <= 0;) {
        look_at("stream");
    }
    atomic_store(&stop, true);
    CHECK(pthread_join(running[3], NULL) == 0);
    atomic_store(&end_of_stream, true);
    CHECK(pthread_join(running[2], NULL) == 0);
    CHECK(pthread_join(running[0], NULL) == 0);
    CHECK(pthread_join(running[1], NULL) == 0);
    CHECK_OK(datablock_producer_close(side));
    CHECK(written > 0 && read_slowly == written && read_any == written &&
          atomic_load(&entered) > 0);
    if (!handlers_end(0)) {
        return 1;
    }
    printf("ok %lu messages, %lu times in the zone, %lu diagnoses, %lu handlers\n",
           (unsigned long)written, atomic_load(&entered), atomic_load(&looked), handlers_count());
    return 0;
}
