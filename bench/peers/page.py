"""Writes the page of a comparison: Markdown, with plots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from report import count, duration

from peers import plots
from peers.plan import ALL, ONE_WAY, PYTHON, STREAM, WAKE, Case
from peers.report import TIMES, speed
from peers.results import DISTANCES, Results
from peers.stage import POINTS
from peers.survival import HEADINGS, PACE_US

NAMES = [peer.title for peer in ALL if not peer.python]


def write(found: Results, place: Path) -> Path:
    """Write the page and its plots into a directory, and return the path of the page."""
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("*.svg"):
        old.unlink()
    drawn = dict(pictures(found))
    for name, svg in drawn.items():
        (place / f"{name}.svg").write_text(svg)
    page = place / "README.md"
    page.write_text("\n".join(lines(found, list(drawn))) + "\n")
    return page


# ---- Plots ---------------------------------------------------------------------------------------


def pictures(found: Results) -> Iterator[tuple[str, str]]:
    for kind in DISTANCES:
        times = by_size(found, ONE_WAY, kind, "p50")
        if times:
            yield (
                f"latency-{kind}",
                plots.drawn(f"One way, median, {kind} cores", "bytes", "ns", times, NAMES),
            )
        rates = by_size(found, STREAM, kind, "rate")
        if rates:
            yield (
                f"throughput-{kind}",
                plots.drawn(f"Stream, {kind} cores", "bytes", "messages/s", rates, NAMES),
            )
        spread = distribution(found, ONE_WAY[0], kind)
        if spread:
            title = f"{ONE_WAY[0].key}, distribution, {kind} cores"
            yield (
                f"distribution-{kind}",
                plots.drawn(title, "percentile", "ns", spread, NAMES, plots.Nines()),
            )


def by_size(found: Results, cases: list[Case], kind: str, statistic: str) -> plots.Lines:
    """One line for each peer: its medians by size. Further numbers of slots are left out."""
    drawn: plots.Lines = {}
    for peer in (peer for peer in ALL if not peer.python):
        points = [
            (float(case.size), value)
            for case in cases
            if (value := found.median(case, peer.title, kind, statistic))
        ]
        if points:
            drawn[peer.title] = points
    return drawn


def distribution(found: Results, case: Case, kind: str) -> plots.Lines:
    drawn: plots.Lines = {}
    for title in found.titles(case):
        values = [(point, found.median(case, title, kind, f"p{point:g}")) for point in POINTS]
        points = [(point, value) for point, value in values if value]
        if points:
            drawn[title] = points
    return drawn


# ---- Text ----------------------------------------------------------------------------------------


def lines(found: Results, drawn: list[str]) -> Iterator[str]:
    machine = found.machine
    yield "# DataBlock beside its peers"
    yield ""
    yield f"{machine['processor']}, {machine['processors']} processors, Linux {machine['kernel']}, "
    yield f"revision {machine['revision']}. {found.pace.repetitions} repetitions. Other programs"
    yield f"took {machine['others']:.0%} of the processors. `bench/README.md` describes the method."
    yield ""
    yield "The speed is DataBlock's median time divided by the peer's, or the peer's rate divided"
    yield "by DataBlock's."
    yield ""
    for kind in DISTANCES:
        line = found.line(kind)
        yield f"* {kind} cores: " + (f"a cache line in {line:.0f} ns" if line else "not seen")
    for title, cases in (
        ("One way", ONE_WAY),
        ("Stream", STREAM),
        ("Wake-up of a sleeper", [WAKE]),
        ("Python", PYTHON),
    ):
        yield from section(found, title, cases)
    for name in drawn:
        yield from ("", f"![{name}]({name}.svg)")
    yield from survival(found)
    yield from peers(found)


def section(found: Results, title: str, cases: list[Case]) -> Iterator[str]:
    cases = [case for case in cases if found.titles(case)]
    if cases:
        yield from ("", f"## {title}")
    for case in cases:
        yield from ("", f"### {case.key}", "")
        names = (*TIMES, "speed") if case.kind == "time" else ("messages/s", "speed")
        yield from row(["peer", *(f"{kind} {name}" for kind in DISTANCES for name in names)])
        yield from row(["---", *(["---:"] * len(names) * len(DISTANCES))])
        for entry in found.titles(case):
            cells = [text for kind in DISTANCES for text in figures(found, case, entry, kind)]
            yield from row([entry, *cells])


def figures(found: Results, case: Case, title: str, kind: str) -> list[str]:
    ratio = speed(found, case, title, kind).replace("*", " faster").replace("-", "")
    if case.kind == "rate":
        rate = found.median(case, title, kind, "rate")
        return [count(rate) if rate else "", ratio]
    values = [found.median(case, title, kind, name) for name in TIMES]
    return [*(duration(value) if value else "" for value in values), ratio]


def survival(found: Results) -> Iterator[str]:
    if not found.deaths:
        return
    yield from ("", "## Survival", "")
    yield f"The writer sends a message every {PACE_US / 1000:g} ms. The reader is killed while it"
    yield "holds a message, the writer in the middle of a message. Times after a restart begin with"
    yield "the start of the new process. Messages without a reader count as lost."
    yield ""
    yield from row(list(HEADINGS))
    yield from row(["---"] * len(HEADINGS))
    for death in found.deaths:
        yield from row(list(death.row()))


def peers(found: Results) -> Iterator[str]:
    yield from ("", "## Peers", "")
    yield from row(["peer", "version", "calls"])
    yield from row(["---"] * 3)
    for peer in ALL:
        if peer.name not in found.absent:
            title = f"{peer.title} for Python" if peer.python else peer.title
            yield from row([title, peer.version() or "of this tree", peer.calls])
    for name, why in found.absent.items():
        yield from row([name, "not run", why])
    for name, why in found.errors().items():
        yield from row([name, "failed", why.replace("|", "/")])


def row(cells: list[str]) -> Iterator[str]:
    yield "| " + " | ".join(cells) + " |"
