"""Exceptions of a signal handler at each bytecode: of a second entry, a repetition, a poll."""

import contextlib

import pytest
from interrupts import at_each_bytecode, at_random
from test_interrupted import TIMES, Pair, check_sent, fresh_buffer, fresh_kept, pair, read  # noqa: F401

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


# ---- Polls that return None ---------------------------------------------------------------------


def try_receive(pair):  # noqa: F811
    pair.got.append(pair.consumer.try_receive())


def try_read(pair):  # noqa: F811
    with pair.consumer.try_read() as slot:
        pair.got.append(slot.id)


def try_what_is_not_there(pair):  # noqa: F811
    for poll in (pair.consumer.try_receive, pair.consumer.try_read().__enter__):
        assert poll() is None


def try_send(pair):  # noqa: F811
    pair.producer.try_send(b"x" * 8)
    pair.done = True


def all_once(pair, error):  # noqa: F811
    pair.all_once(error)
    structs = [id(raw) for raw in pair.consumer._raws]
    assert len(set(structs)) == len(structs)  # two calls never share one


@pytest.mark.parametrize("way", [try_receive, try_read], ids=lambda way: way.__name__)
def test_a_poll_loses_no_message(pair, way):  # noqa: F811
    assert at_each_bytecode(lambda: pair.fresh(5), way, all_once) > 20
    assert at_random(lambda: pair.fresh(5), way, all_once, TIMES, 3e-4) > TIMES // 20
    at_each_bytecode(lambda: fresh_kept(pair, 1), way, all_once)


def test_a_poll_that_finds_nothing_leaves_nothing(pair):  # noqa: F811
    assert at_each_bytecode(lambda: pair.fresh(0), try_what_is_not_there, all_once, 1) > 20


def test_a_poll_for_room_says_what_it_sent(pair):  # noqa: F811
    assert at_each_bytecode(lambda: fresh_buffer(pair), try_send, check_sent) > 20
    assert at_random(lambda: fresh_buffer(pair), try_send, check_sent, TIMES, 1e-4) > TIMES // 20


def test_a_poll_without_room_leaves_nothing(pair):  # noqa: F811
    def act(pair):
        assert pair.producer.try_send(b"x" * 8) is None

    def check(pair, error):
        assert getattr(error, "sent", 0) == 0
        places = [id(place) for place in pair.producer._places]
        assert len(set(places)) == len(places)

    pair.fresh(16)
    at_each_bytecode(lambda: pair, act, check, 1)
    pair.all_once()
