/* Includes the public header alone, twice, and checks the parts of its ABI that can never change.
 * Compiled as C99, C11, C++17 and C++20. */
#include "datablock.h"
#include "datablock.h"

/* C99 has no static assertion: a false condition makes an array of negative size. */
#define CHECK_JOIN(a, b) a##b
#define CHECK_NAME(a, b) CHECK_JOIN(a, b)
#define CHECK(condition) typedef char CHECK_NAME(check_, __LINE__)[(condition) ? 1 : -1]
#define CHECK_FIELD(type, field, at) CHECK(offsetof(type, field) == (at))

CHECK(DATABLOCK_OK == 0);
CHECK(sizeof(datablock_status) == 4);
CHECK(sizeof(datablock_producer) == 8);
CHECK(sizeof(datablock_consumer) == 8);

CHECK(sizeof(SlotDiagnostic) == 56);
CHECK_FIELD(SlotDiagnostic, slot_id, 0);
CHECK_FIELD(SlotDiagnostic, slot_index, 8);
CHECK_FIELD(SlotDiagnostic, slot_state, 12);
CHECK_FIELD(SlotDiagnostic, write_lock, 16);
CHECK_FIELD(SlotDiagnostic, reader_count, 24);
CHECK_FIELD(SlotDiagnostic, write_generation, 32);
CHECK_FIELD(SlotDiagnostic, writer_waiting, 40);
CHECK_FIELD(SlotDiagnostic, is_stuck, 41);
CHECK_FIELD(SlotDiagnostic, stuck_duration_ms, 48);

CHECK(RECOVERY_SUCCESS == 0);
CHECK(RECOVERY_FAILED == 1);
CHECK(RECOVERY_UNSAFE == 2);
CHECK(RECOVERY_NOT_STUCK == 3);
CHECK(RECOVERY_INVALID_SLOT == 4);

CHECK(sizeof(datablock_write_slot) == 32);
CHECK_FIELD(datablock_write_slot, capacity, 8);
CHECK_FIELD(datablock_write_slot, id, 16);
CHECK_FIELD(datablock_write_slot, index, 24);

CHECK(sizeof(datablock_read_slot) == 48);
CHECK_FIELD(datablock_read_slot, length, 8);
CHECK_FIELD(datablock_read_slot, id, 16);
CHECK_FIELD(datablock_read_slot, timestamp_ns, 24);
CHECK_FIELD(datablock_read_slot, missed, 32);
CHECK_FIELD(datablock_read_slot, index, 40);
CHECK_FIELD(datablock_read_slot, token, 44);

CHECK_FIELD(datablock_config, size, 0);
CHECK_FIELD(datablock_config, flags, 4);
CHECK_FIELD(datablock_config, policy, 8);
CHECK_FIELD(datablock_config, slot_count, 12);
CHECK_FIELD(datablock_config, spare_slots, 16);
CHECK_FIELD(datablock_config, alignment, 20);
CHECK_FIELD(datablock_config, slot_size, 24);
CHECK_FIELD(datablock_config, consumer_limit, 32);
CHECK_FIELD(datablock_config, min_consumers, 36);
CHECK_FIELD(datablock_config, mode, 40);
CHECK_FIELD(datablock_config, directory, 48);
CHECK_FIELD(datablock_config, secret, 56);
CHECK_FIELD(datablock_config, secret_length, 64);
CHECK(offsetof(datablock_config, algorithm) == 136);
CHECK(sizeof(datablock_config) == 144);

CHECK_FIELD(datablock_consumer_options, size, 0);
CHECK_FIELD(datablock_consumer_options, delivery, 4);
CHECK_FIELD(datablock_consumer_options, start, 8);
CHECK_FIELD(datablock_consumer_options, max_pins, 12);
CHECK_FIELD(datablock_consumer_options, durable, 16);
CHECK_FIELD(datablock_consumer_options, name, 24);
CHECK_FIELD(datablock_consumer_options, directory, 32);
CHECK_FIELD(datablock_consumer_options, secret, 40);
CHECK_FIELD(datablock_consumer_options, secret_length, 48);
CHECK(offsetof(datablock_consumer_options, wait_ms) == 120);
CHECK(sizeof(datablock_consumer_options) == 128);

CHECK_FIELD(datablock_block_info, checksum, 204);
CHECK_FIELD(datablock_block_info, algorithm, 206);
CHECK_FIELD(datablock_block_info, total_bytes, 208);
CHECK_FIELD(datablock_block_info, next_id, 224);
CHECK_FIELD(datablock_block_info, producer_pid, 232);
CHECK_FIELD(datablock_block_info, slot_count, 240);
CHECK_FIELD(datablock_block_info, state, 260);
CHECK(sizeof(datablock_block_info) == 264);
