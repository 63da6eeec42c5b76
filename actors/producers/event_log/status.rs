//! The status of an event log, for REST and for tests.

use std::net::IpAddr;

use rollcall_identity::Timestamp;
use rollcall_identity::logon::auditing::AuditGap;
use serde::Serialize;

use crate::remote::LastFailure;

/// The state of an event log producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EventLogState {
    /// Connecting to the server.
    #[default]
    Connecting,
    /// Reading older events.
    CatchingUp,
    /// Reading events as they are written.
    Following,
    /// Connected, but no event arrived for longer than `silent_after`.
    Silent,
    /// The log cannot be read. The producer retries.
    Failing,
    /// The account was refused. The producer pauses.
    CredentialsRefused,
}

impl EventLogState {
    /// The state as a sentence.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Connecting => "connecting to the server",
            Self::CatchingUp => "connected; older events are being read",
            Self::Following => "connected; events are read as they are written",
            Self::Silent => "connected, but no event arrived for longer than silent_after",
            Self::Failing => "the log cannot be read and is retried; sessions are kept",
            Self::CredentialsRefused => {
                "the account was refused and is not tried again until credential_retry has passed, its \
                 secret file changes, or the configuration is reloaded; sessions are kept"
            }
        }
    }
}

/// The status of an event log producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventLogStatus {
    /// The state.
    pub state: EventLogState,
    /// The start of the state.
    pub since: Option<Timestamp>,
    /// The addresses of the server; `None` until its name was resolved once.
    pub addresses: Option<Vec<IpAddr>>,
    /// The newest event that was read since Rollcall started.
    pub last_event: Option<LastEvent>,
    /// The record number of the committed bookmark.
    pub bookmark: Option<u64>,
    /// The number of gaps.
    pub gaps: u64,
    /// The last gap.
    pub last_gap: Option<LastGap>,
    /// Why the server does not return its oldest record number, if it does not.
    pub unverifiable: Option<String>,
    /// The number of records that could not be decoded.
    pub unreadable: u64,
    /// The subcategories that the server is known not to audit.
    pub unaudited: Vec<AuditGap>,
    /// The last failure, even if reading has continued since.
    pub last_failure: Option<LastFailure>,
}

/// An event that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastEvent {
    /// When it was written, by the clock of the server.
    pub at: Timestamp,
    /// When it was received.
    pub received: Timestamp,
    /// Its record number.
    pub record_id: u64,
}

/// Events that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastGap {
    /// When the gap was detected.
    pub at: Timestamp,
    /// The cause.
    pub cause: GapCause,
    /// The last record before the gap.
    pub after: u64,
    /// The maximum number of lost records, including records that are never read; `None` if it is
    /// unknown.
    pub records: Option<u64>,
}

/// Why events were lost. The names are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::EnumIter)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum GapCause {
    /// The server rejected the bookmark, because the events after it are gone.
    Refused,
    /// The oldest record of the log is newer than the missing records.
    Overwritten,
    /// The log was cleared.
    Cleared,
    /// The record numbers start again: it is another log.
    LogReset,
    /// Windows lost audit events before it wrote them.
    AuditsLost,
}

impl GapCause {
    /// What an administrator can do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Refused | Self::Overwritten => "make the security log of the server larger",
            Self::Cleared => "find out who cleared the security log (event 1102 names the account)",
            Self::LogReset => "none is needed if the server was restored or reinstalled",
            Self::AuditsLost => "find out why the server loses audit events (events 1101 and 4612)",
        }
    }
}

impl EventLogStatus {
    /// Sets the state at `now`, unless it is the same.
    pub(super) fn enter(&mut self, state: EventLogState, now: Timestamp) {
        if self.state != state || self.since.is_none() {
            (self.state, self.since) = (state, Some(now));
        }
    }
}
