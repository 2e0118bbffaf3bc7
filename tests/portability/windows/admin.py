#!/usr/bin/env python3
"""Runs datablock-admin.exe under Wine on real blocks.

  living     list, status and diagnose of a block with a living producer and a living reader
  dead       the same after a kill of both: what is stuck, a dry run, a recovery, the history
  damage     validate finds a damaged header, and repairs the control file of it
  garbage    a process dies while it makes a block, and gc removes its files
  schemas    register, list, show and check, in the default folder and in another
  refusals   exit codes and messages with the paths of Windows

Usage: admin.py BUILD [CHECK]... BUILD is as in library.py, and `make windows` makes the program.
Exit code 77: the tools are missing.
"""

import contextlib
import json
import pathlib
import re
import sys
import tempfile

import checks
import exchange
import wine

SCHEMA = "schema Host 1.0.0 { a: f64; }\n"
NEWER = "schema Host 1.1.0 { a: f64; b: u32; }\n"
PRODUCING = ["--flags=lossless", "--slots=8", "--slot-size=64"]
CREATED_HALF = "create.data-reserved"  # both files exist, and none has a name


class Admin:
    """datablock-admin.exe and the programs beside it."""

    def __init__(self, prefix, build, into):
        self.prefix, self.into = prefix, into
        self.program = build / "windows/datablock-admin.exe"
        self.programs = exchange.programs_in(into, build)

    def run(self, stage, *arguments, code=0, **options):
        """Runs a command on the blocks of a stage, and returns what it says."""
        found, said = self.prefix.run(self.program, *arguments, "--directory", self.prefix.path(stage.directory),
                                      limit=60, **options)
        if found != code:
            raise checks.Failed(f"{' '.join(map(str, arguments))}: exit code {found}, not {code}: {said}")
        return said

    @contextlib.contextmanager
    def stage(self):
        with exchange.Stage(self.prefix) as stage:
            yield stage

    def pair(self, stage):
        """A producer in C in the middle of a message, and a reader in Go that holds one."""
        producer = stage.start(self.programs["c_inline"], "produce", *PRODUCING)
        reader = stage.start(self.programs["go"], "consume", "--delivery=lossless")
        for worker, command, answer in ((producer, "write 3", "wrote=3 .*end=OK"), (producer, "claim", "claimed 3"),
                                        (reader, "hold", "holding 0")):
            worker.send(command)
            worker.expect(answer)
        return producer, reader


def has(said, *patterns):
    for pattern in patterns:
        if not re.search(pattern, said, re.M):
            raise checks.Failed(f"no {pattern!r} in: {said}")


def living(admin):
    with admin.stage() as stage:
        admin.pair(stage)
        has(admin.run(stage, "list"), r"^block +READY +RING +8\+25 .* pid \d+ +1 of 16")
        has(admin.run(stage, "status", "block"), "3 messages written", "^0 +producer .*alive",
            "^1 +consumer .*LOSSLESS.*alive")
        has(admin.run(stage, "diagnose", "block"), "33 healthy, 0 stuck", "WRITING +3 .*alive", "COMMITTED +0 .*alive")
        shown = json.loads(admin.run(stage, "list", "--json"))
        if shown[0]["name"] != "block":
            raise checks.Failed(f"list --json: {shown}")
        has(admin.run(stage, "unlink", "block", code=4), "is being written by pid")


def dead(admin):
    with admin.stage() as stage:
        for worker in admin.pair(stage):
            worker.kill()
        has(admin.run(stage, "list"), r"^block .* none +0 of 16")
        has(admin.run(stage, "status", "block"), "producer.*DEAD", "consumer.*DEAD")
        has(admin.run(stage, "diagnose", "block", code=1), "31 healthy, 2 stuck", "WRITING +3 .*DEAD",
            "COMMITTED +0 .*DEAD")
        steps = ["release row 1 of the dead consumer", "end the claim of a dead producer"]
        has(admin.run(stage, "auto-recover", "block", "--dry-run", code=1), *(f"^would: {step}" for step in steps))
        has(admin.run(stage, "diagnose", "block", code=1), "2 stuck")  # a dry run changes nothing
        has(admin.run(stage, "auto-recover", "block", "--yes"), *(f"^done: {step}" for step in steps))
        has(admin.run(stage, "diagnose", "block"), "33 healthy, 0 stuck")
        has(admin.run(stage, "history", "block"), "removed the dead consumer", "nothing was published")
        has(admin.run(stage, "validate", "block"), "is healthy")
        producer = stage.start(admin.programs["go"], "produce", *PRODUCING)
        producer.send("write 1")
        producer.expect("wrote=1 first=3 last=3 end=OK")  # the claim was not published
        producer.kill()
        has(admin.run(stage, "unlink", "block"), "removed block")
        left_nothing(stage)


def damage(admin):
    with admin.stage() as stage:
        producer = stage.start(admin.programs["c_inline"], "produce", *PRODUCING)
        producer.send("write 3")
        producer.expect("wrote=3 .*end=OK")
        producer.send("close")
        producer.expect("closed")
        producer.kill()
        (control,) = pathlib.Path(stage.directory).glob("block.*.ctl")
        with open(control, "r+b") as file:
            file.write(b"\0" * 8)
        has(admin.run(stage, "validate", "block", code=1), r"\.ctl: byte 0 of the header")
        admin.run(stage, "validate", "block", "--repair", "--yes")
        has(admin.run(stage, "validate", "block"), "is healthy")
        reader = stage.start(admin.programs["go"], "consume", "--start=oldest", "--delivery=ordered")
        reader.send("read 3")
        reader.expect("read=3 missed=0 first=0 last=2 bad=0 .*end=OK")
        reader.kill()
        admin.run(stage, "unlink", "block")
        left_nothing(stage)


def garbage(admin):
    with admin.stage() as stage:
        half = stage.start(admin.programs["c_inline"], "produce", *PRODUCING, crash=CREATED_HALF, attached=False)
        if half.line() is not None:
            raise checks.Failed("the producer has not died while it made its block")
        half.kill()
        files = sorted(file.name for file in pathlib.Path(stage.directory).iterdir())
        has(admin.run(stage, "list"), "no blocks")
        said = admin.run(stage, "gc")
        if not files or [f"removed {name}" for name in files] != sorted(said.split("\n")[:-1]):
            raise checks.Failed(f"gc says {said!r} of {files}")
        left_nothing(stage)
        has(admin.run(stage, "gc"), "nothing to remove")


def left_nothing(stage):
    left = [file.name for file in pathlib.Path(stage.directory).iterdir()]
    if left:
        raise checks.Failed(f"left behind: {left}")


@contextlib.contextmanager
def default_registry(admin):
    """Lists the test's schema in the default folder, which outlasts this run and is empty of it."""
    def registered():
        return list(admin.prefix.folder.glob("drive_c/users/*/AppData/Local/DataBlock/schemas/Host@1.0.0.schema"))

    def empty():
        for file in registered():
            file.unlink()

    empty()  # of what an interrupted run has left
    try:
        yield registered
    finally:
        empty()


def schemas(admin):
    with admin.stage() as stage, tempfile.TemporaryDirectory() as folder, default_registry(admin) as registered:
        folder = pathlib.Path(folder)
        path = admin.prefix.path
        (folder / "old.schema").write_text(SCHEMA)
        (folder / "new.schema").write_text(NEWER)
        (folder / "registry").mkdir()
        for more in (["--registry", path(folder / "registry")], []):
            admin.run(stage, "schema", "register", path(folder / "old.schema"), *more)
            has(admin.run(stage, "schema", "list", *more), r"^Host@1\.0\.0 +8 ")
            has(admin.run(stage, "schema", "show", "registered:Host@1", *more), "a: f64")
        if len(registered()) != 1:
            raise checks.Failed(f"in the default folder: {registered()}")
        producer = stage.start(admin.programs["c_inline"], "produce", *PRODUCING, f"--schema={SCHEMA.strip()}")
        has(admin.run(stage, "schema", "show", "block:block"), "schema Host 1.0.0")
        admin.run(stage, "schema", "check", "block:block", path(folder / "old.schema"))
        has(admin.run(stage, "schema", "check", "block:block", path(folder / "new.schema"), code=1), "b")
        producer.kill()


def refusals(admin):
    with admin.stage() as stage:
        directory = admin.prefix.path(stage.directory)
        has(admin.run(stage, "status", "missing", code=3), re.escape(f'no block "missing" in {directory}'))
        has(admin.run(stage, "status", "CON", code=2), "device")
        has(admin.run(stage, "status", "a:b", code=2), "block name")
        has(admin.run(stage, "status", code=2), "name one block")
        producer = stage.start(admin.programs["go"], "produce", *PRODUCING)
        has(admin.run(stage, "status", f"{directory}\\block"), "0 messages written")
        has(admin.run(stage, "status", "BLOCK", code=2), 'holds the block "block"', "use that spelling")
        producer.kill()
        pathlib.Path(stage.directory, "text").write_text("no block\n")
        has(admin.run(stage, "validate", "text", code=1), re.escape(f"{directory}\\text"))
    code, said = admin.prefix.run(admin.program, "list", "--directory", "relative")
    if code != 2 or "begins with a drive" not in said:
        raise checks.Failed(f"a relative directory: exit code {code}: {said}")
    code, said = admin.prefix.run(admin.program, "list", "--directory", "C:\\missing")
    if code != 3 or "C:\\missing" not in said:
        raise checks.Failed(f"a missing directory: exit code {code}: {said}")
    code, said = admin.prefix.run(admin.program, "list")  # the default directory
    if code != 0:
        raise checks.Failed(f"the default directory: exit code {code}: {said}")


CHECKS = {check.__name__: check for check in (living, dead, damage, garbage, schemas, refusals)}


def main():
    a = checks.parser(__doc__, "checks").parse_args()
    wine.require_tools()
    checks.refuse_unknown(a.checks, CHECKS)
    with tempfile.TemporaryDirectory() as into, wine.prefix(a.build) as prefix:
        admin = Admin(prefix, a.build.resolve(), pathlib.Path(into))
        return any([checks.fails(name, CHECKS[name], admin) for name in a.checks or CHECKS])


if __name__ == "__main__":
    sys.exit(main())
