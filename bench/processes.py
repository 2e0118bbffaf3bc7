"""Starts, pins and ends the processes of a measurement, and gets their answers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Union

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("DATABLOCK_BUILD", ROOT / "build")).resolve()
PROGRAMS = BUILD / "bench"

COMMANDS = {
    "limits": [str(PROGRAMS / "limits")],
    "inline": [str(PROGRAMS / "worker-inline")],
    "exported": [str(PROGRAMS / "worker-exported")],
    "go": [str(PROGRAMS / "worker-go")],
    **{
        binding: [sys.executable, "-B", str(ROOT / "bench" / "worker.py"), binding]
        for binding in ("bytes", "slots", "numpy", "ring")
    },
}

PATIENCE = 60  # seconds that a measurement may take in addition to its time

Option = Union[str, int, float]
Answer = dict[str, Any]


class Failed(Exception):
    """A process ended with an error, or did not end."""


@dataclass(frozen=True)
class Side:
    """One process: a program, its role and its options."""

    program: str
    role: str
    options: dict[str, Option] = field(default_factory=dict)


def two_cores() -> tuple[int, int]:
    """The two cores of all measurements."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise Failed(
            "two cores are needed: on one, producer and consumer would measure the scheduler"
        )
    return allowed[0], allowed[1]


def environment(directory: Path) -> dict[str, str]:
    """What a side finds in its environment."""
    own = {
        "DATABLOCK_DIR": directory,
        "DATABLOCK_LIBRARY": BUILD / "libdatablock.so",
        "PYTHONPATH": ROOT / "python",
    }
    return {**os.environ, **{name: str(path) for name, path in own.items()}}


class Process:
    """A running side, pinned to a core."""

    def __init__(self, side: Side, core: int, directory: Path) -> None:
        self.side = side
        self.place = directory
        self.samples = directory / f"samples.{core}"
        options = {**side.options, "samples": self.samples}
        with pinned(
            core
        ):  # inherited: the threads of a runtime that starts before main are pinned too
            self._process = subprocess.Popen(
                [
                    *COMMANDS[side.program],
                    side.role,
                    *(f"{key}={value}" for key, value in options.items()),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=environment(directory),
                start_new_session=True,  # Ctrl-C reaches the runner only, which ends its processes
            )

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")

    def hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise Failed(f"{self.side} ended with {self._process.wait()}")
        return line

    def hear_answer(self) -> Answer:
        answer: Answer = json.loads(self.hear())
        return answer

    def expect(self, wanted: str) -> None:
        if (line := self.hear()) != wanted:
            raise Failed(f'{self.side} said "{line}" instead of "{wanted}"')

    def finish(self) -> Answer:
        """Wait for the end of the process, and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        answer = self._process.stdout.read()
        if self._process.wait() != 0:
            raise Failed(f"{self.side} ended with {self._process.returncode}")
        return json.loads(answer) if answer else {}

    def kill(self) -> None:
        if self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)

    def clear(self) -> None:
        """End the process and remove everything of it."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Stage:
    """A directory in shared memory, and its processes. The `with` block removes both at its end."""

    def __init__(self, cores: tuple[int, int]) -> None:
        self.cores = cores

    def __enter__(self) -> Stage:
        self.directory = Path(tempfile.mkdtemp(prefix="datablock-bench-", dir="/dev/shm"))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    @contextlib.contextmanager
    def started(self, sides: Sequence[Side], seconds: float) -> Iterator[list[Process]]:
        """The prepared processes of the sides, the first one on the first core.

        The end of the `with` block removes them and their files.
        """
        running: list[Process] = []
        place = Path(tempfile.mkdtemp(dir=self.directory))
        try:
            with within(seconds + PATIENCE, sides):
                for side, core in zip(sides, self.cores):
                    running.append(Process(side, core, place))
                for process in running:
                    process.expect("ready")
                yield running
        finally:
            for process in running:
                process.clear()
            shutil.rmtree(place, ignore_errors=True)

    @contextlib.contextmanager
    def joined(self, first: Process, side: Side) -> Iterator[Process]:
        """Start one more process beside a running one, on the other core."""
        process = Process(side, self.cores[1], first.place)
        try:
            process.expect("ready")
            yield process
        finally:
            process.clear()

    def run(
        self, sides: Sequence[Side], seconds: float, last_first: bool = False
    ) -> tuple[list[Answer], list[bytes]]:
        """Return the sides' answers and samples.

        With `last_first` the first side stays, at the end, until the last one has ended.
        """
        with self.started(sides, seconds) as running:
            for process in reversed(running):  # the waiting side starts first
                process.tell("go")
            order = list(reversed(running)) if last_first else running
            found = {id(process): process.finish() for process in order}
            answers = [found[id(process)] for process in running]
            samples = [
                process.samples.read_bytes() if process.samples.exists() else b""
                for process in running
            ]
        return answers, samples


@contextlib.contextmanager
def within(seconds: float, sides: Sequence[Side]) -> Iterator[None]:
    """Fail when the `with` block takes longer."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Failed(f"no end after {seconds:.0f} s: {sides}")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
