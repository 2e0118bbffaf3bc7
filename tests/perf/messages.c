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

#include <stdbool.h>
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

/* Twice the ring, which nobody counts: the first lap takes other steps. */
static void warm_up(int batch) {
    datablock_write_slot written;
    datablock_read_slot slot;
    for (int i = 0; i < 2048; i += batch) {
        for (int j = 0; j < batch; j++) {
            must(datablock_write_begin(producer, 0, &written));
            must(datablock_write_commit(producer, &written, 64));
        }
        for (int j = 0; j < batch; j++) {
            must(datablock_read_begin(consumer, 0, &slot));
            must(datablock_read_end(consumer, &slot));
        }
    }
}

/* Says that the program has come to a point, and waits until somebody writes a line. */
static void pause_at(const char *point) {
    printf("%s\n", point);
    fflush(stdout);
    while (getchar() != '\n') {
        if (feof(stdin)) {
            exit(1);
        }
    }
}

/* messages DIRECTORY DELIVERY COUNT [watched]. When it is watched, it pauses with the block open,
 * before the messages, after half of them, and after the last one. */
int main(int argc, char **argv) {
    datablock_config config;
    datablock_consumer_options options;
    if (argc < 4) {
        return 2;
    }
    bool watched = argc == 5;
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
    if (watched) {
        warm_up(batch);
        pause_at("open");
    }
    for (int i = 0; i < count; i += batch) {
        write_messages(batch);
        read_messages(batch);
        if (watched && i < count / 2 && i + batch >= count / 2) {
            pause_at("half");
        }
    }
    if (watched) {
        pause_at("end");
    }
    must(datablock_consumer_close(consumer));
    must(datablock_producer_close(producer));
    return 0;
}
