/* Several messages in one call, in C++. */
#include "check.hpp"

#include <datablock.hpp>

#include <array>
#include <numeric>
#include <vector>

using namespace datablock;

namespace {

struct Both {
    explicit Both(const char *name, Delivery delivery = Delivery::lossless, std::uint32_t pins = 1)
        : producer(name, Config(Policy::ring).slot_count(8).slot_size(64).directory(test_directory())),
          consumer(name, ConsumerOptions().delivery(delivery).max_pins(pins).directory(test_directory())) {}
    Producer producer;
    Consumer consumer;
};

std::size_t write_numbers(const Producer &producer, std::uint64_t first, std::size_t count,
                          std::int64_t timeout_ms = 0) {
    std::vector<std::uint64_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), first);
    return write_batch(producer, numbers.data(), count, timeout_ms);
}

std::vector<std::uint64_t> numbers_in(const ReadBatch &batch) {
    std::vector<std::uint64_t> numbers;
    for (ReadSlot slot : batch) {
        CHECK(slot.as<std::uint64_t>() == slot.id());
        numbers.push_back(slot.id());
    }
    return numbers;
}

using Numbers = std::vector<std::uint64_t>;

void batch_of_a_lossless_reader() {
    Both b("lossless");
    ReadBatch batch(b.consumer, 5);
    CHECK(batch.empty() && batch.next(0) == 0);
    CHECK(write_numbers(b.producer, 0, 7) == 7);
    CHECK(batch.next(0) == 5 && (numbers_in(batch) == Numbers{0, 1, 2, 3, 4}));
    CHECK(batch.next() == 2 && (numbers_in(batch) == Numbers{5, 6}));
    CHECK(batch[1].id() == 6);
    CHECK(batch.next(0) == 0 && batch.empty());
    b.producer.close();
    CHECK_THROWS(error::closed, (void)batch.next());
}

void batch_holds_the_producer_up() {
    Both b("full");
    {
        CHECK(write_numbers(b.producer, 0, 10, 20) == 8);
        ReadBatch batch(b.consumer, 8);
        CHECK(batch.next(0) == 8);
        CHECK_THROWS(timeout_error, (void)write_numbers(b.producer, 8, 1));
    }
    CHECK(write_numbers(b.producer, 8, 1) == 1);
}

void batch_of_an_ordered_reader() {
    Both b("ordered", Delivery::ordered, 3);
    CHECK(write_numbers(b.producer, 0, 10) == 10);
    ReadBatch batch(b.consumer, 8);
    CHECK(batch.next(0) == 3 && (numbers_in(batch) == Numbers{2, 3, 4}) && batch[0].missed() == 2);
    CHECK(write_numbers(b.producer, 10, 10) == 10);
    CHECK((numbers_in(batch) == Numbers{2, 3, 4}));
    batch.finish();
}

void parts_of_a_batch() {
    Both b("parts");
    write_numbers(b.producer, 0, 8);
    ReadBatch batch(b.consumer, 8);
    CHECK(batch.next(0) == 8);
    batch.finish_first(3);
    CHECK((numbers_in(batch) == Numbers{3, 4, 5, 6, 7}));
    batch.finish_first(0);
    CHECK(write_numbers(b.producer, 8, 3) == 3);
    CHECK_THROWS(timeout_error, b.producer.write(1, 0));
    batch.finish_first(99);
    CHECK(batch.empty() && batch.next(0) == 3 && batch[0].id() == 8);
}

void parts_of_a_batch_after_an_older_message() {
    Both b("older", Delivery::lossless, 2);
    write_numbers(b.producer, 0, 6);
    datablock_read_slot older;
    CHECK(datablock_read_begin(b.consumer.for_c(), 0, &older) == DATABLOCK_OK);
    ReadBatch batch(b.consumer, 4);
    CHECK(batch.next(0) == 4);
    CHECK_THROWS(error::invalid, batch.finish_first(2));
    CHECK((numbers_in(batch) == Numbers{1, 2, 3, 4}));
    CHECK(datablock_read_end(b.consumer.for_c(), &older) == DATABLOCK_OK);
    batch.finish_first(2);
    CHECK((numbers_in(batch) == Numbers{3, 4}));
    batch.finish();
    CHECK(write_numbers(b.producer, 6, 7) == 7);
}

void batches_move() {
    Both b("moves");
    write_numbers(b.producer, 0, 8);
    ReadBatch first(b.consumer, 3);
    CHECK(first.next() == 3);
    ReadBatch second(std::move(first));
    CHECK((numbers_in(second) == Numbers{0, 1, 2}));
    ReadBatch &same = second;
    second = std::move(same);
    CHECK(second.size() == 3);
    second = ReadBatch(b.consumer, 8);
    CHECK(second.next() == 5);
}

void batch_of_an_evicted_reader() {
    Both b("evicted");
    write_numbers(b.producer, 0, 8);
    ReadBatch batch(b.consumer, 8);
    CHECK(batch.next() == 8);
    CHECK(datablock_evict_consumer((std::string(test_directory()) + "/evicted").c_str(), 1, true) == RECOVERY_SUCCESS);
    CHECK_THROWS(error::fenced, batch.finish());
    CHECK(batch.empty());
}

void batch_written_in_part() {
    Both b("part");
    std::array<char, 65> text{};
    const datablock_message messages[] = {{"one", 3}, {"two", 3}, {text.data(), text.size()}};
    try {
        (void)write_batch(b.producer, messages, 3, 0);
        CHECK(false);
    } catch (const batch_error &e) {
        CHECK(e.written() == 2);
        CHECK_THROWS(error::invalid, std::rethrow_if_nested(e));
    }
    CHECK_THROWS(error::invalid, (void)write_batch(b.producer, messages + 2, 1, 0));
    CHECK_THROWS(error::invalid, ReadBatch(b.consumer, 0));
}

} // namespace

int main(int argc, char **argv) {
    return run_scenarios(
        {
            {"batch-of-a-lossless-reader", batch_of_a_lossless_reader},
            {"batch-holds-the-producer-up", batch_holds_the_producer_up},
            {"batch-of-an-ordered-reader", batch_of_an_ordered_reader},
            {"parts-of-a-batch", parts_of_a_batch},
            {"parts-of-a-batch-after-an-older-message", parts_of_a_batch_after_an_older_message},
            {"batches-move", batches_move},
            {"batch-of-an-evicted-reader", batch_of_an_evicted_reader},
            {"batch-written-in-part", batch_written_in_part},
        },
        argc, argv);
}
