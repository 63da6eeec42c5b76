//! The consecutive sessions of an address, and the addresses of a user.

use std::sync::Arc;

use rollcall_identity::{Address, Principal, Revision, Rules, SessionInterval, Timestamp};
use serde_json::{Value, json};

use super::address_history::Sources;
use super::error::HistoryError;
use super::{HistoryQuery, Reader};
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
    pub intervals: Vec<SessionInterval>,
    /// The start of the next page, if there is one.
    pub next: Option<After>,
    /// The segments that were read, and notes about them.
    pub sources: Sources,
}

impl HistoryQuery for AddressIntervals {
    type Answer = IntervalsPage<Revision>;

    fn audit_record(&self) -> Value {
        json!({"address": self.address, "from": self.from, "to": self.to})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, HistoryError> {
        let Self { address, after, limit, .. } = *self;
        let mut history = reader.history()?;
        let (from, to) = history.period(self.from, self.to)?;
        let span = history.span(from, to)?;
        history.note_if_incomplete(to);
        let mut intervals = Vec::new();
        let mut take = |interval: SessionInterval| {
            let is_after = after.is_none_or(|after| interval.revision > after);
            if is_after && interval.overlaps(from, to) && intervals.len() <= limit {
                intervals.push(interval);
            }
        };
        let timeline = history.apply(span, (address, to), &mut take)?;
        if !timeline.is_known() {
            let text = format!("the sessions of {address} from {from} to {to} are unknown");
            return Err(history.unknown(text));
        }
        timeline.finish(to).into_iter().for_each(take);
        let has_more = intervals.len() > limit;
        intervals.truncate(limit);
        let next = intervals.last().filter(|_| has_more).map(|last| last.revision);
        Ok(IntervalsPage { from, to, intervals, next, sources: history.sources() })
    }
}

impl HistoryQuery for UserIntervals {
    type Answer = IntervalsPage<Address>;

    fn audit_record(&self) -> Value {
        json!({"user": self.user.to_string(), "from": self.from, "to": self.to})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, HistoryError> {
        let Self { ref user, after, limit, .. } = *self;
        let rules = Arc::clone(&reader.rules);
        let mut history = reader.history()?;
        let (from, to) = history.period(self.from, self.to)?;
        let span = history.span(from, to)?;
        history.note_if_incomplete(to);
        let found = Addresses::new(after, limit, |_| true);
        let found = history.addresses_of(&user.user, (span.clone(), to), found)?;
        let (found, mut has_more) = found.into_found();
        let (mut intervals, mut last) = (Vec::new(), None);
        for address in found {
            if history.budget.is_half_spent() && last.is_some() {
                has_more = true;
                break;
            }
            let mut take = |interval: SessionInterval| {
                let principal = interval.session.principal.as_ref();
                let is_meant = principal.is_some_and(|principal| matches(user, principal, &rules));
                if is_meant && interval.overlaps(from, to) {
                    intervals.push(interval);
                }
            };
            let timeline = history.apply(span.clone(), (address, to), &mut take)?;
            timeline.finish(to).into_iter().for_each(take);
            last = Some(address);
        }
        intervals.sort_by_key(|interval| interval.start);
        let next = last.filter(|_| has_more);
        Ok(IntervalsPage { from, to, intervals, next, sources: history.sources() })
    }
}

/// Whether the query `wanted` matches the user `found`. Without a domain, it matches every domain;
/// with one, under any alias.
fn matches(wanted: &Principal, found: &Principal, rules: &Rules) -> bool {
    let domain = wanted.domain.as_ref();
    let canonical = domain.map(|domain| rules.domain_aliases.get(domain).unwrap_or(domain));
    wanted.user == found.user
        && canonical.is_none_or(|domain| found.domain.as_ref() == Some(domain))
}
