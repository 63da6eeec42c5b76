//! The server: the state machines of the engine and the group commit of the journal, with queues in
//! place of mailboxes and threads. The scheduler moves one message at a time, and plants mistakes.

mod cache;
mod messages;
mod ownership;
mod query;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use rollcall_identity::engine::{
    BatchOwner, EngineRole, EventBatch, Generations, PendingReceipt, RecoveredState,
};
use rollcall_identity::{
    ChangeLog, GroupOutcome, Journal, JournalEntry, JournalRequest, Origin, Producer, Receipt,
    Revision, Rules, Table, Timestamp, commit_group,
};

use self::cache::Cache;
use self::messages::{Message, Running};
use self::ownership::{Owner, Owners};
use self::query::Query;
use super::directory::{DirectorySource, SharedDirectory};
use super::faults::Fault;
use super::sources::name;
use super::store::Store;
use super::truth::{Kept, Promise};
use crate::harness::Account;

/// How many batches the mailbox of the cache holds, and the queue of the journal.
const MAILBOX: usize = 3;

/// A batch of a producer.
pub(super) type Batch = EventBatch<Ticket>;

/// A batch on its way through the journal.
type Appended = EventBatch<BatchOwner<Ticket>>;

/// The sending of a producer that a batch belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) site: usize,
    pub(super) number: u64,
    /// The number of events that are not decided yet.
    pub(super) events: u64,
}

/// The answer to a sending: the last position, or that it is not known to be applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) site: usize,
    pub(super) ticket: u64,
    pub(super) taken: Option<Revision>,
}

/// A query to the journal.
enum Question {
    /// The read position of the producer at that site.
    Position(usize),
    /// The table, for the cache of this generation.
    Reload(u64),
}

/// One process of the server.
pub(super) struct Server {
    pub(super) store: Store,
    rules: Arc<Rules>,
    directory: SharedDirectory,
    directory_origin: Arc<Origin>,
    origin: Arc<Origin>,
    fault: Option<Fault>,
    now: Timestamp,
    /// The number of generations that the supervisor has started.
    generations: u64,
    owners: Owners,
    cache: Option<Running<Cache>>,
    query: Option<Running<Query>>,
    /// Caches that hung and were replaced, and the changes that they have still to publish.
    hung: Vec<Running<Cache>>,
    late: Vec<Message>,
    orders: VecDeque<JournalRequest<Appended, Question>>,
    pub(super) answers: VecDeque<Answer>,
    /// The sites whose producers get their read position.
    pub(super) places: VecDeque<usize>,
    /// The numbers of the membership updates that are complete.
    pub(super) updated: VecDeque<u64>,
    accounts: BTreeMap<usize, Account>,
    /// How often something became visible.
    pub(super) visible: u64,
}

impl Server {
    /// Starts with the content of `store`, which is returned when the process ends meanwhile.
    pub(super) fn start(
        mut store: Store,
        (rules, directory, now): (Arc<Rules>, &DirectorySource, Timestamp),
        fault: Option<Fault>,
    ) -> Result<Self, Box<Store>> {
        let Ok((table, applied)) = store.restore(&rules) else { return Err(Box::new(store)) };
        if store.disk.is_dead() {
            return Err(Box::new(store));
        }
        let recovered = RecoveredState::from_table(table, applied);
        let (producer, client, form) = (name("cache"), name("clock"), name("logoff-time"));
        let mut server = Self {
            owners: Owners::new(Generations::new(store.epoch(), recovered), fault),
            store,
            rules,
            directory: Rc::clone(&directory.directory),
            directory_origin: Arc::clone(&directory.origin),
            origin: Arc::new(Origin { kind: Producer::Cache, producer, client, form }),
            fault,
            now,
            generations: 0,
            cache: None,
            query: None,
            hung: Vec::new(),
            late: Vec::new(),
            orders: VecDeque::new(),
            answers: VecDeque::new(),
            places: VecDeque::new(),
            updated: VecDeque::new(),
            accounts: BTreeMap::new(),
            visible: 0,
        };
        server.start_actors(now);
        Ok(server)
    }

    /// Everything that is not on the disk is gone.
    pub(super) fn end(self) -> Store {
        self.store
    }

    /// Ownership for the next generation that the supervisor starts.
    fn acquire(&mut self, role: EngineRole) -> Owner {
        self.generations += 1;
        self.owners.acquire(role, self.generations)
    }

    /// The supervisor starts the actors that do not run, the query actor first. Returns whether any
    /// was started.
    pub(super) fn start_actors(&mut self, now: Timestamp) -> bool {
        let query = self.query.is_none() && self.start_query(now);
        let cache = self.cache.is_none() && self.start_cache(now);
        query | cache
    }

    /// Whether both wait for each other.
    pub(super) fn is_stuck(&self) -> bool {
        let query = self.query.as_ref().is_none_or(|query| query.state.model.is_none());
        query && self.waiting(EngineRole::Cache).is_some()
    }

    /// The change log, if the query actor answers.
    pub(super) fn log(&self) -> Option<&ChangeLog> {
        Some(self.query.as_ref()?.state.model.as_ref()?.log())
    }

    fn ready_cache(&self) -> Option<&Cache> {
        self.cache.as_ref().map(|cache| &cache.state).filter(|state| state.is_ready())
    }

    /// The table, if the cache has taken over.
    pub(super) fn table(&self) -> Option<&Table> {
        Some(self.ready_cache()?.table())
    }

    /// The last applied position.
    pub(super) fn applied(&self) -> Option<Revision> {
        Some(self.ready_cache()?.applied())
    }

    /// The producer at `site` requests its read position, behind everything submitted before.
    /// Returns whether the request is accepted.
    pub(super) fn request_position(&mut self, site: usize) -> bool {
        let is_ready = self.ready_cache().is_some();
        if is_ready {
            self.orders.push_back(JournalRequest::Query(Question::Position(site)));
        }
        is_ready
    }

    fn account(&mut self, ticket: Ticket) -> &mut Account {
        self.accounts.entry(ticket.site).or_default()
    }

    /// Counts a decided batch. Its events are not lost any more, whatever happens to the receipt.
    fn settle(&mut self, pending: &mut PendingReceipt<Ticket>) {
        let Receipt { applied, deduplicated, refused, .. } = *pending.receipt();
        let Some(ticket) = pending.ticket_mut() else { return };
        ticket.events = 0;
        let account = self.account(*ticket);
        account.applied += applied as u64;
        account.deduplicated += deduplicated as u64;
        account.refused += refused as u64;
    }

    /// A batch is lost, with its events that are not decided, or its receipt is.
    fn lose(&mut self, ticket: Ticket) {
        self.account(ticket).dropped += ticket.events;
        self.answers.push_back(Answer { site: ticket.site, ticket: ticket.number, taken: None });
    }

    /// Answers a producer.
    fn reply(&mut self, ticket: Ticket, receipt: Option<Receipt>) {
        match receipt {
            None => self.lose(ticket),
            Some(_) if self.fault == Some(Fault::AcknowledgedBeforeSync) => {}
            Some(_) if self.fault == Some(Fault::ReceiptLost) => {}
            Some(receipt) => {
                // Of a batch without events, only the read position was committed.
                let events = receipt.applied + receipt.deduplicated + receipt.refused;
                let revision = if events == 0 { Revision(0) } else { receipt.revision };
                self.acknowledge(ticket, revision);
            }
        }
    }

    fn acknowledge(&mut self, Ticket { site, number, .. }: Ticket, revision: Revision) {
        self.answers.push_back(Answer { site, ticket: number, taken: Some(revision) });
    }

    /// The journal appends up to `most` batches, commits them together, and hands them back.
    pub(super) fn write(&mut self, most: usize) -> bool {
        let count = most.min(self.orders.len());
        let mut group: Vec<_> = self.orders.drain(..count).collect();
        group.iter_mut().for_each(|order| self.mistake(order));
        self.be_early(&group);
        let GroupOutcome { committed, failed, queries } = commit_group(&mut self.store, group);
        for (batch, error) in failed {
            self.post(EngineRole::Cache, Message::Rejected(batch, error));
        }
        if self.fault != Some(Fault::PublishedBeforeCommit) {
            let entries = committed.into_iter().map(Message::Committed);
            entries.for_each(|entry| self.post(EngineRole::Cache, entry));
        }
        for question in queries {
            match question {
                Question::Position(site) => self.places.push_back(site),
                Question::Reload(generation) => self.reload(generation),
            }
        }
        count > 0
    }

    /// Mistakes before a batch is written.
    fn mistake(&mut self, order: &mut JournalRequest<Appended, Question>) {
        let JournalRequest::Append(batch) = order else { return };
        match self.fault {
            Some(Fault::OrderReversed) => batch.events.reverse(),
            Some(Fault::BookmarkBeforeEvents) if batch.read.is_some() => {
                let _ = self.store.append(&[], batch.read.take().as_ref());
                let _ = self.store.commit();
            }
            _ => {}
        }
    }

    /// Mistakes of a journal that takes an appended batch for a committed one.
    fn be_early(&mut self, group: &[JournalRequest<Appended, Question>]) {
        if self.store.write_error().is_some() {
            return;
        }
        let mut first = self.store.next();
        for order in group {
            let JournalRequest::Append(batch) = order else { continue };
            match (self.fault, &batch.ticket) {
                (Some(Fault::PublishedBeforeCommit), _) => {
                    let entry = JournalEntry { first, batch: batch.clone() };
                    self.post(EngineRole::Cache, Message::Committed(entry));
                }
                (Some(Fault::AcknowledgedBeforeSync), BatchOwner::Producer(ticket)) => {
                    let last = Revision((first.0 + batch.events.len() as u64).saturating_sub(1));
                    let is_empty = batch.events.is_empty();
                    self.acknowledge(*ticket, if is_empty { Revision(0) } else { last });
                }
                _ => {}
            }
            first.0 += batch.events.len() as u64;
        }
    }

    /// The journal runs its maintenance.
    pub(super) fn maintain(&mut self, now: Timestamp) -> bool {
        let Some(sink) = self.store.maintain(now) else { return false };
        self.post(EngineRole::Cache, Message::Checkpoint(sink));
        true
    }

    /// Whether nothing is in progress; then every account is closed.
    pub(super) fn is_idle(&self) -> bool {
        let decides = self.cache.as_ref().is_some_and(|cache| cache.mailbox.is_empty());
        let answers = self.query.as_ref().is_some_and(|query| query.mailbox.is_empty());
        let is_ready = self.table().is_some() && self.log().is_some();
        let is_idle = self.orders.is_empty() && self.late.is_empty() && self.hung.is_empty();
        is_ready
            && decides
            && answers
            && is_idle
            && self.answers.is_empty()
            && self.places.is_empty()
    }

    /// received = applied + deduplicated + refused + dropped, when nothing is in progress.
    pub(super) fn check_accounts(&self) -> Kept {
        let open = self.accounts.iter().find(|(_, account)| !account.is_closed());
        Promise::Account.unless(open.is_none(), || format!("{open:?}"))
    }
}
