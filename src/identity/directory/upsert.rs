//! Inserting, updating and removing single objects of the directory.

use std::sync::Arc;

use hashbrown::HashSet;

use super::diff::IngestRound;
use super::node_id::NodeId;
use super::nodes::{AccountNode, GroupNode, NodeKind, ObservedObject};
use super::{Directory, Group, Guid, Member, Object, Update};
use crate::Name;

impl Directory {
    /// Ingests one update of a domain.
    pub(super) fn ingest_update(&mut self, round: &mut IngestRound, slot: usize, update: Update) {
        match update {
            Update::Upsert { guid, dn, sid, object } => {
                self.upsert(round, slot, ObservedObject { guid, dn, sid }, object);
            }
            Update::MembersChanged { group, added, removed } => {
                self.change_members(round, group, &added, &removed);
            }
            Update::Deleted(guid) => {
                let id = self.nodes.object(guid);
                if let Some(id) = id.filter(|id| self.nodes.at(*id).domain() == Some(slot)) {
                    self.remove_object(round, id);
                }
            }
        }
    }

    /// Inserts or updates an object.
    fn upsert(
        &mut self,
        round: &mut IngestRound,
        slot: usize,
        sight: ObservedObject,
        object: Object,
    ) {
        match object {
            Object::Account(account) => {
                let ObservedObject { guid, dn, sid } = sight;
                self.upsert_account(
                    round,
                    slot,
                    guid,
                    Box::new(AccountNode::new(dn, sid, account)),
                );
            }
            Object::Group { name, members } => {
                let members =
                    members.iter().map(|member| self.nodes.find_or_insert(member)).collect();
                self.upsert_group(round, slot, sight, (name, members));
            }
        }
    }

    /// Inserts or updates an account.
    pub(super) fn upsert_account(
        &mut self,
        round: &mut IngestRound,
        domain: usize,
        guid: Guid,
        mut account: Box<AccountNode>,
    ) {
        account.domain = domain;
        let id = self.nodes.find_or_insert(&Member::Object(guid));
        if self.nodes.at(id).group().is_some() {
            self.remove_object(round, id);
        }
        let mut primary = None;
        if let Some(known) = self.nodes.at(id).account() {
            let seen = (&*account.dn, account.sid.as_ref(), &account.attrs);
            if known.domain == domain && known.groups.is_some() && known.has_content(seen) {
                return;
            }
            account.groups.clone_from(&known.groups);
            primary = Some((known.sid.clone(), self.primary_group(known)));
        }
        self.save_before(round, id);
        self.remove_from_indexes(id);
        let same_primary = primary == Some((account.sid.clone(), self.primary_group(&account)));
        if !same_primary || account.groups.is_none() {
            round.mark_dirty(id);
        }
        self.nodes.at_mut(id).kind = NodeKind::Account(account);
        self.add_to_indexes(id);
    }

    /// Inserts or updates a group with all its members.
    pub(super) fn upsert_group(
        &mut self,
        round: &mut IngestRound,
        domain: usize,
        ObservedObject { guid, dn, sid }: ObservedObject,
        (name, mut members): (Name, Vec<NodeId>),
    ) {
        let id = self.nodes.find_or_insert(&Member::Object(guid));
        if self.nodes.at(id).account().is_some() {
            self.remove_object(round, id);
        }
        let Some(of) = self.domains.at(domain).map(|domain| domain.names.dns.clone()) else {
            return;
        };
        let group = Group { name, domain: of, dn: dn.into(), sid };
        let known = self.nodes.at(id).group();
        if known.is_none_or(|known| known.domain != domain || *known.attrs != group) {
            self.remove_from_indexes(id);
            let before =
                self.nodes.at_mut(id).group_mut().map(|known| std::mem::take(&mut known.members));
            if let Some(sid) = self.nodes.at(id).sid() {
                round.mark_primary(sid.clone());
            }
            let (group, members) = (Arc::new(group), before.unwrap_or_default());
            self.nodes.at_mut(id).kind =
                NodeKind::Group(Box::new(GroupNode { domain, attrs: group, members }));
            self.add_to_indexes(id);
            round.mark_dirty(id);
        }
        members.sort_unstable();
        members.dedup();
        self.set_members(round, id, members);
    }

    /// Sets the members of a group, in ascending order. [`IngestRound::apply_links`] later updates
    /// the members.
    fn set_members(&mut self, round: &mut IngestRound, group: NodeId, members: Vec<NodeId>) {
        let Some(node) = self.nodes.at_mut(group).group_mut() else { return };
        let before = std::mem::replace(&mut node.members, members);
        let added = node.members.iter().filter(|id| before.binary_search(id).is_err());
        let removed = before.iter().filter(|id| node.members.binary_search(id).is_err());
        round.queue_links(group, added.copied().collect(), removed.copied().collect());
    }

    /// Adds members to a group and removes others.
    fn change_members(
        &mut self,
        round: &mut IngestRound,
        group: Guid,
        added: &[Member],
        removed: &[Member],
    ) {
        let group = self.nodes.object(group);
        let Some(node) = group.and_then(|id| self.nodes.at(id).group()) else {
            round.unknown_groups += 1;
            return;
        };
        let removed: HashSet<NodeId> = removed.iter().filter_map(|m| self.nodes.find(m)).collect();
        let mut members = node.members.clone();
        members.retain(|id| !removed.contains(id));
        members.extend(added.iter().map(|member| self.nodes.find_or_insert(member)));
        members.sort_unstable();
        members.dedup();
        group.into_iter().for_each(|id| self.set_members(round, id, std::mem::take(&mut members)));
    }

    /// Removes everything known of a node. Groups may still list it.
    pub(super) fn remove_object(&mut self, round: &mut IngestRound, id: NodeId) {
        self.save_before(round, id);
        self.remove_from_indexes(id);
        let what = std::mem::take(&mut self.nodes.at_mut(id).kind);
        round.mark_dirty(id);
        let NodeKind::Group(group) = what else { return };
        round.queue_links(id, Vec::new(), group.members);
        group.attrs.sid.iter().for_each(|sid| round.mark_primary(sid.clone()));
    }
}
