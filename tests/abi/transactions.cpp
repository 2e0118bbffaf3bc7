/* Includes datablock.hpp alone, twice, and uses every function template of it: with the inline
 * functions, and as a compiler that the inline functions do not support sees it. */
#ifdef WANT_NO_INLINE
#include <functional> /* a part of the standard library that uses that macro too */
#include <array>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#undef __BYTE_ORDER__
#endif

#include "datablock.hpp"
#include "datablock.hpp"

#if defined(WANT_NO_INLINE) == defined(DATABLOCK_HAS_INLINE)
#error "the wrong functions"
#endif
#if defined(DATABLOCK_HPP_COLD) || defined(DATABLOCK_HPP_LIKELY) || defined(DATABLOCK_HPP_EXCEPTION) || \
    defined(DATABLOCK_HPP_ERROR)
#error "a macro is left"
#endif

std::uint64_t use_everything(datablock::Producer &producer, datablock::Consumer &consumer);

std::uint64_t use_everything(datablock::Producer &producer, datablock::Consumer &consumer) {
    using namespace datablock;
    std::uint64_t sum = producer.write(1, 0);
    with_write_transaction(producer, 0, [](WriteSlot &slot) { slot.commit(0); });
    sum += with_write_transaction(producer, 0, [](WriteSlot &slot) { return slot.id(); });
    sum += with_read_transaction(consumer, 0, 0, [](const ReadSlot &slot) { return slot.id(); });
    sum += with_next_slot(consumer, 0, [](const ReadSlot &) {});
    sum += with_next_slot(consumer, 0, [](ReadSlot slot) { return slot.id(); }).value_or(0);
    DataBlockSlotIterator iterator(consumer);
    sum += with_next_slot(iterator, 0, [](ReadSlot &slot) { return slot.id(); }).value_or(0);
    WriteTransactionGuard write(producer);
    write.slot().as<int>() = 1;
    write.commit();
    ReadTransactionGuard read(consumer, 0, 0);
    sum += read->as<std::uint64_t>();
    for (const ReadSlot &slot : consumer) {
        sum += slot.size();
    }
    for (const auto &slot : consumer.slots(10)) {
        sum += slot.size();
    }
    return sum + consumer.next<std::uint64_t>() + consumer.try_next<std::uint64_t>().value_or(0);
}
