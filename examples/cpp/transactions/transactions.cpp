#include <datablock.hpp>

#include <cstdio>
#include <iostream>
#include <stdexcept>

using namespace datablock;

namespace {

void print(const ReadSlot &slot) { std::cout << "message " << slot.id() << ": " << slot.text() << "\n"; }

/* Fills the slot in place, and says how much of it is the message. */
void greet(WriteSlot &slot, const char *whom) {
    int length = std::snprintf(reinterpret_cast<char *>(slot.data()), slot.size(), "hello, %s", whom);
    slot.commit(static_cast<std::size_t>(length));
}

} // namespace

int main() try {
    Producer producer("greetings", Config(Policy::ring).slot_count(4).slot_size(64).unlink_on_close());
    Consumer consumer("greetings");

    // Published when the function has returned.
    with_write_transaction(producer, for_ever, [](WriteSlot &slot) { greet(slot, "world"); });

    // An exception, wherever it comes from: nothing is published, and it arrives here.
    try {
        with_write_transaction(producer, for_ever, [](WriteSlot &slot) {
            greet(slot, "nobody");
            throw std::runtime_error("the sensor fell off");
        });
    } catch (const std::runtime_error &error) {
        std::cout << "not published: " << error.what() << "\n";
    }

    // The same with a guard, for where a function does not fit. Its destructor would publish, too;
    // commit() tells when that fails.
    WriteTransactionGuard guard(producer);
    greet(guard.slot(), "again");
    guard.commit();

    // The next message, and whether there was one.
    while (with_next_slot(consumer, 0, print)) {
    }

    // One that has been read, as long as it is there. What the function returns is the result.
    std::size_t length = with_read_transaction(consumer, 0, 0, [](const ReadSlot &slot) { return slot.size(); });
    std::cout << "message 0 has " << length << " bytes\n";

    // One that is not there.
    try {
        with_read_transaction(consumer, 2, 100, print);
    } catch (const timeout_error &) {
        std::cout << "message 2 was not written within 100 ms\n";
    }
    return 0;
} catch (const datablock::exception &error) {
    std::cerr << error.what() << "\n";
    return 1;
}
