#!/usr/bin/env python3
"""Checks the protocol model exhaustively with Spin, then checks that Spin catches every mutation.

The program needs spin and gcc. README.md describes each configuration and each mutation.
"""

import argparse
import concurrent.futures
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DEPTH = 1_000_000
# The compilers for a short search, the fastest first. tcc compiles a verifier in 0.02 s, clang in
# 0.25 s, gcc in 0.5 s. The searches take the same time.
QUICK = next(([c, "-O0"] for c in ("tcc", "clang") if shutil.which(c)), ["gcc", "-O0"])


@dataclasses.dataclass
class Config:
    """The processes and constants, and the least number of states of a complete search."""

    name: str
    start: str
    floor: int
    large: bool = False
    defines: dict = dataclasses.field(default_factory=dict)


def config(name, floor, start, large=False, **defines):
    return Config(name, start, floor, large, defines)


CONFIGS = [
    # One reader of each kind against a producer that may die at any step, and its successor.
    config("lossless", 930_000, "run Producer(1,0,5); run Producer(2,1,5); run Lossless(3,0,NEWEST)",
           N=2, SPARE=1, DEATHS=1, KILLABLE=2, PRODUCERS=6, ABORTS=1),
    config("latest", 490_000, "run Producer(1,0,5); run Producer(2,1,5); run Latest(3,0)",
           N=2, SPARE=2, DEATHS=1, KILLABLE=2, PRODUCERS=6, ABORTS=1),
    config("latest-1", 380_000, "run Producer(1,0,4); run Producer(2,1,4); run Latest(3,0)",
           N=1, SPARE=2, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("ordered", 300_000, "run Producer(1,0,5); run Producer(2,1,5); run Ordered(3,0,OLDEST)",
           N=2, SPARE=2, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("ordered-newest", 160_000, "run Producer(1,0,5); run Producer(2,1,5); run Ordered(3,0,NEWEST)",
           N=2, SPARE=2, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("ordered-dies", 28_000, "run Producer(1,0,5); run Ordered(2,0,OLDEST)",
           N=2, SPARE=2, DEATHS=1, KILLABLE=4, RELEASES=1, LEAVERS=4),
    config("latest-dies", 26_000, "run Producer(1,0,5); run Latest(2,0)",
           N=2, SPARE=2, DEATHS=1, KILLABLE=4, RELEASES=1, LEAVERS=4),
    config("oldest-dies", 360_000, "run Producer(1,0,5); run Lossless(2,0,OLDEST)",
           N=2, SPARE=2, DEATHS=1, KILLABLE=4, RELEASES=1, LEAVERS=4),
    config("join-oldest", 100_000, "run Producer(1,0,5); run Lossless(3,0,OLDEST)",
           N=2, SPARE=2),
    config("join-oldest-restart", 1_200_000, "run Producer(1,0,4); run Producer(2,1,4); run Lossless(3,0,OLDEST)",
           N=2, SPARE=2, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("sleep", 20_000, "run Producer(1,0,4); run Lossless(2,0,NEWEST)",
           N=1, SPARE=1),
    config("deliveries", 600_000, "run Producer(1,0,2); run Lossless(2,0,NEWEST); run Latest(3,1)",
           N=1, SPARE=2, ROWS=2),
    config("large-deliveries-3", 2_800_000,
           "run Producer(1,0,3); run Lossless(2,0,NEWEST); run Latest(3,1)", True, N=1, SPARE=2, ROWS=2),
    config("readers", 500_000, "run Producer(1,0,2); run Lossless(2,0,NEWEST); run Lossless(3,1,NEWEST)",
           N=1, SPARE=1, ROWS=2, LEAVERS=4),
    config("large-readers", 2_700_000,
           "run Producer(1,0,3); run Lossless(2,0,NEWEST); run Lossless(3,1,NEWEST)", True,
           N=1, SPARE=1, ROWS=2, LEAVERS=4),
    config("reader-dies", 41_000, "run Producer(1,0,5); run Lossless(2,0,NEWEST)",
           N=2, SPARE=1, DEATHS=1, KILLABLE=4, RELEASES=1),
    config("overbooked", 34_000, "run Producer(1,0,4); run Latest(2,0)",
           N=1, SPARE=1, OVERBOOKED=1),
    config("allowance", 450_000, "run Latest(2,0); run Latest(3,1); run Producer(1,0,4)",
           N=1, SPARE=2, ROWS=2, ALLOWANCE=1),
    config("late-cursor", 56_000, "run Producer(1,0,5); run Lossless(2,0,NEWEST)",
           N=2, SPARE=1, LATE_CURSOR=1, TIMEOUTS=1),
    config("cleaners", 3_000_000,
           "run Producer(1,0,2); run Lossless(2,0,NEWEST); run Cleaner(3,0,0); run Cleaner(4,0,3); run Latest(5,0)",
           N=1, SPARE=2, DEATHS=2, KILLABLE=12, RELEASES=1, LEFTOVERS=1, START_OK="(me != 5 || ((dead | gone) & 4))"),
    config("cleaner", 190_000, "run Producer(1,0,3); run Lossless(2,0,NEWEST); run Cleaner(3,0,0)",
           N=1, SPARE=1, DEATHS=1, KILLABLE=4, RELEASES=1, LEFTOVERS=1),
    # The next cleaner finishes what a dead cleaner has left of a dead row.
    config("cleaner-dies", 95, "status[0] = 2; maskL = 1; maskP = 1; run Cleaner(3,0,0); run Cleaner(4,0,3)",
           DEATHS=1, KILLABLE=8),
    # A dead reader's hazard pointer, and a new owner of the row that is allowed none.
    config("takes-over-row", 29_000,
           "dead = 4; overdue = 128; pins[0] = 2; maskP = 1; status[0] = 2; "
           "run Producer(1,0,3); run Lossless(3,0,NEWEST)",
           N=1, SPARE=1, LEFTOVERS=1, OVERBOOKED=1, RELEASES=1),
    config("probe", 880, "status[0] = 2; run Cleaner(3,0,0); run Cleaner(4,0,0); run Prober(0)",
           DEATHS=1, KILLABLE=24),
    config("reset", 480_000,
           "run Producer(1,0,4); run Lossless(3,0,NEWEST); if :: run Resetter(4,1) :: run Resetter(4,0) fi",
           N=2, SPARE=1, RESET=1),
    config("reset-latest", 455_000,
           "run Producer(1,0,4); run Latest(3,0); if :: run Resetter(4,1) :: run Resetter(4,0) fi",
           N=2, SPARE=2, RESET=1),
    config("reset-ordered", 328_000,
           "run Producer(1,0,4); run Ordered(3,0,OLDEST); if :: run Resetter(4,1) :: run Resetter(4,0) fi",
           N=2, SPARE=2, RESET=1),
    config("reset-oldest", 1_500_000,
           "run Producer(1,0,3); run Lossless(3,0,OLDEST); if :: run Resetter(4,1) :: run Resetter(4,0) fi",
           N=2, SPARE=2, RESET=1),
    config("large-reset-oldest", 3_300_000,
           "run Producer(1,0,4); run Lossless(3,0,OLDEST); if :: run Resetter(4,1) :: run Resetter(4,0) fi", True,
           N=2, SPARE=2, RESET=1),
    config("reset-restart", 33_000,
           "run Producer(1,0,4); run Producer(2,1,4); if :: run Resetter(4,1) :: run Resetter(4,0) fi",
           N=2, SPARE=1, RESET=1, ABORTS=1, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("resets", 1_700_000, "run Producer(1,0,3); run Lossless(3,0,NEWEST); run Resetter(4,1); run Resetter(5,0)",
           N=2, SPARE=1, RESET=1),
    config("resets-of-claims", 1_700_000, "run Producer(1,0,2); run Latest(3,0); run Resetter(4,1); run Resetter(5,1)",
           N=1, SPARE=2, RESET=1),
    config("resetter-dies", 350_000,
           "run Producer(1,0,3); run Lossless(3,0,NEWEST); if :: run Resetter(4,1) :: run Resetter(4,0) fi",
           N=2, SPARE=1, RESET=1, DEATHS=1, KILLABLE=16),
    config("create", 21_000, "name = NONE; run Opener(1,OPEN,1,1); run Opener(2,OPEN,2,2); run Opener(3,OPEN,0,2)",
           N=2, NBLK=4, DEATHS=1, KILLABLE=14, PRODUCERS=14),
    config("replace", 84_000,
           "ent[0] = FENCE; order[0] = 1; turn = 1; lock0[0] = 1; "
           "run Opener(1,OWNS,0,2); run Opener(2,REPLACE,1,1); run Opener(3,OPEN,2,1)",
           N=2, NBLK=4, DEATHS=1, KILLABLE=6, PRODUCERS=14),
    config("replace-reader", 210_000,
           "order[0] = 1; turn = 1; lock0[0] = 1; "
           "run Opener(1,OWNS,0,2); run Opener(2,REPLACE,1,1); run Lossless(4,0,NEWEST)",
           N=2, NBLK=4, DEATHS=1, KILLABLE=4, PRODUCERS=6),
    config("replace-twice", 350_000,
           "order[0] = 1; turn = 1; run Opener(1,REPLACE,1,1); run Opener(2,REPLACE,2,1); run Opener(3,OPEN,3,1)",
           N=2, NBLK=4, DEATHS=1, KILLABLE=6, PRODUCERS=14),
    # Locks that participants share: three participants want one lock, one of them may die at any
    # step, and a cleaner cleans up after it.
    config("lock", 2_700_000, "run Locker(1,2); run Locker(2,2); run Locker(3,1); run LockCleaner(4,1)",
           DEATHS=1, KILLABLE=2),
    config("lock-waits", 820_000, "run Locker(1,3); run Locker(2,2); run Locker(3,1)"),
    # Two operators, which may die, evict the living owner of a row. A new owner takes the row
    # afterwards, and a cleaner cleans it in the end.
    config("evict", 155_000, "run Member(1,2); run Member(2,2); run Evictor(3); run Evictor(4); run RowCleaner(5)",
           DEATHS=1, KILLABLE=30),
    # The producer reclaims messages, and a consumer joins at oldest meanwhile. Row 1 has another
    # LOSSLESS consumer, a Follower, which has released everything up to a message.
    config("reclaim-join", 330_000, "maskL = 2; maskP = 2; cursor[1] = 4; "
           "run Producer(1,0,6); run Lossless(2,0,OLDEST)",
           N=4, SPARE=2, ROWS=2, RECLAIM=1, UNLAGGED=1),
    config("reclaim-join-2", 1_690_000, "maskL = 2; maskP = 2; cursor[1] = 2; "
           "run Producer(1,0,5); run Lossless(2,0,OLDEST); run Follower(3,1,2)", True,
           N=2, SPARE=2, ROWS=2, RECLAIM=1),
    config("reclaim-join-3", 1_120_000, "maskL = 2; maskP = 2; cursor[1] = 3; "
           "run Producer(1,0,5); run Lossless(2,0,OLDEST); run Follower(3,1,3)", True,
           N=3, SPARE=2, ROWS=2, RECLAIM=1),
    config("reclaim-fence", 845_000, "run Producer(1,0,4); run Lossless(2,0,OLDEST); run Follower(3,1,3)",
           N=3, SPARE=2, ROWS=2, RECLAIM=1, ABORTS=2, LATE_FOLLOWER=1, UNLAGGED=1),
    config("reclaim-lost", 16_800_000, "maskL = 2; maskP = 2; cursor[1] = 4; "
           "run Producer(1,0,6); run Lossless(2,0,OLDEST); run Resetter(4,0)", True,
           N=4, SPARE=2, ROWS=2, RECLAIM=1, RESET=1, UNLAGGED=1),
    config("reclaim-ordered", 750_000, "maskL = 2; maskP = 2; cursor[1] = 2; "
           "run Producer(1,0,5); run Ordered(2,0,OLDEST); run Follower(3,1,2)",
           N=2, SPARE=2, ROWS=2, RECLAIM=1, UNLAGGED=1),
    config("reclaim-latest", 299_000, "maskL = 2; maskP = 2; cursor[1] = 2; "
           "run Producer(1,0,5); run Latest(2,0); run Follower(3,1,2)",
           N=2, SPARE=2, ROWS=2, RECLAIM=1, UNLAGGED=1),
    config("reclaim-restart", 2_060_000, "run Producer(1,0,5); run Producer(2,1,5); run Lossless(3,0,NEWEST)",
           N=2, SPARE=1, RECLAIM=1, DEATHS=1, KILLABLE=2, PRODUCERS=6, ABORTS=1),
    config("reclaim-reader-dies", 82_000, "run Producer(1,0,5); run Lossless(2,0,NEWEST)",
           N=2, SPARE=1, RECLAIM=1, DEATHS=1, KILLABLE=4, RELEASES=1),
    config("reclaim-reset", 1_310_000,
           "run Producer(1,0,4); run Lossless(3,0,NEWEST); if :: run Resetter(4,1) :: run Resetter(4,0) fi",
           N=2, SPARE=1, RECLAIM=1, RESET=1),
    config("reclaim-replace", 8_200,
           "ent[0] = FENCE; order[0] = 1; turn = 1; lock0[0] = 1; "
           "run Opener(1,OWNS,0,4); run Opener(2,REPLACE,1,1)",
           N=2, NBLK=4, RECLAIM=1, DEATHS=1, KILLABLE=4, PRODUCERS=6),
    # The same with more messages, deaths and readers at once.
    config("large-lossless", 3_000_000,
           "run Producer(1,0,6); run Producer(2,1,6); run Producer(4,2,6); run Lossless(3,0,NEWEST)", True,
           N=2, SPARE=1, DEATHS=3, KILLABLE=14, PRODUCERS=22, ABORTS=1, RELEASES=1),
    config("large-join-oldest", 4_100_000, "run Producer(1,0,6); run Producer(2,1,6); run Lossless(3,0,OLDEST)", True,
           N=2, SPARE=2, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("large-deliveries", 117_000_000,
           "run Producer(1,0,3); run Producer(2,1,3); run Lossless(3,0,NEWEST); run Latest(4,1)", True,
           N=1, SPARE=2, ROWS=2, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("large-reader-dies", 6_200_000, "run Producer(1,0,3); run Lossless(2,0,NEWEST); run Latest(3,1)", True,
           N=1, SPARE=2, ROWS=2, DEATHS=1, KILLABLE=12, RELEASES=1),
    config("large-reset", 16_000_000,
           "run Producer(1,0,4); run Producer(2,1,4); run Lossless(3,0,NEWEST); "
           "if :: run Resetter(4,1) :: run Resetter(4,0) fi", True,
           N=2, SPARE=1, RESET=1, DEATHS=1, KILLABLE=2, PRODUCERS=6),
    config("large-replace", 6_000_000,
           "order[0] = 1; turn = 1; lock0[0] = 1; run Opener(1,OWNS,0,1); "
           "run Opener(2,REPLACE,1,1); run Opener(3,REPLACE,2,1); run Opener(4,OPEN,3,1)", True,
           N=2, NBLK=4, DEATHS=2, KILLABLE=14, PRODUCERS=30),
]

# How Spin reports a violated property: an assertion by its text, a process that waits for ever by
# its end state.
TORN = "w2["
OVERRUN = "settling"
WRONG_START = "c>=o"
SLEEPS = "invalid end state"
ID_TWICE = "]==next"
LIVING_CLEANED = "rowlock[r]==me"
DEAD_ROW_STAYS = "leftover"
DEAD_CALLED_ALIVE = "assertion violated 0"
NO_SLOT_LEFT = "admitted"
BROKEN_PUBLISHED = "broken"
TWO_PRODUCERS = "blk==current"
AFTER_THE_END = "told_end"
EMPTIED = "rbit"
ANOTHER = "rinc==who"
TAKEN_AWAY = "violated left"
UNTOLD = "half"

# The mutation, the configuration that catches it, and the reported violation.
MUTATIONS = [
    ("RECLAIM_IGNORES_JOIN", "reclaim-join", "started"),
    ("RECLAIM_PASSES_OVER", "reclaim-fence", "started"),
    ("RECLAIM_FREES", "reclaim-ordered", TORN),
    ("REFILL_NO_PIN_CHECK", "latest", TORN),
    ("REFILL_REUSES_SCAN", "latest-1", TORN),
    ("EPOCH_AFTER_SCAN", "latest-1", TORN),
    ("NO_RECHECK", "latest", TORN),
    ("NO_GATE", "lossless", OVERRUN),
    ("GATE_IGNORES_JOIN", "join-oldest", OVERRUN),
    ("ACK_RELOADS_EPOCH", "join-oldest", OVERRUN),
    ("JOIN_NEVER_SETTLES", "join-oldest", OVERRUN),
    ("WALK_TRUSTS_COMMIT", "lossless", WRONG_START),
    ("JOIN_BIT_LAST", "lossless", OVERRUN),
    ("JOIN_NO_WAKE", "sleep", SLEEPS),
    ("CURSOR_RUNS_AHEAD", "sleep", OVERRUN),
    ("NO_WAKE", "sleep", SLEEPS),
    ("NO_WAKE_PRODUCER", "sleep", SLEEPS),
    ("LATE_CURSOR", "sleep", SLEEPS),
    ("LEAVE_NO_WAKE", "readers", SLEEPS),
    ("UNPIN_NO_WAKE", "overbooked", SLEEPS),
    ("LOOK_BEFORE_BIT", "sleep", SLEEPS),
    ("EVENT_AFTER_LOOK", "sleep", SLEEPS),
    ("WAKE_WITHOUT_EVENT", "sleep", SLEEPS),
    ("WAKER_CLEARS_LATE", "sleep", SLEEPS),
    ("PRODUCER_ARMS_LATE", "sleep", SLEEPS),
    ("ADOPT_TRUSTS_COMMIT", "lossless", ID_TWICE),
    ("ADOPT_FREES", "latest-1", TORN),
    ("ADOPT_ASSUMES_MINIMUM", "lossless", OVERRUN),
    ("CLEAN_WITHOUT_LOCK", "cleaners", LIVING_CLEANED),
    ("IDENTITY_FIRST", "cleaner-dies", DEAD_ROW_STAYS),
    ("CLEAN_NO_WAKE", "cleaner", SLEEPS),
    ("PROBE_TWO_LOOKS", "probe", DEAD_CALLED_ALIVE),
    ("ATTACH_WITHOUT_CLEANING", "cleaners", SLEEPS),
    ("ATTACH_NO_WAKE", "cleaners", SLEEPS),
    ("ATTACH_KEEPS_PINS", "takes-over-row", SLEEPS),
    ("SPARE_CHECKED_FIRST", "allowance", NO_SLOT_LEFT),
    ("COMMIT_IGNORES_FENCE", "reset", BROKEN_PUBLISHED),
    ("MARK_BEFORE_REMEMBER", "resets-of-claims", BROKEN_PUBLISHED),
    ("FENCE_BEFORE_MARK", "replace", TWO_PRODUCERS),
    ("NO_FENCE", "replace", TWO_PRODUCERS),
    ("STATE_BEFORE_REMEMBER", "replace", TWO_PRODUCERS),
    ("ONE_MARK", "replace-reader", AFTER_THE_END),
    ("HALF_REPLACED_IS_DONE", "replace", TWO_PRODUCERS),
    ("ADOPT_STORES_STATE", "replace", TWO_PRODUCERS),
    ("NO_REPLACE_LOCK", "replace-twice", TWO_PRODUCERS),
    ("ADOPT_WITHOUT_LOCK", "create", ID_TWICE),
    ("CREATE_REPLACES", "create", TWO_PRODUCERS),
    ("EVICT_WITHOUT_CLEANING", "evict", EMPTIED),
    ("EVICT_ANYBODY", "evict", ANOTHER),
    ("EVICT_WITHOUT_SWAP", "evict", EMPTIED),
    ("EVICT_ONE_STATE", "evict", EMPTIED),
    ("NEWCOMER_WITHOUT_CLEANING", "evict", ANOTHER),
    ("LOCK_TAKES_FROM_THE_LIVING", "lock", TAKEN_AWAY),
    ("LOCK_CLEANED_AS_FREE", "lock", UNTOLD),
    ("LOCK_LOOKS_FIRST", "lock-waits", SLEEPS),
    ("LOCK_NO_WAKE", "lock-waits", SLEEPS),
    ("LOCK_FLAG_WITHOUT_COUNT", "lock-waits", SLEEPS),
]


@dataclasses.dataclass
class Result:
    states: int = 0
    depth: int = 0
    seconds: float = 0.0
    complete: bool = False
    violated: str = ""
    failure: str = ""


def source(cfg, mutation, out):
    """Writes the preprocessed model.

    spin would pass the constants to a shell, and they contain parentheses.
    """
    defines = dict(cfg.defines)
    defines["START"] = cfg.start
    for proctype in set(re.findall(r"run (\w+)", cfg.start)):
        defines["WITH_" + proctype] = 1
    if "Producer" in cfg.start:
        defines["PAYLOAD"] = 1
    if mutation:
        defines["MUT_" + mutation] = 1
    args = ["gcc", "-std=gnu99", "-E", "-x", "c"]
    args += [f"-D{k}={v}" for k, v in defines.items()]
    subprocess.run(args + [str(HERE / "datablock.pml"), "-o", str(out)], check=True)


def check(cfg, mutation, workdir, memory):
    """Builds and runs one verifier."""
    where = workdir / (cfg.name + ("." + mutation if mutation else ""))
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    began = time.monotonic()
    source(cfg, mutation, where / "model.pml")
    made = subprocess.run(["spin", "-a", "model.pml"], cwd=where, capture_output=True, text=True)
    if made.returncode or not (where / "pan.c").exists() or "Error" in made.stdout:
        return Result(failure="spin: " + (made.stdout + made.stderr).strip()[:300])
    # No partial-order reduction: it does not support rendezvous in escapes. A mutant stops early,
    # and a small search takes a second: there the compile time matters most.
    long = (cfg.large or cfg.floor > 1_000_000) and not mutation
    cc = ["gcc", "-O2" if cfg.large else "-O1"] if long else QUICK
    cc = [*cc, "-w", "-DSAFETY", "-DNOCLAIM", "-DNOREDUCE", f"-DMEMLIM={memory}"]
    if cfg.large:
        cc.append("-DCOLLAPSE")
    built = subprocess.run(cc + ["-o", "pan", "pan.c"], cwd=where, capture_output=True, text=True)
    if built.returncode:
        return Result(failure=f"{cc[0]}: " + built.stderr.strip()[:300])
    ran = subprocess.run(["./pan", f"-m{DEPTH}", "-w22" if long else "-w20"], cwd=where, capture_output=True, text=True)
    (where / "out").write_text(ran.stdout + ran.stderr)
    return read(ran.stdout + ran.stderr, time.monotonic() - began)


def read(out, seconds):
    r = Result(seconds=seconds)
    if m := re.search(r"^\s*([\d.e+]+) states, stored", out, re.M):
        r.states = int(float(m[1]))
    if m := re.search(r"depth reached (\d+), errors: (\d+)", out):
        r.depth = int(m[1])
        r.complete = m[2] == "0"
    else:
        r.failure = "no result: " + out.strip()[-200:]
    if m := re.search(r"^pan:\d+: (.*?) \(at depth", out, re.M):
        r.violated = m[1]
    if re.search(r"max search depth too small|out of memory|MEMLIM bound|Search not completed", out):
        r.complete = False
        if not r.violated:
            r.failure = "the search was cut short"
    return r


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--large", action="store_true", help="the larger configurations too")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--only", metavar="NAME", help="one configuration with its mutations, or one mutation")
    p.add_argument("--workdir", type=pathlib.Path, default=ROOT / "build" / "model")
    p.add_argument("--memory", type=int, metavar="MB", help="for each verifier (4000, with --large 8000)")
    a = p.parse_args()

    configs = [c for c in CONFIGS if a.large or not c.large]
    by_name = {c.name: c for c in configs}
    mutations = [(m, by_name[c], as_what) for m, c, as_what in MUTATIONS]
    if a.only:
        mutations = [(m, c, as_what) for m, c, as_what in mutations if a.only in (m, c.name)]
        configs = [c for c in configs if c.name == a.only]
    if not configs and not mutations:
        p.error(f"nothing is called {a.only}")
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            p.error(f"{tool} is not installed")
    memory = a.memory or (8000 if a.large else 4000)
    workdir = a.workdir.resolve()

    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        # The longest searches come first.
        order = sorted(configs, key=lambda c: (c.large, c.floor), reverse=True)
        runs = {c.name: pool.submit(check, c, None, workdir, memory) for c in order}
        mutants = [(m, c, as_what, pool.submit(check, c, m, workdir, memory)) for m, c, as_what in mutations]
        passed = failed = 0

        if configs:
            print(f"{'configuration':<20}{'states':>11}{'floor':>11}{'depth':>8}{'time':>8}  verdict")
        for c in configs:
            r = runs[c.name].result()
            verdict = r.failure or ("violated: " + r.violated if r.violated else "")
            if not verdict and not r.complete:
                verdict = "not complete"
            if not verdict and r.states < c.floor:
                verdict = "fewer states than the floor: the model got weaker"
            passed, failed = (passed, failed + 1) if verdict else (passed + 1, failed)
            print(f"{c.name:<20}{r.states:>11}{c.floor:>11}{r.depth:>8}{r.seconds:>7.1f}s  {verdict or 'holds'}",
                  flush=True)

        if mutants:
            print(f"\n{'mutation':<26}{'configuration':<20}{'depth':>8}{'time':>8}  caught by")
        for name, c, as_what, run in mutants:
            r = run.result()
            caught = as_what in r.violated and not r.failure
            passed, failed = (passed + 1, failed) if caught else (passed, failed + 1)
            said = r.violated if caught else "NOT CAUGHT " + r.failure + r.violated
            print(f"{name:<26}{c.name:<20}{r.depth:>8}{r.seconds:>7.1f}s  {said}", flush=True)

    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
