//! What a change of a directory amounts to: which accounts are otherwise than before, and how.

use std::collections::BTreeSet;

use super::{AccountKind, Guid};
use crate::{Name, Principal};

/// In what an account is otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Difference {
    /// The directory did not know it.
    New,
    /// It goes by other names: sAMAccountName, domain, userPrincipalName or dNSHostName.
    Renamed,
    /// It is in other groups, or one of its groups is called otherwise.
    Groups,
    /// It may not be used any more.
    Disabled,
    /// It may be used again.
    Enabled,
    /// The directory does not know it any more.
    Deleted,
}

/// All that is different about one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Differences(u8);

impl Differences {
    /// The same and `difference`.
    #[must_use]
    pub const fn with(self, difference: Difference) -> Self {
        Self(self.0 | 1 << difference as u8)
    }

    /// Whether `difference` is among them.
    pub const fn has(self, difference: Difference) -> bool {
        self.0 & (1 << difference as u8) != 0
    }

    /// Whether nothing is different.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The names by which sessions may know an account, all in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountNames {
    /// Of a person or service, the canonical one first: by DNS name, NetBIOS name and UPN of the
    /// domain, bare when bare names mean its domain, and its SID. How they were written is left open.
    pub principals: Vec<Principal>,
    /// Of a computer: its dNSHostName, its name in its domain, and the bare name.
    pub hosts: Vec<Name>,
}

impl AccountNames {
    /// Whether a session's `principal` is one of them.
    pub fn contains(&self, principal: &Principal) -> bool {
        self.principals.iter().any(|name| name.has_same_name(principal))
    }

    /// Whether a session's `device` is one of them.
    pub fn contains_host(&self, device: &Name) -> bool {
        let device = device.clone().folded();
        self.hosts.contains(&device)
    }
}

/// An account that is otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// Which account.
    pub guid: Guid,
    /// Whether it is a user, a device or a service; what it was, when it is deleted.
    pub kind: AccountKind,
    /// What is different.
    pub differences: Differences,
    /// The names that it had before, when it is renamed or deleted. Those that it has now are in
    /// the directory: [`Directory::names`](super::Directory::names).
    pub former_names: Option<Box<AccountNames>>,
}

/// Every account whose name, state or groups are otherwise than before, and no other. Once they are
/// [arranged](Affected::arrange), those that gave up a name come first, so that whoever took it over is
/// looked for later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AffectedAccounts {
    /// The accounts, each once.
    pub accounts: Vec<AccountChange>,
    /// How many updates spoke of the members of a group that is not known, and were of no use.
    pub unknown_groups: usize,
    /// The DNS name of the domain, when all of it was entered for the first time: a session of a user
    /// of it whom it does not know, and who was not missed by name, is that of somebody who was
    /// deleted when nobody listened. While other domains are to come, it is [`DeferredDeletions`](super::Postponed).
    pub first_read: Option<Name>,
}

impl AffectedAccounts {
    /// Puts those first who gave up a name. It takes as long as there are many of them, so nobody should
    /// wait for the directory meanwhile.
    pub fn sort(&mut self) {
        self.accounts
            .sort_unstable_by_key(|altered| (altered.former_names.is_none(), altered.guid));
    }

    /// Puts before all others who was `missed` while nobody listened. They are known with other names
    /// or not at all, so they are not told of as new, too.
    pub fn prepend_missed(&mut self, missed: Vec<AccountChange>) {
        let again: BTreeSet<Guid> = missed.iter().map(|altered| altered.guid).collect();
        self.accounts.retain(|altered| !again.contains(&altered.guid));
        self.accounts.splice(..0, missed);
    }

    /// Whether nothing that matters to a session is otherwise.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.first_read.is_none()
    }
}
