//! The transitive closure of group membership, and the path to a group.

use std::sync::Arc;

use hashbrown::HashMap;

use super::node_id::NodeId;
use super::{Directory, Group, Sid};

/// The state of a search, reused to avoid allocations.
#[derive(Debug, Default)]
pub(super) struct ClosureSearch {
    /// Each group that was reached, and the node from which it was reached.
    reached_from: HashMap<NodeId, NodeId>,
    next: Vec<(NodeId, NodeId)>,
    /// The groups found.
    pub(super) found: Vec<Arc<Group>>,
}

impl Directory {
    /// Finds all groups that contain a node, directly or through nested groups, in no particular
    /// order.
    pub(super) fn groups_above(&self, id: NodeId, search: &mut ClosureSearch) {
        search.reached_from.clear();
        search.next.clear();
        search.found.clear();
        self.parents(id, &mut search.next);
        while let Some((group, from)) = search.next.pop() {
            if search.reached_from.insert(group, from).is_none()
                && let Some(node) = self.nodes.at(group).group()
            {
                search.found.push(node.attrs.clone());
                self.parents(group, &mut search.next);
            }
        }
    }

    /// A shortest path from a node up to `group`: the groups in between and the group itself.
    pub(super) fn shortest_path(&self, id: NodeId, group: &Group) -> Option<Vec<Arc<Group>>> {
        let (mut from, mut level) = (HashMap::new(), Vec::new());
        self.parents(id, &mut level);
        while !level.is_empty() {
            // Among paths of equal length, the first by name, so that the result is deterministic.
            let key = |(id, _): &(NodeId, NodeId)| {
                self.nodes.at(*id).group().map(|group| group.attrs.clone())
            };
            level.sort_by_cached_key(key);
            let mut above = Vec::new();
            for (reached, by) in level {
                if from.contains_key(&reached) {
                    continue;
                }
                from.insert(reached, by);
                if self.nodes.at(reached).group().is_some_and(|node| *node.attrs == *group) {
                    return Some(self.path_to(reached, &from));
                }
                self.parents(reached, &mut above);
            }
            level = above;
        }
        None
    }

    /// The groups on the path to `last`, in order from the start.
    fn path_to(&self, last: NodeId, from: &HashMap<NodeId, NodeId>) -> Vec<Arc<Group>> {
        let mut way: Vec<_> = std::iter::successors(Some(last), |id| from.get(id).copied())
            .map_while(|id| self.nodes.at(id).group().map(|group| group.attrs.clone()))
            .collect();
        way.reverse();
        way
    }

    /// Appends the direct groups of a node, each paired with the node: groups that list it, groups
    /// that list its SID, and its primary group.
    fn parents(&self, id: NodeId, out: &mut Vec<(NodeId, NodeId)>) {
        let node = self.nodes.at(id);
        out.extend(node.parents.iter().map(|group| (*group, id)));
        let foreigner = node.sid().and_then(|sid| self.nodes.find_foreign(sid));
        if let Some(foreigner) = foreigner {
            out.extend(self.nodes.at(foreigner).parents.iter().map(|group| (*group, id)));
        }
        if let Some(sid) = node.account().and_then(|account| self.primary_group(account)) {
            let groups = self.with_sid(&sid).filter(|id| self.nodes.at(*id).group().is_some());
            out.extend(groups.map(|group| (group, id)));
        }
    }

    /// The objects that have this SID.
    pub(super) fn with_sid(&self, sid: &Sid) -> impl Iterator<Item = NodeId> {
        let candidates = self.sids.candidates(self.sid_fingerprint(sid));
        candidates.filter(move |id| self.nodes.at(*id).sid() == Some(sid))
    }
}
