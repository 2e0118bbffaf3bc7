"""`datablock-admin echo` against NumPy and ctypes: every type of the schema, many layouts."""

import ctypes
import json
import math
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from conftest import BUILD
from support import ROOT

from datablock_ctypes import Consumer, Delivery, Producer, Schema, Start, unlink

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="NOT SHOWN: the programs on Windows"
)

GOLDEN = json.loads((ROOT / "tests" / "format" / "vectors" / "schemas.json").read_text())
SCALARS = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "bool", "char"]


def random_type(random, depth):
    dims = "".join(f"[{random.randint(1, 4)}]" for _ in range(random.choice([0, 0, 0, 1, 1, 2, 3])))
    if depth < 4 and random.random() < 0.25:
        packed = random.choice(["", "packed "])
        return f"{packed}{{ {random_fields(random, depth + 1)} }}{dims}"
    return random.choice(SCALARS) + dims


def random_fields(random, depth=1):
    names = (f"f{i}: {random_type(random, depth)};" for i in range(random.randint(1, 5)))
    return " ".join(names)


def random_schema(seed):
    source = random.Random(seed)
    packed = source.choice(["", "packed "])
    return f"{packed}schema Random 1.0.0 {{ {random_fields(source)} }}"


def random_message(source, size):
    """Bytes among which are texts, NaN, infinities and bools that are neither 0 nor 1."""
    message = bytearray(source.randbytes(size))
    for _ in range(size // 4):
        at = source.randrange(size)
        part = source.choice(
            [b"\0", b"\1", b"ab\0", "é".encode(), b"\x1b", b"\0\0\xc0\x7f", b"\0\0\0\0\0\0\xf0\xff"]
        )
        message[at : at + len(part)] = part[: size - at]
    return bytes(message)


def as_text(raw):
    return raw.split(b"\0")[0].decode("utf-8", "backslashreplace")


def as_number(value):
    if math.isnan(value):
        return "NaN"
    return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, value)


def with_bytes(kind):
    """The dtype with bytes in the place of bools, which NumPy reads as True unless they are 0."""
    if kind.subdtype:
        return np.dtype((with_bytes(kind.subdtype[0]), kind.subdtype[1]))
    if kind.names:
        parts = [kind.fields[name] for name in kind.names]
        return np.dtype(
            {
                "names": list(kind.names),
                "formats": [with_bytes(part[0]) for part in parts],
                "offsets": [part[1] for part in parts],
                "itemsize": kind.itemsize,
            }
        )
    return np.dtype("u1") if kind.kind == "b" else kind


def of_numpy(value, kind):
    """What the JSON has to be for a value of NumPy, which has bytes in the place of bools."""
    if kind.subdtype:
        item, shape = kind.subdtype
        inner = item if len(shape) == 1 else np.dtype((item, shape[1:]))
        return [of_numpy(value[i], inner) for i in range(shape[0])]
    if kind.names:
        return {name: of_numpy(value[name], kind.fields[name][0]) for name in kind.names}
    if kind.kind == "S":
        return as_text(np.array(value, dtype=kind).tobytes())
    value = value.item()
    if kind.kind == "b":
        return bool(value) if value < 2 else value
    return as_number(value) if kind.kind == "f" else value


def of_ctypes(value, kind, raw):
    """What the JSON has to be for a value of ctypes, whose bytes are raw."""
    if issubclass(kind, ctypes.Array):
        if kind._type_ is ctypes.c_char:
            return as_text(raw)
        step = ctypes.sizeof(kind._type_)
        items = (raw[i * step : (i + 1) * step] for i in range(kind._length_))
        return [of_ctypes(part, kind._type_, at) for part, at in zip(value, items)]
    if issubclass(kind, ctypes.Structure):
        members = {}
        for name, member in ((f[0], f[1]) for f in kind._fields_):
            if not name.startswith("_gap"):
                place = getattr(kind, name)
                at = raw[place.offset : place.offset + ctypes.sizeof(member)]
                members[name] = of_ctypes(getattr(value, name), member, at)
        return members
    if kind is ctypes.c_char:
        return as_text(raw)
    if kind is ctypes.c_bool:
        return bool(raw[0]) if raw[0] < 2 else raw[0]
    return as_number(value) if isinstance(value, float) else value


def same(found, expected):
    """Whether two values are equal: a number of 32 bits is written shorter than Python has it."""
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(same(found[k], expected[k]) for k in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and isinstance(found, (int, float)):
        # The sign of zero counts, and so do all bits of a double, or of a float where that is all.
        return math.copysign(1, found) == math.copysign(1, expected) and (
            found == expected or np.float32(found) == np.float32(expected) == expected
        )
    return type(found) is type(expected) and found == expected


def echo(*arguments):
    command = [os.fspath(BUILD / "datablock-admin"), "echo", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


TEXTS = [g["text"] for g in GOLDEN] + [random_schema(seed) for seed in range(60)]


def test_echo_decodes_what_numpy_and_ctypes_decode():
    source = random.Random(1)
    compared = 0
    for text in TEXTS:
        schema = Schema.parse(text)
        if schema.size > 1 << 16:
            continue
        with Producer("echo", schema=schema) as producer:
            sent = [random_message(source, schema.size) for _ in range(3)]
            options = {"delivery": Delivery.ORDERED, "start": Start.OLDEST}
            with Consumer("echo", **options) as consumer:
                for message in sent:
                    producer.send(message)
                lines = echo("echo", "--json", "--from", "oldest", "--count", "3")
                for message, line in zip(sent, lines):
                    with consumer.read() as slot:
                        value = slot.array(np.uint8).view(with_bytes(schema.dtype))[0]
                        expected = of_numpy(value, schema.dtype)
                    assert same(line["message"], expected), (text, line, expected)
                    struct = schema.structure()
                    value = struct.from_buffer_copy(message)
                    expected = of_ctypes(value, struct, message)
                    assert same(line["message"], expected), (text, line, expected)
                    compared += 1
        unlink("echo")
    assert compared > 300
