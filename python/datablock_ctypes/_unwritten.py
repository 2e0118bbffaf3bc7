"""Waiting for a message by its id.

The library can wait for what comes next in a stream, which moves the cursor, and look whether one id is there, which does not wait. So a wait for an id
looks again and again: mostly at two words of the block's header, which tell when another look at the ring is worth it, and at the ring itself now and then.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Callable, Optional

from ._errors import Closed, DataBlockError, Status, Superseded, System
from ._interrupts import Descriptor
from ._library import StrPath
from ._types import BlockState

NOT_FOUND = int(Status.NOT_FOUND)

# Where the header has the block's state, and one past the newest id. The latter may lag when a producer was killed.
STATE, COMMIT = 4096, 4224
WORDS = struct.Struct(f"<I{COMMIT - STATE - 4}xQ")

# Seconds. A pause doubles from the first to the longest, where waiting costs less than 1 % of a core.
FIRST_PAUSE, LONGEST_PAUSE = 50e-6, 5e-3
LOOK_AT_LEAST_EVERY = 0.05

# Device and inode; None: there is no file.
Identity = Optional[tuple[int, int]]


class BlockFile:
    """The data file of a participant, by the name under which it was just attached to."""

    def __init__(self, name: StrPath, directory: StrPath | None) -> None:
        place = os.fsencode(directory or os.environ.get("DATABLOCK_DIR") or "/dev/shm")
        self.path = os.path.join(place, os.fsencode(name))
        self.home = _file_at(os.path.dirname(self.path), follow=True)
        self.identity = _file_at(self.path)[0]

    def commit(self) -> int:
        """One past the newest id. Raises `Superseded` when the name leads to another block, or to none."""
        own = Descriptor()
        try:
            words = _state_and_commit(self.open(own))
            if words is None or self.named() != self.identity:
                raise Superseded(f'block "{os.fsdecode(os.path.basename(self.path))}" was replaced or removed by force: open it again')
            return words[1]
        finally:
            own.close()

    def named(self) -> Identity:
        """What the name leads to now; where that cannot be asked, what it led to at first."""
        named, known = _file_at(self.path)
        if named == self.identity:
            return named
        # The path says something only while it leads through the same directory: not after chroot, a mount, or a rename of the directory.
        home = _file_at(os.path.dirname(self.path), follow=True)
        return named if known and home == self.home and home[0] is not None else self.identity

    def open(self, descriptor: Descriptor) -> int | None:
        """A descriptor of what the name leads to now."""
        try:
            return descriptor.open(os.open, self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, PermissionError):
            return None  # PermissionError: the program has given up a right since it attached
        except OSError as error:
            raise System(f'block "{os.fsdecode(self.path)}": open it to wait for a message: {error.strerror}') from None


def _file_at(path: bytes, follow: bool = False) -> tuple[Identity, bool]:
    """What a path leads to, and whether that could be asked."""
    try:
        found = os.stat(path, follow_symlinks=follow)
    except FileNotFoundError:
        return None, True
    except OSError:
        return None, False
    return (found.st_dev, found.st_ino), True


def wait_for(file: BlockFile, number: int, seconds: float | None, look: Callable[[], int], last_state: Callable[[], int]) -> int:
    """Look until there is something else than `NOT_FOUND`, which is returned only when the time is over.

    `last_state` is what the caller knows of a block whose name is gone. Raises `Closed` or `Superseded` when the message will never come.
    """
    deadline = float("inf") if seconds is None else time.monotonic() + seconds
    own = Descriptor()
    try:
        descriptor = file.open(own)
        pause, looked = FIRST_PAUSE, 0.0
        while True:
            now = time.monotonic()
            named = file.named()  # before the state: a producer closes the stream, and then removes the block
            state, commit = _state_and_commit(descriptor) or (last_state(), 0)
            over = _why_over(file, named, state)
            if over is not None or commit > number or now >= deadline or now - looked >= LOOK_AT_LEAST_EVERY:
                status, looked = look(), now
                if status != NOT_FOUND:
                    return status
                if over is not None:
                    raise over
                if now >= deadline:
                    return status
            time.sleep(min(pause, max(0.0, deadline - now)))
            pause = min(pause * 2, LONGEST_PAUSE)
    finally:
        own.close()


def _state_and_commit(descriptor: int | None) -> tuple[int, int] | None:
    if descriptor is None:
        return None
    words = os.pread(descriptor, WORDS.size, STATE)
    if len(words) != WORDS.size:
        return BlockState.READY, 0  # truncated: the library finds out when it looks
    state, commit = WORDS.unpack(words)
    return state, commit


def _why_over(file: BlockFile, named: Identity, state: int) -> DataBlockError | None:
    """Why no further message will come; None if one may."""
    name = os.fsdecode(os.path.basename(file.path))
    if state == BlockState.CLOSED and named in (file.identity, None):  # None: removed, as the producer had asked for
        return Closed(f'block "{name}": the producer closed the stream before it wrote the message')
    if state == BlockState.SUPERSEDED or named != file.identity:
        return Superseded(f'block "{name}" was replaced or removed by force before the message was written: attach again')
    return None
