"""Functions that several tests use."""

import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
import time

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
ROOT = PACKAGE.parent
HEADER = ROOT / "include" / "datablock.h"
LAYOUT = ROOT / "include" / "datablock_layout.h"


def eventually(condition, seconds=20.0):
    """Whether a condition comes true before the deadline, or its last value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return value


def descriptors(directory):
    """The files below a directory that this process has open.

    Other open files do not count: the Go runtime opens a few at any time.
    """
    found = []
    for descriptor in os.listdir("/proc/self/fd") if sys.platform == "linux" else ():
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if target.startswith(str(directory)):
            found.append(target)
    return found


def mappings(directory):
    """The number of this process's mappings of files below a directory."""
    with open("/proc/self/maps") as maps:
        return sum(str(directory) in line for line in maps)


def resident():
    """The memory of this process in bytes, without the pages of blocks."""
    with open("/proc/self/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+) kB", status.read()).group(1)) * 1024


class Worker:
    """A Python process that runs a script. The end of the `with` block kills the process."""

    def __init__(self, script, *arguments, **environment):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-X",
                "faulthandler",
                "-c",
                textwrap.dedent(script),
                *map(str, arguments),
            ],
            env={**os.environ, **environment},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise AssertionError(
                f"the worker ended with {self.process.wait()}:\n{self.process.stderr.read()}"
            )
        return text.strip()

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self, seconds=60):
        """Let the process run to its end, and return what it printed."""
        watch = threading.Timer(seconds, self.process.kill)
        watch.start()
        self.process.stdin.close()
        out, err = self.process.stdout.read(), self.process.stderr.read()
        self.process.wait()
        watch.cancel()
        assert self.process.returncode == 0, f"exit code {self.process.returncode}\n{out}\n{err}"
        assert err == ""
        return out

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def layout(name):
    """A number of datablock_layout.h: a decimal one, or one bit."""
    found = re.search(
        rf"#define DATABLOCK_LAYOUT_{name} (?:(\d+)\b|\(UINT64_C\(1\) << (\d+)\))",
        LAYOUT.read_text(),
    )
    assert found, name
    return int(found.group(1)) if found.group(1) else 1 << int(found.group(2))


def peek(path, offset, size=8):
    with open(path, "rb") as file:
        file.seek(offset)
        return int.from_bytes(file.read(size), "little")


def poke(path, offset, value, size=8):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(value.to_bytes(size, "little"))


def entry_of(path, number):
    """The offset of a message's ring entry in the data file."""
    slot_count = peek(path, layout("HDR_SLOT_COUNT"), 4)
    return peek(path, layout("HDR_RING_OFFSET")) + number % slot_count * 8


def mark(path, number, flag):
    """Set a flag on the ring entry of a message, as a forced recovery does."""
    at = entry_of(path, number)
    poke(path, at, peek(path, at) | layout(flag))


def control_file(path):
    (found,) = path.parent.glob(f"{path.name}.*.ctl")
    return found
