"""The first minute of a new user: trial.py BUILD CASE. The commands are those of the documents.

BUILD has the packages in dist/: ctest -C packages -R package.build makes them. The seconds are
printed, and no test compares them.
"""

import contextlib
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

import deb
import package
from package import ROOT, check, run

START = "docs/getting-started.md"


def command(document, beginning):
    """The line of a document that is such a command."""
    found = re.findall(rf"^    ((?:sudo )?{re.escape(beginning)}[^#\n]*?) *(?:#.*)?$", (ROOT / document).read_text(),
                       re.MULTILINE)
    check(len(found) == 1, document, beginning, *found)
    return found[0].removeprefix("sudo ")


def example(document, language):
    """The first program of a document."""
    found = re.search(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)
    check(found, document, language)
    return found.group(1)


class Watch:
    def __init__(self):
        self.total = 0

    @contextlib.contextmanager
    def step(self, what):
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self.total += seconds
        print(f"{seconds:6.1f} s  {what}", flush=True)

    def report(self):
        print(f"{self.total:6.1f} s  from nothing to the first message", flush=True)


def python(build, here):
    """In an empty environment: pip install of the wheel, and the first program of its README."""
    wheel = package.wheel(build, package.LINUX["x86_64"])
    shutil.copy(wheel, here)
    install = command(START, "pip install datablock_ctypes-")
    check(install == command("python/README.md", "pip install datablock_ctypes-"), install)
    check(install.split()[-1] == wheel.name, install, wheel.name)
    (here / "first.py").write_text(example("python/README.md", "python"))
    watch = Watch()

    def typed(words):
        return run("sh", "-euc", f". ./venv/bin/activate\n{words}", folder=here,
                   PIP_DISABLE_PIP_VERSION_CHECK=1, DATABLOCK_DIR=directory)

    with package.blocks() as directory:
        with watch.step("python3 -m venv"):
            run(sys.executable, "-m", "venv", here / "venv")
        with watch.step(install):
            typed(install)
        with watch.step("python first.py"):
            said = typed("python first.py")
    check(said == "message 0: b'hello'\n", said)
    watch.report()


def c(build, here):
    """In a minimal root of Debian with a compiler: apt install, a producer, a consumer."""
    root = deb.prepared(build, here)
    root.install("gcc", "libc6-dev")
    work = root.path / "work"
    (work / "hello.c").write_text(example("README.md", "c"))
    shutil.copy(ROOT / "tests/packages/exchange/first.c", work)
    install = command(START, "apt install ./libdatablock1")
    compile_ = re.search(r"With an installed library: `(cc hello\.c [^`]+)`", (ROOT / "README.md").read_text()).group(1)
    watch = Watch()
    with watch.step(install):
        root.run(f"cd /debs\n{install}")
    with watch.step(compile_):
        root.run(f"cd /work\n{compile_}\nmv a.out hello")
    with watch.step("the same for the consumer"):
        root.run(f"cd /work\n{compile_.replace('hello.c', 'first.c')}\nmv a.out first")
    with watch.step("./hello; ./first"):
        said = root.run("cd /work\n./hello\n./first")
    check(said == "".join(f"message {i}: greeting {i} from C\n" for i in range(5)), said)
    watch.report()


CASES = {"python": python, "deb": c}

if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="datablock-packages-") as folder:
        CASES[sys.argv[2]](pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder).resolve())
