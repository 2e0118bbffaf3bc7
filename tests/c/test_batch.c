/* Whole messages in one call: copies, and batches. */
#include "pair.h"

static void check_number(const datablock_read_slot *slot, uint64_t id) {
    char text[32];
    snprintf(text, sizeof text, "message %llu", (unsigned long long)id);
    CHECK(slot->id == id && slot->length == strlen(text) && memcmp(slot->data, text, slot->length) == 0);
}

/* Messages whose text is their number. `room` has the memory for the texts. */
static void number(datablock_message *messages, char (*room)[32], size_t count, uint64_t first) {
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(room[i], sizeof room[i], "message %llu", (unsigned long long)(first + i));
        messages[i] = (datablock_message){room[i], (size_t)length};
    }
}

static void write_numbers(datablock_producer producer, size_t count, uint64_t first) {
    datablock_message messages[200];
    char room[200][32];
    size_t written;
    CHECK(count <= 200);
    number(messages, room, count, first);
    CHECK_OK(datablock_write_batch(producer, 1000, messages, count, &written));
    CHECK(written == count);
}

static void write_copies(void) {
    struct pair p = open_pair("copies", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slot;
    char long_text[101] = {0};
    uint64_t id = 77;
    CHECK_OK(datablock_write(p.producer, 0, "message 0", 9, &id));
    CHECK(id == 0);
    CHECK_DETAIL(datablock_write(p.producer, 0, long_text, sizeof long_text, &id), DATABLOCK_E_INVALID,
                 "a message of 101 bytes exceeds the slot's 100 bytes");
    CHECK_DETAIL(datablock_write(p.producer, 0, NULL, 1, &id), DATABLOCK_E_INVALID, "datablock_write: data is NULL");
    CHECK_STATUS(datablock_write(p.producer, -2, "x", 1, NULL), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_write(p.producer, 0, NULL, 0, NULL));
    CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
    check_number(&slot, 0);
    CHECK_OK(datablock_read_end(p.consumer, &slot));
    CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
    CHECK(slot.id == 1 && slot.length == 0);
    CHECK_OK(datablock_read_end(p.consumer, &slot));
    close_pair(&p);
    CHECK_STATUS(datablock_write(p.producer, 0, "x", 1, NULL), DATABLOCK_E_HANDLE);
}

/* A batch is one hold, although the library takes several steps for it. */
static void batch_of_a_lossless_reader(void) {
    enum { MANY = 200 };
    struct pair p = open_pair("lossless", 256, DATABLOCK_LOSSLESS);
    datablock_read_slot slots[256];
    size_t count;
    write_numbers(p.producer, MANY, 0);
    CHECK_OK(datablock_read_batch(p.consumer, 0, slots, 150, &count));
    CHECK(count == 150);
    for (size_t i = 0; i < count; i++) {
        check_number(&slots[i], i);
    }
    CHECK_STATUS(datablock_read_end(p.consumer, &slots[1]), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_read_batch_end(p.consumer, slots, count));
    CHECK_OK(datablock_read_batch(p.consumer, 0, slots, 256, &count));
    CHECK(count == 50);
    check_number(&slots[49], MANY - 1);
    CHECK_OK(datablock_read_batch_end(p.consumer, slots, count));
    CHECK_STATUS(datablock_read_batch(p.consumer, 10, slots, 256, &count), DATABLOCK_E_TIMEOUT);
    CHECK(count == 0);
    close_pair(&p);
}

/* A held batch causes backpressure. */
static void batch_holds_the_producer_up(void) {
    struct pair p = open_pair("full", 4, DATABLOCK_LOSSLESS);
    datablock_message messages[6];
    char room[6][32];
    datablock_read_slot slots[8];
    size_t written, count;
    number(messages, room, 6, 0);
    CHECK_STATUS(datablock_write_batch(p.producer, 20, messages, 6, &written), DATABLOCK_E_TIMEOUT);
    CHECK(written == 4);
    CHECK_OK(datablock_read_batch(p.consumer, 0, slots, 8, &count));
    CHECK(count == 4);
    CHECK_STATUS(datablock_write_batch(p.producer, 0, messages + 4, 2, &written), DATABLOCK_E_TIMEOUT);
    CHECK(written == 0);
    CHECK_OK(datablock_read_batch_end(p.consumer, slots, count));
    CHECK_OK(datablock_write_batch(p.producer, 0, messages + 4, 2, &written));
    CHECK(written == 2);
    close_pair(&p);
}

static void check_waits(const char *name, uint64_t waits, uint64_t timeouts) {
    datablock_metrics metrics = {.size = sizeof metrics};
    char path[300];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    CHECK_OK(datablock_get_metrics(path, &metrics));
    CHECK(metrics.waits == waits && metrics.timeouts == timeouts);
}

/* Each message that waits is one wait, wherever a part of the call's wait ends. */
static void each_message_that_waits_is_one_wait(void) {
    struct pair p = open_pair("waits", 4, DATABLOCK_LOSSLESS);
    datablock_message messages[7];
    char room[7][32];
    datablock_copied copied;
    size_t written;
    number(messages, room, 7, 0);
    const struct {
        int64_t timeout_ms;
        size_t written;
        uint64_t waits, timeouts;
        bool read; /* afterwards the consumer reads one message */
    } calls[] = {
        {DATABLOCK_WAIT_PART(0, 0), 4, 0, 0, false},
        {DATABLOCK_WAIT_PART(5, DATABLOCK_PART_FIRST), 0, 1, 0, false}, /* message 4 */
        {DATABLOCK_WAIT_PART(5, 0), 0, 1, 0, true},
        {DATABLOCK_WAIT_PART(5, 0), 1, 2, 0, false}, /* message 5, which no part has counted */
        {DATABLOCK_WAIT_PART(5, DATABLOCK_PART_LAST), 0, 2, 1, true},
        /* message 6, in a whole wait: of 5 ms a busy machine may leave nothing for it */
        {200, 1, 3, 2, true},
        {DATABLOCK_WAIT_PART(5, DATABLOCK_PART_FIRST | DATABLOCK_PART_LAST), 1, 3, 2, false},
    };
    size_t done = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        datablock_status status =
            datablock_write_batch(p.producer, calls[i].timeout_ms, messages + done, 7 - done, &written);
        done += written;
        CHECK(status == (done == 7 ? DATABLOCK_OK : DATABLOCK_E_TIMEOUT));
        CHECK(written == calls[i].written);
        check_waits("waits", calls[i].waits, calls[i].timeouts);
        if (calls[i].read) {
            CHECK_OK(datablock_read_copy(p.consumer, 0, DATABLOCK_COPY_CUT, NULL, 0, &copied));
        }
    }
    close_pair(&p);
}

static void batch_of_an_ordered_reader(void) {
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_read_slot slots[8];
    size_t count;
    CHECK_OK(datablock_producer_open("ordered", &config, &producer));
    options.max_pins = 3;
    CHECK_OK(datablock_consumer_open("ordered", &options, &consumer));
    write_numbers(producer, 6, 0);
    CHECK_OK(datablock_read_batch(consumer, 0, slots, 8, &count));
    CHECK(count == 3 && slots[0].missed == 2 && slots[1].missed == 0);
    write_numbers(producer, 8, 6);
    for (size_t i = 0; i < count; i++) {
        check_number(&slots[i], 2 + i);
    }
    CHECK_OK(datablock_read_batch_end(consumer, slots, count));
    CHECK_STATUS(datablock_read_batch_end(consumer, slots, count), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/* The first messages of a batch end: the cursor moves past them. The rest stays held, and is
 * redelivered. */
static void parts_of_a_batch(void) {
    datablock_config config = ring_config(8);
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_read_slot slots[8];
    size_t count;
    options.durable = 1;
    options.name = "log";
    options.max_pins = 2;
    CHECK_OK(datablock_producer_open("parts", &config, &producer));
    CHECK_OK(datablock_consumer_open("parts", &options, &consumer));
    write_numbers(producer, 8, 0);
    CHECK_OK(datablock_read_batch(consumer, 0, slots, 8, &count));
    CHECK(count == 8);
    CHECK_DETAIL(datablock_read_batch_end(consumer, slots + 1, 3), DATABLOCK_E_INVALID, "end message 0 before 1");
    CHECK_OK(datablock_read_batch_end(consumer, slots, 4));
    CHECK_STATUS(datablock_read_batch_end(consumer, slots, 4), DATABLOCK_E_INVALID);
    write_numbers(producer, 4, 8); /* in the entries of the released messages */
    CHECK_STATUS(datablock_write(producer, 0, "x", 1, NULL), DATABLOCK_E_TIMEOUT);
    for (size_t i = 4; i < 8; i++) {
        check_number(&slots[i], i);
    }
    CHECK_OK(datablock_read_batch_end(consumer, slots + 4, 1));
    datablock_read_slot later[8];
    CHECK_OK(datablock_read_batch(consumer, 0, later, 3, &count));
    CHECK(count == 3 && later[0].id == 8);
    CHECK_DETAIL(datablock_read_batch_end(consumer, later, 2), DATABLOCK_E_INVALID, "end message 5 before 8");
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_consumer_open("parts", &options, &consumer));
    CHECK_OK(datablock_read_batch(consumer, 0, slots, 8, &count));
    CHECK(count == 7 && slots[0].id == 5);
    CHECK_OK(datablock_read_batch_end(consumer, slots, 6));
    CHECK_OK(datablock_read_end(consumer, &slots[6])); /* the first message of the rest */
    CHECK_OK(datablock_write(producer, 0, "x", 1, NULL));
    CHECK_OK(datablock_read_batch(consumer, 0, slots, 8, &count));
    CHECK(count == 1 && slots[0].id == 12);
    CHECK_OK(datablock_read_batch_end(consumer, slots, count));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/* The reader is evicted while it holds a batch. The whole batch must be discarded, and the first
 * error says so. */
static void batch_of_an_evicted_reader(void) {
    struct pair p = open_pair("evicted", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slots[4];
    size_t count;
    write_numbers(p.producer, 4, 0);
    CHECK_OK(datablock_read_batch(p.consumer, 0, slots, 4, &count));
    char path[300];
    snprintf(path, sizeof path, "%s/evicted", test_directory());
    CHECK(datablock_evict_consumer(path, 1, true) == RECOVERY_SUCCESS);
    write_numbers(p.producer, 4, 4);
    CHECK_DETAIL(datablock_read_batch_end(p.consumer, slots, count), DATABLOCK_E_FENCED, "taken away");
    CHECK_STATUS(datablock_read_batch(p.consumer, 0, slots, 4, &count), DATABLOCK_E_FENCED);
    close_pair(&p);
}

static void batch_is_asked_for_properly(void) {
    struct pair p = open_pair("asked", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slot;
    size_t count;
    CHECK_DETAIL(datablock_write_batch(p.producer, 0, NULL, 1, &count), DATABLOCK_E_INVALID, "messages is NULL");
    CHECK_DETAIL(datablock_write_batch(p.producer, 0, NULL, 0, NULL), DATABLOCK_E_INVALID, "written is NULL");
    CHECK_OK(datablock_write_batch(p.producer, 0, NULL, 0, &count));
    CHECK_DETAIL(datablock_read_batch(p.consumer, 0, NULL, 1, &count), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_read_batch(p.consumer, 0, &slot, 1, NULL), DATABLOCK_E_INVALID, "count is NULL");
    CHECK_DETAIL(datablock_read_batch(p.consumer, 0, &slot, 0, &count), DATABLOCK_E_INVALID, "capacity is 0");
    CHECK_DETAIL(datablock_read_batch_end(p.consumer, NULL, 1), DATABLOCK_E_INVALID, "slots is NULL");
    CHECK_OK(datablock_read_batch_end(p.consumer, NULL, 0));
    close_pair(&p);
}

static void undo(datablock_consumer consumer, const datablock_read_slot *slot) {
    CHECK_OK(datablock_read_undo(consumer, slot));
}

/* An undone message is redelivered, alone or in a batch. Its hold is free for other messages. */
static void undone_messages_come_again(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    static const char *const names[] = {"undo-lossless", "undo-ordered", "undo-latest"};
    for (size_t i = 0; i < sizeof deliveries / sizeof deliveries[0]; i++) {
        struct pair p = open_pair(names[i], 8, deliveries[i]);
        datablock_read_slot slot, other;
        uint64_t first = deliveries[i] == DATABLOCK_LATEST ? 3 : 0;
        write_numbers(p.producer, 4, 0);
        for (int round = 0; round < 3; round++) {
            CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
            check_number(&slot, first);
            CHECK_STATUS(datablock_read_at(p.consumer, 2, &other), DATABLOCK_E_BUSY);
            undo(p.consumer, &slot);
            CHECK_STATUS(datablock_read_end(p.consumer, &slot), DATABLOCK_E_INVALID);
            CHECK_OK(datablock_read_at(p.consumer, 2, &other));
            check_number(&other, 2);
            if (deliveries[i] != DATABLOCK_LATEST) {
                CHECK_STATUS(datablock_read_undo(p.consumer, &other), DATABLOCK_E_INVALID); /* it was read by id */
            }
            CHECK_OK(datablock_read_end(p.consumer, &other));
        }
        CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
        check_number(&slot, first);
        CHECK_OK(datablock_read_end(p.consumer, &slot));
        close_pair(&p);
    }
}

/* The messages of a batch are undone from the last one on. The hold covers the others. */
static void undone_part_of_a_batch(void) {
    struct pair p = open_pair("undo-batch", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slots[4], slot;
    size_t count;
    write_numbers(p.producer, 4, 0);
    for (size_t left = 0; left < 4; left++) {
        CHECK_OK(datablock_read_batch(p.consumer, 0, slots, 4, &count));
        CHECK(count == 4);
        CHECK_STATUS(datablock_read_undo(p.consumer, &slots[2]), DATABLOCK_E_INVALID);
        for (size_t i = 4; i-- > left;) {
            undo(p.consumer, &slots[i]);
        }
        if (left == 0) {
            CHECK_STATUS(datablock_read_end(p.consumer, &slots[0]), DATABLOCK_E_INVALID);
            continue;
        }
        CHECK_STATUS(datablock_write(p.producer, 0, "x", 1, NULL), DATABLOCK_E_TIMEOUT); /* the cursor has not moved */
        CHECK_OK(left == 2 ? datablock_read_batch_end(p.consumer, slots, left)
                           : datablock_read_end(p.consumer, &slots[0]));
        write_numbers(p.producer, left, slots[3].id + 1); /* now up to the messages that stay */
        CHECK_STATUS(datablock_write(p.producer, 0, "x", 1, NULL), DATABLOCK_E_TIMEOUT);
        CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
        check_number(&slot, slots[left].id);
        undo(p.consumer, &slot);
    }
    close_pair(&p);
}

/* After an eviction nothing is undone. The hold ends, as at a release. */
static void undo_of_an_evicted_reader(void) {
    struct pair p = open_pair("undo-evicted", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slot;
    write_numbers(p.producer, 4, 0);
    CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
    char path[300];
    snprintf(path, sizeof path, "%s/undo-evicted", test_directory());
    CHECK(datablock_evict_consumer(path, 1, true) == RECOVERY_SUCCESS);
    CHECK_DETAIL(datablock_read_undo(p.consumer, &slot), DATABLOCK_E_FENCED, "taken away");
    CHECK_STATUS(datablock_read_undo(p.consumer, &slot), DATABLOCK_E_INVALID); /* the hold has ended */
    CHECK_STATUS(datablock_read_end(p.consumer, &slot), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_read_begin(p.consumer, 0, &slot), DATABLOCK_E_FENCED);
    close_pair(&p);
}

/* A batch ends with messages in it that were undone: those that are held end, and the status names
 * the first one that is not. */
static void undone_messages_are_not_held(void) {
    struct pair p = open_pair("undo-end", 4, DATABLOCK_LOSSLESS);
    datablock_read_slot slots[4], slot;
    size_t count;
    write_numbers(p.producer, 4, 0);
    CHECK_OK(datablock_read_batch(p.consumer, 0, slots, 4, &count));
    undo(p.consumer, &slots[3]);
    undo(p.consumer, &slots[2]);
    CHECK_DETAIL(datablock_read_batch_end(p.consumer, slots, 4), DATABLOCK_E_INVALID, "message 2 is not held");
    CHECK_STATUS(datablock_read_batch_end(p.consumer, slots, 2), DATABLOCK_E_INVALID); /* they have ended */
    write_numbers(p.producer, 2, 4);
    CHECK_STATUS(datablock_write(p.producer, 0, "x", 1, NULL), DATABLOCK_E_TIMEOUT);
    CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
    check_number(&slot, 2);
    CHECK_OK(datablock_read_end(p.consumer, &slot));
    close_pair(&p);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"write-copies", write_copies},
        {"batch-of-a-lossless-reader", batch_of_a_lossless_reader},
        {"batch-holds-the-producer-up", batch_holds_the_producer_up},
        {"each-message-that-waits-is-one-wait", each_message_that_waits_is_one_wait},
        {"batch-of-an-ordered-reader", batch_of_an_ordered_reader},
        {"parts-of-a-batch", parts_of_a_batch},
        {"batch-of-an-evicted-reader", batch_of_an_evicted_reader},
        {"batch-is-asked-for-properly", batch_is_asked_for_properly},
        {"undone-messages-come-again", undone_messages_come_again},
        {"undone-part-of-a-batch", undone_part_of_a_batch},
        {"undo-of-an-evicted-reader", undo_of_an_evicted_reader},
        {"undone-messages-are-not-held", undone_messages_are_not_held},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
