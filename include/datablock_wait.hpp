/*
 * datablock_wait.hpp - waiting on several blocks, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     WaitSet cameras{left, right};
 *     while (cameras.wait(1000)) {
 *         if (cameras.ready(0)) with_next_slot(left, 0, on_left);
 *         if (cameras.ready(1)) with_next_slot(right, 0, on_right);
 *     }
 *
 * with_next_slot throws error::closed when a camera's stream has ended; remove it from the set to go on with the other one.
 *
 * datablock.hpp includes this.
 */
#ifndef DATABLOCK_WAIT_HPP
#define DATABLOCK_WAIT_HPP

#include "datablock.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

namespace datablock {

/*
 * Consumers that are waited for together. It refers to them, so that they must outlive it, and owns none. Adding allocates, waiting does not. One thread at a time; while it waits, other threads may
 * close the consumers; one that uses them makes it error::busy, perhaps.
 */
class WaitSet {
public:
    WaitSet() = default;
    WaitSet(std::initializer_list<std::reference_wrapper<const Consumer>> consumers) {
        for (const Consumer &consumer : consumers) {
            add(consumer);
        }
    }

    /* Its number is how many there were. A consumer that was moved from is refused by wait. */
    void add(const Consumer &consumer) {
        auto ready = std::make_unique<bool[]>(consumers_.size() + 1);
        consumers_.push_back(consumer.for_c());
        ready_ = std::move(ready); /* none is, until the next wait */
    }

    /* Takes consumer `i` out, as one that has ended, which would stay ready; the numbers of those after it go down by one. i < size(). */
    void remove(std::size_t i) {
        consumers_.erase(consumers_.begin() + static_cast<std::ptrdiff_t>(i));
        std::fill_n(ready_.get(), consumers_.size(), false);
    }

    /*
     * Waits until at least one can be read without waiting: there is a message, or something else that a read says at once, such as the end of the stream. Takes nothing. False: none came in time.
     * A caller that serves every ready one once before it waits again starves none.
     * Errors: invalid (the timeout; none or more than 1024 consumers), closed (one was closed by another thread), busy (another thread is inside one of them), handle (one is closed).
     */
    bool wait(std::int64_t timeout_ms = for_ever) {
        if (consumers_.empty()) {
            throw error::invalid("a wait for no consumers");
        }
        std::fill_n(ready_.get(), consumers_.size(), false);
        datablock_status status = datablock_wait_any(consumers_.data(), consumers_.size(), timeout_ms, ready_.get());
        if (status == DATABLOCK_E_TIMEOUT) {
            return false;
        }
        check(status);
        return true;
    }

    /* As the last wait has found consumer `i`; i < size(). */
    bool ready(std::size_t i) const noexcept { return ready_[i]; }
    std::size_t size() const noexcept { return consumers_.size(); }

private:
    std::vector<datablock_consumer> consumers_;
    std::unique_ptr<bool[]> ready_;
};

/* The same for two or more consumers at hand: which of them are ready, all false when none came in time. Allocates nothing. */
template <typename... Consumers> std::array<bool, sizeof...(Consumers)> wait_any(std::int64_t timeout_ms, const Consumers &...consumers) {
    static_assert(sizeof...(Consumers) > 0, "no consumer to wait for");
    const datablock_consumer handles[] = {consumers.for_c()...};
    std::array<bool, sizeof...(Consumers)> ready{};
    datablock_status status = datablock_wait_any(handles, sizeof...(Consumers), timeout_ms, ready.data());
    if (status != DATABLOCK_E_TIMEOUT) {
        check(status);
    }
    return ready;
}

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_WAIT_HPP */
