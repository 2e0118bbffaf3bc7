"""Golden schemas, written in Python: with ctypes, with NumPy, and as dataclasses."""
# ruff: noqa: F821

import ctypes
from ctypes import (
    c_bool, c_char, c_double, c_float, c_int8, c_int16, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64,
)
from dataclasses import dataclass

import numpy as np

from datablock_ctypes import Schema

# ---- ctypes ----


class Every(ctypes.Structure):
    _fields_ = (
        *(("a", c_int8), ("b", c_int16), ("c", c_int32), ("d", c_int64), ("e", c_uint8), ("f", c_uint16),
          ("g", c_uint32), ("h", c_uint64)),
        *(("i", c_float), ("j", c_double), ("k", c_bool), ("l", c_char)),
    )


class InnerPadding(ctypes.Structure):
    _fields_ = (("a", c_uint8), ("b", c_uint16), ("c", c_uint8), ("d", c_uint32), ("e", c_uint8), ("f", c_uint64),
                ("g", c_uint8))


class Tail(ctypes.Structure):
    _fields_ = (("value", c_double), ("flag", c_uint8))


class PackedInt(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("flag", c_uint8), ("value", c_int32), ("tail", c_uint16))


class PackedDouble(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("flag", c_uint8), ("value", c_double), ("tail", c_uint16))


class CharArray(ctypes.Structure):
    _fields_ = (("head", c_uint8), ("values", c_char * 5), ("tail", c_uint8))


class Names(ctypes.Structure):
    _fields_ = (("first", c_char * 16), ("others", (c_char * 8) * 4), ("one", c_char))


class Matrix(ctypes.Structure):
    _fields_ = (("cells", (c_double * 4) * 3),)


class Cube(ctypes.Structure):
    _fields_ = (("head", c_uint8), ("cells", ((c_int16 * 4) * 3) * 2))


class One(ctypes.Structure):
    _fields_ = (("cell", c_uint32 * 1),)


class Point(ctypes.Structure):
    _fields_ = (("x", c_float), ("y", c_float))


class Line(ctypes.Structure):
    _fields_ = (("from", Point), ("to", Point), ("width", c_uint8))


class TaggedPoint(ctypes.Structure):
    _fields_ = (("x", c_double), ("tag", c_uint8))


class Path(ctypes.Structure):
    _fields_ = (("count", c_uint16), ("points", TaggedPoint * 7))


class OuterInner(ctypes.Structure):
    _fields_ = (("a", c_uint8), ("b", c_uint64))


class Outer(ctypes.Structure):
    _fields_ = (("head", c_uint8), ("inner", OuterInner), ("tail", c_uint8))


class ThreeC(ctypes.Structure):
    _fields_ = (("d", c_uint8), ("e", c_uint32))


class ThreeB(ctypes.Structure):
    _fields_ = (("c", ThreeC), ("f", c_uint8))


class ThreeA(ctypes.Structure):
    _fields_ = (("b", ThreeB * 2), ("g", c_uint16))


class Three(ctypes.Structure):
    _fields_ = (("a", ThreeA), ("h", c_uint8))


class PackedInside(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("x", c_uint8), ("y", c_uint64))


class PackedInNatural(ctypes.Structure):
    _fields_ = (("a", c_uint8), ("inner", PackedInside), ("b", c_uint32))


class NaturalInside(ctypes.Structure):
    _fields_ = (("x", c_uint8), ("y", c_uint32))


class NaturalInPacked(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("a", c_uint8), ("inner", NaturalInside), ("b", c_uint32))


class Register(ctypes.Structure):
    _fields_ = (("control", c_uint32), ("_gap0", c_uint8 * 12), ("status", c_uint32), ("_gap1", c_uint8 * 12),
                ("data", c_uint8 * 8))


class Frame(ctypes.Structure):
    _fields_ = (("id", c_uint64), ("length", c_uint32), ("_gap0", c_uint8 * 52))


class ReadingInner(ctypes.Structure):
    _fields_ = (("a", c_uint8), ("b", c_uint16))


class Reading(ctypes.Structure):
    _fields_ = (
        *(("time", c_uint64), ("value", c_double * 3), ("at", Point * 2), ("inner", ReadingInner),
          ("matrix", (c_int16 * 3) * 2)),
        *(("name", c_char * 16), ("_gap0", c_uint8 * 20), ("ok", c_bool)),
    )


class Image(ctypes.Structure):
    _fields_ = (("time", c_uint64), ("width", c_uint32), ("height", c_uint32),
                ("pixels", ((c_uint8 * 3) * 1920) * 1080))


STRUCTURES = {
    "every type": ("Every", Every),
    "inner padding": ("Inner", InnerPadding),
    "tail padding": ("Tail", Tail),
    "i32 packed behind a byte": ("Behind", PackedInt),
    "f64 packed behind a byte": ("Behind", PackedDouble),
    "array of char": ("Array", CharArray),
    "strings": ("Names", Names),
    "two dimensions": ("Matrix", Matrix),
    "three dimensions": ("Cube", Cube),
    "an array of one": ("One", One),
    "nested": ("Line", Line),
    "nested in an array": ("Path", Path),
    "nested without a name": ("Outer", Outer),
    "nested three deep": ("Outer", Three),
    "packed in natural": ("Outer", PackedInNatural),
    "natural in packed": ("Outer", NaturalInPacked),
    "explicit offset": ("Register", Register),
    "explicit size": ("Frame", Frame),
    "a sensor reading": ("SensorReading", Reading),
    "an image": ("Image", Image),
}

# ---- NumPy ----

POINT = np.dtype([("x", "f4"), ("y", "f4")], align=True)


def aligned(*fields):
    return np.dtype([*fields], align=True)


DTYPES = {
    "scalar bool": ("Scalar", aligned(("value", "?"))),
    "i8 behind a byte": ("Behind", aligned(("flag", np.uint8), ("value", np.int8))),
    "i64 behind a byte": ("Behind", aligned(("flag", np.uint8), ("value", np.int64))),
    "f32 behind a byte": ("Behind", aligned(("flag", "u1"), ("value", np.float32))),
    "u32 behind a byte": ("Behind", aligned(("flag", "u1"), ("value", "=u4"))),
    "inner padding": ("Inner",
        aligned(("a", "u1"), ("b", "u2"), ("c", "u1"), ("d", "u4"), ("e", "u1"), ("f", "u8"), ("g", "u1"))),
    "tail padding": ("Tail", aligned(("value", "f8"), ("flag", "u1"))),
    "i32 packed behind a byte": ("Behind", np.dtype([("flag", "u1"), ("value", "i4"), ("tail", "u2")])),
    "f64 packed behind a byte": ("Behind", np.dtype([("flag", "u1"), ("value", "f8"), ("tail", "u2")])),
    "array of char": ("Array", aligned(("head", "u1"), ("values", "S5"), ("tail", "u1"))),
    "array of i8": ("Array", aligned(("head", "u1"), ("values", "i1", 5), ("tail", "u1"))),
    "two dimensions": ("Matrix", aligned(("cells", "f8", (3, 4)))),
    "three dimensions": ("Cube", aligned(("head", "u1"), ("cells", "i2", (2, 3, 4)))),
    "an array of one": ("One", aligned(("cell", "u4", (1,)))),
    "nested": ("Line", aligned(("from", POINT), ("to", POINT), ("width", "u1"))),
    "nested in an array": ("Path", aligned(("count", "u2"), ("points", aligned(("x", "f8"), ("tag", "u1")), 7))),
    "nested without a name": ("Outer",
                              aligned(("head", "u1"), ("inner", aligned(("a", "u1"), ("b", "u8"))), ("tail", "u1"))),
    "packed in natural": ("Outer", aligned(("a", "u1"), ("inner", np.dtype([("x", "u1"), ("y", "u8")])), ("b", "u4"))),
    "natural in packed": ("Outer", np.dtype([("a", "u1"), ("inner", aligned(("x", "u1"), ("y", "u4"))), ("b", "u4")])),
    "explicit offset": ("Register", np.dtype({"names": ["control", "status", "data"],
        "formats": ["u4", "u4", ("u1", 8)], "offsets": [0, 16, 32]}, align=True)),
    "explicit size": ("Frame",
        np.dtype({"names": ["id", "length"], "formats": ["u8", "u4"], "offsets": [0, 8], "itemsize": 64}, align=True)),
    "an image": ("Image",
                 aligned(("time", "u8"), ("width", "u4"), ("height", "u4"), ("pixels", "u1", (1080, 1920, 3)))),
}

# ---- Dataclasses ----


@dataclass
class EveryData:
    a: "i8"
    b: np.int16
    c: c_int32
    d: int
    e: "u8"
    f: np.uint16
    g: c_uint32
    h: "u64"
    i: np.float32
    j: float
    k: bool
    l: "char"  # noqa: E741


@dataclass
class InnerPaddingData:
    a: c_uint8
    b: c_uint16
    c: c_uint8
    d: c_uint32
    e: c_uint8
    f: c_uint64
    g: c_uint8


@dataclass
class TailData:
    value: float
    flag: np.uint8


@dataclass
class ScalarData:
    value: int


@dataclass
class FloatData:
    value: c_float


@dataclass
class BehindData:
    flag: "u8"
    value: bool


@dataclass
class BehindIntData:
    flag: "u8"
    value: "i32"


@dataclass
class BehindDoubleData:
    flag: np.uint8
    value: float


@dataclass
class CharArrayData:
    head: "u8"
    values: "char[5]"
    tail: "u8"


@dataclass
class DoubleArrayData:
    head: "u8"
    values: c_double * 5
    tail: "u8"


@dataclass
class NamesData:
    first: "char[16]"
    others: "char[4][8]"
    one: c_char


@dataclass
class MatrixData:
    cells: "f64[3][4]"


@dataclass
class CubeData:
    head: "u8"
    cells: "i16[2][3][4]"


@dataclass
class DeepData:
    cells: "u8[1][2][1][2][1][2][1][2]"


@dataclass
class PointData:
    x: np.float32
    y: c_float


@dataclass
class OuterInnerData:
    a: "u8"
    b: "u64"


@dataclass
class OuterData:
    head: "u8"
    inner: OuterInnerData
    tail: "u8"


@dataclass
class PathData:
    count: "u16"
    points: TaggedPoint * 7


@dataclass
class ThreeData:
    a: ThreeA
    h: "u8"


@dataclass
class PackedInNaturalData:
    a: "u8"
    inner: PackedInside
    b: "u32"


@dataclass
class ImageData:
    time: "u64"
    width: "u32"
    height: "u32"
    pixels: "u8[1080][1920][3]"


DATACLASSES = {
    "every type": ("Every", EveryData),
    "inner padding": ("Inner", InnerPaddingData),
    "tail padding": ("Tail", TailData),
    "scalar i64": ("Scalar", ScalarData),
    "scalar f32": ("Scalar", FloatData),
    "bool behind a byte": ("Behind", BehindData),
    "i32 behind a byte": ("Behind", BehindIntData),
    "f64 behind a byte": ("Behind", BehindDoubleData),
    "array of char": ("Array", CharArrayData),
    "array of f64": ("Array", DoubleArrayData),
    "strings": ("Names", NamesData),
    "two dimensions": ("Matrix", MatrixData),
    "three dimensions": ("Cube", CubeData),
    "eight dimensions": ("Deep", DeepData),
    "nested without a name": ("Outer", OuterData),
    "nested in an array": ("Path", PathData),
    "nested three deep": ("Outer", ThreeData),
    "packed in natural": ("Outer", PackedInNaturalData),
    "an image": ("Image", ImageData),
}


def each(make, structs):
    return [(golden, lambda of=of, name=name: make(of, name)) for golden, (name, of) in structs.items()]


WAYS = {
    "ctypes": each(Schema.from_ctypes, STRUCTURES),
    "dtype": each(Schema.from_dtype, DTYPES),
    "dataclass": each(Schema.from_dataclass, DATACLASSES),
}
