#!/usr/bin/env python3
"""Runs a C or C++ test for arm64 under emulation, in each way and on each machine.

Usage: c_tests.py BUILD TEST. A test is c/test_capi or cpp/test_batch; build.py has built it.

The older machine differs in two things: it has no atomic instructions of its own, and no
membarrier. There a test runs with the inline functions only: Go's code is the same, and the
exported functions are the inline ones, compiled into the library by the same compiler.
"""

import pathlib
import re
import resource
import sys
import time

import emulator
import left_out
from left_out import EXPORTED, GO, INLINE

# The tests with a scenario that forks. Only a hang of these is tried again: the child of a process
# with threads has the locks of the emulator as the other threads held them, and QEMU has had
# deadlocks of that kind. A hang of any other test is the library's or the test's, and fails.
FORKING = ("c/test_capi_processes", "c/test_shared", "cpp/test_recovery")
AGAIN = ("a scenario that forks beside the Go runtime's threads has hung here once, in about two thousand runs; "
         "without the emulator never, in thousands. Why is not known. What hangs twice has failed")
# A test that chooses the way of each call itself has one program.
ALL_WAYS = "all"


def ways_of(into, test):
    """The ways in which a test runs: the name, the program, the environment."""
    names = {INLINE: into / f"{test}.inline", EXPORTED: into / f"{test}.exported"}
    if not any(program.exists() for program in names.values()):
        sys.exit(f"missing: {into / test}, which build.py builds; `make test-arm64` runs it")
    if not names[INLINE].exists():
        return [(ALL_WAYS, names[EXPORTED], {})]
    if not names[EXPORTED].exists():
        return [(INLINE, names[INLINE], {})]
    return [*((way, program, {}) for way, program in names.items()),
            (GO, names[EXPORTED], {"DATABLOCK_TEST_GO": "1"})]


def scenarios_of(program):
    """The names of a program's scenarios. The program lists them when it gets an unknown name."""
    return re.findall(r"^ {4}(\S+)$", emulator.emulate(emulator.NEW, program, "?").stdout, re.M)


def omitted(into, test):
    """The scenarios that this emulator cannot run. Some emulators report no fault address."""
    tells = emulator.emulate(emulator.NEW, into / "fault").returncode
    if tells not in (0, 3):
        sys.exit(f"fault.c: exit code {tells}")
    return [s for s in left_out.SCENARIOS
            if s.test == test and (s.reason != left_out.NO_FAULT_ADDRESS or tells != 0)]


def run_test(program, without, machine, environment, forks):
    """Runs a test's scenarios in one process, or, if some are omitted, each in a process.

    A test that forks is tried again if it hangs. Returns what went wrong, if anything.
    """
    runs = [[]]
    if without:
        everything = scenarios_of(program)
        if not without < set(everything):
            return f"the scenarios are {everything}, and {sorted(without)} are to be left out"
        runs = [[s] for s in everything if s not in without]
    fell_back = machine.membarrier
    for arguments in runs:
        done = emulator.emulate_here(machine, program, *arguments, **environment)
        if done.returncode == emulator.HUNG and forks:
            print(f"RUN AGAIN: {program.name} {' '.join(arguments)}: {AGAIN}\n{done.stdout}", flush=True)
            done = emulator.emulate_here(machine, program, *arguments, **environment)
        if done.returncode != 0:
            return f"exit code {done.returncode}\n{done.stdout}"
        fell_back |= "membarrier was missing" in done.stdout
    return "" if fell_back else "membarrier was to be missing, and nobody asked for it"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    emulator.require_tools()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # some scenarios die on purpose
    into, test = emulator.folder(pathlib.Path(sys.argv[1])), sys.argv[2]
    omissions, failed = omitted(into, test), 0
    for o in omissions:
        print(f"NOT RUN: {o.test} {o.name} ({', '.join(o.ways)}): {o.reason}")
    for machine in emulator.MACHINES:
        for way, program, environment in ways_of(into, test):
            if not machine.membarrier and way not in (INLINE, ALL_WAYS):
                continue
            began = time.monotonic()
            without = {o.name for o in omissions if way in o.ways}
            wrong = run_test(program, without, machine, environment, test in FORKING)
            print(f"{test:<24}{way:<10}{machine.name:<9}{time.monotonic() - began:>6.1f}s  {wrong or 'ok'}", flush=True)
            failed += wrong != ""
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
