"""Checks that the library exports exactly the functions of the public headers and the given names.

Usage: exports.py LIBRARY HEADER [NAME]...

The library may be a DLL of Windows. Its import libraries then lie beside it, and are checked, too:
libdatablock.dll.a and datablock.lib. So are the DLLs that it needs: only those of Windows.
"""

import os
import re
import shutil
import subprocess
import sys

library, header, *named = sys.argv[1:]
if library.endswith(".dll") and not shutil.which("x86_64-w64-mingw32-objdump"):
    print("missing: x86_64-w64-mingw32-objdump; `make setup WINDOWS=1` installs it")
    sys.exit(77)

marker = '__attribute__((visibility("default")))'


def declared_by(*arguments):
    text = subprocess.run(["gcc", "-E", "-P", *arguments], check=True, capture_output=True, text=True).stdout
    return set(re.findall(re.escape(marker) + r"[^;(]*?(\w+)\s*\(", text))


declared = declared_by(header)
# The library exports the inline functions as well, for bindings.
declared |= declared_by(
    "-DDATABLOCK_DECLARATIONS_ONLY", f"-DDATABLOCK_API={marker}", os.path.join(os.path.dirname(header), "datablock.h")
)
if not declared:
    sys.exit(f"{header}: no declarations found")
declared.update(named)

MINGW = "x86_64-w64-mingw32-"
# Of every Windows since version 10. The C library of MinGW is msvcrt.dll.
SYSTEM_DLLS = {"KERNEL32.dll", "msvcrt.dll"}


def output_of(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def defined_by(file):
    """The names of a shared object, a DLL or an import library."""
    if file.endswith((".a", ".lib")):
        # an imported function has a stub of its own name, which jumps to __imp_NAME
        return set(re.findall(r" T (\w+)$", output_of(f"{MINGW}nm", file), re.M))
    if file.endswith(".dll"):
        table = output_of(f"{MINGW}objdump", "-p", file).partition("[Ordinal/Name Pointer] Table")[2]
        return set(re.findall(r"^\s+\[ *\d+\] (?:\+base\[ *\d+\]\s+[0-9a-f]+ )?(\w+)$", table, re.M))
    # The version of a function is the one of its release. The linker adds a symbol for the version.
    symbols = [line.split()[1:] for line in output_of("nm", "-D", "--defined-only", file).splitlines()]
    return {name.partition("@")[0] for kind, name in symbols if kind != "A"}


def compare(file):
    """Prints what differs from the headers. Returns whether something does."""
    defined = defined_by(file)
    for name in sorted(declared - defined):
        print(f"declared in {header}, missing from {file}: {name}")
    for name in sorted(defined - declared):
        print(f"visible in {file}, not declared in {header}: {name}")
    print(f"{file}: {len(declared)} functions declared, {len(defined)} symbols defined")
    return declared != defined


failed = compare(library)
if library.endswith(".dll"):
    needed = set(re.findall(r"DLL Name: (\S+)", output_of(f"{MINGW}objdump", "-p", library)))
    if not needed or needed - SYSTEM_DLLS:
        print(f"{library} needs {sorted(needed)}, where only {sorted(SYSTEM_DLLS)} are a part of Windows")
        failed = True
    for beside in ("libdatablock.dll.a", "datablock.lib"):
        failed |= compare(os.path.join(os.path.dirname(library), beside))
sys.exit(failed)
