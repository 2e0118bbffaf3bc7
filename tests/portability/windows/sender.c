/*
 * Writes messages of pseudo-random length and contents. This program and receiver.c share nothing
 * but the name of a block: package.py builds them from the files of build/windows alone.
 */
#include <datablock_inline.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, datablock_error_detail());
    return 1;
}

int main(int argc, char **argv) {
    uint64_t state = 1, count = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    datablock_config config;
    datablock_producer producer;
    if (datablock_config_init(&config, DATABLOCK_RING) != DATABLOCK_OK) {
        return failed("config");
    }
    config.slot_count = 16;
    config.slot_size = 64;
    config.min_consumers = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
    if (datablock_producer_open("package", &config, &producer) != DATABLOCK_OK) {
        return failed("open");
    }
    for (uint64_t i = 0; i < count; i++) {
        datablock_write_slot slot;
        if (datablock_write_begin(producer, 60000, &slot) != DATABLOCK_OK) {
            return failed("begin");
        }
        size_t length = next(&state) % 65;
        for (size_t at = 0; at < length; at++) {
            ((unsigned char *)slot.data)[at] = (unsigned char)next(&state);
        }
        if (datablock_write_commit(producer, &slot, length) != DATABLOCK_OK) {
            return failed("commit");
        }
    }
    if (datablock_producer_close(producer) != DATABLOCK_OK) {
        return failed("close");
    }
    printf("sent %llu\n", (unsigned long long)count);
    return 0;
}
