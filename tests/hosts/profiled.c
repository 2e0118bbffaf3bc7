/*
 * profiled: built with -pg, so a handler without SA_ONSTACK gets SIGPROF a hundred times for each
 * second of processor time. The program exchanges messages and diagnoses on two threads, and ends
 * by itself. Its profile is gmon.out.
 */
#include "host.h"

#include <pthread.h>

enum { SECONDS = 2 }; /* of processor time */

static void *diagnose(void *unused) {
    while (clock() < (clock_t)SECONDS * CLOCKS_PER_SEC) {
        SlotDiagnostic slots[16];
        IntegrityCheck check;
        size_t count;
        CHECK(datablock_diagnose_all_slots("profiled", slots, 16, &count) == 0);
        CHECK(datablock_validate_integrity("profiled", &check) == 0 && check.header_valid &&
              check.slot_states_valid && check.checksum_valid);
    }
    return unused;
}

int main(void) {
    datablock_config config;
    datablock_producer producer;
    datablock_consumer consumer;
    pthread_t diagnosing;
    uint64_t written = 0, read = 0;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = 4;
    config.slot_size = HOST_SLOT;
    config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    CHECK_OK(datablock_producer_open("profiled", &config, &producer));
    CHECK_OK(datablock_consumer_open("profiled", NULL, &consumer));
    CHECK(pthread_create(&diagnosing, NULL, diagnose, NULL) == 0);
    while (clock() < (clock_t)SECONDS * CLOCKS_PER_SEC) {
        uint8_t bytes[HOST_SLOT];
        datablock_read_slot slot;
        host_fill(bytes, written);
        if (CHECK_EITHER(datablock_write(producer, 1, bytes, host_length(written), NULL),
                         DATABLOCK_OK, DATABLOCK_E_TIMEOUT) == DATABLOCK_OK) {
            written++;
            continue; /* until the ring is full and a write has waited */
        }
        while (CHECK_EITHER(datablock_read_begin(consumer, 1, &slot), DATABLOCK_OK,
                            DATABLOCK_E_TIMEOUT) == DATABLOCK_OK) {
            CHECK(slot.id == read && host_right(slot.data, slot.length, read));
            CHECK_OK(datablock_read_end(consumer, &slot));
            read++;
        }
    }
    CHECK(pthread_join(diagnosing, NULL) == 0);
    CHECK(written > 0 && read > 0);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    printf("%lu messages\n", (unsigned long)written);
    return 0;
}
