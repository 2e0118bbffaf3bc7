#!/bin/sh
# Links two translation units that include the inline header into one program: two of C, two of C++,
# and one of each. Usage: units.sh CC CXX BUILD
set -eu
cc=$1 cxx=$2 build=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DATABLOCK_DIR=$(mktemp -d /dev/shm/datablock-test-XXXXXX)
export DATABLOCK_DIR
trap 'rm -rf "$root" "$DATABLOCK_DIR"' EXIT

flags="-O2 -Wall -Wextra -Wpedantic -Werror -Iinclude -c"
for unit in first second; do
    # The flags must be split into words.
    # shellcheck disable=SC2086
    "$cc" -std=c11 $flags -DUNIT=$unit -o "$root/$unit.c.o" tests/abi/unit.c
    # shellcheck disable=SC2086
    "$cxx" -std=c++17 $flags -DUNIT=$unit -o "$root/$unit.cpp.o" -x c++ tests/abi/unit.c
done
# shellcheck disable=SC2086
"$cc" -std=c11 $flags -o "$root/main.o" tests/abi/units_main.c

for pair in "c c" "cpp cpp" "c cpp" "cpp c"; do
    "$cxx" -o "$root/program" "$root/main.o" "$root/first.${pair% *}.o" "$root/second.${pair#* }.o" \
        -L"$build" -ldatablock -Wl,-rpath,"$build"
    "$root/program" || { echo "first unit and second unit: $pair"; exit 1; }
done
