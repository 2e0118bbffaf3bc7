#!/usr/bin/env python3
"""Runs the Python package in CPython for Windows, under Wine.

  loader     the library is found beside the package, by DATABLOCK_LIBRARY, on PATH, and in a folder
             that the program names by os.add_dll_directory. Without it the error names each place
  deliveries a Python producer dies in the middle of a message, and a producer in C or Go goes on,
             and a Python producer goes on after one in Go. Readers of both languages have each
             delivery
  kills      a Python producer or reader dies at a random moment, as in exchange.py
  writes     an object outlives its producer. A store through the object changes no message
  ends       a producer and a consumer end without a close, or two threads close a producer. No file
             of the block stays
  copies     a copy of a block's file lies in the directory. The package does not take the copy for
             the block
  interrupt  Ctrl-C ends a wait
  paths      a directory with characters of several alphabets, as an argument and in DATABLOCK_DIR.
             What is not UTF-8 is refused
  sizes      a message of more than 4 GiB. The C type long has 32 bits, in ctypes and in NumPy
  pytest     python/tests, as far as they run on Windows. NOT_RUN says why others do not

Usage: python_package.py BUILD [CHECK]... Without a CHECK all run but `pytest`. Exit code 77: the
tools are missing.
"""

import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

import checks
import exchange
import wine

ROOT = wine.HERE.parents[2]
PYTHON = ROOT / ".tools/windows-python/python.exe"
PACKAGE = ROOT / "python"
LIMIT = 300  # seconds for one script
FOUR_GIB = 4 << 30

SAYS_ITS_LIBRARY = """
    import datablock_ctypes, os, sys
    if len(sys.argv) > 1:
        folder = os.add_dll_directory(sys.argv[1])
    try:
        print(datablock_ctypes.load())
    except datablock_ctypes.LibraryNotFound as error:
        print(error)
"""

# The late store changes a private page, or none: the package makes the pages PAGE_WRITECOPY, and
# read-only where the system has no private pages in a shared mapping, as under Wine.
STORES_AFTER_THE_CLOSE = """
    import ctypes
    from datablock_ctypes import Producer
    producer = Producer("block", slot_size=64, slot_count=4)
    with producer.write() as slot:
        slot.data[:4] = bytes([1, 2, 3, 4])
        first = ctypes.c_char.from_buffer(slot.data)
        slot.commit(4)
    producer.close()
    print(first.value, flush=True)
    try:
        ctypes.memset(ctypes.addressof(first), 99, 1)
        print("stored")
    except OSError as error:
        print(error)
"""
# Under Wine the package looks for the file in its directory, and a copy has the same content.
FINDS_A_COPY = """
    import os, shutil
    from datablock_ctypes import Consumer, Producer
    producer = Producer("block", slot_size=64, slot_count=4, unlink_on_close=True)
    consumer = Consumer("block")
    folder = os.environ["DATABLOCK_DIR"]
    copy = os.path.join(folder, "copy")
    shutil.copy(os.path.join(folder, "block"), copy)
    try:
        with producer.write() as slot:
            slot.data[:] = b"1" * 64
        print("written")
    except OSError as error:
        print("remove the copy" in str(error), "both" in str(error))
    os.remove(copy)
    with producer.write() as slot:
        slot.data[:] = b"2" * 64
    print(consumer.receive(0) == b"2" * 64)
    consumer.close()
    producer.close()
"""
READS = """
    from datablock_ctypes import Consumer, Start
    with Consumer("block", start=Start.OLDEST) as consumer, consumer.read() as slot:
        print(list(slot.data))
"""
# Each script has used the block's memory, and says nothing. Then the directory is empty. Wine,
# unlike Windows, removes a mapped file. Therefore the script looks at the mapping when the library
# closes.
BLOCK = """
    from datablock_ctypes import Consumer, Producer
    def watch(participant):
        link, mapping = participant._link, participant._memory._mapping
        close, kind = link._close, type(participant).__name__
        def close_and_look(handle):
            if mapping.addresses:
                print(f"the library closes the {kind}, and the memory is mapped", flush=True)
            return close(handle)
        link._close = close_and_look
    producer = Producer("block", slot_size=64, slot_count=4, unlink_on_close=True)
    consumer = Consumer("block")
    watch(producer), watch(consumer)
    with producer.write() as slot:
        slot.data[:4] = bytes([1, 2, 3, 4])
    with consumer.read(0) as seen:
        assert list(seen.data[:4]) == [1, 2, 3, 4]
"""
IS_EMPTY = """
    import os
    left = os.listdir(os.environ["DATABLOCK_DIR"])
    assert left == [], left
"""
ENDS = {
    "at exit": "",
    "at exit, in a claim and a hold": """
        producer.send(b"5")
        claim, hold = producer.write(), consumer.read(0)
        claim.__enter__(), hold.__enter__()
        claim.data[0] = hold.data[0]
    """,
    "the producer is collected": "del slot, seen, consumer, producer" + textwrap.dedent(IS_EMPTY),
    "the consumer is collected last":
        "producer.close(); del slot, seen, producer, consumer" + textwrap.dedent(IS_EMPTY),
    "both are collected in a cycle": """
        import gc
        producer.other, consumer.other = consumer, producer
        del slot, seen, producer, consumer
        gc.collect()
    """ + textwrap.indent(IS_EMPTY, "    "),
    # The first close stops before it takes the right to write, until the second has ended or waits
    # for the first.
    "two threads close": """
        import threading
        from datablock_ctypes import _mapping_windows as mapping
        consumer.close()
        protect, errors = mapping._protect, []
        def stop_once(*arguments):
            mapping._protect = protect
            second.start()
            second.join(0.5)
            done = protect(*arguments)
            if not done:
                errors.append("the memory is not mapped")
            return done
        def close():
            try:
                producer.close()
            except BaseException as error:
                errors.append(error)
        mapping._copies_on_write()
        mapping._protect = stop_once
        first, second = threading.Thread(target=close), threading.Thread(target=close)
        first.start()
        first.join()
        second.join()
        assert not errors, errors
    """ + textwrap.indent(IS_EMPTY, "    "),
}
PATHS = r"""
    import os
    from datablock_ctypes import Consumer, Invalid, Producer, list_participants, unlink
    above = os.environ["DATABLOCK_DIR"]
    folder = os.path.join(above, "\u00fcber \u65e5\u672c")
    os.mkdir(folder)
    for directory in folder, folder.encode(), None:
        if directory is None:
            os.environ["DATABLOCK_DIR"] = folder
        with Producer("block", slot_size=64, directory=directory) as producer, \
                Consumer("block", directory=directory) as consumer:
            producer.send(b"1")
            assert consumer.receive(0) == b"1"
            assert len(list_participants(os.path.join(folder, "block"))) == 2
        unlink(os.path.join(folder, "block"))
    os.rmdir(folder)
    for wrong in above.encode() + b"\\\xff", above + "\\\udcff":
        try:
            Producer("block", slot_size=64, directory=wrong)
        except Invalid as error:
            print("is not UTF-8" in str(error), "lone surrogate" in str(error))
"""
# Under Wine the file is sparse and takes little memory.
LARGE = """
    from datablock_ctypes import Consumer, Policy, Producer
    size = (4 << 30) + (1 << 20)
    with Producer("block", slot_size=size, policy=Policy.SINGLE, spare_slots=2, consumer_limit=1,
                  unlink_on_close=True) as producer, Consumer("block") as consumer:
        for i in 1, 2, 3:  # in each of the slots
            with producer.write() as slot:
                slot.data[0], slot.data[size - 1] = i, i + 100
                slot.commit(size)
            with consumer.read(0) as seen:
                print(len(seen.data) == size, seen.data[0], seen.data[size - 1])
        del slot, seen
"""
TYPES = """
    import ctypes, numpy
    from datablock_ctypes import Schema
    class Sizes(ctypes.Structure):
        _fields_ = [("number", ctypes.c_long), ("count", ctypes.c_ulong), ("longest", ctypes.c_longlong),
                    ("size", ctypes.c_size_t)]
    text = "{ number: i32; count: u32; longest: i64; size: u64; }"
    wanted = Schema.parse(f"schema Sizes 1.0.0 {text}")
    print(Schema.from_ctypes(Sizes, version=(1, 0, 0)).canonical == wanted.canonical)
    native = numpy.dtype([("number", "l"), ("count", "L"), ("longest", "q"), ("size", "uintp")], align=True)
    print(Schema.from_dtype(native, "Sizes", (1, 0, 0)).canonical == wanted.canonical)
"""
# The interrupt comes when the diagnosis shows that the consumer waits, and not earlier.
WAITS = """
    import datablock_ctypes, os, signal, threading, time
    def interrupt():
        deadline = time.monotonic() + 60
        while not any(row.row > 0 and row.waits > 0 for row in datablock_ctypes.list_participants("block")):
            if time.monotonic() > deadline:
                print("the consumer has not begun to wait", flush=True)
                os._exit(1)
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)
    with datablock_ctypes.Producer("block", slot_size=64), datablock_ctypes.Consumer("block") as consumer:
        threading.Thread(target=interrupt).start()
        try:
            consumer.receive()
        except KeyboardInterrupt:
            print("interrupted")
"""


# The files of python/tests that run on Windows, and the tests in them that do not, with reasons.
# Other files are about signals, forks, descriptors and /proc, or need a program of this machine.
TESTS = ["batch", "claims_refused", "copies", "guards", "integrity", "messages", "observer", "opening", "polls",
         "scalar_fields"]
NOT_RUN = {
    "test_an_interrupt_ends_a_wait_for_a_block": "Windows has no SIGALRM; see `interrupt`",
}


class Package:
    """CPython, the package, and the folder of a check's blocks."""

    def __init__(self, prefix, library):
        self.prefix, self.library = prefix, library
        prefix.environment |= {"PYTHONPATH": prefix.path(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1",
                               "DATABLOCK_LIBRARY": prefix.path(library)}

    def run(self, *arguments, directory=None, cwd=None, limit=LIMIT, **variables):
        """Runs Python to its end. Returns the exit code and what it said.

        Python cannot begin with /dev/null as its input, which Wine takes for another device.
        """
        if directory is not None:
            variables["DATABLOCK_DIR"] = self.prefix.path(directory)
        process = self.prefix.start(PYTHON, *arguments, variables=variables, cwd=cwd, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.prefix.stop()
            said, _ = process.communicate()
            said += f"\nno end after {limit} s".encode()
        return process.returncode, said.decode(errors="replace").replace("\r\n", "\n")

    def says(self, script, *arguments, **options):
        code, said = self.run("-c", textwrap.dedent(script), *arguments, **options)
        if code != 0:
            raise checks.Failed(f"exit code {code}: {said}")
        return said.strip()

    @contextlib.contextmanager
    def blocks(self):
        """A folder for blocks that has to be empty at the end."""
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.prefix.blocks))
        yield directory
        expect("left behind", sorted(file.name for file in directory.iterdir()), [])


def expect(what, found, wanted):
    if found != wanted:
        raise checks.Failed(f"{what}: {found!r}, not {wanted!r}")


def loader(package):
    path = package.prefix.path
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        copy, beside, elsewhere = folder / "package", folder / "package/datablock_ctypes", folder / "elsewhere"
        shutil.copytree(PACKAGE / "datablock_ctypes", beside, ignore=shutil.ignore_patterns("__pycache__"))
        # Wine puts WINEPATH before the PATH of its registry, and ignores the PATH of this machine.
        alone = {"PYTHONPATH": path(copy), "DATABLOCK_LIBRARY": ""}
        said = package.says(SAYS_ITS_LIBRARY, **alone)
        for place in (f"{path(beside)}\\datablock.dll (beside the package)", "datablock.dll (the system's loader)"):
            if place not in said:
                raise checks.Failed(f"without a library: {said}")
        # Two entries of PATH depend on the current folder or drive, and lead to libraries here.
        here, rooted = folder / "here", folder / "rooted"
        for place in (here / "relative", rooted, elsewhere):
            place.mkdir(parents=True)
            shutil.copy(package.library, place)
        there = path(elsewhere / "datablock.dll")
        entries = ";".join(["relative", path(rooted).removeprefix("Z:"), path(elsewhere)])
        expect("on PATH", package.says(SAYS_ITS_LIBRARY, WINEPATH=entries, cwd=here, **alone), there)
        expect("add_dll_directory", package.says(SAYS_ITS_LIBRARY, path(elsewhere), **alone), "datablock.dll")
        shutil.copy(package.library, beside)
        expect("beside the package", package.says(SAYS_ITS_LIBRARY, WINEPATH=path(elsewhere), **alone),
               path(beside / "datablock.dll"))
        expect("by the variable", package.says(SAYS_ITS_LIBRARY, **alone | {"DATABLOCK_LIBRARY": there}), there)


def deliveries(package, programs):
    for first, second in (("python", "c_inline"), ("go", "python")):
        exchange.deliveries(package.prefix, programs, first, second, 200)


def kills(package, programs):
    exchange.producer_dies(package.prefix, programs, "python", "go")
    exchange.consumer_dies(package.prefix, programs, "python", "c_inline", "lossless")


def writes(package):
    with package.blocks() as directory:
        said = package.says(STORES_AFTER_THE_CLOSE, directory=directory)
        if not re.fullmatch(r"b'\\x01'\n(stored|exception: access violation writing .*)", said):
            raise checks.Failed(said)
        expect("the message", package.says(READS, directory=directory), "[1, 2, 3, 4]")
        package.says('import datablock_ctypes; datablock_ctypes.unlink("block", force=True)', directory=directory)


def copies(package):
    with package.blocks() as directory:
        expect("a copy", package.says(FINDS_A_COPY, directory=directory), "True True\nTrue")


def ends(package):
    wrong = []
    for name, script in ENDS.items():
        with tempfile.TemporaryDirectory(dir=package.prefix.blocks) as directory:
            code, said = package.run("-c", textwrap.dedent(BLOCK) + textwrap.dedent(script), directory=directory)
            left = sorted(file.name for file in pathlib.Path(directory).iterdir())
        if code != 0 or said or left:
            wrong.append(f"{name}: exit code {code}, left behind {left}, {said}")
    if wrong:
        raise checks.Failed("\n".join(wrong))


def interrupt(package):
    with package.blocks() as directory:
        expect("Ctrl-C", package.says(WAITS, directory=directory), "interrupted")
        package.says('import datablock_ctypes; datablock_ctypes.unlink("block")', directory=directory)


def paths(package):
    with package.blocks() as directory:
        expect("paths", package.says(PATHS, directory=directory), "True False\nFalse True")


def sizes(package):
    expect("types", package.says(TYPES), "True\nTrue")
    with package.blocks() as directory:
        if shutil.disk_usage(directory).free < 4 * FOUR_GIB:
            print(f"NOT RUN: a message of more than 4 GiB: {directory} has less than 16 GiB")
            return
        expect("4 GiB", package.says(LARGE, directory=directory), "True 1 101\nTrue 2 102\nTrue 3 103")


def pytest(package):
    for test, reason in NOT_RUN.items():
        print(f"NOT RUN: {test}: {reason}")
    files = [package.prefix.path(PACKAGE / f"tests/test_{name}.py") for name in TESTS]
    with package.blocks() as directory:
        code, said = package.run("-m", "pytest", "-q", "-m", "not measured", "-k", f"not ({' or '.join(NOT_RUN)})",
                                 *files, directory=directory, limit=1800)
        print(said)
    expect("exit code", code, 0)


ALONE = {check.__name__: check for check in (loader, writes, ends, copies, interrupt, paths, sizes, pytest)}
WITH_WORKERS = {check.__name__: check for check in (deliveries, kills)}
USUAL = [name for name in (*ALONE, *WITH_WORKERS) if name != "pytest"]


def main():
    a = checks.parser(__doc__, "checks").parse_args()
    wine.require_tools()
    if not PYTHON.exists():
        print(f"NOT RUN: {PYTHON} is missing; `make setup WINDOWS=1` installs it")
        return wine.SKIPPED
    checks.refuse_unknown(a.checks, [*ALONE, *WITH_WORKERS])
    wanted = a.checks or USUAL
    build = a.build.resolve()
    with tempfile.TemporaryDirectory() as into, wine.prefix(build) as prefix:
        package = Package(prefix, build / "windows/test/datablock.dll")
        failed = [name for name in wanted if name in ALONE and checks.fails(name, ALONE[name], package)]
        with_workers = [name for name in wanted if name in WITH_WORKERS]
        if with_workers:
            programs = exchange.programs_in(pathlib.Path(into), build)
            programs["python"] = (PYTHON, prefix.path(ROOT / "tests/python/worker.py"))
            failed += [name for name in with_workers if checks.fails(name, WITH_WORKERS[name], package, programs)]
    return failed != []


if __name__ == "__main__":
    sys.exit(main())
