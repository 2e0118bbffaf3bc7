#!/bin/sh
# Runs both cameras and the join, and compares what they print: run.sh [DIRECTORY OF THE PROGRAM]
set -eu
program=${1:-build/examples/cpp}/two_cameras
"$program" left 1000 &
left=$!
"$program" right 1000 &
right=$!
trap 'kill "$left" "$right" 2>/dev/null || true' EXIT
printed=$("$program" join)
wait "$left"
wait "$right"
trap - EXIT
# Of 1000 triggers the left camera misses 200, the right camera 142, both of them 28.
expected='686 pairs, 114 frames of the left camera alone, 172 of the right one'
test "$printed" = "$expected" || { printf 'printed\n%s\nexpected\n%s\n' "$printed" "$expected"; exit 1; }
