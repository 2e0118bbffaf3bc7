#!/usr/bin/env python3
"""Builds for arm64 what `make test-arm64` runs: the library, datablock-admin, the tests.

Usage: build.py BUILD SONAME LDFLAGS [NAME]. SONAME and LDFLAGS are those of the library's own build
(cmake/Library.cmake). With NAME only this C or C++ test is built again: c/test_capi.

BUILD/arm64/native is a build folder in which every program is a script that emulates. The tests of
processes find their workers there.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import sys
import time

import emulator
import left_out
from emulator import AS_USERS, HERE, PREFIX, QUICKLY, ROOT, compiled

# This test chooses the way of each call itself.
ALL_WAYS = {"test_capi_mixed"}
# The inline functions of these are compiled as a user compiles. The others would take minutes so.
INLINE_AS_USERS = {"test_capi", "test_threads"}
CPP_FLAGS = ["-Wshadow", "-Wconversion"]


def c_programs(into):
    """The C tests, and fault.c for c_tests.py, as the arguments of compiled()."""
    emulated = [into / "emulated.o"]
    for source in sorted((ROOT / "tests/c").glob("test_*.c")):
        if source.stem in left_out.C_TESTS:
            continue
        yield f"c/{source.stem}.exported", [source, *emulated], [], AS_USERS, "gcc"
        if source.stem not in ALL_WAYS:
            how = AS_USERS if source.stem in INLINE_AS_USERS else QUICKLY
            yield f"c/{source.stem}.inline", [source, *emulated], ["-DTEST_INLINE"], how, "gcc"
    yield "fault", [HERE / "fault.c"], [], QUICKLY, "gcc"


def cpp_programs(into):
    """The C++ tests and the C++ worker."""
    emulated = into / "emulated.o"
    for source in sorted((ROOT / "tests/cpp").glob("test_*.cpp")):
        flags = [*CPP_FLAGS, "-ldl"]
        sources = [source, emulated]
        if source.stem == "test_moved":
            flags = [f'-DPLUGIN="{into}/moved.plugin.so"', "-fvisibility=hidden", "-fvisibility-inlines-hidden", *flags]
            sources.append(into / "moved.linked.so")
        yield f"cpp/{source.stem}.inline", sources, flags, QUICKLY, "g++"
        if source.stem == "test_transactions":
            yield f"cpp/{source.stem}.exported", sources, ["-DTEST_EXPORTED", *flags], ["-O0"], "g++"
    yield "worker_cpp", [ROOT / "tests/cpp/worker.cpp"], [], QUICKLY, "g++"


def parts_of_programs(into):
    """What other programs are linked with."""
    emulator.command(f"{PREFIX}gcc", "-std=gnu11", *emulator.FLAGS, *AS_USERS, "-c", HERE / "emulated.c",
                     f'-DEMULATOR="{emulator.EMULATOR}"', "-o", into / "emulated.o")
    for kind in ("linked", "plugin"):
        compiled(into, f"moved.{kind}.so", [ROOT / "tests/cpp/moved_library.cpp"], *CPP_FLAGS, "-shared", "-fPIC",
                 "-fvisibility=hidden", "-fvisibility-inlines-hidden", compiler="g++")


def headers():
    """The layout and the prototypes, checked by the compiler alone."""
    for source in ("public.c", "layout.c"):
        emulator.command(f"{PREFIX}gcc", "-std=c11", *emulator.FLAGS, "-fsyntax-only", ROOT / "tests/abi" / source)
        emulator.command(f"{PREFIX}g++", "-std=c++17", *emulator.FLAGS, "-fsyntax-only", "-x", "c++",
                         ROOT / "tests/abi" / source)


def build_go(into, overlay):
    """datablock-admin, the Go worker, and the native test that runs the workers."""
    emulator.command("go", "build", "-buildvcs=false", "-trimpath", "-o", into / "datablock-admin",
                     "./datablock-admin", cwd=ROOT / "cmd", env=emulator.go_environment(cgo=False))
    emulator.command("go", "build", "-buildvcs=false", f"-overlay={overlay}", "-tags=crashpoints", "-ldflags=-s -w",
                     "-o", into / "worker_go", "./tests/go/worker", cwd=ROOT, env=emulator.go_environment(cgo=False))
    emulator.command("go", "test", "-c", "-buildvcs=false", "-vet=off", "-ldflags=-s -w", "-o", into / "process.test",
                     "./tests/go/process", cwd=ROOT)


def native_folder(build, into):
    """A build folder whose programs emulate. Python is native, with this machine's own library.

    As in other builds the C worker calls the exported functions. Only these have the crash points
    of the side `c`.
    """
    native = into / "native"
    shutil.rmtree(native, ignore_errors=True)
    for name, program in (("tests/c/worker", "worker.exported"), ("tests/cpp/worker", "worker_cpp"),
                          ("tests/go/worker", "worker_go"), ("datablock-admin", "datablock-admin")):
        emulator.script(native / name, into / program)
    (native / "test").mkdir()
    (native / "test/libdatablock.so").symlink_to(build / "test/libdatablock.so")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("soname")
    p.add_argument("ldflags")
    p.add_argument("name", nargs="?")
    a = p.parse_args()
    emulator.require_tools()
    build, into, began = a.build.resolve(), emulator.folder(a.build), time.monotonic()
    emulator.build_library(build, into, a.soname, a.ldflags)
    for language in ("c", "cpp"):
        (into / language).mkdir(exist_ok=True)
    parts_of_programs(into)
    wanted = [w for w in (*c_programs(into), *cpp_programs(into)) if a.name in (None, w[0].split(".")[0])]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [pool.submit(compiled, into, name, sources, *flags, how=how, compiler=compiler)
                   for name, sources, flags, how, compiler in wanted]
        for one in running:
            one.result()
    if a.name is None:
        emulator.build_workers(into, AS_USERS)
        build_go(into, build / "overlay.json")
        headers()
        native_folder(build, into)
    print(f"{len(wanted)} programs of C and C++ in {into}: {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
