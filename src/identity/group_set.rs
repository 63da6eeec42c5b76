//! The groups of somebody, all of them at once: a value that a million sessions share.

use std::sync::{Arc, Weak};

use serde::Serialize;

use crate::{Name, Sid};

/// A group, as enforcement points and administrators know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Group {
    /// Its sAMAccountName, as the directory writes it.
    pub name: Name,
    /// The DNS name of its domain, in lower case.
    pub domain: Name,
    /// Its distinguished name (RFC 4514), by whose end a filter chooses.
    pub dn: Arc<str>,
    /// Its security identifier; a distribution group of another kind of directory has none.
    pub sid: Option<Sid>,
}

/// All groups that an account is in, directly or through others, in the order of their names, each
/// once. Equal sets of one directory are one allocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct GroupSet(Arc<Box<[Arc<Group>]>>);

impl GroupSet {
    /// The set of `groups`.
    pub fn new(mut groups: Vec<Arc<Group>>) -> Self {
        Self::sort(&mut groups);
        Self::from_sorted(&mut groups)
    }

    /// Puts `groups` into the order of a set, each once.
    pub(crate) fn sort(groups: &mut Vec<Arc<Group>>) {
        groups.sort_unstable();
        groups.dedup();
    }

    /// The set of `groups`, which are arranged and are taken out of the list: the list keeps its
    /// memory for the next one, and the set has no more than it needs.
    pub(crate) fn from_sorted(groups: &mut Vec<Arc<Group>>) -> Self {
        Self(Arc::new(groups.drain(..).collect()))
    }

    /// The groups, in the order of their names.
    pub fn as_slice(&self) -> &[Arc<Group>] {
        &self.0
    }

    /// Whether both are one allocation: a cheap way to know that they are equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where this allocation is. No other has this place while the set, or a [`WeakGroupSet`] of it, is
    /// there: with a watch it is a key that costs no look at the groups.
    pub fn pointer_id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// A watch of this allocation, which does not keep the groups.
    pub fn downgrade(&self) -> WeakGroupSet {
        WeakGroupSet(Arc::downgrade(&self.0))
    }

    /// How many hold this allocation.
    pub(crate) fn strong_count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

/// Knows whether anybody still has a certain [`GroupSet`].
#[derive(Debug, Clone)]
pub struct WeakGroupSet(Weak<Box<[Arc<Group>]>>);

impl WeakGroupSet {
    /// Whether nobody has it any more.
    pub fn is_dropped(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// What directories say of who is at an address: nothing, until they know the user or the device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Membership {
    /// The groups of the user.
    pub user: Option<GroupSet>,
    /// The groups of the device.
    pub device: Option<GroupSet>,
}

impl Membership {
    /// Whether no directory knows either.
    pub fn is_unknown(&self) -> bool {
        self.user.is_none() && self.device.is_none()
    }
}
