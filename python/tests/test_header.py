"""The tables of the package equal the declarations of datablock.h."""

import ctypes
import os
import re
import subprocess

import pytest
from support import HEADER, ROOT

from datablock_ctypes import _abi, _errors, _integrity, _types
from datablock_ctypes._abi import FUNCTIONS, STRUCTS

# Without comments, and without the macros that have the names of functions.
TEXT = re.sub(
    r"/\*.*?\*/|^#define [a-z_]+\((?:[^\n]*\\\n)*[^\n]*$",
    "",
    HEADER.read_text(),
    flags=re.DOTALL | re.MULTILINE,
)

SCALARS = {
    "bool": ctypes.c_bool,
    "char": ctypes.c_char,
    "int": ctypes.c_int,
    "int64_t": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "uint8_t": ctypes.c_uint8,
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
}
ENUMS = ("datablock_status", "datablock_policy", "datablock_schema_mode", "RecoveryResult")


def type_of(declaration):
    """The ctypes type of a C type."""
    plain = declaration.replace("const ", "").replace("struct ", "").strip()
    if plain == "void":
        return None
    if plain == "char *":
        return ctypes.c_char_p
    if plain == "void *":
        return ctypes.c_void_p
    if plain.endswith("*"):
        return ctypes.POINTER(type_of(plain[:-1]))
    if plain in ENUMS:
        return ctypes.c_int
    if plain == "datablock_recovery_callback":
        return _abi.RecoveryCallback
    return STRUCTS[plain] if plain in STRUCTS else SCALARS[plain]


def split(declarator):
    """Return type and name of `const char *name`, and its array length or None."""
    found = re.fullmatch(r"(.*?[ *])(\w+)(?:\[(\d+)\])?", declarator.strip())
    return found.group(1), found.group(2), found.group(3)


def declared_functions():
    for result, name, parameters in re.findall(
        r"^DATABLOCK_API ([\w *]+?)\n?(\w+)\(([^)]*)\);", TEXT, flags=re.MULTILINE
    ):
        types = (
            ()
            if parameters == "void"
            else tuple(type_of(split(one)[0]) for one in parameters.split(","))
        )
        yield name, type_of(result), types


def declared_structs():
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", TEXT, flags=re.DOTALL):
        yield name, [split(line) for line in body.split(";") if line.strip()]


def test_functions():
    assert [tuple(function) for function in FUNCTIONS] == list(declared_functions())
    assert len(FUNCTIONS) == len(
        re.findall(r"\bdatablock_\w+\(", re.sub(r"static inline .*", "", TEXT))
    )


def test_structs():
    found = dict(declared_structs())
    assert set(found) == set(STRUCTS)
    for name, fields in found.items():
        wanted = []
        for kind, field, length in fields:
            wanted.append((field, type_of(kind) * int(length) if length else type_of(kind)))
        assert list(STRUCTS[name]._fields_) == wanted, name


def test_sizes_and_offsets(tmp_path):
    """Compares with the sizes and offsets of a C compiler."""
    lines = [f'printf("enum {name} %zu\\n", sizeof({name}));' for name in ENUMS]
    for name, struct in STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for field, *_ in struct._fields_:
            lines.append(
                f'printf("{name}.{field} %zu %zu\\n", '
                f"offsetof({name}, {field}), sizeof((({name} *)0)->{field}));"
            )
    source = tmp_path / "sizes.c"
    source.write_text(
        "#include <datablock.h>\n#include <stdio.h>\nint main(void) {\n"
        + "\n".join(lines)
        + "\nreturn 0;\n}\n"
    )
    program = tmp_path / "sizes"
    subprocess.run(
        [os.environ.get("CC", "cc"), "-I", ROOT / "include", source, "-o", program], check=True
    )
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()

    wanted = [f"enum {name} {ctypes.sizeof(ctypes.c_int)}" for name in ENUMS]
    for name, struct in STRUCTS.items():
        wanted.append(f"{name} {ctypes.sizeof(struct)}")
        for field, *_ in struct._fields_:
            place = getattr(struct, field)
            wanted.append(f"{name}.{field} {place.offset} {place.size}")
    assert said == wanted


def test_statuses():
    listed = re.findall(r'X\(DATABLOCK_(?:E_)?(\w+), (\d+), "', TEXT)
    assert [(status.name, str(int(status))) for status in _errors.Status] == listed
    for name, number in listed[1:]:
        error = _errors.BY_STATUS[int(number)]
        assert error.status == int(number)
        plain = "".join(word.capitalize() for word in name.split("_"))
        assert error.__name__ == {"Schema": "SchemaMismatch"}.get(
            plain, plain
        )  # the package has a class Schema
        assert error.__doc__
        assert issubclass(error, _errors.DataBlockError)
    assert len(_errors.BY_STATUS) == len(listed) - 1


@pytest.mark.parametrize(
    ("enum", "prefix"),
    [
        (_types.Policy, "DATABLOCK_"),
        (_types.Delivery, "DATABLOCK_"),
        (_types.Start, "DATABLOCK_START_"),
        (_types.SlotState, "DATABLOCK_SLOT_"),
        (_types.RecoveryResult, "RECOVERY_"),
        (_integrity.RecoveryStepKind, "DATABLOCK_STEP_"),
    ],
)
def test_enums(enum, prefix):
    for member in enum:
        name = (
            "DELIVERY_DEFAULT"
            if enum is _types.Delivery and member.name == "DEFAULT"
            else member.name
        )
        assert re.search(rf"\b{prefix}{name} = {int(member)}\b", TEXT), member


def test_flags():
    listed = dict(re.findall(r"DATABLOCK_FLAG_(\w+) = 1u << (\d+)", TEXT))
    assert {
        name: str(getattr(_types, f"FLAG_{name}").bit_length() - 1) for name in listed
    } == listed


def test_version():
    found = tuple(
        int(re.search(rf"#define DATABLOCK_VERSION_{part} (\d+)", TEXT).group(1))
        for part in ("MAJOR", "MINOR", "PATCH")
    )
    assert found == _abi.HEADER_VERSION
