/* What the participants of a block share, in C++. */
#include "check.hpp"

#include <datablock.hpp>

#include <cstring>
#include <vector>

using namespace datablock;

namespace {

struct Both {
    explicit Both(const char *name)
        : producer(name, Config(Policy::ring).slot_size(64).directory(test_directory())),
            consumer(name, ConsumerOptions().directory(test_directory())) {}
    Producer producer;
    Consumer consumer;
};

struct Settings {
    std::uint64_t version;
    double gain;
};

void a_lock_is_recursive_for_its_owner() {
    Both b("recursive");
    SharedSpinLock lock(b.producer, 1);
    {
        SharedSpinLockGuardOwning outer(lock), inner(lock, 0);
        CHECK(outer && inner && !outer.abandoned());
        CHECK_THROWS(timeout_error, (void)SharedSpinLock(b.consumer, 1).acquire(0));
    }
    SharedSpinLockGuardOwning other(SharedSpinLock(b.consumer, 1), 0);
    CHECK(other);
}

void a_lock_is_let_go_of_by_its_owner_alone() {
    Both b("owner");
    SharedSpinLockGuardOwning guard(SharedSpinLock(b.producer, 7));
    CHECK_THROWS(error::invalid, SharedSpinLock(b.consumer, 7).release());
    guard.release();
    CHECK(!guard);
    CHECK_THROWS(error::invalid, guard.release());
    CHECK_THROWS(error::invalid, (void)SharedSpinLock(b.producer, 8).acquire(0));
}

SharedSpinLockGuardOwning locked(const Producer &producer,
    std::uint32_t index) { return SharedSpinLockGuardOwning(SharedSpinLock(producer, index)); }

void guards_move_return_and_live_in_containers() {
    Both b("guards");
    std::vector<SharedSpinLockGuardOwning> guards;
    for (std::uint32_t i = 0; i < SharedSpinLock::count; i++) {
        guards.push_back(locked(b.producer, i));
    }
    SharedSpinLockGuardOwning moved(std::move(guards[3]));
    CHECK(moved && !guards[3]);
    SharedSpinLockGuardOwning &same = moved;
    moved = std::move(same);
    CHECK(moved);
    guards[3] = std::move(moved);
    CHECK_THROWS(timeout_error, (void)SharedSpinLock(b.consumer, 3).acquire(0));
    guards.clear();
    CHECK(!SharedSpinLock(b.consumer, 3).acquire(0));
}

void an_exception_lets_go_of_the_lock() {
    Both b("exception");
    auto stopped = [&b] {
        SharedSpinLockGuardOwning guard(SharedSpinLock(b.producer, 2));
        throw std::runtime_error("stop");
    };
    CHECK_THROWS(std::runtime_error, stopped());
    CHECK(!SharedSpinLock(b.consumer, 2).acquire(0));
}

void the_zone_is_shared_by_both_sides() {
    Both b("zone");
    std::uint64_t version = with_flexible_zone(b.producer, 0, [](FlexibleZone &zone) {
        CHECK(zone.size() == 4032 && zone.intact() && zone.writes() == 0);
        zone.as<Settings>() = {7, 0.5};
        return zone.as<Settings>().version;
    });
    CHECK(version == 7);
    with_flexible_zone(b.consumer, 0, [&b](FlexibleZone &zone) {
        CHECK(zone.as<Settings>().gain == 0.5 && zone.writes() == 1);
        CHECK_THROWS(timeout_error, with_flexible_zone(b.producer, 0, [](FlexibleZone &) {}));
        CHECK_THROWS(error::invalid, with_flexible_zone(b.consumer, 0, [](FlexibleZone &) {}));
    });
}

void leaving_a_zone_that_one_is_not_in() {
    Both b("not-in");
    const datablock_participant me = datablock_of_producer(b.producer.for_c());
    CHECK(datablock_lock_acquire(me, 0, 0, nullptr) == DATABLOCK_OK);
    CHECK(datablock_zone_end(me, false) == DATABLOCK_E_INVALID);
    CHECK(datablock_lock_release(me, 0) == DATABLOCK_OK);
    with_flexible_zone(b.producer, 0,
        [me](FlexibleZone &) { CHECK(datablock_lock_acquire(me, 0, 0, nullptr) == DATABLOCK_OK); });
    CHECK(datablock_zone_end(me, false) == DATABLOCK_E_INVALID);
    CHECK(datablock_lock_release(me, 0) == DATABLOCK_OK);
    with_flexible_zone(b.consumer, 0, [](FlexibleZone &zone) { CHECK(zone.intact() && zone.writes() == 1); });
}

void the_zone_of_one_who_could_not_finish_is_noticed() {
    Both b("half");
    CHECK_THROWS(std::runtime_error, with_flexible_zone(b.producer, 0, [](FlexibleZone &zone) {
        zone.as<Settings>().version = 1;
        throw std::runtime_error("stop");
    }));
    CHECK_THROWS(error::checksum, with_flexible_zone(b.consumer, 0, [](FlexibleZone &) {}));
    with_flexible_zone(
        b.consumer, 0, [](FlexibleZone &zone) { CHECK(zone.abandoned() && !zone.intact()); }, true);
    with_flexible_zone(b.producer, 0, [](FlexibleZone &zone) { CHECK(!zone.abandoned() && zone.intact()); });
}

void counters_are_atomic_words() {
    Both b("counters");
    SharedCounter mine(b.producer, 2), yours(b.consumer, 2);
    CHECK(mine.load() == 0 && mine.fetch_add(5) == 0 && yours.exchange(8) == 5);
    std::uint64_t expected = 5;
    CHECK(!yours.compare_exchange(expected, 9) && expected == 8);
    CHECK(yours.compare_exchange(expected, 9) && mine.load() == 9);
    CHECK_THROWS(error::invalid, SharedCounter(b.producer, 8).load());
}

} // namespace

int main(int argc, char **argv) {
    return run_scenarios(
        {
            {"a-lock-is-recursive-for-its-owner", a_lock_is_recursive_for_its_owner},
            {"a-lock-is-let-go-of-by-its-owner-alone", a_lock_is_let_go_of_by_its_owner_alone},
            {"guards-move-return-and-live-in-containers", guards_move_return_and_live_in_containers},
            {"an-exception-lets-go-of-the-lock", an_exception_lets_go_of_the_lock},
            {"the-zone-is-shared-by-both-sides", the_zone_is_shared_by_both_sides},
            {"leaving-a-zone-that-one-is-not-in", leaving_a_zone_that_one_is_not_in},
            {"the-zone-of-one-who-could-not-finish-is-noticed", the_zone_of_one_who_could_not_finish_is_noticed},
            {"counters-are-atomic-words", counters_are_atomic_words},
        },
        argc, argv);
}
