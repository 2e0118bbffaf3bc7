/* iceoryx: loan, fill, publish; take, read in place, release. RouDi, its daemon, runs beside. */
#include "../../measure.h"

#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

#include <memory>
#include <string>

using namespace iox;

struct out {
    std::unique_ptr<popo::UntypedPublisher> publisher;
};

struct in {
    std::unique_ptr<popo::UntypedSubscriber> subscriber;
    std::unique_ptr<popo::WaitSet<1>> waiting; /* NULL: polls */
};

/* The directory of the measurement makes the name of a channel unique. */
static capro::ServiceDescription service_of(const char *name) {
    const capro::IdString_t place(cxx::TruncateToCapacity, strrchr(getenv("DATABLOCK_DIR"), '/') + 1);
    return {"bench", place, capro::IdString_t(cxx::TruncateToCapacity, name)};
}

static void start_runtime() {
    log::LogManager::GetLogManager().SetDefaultLogLevel(log::LogLevel::kError, log::LogLevelOutput::kHideLogLevel);
    const std::string name = "bench-" + std::to_string(getpid());
    runtime::PoshRuntime::initRuntime(RuntimeName_t(cxx::TruncateToCapacity, name.c_str()));
}

static void out_open(struct out *o, const char *name) {
    popo::PublisherOptions options;
    options.subscriberTooSlowPolicy = popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    start_runtime();
    o->publisher.reset(new popo::UntypedPublisher(service_of(name), options));
}

static void in_open(struct in *i, const char *name) {
    popo::SubscriberOptions options;
    options.queueCapacity = whole_argument("slots");
    options.queueFullPolicy = popo::QueueFullPolicy::BLOCK_PRODUCER;
    start_runtime();
    i->subscriber.reset(new popo::UntypedSubscriber(service_of(name), options));
    if (whole_argument("block")) {
        i->waiting.reset(new popo::WaitSet<1>());
        i->waiting->attachState(*i->subscriber, popo::SubscriberState::HAS_DATA).or_else([](auto) {
            die("cannot wait for a subscriber");
        });
    }
}

/* A publisher without a subscriber drops its messages. */
static void out_connect(struct out *o) {
    while (!o->publisher->hasSubscribers()) {
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
}

static void *claim(struct out *o, size_t size) {
    void *loan = NULL;
    while (loan == NULL) {
        o->publisher->loan((uint32_t)size).and_then([&](auto &payload) { loan = payload; }).or_else([](auto error) {
            if (error != popo::AllocationError::TOO_MANY_CHUNKS_ALLOCATED_IN_PARALLEL &&
                error != popo::AllocationError::RUNNING_OUT_OF_CHUNKS) {
                die("cannot loan a chunk: %d", (int)error);
            }
        });
    }
    return loan;
}

static const void *take(struct in *i) {
    const void *taken = NULL;
    for (;;) {
        i->subscriber->take().and_then([&](auto &payload) { taken = payload; });
        if (taken != NULL) {
            return taken;
        }
        if (i->waiting) {
            i->waiting->wait();
        }
    }
}

static void out_send(struct out *o, const void *source, size_t size) {
    void *loan = claim(o, size);
    memcpy(loan, source, size);
    o->publisher->publish(loan);
}

static void in_receive(struct in *i, void *target, size_t size) {
    const void *taken = take(i);
    memcpy(target, taken, size);
    i->subscriber->release(taken);
}

static void out_stop(struct out *o, const void *source, size_t size) { memcpy(claim(o, size), source, size / 2); }
static void in_stop(struct in *i, void *target, size_t size) { memcpy(target, take(i), size / 2); }

static void out_close(struct out *o) { o->publisher.reset(); }

static void in_close(struct in *i) {
    i->waiting.reset();
    i->subscriber.reset();
}

#include "../peer.h"
