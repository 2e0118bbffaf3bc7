/* Observers in C++. */
#include "check.hpp"

#include <datablock.hpp>

#include <array>
#include <string>

using namespace datablock;

namespace {

Config ring() { return Config(Policy::ring).slot_count(4).slot_size(64).directory(test_directory()); }
ConsumerOptions here() { return ConsumerOptions().directory(test_directory()); }

void observer_sees_the_newest() {
    Producer producer("newest", ring());
    Observer observer("newest", here());
    CHECK_THROWS(error::not_found, observer.newest());
    producer.write(11);
    producer.write(22);
    for (int again = 0; again < 2; again++) { // an observer has no cursor
        int value = 0;
        Observation seen = observer.newest(&value, sizeof value);
        CHECK(seen.id() == 1 && seen.length() == sizeof value && seen.next_id() == 2 && value == 22);
    }
    CHECK(observer.newest().length() == sizeof(int));
    int value = 0;
    CHECK(observer.at(0, &value, sizeof value).id() == 0 && value == 11);
    CHECK_THROWS(error::not_found, observer.at(2));
    for (int more = 0; more < 4; more++) {
        producer.write(more);
    }
    CHECK_THROWS(error::overrun, observer.at(1));
}

void observer_is_told_of_the_end() {
    auto producer = std::make_unique<Producer>("end", ring().unlink_on_close());
    producer->write(1);
    Observer observer("end", here());
    producer->close();
    auto superseded = [&] {
        try {
            return observer.newest().id() != 0;
        } catch (const error::superseded &) {
            return true;
        }
    };
    WAIT_UNTIL(superseded());
}

void observers_move() {
    Producer producer("moved", ring());
    producer.write(1);
    Observer first("moved", here());
    Observer second = std::move(first);
    CHECK(second.newest().id() == 0);
    CHECK_THROWS(error::handle, first.newest());
    first = std::move(second);
    CHECK(first.newest().id() == 0);
    Observer &itself = first;
    first = std::move(itself);
    CHECK(first.newest().id() == 0);
    first.close();
    CHECK_THROWS(error::handle, first.close());
}

void observer_is_asked_for_properly() {
    Producer producer("asked", ring().schema(Schema::parse("schema A 1.0.0 { x: u32; }")));
    CHECK_THROWS(error::not_found, Observer("nobody", here()));
    CHECK_THROWS(error::invalid, Observer("asked", here().delivery(Delivery::latest)));
    CHECK_THROWS(error::schema, Observer("asked", here().schema(Schema::parse("schema A 1.0.0 { y: u32; }"))));
    Observer observer("asked", here());
    CHECK(observer.schema() == Schema::parse("schema A 1.0.0 { x: u32; }"));
}

} // namespace

int main(int argc, char **argv) {
    return run_scenarios(
        {
            {"observer-sees-the-newest", observer_sees_the_newest},
            {"observer-is-told-of-the-end", observer_is_told_of_the_end},
            {"observers-move", observers_move},
            {"observer-is-asked-for-properly", observer_is_asked_for_properly},
        },
        argc, argv);
}
