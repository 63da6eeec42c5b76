//! The status of an event log, a part of the status of its producer.

use std::net::IpAddr;

use rollcall_identity::Timestamp;
use rollcall_identity::logon::auditing::AuditGap;
use serde::Serialize;
use utoipa::ToSchema;

use rollcall_producers::event_log::{EventLogState, EventLogStatus, GapCause, LastEvent, LastGap};
use rollcall_producers::remote::LastFailure;

/// The status of an event log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventLog)]
pub(super) struct EventLogShape {
    /// `connecting`, `catching_up`, `following`, `silent`, `failing`, or `credentials_refused`.
    #[schema(value_type = String, example = "following")]
    state: EventLogState,
    /// The state as a sentence.
    #[schema(example = "connected; events are read as they are written")]
    in_words: &'static str,
    /// The start of the state.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The addresses of the server. Logons from them do not identify a user.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<IpAddr>,
    /// The newest event that was read since the process started.
    last_event: Option<EventShape>,
    /// The record number after which a restart continues.
    bookmark: Option<u64>,
    /// The number of gaps since the process started.
    gaps: u64,
    /// The last gap.
    last_gap: Option<GapShape>,
    /// Why the server does not return its oldest record number, if it does not.
    gaps_unverifiable: Option<String>,
    /// The number of records that could not be decoded since the process started.
    bad_records: u64,
    /// The required subcategories that the server is known not to audit.
    unaudited: Vec<UnauditedShape>,
    /// The last error, even if reading has continued since.
    last_error: Option<ErrorShape>,
}

/// An event that was read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventShape {
    /// When it was written, by the clock of the server.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    received: Timestamp,
    /// Its record number.
    record_id: u64,
}

/// Events that were lost.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GapShape {
    /// When the gap was detected.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `refused`, `overwritten`, `cleared`, `log_reset`, or `audits_lost`.
    #[schema(value_type = String)]
    cause: GapCause,
    /// The last record before the gap.
    after: u64,
    /// The maximum number of lost records, including records that are never read; null if it is
    /// unknown.
    records: Option<u64>,
    /// What an administrator can do about it.
    remedy: &'static str,
}

/// A subcategory that the server does not audit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnauditedShape {
    /// The name in auditpol.
    #[schema(example = "Kerberos Authentication Service")]
    subcategory: &'static str,
    /// Since when, by the clock of the server.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// How it was detected: `policy` (event 4719) or `absence`.
    by: &'static str,
    /// What an administrator can do about it.
    remedy: String,
}

/// An error of an event log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorShape {
    /// When it occurred.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The step that failed: `resolve`, `endpoint`, `connect`, `credentials`, `rights`, `read`, or
    /// `submit`.
    stage: &'static str,
    /// The error.
    error: String,
    /// What an administrator can do about it, if that is known.
    remedy: Option<&'static str>,
}

impl From<EventLogStatus> for EventLogShape {
    fn from(status: EventLogStatus) -> Self {
        Self {
            state: status.state,
            in_words: status.state.in_words(),
            since: status.since,
            addresses: status.addresses.unwrap_or_default(),
            last_event: status.last_event.map(EventShape::from),
            bookmark: status.bookmark,
            gaps: status.gaps,
            last_gap: status.last_gap.map(GapShape::from),
            gaps_unverifiable: status.unverifiable,
            bad_records: status.unreadable,
            unaudited: status.unaudited.into_iter().map(UnauditedShape::from).collect(),
            last_error: status.last_failure.map(ErrorShape::from),
        }
    }
}

impl From<LastEvent> for EventShape {
    fn from(LastEvent { at, received, record_id }: LastEvent) -> Self {
        Self { at, received, record_id }
    }
}

impl From<LastGap> for GapShape {
    fn from(LastGap { at, cause, after, records }: LastGap) -> Self {
        Self { at, cause, after, records, remedy: cause.remedy() }
    }
}

impl From<AuditGap> for UnauditedShape {
    fn from(AuditGap { subcategory: of, since, reason: by }: AuditGap) -> Self {
        Self { subcategory: of.name(), since, by: by.into(), remedy: of.remedy() }
    }
}

impl From<LastFailure> for ErrorShape {
    fn from(LastFailure { at, stage, error, remedy }: LastFailure) -> Self {
        Self { at, stage: stage.into(), error, remedy }
    }
}
