//! The query actor: the read model. It holds the compacted log of changes and answers consumers from
//! it: SRX firewalls, push targets, REST, the live stream.

mod lookup;

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
use rollcall_identity::engine::{Ownership, ReadModel, StateTransfer, Visibility};
use rollcall_identity::{
    ChangeLogLimits, Cursor, Page, PageRequest, Revision, SearchPage, Session,
};
use tokio::sync::watch;

use crate::failover::{NotReady, OwnershipGuard, StateSource};
use crate::telemetry::{EventsVisible, QueryRestored};
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

pub use self::lookup::AddressLookup;
pub(crate) use self::lookup::PublishedLog;

use self::lookup::SharedLog;

/// What the query actor publishes besides its replies.
#[derive(Clone)]
pub(crate) struct QueryOutputs {
    /// The newest revision.
    pub newest: watch::Sender<Revision>,
    /// Its log, from the moment at which it answers.
    pub published: PublishedLog,
}

/// The actor.
pub struct Query {
    ownership: OwnershipGuard,
    log: SharedLog,
    limits: ChangeLogLimits,
    cache: StateSource,
    outputs: QueryOutputs,
    clock: Clock,
}

impl Query {
    /// A query actor that starts from the state of `cache`, if there was one before. It publishes its
    /// newest revision and its log to `outputs`.
    pub(crate) fn new(
        ownership: OwnershipGuard,
        limits: ChangeLogLimits,
        cache: StateSource,
        outputs: QueryOutputs,
        clock: Clock,
    ) -> Self {
        // The log of the generation before is incomplete from now on.
        outputs.published.publish(ownership.generation(), None);
        let log = Arc::new(RwLock::new(ReadModel::new(ownership.epoch(), limits)));
        Self { ownership, log, limits, cache, outputs, clock }
    }

    fn take_over(&mut self, state: StateTransfer) -> Result<(), NotReady> {
        let sessions = state.snapshot.sessions.len();
        let model = ReadModel::take_over(&self.ownership, self.limits, state)?;
        QueryRestored { sessions }.emit();
        self.start_with(model);
        Ok(())
    }

    /// Answers from now on.
    fn start_with(&mut self, model: ReadModel) {
        let newest = model.log().newest();
        *self.write() = model;
        self.outputs.newest.send_replace(newest);
        self.outputs.published.publish(self.ownership.generation(), Some(&self.log));
    }

    fn read(&self) -> RwLockReadGuard<'_, ReadModel> {
        // Only this actor writes, and after a panic it handles no more messages.
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
        if let Some(model) = ReadModel::start(&self.ownership, self.limits, self.clock.now()) {
            return self.start_with(model);
        }
        let state = (self.cache)();
        // No answer before it has the state of the generation before: an empty answer would end sessions.
        context.wait(wrap_future::<_, ActorCell<Self>>(state).map(|state, cell, context| {
            if let Err(not_ready) = state.and_then(|state| cell.actor().take_over(state)) {
                cell.fail(not_ready, context);
            }
        }));
    }
}

impl Handler<PublishChanges> for Query {
    fn handle(
        &mut self,
        PublishChanges(publication): PublishChanges,
        _: &mut Context<Self>,
    ) -> Reply<Visibility> {
        let now = self.clock.now();
        let mut model = self.write();
        let visibility = model.publish(&publication, now);
        let newest = model.log().newest();
        drop(model);
        if visibility == Visibility::Visible {
            for (received, count) in publication.received {
                EventsVisible { delay: now.since(received), count }.emit();
            }
            if !publication.changes.is_empty() {
                self.outputs.newest.send_replace(newest);
            }
        }
        Reply::Now(visibility)
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
        let model = self.read();
        Reply::Now(Cursor::new(model.log().epoch(), model.log().newest()))
    }
}

impl Handler<GetOldestCursor> for Query {
    fn handle(&mut self, _: GetOldestCursor, _: &mut Context<Self>) -> Reply<Cursor> {
        let model = self.read();
        Reply::Now(Cursor::new(model.log().epoch(), model.log().oldest()))
    }
}

impl Handler<ExportLog> for Query {
    fn handle(
        &mut self,
        ExportLog(cache): ExportLog,
        _: &mut Context<Self>,
    ) -> Reply<StateTransfer> {
        let fenced = self.write().fence(cache);
        // Lookups of one address do not wait while a million sessions are exported.
        Reply::Now(self.read().export(&fenced, self.ownership.generation()))
    }
}
