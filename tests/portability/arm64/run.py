#!/usr/bin/env python3
"""Builds the library with crash points, and the C tests, for arm64, and runs them under emulation.

The runs show that the compiled code works there, and that all programs agree on the interface and
on the bytes of a block. They show nothing about memory ordering: the emulator has the memory
ordering of its host.

With DATABLOCK_SOAK every C test runs in every way. Otherwise a choice runs (QUICK): with the inline
functions on the newer machine, and the tests that take a second also through Go and on the older
one. The older machine differs in two things: it has no atomic instructions of its own (every test
has atomics) and no membarrier (test_capi_handles). The exported functions are the inline functions,
compiled into the library by the same compiler, and the exchange below uses them.

The program needs a cross compiler and qemu (user mode). The exchange also needs the workers of this
machine's build. Usage: run.py BUILD SONAME LDFLAGS. The last two are those of the library's own
build (cmake/Library.cmake); `ctest -R arm64 -V` shows them.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SYSROOT = pathlib.Path("/usr/aarch64-linux-gnu")
COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/include"]
# The workers are compiled as a user compiles. Without always_inline the tests compile in a fifth of
# the time; with DATABLOCK_SOAK they have it.
AS_USERS = ["-O2", "-g1"]
QUICKLY = ["-O1", "-Dalways_inline=unused"]
# Seconds for one program. On a busy machine a program takes a sixth of that. Each program reports
# its own hangs much earlier.
LIMIT = 100
HUNG = -1000  # as an exit code
AGAIN = (
    "a scenario that forks beside the Go runtime's threads has hung here once, in about two thousand runs; "
    "without the emulator never, in thousands. Why is not known. What hangs twice "
         "has failed")


@dataclasses.dataclass
class Machine:
    """A processor, and whether its kernel has membarrier.

    Without membarrier the library executes a fence of its own at each call.
    """

    name: str
    cpu: str
    membarrier: bool = True


MACHINES = [
    Machine("new", "max"),  # with the atomic instructions of ARMv8.1
    Machine("old", "cortex-a53", membarrier=False),  # loads and stores in exclusive pairs
]

# How the tests call the library. A test that chooses the way of each call itself is built once.
INLINE, EXPORTED, GO = "inline", "exported", "go"
WAYS = {INLINE: ("inline", {}), EXPORTED: ("exported", {}), GO: ("exported", {"DATABLOCK_TEST_GO": "1"})}
ALL_WAYS = {"test_capi_mixed"}
# The tests of the quick run: handles and threads, every call, the types of schemas. The others take
# the same paths, and run natively in `make test`.
QUICK = {"test_capi", "test_capi_handles", "test_durable", "test_read_copy", "test_schema"}
# These take 5 to 20 s each time.
SLOW = {"test_capi_handles", "test_capi_mixed", "test_capi_processes", "test_pace", "test_shared", "test_threads",
        "test_wait_any"}
WITHOUT_MEMBARRIER = {"test_capi_handles"}
SOAK = "DATABLOCK_SOAK" in os.environ
NOT_HERE = {"test_hostile": "it truncates files under their readers, and needs the fault address",
            "test_memory_gone": "as test_hostile",
            "test_inside": "it has a syscall() of its own, as emulated.c has",
            "test_host": "it closes, counts and limits what is the emulator's, too",
            "test_system_calls": "it traces its child, and the emulator has no ptrace"}


@dataclasses.dataclass
class Omission:
    """A scenario that is not run, and why."""

    test: str
    scenario: str
    reason: str
    ways: tuple = (INLINE, EXPORTED, GO)


NO_FAULT_ADDRESS = (
    "this emulator leaves the fault address of a SIGBUS out of the signal's context (fault.c has just tried it), "
    "where Go reads it: "
                    "Go takes every fault for a nil pointer")
OMISSIONS = [
    Omission("test_capi_processes", "truncated-data-file", NO_FAULT_ADDRESS),
    Omission("test_capi_processes", "truncated-control-file", NO_FAULT_ADDRESS),
    Omission("test_capi_processes", "fault-detail", NO_FAULT_ADDRESS, ways=(GO,)),
    Omission("test_threads", "membarrier-refused-later", "the emulator has no seccomp"),
    Omission("test_threads", "destructors-in-every-round",
             "it measures memory, and the emulator keeps some for each thread that has ended"),
]


def command(*words, **options):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def require_tools(build):
    missing = [f"{tool} (Debian: {package})" for tool, package, there in (
        (COMPILER, "gcc-aarch64-linux-gnu", shutil.which(COMPILER)),
        (f"{SYSROOT}/include/stdlib.h", "libc6-dev-arm64-cross", (SYSROOT / "include/stdlib.h").exists()),
        ("qemu-aarch64", "qemu-user", EMULATOR),
        ("go", "see scripts/setup.sh", shutil.which("go"))) if not there]
    if missing:
        sys.exit("missing: " + ", ".join(missing) + "; `make setup` installs them on Debian and Ubuntu")
    worker = build / "tests/c/worker"
    if not worker.exists():
        sys.exit(f"missing: {worker}, this machine's own worker; cmake --build build --target tests builds it")


# ---- Building ------------------------------------------------------------------------------------


def build_library(into, soname, ldflags, overlay):
    environment = {**os.environ, "GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "1", "CC": COMPILER}
    command("go", "build", "-buildvcs=false", "-trimpath", "-buildmode=c-shared", "-tags=crashpoints",
            f"-overlay={overlay}", f"-ldflags={ldflags}",
            "-o", into / soname, "./capi", cwd=ROOT, env=environment)
    link = into / "libdatablock.so"
    link.unlink(missing_ok=True)
    link.symlink_to(soname)


def compiled(into, name, sources, *flags):
    program = into / name
    how = QUICKLY if name.startswith("test_") and not SOAK else AS_USERS
    command(COMPILER, "-std=gnu11", *FLAGS, *how, *flags, *sources, "-o", program, f"-L{into}", "-ldatablock",
            f"-Wl,-rpath,{into}", "-pthread")
    return program


def build_programs(into):
    """The C tests and the worker, by source and flavour."""
    emulated = [HERE / "emulated.c", f'-DEMULATOR="{EMULATOR}"']
    programs = {}
    for source in sorted((ROOT / "tests/c").glob("test_*.c")):
        if source.stem in NOT_HERE:
            print(f"NOT RUN: {source.stem}: {NOT_HERE[source.stem]}")
            continue
        if not SOAK and source.stem not in QUICK:
            continue
        for flavour, flags in (("exported", []), ("inline", ["-DTEST_INLINE"])):
            only = "exported" if source.stem in ALL_WAYS else "inline" if source.stem in SLOW and not SOAK else flavour
            if flavour == only:
                programs[source.stem, flavour] = compiled(into, f"{source.stem}.{flavour}", [source, *emulated], *flags)
    worker = ROOT / "tests/c/worker.c"
    programs["worker", "exported"] = compiled(into, "worker.exported", [worker])
    programs["worker", "inline"] = compiled(into, "worker.inline", [worker], "-D_GNU_SOURCE", "-include",
                                            "datablock_inline.h")
    programs["fault", ""] = compiled(into, "fault", [HERE / "fault.c"])
    for header_test in ("public.c", "layout.c"):
        command(COMPILER, "-std=c11", *FLAGS, "-fsyntax-only", ROOT / "tests/abi" / header_test)
    return programs


# ---- The C tests ---------------------------------------------------------------------------------


def emulate(machine, *words, **more):
    environment = {**os.environ, "QEMU_LD_PREFIX": str(SYSROOT), "QEMU_CPU": machine.cpu, **more}
    if not machine.membarrier:
        environment["TEST_NO_MEMBARRIER"] = "1"
    process = subprocess.Popen([EMULATOR, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env=environment,
                               stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=LIMIT)
        return subprocess.CompletedProcess(words, process.returncode, said)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the processes that it started have its pipe too
        said, _ = process.communicate()
        return subprocess.CompletedProcess(words, HUNG, f"{said}\nno end after {LIMIT} s")


def emulate_here(machine, *words, **more):
    """Runs a program with a directory for blocks, and removes the directory in every case."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="datablock-arm64-") as directory:
        os.chmod(directory, 0o755)  # one test continues as another user
        return emulate(machine, *words, TMPDIR=directory, **more)


def scenarios_of(program):
    """The names of a program's scenarios. The program lists them when it gets an unknown name."""
    return re.findall(r"^ {4}(\S+)$", emulate(MACHINES[0], program, "?").stdout, re.M)


def omitted(programs):
    """The scenarios that this emulator cannot run. Some emulators report no fault address."""
    tells = emulate(MACHINES[0], programs["fault", ""]).returncode
    if tells not in (0, 3):
        sys.exit(f"fault.c: exit code {tells}")
    return [o for o in OMISSIONS if o.reason != NO_FAULT_ADDRESS or tells != 0]


def run_test(program, without, machine, environment):
    """Runs a test's scenarios in one process, or, if some are omitted, each in a process of its
    own.

    Returns what went wrong, if anything.
    """
    everything = scenarios_of(program)
    if not everything or not without <= set(everything):
        return f"the scenarios are {everything}, without any of {sorted(without)}"
    runs = [[s] for s in everything if s not in without] if without else [[]]
    fell_back = machine.membarrier
    for arguments in runs:
        done = emulate_here(machine, program, *arguments, **environment)
        if done.returncode == HUNG:
            print(f"RUN AGAIN: {program.name} {' '.join(arguments)}: {AGAIN}\n{done.stdout}", flush=True)
            done = emulate_here(machine, program, *arguments, **environment)
        if done.returncode != 0:
            return f"exit code {done.returncode}\n{done.stdout}"
        fell_back |= "membarrier was missing" in done.stdout
    return "" if fell_back else "membarrier was to be missing, and nobody asked for it"


def in_quick_run(test, way, machine):
    """Whether a test runs in this way without DATABLOCK_SOAK."""
    if test not in SLOW:
        return way != EXPORTED
    return way in (INLINE, "all") and (machine.membarrier is not False or test in WITHOUT_MEMBARRIER)


def run_tests(programs, omissions):
    failed = 0
    print(f"\n{'test':<24}{'way':<10}{'machine':<9}{'time':>7}  verdict")
    for test in sorted({name for name, _ in programs if name.startswith("test_")}):
        for machine in MACHINES:
            for way, (flavour, environment) in WAYS.items() if test not in ALL_WAYS else [("all", ("exported", {}))]:
                if machine.membarrier is False and way not in (INLINE, "all"):
                    # Go's code is the same there. The exported functions are the inline ones in the
                    # library.
                    continue
                if not (SOAK or in_quick_run(test, way, machine)):
                    continue
                began = time.monotonic()
                without = {o.scenario for o in omissions if o.test == test and way in o.ways}
                wrong = run_test(programs[test, flavour], without, machine, environment)
                print(f"{test:<24}{way:<10}{machine.name:<9}{time.monotonic() - began:>6.1f}s  {wrong or 'ok'}",
                      flush=True)
                failed += wrong != ""
    return failed


# ---- Processes of both architectures on one block ------------------------------------------------


class Failed(Exception):
    pass


class Worker:
    """A worker, as described in tests/README.md.

    `program` is a worker of this machine, or one for arm64 with its machine.
    """

    def __init__(self, program, machine, *arguments):
        environment, words = dict(os.environ), [program]
        if machine is not None:
            environment |= {"QEMU_LD_PREFIX": str(SYSROOT), "QEMU_CPU": machine.cpu}
            words = [EMULATOR, program]
        self.name = f"{'arm64' if machine else 'native'} {arguments[0]}"
        self.process = subprocess.Popen([*map(str, words), *arguments], bufsize=0, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=environment)

    def expect(self, pattern):
        if not select.select([self.process.stdout], [], [], 60)[0]:
            raise Failed(f"{self.name}: nothing within a minute, where {pattern} was to come")
        line = self.process.stdout.readline().decode().rstrip()
        if not re.fullmatch(pattern, line):
            raise Failed(f"{self.name} said '{line}', not {pattern}")
        return line

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def exchange(first, second, directory, each=2000):
    """A producer dies in the middle of a message. Its successor has the other architecture.

    Readers of both architectures read all messages, with every delivery.
    """
    workers = []

    def worker(kind, *arguments):
        workers.append(Worker(*kind, *arguments, f"--dir={directory}", "--slot-size=200"))
        workers[-1].expect("attached")
        return workers[-1]

    producing = ("produce", "exchange", "--flags=lossless", "--slots=8", "--spare=24")
    try:
        producer = worker(first, *producing)
        readers = [(delivery, worker(kind, "consume", "exchange", f"--delivery={delivery}")) for kind in (first, second)
                   for delivery in ("lossless", "ordered", "latest")]
        for _, reader in readers:
            reader.send("read 0")
        producer.send(f"write {each}")
        producer.expect(f"wrote={each} first=0 last={each - 1} end=OK")
        producer.send("claim")
        producer.expect(f"claimed {each}")
        producer.kill()
        producer = worker(second, *producing)
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


def run_exchanges(programs, native):
    failed = 0
    print(f"\n{'producer':<10}{'successor':<11}{'way':<10}{'machine':<9}{'time':>7}  verdict")
    for machine in MACHINES:
        for way in ("inline", "exported"):
            emulated, here = (programs["worker", way], machine), (native, None)
            for first, second in ((emulated, here), (here, emulated)):
                began, wrong = time.monotonic(), ""
                with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="datablock-arm64-") as directory:
                    try:
                        exchange(first, second, directory)
                    except (Failed, OSError) as what:
                        wrong = str(what)
                names = ["native" if kind[1] is None else "arm64" for kind in (first, second)]
                print(f"{names[0]:<10}{names[1]:<11}{way:<10}{machine.name:<9}"
                      f"{time.monotonic() - began:>6.1f}s  {wrong or 'ok'}", flush=True)
                failed += wrong != ""
    return failed


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("soname")
    p.add_argument("ldflags")
    a = p.parse_args()
    build = a.build.resolve()
    into = build / "arm64"
    require_tools(build)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # some scenarios die on purpose
    into.mkdir(exist_ok=True)

    began = time.monotonic()
    build_library(into, a.soname, a.ldflags, build / "overlay_library.json")
    library = time.monotonic()
    programs = build_programs(into)
    print(f"{command(EMULATOR, '--version').splitlines()[0]}; built: library {library - began:.1f} s, "
          f"programs {time.monotonic() - library:.1f} s")
    for machine in MACHINES:
        print(f"machine \"{machine.name}\": {machine.cpu}, {'with' if machine.membarrier else 'without'} membarrier")
    omissions = omitted(programs)
    for o in omissions:
        print(f"NOT RUN: {o.test} {o.scenario} ({', '.join(o.ways)}): {o.reason}")

    failed = run_tests(programs, omissions) + run_exchanges(programs, build / "tests/c/worker")
    print(f"\n{failed} failed, {len(omissions)} scenarios not run, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
