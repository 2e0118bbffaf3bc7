/*
 * two_cameras left COUNT, two_cameras right COUNT: a camera that is triggered COUNT times. The left
 * camera misses every fifth trigger, the right camera every seventh.
 *
 * two_cameras join: pairs the frames of each trigger as they arrive, until both cameras have ended.
 */
#include <datablock.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <thread>

using namespace datablock;

namespace {

constexpr std::int64_t patience_ms = 10000;

struct Frame {
    std::uint64_t trigger;
    std::uint8_t pixels[64 * 48];
};

void film(const std::string &side, std::uint64_t count) {
    Producer camera(side + "-camera",
                    Config::of<Frame>(Policy::ring).slot_count(16).min_consumers(1).unlink_on_close());
    const std::uint64_t missed = side == "left" ? 5 : 7;
    for (std::uint64_t trigger = 1; trigger <= count; trigger++) {
        if (trigger % missed != 0) {
            with_write_transaction(camera, patience_ms, [trigger](WriteSlot &slot) {
                Frame &frame = slot.as<Frame>();
                frame.trigger = trigger;
                std::memset(frame.pixels, static_cast<int>(trigger % 251), sizeof frame.pixels);
            });
        }
    }
}

Consumer wait_for(const std::string &camera) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
    for (;;) {
        if (auto consumer = find_datablock_consumer(camera, ConsumerOptions().start(Start::oldest).name("join"))) {
            return std::move(*consumer);
        }
        if (std::chrono::steady_clock::now() > deadline) {
            throw error::not_found("no block \"" + camera + "\": start the camera");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

/* One side: the frame that waits for its partner, held in place; and whether more frames follow. */
struct Side {
    explicit Side(const char *camera) : consumer(wait_for(camera)) {}

    bool empty() const { return !frame.has_value(); }
    std::uint64_t trigger() { return frame->slot().as<Frame>().trigger; }

    /* Reads what wait_any has reported: a frame, or the end. */
    void take() {
        try {
            frame = ReadTransactionGuard::next(consumer, 0);
        } catch (const error::closed &) {
            over = true;
        }
    }

    Consumer consumer;
    std::optional<ReadTransactionGuard> frame;
    bool over = false;
};

/* Waits for the sides that have no frame and may get one. False: none arrived in time. */
bool next_frames(std::array<Side, 2> &sides) {
    if (sides[0].empty() && !sides[0].over && sides[1].empty() && !sides[1].over) {
        const auto ready = wait_any(patience_ms, sides[0].consumer, sides[1].consumer);
        for (std::size_t i = 0; i < sides.size(); i++) {
            if (ready[i]) {
                sides[i].take();
            }
        }
        return ready[0] || ready[1];
    }
    Side &lacking = sides[0].empty() && !sides[0].over ? sides[0] : sides[1];
    const bool ready = wait_any(patience_ms, lacking.consumer)[0];
    if (ready) {
        lacking.take();
    }
    return ready;
}

void join() {
    std::array<Side, 2> sides{Side("left-camera"), Side("right-camera")};
    std::uint64_t pairs = 0, alone[2] = {0, 0}, different = 0;
    const auto lacks = [](const Side &side) { return side.empty() && !side.over; };
    for (;;) {
        while (lacks(sides[0]) || lacks(sides[1])) {
            if (!next_frames(sides)) {
                throw timeout_error("no frame within 10 s");
            }
        }
        if (sides[0].empty() && sides[1].empty()) {
            break;
        }
        if (!sides[0].empty() && !sides[1].empty() && sides[0].trigger() == sides[1].trigger()) {
            // Both frames are in the slots that the cameras filled. Nothing was copied.
            const Frame &left = sides[0].frame->slot().as<Frame>(), &right = sides[1].frame->slot().as<Frame>();
            different += std::memcmp(left.pixels, right.pixels, sizeof left.pixels) != 0;
            pairs++;
            sides[0].frame.reset();
            sides[1].frame.reset();
        } else { // the older frame will get no partner, because triggers only rise
            const std::size_t older = sides[1].empty() || (!sides[0].empty() && sides[0].trigger() < sides[1].trigger())
                ? 0 : 1;
            alone[older]++;
            sides[older].frame.reset();
        }
    }
    std::cout << pairs << " pairs, " << alone[0] << " frames of the left camera alone, " << alone[1]
        << " of the right one\n";
    if (different != 0) {
        throw std::runtime_error(std::to_string(different) + " pairs were not of one trigger");
    }
}

} // namespace

int main(int argc, char **argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    try {
        if (what == "join" && argc == 2) {
            join();
        } else if ((what == "left" || what == "right") && argc == 3) {
            film(what, std::strtoull(argv[2], nullptr, 10));
        } else {
            std::cerr << "usage: two_cameras left|right COUNT, two_cameras join\n";
            return 2;
        }
    } catch (const std::exception &e) {
        std::cerr << "two_cameras: " << e.what() << "\n";
        return 1;
    }
}
