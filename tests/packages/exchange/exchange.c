/*
 * A program of a user: exchange produce|consume NAME COUNT [STOP [CONSUMERS]]. The producer opens
 * the block, or takes it over. It writes the messages up to COUNT, and overwrites none while fewer
 * than CONSUMERS (1) are attached. Each consumer is LOSSLESS, and checks every byte and the order
 * of the messages. The same program exists in C++, Python, Go, Rust and Node.js, and each exchanges
 * messages with each.
 *
 * At message STOP the producer has written half of the message, and the consumer holds it. They
 * stay so until the test kills them or closes their input. tests/README.md lists what they say.
 */

#include <datablock.h>
#include <datablock_schema.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 16, WRITER = 1, WRITERS = 6, PART_MS = 100, PARTS = 600, REPORT = 1000 };

struct message {
    uint64_t number;
    double half;
    uint32_t writer; /* which language */
    uint32_t inverse; /* of the writer */
    uint64_t words[WORDS];
};

DATABLOCK_TYPED_LAYOUT(message_layout, struct message, (FIELD, number), (FIELD, half), (FIELD, writer),
                       (FIELD, inverse), (ARRAY, words));

static struct message message_of(uint64_t number, uint32_t writer) {
    struct message message = {.number = number, .half = (double)number / 2, .writer = writer, .inverse = ~writer};
    for (uint64_t i = 0; i < WORDS; i++)
        message.words[i] = number * 1024 + i * 8 + writer;
    return message;
}

static void say(const char *what, uint64_t number) {
    printf("%s %" PRIu64 "\n", what, number);
    fflush(stdout);
}

static int failed(const char *what) {
    fprintf(stderr, "exchange.c: %s: %s\n", what, datablock_error_detail());
    return 1;
}

static int stopped(uint64_t number) {
    say("stopped at", number);
    while (getchar() != EOF)
        continue;
    return 1;
}

static datablock_status claimed(datablock_producer producer, uint64_t number, datablock_write_slot *slot) {
    datablock_status status = DATABLOCK_E_TIMEOUT;
    for (int part = 0; part < PARTS && status == DATABLOCK_E_TIMEOUT; part++) {
        status = datablock_write_begin(producer, PART_MS, slot);
        if (status == DATABLOCK_E_TIMEOUT && part == 0)
            say("waiting at", number);
    }
    return status;
}

static int produce(const char *name, uint64_t count, uint64_t stop, uint32_t consumers,
                   const datablock_schema *schema) {
    datablock_config config;
    datablock_producer producer;
    datablock_write_slot slot;
    uint64_t next;
    datablock_config_init(&config, DATABLOCK_RING);
    config.slot_count = 64;
    config.min_consumers = consumers;
    config.schema = schema;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    if (datablock_producer_open(name, &config, &producer) != DATABLOCK_OK ||
        datablock_producer_next_id(producer, &next) != DATABLOCK_OK)
        return failed("open");
    say("open at", next);
    for (; next < count; next++) {
        if (claimed(producer, next, &slot) != DATABLOCK_OK)
            return failed("write");
        struct message message = message_of(next, WRITER);
        if (next == stop) {
            memcpy(slot.data, &message, sizeof message / 2);
            return stopped(next);
        }
        memcpy(slot.data, &message, sizeof message);
        if (datablock_write_commit(producer, &slot, sizeof message) != DATABLOCK_OK)
            return failed("commit");
    }
    return datablock_producer_close(producer) == DATABLOCK_OK ? 0 : failed("close");
}

/* Whether this is message `number`, complete, of one writer. Counts the writer's messages. */
static int complete(const datablock_read_slot *slot, uint64_t number, uint64_t *from) {
    struct message message, expected;
    memcpy(&message, slot->data, sizeof message);
    expected = message_of(number, message.writer);
    if (slot->id != number || slot->missed != 0 || slot->length != sizeof message || message.writer < 1 ||
        message.writer > WRITERS || memcmp(&message, &expected, sizeof message) != 0) {
        fprintf(stderr, "exchange.c: message %" PRIu64 " has other contents\n", number);
        return 0;
    }
    from[message.writer]++;
    return 1;
}

static int consume(const char *name, uint64_t count, uint64_t stop, const datablock_schema *schema) {
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_read_slot slot;
    datablock_status status = DATABLOCK_OK;
    uint64_t read = 0, from[WRITERS + 1] = {0};
    datablock_consumer_options_init(&options);
    options.delivery = DATABLOCK_LOSSLESS;
    options.start = DATABLOCK_START_OLDEST;
    options.wait_ms = 30000;
    options.schema = schema;
    options.schema_mode = DATABLOCK_SCHEMA_EXACT;
    if (datablock_consumer_open(name, &options, &consumer) != DATABLOCK_OK)
        return failed("open");
    say("open at", read);
    for (int part = 0; part < PARTS && status != DATABLOCK_E_CLOSED; part++) {
        status = datablock_read_begin(consumer, PART_MS, &slot);
        if (status == DATABLOCK_E_NO_PRODUCER) {
            say("gone at", read);
        } else if (status == DATABLOCK_OK) {
            part = 0;
            if (!complete(&slot, read, from))
                return 1;
            if (read == stop)
                return stopped(read);
            if (++read % REPORT == 0)
                say("at", read);
            if (datablock_read_end(consumer, &slot) != DATABLOCK_OK)
                return failed("release");
        } else if (status != DATABLOCK_E_TIMEOUT && status != DATABLOCK_E_CLOSED) {
            return failed("read");
        }
    }
    if (status != DATABLOCK_E_CLOSED)
        return failed("read");
    printf("from");
    for (int writer = 1; writer <= WRITERS; writer++)
        printf(" %" PRIu64, from[writer]);
    printf("\nread %" PRIu64 " of %" PRIu64 "\n", read, count);
    return datablock_consumer_close(consumer) == DATABLOCK_OK && (count == 0 || read == count) ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 6) {
        fprintf(stderr, "usage: exchange produce|consume NAME COUNT [STOP [CONSUMERS]]\n");
        return 2;
    }
    uint64_t count = strtoull(argv[3], NULL, 10);
    uint64_t stop = argc > 4 ? strtoull(argv[4], NULL, 10) : count;
    uint32_t consumers = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 1;
    datablock_schema schema;
    if (datablock_schema_describe("Message", 1, 0, 0, &message_layout.layout, &schema) != DATABLOCK_OK)
        return failed("schema");
    int result = strcmp(argv[1], "produce") == 0 ? produce(argv[2], count, stop, consumers, &schema)
                                                 : consume(argv[2], count, stop, &schema);
    datablock_schema_free(&schema);
    return result;
}
