/* The memory that RC11 allows, one operation at a time. memory.c explains the representation. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_THREADS = 4, MAX_LOCATIONS = 64, MAX_PLAIN = 128, MAX_MESSAGES = 160, MAX_CHOICES = 64 };

typedef enum { LOAD, STORE, EXCHANGE, ADD, SUBTRACT, AND, OR, XOR, COMPARE_EXCHANGE, FENCE, WAIT, WAKE, RESUME } Kind;

typedef struct Operation {
    Kind kind;
    int size; /* bytes */
    int order;
    int failed_order; /* COMPARE_EXCHANGE */
    char *at;
    uint64_t operand;
    uint64_t expected; /* COMPARE_EXCHANGE, WAIT */
} Operation;

/* One possible outcome of an operation: the message that it reads, and the message after which it
 * writes. */
typedef struct Choice {
    int read; /* index of a message, -1: none */
    int after; /* index of a message, -1: the operation does not write */
} Choice;

/* What is kept between operations: everything that the search saves and restores. Equal bytes have
 * equal futures. */
extern struct Machine machine;
size_t memory_bytes(void);

/* The words, fixed for one search: atomic ones by address, and the 8-byte words that are accessed
 * plainly. */
extern struct Location {
    char *at;
    int size;
} memory_location[MAX_LOCATIONS];
extern int memory_locations;
extern uintptr_t memory_plain[MAX_PLAIN];
extern int memory_plains;
/* The program uses fences. Otherwise what an acquire fence would acquire is not kept. */
extern bool memory_fences;

void memory_begin(int threads);
int memory_choices(int thread, const Operation *op, Choice choice[MAX_CHOICES]);

/* Carries out the operation and returns the value that the program sees. False: RC11 forbids this
 * choice, and the caller must restore the machine. */
bool memory_apply(int thread, const Operation *op, Choice choice, uint64_t *result);

/* True if the plain access is ordered with all conflicting accesses before it. */
bool memory_access(int thread, int plain, bool write);

void memory_finish(int thread);

/* Forgets what no future operation can distinguish. */
void memory_settle(void);

#endif
