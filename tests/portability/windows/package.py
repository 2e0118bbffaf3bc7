#!/usr/bin/env python3
"""Builds unrelated programs from the files of build/windows alone, and lets them exchange messages.

The sender finds the package by pkg-config. Three receivers read every message:

  cmake      built by CMake, which finds the package by find_package
  msvc       compiled by clang for Microsoft's target, with the inline functions, and linked with
             datablock.lib
  exported   the same as Microsoft's compiler sees the headers: without the inline functions

The objects for Microsoft's target are linked by MinGW, because Microsoft's linker and C library do
not exist here. datablock-admin.exe then lists the block.

Usage: package.py BUILD [--messages=N]. `make windows` makes build/windows. Exit code 77: the tools
are missing.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import checks
import headers
import wine

LIMIT = 300  # seconds for all programs together
TOOLCHAIN = """set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
"""
PROJECT = """cmake_minimum_required(VERSION 3.20)
project(receiver LANGUAGES C)
set(CMAKE_C_STANDARD 11)
find_package(datablock CONFIG REQUIRED)
add_executable(receiver receiver.c)
target_link_libraries(receiver PRIVATE datablock::datablock)
"""


def command(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(package, into):
    """The programs, by name."""
    strict = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    flags = command("pkg-config", "--cflags", "--libs", "datablock",
                    env={**os.environ, "PKG_CONFIG_PATH": str(package)}).split()
    command(wine.COMPILER, *strict, wine.HERE / "sender.c", "-o", into / "sender.exe", *flags)
    programs = {"sender": into / "sender.exe"}

    source = into / "source"
    source.mkdir()
    shutil.copy(wine.HERE / "receiver.c", source)
    (source / "CMakeLists.txt").write_text(PROJECT)
    (source / "toolchain.cmake").write_text(TOOLCHAIN)
    command("cmake", "-S", source, "-B", into / "cmake", f"-DCMAKE_TOOLCHAIN_FILE={source}/toolchain.cmake",
            f"-DCMAKE_PREFIX_PATH={package}")
    command("cmake", "--build", into / "cmake")
    programs["cmake"] = into / "cmake.exe"
    shutil.move(into / "cmake/receiver.exe", programs["cmake"])

    if shutil.which("clang"):
        for name, more in (("msvc", []), ("exported", ["-U__clang__"])):
            command("clang", *headers.MSVC, *more, *strict, f"-I{package}/include", "-c", wine.HERE / "receiver.c",
                    "-o", into / f"{name}.obj")
            programs[name] = into / f"{name}.exe"
            command(wine.COMPILER, into / f"{name}.obj", package / "datablock.lib", "-o", programs[name])
    else:
        print("NOT RUN: msvc, exported: clang is missing")
    shutil.copy(package / "datablock.dll", into)
    return programs


def exchange(prefix, programs, package, messages):
    directory = tempfile.mkdtemp(dir=prefix.blocks)
    variables = {"DATABLOCK_DIR": prefix.path(directory)}
    receivers = [name for name in programs if name != "sender"]
    running = {name: prefix.start(programs[name], variables=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL) for name in receivers}
    running["sender"] = prefix.start(programs["sender"], messages, len(receivers), variables=variables,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    failed = 0
    try:
        for name, process in running.items():
            said, _ = process.communicate(timeout=LIMIT)
            wanted = f"{'sent' if name == 'sender' else 'received'} {messages}"
            print(f"{name:<10} exit code {process.returncode}: {said.decode().strip()}", flush=True)
            failed += process.returncode != 0 or said.decode().strip() != wanted
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
    code, said = prefix.run(package / "datablock-admin.exe", "list", "--directory", prefix.path(directory), limit=LIMIT)
    print(f"datablock-admin.exe list: exit code {code}\n{said}")
    return failed + (code != 0 or "package" not in said)


def main():
    p = checks.parser(__doc__)
    p.add_argument("--messages", type=int, default=10000)
    a = p.parse_args()
    wine.require_tools()
    built = a.build.resolve() / "windows"
    with tempfile.TemporaryDirectory() as folder, wine.prefix(a.build) as prefix:
        package, into = pathlib.Path(folder) / "package", pathlib.Path(folder) / "programs"
        shutil.copytree(built, package, ignore=shutil.ignore_patterns("test"))
        into.mkdir()
        failed = exchange(prefix, build(package, into), package, a.messages)
    print(f"{failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
