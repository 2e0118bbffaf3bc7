#!/usr/bin/env python3
"""datablock-admin for arm64 and the native one, on blocks of workers of both architectures.

Usage: admin.py BUILD. Both programs show the same of a live block and of one whose producer was
killed during a claim. The emulated program ends the claim. Then both call the block healthy, and
the emulated program removes the block.
"""

import difflib
import json
import os
import pathlib
import subprocess
import sys

import emulator
from emulator import Failed
from exchange import Worker

SAME = (("list",), ("validate", "--shm-name", "exchange"), ("diagnose", "--shm-name", "exchange"),
        ("history", "--shm-name", "exchange"))


def admin(program, directory, *arguments):
    """The exit code, and the JSON without ages, which differ from call to call."""
    done = subprocess.run([str(program), *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=emulator.LIMIT,
                          env={**os.environ, "DATABLOCK_DIR": directory})
    try:
        return done.returncode, without_ages(json.loads(done.stdout))
    except json.JSONDecodeError:
        raise Failed(f"{program} {arguments}: exit code {done.returncode}, {done.stdout}") from None


def without_ages(value):
    if isinstance(value, dict):
        return {k: without_ages(v) for k, v in value.items()
                if not k.endswith(("_ms", "_ns", "_seconds", "rate", "since"))}
    return [without_ages(v) for v in value] if isinstance(value, list) else value


def same(programs, directory, *arguments):
    native, emulated = (admin(program, directory, *arguments) for program in programs)
    if native != emulated:
        lines = ([f"exit code {code}", *json.dumps(said, indent=1).splitlines()] for code, said in (native, emulated))
        raise Failed("\n".join([f"{arguments}:", *difflib.unified_diff(*lines, "native", "emulated", lineterm="")]))
    return native


def scenario(programs, kind, directory):
    producer = Worker(*kind, "produce", "exchange", f"--dir={directory}", "--slot-size=200", "--slots=8")
    try:
        producer.expect("attached")
        producer.send("write 20")
        producer.expect("wrote=20 first=0 last=19 end=OK")
        for arguments in SAME:
            if (code := same(programs, directory, *arguments)[0]) != 0:
                raise Failed(f"{arguments} of a healthy block: exit code {code}")
        producer.send("claim")
        producer.expect("claimed 20")
    finally:
        producer.kill()
    code, said = same(programs, directory, "diagnose", "--shm-name", "exchange")
    if code != 1:
        raise Failed(f"diagnose of a block whose producer died during a claim: exit code {code}, {said}")
    [stuck] = [s["slot"] for s in said["slots"] if s["stuck"]]
    for arguments in (("release-zombie-writer", "--shm-name", "exchange", "--slot", str(stuck)),
                      ("auto-recover", "--shm-name", "exchange", "--yes")):
        code, said = admin(programs[1], directory, *arguments)
        if code != 0:
            raise Failed(f"{arguments}: exit code {code}, {said}")
    for arguments in SAME:
        if (code := same(programs, directory, *arguments)[0]) != 0:
            raise Failed(f"{arguments} of the repaired block: exit code {code}")
    code, said = admin(programs[1], directory, "unlink", "--shm-name", "exchange")
    if code != 0 or os.listdir(directory):
        raise Failed(f"unlink: exit code {code}, {said}, and {os.listdir(directory)} is left")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    emulator.require_tools()
    build = pathlib.Path(sys.argv[1]).resolve()
    into = emulator.folder(build)
    programs = build / "datablock-admin", into / "native/datablock-admin"
    workers = {"native": (build / "tests/c/worker", None), "arm64": (into / "worker.inline", emulator.NEW)}
    return any([emulator.fails(f"blocks of a worker, {name}", scenario, programs, kind)
                for name, kind in workers.items()])


if __name__ == "__main__":
    sys.exit(main())
