#!/usr/bin/env bash
# Simulates ten thousand seeds, and reports each violated guarantee with its seed.
# Usage: tests/simulation.sh [SEEDS]. ROLLCALL_SEED=… repeats one seed.
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_SEEDS=${1:-10000}
cargo test --locked --test stories -- --exact --nocapture \
    simulation::every_guarantee_holds_under_any_sequence_of_faults
