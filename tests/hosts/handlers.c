#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "handlers.h"

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { SIGNALS = 65, LARGEST = 64 << 10, SMALLEST = 1 << 10, REQUIRED = 64 << 10 };

/* A thread of the host: its stack, and its alternate stack before the first call of the library. */
struct thread {
    char *low, *high;
    char *own_low;
    uint64_t random;
};

/* With the initial-exec model, because a handler must not allocate. In other models the first
 * access allocates. */
static _Thread_local struct thread *self __attribute__((tls_model("initial-exec")));

static struct sigaction before[SIGNALS];
static bool installed[SIGNALS];
static void (*_Atomic also[SIGNALS])(int);
static int how_installed;
static pthread_t installer;
static atomic_bool stop;

/* What the handlers have recorded. */
static atomic_ulong met[SIGNALS], met_by_strangers[SIGNALS];
static atomic_ulong handled, strangers_met, misplaced, small_stacks, spoilt, on_alternate,
    largest_seen;
static void *_Atomic misplaced_at;

static bool synchronous(int signal) {
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
           signal == SIGTRAP || signal == SIGSYS;
}

/* The library cannot block these, because the kernel ends a process that faults with them blocked.
 * Their handlers need SA_ONSTACK. */
static bool needs_alternate_stack(int signal) {
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGSYS;
}

static uint64_t next_random(struct thread *thread) {
    uint64_t x = thread->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return thread->random = x;
}

/* Fills `bytes` of the stack and checks that the contents stay unchanged. */
static __attribute__((noinline)) void use_stack(size_t bytes, uint64_t seed) {
    size_t words = bytes / sizeof(uint64_t);
    volatile uint64_t *word = alloca(words * sizeof(uint64_t));
    for (size_t i = 0; i < words; i++) {
        word[i] = seed + i;
    }
    for (size_t i = 0; i < words; i++) {
        if (word[i] != seed + i) {
            atomic_fetch_add(&spoilt, 1);
            return;
        }
    }
}

static bool inside(const char *place, const char *low, const char *high) {
    return place >= low && place < high;
}

/* How much this handler may use of its stack. */
static size_t room(struct thread *thread, const stack_t *alternate, const char *here) {
    size_t wanted = SMALLEST + next_random(thread) % (LARGEST - SMALLEST + 1);
    if (inside(here, alternate->ss_sp, (char *)alternate->ss_sp + alternate->ss_size)) {
        atomic_fetch_add(&on_alternate, 1);
        if (alternate->ss_sp != thread->own_low &&
            alternate->ss_size < REQUIRED) { /* the host's own alternate stack may have any size */
            atomic_fetch_add(&small_stacks, 1);
            return wanted;
        }
        size_t left = (size_t)(here - (const char *)alternate->ss_sp) / 4 * 3;
        return wanted < left ? wanted : left;
    }
    if (!inside(here, thread->low, thread->high)) {
        if ((how_installed & HANDLERS_ANY_STACK) != 0) {
            return wanted;
        }
        misplaced_at = (void *)(uintptr_t)here;
        atomic_fetch_add(&misplaced, 1);
        return wanted;
    }
    size_t left =
        (size_t)(here - thread->low) / 4; /* the rest is for handlers that interrupt this one */
    return wanted < left ? wanted : left;
}

static void handle(int signal, siginfo_t *info, void *context) {
    int saved = errno;
    if (synchronous(signal) &&
        info->si_code > 0) { /* a real fault belongs to the previous handler */
        if ((before[signal].sa_flags & SA_SIGINFO) != 0) {
            before[signal].sa_sigaction(signal, info, context);
        } else {
            sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        }
        errno = saved;
        return;
    }
    const char *here = __builtin_frame_address(0);
    struct thread *thread = self;
    if (thread == NULL) {
        atomic_fetch_add(&strangers_met, 1);
        atomic_fetch_add(&met_by_strangers[signal], 1);
        use_stack(SMALLEST, (uintptr_t)here);
    } else {
        size_t bytes = room(thread, &((const ucontext_t *)context)->uc_stack, here);
        if (bytes > atomic_load(&largest_seen)) {
            atomic_store(&largest_seen, bytes);
        }
        use_stack(bytes, next_random(thread));
    }
    void (*more)(int) = atomic_load(&also[signal]);
    if (more != NULL) {
        more(signal);
    }
    atomic_fetch_add(&met[signal], 1);
    atomic_fetch_add(&handled, 1);
    errno = saved;
}

static void install(unsigned turn) {
    for (int signal = 1; signal < SIGNALS; signal++) {
        if (!installed[signal]) {
            continue;
        }
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
        unsigned way = turn + (unsigned)signal;
        bool onstack = (how_installed & HANDLERS_ONSTACK) != 0 || needs_alternate_stack(signal) ||
                       ((how_installed & HANDLERS_PLAIN) == 0 && way % 2 == 0);
        if (onstack) {
            action.sa_flags |= SA_ONSTACK;
        }
        if (way / 2 % 2 == 0) {
            action.sa_flags |= SA_RESTART;
        }
        /* Handlers on an alternate stack share it, so they must not interrupt each other. */
        if (onstack || way / 4 % 2 == 0 || (how_installed & HANDLERS_NO_NESTING) != 0) {
            sigfillset(&action.sa_mask);
        }
        struct sigaction old;
        sigaction(signal, &action, &old);
        if (turn == 0) {
            before[signal] = old;
        }
    }
}

static void *keep_installing(void *unused) {
    for (unsigned turn = 1; !atomic_load(&stop); turn++) {
        install(turn);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return unused;
}

void handlers_begin(const char *except, int how) {
    how_installed = how;
    for (int signal = 1; signal < SIGNALS; signal++) {
        installed[signal] = signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33;
    }
    for (char *end; except != NULL && *except != 0; except = end) {
        long signal = strtol(except, &end, 10);
        if (end == except) {
            break;
        }
        if (signal > 0 && signal < SIGNALS) {
            installed[signal] = false;
        }
    }
    install(0);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    atomic_store(&stop, false);
    if (pthread_create(&installer, NULL, keep_installing, NULL) != 0) {
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int handlers_thread(void) {
    if (self == NULL) {
        struct thread *thread = calloc(1, sizeof *thread);
        pthread_attr_t attributes;
        void *low;
        size_t size;
        if (thread == NULL || pthread_getattr_np(pthread_self(), &attributes) != 0 ||
            pthread_attr_getstack(&attributes, &low, &size) != 0) {
            abort();
        }
        pthread_attr_destroy(&attributes);
        stack_t own;
        if (sigaltstack(NULL, &own) == 0 && (own.ss_flags & SS_DISABLE) == 0) {
            thread->own_low = own.ss_sp;
        }
        thread->low = low;
        thread->high = thread->low + size;
        thread->random = (uintptr_t)thread | 1;
        self = thread;
    }
    return (int)syscall(SYS_gettid);
}

void handlers_own_stack(void) {
    enum { SIZE = 256 << 10 };
    stack_t own = {.ss_sp = malloc(SIZE), .ss_size = SIZE};
    if (own.ss_sp == NULL || sigaltstack(&own, NULL) != 0) {
        abort();
    }
}

void handlers_also(int signal, void (*call)(int)) { atomic_store(&also[signal], call); }

unsigned long handlers_count(void) { return atomic_load(&handled); }
unsigned long handlers_misplaced(void) {
    return atomic_load(&misplaced) + atomic_load(&small_stacks);
}

int handlers_end(int strangers) {
    int right = 1;
    atomic_store(&stop, true);
    pthread_join(installer, NULL);
    fprintf(stderr,
            "handlers: %lu, the largest with %lu bytes; %lu on an alternate stack, %lu on threads "
            "that are not the host's\n",
            atomic_load(&handled), atomic_load(&largest_seen), atomic_load(&on_alternate),
            atomic_load(&strangers_met));
    for (int signal = 1; signal < SIGNALS; signal++) {
        if (installed[signal] && atomic_load(&met[signal]) == 0) {
            fprintf(stderr, "handlers: signal %d never came\n", signal);
            right = 0;
        }
    }
    const struct {
        const char *what;
        unsigned long times;
    } wrong[] = {
        {"ran on a stack that is neither its thread's nor its alternate stack",
         atomic_load(&misplaced)},
        {"ran on an alternate stack of less than 64 KiB that the host did not install",
         atomic_load(&small_stacks)},
        {"found its own variables changed", atomic_load(&spoilt)},
        {"ran on a thread that is not the host's", strangers ? 0 : atomic_load(&strangers_met)},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (wrong[i].times != 0) {
            fprintf(stderr, "handlers: a handler %s, %lu times\n", wrong[i].what, wrong[i].times);
            right = 0;
        }
    }
    for (int signal = 1; signal < SIGNALS && !strangers; signal++) {
        if (atomic_load(&met_by_strangers[signal]) != 0) {
            fprintf(stderr, "handlers: of that, signal %d %lu times\n", signal,
                    atomic_load(&met_by_strangers[signal]));
        }
    }
    if (atomic_load(&misplaced) != 0) {
        fprintf(stderr, "handlers: the last such stack was at %p\n", misplaced_at);
    }
    return right;
}
