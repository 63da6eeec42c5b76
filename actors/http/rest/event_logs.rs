//! How the reading of an event log is: a part of what is said of its producer.

use std::net::IpAddr;

use rollcall_identity::Timestamp;
use rollcall_identity::logon::auditing::AuditGap;
use serde::Serialize;
use utoipa::ToSchema;

use rollcall_producers::event_log::{
    Cause, EventLogState, EventLogStatus, LastEvent, LastFailure, LastGap,
};

/// How the reading of an event log is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventLog)]
pub(super) struct EventLogDto {
    /// `connecting`, `catching_up`, `following`, `silent`, or `failing`.
    #[schema(value_type = String, example = "following")]
    state: EventLogState,
    /// The same in a sentence.
    #[schema(example = "connected; events are read as they are written")]
    in_words: &'static str,
    /// Since when it is so.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Where the server is: nobody works at these addresses.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<IpAddr>,
    /// The newest event that was read since the process began.
    last_event: Option<EventDto>,
    /// The number of the record behind which reading goes on after a restart.
    bookmark: Option<u64>,
    /// How often events were lost since the process began.
    gaps: u64,
    /// The last time that events were lost.
    last_gap: Option<GapDto>,
    /// Why the server does not tell whether events were overwritten unread, when it does not.
    gaps_unverifiable: Option<String>,
    /// How many records could not be read since the process began; the others were.
    bad_records: u64,
    /// What the server does not audit of that which logons are read from, as far as it is known.
    unaudited: Vec<UnauditedDto>,
    /// What went wrong last, whether it was mended since or not.
    last_error: Option<ErrorDto>,
}

/// An event that was read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventDto {
    /// When it was written, by the clock of the server.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    received: Timestamp,
    /// Its number in the log.
    record_id: u64,
}

/// Events that were lost.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GapDto {
    /// When it was noticed.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `refused`, `overwritten`, `cleared`, `log_reset`, or `audits_lost`.
    #[schema(value_type = String)]
    cause: Cause,
    /// The last record that was read before.
    after: u64,
    /// At most how many records, those included that are never read; null when nobody knows.
    records: Option<u64>,
    /// What helps.
    remedy: &'static str,
}

/// Successes that the server does not audit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnauditedDto {
    /// What auditpol calls them.
    #[schema(example = "Kerberos Authentication Service")]
    subcategory: &'static str,
    /// Since when, by the clock of the server.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// `policy`, by event 4719, or `absence`.
    by: &'static str,
    /// What helps.
    remedy: String,
}

/// Why it could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDto {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How far it came: `names`, `endpoint`, `credentials`, `rights`, `read`, or `handing_over`.
    stage: &'static str,
    /// What went wrong.
    error: String,
    /// What helps, where that is known.
    remedy: Option<&'static str>,
}

impl From<EventLogStatus> for EventLogDto {
    fn from(status: EventLogStatus) -> Self {
        Self {
            state: status.state,
            in_words: status.state.in_words(),
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
