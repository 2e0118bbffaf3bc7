/*
 * What the C++ tests share: checks that end the program with the place and the values, scenarios, a
 * directory for blocks that is removed at exit, and waiting on conditions. A program runs all
 * scenarios, or one by name.
 */
#ifndef DATABLOCK_TESTS_CHECK_HPP
#define DATABLOCK_TESTS_CHECK_HPP

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <typeinfo>
#include <unistd.h>
#include <vector>

#include "../c/portable.h"

[[noreturn]] inline void check_failed(const char *file, int line, const std::string &text) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, text.c_str());
    std::exit(1);
}

#define CHECK(condition) ((condition) ? void() : check_failed(__FILE__, __LINE__, #condition))
/* For code that must not be reached. */
#define UNEXPECTED(what) check_failed(__FILE__, __LINE__, "unexpected: " what)

template <typename A,
    typename B> void check_equal(const char *file, int line, const char *text, const A &got, const B &wanted) {
    if (!(got == wanted)) {
        std::ostringstream out;
        out << text << " is " << got << ", not " << wanted;
        check_failed(file, line, out.str());
    }
}
#define CHECK_EQUAL(expression, wanted) check_equal(__FILE__, __LINE__, #expression, (expression), (wanted))

/* Ends the program unless the statement throws exactly this type. The result is the exception's
 * text. */
#define CHECK_THROWS(type, ...) check_throws<type>(__FILE__, __LINE__, #__VA_ARGS__, #type, [&] { (void)__VA_ARGS__; })

template <typename Type,
    typename F> std::string check_throws(const char *file, int line, const char *statement, const char *type, F f) {
    try {
        f();
    } catch (const std::exception &e) {
        if (typeid(e) != typeid(Type)) {
            check_failed(file, line, std::string(statement) + " threw another type (" + typeid(e).name() + ") than " +
                         type + ": " + e.what());
        }
        return e.what();
    }
    check_failed(file, line, std::string(statement) + " did not throw " + type);
}

inline double check_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/* Waits until the condition holds. Ends the program after 20 seconds. */
#define WAIT_UNTIL(condition)                                                 \
    for (double check_deadline = check_now() + 20; !(condition);              \
         std::this_thread::sleep_for(std::chrono::milliseconds(1))) {         \
        if (check_now() > check_deadline) {                                   \
            check_failed(__FILE__, __LINE__, "not within 20 s: " #condition); \
        }                                                                     \
    }

/* This program's own directory in shared memory, which is removed at exit. */
inline const std::string &test_directory() {
    struct Directory {
        std::string path = std::string(TEST_PARENT_DIRECTORY) + "/datablock-test-XXXXXX";
        Directory() {
            if (mkdtemp(path.data()) == nullptr) {
                std::perror("mkdtemp");
                std::_Exit(1);
            }
        }
        ~Directory() {
            std::error_code ignored;
            std::filesystem::remove_all(path, ignored);
        }
    };
    static Directory directory;
    return directory.path;
}

struct Scenario {
    const char *name;
    void (*run)();
};

/* Runs the scenario that argv[1] names, or all. SIGALRM ends a scenario that hangs; the last
 * printed name is the name of this scenario. */
inline int run_scenarios(const std::vector<Scenario> &scenarios, int argc, char **argv) {
    bool found = false;
    test_directory();
    for (const Scenario &scenario : scenarios) {
        if (argc < 2 || std::strcmp(argv[1], scenario.name) == 0) {
            found = true;
            std::printf("%s\n", scenario.name);
            std::fflush(stdout);
            alarm(SCENARIO_SECONDS);
            try {
                scenario.run();
            } catch (const std::exception &e) {
                check_failed(scenario.name, 0, std::string("ended by an exception: ") + e.what());
            }
            alarm(0);
        }
    }
    if (!found) {
        std::fprintf(stderr, "no scenario \"%s\"; there are:\n", argv[1]);
        for (const Scenario &scenario : scenarios) {
            std::fprintf(stderr, "    %s\n", scenario.name);
        }
    }
    return !found;
}

#endif
