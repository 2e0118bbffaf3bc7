"""What the programs of this folder share: the cross compilers, the emulator, the build for arm64.

Products are in BUILD/arm64. A product with the name of a native one is a script that starts the
emulator, so that a native program can start the product as if it were native.
"""

import contextlib
import dataclasses
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SYSROOT = pathlib.Path("/usr/aarch64-linux-gnu")
PREFIX = "aarch64-linux-gnu-"
EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/include"]
# How a user compiles. Without always_inline and with -O1 a program compiles in a fifth of the time.
AS_USERS = ["-O2", "-g1"]
QUICKLY = ["-O1", "-Dalways_inline=unused"]
# Seconds for one program of C or C++. The longest took more than 100 on a machine with ten busy
# threads for each processor. Each program reports the hang of a scenario earlier.
LIMIT = 400
HUNG = -1000  # as an exit code


@dataclasses.dataclass
class Machine:
    """A processor, and whether its kernel has membarrier.

    Without membarrier the library executes a fence of its own at each call.
    """

    name: str
    cpu: str
    membarrier: bool = True


NEW = Machine("new", "max")  # with the atomic instructions of ARMv8.1
OLD = Machine("old", "cortex-a53", membarrier=False)  # loads and stores in exclusive pairs
MACHINES = [NEW, OLD]


def folder(build):
    return pathlib.Path(build).resolve() / "arm64"


def command(*words, **options):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def require_tools(cxx=True):
    """Ends the program if a tool is missing. `cxx`: it compiles C++, too."""
    missing = [f"{tool} (Debian: {package})" for tool, package, there in (
        (f"{PREFIX}gcc", "gcc-aarch64-linux-gnu", shutil.which(f"{PREFIX}gcc")),
        (f"{PREFIX}g++", "g++-aarch64-linux-gnu", shutil.which(f"{PREFIX}g++") or not cxx),
        (f"{SYSROOT}/include/stdlib.h", "libc6-dev-arm64-cross", (SYSROOT / "include/stdlib.h").exists()),
        ("qemu-aarch64", "qemu-user", EMULATOR),
        ("go", "see scripts/setup.sh", shutil.which("go"))) if not there]
    if missing:
        sys.exit("missing: " + ", ".join(missing) + "; `make setup` installs them on Debian and Ubuntu")


# ---- Building ------------------------------------------------------------------------------------


def go_environment(cgo):
    return {**os.environ, "GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "1" if cgo else "0",
            "CC": f"{PREFIX}gcc", "GOWORK": "off", "GOFLAGS": ""}


def build_library(build, into, soname, ldflags):
    """The library with crash points."""
    into.mkdir(parents=True, exist_ok=True)
    command("go", "build", "-buildvcs=false", "-trimpath", "-buildmode=c-shared", "-tags=crashpoints",
            f"-overlay={build / 'overlay_library.json'}", f"-ldflags={ldflags}",
            "-o", into / soname, "./capi", cwd=ROOT, env=go_environment(cgo=True))
    link = into / "libdatablock.so"
    link.unlink(missing_ok=True)
    link.symlink_to(soname)


def compiled(into, name, sources, *flags, how=QUICKLY, compiler="gcc"):
    program = into / name
    standard = "-std=gnu11" if compiler == "gcc" else "-std=c++17"
    command(PREFIX + compiler, standard, *FLAGS, *how, *flags, *sources, "-o", program, f"-L{into}", "-ldatablock",
            f"-Wl,-rpath,{into}", "-pthread")
    return program


def build_workers(into, how):
    """The C worker with the exported functions, and with the inline ones."""
    source = ROOT / "tests/c/worker.c"
    return {"exported": compiled(into, "worker.exported", [source], how=how),
            "inline": compiled(into, "worker.inline", [source], "-D_GNU_SOURCE", "-include", "datablock_inline.h",
                               how=how)}


def script(path, program):
    """Makes a script that emulates a program.

    The program finds the script's path as its own name, and can start itself by this name.
    """
    words = f'exec {shlex.quote(EMULATOR)} -L {shlex.quote(str(SYSROOT))} -0 "$0" {shlex.quote(str(program))} "$@"'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{words}\n", encoding="utf-8")
    path.chmod(0o755)


# ---- Running -------------------------------------------------------------------------------------


def variables(machine, **more):
    environment = {**os.environ, "QEMU_LD_PREFIX": str(SYSROOT), "QEMU_CPU": machine.cpu, **more}
    if not machine.membarrier:
        environment["TEST_NO_MEMBARRIER"] = "1"
    return environment


@contextlib.contextmanager
def blocks():
    """A folder for blocks, which is removed in every case."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="datablock-arm64-") as directory:
        os.chmod(directory, 0o755)  # one test continues as another user
        yield directory


class Failed(Exception):
    """What a check has found."""


def fails(name, play, *arguments):
    """Plays a check with a folder for blocks, prints a line, and returns whether it has failed."""
    began, verdict = time.monotonic(), "ok"
    with blocks() as directory:
        try:
            play(*arguments, directory)
        except (Failed, OSError) as failure:
            verdict = f"FAILED: {failure}"
    print(f"{name:<40}{time.monotonic() - began:>6.1f}s  {verdict}", flush=True)
    return verdict != "ok"


def run(words, limit, **options):
    """Runs a program in a session of its own, and kills the session at the limit."""
    process = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        said, _ = process.communicate(timeout=limit)
        return subprocess.CompletedProcess(words, process.returncode, said)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the processes that it started have its pipe too
        said, _ = process.communicate()
        return subprocess.CompletedProcess(words, HUNG, f"{said}\nno end after {limit} s")


def emulate(machine, *words, limit=LIMIT, **more):
    return run([EMULATOR, *words], limit, env=variables(machine, **more))


def emulate_here(machine, *words, **more):
    """Runs a program with a folder for blocks."""
    with blocks() as directory:
        return emulate(machine, *words, TMPDIR=directory, **more)
