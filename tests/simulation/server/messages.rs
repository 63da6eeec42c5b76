//! The messages between the actors and the journal, and what becomes of those that no actor handles.

use std::collections::VecDeque;

use rollcall_identity::directory::AffectedAccounts;
use rollcall_identity::engine::{
    BatchOwner, EngineRole, PendingReceipt, Publication, StateTransfer, Visibility,
};
use rollcall_identity::{CheckpointSink, Journal, JournalEntry, JournalError};

use super::{Appended, Batch, Server, Ticket};

/// A message to an actor.
pub(super) enum Message {
    Apply(Batch),
    /// The sessions of these accounts are to be updated, with the number of the update.
    UpdateMembership(AffectedAccounts, u64),
    Committed(JournalEntry<Appended>),
    Rejected(Appended, JournalError),
    /// Changes, and the receipt that waits for them.
    Publish(Publication, Option<PendingReceipt<Ticket>>),
    /// The outcome of a publication.
    Confirm(PendingReceipt<Ticket>, Visibility),
    Checkpoint(CheckpointSink),
    /// A request for the state, from this generation of the other actor.
    Export(u64),
}

/// One generation of an actor.
pub(super) struct Running<S> {
    pub(super) generation: u64,
    pub(super) state: S,
    pub(super) mailbox: VecDeque<Message>,
}

impl<S> Running<S> {
    pub(super) fn new(generation: u64, state: S) -> Self {
        Self { generation, state, mailbox: VecDeque::new() }
    }
}

impl Server {
    fn mailbox(&mut self, role: EngineRole) -> Option<&mut VecDeque<Message>> {
        match role {
            EngineRole::Cache => self.cache.as_mut().map(|cache| &mut cache.mailbox),
            EngineRole::Query => self.query.as_mut().map(|query| &mut query.mailbox),
        }
    }

    /// Delivers a message.
    pub(super) fn post(&mut self, role: EngineRole, message: Message) {
        match self.mailbox(role) {
            Some(mailbox) => mailbox.push_back(message),
            None => self.undelivered(message),
        }
    }

    /// Ends an actor, with the messages in its mailbox. Returns whether it ran.
    pub(in crate::simulation) fn end_actor(&mut self, role: EngineRole) -> bool {
        let Some(mailbox) = self.mailbox(role).map(std::mem::take) else { return false };
        match role {
            EngineRole::Cache => self.cache = None,
            EngineRole::Query => self.query = None,
        }
        mailbox.into_iter().for_each(|message| self.undelivered(message));
        true
    }

    /// No actor handles this message.
    pub(super) fn undelivered(&mut self, message: Message) {
        match message {
            Message::Apply(batch) => self.lose(batch.ticket),
            // The directory sends it again.
            Message::UpdateMembership(..) => {}
            Message::Committed(JournalEntry { batch, .. }) | Message::Rejected(batch, _) => {
                if let BatchOwner::Producer(ticket) = batch.ticket {
                    self.lose(ticket);
                }
            }
            Message::Publish(publication, Some(pending)) => {
                self.confirm(publication.generation, pending, Visibility::NotVisible);
            }
            Message::Publish(_, None) => {}
            Message::Confirm(mut pending, _) => {
                pending.ticket_mut().copied().into_iter().for_each(|ticket| self.lose(ticket));
            }
            Message::Checkpoint(_) => self.store.invalidate_checkpoint(),
            Message::Export(requester) => self.state_unavailable(requester),
        }
    }

    /// The cache of generation `sender` gets the outcome of its publication, unless it has ended.
    pub(super) fn confirm(
        &mut self,
        sender: u64,
        pending: PendingReceipt<Ticket>,
        visibility: Visibility,
    ) {
        let message = Message::Confirm(pending, visibility);
        match self.cache.as_ref().is_some_and(|cache| cache.generation == sender) {
            true => self.post(EngineRole::Cache, message),
            false => self.undelivered(message),
        }
    }

    /// The actor of this generation gets the state of the other, unless it has ended.
    pub(super) fn state_exported(&mut self, requester: u64, state: StateTransfer) {
        if let Some(cache) = self.cache.as_mut().filter(|cache| cache.generation == requester) {
            cache.state.peer_state(state);
            return self.carry_out();
        }
        if let Some(query) = self.query.as_mut().filter(|query| query.generation == requester) {
            match query.state.take_over(state) {
                Ok(()) => self.visible += 1,
                Err(_) => drop(self.end_actor(EngineRole::Query)),
            }
        }
    }

    /// The actor of this generation gets no state: it fails.
    fn state_unavailable(&mut self, requester: u64) {
        for role in ROLES {
            if self.waiting(role) == Some(requester) {
                self.end_actor(role);
            }
        }
    }

    /// The generation of an actor that waits for the state of the other.
    pub(super) fn waiting(&self, role: EngineRole) -> Option<u64> {
        let cache = self.cache.as_ref().filter(|cache| cache.state.awaits_state());
        let query = self.query.as_ref().filter(|query| query.state.model.is_none());
        match role {
            EngineRole::Cache => cache.map(|cache| cache.generation),
            EngineRole::Query => query.map(|query| query.generation),
        }
    }

    /// Ends the actors that wait for the state of the other for too long.
    pub(in crate::simulation) fn time_out(&mut self) -> bool {
        let late = ROLES.map(|role| self.waiting(role).is_some() && self.end_actor(role));
        late.contains(&true)
    }
}

/// Both actors.
const ROLES: [EngineRole; 2] = [EngineRole::Cache, EngineRole::Query];
