/* Durable readers, gaps and limits: what a reader learns about messages that it did not get. */
#include "pair.h"

#include <fcntl.h>
#include <pthread.h>

static void write_many(datablock_producer producer, int count) {
    for (int i = 0; i < count; i++) {
        CHECK_OK(datablock_write(producer, 0, "payload", 8, NULL));
    }
}

static datablock_consumer attach(const char *block, datablock_delivery delivery, uint32_t max_pins) {
    datablock_consumer_options options = options_here(delivery);
    datablock_consumer consumer;
    options.durable = 1;
    options.name = "log";
    options.start = DATABLOCK_START_OLDEST;
    options.max_pins = max_pins;
    CHECK_OK(datablock_consumer_open(block, &options, &consumer));
    return consumer;
}

static datablock_producer open_ring(const char *block, uint32_t slots) {
    datablock_config config = ring_config(slots);
    datablock_producer producer;
    CHECK_OK(datablock_producer_open(block, &config, &producer));
    return producer;
}

static datablock_read_slot begin(datablock_consumer consumer, uint64_t id, uint64_t missed) {
    datablock_read_slot slot;
    CHECK_OK(datablock_read_begin(consumer, 0, &slot));
    CHECK(slot.id == id && slot.missed == missed);
    return slot;
}

static void end(datablock_consumer consumer, datablock_read_slot slot) {
    CHECK_OK(datablock_read_end(consumer, &slot));
}

/* A gap is reported again until its message has been released. */
static void gap_again(void) {
    datablock_producer producer = open_ring("gap", 8);
    write_many(producer, 1);
    datablock_consumer consumer = attach("gap", DATABLOCK_ORDERED, 1);
    end(consumer, begin(consumer, 0, 0));
    CHECK_OK(datablock_consumer_close(consumer));
    write_many(producer, 20); /* 13 to 20 are kept */
    for (int life = 0; life < 3; life++) {
        consumer = attach("gap", DATABLOCK_ORDERED, 1);
        (void)begin(consumer, 13, 12);
        CHECK_OK(datablock_consumer_close(consumer));
    }
    consumer = attach("gap", DATABLOCK_ORDERED, 1);
    end(consumer, begin(consumer, 13, 12));
    CHECK_OK(datablock_consumer_close(consumer));
    consumer = attach("gap", DATABLOCK_ORDERED, 1);
    end(consumer, begin(consumer, 14, 0));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/* The same when messages before and after the gap are released meanwhile. */
static void gap_beside_others(void) {
    datablock_producer producer = open_ring("beside", 8);
    write_many(producer, 1);
    datablock_consumer consumer = attach("beside", DATABLOCK_ORDERED, 4);
    datablock_read_slot before = begin(consumer, 0, 0);
    write_many(producer, 20);
    datablock_read_slot gap = begin(consumer, 13, 12);
    datablock_read_slot after = begin(consumer, 14, 0);
    end(consumer, after);
    end(consumer, before);
    CHECK_STATUS(datablock_read_end(consumer, &before), DATABLOCK_E_INVALID);
    end(consumer, begin(consumer, 15, 0));
    CHECK_OK(datablock_consumer_close(consumer));
    consumer = attach("beside", DATABLOCK_ORDERED, 4);
    gap = begin(consumer, 13, 12);
    after = begin(consumer, 14, 0);
    end(consumer, gap);
    CHECK_OK(datablock_consumer_close(consumer));
    consumer = attach("beside", DATABLOCK_ORDERED, 4);
    end(consumer, begin(consumer, 14, 0));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/*
 * A message after the gap is LOST. The consumer releases an earlier message, which it still holds,
 * before the gap has been reported.
 */
static void gap_before_a_lost_message(void) {
    datablock_producer producer = open_ring("lost", 8);
    datablock_read_slot slot;
    char path[300];
    write_many(producer, 1);
    datablock_consumer consumer = attach("lost", DATABLOCK_ORDERED, 2);
    datablock_read_slot before = begin(consumer, 0, 0);
    write_many(producer, 20);
    CHECK_OK(datablock_read_at(consumer, 13, &slot));
    uint32_t index = slot.index;
    end(consumer, slot);
    snprintf(path, sizeof path, "%s/lost", test_directory());
    CHECK(datablock_force_reset_slot(path, index, true) == RECOVERY_SUCCESS);
    CHECK_STATUS(datablock_read_begin(consumer, 0, &slot), DATABLOCK_E_LOST);
    end(consumer, before);
    CHECK_OK(datablock_consumer_close(consumer));
    consumer = attach("lost", DATABLOCK_ORDERED, 2);
    CHECK_STATUS(datablock_read_begin(consumer, 0, &slot), DATABLOCK_E_LOST);
    end(consumer, begin(consumer, 14, 12));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

static int data_file(const char *block) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", test_directory(), block);
    int file = open(path, O_RDWR | O_CLOEXEC);
    CHECK(file >= 0);
    return file;
}

static uint64_t word_at(int file, uint64_t offset) {
    uint64_t word;
    CHECK(pread(file, &word, sizeof word, (off_t)offset) == sizeof word);
    return word;
}

static void set_word(int file, uint64_t offset, uint64_t word) {
    CHECK(pwrite(file, &word, sizeof word, (off_t)offset) == sizeof word);
}

enum { RING_OFFSET = 88, PAYLOAD_OFFSET = 96, STRIDE = 72, COMMIT = 4224, SLOT_HEADER = 64 };

/*
 * A message fails its checksum. LATEST reports the messages skipped before it together with the
 * next message.
 */
static void latest_after_a_checksum(void) {
    datablock_config config = ring_config(16);
    datablock_producer producer;
    datablock_read_slot slot;
    config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    CHECK_OK(datablock_producer_open("sums", &config, &producer));
    datablock_consumer consumer = attach("sums", DATABLOCK_LATEST, 1);
    write_many(producer, 1);
    end(consumer, begin(consumer, 0, 0));
    write_many(producer, 5);
    CHECK_OK(datablock_read_at(consumer, 5, &slot));
    int file = data_file("sums");
    set_word(file, word_at(file, PAYLOAD_OFFSET) + slot.index * word_at(file, STRIDE), 0);
    CHECK(close(file) == 0);
    end(consumer, slot);
    CHECK_STATUS(datablock_read_begin(consumer, 0, &slot), DATABLOCK_E_CHECKSUM);
    write_many(producer, 1);
    end(consumer, begin(consumer, 6, 4));
    datablock_participant_info who[4];
    char path[300];
    snprintf(path, sizeof path, "%s/sums", test_directory());
    CHECK(datablock_list_participants(path, who, 4) == 2 && who[1].missed == 4);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/*
 * The next `count` ids are `ahead` larger than they would be. The function changes the block as the
 * format says.
 */
static void jump_ids(const char *block, uint64_t count, uint64_t base) {
    int file = data_file(block);
    uint64_t ring = word_at(file, RING_OFFSET), payload = word_at(file, PAYLOAD_OFFSET), stride = word_at(file, STRIDE);
    for (uint64_t id = base - count; id < base; id++) {
        uint64_t at = ring + 8 * (id % count), slot = word_at(file, at) >> 2 & 0x3fffff;
        set_word(file, at, ((id + 1) & ((UINT64_C(1) << 40) - 1)) << 24 | slot << 2);
        set_word(file, payload + slot * stride - SLOT_HEADER, id);
    }
    set_word(file, COMMIT, base);
    CHECK(close(file) == 0);
}

/*
 * A reader wants an id whose tag equals the tag of a later message. The reader was overtaken, and
 * nothing is damaged.
 */
static void turn_of_the_tags(void) {
    const uint64_t turn = UINT64_C(1) << 40;
    datablock_config config = ring_config(8);
    datablock_producer producer = open_ring("turn", 8);
    datablock_consumer consumer = attach("turn", DATABLOCK_ORDERED, 1);
    datablock_read_slot slot;
    for (uint64_t id = 0; id < 8; id++) {
        write_many(producer, 1);
        end(consumer, begin(consumer, id, 0));
    }
    CHECK_OK(datablock_producer_close(producer));
    jump_ids("turn", 8, turn + 12);
    CHECK_OK(datablock_producer_open("turn", &config, &producer));
    end(consumer, begin(consumer, turn + 4, turn + 4 - 8));
    CHECK_STATUS(datablock_read_at(consumer, 9, &slot), DATABLOCK_E_OVERRUN);
    CHECK_STATUS(datablock_read_at(consumer, turn + 11 - turn / 2, &slot), DATABLOCK_E_OVERRUN);
    CHECK_STATUS(datablock_read_at(consumer, 9 + 2 * turn, &slot), DATABLOCK_E_NOT_FOUND);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/* The consumer reports whether its place was kept. */
static void resumed(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    bool kept;
    char path[300];
    snprintf(path, sizeof path, "%s/kept", test_directory());
    for (int i = 0; i < 3; i++) {
        datablock_producer producer = open_ring("kept", 8);
        datablock_consumer consumer = attach("kept", deliveries[i], 1);
        CHECK_OK(datablock_consumer_resumed(consumer, &kept));
        CHECK(!kept);
        CHECK_OK(datablock_consumer_close(consumer));
        CHECK_STATUS(datablock_consumer_resumed(consumer, &kept), DATABLOCK_E_HANDLE);
        consumer = attach("kept", deliveries[i], 1);
        CHECK_OK(datablock_consumer_resumed(consumer, &kept));
        CHECK(kept);
        CHECK_DETAIL(datablock_consumer_resumed(consumer, NULL), DATABLOCK_E_INVALID,
            "datablock_consumer_resumed: resumed is NULL");
        CHECK_OK(datablock_consumer_close(consumer));
        CHECK(datablock_cleanup_dead_consumers(path, 0) == 1);
        consumer = attach("kept", deliveries[i], 1);
        CHECK_OK(datablock_consumer_resumed(consumer, &kept));
        CHECK(!kept);
        CHECK_OK(datablock_consumer_close(consumer));
        CHECK_OK(datablock_producer_close(producer));
        CHECK_OK(unlink_here("kept"));
        producer = open_ring("kept", 8);
        consumer = attach("kept", deliveries[i], 1);
        CHECK_OK(datablock_consumer_resumed(consumer, &kept));
        CHECK(!kept);
        CHECK_OK(datablock_consumer_close(consumer));
        CHECK_OK(datablock_producer_close(producer));
        CHECK_OK(unlink_here("kept"));
    }
}

/* A row whose retention time is over is free for a consumer that needs one. */
static void expired_row(void) {
    datablock_config config = ring_config(8);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    bool kept;
    config.consumer_limit = 1;
    config.retention_ms = 1;
    CHECK_OK(datablock_producer_open("expired", &config, &producer));
    CHECK_OK(datablock_consumer_close(attach("expired", DATABLOCK_ORDERED, 1)));
    datablock_status status;
    double begun = check_now();
    while ((status = datablock_consumer_open("expired", &options, &consumer)) == DATABLOCK_E_FULL) {
        CHECK(check_now() - begun < 10);
    }
    CHECK_OK(status);
    CHECK_OK(datablock_consumer_close(consumer));
    consumer = attach("expired", DATABLOCK_ORDERED, 1);
    CHECK_OK(datablock_consumer_resumed(consumer, &kept));
    CHECK(!kept);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

/*
 * Any consumer may write to the masks. On a block that forbids LOSSLESS this causes no
 * backpressure.
 */
static void mask_without_lossless(void) {
    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
    config.flags = DATABLOCK_FLAG_FORBID_LOSSLESS;
    CHECK_OK(datablock_producer_open("forbidden", &config, &producer));
    CHECK_OK(datablock_consumer_open("forbidden", &options, &consumer));
    write_many(producer, 10);
    DIR *directory = opendir(test_directory());
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (strncmp(entry->d_name, "forbidden.", 10) == 0) {
            int file = data_file(entry->d_name);
            set_word(file, 512, 2); /* the LOSSLESS mask: row 1 */
            set_word(file, 384, 1); /* the join epoch: the producer scans the rows again */
            CHECK(close(file) == 0);
        }
    }
    CHECK(directory != NULL && closedir(directory) == 0);
    write_many(producer, 10);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

static void *write_two(void *producer) {
    write_many(*(datablock_producer *)producer, 2);
    return NULL;
}

/* The consumer waits for a message by its id. The cursor does not move. */
static void wait_for_an_id(void) {
    struct pair p = open_pair("ids", 4, DATABLOCK_ORDERED);
    datablock_read_slot slot;
    char path[300];
    CHECK_STATUS(datablock_read_id(p.consumer, 1, 0, &slot), DATABLOCK_E_TIMEOUT);
    CHECK_DETAIL(datablock_read_id(p.consumer, 1, 5, &slot), DATABLOCK_E_TIMEOUT, "no message 1 within 5ms");
    CHECK_STATUS(datablock_read_id(p.consumer, 1, -2, &slot), DATABLOCK_E_INVALID);
    CHECK_DETAIL(datablock_read_id(p.consumer, 1, 0, NULL), DATABLOCK_E_INVALID, "datablock_read_id: out is NULL");
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, write_two, &p.producer) == 0);
    CHECK_OK(datablock_read_id(p.consumer, 1, -1, &slot));
    CHECK(pthread_join(thread, NULL) == 0 && slot.id == 1 && slot.missed == 0);
    end(p.consumer, slot);
    end(p.consumer, begin(p.consumer, 0, 0));
    write_many(p.producer, 4);
    CHECK_STATUS(datablock_read_id(p.consumer, 1, -1, &slot), DATABLOCK_E_OVERRUN);
    CHECK_OK(datablock_producer_close(p.producer));
    CHECK_DETAIL(datablock_read_id(p.consumer, 6, -1, &slot), DATABLOCK_E_CLOSED, "before message 6");
    snprintf(path, sizeof path, "%s/ids", test_directory());
    CHECK_OK(datablock_unlink(path, DATABLOCK_FLAG_FORCE));
    CHECK_STATUS(datablock_read_id(p.consumer, 6, -1, &slot), DATABLOCK_E_SUPERSEDED);
    CHECK_OK(datablock_consumer_close(p.consumer));
    CHECK_STATUS(datablock_read_id(p.consumer, 6, 0, &slot), DATABLOCK_E_HANDLE);
}

/* Only the consumer that began a hold can end it. */
static void hold_of_another_consumer(void) {
    struct pair p = open_pair("holds", 8, DATABLOCK_ORDERED);
    datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
    datablock_consumer other;
    CHECK_OK(datablock_consumer_open("holds", &options, &other));
    write_many(p.producer, 1);
    datablock_read_slot one = begin(p.consumer, 0, 0), another = begin(other, 0, 0);
    CHECK_STATUS(datablock_read_end(other, &one), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_read_end(p.consumer, &another), DATABLOCK_E_INVALID);
    end(other, another);
    end(p.consumer, one);
    CHECK_OK(datablock_consumer_close(other));
    close_pair(&p);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"gap-again", gap_again},
        {"gap-beside-others", gap_beside_others},
        {"gap-before-a-lost-message", gap_before_a_lost_message},
        {"latest-after-a-checksum", latest_after_a_checksum},
        {"turn-of-the-tags", turn_of_the_tags},
        {"resumed", resumed},
        {"expired-row", expired_row},
        {"mask-without-lossless", mask_without_lossless},
        {"wait-for-an-id", wait_for_an_id},
        {"hold-of-another-consumer", hold_of_another_consumer},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
