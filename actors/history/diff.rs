//! The differences of the sessions between two points in time: started, ended and changed sessions.

use std::sync::Arc;

use rollcall_identity::{Address, Session, Timestamp};
use serde_json::{Value, json};
use strum::IntoStaticStr;

use super::address_history::Sources;
use super::error::HistoryError;
use super::{Question, Reader};
use rollcall_journal::archive_reader::Addresses;

/// Selects sessions.
pub(crate) type SessionPredicate = Arc<dyn Fn(&Session) -> bool + Send + Sync>;

/// Finds the addresses whose session differs between `from` and `to`.
#[derive(Clone)]
pub struct SessionDiff {
    /// The start of the period.
    pub from: Timestamp,
    /// The end of the period; now if absent.
    pub to: Option<Timestamp>,
    /// Selects addresses.
    pub place: Arc<dyn Fn(Address) -> bool + Send + Sync>,
    /// Selects entries by either session.
    pub meant: SessionPredicate,
    /// The request, for the audit log.
    pub asked: Value,
    /// Only addresses after this one.
    pub after: Option<Address>,
    /// The maximum number of entries.
    pub limit: usize,
}

/// One address whose session differs.
#[derive(Debug, Clone)]
pub struct DiffEntry {
    /// The address.
    pub address: Address,
    /// The kind of difference.
    pub what: DiffKind,
    /// The session at the start.
    pub before: Option<Arc<Session>>,
    /// The session at the end.
    pub after: Option<Arc<Session>>,
}

/// The kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffKind {
    /// No session before.
    Came,
    /// No session after.
    Left,
    /// Another user, or a new session of the same user.
    Replaced,
    /// The same session with another device, other groups or another name.
    Altered,
    /// The session before is unknown.
    Unknown,
}

/// A page of differences.
#[derive(Debug, Clone)]
pub struct DiffPage {
    /// The start of the period.
    pub from: Timestamp,
    /// The end of the period.
    pub to: Timestamp,
    /// The entries.
    pub found: Vec<DiffEntry>,
    /// The start of the next page, if there is one. A page may then have fewer entries than its limit.
    pub next: Option<Address>,
    /// The segments that were read, and notes about them.
    pub sources: Sources,
}

/// How many addresses are looked at for one page: many of them only had somebody seen again.
const LOOKED_AT: usize = 10_000;

impl Question for SessionDiff {
    type Answer = DiffPage;

    fn record(&self) -> Value {
        json!({"from": self.from, "to": self.to, "only": self.asked})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<DiffPage, HistoryError> {
        let mut narrator = reader.narrator()?;
        let (from, to) = narrator.period(Some(self.from), self.to)?;
        let span = narrator.span(from, to)?;
        narrator.not_missing(to)?;
        let place = Arc::clone(&self.place);
        let places = Addresses::new(self.after, LOOKED_AT, move |address| place(address));
        let places = narrator.places_between((from, to), span.clone(), places)?;
        let (places, mut is_cut) = places.into_found();
        let (mut found, mut last) = (Vec::new(), None);
        for address in places {
            if found.len() == self.limit || last.is_some() && narrator.budget.is_half_spent() {
                is_cut = true;
                break;
            }
            last = Some(address);
            let middle = narrator.last_before(&span, from);
            let begin = span.start..middle + 1;
            let chronicle = narrator.fold(begin, (address, from), &mut |_| {})?;
            let is_known = chronicle.is_known();
            let before = chronicle.current(from).map(|stay| stay.session.clone());
            let rest = (span.clone(), middle);
            let chronicle = narrator.go_on(rest, (from, to), chronicle, &mut |_| {})?;
            let after = chronicle.current(to).map(|stay| stay.session.clone());
            let sides = before.iter().chain(&after);
            let Some(what) = what(before.as_deref(), after.as_deref()) else { continue };
            if sides.map(|session| &**session).any(|session| (self.meant)(session)) {
                let what = if is_known { what } else { DiffKind::Unknown };
                found.push(DiffEntry { address, what, before, after });
            }
        }
        let next = last.filter(|_| is_cut);
        Ok(DiffPage { from, to, found, next, sources: narrator.sources() })
    }
}

/// In what the two differ. To be seen again is no difference.
fn what(before: Option<&Session>, after: Option<&Session>) -> Option<DiffKind> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(DiffKind::Came),
        (Some(_), None) => Some(DiffKind::Left),
        (Some(before), Some(after)) if before.revision == after.revision => None,
        (Some(before), Some(after)) if before.since == after.since => Some(DiffKind::Altered),
        (Some(_), Some(_)) => Some(DiffKind::Replaced),
    }
}
