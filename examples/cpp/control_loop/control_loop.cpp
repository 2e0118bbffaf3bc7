/*
 * control_loop plant DEADLINE_MS: a cart that is pushed along a rail, a thousand cycles a second.
 * It says what state it is in, and obeys the newest command if that answers a state which is not
 * older than the deadline; else it goes home by itself. Until SIGTERM or SIGINT. control_loop
 * controller: pushes the cart to 1 m and holds it there, until the plant is off, or SIGTERM or
 * SIGINT.
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

using Clock = std::chrono::steady_clock; // the same one in all processes of the machine

struct State {
    std::int64_t time_ns;
    double position, velocity;
};

struct Command {
    std::int64_t answers_ns; /* the time of the state that it was computed from */
    double force;
};

volatile sig_atomic_t stop = 0;

void stop_on(int number) {
    struct sigaction action = {};
    action.sa_handler = [](int) { stop = 1; };
    sigaction(number, &action, nullptr);
}

std::int64_t now_ns() { return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count(); }

/* One message, the newest: whoever reads a block like this never waits for an old one, and
 * whoever writes it never waits at all. */
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

/* The commands of whichever controller there is. */
class Commands {
public:
    /* The newest one that has not been read, if it comes within a millisecond. */
    std::optional<Command> next() {
        if (!consumer_ && Clock::now() >= look_) { // attaching takes system calls: not in each cycle
            consumer_ =
                find_datablock_consumer("cart.command", ConsumerOptions().delivery(Delivery::latest).name("plant"));
            look_ = Clock::now() + 20ms;
        }
        if (!consumer_) {
            return std::nullopt;
        }
        try {
            // Empty also when the controller is dead: one that is started again goes on in the same
            // block.
            return with_next_slot(*consumer_, 1, [](const ReadSlot &slot) { return slot.as<Command>(); });
        } catch (const error::closed &) { // the controller has left, and its block with it
            consumer_.reset();
        } catch (const error::superseded &) { // there is another block of that name
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

        // Not when it came, but what it answers: a command that lay in the block since yesterday is
        // new to a plant that has just been started.
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
