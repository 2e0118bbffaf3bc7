/*
 * What happens when a process that uses the library forks.
 *
 * A Go runtime does not survive fork: its threads are gone in the child, and a call would wait for them for ever. So the child learns that
 * it is one, and every function refuses before Go is entered. The child's copies of the lock descriptors would keep the rows of
 * its parent alive after the parent's death; they are closed there (never unlocked, which would take the parent's lock away). Only what still
 * leads to the file that it led to is closed: the host may have closed a descriptor, and have given its number to a file of its own.
 *
 * vfork, posix_spawn and exec need none of this: the descriptors are close-on-exec.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "shim.h"

#ifdef _WIN32

bool dbshim_usable(void) { return true; }
void dbshim_fork_begin(void) {}
void dbshim_fork_end(void) {}
void dbshim_fork_opened(int fd) { (void)fd; }
void dbshim_fork_closing(int fd) { (void)fd; }

#else

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { UNKNOWN, USABLE, FORKED };
static atomic_int process_state = UNKNOWN;

/* The process into which the library was loaded: a child forked before the handlers below are registered is told by this alone. */
static pid_t loaded_into;

__attribute__((constructor)) static void remember_process(void) { loaded_into = getpid(); }

/* A semaphore and not a mutex: Go may call begin and end on different threads, and the child may post what its parent took. */
static sem_t no_fork;

/*
 * The lock descriptors, each plus one, and the files that they lead to; zero is an empty place. Changed between begin and end only, so never while a fork copies it. Chunks are
 * only ever added: the child's handler may read nothing that was freed, and may not take a lock.
 */
enum { CHUNK = 256 };
struct chunk {
    struct {
        atomic_int number;
        dev_t device;
        ino_t inode;
    } descriptors[CHUNK];
    _Atomic(struct chunk *) next;
};
static struct chunk first_chunk;

/* This thread is inside fork(), and has the semaphore: what it does with the library there may open and close. */
static _Thread_local bool forking __attribute__((tls_model("initial-exec")));

/* A handler, or another function of pthread_atfork, that ran between the semaphore and the mark would wait for its own thread. */
static void before_fork(void) {
    sigset_t mask;
    int cancel, ignored;
    dbshim_block_signals(&mask);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* fork() is no cancellation point, and sem_wait is one */
    dbshim_fork_begin();
    forking = true;
    (void)pthread_setcancelstate(cancel, &ignored);
    dbshim_restore_signals(&mask);
}

static void after_fork_in_parent(void) {
    sigset_t mask;
    dbshim_block_signals(&mask);
    forking = false;
    dbshim_fork_end();
    dbshim_restore_signals(&mask);
}

/* Async-signal-safe: the child of a process with several threads may do nothing else. */
static void after_fork_in_child(void) {
    int saved = errno;
    atomic_store(&process_state, FORKED);
    forking = false;
    dbshim_table_wipe();
    for (struct chunk *c = &first_chunk; c != NULL; c = atomic_load(&c->next)) {
        for (int i = 0; i < CHUNK; i++) {
            int descriptor = atomic_exchange(&c->descriptors[i].number, 0) - 1;
            struct stat now;
            if (descriptor >= 0 && fstat(descriptor, &now) == 0 && now.st_dev == c->descriptors[i].device && now.st_ino == c->descriptors[i].inode) {
                close(descriptor);
            }
        }
    }
    sem_post(&no_fork); /* for the forks of this child */
    errno = saved;
}

static void start(void) {
    if (getpid() != loaded_into) {
        atomic_store(&process_state, FORKED);
        return;
    }
    sem_init(&no_fork, 0, 1);
    /* It fails for want of a few bytes only. Then a forked child is not told that it is one, and nothing else is wrong. */
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    dbshim_table_start();
    atomic_store(&process_state, USABLE);
}

bool dbshim_usable(void) {
    if (atomic_load_explicit(&process_state, memory_order_acquire) == UNKNOWN) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        dbshim_once(&once, start);
    }
    /* The table also tells a child that was made behind the handler's back. */
    return atomic_load_explicit(&process_state, memory_order_acquire) == USABLE && dbshim_table_ours();
}

void dbshim_fork_begin(void) {
    while (!forking && sem_wait(&no_fork) != 0 && errno == EINTR) {
    }
}

void dbshim_fork_end(void) {
    if (!forking) {
        sem_post(&no_fork);
    }
}

void dbshim_fork_opened(int fd) {
    struct stat file;
    if (fstat(fd, &file) != 0) {
        return;
    }
    for (struct chunk *c = &first_chunk; c != NULL; c = atomic_load(&c->next)) {
        for (int i = 0; i < CHUNK; i++) {
            int listed = fd + 1; /* of a descriptor that the host has closed */
            (void)atomic_compare_exchange_strong(&c->descriptors[i].number, &listed, 0);
        }
    }
    for (struct chunk *c = &first_chunk;;) {
        for (int i = 0; i < CHUNK; i++) {
            int empty = 0;
            if (atomic_compare_exchange_strong(&c->descriptors[i].number, &empty, fd + 1)) {
                c->descriptors[i].device = file.st_dev; /* no fork sees the half of it */
                c->descriptors[i].inode = file.st_ino;
                return;
            }
        }
        struct chunk *next = atomic_load(&c->next);
        if (next == NULL) {
            /* Without memory this one stays unlisted: a forked child then keeps the row alive until it ends. */
            next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (next == MAP_FAILED) {
                return;
            }
            atomic_store(&c->next, next);
        }
        c = next;
    }
}

void dbshim_fork_closing(int fd) {
    for (struct chunk *c = &first_chunk; c != NULL; c = atomic_load(&c->next)) {
        for (int i = 0; i < CHUNK; i++) {
            int listed = fd + 1;
            if (atomic_compare_exchange_strong(&c->descriptors[i].number, &listed, 0)) {
                return;
            }
        }
    }
}

#endif
