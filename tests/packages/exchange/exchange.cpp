/* exchange.c in C++: exchange produce|consume NAME COUNT [STOP [CONSUMERS]]. */

#include <datablock.hpp>
#include <datablock_schema.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

struct Message {
    std::uint64_t number;
    double half;
    std::uint32_t writer;
    std::uint32_t inverse;
    std::uint64_t words[16];
};

DATABLOCK_DESCRIBE(Message, "Message", 1, 0, 0, number, half, writer, inverse, words)

namespace {

constexpr std::uint32_t own = 2, writers = 6;
constexpr std::int64_t part_ms = 100;
constexpr int parts = 600;

Message message_of(std::uint64_t number, std::uint32_t writer) {
    Message message{number, static_cast<double>(number) / 2, writer, ~writer, {}};
    for (std::uint64_t i = 0; i < std::size(message.words); i++) {
        message.words[i] = number * 1024 + i * 8 + writer;
    }
    return message;
}

void say(const std::string &what, std::uint64_t number) { std::cout << what << ' ' << number << std::endl; }

[[noreturn]] void stopped(std::uint64_t number) {
    say("stopped at", number);
    while (std::cin.get() != std::char_traits<char>::eof()) {
    }
    std::exit(1);
}

void produce(const std::string &name, std::uint64_t count, std::uint64_t stop, std::uint32_t consumers) {
    using namespace datablock;
    TypedProducer<Message> producer(name,
                                    Config(Policy::ring).slot_count(64).min_consumers(consumers).unlink_on_close());
    std::uint64_t next = producer.next_id();
    say("open at", next);
    for (int part = 0; next < count; part++) {
        try {
            producer.send_in_place(part_ms, [&](Message &message) {
                const Message whole = message_of(next, own);
                if (next == stop) {
                    std::memcpy(&message, &whole, sizeof whole / 2);
                    stopped(next);
                }
                message = whole;
            });
            next++;
            part = -1;
        } catch (const timeout_error &) {
            if (part == 0) {
                say("waiting at", next);
            } else if (part == parts) {
                throw;
            }
        }
    }
    producer.close();
}

class Reader {
public:
    Reader(const std::string &name, std::uint64_t stop)
        : stop_(stop), consumer_(name,
                                 datablock::ConsumerOptions()
                                     .delivery(datablock::Delivery::lossless)
                                     .start(datablock::Start::oldest)
                                     .wait_ms(30000),
                                 datablock::SchemaMode::exact) {
        say("open at", read_);
    }

    void read_all() {
        using namespace datablock;
        try {
            for (int part = 0; part < parts; part++) {
                if (with_next_slot(consumer_, part_ms, [this](const ReadSlot &slot) { take(slot.as<Message>()); })) {
                    part = 0;
                } else {
                    look();
                }
            }
        } catch (const error::closed &) {
            return;
        }
        throw std::runtime_error("nothing to read for a minute");
    }

    bool report(std::uint64_t count) const {
        std::cout << "from";
        for (std::uint32_t writer = 1; writer <= writers; writer++) {
            std::cout << ' ' << from_[writer];
        }
        std::cout << "\nread " << read_ << " of " << count << std::endl;
        return count == 0 || read_ == count;
    }

private:
    /* Why nothing came: next() distinguishes a producer that is slow from none. */
    void look() {
        try {
            take(consumer_.next(0));
        } catch (const datablock::error::no_producer &) {
            say("gone at", read_);
        } catch (const datablock::timeout_error &) {
        }
    }

    void take(const Message &message) {
        const Message expected = message_of(read_, message.writer);
        if (message.writer < 1 || message.writer > writers || std::memcmp(&message, &expected, sizeof message) != 0) {
            throw std::runtime_error("message " + std::to_string(read_) + " has other contents");
        }
        from_[message.writer]++;
        if (read_ == stop_) {
            stopped(read_);
        }
        if (++read_ % 1000 == 0) {
            say("at", read_);
        }
    }

    std::uint64_t stop_, read_ = 0;
    std::array<std::uint64_t, writers + 1> from_{};
    datablock::TypedConsumer<Message> consumer_;
};

int run(const std::vector<std::string> &words) {
    const std::uint64_t count = std::stoull(words[2]);
    const std::uint64_t stop = words.size() > 3 ? std::stoull(words[3]) : count;
    if (words[0] == "produce") {
        produce(words[1], count, stop, words.size() > 4 ? static_cast<std::uint32_t>(std::stoul(words[4])) : 1);
        return 0;
    }
    Reader reader(words[1], stop);
    reader.read_all();
    return reader.report(count) ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 4 || argc > 6) {
        std::cerr << "usage: exchange produce|consume NAME COUNT [STOP [CONSUMERS]]\n";
        return 2;
    }
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception &error) {
        std::cerr << "exchange.cpp: " << error.what() << '\n';
        return 1;
    }
}
