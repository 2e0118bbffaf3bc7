#!/usr/bin/env python3
"""Runs the Go tests of a package, built for arm64, under emulation.

Usage: go_tests.py BUILD PACKAGE[.crashpoints] [SKIP], or go_tests.py BUILD processes FLAG REGEX. A
package is a folder. SKIP is a list of tests that the ordinary run leaves out as well. FLAG is
-test.run or -test.skip.

`processes` is tests/go/process. The test itself is native. Its workers in Go, C and C++ are
emulated, its Python workers are native. So each exchange, repair and diagnosis is between both
architectures.
"""

import os
import pathlib
import sys

import emulator
import left_out
from emulator import ROOT

SHORT = [] if "DATABLOCK_SOAK" in os.environ else ["-test.short"]
LIMIT = 7000  # seconds


def skipping(package, listed, skip):
    """What -test.skip gets. Each name of the table must be a test."""
    left_out_here = left_out.GO_TESTS.get(package, {})
    for name, reason in left_out_here.items():
        if name not in listed:
            sys.exit(f"left_out.py: {package} has no test {name}")
        print(f"NOT RUN: {name}: {reason}", flush=True)
    return [f"^({'|'.join(left_out_here)})$"] if left_out_here else [], [skip] if skip else []


def run_package(build, part, skip):
    package = part.removesuffix(".crashpoints")
    into = emulator.folder(build) / "go"
    program = into / f"{'datablock' if part == '.' else part.replace('/', '_')}.test"
    module, name = (ROOT / "cmd", package.removeprefix("cmd/")) if package.startswith("cmd/") else (ROOT, package)
    into.mkdir(parents=True, exist_ok=True)
    emulator.command("go", "test", "-c", "-buildvcs=false", "-vet=off", "-ldflags=-s -w",
                     f"-overlay={build / 'overlay.json'}", *(["-tags=crashpoints"] if package != part else []),
                     "-o", f"{program}.arm64", f"./{name}", cwd=module,
                     env=emulator.go_environment(cgo=package == "capi"))
    emulator.script(program, f"{program}.arm64")
    listed = emulator.command(program, "-test.list=.", cwd=module / name).split()
    return run([program, "-test.v"], package, listed, skip, module / name, {})


def run_processes(build, flag, regex):
    native, folder = emulator.folder(build) / "native", ROOT / "tests/go/process"
    program = emulator.folder(build) / "process.test"
    if not program.exists():
        sys.exit(f"missing: {program}, which build.py builds; `make test-arm64` runs it")
    workers = {"DATABLOCK_BUILD": str(native), "DATABLOCK_GO_WORKER": str(native / "tests/go/worker"),
               "DATABLOCK_PATIENCE": "60s"}
    listed = emulator.command(program, "-test.list=.", cwd=folder, env={**os.environ, **workers}).split()
    arguments, skip = (["-test.run", regex], "") if flag == "-test.run" else ([], regex)
    return run([program, "-test.v", "-test.parallel=2", *arguments], "processes", listed, skip, folder, workers)


def run(words, package, listed, skip, folder, more):
    names = "|".join(part for parts in skipping(package, listed, skip) for part in parts)
    if names:
        words.append(f"-test.skip={names}")
    with emulator.blocks() as directory:
        done = emulator.run([*words, *SHORT, f"-test.timeout={LIMIT}s"], LIMIT + 60, cwd=folder,
                            env={**os.environ, "DATABLOCK_DIR": directory, **more})
    print(done.stdout, end="")
    if "--- PASS" not in done.stdout:
        print(f"{package}: no test has passed")
        return 1
    if done.returncode != 0:
        print(f"{package}: exit code {done.returncode}")
    return 0 if done.returncode == 0 else 1


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    emulator.require_tools()
    build, part, rest = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3:]
    if part == "processes":
        return run_processes(build, *rest)
    return run_package(build, part, *(rest or [""]))


if __name__ == "__main__":
    sys.exit(main())
