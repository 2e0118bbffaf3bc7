/* What the participants of a block share: locks, the flexible zone, counters. */
#include "pair.h"
#include "other.h"

#include <pthread.h>

static datablock_producer open_producer(const char *name) {
    datablock_config config = ring_config(4);
    datablock_producer producer;
    CHECK_OK(datablock_producer_open(name, &config, &producer));
    return producer;
}

static datablock_consumer open_consumer(const char *name) {
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_open(name, &options, &consumer));
    return consumer;
}

/* A producer and a consumer of one block. */
struct both {
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_participant p, c;
};

static struct both open_both(const char *name) {
    struct both both = {.producer = open_producer(name)};
    both.consumer = open_consumer(name);
    both.p = datablock_of_producer(both.producer);
    both.c = datablock_of_consumer(both.consumer);
    return both;
}

static void close_both(struct both *both) {
    CHECK_OK(datablock_consumer_close(both->consumer));
    CHECK_OK(datablock_producer_close(both->producer));
}

/* ---- Another process ------------------------------------------------------------------------- */

/* Gives another thread time, more with a larger `i`, so that it spins or sleeps. */
static void give_way(int i) {
    struct timespec time = {.tv_nsec = i * 200000};
    CHECK(nanosleep(&time, NULL) == 0);
}

static int hold_lock(const char *name) {
    datablock_consumer consumer = open_consumer(name);
    CHECK_OK(datablock_lock_acquire(datablock_of_consumer(consumer), 3, 0, NULL));
    rest();
    CHECK_OK(datablock_lock_release(datablock_of_consumer(consumer), 3));
    CHECK_OK(datablock_consumer_close(consumer));
    return 0;
}

static int scribble(const char *name) {
    datablock_consumer consumer = open_consumer(name);
    datablock_zone zone;
    CHECK_OK(datablock_zone_begin(datablock_of_consumer(consumer), 0, 0, &zone));
    memcpy(zone.data, "half", 4);
    rest();
    return 1;
}

/* Adds under lock 5 without atomic operations, and to counter 2 with them. */
enum { TURNS = 20000 };

static int add(const char *name) {
    datablock_consumer consumer = open_consumer(name);
    datablock_participant me = datablock_of_consumer(consumer);
    datablock_zone zone;
    rest();
    for (int i = 0; i < TURNS; i++) {
        CHECK_OK(datablock_counter_add(me, 2, 1, NULL));
        if (i % 10 == 0) {
            CHECK_OK(datablock_zone_begin(me, 0, -1, &zone));
            ++*(uint64_t *)zone.data;
            CHECK_OK(datablock_zone_end(me, false));
        }
    }
    CHECK_OK(datablock_consumer_close(consumer));
    return 0;
}

/* ---- Locks ----------------------------------------------------------------------------------- */

static void a_lock_is_recursive_for_its_owner(void) {
    struct both b = open_both("recursive");
    bool abandoned = true;
    CHECK_OK(datablock_lock_acquire(b.p, 1, 0, &abandoned));
    CHECK(!abandoned);
    CHECK_OK(datablock_lock_acquire(b.p, 1, 0, NULL));
    CHECK_OK(datablock_lock_release(b.p, 1));
    CHECK_DETAIL(datablock_lock_acquire(b.c, 1, 0, NULL), DATABLOCK_E_TIMEOUT, "row 0");
    CHECK_OK(datablock_lock_release(b.p, 1));
    CHECK_OK(datablock_lock_acquire(b.c, 1, 0, &abandoned));
    CHECK(!abandoned);
    CHECK_OK(datablock_lock_release(b.c, 1));
    close_both(&b);
}

static void a_lock_is_let_go_of_by_its_owner_alone(void) {
    struct both b = open_both("owner");
    CHECK_OK(datablock_lock_acquire(b.p, 7, 0, NULL));
    CHECK_DETAIL(datablock_lock_release(b.c, 7), DATABLOCK_E_INVALID, "does not have lock 7");
    CHECK_STATUS(datablock_lock_acquire(b.c, 7, 0, NULL), DATABLOCK_E_TIMEOUT);
    CHECK_OK(datablock_lock_release(b.p, 7));
    CHECK_STATUS(datablock_lock_release(b.p, 7), DATABLOCK_E_INVALID);
    close_both(&b);
}

static void waiting_for_a_lock_ends_in_time(void) {
    struct both b = open_both("timeout");
    CHECK_OK(datablock_lock_acquire(b.p, 0, 0, NULL));
    double begun = check_now();
    CHECK_STATUS(datablock_lock_acquire(b.c, 0, 60, NULL), DATABLOCK_E_TIMEOUT);
    CHECK(check_now() - begun >= 0.06);
    CHECK_STATUS(datablock_zone_begin(b.c, 0, 0, &(datablock_zone){0}), DATABLOCK_E_TIMEOUT);
    CHECK_OK(datablock_lock_release(b.p, 0));
    close_both(&b);
}

static void *acquire_for_ever(void *participant) {
    return (void *)(intptr_t)datablock_lock_acquire(*(datablock_participant *)participant, 2, -1, NULL);
}

static void letting_go_wakes_a_waiter(void) {
    struct both b = open_both("wake");
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *result;
        CHECK_OK(datablock_lock_acquire(b.p, 2, 0, NULL));
        CHECK(pthread_create(&thread, NULL, acquire_for_ever, &b.c) == 0);
        give_way(i);
        CHECK_OK(datablock_lock_release(b.p, 2));
        CHECK(pthread_join(thread, &result) == 0 && (intptr_t)result == DATABLOCK_OK);
        CHECK_OK(datablock_lock_release(b.c, 2));
    }
    close_both(&b);
}

static void closing_ends_the_wait_for_a_lock(void) {
    datablock_producer producer = open_producer("close");
    CHECK_OK(datablock_lock_acquire(datablock_of_producer(producer), 2, 0, NULL));
    bool waited = false;
    /* On a busy machine a thread may take many rounds to begin its call before the close. */
    for (int i = 0; i < 10 || (!waited && i < 1000); i++) {
        datablock_consumer consumer = open_consumer("close");
        datablock_participant participant = datablock_of_consumer(consumer);
        pthread_t thread;
        void *result;
        CHECK(pthread_create(&thread, NULL, acquire_for_ever, &participant) == 0);
        give_way(i);
        CHECK_OK(datablock_consumer_close(consumer));
        CHECK(pthread_join(thread, &result) == 0);
        /* HANDLE: the call had not begun */
        CHECK((intptr_t)result == DATABLOCK_E_CLOSED || (intptr_t)result == DATABLOCK_E_HANDLE);
        waited = waited || (intptr_t)result == DATABLOCK_E_CLOSED;
    }
    CHECK(waited);
    CHECK_OK(datablock_producer_close(producer));
}

static void the_lock_of_a_killed_owner_is_taken_back(void) {
    struct both b = open_both("killed");
    for (int i = 0; i < 5; i++) {
        struct other other = start("--hold-lock", "killed");
        CHECK_STATUS(datablock_lock_acquire(b.p, 3, 5, NULL), DATABLOCK_E_TIMEOUT);
        killed(&other);
        bool abandoned = false;
        CHECK_OK(datablock_lock_acquire(b.p, 3, i % 2 == 0 ? 0 : -1, &abandoned));
        CHECK(abandoned);
        CHECK_OK(datablock_lock_release(b.p, 3));
        CHECK_OK(datablock_lock_acquire(b.c, 3, 0, &abandoned));
        CHECK(!abandoned);
        CHECK_OK(datablock_lock_release(b.c, 3));
    }
    close_both(&b);
}

static void what_a_cleaner_frees_is_told_to_the_next_owner(void) {
    struct both b = open_both("cleaned");
    struct other other = start("--hold-lock", "cleaned");
    char path[300];
    bool abandoned = false;
    killed(&other);
    snprintf(path, sizeof path, "%s/cleaned", test_directory());
    CHECK(datablock_cleanup_dead_consumers(path, 0) == 1);
    CHECK_OK(datablock_lock_acquire(b.c, 3, 0, &abandoned));
    CHECK(abandoned);
    CHECK_OK(datablock_lock_release(b.c, 3));
    close_both(&b);
}

#ifndef _WIN32 /* Windows cannot stop a process */
static void a_stopped_owner_keeps_its_lock(void) {
    struct both b = open_both("stopped");
    struct other other = start("--hold-lock", "stopped");
    int status;
    CHECK(kill(other.pid, SIGSTOP) == 0);
    CHECK(waitpid(other.pid, &status, WUNTRACED) == other.pid && WIFSTOPPED(status));
    CHECK_STATUS(datablock_lock_acquire(b.p, 3, 150, NULL), DATABLOCK_E_TIMEOUT);
    CHECK(kill(other.pid, SIGCONT) == 0);
    CHECK(ended(&other) == 0);
    CHECK_OK(datablock_lock_acquire(b.p, 3, 1000, NULL));
    close_both(&b);
}
#endif

static void *take_back(void *participant) {
    bool abandoned = false;
    datablock_status status = datablock_lock_acquire(*(datablock_participant *)participant, 3, 0, &abandoned);
    return (void *)(intptr_t)(status == DATABLOCK_OK ? (abandoned ? 2 : 1) : status == DATABLOCK_E_TIMEOUT ? 0 : -1);
}

static void of_two_that_take_a_lock_back_one_wins(void) {
    struct both b = open_both("two");
    for (int i = 0; i < 10; i++) {
        struct other other = start("--hold-lock", "two");
        killed(&other);
        pthread_t threads[2];
        void *results[2];
        CHECK(pthread_create(&threads[0], NULL, take_back, &b.p) == 0);
        CHECK(pthread_create(&threads[1], NULL, take_back, &b.c) == 0);
        for (int k = 0; k < 2; k++) {
            CHECK(pthread_join(threads[k], &results[k]) == 0);
        }
        CHECK((intptr_t)results[0] + (intptr_t)results[1] == 2); /* one has it and was told, the other timed out */
        CHECK_OK(datablock_lock_release(results[0] != NULL ? b.p : b.c, 3));
    }
    close_both(&b);
}

static void closing_lets_go_of_locks(void) {
    struct both b = open_both("closed");
    bool abandoned = false;
    CHECK_OK(datablock_lock_acquire(b.c, 4, 0, NULL));
    CHECK_OK(datablock_consumer_close(b.consumer));
    CHECK_OK(datablock_lock_acquire(b.p, 4, 0, &abandoned));
    CHECK(abandoned);
    CHECK_OK(datablock_producer_close(b.producer));
    datablock_producer next = open_producer("closed");
    datablock_consumer consumer = open_consumer("closed");
    abandoned = false;
    CHECK_OK(datablock_lock_acquire(datablock_of_consumer(consumer), 4, 0, &abandoned));
    CHECK(abandoned);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(next));
}

/* ---- The flexible zone ----------------------------------------------------------------------- */

static void the_zone_is_shared_by_both_sides(void) {
    struct both b = open_both("zone");
    datablock_zone zone;
    CHECK_OK(datablock_zone_begin(b.p, 0, 0, &zone));
    CHECK(zone.size == 4032 && (uintptr_t)zone.data % 64 == 0 && zone.writes == 0 && zone.intact && !zone.abandoned);
    for (size_t i = 0; i < zone.size; i++) {
        CHECK(((char *)zone.data)[i] == 0);
    }
    strcpy(zone.data, "written by the producer");
    CHECK_STATUS(datablock_zone_begin(b.p, 0, 0, &zone), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_zone_end(b.p, false));
    CHECK_OK(datablock_zone_begin(b.c, 0, 0, &zone));
    CHECK(zone.writes == 1 && strcmp(zone.data, "written by the producer") == 0);
    CHECK_OK(datablock_zone_end(b.c, false));
    CHECK_STATUS(datablock_zone_end(b.c, false), DATABLOCK_E_INVALID);
    close_both(&b);
}

/* Whether one is in the zone is not a question of lock 0, at no depth of it. */
static void leaving_a_zone_that_one_is_not_in(void) {
    struct both b = open_both("not-in");
    datablock_zone zone;
    bool abandoned;
    CHECK_OK(datablock_zone_begin(b.p, 0, 0, &zone));
    strcpy(zone.data, "good");
    CHECK_OK(datablock_zone_end(b.p, false));
    strcpy(zone.data, "rot!"); /* without the lock: the mapping is there as long as the producer */
    CHECK_STATUS(datablock_zone_begin(b.p, 0, 0, &zone), DATABLOCK_E_CHECKSUM);
    for (int depth = 1; depth <= 3; depth++) {
        CHECK_OK(datablock_lock_acquire(b.p, 0, 0, &abandoned));
        CHECK_DETAIL(datablock_zone_end(b.p, false), DATABLOCK_E_INVALID, "not in the flexible zone");
        CHECK_STATUS(datablock_zone_end(b.p, true), DATABLOCK_E_INVALID);
    }
    for (int depth = 3; depth >= 1; depth--) {
        CHECK_OK(datablock_lock_release(b.p, 0));
    }
    CHECK_STATUS(datablock_lock_release(b.p, 0), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_zone_begin(b.c, 0, 0, &zone), DATABLOCK_E_CHECKSUM);
    CHECK_OK(datablock_zone_begin(b.c, DATABLOCK_ZONE_ANYWAY, 0, &zone));
    CHECK(!zone.intact && zone.writes == 1);
    CHECK_OK(datablock_lock_acquire(b.c, 0, 0, &abandoned));
    CHECK_OK(datablock_zone_end(b.c, false));
    CHECK_STATUS(datablock_zone_end(b.c, false), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_zone_begin(b.p, 0, 0, &zone), DATABLOCK_E_TIMEOUT);
    CHECK_OK(datablock_lock_release(b.c, 0));
    CHECK_STATUS(datablock_lock_release(b.c, 0), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_zone_begin(b.p, 0, 0, &zone));
    CHECK(zone.intact && zone.writes == 2);
    CHECK_OK(datablock_lock_release(b.p, 0)); /* the lock goes, and the zone with it */
    CHECK_STATUS(datablock_zone_end(b.p, false), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_lock_acquire(b.p, 0, 0, &abandoned));
    CHECK_STATUS(datablock_zone_end(b.p, false), DATABLOCK_E_INVALID);
    CHECK_OK(datablock_lock_release(b.p, 0));
    close_both(&b);
}

static void a_zone_that_changed_unseen_is_noticed(void) {
    struct both b = open_both("changed");
    datablock_zone zone;
    CHECK_OK(datablock_zone_begin(b.p, 0, 0, &zone));
    strcpy(zone.data, "right");
    CHECK_OK(datablock_zone_end(b.p, false));
    *(char *)zone.data = 'l'; /* without the lock: the mapping exists as long as the producer */
    CHECK_DETAIL(datablock_zone_begin(b.c, 0, 0, &zone), DATABLOCK_E_CHECKSUM, "flexible zone");
    CHECK_OK(datablock_zone_begin(b.c, DATABLOCK_ZONE_ANYWAY, 0, &zone));
    CHECK(!zone.intact && strcmp(zone.data, "light") == 0);
    CHECK_OK(datablock_zone_end(b.c, false));
    CHECK_OK(datablock_zone_begin(b.p, 0, 0, &zone));
    CHECK(zone.intact);
    CHECK_OK(datablock_zone_end(b.p, false));
    close_both(&b);
}

static void the_zone_of_a_killed_writer_is_noticed(void) {
    struct both b = open_both("half");
    struct other other = start("--scribble", "half");
    datablock_zone zone;
    killed(&other);
    CHECK_STATUS(datablock_zone_begin(b.c, 0, 0, &zone), DATABLOCK_E_CHECKSUM);
    CHECK_OK(datablock_zone_begin(b.c, DATABLOCK_ZONE_ANYWAY, 0, &zone));
    CHECK(zone.abandoned && !zone.intact && memcmp(zone.data, "half", 4) == 0);
    CHECK_OK(datablock_zone_end(b.c, true));
    CHECK_OK(datablock_zone_begin(b.c, DATABLOCK_ZONE_ANYWAY, 0, &zone));
    CHECK(zone.abandoned); /* the last writer has set this */
    CHECK_OK(datablock_zone_end(b.c, false));
    close_both(&b);
}

static void the_zone_is_as_large_as_was_asked_for(void) {
    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_zone zone;
    config.zone_size = 1000000;
    CHECK_OK(datablock_producer_open("large", &config, &producer));
    CHECK_OK(datablock_zone_begin(datablock_of_producer(producer), 0, 0, &zone));
    CHECK(zone.size == 1000000);
    memset(zone.data, 1, zone.size);
    CHECK_OK(datablock_zone_end(datablock_of_producer(producer), false));
    CHECK_OK(datablock_producer_close(producer));
    config.zone_size = 1000;
    CHECK_DETAIL(datablock_producer_open("large", &config, &producer), DATABLOCK_E_GEOMETRY,
                 "zone_size 1000000, asked for 1000");
    config.zone_size = UINT64_MAX;
    CHECK_DETAIL(datablock_producer_open("larger", &config, &producer), DATABLOCK_E_INVALID, "zone_size");
}

/* ---- Counters -------------------------------------------------------------------------------- */

static void counters_are_atomic_words(void) {
    struct both b = open_both("counters");
    uint64_t value = 1;
    for (uint32_t i = 0; i < 8; i++) {
        CHECK_OK(datablock_counter_get(b.p, i, &value));
        CHECK(value == 0);
    }
    CHECK_OK(datablock_counter_add(b.p, 2, 5, &value));
    CHECK(value == 0);
    CHECK_OK(datablock_counter_add(b.c, 2, UINT64_MAX, &value));
    CHECK(value == 5);
    CHECK_OK(datablock_counter_exchange(b.c, 2, 5, 9, &value));
    CHECK(value == 4);
    CHECK_OK(datablock_counter_exchange(b.c, 2, 4, 9, &value));
    CHECK(value == 4);
    CHECK_OK(datablock_counter_set(b.p, 2, 7, &value));
    CHECK(value == 9);
    CHECK_OK(datablock_counter_get(b.c, 2, &value));
    CHECK(value == 7);
    CHECK_STATUS(datablock_counter_get(b.c, 8, &value), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_counter_get(b.c, 0, NULL), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_lock_acquire(b.c, 8, 0, NULL), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_lock_acquire(b.c, 0, -2, NULL), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_zone_begin(b.c, 0, 0, NULL), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_zone_begin(b.c, 2, 0, &(datablock_zone){0}), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_counter_add((datablock_participant){0}, 0, 1, NULL), DATABLOCK_E_HANDLE);
    close_both(&b);
    CHECK_STATUS(datablock_counter_add(b.p, 0, 1, NULL), DATABLOCK_E_HANDLE);
}

static void what_several_processes_add_is_all_there(void) {
    struct both b = open_both("sum");
    enum { OTHERS = 3 };
    struct other others[OTHERS];
    datablock_zone zone;
    uint64_t sum;
    for (int i = 0; i < OTHERS; i++) {
        others[i] = start("--add", "sum");
    }
    for (int i = 0; i < OTHERS; i++) {
        CHECK(write(others[i].told, "", 1) == 1);
    }
    for (int i = 0; i < OTHERS; i++) {
        CHECK(ended(&others[i]) == 0);
    }
    CHECK_OK(datablock_counter_get(b.p, 2, &sum));
    CHECK(sum == OTHERS * TURNS);
    CHECK_OK(datablock_zone_begin(b.p, 0, 0, &zone));
    CHECK(*(uint64_t *)zone.data == OTHERS * TURNS / 10 && zone.writes == OTHERS * TURNS / 10);
    CHECK_OK(datablock_zone_end(b.p, false));
    close_both(&b);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*play)(const char *name);
    } roles[] = {{"--hold-lock", hold_lock}, {"--scribble", scribble}, {"--add", add}};
    for (size_t i = 0; argc == 4 && i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(argv[1], roles[i].name) == 0) {
            alarm(60);
            use_directory(argv[2]);
            return roles[i].play(argv[3]);
        }
    }
    static const struct scenario scenarios[] = {
        {"a-lock-is-recursive-for-its-owner", a_lock_is_recursive_for_its_owner},
        {"a-lock-is-let-go-of-by-its-owner-alone", a_lock_is_let_go_of_by_its_owner_alone},
        {"waiting-for-a-lock-ends-in-time", waiting_for_a_lock_ends_in_time},
        {"letting-go-wakes-a-waiter", letting_go_wakes_a_waiter},
        {"closing-ends-the-wait-for-a-lock", closing_ends_the_wait_for_a_lock},
        {"the-lock-of-a-killed-owner-is-taken-back", the_lock_of_a_killed_owner_is_taken_back},
        {"what-a-cleaner-frees-is-told-to-the-next-owner", what_a_cleaner_frees_is_told_to_the_next_owner},
#ifndef _WIN32
        {"a-stopped-owner-keeps-its-lock", a_stopped_owner_keeps_its_lock},
#endif
        {"of-two-that-take-a-lock-back-one-wins", of_two_that_take_a_lock_back_one_wins},
        {"closing-lets-go-of-locks", closing_lets_go_of_locks},
        {"the-zone-is-shared-by-both-sides", the_zone_is_shared_by_both_sides},
        {"leaving-a-zone-that-one-is-not-in", leaving_a_zone_that_one_is_not_in},
        {"a-zone-that-changed-unseen-is-noticed", a_zone_that_changed_unseen_is_noticed},
        {"the-zone-of-a-killed-writer-is-noticed", the_zone_of_a_killed_writer_is_noticed},
        {"the-zone-is-as-large-as-was-asked-for", the_zone_is_as_large_as_was_asked_for},
        {"counters-are-atomic-words", counters_are_atomic_words},
        {"what-several-processes-add-is-all-there", what_several_processes_add_is_all_there},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
