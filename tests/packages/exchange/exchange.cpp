/* exchange.c in C++: exchange produce|consume NAME COUNT. */

#include <datablock.hpp>

#include <cstdint>
#include <iostream>
#include <string>

namespace {

struct Message {
    std::uint64_t number;
    double half;
};

void produce(const std::string &name, std::uint64_t count) {
    using namespace datablock;
    Producer producer(name, Config::of<Message>(Policy::ring).slot_count(64).min_consumers(1).unlink_on_close());
    for (std::uint64_t i = 0; i < count; i++) {
        producer.write(Message{i, static_cast<double>(i) / 2});
    }
}

bool consume(const std::string &name, std::uint64_t count) {
    using namespace datablock;
    Consumer consumer(name, ConsumerOptions().delivery(Delivery::lossless).start(Start::oldest).wait_ms(30000));
    std::uint64_t read = 0;
    for (const ReadSlot &slot : consumer) {
        const auto &message = slot.as<Message>();
        if (message.number != read || message.half != static_cast<double>(read) / 2) {
            std::cerr << "exchange.cpp: message " << read << " has other contents\n";
            return false;
        }
        read++;
    }
    std::cout << "read " << read << " of " << count << std::endl;
    return read == count;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: exchange produce|consume NAME COUNT\n";
        return 2;
    }
    const std::uint64_t count = std::stoull(argv[3]);
    if (std::string(argv[1]) == "produce") {
        produce(argv[2], count);
        return 0;
    }
    return consume(argv[2], count) ? 0 : 1;
}
