//! Changes by revision, compacted to the latest of each address, read by cursor.
//!
//! A consumer at any cursor is given what became true since, in time proportional to that. What a
//! firewall holds wrongly is the worst that can happen, so in doubt the log says once more that a
//! user is gone: an end may be told twice or without having been asked for, never left out.

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

/// How long ends are remembered. A consumer that stays away for longer begins from nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeLogLimits {
    /// For how long after they were told.
    pub tombstones: Duration,
    /// How many at most.
    pub tombstone_count: usize,
}

impl Default for ChangeLogLimits {
    /// A day, as long as a session lasts by default, and half as many as the sessions Rollcall is
    /// made for, about 200 bytes each.
    fn default() -> Self {
        Self { tombstones: Duration::from_secs(24 * 3600), tombstone_count: 500_000 }
    }
}

/// The latest change of each address, ascending by revision.
#[derive(Debug)]
pub struct ChangeLog {
    epoch: u64,
    limits: ChangeLogLimits,
    slots: Vec<Slot>,
    /// The revision of the slot that speaks for an address. Not its index: compaction moves slots,
    /// and to find a revision among them costs less than to rewrite a million indices.
    latest: HashMap<Address, Revision>,
    superseded: usize,
    present: usize,
    tombstones: VecDeque<Tombstone>,
    /// The newest end that is no longer remembered.
    horizon: Revision,
    newest: Revision,
    time_marks: VecDeque<TimeMark>,
}

/// One change, or the place of one that a newer change of its address superseded.
#[derive(Debug)]
struct Slot {
    revision: Revision,
    state: SlotState,
    /// The latest session of another, known domain that the address had within memory, or the
    /// latest with a user where there is none now. A consumer that asks for that domain may still
    /// hold it, and must hear that it is gone.
    previous: Option<Arc<Session>>,
}

#[derive(Debug)]
enum SlotState {
    Superseded,
    Began(Arc<Session>),
    Altered(Box<AlteredSession>),
    Ended(Box<EndedSlot>),
}

/// A session of which more became known after it began; what told it is not its own cause.
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

/// An end that is to be forgotten in its time.
#[derive(Debug)]
struct Tombstone {
    address: Address,
    revision: Revision,
    published: Timestamp,
}

/// Every change told at `at` or later is newer than `revision`.
#[derive(Debug)]
struct TimeMark {
    at: Timestamp,
    revision: Revision,
}

/// How far apart marks are, and how many are kept: a busy day, in 1.4 MB.
const MARK_EVERY: Duration = Duration::from_secs(1);
const MARKS: usize = 24 * 3600;

/// Compaction is not worth its while below this many superseded slots.
const COMPACT_FROM: usize = 1024;

impl SlotState {
    /// Who is present, what that amounts to for those who are told, and why.
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
            SlotState::Ended(gone) => gone.session.as_ref(),
            state => state.present().map(|(_, session, _)| session),
        }
    }
}

impl ChangeLog {
    /// An empty log over the positions of the journal's life `epoch`.
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

    /// Has what is known of the addresses of `changes` in the processor's cache before they are applied,
    /// like [`Table::prefetch`](crate::Table).
    pub(crate) fn prefetch(&self, changes: &[Change]) {
        let latest = changes.iter().filter_map(|change| self.latest.get(&change.address));
        black_box(latest.map(|latest| latest.0).max());
    }

    /// Takes in a change at `now`. Changes come in the order of their revisions; one that is in
    /// already is left out.
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
                let gone =
                    EndedSlot { session: change.before.clone(), cause: change.cause.clone() };
                let (address, revision) = (change.address, change.revision);
                self.append(address, revision, SlotState::Ended(Box::new(gone)), None);
                self.tombstones.push_back(Tombstone { address, revision, published: now });
            }
        }
        self.expire_tombstones(now);
        self.compact();
    }

    /// The session of an address that stands at `now`.
    pub fn get(&self, address: Address, now: Timestamp) -> Option<&Arc<Session>> {
        let slot = &self.slots[self.index(*self.latest.get(&address)?)?];
        let (_, session, _) = slot.state.present()?;
        session.is_active_at(now).then_some(session)
    }

    /// The life of the journal whose positions these are.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The revision of the newest change, extensions included.
    pub fn newest(&self) -> Revision {
        self.newest
    }

    /// The oldest revision from which a consumer can go on without beginning from nothing.
    pub fn oldest(&self) -> Revision {
        self.horizon
    }

    /// How many sessions are held, those included whose logoff time passed just now.
    pub fn len(&self) -> usize {
        self.present
    }

    /// Whether no session is held.
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// Only the time of expiry moved: a consumer that has not come so far gets the fresh session,
    /// and no other is told again.
    fn extend(&mut self, session: &Arc<Session>, revision: Revision, now: Timestamp) {
        let held = self.latest.get(&session.address).and_then(|held| self.index(*held));
        if let Some(held) = held.and_then(|index| self.slots[index].state.present_mut())
            && held.is_active_at(now)
        {
            *held = session.clone();
            return;
        }
        // Consumers were told that its logoff time has passed: it must be told as if it began.
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
            // Behind a device alone the user is kept, so that a late login can be told from news.
            other_domain(last.domain(), domain) || no_user && last.principal.is_some()
        });
        let previous = other_user.or(previous).cloned();
        slot.previous = previous;
        self.slots.push(slot);
    }

    /// Takes out what stands at `revision` and leaves its place.
    fn supersede(&mut self, revision: Revision) -> Option<Slot> {
        let index = self.index(revision)?;
        let place = Slot { revision, state: SlotState::Superseded, previous: None };
        let old = std::mem::replace(&mut self.slots[index], place);
        self.superseded += 1;
        self.present -= usize::from(old.state.present().is_some());
        Some(old)
    }

    fn index(&self, revision: Revision) -> Option<usize> {
        self.slots.binary_search_by_key(&revision, |slot| slot.revision).ok()
    }

    /// Drops the ends that are too old or too many.
    fn expire_tombstones(&mut self, now: Timestamp) {
        while let Some(end) = self.tombstones.front() {
            let few = self.tombstones.len() <= self.limits.tombstone_count;
            if few && now.since(end.published) <= self.limits.tombstones {
                break;
            }
            let &Tombstone { address, revision, .. } = end;
            self.tombstones.pop_front();
            // Where somebody is again since, that change says so and the end is not needed.
            if self.latest.get(&address) == Some(&revision) {
                self.latest.remove(&address);
                self.supersede(revision);
                self.horizon = revision;
            }
        }
    }

    /// Gives back the room of superseded slots once they are the greater part, so that every slot
    /// is moved at most once for each change.
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

    /// A revision such that every change told at `since` or later is newer, and few others are.
    fn position_at(&self, since: Timestamp) -> Revision {
        let after = self.time_marks.partition_point(|mark| mark.at <= since);
        let mark = after.checked_sub(1).and_then(|index| self.time_marks.get(index));
        mark.map_or(Revision(0), |mark| mark.revision)
    }
}

/// Whether a session of domain `last` is one that a consumer may hold who is not told of `domain`.
fn other_domain(last: Option<&Name>, domain: Option<&Name>) -> bool {
    last.is_some() && last != domain
}
