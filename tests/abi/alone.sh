#!/bin/sh
# Checks that each header compiles alone and twice, as C and as C++, and finds the other headers by
# its own path: the compiler gets no -I. Usage: alone.sh CC CXX
set -eu
cc=$1 cxx=$2
flags="-Wall -Wextra -Wpedantic -Werror -fsyntax-only"

# alone COMPILER LANGUAGE STANDARD HEADER
alone() {
    # The flags must be split into words.
    # shellcheck disable=SC2086
    printf '#include "%s"\n#include "%s"\nextern int unit;\n' "$PWD/$4" "$PWD/$4" |
        "$1" -x "$2" -std="$3" $flags - || { echo "$4, $3"; exit 1; }
}

seen=0
for header in $(find include -type f | sort); do
    case $header in
    *datablock_schema.h) alone "$cc" c c11 "$header" ;; # for C only: it uses the type of an expression
    *.h)
        alone "$cc" c c11 "$header"
        alone "$cxx" c++ c++17 "$header"
        ;;
    *)
        alone "$cxx" c++ c++17 "$header"
        ;;
    esac
    seen=$((seen + 1))
done
test "$seen" -ge 25 || { echo "only $seen headers were found"; exit 1; }
