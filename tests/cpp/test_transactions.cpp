/*
 * datablock.hpp: transactions, their guards, and the rest of the header. Scenarios have the same
 * names in every language. With -DTEST_EXPORTED the header has no inline functions, as with a
 * compiler that the inline functions do not support.
 */
#include "check.hpp"

#ifdef TEST_EXPORTED
#include <functional>
#include <iterator>
#include <optional>
#include <string_view>
#pragma push_macro("__BYTE_ORDER__")
#undef __BYTE_ORDER__
#include <datablock.hpp>
#pragma pop_macro("__BYTE_ORDER__")
#if DATABLOCK_HAS_INLINE
#error "the exported functions were asked for"
#endif
#include <datablock_layout.h>
#else
#include <datablock.hpp>
#if !DATABLOCK_HAS_INLINE
#error "no inline functions"
#endif
#endif

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <memory>
#include <new>

using namespace std::string_literals;
using datablock::Checksum;
using datablock::Config;
using datablock::Consumer;
using datablock::ConsumerOptions;
using datablock::DataBlockSlotIterator;
using datablock::Delivery;
using datablock::Policy;
using datablock::Producer;
using datablock::ReadSlot;
using datablock::ReadTransactionGuard;
using datablock::Start;
using datablock::with_next_slot;
using datablock::with_read_transaction;
using datablock::with_write_transaction;
using datablock::WriteSlot;
using datablock::WriteTransactionGuard;
namespace error = datablock::error;

/* ---- Allocations are counted ----------------------------------------------------------------- */

static thread_local unsigned long allocations;

static void *counted(std::size_t size) {
    allocations++;
    if (void *memory = std::malloc(size != 0 ? size : 1)) {
        return memory;
    }
    throw std::bad_alloc();
}
void *operator new(std::size_t size) { return counted(size); }
void *operator new[](std::size_t size) { return counted(size); }
void *operator new(std::size_t size, const std::nothrow_t &) noexcept {
    allocations++;
    return std::malloc(size != 0 ? size : 1);
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void *memory, const std::nothrow_t &) noexcept { std::free(memory); }

/* ---- Checks at compile time ------------------------------------------------------------------ */

namespace {

template <typename T>
constexpr bool move_only = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && std::is_nothrow_destructible_v<T>;
static_assert(move_only<Producer> && move_only<Consumer> && move_only<WriteTransactionGuard> &&
              move_only<ReadTransactionGuard> && move_only<DataBlockSlotIterator>);
static_assert(std::is_same_v<datablock::DataBlockProducer, Producer> && std::is_same_v<datablock::DataBlockConsumer,
              Consumer>);
static_assert(std::is_nothrow_default_constructible_v<WriteTransactionGuard> &&
              std::is_nothrow_default_constructible_v<ReadTransactionGuard>);
static_assert(!std::is_copy_constructible_v<WriteSlot> && !std::is_move_constructible_v<WriteSlot> &&
              std::is_copy_constructible_v<ReadSlot> && !std::is_copy_assignable_v<ReadSlot>);
/* A guard converts to bool in a condition, and nowhere else. */
static_assert(std::is_constructible_v<bool, WriteTransactionGuard &> && !std::is_convertible_v<WriteTransactionGuard &,
              bool>);
static_assert(std::is_constructible_v<bool, ReadTransactionGuard &> && !std::is_convertible_v<ReadTransactionGuard &,
              bool>);

template <typename Slot, typename R> struct Returns {
    R operator()(Slot &) const;
};
template <typename R> using WriteResult =
    decltype(with_write_transaction(std::declval<Producer &>(), 0, Returns<WriteSlot, R>()));
template <typename R> using ReadResult =
    decltype(with_read_transaction(std::declval<Consumer &>(), 0, 0, Returns<ReadSlot, R>()));
template <typename R> using NextResult =
    decltype(with_next_slot(std::declval<Consumer &>(), 0, Returns<ReadSlot, R>()));
template <typename R> using StepResult =
    decltype(with_next_slot(std::declval<DataBlockSlotIterator &>(), 0, Returns<ReadSlot, R>()));
static_assert(std::is_same_v<WriteResult<void>, void> && std::is_same_v<WriteResult<int>,
              int> && std::is_same_v<WriteResult<int &>, int &>);
static_assert(std::is_same_v<ReadResult<void>, void> && std::is_same_v<ReadResult<std::unique_ptr<int>>,
              std::unique_ptr<int>>);
static_assert(std::is_same_v<NextResult<void>, bool> && std::is_same_v<NextResult<bool>,
              std::optional<bool>> && std::is_same_v<NextResult<int>, std::optional<int>>);
static_assert(std::is_same_v<StepResult<void>, bool> && std::is_same_v<StepResult<std::string>,
              std::optional<std::string>>);

static_assert(std::is_base_of_v<std::runtime_error, datablock::exception> && std::is_base_of_v<datablock::exception,
              datablock::timeout_error>);
static_assert(std::is_base_of_v<datablock::timeout_error,
              error::no_producer> && !std::is_base_of_v<datablock::timeout_error, error::closed>);
static_assert(std::is_nothrow_copy_constructible_v<error::closed>); /* exceptions must be so */

#if __cplusplus >= 202002L
static_assert(std::input_iterator<DataBlockSlotIterator> && std::sentinel_for<datablock::DataBlockSlotEnd,
              DataBlockSlotIterator>);
static_assert(std::is_same_v<decltype(std::declval<WriteSlot &>().bytes()), std::span<std::byte>>);
static_assert(std::is_same_v<decltype(std::declval<ReadSlot &>().bytes()), std::span<const std::byte>>);
#endif

/* ---- A block --------------------------------------------------------------------------------- */

constexpr std::uint32_t slots = 4;
constexpr std::size_t capacity = 100;

Config config_here() { return Config(Policy::ring).slot_count(slots).slot_size(capacity).directory(test_directory()); }
ConsumerOptions options_here(Delivery delivery) {
    return ConsumerOptions().delivery(delivery).directory(test_directory()); }

std::string path_of(const std::string &name) { return test_directory() + "/" + name; }

struct Held {
    unsigned readers = 0, claims = 0;
};

/* What the diagnosis reports about a block. */
Held held(const std::string &name) {
    std::array<SlotDiagnostic, 64> all;
    std::size_t count = 0;
    CHECK_EQUAL(datablock_diagnose_all_slots(path_of(name).c_str(), all.data(), all.size(), &count), 0);
    Held sum;
    for (std::size_t i = 0; i < count; i++) {
        sum.readers += all[i].reader_count;
        sum.claims += all[i].slot_state == DATABLOCK_SLOT_WRITING;
    }
    return sum;
}

/* A block with a producer and a consumer. At the end no message may be held, and both participants
 * must still work. */
struct Block {
    std::string name;
    Producer producer;
    Consumer consumer;

    explicit Block(const char *block_name, Delivery delivery = Delivery::ordered, std::uint32_t pins = 2)
        : name(block_name), producer(name, config_here().unlink_on_close()),
            consumer(name, options_here(delivery).max_pins(pins)) {}

    std::uint64_t write(std::string_view text) { return producer.write_bytes(text.data(), text.size(), 1000); }
    void write(unsigned count) {
        for (unsigned i = 0; i < count; i++) {
            write("message");
        }
    }
    /* The id of the next message. */
    std::uint64_t next_id() {
        WriteTransactionGuard guard(producer, 1000);
        std::uint64_t id = guard.slot().id();
        guard.abort();
        return id;
    }
    std::optional<std::string> next(std::int64_t timeout_ms = 1000) {
        return with_next_slot(consumer, timeout_ms, [](const ReadSlot &slot) { return std::string(slot.text()); });
    }
    /* Reads all available messages. */
    unsigned drain() {
        unsigned count = 0;
        while (next(0)) {
            count++;
        }
        return count;
    }
    void check_released() {
        drain();
        CHECK_EQUAL(held(name).claims, 0u);
        CHECK_EQUAL(held(name).readers, 0u);
        write("released");
        CHECK_EQUAL(next().value(), "released");
        CHECK_EQUAL(held(name).readers, 0u);
    }
};

/* Sets bits in a ring entry of the block file, as a forced recovery does. */
void set_bits(const std::string &name, std::uint64_t id, std::uint64_t bits) {
    int file = open(path_of(name).c_str(), O_RDWR | O_CLOEXEC);
    CHECK(file >= 0);
    std::uint64_t ring = 0, entry = 0;
    CHECK_EQUAL(pread(file, &ring, sizeof ring, DATABLOCK_LAYOUT_HDR_RING_OFFSET), 8);
    off_t at = static_cast<off_t>(ring + 8 * (id % slots));
    CHECK_EQUAL(pread(file, &entry, sizeof entry, at), 8);
    entry |= bits;
    CHECK_EQUAL(pwrite(file, &entry, sizeof entry, at), 8);
    close(file);
}
constexpr std::uint64_t fence_bit = 1, lost_bit = 2;

struct Custom {
    int value;
};

void fill(WriteSlot &slot, char with) { std::memset(slot.data(), with, slot.size()); }

/* ---- The scenarios of every language --------------------------------------------------------- */

void basic_success() {
    Block block("basic");
    for (std::uint64_t i = 0; i < 3 * slots; i++) {
        std::uint64_t returned = with_write_transaction(block.producer, 1000, [&](WriteSlot &slot) {
            CHECK_EQUAL(slot.id(), i);
            CHECK_EQUAL(slot.size(), capacity);
            CHECK_EQUAL(slot.capacity(), capacity);
            CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(slot.data()) % 64, 0u);
            CHECK_EQUAL(held(block.name).claims, 1u);
            fill(slot, static_cast<char>('a' + i));
            slot.commit(i + 1);
            return slot.id() * 10;
        });
        CHECK_EQUAL(returned, i * 10);
        std::optional<std::uint64_t> read = with_next_slot(block.consumer, 1000, [&](ReadSlot &slot) {
            CHECK_EQUAL(slot.text(), std::string(i + 1, static_cast<char>('a' + i)));
            CHECK_EQUAL(slot.size(), i + 1);
            CHECK_EQUAL(slot.missed(), 0u);
            CHECK_EQUAL(slot.timestamp_ns(), 0u);
            CHECK_EQUAL(held(block.name).readers, 1u);
            return slot.id() + 100;
        });
        CHECK_EQUAL(read.value(), i + 100);
        CHECK_EQUAL(with_read_transaction(block.consumer, i, 0, [](const ReadSlot &slot) { return slot.size(); }),
                    i + 1);
    }
    /* A function may also return nothing, a reference, or a move-only object. */
    with_write_transaction(block.producer, 1000, [](WriteSlot &slot) { fill(slot, 'v'); });
    CHECK(with_next_slot(block.consumer, 1000, [](const ReadSlot &) {}));
    int there = 0;
    with_write_transaction(block.producer, 1000, [&](WriteSlot &) -> int & { return there; }) = 7;
    CHECK_EQUAL(there, 7);
    CHECK_EQUAL(
        *with_next_slot(block.consumer, 1000, [](const ReadSlot &) { return std::make_unique<int>(5); }).value(), 5);
    block.check_released();
}

void commit_sets_the_length() {
    Block block("length");
    auto written = [&](std::initializer_list<std::size_t> lengths) {
        with_write_transaction(block.producer, 1000, [&](WriteSlot &slot) {
            for (std::size_t length : lengths) {
                slot.commit(length);
            }
        });
        return with_next_slot(block.consumer, 1000, [](const ReadSlot &slot) { return slot.size(); }).value();
    };
    CHECK_EQUAL(written({7}), 7u);
    CHECK_EQUAL(written({0}), 0u);
    CHECK_EQUAL(written({capacity}), capacity);
    CHECK_EQUAL(written({9, 3}), 3u);
    CHECK_EQUAL(written({3, 9}), 9u);

    std::uint64_t id = block.next_id();
    std::string text = CHECK_THROWS(error::invalid,
        with_write_transaction(block.producer, 1000, [](WriteSlot &slot) { slot.commit(capacity + 1); }));
    CHECK(text.find("101") != std::string::npos && text.find("100") != std::string::npos);
    /* A function that ignores the error does not publish either, unless it sets another length. */
    auto look_away = [](WriteSlot &slot) { CHECK_THROWS(error::invalid, slot.commit(std::size_t(-1))); };
    CHECK_THROWS(error::invalid, with_write_transaction(block.producer, 1000, look_away));
    CHECK_EQUAL(block.next_id(), id);
    CHECK(!block.next(0));
    with_write_transaction(block.producer, 1000, [&](WriteSlot &slot) {
        look_away(slot);
        fill(slot, 'c');
        slot.commit(2);
    });
    CHECK_EQUAL(block.next().value(), "cc");
    block.check_released();
}

void whole_slot_without_commit() {
    Block block("whole");
    with_write_transaction(block.producer, 1000, [](WriteSlot &slot) { fill(slot, 'w'); });
    CHECK_EQUAL(block.next().value(), std::string(capacity, 'w'));
    WriteTransactionGuard guard(block.producer, 1000);
    fill(guard.slot(), 'g');
    guard.commit();
    CHECK_EQUAL(block.next().value(), std::string(capacity, 'g'));
    block.check_released();
}

void timeout_acquiring() {
    Block block("acquiring", Delivery::lossless);
    block.write(slots);
    bool called = false;
    for (std::int64_t timeout : {0, 30}) {
        double start = check_now();
        CHECK_THROWS(datablock::timeout_error,
                     with_write_transaction(block.producer, timeout, [&](WriteSlot &) { called = true; }));
        CHECK_THROWS(datablock::timeout_error, WriteTransactionGuard(block.producer, timeout));
        CHECK(check_now() - start >= 0.002 * static_cast<double>(timeout));
    }
    CHECK_THROWS(error::invalid, with_write_transaction(block.producer, -2, [&](WriteSlot &) { called = true; }));
    CHECK(!called);
    try {
        block.producer.write(1, 0);
        UNEXPECTED("there is room");
    } catch (const datablock::timeout_error &e) {
        CHECK_EQUAL(e.status(), DATABLOCK_E_TIMEOUT);
        CHECK(std::strlen(e.what()) > 20);
    }
    CHECK_EQUAL(block.drain(), slots);
    CHECK_EQUAL(with_write_transaction(block.producer, 0, [](WriteSlot &slot) { return slot.id(); }), slots);
    block.check_released();
}

void early_return() {
    Block block("early");
    int result = with_write_transaction(block.producer, 1000, [](WriteSlot &slot) {
        slot.data()[0] = std::byte('e');
        slot.commit(1);
        if (slot.size() == capacity) {
            return 1;
        }
        throw Custom{1};
    });
    CHECK_EQUAL(result, 1);
    CHECK_EQUAL(block.next().value(), "e");
    [&] {
        WriteTransactionGuard guard(block.producer, 1000);
        fill(guard.slot(), 'g');
        guard->commit(2);
        if (guard) {
            return;
        }
        guard.abort();
    }();
    CHECK_EQUAL(block.next().value(), "gg");
    block.check_released();
}

/* f throws `thrown`. The caller must receive this exception, and nothing may be published. */
template <typename Thrown, typename F> void check_nothing_published(Block &block, const Thrown &thrown, F f) {
    std::uint64_t id = block.next_id();
    try {
        f();
        UNEXPECTED("it threw");
    } catch (const Thrown &arrived) {
        CHECK(std::memcmp(&arrived, &thrown, sizeof arrived) == 0);
    }
    CHECK_EQUAL(block.next_id(), id);
    CHECK(!block.next(0));
    CHECK_EQUAL(held(block.name).claims, 0u);
}

void exceptions_from(bool commits) {
    Block block("exception");
    auto begin = [&](WriteSlot &slot) {
        fill(slot, 'x');
        if (commits) {
            slot.commit(5);
        }
    };
    check_nothing_published(block, Custom{42}, [&] {
        with_write_transaction(block.producer, 1000, [&](WriteSlot &slot) {
            begin(slot);
            throw Custom{42};
        });
    });
    check_nothing_published(block, 17, [&] {
        with_write_transaction(block.producer, 1000, [&](WriteSlot &slot) -> int {
            begin(slot);
            throw 17;
        });
    });
    check_nothing_published(block, Custom{43}, [&] {
        WriteTransactionGuard guard(block.producer, 1000);
        begin(guard.slot());
        throw Custom{43};
    });
    block.write("read");
    try {
        with_next_slot(block.consumer, 1000, [](const ReadSlot &) { throw Custom{44}; });
        UNEXPECTED("it threw");
    } catch (const Custom &arrived) {
        CHECK_EQUAL(arrived.value, 44);
    }
    CHECK(!block.next(0)); /* the message counts as read */
    try {
        with_read_transaction(block.consumer, 0, 0, [](const ReadSlot &) -> int { throw Custom{45}; });
        UNEXPECTED("it threw");
    } catch (const Custom &arrived) {
        CHECK_EQUAL(arrived.value, 45);
    }
    CHECK_EQUAL(held(block.name).readers, 0u);
    block.check_released();
}
void exception_before_commit() { exceptions_from(false); }
void exception_after_commit() { exceptions_from(true); }

void nested() {
    Block outer("outer", Delivery::lossless), inner("inner");
    outer.write("from outside");
    bool done = with_next_slot(outer.consumer, 1000, [&](const ReadSlot &in) {
        with_write_transaction(inner.producer, 1000, [&](WriteSlot &out) {
            std::memcpy(out.data(), in.data(), in.size());
            out.commit(in.size());
            /* A second transaction on the same producer is refused, and this one continues. */
            CHECK_THROWS(error::invalid,
                         with_write_transaction(inner.producer, 0, [](WriteSlot &) { UNEXPECTED("called"); }));
            CHECK_THROWS(error::invalid, WriteTransactionGuard(inner.producer, 0));
            CHECK_THROWS(error::invalid, inner.producer.write(1));
        });
    });
    CHECK(done);
    CHECK_EQUAL(inner.next().value(), "from outside");

    /* Reads of one consumer end inside out, also where the library requires an order. */
    for (int i = 0; i < 3; i++) {
        outer.write(2);
        CHECK(with_next_slot(outer.consumer, 1000, [&](const ReadSlot &first) {
            CHECK(with_next_slot(outer.consumer, 1000, [&](const ReadSlot &second) {
                CHECK_EQUAL(second.id(), first.id() + 1);
                CHECK_THROWS(error::busy,
                             with_next_slot(outer.consumer, 0, [](const ReadSlot &) { UNEXPECTED("called"); }));
            }));
        }));
    }
    CHECK_EQUAL(held(outer.name).readers, 0u);
    /* If they had not ended, the ring would have no free capacity now. */
    outer.write(slots);
    CHECK_EQUAL(outer.drain(), slots);
    outer.check_released();
    inner.check_released();
}

void guard_move() {
    Block block("move");
    WriteTransactionGuard first(block.producer, 1000);
    fill(first.slot(), '1');
    first->commit(1);
    WriteTransactionGuard second = std::move(first);
    CHECK(!first && second);
    CHECK_THROWS(error::invalid, first.commit());
    CHECK_THROWS(error::invalid, first.slot());
    first.abort();
    CHECK_EQUAL(held(block.name).claims, 1u);
    first = std::move(second);
    CHECK(first && !second);
    first.commit();
    CHECK(!first);
    CHECK_EQUAL(block.next().value(), "1");

    /* Assignment to an open guard ends the guard's transaction as its destructor would. */
    Block other("other");
    WriteTransactionGuard target(other.producer, 1000);
    target->commit(4);
    target = WriteTransactionGuard(block.producer, 1000);
    CHECK(target);
    CHECK_EQUAL(other.drain(), 1u);
    target.abort();

    block.write(2);
    auto one = ReadTransactionGuard::next(block.consumer, 1000), two = ReadTransactionGuard::next(block.consumer, 1000);
    CHECK_EQUAL(held(block.name).readers, 2u);
    two = std::move(one);
    CHECK(!one && two);
    CHECK_EQUAL(held(block.name).readers, 1u);
    CHECK_THROWS(error::invalid, one.slot());
    CHECK_THROWS(error::invalid, one.commit());
    one.abort();
    ReadTransactionGuard three(std::move(two));
    CHECK(!two);
    three.commit();
    CHECK(!three);
    CHECK_EQUAL(held(block.name).readers, 0u);
    block.check_released();
    other.check_released();
}

void guard_self_move() {
    Block block("self");
    WriteTransactionGuard guard(block.producer, 1000), empty;
    auto &same = guard;
    guard = std::move(same);
    CHECK(guard);
    fill(guard.slot(), 's');
    guard.commit(1);
    guard = std::move(same);
    CHECK(!guard);
    auto &nothing = empty;
    empty = std::move(nothing);
    CHECK(!empty);

    auto reading = ReadTransactionGuard::next(block.consumer, 1000);
    auto &itself = reading;
    reading = std::move(itself);
    CHECK(reading);
    CHECK_EQUAL(reading.slot().text(), "s");
    reading.commit();
    reading = std::move(itself);
    CHECK(!reading);

    DataBlockSlotIterator iterator(block.consumer, 0);
    auto &step = iterator;
    iterator = std::move(step);
    CHECK(!with_next_slot(iterator, 0, [](const ReadSlot &) {}));
    Producer &producer = block.producer;
    producer = std::move(block.producer);
    Consumer &consumer = block.consumer;
    consumer = std::move(block.consumer);
    block.check_released();
}

WriteTransactionGuard begin_one(Producer &producer) {
    WriteTransactionGuard guard(producer, 1000);
    fill(guard.slot(), 'r');
    guard->commit(3);
    return guard;
}

void guard_returned() {
    Block block("returned");
    {
        WriteTransactionGuard guard = begin_one(block.producer);
        CHECK(guard);
    }
    CHECK_EQUAL(block.next().value(), "rrr");
    begin_one(block.producer).commit();
    CHECK_EQUAL(block.next().value(), "rrr");
    (void)begin_one(block.producer);
    CHECK_EQUAL(block.next().value(), "rrr");
    begin_one(block.producer).abort();
    CHECK(!block.next(0));
    /* An exception that was active before the transaction began does not abort the transaction. */
    struct During {
        Block &block;
        ~During() {
            WriteTransactionGuard guard = begin_one(block.producer);
            CHECK_EQUAL(std::uncaught_exceptions(), 1);
        }
    };
    try {
        During during{block};
        throw Custom{1};
    } catch (const Custom &) {
    }
    CHECK_EQUAL(block.next().value(), "rrr");
    block.check_released();
}

void guards_in_a_container() {
    std::vector<std::unique_ptr<Block>> blocks;
    for (const char *name : {"one", "two", "three"}) {
        blocks.push_back(std::make_unique<Block>(name));
    }
    {
        std::vector<WriteTransactionGuard> guards;
        for (auto &block : blocks) {
            guards.emplace_back(block->producer, 1000);
            guards.back()->commit(2);
        }
        guards.erase(guards.begin()); /* commits the first; the others move up */
        guards.front().abort();
        guards.emplace_back();
        CHECK(!guards.back());
    }
    CHECK_EQUAL(blocks[0]->drain(), 1u);
    CHECK_EQUAL(blocks[1]->drain(), 0u);
    CHECK_EQUAL(blocks[2]->drain(), 1u);

    Block lossless("kept", Delivery::lossless, 4);
    for (int round = 0; round < 4; round++) {
        lossless.write(4);
        std::vector<ReadTransactionGuard> messages;
        for (int i = 0; i < 4; i++) {
            messages.push_back(ReadTransactionGuard::next(lossless.consumer, 1000));
        }
        std::array<int, 4> order = round == 0 ? std::array{3, 2, 1, 0} : round == 1 ? std::array{0, 1, 2, 3}
            : round == 2 ? std::array{2, 0, 3, 1} : std::array{1, 3, 0, 2};
        for (int i : order) {
            CHECK_THROWS(datablock::timeout_error, lossless.producer.write(1, 0)); /* while the first is held */
            messages[static_cast<std::size_t>(i)].commit();
            if (i == 0) {
                break; /* the destructors end the others */
            }
        }
    }
    lossless.check_released();

    /* Guards may outlive all other objects. */
    std::vector<ReadTransactionGuard> kept;
    std::vector<WriteTransactionGuard> open;
    std::vector<DataBlockSlotIterator> iterators;
    {
        Block block("gone", Delivery::lossless);
        block.write(2);
        kept.push_back(ReadTransactionGuard::next(block.consumer, 1000));
        iterators.push_back(block.consumer.begin());
        open.emplace_back(block.producer, 1000);
        Consumer moved = std::move(block.consumer);
        Producer written = std::move(block.producer);
        CHECK_EQUAL(kept[0]->text(), "message");
        open[0]->commit(1);
        open[0].commit();
        open.emplace_back(written, 1000);
    }
    CHECK_THROWS(error::handle, kept[0].commit());
    CHECK_THROWS(error::handle, ++iterators[0]);
    CHECK_THROWS(error::handle, open[1].commit());
    for (auto &block : blocks) {
        block->check_released();
    }
}

void guard_unwinding_aborts() {
    Block block("unwinding");
    check_nothing_published(block, Custom{1}, [&] {
        WriteTransactionGuard guard(block.producer, 1000);
        std::vector<WriteTransactionGuard> moved;
        moved.push_back(std::move(guard));
        moved[0]->commit(3);
        throw Custom{1};
    });
    /* An exception that another scope has caught does not count. */
    {
        WriteTransactionGuard guard(block.producer, 1000);
        guard->commit(0);
        try {
            throw Custom{2};
        } catch (const Custom &) {
        }
    }
    CHECK_EQUAL(block.next().value(), "");
    /* A transaction that is complete before the exception is published. */
    try {
        WriteTransactionGuard guard(block.producer, 1000);
        guard.commit(1);
        throw Custom{3};
    } catch (const Custom &) {
    }
    CHECK_EQUAL(block.drain(), 1u);
    /* A refused length leaves nothing open. */
    std::uint64_t id = block.next_id();
    {
        WriteTransactionGuard guard(block.producer, 1000);
        CHECK_THROWS(error::invalid, guard.commit(capacity + 1));
        CHECK(!guard);
    }
    {
        WriteTransactionGuard guard(block.producer, 1000);
        CHECK_THROWS(error::invalid, guard->commit(capacity + 1));
    } /* the destructor does not publish, and reports nothing */
    {
        WriteTransactionGuard guard(block.producer, 1000);
        CHECK_THROWS(error::invalid, guard->commit(capacity + 1));
        CHECK_THROWS(error::invalid, guard.commit());
        CHECK(!guard);
    }
    CHECK_EQUAL(block.next_id(), id);
    CHECK_EQUAL(block.drain(), 0u);
    block.check_released();
}

void no_default_value_on_timeout() {
    Block block("nothing");
    bool called = false;
    auto f = [&](const ReadSlot &) {
        called = true;
        return 5;
    };
    for (std::int64_t timeout : {0, 20}) {
        double start = check_now();
        std::optional<int> nothing = with_next_slot(block.consumer, timeout, f);
        CHECK(!nothing);
        CHECK(check_now() - start >= 0.001 * static_cast<double>(timeout));
        CHECK(!with_next_slot(block.consumer, timeout, [&](const ReadSlot &) { called = true; }));
        CHECK(!block.consumer.try_next<int>(timeout));
        CHECK(!ReadTransactionGuard::next(block.consumer, timeout));
        DataBlockSlotIterator iterator(block.consumer);
        CHECK(!with_next_slot(iterator, timeout, f));
        CHECK_THROWS(datablock::timeout_error, block.consumer.next<int>(timeout));
    }
    CHECK(!called);
    CHECK_THROWS(error::invalid, with_next_slot(block.consumer, -2, f));
    int zero = 0;
    block.producer.write(zero);
    /* a value that is not "nothing" */
    CHECK_EQUAL(with_next_slot(block.consumer, 0, [](const ReadSlot &slot) { return slot.as<int>(); }).value(), 0);
    block.check_released();
}

void read_transaction_of_an_id() {
    for (Delivery delivery : {Delivery::lossless, Delivery::ordered, Delivery::latest}) {
        Block block("by-id", delivery, 1);
        auto text_at = [&](std::uint64_t id, std::int64_t timeout_ms) {
            return with_read_transaction(block.consumer, id, timeout_ms, [&](const ReadSlot &slot) {
                CHECK_EQUAL(slot.id(), id);
                CHECK_EQUAL(slot.missed(), 0u);
                return std::string(slot.text());
            });
        };
        for (const char *text : {"zero", "one", "two"}) {
            block.write(text);
        }
        CHECK_EQUAL(text_at(1, 0), "one");
        CHECK_EQUAL(text_at(0, -1), "zero");
        CHECK_EQUAL(text_at(2, 1000), "two");
        /* the cursor is where it was */
        CHECK_EQUAL(block.next().value(), delivery == Delivery::latest ? "two" : "zero");

        /* The message was overwritten. Another message never takes its place. */
        block.drain();
        block.write(slots);
        for (std::int64_t timeout : {std::int64_t(0), std::int64_t(1000), datablock::for_ever}) {
            CHECK_THROWS(error::overrun, text_at(1, timeout));
        }
        block.drain();

        /* Not written yet. */
        std::uint64_t id = block.next_id();
        double start = check_now();
        CHECK_THROWS(datablock::timeout_error, text_at(id, 0));
        CHECK_THROWS(datablock::timeout_error, text_at(id + 1000, 30));
        CHECK(check_now() - start >= 0.03 && check_now() - start < 10);
        CHECK_THROWS(error::invalid, text_at(id, -2));
        CHECK_THROWS(error::invalid, ReadTransactionGuard(block.consumer, id, -7));
        for (std::int64_t timeout : {datablock::for_ever, std::int64_t(20000), INT64_MAX}) {
            std::thread writer([&] {
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
                block.write("late");
            });
            CHECK_EQUAL(text_at(id, timeout), "late");
            writer.join();
            id++;
        }
        CHECK_EQUAL(block.drain(), delivery == Delivery::latest ? 1u : 3u); /* all of them are still unread */

        /* Discarded by an operator. */
        block.write("discarded");
        set_bits(block.name, id, lost_bit);
        CHECK_THROWS(error::lost, text_at(id, 0));
        CHECK_THROWS(error::lost, text_at(id, -1));
        if (delivery != Delivery::latest) {
            CHECK_THROWS(error::lost, block.next(0));
        }

        /* A hold needs one of the hazard pointers. */
        block.write("held");
        {
            ReadTransactionGuard guard(block.consumer, id + 1, 0);
            CHECK_EQUAL(guard->text(), "held");
            CHECK_THROWS(error::busy, text_at(id + 1, 0));
        }
        CHECK_EQUAL(text_at(id + 1, 0), "held");
        block.check_released();
    }
}

/* A wait by id ends with the stream, or when the consumer is closed. */
void read_transaction_of_an_id_that_never_comes() {
#if DATABLOCK_HAS_INLINE
    {
        Block block("ended");
        block.write("last");
        std::thread closer([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            block.producer.close();
        });
        CHECK_THROWS(error::closed, with_read_transaction(block.consumer, 1, -1, [](const ReadSlot &) {}));
        closer.join();
        CHECK_EQUAL(with_read_transaction(block.consumer, 0, -1, [](const ReadSlot &slot) { return slot.size(); }), 4u);
    }
    {
        Block block("replaced");
        std::optional<Producer> usurper;
        std::thread replacer([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            usurper.emplace(block.name, config_here().slot_count(8).replace().force().unlink_on_close());
        });
        CHECK_THROWS(error::superseded, with_read_transaction(block.consumer, 0, -1, [](const ReadSlot &) {}));
        replacer.join();
    }
#endif
    Block block("interrupted");
    std::thread closer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        block.consumer.close();
    });
    CHECK_THROWS(error::closed, with_read_transaction(block.consumer, 0, -1, [](const ReadSlot &) {}));
    closer.join();
    CHECK_THROWS(error::handle, with_read_transaction(block.consumer, 0, -1, [](const ReadSlot &) {}));
}

void aborts_leave_no_gap() {
    Block block("gap");
    block.write("latest");
    for (unsigned i = 0; i < 2 * slots; i++) {
        try {
            with_write_transaction(block.producer, 1000, [](WriteSlot &slot) {
                fill(slot, '!');
                throw Custom{0};
            });
        } catch (const Custom &) {
        }
        WriteTransactionGuard guard(block.producer, 1000);
        fill(guard.slot(), '?');
        guard.abort();
    }
    CHECK_EQUAL(with_read_transaction(block.consumer, 0, 0,
                                      [](const ReadSlot &slot) { return std::string(slot.text()); }), "latest");
    CHECK_EQUAL(block.write("next"), 1u);
    CHECK_EQUAL(block.next().value(), "latest");
    CHECK_EQUAL(block.next().value(), "next");
    block.check_released();
}

/* The other scenarios check this for their own cases. This scenario has the common cases, and a
 * consumer that is closed while it reads. */
void released_in_every_case() {
    Block block("released", Delivery::ordered, 2);
    for (int i = 0; i < 3 * int(slots); i++) {
        WriteTransactionGuard committed(block.producer, 1000);
        committed.commit(1);
        WriteTransactionGuard aborted(block.producer, 1000);
        aborted.abort();
        CHECK_THROWS(datablock::timeout_error, with_read_transaction(block.consumer, 1000, 0, [](const ReadSlot &) {}));
        auto guard = ReadTransactionGuard::next(block.consumer, 0);
        if (i % 2 == 0) {
            guard.abort();
        }
    }
    CHECK_EQUAL(held(block.name).readers, 0u);
    {
        auto other = std::make_unique<Consumer>(block.name, options_here(Delivery::ordered).start(Start::oldest));
        auto guard = ReadTransactionGuard::next(*other, 0);
        CHECK_EQUAL(held(block.name).readers, 1u);
        other.reset();
        CHECK_EQUAL(held(block.name).readers, 0u);
    }
    block.check_released();
}

template <typename F> void superseded_by(F end) {
    Block block("taken");
    block.write("before");
    std::optional<Producer> usurper;
    {
        WriteTransactionGuard guard(block.producer, 1000);
        fill(guard.slot(), 'n');
        usurper.emplace(block.name, config_here().slot_count(2 * slots).replace().force().unlink_on_close());
        end(guard);
        CHECK(!guard);
    }
    CHECK_EQUAL(block.next().value(), "before"); /* the old messages come first; then the end */
    CHECK_THROWS(error::superseded, block.next(0));
    CHECK_THROWS(error::superseded, block.producer.write(1, 0));
    CHECK_EQUAL(usurper->write(1), 0u);
}

void superseded_inside() {
    superseded_by([](WriteTransactionGuard &guard) {
        std::string text = CHECK_THROWS(error::superseded, guard.commit());
        CHECK(text.find("replaced") != std::string::npos);
    });
    /* as a destructor does: without an error */
    superseded_by([](WriteTransactionGuard &guard) { guard = WriteTransactionGuard(); });
    superseded_by([](WriteTransactionGuard &guard) { guard.abort(); });

    Block block("taken");
    std::optional<Producer> usurper;
    CHECK_THROWS(error::superseded, with_write_transaction(block.producer, 1000, [&](WriteSlot &slot) {
                     slot.commit(1);
                     usurper.emplace(block.name,
                                     config_here().slot_count(2 * slots).replace().force().unlink_on_close());
                     return 1;
                 }));

    /* An operator fences a claim: nothing is published, and the next claim has the same id. */
    Block fenced("fenced");
    fenced.write("zero");
    std::string text = CHECK_THROWS(error::fenced, with_write_transaction(fenced.producer, 1000,
        [&](WriteSlot &slot) { set_bits(fenced.name, slot.id(), fence_bit); }));
    CHECK(text.find("forced recovery") != std::string::npos);
    CHECK_EQUAL(fenced.write("one"), 1u);
    fenced.check_released();
}

/* ---- Other classes and functions ------------------------------------------------------------- */

void each_status_has_its_type() {
    unsigned types = 0;
#define THROWS(name, value, text)                                                      \
    if (value != 0) {                                                                  \
        try {                                                                          \
            datablock::raise(name, value % 2 != 0 ? "what it was" : "");               \
        } catch (const datablock::exception &e) {                                      \
            CHECK_EQUAL(e.status(), name);                                             \
            CHECK_EQUAL(std::string(e.what()), value % 2 != 0 ? "what it was" : text); \
            CHECK(typeid(e) != typeid(datablock::exception));                          \
            types++;                                                                   \
        }                                                                              \
    }
    DATABLOCK_STATUS_LIST(THROWS)
#undef THROWS
    CHECK_EQUAL(types, 26u);
    CHECK_THROWS(datablock::exception, datablock::raise(static_cast<datablock_status>(1000), "of a newer library"));
    CHECK_THROWS(error::no_producer, datablock::raise(DATABLOCK_E_NO_PRODUCER, ""));
    CHECK_THROWS(error::panic, datablock::raise(DATABLOCK_E_PANIC, ""));
    datablock::check(DATABLOCK_OK);
    std::string detail = CHECK_THROWS(error::not_found, Consumer("absent", options_here(Delivery::ordered)));
    CHECK(detail.find("absent") != std::string::npos);
    CHECK_THROWS(error::invalid, Consumer("a\0b"s, options_here(Delivery::ordered)));
    CHECK_THROWS(error::invalid, Producer("a", Config().slot_size(1).directory("/dev\0/shm"s)));
    CHECK_THROWS(error::invalid, Producer("a", Config().directory(test_directory()))); /* no slot_size */
}

void finding_a_consumer() {
    CHECK(!datablock::find_datablock_consumer("absent", options_here(Delivery::latest)));
    CHECK(!datablock::find_datablock_consumer(path_of("absent")));
    Block block("present");
    block.write("there");
    std::optional<Consumer> found =
        datablock::find_datablock_consumer(path_of("present"), ConsumerOptions().start(Start::oldest));
    CHECK(found.has_value());
    CHECK_EQUAL(with_next_slot(*found, 0, [](const ReadSlot &slot) { return std::string(slot.text()); }).value(),
                "there");
    CHECK_THROWS(error::secret,
                 datablock::find_datablock_consumer("present", options_here(Delivery::latest).secret("other")));
    CHECK(!datablock::find_datablock_consumer("late", options_here(Delivery::latest).wait_ms(5)).has_value());
    CHECK_THROWS(datablock::timeout_error, Consumer("late", options_here(Delivery::latest).wait_ms(5)));
    CHECK_THROWS(error::invalid, Consumer("late", options_here(Delivery::latest).wait_ms(-2)));
}

void configuration() {
    struct alignas(128) Wide {
        char text[300];
    };
    Config config = Config::of<Wide>(Policy::double_buffer).directory("/somewhere").secret("s3cret").allow_lossless(
        ).timestamps().mode(0660).spare_slots(9).min_consumers(2);
    config.consumer_limit(7).retention_ms(5000).checksum(Checksum::enforced).unlink_on_close().replace().force(
        ).allow_lossless(false);
    datablock_config c = config.for_c();
    CHECK_EQUAL(c.size, sizeof c);
    CHECK_EQUAL(c.policy, unsigned(DATABLOCK_DOUBLE_BUFFER));
    CHECK_EQUAL(c.slot_size, 384u);
    CHECK_EQUAL(c.alignment, 128u);
    CHECK_EQUAL(std::string(c.directory), "/somewhere");
    CHECK_EQUAL(std::string(static_cast<const char *>(c.secret), c.secret_length), "s3cret");
    CHECK_EQUAL(c.flags, unsigned(
        DATABLOCK_FLAG_TIMESTAMP | DATABLOCK_FLAG_UNLINK_ON_CLOSE | DATABLOCK_FLAG_REPLACE | DATABLOCK_FLAG_FORCE));
    CHECK(c.mode == 0660 && c.spare_slots == 9 && c.min_consumers == 2 && c.consumer_limit == 7 &&
          c.retention_ms == 5000 && c.checksum == 2);
    CHECK_EQUAL(Config::of<int>().for_c().alignment, 64u);
    CHECK_EQUAL(Config(Policy::ring).for_c().flags, unsigned(DATABLOCK_FLAG_ALLOW_LOSSLESS));
    CHECK_EQUAL(Config(Policy::ring).allow_lossless(false).for_c().flags, unsigned(DATABLOCK_FLAG_FORBID_LOSSLESS));
    CHECK_EQUAL(Config(Policy::ring).reclaim().for_c().flags,
        unsigned(DATABLOCK_FLAG_ALLOW_LOSSLESS | DATABLOCK_FLAG_RECLAIM));
    CHECK_EQUAL(Config(Policy::ring).allow_lossless(false).allow_lossless().for_c().flags,
        unsigned(DATABLOCK_FLAG_ALLOW_LOSSLESS));
    CHECK_EQUAL(ConsumerOptions().wait_ms(250).for_c().wait_ms, 250);
    CHECK(Config(Policy::single).for_c().directory == nullptr && Config(Policy::single).for_c().flags == 0);

    ConsumerOptions options = ConsumerOptions().delivery(Delivery::latest).start(Start::oldest).max_pins(3).durable(
        "logger").directory("/d").secret("s");
    ConsumerOptions copy = options; /* the copy owns its strings */
    options.name("other").directory("/elsewhere");
    datablock_consumer_options o = copy.for_c();
    CHECK(o.delivery == DATABLOCK_LATEST && o.start == DATABLOCK_START_OLDEST && o.max_pins == 3 && o.durable == 1 &&
          o.secret_length == 1);
    CHECK_EQUAL(std::string(o.name) + o.directory, "logger/d");
    CHECK_EQUAL(std::string(options.for_c().name), "other");
}

struct Sample {
    std::uint64_t number;
    double value;
};

void typed_messages() {
    Producer producer("typed",
        Config::of<Sample>().slot_count(slots).timestamps().directory(test_directory()).unlink_on_close());
    Consumer consumer("typed", options_here(Delivery::lossless));
    CHECK_EQUAL(producer.write(Sample{1, 0.5}), 0u);
    Sample sample = consumer.next<Sample>();
    CHECK(sample.number == 1 && sample.value == 0.5);
    with_write_transaction(producer, 0, [](WriteSlot &slot) { slot.as<Sample>() = {2, 1.5}; });
    CHECK(with_next_slot(consumer, 0, [](const ReadSlot &slot) {
        static_assert(std::is_same_v<decltype(slot.as<Sample>()), const Sample &>);
        CHECK_EQUAL(static_cast<const void *>(&slot.as<Sample>()), slot.data()); /* in place */
        CHECK(slot.as<Sample>().number == 2 && slot.as<const Sample>().value == 1.5);
        CHECK(slot.timestamp_ns() > 1'600'000'000'000'000'000u);
    }));
#if __cplusplus >= 202002L
    with_write_transaction(producer, 0,
                           [](WriteSlot &slot) { std::ranges::fill(slot.bytes().first(3), std::byte(7)); });
    bool sevens = with_next_slot(consumer, 0, [](const ReadSlot &slot) { return slot.bytes().size() == sizeof(Sample) &&
                                                                        slot.bytes()[2] == std::byte(7); }).value();
    CHECK(sevens);
#endif

    /* The type is too large; then its alignment is too large. */
    struct Large {
        char text[sizeof(Sample) + 1];
    };
    struct alignas(4096) Aligned {
        char text;
    };
    CHECK_THROWS(error::invalid, producer.write(Large{}));
    std::string text = CHECK_THROWS(error::invalid,
        with_write_transaction(producer, 0, [](WriteSlot &slot) { slot.as<Large>() = {}; }));
    CHECK(text.find("16 bytes") != std::string::npos && text.find("17") != std::string::npos);
    producer.write(std::uint8_t(3));
    CHECK_THROWS(error::invalid, consumer.next<Sample>());
    CHECK_THROWS(datablock::timeout_error, consumer.next<std::uint8_t>(0)); /* the message counts as read */
    for (std::uint64_t i = 0; i < 2 * slots; i++) {
        producer.write(Sample{i, 0});
        CHECK_EQUAL(consumer.next<std::uint64_t>(), i); /* the beginning of a longer message */
    }
    Producer page("page", Config::of<Aligned>().slot_count(slots).directory(test_directory()).unlink_on_close());
    with_write_transaction(page, 0, [](WriteSlot &slot) { slot.as<Aligned>().text = 'p'; });
    Producer wide("wide", Config().slot_size(2 * 4096).slot_count(slots).directory(test_directory()).unlink_on_close());
    unsigned misaligned = 0;
    for (unsigned i = 0; i < slots; i++) {
        try {
            with_write_transaction(wide, 0, [](WriteSlot &slot) { slot.as<Aligned>(); });
        } catch (const error::invalid &e) {
            CHECK(std::strstr(e.what(), "aligned") != nullptr);
            misaligned++;
            wide.write(1); /* continues with another slot */
        }
    }
    CHECK(misaligned > 0);
    CHECK_EQUAL(consumer.try_next<Sample>().has_value(), false);
    producer.write_bytes(nullptr, 0);
    CHECK(with_next_slot(consumer, 0, [](const ReadSlot &slot) { CHECK_EQUAL(slot.size(), 0u); }));
}

void iteration() {
    Block block("loop", Delivery::lossless, 1);
    block.write(slots);
    unsigned seen = 0;
    for (const ReadSlot &slot : block.consumer.slots(0)) {
        CHECK_EQUAL(slot.id(), seen++);
        CHECK_EQUAL(held(block.name).readers, 1u);
    }
    CHECK_EQUAL(seen, slots);
    double start = check_now();
    for (const ReadSlot &slot : block.consumer.slots(20)) {
        UNEXPECTED("a message");
        (void)slot;
    }
    CHECK(check_now() - start >= 0.02);

    /* After an early exit from the loop the last message counts as read. */
    block.write("a");
    block.write("b");
    for (const ReadSlot &slot : block.consumer) {
        CHECK_EQUAL(slot.text(), "a");
        break;
    }
    try {
        for (const ReadSlot &slot : block.consumer) {
            CHECK_EQUAL(slot.text(), "b");
            throw Custom{1};
        }
    } catch (const Custom &) {
    }
    CHECK_EQUAL(block.drain(), 0u);
}

void iterator_and_stream() {
    Block block("iterator", Delivery::lossless, 1);
    /* with_next_slot on an iterator releases the message that the iterator holds. */
    block.write("c");
    block.write("d");
    DataBlockSlotIterator iterator = block.consumer.begin();
    CHECK_EQUAL(iterator->text(), "c");
    CHECK_EQUAL(with_next_slot(iterator, 0, [](const ReadSlot &slot) { return std::string(slot.text()); }).value(),
                "d");
    CHECK(!iterator && iterator == block.consumer.end());
    DataBlockSlotIterator moved = std::move(iterator);
    CHECK_THROWS(error::handle, ++iterator);
    block.write("e");
    ++moved;
    CHECK_EQUAL((*moved).text(), "e");
    moved = DataBlockSlotIterator(block.consumer);
    CHECK(!moved);

    /* An error is thrown. It does not end the loop silently. */
    block.write("f");
    set_bits(block.name, block.next_id() - 1, lost_bit);
    CHECK_THROWS(error::lost, [&] {
        for (const ReadSlot &slot : block.consumer) {
            (void)slot;
            UNEXPECTED("a message");
        }
    }());
    block.check_released();

    /* The loop waits for new messages, and ends with the stream. */
    std::thread writer([&] {
        for (unsigned i = 0; i < 10 * slots; i++) {
            block.write("x");
        }
        block.producer.close();
    });
    unsigned count = 0;
    for (const ReadSlot &slot : block.consumer) {
        count += static_cast<unsigned>(slot.size());
    }
    writer.join();
    CHECK_EQUAL(count, 10 * slots);
    CHECK_THROWS(error::closed, with_next_slot(block.consumer, -1, [](const ReadSlot &) {}));
    for (const ReadSlot &slot : block.consumer) {
        UNEXPECTED("a message");
        (void)slot;
    }
}

void closing() {
    Block block("closing", Delivery::lossless);
    block.write(slots);
    std::thread closer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        block.producer.close();
    });
    CHECK_THROWS(error::closed, with_write_transaction(block.producer, -1, [](WriteSlot &) { UNEXPECTED("called"); }));
    closer.join();
    CHECK_THROWS(error::handle, block.producer.close());
    CHECK_THROWS(error::handle, block.producer.write(1));
    Producer taken = std::move(block.producer);
    CHECK_THROWS(error::handle, block.producer.write(1));

    unsigned rest = 0;
    for (const ReadSlot &slot : block.consumer) {
        rest += slot.id() < slots;
    }
    CHECK_EQUAL(rest, slots);
    Consumer moved = std::move(block.consumer);
    CHECK_THROWS(error::handle, block.consumer.next<int>());
    CHECK_THROWS(error::handle, block.consumer.begin());
    CHECK_THROWS(error::handle, block.consumer.close());
    CHECK_EQUAL(block.consumer.for_c().handle, 0u);
    CHECK(moved.for_c().handle != 0);

    /* Assignment closes the old object. */
    Block one("first"), two("second");
    one.consumer = std::move(two.consumer);
    two.write("for two");
    CHECK_EQUAL(one.next().value(), "for two");
    one.producer = std::move(two.producer);
    CHECK(!datablock::find_datablock_consumer("first", options_here(Delivery::latest))); /* unlinked by its close */
    CHECK(datablock::find_datablock_consumer("second", options_here(Delivery::latest)).has_value());

    /* The producer is closed during a transaction. */
    {
        WriteTransactionGuard guard(one.producer, 0);
        one.producer.close();
        CHECK_THROWS(error::handle, guard.commit());
    }
}

/* The producer has died: the error is a timeout, of a type of its own. */
void no_producer() {
    Consumer consumer = [] {
        Producer producer("orphan", config_here());
        return Consumer("orphan", options_here(Delivery::ordered));
    }();
    CHECK_THROWS(error::closed, consumer.next<int>(0));
    /* A crash leaves the state unchanged. */
    int file = open(path_of("orphan").c_str(), O_RDWR | O_CLOEXEC);
    std::uint32_t ready = DATABLOCK_LAYOUT_STATE_READY;
    CHECK_EQUAL(pwrite(file, &ready, sizeof ready, DATABLOCK_LAYOUT_STATE), 4);
    close(file);
    CHECK_THROWS(error::no_producer, consumer.next<int>(20));
    CHECK(!with_next_slot(consumer, 20, [](const ReadSlot &) { UNEXPECTED("called"); }));
    CHECK(!ReadTransactionGuard::next(consumer, 0));
    CHECK(!consumer.slots(0).begin());
    CHECK_THROWS(datablock::error::no_producer, with_read_transaction(consumer, 0, 20, [](const ReadSlot &) {}));
    CHECK_EQUAL(datablock_unlink(path_of("orphan").c_str(), DATABLOCK_FLAG_FORCE), DATABLOCK_OK);
}

void checksums() {
    Producer producer("sums", config_here().checksum(Checksum::manual).unlink_on_close());
    Consumer consumer("sums", options_here(Delivery::ordered));
    with_write_transaction(producer, 0, [](WriteSlot &slot) {
        fill(slot, 's');
        CHECK_THROWS(error::invalid, slot.checksum(capacity + 1));
        slot.checksum(10);
    });
    CHECK(with_next_slot(consumer, 0, [](const ReadSlot &slot) {
        CHECK_EQUAL(slot.text(), std::string(10, 's'));
        slot.verify();
    }));
    with_write_transaction(producer, 0, [](WriteSlot &slot) {
        fill(slot, 's');
        slot.checksum(10);
        slot.data()[9] = std::byte('t'); /* too late */
    });
    CHECK_THROWS(error::checksum, with_next_slot(consumer, 0, [](const ReadSlot &slot) { slot.verify(); }));
    CHECK_EQUAL(held("sums").readers, 0u);
}

void durable_consumer_goes_on() {
    Producer producer("durable", config_here().unlink_on_close());
    auto options = options_here(Delivery::lossless).durable("logger");
    std::optional<Consumer> consumer(std::in_place, "durable", options);
    producer.write(1);
    producer.write(2);
    CHECK_EQUAL(consumer->next<int>(), 1);
    consumer.reset();
    consumer.emplace("durable", options);
    CHECK_EQUAL(consumer->next<int>(), 2);
}

void nothing_is_allocated_for_a_message() {
    Block block("allocations", Delivery::lossless, 4);
    auto round = [&] {
        std::uint64_t id = block.producer.write(1);
        CHECK_EQUAL(with_read_transaction(block.consumer, id, 0, [](const ReadSlot &slot) { return slot.as<int>(); }),
                    1);
        CHECK_EQUAL(block.consumer.next<int>(), 1);
        with_write_transaction(block.producer, 1000, [](WriteSlot &slot) { slot.commit(4); });
        CHECK_EQUAL(with_next_slot(block.consumer, 1000, [](const ReadSlot &slot) { return slot.size(); }).value(), 4u);
        {
            WriteTransactionGuard aborted(block.producer, 1000);
            aborted.abort();
            WriteTransactionGuard guard(block.producer, 1000), moved = std::move(guard);
            moved->commit(8);
        }
        block.producer.write(2);
        block.producer.write(3);
        {
            auto first = ReadTransactionGuard::next(block.consumer),
                second = ReadTransactionGuard::next(block.consumer), third = std::move(second);
            first.commit();
        }
        for (const ReadSlot &slot : block.consumer.slots(0)) {
            CHECK_EQUAL(slot.as<int>(), 3);
        }
        CHECK(!with_next_slot(block.consumer, 0, [](const ReadSlot &) {})); /* nor without a message */
    };
    unsigned long none = allocations;
    auto counts = std::make_unique<int>(0);
    CHECK_EQUAL(allocations, none + 1);
    round();
    for (int i = 0; i < 100; i++) {
        unsigned long before = allocations;
        round();
        CHECK_EQUAL(allocations - before, 0u);
    }
}

} // namespace

#define SCENARIO(name) {#name, name}

int main(int argc, char **argv) {
    return run_scenarios(
        {
            SCENARIO(basic_success),
            SCENARIO(commit_sets_the_length),
            SCENARIO(whole_slot_without_commit),
            SCENARIO(timeout_acquiring),
            SCENARIO(early_return),
            SCENARIO(exception_before_commit),
            SCENARIO(exception_after_commit),
            SCENARIO(nested),
            SCENARIO(guard_move),
            SCENARIO(guard_self_move),
            SCENARIO(guard_returned),
            SCENARIO(guards_in_a_container),
            SCENARIO(guard_unwinding_aborts),
            SCENARIO(no_default_value_on_timeout),
            SCENARIO(read_transaction_of_an_id),
            SCENARIO(read_transaction_of_an_id_that_never_comes),
            SCENARIO(aborts_leave_no_gap),
            SCENARIO(released_in_every_case),
            SCENARIO(superseded_inside),
            SCENARIO(each_status_has_its_type),
            SCENARIO(finding_a_consumer),
            SCENARIO(configuration),
            SCENARIO(typed_messages),
            SCENARIO(iteration), SCENARIO(iterator_and_stream),
            SCENARIO(closing),
            SCENARIO(no_producer),
            SCENARIO(checksums),
            SCENARIO(durable_consumer_goes_on),
            SCENARIO(nothing_is_allocated_for_a_message),
        },
        argc, argv);
}
