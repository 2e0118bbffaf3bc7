"""Computes figures from the answers of processes."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass, replace

import numpy
from plan import Bound, Figure
from processes import Answer, Failed, Side, Stage

# The statistics of one measurement: times in nanoseconds, rates in messages a second, sizes in
# bytes.
Result = dict[str, float]

FEWEST = 5  # the least number of samples, or messages, for a figure
TRIES = 6

PERCENTILES = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}


@dataclass(frozen=True)
class Pace:
    """How long a measurement takes."""

    repetitions: int
    seconds: float
    warm: float
    kills: int

    def window(self, figure: Figure) -> tuple[float, float]:
        """Warm-up and measured time, in seconds. Messages of megabytes need more time to wrap the
        ring.
        """
        factor = 4 if figure.size >= 1 << 23 else 1
        return self.warm * factor, self.seconds * factor


def measured(stage: Stage, figure: Figure, pace: Pace) -> Result:
    """Measure once. Repeat with twice the time if other programs left almost no processor time."""
    for number in range(TRIES):
        result = attempt(stage, figure, replace(pace, seconds=pace.seconds * 2**number))
        if result is not None and all(value > 0 for value in result.values()):
            return result
    last = pace.seconds * 2**number
    raise Failed(
        f"{figure.key}: nothing could be measured, {TRIES} times in a row, at last in {last:.2g} s"
    )


def attempt(stage: Stage, figure: Figure, pace: Pace) -> Result | None:
    warm, seconds = pace.window(figure)
    sides = [
        Side(side.program, side.role, {**side.options, "warm": warm, "seconds": seconds})
        for side in figure.sides
    ]
    if figure.kind == "death":
        return percentiles(numpy.array(deaths(stage, sides, pace.kills)))
    answers, samples = stage.run(sides, warm + seconds)
    if figure.kind == "time":
        values = numpy.frombuffer(samples[0], "u4") * answers[0]["unit_ns"]
        return percentiles(values) if values.size >= FEWEST else None
    if figure.kind == "memory":
        return memory(answers[0], stage.run([Side("limits", "memory")], 0)[0][0])
    messages = answers[-1]["messages"]
    return (
        {"rate": messages / answers[-1]["seconds"], "messages": messages}
        if messages >= FEWEST
        else None
    )


def memory(worker: Answer, plain: Answer) -> Result:
    """The memory of the library's program beyond a plain one, and the memory of a block."""
    resident = (worker["resident_kb"] - plain["resident_kb"]) * 1024
    found = {name: worker[f"{name}_bytes"] for name in ("fixed", "slot", "entry")}
    return {**found, "resident": resident}


def percentiles(values: numpy.typing.NDArray[numpy.float64]) -> Result:
    found = numpy.percentile(values, list(PERCENTILES.values()))
    return {**dict(zip(PERCENTILES, found.tolist())), "samples": values.size}


def deaths(stage: Stage, sides: list[Side], kills: int) -> list[float]:
    """How long backpressure lasts after the kill of the second side, which causes it.

    Nanoseconds for each kill.
    """
    found = []
    chance = random.Random(kills)
    with stage.started(sides[:1], kills) as (held,):
        for _ in range(kills):
            with stage.joined(held, sides[1]) as holder:
                held.tell("fill")
                held.expect("held")
                time.sleep(
                    chance.uniform(0.01, 0.2)
                )  # the producer sleeps by now, in short or long slices
                begun = time.monotonic_ns()
                holder.kill()
                found.append(held.hear_answer()["at_ns"] - begun)
    return found


@dataclass
class Repetitions:
    """All results: for each repetition the result of each figure, and of its comparisons."""

    results: list[dict[str, Result]]
    beside: list[dict[str, dict[str, Result]]]

    def median(self, key: str, statistic: str) -> float:
        return statistics.median(results[key][statistic] for results in self.results)

    def ratio(self, key: str, against: str, statistic: str) -> float:
        """The median of the ratios of two results that were measured one right after the other."""
        pairs = zip(self.results, self.beside)
        return statistics.median(
            results[key][statistic] / beside[key][against][statistic] for results, beside in pairs
        )

    def limit(self, key: str, against: str, statistic: str) -> float:
        return statistics.median(beside[key][against][statistic] for beside in self.beside)

    def value(self, bound: Bound) -> float:
        if bound.against:
            return self.ratio(bound.figure, bound.against, bound.statistic)
        return self.median(bound.figure, bound.statistic)


def holds(bound: Bound, value: float) -> bool:
    return (bound.most is None or value <= bound.most) and (
        bound.least is None or value >= bound.least
    )
