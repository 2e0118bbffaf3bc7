#!/bin/sh
# Runs the example and compares what it prints: run.sh [DIRECTORY OF THE PROGRAM]
set -eu
program=${1:-build/examples/cpp}/transactions
expected='not published: the sensor fell off
message 0: hello, world
message 1: hello, again
message 0 has 12 bytes
message 2 was not written within 100 ms'
printed=$("$program")
test "$printed" = "$expected" || { printf 'printed\n%s\nexpected\n%s\n' "$printed" "$expected"; exit 1; }
