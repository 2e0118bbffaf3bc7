"""Watches blocks and recovers what dead processes left in them.

Without --act it only logs what it would do.
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import signal
import sys
import time

from datablock_ctypes import (
    DataBlockError,
    RecoveryResult,
    RecoveryStep,
    RecoveryStepKind,
    auto_recover,
    list_blocks,
)

STOP = (signal.SIGTERM, signal.SIGINT)
LEAST = 1.0
"""Seconds for which a reader has kept a producer waiting when the library calls its slot stuck."""
FORGET = 1.0
"""Seconds without a condition after which the daemon logs the condition again. A wait in Python has
parts, and between two parts a check finds no wait."""
log = logging.getLogger("recovery")


class Daemon:
    def __init__(self, patterns: list[str], act: bool, stuck_after: float = LEAST) -> None:
        self.patterns = patterns
        self.act = act
        self.stuck_after = stuck_after
        self.told: dict[tuple[object, ...], float] = {}
        """The logged steps, which are not logged again, and when each was found last."""
        self.since: dict[tuple[object, ...], float] = {}
        """The time since which a living process holds a slot."""
        self.held: dict[tuple[object, ...], float] = {}
        """When a check has found each entry of `since` last."""

    def look(self) -> None:
        """Check every block once."""
        now = time.monotonic()
        seen: set[tuple[object, ...]] = set()
        try:
            names = [block.name for block in list_blocks()]
        except DataBlockError as error:
            names = []
            self.tell(
                seen,
                logging.ERROR,
                ("the directory", str(error)),
                f"blocks cannot be listed: {error}",
            )
        for name in names:
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns):
                self.recover(name, seen)
        self.told.update(dict.fromkeys(seen, now))
        for found in (self.told, self.held):
            for key in [key for key, last in found.items() if now - last > FORGET]:
                del found[key]
        self.since = {key: since for key, since in self.since.items() if key in self.held}

    def recover(self, name: str, seen: set[tuple[object, ...]]) -> None:
        try:
            steps = auto_recover(name, dry_run=not self.act)
        except DataBlockError as error:  # also if the block was removed after the listing
            self.tell(
                seen, logging.ERROR, (name, str(error)), f"{name}: cannot be recovered: {error}"
            )
            return
        for step in steps:
            key = (name, step.kind, step.target, step.pid, step.done)
            if step.done:
                log.info("%s: done: %s", name, step.text)  # every recovery is logged
            elif (
                step.kind == RecoveryStepKind.ATTEND
                and step.result == RecoveryResult.UNSAFE
                and not self.long_enough(key)
            ):
                continue  # a living process, which may still continue
            elif step.kind == RecoveryStepKind.ATTEND:
                self.tell(seen, logging.WARNING, key, f"{name}: attend: {step.text}")
            elif self.act:
                self.tell(seen, logging.ERROR, key, f"{name}: failed: {self.why(step)}")
            else:
                self.tell(seen, logging.WARNING, key, f"{name}: would: {step.text}")

    def long_enough(self, key: tuple[object, ...]) -> bool:
        """Whether a slot has been held for so long that a person has to look.

        The library reports it after the first second.
        """
        now = time.monotonic()
        self.held[key] = now
        return now - self.since.setdefault(key, now) >= self.stuck_after - LEAST

    @staticmethod
    def why(step: RecoveryStep) -> str:
        return f"{step.text} ({step.result.name})"

    def tell(
        self, seen: set[tuple[object, ...]], level: int, key: tuple[object, ...], text: str
    ) -> None:
        seen.add(key)
        if key not in self.told:
            log.log(level, "%s", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "pattern",
        nargs="*",
        default=["*"],
        help="names of blocks, such as 'camera*' (default: all)",
    )
    parser.add_argument("--act", action="store_true", help="recover; without it nothing is changed")
    parser.add_argument(
        "--interval",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="between two looks (default: 1)",
    )
    parser.add_argument(
        "--stuck-after",
        type=float,
        default=LEAST,
        metavar="SECONDS",
        help="for how long a reader that lives may keep a producer waiting before it is logged "
        "(default and least: 1)",
    )
    arguments = parser.parse_args()
    if not arguments.interval > 0:
        parser.error(f"--interval {arguments.interval}: use a number of seconds above 0")
    if not arguments.stuck_after >= LEAST:
        parser.error(
            f"--stuck-after {arguments.stuck_after}: use a number of seconds from {LEAST:g} on"
        )
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )

    # The signals are blocked and waited for, not handled. So no signal comes between a recovery and
    # its line in the log.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    daemon = Daemon(arguments.pattern, arguments.act, arguments.stuck_after)
    mode = "acting" if arguments.act else "a dry run, nothing is changed"
    log.info("watching %s: %s", " ".join(arguments.pattern), mode)
    while True:
        daemon.look()
        caught = signal.sigtimedwait(STOP, arguments.interval)
        if caught:
            log.info("stopped by %s", signal.Signals(caught.si_signo).name)
            return 0


if __name__ == "__main__":
    sys.exit(main())
