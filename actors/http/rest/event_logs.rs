//! The read status of an event log, a part of the status of its producer.

use std::net::IpAddr;

use rollcall_identity::Timestamp;
use rollcall_identity::logon::auditing::AuditGap;
use serde::Serialize;
use utoipa::ToSchema;

use rollcall_producers::event_log::{EventLogState, EventLogStatus, GapCause, LastEvent, LastGap};
use rollcall_producers::remote::LastFailure;

/// The read status of an event log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventLog)]
pub(super) struct EventLogDto {
    /// `connecting`, `catching_up`, `following`, `silent`, `failing`, or
    /// `credentials_refused`.
    #[schema(value_type = String, example = "following")]
    state: EventLogState,
    /// The state in a sentence.
    #[schema(example = "connected; events are read as they are written")]
    description: &'static str,
    /// The start of this state.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The addresses of the server. No user session is at these addresses.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<IpAddr>,
    /// The newest event that was read since the start of the process.
    last_event: Option<EventDto>,
    /// The record number after which reading continues after a restart.
    bookmark: Option<u64>,
    /// How often events were lost since the start of the process.
    gaps: u64,
    /// The last loss of events.
    last_gap: Option<GapDto>,
    /// Why Rollcall cannot detect events that were overwritten before they were read; null if it
    /// can.
    gaps_unverifiable: Option<String>,
    /// The number of records that could not be decoded since the start of the process. Other
    /// records are not affected.
    bad_records: u64,
    /// Audit subcategories with logon events that the server does not audit, as far as it is known.
    unaudited: Vec<UnauditedDto>,
    /// The last error, even if it is resolved.
    last_error: Option<ErrorDto>,
}

/// An event that was read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventLogEvent)]
pub(super) struct EventDto {
    /// When it was written, by the clock of the server.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    received: Timestamp,
    /// The record number in the log.
    record_id: u64,
}

/// A loss of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventLogGap)]
pub(super) struct GapDto {
    /// When it was detected.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `refused`, `overwritten`, `cleared`, `log_reset`, or `audits_lost`.
    #[schema(value_type = String)]
    cause: GapCause,
    /// The last record that was read before it.
    after: u64,
    /// The maximum number of lost records, including records that are never read; null if unknown.
    records: Option<u64>,
    /// The remedy.
    remedy: &'static str,
}

/// Success audits that the server does not write.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditGap)]
pub(super) struct UnauditedDto {
    /// The name in auditpol.
    #[schema(example = "Kerberos Authentication Service")]
    subcategory: &'static str,
    /// The start, by the clock of the server.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// How it was detected: `policy` (event 4719) or `absence`.
    by: &'static str,
    /// The remedy.
    remedy: String,
}

/// Why the event log could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventLogError)]
pub(super) struct ErrorDto {
    /// The time.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The step that failed: `resolve`, `endpoint`, `connect`, `credentials`, `rights`, `read`, or
    /// `submit`.
    stage: &'static str,
    /// The error.
    error: String,
    /// The remedy, if known.
    remedy: Option<&'static str>,
}

impl From<EventLogStatus> for EventLogDto {
    fn from(status: EventLogStatus) -> Self {
        Self {
            state: status.state,
            description: status.state.description(),
            since: status.since,
            addresses: status.addresses.unwrap_or_default(),
            last_event: status.last_event.map(EventDto::from),
            bookmark: status.bookmark,
            gaps: status.gaps,
            last_gap: status.last_gap.map(GapDto::from),
            gaps_unverifiable: status.unverifiable,
            bad_records: status.unreadable,
            unaudited: status.unaudited.into_iter().map(UnauditedDto::from).collect(),
            last_error: status.last_failure.map(ErrorDto::from),
        }
    }
}

impl From<LastEvent> for EventDto {
    fn from(LastEvent { at, received, record_id }: LastEvent) -> Self {
        Self { at, received, record_id }
    }
}

impl From<LastGap> for GapDto {
    fn from(LastGap { at, cause, after, records }: LastGap) -> Self {
        Self { at, cause, after, records, remedy: cause.remedy() }
    }
}

impl From<AuditGap> for UnauditedDto {
    fn from(AuditGap { subcategory: of, since, reason: by }: AuditGap) -> Self {
        Self { subcategory: of.name(), since, by: by.into(), remedy: of.remedy() }
    }
}

impl From<LastFailure> for ErrorDto {
    fn from(LastFailure { at, stage, error, remedy }: LastFailure) -> Self {
        Self { at, stage: stage.into(), error, remedy }
    }
}
