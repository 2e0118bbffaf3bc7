#!/usr/bin/env python3
"""The table of native types in docs/schema.md: native_types.py BUILD [--write]

Each cell is compiled, or run. It gives the type of its row, with the same hash in every language,
or it is refused with the words that the cell expects. The table in the document is the result;
--write writes it there.
"""

import argparse
import concurrent.futures
import ctypes
import os
import pathlib
import re
import subprocess
import sys
from dataclasses import make_dataclass

from check import HERE

ROOT = HERE.parents[2]
DOCUMENT = ROOT / "docs" / "schema.md"
MARKS = "<!-- types: tests/format/vectors/native_types.py writes this table -->\n", "<!-- end of types -->\n"
LANGUAGES = {"c": "C", "cpp": "C++", "go": "Go", "ctypes": "ctypes", "numpy": "NumPy", "dataclass": "dataclass"}


class Refused(str):
    """A type that is refused; `says` is in the refusal."""

    def __new__(cls, text, says):
        self = super().__new__(cls, text)
        self.says = says
        return self


NO_C = "not compatible with any"
NO_CPP = "a member is neither number, enum, array nor a struct"
NO_PYTHON = "means nothing to another process"
NO_NUMPY = "has no counterpart in a schema"
NO_DATACLASS = "has no counterpart in a schema"
ADDRESS = "is or has an address"


def same(of, c, cpp=None, go=None, ctypes=None, numpy=None, dataclass=None):
    return of, {"c": c, "cpp": cpp or c, "go": go, "ctypes": ctypes, "numpy": numpy, "dataclass": dataclass}


def number(of, bits, sign):
    u = "" if sign == "i" else "u"
    name = f"{u}int{bits}"
    return same(
        of, f"{name}_t", f"std::{name}_t", name, f"c_{name}", f"{'<' if bits > 8 else ''}{sign}{bits // 8}", f'"{of}"'
    )


# A row: the type of the schema, and its name in each language. None: the language has no such type.
ROWS = [
    *(number(f"{sign}{bits}", bits, sign) for sign in "iu" for bits in (8, 16, 32, 64)),
    same("f32", "float", None, "float32", "c_float", "f4", '"f32"'),
    same("f64", "double", None, "float64", "c_double", "f8", "float"),
    same("bool", "bool", None, "bool", "c_bool", "?", "bool"),
    same("char", "char", None, None, "c_char", None, '"char"'),
    same("i16", "short", None, None, "c_short", "h", None),
    same("i32", "int", None, None, "c_int", "i", None),
    same("i64", "long", None, "int", "c_long", "l", "int"),
    same("u64", "unsigned long", None, "uint", "c_ulong", "L", None),
    same("u64", "size_t", "std::size_t", "uint", "c_size_t", "uintp", None),
    same("u64", "uintptr_t", "std::uintptr_t", "uintptr", None, "uintp", None),
    same("i64", "long long", None, None, "c_longlong", "q", None),
    same("u32", "enum colour", "Colour"),
    same("u8", "uint8_t", "std::byte", "byte", "c_ubyte", "B", "numpy.uint8"),
    same("i32", "wchar_t", "wchar_t", None, Refused("c_wchar", NO_PYTHON), Refused("U1", NO_NUMPY), None),
    same(
        "i32",
        "_Atomic int",
        Refused("std::atomic<int>", NO_CPP),
        Refused("atomic.Int32", "is not to be copied"),
        None,
        None,
        None,
    ),
    same("char[16]", "char[16]", None, '[16]byte `datablock:"a,char"`', "c_char * 16", "S16", '"char[16]"'),
    same("u8[8]", "uint8_t[8]", "std::array<std::uint8_t, 8>", "[8]byte", "c_uint8 * 8", "u1, 8", '"u8[8]"'),
    same("f64[2][3]", "double[2][3]", None, "[2][3]float64", "(c_double * 3) * 2", "f8, (2, 3)", '"f64[2][3]"'),
    same("{ x: f32; y: f32; }", "struct point", "Point", "Point", "Point", "POINT", "Point"),
    same(
        None,
        Refused("int *", NO_C),
        Refused("int *", NO_CPP),
        Refused("*int32", ADDRESS),
        Refused("c_void_p", NO_PYTHON),
        Refused("O", NO_NUMPY),
        Refused("object", NO_DATACLASS),
    ),
    same(
        None,
        Refused("char *", NO_C),
        Refused("std::string", NO_CPP),
        Refused("string", ADDRESS),
        Refused("c_char_p", NO_PYTHON),
        Refused("U16", NO_NUMPY),
        Refused("str", NO_DATACLASS),
    ),
    same(
        None,
        Refused("__int128", NO_C),
        Refused("__int128", "an integer of more than 8 bytes"),
        None,
        None,
        None,
        None,
    ),
    same(
        None,
        Refused("long double", NO_C),
        Refused("long double", "a float of another size"),
        None,
        Refused("c_longdouble", NO_PYTHON),
        Refused("g", NO_NUMPY),
        None,
    ),
    same(
        None,
        Refused("float _Complex", NO_C),
        Refused("std::complex<float>", NO_CPP),
        Refused("complex64", "use an array of two floats"),
        None,
        Refused("c8", NO_NUMPY),
        Refused("complex", NO_DATACLASS),
    ),
    same(
        None, Refused("union either", NO_C), Refused("Either", NO_CPP), None, Refused("Either", NO_PYTHON), None, None
    ),
    same(
        None,
        Refused("unsigned : 3", "bit-field"),
        Refused("unsigned : 3", "bit-field"),
        None,
        Refused("c_uint32, 3", "is a bit field"),
        None,
        None,
    ),
]


def texts():
    return {of: f"schema T {{ a: {of}; }}" for of, _ in ROWS if of}


# ---- C and C++ ----

C_HEAD = """#include <datablock_schema.h>
#include <stdint.h>
#include <stdio.h>
#include <wchar.h>
enum colour { RED, GREEN };
struct point { float x, y; };
union either { int a; float b; };
DATABLOCK_TYPED_LAYOUT(point_layout, struct point, (FIELD, x), (FIELD, y));
static void show(const datablock_schema_layout *layout) {
    datablock_schema s;
    puts(datablock_schema_describe("T", 1, 0, 0, layout, &s) == DATABLOCK_OK ? s.canonical : datablock_error_detail());
    datablock_schema_free(&s);
}
"""
CPP_HEAD = """#include <datablock.hpp>
#include <array>
#include <atomic>
#include <complex>
#include <cstddef>
#include <cstdio>
#include <string>
enum class Colour : unsigned { red, green };
struct Point { float x, y; };
union Either { int a; float b; };
DATABLOCK_DESCRIBE(Point, "Point", 1, 0, 0, x, y)
"""


def member(native):
    """`char[16]` and `unsigned : 3` as a member called a."""
    kind, rest = re.fullmatch(r"([^\[:]*(?:::[^\[:]*)*?)\s*(\[.*\]|: \d+)?", native).groups()
    return f"{kind} a{'' if rest is None else rest};"


def c_source(number, native):
    dims = native.count("[")
    kind = (
        "STRUCT, a, point_layout"
        if native == "struct point"
        else f"{('FIELD', 'ARRAY', 'ARRAY2', 'ARRAY3')[dims]}, a"
    )
    return (
        f"struct T{number} {{ {member(native)} }};\nDATABLOCK_TYPED_LAYOUT(t{number}, struct T{number}, ({kind}));\n"
    )


def cpp_source(number, native):
    return f'struct T{number} {{ {member(native)} }};\nDATABLOCK_DESCRIBE(T{number}, "T", 1, 0, 0, a)\n'


def compiled(language, cells, build, directory):
    head, source, compiler, suffix = {
        "c": (C_HEAD, c_source, ["gcc", "-std=gnu11"], "c"),
        "cpp": (CPP_HEAD, cpp_source, ["g++", "-std=gnu++17"], "cpp"),
    }[language]
    include = f"-I{ROOT / 'include'}"

    def refused(at):
        file = directory / f"refused{at}.{suffix}"
        file.write_text(head + source(at, cells[at]) + "int main(void) { return 0; }\n")
        done = subprocess.run([*compiler, include, "-fsyntax-only", file], capture_output=True, text=True)
        return done.stderr if done.returncode != 0 else "it compiles"

    good = [at for at in cells if not isinstance(cells[at], Refused)]
    file, program = directory / f"types.{suffix}", directory / f"types.{suffix}.program"
    shows = [
        f"    show(&t{at}.layout);\n"
        if language == "c"
        else f"    std::puts(std::string(datablock::Schema::of<T{at}>().canonical()).c_str());\n"
        for at in good
    ]
    file.write_text(head + "".join(source(at, cells[at]) for at in good) + f"int main(void) {{\n{''.join(shows)}}}\n")
    subprocess.run(
        [
            *compiler,
            "-Wall",
            "-Wextra",
            "-Werror",
            include,
            file,
            "-o",
            program,
            f"-L{build}",
            "-ldatablock",
            f"-Wl,-rpath,{build}",
        ],
        check=True,
    )
    said = dict(
        zip(
            good,
            subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines(),
            strict=True,
        )
    )
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        bad = [at for at in cells if at not in said]
        return said | dict(zip(bad, pool.map(refused, bad), strict=True))


# ---- Go ----


def go(cells, directory):
    types = "".join(
        f"\tfunc() {{\n\t\ttype T struct{{ A {native} }}\n\t\tshow[T]({at})\n\t}}()\n" for at, native in cells.items()
    )
    file = directory / "types.go"
    file.write_text(
        'package main\n\nimport (\n\t"fmt"\n\t"sync/atomic"\n\n\t"datablock"\n)\n\n'
        "type Point struct{ X, Y float32 }\n\n"
        "var _ atomic.Int32\n\nfunc show[T any](at int) {\n\ts, err := datablock.SchemaOf[T](datablock.Version{})\n"
        '\tif err != nil {\n\t\tfmt.Printf("%d %v\\n", at, err)\n\t\treturn\n\t}\n'
        '\tfmt.Printf("%d %s\\n", at, s.Canonical())\n}\n\n'
        f"func main() {{\n{types}}}\n"
    )
    done = subprocess.run(["go", "run", "-buildvcs=false", file], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return {int(at): text for at, text in (line.split(" ", 1) for line in done.stdout.splitlines())}


# ---- Python ----


def python(cells):
    import numpy

    from datablock_ctypes import Invalid, Schema

    class Point(ctypes.Structure):
        _fields_ = (("x", ctypes.c_float), ("y", ctypes.c_float))

    class Either(ctypes.Union):
        _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_float))

    ways = {
        "ctypes": lambda native: Schema.from_ctypes(
            type(
                "T",
                (ctypes.Structure,),
                {"_fields_": (("a", *eval(f"({native},)", {**vars(ctypes), "Point": Point, "Either": Either})),)},
            )
        ),
        "numpy": lambda native: Schema.from_dtype(numpy.dtype([("a", *as_dtype(native))], align=True), "T"),
        "dataclass": lambda native: Schema.from_dataclass(
            make_dataclass(
                "T",
                [
                    (
                        "a",
                        eval(
                            native, {"numpy": numpy, "Point": make_dataclass("Point", [("x", "f32"), ("y", "f32")])}
                        ),
                    )
                ],
            )
        ),
    }

    def as_dtype(native):
        if native == "POINT":
            return (numpy.dtype([("x", "f4"), ("y", "f4")], align=True),)
        kind, _, shape = native.partition(", ")
        return (kind, eval(shape)) if shape else (kind,)

    def say(way, native):
        try:
            return ways[way](native).canonical
        except Invalid as error:
            return str(error)

    return {way: {at: say(way, native) for at, native in cells[way].items()} for way in ways}


def table(failures):
    lines = ["| in the schema | " + " | ".join(LANGUAGES.values()) + " |", "|" + "---|" * (1 + len(LANGUAGES))]
    for at, (of, natives) in enumerate(ROWS):
        cells = []
        for language, native in natives.items():
            shown = (
                "" if native is None else f"`{native.replace('|', '')}`" if "`" not in native else f"`` {native} ``"
            )
            cells.append(f"{shown}: refused" if isinstance(native, Refused) and of else shown)
            if (language, at) in failures:
                cells[-1] += " **wrong**"
        lines.append(f"| {f'`{of}`' if of else 'refused'} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    directory = build / "native" / "_types"  # Go looks into no folder that begins so
    directory.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(ROOT / "python"))
    os.environ["DATABLOCK_LIBRARY"] = str(build / "libdatablock.so")
    from datablock_ctypes import Schema

    cells = {
        language: {at: natives[language] for at, (_, natives) in enumerate(ROWS) if natives[language] is not None}
        for language in LANGUAGES
    }
    said = {
        "c": compiled("c", cells["c"], build, directory),
        "cpp": compiled("cpp", cells["cpp"], build, directory),
        "go": go(cells["go"], directory),
    }
    said.update(python(cells))
    wanted = {of: Schema.parse(text).canonical for of, text in texts().items()}
    bad, failures = [], set()
    for language, of_language in cells.items():
        for at, native in of_language.items():
            found = said[language][at]
            right = native.says in found if isinstance(native, Refused) else found == wanted[ROWS[at][0]]
            if not right:
                failures.add((language, at))
                bad.append(f"{LANGUAGES[language]}: {native}: {found}")
    document = DOCUMENT.read_text()
    before, rest = document.split(MARKS[0])
    old, after = rest.split(MARKS[1])
    new = table(failures)
    if arguments.write and not bad:
        DOCUMENT.write_text(before + MARKS[0] + new + MARKS[1] + after)
    elif old != new:
        bad.append(f"{DOCUMENT}: the table is another one: run {' '.join(sys.argv)} --write")
    print(*bad, sep="\n")
    print(f"{sum(map(len, cells.values()))} cells")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
