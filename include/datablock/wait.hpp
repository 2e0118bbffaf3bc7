/*
 * datablock/wait.hpp - waiting on several blocks, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 *     WaitSet cameras{left, right};
 *     while (cameras.wait(1000)) {
 *         if (cameras.ready(0)) with_next_slot(left, 0, on_left);
 *         if (cameras.ready(1)) with_next_slot(right, 0, on_right);
 *     }
 *
 * with_next_slot throws error::closed when a camera's stream has ended. Remove that camera from the
 * set to continue with the other camera.
 *
 * Part of datablock.hpp.
 */
#ifndef DATABLOCK_PART_WAIT_HPP
#define DATABLOCK_PART_WAIT_HPP

#include "consumer.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace datablock {

/*
 * Consumers that a program waits for together. The set refers to the consumers and owns none: each
 * consumer must outlive the set. Adding allocates, waiting does not. One thread at a time. During a
 * wait other threads may close the consumers. Another thread that uses one of them may make the
 * wait throw error::busy.
 */
class WaitSet {
public:
    WaitSet() = default;
    WaitSet(std::initializer_list<std::reference_wrapper<const Consumer>> consumers) {
        for (const Consumer &consumer : consumers) {
            add(consumer);
        }
    }

    /*
     * Adds a consumer. Its number is the number of consumers before the call. wait() refuses a
     * consumer that was moved from.
     */
    void add(const Consumer &consumer) {
        auto ready = std::make_unique<bool[]>(consumers_.size() + 1);
        consumers_.push_back(consumer.for_c());
        ready_ = std::move(ready); /* none is ready until the next wait */
    }

    /*
     * Removes consumer `i`, such as one whose stream has ended and that would stay ready. The
     * numbers of the consumers after `i` decrease by one. i < size().
     */
    void remove(std::size_t i) {
        consumers_.erase(consumers_.begin() + static_cast<std::ptrdiff_t>(i));
        std::fill_n(ready_.get(), consumers_.size(), false);
    }

    /*
     * Waits until at least one consumer can be read without waiting: a message is there, or the
     * next read would throw at once, as at the end of the stream. Reports readiness only, and
     * dequeues nothing. Returns false if no consumer became ready in time. A caller that serves
     * every ready consumer once before the next wait starves none.
     * Errors: invalid (the timeout; none or more than 1024 consumers), closed (another thread
     * closed one of them), busy (another thread is inside one of them), handle (one of them is
     * closed).
     */
    bool wait(std::int64_t timeout_ms = for_ever) {
        if (consumers_.empty()) {
            throw error::invalid("a wait for no consumers");
        }
        std::fill_n(ready_.get(), consumers_.size(), false);
        datablock_status status =
            datablock_wait_any(consumers_.data(), consumers_.size(), timeout_ms, ready_.get());
        if (status == DATABLOCK_E_TIMEOUT) {
            return false;
        }
        check(status);
        return true;
    }

    /* Whether the last wait has found consumer `i` ready. i < size(). */
    bool ready(std::size_t i) const noexcept { return ready_[i]; }
    /* The number of consumers. */
    std::size_t size() const noexcept { return consumers_.size(); }

private:
    std::vector<datablock_consumer> consumers_;
    std::unique_ptr<bool[]> ready_;
};

/*
 * WaitSet::wait for the given consumers: which of them are ready, all false if none became ready in
 * time. Allocates nothing. Waits and errors: as WaitSet::wait.
 */
template <typename... Consumers>
std::array<bool, sizeof...(Consumers)> wait_any(std::int64_t timeout_ms,
                                                const Consumers &...consumers) {
    static_assert(sizeof...(Consumers) > 0, "no consumer to wait for");
    const datablock_consumer handles[] = {consumers.for_c()...};
    std::array<bool, sizeof...(Consumers)> ready{};
    datablock_status status =
        datablock_wait_any(handles, sizeof...(Consumers), timeout_ms, ready.data());
    if (status != DATABLOCK_E_TIMEOUT) {
        check(status);
    }
    return ready;
}

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_WAIT_HPP */
