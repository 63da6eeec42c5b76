//! Changes by revision, compacted to the latest per address and read by cursor.
//!
//! A consumer reads the changes since its cursor, in time proportional to their number. A firewall
//! that keeps a stale user is the worst failure, so in doubt the log reports an end again: an end
//! may be delivered twice or unnecessarily, but never omitted.

mod cursor;
mod page;
#[cfg(test)]
mod properties;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

pub use self::cursor::{BadCursor, Cursor};
pub use self::page::{Page, PageRequest, SearchPage};
use crate::{Address, Cause, Change, Effect, Name, Revision, Session, Timestamp};

/// How long tombstones are kept. A consumer that stays away longer needs a full resync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeLogLimits {
    /// How long a tombstone is kept after it was published.
    pub tombstones: Duration,
    /// The maximum number of tombstones.
    pub tombstone_count: usize,
}

impl Default for ChangeLogLimits {
    /// 24 hours, the default session lifetime, and 500,000 tombstones of about 200 bytes: half of
    /// the number of sessions that Rollcall is designed for.
    fn default() -> Self {
        Self { tombstones: Duration::from_secs(24 * 3600), tombstone_count: 500_000 }
    }
}

/// The latest change of each address, in ascending order of revision.
#[derive(Debug)]
pub struct ChangeLog {
    epoch: u64,
    limits: ChangeLogLimits,
    slots: Vec<Slot>,
    /// The revision of the current slot of each address. It is not an index, because compaction
    /// moves slots, and a binary search costs less than rewriting a million indexes.
    latest: HashMap<Address, Revision>,
    superseded: usize,
    present: usize,
    tombstones: VecDeque<Tombstone>,
    /// The revision of the newest tombstone that was dropped.
    horizon: Revision,
    newest: Revision,
    time_marks: VecDeque<TimeMark>,
}

/// One change, or the empty slot of a change that was superseded.
#[derive(Debug)]
struct Slot {
    revision: Revision,
    state: SlotState,
    /// The latest remembered session of the address in another known domain, or the latest with a
    /// user when there is none now. A consumer filtered to that domain may still hold it and must
    /// receive its end.
    previous: Option<Arc<Session>>,
}

#[derive(Debug)]
enum SlotState {
    Superseded,
    Began(Arc<Session>),
    Altered(Box<AlteredSession>),
    Ended(Box<EndedSlot>),
}

/// A session whose details changed after it began. The event that changed it is not the session's
/// own cause.
#[derive(Debug)]
struct AlteredSession {
    session: Arc<Session>,
    cause: Cause,
}

#[derive(Debug)]
struct EndedSlot {
    session: Option<Arc<Session>>,
    cause: Cause,
}

/// An end that expires.
#[derive(Debug)]
struct Tombstone {
    address: Address,
    revision: Revision,
    published: Timestamp,
}

/// Every change published at `at` or later is newer than `revision`.
#[derive(Debug)]
struct TimeMark {
    at: Timestamp,
    revision: Revision,
}

/// The interval between time marks, and how many are kept: one day in 1.4 MB.
const MARK_EVERY: Duration = Duration::from_secs(1);
const MARKS: usize = 24 * 3600;

/// With fewer superseded slots than this, compaction does not pay off.
const COMPACT_FROM: usize = 1024;

impl SlotState {
    /// The session that is present, the effect to report, and the cause.
    fn present(&self) -> Option<(Effect, &Arc<Session>, &Cause)> {
        match self {
            Self::Superseded | Self::Ended(_) => None,
            Self::Began(session) => Some((Effect::Began, session, &session.cause)),
            Self::Altered(altered) => Some((Effect::Altered, &altered.session, &altered.cause)),
        }
    }

    fn present_mut(&mut self) -> Option<&mut Arc<Session>> {
        match self {
            Self::Superseded | Self::Ended(_) => None,
            Self::Began(session) => Some(session),
            Self::Altered(altered) => Some(&mut altered.session),
        }
    }
}

impl Slot {
    fn session(&self) -> Option<&Arc<Session>> {
        match &self.state {
            SlotState::Ended(ended) => ended.session.as_ref(),
            state => state.present().map(|(_, session, _)| session),
        }
    }
}

impl ChangeLog {
    /// An empty log for the journal epoch `epoch`.
    pub fn new(epoch: u64, limits: ChangeLogLimits) -> Self {
        Self {
            epoch,
            limits,
            slots: Vec::new(),
            latest: HashMap::new(),
            superseded: 0,
            present: 0,
            tombstones: VecDeque::new(),
            horizon: Revision(0),
            newest: Revision(0),
            time_marks: VecDeque::new(),
        }
    }

    /// Loads the entries of the addresses of `changes` into the CPU cache before they are applied,
    /// like [`Table::prefetch`](crate::Table).
    pub(crate) fn prefetch(&self, changes: &[Change]) {
        let latest = changes.iter().filter_map(|change| self.latest.get(&change.address));
        black_box(latest.map(|latest| latest.0).max());
    }

    /// Applies a change at `now`. Changes arrive in ascending order of revision; one that was
    /// applied already is ignored.
    pub fn apply(&mut self, change: &Change, now: Timestamp) {
        if change.revision <= self.newest {
            return;
        }
        self.add_time_mark(now);
        self.newest = change.revision;
        match (&change.after, change.effect) {
            (Some(session), Effect::Extended) => self.extend(session, change.revision, now),
            (Some(session), effect) => {
                let (session, cause) = (session.clone(), &change.cause);
                let state = match effect {
                    Effect::Altered => {
                        let cause = cause.clone();
                        SlotState::Altered(Box::new(AlteredSession {
                            session: session.clone(),
                            cause,
                        }))
                    }
                    _ => SlotState::Began(session.clone()),
                };
                self.append(session.address, change.revision, state, change.before.as_ref());
                self.present += 1;
            }
            (None, _) => {
                let ended =
                    EndedSlot { session: change.before.clone(), cause: change.cause.clone() };
                let (address, revision) = (change.address, change.revision);
                self.append(address, revision, SlotState::Ended(Box::new(ended)), None);
                self.tombstones.push_back(Tombstone { address, revision, published: now });
            }
        }
        self.expire_tombstones(now);
        self.compact();
    }

    /// The session of an address that is active at `now`.
    pub fn get(&self, address: Address, now: Timestamp) -> Option<&Arc<Session>> {
        let slot = &self.slots[self.index(*self.latest.get(&address)?)?];
        let (_, session, _) = slot.state.present()?;
        session.is_active_at(now).then_some(session)
    }

    /// The epoch of the journal whose positions these are.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The revision of the newest change, extensions included.
    pub fn newest(&self) -> Revision {
        self.newest
    }

    /// The oldest revision from which a consumer can resume without a full resync.
    pub fn oldest(&self) -> Revision {
        self.horizon
    }

    /// The number of sessions held, including those whose expiry is not applied yet.
    pub fn len(&self) -> usize {
        self.present
    }

    /// Whether no session is held.
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// Only the expiry time moved. Consumers that have not read this far get the updated session;
    /// the others are not notified.
    fn extend(&mut self, session: &Arc<Session>, revision: Revision, now: Timestamp) {
        let held = self.latest.get(&session.address).and_then(|held| self.index(*held));
        if let Some(held) = held.and_then(|index| self.slots[index].state.present_mut())
            && held.is_active_at(now)
        {
            *held = session.clone();
            return;
        }
        // Consumers received the expiry of the session, so it is reported as a new session.
        let state = SlotState::Began(session.clone());
        self.append(session.address, revision, state, None);
        self.present += 1;
    }

    fn append(
        &mut self,
        address: Address,
        revision: Revision,
        state: SlotState,
        before: Option<&Arc<Session>>,
    ) {
        let old = self.latest.insert(address, revision).and_then(|held| self.supersede(held));
        let mut slot = Slot { revision, state, previous: None };
        let domain = slot.session().and_then(|session| session.domain());
        let (last, previous) = match &old {
            Some(old) => (old.session(), old.previous.as_ref()),
            None => (before, None),
        };
        let no_user = slot.session().is_some_and(|session| session.principal.is_none());
        let other_user = last.filter(|last| {
            // A device without a user keeps the previous user, so that a late login can be
            // recognized.
            other_domain(last.domain(), domain) || no_user && last.principal.is_some()
        });
        let previous = other_user.or(previous).cloned();
        slot.previous = previous;
        self.slots.push(slot);
    }

    /// Takes the slot of `revision` out and leaves an empty slot.
    fn supersede(&mut self, revision: Revision) -> Option<Slot> {
        let index = self.index(revision)?;
        let empty = Slot { revision, state: SlotState::Superseded, previous: None };
        let old = std::mem::replace(&mut self.slots[index], empty);
        self.superseded += 1;
        self.present -= usize::from(old.state.present().is_some());
        Some(old)
    }

    fn index(&self, revision: Revision) -> Option<usize> {
        self.slots.binary_search_by_key(&revision, |slot| slot.revision).ok()
    }

    /// Drops the tombstones that are too old or too many.
    fn expire_tombstones(&mut self, now: Timestamp) {
        while let Some(end) = self.tombstones.front() {
            let few = self.tombstones.len() <= self.limits.tombstone_count;
            if few && now.since(end.published) <= self.limits.tombstones {
                break;
            }
            let &Tombstone { address, revision, .. } = end;
            self.tombstones.pop_front();
            // If the address has a session again, that change replaces the tombstone.
            if self.latest.get(&address) == Some(&revision) {
                self.latest.remove(&address);
                self.supersede(revision);
                self.horizon = revision;
            }
        }
    }

    /// Removes superseded slots once they are the majority, so that the amortized cost is at most
    /// one move per change.
    fn compact(&mut self) {
        if self.superseded > COMPACT_FROM.max(self.slots.len() / 2) {
            self.slots.retain(|slot| !matches!(slot.state, SlotState::Superseded));
            self.superseded = 0;
        }
    }

    fn add_time_mark(&mut self, now: Timestamp) {
        if self.time_marks.back().is_some_and(|mark| now < mark.at + MARK_EVERY) {
            return;
        }
        if self.time_marks.len() == MARKS {
            self.time_marks.pop_front();
        }
        self.time_marks.push_back(TimeMark { at: now, revision: self.newest });
    }

    /// A revision such that every change published at `since` or later is newer, and few others
    /// are.
    fn position_at(&self, since: Timestamp) -> Revision {
        let after = self.time_marks.partition_point(|mark| mark.at <= since);
        let mark = after.checked_sub(1).and_then(|index| self.time_marks.get(index));
        mark.map_or(Revision(0), |mark| mark.revision)
    }
}

/// Whether a consumer that does not receive sessions of `domain` may hold a session of domain
/// `last`.
fn other_domain(last: Option<&Name>, domain: Option<&Name>) -> bool {
    last.is_some() && last != domain
}
