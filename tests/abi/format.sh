#!/bin/sh
# Checks the form of include/ and capi/ with clang-format. Usage: format.sh CLANG-FORMAT
# To format the files: find include capi -name '*.[ch]' -o -name '*.hpp' | xargs clang-format -i
set -eu
files=$(find include capi -name '*.[ch]' -o -name '*.hpp' | sort)
test "$(echo "$files" | wc -l)" -ge 40 || { echo "too few files were found: $files"; exit 1; }
# The names have no spaces.
# shellcheck disable=SC2086
"$1" --dry-run -Werror $files
