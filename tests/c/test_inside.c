/*
 * Calls inside of calls: signal handlers and functions of pthread_atfork interrupt the library at
 * one exact place. The library's system calls pass through this program's syscall(), which raises a
 * signal there.
 */
#include "pair.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static _Atomic long raise_at; /* the number of a system call, or 0 */
static datablock_producer in_handler;
static void (*act)(void);
static datablock_status got;
static char said[1024];

long syscall(long number, ...) {
    static long (*next)(long, ...);
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    if (next == NULL) {
        void *found = dlsym(RTLD_NEXT, "syscall");
        memcpy(&next, &found, sizeof next);
    }
    if (raise_at != 0 && number == raise_at) {
        raise_at = 0;
        raise(SIGUSR1);
    }
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void handle(int signal) {
    (void)signal;
    act();
    snprintf(said, sizeof said, "%s", datablock_error_detail());
}

static void handle_with(void (*action)(void)) {
    struct sigaction handler = {.sa_handler = handle};
    act = action;
    got = DATABLOCK_OK;
    CHECK(sigaction(SIGUSR1, &handler, NULL) == 0);
}

static void check_refused(void) {
    CHECK(raise_at == 0); /* the handler has run */
    CHECK(got == DATABLOCK_E_BUSY);
    CHECK(strstr(said, "inside a call of the library already") != NULL);
}

static void close_it(void) { got = datablock_producer_close(in_handler); }
static void write_it(void) { got = datablock_write(in_handler, 0, "x", 1, NULL); }

/* ---- A handle that changes its thread -------------------------------------------------------- */

static void *write_elsewhere(void *unused) {
    (void)unused;
    CHECK_OK(datablock_write(in_handler, 0, "a", 1, NULL));
    return NULL;
}

static void while_it_is_taken_over(void (*action)(void)) {
    datablock_config config = ring_config(4);
    pthread_t thread;
    CHECK_OK(datablock_producer_open("taken", &config, &in_handler));
    CHECK(pthread_create(&thread, NULL, write_elsewhere, NULL) == 0 && pthread_join(thread, NULL) == 0);
    handle_with(action);
    raise_at = SYS_membarrier;
    CHECK_OK(datablock_write(in_handler, 0, "b", 1, NULL));
    check_refused();
    CHECK_OK(datablock_producer_close(in_handler));
    CHECK_OK(unlink_here("taken"));
}

static void a_handler_closes_what_is_taken_over(void) { while_it_is_taken_over(close_it); }
static void a_handler_writes_to_what_is_taken_over(void) { while_it_is_taken_over(write_it); }

/* ---- A call that sleeps for short times ------------------------------------------------------ */

/* The open of a consumer retries for a while if there are too few spare slots. */
static void a_handler_in_an_open_that_waits(void) {
    datablock_config config = ring_config(4), narrow = ring_config(4);
    datablock_consumer_options greedy = options_here(DATABLOCK_LOSSLESS);
    datablock_consumer consumer, second;
    sigset_t before, after;
    int cancel;
    narrow.spare_slots = 2;
    CHECK_OK(datablock_producer_open("taken", &config, &in_handler));
    CHECK_OK(datablock_write(in_handler, 0, "a", 1, NULL)); /* so that the next write is inline */
    datablock_producer producer;
    CHECK_OK(datablock_producer_open("narrow", &narrow, &producer));
    CHECK_OK(datablock_consumer_open("narrow", &greedy, &consumer));
    handle_with(write_it);
    sigemptyset(&before);
    sigemptyset(&after); /* the system fills only a part of the set */
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &before) == 0);
    raise_at = SYS_nanosleep;
    CHECK_DETAIL(datablock_consumer_open("narrow", &greedy, &second), DATABLOCK_E_NO_SPARE, "would pin");
    check_refused();
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0);
    for (int signal = 1; signal < 65; signal++) {
        /* signals 32 and 33 belong to glibc */
        if (signal != 32 && signal != 33 && sigismember(&before, signal) != sigismember(&after, signal)) {
            check_failed(__FILE__, __LINE__, "signal %d is %s now", signal,
                         sigismember(&after, signal) == 1 ? "blocked" : "open");
        }
    }
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel) == 0 && cancel == PTHREAD_CANCEL_ENABLE);
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(datablock_producer_close(in_handler));
    CHECK_OK(unlink_here("taken"));
    CHECK_OK(unlink_here("narrow"));
}

/* ---- fork() ---------------------------------------------------------------------------------- */

static bool close_before_fork;

static void prepare(void) {
    if (close_before_fork) {
        close_before_fork = false;
        CHECK_OK(datablock_producer_close(in_handler));
    }
}

static void fork_once(void) {
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        _exit(datablock_unlink("any", 0) == DATABLOCK_E_FORKED ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* The host's function was registered before the library's function, so it runs when the library has
 * prepared for the fork. */
static void a_close_before_fork(void) {
    datablock_config config = ring_config(4);
    CHECK_OK(datablock_producer_open("taken", &config, &in_handler));
    close_before_fork = true;
    fork_once();
    CHECK_OK(datablock_producer_open("taken", &config, &in_handler));
    fork_once();
    CHECK_OK(datablock_producer_close(in_handler));
    CHECK_OK(unlink_here("taken"));
}

static pid_t forked;

static void *forks_while_cancelled(void *unused) {
    (void)unused;
    CHECK(pthread_cancel(pthread_self()) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    forked = pid;
    return (void *)1;
}

static void fork_is_no_cancellation_point(void) {
    datablock_config config = ring_config(4);
    pthread_t thread;
    void *result;
    CHECK_OK(datablock_producer_open("taken", &config, &in_handler));
    CHECK(pthread_create(&thread, NULL, forks_while_cancelled, NULL) == 0 && pthread_join(thread, &result) == 0);
    CHECK(result == (void *)1);
    CHECK(waitpid(forked, NULL, 0) == forked);
    fork_once();
    CHECK_OK(datablock_producer_close(in_handler));
    CHECK_OK(unlink_here("taken"));
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"a-close-before-fork", a_close_before_fork},
        {"fork-is-no-cancellation-point", fork_is_no_cancellation_point},
        {"a-handler-closes-what-is-taken-over", a_handler_closes_what_is_taken_over},
        {"a-handler-writes-to-what-is-taken-over", a_handler_writes_to_what_is_taken_over},
        {"a-handler-in-an-open-that-waits", a_handler_in_an_open_that_waits},
    };
    CHECK(pthread_atfork(prepare, NULL, NULL) == 0);
    return run_scenarios(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}
