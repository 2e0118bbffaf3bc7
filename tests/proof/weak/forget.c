/* Forgets what no future operation can distinguish. This leaves fewer different states. */
#include "machine.h"

static void forget_stamps(View *view, uint8_t l, uint8_t gone)
{
    view->seen[l] = view->seen[l] > gone ? (uint8_t)(view->seen[l] - gone) : 1;
}

/* Removes the messages that every thread has passed. */
static void forget_messages(void)
{
    int kept = 0;
    for (int m = 0; m < machine.messages;) {
        uint8_t l = machine.message[m].location, least = UINT8_MAX, last = 0;
        for (int i = m; i < machine.messages && machine.message[i].location == l; i++)
            last = machine.message[i].stamp;
        for (int t = 0; t < machine.threads; t++)
            if (!machine.thread[t].finished && machine.thread[t].now.seen[l] < least)
                least = machine.thread[t].now.seen[l];
        uint8_t gone = (uint8_t)((least < last ? least : last) - 1);
        if (gone)
            each_view(forget_stamps, l, gone);
        for (; m < machine.messages && machine.message[m].location == l; m++) {
            if (machine.message[m].stamp <= gone) {
                join_set(&machine.forgotten[l], &machine.message[m].users);
                continue;
            }
            if (kept != m)
                machine.message[kept] = machine.message[m];
            machine.message[kept].stamp = (uint8_t)(machine.message[kept].stamp - gone);
            if (machine.message[kept].stamp == 1) { /* no message can come before it any more */
                machine.message[kept].sc = machine.message[kept].thread = 0;
                join_set(&machine.forgotten[l], &machine.message[kept].users);
            }
            kept++;
        }
    }
    machine.messages = kept;
}

static uint8_t renumbered[256]; /* how many of the used numbers are not greater than the index */

static void number(const bool used[256])
{
    uint8_t n = 0;
    for (int i = 0; i < 256; i++)
        renumbered[i] = n = (uint8_t)(n + (i > 0 && used[i]));
}

static void renumber_before(View *view, uint8_t thread, uint8_t unused)
{
    (void)unused;
    view->before.of[thread] = renumbered[view->before.of[thread]];
}

static void renumber_sc(View *view, uint8_t thread, uint8_t unused)
{
    (void)unused;
    view->sc.of[thread] = renumbered[view->sc.of[thread]];
}

/* Forgets plain accesses that happen before the next step of every thread. Renumbers the others. */
static void forget_epochs(void)
{
    for (int t = 0; t < machine.threads; t++) {
        uint8_t least = UINT8_MAX; /* the part of this thread that every thread knows */
        for (int u = 0; u < machine.threads; u++)
            if (u != t && !machine.thread[u].finished && machine.thread[u].now.before.of[t] < least)
                least = machine.thread[u].now.before.of[t];
        bool used[256] = {false};
        for (int p = 0; p < memory_plains; p++) {
            if (machine.plain[p].write && machine.plain[p].writer == t) {
                if (machine.plain[p].write <= least)
                    machine.plain[p].write = machine.plain[p].writer = 0;
                else
                    used[machine.plain[p].write] = true;
            }
            if (machine.plain[p].read[t] <= least)
                machine.plain[p].read[t] = 0;
            used[machine.plain[p].read[t]] = true;
        }
        number(used);
        uint8_t own = (uint8_t)(renumbered[machine.thread[t].now.before.of[t] - 1] + 1);
        each_view(renumber_before, (uint8_t)t, 0);
        machine.thread[t].now.before.of[t] = own;
        for (int p = 0; p < memory_plains; p++) {
            if (machine.plain[p].write && machine.plain[p].writer == t)
                machine.plain[p].write = renumbered[machine.plain[p].write];
            machine.plain[p].read[t] = renumbered[machine.plain[p].read[t]];
        }
    }
}

/* Sets differ only by writes that a later operation can still be put before. All other accesses
 * lose their numbers. */
static void forget_sc(void)
{
    for (int t = 0; t < machine.threads; t++) {
        bool used[256] = {false};
        for (int m = 0; m < machine.messages; m++)
            if (machine.message[m].sc && machine.message[m].thread == t)
                used[machine.message[m].sc] = true;
        number(used);
        each_view(renumber_sc, (uint8_t)t, 0);
        for (int m = 0; m < machine.messages; m++) {
            Message *message = &machine.message[m];
            if (message->thread == t)
                message->sc = renumbered[message->sc];
            message->order.of[t] = renumbered[message->order.of[t]];
            message->users.of[t] = renumbered[message->users.of[t]];
        }
        for (int l = 0; l < memory_locations; l++)
            machine.forgotten[l].of[t] = renumbered[machine.forgotten[l].of[t]];
        machine.thread[t].sc = renumbered[machine.thread[t].sc];
    }
}

void memory_settle(void)
{
    forget_messages();
    forget_epochs();
    forget_sc();
}
