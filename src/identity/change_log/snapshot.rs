//! The log gives away what it knows, and is made anew from what the table knows.

use std::sync::Arc;

use super::{ChangeLog, ChangeLogLimits, EndedSlot, Slot, SlotState, Tombstone};
use crate::{
    ActiveSession, Cause, EndedSession, Revision, Rule, Session, TableSnapshot, Timestamp,
};

impl ChangeLog {
    /// What a table needs to go on.
    pub fn hand_over(&self) -> TableSnapshot {
        let mut standing = Vec::with_capacity(self.present);
        let mut ends = Vec::with_capacity(self.ends.len());
        for Slot { revision, state, was } in &self.slots {
            let revision = *revision;
            if let Some((_, session, _)) = state.present() {
                let was = was.clone().map(|was| left_for(was, (session, revision)));
                standing.push(ActiveSession { session: session.clone(), told: revision, was });
            }
            if let SlotState::Ended(gone) = state {
                ends.extend(gone.session.clone().map(|session| {
                    let (at, cause) = (left_at(&session, &gone.cause), gone.cause.clone());
                    EndedSession { session, at, revision, cause }
                }));
            }
        }
        let (newest, forgotten) = (self.newest, self.dropped);
        TableSnapshot { newest, forgotten, standing, ends, ..TableSnapshot::default() }
    }

    /// A log of what the table knows, when the log that told how it came about is lost. A consumer
    /// that knows all ends that the table has forgotten goes on; every other begins from nothing.
    /// One that goes on may be told some things once more.
    pub fn restore(epoch: u64, limits: ChangeLogLimits, handover: TableSnapshot) -> Self {
        let TableSnapshot { newest, forgotten, standing, ends, .. } = handover;
        let mut log = Self { newest, dropped: forgotten, ..Self::new(epoch, limits) };
        log.present = standing.len();
        log.slots.reserve(standing.len() + ends.len());
        log.latest.reserve(standing.len() + ends.len());
        for ActiveSession { session, told, was } in standing {
            let was = was.map(|ended| ended.session);
            log.hold(told, SlotState::Began(session.clone()), was, &session);
        }
        for EndedSession { session, revision, cause, .. } in ends {
            let (address, told) = (session.address, cause.seen);
            log.ends.push_back(Tombstone { address, revision, told });
            let state =
                SlotState::Ended(Box::new(EndedSlot { session: Some(session.clone()), cause }));
            // Who had the address before is not known: everybody must hear that nobody has it.
            log.hold(revision, state, Some(session.clone()), &session);
        }
        log.slots.sort_unstable_by_key(|slot| slot.revision);
        log
    }

    fn hold(
        &mut self,
        revision: Revision,
        state: SlotState,
        was: Option<Arc<Session>>,
        session: &Session,
    ) {
        self.latest.insert(session.address, revision);
        self.slots.push(Slot { revision, state, was });
    }
}

/// The end of the session `was`, as far as it can be told from the one that is there since `told`.
fn left_for(was: Arc<Session>, (session, told): (&Session, Revision)) -> EndedSession {
    // Whoever had the address left no later than the one who is there came. Behind a device alone,
    // that is all that keeps an old login of that user out.
    EndedSession { session: was, at: session.since, revision: told, cause: session.cause.clone() }
}

/// The time that logins must not be older than, after `cause` ended `session`.
fn left_at(session: &Session, cause: &Cause) -> Timestamp {
    match cause.rule {
        // Nobody saw the user leave: a login that is newer than the last proof is still news.
        Rule::LogoffTime => session.confirmed,
        _ => cause.at.min(cause.seen).max(session.confirmed),
    }
}
