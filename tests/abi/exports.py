"""Checks that the library exports exactly the functions of the public headers and the given names.

Usage: exports.py LIBRARY HEADER [NAME]...
"""

import os
import re
import subprocess
import sys

library, header, *named = sys.argv[1:]

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

listing = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
defined = {line.split()[-1] for line in listing.splitlines()}

for name in sorted(declared - defined):
    print(f"declared in {header}, missing from {library}: {name}")
for name in sorted(defined - declared):
    print(f"visible in {library}, not declared in {header}: {name}")
print(f"{len(declared)} functions declared, {len(defined)} symbols defined")
sys.exit(declared != defined)
