/*
 * The program that callgrind counts: claim and commit in write_messages, next and release in
 * read_messages. It uses the inline functions, or with -DEXPORTED the exported ones. One thread
 * runs both sides alternately, so every run does the same.
 */
#ifdef EXPORTED
#include "datablock.h"
#else
#include "datablock_inline.h"
#endif

#include <stdio.h>
#include <stdlib.h>

static datablock_producer producer;
static datablock_consumer consumer;

static void must(datablock_status status) {
    if (status != DATABLOCK_OK) {
        fprintf(stderr, "%s: %s\n", datablock_strerror(status), datablock_error_detail());
        exit(1);
    }
}

/* Called once for each message: run.py counts the calls. */
__attribute__((noinline)) void counted(void) { __asm__ volatile(""); }

__attribute__((noinline)) void write_messages(int count) {
    datablock_write_slot slot;
    for (int i = 0; i < count; i++) {
        must(datablock_write_begin(producer, 0, &slot));
        must(datablock_write_commit(producer, &slot, 64));
        counted();
    }
}

__attribute__((noinline)) void read_messages(int count) {
    datablock_read_slot slot;
    for (int i = 0; i < count; i++) {
        must(datablock_read_begin(consumer, 0, &slot));
        must(datablock_read_end(consumer, &slot));
        counted();
    }
}

/* messages DIRECTORY DELIVERY COUNT */
int main(int argc, char **argv) {
    datablock_config config;
    datablock_consumer_options options;
    if (argc != 4) {
        return 2;
    }
    unsigned delivery = (unsigned)atoi(argv[2]);
    int count = atoi(argv[3]), batch = delivery == DATABLOCK_LATEST ? 1 : 250;
    must(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = 1024;
    config.slot_size = 64;
    config.directory = argv[1];
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    must(datablock_producer_open("counted", &config, &producer));
    must(datablock_consumer_options_init(&options));
    options.directory = argv[1];
    options.delivery = delivery;
    must(datablock_consumer_open("counted", &options, &consumer));
    for (int i = 0; i < count; i += batch) {
        write_messages(batch);
        read_messages(batch);
    }
    must(datablock_consumer_close(consumer));
    must(datablock_producer_close(producer));
    return 0;
}
