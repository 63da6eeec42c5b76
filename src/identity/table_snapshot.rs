//! The state that the table and the change log exchange after a failure: sessions, ends, competing
//! events, and how far back they are complete.

use std::sync::Arc;

use crate::{
    Address, Cause, Change, DecisionRecord, Effect, Name, Principal, Revision, Session, Timestamp,
};

/// The state that a table or a change log needs to continue in the same epoch.
#[derive(Debug, Clone, Default)]
pub struct TableSnapshot {
    /// The snapshot includes everything up to this position.
    pub newest: Revision,
    /// The position of the newest end that was dropped. Consumers that have not read this far
    /// cannot resume.
    pub forgotten: Revision,
    /// All sessions, including those that have expired but whose expiry is not applied yet.
    pub sessions: Vec<ActiveSession>,
    /// The last end of every other address, in ascending order of position.
    pub ends: Vec<EndedSession>,
    /// Other state kept per address; only a table has it.
    pub memories: Vec<MemorySnapshot>,
    /// The competing events of addresses that have or had a session, in the order of eviction.
    pub competed: Vec<RetainedRecord>,
    /// The same for addresses that never had a session.
    pub competed_without_session: Vec<RetainedRecord>,
}

/// A session that is held.
#[derive(Debug, Clone)]
pub struct ActiveSession {
    /// The session.
    pub session: Arc<Session>,
    /// A consumer that has read up to this position knows the session.
    pub published: Revision,
    /// Another session of the address that a consumer filtered to one domain may still hold, and
    /// its end.
    pub previous: Option<EndedSession>,
}

/// A session that ended.
#[derive(Debug, Clone)]
pub struct EndedSession {
    /// The last state of the session.
    pub session: Arc<Session>,
    /// Logins older than this are late.
    pub at: Timestamp,
    /// The position of the event that ended it.
    pub revision: Revision,
    /// The event that ended it.
    pub cause: Cause,
}

/// The state of an address, besides its session and last end, that later decisions depend on.
#[derive(Debug, Clone)]
pub struct MemorySnapshot {
    /// The address.
    pub address: Address,
    /// Users whose logout arrived while they had no session here, each with the latest time.
    pub early_logouts: Vec<(Principal, Timestamp)>,
    /// Users who logged in within the last minute, on Rollcall's clock.
    pub logins: Vec<(Name, Timestamp)>,
    /// The end of the period in which the address is treated as shared.
    pub shared_until: Option<Timestamp>,
}

/// An event that competed for an address.
#[derive(Debug, Clone)]
pub struct RetainedRecord {
    /// The address.
    pub address: Address,
    /// The position of the first of its repetitions.
    pub first: Revision,
    /// When the first repetition was received.
    pub received: Timestamp,
    /// The event and the decision.
    pub record: DecisionRecord,
}

impl TableSnapshot {
    /// The changes after the position `known`: the last change of each address, in ascending order
    /// of position. `known` must not precede [`TableSnapshot::forgotten`], because older ends are
    /// gone. Committed changes that are not published yet are always newer: more ends are
    /// remembered, and for longer, than can be in flight.
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
