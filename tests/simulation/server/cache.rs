//! The cache: a decider behind a queue, which ends now and then and is replaced by one that takes over.

use std::collections::VecDeque;

use rollcall_identity::{
    CheckpointSink, Decider, EngineRole, Event, Journal, JournalRequest, OwnershipLease, Revision,
    StartMode, Table, TableSnapshot, Takeover, Timestamp,
};

use super::query::{Letter as Told, Message};
use super::{Batch, MAILBOX, Question, Server};
use crate::simulation::faults::Fault;
use crate::simulation::truth::{Broken, Kept};

/// How many expiries are proposed at once.
const EXPIRIES: usize = 2;

/// What comes to the cache.
pub(super) enum Letter {
    Apply(Batch),
    Committed(Revision, Batch),
    TakeStock(CheckpointSink),
    /// Everything that is known, for the query actor of this tenure.
    Recount(OwnershipLease),
}

/// One cache.
pub(super) struct Cache {
    tenure: OwnershipLease,
    work: Work,
    pub(super) mailbox: VecDeque<Letter>,
}

/// What it is at.
enum Work {
    /// It waits for what the query actor holds.
    Asks,
    /// It waits for the journal; with what the query actor of that term holds, if that holds anything.
    Recalls(Option<(u64, TableSnapshot)>),
    Decides(Decider),
}

impl Cache {
    pub(super) fn asks(&self) -> bool {
        matches!(self.work, Work::Asks)
    }

    pub(super) fn decider(&self) -> Option<&Decider> {
        match &self.work {
            Work::Decides(decider) => Some(decider),
            Work::Asks | Work::Recalls(_) => None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.decider().is_some() && self.mailbox.is_empty()
    }

    pub(super) fn tenure(&self) -> OwnershipLease {
        self.tenure
    }
}

impl Server {
    /// Takes what a producer sent. What finds no room or nobody is refused, and counted.
    pub(in crate::simulation) fn receive(&mut self, mut batch: Batch) {
        if let Some(site) = batch.site {
            self.accounts.entry(site).or_default().received += batch.events.len() as u64;
        }
        if self.fault == Some(Fault::NoDeduplication) {
            let stamped = |event: &&mut Event| event.kind.begins() || event.kind.ends();
            batch.events.iter_mut().filter(stamped).for_each(|event| event.at = event.seen);
        }
        let room = self.cache.as_mut().filter(|cache| cache.mailbox.len() < MAILBOX);
        match room {
            Some(cache) => cache.mailbox.push_back(Letter::Apply(batch)),
            None => self.lose(&batch, self.fault == Some(Fault::DropWithoutCounter)),
        }
    }

    /// The producer at `site` asks how far was read, behind everything that was handed over before.
    /// Whether somebody takes the question.
    pub(in crate::simulation) fn ask_place(&mut self, site: usize) -> bool {
        let decides = self.cache.as_ref().is_some_and(|cache| cache.decider().is_some());
        if decides {
            self.orders.push_back(JournalRequest::Query(Question::Tell(site)));
        }
        decides
    }

    /// Somebody new is seated, and begins as far as that can be had. Whether anybody is.
    pub(super) fn hire_cache(&mut self, now: Timestamp) -> bool {
        let tenure = self.offices.acquire(EngineRole::Cache);
        let work = match self.offices.start(tenure, now) {
            StartMode::FromLog(legacy) => {
                Work::Decides(Decider::from_table(legacy.table, legacy.snapshot.newest))
            }
            StartMode::Empty => {
                self.orders.push_back(JournalRequest::Query(Question::Recall(tenure.generation())));
                Work::Recalls(None)
            }
            StartMode::FromPeer => {
                let Some(query) = &mut self.query else { return false };
                query.mailbox.push_back(Told { from: tenure, message: Message::Snapshot });
                Work::Asks
            }
        };
        self.cache = Some(Cache { tenure, work, mailbox: VecDeque::new() });
        true
    }

    /// The cache ends, with everything in its mailbox. Whether there was one.
    pub(in crate::simulation) fn lose_cache(&mut self) -> bool {
        let Some(cache) = self.cache.take() else { return false };
        self.offices.release(cache.tenure);
        self.abandon(cache);
        true
    }

    fn abandon(&mut self, cache: Cache) {
        for letter in cache.mailbox {
            match letter {
                Letter::Apply(batch) | Letter::Committed(_, batch) => self.lose(&batch, false),
                // Whoever asked hears that nobody is there.
                Letter::Recount(asks) => self.refuse(asks),
                Letter::TakeStock(_) => {}
            }
        }
    }

    /// The cache freezes in the middle of a batch, and is replaced; what it says of that comes later.
    pub(in crate::simulation) fn freeze_cache(&mut self, now: Timestamp) -> Kept {
        let is_folding = self.cache.as_ref().is_some_and(|cache| {
            matches!(cache.mailbox.front(), Some(Letter::Committed(..)))
                && cache.decider().is_some()
        });
        let query = self.query.as_mut().filter(|_| is_folding);
        let Some(told) = query.map(|query| query.mailbox.len()) else { return Ok(()) };
        self.fold(&mut |_, _| Ok(()))?;
        let letters = self.query.as_mut().map(|query| query.mailbox.split_off(told));
        self.late.extend(letters.into_iter().flatten());
        // It is not dropped: its place is filled while it still holds it.
        if let Some(frozen) = self.cache.take() {
            self.abandon(frozen);
        }
        self.hire_cache(now);
        Ok(())
    }

    /// It wakes up, and says what it was about to say.
    pub(in crate::simulation) fn thaw(&mut self) -> bool {
        let letters = std::mem::take(&mut self.late);
        let any = !letters.is_empty();
        for letter in letters {
            match &mut self.query {
                Some(query) => query.mailbox.push_back(letter),
                None => self.unheard(&letter),
            }
        }
        any
    }

    /// The query actor of the term `from` told the cache of this tenure what it holds.
    pub(super) fn told_estate(
        &mut self,
        cache: OwnershipLease,
        (from, handover): (u64, TableSnapshot),
    ) {
        let asks = |known: &&mut Cache| known.tenure == cache && known.asks();
        if let Some(cache) = self.cache.as_mut().filter(asks) {
            cache.work = Work::Recalls(Some((from, handover)));
            self.orders
                .push_back(JournalRequest::Query(Question::Recall(cache.tenure.generation())));
        }
    }

    /// The cache of this tenure hears that there is no query actor.
    pub(super) fn refuse_cache(&mut self, cache: OwnershipLease) {
        if self.cache.as_ref().is_some_and(|known| known.tenure == cache && known.asks()) {
            self.lose_cache();
        }
    }

    /// The journal has folded what the cache of this term asked for.
    pub(super) fn recalled(&mut self, term: u64) {
        let Ok(Some(kept)) = self.store.reload(&self.rules) else { return };
        let Some(cache) = self.cache.as_mut().filter(|cache| cache.tenure.generation() == term)
        else {
            return;
        };
        let (tenure, work) = (cache.tenure, std::mem::replace(&mut cache.work, Work::Asks));
        match work {
            Work::Recalls(None) => cache.work = Work::Decides(Decider::from_table(kept.0, kept.1)),
            Work::Recalls(Some(estate)) => self.take_over(tenure, estate, kept),
            other => cache.work = other,
        }
    }

    fn take_over(
        &mut self,
        tenure: OwnershipLease,
        (from, handover): (u64, TableSnapshot),
        kept: (Table, Revision),
    ) {
        if self.offices.complete_takeover(tenure, from).is_err() {
            self.lose_cache();
            return;
        }
        let Takeover { decider, unpublished: missed } = Decider::take_over(handover, Some(kept));
        if let Some(cache) = &mut self.cache {
            cache.work = Work::Decides(decider);
        }
        if self.fault != Some(Fault::SuccessorTellsNothing) {
            self.tell(Told { from: tenure, message: Message::Changed(missed, None) });
        }
    }

    /// What is committed comes to the cache. One that is gone loses it, and whoever waits hears so.
    pub(super) fn post_committed(&mut self, entries: Vec<(Revision, Batch)>) {
        for (first, batch) in entries {
            match &mut self.cache {
                Some(cache) => cache.mailbox.push_back(Letter::Committed(first, batch)),
                None => self.lose(&batch, false),
            }
        }
    }

    /// The cache takes its next letter; `each` looks at the table after every event. Whether there was
    /// one that it could take.
    pub(in crate::simulation) fn fold(
        &mut self,
        each: &mut dyn FnMut(&Event, &Table) -> Kept,
    ) -> Result<bool, Broken> {
        let Some(cache) = &mut self.cache else { return Ok(false) };
        let Work::Decides(decider) = &mut cache.work else { return Ok(false) };
        let Some(letter) = cache.mailbox.pop_front() else { return Ok(false) };
        match letter {
            Letter::TakeStock(survey) => survey(decider.snapshot()),
            Letter::Recount(query) => {
                let estate = (cache.tenure.generation(), decider.snapshot());
                self.told_recount(query, estate);
            }
            Letter::Apply(batch) if self.orders.len() < MAILBOX => {
                self.orders.push_back(JournalRequest::Append(batch));
            }
            Letter::Apply(batch) => self.lose(&batch, false),
            Letter::Committed(first, batch) if decider.is_pending(first, &batch.events) => {
                self.settle(first, &batch, each)?;
            }
            Letter::Committed(_, batch) => self.lose(&batch, false),
        }
        Ok(true)
    }

    fn settle(
        &mut self,
        first: Revision,
        batch: &Batch,
        each: &mut dyn FnMut(&Event, &Table) -> Kept,
    ) -> Kept {
        let Some(cache) = &mut self.cache else { return Ok(()) };
        let Work::Decides(decider) = &mut cache.work else { return Ok(()) };
        let (mut changes, mut kept) = (Vec::new(), Ok(()));
        let committed = (first, &*batch.events);
        let receipt = decider.apply_batch(committed, &self.rules, |event, table, decision| {
            changes.extend(decision.change);
            if kept.is_ok() {
                kept = each(event, table);
            }
        });
        kept?;
        if let Some(site) = batch.site {
            let known = self.accounts.entry(site).or_default();
            known.applied += receipt.applied as u64;
            known.deduplicated += receipt.deduplicated as u64;
            known.refused += receipt.refused as u64;
        }
        let message = Message::Changed(changes, batch.taken(first));
        let from = cache.tenure;
        self.tell(Told { from, message });
        Ok(())
    }

    /// The cache proposes the end of sessions whose time has passed, by the server's own clock or by
    /// the machine's.
    pub(in crate::simulation) fn expire(&mut self, (now, wall): (Timestamp, Timestamp)) -> bool {
        let now = if self.fault == Some(Fault::ExpiryByWallClock) { wall } else { now };
        if self.orders.len() >= MAILBOX {
            return false;
        }
        let Some(Cache { work: Work::Decides(decider), .. }) = &mut self.cache else {
            return false;
        };
        let events = decider.due_expiries(now, &self.origin, EXPIRIES);
        let is_due = !events.is_empty();
        if is_due {
            self.orders.push_back(JournalRequest::Append(Batch {
                site: None,
                ticket: 0,
                events,
                read: None,
            }));
        }
        is_due
    }
}
