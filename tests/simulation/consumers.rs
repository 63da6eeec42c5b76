//! Consumers: their content, compared with the table, and a firewall that polls now and then and
//! cannot discard anything.

use std::collections::BTreeMap;

use rollcall_identity::{
    Address, Change, ChangeLog, Cursor, Filter, Page, PageRequest, Revision, Table, Timestamp,
};

use super::truth::{Kept, Promise};
use crate::harness::SeededRng;

/// The maximum number of changes in a page.
const PAGE: usize = 3;

/// Reads a page.
pub(super) fn read(log: &ChangeLog, cursor: Option<Cursor>, now: Timestamp) -> Page {
    let filter = Filter::default();
    // The cursor travels as text.
    let cursor = cursor.map(|cursor| cursor.to_string().parse().expect("a cursor of ours"));
    log.read(&PageRequest { cursor, since: None, filter: &filter, limit: PAGE, now })
}

/// The user after a change.
pub(super) fn user(change: &Change) -> Option<String> {
    let principal = change.after.as_ref()?.principal.as_ref();
    Some(principal.map(|who| who.user.to_string()).unwrap_or_default())
}

/// The users of a consumer by address.
pub(super) type Holds = BTreeMap<Address, String>;

/// Compares the content of a consumer with the table. A session past its logoff time whose end is
/// not decided yet may be present or absent.
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
    /// Polls for one page. The response can be lost. Returns whether there is more.
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

    /// Its newest position.
    pub(super) fn newest_position(&self) -> Revision {
        self.cursor.map_or(Revision(0), |cursor| cursor.revision)
    }

    pub(super) fn check(&self, table: &Table, now: Timestamp) -> Kept {
        compare("firewall", &self.holds, table, now)
    }
}
