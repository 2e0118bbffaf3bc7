/*
 * Every C++ call that accesses a block's memory, while another thread closes the producer or the
 * consumer; and the texts and types of the refusals. The caller must release a view (WriteSlot,
 * ReadSlot) before the close, so calls that return a view are not tested. `make soak` tests each
 * call 2,000 times.
 */
#include "check.hpp"

#include <datablock.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

using namespace datablock;

namespace {

struct Big {
    unsigned char bytes[64 << 10];
};

Config ring() {
    Config config(Policy::ring);
    return config.slot_count(4).spare_slots(4).slot_size(sizeof(Big)).directory(test_directory()).unlink_on_close();
}
ConsumerOptions here(Delivery delivery) { return ConsumerOptions().delivery(delivery).directory(test_directory()); }

/* Checks that all bytes belong to one message. */
void check_whole(const Big &big) { CHECK(std::memcmp(big.bytes, big.bytes + 1, sizeof big.bytes - 1) == 0); }

struct Sample {
    Sample() = delete; /* a message's type need not have a default constructor */
    explicit Sample(int n) : number(n) {}
    int number;
};

/*
 * The reading thread writes a message before each read, so that there always is one. This producer
 * stays open.
 */
struct Parts {
    Producer producer{"closing", ring()};
    Consumer consumer{"closing", here(Delivery::ordered)};
    Big out{}, in{};

    void provide() {
        std::memset(out.bytes, out.bytes[0] + 1, sizeof out.bytes);
        producer.write(out);
    }
};

using Call = std::function<void(Parts &)>;

unsigned chance(unsigned below) {
    static unsigned long long seed = 1;
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<unsigned>(seed >> 33) % below;
}

/* Repeats the call until the other thread has closed the handle. */
void close_against(const Call &call, bool closes_producer) {
    Parts parts;
    std::atomic<unsigned> made{0};
    std::thread caller([&] {
        try {
            for (;;) {
                made++;
                call(parts);
            }
        } catch (const error::handle &) {
        } catch (const error::closed &) {
        }
    });
    const unsigned before = 1 + chance(8);
    while (made < before) {
        std::this_thread::yield();
    }
    for (volatile unsigned spins = chance(20000); spins > 0; spins = spins - 1) {
    }
    if (closes_producer) {
        parts.producer.close();
        Producer other("other", ring()); /* gets the addresses of the closed block */
        caller.join();
        CHECK_EQUAL(recovery::metrics(test_directory() + "/other").next_id, 0u);
        CHECK(recovery::IntegrityValidator::is_healthy(test_directory() + "/other"));
    } else {
        parts.consumer.close();
        caller.join();
    }
}

void closing_against_every_copy() {
    const int rounds = std::getenv("DATABLOCK_SOAK") != nullptr ? 2000 : 25;
    const std::vector<std::pair<bool, Call>> calls = {
        {true, [](Parts &p) { p.producer.write(p.out); }},
        {true, [](Parts &p) { p.producer.write_bytes(p.out.bytes, sizeof p.out.bytes); }},
        {true, [](Parts &p) { write_batch(p.producer, &p.out, 1); }},
        {false,
         [](Parts &p) {
             p.provide();
             p.in = p.consumer.next<Big>();
             check_whole(p.in);
         }},
        {false,
         [](Parts &p) {
             p.provide();
             if (auto got = std::make_unique<std::optional<Big>>(p.consumer.try_next<Big>()); *got) {
                 check_whole(**got);
             }
         }},
        {false, [](Parts &p) { SharedCounter(p.consumer, 1).fetch_add(1); }},
        {false,
         [](Parts &p) {
             SharedSpinLock lock(p.consumer, 2);
             (void)lock.acquire();
             lock.release();
         }},
    };
    for (const auto &[closes_producer, call] : calls) {
        for (int round = 0; round < rounds; round++) {
            alarm(SCENARIO_SECONDS);
            close_against(call, closes_producer);
        }
    }
}

void copies_of_any_type() {
    Producer producer("types", ring());
    Consumer consumer("types", here(Delivery::lossless));
    producer.write(Sample(41));
    CHECK_EQUAL(consumer.next<Sample>().number, 41);
    producer.write(Sample(42));
    CHECK_EQUAL(consumer.try_next<Sample>()->number, 42);
    CHECK(!consumer.try_next<Sample>());
    producer.write(std::uint8_t{1});
    CHECK_THROWS(error::invalid, consumer.next<Sample>());
    CHECK_THROWS(timeout_error, consumer.next<std::uint8_t>(0)); /* the message counts as read */
    producer.write(Sample(43)); /* a copy needs no alignment, and takes the beginning of a longer message */
    CHECK_EQUAL(consumer.next<std::uint8_t>(), 43);
}

/* A copy is not a hold: a LOSSLESS consumer can make a copy while it holds an older message. */
void copies_inside_a_transaction() {
    Producer producer("inside", ring());
    Consumer consumer("inside", here(Delivery::lossless).max_pins(2));
    for (int i = 0; i < 4; i++) {
        producer.write(i);
    }
    CHECK(with_next_slot(consumer, 0, [&](const ReadSlot &held) {
        CHECK_EQUAL(held.as<int>(), 0);
        CHECK_EQUAL(consumer.next<int>(), 1);
        CHECK_EQUAL(*consumer.try_next<int>(), 2);
        CHECK_THROWS(timeout_error, producer.write(4, 0)); /* the first message is held */
    }));
    producer.write(4, 0);
    CHECK_EQUAL(consumer.next<int>(), 3);
    CHECK_EQUAL(consumer.next<int>(), 4);
}

/* A name with a zero byte inside would mean another block, here an existing one. */
void names_with_a_zero_byte() {
    namespace r = recovery;
    Producer producer("zero", ring());
    const std::string name = test_directory() + "/zero", evil = name + std::string("\0other", 6);
    producer.write(1);
    CHECK_THROWS(error::invalid, Producer(evil, ring()));
    CHECK_THROWS(error::invalid, Consumer(evil));
    CHECK_THROWS(error::invalid, find_datablock_consumer(evil));
    CHECK_THROWS(error::invalid, Observer(evil));
    CHECK_THROWS(error::invalid, Consumer(name, here(Delivery::ordered).name(std::string("a\0b", 3))));
    CHECK_THROWS(error::invalid, Consumer("zero", ConsumerOptions().directory(std::string("/dev\0b", 6))));
    CHECK_THROWS(error::invalid, Consumer(name, here(Delivery::ordered).registered(std::string("a\0b", 3))));
    CHECK_THROWS(error::invalid, Consumer(name, here(Delivery::ordered).registered("a", std::string("a\0b", 3))));
    CHECK_THROWS(error::invalid, Schema::of_block(evil));
    CHECK_THROWS(error::invalid, Schema::of_zone(evil));
    CHECK_THROWS(error::invalid, Schema::parse(std::string("a\0b", 3)));
    CHECK_THROWS(error::invalid, Schema::lookup(std::string("a\0b", 3)));
    CHECK_THROWS(error::invalid, Schema::lookup("a", std::string("a\0b", 3)));
    CHECK_THROWS(error::invalid, r::IntegrityValidator::validate(evil));
    CHECK_THROWS(error::invalid, r::IntegrityValidator::is_healthy(evil));
    CHECK_THROWS(error::invalid, r::IntegrityValidator(evil).validate());
    CHECK_THROWS(error::invalid, r::auto_recover(evil));
    CHECK_THROWS(error::invalid, r::SlotRecovery::auto_recover(evil));
    CHECK_THROWS(error::invalid, r::SlotDiagnostics::diagnose_all(evil));
    CHECK_THROWS(error::invalid, r::SlotDiagnostics::diagnose_slot(evil, 0));
    CHECK_THROWS(error::invalid, r::SlotDiagnostics::find_stuck_slots(evil));
    CHECK_THROWS(error::invalid, r::participants(evil));
    CHECK_THROWS(error::invalid, r::HeartbeatManager::find_dead_consumers(evil));
    CHECK_THROWS(error::invalid, r::HeartbeatManager::cleanup_dead_consumers(evil));
    CHECK_THROWS(error::invalid, r::metrics(evil));
    CHECK_THROWS(error::invalid, r::history(evil));
    const std::vector<std::function<RecoveryResult()>> repairs = {
        [&] { return r::IntegrityValidator(evil).repair(true); },
        [&] { return r::SlotRecovery::reset_slot(evil, 0, true); },
        [&] { return r::SlotRecovery::reset_all_slots(evil, true); },
        [&] { return r::SlotRecovery::release_zombie_readers(evil, 0); },
        [&] { return r::SlotRecovery::release_zombie_writer(evil, 0); },
        [&] { return r::SlotRecovery::evict_consumer(evil, 1, true); },
    };
    for (const auto &repair : repairs) {
        CHECK_EQUAL(static_cast<int>(repair()), static_cast<int>(RECOVERY_FAILED));
        CHECK(std::strstr(datablock_error_detail(), "goes on after a zero byte") != nullptr);
    }
    Consumer consumer("zero", here(Delivery::ordered).start(Start::oldest));
    CHECK_EQUAL(consumer.next<int>(0), 1); /* the other block is unchanged */
}

void a_missing_block_is_not_found() {
    namespace r = recovery;
    const std::string name = test_directory() + "/nothing";
    CHECK_THROWS(error::not_found, Consumer(name));
    CHECK_THROWS(error::not_found, Observer(name));
    CHECK_THROWS(error::not_found, Schema::of_block(name));
    CHECK_THROWS(error::not_found, Schema::of_zone(name));
    CHECK_THROWS(error::not_found, r::IntegrityValidator::validate(name));
    CHECK_THROWS(error::not_found, r::IntegrityValidator::is_healthy(name));
    CHECK_THROWS(error::not_found, r::auto_recover(name));
    CHECK_THROWS(error::not_found, r::SlotDiagnostics::diagnose_all(name));
    CHECK_THROWS(error::not_found, r::SlotDiagnostics::diagnose_slot(name, 0));
    CHECK_THROWS(error::not_found, r::participants(name));
    CHECK_THROWS(error::not_found, r::HeartbeatManager::cleanup_dead_consumers(name));
    CHECK_THROWS(error::not_found, r::metrics(name));
    const std::string said = CHECK_THROWS(error::not_found, r::history(name));
    CHECK(said.find("nothing") != std::string::npos);
    const std::string file = test_directory() + "/text";
    {
        std::FILE *text = std::fopen(file.c_str(), "w");
        CHECK(text != nullptr && std::fputs("no block", text) >= 0 && std::fclose(text) == 0);
    }
    CHECK_THROWS(error::corrupt, r::SlotDiagnostics::diagnose_all(file)); /* the file exists, and is not a block */
    CHECK_EQUAL(std::remove(file.c_str()), 0);
}

} // namespace

int main(int argc, char **argv) {
    return run_scenarios({{"copies-of-any-type", copies_of_any_type},
                          {"copies-inside-a-transaction", copies_inside_a_transaction},
                          {"names-with-a-zero-byte", names_with_a_zero_byte},
                          {"a-missing-block-is-not-found", a_missing_block_is_not_found},
                          {"closing-against-every-copy", closing_against_every_copy}},
                         argc, argv);
}
