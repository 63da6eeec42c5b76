#!/bin/sh
# Starts Rollcall ($1) without a configuration in an empty folder ($2), and pastes the two lines
# that it prints into a shell. Run in a network namespace of its own.
set -eu
ip link set lo up
cd "$2"
"$1" >said 2>log &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT

# What is printed last is what is waited for.
tries=0
until grep -q ' lookup ' said; do
    kill -0 "$server" || { cat log >&2; exit 1; }
    tries=$((tries + 1))
    [ "$tries" -lt 400 ] || { cat said log >&2; exit 1; }
    sleep 0.05
done
grep '^  ' said >lines
[ "$(wc -l <lines)" -eq 2 ] || { cat said >&2; exit 1; }
send=$(sed -n 1p lines)
ask=$(sed -n 2p lines)

eval "$send"
tries=0
until eval "$ask"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat log >&2; exit 1; }
    sleep 0.05
done
kill "$server"
wait "$server"
