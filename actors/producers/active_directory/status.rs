//! How a directory is, in plain words: for REST, and for whoever asks.

use std::collections::BTreeMap;

use rollcall_identity::Timestamp;
use rollcall_identity::directory::DomainNames;
use rollcall_wire::active_directory::ObjectProblem;
use serde::Serialize;

/// How the reading of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DirectoryState {
    /// A server is being looked for.
    #[default]
    Connecting,
    /// Everything is being read.
    Reading,
    /// What is known is what the server knows, within the interval.
    Current,
    /// No server can be read; what was known last is in force.
    Failing,
}

/// How a directory is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryStatus {
    /// In one word.
    pub state: DirectoryState,
    /// The server that answers, or did last.
    pub server: Option<String>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// What the domain is called.
    pub domain: Option<DomainNames>,
    /// The last time that everything was read.
    pub whole: Option<LastSync>,
    /// The last time that it was asked what changed.
    pub changes: Option<LastSync>,
    /// What could not be read of objects, since everything was read the last time.
    pub problems: BTreeMap<ObjectProblem, u64>,
    /// By how many seconds the server's clock is ahead of ours, or behind.
    pub skew: Option<i64>,
    /// What went wrong last.
    pub error: Option<String>,
}

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSync {
    /// When it ended.
    pub at: Timestamp,
    /// How many objects it brought.
    pub objects: usize,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

impl DirectoryStatus {
    /// It is `state` since `now`, unless it was before.
    pub(super) fn enter(&mut self, state: DirectoryState, now: Timestamp) {
        if self.state != state || self.since.is_none() {
            (self.state, self.since) = (state, Some(now));
        }
    }
}
