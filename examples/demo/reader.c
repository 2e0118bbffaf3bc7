/*
 * reader BLOCK latest|lossless: reads every message and does nothing with it. SIGUSR1 makes it
 * hang: it reads one more message and does not release it. The demo kills it there.
 *
 * A hanging LATEST or ORDERED reader keeps one spare slot from the producer, without other effects.
 * A hanging LOSSLESS reader causes backpressure as soon as the ring is full, as its delivery
 * requires.
 */
#define _XOPEN_SOURCE 700
#include <string.h>
#include <unistd.h>

#include "program.h"

static volatile sig_atomic_t stop, hang;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

static void on_hang(int number)
{
    (void)number;
    hang = 1;
}

static int read_until_stopped(datablock_consumer consumer)
{
    while (!stop) {
        datablock_read_slot slot;
        datablock_status status = datablock_read_begin(consumer, PATIENCE_MS, &slot);
        if (status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER)
            continue;
        if (status == DATABLOCK_E_CLOSED)
            break;
        if (status != DATABLOCK_OK)
            return failed("datablock_read_begin", status);
        if (hang) {
            printf("holding message %llu in slot %u\n", (unsigned long long)slot.id, slot.index);
            while (!stop)
                sleep(1);
        }
        status = datablock_read_end(consumer, &slot);
        if (status != DATABLOCK_OK)
            return failed("datablock_read_end", status);
    }
    return 0;
}

int main(int argc, char **argv)
{
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_status status;
    int result;

    if (argc != 3 || (strcmp(argv[2], "latest") != 0 && strcmp(argv[2], "lossless") != 0)) {
        fprintf(stderr, "usage: reader BLOCK latest|lossless\n");
        return 2;
    }
    handle_signal(SIGINT, on_stop);
    handle_signal(SIGTERM, on_stop);
    handle_signal(SIGUSR1, on_hang);
    setvbuf(stdout, NULL, _IOLBF, 0);

    status = datablock_consumer_options_init(&options);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_options_init", status);
    options.delivery = strcmp(argv[2], "lossless") == 0 ? DATABLOCK_LOSSLESS : DATABLOCK_LATEST;
    options.name = "reader";
    status = datablock_consumer_open(argv[1], &options, &consumer);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_open", status);

    result = read_until_stopped(consumer);
    status = datablock_consumer_close(consumer);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_close", status);
    return result;
}
