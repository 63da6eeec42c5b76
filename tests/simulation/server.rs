//! The server in small: the mailboxes between its actors and threads are queues here, and each of
//! them takes one step when it is told to. What is decided, the parts of the real server decide.

mod cache;
mod query;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rollcall_identity::{
    ChangeLog, Event, Journal, Legacy, Offices, Origin, Producer, ReadPosition, Revision, Rules,
    Table, Timestamp,
};

use self::cache::Cache;
use self::query::Query;
use super::faults::Fault;
use super::sources::name;
use super::store::Store;
use super::truth::{Kept, Promise};
use crate::harness::Account;

/// How many batches the cache's mailbox holds, and the journal's.
const MAILBOX: usize = 3;

/// Events on their way, of the producer at `site`; the cache's own have none.
pub(super) struct Batch {
    pub(super) site: Option<usize>,
    /// Which sending of the producer's they are of.
    pub(super) ticket: u64,
    pub(super) events: Vec<Event>,
    pub(super) read: Option<ReadPosition>,
}

impl Batch {
    /// What its producer hears when everything of it is taken.
    fn taken(&self, first: Revision) -> Option<Answer> {
        // Of a reading that gave no events, only how far it went was committed.
        let last = match self.events.len() as u64 {
            0 => Revision(0),
            count => Revision(first.0 + count - 1),
        };
        let Self { site, ticket, .. } = *self;
        site.map(|site| Answer { site, ticket, taken: Some(last) })
    }
}

/// What the producer at `site` hears of its sending `ticket`: the last position, or that it is not
/// known to have been taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) site: usize,
    pub(super) ticket: u64,
    pub(super) taken: Option<Revision>,
}

/// What the journal's thread is asked for.
enum Order {
    Write(Batch),
    /// How far the log of the producer at that site was read.
    Tell(usize),
    /// The table as everything committed folds to, for the cache of this term.
    Recall(u64),
}

/// One life of the server.
pub(super) struct Server {
    pub(super) store: Store,
    rules: Arc<Rules>,
    fault: Option<Fault>,
    offices: Offices,
    cache: Option<Cache>,
    query: Option<Query>,
    /// What a cache that was frozen and replaced has still to say.
    late: Vec<query::Letter>,
    orders: VecDeque<Order>,
    pub(super) answers: VecDeque<Answer>,
    /// The sites whose producers are told how far was read.
    pub(super) places: VecDeque<usize>,
    accounts: BTreeMap<usize, Account>,
    /// How often something became visible.
    pub(super) visible: u64,
    origin: Arc<Origin>,
}

impl Server {
    /// Starts with what lies in `store`, which is given back when it ends again on the way.
    pub(super) fn start(
        mut store: Store,
        (rules, now): (Arc<Rules>, Timestamp),
        fault: Option<Fault>,
    ) -> Result<Self, Box<Store>> {
        let Ok((table, folded)) = store.restore(&rules) else { return Err(Box::new(store)) };
        if store.disk.is_dead() {
            return Err(Box::new(store));
        }
        let (producer, client, form) = (name("cache"), name("clock"), name("logoff-time"));
        let mut server = Self {
            offices: Offices::new(store.epoch(), Legacy::of(table, folded)),
            store,
            rules,
            fault,
            cache: None,
            query: None,
            late: Vec::new(),
            orders: VecDeque::new(),
            answers: VecDeque::new(),
            places: VecDeque::new(),
            accounts: BTreeMap::new(),
            visible: 0,
            origin: Arc::new(Origin { kind: Producer::Cache, producer, client, form }),
        };
        server.hire(now);
        Ok(server)
    }

    /// Everything that is not on the disk is gone.
    pub(super) fn end(self) -> Store {
        self.store
    }

    /// The supervisor seats whoever is missing, the query actor first. Whether anybody was.
    pub(super) fn hire(&mut self, now: Timestamp) -> bool {
        let queries = self.query.is_none() && self.hire_query(now);
        let decides = self.cache.is_none() && self.hire_cache(now);
        queries | decides
    }

    /// Whoever waits for what the other holds has waited for too long.
    pub(super) fn lose_patience(&mut self) -> bool {
        let waits = self.cache.as_ref().is_some_and(Cache::asks);
        let stands = self.query.as_ref().is_some_and(|query| query.answerer.is_none());
        if waits {
            self.lose_cache();
        }
        if stands {
            self.lose_query();
        }
        waits | stands
    }

    /// Both wait for each other, and will until their patience ends.
    pub(super) fn is_stuck(&self) -> bool {
        let waits = self.cache.as_ref().is_some_and(Cache::asks);
        waits && self.query.as_ref().is_none_or(|query| query.answerer.is_none())
    }

    /// The log of changes, when somebody can answer from it.
    pub(super) fn log(&self) -> Option<&ChangeLog> {
        Some(self.query.as_ref()?.answerer.as_ref()?.log())
    }

    /// The table, when there is a cache that has taken over.
    pub(super) fn table(&self) -> Option<&Table> {
        Some(self.cache.as_ref()?.decider()?.table())
    }

    /// How far that is folded.
    pub(super) fn folded(&self) -> Option<Revision> {
        Some(self.cache.as_ref()?.decider()?.folded())
    }

    fn lose(&mut self, batch: &Batch, is_unseen: bool) {
        let Batch { site: Some(site), ticket, .. } = *batch else { return };
        if !is_unseen {
            self.accounts.entry(site).or_default().dropped += batch.events.len() as u64;
        }
        self.answers.push_back(Answer { site, ticket, taken: None });
    }

    /// The journal appends up to `most` batches, commits them together, and hands them back.
    pub(super) fn write(&mut self, most: usize) -> bool {
        let count = most.min(self.orders.len());
        let group: Vec<Order> = self.orders.drain(..count).collect();
        let (mut entries, mut recalls, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for order in group {
            match order {
                Order::Tell(site) => asked.push(site),
                Order::Recall(term) => recalls.push(term),
                Order::Write(batch) => self.append(batch, &mut entries),
            }
        }
        if !entries.is_empty() {
            self.commit(entries);
        }
        // After the commit: what stood before in the queue is in the answer.
        self.places.extend(asked);
        for term in recalls {
            self.recalled(term);
        }
        count > 0
    }

    fn append(&mut self, mut batch: Batch, entries: &mut Vec<(Revision, Batch)>) {
        if self.fault == Some(Fault::OrderReversed) {
            batch.events.reverse();
        }
        if self.fault == Some(Fault::BookmarkBeforeEvents) && batch.read.is_some() {
            let _ = self.store.append(&[], batch.read.as_ref());
            let _ = self.store.commit();
            batch.read = None;
        }
        match self.store.append(&batch.events, batch.read.as_ref()) {
            Ok(first) => entries.push((first, batch)),
            Err(_) => self.lose(&batch, false),
        }
    }

    fn commit(&mut self, entries: Vec<(Revision, Batch)>) {
        if self.fault == Some(Fault::AcknowledgedBeforeSync) {
            self.answers.extend(entries.iter().filter_map(|(first, batch)| batch.taken(*first)));
        }
        match self.store.commit() {
            Ok(_) => self.post_committed(entries),
            Err(_) => entries.iter().for_each(|(_, batch)| self.lose(batch, false)),
        }
    }

    /// The journal looks after itself.
    pub(super) fn tend(&mut self, now: Timestamp) -> bool {
        let Some(survey) = self.store.tend(now) else { return false };
        match &mut self.cache {
            Some(cache) => cache.mailbox.push_back(cache::Letter::TakeStock(survey)),
            None => self.store.unsettle(),
        }
        true
    }

    /// Whether nothing is under way; then every account must be closed.
    pub(super) fn is_idle(&self) -> bool {
        let decides = self.cache.as_ref().is_some_and(Cache::is_idle);
        let answers = self.query.as_ref().is_some_and(Query::is_idle);
        let is_told = self.answers.is_empty() && self.places.is_empty();
        let is_quiet = self.orders.is_empty() && self.late.is_empty() && is_told;
        decides && answers && is_quiet
    }

    /// received = applied + deduplicated + refused + dropped, when nothing is under way.
    pub(super) fn check_accounts(&self) -> Kept {
        let open = self.accounts.iter().find(|(_, account)| !account.is_closed());
        Promise::Account.unless(open.is_none(), || format!("{open:?}"))
    }
}
