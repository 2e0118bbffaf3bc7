/* Waiting on several blocks, in C++. */
#include "check.hpp"

#include <datablock.hpp>

#include <array>
#include <thread>

using namespace datablock;

namespace {

struct Both {
    explicit Both(const std::string &name, Delivery delivery = Delivery::lossless)
        : producer(name,
                   Config(Policy::ring).slot_count(4).slot_size(64).unlink_on_close().directory(test_directory())),
          consumer(name, ConsumerOptions().delivery(delivery).directory(test_directory())) {}
    Producer producer;
    Consumer consumer;
};

using Two = std::array<bool, 2>;

bool asleep(const std::string &name) {
    std::array<datablock_participant_info, 4> rows;
    int count = datablock_list_participants((test_directory() + "/" + name).c_str(), rows.data(), rows.size());
    for (int i = 0; i < count; i++) {
        if (rows[static_cast<std::size_t>(i)].row != 0 && rows[static_cast<std::size_t>(i)].waits > 0) {
            return true;
        }
    }
    return false;
}

void wait_any_names_every_ready_one() {
    for (Delivery delivery : {Delivery::lossless, Delivery::ordered, Delivery::latest}) {
        Both left("left", delivery), right("right", delivery);
        WaitSet set{left.consumer, right.consumer};
        CHECK(set.size() == 2 && !set.wait(0) && !set.ready(0) && !set.ready(1) && !set.wait(20));
        right.producer.write(7);
        for (int again = 0; again < 2; again++) { // wait_any dequeues nothing
            CHECK(set.wait() && !set.ready(0) && set.ready(1));
            CHECK((wait_any(for_ever, left.consumer, right.consumer) == Two{false, true}));
        }
        left.producer.write(8);
        CHECK(set.wait(0) && set.ready(0) && set.ready(1));
        CHECK(left.consumer.next<int>(0) == 8 && right.consumer.next<int>(0) == 7);
        CHECK(!set.wait(0) && !set.ready(0) && !set.ready(1));
        CHECK((wait_any(0, left.consumer, right.consumer) == Two{false, false}));
    }
}

void wait_any_is_woken() {
    for (int which = 0; which < 2; which++) {
        Both left("left"), right("right", Delivery::latest);
        bool ready[2] = {};
        std::thread waiter([&] {
            WaitSet set{left.consumer, right.consumer};
            CHECK(set.wait());
            ready[0] = set.ready(0);
            ready[1] = set.ready(1);
        });
        WAIT_UNTIL(asleep("right"));
        (which == 0 ? left : right).producer.write(1);
        waiter.join();
        CHECK(ready[which] && !ready[1 - which]);
    }
}

void wait_any_sees_the_end() {
    Both left("left"), right("right");
    std::thread waiter([&] { CHECK((wait_any(for_ever, left.consumer, right.consumer) == Two{false, true})); });
    WAIT_UNTIL(asleep("right"));
    right.producer.close();
    waiter.join();
    CHECK_THROWS(error::closed, right.consumer.next<int>(0));
}

void wait_any_closed_meanwhile() {
    Both left("left"), right("right");
    std::thread waiter([&] { CHECK_THROWS(error::closed, wait_any(for_ever, left.consumer, right.consumer)); });
    WAIT_UNTIL(asleep("right"));
    left.consumer.close();
    waiter.join();
    CHECK_THROWS(error::handle, wait_any(0, left.consumer, right.consumer));
}

void wait_any_is_asked_for_properly() {
    WaitSet set;
    CHECK_THROWS(error::invalid, set.wait(0));
    Both left("left"), right("right");
    set.add(left.consumer);
    CHECK_THROWS(error::invalid, set.wait(-2));
    CHECK(!set.wait(0));
    set.add(right.consumer);
    right.producer.write(1);
    CHECK(set.wait(0) && !set.ready(0) && set.ready(1));
    WaitSet moved = std::move(set);
    CHECK(moved.wait(0) && moved.ready(1) && moved.size() == 2);
    Consumer elsewhere = std::move(left.consumer); // the handle stays the same, also in the set
    CHECK(moved.wait(0));
    set = WaitSet{elsewhere, right.consumer};
    CHECK(set.wait(0) && set.ready(1));
    set.remove(0);
    CHECK(set.size() == 1 && !set.ready(0) && set.wait(0) && set.ready(0));
    CHECK_THROWS(error::handle, wait_any(0, left.consumer));
}

} // namespace

int main(int argc, char **argv) {
    return run_scenarios(
        {
            {"wait-any-names-every-ready-one", wait_any_names_every_ready_one},
            {"wait-any-is-woken", wait_any_is_woken},
            {"wait-any-sees-the-end", wait_any_sees_the_end},
            {"wait-any-closed-meanwhile", wait_any_closed_meanwhile},
            {"wait-any-is-asked-for-properly", wait_any_is_asked_for_properly},
        },
        argc, argv);
}
