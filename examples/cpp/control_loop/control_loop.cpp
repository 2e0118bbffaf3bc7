/*
 * control_loop plant DEADLINE_MS: a cart that is pushed along a rail, a thousand cycles a second,
 * until SIGTERM or SIGINT. The cart publishes its state. It obeys the newest command if the command
 * answers a state that is not older than the deadline. Otherwise the cart goes home by itself.
 *
 * control_loop controller: pushes the cart to 1 m and holds it there, until the plant ends, or
 * SIGTERM or SIGINT.
 */
#include <datablock.hpp>

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <thread>

using namespace datablock;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock; // the same clock in all processes of the machine

struct State {
    std::int64_t time_ns;
    double position, velocity;
};

struct Command {
    std::int64_t answers_ns; /* the time of the state from which the command was computed */
    double force;
};

volatile sig_atomic_t stop = 0;

void stop_on(int number) {
    struct sigaction action = {};
    action.sa_handler = [](int) { stop = 1; };
    sigaction(number, &action, nullptr);
}

std::int64_t now_ns() { return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count(); }

/* A block with one message, the newest. Its consumer never waits for an old message, and its
 * producer never waits. */
template <typename T> Producer newest_of(const char *block) {
    return Producer(block, Config::of<T>(Policy::single).unlink_on_close());
}

/* ---- plant */

class Cart {
public:
    void push(double force, double seconds) {
        velocity_ += (force - 0.5 * velocity_) * seconds;
        position_ += velocity_ * seconds;
    }
    void go_home(double seconds) { push(-400 * position_ - 40 * velocity_, seconds); }
    State state() const { return {now_ns(), position_, velocity_}; }
    bool at(double target) const { return std::abs(position_ - target) < 0.01 && std::abs(velocity_) < 0.01; }

private:
    double position_ = 0, velocity_ = 0;
};

/* The commands of the current controller. */
class Commands {
public:
    /* The newest unread command, if one comes within a millisecond. */
    std::optional<Command> next() {
        if (!consumer_ && Clock::now() >= look_) { // an attach takes system calls: not in each cycle
            consumer_ =
                find_datablock_consumer("cart.command", ConsumerOptions().delivery(Delivery::latest).name("plant"));
            look_ = Clock::now() + 20ms;
        }
        if (!consumer_) {
            return std::nullopt;
        }
        try {
            // Empty also when the controller is dead: a restarted controller continues in the same
            // block.
            return with_next_slot(*consumer_, 1, [](const ReadSlot &slot) { return slot.as<Command>(); });
        } catch (const error::closed &) { // the controller has closed and removed its block
            consumer_.reset();
        } catch (const error::superseded &) { // a new block has this name
            consumer_.reset();
        }
        return std::nullopt;
    }

private:
    std::optional<Consumer> consumer_;
    Clock::time_point look_{};
};

void plant(std::chrono::milliseconds deadline) {
    Producer states = newest_of<State>("cart.state");
    Commands commands;
    Cart cart;
    Command command{0, 0};
    bool commanded = false, there = false;
    constexpr auto period = 1ms;
    const double seconds = std::chrono::duration<double>(period).count();
    for (auto cycle = Clock::now(); !stop; cycle = std::max(cycle + period, Clock::now())) {
        states.write(cart.state(), 0);
        command = commands.next().value_or(command);

        // The time of the answered state counts, not the time of arrival: for a plant that has just
        // been started, yesterday's command in the block is new.
        const bool in_time = now_ns() - command.answers_ns <= std::chrono::nanoseconds(deadline).count();
        if (in_time) {
            cart.push(command.force, seconds);
        } else {
            cart.go_home(seconds);
        }
        if (in_time != commanded) {
            std::cout << (in_time ? "commanded" : "no command in time: going home") << std::endl;
            commanded = in_time;
            there = false;
        }
        if (!there && cart.at(commanded ? 1 : 0)) {
            std::cout << (commanded ? "at the target" : "at home") << std::endl;
            there = true;
        }
        std::this_thread::sleep_until(cycle + period);
    }
}

/* ---- controller */

void controller() {
    std::optional<Consumer> states;
    while (!(states =
        find_datablock_consumer("cart.state", ConsumerOptions().delivery(Delivery::latest).name("controller")))) {
        if (stop) {
            return;
        }
        std::this_thread::sleep_for(5ms);
    }
    Producer commands = newest_of<Command>("cart.command");
    try {
        while (!stop) {
            const std::optional<State> state =
                with_next_slot(*states, 100, [](const ReadSlot &slot) { return slot.as<State>(); });
            if (state) {
                commands.write(Command{state->time_ns, 400 * (1 - state->position) - 40 * state->velocity}, 0);
            } else {
                std::cerr << "the plant is silent\n";
            }
        }
    } catch (const error::closed &) {
        std::cerr << "the plant is off\n";
    }
}

} // namespace

int main(int argc, char **argv) try {
    const std::string role = argc > 1 ? argv[1] : "";
    stop_on(SIGTERM);
    stop_on(SIGINT);
    if (role == "plant" && argc == 3) {
        plant(std::chrono::milliseconds(std::stoul(argv[2])));
    } else if (role == "controller" && argc == 2) {
        controller();
    } else {
        std::cerr << "usage: control_loop plant DEADLINE_MS | controller\n";
        return 2;
    }
    return 0;
} catch (const std::exception &error) {
    std::cerr << error.what() << "\n";
    return 1;
}
