//! Reading the change log: pages by cursor and filter, and bounded searches.

use std::sync::Arc;

use serde::Serialize;

use super::cursor::ClientState;
use super::{ChangeLog, Cursor, Slot, SlotState};
use crate::{Cause, Change, Effect, Filter, Kind, Revision, Rule, Session, Timestamp};

/// A consumer's request for one page.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// The consumer's position; `None` for a first read.
    pub cursor: Option<Cursor>,
    /// For a first read: only changes published at this time or later. Changes of up to one second
    /// earlier may be included.
    pub since: Option<Timestamp>,
    /// The filter. It may differ from page to page; each page uses its own.
    pub filter: &'a Filter,
    /// The maximum number of changes; 0 is read as 1.
    pub limit: usize,
    /// The time that decides whether a session is active or expired.
    pub now: Timestamp,
}

/// One page of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// In ascending order of revision, at most one per address. An [`Effect::Ended`] without
    /// `before` means only that whatever session the consumer holds for the address is gone.
    pub changes: Vec<Change>,
    /// The cursor for the next request.
    pub next: Cursor,
    /// Whether more changes may be available now. This can be true although `changes` is short or
    /// empty.
    pub more: bool,
    /// Whether this read is a full resync: the consumer must discard what it holds. For consumers
    /// that cannot discard, the remembered ends are included.
    pub resync: bool,
}

/// The result of a bounded search.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// The active sessions that match.
    pub sessions: Vec<Arc<Session>>,
    /// Where to continue the search; `None` at the end.
    pub next: Option<Revision>,
}

impl ChangeLog {
    /// The maximum number of slots that one call visits, whatever the filter: about a millisecond,
    /// so that a query without matches does not delay other queries.
    pub const MAX_SCAN: usize = 20_000;

    /// Returns the changes since the cursor, and the next cursor.
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
            // Extensions have no slot of their own.
            next.revision = self.newest;
        }
        if next.resync_at <= next.revision {
            next = Cursor::new(next.epoch, next.revision);
        }
        Page { changes, next, more, resync }
    }

    /// Up to `limit` sessions after `after` that are active at `now` and match.
    ///
    /// There is no index of users. It would cost as much memory as the address index, for a query
    /// that is rare. A search over a million sessions takes 50 calls, and other requests are served
    /// in between.
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

    /// Where the read starts, and whether it is a full resync.
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

    /// Whether every end that the consumer must receive is still remembered.
    fn can_resume(&self, cursor: Cursor) -> bool {
        let known = cursor.revision.max(cursor.resync_at);
        cursor.epoch == self.epoch && known <= self.newest && known >= self.horizon
    }
}

impl Slot {
    /// The change to report for this slot to a consumer that needs no ends up to `known_ends`.
    fn change_for(&self, request: &PageRequest<'_>, known_ends: Revision) -> Option<Change> {
        let (filter, now) = (request.filter, request.now);
        let (effect, session, cause) = match (&self.state, self.state.present()) {
            (_, Some((effect, session, cause))) if session.is_active_at(now) => {
                (effect, Some(session), cause.clone())
            }
            (_, Some((_, session, _))) => (Effect::Ended, Some(session), expiry_cause(session)),
            (SlotState::Ended(ended), None) => {
                (Effect::Ended, ended.session.as_ref(), ended.cause.clone())
            }
            (_, None) => return None,
        };
        let address = session.or(self.previous.as_ref())?.address;
        if !filter.admits_address(address) {
            return None;
        }
        let admitted = |session: &&Arc<Session>| filter.admits_domain(session.domain());
        let visible = session.filter(admitted).cloned();
        let (revision, present) = (self.revision, effect != Effect::Ended);
        if present && visible.is_some() {
            return Some(Change { revision, address, effect, before: None, after: visible, cause });
        }
        // The consumer may hold a session that its filter admits now, or admitted by its previous
        // domain. A consumer that started its resync after that end holds none. An expired session
        // whose expiry is not applied yet has not ended, whatever its revision, and a consumer that
        // reads again may hold it.
        let may_hold = visible.is_some() || self.previous.is_some();
        let is_expiring = !present && self.state.present().is_some();
        if (revision <= known_ends && !is_expiring) || !may_hold {
            return None;
        }
        let before = visible.or_else(|| self.previous.as_ref().filter(admitted).cloned());
        Some(Change { revision, address, effect: Effect::Ended, before, after: None, cause })
    }
}

/// The cause of an end whose expiry event is not committed yet.
fn expiry_cause(session: &Session) -> Cause {
    Cause {
        kind: Kind::Expiry,
        at: session.expires,
        seen: session.expires,
        origin: session.cause.origin.clone(),
        rule: Rule::LogoffTime,
    }
}
