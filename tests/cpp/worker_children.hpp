/*
 * The commands of the C++ worker that start a child. worker.cpp includes this file after its
 * classes.
 */
#ifndef DATABLOCK_TESTS_WORKER_CHILDREN_HPP
#define DATABLOCK_TESTS_WORKER_CHILDREN_HPP

#ifdef _WIN32

/* A process has no fork there, and inherits no handle of the library. */
static bool child_command(const std::string &, Participant &, const Worker &) { return false; }

#else

#include <csignal>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace {

/* A child that keeps everything inherited but the test's pipes. The child ends by itself if the
 * test does not end it. */
[[noreturn]] void linger() {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    std::signal(SIGALRM, SIG_DFL);
    alarm(60);
    for (;;) {
        pause();
    }
}

void say_forked(pid_t child) { say("forked %ld", static_cast<long>(child)); }

void spawn() {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        posix_spawn_file_actions_addclose(&actions, descriptor);
    }
    std::string program = "sleep", seconds = "60";
    char *arguments[] = {program.data(), seconds.data(), nullptr};
    pid_t child;
    int error = posix_spawnp(&child, "sleep", &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        throw Error(DATABLOCK_E_SYSTEM, std::string("posix_spawnp: ") + strerror(error));
    }
    say_forked(child);
}

/* Uses nearly every function in a forked child, whose line is the answer. */
void call_in_child(Participant &participant, const Worker &worker) {
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        std::string answers;
        auto attempt = [&answers](const std::function<void()> &call) {
            try {
                call();
                answers += " OK";
            } catch (const Error &error) {
                answers += std::string(" ") + status_name(error.status());
            }
        };
        const char *name = worker.name.c_str();
        attempt([&worker] { worker.open(); });
        participant.use_in_child(attempt);
        attempt([] {
            size_t count;
            check(datablock_list(nullptr, nullptr, 0, &count));
        });
        attempt([name] { check(datablock_unlink(name, DATABLOCK_FLAG_FORCE)); });
        SlotDiagnostic diagnostic;
        bool refused = datablock_diagnose_slot(name, 0, &diagnostic) < 0 &&
            datablock_cleanup_dead_consumers(name, 0) < 0 &&
                       datablock_release_zombie_readers(name, 0) == RECOVERY_FAILED &&
                           datablock_release_zombie_writer(name, 0) == RECOVERY_FAILED;
        say("child%s repairs=%s", answers.c_str(), refused ? "refused" : "done");
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) {
        throw Error(DATABLOCK_E_SYSTEM,
                    "child " + std::to_string(child) + " ended with status " + std::to_string(status));
    }
}

bool child_command(const std::string &word, Participant &participant, const Worker &worker) {
    if (word == "fork" || word == "clone") {
        // The raw system call does not run the handlers of pthread_atfork.
        pid_t child = word == "fork" ? fork() : static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        if (child == 0) {
            linger();
        }
        say_forked(child);
    } else if (word == "spawn") {
        spawn();
    } else if (word == "system") {
        if (std::system("sleep 60 </dev/null >/dev/null 2>&1 & echo forked $!") != 0) {
            throw Error(DATABLOCK_E_SYSTEM, "system");
        }
    } else if (word == "call-in-child") {
        call_in_child(participant, worker);
    } else {
        return false;
    }
    return true;
}

} // namespace

#endif

#endif
