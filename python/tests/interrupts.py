"""Exceptions at chosen moments: at each bytecode of the package in turn, or by random signals."""

import contextlib
import dis
import functools
import gc
import linecache
import os
import random
import signal
import sys
import time

import datablock_ctypes

PACKAGE = os.path.dirname(datablock_ctypes.__file__)

# `make soak` interrupts at every bytecode. Another run interrupts at every fifth one, and begins at
# another one from second to second. DATABLOCK_TURN repeats a beginning.
STRIDE = 1 if os.environ.get("DATABLOCK_SOAK") else 5
TURN = int(os.environ.get("DATABLOCK_TURN", time.time()))

# The effect of such a line and the use of the effect are one step: CPython checks for no signal in
# these lines (test_one_step).
ONE_STEP_FUNCTIONS = ("receive", "_receive_kept", "with_next_slot", "slot")
ONE_STEP = (
    "[status] = ending",
    "if status == 0 and not self._late:",
    "if None in ending and not ended[0] and not self._late:",
    "words[0] = 0",
    "self._raws += (raw,)",
    "self._raws += spent",
    "return data",
    "called = True",
    "value = f(slot)",
    "self._asked += (None,)",
)

# The instructions at which CPython checks for signals, in any version from 3.9 on that does not
# check at every instruction.
LOOKS = (
    "CALL",
    "RESUME",
    "JUMP_BACKWARD",
    "JUMP_ABSOLUTE",
    "PRECALL",
    "FOR_ITER",
    "YIELD_VALUE",
    "SEND",
)

# Finalizers. Python discards the exceptions that leave them.
ENDS = ("_when_collected", "_when_sent")


class Interrupt(BaseException):
    """The exception that a signal handler raises."""


@functools.lru_cache(None)
def returning(code):
    """The offsets from which a function only returns.

    An exception there is an exception of the caller, after the call.
    """
    found, tail = set(), []
    for instruction in dis.get_instructions(code):
        tail = (
            [*tail, instruction.offset]
            if instruction.opname.startswith(
                ("LOAD_FAST", "LOAD_CONST", "NOP", "POP_TOP", "CACHE", "RETURN")
            )
            else []
        )
        if instruction.opname.startswith("RETURN"):
            found.update(tail)
    return found


@functools.lru_cache(None)
def offsets(code):
    """The offsets of the instructions, in order."""
    return [one.offset for one in dis.get_instructions(code)]


def after(frame):
    """The offset at which a frame goes on after the call that it is in.

    During a call, `f_lasti` is the offset of the call or of one of its cache entries.
    """
    return next((one for one in offsets(frame.f_code) if one > frame.f_lasti), None)


def leaves(frame):
    """Whether the frame only returns, and each caller in the package returns what it gets."""
    offset = frame.f_lasti
    while offset in returning(frame.f_code):
        frame = frame.f_back
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return True
        offset = after(frame)
    return False


def one_step(frame):
    if frame.f_code.co_name not in ONE_STEP_FUNCTIONS or frame.f_lineno is None:
        return False
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip().startswith(ONE_STEP)


@functools.lru_cache(None)
def looks(code):
    """The offsets at which the interpreter checks for signals.

    A yield leaves the function. The interpreter checks when the function resumes, if it does.
    """
    return {
        one.offset
        for one in dis.get_instructions(code)
        if one.opname.startswith(LOOKS) and one.opname != "YIELD_VALUE"
    }


@functools.lru_cache(None)
def bounds(code):
    """The offsets of the instructions that begin and end an except clause.

    No interpreter checks for signals there. An exception would damage the interpreter's own state:
    it would handle the exception of the clause for ever. From 3.11 on, a clause that an exception
    leaves ends with COPY and POP_EXCEPT.
    """
    instructions = list(dis.get_instructions(code))
    return {
        one.offset
        for one, after in zip(instructions, [*instructions[1:], None])
        if one.opname in ("PUSH_EXC_INFO", "POP_EXCEPT")
        or (one.opname == "COPY" and after is not None and after.opname == "POP_EXCEPT")
    }


def in_an_end(frame):
    """Whether the frame is that of a finalizer, at an instruction that checks for no signal.

    The finalizer may rely on this at such an instruction.
    """
    return frame.f_code.co_name in ENDS and frame.f_lasti not in looks(frame.f_code)


class At:
    """Raises `Interrupt` at the k-th bytecode of the package, once."""

    def __init__(self, k):
        self.left = k
        self.place = ""

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.inside

    def inside(self, frame, event, argument):
        if event == "opcode":
            if frame.f_lineno is None or frame.f_lasti in bounds(frame.f_code):
                return self.inside
            if not one_step(frame) and not in_an_end(frame) and not leaves(frame):
                self.left -= 1
                if self.left == 0:
                    self.place = f"{frame.f_code.co_name}:{frame.f_lineno} offset {frame.f_lasti}"
                    raise Interrupt
        return self.inside


@contextlib.contextmanager
def ignored_in_callbacks():
    """Python prints an exception in the end of an object and does not pass it on."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda what: None if issubclass(what.exc_type, Interrupt) else before(what)
    try:
        yield
    finally:
        sys.unraisablehook = before


def safe_point():
    """The beginning of a function, at which the interpreter checks for signals and for exceptions.

    The exceptions are those that are to be raised later.
    """


def forgotten(error):
    """Return an exception without the objects that it keeps alive.

    `inside`: the exception came in the package. Otherwise it came in the test's own code, which has
    its result already.
    """
    at = error.__traceback__
    error.inside = False
    while at is not None:
        error.inside = error.inside or at.tb_frame.f_code.co_filename.startswith(PACKAGE)
        at = at.tb_next
    error.__context__ = None
    return error.with_traceback(None)


def check_file(check):
    return check.__code__.co_filename


def at_each_bytecode(prepare, act, check, step=STRIDE):
    """Interrupt `act(state)` at each bytecode of the package in turn, then `check(state, error)`.

    With a step of n, at every n-th bytecode. Returns the number of bytecodes.
    """
    k = 1 + TURN % step
    with ignored_in_callbacks():
        while True:
            state = prepare()
            at, error = At(k), None
            before = sys.gettrace()
            gc.disable()
            sys.settrace(at)
            try:
                act(state)
                safe_point()
            except Interrupt as interrupt:
                error = forgotten(interrupt)
            finally:
                sys.settrace(before)
                gc.enable()
            try:
                assert sys.exc_info()[1] is None, f"the interpreter is damaged at {at.place}"
                assert error is not None or at.left > 0, f"the interrupt was lost at {at.place}"
                check(state, error)
            except Exception as failure:
                where = failure.__traceback__
                while (
                    where.tb_next is not None
                    and where.tb_next.tb_frame.f_code.co_filename == check_file(check)
                ):
                    where = where.tb_next
                raise AssertionError(
                    f"interrupted at bytecode {k}, {at.place}: line {where.tb_lineno}: {failure!r}"
                ) from None
            if at.left > 0:
                return k - 1
            k += step


def at_random(prepare, act, check, times, longest):
    """Interrupt `act(state)` by a signal at a random moment, then `check(state, error)`.

    Returns how often the signal came in time.
    """
    came = rung = 0
    armed = False  # if another thread got the signal, this thread notices it late

    def ring(number, frame):
        nonlocal rung
        if armed:
            rung += 1
            raise Interrupt

    before = signal.signal(signal.SIGALRM, ring)
    chance = random.Random(5)
    try:
        with ignored_in_callbacks():
            for _ in range(times):
                state, error = prepare(), None
                try:
                    try:
                        armed = True
                        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, longest))
                        act(state)
                        safe_point()
                    finally:
                        armed = False
                        signal.setitimer(signal.ITIMER_REAL, 0)
                    safe_point()
                except Interrupt as interrupt:
                    error = forgotten(interrupt)
                    came += 1
                assert came == rung, "the interrupt was lost"
                check(state, error)
    finally:
        signal.signal(signal.SIGALRM, before)
    return came
