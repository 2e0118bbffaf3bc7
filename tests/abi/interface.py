"""Compares the C interface with the record of the released one, by abidw and abidiff.

Usage: interface.py BUILD library|headers|verdicts, or interface.py BUILD record

`library` compares the exported functions and what their parameters lead to. `headers` compares
every type and constant of the headers, with the structs that inline functions share with the
library. `verdicts` changes copies of the records, and expects a verdict on each. `record` writes
the records again. The names of the records have the versions of the interface.
"""

import functools
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "tests" / "abi" / "recorded"
SKIPPED = 77
KINDS = ("library", "headers")

# abidiff ends with a sum of these bits.
FAILED, DIFFERS = 1 | 2, 4 | 8

# These structs have a size field, or are in memory of the library: they may grow at their end.
GROWING = """
[suppress_type]
  name_regexp = ^(datablock_config|datablock_consumer_options|datablock_metrics|datablock_recovery_step)$
  has_data_member_inserted_at = end
"""
# Programs with inline functions of another version do not use them.
INLINE = "^datablock_inline_"
NO_INLINE = f"\n[suppress_type]\n  name_regexp = {INLINE}\n"
ONLY_INLINE = f"\n[suppress_type]\n  name_not_regexp = {INLINE}\n"
# The bytes of a block have a version of their own, and tests/format.
NO_LAYOUT = "[suppress_type]\n  name_regexp = ^datablock_layout_\n  drop = yes\n"


def run(*command, ends=(0,)):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode not in ends:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def number(header, name):
    return int(re.search(rf"^#define {name} (\d+)$", (ROOT / "include" / header).read_text(), re.MULTILINE)[1])


def version():
    """The version of the interface: major, minor, and the version of the inline functions."""
    return (
        number("datablock.h", "DATABLOCK_VERSION_MAJOR"),
        number("datablock.h", "DATABLOCK_VERSION_MINOR"),
        number("datablock/detail/handle.h", "DATABLOCK_INLINE_VERSION"),
    )


def record_of(kind):
    """The record, and its version."""
    found = list(RECORDS.glob(f"{kind}-*.abi"))
    if len(found) != 1:
        sys.exit(f"{RECORDS} has {len(found)} records {kind}-MAJOR.MINOR-INLINE.abi: it must have one")
    return found[0], tuple(map(int, re.findall(r"\d+", found[0].stem)))


# ---- Descriptions --------------------------------------------------------------------------------


def description(kind, build, folder):
    """What abidw says of the interface as it is now."""
    if kind == "library":
        binary = build / "debug" / "libdatablock.so"
        if not binary.exists():
            sys.exit(f"{binary} is not built: cmake --build {build} --target datablock_debug_go")
        scope = ("--exported-interfaces-only",)
    else:
        binary = folder / "headers.so"
        flags = ("-std=gnu11", "-g", "-fno-eliminate-unused-debug-types", "-shared", "-fPIC")
        run("gcc", *flags, f"-I{ROOT / 'include'}", "-o", binary, ROOT / "tests" / "abi" / "interface.c")
        (folder / "layout").write_text(NO_LAYOUT)
        scope = ("--load-all-types", "--suppressions", folder / "layout")
    file = folder / f"{kind}.abi"
    text = run(
        "abidw",
        "--no-show-locs",
        "--no-corpus-path",
        "--no-comp-dir-path",
        "--no-elf-needed",
        "--drop-private-types",
        "--headers-dir",
        ROOT / "include",
        "--type-id-style",
        "hash",
        *scope,
        binary,
    ).stdout
    # The name of the source file is a path of this machine.
    file.write_text(re.sub(r" path='[^']*/([^'/]*)'", r" path='\1'", text))
    return file


def differences(kind, old, new, rules, *options):
    """What abidiff says, and whether something differs that its rules do not allow."""
    # No function leads to most types of the headers. With the library abidiff 2.2 aborts.
    unreachable = ("--non-reachable-types",) if kind == "headers" else ()
    with tempfile.NamedTemporaryFile("w", suffix=".rules") as file:
        file.write(rules or "[suppress_type]\n  name = none\n")
        file.flush()
        done = run(
            "abidiff",
            *unreachable,
            "--suppressions",
            file.name,
            *options,
            old,
            new,
            ends=[code for code in range(16) if not code & FAILED],
        )
    return done.stdout, done.returncode & DIFFERS


def lost(kind, old, new, rules):
    """What is gone or has changed, without what was only added."""
    text, _ = differences(kind, old, new, rules)
    counts = re.findall(r"(\d+) removed, (\d+) changed", text, re.IGNORECASE)
    return text if any(int(count) for pair in counts for count in pair) else ""


def added(kind, old, new, rules):
    text, differs = differences(kind, old, new, rules, "--harmless", "--leaf-changes-only")
    return text if differs else ""


# ---- Verdicts ------------------------------------------------------------------------------------


def verdict(kind, record, then, new, now, tell=print):
    """What is wrong, or "". `then` and `now` are the versions of the two descriptions."""
    again = "python tests/abi/interface.py BUILD record"
    released, inline = "{}.{}".format(*then), then[2]
    if then > now or then[0] != now[0]:
        return f"The record {record.name} is not of this version, {now[0]}.{now[1]}-{now[2]}: {again}"
    broken = lost(kind, record, new, GROWING + NO_INLINE)
    if broken:
        return (
            f"{broken}\nThis change breaks programs that were compiled with version {released}. Undo it. Instead "
            'add a function, or a field at the end of a struct that has a size field (docs/RATIONALE.md: "A struct '
            'grows only where the caller says its size"). If the change only gives a meaning to reserved bytes, '
            f"raise DATABLOCK_VERSION_MINOR and record the interface again: {again}"
        )
    more = added(kind, record, new, NO_INLINE)
    if more and now[:2] == then[:2]:
        return (
            f"{more}\nThe interface has more than version {released}. Raise DATABLOCK_VERSION_MINOR in "
            "include/datablock.h, and name the addition in CHANGELOG.md. If version "
            f"{released} is not released yet, record the interface again instead: {again}"
        )
    if more:
        tell(f"{more}\nThis is new since version {released}, and the version is {now[0]}.{now[1]}: fine.")
    if kind == "headers" and now[2] == inline:
        shared = added(kind, record, new, ONLY_INLINE)
        if shared:
            return (
                f"{shared}\nInline functions of programs that were compiled with inline version {inline} would "
                "misread these structs. Raise DATABLOCK_INLINE_VERSION in include/datablock/detail/handle.h, and "
                f"record the interface again. If version {inline} is not released yet, only record it: {again}"
            )
    return ""


def judge(kind, build, folder):
    record, then = record_of(kind)
    said = verdict(kind, record, then, description(kind, build, folder), version())
    print(said or f"{kind}: as in {record.relative_to(ROOT)}")
    return 1 if said else 0


def write_records(build, folder):
    for kind in KINDS:
        new = description(kind, build, folder)
        for old in RECORDS.glob(f"{kind}-*.abi"):
            old.unlink()
        name = "{}-{}.{}-{}.abi".format(kind, *version())
        shutil.copy(new, RECORDS / name)
        print(f"recorded: {RECORDS / name}")


# ---- The verdicts themselves ---------------------------------------------------------------------


def changed(record, to, change):
    """A copy of a record, changed by a function."""
    tree = xml.etree.ElementTree.parse(record)
    change(tree.getroot())
    tree.write(to)
    return to


def without(root, tag, name):
    count = 0
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == tag and child.get("name") == name:
                parent.remove(child)
                count += 1
    assert count, (tag, name)


def without_function(name, root):
    without(root, "elf-symbol", name)
    without(root, "function-decl", name)


def without_enumerator(name, root):
    without(root, "enumerator", name)


def with_enumerator(enum, root):
    for found in root.iter("enum-decl"):
        if found.get("name") == enum:
            found.append(xml.etree.ElementTree.Element("enumerator", name="DATABLOCK_GONE", value="4711"))
            return
    raise AssertionError(enum)


def with_value(name, root):
    next(one for one in root.iter("enumerator") if one.get("name") == name).set("value", "4711")


def with_function(copied, root):
    """The record has one more function, which the library therefore lacks."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("name") == copied and child.tag in ("elf-symbol", "function-decl"):
                text = xml.etree.ElementTree.tostring(child, encoding="unicode").replace(copied, "datablock_gone")
                parent.append(xml.etree.ElementTree.fromstring(text))


def with_parameter(function, index, kind, root):
    to = next(one.get("id") for one in root.iter("typedef-decl") if one.get("name") == kind)
    found = next(one for one in root.iter("function-decl") if one.get("name") == function)
    found.findall("parameter")[index].set("type-id", to)


def with_fewer_fields(struct, count, bits, root):
    found = next(one for one in root.iter("class-decl") if one.get("name") == struct)
    for field in found.findall("data-member")[-count:]:
        found.remove(field)
    found.set("size-in-bits", str(int(found.get("size-in-bits")) - bits))


BREAKS, MORE, SHARED = "This change breaks programs", "The interface has more", "would misread these structs"
SAME, NEXT = (0, 0, 0), (0, 1, 0)

# In each row the record is the older interface: what the record lacks was added since.
CHANGES = (
    ("nothing", "library", lambda root: None, ""),
    ("nothing", "headers", lambda root: None, ""),
    ("a function is removed", "library", functools.partial(with_function, "datablock_wake"), BREAKS),
    (
        "a parameter has another type",
        "library",
        functools.partial(with_parameter, "datablock_write_commit", 2, "uint32_t"),
        BREAKS,
    ),
    ("a struct grows", "library", functools.partial(with_fewer_fields, "datablock_read_slot", 2, 64), BREAKS),
    ("a struct grows", "headers", functools.partial(with_fewer_fields, "datablock_read_slot", 2, 64), BREAKS),
    ("an array's struct grows", "library", functools.partial(with_fewer_fields, "datablock_block_info", 2, 64), BREAKS),
    ("a status is removed", "library", functools.partial(with_enumerator, "datablock_status"), BREAKS),
    ("a flag has another value", "headers", functools.partial(with_value, "DATABLOCK_FLAG_REPLACE"), BREAKS),
    ("a function is added", "library", functools.partial(without_function, "datablock_wake"), MORE),
    ("a status is added", "library", functools.partial(without_enumerator, "DATABLOCK_E_PANIC"), MORE),
    ("a flag is added", "headers", functools.partial(without_enumerator, "DATABLOCK_FLAG_FORBID_LOSSLESS"), MORE),
    *(
        ("a struct with a size grows", kind, functools.partial(with_fewer_fields, struct, fields, 64), MORE)
        for kind in KINDS
        for struct, fields in (("datablock_config", 2), ("datablock_consumer_options", 1), ("datablock_metrics", 1))
    ),
    ("an inline struct grows", "library", functools.partial(with_fewer_fields, "datablock_inline_thread", 2, 64), ""),
    (
        "an inline struct grows",
        "headers",
        functools.partial(with_fewer_fields, "datablock_inline_producer", 1, 64),
        SHARED,
    ),
)


def verdicts(build, folder):
    """Every change gets its verdict. With the next minor version an addition is fine."""
    wrong = []
    for what, kind, change, wanted in CHANGES:
        record, then = record_of(kind)
        old = changed(record, folder / f"changed-{kind}.abi", change)
        for step in (SAME, NEXT):
            now = tuple(map(sum, zip(then, step, strict=True)))
            said = verdict(kind, old, then, record, now, tell=lambda text: None)
            expected = "" if wanted == MORE and step == NEXT else wanted
            if (expected not in said) if expected else said:
                wrong.append(f"{what} ({kind}, {step}): {said or 'no complaint'}")
    record, then = record_of("headers")
    old = changed(record, folder / "inline.abi", CHANGES[-1][2])
    said = verdict("headers", old, then, record, (then[0], then[1], then[2] + 1))
    if said:
        wrong.append(f"an inline struct grows, with the next inline version: {said}")
    for now in ((then[0] + 1, 0, then[2]), (then[0], then[1], then[2] - 1)):
        if "is not of this version" not in verdict("headers", record, then, record, now):
            wrong.append(f"version {now} with the record {record.name}: no complaint")
    print("\n\n".join(wrong) or f"{len(CHANGES)} changes, each with its verdict")
    return 1 if wrong else 0


def main():
    build, what = Path(sys.argv[1]).resolve(), sys.argv[2]
    missing = [tool for tool in ("abidw", "abidiff", "gcc") if not shutil.which(tool)]
    if missing:
        print(f"missing: {' '.join(missing)}; the Debian package abigail-tools has abidw and abidiff")
        return SKIPPED
    if platform.machine() != "x86_64":
        print(f"the records are of x86_64, and this machine is {platform.machine()}")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="datablock-interface-") as name:
        folder = Path(name)
        if what == "record":
            return write_records(build, folder)
        return verdicts(build, folder) if what == "verdicts" else judge(what, build, folder)


if __name__ == "__main__":
    sys.exit(main())
