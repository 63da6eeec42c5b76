//! How the event log of a server is, in plain words: for REST, and for whoever asks.

use std::net::IpAddr;

use rollcall_identity::Timestamp;
use rollcall_identity::logon::auditing::AuditGap;
use serde::Serialize;

use super::{EventLogError, EventLogStage};

/// How the reading of an event log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EventLogState {
    /// The server is being looked for and connected to.
    #[default]
    Connecting,
    /// What was written before is being read.
    CatchingUp,
    /// Events are read as they are written.
    Following,
    /// It is connected, and no event came for longer than is usual.
    Silent,
    /// It cannot be read, and is tried again; sessions stay.
    Failing,
}

impl EventLogState {
    /// The same in a sentence.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Connecting => "the server is being connected to",
            Self::CatchingUp => "connected; what was written before is being read",
            Self::Following => "connected; events are read as they are written",
            Self::Silent => "connected, but no event came for longer than is usual",
            Self::Failing => "it cannot be read and is tried again; sessions stay as they are",
        }
    }
}

/// How an event log is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventLogStatus {
    /// In one word.
    pub state: EventLogState,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// The addresses of the server; `None` until they were looked up once.
    pub addresses: Option<Vec<IpAddr>>,
    /// The newest event that was read since Rollcall began.
    pub last_event: Option<LastEvent>,
    /// The record behind which reading goes on, as it is committed.
    pub bookmark: Option<u64>,
    /// How often events were lost.
    pub gaps: u64,
    /// The last time that events were lost.
    pub last_gap: Option<LastGap>,
    /// Why it cannot be told whether events were overwritten unread, when it cannot.
    pub unverifiable: Option<String>,
    /// Records that could not be read.
    pub unreadable: u64,
    /// What the server does not audit, as far as it is known.
    pub unaudited: Vec<AuditGap>,
    /// What went wrong last, whether it was mended or not.
    pub last_failure: Option<LastFailure>,
}

/// An event that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastEvent {
    /// When it was written, by the server's clock.
    pub at: Timestamp,
    /// When it was received.
    pub received: Timestamp,
    /// Its number in the log.
    pub record_id: u64,
}

/// Events that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastGap {
    /// When it was noticed.
    pub at: Timestamp,
    /// How they were lost.
    pub cause: Cause,
    /// The last record that was read before.
    pub after: u64,
    /// At most how many records, those included that are never read; `None` when nobody knows.
    pub records: Option<u64>,
}

/// How events were lost. The names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::EnumIter)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// The server says that it no longer has what follows the bookmark.
    Refused,
    /// They were overwritten before they were read: the log begins behind them.
    Overwritten,
    /// Somebody cleared the log.
    Cleared,
    /// The log counts from anew: another one is in its place.
    LogReset,
    /// Windows says that it lost audits before it wrote them.
    AuditsLost,
}

impl Cause {
    /// What can be done about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Refused | Self::Overwritten => "make the security log of the server larger",
            Self::Cleared => "see who cleared the security log (event 1102 names the account)",
            Self::LogReset => "nothing, when the server was restored or set up anew",
            Self::AuditsLost => "see why the server loses audits (events 1101 and 4612)",
        }
    }
}

/// Why it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// How far it came.
    pub stage: EventLogStage,
    /// What went wrong.
    pub error: String,
    /// What an administrator can do about it, where that is known.
    pub remedy: Option<&'static str>,
}

impl LastFailure {
    pub(super) fn of(failure: &EventLogError, at: Timestamp) -> Self {
        let (stage, remedy) = (failure.stage(), failure.remedy());
        Self { at, stage, error: failure.to_string(), remedy }
    }
}

impl EventLogStatus {
    /// It is `state` since `now`, unless it was before.
    pub(super) fn enter(&mut self, state: EventLogState, now: Timestamp) {
        if self.state != state || self.since.is_none() {
            (self.state, self.since) = (state, Some(now));
        }
    }
}
