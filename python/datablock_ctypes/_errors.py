"""The statuses of the library, and one exception class for each."""

from __future__ import annotations

import errno
import os
from enum import IntEnum
from typing import ClassVar


class Status(IntEnum):
    """The status that a call of the C library returned.

    New numbers are only appended. ``docs/errors.md`` says when each status occurs.
    """

    OK = 0
    TIMEOUT = 1
    INVALID = 2
    NOT_FOUND = 3
    EXISTS = 4
    PRODUCER_ACTIVE = 5
    ACCESS = 6
    SECRET = 7
    CORRUPT = 8
    VERSION = 9
    GEOMETRY = 10
    SCHEMA = 11
    NO_SPACE = 12
    FULL = 13
    BUSY = 14
    CLOSED = 15
    SUPERSEDED = 16
    FENCED = 17
    OVERRUN = 18
    LOST = 19
    NO_PRODUCER = 20
    NO_SPARE = 21
    CHECKSUM = 22
    FORKED = 23
    HANDLE = 24
    SYSTEM = 25
    PANIC = 26


class DataBlockError(Exception):
    """Base of all errors of this package.

    ``status`` is the `Status`. ``detail`` is an informational sentence: it says what exactly was
    wrong, with the values, and what to do. The wording may improve with any version, so show it,
    and decide by the class or the status.

    ``sent`` is set by `Producer.send_many`: the number of messages that were published before the
    error.
    """

    status: ClassVar[Status] = Status.SYSTEM
    sent: int = 0

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail or self._meaning()

    def _meaning(self) -> str:
        """The first line of the docstring of the class, or of the nearest base that has one.

        ``python -OO`` removes docstrings. The text is then the name of the status alone.
        """
        texts = (
            kind.__doc__ or "" for kind in type(self).__mro__ if issubclass(kind, DataBlockError)
        )
        first = next((text.strip().splitlines()[0] for text in texts if text.strip()), None)
        return f"{self.status.name}: {first}" if first else self.status.name


class _SystemError(DataBlockError, OSError):
    """Errors for which Python has an `OSError` class.

    An `except` clause that does not know this package catches them by that class.
    """

    _errno: ClassVar[int | None] = None
    _text: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls._errno is not None:
            cls._text = os.strerror(cls._errno)

    def __init__(self, detail: str = "") -> None:
        # What the two classes behind this one do, in half of the time: a poll may raise `Timeout`
        # millions of times.
        OSError.__init__(self, detail)
        self.detail = detail
        number = self._errno
        if number is not None:
            self.errno = number
            self.strerror = self._text


class Timeout(_SystemError, TimeoutError):
    """The time ran out: no new message, or no room for one."""

    status = Status.TIMEOUT
    _errno = errno.ETIMEDOUT


class NoProducer(Timeout):
    """The time ran out, and nobody has the block open for writing.

    A restarted producer continues with the id after the last published message.
    """

    status = Status.NO_PRODUCER


class Invalid(DataBlockError, ValueError):
    """An argument, a setting or the order of calls is wrong."""

    status = Status.INVALID


class NotFound(_SystemError, FileNotFoundError, LookupError):
    """No block of that name, no such directory, or the message is not written yet."""

    status = Status.NOT_FOUND
    _errno = errno.ENOENT


class Exists(_SystemError, FileExistsError):
    """A file of that name is there already."""

    status = Status.EXISTS
    _errno = errno.EEXIST


class ProducerActive(DataBlockError):
    """Another producer writes the block."""

    status = Status.PRODUCER_ACTIVE


class Access(_SystemError, PermissionError):
    """The system refuses access to a file or directory."""

    status = Status.ACCESS
    _errno = errno.EACCES


class Secret(DataBlockError):
    """The block was made with another secret, or with none."""

    status = Status.SECRET


class Corrupt(DataBlockError):
    """The file is not a block, or one of its two files is damaged or missing."""

    status = Status.CORRUPT


class Version(DataBlockError):
    """The block was made by an incompatible library."""

    status = Status.VERSION


class Geometry(DataBlockError):
    """The block exists with other settings; the detail names each."""

    status = Status.GEOMETRY


class SchemaMismatch(DataBlockError):
    """The two sides describe the message differently, or the block has no schema.

    The detail names every field that differs, with the values of both sides.
    """

    status = Status.SCHEMA


class NoSpace(_SystemError):
    """The directory's file system has no room for the block."""

    status = Status.NO_SPACE
    _errno = errno.ENOSPC


class Full(DataBlockError):
    """As many consumers are attached as the block allows."""

    status = Status.FULL


class Busy(DataBlockError):
    """What is asked for is in use: the handle, the holds, the durable name, the block."""

    status = Status.BUSY


class Closed(DataBlockError):
    """The end of the stream, and everything was read; or this object was closed."""

    status = Status.CLOSED


class Superseded(DataBlockError):
    """Another block has the name now, or the block was removed by force: close and open again."""

    status = Status.SUPERSEDED


class Fenced(DataBlockError):
    """A forced recovery took the claim or the row away; nothing was published."""

    status = Status.FENCED


class Overrun(DataBlockError):
    """The message was overwritten.

    When the end of a slot raises this error, discard what was read from the slot.
    """

    status = Status.OVERRUN


class Lost(DataBlockError):
    """An operator discarded the message.

    Each discarded message is reported once. The next read continues after the message.
    """

    status = Status.LOST


class NoSpare(DataBlockError):
    """The consumers together could hold so many slots that the producer had none left."""

    status = Status.NO_SPARE


class Checksum(DataBlockError):
    """The payload is not what was written."""

    status = Status.CHECKSUM


class Forked(DataBlockError, RuntimeError):
    """This process is a forked child of one that uses the library.

    Use the start method "spawn" or "forkserver".
    """

    status = Status.FORKED


class Handle(DataBlockError):
    """The handle is zero, closed, or of the other kind.

    `Producer` and `Consumer` raise `Closed` instead.
    """

    status = Status.HANDLE


class System(_SystemError):
    """The operating system failed otherwise; the detail has its words."""

    status = Status.SYSTEM


class Panic(DataBlockError, RuntimeError):
    """A bug in the library: close the object and open again."""

    status = Status.PANIC


class RecoveryError(DataBlockError):
    """A function of diagnosis or recovery failed.

    ``code`` is the number that the C function returned.
    """

    def __init__(self, detail: str = "", code: int = 0) -> None:
        super().__init__(detail)
        self.args = (detail, code)
        self.code = code


class InvalidSlot(RecoveryError, IndexError):
    """The block has no slot of that index."""

    status = Status.INVALID


def _by_status() -> dict[int, type[DataBlockError]]:
    found: dict[int, type[DataBlockError]] = {}
    pending: list[type[DataBlockError]] = [DataBlockError]
    while pending:
        for error in pending.pop().__subclasses__():
            if issubclass(error, RecoveryError):
                continue
            pending.append(error)
            if error is not _SystemError:
                found[error.status] = error
    return found


BY_STATUS = _by_status()
