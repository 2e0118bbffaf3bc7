/*
 * A producer or a consumer that a test starts, controls and kills. tests/README.md describes the
 * command line and the line protocol, which the workers of all languages share. This worker is C++
 * over the inline functions of the C interface, with exceptions for statuses and owning objects for
 * everything that must be released.
 */

/* Crash points are in inline code too. The test library counts them, and this function counts
 * them for the answer to `inline`. */
#ifndef _WIN32
extern "C" void datablock_crash_point(const char *name) __attribute__((visibility("default")));
#else
extern "C" __declspec(dllimport) void datablock_crash_point(const char *name);
#endif
static unsigned long inline_points;
#define DATABLOCK_CRASH_POINT(name) (inline_points++, datablock_crash_point("inline/" name))

#include <datablock_inline.h>

#if !DATABLOCK_HAS_INLINE
#error "this worker is there for the inline functions"
#endif

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

#include "../c/worker_lines.h"
#include "../c/worker_payload.h"

namespace {

/* ---- The library in C++ ---------------------------------------------------------------------- */

class Error : public std::runtime_error {
public:
    Error(datablock_status status, const std::string &detail) : std::runtime_error(detail), status_(status) {}
    datablock_status status() const noexcept { return status_; }

private:
    datablock_status status_;
};

void check(datablock_status status) {
    if (status != DATABLOCK_OK) {
        throw Error(status, datablock_error_detail());
    }
}

/* How a participant waits: for a time, or by polling until the call succeeds. */
struct Patience {
    int64_t timeout_ms = -1;
    bool poll = false;
    bool any = false; // waits with datablock_wait_any

    template <typename Call> void operator()(Call call) const {
        for (unsigned failed = 1;; failed++) {
            datablock_status status = call(poll ? 0 : timeout_ms);
            if (!poll || (status != DATABLOCK_E_TIMEOUT && status != DATABLOCK_E_NO_PRODUCER)) {
                return check(status);
            }
            if (failed % 200 == 0) { // sched_yield would wait for the time slice of a program that computes
                std::this_thread::sleep_for(std::chrono::microseconds(50));
            }
        }
    }
};

class Producer {
public:
    Producer(const std::string &name,
             const datablock_config &config) { check(datablock_producer_open(name.c_str(), &config, &producer_)); }
    Producer(const Producer &) = delete;
    Producer &operator=(const Producer &) = delete;
    ~Producer() { datablock_producer_close(producer_); } // refused if it was closed before

    void close() { check(datablock_producer_close(producer_)); }
    datablock_producer handle() const { return producer_; }

    const datablock_write_slot &claim(const Patience &patience) {
        patience([this](int64_t timeout_ms) { return datablock_write_begin(producer_, timeout_ms, &slot_); });
        return slot_;
    }
    const datablock_write_slot &claimed() const { return slot_; }
    void commit(size_t length) { check(datablock_write_commit(producer_, &slot_, length)); }
    void abort() { check(datablock_write_abort(producer_, &slot_)); }

private:
    datablock_producer producer_{};
    datablock_write_slot slot_{};
};

class Consumer;

/* A message that is held until this object is destroyed. */
class Message {
public:
    Message(Message &&other) noexcept : consumer_(other.consumer_), slot_(other.slot_),
        held_(std::exchange(other.held_, false)) {}
    Message &operator=(Message &&) = delete;
    ~Message() {
        if (held_) {
            datablock_read_end(consumer_, &slot_);
        }
    }

    /* Releases the message and reports an error. */
    void release() {
        held_ = false;
        check(datablock_read_end(consumer_, &slot_));
    }
    uint64_t id() const noexcept { return slot_.id; }
    uint64_t missed() const noexcept { return slot_.missed; }
    size_t length() const noexcept { return slot_.length; }
    const unsigned char *data() const noexcept { return static_cast<const unsigned char *>(slot_.data); }

private:
    friend class Consumer;
    Message(datablock_consumer consumer, const datablock_read_slot &slot) : consumer_(consumer), slot_(slot) {}

    datablock_consumer consumer_;
    datablock_read_slot slot_;
    bool held_ = true;
};

class Consumer {
public:
    Consumer(const std::string &name, const datablock_consumer_options &options) {
        check(datablock_consumer_open(name.c_str(), &options, &consumer_)); }
    Consumer(const Consumer &) = delete;
    Consumer &operator=(const Consumer &) = delete;
    ~Consumer() { datablock_consumer_close(consumer_); } // refused if it was closed before

    void close() { check(datablock_consumer_close(consumer_)); }
    datablock_consumer handle() const { return consumer_; }

    Message next(const Patience &patience) {
        datablock_read_slot slot;
        Patience way = patience;
        way.poll = patience.poll || patience.any;
        way([&](int64_t timeout_ms) {
            if (patience.any) {
                bool ready;
                check(datablock_wait_any(&consumer_, 1, patience.timeout_ms, &ready));
            }
            return datablock_read_begin(consumer_, timeout_ms, &slot);
        });
        return {consumer_, slot};
    }
    Message at(uint64_t id) {
        datablock_read_slot slot;
        check(datablock_read_at(consumer_, id, &slot));
        return {consumer_, slot};
    }

private:
    datablock_consumer consumer_{};
};

/* ---- Common to all workers ------------------------------------------------------------------- */

void say_line(const std::string &line) { say("%s", line.c_str()); }

void say_error(const Error &error) { say("error %s %s", status_name(error.status()), error.what()); }

std::string text(uint64_t number) { return std::to_string(number); }

/* "first=3 last=7", for the messages read. */
class Range {
public:
    void add(uint64_t id) {
        first_ = first_.value_or(id);
        last_ = id;
    }
    bool empty() const { return !first_; }
    uint64_t last() const { return last_; }
    std::string text() const { return empty() ? "first=- last=-"
                              : "first=" + std::to_string(*first_) + " last=" + std::to_string(last_); }

private:
    std::optional<uint64_t> first_;
    uint64_t last_ = 0;
};

int open_descriptors() {
#ifdef _WIN32
    return all_descriptors();
#else
    auto entries = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<int>(std::distance(begin(entries), end(entries))) - 1; // without the iterator's own
#endif
}

/* The object of the commands. A command prints one line as its answer, or throws. */
class Participant {
public:
    virtual ~Participant() = default;
    virtual void close() = 0;
    virtual datablock_participant shared() const = 0;
    /* Uses the participant in a forked child, where each call is refused. */
    virtual void use_in_child(const std::function<void(std::function<void()>)> &attempt) = 0;
    /* False: there is no such command. */
    virtual bool command(const std::string &word, uint64_t n) = 0;
};

/* The settings of both roles; `open` creates a participant of the role. */
struct Worker {
    std::string name;
    Patience patience;
    bool echo = false, wait = false;
    uint64_t attempts = 0;
    std::function<std::unique_ptr<Participant>()> open;
};

/* ---- Producing ------------------------------------------------------------------------------- */

struct ProducerSettings {
    datablock_config config{};
    Patience patience;
    bool echo = false;
    uint64_t rate = 0, salt = 0;
};

class ProducingWorker : public Participant {
public:
    ProducingWorker(const std::string &name, const ProducerSettings &settings) : settings_(settings),
        producer_(name, settings.config) {}

    void close() override { producer_.close(); }
    datablock_participant shared() const override { return datablock_of_producer(producer_.handle()); }

    void use_in_child(const std::function<void(std::function<void()>)> &attempt) override {
        attempt([this] { producer_.claim(settings_.patience); });
        attempt([this] { producer_.commit(0); });
        attempt([this] { producer_.abort(); });
        attempt([this] { producer_.close(); });
    }

    bool command(const std::string &word, uint64_t n) override {
        if (word == "write") {
            write(n);
        } else if (word == "claim") {
            const datablock_write_slot &slot = producer_.claim(settings_.patience);
            std::memset(slot.data, 0, slot.capacity / 2); // a kill from here on leaves a half-written message
            say_line("claimed " + text(slot.id));
        } else if (word == "commit") {
            finish();
            say_line("committed " + text(producer_.claimed().id));
        } else if (word == "abort") {
            producer_.abort();
            say_line("aborted " + text(producer_.claimed().id));
        } else {
            return false;
        }
        return true;
    }

private:
    void finish() {
        const datablock_write_slot &slot = producer_.claimed();
        size_t length = payload_length(slot.id, slot.capacity);
        payload_fill(static_cast<unsigned char *>(slot.data), length, slot.id, settings_.salt);
        producer_.commit(length);
    }

    void write(uint64_t n) {
        uint64_t count = 0;
        Range range;
        datablock_status status = DATABLOCK_OK;
        auto start = std::chrono::steady_clock::now();
        try {
            while (count < n) {
                uint64_t id = producer_.claim(settings_.patience).id;
                finish();
                if (settings_.echo) {
                    say_line("committed " + text(id) + " " + text(settings_.salt));
                }
                range.add(id);
                count++;
                if (settings_.rate > 0) {
                    std::this_thread::sleep_until(start +
                                                  std::chrono::nanoseconds(count * 1'000'000'000 / settings_.rate));
                }
            }
        } catch (const Error &error) {
            status = error.status();
        }
        say_line("wrote=" + text(count) + " " + range.text() + " end=" + status_name(status));
    }

    ProducerSettings settings_;
    Producer producer_;
};

/* ---- Consuming ------------------------------------------------------------------------------- */

struct ConsumerSettings {
    datablock_consumer_options options{};
    Patience patience;
    bool echo = false;
    uint64_t capacity = 0; // capacity of the block's slots; 0: lengths are not checked
};

class ConsumingWorker : public Participant {
public:
    ConsumingWorker(const std::string &name, const ConsumerSettings &settings) : settings_(settings),
        consumer_(name, settings.options) {}

    void close() override { consumer_.close(); }
    datablock_participant shared() const override { return datablock_of_consumer(consumer_.handle()); }

    void use_in_child(const std::function<void(std::function<void()>)> &attempt) override {
        attempt([this] { consumer_.next(settings_.patience); });
        attempt([this] { consumer_.at(0); });
        for (Message &message : held_) {
            attempt([&message] { message.release(); });
        }
        attempt([this] { consumer_.close(); });
    }

    bool command(const std::string &word, uint64_t n) override {
        if (word == "read") {
            read(n);
        } else if (word == "hold") {
            hold(consumer_.next(settings_.patience));
        } else if (word == "hold-at") {
            hold(consumer_.at(n));
        } else if (word == "check" || word == "smash" || word == "release") {
            with_held(word);
        } else {
            return false;
        }
        return true;
    }

private:
    bool verify(const Message &message, uint64_t &salt) const {
        bool good = payload_verify(message.data(), message.length(), message.id(), &salt);
        return good &&
            (settings_.capacity == 0 || message.length() == payload_length(message.id(), settings_.capacity));
    }

    /* Reads n messages, or all messages of the stream if n is 0. A message is bad if a byte is
     * wrong, or if the id does not follow from the number of missed messages. */
    void read(uint64_t n) {
        uint64_t count = 0, missed = 0, bad = 0, sum = 0;
        Range range;
        datablock_status status = DATABLOCK_OK;
        try {
            while (n == 0 || count < n) {
                Message message = consumer_.next(settings_.patience);
                uint64_t salt;
                bool good = verify(message, salt);
                if (!good || (!range.empty() && message.id() != range.last() + 1 + message.missed())) {
                    bad++;
                }
                if (settings_.echo) {
                    say_line("message " + text(message.id()) + " " + text(salt) + " " + text(message.missed()) +
                             (good ? " true" : " false"));
                }
                range.add(message.id());
                count++;
                missed += message.missed();
                sum += payload_mix(message.id() ^ payload_mix(salt));
                message.release();
            }
        } catch (const Error &error) {
            status = error.status();
        }
        say("read=%llu missed=%llu %s bad=%llu sum=%llx end=%s", static_cast<unsigned long long>(count),
            static_cast<unsigned long long>(missed), range.text().c_str(),
            static_cast<unsigned long long>(bad), static_cast<unsigned long long>(sum), status_name(status));
    }

    void hold(Message &&message) {
        held_.push_back(std::move(message));
        say_line("holding " + text(held_.back().id()));
    }

    void with_held(const std::string &word) {
        if (held_.empty()) {
            throw Error(DATABLOCK_E_INVALID, "nothing is held");
        }
        Message &message = held_.front();
        if (word == "check") {
            uint64_t salt;
            bool good = verify(message, salt);
            say_line("checked " + text(message.id()) + " " + text(salt) + (good ? " true" : " false"));
        } else if (word == "smash") {
            *const_cast<volatile unsigned char *>(message.data()) ^= 0xff; // the error of a careless program
            say_line("smashed " + text(message.id()));
        } else {
            Message ended = std::move(message);
            held_.pop_front();
            ended.release();
            say_line("released " + text(ended.id()));
        }
    }

    ConsumerSettings settings_;
    Consumer consumer_;
    std::deque<Message> held_; // destroyed before the consumer
};

} // namespace

#include "worker_children.hpp"

namespace {

/* ---- Settings -------------------------------------------------------------------------------- */

uint32_t choice(const char *key, const std::string &given, const std::map<std::string, uint32_t> &known) {
    auto found = known.find(given);
    if (found == known.end()) {
        usage("--%s=%s is unknown", key, given.c_str());
    }
    return found->second;
}

uint32_t small(const char *key) { return static_cast<uint32_t>(number_option(key, 0)); }

/* The schema of --schema=TEXT or --zone-schema=TEXT, or null. It exists as long as the process. */
const datablock_schema *schema_option(const char *key) {
    static std::map<std::string, datablock_schema> schemas;
    const char *text = option(key);
    if (text == nullptr) {
        return nullptr;
    }
    check(datablock_schema_parse(text, &schemas[key]));
    return &schemas[key];
}

ProducerSettings producer_settings(const Worker &worker, const char *directory) {
    ProducerSettings settings;
    settings.patience = worker.patience;
    settings.echo = worker.echo;
    datablock_config &config = settings.config;
    uint32_t policy = choice("policy", text_option("policy"),
                             {{"", DATABLOCK_RING}, {"ring", DATABLOCK_RING}, {"single", DATABLOCK_SINGLE},
                                 {"double", DATABLOCK_DOUBLE_BUFFER}});
    check(datablock_config_init(&config, static_cast<datablock_policy>(policy)));
    config.slot_count = small("slots");
    config.slot_size = number_option("slot-size", 256);
    config.spare_slots = small("spare");
    config.consumer_limit = small("limit");
    config.min_consumers = small("min-consumers");
    config.mode = small("mode");
    config.checksum = small("checksum");
    config.algorithm = small("algorithm");
    config.directory = directory;
    const char *secret = text_option("secret");
    config.secret = secret;
    config.secret_length = std::strlen(secret);
    config.schema = schema_option("schema"), config.zone_schema = schema_option("zone-schema");
    config.registered = option("registered"), config.registry = option("registry");
    std::string flags = text_option("flags");
    for (size_t at = 0; at < flags.size();) {
        size_t comma = std::min(flags.find(',', at), flags.size());
        config.flags |= choice("flags", flags.substr(at, comma - at),
                               {{"lossless", DATABLOCK_FLAG_ALLOW_LOSSLESS}, {"replace", DATABLOCK_FLAG_REPLACE},
                                   {"force", DATABLOCK_FLAG_FORCE},
                                {"unlink", DATABLOCK_FLAG_UNLINK_ON_CLOSE}, {"timestamp", DATABLOCK_FLAG_TIMESTAMP},
                                {"reclaim", DATABLOCK_FLAG_RECLAIM}});
        at = comma + 1;
    }
    settings.rate = number_option("rate", 0);
    settings.salt = number_option("salt", 0);
    return settings;
}

ConsumerSettings consumer_settings(const Worker &worker, const char *directory) {
    ConsumerSettings settings;
    settings.patience = worker.patience;
    settings.echo = worker.echo;
    datablock_consumer_options &options = settings.options;
    check(datablock_consumer_options_init(&options));
    options.delivery = choice("delivery", text_option("delivery"),
                              {{"", DATABLOCK_DELIVERY_DEFAULT}, {"lossless", DATABLOCK_LOSSLESS},
                                  {"ordered", DATABLOCK_ORDERED}, {"latest", DATABLOCK_LATEST}});
    options.start = choice("start", text_option("start"),
        {{"", DATABLOCK_START_LATEST}, {"latest", DATABLOCK_START_LATEST}, {"oldest", DATABLOCK_START_OLDEST}});
    options.max_pins = small("pins");
    options.durable = option("durable") != nullptr;
    options.name = option("name");
    options.directory = directory;
    const char *secret = text_option("secret");
    options.secret = secret;
    options.secret_length = std::strlen(secret);
    options.schema = schema_option("schema");
    options.zone_schema = schema_option("zone-schema");
    options.registered = option("registered");
    options.registry = option("registry");
    options.schema_mode = option("exact") != nullptr ? DATABLOCK_SCHEMA_EXACT : DATABLOCK_SCHEMA_COMPATIBLE;
    settings.capacity = number_option("slot-size", 0);
    return settings;
}

/* ---- Roles ----------------------------------------------------------------------------------- */

int recover_block(const std::string &name, const char *directory) {
    std::string path = std::string(directory == nullptr ? "" : directory) + "/" + name;
    uint32_t slot = small("slot");
    uint64_t older = number_option("older", 0);
    std::string action = text_option("do");
    all_options_asked();
    int result = 0;
    if (action == "release-readers") {
        result = datablock_release_zombie_readers(path.c_str(), slot);
    } else if (action == "release-writer") {
        result = datablock_release_zombie_writer(path.c_str(), slot);
    } else if (action == "cleanup") {
        result = datablock_cleanup_dead_consumers(path.c_str(), older);
    } else if (action == "reset" || action == "reset-force") {
        result = datablock_force_reset_slot(path.c_str(), slot, action == "reset-force");
    } else if (action == "evict-force") {
        result = datablock_evict_consumer(path.c_str(), slot, true);
    } else if (action == "repair") {
        result = datablock_repair(path.c_str(), false, nullptr);
    } else if (action == "unlink" || action == "unlink-force") {
        result = datablock_unlink(path.c_str(), action == "unlink" ? 0u : static_cast<uint32_t>(DATABLOCK_FLAG_FORCE));
    } else {
        usage("--do=%s is unknown", action.c_str());
    }
    say("result %d %s", result, datablock_error_detail());
    return 0;
}

/* Opens and closes this many times, and reports whether descriptors are left. */
int repeat_opening(const Worker &worker) {
    datablock_status status = DATABLOCK_OK;
    int before = 0;
    for (uint64_t i = 0; i <= worker.attempts; i++) {
        try {
            worker.open();
            status = DATABLOCK_OK;
        } catch (const Error &error) {
            status = error.status();
        }
        if (i == 0) {
            before = open_descriptors(); // the runtime has opened its own descriptors by now
        }
    }
    say("attempts=%llu status=%s before=%d after=%d", static_cast<unsigned long long>(worker.attempts),
        status_name(status), before, open_descriptors());
    return 0;
}

/* Handles the commands of both roles. */
bool shared_command(const std::string &word, uint64_t n, const Participant &participant, const Worker &worker) {
    datablock_participant me = participant.shared();
    if (word == "lock") {
        bool abandoned = false;
        check(datablock_lock_acquire(me, static_cast<uint32_t>(n), worker.patience.timeout_ms, &abandoned));
        say_line("locked " + text(n) + (abandoned ? " abandoned" : " free"));
    } else if (word == "unlock") {
        check(datablock_lock_release(me, static_cast<uint32_t>(n)));
        say_line("unlocked " + text(n));
    } else if (word == "zone") { // adds n to its first word
        datablock_zone zone;
        check(datablock_zone_begin(me, 0, worker.patience.timeout_ms, &zone));
        uint64_t sum = *static_cast<uint64_t *>(zone.data) += n;
        check(datablock_zone_end(me, false));
        say_line("zone " + text(sum));
    } else {
        return false;
    }
    return true;
}

/* Answers one command for each line until the input ends, then closes. */
void serve(Participant &participant, const Worker &worker) {
    for (std::string line; std::getline(std::cin, line);) {
        size_t space = std::min(line.find(' '), line.size());
        std::string word = line.substr(0, space);
        uint64_t n = std::strtoull(line.c_str() + space, nullptr, 10);
        try {
            if (word == "close") {
                participant.close();
                say_line("closed");
            } else if (word == "exit") {
                _exit(0);
            } else if (word == "descriptors") {
                say("descriptors %d", open_descriptors());
            } else if (word == "inline") {
                say_line("inline " + text(inline_points));
            } else if (!child_command(word, participant, worker) && !shared_command(word, n, participant, worker) &&
                       !participant.command(word, n)) {
                say_line("error UNSUPPORTED " + word);
            }
        } catch (const Error &error) {
            say_error(error);
        }
    }
}

int run(Worker &worker) {
    if (worker.attempts > 0) {
        return repeat_opening(worker);
    }
    if (std::string line; worker.wait) {
        say_line("ready");
        if (!std::getline(std::cin, line)) {
            return 0;
        }
    }
    std::unique_ptr<Participant> participant;
    try {
        participant = worker.open();
    } catch (const Error &error) {
        say("failed %s %s", status_name(error.status()), error.what());
        return EXIT_OPEN_FAILED;
    }
    say_line("attached");
    serve(*participant, worker);
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        usage("worker produce|consume|recover NAME [--key=value]...");
    }
    std::string role = argv[1];
    Worker worker;
    worker.name = argv[2];
    arguments = argv + 3;
    argument_count = argc - 3;
    const char *directory = option("dir");
    if (role == "recover") {
        return recover_block(worker.name, directory);
    }
    const char *timeout = text_option("timeout");
    worker.patience = {*timeout == '\0' ? -1 : std::strtoll(timeout, nullptr, 10), option("poll") != nullptr,
        option("any") != nullptr};
    worker.echo = option("echo") != nullptr;
    worker.wait = option("wait") != nullptr;
    worker.attempts = number_option("attempts", 0);
    if (role == "produce") {
        worker.open = [&worker, settings =
            producer_settings(worker, directory)] { return std::make_unique<ProducingWorker>(worker.name, settings); };
    } else if (role == "consume") {
        worker.open = [&worker, settings =
            consumer_settings(worker, directory)] { return std::make_unique<ConsumingWorker>(worker.name, settings); };
    } else {
        usage("\"%s\" is neither produce, consume nor recover", role.c_str());
    }
    all_options_asked();
    return run(worker);
}
