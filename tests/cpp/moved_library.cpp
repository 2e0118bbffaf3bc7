/*
 * A shared object to which a consumer is moved. test_moved.cpp links one such object, and loads and
 * unloads another one.
 */
#include <datablock.hpp>

#include <optional>

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void take_over(datablock::Consumer &&consumer, std::uint64_t expected);
EXPORT void keep(datablock::Consumer &&consumer);
EXPORT std::uint64_t read_kept();
EXPORT void give_back(datablock::Consumer &into);
EXPORT void move_iterator(datablock::DataBlockSlotIterator &iterator);
EXPORT void throw_batch_error();

static std::optional<datablock::Consumer> kept;

/* Moves the consumer to this object, reads with it, and destroys it. */
void take_over(datablock::Consumer &&consumer, std::uint64_t expected) {
    datablock::Consumer mine(std::move(consumer));
    if (mine.next<std::uint64_t>(0) != expected) {
        throw std::runtime_error("another message was expected");
    }
}

void keep(datablock::Consumer &&consumer) { kept.emplace(std::move(consumer)); }

std::uint64_t read_kept() { return kept->next<std::uint64_t>(0); }

void give_back(datablock::Consumer &into) {
    into = std::move(*kept);
    kept.reset();
}

/* Moves the iterator to this object, and destroys it. */
void move_iterator(datablock::DataBlockSlotIterator &iterator) {
    datablock::DataBlockSlotIterator mine(std::move(iterator));
}

void throw_batch_error() { throw datablock::batch_error("from another shared object", 3); }
