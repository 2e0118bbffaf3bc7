#!/usr/bin/env python3
"""The tests that do not run under emulation, and why. docs/platforms.md has the reasons in general.

Usage: left_out.py FOLDER... prints the C and C++ tests of these folders that run: c/test_capi.

Every name must exist: a program of this folder fails when a test of the table is not there.
"""

import dataclasses
import pathlib
import sys

# How a C or C++ test calls the library. DATABLOCK_TEST_GO makes every call go through Go.
INLINE, EXPORTED, GO = "inline", "exported", "go"

NO_FAULT_ADDRESS = ("this emulator leaves the fault address of a SIGBUS out of the signal's context (fault.c has just "
                    "tried it), where Go reads it: Go takes every fault for a nil pointer")

# C tests that are not built.
C_TESTS = {
    "test_hostile": "it truncates files under their readers, and needs the fault address",
    "test_memory_gone": "it truncates files under their readers, and needs the fault address",
    "test_inside": "it has a syscall() of its own, as emulated.c has",
    "test_host": "it closes, counts and limits what is the emulator's, too",
    "test_system_calls": "it traces its child, and the emulator has no ptrace",
}


@dataclasses.dataclass
class Scenario:
    """A scenario of a C or C++ test that is not run."""

    test: str
    name: str
    reason: str
    ways: tuple = (INLINE, EXPORTED, GO)


SCENARIOS = [
    Scenario("c/test_capi_processes", "truncated-data-file", NO_FAULT_ADDRESS),
    Scenario("c/test_capi_processes", "truncated-control-file", NO_FAULT_ADDRESS),
    Scenario("c/test_capi_processes", "fault-detail", NO_FAULT_ADDRESS, ways=(GO,)),
    Scenario("c/test_threads", "membarrier-refused-later", "the emulator has no seccomp"),
    Scenario("c/test_threads", "destructors-in-every-round",
             "it measures memory, and the emulator keeps some for each thread that has ended"),
]

NO_EXEC = "it starts itself by /proc/self/exe, which the kernel of this machine cannot execute"
EMULATORS_NAME = "the process has the name of the emulator"
SIGBUS = "it truncates mapped files, and needs the fault address of the SIGBUS, as test_hostile"

# Go tests by package. `processes` is tests/go/process: a native test with emulated workers in Go, C
# and C++, and native ones in Python.
GO_TESTS = {
    "internal/platform": {"TestSelfKnowsTheProcess": EMULATORS_NAME},
    "internal/core/recovery": {"TestHostileBlocks": SIGBUS},
    "cmd/internal/command": {
        "TestAnotherUserIsShownWhatMayNotBeRead": NO_EXEC,
        "TestWhoMayNotRemoveABlockIsToldWhy": NO_EXEC,
        "TestNoPidOfAnotherNamespaceIsAdvisedToBeSignalled": NO_EXEC,
        "TestAgesAcrossTimeNamespaces": NO_EXEC,
        "TestAForcedResetThatLeavesSomethingFails": NO_EXEC,
    },
    "processes": {
        "TestErrorsAreAsDocumented": "errors.c starts itself by /proc/self/exe",
        "TestBlockedParticipantsUseNoProcessor": "it measures the processor time of the emulator",
        "TestDemoInterrupted": "the programs of the demo are native",
        "TestForkedChildOfAProducerKeepsNoBlock": "QEMU 7.2 accepts MADV_DONTFORK and ignores it: the child of an "
                                                  "emulated process keeps the mapping",
    },
}


def tests_in(folder):
    """The names of a folder's tests, as c_tests.py and build.py use them."""
    there = sorted(source.stem for source in folder.glob("test_*.c*"))
    missing = set(C_TESTS) - set(there) if folder.name == "c" else set()
    if missing:
        sys.exit(f"left_out.py: {folder} has no {', '.join(sorted(missing))}")
    return [f"{folder.name}/{name}" for name in there if name not in C_TESTS]


if __name__ == "__main__":
    for name in (name for folder in sys.argv[1:] for name in tests_in(pathlib.Path(folder))):
        print(name)
