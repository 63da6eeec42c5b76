//! Exporting the change log to a table snapshot, and rebuilding it from one.

use std::sync::Arc;

use super::{ChangeLog, ChangeLogLimits, EndedSlot, Slot, SlotState, Tombstone};
use crate::{
    ActiveSession, Cause, EndedSession, Revision, Rule, Session, TableSnapshot, Timestamp,
};

impl ChangeLog {
    /// The state that a table needs to continue.
    pub fn snapshot(&self) -> TableSnapshot {
        let mut sessions = Vec::with_capacity(self.present);
        let mut ends = Vec::with_capacity(self.tombstones.len());
        for Slot { revision, state, previous } in &self.slots {
            let revision = *revision;
            if let Some((_, session, _)) = state.present() {
                let previous =
                    previous.clone().map(|previous| implied_end(previous, (session, revision)));
                sessions.push(ActiveSession {
                    session: session.clone(),
                    published: revision,
                    previous,
                });
            }
            if let SlotState::Ended(ended) = state {
                ends.extend(ended.session.clone().map(|session| {
                    let (at, cause) =
                        (ordering_time_after(&session, &ended.cause), ended.cause.clone());
                    EndedSession { session, at, revision, cause }
                }));
            }
        }
        let (newest, forgotten) = (self.newest, self.horizon);
        TableSnapshot { newest, forgotten, sessions, ends, ..TableSnapshot::default() }
    }

    /// Rebuilds the log from a table's snapshot. A consumer resumes if it knows all ends that the
    /// table has forgotten; any other consumer needs a full resync. One that resumes may receive
    /// some changes again.
    pub fn restore(epoch: u64, limits: ChangeLogLimits, snapshot: TableSnapshot) -> Self {
        let TableSnapshot { newest, forgotten, sessions, ends, .. } = snapshot;
        let mut log = Self { newest, horizon: forgotten, ..Self::new(epoch, limits) };
        log.present = sessions.len();
        log.slots.reserve(sessions.len() + ends.len());
        log.latest.reserve(sessions.len() + ends.len());
        for ActiveSession { session, published, previous } in sessions {
            let previous = previous.map(|ended| ended.session);
            log.restore_slot(published, SlotState::Began(session.clone()), previous, &session);
        }
        for EndedSession { session, revision, cause, .. } in ends {
            let (address, published) = (session.address, cause.seen);
            log.tombstones.push_back(Tombstone { address, revision, published });
            let state =
                SlotState::Ended(Box::new(EndedSlot { session: Some(session.clone()), cause }));
            // The previous user is not known, so the end is reported to every consumer.
            log.restore_slot(revision, state, Some(session.clone()), &session);
        }
        log.slots.sort_unstable_by_key(|slot| slot.revision);
        log
    }

    fn restore_slot(
        &mut self,
        revision: Revision,
        state: SlotState,
        previous: Option<Arc<Session>>,
        session: &Session,
    ) {
        self.latest.insert(session.address, revision);
        self.slots.push(Slot { revision, state, previous });
    }
}

/// The end of the session `previous`, derived from the session that replaced it at `published`.
fn implied_end(previous: Arc<Session>, (session, published): (&Session, Revision)) -> EndedSession {
    // The previous user left no later than the current one came. For a device without a user, this
    // is all that rejects an old login of that user.
    EndedSession {
        session: previous,
        at: session.since,
        revision: published,
        cause: session.cause.clone(),
    }
}

/// The time that later logins must not precede, after `cause` ended `session`.
fn ordering_time_after(session: &Session, cause: &Cause) -> Timestamp {
    match cause.rule {
        // No logout was seen, so a login newer than the last confirmation is accepted.
        Rule::LogoffTime => session.confirmed,
        _ => cause.at.min(cause.seen).max(session.confirmed),
    }
}
