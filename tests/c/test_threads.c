/*
 * Threads of the host that end or are cancelled, and what the library keeps for each of them. The
 * last scenario refuses membarrier to a process that has used it, like a seccomp filter that a
 * program installs late.
 */
#include "pair.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { ROUNDS = 4 }; /* PTHREAD_DESTRUCTOR_ITERATIONS of glibc */

static pthread_key_t at_end;
static bool has_key;
static void ends(void *value);

static datablock_producer open_producer(uint32_t slot_count) {
    datablock_producer producer;
    datablock_config config = ring_config(slot_count);
    CHECK_OK(datablock_producer_open("threads", &config, &producer));
    /* After the library and Go have made their keys: destructors run in the order of their keys, so
     * this one is the last of a round. */
    if (!has_key) {
        has_key = pthread_key_create(&at_end, ends) == 0;
        CHECK(has_key);
    }
    return producer;
}

static datablock_consumer open_consumer(datablock_delivery delivery) {
    datablock_consumer consumer;
    datablock_consumer_options options = options_here(delivery);
    CHECK_OK(datablock_consumer_open("threads", &options, &consumer));
    return consumer;
}

/* What a destructor does with the library, in each destructor round at the end of its thread. */
typedef struct ending {
    int round, rounds;
    void (*call)(struct ending *);
    datablock_consumer consumer;
} ending;

static atomic_int destructors, refused;

static void ends(void *value) {
    ending *e = value;
    e->round++;
    destructors++;
    e->call(e);
    if (e->round < e->rounds) {
        pthread_setspecific(at_end, e);
    } else {
        free(e);
    }
}

static ending *begin_ending(int rounds, void (*call)(ending *)) {
    ending *e = calloc(1, sizeof *e);
    CHECK(e != NULL);
    e->rounds = rounds;
    e->call = call;
    pthread_setspecific(at_end, e);
    return e;
}

static long resident_kib(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE) / 1024;
}

static void run_threads(int count, void *(*body)(void *)) {
    enum { AT_ONCE = 20 };
    for (int done = 0; done < count; done += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
    }
}

/* ---- Destructors ----------------------------------------------------------------------------- */

static char diagnosed[300];

static void diagnose(ending *e) {
    SlotDiagnostic slots[32];
    size_t count;
    int result = datablock_diagnose_all_slots(diagnosed, slots, 32, &count);
    if (result != 0) {
        CHECK(e->round == ROUNDS && strstr(datablock_error_detail(), "last round") != NULL);
        refused++;
    }
}

static void *diagnosing_thread(void *unused) {
    (void)unused;
    diagnose(begin_ending(ROUNDS, diagnose));
    return NULL;
}

/* A thread that calls in its last destructor leaves nothing behind, neither in C nor in Go. */
static void destructors_in_every_round(void) {
    enum { FIRST = 200, THEN = 1000, KIB_A_THREAD = 8 };
    datablock_producer producer = open_producer(8);
    snprintf(diagnosed, sizeof diagnosed, "%s/threads", test_directory());
    destructors = refused = 0;
    run_threads(FIRST, diagnosing_thread);
    long before = resident_kib();
    run_threads(THEN, diagnosing_thread);
    long grown = resident_kib() - before;
    CHECK(destructors == ROUNDS * (FIRST + THEN));
    CHECK(refused <= FIRST + THEN);
    if (!SANITIZED && grown > (long)KIB_A_THREAD * THEN) {
        check_failed(__FILE__, __LINE__, "%d threads have left %ld KiB", THEN, grown);
    }
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("threads"));
}

static void close_last(ending *e) {
    if (e->round == e->rounds) {
        CHECK_OK(datablock_consumer_close(e->consumer));
        CHECK(datablock_error_detail()[0] == '\0');
        CHECK_DETAIL(datablock_consumer_close(e->consumer), DATABLOCK_E_HANDLE, "was closed");
    }
}

static void *closing_thread(void *unused) {
    (void)unused;
    ending *e = begin_ending(ROUNDS, close_last);
    e->consumer = open_consumer(DATABLOCK_ORDERED);
    return NULL;
}

/* A handle that the last destructor closes is really closed: its row is free. */
static void the_last_destructor_closes(void) {
    datablock_producer producer = open_producer(8); /* 8 rows are fewer than the threads */
    for (int i = 0; i < 40; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, closing_thread, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("threads"));
}

static atomic_int wrong_texts;

static void read_text(ending *e) {
    (void)e;
    (void)datablock_unlink("-", 0);
    for (int i = 0; i < 200; i++) {
        wrong_texts += strstr(datablock_error_detail(), "begins with") == NULL &&
            strstr(datablock_error_detail(), "last round") == NULL;
    }
}

static void *texted_thread(void *unused) {
    (void)unused;
    begin_ending(ROUNDS, read_text);
    for (int i = 0; i < 20; i++) {
        CHECK_DETAIL(datablock_producer_close((datablock_producer){0}), DATABLOCK_E_HANDLE, "handle is zero");
    }
    return NULL;
}

/* No thread gets the struct of a thread whose destructors still run: each reads the text of its
 * own last error. */
static void a_text_is_the_threads_own(void) {
    datablock_producer producer = open_producer(8);
    wrong_texts = 0;
    run_threads(2000, texted_thread);
    CHECK(wrong_texts == 0);
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("threads"));
}

/* ---- Cancellation ---------------------------------------------------------------------------- */

static atomic_int ready, cancelled;
static datablock_consumer to_close;
static datablock_producer to_wait;

static void *closes_while_cancelled(void *unused) {
    (void)unused;
    ready = 1;
    while (!cancelled) {
    }
    CHECK_OK(datablock_consumer_close(to_close));
    return (void *)1;
}

static void *opens_while_cancelled(void *unused) {
    (void)unused;
    ready = 1;
    while (!cancelled) {
    }
    CHECK_OK(datablock_consumer_close(open_consumer(DATABLOCK_LOSSLESS)));
    return (void *)1;
}

static void *waits_while_cancelled(void *unused) {
    datablock_write_slot slot;
    (void)unused;
    ready = 1;
    CHECK_STATUS(datablock_write_begin(to_wait, 300, &slot), DATABLOCK_E_TIMEOUT);
    return (void *)1;
}

static void cancel(void *(*body)(void *)) {
    pthread_t thread;
    void *result;
    ready = cancelled = 0;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    WAIT_UNTIL(ready, 10);
    CHECK(pthread_cancel(thread) == 0);
    cancelled = 1;
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == (void *)1);
}

/* No function of the library is a cancellation point: each completes, and the thread ends at a
 * later cancellation point. */
static void no_call_is_a_cancellation_point(void) {
    to_wait = open_producer(8);
    to_close = open_consumer(DATABLOCK_LOSSLESS);
    datablock_write_slot slot;
    while (datablock_write_begin(to_wait, 0, &slot) == DATABLOCK_OK) {
        CHECK_OK(datablock_write_commit(to_wait, &slot, 1));
    }
    cancel(waits_while_cancelled);
    cancel(closes_while_cancelled);
    CHECK_OK(datablock_write_begin(to_wait, 2000, &slot)); /* there is no backpressure any more */
    CHECK_OK(datablock_write_abort(to_wait, &slot));
    cancel(opens_while_cancelled);
    CHECK_OK(datablock_producer_close(to_wait));
    CHECK_OK(unlink_here("threads"));
}

/* ---- Membarrier ------------------------------------------------------------------------------ */

static datablock_producer taken;

static void *takes(void *unused) {
    datablock_write_slot slot;
    (void)unused;
    CHECK_DETAIL(library.write_begin(taken, 0, &slot), DATABLOCK_E_SYSTEM, "membarrier");
    CHECK_DETAIL(datablock_producer_close(taken), DATABLOCK_E_SYSTEM, "membarrier");
    return NULL;
}

static void refuse_membarrier(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
}

static int use_without_membarrier(const char *directory) {
    datablock_config config;
    datablock_write_slot slot;
    pthread_t thread;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_size = 64;
    config.directory = directory;
    CHECK_OK(datablock_producer_open("threads", &config, &taken));
    refuse_membarrier();
    CHECK(pthread_create(&thread, NULL, takes, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_OK(datablock_write_begin(taken, 0, &slot)); /* calls in its own thread still work */
    CHECK_OK(datablock_write_commit(taken, &slot, 1));
    CHECK_OK(datablock_producer_close(taken));
    return 0;
}

static void membarrier_refused_later(void) {
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_threads", "--no-membarrier", test_directory(), (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_OK(unlink_here("threads"));
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--no-membarrier") == 0) {
        return use_without_membarrier(argv[2]);
    }
    static const struct scenario scenarios[] = {
        {"destructors-in-every-round", destructors_in_every_round},
        {"the-last-destructor-closes", the_last_destructor_closes},
        {"a-text-is-the-threads-own", a_text_is_the_threads_own},
        {"no-call-is-a-cancellation-point", no_call_is_a_cancellation_point},
        {"membarrier-refused-later", membarrier_refused_later},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}
