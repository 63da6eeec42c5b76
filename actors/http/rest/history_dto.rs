//! The JSON types of answers about the past.

use rollcall_identity::{Address, Principal, SessionInterval, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::dto::{CauseDto, ExplanationDto, SessionDto};
use rollcall_history::{DiffEntry, DiffKind, DiffPage, IntervalsPage, PointInTimeAnswer, Sources};
use rollcall_journal::archive_reader::SegmentInfo;

/// A segment of the journal that was read for an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Segment)]
pub(super) struct SegmentDto {
    /// The file in the directory of the journal.
    #[schema(example = "events-00000000000000000001.db")]
    file: String,
    /// The position of the first event.
    first: u64,
    /// The position of the last event; null for the segment that is being written.
    last: Option<u64>,
}

impl From<&SegmentInfo> for SegmentDto {
    fn from(segment: &SegmentInfo) -> Self {
        let last = segment.last.map(|last| last.0);
        Self { file: segment.file.clone(), first: segment.first.0, last }
    }
}

/// The sources of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sources)]
pub(super) struct SourcesDto {
    /// The segments of the journal that were read.
    segments: Vec<SegmentDto>,
    /// The number of other segments for which an index was sufficient: it has no relevant entry, or
    /// only the sessions at the start of the segment.
    looked_up: usize,
    /// Sentences about periods that are unknown, or that may have been decided by other rules.
    /// Empty if the answer is complete.
    notes: Vec<String>,
}

impl From<Sources> for SourcesDto {
    fn from(sources: Sources) -> Self {
        let segments = sources.segments.iter().map(SegmentDto::from).collect();
        Self { segments, looked_up: sources.looked_up, notes: sources.notes }
    }
}

/// The session of an address at a point in time, and its cause.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PointInTime)]
pub(super) struct PointInTimeDto {
    /// The requested point in time.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The explanation as of that point in time.
    #[serde(flatten)]
    explanation: ExplanationDto,
    /// When the session became visible to consumers; null without a session.
    #[schema(value_type = Option<String>, format = DateTime)]
    visible_from: Option<Timestamp>,
    /// When it stopped being visible; null without a session, or if the session still exists at
    /// `known_until`.
    #[schema(value_type = Option<String>, format = DateTime)]
    visible_until: Option<Timestamp>,
    /// The cause of its end; null also if its logoff time passed.
    ended_by: Option<CauseDto>,
    /// The time up to which the end was searched.
    #[schema(value_type = String, format = DateTime)]
    known_until: Timestamp,
    sources: SourcesDto,
}

impl From<PointInTimeAnswer> for PointInTimeDto {
    fn from(answer: PointInTimeAnswer) -> Self {
        let PointInTimeAnswer { at, explanation, interval, known_until, sources } = answer;
        let end = interval.as_ref().and_then(|interval| interval.end.as_ref());
        Self {
            at,
            explanation: ExplanationDto::from(&explanation),
            visible_from: interval.as_ref().map(|interval| interval.start),
            visible_until: end.map(|end| end.at),
            ended_by: end.and_then(|end| end.cause.as_ref()).map(CauseDto::from),
            known_until,
            sources: sources.into(),
        }
    }
}

/// An interval in which an address had a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionInterval)]
pub(super) struct IntervalDto {
    /// When the session became visible to consumers, by the clock of Rollcall.
    #[schema(value_type = String, format = DateTime)]
    visible_from: Timestamp,
    /// When it stopped being visible, by the clock of Rollcall; null if it still exists at the end
    /// of the period.
    #[schema(value_type = Option<String>, format = DateTime)]
    visible_until: Option<Timestamp>,
    /// The last state of the session.
    session: SessionDto,
    /// The cause of its end; null also if its logoff time passed.
    ended_by: Option<CauseDto>,
}

impl From<&SessionInterval> for IntervalDto {
    fn from(interval: &SessionInterval) -> Self {
        let SessionInterval { start: visible_from, ref session, ref end, .. } = *interval;
        let visible_until = end.as_ref().map(|end| end.at);
        let session = match visible_until {
            Some(_) => SessionDto::ended(session, visible_until),
            None => SessionDto::active(session),
        };
        let ended_by = end.as_ref().and_then(|end| end.cause.as_ref()).map(CauseDto::from);
        Self { visible_from, visible_until, session, ended_by }
    }
}

/// The session intervals of a period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IntervalsPage)]
pub(super) struct IntervalsPageDto {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Ordered by their start.
    intervals: Vec<IntervalDto>,
    /// The value of `after` for the next page; null at the end.
    next: Option<String>,
    sources: SourcesDto,
}

impl<After: ToString> From<IntervalsPage<After>> for IntervalsPageDto {
    fn from(answer: IntervalsPage<After>) -> Self {
        let IntervalsPage { from, to, intervals, next, sources } = answer;
        let next = next.map(|next| next.to_string());
        let intervals = intervals.iter().map(IntervalDto::from).collect();
        Self { from, to, intervals, next, sources: sources.into() }
    }
}

/// The history of an address: at a point in time, or in a period.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AddressHistory)]
pub(super) enum AddressHistoryDto {
    /// With `at`.
    PointInTime(Box<PointInTimeDto>),
    /// With `from`.
    Intervals(IntervalsPageDto),
}

/// An address whose session differs between the two points in time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Difference)]
pub(super) struct DifferenceDto {
    #[schema(value_type = String)]
    address: Address,
    /// The kind of difference; `unknown` if the session before is unknown.
    what: DiffKind,
    /// The session at `from`.
    before: Option<SessionDto>,
    /// The session at `to`.
    after: Option<SessionDto>,
}

impl From<&DiffEntry> for DifferenceDto {
    fn from(entry: &DiffEntry) -> Self {
        let DiffEntry { address, kind: what, ref before, ref after } = *entry;
        let active = SessionDto::active;
        Self {
            address,
            what,
            before: before.as_deref().map(active),
            after: after.as_deref().map(active),
        }
    }
}

/// The differences between two points in time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DiffPage)]
pub(super) struct DiffPageDto {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Ordered by address.
    differences: Vec<DifferenceDto>,
    /// The value of `after` for the next page; null at the end. A page can have fewer entries than
    /// its limit, or none, without being the last one.
    next: Option<String>,
    sources: SourcesDto,
}

impl From<DiffPage> for DiffPageDto {
    fn from(answer: DiffPage) -> Self {
        let DiffPage { from, to, found, next, sources } = answer;
        let next = next.map(|next| next.to_string());
        let differences = found.iter().map(DifferenceDto::from).collect();
        Self { from, to, differences, next, sources: sources.into() }
    }
}

/// Parses the user in a path: `alice`, `alice@corp` or `CORP\alice`.
pub(super) fn user(text: &str) -> Result<Principal, crate::problem::Problem> {
    Principal::parse(text, None)
        .map_err(|why| crate::problem::Problem::bad_request(format!("{text:?}: {why}")))
}
