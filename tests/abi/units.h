/* The functions of the units; see units_main.c. */
#ifdef __cplusplus
extern "C" {
#endif
#define UNIT_FUNCTIONS(unit)                                                                              \
    datablock_status unit##_claim(datablock_producer producer, datablock_write_slot *slot);               \
    datablock_status unit##_commit(datablock_producer producer, const datablock_write_slot *slot);        \
    datablock_status unit##_abort(datablock_producer producer, const datablock_write_slot *slot);         \
    datablock_status unit##_read(datablock_consumer consumer, datablock_read_slot *slot);                 \
    datablock_status unit##_end(datablock_consumer consumer, const datablock_read_slot *slot);
UNIT_FUNCTIONS(first)
UNIT_FUNCTIONS(second)
#ifdef __cplusplus
}
#endif
