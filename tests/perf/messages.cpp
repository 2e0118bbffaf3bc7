/* As messages.c with the inline functions, but with the transactions of datablock.hpp. */
#include "datablock.hpp"

#include <cstdio>
#include <cstdlib>

using namespace datablock;

/* callgrind finds these functions by name. */
extern "C" void write_messages(Producer &producer, int count);
extern "C" void read_messages(Consumer &consumer, int count);
extern "C" void counted();

/* Called once for each message: run.py counts the calls. */
extern "C" __attribute__((noinline)) void counted() { __asm__ volatile(""); }

extern "C" __attribute__((noinline)) void write_messages(Producer &producer, int count) {
    for (int i = 0; i < count; i++) {
        with_write_transaction(producer, 0, [](WriteSlot &slot) { slot.commit(64); });
        counted();
    }
}

extern "C" __attribute__((noinline)) void read_messages(Consumer &consumer, int count) {
    for (int i = 0; i < count; i++) {
        with_next_slot(consumer, 0, [](const ReadSlot &) {});
        counted();
    }
}

/* messages DIRECTORY DELIVERY COUNT */
int main(int argc, char **argv) try {
    if (argc != 4) {
        return 2;
    }
    Delivery delivery = static_cast<Delivery>(std::atoi(argv[2]));
    int count = std::atoi(argv[3]), batch = delivery == Delivery::latest ? 1 : 250;
    Producer producer("counted", Config().slot_count(1024).slot_size(64).directory(argv[1]).unlink_on_close());
    Consumer consumer("counted", ConsumerOptions().delivery(delivery).directory(argv[1]));
    for (int i = 0; i < count; i += batch) {
        write_messages(producer, batch);
        read_messages(consumer, batch);
    }
    return 0;
} catch (const datablock::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
