//! The reference model: the user of each address after the events so far, by rules that are simple enough
//! to verify by reading; and the violated properties.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rollcall_identity::{Address, Event, Kind, SteadyClock, Table, Timestamp};

use super::LOGOFF;

/// A violated property, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) promise: Promise,
    pub(super) how: String,
}

/// A property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// No acknowledged event is lost.
    Acknowledged,
    /// No session exists without an event.
    NoSessionWithoutEvent,
    /// The events of one producer keep their order.
    Order,
    /// Revisions never go back within an epoch, and the epoch stays.
    Revisions,
    /// Every consumer ends with exactly the table.
    Consumers,
    /// received = applied + deduplicated + refused + dropped.
    Account,
    /// A read position is neither ahead of its events nor behind them.
    Positions,
    /// No session ends before its time, however the clock is set.
    Expiry,
    /// A failed logon creates no session.
    FailedLogon,
    /// Every session has the groups that the directory knows.
    Memberships,
    /// A replaced cache decides nothing, and its late changes are not visible.
    Fencing,
    /// The world becomes idle once all faults are over.
    Recovery,
}

pub(super) type Kept = Result<(), Broken>;

impl Promise {
    pub(super) fn broken(self, how: impl Into<String>) -> Broken {
        Broken { promise: self, how: how.into() }
    }

    pub(super) fn unless(self, kept: bool, how: impl FnOnce() -> String) -> Kept {
        if kept { Ok(()) } else { Err(self.broken(how())) }
    }
}

/// The identity of an event, however often it is sent. Every login is of another user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Said {
    pub(super) address: Address,
    kind: &'static str,
    user: String,
    /// Set for an event that can occur more than once for the same user.
    at: Option<Timestamp>,
}

impl Said {
    pub(super) fn of(event: &Event) -> Self {
        let again = !event.kind.begins() && !event.kind.ends();
        Self {
            address: event.address,
            kind: event.kind.as_str(),
            user: user(event),
            at: again.then_some(event.at),
        }
    }
}

fn user(event: &Event) -> String {
    event.principal.as_ref().map(|who| who.user.to_string()).unwrap_or_default()
}

/// The prefix of users whose logon fails.
pub(super) const FAILED: &str = "failed";

/// The user of an address, and the end of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct There {
    user: String,
    expires: Timestamp,
}

/// The events that sources have sent, and which of them are ordered.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// The number of each event among those of its address.
    said: HashMap<Said, usize>,
    counts: BTreeMap<Address, usize>,
    /// Addresses whose events may be lost before the journal.
    lossy: Vec<Address>,
    /// The number of ordered events of each address.
    ordered: BTreeMap<Address, usize>,
    there: BTreeMap<Address, There>,
}

impl Truth {
    /// A source sends a new event.
    pub(super) fn say(&mut self, event: &Event) {
        let count = self.counts.entry(event.address).or_default();
        self.said.insert(Said::of(event), *count);
        *count += 1;
    }

    /// Events of `address` may be lost before the journal.
    pub(super) fn may_lose(&mut self, address: Address) {
        self.lossy.push(address);
    }

    /// Starts again with the first event.
    pub(super) fn rewind(&mut self) {
        self.ordered.clear();
        self.there.clear();
    }

    /// Applies the next event of the journal, at the true time `now`.
    pub(super) fn fold(&mut self, event: &Event, now: Timestamp) -> Kept {
        let (address, user) = (event.address, user(event));
        match event.kind {
            Kind::Expiry => return self.expire(event, now),
            // It changes neither the user nor the time of a session.
            Kind::Membership => return Ok(()),
            _ => {}
        }
        Promise::FailedLogon.unless(!user.starts_with(FAILED), || format!("{event:?}"))?;
        let number = self.said.get(&Said::of(event)).copied();
        let number = number.ok_or_else(|| {
            Promise::NoSessionWithoutEvent.broken(format!("no source sent {event:?}"))
        })?;
        let ordered = self.ordered.entry(address).or_default();
        if number < *ordered {
            return Ok(());
        }
        let in_order = number == *ordered || self.lossy.contains(&address);
        Promise::Order.unless(in_order, || format!("{number} after {ordered}: {event:?}"))?;
        *ordered = number + 1;
        let (proven, seen) = (event.at.min(event.seen), event.seen);
        let expires = proven + LOGOFF;
        let there = self.there.get_mut(&address);
        match (event.kind, there) {
            (Kind::Login | Kind::VpnUp, _) if seen < expires => {
                self.there.insert(address, There { user, expires });
            }
            (Kind::Logout | Kind::VpnDown, Some(there)) if there.user == user => {
                self.there.remove(&address);
            }
            (Kind::Refresh, Some(there)) if there.user == user && seen < there.expires => {
                there.expires = there.expires.max(expires);
            }
            _ => {}
        }
        Ok(())
    }

    fn expire(&mut self, event: &Event, now: Timestamp) -> Kept {
        let Some(there) = self.there.get(&event.address) else { return Ok(()) };
        // A session that was confirmed in the future ends at once.
        let is_unborn = there.expires > event.at + LOGOFF + SteadyClock::MAX_STEP;
        if event.at < there.expires && !is_unborn {
            return Ok(());
        }
        // The proposal may be older than this moment, and never newer.
        let early = there.expires.since(now);
        Promise::Expiry
            .unless(early == Duration::ZERO, || format!("{early:?} early: {there:?}"))?;
        self.there.remove(&event.address);
        Ok(())
    }

    /// Compares the table with the reference model.
    pub(super) fn compare(&self, table: &Table) -> Kept {
        let held: BTreeMap<Address, There> = table
            .sessions()
            .map(|session| {
                let user = session.principal.as_ref().map(|who| who.user.to_string());
                let there = There { user: user.unwrap_or_default(), expires: session.expires };
                (session.address, there)
            })
            .collect();
        let all = held.keys().chain(self.there.keys());
        let wrong = all.copied().find(|at| held.get(at) != self.there.get(at));
        let Some(at) = wrong else { return Ok(()) };
        let (held, is) = (held.get(&at), self.there.get(&at));
        let how = format!("at {at} the table has {held:?}, and true is {is:?}");
        Err(Promise::NoSessionWithoutEvent.broken(how))
    }
}
