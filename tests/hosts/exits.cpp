/*
 * exits list | exits WHAT WHERE FLAGS | exits next: a handler of SIGINT that exits or closes while
 * its thread is in a call. run.py sends the signal at a random moment after `up`. It expects exit
 * code 7 within a second, and that the next producer can take the blocks over.
 *
 *   WHAT   exit, quick-exit: the handler calls std::exit, std::quick_exit; the producer and the
 *          consumer are static objects
 *          close-producer, close-consumer: the handler closes the handle that the loop uses
 *          close-other: the handler closes handles that the loop does not use
 *   WHERE  loop: publishes, reads, and asks for the metrics now and then
 *          diagnose: asks for the metrics in every round
 *          write-wait, read-wait: waits for ever
 *   FLAGS  onstack, plain: with SA_ONSTACK and without
 */
#include <datablock.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

namespace {

constexpr int wanted = 7;
constexpr const char *block = "ends";

std::string what;
datablock_producer producer_handle, other_producer; /* the handles that the handler closes */
datablock_consumer consumer_handle, other_consumer;
volatile std::sig_atomic_t refused, closed_other;

datablock::Config config() { return datablock::Config().slot_count(8).slot_size(64); }

datablock::Producer &producer() {
    static datablock::Producer made(block, config());
    return made;
}

datablock::Consumer &consumer(bool lossless) {
    static datablock::Consumer made(
        block, datablock::ConsumerOptions().delivery(lossless ? datablock::Delivery::lossless
                                                              : datablock::Delivery::ordered));
    return made;
}

bool waits_for_ever;

/* Checks the status of a close. After a refused close the handle stays open, and the loop ends by
 * itself. A wait without a bound would not end, so the handler calls exit then. */
void closed(datablock_status status) {
    if (status == DATABLOCK_E_BUSY) {
        if (waits_for_ever) {
            std::exit(wanted);
        }
        refused = 1;
    } else if (status != DATABLOCK_OK && status != DATABLOCK_E_HANDLE) {
        _exit(100 + static_cast<int>(status));
    }
}

extern "C" void on_interrupt(int) {
    if (what == "exit") {
        std::exit(wanted);
    } else if (what == "quick-exit") {
        std::quick_exit(wanted);
    } else if (what == "close-producer") {
        closed(datablock_producer_close(producer_handle));
    } else if (what == "close-consumer") {
        closed(datablock_consumer_close(consumer_handle));
    } else {
        closed(datablock_producer_close(other_producer));
        closed(datablock_consumer_close(other_consumer));
        if (waits_for_ever) {
            std::exit(wanted);
        }
        closed_other = 1;
    }
}

void publish_and_read(bool diagnose) {
    for (long i = 0;; i++) {
        producer().write(i, 100);
        datablock::with_next_slot(consumer(false), 0, [](const datablock::ReadSlot &) {});
        if (diagnose || i % 64 == 0) {
            datablock_metrics metrics{};
            metrics.size = sizeof metrics;
            datablock::check(datablock_get_metrics(block, &metrics));
        }
        if (refused != 0 || closed_other != 0) {
            std::exit(wanted);
        }
    }
}

void run(const std::string &where) {
    if (where == "read-wait") {
        for (;;) {
            datablock::with_next_slot(consumer(false), -1, [](const datablock::ReadSlot &) {});
        }
    } else if (where == "write-wait") {
        for (long i = 0;; i++) {
            producer().write(i, -1);
            if (i >= 16) {
                std::exit(wanted); /* the consumer that caused the backpressure is gone */
            }
        }
    }
    publish_and_read(where == "diagnose");
}

int take_over() {
    datablock::Producer next(block, config());
    next.write(1L, 100);
    next.close();
    return 0;
}

int list() {
    for (const char *ending :
         {"exit", "quick-exit", "close-producer", "close-consumer", "close-other"}) {
        for (const char *where : {"loop", "write-wait", "read-wait", "diagnose"}) {
            std::printf("%s %s onstack\n%s %s plain\n", ending, where, ending, where);
        }
    }
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc == 2 && std::strcmp(argv[1], "list") == 0) {
        return list();
    }
    if (argc == 2 && std::strcmp(argv[1], "next") == 0) {
        return take_over();
    }
    if (argc != 4) {
        std::fprintf(stderr, "usage: exits list | next | WHAT WHERE FLAGS\n");
        return 2;
    }
    what = argv[1];
    const std::string where = argv[2];
    waits_for_ever = where == "read-wait" || where == "write-wait";
    producer_handle = producer().for_c();
    consumer_handle = consumer(where == "write-wait").for_c();
    datablock::Producer second("other", config());
    datablock::Consumer second_consumer("other");
    other_producer = second.for_c();
    other_consumer = second_consumer.for_c();

    struct sigaction action{};
    action.sa_handler = on_interrupt;
    action.sa_flags = std::strcmp(argv[3], "onstack") == 0 ? SA_ONSTACK : 0;
    sigaction(SIGINT, &action, nullptr);
    std::puts("up");
    std::fflush(stdout);
    try {
        run(where);
    } catch (const datablock::exception &error) {
        /* The handler has closed the handle that the loop uses. */
        const datablock_status status = static_cast<datablock_status>(error.status());
        if (status == DATABLOCK_E_CLOSED || status == DATABLOCK_E_HANDLE) {
            return wanted;
        }
        std::fprintf(stderr, "status %d: %s\n", static_cast<int>(status), error.what());
        return 1;
    }
}
