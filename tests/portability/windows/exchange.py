#!/usr/bin/env python3
"""Workers in C, C++ and Go exchange messages under Wine, and are killed at random moments.

The workers are those of tests/README.md: the C worker with exported functions (c) and with inline
ones (c_inline), the C++ worker (cpp), and the Go worker. Two checks:

  deliveries   a producer of each language, and readers of both with each delivery. The producer
               dies in the middle of a message, and a producer of the other language goes on
  kills        a producer or a reader dies at a random moment

After each death the next producer continues the ids, and a LOSSLESS witness has every message that
a producer reported as committed. Each reader checks every byte. run.py has the deaths at the crash
points.

Usage: exchange.py BUILD [--messages=N] [--kills=N]. BUILD is as in library.py. Exit code 77: the
tools are missing.
"""

import os
import pathlib
import random
import re
import select
import subprocess
import sys
import tempfile
import time

import checks
import headers
import wine

ROOT = wine.HERE.parents[2]
PATIENCE = 120  # seconds for one answer; a hundred messages have a second more
GEOMETRY = ["--slot-size=200"]
VICTIMS = ("c_inline", "go", "c", "cpp")
PRODUCING = ["--flags=lossless", "--slots=8", "--spare=24", *GEOMETRY]
DELIVERING = ["--flags=lossless", "--slots=64", "--spare=24", *GEOMETRY]


class Worker:
    """A worker under Wine. The program is a path, or an interpreter and what it runs."""

    def __init__(self, prefix, directory, program, role, *arguments, crash=""):
        variables = {"DATABLOCK_CRASH": crash} if crash else {}
        words = program if isinstance(program, tuple) else (program,)
        self.name, self.patience = f"{words[0].stem} {role}", PATIENCE
        self.process = prefix.start(*words, role, "block", f"--dir={prefix.path(directory)}", *arguments,
                                    variables=variables, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        self.rest = b""

    def line(self):
        """The next line, or None: the process has ended."""
        end = time.monotonic() + self.patience
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise checks.Failed(f"{self.name}: no answer within {self.patience} s")
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
            raise checks.Failed(f"{self.name} said {line!r}, not {pattern}")
        return found

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")

    def kill_alive(self):
        """Kills the worker, which has to be alive: an end of its own would pass for the kill."""
        if (code := self.process.poll()) is not None:
            raise checks.Failed(f"{self.name} ended by itself before the kill, with exit code {code}")
        self.process.kill()

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
        """Starts a worker. With `crash` it dies at this point, perhaps before it is attached."""
        worker = Worker(self.prefix, self.directory, program, role, *arguments, crash=crash)
        self.workers.append(worker)
        if attached:
            worker.expect("attached")
        return worker


def deliveries(prefix, programs, first, second, each):
    """A producer dies in the middle of a message, and its successor has the other language."""
    with Stage(prefix) as stage:
        producer = stage.start(programs[first], "produce", *DELIVERING)
        readers = [(delivery, stage.start(programs[name], "consume", f"--delivery={delivery}", *GEOMETRY))
                   for name in (first, second) for delivery in ("lossless", "ordered", "latest")]
        for _, reader in readers:
            reader.send("read 0")
        producer.patience += each // 100
        producer.send(f"write {each}")
        producer.expect(f"wrote={each} first=0 last={each - 1} end=OK")
        producer.send("claim")
        producer.expect(f"claimed {each}")
        producer.kill()
        producer = stage.start(programs[second], "produce", *DELIVERING)
        producer.patience += each // 100
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
        raise checks.Failed(f"the next producer begins at {first}, and {committed} messages were reported")
    successor.send("close")
    successor.expect("closed")
    witness.expect(rf"read={first + 20} missed=0 first=0 last={first + 19} bad=0 sum=.* end=CLOSED")


def reported(worker):
    """How many messages a producer with --echo has reported as committed, until it died."""
    count = 0
    while (line := worker.line()) is not None:
        count += line.startswith("committed ")
    return count


def producer_dies(prefix, programs, name, other):
    with Stage(prefix) as stage:
        producer = stage.start(programs[name], "produce", "--echo", *PRODUCING)
        witness = stage.start(programs[other], "consume", "--delivery=lossless", *GEOMETRY)
        witness.send("read 0")
        producer.send("write 100000000")
        time.sleep(random.uniform(0, 0.5))  # the moment of the kill is the test's input
        producer.kill_alive()
        aftermath(stage, programs[other], witness, reported(producer))


def consumer_dies(prefix, programs, name, other, delivery):
    with Stage(prefix) as stage:
        producer = stage.start(programs[other], "produce", "--echo", *PRODUCING)
        witness = stage.start(programs[other], "consume", "--delivery=lossless", *GEOMETRY)
        witness.send("read 0")
        reader = stage.start(programs[name], "consume", f"--delivery={delivery}", *GEOMETRY)
        reader.send("read 0")
        producer.send("write 300")
        time.sleep(random.uniform(0, 0.3))  # the moment of the kill is the test's input
        reader.kill_alive()
        count = 0
        while (line := producer.line()) is not None and not line.startswith("wrote="):
            count += line.startswith("committed ")
        if line is None or count != 300:
            raise checks.Failed(f"{producer.name} has reported {count} messages, then {line!r}")
        producer.send("close")
        producer.expect("closed")
        witness.expect(r"read=300 missed=0 first=0 last=299 bad=0 sum=.* end=CLOSED")


def programs_in(into, build):
    """The C workers beside the DLL, and the Go worker, all with crash points."""
    run = headers.Run(into)
    dll = build / "windows/test"
    (into / "datablock.dll").write_bytes((dll / "datablock.dll").read_bytes())
    programs = {}
    for name, compiler, standard, source, flags in (
            ("c", wine.COMPILER, "gnu11", "tests/c/worker.c", []),
            ("c_inline", wine.COMPILER, "gnu11", "tests/c/worker.c", ["-include", "datablock_inline.h"]),
            ("cpp", wine.COMPILER.replace("gcc", "g++"), "gnu++17", "tests/cpp/worker.cpp", [])):
        programs[name] = into / f"worker-{name}.exe"
        run.compile([compiler], f"-std={standard}", "-O2", *headers.CHECKED, *flags, ROOT / source, "-o",
                    programs[name], f"-L{dll}", "-ldatablock", "-static", "-lpthread")
    programs["go"] = into / "worker-go.exe"
    environment = {**os.environ, "GOOS": "windows", "GOARCH": "amd64", "CGO_ENABLED": "0", "GOWORK": "off"}
    done = subprocess.run(["go", "build", "-buildvcs=false", "-tags=crashpoints", "-o", programs["go"],
                           "./tests/go/worker"], cwd=ROOT,
                          env=environment, check=False)
    if run.failed or done.returncode != 0:
        sys.exit("the workers do not compile")
    return programs


def main():
    p = checks.parser(__doc__)
    p.add_argument("--messages", type=int, default=1000)
    p.add_argument("--kills", type=int, default=4)
    a = p.parse_args()
    wine.require_tools()
    failed = []

    def check(what, *play):
        if checks.fails(what, *play):
            failed.append(what)

    with tempfile.TemporaryDirectory() as into, wine.prefix(a.build) as prefix:
        programs = programs_in(pathlib.Path(into), a.build.resolve())
        for first, second in (("c_inline", "go"), ("go", "c_inline"), ("cpp", "c")):
            check(f"deliveries {first}, then {second}", deliveries, prefix, programs, first, second, a.messages)
        for i in range(a.kills):
            name, other = VICTIMS[i % 4], VICTIMS[(i + 1 + i // 4) % 4]
            check(f"kill {i}: producer {name} among {other}", producer_dies, prefix, programs, name, other)
            delivery = ("lossless", "ordered", "latest")[i % 3]
            check(f"kill {i}: {delivery} reader {name} among {other}", consumer_dies, prefix, programs, name, other,
                  delivery)
    print(f"{len(failed)} failed: {', '.join(failed) or 'none'}")
    return failed != []


if __name__ == "__main__":
    sys.exit(main())
