/*
 * The environment, and the form of paths. All texts of the library are UTF-8, those of Windows are
 * UTF-16. The C library's getenv has the code page of the user, which lacks most characters.
 */
#include "shim.h"

#include <stdlib.h>
#include <windows.h>

/* Returns the length, or DBSHIM_PATH_SIZE: the text is too long, and `copy` has its first bytes. */
static int to_utf8(const wchar_t *text, char *copy) {
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, copy, DBSHIM_PATH_SIZE, NULL, NULL);
    if (size > 0) {
        return size - 1;
    }
    enum { FIRST = DBSHIM_PATH_SIZE / 4 }; /* characters; each has at most 3 bytes */
    size = WideCharToMultiByte(CP_UTF8, 0, text, FIRST, copy, DBSHIM_PATH_SIZE - 1, NULL, NULL);
    copy[size] = '\0';
    return DBSHIM_PATH_SIZE;
}

int dbshim_environment(const char *variable, char *copy) {
    wchar_t name[64];
    DWORD error = GetLastError(); /* of the host */
    int length = -1;
    if (MultiByteToWideChar(CP_UTF8, 0, variable, -1, name, sizeof name / sizeof name[0]) == 0) {
        return length;
    }
    DWORD size = GetEnvironmentVariableW(name, NULL, 0);
    wchar_t *value = size > 0 ? malloc(size * sizeof *value) : NULL;
    if (value != NULL) {
        value[0] = 0; /* in case another thread has removed the variable since */
        if (GetEnvironmentVariableW(name, value, size) < size) {
            length = to_utf8(value, copy);
        }
    }
    free(value);
    SetLastError(error);
    return length;
}

static bool is_separator(char c) { return c == '\\' || c == '/'; }

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* C:\directory, or \\server\share. A path without a drive depends on the current directory. */
bool dbshim_is_absolute(const char *path) {
    return (is_letter(path[0]) && path[1] == ':' && is_separator(path[2])) ||
           (is_separator(path[0]) && is_separator(path[1]));
}

const char *dbshim_last_name(const char *path) {
    const char *last = path;
    for (const char *at = path; *at != '\0'; at++) {
        if (is_separator(*at)) {
            last = at + 1;
        }
    }
    return last;
}
