#include <datablock.h>
#include <stdio.h>

int main(void) {
    datablock_config config;
    datablock_producer producer = {0};
    datablock_write_slot slot;
    datablock_config_init(&config, DATABLOCK_RING);
    config.slot_size = 64;
    datablock_status status = datablock_producer_open("hello", &config, &producer);
    for (int i = 0; i < 5 && status == DATABLOCK_OK; i++) {
        status = datablock_write_begin(producer, -1, &slot);
        if (status == DATABLOCK_OK) {
            int length = snprintf(slot.data, slot.capacity, "greeting %d from C", i);
            status = datablock_write_commit(producer, &slot, (size_t)length);
        }
    }
    if (status != DATABLOCK_OK)
        fprintf(stderr, "%s\n", datablock_error_detail());
    return datablock_producer_close(producer) != DATABLOCK_OK || status != DATABLOCK_OK;
}
