//! What directories say of users, devices and groups: who somebody is, whatever the spelling, and
//! which groups they belong to, nested ones included.
//!
//! ```text
//! Update ──► Entering::go_on ──► Affected ──► Consequences::next ──► Event (Membership, Logout)
//! Image  ──────────┘                                  ▲
//! Event  ──► Directory::enrich          Change ──► Whereabouts
//! RosterDraft ──► bytes ──► Roster::missed ──► Affected, at the next start
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

/// All users, devices and groups of all configured directories, and who is in which group.
///
/// Objects are known by their GUID, whichever domain they are in, so that a group of one domain can
/// hold members of another, and an account that moves from one to the other stays the same. A
/// member that is not known yet counts as soon as it appears.
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
    /// How many accounts have the group of this SID as their primary one.
    primaries: HashMap<Sid, usize>,
}

impl Directory {
    /// There are so many domains, known yet or not: while there are others, a name without a domain
    /// does not mean the one that was read first.
    pub fn expect_domains(&mut self, domains: usize) {
        self.domains.expect_domains(domains);
    }

    /// Enters a domain, before anything that is read from it; or what it is called from now on.
    pub fn put_domain(&mut self, names: DomainNames, bare: UnqualifiedNames) {
        self.domains.put(names, bare);
    }

    /// [`Directory::begin_apply`], all of it at once.
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

    /// [`Directory::begin_replace`], all of it at once.
    ///
    /// # Errors
    /// The same.
    pub fn replace(
        &mut self,
        domain: &Name,
        image: DirectorySnapshot,
    ) -> Result<AffectedAccounts, UnknownDomain> {
        Ok(self.begin_replace(domain, image)?.finish(self))
    }

    /// [`Directory::begin_forget`], all of it at once.
    ///
    /// # Errors
    /// The same.
    pub fn forget(&mut self, domain: &Name) -> Result<AffectedAccounts, UnknownDomain> {
        Ok(self.begin_forget(domain)?.finish(self))
    }

    /// Whether every domain that is [expected](Self::expect_domains) was read whole: as long as one was not,
    /// whoever is missed in another may have moved there.
    pub fn is_complete(&self) -> bool {
        self.domains.all_read()
    }

    /// Whether what `update` says of an account of the domain with this DNS name is known already. Of a
    /// group it is never known: its members may come in parts.
    pub fn already_holds(&self, domain: &Name, update: &Update) -> bool {
        let Update::Upsert { guid, dn, sid, object: Object::Account(account) } = update else {
            return false;
        };
        let id = self.nodes.object(*guid);
        let person = id.and_then(|id| self.nodes.at(id).account());
        let known = person.filter(|known| self.domains.require(domain) == Ok(known.domain));
        known.is_some_and(|known| {
            known.groups.is_some() && known.has_content((dn, sid.as_ref(), account))
        })
    }

    /// Makes room for `more` objects.
    fn reserve(&mut self, more: usize) {
        self.nodes.reserve(more);
        self.sids.reserve(more);
        self.names.reserve(more);
        self.interner.reserve(more);
    }

    /// The SID of an account's primary group.
    fn primary_group(&self, person: &AccountNode) -> Option<Sid> {
        let rid = person.attrs.primary_group?;
        let own = person.sid.as_ref().and_then(Sid::domain);
        match own {
            Some(domain) => domain.account(rid),
            None => self.domains.at(person.domain)?.names.sid.account(rid),
        }
    }

    fn add_to_indexes(&mut self, id: NodeId) {
        let keys = self.keys(self.nodes.at(id));
        for (index, fingerprint) in self.indexes(keys) {
            index.insert(fingerprint, id);
        }
        let primary = self.nodes.at(id).account().and_then(|person| self.primary_group(person));
        if let Some(sid) = primary {
            *self.primaries.entry(sid).or_default() += 1;
        }
    }

    fn remove_from_indexes(&mut self, id: NodeId) {
        let keys = self.keys(self.nodes.at(id));
        for (index, fingerprint) in self.indexes(keys) {
            index.remove(fingerprint, id);
        }
        let primary = self.nodes.at(id).account().and_then(|person| self.primary_group(person));
        if let Some(sid) = primary
            && let Some(many) = self.primaries.get_mut(&sid)
        {
            *many -= 1;
            if *many == 0 {
                self.primaries.remove(&sid);
            }
        }
    }

    /// Under what a node is found: SID, name in its domain, UPN and host name.
    fn keys(&self, node: &Node) -> [Option<Fingerprint>; 4] {
        let folded = |name: &Name| name.clone().folded();
        let sid = node.sid().map(|sid| self.sid_fingerprint(sid));
        match &node.kind {
            NodeKind::Unknown => [None; 4],
            NodeKind::Group(band) => [
                sid,
                Some(self.name_fingerprint(band.domain, folded(&band.attrs.name).as_str())),
                None,
                None,
            ],
            NodeKind::Account(person) => {
                let account = &person.attrs;
                let text = |name: Option<&Name>| {
                    name.map(|name| self.text_fingerprint(folded(name).as_str()))
                };
                let name = self.name_fingerprint(person.domain, folded(&account.name).as_str());
                [sid, Some(name), text(account.upn.as_ref()), text(account.host.as_deref())]
            }
        }
    }

    /// The indexes, each with the fingerprint that goes into it.
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
