//! The cache actor: a [`CacheState`] behind a queue, and its outputs as messages.

use std::collections::VecDeque;

use rollcall_identity::directory::{AffectedAccounts, RemovalPolicy};
use rollcall_identity::engine::{CacheOutput, CacheSettings, CacheState, EngineRole, Rejection};
use rollcall_identity::{Event, Journal, JournalRequest, Table, Timestamp};

use super::messages::{Message, Running};
use super::ownership::Owner;
use super::{Batch, MAILBOX, Question, Server, Ticket};
use crate::simulation::faults::Fault;
use crate::simulation::truth::{Broken, Kept, Promise};

/// The maximum number of expiry events per batch: so few that more are due now and then.
const EXPIRIES: usize = 2;

/// The state of the cache.
pub(super) type Cache = CacheState<Ticket, u64, Owner>;

impl Server {
    /// A producer sends a batch. One that finds no room or no cache is lost and counted.
    pub(in crate::simulation) fn receive(&mut self, mut batch: Batch) {
        self.account(batch.ticket).received += batch.events.len() as u64;
        if self.fault == Some(Fault::NoDeduplication) {
            let stamped = |event: &&mut Event| event.kind.begins() || event.kind.ends();
            batch.events.iter_mut().filter(stamped).for_each(|event| event.at = event.seen);
        }
        match self.cache.as_mut().filter(|cache| cache.mailbox.len() < MAILBOX) {
            Some(cache) => cache.mailbox.push_back(Message::Apply(batch)),
            None if self.fault == Some(Fault::DropWithoutCounter) => {
                self.lose(Ticket { events: 0, ..batch.ticket });
            }
            None => self.lose(batch.ticket),
        }
    }

    /// The directory submits an update.
    pub(in crate::simulation) fn update_membership(
        &mut self,
        (number, affected): (u64, AffectedAccounts),
    ) {
        self.post(EngineRole::Cache, Message::UpdateMembership(affected, number));
    }

    /// Starts a generation of the cache. Returns whether it runs.
    pub(super) fn start_cache(&mut self, now: Timestamp) -> bool {
        let owner = self.acquire(EngineRole::Cache);
        let settings = CacheSettings { origin: self.origin.clone(), expiries: EXPIRIES, slice: 1 };
        let mut state = CacheState::new(owner, settings);
        state.start(now);
        self.cache = Some(Running::new(state.generation(), state));
        self.carry_out();
        self.cache.is_some()
    }

    /// The cache hangs in the middle of a batch and is replaced. Its changes arrive later.
    pub(in crate::simulation) fn hang_cache(&mut self, now: Timestamp) -> Kept {
        let applies = self.cache.as_ref().is_some_and(|cache| {
            cache.state.is_ready() && matches!(cache.mailbox.front(), Some(Message::Committed(_)))
        });
        let Some(before) = self.query.as_ref().filter(|_| applies).map(|q| q.mailbox.len()) else {
            return Ok(());
        };
        self.step_cache(&mut |_, _| Ok(()))?;
        let late = self.query.as_mut().map(|query| query.mailbox.split_off(before));
        self.late.extend(late.into_iter().flatten());
        // It still holds its ownership, and its committed batches, while its successor starts.
        if let Some(Running { generation, state, mailbox }) = self.cache.take() {
            let is_committed = |message: &Message| matches!(message, Message::Committed(_));
            let (held, others): (VecDeque<_>, VecDeque<_>) =
                mailbox.into_iter().partition(is_committed);
            others.into_iter().for_each(|message| self.undelivered(message));
            self.hung.push(Running { generation, state, mailbox: held });
        }
        self.start_cache(now);
        Ok(())
    }

    /// Hung caches continue: their changes arrive, and what they still hold is not applied. Returns
    /// whether there was one.
    pub(in crate::simulation) fn resume_hung(&mut self) -> Result<bool, Broken> {
        let (late, hung) = (std::mem::take(&mut self.late), std::mem::take(&mut self.hung));
        let any = !late.is_empty() || !hung.is_empty();
        late.into_iter().for_each(|message| self.post(EngineRole::Query, message));
        for mut cache in hung {
            for message in cache.mailbox {
                let Message::Committed(entry) = message else { continue };
                cache.state.committed(entry, &self.rules, |_, _| {});
            }
            while let Some(output) = cache.state.poll_output() {
                match output {
                    CacheOutput::Reply(ticket, _) => self.lose(ticket),
                    CacheOutput::Publish(_) => {
                        return Err(Promise::Fencing.broken("a replaced cache decides"));
                    }
                    _ => {}
                }
            }
        }
        Ok(any)
    }

    /// The cache of this generation gets the table of the journal.
    pub(super) fn reload(&mut self, cache: u64) {
        if let Some(cache) = self.cache.as_mut().filter(|known| known.generation == cache) {
            cache.state.reloaded(self.store.reload(&self.rules));
            self.carry_out();
        }
    }

    /// The cache handles its next message. `each` receives every event with the table after it.
    /// Returns whether there was one.
    pub(in crate::simulation) fn step_cache(
        &mut self,
        each: &mut dyn FnMut(&Event, &Table) -> Kept,
    ) -> Result<bool, Broken> {
        let Some(cache) = self.cache.as_mut().filter(|cache| cache.state.is_ready()) else {
            return Ok(false);
        };
        let Some(message) = cache.mailbox.pop_front() else { return Ok(false) };
        let mut kept = Ok(());
        match message {
            Message::Apply(batch) => cache.state.submit(batch, &self.directory.borrow()),
            Message::UpdateMembership(_, number)
                if self.fault == Some(Fault::MembershipUpdateLost) =>
            {
                self.updated.push_back(number);
            }
            Message::UpdateMembership(affected, number) => {
                let source = (RemovalPolicy::default(), self.directory_origin.clone());
                let directory = self.directory.borrow();
                cache.state.update_membership(affected, source, (&directory, self.now), number);
            }
            Message::Committed(entry) => {
                cache.state.committed(entry, &self.rules, |event, table| {
                    if kept.is_ok() {
                        kept = each(event, table);
                    }
                });
            }
            Message::Rejected(batch, error) => cache.state.rejected(batch, error.into()),
            Message::Confirm(pending, visibility) => {
                cache.state.confirm(pending, visibility, self.now);
            }
            Message::Checkpoint(sink) => sink(cache.state.snapshot()),
            Message::Export(query) => {
                let state = cache.state.export();
                self.state_exported(query, state);
            }
            other => self.undelivered(other),
        }
        kept?;
        self.carry_out();
        Ok(true)
    }

    /// Sets the time that the cache reads: the clock of the server, or by mistake that of the machine.
    pub(in crate::simulation) fn set_clock(&mut self, (now, wall): (Timestamp, Timestamp)) {
        self.now = if self.fault == Some(Fault::ExpiryByWallClock) { wall } else { now };
    }

    /// The interval of the cache has passed. Returns whether it submitted anything.
    pub(in crate::simulation) fn tick(&mut self, clocks: (Timestamp, Timestamp)) -> bool {
        self.set_clock(clocks);
        let before = self.orders.len();
        if let Some(cache) = self.cache.as_mut().filter(|cache| cache.state.is_ready()) {
            cache.state.tick(self.now);
            self.carry_out();
        }
        self.orders.len() > before
    }

    /// Carries out the outputs of the cache.
    pub(super) fn carry_out(&mut self) {
        while let Some(cache) = &mut self.cache
            && let Some(output) = cache.state.poll_output()
        {
            let generation = cache.generation;
            match output {
                CacheOutput::RequestState => {
                    self.post(EngineRole::Query, Message::Export(generation));
                }
                CacheOutput::Reload => {
                    self.orders.push_back(JournalRequest::Query(Question::Reload(generation)));
                }
                CacheOutput::Append(batch) if self.orders.len() < MAILBOX => {
                    self.orders.push_back(JournalRequest::Append(batch));
                }
                CacheOutput::Append(batch) => cache.state.rejected(batch, Rejection::Busy),
                CacheOutput::Publish(mut decided) => {
                    self.settle(&mut decided.pending);
                    let message = Message::Publish(decided.publication, Some(decided.pending));
                    self.post(EngineRole::Query, message);
                }
                CacheOutput::PublishMissed(missed) => {
                    if self.fault != Some(Fault::SuccessorPublishesNothing) {
                        self.post(EngineRole::Query, Message::Publish(missed, None));
                    }
                }
                CacheOutput::Reply(ticket, result) => self.reply(ticket, result.ok()),
                CacheOutput::InvalidateCheckpoint => self.store.invalidate_checkpoint(),
                CacheOutput::Failed(_) => drop(self.end_actor(EngineRole::Cache)),
                CacheOutput::NextSlice | CacheOutput::NextSliceLater => {
                    cache.state.next_slice(&self.directory.borrow(), self.now);
                }
                CacheOutput::Updated(number) => self.updated.push_back(number),
                CacheOutput::Proposed(..)
                | CacheOutput::AddressShared(..)
                | CacheOutput::Recovered(_) => {}
            }
        }
    }
}
