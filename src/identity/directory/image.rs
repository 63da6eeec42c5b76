//! A whole domain while it is being read, until it takes the place of what was known.

use std::sync::Arc;

use hashbrown::{HashMap, hash_map};

use super::book::Sight;
use super::nodes::Id;
use super::settling::Round;
use super::{Account, Directory, Guid, Member, Object, Sid, Update};
use crate::Name;

/// What a full read has brought so far. Nothing of it is in force before
/// [`Directory::replace`].
#[derive(Debug, Default)]
pub struct Image {
    objects: HashMap<Guid, Noted>,
    /// Members by number, so that somebody in fifty groups is not kept fifty times.
    members: Vec<Member>,
    numbers: HashMap<Member, u32>,
    unplaced: usize,
}

#[derive(Debug)]
struct Noted {
    dn: Arc<str>,
    sid: Option<Sid>,
    object: NotedObject,
}

#[derive(Debug)]
enum NotedObject {
    Account(Box<Account>),
    Group { name: Name, members: Vec<u32> },
}

impl Image {
    /// Notes what was read. Members of a group that are read piece by piece are noted as
    /// [`Update::Linked`] once the group itself is noted.
    pub fn note(&mut self, update: Update) {
        match update {
            Update::Seen { guid, dn, sid, object } => {
                let object = match object {
                    Object::Account(account) => NotedObject::Account(Box::new(account)),
                    Object::Group { name, members } => {
                        let members = members.into_iter().map(|member| self.number(member));
                        NotedObject::Group { name, members: members.collect() }
                    }
                };
                self.objects.insert(guid, Noted { dn, sid, object });
            }
            Update::Linked { group, added, removed } => self.link(group, added, &removed),
            Update::Gone(guid) => {
                self.objects.remove(&guid);
            }
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn link(&mut self, group: Guid, added: Vec<Member>, removed: &[Member]) {
        let added: Vec<_> = added.into_iter().map(|member| self.number(member)).collect();
        let removed: Vec<_> =
            removed.iter().filter_map(|member| self.numbers.get(member).copied()).collect();
        let noted = self.objects.get_mut(&group).map(|noted| &mut noted.object);
        let Some(NotedObject::Group { members, .. }) = noted else {
            self.unplaced += 1;
            return;
        };
        if !removed.is_empty() {
            members.retain(|number| !removed.contains(number));
        }
        members.extend(added);
    }

    fn number(&mut self, member: Member) -> u32 {
        let next = u32::try_from(self.members.len()).expect("so many members do not fit memory");
        *self.numbers.entry(member).or_insert_with_key(|member| {
            self.members.push(member.clone());
            next
        })
    }

    /// Whether the object is in it.
    pub(super) fn holds(&self, guid: Guid) -> bool {
        self.objects.contains_key(&guid)
    }

    /// What is to be entered of it, after room was made for as much.
    pub(super) fn rest(self, directory: &mut Directory) -> Rest {
        let Self { objects, members, numbers: _, unplaced } = self;
        directory.nodes.reserve(objects.len().saturating_sub(directory.nodes.len()));
        let known = vec![None; members.len()];
        Rest { objects: objects.into_iter(), members, known, unplaced }
    }
}

/// What is still to be entered of an image.
#[derive(Debug)]
pub(super) struct Rest {
    objects: hash_map::IntoIter<Guid, Noted>,
    members: Vec<Member>,
    /// The nodes of the members, as far as they were looked for.
    known: Vec<Option<Id>>,
    unplaced: usize,
}

impl Rest {
    /// Enters the next object where it differs from what is known. Whether there was one.
    pub(super) fn enter_one(
        &mut self,
        directory: &mut Directory,
        round: &mut Round,
        place: usize,
    ) -> bool {
        round.unplaced += std::mem::take(&mut self.unplaced);
        let Some((guid, Noted { dn, sid, object })) = self.objects.next() else { return false };
        let sight = Sight { guid, dn, sid };
        match object {
            NotedObject::Account(account) => directory.see_account(round, place, sight, *account),
            NotedObject::Group { name, members } => {
                let numbered = members.into_iter().map(|number| {
                    let number = number as usize;
                    let (known, member) = (&mut self.known[number], &self.members[number]);
                    *known.get_or_insert_with(|| directory.nodes.number(member))
                });
                let members = numbered.collect();
                directory.see_group(round, place, sight, (name, members));
            }
        }
        true
    }
}
