#!/usr/bin/env python3
"""Checks the golden values in tests/format/vectors without any code of DataBlock.

schemas.json: hashlib checks the hashes. A C compiler checks the offsets of every schema whose text
leaves the layout to the rules. checksums.json: CRC32C by its definition checks the words that a
slot has.
"""

import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from struct import pack

HERE = pathlib.Path(__file__).resolve().parent
C = {
    **{f"{sign}{bits}": f"{'u' if sign == 'u' else ''}int{bits}_t" for sign in "iu" for bits in (8, 16, 32, 64)},
    **{"f32": "float", "f64": "double", "bool": "_Bool", "char": "char"},
}
ALIGN = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "f32": 4, "f64": 8, "bool": 1,
    "char": 1}


class Reader:
    """Parses a canonical line: name, fields (name, type, dimensions, offset), size, alignment."""

    def __init__(self, line):
        self.tokens = re.findall(r"\w+|[{}\[\]@:,/]", line)
        if "".join(self.tokens) != line:
            sys.exit(f"not canonical: {line}")

    def take(self, wanted=None):
        token = self.tokens.pop(0)
        if wanted not in (None, token):
            sys.exit(f"{token} where {wanted} is expected")
        return token

    def struct(self):
        fields = []
        self.take("{")
        while True:
            name = self.take()
            self.take(":")
            kind = self.struct() if self.tokens[0] == "{" else self.take()
            dims = ""
            while self.tokens[0] == "[":
                dims += self.take() + self.take() + self.take()
            self.take("@")
            fields.append((name, kind, dims, int(self.take())))
            if self.take() == "}":
                break
        size = int(self.take())
        self.take("/")
        return {"fields": fields, "size": size, "align": int(self.take())}


def natural(kind):
    return ALIGN[kind] if isinstance(kind, str) else kind["align"]


def declare(struct, indent="    "):
    """The members in C, without any offset. The names get an x, because some are keywords of C."""
    lines = []
    for name, kind, dims, _ in struct["fields"]:
        of = C[kind] if isinstance(kind, str) else declare(kind, indent + "    ")
        lines.append(f"{indent}{of} x{name}{dims};\n")
    packed = struct["align"] == 1 and any(natural(kind) > 1 for _, kind, _, _ in struct["fields"])
    return f"struct {'__attribute__((packed)) ' if packed else ''}{{\n{''.join(lines)}{indent[4:]}}}"


def places(struct, path=""):
    for name, kind, dims, offset in struct["fields"]:
        yield f"{path}x{name}", offset
        if not isinstance(kind, str) and not dims:
            for inner, inside in places(kind, f"{path}x{name}."):
                yield inner, offset + inside


def crc32c(data):
    """The CRC of RFC 3720, a bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check_checksums():
    if crc32c(b"123456789") != 0xE3069283:
        sys.exit("crc32c is not CRC32C")
    checksums = json.loads((HERE / "checksums.json").read_text())
    for golden in checksums:
        payload = bytes.fromhex(golden["payload"])
        words = pack("<4Q", crc32c(payload), golden["id"] + 1, len(payload), 0)
        if words.hex() != golden["sum"]:
            sys.exit(f"message {golden['id']} of {len(payload)} bytes: {words.hex()}, not {golden['sum']}")
    return len(checksums)


def main():
    schemas = json.loads((HERE / "schemas.json").read_text())
    source = "#include <stddef.h>\n#include <stdint.h>\n"
    compared = 0
    for number, golden in enumerate(schemas):
        digest = hashlib.blake2b(golden["canonical"].encode(), digest_size=32).hexdigest()
        if digest != golden["hash"]:
            sys.exit(f"{golden['name']}: the hash of its canonical text is {digest}, not {golden['hash']}")
        reader = Reader(golden["canonical"])
        reader.take()
        struct = reader.struct()
        if reader.tokens:
            sys.exit(f"{golden['name']}: {reader.tokens} after the end")
        text = re.sub(r"//.*", "", golden["text"])
        if re.search(r"@|\} *(size|align) ", text) or struct["size"] > 1 << 32:
            continue
        source += f"typedef {declare(struct)} T{number}; /* {golden['name']} */\n"
        source += f'_Static_assert(sizeof(T{number}) == {struct["size"]}, "size");\n'
        source += f'_Static_assert(_Alignof(T{number}) == {struct["align"]}, "alignment");\n'
        for path, offset in places(struct):
            source += f'_Static_assert(offsetof(T{number}, {path}) == {offset}, "{path}");\n'
        compared += 1
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "schemas.c")
        file.write_text(source)
        subprocess.run(["cc", "-std=gnu11", "-fsyntax-only", str(file)], check=True)
    checksums = check_checksums()
    print(f"{len(schemas)} hashes, {compared} layouts, {checksums} checksums")
    return 0 if len(schemas) >= 60 and compared >= 60 and checksums >= 7 else 1


if __name__ == "__main__":
    sys.exit(main())
