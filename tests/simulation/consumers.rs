//! Consumers: a firewall that asks now and then and can throw nothing away, and a Secure Edge that is
//! told by the server.

use std::collections::BTreeMap;

use rollcall_identity::{
    Address, Change, ChangeLog, Cursor, Filter, Page, Request, Revision, Table, Timestamp,
};

use super::faults::Fault;
use super::truth::{Kept, Promise};
use crate::harness::Chance;

/// How many changes a page has at most.
const PAGE: usize = 3;

fn read(log: &ChangeLog, cursor: Option<Cursor>, now: Timestamp) -> Page {
    let filter = Filter::default();
    // As it travels: as text.
    let cursor = cursor.map(|cursor| cursor.to_string().parse().expect("a cursor of ours"));
    log.read(&Request { cursor, since: None, filter: &filter, limit: PAGE, now })
}

fn user(change: &Change) -> Option<String> {
    let principal = change.after.as_ref()?.principal.as_ref();
    Some(principal.map(|who| who.user.to_string()).unwrap_or_default())
}

/// Who is where, as a consumer holds it.
type Holds = BTreeMap<Address, String>;

/// Compares what a consumer holds with the table. A session whose time has passed and whose end is
/// still to be decided may be held or not.
fn compare(who: &str, holds: &Holds, table: &Table, now: Timestamp) -> Kept {
    let (mut standing, mut lapsed) = (Holds::new(), Vec::new());
    for session in table.sessions() {
        let user = session.principal.as_ref().map(|who| who.user.to_string());
        match session.alive_at(now) {
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
    pub(super) fn poll(&mut self, log: &ChangeLog, now: Timestamp, chance: &mut Chance) -> bool {
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

/// A Secure Edge, with what the server remembers of it while it lives.
#[derive(Debug, Default)]
pub(super) struct Edge {
    position: Option<Cursor>,
    sessions: BTreeMap<Address, (Revision, String)>,
    /// What it was told in a synchronisation that has not ended.
    told: Option<BTreeMap<Address, (Revision, String)>>,
    course: Course,
}

/// How the server stands to it.
#[derive(Debug, Default)]
struct Course {
    standing: Standing,
    cursor: Option<Cursor>,
    /// What is being told.
    page: Option<Page>,
    more: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Standing {
    #[default]
    Unsure,
    Synchronising,
    Following,
}

impl Edge {
    /// The server was replaced: it knows nothing of how it stood.
    pub(super) fn server_is_new(&mut self) {
        self.course = Course::default();
    }

    /// It loses everything that it was told.
    pub(super) fn forget(&mut self) {
        (self.position, self.told) = (None, None);
        self.sessions.clear();
    }

    /// One step of the server's: it asks where the other side is, reads, or tells. Whether it did
    /// anything; it rests until something is noticed.
    pub(super) fn step(
        &mut self,
        (log, noticed): (&ChangeLog, &mut bool),
        now: Timestamp,
        (chance, fault): (&mut Chance, Option<Fault>),
    ) -> bool {
        if let Some(page) = self.course.page.take() {
            self.tell(page, noticed, (chance, fault));
            return true;
        }
        if !*noticed && !self.course.more {
            return false;
        }
        if self.course.standing == Standing::Unsure {
            self.course.cursor = self.position;
            match self.position {
                Some(_) => self.course.standing = Standing::Following,
                None => self.synchronise(),
            }
            return true;
        }
        // What comes while this is read and told is noticed after it.
        *noticed = false;
        let page = read(log, self.course.cursor, now);
        if page.resync && self.course.cursor.is_some() {
            *noticed = true;
            self.synchronise();
        } else {
            self.course.page = Some(page);
        }
        true
    }

    fn synchronise(&mut self) {
        (self.course.standing, self.course.cursor) = (Standing::Synchronising, None);
        (self.told, self.position) = (Some(BTreeMap::new()), None);
    }

    /// The other side takes a page; its answer may be lost, and then it is told the same again.
    fn tell(
        &mut self,
        page: Page,
        noticed: &mut bool,
        (chance, fault): (&mut Chance, Option<Fault>),
    ) {
        let is_synchronising = self.course.standing == Standing::Synchronising;
        let is_there = match is_synchronising {
            true => self.told.is_some(),
            false => self.position == self.course.cursor || self.position == Some(page.next),
        };
        if !is_there {
            // It refuses what does not go on from where it is; it is asked where that may be.
            self.course = Course { more: true, ..Course::default() };
            return;
        }
        let sessions =
            self.told.as_mut().filter(|_| is_synchronising).unwrap_or(&mut self.sessions);
        for change in &page.changes {
            let (at, revision) = (change.address, change.revision);
            if sessions.get(&at).is_some_and(|(held, _)| *held >= revision) {
                continue;
            }
            match user(change) {
                Some(user) => drop(sessions.insert(at, (revision, user))),
                None => drop(sessions.remove(&at)),
            }
        }
        if !is_synchronising {
            self.position = Some(page.next);
        }
        if chance.once_in(6) {
            self.course.page = Some(page);
            return;
        }
        (self.course.cursor, self.course.more) = (Some(page.next), page.more);
        if is_synchronising && !page.more {
            self.sessions = self.told.take().unwrap_or_default();
            self.position = Some(page.next);
            self.course.standing = Standing::Following;
            if fault == Some(Fault::LostWakeUpAtSnapshot) {
                *noticed = false;
            }
        }
    }

    /// The newest position that it knows.
    pub(super) fn knows(&self) -> Revision {
        self.position.map_or(Revision(0), |cursor| cursor.revision)
    }

    pub(super) fn check(&self, table: &Table, now: Timestamp) -> Kept {
        let holds = self.sessions.iter().map(|(at, (_, user))| (*at, user.clone())).collect();
        compare("Secure Edge", &holds, table, now)
    }
}
