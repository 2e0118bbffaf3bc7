/*
 * A program of a user: exchange produce|consume NAME COUNT. The producer sends COUNT messages to
 * one LOSSLESS consumer. The consumer checks each, and that none is missing. The same program
 * exists in C++, Python and Go, and each exchanges messages with each.
 */

#include <datablock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct message {
    uint64_t number;
    double half;
};

static int failed(const char *what) {
    fprintf(stderr, "exchange.c: %s: %s\n", what, datablock_error_detail());
    return 1;
}

static int produce(const char *name, uint64_t count) {
    datablock_config config;
    datablock_producer producer;
    datablock_write_slot slot;
    datablock_config_init(&config, DATABLOCK_RING);
    config.slot_size = sizeof(struct message);
    config.slot_count = 64;
    config.min_consumers = 1;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    if (datablock_producer_open(name, &config, &producer) != DATABLOCK_OK)
        return failed("open");
    for (uint64_t i = 0; i < count; i++) {
        if (datablock_write_begin(producer, 30000, &slot) != DATABLOCK_OK)
            return failed("write");
        *(struct message *)slot.data = (struct message){i, (double)i / 2};
        if (datablock_write_commit(producer, &slot, sizeof(struct message)) != DATABLOCK_OK)
            return failed("commit");
    }
    return datablock_producer_close(producer) == DATABLOCK_OK ? 0 : failed("close");
}

static int consume(const char *name, uint64_t count) {
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_read_slot slot;
    datablock_status status;
    datablock_consumer_options_init(&options);
    options.delivery = DATABLOCK_LOSSLESS;
    options.start = DATABLOCK_START_OLDEST;
    options.wait_ms = 30000;
    if (datablock_consumer_open(name, &options, &consumer) != DATABLOCK_OK)
        return failed("open");
    uint64_t read = 0;
    while ((status = datablock_read_begin(consumer, 30000, &slot)) == DATABLOCK_OK) {
        const struct message *message = slot.data;
        if (slot.length != sizeof *message || message->number != read || message->half != (double)read / 2) {
            fprintf(stderr, "exchange.c: message %llu has other contents\n", (unsigned long long)read);
            return 1;
        }
        read++;
        if (datablock_read_end(consumer, &slot) != DATABLOCK_OK)
            return failed("release");
    }
    if (status != DATABLOCK_E_CLOSED)
        return failed("read");
    printf("read %llu of %llu\n", (unsigned long long)read, (unsigned long long)count);
    return datablock_consumer_close(consumer) == DATABLOCK_OK && read == count ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: exchange produce|consume NAME COUNT\n");
        return 2;
    }
    uint64_t count = strtoull(argv[3], NULL, 10);
    return strcmp(argv[1], "produce") == 0 ? produce(argv[2], count) : consume(argv[2], count);
}
