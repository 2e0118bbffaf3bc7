/*
 * signaller PID SECONDS RATE EXCEPT TID...
 *
 * Sends every signal that a process may handle, except those of EXCEPT ("11 7"), RATE a second in
 * all. The signals go alternately to the process PID and to one of its threads TID. The signals of
 * faults go to threads only. Prints the number of sent signals. Exits with 1 if the process ends
 * too early.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool synchronous(int signal) {
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
           signal == SIGTRAP || signal == SIGSYS;
}

static size_t choose(const char *except, int *chosen) {
    bool out[65] = {[SIGKILL] = true, [SIGSTOP] = true, [32] = true, [33] = true};
    for (char *end; *except != 0; except = end) {
        long signal = strtol(except, &end, 10);
        if (end == except) {
            break;
        }
        if (signal > 0 && signal < 65) {
            out[signal] = true;
        }
    }
    size_t count = 0;
    for (int signal = 1; signal < 65; signal++) {
        if (!out[signal]) {
            chosen[count++] = signal;
        }
    }
    return count;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: signaller PID SECONDS RATE EXCEPT TID...\n");
        return 2;
    }
    pid_t process = (pid_t)atol(argv[1]);
    double seconds = atof(argv[2]), period = 1 / atof(argv[3]);
    int signals[65];
    size_t count = choose(argv[4], signals), threads = (size_t)argc - 5;
    unsigned long sent = 0;
    double begin = now(), next = begin;
    for (unsigned seed = 1; now() < begin + seconds;) {
        int signal = signals[sent % count];
        unsigned draw = (unsigned)rand_r(&seed);
        bool to_thread = synchronous(signal) || draw % 2 == 0;
        pid_t thread = (pid_t)atol(argv[5 + draw / 2 % threads]);
        if ((to_thread ? syscall(SYS_tgkill, process, thread, signal)
                       : (long)kill(process, signal)) != 0 &&
            errno != EAGAIN) {
            fprintf(stderr, "signaller: signal %d to %d: %s\n", signal,
                    (int)(to_thread ? thread : process), strerror(errno));
            return 1;
        }
        sent++;
        next += period;
        double wait = next - now();
        if (wait > 0) {
            time_t whole = (time_t)wait;
            nanosleep(&(struct timespec){whole, (long)((wait - (double)whole) * 1e9)}, NULL);
        } else if (wait < -0.01) {
            next = now(); /* more than 10 ms late: continue without a burst of missed signals */
        }
    }
    printf("%lu signals, %.0f a second\n", sent, (double)sent / (now() - begin));
    return 0;
}
