#!/usr/bin/env python3
"""Runs a Windows program under Wine, in a prefix of its own.

The prefix is a folder of the build, never ~/.wine. It has no display and no installers of menus,
Mono or Gecko. The blocks of the tests are in shared memory, as on Linux. At the end the wineserver
of this prefix is stopped, and with it every program that still runs there.

Usage: wine.py BUILD PROGRAM [ARGUMENTS]. The exit code is that of the program. Exit code 77: the
tools are missing.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
COMPILER = "x86_64-w64-mingw32-gcc"
SKIPPED = 77
LIMIT = 600  # seconds for one program
WINE_FOLDER = pathlib.Path("/usr/lib/wine")


def find_wine():
    """The 64-bit loader and server. Debian's script `wine` asks for the 32-bit half first."""
    for folder, loader, server in ((WINE_FOLDER, "wine64", "wineserver64"), (WINE_FOLDER, "wine64", "wineserver")):
        if (folder / loader).exists() and (folder / server).exists():
            return str(folder / loader), str(folder / server)
    loader = shutil.which("wine64") or shutil.which("wine")
    server = shutil.which("wineserver")
    return (loader, server) if loader and server else (None, None)


WINE, SERVER = find_wine()


def missing_tools():
    """The tools that this machine lacks, with their Debian packages."""
    wanted = ((COMPILER, "gcc-mingw-w64-x86-64", shutil.which(COMPILER)), ("wine", "wine64", WINE),
              ("go", "see scripts/setup.sh", shutil.which("go")))
    return [f"{tool} (Debian: {package})" for tool, package, there in wanted if not there]


def require_tools():
    """Ends the program with exit code 77 if a tool is missing."""
    missing = missing_tools()
    if missing:
        print(f"NOT RUN: {', '.join(missing)} is missing; `make setup WINDOWS=1` installs it on Debian and Ubuntu")
        sys.exit(SKIPPED)


class Prefix:
    """A Wine prefix in the build folder, and a folder for blocks in shared memory.

    One program of this machine at a time uses a prefix. Others wait for its end.
    """

    def __init__(self, build):
        self.folder = build / "wine"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = open(build / "wine.lock", "w", encoding="ascii")  # noqa: SIM115 - held until the end
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        # Wine makes files as the umask says, if a program gives no access control list. On Windows
        # such a file in a user's folder belongs to the user alone.
        os.umask(0o077)
        self.blocks = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm", prefix="datablock-windows-"))
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("DATABLOCK_", "DISPLAY", "WAYLAND_"))}
        self.environment |= {
            "WINEPREFIX": str(self.folder), "WINEDEBUG": "-all", "WINEARCH": "win64",
            "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=d", "HOME": str(self.folder)}

    @staticmethod
    def path(path):
        """A path of this machine as a program in the prefix has it. Drive Z: is the root."""
        return "Z:" + str(path).replace("/", "\\")

    def make(self):
        """Makes the prefix if it is missing, and adds the library that Go needs.

        The folder for temporary files, where tests make their blocks, becomes a link to shared
        memory. Wine takes the name of that folder from the registry, and not from the environment.
        """
        system = self.folder / "drive_c/windows/system32"
        if not (system / "kernel32.dll").exists():
            subprocess.run([WINE, "wineboot", "--init"], env=self.environment, check=True, timeout=LIMIT,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        library, source = system / "bcryptprimitives.dll", HERE / "bcryptprimitives.c"
        if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
            subprocess.run([COMPILER, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", str(source), "-o",
                            str(library), "-ladvapi32"], check=True)
        for user in (self.folder / "drive_c/users").iterdir():
            temporary = user / "Temp"
            if temporary.is_symlink():
                temporary.unlink()
            elif temporary.exists():
                shutil.rmtree(temporary)
            temporary.symlink_to(self.blocks)

    def start(self, program, *arguments, **options):
        """Starts a program; the caller has to end it."""
        environment = self.environment | options.pop("variables", {})
        return subprocess.Popen([WINE, str(program), *map(str, arguments)], env=environment, start_new_session=True,
                                **options)

    def run(self, program, *arguments, limit=LIMIT, **options):
        """Runs a program to its end, or ends it after the limit. Returns exit code and output.

        With stdout=None the output goes where this program's goes.
        """
        options = {"stdout": subprocess.PIPE} | options
        process = self.start(program, *arguments, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **options)
        try:
            said, _ = process.communicate(timeout=limit)
            return process.returncode, (said or b"").decode(errors="replace").replace("\r\n", "\n")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.stop()  # what the program has started is in no process group of this machine
            said, _ = process.communicate()
            return -signal.SIGKILL, (said or b"").decode(errors="replace") + f"\nno end after {limit} s"

    def stop(self):
        """Stops the wineserver of this prefix, and with it every program in the prefix."""
        for argument in ("-k", "-w"):
            subprocess.run([SERVER, argument], env=self.environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)

    def end(self):
        """Stops everything in the prefix, and removes the blocks and the server's folder.

        Debian's server makes a folder for its lock and socket, and keeps the name in the prefix.
        """
        self.stop()
        name = self.folder / "wineserver"
        if name.exists() and (its := re.fullmatch(r"wine-\w+", name.read_text())):
            shutil.rmtree(pathlib.Path(os.environ.get("TMPDIR", "/tmp"), its[0]), ignore_errors=True)
        shutil.rmtree(self.blocks, ignore_errors=True)
        self.lock.close()


@contextlib.contextmanager
def prefix(build):
    """A prefix that is ready for programs of Go, and is stopped at the end, also after SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    one = Prefix(pathlib.Path(build).resolve())
    try:
        one.make()
        yield one
    finally:
        one.end()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    require_tools()
    with prefix(sys.argv[1]) as one:
        code, said = one.run(*sys.argv[2:], stdout=None)
    print(said, end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
