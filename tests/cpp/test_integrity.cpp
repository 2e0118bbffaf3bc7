// The integrity part of datablock::recovery: the same scenarios as in Go
// (internal/core/recovery) and Python.
#include "check.hpp"

#include <datablock.hpp>
#include <fstream>

namespace db = datablock;
namespace recovery = datablock::recovery;

static void flip(const std::string &path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const char byte = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 1));
    CHECK(file.good());
}

int main() {
    std::string directory = std::string(TEST_PARENT_DIRECTORY) + "/datablock-test-XXXXXX";
    CHECK(mkdtemp(directory.data()) != nullptr);
    const std::string path = directory + "/camera";
    {
        db::Producer producer(path.c_str(), db::Config(db::Policy::ring).slot_count(4).slot_size(64));
        db::with_write_transaction(producer, 0, [](db::WriteSlot &slot) { slot.commit(8); });
        const recovery::IntegrityValidator validator(path);
        CHECK(validator.is_healthy());
        CHECK_EQUAL(std::string(validator.validate().error_message), "");
        CHECK_EQUAL(validator.repair(), RECOVERY_NOT_STUCK);
        CHECK(recovery::SlotRecovery::auto_recover(path, false).empty());

        flip(path, 64);
        CHECK(!validator.is_healthy());
        CHECK(!validator.validate().header_valid);
        CHECK(validator.validate().slot_states_valid);
        const auto planned = recovery::SlotRecovery::auto_recover(path);
        CHECK_EQUAL(planned.size(), 1u);
        CHECK_EQUAL(planned[0].kind, static_cast<std::uint32_t>(DATABLOCK_STEP_REPAIR));
        CHECK(!planned[0].done);
        CHECK(!validator.is_healthy()); // a dry run changes nothing
        const auto done = recovery::auto_recover(path, false);
        CHECK_EQUAL(done.size(), 1u);
        CHECK(done[0].done);
        CHECK(validator.is_healthy());
        db::with_write_transaction(producer, 0, [](db::WriteSlot &slot) { slot.commit(8); });
    }
    CHECK_THROWS(db::error::not_found, recovery::IntegrityValidator::validate(std::string(directory) + "/nothing"));
    CHECK_THROWS(db::error::invalid, recovery::auto_recover(".camera"));
    std::filesystem::remove_all(directory);
    return 0;
}
