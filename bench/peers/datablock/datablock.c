/* DataBlock itself: claim, fill, commit; and read in place, out of the slot. In batches: one call
 * writes what the program has collected, and one call reads what is there. */
#include "../../measure.h"

#ifdef BENCH_INLINE
#include <datablock_inline.h>
#else
#include <datablock.h>
#endif

enum { MOST = 64 }; /* messages of a batch */

struct out {
    datablock_producer producer;
    int64_t timeout;
    size_t batch, collected;
    datablock_message messages[MOST];
    unsigned char *buffer; /* of a batch */
    size_t size;           /* of a message */
};

struct in {
    datablock_consumer consumer;
    int64_t timeout;
    size_t batch, count, taken;
    datablock_read_slot slots[MOST];
};

static void must(datablock_status status, const char *call) {
    if (status != DATABLOCK_OK) {
        die("%s: %s: %s", call, datablock_strerror(status), datablock_error_detail());
    }
}

#define MUST(call) must(call, #call)

static size_t batch_given(const char *side) {
    size_t batch = whole_argument(side);
    if (batch < 1 || batch > MOST) {
        die("a batch of %zu messages: 1 to %d", batch, MOST);
    }
    return batch;
}

static int64_t timeout_given(void) { return whole_argument("block") ? -1 : 0; }

static void out_open(struct out *o, const char *name) {
    datablock_config config;
    MUST(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = (uint32_t)whole_argument("slots");
    config.slot_size = whole_argument("size");
    config.consumer_limit = 1;
    if (whole_argument("reclaim") != 0) {
        config.flags |= DATABLOCK_FLAG_RECLAIM;
    }
    MUST(datablock_producer_open(name, &config, &o->producer));
    o->timeout = timeout_given();
    o->batch = batch_given("write_batch");
    o->collected = 0;
    o->size = config.slot_size;
    o->buffer = o->batch > 1 ? (unsigned char *)buffer_of(o->batch * o->size) : NULL;
}

static void in_open(struct in *i, const char *name) {
    datablock_consumer_options options;
    datablock_status status;
    MUST(datablock_consumer_options_init(&options));
    options.delivery = DATABLOCK_LOSSLESS;
    options.start = DATABLOCK_START_OLDEST;
    options.durable = whole_argument("durable") != 0;
    options.name = "reader";
    for (int tries = 0; (status = datablock_consumer_open(name, &options, &i->consumer)) ==
                            DATABLOCK_E_NOT_FOUND &&
                        tries < 10000;
         tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    must(status, "datablock_consumer_open");
    i->timeout = timeout_given();
    i->batch = batch_given("read_batch");
    i->count = i->taken = 0;
}

static void out_connect(struct out *o) { (void)o; }

/* The messages of a batch are composed side by side, and copied once: into their slots. */
#define OUT_PLACE
static inline uint64_t *out_place(struct out *o, uint64_t *usual) {
    return o->batch > 1 ? (uint64_t *)(o->buffer + o->collected * o->size) : usual;
}

/* A slot is not returned by value. Its copy would be one load of two words that were just stored
 * one by one, and such a load waits until the stores have left the core. */
static inline void claim(struct out *o, datablock_write_slot *slot) {
    datablock_status status;
    while ((status = datablock_write_begin(o->producer, o->timeout, slot)) == DATABLOCK_E_TIMEOUT) {
    }
    must(status, "datablock_write_begin");
}

/* While a writer is dead or has not come yet, the call says so at once. The next writer comes. */
static inline void take(struct in *i, datablock_read_slot *slot) {
    datablock_status status;
    do {
        status = datablock_read_begin(i->consumer, i->timeout, slot);
    } while (status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER);
    must(status, "datablock_read_begin");
}

static inline uint64_t number_of(const void *message) {
    uint64_t number;
    memcpy(&number, message, sizeof number);
    return number;
}

/* Adds a message to the batch, and writes the batch when it is full or the exchange ends. */
static inline void collect(struct out *o, const void *source, size_t size) {
    o->messages[o->collected++] = (datablock_message){source, size};
    if (o->collected < o->batch && number_of(source) != UINT64_MAX) {
        return;
    }
    for (size_t done = 0, written; done < o->collected; done += written) {
        datablock_status status = datablock_write_batch(o->producer, o->timeout, o->messages + done,
                                                        o->collected - done, &written);
        if (status != DATABLOCK_E_TIMEOUT) {
            must(status, "datablock_write_batch");
        }
    }
    o->collected = 0;
}

static inline void out_send(struct out *o, const void *source, size_t size) {
    if (o->batch > 1) {
        collect(o, source, size);
        return;
    }
    datablock_write_slot slot;
    claim(o, &slot);
    memcpy(slot.data, source, size);
    MUST(datablock_write_commit(o->producer, &slot, size));
}

/* The next message of the batch that is held, or of the next one. */
static inline const datablock_read_slot *next_of_batch(struct in *i) {
    if (i->taken == i->count) {
        MUST(datablock_read_batch_end(i->consumer, i->slots, i->count));
        datablock_status status;
        do {
            status = datablock_read_batch(i->consumer, i->timeout, i->slots, i->batch, &i->count);
        } while (status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER);
        must(status, "datablock_read_batch");
        i->taken = 0;
    }
    return &i->slots[i->taken++];
}

static inline void copy_out(void *target, const datablock_read_slot *slot, size_t size) {
    if (slot->length != size) {
        die("a message of %zu bytes instead of %zu", (size_t)slot->length, size);
    }
    memcpy(target, slot->data, slot->length);
}

static inline void in_receive(struct in *i, void *target, size_t size) {
    if (i->batch > 1) {
        copy_out(target, next_of_batch(i), size);
        return;
    }
    datablock_read_slot slot;
    take(i, &slot);
    copy_out(target, &slot, size);
    MUST(datablock_read_end(i->consumer, &slot));
}

static void out_stop(struct out *o, const void *source, size_t size) {
    datablock_write_slot slot;
    claim(o, &slot);
    memcpy(slot.data, source, size / 2);
}

static void in_stop(struct in *i, void *target, size_t size) {
    datablock_read_slot slot;
    take(i, &slot);
    memcpy(target, slot.data, size / 2);
}

static void out_close(struct out *o) { MUST(datablock_producer_close(o->producer)); }
static void in_close(struct in *i) { MUST(datablock_consumer_close(i->consumer)); }

#include "../peer.h"
