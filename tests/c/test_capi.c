/* The C boundary: arguments, structs, calls out of order. Handles and threads:
 * test_capi_handles.c. Across processes: test_capi_processes.c. */
#include "pair.h"

#ifndef _WIN32
#include <sys/resource.h>
#endif

/* ---- Without a block ------------------------------------------------------------------------- */

static void version(void) {
    CHECK(datablock_version() == DATABLOCK_VERSION);
    CHECK(DATABLOCK_VERSION == DATABLOCK_VERSION_MAJOR * 1000000 + DATABLOCK_VERSION_MINOR * 1000 +
          DATABLOCK_VERSION_PATCH);
}

static void status_texts(void) {
#define CHECK_TEXT(name, value, text) \
    CHECK((int)name == value);        \
    CHECK(strcmp(datablock_strerror(name), text) == 0);
    DATABLOCK_STATUS_LIST(CHECK_TEXT)
#undef CHECK_TEXT
    int beyond[] = {-1, 27, 1000, 0x7fffffff};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        CHECK(strcmp(datablock_strerror((datablock_status)beyond[i]), "unknown status") == 0);
    }
}

static void defaults(void) {
    datablock_config config;
    memset(&config, 0xff, sizeof config);
    CHECK_OK(datablock_config_init(&config, DATABLOCK_SINGLE));
    CHECK(config.size == sizeof config && config.policy == DATABLOCK_SINGLE && config.flags == 0 &&
          config.directory == NULL);
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    CHECK(config.policy == DATABLOCK_RING && config.flags == DATABLOCK_FLAG_ALLOW_LOSSLESS && config.reserved[1] == 0);

    datablock_config before = config;
    CHECK_DETAIL(datablock_config_init(&config, (datablock_policy)4), DATABLOCK_E_INVALID, "policy 4");
    CHECK(memcmp(&before, &config, sizeof config) == 0);
    CHECK_DETAIL(datablock_config_init(NULL, DATABLOCK_RING), DATABLOCK_E_INVALID, "config is NULL");

    datablock_consumer_options options;
    memset(&options, 0xff, sizeof options);
    CHECK_OK(datablock_consumer_options_init(&options));
    CHECK(options.size == sizeof options && options.delivery == DATABLOCK_DELIVERY_DEFAULT && options.name == NULL &&
          options.max_pins == 0);
    CHECK_DETAIL(datablock_consumer_options_init(NULL), DATABLOCK_E_INVALID, "options is NULL");
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static void null_pointers(void) {
    struct pair pair = open_pair("null", 4, DATABLOCK_LOSSLESS);
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    datablock_producer producer;
    datablock_consumer consumer;
    size_t count;
    SlotDiagnostic diagnostic;

    CHECK_DETAIL(datablock_producer_open(NULL, &config, &producer), DATABLOCK_E_INVALID, "name is NULL");
    CHECK_DETAIL(datablock_producer_open("x", NULL, &producer), DATABLOCK_E_INVALID, "config is NULL");
    CHECK_DETAIL(datablock_producer_open("x", &config, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_consumer_open(NULL, &options, &consumer), DATABLOCK_E_INVALID, "name is NULL");
    CHECK_DETAIL(datablock_consumer_open("x", &options, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_write_begin(pair.producer, 0, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_write_commit(pair.producer, NULL, 1), DATABLOCK_E_INVALID, "slot is NULL");
    CHECK_DETAIL(datablock_write_abort(pair.producer, NULL), DATABLOCK_E_INVALID, "slot is NULL");
    CHECK_DETAIL(datablock_read_begin(pair.consumer, 0, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_read_at(pair.consumer, 0, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_read_end(pair.consumer, NULL), DATABLOCK_E_INVALID, "slot is NULL");
    CHECK_DETAIL(datablock_list(test_directory(), NULL, 1, &count), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_list(test_directory(), NULL, 0, NULL), DATABLOCK_E_INVALID, "count is NULL");
    CHECK_DETAIL(datablock_unlink(NULL, 0), DATABLOCK_E_INVALID, "name is NULL");

    CHECK(datablock_diagnose_slot(NULL, 0, &diagnostic) == -1 && strstr(datablock_error_detail(), "shm_name is NULL"));
    CHECK(datablock_diagnose_slot("x", 0, NULL) == -1 && strstr(datablock_error_detail(), "out is NULL"));
    CHECK(datablock_diagnose_all_slots(NULL, &diagnostic, 1, &count) == -1 &&
          strstr(datablock_error_detail(), "shm_name is NULL"));
    CHECK(datablock_diagnose_all_slots("x", NULL, 1, &count) == -1 &&
          strstr(datablock_error_detail(), "out_array is NULL"));
    CHECK(datablock_diagnose_all_slots("x", NULL, 0, NULL) == -1 &&
          strstr(datablock_error_detail(), "out_count is NULL"));
    CHECK(datablock_release_zombie_readers(NULL, 0) == RECOVERY_FAILED &&
          strstr(datablock_error_detail(), "shm_name is NULL"));
    CHECK(datablock_release_zombie_writer(NULL, 0) == RECOVERY_FAILED &&
          strstr(datablock_error_detail(), "shm_name is NULL"));
    CHECK(datablock_cleanup_dead_consumers(NULL, 0) == -1 && strstr(datablock_error_detail(), "shm_name is NULL"));
    close_pair(&pair);
}

/* A struct of an older, the current and a newer header. */
static void struct_sizes(void) {
    struct {
        datablock_config config;
        uint64_t newer[2];
    } larger = {.config = ring_config(4)};
    datablock_producer producer = {77};
    datablock_config *config = &larger.config;

    config->size = 0;
    CHECK_DETAIL(datablock_producer_open("sizes", config, &producer), DATABLOCK_E_INVALID, "datablock_config_init");
    config->size = offsetof(datablock_config, algorithm) - 1; /* version 1 ends there */
    CHECK_DETAIL(datablock_producer_open("sizes", config, &producer), DATABLOCK_E_INVALID, "config.size");
    config->size = 0xdeadbeef;
    CHECK_DETAIL(datablock_producer_open("sizes", config, &producer), DATABLOCK_E_INVALID, "config.size");
    config->size = sizeof larger;
    larger.newer[1] = 1;
    CHECK_DETAIL(datablock_producer_open("sizes", config, &producer), DATABLOCK_E_INVALID, "newer");
    CHECK(producer.handle == 77);
    larger.newer[1] = 0;
    CHECK_OK(datablock_producer_open("sizes", config, &producer));

    struct {
        datablock_consumer_options options;
        uint64_t newer;
    } wider = {.options = options_here(DATABLOCK_LATEST)};
    datablock_consumer consumer = {78};
    wider.options.size = offsetof(datablock_consumer_options, wait_ms) - 8; /* version 1 ends there */
    CHECK_DETAIL(datablock_consumer_open("sizes", &wider.options, &consumer), DATABLOCK_E_INVALID,
                 "datablock_consumer_options_init");
    wider.options.size = sizeof wider;
    wider.newer = 1;
    CHECK_DETAIL(datablock_consumer_open("sizes", &wider.options, &consumer), DATABLOCK_E_INVALID, "newer");
    CHECK(consumer.handle == 78);
    wider.newer = 0;
    CHECK_OK(datablock_consumer_open("sizes", &wider.options, &consumer));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

static void reserved_fields(void) {
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_config config = ring_config(4);
    config.reserved[1] = 1;
    CHECK_DETAIL(datablock_producer_open("reserved", &config, &producer), DATABLOCK_E_INVALID, "config.reserved[1]");
    config = ring_config(4);
    config.flags |= 1u << 31;
    CHECK_DETAIL(datablock_producer_open("reserved", &config, &producer), DATABLOCK_E_INVALID, "flags");

    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    options.reserved0 = 1;
    CHECK_DETAIL(datablock_consumer_open("reserved", &options, &consumer), DATABLOCK_E_INVALID,
                 "consumer_options.reserved0 is 1");
    options = options_here(DATABLOCK_LATEST);
    options.reserved[0] = 1;
    CHECK_DETAIL(datablock_consumer_open("reserved", &options, &consumer), DATABLOCK_E_INVALID,
                 "consumer_options.reserved[0]");
    options = options_here((datablock_delivery)(256 + DATABLOCK_LATEST));
    CHECK_DETAIL(datablock_consumer_open("reserved", &options, &consumer), DATABLOCK_E_INVALID, "delivery 259");
    options = options_here(DATABLOCK_LATEST);
    options.durable = 2;
    CHECK_DETAIL(datablock_consumer_open("reserved", &options, &consumer), DATABLOCK_E_INVALID, "durable is 2");
    options = options_here(DATABLOCK_LATEST);
    options.start = 2;
    CHECK_STATUS(datablock_consumer_open("reserved", &options, &consumer), DATABLOCK_E_INVALID);
}

static void secrets(void) {
    static const char large[1025];
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_config config = ring_config(4);
    config.secret_length = 3;
    CHECK_DETAIL(datablock_producer_open("secret", &config, &producer), DATABLOCK_E_INVALID, "config.secret is NULL");
    config.secret = large;
    config.secret_length = sizeof large;
    CHECK_DETAIL(datablock_producer_open("secret", &config, &producer), DATABLOCK_E_INVALID, "1025");
    config.secret = "a\0b"; /* bytes, not text */
    config.secret_length = 3;
    CHECK_OK(datablock_producer_open("secret", &config, &producer));

    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    CHECK_STATUS(datablock_consumer_open("secret", &options, &consumer), DATABLOCK_E_SECRET);
    options.secret = "a\0c";
    options.secret_length = 3;
    CHECK_STATUS(datablock_consumer_open("secret", &options, &consumer), DATABLOCK_E_SECRET);
    options.secret = "a\0b";
    CHECK_OK(datablock_consumer_open("secret", &options, &consumer));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/* The directory is the configured one, or $DATABLOCK_DIR at the time of the call, or the default.
 * An absolute name needs none of them. */
static void directories(void) {
    const char *caller = getenv("DATABLOCK_DIR");
    char *saved = caller != NULL ? strdup(caller) : NULL;
    char absolute[300], nowhere[300];
    snprintf(absolute, sizeof absolute, "%s/where", test_directory());
    snprintf(nowhere, sizeof nowhere, "%s/missing", test_directory());

    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_consumer consumer;
    config.directory = NULL;
    setenv("DATABLOCK_DIR", test_directory(), 1);
    CHECK_OK(datablock_producer_open("where", &config, &producer));
    CHECK(access(absolute, F_OK) == 0);
    CHECK_OK(datablock_consumer_open("where", NULL, &consumer));
    CHECK_OK(datablock_consumer_close(consumer));

    setenv("DATABLOCK_DIR", nowhere, 1);
    CHECK_STATUS(datablock_consumer_open("where", NULL, &consumer), DATABLOCK_E_NOT_FOUND);
    CHECK_OK(datablock_consumer_open(absolute, NULL, &consumer));
    CHECK_OK(datablock_consumer_close(consumer));
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    CHECK_OK(datablock_consumer_open("where", &options, &consumer));
    CHECK_OK(datablock_consumer_close(consumer));

    setenv("DATABLOCK_DIR", "relative", 1);
    CHECK_DETAIL(datablock_consumer_open("where", NULL, &consumer), DATABLOCK_E_INVALID, "relative");
    options.directory = "";
    CHECK_DETAIL(datablock_consumer_open("where", &options, &consumer), DATABLOCK_E_INVALID, "directory is empty");
    options.directory = nowhere;
    CHECK_STATUS(datablock_consumer_open(absolute, &options, &consumer), DATABLOCK_E_INVALID);

    static char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    setenv("DATABLOCK_DIR", endless, 1);
    CHECK_DETAIL(datablock_consumer_open("where", NULL, &consumer), DATABLOCK_E_INVALID, "DATABLOCK_DIR");

    /* Both values mean unset. The library must not use the value that the variable had at load
     * time. */
    setenv("DATABLOCK_DIR", "", 1);
    CHECK_DETAIL(datablock_consumer_open("where-capi-test", NULL, &consumer), DATABLOCK_E_NOT_FOUND, DEFAULT_DIRECTORY);
    unsetenv("DATABLOCK_DIR");
    CHECK_DETAIL(datablock_consumer_open("where-capi-test", NULL, &consumer), DATABLOCK_E_NOT_FOUND, DEFAULT_DIRECTORY);

    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(datablock_unlink(absolute, 0));
    CHECK_STATUS(datablock_unlink(absolute, 0), DATABLOCK_E_NOT_FOUND);
    if (saved != NULL) {
        setenv("DATABLOCK_DIR", saved, 1);
        free(saved);
    }
}

static void timeouts(void) {
    struct pair pair = open_pair("timeouts", 2, DATABLOCK_LOSSLESS);
    datablock_write_slot out;
    datablock_read_slot in;
    int64_t bad[] = {-2, -1000, INT64_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_DETAIL(datablock_write_begin(pair.producer, bad[i], &out), DATABLOCK_E_INVALID, "timeout_ms");
        CHECK_DETAIL(datablock_read_begin(pair.consumer, bad[i], &in), DATABLOCK_E_INVALID, "timeout_ms");
    }
    in.length = 4711;
    CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &in), DATABLOCK_E_TIMEOUT);
    double start = check_now();
    CHECK_STATUS(datablock_read_begin(pair.consumer, 20, &in), DATABLOCK_E_TIMEOUT);
    CHECK(check_now() - start >= 0.02);
    CHECK(in.length == 4711);
    int64_t huge[] = {INT64_MAX, INT64_MAX / 1000, INT64_MAX / 1000000 + 1, 1000000000000000};
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        CHECK_OK(datablock_write_begin(pair.producer, huge[i], &out));
        CHECK_OK(datablock_write_commit(pair.producer, &out, 1));
        CHECK_OK(datablock_read_begin(pair.consumer, huge[i], &in));
        CHECK_OK(datablock_read_end(pair.consumer, &in));
    }
    write_text(pair.producer, "a");
    write_text(pair.producer, "b");
    out.capacity = 4711;
    CHECK_STATUS(datablock_write_begin(pair.producer, 0, &out), DATABLOCK_E_TIMEOUT);
    CHECK_STATUS(datablock_write_begin(pair.producer, 20, &out), DATABLOCK_E_TIMEOUT);
    CHECK(out.capacity == 4711);
    close_pair(&pair);
}

/* ---- Calls out of order ---------------------------------------------------------------------- */

static void misused_writes(void) {
    struct pair pair = open_pair("writes", 4, DATABLOCK_LOSSLESS);
    datablock_write_slot slot = {0}, second;
    datablock_read_slot in;
    CHECK_STATUS(datablock_write_commit(pair.producer, &slot, 1), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_write_abort(pair.producer, &slot), DATABLOCK_E_INVALID);

    CHECK_OK(datablock_write_begin(pair.producer, 0, &slot));
    CHECK(slot.capacity == 100 && slot.id == 0 && slot.reserved == 0 && (uintptr_t)slot.data % 64 == 0);
    memset(slot.data, 0xab, slot.capacity);
    CHECK_STATUS(datablock_write_begin(pair.producer, 0, &second), DATABLOCK_E_INVALID);

    size_t too_long[] = {101, 1 << 20, SIZE_MAX / 2, SIZE_MAX};
    for (size_t i = 0; i < sizeof too_long / sizeof too_long[0]; i++) {
        CHECK_STATUS(datablock_write_commit(pair.producer, &slot, too_long[i]), DATABLOCK_E_INVALID);
    }
    datablock_write_slot other = slot;
    other.id++;
    CHECK_STATUS(datablock_write_commit(pair.producer, &other, 1), DATABLOCK_E_INVALID);
    other = slot;
    other.index++;
    CHECK_STATUS(datablock_write_commit(pair.producer, &other, 1), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_write_abort(pair.producer, &other), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_write_commit(pair.producer, &slot, 100)); /* the refused calls left the claim open */
    CHECK_STATUS(datablock_write_commit(pair.producer, &slot, 100), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_write_abort(pair.producer, &slot), DATABLOCK_E_INVALID);

    CHECK_OK(datablock_write_begin(pair.producer, 0, &slot));
    CHECK(slot.id == 1);
    CHECK_OK(datablock_write_abort(pair.producer, &slot));
    CHECK_STATUS(datablock_write_abort(pair.producer, &slot), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_write_commit(pair.producer, &slot, 1), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_write_begin(pair.producer, 0, &slot));
    CHECK(slot.id == 1);
    CHECK_OK(datablock_write_commit(pair.producer, &slot, 0)); /* an empty message is a message */

    CHECK_OK(datablock_read_begin(pair.consumer, 0, &in));
    CHECK(in.id == 0 && in.length == 100 && in.missed == 0 && in.timestamp_ns == 0 &&
          ((const unsigned char *)in.data)[99] == 0xab);
    CHECK_OK(datablock_read_end(pair.consumer, &in));
    CHECK_OK(datablock_read_begin(pair.consumer, 0, &in));
    CHECK(in.id == 1 && in.length == 0 && in.data != NULL);
    CHECK_OK(datablock_read_end(pair.consumer, &in));
    close_pair(&pair);
}

static void misused_reads(void) {
    struct pair pair = open_pair("reads", 8, DATABLOCK_LOSSLESS);
    datablock_read_slot first = {0}, second, ended;
    CHECK_STATUS(datablock_read_end(pair.consumer, &first), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_read_at(pair.consumer, 0, &first), DATABLOCK_E_NOT_FOUND);
    write_text(pair.producer, "zero");
    write_text(pair.producer, "one");
    write_text(pair.producer, "two");

    CHECK_OK(datablock_read_begin(pair.consumer, 0, &first));
    CHECK(first.id == 0 && strcmp(first.data, "zero") == 0 && first.length == 5);
    CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &second), DATABLOCK_E_BUSY);
    second = first;
    second.token += 1000;
    CHECK_STATUS(datablock_read_end(pair.consumer, &second), DATABLOCK_E_INVALID);
    second = first;
    second.id += 1;
    CHECK_STATUS(datablock_read_end(pair.consumer, &second), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_read_end(pair.consumer, &first));
    ended = first;
    CHECK_STATUS(datablock_read_end(pair.consumer, &ended), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_read_begin(pair.consumer, 0, &first));
    CHECK(first.id == 1);
    CHECK_STATUS(datablock_read_end(pair.consumer, &ended), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_read_end(pair.consumer, &first));

    CHECK_OK(datablock_consumer_close(pair.consumer));
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    options.max_pins = 2;
    options.start = DATABLOCK_START_OLDEST;
    CHECK_OK(datablock_consumer_open("reads", &options, &pair.consumer));
    CHECK_OK(datablock_read_begin(pair.consumer, 0, &first));
    CHECK_OK(datablock_read_begin(pair.consumer, 0, &second));
    CHECK(first.id == 0 && second.id == 1);
    CHECK_STATUS(datablock_read_end(pair.consumer, &second), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_read_end(pair.consumer, &first));
    CHECK_OK(datablock_read_end(pair.consumer, &second));
    CHECK_OK(datablock_read_at(pair.consumer, 1, &first));
    CHECK(first.id == 1 && strcmp(first.data, "one") == 0 && first.missed == 0);
    CHECK_OK(datablock_read_end(pair.consumer, &first));
    close_pair(&pair);
}

/* ---- Housekeeping and diagnosis -------------------------------------------------------------- */

static void listing(void) {
    char directory[300], nowhere[400];
    snprintf(directory, sizeof directory, "%s/list.d", test_directory());
    snprintf(nowhere, sizeof nowhere, "%s/missing", directory);
    CHECK(mkdtemp(strcat(directory, "XXXXXX")) != NULL);
    datablock_config config = ring_config(4);
    config.directory = directory;
    datablock_producer b, a;
    datablock_consumer consumer;
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    options.directory = directory;
    CHECK_OK(datablock_producer_open("b", &config, &b));
    CHECK_OK(datablock_producer_open("a", &config, &a));
    CHECK_OK(datablock_consumer_open("a", &options, &consumer));
    write_text(a, "one");

    datablock_block_info infos[3];
    memset(infos, 0x55, sizeof infos);
    size_t count = 99;
    CHECK_OK(datablock_list(directory, NULL, 0, &count));
    CHECK(count == 2);
    CHECK_OK(datablock_list(directory, infos, 1, &count));
    CHECK(count == 2 && strcmp(infos[0].name, "a") == 0 && infos[1].state == 0x55555555);
    CHECK_OK(datablock_list(directory, infos, 3, &count));
    CHECK(count == 2 && strcmp(infos[1].name, "b") == 0 && infos[2].state == 0x55555555);
    CHECK(infos[0].next_id == 1 && infos[0].slot_count == 4 && infos[0].slot_size == 100 &&
          infos[0].policy == DATABLOCK_RING);
    CHECK(infos[0].state == 2 && infos[0].producer_pid == (uint64_t)getpid() && infos[0].consumers == 1 &&
          infos[1].consumers == 0);
    CHECK(infos[0].consumer_limit == 16 && infos[0].spare_slots > 0 && infos[0].total_bytes > 400);
    count = 99;
    CHECK_STATUS(datablock_list(nowhere, NULL, 0, &count), DATABLOCK_E_NOT_FOUND);
    CHECK_STATUS(datablock_list("", NULL, 0, &count), DATABLOCK_E_INVALID);
    CHECK(count == 99);

    char name[400];
    snprintf(name, sizeof name, "%s/a", directory);
    CHECK_STATUS(datablock_unlink(name, 0), DATABLOCK_E_PRODUCER_ACTIVE);
    CHECK_STATUS(datablock_unlink(name, 1u << 31), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_producer_close(a));
    CHECK_STATUS(datablock_unlink(name, 0), DATABLOCK_E_BUSY);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_unlink(name, 0));
    CHECK_OK(datablock_producer_close(b));
    snprintf(name, sizeof name, "%s/b", directory);
    CHECK_OK(datablock_unlink(name, 0));
    CHECK_OK(datablock_list(directory, infos, 3, &count));
    CHECK(count == 0);
    CHECK(rmdir(directory) == 0);
}

static void diagnosis(void) {
    struct pair pair = open_pair("diagnosis", 4, DATABLOCK_ORDERED);
    char name[300], nowhere[300];
    snprintf(name, sizeof name, "%s/diagnosis", test_directory());
    snprintf(nowhere, sizeof nowhere, "%s/nothing", test_directory());
    write_text(pair.producer, "zero");
    datablock_read_slot in;
    datablock_write_slot out;
    CHECK_OK(datablock_read_begin(pair.consumer, 0, &in));
    CHECK_OK(datablock_write_begin(pair.producer, 0, &out));

    SlotDiagnostic all[64], one;
    memset(all, 0x55, sizeof all);
    size_t count = 0;
    CHECK(datablock_diagnose_all_slots(name, NULL, 0, &count) == 0);
    CHECK(count > 4 && count < 64);
    CHECK(datablock_diagnose_all_slots(name, all, 64, &count) == 0);
    CHECK(all[count].slot_index == 0x55555555);
    CHECK(strcmp(datablock_error_detail(), "") == 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(all[i].slot_index == i && !all[i].is_stuck && all[i].stuck_duration_ms == 0);
        CHECK(datablock_diagnose_slot(name, (uint32_t)i, &one) == 0);
        CHECK(one.slot_index == i && one.slot_state == all[i].slot_state &&
              one.write_generation == all[i].write_generation);
    }
    CHECK(all[in.index].slot_state == DATABLOCK_SLOT_COMMITTED && all[in.index].slot_id == 0 &&
          all[in.index].reader_count == 1);
    CHECK(all[out.index].slot_state == DATABLOCK_SLOT_WRITING && all[out.index].write_lock == (uint64_t)getpid());

    one.slot_index = 4711;
    CHECK(datablock_diagnose_slot(name, (uint32_t)count, &one) == -3);
    CHECK(datablock_diagnose_slot(name, UINT32_MAX, &one) == -3 && datablock_error_detail()[0] != '\0');
    CHECK(datablock_diagnose_slot(nowhere, 0, &one) == -2 && datablock_error_detail()[0] != '\0');
    CHECK(datablock_diagnose_slot("not/a/name", 0, &one) == -1);
    CHECK(one.slot_index == 4711);
    size_t untouched = 4711;
    CHECK(datablock_diagnose_all_slots(nowhere, NULL, 0, &untouched) == -2 && untouched == 4711);
    CHECK(datablock_release_zombie_readers(name, (uint32_t)count) == RECOVERY_INVALID_SLOT);
    CHECK(datablock_release_zombie_writer(name, (uint32_t)count) == RECOVERY_INVALID_SLOT);
    CHECK(datablock_release_zombie_readers(nowhere, 0) == RECOVERY_FAILED && datablock_error_detail()[0] != '\0');
    CHECK(datablock_release_zombie_writer(nowhere, 0) == RECOVERY_FAILED);
    CHECK(datablock_release_zombie_readers(name, in.index) == RECOVERY_NOT_STUCK);
    CHECK(datablock_release_zombie_writer(name, out.index) == RECOVERY_UNSAFE);
    CHECK(datablock_release_zombie_writer(name, in.index) == RECOVERY_NOT_STUCK);
    CHECK(datablock_cleanup_dead_consumers(name, 0) == 0);
    CHECK(datablock_cleanup_dead_consumers(name, UINT64_MAX) == 0);
    CHECK(datablock_cleanup_dead_consumers(nowhere, 0) == -2);

    CHECK(datablock_is_process_alive((uint64_t)getpid()));
    CHECK(!datablock_is_process_alive(0));
    CHECK(!datablock_is_process_alive(UINT64_MAX));
    CHECK(!datablock_is_process_alive(UINT64_C(1) << 32 | (uint64_t)getpid()));

    CHECK_OK(datablock_write_abort(pair.producer, &out));
    CHECK_OK(datablock_read_end(pair.consumer, &in));
    close_pair(&pair);
}

/* ---- Leaks ----------------------------------------------------------------------------------- */

static void refused_opens_leave_nothing_open(void) {
    struct pair pair = open_pair("leaks", 4, DATABLOCK_LOSSLESS);
    datablock_config config = ring_config(4), other = ring_config(5), invalid = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS), secret = options;
    datablock_producer producer;
    datablock_consumer consumer;
    size_t count;
    char name[300];
    snprintf(name, sizeof name, "%s/leaks", test_directory());
    invalid.slot_size = 0;
    secret.secret = "x";
    secret.secret_length = 1;
    int before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        CHECK_STATUS(datablock_producer_open("leaks", &config, &producer), DATABLOCK_E_PRODUCER_ACTIVE);
        CHECK(datablock_producer_open("leaks", &other, &producer) != DATABLOCK_OK);
        CHECK_STATUS(datablock_producer_open("leaks", &invalid, &producer), DATABLOCK_E_INVALID);
        CHECK_STATUS(datablock_consumer_open("nothing", &options, &consumer), DATABLOCK_E_NOT_FOUND);
        CHECK_STATUS(datablock_consumer_open("leaks", &secret, &consumer), DATABLOCK_E_SECRET);
        CHECK_STATUS(datablock_unlink(name, 0), DATABLOCK_E_PRODUCER_ACTIVE);
        CHECK(datablock_diagnose_all_slots(name, NULL, 0, &count) == 0);
        CHECK(datablock_cleanup_dead_consumers(name, 0) == 0);
    }
    CHECK(open_descriptors() == before);
    close_pair(&pair);
    CHECK(open_descriptors() < before);
}

#ifndef _WIN32 /* Windows has no limit of descriptors that a test could lower */
/* With any number of free descriptors an open succeeds, or says what is missing and leaves nothing
 * behind. */
static void out_of_descriptors(void) {
    struct rlimit limit, saved;
    struct pair pair = open_pair("descriptors", 4, DATABLOCK_LOSSLESS);
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    size_t blocks, blocks_after;
    CHECK_OK(datablock_list(test_directory(), NULL, 0, &blocks)); /* now the Go runtime has opened what it needs */
    CHECK(getrlimit(RLIMIT_NOFILE, &saved) == 0);
    int next = dup(0), before = open_descriptors(), refused = 0, succeeded = 0;
    CHECK(next >= 0);
    close(next);
    for (int left = 0; succeeded < 2; left++) {
        datablock_producer producer;
        datablock_consumer consumer;
        succeeded = 0;
        limit = saved;
        limit.rlim_cur = (rlim_t)(next + left);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        datablock_status opened = datablock_producer_open("descriptors.new", &config, &producer);
        datablock_status attached = datablock_consumer_open("descriptors", &options, &consumer);
        CHECK(attached == DATABLOCK_OK || datablock_error_detail()[0] != '\0');
        CHECK(setrlimit(RLIMIT_NOFILE, &saved) == 0);
        if (opened == DATABLOCK_OK) {
            succeeded++;
            CHECK_OK(datablock_producer_close(producer));
            CHECK_OK(unlink_here("descriptors.new"));
        } else {
            CHECK_STATUS(opened, DATABLOCK_E_SYSTEM);
            refused++;
        }
        if (attached == DATABLOCK_OK) {
            succeeded++;
            CHECK_OK(datablock_consumer_close(consumer));
        } else {
            CHECK_STATUS(attached, DATABLOCK_E_SYSTEM);
            refused++;
        }
        CHECK(open_descriptors() == before);
        CHECK_OK(datablock_list(test_directory(), NULL, 0, &blocks_after));
        CHECK(blocks_after == blocks);
    }
    CHECK(refused > 2);
    close_pair(&pair);
}
#endif

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"version", version},
        {"status-texts", status_texts},
        {"defaults", defaults},
        {"null-pointers", null_pointers},
        {"struct-sizes", struct_sizes},
        {"reserved-fields", reserved_fields},
        {"secrets", secrets},
        {"directories", directories},
        {"timeouts", timeouts},
        {"misused-writes", misused_writes},
        {"misused-reads", misused_reads},
        {"listing", listing},
        {"diagnosis", diagnosis},
        {"refused-opens-leave-nothing-open", refused_opens_leave_nothing_open},
#ifndef _WIN32
        {"out-of-descriptors", out_of_descriptors},
#endif
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
