/* A program of two units that include the inline header. One unit begins an operation, the other
 * one ends it, on the same handles, and each of them uses its own inline code. */
#include <datablock.h>
#include <stdio.h>
#include <stdlib.h>

#include "units.h"

long points;

static void check(int good, int line) {
    if (!good) {
        fprintf(stderr, "line %d: %s\n", line, datablock_error_detail());
        exit(1);
    }
}
#define CHECK(condition) check(condition, __LINE__)

struct unit {
    datablock_status (*claim)(datablock_producer, datablock_write_slot *);
    datablock_status (*commit)(datablock_producer, const datablock_write_slot *);
    datablock_status (*abort)(datablock_producer, const datablock_write_slot *);
    datablock_status (*read)(datablock_consumer, datablock_read_slot *);
    datablock_status (*end)(datablock_consumer, const datablock_read_slot *);
};

#define UNIT(name) {name##_claim, name##_commit, name##_abort, name##_read, name##_end}
static const struct unit units[2] = {UNIT(first), UNIT(second)};

/* The call succeeded, in inline code. */
#define INLINE(call)                                                                                      \
    do {                                                                                                  \
        long before = points;                                                                             \
        CHECK((call) == DATABLOCK_OK);                                                                    \
        CHECK(points > before);                                                                           \
    } while (0)

int main(void) {
    datablock_config config;
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_write_slot out;
    datablock_read_slot in;
    CHECK(datablock_config_init(&config, DATABLOCK_RING) == DATABLOCK_OK);
    config.slot_size = 8;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    CHECK(datablock_producer_open("units", &config, &producer) == DATABLOCK_OK);
    CHECK(datablock_consumer_open("units", NULL, &consumer) == DATABLOCK_OK);
    for (uint64_t i = 0; i < 64; i++) {
        const struct unit *one = &units[i % 2], *other = &units[i / 2 % 2];
        INLINE(one->claim(producer, &out));
        INLINE(other->abort(producer, &out));
        INLINE(other->claim(producer, &out));
        CHECK(out.id == i);
        INLINE(one->commit(producer, &out));
        CHECK(one->read(consumer, &in) == DATABLOCK_OK && in.id == i);
        INLINE(other->end(consumer, &in));
    }
    CHECK(datablock_consumer_close(consumer) == DATABLOCK_OK);
    CHECK(datablock_producer_close(producer) == DATABLOCK_OK);
    return 0;
}
