"""Giving up the turn: the interpreter lock, and the processor for a moment."""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any, Callable

# A call whose number has all these bits clear gives up its turn.
BREATH = 1023


def _yielding() -> Callable[[], Any]:
    if sys.platform == "win32":
        return lambda: time.sleep(0)  # Sleep(0), which does not wait
    # time.sleep(0) is no way to do this: in CPython 3.11 and 3.12 on Linux it takes 50 us or more.
    return ctypes.CDLL(None).sched_yield


give_up_turn = _yielding()
"""Let other threads and processes run, and return at once.

A signal may arrive in another thread, such as one of the library's. Before 3.13, Python notices
such a signal only when it takes the interpreter lock. ctypes releases the lock for this call.
"""
