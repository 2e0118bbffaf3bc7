"""One block, used at once by programs in every language that come from packages alone.

together.py BUILD [ROUNDS]. BUILD has the packages in dist/: ctest -C packages -R package.build
makes them. A language without its tools is left out, and the test is then skipped at the end.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

import package
import users
from package import ROOT, check

MESSAGES = 20_000
SLOTS = 64
LIMIT = 180  # seconds for one line
WRITERS = {"c": 1, "cpp": 2, "python": 3, "go": 4, "rust": 5, "node": 6}


class Running:
    """A program, and the lines that it has said."""

    def __init__(self, language, program, directory, *words):
        command, variables = program
        self.what = " ".join(map(str, (language, *words)))
        self.lines, self.changed, self.over = [], threading.Condition(), False
        self.process = subprocess.Popen(
            [*map(str, command), *map(str, words)], cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=package.ENVIRONMENT | variables | {"DATABLOCK_DIR": str(directory)})
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.decode().rstrip())
                self.changed.notify_all()
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def said(self, beginning, number=0, after=0):
        """Waits for a line "BEGINNING N" with at least this number. Returns the number."""
        def found():
            numbers = [int(line.split()[-1]) for line in self.lines[after:]
                       if line.rpartition(" ")[0] == beginning]
            return [have for have in numbers if have >= number]

        deadline = time.monotonic() + LIMIT
        with self.changed:
            while not found():
                left = deadline - time.monotonic()
                if self.over or left <= 0:
                    self.failed(f'did not say "{beginning} {number}"')
                self.changed.wait(left)
            return found()[0]

    def kill(self):
        check(self.process.poll() is None, self.what, "ended before it was killed", *self.lines)
        self.process.send_signal(signal.SIGKILL)
        check(self.process.wait(LIMIT) == -signal.SIGKILL, self.what, self.process.returncode)

    def ended(self):
        """Waits for the end. Returns the exit code."""
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.failed("does not end")
        self.listener.join(LIMIT)
        return self.process.returncode

    def succeeded(self):
        if self.ended() != 0:
            self.failed(f"ended with {self.process.returncode}")

    def received(self):
        """The messages of each writer that a consumer has received, when it has ended."""
        self.succeeded()
        writers, total = self.lines[-2].split(), self.lines[-1].split()
        counts = dict(zip(WRITERS, map(int, writers[1:]), strict=True))
        check(writers[0] == "from" and total[0] == "read" and int(total[1]) == sum(counts.values()), self.what,
              *self.lines[-5:])
        return {language: count for language, count in counts.items() if count}

    def failed(self, why):
        sys.exit("\n".join((f"{self.what}: {why}; it said:", *self.lines[-20:])))

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.listener.join()
        self.process.stdout.close()


class Stage:
    """Programs that share one block, in an empty folder of shared memory."""

    def __init__(self, programs, build):
        self.programs, self.build, self.started = programs, build, []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.directory = self.stack.enter_context(package.blocks())
        return self

    def __exit__(self, *failure):
        if failure[0]:
            for running in self.started:
                print(f"{running.what}: exit code {running.process.poll()}:", *running.lines[-4:], sep="\n    ")
        return self.stack.__exit__(*failure)

    def start(self, language, *words):
        running = Running(language, self.programs[language], self.directory, *words)
        self.stack.callback(running.end)
        self.started.append(running)
        return running

    def producer(self, language, count, stop=None, consumers=None):
        """A producer that has opened the block, and the number of its first message."""
        stop = count if stop is None else stop
        producer = self.start(language, "produce", "block", count, stop, consumers or len(self.programs))
        return producer, producer.said("open at")

    def consumers(self, count, stop):
        """A consumer of each language, attached."""
        consumers = [self.start(language, "consume", "block", count, stop) for language in self.programs]
        for consumer in consumers:
            consumer.said("open at")
            self.check_origin(consumer)
        return consumers

    def check_origin(self, running):
        """No program has a file of the source tree or of the build open as code."""
        mapped = {line.split(maxsplit=5)[5] for line in
                  pathlib.Path(f"/proc/{running.process.pid}/maps").read_text().splitlines() if line.count("/")}
        own = [path for path in mapped if path.startswith((f"{ROOT}/", f"{self.build}/"))]
        check(own == [], running.what, *own)


def language_after(programs, language):
    names = list(programs)
    return names[(names.index(language) + 1) % len(names)]


# ---- What they do together -----------------------------------------------------------------------


def lossless(programs, build, language):
    """Every consumer receives every message of one producer."""
    with Stage(programs, build) as stage:
        producer, first = stage.producer(language, MESSAGES)
        check(first == 0, first)
        for consumer in stage.consumers(MESSAGES, MESSAGES):
            check(consumer.received() == {language: MESSAGES}, consumer.what, *consumer.lines)
        producer.succeeded()


def consumer_killed(programs, build, language):
    """Two consumers are killed, each while it holds a message for which the producer waits.

    The first one holds message 0: nothing is overwritten until every consumer has attached.
    """
    writer = language_after(programs, language)
    with Stage(programs, build) as stage:
        producer, _ = stage.producer(writer, MESSAGES)
        stops = (0, MESSAGES // 2)
        killed = [stage.start(language, "consume", "block", MESSAGES, stop) for stop in stops]
        for consumer in killed:
            consumer.said("open at")
        consumers = stage.consumers(MESSAGES, MESSAGES)
        for consumer, stop in zip(killed, stops, strict=True):
            check(consumer.said("stopped at") == stop, *consumer.lines)
            check(producer.said("waiting at", stop + SLOTS) == stop + SLOTS, *producer.lines)
            consumer.kill()
        for consumer in consumers:
            check(consumer.received() == {writer: MESSAGES}, consumer.what, *consumer.lines)
        producer.succeeded()


def producers_killed(programs, build):
    """Each producer is killed, once running and once in the middle of a message.

    The consumers stay and see that there is no producer. The producer of the next language takes
    over, and they continue.
    """
    written, first = dict.fromkeys(programs, 0), 0
    with Stage(programs, build) as stage:
        consumers = []
        for halfway in (False, True):
            for language in programs:
                end = 1 << 40
                producer, opened = stage.producer(language, end, first + 500 if halfway else end)
                check(opened == first, producer.what, opened, first)
                consumers = consumers or stage.consumers(0, end)
                if halfway:
                    check(producer.said("stopped at") == first + 500, *producer.lines)
                else:
                    for consumer in consumers:
                        consumer.said("at", first + 2000)
                before = [len(consumer.lines) for consumer in consumers]
                producer.kill()
                gone = {consumer.said("gone at", after=lines)
                        for consumer, lines in zip(consumers, before, strict=True)}
                check(len(gone) == 1, language, *gone)
                (after,) = gone
                check(after == first + 500 if halfway else after >= first + 2000, language, first, after)
                written[language] += after - first
                first = after
        last = next(iter(programs))
        producer, opened = stage.producer(last, first + 3000)
        check(opened == first, producer.what, opened, first)
        written[last] += 3000
        for consumer in consumers:
            check(consumer.received() == written, consumer.what, written, *consumer.lines[-2:])
        producer.succeeded()


OTHER = """
import datablock_ctypes, sys
words = "schema Message 1.0.0 { number: u64; half: f64; writer: u32; inverse: u32; words: i64[16]; }"
with datablock_ctypes.Producer("block", schema=words, slot_count=64, unlink_on_close=True):
    print("open at 0", flush=True)
    sys.stdin.read()
"""


def other_schema(programs, build):
    """No consumer attaches to a block of other messages. The error names the field."""
    python = programs["python"][0][0]
    programs = programs | {"other": ([python, "-B", "-c", OTHER], {})}
    with Stage(programs, build) as stage:
        other = stage.start("other")
        other.said("open at")
        for language in WRITERS.keys() & programs.keys():
            consumer = stage.start(language, "consume", "block", MESSAGES)
            check(consumer.ended() != 0, consumer.what, *consumer.lines)
            said = " ".join(consumer.lines)
            check('field "words" retyped: producer i64[16]@24, consumer u64[16]@24' in said, consumer.what, said)
        other.process.stdin.close()
        other.succeeded()


def timed(name, step, *arguments):
    began = time.monotonic()
    step(*arguments)
    print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)


def main(build, here, rounds):
    began = time.monotonic()
    programs, missing = users.made(build, here)
    print(f"{', '.join(programs)}: built from packages in {time.monotonic() - began:.0f} s", flush=True)
    if len(programs) > 1:
        for number in range(rounds):
            for language in programs:
                timed(f"round {number}: {language} produces", lossless, programs, build, language)
                timed(f"round {number}: {language} is killed as a consumer", consumer_killed, programs, build, language)
            timed(f"round {number}: producers are killed", producers_killed, programs, build)
        if "python" in programs:
            timed("another schema", other_schema, programs, build)
    for language, reason in missing.items():
        print(f"NOT SHOWN: {language}: {reason}")
    sys.exit(package.SKIPPED if missing else 0)


if __name__ == "__main__":
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # leaves no files either
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as folder:
        main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder).resolve(), int((*sys.argv[2:], "1")[0]))
