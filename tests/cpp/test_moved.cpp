/*
 * Consumers and iterators that are moved between shared objects. Each object was compiled with
 * hidden visibility and has its own copies of all inline entities. No decision may depend on the
 * address of such a copy. No moved-from object may refer to a shared object that has been unloaded.
 */
#include "check.hpp"

#include <datablock.hpp>

#include <dlfcn.h>
#include <optional>

extern "C" {
void keep(datablock::Consumer &&consumer);
std::uint64_t read_kept();
void give_back(datablock::Consumer &into);
void throw_batch_error();
}

using namespace datablock;

namespace {

Consumer attach(const std::string &name) { return Consumer(name, ConsumerOptions().directory(test_directory())); }

Producer produce(const std::string &name) {
    return Producer(name, Config(Policy::ring).slot_size(64).directory(test_directory()).unlink_on_close());
}

/* The moved-from consumer is destroyed here, the moved-to one in the other object. */
void moved_into_another_object() {
    Producer producer = produce("moved");
    {
        Consumer consumer = attach("moved");
        keep(std::move(consumer));
        CHECK_THROWS(error::handle, consumer.next<int>(0));
        CHECK_THROWS(error::handle, consumer.close());
        CHECK_THROWS(error::handle, with_next_slot(consumer, 0, [](const ReadSlot &) {}));
        CHECK_EQUAL(consumer.for_c().handle, 0u);
    }
    producer.write(std::uint64_t{7});
    CHECK_EQUAL(read_kept(), 7u);
}

/* The reverse: the moved-from consumer is destroyed in the other object. */
void moved_out_of_another_object() {
    Producer producer = produce("back");
    Consumer first = attach("back");
    keep(attach("back"));
    give_back(first); /* closes the consumer that `first` had */
    producer.write(std::uint64_t{8});
    CHECK_EQUAL(first.next<std::uint64_t>(0), 8u);
}

/* The object that moved the consumer is unloaded before the moved-from consumers are destroyed. */
void moved_into_an_unloaded_object() {
    const char *path = PLUGIN;
    Producer producer = produce("unloaded");
    std::optional<Consumer> consumer(attach("unloaded"));
    Consumer other = attach("unloaded");
    DataBlockSlotIterator iterator(other, 0);
    producer.write(std::uint64_t{9});
    ++iterator;
    CHECK(static_cast<bool>(iterator));

    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(object != nullptr);
    auto take_over = reinterpret_cast<void (*)(Consumer &&, std::uint64_t)>(dlsym(object, "take_over"));
    auto move_iterator = reinterpret_cast<void (*)(DataBlockSlotIterator &)>(dlsym(object, "move_iterator"));
    CHECK(take_over != nullptr && move_iterator != nullptr);
    take_over(std::move(*consumer), 9);
    move_iterator(iterator);
    CHECK_EQUAL(dlclose(object), 0);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == nullptr); /* the object is unloaded */

    CHECK(!iterator);
    CHECK_THROWS(error::handle, ++iterator);
    CHECK_THROWS(error::handle, with_next_slot(iterator, 0, [](const ReadSlot &) {}));
    CHECK_THROWS(error::handle, consumer->next<int>(0));
    {
        DataBlockSlotIterator again(*consumer, 0); /* of a moved-from consumer */
        CHECK_THROWS(error::handle, ++again);
    }
    consumer.reset();
}

void exceptions_are_the_same_type() {
    try {
        throw_batch_error();
        UNEXPECTED("nothing was thrown");
    } catch (const batch_error &e) {
        CHECK_EQUAL(e.written(), 3u);
    }
}

} // namespace

int main(int argc, char **argv) {
    return run_scenarios({{"moved-into-another-object", moved_into_another_object},
                          {"moved-out-of-another-object", moved_out_of_another_object},
                          {"moved-into-an-unloaded-object", moved_into_an_unloaded_object},
                          {"exceptions-are-the-same-type", exceptions_are_the_same_type}},
                         argc, argv);
}
