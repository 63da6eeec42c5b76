//! Who had an address one after the other, and which addresses a user had.

use std::sync::Arc;

use rollcall_identity::{Address, Principal, Revision, Rules, SessionInterval, Timestamp};
use serde_json::{Value, json};

use super::narrator::Sources;
use super::unanswered::Unanswered;
use super::{Question, Reader};
use rollcall_journal::library::Addresses;

/// Asks for the stays at an address from one moment to another.
#[derive(Debug, Clone, Copy)]
pub struct AtAddress {
    pub address: Address,
    /// The day before the end when it is not said.
    pub from: Option<Timestamp>,
    /// Until now when it is not said.
    pub to: Option<Timestamp>,
    /// Only those that began after this position.
    pub after: Option<Revision>,
    pub limit: usize,
}

/// Asks for the stays of a user, wherever they were.
#[derive(Debug, Clone)]
pub struct OfUser {
    pub user: Principal,
    /// The day before the end when it is not said.
    pub from: Option<Timestamp>,
    /// Until now when it is not said.
    pub to: Option<Timestamp>,
    /// Only at addresses behind this one.
    pub after: Option<Address>,
    /// At so many addresses at most.
    pub limit: usize,
}

/// A page of stays.
#[derive(Debug, Clone)]
pub struct Stays<After> {
    pub from: Timestamp,
    pub to: Timestamp,
    pub stays: Vec<SessionInterval>,
    /// Where the next page begins, when there is one.
    pub next: Option<After>,
    pub sources: Sources,
}

impl Question for AtAddress {
    type Answer = Stays<Revision>;

    fn record(&self) -> Value {
        json!({"address": self.address, "from": self.from, "to": self.to})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, Unanswered> {
        let Self { address, after, limit, .. } = *self;
        let mut narrator = reader.narrator()?;
        let (from, to) = narrator.period(self.from, self.to)?;
        let span = narrator.span(from, to)?;
        narrator.say_if_missing(to);
        let mut stays = Vec::new();
        let mut take = |stay: SessionInterval| {
            let is_behind = after.is_none_or(|after| stay.revision > after);
            if is_behind && stay.overlaps(from, to) && stays.len() <= limit {
                stays.push(stay);
            }
        };
        let chronicle = narrator.fold(span, (address, to), &mut take)?;
        if !chronicle.is_known() {
            let text = format!("whether anybody had {address} from {from} to {to} is not known");
            return Err(narrator.not_known(text));
        }
        chronicle.finish(to).into_iter().for_each(take);
        let is_cut = stays.len() > limit;
        stays.truncate(limit);
        let next = stays.last().filter(|_| is_cut).map(|last| last.revision);
        Ok(Stays { from, to, stays, next, sources: narrator.sources() })
    }
}

impl Question for OfUser {
    type Answer = Stays<Address>;

    fn record(&self) -> Value {
        json!({"user": self.user.to_string(), "from": self.from, "to": self.to})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, Unanswered> {
        let Self { ref user, after, limit, .. } = *self;
        let rules = Arc::clone(&reader.rules);
        let mut narrator = reader.narrator()?;
        let (from, to) = narrator.period(self.from, self.to)?;
        let span = narrator.span(from, to)?;
        narrator.say_if_missing(to);
        let found = Addresses::new(after, limit, |_| true);
        let found = narrator.places_of(&user.user, (span.clone(), to), found)?;
        let (found, mut is_cut) = found.into_found();
        let (mut stays, mut last) = (Vec::new(), None);
        for address in found {
            if narrator.budget.is_half_spent() && last.is_some() {
                is_cut = true;
                break;
            }
            let mut take = |stay: SessionInterval| {
                let theirs = stay.session.principal.as_ref();
                let is_meant = theirs.is_some_and(|theirs| means(user, theirs, &rules));
                if is_meant && stay.overlaps(from, to) {
                    stays.push(stay);
                }
            };
            let chronicle = narrator.fold(span.clone(), (address, to), &mut take)?;
            chronicle.finish(to).into_iter().for_each(take);
            last = Some(address);
        }
        stays.sort_by_key(|stay| stay.start);
        let next = last.filter(|_| is_cut);
        Ok(Stays { from, to, stays, next, sources: narrator.sources() })
    }
}

/// Whether whoever asks for `asked` means `there`. Without a domain, all of the name are meant; with
/// one, under whichever of its names.
fn means(asked: &Principal, there: &Principal, rules: &Rules) -> bool {
    let domain = asked.domain.as_ref();
    let canonical = domain.map(|domain| rules.domain_aliases.get(domain).unwrap_or(domain));
    asked.user == there.user && canonical.is_none_or(|domain| there.domain.as_ref() == Some(domain))
}
