/* The memory that RC11 allows, one operation at a time. memory.c says how it is represented. */
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

/* One of the ways in which an operation may go: which message it reads and after which one it
 * writes. */
typedef struct Choice {
    int read; /* index of a message, -1: none */
    int after; /* index of a message, -1: does not write */
} Choice;

/* What is kept between operations: everything that the search saves and restores. Same bytes,
 * same future. */
extern struct Machine machine;
size_t memory_bytes(void);

/* The words, fixed for one search: atomic ones by address, and the 8-byte words that are
 * accessed plainly. */
extern struct Location {
    char *at;
    int size;
} memory_location[MAX_LOCATIONS];
extern int memory_locations;
extern uintptr_t memory_plain[MAX_PLAIN];
extern int memory_plains;
extern bool memory_fences; /* used anywhere in the program; if not, what an acquire fence would acquire is not kept */

void memory_begin(int threads);
int memory_choices(int thread, const Operation *op, Choice choice[MAX_CHOICES]);

/* Does it, and says what the program gets to see. False: RC11 forbids this choice, and the
 * machine must be restored. */
bool memory_apply(int thread, const Operation *op, Choice choice, uint64_t *result);

/* Whether the plain access is ordered with all conflicting ones before it. */
bool memory_access(int thread, int plain, bool write);

void memory_finish(int thread);

/* Forgets what no future operation can tell apart. */
void memory_settle(void);

#endif
