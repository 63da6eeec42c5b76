//! The cache actor: a [`CacheState`] behind a queue, and its outputs as messages.

use std::collections::VecDeque;

use rollcall_identity::engine::{
    BatchOwner, CacheOutput, CacheSettings, CacheState, EngineRole, PendingReceipt, Rejection,
    StateTransfer, Visibility,
};
use rollcall_identity::{
    CheckpointSink, Event, Journal, JournalEntry, JournalError, JournalRequest, Table, Timestamp,
};

use super::ownership::Owner;
use super::query::QueryMessage;
use super::{Appended, Batch, MAILBOX, Question, Server, Ticket};
use crate::simulation::faults::Fault;
use crate::simulation::truth::{Broken, Kept, Promise};

/// The maximum number of expiry events per batch: so few that more are due now and then.
const EXPIRIES: usize = 2;

/// A message to the cache.
pub(super) enum CacheMessage {
    Apply(Batch),
    Committed(JournalEntry<Appended>),
    Rejected(Appended, JournalError),
    /// The outcome of a publication.
    Confirm(PendingReceipt<Ticket>, Visibility),
    Checkpoint(CheckpointSink),
    /// A request for the state, from the query actor of this generation.
    Export(u64),
}

/// One generation of the cache.
pub(super) struct Cache {
    pub(super) state: CacheState<Ticket, (), Owner>,
    pub(super) mailbox: VecDeque<CacheMessage>,
}

impl Cache {
    pub(super) fn is_idle(&self) -> bool {
        self.state.is_ready() && self.mailbox.is_empty()
    }
}

impl Server {
    /// A producer sends a batch. One that finds no room or no cache is lost and counted.
    pub(in crate::simulation) fn receive(&mut self, mut batch: Batch) {
        self.account(batch.ticket).received += batch.events.len() as u64;
        if self.fault == Some(Fault::NoDeduplication) {
            let stamped = |event: &&mut Event| event.kind.begins() || event.kind.ends();
            batch.events.iter_mut().filter(stamped).for_each(|event| event.at = event.seen);
        }
        match self.cache.as_mut().filter(|cache| cache.mailbox.len() < MAILBOX) {
            Some(cache) => cache.mailbox.push_back(CacheMessage::Apply(batch)),
            None if self.fault == Some(Fault::DropWithoutCounter) => {
                self.lose(Ticket { events: 0, ..batch.ticket });
            }
            None => self.lose(batch.ticket),
        }
    }

    /// Starts a generation of the cache. Returns whether it runs.
    pub(super) fn start_cache(&mut self, now: Timestamp) -> bool {
        let generation = self.next_generation();
        let owner = self.owners.acquire(EngineRole::Cache, generation);
        let settings = CacheSettings { origin: self.origin.clone(), expiries: EXPIRIES, slice: 1 };
        let mut state = CacheState::new(owner, settings);
        state.start(now);
        self.cache = Some(Cache { state, mailbox: VecDeque::new() });
        self.carry_out();
        self.cache.is_some()
    }

    /// Ends the cache, with the messages in its mailbox. Returns whether one ran.
    pub(in crate::simulation) fn end_cache(&mut self) -> bool {
        let Some(cache) = self.cache.take() else { return false };
        cache.mailbox.into_iter().for_each(|message| self.dropped(message));
        true
    }

    /// No cache handles this message.
    pub(super) fn dropped(&mut self, message: CacheMessage) {
        match message {
            CacheMessage::Apply(batch) => self.lose(batch.ticket),
            CacheMessage::Committed(JournalEntry { batch, .. })
            | CacheMessage::Rejected(batch, _) => self.lose_appended(&batch),
            CacheMessage::Confirm(mut pending, _) => {
                pending.ticket_mut().copied().into_iter().for_each(|ticket| self.lose(ticket));
            }
            CacheMessage::Checkpoint(_) => self.store.invalidate_checkpoint(),
            CacheMessage::Export(query) => self.table_unavailable(query),
        }
    }

    pub(super) fn lose_appended(&mut self, batch: &Appended) {
        if let BatchOwner::Producer(ticket) = batch.ticket {
            self.lose(ticket);
        }
    }

    /// Delivers a message to the cache.
    pub(super) fn post_to_cache(&mut self, message: CacheMessage) {
        match &mut self.cache {
            Some(cache) => cache.mailbox.push_back(message),
            None => self.dropped(message),
        }
    }

    /// The cache of this generation gets the outcome of a publication, unless it has ended.
    pub(super) fn confirm(
        &mut self,
        sender: u64,
        pending: PendingReceipt<Ticket>,
        visibility: Visibility,
    ) {
        let message = CacheMessage::Confirm(pending, visibility);
        match self.cache.as_ref().is_some_and(|cache| cache.state.generation() == sender) {
            true => self.post_to_cache(message),
            false => self.dropped(message),
        }
    }

    /// The cache hangs in the middle of a batch and is replaced. Its changes arrive later.
    pub(in crate::simulation) fn hang_cache(&mut self, now: Timestamp) -> Kept {
        let applies = self.cache.as_ref().is_some_and(|cache| {
            let next = cache.mailbox.front();
            cache.state.is_ready() && matches!(next, Some(CacheMessage::Committed(_)))
        });
        let Some(before) = self.query.as_ref().filter(|_| applies).map(|q| q.mailbox.len()) else {
            return Ok(());
        };
        self.step_cache(&mut |_, _| Ok(()))?;
        let late = self.query.as_mut().map(|query| query.mailbox.split_off(before));
        self.late.extend(late.into_iter().flatten());
        // It still holds its ownership while its successor starts.
        if let Some(mut hung) = self.cache.take() {
            for message in std::mem::take(&mut hung.mailbox) {
                match message {
                    CacheMessage::Committed(_) => hung.mailbox.push_back(message),
                    other => self.dropped(other),
                }
            }
            self.hung.push(hung);
        }
        self.start_cache(now);
        Ok(())
    }

    /// Hung caches continue: their changes arrive, and what they still hold is not applied. Returns
    /// whether there was one.
    pub(in crate::simulation) fn resume_hung(&mut self) -> Result<bool, Broken> {
        let (late, hung) = (std::mem::take(&mut self.late), std::mem::take(&mut self.hung));
        let any = !late.is_empty() || !hung.is_empty();
        late.into_iter().for_each(|message| self.post(message));
        for mut cache in hung {
            for message in cache.mailbox {
                let CacheMessage::Committed(entry) = message else { continue };
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

    /// The cache of this generation gets the state of the query actor.
    pub(super) fn state_exported(&mut self, cache: u64, state: StateTransfer) {
        if let Some(cache) = self.cache.as_mut().filter(|known| known.state.generation() == cache) {
            cache.state.peer_state(state);
            self.carry_out();
        }
    }

    /// The cache of this generation gets no state: it fails.
    pub(super) fn state_unavailable(&mut self, cache: u64) {
        let waits = |known: &Cache| known.state.generation() == cache && known.state.awaits_state();
        if self.cache.as_ref().is_some_and(waits) {
            self.end_cache();
        }
    }

    /// The cache of this generation gets the table of the journal.
    pub(super) fn reload(&mut self, cache: u64) {
        if let Some(cache) = self.cache.as_mut().filter(|known| known.state.generation() == cache) {
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
            CacheMessage::Apply(batch) => cache.state.submit(batch, &self.directory),
            CacheMessage::Committed(entry) => {
                cache.state.committed(entry, &self.rules, |event, table| {
                    if kept.is_ok() {
                        kept = each(event, table);
                    }
                });
            }
            CacheMessage::Rejected(batch, error) => cache.state.rejected(batch, error.into()),
            CacheMessage::Confirm(pending, visibility) => {
                cache.state.confirm(pending, visibility, self.now);
            }
            CacheMessage::Checkpoint(sink) => sink(cache.state.snapshot()),
            CacheMessage::Export(query) => {
                let state = cache.state.export();
                self.table_exported(query, state);
            }
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
    fn carry_out(&mut self) {
        while let Some(cache) = &mut self.cache
            && let Some(output) = cache.state.poll_output()
        {
            let generation = cache.state.generation();
            match output {
                CacheOutput::RequestState => self.post(QueryMessage::Export(generation)),
                CacheOutput::Reload => {
                    self.orders.push_back(JournalRequest::Query(Question::Reload(generation)));
                }
                CacheOutput::Append(batch) if self.orders.len() < MAILBOX => {
                    self.orders.push_back(JournalRequest::Append(batch));
                }
                CacheOutput::Append(batch) => cache.state.rejected(batch, Rejection::Busy),
                CacheOutput::Publish(mut decided) => {
                    self.settle(&mut decided.pending);
                    let pending = Some(decided.pending);
                    self.post(QueryMessage::Publish(decided.publication, pending));
                }
                CacheOutput::PublishMissed(missed) => {
                    if self.fault != Some(Fault::SuccessorTellsNothing) {
                        self.post(QueryMessage::Publish(missed, None));
                    }
                }
                CacheOutput::Reply(ticket, result) => self.reply(ticket, result.ok()),
                CacheOutput::InvalidateCheckpoint => self.store.invalidate_checkpoint(),
                CacheOutput::Failed(_) => drop(self.end_cache()),
                CacheOutput::NextSlice | CacheOutput::NextSliceLater => {
                    cache.state.next_slice(&self.directory, self.now);
                }
                CacheOutput::Updated(())
                | CacheOutput::Proposed(..)
                | CacheOutput::AddressShared(..)
                | CacheOutput::Recovered(_) => {}
            }
        }
    }
}
