//! What was different between two moments: who came, who left, who changed.

use std::sync::Arc;

use rollcall_identity::{Address, Session, Timestamp};
use serde_json::{Value, json};
use strum::IntoStaticStr;

use super::narrator::Sources;
use super::unanswered::Unanswered;
use super::{Question, Reader};
use rollcall_journal::library::Addresses;

/// Which sessions are meant.
pub type Meant = Arc<dyn Fn(&Session) -> bool + Send + Sync>;

/// Asks for the addresses that had somebody else, or the same otherwise, at `to` than at `from`.
#[derive(Clone)]
pub struct Difference {
    pub from: Timestamp,
    /// Until now when it is not said.
    pub to: Option<Timestamp>,
    /// Only addresses of these.
    pub place: Arc<dyn Fn(Address) -> bool + Send + Sync>,
    /// Only where one of the two is meant.
    pub meant: Meant,
    /// What was asked, for the record.
    pub asked: Value,
    /// Only addresses behind this one.
    pub after: Option<Address>,
    pub limit: usize,
}

/// One address that differs.
#[derive(Debug, Clone)]
pub struct Differs {
    pub address: Address,
    pub what: What,
    pub before: Option<Arc<Session>>,
    pub after: Option<Arc<Session>>,
}

/// In what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Nobody was there before.
    Came,
    /// Nobody is there any more.
    Left,
    /// Somebody else is there, or the same came anew.
    Replaced,
    /// The same, known otherwise: another device, other groups, another name.
    Altered,
    /// Whether anybody was there before is not known.
    Unknown,
}

/// A page of what differs.
#[derive(Debug, Clone)]
pub struct Differences {
    pub from: Timestamp,
    pub to: Timestamp,
    pub found: Vec<Differs>,
    /// Where the next page begins, when there is one. A page may hold less than its limit then.
    pub next: Option<Address>,
    pub sources: Sources,
}

/// How many addresses are looked at for one page: many of them only had somebody seen again.
const LOOKED_AT: usize = 10_000;

impl Question for Difference {
    type Answer = Differences;

    fn record(&self) -> Value {
        json!({"from": self.from, "to": self.to, "only": self.asked})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<Differences, Unanswered> {
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
                let what = if is_known { what } else { What::Unknown };
                found.push(Differs { address, what, before, after });
            }
        }
        let next = last.filter(|_| is_cut);
        Ok(Differences { from, to, found, next, sources: narrator.sources() })
    }
}

/// In what the two differ. To be seen again is no difference.
fn what(before: Option<&Session>, after: Option<&Session>) -> Option<What> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(What::Came),
        (Some(_), None) => Some(What::Left),
        (Some(before), Some(after)) if before.revision == after.revision => None,
        (Some(before), Some(after)) if before.since == after.since => Some(What::Altered),
        (Some(_), Some(_)) => Some(What::Replaced),
    }
}
