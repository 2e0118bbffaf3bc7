"""The plan of the measurements: every figure, its limits, the bounds.

From a base (64 bytes, LOSSLESS, one consumer, polling, C inline, one copy in and one out) one
dimension varies at a time. Every figure names the measurements that come right before it in the
same repetition: first its limit, which is measured without DataBlock, then the figure of its bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from processes import PROGRAMS, Option, Side

# A source tree without datablock_inline.h has no inline functions. Then the exported functions are
# the base, and the table says so.
BASE = "inline" if (PROGRAMS / "worker-inline").exists() else "exported"

KB, MB = 1 << 10, 1 << 20
SIZES = (64, KB, 4 * KB, 64 * KB, MB, 8 * MB)
SLOTS = {64: 1024, KB: 256, 4 * KB: 64, 64 * KB: 16, MB: 8, 8 * MB: 4}
MANY_ROWS = 32
# datablock_checksum and datablock_algorithm
CHECKSUMS = {"MANUAL": (1, 1), "ENFORCED": (2, 1), "ENFORCED, BLAKE2b": (2, 2)}
REST = 50e-6  # seconds: a side that waits this long for a message sleeps


def named(size: int) -> str:
    return f"{size // MB} MB" if size >= MB else f"{size // KB} KB" if size >= KB else f"{size} B"


@dataclass(frozen=True)
class Figure:
    """One measurement.

    `kind` is "time" (samples), "rate" (messages a second), "death" (a kill and its consequence) or
    "memory".
    """

    key: str
    kind: str
    sides: tuple[Side, ...]
    beside: tuple[str, ...] = ()
    size: int = 64


@dataclass(frozen=True)
class Row:
    """A line of the table: a time, a rate, or both."""

    section: str
    label: str
    figures: tuple[Figure, ...]


# ---- Limits --------------------------------------------------------------------------------------


def limit(key: str, role: str, kind: str, sides: int, size: int = 64, copy: int = 1) -> Figure:
    def side(number: int) -> Side:
        options: dict[str, Option] = {
            "side": number,
            "size": size,
            "slots": SLOTS[size],
            "copy": copy,
        }
        options |= {"follow": sides - 1, "rest": REST}
        return Side("limits", role, options)

    return Figure(key, kind, tuple(side(number) for number in range(sides)), size=size)


def ring_pong(size: int) -> str:
    return f"plain ring, {named(size)}, there and back"


def ring_stream(size: int, copy: int = 1) -> str:
    return f"plain ring, {named(size)}{'' if copy else ', not copied'}"


def copying(size: int) -> str:
    return f"memcpy, {named(size)}"


LINE, FUTEX, OPEN, DEATH = "cache line", "futex", "bare system calls", "bare lock"
RING_COST = (
    "plain ring, a burst that nobody reads",
    "plain ring, a burst",
)  # by whether it is read

RING_PONG, RING_STREAM = "ring in Python, there and back", "ring in Python"


RINGS = ((2, 0), (64, 1), (64, 0))  # slots, and whether the producer reclaims messages


def ring_of(slots: int, reclaim: int) -> str:
    return f"{named(MB)}, {slots} slots{' with RECLAIM' if reclaim else ''}"


def python_ring(key: str, kind: str, roles: tuple[str, str]) -> Figure:
    """The plainest ring in Python."""
    options: dict[str, Option] = {"size": 64, "slots": SLOTS[64], "copy": 1, "block": 0}
    sides = (Side("ring", role, {**options, "side": side}) for side, role in enumerate(roles))
    return Figure(key, kind, tuple(sides))


LIMITS = [
    python_ring(RING_PONG, "time", ("pong", "pong")),
    python_ring(RING_STREAM, "rate", ("produce", "consume")),
    limit(LINE, "line", "time", 2),
    limit(FUTEX, "futex", "time", 2),
    *(limit(ring_pong(size), "ring-pong", "time", 2, size) for size in SIZES[1:]),
    *(limit(ring_stream(size), "ring-stream", "rate", 2, size) for size in SIZES),
    *(limit(ring_stream(size, 0), "ring-stream", "rate", 2, size, 0) for size in (MB, 8 * MB)),
    *(limit(key, "ring-cost", "time", 1 + follow) for follow, key in enumerate(RING_COST)),
    limit(copying(MB), "memcpy", "rate", 1, MB),
    limit(OPEN, "open", "time", 1),
    Figure(DEATH, "death", (Side("limits", "fill"), Side("limits", "hold"))),
]

# ---- DataBlock -----------------------------------------------------------------------------------


def terms(
    size: int = 64,
    rows: int = 1,
    delivery: str = "lossless",
    block: int = 0,
    copy: int = 1,
    **more: Option,
) -> dict[str, Option]:
    geometry = {"size": size, "slots": SLOTS[size], "limit": rows}
    return {
        **geometry,
        "rows": rows,
        "delivery": delivery,
        "block": block,
        "copy": copy,
        "checksum": 0,
        "algorithm": 0,
        "reclaim": 0,
        "rest": REST if block else 0,
        **more,
    }


def one_way(
    key: str, beside: tuple[str, ...] = (LINE,), program: str = BASE, **varied: Option
) -> Figure:
    options = terms(**varied)  # type: ignore[arg-type]
    sides = tuple(Side(program, "pong", {**options, "side": side}) for side in range(2))
    return Figure(f"{key}, one way", "time", sides, beside, int(options["size"]))


def stream(
    key: str,
    beside: tuple[str, ...] = (),
    program: str = BASE,
    reader: str | None = None,
    reads: dict[str, Option] | None = None,
    **varied: Option,
) -> Figure:
    """As fast as possible. The reader may be another program with other terms."""
    options = terms(**varied)  # type: ignore[arg-type]
    size, copy = int(options["size"]), int(options["copy"])
    sides = (
        Side(program, "produce", options),
        Side(reader or program, "consume", {**options, **(reads or {})}),
    )
    return Figure(f"{key}, stream", "rate", sides, beside or (ring_stream(size, copy),), size)


def exchange(section: str, key: str, **varied: Option) -> Row:
    """A row with a time and a rate, and the usual limits."""
    return Row(section, key, (one_way(key, **varied), stream(key, **varied)))  # type: ignore[arg-type]


def opening(key: str, role: str) -> Row:
    return Row("opening", key, (Figure(key, "time", (Side(BASE, role, terms()),), (OPEN,)),))


def cost(delivery: str, follow: int, rows: int) -> Row:
    what = f"{rows} {'LOSSLESS, keeping up' if follow else 'idle LATEST'}"
    options = {**terms(rows=rows, delivery=delivery, follow=follow), "limit": 2 * MANY_ROWS}
    sides = (Side(BASE, "cost", options), Side(BASE, "rows", options))
    beside = (
        (RING_COST[follow],) if rows == 1 else (RING_COST[follow], f"1{what[len(str(rows)) :]}")
    )
    return Row("cost", what, (Figure(what, "time", sides, beside),))


BASE_KEY = "base"
BASE_ONE_WAY, BASE_STREAM = f"{BASE_KEY}, one way", f"{BASE_KEY}, stream"
TO_PYTHON, FROM_PYTHON = "C to Python bytes", "Python bytes to C"
BETWEEN_PYTHON = "Python bytes to Python"
PYTHON_POLLS, PYTHON_SLOTS = "Python bytes to Python, polling", "Python slots to Python"
FRAMES, FRAMES_COPIED = f"NumPy {named(MB)} to C", f"NumPy {named(MB)}"
UNTOUCHED = "untouched"
ATTACH, ADOPT, DIAGNOSE, KILL, MEMORY = (
    "attach",
    "adopt",
    "diagnose, 1024 slots",
    "kill of a reader",
    "memory",
)
BLOCKING = "blocking"


def bound_to_base(program: str, label: str) -> Row:
    """A binding, whose figures are compared with the base."""
    figures = (
        one_way(label, (LINE, BASE_ONE_WAY), program),
        stream(label, (ring_stream(64), BASE_STREAM), program),
    )
    return Row("binding", label, figures)


def python_rows() -> list[Row]:
    return [
        Row(
            "python",
            BETWEEN_PYTHON,
            (
                one_way(BETWEEN_PYTHON, (RING_PONG,), "bytes", block=1, rest=0),
                stream(BETWEEN_PYTHON, (RING_STREAM,), "bytes", block=1),
            ),
        ),
        Row("python", PYTHON_POLLS, (one_way(PYTHON_POLLS, (RING_PONG,), "bytes", block=0),)),
        Row("python", PYTHON_SLOTS, (stream(PYTHON_SLOTS, (RING_STREAM,), "slots", block=1),)),
        Row("python", TO_PYTHON, (stream(TO_PYTHON, reader="bytes", reads={"block": 1}),)),
        Row(
            "python",
            FROM_PYTHON,
            (stream(FROM_PYTHON, program="bytes", block=1, reader=BASE, reads={"block": 0}),),
        ),
        Row(
            "python",
            FRAMES,
            (
                stream(
                    FRAMES, (copying(MB),), "numpy", BASE, {"block": 0, "copy": 0}, size=MB, block=1
                ),
            ),
        ),
        Row(
            "python",
            FRAMES_COPIED,
            (stream(FRAMES_COPIED, (ring_stream(MB),), "numpy", size=MB, block=1),),
        ),
    ]


def checksum_rows() -> list[Row]:
    """Beside the same messages without a checksum."""
    rows = []
    for size, key in ((64, BASE_KEY), (4 * KB, named(4 * KB))):
        limit_of_time = LINE if size == 64 else ring_pong(size)
        for name, (checksum, algorithm) in CHECKSUMS.items():
            label = f"{name}, {named(size)}"
            time = one_way(
                label,
                (limit_of_time, f"{key}, one way"),
                size=size,
                checksum=checksum,
                algorithm=algorithm,
            )
            rate = stream(
                label,
                (ring_stream(size), f"{key}, stream"),
                size=size,
                checksum=checksum,
                algorithm=algorithm,
            )
            rows.append(Row("checksums", label, (time, rate)))
    return rows


def ring_rows() -> list[Row]:
    """Messages of 1 MB in rings of several lengths."""
    rows = []
    for slots, reclaim in RINGS:
        key = ring_of(slots, reclaim)
        beside = (ring_pong(MB), *((f"{ring_of(*RINGS[0])}, one way",) if reclaim else ()))
        rows.append(
            Row(
                "ring",
                key,
                (
                    one_way(key, beside, size=MB, slots=slots, reclaim=reclaim),
                    stream(key, size=MB, slots=slots, reclaim=reclaim),
                ),
            )
        )
    return rows


def all_rows() -> list[Row]:
    rows = [exchange("size", BASE_KEY)]
    for size in SIZES[1:]:
        key = named(size)
        rows.append(
            Row("size", key, (one_way(key, (ring_pong(size),), size=size), stream(key, size=size)))
        )
    for size in (MB, 8 * MB):
        key = f"{named(size)}, {UNTOUCHED}"
        time = one_way(key, (LINE, BASE_ONE_WAY), size=size, copy=0)
        rows.append(Row("size", key, (time, stream(key, size=size, copy=0))))
    if BASE == "inline":
        rows.append(bound_to_base("exported", "C exported"))
    bindings = (("go", "Go"), ("bytes", "Python bytes"), ("numpy", "Python NumPy"))
    rows += [bound_to_base(program, label) for program, label in bindings]
    rows += python_rows()
    rows += [exchange("consumers", f"{n} rows", rows=n) for n in (2, 8, MANY_ROWS)]
    rows += [
        exchange("delivery", delivery.upper(), delivery=delivery)
        for delivery in ("ordered", "latest")
    ]
    rows += checksum_rows() + ring_rows()
    rows.append(
        Row("waiting", BLOCKING, (one_way(BLOCKING, (FUTEX,), block=1), stream(BLOCKING, block=1)))
    )
    rows += [cost("lossless", 1, n) for n in (1, MANY_ROWS)] + [
        cost("latest", 0, n) for n in (1, MANY_ROWS)
    ]
    rows += [opening(ATTACH, "attach"), opening(ADOPT, "adopt"), opening(DIAGNOSE, "diagnose")]
    death = (Side(BASE, "fill", terms()), Side(BASE, "hold", terms()))
    rows.append(Row("kill", KILL, (Figure(KILL, "death", death, (DEATH,)),)))
    rows.append(Row("memory", MEMORY, (Figure(MEMORY, "memory", (Side(BASE, "memory"),)),)))
    return rows


# The title of each section, and its limits.
SECTIONS = {
    "size": (
        "Size of a message",
        "the cache line (64 B, untouched), else the plain ring, with the same copies",
    ),
    "binding": ("Binding, the same on both sides", "the cache line; the plain ring"),
    "python": (
        "Python as it is written: calls that wait",
        "the plain ring; memcpy for frames to C, which are copied in and read in place",
    ),
    "consumers": ("Consumers, driven by one process", "the cache line; the plain ring"),
    "delivery": ("Delivery", "the cache line; the plain ring"),
    "checksums": (
        "Checksums, CRC32C unless the row says BLAKE2b",
        "the cache line (64 B), else the plain ring, with the same copies and no checksum",
    ),
    "ring": (
        "Messages of 1 MB, by the length of the ring",
        f"the plain ring of {SLOTS[MB]} slots, with the same copies",
    ),
    "waiting": ("Waiting", "two sleepers on a futex; the plain ring"),
    "cost": (
        "What a message costs the producer, by rows that are attached",
        "the plain ring's producer, its reader keeping up or absent",
    ),
    "opening": ("Opening and looking", "the bare system calls of an attach"),
    "kill": (
        "From the kill of the reader that holds the producer up to the next message",
        "from the kill to a lock that is waited for",
    ),
}

# ---- Bounds --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """The bound of a figure: of its `statistic`, divided by the statistic of `against` if given."""

    text: str
    figure: str
    statistic: str
    most: float | None = None
    least: float | None = None
    against: str = ""
    unit: str = ""


def held(
    text: str, figure: str, statistic: str, against: str = "", unit: str = "", **limits: float
) -> Bound:
    unit = unit or ("x" if against else "")
    return Bound(text, figure, statistic, limits.get("most"), limits.get("least"), against, unit)


def beside_base(size: int) -> Bound:
    key = f"{named(size)}, {UNTOUCHED}, one way"
    return held(
        f"{named(size)} untouched, one way, p50, to 64 B", key, "p50", BASE_ONE_WAY, most=1.2
    )


def stream_bound(key: str, size: int, least: float) -> Bound:
    return held(
        f"{named(size)} stream, to the plain ring",
        f"{key}, stream",
        "rate",
        ring_stream(size),
        least=least,
    )


BOUNDS = [
    held("one way, p50, to the cache line", BASE_ONE_WAY, "p50", LINE, most=3),
    stream_bound(BASE_KEY, 64, 0.5),
    stream_bound(named(4 * KB), 4 * KB, 0.9),
    stream_bound(named(MB), MB, 0.9),
    beside_base(MB),
    beside_base(8 * MB),
    held("Go, one way, p50, to C inline", "Go, one way", "p50", BASE_ONE_WAY, most=1.5),
    held("Go, stream, to C inline", "Go, stream", "rate", BASE_STREAM, least=1 / 1.5),
    held(
        "Python waits, one way, p50, to a ring in Python",
        f"{BETWEEN_PYTHON}, one way",
        "p50",
        RING_PONG,
        most=2,
    ),
    held(
        "Python polls, one way, p50, to a ring in Python",
        f"{PYTHON_POLLS}, one way",
        "p50",
        RING_PONG,
        most=2,
    ),
    held("Python sends, bytes of 64 B", f"{FROM_PYTHON}, stream", "rate", unit="/s", least=400e3),
    held("Python receives, bytes of 64 B", f"{TO_PYTHON}, stream", "rate", unit="/s", least=400e3),
    held(
        "NumPy frames of 1 MB, copied in, to memcpy",
        f"{FRAMES}, stream",
        "rate",
        copying(MB),
        least=0.8,
    ),
    held(
        "NumPy frames of 1 MB, in and out, to the plain ring",
        f"{FRAMES_COPIED}, stream",
        "rate",
        ring_stream(MB),
        least=0.8,
    ),
    held(
        "ENFORCED, 64 B one way, p50, to no checksum",
        f"ENFORCED, {named(64)}, one way",
        "p50",
        BASE_ONE_WAY,
        most=1.25,
    ),
    held(
        "ENFORCED, 4 KB stream, to no checksum",
        f"ENFORCED, {named(4 * KB)}, stream",
        "rate",
        f"{named(4 * KB)}, stream",
        least=0.7,
    ),
    held(
        "1 MB one way, 64 slots with RECLAIM, p50, to 2 slots",
        f"{ring_of(64, 1)}, one way",
        "p50",
        f"{ring_of(2, 0)}, one way",
        most=1.3,
    ),
    held("blocking, one way, p50, to the futex", f"{BLOCKING}, one way", "p50", FUTEX, most=1.3),
    held(
        "producer, 32 LOSSLESS rows that keep up, to one",
        f"{MANY_ROWS} LOSSLESS, keeping up",
        "p50",
        "1 LOSSLESS, keeping up",
        most=1.5,
    ),
    held(
        "producer, 32 idle LATEST rows, to one",
        f"{MANY_ROWS} idle LATEST",
        "p50",
        "1 idle LATEST",
        most=1.2,
    ),
    held("producer goes on after its reader's kill, p99", KILL, "p99", unit="ns", most=10e6),
    held("attach, p50", ATTACH, "p50", unit="ns", most=300e3),
    held("diagnose_all of 1024 slots, p50", DIAGNOSE, "p50", unit="ns", most=1e6),
    held("fixed memory at 64 consumers", MEMORY, "fixed", unit="B", most=64 * KB),
    held("memory of a slot beyond the payload", MEMORY, "slot", unit="B", most=64),
    held(
        "resident memory of the library in a C program", MEMORY, "resident", unit="B", most=8 * MB
    ),
]
