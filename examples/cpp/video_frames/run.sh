#!/bin/sh
# Runs both sides of the example, and compares what they print: run.sh [DIRECTORY OF THE PROGRAM]
set -eu
program=${1:-build/examples/cpp}/video_frames
film=$(mktemp)
"$program" camera 100 >"$film" &
camera=$!
trap 'wait "$camera" || true; rm -f "$film"' EXIT # without a viewer the camera ends by itself
printed=$("$program" viewer)
wait "$camera"
printed="$(cat "$film")
$printed"
expected='filmed 100 frames, 11 exposures failed
every frame shown was whole, the last one was 99'
test "$printed" = "$expected" || { printf 'printed\n%s\nexpected\n%s\n' "$printed" "$expected"; exit 1; }
