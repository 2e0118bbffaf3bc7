"""Exceptions of a signal handler at each bytecode of an entry that is not the first one."""

import contextlib

import pytest
from interrupts import at_each_bytecode
from test_interrupted import Pair, fresh_kept, pair, read  # noqa: F401

from datablock_ctypes import Invalid

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.mark.parametrize("alone", [0, 1])
def test_a_batch_that_is_entered_again_at_any_bytecode(pair, alone):  # noqa: F811
    """A read enters what an interrupted batch has taken, and is itself interrupted, everywhere."""

    def batch(pair):
        with pair.consumer.read_many(4, 0) as batch:
            pair.got.append(batch.ids)
            batch.release(1)

    for act in (batch, read):
        at_each_bytecode(lambda: fresh_kept(pair, alone), act, Pair.all_once)


def test_a_batch_that_is_entered_twice_at_any_bytecode(pair):  # noqa: F811
    """The second statement is refused, and the first one goes on."""

    def act(pair):
        with pair.consumer.read_many(4, 0) as batch:
            pair.got.append(batch.ids)
            with contextlib.suppress(Invalid), batch:
                raise AssertionError("it was entered twice")
            assert len(batch) == 4

    at_each_bytecode(lambda: pair.fresh(5), act, Pair.all_once)
