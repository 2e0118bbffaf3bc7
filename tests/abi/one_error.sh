#!/bin/sh
# Checks that each C++ header fails with one clear error where it cannot be used.
# Usage: one_error.sh CXX TEXT FLAG...
set -eu
cxx=$1 text=$2
shift 2
for header in include/*.hpp; do
    said=$(echo "#include \"${header#include/}\"" | "$cxx" "$@" -fsyntax-only -Iinclude -x c++ - 2>&1) && {
        echo "$header compiles"
        exit 1
    }
    errors=$(echo "$said" | grep -c "error:")
    case $errors$said in
    1*"$text"*) ;;
    *)
        echo "$header: $errors errors, and wanted is one that says \"$text\""
        echo "$said" | head -20
        exit 1
        ;;
    esac
done
