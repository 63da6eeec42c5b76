//! Membership updates: the effects of directory changes on sessions, as events in slices, so that
//! logins do not wait meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::directory::{
    AddressIndex, Directory, EffectInputs, ProposalContext, RemovalPolicy, SessionEffects,
};
use crate::{Change, Event, Origin, Table, Timestamp};

/// The membership updates that are not applied yet, in order of arrival. At most one slice is in
/// flight.
#[derive(Debug)]
pub(super) struct MembershipUpdates<U> {
    /// The addresses of each account. Built at the first directory change, so that it costs nothing
    /// without a directory.
    addresses: Option<AddressIndex>,
    current: Option<PendingUpdate<U>>,
    waiting: VecDeque<PendingUpdate<U>>,
    /// A slice that was not accepted.
    retry: Option<Vec<Event>>,
}

impl<U> Default for MembershipUpdates<U> {
    fn default() -> Self {
        Self { addresses: None, current: None, waiting: VecDeque::new(), retry: None }
    }
}

/// A membership update.
#[derive(Debug)]
pub(super) struct PendingUpdate<U> {
    pub(super) effects: SessionEffects,
    pub(super) removal: RemovalPolicy,
    /// The directory, as the origin of the events.
    pub(super) origin: Arc<Origin>,
    pub(super) done: U,
}

/// The next step of the updates.
#[derive(Debug)]
pub(super) enum Step<U> {
    /// Submit an empty batch and wait until everything submitted before is applied: a login from
    /// before the directory change must be in the table when the effects are computed.
    Barrier,
    /// Submit these events.
    Submit(Vec<Event>),
    /// The slice has no events. Other inputs are handled before the next one.
    Yield,
    /// An update is complete.
    Done(U),
}

/// The state from which a slice is computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct SliceInputs<'a> {
    pub(super) table: &'a Table,
    pub(super) directory: &'a Directory,
    pub(super) now: Timestamp,
    /// The maximum number of accounts and addresses to check.
    pub(super) limit: usize,
}

impl<U> MembershipUpdates<U> {
    /// Adds an update. Returns whether it is the only one: then its first step is due.
    pub(super) fn add(&mut self, update: PendingUpdate<U>) -> bool {
        let is_idle = self.current.is_none() && self.waiting.is_empty();
        self.waiting.push_back(update);
        is_idle
    }

    /// Updates the index with a change of the table.
    pub(super) fn observe(&mut self, change: Option<&Change>) {
        if let (Some(addresses), Some(change)) = (&mut self.addresses, change) {
            addresses.apply(change);
        }
    }

    /// The origin of the current update.
    pub(super) fn origin(&self) -> Option<&Arc<Origin>> {
        self.current.as_ref().map(|update| &update.origin)
    }

    /// The next step; `None` when all updates are applied.
    pub(super) fn next_step(&mut self, known: SliceInputs<'_>) -> Option<Step<U>> {
        let Some(update) = &mut self.current else {
            self.current = Some(self.waiting.pop_front()?);
            return Some(Step::Barrier);
        };
        if update.effects.is_empty() {
            return self.current.take().map(|update| Step::Done(update.done));
        }
        let SliceInputs { table, directory, now, limit } = known;
        let addresses =
            self.addresses.get_or_insert_with(|| AddressIndex::from_sessions(table.sessions()));
        let inputs = EffectInputs { directory, table, addresses };
        let proposal = ProposalContext { removal: update.removal, now, origin: &update.origin };
        let events = update.effects.next(inputs, proposal, limit);
        Some(if events.is_empty() { Step::Yield } else { Step::Submit(events) })
    }

    /// The slice in flight was not accepted, or its effects are not visible. These events are
    /// submitted again later; they are idempotent.
    pub(super) fn retry_later(&mut self, events: Vec<Event>) {
        self.retry = Some(events);
    }

    /// The slice to submit again.
    pub(super) fn take_retry(&mut self) -> Option<Vec<Event>> {
        self.retry.take()
    }
}
