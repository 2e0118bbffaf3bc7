/* Schemas in C++: from text, from structs, in blocks, at attach, and types with a schema. */
#include "check.hpp"

#include <datablock.hpp>

#include <array>
#include <cstring>
#include <filesystem>

using namespace datablock;

struct Point {
    float x, y;
};
struct Inner {
    std::uint8_t a;
    std::uint16_t b;
};
/* The golden schema "a sensor reading" of tests/format/vectors/schemas.json. */
struct Reading {
    std::uint64_t time;
    double value[3];
    std::array<Point, 2> at;
    Inner inner;
    std::array<std::array<std::int16_t, 3>, 2> matrix;
    char name[16];
    char gap[20];
    bool ok;
};
DATABLOCK_DESCRIBE(Point, "Point", 1, 0, 0, x, y)
DATABLOCK_DESCRIBE(Inner, "Inner", 1, 0, 0, a, b)
DATABLOCK_DESCRIBE(Reading, "SensorReading", 2, 1, 0, time, value, at, inner, matrix, name, ok)

enum class Colour : std::uint8_t { red };
struct Every {
    std::int8_t i8;
    std::int16_t i16;
    std::int32_t i32;
    std::int64_t i64;
    std::uint8_t u8;
    std::uint16_t u16;
    std::uint32_t u32;
    std::uint64_t u64;
    float f32;
    double f64;
    bool yes;
    char letter;
    Colour colour;
    long long longest;
    std::size_t size;
    unsigned char cube[2][3][4];
};
DATABLOCK_DESCRIBE(Every, "Every", 2, 1, 0, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, yes, letter, colour,
                   longest, size, cube)

struct Sample {
    std::uint64_t time;
    double value;
};
struct Longer { /* Sample of a later minor version */
    std::uint64_t time;
    double value;
    std::uint64_t more;
};
DATABLOCK_DESCRIBE(Longer, "Sample", 1, 9, 0, time, value, more)
struct FloatSample {
    std::uint64_t time;
    float value;
};
DATABLOCK_DESCRIBE(Sample, "Sample", 1, 0, 0, time, value)
DATABLOCK_DESCRIBE(FloatSample, "Sample", 1, 0, 0, time, value)

namespace {

const char reading_text[] =
    "schema SensorReading 2.1.0 { time: u64; value: f64[3]; at: { x: f32; y: f32; }[2]; inner: { a: u8; b: "
    "u16; }; matrix: i16[2][3]; name: char[16]; ok: bool @ 100; }";

void structs_and_texts_agree() {
    Schema text = Schema::parse(reading_text), described = Schema::of<Reading>();
    CHECK(described == text && described.canonical() == text.canonical());
    CHECK(std::memcmp(described.hash(), text.hash(), 32) == 0);
    CHECK(described.size() == sizeof(Reading) && described.alignment() == alignof(Reading) &&
          described.major_version() == 2 && described.minor_version() == 1 && described.patch_version() == 0);
    text.check_consumer(described, SchemaMode::exact);
    CHECK(Schema::of<Every>() == Schema::parse(
        "schema Every { i8: i8; i16: i16; i32: i32; i64: i64; u8: u8; u16: u16; u32: u32; u64: u64; f32: f32; "
        "f64: f64; yes: bool; letter: char; colour: u8; longest: i64; size: u64; cube: u8[2][3][4]; }"));
    Schema copy = text;
    text = Schema::of<Point>();
    CHECK(copy == described && copy != text);
}

void errors_say_where() {
    CHECK_THROWS(error::invalid, (void)Schema::parse("schema A { a: f65; }"));
    CHECK_THROWS(error::invalid, (void)Schema::parse(std::string("schema\0", 7)));
    CHECK_THROWS(error::schema, Schema::of<Sample>().check_consumer(Schema::of<FloatSample>()));
    CHECK_THROWS(error::not_found, (void)Schema::of_block("nobody-made-this"));
}

Config here() { return Config().directory(test_directory()); }
ConsumerOptions there() { return ConsumerOptions().directory(test_directory()).delivery(Delivery::lossless); }

void schema_is_checked_at_attach() {
    TypedProducer<Sample> producer("attach", here());
    CHECK(Schema::of_block(std::string(test_directory()) + "/attach") == Schema::of<Sample>());
    TypedConsumer<Sample> same("attach", there(), SchemaMode::exact);
    CHECK(same.schema() == Schema::of<Sample>());
    try {
        TypedConsumer<FloatSample> other("attach", there());
        CHECK(false);
    } catch (const error::schema &e) {
        CHECK(std::string(e.what()).find(
            "field \"value\" retyped: producer f64@8, consumer f32@8") != std::string::npos);
    }
    Consumer anything("attach", there());
    CHECK(anything.schema().size() == 16);
    CHECK_THROWS(error::schema,
        Consumer("attach", there().schema(Schema::parse("schema Sample 1.0.0 { time: u64; }"), SchemaMode::exact)));
    Consumer less("attach", there().schema(Schema::parse("schema Sample 1.9.0 { time: u64; }")));
    producer.close();
    CHECK_THROWS(error::schema, TypedProducer<FloatSample>("attach", here()));
    CHECK_THROWS(error::schema, Producer("attach", here().slot_size(16)));
}

void typed_participants() {
    TypedProducer<Sample> producer("typed", here());
    TypedConsumer<Sample> consumer("typed", there());
    CHECK(producer.send({7, 0.5}) == 0);
    CHECK(producer.send_in_place(0, [](Sample &sample) { sample = {8, 1.5}; }) == 1);
    CHECK_THROWS(std::runtime_error, (void)producer.send_in_place(0, [](Sample &) { throw std::runtime_error("no"); }));
    CHECK(consumer.next(0).time == 7);
    CHECK(consumer.try_next()->value == 1.5);
    CHECK(!consumer.try_next());
}

/* A reader of an older version reads its own fields of each message, one by one and in a batch. */
void an_older_reader_takes_its_fields() {
    TypedProducer<Longer> producer("longer", here().slot_count(8));
    TypedConsumer<Sample> consumer("longer", there().delivery(Delivery::lossless));
    const Longer sent[] = {{1, 1.5, 77}, {2, 2.5, 77}, {3, 3.5, 77}};
    CHECK(write_batch(producer, sent, 3, 0) == 3);
    CHECK(consumer.next(0).value == 1.5);
    ReadBatch batch(consumer, 4);
    CHECK(batch.next(0) == 2);
    std::uint64_t time = 2;
    for (ReadSlot slot : batch) {
        CHECK(slot.as<Sample>().time == time && slot.as<Sample>().value == static_cast<double>(time) + 0.5);
        time++;
    }
}

/* What is shorter than the struct of the block's schema is refused before it is published. */
void a_writer_is_held_to_its_schema() {
    TypedProducer<Longer> producer("held", here().slot_count(8));
    const Sample wrong[] = {{1, 1.5}};
    CHECK_THROWS(error::invalid, (void)producer.write(wrong[0], 0));
    CHECK_THROWS(error::invalid, (void)write_batch(producer, wrong, 1, 0));
    CHECK_THROWS(error::invalid, with_write_transaction(producer, 0, [](WriteSlot &slot) { slot.commit(3); }));
    CHECK(producer.send({1, 1.5, 2}, 0) == 0);
}

void a_registry_of_schemas() {
    std::string registry = std::string(test_directory()) + "/registry";
    Schema::of<Sample>().enroll(registry);
    Schema::of<Sample>().enroll(registry);
    CHECK(Schema::lookup("Sample@1", registry) == Schema::of<Sample>());
    CHECK_THROWS(error::schema, Schema::of<FloatSample>().enroll(registry));
    CHECK_THROWS(error::not_found, (void)Schema::lookup("Other", registry));
    std::filesystem::remove_all(registry);
}

void a_registered_schema_at_open() {
    std::string registry = std::string(test_directory()) + "/registry";
    Schema more = Schema::parse("schema Sample 1.1.0 { time: u64; value: f64; more: u8; }");
    Schema::of<Sample>().enroll(registry);
    more.enroll(registry);
    Producer producer("registered", here().registered("Sample@1", registry));
    CHECK(Schema::of_block(std::string(test_directory()) + "/registered") == more);
    Consumer older("registered", there().registered("Sample@1.0", registry));
    CHECK(older.schema() == more);
    TypedConsumer<Sample> own("registered", there().registered("Sample@1.0", registry));
    CHECK_THROWS(error::schema, TypedConsumer<Sample>("registered", there().registered("Sample@1", registry)));
    CHECK_THROWS(error::schema, TypedProducer<FloatSample>("other", here().registered("Sample@1.0", registry)));
    CHECK_THROWS(error::not_found, Consumer("registered", there().registered("Sample@2", registry)));
    CHECK_THROWS(error::invalid, Consumer("registered", there().registered("Sample 1", registry)));
    CHECK_THROWS(error::invalid, Producer("other", here().registered("", registry)));
    TypedProducer<Sample> checked("other", here().registered("Sample@1.0", registry));
    std::filesystem::remove_all(registry);
}

void the_zone_has_a_schema() {
    Producer producer("zoned", here().slot_size(16).zone_schema(Schema::of<Sample>()));
    CHECK(Schema::of_zone(std::string(test_directory()) + "/zoned") == Schema::of<Sample>());
    Consumer consumer("zoned", there().zone_schema(Schema::of<Sample>()));
    CHECK(consumer.zone_schema() == Schema::of<Sample>());
    CHECK_THROWS(error::schema, (void)consumer.schema());
    CHECK_THROWS(error::schema, Consumer("zoned", there().zone_schema(Schema::of<FloatSample>())));
    producer.close();
    CHECK_THROWS(error::schema, Producer("zoned", here().slot_size(16)));
    CHECK_THROWS(error::schema, Producer("zoned", here().slot_size(16).zone_schema(Schema::of<FloatSample>())));
}

} // namespace

int main(int argc, char **argv) {
    return run_scenarios(
        {
            {"structs-and-texts-agree", structs_and_texts_agree},
            {"errors-say-where", errors_say_where},
            {"schema-is-checked-at-attach", schema_is_checked_at_attach},
            {"typed-participants", typed_participants},
            {"an-older-reader-takes-its-fields", an_older_reader_takes_its_fields},
            {"a-writer-is-held-to-its-schema", a_writer_is_held_to_its_schema},
            {"a-registry-of-schemas", a_registry_of_schemas},
            {"a-registered-schema-at-open", a_registered_schema_at_open},
            {"the-zone-has-a-schema", the_zone_has_a_schema},
        },
        argc, argv);
}
