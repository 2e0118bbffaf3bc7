/*
 * cases list | cases CASE [ARGUMENT]...: a signal handler of the host, one case a process. run.py
 * runs every case that `list` prints.
 *
 *   calls STATE ACTION  a handler calls the library while its thread is in that state
 *   wait STATE          the handler runs on its thread's stack or on its alternate stack
 *   onstack KIB         a handler with SA_ONSTACK uses that much; no stack of the host's for it
 *   kept                no call changes its thread's signal mask and alternate stack
 *   threads             the library's own threads block the host's signals
 *   ended               the library frees the resources of its callers' threads when they end
 *   urgent              the host's handler of SIGURG is called for the host's SIGURG only
 */
#include "host.h"

#include "handlers.h"

#include <alloca.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { RING = 4, PATIENCE = 20, LEAST_STACK = 64 << 10 };

static unsigned long enough = 40; /* handler calls in a case; ten times as many with DATABLOCK_SOAK=1 */

static const char *const everything = "main";

static pid_t thread_id(void) { return (pid_t)syscall(SYS_gettid); }

static datablock_producer produce(const char *name) {
    datablock_config config;
    datablock_producer producer;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = RING;
    config.slot_size = HOST_SLOT;
    config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    CHECK_OK(datablock_producer_open(name, &config, &producer));
    return producer;
}

static datablock_consumer consume(const char *name, datablock_delivery delivery) {
    datablock_consumer_options options;
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_options_init(&options));
    options.delivery = (uint32_t)delivery;
    CHECK_OK(datablock_consumer_open(name, &options, &consumer));
    return consumer;
}

static pthread_t start(void *(*run)(void *), void *of) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, of) == 0);
    return thread;
}

/* A thread that no signal interrupts. */
static pthread_t start_quiet(void *(*run)(void *), void *of) {
    sigset_t all, old;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &old) == 0);
    pthread_t thread = start(run, of);
    CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    return thread;
}

/* ---- The thread that sends signals ---- */

static atomic_bool stop_sending, both_ways;
static pthread_t target, sender;
static void on_signal(int signal);

static atomic_ulong hits; /* handlers of this program that have ended */
static unsigned long handlers_ended(void) { return atomic_load(&hits) + handlers_count(); }

static void *send_signals(void *unused) {
    for (unsigned turn = 0; !atomic_load(&stop_sending); turn++) {
        if (atomic_load(&both_ways)) {
            struct sigaction action = {.sa_handler = on_signal,
                                       .sa_flags =
                                           SA_RESTART | (turn / 8 % 2 == 0 ? SA_ONSTACK : 0)};
            CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
        }
        unsigned long before = handlers_ended();
        CHECK((turn % 4 == 0 ? kill(getpid(), SIGUSR1) : pthread_kill(target, SIGUSR1)) == 0);
        /* The next signal follows when the handler of this one has ended. So a slow handler does
         * not keep its thread from its work. */
        for (int i = 0; i < 20 && handlers_ended() == before; i++) {
            host_pause(300);
        }
        host_pause(300);
    }
    return unused;
}

static void begin_signals(bool ways) {
    target = pthread_self();
    atomic_store(&both_ways, ways);
    sender = start_quiet(send_signals, NULL);
}

static void end_signals(void) {
    atomic_store(&stop_sending, true);
    CHECK(pthread_join(sender, NULL) == 0);
}

/* ---- calls ---- */

enum action {
    WRITE_SAME,
    WRITE_OTHER,
    READ_SAME,
    READ_OTHER,
    BATCH,
    LOCK,
    COUNT,
    ANY,
    WAIT,
    DIAGNOSE,
    OPEN,
    DETAIL,
    CLOSE,
    ACTIONS
};

static const char *const action_names[ACTIONS] = {
    "write-same", "write-other", "read-same", "read-other", "batch",  "lock", "counter",
    "wait-any",   "wait",        "diagnose",  "open",       "detail", "close"};

static datablock_producer producer, other_producer;
static datablock_consumer consumer, other_consumer;
static volatile enum action action;
static volatile uint64_t next_read, committed;
static volatile sig_atomic_t producer_closed, consumer_closed;
static datablock_consumer
    brief; /* a consumer that the handler could not close, because it interrupted a call */
static pid_t main_thread;
static atomic_ulong elsewhere, answers[32];
static double longest;
/* The first wrong result of a handler. The handler cannot end the program, because its thread
 * may be anywhere. */
static atomic_int bad = -1;
static const char *_Atomic bad_call;

static void want(bool right, const char *call, datablock_status status) {
    int none = -1;
    if (!right && atomic_compare_exchange_strong(&bad, &none, (int)status)) {
        atomic_store(&bad_call, call);
    }
}

static bool counts(const char *call, datablock_status status, bool right) {
    want(right, call, status);
    atomic_fetch_add(&answers[(unsigned)status < 32 ? status : 31], 1);
    return status == DATABLOCK_OK;
}

/* The call succeeds at once, or reports that it cannot now. */
static bool tell(const char *call, datablock_status status) {
    bool closing =
        action == CLOSE && (status == DATABLOCK_E_HANDLE || status == DATABLOCK_E_CLOSED);
    bool open_claim = status == DATABLOCK_E_INVALID && strncmp(call, "write", 5) == 0;
    return counts(call, status,
                  status == DATABLOCK_OK || status == DATABLOCK_E_TIMEOUT ||
                      status == DATABLOCK_E_BUSY || closing || open_claim);
}

static void read_in_handler(datablock_consumer from, bool same) {
    datablock_read_slot slot;
    if (tell("read_begin", datablock_read_begin(from, 0, &slot))) {
        if (same) {
            want(slot.id >= next_read, "an id", DATABLOCK_OK);
            next_read = slot.id + 1;
        }
        want(host_right(slot.data, slot.length, slot.id), "a payload", DATABLOCK_OK);
        tell("read_end", datablock_read_end(from, &slot));
    }
}

static void write_in_handler(datablock_producer to) {
    datablock_write_slot slot;
    if (tell("write_begin", datablock_write_begin(to, 0, &slot))) {
        host_fill(slot.data, slot.id);
        if (tell("write_commit", datablock_write_commit(to, &slot, host_length(slot.id))) &&
            to.handle == producer.handle) {
            committed++;
        }
    }
}

static void batch_in_handler(void) {
    datablock_message messages[2] = {{"", 0}, {"", 0}};
    size_t count;
    tell("write_batch", datablock_write_batch(other_producer, 0, messages, 2, &count));
    datablock_read_slot batch[2];
    if (tell("read_batch", datablock_read_batch(other_consumer, 0, batch, 2, &count))) {
        tell("read_batch_end", datablock_read_batch_end(other_consumer, batch, count));
    }
}

static void diagnose_in_handler(void) {
    SlotDiagnostic slots[16];
    datablock_metrics metrics = {.size = sizeof metrics};
    size_t count;
    /* The int functions have no BUSY. -1 and -3 would mean that the arguments are wrong. */
    int result = datablock_diagnose_all_slots("other", slots, 16, &count);
    want(result != -1 && result != -3 && result <= 0, "diagnose_all_slots", DATABLOCK_OK);
    tell("get_metrics", datablock_get_metrics("other", &metrics));
}

static void open_in_handler(void) {
    if (brief.handle == 0) {
        tell("consumer_open", datablock_consumer_open("other", NULL, &brief));
    }
    if (brief.handle != 0 && tell("consumer_close", datablock_consumer_close(brief))) {
        brief.handle = 0;
    }
}

static void close_in_handler(void) {
    if (atomic_load(&hits) % 6 == 5 && tell("producer_close", datablock_producer_close(producer))) {
        producer_closed = 1;
    }
    if (atomic_load(&hits) % 6 == 2 && tell("consumer_close", datablock_consumer_close(consumer))) {
        consumer_closed = 1;
    }
}

static void call_library(void) {
    datablock_read_slot slot;
    bool ready;
    switch (action) {
    case WRITE_SAME:
        write_in_handler(producer);
        break;
    case WRITE_OTHER:
        write_in_handler(other_producer);
        break;
    case READ_SAME:
        read_in_handler(consumer, true);
        break;
    case READ_OTHER:
        write_in_handler(other_producer);
        read_in_handler(other_consumer, false);
        break;
    case BATCH:
        batch_in_handler();
        break;
    case LOCK:
        if (tell("lock_acquire",
                 datablock_lock_acquire(datablock_of_producer(producer), 3, 0, NULL))) {
            tell("lock_release", datablock_lock_release(datablock_of_producer(producer), 3));
        }
        break;
    case COUNT:
        tell("counter_add", datablock_counter_add(datablock_of_consumer(consumer), 1, 1, NULL));
        break;
    case ANY:
        tell("wait_any", datablock_wait_any(&consumer, 1, 0, &ready));
        break;
    case WAIT: /* no other thread would end this wait */
        if (tell("read_begin", datablock_read_begin(other_consumer, 2, &slot))) {
            want(false, "a message that nobody wrote", DATABLOCK_OK);
        }
        break;
    case DIAGNOSE:
        diagnose_in_handler();
        break;
    case OPEN:
        open_in_handler();
        break;
    case DETAIL:
        want(datablock_error_detail() != NULL && datablock_strerror(DATABLOCK_E_BUSY) != NULL,
             "error_detail", DATABLOCK_OK);
        break;
    case CLOSE:
        close_in_handler();
        break;
    default:
        break;
    }
}

static void on_signal(int signal) {
    (void)signal;
    int saved = errno;
    if (thread_id() != main_thread) {
        atomic_fetch_add(&elsewhere, 1);
    }
    double began = host_now();
    call_library();
    double took = host_now() - began;
    if (took > longest) {
        longest = took;
    }
    atomic_fetch_add(&hits, 1);
    errno = saved;
}

/* The statuses that the state's own calls may get: the handler may have closed their handles. */
static bool mine(const char *call, datablock_status status) {
    if (action == CLOSE && (status == DATABLOCK_E_CLOSED || status == DATABLOCK_E_HANDLE ||
                            status == DATABLOCK_E_NO_PRODUCER)) {
        return false;
    }
    return host_status("cases.c", __LINE__, call, status, DATABLOCK_OK, DATABLOCK_E_TIMEOUT) ==
           DATABLOCK_OK;
}

static void write_mine(int64_t timeout) {
    datablock_write_slot slot;
    if (mine("write_begin", datablock_write_begin(producer, timeout, &slot))) {
        if (action != CLOSE) { /* a close ends the mapping of the slot */
            host_fill(slot.data, slot.id);
        }
        if (mine("write_commit", datablock_write_commit(producer, &slot, host_length(slot.id)))) {
            committed++;
        }
    }
}

static void read_mine(int64_t timeout) {
    datablock_read_slot slot;
    if (mine("read_begin", datablock_read_begin(consumer, timeout, &slot))) {
        CHECK(slot.id >= next_read);
        CHECK(action == CLOSE || host_right(slot.data, slot.length, slot.id));
        next_read = slot.id + 1;
        mine("read_end", datablock_read_end(consumer, &slot));
    }
}

static void be_fast(void) {
    write_mine(0);
    read_mine(0);
}
static void wait_to_write(void) { write_mine(10); }
static void wait_to_read(void) { read_mine(10); }
static void wait_for_lock(void) {
    if (mine("lock_acquire",
             datablock_lock_acquire(datablock_of_producer(producer), 1, 10, NULL))) {
        CHECK(false); /* another thread holds it all the time */
    }
}
static void wait_for_zone(void) {
    datablock_zone zone;
    if (mine("zone_begin", datablock_zone_begin(datablock_of_consumer(consumer), 0, 10, &zone))) {
        CHECK(false);
    }
}
static void wait_for_any(void) {
    bool ready;
    if (mine("wait_any", datablock_wait_any(&consumer, 1, 10, &ready))) {
        read_mine(0);
    }
}
static void diagnose_main(void) {
    SlotDiagnostic slots[16];
    IntegrityCheck check;
    datablock_metrics metrics = {.size = sizeof metrics};
    size_t count;
    CHECK(datablock_diagnose_all_slots("main", slots, 16, &count) == 0);
    CHECK_OK(datablock_get_metrics("main", &metrics));
    CHECK(datablock_validate_integrity("main", &check) == 0 && check.header_valid &&
          check.slot_states_valid && check.checksum_valid);
}
static void open_and_close(void) {
    datablock_consumer another = consume("main", DATABLOCK_ORDERED);
    CHECK_OK(datablock_consumer_close(another));
    datablock_producer third = produce("brief");
    CHECK_OK(datablock_producer_close(third));
}

static const struct state {
    const char *name;
    void (*run)(void);
    datablock_delivery delivery;
} states[] = {
    {"fast", be_fast, DATABLOCK_ORDERED},
    {"write-wait", wait_to_write, DATABLOCK_LOSSLESS},
    {"read-wait", wait_to_read, DATABLOCK_ORDERED},
    {"lock-wait", wait_for_lock, DATABLOCK_ORDERED},
    {"zone-wait", wait_for_zone, DATABLOCK_ORDERED},
    {"any-wait", wait_for_any, DATABLOCK_ORDERED},
    {"diagnose", diagnose_main, DATABLOCK_ORDERED},
    {"open-close", open_and_close, DATABLOCK_ORDERED},
};
enum { STATES = sizeof states / sizeof states[0] };

/* Opens the handles that the handler has closed. */
static void open_again(const struct state *state) {
    if (producer_closed) {
        producer = produce("main");
        producer_closed = 0;
    }
    if (consumer_closed) {
        consumer = consume("main", state->delivery);
        consumer_closed = 0;
        next_read = 0;
    }
}

static atomic_int holding; /* 1: held, 2: to be released */

/* Holds lock 1 and the zone of block "main". */
static void *hold_locks(void *unused) {
    datablock_consumer holder = consume("main", DATABLOCK_ORDERED);
    datablock_zone zone;
    CHECK_OK(datablock_lock_acquire(datablock_of_consumer(holder), 1, 0, NULL));
    CHECK_OK(datablock_zone_begin(datablock_of_consumer(holder), 0, 0, &zone));
    atomic_store(&holding, 1);
    while (atomic_load(&holding) != 2) {
        host_pause(1000);
    }
    CHECK_OK(datablock_zone_end(datablock_of_consumer(holder), false));
    CHECK_OK(datablock_lock_release(datablock_of_consumer(holder), 1));
    CHECK_OK(datablock_consumer_close(holder));
    return unused;
}

static pthread_t begin_holding(void) {
    pthread_t holder = start_quiet(hold_locks, NULL);
    while (atomic_load(&holding) != 1) {
        host_pause(1000);
    }
    return holder;
}

static void end_holding(pthread_t holder) {
    atomic_store(&holding, 2);
    CHECK(pthread_join(holder, NULL) == 0);
}

static void remove_blocks(void) {
    static const char *const names[] = {"main", "other", "brief"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_EITHER(datablock_unlink(names[i], 0), DATABLOCK_OK, DATABLOCK_E_NOT_FOUND);
    }
}

/* A message can be exchanged, and the block is valid. */
static void use_afterwards(const struct state *state) {
    IntegrityCheck check;
    datablock_metrics metrics = {.size = sizeof metrics};
    open_again(state);
    while (mine("read", DATABLOCK_OK)) {
        datablock_read_slot slot;
        if (CHECK_EITHER(datablock_read_begin(consumer, 0, &slot), DATABLOCK_OK,
                         DATABLOCK_E_TIMEOUT) != DATABLOCK_OK) {
            break;
        }
        CHECK_OK(datablock_read_end(consumer, &slot));
    }
    CHECK_OK(datablock_get_metrics("main", &metrics));
    CHECK(action == CLOSE || metrics.next_id == committed);
    datablock_read_slot slot;
    CHECK_OK(datablock_write(producer, 0, "x", 1, NULL));
    CHECK_OK(datablock_read_begin(consumer, 0, &slot));
    CHECK(slot.id == metrics.next_id && slot.length == 1);
    CHECK_OK(datablock_read_end(consumer, &slot));
    CHECK(datablock_validate_integrity("main", &check) == 0 && check.header_valid &&
          check.slot_states_valid && check.checksum_valid);
}

static void calls(const struct state *state, enum action what) {
    action = what;
    main_thread = thread_id();
    producer = produce("main");
    consumer = consume("main", state->delivery);
    other_producer = produce("other");
    other_consumer = consume("other", DATABLOCK_ORDERED);
    pthread_t holder = begin_holding();
    for (int i = 0; state->run == wait_to_write && i < RING; i++) {
        write_mine(0);
    }
    begin_signals(true);
    double deadline = host_now() + PATIENCE;
    while (atomic_load(&hits) < enough && atomic_load(&bad) < 0 && host_now() < deadline) {
        open_again(state);
        state->run();
    }
    end_signals();
    signal(SIGUSR1, SIG_IGN);
    for (size_t i = 0; i < 32; i++) {
        if (atomic_load(&answers[i]) != 0) {
            printf("%s %lu, ", i == 31 ? "other" : datablock_strerror((datablock_status)i),
                   atomic_load(&answers[i]));
        }
    }
    printf("%lu handlers, the longest %.3f s\n", atomic_load(&hits), longest);
    if (atomic_load(&bad) >= 0) {
        fprintf(stderr, "in the handler: %s: status %d (%s)\n", atomic_load(&bad_call),
                atomic_load(&bad), datablock_strerror((datablock_status)atomic_load(&bad)));
        _exit(1);
    }
    CHECK(atomic_load(&hits) >= enough && longest < 2);
    if (atomic_load(&elsewhere) != 0) {
        fprintf(stderr, "%lu handlers ran on a thread that is not the host's\n",
                atomic_load(&elsewhere));
        _exit(1);
    }
    if (brief.handle != 0) {
        CHECK_OK(datablock_consumer_close(brief));
    }
    use_afterwards(state);
    end_holding(holder);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(datablock_consumer_close(other_consumer));
    CHECK_OK(datablock_producer_close(other_producer));
    remove_blocks();
}

/* ---- wait ---- */

static void on_signal_waiting(const struct state *state) {
    char except[256] = "";
    for (int number = 1, length = 0; number < 65; number++) {
        if (number != SIGUSR1) {
            length += snprintf(except + length, sizeof except - (size_t)length, "%d ", number);
        }
    }
    action = DETAIL;
    producer = produce("main");
    consumer = consume("main", state->delivery);
    pthread_t holder = begin_holding();
    for (int i = 0; state->run == wait_to_write && i < RING; i++) {
        write_mine(0);
    }
    handlers_thread();
    handlers_begin(except, HANDLERS_ALTERNATE);
    begin_signals(false);
    double deadline = host_now() + PATIENCE;
    while (handlers_count() < enough && host_now() < deadline) {
        state->run();
    }
    end_signals();
    CHECK(handlers_count() >= enough);
    if (!handlers_end(0)) {
        _exit(1);
    }
    end_holding(holder);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    remove_blocks();
}

/* ---- onstack ---- */

static size_t handler_bytes;
static atomic_bool stop_work;

static __attribute__((noinline)) void use_stack(size_t bytes) {
    volatile unsigned char *of = alloca(bytes);
    for (size_t i = 0; i < bytes; i++) {
        of[i] = (unsigned char)i;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (of[i] != (unsigned char)i) {
            want(false, "the handler's own variables", DATABLOCK_OK);
        }
    }
    atomic_fetch_add(&hits, 1);
}

static void large_handler(int signal) {
    (void)signal;
    use_stack(handler_bytes);
}

static void *keep_diagnosing(void *unused) {
    while (!atomic_load(&stop_work)) {
        diagnose_main();
        datablock_participant_info rows[8];
        CHECK(datablock_list_participants("main", rows, 8) > 0);
    }
    return unused;
}

static void *raise_often(void *unused) {
    for (int i = 0; i < 300; i++) {
        diagnose_main();
        CHECK(raise(SIGUSR2) == 0);
    }
    return unused;
}

static void onstack(size_t kib) {
    handler_bytes = kib << 10;
    producer = produce("main");
    struct sigaction large = {.sa_handler = large_handler, .sa_flags = SA_ONSTACK | SA_RESTART};
    CHECK(sigaction(SIGUSR2, &large, NULL) == 0);
    pthread_t working = start_quiet(keep_diagnosing, NULL);
    pthread_t raising = start(raise_often, NULL);
    raise_often(NULL);
    CHECK(pthread_join(raising, NULL) == 0);
    atomic_store(&stop_work, true);
    CHECK(pthread_join(working, NULL) == 0);
    CHECK(atomic_load(&hits) == 600 && atomic_load(&bad) < 0);
    CHECK_OK(datablock_producer_close(producer));
    remove_blocks();
}

/* ---- kept ---- */

struct kept {
    uint64_t mask;
    stack_t alternate;
};

static struct kept now_kept(void) {
    struct kept kept = {0};
    CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &kept.mask, 8) == 0);
    CHECK(sigaltstack(NULL, &kept.alternate) == 0);
    return kept;
}

/* True if the page before `place` is not accessible. */
static bool guarded(const char *place) {
    uintptr_t below = (uintptr_t)place - 1;
    bool free = true;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long low, high;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &low, &high, rights) == 3 && below >= low && below < high) {
            free = rights[0] == '-' && rights[1] == '-';
        }
    }
    fclose(maps);
    return free;
}

static void check_kept(const struct kept *before, const char *call) {
    struct kept after = now_kept();
    if (after.mask != before->mask) {
        fprintf(stderr, "%s: the signal mask was %016lx, and is %016lx\n", call,
                (unsigned long)before->mask, (unsigned long)after.mask);
        _exit(1);
    }
    bool same = after.alternate.ss_flags == before->alternate.ss_flags &&
                after.alternate.ss_sp == before->alternate.ss_sp &&
                after.alternate.ss_size == before->alternate.ss_size;
    bool large = (before->alternate.ss_flags & SS_DISABLE) != 0 &&
                 after.alternate.ss_size >= LEAST_STACK && guarded(after.alternate.ss_sp);
    if (!same && !large) {
        fprintf(stderr,
                "%s: the alternate stack is %zu bytes at %p, %s; before the call it was %zu bytes "
                "at %p, flags %d\n",
                call, after.alternate.ss_size, after.alternate.ss_sp,
                guarded(after.alternate.ss_sp) ? "guarded" : "without a guard",
                before->alternate.ss_size, before->alternate.ss_sp, before->alternate.ss_flags);
        _exit(1);
    }
}

#define KEPT(call)                                                                                 \
    do {                                                                                           \
        struct kept before = now_kept();                                                           \
        (void)(call);                                                                              \
        check_kept(&before, #call);                                                                \
    } while (0)

/* What the calls of call_everything use together. */
struct kept_handles {
    const char *name;
    datablock_producer p;
    datablock_consumer k;
    datablock_observer o;
};

static void call_opens(struct kept_handles *of) {
    datablock_config config;
    KEPT(datablock_version());
    KEPT(datablock_error_detail());
    KEPT(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = RING;
    config.slot_size = HOST_SLOT;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    config.checksum = DATABLOCK_CHECKSUM_MANUAL;
    KEPT(datablock_producer_open(of->name, &config, &of->p));
    KEPT(datablock_consumer_open(of->name, NULL, &of->k));
    KEPT(datablock_observer_open(of->name, NULL, &of->o));
}

static void call_messages(const struct kept_handles *of) {
    const datablock_producer p = of->p;
    const datablock_consumer k = of->k;
    datablock_write_slot out = {0};
    datablock_read_slot in = {0}, batch[2];
    datablock_message message = {"x", 1};
    datablock_observation seen;
    datablock_schema schema = {0};
    uint8_t bytes[HOST_SLOT];
    size_t count;
    bool ready;
    KEPT(datablock_read_begin(k, 5, &in));
    KEPT(datablock_write_begin(p, 0, &out));
    KEPT(datablock_write_abort(p, &out));
    KEPT(datablock_write_begin(p, 0, &out));
    KEPT(datablock_write_checksum(p, &out, 1));
    KEPT(datablock_write_commit(p, &out, 1));
    KEPT(datablock_write(p, 0, "x", 1, NULL));
    KEPT(datablock_write_batch(p, 5, &message, 1, &count));
    KEPT(datablock_write(p, 0, "x", 1, NULL));
    KEPT(datablock_write(p, 150, "x", 1, NULL)); /* waits, and looks for dead consumers */
    KEPT(datablock_wait_any(&k, 1, 5, &ready));
    KEPT(datablock_read_begin(k, 0, &in));
    KEPT(datablock_read_verify(k, &in));
    KEPT(datablock_schema_of_consumer(k, &schema));
    KEPT(datablock_read_end(k, &in));
    KEPT(datablock_read_at(k, 1, &in));
    KEPT(datablock_read_end(k, &in));
    KEPT(datablock_read_batch(k, 0, batch, 2, &count));
    KEPT(datablock_read_batch_end(k, batch, count));
    KEPT(datablock_observe(of->o, DATABLOCK_NEWEST, bytes, sizeof bytes, &seen));
}

static void call_shared(const struct kept_handles *of) {
    const datablock_producer p = of->p;
    const datablock_consumer k = of->k;
    datablock_zone zone;
    uint64_t value;
    KEPT(datablock_lock_acquire(datablock_of_producer(p), 1, 0, NULL));
    KEPT(datablock_lock_acquire(datablock_of_consumer(k), 1, 5, NULL));
    KEPT(datablock_lock_release(datablock_of_producer(p), 1));
    KEPT(datablock_zone_begin(datablock_of_producer(p), 0, 0, &zone));
    KEPT(datablock_zone_begin(datablock_of_consumer(k), 0, 5, &zone));
    KEPT(datablock_zone_end(datablock_of_producer(p), false));
    KEPT(datablock_counter_add(datablock_of_producer(p), 0, 1, &value));
    KEPT(datablock_counter_get(datablock_of_producer(p), 0, &value));
    KEPT(datablock_counter_set(datablock_of_producer(p), 0, 1, &value));
    KEPT(datablock_counter_exchange(datablock_of_producer(p), 0, 1, 2, &value));
}

static void call_schemas(const char *name) {
    datablock_schema schema = {0};
    KEPT(datablock_schema_parse("schema S 1.0.0 { x: u64; }", &schema));
    KEPT(datablock_schema_check(&schema, &schema, DATABLOCK_SCHEMA_EXACT));
    KEPT(datablock_schema_free(&schema));
    KEPT(datablock_schema_parse("schema", &schema));
    KEPT(datablock_schema_of_block(name, &schema));
    KEPT(datablock_schema_lookup("S", "/nowhere", &schema));
}

static void call_recovery(const char *name) {
    datablock_block_info blocks[4];
    datablock_participant_info rows[4];
    datablock_recovery_record records[4];
    datablock_metrics metrics = {.size = sizeof metrics};
    SlotDiagnostic slots[16];
    IntegrityCheck check;
    size_t count;
    KEPT(datablock_list(NULL, blocks, 4, &count));
    KEPT(datablock_diagnose_slot(name, 0, slots));
    KEPT(datablock_diagnose_all_slots(name, slots, 16, &count));
    KEPT(datablock_is_process_alive(1));
    KEPT(datablock_release_zombie_readers(name, 0));
    KEPT(datablock_release_zombie_writer(name, 0));
    KEPT(datablock_cleanup_dead_consumers(name, 0));
    KEPT(datablock_validate_integrity(name, &check));
    KEPT(datablock_repair(name, false, &check));
    KEPT(datablock_auto_recover(name, false, NULL, NULL));
    KEPT(datablock_list_participants(name, rows, 4));
    KEPT(datablock_get_metrics(name, &metrics));
    KEPT(datablock_force_reset_slot(name, 0, false));
    KEPT(datablock_force_reset_all_slots(name, false));
    KEPT(datablock_evict_consumer(name, 1, false));
    KEPT(datablock_recovery_log(name, records, 4));
    KEPT(datablock_unlink("nothing-there", 0));
}

static void call_everything(const char *name) {
    struct kept_handles of = {.name = name};
    const datablock_consumer none = {0};
    datablock_read_slot in = {0};
    call_opens(&of);
    call_messages(&of);
    call_shared(&of);
    call_schemas(name);
    call_recovery(name);
    KEPT(datablock_read_begin(none, 0, &in));
    KEPT(datablock_observer_close(of.o));
    KEPT(datablock_consumer_close(of.k));
    KEPT(datablock_producer_close(of.p));
}

static void *call_with_own_stack(void *name) {
    static char stack[16 << 10];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK(sigaltstack(&own, NULL) == 0);
    call_everything(name);
    return NULL;
}

static void *call_with_signals_blocked(void *name) {
    static const int some[] = {SIGUSR1, SIGSTKFLT, SIGCHLD, SIGURG, SIGPROF, 34, 50};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        sigaddset(&blocked, some[i]);
    }
    CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0);
    call_everything(name);
    return NULL;
}

static void *call_plainly(void *name) {
    call_everything(name);
    return NULL;
}

static void kept(void) {
    CHECK(pthread_join(start(call_with_own_stack, (void *)(uintptr_t)"own"), NULL) == 0);
    CHECK(pthread_join(start(call_with_signals_blocked, (void *)(uintptr_t)"blocked"), NULL) == 0);
    CHECK(pthread_join(start(call_plainly, (void *)(uintptr_t)"plain"), NULL) == 0);
    call_everything(everything);
}

/* ---- threads ---- */

static atomic_int own_threads[8], own_count;

static void *diagnose_as_own(void *unused) {
    atomic_store(&own_threads[atomic_fetch_add(&own_count, 1)], thread_id());
    keep_diagnosing(unused);
    return unused;
}

static bool is_own(pid_t thread) {
    for (int i = 0; i < atomic_load(&own_count); i++) {
        if (atomic_load(&own_threads[i]) == thread) {
            return true;
        }
    }
    return false;
}

/* The signals that a thread of this process blocks, bit n-1 for signal n. */
static uint64_t blocked_by(const char *thread) {
    char path[300], line[256];
    unsigned long mask = 0;
    bool found = false;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    FILE *status = fopen(path, "r");
    if (status == NULL) {
        return UINT64_MAX; /* the thread has ended */
    }
    while (fgets(line, sizeof line, status) != NULL) {
        found = sscanf(line, "SigBlk: %lx", &mask) == 1 || found;
    }
    fclose(status);
    return found ? mask : UINT64_MAX;
}

static void threads(void) {
    static const int may_be_open[] = {SIGSEGV, SIGBUS, SIGSYS,
                                      SIGKILL, SIGSTOP, 32, 33};
    uint64_t wanted = UINT64_MAX;
    for (size_t i = 0; i < sizeof may_be_open / sizeof may_be_open[0]; i++) {
        wanted &= ~(UINT64_C(1) << (may_be_open[i] - 1));
    }
    producer = produce("main");
    atomic_store(&own_threads[atomic_fetch_add(&own_count, 1)], thread_id());
    pthread_t working[4];
    for (int i = 0; i < 4; i++) {
        working[i] = start(diagnose_as_own, NULL);
    }
    int seen = 0, wrong = 0;
    uint64_t open_signals = 0;
    for (double deadline = host_now() + 1; host_now() < deadline;) {
        diagnose_main();
        if (atomic_load(&own_count) < 5) {
            continue;
        }
        DIR *tasks = opendir("/proc/self/task");
        CHECK(tasks != NULL);
        int now = 0;
        for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
            if (entry->d_name[0] == '.' || is_own((pid_t)atol(entry->d_name))) {
                continue;
            }
            now++;
            uint64_t open_here = wanted & ~blocked_by(entry->d_name);
            open_signals |= open_here;
            wrong += open_here != 0;
        }
        closedir(tasks);
        seen = now > seen ? now : seen;
    }
    atomic_store(&stop_work, true);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(working[i], NULL) == 0);
    }
    printf("%d threads of the library\n", seen);
    CHECK(seen > 0);
    if (wrong != 0) {
        fprintf(stderr,
                "threads of the library that do not block signals were met %d times: signals",
                wrong);
        for (int number = 1; number < 65; number++) {
            if ((open_signals >> (number - 1) & 1) != 0) {
                fprintf(stderr, " %d", number);
            }
        }
        fprintf(stderr, "\n");
        _exit(1);
    }
    CHECK_OK(datablock_producer_close(producer));
    remove_blocks();
}

/* ---- ended ---- */

static int mappings(void) {
    int count = 0, c;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while ((c = fgetc(maps)) != EOF) {
        count += c == '\n';
    }
    fclose(maps);
    return count;
}

static void *use_briefly(void *unused) {
    diagnose_main();
    return unused;
}

static void ended(void) {
    producer = produce("main");
    int before = 0;
    for (int round = 0; round < 40; round++) {
        pthread_t some[8];
        for (int i = 0; i < 8; i++) {
            some[i] = start(use_briefly, NULL);
        }
        for (int i = 0; i < 8; i++) {
            CHECK(pthread_join(some[i], NULL) == 0);
        }
        if (round == 4) {
            before = mappings();
        }
    }
    printf("%d mappings after 40 threads, %d after 320\n", before, mappings());
    CHECK(mappings() < before + 100);
    CHECK_OK(datablock_producer_close(producer));
    remove_blocks();
}

/* ---- urgent ---- */

static void *validate_large(void *unused) {
    while (!atomic_load(&stop_work)) {
        IntegrityCheck check;
        SlotDiagnostic slots[64];
        size_t count;
        CHECK(datablock_validate_integrity("large", &check) == 0);
        CHECK(datablock_diagnose_all_slots("large", slots, 64, &count) == 0);
    }
    return unused;
}

static void urgent_handler(int signal) {
    (void)signal;
    atomic_fetch_add(&hits, 1);
}

static void urgent(void) {
    enum { MESSAGES = 32, SIZE = 1 << 20 };
    datablock_config config;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = MESSAGES;
    config.slot_size = SIZE;
    config.checksum = DATABLOCK_CHECKSUM_ENFORCED;
    config.flags |= DATABLOCK_FLAG_UNLINK_ON_CLOSE;
    CHECK_OK(datablock_producer_open("large", &config, &producer));
    for (int i = 0; i < MESSAGES; i++) {
        datablock_write_slot slot;
        CHECK_OK(datablock_write_begin(producer, 0, &slot));
        memset(slot.data, i, SIZE);
        CHECK_OK(datablock_write_commit(producer, &slot, SIZE));
    }
    struct sigaction mine_only = {.sa_handler = urgent_handler,
                                  .sa_flags = SA_RESTART | SA_ONSTACK},
                     now;
    CHECK(sigaction(SIGURG, &mine_only, NULL) == 0);
    pthread_t working[3];
    for (int i = 0; i < 3; i++) {
        working[i] = start(validate_large, NULL);
    }
    /* Go interrupts what runs for more than 10 ms when it collects garbage. */
    for (double deadline = host_now() + 4; host_now() < deadline && atomic_load(&hits) == 0;) {
        host_pause(10000);
    }
    atomic_store(&stop_work, true);
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_join(working[i], NULL) == 0);
    }
    CHECK(atomic_load(&hits) == 0);
    CHECK(raise(SIGURG) == 0);
    CHECK(atomic_load(&hits) == 1);
    CHECK(sigaction(SIGURG, NULL, &now) == 0 && now.sa_handler == urgent_handler);
    CHECK_OK(datablock_producer_close(producer));
}

/* ---- main ---- */

static void list(void) {
    for (size_t i = 0; i < STATES; i++) {
        for (int what = 0; what < ACTIONS; what++) {
            printf("calls %s %s\n", states[i].name, action_names[what]);
        }
        printf("wait %s\n", states[i].name);
    }
    printf("onstack 8\nonstack 24\nonstack 40\nonstack 60\nkept\nthreads\nended\nurgent\n");
}

static const struct state *find_state(const char *name) {
    for (size_t i = 0; i < STATES; i++) {
        if (strcmp(states[i].name, name) == 0) {
            return &states[i];
        }
    }
    fprintf(stderr, "no state \"%s\"\n", name);
    _exit(2);
}

static enum action find_action(const char *name) {
    for (int i = 0; i < ACTIONS; i++) {
        if (strcmp(action_names[i], name) == 0) {
            return (enum action)i;
        }
    }
    fprintf(stderr, "no action \"%s\"\n", name);
    _exit(2);
}

int main(int argc, char **argv) {
    if (getenv("DATABLOCK_SOAK") != NULL) {
        enough *= 10;
    }
    static const struct {
        const char *name;
        void (*run)(void);
    } simple[] = {
        {"list", list}, {"kept", kept}, {"threads", threads}, {"ended", ended}, {"urgent", urgent}};
    for (size_t i = 0; argc == 2 && i < sizeof simple / sizeof simple[0]; i++) {
        if (strcmp(argv[1], simple[i].name) == 0) {
            simple[i].run();
            return 0;
        }
    }
    if (argc == 4 && strcmp(argv[1], "calls") == 0) {
        calls(find_state(argv[2]), find_action(argv[3]));
    } else if (argc == 3 && strcmp(argv[1], "wait") == 0) {
        on_signal_waiting(find_state(argv[2]));
    } else if (argc == 3 && strcmp(argv[1], "onstack") == 0) {
        onstack((size_t)atol(argv[2]));
    } else {
        fprintf(stderr, "usage: cases list | CASE [ARGUMENT]...\n");
        return 2;
    }
    return 0;
}
