#!/bin/sh
# Runs both sides of the example, and compares what the consumer prints: run.sh [DIRECTORY OF THE
# PROGRAM]
set -eu
program=${1:-build/examples/cpp}/next_slot
"$program" produce &
producer=$!
trap 'kill "$producer" 2>/dev/null || true' EXIT
printed=$("$program" consume)
wait "$producer"
trap - EXIT
expected='1000 samples, mean 0.459277'
test "$printed" = "$expected" || { printf 'printed\n%s\nexpected\n%s\n' "$printed" "$expected"; exit 1; }
