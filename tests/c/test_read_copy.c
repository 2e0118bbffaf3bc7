/* datablock_read_copy: reads, copies and releases a message in one call. */
#include "pair.h"

static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};

static const char *path_here(const char *name) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return path;
}

/* The consumer's row. */
static datablock_participant_info row_of(const char *name) {
    datablock_participant_info rows[4];
    int count = datablock_list_participants(path_here(name), rows, 4);
    CHECK(count == 2 && rows[1].row == 1);
    return rows[1];
}

static void check_copy(datablock_consumer consumer, uint64_t id, const char *text, uint64_t missed) {
    char buffer[100];
    datablock_copied copied;
    memset(buffer, 0x55, sizeof buffer);
    CHECK_OK(datablock_read_copy(consumer, 0, 0, buffer, sizeof buffer, &copied));
    CHECK(copied.id == id && copied.length == strlen(text) && copied.missed == missed && copied.reserved == 0);
    CHECK(memcmp(buffer, text, copied.length) == 0 && buffer[copied.length] == 0x55);
    CHECK(strcmp(datablock_error_detail(), "") == 0);
}

static void write_copy(datablock_producer producer, const char *text) {
    CHECK_OK(datablock_write(producer, 0, text, strlen(text), NULL));
}

static void copies_of_each_delivery(void) {
    for (size_t i = 0; i < 3; i++) {
        struct pair p = open_pair("copies", 4, deliveries[i]);
        datablock_copied copied = {.id = 77};
        write_copy(p.producer, "one");
        check_copy(p.consumer, 0, "one", 0);
        write_copy(p.producer, "");
        CHECK_OK(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied));
        CHECK(copied.id == 1 && copied.length == 0);
        CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_TIMEOUT);
        CHECK_STATUS(datablock_read_copy(p.consumer, 5, 0, NULL, 0, &copied), DATABLOCK_E_TIMEOUT);
        CHECK_STATUS(datablock_read_copy(p.consumer, -2, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
        CHECK(copied.id == 1);
        datablock_participant_info row = row_of("copies");
        CHECK(row.read == 2 && row.bytes == 3 && row.pins == 0 && row.lag == 0);
        CHECK_OK(datablock_producer_close(p.producer));
        CHECK_STATUS(datablock_read_copy(p.consumer, -1, 0, NULL, 0, &copied), DATABLOCK_E_CLOSED);
        CHECK_OK(datablock_consumer_close(p.consumer));
        CHECK_STATUS(datablock_read_copy(p.consumer, -1, 0, NULL, 0, &copied), DATABLOCK_E_HANDLE);
        CHECK_OK(unlink_here("copies"));
    }
}

/* The next read of any kind gets the message again, and it is counted once. */
static void message_without_room_comes_again(void) {
    for (size_t i = 0; i < 3; i++) {
        struct pair p = open_pair("room", 4, deliveries[i]);
        char buffer[6] = "xxxxx";
        datablock_copied copied = {0};
        datablock_read_slot slot;
        size_t count;
        write_copy(p.producer, "longer");
        for (int tries = 0; tries < 3; tries++) {
            datablock_status status = datablock_read_copy(p.consumer, 0, 0, buffer, 5, &copied);
            CHECK_DETAIL(status, DATABLOCK_E_INVALID, "message 0 has 6 bytes, and the buffer 5");
            CHECK(copied.id == 0 && copied.length == 6 && strcmp(buffer, "xxxxx") == 0);
        }
        CHECK(row_of("room").read == 0 && row_of("room").bytes == 0 && row_of("room").pins == 0);
        check_copy(p.consumer, 0, "longer", 0);
        write_copy(p.producer, "longer");
        CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
        CHECK_OK(datablock_read_begin(p.consumer, 0, &slot));
        CHECK(slot.id == 1 && slot.length == 6);
        CHECK_OK(datablock_read_end(p.consumer, &slot));
        write_copy(p.producer, "longer");
        CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
        CHECK_OK(datablock_read_batch(p.consumer, 0, &slot, 1, &count));
        CHECK(slot.id == 2 && count == 1);
        CHECK_OK(datablock_read_batch_end(p.consumer, &slot, count));
        CHECK(row_of("room").read == 3 && row_of("room").bytes == 18 && row_of("room").missed == 0);
        close_pair(&p);
        CHECK_OK(unlink_here("room"));
    }
}

/* A consumer without backpressure gets the same gap again, with the messages lost in the
 * meantime. */
static void what_was_missed_is_said_again(void) {
    for (size_t i = 1; i < 3; i++) {
        struct pair p = open_pair("gap", 4, deliveries[i]);
        datablock_copied copied;
        for (int n = 0; n < 6; n++) {
            write_copy(p.producer, "six messages");
        }
        uint64_t id = deliveries[i] == DATABLOCK_LATEST ? 5 : 2; /* ORDERED: the oldest, LATEST: the newest */
        CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
        CHECK(copied.id == id && copied.missed == id);
        CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
        CHECK(copied.id == id && copied.missed == id);
        CHECK(row_of("gap").missed == 0);
        for (int n = 0; n < 6; n++) {
            write_copy(p.producer, "six more");
        }
        id += 6;
        check_copy(p.consumer, id, "six more", id);
        CHECK(row_of("gap").missed == id && row_of("gap").read == 1);
        close_pair(&p);
        CHECK_OK(unlink_here("gap"));
    }
}

static void a_longer_message_is_cut_off(void) {
    for (size_t i = 0; i < 3; i++) {
        struct pair p = open_pair("cut", 4, deliveries[i]);
        char buffer[6] = "xxxxx";
        datablock_copied copied;
        write_copy(p.producer, "longer");
        CHECK_OK(datablock_read_copy(p.consumer, 0, DATABLOCK_COPY_CUT, buffer, 3, &copied));
        CHECK(copied.length == 6 && strcmp(buffer, "lonxx") == 0);
        write_copy(p.producer, "ab");
        CHECK_OK(datablock_read_copy(p.consumer, 0, DATABLOCK_COPY_CUT, buffer, 3, &copied));
        CHECK(copied.length == 2 && strcmp(buffer, "abnxx") == 0);
        CHECK_STATUS(datablock_read_copy(p.consumer, 0, DATABLOCK_COPY_CUT, buffer, 3, &copied), DATABLOCK_E_TIMEOUT);
        close_pair(&p);
        CHECK_OK(unlink_here("cut"));
    }
}

/*
 * A copy is not a hold. A LOSSLESS reader can make a copy while it holds an older message, and the
 * cursor stays at the held message.
 */
static void copies_while_a_message_is_held(void) {
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_read_slot held, second;
    datablock_copied copied;
    char buffer[100];
    options.max_pins = 2;
    CHECK_OK(datablock_producer_open("held", &config, &producer));
    CHECK_OK(datablock_consumer_open("held", &options, &consumer));
    for (int n = 0; n < 4; n++) {
        write_copy(producer, "held");
    }
    CHECK_OK(datablock_read_begin(consumer, 0, &held));
    check_copy(consumer, 1, "held", 0);
    check_copy(consumer, 2, "held", 0);
    CHECK_STATUS(datablock_read_copy(consumer, 0, 0, buffer, 1, &copied), DATABLOCK_E_INVALID);
    CHECK(row_of("held").cursor == 0);
    CHECK_STATUS(datablock_write(producer, 0, "no room", 7, NULL), DATABLOCK_E_TIMEOUT);
    CHECK_OK(datablock_read_begin(consumer, 0, &second));
    CHECK(second.id == 3);
    CHECK_STATUS(datablock_read_copy(consumer, 0, 0, buffer, sizeof buffer, &copied), DATABLOCK_E_BUSY);
    CHECK_OK(datablock_read_end(consumer, &held));
    CHECK(row_of("held").cursor == 3);
    CHECK_OK(datablock_read_end(consumer, &second));
    CHECK(row_of("held").cursor == 4);
    write_copy(producer, "room again");
    check_copy(consumer, 4, "room again", 0);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/*
 * A reader that has just joined at the oldest message reads like an ORDERED one, until the producer
 * has acknowledged the join.
 */
static void copies_of_a_reader_that_joins(void) {
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_copied copied;
    options.start = DATABLOCK_START_OLDEST;
    CHECK_OK(datablock_producer_open("join", &config, &producer));
    write_copy(producer, "a");
    write_copy(producer, "b");
    CHECK_OK(datablock_consumer_open("join", &options, &consumer));
    CHECK_STATUS(datablock_read_copy(consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
    check_copy(consumer, 0, "a", 0);
    write_copy(producer, "c"); /* acknowledges the join */
    CHECK_STATUS(datablock_read_copy(consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
    check_copy(consumer, 1, "b", 0);
    CHECK_STATUS(datablock_read_copy(consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
    check_copy(consumer, 2, "c", 0);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

static void copies_of_stamped_and_checked_messages(void) {
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_copied copied;
    char buffer[100];
    config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    config.flags |= DATABLOCK_FLAG_TIMESTAMP;
    CHECK_OK(datablock_producer_open("stamped", &config, &producer));
    CHECK_OK(datablock_consumer_open("stamped", &options, &consumer));
    write_copy(producer, "stamped");
    CHECK_STATUS(datablock_read_copy(consumer, 0, 0, buffer, 6, &copied), DATABLOCK_E_INVALID);
    uint64_t stamp = copied.timestamp_ns;
    CHECK_OK(datablock_read_copy(consumer, 0, 0, buffer, sizeof buffer, &copied));
    CHECK(stamp != 0 && copied.timestamp_ns == stamp && memcmp(buffer, "stamped", 7) == 0);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    config.checksum = DATABLOCK_CHECKSUM_NONE;
    CHECK_OK(unlink_here("stamped"));
    CHECK_OK(datablock_producer_open("stamped", &config, &producer));
    CHECK_OK(datablock_consumer_open("stamped", &options, &consumer));
    write_copy(producer, "stamped");
    CHECK_OK(datablock_read_copy(consumer, 0, 0, buffer, sizeof buffer, &copied));
    CHECK(copied.timestamp_ns > stamp);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/*
 * The consumer is evicted while it releases a message. It gets an error, and does not change the
 * row.
 */
static void copies_of_an_evicted_reader(void) {
    struct pair p = open_pair("evicted", 4, DATABLOCK_LOSSLESS);
    datablock_copied copied = {.id = 77};
    char buffer[100];
    write_copy(p.producer, "text");
    CHECK(datablock_evict_consumer(path_here("evicted"), 1, true) == RECOVERY_SUCCESS);
    CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, buffer, sizeof buffer, &copied), DATABLOCK_E_FENCED);
    CHECK(copied.id == 77);
    close_pair(&p);
}

static void lost_messages_are_said_once(void) {
    struct pair p = open_pair("lost", 4, DATABLOCK_ORDERED);
    datablock_copied copied;
    write_copy(p.producer, "a");
    write_copy(p.producer, "b");
    CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_INVALID);
    CHECK(datablock_force_reset_slot(path_here("lost"), copied.index, true) == RECOVERY_SUCCESS);
    CHECK_STATUS(datablock_read_copy(p.consumer, 0, 0, NULL, 0, &copied), DATABLOCK_E_LOST);
    check_copy(p.consumer, 1, "b", 0);
    close_pair(&p);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"copies-of-each-delivery", copies_of_each_delivery},
        {"message-without-room-comes-again", message_without_room_comes_again},
        {"what-was-missed-is-said-again", what_was_missed_is_said_again},
        {"a-longer-message-is-cut-off", a_longer_message_is_cut_off},
        {"copies-while-a-message-is-held", copies_while_a_message_is_held},
        {"copies-of-a-reader-that-joins", copies_of_a_reader_that_joins},
        {"copies-of-stamped-and-checked-messages", copies_of_stamped_and_checked_messages},
        {"copies-of-an-evicted-reader", copies_of_an_evicted_reader},
        {"lost-messages-are-said-once", lost_messages_are_said_once},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
