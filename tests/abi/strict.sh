#!/bin/sh
# Checks that a host with strict warnings, which finds the headers by a plain -I, gets no warning of
# the headers: each header alone, and every function template used. Usage: strict.sh CXX
# With DATABLOCK_SOAK each compiler has both standards, else gcc the older and clang the newer one.
set -eu
cxx=$1
flags="-Iinclude -Werror -Wall -Wextra -Wpedantic -Wold-style-cast -Wzero-as-null-pointer-constant -Wconversion
    -Wsign-conversion -Wshadow -Wcast-qual -Wcast-align -Wdouble-promotion -Wformat=2 -Wundef -Wnon-virtual-dtor
    -Woverloaded-virtual -Wextra-semi -Wredundant-decls -Wmissing-declarations"
case $("$cxx" --version) in
*clang*)
    standards=c++20
    output=-fsyntax-only # clang's warnings come before it optimizes
    flags="$flags -Wweak-vtables -Wshadow-all -Wused-but-marked-unused -Wreserved-id-macro -Wcomma -Wunused-macros
        -Wheader-hygiene -Wimplicit-fallthrough"
    ;;
*)
    standards=c++17
    output="-O1 -c -o /dev/null"
    flags="$flags -Wuseless-cast -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wsuggest-override"
    ;;
esac
test -z "${DATABLOCK_SOAK-}" || standards="c++17 c++20"
for standard in $standards; do
    for header in include/*.h include/*.hpp; do # they include the parts
        case $header in
        *datablock_schema.h) continue ;; # for C only: it uses the type of an expression
        esac
        # The flags must be split into words.
        # shellcheck disable=SC2086
        echo "#include \"${header#include/}\"" | "$cxx" -std=$standard $flags -fsyntax-only -x c++ - || {
            echo "$header, $standard"
            exit 1
        }
    done
    for user in tests/abi/transactions.cpp tests/abi/parts.cpp tests/abi/inline.c; do
        # shellcheck disable=SC2086
        "$cxx" -std=$standard $flags $output -x c++ $user || { echo "$user, $standard"; exit 1; }
    done
done
