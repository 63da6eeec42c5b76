//! Events whose folding panics: an error of ours that one of them has found. Each is set aside by its
//! position, named and counted, and everything else is folded without it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rollcall_identity::{Event, Revision, RevisionRange, Rules, Table};

use super::corruption::Corruption;
use super::event_reader::Read;
use super::read_ahead;
use crate::telemetry::EventQuarantined;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Folds one event into the table.
pub(super) type Fold = fn(&mut Table, Revision, &Event, &Rules);

/// As everybody does.
pub(super) fn fold(table: &mut Table, revision: Revision, event: &Event, rules: &Rules) {
    table.apply(revision, event, rules);
}

/// How many events may be set aside: with more of them, it is not the events.
const POISONOUS: usize = 64;

/// Why it cannot be read through.
pub(super) enum Stopped {
    Damaged(Corruption),
    /// Nobody survives folding the event at this position.
    Poisoned(Revision),
}

impl From<Corruption> for Stopped {
    fn from(damage: Corruption) -> Self {
        Self::Damaged(damage)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Damaged(error.into())
    }
}

/// Gives each good event of the segment at `path` within `span` to `fold`, but for `poison`. Says what
/// the reading came to, and the position of the last event, be it set aside or not.
///
/// # Errors
/// When the file cannot be read at all, or an event cannot be folded.
pub(super) fn read(
    (path, span): (&Path, RevisionRange),
    poison: &BTreeSet<Revision>,
    mut fold: impl FnMut(Revision, &Event),
) -> Result<(Read, Option<Revision>), Stopped> {
    let at = Cell::new(None);
    let each = |revision, event: Event| {
        at.set(Some(revision));
        if !poison.contains(&revision) {
            fold(revision, &event);
        }
        Ok(())
    };
    let read = catch_unwind(AssertUnwindSafe(|| read_ahead::read(path, span, each)));
    let last = at.get();
    let read = read.map_err(|_| Stopped::Poisoned(last.unwrap_or(span.after)))?;
    Ok((read?, last))
}

/// Reads again and again, each time without the events whose folding has panicked: a table in which one
/// did is half changed, and is thrown away.
pub(super) fn without_poison<T>(
    mut read: impl FnMut(&BTreeSet<Revision>) -> Result<T, Stopped>,
) -> Result<T, Corruption> {
    let mut poison = BTreeSet::new();
    loop {
        match read(&poison) {
            Ok(done) => return Ok(done),
            Err(Stopped::Damaged(damage)) => return Err(damage),
            Err(Stopped::Poisoned(at)) => {
                EventQuarantined { revision: at.0 }.emit();
                if !poison.insert(at) || poison.len() > POISONOUS {
                    let text = format!("what comes after {at}: folding it fails");
                    return Err(Corruption::Missing(text));
                }
            }
        }
    }
}
