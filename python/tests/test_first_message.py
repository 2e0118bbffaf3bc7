"""The first message maps the block for Python. An interrupt of that loses no message."""

import pytest

from datablock_ctypes import Consumer, Producer, _memory


@pytest.mark.parametrize("call", ["receive", "try_receive"])
@pytest.mark.parametrize("interrupted", range(4))
def test_an_interrupt_of_the_first_mapping_loses_no_message(
    directory, monkeypatch, call, interrupted
):
    """The mapping is interrupted at each of its calls."""
    watch = _memory.watch
    calls = 0

    def once(body, *arguments):
        nonlocal calls
        calls += 1
        if calls == interrupted + 1:
            raise KeyboardInterrupt
        return body(*arguments)

    with Producer("first", slot_size=64, slot_count=8) as producer, Consumer("first") as consumer:
        messages = [b"hello", b"second", b"third"]
        for message in messages:
            producer.send(message)
        read = consumer.try_receive if call == "try_receive" else lambda: consumer.receive(0)
        found = []
        with monkeypatch.context() as patch:
            patch.setattr(_memory, "watch", lambda *a: once(watch, *a))
            patch.setattr(_memory, "memoryview", lambda *a: once(memoryview, *a), raising=False)
            try:
                found.append(read())
            except KeyboardInterrupt:
                calls = 100
            while len(found) < len(messages):
                found.append(read())
        assert found == messages
        assert consumer.try_receive() is None
