"""How slots are entered and left, other than by a plain with statement."""

import contextlib

import pytest

from datablock_ctypes import Consumer, Invalid, Producer


@pytest.fixture
def pair(directory):
    with Producer("camera", slot_size=8) as producer, Consumer("camera", max_pins=2) as consumer:
        yield producer, consumer


def test_an_exit_stack_holds_slots(pair):
    """It takes `__exit__` from the class, and gives it the slot."""
    producer, consumer = pair
    with contextlib.ExitStack() as stack:
        slot = stack.enter_context(producer.write(0))
        slot.data[:] = b"12345678"
    assert slot.published
    with contextlib.ExitStack() as stack:
        slot = stack.enter_context(consumer.read(0))
        assert stack.enter_context(consumer.try_read()) is None
        assert bytes(slot.data) == b"12345678"
        assert consumer._held
    assert not consumer._held
    with pytest.raises(KeyError), contextlib.ExitStack() as stack:
        slot = stack.enter_context(producer.write(0))
        raise KeyError
    assert not slot.published


def test_a_slot_is_entered_once(pair):
    producer, consumer = pair
    producer.send(b"x")
    with consumer.read(0) as slot:
        with pytest.raises(Invalid, match="used before"), slot:
            raise AssertionError("it was entered twice")
        assert bytes(slot.data) == b"x"  # the first statement goes on
        assert consumer._held
    assert not consumer._held
    with consumer.try_read() as nothing:
        assert nothing is None
    empty = consumer.try_read()
    with empty:
        pass
    with pytest.raises(Invalid, match="used before"), empty:
        raise AssertionError("it was entered twice")
