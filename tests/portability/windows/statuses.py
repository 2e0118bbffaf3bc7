#!/usr/bin/env python3
"""Runs test_statuses.c under Wine with a volume of 1 MiB.

The volume is a tmpfs in a mount namespace of this script, which ends with the script. Without the
right to mount, the scenario of the full volume reports that it is skipped.

Usage: statuses.py BUILD. BUILD is as in library.py. Exit code 77: the tools are missing.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import library
import wine

INSIDE = "DATABLOCK_TEST_INSIDE"


def enter_namespace():
    """Starts this script again in a mount namespace of its own."""
    if INSIDE in os.environ or not shutil.which("unshare"):
        return
    for how in (["--mount"], ["--mount", "--map-root-user"]):
        if subprocess.run(["unshare", *how, "true"], capture_output=True, check=False).returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", *how, sys.executable, "-B", *sys.argv])


def mount(volume):
    if INSIDE not in os.environ:
        print("NOT RUN: a-full-volume: this user may not mount a volume")
        return False
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", volume], check=True).returncode == 0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wine.require_tools()
    enter_namespace()
    build = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as into, wine.prefix(build) as prefix:
        programs = library.build(pathlib.Path(into), build / "windows/test", {"test_statuses"})
        volume = prefix.blocks / "small"
        volume.mkdir()
        mounted = mount(volume)
        try:
            if mounted:
                for program in programs:
                    program.variables = {**program.variables, "SMALL_VOLUME": prefix.path(volume)}
            failed = library.run_tests(prefix, programs)
        finally:
            if mounted:
                prefix.stop()
                subprocess.run(["umount", volume], check=True)
    return failed != []


if __name__ == "__main__":
    sys.exit(main())
