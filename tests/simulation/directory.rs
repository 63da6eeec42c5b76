//! A directory that reads accounts and renames a group, and the resulting session updates.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use rollcall_identity::directory::{
    Account, AccountKind, AccountState, AffectedAccounts, Directory, DomainNames, Guid, Member,
    Object, UnqualifiedNames, Update,
};
use rollcall_identity::{ChangeLog, Name, Origin, Producer, Session, Table, Timestamp};

use super::sources::name;
use super::truth::{Kept, Promise};
use crate::harness::SeededRng;

/// The domain of all users.
const DOMAIN: &str = "corp";

/// The group of all accounts.
const GROUP: Guid = Guid([0xff; 16]);

/// The directory that the server reads, shared with it.
pub(super) type SharedDirectory = Rc<RefCell<Directory>>;

/// The directory, and the updates that are not confirmed.
pub(super) struct DirectorySource {
    pub(super) directory: SharedDirectory,
    pub(super) origin: Arc<Origin>,
    users: Vec<Name>,
    renames: u64,
    /// The affected accounts, oldest first, and the number of the oldest update.
    pending: VecDeque<AffectedAccounts>,
    confirmed: u64,
}

impl DirectorySource {
    pub(super) fn new() -> Self {
        let mut directory = Directory::default();
        let sid = "S-1-5-21-1-2-3".parse().expect("a SID");
        let names = DomainNames { dns: name(DOMAIN), netbios: name(DOMAIN), sid };
        directory.put_domain(names, UnqualifiedNames::ThisDomain);
        let [producer, client, form] = ["active-directory", "directory", "ldap"].map(name);
        Self {
            directory: Rc::new(RefCell::new(directory)),
            origin: Arc::new(Origin { kind: Producer::ActiveDirectory, producer, client, form }),
            users: Vec::new(),
            renames: 0,
            pending: VecDeque::new(),
            confirmed: 0,
        }
    }

    /// The directory reads the account of a user with a session, or renames the group.
    pub(super) fn change(&mut self, table: Option<&Table>, chance: &mut SeededRng) {
        let mut sessions: Vec<&Arc<Session>> =
            table.into_iter().flat_map(Table::sessions).collect();
        // The order of the hash table differs from process to process.
        sessions.sort_unstable_by_key(|session| session.address);
        let mut updates = Vec::new();
        if !sessions.is_empty() {
            let at = chance.below(sessions.len() as u64) as usize;
            let user = sessions[at].principal.as_ref().map(|principal| principal.user.clone());
            updates.extend(user.filter(|user| !self.users.contains(user)).map(|user| {
                self.users.push(user.clone());
                upsert(guid(self.users.len()), Object::Account(account(user)))
            }));
        }
        self.renames += u64::from(chance.once_in(3));
        let members = (1..=self.users.len()).map(|n| Member::Object(guid(n))).collect();
        let group = Object::Group { name: name(&format!("group{}", self.renames)), members };
        updates.push(upsert(GROUP, group));
        let affected = self.directory.borrow_mut().apply(&name(DOMAIN), updates);
        let mut affected = affected.expect("the domain is known");
        affected.sort();
        if !affected.is_empty() {
            self.pending.push_back(affected);
        }
    }

    /// The oldest update that is not confirmed, and its number.
    pub(super) fn next_update(&self) -> Option<(u64, AffectedAccounts)> {
        Some((self.confirmed, self.pending.front()?.clone()))
    }

    /// The update of this number is complete. One that was sent twice is confirmed twice.
    pub(super) fn confirm(&mut self, number: u64) {
        if number == self.confirmed && self.pending.pop_front().is_some() {
            self.confirmed += 1;
        }
    }

    /// Every session has the groups of the directory, in the table and for consumers.
    pub(super) fn check(&self, table: &Table, log: Option<&ChangeLog>, now: Timestamp) -> Kept {
        let directory = self.directory.borrow();
        for session in table.sessions().filter(|session| session.is_active_at(now)) {
            let Some(known) = session.principal.as_ref().and_then(|user| directory.resolve(user))
            else {
                continue;
            };
            let held = session.membership.user.as_ref();
            Promise::Memberships.unless(held == Some(&known.groups), || {
                format!("{:?} has {held:?} and not {:?}", session.principal, known.groups)
            })?;
            let shown = log.and_then(|log| log.get(session.address, now));
            let shown = shown.and_then(|session| session.membership.user.as_ref());
            Promise::Memberships
                .unless(shown == held, || format!("{shown:?} is shown: {held:?}"))?;
        }
        Ok(())
    }
}

fn guid(number: usize) -> Guid {
    Guid((number as u128).to_be_bytes())
}

fn upsert(guid: Guid, object: Object) -> Update {
    let dn = format!("CN={guid},DC={DOMAIN}").into();
    Update::Upsert { guid, dn, sid: None, object }
}

fn account(user: Name) -> Account {
    Account {
        kind: AccountKind::User,
        name: user,
        upn: None,
        display: None,
        mail: None,
        host: None,
        system: None,
        state: AccountState::Enabled,
        primary_group: None,
    }
}
