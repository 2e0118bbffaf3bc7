/*
 * slow BLOCK: a consumer that is busy with other work. It is ORDERED: meanwhile the producer
 * continues, and the next message has the number of missed messages.
 *
 * The consumer checks this number against the ids, and the CRC of every message. The exit status is
 * not zero if a message was damaged, or missing without being counted.
 */
#define _XOPEN_SOURCE 700
#include <time.h>

#include "program.h"
#include "sample.h"

enum { BUSY_EVERY = 1000 /* messages */, BUSY_MS = 400 /* longer than the ring lasts */ };

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

static struct {
    uint64_t first, next; /* the ids of the first message, and after the last one */
    uint64_t read, skipped, lost, crc_failures;
} stream;

static void check(const datablock_read_slot *slot)
{
    const struct sample *sample = slot->data; /* in place, without a copy */

    if (stream.read == 0)
        stream.first = stream.next = slot->id;
    else
        stream.skipped += slot->missed;
    if (stream.read != 0 && slot->id - stream.next != slot->missed) {
        fprintf(stderr, "message %llu came instead of %llu, and said that %llu were skipped\n",
                (unsigned long long)slot->id, (unsigned long long)stream.next, (unsigned long long)slot->missed);
        stream.lost++;
    }
    stream.next = slot->id + 1;
    stream.read++;
    if (slot->length != sizeof *sample || sample->id != slot->id || sample->crc != sample_crc(sample)) {
        fprintf(stderr, "message %llu is damaged\n", (unsigned long long)slot->id);
        stream.crc_failures++;
    }
}

static int run(datablock_consumer consumer)
{
    const struct timespec busy = {BUSY_MS / 1000, BUSY_MS % 1000 * 1000000L};
    datablock_read_slot slot;

    for (uint64_t until_busy = BUSY_EVERY; !stop;) {
        datablock_status status = datablock_read_begin(consumer, PATIENCE_MS, &slot);
        /* No message, or no producer: keep reading, because a restarted producer continues with the
         * next id. */
        if (status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER)
            continue;
        if (status == DATABLOCK_E_CLOSED)
            break; /* the producer has ended the stream, and every message has been read */
        if (status != DATABLOCK_OK)
            return failed("datablock_read_begin", status);
        check(&slot);
        if (slot.missed != 0)
            printf("%llu messages passed by, the next is %llu\n", (unsigned long long)slot.missed,
                   (unsigned long long)slot.id);
        /* After this call the producer may reuse the slot. */
        status = datablock_read_end(consumer, &slot);
        if (status != DATABLOCK_OK)
            return failed("datablock_read_end", status);
        if (--until_busy == 0) {
            nanosleep(&busy, NULL);
            until_busy = BUSY_EVERY;
        }
    }
    printf("result: read %llu first %llu next %llu skipped %llu crc_failures %llu\n", (unsigned long long)stream.read,
           (unsigned long long)stream.first,
           (unsigned long long)stream.next, (unsigned long long)stream.skipped,
               (unsigned long long)stream.crc_failures);
    return stream.lost == 0 && stream.crc_failures == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_status status;

    if (argc != 2) {
        fprintf(stderr, "usage: slow BLOCK\n");
        return 2;
    }
    handle_signal(SIGINT, on_stop);
    handle_signal(SIGTERM, on_stop);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a pipe gets each line at once */

    status = datablock_consumer_options_init(&options);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_options_init", status);
    options.delivery = DATABLOCK_ORDERED;
    options.start = DATABLOCK_START_OLDEST;
    options.name = "slow";
    status = datablock_consumer_open(argv[1], &options, &consumer);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_open", status);
    int result = run(consumer);

    status = datablock_consumer_close(consumer);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_close", status);
    return result;
}
