#include <datablock.hpp>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <string>
#include <thread>

using namespace datablock;

namespace {

struct Sample {
    std::uint64_t number;
    double value;
};

constexpr const char *block = "samples";

void produce() {
    Producer producer(block, Config::of<Sample>(Policy::ring).slot_count(64).min_consumers(1).unlink_on_close());
    for (std::uint64_t i = 0; i < 1000; i++) {
        producer.write(Sample{i, std::sin(0.001 * static_cast<double>(i))});
    }
}

/* Attaches as soon as the block exists. */
Consumer wait_for_block() {
    for (;;) {
        if (auto consumer = find_datablock_consumer(block, ConsumerOptions().start(Start::oldest))) {
            return std::move(*consumer);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

void consume() {
    Consumer consumer = wait_for_block();
    DataBlockSlotIterator iterator(consumer);
    std::uint64_t count = 0;
    double sum = 0;
    try {
        for (;;) {
            // Empty when no message came within 200 ms: a missing value cannot be mistaken for a
            // value.
            std::optional<double> value =
                with_next_slot(iterator, 200, [](const ReadSlot &slot) { return slot.as<Sample>().value; });
            if (value) {
                count++;
                sum += *value;
            } else {
                std::cerr << "still waiting\n";
            }
        }
    } catch (const error::closed &) {
        // The producer has closed, and every message has been read. `for (const ReadSlot &slot :
        // consumer)` ends by itself here.
    }
    std::cout << count << " samples, mean " << sum / static_cast<double>(count) << "\n";
}

} // namespace

int main(int argc, char **argv) try {
    std::string role = argc == 2 ? argv[1] : "";
    if (role == "produce") {
        produce();
    } else if (role == "consume") {
        consume();
    } else {
        std::cerr << "usage: next_slot produce|consume\n";
        return 2;
    }
    return 0;
} catch (const datablock::exception &error) {
    std::cerr << error.what() << "\n";
    return 1;
}
