#!/bin/sh
# Runs both sides of the example, kills the controller and starts another one, and compares what the
# plant prints: run.sh [DIRECTORY OF THE PROGRAM]
set -eu
program=${1:-build/examples/cpp}/control_loop
said=$(mktemp)
controller=
"$program" plant 1000 >"$said" & # a second, because other programs run here; 20 ms on a machine of its own
plant=$!
trap 'kill $controller "$plant" 2>/dev/null || true; wait; rm -f "$said"' EXIT

# wait_until TIMES LINE: waits until the plant has printed LINE this many times
wait_until() {
    turns=0
    until test "$(grep -c "$2" "$said")" -ge "$1"; do
        kill -0 "$plant" || exit 1
        turns=$((turns + 1))
        test $turns -lt 1500 || { echo "the plant did not come to '$2'"; cat "$said"; exit 1; }
        sleep 0.02
    done
}

wait_until 1 'at home'
"$program" controller &
controller=$!
wait_until 1 'at the target'
kill -KILL "$controller"
wait_until 2 'at home'
"$program" controller &
controller=$!
wait_until 2 'at the target'
kill "$controller" # this controller closes its block
wait "$controller"
controller=
wait_until 3 'at home'
kill "$plant"
wait "$plant"

expected='at home
commanded
at the target
no command in time: going home
at home
commanded
at the target
no command in time: going home
at home'
test "$(cat "$said")" = "$expected" || { printf 'printed\n%s\nexpected\n%s\n' "$(cat "$said")" "$expected"; exit 1; }
