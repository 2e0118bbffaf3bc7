#!/bin/sh
# Runs both sides of the example, and compares what the reader prints: run.sh [DIRECTORY OF THE
# PROGRAM]
set -eu
program=${1:-build/examples/c}/sensor_stream
"$program" sensor &
sensor=$!
trap 'kill "$sensor" 2>/dev/null && wait "$sensor" || true' EXIT
printed=$("$program" reader 20)
kill "$sensor"
wait "$sensor" # the exit status says whether the sensor ever met backpressure
trap - EXIT
expected='20 readings, each whole and newer than the one before, more passed by'
test "$printed" = "$expected" || { printf 'printed\n%s\nexpected\n%s\n' "$printed" "$expected"; exit 1; }
