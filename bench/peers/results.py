"""What a run of the peers has found, and the medians of it."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from figures import Pace, Result

from peers.plan import ALL, BY_NAME, CASES, DATABLOCK, Case, Entry
from peers.stage import Distance
from peers.survival import Death

DISTANCES = ("near", "far")
BASE = BY_NAME[DATABLOCK].title


@dataclass
class Run:
    """One measurement of a peer in a case."""

    case: str
    peer: str
    title: str
    repetition: int
    result: Result = field(default_factory=dict)
    distance: Distance = field(default_factory=lambda: Distance(0, 0))
    others: float = 0.0  # the part of the processors that other programs took meanwhile
    error: str = ""

    @classmethod
    def of(cls, entry: Entry, repetition: int) -> Run:
        return cls(entry.case.key, entry.peer.name, entry.title, repetition)

    def same(self, other: Run) -> bool:
        return (self.case, self.title) == (other.case, other.title)


@dataclass
class Results:
    """All runs, and what the machine was like."""

    machine: dict[str, object]
    pace: Pace
    absent: dict[str, str]
    runs: list[Run]
    deaths: list[Death]

    def cases(self) -> list[Case]:
        measured = {run.case for run in self.runs}
        return [case for case in CASES if case.key in measured]

    def titles(self, case: Case) -> list[str]:
        """The entries of a case, in the order of the plan."""
        return list(dict.fromkeys(run.title for run in self.runs if run.case == case.key))

    def of(self, case: Case, title: str, kind: str) -> list[Run]:
        """The successful runs of an entry. `kind` is near, far or mixed."""
        return [
            run
            for run in self.runs
            if (run.case, run.title) == (case.key, title)
            and not run.error
            and run.distance.kind == kind
        ]

    def median(self, case: Case, title: str, kind: str, statistic: str) -> float | None:
        values = [run.result[statistic] for run in self.of(case, title, kind)]
        return statistics.median(values) if values else None

    def speed(self, case: Case, title: str, kind: str) -> float | None:
        """How fast an entry is, with DataBlock as 1: by the median time, or by the rate."""
        statistic = "p50" if case.kind == "time" else "rate"
        own = self.median(case, title, kind, statistic)
        base = self.median(case, BASE, kind, statistic)
        if not own or not base:
            return None
        return base / own if case.kind == "time" else own / base

    def best(self, case: Case, peers: Collection[str], kind: str, statistic: str) -> float | None:
        """The best median of these peers in a case, in whatever setting."""
        titles = {run.title for run in self.runs if run.case == case.key and run.peer in peers}
        found = [self.median(case, title, kind, statistic) for title in titles]
        values = [value for value in found if value]
        if not values:
            return None
        return max(values) if statistic == "rate" else min(values)

    def line(self, kind: str) -> float | None:
        """The median distance of the cores, in nanoseconds."""
        values = [run.distance.before for run in self.runs if run.distance.kind == kind]
        return statistics.median(values) if values else None

    def errors(self) -> dict[str, str]:
        """What failed, and the last reason."""
        return {f"{run.title}, {run.case}": run.error for run in self.runs if run.error}

    def document(self) -> dict[str, Any]:
        """Everything, for programs."""
        medians = {
            case.key: {
                title: {
                    kind: {
                        "runs": len(runs),
                        **{name: self.median(case, title, kind, name) for name in runs[0].result},
                    }
                    for kind in (*DISTANCES, "mixed")
                    if (runs := self.of(case, title, kind))
                }
                for title in self.titles(case)
            }
            for case in self.cases()
        }
        return {
            "machine": self.machine,
            "pace": vars(self.pace),
            "cache line, ns": {kind: self.line(kind) for kind in DISTANCES},
            "peers": {
                peer.name: {"title": peer.title, "version": peer.version(), "calls": peer.calls}
                for peer in ALL
                if peer.name not in self.absent
            },
            "not run": self.absent,
            "failed": self.errors(),
            "medians": medians,
            "survival": [vars(death) for death in self.deaths],
            "runs": [{**vars(run), "distance": vars(run.distance)} for run in self.runs],
        }
