#include <datablock.h>
#include <stdio.h>

int main(void)
{
    datablock_config config;
    datablock_producer producer;
    datablock_write_slot slot;

    datablock_config_init(&config, DATABLOCK_RING);
    config.slot_size = 64;
    if (datablock_producer_open("hello", &config, &producer) != DATABLOCK_OK) {
        fprintf(stderr, "%s\n", datablock_error_detail());
        return 1;
    }
    for (int i = 0; i < 5; i++) {
        datablock_write_begin(producer, -1, &slot);
        int n = snprintf(slot.data, slot.capacity, "greeting %d from C", i);
        datablock_write_commit(producer, &slot, (size_t)n);
    }
    datablock_producer_close(producer);
    return 0;
}
