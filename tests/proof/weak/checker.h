/* The interfaces between the parts of the checker. */
#ifndef CHECKER_H
#define CHECKER_H

#include "memory.h"

#include <setjmp.h>

enum { STACK = 16384, MAX_REGIONS = 8, MAX_DEPTH = 20000 };

/* ---- scenario.c: what setup() has declared ---- */

typedef struct Region {
    char *base;
    size_t size;
} Region;

extern Region shared[MAX_REGIONS], saved[MAX_REGIONS];
extern int shareds, saveds;

bool scenario_checks(const volatile char *at); /* the address is shared and not ignored */
bool scenario_published(const volatile char *at);
const char *scenario_name(const void *at);

/* ---- threads.c: the scenario's threads, on stacks of their own ---- */

typedef enum { READY, SLEEPING, DONE } Status;

/* What is saved of a thread with each state. */
extern struct Running {
    jmp_buf at;
    char *low; /* the stack is in use from this address on */
    Status status;
    Operation next;
    uint64_t result;
} running[MAX_THREADS];

extern struct Thread {
    const char *name;
    void (*run)(void);
    char *stack;
} thread[MAX_THREADS];
extern int threads, current; /* current: the running thread, or -1 */

/* Why the last running thread returned to the search. FAILED: a property is violated, and `failure`
 * says which. LEARNED: the search begins anew. */
typedef enum { NOTHING, PARKED, FAILED, LEARNED } Why;
extern Why why;
extern char failure[400];

void thread_add(const char *name, void (*run)(void));
void thread_start(int t);
void thread_run(int t); /* runs the thread up to its next operation */
_Noreturn void thread_stop(Why reason);
void thread_call(void (*f)(void)); /* calls f outside of all threads; f may fail */

/* ---- states.c: restoring states, and recognising visited ones ---- */

typedef struct Frame {
    char *copy;
    size_t size, room;
    int thread, choice; /* the next ones to try */
    int done_thread;    /* the thread whose operation led to the next frame */
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
bool states_visit(void); /* false: the state was visited before */

/* ---- search.c: the functions that hooks.c calls ---- */

/* True if a thread of the scenario is running, and the accesses to this address are checked. */
bool search_checks(const volatile void *at);

/* An operation of the running thread. Returns to the search first, and then returns the value that
 * the program sees. */
uint64_t search_operation(Operation op);

/* A plain access of the running thread. */
void search_access(const volatile void *at, size_t size, bool write);

/* ---- hooks.c ---- */

/* The named access has this order from now on. False: there is no such access or order. */
bool hooks_set_order(int access, int order);

#endif
