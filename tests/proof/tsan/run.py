#!/usr/bin/env python3
"""Runs exchange.c under ThreadSanitizer, then again with one memory order weakened at a time.

ThreadSanitizer has to report a data race for each weakened order. It follows release and acquire
only, and treats a sequentially consistent access as both. So it checks the orders that publish
something, here a payload. It misses the orders that keep two sides from both overlooking each other
(PIN and RECHECK, WAITING, LOSSLESS_MASK, ...). tests/proof/weak/ checks these.

Usage: run.py [--compiler gcc|clang] [--seconds S]. With DATABLOCK_SOAK=1 it runs for two minutes.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
FLAGS = ("-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=thread", "-pthread", "-D_GNU_SOURCE=",
         f"-I{ROOT}/include", f"-I{ROOT}/capi")
WEAKENINGS = ("PUBLISH", "ENTRY", "UNPIN", "PINS", "ADVANCE", "CURSOR")
LONGEST = 20  # seconds until a weakened order is reported


def command(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def build(compiler, program, *more):
    command(compiler, *FLAGS, *more, "-c", HERE / "exchange.c", "-o", f"{program}.o")
    # Both compilers use gcc's runtime. They call the same functions, and Debian's clang has no
    # runtime of its own.
    command("gcc", "-fsanitize=thread", "-pthread", f"{program}.o", "-o", program)


def run(program, seconds):
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1:exitcode=66"}
    done = subprocess.run([program, str(seconds)], capture_output=True, text=True, check=False, env=environment)
    if "unexpected memory mapping" in done.stderr:  # an old runtime, and a kernel with strong address randomization
        done = subprocess.run(["setarch", "-R", program, str(seconds)], capture_output=True, text=True, check=False,
                              env=environment)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--seconds", type=float, default=120 if os.environ.get("DATABLOCK_SOAK") else 3)
    arguments = parser.parse_args()
    for tool in {"gcc", arguments.compiler}:
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: make setup installs it")
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        program = pathlib.Path(scratch) / "exchange"
        build(arguments.compiler, program)
        done = run(program, arguments.seconds)
        print(f"{arguments.compiler}: {done.stdout}{done.stderr}", end="")
        if done.returncode != 0:
            sys.exit(f"exit code {done.returncode}")
        for order in WEAKENINGS:
            build(arguments.compiler, program, f"-DDATABLOCK_ORDER_{order}=__ATOMIC_RELAXED")
            done = run(program, LONGEST)
            where = re.search(r"SUMMARY: ThreadSanitizer: data race \S*/(\S+) in (\S+)", done.stderr)
            said = f"reported, in {where[2]}" if where else f"NOT REPORTED, exit code {done.returncode}"
            print(f"{order} relaxed: {said}", flush=True)
            failed += where is None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
