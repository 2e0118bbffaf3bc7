/* Checksums of messages: the values, both algorithms, every damaged bit. */
#include "pair.h"

#include <datablock_layout.h>

#ifndef TEST_INLINE /* the names are the exported functions, and the inline CRC32C is there as well */
#define DATABLOCK_INLINE_NO_NAMES
#include <datablock_inline.h>
#endif

enum { LARGEST = 70000, ALIGNMENTS = 64 };

static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
static const datablock_algorithm algorithms[] = {DATABLOCK_ALGORITHM_CRC32C, DATABLOCK_ALGORITHM_BLAKE2B};

/* ---- Values ---------------------------------------------------------------------------------- */

/* CRC32C by the definition, a bit at a time. */
static uint32_t plain_crc32c(const uint8_t *from, size_t length) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= from[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & (0 - (crc & 1)));
        }
    }
    return ~crc;
}

static uint8_t *random_bytes(size_t count) {
    uint8_t *bytes = malloc(count);
    CHECK(bytes != NULL);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (uint8_t)(state >> 32);
    }
    return bytes;
}

/* The examples of RFC 3720, appendix B.4, and the check value of the catalogues of CRCs. */
static const struct {
    uint8_t bytes[48];
    size_t length;
    uint32_t crc;
} vectors[] = {
    {{0}, 0, 0},
    {"123456789", 9, 0xe3069283},
    {{0}, 32, 0x8a9136aa},
    {{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
      255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
     32, 0x62a8ab43},
    {{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
      16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
     32, 0x46dd794e},
    {{31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
      15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  3,  2,  1,  0},
     32, 0x113fdb5c},
    {{1, 0xc0, [16] = 0x14, [22] = 4, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 2}, 48, 0xd9963a56},
};

static bool has_instruction(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("sse4.2") != 0;
#elif defined(__aarch64__)
    return true; /* every processor that the tests run on has the instruction */
#else
    return false;
#endif
}

static void known_values(void) {
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        CHECK(plain_crc32c(vectors[i].bytes, vectors[i].length) == vectors[i].crc);
#ifdef DATABLOCK_INLINE_HAS_CRC
        if (has_instruction()) {
            CHECK(datablock_inline_crc32c(vectors[i].bytes, vectors[i].length) == vectors[i].crc);
        }
#endif
    }
}

/* Lengths around the lanes and beyond, and every alignment. */
static void values_of_every_length(void) {
#ifdef DATABLOCK_INLINE_HAS_CRC
    if (!has_instruction()) {
        return;
    }
    uint8_t *bytes = random_bytes(LARGEST + ALIGNMENTS);
    for (size_t length = 0; length <= 900; length++) {
        const uint8_t *from = bytes + length % ALIGNMENTS;
        CHECK(datablock_inline_crc32c(from, length) == plain_crc32c(from, length));
    }
    for (size_t i = 0; i < 200; i++) {
        size_t length = i < 100 ? 3 * DATABLOCK_INLINE_LONG_LANE * (1 + i / 20) + i % 20 - 10
                                : (size_t)rand() % (LARGEST + 1);
        const uint8_t *from = bytes + i % ALIGNMENTS;
        CHECK(datablock_inline_crc32c(from, length) == plain_crc32c(from, length));
    }
    free(bytes);
#endif
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static struct pair open_checked(datablock_checksum checksum, datablock_algorithm algorithm, size_t size,
                                datablock_delivery delivery) {
    struct pair pair = {.name = "checked"};
    datablock_config config = ring_config(2);
    config.slot_size = size;
    config.checksum = (uint32_t)checksum;
    config.algorithm = (uint32_t)algorithm;
    datablock_consumer_options options = options_here(delivery);
    CHECK_OK(datablock_producer_open(pair.name, &config, &pair.producer));
    CHECK_OK(datablock_consumer_open(pair.name, &options, &pair.consumer));
    return pair;
}

static void remove_pair(struct pair *pair) {
    close_pair(pair);
    CHECK_OK(unlink_here(pair->name));
}

/* Publishes a message, and returns the slot: the producer's mapping stays writable. */
static datablock_write_slot post(datablock_producer producer, const uint8_t *bytes, size_t length, bool sealed) {
    datablock_write_slot slot;
    CHECK_OK(datablock_write_begin(producer, 0, &slot));
    memcpy(slot.data, bytes, length);
    if (sealed) {
        CHECK_OK(datablock_write_checksum(producer, &slot, length));
    }
    CHECK_OK(datablock_write_commit(producer, &slot, length));
    return slot;
}

static uint64_t sum_word(const void *data, size_t at) {
    uint64_t word;
    memcpy(&word, (const uint8_t *)data - DATABLOCK_LAYOUT_SLOT_HEADER + DATABLOCK_LAYOUT_SLOT_CHECKSUM + at,
           sizeof word);
    return word;
}

static void check_sum(const datablock_write_slot *slot, size_t length) {
    CHECK(sum_word(slot->data, DATABLOCK_LAYOUT_CRC_PAYLOAD) == plain_crc32c(slot->data, length));
    CHECK(sum_word(slot->data, DATABLOCK_LAYOUT_CRC_MESSAGE) == slot->id + 1);
    CHECK(sum_word(slot->data, DATABLOCK_LAYOUT_CRC_LENGTH) == length);
    CHECK(sum_word(slot->data, DATABLOCK_LAYOUT_CRC_RESERVED) == 0);
}

/* The words in the slot are those of the document, for either policy and every way of writing. */
static void words_in_the_slot(void) {
    uint8_t *bytes = random_bytes(LARGEST);
    for (datablock_checksum policy = DATABLOCK_CHECKSUM_MANUAL; policy <= DATABLOCK_CHECKSUM_ENFORCED; policy++) {
        struct pair p = open_checked(policy, DATABLOCK_ALGORITHM_DEFAULT, LARGEST, DATABLOCK_LOSSLESS);
        bool manual = policy == DATABLOCK_CHECKSUM_MANUAL;
        for (size_t i = 0; i < 60; i++) {
            size_t length = i < 20 ? i : (size_t)rand() % (LARGEST + 1);
            datablock_write_slot out = post(p.producer, bytes, length, manual);
            check_sum(&out, length);
            datablock_read_slot in;
            CHECK_OK(datablock_read_begin(p.consumer, -1, &in));
            CHECK(in.length == length && memcmp(in.data, bytes, length) == 0);
            CHECK_OK(datablock_read_verify(p.consumer, &in));
            CHECK_OK(datablock_read_end(p.consumer, &in));
            if (!manual) {
                CHECK_OK(datablock_write(p.producer, 0, bytes, length, NULL));
                CHECK_OK(datablock_read_begin(p.consumer, 0, &in));
                out.data = (void *)(uintptr_t)in.data;
                out.id = in.id;
                check_sum(&out, length);
                CHECK_OK(datablock_read_end(p.consumer, &in));
            }
        }
        remove_pair(&p);
    }
    free(bytes);
}

/* A message with one bit flipped. The next one arrives whole. */
static void read_damaged(struct pair *p, datablock_delivery delivery, const uint8_t *bytes, size_t length,
                         size_t bit, bool enforced) {
    datablock_write_slot out = post(p->producer, bytes, length, !enforced);
    uint8_t *header = (uint8_t *)out.data - DATABLOCK_LAYOUT_SLOT_HEADER;
    header[bit / 8] ^= (uint8_t)(1u << bit % 8);
    datablock_read_slot in;
    datablock_status status = datablock_read_begin(p->consumer, 0, &in);
    if (status == DATABLOCK_OK && !enforced) {
        status = datablock_read_verify(p->consumer, &in);
        CHECK_OK(datablock_read_end(p->consumer, &in));
    }
    bool corrupt = bit / 8 < DATABLOCK_LAYOUT_SLOT_TIMESTAMP; /* the id, or a length beyond the slot */
    if (status != DATABLOCK_E_CHECKSUM && !(corrupt && status == DATABLOCK_E_CORRUPT)) {
        fprintf(stderr, "delivery %d, bit %zu: status %d\n", (int)delivery, bit, (int)status);
        exit(1);
    }
    header[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (status == DATABLOCK_E_CORRUPT && datablock_read_begin(p->consumer, 0, &in) == DATABLOCK_OK) {
        CHECK(in.id == out.id);
        CHECK_OK(datablock_read_end(p->consumer, &in));
    }
}

static void every_damaged_bit(void) {
    enum { LENGTH = 41 };
    uint8_t *bytes = random_bytes(LENGTH);
    for (size_t a = 0; a < 2; a++) {
        for (size_t d = 0; d < 3; d++) {
            for (int enforced = 0; enforced < 2; enforced++) {
                struct pair p = open_checked(enforced ? DATABLOCK_CHECKSUM_ENFORCED : DATABLOCK_CHECKSUM_MANUAL,
                                             algorithms[a], 100, deliveries[d]);
                for (size_t bit = 0; bit < 8 * (DATABLOCK_LAYOUT_SLOT_HEADER + LENGTH); bit++) {
                    size_t byte = bit / 8;
                    /* the timestamp and the claim mark are no part of the message */
                    if (byte < DATABLOCK_LAYOUT_SLOT_TIMESTAMP || byte >= DATABLOCK_LAYOUT_SLOT_CHECKSUM) {
                        read_damaged(&p, deliveries[d], bytes, LENGTH, bit, enforced != 0);
                    }
                }
                datablock_read_slot in;
                post(p.producer, bytes, LENGTH, !enforced);
                CHECK_OK(datablock_read_begin(p.consumer, 0, &in));
                CHECK_OK(datablock_read_verify(p.consumer, &in));
                CHECK_OK(datablock_read_end(p.consumer, &in));
                remove_pair(&p);
            }
        }
    }
    free(bytes);
}

/* The header and the checksum of one message with the payload of another: a torn or stale slot. */
static void another_messages_payload(void) {
    uint8_t *bytes = random_bytes(200);
    for (size_t a = 0; a < 2; a++) {
        struct pair p = open_checked(DATABLOCK_CHECKSUM_ENFORCED, algorithms[a], 100, DATABLOCK_ORDERED);
        datablock_read_slot in;
        datablock_write_slot first = post(p.producer, bytes, 100, false);
        datablock_write_slot second = post(p.producer, bytes + 100, 100, false);
        memcpy(second.data, first.data, 50); /* half of it */
        CHECK_OK(datablock_read_begin(p.consumer, 0, &in));
        CHECK_OK(datablock_read_end(p.consumer, &in));
        CHECK_STATUS(datablock_read_begin(p.consumer, 0, &in), DATABLOCK_E_CHECKSUM);
        remove_pair(&p);
    }
    /* CRC32C has the id: a whole checksum of an earlier message with equal bytes does not match. */
    struct pair p = open_checked(DATABLOCK_CHECKSUM_ENFORCED, DATABLOCK_ALGORITHM_CRC32C, 100, DATABLOCK_ORDERED);
    datablock_read_slot in;
    datablock_write_slot first = post(p.producer, bytes, 100, false), second = post(p.producer, bytes, 100, false);
    memcpy((uint8_t *)second.data - 32, (uint8_t *)first.data - 32, 32);
    CHECK_OK(datablock_read_begin(p.consumer, 0, &in));
    CHECK_OK(datablock_read_end(p.consumer, &in));
    CHECK_STATUS(datablock_read_begin(p.consumer, 0, &in), DATABLOCK_E_CHECKSUM);
    remove_pair(&p);
    free(bytes);
}

static void messages_without_a_checksum(void) {
    for (size_t a = 0; a < 2; a++) {
        struct pair p = open_checked(DATABLOCK_CHECKSUM_MANUAL, algorithms[a], 100, DATABLOCK_LOSSLESS);
        for (int i = 0; i < 12; i++) { /* slots are used again: a checksum is of one message */
            datablock_read_slot in;
            bool sealed = i % 3 == 0;
            post(p.producer, (const uint8_t *)"", 0, sealed);
            CHECK_OK(datablock_read_begin(p.consumer, 0, &in));
            CHECK_STATUS(datablock_read_verify(p.consumer, &in), sealed ? DATABLOCK_OK : DATABLOCK_E_INVALID);
            CHECK_OK(datablock_read_end(p.consumer, &in));
            CHECK_STATUS(datablock_read_verify(p.consumer, &in), DATABLOCK_E_INVALID);
        }
        remove_pair(&p);
    }
}

/* The messages of a batch, which one hold covers or one each. */
static void batches(void) {
    for (size_t a = 0; a < 2; a++) {
        for (size_t d = 0; d < 2; d++) {
            struct pair p = open_checked(DATABLOCK_CHECKSUM_ENFORCED, algorithms[a], 100, deliveries[d]);
            datablock_read_slot in[2];
            size_t count;
            for (int i = 0; i < 4; i++) {
                post(p.producer, (const uint8_t *)"first", 5, false);
                datablock_write_slot second = post(p.producer, (const uint8_t *)"second", 6, false);
                *(uint8_t *)second.data ^= 1;
                CHECK_OK(datablock_read_batch(p.consumer, 0, in, 2, &count));
                CHECK(count == 1);
                CHECK_OK(datablock_read_verify(p.consumer, &in[0]));
                CHECK_OK(datablock_read_batch_end(p.consumer, in, 1));
                CHECK_STATUS(datablock_read_batch(p.consumer, 0, in, 2, &count), DATABLOCK_E_CHECKSUM);
            }
            remove_pair(&p);
        }
    }
}

/* A takeover keeps the algorithm of the block, and refuses another one. */
static void algorithm_of_a_block(void) {
    const uint32_t majors[] = {DATABLOCK_LAYOUT_FORMAT_MAJOR_FEATURES, DATABLOCK_LAYOUT_FORMAT_MAJOR};
    for (size_t a = 0; a < 2; a++) {
        struct pair p = open_checked(DATABLOCK_CHECKSUM_ENFORCED, algorithms[a], 100, DATABLOCK_LOSSLESS);
        CHECK((uint32_t)word_of(p.name, false, DATABLOCK_LAYOUT_HDR_MAJOR) == majors[a]);
        CHECK((uint32_t)word_of(p.name, true, DATABLOCK_LAYOUT_CTL_MAJOR) == majors[a]);
        datablock_config config = ring_config(2);
        config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
        CHECK_OK(datablock_producer_close(p.producer));
        CHECK_OK(datablock_producer_open(p.name, &config, &p.producer));
        CHECK((uint32_t)word_of(p.name, false, DATABLOCK_LAYOUT_HDR_MAJOR) == majors[a]);
        CHECK_OK(datablock_producer_close(p.producer));
        config.algorithm = (uint32_t)algorithms[1 - a];
        CHECK_STATUS(datablock_producer_open(p.name, &config, &p.producer), DATABLOCK_E_GEOMETRY);
        CHECK(strstr(datablock_error_detail(), "algorithm ") != NULL);
        config.flags |= DATABLOCK_FLAG_REPLACE;
        CHECK_OK(datablock_producer_open(p.name, &config, &p.producer));
        CHECK((uint32_t)word_of(p.name, false, DATABLOCK_LAYOUT_HDR_MAJOR) == majors[1 - a]);
        remove_pair(&p);
    }
    struct pair p = open_pair("unchecked", 2, DATABLOCK_LOSSLESS);
    CHECK((uint32_t)word_of(p.name, false, DATABLOCK_LAYOUT_HDR_MAJOR) == DATABLOCK_LAYOUT_FORMAT_MAJOR);
    remove_pair(&p);
}

/* A program that was compiled with the struct of version 1. */
static void smaller_struct(void) {
    datablock_config config = ring_config(2);
    datablock_producer producer;
    config.size = offsetof(datablock_config, algorithm);
    config.algorithm = 77; /* beyond the struct, and therefore not read */
    config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    CHECK_OK(datablock_producer_open("small", &config, &producer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("small"));
}

/*
 * Inline code makes and compares CRC32C without the library, unless GODEBUG hides the instruction:
 * the test c.checksum.software runs so. BLAKE2b is the library's.
 */
static void inline_or_library(void) {
    const char *hidden = getenv("GODEBUG");
    bool expected = has_instruction() && (hidden == NULL || strstr(hidden, "cpu.") == NULL);
    for (size_t a = 0; a < 2; a++) {
        struct pair p = open_checked(DATABLOCK_CHECKSUM_MANUAL, algorithms[a], 100, DATABLOCK_LOSSLESS);
        datablock_write_slot out;
        datablock_read_slot in;
        for (int i = 0; i < 2; i++) { /* in the first round inline code has not met this thread yet */
            CHECK_OK(datablock_write_begin(p.producer, 0, &out));
            memset(out.data, 'x', 50);
            bool sealed = datablock_inline_try_write_checksum(p.producer, &out, 50);
            CHECK(i == 0 || sealed == (expected && algorithms[a] == DATABLOCK_ALGORITHM_CRC32C));
            CHECK_OK(datablock_write_checksum(p.producer, &out, 50));
            CHECK_OK(datablock_write_commit(p.producer, &out, 50));
            CHECK_OK(datablock_read_begin(p.consumer, 0, &in));
            bool verified = datablock_inline_try_read_verify(p.consumer, &in);
            CHECK(i == 0 || verified == sealed);
            CHECK_OK(datablock_read_verify(p.consumer, &in));
            CHECK_OK(datablock_read_end(p.consumer, &in));
        }
        remove_pair(&p);
    }
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"known-values", known_values},
        {"values-of-every-length", values_of_every_length},
        {"words-in-the-slot", words_in_the_slot},
        {"every-damaged-bit", every_damaged_bit},
        {"another-messages-payload", another_messages_payload},
        {"messages-without-a-checksum", messages_without_a_checksum},
        {"batches", batches},
        {"inline-or-library", inline_or_library},
        {"algorithm-of-a-block", algorithm_of_a_block},
        {"smaller-struct", smaller_struct},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
