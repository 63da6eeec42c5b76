#!/usr/bin/env bash
# Cuts the power of the journal disk a hundred times, and then with a disk that ignores syncs.
# Usage: tests/powercut.sh [CUTS]. Needs root, loop devices, mkfs.ext4 and strace; no kernel module.
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_CUTS=${1:-100} ROLLCALL_PEERS=required
cargo test --locked --test stories -- --nocapture --test-threads 1 journal::power_cut
