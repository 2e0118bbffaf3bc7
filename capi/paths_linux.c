/* The environment, and the form of paths. */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <stdlib.h>
#include <string.h>

int dbshim_environment(const char *variable, char *copy) {
    const char *value = getenv(variable);
    if (value == NULL) {
        return -1;
    }
    size_t length = strnlen(value, DBSHIM_PATH_SIZE);
    size_t copied = length < DBSHIM_PATH_SIZE ? length : DBSHIM_PATH_SIZE - 1;
    memcpy(copy, value, copied);
    copy[copied] = '\0';
    return (int)length;
}

bool dbshim_is_absolute(const char *path) { return path[0] == '/'; }

const char *dbshim_last_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}
