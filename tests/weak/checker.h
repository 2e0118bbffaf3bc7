/* What the parts of the checker know of each other. */
#ifndef CHECKER_H
#define CHECKER_H

#include "memory.h"

#include <setjmp.h>

enum { STACK = 16384, MAX_REGIONS = 8, MAX_DEPTH = 20000 };

/* ---- scenario.c: what setup() has said ---- */

typedef struct Region {
    char *base;
    size_t size;
} Region;

extern Region shared[MAX_REGIONS], saved[MAX_REGIONS];
extern int shareds, saveds;

bool scenario_checks(const volatile char *at); /* shared, and not ignored */
bool scenario_published(const volatile char *at);
const char *scenario_name(const void *at);

/* ---- threads.c: the scenario's threads, on stacks of their own ---- */

typedef enum { READY, SLEEPING, DONE } Status;

/* What is saved of a thread with each state. */
extern struct Running {
    jmp_buf at;
    char *low; /* what is on the stack from here on is alive */
    Status status;
    Operation next;
    uint64_t result;
} running[MAX_THREADS];

extern struct Thread {
    const char *name;
    void (*run)(void);
    char *stack;
} thread[MAX_THREADS];
extern int threads, current; /* current: the one that runs, -1: none */

/* Why the last thread that ran gave way. FAILED: a property is violated, and `failure` says
 * which; LEARNED: the search begins anew. */
typedef enum { NOTHING, PARKED, FAILED, LEARNED } Why;
extern Why why;
extern char failure[400];

void thread_add(const char *name, void (*run)(void));
void thread_start(int t);
void thread_run(int t); /* up to its next operation */
_Noreturn void thread_stop(Why reason);
void thread_call(void (*f)(void)); /* outside of any thread; it may fail */

/* ---- states.c: going back, and where the search has been ---- */

typedef struct Frame {
    char *copy;
    size_t size, room;
    int thread, choice; /* the next to try */
    int done_thread;    /* what led to the next frame */
    Operation done;
    Choice chosen;
    uint64_t result;
} Frame;

extern Frame frame[MAX_DEPTH];
extern int depth, deepest;
extern size_t states;

void states_begin(void);
void states_push(void);
void states_restore(Frame *f);
bool states_visit(void); /* false: it is known */

/* ---- search.c: what hooks.c asks of it ---- */

/* Whether a thread of the scenario is running, and the accesses to this address are checked. */
bool search_checks(const volatile void *at);

/* An operation of the running thread: gives way to the search, and returns what the program gets
 * to see. */
uint64_t search_operation(Operation op);

/* A plain access of the running thread. */
void search_access(const volatile void *at, size_t size, bool write);

#endif
