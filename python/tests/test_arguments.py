"""A wrong argument is refused with its name, its value and the cure.

A right argument is accepted, whatever its type.
"""

import asyncio
import ctypes
import dataclasses
import decimal
import fractions
import subprocess
import sys
import typing

import numpy as np
import pytest

from datablock_ctypes import (
    Closed,
    Consumer,
    DataBlockError,
    Invalid,
    Lost,
    NotFound,
    Observer,
    Producer,
    ReadTransactionGuard,
    RecoveryError,
    Schema,
    Timeout,
    WriteTransactionGuard,
    aio,
    wait_any,
    with_flexible_zone,
    with_next_slot,
    with_read_transaction,
    with_write_transaction,
)

NUMBERS = [
    fractions.Fraction(1, 100),
    decimal.Decimal("0.01"),
    np.float32(0.01),
    np.float64(0.01),
    np.int64(0),
    np.array(0.01),
    True,
    0,
]


@dataclasses.dataclass
class Reading:
    a: float


@pytest.fixture
def pair(directory):
    """A full ring, whose consumer has read nothing, and an empty one."""
    with (
        Producer("arguments", slot_size=64, slot_count=2) as producer,
        Consumer("arguments") as consumer,
    ):
        yield producer, consumer


def waits(producer, consumer):
    """Every call with a timeout."""
    return {
        "receive": consumer.receive,
        "read": lambda timeout: consumer.read(timeout).__enter__(),
        "read_many": lambda timeout: consumer.read_many(1, timeout).__enter__(),
        "wait_any": lambda timeout: wait_any([consumer], timeout),
        "with_read_transaction": lambda timeout: with_read_transaction(consumer, 9, timeout, print),
        "with_next_slot": lambda timeout: with_next_slot(consumer, timeout, print).value,
        "with_write_transaction": lambda timeout: with_write_transaction(
            producer, timeout, lambda slot: None
        ),
        "with_flexible_zone": lambda timeout: with_flexible_zone(
            producer, timeout, lambda zone: None
        ),
        "write": lambda timeout: producer.write(timeout).__enter__().abort(),
        "send": lambda timeout: producer.send(b"", timeout),
        "send_many": lambda timeout: producer.send_many([b""], timeout),
        "lock": lambda timeout: producer.lock(1, timeout).acquire(),
        "flexible_zone": lambda timeout: (
            producer.flexible_zone(timeout).__enter__().__exit__(None, None, None)
        ),
        "aio.receive": lambda timeout: asyncio.run(aio.receive(consumer, timeout)),
        "aio.wait_any": lambda timeout: asyncio.run(aio.wait_any([consumer], timeout)),
        "aio.send": lambda timeout: asyncio.run(aio.send(producer, b"", timeout)),
    }


READS = (
    "receive",
    "read",
    "read_many",
    "wait_any",
    "with_read_transaction",
    "with_next_slot",
    "aio.receive",
    "aio.wait_any",
)
CALLS = waits(None.__class__, type("", (), {"receive": None})).keys()


@pytest.mark.parametrize("call", CALLS)
def test_a_timeout_is_any_number(pair, call):
    producer, consumer = pair
    for number in NUMBERS:
        if call in READS and "wait_any" not in call:
            with pytest.raises(Timeout):
                waits(producer, consumer)[call](0 if number is True else number)
        else:
            waits(producer, consumer)[call](
                number if call not in READS or number is not True else 0
            )
            while True:
                try:
                    consumer.receive(0)
                except Timeout:
                    break


@pytest.mark.parametrize("call", CALLS)
def test_a_timeout_that_is_none_is_named(pair, call):
    for wrong in (-1, -0.5, float("nan"), decimal.Decimal(-1), fractions.Fraction(-1, 3)):
        with pytest.raises(
            Invalid, match=r"timeout is .*: use None .*, 0 .* or a number of seconds"
        ):
            waits(*pair)[call](wrong)
    for wrong in ("1", b"1", [1], 1j, object()):
        with pytest.raises(
            TypeError, match=r"timeout is .*: use None .*, 0 .* or a number of seconds"
        ):
            waits(*pair)[call](wrong)


def test_the_text_of_a_timeout_says_what_was_asked_for(pair):
    with pytest.raises(Timeout, match=r"0\.2 s"):
        with_read_transaction(pair[1], 9, fractions.Fraction(1, 5), print)
    with pytest.raises(Timeout, match=r"within 0\.1 s"):
        pair[1].receive(decimal.Decimal("0.1"))
    pair[0].send_many([b""] * 2)
    with pair[1].lock(1), pair[1].flexible_zone():
        for wait in (
            "send",
            "write",
            "send_many",
            "with_write_transaction",
            "lock",
            "flexible_zone",
            "with_flexible_zone",
            "aio.send",
        ):
            with pytest.raises(Timeout, match=r"within 0\.1 s") as said:
                waits(*pair)[wait](0.1)
            assert "ms" not in str(said.value)


def test_the_bytes_of_a_slot_are_its_message(pair):
    producer, consumer = pair
    with producer.write() as slot:
        slot.data[:3] = b"abc"
        slot.commit(3)
        assert bytes(slot) == bytes(slot.data)
    with consumer.read(0) as slot:
        assert bytes(slot) == b"abc"
    with pytest.raises(Invalid, match="has ended"):
        bytes(slot)


def test_the_schema_of_what_is_closed(pair):
    _, consumer = pair
    with Observer("arguments") as observer:
        pass
    consumer.close()
    for ask in (lambda: consumer.schema, lambda: consumer.zone_schema, lambda: observer.schema):
        with pytest.raises(Closed, match="is closed"):
            ask()


def test_an_id_that_the_library_uses_otherwise(pair):
    producer, consumer = pair
    producer.send(b"x")
    with Observer("arguments") as observer:
        for number in (1, (1 << 64) - 2, (1 << 64) - 1):
            with pytest.raises(NotFound, match=str(number)):
                observer.read_at(number)
            with pytest.raises(NotFound, match=str(number)):
                consumer.read_at(number).__enter__()


class Own(Timeout):
    pass


def test_an_error_without_a_detail_has_a_text():
    assert str(Timeout()).startswith("TIMEOUT: The time ran out")
    assert str(Own()) == str(Timeout())
    assert str(type("Own", (Lost,), {"__doc__": ""})()) == str(Lost())
    assert str(RecoveryError()).startswith("SYSTEM")


def test_an_error_without_docstrings_has_a_text(directory):
    program = """
from datablock_ctypes import *
from datablock_ctypes import _errors
for kind in (DataBlockError, *_errors.BY_STATUS.values(), RecoveryError, InvalidSlot):
    assert str(kind()).startswith(kind.status.name), kind
    assert str(kind("detail")) == "detail", kind
print(Timeout())
"""
    for options in ([], ["-O"], ["-OO"]):
        done = subprocess.run(
            [sys.executable, *options, "-B", "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), options
        assert done.stdout.startswith("TIMEOUT"), options


def wrong_calls(producer, consumer):
    return {
        "a dataclass for a schema": (
            lambda: Producer("other", schema=Reading),
            "schema",
            r"Schema\.from_dataclass",
        ),
        "a dataclass's object": (
            lambda: Producer("other", schema=Reading(1.0)),
            "schema",
            r"Schema\.from_dataclass",
        ),
        "a structure for a schema": (
            lambda: Consumer("arguments", schema=ctypes.Structure),
            "schema",
            r"Schema\.from_ctypes",
        ),
        "a dtype for a schema": (
            lambda: Consumer("arguments", schema=np.dtype([("a", "f8")])),
            "schema",
            r"Schema\.from_dtype",
        ),
        "a dtype for a zone": (
            lambda: Producer("other", slot_size=8, zone_schema=np.dtype([("a", "f8")])),
            "zone_schema",
            r"Schema\.from_dtype",
        ),
        "a number for a schema": (
            lambda: Observer("arguments", schema=1),
            "schema",
            "Schema or its text",
        ),
        "a policy's name": (
            lambda: Producer("other", slot_size=8, policy="ring"),
            "policy",
            r"Policy\.RING",
        ),
        "a checksum's name": (
            lambda: Producer("other", slot_size=8, checksum="enforced"),
            "checksum",
            r"ChecksumPolicy\.ENFORCED",
        ),
        "a delivery's name": (
            lambda: Consumer("arguments", delivery="lossless"),
            "delivery",
            r"Delivery\.LOSSLESS",
        ),
        "a start's name": (
            lambda: Consumer("arguments", start="oldest"),
            "start",
            r"Start\.OLDEST",
        ),
        "a text for a size": (
            lambda: Producer("other", slot_size="64"),
            "slot_size",
            "whole number",
        ),
        "a fraction for a count": (
            lambda: Producer("other", slot_size=8, slot_count=2.5),
            "slot_count",
            "whole number",
        ),
        "a text for an id": (lambda: consumer.read_at("0"), "id", "whole number"),
        "a fraction for a length": (
            lambda: producer.write().__enter__().commit(1.5),
            "length",
            "whole number",
        ),
        "a text for a retention": (
            lambda: Producer("other", slot_size=8, retention="1"),
            "retention",
            "number of seconds",
        ),
        "a text to send": (lambda: producer.send("text"), "data", "encode"),
        "a number to send": (lambda: producer.send(5), "data", "bytes"),
        "a text to send in time": (
            lambda: asyncio.run(aio.send(producer, "text")),
            "data",
            "encode",
        ),
        "a text among many": (
            lambda: producer.send_many([b"", "text"]),
            r"messages\[1\]",
            "encode",
        ),
        "bytes for many": (lambda: producer.send_many(b"abc"), "messages", r"\[data\]"),
        "a text for many": (lambda: producer.send_many("abc"), "messages", "encode"),
        "a number for many": (lambda: producer.send_many(5), "messages", "iterable"),
        "a text for a secret": (
            lambda: Producer("other", slot_size=8, secret="s"),
            "secret",
            "encode",
        ),
        "a number for a secret": (
            lambda: Producer("other", slot_size=8, secret=5),
            "secret",
            "bytes",
        ),
        "a number for a name": (lambda: Producer(5, slot_size=8), "block name", "str"),
        "a number for a directory": (
            lambda: Consumer("arguments", directory=5),
            "directory",
            "str",
        ),
        "a shape of texts": (
            lambda: producer.write().__enter__().array("u1", "2"),
            "shape",
            "whole number",
        ),
        "a number for a version": (
            lambda: Schema.from_dtype([("a", "f8")], "T", 1),
            "version",
            r"1\.0\.0",
        ),
        "a number for a schema's name": (
            lambda: Schema.from_dtype([("a", "f8")], 5),
            "name",
            "str",
        ),
        "a bytes for a schema's text": (lambda: Schema.parse(b"schema"), "schema", "str"),
        "a length below zero": (
            lambda: producer.write().__enter__().commit(-1),
            "length of -1",
            "below zero.*64 bytes",
        ),
        "a name that is no text": (
            lambda: Producer("a\ud800", slot_size=8),
            "block name",
            "decode",
        ),
        "a directory that is no text": (
            lambda: Consumer("arguments", directory="/tmp/\ud800"),
            "directory",
            "decode",
        ),
        "a consumer's name that is no text": (
            lambda: Consumer("arguments", consumer_name="\ud800"),
            "consumer_name",
            "decode",
        ),
        "a schema that is no text": (lambda: Schema.parse("\ud800"), "schema", "decode"),
        "a name in the root directory": (
            lambda: Producer("/cam", slot_size=8),
            "block name",
            "'cam'",
        ),
        "a name to be read in the root directory": (
            lambda: Consumer("/cam"),
            "block name",
            "'cam'",
        ),
        "a name to be seen in the root directory": (
            lambda: Observer("/cam"),
            "block name",
            "'cam'",
        ),
        "an empty secret": (lambda: Producer("other", slot_size=8, secret=b""), "secret", "None"),
        "a consumer that writes": (
            lambda: with_write_transaction(consumer, 0, print),
            "producer",
            "with_next_slot",
        ),
        "a consumer that guards a claim": (
            lambda: WriteTransactionGuard(consumer, 0),
            "producer",
            "with_next_slot",
        ),
        "a producer that reads": (
            lambda: with_read_transaction(producer, 0, 0, print),
            "consumer",
            "with_write_transaction",
        ),
        "a producer that guards a message": (
            lambda: ReadTransactionGuard(producer),
            "consumer",
            "with_write_transaction",
        ),
        "a fraction for a counter": (
            lambda: producer.counters[0].add(0.5),
            "amount",
            "whole number",
        ),
        "a text for a counter": (lambda: producer.counters["0"], "counter", "whole number"),
    }


@pytest.mark.parametrize("case", wrong_calls(None, None).keys())
def test_a_wrong_argument_is_named_and_cured(pair, case):
    producer, consumer = pair
    call, argument, cure = wrong_calls(producer, consumer)[case]
    with pytest.raises((TypeError, Invalid), match=rf"(?s){argument}.*{cure}"):
        call()
    if producer._claim is not None:
        producer._claim.abort()


def test_numbers_of_numpy_are_numbers(pair):
    producer, consumer = pair
    with producer.write() as slot:
        assert slot.array("f4", np.int64(3)).shape == (3,)
        assert slot.array("f4", (np.int64(3), 2)).shape == (3, 2)
        slot.commit(np.uint8(4))
    with consumer.read_at(np.int64(0)) as slot:
        assert slot.array("f4", np.int64(1)).shape == (1,)
    assert producer.counters[np.int64(1)].add(np.int64(2)) == 0


def of_dtype(name, version=(0, 0, 0)):
    return Schema.from_dtype(
        np.dtype({"names": [name], "formats": ["<i4"], "offsets": [4], "itemsize": 8}), "T", version
    )


def of_structure(name):
    return Schema.from_ctypes(type("T", (ctypes.Structure,), {"_fields_": ((name, ctypes.c_int),)}))


def of_dataclass(name):
    return Schema.from_dataclass(dataclasses.make_dataclass("T", [(name, int)]))


@pytest.mark.parametrize("way", [of_dtype, of_structure])
@pytest.mark.parametrize(
    "name", ["x: u8; y", "a b", "1a", "a-b", "", " a", "a\n", "x // ", "gr\u00f6\u00dfe"]
)
def test_a_name_of_a_field_is_one_name(way, name):
    with pytest.raises(
        Invalid, match=r"field .*: use letters, digits and _, beginning with no digit"
    ) as said:
        way(name)
    assert repr(name) in str(said.value)


def test_a_name_of_a_dataclass_is_one_name():
    with pytest.raises(Invalid, match="'gr\u00f6\u00dfe'"):
        of_dataclass("gr\u00f6\u00dfe")


@pytest.mark.parametrize("text", ["u8; b: u8", "u8 // ", "{ x: u8; }", "u8[", "u8[-1]", "text", ""])
def test_a_type_of_a_dataclass_is_one_type(text):
    for kind in (typing.Literal[text], repr(text), repr(repr(text))):
        with pytest.raises(Invalid, match=r"field 'a': .* is no type"):
            Schema.from_dataclass(dataclasses.make_dataclass("T", [("a", kind)]))


def test_a_type_of_a_dataclass_that_is_good():
    for kind in (typing.Literal["u8[3]"], "u8[3]", "'u8[3]'", " u8 [ 3 ] "):
        assert Schema.from_dataclass(dataclasses.make_dataclass("T", [("a", kind)])).layout.fields[
            0
        ].dims == (3,)


def test_the_name_of_a_nested_field_is_said_with_its_path():
    with pytest.raises(Invalid, match=r"'outer\.a b'"):
        Schema.from_dtype(np.dtype([("outer", [("a b", "i4")])]), "T")


@pytest.mark.parametrize(
    "version",
    [
        "1.0.0 { a: u8; } //",
        "1.0\n",
        "1.x",
        "",
        "-1",
        (1, 2, 3, 4),
        (1, "0 {", 0),
        (-1, 0, 0),
        (1.5, 0, 0),
    ],
)
def test_a_version_is_one_version(version):
    with pytest.raises((Invalid, TypeError), match="version"):
        of_dtype("a", version)


def test_names_and_versions_that_are_good():
    assert of_dtype("_a1", "2").version == (2, 0, 0)
    assert of_dtype("A", "2.1").version == (2, 1, 0)
    assert of_dtype("A", "2.1.3").version == (2, 1, 3)
    assert of_dtype("A", (2, 1)).version == (2, 1, 0)
    assert of_structure("a").layout.fields[0].name == "a"
    assert of_dataclass("a").layout.fields[0].name == "a"


def test_an_error_of_the_package_is_one_of_its_classes():
    assert issubclass(Invalid, DataBlockError)
