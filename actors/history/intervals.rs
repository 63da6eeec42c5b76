//! Who had an address one after the other, and which addresses a user had.

use std::sync::Arc;

use rollcall_identity::{Address, Principal, Revision, Rules, SessionInterval, Timestamp};
use serde_json::{Value, json};

use super::address_history::Sources;
use super::error::HistoryError;
use super::{Question, Reader};
use rollcall_journal::archive_reader::Addresses;

/// Finds the session intervals of an address in a period.
#[derive(Debug, Clone, Copy)]
pub struct AddressIntervals {
    /// The address.
    pub address: Address,
    /// The start of the period; one day before its end if absent.
    pub from: Option<Timestamp>,
    /// The end of the period; now if absent.
    pub to: Option<Timestamp>,
    /// Only intervals that began after this revision.
    pub after: Option<Revision>,
    /// The maximum number of entries.
    pub limit: usize,
}

/// Finds the session intervals of a user at any address.
#[derive(Debug, Clone)]
pub struct UserIntervals {
    /// The user.
    pub user: Principal,
    /// The start of the period; one day before its end if absent.
    pub from: Option<Timestamp>,
    /// The end of the period; now if absent.
    pub to: Option<Timestamp>,
    /// Only addresses after this one.
    pub after: Option<Address>,
    /// The maximum number of addresses.
    pub limit: usize,
}

/// A page of session intervals.
#[derive(Debug, Clone)]
pub struct IntervalsPage<After> {
    /// The start of the period.
    pub from: Timestamp,
    /// The end of the period.
    pub to: Timestamp,
    /// The intervals.
    pub stays: Vec<SessionInterval>,
    /// The start of the next page, if there is one.
    pub next: Option<After>,
    /// The segments that were read, and notes about them.
    pub sources: Sources,
}

impl Question for AddressIntervals {
    type Answer = IntervalsPage<Revision>;

    fn record(&self) -> Value {
        json!({"address": self.address, "from": self.from, "to": self.to})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, HistoryError> {
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
        Ok(IntervalsPage { from, to, stays, next, sources: narrator.sources() })
    }
}

impl Question for UserIntervals {
    type Answer = IntervalsPage<Address>;

    fn record(&self) -> Value {
        json!({"user": self.user.to_string(), "from": self.from, "to": self.to})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, HistoryError> {
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
        Ok(IntervalsPage { from, to, stays, next, sources: narrator.sources() })
    }
}

/// Whether whoever asks for `asked` means `there`. Without a domain, all of the name are meant; with
/// one, under whichever of its names.
fn means(asked: &Principal, there: &Principal, rules: &Rules) -> bool {
    let domain = asked.domain.as_ref();
    let canonical = domain.map(|domain| rules.domain_aliases.get(domain).unwrap_or(domain));
    asked.user == there.user && canonical.is_none_or(|domain| there.domain.as_ref() == Some(domain))
}
