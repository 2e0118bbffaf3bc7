/* Observers. */
#include "pair.h"

#include <pthread.h>
#ifndef _WIN32
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#endif

static datablock_observer observe_here(const char *name) {
    datablock_observer observer;
    datablock_consumer_options options = options_here(DATABLOCK_DELIVERY_DEFAULT);
    CHECK_OK(datablock_observer_open(name, &options, &observer));
    return observer;
}

static void observer_sees_the_newest(void) {
    struct pair p = open_pair("newest", 4, DATABLOCK_LOSSLESS);
    datablock_observer observer = observe_here("newest");
    datablock_observation seen;
    char buffer[100];
    CHECK_DETAIL(datablock_observe(observer, DATABLOCK_NEWEST, buffer, sizeof buffer, &seen), DATABLOCK_E_NOT_FOUND,
                 "has no message yet");
    write_text(p.producer, "one");
    write_text(p.producer, "number two");
    for (int again = 0; again < 2; again++) { /* an observer has no cursor */
        CHECK_OK(datablock_observe(observer, DATABLOCK_NEWEST, buffer, sizeof buffer, &seen));
        CHECK(seen.id == 1 && seen.length == 11 && seen.next_id == 2 && strcmp(buffer, "number two") == 0);
    }
    memset(buffer, 'x', sizeof buffer);
    CHECK_OK(datablock_observe(observer, DATABLOCK_NEWEST, buffer, 6, &seen));
    CHECK(seen.length == 11 && memcmp(buffer, "numberx", 7) == 0);
    CHECK_OK(datablock_observe(observer, DATABLOCK_NEWEST, NULL, 0, &seen));
    CHECK(seen.length == 11);
    CHECK_OK(datablock_observe(observer, 0, buffer, sizeof buffer, &seen));
    CHECK(seen.id == 0 && strcmp(buffer, "one") == 0);
    CHECK_DETAIL(datablock_observe(observer, 2, buffer, sizeof buffer, &seen), DATABLOCK_E_NOT_FOUND,
                 "message 2 is not written yet");
    for (int i = 2; i < 6; i++) {
        datablock_read_slot slot;
        CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
        CHECK_OK(datablock_read_end(p.consumer, &slot));
        write_text(p.producer, "more");
    }
    CHECK_DETAIL(datablock_observe(observer, 1, buffer, sizeof buffer, &seen), DATABLOCK_E_OVERRUN,
                 "the oldest present is 2");
    CHECK_OK(datablock_observer_close(observer));
    CHECK_STATUS(datablock_observe(observer, 0, buffer, sizeof buffer, &seen), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_observer_close(observer), DATABLOCK_E_HANDLE);
    close_pair(&p);
}

#ifndef _WIN32 /* it takes another user */
static datablock_schema text_schema; /* the schema of block "public" */

/* A thread with the file permissions of another user. It may observe a block of mode 0644 and
 * read its schema, but not attach. */
static void *look_as_nobody(void *unused) {
    datablock_observer observer;
    datablock_consumer consumer;
    datablock_observation seen;
    char buffer[8];
    datablock_consumer_options options = options_here(DATABLOCK_DELIVERY_DEFAULT);
    (void)unused;
    CHECK(syscall(SYS_setgroups, 0, NULL) == 0); /* for this thread alone, like the next calls */
    setfsgid(65534);
    setfsuid(65534);
    CHECK_DETAIL(datablock_consumer_open("public", &options, &consumer), DATABLOCK_E_ACCESS,
                 "0640: its group, 0646: everybody");
    CHECK_DETAIL(datablock_consumer_open("public", &options, &consumer), DATABLOCK_E_ACCESS,
                 "this one can be looked at: an observer needs the data file only");
    CHECK_STATUS(datablock_observer_open("private", &options, &observer), DATABLOCK_E_ACCESS);
    CHECK_OK(datablock_observer_open("public", &options, &observer));
    CHECK_OK(datablock_observe(observer, DATABLOCK_NEWEST, buffer, sizeof buffer, &seen));
    CHECK(strcmp(buffer, "look") == 0);
    CHECK_OK(datablock_observer_close(observer));
    datablock_schema schema;
    char path[300];
    snprintf(path, sizeof path, "%s/public", test_directory());
    CHECK_OK(datablock_schema_of_block(path, &schema));
    CHECK(strcmp(schema.canonical, text_schema.canonical) == 0);
    datablock_schema_free(&schema);
    return NULL;
}

static void observer_needs_only_to_read(void) {
    if (geteuid() != 0) {
        printf("SKIPPED: observer-needs-only-to-read takes root, to become another user\n");
        return;
    }
    struct pair private = open_pair("private", 4, DATABLOCK_LOSSLESS);
    datablock_config config = ring_config(4);
    datablock_producer producer;
    pthread_t thread;
    config.mode = 0644;
    CHECK_OK(datablock_schema_parse("schema Text 1.0.0 { text: char[4]; }", &text_schema));
    config.schema = &text_schema;
    CHECK(chmod(test_directory(), 0755) == 0);
    CHECK_OK(datablock_producer_open("public", &config, &producer));
    write_text(producer, "look");
    CHECK(pthread_create(&thread, NULL, look_as_nobody, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK_OK(datablock_producer_close(producer));
    datablock_schema_free(&text_schema);
    close_pair(&private);
}

#endif

static void observer_is_told_of_the_end(void) {
    struct pair p = open_pair("end", 4, DATABLOCK_LOSSLESS);
    datablock_observer observer = observe_here("end");
    datablock_observation seen;
    char buffer[100];
    write_text(p.producer, "last words");
    close_pair(&p);
    CHECK_OK(datablock_observe(observer, DATABLOCK_NEWEST, buffer, sizeof buffer, &seen)); /* what is there stays */
    CHECK(strcmp(buffer, "last words") == 0);
    CHECK_OK(unlink_here("end"));
    WAIT_UNTIL(datablock_observe(observer, DATABLOCK_NEWEST, buffer, sizeof buffer, &seen) == DATABLOCK_E_SUPERSEDED,
               20);
    CHECK_OK(datablock_observer_close(observer));
}

#ifndef _WIN32 /* Windows refuses to truncate a file that is mapped */
/* A file that is truncated in the meantime causes an error and no signal. */
static void observer_of_a_truncated_block(void) {
    struct pair p = open_pair("short", 4, DATABLOCK_LOSSLESS);
    datablock_observer observer = observe_here("short");
    datablock_observation seen;
    char buffer[100], path[300];
    write_text(p.producer, "gone");
    close_pair(&p);
    snprintf(path, sizeof path, "%s/short", test_directory());
    CHECK(truncate(path, 4096) == 0);
    CHECK_STATUS(datablock_observe(observer, DATABLOCK_NEWEST, buffer, sizeof buffer, &seen), DATABLOCK_E_CORRUPT);
    CHECK_OK(datablock_observer_close(observer));
    CHECK(unlink(path) == 0);
}

#endif

static void observer_is_asked_for_properly(void) {
    struct pair p = open_pair("asked", 4, DATABLOCK_LOSSLESS);
    datablock_observer observer;
    datablock_observation seen;
    datablock_schema schema;
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    CHECK_DETAIL(datablock_observer_open("asked", &options, &observer), DATABLOCK_E_INVALID,
                 "an observer has no place in the stream");
    options = options_here(DATABLOCK_DELIVERY_DEFAULT);
    CHECK_DETAIL(datablock_observer_open(NULL, &options, &observer), DATABLOCK_E_INVALID, "name is NULL");
    CHECK_DETAIL(datablock_observer_open("asked", &options, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_observer_open("nobody", &options, &observer), DATABLOCK_E_NOT_FOUND, "no block \"nobody\"");
    options.secret = "x";
    options.secret_length = 1;
    CHECK_STATUS(datablock_observer_open("asked", &options, &observer), DATABLOCK_E_SECRET);
    observer = observe_here("asked");
    CHECK_DETAIL(datablock_observe(observer, 0, &seen, 1, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_observe(observer, 0, NULL, 1, &seen), DATABLOCK_E_INVALID, "buffer is NULL");
    CHECK_DETAIL(datablock_observe((datablock_observer){p.consumer.handle}, 0, NULL, 0, &seen), DATABLOCK_E_HANDLE,
                 "this is a consumer handle, where an observer is needed");
    datablock_read_slot slot;
    CHECK_DETAIL(datablock_read_begin((datablock_consumer){observer.handle}, 0, &slot), DATABLOCK_E_HANDLE,
                 "this is an observer handle, where a consumer is needed");
    CHECK_DETAIL(datablock_schema_of_observer(observer, &schema), DATABLOCK_E_SCHEMA, "has no schema");
    CHECK_OK(datablock_observer_close(observer));
    close_pair(&p);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"observer-sees-the-newest", observer_sees_the_newest},
#ifndef _WIN32
        {"observer-needs-only-to-read", observer_needs_only_to_read},
#endif
        {"observer-is-told-of-the-end", observer_is_told_of_the_end},
#ifndef _WIN32
        {"observer-of-a-truncated-block", observer_of_a_truncated_block},
#endif
        {"observer-is-asked-for-properly", observer_is_asked_for_properly},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
