/* Schemas: from text, from structs, in blocks, at attach. */
#include "pair.h"

#include "datablock_schema.h"

static datablock_schema parsed(const char *text) {
    datablock_schema schema;
    CHECK_OK(datablock_schema_parse(text, &schema));
    return schema;
}

struct point {
    float x, y;
};
static const datablock_schema_field point_fields[] = {DATABLOCK_FIELD(struct point, x),
    DATABLOCK_FIELD(struct point, y)};
static const datablock_schema_layout point_layout = DATABLOCK_LAYOUT(struct point, point_fields);

/* The golden schema "a sensor reading" of tests/format/vectors/schemas.json. */
struct reading {
    uint64_t time;
    double value[3];
    struct point at[2];
    struct inner {
        uint8_t a;
        uint16_t b;
    } inner;
    int16_t matrix[2][3];
    char name[16];
    char gap[20];
    bool ok;
};
static const datablock_schema_field inner_fields[] = {DATABLOCK_FIELD(struct inner, a),
    DATABLOCK_FIELD(struct inner, b)};
static const datablock_schema_layout inner_layout = DATABLOCK_LAYOUT(struct inner, inner_fields);
static const datablock_schema_field reading_fields[] = {
    DATABLOCK_FIELD(struct reading, time),
    DATABLOCK_ARRAY(struct reading, value),
    DATABLOCK_STRUCT_ARRAY(struct reading, at, point_layout),
    DATABLOCK_STRUCT(struct reading, inner, inner_layout),
    DATABLOCK_ARRAY2(struct reading, matrix),
    DATABLOCK_ARRAY(struct reading, name),
    DATABLOCK_FIELD(struct reading, ok),
};
static const datablock_schema_layout reading_layout = DATABLOCK_LAYOUT(struct reading, reading_fields);
static const char reading_text[] = "struct Point { x: f32; y: f32; }\n"
                                   "schema SensorReading 2.1.0 { time: u64; value: f64[3]; at: Point[2]; inner: { "
                                       "a: u8; b: u16; }; matrix: i16[2][3]; name: char[16]; ok: bool @ 100; }";

enum colour { RED, GREEN };
struct every {
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    float f32;
    double f64;
    bool yes;
    char letter;
    enum colour colour;
    long long longest;
    size_t size; /* a type of 64 bits that is not uint64_t on every system */
    uint8_t cube[2][3][4];
};
static const datablock_schema_field every_fields[] = {
    DATABLOCK_FIELD(struct every, i8),   DATABLOCK_FIELD(struct every, i16),     DATABLOCK_FIELD(struct every, i32),
         DATABLOCK_FIELD(struct every, i64),
    DATABLOCK_FIELD(struct every, u8),   DATABLOCK_FIELD(struct every, u16),     DATABLOCK_FIELD(struct every, u32),
         DATABLOCK_FIELD(struct every, u64),
    DATABLOCK_FIELD(struct every, f32),  DATABLOCK_FIELD(struct every, f64),     DATABLOCK_FIELD(struct every, yes),
         DATABLOCK_FIELD(struct every, letter),
    DATABLOCK_FIELD(struct every, colour), DATABLOCK_FIELD(struct every, longest), DATABLOCK_FIELD(struct every, size),
        DATABLOCK_ARRAY3(struct every, cube),
};
static const datablock_schema_layout every_layout = DATABLOCK_LAYOUT(struct every, every_fields);

struct __attribute__((packed)) wire {
    uint8_t kind;
    double value;
    uint16_t tail;
};
static const datablock_schema_field wire_fields[] = {DATABLOCK_FIELD(struct wire, kind),
    DATABLOCK_FIELD(struct wire, value), DATABLOCK_FIELD(struct wire, tail)};
static const datablock_schema_layout wire_layout = DATABLOCK_LAYOUT(struct wire, wire_fields);

static void structs_and_texts_agree(void) {
    static const struct {
        const char *name;
        const datablock_schema_layout *layout;
        const char *text;
    } pairs[] = {
        {"SensorReading", &reading_layout, reading_text},
        {"Every", &every_layout,
         "schema Every 2.1.0 { i8: i8; i16: i16; i32: i32; i64: i64; u8: u8; u16: u16; u32: u32; u64: u64; f32: "
             "f32; f64: f64; yes: bool; letter: char; colour: u32; longest: i64; size: u64; cube: u8[2][3][4]; }"},
        {"Wire", &wire_layout, "packed schema Wire 2.1.0 { kind: u8; value: f64; tail: u16; }"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        datablock_schema described, text = parsed(pairs[i].text);
        CHECK_OK(datablock_schema_describe(pairs[i].name, 2, 1, 0, pairs[i].layout, &described));
        CHECK(strcmp(described.canonical, text.canonical) == 0 &&
            memcmp(described.hash, text.hash, sizeof text.hash) == 0);
        CHECK(described.bytes == pairs[i].layout->size && described.alignment == pairs[i].layout->alignment &&
            described.major == 2 && described.minor == 1 && described.patch == 0);
        CHECK_OK(datablock_schema_check(&described, &text, DATABLOCK_SCHEMA_EXACT));
        datablock_schema_free(&described);
        datablock_schema_free(&described);
        datablock_schema_free(&text);
    }
    datablock_schema_free(NULL);
}

static void errors_say_where(void) {
    datablock_schema schema = {0};
    CHECK_DETAIL(datablock_schema_parse("schema A {\n  a: f65;\n}", &schema), DATABLOCK_E_INVALID,
        "schema: line 2, column 6: \"f65\" is no type");
    CHECK_DETAIL(datablock_schema_parse(NULL, &schema), DATABLOCK_E_INVALID, "datablock_schema_parse: text is NULL");
    CHECK_DETAIL(datablock_schema_parse("", NULL), DATABLOCK_E_INVALID, "datablock_schema_parse: out is NULL");
    CHECK_DETAIL(datablock_schema_describe(NULL, 1, 0, 0, &point_layout, &schema), DATABLOCK_E_INVALID, "name is NULL");
    CHECK_DETAIL(datablock_schema_describe("A", 1, 0, 0, NULL, &schema), DATABLOCK_E_INVALID, "layout is NULL");
    CHECK_DETAIL(datablock_schema_describe("a b", 1, 0, 0, &point_layout, &schema), DATABLOCK_E_INVALID,
        "the schema's name, \"a b\", is no name: use letters, digits and _");
    CHECK_DETAIL(datablock_schema_check(&schema, &schema, DATABLOCK_SCHEMA_EXACT), DATABLOCK_E_INVALID,
        "producer has no text");

    datablock_schema_field twice[] = {{"a", "u32", NULL, 0, 4, {0}}, {"b", "u32", NULL, 2, 4, {0}}};
    datablock_schema_layout layout = {twice, 2, 8, 4};
    CHECK_DETAIL(datablock_schema_describe("A", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "field \"b\" is at 2, and what is before it ends at 4");
    twice[1] = (datablock_schema_field){"b", "u32", NULL, 4, 8, {0}};
    CHECK_DETAIL(datablock_schema_describe("A", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "field \"b\" has 8 bytes, and its type 4");
    twice[1] = (datablock_schema_field){"b", NULL, &layout, 4, 8, {0}}; /* itself */
    CHECK_DETAIL(datablock_schema_describe("A", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "nested more than 8 deep");
    twice[1] = (datablock_schema_field){"b", NULL, NULL, 4, 8, {0}};
    CHECK_DETAIL(datablock_schema_describe("A", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "not one of type and nested");
    CHECK(schema.canonical == NULL);
}

/*
 * No unchecked text of the caller gets into the schema. The function checks names, types and sizes
 * first, and the error names the wrong one.
 */
static void described_structs_cannot_inject(void) {
    datablock_schema_field inner[] = {{"x", "u8", NULL, 0, 1, {0}}};
    datablock_schema_layout in = {inner, 1, 1, 1};
    const datablock_schema_field good = {"a", "u64", NULL, 0, 8, {0}};
    datablock_schema_field f[] = {good};
    datablock_schema_layout layout = {f, 1, 8, 8};
    datablock_schema schema = {0};
    const char *const names[] = {"T 7.0.0 { b: u16; } //", "T{b:u16@0}2/2", "", "7", "a b", "a\nb", "\xc3\xbc",
        "n23456789012345678901234567890123456789012345678901234567890123456"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_DETAIL(datablock_schema_describe(names[i], 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
            "the schema's name");
        f[0].name = names[i];
        CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
            "schema T: field \"");
        CHECK(strchr(datablock_error_detail(), '\n') == NULL);
        f[0].name = "a";
    }
    const char *const fields[] = {"x: u8; a", "a: u64; }//", "x:u8@0,a"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        f[0].name = fields[i];
        CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
            "is no name: use letters, digits and _");
    }
    const char *const types[] = {"long", "u64[2]", "{x:u64@0}8/8", "", "u64;"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        f[0] = good;
        f[0].type = types[i];
        CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
            "schema T: field \"a\" has the type \"");
    }
    f[0] = (datablock_schema_field){"in", NULL, &in, 0, 8, {8}};
    inner[0].type = "long";
    CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "schema T: field \"in.x\" has the type \"long\"");
    CHECK(schema.canonical == NULL);
}

/* Errors name schema and field: the caller has written no text, so that there are no lines. */
static void refusals_name_the_field(void) {
    static datablock_schema_field many[4096];
    datablock_schema schema = {0};
    datablock_schema_field f[] = {{"a", "u8", NULL, 0, 1, {0}}, {"b", "u32", NULL, 0, 4, {0}}};
    datablock_schema_layout layout = {f, 2, 8, 4};
    CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "schema T: field \"b\" is at 0, and what is before it ends at 1");
    datablock_schema_layout empty = {f, 0, 0, 1};
    CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &empty, &schema), DATABLOCK_E_INVALID,
        "schema T: the struct has no fields");
    f[1] = (datablock_schema_field){"b", NULL, &empty, 4, 4, {0}};
    CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "schema T: field \"b\" is a struct of no fields");
    f[1] = (datablock_schema_field){"b", "u32", NULL, 4, 0, {0}};
    CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "schema T: field \"b\" has no bytes");
    f[1] = (datablock_schema_field){NULL, "u32", NULL, 4, 4, {0}};
    CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &layout, &schema), DATABLOCK_E_INVALID,
        "schema T: a field has no name");
    static char texts[4096][8];
    for (size_t i = 0; i < 4096; i++) {
        snprintf(texts[i], sizeof texts[i], "f%zu", i);
        many[i] = (datablock_schema_field){texts[i], "u8", NULL, i, 1, {0}};
    }
    datablock_schema_layout large = {many, 4096, 4096, 1};
    CHECK_DETAIL(datablock_schema_describe("T", 1, 0, 0, &large, &schema), DATABLOCK_E_INVALID,
        "schema T: more than 1024 fields in all");
    large.count = large.size = 1024;
    CHECK_OK(datablock_schema_describe("T", 1, 0, 0, &large, &schema));
    datablock_schema_free(&schema);
}

/* The struct of the golden schema once more, with a layout that the compiler ties to it. */
DATABLOCK_TYPED_LAYOUT(typed_point, struct point, (FIELD, x), (FIELD, y));
DATABLOCK_TYPED_LAYOUT(typed_inner, struct inner, (FIELD, a), (FIELD, b));
DATABLOCK_TYPED_LAYOUT(typed_reading, struct reading, (FIELD, time), (ARRAY, value), (STRUCT_ARRAY, at, typed_point),
                       (STRUCT, inner, typed_inner), (ARRAY2, matrix), (ARRAY, name), (FIELD, ok));

static void typed_layouts(void) {
    datablock_schema typed, plain;
    CHECK_OK(datablock_schema_describe("SensorReading", 2, 1, 0, &typed_reading.layout, &typed));
    CHECK_OK(datablock_schema_describe("SensorReading", 2, 1, 0, &reading_layout, &plain));
    CHECK(strcmp(typed.canonical, plain.canonical) == 0);
    datablock_schema_free(&typed);
    datablock_schema_free(&plain);
}

/*
 * Every function that writes refuses a length that no message of the schema can have, and publishes
 * nothing.
 */
static void a_writer_is_held_to_its_schema(void) {
    for (uint32_t flags = 0; flags <= DATABLOCK_FLAG_TIMESTAMP; flags += DATABLOCK_FLAG_TIMESTAMP) {
        datablock_config config = ring_config(4);
        datablock_schema own = parsed("schema Rec 1.0.0 { a: u32; b: f64; }");
        datablock_producer producer;
        datablock_write_slot slot;
        uint64_t id;
        size_t written;
        char message[48] = "";
        config.schema = &own;
        config.slot_size = sizeof message;
        config.flags |= flags;
        CHECK_OK(datablock_producer_open(flags != 0 ? "held-stamped" : "held", &config, &producer));
        CHECK_OK(datablock_write_begin(producer, 0, &slot));
        CHECK_DETAIL(datablock_write_commit(producer, &slot, 15), DATABLOCK_E_INVALID,
            "a length of 15 is less than the 16 bytes of its schema's struct; the claim stays open");
        CHECK_DETAIL(datablock_write_commit(producer, &slot, 0), DATABLOCK_E_INVALID,
            "a length of 0 is less than the 16 bytes");
        CHECK_OK(datablock_write_commit(producer, &slot, 16));
        CHECK(slot.id == 0);
        CHECK_DETAIL(datablock_write(producer, 0, "abc", 3, &id), DATABLOCK_E_INVALID,
            "a message of 3 bytes is shorter than its schema's struct, which has 16");
        datablock_message two[] = {{message, 16}, {message, 3}};
        CHECK_DETAIL(datablock_write_batch(producer, 0, two, 2, &written), DATABLOCK_E_INVALID,
            "a message of 3 bytes is shorter");
        CHECK(written == 1);
        CHECK_OK(datablock_write(producer, 0, message, 24, &id)); /* bytes after the struct belong to the program */
        CHECK_OK(datablock_write(producer, 0, message, 48, &id)); /* so do several structs */
        CHECK(id == 3);
        CHECK_OK(datablock_producer_close(producer));
        datablock_schema_free(&own);
    }
}

static datablock_status open_expecting(const char *name, const datablock_schema *schema, uint32_t mode,
    datablock_consumer *consumer) {
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    options.schema = schema;
    options.schema_mode = mode;
    return datablock_consumer_open(name, &options, consumer);
}

static void schema_is_checked_at_attach(void) {
    datablock_config config = ring_config(4);
    datablock_schema own, other, block;
    datablock_producer producer;
    datablock_consumer consumer;
    CHECK_OK(datablock_schema_describe("SensorReading", 2, 1, 0, &reading_layout, &own));
    config.schema = &own;
    config.slot_size = 0;
    CHECK_OK(datablock_producer_open("attach", &config, &producer));

    char path[300];
    snprintf(path, sizeof path, "%s/attach", test_directory());
    CHECK_OK(datablock_schema_of_block(path, &block));
    CHECK(memcmp(block.hash, own.hash, sizeof own.hash) == 0 && block.minor == 1);
    datablock_schema_free(&block);

    CHECK_OK(open_expecting("attach", &own, DATABLOCK_SCHEMA_EXACT, &consumer));
    CHECK_OK(datablock_schema_of_consumer(consumer, &block));
    CHECK(strcmp(block.canonical, own.canonical) == 0);
    datablock_schema_free(&block);
    CHECK_DETAIL(datablock_schema_of_consumer(consumer, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_OK(datablock_consumer_close(consumer));
    other = parsed("schema SensorReading 2.0.0 { time: u64; value: f64[3]; }");
    CHECK_OK(open_expecting("attach", &other, DATABLOCK_SCHEMA_COMPATIBLE, &consumer));
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_DETAIL(open_expecting("attach", &other, DATABLOCK_SCHEMA_EXACT, &consumer), DATABLOCK_E_SCHEMA,
        "asks for exactly its own");
    datablock_schema_free(&other);
    other = parsed("schema SensorReading 2.1.0 { time: u64; value: f32[3]; }");
    CHECK_DETAIL(open_expecting("attach", &other, 0, &consumer), DATABLOCK_E_SCHEMA,
        "field \"value\" retyped: producer f64[3]@8, consumer f32[3]@8");
    CHECK_DETAIL(open_expecting("attach", &other, 2, &consumer), DATABLOCK_E_INVALID, "schema mode 2 is unknown");
    datablock_schema_free(&other);
    CHECK_DETAIL(open_expecting("attach", &other, 0, &consumer), DATABLOCK_E_INVALID,
        "consumer_options.schema has no text");
    other = (datablock_schema){.canonical = (char[]){"A{a:u8@0}1/2"}};
    CHECK_DETAIL(open_expecting("attach", &other, 0, &consumer), DATABLOCK_E_INVALID, "no multiple of its alignment");

    datablock_metrics metrics = {.size = sizeof metrics};
    CHECK_OK(datablock_get_metrics(path, &metrics));
    CHECK(metrics.schema_mismatches == 2);
    CHECK_OK(datablock_producer_close(producer));
    config.schema = NULL;
    config.slot_size = sizeof(struct reading);
    CHECK_DETAIL(datablock_producer_open("attach", &config, &producer), DATABLOCK_E_SCHEMA,
        "was made with schema SensorReading 2.1.0, and this producer has none");
    datablock_schema_free(&own);
}

static void a_block_without_schema(void) {
    struct pair p = open_pair("none", 4, DATABLOCK_LOSSLESS);
    datablock_schema schema = parsed("schema A { a: u8; }");
    datablock_consumer consumer;
    char path[300];
    snprintf(path, sizeof path, "%s/none", test_directory());
    CHECK_DETAIL(datablock_schema_of_block(path, &schema), DATABLOCK_E_SCHEMA, "has no schema");
    CHECK_DETAIL(datablock_schema_of_consumer(p.consumer, &schema), DATABLOCK_E_SCHEMA, "has no schema");
    CHECK_DETAIL(open_expecting("none", &schema, 0, &consumer), DATABLOCK_E_SCHEMA,
        "has no schema, and this consumer expects A 0.0.0");
    datablock_schema_free(&schema);
    close_pair(&p);
}

static void a_registry_of_schemas(void) {
    char registry[300], path[600];
    snprintf(registry, sizeof registry, "%s/registry", test_directory());
    datablock_schema first = parsed("schema A 1.0.0 { a: u32; }"), more = parsed("schema A 1.1.0 { a: u32; b: u8; }"),
        wrong = parsed("schema A 1.2.0 { a: i32; }"), found;
    CHECK_OK(datablock_schema_register(&first, registry));
    CHECK_OK(datablock_schema_register(&first, registry));
    CHECK_OK(datablock_schema_register(&more, registry));
    CHECK_DETAIL(datablock_schema_register(&wrong, registry), DATABLOCK_E_SCHEMA, "it needs version 2.0.0");
    CHECK_OK(datablock_schema_lookup("A@1", registry, &found));
    CHECK(found.minor == 1 && strcmp(found.canonical, more.canonical) == 0);
    datablock_schema_free(&found);
    CHECK_DETAIL(datablock_schema_lookup("A@2", registry, &found), DATABLOCK_E_NOT_FOUND,
        "which has versions 1.0.0, 1.1.0");
    CHECK_DETAIL(datablock_schema_lookup("A/..", registry, &found), DATABLOCK_E_INVALID, "write Name, Name@2");
    CHECK_DETAIL(datablock_schema_lookup(NULL, registry, &found), DATABLOCK_E_INVALID, "reference is NULL");
    CHECK_DETAIL(datablock_schema_lookup("A", registry, NULL), DATABLOCK_E_INVALID, "out is NULL");
    CHECK_DETAIL(datablock_schema_register(NULL, registry), DATABLOCK_E_INVALID, "schema is NULL");
    CHECK_DETAIL(datablock_schema_register(&first, "registry"), DATABLOCK_E_INVALID,
        "the registry of schemas \"registry\" is not an absolute path");
    CHECK_DETAIL(datablock_schema_lookup("A", "./registry", &found), DATABLOCK_E_INVALID, "is not an absolute path");
    CHECK(access("registry", F_OK) != 0);
    datablock_schema_free(&wrong);
    wrong = parsed("schema A { a: u32; }");
    CHECK_DETAIL(datablock_schema_register(&wrong, registry), DATABLOCK_E_INVALID, "has no version");
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/A@1.%d.0.schema", registry, i);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir(registry) == 0); /* nothing else was in it */
    datablock_schema_free(&first);
    datablock_schema_free(&more);
    datablock_schema_free(&wrong);
}

/* The registry that the environment currently names. */
static void a_registered_schema_at_open(void) {
    char registry[300], path[600];
    snprintf(registry, sizeof registry, "%s/registry", test_directory());
    CHECK(setenv("DATABLOCK_SCHEMAS", registry, 1) == 0);
    datablock_schema first = parsed("schema A 1.0.0 { a: u32; }"), more = parsed("schema A 1.1.0 { a: u32; b: u32; }"),
        other = parsed("schema A 2.0.0 { a: f32; b: u32; }"), found;
    const datablock_schema *all[] = {&first, &more, &other};
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(datablock_schema_register(all[i], NULL));
    }
    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_consumer consumer;
    config.registered = "A@1";
    config.slot_size = 0;
    CHECK_OK(datablock_producer_open("registered", &config, &producer));
    snprintf(path, sizeof path, "%s/registered", test_directory());
    CHECK_OK(datablock_schema_of_block(path, &found));
    CHECK(found.minor == 1 && strcmp(found.canonical, more.canonical) == 0);
    datablock_schema_free(&found);

    static const struct {
        const char *registered, *registry;
        datablock_status status;
        const char *says;
    } cases[] = {
        {"A@1.1.0", NULL, DATABLOCK_OK, ""},
        {"A@1.0", NULL, DATABLOCK_OK, ""},
        {"A@2", NULL, DATABLOCK_E_SCHEMA, "another major version"},
        {"A@3", NULL, DATABLOCK_E_NOT_FOUND, "which has versions 1.0.0, 1.1.0, 2.0.0"},
        {"A@1", NOWHERE, DATABLOCK_E_NOT_FOUND, "no such schema is registered"},
        {"A 1", NULL, DATABLOCK_E_INVALID, "write Name, Name@2"},
        {"", NULL, DATABLOCK_E_INVALID, "consumer_options.registered is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        datablock_consumer_options options = options_here(DATABLOCK_LATEST);
        options.registered = cases[i].registered;
        options.registry = cases[i].registry;
        if (cases[i].status == DATABLOCK_OK) {
            CHECK_OK(datablock_consumer_open("registered", &options, &consumer));
            CHECK_OK(datablock_consumer_close(consumer));
        } else {
            CHECK_DETAIL(datablock_consumer_open("registered", &options, &consumer), cases[i].status, cases[i].says);
        }
    }
    CHECK_OK(datablock_producer_close(producer));
    config.schema = &more;
    CHECK_OK(datablock_producer_open("registered", &config, &producer));
    CHECK_OK(datablock_producer_close(producer));
    config.schema = &other;
    CHECK_DETAIL(datablock_producer_open("registered", &config, &producer), DATABLOCK_E_SCHEMA,
        "what is registered as A@1 is not the schema that was given");
    config.schema = NULL;
    config.registered = "";
    CHECK_DETAIL(datablock_producer_open("registered", &config, &producer), DATABLOCK_E_INVALID,
        "config.registered is empty");

    CHECK(unsetenv("DATABLOCK_SCHEMAS") == 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/A@%u.%u.0.schema", registry, all[i]->major, all[i]->minor);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir(registry) == 0);
    datablock_schema_free(&first);
    datablock_schema_free(&more);
    datablock_schema_free(&other);
}

/* A path that is not absolute is ignored, however long it is. */
static void a_long_data_home(void) {
    static char longer[5000];
    datablock_schema found;
    memset(longer, 'x', sizeof longer - 1);
    CHECK(unsetenv("DATABLOCK_SCHEMAS") == 0);
    CHECK(setenv(HOME_VARIABLE, test_directory(), 1) == 0 && setenv(DATA_VARIABLE, longer, 1) == 0);
    CHECK_STATUS(datablock_schema_lookup("Nowhere", NULL, &found), DATABLOCK_E_NOT_FOUND);
    longer[0] = longer[1] = '/';
    CHECK(setenv(DATA_VARIABLE, longer, 1) == 0);
    CHECK_DETAIL(datablock_schema_lookup("Nowhere", NULL, &found), DATABLOCK_E_INVALID, DATA_VARIABLE " has more than");
    CHECK(unsetenv(DATA_VARIABLE) == 0);
}

static void the_zone_has_a_schema(void) {
    datablock_schema own = parsed("schema Settings 1.1.0 { gain: f64; rate: u32; }"),
        less = parsed("schema Settings 1.0.0 { gain: f64; }"), other = parsed("schema Settings 1.1.0 { gain: f32; }"),
        found;
    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_consumer consumer;
    char path[300];
    config.zone_schema = &own;
    CHECK_OK(datablock_producer_open("zoned", &config, &producer));
    snprintf(path, sizeof path, "%s/zoned", test_directory());
    CHECK_OK(datablock_zone_schema_of_block(path, &found));
    CHECK(strcmp(found.canonical, own.canonical) == 0 && found.minor == 1);
    datablock_schema_free(&found);
    CHECK_DETAIL(datablock_schema_of_block(path, &found), DATABLOCK_E_SCHEMA, "block \"");
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    options.zone_schema = &less;
    CHECK_OK(datablock_consumer_open("zoned", &options, &consumer));
    CHECK_OK(datablock_zone_schema_of_consumer(consumer, &found));
    CHECK(memcmp(found.hash, own.hash, sizeof own.hash) == 0);
    datablock_schema_free(&found);
    CHECK_DETAIL(datablock_zone_schema_of_consumer(consumer, NULL), DATABLOCK_E_INVALID,
        "datablock_zone_schema_of_consumer: out is NULL");
    CHECK_OK(datablock_consumer_close(consumer));
    options.schema_mode = DATABLOCK_SCHEMA_EXACT;
    CHECK_DETAIL(datablock_consumer_open("zoned", &options, &consumer), DATABLOCK_E_SCHEMA,
        "the flexible zone of block \"zoned\": schema differs");
    options.schema_mode = DATABLOCK_SCHEMA_COMPATIBLE;
    options.zone_schema = &other;
    CHECK_DETAIL(datablock_consumer_open("zoned", &options, &consumer), DATABLOCK_E_SCHEMA,
        "field \"gain\" retyped: producer f64@0, consumer f32@0");
    CHECK_OK(datablock_producer_close(producer));
    config.zone_schema = NULL;
    CHECK_DETAIL(datablock_producer_open("zoned", &config, &producer), DATABLOCK_E_SCHEMA,
        "the flexible zone of block \"zoned\" was made with schema Settings 1.1.0, and this producer has none");
    datablock_schema_free(&other);
    config.zone_schema = &other;
    CHECK_DETAIL(datablock_producer_open("zoned", &config, &producer), DATABLOCK_E_INVALID,
        "config.zone_schema has no text");
    options.zone_schema = &other;
    CHECK_DETAIL(datablock_consumer_open("zoned", &options, &consumer), DATABLOCK_E_INVALID,
        "consumer_options.zone_schema has no text");
    config.zone_schema = &own;
    config.zone_size = 8;
    CHECK_DETAIL(datablock_producer_open("small", &config, &producer), DATABLOCK_E_INVALID,
        "zone_size 8: a flexible zone of schema Settings has 16 bytes");
    struct pair p = open_pair("plain", 4, DATABLOCK_LOSSLESS);
    CHECK_DETAIL(datablock_zone_schema_of_consumer(p.consumer, &found), DATABLOCK_E_SCHEMA,
        "the flexible zone of block");
    close_pair(&p);
    datablock_schema_free(&own);
    datablock_schema_free(&less);
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"structs-and-texts-agree", structs_and_texts_agree},
        {"errors-say-where", errors_say_where},
        {"described-structs-cannot-inject", described_structs_cannot_inject},
        {"refusals-name-the-field", refusals_name_the_field},
        {"typed-layouts", typed_layouts},
        {"a-writer-is-held-to-its-schema", a_writer_is_held_to_its_schema},
        {"schema-is-checked-at-attach", schema_is_checked_at_attach},
        {"a-block-without-schema", a_block_without_schema},
        {"a-registry-of-schemas", a_registry_of_schemas},
        {"a-long-data-home", a_long_data_home},
        {"a-registered-schema-at-open", a_registered_schema_at_open},
        {"the-zone-has-a-schema", the_zone_has_a_schema},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
