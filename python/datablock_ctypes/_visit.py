"""The stay of a thread of `aio` inside objects for which a task waits."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from ._errors import Busy

if TYPE_CHECKING:
    import asyncio


class Visit:
    """A thread's stay inside some objects."""

    def __init__(self, inside: list[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.abandoned = False
        """The task waits no more. The thread leaves within a tenth of a second."""
        self.left: Future[None] = Future()
        self.thread = 0
        self._inside = inside
        self._loop = loop
        for participant in inside:
            participant._visit = self

    def over(self) -> bool:
        """Whether the thread of a visit waits for no task any more."""
        return self.abandoned or self._loop.is_closed()

    def leave(self) -> None:
        inside, self._inside = self._inside, []
        for participant in inside:
            if participant._visit is self:
                participant._visit = None
        if not self.left.done():
            self.left.set_result(None)

    def refuse(self, participant: Any) -> None:
        """Raise `Busy` when a task waits, in this visit, for the participant."""
        if not self.abandoned and not self.left.done():
            raise Busy(
                f'block "{participant.name}": another task waits for this '
                f"{type(participant).__name__}: "
                "one object is for one task at a time"
            )
