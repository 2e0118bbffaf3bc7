"""Checks that the library exports exactly the functions of the public headers and the given names.

Usage: exports.py LIBRARY HEADER [NAME]...
"""

import re
import subprocess
import sys

library, header, *named = sys.argv[1:]

text = subprocess.run(["gcc", "-E", "-P", header], check=True, capture_output=True, text=True).stdout
marker = re.escape('__attribute__((visibility("default")))')
declared = set(re.findall(marker + r"[^;(]*?(\w+)\s*\(", text))
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
