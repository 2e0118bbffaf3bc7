/*
 * holder BLOCK latest|lossless: reads one message and keeps hold of its slot for ever, as a reader that hangs does. The demo kills it there.
 *
 * A LATEST (or ORDERED) reader takes one spare slot from the producer and hurts nobody. A LOSSLESS one holds the producer up, as soon as the ring is full: that is what
 * it asked for.
 */
#define _XOPEN_SOURCE 700
#include <string.h>
#include <unistd.h>

#include "program.h"

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

int main(int argc, char **argv)
{
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_read_slot slot;
    datablock_status status;

    if (argc != 3 || (strcmp(argv[2], "latest") != 0 && strcmp(argv[2], "lossless") != 0)) {
        fprintf(stderr, "usage: holder BLOCK latest|lossless\n");
        return 2;
    }
    handle_signal(SIGINT, on_stop);
    handle_signal(SIGTERM, on_stop);
    setvbuf(stdout, NULL, _IOLBF, 0);

    status = datablock_consumer_options_init(&options);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_options_init", status);
    options.delivery = strcmp(argv[2], "lossless") == 0 ? DATABLOCK_LOSSLESS : DATABLOCK_LATEST;
    options.name = "holder";
    status = datablock_consumer_open(argv[1], &options, &consumer);
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_open", status);

    do {
        status = datablock_read_begin(consumer, PATIENCE_MS, &slot);
    } while (!stop && (status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER));
    if (status != DATABLOCK_OK && !stop)
        return failed("datablock_read_begin", status);
    if (status == DATABLOCK_OK)
        printf("holding message %llu in slot %u\n", (unsigned long long)slot.id, slot.index);
    while (!stop)
        sleep(1);

    status = datablock_consumer_close(consumer); /* releases the slot, too */
    if (status != DATABLOCK_OK)
        return failed("datablock_consumer_close", status);
    return 0;
}
