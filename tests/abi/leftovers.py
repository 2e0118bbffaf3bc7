"""Checks that the tests leave nothing in shared memory.

`before` makes the tests' block directory and records what is in /dev/shm. `after` compares. Other
programs use /dev/shm at the same time. So a leftover there is a file or folder of this user that no
process has open.
"""

import json
import os
import pathlib
import shutil
import sys
import time

SHARED_MEMORY = pathlib.Path("/dev/shm")
MAGICS = (b"DATABLK1", b"ATABCTL1")


def ours(path: pathlib.Path) -> bool:
    if path.is_dir():
        return path.name.startswith("datablock-")
    return path.is_file() and (path.name.endswith(".ctl") or path.open("rb").read(8) in MAGICS)


def blocks() -> list[str]:
    found = []
    for path in SHARED_MEMORY.iterdir():
        try:
            if ours(path):
                found.append(str(path))
        except OSError:
            continue  # removed in the meantime, or not readable
    return found


def in_use() -> set[str]:
    used = set()
    for descriptor in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        try:
            path = pathlib.Path(os.readlink(descriptor))
            used.update((str(path), str(path.parent)))
        except OSError:
            continue
    return used


def leftovers(before: set[str], directory: pathlib.Path) -> set[str]:
    own = {str(path) for path in directory.rglob("*")}
    return own | (set(blocks()) - before - in_use() - {str(directory)})


def main() -> None:
    step, record = sys.argv[1], pathlib.Path(sys.argv[2])
    directory = pathlib.Path(os.environ["DATABLOCK_DIR"])
    if step == "before":
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        record.write_text(json.dumps(blocks()))
        return
    before = set(json.loads(record.read_text()))
    deadline = time.monotonic() + 5
    while (left := leftovers(before, directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.rmtree(directory, ignore_errors=True)
    if left:
        sys.exit("left in shared memory:\n" + "\n".join(sorted(left)))


main()
