//! The JSON shapes of what is told of the past.

use rollcall_identity::{Address, Principal, SessionInterval, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::{CauseShape, ExplanationShape, SessionShape};
use rollcall_history::{DiffEntry, DiffKind, DiffPage, IntervalsPage, PointInTimeAnswer, Sources};
use rollcall_journal::archive_reader::SegmentInfo;

/// A segment of the journal that was read for an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Segment)]
pub(super) struct SegmentShape {
    /// Its file in the journal's folder.
    #[schema(example = "events-00000000000000000001.db")]
    file: String,
    /// The position of its first event.
    first: u64,
    /// The position of its last event; null while it is written.
    last: Option<u64>,
}

impl From<&SegmentInfo> for SegmentShape {
    fn from(chapter: &SegmentInfo) -> Self {
        let last = chapter.last.map(|last| last.0);
        Self { file: chapter.file.clone(), first: chapter.first.0, last }
    }
}

/// Where an answer comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sources)]
pub(super) struct SourcesShape {
    /// The segments of the journal that were read.
    segments: Vec<SegmentShape>,
    /// In how many others an index had nothing about it, or only told who was there when they began.
    looked_up: usize,
    /// Sentences about what is unknown or may have been decided by other rules at the time. Empty when
    /// the answer is whole.
    notes: Vec<String>,
}

impl From<Sources> for SourcesShape {
    fn from(sources: Sources) -> Self {
        let segments = sources.segments.iter().map(SegmentShape::from).collect();
        Self { segments, looked_up: sources.looked_up, notes: sources.notes }
    }
}

/// Who had an address at a moment, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Moment)]
pub(super) struct MomentShape {
    /// The moment that was asked about.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// As it would have been explained at that moment.
    #[serde(flatten)]
    explanation: ExplanationShape,
    /// From when on everybody who asked was told so; null where nobody was there.
    #[schema(value_type = Option<String>, format = DateTime)]
    learnt: Option<Timestamp>,
    /// Until when; null where nobody was there, and where it went on at `known_until`.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The cause of its end; null also if its logoff time passed.
    ended_by: Option<CauseShape>,
    /// How far the end was looked for.
    #[schema(value_type = String, format = DateTime)]
    known_until: Timestamp,
    sources: SourcesShape,
}

impl From<PointInTimeAnswer> for MomentShape {
    fn from(told: PointInTimeAnswer) -> Self {
        let PointInTimeAnswer { at, explanation, interval: stay, known_until, sources } = told;
        let end = stay.as_ref().and_then(|stay| stay.end.as_ref());
        Self {
            at,
            explanation: ExplanationShape::from(&explanation),
            learnt: stay.as_ref().map(|stay| stay.start),
            until: end.map(|end| end.at),
            ended_by: end.and_then(|end| end.cause.as_ref()).map(CauseShape::from),
            known_until,
            sources: sources.into(),
        }
    }
}

/// Somebody was at an address for a while.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionInterval)]
pub(super) struct StayShape {
    /// From when on everybody who asked was told so, by Rollcall's clock.
    #[schema(value_type = String, format = DateTime)]
    learnt: Timestamp,
    /// Until when, likewise; null while it goes on at the end of what was asked.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The session as it stood last.
    session: SessionShape,
    /// The cause of its end; null also if its logoff time passed.
    ended_by: Option<CauseShape>,
}

impl From<&SessionInterval> for StayShape {
    fn from(stay: &SessionInterval) -> Self {
        let SessionInterval { start: learnt, ref session, ref end, .. } = *stay;
        let until = end.as_ref().map(|end| end.at);
        let session = match until {
            Some(_) => SessionShape::ended(session, until),
            None => SessionShape::active(session),
        };
        let ended_by = end.as_ref().and_then(|end| end.cause.as_ref()).map(CauseShape::from);
        Self { learnt, until, session, ended_by }
    }
}

/// Who was where from one moment to another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IntervalsPage)]
pub(super) struct StaysShape {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// In the order in which they began.
    stays: Vec<StayShape>,
    /// The value of `after` for the next page; null at the end.
    next: Option<String>,
    sources: SourcesShape,
}

impl<After: ToString> From<IntervalsPage<After>> for StaysShape {
    fn from(told: IntervalsPage<After>) -> Self {
        let IntervalsPage { from, to, intervals: stays, next, sources } = told;
        let next = next.map(|next| next.to_string());
        let stays = stays.iter().map(StayShape::from).collect();
        Self { from, to, stays, next, sources: sources.into() }
    }
}

/// The history of an address: at a point in time, or in a period.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AddressHistory)]
pub(super) enum AddressShape {
    /// With `at`.
    Moment(Box<MomentShape>),
    /// With `from`.
    Intervals(StaysShape),
}

/// An address that had somebody else, or the same otherwise.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Difference)]
pub(super) struct DifferenceShape {
    #[schema(value_type = String)]
    address: Address,
    /// In what; `unknown` where it is not known who was there before.
    what: DiffKind,
    /// Who was there at `from`.
    before: Option<SessionShape>,
    /// Who was there at `to`.
    after: Option<SessionShape>,
}

impl From<&DiffEntry> for DifferenceShape {
    fn from(differs: &DiffEntry) -> Self {
        let DiffEntry { address, kind: what, ref before, ref after } = *differs;
        let shape = SessionShape::active;
        Self {
            address,
            what,
            before: before.as_deref().map(shape),
            after: after.as_deref().map(shape),
        }
    }
}

/// The differences between two points in time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DiffPage)]
pub(super) struct DifferencesShape {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// In the order of their addresses.
    differences: Vec<DifferenceShape>,
    /// The value of `after` for the next page; null at the end. A page may hold fewer than its limit,
    /// or none, and not be the last.
    next: Option<String>,
    sources: SourcesShape,
}

impl From<DiffPage> for DifferencesShape {
    fn from(told: DiffPage) -> Self {
        let DiffPage { from, to, found, next, sources } = told;
        let next = next.map(|next| next.to_string());
        let differences = found.iter().map(DifferenceShape::from).collect();
        Self { from, to, differences, next, sources: sources.into() }
    }
}

/// Reads a user of a path: `alice`, `alice@corp` or `CORP\alice`.
pub(super) fn user(text: &str) -> Result<Principal, crate::problem::Problem> {
    Principal::parse(text, None)
        .map_err(|why| crate::problem::Problem::bad_request(format!("{text:?}: {why}")))
}
