"""Measures DataBlock beside other ways of passing messages between two processes.

One repetition measures each case with each peer, one after the other, and the distance of the two
cores before and after. Figures of near and of far cores are never mixed. The result is a table on
the terminal, build/bench-peers.json, and a page with plots in build/bench-peers/.

--quick takes about five minutes. --smoke is one short repetition of the peers that need nothing
installed, to see that the benchmark works. Its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import report as base_report
from figures import Pace
from peers import page, report, survival
from peers.plan import ABSENT, ALL, BY_NAME, CASES, Case, Entry, entries
from peers.results import Results, Run
from peers.stage import Distance, PeerStage, distance, measured
from processes import BUILD, Failed, two_cores
from run import progress, terminated

FULL = Pace(repetitions=7, seconds=0.3, warm=0.1, kills=0)
QUICK = Pace(repetitions=2, seconds=0.1, warm=0.05, kills=0)
SMOKE = Pace(repetitions=1, seconds=0.02, warm=0.01, kills=0)
SMOKED = "datablock,ring,unix"  # peers that the build makes
FAILURES = 2  # after this number of failures a peer is not tried again in a case


@dataclass
class Wanted:
    """What a run measures."""

    peers: list[str]
    cases: list[Case]
    pace: Pace
    patience: float  # seconds that survival waits for somebody to resume; 0: no survival

    def entries(self, case: Case) -> list[Entry]:
        return [entry for entry in entries(case) if entry.peer.name in self.peers]


def main() -> None:
    given = arguments()
    signal.signal(signal.SIGTERM, terminated)
    absent = {**ABSENT, **{peer.name: why for peer in ALL if (why := peer.missing())}}
    wanted = chosen(given, absent)
    try:
        cores = two_cores()
        begun, neighbours = time.monotonic(), base_report.Neighbours()
        with PeerStage(cores) as stage:
            runs = repeat(stage, wanted)
            deaths = survival.observed(stage, wanted.peers, wanted.patience, progress)
    except Failed as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
    others = neighbours.share()
    found = Results(
        machine={**base_report.machine(cores), "others": others},
        pace=wanted.pace,
        absent=absent,
        runs=runs,
        deaths=deaths,
    )
    print(*report.table(found), sep="\n")
    print(
        f"{found.machine['processor']}, cores {cores[0]} and {cores[1]}; "
        f"{wanted.pace.repetitions} repetitions in {time.monotonic() - begun:.0f} s; "
        f"other programs took {others:.0%} of the processors"
    )
    save(found, BUILD / ("bench-peers-smoke" if given.smoke else "bench-peers"))
    failed = [run for run in runs if run.error]
    if given.smoke and failed:
        sys.exit(f"bench: {failed[0].peer} failed in {failed[0].case}: {failed[0].error}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--peers", metavar="NAME,...", help=", ".join(BY_NAME))
    parser.add_argument("--only", metavar="TEXT", default="", help="cases whose name has this text")
    parser.add_argument("--repetitions", type=int, metavar="N")
    parser.add_argument("--no-survival", action="store_true")
    return parser.parse_args()


def chosen(given: argparse.Namespace, absent: dict[str, str]) -> Wanted:
    names = (given.peers or (SMOKED if given.smoke else ",".join(BY_NAME))).split(",")
    for name in names:
        if name not in BY_NAME:
            sys.exit(f"bench: there is no peer {name}. The peers: {', '.join(BY_NAME)}")
        if given.peers and name in absent:
            sys.exit(f"bench: {name} cannot run: {absent[name]}")
    cases = [case for case in CASES if given.only in case.key]
    pace = SMOKE if given.smoke else QUICK if given.quick else FULL
    if given.repetitions:
        pace = Pace(given.repetitions, pace.seconds, pace.warm, 0)
    patience = 2.0 if given.smoke else 11.5 if given.quick else 15.0
    if given.no_survival or given.only:
        patience = 0.0
    return Wanted([name for name in names if name not in absent], cases, pace, patience)


def repeat(stage: PeerStage, wanted: Wanted) -> list[Run]:
    """Measure everything in each repetition, and the distance of the cores in between."""
    runs: list[Run] = []
    line = distance(stage)
    for number in range(wanted.pace.repetitions):
        for case in wanted.cases:
            for entry in wanted.entries(case):
                progress(
                    f"repetition {number + 1} of {wanted.pace.repetitions}: {case.key}, "
                    f"{entry.title}"
                )
                run = Run.of(entry, number)
                failures = [past for past in runs if past.same(run) and past.error]
                if len(failures) >= FAILURES:
                    continue
                neighbours = base_report.Neighbours()
                try:
                    run.result = measured(stage, entry, wanted.pace)
                except Failed as error:
                    run.error = str(error)
                run.others = neighbours.share()
                before, line = line, distance(stage)
                run.distance = Distance(before, line)
                runs.append(run)
    progress("")
    return runs


def save(found: Results, place: Path) -> None:
    """Write all results: for programs, and as a page with plots."""
    figures = place.with_suffix(".json")
    figures.write_text(json.dumps(found.document(), indent=1) + "\n")
    written = page.write(found, place)
    print(f"\nEvery figure of every repetition: {figures}\nThe page with the plots: {written}")


if __name__ == "__main__":
    main()
