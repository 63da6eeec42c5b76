#!/usr/bin/env bash
# Injects EIO and ENOSPC into each of the first write and sync calls of the journal.
# Usage: tests/faults.sh [N], 200 by default. Needs strace and the permission to trace.
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_FAULTS=${1:-200} ROLLCALL_PEERS=required
cargo test --locked --test stories -- --exact --nocapture \
    journal::failing_disk::a_disk_error_in_any_call_loses_no_acknowledged_event
