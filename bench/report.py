"""The table on the terminal, and the description of the machine."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from collections.abc import Iterator

import numpy
from figures import PERCENTILES, Repetitions, holds
from plan import BASE, BOUNDS, MEMORY, SECTIONS, Bound, Figure, Row
from processes import ROOT

TIME, RATE = ("time", "death"), ("rate",)
WIDTH = 24
# The part of the processor time that other programs may take. Above it verdicts mean nothing.
QUIET = 0.1


def table(rows: list[Row], found: Repetitions) -> Iterator[str]:
    times = f"{'p50':>8} {'p99':>8} {'p99.9':>8} {'max':>8} {'limit':>8} {'ratio':>6}"
    yield f"{'':{WIDTH}} {times}   {'messages':>9} {'limit':>9} {'ratio':>6}"
    for section, (title, limits) in SECTIONS.items():
        lines = [line(row, found) for row in rows if row.section == section]
        if lines:
            yield from ("", f"{title}. Limit: {limits}.", *lines)
    yield ""
    yield "Times are one way, half a round trip. The ratio of times is the ratio of the p50."
    yield (
        "Messages are messages a second. The table shows medians of the repetitions; "
        "each ratio is of one repetition."
    )
    yield f"The base: 64 B, LOSSLESS, one consumer, polling, C {BASE}, one copy in and one out."


def line(row: Row, found: Repetitions) -> str:
    label = row.label if row.label != "base" else "64 B (base)"
    text = f"  {label:{WIDTH - 2}} "
    text += next((times(figure, found) for figure in row.figures if figure.kind in TIME), " " * 52)
    text += next(
        ("   " + rates(figure, found) for figure in row.figures if figure.kind in RATE), ""
    )
    return text.rstrip()


def times(figure: Figure, found: Repetitions) -> str:
    parts = [f"{duration(found.median(figure.key, name)):>8}" for name in PERCENTILES]
    limit = figure.beside[0]
    of_limit = found.limit(figure.key, limit, "p50")
    parts += [f"{duration(of_limit):>8}", f"{found.ratio(figure.key, limit, 'p50'):>5.3g}x"]
    return " ".join(parts)


def rates(figure: Figure, found: Repetitions) -> str:
    limit = figure.beside[0]
    values = (found.median(figure.key, "rate"), found.limit(figure.key, limit, "rate"))
    return (
        " ".join(f"{count(value):>9}" for value in values)
        + f" {found.ratio(figure.key, limit, 'rate'):>5.2f}x"
    )


def bounds(found: Repetitions) -> Iterator[str]:
    yield f"{'Bound':52} {'measured':>10} {'wanted':>14}"
    for bound in BOUNDS:
        value = found.value(bound)
        wanted = f">= {amount(bound.least or 0, bound.unit)}"
        if bound.most is not None:
            wanted = f"<= {amount(bound.most, bound.unit)}"
        verdict = "holds" if holds(bound, value) else "MISSED"
        yield f"  {bound.text:50} {amount(value, bound.unit):>10} {wanted:>14}  {verdict}"
    entry = found.median(MEMORY, "entry")
    yield f"  A message kept takes {entry:.0f} B more than a slot: its entry in the ring."


def amount(value: float, unit: str) -> str:
    if unit == "ns":
        return duration(value)
    if unit == "B":
        if value < 1024:
            return f"{value:.0f} B"
        return f"{value / 1024:.1f} KiB" if value < 1 << 20 else f"{value / (1 << 20):.2f} MiB"
    return f"{count(value)}{unit}" if unit == "/s" else f"{value:.3g}{unit}"


def duration(ns: float) -> str:
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 999.5 * size else f"{ns / size:.0f} {unit}"
    return f"{ns:.3g} ns"


def count(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def missed(found: Repetitions) -> list[Bound]:
    return [bound for bound in BOUNDS if not holds(bound, found.value(bound))]


class Neighbours:
    """What else ran on this machine in the meantime: the reason for most surprising figures."""

    def __init__(self) -> None:
        self.before = self._now()

    def share(self) -> float:
        """The parts of the processor time that other programs took, and that the host took."""
        spent, own, taken = (now - before for now, before in zip(self._now(), self.before))
        return max(0.0, taken - own) / spent if spent else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float]:
        with open("/proc/stat") as file:
            user, nice, system, idle, waiting, interrupts, soft, steal = map(
                int, file.readline().split()[1:9]
            )
        second = os.sysconf("SC_CLK_TCK")
        taken = user + nice + system + interrupts + soft + steal
        own = sum(
            sum(resource.getrusage(who)[:2])
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return (taken + idle + waiting) / second, own, taken / second


def machine(cores: tuple[int, int]) -> dict[str, object]:
    """The machine of the figures."""

    def said(*command: str) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
            return done.stdout.strip().split("\n")[0]
        except (OSError, subprocess.CalledProcessError):
            return "unknown"

    with open("/proc/cpuinfo") as file:
        model = next(
            (text.split(":", 1)[1].strip() for text in file if text.startswith("model name")),
            "unknown",
        )
        file.seek(0)
        virtual = "hypervisor" in file.read()
    return {
        "processor": model,
        "virtual": virtual,
        "processors": os.cpu_count(),
        "cores": cores,
        "load": os.getloadavg(),
        "kernel": platform.release(),
        "compiler": said("cc", "--version"),
        "go": said("go", "version"),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "revision": said("git", "describe", "--always", "--dirty"),
        "base": BASE,
    }
