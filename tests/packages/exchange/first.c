/* The consumer of README.md in C: prints the messages of hello.c until the end of the stream. */

#include <datablock.h>
#include <stdio.h>

int main(void) {
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_read_slot slot;
    datablock_consumer_options_init(&options);
    options.start = DATABLOCK_START_OLDEST;
    datablock_status status = datablock_consumer_open("hello", &options, &consumer);
    while (status == DATABLOCK_OK && (status = datablock_read_begin(consumer, -1, &slot)) == DATABLOCK_OK) {
        printf("message %llu: %.*s\n", (unsigned long long)slot.id, (int)slot.length, (const char *)slot.data);
        status = datablock_read_end(consumer, &slot);
    }
    if (status != DATABLOCK_E_CLOSED) {
        fprintf(stderr, "%s\n", datablock_error_detail());
        return 1;
    }
    return datablock_consumer_close(consumer) != DATABLOCK_OK;
}
