/*
 * sensor_stream sensor: writes a thousand readings a second into the block "sensor", until SIGTERM
 * or SIGINT.
 *
 * sensor_stream reader COUNT: reads twenty readings a second, always the newest, until it has
 * COUNT.
 */
#define _XOPEN_SOURCE 700
#include <datablock.h>
#include <datablock_schema.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PERIOD_US = 1000, DRAWING_US = 50000, PATIENCE_MS = 200 };

static const char block[] = "sensor";

struct reading {
    uint64_t number;
    double celsius[8];
};

static const datablock_schema_field reading_fields[] =
    {DATABLOCK_FIELD(struct reading, number), DATABLOCK_ARRAY(struct reading, celsius)};
static const datablock_schema_layout reading_layout = DATABLOCK_LAYOUT(struct reading, reading_fields);

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    stop = number;
}

/* Print the detail last, because another call may replace it. */
static int failed(const char *what, datablock_status status)
{
    fprintf(stderr, "%s: %s: ", what, datablock_strerror(status));
    fprintf(stderr, "%s\n", datablock_error_detail());
    return 1;
}

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

static double celsius_of(uint64_t number, int channel)
{
    return 20 + channel + (double)(number % 1000) / 1000;
}

/* ---- sensor */

static int measure(datablock_producer producer)
{
    while (!stop) {
        datablock_write_slot slot;
        /* No wait: slow LATEST readers cause no backpressure. */
        datablock_status status = datablock_write_begin(producer, 0, &slot);
        if (status != DATABLOCK_OK)
            return failed("datablock_write_begin", status);
        struct reading *reading = slot.data;
        reading->number = slot.id;
        for (int channel = 0; channel < 8; channel++)
            reading->celsius[channel] = celsius_of(slot.id, channel);
        status = datablock_write_commit(producer, &slot, sizeof *reading);
        if (status != DATABLOCK_OK)
            return failed("datablock_write_commit", status);
        pause_us(PERIOD_US);
    }
    return 0;
}

static int sensor(const datablock_schema *schema)
{
    datablock_config config;
    datablock_producer producer;

    datablock_status status = datablock_config_init(&config, DATABLOCK_SINGLE);
    if (status != DATABLOCK_OK)
        return failed("datablock_config_init", status);
    config.schema = schema; /* the slots get the size of the struct */
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    status = datablock_producer_open(block, &config, &producer);
    if (status != DATABLOCK_OK)
        return failed("datablock_producer_open", status);

    int result = measure(producer);

    status = datablock_producer_close(producer);
    return status == DATABLOCK_OK ? result : failed("datablock_producer_close", status);
}

/* ---- reader */

/* Waits until the sensor's block exists. */
static datablock_status attach(const datablock_schema *schema, datablock_consumer *consumer)
{
    datablock_consumer_options options;

    datablock_status status = datablock_consumer_options_init(&options);
    if (status != DATABLOCK_OK)
        return status;
    options.delivery = DATABLOCK_LATEST;
    options.name = "display";
    /* Another schema is refused. The error names the fields that differ. */
    options.schema = schema;
    while ((status = datablock_consumer_open(block, &options, consumer)) == DATABLOCK_E_NOT_FOUND && !stop)
        pause_us(PERIOD_US);
    return status;
}

/* Readings that the display skips are counted. No reading is older than the previous one. */
static int check(const datablock_read_slot *slot, uint64_t next)
{
    const struct reading *reading = slot->data; /* in place, without a copy */

    if (slot->length != sizeof *reading || reading->number != slot->id) {
        fprintf(stderr, "message %" PRIu64 " is not the reading of that number\n", slot->id);
        return 1;
    }
    for (int channel = 0; channel < 8; channel++) {
        if (reading->celsius[channel] != celsius_of(reading->number, channel)) {
            fprintf(stderr, "reading %" PRIu64 " has a channel that was not measured with it\n", reading->number);
            return 1;
        }
    }
    if (next != 0 && slot->id != next + slot->missed) {
        fprintf(stderr, "reading %" PRIu64 " came after %" PRIu64 ", and said that %" PRIu64 " passed by\n", slot->id,
                next - 1, slot->missed);
        return 1;
    }
    return 0;
}

static int draw(datablock_consumer consumer, uint64_t count)
{
    uint64_t read = 0, missed = 0, next = 0;

    while (read < count && !stop) {
        datablock_read_slot slot;
        datablock_status status = datablock_read_begin(consumer, PATIENCE_MS, &slot);
        if (status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER) {
            /* a restarted sensor continues where the old one stopped */
            fprintf(stderr, "still waiting: %s\n", datablock_strerror(status));
            continue;
        }
        if (status != DATABLOCK_OK) /* CLOSED: the sensor has ended */
            return failed("datablock_read_begin", status);
        int wrong = check(&slot, next);
        missed += next != 0 ? slot.missed : 0;
        next = slot.id + 1;
        pause_us(DRAWING_US); /* the held reading does not change: the sensor writes other slots */
        wrong |= check(&slot, 0);
        status = datablock_read_end(consumer, &slot);
        if (status != DATABLOCK_OK)
            return failed("datablock_read_end", status);
        if (wrong)
            return 1;
        read++;
    }
    fprintf(stderr, "%" PRIu64 " readings drawn, %" PRIu64 " passed by\n", read, missed);
    if (missed == 0) {
        fprintf(stderr, "the reader was as fast as the sensor\n");
        return 1;
    }
    printf("%" PRIu64 " readings, each whole and newer than the one before, more passed by\n", read);
    return 0;
}

static int reader(const datablock_schema *schema, uint64_t count)
{
    datablock_consumer consumer;

    datablock_status status = attach(schema, &consumer);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_open", status);

    int result = draw(consumer, count);

    status = datablock_consumer_close(consumer);
    return status == DATABLOCK_OK ? result : failed("datablock_consumer_close", status);
}

int main(int argc, char **argv)
{
    const struct sigaction action = {.sa_handler = on_stop};
    datablock_schema schema;
    int result = 2;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    datablock_status status = datablock_schema_describe("Reading", 1, 0, 0, &reading_layout, &schema);
    if (status != DATABLOCK_OK)
        return failed("datablock_schema_describe", status);
    if (argc == 2 && strcmp(argv[1], "sensor") == 0)
        result = sensor(&schema);
    else if (argc == 3 && strcmp(argv[1], "reader") == 0)
        result = reader(&schema, strtoull(argv[2], NULL, 10));
    else
        fprintf(stderr, "usage: sensor_stream sensor | reader COUNT\n");
    datablock_schema_free(&schema);
    return result;
}
