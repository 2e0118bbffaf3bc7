"""A producer or a consumer that a test starts, controls and kills.

tests/README.md describes the command line and the line protocol, which the workers of all languages
share. This worker uses datablock_ctypes, and NumPy for large messages.
"""

from __future__ import annotations

import collections
import ctypes
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, Union

import datablock_ctypes
from datablock_ctypes import (
    ChecksumAlgorithm, ChecksumPolicy, Consumer, DataBlockError, Delivery, Forked, Invalid, Policy, Producer, ReadSlot,
    RecoveryError, Start, Timeout, WriteSlot,
)

from worker_payload import MASK, Payload, mix

EXIT_USAGE, EXIT_OPEN_FAILED = 2, 3

# ---- Lines and arguments -------------------------------------------------------------------------


def usage(text: str) -> NoReturn:
    print(f"worker: {text}", file=sys.stderr)
    sys.exit(EXIT_USAGE)


def say(line: str) -> None:
    """Write one line in one system call, so that a kill never leaves half of it."""
    os.write(1, line.encode() + b"\n")


def say_error(error: DataBlockError) -> None:
    say(f"error {error.status.name} {error}")


class Options:
    """The --key=value arguments. An unused key is an error, because it may be misspelt."""

    def __init__(self, arguments: list[str]) -> None:
        self._given: dict[str, str] = {}
        self._asked: set[str] = set()
        for argument in arguments:
            key, _, value = argument[2:].partition("=")
            if not argument.startswith("--"):
                usage(f"{argument!r} is not --key=value")
            self._given[key] = value

    def text(self, key: str) -> str:
        self._asked.add(key)
        return self._given.get(key, "")

    def given(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._given

    def number(self, key: str, otherwise: int = 0) -> int:
        text = self.text(key)
        try:
            return int(text, 0) if text else otherwise
        except ValueError:
            usage(f"--{key}={text} is not a number")

    def choice(self, key: str, known: dict[str, Any]) -> Any:
        text = self.text(key)
        if text not in known:
            usage(f"--{key}={text} is unknown")
        return known[text]

    def timeout(self) -> float | None:
        milliseconds = self.number("timeout", -1)
        return None if milliseconds < 0 else milliseconds / 1000

    def all_asked(self) -> None:
        for key in self._given.keys() - self._asked:
            usage(f"--{key} is unknown here")


def after_failed_poll(failed: int) -> None:
    """Pauses after every 200th failed poll in a row.

    sched_yield would leave the processor to a program that computes for a whole time slice.
    """
    if failed % 200 == 0:
        time.sleep(0.00005)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) - 1  # without the descriptor of listdir


class Range:
    """ "first=3 last=7", for the messages read."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0

    def add(self, number: int) -> None:
        if self.count == 0:
            self.first = number
        self.last = number
        self.count += 1

    def __str__(self) -> str:
        return f"first={self.first} last={self.last}" if self.count else "first=- last=-"


# ---- Producing -----------------------------------------------------------------------------------


class ProducingWorker:
    def __init__(self, name: str, options: Options) -> None:
        policies = {"": Policy.RING, "ring": Policy.RING, "single": Policy.SINGLE, "double": Policy.DOUBLE_BUFFER}
        flags = set(filter(None, options.text("flags").split(",")))
        for flag in flags - {"lossless", "replace", "force", "unlink", "timestamp", "reclaim"}:
            usage(f"--flags={flag} is unknown")
        settings = {
            "policy": options.choice("policy", policies),
            "slot_count": options.number("slots"),
            "slot_size": options.number("slot-size", 256),
            "spare_slots": options.number("spare"),
            "consumer_limit": options.number("limit"),
            "min_consumers": options.number("min-consumers"),
            "mode": options.number("mode"),
            "checksum": ChecksumPolicy(options.number("checksum")),
            "algorithm": ChecksumAlgorithm(options.number("algorithm")),
            "directory": options.text("dir") or None,
            "secret": options.text("secret").encode() or None,
            "allow_lossless": True if "lossless" in flags else None,
            "replace": "replace" in flags,
            "force": "force" in flags,
            "unlink_on_close": "unlink" in flags,
            "timestamp": "timestamp" in flags,
            "reclaim": "reclaim" in flags,
            "schema": options.text("schema") or None,
            "zone_schema": options.text("zone-schema") or None,
            "registered": options.text("registered") or None,
            "registry": options.text("registry") or None,
        }
        self.open_block: Callable[[], Producer] = lambda: Producer(name, **settings)
        self.timeout = options.timeout()
        self.poll, self.echo = options.given("poll"), options.given("echo")
        self.rate, self.salt = options.number("rate"), options.number("salt")
        self.payload = Payload(settings["slot_size"])
        self.claim: WriteSlot | None = None

    def open(self) -> None:
        self.block = self.open_block()

    def _begin(self) -> WriteSlot:
        failed = 0
        while True:
            try:
                return self.block.write(0 if self.poll else self.timeout).__enter__()
            except Timeout:
                if not self.poll:
                    raise
            failed += 1
            after_failed_poll(failed)

    def _finish(self, slot: WriteSlot) -> None:
        slot.commit(self.payload.fill(slot, self.salt))
        slot.__exit__(None, None, None)

    def command(self, word: str, n: int) -> bool:
        if word == "write":
            self._write(n)
        elif word == "claim":
            self.claim = self._begin()
            half = self.claim.capacity // 2
            self.claim.data[:half] = bytes(half)  # a kill from here on leaves a half-written message
            say(f"claimed {self.claim.id}")
        elif word in ("commit", "abort"):
            if self.claim is None:
                raise Invalid("nothing is claimed")
            slot, self.claim = self.claim, None
            if word == "commit":
                self._finish(slot)
                say(f"committed {slot.id}")
            else:
                slot.abort()
                say(f"aborted {slot.id}")
        else:
            return False
        return True

    def _write(self, n: int) -> None:
        written, end = Range(), "OK"
        start = time.monotonic()
        try:
            while written.count < n:
                slot = self._begin()
                self._finish(slot)
                if self.echo:
                    say(f"committed {slot.id} {self.salt}")
                written.add(slot.id)
                if self.rate:
                    time.sleep(max(0.0, start + written.count / self.rate - time.monotonic()))
        except DataBlockError as error:
            end = error.status.name
        say(f"wrote={written.count} {written} end={end}")

    def calls(self) -> list[Callable[[], object]]:
        return [self.open_block, lambda: self.block.write().__enter__(), lambda: self.block.send(b""), self.block.close]


# ---- Consuming -----------------------------------------------------------------------------------


class ConsumingWorker:
    def __init__(self, name: str, options: Options) -> None:
        deliveries = {"": Delivery.DEFAULT, "lossless": Delivery.LOSSLESS, "ordered": Delivery.ORDERED,
            "latest": Delivery.LATEST}
        settings = {
            "delivery": options.choice("delivery", deliveries),
            "start": options.choice("start", {"": Start.LATEST, "latest": Start.LATEST, "oldest": Start.OLDEST}),
            "max_pins": options.number("pins"),
            "durable": options.given("durable"),
            "consumer_name": options.text("name") or None,
            "directory": options.text("dir") or None,
            "secret": options.text("secret").encode() or None,
            "schema": options.text("schema") or None,
            "zone_schema": options.text("zone-schema") or None,
            "registered": options.text("registered") or None,
            "registry": options.text("registry") or None,
            "exact": options.given("exact"),
        }
        self.open_block: Callable[[], Consumer] = lambda: Consumer(name, **settings)
        self.timeout = options.timeout()
        self.any, self.echo = options.given("any"), options.given("echo")
        self.poll = options.given("poll") or self.any
        self.payload = Payload(options.number("slot-size"))
        self.held: collections.deque[ReadSlot] = collections.deque()

    def open(self) -> None:
        self.block = self.open_block()

    def _next(self) -> ReadSlot:
        failed = 0
        while True:
            if self.any and not datablock_ctypes.wait_any([self.block], self.timeout):
                raise Timeout("waited for any of one block")
            try:
                return self.block.read(0 if self.poll else self.timeout).__enter__()
            except Timeout:
                if not self.poll:
                    raise
            failed += 1
            after_failed_poll(failed)

    def command(self, word: str, n: int) -> bool:
        if word == "read":
            self._read(n)
        elif word == "hold":
            self._hold(self._next())
        elif word == "hold-at":
            self._hold(self.block.read_at(n).__enter__())
        elif word in ("check", "smash", "release"):
            if not self.held:
                raise Invalid("nothing is held")
            self._with_held(word, self.held[0])
        else:
            return False
        return True

    def _hold(self, slot: ReadSlot) -> None:
        self.held.append(slot)
        say(f"holding {slot.id}")

    def _with_held(self, word: str, slot: ReadSlot) -> None:
        if word == "check":
            salt, good = self.payload.verify(slot)
            say(f"checked {slot.id} {salt} {str(good).lower()}")
        elif word == "smash":
            # Python itself does not allow such an error.
            ctypes.memset(slot.array().ctypes.data, slot.data[0] ^ 0xFF, 1)
            say(f"smashed {slot.id}")
        else:
            self.held.popleft().release()
            say(f"released {slot.id}")

    def _read(self, n: int) -> None:
        """Read n messages, or all messages of the stream if n is 0.

        A message is bad if a byte is wrong, or if the id does not follow from the missed messages.
        """
        read, end = Range(), "OK"
        missed = bad = total = 0
        try:
            while n == 0 or read.count < n:
                slot = self._next()
                salt, good = self.payload.verify(slot)
                if not good or read.count > 0 and slot.id != read.last + 1 + slot.missed:
                    bad += 1
                if self.echo:
                    say(f"message {slot.id} {salt} {slot.missed} {str(good).lower()}")
                read.add(slot.id)
                missed += slot.missed
                total = total + mix(slot.id ^ mix(salt)) & MASK
                slot.release()
        except DataBlockError as error:
            end = error.status.name
        say(f"read={read.count} missed={missed} {read} bad={bad} sum={total:x} end={end}")

    def calls(self) -> list[Callable[[], object]]:
        held = [slot.release for slot in self.held]
        return [self.open_block, lambda: self.block.read().__enter__(), lambda: self.block.read_at(0).__enter__(),
                self.block.receive, *held, self.block.close]


Worker = Union[ProducingWorker, ConsumingWorker]

# ---- Children ------------------------------------------------------------------------------------


def linger() -> NoReturn:
    """Be a child that keeps all descriptors but the test's pipes, and ends by itself in the end."""
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    signal.alarm(60)
    while True:
        signal.pause()


def call_in_child(name: str, worker: Worker) -> None:
    """Use nearly every function in a forked child, whose line is the answer."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)
            calls = [*worker.calls(), datablock_ctypes.list_blocks, lambda: datablock_ctypes.unlink(name, force=True)]
            repairs = [
                lambda: datablock_ctypes.diagnose_slot(name, 0),
                lambda: datablock_ctypes.cleanup_dead_consumers(name),
                lambda: datablock_ctypes.release_zombie_readers(name, 0),
                lambda: datablock_ctypes.release_zombie_writer(name, 0),
            ]
            statuses = [status_of(call) for call in calls]
            refused = all(status_of(repair) == Forked.status.name for repair in repairs)
            say(f"child {' '.join(statuses)} repairs={'refused' if refused else 'done'}")
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise datablock_ctypes.System(f"child {child} ended with status {status:#x}")


def status_of(call: Callable[[], object]) -> str:
    try:
        call()
    except DataBlockError as error:
        return error.status.name
    return "OK"


def read_in_child(name: str, arguments: list[str]) -> None:
    """Run as a child of multiprocessing: open a consumer and print the oldest message."""
    worker = ConsumingWorker(name, Options(arguments))
    try:
        worker.open()
    except DataBlockError as error:
        return say(f"failed {error.status.name} {error}")
    worker.command("read", 1)
    worker.block.close()


def multiprocess(method: str, name: str) -> None:
    import multiprocessing

    arguments = [argument for argument in sys.argv if argument.startswith("--dir=")]
    arguments += ["--delivery=ordered", "--start=oldest", "--timeout=5000"]
    context: Any = multiprocessing.get_context(method)
    child = context.Process(target=read_in_child, args=(name, arguments))
    child.start()
    child.join()
    if child.exitcode != 0:
        raise datablock_ctypes.System(f"child {child.pid} ended with {child.exitcode}")


def child_command(word: str, name: str, worker: Worker) -> bool:
    if word == "fork":
        if os.fork() == 0:
            say(f"forked {os.getpid()}")  # the child has run the package's fork handler
            linger()
    elif word == "spawn":
        closed = [(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in (0, 1, 2)]
        say(f"forked {os.posix_spawnp('sleep', ['sleep', '60'], os.environ, file_actions=closed)}")
    elif word == "system":
        if os.system("sleep 60 </dev/null >/dev/null 2>&1 & echo forked $!") != 0:
            raise datablock_ctypes.System("system")
    elif word == "call-in-child":
        call_in_child(name, worker)
    elif word.startswith("multiprocess-"):
        multiprocess(word.partition("-")[2], name)
    else:
        return False
    return True


# ---- Roles ---------------------------------------------------------------------------------------


def recover_block(name: str, options: Options) -> None:
    path = f"{options.text('dir')}/{name}"
    slot, older = options.number("slot"), options.number("older")
    actions: dict[str, Callable[[], int | None]] = {
        "release-readers": lambda: datablock_ctypes.release_zombie_readers(path, slot),
        "release-writer": lambda: datablock_ctypes.release_zombie_writer(path, slot),
        "cleanup": lambda: datablock_ctypes.cleanup_dead_consumers(path, older),
        "reset": lambda: datablock_ctypes.force_reset_slot(path, slot),
        "reset-force": lambda: datablock_ctypes.force_reset_slot(path, slot, force=True),
        "evict-force": lambda: datablock_ctypes.evict_consumer(path, slot, force=True),
        "repair": lambda: datablock_ctypes.repair(path),
        "unlink": lambda: datablock_ctypes.unlink(path),
        "unlink-force": lambda: datablock_ctypes.unlink(path, force=True),
    }
    action = options.choice("do", actions)
    options.all_asked()
    try:
        say(f"result {int(action() or 0)} ")
    except RecoveryError as error:
        say(f"result {error.code} {error}")
    except DataBlockError as error:
        say(f"result {int(error.status)} {error}")


def repeat_opening(worker: Worker, attempts: int) -> None:
    """Open and close this many times, and report whether descriptors are left."""
    before, status = 0, ""
    for i in range(attempts + 1):
        status = status_of(lambda: worker.open_block().close())
        if i == 0:
            before = descriptors()  # the runtime has opened its own descriptors by now
    say(f"attempts={attempts} status={status} before={before} after={descriptors()}")


def shared_command(worker: Worker, word: str, n: int) -> bool:
    """Handle the commands of both roles."""
    if word == "lock":
        abandoned = worker.block.lock(n, worker.timeout).acquire()
        say(f"locked {n} {'abandoned' if abandoned else 'free'}")
    elif word == "unlock":
        worker.block.lock(n).release()
        say(f"unlocked {n}")
    elif word == "zone":  # adds n to its first word
        with worker.block.flexible_zone(worker.timeout) as zone:
            total = int.from_bytes(zone.data[:8], "little") + n
            zone.data[:8] = total.to_bytes(8, "little")
        say(f"zone {total}")
    else:
        return False
    return True


def serve(name: str, worker: Worker) -> None:
    """Answer one command for each line until the input ends, then close."""
    for line in iter(sys.stdin.readline, ""):
        word, _, argument = line.strip().partition(" ")
        n = int(argument or 0)
        try:
            if word == "close":
                worker.block.close()
                say("closed")
            elif word == "exit":
                if util := sys.modules.get("multiprocessing.util"):  # no exit handler removes its folder
                    shutil.rmtree(util.get_temp_dir(), ignore_errors=True)
                os._exit(0)
            elif word == "descriptors":
                say(f"descriptors {descriptors()}")
            elif not (child_command(word, name, worker) or shared_command(worker, word, n) or worker.command(word, n)):
                say(f"error UNSUPPORTED {word}")
        except DataBlockError as error:
            say_error(error)
    worker.block.close()


def main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        usage("worker produce|consume|recover NAME [--key=value]...")
    role, name, options = arguments[0], arguments[1], Options(arguments[2:])
    if role == "recover":
        return recover_block(name, options)
    roles: dict[str, type[Any]] = {"produce": ProducingWorker, "consume": ConsumingWorker}
    if role not in roles:
        usage(f"{role!r} is neither produce, consume nor recover")
    worker = roles[role](name, options)
    wait, attempts = options.given("wait"), options.number("attempts")
    options.all_asked()
    if attempts:
        return repeat_opening(worker, attempts)
    if wait:
        say("ready")
        if not sys.stdin.readline():
            return None
    try:
        worker.open()
    except DataBlockError as error:
        say(f"failed {error.status.name} {error}")
        sys.exit(EXIT_OPEN_FAILED)
    say("attached")
    serve(name, worker)


if __name__ == "__main__":
    main(sys.argv[1:])
