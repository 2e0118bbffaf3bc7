/*
 * What happens when a process that uses the library forks.
 *
 * A Go runtime does not survive fork: its threads are gone in the child, and a call would wait for
 * them for ever. Therefore the child notes that it is a forked one, and every function refuses
 * before it enters Go.
 *
 * The child's copies of the lock descriptors would keep the parent's liveness leases after the
 * parent's death. The child closes the copies. It never unlocks them, because that would release
 * the parent's leases. The child closes only a descriptor that still leads to the same file: the
 * host may have closed a descriptor, and may have opened a file of its own under the number.
 *
 * vfork, posix_spawn and exec need none of this, because the descriptors are close-on-exec.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MADV_WIPEONFORK */

#include "shim.h"

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

/*
 * The process into which the library was loaded. This alone identifies a child that was forked
 * before the handlers below were registered.
 */
static pid_t loaded_into;

__attribute__((constructor)) static void remember_process(void) { loaded_into = getpid(); }

/*
 * A semaphore and not a mutex: Go may call begin and end on different threads, and the child may
 * post the semaphore that its parent took.
 */
static sem_t no_fork;

/*
 * The lock descriptors, each plus one, and the files that they lead to. Zero marks an unused
 * element. The list changes between begin and end only, so that no fork copies it half changed.
 * Chunks are only added: the child's handler must not read freed memory, and must not take a lock.
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

/*
 * This thread is inside fork() and has the semaphore, so that its calls of the library may open and
 * close.
 */
static _Thread_local bool forking __attribute__((tls_model("initial-exec")));

/*
 * Blocks signals: a signal handler, or another function of pthread_atfork, would wait for its own
 * thread if it ran between the semaphore and the mark.
 */
static void before_fork(void) {
    sigset_t mask;
    int cancel, ignored;
    dbshim_block_signals(&mask);
    /* sem_wait is a cancellation point, fork() is not */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
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

/* Async-signal-safe: the child of a process with several threads may call nothing else. */
static void after_fork_in_child(void) {
    int saved = errno;
    atomic_store(&process_state, FORKED);
    forking = false;
    dbshim_table_wipe();
    for (struct chunk *c = &first_chunk; c != NULL; c = atomic_load(&c->next)) {
        for (int i = 0; i < CHUNK; i++) {
            int descriptor = atomic_exchange(&c->descriptors[i].number, 0) - 1;
            struct stat now;
            if (descriptor >= 0 && fstat(descriptor, &now) == 0 &&
                now.st_dev == c->descriptors[i].device && now.st_ino == c->descriptors[i].inode) {
                close(descriptor);
            }
        }
    }
    sem_post(&no_fork); /* for the forks of this child */
    errno = saved;
}

/* ---- The mark of the process ----------------------------------------------------------------- */

#define OURS UINT64_C(0xDA7AB10C)

static bool wiped_on_fork;

/* Entry 0 of the table marks the table as this process's own. */
static void mark_table(void) {
#ifdef MADV_WIPEONFORK
    /*
     * False on an old kernel or under a seccomp filter: then dbshim_table_wipe alone wipes the
     * table.
     */
    wiped_on_fork = madvise(dbshim_handle_table, DBSHIM_ENTRIES * sizeof *dbshim_handle_table,
                            MADV_WIPEONFORK) == 0;
#endif
    dbshim_handle_table[0].reserved[0] = OURS;
    dbshim_handle_table[0].reserved[1] = (uint64_t)getpid();
}

static bool table_is_ours(void) {
    return dbshim_handle_table[0].reserved[0] == OURS &&
           (wiped_on_fork || dbshim_handle_table[0].reserved[1] == (uint64_t)getpid());
}

static void start(void) {
    if (getpid() != loaded_into) {
        atomic_store(&process_state, FORKED);
        return;
    }
    sem_init(&no_fork, 0, 1);
    /*
     * This fails only without memory for a few bytes. Then a forked child does not learn that it is
     * one. All else works.
     */
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    dbshim_table_start();
    mark_table();
    atomic_store(&process_state, USABLE);
}

bool dbshim_usable(void) {
    if (atomic_load_explicit(&process_state, memory_order_acquire) == UNKNOWN) {
        static dbshim_once_flag once = DBSHIM_ONCE_INIT;
        dbshim_once(&once, start);
    }
    /* The table also identifies a child that was made without the handler, as by clone(2). */
    return atomic_load_explicit(&process_state, memory_order_acquire) == USABLE && table_is_ours();
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
                c->descriptors[i].device = file.st_dev; /* no fork can come between these stores */
                c->descriptors[i].inode = file.st_ino;
                return;
            }
        }
        struct chunk *next = atomic_load(&c->next);
        if (next == NULL) {
            /*
             * Without memory the descriptor stays unlisted: a forked child keeps the lease until
             * the child ends.
             */
            next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0);
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
