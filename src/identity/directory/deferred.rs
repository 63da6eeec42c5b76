//! Who is missed in a domain while another one is not read yet, where they may be: an account that
//! moved from one to the other while nobody listened keeps its GUID, and was not deleted.

use super::{
    AccountChange, AccountKind, AffectedAccounts, Difference, Differences, Directory, Guid,
};
use crate::Name;

/// Of one domain, whose end is told when all domains are read, or when that takes too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeferredDeletions {
    accounts: Vec<AccountChange>,
    /// The domain, whose sessions of strangers are looked through then.
    domain: Name,
}

impl DeferredDeletions {
    /// Takes out of `affected`, when it tells of a domain for the first time, whoever may be in a
    /// domain that `directory` does not know yet.
    ///
    /// Somebody whose name has another account by now is not among them: what that one does under it
    /// from now on must not count as the former's, so the former is told of at once.
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

    /// What is to be told now: whoever is in another domain goes by other names, and all the others
    /// were deleted.
    pub fn into_affected(self, directory: &Directory) -> AffectedAccounts {
        let Self { accounts, domain: first } = self;
        let theirs = accounts.into_iter().filter(|change| directory.names_unclaimed(change));
        let told = theirs.map(|change| match directory.kind_of(change.guid) {
            Some(kind) => {
                let differences = Differences::default().with(Difference::Renamed);
                AccountChange { kind, differences, ..change }
            }
            None => change,
        });
        AffectedAccounts { accounts: told.collect(), unknown_groups: 0, first_read: Some(first) }
    }
}

impl Directory {
    /// Whether no other account has one of the names that this one had.
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
