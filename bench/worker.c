/*
 * One side of an exchange through DataBlock, in C. The same source is compiled twice: with the
 * inline functions (BENCH_INLINE), and with the exported ones.
 */
#include "measure.h"

#ifdef BENCH_INLINE
#include <datablock_inline.h>
#else
#include <datablock.h>
#endif

enum { MOST_ROWS = 64 };

static void must(datablock_status status, const char *call) {
    if (status != DATABLOCK_OK) {
        die("%s: %s: %s", call, datablock_strerror(status), datablock_error_detail());
    }
}

#define MUST(call) must(call, #call)

/* ---- Opening --------------------------------------------------------------------------------- */

static datablock_producer open_producer(const char *name, datablock_config config) {
    datablock_producer producer;
    MUST(datablock_producer_open(name, &config, &producer));
    return producer;
}

static datablock_config config_of(size_t slots, size_t size, size_t rows) {
    datablock_config config;
    MUST(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = (uint32_t)slots;
    config.slot_size = size;
    config.consumer_limit = (uint32_t)rows;
    return config;
}

/* The configuration of the block from the arguments. */
static datablock_config config_given(void) {
    datablock_config config = config_of(whole_argument("slots"), whole_argument("size"), whole_argument("limit"));
    config.checksum = (uint32_t)whole_argument("checksum");
    config.algorithm = (uint32_t)whole_argument("algorithm");
    config.flags |= whole_argument("reclaim") != 0 ? (uint32_t)DATABLOCK_FLAG_RECLAIM : 0;
    return config;
}

/* Attaches as soon as the block exists. */
static datablock_consumer open_consumer(const char *name, uint32_t delivery) {
    datablock_consumer consumer;
    datablock_consumer_options options;
    datablock_status status;
    MUST(datablock_consumer_options_init(&options));
    options.delivery = delivery;
    for (int tries = 0; (status = datablock_consumer_open(name, &options, &consumer)) == DATABLOCK_E_NOT_FOUND &&
         tries < 10000; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    must(status, "datablock_consumer_open");
    return consumer;
}

static uint32_t delivery_given(void) {
    const char *text = text_argument("delivery");
    return strcmp(text, "lossless") == 0 ? DATABLOCK_LOSSLESS : strcmp(text, "ordered") == 0 ? DATABLOCK_ORDERED
        : DATABLOCK_LATEST;
}

typedef struct rows {
    datablock_consumer consumer[MOST_ROWS];
    size_t count;
} rows;

static rows open_rows(const char *name, size_t count, uint32_t delivery) {
    rows rows = {.count = count};
    if (count > MOST_ROWS) {
        die("%zu rows, at most %d", count, MOST_ROWS);
    }
    for (size_t i = 0; i < count; i++) {
        rows.consumer[i] = open_consumer(name, delivery);
    }
    return rows;
}

/* ---- One message ----------------------------------------------------------------------------- */

typedef struct terms {
    size_t size;     /* of a message */
    bool copy;       /* true: the payload is copied in and out; false: it is not touched */
    bool manual;     /* true: separate calls compute and compare the checksum */
    int64_t timeout; /* of each call: 0 (poll) or -1 (wait) */
    void *source, *target;
} terms;

static terms terms_given(void) {
    size_t size = whole_argument("size");
    return (terms){.size = size,
                   .copy = whole_argument("copy") != 0,
                   .manual = whole_argument("checksum") == DATABLOCK_CHECKSUM_MANUAL,
                   .timeout = whole_argument("block") ? -1 : 0,
                   .source = buffer_of(size),
                   .target = buffer_of(size)};
}

static inline void send(datablock_producer producer, const terms *t) {
    datablock_write_slot slot;
    datablock_status status;
    while ((status = datablock_write_begin(producer, t->timeout, &slot)) == DATABLOCK_E_TIMEOUT) {
    }
    must(status, "datablock_write_begin");
    if (t->copy) {
        memcpy(slot.data, t->source, t->size);
    }
    if (t->manual) {
        MUST(datablock_write_checksum(producer, &slot, t->size));
    }
    MUST(datablock_write_commit(producer, &slot, t->size));
}

/* Returns false when the stream is over. */
static inline bool receive(datablock_consumer consumer, const terms *t) {
    datablock_read_slot slot;
    datablock_status status;
    do {
        status = datablock_read_begin(consumer, t->timeout, &slot);
    } while (status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER);
    if (status == DATABLOCK_E_CLOSED) {
        return false;
    }
    must(status, "datablock_read_begin");
    if (t->copy) {
        memcpy(t->target, slot.data, slot.length);
    }
    if (t->manual) {
        MUST(datablock_read_verify(consumer, &slot));
    }
    MUST(datablock_read_end(consumer, &slot));
    return true;
}

static inline bool receive_all(const rows *rows, const terms *t) {
    for (size_t i = 0; i < rows->count; i++) {
        if (!receive(rows->consumer[i], t)) {
            return false;
        }
    }
    return true;
}

/* ---- Two sides ------------------------------------------------------------------------------- */

/* A round trip: one message to all rows, and one message back to one row. */
static void play_pong(void) {
    size_t side = whole_argument("side");
    terms t = terms_given();
    datablock_producer out = open_producer(side == 0 ? "there" : "back", config_given());
    rows in = open_rows(side == 0 ? "back" : "there", side == 0 ? 1 : whole_argument("rows"), delivery_given());
    rest_as_given();
    if (side == 0) {
        make_room(real_argument("seconds"));
        rendezvous();
        TIME_ROUND_TRIPS({
            send(out, &t);
            receive_all(&in, &t);
        });
        MUST(datablock_producer_close(out));
        answer_samples(2);
        return;
    }
    rendezvous();
    while (receive_all(&in, &t)) {
        if (rest_ticks != 0) {
            rest(ticks());
        }
        send(out, &t);
    }
    MUST(datablock_producer_close(out));
}

static void play_produce(void) {
    terms t = terms_given();
    size_t batch = batch_of(t.size);
    datablock_producer producer = open_producer("stream", config_given());
    rendezvous();
    uint64_t begun = ticks(), messages = 0;
    window w = window_from(begun);
    do {
        for (size_t i = 0; i < batch; i++) {
            send(producer, &t);
        }
        messages += batch;
    } while (ticks() < w.until);
    MUST(datablock_producer_close(producer));
    answer_rate(messages, ticks() - begun);
}

static void play_consume(void) {
    terms t = terms_given();
    size_t batch = batch_of(t.size);
    rows rows = open_rows("stream", whole_argument("rows"), delivery_given());
    rate rate = {0};
    rendezvous();
    while (receive_all(&rows, &t)) {
        if (++rate.messages % batch == 0) {
            rate_look(&rate);
        }
    }
    answer_stream(&rate);
}

/* ---- The producer's cost of rows ------------------------------------------------------------- */

enum { BURST = 64 };

/* Measures bursts. If the rows follow, it waits after each burst until all of them have read
 * everything. */
static void play_cost(void) {
    terms t = terms_given();
    bool followed = whole_argument("follow") != 0;
    datablock_producer producer = open_producer("cost", config_given());
    datablock_consumer done = {0};
    if (followed) {
        done = open_consumer("done", DATABLOCK_LOSSLESS);
    }
    make_room(real_argument("seconds"));
    rendezvous();
    for (window w = window_from(ticks()); ticks() < w.until;) {
        uint64_t begun = ticks();
        for (int i = 0; i < BURST; i++) {
            send(producer, &t);
        }
        uint64_t now = ticks();
        if (begun >= w.from) {
            record(now - begun);
        }
        if (followed) {
            receive(done, &t);
        }
    }
    MUST(datablock_producer_close(producer));
    answer_samples(BURST);
}

/* The rows, which read everything or nothing. */
static void play_rows(void) {
    terms t = terms_given();
    bool follow = whole_argument("follow") != 0;
    datablock_producer done = open_producer("done", config_of(8, t.size, 1));
    rows rows = open_rows("cost", whole_argument("rows"), delivery_given());
    rendezvous();
    if (follow) {
        for (uint64_t messages = 1; receive_all(&rows, &t); messages++) {
            if (messages % BURST == 0) {
                send(done, &t);
            }
        }
    } else {
        char line[64];
        while (next_line(line, sizeof line)) { /* stays attached until the other side has finished */
        }
    }
    MUST(datablock_producer_close(done));
}

/* ---- One side: opening and diagnosing -------------------------------------------------------- */

static void play_attach(void) {
    datablock_producer producer = open_producer("block", config_given());
    make_room(real_argument("seconds"));
    rendezvous();
    for (window w = window_from(ticks()); ticks() < w.until;) {
        uint64_t begun = ticks();
        datablock_consumer consumer;
        MUST(datablock_consumer_open("block", NULL, &consumer));
        uint64_t now = ticks();
        if (begun >= w.from) {
            record(now - begun);
        }
        MUST(datablock_consumer_close(consumer));
    }
    MUST(datablock_producer_close(producer));
    answer_samples(1);
}

static void play_adopt(void) {
    datablock_config config = config_given();
    terms t = terms_given();
    datablock_producer producer = open_producer("block", config);
    for (uint32_t i = 0; i < config.slot_count; i++) {
        send(producer, &t);
    }
    make_room(real_argument("seconds"));
    rendezvous();
    for (window w = window_from(ticks()); ticks() < w.until;) {
        MUST(datablock_producer_close(producer));
        uint64_t begun = ticks();
        MUST(datablock_producer_open("block", &config, &producer));
        uint64_t now = ticks();
        if (begun >= w.from) {
            record(now - begun);
        }
    }
    MUST(datablock_producer_close(producer));
    answer_samples(1);
}

static void play_diagnose(void) {
    enum { SPARE = 10, SLOTS = 1024 };
    static SlotDiagnostic found[SLOTS];
    datablock_config config = config_of(SLOTS - SPARE, 64, 1);
    config.spare_slots = SPARE;
    datablock_producer producer = open_producer("block", config);
    make_room(real_argument("seconds"));
    rendezvous();
    for (window w = window_from(ticks()); ticks() < w.until;) {
        size_t count = 0;
        uint64_t begun = ticks();
        int result = datablock_diagnose_all_slots("block", found, SLOTS, &count);
        uint64_t now = ticks();
        if (result != 0 || count != SLOTS) {
            die("datablock_diagnose_all_slots: %d, %zu slots: %s", result, count, datablock_error_detail());
        }
        if (begun >= w.from) {
            record(now - begun);
        }
    }
    MUST(datablock_producer_close(producer));
    answer_samples(1);
}

/* ---- One side: backpressure of a reader that is killed --------------------------------------- */

/* For each line of input: writes until backpressure, and prints the time at which it resumed. */
static void play_fill(void) {
    terms t = terms_given();
    datablock_config config = config_given();
    datablock_producer producer = open_producer("death", config);
    char line[64];
    t.timeout = -1;
    say("ready");
    while (next_line(line, sizeof line)) {
        for (uint32_t i = 0; i < config.slot_count; i++) {
            send(producer, &t);
        }
        say("held");
        send(producer, &t);
        printf("{\"at_ns\": %llu}\n", (unsigned long long)monotonic_ns());
        fflush(stdout);
    }
    MUST(datablock_producer_close(producer));
}

static void play_hold(void) {
    open_consumer("death", DATABLOCK_LOSSLESS);
    rendezvous();
}

/* ---- One side: memory ------------------------------------------------------------------------ */

static uint64_t bytes_of(uint32_t slots, uint32_t spare, uint64_t size) {
    datablock_config config = config_of(slots, size, 64);
    datablock_block_info info;
    size_t count;
    config.spare_slots = spare;
    datablock_producer producer = open_producer("memory", config);
    MUST(datablock_list(NULL, &info, 1, &count));
    MUST(datablock_producer_close(producer));
    MUST(datablock_unlink("memory", 0));
    return info.total_bytes;
}

/* Memory comes in whole pages. The number of slots is so large that this does not matter. */
static void play_memory(void) {
    enum { SIZE = 64, FEW = 2, MANY = 1 << 14 };
    terms t = {.size = SIZE, .copy = true, .timeout = 0, .source = buffer_of(SIZE), .target = buffer_of(SIZE)};
    rendezvous();
    datablock_producer producer = open_producer("resident", config_of(8, SIZE, 1));
    datablock_consumer consumer = open_consumer("resident", DATABLOCK_LOSSLESS);
    for (int i = 0; i < 10000; i++) {
        send(producer, &t);
        receive(consumer, &t);
    }
    long resident = resident_kb();
    MUST(datablock_consumer_close(consumer));
    MUST(datablock_producer_close(producer));
    MUST(datablock_unlink("resident", 0));
    uint64_t least = bytes_of(1, FEW, SIZE);
    double slot = (double)(bytes_of(1, FEW + MANY, SIZE) - least) / MANY;
    double message = (double)(bytes_of(1 + MANY, FEW, SIZE) - least) / MANY;
    printf("{\"resident_kb\": %ld, \"fixed_bytes\": %.0f, \"slot_bytes\": %.2f, \"entry_bytes\": %.2f}\n", resident,
           (double)least - (1 + FEW) * slot - (message - slot), slot - SIZE, message - slot);
}

int main(int argc, char **argv) {
    static const role roles[] = {
        {"pong", play_pong},     {"produce", play_produce}, {"consume", play_consume},   {"cost", play_cost},
        {"rows", play_rows},     {"attach", play_attach},   {"adopt", play_adopt},       {"diagnose", play_diagnose},
        {"fill", play_fill},     {"hold", play_hold},       {"memory", play_memory},     {NULL, NULL},
    };
    return play_role(argc, argv, roles);
}
