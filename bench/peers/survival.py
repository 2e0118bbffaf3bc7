"""What a kill leaves behind: who resumes, after how long, what is lost, what an operator must do.

Each peer runs the same program: a writer sends a message every millisecond, a reader receives. One
side stops where a kill hurts most: the reader while it holds a message, the writer after it has
written half of a claimed message. Then it is killed with SIGKILL, and started again.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import COMMANDS, Failed, Option, environment, pinned

from peers.plan import AERON, ALL, DATABLOCK, Peer
from peers.stage import PeerStage, aeron_driver, remove_leftovers, roudi, third_core

SIZE, SLOTS, PACE_US = 8192, 8, 1000
STOP = 100  # the message at which a side stops
SECOND, THIRD, FOURTH = 10_000, 20_000, 30_000  # after these numbers a new writer begins
RESTART = 5.0  # seconds: whatever works after a restart works by then
HEADINGS = ("peer", "killed", "resumed without a restart", "after the restart", "lost", "operator")
POLLS = ("iceoryx2", AERON)  # these peers wait by polling here


@dataclass
class Death:
    """One line of the table."""

    peer: str
    killed: str
    alone: str = "-"
    restarted: str = ""
    lost: str = ""
    operator: str = "nothing"

    def row(self) -> tuple[str, ...]:
        return (self.peer, self.killed, self.alone, self.restarted, self.lost, self.operator)


@dataclass(frozen=True)
class Event:
    what: str
    number: int
    at: int  # CLOCK_MONOTONIC, nanoseconds


class Actor:
    """A writer or a reader, whose events go to a file."""

    def __init__(self, theatre: Theatre, role: str, core: int, options: dict[str, Option]) -> None:
        self.output = theatre.file()
        self.begun = time.monotonic_ns()
        given = {**theatre.options, "stop": 0, "after": 0, **options}
        with pinned(core), self.output.open("wb") as file:
            self._process = subprocess.Popen(
                [
                    *COMMANDS[theatre.peer.name],
                    role,
                    *(f"{key}={value}" for key, value in given.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(theatre.place),
                start_new_session=True,
            )

    def events(self, what: str) -> list[Event]:
        lines = self.output.read_text(errors="replace").split("\n")[:-1]
        words = [line.split() for line in lines if line.startswith(f"{what} ")]
        return [Event(what, int(number), int(at)) for _, number, at in words]

    def complaint(self) -> str:
        """What the program said when it ended with an error."""
        if self._process.poll() in (None, -9):
            return ""
        text = self.output.read_text(errors="replace").strip().split("\n")[-1]
        return f"ended with {self._process.returncode}: {text[:60]}"

    def kill(self) -> int:
        at = time.monotonic_ns()
        self._process.kill()
        self._process.wait()
        return at


class Theatre:
    """The place of one situation: its actors, and what must run beside them."""

    def __init__(
        self, stage: PeerStage, peer: Peer, patience: float, durable: bool = False
    ) -> None:
        self.stage, self.peer, self.patience = stage, peer, patience
        self.place = Path(tempfile.mkdtemp(dir=stage.directory))
        self.actors: list[Actor] = []
        self._helpers = contextlib.ExitStack()
        block = int(peer.sleeps and peer.name not in POLLS)
        self.options: dict[str, Option] = {
            "size": SIZE,
            "slots": SLOTS,
            "reclaim": 0,
            "entries": 0,
            "write_batch": 1,
            "read_batch": 1,
            "pace_us": PACE_US,
            "block": block,
            "durable": int(durable),
            "driver": "apart",
            "dir": str(self.place),
            "term_mb": 1,
        }
        self._help()

    def _help(self) -> None:
        if self.peer.name == "iceoryx":
            self._helpers.enter_context(roudi())
        if self.peer.name == AERON:
            core = third_core()
            core = self.stage.cores[0] if core is None else core
            self._helpers.enter_context(aeron_driver(self.stage, core, self.options))

    def file(self) -> Path:
        return self.stage.directory / f"{self.place.name}.{len(self.actors)}"

    def _start(self, role: str, core: int, options: dict[str, Option]) -> Actor:
        actor = Actor(self, role, core, options)
        self.actors.append(actor)
        return actor

    def writer(self, **options: Option) -> Actor:
        return self._start("write", self.stage.cores[0], options)

    def reader(self, **options: Option) -> Actor:
        return self._start("read", self.stage.cores[1], options)

    def until(self, condition: Callable[[], bool], patience: float | None = None) -> bool:
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def clean(self) -> None:
        """Remove by hand what the peer keeps, and restart what runs beside it."""
        for actor in self.actors:
            actor.kill()
        self._helpers.close()
        remove_leftovers(self.place)
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        self._help()

    def close(self) -> None:
        for actor in self.actors:
            actor.kill()
            actor.output.unlink(missing_ok=True)
        with contextlib.suppress(Failed):
            self._helpers.close()
        remove_leftovers(self.place)
        shutil.rmtree(self.place, ignore_errors=True)


def milliseconds(ns: int) -> str:
    return f"{ns / 1e6:.1f} ms" if ns < 1e9 else f"{ns / 1e9:.1f} s"


def first_after(actor: Actor, what: str, at: int) -> Event | None:
    return next((event for event in actor.events(what) if event.at > at), None)


def stopped(theatre: Theatre, *actors: Actor) -> None:
    """Wait until the actors have stopped where they are to be killed."""
    if not theatre.until(lambda: all(actor.events("stopped") for actor in actors), 20):
        said = "; ".join(actor.complaint() or "still runs" for actor in theatre.actors)
        raise Failed(f"no side has stopped: {said}")


def settled(theatre: Theatre, actor: Actor, what: str) -> None:
    """Wait until an actor does nothing any more, as after backpressure."""
    seen = -1

    def quiet() -> bool:
        nonlocal seen
        before, seen = seen, len(actor.events(what))
        if before == seen:
            return True
        time.sleep(0.1)
        return False

    theatre.until(quiet, 1)


def reached(
    theatre: Theatre, reader: Actor, number: int, patience: float | None = None
) -> Event | None:
    """The first message after this number that the reader has received."""

    def found() -> list[Event]:
        return [event for event in reader.events("received") if event.number > number]

    theatre.until(lambda: bool(found() or reader.complaint()), patience)
    return next(iter(found()), None)


def lost_of(expected: range, *readers: Actor) -> str:
    seen = {event.number for reader in readers for event in reader.events("received")}
    gone = sum(number not in seen for number in expected)
    return str(gone) if gone else "nothing"


def remedied(theatre: Theatre, death: Death) -> None:
    """After a restart of one side that did not help: what does help."""
    for number, clean, remedy in (
        (THIRD, False, "restart both sides"),
        (FOURTH, True, "remove its shared memory by hand, restart both sides"),
    ):
        for actor in theatre.actors:
            actor.kill()
        if clean:
            theatre.clean()
        reader, writer = theatre.reader(), theatre.writer(after=number)
        event = reached(theatre, reader, number, min(theatre.patience, RESTART))
        if event is not None:
            death.operator = remedy
            return
        death.operator = f"nothing helped: {reader.complaint() or writer.complaint()}"


def of_reader(theatre: Theatre, death: Death) -> None:
    """The reader dies with a message in hand. The writer has filled the channel."""
    writer, reader = theatre.writer(), theatre.reader(stop=STOP)
    stopped(theatre, reader)
    settled(theatre, writer, "sent")
    killed = reader.kill()
    theatre.until(lambda: first_after(writer, "sent", killed) is not None)
    resumed = first_after(writer, "sent", killed)
    held = f"nobody in {theatre.patience:.0f} s"
    death.alone = f"writer, {milliseconds(resumed.at - killed)}" if resumed else held
    if writer.complaint():
        death.alone = f"writer {writer.complaint()}"
    second = theatre.reader()
    event = reached(theatre, second, 0)
    if event is None:
        death.restarted, death.lost = second.complaint() or held, "?"
        remedied(theatre, death)
        return
    death.restarted = f"reader, {milliseconds(event.at - second.begun)}"
    # Old messages may come first. The reader must have caught up with the writer.
    caught_up = reached(theatre, second, max(event.number for event in writer.events("sent")))
    death.lost = lost_of(range(1, (caught_up or event).number), reader, second)


def of_writer(theatre: Theatre, death: Death) -> None:
    """The writer dies in the middle of a message. The reader has read all others."""
    reader, writer = theatre.reader(), theatre.writer(stop=STOP)
    stopped(theatre, writer)
    settled(theatre, reader, "received")
    writer.kill()
    second = theatre.writer(after=SECOND)
    after_restart(theatre, death, reader, second, [reader])


def of_both(theatre: Theatre, death: Death) -> None:
    """The reader dies with a message in hand, and the writer in the middle of another one."""
    first, writer = theatre.reader(stop=STOP), theatre.writer(stop=STOP + SLOTS // 2)
    stopped(theatre, first)
    # A reader that holds a lock keeps the writer from its place. Then the writer dies where it is.
    theatre.until(lambda: bool(writer.events("stopped")), 1)
    first.kill()
    writer.kill()
    reader = theatre.reader()
    second = theatre.writer(after=SECOND)
    after_restart(theatre, death, reader, second, [first, reader])


def after_restart(
    theatre: Theatre, death: Death, reader: Actor, second: Actor, readers: list[Actor]
) -> None:
    """What the reader receives of the second writer, and what it missed of the first."""
    event = reached(theatre, reader, SECOND)
    expected = range(1, STOP if len(readers) == 1 else STOP + SLOTS // 2)
    death.lost = lost_of(expected, *readers)
    if event is None:
        silent = f"nobody in {theatre.patience:.0f} s"
        death.restarted = reader.complaint() or second.complaint() or silent
        remedied(theatre, death)
        return
    begun = max(actor.begun for actor in (reader, second))
    death.restarted = f"reader, {milliseconds(event.at - begun)}"
    missed = event.number - SECOND - 1
    if missed:
        death.lost = f"{death.lost}, and the first {missed} of the new writer"


SITUATIONS: dict[str, Callable[[Theatre, Death], None]] = {
    "reader": of_reader,
    "writer": of_writer,
    "both": of_both,
}


def observed(
    stage: PeerStage, names: list[str], patience: float, progress: Callable[[str], None]
) -> list[Death]:
    """All situations of all peers that are programs of one kind: those in Python are the same."""
    return list(observations(stage, names, patience, progress)) if patience else []


def performers(names: list[str]) -> Iterator[tuple[Peer, str, bool]]:
    """Each peer, and its title. DataBlock comes twice: a durable consumer keeps its place."""
    for peer in (peer for peer in ALL if peer.name in names and not peer.python):
        yield peer, peer.title, False
        if peer.name == DATABLOCK:
            yield peer, f"{peer.title}, durable", True


def observations(
    stage: PeerStage, names: list[str], patience: float, progress: Callable[[str], None]
) -> Iterator[Death]:
    for peer, title, durable in performers(names):
        for killed, play in SITUATIONS.items():
            progress(f"survival: {title}, kill of {killed}")
            death = Death(title, killed)
            theatre = Theatre(stage, peer, patience, durable)
            try:
                play(theatre, death)
            except Failed as error:
                death.restarted = f"not observed: {error}"
            finally:
                theatre.close()
            yield death
    progress("")
