"""Results that no interrupt can lose.

Python runs signal handlers between two bytecodes, and a handler may raise KeyboardInterrupt or an
exception of its own. After every call of C, an exception may therefore come before the result is
stored in any variable. Three means exclude a loss:

1. A struct that C fills belongs to an object before the call. The code that handles the exception,
   or uses the object next, finds in the struct what C has acquired.
2. `record` appends the result of a C function to a list that exists before the call. Both happen
   inside one call of C, where no handler runs.
3. A debt (`owe`) is registered before the call that acquires something. The debt is settled when
   its owner is collected, or when the program ends. `settle_debts`, which each opening and closing
   calls, repeats a settlement that was interrupted.

What a ``with`` statement holds needs a fourth means, because an exception may keep Python from
entering ``__exit__``. The statement keeps the object that it found as ``__exit__`` alive until the
statement is over; see `Leaving`.

What ends when an object is collected needs a fifth means, because Python discards an exception that
leaves a finalizer; see `at_end`.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Generator
from functools import partial
from typing import Any, Callable, Protocol

from ._errors import Closed, DataBlockError
from ._slot_state import NEW


def record(into: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Call a C function and append its result to a list, with no bytecode between the two."""
    into.extend(map(function, *[(argument,) for argument in arguments]))


class Descriptor:
    """A descriptor of this process, or a handle that another function closes.

    It is closed at the latest when nothing refers to it.
    """

    def __init__(self, close: Callable[[Any], object] = os.close) -> None:
        self._numbers: list[int] = []  # none or one
        self._close = close
        self._ending = at_end(_close_each, self._numbers, close)

    def open(self, function: Callable[..., int], *arguments: Any) -> int:
        """Open the descriptor by `os.open`, `os.dup` or the like."""
        record(self._numbers, function, *arguments)
        return self._numbers[0]

    def close(self) -> None:
        _close_each(self._numbers, self._close)


def _close_each(numbers: list[int], close: Callable[[Any], object]) -> None:
    """Close descriptors, and take each out of the list by the call that closes it."""
    closed: list[object] = []
    while numbers:
        closed.extend(map(close, map(list.pop, (numbers,))))


# ---- Debts --------------------------------------------------------------------------------------


class Debt(Protocol):
    """What a process has to give back. Any thread may call the methods, also repeatedly."""

    def due(self) -> bool:
        """Whether nothing can use it any more."""

    def settle(self) -> object:
        """Give it back. Does nothing if this was done."""

    def settle_at_exit(self) -> object:
        """Give it back at exit, unless the kernel does this better when the process ends."""


_debts: dict[int, Debt] = {}
_at_exit = False


def owe(debt: Debt) -> None:
    """Register a debt. `watch` names the object on whose life the debt depends."""
    global _at_exit
    if not _at_exit:  # at the first debt: functions that a program registers later run earlier
        atexit.register(_settle_at_exit)
        _at_exit = True
    _debts[id(debt)] = debt


def watch(owner: object, debt: Debt) -> weakref.ref[Any]:
    """Return a reference to an owner, with whose end the debt may be due."""
    settling = _when_sent(_ended, debt)
    next(settling, None)
    return weakref.ref(owner, settling.send)


def _ended(debt: Debt) -> None:
    if debt.due():
        debt.settle()
        _debts.pop(id(debt), None)  # last: settle_debts finds an interrupted settlement


def settle_debts() -> None:
    """Repeat the settlements that were interrupted."""
    for key in list(_debts):
        debt = _debts.get(key)
        if debt is not None and debt.due():
            debt.settle()
            _debts.pop(key, None)


def forget(debt: Debt) -> None:
    """Remove a settled debt."""
    _debts.pop(id(debt), None)


def debts() -> list[Debt]:
    return list(_debts.values())


def _settle_at_exit() -> None:
    threading.excepthook = partial(_but_for_daemons, threading.excepthook)
    for key in reversed(list(_debts)):
        debt = _debts.get(key)
        if debt is None:
            continue
        try:
            try:
                debt.settle_at_exit()
            except KeyboardInterrupt:
                debt.settle_at_exit()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        _debts.pop(key, None)


def _but_for_daemons(hook: Callable[[Any], object], what: Any) -> None:
    """The hook of threads at exit. It ignores a daemon thread whose wait ends with the program."""
    if not (isinstance(what.exc_value, Closed) and what.thread is not None and what.thread.daemon):
        hook(what)


# ---- Ends of objects ----------------------------------------------------------------------------


def at_end(end: Callable[..., object], *arguments: Any) -> Generator[None, Any, None]:
    """Return a generator that calls ``end(*arguments)`` when it is collected.

    An object that alone refers to the generator ends in this way. Python enters ``__del__``, and
    the callback of a weak reference, by a bytecode at which it checks for signals. An exception of
    a handler there keeps the function from running, and Python discards the exception.

    A collected generator resumes inside its ``try`` statement instead. The exception is caught
    there, the end is repeated, and the exception is raised again as soon as the program continues.
    ``end`` may therefore be called twice.
    """
    ending = _when_collected(end, arguments)
    next(ending, None)  # nothing: an interrupt came before it was ready, and raises now
    return ending


def _when_collected(
    end: Callable[..., object], arguments: tuple[Any, ...]
) -> Generator[None, Any, None]:
    try:
        try:
            yield
        except GeneratorExit:
            end(*arguments)
    except (DataBlockError, Warning):  # of the end itself
        raise
    except BaseException as error:
        once_more = _raise_later(error)
        try:
            end(*arguments)
        finally:
            _ = -1 in map(*once_more)  # Python checks for no signal from here to the end


def _when_sent(end: Callable[..., object], *arguments: Any) -> Generator[None, Any, None]:
    """Like `at_end`, for a callback: a sent value starts the end, and a collection does not."""
    try:
        try:
            yield
            end(*arguments)
        except GeneratorExit:
            return
    except DataBlockError:
        raise
    except BaseException as error:
        once_more = _raise_later(error)
        try:
            end(*arguments)
        finally:
            _ = -1 in map(*once_more)
    yield


_raise_in_thread = ctypes.pythonapi["PyThreadState_SetAsyncExc"]


def _raise_later(
    error: BaseException,
) -> tuple[Callable[..., int], tuple[ctypes.c_ulong], tuple[ctypes.py_object[Any]]]:
    """Return what `map` needs to raise an exception again in this thread.

    Python raises it where it next checks for signals.
    """
    error.__traceback__ = None
    kind = type(error)
    try:  # Python needs a class, and calls it
        again = type(
            kind.__name__,
            (kind,),
            {"__module__": kind.__module__, "__new__": lambda cls, *_: error},
        )
    except TypeError:  # no class may be derived from it
        again = kind
    return _raise_in_thread, (ctypes.c_ulong(threading.get_ident()),), (ctypes.py_object(again),)


# ---- With statements ----------------------------------------------------------------------------


class Statement(weakref.ref[Any]):
    """A ``with`` statement, known by the object that it found as ``__exit__``.

    The object dies with the statement.
    """

    __slots__ = ("held", "level", "outer")

    held: Any
    level: int
    outer: Statement | None
    """The enclosing statement of the same object."""


def _over(statement: Statement) -> None:
    """Do the rest for a statement that ended without reaching the end of ``__exit__``."""
    held = getattr(statement, "held", None)
    if held is None:  # no statement was entered yet
        return
    if held._statement is statement:
        held._statement = statement.outer
    if held._state == statement.level + 1:
        held._abandon()


def refuse_statement(held: Any) -> None:
    """Forget the statement that enters an object and is refused. Enclosing statements stay."""
    statement = held._statement
    if statement is not None and statement.level == held._state:
        held._statement = statement.outer


class LeavingOnce(property):
    """``__exit__`` of a slot, which a single ``with`` statement can enter.

    It does what `Leaving` does, and faster. The holder has ``_state``, which is NEW until the
    statement enters, and ``_abandoned(reference)``. That method is called when the result that the
    statement found as ``__exit__`` is collected. A second statement is refused, and leaves no
    trace here.
    """

    def __init__(self, leave: Callable[..., None]) -> None:
        def found(held: Any) -> Callable[..., None]:
            # No bound method: Python drops one as soon as it enters the function.
            leaving = partial(leave, held)
            if held._state == NEW:
                held._statement = weakref.ref(leaving, held._abandoned)
            return leaving

        super().__init__(found, doc=leave.__doc__)
        self._leave = leave

    def __call__(self, held: Any, *error: Any) -> None:
        """Leave, for `contextlib.ExitStack`, which takes ``__exit__`` from the class."""
        self._leave(held, *error)


class Leaving:
    """``__exit__`` of an object that a ``with`` statement holds.

    An interrupt between the last bytecode of the block and the first bytecode of a Python function
    keeps the function from running. A ``with`` statement looks ``__exit__`` up before it enters,
    and keeps the result until the statement is over. When the result that it gets here is
    collected, the hold ends, unless the hold has ended already.

    The holder has ``_state``, which entering raises by one, and ``_abandon()``, which ends the
    hold. On the way out the holder forgets its ``_statement``. Then no Python code runs at the end
    of the statement, which would swallow the exception of a signal handler.
    """

    def __init__(self, leave: Callable[..., None]) -> None:
        self._leave = leave
        self.__doc__ = leave.__doc__

    def __get__(self, held: Any, kind: type[Any] | None = None) -> Any:
        if held is None:
            return self._leave
        leave = partial(self._leave, held)
        statement = Statement(leave, _over)
        statement.level, statement.outer, statement.held = held._state, held._statement, held
        held._statement = statement
        return leave
