"""Runs the peers: a stage with the helpers of some peers, and the measurement of an entry."""

from __future__ import annotations

import contextlib
import grp
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import figures
import numpy
from figures import Pace, Result
from plan import LIMITS, LINE
from processes import Failed, Option, Process, Side, Stage

from peers.plan import AERON, ICEORYX, NEAR, PEERS, Entry, Peer

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

    def __enter__(self) -> PeerStage:
        super().__enter__()
        return self

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


@contextlib.contextmanager
def roudi() -> Iterator[None]:
    """iceoryx's daemon, which must run while iceoryx is measured."""
    settings, log = PEERS / ICEORYX / "roudi.toml", PEERS / ICEORYX / "roudi.log"
    settings.write_text(ROUDI)
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            ["iox-roudi", "-c", str(settings)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 10
        while b"RouDi is ready" not in log.read_bytes():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"iox-roudi does not start: see {log}")
            time.sleep(0.02)
        yield
    finally:
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        # What the daemon leaves behind after the death of a program.
        for name in ("iceoryx_mgmt", grp.getgrgid(os.getgid()).gr_name):
            (SHARED / name).unlink(missing_ok=True)


def third_core() -> int | None:
    """A core for helpers, where there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[2] if len(allowed) > 2 else None


@contextlib.contextmanager
def aeron_driver(stage: Stage, core: int, options: dict[str, Option]) -> Iterator[None]:
    """Aeron's media driver in a process of its own."""
    process = Process(Side(AERON, "driver", options), core, stage.directory)
    try:
        process.expect("ready")
        yield
        process.finish()
    finally:
        process.clear()


@contextlib.contextmanager
def helped(stage: Stage, peer: Peer, options: dict[str, Option]) -> Iterator[dict[str, Option]]:
    """Whatever must run beside the two sides. Yields the options that say where it is."""
    if peer.name == ICEORYX:
        with roudi():
            yield {}
        return
    if peer.name != AERON:
        yield {}
        return
    directory = Path(tempfile.mkdtemp(dir=stage.directory))
    more: dict[str, Option] = {"dir": str(directory)}
    core = third_core()
    try:
        if core is None:
            yield {**more, "driver": "embedded"}
        else:
            with aeron_driver(stage, core, {**options, **more}):
                yield {**more, "driver": "apart"}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass
class Distance:
    """How long a cache line takes from core to core, in nanoseconds one way; 0: unknown."""

    before: float
    after: float

    @property
    def kind(self) -> str:
        """Near or far, or mixed if the cores moved during the measurement, or are unknown."""
        if 0 in (self.before, self.after):
            return "mixed"
        kinds = {"near" if line <= NEAR else "far" for line in (self.before, self.after)}
        return kinds.pop() if len(kinds) == 1 else "mixed"


def distance(stage: Stage) -> float:
    """The distance of the cores, or 0 if other programs leave no time to measure it."""
    try:
        return figures.measured(stage, CACHE_LINE, LINE_PACE)["p50"]
    except Failed:
        return 0.0


def measured(stage: Stage, entry: Entry, pace: Pace) -> Result:
    """Measure an entry once. Repeat with twice the time if that gave almost nothing."""
    for number in range(figures.TRIES):
        result = attempt(stage, entry, replace(pace, seconds=pace.seconds * 2**number))
        if result:
            return result
    raise Failed(f"nothing could be measured, {figures.TRIES} times in a row")


def attempt(stage: Stage, entry: Entry, pace: Pace) -> Result:
    warm, seconds = max(pace.warm, entry.peer.warm), pace.seconds
    with helped(stage, entry.peer, entry.options()) as more:
        options = {"warm": warm, "seconds": seconds, **more}
        sides = [
            Side(side.program, side.role, {**side.options, **options}) for side in entry.sides()
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
