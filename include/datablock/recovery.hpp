/*
 * datablock/recovery.hpp - diagnosis, repair and integrity of blocks, for C++17
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * The functions of datablock.h with results that own their memory. datablock.h defines what each
 * function does. Part of datablock.hpp.
 */
#ifndef DATABLOCK_PART_RECOVERY_HPP
#define DATABLOCK_PART_RECOVERY_HPP

#include "config.hpp"

#ifdef DATABLOCK_HAS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace datablock {

namespace recovery {

namespace detail {

/* The reason why a block cannot be opened: the int functions have one number for all reasons. */
[[noreturn]] inline void cannot_open(const std::string &name) {
    const std::string text = datablock_error_detail();
    datablock_metrics metrics{};
    metrics.size = sizeof metrics;
    const datablock_status status = datablock_get_metrics(name.c_str(), &metrics);
    datablock::raise(status == DATABLOCK_OK ? DATABLOCK_E_CORRUPT : status, text);
}

/* The result of an int function: a count, or an error as the status that comes nearest. */
inline int counted(int result, const std::string &name) {
    switch (result) {
    case -1:
    case -3: datablock::check(DATABLOCK_E_INVALID); break;
    case -2: cannot_open(name);
    default:
        if (result < 0) {
            datablock::check(result == -5 ? DATABLOCK_E_PANIC : DATABLOCK_E_SYSTEM);
        }
    }
    return result;
}

/* A time as the C functions take it. */
template <typename Duration> std::uint64_t unsigned_count(Duration time, const char *what) {
    if (time.count() < 0) {
        datablock::raise(DATABLOCK_E_INVALID, std::string("the ") + what +
                                                  " is negative: " + std::to_string(time.count()));
    }
    return static_cast<std::uint64_t>(time.count());
}

/* The whole list of a function that returns the length of the list. */
template <typename T>
std::vector<T> all(const std::string &name, int (*list)(const char *, T *, std::size_t)) {
    std::vector<T> found;
    const char *c_name = datablock::detail::name_for_c(name);
    for (std::size_t count = 0;; found.resize(count)) {
        count = static_cast<std::size_t>(counted(list(c_name, found.data(), found.size()), name));
        if (count <= found.size()) {
            found.resize(count);
            return found;
        }
    }
}

/*
 * A name for functions that throw nothing. A name with a zero byte inside would mean another block.
 * This function returns a text instead that the library refuses.
 */
inline const char *name_or_refusal(const std::string &name) noexcept {
    return name.find('\0') == std::string::npos ? name.c_str()
                                                : "(a name that goes on after a zero byte)";
}

} // namespace detail

/*
 * Validates and repairs a block: datablock_validate_integrity and datablock_repair. `name` is a
 * block name or an absolute path. Any thread.
 */
class IntegrityValidator {
public:
    explicit IntegrityValidator(std::string name) : name_(std::move(name)) {}

    /*
     * The verdict, which includes the damage. Errors: invalid, not_found, access, version, corrupt
     * (the block cannot be opened for another reason), system (truncated meanwhile), panic.
     */
    IntegrityCheck validate() const { return validate(name_); }
    static IntegrityCheck validate(const std::string &name) {
        IntegrityCheck check{};
        detail::counted(datablock_validate_integrity(datablock::detail::name_for_c(name), &check),
                        name);
        return check;
    }

    /* Whether nothing is wrong. Errors: as validate(). */
    bool is_healthy() const { return is_healthy(name_); }
    static bool is_healthy(const std::string &name) {
        const IntegrityCheck check = validate(name);
        return check.header_valid && check.slot_states_valid && check.checksum_valid;
    }

    /*
     * Repairs in place. Unless the result is RECOVERY_SUCCESS, datablock_error_detail() has the
     * reason. Throws nothing.
     */
    RecoveryResult repair(bool force = false) const noexcept {
        return datablock_repair(detail::name_or_refusal(name_), force, nullptr);
    }

private:
    std::string name_;
};

/* One step of auto_recover, as in datablock_recovery_step. */
using RecoveryStep = datablock_recovery_step;

/*
 * Recovers everything that is stuck or damaged: datablock_auto_recover. A dry run only reports the
 * steps. Errors: as IntegrityValidator::validate; std::bad_alloc.
 */
inline std::vector<RecoveryStep> auto_recover(const std::string &name, bool dry_run = true) {
    struct Steps {
        std::vector<RecoveryStep> list;
        std::exception_ptr failure; /* the caller is C: no exception may pass through */
    } steps;
    const auto collect = [](const datablock_recovery_step *step, void *context) {
        auto &into = *static_cast<Steps *>(context);
        try {
            into.list.push_back(*step);
        } catch (...) {
            into.failure = std::current_exception();
        }
    };
    detail::counted(
        datablock_auto_recover(datablock::detail::name_for_c(name), dry_run, collect, &steps),
        name);
    if (steps.failure) {
        std::rethrow_exception(steps.failure);
    }
    return std::move(steps.list);
}

/*
 * Diagnoses slots: which participant holds which slot since when. Functions of a block's name, or
 * an absolute path. Read-only. Any thread. Errors: as IntegrityValidator::validate.
 */
class SlotDiagnostics {
public:
    static std::vector<SlotDiagnostic> diagnose_all(const std::string &name) {
        std::vector<SlotDiagnostic> found;
        std::size_t count = 0;
        do {
            found.resize(count);
            detail::counted(datablock_diagnose_all_slots(datablock::detail::name_for_c(name),
                                                         found.data(), found.size(), &count),
                            name);
        } while (count > found.size());
        found.resize(count);
        return found;
    }
    static SlotDiagnostic diagnose_slot(const std::string &name, std::uint32_t slot) {
        SlotDiagnostic found{};
        detail::counted(datablock_diagnose_slot(datablock::detail::name_for_c(name), slot, &found),
                        name);
        return found;
    }
    /* The slots that have been stuck for at least that time. */
    static std::vector<SlotDiagnostic> find_stuck_slots(
        const std::string &name,
        std::chrono::milliseconds threshold = std::chrono::milliseconds(0)) {
        const std::uint64_t at_least = detail::unsigned_count(threshold, "threshold");
        std::vector<SlotDiagnostic> stuck;
        for (const SlotDiagnostic &slot : diagnose_all(name)) {
            if (slot.is_stuck && slot.stuck_duration_ms >= at_least) {
                stuck.push_back(slot);
            }
        }
        return stuck;
    }
    static bool is_process_alive(std::uint64_t pid) noexcept {
        return datablock_is_process_alive(pid);
    }
};

/*
 * Repairs of single slots. They throw nothing. Unless a result is RECOVERY_SUCCESS,
 * datablock_error_detail() has the reason. Any thread.
 */
class SlotRecovery {
public:
    static RecoveryResult reset_slot(const std::string &name, std::uint32_t slot,
                                     bool force = false) noexcept {
        return datablock_force_reset_slot(detail::name_or_refusal(name), slot, force);
    }
    static RecoveryResult reset_all_slots(const std::string &name, bool force = false) noexcept {
        return datablock_force_reset_all_slots(detail::name_or_refusal(name), force);
    }
    static RecoveryResult release_zombie_readers(const std::string &name,
                                                 std::uint32_t slot) noexcept {
        return datablock_release_zombie_readers(detail::name_or_refusal(name), slot);
    }
    static RecoveryResult release_zombie_writer(const std::string &name,
                                                std::uint32_t slot) noexcept {
        return datablock_release_zombie_writer(detail::name_or_refusal(name), slot);
    }
    static RecoveryResult evict_consumer(const std::string &name, std::uint32_t row,
                                         bool force = false) noexcept {
        return datablock_evict_consumer(detail::name_or_refusal(name), row, force);
    }
    /* auto_recover() beside the other repairs. Errors: as recovery::auto_recover. */
    static std::vector<RecoveryStep> auto_recover(const std::string &name, bool dry_run = true) {
        return recovery::auto_recover(name, dry_run);
    }
};

/*
 * The participants of a block, including dead ones whose rows still exist:
 * datablock_list_participants. Errors: as IntegrityValidator::validate.
 */
inline std::vector<datablock_participant_info> participants(const std::string &name) {
    return detail::all<datablock_participant_info>(name, datablock_list_participants);
}

/*
 * Dead consumers. The kernel's lock decides, not the time of a heartbeat. Errors: as
 * IntegrityValidator::validate.
 */
class HeartbeatManager {
public:
    static std::vector<datablock_participant_info> find_dead_consumers(const std::string &name) {
        std::vector<datablock_participant_info> dead;
        for (const datablock_participant_info &one : participants(name)) {
            if (one.row != 0 && !one.alive) {
                dead.push_back(one);
            }
        }
        return dead;
    }
    /*
     * Removes the dead consumers. A durable consumer is removed only if it has been dead for longer
     * than the timeout. Returns the number of removed consumers. Errors: also invalid (a negative
     * timeout).
     */
    static int cleanup_dead_consumers(
        const std::string &name, std::chrono::nanoseconds timeout = std::chrono::nanoseconds(0)) {
        return detail::counted(
            datablock_cleanup_dead_consumers(
                datablock::detail::name_for_c(name),
                detail::unsigned_count(timeout,
                                       "time that a durable consumer must have been dead")),
            name);
    }
};

/*
 * A block's figures: datablock_get_metrics. Errors: not_found, access, corrupt, version, invalid,
 * system.
 */
inline datablock_metrics metrics(const std::string &name) {
    datablock_metrics found{};
    found.size = sizeof found;
    datablock::check(datablock_get_metrics(datablock::detail::name_for_c(name), &found));
    return found;
}

/*
 * What recoveries did to a block, oldest first: datablock_recovery_log. Errors: as
 * IntegrityValidator::validate.
 */
inline std::vector<datablock_recovery_record> history(const std::string &name) {
    return detail::all<datablock_recovery_record>(name, datablock_recovery_log);
}

} // namespace recovery

} // namespace datablock

#endif /* DATABLOCK_HAS_HPP */
#endif /* DATABLOCK_PART_RECOVERY_HPP */
