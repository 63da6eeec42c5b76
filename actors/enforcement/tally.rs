//! What is counted of one enforcement point: the figures its administrator looks at.

use std::net::IpAddr;
use std::sync::Mutex;

use rollcall_identity::{Name, Revision, Timestamp};
use serde::Serialize;

use crate::admission::locked;
use crate::happenings::{Happening, Lagging};

/// How one enforcement point, or one program that pushes, is doing.
#[derive(Debug, Clone, Serialize)]
pub struct PointStatus {
    /// Its configured name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Questions answered, whatever they were.
    pub queries: u64,
    /// Reports in those answers.
    pub reports: u64,
    /// Requests that were refused.
    pub errors: u64,
    /// Events that it pushed and that were taken.
    pub pushed: u64,
    /// When it last asked or pushed.
    pub last_seen: Option<Timestamp>,
    /// From which address.
    pub last_address: Option<IpAddr>,
    /// Up to which revision the cookie of its last answer goes.
    pub revision: Option<Revision>,
    /// How many revisions it is behind; `None` for one that never asked for a batch.
    pub lag_changes: Option<u64>,
    /// For how many seconds it has not had everything; 0 when it has.
    pub lag_seconds: Option<f64>,
}

/// What somebody is who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A firewall, which asks and may push.
    EnforcementPoint,
    /// A program, which only pushes.
    Pusher,
}

/// The counters behind a [`PointStatus`], kept through reloads.
pub(super) struct Tally {
    pub(super) name: String,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    queries: u64,
    reports: u64,
    errors: u64,
    pushed: u64,
    last_seen: Option<(Timestamp, IpAddr)>,
    batch: Option<Batch>,
}

/// The last batch that was answered.
#[derive(Debug, Clone, Copy)]
struct Batch {
    /// Up to where its cookie goes.
    revision: Revision,
    /// When the firewall last had everything, or else asked for the first time.
    complete: Timestamp,
}

impl Tally {
    pub(super) fn new(name: &Name) -> Self {
        Self { name: name.to_string(), counts: Mutex::default() }
    }

    /// It was here.
    pub(super) fn seen(&self, source: IpAddr, now: Timestamp) {
        locked(&self.counts).last_seen = Some((now, source));
    }

    /// A question was answered.
    pub(super) fn answered(&self, reports: usize) {
        let mut counts = locked(&self.counts);
        counts.queries += 1;
        counts.reports += reports as u64;
    }

    /// A batch was answered that goes up to `revision`.
    pub(super) fn told(&self, revision: Revision, knows: Knows, now: Timestamp) {
        let mut counts = locked(&self.counts);
        let complete = match (knows, counts.batch) {
            (Knows::Everything, _) | (Knows::Part, None) => now,
            (Knows::Part, Some(before)) => before.complete,
        };
        counts.batch = Some(Batch { revision, complete });
    }

    /// A request was refused.
    pub(super) fn erred(&self) {
        locked(&self.counts).errors += 1;
    }

    /// Events were taken.
    pub(super) fn pushed(&self, events: usize) {
        locked(&self.counts).pushed += events as u64;
    }

    pub(super) fn measure_lag(&self, newest: Revision) {
        let changes = locked(&self.counts).batch.map(|batch| behind(batch, newest));
        if let Some(changes) = changes {
            Lagging { point: &self.name, changes }.emit();
        }
    }

    pub(super) fn status(&self, role: Role, newest: Revision, now: Timestamp) -> PointStatus {
        let counts = locked(&self.counts);
        let lag = counts.batch.map(|batch| behind(batch, newest));
        let seconds = counts.batch.map(|batch| match behind(batch, newest) {
            0 => 0.0,
            _ => now.since(batch.complete).as_secs_f64(),
        });
        PointStatus {
            name: self.name.clone(),
            role,
            queries: counts.queries,
            reports: counts.reports,
            errors: counts.errors,
            pushed: counts.pushed,
            last_seen: counts.last_seen.map(|(at, _)| at),
            last_address: counts.last_seen.map(|(_, source)| source),
            revision: counts.batch.map(|batch| batch.revision),
            lag_changes: lag,
            lag_seconds: seconds,
        }
    }
}

/// How much of everything an answer left the firewall knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knows {
    /// All of it.
    Everything,
    /// There was more than fits into one answer.
    Part,
}

fn behind(batch: Batch, newest: Revision) -> u64 {
    newest.0.saturating_sub(batch.revision.0)
}
