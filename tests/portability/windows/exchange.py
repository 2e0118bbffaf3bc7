#!/usr/bin/env python3
"""Workers in C and in Go exchange messages under Wine, and die.

The workers are those of tests/README.md: the C worker with inline functions, the same with exported
functions, and the Go worker. Three checks:

  deliveries   a producer of each language, and readers of both with each delivery. The producer
               dies in the middle of a message, and a producer of the other language goes on
  points       the C worker dies at each crash point of the C code that a write or a read reaches
  kills        a C producer or a C reader dies at a random moment

After each death the next producer continues the ids, and a LOSSLESS witness has every message that
a producer reported as committed. Each reader checks every byte.

Usage: exchange.py BUILD [--messages=N] [--kills=N]. BUILD is as in library.py. Exit code 77: the
tools are missing.
"""

import argparse
import os
import pathlib
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

import headers
import wine

ROOT = wine.HERE.parents[2]
KILLED = 137  # as internal/crash ends a process on Windows
PATIENCE = 120  # seconds for one answer
GEOMETRY = ["--slot-size=200"]
PRODUCING = ["--flags=lossless", "--slots=8", "--spare=24", *GEOMETRY]


class Failed(Exception):
    pass


class Worker:
    """A worker under Wine. The program is a path, or an interpreter and what it runs."""

    def __init__(self, prefix, directory, program, role, *arguments, crash=""):
        variables = {"DATABLOCK_CRASH": crash} if crash else {}
        words = program if isinstance(program, tuple) else (program,)
        self.name = f"{words[0].stem} {role}"
        self.process = prefix.start(*words, role, "block", f"--dir={prefix.path(directory)}", *arguments,
                                    variables=variables, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        self.rest = b""

    def line(self):
        """The next line, or None: the process has ended."""
        end = time.monotonic() + PATIENCE
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Failed(f"{self.name}: no answer within {PATIENCE} s")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                return None
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode().rstrip("\r")

    def expect(self, pattern):
        line = self.line()
        found = re.fullmatch(pattern, line or "")
        if not found:
            raise Failed(f"{self.name} said {line!r}, not {pattern}")
        return found

    def send(self, command):
        try:
            self.process.stdin.write(command.encode() + b"\n")
        except BrokenPipeError:
            pass  # the worker has died at a crash point

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Stage:
    """The processes of one block, which end with it."""

    def __init__(self, prefix):
        self.prefix, self.directory, self.workers = prefix, tempfile.mkdtemp(dir=prefix.blocks), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.workers:
            worker.kill()

    def start(self, program, role, *arguments, crash="", attached=True):
        worker = Worker(self.prefix, self.directory, program, role, *arguments, crash=crash)
        self.workers.append(worker)
        if attached:
            worker.expect("attached")
        return worker


def deliveries(prefix, programs, first, second, each):
    """A producer dies in the middle of a message, and its successor has the other language."""
    with Stage(prefix) as stage:
        producer = stage.start(programs[first], "produce", *PRODUCING)
        readers = [(delivery, stage.start(programs[name], "consume", f"--delivery={delivery}", *GEOMETRY))
                   for name in (first, second) for delivery in ("lossless", "ordered", "latest")]
        for _, reader in readers:
            reader.send("read 0")
        producer.send(f"write {each}")
        producer.expect(f"wrote={each} first=0 last={each - 1} end=OK")
        producer.send("claim")
        producer.expect(f"claimed {each}")
        producer.kill()
        producer = stage.start(programs[second], "produce", *PRODUCING)
        producer.send(f"write {each}")
        producer.expect(f"wrote={each} first={each} last={2 * each - 1} end=OK")
        producer.send("close")
        producer.expect("closed")
        for delivery, reader in readers:
            if delivery == "lossless":
                reader.expect(f"read={2 * each} missed=0 first=0 last={2 * each - 1} bad=0 sum=.* end=CLOSED")
            else:
                reader.expect(rf"read=[1-9]\d* missed=\d+ first=\d+ last={2 * each - 1} bad=0 sum=.* end=CLOSED")


def aftermath(stage, program, witness, committed):
    """The next producer continues, and the witness has everything."""
    successor = stage.start(program, "produce", *PRODUCING)
    successor.send("write 20")
    first = int(successor.expect(r"wrote=20 first=(\d+) last=\d+ end=OK")[1])
    if not committed <= first <= committed + 1:
        raise Failed(f"the next producer begins at {first}, and {committed} messages were reported")
    successor.send("close")
    successor.expect("closed")
    witness.expect(rf"read={first + 20} missed=0 first=0 last={first + 19} bad=0 sum=.* end=CLOSED")


def reported(worker):
    """How many messages a producer with --echo has reported as committed, until it died."""
    count = 0
    while (line := worker.line()) is not None:
        count += line.startswith("committed ")
    return count


def producer_dies(prefix, programs, name, crash):
    """Returns whether the producer has died at its crash point, or at a random moment."""
    with Stage(prefix) as stage:
        producer = stage.start(programs[name], "produce", "--echo", *PRODUCING, crash=crash, attached=False)
        if producer.line() is None:
            raise Failed(f"{producer.name} died before it had a block")
        witness = stage.start(programs["go"], "consume", "--delivery=lossless", *GEOMETRY)
        witness.send("read 0")
        producer.send("write 200" if crash else "write 100000000")
        if not crash:
            time.sleep(random.uniform(0, 0.5))  # the moment of the kill is the test's input
            producer.process.kill()
        count = reported(producer) if not crash else 0
        if crash:
            while (line := producer.line()) is not None and not line.startswith("wrote="):
                count += line.startswith("committed ")
            if line is not None:
                return False
            if producer.process.wait() != KILLED:
                raise Failed(f"{producer.name} ended with exit code {producer.process.returncode}")
        aftermath(stage, programs[name], witness, count)
    return True


def consumer_dies(prefix, programs, name, crash, delivery):
    with Stage(prefix) as stage:
        producer = stage.start(programs[name], "produce", "--echo", *PRODUCING)
        witness = stage.start(programs["go"], "consume", "--delivery=lossless", *GEOMETRY)
        witness.send("read 0")
        reader = stage.start(programs[name], "consume", f"--delivery={delivery}", *GEOMETRY, crash=crash)
        reader.send("read 0")
        producer.send("write 300")
        if not crash:
            time.sleep(random.uniform(0, 0.3))  # the moment of the kill is the test's input
            reader.process.kill()
        count = 0
        while (line := producer.line()) is not None and not line.startswith("wrote="):
            count += line.startswith("committed ")
        if line is None or count != 300:
            raise Failed(f"{producer.name} has reported {count} messages, then {line!r}")
        producer.send("close")
        producer.expect("closed")
        witness.expect(r"read=300 missed=0 first=0 last=299 bad=0 sum=.* end=CLOSED")
        if crash:
            if reader.line() is not None:
                return False
            if reader.process.wait() != KILLED:
                raise Failed(f"{reader.name} ended with exit code {reader.process.returncode}")
    return True


def crash_points():
    """The crash points of the C code."""
    files = [*(ROOT / "capi").glob("*.c"), *(ROOT / "include/datablock/detail").glob("*.h")]
    found = {point for file in files for point in re.findall(r'DATABLOCK_CRASH_POINT\("([^"]+)"\)', file.read_text())}
    if len(found) < 20:
        sys.exit(f"only {len(found)} crash points were found")
    return sorted(found)


def at_each_point(prefix, programs, failures):
    """Which points were reached: each with the exported functions."""
    reached = set()
    for point in crash_points():
        for what, play in (("producer", lambda p: producer_dies(prefix, programs, "c_exported", p)),
                           ("lossless", lambda p: consumer_dies(prefix, programs, "c_exported", p, "lossless")),
                           ("ordered", lambda p: consumer_dies(prefix, programs, "c_exported", p, "ordered"))):
            try:
                died = play(f"c/{point}:3")
            except (Failed, OSError) as wrong:
                failures.append(f"{what} at {point}: {wrong}")
                died = True
            if died:
                reached.add(point)
                print(f"    {point:<20} {what}", flush=True)
    return reached


def programs_in(into, build):
    """The C workers beside the DLL, and the Go worker."""
    run = headers.Run(into)
    dll = build / "windows/test"
    (into / "datablock.dll").write_bytes((dll / "datablock.dll").read_bytes())
    programs = {}
    for name, flags in (("c_exported", []), ("c_inline", ["-include", "datablock_inline.h"])):
        programs[name] = into / f"{name}.exe"
        run.compile([wine.COMPILER], "-std=gnu11", "-O2", *headers.CHECKED, *flags, ROOT / "tests/c/worker.c", "-o",
                    programs[name], f"-L{dll}", "-ldatablock", "-static", "-lpthread")
    programs["go"] = into / "go.exe"
    environment = {**os.environ, "GOOS": "windows", "GOARCH": "amd64", "CGO_ENABLED": "0", "GOWORK": "off"}
    done = subprocess.run(["go", "build", "-buildvcs=false", "-o", programs["go"], "./tests/go/worker"], cwd=ROOT,
                          env=environment, check=False)
    if run.failed or done.returncode != 0:
        sys.exit("the workers do not compile")
    return programs


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("--messages", type=int, default=1000)
    p.add_argument("--kills", type=int, default=4)
    a = p.parse_args()
    wine.require_tools()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the prefix is stopped in every case
    failures = []

    def check(what, play, *arguments):
        began, wrong = time.monotonic(), ""
        try:
            play(*arguments)
        except (Failed, OSError) as failure:
            wrong = str(failure)
            failures.append(f"{what}: {wrong}")
        print(f"{what:<44}{time.monotonic() - began:>6.1f}s  {wrong or 'ok'}", flush=True)

    with tempfile.TemporaryDirectory() as into, wine.prefix(a.build) as prefix:
        programs = programs_in(pathlib.Path(into), a.build.resolve())
        for first, second in (("c_inline", "go"), ("go", "c_inline"), ("c_exported", "go")):
            check(f"deliveries {first}, then {second}", deliveries, prefix, programs, first, second, a.messages)
        for i in range(a.kills):
            name = ("c_inline", "c_exported")[i % 2]
            check(f"kill {i}: producer {name}", producer_dies, prefix, programs, name, "")
            check(f"kill {i}: reader {name}", consumer_dies, prefix, programs, name, "",
                  ("lossless", "ordered", "latest")[i % 3])
        print("crash points:")
        reached = at_each_point(prefix, programs, failures)
        missed = sorted(set(crash_points()) - reached)
        print(f"{len(reached)} crash points reached, not reached by a write or a read: {', '.join(missed) or 'none'}")
    for failure in failures:
        print(f"FAILED: {failure}")
    return failures != []


if __name__ == "__main__":
    sys.exit(main())
