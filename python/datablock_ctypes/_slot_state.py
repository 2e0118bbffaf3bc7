"""The states of a slot or a batch in a program, and the end of its view."""

from __future__ import annotations

# Not begun; claimed or held; ended.
NEW, OPEN, ENDED = range(3)


def release(view: memoryview) -> None:
    try:  # noqa: SIM105  (suppress would take four times as long)
        view.release()
    except BufferError:  # an object uses the memory through this view; the memory stays mapped
        pass
