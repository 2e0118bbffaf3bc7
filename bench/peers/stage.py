"""Runs the peers: a stage with the helpers of some peers, and the measurement of an entry."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import figures
import numpy
from figures import Pace, Result
from peers.plan import NEAR, PEERS, Entry
from plan import LIMITS, LINE
from processes import Failed, Process, Side, Stage

SHARED = Path("/dev/shm")
# More points than the table has, for the plot of the distribution.
POINTS = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99)

CACHE_LINE = next(figure for figure in LIMITS if figure.key == LINE)
LINE_PACE = Pace(repetitions=1, seconds=0.02, warm=0.01, kills=0)

# RouDi's chunks: the sizes of the messages, and room for iceoryx's headers.
ROUDI = "[general]\nversion = 1\n\n[[segment]]\n" + "".join(
    f"\n[[segment.mempool]]\nsize = {size}\ncount = {count}\n"
    for size, count in (
        (256, 1000),
        (4096 + 256, 500),
        (8192 + 256, 100),
        ((64 << 10) + 256, 100),
        ((1 << 20) + 256, 100),
    )
)


def remove_leftovers(place: Path) -> None:
    """Remove the shared memory that belongs to a directory of a measurement."""
    for path in SHARED.glob(f"*{place.name}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


class PeerStage(Stage):
    """A stage on which peers run. It also removes what a peer keeps outside of its directory."""

    @contextlib.contextmanager
    def started(self, sides: Sequence[Side], seconds: float) -> Iterator[list[Process]]:
        with super().started(sides, seconds) as running:
            places = {process.place for process in running}
            try:
                yield running
            finally:
                for process in running:
                    process.kill()
                for place in places:
                    remove_leftovers(place)


class RouDi:
    """iceoryx's daemon, which must run while iceoryx is measured."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = PEERS / "iceoryx" / "roudi.toml"
        settings.write_text(ROUDI)
        log = PEERS / "iceoryx" / "roudi.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["iox-roudi", "-c", str(settings)],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 10
        while b"RouDi is ready" not in log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failed(f"iox-roudi does not start: see {log}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()


@dataclass
class Distance:
    """How long a cache line takes from core to core, in nanoseconds one way."""

    before: float
    after: float

    @property
    def kind(self) -> str:
        """Near or far, or mixed if the cores moved during the measurement."""
        kinds = {"near" if line <= NEAR else "far" for line in (self.before, self.after)}
        return kinds.pop() if len(kinds) == 1 else "mixed"


def distance(stage: Stage) -> float:
    return figures.measured(stage, CACHE_LINE, LINE_PACE)["p50"]


def measured(stage: Stage, entry: Entry, pace: Pace) -> Result:
    """Measure an entry once. Repeat with twice the time if that gave almost nothing."""
    for number in range(figures.TRIES):
        result = attempt(stage, entry, replace(pace, seconds=pace.seconds * 2**number))
        if result:
            return result
    raise Failed(f"nothing could be measured, {figures.TRIES} times in a row")


def attempt(stage: Stage, entry: Entry, pace: Pace) -> Result:
    warm, seconds = max(pace.warm, entry.peer.warm), pace.seconds
    sides = [
        Side(side.program, side.role, {**side.options, "warm": warm, "seconds": seconds})
        for side in entry.sides()
    ]
    answers, samples = stage.run(sides, warm + seconds, last_first=True)
    if entry.case.kind == "rate":
        messages = answers[-1]["messages"]
        enough = messages >= figures.FEWEST and answers[-1]["seconds"] > 0
        return {"rate": messages / answers[-1]["seconds"]} if enough else {}
    values = numpy.frombuffer(samples[0], "u4") * answers[0]["unit_ns"]
    if values.size < figures.FEWEST:
        return {}
    found = numpy.percentile(values, POINTS).tolist()
    return {**{f"p{point:g}": value for point, value in zip(POINTS, found)}, "samples": values.size}
