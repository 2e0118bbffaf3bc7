#!/usr/bin/env python3
"""Compiles the public headers for Windows, with every warning as an error.

  MinGW        gcc and g++: C99 to C17, C++14 to C++20, each header alone, and two translation units
               in one program
  clang, GNU   the same headers and libraries, with the thread-local storage of Windows
  clang, MSVC  the target of Microsoft's tools. Their headers do not exist here: clang has its own
               stdint.h, stddef.h and stdbool.h, which is all that the C headers include. The
               headers of C++ cannot be compiled
  as MSVC      the same without __clang__, as Microsoft's compiler sees the headers: no inline
               functions, and no extension of GNU C

Usage: headers.py. Exit code 77: the cross compiler is missing.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import wine

ROOT = wine.HERE.parents[2]
CHECKED = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/include"]
# Some warnings appear only with optimization.
INLINE = ["-O2", "-Wshadow", "-Wconversion", *CHECKED]
MSVC = ["--target=x86_64-pc-windows-msvc"]
GNU = ["--target=x86_64-w64-mingw32"]
NO_INLINE = {"c99", "c++14"}  # the standards without the inline functions
C, CXX = ["c99", "c11", "c17", "gnu17"], ["c++14", "c++17", "c++20"]


class Run:
    """Counts what was compiled, and prints what failed."""

    def __init__(self, folder):
        self.folder, self.compiled, self.failed = folder, 0, 0

    def compile(self, compiler, *words):
        done = subprocess.run([*compiler, *map(str, words)], capture_output=True, text=True, cwd=self.folder)
        self.compiled += 1
        if done.returncode != 0 or done.stderr:
            self.failed += 1
            print(f"FAILED: {' '.join([*compiler, *map(str, words)])}\n{done.stdout}{done.stderr}", flush=True)

    def matrix(self, c, cxx, *, inline=True, headers_of_cxx=True):
        """The programs of tests/abi in each standard, and each header alone and twice."""
        abi, nothing = ROOT / "tests/abi", ["-c", "-o", self.folder / "unit.o"]
        for compiler, language, standards in ((c, "c", C), (cxx, "c++", CXX)):
            for standard in standards:
                without = ["-DWANT_NO_INLINE"] if standard in NO_INLINE or not inline else []
                self.compile(compiler, "-x", language, f"-std={standard}", *INLINE, *without, *nothing,
                             abi / "inline.c")
                if standard != "c++14":
                    self.compile(compiler, "-x", language, f"-std={standard}", *CHECKED, *nothing, abi / "public.c")
            self.compile(compiler, "-x", language, f"-std={standards[1]}", *CHECKED, *nothing, abi / "layout.c")
        for header in sorted((ROOT / "include").rglob("*.h*")):
            if header.parent.name == "detail" and not inline:
                continue  # datablock_inline.h leaves them out
            only_c = header.name == "datablock_schema.h"  # it uses the type of an expression
            for compiler, language, standard in ((c, "c", "c11"), (cxx, "c++", "c++17")):
                if header.suffix == (".hpp" if language == "c" else "") or (only_c and language == "c++") or (
                        header.suffix == ".hpp" and not headers_of_cxx):
                    continue
                source = self.folder / f"alone.{language}"
                source.write_text(f'#include "{header}"\n#include "{header}"\nextern int unit;\n')
                self.compile(compiler, "-x", language, f"-std={standard}", *CHECKED, *nothing, source)


def libstdcxx():
    """Where the C++ headers of MinGW are. clang does not find them in Debian's folder."""
    compiler = wine.COMPILER.replace("gcc", "g++")
    folder = subprocess.run([compiler, "-print-file-name=include/c++"], check=True, capture_output=True,
                            text=True).stdout.strip()
    return [f"-isystem{folder}", f"-isystem{folder}/x86_64-w64-mingw32"]


def compile_family(family):
    """The number of failures of one compiler."""
    name, (c, cxx), how = family
    with tempfile.TemporaryDirectory() as folder:
        run = Run(pathlib.Path(folder))
        run.matrix(c, cxx, **how)
    print(f"{name:<12} {run.compiled} compiled, {run.failed} failed", flush=True)
    return run.failed


def main():
    wine.require_tools()
    mingw = [wine.COMPILER], [wine.COMPILER.replace("gcc", "g++")]
    families = [("MinGW", mingw, {})]
    if shutil.which("clang") and shutil.which("clang++"):
        as_msvc = "-U__clang__"
        families += [
            ("clang, GNU", (["clang", *GNU], ["clang++", *GNU, *libstdcxx()]), {}),
            ("clang, MSVC", (["clang", *MSVC], ["clang++", *MSVC]), {"headers_of_cxx": False}),
            ("as MSVC", (["clang", *MSVC, as_msvc], ["clang++", *MSVC, as_msvc]),
             {"inline": False, "headers_of_cxx": False}),
        ]
    else:
        print("NOT RUN: clang, which is missing")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return any(pool.map(compile_family, families))


if __name__ == "__main__":
    sys.exit(main())
