/*
 * video_frames camera COUNT: writes COUNT frames of 1920 x 1080 into the block "video", each of
 * them in the place where its viewers read it.
 *
 * video_frames viewer: shows the newest frame repeatedly, until the camera ends.
 */
#include <datablock.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

using namespace datablock;

namespace {

constexpr const char *block = "video";
constexpr std::int64_t patience_ms = 10000;

/* Six megabytes: too much for copies and for the stack. */
struct Frame {
    static constexpr std::size_t width = 1920, height = 1080;
    std::uint64_t number;
    std::uint8_t pixels[height][width][3];
};

struct exposure_failed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::uint8_t shade(std::uint64_t number, std::size_t row) { return static_cast<std::uint8_t>(number * 7 + row); }

/* Every tenth exposure fails in the middle of the picture. */
void expose(Frame &frame, std::uint64_t number, std::uint64_t exposure) {
    frame.number = number;
    for (std::size_t row = 0; row < Frame::height; row++) {
        if (exposure % 10 == 9 && row == Frame::height / 2) {
            throw exposure_failed("exposure " + std::to_string(exposure) + " failed");
        }
        std::memset(frame.pixels[row], shade(number, row), sizeof frame.pixels[row]);
    }
}

bool whole(const Frame &frame) {
    for (std::size_t row = 0; row < Frame::height; row++) {
        const std::uint8_t *bytes = frame.pixels[row][0];
        if (bytes[0] != shade(frame.number, row) || std::memcmp(bytes, bytes + 1, sizeof frame.pixels[row] - 1) != 0) {
            return false;
        }
    }
    return true;
}

void film(std::uint64_t count) {
    // The block adds a slot for every allowed viewer and one for the next frame to the two slots of
    // the policy. That is 6 slots with two viewers, 36 MiB.
    Producer camera(block,
                    Config::of<Frame>(Policy::double_buffer).consumer_limit(2).min_consumers(1).unlink_on_close());
    std::uint64_t exposures = 0, failed = 0;
    for (std::uint64_t filmed = 0; filmed < count;) {
        try {
            // The frame is published when the function has returned. Viewers cause no backpressure:
            // the camera waits only for the first viewer.
            with_write_transaction(camera, patience_ms, [&](WriteSlot &slot) {
                expose(slot.as<Frame>(), slot.id(), exposures++);
                slot.commit(sizeof(Frame));
            });
            filmed++;
        } catch (const exposure_failed &) {
            // No viewer sees the incomplete picture in the slot. The next picture gets the same
            // number.
            failed++;
        }
    }
    std::cout << "filmed " << count << " frames, " << failed << " exposures failed\n";
}

Consumer wait_for_camera() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
    for (;;) {
        if (auto viewer = find_datablock_consumer(block, ConsumerOptions().name("viewer"))) {
            return std::move(*viewer);
        }
        if (std::chrono::steady_clock::now() > deadline) {
            throw error::not_found("there is no camera");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void show() {
    Consumer viewer = wait_for_camera();
    std::uint64_t last = 0, shown = 0, passed = 0;
    // The delivery is LATEST, the default of two buffers. The loop ends when the camera has closed
    // the block and the last frame is shown.
    for (const ReadSlot &slot : viewer) {
        const Frame &frame = slot.as<Frame>();
        if (frame.number != slot.id() || !whole(frame)) {
            throw std::runtime_error("frame " + std::to_string(slot.id()) + " is not whole");
        }
        if (shown != 0 && frame.number != last + 1 + slot.missed()) {
            throw std::runtime_error("frame " + std::to_string(frame.number) + " after " + std::to_string(last));
        }
        passed += shown != 0 ? slot.missed() : 0;
        last = frame.number;
        shown++;
    }
    std::cerr << shown << " frames shown, " << passed << " passed by\n";
    std::cout << "every frame shown was whole, the last one was " << last << "\n";
}

} // namespace

int main(int argc, char **argv) try {
    const std::string role = argc > 1 ? argv[1] : "";
    if (role == "camera" && argc == 3) {
        film(std::strtoull(argv[2], nullptr, 10));
    } else if (role == "viewer" && argc == 2) {
        show();
    } else {
        std::cerr << "usage: video_frames camera COUNT | viewer\n";
        return 2;
    }
    return 0;
    // datablock::exception is a std::exception. what() says what was wrong and what to do.
} catch (const std::exception &error) {
    std::cerr << error.what() << "\n";
    return 1;
}
