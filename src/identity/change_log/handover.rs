//! The log gives away what it knows, and is made anew from what the table knows.

use std::sync::Arc;

use super::{ChangeLog, End, Gone, Limits, Slot, State};
use crate::{Cause, Ended, Handover, Revision, Rule, Session, Standing, Timestamp};

impl ChangeLog {
    /// What a table needs to go on.
    pub fn hand_over(&self) -> Handover {
        let mut standing = Vec::with_capacity(self.present);
        let mut ends = Vec::with_capacity(self.ends.len());
        for Slot { revision, state, was } in &self.slots {
            let revision = *revision;
            if let Some((_, session, _)) = state.present() {
                let was = was.clone().map(|was| left_for(was, (session, revision)));
                standing.push(Standing { session: session.clone(), told: revision, was });
            }
            if let State::Ended(gone) = state {
                ends.extend(gone.session.clone().map(|session| {
                    let (at, cause) = (left_at(&session, &gone.cause), gone.cause.clone());
                    Ended { session, at, revision, cause }
                }));
            }
        }
        let (newest, forgotten) = (self.newest, self.dropped);
        Handover { newest, forgotten, standing, ends, ..Handover::default() }
    }

    /// A log of what the table knows, when the log that told how it came about is lost. A consumer
    /// that knows all ends that the table has forgotten goes on; every other begins from nothing.
    /// One that goes on may be told some things once more.
    pub fn restore(epoch: u64, limits: Limits, handover: Handover) -> Self {
        let Handover { newest, forgotten, standing, ends, .. } = handover;
        let mut log = Self { newest, dropped: forgotten, ..Self::new(epoch, limits) };
        log.present = standing.len();
        log.slots.reserve(standing.len() + ends.len());
        log.latest.reserve(standing.len() + ends.len());
        for Standing { session, told, was } in standing {
            let was = was.map(|ended| ended.session);
            log.hold(told, State::Began(session.clone()), was, &session);
        }
        for Ended { session, revision, cause, .. } in ends {
            let (address, told) = (session.address, cause.seen);
            log.ends.push_back(End { address, revision, told });
            let state = State::Ended(Box::new(Gone { session: Some(session.clone()), cause }));
            // Who had the address before is not known: everybody must hear that nobody has it.
            log.hold(revision, state, Some(session.clone()), &session);
        }
        log.slots.sort_unstable_by_key(|slot| slot.revision);
        log
    }

    fn hold(
        &mut self,
        revision: Revision,
        state: State,
        was: Option<Arc<Session>>,
        session: &Session,
    ) {
        self.latest.insert(session.address, revision);
        self.slots.push(Slot { revision, state, was });
    }
}

/// The end of the session `was`, as far as it can be told from the one that is there since `told`.
fn left_for(was: Arc<Session>, (session, told): (&Session, Revision)) -> Ended {
    // Whoever had the address left no later than the one who is there came. Behind a device alone,
    // that is all that keeps an old login of that user out.
    Ended { session: was, at: session.since, revision: told, cause: session.cause.clone() }
}

/// The time that logins must not be older than, after `cause` ended `session`.
fn left_at(session: &Session, cause: &Cause) -> Timestamp {
    match cause.rule {
        // Nobody saw the user leave: a login that is newer than the last proof is still news.
        Rule::LogoffTime => session.confirmed,
        _ => cause.at.min(cause.seen).max(session.confirmed),
    }
}
