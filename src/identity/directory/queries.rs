//! Queries of administrators and enforcement points about domains, accounts and groups.

use std::ops::Range;
use std::sync::Arc;

use super::node_id::NodeId;
use super::nodes::Node;
use super::{
    Account, AccountKind, Directory, DomainNames, Group, GroupSet, Guid, Sid, UnknownDomain,
};
use crate::Name;

/// The class of accounts to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountClass {
    /// Users and service accounts.
    Users,
    /// Computers.
    Devices,
}

/// An account with everything known about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile<'a> {
    /// The account.
    pub guid: Guid,
    /// Its domain.
    pub domain: &'a DomainNames,
    /// The distinguished name.
    pub dn: &'a str,
    /// The security identifier.
    pub sid: Option<&'a Sid>,
    /// The attributes from the directory.
    pub account: &'a Account,
    /// All groups of the account.
    pub groups: &'a GroupSet,
}

/// A page of a list sorted by name, ignoring case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The total number of items.
    pub total: usize,
    /// The items of the page.
    pub items: Vec<T>,
}

/// The number of objects of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectCounts {
    /// Users and service accounts.
    pub users: usize,
    /// Computers.
    pub devices: usize,
    /// Groups.
    pub groups: usize,
}

impl Directory {
    /// The domains, sorted by DNS name.
    pub fn domains(&self) -> Vec<&DomainNames> {
        let mut domains: Vec<_> = self.domains.iter().map(|(_, domain)| &domain.names).collect();
        domains.sort_unstable_by(|one, other| one.dns.cmp(&other.dns));
        domains
    }

    /// The domain with this DNS or NetBIOS name, ignoring case.
    pub fn domain(&self, name: &Name) -> Option<&DomainNames> {
        let slot = self.domains.by_name(&name.clone().folded())?;
        self.domains.at(slot).map(|domain| &domain.names)
    }

    /// The number of objects of a domain. Visits every object.
    ///
    /// # Errors
    /// If the domain is not known.
    pub fn counts(&self, domain: &Name) -> Result<ObjectCounts, UnknownDomain> {
        let slot = self.domains.require(domain)?;
        let mut counts = ObjectCounts::default();
        for (_, node) in self.nodes.iter().filter(|(_, node)| node.domain() == Some(slot)) {
            match node.account().map(|account| account.attrs.kind) {
                Some(AccountKind::Device) => counts.devices += 1,
                Some(AccountKind::User | AccountKind::Service) => counts.users += 1,
                None => counts.groups += 1,
            }
        }
        Ok(counts)
    }

    /// The number of distinct group sets.
    pub fn group_sets(&self) -> usize {
        self.interner.len()
    }

    /// The profile of an account.
    pub fn profile(&self, guid: Guid) -> Option<Profile<'_>> {
        let account = self.nodes.at(self.nodes.object(guid)?).account()?;
        Some(Profile {
            guid,
            domain: &self.domains.at(account.domain)?.names,
            dn: &account.dn,
            sid: account.sid.as_ref(),
            account: &account.attrs,
            groups: account.groups.as_ref()?,
        })
    }

    /// The group of this name in a domain, ignoring case.
    ///
    /// # Errors
    /// If the domain is not known.
    pub fn group(&self, domain: &Name, name: &Name) -> Result<Option<&Arc<Group>>, UnknownDomain> {
        let slot = self.domains.require(domain)?;
        let folded = name.clone().folded();
        let mut found = self.names.candidates(self.name_fingerprint(slot, folded.as_str()));
        Ok(found.find_map(|id| {
            let group = self.nodes.at(id).group().filter(|group| group.domain == slot)?;
            (group.attrs.name.clone().folded() == folded).then_some(&group.attrs)
        }))
    }

    /// The accounts of a domain whose name starts with `prefix`, ignoring case. Visits every
    /// object, and sorts only what is requested.
    ///
    /// # Errors
    /// If the domain is not known.
    pub fn accounts(
        &self,
        domain: &Name,
        wanted: AccountClass,
        prefix: &str,
        range: Range<usize>,
    ) -> Result<Listing<Profile<'_>>, UnknownDomain> {
        let ids = self.list(self.domains.require(domain)?, prefix, range, |node| {
            let account = node.account()?;
            let is_device = account.attrs.kind == AccountKind::Device;
            (is_device == (wanted == AccountClass::Devices)).then_some(&account.attrs.name)
        });
        let guids = ids.items.into_iter().filter_map(|id| self.nodes.at(id).guid());
        let items = guids.filter_map(|guid| self.profile(guid)).collect();
        Ok(Listing { total: ids.total, items })
    }

    /// The groups of a domain whose name starts with `prefix`, like [`Directory::accounts`].
    ///
    /// # Errors
    /// If the domain is not known.
    pub fn groups(
        &self,
        domain: &Name,
        prefix: &str,
        range: Range<usize>,
    ) -> Result<Listing<&Arc<Group>>, UnknownDomain> {
        let slot = self.domains.require(domain)?;
        let ids = self.list(slot, prefix, range, |node| Some(&node.group()?.attrs.name));
        let groups = ids.items.into_iter().filter_map(|id| self.nodes.at(id).group());
        Ok(Listing { total: ids.total, items: groups.map(|group| &group.attrs).collect() })
    }

    /// The shortest membership path from an account to `group`: the group that lists the account
    /// first, `group` last; `None` if the account is not a member.
    pub fn path(&self, account: Guid, group: &Group) -> Option<Vec<Arc<Group>>> {
        let id = self.nodes.object(account)?;
        self.nodes.at(id).account()?;
        self.shortest_path(id, group)
    }

    fn list<'a>(
        &'a self,
        slot: usize,
        prefix: &str,
        Range { start, end }: Range<usize>,
        name: impl Fn(&'a Node) -> Option<&'a Name>,
    ) -> Listing<NodeId> {
        let prefix = prefix.to_lowercase();
        let theirs = self.nodes.iter().filter(|(_, node)| node.domain() == Some(slot));
        let named = theirs.filter_map(|(id, node)| Some((name(node)?.clone().folded(), id)));
        let mut found: Vec<_> =
            named.filter(|(name, _)| name.as_str().starts_with(&prefix)).collect();
        let total = found.len();
        if end < total {
            found.select_nth_unstable(end);
            found.truncate(end);
        }
        found.sort_unstable();
        Listing { total, items: found.into_iter().skip(start).map(|(_, id)| id).collect() }
    }
}
