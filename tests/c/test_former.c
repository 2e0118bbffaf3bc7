/*
 * Structs of other versions: a program that was compiled with the smaller structs of version 1, and
 * a program that was compiled with larger structs than this library knows. Guard bytes behind each
 * struct show what the library writes.
 */
#include "pair.h"

enum { GUARD = 0x5a, ROOM = 8192 };

/* ---- Structs of version 1 -------------------------------------------------------------------- */

/* datablock_config, as the first header had it. */
struct config_v1 {
    uint32_t size, flags, policy, slot_count, spare_slots, alignment;
    uint64_t slot_size;
    uint32_t consumer_limit, min_consumers, mode, checksum;
    const char *directory;
    const void *secret;
    size_t secret_length;
    uint64_t retention_ms, zone_size;
    const void *schema;
    const char *registered, *registry;
    const void *zone_schema;
    uint64_t reserved[2];
};

/* datablock_consumer_options, as the first header had it. */
struct options_v1 {
    uint32_t size, delivery, start, max_pins, durable, reserved0;
    const char *name, *directory;
    const void *secret;
    size_t secret_length;
    const void *schema;
    uint32_t schema_mode, reserved1;
    const char *registered, *registry;
    const void *zone_schema;
    uint64_t reserved[3];
};

_Static_assert(sizeof(struct config_v1) == 136 && sizeof(struct options_v1) == 120, "version 1");

/*
 * The functions that such a program was linked with. The header has macros of these names today: a
 * name without arguments is the function.
 */
static datablock_status (*const former_config_init)(datablock_config *, datablock_policy) = datablock_config_init;
static datablock_status (*const former_options_init)(datablock_consumer_options *) = datablock_consumer_options_init;

static union {
    datablock_config config;
    datablock_consumer_options options;
    datablock_metrics metrics;
    struct config_v1 config_v1;
    struct options_v1 options_v1;
    uint32_t size;
    unsigned char bytes[ROOM];
} room;

static void guard_all(void) { memset(&room, GUARD, sizeof room); }

/* Ends the program unless the library has written `written` bytes at most. */
static void check_guards(size_t written) {
    for (size_t i = written; i < ROOM; i++) {
        if (room.bytes[i] != GUARD) {
            check_failed(__FILE__, __LINE__, "a struct of %zu bytes: the library has written byte %zu", written, i);
        }
    }
}

static void check_zero(size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if (room.bytes[i] != 0) {
            check_failed(__FILE__, __LINE__, "byte %zu of a struct of %zu is %d", i, to, room.bytes[i]);
        }
    }
}

static void a_former_program_keeps_what_is_behind_its_structs(void) {
    static const datablock_policy policies[] = {DATABLOCK_SINGLE, DATABLOCK_DOUBLE_BUFFER, DATABLOCK_RING};
    for (size_t i = 0; i < 3; i++) {
        guard_all();
        CHECK_OK(former_config_init(&room.config, policies[i]));
        check_guards(sizeof(struct config_v1));
        CHECK(room.config_v1.size == sizeof(struct config_v1) && room.config_v1.policy == policies[i]);
    }
    guard_all();
    CHECK_OK(former_options_init(&room.options));
    check_guards(sizeof(struct options_v1));
    CHECK(room.options_v1.size == sizeof(struct options_v1));
}

/* A whole session with the structs of version 1: the defaults hold for what they do not have. */
static void a_former_program_writes_and_reads(void) {
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_read_slot slot;
    guard_all();
    CHECK_OK(former_config_init(&room.config, DATABLOCK_RING));
    room.config_v1.slot_size = 100;
    room.config_v1.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    room.config_v1.directory = test_directory();
    CHECK_OK(datablock_producer_open("former", &room.config, &producer));
    guard_all();
    CHECK_OK(former_options_init(&room.options));
    room.options_v1.directory = test_directory();
    CHECK_OK(datablock_consumer_open("former", &room.options, &consumer));
    check_guards(sizeof(struct options_v1));
    write_text(producer, "sent");
    CHECK_OK(datablock_read_begin(consumer, 1000, &slot));
    CHECK(strcmp(slot.data, "sent") == 0);
    CHECK_OK(datablock_read_end(consumer, &slot));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("former"));
}

/* ---- Structs of any size --------------------------------------------------------------------- */

static void the_header_passes_the_size_of_its_structs(void) {
    datablock_config config;
    datablock_consumer_options options;
    memset(&config, GUARD, sizeof config);
    memset(&options, GUARD, sizeof options);
    CHECK_OK(datablock_config_init(&config, DATABLOCK_SINGLE));
    CHECK_OK(datablock_consumer_options_init(&options));
    CHECK(config.size == sizeof config && config.algorithm == 0 && config.reserved1 == 0);
    CHECK(options.size == sizeof options && options.wait_ms == 0);
    int evaluated = 0;
    CHECK_OK(datablock_config_init((evaluated++, &config), DATABLOCK_SINGLE));
    CHECK_OK(datablock_consumer_options_init((evaluated++, &options)));
    CHECK(evaluated == 2);
}

/* A newer program: what this library does not know is zero, and may not become anything else. */
static void open_with_a_setting_of_a_newer_program(size_t known, size_t size) {
    char text[60];
    datablock_producer producer;
    room.config.slot_size = 100;
    room.config.directory = test_directory();
    CHECK_OK(datablock_producer_open("newer", &room.config, &producer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("newer"));
    for (size_t at = known; at < size; at += 7) {
        room.bytes[at] = 1;
        snprintf(text, sizeof text, "config has a setting at byte %zu that", at);
        CHECK_DETAIL(datablock_producer_open("newer", &room.config, &producer), DATABLOCK_E_INVALID, text);
        room.bytes[at] = 0;
    }
}

static void a_struct_is_filled_to_its_size(void) {
    for (size_t size = sizeof(struct config_v1); size <= 4096; size += size < 256 ? 1 : 64) {
        guard_all();
        CHECK_OK(datablock_config_init_sized(&room.config, size, DATABLOCK_RING));
        check_guards(size);
        CHECK(room.size == size && room.config_v1.flags == DATABLOCK_FLAG_ALLOW_LOSSLESS);
        check_zero(offsetof(datablock_config, slot_count), size);
        if (size % 64 == 0) {
            open_with_a_setting_of_a_newer_program(sizeof(datablock_config), size);
            check_guards(size);
        }
    }
    for (size_t size = sizeof(struct options_v1); size <= 4096; size += size < 256 ? 1 : 64) {
        guard_all();
        CHECK_OK(datablock_consumer_options_init_sized(&room.options, size));
        check_guards(size);
        CHECK(room.size == size);
        check_zero(sizeof room.size, size);
    }
}

static void a_size_that_no_version_has_is_refused(void) {
    static const size_t sizes[] = {0, 4, 119, 4097, 5000, ((size_t)1 << 32) + 144, SIZE_MAX};
    guard_all();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK_DETAIL(datablock_config_init_sized(&room.config, sizes[i], DATABLOCK_RING), DATABLOCK_E_INVALID,
                     "pass sizeof(datablock_config)");
        CHECK_DETAIL(datablock_consumer_options_init_sized(&room.options, sizes[i]), DATABLOCK_E_INVALID,
                     "pass sizeof(datablock_consumer_options)");
    }
    CHECK_DETAIL(datablock_config_init_sized(&room.config, 135, DATABLOCK_RING), DATABLOCK_E_INVALID, "136 .. 4096");
    CHECK_DETAIL(datablock_config_init_sized(NULL, 144, DATABLOCK_RING), DATABLOCK_E_INVALID, "config is NULL");
    CHECK_DETAIL(datablock_config_init_sized(&room.config, 144, (datablock_policy)9), DATABLOCK_E_INVALID, "policy 9");
    CHECK_DETAIL(datablock_consumer_options_init_sized(NULL, 128), DATABLOCK_E_INVALID, "options is NULL");
    check_guards(0);
}

/* ---- Structs that the library fills ---------------------------------------------------------- */

static void metrics_are_filled_to_their_size(void) {
    enum { METRICS_V1 = 168 };
    struct pair p = open_pair("measured", 4, DATABLOCK_LOSSLESS);
    write_text(p.producer, "one");
    char path[300];
    snprintf(path, sizeof path, "%s/measured", test_directory());
    for (size_t size = METRICS_V1; size <= METRICS_V1 + 64; size++) {
        guard_all();
        room.size = (uint32_t)size;
        CHECK_OK(datablock_get_metrics(path, &room.metrics));
        check_guards(sizeof room.metrics < size ? sizeof room.metrics : size);
        CHECK(room.size == size && room.metrics.next_id == 1 && room.metrics.schema_mismatches == 0);
    }
    guard_all();
    room.size = METRICS_V1 - 1;
    CHECK_DETAIL(datablock_get_metrics(path, &room.metrics), DATABLOCK_E_INVALID, "metrics.size is 167");
    check_guards(sizeof room.size);
    close_pair(&p);
    CHECK_OK(unlink_here("measured"));
}

/* Bytes 204 to 207 of datablock_block_info were a part of the name, and never had a letter. */
static void a_block_is_listed_with_its_checksums(void) {
    static const struct {
        uint32_t checksum, asked, stored;
    } cases[] = {{DATABLOCK_CHECKSUM_NONE, 0, 0},
                 {DATABLOCK_CHECKSUM_MANUAL, 0, DATABLOCK_ALGORITHM_CRC32C},
                 {DATABLOCK_CHECKSUM_ENFORCED, DATABLOCK_ALGORITHM_BLAKE2B, DATABLOCK_ALGORITHM_BLAKE2B}};
    char name[201], path[600];
    memset(name, 'n', 200);
    name[200] = '\0';
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        datablock_config config = ring_config(4);
        datablock_producer producer;
        struct {
            datablock_block_info info;
            char former_name[208];
        } found;
        size_t count = 0;
        config.checksum = cases[i].checksum;
        config.algorithm = cases[i].asked;
        CHECK_OK(datablock_producer_open(name, &config, &producer));
        memset(&found, GUARD, sizeof found);
        CHECK_OK(datablock_list(test_directory(), &found.info, 1, &count));
        CHECK(count == 1 && found.info.checksum == cases[i].checksum && found.info.algorithm == cases[i].stored);
        CHECK(found.former_name[0] == GUARD);
        memcpy(found.former_name, &found.info, sizeof found.former_name);
        CHECK(strcmp(found.former_name, name) == 0);
        CHECK_OK(datablock_producer_close(producer));
        CHECK_OK(datablock_unlink(path, 0));
    }
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"a-former-program-keeps-what-is-behind-its-structs", a_former_program_keeps_what_is_behind_its_structs},
        {"a-former-program-writes-and-reads", a_former_program_writes_and_reads},
        {"the-header-passes-the-size-of-its-structs", the_header_passes_the_size_of_its_structs},
        {"a-struct-is-filled-to-its-size", a_struct_is_filled_to_its_size},
        {"a-size-that-no-version-has-is-refused", a_size_that_no_version_has_is_refused},
        {"metrics-are-filled-to-their-size", metrics_are_filled_to_their_size},
        {"a-block-is-listed-with-its-checksums", a_block_is_listed_with_its_checksums},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
