/*
 * host EXCEPT: a host in C++, for run.py, like host.c, with the classes of datablock.hpp.
 */
#include <datablock.hpp>

#include "handlers.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <string>
#include <thread>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

constexpr std::size_t slot_size = 512;
constexpr std::uint32_t ring = 4;

std::atomic<bool> stop,
    end_of_stream; /* after stop: so no thread uses a removed block */
std::atomic<unsigned> threads, sharers, in_lock;
std::atomic<std::uint64_t> entered;
std::uint64_t written, read_slowly, read_any;

[[noreturn]] void fail(const char *what, int line) {
    std::fprintf(stderr, "host.cpp:%d: %s; detail \"%s\"\n", line, what, datablock_error_detail());
    _exit(1);
}
#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

std::size_t length_of(std::uint64_t id) {
    return 1 + static_cast<std::size_t>(id * 37 % slot_size);
}

void fill(void *data, std::uint64_t id) {
    for (std::size_t i = 0; i < length_of(id); i++) {
        static_cast<std::uint8_t *>(data)[i] = static_cast<std::uint8_t>(id * 31 + i);
    }
}

bool right(const void *data, std::size_t length, std::uint64_t id) {
    bool same = length == length_of(id);
    for (std::size_t i = 0; same && i < length; i++) {
        same = static_cast<const std::uint8_t *>(data)[i] == static_cast<std::uint8_t>(id * 31 + i);
    }
    return same;
}

void say_thread() {
    std::printf("thread %d\n", handlers_thread());
    std::fflush(stdout);
    threads++;
}

/* Uses what participants share: lock 1 with one owner at a time, the zone, a counter. */
void share(datablock::SharedParticipant participant) {
    sharers++;
    if (!stop) {
        try {
            datablock::SharedSpinLockGuardOwning guard(datablock::SharedSpinLock(participant, 1),
                                                       20);
            CHECK(in_lock.fetch_add(1) == 0);
            std::this_thread::sleep_for(100us);
            CHECK(in_lock.fetch_sub(1) == 1);
        } catch (const datablock::timeout_error &) {
        }
        try {
            datablock::with_flexible_zone(participant, 20, [](datablock::FlexibleZone &zone) {
                ++*static_cast<std::uint64_t *>(zone.data());
            });
            entered++;
        } catch (const datablock::timeout_error &) {
        }
        datablock::SharedCounter(participant, 2).fetch_add(1);
    }
    sharers--;
}

datablock::Config config() {
    return datablock::Config()
        .slot_count(ring)
        .slot_size(slot_size)
        .checksum(datablock::Checksum::enforced)
        .timestamps()
        .unlink_on_close();
}

datablock::ConsumerOptions lossless() {
    return datablock::ConsumerOptions().delivery(datablock::Delivery::lossless);
}

void publish(datablock::Producer &producer, unsigned turn) {
    if (turn % 3 == 0) {
        datablock::with_write_transaction(producer, 10, [](datablock::WriteSlot &slot) {
            CHECK(slot.id() == written);
            fill(slot.data(), slot.id());
            slot.commit(length_of(slot.id()));
        });
    } else if (turn % 3 == 1) {
        datablock::WriteTransactionGuard guard(producer, 10);
        fill(guard->data(), guard->id());
        if (turn % 6 == 1) {
            guard.abort();
            return;
        }
        guard.commit(length_of(written));
    } else {
        std::uint8_t bytes[slot_size];
        fill(bytes, written);
        CHECK(producer.write_bytes(bytes, length_of(written)) == written);
    }
    written++;
}

void produce(datablock::Producer &producer) {
    say_thread();
    for (unsigned turn = 0; !end_of_stream; turn++) {
        try {
            publish(producer, turn);
        } catch (const datablock::timeout_error &) {
        }
        if (turn % 8 == 0) {
            share(producer);
        }
    }
    while (sharers != 0) {
        std::this_thread::sleep_for(1ms);
    }
    datablock::with_flexible_zone(producer, 1000, [](datablock::FlexibleZone &zone) {
        CHECK(zone.intact() && *static_cast<std::uint64_t *>(zone.data()) == entered);
    });
    producer.close();
}

void read_all(datablock::Consumer &consumer) {
    say_thread();
    for (const datablock::ReadSlot &slot : consumer) {
        CHECK(slot.id() == read_slowly && slot.missed() == 0 &&
              right(slot.data(), slot.size(), slot.id()));
        read_slowly++;
        std::this_thread::sleep_for(std::chrono::microseconds(read_slowly % 4 * 100));
        if (read_slowly % 16 == 0) {
            share(consumer);
        }
    }
    consumer.close();
}

void read_either(datablock::Consumer &stream, datablock::Consumer &side) {
    std::uint64_t side_next = 0;
    datablock::WaitSet both{stream, side};
    say_thread();
    for (bool open = true; open;) {
        if (!both.wait(20)) {
            continue;
        }
        if (both.ready(0)) {
            try {
                datablock::with_next_slot(stream, 0, [](const datablock::ReadSlot &slot) {
                    CHECK(slot.id() == read_any && right(slot.data(), slot.size(), slot.id()));
                    read_any++;
                });
            } catch (const datablock::error::closed &) {
                open = false;
                continue;
            }
        }
        if (both.ready(1)) {
            datablock::ReadTransactionGuard guard = datablock::ReadTransactionGuard::next(side, 0);
            CHECK(guard && guard->id() == side_next &&
                  right(guard->data(), guard->size(), guard->id()));
            side_next++;
        }
        if (read_any % 16 == 0) {
            share(stream);
        }
    }
    stream.close();
    side.close();
}

void look_about(datablock::Producer &side) {
    const std::string name = "stream";
    std::uint64_t id = 0;
    say_thread();
    while (!stop) {
        std::uint8_t bytes[slot_size];
        fill(bytes, id);
        try {
            side.write_bytes(bytes, length_of(id), 5);
            id++;
        } catch (const datablock::timeout_error &) {
        }
        CHECK(datablock::recovery::SlotDiagnostics::diagnose_all(name).size() > ring);
        CHECK(datablock::recovery::IntegrityValidator::is_healthy(name));
        datablock::Observer observer(name);
        try {
            datablock::Observation seen = observer.newest(bytes, sizeof bytes);
            CHECK(right(bytes, seen.length(), seen.id()));
        } catch (const datablock::error::not_found &) {
        } catch (const datablock::error::overrun &) {
        }
        datablock::Consumer another(
            name, datablock::ConsumerOptions().delivery(datablock::Delivery::ordered));
        datablock::with_next_slot(another, 5, [](const datablock::ReadSlot &slot) {
            CHECK(right(slot.data(), slot.size(), slot.id()));
        });
        datablock::Producer brief("brief", config());
        CHECK(!datablock::find_datablock_consumer("none"));
    }
}

/* Starts a thread. An exception in it ends the host. */
template <typename F> std::thread start(F run) {
    return std::thread([run] {
        try {
            run();
        } catch (const std::exception &error) {
            fail(error.what(), __LINE__);
        }
    });
}

} // namespace

int main(int argc, char **argv) {
    try {
        datablock::Producer producer("stream", config()), side("side", config());
        datablock::Consumer slow("stream", lossless()), stream("stream", lossless()),
            of_side("side", lossless());
        handlers_begin(argc > 1 ? argv[1] : "", HANDLERS_ALTERNATE);
        say_thread();
        std::thread producing = start([&] { produce(producer); }),
                    reading = start([&] { read_all(slow); });
        std::thread waiting = start([&] { read_either(stream, of_side); }),
                    looking = start([&] { look_about(side); });
        while (threads < 5) {
            std::this_thread::sleep_for(1ms);
        }
        std::puts("ready");
        std::fflush(stdout);
        for (pollfd input{0, POLLIN, 0}; poll(&input, 1, 20) <= 0;) {
            datablock_metrics metrics{};
            metrics.size = sizeof metrics;
            datablock::check(datablock_get_metrics("stream", &metrics));
        }
        stop = true;
        looking.join();
        end_of_stream = true;
        producing.join();
        reading.join();
        waiting.join();
        CHECK(written > 0 && read_slowly == written && read_any == written && entered > 0);
    } catch (const std::exception &error) {
        fail(error.what(), __LINE__);
    }
    if (!handlers_end(0)) {
        return 1;
    }
    std::printf("ok %llu messages, %llu times in the zone, %lu handlers\n",
                static_cast<unsigned long long>(written),
                static_cast<unsigned long long>(entered.load()), handlers_count());
    return 0;
}
