/* What the tests of the C boundary share: a block with a producer and a consumer. */
#ifndef DATABLOCK_TESTS_PAIR_H
#define DATABLOCK_TESTS_PAIR_H

#include "check.h"

#include <fcntl.h>

static inline datablock_config ring_config(uint32_t slot_count) {
    datablock_config config;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = slot_count;
    config.slot_size = 100;
    config.directory = test_directory();
    return config;
}

static inline datablock_consumer_options options_here(datablock_delivery delivery) {
    datablock_consumer_options options;
    CHECK_OK(datablock_consumer_options_init(&options));
    options.delivery = (uint32_t)delivery;
    options.directory = test_directory();
    return options;
}

/* A block with one producer and one consumer, for most scenarios. */
struct pair {
    const char *name;
    datablock_producer producer;
    datablock_consumer consumer;
};

static inline struct pair open_pair(const char *name, uint32_t slot_count, datablock_delivery delivery) {
    struct pair pair = {.name = name};
    datablock_config config = ring_config(slot_count);
    datablock_consumer_options options = options_here(delivery);
    CHECK_OK(datablock_producer_open(name, &config, &pair.producer));
    CHECK_OK(datablock_consumer_open(name, &options, &pair.consumer));
    return pair;
}

static inline void close_pair(struct pair *pair) {
    CHECK_OK(datablock_consumer_close(pair->consumer));
    CHECK_OK(datablock_producer_close(pair->producer));
}

static inline void write_text(datablock_producer producer, const char *text) {
    datablock_write_slot slot;
    CHECK_OK(datablock_write_begin(producer, 1000, &slot));
    memcpy(slot.data, text, strlen(text) + 1);
    CHECK_OK(datablock_write_commit(producer, &slot, strlen(text) + 1));
}

static inline datablock_status unlink_here(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return datablock_unlink(path, 0);
}

/* A word of the control file or of the data file of the block. */
static inline uint64_t word_of(const char *block, bool control, off_t at) {
    uint64_t word = 0;
    size_t length = strlen(block);
    DIR *directory = opendir(test_directory());
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strncmp(entry->d_name, block, length) == 0 && entry->d_name[length] == (control ? '.' : '\0')) {
            char path[600];
            snprintf(path, sizeof path, "%s/%s", test_directory(), entry->d_name);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            CHECK(fd >= 0 && pread(fd, &word, sizeof word, at) == sizeof word);
            close(fd);
        }
    }
    closedir(directory);
    return word;
}

/* Checks that every function refuses the handle. */
static inline void check_dead_producer(datablock_producer producer) {
    datablock_write_slot slot = {0};
    CHECK_STATUS(datablock_write_begin(producer, 0, &slot), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_write_commit(producer, &slot, 0), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_write_abort(producer, &slot), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_producer_close(producer), DATABLOCK_E_HANDLE);
}

static inline void check_dead_consumer(datablock_consumer consumer) {
    datablock_read_slot slot = {0};
    CHECK_STATUS(datablock_read_begin(consumer, 0, &slot), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_read_at(consumer, 0, &slot), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_read_end(consumer, &slot), DATABLOCK_E_HANDLE);
    CHECK_STATUS(datablock_consumer_close(consumer), DATABLOCK_E_HANDLE);
}

#endif
