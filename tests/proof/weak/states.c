/* Restores states and recognises them. A state is the bytes of the threads' stacks, of their
 * registers, of the scenario's memory and of the modelled memory. */
#include "checker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Frame frame[MAX_DEPTH];
int depth, deepest;
size_t states;

static uint64_t *visited;
static size_t visited_room;

void states_begin(void)
{
    depth = 0;
    states = 0;
    if (visited)
        memset(visited, 0, visited_room * sizeof *visited);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)(a ^ UINT64_C(0x9E3779B97F4A7C15)) * (b ^ UINT64_C(0xD6E8FEB86659FD93));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_bytes(uint64_t h, const void *from, size_t size)
{
    const char *p = from;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = mix(h ^ word, h + UINT64_C(0xA24BAED4963EE407));
    }
    uint64_t word = 0;
    memcpy(&word, p, size);
    return mix(h ^ word, size + 1);
}

/* Atomic words are in the machine. The rest of the shared memory differs only where it is accessed
 * plainly. */
static uint64_t state_hash(void)
{
    uint64_t h = hash_bytes(0, &machine, memory_bytes());
    h = hash_bytes(h, running, (size_t)threads * sizeof running[0]);
    for (int t = 0; t < threads; t++)
        h = hash_bytes(h, running[t].low, (size_t)(thread[t].stack + STACK - running[t].low));
    for (int i = 0; i < saveds; i++)
        h = hash_bytes(h, saved[i].base, saved[i].size);
    for (int p = 0; p < memory_plains; p++)
        h = hash_bytes(h, (const void *)(memory_plain[p] * 8), 8);
    return h ? h : 1;
}

/* Copies the whole state out, or back in. */
static size_t transfer(char *copy, bool out)
{
    size_t at = 0;
#define PIECE(from, bytes) \
    do { \
        size_t n_ = (bytes); \
        if (copy && out) \
            memcpy(copy + at, (from), n_); \
        else if (copy) \
            memcpy((from), copy + at, n_); \
        at += n_; \
    } while (0)
    PIECE(&machine, 16);
    PIECE(&machine, memory_bytes());
    PIECE(running, (size_t)threads * sizeof running[0]);
    for (int t = 0; t < threads; t++)
        PIECE(running[t].low, (size_t)(thread[t].stack + STACK - running[t].low));
    for (int i = 0; i < saveds; i++)
        PIECE(saved[i].base, saved[i].size);
    for (int i = 0; i < shareds; i++)
        PIECE(shared[i].base, shared[i].size);
#undef PIECE
    return at;
}

void states_push(void)
{
    if (depth == MAX_DEPTH) {
        fprintf(stderr, "checker: too deep\n");
        exit(2);
    }
    Frame *f = &frame[depth++];
    if (depth > deepest)
        deepest = depth;
    f->size = transfer(NULL, true);
    if (f->size > f->room) {
        free(f->copy);
        f->copy = malloc(f->room = f->size);
    }
    transfer(f->copy, true);
    f->thread = f->choice = 0;
}

bool states_visit(void)
{
    uint64_t hash = state_hash();
    if (2 * states >= visited_room) {
        uint64_t *old = visited;
        size_t old_room = visited_room;
        visited_room = old_room ? 2 * old_room : 1 << 16;
        visited = calloc(visited_room, sizeof *visited);
        for (size_t i = 0; i < old_room; i++)
            if (old[i]) {
                size_t at = old[i] & (visited_room - 1);
                while (visited[at])
                    at = (at + 1) & (visited_room - 1);
                visited[at] = old[i];
            }
        free(old);
    }
    size_t at = hash & (visited_room - 1);
    for (; visited[at]; at = (at + 1) & (visited_room - 1))
        if (visited[at] == hash)
            return false;
    visited[at] = hash;
    states++;
    return true;
}

void states_restore(Frame *f) { transfer(f->copy, false); }
