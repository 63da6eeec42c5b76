//! Consumers: what they hold, compared with the table, and a firewall that asks now and then and can
//! throw nothing away.

use std::collections::BTreeMap;

use rollcall_identity::{
    Address, Change, ChangeLog, Cursor, Filter, Page, PageRequest, Revision, Table, Timestamp,
};

use super::truth::{Kept, Promise};
use crate::harness::SeededRng;

/// How many changes a page has at most.
const PAGE: usize = 3;

/// Reads a page.
pub(super) fn read(log: &ChangeLog, cursor: Option<Cursor>, now: Timestamp) -> Page {
    let filter = Filter::default();
    // As it travels: as text.
    let cursor = cursor.map(|cursor| cursor.to_string().parse().expect("a cursor of ours"));
    log.read(&PageRequest { cursor, since: None, filter: &filter, limit: PAGE, now })
}

/// Who is there after a change.
pub(super) fn user(change: &Change) -> Option<String> {
    let principal = change.after.as_ref()?.principal.as_ref();
    Some(principal.map(|who| who.user.to_string()).unwrap_or_default())
}

/// Who is where, as a consumer holds it.
pub(super) type Holds = BTreeMap<Address, String>;

/// Compares what a consumer holds with the table. A session whose time has passed and whose end is
/// still to be decided may be held or not.
pub(super) fn compare(who: &str, holds: &Holds, table: &Table, now: Timestamp) -> Kept {
    let (mut standing, mut lapsed) = (Holds::new(), Vec::new());
    for session in table.sessions() {
        let user = session.principal.as_ref().map(|who| who.user.to_string());
        match session.is_active_at(now) {
            true => drop(standing.insert(session.address, user.unwrap_or_default())),
            false => lapsed.push(session.address),
        }
    }
    let held: Holds = holds
        .iter()
        .filter(|(at, _)| !lapsed.contains(at))
        .map(|(at, u)| (*at, u.clone()))
        .collect();
    Promise::Consumers.unless(held == standing, || {
        format!("the {who} holds {held:?}, and the table {standing:?}")
    })
}

/// A firewall.
#[derive(Debug, Default)]
pub(super) struct Firewall {
    cursor: Option<Cursor>,
    holds: Holds,
}

impl Firewall {
    /// Asks for one page; the answer may be lost on its way. Whether there is more.
    pub(super) fn poll(&mut self, log: &ChangeLog, now: Timestamp, chance: &mut SeededRng) -> bool {
        let page = read(log, self.cursor, now);
        if chance.once_in(6) {
            return true;
        }
        for change in &page.changes {
            match user(change) {
                Some(user) => drop(self.holds.insert(change.address, user)),
                None => drop(self.holds.remove(&change.address)),
            }
        }
        self.cursor = Some(page.next);
        page.more
    }

    /// The newest position that it knows.
    pub(super) fn knows(&self) -> Revision {
        self.cursor.map_or(Revision(0), |cursor| cursor.revision)
    }

    pub(super) fn check(&self, table: &Table, now: Timestamp) -> Kept {
        compare("firewall", &self.holds, table, now)
    }
}
