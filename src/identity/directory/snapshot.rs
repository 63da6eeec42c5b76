//! A snapshot of a domain, collected during a full read and then ingested as a whole.

use hashbrown::{HashMap, HashSet, hash_map};

use super::diff::IngestRound;
use super::node_id::NodeId;
use super::nodes::{AccountNode, ObservedObject};
use super::{Directory, Guid, Member, Object, Sid, Update};
use crate::Name;

/// The objects collected by a full read. They take effect only with [`Directory::replace`].
#[derive(Debug, Default)]
pub struct DirectorySnapshot {
    objects: HashMap<Guid, SnapshotObject>,
    /// Objects that exist and whose known state is kept.
    kept: HashSet<Guid>,
    /// The distinct members, so that a member of fifty groups is stored once.
    members: Vec<Member>,
    numbers: HashMap<Member, u32>,
    unknown_groups: usize,
}

/// An object of the snapshot. Accounts are allocated in their final place: moving a hundred
/// thousand would fragment the heap.
#[derive(Debug)]
enum SnapshotObject {
    Account(Box<AccountNode>),
    Group(Box<SnapshotGroup>),
}

#[derive(Debug)]
struct SnapshotGroup {
    dn: Box<str>,
    sid: Option<Sid>,
    name: Name,
    members: Vec<u32>,
}

impl DirectorySnapshot {
    /// Adds an object. Members of a group that are read in parts are added by
    /// [`Update::MembersChanged`] after the group itself.
    pub fn add(&mut self, update: Update) {
        match update {
            Update::Upsert { guid, dn, sid, object } => {
                self.kept.remove(&guid);
                let object = match object {
                    Object::Account(account) => {
                        SnapshotObject::Account(Box::new(AccountNode::new(dn, sid, account)))
                    }
                    Object::Group { name, members } => {
                        // Collecting in place would keep the larger allocation.
                        let mut numbers = Vec::with_capacity(members.len());
                        numbers
                            .extend(members.into_iter().map(|member| self.member_number(member)));
                        let members = numbers;
                        SnapshotObject::Group(Box::new(SnapshotGroup { dn, sid, name, members }))
                    }
                };
                self.objects.insert(guid, object);
            }
            Update::MembersChanged { group, added, removed } => {
                self.change_members(group, added, &removed);
            }
            Update::Deleted(guid) => {
                self.objects.remove(&guid);
                self.kept.remove(&guid);
            }
        }
    }

    /// Records that an object exists and keeps its known state: because it cannot be read, or
    /// because it is [unchanged](Directory::already_holds).
    pub fn keep(&mut self, guid: Guid) {
        self.objects.remove(&guid);
        self.kept.insert(guid);
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.objects.len() + self.kept.len()
    }

    /// Whether the snapshot is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change_members(&mut self, group: Guid, added: Vec<Member>, removed: &[Member]) {
        let added: Vec<_> = added.into_iter().map(|member| self.member_number(member)).collect();
        let removed: Vec<_> =
            removed.iter().filter_map(|member| self.numbers.get(member).copied()).collect();
        let Some(SnapshotObject::Group(object)) = self.objects.get_mut(&group) else {
            self.unknown_groups += 1;
            return;
        };
        let members = &mut object.members;
        if !removed.is_empty() {
            members.retain(|member_number| !removed.contains(member_number));
        }
        members.extend(added);
    }

    fn member_number(&mut self, member: Member) -> u32 {
        let next = u32::try_from(self.members.len()).expect("so many members do not fit memory");
        *self.numbers.entry(member).or_insert_with_key(|member| {
            self.members.push(member.clone());
            next
        })
    }

    /// Whether the snapshot contains the object.
    pub(super) fn contains(&self, guid: Guid) -> bool {
        self.objects.contains_key(&guid) || self.kept.contains(&guid)
    }

    /// The objects to ingest, after reserving capacity for them.
    pub(super) fn into_remaining(
        self,
        directory: &mut Directory,
        round: &mut IngestRound,
    ) -> RemainingObjects {
        let Self { objects, kept: _, members, numbers: _, unknown_groups } = self;
        directory.reserve(objects.len().saturating_sub(directory.nodes.len()));
        round.reserve(objects.len());
        let known = vec![None; members.len()];
        RemainingObjects { objects: objects.into_iter(), members, known, unknown_groups }
    }
}

/// The objects of a snapshot that are still to be ingested.
#[derive(Debug)]
pub(super) struct RemainingObjects {
    objects: hash_map::IntoIter<Guid, SnapshotObject>,
    members: Vec<Member>,
    /// The nodes of the members, as far as they were looked up.
    known: Vec<Option<NodeId>>,
    unknown_groups: usize,
}

impl RemainingObjects {
    /// Ingests the next object if it differs. Returns the number of its members; `None` if no
    /// object was left.
    pub(super) fn ingest_next(
        &mut self,
        directory: &mut Directory,
        round: &mut IngestRound,
        slot: usize,
    ) -> Option<usize> {
        round.unknown_groups += std::mem::take(&mut self.unknown_groups);
        let (guid, object) = self.objects.next()?;
        match object {
            SnapshotObject::Account(account) => {
                directory.upsert_account(round, slot, guid, account);
                Some(0)
            }
            SnapshotObject::Group(group) => {
                let SnapshotGroup { dn, sid, name, members } = *group;
                let numbered = members.into_iter().map(|member_number| {
                    let member_number = member_number as usize;
                    let (known, member) =
                        (&mut self.known[member_number], &self.members[member_number]);
                    *known.get_or_insert_with(|| directory.nodes.find_or_insert(member))
                });
                let members: Vec<NodeId> = numbered.collect();
                let count = members.len();
                directory.upsert_group(
                    round,
                    slot,
                    ObservedObject { guid, dn, sid },
                    (name, members),
                );
                Some(count)
            }
        }
    }
}
