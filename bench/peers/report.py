"""The table of the peers on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from report import count, duration

from peers.plan import ALL, Case
from peers.results import BASE, DISTANCES, Results
from peers.survival import HEADINGS

TIMES = ("p50", "p99", "p99.9")
WIDTH = 26
OWN = [peer.name for peer in ALL if "datablock" in peer.name]
RINGS = ["ring", "py-ring"]
PEERS = [peer.name for peer in ALL if peer.name not in (*OWN, *RINGS)]


def table(found: Results) -> Iterator[str]:
    for kind in DISTANCES:
        line = found.line(kind)
        text = f"a cache line in {line:.0f} ns" if line else "not seen in this run"
        yield f"{kind} cores: {text}"
    for case in found.cases():
        yield ""
        yield heading(case)
        for title in found.titles(case):
            cells = [cell(found, case, title, kind) for kind in DISTANCES]
            mixed = len(found.of(case, title, "mixed"))
            note = f"  {mixed} mixed" if mixed else ""
            yield f"  {title:{WIDTH}} {cells[0]}  {cells[1]}{note}".rstrip()
    yield from ("", *verdicts(found))
    if found.deaths:
        yield from ("", "Survival", *survival(found))
    yield ""
    yield "Times are one way, half a round trip. Streams are messages a second. Medians of the runs"
    yield "whose cores were near, or far, before and after; the number in brackets counts them."
    yield "The speed is DataBlock's median time divided by the peer's, or the peer's rate divided"
    yield "by DataBlock's. A star: the peer is faster. The ratios in the best setting are those of"
    yield "DataBlock's figure to the other one: of times less is better, of rates more."
    for name, why in found.absent.items():
        yield f"  not run: {name}: {why}"
    for name, why in found.errors().items():
        yield f"  failed: {name}: {why}"


def heading(case: Case) -> str:
    parts = " ".join(f"{name:>8}" for name in TIMES) if case.kind == "time" else f"{'rate':>10}"
    columns = "  ".join(f"{kind:>5} {parts} {'speed':>6}" for kind in DISTANCES)
    return f"{case.key:{WIDTH + 2}} {columns}"


def speed(found: Results, case: Case, title: str, kind: str) -> str:
    """The speed, DataBlock's being 1. A star says that the peer wins."""
    value = found.speed(case, title, kind)
    if value is None:
        return "-"
    return f"{value:.2f}" + ("*" if value > 1 and not title.startswith(BASE) else "")


def cell(found: Results, case: Case, title: str, kind: str) -> str:
    runs = f"({len(found.of(case, title, kind))})"
    ratio = speed(found, case, title, kind)
    if case.kind == "rate":
        rate = found.median(case, title, kind, "rate")
        return f"{runs:>5} {count(rate) + '/s' if rate else '-':>10} {ratio:>6}"
    values = [found.median(case, title, kind, name) for name in TIMES]
    times = " ".join(f"{duration(ns) if ns else '-':>8}" for ns in values)
    return f"{runs:>5} {times} {ratio:>6}"


def verdicts(found: Results) -> Iterator[str]:
    """DataBlock in its best setting, beside the best peer and beside the plain ring."""
    others = [f"{kind}, to {other}" for kind in DISTANCES for other in ("peer", "ring")]
    yield f"{'DataBlock in its best setting':{WIDTH + 12}} " + " ".join(f"{o:>14}" for o in others)
    for case in found.cases():
        for statistic in ("rate",) if case.kind == "rate" else TIMES[:2]:
            cells = [ratio(found, case, o, k, statistic) for k in DISTANCES for o in (PEERS, RINGS)]
            name = f"{case.key}, {statistic}"
            yield f"  {name:{WIDTH + 10}} " + " ".join(f"{cell:>14}" for cell in cells)


def ratio(found: Results, case: Case, peers: list[str], kind: str, statistic: str) -> str:
    own = found.best(case, OWN, kind, statistic)
    other = found.best(case, peers, kind, statistic)
    return f"{own / other:.2f}" if own and other else "-"


def survival(found: Results) -> Iterator[str]:
    rows = [HEADINGS, *(death.row() for death in found.deaths)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    for row in rows:
        yield "  " + "  ".join(f"{text:{width}}" for text, width in zip(row, widths)).rstrip()
