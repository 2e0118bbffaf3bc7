"""Validation, repair and auto_recover. internal/core/recovery tests what they find and repair."""

import pytest

from datablock_ctypes import (
    Consumer,
    Producer,
    RecoveryError,
    RecoveryResult,
    RecoveryStepKind,
    auto_recover,
    repair,
    validate_integrity,
)

NAME = "camera"


def test_a_block_in_use_is_healthy():
    with Producer(NAME, slot_size=64) as producer, Consumer(NAME) as consumer:
        producer.send(b"one")
        with consumer.read():
            check = validate_integrity(NAME)
            assert check
            assert check.error_message == ""
        assert repair(NAME) is RecoveryResult.NOT_STUCK
        assert auto_recover(NAME, dry_run=False) == []


def test_a_damaged_header_is_found_and_repaired(directory):
    with Producer(NAME, slot_size=64) as producer, Consumer(NAME) as consumer:
        path = directory / NAME
        with path.open("r+b") as file:
            file.seek(64)
            byte = file.read(1)
            file.seek(64)
            file.write(bytes([byte[0] ^ 1]))
        check = validate_integrity(NAME)
        assert not check
        assert not check.header_valid
        assert "byte 64" in check.error_message
        told = []
        planned = auto_recover(NAME, callback=told.append)
        assert [step.kind for step in planned] == [RecoveryStepKind.REPAIR]
        assert not planned[0].done
        assert told == planned
        assert repair(NAME) is RecoveryResult.SUCCESS
        assert validate_integrity(NAME)
        producer.send(b"two")
        with consumer.read() as slot:
            assert slot.data == b"two"


def test_no_such_block():
    for function in (validate_integrity, repair, auto_recover):
        with pytest.raises(RecoveryError):
            function(NAME)
