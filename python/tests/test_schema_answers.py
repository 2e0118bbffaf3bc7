"""Schemas where a wrong answer would be silent: descriptions, written messages, old versions."""

import asyncio
import ctypes
import re
import subprocess
import sys
from dataclasses import make_dataclass

import numpy as np
import pytest
from support import ROOT

from datablock_ctypes import (
    Consumer,
    Invalid,
    Observer,
    Producer,
    Schema,
    SchemaMismatch,
    Start,
    System,
    aio,
)

RECORD = "schema Rec 1.0.0 { a: u32; b: f64; }"
LONGER = "schema Rec 1.1.0 { a: u32; b: f64; c: u64; d: f64; }"

INJECTED = ("a: u8; }//", "x: u8; y", "x:u8@0,a", "a b", "", "7", "a\n", "ü", "n" * 64)


@pytest.mark.parametrize("name", INJECTED)
def test_names_are_names(name):
    """A text that is no name is refused on every way in, and never becomes another struct."""
    made = (
        lambda: Schema.from_dtype(np.dtype([(name or " ", "f8")]), "T"),
        lambda: Schema.from_dtype(np.dtype([("in", [(name or " ", "f8")])]), "T"),
        lambda: Schema.from_dtype(np.dtype([("a", "f8")]), name),
        lambda: Schema.from_ctypes(
            type("S", (ctypes.Structure,), {"_fields_": ((name, ctypes.c_double),)}), "T"
        ),
        lambda: Schema.from_ctypes(
            type("S", (ctypes.Structure,), {"_fields_": (("a", ctypes.c_double),)}), name
        ),
        lambda: Schema.from_dataclass(make_dataclass("D", [("a", float)]), name),
    )
    for make in made:
        with pytest.raises(Invalid, match=r"letters, digits and _|63 bytes") as refused:
            make()
        assert "line " not in str(refused.value)


def test_a_name_of_its_own_class():
    strange = type("S: u8; //", (ctypes.Structure,), {"_fields_": (("a", ctypes.c_double),)})
    with pytest.raises(Invalid, match="letters, digits and _"):
        Schema.from_ctypes(strange)


@pytest.mark.parametrize(
    "version",
    [
        "1.0.0 { b: u16; } //",
        "1.0.0\n",
        "",
        "1.",
        "1.0.0.0",
        "-1",
        (1, 2),
        (1, 2, -3),
        "4294967296",
    ],
)
def test_versions_are_versions(version):
    if version == (1, 2):
        assert Schema.from_dtype(np.dtype([("a", "f8")]), "T", version).version == (1, 2, 0)
        return
    with pytest.raises(Invalid, match="version is"):
        Schema.from_dtype(np.dtype([("a", "f8")]), "T", version)


def test_a_version_that_is_a_number():
    with pytest.raises(
        TypeError, match=r'version is 1: one to three numbers are needed, such as "1.0.0"'
    ):
        Schema.from_dtype(np.dtype([("a", "f8")]), "T", 1)


class Empty(ctypes.Structure):
    _fields_ = ()


class HasEmpty(ctypes.Structure):
    _fields_ = (("a", ctypes.c_int32), ("e", Empty))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Schema.from_dtype(
                {"names": ["a", "b"], "formats": ["u4", "u4"], "offsets": [0, 2], "itemsize": 8},
                "T",
            ),
            'field "b" is at 2',
        ),
        (
            lambda: Schema.from_dtype([("a", [("x", "u4"), ("y", "f8", (2, 0))])], "T"),
            'field "a.y" has no bytes',
        ),
        (lambda: Schema.from_ctypes(Empty), "the struct has no fields"),
        (lambda: Schema.from_ctypes(HasEmpty), 'field "e" has no bytes'),
        (
            lambda: Schema.from_dtype([(f"f{i}", "u1") for i in range(4096)], "T"),
            "more than 1024 fields in all",
        ),
        (
            lambda: Schema.from_dataclass(make_dataclass("D", [("a", "u8" + "[1]" * 9)])),
            "has 9 dimensions, the limit is 8",
        ),
        (
            lambda: Schema.from_dataclass(make_dataclass("D", [("a", "u8[0]")])),
            'field "a" has no bytes',
        ),
        (lambda: Schema.from_dataclass(make_dataclass("D", [])), "the struct has no fields"),
    ],
)
def test_refusals_name_schema_and_field(make, says):
    """The user gave no text: the errors name no line of one."""
    with pytest.raises(Invalid, match=re.escape(says)) as refused:
        make()
    assert "column" not in str(refused.value)


def test_an_older_reader_takes_its_fields_of_each_record(directory):
    longer, own = Schema.parse(LONGER), Schema.parse(RECORD)
    wanted = [(i, i * 1.5) for i in range(3)]
    with Producer("older", schema=longer, slot_size=96, slot_count=16) as p:
        for a, b in wanted:
            with p.write() as w:
                w["a"], w["b"], w["c"], w["d"] = a, b, 77, 0.5
                w.commit(32)
        for schema in (own, None):  # also a consumer that has the dtype itself
            with Consumer("older", schema=schema, start=Start.OLDEST) as c:
                with c.read(timeout=1) as r:
                    assert r.array(own.dtype).tolist() == wanted[:1]
                    assert r.array(own.dtype).dtype == own.dtype
                    assert r.array(own.dtype, ()).tolist() == wanted[0]
                    assert r.array(own.dtype, (1, 1)).tolist() == [wanted[:1]]
                    assert not r.array(own.dtype).flags.writeable
                    with pytest.raises(Invalid, match="needs 64 bytes, the message has 32"):
                        r.array(own.dtype, 2)
                    with pytest.raises(Invalid, match="field 'x' of the dtype"):
                        r.array([("x", "u4"), ("y", "u4")])
                    assert len(r.array("u1").view([("x", "u4"), ("y", "u4")])) == 4
                with c.read_many(10, timeout=1) as batch:
                    assert batch.array(own.dtype).tolist() == wanted[1 : 1 + len(batch)]
                    assert not batch.array(own.dtype).flags.writeable
                    assert batch.records["a"].tolist() == [1, 2][: len(batch)]
        with Observer("older") as o:
            assert o.read_at(1).array(own.dtype).tolist() == wanted[1:2]
        many = np.array([(i, i * 1.5, 77, 0.5) for i in range(6)], longer.dtype).reshape(2, 3)
        with Consumer("older", schema=own) as c:
            assert p.send_many(many) == 2
            with c.read_many(2, timeout=1) as batch:
                assert batch.array(own.dtype)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
                assert batch.array(own.dtype)["b"][1].tolist() == [4.5, 6.0, 7.5]
            p.send(many[1])
            with c.read(timeout=1) as r:
                assert r.array(own.dtype)["a"].tolist() == [3, 4, 5]


def test_an_older_writer_fills_its_fields_of_each_record(directory):
    longer, own = Schema.parse(LONGER), Schema.parse(RECORD)
    with Producer("older", schema=longer, slot_size=96) as p, Consumer("older") as c:
        with p.write() as w:
            w.array("u1")[:] = 0
            w.array(longer.dtype)["c"] = 77
            mine = w.array(own.dtype)
            assert mine.dtype == own.dtype
            assert mine.strides == (longer.size,)
            mine["a"], mine["b"] = (1, 2, 3), (0.5, 1.5, 2.5)
            assert w.array(own.dtype, ()).tolist() == (1, 0.5)
            assert w.array(own.dtype, (1, 2)).tolist() == [[(1, 0.5), (2, 1.5)]]
            with pytest.raises(Invalid, match="needs 128 bytes, the slot has 96"):
                w.array(own.dtype, 4)
        assert not mine.flags.writeable
        with c.read(timeout=1) as r:
            got = r.array(longer.dtype)
            assert got["a"].tolist() == [1, 2, 3]
            assert got["b"].tolist() == [0.5, 1.5, 2.5]
            assert got["c"].tolist() == [77] * 3
            assert r.array(own.dtype).tolist() == [(1, 0.5), (2, 1.5), (3, 2.5)]
        old = np.ones(3, own.dtype)
        for send in (
            lambda: p.send(old),
            lambda: p.send_many(old),
            lambda: p.send_many([old]),
            lambda: asyncio.run(aio.send(p, old)),
            lambda: asyncio.run(aio.send_many(p, [old])),
        ):
            with pytest.raises(Invalid, match=r"field 'c' of schema Rec .* has no such field"):
                send()
        assert p.next_id == 1, "nothing was published"


def test_a_dtype_on_a_block_without_schema(directory):
    with Producer("bare", slot_size=32) as p, Consumer("bare") as c:
        p.send(bytes(32))
        with c.read(timeout=1) as r:
            assert len(r.array(Schema.parse(RECORD).dtype)) == 2


def test_a_writer_is_held_to_its_schema(directory):
    """Nothing is published that is no message of the block, by its length or by its fields."""
    schema = Schema.parse(RECORD)
    with Producer("held", schema=schema, slot_size=64, slot_count=16) as p:
        refused = (
            (
                lambda: p.send(b"abc"),
                "data has 3 bytes, and the struct of schema Rec has 16: send",
            ),
            (lambda: p.send(b""), "data has 0 bytes"),
            (lambda: p.send_many([bytes(16), b"abc"]), "a message has 3 bytes"),
            (
                lambda: p.send_many(np.ones(2, [("x", "f8"), ("y", "f8")])),
                r"field 'a' of schema Rec is uint32 at 0, and dtype .+ has no such field",
            ),
            (
                lambda: p.send_many(np.ones(1, [("a", "u4"), ("b", "f8")])),
                r"field 'b' of schema Rec is float64 at 8, and dtype .* has float64 at 4",
            ),
            (
                lambda: p.send(np.ones(1, [("a", "u4"), ("b", "f8")])),
                "data: field 'b' of schema Rec",
            ),
            (
                lambda: p.send_many([np.ones(1, [("x", "f8"), ("y", "f8")])]),
                r"messages\[0\]: field 'a'",
            ),
            (
                lambda: p.send(np.ones(1, [("a", "i4"), ("b", "f8", 2)])),
                r"field 'a' of schema Rec is uint32 at 0, and dtype .* has int32 at 0",
            ),
        )
        for send, says in refused:
            with pytest.raises(Invalid, match=says):
                send()
        wide = np.dtype(
            {
                "names": ["a", "b", "more"],
                "formats": ["u4", "f8", "u8"],
                "offsets": [0, 8, 16],
                "itemsize": 24,
            }
        )
        with pytest.raises(Invalid, match=r"an item of dtype .* has 24 bytes"):
            p.send(np.ones(2, wide))
        for length in (0, 15):
            with (
                pytest.raises(
                    Invalid,
                    match=rf"the message has {length} bytes, .* schema Rec has 16: commit\(16\) is",
                ),
                p.write() as slot,
            ):
                slot.commit(length)
        with p.write() as slot:
            with pytest.raises(Invalid, match="the message has 3 bytes"):
                slot.commit(3)
            slot.commit(16)
        assert slot.id == 0, "nothing was published before"
        assert p.send_many(np.ones(2, schema.dtype)) == 2
        assert p.send(np.ones(1, wide)) == 3, "what is behind the struct is the program's"
        assert p.send(bytes(64)) == 4
        assert p.send(np.ones(4)) == 5, "numbers without names are bytes"
        assert p.send(np.ones((), schema.dtype)) == 6
        assert p.send(np.ones(3, schema.dtype)) == 7
        assert p.send_many([]) == 0


def test_a_schema_without_version_says_so():
    one, none = (
        Schema.parse("schema T 1.0.0 { a: f64; }"),
        Schema.from_dtype(np.dtype([("a", "f8")], align=True), "T"),
    )
    assert one.hash == none.hash
    with pytest.raises(
        SchemaMismatch,
        match=r"the consumer's schema has no version \(0\.0\.0\): give it one, such as 1\.0\.0",
    ):
        one.check(none)


def test_a_packed_dtype_says_what_it_lacks():
    with pytest.raises(
        SchemaMismatch,
        match=r"alignment: producer 8, consumer 1 \(1 is packed, as a NumPy dtype is without "
        r"align=True\)",
    ):
        Schema.from_dtype(np.dtype([("a", "f8")], align=True), "T").check(
            Schema.from_dtype([("a", "f8")], "T"), exact=True
        )


def test_the_registry(tmp_path):
    """A damaged or changed file affects itself only.

    The advice names a free version. The directory is an absolute path.
    """
    for text in (
        "schema S 1.0.0 { a: u32; b: f64; }",
        "schema S 2.0.0 { x: u8; }",
        "schema O 1.0.0 { x: u8; }",
    ):
        Schema.parse(text).register(tmp_path)
    with pytest.raises(SchemaMismatch, match=r"it needs version 3\.0\.0"):
        Schema.parse("schema S 1.1.0 { a: u32; b: i64; }").register(tmp_path)
    with pytest.raises(SchemaMismatch, match=r"is another struct: it needs version 3\.0\.0"):
        Schema.parse("schema S 2.0.0 { a: u32; b: i64; }").register(tmp_path)
    changed = tmp_path / "S@1.0.0.schema"
    changed.write_text(changed.read_text().replace("f64", "u64"))
    with pytest.raises(System, match=r"S@1\.0\.0\.schema: its first line has the hash"):
        Schema.lookup("S@1", tmp_path)
    assert Schema.lookup("S", tmp_path).version == (2, 0, 0)
    assert Schema.lookup("O", tmp_path).version == (1, 0, 0)
    Schema.parse("schema S 3.0.0 { z: u8; }").register(tmp_path)
    for call in (
        lambda: Schema.lookup("S", "registry"),
        lambda: Schema.parse(RECORD).register("registry"),
    ):
        with pytest.raises(Invalid, match='registry of schemas "registry" is not an absolute path'):
            call()


def test_without_numpy_the_error_says_what_to_install(directory):
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "from datablock_ctypes import *\n"
        f"with Producer('nonumpy', schema={RECORD!r}) as p:\n"
        "    try:\n"
        "        with p.write() as slot: slot['a'] = 1\n"
        "    except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT / "python",
        check=True,
    )
    assert 'need NumPy: pip install "datablock-ctypes[arrays]"' in done.stdout


FITTING = "schema Rec 1.0 { at: u64; value: f64; count: u32; flags: u32; }"
UNFIT = {
    "a type that no field has": "f4",
    "a type that some fields have": "f8",
    "another name": [("at", "u8"), ("price", "f8"), ("count", "u4"), ("flags", "u4")],
    "another type": [("at", "u8"), ("value", "i8"), ("count", "u4"), ("flags", "u4")],
    "another order": [("value", "f8"), ("at", "u8"), ("count", "u4"), ("flags", "u4")],
    "another offset": {
        "names": ["at", "value"],
        "formats": ["u8", "f8"],
        "offsets": [0, 16],
        "itemsize": 24,
    },
    "another size": {
        "names": ["at", "value"],
        "formats": ["u8", "f8"],
        "offsets": [0, 8],
        "itemsize": 48,
    },
}
FIT = {
    "the struct": [("at", "u8"), ("value", "f8"), ("count", "u4"), ("flags", "u4")],
    "the first fields": [("at", "u8"), ("value", "f8")],
    "one field": {"names": ["value"], "formats": ["f8"], "offsets": [8], "itemsize": 24},
    "bytes": "u1",
    "a text of bytes": "S24",
}


def arrays(how, pair, dtype):
    """The array of a message, of a batch, of a copy, or of a claim."""
    producer, consumer, observer = pair
    if how == "claim":
        with producer.write(0) as slot:
            slot.array("u1")[:] = 0
            slot.array(dtype)
            slot.abort()
    elif how == "message":
        with consumer.read(0) as slot:
            return slot.array(dtype)
    elif how == "batch":
        with consumer.read_many(1, 0) as batch:
            return batch.array(dtype)
    else:
        return observer.newest().array(dtype)


@pytest.mark.parametrize("how", ["message", "batch", "copy", "claim"])
def test_a_dtype_that_does_not_fit_the_schema_is_refused(how):
    with (
        Producer("rec", schema=FITTING, slot_count=64) as producer,
        Consumer("rec") as consumer,
        Observer("rec") as observer,
    ):
        for what, dtype in UNFIT.items():
            for _ in range(2):
                producer.send(bytes(24))
            with pytest.raises(
                Invalid, match=r"schema Rec.*use the dtype of the schema.*view\(dtype\)"
            ):
                arrays(how, (producer, consumer, observer), np.dtype(dtype))
                pytest.fail(what)
            if isinstance(dtype, str):
                with pytest.raises(Invalid):
                    arrays(how, (producer, consumer, observer), dtype)
        for dtype in FIT.values():
            for _ in range(2):
                producer.send(bytes(24))
            arrays(how, (producer, consumer, observer), np.dtype(dtype))


def test_a_struct_of_one_type_is_read_as_an_array():
    with Producer("rec", schema="schema Rec 1.0 { at: f64[2]; inner: { x: f64; }; }") as producer:
        with producer.write() as slot:
            slot.array("f8")[:] = 1, 2, 3
        with Consumer("rec", start=Start.OLDEST) as consumer, consumer.read(0) as slot:
            assert slot.array("f8").tolist() == [1, 2, 3]
            assert slot["inner"]["x"] == 3
            assert slot.array("u1").view("u8").size == 3  # the way around the check
            with pytest.raises(Invalid, match="float32 has no fields"):
                slot.array("f4")
