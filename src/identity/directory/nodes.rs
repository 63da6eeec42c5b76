//! The nodes of the membership graph: every known object and every listed member, numbered.

use std::ops::Range;
use std::sync::Arc;

use super::index::{Fingerprinter, Index};
use super::node_id::NodeId;
use super::{Account, Group, GroupSet, Guid, Member, Sid};

/// An account with its derived data.
#[derive(Debug)]
pub(super) struct AccountNode {
    /// The slot of its domain; `usize::MAX` before it is ingested.
    pub(super) domain: usize,
    /// The distinguished name.
    pub(super) dn: Box<str>,
    /// The security identifier.
    pub(super) sid: Option<Sid>,
    /// The attributes from the directory.
    pub(super) attrs: Account,
    /// All groups of the account; `None` until they are computed. Until then the account is not
    /// visible.
    pub(super) groups: Option<GroupSet>,
}

impl AccountNode {
    /// An account as observed, before it is ingested.
    pub(super) fn new(dn: Box<str>, sid: Option<Sid>, account: Account) -> Self {
        Self { domain: usize::MAX, dn, sid, attrs: account, groups: None }
    }

    /// Whether the DN, SID and attributes are equal to these.
    pub(super) fn has_content(&self, (dn, sid, account): (&str, Option<&Sid>, &Account)) -> bool {
        *self.dn == *dn && self.sid.as_ref() == sid && self.attrs == *account
    }
}

/// An observed object, without its attributes.
#[derive(Debug)]
pub(super) struct ObservedObject {
    pub(super) guid: Guid,
    pub(super) dn: Box<str>,
    pub(super) sid: Option<Sid>,
}

/// A group with its members.
#[derive(Debug)]
pub(super) struct GroupNode {
    /// The slot of its domain.
    pub(super) domain: usize,
    /// The public attributes.
    pub(super) attrs: Arc<Group>,
    /// The direct members, in ascending order.
    pub(super) members: Vec<NodeId>,
}

/// What is known of a node. Boxed, because many nodes are only listed as members.
#[derive(Debug, Default)]
pub(super) enum NodeKind {
    /// Listed as a member, otherwise unknown.
    #[default]
    Unknown,
    /// A user, device or service.
    Account(Box<AccountNode>),
    /// A group.
    Group(Box<GroupNode>),
}

/// A node of the graph.
#[derive(Debug)]
pub(super) struct Node {
    /// The key by which groups list it.
    pub(super) key: Member,
    /// The groups that list it as a direct member, in ascending order.
    pub(super) parents: Vec<NodeId>,
    /// What is known of it.
    pub(super) kind: NodeKind,
}

impl Node {
    /// The account, if this is one.
    pub(super) fn account(&self) -> Option<&AccountNode> {
        if let NodeKind::Account(account) = &self.kind { Some(account) } else { None }
    }

    /// The account, mutable, if this is one.
    pub(super) fn account_mut(&mut self) -> Option<&mut AccountNode> {
        if let NodeKind::Account(account) = &mut self.kind { Some(account) } else { None }
    }

    /// The group, if this is one.
    pub(super) fn group(&self) -> Option<&GroupNode> {
        if let NodeKind::Group(group) = &self.kind { Some(group) } else { None }
    }

    /// The group, mutable, if this is one.
    pub(super) fn group_mut(&mut self) -> Option<&mut GroupNode> {
        if let NodeKind::Group(group) = &mut self.kind { Some(group) } else { None }
    }

    /// The security identifier of the object.
    pub(super) fn sid(&self) -> Option<&Sid> {
        match &self.kind {
            NodeKind::Unknown => None,
            NodeKind::Account(account) => account.sid.as_ref(),
            NodeKind::Group(group) => group.attrs.sid.as_ref(),
        }
    }

    /// The slot of its domain, if known.
    pub(super) fn domain(&self) -> Option<usize> {
        match &self.kind {
            NodeKind::Unknown => None,
            NodeKind::Account(account) => Some(account.domain),
            NodeKind::Group(group) => Some(group.domain),
        }
    }

    /// The GUID of the object; `None` for a member listed by SID.
    pub(super) fn guid(&self) -> Option<Guid> {
        if let Member::Object(guid) = self.key { Some(guid) } else { None }
    }
}

/// All nodes.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    all: Vec<Option<Node>>,
    free: Vec<NodeId>,
    keys: Index,
    fingerprinter: Fingerprinter,
    /// The number of nodes listed by SID. Usually zero, and then lookups by SID are skipped.
    foreign: usize,
}

impl Nodes {
    /// The node of `key`, created if missing.
    pub(super) fn find_or_insert(&mut self, key: &Member) -> NodeId {
        if let Some(id) = self.find(key) {
            return id;
        }
        let node = Node { key: key.clone(), parents: Vec::new(), kind: NodeKind::Unknown };
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            NodeId(
                u32::try_from(self.all.len() - 1).expect("four thousand million do not fit memory"),
            )
        });
        self.all[id.0 as usize] = Some(node);
        self.keys.insert(self.fingerprinter.fingerprint(key), id);
        self.foreign += usize::from(matches!(key, Member::Foreign(_)));
        id
    }

    /// The node of `key`.
    pub(super) fn find(&self, key: &Member) -> Option<NodeId> {
        self.keys
            .candidates(self.fingerprinter.fingerprint(key))
            .find(|id| self.at(*id).key == *key)
    }

    /// The node of the object `guid`.
    pub(super) fn object(&self, guid: Guid) -> Option<NodeId> {
        self.find(&Member::Object(guid))
    }

    /// The node that represents `sid` in groups of another forest.
    pub(super) fn find_foreign(&self, sid: &Sid) -> Option<NodeId> {
        if self.foreign == 0 { None } else { self.find(&Member::Foreign(sid.clone())) }
    }

    /// The node `id`.
    pub(super) fn at(&self, id: NodeId) -> &Node {
        self.all[id.0 as usize].as_ref().expect("a number that is in use has its node")
    }

    /// The node `id`, mutable.
    pub(super) fn at_mut(&mut self, id: NodeId) -> &mut Node {
        self.all[id.0 as usize].as_mut().expect("a number that is in use has its node")
    }

    /// Releases the number if the node is unknown and no group lists it.
    pub(super) fn release(&mut self, id: NodeId) {
        let Some(node) = &self.all[id.0 as usize] else { return };
        if !node.parents.is_empty() || !matches!(node.kind, NodeKind::Unknown) {
            return;
        }
        self.keys.remove(self.fingerprinter.fingerprint(&node.key), id);
        self.foreign -= usize::from(matches!(node.key, Member::Foreign(_)));
        self.all[id.0 as usize] = None;
        self.free.push(id);
    }

    /// All nodes with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.range(0..self.all.len())
    }

    /// The nodes whose numbers are in `range`.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = (NodeId, &Node)> {
        let part = self.all.iter().enumerate().take(range.end).skip(range.start);
        part.filter_map(|(at, node)| Some((NodeId(at as u32), node.as_ref()?)))
    }

    /// One more than the highest number.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Reserves capacity for exactly `more` nodes.
    pub(super) fn reserve(&mut self, more: usize) {
        self.all.reserve_exact(more.saturating_sub(self.free.len()));
        self.keys.reserve(more);
    }
}

/// Inserts `id` into an ascending list, unless present.
pub(super) fn insert_sorted(list: &mut Vec<NodeId>, id: NodeId) {
    if let Err(at) = list.binary_search(&id) {
        list.insert(at, id);
    }
}

/// Removes `id` from an ascending list.
pub(super) fn remove_sorted(list: &mut Vec<NodeId>, id: NodeId) {
    if let Ok(at) = list.binary_search(&id) {
        list.remove(at);
    }
}
