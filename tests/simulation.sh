#!/usr/bin/env bash
# Lives through ten thousand simulated worlds, and says which promise is broken in which.
# Usage: tests/simulation.sh [SEEDS]. A seed that fails is named; ROLLCALL_SEED=… repeats that one.
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_SEEDS=${1:-10000}
cargo test --locked --test stories -- --exact --nocapture \
    simulation::every_guarantee_holds_under_any_sequence_of_faults
