//! The query actor: holds the compacted log of changes and answers everyone who asks from it: SRX
//! firewalls, REST, the live stream.

mod view;

use crate::messages::ExportLog;
use crate::messages::GetNewestCursor;
use crate::messages::GetOldestCursor;
use crate::messages::LookupAddress;
use crate::messages::PublishChanges;
use crate::messages::ReadChanges;
use crate::messages::SearchSessions;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_identity::{
    Address, Change, ChangeLogLimits, Cursor, Filter, Page, PageRequest, ReadModel, Revision,
    SearchPage, Session, StartMode, TableSnapshot, Timestamp,
};
use tokio::sync::watch;

use crate::cache::Cache;
use crate::failover::{NotReady, OwnershipGuard, estate};
use crate::messages::ExportTable;
use crate::messages::StateTransfer;
use crate::telemetry::{LogRestored, Visible};
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

pub use self::view::AddressLookup;
pub(crate) use self::view::PublishedLog;

use self::view::Log;

/// What others see of the query actor without asking it.
#[derive(Clone)]
pub(crate) struct QueryOutputs {
    /// How far it knows.
    pub newest: watch::Sender<Revision>,
    /// Its log, once it answers.
    pub window: PublishedLog,
}

/// The role.
pub struct Query {
    term: OwnershipGuard,
    log: Log,
    limits: ChangeLogLimits,
    cache: Mailbox<Cache>,
    front: QueryOutputs,
    clock: Clock,
}

impl Query {
    /// A query actor that begins with what `cache` holds, if a cache ever held anything. It tells
    /// `front` how far it knows, and shows its log there.
    pub(crate) fn new(
        term: OwnershipGuard,
        limits: ChangeLogLimits,
        cache: Mailbox<Cache>,
        front: QueryOutputs,
        clock: Clock,
    ) -> Self {
        // What a predecessor knew is not enough any more.
        front.window.show(term.number(), None);
        let log = Arc::new(RwLock::new(ReadModel::new(term.epoch(), limits)));
        Self { term, log, limits, cache, front, clock }
    }

    fn take_over(
        &mut self,
        StateTransfer { term, handover }: StateTransfer,
    ) -> Result<(), NotReady> {
        self.term.succeed(term)?;
        LogRestored { sessions: handover.sessions.len() }.emit();
        self.begin_with(term, handover);
        Ok(())
    }

    /// Answers from now on, out of what the cache of the term `decider` knows.
    fn begin_with(&mut self, decider: u64, known: TableSnapshot) {
        let answerer = ReadModel::resume((self.term.epoch(), self.limits), decider, known);
        let newest = answerer.log().newest();
        *self.write() = answerer;
        self.front.newest.send_replace(newest);
        self.front.window.show(self.term.number(), Some(&self.log));
    }

    fn read(&self) -> RwLockReadGuard<'_, ReadModel> {
        // Only this actor writes, and after a panic it handles nothing more.
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ReadModel> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Actor for Query {
    const KIND: &'static str = "query";
    const STAGE: Stage = Stage::Answering;
    const CAPACITY: usize = 1024;

    fn started(&mut self, context: &mut Context<Self>) {
        match self.term.begin(self.clock.now()) {
            StartMode::FromPeer => {}
            StartMode::FromLog(legacy) => return self.begin_with(0, legacy.snapshot),
            StartMode::Empty => return,
        }
        let cache = self.cache.clone();
        let estate = async move { estate(&cache, ExportTable).await };
        // No answer before it holds what its predecessor held: an empty one would end sessions.
        context.wait(wrap_future::<_, ActorCell<Self>>(estate).map(|estate, cell, context| {
            if let Err(vacant) = estate.and_then(|estate| cell.actor().take_over(estate)) {
                cell.fail(vacant, context);
            }
        }));
    }
}

impl Handler<PublishChanges> for Query {
    fn handle(&mut self, changed: PublishChanges, _: &mut Context<Self>) -> Reply<()> {
        let now = self.clock.now();
        let mut answerer = self.write();
        if !answerer.apply(changed.term, &changed.changes, now) {
            return Reply::Now(());
        }
        let newest = answerer.log().newest();
        drop(answerer);
        for (seen, count) in changed.seen {
            Visible { delay: now.since(seen), count }.emit();
        }
        if !changed.changes.is_empty() {
            self.front.newest.send_replace(newest);
        }
        Reply::Now(())
    }
}

impl Handler<ReadChanges> for Query {
    fn handle(&mut self, read: ReadChanges, _: &mut Context<Self>) -> Reply<Page> {
        let ReadChanges { cursor, since, filter, limit } = read;
        let now = self.clock.now();
        Reply::Now(self.read().log().read(&PageRequest {
            cursor,
            since,
            filter: &filter,
            limit,
            now,
        }))
    }
}

impl Handler<LookupAddress> for Query {
    fn handle(
        &mut self,
        LookupAddress(address): LookupAddress,
        _: &mut Context<Self>,
    ) -> Reply<Option<Arc<Session>>> {
        Reply::Now(self.read().log().get(address, self.clock.now()).map(Arc::clone))
    }
}

impl Handler<SearchSessions> for Query {
    fn handle(&mut self, search: SearchSessions, _: &mut Context<Self>) -> Reply<SearchPage> {
        let SearchSessions { after, limit, wanted } = search;
        Reply::Now(
            self.read().log().search(after, limit, self.clock.now(), |session| wanted(session)),
        )
    }
}

impl Handler<GetNewestCursor> for Query {
    fn handle(&mut self, _: GetNewestCursor, _: &mut Context<Self>) -> Reply<Cursor> {
        let answerer = self.read();
        Reply::Now(Cursor::new(answerer.log().epoch(), answerer.log().newest()))
    }
}

impl Handler<GetOldestCursor> for Query {
    fn handle(&mut self, _: GetOldestCursor, _: &mut Context<Self>) -> Reply<Cursor> {
        let answerer = self.read();
        Reply::Now(Cursor::new(answerer.log().epoch(), answerer.log().oldest()))
    }
}

impl Handler<ExportLog> for Query {
    fn handle(
        &mut self,
        ExportLog(cache): ExportLog,
        _: &mut Context<Self>,
    ) -> Reply<StateTransfer> {
        self.write().fence(cache);
        // Whoever looks an address up does not wait for a million sessions to be told.
        let handover = self.read().snapshot();
        Reply::Now(StateTransfer { term: self.term.number(), handover })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_waited_since_it_was_received_itself() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_400));
        let mut changed = PublishChanges::by(1, 4);
        for seen in [early, early, late, early] {
            changed.note(seen, None);
        }
        assert_eq!(changed.seen, [(early, 2), (late, 1), (early, 1)]);
    }
}
