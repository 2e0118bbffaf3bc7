/* What the demo's C programs share: how they end, and how they report an error. */
#ifndef DEMO_PROGRAM_H
#define DEMO_PROGRAM_H

#include <datablock.h>
#include <signal.h>
#include <stdio.h>

/* The longest wait of one call. After it the program checks whether it has to stop. */
enum { PATIENCE_MS = 100 };

static inline void handle_signal(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(number, &action, NULL);
}

/* The status is the kind of the error. The detail says which values were wrong and what to do.
 * Print the detail last, because another call may replace it. */
static inline int failed(const char *call, datablock_status status)
{
    fprintf(stderr, "%s: %s: ", call, datablock_strerror(status));
    fprintf(stderr, "%s\n", datablock_error_detail());
    return 1;
}

#endif
