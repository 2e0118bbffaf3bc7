#!/bin/sh
# Runs the demo that `make demo` has built. --quick: about five seconds, for the tests.
root=$(cd "$(dirname "$0")/../.." && pwd) || exit
programs=${DATABLOCK_BUILD:-$root/build}/demo
if [ ! -x "$programs/orchestrate" ]; then
    echo "the demo is not built: run make demo" >&2
    exit 1
fi
exec "$programs/orchestrate" "$@"
