//! A whole domain while it is being read, until it takes the place of what was known.

use std::sync::Arc;

use hashbrown::HashMap;

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

    /// Enters all of it, each object where it differs from what is known.
    pub(super) fn enter(self, directory: &mut Directory, round: &mut Round, place: usize) {
        let Self { objects, members: named, numbers, unplaced } = self;
        drop(numbers);
        round.unplaced += unplaced;
        let mut known: Vec<Option<Id>> = vec![None; named.len()];
        for (guid, Noted { dn, sid, object }) in objects {
            let sight = Sight { guid, dn, sid };
            match object {
                NotedObject::Account(account) => {
                    directory.see_account(round, place, sight, *account);
                }
                NotedObject::Group { name, members } => {
                    let numbered = members.into_iter().map(|number| {
                        let (known, member) =
                            (&mut known[number as usize], &named[number as usize]);
                        *known.get_or_insert_with(|| directory.nodes.number(member))
                    });
                    let members = numbered.collect();
                    directory.see_group(round, place, sight, (name, members));
                }
            }
        }
    }
}
