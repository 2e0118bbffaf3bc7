"""Plots as SVG: lines over logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

Lines = dict[str, list[tuple[float, float]]]

WIDTH, HEIGHT = 900, 480
LEFT, RIGHT, TOP, BOTTOM = 80, 250, 50, 60
COLOURS = (
    "#d62728",
    "#333333",
    "#1f77b4",
    "#2ca02c",
    "#9467bd",
    "#ff7f0e",
    "#8c564b",
    "#17becf",
    "#e377c2",
    "#7f7f7f",
    "#bcbd22",
)


class Decades:
    """A logarithmic axis from one number to another."""

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = least, max(most, least * 1.01)

    def place(self, value: float) -> float:
        """Where a value is on the axis: 0 to 1."""
        return math.log(value / self.least) / math.log(self.most / self.least)

    def marks(self) -> Iterator[tuple[float, str]]:
        first = math.floor(math.log10(self.least))
        for power in range(first, math.ceil(math.log10(self.most)) + 1):
            for factor in (1, 2, 5):
                value = factor * 10.0**power
                if self.least <= value <= self.most:
                    yield value, short(value)


class Sizes(Decades):
    """A logarithmic axis of sizes, with a mark at every one of them."""

    def __init__(self, values: list[float]) -> None:
        super().__init__(min(values), max(values))
        self.values = values

    def marks(self) -> Iterator[tuple[float, str]]:
        for value in sorted(set(self.values)):
            size = int(value)
            for unit, name in ((1 << 20, "MB"), (1 << 10, "KB"), (1, "B")):
                if size >= unit:
                    yield value, f"{size // unit} {name}"
                    break


class Nines:
    """An axis of percentiles, on which 90, 99 and 99.9 have the same distance."""

    MARKS = (1, 50, 90, 99, 99.9, 99.99)
    MOST = -math.log10(1 - 99.99 / 100)

    def place(self, value: float) -> float:
        return -math.log10(1 - value / 100) / self.MOST

    def marks(self) -> Iterator[tuple[float, str]]:
        for value in self.MARKS:
            yield value, f"{value:g}"


def short(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def drawn(
    title: str,
    across: str,
    upward: str,
    lines: Lines,
    names: list[str],
    axis: Nines | None = None,
) -> str:
    """A plot of lines. Without a given axis the values across are sizes.

    A line has the colour of its place in `names`, in every plot. Others come after these.
    """
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    horizontal = axis or Sizes(xs)
    vertical = Decades(min(ys) * 0.8, max(ys) * 1.25)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(LEFT, 28, title, size=17),
        text(LEFT, HEIGHT - 12, across),
        text(8, TOP - 10, upward),
        *grid(horizontal, vertical),
    ]
    order = [*names, *(name for name in lines if name not in names)]
    for row, (name, points) in enumerate(lines.items()):
        places = [at(horizontal, vertical, *point) for point in points]
        parts += line(row, order.index(name), name, places)
    return "\n".join([*parts, "</svg>"]) + "\n"


def at(horizontal: Decades | Nines, vertical: Decades, x: float, y: float) -> tuple[float, float]:
    return (
        LEFT + horizontal.place(x) * (WIDTH - LEFT - RIGHT),
        HEIGHT - BOTTOM - vertical.place(y) * (HEIGHT - TOP - BOTTOM),
    )


def grid(horizontal: Decades | Nines, vertical: Decades) -> Iterator[str]:
    for value, name in horizontal.marks():
        x, _ = at(horizontal, vertical, value, vertical.least)
        yield f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield text(x, HEIGHT - BOTTOM + 18, name, anchor="middle")
    for value, name in vertical.marks():
        y = HEIGHT - BOTTOM - vertical.place(value) * (HEIGHT - TOP - BOTTOM)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield text(LEFT - 8, y + 4, name, anchor="end")


def line(row: int, number: int, name: str, places: list[tuple[float, float]]) -> Iterator[str]:
    """A line with a dot at each place, and its entry in the legend."""
    colour = COLOURS[number % len(COLOURS)]
    thick = 3 if number == 0 else 1.5
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{thick}"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{thick + 1}" fill="{colour}"/>'
    left, top = WIDTH - RIGHT + 24, TOP + 10 + 22 * row
    yield f'<path d="M{left} {top}h24" stroke="{colour}" stroke-width="{thick}"/>'
    yield text(left + 32, top + 4, name)


def text(x: float, y: float, what: str, anchor: str = "start", size: int = 13) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{escape(what)}</text>"
