//! Entering objects into the directory: an account, a group, its members, or the loss of one.

use std::sync::Arc;

use hashbrown::HashSet;

use super::diff::IngestRound;
use super::node_id::NodeId;
use super::nodes::{AccountNode, GroupNode, NodeKind, ObservedObject};
use super::{Directory, Group, Guid, Member, Object, Update};
use crate::Name;

impl Directory {
    /// Enters one change of a domain.
    pub(super) fn enter_update(&mut self, round: &mut IngestRound, place: usize, update: Update) {
        match update {
            Update::Seen { guid, dn, sid, object } => {
                self.see(round, place, ObservedObject { guid, dn, sid }, object);
            }
            Update::Linked { group, added, removed } => self.link(round, group, &added, &removed),
            Update::Gone(guid) => {
                let id = self.nodes.object(guid);
                if let Some(id) = id.filter(|id| self.nodes.at(*id).domain() == Some(place)) {
                    self.vanish(round, id);
                }
            }
        }
    }

    /// Enters an object as it is now.
    fn see(
        &mut self,
        round: &mut IngestRound,
        place: usize,
        sight: ObservedObject,
        object: Object,
    ) {
        match object {
            Object::Account(account) => {
                let ObservedObject { guid, dn, sid } = sight;
                self.see_account(round, place, guid, Box::new(AccountNode::seen(dn, sid, account)));
            }
            Object::Group { name, members } => {
                let members = members.iter().map(|member| self.nodes.number(member)).collect();
                self.see_group(round, place, sight, (name, members));
            }
        }
    }

    /// Enters an account as it is now.
    pub(super) fn see_account(
        &mut self,
        round: &mut IngestRound,
        domain: usize,
        guid: Guid,
        mut person: Box<AccountNode>,
    ) {
        person.domain = domain;
        let id = self.nodes.number(&Member::Object(guid));
        if self.nodes.at(id).band().is_some() {
            self.vanish(round, id);
        }
        let mut primary = None;
        if let Some(known) = self.nodes.at(id).person() {
            let seen = (&*person.dn, person.sid.as_ref(), &person.account);
            if known.domain == domain && known.groups.is_some() && known.is(seen) {
                return;
            }
            person.groups.clone_from(&known.groups);
            primary = Some((known.sid.clone(), self.primary_group(known)));
        }
        self.touch(round, id);
        self.leave_indexes(id);
        let same_place = primary == Some((person.sid.clone(), self.primary_group(&person)));
        if !same_place || person.groups.is_none() {
            round.dirty(id);
        }
        self.nodes.at_mut(id).what = NodeKind::Account(person);
        self.enter_indexes(id);
    }

    /// Enters a group as it is now, with all its members.
    pub(super) fn see_group(
        &mut self,
        round: &mut IngestRound,
        domain: usize,
        ObservedObject { guid, dn, sid }: ObservedObject,
        (name, mut members): (Name, Vec<NodeId>),
    ) {
        let id = self.nodes.number(&Member::Object(guid));
        if self.nodes.at(id).person().is_some() {
            self.vanish(round, id);
        }
        let Some(of) = self.domains.at(domain).map(|domain| domain.names.dns.clone()) else {
            return;
        };
        let group = Group { name, domain: of, dn: dn.into(), sid };
        let known = self.nodes.at(id).band();
        if known.is_none_or(|known| known.domain != domain || *known.group != group) {
            self.leave_indexes(id);
            let before =
                self.nodes.at_mut(id).band_mut().map(|known| std::mem::take(&mut known.members));
            if let Some(sid) = self.nodes.at(id).sid() {
                round.primary(sid.clone());
            }
            let (group, members) = (Arc::new(group), before.unwrap_or_default());
            self.nodes.at_mut(id).what =
                NodeKind::Group(Box::new(GroupNode { domain, group, members }));
            self.enter_indexes(id);
            round.dirty(id);
        }
        members.sort_unstable();
        members.dedup();
        self.set_members(round, id, members);
    }

    /// Makes `members`, ascending, the members of a group. What it means to each of them follows in
    /// [`IngestRound::relink`].
    fn set_members(&mut self, round: &mut IngestRound, group: NodeId, members: Vec<NodeId>) {
        let Some(band) = self.nodes.at_mut(group).band_mut() else { return };
        let before = std::mem::replace(&mut band.members, members);
        let came = band.members.iter().filter(|id| before.binary_search(id).is_err());
        let went = before.iter().filter(|id| band.members.binary_search(id).is_err());
        round.link(group, came.copied().collect(), went.copied().collect());
    }

    /// Enters who joined and who left a group.
    fn link(&mut self, round: &mut IngestRound, group: Guid, added: &[Member], removed: &[Member]) {
        let group = self.nodes.object(group);
        let Some(band) = group.and_then(|id| self.nodes.at(id).band()) else {
            round.unplaced += 1;
            return;
        };
        let removed: HashSet<NodeId> = removed.iter().filter_map(|m| self.nodes.find(m)).collect();
        let mut members = band.members.clone();
        members.retain(|id| !removed.contains(id));
        members.extend(added.iter().map(|member| self.nodes.number(member)));
        members.sort_unstable();
        members.dedup();
        group.into_iter().for_each(|id| self.set_members(round, id, std::mem::take(&mut members)));
    }

    /// Takes away all that is known of a node. Groups go on naming it.
    pub(super) fn vanish(&mut self, round: &mut IngestRound, id: NodeId) {
        self.touch(round, id);
        self.leave_indexes(id);
        let what = std::mem::take(&mut self.nodes.at_mut(id).what);
        round.dirty(id);
        let NodeKind::Group(band) = what else { return };
        round.link(id, Vec::new(), band.members);
        band.group.sid.iter().for_each(|sid| round.primary(sid.clone()));
    }
}
