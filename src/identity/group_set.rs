//! Sets of groups as values that many sessions share.

use std::sync::{Arc, Weak};

use serde::Serialize;

use crate::{Name, Sid};

/// A group, as enforcement points and administrators know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Group {
    /// The sAMAccountName, as the directory writes it.
    pub name: Name,
    /// The DNS name of its domain, in lower case.
    pub domain: Name,
    /// The distinguished name (RFC 4514); filters match its suffix.
    pub dn: Arc<str>,
    /// The security identifier; groups of directories without SIDs have none.
    pub sid: Option<Sid>,
}

/// All groups that an account is in, directly or through nested groups, sorted by name, without
/// duplicates. Equal sets of one directory share one allocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct GroupSet(Arc<Box<[Arc<Group>]>>);

impl GroupSet {
    /// The set of `groups`.
    pub fn new(mut groups: Vec<Arc<Group>>) -> Self {
        Self::sort(&mut groups);
        Self::from_sorted(&mut groups)
    }

    /// Sorts `groups` and removes duplicates.
    pub(crate) fn sort(groups: &mut Vec<Arc<Group>>) {
        groups.sort_unstable();
        groups.dedup();
    }

    /// The set of sorted `groups`, which are drained: the list keeps its capacity for the next set,
    /// and the set has no excess capacity.
    pub(crate) fn from_sorted(groups: &mut Vec<Arc<Group>>) -> Self {
        Self(Arc::new(groups.drain(..).collect()))
    }

    /// The groups, sorted by name.
    pub fn as_slice(&self) -> &[Arc<Group>] {
        &self.0
    }

    /// Whether both share one allocation: a cheap test that implies equality.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The address of the allocation. It stays unique while the set, or a [`WeakGroupSet`] of it,
    /// exists, so it can serve as a key that does not read the groups.
    pub fn pointer_id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// A weak reference to this allocation.
    pub fn downgrade(&self) -> WeakGroupSet {
        WeakGroupSet(Arc::downgrade(&self.0))
    }

    /// The number of references to this allocation.
    pub(crate) fn strong_count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

/// A weak reference to a [`GroupSet`].
#[derive(Debug, Clone)]
pub struct WeakGroupSet(Weak<Box<[Arc<Group>]>>);

impl WeakGroupSet {
    /// Whether the set is no longer in use.
    pub fn is_dropped(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// The groups of the user and the device at an address, according to directories.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Membership {
    /// The groups of the user; `None` if no directory knows the user.
    pub user: Option<GroupSet>,
    /// The groups of the device; `None` if no directory knows the device.
    pub device: Option<GroupSet>,
}

impl Membership {
    /// Whether no directory knows the user or the device.
    pub fn is_unknown(&self) -> bool {
        self.user.is_none() && self.device.is_none()
    }
}
