"""The examples print their documented output."""

import os
import subprocess
import sys

import pytest
from support import ROOT

EXAMPLES = ROOT / "examples" / "python"


@pytest.mark.parametrize(
    "name", sorted(path.name for path in EXAMPLES.iterdir() if (path / "output.txt").exists())
)
def test_example(name, directory):
    program = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name / f"{name}.py"],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (program.returncode, program.stderr) == (0, "")
    assert program.stdout == (EXAMPLES / name / "output.txt").read_text()
    assert list(directory.iterdir()) == []  # the examples leave no block
