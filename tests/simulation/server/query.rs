//! The query actor: a [`ReadModel`] behind a queue.

use std::collections::VecDeque;

use rollcall_identity::engine::{
    EngineRole, Ownership, PendingReceipt, Publication, ReadModel, StateTransfer, Visibility,
};
use rollcall_identity::{ChangeLogLimits, Timestamp};

use super::cache::CacheMessage;
use super::ownership::Owner;
use super::{Server, Ticket};
use crate::simulation::faults::Fault;
use crate::simulation::truth::{Broken, Promise};

/// A message to the query actor.
pub(super) enum QueryMessage {
    /// Changes, and the receipt that waits for them.
    Publish(Publication, Option<PendingReceipt<Ticket>>),
    /// A request for the state, from the cache of this generation.
    Export(u64),
}

/// One generation of the query actor.
pub(super) struct Query {
    owner: Owner,
    /// `None` until it has the state of the cache.
    pub(super) model: Option<ReadModel>,
    pub(super) mailbox: VecDeque<QueryMessage>,
    /// The newest generation of the cache that took its state.
    fenced: u64,
}

impl Query {
    pub(super) fn is_idle(&self) -> bool {
        self.model.is_some() && self.mailbox.is_empty()
    }
}

impl Server {
    /// Starts a generation of the query actor. Returns whether it runs.
    pub(super) fn start_query(&mut self, now: Timestamp) -> bool {
        let generation = self.next_generation();
        let owner = self.owners.acquire(EngineRole::Query, generation);
        let model = ReadModel::start(&owner, ChangeLogLimits::default(), now);
        if model.is_none() {
            let Some(cache) = &mut self.cache else { return false };
            cache.mailbox.push_back(CacheMessage::Export(owner.generation()));
        }
        self.visible += u64::from(model.is_some());
        self.query = Some(Query { owner, model, mailbox: VecDeque::new(), fenced: 0 });
        true
    }

    /// Ends the query actor, with the messages in its mailbox. Returns whether one ran.
    pub(in crate::simulation) fn end_query(&mut self) -> bool {
        let Some(query) = self.query.take() else { return false };
        query.mailbox.into_iter().for_each(|message| self.undelivered(message));
        true
    }

    /// No query actor handles this message.
    pub(super) fn undelivered(&mut self, message: QueryMessage) {
        match message {
            QueryMessage::Publish(publication, pending) => {
                let sender = publication.generation;
                pending.into_iter().for_each(|pending| {
                    self.confirm(sender, pending, Visibility::NotVisible);
                });
            }
            QueryMessage::Export(cache) => self.state_unavailable(cache),
        }
    }

    /// The query actor of this generation gets no state: it fails.
    pub(super) fn table_unavailable(&mut self, query: u64) {
        let waits = |known: &Query| known.owner.generation() == query && known.model.is_none();
        if self.query.as_ref().is_some_and(waits) {
            self.end_query();
        }
    }

    /// The query actor of this generation gets the state of the cache.
    pub(super) fn table_exported(&mut self, query: u64, state: StateTransfer) {
        let waits = |known: &&mut Query| known.owner.generation() == query && known.model.is_none();
        let Some(query) = self.query.as_mut().filter(waits) else { return };
        match ReadModel::take_over(&query.owner, ChangeLogLimits::default(), state) {
            Ok(model) => {
                query.model = Some(model);
                self.visible += 1;
            }
            Err(_) => drop(self.end_query()),
        }
    }

    /// Delivers a message to the query actor.
    pub(super) fn post(&mut self, message: QueryMessage) {
        match &mut self.query {
            Some(query) => query.mailbox.push_back(message),
            None => self.undelivered(message),
        }
    }

    /// The query actor handles its next message. Returns whether there was one.
    pub(in crate::simulation) fn step_query(&mut self, now: Timestamp) -> Result<bool, Broken> {
        let Some(query) = &mut self.query else { return Ok(false) };
        let Some(model) = &mut query.model else { return Ok(false) };
        match query.mailbox.pop_front() {
            None => return Ok(false),
            Some(QueryMessage::Export(cache)) => {
                let fenced = model.fence(cache);
                query.fenced = query.fenced.max(cache);
                let state = model.export(&fenced, query.owner.generation());
                self.state_exported(cache, state);
            }
            Some(QueryMessage::Publish(mut publication, pending)) => {
                let sender = publication.generation;
                if self.fault == Some(Fault::LateChangesShown) {
                    publication.generation = sender.max(query.fenced);
                }
                let visibility = model.publish(&publication, now);
                let is_visible = visibility == Visibility::Visible;
                Promise::Fencing.unless(!is_visible || sender >= query.fenced, || {
                    format!(
                        "changes of cache {sender} are visible after {} took over",
                        query.fenced
                    )
                })?;
                self.visible += u64::from(is_visible && !publication.changes.is_empty());
                pending.into_iter().for_each(|pending| self.confirm(sender, pending, visibility));
            }
        }
        Ok(true)
    }
}
