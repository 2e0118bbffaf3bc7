"""Measures DataBlock against what the machine can do without it.

The result is a table on the terminal, and build/bench.json with all figures. --quick takes under
two minutes. --smoke is one short repetition of everything, to see that it works. Its figures mean
nothing.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import figures
import report
from figures import Pace, Repetitions, Result
from plan import BOUNDS, LIMITS, Bound, Figure, Row, all_rows
from processes import BUILD, Failed, Stage, two_cores

FULL = Pace(repetitions=7, seconds=0.3, warm=0.1, kills=30)
QUICK = Pace(repetitions=5, seconds=0.04, warm=0.03, kills=5)
SMOKE = Pace(repetitions=1, seconds=0.01, warm=0.005, kills=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_const", dest="pace", const=QUICK, default=FULL)
    parser.add_argument("--smoke", action="store_const", dest="pace", const=SMOKE)
    parser.add_argument("--only", metavar="TEXT", default="", help="rows whose label has this text")
    pace = (given := parser.parse_args()).pace
    signal.signal(signal.SIGTERM, terminated)
    rows = [row for row in all_rows() if given.only in row.label]
    try:
        cores = two_cores()
        begun, neighbours = time.monotonic(), report.Neighbours()
        with Stage(cores) as stage:
            found = repeat(stage, rows, pace)
    except Failed as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
    others = neighbours.share()
    machine = {**report.machine(cores), "others": others}
    print(*report.table(rows, found), sep="\n")
    if not given.only:
        print("", *report.bounds(found), sep="\n")
        save(found, machine, pace, BUILD / ("bench-smoke.json" if pace is SMOKE else "bench.json"))
    print(
        f"{machine['processor']}, cores {cores[0]} and {cores[1]}; "
        f"{pace.repetitions} repetitions in {time.monotonic() - begun:.0f} s; "
        f"other programs took {others:.0%} of the processors"
    )
    if others > report.QUIET:
        print(
            "THE MACHINE WAS NOT QUIET: neither figures nor verdicts say much. "
            "Try again when nothing else runs."
        )


def terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def repeat(stage: Stage, rows: list[Row], pace: Pace) -> Repetitions:
    """Measure everything in each repetition. Compared figures are measured one after the other."""
    known = {
        figure.key: figure
        for figure in LIMITS + [figure for row in all_rows() for figure in row.figures]
    }
    found = Repetitions([], [])
    for number in range(pace.repetitions):
        results: dict[str, Result] = {}
        beside: dict[str, dict[str, Result]] = {}
        for figure in (figure for row in rows for figure in row.figures):
            progress(f"repetition {number + 1} of {pace.repetitions}: {figure.key}")
            beside[figure.key] = {
                key: figures.measured(stage, known[key], pace) for key in figure.beside
            }
            results[figure.key] = figures.measured(stage, figure, pace)
        found.results.append(results)
        found.beside.append(beside)
    progress("")
    return found


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def save(found: Repetitions, machine: dict[str, object], pace: Pace, path: Path) -> None:
    """Write all results, for programs."""

    def summary(figure: Figure) -> dict[str, object]:
        statistics = found.results[0][figure.key]
        ratios = {
            key: {
                name: found.ratio(figure.key, key, name)
                for name in ("p50", "p99", "rate")
                if name in statistics
            }
            for key in figure.beside
        }
        return {
            "median": {name: found.median(figure.key, name) for name in statistics},
            "ratio": ratios,
        }

    def outcome(bound: Bound) -> dict[str, object]:
        value = found.value(bound)
        return {**vars(bound), "value": value, "holds": figures.holds(bound, value)}

    document = {
        "machine": machine,
        "pace": vars(pace),
        "figures": {figure.key: summary(figure) for row in all_rows() for figure in row.figures},
        "bounds": [outcome(bound) for bound in BOUNDS],
        "repetitions": [
            {"figures": results, "beside": beside}
            for results, beside in zip(found.results, found.beside)
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nEvery figure of every repetition: {path}")


if __name__ == "__main__":
    main()
