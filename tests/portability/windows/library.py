#!/usr/bin/env python3
"""Builds the C tests for Windows, and runs them under Wine with datablock.dll.

Each test runs with the inline functions, with the exported ones, and with every call in Go, as on
Linux (tests/c/programs.cmake). A test that chooses for each call itself is built once.

Usage: library.py BUILD [TEST]... BUILD has windows/test/datablock.dll, which
`cmake --build BUILD --target windows_test_dll` makes. A TEST is a name such as test_capi. Exit code
77: the tools are missing.
"""

import dataclasses
import pathlib
import re
import shutil
import sys
import tempfile
import time

import checks
import headers
import wine

ROOT = wine.HERE.parents[2]
LIMIT = 1800  # seconds for one program; each scenario reports its own hang earlier
INLINE, EXPORTED, GO = "inline", "exported", "go"
WAYS = {INLINE: (["-DTEST_INLINE"], {}), EXPORTED: ([], {}), GO: ([], {"DATABLOCK_TEST_GO": "1"})}
ALL_WAYS = {"test_capi_mixed"}
# The whole program. A scenario that is left out has its reason in the test.
NOT_RUN = {
    "test_capi_processes": "it forks, and truncates files that are mapped: neither is possible",
    "test_deaths": "it forks; exchange.py kills processes on Windows",
    "test_host": "it counts and limits the descriptors, signals and threads of a host on Linux",
    "test_hostile": "it truncates files that are mapped, which Windows refuses",
    "test_inside": "it calls the library in signal handlers and in forked children",
    "test_memory_gone": "it truncates files that are mapped, which Windows refuses",
    "test_system_calls": "it counts the system calls of a traced child",
    "test_threads": "it has pthread keys, cancellation and seccomp; test_windows.c has what Windows has of that",
}


@dataclasses.dataclass
class Program:
    name: str
    way: str
    file: pathlib.Path
    variables: dict


def build(into, library, wanted):
    """Compiles the tests beside the DLL."""
    run = headers.Run(into)
    programs = []
    shutil.copy(library / "datablock.dll", into)
    sources = [*sorted((ROOT / "tests/c").glob("test_*.c")), *sorted(wine.HERE.glob("test_*.c"))]
    checks.refuse_unknown(wanted, {source.stem for source in sources} - set(NOT_RUN))
    for source in sources:
        if source.stem in NOT_RUN:
            if not wanted:
                print(f"NOT RUN: {source.stem}: {NOT_RUN[source.stem]}")
            continue
        if wanted and source.stem not in wanted:
            continue
        for way, (flags, variables) in WAYS.items() if source.stem not in ALL_WAYS else [("all", ([], {}))]:
            file = into / f"{source.stem}.{'inline' if way == INLINE else 'exported'}.exe"
            if not file.exists():
                # winpthreads is a part of the test; the library needs no threads of POSIX
                run.compile([wine.COMPILER], "-std=gnu11", "-O2", "-g1", *headers.CHECKED, *flags,
                            source, "-o", file, f"-L{library}", "-ldatablock", "-static", "-lpthread", "-lpsapi")
            programs.append(Program(source.stem, way, file, variables))
    if run.failed:
        sys.exit(f"{run.failed} of {run.compiled} programs do not compile")
    return programs


def run_tests(prefix, programs):
    failed = []
    print(f"\n{'test':<24}{'way':<10}{'time':>7}  verdict")
    for program in programs:
        directory = tempfile.mkdtemp(dir=prefix.blocks)
        variables = {"DATABLOCK_DIR": prefix.path(directory), **program.variables}
        began = time.monotonic()
        code, said = prefix.run(program.file, limit=LIMIT, variables=variables, cwd=directory)
        # A folder stays while the process has a file of it mapped: the file goes with the process.
        left = [entry.name for entry in pathlib.Path(directory).rglob("*") if not entry.is_dir()]
        if code == 0 and left:
            code, said = 1, f"{said}\nleft behind: {left}"
        verdict = "ok" if code == 0 else f"exit code {code}\n{said}"
        print(f"{program.name:<24}{program.way:<10}{time.monotonic() - began:>6.1f}s  {verdict}", flush=True)
        for line in re.findall(r"^ *SKIPPED.*$", said, re.M):
            print(f"    {line.strip()}")
        if code != 0:
            failed.append(f"{program.name} {program.way}")
    return failed


def main():
    a = checks.parser(__doc__, "tests").parse_args()
    wine.require_tools()
    library = a.build.resolve() / "windows/test"
    with tempfile.TemporaryDirectory() as into, wine.prefix(a.build) as prefix:
        failed = run_tests(prefix, build(pathlib.Path(into), library, set(a.tests)))
    print(f"\n{len(failed)} failed: {', '.join(failed) or 'none'}")
    return failed != []


if __name__ == "__main__":
    sys.exit(main())
