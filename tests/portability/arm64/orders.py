#!/usr/bin/env python3
"""Checks which instructions of arm64 the memory orders of the protocol become.

Usage: orders.py. The accesses are those in include/datablock/detail/orders.h. The program compiles
the inline functions, one copy of each, and the library's own source that uses the orders, for
several processors and with both compilers. It looks at the instructions that the compiler
attributes to the lines of each access: each access has an instruction of its order, and none of a
weaker one. The rows of docs/memory-order.md are compared with the sources.

Nothing is executed.
"""

import collections
import pathlib
import re
import shutil
import sys
from dataclasses import dataclass, replace

import emulator
from emulator import PREFIX, ROOT, SYSROOT, command

PAGE = ROOT / "docs/memory-order.md"
ORDERS = ROOT / "include/datablock/detail/orders.h"
SOURCES = [*sorted((ROOT / "include/datablock/detail").glob("*.h")), ROOT / "capi/protocol_wait_any.c"]

# Processors, with the flags of the compilers. gcc calls functions of libgcc for atomic operations
# unless the flags say otherwise; these functions choose between CASAL and LDAXR with STLXR.
PROCESSORS = {
    "outline": ["-march=armv8-a", "-moutline-atomics"],
    "v8.0": ["-march=armv8-a", "-mno-outline-atomics"],
    "v8.1": ["-march=armv8.1-a"],
    "v8.3": ["-march=armv8.3-a"],
}
UNITS = {
    "user": (["-xc"], "include/datablock_inline.h"),
    "library": (["-D_GNU_SOURCE"], "capi/protocol_wait_any.c"),
}

# Exactly one copy of each inline function, so that the instructions of a line can be counted.
ONE_COPY = ["-O1", "-fno-inline", "-Dalways_inline=used"]

# What an operation with an order becomes, and what would be too weak. The instructions are
# patterns of the whole mnemonic, or the name of a called function.
EXCLUSIVE = r"ldaxr", r"stlxr"
EXCLUSIVELY = r"ldxr|stxr"
INSTRUCTIONS = {
    ("load", "SEQ_CST"): (r"ldar", r"ldapu?r"),
    ("load", "ACQUIRE"): (r"ldar|ldapu?r", r""),
    ("store", "SEQ_CST"): (r"stlu?r", r""),
    ("store", "RELEASE"): (r"stlu?r", r""),
    ("exchange", "SEQ_CST"): (r"swpal|ldaxr|__aarch64_swp\d_acq_rel",
                              rf"swp[al]?|{EXCLUSIVELY}|__aarch64_swp\d_(relax|acq|rel)"),
    ("add_fetch", "SEQ_CST"): (r"ldaddal|ldaxr|__aarch64_ldadd\d_acq_rel",
                               rf"ldadd[al]?|stadd|{EXCLUSIVELY}|__aarch64_ldadd\d_(relax|acq|rel)"),
    ("compare_exchange", "SEQ_CST"): (r"casal|ldaxr|__aarch64_cas\d_acq_rel",
                                      rf"cas[al]?|{EXCLUSIVELY}|__aarch64_cas\d_(relax|acq|rel)"),
    ("fence", "SEQ_CST"): (r"dmb ish", r"dmb ish(ld|st)"),
}


@dataclass(frozen=True)
class Access:
    """One place in the sources: the lines of one atomic operation."""

    name: str
    operation: str
    file: str
    first: int
    last: int
    function: str


def orders():
    """The order of each access: what the headers define."""
    text = ORDERS.read_text(encoding="utf-8")
    found = dict(re.findall(r"^#define DATABLOCK_ORDER_(\w+) __ATOMIC_(\w+)$", text, re.M))
    if len(found) < 20:
        sys.exit(f"{ORDERS} has {len(found)} orders: are they still written as this program looks for them?")
    return {**found, "datablock_inline_enter": "SEQ_CST"}


FUNCTION = re.compile(r"^(?:DATABLOCK_INLINE\w*|static)\b[^\n;=]*?(\w+)\(", re.M)
OPERATION = re.compile(r"__atomic_(load|store|exchange|add_fetch|compare_exchange|thread_fence)(?:_n)?\(")


def closes(text, opened):
    """Where the parenthesis at `opened` is closed."""
    depth = 0
    for at in range(opened, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def lines_of(text, macros, begin, end):
    """The lines to which a compiler attributes an operation: all of it, or the macro around it."""
    around = [m.start() for m in macros if m.start() < begin < end < closes(text, m.end() - 1)]
    first, last = (around[0], around[0]) if around else (begin, end)
    return text.count("\n", 0, first) + 1, text.count("\n", 0, last) + 1


def accesses():
    """Every use of an order, with the lines of its operation."""
    found = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        functions = list(FUNCTION.finditer(text))
        begins, macros = list(OPERATION.finditer(text)), list(re.finditer(r"\bDATABLOCK_[A-Z_]+\(", text))
        for use in re.finditer(r"\bDATABLOCK_ORDER_(\w+)", text) if path != ORDERS else ():
            operation = [b for b in begins if b.start() < use.start() < closes(text, b.end() - 1)][-1]
            function = [f[1] for f in functions if f.start() < use.start()][-1]
            found.append(Access(use[1], operation[1], name, *lines_of(text, macros, operation.start(), use.start()),
                                function))
        for fence in (b for b in begins if b[1] == "thread_fence"):
            function = [f[1] for f in functions if f.start() < fence.start()][-1]
            found.append(Access(function, "fence", name, *lines_of(text, macros, fence.start(), fence.end()), function))
    return found


# ---- The instructions of each line ---------------------------------------------------------------


def instructions_by_line(assembly):
    """The instructions of each (file, line), from a compiler's output with its .loc directives."""
    files, by_line, at = {}, collections.defaultdict(list), None
    for line in assembly.splitlines():
        if number := re.match(r'\s*\.file\s+(\d+)\s+"([^"]+)"(?:\s+"([^"]+)")?', line):
            files[number[1]] = f"{number[2]}/{number[3]}" if number[3] else number[2]
        elif place := re.match(r"\s*\.loc\s+(\d+)\s+(\d+)", line):
            at = files[place[1]], int(place[2])
        elif re.match(r"\S+:", line):
            continue
        elif (instruction := re.match(r"\s+([a-z][a-z0-9.]*)(?:\s+(\S+))?", line)) and at:
            mnemonic, operand = instruction[1], instruction[2] or ""
            by_line[at].append(operand if mnemonic == "bl" else f"dmb {operand}" if mnemonic == "dmb" else mnemonic)
    return by_line


def compiled(compiler, processor, unit):
    """The instructions of a unit, by line of a file in the source tree."""
    flags, source = UNITS[unit]
    words = ["clang", "--target=aarch64-linux-gnu", f"-I{SYSROOT}/include", "-Wno-unused-command-line-argument"]
    if compiler == "gcc":
        words = [f"{PREFIX}gcc"]
    assembly = command(*words, "-std=gnu11", "-S", "-g", *ONE_COPY, *PROCESSORS[processor], *flags,
                       f"-I{ROOT}/include", f"-I{ROOT}/capi", ROOT / source, "-o", "-", cwd=ROOT)
    by_line = collections.defaultdict(list)
    for (file, line), found in instructions_by_line(assembly).items():
        path = pathlib.Path(file)
        path = path if path.is_absolute() else ROOT / path
        if path.is_relative_to(ROOT):
            by_line[str(path.relative_to(ROOT)), line] += found
    return by_line


def expected(pattern, processor):
    """The alternatives of a pattern that a processor's compiler has to use.

    A processor from ARMv8.1 on has one instruction for a change. An older one has LDAXR. Code for
    any processor calls a function. All of them have the same instructions for loads and stores.
    """
    parts = pattern.split("|")
    if "ldaxr" not in parts:
        return pattern
    return {"outline": parts[2], "v8.0": "ldaxr"}.get(processor, parts[0])


def whole(pattern, instruction):
    return re.fullmatch(pattern, instruction) is not None


def faults_of(access, beside, order, by_line, processor, where):
    """What is wrong with an access in one unit. None: the unit does not have the access.

    `beside` accesses of the same kind have the same lines.
    """
    here = [i for line in range(access.first, access.last + 1) for i in by_line[access.file, line]]
    wanted, weaker = INSTRUCTIONS[access.operation, order]
    wanted = expected(wanted, processor)
    if not here:
        return None
    place = f"{access.file}:{access.first}: {access.name} ({access.operation}, {order}), {where}"
    faults = [f"{place}: {i} is weaker than the order" for i in here if whole(weaker, i)]
    count = sum(whole(wanted, i) for i in here)
    if count < beside:
        faults.append(f"{place}: {count} times {wanted}, not {beside}, among {sorted(here)}")
    if access.operation != "load" and here.count("ldaxr") > here.count("stlxr"):
        faults.append(f"{place}: LDAXR without STLXR")
    return faults


def check_instructions(every, order_of):
    """Returns what is wrong. Each access must have been seen with each compiler and processor."""
    faults, compilers = [], ["gcc", *(["clang"] if shutil.which("clang") else [])]
    if "clang" not in compilers:
        print("NOT RUN: the same with clang, which is not installed")
    for compiler in compilers:
        for processor in PROCESSORS:
            seen = set()
            for unit in UNITS:
                by_line = compiled(compiler, processor, unit)
                for access in every:
                    beside = sum(replace(a, name="") == replace(access, name="") for a in every)
                    wrong = faults_of(access, beside, order_of[access.name], by_line, processor,
                                      f"{compiler} {processor} {unit}")
                    if wrong is not None:
                        seen.add(access)
                        faults += wrong
            faults += [f"{a.file}:{a.first}: {a.name}: no instruction with {compiler} {processor}"
                       for a in every if a not in seen]
            print(f"{compiler:<6}{processor:<8} {len(seen)} of {len(every)} accesses", flush=True)
    return faults


def check_helpers():
    """The functions of libgcc that gcc calls are CASAL and so on, or LDAXR with STLXR."""
    library = command(f"{PREFIX}gcc", "-print-libgcc-file-name").strip()
    faults = []
    for name, instruction in (("__aarch64_cas8_acq_rel", "casal"), ("__aarch64_swp8_acq_rel", "swpal"),
                              ("__aarch64_ldadd8_acq_rel", "ldaddal")):
        text = command(f"{PREFIX}objdump", "-d", f"--disassemble={name}", library)
        there = set(re.findall(r"^ +[0-9a-f]+:\t[0-9a-f ]+\t(\w+)", text, re.M))
        if not {instruction, *EXCLUSIVE} <= there:
            faults.append(f"{name} of libgcc has {sorted(there)}, without {instruction} or {EXCLUSIVE}")
    return faults


# ---- The page -----------------------------------------------------------------------------------

# The instructions as the page names them: of ARMv8.0, and of ARMv8.1 and later.
ON_THE_PAGE = {
    ("load", "SEQ_CST"): ("LDAR", "LDAR"),
    ("load", "ACQUIRE"): ("LDAR", "LDAPR"),
    ("store", "SEQ_CST"): ("STLR", "STLR"),
    ("store", "RELEASE"): ("STLR", "STLR"),
    ("exchange", "SEQ_CST"): ("LDAXR, STLXR", "SWPAL"),
    ("add_fetch", "SEQ_CST"): ("LDAXR, STLXR", "LDADDAL"),
    ("compare_exchange", "SEQ_CST"): ("LDAXR, STLXR", "CASAL"),
    ("fence", "SEQ_CST"): ("DMB ISH", "DMB ISH"),
}


def check_page(every, order_of):
    """Returns which rows docs/memory-order.md lacks, and which are wrong."""
    rows = set(re.findall(r"^\| (`\w+` \| [\w ]+ \| \w+ \| [A-Z, ]+ \| [A-Z, ]+ \| [\w`, ]+) \|",
                          PAGE.read_text(encoding="utf-8"), re.M))
    wanted = set()
    for access in every:
        order = order_of[access.name]
        functions = sorted({a.function for a in every if a.name == access.name})
        cells = (f"`{access.name}`", access.operation.replace("_", " "), "SC" if order == "SEQ_CST" else order.lower(),
                 *ON_THE_PAGE[access.operation, order], ", ".join(f"`{f}`" for f in functions))
        wanted.add(" | ".join(cells))
    return [*(f"docs/memory-order.md lacks | {row} |" for row in sorted(wanted - rows)),
            *(f"docs/memory-order.md has | {row} |, and the sources do not" for row in sorted(rows - wanted))]


def main():
    emulator.require_tools(cxx=False)
    every, order_of = accesses(), orders()
    unused = set(order_of) - {a.name for a in every}
    faults = [f"{name} is used nowhere" for name in sorted(unused)]
    for access in every:
        if (access.operation, order_of[access.name]) not in INSTRUCTIONS:
            sys.exit(f"{access.file}:{access.first}: {access.name} ({access.operation}) has the order "
                     f"{order_of[access.name]}: INSTRUCTIONS has no row for it")
    faults += check_page(every, order_of) + check_helpers() + check_instructions(every, order_of)
    print("\n".join(faults) or "every access has an instruction of its order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
