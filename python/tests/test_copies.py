"""Objects for a hold are neither copied nor sent to another process. A copy of a message can be."""

import copy
import pickle
import warnings

import pytest

from datablock_ctypes import (
    Consumer,
    Observer,
    Producer,
    ReadTransactionGuard,
    SchemaMismatch,
    SlotIterator,
    WriteTransactionGuard,
    aio,
    list_blocks,
)

WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda x, n=n: pickle.dumps(x, n) for n in range(6)},
}


@pytest.fixture
def pair(directory):
    with (
        Producer("copies", schema="schema Number 1.0 { value: i32; }") as producer,
        Consumer("copies") as consumer,
    ):
        yield producer, consumer


def held(producer, consumer):
    """One object of each class that holds something, with the advice of its error text."""
    yield producer.write(), "bytes"
    yield consumer.read(), "bytes"
    yield consumer.read_many(1), "bytes"
    yield iter(consumer), "open it there"
    yield aio.messages(consumer), "open it there"
    yield producer.flexible_zone(), "data"
    yield producer.lock(1), "open it there"
    yield producer.counters[1], "value"
    yield producer.counters, "open it there"
    yield producer, "open it there"
    yield consumer, "open it there"


@pytest.mark.parametrize("way", WAYS)
def test_what_is_held_is_not_copied(pair, way):
    with warnings.catch_warnings(record=True) as said:  # also of an error in a destructor
        warnings.simplefilter("always")
        for one, advice in held(*pair):
            with pytest.raises(TypeError, match=f"{type(one).__name__}.*{advice}"):
                WAYS[way](one)
    assert said == []


@pytest.mark.parametrize("way", WAYS)
def test_what_observes_and_guards_is_not_copied(pair, way):
    producer, consumer = pair
    producer.send(bytes(4))
    with (
        Observer("copies") as observer,
        WriteTransactionGuard(producer) as writing,
        ReadTransactionGuard(consumer) as reading,
    ):
        for one in (observer, writing, reading):
            with pytest.raises(TypeError, match=f"{type(one).__name__}.*"):
                WAYS[way](one)


@pytest.mark.parametrize("way", ["copy", "deepcopy"])
def test_the_next_claim_is_whole(pair, way):
    producer, consumer = pair
    with producer.write() as slot:
        with pytest.raises(TypeError):
            WAYS[way](slot)
        slot["value"] = 1
    with producer.write() as slot:
        slot["value"] = 2
    assert [consumer.receive(0) for _ in range(2)] == [b"\1\0\0\0", b"\2\0\0\0"]


def test_an_iterator_that_was_never_made_ends_quietly(recwarn):
    with pytest.raises(TypeError):
        SlotIterator()
    del recwarn  # pytest turns an exception of a destructor into an error


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_an_observation_travels(pair, again, closed):
    producer, _ = pair
    producer.send(b"\5\0\0\0")
    with Observer("copies") as observer:
        found = observer.newest()
        if not closed:
            other = again(found)
    if closed:
        other = again(found)
    assert (other.id, other.data, other.index, other.next_id, other.timestamp_ns) == (
        0,
        b"\5\0\0\0",
        found.index,
        1,
        found.timestamp_ns,
    )
    assert other["value"] == 5
    assert other.array("i4").tolist() == [5]
    assert repr(other) == repr(found)


def test_an_observation_without_a_schema_travels(directory):
    with Producer("plain", slot_size=8) as producer, Observer("plain") as observer:
        producer.send(b"x")
        other = pickle.loads(pickle.dumps(observer.newest()))
        assert other.data == b"x"
        with pytest.raises(SchemaMismatch, match="no schema"):
            other["value"]
    assert [block.name for block in list_blocks()] == ["plain"]
