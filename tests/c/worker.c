/*
 * A producer or a consumer that a test starts, controls and kills. tests/README.md describes the
 * command line and the line protocol, which the workers of all languages share. This worker uses
 * the C interface.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <datablock.h>

#include <errno.h>
#include <inttypes.h>

#include "portable.h"
#include "worker_lines.h"
#include "worker_payload.h"

enum { MAX_HELD = 8 };

/* ---- State ----------------------------------------------------------------------------------- */

static const char *block_name;
static int64_t timeout_ms = -1;
static bool poll_only, any, echo;
static uint64_t rate, salt, capacity;

static datablock_config config;
static datablock_producer producer;
static datablock_write_slot claim;

static datablock_consumer_options options;
static datablock_consumer consumer;
static datablock_read_slot held[MAX_HELD];
static size_t held_count;

/* The schema of --schema=TEXT or --zone-schema=TEXT, or NULL. It exists as long as the process. */
static const datablock_schema *schema_option(const char *key) {
    static datablock_schema schemas[2];
    datablock_schema *schema = &schemas[strcmp(key, "schema") != 0];
    const char *text = option(key);
    if (text != NULL && datablock_schema_parse(text, schema) != DATABLOCK_OK) {
        usage("%s", datablock_error_detail());
    }
    return text == NULL ? NULL : schema;
}

/* ---- Producer -------------------------------------------------------------------------------- */

static void configure_producer(const char *directory) {
    static const struct word policies[] = {{"", DATABLOCK_RING}, {"ring", DATABLOCK_RING}, {"single", DATABLOCK_SINGLE},
        {"double", DATABLOCK_DOUBLE_BUFFER}, {0}};
    static const struct word flags[] = {{"lossless", DATABLOCK_FLAG_ALLOW_LOSSLESS},
        {"replace", DATABLOCK_FLAG_REPLACE},     {"force", DATABLOCK_FLAG_FORCE},
                                        {"unlink", DATABLOCK_FLAG_UNLINK_ON_CLOSE},
                                            {"timestamp", DATABLOCK_FLAG_TIMESTAMP},
                                            {"reclaim", DATABLOCK_FLAG_RECLAIM}, {0}};
    if (datablock_config_init(&config, (datablock_policy)word_option("policy", policies)) != DATABLOCK_OK) {
        usage("%s", datablock_error_detail());
    }
    config.slot_count = (uint32_t)number_option("slots", 0);
    config.slot_size = number_option("slot-size", 256);
    config.spare_slots = (uint32_t)number_option("spare", 0);
    config.consumer_limit = (uint32_t)number_option("limit", 0);
    config.min_consumers = (uint32_t)number_option("min-consumers", 0);
    config.mode = (uint32_t)number_option("mode", 0);
    config.checksum = (uint32_t)number_option("checksum", 0);
    config.algorithm = (uint32_t)number_option("algorithm", 0);
    config.directory = directory;
    config.secret = text_option("secret");
    config.secret_length = strlen(config.secret);
    config.schema = schema_option("schema");
    config.zone_schema = schema_option("zone-schema");
    config.registered = option("registered");
    config.registry = option("registry");
    for (const char *at = text_option("flags"); *at != '\0';) {
        size_t length = strcspn(at, ",");
        config.flags |= word_value(flags, at, length, "flags");
        at += length + (at[length] == ',');
    }
    rate = number_option("rate", 0);
    salt = number_option("salt", 0);
}

/* The pause after failed poll number `failed` in a row. sched_yield alone would leave the processor
 * to a program that computes for a whole time slice each time. */
static void after_failed_poll(unsigned failed) {
    if (failed % 200 == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
}

static datablock_status producer_begin(void) {
    for (unsigned failed = 1;; failed++) {
        datablock_status status = datablock_write_begin(producer, poll_only ? 0 : timeout_ms, &claim);
        if (!poll_only || status != DATABLOCK_E_TIMEOUT) {
            return status;
        }
        after_failed_poll(failed);
    }
}

static datablock_status producer_finish(void) {
    size_t length = payload_length(claim.id, claim.capacity);
    payload_fill(claim.data, length, claim.id, salt);
    return datablock_write_commit(producer, &claim, length);
}

static void sleep_until_turn(const struct timespec *start, uint64_t turn) {
    struct timespec until = *start;
    uint64_t ns = (uint64_t)until.tv_nsec + turn % rate * 1000000000u / rate;
    until.tv_sec += (time_t)(turn / rate + ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void produce(uint64_t n) {
    uint64_t count = 0, first = 0, last = 0;
    datablock_status status = DATABLOCK_OK;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (; count < n; count++) {
        if ((status = producer_begin()) != DATABLOCK_OK || (status = producer_finish()) != DATABLOCK_OK) {
            break;
        }
        if (echo) {
            say("committed %" PRIu64 " %" PRIu64, claim.id, salt);
        }
        last = claim.id;
        first = count == 0 ? last : first;
        if (rate > 0) {
            sleep_until_turn(&start, count + 1);
        }
    }
    if (count == 0) {
        say("wrote=0 first=- last=- end=%s", status_name(status));
    } else {
        say("wrote=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64 " end=%s", count, first, last, status_name(status));
    }
}

static bool producer_command(const char *word, uint64_t n) {
    if (strcmp(word, "write") == 0) {
        produce(n);
    } else if (strcmp(word, "claim") == 0) {
        if (!say_error(producer_begin())) {
            memset(claim.data, 0, claim.capacity / 2); /* a kill from here on leaves a half-written message */
            say("claimed %" PRIu64, claim.id);
        }
    } else if (strcmp(word, "commit") == 0) {
        if (!say_error(producer_finish())) {
            say("committed %" PRIu64, claim.id);
        }
    } else if (strcmp(word, "abort") == 0) {
        if (!say_error(datablock_write_abort(producer, &claim))) {
            say("aborted %" PRIu64, claim.id);
        }
    } else {
        return false;
    }
    return true;
}

/* ---- Consumer -------------------------------------------------------------------------------- */

static void configure_consumer(const char *directory) {
    static const struct word deliveries[] = {
        {"", DATABLOCK_DELIVERY_DEFAULT}, {"lossless", DATABLOCK_LOSSLESS}, {"ordered", DATABLOCK_ORDERED},
            {"latest", DATABLOCK_LATEST}, {0}};
    static const struct word starts[] =
        {{"", DATABLOCK_START_LATEST}, {"latest", DATABLOCK_START_LATEST}, {"oldest", DATABLOCK_START_OLDEST}, {0}};
    if (datablock_consumer_options_init(&options) != DATABLOCK_OK) {
        usage("%s", datablock_error_detail());
    }
    options.delivery = word_option("delivery", deliveries);
    options.start = word_option("start", starts);
    options.max_pins = (uint32_t)number_option("pins", 0);
    options.durable = option("durable") != NULL;
    options.name = option("name");
    options.directory = directory;
    options.secret = text_option("secret");
    options.secret_length = strlen(options.secret);
    options.schema = schema_option("schema");
    options.zone_schema = schema_option("zone-schema");
    options.registered = option("registered");
    options.registry = option("registry");
    options.schema_mode = option("exact") != NULL ? DATABLOCK_SCHEMA_EXACT : DATABLOCK_SCHEMA_COMPATIBLE;
    capacity = number_option("slot-size", 0);
    any = option("any") != NULL;
}

static datablock_status consumer_next(datablock_read_slot *slot) {
    for (unsigned failed = 1;; failed++) {
        bool ready;
        datablock_status status = any ? datablock_wait_any(&consumer, 1, timeout_ms, &ready) : DATABLOCK_OK;
        if (status != DATABLOCK_OK) {
            return status;
        }
        status = datablock_read_begin(consumer, poll_only || any ? 0 : timeout_ms, slot);
        if (!(poll_only || any) || (status != DATABLOCK_E_TIMEOUT && status != DATABLOCK_E_NO_PRODUCER)) {
            return status;
        }
        after_failed_poll(failed);
    }
}

static bool verified(const datablock_read_slot *slot, uint64_t *writer) {
    bool good = payload_verify(slot->data, slot->length, slot->id, writer);
    return good && (capacity == 0 || slot->length == payload_length(slot->id, (size_t)capacity));
}

/* Reads n messages, or all messages of the stream if n is 0. A message is bad if a byte is
 * wrong, or if the id does not follow from the number of missed messages. */
static void consume(uint64_t n) {
    uint64_t count = 0, missed = 0, bad = 0, sum = 0, first = 0, last = 0;
    datablock_status status = DATABLOCK_OK;
    while (n == 0 || count < n) {
        datablock_read_slot slot;
        uint64_t writer;
        if ((status = consumer_next(&slot)) != DATABLOCK_OK) {
            break;
        }
        bool good = verified(&slot, &writer);
        if (!good || (count > 0 && slot.id != last + 1 + slot.missed)) {
            bad++;
        }
        if (echo) {
            say("message %" PRIu64 " %" PRIu64 " %" PRIu64 " %s", slot.id, writer, slot.missed,
                good ? "true" : "false");
        }
        first = count == 0 ? slot.id : first;
        last = slot.id;
        count++;
        missed += slot.missed;
        sum += payload_mix(slot.id ^ payload_mix(writer));
        if ((status = datablock_read_end(consumer, &slot)) != DATABLOCK_OK) {
            break;
        }
    }
    char range[64] = "first=- last=-";
    if (count > 0) {
        snprintf(range, sizeof range, "first=%" PRIu64 " last=%" PRIu64, first, last);
    }
    say("read=%" PRIu64 " missed=%" PRIu64 " %s bad=%" PRIu64 " sum=%" PRIx64 " end=%s", count, missed, range, bad, sum,
        status_name(status));
}

static void say_held(datablock_status status) {
    if (!say_error(status)) {
        say("holding %" PRIu64, held[held_count++].id);
    }
}

static void with_held(const char *word) {
    datablock_read_slot slot = held[0];
    uint64_t writer;
    if (held_count == 0) {
        say("error INVALID nothing is held");
    } else if (strcmp(word, "check") == 0) {
        bool good = verified(&slot, &writer);
        say("checked %" PRIu64 " %" PRIu64 " %s", slot.id, writer, good ? "true" : "false");
    } else if (strcmp(word, "smash") == 0) {
        /* the error of a careless program: the const is cast away */
        *(volatile unsigned char *)(uintptr_t)slot.data ^= 0xff;
        say("smashed %" PRIu64, slot.id);
    } else {
        memmove(held, held + 1, --held_count * sizeof *held);
        if (!say_error(datablock_read_end(consumer, &slot))) {
            say("released %" PRIu64, slot.id);
        }
    }
}

static bool consumer_command(const char *word, uint64_t n) {
    if (strcmp(word, "read") == 0) {
        consume(n);
    } else if (strncmp(word, "hold", 4) == 0 && held_count == MAX_HELD) {
        say("error BUSY the worker holds %d", MAX_HELD);
    } else if (strcmp(word, "hold") == 0) {
        say_held(consumer_next(&held[held_count]));
    } else if (strcmp(word, "hold-at") == 0) {
        say_held(datablock_read_at(consumer, n, &held[held_count]));
    } else if (strcmp(word, "check") == 0 || strcmp(word, "smash") == 0 || strcmp(word, "release") == 0) {
        with_held(word);
    } else {
        return false;
    }
    return true;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static bool producing;

static datablock_status open_block(void) {
    return producing ? datablock_producer_open(block_name, &config, &producer)
        : datablock_consumer_open(block_name, &options, &consumer);
}

static datablock_status close_block(void)
{
    return producing ? datablock_producer_close(producer) : datablock_consumer_close(consumer);
}

/* Opens and closes this many times, and reports whether descriptors are left. */
static void repeat_opening(uint64_t attempts) {
    datablock_status status = DATABLOCK_OK;
    int before = 0;
    for (uint64_t i = 0; i <= attempts; i++) {
        if ((status = open_block()) == DATABLOCK_OK) {
            close_block();
        }
        if (i == 0) {
            before = all_descriptors(); /* the runtime has opened its own descriptors by now */
        }
    }
    say("attempts=%" PRIu64 " status=%s before=%d after=%d", attempts, status_name(status), before, all_descriptors());
}

#include "worker_children.h"

/* ---- Roles ----------------------------------------------------------------------------------- */

static void recover_block(const char *directory) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory == NULL ? "" : directory, block_name);
    uint32_t slot = (uint32_t)number_option("slot", 0);
    uint64_t older = number_option("older", 0);
    const char *action = text_option("do");
    int result;
    all_options_asked();
    if (strcmp(action, "release-readers") == 0) {
        result = (int)datablock_release_zombie_readers(path, slot);
    } else if (strcmp(action, "release-writer") == 0) {
        result = (int)datablock_release_zombie_writer(path, slot);
    } else if (strcmp(action, "cleanup") == 0) {
        result = datablock_cleanup_dead_consumers(path, older);
    } else if (strcmp(action, "reset") == 0 || strcmp(action, "reset-force") == 0) {
        result = (int)datablock_force_reset_slot(path, slot, strcmp(action, "reset-force") == 0);
    } else if (strcmp(action, "evict-force") == 0) {
        result = (int)datablock_evict_consumer(path, slot, true);
    } else if (strcmp(action, "repair") == 0) {
        result = (int)datablock_repair(path, false, NULL);
    } else if (strcmp(action, "unlink") == 0) {
        result = (int)datablock_unlink(path, 0);
    } else if (strcmp(action, "unlink-force") == 0) {
        result = (int)datablock_unlink(path, DATABLOCK_FLAG_FORCE);
    } else {
        usage("--do=%s is unknown", action);
    }
    say("result %d %s", result, datablock_error_detail());
}

/* Handles the commands of both roles. */
static bool shared_command(const char *word, uint64_t n) {
    datablock_participant me = producing ? datablock_of_producer(producer) : datablock_of_consumer(consumer);
    if (strcmp(word, "lock") == 0) {
        bool abandoned;
        if (!say_error(datablock_lock_acquire(me, (uint32_t)n, timeout_ms, &abandoned))) {
            say("locked %u %s", (unsigned)n, abandoned ? "abandoned" : "free");
        }
    } else if (strcmp(word, "unlock") == 0) {
        if (!say_error(datablock_lock_release(me, (uint32_t)n))) {
            say("unlocked %u", (unsigned)n);
        }
    } else if (strcmp(word, "zone") == 0) { /* adds n to the first word of the zone */
        datablock_zone zone;
        if (!say_error(datablock_zone_begin(me, 0, timeout_ms, &zone))) {
            uint64_t sum = *(uint64_t *)zone.data += n;
            if (!say_error(datablock_zone_end(me, false))) {
                say("zone %llu", (unsigned long long)sum);
            }
        }
    } else {
        return false;
    }
    return true;
}

/* Answers one command for each line until the input ends, then closes. */
static void serve(void) {
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *argument = strpbrk(line, " \n");
        uint64_t n = 0;
        if (argument != NULL) {
            n = strtoull(argument, NULL, 10);
            *argument = '\0';
        }
        if (strcmp(line, "close") == 0) {
            if (!say_error(close_block())) {
                say("closed");
            }
        } else if (strcmp(line, "exit") == 0) {
            _exit(0);
        } else if (strcmp(line, "descriptors") == 0) {
            say("descriptors %d", all_descriptors());
        } else if (!child_command(line) && !shared_command(line, n) &&
                   !(producing ? producer_command(line, n) : consumer_command(line, n))) {
            say("error UNSUPPORTED %s", line);
        }
    }
    close_block();
}

int main(int argc, char **argv) {
    if (argc < 3) {
        usage("worker produce|consume|recover NAME [--key=value]...");
    }
    block_name = argv[2];
    arguments = argv + 3;
    argument_count = argc - 3;
    const char *directory = option("dir");
    if (strcmp(argv[1], "recover") == 0) {
        recover_block(directory);
        return 0;
    }
    producing = strcmp(argv[1], "produce") == 0;
    if (producing) {
        configure_producer(directory);
    } else if (strcmp(argv[1], "consume") == 0) {
        configure_consumer(directory);
    } else {
        usage("\"%s\" is neither produce, consume nor recover", argv[1]);
    }
    const char *timeout = text_option("timeout");
    timeout_ms = *timeout == '\0' ? -1 : strtoll(timeout, NULL, 10);
    poll_only = option("poll") != NULL;
    echo = option("echo") != NULL;
    bool wait = option("wait") != NULL;
    uint64_t attempts = number_option("attempts", 0);
    all_options_asked();
    if (attempts > 0) {
        repeat_opening(attempts);
        return 0;
    }
    if (wait) {
        char line[16];
        say("ready");
        if (fgets(line, sizeof line, stdin) == NULL) {
            return 0;
        }
    }
    datablock_status status = open_block();
    if (status != DATABLOCK_OK) {
        say("failed %s %s", status_name(status), datablock_error_detail());
        return EXIT_OPEN_FAILED;
    }
    say("attached");
    serve();
    return 0;
}
