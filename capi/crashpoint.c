/*
 * The crash points of the fast path, in test builds. Most processes have no crash point to reach,
 * and must not enter Go to find that out. A point in C is named "c/commit.hint". A point of inline
 * code in a test program is named "inline/commit.hint". A test may ask for one of them, or for
 * "commit.hint", which matches both.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#ifdef DATABLOCK_CRASHPOINTS

#include <string.h>

static bool is(const char *point, const char *name) {
    size_t length = strlen(name);
    return strncmp(point, name, length) == 0 && (point[length] == '\0' || point[length] == ':');
}

static bool wanted(const char *variable, const char *name) {
    const char *point = getenv(variable), *slash = strchr(name, '/');
    return point != NULL && (is(point, name) || (slash != NULL && is(point, slash + 1)));
}

void datablock_crash_point(const char *name) {
    if (wanted("DATABLOCK_CRASH", name) || wanted("DATABLOCK_STOP", name)) {
        dbshim_thread *thread = dbshim_self();
        dbshim_go_begin(thread);
        dbgo_crash_point((char *)name);
        (void)dbshim_go_end(thread, 0);
    }
}

#endif
