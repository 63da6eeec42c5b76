//! Users, devices and groups from directories: name resolution, nested group membership, and the
//! effects of directory changes on sessions.
//!
//! ```text
//! Update            ──► Ingest::step ──► AffectedAccounts ──► SessionEffects::next ──► Event
//! DirectorySnapshot ────────┘                                     ▲      (Membership, Logout)
//! Event  ──► Directory::enrich               Change ──► AddressIndex
//! KnownMembersWriter ──► bytes ──► KnownMembers::changes_since ──► AffectedAccounts, after a restart
//! ```

mod account_changes;
mod address_index;
mod closure;
mod deferred;
mod diff;
mod domains;
mod effects;
mod group_filter;
mod index;
mod ingest;
mod interner;
mod known_members;
mod node_id;
mod nodes;
mod object;
#[cfg(test)]
mod properties;
mod queries;
mod resolution;
#[cfg(test)]
mod sliced_ingest;
mod snapshot;
#[cfg(test)]
mod tests;
mod upsert;

pub use crate::group_set::{Group, GroupSet, Membership, WeakGroupSet};
pub use crate::sid::{BadSid, Sid};
pub use account_changes::{AccountChange, AccountNames, AffectedAccounts, Difference, Differences};
pub use address_index::AddressIndex;
pub use deferred::DeferredDeletions;
pub use domains::{NetbiosNames, UnknownDomain, UnqualifiedNames};
pub use effects::{EffectInputs, ProposalContext, RemovalPolicy, SessionAction, SessionEffects};
pub use group_filter::{BadBaseDn, BaseDn, GroupFilter, SelectedGroups};
pub use ingest::Ingest;
pub use known_members::{BadKnownMembers, KnownMembers, KnownMembersPart, KnownMembersWriter};
pub use object::{Account, AccountKind, AccountState, DomainNames, Guid, Member, Object, Update};
pub use queries::{AccountClass, Listing, ObjectCounts, Profile};
pub use resolution::ResolvedAccount;
pub use snapshot::DirectorySnapshot;

use hashbrown::HashMap;

use self::domains::Domains;
use self::index::{Fingerprint, Fingerprinter, Index};
use self::interner::Interner;
use self::node_id::NodeId;
use self::nodes::{AccountNode, Node, NodeKind, Nodes};
use crate::Name;

/// All users, devices and groups of all configured directories, and their memberships.
///
/// Objects are identified by GUID, independent of their domain, so a group can have members of
/// another domain, and an account that moves between domains keeps its identity. A member that is
/// not known yet takes effect as soon as it appears.
#[derive(Debug, Default)]
pub struct Directory {
    nodes: Nodes,
    domains: Domains,
    interner: Interner,
    fingerprinter: Fingerprinter,
    sids: Index,
    names: Index,
    upns: Index,
    hosts: Index,
    /// How many accounts have the group of this SID as their primary group.
    primaries: HashMap<Sid, usize>,
}

impl Directory {
    /// Sets the number of domains, known or not. While others are missing, an unqualified name does
    /// not refer to the first domain that was read.
    pub fn expect_domains(&mut self, domains: usize) {
        self.domains.expect_domains(domains);
    }

    /// Adds a domain before any of its objects, or updates its names.
    pub fn put_domain(&mut self, names: DomainNames, unqualified: UnqualifiedNames) {
        self.domains.put(names, unqualified);
    }

    /// Runs [`Directory::begin_apply`] to completion.
    ///
    /// # Errors
    /// The same.
    pub fn apply(
        &mut self,
        domain: &Name,
        updates: Vec<Update>,
    ) -> Result<AffectedAccounts, UnknownDomain> {
        Ok(self.begin_apply(domain, updates)?.finish(self))
    }

    /// Runs [`Directory::begin_replace`] to completion.
    ///
    /// # Errors
    /// The same.
    pub fn replace(
        &mut self,
        domain: &Name,
        snapshot: DirectorySnapshot,
    ) -> Result<AffectedAccounts, UnknownDomain> {
        Ok(self.begin_replace(domain, snapshot)?.finish(self))
    }

    /// Runs [`Directory::begin_forget`] to completion.
    ///
    /// # Errors
    /// The same.
    pub fn forget(&mut self, domain: &Name) -> Result<AffectedAccounts, UnknownDomain> {
        Ok(self.begin_forget(domain)?.finish(self))
    }

    /// Whether every [expected](Self::expect_domains) domain has been read completely. Until then,
    /// an account that is missing in one domain may have moved to another.
    pub fn is_complete(&self) -> bool {
        self.domains.all_read()
    }

    /// Whether an account of the domain with this DNS name is already stored exactly as in
    /// `update`. Always false for groups, whose members may arrive in parts.
    pub fn already_holds(&self, domain: &Name, update: &Update) -> bool {
        let Update::Upsert { guid, dn, sid, object: Object::Account(account) } = update else {
            return false;
        };
        let id = self.nodes.object(*guid);
        let node = id.and_then(|id| self.nodes.at(id).account());
        let known = node.filter(|known| self.domains.require(domain) == Ok(known.domain));
        known.is_some_and(|known| {
            known.groups.is_some() && known.has_content((dn, sid.as_ref(), account))
        })
    }

    /// Reserves capacity for `more` objects.
    fn reserve(&mut self, more: usize) {
        self.nodes.reserve(more);
        self.sids.reserve(more);
        self.names.reserve(more);
        self.interner.reserve(more);
    }

    /// The SID of the account's primary group.
    fn primary_group(&self, account: &AccountNode) -> Option<Sid> {
        let rid = account.attrs.primary_group?;
        let own = account.sid.as_ref().and_then(Sid::domain);
        match own {
            Some(domain) => domain.account(rid),
            None => self.domains.at(account.domain)?.names.sid.account(rid),
        }
    }

    fn add_to_indexes(&mut self, id: NodeId) {
        let keys = self.keys(self.nodes.at(id));
        for (index, fingerprint) in self.indexes(keys) {
            index.insert(fingerprint, id);
        }
        let primary = self.nodes.at(id).account().and_then(|account| self.primary_group(account));
        if let Some(sid) = primary {
            *self.primaries.entry(sid).or_default() += 1;
        }
    }

    fn remove_from_indexes(&mut self, id: NodeId) {
        let keys = self.keys(self.nodes.at(id));
        for (index, fingerprint) in self.indexes(keys) {
            index.remove(fingerprint, id);
        }
        let primary = self.nodes.at(id).account().and_then(|account| self.primary_group(account));
        if let Some(sid) = primary
            && let Some(many) = self.primaries.get_mut(&sid)
        {
            *many -= 1;
            if *many == 0 {
                self.primaries.remove(&sid);
            }
        }
    }

    /// The index keys of a node: SID, name in its domain, UPN and host name.
    fn keys(&self, node: &Node) -> [Option<Fingerprint>; 4] {
        let folded = |name: &Name| name.clone().folded();
        let sid = node.sid().map(|sid| self.sid_fingerprint(sid));
        match &node.kind {
            NodeKind::Unknown => [None; 4],
            NodeKind::Group(group) => [
                sid,
                Some(self.name_fingerprint(group.domain, folded(&group.attrs.name).as_str())),
                None,
                None,
            ],
            NodeKind::Account(account) => {
                let attrs = &account.attrs;
                let text = |name: Option<&Name>| {
                    name.map(|name| self.text_fingerprint(folded(name).as_str()))
                };
                let name = self.name_fingerprint(account.domain, folded(&attrs.name).as_str());
                [sid, Some(name), text(attrs.upn.as_ref()), text(attrs.host.as_deref())]
            }
        }
    }

    /// The indexes, each with the fingerprint to insert or remove.
    fn indexes(
        &mut self,
        keys: [Option<Fingerprint>; 4],
    ) -> impl Iterator<Item = (&mut Index, Fingerprint)> {
        let all = [&mut self.sids, &mut self.names, &mut self.upns, &mut self.hosts];
        all.into_iter().zip(keys).filter_map(|(index, fingerprint)| Some((index, fingerprint?)))
    }

    fn sid_fingerprint(&self, sid: &Sid) -> Fingerprint {
        self.fingerprinter.fingerprint(sid)
    }

    fn name_fingerprint(&self, domain: usize, name: &str) -> Fingerprint {
        self.fingerprinter.fingerprint((domain, name))
    }

    fn text_fingerprint(&self, text: &str) -> Fingerprint {
        self.fingerprinter.fingerprint(text)
    }
}
