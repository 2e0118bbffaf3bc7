"""Schemas: golden texts, conversions to and from Python types, at attach, and by name."""

import ctypes
import json
import pickle
import re
import sys
from dataclasses import dataclass
from typing import Optional

import numpy as np
import pytest
from support import ROOT

from datablock_ctypes import (
    Consumer,
    Delivery,
    Invalid,
    NotFound,
    Producer,
    Schema,
    SchemaMismatch,
    Start,
    get_metrics,
)

GOLDEN = json.loads((ROOT / "tests" / "format" / "vectors" / "schemas.json").read_text())

READING = """
struct Point { x: f32; y: f32; }
schema SensorReading 2.1.0 {
    time: u64;
    value: f64[3];
    at: Point[2];
    inner: { a: u8; b: u16; };
    matrix: i16[2][3];
    name: char[16];
    ok: bool @ 100;
}
"""


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_float), ("y", ctypes.c_float))


class Inner(ctypes.Structure):
    _fields_ = (("a", ctypes.c_uint8), ("b", ctypes.c_uint16))


class SensorReading(ctypes.Structure):
    _fields_ = (
        ("time", ctypes.c_uint64),
        ("value", ctypes.c_double * 3),
        ("at", Point * 2),
        ("inner", Inner),
        ("matrix", (ctypes.c_int16 * 3) * 2),
        ("name", ctypes.c_char * 16),
        ("gap", ctypes.c_uint8 * 20),
        ("ok", ctypes.c_bool),
    )


@dataclass
class DataPoint:
    x: "f32"  # noqa: F821
    y: np.float32


@dataclass
class Reading:
    when: ctypes.c_uint64
    count: int
    mean: float
    good: bool
    at: DataPoint
    name: "char[8]"  # noqa: F821


def ids(golden):
    return golden["name"]


@pytest.mark.parametrize("golden", GOLDEN, ids=ids)
def test_golden_schemas(golden):
    schema = Schema.parse(golden["text"])
    assert schema.canonical == golden["canonical"]
    assert schema.hash.hex() == golden["hash"]
    assert pickle.loads(pickle.dumps(schema)) == schema
    structure = schema.structure()
    assert ctypes.sizeof(structure) == schema.size
    for field in schema.layout.fields:
        assert getattr(structure, field.name).offset == field.offset
    if sys.version_info >= (3, 13) or not re.search(
        r"align|size 16", golden["text"]
    ):  # needs _align_
        assert Schema.from_ctypes(structure, schema.name, schema.version) == schema
    if schema.size < 1 << 30:  # an item that is too large for NumPy
        assert schema.dtype.itemsize == schema.size
        assert [schema.dtype.fields[field.name][1] for field in schema.layout.fields] == [
            field.offset for field in schema.layout.fields
        ]


def natural(golden):
    """The schemas that NumPy and ctypes can describe in their own words.

    They have nothing explicit, no array of one character, and no single char.
    """
    text = golden["text"].split("{", 1)[1]
    return (
        not any(word in text for word in ("@", "size 6", "size 3", "align", "char"))
        and "terabyte" not in golden["name"]
    )


@pytest.mark.parametrize("golden", [golden for golden in GOLDEN if natural(golden)], ids=ids)
def test_numpy_gives_the_same(golden):
    schema = Schema.parse(golden["text"])
    assert Schema.from_dtype(plain(schema.layout), schema.name, schema.version) == schema


def plain(layout):
    """The dtype as a program writes it: names and types, aligned or not, without offsets."""
    fields = []
    for name, kind, dims, _ in layout.fields:
        item = (
            plain(kind)
            if not isinstance(kind, str)
            else {"bool": "?"}.get(
                kind, f"{kind[0]}{int(kind[1:] or 8) // 8}" if kind != "bool" else "?"
            )
        )
        fields.append((name, item, dims) if dims else (name, item))
    return np.dtype(fields, align=layout.alignment > 1)


def test_numpy_and_ctypes_structs():
    schema = Schema.parse(READING)
    aligned = np.dtype(
        {
            "names": ["ok", "time", "value", "at", "inner", "matrix", "name"],  # in any order
            "formats": [
                *("?", "u8", ("f8", 3), (np.dtype([("x", "f4"), ("y", "f4")], align=True), 2)),
                *(np.dtype([("a", "u1"), ("b", "u2")], align=True), ("i2", (2, 3)), "S16"),
            ],
            "offsets": [100, 0, 8, 32, 48, 52, 64],
            "itemsize": 104,
        },
        align=True,
    )
    assert Schema.from_dtype(aligned, "SensorReading", "2.1.0") == schema
    from_ctypes = Schema.from_ctypes(SensorReading, version=(2, 1, 0))
    assert from_ctypes.canonical == schema.canonical.replace(",ok:", ",gap:u8[20]@80,ok:")
    assert schema.check(Schema.parse("schema SensorReading 2.0.9 { time: u64; }")) is None

    class Packed(ctypes.Structure):
        _pack_ = 1
        _layout_ = "ms"
        _fields_ = (("kind", ctypes.c_uint8), ("value", ctypes.c_double), ("tail", ctypes.c_uint16))

    wire = Schema.parse("packed schema Packed { kind: u8; value: f64; tail: u16; }")
    assert Schema.from_ctypes(Packed) == wire
    assert Schema.from_dtype([("kind", "u1"), ("value", "f8"), ("tail", "u2")], "Packed") == wire


def test_dataclasses():
    wanted = (
        "schema Reading 1.0.0 { when: u64; count: i64; mean: f64; good: bool; "
        "at: { x: f32; y: f32; }; name: char[8]; }"
    )
    assert Schema.from_dataclass(Reading, version="1.0.0") == Schema.parse(wanted)

    @dataclass
    class Wrong:
        text: str

    with pytest.raises(Invalid, match="'text': <class 'str'> has no counterpart"):
        Schema.from_dataclass(Wrong)
    with pytest.raises(Invalid, match="is no dataclass"):
        Schema.from_dataclass(int)

    @dataclass
    class Maybe:
        value: Optional[int]

    with pytest.raises(Invalid, match="no counterpart"):
        Schema.from_dataclass(Maybe)


def test_what_has_no_counterpart():
    for kind, says in (
        ("f8", "has no fields"),
        ([("a", ">f8")], "big-endian"),
        ([("a", "f2")], "float16 has no counterpart"),
        ([("a", "U4")], "no counterpart"),
        ([("a", "O")], "no counterpart"),
        ([("a", "c16")], "no counterpart"),
        ([("a", "M8[s]")], "no counterpart"),
        ([("a b", "u1")], "field 'a b': use letters"),
        (
            {"names": ["a", "b"], "formats": ["u4", "u4"], "offsets": [0, 2], "itemsize": 8},
            "without overlap|what is before it ends",
        ),
    ):
        with pytest.raises(Invalid, match=says):
            Schema.from_dtype(np.dtype(kind), "A")

    class Bits(ctypes.Structure):
        _fields_ = (("a", ctypes.c_uint32, 3),)

    class Pointer(ctypes.Structure):
        _fields_ = (("a", ctypes.c_void_p),)

    class Big(ctypes.BigEndianStructure):
        _fields_ = (("a", ctypes.c_uint32),)

    for structure, says in (
        (Bits, "bit field"),
        (Pointer, "means nothing"),
        (Big, "big-endian"),
        (int, "is no ctypes.Structure"),
    ):
        with pytest.raises(Invalid, match=says):
            Schema.from_ctypes(structure)
    with pytest.raises(Invalid, match="line 2, column 4"):
        Schema.parse("schema A {\na: f65; }")
    with pytest.raises(Invalid, match="a schema called"):
        Schema.from_dtype([("a", "u1")], "A B")


def test_schema_is_checked_at_attach(directory):
    with Producer("checked", schema=READING) as p:
        assert p.slot_size == 104
        assert Schema.of_block("checked") == p.schema
        for wanted, exact, says in (
            (READING, True, None),
            ("schema SensorReading 2.9.0 { time: u64; value: f64[3]; }", False, None),
            ("schema SensorReading 2.9.0 { time: u64; value: f64[3]; }", True, "exactly its own"),
            (
                "schema SensorReading 2.1.0 { time: u64; value: f32[3]; }",
                False,
                r'field "value" retyped: producer f64\[3\]@8, consumer f32\[3\]@8',
            ),
            ("schema SensorReading 3.0.0 { time: u64; }", False, "another major version"),
            (
                "schema Other 2.1.0 { time: u64; }",
                False,
                "name: producer SensorReading, consumer Other",
            ),
        ):
            if says is None:
                with Consumer("checked", schema=wanted, exact=exact) as c:
                    assert c.schema == p.schema
            else:
                with pytest.raises(SchemaMismatch, match=says):
                    Consumer("checked", schema=wanted, exact=exact)
        assert get_metrics("checked").schema_mismatches == 4
    with pytest.raises(SchemaMismatch, match="this producer has none"):
        Producer("checked", slot_size=104)
    with pytest.raises(SchemaMismatch, match='field "more" added'):
        Producer("checked", schema=READING.replace("ok:", "more: u8; ok:"))


def test_fields_by_name(directory):
    """A consumer without a schema of its own reads named fields."""
    with (
        Producer("named", schema=READING, slot_size=200) as p,
        Consumer("named", delivery=Delivery.LOSSLESS) as c,
    ):
        for i in range(5):
            with p.write() as slot:
                slot["time"] = i
                slot["value"] = [i, 2 * i, 3 * i]
                slot["name"] = b"sensor"
                slot.record["at"][1]["y"] = 0.5 * i
                slot["ok"] = True
        with c.read() as slot:
            assert slot.length == 104
            assert slot["time"] == 0
            assert slot["name"] == b"sensor"
            assert slot["ok"]
        with c.read() as slot:
            assert list(slot["value"]) == [1, 2, 3]
            assert slot.record["at"]["y"][1] == 0.5
            assert not slot["value"].flags.writeable
        with c.read_many(10) as batch:
            assert list(batch.records["time"]) == [2, 3, 4]
            assert batch.records["value"][2, 1] == 8


def test_a_registry_of_schemas(directory, tmp_path, monkeypatch):
    first = Schema.parse("schema A 1.0.0 { a: u32; }")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    registry = tmp_path / "registry"
    for where in (registry, registry):
        first.register(where)
    Schema.parse("schema A 1.1.0 { a: u32; b: u8; }").register(registry)
    with pytest.raises(SchemaMismatch, match=r"it needs version 2\.0\.0"):
        Schema.parse("schema A 1.2.0 { a: i32; }").register(registry)
    assert Schema.lookup("A@1", registry).version == (1, 1, 0)
    assert Schema.lookup("A@1.0", registry) == first
    with pytest.raises(NotFound, match=r"versions 1\.0\.0, 1\.1\.0"):
        Schema.lookup("A@2", registry)
    with pytest.raises(Invalid, match="write Name"):
        Schema.lookup("../A", registry)
    with Producer("registered", schema=Schema.lookup("A@1.0", registry)) as p:
        with pytest.raises(SchemaMismatch, match='field "b" missing'):
            Consumer("registered", schema=Schema.lookup("A@1.1", registry))
        with Consumer("registered", schema=Schema.lookup("A@1.0", registry)) as c:
            assert c.schema == p.schema


def test_a_registered_schema_at_open(directory, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABLOCK_SCHEMAS", str(tmp_path))
    first, more, other = map(
        Schema.parse,
        (
            "schema A 1.0.0 { a: u32; }",
            "schema A 1.1.0 { a: u32; b: u32; }",
            "schema A 2.0.0 { a: f32; b: u32; }",
        ),
    )
    for schema in (first, more, other):
        schema.register()
    with Producer("registered", schema="A@1") as p:
        assert p.schema == more
        assert p.slot_size == 8
        with Consumer("registered", schema="A@1.0") as c:
            assert c.schema == more
        with Consumer("registered", registered="A@1.1", exact=True):
            pass
        with pytest.raises(SchemaMismatch, match="another major version"):
            Consumer("registered", schema="A")
        with pytest.raises(NotFound, match=r"which has versions 1\.0\.0, 1\.1\.0, 2\.0\.0"):
            Consumer("registered", schema="A@3")
    with Producer("zoned", slot_size=8, zone_schema="A@1") as p:
        assert p.zone_schema == more
        with Consumer("zoned", zone_schema="A@1.0") as c:
            assert c.zone_schema == more
        with pytest.raises(NotFound, match="no such schema"):
            Consumer("registered", schema="A@1", registry=tmp_path / "elsewhere")
        with pytest.raises(Invalid, match="write Name"):
            Consumer("registered", schema="A 1")
        with pytest.raises(Invalid, match="two references"):
            Consumer("registered", schema="A@1", registered="A@1")
        with Consumer("registered", schema=more, registered="A@1"):
            pass
        with pytest.raises(
            SchemaMismatch,
            match=r"what is registered as A@1 is not the schema that was given.*field",
        ):
            Consumer("registered", schema=first, registered="A@1")
    with pytest.raises(
        SchemaMismatch, match="what is registered as A@1 is not the schema that was given"
    ):
        Producer("other", schema=other, registered="A@1")
    with Producer("other", schema="schema A 1.0.0 { a: u32; b: u32; }", registered="A@1") as p:
        assert Schema.of_block("other").version == (1, 1, 0), "that of the registry"


def test_the_zone_has_a_schema(directory):
    text = "schema Settings 1.1.0 { gain: f64; at: { x: u32; y: u32; }[2]; }"
    with (
        Producer("zoned", slot_size=16, zone_schema=text, unlink_on_close=True) as p,
        Consumer("zoned", zone_schema=text, exact=True) as c,
    ):
        assert c.zone_schema == p.zone_schema == Schema.of_zone("zoned") == Schema.parse(text)
        with pytest.raises(SchemaMismatch, match='block "zoned" has no schema'):
            assert c.schema
        with p.flexible_zone() as zone:
            zone["gain"] = 2.5
            zone.record["at"][1]["y"] = 7
        with c.flexible_zone() as zone:
            assert zone["gain"] == 2.5
            assert zone.record["at"]["y"][1] == 7
        with Consumer("zoned", zone_schema="schema Settings 1.0.0 { gain: f64; }"):
            pass
        with pytest.raises(
            SchemaMismatch,
            match=r'the flexible zone of block "zoned": schema differs.*'
            r'"gain" retyped: producer f64@0, consumer f32@0',
        ):
            Consumer("zoned", zone_schema="schema Settings 1.0.0 { gain: f32; }")
    with Producer(
        "large", slot_size=16, zone_schema="schema Table 1.0.0 { cells: f64[1000]; }"
    ) as p:
        assert p.zone_schema.size == 8000
        with p.flexible_zone() as zone:
            assert len(zone.data) == 8000
    with pytest.raises(
        SchemaMismatch, match='the flexible zone of block "large" was made with schema Table'
    ):
        Producer("large", slot_size=16, zone_size=8000)
    with Producer("none", slot_size=16) as p, Consumer("none") as c:
        with pytest.raises(SchemaMismatch, match='the flexible zone of block "none" has no schema'):
            assert c.zone_schema
        with (
            p.flexible_zone() as zone,
            pytest.raises(Invalid, match="without a schema of its zone"),
        ):
            assert zone["gain"]


def test_blocks_without_schema(directory):
    with Producer("none", slot_size=64) as p, Consumer("none", start=Start.OLDEST) as c:
        with pytest.raises(SchemaMismatch, match="has no schema"):
            Schema.of_block("none")
        with pytest.raises(SchemaMismatch, match="has no schema, and this consumer expects A"):
            Consumer("none", schema="schema A { a: u8; }")
        with pytest.raises(Invalid, match="without a schema"), p.write() as slot:
            slot["a"] = 1
        p.send(b"x")
        with c.read() as slot, pytest.raises(SchemaMismatch, match="has no schema"):
            slot["a"]


def test_repr_and_equality():
    one, two = Schema.parse("schema A 1.0.0 { a: u8; }"), Schema.parse("schema A 1.0.1 { a: u8; }")
    assert one != two
    assert one.hash == two.hash
    assert len({one, two, Schema.parse("schema A 1.0.0 { a: u8; }")}) == 2
    assert repr(one) == "<Schema A 1.0.0 {a:u8@0}1/1>"
