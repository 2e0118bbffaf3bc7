"""What the scripts of this folder share: their arguments, and the run of a check by its name."""

import argparse
import pathlib
import sys
import time


class Failed(Exception):
    """What a check has found."""


def parser(doc, names=""):
    """A parser for BUILD, and for the names of what is to run, if the script has names."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", type=pathlib.Path)
    if names:
        p.add_argument(names, nargs="*")
    return p


def refuse_unknown(wanted, known):
    """Ends the program if a wanted name does not exist: a run of nothing must not pass."""
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        sys.exit(f"there is no test {', '.join(unknown)}; there are {', '.join(sorted(known))}")


def fails(name, play, *arguments):
    """Plays a check, prints a line about it, and returns whether it has failed."""
    began, verdict = time.monotonic(), "ok"
    try:
        play(*arguments)
    except (Failed, OSError) as failure:
        verdict = f"FAILED: {failure}"
    print(f"{name:<50}{time.monotonic() - began:>6.1f}s  {verdict}", flush=True)
    return verdict != "ok"
