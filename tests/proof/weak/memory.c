/*
 * An operational form of RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer: Repairing Sequential
 * Consistency in C/C++11, PLDI 2017).
 *
 * Each location has its messages in modification order. A thread may read any message that is not
 * older than the newest message it has seen of the location. A thread may write after any such
 * message, but not between a read-modify-write and the message that this operation read.
 *
 * A view records what a thread has seen: of every location, of every thread's plain accesses
 * (happens-before), and of every thread's sequentially consistent accesses. A release stores the
 * thread's view in a message. An acquire adds the message's view to the thread's own.
 *
 * Sequentially consistent accesses have a partial order of their own, RC11's psc. It need not agree
 * with the order in which this program carries them out. Each access has the closed set of the
 * accesses before it, as one number for each thread. Sometimes an access has to come before an
 * older one, because it reads or writes before an older write. Then it is added to all sets that
 * contain the older access. If it is itself a member of them, there is a cycle, and the choice is
 * forbidden.
 *
 * Not modelled: sequentially consistent fences, and load buffering, which RC11 forbids too. Two
 * edges of psc are left out: those where an access of the same word follows an acquire that is not
 * sequentially consistent. Leaving them out allows more executions, never fewer.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Machine machine;
struct Location memory_location[MAX_LOCATIONS];
int memory_locations;
uintptr_t memory_plain[MAX_PLAIN];
int memory_plains;
bool memory_fences;

size_t memory_bytes(void) { return offsetof(struct Machine, message) + (size_t)machine.messages * sizeof(Message); }

static void give_up(const char *why)
{
    fprintf(stderr, "checker: %s\n", why);
    exit(2);
}

static bool acquires(int order)
{
    return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQ_REL ||
        order == __ATOMIC_SEQ_CST;
}
static bool releases(int order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static void join(View *a, const View *b)
{
    for (int l = 0; l < memory_locations; l++)
        raise_to(&a->seen[l], b->seen[l]);
    join_set(&a->before, &b->before);
    join_set(&a->sc, &b->sc);
}

void each_view(void (*f)(View *, uint8_t, uint8_t), uint8_t a, uint8_t b)
{
    for (int t = 0; t < machine.threads; t++) {
        f(&machine.thread[t].now, a, b);
        f(&machine.thread[t].fence, a, b);
        f(&machine.thread[t].pending, a, b);
    }
    f(&machine.bucket, a, b);
    for (int m = 0; m < machine.messages; m++)
        f(&machine.message[m].view, a, b);
}

static int location_of(const char *at)
{
    for (int l = 0; l < memory_locations; l++)
        if (memory_location[l].at == at)
            return l;
    give_up("an unknown location");
    return -1;
}

static uint64_t load(const struct Location *l)
{
    uint64_t value = 0;
    memcpy(&value, l->at, (size_t)l->size);
    return value;
}

void memory_begin(int threads)
{
    memset(&machine, 0, sizeof machine);
    machine.threads = threads;
    View start = {0};
    for (int l = 0; l < memory_locations; l++)
        start.seen[l] = 1;
    for (int t = 0; t < threads; t++) {
        machine.thread[t].now = machine.thread[t].fence = machine.thread[t].pending = start;
        machine.thread[t].now.before.of[t] = 1;
    }
    machine.bucket = start;
    machine.messages = memory_locations;
    for (int l = 0; l < memory_locations; l++)
        machine.message[l] =
            (Message){.value = load(&memory_location[l]), .location = (uint8_t)l, .stamp = 1, .view = start};
}

/* ---- Choices ---- */

static bool reads(Kind kind) { return kind != STORE; }

int memory_choices(int thread, const Operation *op, Choice choice[MAX_CHOICES])
{
    int n = 0;
    if (op->kind == FENCE || op->kind == WAKE || op->kind == RESUME) {
        choice[n++] = (Choice){-1, -1};
        return n;
    }
    int l = location_of(op->at);
    View view = machine.thread[thread].now;
    if (op->kind == WAIT)
        join(&view, &machine.bucket);
    /* The newest message comes first: an error that needs no weak memory gets the shortest
     * trace. */
    for (int m = machine.messages; m-- > 0;) {
        const Message *message = &machine.message[m];
        if (message->location != l || message->stamp < view.seen[l])
            continue;
        if (n == MAX_CHOICES)
            give_up("too many choices");
        bool writes = op->kind != LOAD && op->kind != WAIT &&
            (op->kind != COMPARE_EXCHANGE || message->value == op->expected);
        if (writes && message->followed)
            continue;
        choice[n++] = (Choice){reads(op->kind) ? m : -1, writes ? m : -1};
    }
    return n;
}

/* ---- The order of sequentially consistent accesses ---- */

static bool holds(const Set *set, int thread, uint8_t number) { return set->of[thread] >= number; }

/* Adds `earlier` to every set that contains the write. */
static void put_before(const Set *earlier, int thread, uint8_t number)
{
    Set *all[4 * MAX_THREADS + 3 * MAX_MESSAGES + MAX_LOCATIONS];
    int n = 0;
    for (int t = 0; t < machine.threads; t++) {
        all[n++] = &machine.thread[t].now.sc;
        all[n++] = &machine.thread[t].fence.sc;
        all[n++] = &machine.thread[t].pending.sc;
    }
    all[n++] = &machine.bucket.sc;
    for (int m = 0; m < machine.messages; m++) {
        all[n++] = &machine.message[m].order;
        all[n++] = &machine.message[m].users;
        all[n++] = &machine.message[m].view.sc;
    }
    for (int l = 0; l < memory_locations; l++)
        all[n++] = &machine.forgotten[l];
    while (n-- > 0)
        if (holds(all[n], thread, number))
            join_set(all[n], earlier);
}

/* Finds the place of a sequentially consistent access in the order. False: there is none. */
static bool place(int thread, int l, Choice choice, Set *order)
{
    *order = machine.thread[thread].now.sc;
    if (choice.read >= 0)
        join_set(order, &machine.message[choice.read].order);
    int from = choice.read >= 0 ? choice.read : choice.after;
    if (choice.after >= 0) {
        join_set(order, &machine.forgotten[l]);
        for (int m = choice.after; m >= 0 && machine.message[m].location == l; m--)
            join_set(order, &machine.message[m].users);
    }
    uint8_t number = ++machine.thread[thread].sc;
    if (number == UINT8_MAX)
        give_up("too many sequentially consistent accesses");
    order->of[thread] = number;
    for (int m = from + 1; m < machine.messages && machine.message[m].location == l; m++) {
        const Message *later = &machine.message[m];
        if (!later->sc)
            continue;
        if (holds(order, later->thread, later->sc))
            return false;
        put_before(order, later->thread, later->sc);
        break; /* the following accesses are after this one already */
    }
    return true;
}

/* ---- Operations ---- */

static void make_room(View *view, uint8_t l, uint8_t stamp)
{
    if (view->seen[l] > stamp)
        view->seen[l]++;
}

static uint64_t compute(const Operation *op, uint64_t old)
{
    uint64_t mask = op->size == 8 ? ~UINT64_C(0) : (UINT64_C(1) << 8 * op->size) - 1;
    switch (op->kind) {
    case ADD: return (old + op->operand) & mask;
    case SUBTRACT: return (old - op->operand) & mask;
    case AND: return old & op->operand & mask;
    case OR: return (old | op->operand) & mask;
    case XOR: return (old ^ op->operand) & mask;
    default: return op->operand & mask;
    }
}

static void acquire(int thread, const View *view, int order)
{
    if (acquires(order))
        join(&machine.thread[thread].now, view);
    else if (memory_fences)
        join(&machine.thread[thread].pending, view);
}

static void write_message(int thread, int l, const Operation *op, Choice choice, int order, const Set *place_of_it)
{
    View *now = &machine.thread[thread].now;
    uint8_t stamp = machine.message[choice.after].stamp;
    if (machine.messages == MAX_MESSAGES || stamp == UINT8_MAX)
        give_up("too many messages");

    Message new = {.location = (uint8_t)l, .stamp = (uint8_t)(stamp + 1), .thread = (uint8_t)thread};
    new.value = compute(op, choice.read >= 0 ? machine.message[choice.read].value : 0);
    if (place_of_it) {
        new.sc = place_of_it->of[thread];
        new.order = new.users = *place_of_it;
    }
    each_view(make_room, (uint8_t)l, stamp);
    for (int m = choice.after + 1; m < machine.messages && machine.message[m].location == l; m++)
        machine.message[m].stamp++;
    now->seen[l] = new.stamp;
    new.view = releases(order) ? *now : machine.thread[thread].fence;
    if (choice.read >= 0) { /* a release sequence: the view of the message that was read continues */
        join(&new.view, &machine.message[choice.read].view);
        machine.message[choice.read].followed = 1;
    }
    raise_to(&new.view.seen[l], new.stamp);
    now->before.of[thread]++;

    int at = choice.after + 1;
    memmove(&machine.message[at + 1], &machine.message[at], (size_t)(machine.messages - at) * sizeof(Message));
    machine.message[at] = new;
    machine.messages++;
    if (at + 1 == machine.messages || machine.message[at + 1].location != l)
        memcpy(memory_location[l].at, &new.value, (size_t)memory_location[l].size);
}

bool memory_apply(int thread, const Operation *op, Choice choice, uint64_t *result)
{
    View *now = &machine.thread[thread].now;
    *result = 0;
    switch (op->kind) {
    case RESUME:
        join(now, &machine.bucket);
        return true;
    case FENCE:
        if (op->order == __ATOMIC_SEQ_CST)
            give_up("sequentially consistent fences are not modelled");
        if (acquires(op->order))
            join(now, &machine.thread[thread].pending);
        if (releases(op->order)) {
            machine.thread[thread].fence = *now;
            now->before.of[thread]++;
        }
        return true;
    case WAKE:
        join(&machine.bucket, now);
        now->before.of[thread]++;
        return true;
    case WAIT:
        join(now, &machine.bucket);
        join(&machine.bucket, now);
        now->before.of[thread]++;
        break;
    default:
        break;
    }

    int l = location_of(op->at);
    int order = op->kind == COMPARE_EXCHANGE && choice.after < 0 ? op->failed_order : op->order;
    Set sc;
    bool consistent = order == __ATOMIC_SEQ_CST;
    if (consistent && !place(thread, l, choice, &sc))
        return false;
    if (choice.read >= 0) {
        Message *message = &machine.message[choice.read];
        *result = message->value;
        raise_to(&now->seen[l], message->stamp);
        if (consistent)
            join_set(&message->users, &sc);
        acquire(thread, &message->view, order);
    }
    if (choice.after >= 0)
        write_message(thread, l, op, choice, order, consistent ? &sc : NULL);
    if (consistent) /* last: the view that is released now does not contain the release itself */
        join_set(&now->sc, &sc);
    return true;
}

bool memory_access(int thread, int plain, bool write)
{
    const Set *before = &machine.thread[thread].now.before;
    if (machine.plain[plain].write && machine.plain[plain].writer != thread &&
        !holds(before, machine.plain[plain].writer, machine.plain[plain].write))
        return false;
    if (!write) {
        machine.plain[plain].read[thread] = before->of[thread];
        return true;
    }
    for (int t = 0; t < machine.threads; t++) {
        if (t != thread && !holds(before, t, machine.plain[plain].read[t]))
            return false;
        machine.plain[plain].read[t] = 0;
    }
    machine.plain[plain].writer = (uint8_t)thread;
    machine.plain[plain].write = before->of[thread];
    return true;
}

void memory_finish(int thread)
{
    memset(&machine.thread[thread], 0, sizeof machine.thread[thread]);
    machine.thread[thread].finished = 1;
    machine.thread[thread].now.before.of[thread] = 1;
}
