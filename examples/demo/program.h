/* What the demo's C programs share: how they end, and how they report an error. */
#ifndef DEMO_PROGRAM_H
#define DEMO_PROGRAM_H

#include <datablock.h>
#include <signal.h>
#include <stdio.h>

/* How long one call waits before the program looks whether it has been asked to stop. */
enum { PATIENCE_MS = 100 };

static inline void handle_signal(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(number, &action, NULL);
}

/* The status says what kind of error it is, the detail says which values were wrong and what to
 * do. The detail comes last, as another call may replace it. */
static inline int failed(const char *call, datablock_status status)
{
    fprintf(stderr, "%s: %s: ", call, datablock_strerror(status));
    fprintf(stderr, "%s\n", datablock_error_detail());
    return 1;
}

#endif
