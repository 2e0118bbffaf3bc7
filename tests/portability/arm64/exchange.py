#!/usr/bin/env python3
"""An exchange between native processes and emulated ones for arm64, on one block.

Usage: exchange.py BUILD SONAME LDFLAGS, or exchange.py BUILD --all. SONAME and LDFLAGS are those of
the library's own build (cmake/Library.cmake); `ctest -R arm64 -V` shows them. The first way builds
the library and the workers for arm64 with what is quick, and makes two exchanges. With --all the
workers are those of build.py, and both machines call the library in both ways.

The runs show that the compiled code works, and that the programs of both architectures agree on the
bytes of a block. They show nothing about memory order: the emulator has the memory order of its
host.
"""

import argparse
import pathlib
import re
import select
import subprocess
import sys
import time

import emulator


class Worker:
    """A worker, as described in tests/README.md.

    `program` is a worker of this machine, or one for arm64 with its machine.
    """

    def __init__(self, program, machine, *arguments):
        words = [program] if machine is None else [emulator.EMULATOR, program]
        self.name = f"{'arm64' if machine else 'native'} {arguments[0]}"
        self.process = subprocess.Popen([*map(str, words), *arguments], bufsize=0, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        env=None if machine is None else emulator.variables(machine))

    def expect(self, pattern):
        if not select.select([self.process.stdout], [], [], 60)[0]:
            raise emulator.Failed(f"{self.name}: nothing within a minute, where {pattern} was to come")
        line = self.process.stdout.readline().decode().rstrip()
        if not re.fullmatch(pattern, line):
            raise emulator.Failed(f"{self.name} said '{line}', not {pattern}")
        return line

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def exchange(first, second, deliveries, each, directory):
    """A producer dies in the middle of a message. Its successor has the other architecture.

    Readers of both architectures read all messages. `deliveries` has those of each architecture.
    """
    workers = []

    def worker(kind, *arguments):
        workers.append(Worker(*kind, *arguments, f"--dir={directory}", "--slot-size=200"))
        return workers[-1]

    producing = ("produce", "exchange", "--flags=lossless", "--slots=8", "--spare=24")
    try:
        producer = worker(first, *producing)
        producer.expect("attached")
        readers = [(delivery, worker(kind, "consume", "exchange", f"--delivery={delivery}"))
                   for kind, its in zip((first, second), deliveries, strict=True) for delivery in its]
        for _, reader in readers:
            reader.expect("attached")
            reader.send("read 0")
        producer.send(f"write {each}")
        producer.expect(f"wrote={each} first=0 last={each - 1} end=OK")
        producer.send("claim")
        producer.expect(f"claimed {each}")
        producer.kill()
        producer = worker(second, *producing)
        producer.expect("attached")
        producer.send(f"write {each}")
        producer.expect(f"wrote={each} first={each} last={2 * each - 1} end=OK")
        producer.send("close")
        producer.expect("closed")
        for delivery, reader in readers:
            if delivery == "lossless":
                reader.expect(f"read={2 * each} missed=0 first=0 last={2 * each - 1} bad=0 sum=.* end=CLOSED")
            else:
                reader.expect(rf"read=[1-9]\d* missed=\d+ first=\d+ last={2 * each - 1} bad=0 sum=.* end=CLOSED")
    finally:
        for each_worker in workers:
            each_worker.kill()


def run_exchanges(workers, native, ways, deliveries, each):
    """Returns whether an exchange has failed.

    `ways` has pairs: how the emulated worker calls the library, and its machine. Each is on both
    sides once.
    """
    failed = []
    for way, machine in ways:
        emulated, here = (workers[way], machine), (native, None)
        for what, first, second in ((f"{way} {machine.name}, then native", emulated, here),
                                    (f"native, then {way} {machine.name}", here, emulated)):
            failed.append(emulator.fails(what, exchange, first, second, deliveries, each))
    return any(failed)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("soname", nargs="?")
    p.add_argument("ldflags", nargs="?")
    p.add_argument("--all", action="store_true")
    a = p.parse_args()
    if a.all == bool(a.ldflags):
        p.error("either SONAME and LDFLAGS, or --all")
    native = a.build.resolve() / "tests/c/worker"
    emulator.require_tools(cxx=False)
    if not native.exists():
        sys.exit(f"missing: {native}, this machine's own worker; cmake --build build --target tests builds it")
    every = ("lossless", "ordered", "latest")
    if a.all:
        workers = {way: emulator.folder(a.build) / f"worker.{way}" for way in ("exported", "inline")}
        ways = [(way, machine) for machine in emulator.MACHINES for way in workers]
        return run_exchanges(workers, native, ways, (every, every), each=5000)
    began = time.monotonic()
    into = emulator.folder(a.build) / "quick"
    emulator.build_library(a.build.resolve(), into, a.soname, a.ldflags)
    library = time.monotonic()
    workers = emulator.build_workers(into, emulator.QUICKLY)
    print(f"built: library {library - began:.1f} s, workers {time.monotonic() - library:.1f} s")
    # The exported functions are the inline functions, compiled into the library. The second
    # producer's architecture reads with each delivery.
    ways = [("inline", emulator.NEW), ("exported", emulator.OLD)]
    return run_exchanges(workers, native, ways, (("ordered",), every), each=1000)


if __name__ == "__main__":
    sys.exit(main())
