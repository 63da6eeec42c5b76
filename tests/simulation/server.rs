//! The server in small: the mailboxes between its actors and threads are queues here, and each of
//! them takes one step when it is told to. What is decided, the parts of the real server decide.

mod cache;
mod query;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rollcall_identity::{
    ChangeLog, Event, Generations, GroupOutcome, Journal, JournalBatch, JournalRequest, Origin,
    Producer, ReadPosition, RecoveredState, Revision, Rules, Table, Timestamp, commit_group,
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

impl JournalBatch for Batch {
    fn events(&self) -> &[Event] {
        &self.events
    }

    fn read_position(&self) -> Option<&ReadPosition> {
        self.read.as_ref()
    }
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

/// What the journal's thread is asked beside what it is to write.
enum Question {
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
    offices: Generations,
    cache: Option<Cache>,
    query: Option<Query>,
    /// What a cache that was frozen and replaced has still to say.
    late: Vec<query::Letter>,
    orders: VecDeque<JournalRequest<Batch, Question>>,
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
            offices: Generations::new(store.epoch(), RecoveredState::from_table(table, folded)),
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
        Some(self.cache.as_ref()?.decider()?.applied())
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
        let mut group: Vec<_> = self.orders.drain(..count).collect();
        group.iter_mut().for_each(|order| self.mistake(order));
        if self.fault == Some(Fault::AcknowledgedBeforeSync) {
            self.acknowledge(&group);
        }
        let GroupOutcome { committed, failed: refused, queries: asked } =
            commit_group(&mut self.store, group);
        refused.iter().for_each(|(batch, _)| self.lose(batch, false));
        self.post_committed(committed);
        for question in asked {
            match question {
                Question::Tell(site) => self.places.push_back(site),
                Question::Recall(term) => self.recalled(term),
            }
        }
        count > 0
    }

    /// What can be done wrong before a batch is written.
    fn mistake(&mut self, order: &mut JournalRequest<Batch, Question>) {
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

    /// Whoever waits hears that it is taken, before it is.
    fn acknowledge(&mut self, group: &[JournalRequest<Batch, Question>]) {
        let mut first = self.store.next();
        for order in group.iter().filter(|_| self.store.write_error().is_none()) {
            if let JournalRequest::Append(batch) = order {
                self.answers.extend(batch.taken(first));
                first.0 += batch.events.len() as u64;
            }
        }
    }

    /// The journal looks after itself.
    pub(super) fn tend(&mut self, now: Timestamp) -> bool {
        let Some(survey) = self.store.maintain(now) else { return false };
        match &mut self.cache {
            Some(cache) => cache.mailbox.push_back(cache::Letter::TakeStock(survey)),
            None => self.store.invalidate_checkpoint(),
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
