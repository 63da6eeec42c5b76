//! Reading the log: pages by cursor and filter, and bounded searches.

use std::sync::Arc;

use serde::Serialize;

use super::cursor::ClientState;
use super::{ChangeLog, Cursor, Slot, SlotState};
use crate::{Cause, Change, Effect, Filter, Kind, Revision, Rule, Session, Timestamp};

/// What a consumer asks for.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Where it was; `None` when it begins.
    pub cursor: Option<Cursor>,
    /// For one that begins: only what was told at this time or later. What was told up to a second
    /// before may come with it.
    pub since: Option<Timestamp>,
    /// What it wants to hear of. It may change from page to page: it then rules what is told from
    /// there on.
    pub filter: &'a Filter,
    /// How many changes at most; none is read as one.
    pub limit: usize,
    /// The time by which sessions are present or past their logoff time.
    pub now: Timestamp,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Ascending by revision, at most one for each address. An [`Effect::Ended`] without `before`
    /// says only that whoever the consumer holds there is gone.
    pub changes: Vec<Change>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether there may be more right now. It can be so although `changes` is short or empty.
    pub more: bool,
    /// Whether the reading began from nothing: what the consumer held before is void. For one that
    /// has no way to throw it away, the ends that are remembered are told with the rest.
    pub resync: bool,
}

/// What a bounded search found.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// Sessions that are present.
    pub sessions: Vec<Arc<Session>>,
    /// Where to go on searching; `None` at the end.
    pub next: Option<Revision>,
}

impl ChangeLog {
    /// How many slots one call looks at, whatever the filter: about a millisecond, so that nobody
    /// who asks for what does not exist holds up those who ask for what does.
    pub const MAX_SCAN: usize = 20_000;

    /// Answers a request: what became true since the cursor, and the cursor to go on with.
    pub fn read(&self, request: &PageRequest<'_>) -> Page {
        let (mut next, resync) = self.begin(request);
        let known_ends = match next.client_state {
            ClientState::Empty => next.resync_at,
            ClientState::Unknown => Revision(0),
        };
        let from = self.slots.partition_point(|slot| slot.revision <= next.revision);
        let mut changes = Vec::new();
        let mut seen = 0;
        for slot in self.slots[from..].iter().take(Self::MAX_SCAN) {
            if changes.len() >= request.limit.max(1) {
                break;
            }
            changes.extend(slot.change_for(request, known_ends));
            next.revision = slot.revision;
            seen += 1;
        }
        let more = from + seen < self.slots.len();
        if !more {
            // Extensions have no slot of their own; they are known with the rest.
            next.revision = self.newest;
        }
        if next.resync_at <= next.revision {
            next = Cursor::new(next.epoch, next.revision);
        }
        Page { changes, next, more, resync }
    }

    /// Up to `limit` sessions that stand at `now` and are `wanted`, after the position `after`.
    ///
    /// There is no index of users. It would cost as much memory as the sessions' own index, for a
    /// question that an administrator or a firewall asks now and then; a search over a million
    /// sessions is 50 calls, between which others are served.
    pub fn search(
        &self,
        after: Revision,
        limit: usize,
        now: Timestamp,
        matches: impl Fn(&Session) -> bool,
    ) -> SearchPage {
        let from = self.slots.partition_point(|slot| slot.revision <= after);
        let mut sessions = Vec::new();
        for (seen, slot) in self.slots[from..].iter().enumerate() {
            if seen >= Self::MAX_SCAN || sessions.len() >= limit.max(1) {
                let next = self.slots[from + seen - 1].revision;
                return SearchPage { sessions, next: Some(next) };
            }
            if let Some((_, session, _)) = slot.state.present()
                && session.is_active_at(now)
                && matches(session)
            {
                sessions.push(session.clone());
            }
        }
        SearchPage { sessions, next: None }
    }

    /// Where the reading begins, and whether from nothing.
    fn begin(&self, request: &PageRequest<'_>) -> (Cursor, bool) {
        let epoch = self.epoch;
        if let Some(cursor) = request.cursor.filter(|cursor| self.can_resume(*cursor)) {
            return (cursor, false);
        }
        let since = request.since.filter(|_| request.cursor.is_none());
        let revision = since.map_or(Revision(0), |since| self.position_at(since));
        if since.is_some() && revision >= self.horizon {
            return (Cursor::new(epoch, revision), false);
        }
        let holding = match request.cursor {
            None => ClientState::Empty,
            Some(_) => ClientState::Unknown,
        };
        (Cursor { epoch, revision, resync_at: self.newest, client_state: holding }, true)
    }

    /// Whether every end that the consumer must hear of is still remembered.
    fn can_resume(&self, cursor: Cursor) -> bool {
        let known = cursor.revision.max(cursor.resync_at);
        cursor.epoch == self.epoch && known <= self.newest && known >= self.horizon
    }
}

impl Slot {
    /// What a consumer is told of this slot that need not hear of ends up to `untold`.
    fn change_for(&self, request: &PageRequest<'_>, known_ends: Revision) -> Option<Change> {
        let (filter, now) = (request.filter, request.now);
        let (effect, session, cause) = match (&self.state, self.state.present()) {
            (_, Some((effect, session, cause))) if session.is_active_at(now) => {
                (effect, Some(session), cause.clone())
            }
            (_, Some((_, session, _))) => (Effect::Ended, Some(session), expiry_cause(session)),
            (SlotState::Ended(gone), None) => {
                (Effect::Ended, gone.session.as_ref(), gone.cause.clone())
            }
            (_, None) => return None,
        };
        let address = session.or(self.previous.as_ref())?.address;
        if !filter.admits_address(address) {
            return None;
        }
        let admitted = |session: &&Arc<Session>| filter.admits_domain(session.domain());
        let shown = session.filter(admitted).cloned();
        let (revision, present) = (self.revision, effect != Effect::Ended);
        if present && shown.is_some() {
            return Some(Change { revision, address, effect, before: None, after: shown, cause });
        }
        // The consumer may hold a session that was admitted, now or by its domain before. One that
        // began from nothing after that end holds none. A session that lapses unfolded has not
        // ended yet, whatever its revision, and a consumer that reads again may well hold it.
        let may_hold = shown.is_some() || self.previous.is_some();
        let is_expiring = !present && self.state.present().is_some();
        if (revision <= known_ends && !is_expiring) || !may_hold {
            return None;
        }
        let before = shown.or_else(|| self.previous.as_ref().filter(admitted).cloned());
        Some(Change { revision, address, effect: Effect::Ended, before, after: None, cause })
    }
}

/// The cause of an end whose expiry is still on its way through the journal.
fn expiry_cause(session: &Session) -> Cause {
    Cause {
        kind: Kind::Expiry,
        at: session.expires,
        seen: session.expires,
        origin: session.cause.origin.clone(),
        rule: Rule::LogoffTime,
    }
}
