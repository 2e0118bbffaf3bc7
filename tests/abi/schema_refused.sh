#!/bin/sh
# The macros that describe a struct refuse a member of another type. Each case of schema_refused.c
# and schema_refused.cpp fails to compile without the help of a warning. The file without a case
# compiles. schema_refused.sh CC CXX
set -eu
cc=$1 cxx=$2
warnings="-Wall -Wextra -Wpedantic -Werror -Wno-unused-const-variable"
bad=0

# errors COMMAND...: how many, and what they say
errors() {
    said=$("$@" 2>&1) && count=0 && return
    count=$(echo "$said" | grep -c "error:") || true
}
complain() {
    echo "$*"
    echo "$said" | head -20
    bad=1
}

for standard in c11 c17 gnu17; do
    # The flags are words.
    # shellcheck disable=SC2086
    errors "$cc" -std=$standard $warnings -Iinclude -fsyntax-only tests/abi/schema_refused.c
    [ "$count" = 0 ] || complain "$standard: the file without a case has errors"
done
for n in $(grep -o "CASE == [0-9]*" tests/abi/schema_refused.c | grep -o "[0-9]*$"); do
    errors "$cc" -std=c11 -DCASE="$n" -Iinclude -fsyntax-only tests/abi/schema_refused.c
    if [ "$count" = 0 ]; then
        name=$(grep -A1 "CASE == $n\$" tests/abi/schema_refused.c | tail -1)
        complain "case $n of schema_refused.c compiles: $name"
    fi
    case $n in
    28 | 29)
        case $count$said in
        1*"takes 1 to 40 members"*) ;;
        *) complain "case $n of schema_refused.c: wanted is one error, which says how many" ;;
        esac
        ;;
    esac
done
for standard in c++17 c++20; do
    # shellcheck disable=SC2086
    errors "$cxx" -std=$standard $warnings -Iinclude -fsyntax-only tests/abi/schema_refused.cpp
    [ "$count" = 0 ] || complain "$standard: the file without a case has errors"
done
while IFS=: read -r n text; do
    # GNU's dialect: there __int128 is an integer
    errors "$cxx" -std=gnu++17 -DCASE="$n" -Iinclude -fsyntax-only tests/abi/schema_refused.cpp
    case $count$said in
    1*"$text"*) ;;
    *) complain "case $n of schema_refused.cpp: $count errors, and wanted is one that says \"$text\"" ;;
    esac
done <<CASES
$(sed -n 's/.*CASE == \([0-9]*\) .* says: \(.*\)/\1:\2/p' tests/abi/schema_refused.cpp)
CASES

# Where datablock_schema.h is of no use it says so, in one error.
for wrong in "c-header -std=c99 needs C11" "c++-header -std=c++17 is for C: include datablock_schema.hpp"; do
    language=${wrong%% *} rest=${wrong#* }
    compiler=$cc
    [ "$language" = c-header ] || compiler=$cxx
    errors "$compiler" "${rest%% *}" -Iinclude -fsyntax-only -x "${language%-header}" include/datablock_schema.h
    case $count$said in
    1*"${rest#* }"*) ;;
    *) complain "datablock_schema.h, ${rest%% *}: $count errors, and wanted is one that says \"${rest#* }\"" ;;
    esac
done
exit $bad
