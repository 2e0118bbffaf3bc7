"""From processes to figures."""

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

FEWEST = 5  # samples, or messages, that make a figure
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
        """Warm-up and measured time, in seconds. Messages of megabytes need longer to come round."""
        factor = 4 if figure.size >= 1 << 23 else 1
        return self.warm * factor, self.seconds * factor


def measured(stage: Stage, figure: Figure, pace: Pace) -> Result:
    """Measure once; again, for twice as long, when next to nothing could be measured because other
    programs had the processors.
    """
    for number in range(TRIES):
        result = attempt(stage, figure, replace(pace, seconds=pace.seconds * 2**number))
        if result is not None and all(value > 0 for value in result.values()):
            return result
    raise Failed(f"{figure.key}: nothing could be measured, {TRIES} times in a row, at last in {pace.seconds * 2**number:.2g} s")


def attempt(stage: Stage, figure: Figure, pace: Pace) -> Result | None:
    warm, seconds = pace.window(figure)
    sides = [Side(side.program, side.role, {**side.options, "warm": warm, "seconds": seconds}) for side in figure.sides]
    if figure.kind == "death":
        return percentiles(numpy.array(deaths(stage, sides, pace.kills)))
    answers, samples = stage.run(sides, warm + seconds)
    if figure.kind == "time":
        values = numpy.frombuffer(samples[0], "u4") * answers[0]["unit_ns"]
        return percentiles(values) if values.size >= FEWEST else None
    if figure.kind == "memory":
        return memory(answers[0], stage.run([Side("limits", "memory")], 0)[0][0])
    messages = answers[-1]["messages"]
    return {"rate": messages / answers[-1]["seconds"], "messages": messages} if messages >= FEWEST else None


def memory(worker: Answer, plain: Answer) -> Result:
    """What the library's program takes more than a plain one, and what a block takes."""
    resident = (worker["resident_kb"] - plain["resident_kb"]) * 1024
    return {"fixed": worker["fixed_bytes"], "slot": worker["slot_bytes"], "entry": worker["entry_bytes"], "resident": resident}


def percentiles(values: numpy.typing.NDArray[numpy.float64]) -> Result:
    found = numpy.percentile(values, list(PERCENTILES.values()))
    return {**dict(zip(PERCENTILES, found.tolist())), "samples": values.size}


def deaths(stage: Stage, sides: list[Side], kills: int) -> list[float]:
    """How long the first side, held up by the second, goes on being held up after the kill of that
    one; nanoseconds each.
    """
    found = []
    chance = random.Random(kills)
    with stage.started(sides[:1], kills) as (held,):
        for _ in range(kills):
            with stage.joined(held, sides[1]) as holder:
                held.tell("fill")
                held.expect("held")
                time.sleep(chance.uniform(0.01, 0.2))  # it sleeps by now, at first in short slices, later in long ones
                begun = time.monotonic_ns()
                holder.kill()
                found.append(held.hear_answer()["at_ns"] - begun)
    return found


@dataclass
class Repetitions:
    """Everything that was measured: for each repetition, the result of each figure, and of what was
    measured beside it.
    """

    results: list[dict[str, Result]]
    beside: list[dict[str, dict[str, Result]]]

    def median(self, key: str, statistic: str) -> float:
        return statistics.median(results[key][statistic] for results in self.results)

    def ratio(self, key: str, against: str, statistic: str) -> float:
        """The median of the ratios, each of two things measured one right after the other."""
        pairs = zip(self.results, self.beside)
        return statistics.median(results[key][statistic] / beside[key][against][statistic] for results, beside in pairs)

    def limit(self, key: str, against: str, statistic: str) -> float:
        return statistics.median(beside[key][against][statistic] for beside in self.beside)

    def value(self, bound: Bound) -> float:
        if bound.against:
            return self.ratio(bound.figure, bound.against, bound.statistic)
        return self.median(bound.figure, bound.statistic)


def holds(bound: Bound, value: float) -> bool:
    return (bound.most is None or value <= bound.most) and (bound.least is None or value >= bound.least)
