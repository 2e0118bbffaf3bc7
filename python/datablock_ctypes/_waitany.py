"""Waiting for the first of several consumers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from ctypes import c_bool
from typing import TYPE_CHECKING

from ._abi import PART_FIRST, ConsumerHandle, wait_part
from ._errors import Invalid, Status
from ._library import library
from ._participant import SLICE_MS, Participant
from ._types import now, seconds

if TYPE_CHECKING:
    from ._consumer import Consumer

TIMEOUT = int(Status.TIMEOUT)


def consumers_of(consumers: Iterable[Consumer]) -> list[Consumer]:
    """Return the consumers as a list. A Consumer is iterable, and would be read: it is refused."""
    if isinstance(consumers, Participant):
        raise Invalid("wait_any takes a list of consumers: wait_any([consumer])")
    some = list(consumers)
    for one in some:
        if not isinstance(one, Participant) or one._writes:
            raise Invalid(f"{one!r} is no consumer")
    return some


class Waiting:
    """A wait for several consumers, in slices."""

    def __init__(self, consumers: Iterable[Consumer]) -> None:
        self.consumers = consumers_of(consumers)
        if not self.consumers:
            raise Invalid("no consumer to wait for: give at least one")
        self._library = library()
        count = len(self.consumers)
        self._handles = (ConsumerHandle * count)()
        for i, consumer in enumerate(self.consumers):
            self._handles[i].handle = consumer._handle.handle
        self._found = (c_bool * count)()

    def once(self, milliseconds: int, part: int = 0) -> list[Consumer]:
        """Return the consumers that are ready. An empty list: none within the time.

        ``part`` has the flags of `wait_part`. With 0 milliseconds and `PART_FIRST` alone the call
        only counts a wait of each consumer.
        """
        kept = [
            consumer for consumer in self.consumers if consumer._kept and not consumer.closed
        ]  # of interrupted reads
        if kept:
            milliseconds = part = 0
        status = self._library.datablock_wait_any(
            self._handles, len(self.consumers), wait_part(milliseconds, part), self._found
        )
        if status == TIMEOUT:
            return kept
        if status != 0:
            for consumer in self.consumers:
                if consumer.closed:
                    raise consumer._closed_error()
            self._library.fail(status)
        return [
            consumer
            for consumer, ready in zip(self.consumers, self._found)
            if ready or consumer in kept
        ]


def wait_any(consumers: Iterable[Consumer], timeout: float | None = None) -> list[Consumer]:
    """Wait until a consumer can be read without waiting, and return all consumers that can::

        while ready := wait_any([left, right], timeout=1.0):
            for consumer in ready:
                try:
                    with consumer.read(timeout=0) as slot:
                        ...
                except Closed:  # it stays ready: leave it out of the next wait
                    ...

    A consumer is ready when there is a message, or when a read raises an error at once, such as
    `Closed` at the end of the stream. No message is dequeued. An empty list: no consumer became
    ready within ``timeout`` seconds. None waits for ever, 0 does not wait. Other Python threads run
    while the call waits, and Ctrl-C ends the wait.

    Raises `Invalid` (no consumers, or more than 1024), `Closed` (one of them is closed), `Busy`
    (another thread is inside one of them).
    """
    if timeout is not None:
        timeout = seconds(timeout)
    waiting = Waiting(consumers)
    for consumer in waiting.consumers:
        consumer._rejoin()
    deadline = math.inf if timeout is None else now() + timeout
    part = PART_FIRST
    while True:
        left = deadline - now()
        last = left * 1000 <= SLICE_MS
        milliseconds = max(0, math.ceil(left * 1000)) if last else SLICE_MS
        ready = waiting.once(milliseconds, part if milliseconds > 0 else 0)
        if ready or last:
            return ready
        part = 0
