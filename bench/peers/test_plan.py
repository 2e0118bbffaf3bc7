"""The plan of the peers is complete, and results are sorted by the distance of the cores."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from figures import Pace  # noqa: E402

from peers import page, report, survival  # noqa: E402
from peers.plan import ALL, BY_NAME, CASES, DATABLOCK, RING, SLOTS, entries  # noqa: E402
from peers.results import Results, Run  # noqa: E402
from peers.stage import POINTS, Distance, PeerStage, remove_leftovers  # noqa: E402

ROLE_OPTIONS = {
    "size",
    "slots",
    "reclaim",
    "entries",
    "write_batch",
    "read_batch",
    "block",
    "rest",
    "durable",
    "side",
}


def test_every_peer_has_a_program_in_the_tree() -> None:
    assert len(BY_NAME) == len(ALL)
    setup = (HERE / "setup.sh").read_text()
    built = re.findall(r"bench_peer\((\w+)", (HERE.parents[1] / "cmake/Bench.cmake").read_text())
    for peer in ALL:
        if peer.python:
            source = HERE / "python" / "worker.py"
            assert f'"{peer.command[-1]}":' in (HERE / "python" / "channels.py").read_text()
        else:
            source = HERE / peer.name.split("-")[0]
        assert source.exists(), peer.name
        known = peer.name in built or peer.name.startswith("py-datablock") or peer.name in setup
        assert known, f"nothing builds {peer.name}"


def test_every_case_has_datablock_and_another_peer() -> None:
    assert len({case.key for case in CASES}) == len(CASES)
    for case in CASES:
        found = entries(case)
        assert len({entry.title for entry in found}) == len(found), case.key
        names = [entry.peer.name for entry in found]
        assert any("datablock" in name for name in names), case.key
        assert any("datablock" not in name for name in names), case.key
        if not case.python:
            assert {DATABLOCK, RING} <= set(names), case.key


def test_every_side_gets_what_its_program_asks_for() -> None:
    for case in CASES:
        assert case.size in SLOTS
        for entry in entries(case):
            first, second = entry.sides()
            roles = ("pong", "pong") if case.kind == "time" else ("produce", "consume")
            assert (first.role, second.role) == roles
            for number, side in enumerate((first, second)):
                assert set(side.options) >= ROLE_OPTIONS
                assert side.options["side"] == number
                assert side.options["size"] == case.size


def run(before: float, after: float, p50: float, error: str = "") -> Run:
    entry = entries(CASES[0])[0]
    made = Run.of(entry, 0)
    made.distance = Distance(before, after)
    made.result = {} if error else {f"p{point:g}": p50 for point in POINTS}
    if not error:
        made.result.update({"p99": 2 * p50, "p99.9": 3 * p50})
    made.error = error
    return made


def results() -> Results:
    runs = [run(50, 60, 100), run(60, 50, 300), run(200, 190, 700), run(50, 200, 9000)]
    runs.append(run(50, 50, 0, "ended with 1"))
    pace = Pace(repetitions=5, seconds=1, warm=1, kills=0)
    machine: dict[str, object] = dict.fromkeys(("processor", "processors", "kernel"), "some")
    machine.update(revision="none", others=0.5)
    death = survival.Death("DataBlock", "reader", "writer, 4 ms", "reader, 9 ms", "3", "nothing")
    return Results(machine, pace, {"shmipc-go": "not served"}, runs, [death])


def test_near_and_far_are_never_mixed() -> None:
    found = results()
    case, title = CASES[0], found.titles(CASES[0])[0]
    assert found.median(case, title, "near", "p50") == 200
    assert found.median(case, title, "far", "p50") == 700
    assert len(found.of(case, title, "mixed")) == 1
    assert Distance(0, 50).kind == Distance(50, 0).kind == "mixed"
    assert list(found.errors().values()) == ["ended with 1"]
    assert found.line("near") == 50
    document = found.document()
    assert document["medians"][case.key][title]["near"]["runs"] == 2
    assert document["not run"] == {"shmipc-go": "not served"}


def test_a_faster_peer_has_a_star() -> None:
    found = results()
    entry = next(entry for entry in entries(CASES[0]) if entry.peer.name == RING)
    faster = Run.of(entry, 0)
    faster.distance, faster.result = Distance(50, 50), dict.fromkeys(("p50", "p99", "p99.9"), 100.0)
    found.runs.append(faster)
    assert report.speed(found, CASES[0], entry.title, "near") == "2.00*"
    assert report.speed(found, CASES[0], entry.title, "far") == "-"
    assert report.speed(found, CASES[0], "DataBlock", "near") == "1.00"


def test_table_and_page_name_what_is_missing(tmp_path: Path) -> None:
    found = results()
    text = "\n".join(report.table(found))
    for words in ("200 ns", "700 ns", "1 mixed", "not run: shmipc-go", "failed: DataBlock"):
        assert words in text
    written = page.write(found, tmp_path / "page").read_text()
    assert "| DataBlock | 200 ns | 400 ns | 600 ns | 1.00 | 700 ns |" in written
    assert "| shmipc-go | not run | not served |" in written
    pictures = re.findall(r"!\[.*\]\((.*)\)", written)
    assert {"latency-near.svg", "latency-far.svg", "distribution-far.svg"} <= set(pictures)
    for picture in pictures:
        assert (tmp_path / "page" / picture).read_text().count("<polyline") == 1


def test_leftovers_of_a_measurement_go() -> None:
    with PeerStage((0, 1)) as stage:
        place = stage.directory / "leftover-of-test-plan"
        stray = Path("/dev/shm") / f"db.{place.name}.there"
        stray.touch()
        try:
            remove_leftovers(place)
            assert not stray.exists()
        finally:
            stray.unlink(missing_ok=True)
