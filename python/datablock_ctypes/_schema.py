"""Schemas: what the bytes of a message mean, to and from NumPy, ctypes, dataclasses and text."""

from __future__ import annotations

import ctypes
import dataclasses
import math
import re
import sys
import typing
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, NoReturn, Union

from ._abi import Config, ConsumerOptions, RawSchema, RawSchemaField, RawSchemaLayout
from ._errors import Invalid
from ._library import StrPath, library
from ._types import optional_path_bytes, path_bytes, text_bytes, the_numpy

if TYPE_CHECKING:
    from numpy import dtype
    from numpy.typing import DTypeLike

SCALARS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "bool", "char")
NUMPY = ("i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", "<f4", "<f8", "?", "S1")
CTYPES = (
    *(
        ctypes.c_int8,
        ctypes.c_int16,
        ctypes.c_int32,
        ctypes.c_int64,
        ctypes.c_uint8,
        ctypes.c_uint16,
        ctypes.c_uint32,
        ctypes.c_uint64,
    ),
    *(ctypes.c_float, ctypes.c_double, ctypes.c_bool, ctypes.c_char),
)

NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
TYPE = re.compile(rf"\s*({'|'.join(SCALARS)})\s*((?:\[\s*\d+\s*\]\s*)*)", re.ASCII)
SIZES = dict(zip(SCALARS, (1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1, 1)))
DIMENSIONS = 8
NAMES_NEED = "use letters, digits and _, beginning with no digit"
VERSION_NEEDS = 'one to three numbers are needed, such as "1.0.0" or (1, 0, 0)'

Version = Union[str, tuple[int, int, int]]


class Field(NamedTuple):
    """One field of a struct.

    ``type`` is a type of the text form, or a `Layout`. ``offset`` is in bytes, from the beginning
    of the struct that contains the field.
    """

    name: str
    type: str | Layout
    dims: tuple[int, ...]
    offset: int


class Layout(NamedTuple):
    """The inside of a struct. Sizes are bytes."""

    fields: tuple[Field, ...]
    size: int
    alignment: int


class Schema:
    """A struct, described so exactly that two programs can tell whether they mean the same bytes.

    ``canonical`` is the schema's one line. ``hash`` is the BLAKE2b-256 of this line. ``size`` and
    ``alignment`` are bytes. ``name``, ``version`` and ``layout`` are the other attributes. A Schema
    is immutable. Two schemas are equal when their hashes and versions are equal.

    `Schema.parse` reads the text form (docs/schema.md). `Schema.from_dtype`, `Schema.from_ctypes`
    and `Schema.from_dataclass` describe Python types. `Schema.of_block` asks a block. `dtype` and
    `structure` go the other way. They raise `Invalid`, with the place and what is expected there.
    """

    __slots__ = (
        "_dtype",
        "_raw",
        "alignment",
        "canonical",
        "hash",
        "layout",
        "name",
        "size",
        "version",
    )

    def __init__(self, raw: RawSchema) -> None:
        line: bytes = raw.canonical
        self.canonical = line.decode()
        self.hash = bytes(raw.hash)
        self.version: tuple[int, int, int] = (raw.major, raw.minor, raw.patch)
        self.size: int = raw.bytes
        self.alignment: int = raw.alignment
        self.name, self.layout = _read(self.canonical)
        self._raw = RawSchema(line, raw.bytes, raw.alignment, *self.version, raw.hash)
        self._dtype: Any = None

    @classmethod
    def parse(cls, text: str) -> Schema:
        """Return the schema that a text in the text form describes."""
        if not isinstance(text, str):
            raise TypeError(f"the schema's text is {text!r}: a str is needed")
        if "\0" in text:
            raise Invalid("schema: a zero byte in the text")
        return cls._from("datablock_schema_parse", text_bytes("schema", text))

    @classmethod
    def of_block(cls, name: StrPath) -> Schema:
        """Return the schema of a block, also without a producer. Its data file must be readable.

        Raises `SchemaMismatch` (the block has no schema), `NotFound`, `Access`, `Corrupt`.
        """
        return cls._from("datablock_schema_of_block", path_bytes("block name", name))

    @classmethod
    def of_zone(cls, name: StrPath) -> Schema:
        """Return the schema of a block's flexible zone. Raises as `of_block`."""
        return cls._from("datablock_zone_schema_of_block", path_bytes("block name", name))

    @classmethod
    def lookup(cls, reference: str, registry: StrPath | None = None) -> Schema:
        """Return the newest schema in a registry that a reference means.

        A reference is ``"SensorReading"``, ``"SensorReading@2"`` or ``"SensorReading@2.1.0"``. A
        registry is a directory. None means $DATABLOCK_SCHEMAS, else datablock/schemas in
        $XDG_DATA_HOME, else in ~/.local/share; on Windows DataBlock/schemas in %LOCALAPPDATA%.
        Raises `Invalid`, `NotFound`, `Access`, `System`.
        """
        return cls._from(
            "datablock_schema_lookup",
            path_bytes("reference", reference),
            optional_path_bytes("registry", registry),
        )

    def register(self, registry: StrPath | None = None) -> None:
        """Add the schema to a registry. A second registration of the same schema does nothing.

        Raises `Invalid` (no version), `SchemaMismatch` (the schema breaks the version rules, or
        this version is another struct), `Access`, `System`.
        """
        loaded = library()
        status = loaded.datablock_schema_register(
            self._raw, optional_path_bytes("registry", registry)
        )
        if status != 0:
            loaded.fail(status)

    @classmethod
    def _from(
        cls, function: str, *arguments: Any, fail: Callable[[int], NoReturn] | None = None
    ) -> Schema:
        loaded = library()
        raw = RawSchema()
        status = getattr(loaded, function)(*arguments, raw)
        if status != 0:
            (fail or loaded.fail)(status)
        try:
            return cls(raw)
        finally:
            loaded.datablock_schema_free(raw)

    @classmethod
    def from_dtype(cls, kind: DTypeLike, name: str, version: Version = (0, 0, 0)) -> Schema:
        """Return the schema of a structured NumPy dtype. ``S16`` is ``char[16]``.

        A dtype with ``align=True`` has the offsets and the alignment of C. Another dtype is packed,
        and is another schema.
        """
        return _described(name, version, lambda: _of_dtype(the_numpy().dtype(kind)))

    @classmethod
    def from_ctypes(
        cls,
        structure: type[ctypes.Structure],
        name: str | None = None,
        version: Version = (0, 0, 0),
    ) -> Schema:
        """Return the schema of a ctypes.Structure. The default name is that of the class.

        Fields whose name is ``_gap`` and a number are padding.
        """
        return _described(_name_of(name, structure), version, lambda: _of_structure(structure))

    @classmethod
    def from_dataclass(
        cls, kind: type[Any], name: str | None = None, version: Version = (0, 0, 0)
    ) -> Schema:
        """Return the schema of a dataclass, laid out as C does.

        The annotation of a field is ``int`` (i64), ``float`` (f64), ``bool``, a scalar type of
        ctypes or NumPy, another dataclass, or a type of the text form as a string: ``value:
        "f64[3]"``.
        """
        return _described(_name_of(name, kind), version, lambda: _of_dataclass(kind))

    @property
    def dtype(self) -> dtype[Any]:
        """The NumPy dtype with this layout."""
        if self._dtype is None:
            self._dtype = _dtype(self.layout)
        return self._dtype  # type: ignore[no-any-return]

    def structure(self) -> type[ctypes.Structure]:
        """Return a new ctypes.Structure with this layout.

        Fields with the names ``_gap0`` and so on are gaps that ctypes would not leave by itself.
        The structure has an alignment above that of all fields from Python 3.13 on.
        """
        return _structure(self.name, self.layout)

    def check(self, consumer: Schema, exact: bool = False) -> None:
        """Raise `SchemaMismatch` if a consumer that expects ``consumer`` cannot read this schema.

        The error names every field that differs. ``exact``: the hashes must be equal, too.
        """
        loaded = library()
        status = loaded.datablock_schema_check(self._raw, consumer._raw, int(exact))
        if status != 0:
            loaded.fail(status)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Schema) and self.hash == other.hash and self.version == other.version
        )

    def __hash__(self) -> int:
        return hash((self.hash, self.version))

    def __repr__(self) -> str:
        version = ".".join(map(str, self.version))
        return f"<Schema {self.name} {version} {self.canonical[len(self.name) :]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self.version, self.layout)


def described(what: str, schema: Schema | str | None) -> Schema | None:
    if schema is None or isinstance(schema, Schema):
        return schema
    if isinstance(schema, str):
        return Schema.parse(schema)
    raise TypeError(f"{what} is {schema!r}: {_instead_of(schema)}")


def _instead_of(schema: Any) -> str:
    """Return an advice what to give in the place of a value that is no schema."""
    kind = schema if isinstance(schema, type) else type(schema)
    if dataclasses.is_dataclass(kind):
        return f"give Schema.from_dataclass({kind.__name__})"
    if issubclass(kind, ctypes.Structure):
        return f"give Schema.from_ctypes({kind.__name__})"
    if hasattr(schema, "fields") and hasattr(schema, "itemsize"):
        return 'give Schema.from_dtype(dtype, "Name")'
    return "a Schema or its text is needed, or a reference to the registry"


def configure(
    raw: Config | ConsumerOptions,
    schema: Schema | str | None,
    registered: str | None,
    registry: StrPath | None,
    zone_schema: Schema | str | None,
) -> tuple[Schema | None, Schema | None]:
    """Put the caller's schemas into the options of an opening. Return those of messages and zone.

    A text without a brace is a reference.
    """
    if isinstance(schema, str) and "{" not in schema:
        if registered is not None:
            raise Invalid(
                f"schema {schema!r} and registered {registered!r}: two references, give one"
            )
        schema, registered = None, schema
    if registered is not None and schema is None:
        found: Schema | None = Schema.lookup(registered, registry)
    else:
        found = described("schema", schema)
        raw.registered, raw.registry = (
            optional_path_bytes("registered", registered),
            optional_path_bytes("registry", registry),
        )
    zone = (
        Schema.lookup(zone_schema, registry)
        if isinstance(zone_schema, str) and "{" not in zone_schema
        else described("zone_schema", zone_schema)
    )
    if found is not None:
        raw.schema = ctypes.pointer(found._raw)
    if zone is not None:
        raw.zone_schema = ctypes.pointer(zone._raw)
    return found, zone


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the schema's name is {name!r}: a str is needed")
    if not NAME.fullmatch(name):
        raise Invalid(f"a schema called {name!r}: {NAMES_NEED}")
    return name


def _name_of(name: str | None, kind: Any) -> Any:
    """Return the given name, or the name of the class. A later check refuses what is no class."""
    return name if name is not None else getattr(kind, "__name__", "it")


def _version(version: Version) -> tuple[int, int, int]:
    if isinstance(version, str):
        text = version
    elif isinstance(version, tuple) and all(isinstance(part, int) for part in version):
        text = ".".join(map(str, version))
    else:
        raise TypeError(f"version is {version!r}: {VERSION_NEEDS}")
    if not re.fullmatch(r"\d+(\.\d+){0,2}", text, re.ASCII):
        raise Invalid(f"version is {version!r}: {VERSION_NEEDS}")
    numbers = [*map(int, text.split(".")), 0, 0][:3]
    if max(numbers) >= 1 << 32:
        raise Invalid(f"version is {version!r}: its numbers are at most {(1 << 32) - 1}")
    return numbers[0], numbers[1], numbers[2]


def _checked_path(outer: str, name: str) -> str:
    """Return the path of a field, for messages."""
    if not NAME.fullmatch(name):
        raise Invalid(f"field {outer + name!r}: {NAMES_NEED}")
    return outer + name


# ---- The canonical line -------------------------------------------------------------------------


def _read(line: str) -> tuple[str, Layout]:
    """Return name and layout of a canonical line from the library."""
    tokens = re.findall(r"\w+|[^\w]", line)[::-1]
    return tokens.pop(), _read_layout(tokens)


def _read_layout(tokens: list[str]) -> Layout:
    """Take a layout off the end of the tokens, which are in reverse order."""
    fields = []
    while tokens.pop() != "}":  # { or ,
        name = tokens.pop()
        tokens.pop()  # :
        kind: str | Layout = _read_layout(tokens) if tokens[-1] == "{" else tokens.pop()
        dims = []
        while tokens.pop() == "[":  # else @
            dims.append(int(tokens.pop()))
            tokens.pop()  # ]
        fields.append(Field(name, kind, tuple(dims), int(tokens.pop())))
    size = int(tokens.pop())
    tokens.pop()  # /
    return Layout(tuple(fields), size, int(tokens.pop()))


# ---- To Python ----------------------------------------------------------------------------------


def _dtype(layout: Layout) -> dtype[Any]:
    numpy = the_numpy()
    formats: list[Any] = []
    for _, of, dims, _ in layout.fields:
        if isinstance(of, Layout):
            item: Any = _dtype(of)
        elif of == "char" and dims:
            item, dims = f"S{dims[-1]}", dims[:-1]
        else:
            item = NUMPY[SCALARS.index(of)]
        formats.append((item, dims) if dims else item)
    names, offsets = (
        [field.name for field in layout.fields],
        [field.offset for field in layout.fields],
    )
    aligned = layout.alignment > 1
    spec: Any = {"names": names, "formats": formats, "offsets": offsets, "itemsize": layout.size}
    try:
        kind: dtype[Any] = numpy.dtype(spec, align=aligned)
    except ValueError:  # NumPy refuses a field that is not aligned
        kind = numpy.dtype(spec)
    return kind


def _structure(name: str, layout: Layout) -> type[ctypes.Structure]:
    kinds = [_ctype(name, field) for field in layout.fields]
    natural = max(ctypes.alignment(kind) for kind in kinds)
    packed = natural > layout.alignment or any(
        field.offset % ctypes.alignment(kind) for field, kind in zip(layout.fields, kinds)
    )
    members: list[tuple[str, Any]] = []
    end = 0

    def gap(to: int, align: int) -> None:
        if to > end and (packed or -(-end // align) * align != to):
            members.append((f"_gap{len(members)}", ctypes.c_uint8 * (to - end)))

    for field, kind in zip(layout.fields, kinds):
        gap(field.offset, ctypes.alignment(kind))
        members.append((field.name, kind))
        end = field.offset + ctypes.sizeof(kind)
    gap(layout.size, natural)
    attributes: dict[str, Any] = {"_pack_": 1, "_layout_": "ms"} if packed else {}
    if layout.alignment > (1 if packed else natural):
        # Python before 3.13 ignores it: the bytes are the same, and the alignment is lost.
        attributes["_align_"] = layout.alignment
    return type(name, (ctypes.Structure,), {**attributes, "_fields_": members})


def _ctype(name: str, field: Field) -> Any:
    kind: Any = (
        _structure(f"{name}_{field.name}", field.type)
        if isinstance(field.type, Layout)
        else CTYPES[SCALARS.index(field.type)]
    )
    for side in reversed(field.dims):
        kind = kind * side
    return kind


# ---- From Python --------------------------------------------------------------------------------


def _described(name: Any, version: Version, layout: Callable[[], Layout]) -> Schema:
    """Return the schema of a described struct. No text is made of it: errors name its fields."""
    numbers, checked = _version(version), _checked_name(name)
    keep: list[Any] = []
    return Schema._from(
        "datablock_schema_describe", checked.encode(), *numbers, _for_c(layout(), keep)
    )


def _restored(name: str, version: tuple[int, int, int], layout: Layout) -> Schema:
    return _described(name, version, lambda: layout)


def _for_c(layout: Layout, keep: list[Any]) -> RawSchemaLayout:
    fields = (RawSchemaField * len(layout.fields))()
    for raw, (name, kind, dims, offset) in zip(fields, layout.fields):
        nested = _for_c(kind, keep) if isinstance(kind, Layout) else None
        raw.name, raw.offset, raw.size = name.encode(), offset, size_of(kind) * math.prod(dims)
        if nested is not None:
            raw.nested = ctypes.pointer(nested)
        else:
            raw.type = str(kind).encode()
        if len(dims) > DIMENSIONS:
            raise Invalid(f"field {name!r} has {len(dims)} dimensions, the limit is {DIMENSIONS}")
        raw.dims[: len(dims)] = dims
    keep.append(fields)
    return RawSchemaLayout(fields, len(layout.fields), layout.size, layout.alignment)


def size_of(kind: str | Layout) -> int:
    return kind.size if isinstance(kind, Layout) else SIZES[kind]


Item = tuple[Union[str, Layout], tuple[int, ...]]
"""A type, and the dimensions of an array of it."""


def _of_dtype(kind: dtype[Any], outer: str = "") -> Layout:
    if kind.names is None or kind.fields is None:
        raise Invalid(f"dtype {kind} has no fields: a schema describes a struct")
    fields = []
    for name in kind.names:
        path = _checked_path(outer, name)
        of, offset = kind.fields[name][:2]
        dims: tuple[int, ...] = ()
        if of.subdtype is not None:
            of, dims = of.subdtype
        fields.append(Field(name, *_of_item(of, path, dims), offset))
    alignment = kind.alignment if kind.isalignedstruct else 1
    return Layout(tuple(sorted(fields, key=lambda field: field.offset)), kind.itemsize, alignment)


def _of_item(of: dtype[Any], name: str, dims: tuple[int, ...]) -> Item:
    if of.names is not None:
        return _of_dtype(of, f"{name}."), dims
    if of.kind == "S" and of.itemsize > 0:
        return "char", (*dims, of.itemsize)
    if of.newbyteorder("<") != of:
        raise Invalid(
            f"field {name!r}: {of} is big-endian; a schema has the byte order of the machine"
        )
    known = [wanted for wanted in NUMPY[:-1] if of == wanted]
    if not known:
        raise Invalid(
            f"field {name!r}: {of} has no counterpart in a schema: "
            f"use {', '.join(SCALARS)}, or structs and arrays of these"
        )
    return SCALARS[NUMPY.index(known[0])], dims


def _of_structure(structure: type[ctypes.Structure], outer: str = "") -> Layout:
    if not (isinstance(structure, type) and issubclass(structure, ctypes.Structure)):
        raise Invalid(f"{structure!r} is no ctypes.Structure")
    fields = []
    for name, kind, *bits in _fields_of(structure):
        if re.fullmatch(r"_gap\d+_*", name):
            continue
        path = _checked_path(outer, name)
        if bits:
            raise Invalid(f"field {path!r} is a bit field, which a schema has no type for")
        fields.append(Field(name, *_of_ctype(kind, path), getattr(structure, name).offset))
    return Layout(tuple(fields), ctypes.sizeof(structure), ctypes.alignment(structure))


def _fields_of(structure: type[ctypes.Structure]) -> list[Any]:
    """Return the fields of the structure, those of its bases first: the order in memory."""
    return [
        field for base in reversed(structure.__mro__) for field in base.__dict__.get("_fields_", ())
    ]


def _of_ctype(kind: Any, name: str) -> Item:
    dims: tuple[int, ...] = ()
    while issubclass(kind, ctypes.Array):
        dims += (kind._length_,)
        kind = kind._type_
    if issubclass(kind, ctypes.Structure):
        return _of_structure(kind, f"{name}."), dims
    code = getattr(kind, "_type_", None)
    if (
        kind.__ctype_be__ is kind and kind.__ctype_le__ is not kind
        if hasattr(kind, "__ctype_be__") and ctypes.sizeof(kind) > 1
        else False
    ):
        raise Invalid(f"field {name!r} is big-endian; a schema has the byte order of the machine")
    bits = 8 * ctypes.sizeof(kind)
    for codes, sign in (("bhilq", "i"), ("BHILQ", "u")):
        if isinstance(code, str) and code in codes:
            return f"{sign}{bits}", dims
    for wanted, text in (("f", "f32"), ("d", "f64"), ("?", "bool"), ("c", "char")):
        if code == wanted:
            return text, dims
    raise Invalid(
        f"field {name!r}: {kind.__name__} means nothing to another process: "
        "use numbers, bool, char, or structs and arrays of these"
    )


def _of_dataclass(kind: type[Any], outer: str = "") -> Layout:
    """Return the layout that C gives to these fields."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise Invalid(f"{kind!r} is no dataclass")
    scope = vars(sys.modules[kind.__module__]) if kind.__module__ in sys.modules else {}
    fields, end, alignment = [], 0, 1
    for field in dataclasses.fields(kind):
        path = _checked_path(outer, field.name)
        of = field.type
        if isinstance(of, str) and not TYPE.fullmatch(of):
            try:
                of = eval(of, dict(scope))
            except Exception:
                raise Invalid(f"field {path!r}: {of!r} is no type") from None
        item, dims = _of_annotation(of, path)
        natural = item.alignment if isinstance(item, Layout) else SIZES[item]
        alignment = max(alignment, natural)
        offset = -(-end // natural) * natural
        fields.append(Field(field.name, item, dims, offset))
        end = offset + size_of(item) * math.prod(dims)
    return Layout(tuple(fields), -(-end // alignment) * alignment, alignment)


def _of_annotation(of: Any, name: str) -> Item:
    if typing.get_origin(of) is typing.Literal and len(typing.get_args(of)) == 1:
        (of,) = typing.get_args(of)
    if isinstance(of, str):
        parts = TYPE.fullmatch(of)
        if not parts:
            raise Invalid(
                f"field {name!r}: {of!r} is no type of the text form: "
                f'use {", ".join(SCALARS)}, or an array such as "f64[3]"'
            )
        return parts[1], tuple(map(int, re.findall(r"\d+", parts[2])))
    plain = {int: "i64", float: "f64", bool: "bool"}.get(of)
    if plain:
        return plain, ()
    if isinstance(of, type):
        if dataclasses.is_dataclass(of):
            return _of_dataclass(of, f"{name}."), ()
        if issubclass(of, (ctypes.Structure, ctypes.Array, ctypes._SimpleCData)):
            return _of_ctype(of, name)
        if hasattr(of, "dtype"):
            return _of_item(the_numpy().dtype(of), name, ())
    raise Invalid(
        f"field {name!r}: {of!r} has no counterpart in a schema: use int, float, bool, a type of "
        "ctypes or NumPy, "
        'a dataclass, or a text such as "f64[3]"'
    )
