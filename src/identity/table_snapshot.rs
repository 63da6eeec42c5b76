//! What the table and the log of changes hand to each other when one of them is lost: who is
//! there, who left, what competed, and how far back that is complete.

use std::sync::Arc;

use crate::{
    Address, Cause, Change, DecisionRecord, Effect, Name, Principal, Revision, Session, Timestamp,
};

/// All that one of them knows and the other needs to go on in the same epoch.
#[derive(Debug, Clone, Default)]
pub struct TableSnapshot {
    /// The position up to which everything is in it.
    pub newest: Revision,
    /// The position of the newest end that is no longer remembered: consumers that have not come
    /// so far cannot go on.
    pub forgotten: Revision,
    /// Every session that is held, those past their logoff time included: their end is still to be
    /// proposed and told.
    pub sessions: Vec<ActiveSession>,
    /// The last end of every other address, ascending by position.
    pub ends: Vec<EndedSession>,
    /// What else is remembered of addresses; only a table knows it.
    pub memories: Vec<MemorySnapshot>,
    /// What competed for addresses that have or had a session, in the order of its being forgotten.
    pub competed: Vec<RetainedRecord>,
    /// The same for addresses that never had one.
    pub competed_without_session: Vec<RetainedRecord>,
}

/// A session that is held.
#[derive(Debug, Clone)]
pub struct ActiveSession {
    /// The session.
    pub session: Arc<Session>,
    /// A consumer that knows this position knows the session.
    pub published: Revision,
    /// Another session of the address that a consumer of one domain alone may still hold, and its
    /// end.
    pub previous: Option<EndedSession>,
}

/// A session that is no more.
#[derive(Debug, Clone)]
pub struct EndedSession {
    /// The session as it stood.
    pub session: Arc<Session>,
    /// Logins older than this are late.
    pub at: Timestamp,
    /// The position of the event that ended it.
    pub revision: Revision,
    /// That event.
    pub cause: Cause,
}

/// What later decisions about an address depend on besides its session and its last end.
#[derive(Debug, Clone)]
pub struct MemorySnapshot {
    /// Where.
    pub address: Address,
    /// Who was said to leave while not being there, each with the latest such time.
    pub early_logouts: Vec<(Principal, Timestamp)>,
    /// Who came within the last minute, on Rollcall's clock.
    pub logins: Vec<(Name, Timestamp)>,
    /// Until when the address is taken to be shared.
    pub shared_until: Option<Timestamp>,
}

/// An event that competed for an address.
#[derive(Debug, Clone)]
pub struct RetainedRecord {
    /// Where.
    pub address: Address,
    /// The position of the first of its repetitions.
    pub first: Revision,
    /// When that was received.
    pub received: Timestamp,
    /// What competed, and what was decided.
    pub record: DecisionRecord,
}

impl TableSnapshot {
    /// What became true after the position `known`, for whoever knows everything up to there: the
    /// last change of each address, ascending by position. Ends from before [`TableSnapshot::forgotten`]
    /// cannot be told, so that `known` must not be before it; what was committed and is not yet shown
    /// never is, for ends are remembered in greater number and for longer than anything is on its way.
    pub fn changes_since(&self, known: Revision) -> Vec<Change> {
        debug_assert!(self.forgotten <= known, "{} is forgotten, {known} known", self.forgotten);
        let started =
            self.sessions.iter().filter(|standing| standing.published > known).map(|standing| {
                let ActiveSession { session, published, previous } = standing;
                let before = previous.as_ref().map(|ended| ended.session.clone());
                let is_new = session.revision > known;
                let effect = if is_new { Effect::Began } else { Effect::Extended };
                let (address, cause) = (session.address, session.cause.clone());
                let after = Some(session.clone());
                Change { revision: *published, address, effect, before, after, cause }
            });
        let ended = self.ends.iter().filter(|ended| ended.revision > known).map(|ended| {
            let EndedSession { session, revision, cause, .. } = ended;
            let (address, before) = (session.address, Some(session.clone()));
            let (effect, cause) = (Effect::Ended, cause.clone());
            Change { revision: *revision, address, effect, before, after: None, cause }
        });
        let mut changes: Vec<_> = started.chain(ended).collect();
        changes.sort_unstable_by_key(|change| change.revision);
        changes
    }
}
