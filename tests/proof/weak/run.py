#!/usr/bin/env python3
"""Checks the inline fast path against the weak memory of C11.

Then the program weakens one memory order at a time, and applies one mutation at a time. The check
has to catch each of them. It needs gcc. README.md describes each scenario and each weakening.
"""

import argparse
import concurrent.futures
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

from mutations import MUTATIONS, mutate

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHECKER = ("memory", "forget", "scenario", "threads", "states", "search", "hooks")
WARNINGS = ("-std=gnu11", "-Wall", "-Wextra", "-Wno-tsan")
LIMIT = 1200  # seconds for one search


@dataclasses.dataclass
class Scenario:
    """A C file with its constants, and the number of states that a complete search has found.

    With fewer than half of these states the scenario has become weaker. The number varies a little
    between compilers, because their stacks look different.
    """

    name: str
    source: str
    states: int
    large: bool = False
    defines: dict = dataclasses.field(default_factory=dict)

    @property
    def floor(self):
        return self.states // 2


def scenario(name, source, states, large=False, **defines):
    return Scenario(name, source, states, large, defines)


LOSSLESS, ORDERED, LATEST = 1, 2, 3

SCENARIOS = [
    scenario("lossless", "readers.c", 256, N=2, MESSAGES=6, FIRST=LOSSLESS, SECOND=0),
    scenario("lossless-holds", "readers.c", 21_365, N=3, SPARE=1, MESSAGES=9, FIRST=LOSSLESS, SECOND=0, HOLDS=3),
    scenario("ordered", "readers.c", 12_476, N=2, MESSAGES=5, FIRST=ORDERED, SECOND=0),
    scenario("ordered-holds", "readers.c", 61_194, N=1, SPARE=3, MESSAGES=5, FIRST=ORDERED, SECOND=0, HOLDS=2),
    scenario("latest", "readers.c", 19_621, N=2, MESSAGES=5, FIRST=LATEST, SECOND=0),
    scenario("ordered-1", "readers.c", 41_537, N=1, MESSAGES=5, FIRST=ORDERED, SECOND=0),
    scenario("latest-1", "readers.c", 15_937, N=1, MESSAGES=4, FIRST=LATEST, SECOND=0),
    scenario("two", "readers.c", 12_873, N=2, MESSAGES=3, FIRST=LOSSLESS, SECOND=ORDERED),
    scenario("two-1", "readers.c", 4_251, N=1, MESSAGES=3, FIRST=LOSSLESS, SECOND=ORDERED),
    scenario("join-latest", "join.c", 3_427, N=2, MESSAGES=5),
    scenario("join-oldest", "join.c", 64_854, N=2, MESSAGES=5, OLDEST=1),
    scenario("attach", "join.c", 36_214, N=1, MESSAGES=4, DELIVERY=LATEST),
    scenario("leave", "join.c", 36_085, N=1, MESSAGES=4, DELIVERY=ORDERED, LEAVE=1),
    scenario("leave-lossless", "join.c", 10_449, N=2, MESSAGES=4, LEAVE=1),
    scenario("sleep", "sleep.c", 46_782, N=2, MESSAGES=4),
    scenario("sleep-1", "sleep.c", 16_913, N=1, MESSAGES=3),
    scenario("sleep-close", "sleep.c", 13_308, N=1, MESSAGES=2, CLOSE=1),
    scenario("sleep-pin", "sleep.c", 13_597, N=1, SPARE=1, MESSAGES=2, DELIVERY=ORDERED),
    scenario("sleep-unpin", "sleep.c", 20_724, N=1, SPARE=1, MESSAGES=3, DELIVERY=ORDERED, READS=1),
    scenario("sleep-latest", "sleep.c", 19_698, N=1, SPARE=1, MESSAGES=2, DELIVERY=LATEST),
    scenario("sleep-leave", "sleep.c", 23_922, N=1, MESSAGES=4, READS=2, LEAVE=1),
    scenario("sleep-leave-pin", "sleep.c", 28_826, N=1, SPARE=1, MESSAGES=3, DELIVERY=ORDERED, READS=1, LEAVE=1),
    scenario("replace", "replace.c", 1_386, N=2, MESSAGES=4),
    scenario("replace-abort", "replace.c", 1_296, N=2, MESSAGES=4, ABORTS=1),
    scenario("replace-reader", "replace.c", 3_583, N=1, MESSAGES=1, READER=LOSSLESS),
    scenario("large-two", "readers.c", 3_160_742, True, N=2, MESSAGES=5, FIRST=LOSSLESS, SECOND=ORDERED),
    scenario("large-two-1", "readers.c", 103_290, True, N=1, MESSAGES=4, FIRST=LOSSLESS, SECOND=ORDERED),
    scenario("large-two-pins", "readers.c", 4_758_956, True, N=1, MESSAGES=4, FIRST=ORDERED, SECOND=LATEST, ONCE=1),
    scenario("large-pins", "readers.c", 7_017_450, True, N=1, SPARE=3, MESSAGES=4, FIRST=ORDERED, SECOND=LATEST),
    scenario("large-holds", "readers.c", 309_521, True, N=1, SPARE=4, MESSAGES=6, FIRST=ORDERED, SECOND=0, HOLDS=3),
    scenario("large-join-oldest", "join.c", 120_473, True, N=2, MESSAGES=6, OLDEST=1),
    scenario("large-leave-oldest", "join.c", 153_530, True, N=2, MESSAGES=4, LEAVE=1, OLDEST=1),
    scenario("large-sleep-close", "sleep.c", 63_866, True, N=1, MESSAGES=3, CLOSE=1),
    scenario("large-sleep-pin", "sleep.c", 970_201, True, N=1, SPARE=1, MESSAGES=3, DELIVERY=ORDERED),
    scenario("large-sleep-latest", "sleep.c", 1_117_383, True, N=1, SPARE=1, MESSAGES=3, DELIVERY=LATEST),
    scenario("large-replace-reader", "replace.c", 645_718, True, N=1, MESSAGES=2, READER=LOSSLESS),
    scenario("large-replace", "replace.c", 265_921, True, N=2, MESSAGES=3, READER=LOSSLESS),
    scenario("large-replace-ordered", "replace.c", 157_812, True, N=1, MESSAGES=2, READER=ORDERED),
]

# The order, the weaker order, the scenario that catches it. README.md says why the other orders
# stay as they are.
WEAKENINGS = [
    ("PUBLISH", "ACQ_REL", "latest-1"),
    ("PUBLISH", "ACQ_REL", "join-latest"),
    ("PUBLISH", "ACQ_REL", "sleep-1"),
    ("PUBLISH", "ACQUIRE", "lossless"),
    ("ENTRY", "RELAXED", "lossless"),
    ("ENTRY", "ACQUIRE", "sleep-close"),
    ("ENTRY", "ACQUIRE", "sleep-pin"),
    ("SCAN_EPOCH", "RELAXED", "latest-1"),
    ("PIN", "ACQ_REL", "latest-1"),
    ("RECHECK", "ACQUIRE", "latest-1"),
    ("SCAN_EPOCH_AGAIN", "ACQUIRE", "latest-1"),
    ("SCAN_EPOCH_ADD", "ACQ_REL", "latest-1"),
    ("ACTIVE_MASK", "ACQUIRE", "attach"),
    ("PINS", "ACQUIRE", "latest-1"),
    ("PINS", "RELAXED", "latest"),
    ("JOIN_EPOCH_RESCAN", "RELAXED", "join-oldest"),
    ("LOSSLESS_MASK", "ACQUIRE", "join-latest"),
    ("CURSOR", "RELAXED", "lossless"),
    ("JOIN_ACK", "RELAXED", "join-oldest"),
    ("UNPIN", "RELAXED", "latest-1"),
    ("UNPIN", "ACQ_REL", "sleep-unpin"),
    ("ADVANCE", "RELAXED", "lossless"),
    ("ADVANCE", "ACQ_REL", "sleep-1"),
    ("PRODUCER_WAITING", "ACQUIRE", "sleep-1"),
    ("PRODUCER_WAITING", "ACQUIRE", "sleep-unpin"),
    ("WAITING", "ACQUIRE", "sleep-1"),
    ("PUBLISH", "ACQ_REL", "large-two-pins"),
    ("PIN", "ACQ_REL", "large-two-pins"),
    ("RECHECK", "ACQUIRE", "large-two-pins"),
    ("SCAN_EPOCH", "RELAXED", "large-two-pins"),
    ("SCAN_EPOCH_AGAIN", "ACQUIRE", "large-two-pins"),
    ("SCAN_EPOCH_ADD", "ACQ_REL", "large-two-pins"),
    ("PINS", "ACQUIRE", "large-two-pins"),
]

# The numbers that the compiler has for the orders (__ATOMIC_RELAXED and so on).
ORDERS = {"RELAXED": 0, "ACQUIRE": 2, "RELEASE": 3, "ACQ_REL": 4, "SEQ_CST": 5}

# Test, the order in question, whether RC11 allows the outcome (or the race).
LITMUS = [
    ("STORE_BUFFERING", "SEQ_CST", False),
    ("STORE_BUFFERING", "RELAXED", True),
    ("STORE_BUFFERING_SWAP", "SEQ_CST", False),
    ("STORE_BUFFERING_SWAP", "RELAXED", True),
    ("MESSAGE_PASSING", "RELEASE", False),
    ("MESSAGE_PASSING", "RELAXED", True),
    ("MESSAGE_PASSING_FENCES", "ACQUIRE", False),
    ("MESSAGE_PASSING_FENCES", "RELAXED", True),
    ("RELEASE_SEQUENCE", "RELEASE", False),
    ("RELEASE_SEQUENCE", "RELAXED", True),
    ("RELEASE_THEN_RELAXED", "RELAXED", True),
    ("SC_THEN_RELAXED", "SEQ_CST", False),
    ("SC_THEN_RELAXED", "RELEASE", False),
    ("SC_THEN_RELAXED", "RELAXED", True),
    ("TWO_PLUS_TWO_W", "SEQ_CST", False),
    ("TWO_PLUS_TWO_W", "RELEASE", True),
    ("TWO_PLUS_TWO_W", "RELAXED", True),
    ("LOAD_BUFFERING", "RELAXED", False),
    ("IRIW", "SEQ_CST", False),
    ("IRIW", "ACQUIRE", True),
    ("Z6_U", "SEQ_CST", False),
    ("Z6_U", "RELEASE", True),
    ("COHERENCE", "RELAXED", False),
    ("ATOMICITY", "RELAXED", False),
    ("FAILED_SWAP", "ACQUIRE", False),
    ("FAILED_SWAP", "RELAXED", True),
    ("HAZARD", "SEQ_CST", False),
    ("HAZARD PUBLISH", "ACQ_REL", True),
    ("HAZARD SCAN", "ACQUIRE", True),
    ("HAZARD PIN", "ACQ_REL", True),
    ("HAZARD RECHECK", "ACQUIRE", True),
    ("SLEEPER", "SEQ_CST", False),
    ("SLEEPER", "ACQUIRE", True),
]


@dataclasses.dataclass
class Result:
    states: int = 0
    depth: int = 0
    seconds: float = 0
    complete: bool = False
    violated: str = ""
    failure: str = ""


def command(arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}\n{done.stderr}")


def build_checker(workdir):
    workdir.mkdir(parents=True, exist_ok=True)
    for name in CHECKER:
        command(["gcc", *WARNINGS, "-Werror", "-O2", "-c", HERE / f"{name}.c", "-o", workdir / f"{name}.o"])


def build(workdir, name, source, defines, tree, *options):
    """Builds one scenario of the protocol in `tree`."""
    program = workdir / name
    flags = [f"-D{key}={value}" for key, value in defines.items()]
    flags += ["-D_GNU_SOURCE=", f"-I{tree / 'include'}", f"-I{tree / 'capi'}", *options]
    if tree == ROOT:
        flags.append("-Werror")
    # Only the compiler gets -fsanitize=thread, not the linker: the checker answers the calls.
    command(["gcc", *WARNINGS, "-O1", "-fsanitize=thread", *flags, "-c", HERE / source, "-o", f"{program}.o"])
    command(["gcc", f"{program}.o", *(workdir / f"{c}.o" for c in CHECKER), "-o", program])
    return program


def search(workdir, name, program, *arguments):
    begin = time.monotonic()
    try:
        done = subprocess.run(
            [program, "-t", *arguments], capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return Result(failure=f"not done within {LIMIT} s")
    (workdir / f"{name}.out").write_text(done.stdout + done.stderr)
    return read(done, time.monotonic() - begin)


def read(done, seconds):
    r = Result(seconds=seconds)
    if m := re.search(r"^states (\d+) .* depth (\d+)", done.stdout, re.M):
        r.states, r.depth = int(m[1]), int(m[2])
    if m := re.search(r"^violated: (.*)", done.stdout, re.M):
        r.violated = m[1]
    r.complete = done.returncode == 0
    if not r.complete and not r.violated:
        r.failure = (done.stdout + done.stderr).strip()[-200:] or f"exit status {done.returncode}"
    return r


def check(workdir, name, source, defines, tree=ROOT):
    """Builds one scenario of the protocol in `tree` and searches it."""
    try:
        program = build(workdir, name, source, defines, tree)
    except RuntimeError as e:
        return Result(failure=str(e))
    return search(workdir, name, program)


def litmus(workdir, test, order):
    name, _, part = test.partition(" ")
    defines = {name: 1, "ORDER": f"__ATOMIC_{order}"}
    if name == "HAZARD":
        defines |= {p: "__ATOMIC_SEQ_CST" for p in ("PUBLISH", "SCAN", "PIN", "RECHECK")}
        if part:
            defines[part] = f"__ATOMIC_{order}"
    return check(workdir, f"litmus.{test.replace(' ', '.')}.{order}", "litmus.c", defines)


def order_numbers():
    """The orders of the protocol: name -> (number, order in the code)."""
    text = (ROOT / "include/datablock/detail/orders.h").read_text()
    named = re.findall(r"^#define DATABLOCK_ORDER_(\w+) __ATOMIC_(\w+)$", text, re.M)
    return {name: (number, order) for number, (name, order) in enumerate(named)}


class Program:
    """A scenario whose orders are chosen when it starts. It is built at its first search."""

    def __init__(self, workdir, s):
        self.workdir, self.scenario = workdir, s
        self.orders = order_numbers()
        self.lock = threading.Lock()
        self.built = None

    def build(self):
        with self.lock:
            if self.built is None:
                s = self.scenario
                chosen = {f"DATABLOCK_ORDER_{name}": f"weak_order[{number}]"
                          for name, (number, _) in self.orders.items()}
                self.built = build(self.workdir, s.name, s.source, s.defines | chosen, ROOT,
                                   "-include", HERE / "run_orders.h", "-Wno-ignored-qualifiers")
            return self.built

    def search(self, weakening=None):
        name, chosen = self.scenario.name, dict(self.orders.values())
        if weakening:
            order, weaker = weakening
            name += f".{order}.{weaker}"
            chosen |= {self.orders[o][0]: weaker for o in order.split("+")}
        arguments = [f"{number}={ORDERS[order]}" for number, order in chosen.items()]
        try:
            program = self.build()
        except RuntimeError as e:
            return Result(failure=str(e))
        return search(self.workdir, name, program, *arguments)


def mutated(workdir, s, m):
    tree = workdir / "mutations" / m.name
    try:
        mutate(ROOT, tree, m)
    except RuntimeError as e:
        return Result(failure=str(e))
    return check(workdir, f"{s.name}.{m.name}", s.source, s.defines, tree)


class Report:
    """Prints one line for each run, and counts the verdicts."""

    def __init__(self):
        self.passed = self.failed = 0

    def verdict(self, fine):
        self.passed, self.failed = (self.passed + 1, self.failed) if fine else (self.passed, self.failed + 1)

    def litmus(self, verdicts):
        if verdicts:
            print(f"{'litmus test':<26}{'order':<12}  RC11")
        for test, order, allowed, run in verdicts:
            r = run.result()
            right = not r.failure and bool(r.violated) == allowed
            self.verdict(right)
            said = "" if right else f", but the checker says {r.failure or r.violated or 'forbidden'}"
            print(f"{test:<26}{order:<12}  {'allowed' if allowed else 'forbidden'}{said}", flush=True)

    def scenarios(self, scenarios, runs):
        if scenarios:
            print(f"\n{'scenario':<24}{'states':>11}{'floor':>11}{'depth':>8}{'time':>8}  verdict")
        for s in scenarios:
            r = runs[s.name].result()
            trouble = r.failure or ("violated: " + r.violated if r.violated else "")
            if not trouble and r.states < s.floor:
                trouble = "fewer states than the floor: the scenario got weaker"
            self.verdict(not trouble)
            print(f"{s.name:<24}{r.states:>11}{s.floor:>11}{r.depth:>8}{r.seconds:>7.1f}s  {trouble or 'holds'}",
                  flush=True)

    def faults(self, title, faults):
        """Reports weakenings or mutations: the check has to catch each of them."""
        if faults:
            print(f"\n{title:<40}{'scenario':<18}{'depth':>6}{'time':>8}  caught as")
        for what, s, run in faults:
            r = run.result()
            caught = bool(r.violated) and not r.failure
            self.verdict(caught)
            said = r.violated if caught else "NOT CAUGHT " + r.failure
            print(f"{what:<40}{s.name:<18}{r.depth:>6}{r.seconds:>7.1f}s  {said}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--large", action="store_true", help="the larger scenarios too")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--only", metavar="NAME",
                   help="one scenario with its weakenings and mutations, or one order, or one mutation")
    p.add_argument("--workdir", type=pathlib.Path, default=ROOT / "build" / "weak")
    a = p.parse_args()

    scenarios = [s for s in SCENARIOS if a.large or not s.large]
    by_name = {s.name: s for s in SCENARIOS}
    weakenings = [(o, w, by_name[s]) for o, w, s in WEAKENINGS]
    mutations = [(m, by_name[m.scenario]) for m in MUTATIONS]
    tests = LITMUS
    if a.only:
        weakenings = [(o, w, s) for o, w, s in weakenings if a.only in (o, s.name)]
        mutations = [(m, s) for m, s in mutations if a.only in (m.name, s.name)]
        scenarios = [s for s in SCENARIOS if s.name == a.only]
        tests = []
        if not scenarios and not weakenings and not mutations:
            p.error(f"nothing is called {a.only}")
    if not shutil.which("gcc"):
        p.error("gcc is not installed")
    workdir = a.workdir.resolve()
    build_checker(workdir)

    report = Report()
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        # The longest searches come first.
        order = sorted(scenarios, key=lambda s: s.states, reverse=True)
        programs = {s.name: Program(workdir, s) for s in SCENARIOS}
        runs = {s.name: pool.submit(programs[s.name].search) for s in order}
        weak = [(f"{o} {w}", s, pool.submit(programs[s.name].search, (o, w))) for o, w, s in weakenings]
        wrong = [(m.name, s, pool.submit(mutated, workdir, s, m)) for m, s in mutations]
        verdicts = [(t, o, allowed, pool.submit(litmus, workdir, t, o)) for t, o, allowed in tests]

        report.litmus(verdicts)
        report.scenarios(scenarios, runs)
        report.faults("weakened order", weak)
        report.faults("mutation", wrong)

    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
