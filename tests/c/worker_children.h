/*
 * The commands of a worker that start a child. On Windows they are unsupported: a process there has
 * no fork, and inherits no handle of the library.
 */
#ifndef DATABLOCK_TESTS_WORKER_CHILDREN_H
#define DATABLOCK_TESTS_WORKER_CHILDREN_H

#ifdef _WIN32

static bool child_command(const char *word) {
    (void)word;
    return false;
}

#else

#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CHILD_SECONDS = 60 };

/* A child that keeps everything inherited but the test's pipes. The child ends by itself if the
 * test does not end it. */
__attribute__((noreturn)) static void linger(void) {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    signal(SIGALRM, SIG_DFL);
    alarm(CHILD_SECONDS);
    for (;;) {
        pause();
    }
}

static void spawn(void) {
    extern char **environ;
    char *sleeper[] = {"sleep", "60", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclose(&actions, STDIN_FILENO);
    posix_spawn_file_actions_addclose(&actions, STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, STDERR_FILENO);
    int error = posix_spawnp(&child, "sleep", &actions, NULL, sleeper, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        say("error SYSTEM posix_spawnp: %s", strerror(error));
    } else {
        say("forked %ld", (long)child);
    }
}

/* Calls nearly every function in a forked child, whose line is the answer. */
static void call_in_child(void) {
    pid_t child = fork();
    if (child == 0) {
        datablock_producer p = {0};
        datablock_consumer c = {0};
        datablock_read_slot slot;
        SlotDiagnostic diagnostic;
        size_t count;
        alarm(10);
        datablock_status calls[] = {
            datablock_producer_open(block_name, &config, &p),
            datablock_consumer_open(block_name, &options, &c),
            datablock_write_begin(producer, -1, &claim),
            datablock_write_commit(producer, &claim, 0),
            datablock_write_abort(producer, &claim),
            datablock_read_begin(consumer, -1, &slot),
            datablock_read_at(consumer, 0, &slot),
            datablock_read_end(consumer, &held[0]),
            datablock_list(NULL, NULL, 0, &count),
            datablock_unlink(block_name, DATABLOCK_FLAG_FORCE),
            datablock_producer_close(producer),
            datablock_consumer_close(consumer),
        };
        char line[512] = "child";
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            strcat(strcat(line, " "), status_name(calls[i]));
        }
        bool failed = datablock_diagnose_slot(block_name, 0, &diagnostic) < 0 &&
            datablock_cleanup_dead_consumers(block_name, 0) < 0 &&
                      datablock_release_zombie_readers(block_name, 0) == RECOVERY_FAILED &&
                          datablock_release_zombie_writer(block_name, 0) == RECOVERY_FAILED;
        say("%s repairs=%s", line, failed ? "refused" : "done");
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) {
        say("error SYSTEM child %ld ended with status 0x%x", (long)child, (unsigned)status);
    }
}

static bool child_command(const char *word) {
    if (strcmp(word, "fork") == 0 || strcmp(word, "clone") == 0) {
        /* The raw system call does not run the handlers of pthread_atfork. */
        pid_t child = word[0] == 'f' ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0) {
            linger();
        }
        say("forked %ld", (long)child);
    } else if (strcmp(word, "spawn") == 0) {
        spawn();
    } else if (strcmp(word, "system") == 0) {
        if (system("sleep 60 </dev/null >/dev/null 2>&1 & echo forked $!") != 0) {
            say("error SYSTEM system");
        }
    } else if (strcmp(word, "call-in-child") == 0) {
        call_in_child();
    } else {
        return false;
    }
    return true;
}

#endif

#endif
