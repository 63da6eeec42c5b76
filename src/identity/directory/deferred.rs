//! Deletions that wait until all domains are read: an account that moved to another domain while no
//! connection existed keeps its GUID and was not deleted.

use super::{
    AccountChange, AccountKind, AffectedAccounts, Difference, Differences, Directory, Guid,
};
use crate::Name;

/// The possible deletions of one domain, decided when all domains are read or after a timeout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeferredDeletions {
    accounts: Vec<AccountChange>,
    /// The domain, whose sessions of unknown users are searched then.
    domain: Name,
}

impl DeferredDeletions {
    /// Removes from `affected`, if this is the first complete read of a domain, the accounts that
    /// may be in a domain that `directory` has not read yet.
    ///
    /// An account whose name now belongs to another account is not deferred: later events of the
    /// new owner must not be attributed to the former one.
    pub fn defer(affected: &mut AffectedAccounts, directory: &Directory) -> Option<Self> {
        if directory.is_complete() {
            return None;
        }
        let first = affected.first_read.take()?;
        let all = std::mem::take(&mut affected.accounts);
        let may_wait = |change: &AccountChange| {
            change.differences.has(Difference::Deleted) && directory.names_unclaimed(change)
        };
        let (accounts, others) = all.into_iter().partition(may_wait);
        affected.accounts = others;
        Some(Self { accounts, domain: first })
    }

    /// The changes to report now: accounts found in another domain were renamed, all others were
    /// deleted.
    pub fn into_affected(self, directory: &Directory) -> AffectedAccounts {
        let Self { accounts, domain: first } = self;
        let theirs = accounts.into_iter().filter(|change| directory.names_unclaimed(change));
        let changes = theirs.map(|change| match directory.kind_of(change.guid) {
            Some(kind) => {
                let differences = Differences::default().with(Difference::Renamed);
                AccountChange { kind, differences, ..change }
            }
            None => change,
        });
        AffectedAccounts { accounts: changes.collect(), unknown_groups: 0, first_read: Some(first) }
    }
}

impl Directory {
    /// Whether no other account has one of the former names.
    fn names_unclaimed(
        &self,
        AccountChange { guid, former_names: former, .. }: &AccountChange,
    ) -> bool {
        let Some(former) = former else { return true };
        let of_users = former.principals.iter().filter_map(|name| self.account_of(name));
        let of_hosts = former.hosts.iter().filter_map(|host| self.device_of(host));
        of_users.chain(of_hosts).all(|id| self.nodes.at(id).guid() == Some(*guid))
    }

    fn kind_of(&self, guid: Guid) -> Option<AccountKind> {
        let id = self.nodes.object(guid)?;
        Some(self.nodes.at(id).account()?.attrs.kind)
    }
}
