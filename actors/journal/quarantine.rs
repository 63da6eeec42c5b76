//! Events whose folding panics: an error of ours that one of them has found. Each is set aside by its
//! position, named and counted, and everything else is folded without it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rollcall_identity::{Event, Revision, RevisionRange, Rules, Table};

use super::corruption::Corruption;
use super::event_reader::ReadSummary;
use super::read_ahead;
use crate::telemetry::EventQuarantined;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Folds one event into the table.
pub(super) type ApplyFn = fn(&mut Table, Revision, &Event, &Rules);

/// As everybody does.
pub(super) fn apply(table: &mut Table, revision: Revision, event: &Event, rules: &Rules) {
    table.apply(revision, event, rules);
}

/// How many events may be set aside: with more of them, it is not the events.
const MAX_QUARANTINED: usize = 64;

/// Why it cannot be read through.
pub(super) enum Stopped {
    Failed(Corruption),
    /// Nobody survives folding the event at this position.
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

/// Gives each good event of the segment at `path` within `span` to `fold`, but for `poison`. Says what
/// the reading came to, and the position of the last event, be it set aside or not.
///
/// # Errors
/// When the file cannot be read at all, or an event cannot be folded.
pub(super) fn read(
    (path, span): (&Path, RevisionRange),
    quarantined: &BTreeSet<Revision>,
    mut apply: impl FnMut(Revision, &Event),
) -> Result<(ReadSummary, Option<Revision>), Stopped> {
    let current = Cell::new(None);
    let each = |revision, event: Event| {
        current.set(Some(revision));
        if !quarantined.contains(&revision) {
            apply(revision, &event);
        }
        Ok(())
    };
    let read = catch_unwind(AssertUnwindSafe(|| read_ahead::read(path, span, each)));
    let last = current.get();
    let read = read.map_err(|_| Stopped::Panicked(last.unwrap_or(span.after)))?;
    Ok((read?, last))
}

/// Reads again and again, each time without the events whose folding has panicked: a table in which one
/// did is half changed, and is thrown away.
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
