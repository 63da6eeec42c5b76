#!/usr/bin/env bash
# Lets the disk fail in each of its first calls: EIO and ENOSPC, in writing and in synchronising.
# Usage: tests/faults.sh [N], 200 unless told otherwise. Needs strace and leave to trace.
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_FAULTS=${1:-200} ROLLCALL_PEERS=required
cargo test --locked --test stories -- --exact --nocapture \
    journal::failing_disk::a_disk_that_fails_in_its_nth_call_costs_nothing_that_was_acknowledged
