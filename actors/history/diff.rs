//! The differences of the sessions between two points in time: started, ended and changed sessions.

use std::sync::Arc;

use rollcall_identity::{Address, Session, Timestamp};
use serde_json::{Value, json};
use strum::IntoStaticStr;

use super::address_history::Sources;
use super::error::HistoryError;
use super::{HistoryQuery, Reader};
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
    pub address_filter: Arc<dyn Fn(Address) -> bool + Send + Sync>,
    /// Selects entries by either session.
    pub session_filter: SessionPredicate,
    /// The request, for the audit log.
    pub audited: Value,
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
    pub kind: DiffKind,
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
    /// The start of the next page, if there is one. A page may then have fewer entries than its
    /// limit.
    pub next: Option<Address>,
    /// The segments that were read, and notes about them.
    pub sources: Sources,
}

/// The maximum number of addresses examined for one page: at many of them the session was only
/// confirmed.
const MAX_EXAMINED: usize = 10_000;

impl HistoryQuery for SessionDiff {
    type Answer = DiffPage;

    fn audit_record(&self) -> Value {
        json!({"from": self.from, "to": self.to, "only": self.audited})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<DiffPage, HistoryError> {
        let mut history = reader.history()?;
        let (from, to) = history.period(Some(self.from), self.to)?;
        let span = history.span(from, to)?;
        history.check_complete(to)?;
        let address_filter = Arc::clone(&self.address_filter);
        let addresses =
            Addresses::new(self.after, MAX_EXAMINED, move |address| address_filter(address));
        let addresses = history.addresses_between((from, to), span.clone(), addresses)?;
        let (addresses, mut is_cut) = addresses.into_found();
        let (mut found, mut last) = (Vec::new(), None);
        for address in addresses {
            if found.len() == self.limit || last.is_some() && history.budget.is_half_spent() {
                is_cut = true;
                break;
            }
            last = Some(address);
            let middle = history.last_before(&span, from);
            let begin = span.start..middle + 1;
            let timeline = history.apply(begin, (address, from), &mut |_| {})?;
            let is_known = timeline.is_known();
            let before = timeline.current(from).map(|interval| interval.session.clone());
            let rest = (span.clone(), middle);
            let timeline = history.continue_with(rest, (from, to), timeline, &mut |_| {})?;
            let after = timeline.current(to).map(|interval| interval.session.clone());
            let sides = before.iter().chain(&after);
            let Some(kind) = kind(before.as_deref(), after.as_deref()) else { continue };
            if sides.map(|session| &**session).any(|session| (self.session_filter)(session)) {
                let kind = if is_known { kind } else { DiffKind::Unknown };
                found.push(DiffEntry { address, kind, before, after });
            }
        }
        let next = last.filter(|_| is_cut);
        Ok(DiffPage { from, to, found, next, sources: history.sources() })
    }
}

/// The kind of difference. A confirmation is no difference.
fn kind(before: Option<&Session>, after: Option<&Session>) -> Option<DiffKind> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(DiffKind::Came),
        (Some(_), None) => Some(DiffKind::Left),
        (Some(before), Some(after)) if before.revision == after.revision => None,
        (Some(before), Some(after)) if before.since == after.since => Some(DiffKind::Altered),
        (Some(_), Some(_)) => Some(DiffKind::Replaced),
    }
}
