"""The peers, and the cases in which they are measured.

A peer is a program for both sides of an exchange. peer.h says what the program does in each role.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from processes import BUILD, COMMANDS, ROOT, Option, Side

PEERS = BUILD / "peers"
TOOLS = ROOT / ".tools" / "peers"
KB, MB = 1 << 10, 1 << 20
SLOTS = {64: 64, 4 * KB: 64, 64 * KB: 16, MB: 8}  # of every peer that has such a setting
BATCH = 16  # messages that one call writes, and one call reads at most
REST = 50e-6  # seconds: a side that waits this long for a message sleeps
# These peers need nothing that bench/peers/setup.sh installs.
OF_THIS_TREE = ("datablock", "ring", "unix", "py-datablock", "py-datablock-inplace")
NEAR = 100.0  # nanoseconds one way of a cache line: up to this the cores are near


@dataclass(frozen=True)
class Peer:
    """A way of passing messages.

    `calls` are the calls that are measured, for the report. `warm` is the least warm-up in seconds.
    `sleeps` says that a side can wait without polling.
    """

    name: str
    title: str
    calls: str
    command: tuple[str, ...] = ()
    sleeps: bool = True
    polls: bool = True
    warm: float = 0.0
    python: bool = False

    def missing(self) -> str:
        """Why the peer cannot run, or nothing."""
        reason = PEERS / self.name / "missing"
        if reason.exists():
            return reason.read_text().strip()
        if not Path(self.command[0]).exists():
            return f"{self.command[0]} is missing: make bench PEERS=1 builds it"
        if self.name not in OF_THIS_TREE and not self.version():
            return "it is not installed: make bench PEERS=1 installs it"
        return ""

    def version(self) -> str:
        found = PEERS / self.name / "version"
        return found.read_text().strip() if found.exists() else ""


def native(name: str, title: str, calls: str, **more: bool) -> Peer:
    return Peer(name, title, calls, (str(PEERS / name / "peer"),), **more)


def python(name: str, title: str, calls: str, **more: bool) -> Peer:
    """A peer in Python. DataBlock uses the tests' environment, the others use one of their own."""
    program = sys.executable if name.startswith("py-datablock") else str(TOOLS / "venv/bin/python")
    worker = str(ROOT / "bench" / "peers" / "python" / "worker.py")
    binding = name.removeprefix("py-")
    return Peer(name, title, calls, (program, "-B", worker, binding), python=True, **more)


JAVA = (
    shutil.which("java") or "java",
    "-cp",
    f"{PEERS}/aeron/classes:{PEERS}/aeron/aeron-all.jar",
    "-Dagrona.disable.bounds.checks=true",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Xms64m",
    "-Xmx256m",
    "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "Peer",
)

DATABLOCK, RING, AERON, ICEORYX = "datablock", "ring", "aeron", "iceoryx"
ALL = [
    native(DATABLOCK, "DataBlock", "write_begin, write_commit; read_begin, read_end"),
    native(RING, "plain ring", "two indices; sleeps on a futex"),
    native("iceoryx2", "iceoryx2", "loan_slice_uninit, send; receive; notify, blocking_wait"),
    Peer(
        AERON,
        "Aeron IPC",
        "tryClaim, commit (offer above 64 KB); poll",
        JAVA,
        sleeps=False,
        warm=1.5,
    ),
    native(ICEORYX, "iceoryx", "loan, publish; take, release; WaitSet"),
    native("boost-queue", "Boost message_queue", "try_send, try_receive; send, receive"),
    native("boost-ring", "Boost mutex, condition", "interprocess_mutex, interprocess_condition"),
    native("zeromq", "ZeroMQ ipc", "zmq_send; zmq_msg_recv, which block", polls=False),
    native("unix", "Unix socket", "send, recv on a stream"),
    python("py-datablock", "DataBlock", "send; receive (polling: try_send; try_receive)"),
    python("py-datablock-inplace", "DataBlock in place", "send; read (try_read), in place"),
    python("py-iceoryx2", "iceoryx2", "loan_slice_uninit, send; receive", sleeps=False),
    python("py-ring", "shared_memory ring", "two indices by hand", sleeps=False),
    python("py-pipe", "multiprocessing Pipe", "send_bytes; recv_bytes, which block", polls=False),
    python("py-queue", "multiprocessing Queue", "put; get, which block", polls=False),
]
# What was asked for and cannot be had.
ABSENT = {"shmipc-go": "the Go module proxy does not serve github.com/cloudwego/shmipc-go"}

BY_NAME = {peer.name: peer for peer in ALL}
COMMANDS.update({peer.name: list(peer.command) for peer in ALL})


def named(size: int) -> str:
    return f"{size // MB} MB" if size >= MB else f"{size // KB} KB" if size >= KB else f"{size} B"


@dataclass(frozen=True)
class Setting:
    """A further way to use a peer. `slots` 0: the number of slots of the case."""

    peer: str
    slots: int = 0
    reclaim: bool = False
    entries: bool = False  # slots of the ring are named by entries, as in DataBlock
    more: int = 0  # instructions that each write of such a ring takes more
    write_batch: int = 1
    read_batch: int = 1

    @property
    def title(self) -> str:
        parts = [
            f"{self.slots} slots" if self.slots else "",
            "RECLAIM" if self.reclaim else "",
            "slots by entry" if self.entries else "",
            f"{self.more} instructions more" if self.more else "",
            self.batches(),
        ]
        return ", ".join(part for part in parts if part)

    def batches(self) -> str:
        if self.read_batch == 1:
            return ""
        return f"{'batches' if self.write_batch > 1 else 'reads batches'} of {self.read_batch}"


@dataclass(frozen=True)
class Case:
    """What is measured of each peer. `kind` is "time" or "rate"."""

    key: str
    kind: str
    size: int
    block: bool = False
    python: bool = False
    more: tuple[Setting, ...] = ()

    def takes(self, peer: Peer) -> bool:
        wanted = peer.sleeps if self.block else self.kind == "rate" or peer.polls or not peer.python
        return peer.python == self.python and wanted


@dataclass(frozen=True)
class Entry:
    """One measurement: a peer in a case, with a setting."""

    case: Case
    peer: Peer
    setting: Setting

    @property
    def title(self) -> str:
        if self.peer.name == RING and self.case.block:
            return "futex ring"
        return ", ".join(part for part in (self.peer.title, self.setting.title) if part)

    def options(self) -> dict[str, Option]:
        # Aeron's default. It is so large that a driver which shares a core keeps up. A smaller one
        # suffices for 64 B one way.
        term = 16 if self.case.kind == "time" and self.case.size == 64 else 64
        more = {"term_mb": term} if self.peer.name == AERON else {}
        return {
            "size": self.case.size,
            "slots": self.setting.slots or SLOTS[self.case.size],
            "reclaim": int(self.setting.reclaim),
            "entries": int(self.setting.entries),
            "more": self.setting.more,
            "write_batch": self.setting.write_batch,
            "read_batch": self.setting.read_batch,
            "block": int(self.case.block),
            "rest": REST if self.case.block and not self.case.python else 0,
            "durable": 0,
            **more,
        }

    def sides(self) -> tuple[Side, Side]:
        if self.case.kind == "time":
            first, second = ({**self.options(), "side": side} for side in range(2))
            return Side(self.peer.name, "pong", first), Side(self.peer.name, "pong", second)
        options = self.options()
        return (
            Side(self.peer.name, "produce", {**options, "side": 0}),
            Side(self.peer.name, "consume", {**options, "side": 1}),
        )


# A message of 1 MB needs the cache: few slots, or slots that are used again at once.
LARGE = (
    Setting(DATABLOCK, slots=2),
    Setting(DATABLOCK, slots=64),
    Setting(DATABLOCK, slots=64, reclaim=True),
    Setting(RING, slots=2),
)
BY_ENTRY = (Setting(RING, entries=True),)
# What claim, commit, read and release take beyond this ring's write and read, rounded down.
AS_MANY = (*BY_ENTRY, Setting(RING, entries=True, more=320))
ONE_WAY = [
    Case(f"{named(64)} one way", "time", 64, more=AS_MANY),
    Case(f"{named(4 * KB)} one way", "time", 4 * KB, more=BY_ENTRY),
    Case(f"{named(MB)} one way", "time", MB, more=LARGE),
]
SMALL = (
    Setting(DATABLOCK, slots=1024),
    Setting(DATABLOCK, slots=256, write_batch=BATCH, read_batch=BATCH),
    Setting(DATABLOCK, slots=256, read_batch=BATCH),
    *BY_ENTRY,
)
STREAM = [
    Case(f"{named(64)} stream", "rate", 64, more=SMALL),
    Case(f"{named(4 * KB)} stream", "rate", 4 * KB),
    Case(f"{named(64 * KB)} stream", "rate", 64 * KB),
    Case(f"{named(MB)} stream", "rate", MB, more=LARGE),
]
WAKE = Case("64 B wake-up", "time", 64, block=True)
IN_BATCHES = (Setting("py-datablock-inplace", read_batch=BATCH),)
PYTHON = [
    Case("Python 64 B one way, polling", "time", 64, python=True),
    Case("Python 64 B one way, waiting", "time", 64, block=True, python=True),
    Case("Python 64 B stream", "rate", 64, python=True, more=IN_BATCHES),
    Case("Python 1 MB stream", "rate", MB, python=True),
]
CASES = [*ONE_WAY, *STREAM, WAKE, *PYTHON]


def entries(case: Case) -> list[Entry]:
    """The measurements of a case, in the order of the peers."""
    found = []
    for peer in (peer for peer in ALL if case.takes(peer)):
        found.append(Entry(case, peer, Setting(peer.name)))
        found += [Entry(case, peer, more) for more in case.more if more.peer == peer.name]
    return found
