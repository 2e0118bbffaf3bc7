#!/usr/bin/env python3
"""Golden schemas as structs of a language: native.py BUILD c|cpp|go|python

There are two ways, and each must give the 32 bytes of tests/format/vectors/schemas.json:

1. `datablock-admin schema generate` writes a struct for every golden schema. The struct is
   compiled, and the schema is derived from it.
2. The schema is derived from the structs in native/, which are written by hand.

UNSAID has what a language cannot express, with the reason. If such a struct compiles, its schema
must differ, so that the list does not claim too much.
"""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

from check import HERE, Reader

ROOT = HERE.parents[2]
GOLDEN = json.loads((HERE / "schemas.json").read_text())
HANDWRITTEN = 15  # the least number of handwritten structs in each way

PACKED = [f"{kind} packed behind a byte" for kind in ("i16", "i32", "i64", "u16", "u32", "u64", "f32", "f64")]
TAIL_PACKED = [f"{kind} packed behind a byte"
               for kind in ("i8", "u8", "bool", "char")]  # only the struct's end moves
UNALIGNED = [*PACKED, *TAIL_PACKED, "natural in packed", "explicit everything", "unaligned explicit offset",
             "packed in natural", "packed array in natural"]
OVERALIGNED = ["explicit alignment", "explicit everything", "explicit nested"]
ONE_CHAR = ["scalar char", "char behind a byte", "char packed behind a byte", "strings", "many fields", "every type"]


def unsaid(names, why):
    return dict.fromkeys(names, why)


UNCOMPILED = {**unsaid(["many fields"], "DATABLOCK_DESCRIBE takes 40 members, and it has 72"),
    **unsaid(["a terabyte"], "g++ does not take such an array apart")}
UNSAID = {
    "c": unsaid(["names like words"], "struct is a word of C"),
    "cpp": {**unsaid(["names like words"], "struct is a word of C++"), **UNCOMPILED},
    "go": {**unsaid(UNALIGNED, "Go packs nothing"),
        **unsaid(OVERALIGNED, "Go aligns a struct as its fields, and not more")},
    "ctypes": unsaid([*OVERALIGNED, "unaligned explicit offset"] if sys.version_info < (3, 13) else [],
                     "ctypes has no alignment of its own before Python 3.13"),
    "dtype": {
        **unsaid([*OVERALIGNED, "unaligned explicit offset"], "NumPy aligns a struct as its fields, or not at all"),
        **unsaid(ONE_CHAR, "one char is an array of one in NumPy"),
        **unsaid(["a terabyte"], "NumPy has items of up to 2^31 bytes"),
    },
    "dataclass": {
        **unsaid([*UNALIGNED, *OVERALIGNED, "explicit offset", "explicit size"], "a dataclass has C's layout"),
        **unsaid(["nested in an array", "nested three deep", "a sensor reading"],
                 "a dataclass has no arrays of dataclasses"),
        **unsaid(["nested"], "from is a word of Python"),
    },
}


class Struct:
    """A golden schema's struct, read from its canonical line."""

    def __init__(self, golden):
        reader = Reader(golden["canonical"])
        self.schema, self.body = reader.take(), reader.struct()


def renamed(text, name):
    """The schema under another name: several have the same name, which a program can use once."""
    bare = re.sub(r"//.*", "", text)
    return re.sub(r"\bschema\s+\w+", f"schema {name}", bare, count=1)


def generate(build, number, language, directory):
    file = directory / f"G{number}.schema"
    file.write_text(renamed(GOLDEN[number]["text"], f"G{number}"))
    done = subprocess.run([build / "datablock-admin", "schema", "generate", "--lang", language, file],
                          capture_output=True, text=True)
    return (done.stdout, None) if done.returncode == 0 else (None, done.stderr.strip())


def sizes(dims):
    return re.findall(r"\d+", dims)


def member(name):
    return name + "_" if name == "struct" else name


# ---- C and C++ ----


def describe_c(lines, of, struct):
    items = []
    for name, kind, dims, _ in struct["fields"]:
        place, count = f"{of}, {member(name)}", len(sizes(dims))
        if not isinstance(kind, str):
            describe_c(lines, f"{of}_{name}", kind)
            items.append(f"DATABLOCK_STRUCT{'_ARRAY' if count else ''}({place}, {of}_{name}_layout)")
        elif count > 3:  # more dimensions than the macros have
            whole = f"((({of} *)0)->{member(name)})"
            items.append(
                f'{{"{name}", "{kind}", NULL, offsetof({place}), sizeof{whole}, {{{", ".join(sizes(dims))}}}}}')
        else:
            items.append(f"DATABLOCK_{('FIELD', 'ARRAY', 'ARRAY2', 'ARRAY3')[count]}({place})")
    lines.append(f"static const datablock_schema_field {of}_fields[] = {{{', '.join(items)}}};")
    lines.append(f"static const datablock_schema_layout {of}_layout = DATABLOCK_LAYOUT({of}, {of}_fields);")


def describe_cpp(lines, of, schema, struct):
    for name, kind, _, _ in struct["fields"]:
        if not isinstance(kind, str):
            describe_cpp(lines, f"{of}_{name}", name, kind)
    lines.append(
        f'DATABLOCK_DESCRIBE({of}, "{schema}", 1, 0, 0, '
        f'{", ".join(member(name) for name, _, _, _ in struct["fields"])})')


def compiled(language, build, directory):
    include = '#include "show.h"\n' if language == "c" else '#include "show.hpp"\n'
    source, shows = [include], []
    for number, golden in enumerate(GOLDEN):
        struct = Struct(golden)
        if language == "cpp" and golden["name"] in UNCOMPILED:
            continue
        text, refused = generate(build, number, language, directory)
        if refused:
            sys.exit(f"{golden['name']}: {refused}")
        source.append(text)
        if language == "c":
            describe_c(source, f"G{number}", struct.body)
            shows.append(f'show("{golden["name"]}", "{struct.schema}", &G{number}_layout);')
        else:
            describe_cpp(source, f"G{number}", struct.schema, struct.body)
            shows.append(f'show<G{number}>("{golden["name"]}");')
    source.append(f"int main() {{\n    {chr(10).join(shows)}\n}}\n"
                  if language == "cpp" else f"int main(void) {{\n    {chr(10).join(shows)}\n}}\n")
    suffix = {"c": "c", "cpp": "cpp"}[language]
    generated = directory / f"generated.{suffix}"
    generated.write_text("\n".join(source))
    compilers = {"c": [["gcc", "-std=c11"], ["clang", "-std=c11"]],
        "cpp": [["g++", "-std=c++17"], ["clang++", "-std=c++17"]]}[language]
    for compiler in compilers:
        for file in (generated, HERE / "native" / f"structs.{suffix}"):
            program = directory / f"{file.stem}.{compiler[0]}"
            flags = ["-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", f"-I{HERE / 'native'}"]
            subprocess.run([*compiler, *flags, file, "-o", program, f"-L{build}", "-ldatablock", f"-Wl,-rpath,{build}"],
                           check=True)
            yield f"{file.stem}, {compiler[0]}", language, subprocess.run([program], check=True, capture_output=True,
                                                                          text=True).stdout


# ---- Go ----


def go(build, directory):
    types, shows = [], []
    for number, golden in enumerate(GOLDEN):
        text, refused = generate(build, number, "go", directory)
        if refused:
            if golden["name"] not in UNSAID["go"]:
                sys.exit(f"{golden['name']}: {refused}")
            continue
        types.append(text.split('import "unsafe"\n', 1)[1])
        name = Struct(golden).schema
        shows.append(f'func() {{\n\t\ttype {name} G{number}\n\t\tshow[{name}]("{golden["name"]}")\n\t}}()')
    file = directory / "generated.go"
    file.write_text("package main\n\nimport \"unsafe\"\n" + "".join(types) + "\nfunc main() {\n\t" +
                    "\n\t".join(shows) + "\n}\n")
    for source in (file, HERE / "native" / "_go" / "structs.go"):
        copy = directory / source.name
        if copy != source:
            copy.write_text(source.read_text())
        shower = directory / "show.go"
        shower.write_text((HERE / "native" / "_go" / "show.go").read_text())
        done = subprocess.run(["go", "run", "-buildvcs=false", copy, shower], cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        yield copy.stem, "go", done.stdout


# ---- Python ----


def python(build, directory):
    sys.path[:0] = [str(ROOT / "python"), str(HERE / "native")]
    os.environ["DATABLOCK_LIBRARY"] = str(build / "libdatablock.so")
    import structs

    from datablock_ctypes import Invalid, Schema

    def line(name, make, *arguments):
        try:
            schema = make(*arguments)
        except (Invalid, ValueError, TypeError) as error:
            return f"{name}\t-\t{error}\n"
        return f"{name}\t{schema.canonical}\t{schema.hash.hex()}\n"

    from_ctypes, from_dtype, from_dataclass = "", "", ""
    for number, golden in enumerate(GOLDEN):
        text, refused = generate(build, number, "python", directory)
        if refused:
            sys.exit(f"{golden['name']}: {refused}")
        name, scope = Struct(golden).schema, {}
        structure, kind = text.split(f"\nG{number}_DTYPE = ")
        exec(structure, scope)
        from_ctypes += line(golden["name"], Schema.from_ctypes, scope[f"G{number}"], name)
        from_dtype += line(golden["name"], dtype, Schema, kind, scope, name)
        from_dataclass += line(golden["name"], lambda name, body: Schema.from_dataclass(a_dataclass(name, body)), name,
                               Struct(golden).body)
    yield "generated", "dataclass", from_dataclass
    yield "generated", "ctypes", from_ctypes
    yield "generated", "dtype", from_dtype
    for way, structures in structs.WAYS.items():
        yield f"structs, {way}", None, "".join(line(name, make) for name, make in structures)


def a_dataclass(name, struct):
    """A dataclass with the names of the fields only; `generate` writes no dataclass."""
    fields = []
    for field, kind, dims, _ in struct["fields"]:
        if not isinstance(kind, str) and dims:
            raise ValueError(f"{field} is an array of structs")
        fields.append((field, kind + dims if isinstance(kind, str) else a_dataclass(field, kind)))
    return dataclasses.make_dataclass(name, fields)


def dtype(schemas, text, scope, name):
    return schemas.from_dtype(eval(text, scope), name)


def main():
    build, language = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    directory = build / "native" / f"_{language}"  # Go ignores folders that begin with an underscore
    directory.mkdir(parents=True, exist_ok=True)
    known, bad = {golden["name"]: golden for golden in GOLDEN}, []
    ways = {"c": lambda: compiled("c", build, directory), "cpp": lambda: compiled("cpp", build, directory),
        "go": lambda: go(build, directory), "python": lambda: python(build, directory)}
    for what, way, output in ways[language]():
        right = set()
        for said in output.splitlines():
            name, canonical, digest = said.split("\t")
            if digest == known[name]["hash"]:
                right.add(name)
            elif way is None or name not in UNSAID[way]:
                bad.append(f"{what}: {name}: {canonical} ({digest}), and it is {known[name]['canonical']}")
        if way is None or what.startswith("structs"):
            bad += [f"{what}: only {len(right)} structs"] if len(right) < HANDWRITTEN else []
            print(f"{what}: {len(right)} golden schemas, written by hand")
            continue
        bad += [f"{what}: {name}: can be said, and UNSAID has it" for name in right & set(UNSAID[way])]
        bad += [f"{what}: {name}: nothing was derived" for name in set(known) - right - set(UNSAID[way])]
        print(f"{what}, {way}: {len(right)} of {len(GOLDEN)} golden schemas; it cannot say:")
        for name, why in UNSAID[way].items():
            print(f"    {name}: {why}")
    print(*bad, sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
