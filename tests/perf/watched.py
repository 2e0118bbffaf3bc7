#!/usr/bin/env python3
"""Compares the instructions of a message of a block that is watched and of one that is not.

`datablock-admin top` in a terminal, `serve` with a page's event stream and a scraper of /metrics,
and `echo` watch the block of messages.c, which runs under callgrind. The program pauses before the
messages, after half of them and after the last one, until each of the watchers has shown that it
saw the messages. Its producer and its consumer must take the same instructions as without watchers.
Usage: watched.py BUILD
"""

import contextlib
import functools
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import run

COUNT = 20_000
WARMED = 2250  # messages before the first pause, which are not counted
PATIENCE = 60.0  # seconds for a watcher to see the messages
# What may differ, in instructions a message. A look at the clock takes more, and comes in some of
# the runs.
LEEWAY = 0.5
ATTEMPTS = 5
FUNCTIONS = ("write_messages", "read_messages")


class Watcher:
    """A process of datablock-admin, and the text that it has printed so far."""

    def __init__(self, tool, directory, *arguments, terminal=False):
        self.name, self.text = arguments[0], ""
        command = [tool, *arguments, "--directory", directory]
        if terminal:
            self.output, other = pty.openpty()
        else:
            self.output, other = os.pipe()
        self.process = subprocess.Popen(
            command,
            stdin=other if terminal else subprocess.DEVNULL,
            stdout=other,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        )
        os.close(other)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.output, 65536)
            except OSError:  # the end of a terminal
                data = b""
            if not data:
                return
            self.text += data.decode(errors="replace")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.reader.join()
        os.close(self.output)
        return code


class Stream(threading.Thread):
    """The event stream that an open page reads."""

    def __init__(self, address):
        super().__init__()
        self.response = urllib.request.urlopen(f"{address}/api/v1/events", timeout=PATIENCE)
        self.text = ""

    def run(self):
        try:
            for line in self.response:
                self.text += line.decode()
        except (OSError, ValueError, AttributeError):  # the server ended, or the socket was closed
            pass


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"watched.py: {what} within {PATIENCE:g} s")
        time.sleep(0.02)


class Nobody:
    """No watchers. The pauses are as long as those of Watchers: the library works at their ends."""

    def __init__(self, pauses, directory):
        self.pauses = list(pauses)

    def see(self, messages):
        time.sleep(self.pauses.pop(0))

    def close(self):
        pass


class Watchers:
    """top, serve with two clients, and echo."""

    def __init__(self, tool, pauses, directory):
        self.pauses = pauses
        pauses.clear()
        self.top = Watcher(tool, directory, "top", "--interval", "100ms", terminal=True)
        self.serve = Watcher(tool, directory, "serve", "--listen", "127.0.0.1:0", "--interval", "100ms")
        self.echo = Watcher(tool, directory, "echo", "--shm-name", "counted", "--wait", "--rate", "100")
        self.all = [self.top, self.serve, self.echo]
        until("serve printed no address", lambda: re.search(r"http://[0-9.:]+", self.serve.text))
        self.address = re.search(r"http://[0-9.:]+", self.serve.text)[0]
        self.stream = Stream(self.address)
        self.stream.start()

    def published(self):
        """How many messages of the block /metrics tells of."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=PATIENCE) as answer:
            page = answer.read().decode()
        found = re.search(r'^datablock_messages_written_total\{[^}]*"counted"[^}]*\} (\S+)$', page, re.MULTILINE)
        return float(found[1]) if found else None

    def see(self, messages):
        """Wait until all have seen the block with this number of messages."""
        begun = time.monotonic()
        until("top does not show the block", lambda: "counted" in self.top.text)
        until(f"/metrics does not say {messages} messages", lambda: self.published() == messages)
        events = len(self.stream.text)
        until("no event tells of the block", lambda: '"counted"' in self.stream.text[events:])
        newest = re.compile(rf"\b{messages - 1}\b")
        until(f"echo does not show message {messages - 1}", lambda: newest.search(self.echo.text))
        self.pauses.append(time.monotonic() - begun)

    def close(self):
        codes = {watcher.name: watcher.end() for watcher in self.all}
        self.stream.join()
        if any(codes.values()):
            sys.exit(f"watched.py: the exit codes of the watchers are {json.dumps(codes)}\n{self.serve.text}")


def paused(watchers_of):
    """A runner for run.counted. The program's pauses last until the watchers have seen enough."""

    def command(*words, env):
        directory = words[-3]
        with contextlib.closing(watchers_of(directory)) as watchers:
            program = subprocess.Popen(
                [*map(str, words), "watched"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=env,
            )
            try:
                for point, messages in (("open", 0), ("half", COUNT // 2), ("end", COUNT)):
                    line = program.stdout.readline()
                    if line != f"{point}\n":
                        sys.exit(f"watched.py: {line!r} instead of {point!r}\n{program.stderr.read()}")
                    watchers.see(WARMED + messages)
                    program.stdin.write("\n")
                    program.stdin.flush()
                output, errors = program.communicate(timeout=PATIENCE)
            finally:
                program.kill()
                program.wait()
        if program.returncode != 0:
            sys.exit(f"watched.py: exit code {program.returncode}\n{errors}")
        return output + errors

    return command


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    pauses = []
    beside = paused(functools.partial(Watchers, build / "datablock-admin", pauses))
    alone = paused(functools.partial(Nobody, pauses))
    different = []
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(
        dir="/dev/shm", prefix="datablock-count-"
    ) as directory:
        program = run.compiled(build, "inline", pathlib.Path(scratch))
        print("instructions a message   alone  watched")
        for function in FUNCTIONS:
            of_what = (program, function, run.DELIVERIES["LOSSLESS"], directory, scratch, COUNT)
            for _ in range(ATTEMPTS):
                seen = run.counted(*of_what, beside)
                unseen = run.counted(*of_what, alone)
                if abs(seen - unseen) <= LEEWAY:
                    break
            else:
                different.append(function)
            print(f"  {function:20} {unseen:7.1f} {seen:8.1f}")
    if different:
        sys.exit(f"a block that is watched costs its participants instructions in {', '.join(different)}")


if __name__ == "__main__":
    main()
