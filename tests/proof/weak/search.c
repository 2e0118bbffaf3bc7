/*
 * Tries every interleaving of the threads, and every choice that memory.c leaves to each operation.
 * The search is depth first and follows each state once.
 *
 * To go back, the search restores the bytes of stacks, registers and memory (states.c). So a thread
 * must not change anything else: no allocation, no files, no clocks.
 *
 * The search finds the words as it runs. A word needs no other order when only one thread uses it,
 * or when no thread writes it; its operations are done at once. The search begins anew when it
 * learns something that changes the numbering, or that makes such a word a shared one.
 */
#include "checker.h"
#include "weak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is known of each atomic word, by location. */
static struct {
    unsigned users; /* bit per thread */
    bool written;
} learned[MAX_LOCATIONS];

static unsigned long transitions, executions, searches;
static size_t limit = 20000000;

bool search_checks(const volatile void *at) { return current >= 0 && (!at || scenario_checks(at)); }

/* ---- Learning ---- */

static void learn_location(const Operation *op)
{
    if (memory_locations == MAX_LOCATIONS) {
        fprintf(stderr, "checker: too many atomic words\n");
        exit(2);
    }
    int l = memory_locations++;
    for (; l > 0 && memory_location[l - 1].at > op->at; l--) {
        memory_location[l] = memory_location[l - 1];
        learned[l] = learned[l - 1];
    }
    memory_location[l] = (struct Location){op->at, op->size};
    learned[l].users = 0;
    learned[l].written = false;
    why = LEARNED;
}

static int plain_of(uintptr_t word)
{
    for (int p = 0; p < memory_plains; p++)
        if (memory_plain[p] == word)
            return p;
    return -1;
}

/* True if the thread's next operation can be done before all others without losing an execution. */
static bool at_once(int t)
{
    const Operation *op = &running[t].next;
    if (op->kind == RESUME)
        return true;
    if (op->kind == WAKE)
        return false;
    if (op->kind == FENCE) {
        if (!memory_fences) {
            memory_fences = true;
            why = LEARNED;
        }
        return true;
    }
    int l = 0;
    while (l < memory_locations && memory_location[l].at != op->at)
        l++;
    if (l == memory_locations) {
        learn_location(op);
        return true;
    }
    if (memory_location[l].size != op->size || plain_of((uintptr_t)op->at / 8) >= 0) {
        snprintf(failure, sizeof failure, "%s is accessed in two sizes, or both plainly and atomically",
                 scenario_name(op->at));
        why = FAILED;
        return true;
    }
    bool was = learned[l].written && (learned[l].users & (learned[l].users - 1));
    learned[l].users |= 1u << t;
    learned[l].written |= op->kind != LOAD && op->kind != WAIT;
    bool is = learned[l].written && (learned[l].users & (learned[l].users - 1));
    if (is && !was)
        why = LEARNED;
    return !is && op->kind != WAIT;
}

void search_access(const volatile void *at, size_t size, bool write)
{
    if (!search_checks(at))
        return;
    for (uintptr_t word = (uintptr_t)at / 8; word <= ((uintptr_t)at + size - 1) / 8; word++) {
        int p = plain_of(word);
        if (p < 0) {
            if (memory_plains == MAX_PLAIN) {
                fprintf(stderr, "checker: too many plain words\n");
                exit(2);
            }
            int i = memory_plains++;
            for (; i > 0 && memory_plain[i - 1] > word; i--)
                memory_plain[i] = memory_plain[i - 1];
            memory_plain[i] = word;
            thread_stop(LEARNED);
        }
        if (!memory_access(current, p, write))
            weak_fail("data race: %s %s %s", thread[current].name, write ? "writes" : "reads",
                      scenario_name((const void *)at));
    }
}

/* ---- The search ---- */

/* Applies the operation to the threads, after the memory has done its part. */
static void continue_thread(int t, const Operation *op, uint64_t result)
{
    running[t].result = result;
    if (op->kind == WAIT && (uint32_t)result == (uint32_t)op->expected) {
        running[t].status = SLEEPING;
        return;
    }
    if (op->kind == WAKE)
        for (int u = 0; u < threads; u++)
            if (running[u].status == SLEEPING && running[u].next.at == op->at) {
                running[u].status = READY;
                running[u].next = (Operation){.kind = RESUME};
                running[u].result = 0;
            }
    thread_run(t);
}

/* Carries out the operations of all threads that need not wait for others. */
static void drain(void)
{
    for (int t = 0, turns = 0; t < threads && why != FAILED && why != LEARNED;) {
        if (running[t].status != READY || !at_once(t)) {
            t++;
            continue;
        }
        if (why == FAILED || why == LEARNED)
            return;
        Operation op = running[t].next;
        if (++turns > 1000) { /* the thread polls a word that no other thread has used yet */
            for (int l = 0; l < memory_locations; l++)
                if (memory_location[l].at == op.at) {
                    learned[l].users = ~0u;
                    learned[l].written = true;
                }
            why = LEARNED;
            return;
        }
        Choice choice[MAX_CHOICES];
        uint64_t result;
        memory_choices(t, &op, choice);
        memory_apply(t, &op, choice[0], &result);
        memory_settle();
        continue_thread(t, &op, result);
        t = 0;
    }
}

static bool all_done(void)
{
    for (int t = 0; t < threads; t++)
        if (running[t].status != DONE)
            return false;
    return true;
}

/* All threads are between two operations. Decides whether this is the end, a visited state, or a
 * state from which the search continues. */
static void arrive(void)
{
    if (all_done()) {
        executions++;
        thread_call(finish);
        return;
    }
    bool ready = false;
    for (int t = 0; t < threads; t++)
        ready |= running[t].status == READY;
    if (!ready) {
        size_t n = 0;
        for (int t = 0; t < threads; t++)
            if (running[t].status == SLEEPING)
                n += (size_t)snprintf(failure + n, sizeof failure - n, "%s%s", n ? ", " : "sleeps for ever: ",
                                      thread[t].name);
        why = FAILED;
        return;
    }
    memory_settle();
    if (states_visit())
        states_push();
}

static bool step(Frame *f)
{
    Choice choice[MAX_CHOICES];
    for (; f->thread < threads; f->thread++, f->choice = 0) {
        int t = f->thread;
        if (running[t].status != READY)
            continue;
        Operation op = running[t].next;
        if (f->choice >= memory_choices(t, &op, choice))
            continue;
        f->done_thread = t;
        f->done = op;
        f->chosen = choice[f->choice++];
        if (!memory_apply(t, &op, f->chosen, &f->result))
            return true;
        transitions++;
        continue_thread(t, &op, f->result);
        drain();
        if (why != FAILED && why != LEARNED)
            arrive();
        return true;
    }
    return false;
}

/* True if the search has learned something and has to begin anew. */
static bool search(void)
{
    searches++;
    transitions = executions = 0;
    states_begin();
    why = NOTHING;
    memory_begin(threads);
    for (int t = 0; t < threads; t++)
        thread_start(t);
    for (int t = 0; t < threads && why != FAILED && why != LEARNED; t++)
        thread_run(t);
    if (why != FAILED && why != LEARNED)
        drain();
    if (why != FAILED && why != LEARNED)
        arrive();
    while (depth && why != FAILED && why != LEARNED) {
        int at = depth - 1;
        states_restore(&frame[at]);
        if (!step(&frame[at]))
            depth = at;
        if (states > limit) {
            fprintf(stderr, "checker: more than %zu states\n", limit);
            exit(2);
        }
    }
    return why == LEARNED;
}

/* ---- Reporting ---- */

static const char *order_name(int order)
{
    static const char *const text[] = {"relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst"};
    return order >= 0 && order < 6 ? text[order] : "?";
}

static void show_step(const Frame *f)
{
    static const char *const verb[] = {"load", "store", "exchange", "add", "subtract", "and", "or", "xor",
        "compare_exchange", "fence", "wait", "wake", "resume"};
    printf("  %-10s %-16s %-24s", thread[f->done_thread].name, verb[f->done.kind],
           f->done.at ? scenario_name(f->done.at) : "");
    if (f->chosen.read >= 0)
        printf(" reads %#llx", (unsigned long long)f->result);
    if (f->done.kind == COMPARE_EXCHANGE && f->chosen.after < 0)
        printf(", not %#llx", (unsigned long long)f->done.expected);
    else if (f->done.kind != LOAD && f->done.kind != WAIT && f->done.kind != WAKE)
        printf(" with %#llx", (unsigned long long)f->done.operand);
    printf("  %s\n", order_name(f->done.order));
}

int main(int count, char **arguments)
{
    bool trace = count > 1 && !strcmp(arguments[1], "-t");
    for (int i = 2; i < count; i++) {
        int access, order;
        if (sscanf(arguments[i], "%d=%d", &access, &order) != 2 || !hooks_set_order(access, order)) {
            fprintf(stderr, "checker: %s is not ACCESS=ORDER\n", arguments[i]);
            return 2;
        }
    }
    setup();
    static char *original[MAX_REGIONS * 2];
    for (int i = 0; i < shareds; i++)
        memcpy(original[i] = malloc(shared[i].size), shared[i].base, shared[i].size);
    for (int i = 0; i < saveds; i++)
        memcpy(original[MAX_REGIONS + i] = malloc(saved[i].size), saved[i].base, saved[i].size);

    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (search()) {
        for (int i = 0; i < shareds; i++)
            memcpy(shared[i].base, original[i], shared[i].size);
        for (int i = 0; i < saveds; i++)
            memcpy(saved[i].base, original[MAX_REGIONS + i], saved[i].size);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;

    printf("states %zu transitions %lu executions %lu depth %d words %d+%d searches %lu seconds %.2f\n", states,
           transitions, executions,
           why == FAILED ? depth : deepest, memory_locations, memory_plains, searches, seconds);
    if (why != FAILED) {
        puts(executions ? "holds" : "no execution ends");
        return executions ? 0 : 2;
    }
    printf("violated: %s\n", failure);
    if (trace)
        for (int i = 0; i < depth; i++)
            show_step(&frame[i]);
    return 1;
}
