//! The query actor: an answerer behind a queue, which ends now and then and is replaced by one that
//! takes over from the cache.

use std::collections::VecDeque;

use rollcall_identity::{
    Change, ChangeLogLimits, EngineRole, OwnershipLease, ReadModel, StartMode, TableSnapshot,
    Timestamp,
};

use super::cache::Letter as ToCache;
use super::{Answer, Server};
use crate::simulation::faults::Fault;

/// What comes to the query actor, from the cache of that tenure.
pub(super) struct Letter {
    pub(super) from: OwnershipLease,
    pub(super) message: Message,
}

/// What it says.
pub(super) enum Message {
    /// What became true, and who waits for it to be visible.
    Changed(Vec<Change>, Option<Answer>),
    /// It asks for everything that is known.
    Snapshot,
}

/// One query actor.
pub(super) struct Query {
    tenure: OwnershipLease,
    /// Nothing while it waits for what the cache holds.
    pub(super) answerer: Option<ReadModel>,
    pub(super) mailbox: VecDeque<Letter>,
}

impl Query {
    pub(super) fn is_idle(&self) -> bool {
        self.answerer.is_some() && self.mailbox.is_empty()
    }
}

impl Server {
    /// Somebody new is seated, and begins as far as that can be had. Whether anybody is.
    pub(super) fn hire_query(&mut self, now: Timestamp) -> bool {
        let tenure = self.offices.acquire(EngineRole::Query);
        let answerer = match self.offices.start(tenure, now) {
            StartMode::FromLog(legacy) => Some(self.answerer(0, legacy.snapshot)),
            StartMode::FromPeer | StartMode::Empty => {
                let Some(cache) = &mut self.cache else { return false };
                cache.mailbox.push_back(ToCache::Recount(tenure));
                None
            }
        };
        self.query = Some(Query { tenure, answerer, mailbox: VecDeque::new() });
        true
    }

    fn answerer(&mut self, decider: u64, known: TableSnapshot) -> ReadModel {
        self.visible += 1;
        ReadModel::resume((self.offices.epoch(), ChangeLogLimits::default()), decider, known)
    }

    /// The query actor ends, with everything in its mailbox. Whether there was one.
    pub(in crate::simulation) fn lose_query(&mut self) -> bool {
        let Some(query) = self.query.take() else { return false };
        self.offices.release(query.tenure);
        query.mailbox.iter().for_each(|letter| self.unheard(letter));
        true
    }

    /// Nobody hears this: whoever waits for it learns so.
    pub(super) fn unheard(&mut self, letter: &Letter) {
        match &letter.message {
            Message::Changed(_, answer) => {
                self.answers.extend((*answer).map(|answer| Answer { taken: None, ..answer }));
            }
            Message::Snapshot => self.refuse_cache(letter.from),
        }
    }

    /// The query actor of this tenure hears that there is no cache.
    pub(super) fn refuse(&mut self, query: OwnershipLease) {
        let waits = |known: &&Query| known.tenure == query && known.answerer.is_none();
        if self.query.as_ref().filter(waits).is_some() {
            self.lose_query();
        }
    }

    /// The cache of the term `from` told the query actor of this tenure what it holds.
    pub(super) fn told_recount(
        &mut self,
        query: OwnershipLease,
        (from, known): (u64, TableSnapshot),
    ) {
        let waits = |known: &&Query| known.tenure == query && known.answerer.is_none();
        if self.query.as_ref().filter(waits).is_none() {
            return;
        }
        if self.offices.complete_takeover(query, from).is_err() {
            self.lose_query();
            return;
        }
        let answerer = self.answerer(from, known);
        if let Some(query) = &mut self.query {
            query.answerer = Some(answerer);
        }
    }

    /// Sends it, when somebody is there.
    pub(super) fn tell(&mut self, letter: Letter) {
        match &mut self.query {
            Some(query) => query.mailbox.push_back(letter),
            None => self.unheard(&letter),
        }
    }

    /// The query actor takes its next letter: changes are taken in, and then whoever waits for them is
    /// answered.
    pub(in crate::simulation) fn show(&mut self, now: Timestamp) -> bool {
        let Some(query) = &mut self.query else { return false };
        let Some(answerer) = &mut query.answerer else { return false };
        let Some(Letter { from, message }) = query.mailbox.pop_front() else { return false };
        let (changes, answer) = match message {
            Message::Changed(changes, answer) => (changes, answer),
            Message::Snapshot => {
                answerer.fence(from.generation());
                let estate = (query.tenure.generation(), answerer.snapshot());
                self.told_estate(from, estate);
                return true;
            }
        };
        let is_heard = answerer.apply(from.generation(), &changes, now);
        self.visible += u64::from(is_heard && !changes.is_empty());
        if self.fault != Some(Fault::AcknowledgedBeforeSync) {
            // Of a cache that is gone, nobody is left who would answer.
            let is_there = self.cache.as_ref().is_some_and(|cache| cache.tenure() == from);
            self.answers.extend(
                answer.map(|answer| Answer { taken: answer.taken.filter(|_| is_there), ..answer }),
            );
        }
        true
    }
}
