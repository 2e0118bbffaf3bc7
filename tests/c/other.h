/* Another process of a test: this program again, in a role, with a pipe in each direction. */
#ifndef DATABLOCK_TESTS_OTHER_H
#define DATABLOCK_TESTS_OTHER_H

#include "check.h"

#include <fcntl.h>

#ifndef _WIN32

#include <signal.h>
#include <sys/wait.h>

struct other {
    pid_t pid;
    int says, told;
};

/* Starts this program again in a role, and waits for its first byte. */
static inline struct other start(const char *role, const char *name) {
    int says[2], told[2];
    char byte;
    CHECK(pipe2(says, O_CLOEXEC) == 0 && pipe2(told, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(told[0], STDIN_FILENO);
        dup2(says[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test", role, test_directory(), name, (char *)NULL);
        _exit(127);
    }
    close(says[1]);
    close(told[0]);
    CHECK(read(says[0], &byte, 1) == 1);
    return (struct other){.pid = pid, .says = says[0], .told = told[1]};
}

/* Lets the process end, and returns its exit code, or -1: a signal has ended it. */
static inline int ended(struct other *other) {
    int status;
    close(other->told);
    CHECK(waitpid(other->pid, &status, 0) == other->pid);
    close(other->says);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void killed(struct other *other) {
    CHECK(kill(other->pid, SIGKILL) == 0);
    CHECK(ended(other) == -1);
}

#else

#include <process.h>

enum { KILLED = 137 };

struct other {
    HANDLE process;
    int says, told;
};

/* As above. The new process inherits what is standard input and output at its start. */
static inline struct other start(const char *role, const char *name) {
    int says[2], told[2];
    char byte, path[MAX_PATH];
    CHECK(_pipe(says, 256, _O_BINARY | _O_NOINHERIT) == 0 && _pipe(told, 256, _O_BINARY | _O_NOINHERIT) == 0);
    CHECK(GetModuleFileNameA(NULL, path, sizeof path) < sizeof path);
    int in = _dup(0), out = _dup(1);
    CHECK(_dup2(told[0], 0) == 0 && _dup2(says[1], 1) == 0);
    intptr_t process = _spawnl(_P_NOWAIT, path, "test", role, test_directory(), name, NULL);
    CHECK(_dup2(in, 0) == 0 && _dup2(out, 1) == 0);
    close(in);
    close(out);
    close(says[1]);
    close(told[0]);
    CHECK(process != -1 && read(says[0], &byte, 1) == 1);
    return (struct other){.process = (HANDLE)process, .says = says[0], .told = told[1]};
}

static inline int ended(struct other *other) {
    DWORD status;
    close(other->told);
    CHECK(WaitForSingleObject(other->process, 60000) == WAIT_OBJECT_0);
    CHECK(GetExitCodeProcess(other->process, &status));
    (void)CloseHandle(other->process);
    close(other->says);
    return (int)status;
}

static inline void killed(struct other *other) {
    CHECK(TerminateProcess(other->process, KILLED));
    CHECK(ended(other) == KILLED);
}

#endif

/* In the other process: uses the parent's directory, which the parent removes. */
static inline void use_directory(const char *directory) {
    snprintf(check_directory_name, sizeof check_directory_name, "%s", directory);
    check_directory_owner = -1;
}

/* In the other process: reports that it is ready, and lives until the parent ends it. */
static inline void rest(void) {
    char byte = 1;
    CHECK(write(STDOUT_FILENO, &byte, 1) == 1);
    CHECK(read(STDIN_FILENO, &byte, 1) >= 0);
}

#endif
