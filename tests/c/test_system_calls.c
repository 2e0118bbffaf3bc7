/*
 * With free capacity, or with an available message, a call makes no system call and allocates
 * nothing. Neither does a call that does not wait, of a ring that is full. A child exchanges
 * messages with itself in bursts. Its parent traces the child, and counts. The housekeeping of each
 * tick makes system calls, and the Go runtime may interrupt a thread. So a few of the bursts may
 * have some system calls.
 */
#include "pair.h"

#include <malloc.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

/* A refused claim takes longer than a message, so that fewer of them fit between two ticks. */
enum { BURSTS = 40, MESSAGES = 1000, REFUSALS = 100, QUIET = 30 };

/* A burst lies between two of these calls. No other code calls getppid. */
static void mark(void) { (void)syscall(SYS_getppid); }

/* One message there, and a read that finds nothing. */
static bool one_exchange(datablock_producer producer, datablock_consumer consumer) {
    datablock_write_slot to;
    datablock_read_slot from;
    return datablock_write_begin(producer, 0, &to) == DATABLOCK_OK &&
           datablock_write_commit(producer, &to, 8) == DATABLOCK_OK &&
           datablock_read_begin(consumer, 0, &from) == DATABLOCK_OK &&
           datablock_read_end(consumer, &from) == DATABLOCK_OK &&
           datablock_read_begin(consumer, 0, &from) == DATABLOCK_E_TIMEOUT;
}

static bool one_refusal(datablock_producer producer) {
    datablock_write_slot to;
    return datablock_write_begin(producer, 0, &to) == DATABLOCK_E_TIMEOUT;
}

static void fill(datablock_producer producer, uint32_t messages) {
    datablock_write_slot to;
    for (uint32_t i = 0; i < messages; i++) {
        CHECK_OK(datablock_write_begin(producer, 0, &to));
        CHECK_OK(datablock_write_commit(producer, &to, 8));
    }
}

/* A role: the traced child. If `how` is "full", the ring is full, and the reader reads nothing. */
static int exchange(const char *directory, const char *delivery, const char *how) {
    const bool full = strcmp(how, "full") == 0;
    datablock_config config;
    datablock_consumer_options options;
    datablock_producer producer;
    datablock_consumer consumer;
    int busy = 0;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = 64;
    config.slot_size = 100;
    config.directory = directory; /* of the parent */
    CHECK_OK(datablock_producer_open("quiet", &config, &producer));
    CHECK_OK(datablock_consumer_options_init(&options));
    options.delivery = (uint32_t)atoi(delivery);
    options.directory = directory;
    CHECK_OK(datablock_consumer_open("quiet", &options, &consumer));
    if (full) {
        fill(producer, config.slot_count);
    }
    /* The first ten bursts do not count: the library adapts to frequent use. */
    for (int burst = -10; burst < BURSTS; burst++) {
        size_t before = mallinfo2().uordblks;
        if (burst >= 0) {
            mark();
        }
        for (int i = 0; i < (full ? REFUSALS : MESSAGES); i++) {
            if (!(full ? one_refusal(producer) : one_exchange(producer, consumer))) {
                check_failed(__FILE__, __LINE__, "a message was not exchanged");
            }
        }
        if (burst >= 0) {
            mark();
            busy += mallinfo2().uordblks != before;
        }
    }
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    return busy <= BURSTS - QUIET ? 0 : 2;
}

/* Continues the child until it stops for a system call, and returns the number of the call. A call
 * stops the child before and after. False: the child has ended with *status. */
static bool next_call(pid_t pid, int *status, long *call) {
    for (int signal = 0;; signal = WSTOPSIG(*status)) {
        CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal) == 0);
        CHECK(waitpid(pid, status, 0) == pid);
        if (!WIFSTOPPED(*status)) {
            return false;
        }
        if (WSTOPSIG(*status) == (SIGTRAP | 0x80)) {
            struct user_regs_struct registers;
            CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &registers) == 0);
            /* after the call the number may differ: a return from a signal handler has none */
            *call = (long)registers.orig_rax;
            return true;
        }
    }
}

static void traced(datablock_delivery delivery, const char *how) {
    char number[8];
    int status, quiet = 0, bursts = 0, calls = -1;
    snprintf(number, sizeof number, "%d", (int)delivery);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* the leak detection would trace too */
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execl("/proc/self/exe", "test_system_calls", "--exchange", test_directory(), number, how, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)); /* stopped at the exec */
    CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(intptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0);
    for (long call, after; next_call(pid, &status, &call) && next_call(pid, &status, &after);) {
        if (call == SYS_getppid && calls >= 0) {
            bursts++;
            quiet += calls == 0;
            calls = -1;
        } else if (call == SYS_getppid) {
            calls = 0;
        } else if (calls >= 0) {
            calls++;
        }
    }
    if (!WIFEXITED(status)) {
        check_failed(__FILE__, __LINE__, "the child ended with status %#x, in burst %d", (unsigned)status, bursts);
    }
    CHECK(WEXITSTATUS(status) != 2); /* 2: the child has allocated memory */
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(bursts == BURSTS);
    if (quiet < QUIET) {
        check_failed(__FILE__, __LINE__, "%d of %d bursts made no system call", quiet, bursts);
    }
    CHECK_OK(unlink_here("quiet"));
}

static void lossless(void) { traced(DATABLOCK_LOSSLESS, "free"); }
static void ordered(void) { traced(DATABLOCK_ORDERED, "free"); }
static void latest(void) { traced(DATABLOCK_LATEST, "free"); }
static void full(void) { traced(DATABLOCK_LOSSLESS, "full"); }

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "--exchange") == 0) {
        return exchange(argv[2], argv[3], argv[4]);
    }
    static const struct scenario scenarios[] = {
        {"no-system-call-lossless", lossless},
        {"no-system-call-ordered", ordered},
        {"no-system-call-latest", latest},
        {"no-system-call-full", full},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}

#else

int main(void) {
    printf("SKIPPED: system calls are counted on x86-64 alone\n");
    return 0;
}

#endif
