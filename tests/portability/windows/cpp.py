#!/usr/bin/env python3
"""Builds the C++ tests for Windows, and runs them under Wine with datablock.dll.

Usage: cpp.py BUILD [TEST]... BUILD is as in library.py. A TEST is a name such as test_batch. Exit
code 77: the tools are missing.
"""

import pathlib
import shutil
import sys
import tempfile

import checks
import headers
import library
import wine

ROOT = wine.HERE.parents[2]
COMPILER = wine.COMPILER.replace("gcc", "g++-posix")  # with std::thread
NOT_RUN = {
    "test_moved": "it loads two shared objects that are built for it, by dlopen",
    "test_recovery": "it forks",
}


def build(into, dll, wanted):
    """Compiles the tests beside the DLL. -O1: at -O2 one of them takes a minute."""
    run = headers.Run(into)
    shutil.copy(dll / "datablock.dll", into)
    programs = []
    sources = sorted((ROOT / "tests/cpp").glob("test_*.cpp"))
    checks.refuse_unknown(wanted, {source.stem for source in sources})
    for source in sources:
        if source.stem in NOT_RUN and not wanted:
            print(f"NOT RUN: {source.stem}: {NOT_RUN[source.stem]}")
        elif not wanted or source.stem in wanted:
            file = into / f"{source.stem}.exe"
            run.compile([COMPILER], "-std=gnu++17", "-O1", *headers.CHECKED, source, "-o", file, f"-L{dll}",
                        "-ldatablock", "-static", "-lpthread", "-lpsapi")
            programs.append(library.Program(source.stem, library.INLINE, file, {}))
    if run.failed:
        sys.exit(f"{run.failed} of {run.compiled} programs do not compile")
    return programs


def main():
    a = checks.parser(__doc__, "tests").parse_args()
    wine.require_tools()
    with tempfile.TemporaryDirectory() as into:
        programs = build(pathlib.Path(into), a.build.resolve() / "windows/test", set(a.tests))
        with wine.prefix(a.build) as prefix:
            failed = library.run_tests(prefix, programs)
    print(f"\n{len(failed)} failed: {', '.join(failed) or 'none'}")
    return failed != []


if __name__ == "__main__":
    sys.exit(main())
