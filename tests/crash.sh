#!/usr/bin/env bash
# Kills the server a thousand times and verifies that no acknowledged event is lost.
# Usage: tests/crash.sh [KILLS]. ROLLCALL_SEED=… with the printed seed repeats a run.
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_KILLS=${1:-1000}
cargo test --locked --test stories -- --exact --nocapture \
    journal::crash::a_kill_at_any_time_loses_no_acknowledged_event
