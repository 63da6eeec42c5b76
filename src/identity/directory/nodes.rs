//! Every object that is known or that a group names as a member, each with a short number.

use std::ops::Range;
use std::sync::Arc;

use super::index::{Fingerprinter, Index};
use super::node_id::NodeId;
use super::{Account, Group, GroupSet, Guid, Member, Sid};

/// An account with all that follows for it.
#[derive(Debug)]
pub(super) struct AccountNode {
    /// Its domain's place; none, until it is entered.
    pub(super) domain: usize,
    /// Its distinguished name.
    pub(super) dn: Box<str>,
    /// Its security identifier.
    pub(super) sid: Option<Sid>,
    /// What the directory says of it.
    pub(super) attrs: Account,
    /// All groups that it is in; `None` until they are found for the first time, and until then
    /// nobody is told that it is there.
    pub(super) groups: Option<GroupSet>,
}

impl AccountNode {
    /// An account as it was seen, before it is entered.
    pub(super) fn new(dn: Box<str>, sid: Option<Sid>, account: Account) -> Self {
        Self { domain: usize::MAX, dn, sid, attrs: account, groups: None }
    }

    /// Whether it was seen so: by this distinguished name and SID, and as this account.
    pub(super) fn has_content(&self, (dn, sid, account): (&str, Option<&Sid>, &Account)) -> bool {
        *self.dn == *dn && self.sid.as_ref() == sid && self.attrs == *account
    }
}

/// An object as it was seen, apart from what it is.
#[derive(Debug)]
pub(super) struct ObservedObject {
    pub(super) guid: Guid,
    pub(super) dn: Box<str>,
    pub(super) sid: Option<Sid>,
}

/// A group with its members.
#[derive(Debug)]
pub(super) struct GroupNode {
    /// Its domain's place.
    pub(super) domain: usize,
    /// As others see it.
    pub(super) attrs: Arc<Group>,
    /// Its direct members, ascending.
    pub(super) members: Vec<NodeId>,
}

/// What is known of a node. Boxed, because many nodes are only named.
#[derive(Debug, Default)]
pub(super) enum NodeKind {
    /// A group names it, and nothing else is known.
    #[default]
    Unknown,
    /// A user, device or service.
    Account(Box<AccountNode>),
    /// A group.
    Group(Box<GroupNode>),
}

/// One node of the graph.
#[derive(Debug)]
pub(super) struct Node {
    /// By what groups name it.
    pub(super) key: Member,
    /// The groups that name it as their member, ascending.
    pub(super) parents: Vec<NodeId>,
    /// What it is.
    pub(super) kind: NodeKind,
}

impl Node {
    /// The account, when it is one.
    pub(super) fn account(&self) -> Option<&AccountNode> {
        if let NodeKind::Account(person) = &self.kind { Some(person) } else { None }
    }

    /// The account, to be altered.
    pub(super) fn account_mut(&mut self) -> Option<&mut AccountNode> {
        if let NodeKind::Account(person) = &mut self.kind { Some(person) } else { None }
    }

    /// The group, when it is one.
    pub(super) fn group(&self) -> Option<&GroupNode> {
        if let NodeKind::Group(band) = &self.kind { Some(band) } else { None }
    }

    /// The group, to be altered.
    pub(super) fn group_mut(&mut self) -> Option<&mut GroupNode> {
        if let NodeKind::Group(band) = &mut self.kind { Some(band) } else { None }
    }

    /// The security identifier of the object.
    pub(super) fn sid(&self) -> Option<&Sid> {
        match &self.kind {
            NodeKind::Unknown => None,
            NodeKind::Account(person) => person.sid.as_ref(),
            NodeKind::Group(band) => band.attrs.sid.as_ref(),
        }
    }

    /// The place of its domain, when it is known.
    pub(super) fn domain(&self) -> Option<usize> {
        match &self.kind {
            NodeKind::Unknown => None,
            NodeKind::Account(person) => Some(person.domain),
            NodeKind::Group(band) => Some(band.domain),
        }
    }

    /// The GUID of an object; `None` for somebody named by SID.
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
    /// How many are named by SID: mostly none, and then none has to be looked for.
    foreign: usize,
}

impl Nodes {
    /// The node of `key`, made when there is none.
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

    /// The node that stands for `sid` in the groups of another forest.
    pub(super) fn find_foreign(&self, sid: &Sid) -> Option<NodeId> {
        if self.foreign == 0 { None } else { self.find(&Member::Foreign(sid.clone())) }
    }

    /// The node `id`.
    pub(super) fn at(&self, id: NodeId) -> &Node {
        self.all[id.0 as usize].as_ref().expect("a number that is in use has its node")
    }

    /// The node `id`, to be altered.
    pub(super) fn at_mut(&mut self, id: NodeId) -> &mut Node {
        self.all[id.0 as usize].as_mut().expect("a number that is in use has its node")
    }

    /// Gives the number back when nothing is known of the node and no group names it.
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

    /// Every node with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.range(0..self.all.len())
    }

    /// Those whose numbers are in `range`, as far as there are so many.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = (NodeId, &Node)> {
        let part = self.all.iter().enumerate().take(range.end).skip(range.start);
        part.filter_map(|(at, node)| Some((NodeId(at as u32), node.as_ref()?)))
    }

    /// One more than the highest number.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Makes room for `more` nodes, and not for twice as many.
    pub(super) fn reserve(&mut self, more: usize) {
        self.all.reserve_exact(more.saturating_sub(self.free.len()));
        self.keys.reserve(more);
    }
}

/// Puts `id` into an ascending list, once.
pub(super) fn insert_sorted(list: &mut Vec<NodeId>, id: NodeId) {
    if let Err(at) = list.binary_search(&id) {
        list.insert(at, id);
    }
}

/// Takes `id` out of an ascending list.
pub(super) fn remove_sorted(list: &mut Vec<NodeId>, id: NodeId) {
    if let Ok(at) = list.binary_search(&id) {
        list.remove(at);
    }
}
