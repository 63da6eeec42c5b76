//! The status of a directory, for REST and for tests.

use std::collections::BTreeMap;

use rollcall_identity::Timestamp;
use rollcall_identity::directory::DomainNames;
use rollcall_wire::active_directory::ObjectProblem;
use serde::Serialize;

/// The state of a directory producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DirectoryState {
    /// Connecting to a domain controller.
    #[default]
    Connecting,
    /// A full synchronization is in progress.
    Reading,
    /// The directory is as current as the poll interval allows.
    Current,
    /// No controller can be read. The data that was read before stays in use.
    Failing,
    /// The account was refused. The producer pauses; the data that was read before stays in use.
    CredentialsRefused,
}

/// The status of a directory producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryStatus {
    /// The state.
    pub state: DirectoryState,
    /// The controller that is connected, or was last.
    pub server: Option<String>,
    /// The start of the state.
    pub since: Option<Timestamp>,
    /// The names of the domain.
    pub domain: Option<DomainNames>,
    /// The last full synchronization.
    pub last_full_sync: Option<LastSync>,
    /// The last poll for changes.
    pub last_poll: Option<LastSync>,
    /// The problems with objects since the last full synchronization.
    pub problems: BTreeMap<ObjectProblem, u64>,
    /// The seconds by which the clock of the controller is ahead; negative if it is behind.
    pub skew: Option<i64>,
    /// The last error, while the directory cannot be read.
    pub error: Option<String>,
}

/// A completed synchronization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSync {
    /// When it ended.
    pub at: Timestamp,
    /// The number of objects that were read.
    pub objects: usize,
    /// The duration in milliseconds.
    pub millis: u64,
}

impl DirectoryStatus {
    /// Sets the state at `now`, unless it is the same.
    pub(super) fn enter(&mut self, state: DirectoryState, now: Timestamp) {
        if self.state != state || self.since.is_none() {
            (self.state, self.since) = (state, Some(now));
        }
    }
}
