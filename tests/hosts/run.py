"""Runs hosts of the library under signals, and ends programs that hang.

run.py BUILD stress [--except SIGNALS] -- HOST...
    Sends every signal to the host for 3 seconds, or 60 with DATABLOCK_SOAK=1.
run.py BUILD cases [--only TEXT] -- PROGRAM...
    Runs `PROGRAM list`, and `PROGRAM CASE` for each case that it lists.
run.py BUILD exits [--only TEXT] -- PROGRAM
    Interrupts the program at random moments; its handler exits or closes.
run.py BUILD plain [--makes FILE] -- PROGRAM...
    Runs the program once, to a good end.

Each program has a block directory of its own, which must be empty after its end. A program that
does not end in time has failed. Then run.py prints the stacks of its threads, if gdb is installed,
and kills it by its process id. With --need run.py exits with 77 if something is missing.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
SOAK = os.environ.get("DATABLOCK_SOAK") == "1"
RATE = 5000  # signals a second
START = 60.0  # seconds for the start of a host
END = 60.0  # seconds for its end on a loaded machine
MOST = 10  # run.py stops after this number of failed cases, because each may take its whole time


class Fault(Exception):
    """An error of a program."""


def stacks(pid: int) -> str:
    if shutil.which("gdb") is None:
        return "(no gdb here to show the stacks of its threads)"
    command = ["gdb", "-p", str(pid), "-batch", "-nx", "-ex", "set pagination off", "-ex", "thread apply all bt 14"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, errors="replace").stdout
    except subprocess.TimeoutExpired:
        return "(gdb showed nothing within 60 s)"
    return "\n".join(line for line in shown.splitlines() if line.startswith(("Thread", "#")))


class Program:
    """A running program, its block directory and what it prints."""

    def __init__(self, command: list[str]) -> None:
        parent = os.environ.get("DATABLOCK_DIR", "/dev/shm")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="datablock-hosts-", dir=parent))
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="datablock-hosts-"))
        self.errors = (self.scratch / "stderr").open("w+b")
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                cwd=self.scratch,
                env={**os.environ, "DATABLOCK_DIR": str(self.directory)},
                start_new_session=True,
            )
        except OSError as error:
            self.remove()
            raise Fault(f"it does not start: {error}") from None
        self.printed = b""

    def lines(self) -> list[str]:
        return self.printed.decode(errors="replace").splitlines()

    def read(self, deadline: float, until: bytes | None = None) -> bool:
        """Reads the output up to a line with this beginning, or to the end. False: not in time."""
        assert self.process.stdout is not None
        while until is None or not any(line.startswith(until) for line in self.printed.splitlines()):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return False
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                return until is None
            self.printed += more
        return True

    def wait_for(self, line: bytes) -> None:
        if self.read(time.monotonic() + START, line):
            return
        try:
            raise Fault(f"it ended before it said {line.decode()}: {ending(self.process.wait(timeout=5))}")
        except subprocess.TimeoutExpired:
            raise Fault(f"it did not say {line.decode()} within {START:.0f} s\n{stacks(self.process.pid)}") from None

    def stop(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"stop\n")
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # the program's end says why

    def end(self, seconds: float) -> int:
        """The exit code; raises Fault if the program does not end in time."""
        self.read(time.monotonic() + seconds)
        try:
            return self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            raise Fault(f"it hangs: not ended after {seconds:.0f} s\n{stacks(self.process.pid)}") from None

    def said(self) -> str:
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        lines = self.lines() + text.splitlines()
        if len(lines) > 60:
            lines = [*lines[:30], f"... {len(lines) - 60} lines ...", *lines[-30:]]
        return "\n".join("    " + line for line in lines)

    def left(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                pass
        self.remove()

    def remove(self) -> None:
        self.errors.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.scratch, ignore_errors=True)


def ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def stress(build: pathlib.Path, command: list[str], spared: str) -> None:
    seconds = 60 if SOAK else 3
    program = Program([*command, spared])
    try:
        program.wait_for(b"ready")
        threads = [line.split()[1] for line in program.lines() if line.startswith("thread ")]
        sender = subprocess.run(
            [build / "tests/hosts/signaller", str(program.process.pid), str(seconds), str(RATE), spared, *threads],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        )
        program.stop()
        stopped = time.monotonic()
        code = program.end(END)
        if code != 0 or not any(line.startswith("ok ") for line in program.lines()):
            raise Fault(ending(code))
        if sender.returncode != 0:
            raise Fault(f"the signaller: {sender.stderr.strip()}")
        if program.left():
            raise Fault(f"left in its block directory: {', '.join(program.left())}")
        print(f"{sender.stdout.strip()}, {time.monotonic() - stopped:.1f} s to end")
        print(program.said())
    except Fault as fault:
        raise Fault(f"{fault}\n{program.said()}") from None
    finally:
        program.close()


def plain(command: list[str], makes: str = "", seconds: float = 60) -> str:
    program = Program(command)
    try:
        code = program.end(seconds)
        if code != 0:
            raise Fault(ending(code))
        if program.left():
            raise Fault(f"left in its block directory: {', '.join(program.left())}")
        if makes and not (program.scratch / makes).stat().st_size:
            raise Fault(f"{makes} is empty")
        return "\n".join(program.lines())
    except (Fault, FileNotFoundError) as fault:
        raise Fault(f"{fault}\n{program.said()}") from None
    finally:
        program.close()


def cases(command: list[str], only: str) -> None:
    names = [name for name in plain([*command, "list"]).split("\n") if only in name]
    wrong = []
    for name in names:
        try:
            said = plain([*command, *name.split()])
            print(f"{name}: right{': ' + said.splitlines()[-1] if said else ''}", flush=True)
        except Fault as fault:
            wrong.append(name)
            print(f"{name}: {fault}", flush=True)
            if len(wrong) == MOST:
                break
    if wrong or not names:
        rest = "; no others were tried" if len(wrong) == MOST else ""
        raise Fault(f"{len(wrong)} of {len(names)} cases failed: {', '.join(wrong)}{rest}")


def exits(build: pathlib.Path, command: list[str], only: str) -> None:
    rounds = 40 if SOAK else 4
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    wrong = []
    slow = []
    names = [name for name in plain([*command, "list"]).split("\n") if only in name]
    for name in names:
        for number in range(rounds):
            program = Program([*command, *name.split()])
            try:
                program.wait_for(b"up")
                if select.select([program.process.stdout], [], [], moments.random() * 0.03)[0]:
                    raise Fault("it ended before the signal")
                began = time.monotonic()
                program.process.send_signal(signal.SIGINT)
                code = program.end(10)
                took = time.monotonic() - began
                if code != 7:
                    raise Fault(f"{ending(code)}, not 7")
                if took > 1:
                    slow.append(f"{name}: {took:.1f} s")
                check_blocks(build, command, program)
            except Fault as fault:
                wrong.append(name)
                print(f"{name}, round {number}: {fault}\n{program.said()}", flush=True)
                break
            finally:
                program.close()
        if len(wrong) == MOST:
            break
    if wrong:
        raise Fault(f"{len(wrong)} of {len(names)} ways failed: {', '.join(wrong)} (seed {seed})")
    # A loaded machine may delay some of the runs.
    if len(slow) > rounds * len(names) // 20:
        raise Fault(f"took more than a second to end: {', '.join(slow)}")
    print(f"{rounds * len(names)} ends")


def check_blocks(build: pathlib.Path, command: list[str], program: Program) -> None:
    """Checks that the blocks are valid, and that a producer takes them over without force."""
    environment = {**os.environ, "DATABLOCK_DIR": str(program.directory)}
    for name in program.left():
        if name.endswith(".ctl"):
            continue
        command_line = [build / "datablock-admin", "validate", "--shm-name", name]
        checked = subprocess.run(command_line, env=environment, capture_output=True, text=True, timeout=60)
        if checked.returncode != 0:
            raise Fault(f"the block {name} is not valid afterwards: {checked.stdout}{checked.stderr}")
    following = subprocess.run([*command, "next"], env=environment, capture_output=True, text=True, timeout=60)
    if following.returncode != 0:
        raise Fault(f"the next producer: {ending(following.returncode)}: {following.stdout}{following.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("kind", choices=["stress", "cases", "exits", "plain"])
    parser.add_argument("--except", dest="spared", default="", help="signals of the host's runtime")
    parser.add_argument("--need", action="append", default=[], help="without this the test is skipped")
    parser.add_argument("--only", default="", help="cases and exits: those whose names have this in them")
    parser.add_argument("--makes", default="", help="plain: a file that the program makes where it runs")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    if pathlib.Path(asked.command[0]).exists():
        asked.command[0] = str(pathlib.Path(asked.command[0]).absolute())
    for need in asked.need:
        if shutil.which(need) is None and not pathlib.Path(need).exists():
            print(f"SKIPPED: there is no {need} on this machine (scripts/setup.sh says why)")
            return SKIPPED
    try:
        if asked.kind == "stress":
            stress(asked.build, asked.command, asked.spared)
        elif asked.kind == "cases":
            cases(asked.command, asked.only)
        elif asked.kind == "exits":
            exits(asked.build, asked.command, asked.only)
        else:
            print(plain(asked.command, asked.makes))
    except Fault as fault:
        print(f"FAILED: {fault}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
