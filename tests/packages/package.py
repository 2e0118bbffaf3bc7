"""What the tests of this folder share: the packages, commands, workers, the package's README."""

import contextlib
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools/packages"
SKIPPED = 77
LIMIT = 300  # seconds for one command
PACKAGE = "datablock_ctypes"
VERSION = ".".join(re.findall(r"^#define DATABLOCK_VERSION_\w+ +(\d+)$",
                              (ROOT / "include/datablock.h").read_text(), re.MULTILINE))
LINUX = {machine: f"manylinux_2_28_{machine}" for machine in ("x86_64", "aarch64")}
WINDOWS = "win_amd64"

# A user's environment does not have what a test of this repository sets.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith(("DATABLOCK_", "PYTHON")) and name not in ("LD_LIBRARY_PATH", "GOFLAGS")}


def not_run(reason):
    print(f"NOT RUN: {reason}")
    sys.exit(SKIPPED)


def need(path, option="PACKAGES=1"):
    if not path.exists():
        not_run(f"{path} is missing; `make setup {option}` installs it")


def wheel(build, platform):
    """The wheel that package.build has made."""
    option = "WINDOWS=1 PACKAGES=1" if platform == WINDOWS else "PACKAGES=1"
    found = build / f"dist/{PACKAGE}-{VERSION}-py3-none-{platform}.whl"
    if not found.exists():
        not_run(f"{found} is missing; make wheel builds it after `make setup {option}`")
    return found


def check(true, *what):
    if not true:
        sys.exit("not as expected: " + "\n".join(map(str, what)))


def run(*words, fails=False, limit=LIMIT, folder="/", **variables):
    """The output of a command in a folder, which has to succeed or, with `fails`, to fail."""
    environment = ENVIRONMENT | {name: str(value) for name, value in variables.items()}
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, env=environment, timeout=limit,
                          cwd=folder)
    if (done.returncode != 0) != fails:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def blocks():
    """A folder for blocks, which has to be empty at the end."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="datablock-packages-") as folder:
        yield pathlib.Path(folder)
        left = sorted(os.listdir(folder))
        check(left == [], "left behind:", *left)


def environment_with(wheel, here):
    """The Python of an empty virtual environment into which pip has installed a wheel alone."""
    run(sys.executable, "-m", "venv", here)
    python = here / "bin/python"
    install(python, wheel)
    return python


def install(python, *what):
    run(python, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", "--no-compile", "-q",
        *what)


def installed_for(wheel, here, *platform):
    """A folder into which pip has installed a wheel for a platform that is not this one."""
    run(sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", "-q",
        "--target", here, "--only-binary=:all:", *platform, wheel)
    return here


# ---- The README of the package -------------------------------------------------------------------

NUMPY = re.compile(r'import numpy|\.array\(|slot\["')


def examples():
    """The programs of the README, and whether each needs NumPy."""
    text = (ROOT / "python/README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    check(len(found) == text.count("```python") >= 7, len(found))
    return [(program, NUMPY.search(program) is not None) for program in found]


def run_examples(here, start, with_numpy):
    """Runs the README's programs one after the other. `start` runs a file with Python."""
    refused = False
    for number, (program, needs_numpy) in enumerate(examples()):
        file = here / f"example{number}.py"
        file.write_text(program, encoding="utf-8")
        if with_numpy or not needs_numpy:
            start(file)
        elif not refused:  # the error names what is missing
            refused = True
            said = start(file, fails=True)
            check("NumPy" in said, program, said)
    cleanup = here / "cleanup.py"
    cleanup.write_text("import datablock_ctypes\n"
                       "for block in datablock_ctypes.list_blocks():\n"
                       "    datablock_ctypes.unlink(block.name)\n", encoding="utf-8")
    start(cleanup)


# ---- Workers -------------------------------------------------------------------------------------


class Worker:
    """A worker of tests/README.md."""

    def __init__(self, words, role, directory, *options, **variables):
        self.process = subprocess.Popen([*map(str, words), role, "block", f"--dir={directory}", *options],
                                        env=ENVIRONMENT | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        bufsize=0, cwd="/")
        self.rest = b""

    def __enter__(self):
        self.expect("attached")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def line(self):
        deadline = time.monotonic() + LIMIT
        while b"\n" not in self.rest:
            ready = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            more = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not more:
                sys.exit(f"{self.process.args}: no answer, exit code {self.process.poll()}")
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()

    def say(self, command):
        self.process.stdin.write(f"{command}\n".encode())

    def expect(self, *beginnings):
        said = self.line()
        check(said.startswith(beginnings), self.process.args, said, beginnings)
        return said


def exchange(producer, consumer, directory, messages):
    """One worker sends messages of all lengths to the other, which checks each byte.

    A worker is its command and its environment variables.
    """
    with (
        Worker(producer[0], "produce", directory, "--flags=lossless,unlink", "--slots=8", **producer[1]) as sending,
        Worker(consumer[0], "consume", directory, "--delivery=lossless", **consumer[1]) as reading,
    ):
        reading.say(f"read {messages}")
        sending.say(f"write {messages}")
        sending.expect(f"wrote={messages} ")
        said = reading.expect(f"read={messages} missed=0 ")
        check(" bad=0 " in said and said.endswith(" end=OK"), said)
        for worker in (reading, sending):
            worker.say("close")
            worker.expect("closed")
            worker.say("exit")
            worker.process.wait(LIMIT)


def c_worker(build):
    """The C worker with the released library of the build, and not with the one for tests."""
    program = build / "tests/c/worker"
    if not program.exists():
        not_run(f"{program} is missing; `make test-packages` builds it")
    return [program], {"LD_LIBRARY_PATH": str(build)}


def exchanges(build, python, messages, **variables):
    """Exchanges of a Python worker with the C worker, in both directions."""
    with blocks() as directory:
        python_worker = [*python, ROOT / "tests/python/worker.py"], variables
        exchange(c_worker(build), python_worker, directory, messages)
        exchange(python_worker, c_worker(build), directory, messages)


def exchanged(producer, consumer, directory, messages=20_000):
    """Two programs of the folder exchange share a block. A program is words and variables."""
    variables = {"DATABLOCK_DIR": str(directory)}
    with subprocess.Popen([*map(str, producer[0]), "produce", "exchange", str(messages)], cwd="/",
                          stdout=subprocess.DEVNULL, env=ENVIRONMENT | variables | producer[1]) as sending:
        try:
            said = run(*consumer[0], "consume", "exchange", messages, **variables, **consumer[1])
            check(said.endswith(f"\nread {messages} of {messages}\n"), consumer, said)
            check(sending.wait(LIMIT) == 0, producer, sending.returncode)
        finally:
            sending.kill()
