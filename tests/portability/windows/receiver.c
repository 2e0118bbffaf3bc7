/*
 * Reads what sender.c has written, and compares every byte. It includes no header but DataBlock's,
 * so that clang can compile it for Microsoft's target, whose own headers do not exist here.
 */
#include <datablock_inline.h>

int printf(const char *format, ...);

static uint64_t next(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static int failed(const char *what) {
    printf("%s: %s\n", what, datablock_error_detail());
    return 1;
}

/* True: the message is the next one of the generator. */
static bool equal(const datablock_read_slot *slot, uint64_t *state) {
    if (slot->length != next(state) % 65) {
        return false;
    }
    for (size_t at = 0; at < slot->length; at++) {
        if (((const unsigned char *)slot->data)[at] != (unsigned char)next(state)) {
            return false;
        }
    }
    return true;
}

int main(void) {
    uint64_t state = 1;
    int count = 0;
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_read_slot slot;
    datablock_status status;
    if (datablock_consumer_options_init(&options) != DATABLOCK_OK) {
        return failed("options");
    }
    options.delivery = DATABLOCK_LOSSLESS;
    options.start = DATABLOCK_START_OLDEST;
    options.wait_ms = 60000;
    if (datablock_consumer_open("package", &options, &consumer) != DATABLOCK_OK) {
        return failed("open");
    }
    while ((status = datablock_read_begin(consumer, 60000, &slot)) == DATABLOCK_OK) {
        if (slot.missed != 0 || !equal(&slot, &state)) {
            printf("message %d differs\n", count);
            return 1;
        }
        if (datablock_read_end(consumer, &slot) != DATABLOCK_OK) {
            return failed("end");
        }
        count++;
    }
    if (status != DATABLOCK_E_CLOSED || datablock_consumer_close(consumer) != DATABLOCK_OK) {
        return failed("read");
    }
    printf("received %d\n", count);
    return 0;
}
