#!/usr/bin/env python3
"""Runs the Go tests of the library, and those of processes that share a block, under Wine.

Usage: run.py BUILD PART [--long] [ARGUMENT]... A part is the folder of a package, with
`.crashpoints` for the build with crash points, or `processes`: the tests in tests/go/process, which
need BUILD/windows/test/datablock.dll (target windows_test_dll). With --long the tests are not
shortened. Arguments such as -test.run=NAME go to the test program. Exit code 77: the tools are
missing.

Wine shows that the calls of the system are used as its interface says, and that the protocol works
on it. It does not show how Windows itself decides about access, or how long its calls take.
"""

import json
import os
import pathlib
import subprocess
import sys

import checks
import exchange
import wine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]

# Tests that do not run here, by package, and why.
MANY_FILES = ("it opens a locked file tens of thousands of times. The server of Wine keeps each such file open "
              "until the last lock is gone, and has no more descriptors then")
NO_COMPILER = "it runs a compiler of this machine"
NOT_RUN = {
    "internal/core/recovery": {
        "TestAFlippedBitInAnyHeaderByteIsFoundAndMended": MANY_FILES,
        "TestImpossibleStatesAreFound": "it takes half a minute here, and shows nothing of the system",
        "TestAFullBlockSaysWhoHasItsRows": "it takes minutes here, and shows nothing of the system",
        "TestNoFalseAlarm": "it takes minutes here, and shows nothing of the system",
        "TestHostileBlocks": MANY_FILES,
        "TestMixedUpFiles": MANY_FILES,
    },
    "schema": {
        "TestGeneratedForC": NO_COMPILER,
        "TestGeneratedForGo": NO_COMPILER,
        "TestADanglingLinkIsNamed": "Wine does not make a symbolic link that leads to no file",
    },
}

# The tests of processes in the short form, with fewer points, kills and messages. Each run has
# other points and other kills.
SHORT_PROCESSES = "^(TestKilledAtEveryPoint|TestStorm|TestThreeDeliveriesOnOneBlock)$"
SHORT_VARIABLES = {"DATABLOCK_POINTS": "6", "DATABLOCK_STORM": "20"}
LONG_VARIABLES = {"DATABLOCK_STORM": "60"}  # the test polls a locked file: see MANY_FILES


def command(*words, **options):
    done = subprocess.run([str(w) for w in words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def overlay(into):
    """A file of Go's own packages that knows how Wine 8 refuses a call.

    os.RemoveAll removes files in a way that Wine does not have. Go has another way for systems that
    say so, and Wine says so with another number.
    """
    source = pathlib.Path(command("go", "env", "GOROOT").strip()) / "src/internal/syscall/windows/at_windows.go"
    text, known = source.read_text(encoding="utf-8"), "case STATUS_INVALID_INFO_CLASS,"
    if text.count(known) != 1:
        sys.exit(f"{source} has no line {known}: adapt overlay() to this version of Go")
    changed = into / "at_windows.go"
    changed.write_text(text.replace(known, f"case NTStatus(0xC0000002), // STATUS_NOT_IMPLEMENTED\n\t\t{known[5:]}"),
                       encoding="utf-8")
    listing = into / "overlay.json"
    listing.write_text(json.dumps({"Replace": {str(source): str(changed)}}), encoding="utf-8")
    return listing


def build(into, name, package, *flags):
    environment = {**os.environ, "GOOS": "windows", "GOARCH": "amd64", "CGO_ENABLED": "0", "GOWORK": "off"}
    program = into / f"{name}.exe"
    command("go", "test", "-c", "-buildvcs=false", f"-overlay={overlay(into)}", "-o", program, *flags, package,
            env=environment)
    return program


def run_package(prefix, into, part, arguments):
    package = part.removesuffix(".crashpoints")
    tags = ["-tags=crashpoints"] if package != part else []
    name = "datablock" if package == "." else part.replace("/", "_")
    program = build(into, f"{name}.test", f"./{package}", *tags)
    left_out = NOT_RUN.get(package, {})
    for test, reason in left_out.items():
        print(f"NOT RUN: {test}: {reason}", flush=True)
    if left_out:
        arguments = [*arguments, f"-test.skip=^({'|'.join(left_out)})$"]
    return prefix.run(program, *arguments, stdout=None, cwd=ROOT / package, limit=1500)


def run_processes(prefix, into, build_folder, long, arguments):
    workers = into / "workers"
    workers.mkdir(exist_ok=True)
    exchange.programs_in(workers, build_folder)
    program = build(into, "processes.test", "./tests/go/process")
    if not long and not any(a.startswith("-test.run=") for a in arguments):
        arguments = [*arguments, f"-test.run={SHORT_PROCESSES}"]
    variables = {**(LONG_VARIABLES if long else SHORT_VARIABLES),
                 **{name: value for name, value in os.environ.items() if name in ("DATABLOCK_POINTS", "DATABLOCK_STORM",
                                                                                  "DATABLOCK_TURN")}}
    return prefix.run(program, *arguments, stdout=None, cwd=ROOT / "tests/go/process", limit=7000,
                      variables={**variables, "DATABLOCK_WORKERS": prefix.path(workers)})


def main():
    p = checks.parser(__doc__)
    p.add_argument("part")
    p.add_argument("--long", action="store_true")
    a, more = p.parse_known_args()
    wine.require_tools()
    build_folder = a.build.resolve()
    into = build_folder / "windows-tests"
    into.mkdir(parents=True, exist_ok=True)
    arguments = ["-test.v", *([] if a.long else ["-test.short"]), *more]
    with wine.prefix(build_folder) as prefix:
        if a.part == "processes":
            code, said = run_processes(prefix, into, build_folder, a.long, arguments)
        else:
            code, said = run_package(prefix, into, a.part, arguments)
    print(said, end="")
    if code != 0:
        print(f"{a.part}: exit code {code}")
    return code


if __name__ == "__main__":
    sys.exit(main())
