/*
 * The payload of a message in the cross-process tests: a pseudo-random function of its id, the same
 * in every language. tests/README.md describes it.
 */
#ifndef DATABLOCK_TESTS_WORKER_PAYLOAD_H
#define DATABLOCK_TESTS_WORKER_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAYLOAD_GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* The output function of splitmix64. */
static inline uint64_t payload_mix(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline size_t payload_length(uint64_t id, size_t capacity) {
    return (size_t)(payload_mix(id ^ 0x6874676e656c) % (capacity + 1));
}

/* True if a payload identifies its writer. Shorter payloads have no salt, because the rest would
 * not be enough to check that the payload is complete. */
static inline bool payload_salted(size_t length) { return length >= 16; }

static inline void payload_fill(unsigned char *data, size_t length, uint64_t id, uint64_t salt) {
    uint64_t state = payload_mix(id), word;
    if (!payload_salted(length)) {
        salt = 0;
    }
    for (; length >= 8; data += 8, length -= 8) {
        word = payload_mix(state += PAYLOAD_GOLDEN) ^ salt;
        memcpy(data, &word, 8);
    }
    word = payload_mix(state + PAYLOAD_GOLDEN) ^ salt;
    memcpy(data, &word, length);
}

/* Finds the salt of the writer. Returns true if every byte is right for this writer and id. */
static inline bool payload_verify(const unsigned char *data, size_t length, uint64_t id, uint64_t *salt) {
    uint64_t state = payload_mix(id), word, difference = 0;
    *salt = 0;
    if (payload_salted(length)) {
        memcpy(&word, data, 8);
        *salt = word ^ payload_mix(state + PAYLOAD_GOLDEN);
    }
    for (; length >= 8; data += 8, length -= 8) {
        memcpy(&word, data, 8);
        difference |= word ^ payload_mix(state += PAYLOAD_GOLDEN) ^ *salt;
    }
    word = payload_mix(state + PAYLOAD_GOLDEN) ^ *salt;
    return difference == 0 && memcmp(data, &word, length) == 0;
}

#endif
