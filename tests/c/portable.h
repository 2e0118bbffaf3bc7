/*
 * What the C tests need of POSIX and Windows lacks. check.h includes this header. A scenario that
 * needs more, such as a signal or a fork, is left out on Windows with its reason beside it.
 */
#ifndef DATABLOCK_TESTS_PORTABLE_H
#define DATABLOCK_TESTS_PORTABLE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef _WIN32

#define TEST_PARENT_DIRECTORY "/dev/shm"
#define DEFAULT_DIRECTORY "/dev/shm"
#define NOWHERE "/nowhere" /* an absolute path */
#define DATA_VARIABLE "XDG_DATA_HOME"
#define HOME_VARIABLE "HOME"
#define CHECK_PRINTF printf
#define SCENARIO_SECONDS 60

/* The number of this process's descriptors of files in the directory. Other descriptors do not
 * count, because the Go runtime opens some at any time. */
static inline int descriptors_in(const char *path) {
    int count = 0;
    size_t length = strlen(path);
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char target[4096];
        ssize_t size = readlinkat(dirfd(directory), entry->d_name, target, sizeof target);
        count += size > (ssize_t)length && memcmp(target, path, length) == 0;
    }
    closedir(directory);
    return count;
}

/* Takes the name of a file that is open and mapped. */
static inline int take_away(const char *path) { return unlink(path); }

/* The number of all descriptors of this process. */
static inline int all_descriptors(void) {
    int count = -3; /* ".", ".." and the descriptor of the directory itself */
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return -1;
    }
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

#else

#include <direct.h>
#include <fcntl.h>
#include <io.h>
#include <windows.h>

#define TEST_PARENT_DIRECTORY _getcwd(NULL, 0) /* an absolute path, which the runner chooses */
#define DEFAULT_DIRECTORY "\\DataBlock\\"
#define NOWHERE "C:\\nowhere"
#define DATA_VARIABLE "LOCALAPPDATA"
#define HOME_VARIABLE "USERPROFILE"
#define CHECK_PRINTF __MINGW_PRINTF_FORMAT
#define SCENARIO_SECONDS 900 /* under Wine a file is opened in milliseconds, or many */
#define O_CLOEXEC (O_NOINHERIT | O_BINARY)

static inline char *mkdtemp(char *name) {
    char *end = name + strlen(name) - 6;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(end, 7, "%06lx", (GetCurrentProcessId() * 1000 + i) & 0xffffff);
        if (_mkdir(name) == 0) {
            return name;
        }
    }
    return NULL;
}

static inline void CALLBACK check_hung(void *unused, BOOLEAN fired) {
    (void)unused, (void)fired;
    fprintf(stderr, "this scenario hangs\n");
    fflush(stderr);
    TerminateProcess(GetCurrentProcess(), 142);
}

/* Ends the process after this time, unless it is called again. */
static inline void alarm(unsigned seconds) {
    static HANDLE timer;
    if (timer != NULL) {
        (void)DeleteTimerQueueTimer(NULL, timer, INVALID_HANDLE_VALUE);
        timer = NULL;
    }
    if (seconds != 0) {
        (void)CreateTimerQueueTimer(&timer, NULL, check_hung, NULL, seconds * 1000, 0, WT_EXECUTEONLYONCE);
    }
}

/* The C library and the system have an environment each, and the C library's has no empty value. */
static inline int setenv(const char *name, const char *value, int overwrite) {
    (void)overwrite;
    return _putenv_s(name, value) == 0 && SetEnvironmentVariableA(name, value) ? 0 : -1;
}

static inline int unsetenv(const char *name) { return _putenv_s(name, "") == 0 ? 0 : -1; }

static inline long pread(int file, void *to, unsigned size, long long offset) {
    return _lseeki64(file, offset, SEEK_SET) == offset ? _read(file, to, size) : -1;
}

static inline long pwrite(int file, const void *from, unsigned size, long long offset) {
    return _lseeki64(file, offset, SEEK_SET) == offset ? _write(file, from, size) : -1;
}

/* The number of this process's handles of files in the directory. */
static inline int descriptors_in(const char *path) {
    int count = 0;
    char all[MAX_PATH], own[MAX_PATH];
    DWORD handles = 0, length = GetFullPathNameA(path, sizeof all, all, NULL);
    (void)GetProcessHandleCount(GetCurrentProcess(), &handles);
    handles = handles != 0 ? handles : UINT32_MAX; /* Wine does not know the number */
    for (uintptr_t number = 4, seen = 0; seen < handles && number < 4 * 10000; number += 4) {
        HANDLE handle = (HANDLE)number;
        DWORD flags;
        if (!GetHandleInformation(handle, &flags)) {
            continue;
        }
        seen++;
        if (GetFileType(handle) == FILE_TYPE_DISK) {
            /* \\?\Z:\directory\file */
            DWORD size = GetFinalPathNameByHandleA(handle, own, sizeof own, 0);
            count += size > length + 4 && size < sizeof own && _strnicmp(own + 4, all, length) == 0;
        }
    }
    return count;
}

/* Takes the name of a file that is open and mapped: Windows renames it, and does not delete it. */
static inline int take_away(const char *path) {
    char away[MAX_PATH];
    snprintf(away, sizeof away, "%s.away", path);
    return rename(path, away);
}

/* The number of all handles of this process. */
static inline int all_descriptors(void) {
    DWORD handles = 0;
    return GetProcessHandleCount(GetCurrentProcess(), &handles) ? (int)handles : -1;
}

#endif

#endif
