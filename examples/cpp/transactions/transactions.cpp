#include <datablock.hpp>

#include <cstdio>
#include <iostream>
#include <stdexcept>

using namespace datablock;

namespace {

void print(const ReadSlot &slot) { std::cout << "message " << slot.id() << ": " << slot.text() << "\n"; }

/* Fills the slot in place, and sets the length of the message. */
void greet(WriteSlot &slot, const char *whom) {
    int length = std::snprintf(reinterpret_cast<char *>(slot.data()), slot.size(), "hello, %s", whom);
    slot.commit(static_cast<std::size_t>(length));
}

} // namespace

int main() try {
    Producer producer("greetings", Config(Policy::ring).slot_count(4).slot_size(64).unlink_on_close());
    Consumer consumer("greetings");

    // The message is published when the function has returned.
    with_write_transaction(producer, for_ever, [](WriteSlot &slot) { greet(slot, "world"); });

    // After any exception nothing is published, and the exception arrives here.
    try {
        with_write_transaction(producer, for_ever, [](WriteSlot &slot) {
            greet(slot, "nobody");
            throw std::runtime_error("the sensor fell off");
        });
    } catch (const std::runtime_error &error) {
        std::cout << "not published: " << error.what() << "\n";
    }

    // The same with a guard, where a function does not fit. The destructor would also publish, but
    // only commit() reports an error.
    WriteTransactionGuard guard(producer);
    greet(guard.slot(), "again");
    guard.commit();

    // The next message. The result says whether there was one.
    while (with_next_slot(consumer, 0, print)) {
    }

    // An old message, while it is in the ring. The result is the result of the function.
    std::size_t length = with_read_transaction(consumer, 0, 0, [](const ReadSlot &slot) { return slot.size(); });
    std::cout << "message 0 has " << length << " bytes\n";

    // A message that does not exist.
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
