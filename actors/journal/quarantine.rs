//! Quarantine of events whose application panics because of a bug. Each is skipped by its position,
//! logged and counted, and all other events are applied.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rollcall_identity::{Event, Revision, RevisionRange, Rules, Table};

use super::corruption::Corruption;
use super::event_reader::ReadSummary;
use super::log::{LogEntry, LogReader, LogSegment};
use crate::telemetry::EventQuarantined;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Applies an event to the table.
pub(super) type ApplyFn = fn(&mut Table, Revision, &Event, &Rules);

/// Applies an event with the rules of the product.
pub(super) fn apply(table: &mut Table, revision: Revision, event: &Event, rules: &Rules) {
    table.apply(revision, event, rules);
}

/// The maximum number of quarantined events. With more of them, the events are not the cause.
const MAX_QUARANTINED: usize = 64;

/// Why reading ended early.
pub(super) enum Stopped {
    Failed(Corruption),
    /// Applying the event at this position panics.
    Panicked(Revision),
}

impl From<Corruption> for Stopped {
    fn from(error: Corruption) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Applies each valid event of `segment` within `span`, except for `quarantined`. Returns the
/// result of the read, and the position of the last event, even if it was skipped.
///
/// # Errors
/// If the segment cannot be read at all, or an event cannot be applied.
pub(super) fn read(
    (log, segment, span): (&dyn LogReader, &LogSegment, RevisionRange),
    quarantined: &BTreeSet<Revision>,
    mut apply: impl FnMut(Revision, &Event),
) -> Result<(ReadSummary, Option<Revision>), Stopped> {
    let current = Cell::new(None);
    let mut each = |LogEntry { position, event, .. }| {
        current.set(Some(position));
        if !quarantined.contains(&position) {
            apply(position, &event);
        }
        Ok(())
    };
    let read = catch_unwind(AssertUnwindSafe(|| log.read_ahead(segment, span, &mut each)));
    let last = current.get();
    let read = read.map_err(|_| Stopped::Panicked(last.unwrap_or(span.after)))?;
    Ok((read?, last))
}

/// Repeats the read without the events that panicked, because a panic leaves the table partly
/// changed. The table is discarded each time.
pub(super) fn with_quarantine<T>(
    mut read: impl FnMut(&BTreeSet<Revision>) -> Result<T, Stopped>,
) -> Result<T, Corruption> {
    let mut quarantined = BTreeSet::new();
    loop {
        match read(&quarantined) {
            Ok(result) => return Ok(result),
            Err(Stopped::Failed(error)) => return Err(error),
            Err(Stopped::Panicked(current)) => {
                EventQuarantined { revision: current.0 }.emit();
                if !quarantined.insert(current) || quarantined.len() > MAX_QUARANTINED {
                    let text = format!("the events after {current}: applying them fails");
                    return Err(Corruption::Missing(text));
                }
            }
        }
    }
}
