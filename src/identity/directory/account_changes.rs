//! The accounts affected by a directory change, and how.

use std::collections::BTreeSet;

use super::{AccountKind, Guid};
use crate::{Name, Principal};

/// A difference between the old and new state of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Difference {
    /// The account is new.
    New,
    /// It has other names: sAMAccountName, domain, userPrincipalName or dNSHostName.
    Renamed,
    /// It is in other groups, or one of its groups was renamed.
    Groups,
    /// It was disabled.
    Disabled,
    /// It was enabled.
    Enabled,
    /// It was deleted.
    Deleted,
}

/// The set of differences of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Differences(u8);

impl Differences {
    /// The set with `difference` added.
    #[must_use]
    pub const fn with(self, difference: Difference) -> Self {
        Self(self.0 | 1 << difference as u8)
    }

    /// Whether the set contains `difference`.
    pub const fn has(self, difference: Difference) -> bool {
        self.0 & (1 << difference as u8) != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The names by which sessions may refer to an account, all in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountNames {
    /// For a user or service, the canonical name first: by DNS name, NetBIOS name and UPN,
    /// unqualified if unqualified names refer to its domain, and the SID. The spelling is left
    /// open.
    pub principals: Vec<Principal>,
    /// For a computer: the dNSHostName, the name in its domain, and the unqualified name.
    pub hosts: Vec<Name>,
}

impl AccountNames {
    /// Whether the names contain a session's `principal`.
    pub fn contains(&self, principal: &Principal) -> bool {
        self.principals.iter().any(|name| name.has_same_name(principal))
    }

    /// Whether the names contain a session's `device`.
    pub fn contains_host(&self, device: &Name) -> bool {
        let device = device.clone().folded();
        self.hosts.contains(&device)
    }
}

/// An account that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// The account.
    pub guid: Guid,
    /// The kind of account; for a deleted account, its former kind.
    pub kind: AccountKind,
    /// What changed.
    pub differences: Differences,
    /// The former names of a renamed or deleted account. The current names are in the directory:
    /// [`Directory::names`](super::Directory::names).
    pub former_names: Option<Box<AccountNames>>,
}

/// The accounts whose names, state or groups changed, and no others. After
/// [`AffectedAccounts::sort`], accounts that released a name come first, so that the new owner of
/// the name is processed later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AffectedAccounts {
    /// The accounts, each once.
    pub accounts: Vec<AccountChange>,
    /// The number of updates about members of an unknown group, which were dropped.
    pub unknown_groups: usize,
    /// The DNS name of the domain, if it was read completely for the first time. A session of a
    /// user whom the domain does not know, and who is not among the accounts, belongs to an account
    /// deleted while no connection existed. While other domains are unread, see
    /// [`DeferredDeletions`](super::DeferredDeletions).
    pub first_read: Option<Name>,
}

impl AffectedAccounts {
    /// Moves accounts that released a name to the front. This takes time for many accounts, so do
    /// not hold a lock on the directory.
    pub fn sort(&mut self) {
        self.accounts
            .sort_unstable_by_key(|altered| (altered.former_names.is_none(), altered.guid));
    }

    /// Inserts the accounts that changed while no connection existed before all others. They were
    /// known under other names or not at all, so they are not also reported as new.
    pub fn prepend_missed(&mut self, missed: Vec<AccountChange>) {
        let again: BTreeSet<Guid> = missed.iter().map(|altered| altered.guid).collect();
        self.accounts.retain(|altered| !again.contains(&altered.guid));
        self.accounts.splice(..0, missed);
    }

    /// Whether no session can be affected.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.first_read.is_none()
    }
}
