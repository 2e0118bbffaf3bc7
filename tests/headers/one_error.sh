#!/bin/sh
# Where a header of C++ cannot be used it says so in one error, whichever of them is included:
# one_error.sh CXX TEXT FLAG...
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
