#!/usr/bin/env bash
# Kills the server a thousand times and checks that nothing that was acknowledged is lost.
# Usage: tests/crash.sh [KILLS]. The seed that is printed repeats the moments: ROLLCALL_SEED=…
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_KILLS=${1:-1000}
cargo test --locked --test stories -- --exact --nocapture \
    journal::crash::killed_at_any_moment_it_loses_nothing_that_was_acknowledged
