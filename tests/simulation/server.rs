//! The server in small: the mailboxes between its actors and threads are queues here, and each of
//! them takes one step when it is told to. What is decided, the parts of the real server decide.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rollcall_identity::{
    Change, ChangeLog, Event, Journal, Limits, Origin, Producer, ReadPosition, Revision, Rules,
    Survey, Table, Timestamp, Verdict,
};

use super::faults::Fault;
use super::sources::name;
use super::store::Store;
use super::truth::{Broken, Kept, Promise};
use crate::harness::Account;

/// How many batches the cache's mailbox holds, and the journal's.
const MAILBOX: usize = 3;

/// How many expiries are proposed at once.
const EXPIRIES: usize = 2;

/// Events on their way, of the producer at `site`; the cache's own have none.
pub(super) struct Batch {
    pub(super) site: Option<usize>,
    /// Which sending of the producer's they are of.
    pub(super) ticket: u64,
    pub(super) events: Vec<Event>,
    pub(super) read: Option<ReadPosition>,
}

/// What the producer at `site` hears of its sending `ticket`: the last position, or that nothing of
/// it was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) site: usize,
    pub(super) ticket: u64,
    pub(super) taken: Option<Revision>,
}

/// What the journal posts to the cache.
enum Posted {
    Committed(Revision, Batch),
    TakeStock(Survey),
}

/// What the cache posts to the query actor.
struct Shown {
    changes: Vec<Change>,
    answer: Option<Answer>,
}

/// One life of the server.
pub(super) struct Server {
    pub(super) store: Store,
    pub(super) table: Table,
    pub(super) log: ChangeLog,
    rules: Arc<Rules>,
    folded: Revision,
    fault: Option<Fault>,
    mailbox: VecDeque<Batch>,
    orders: VecDeque<Batch>,
    posted: VecDeque<Posted>,
    shown: VecDeque<Shown>,
    pub(super) answers: VecDeque<Answer>,
    accounts: BTreeMap<usize, Account>,
    /// Whether something became visible since somebody looked last.
    pub(super) noticed: bool,
    origin: Arc<Origin>,
}

impl Server {
    /// Starts with what lies in `store`, which is given back when it ends again on the way.
    pub(super) fn start(
        mut store: Store,
        rules: Arc<Rules>,
        fault: Option<Fault>,
    ) -> Result<Self, Box<Store>> {
        let Ok((table, folded)) = store.restore(&rules) else { return Err(Box::new(store)) };
        if store.disk.is_dead() {
            return Err(Box::new(store));
        }
        let log = ChangeLog::restore(store.epoch(), Limits::default(), table.hand_over(folded));
        let (producer, client, form) = (name("cache"), name("clock"), name("logoff-time"));
        Ok(Self {
            store,
            table,
            log,
            rules,
            folded,
            fault,
            mailbox: VecDeque::new(),
            orders: VecDeque::new(),
            posted: VecDeque::new(),
            shown: VecDeque::new(),
            answers: VecDeque::new(),
            accounts: BTreeMap::new(),
            noticed: true,
            origin: Arc::new(Origin { kind: Producer::Cache, producer, client, form }),
        })
    }

    /// Everything that is not on the disk is gone.
    pub(super) fn end(self) -> Store {
        self.store
    }

    /// Takes what a producer sent. What finds no room is refused, and counted.
    pub(super) fn receive(&mut self, mut batch: Batch) {
        if let Some(site) = batch.site {
            self.accounts.entry(site).or_default().received += batch.events.len() as u64;
        }
        if self.fault == Some(Fault::NoDeduplication) {
            let stamped = |event: &&mut Event| event.kind.begins() || event.kind.ends();
            batch.events.iter_mut().filter(stamped).for_each(|event| event.at = event.seen);
        }
        match self.mailbox.len() < MAILBOX {
            true => self.mailbox.push_back(batch),
            false => self.lose(batch, self.fault == Some(Fault::DropWithoutCounter)),
        }
    }

    fn lose(&mut self, batch: Batch, is_unseen: bool) {
        let Batch { site: Some(site), ticket, events, .. } = batch else { return };
        if !is_unseen {
            self.accounts.entry(site).or_default().dropped += events.len() as u64;
        }
        self.answers.push_back(Answer { site, ticket, taken: None });
    }

    /// The cache hands the next batch to the journal.
    pub(super) fn order(&mut self) -> bool {
        let Some(batch) = self.mailbox.pop_front() else { return false };
        match self.orders.len() < MAILBOX {
            true => self.orders.push_back(batch),
            false => self.lose(batch, false),
        }
        true
    }

    /// The journal appends up to `most` batches, commits them together, and hands them back.
    pub(super) fn write(&mut self, most: usize) -> bool {
        let count = most.min(self.orders.len());
        let group: Vec<Batch> = self.orders.drain(..count).collect();
        let mut entries = Vec::new();
        for mut batch in group {
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
                Err(_) => self.lose(batch, false),
            }
        }
        if entries.is_empty() {
            return count > 0;
        }
        if self.fault == Some(Fault::AcknowledgedBeforeSync) {
            self.answers.extend(entries.iter().filter_map(|(first, batch)| taken(*first, batch)));
        }
        match self.store.commit() {
            Ok(_) => {
                let entries = entries.into_iter().map(|(first, b)| Posted::Committed(first, b));
                self.posted.extend(entries);
            }
            Err(_) => entries.into_iter().for_each(|(_, batch)| self.lose(batch, false)),
        }
        true
    }

    /// The cache takes the next thing that the journal posted; `each` looks at the table after every
    /// event.
    pub(super) fn fold(
        &mut self,
        mut each: impl FnMut(&Event, &Table) -> Kept,
    ) -> Result<bool, Broken> {
        let (first, batch) = match self.posted.pop_front() {
            None => return Ok(false),
            Some(Posted::TakeStock(survey)) => {
                survey(self.table.hand_over(self.folded));
                return Ok(true);
            }
            Some(Posted::Committed(first, batch)) => (first, batch),
        };
        let mut changes = Vec::new();
        let mut account = Account::default();
        for (event, position) in batch.events.iter().zip(first.0..) {
            self.folded = Revision(position);
            let decision = self.table.apply(self.folded, event, &self.rules);
            match decision.verdict {
                Verdict::Applied(_) => account.applied += 1,
                Verdict::Deduplicated => account.deduplicated += 1,
                Verdict::Refused(_) => account.refused += 1,
            }
            changes.extend(decision.change);
            each(event, &self.table)?;
        }
        if let Some(site) = batch.site {
            let known = self.accounts.entry(site).or_default();
            known.applied += account.applied;
            known.deduplicated += account.deduplicated;
            known.refused += account.refused;
        }
        self.shown.push_back(Shown { changes, answer: taken(first, &batch) });
        Ok(true)
    }

    /// The query actor takes in the next changes, and then whoever waits for them is answered.
    pub(super) fn show(&mut self, now: Timestamp) -> bool {
        let Some(Shown { changes, answer }) = self.shown.pop_front() else { return false };
        changes.iter().for_each(|change| self.log.apply(change, now));
        self.noticed |= !changes.is_empty();
        if self.fault != Some(Fault::AcknowledgedBeforeSync) {
            self.answers.extend(answer);
        }
        true
    }

    /// The journal looks after itself.
    pub(super) fn tend(&mut self, now: Timestamp) -> bool {
        let survey = self.store.tend(now);
        let asked = survey.is_some();
        self.posted.extend(survey.map(Posted::TakeStock));
        asked
    }

    /// The cache proposes the end of sessions whose time has passed, by the server's own clock or by
    /// the machine's.
    pub(super) fn expire(&mut self, (now, wall): (Timestamp, Timestamp)) -> bool {
        let now = if self.fault == Some(Fault::ExpiryByWallClock) { wall } else { now };
        if self.orders.len() >= MAILBOX {
            return false;
        }
        let events = self.table.due(now, &self.origin, EXPIRIES);
        let is_due = !events.is_empty();
        if is_due {
            self.orders.push_back(Batch { site: None, ticket: 0, events, read: None });
        }
        is_due
    }

    /// Whether nothing is under way; then every account must be closed.
    pub(super) fn is_idle(&self) -> bool {
        let queues = [self.mailbox.len(), self.orders.len(), self.posted.len(), self.shown.len()];
        queues == [0; 4] && self.answers.is_empty()
    }

    /// received = applied + deduplicated + refused + dropped, when nothing is under way.
    pub(super) fn check_accounts(&self) -> Kept {
        let open = self.accounts.iter().find(|(_, account)| !account.is_closed());
        Promise::Account.unless(open.is_none(), || format!("{open:?}"))
    }
}

fn taken(first: Revision, batch: &Batch) -> Option<Answer> {
    // Of a reading that gave no events, only how far it went was committed.
    let last = match batch.events.len() as u64 {
        0 => Revision(0),
        count => Revision(first.0 + count - 1),
    };
    let Batch { site, ticket, .. } = *batch;
    site.map(|site| Answer { site, ticket, taken: Some(last) })
}
