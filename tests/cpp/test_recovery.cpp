/* Diagnosis and repair, in C++. */
#include "check.hpp"

#include <datablock.hpp>

#include <csignal>
#include <sys/wait.h>

using namespace datablock;
using namespace datablock::recovery;

namespace {

std::string path(const char *name) { return test_directory() + "/" + name; }

Producer producer_of(const char *name) {
    return Producer(name, Config(Policy::ring).slot_size(64).slot_count(2).directory(test_directory())); }

Consumer consumer_of(const char *name) { return Consumer(name, ConsumerOptions().directory(test_directory())); }

/* Starts this program again in a role, waits for its line, and kills it. */
void killed(const char *role, const char *name) {
    int says[2];
    CHECK(pipe(says) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(says[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test_recovery", role, test_directory().c_str(), name, static_cast<char *>(nullptr));
        _exit(127);
    }
    close(says[1]);
    char byte;
    CHECK(read(says[0], &byte, 1) == 1);
    close(says[0]);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, nullptr, 0) == pid);
}

int play(const std::string &role, const std::string &directory, const char *name) {
    alarm(60);
    datablock_write_slot slot;
    std::optional<Producer> producer;
    std::optional<Consumer> consumer;
    if (role == "--claim") {
        producer.emplace(name, Config(Policy::ring).slot_size(64).slot_count(2).directory(directory));
        check(datablock_write_begin(producer->for_c(), 0, &slot));
    } else {
        consumer.emplace(name, ConsumerOptions().directory(directory));
    }
    CHECK(write(STDOUT_FILENO, "", 1) == 1);
    pause();
    return 1;
}

void a_killed_writer_is_found_and_reset() {
    killed("--claim", "writer");
    std::vector<SlotDiagnostic> stuck = SlotDiagnostics::find_stuck_slots(path("writer"));
    CHECK_EQUAL(stuck.size(), 1u);
    CHECK_EQUAL(static_cast<int>(stuck[0].slot_state), static_cast<int>(DATABLOCK_SLOT_WRITING));
    CHECK(SlotDiagnostics::find_stuck_slots(path("writer"), std::chrono::hours(1)).empty());
    CHECK(SlotDiagnostics::diagnose_slot(path("writer"), stuck[0].slot_index).is_stuck);
    CHECK_EQUAL(static_cast<int>(SlotRecovery::reset_slot(path("writer"), stuck[0].slot_index)),
                static_cast<int>(RECOVERY_SUCCESS));
    CHECK(SlotDiagnostics::find_stuck_slots(path("writer")).empty());
    CHECK_EQUAL(history(path("writer")).size(), 1u);
    CHECK_EQUAL(producer_of("writer").write(1), 0u);
}

void a_dead_consumer_is_found_and_removed() {
    Producer producer = producer_of("reader");
    killed("--attach", "reader");
    std::vector<datablock_participant_info> dead = HeartbeatManager::find_dead_consumers(path("reader"));
    CHECK_EQUAL(dead.size(), 1u);
    CHECK(!dead[0].alive && dead[0].row == 1);
    CHECK_EQUAL(HeartbeatManager::cleanup_dead_consumers(path("reader")), 1);
    CHECK_EQUAL(HeartbeatManager::cleanup_dead_consumers(path("reader")), 0);
    CHECK_THROWS(error::invalid, HeartbeatManager::cleanup_dead_consumers(path("reader"), std::chrono::seconds(-5)));
    CHECK_THROWS(error::invalid, SlotDiagnostics::find_stuck_slots(path("reader"), std::chrono::milliseconds(-1)));
    CHECK(HeartbeatManager::find_dead_consumers(path("reader")).empty());
}

void a_living_holder_is_told_of_force() {
    Producer producer = producer_of("force");
    Consumer consumer = consumer_of("force");
    producer.write(1);
    producer.write(2);
    CHECK_EQUAL(static_cast<int>(SlotRecovery::evict_consumer(path("force"), 1)), static_cast<int>(RECOVERY_UNSAFE));
    CHECK_EQUAL(static_cast<int>(SlotRecovery::evict_consumer(path("force"), 1, true)),
                static_cast<int>(RECOVERY_SUCCESS));
    CHECK_THROWS(error::fenced, consumer.next<int>(0));
    producer.write(3, 0);
    CHECK_THROWS(error::fenced, with_write_transaction(producer, 0, [](WriteSlot &slot) {
        CHECK_EQUAL(static_cast<int>(SlotRecovery::reset_slot(path("force"), slot.index(), true)),
                    static_cast<int>(RECOVERY_SUCCESS));
    }));
    CHECK_EQUAL(producer.write(4, 0), 3u);
    CHECK_EQUAL(static_cast<int>(SlotRecovery::reset_all_slots(path("force"), true)),
                static_cast<int>(RECOVERY_SUCCESS));
    CHECK_EQUAL(static_cast<int>(SlotRecovery::reset_slot(path("force"), 99)), static_cast<int>(RECOVERY_INVALID_SLOT));
    CHECK_THROWS(error::not_found, SlotDiagnostics::diagnose_all(path("nothing")));
    const datablock_metrics figures = metrics(path("force"));
    CHECK_EQUAL(figures.written, 4u);
    CHECK_EQUAL(figures.fenced, 1u);
    CHECK_EQUAL(participants(path("force")).size(), 1u);
    CHECK_THROWS(error::not_found, metrics(path("nothing")));
    CHECK(SlotDiagnostics::is_process_alive(static_cast<std::uint64_t>(getpid())));
}

} // namespace

int main(int argc, char **argv) {
    if (argc == 4) {
        return play(argv[1], argv[2], argv[3]);
    }
    return run_scenarios(
        {
            {"a-killed-writer-is-found-and-reset", a_killed_writer_is_found_and_reset},
            {"a-dead-consumer-is-found-and-removed", a_dead_consumer_is_found_and_removed},
            {"a-living-holder-is-told-of-force", a_living_holder_is_told_of_force},
        },
        argc, argv);
}
