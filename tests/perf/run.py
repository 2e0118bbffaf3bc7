#!/usr/bin/env python3
"""Counts the instructions of a message with callgrind.

The program fails in two cases: a count has grown by more than a tenth since it was recorded, or a
C++ transaction takes more than a few instructions beyond its inline functions. (A read also checks
for holds that ended out of order and wait for their release.)

The same compiler gives the same number for a read on every machine. The number for a write varies
by a twentieth, because callgrind may or may not see the work of a tick. recorded.json has the
numbers for each compiler version. `--record` writes those of this compiler. Usage: run.py BUILD
[--record]
"""

import argparse
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RECORDED = HERE / "recorded.json"
DELIVERIES = {"LOSSLESS": 1, "ORDERED": 2, "LATEST": 3}
COUNTED = [("write_messages", "LOSSLESS"), *(("read_messages", delivery) for delivery in DELIVERIES)]
COUNT = 10_000
ATTEMPTS = 5
GROWTH = 1.10
# instructions; those of gcc 12 are 5, 9, 9, 12
SURCHARGE = {"write": 6, "read LOSSLESS": 10, "read ORDERED": 10, "read LATEST": 13}


def command(*words, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def compiled(build, way, into):
    program = into / way
    if way == "transaction":
        compiler = [os.environ.get("CXX", "c++"), "-std=gnu++17", HERE / "messages.cpp"]
    else:
        compiler = [os.environ.get("CC", "cc"), "-std=gnu11", *(["-DEXPORTED"] if way == "exported" else []),
                    HERE / "messages.c"]
    command(*compiler, "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", "-o", program, f"-L{build}",
            "-ldatablock", f"-Wl,-rpath,{build}")
    return program


def counted(program, function, delivery, directory, scratch, count=COUNT, command=command):
    """The instructions of a message in one function and its callees. `command` runs a program.

    The Go runtime preempts by signals, which disturb callgrind, so preemption is switched off.

    Some calls enter Go. Then callgrind counts nothing until the next batch. So the program counts
    the messages that callgrind has seen: each of them ends with a call of counted(). On a busy
    machine callgrind may miss most of them, and the measurement is repeated.
    """
    profile = pathlib.Path(scratch) / "callgrind.out"
    for _ in range(ATTEMPTS):
        output = command("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--compress-strings=no",
                         f"--toggle-collect={function}",
                         program, directory, delivery, count, env={**os.environ, "GODEBUG": "asyncpreemptoff=1"})
        messages = sum(
            map(int, re.findall(r"^cfn=counted\n(?:c\w+=.*\n)*?calls=(\d+)", profile.read_text(), re.MULTILINE)))
        if count / 2 < messages <= count:
            return int(re.search(r"Collected : (\d+)", output)[1]) / messages
    sys.exit(f"{program} {delivery}: {messages} of {count} messages were seen in {function}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing: make setup installs it")
    compiler = command(os.environ.get("CC", "cc"), "--version").splitlines()[0]
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    before = recorded.get(compiler, {})
    now, grown, costly = {}, [], []
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(dir="/dev/shm",
                                                                               prefix="datablock-count-") as directory:
        print(f"{compiler}\ninstructions a message         now  recorded")
        programs = {way: compiled(build, way, pathlib.Path(scratch)) for way in ("inline", "transaction", "exported")}
        for way, (function, delivery) in itertools.product(programs, COUNTED):
            of_what = (function, DELIVERIES[delivery], directory, scratch)
            what = "write" if function == "write_messages" else f"read {delivery}"
            key, beside = f"{way} {what}", now.get(f"inline {what}", math.inf)
            old = before.get(key)
            most = math.inf if old is None else old * GROWTH
            surcharge = SURCHARGE[what] if way == "transaction" else math.inf
            now[key] = counted(programs[way], *of_what)
            # A busy machine blurs the count: more clock reads, and callgrind misses some of them.
            for _ in range(ATTEMPTS):
                if now[key] <= most and now[key] <= beside + surcharge:
                    break
                now[key] = min(now[key], counted(programs[way], *of_what))
                beside = max(beside, counted(programs["inline"], *of_what))
            print(f"  {key:24} {now[key]:7.1f} {old if old is not None else '-':>9}")
            if now[key] > most:
                grown.append(key)
            if now[key] > beside + surcharge:
                costly.append(key)
    if costly:
        sys.exit(f"too far above the inline functions: {', '.join(costly)}")
    if arguments.record:
        recorded[compiler] = {key: round(value, 1) for key, value in now.items()}
        RECORDED.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
        return
    if not before:
        print("NOT COMPARED: nothing is recorded for this compiler. Record it on a tree that is known to be good: "
              f"{HERE / 'run.py'} {build} --record")
    if grown:
        sys.exit(
            f"more than a tenth above what is recorded: {', '.join(grown)}. If that is worth it: "
            f"{HERE / 'run.py'} {build} --record, and say why in the commit")


if __name__ == "__main__":
    main()
