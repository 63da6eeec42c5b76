//! The cache actor carries messages to the [`CacheState`] machine and carries out its outputs. The
//! machine decides, and holds the rules of order.

mod outputs;

use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorStreamExt, wrap_stream};
use actix::prelude::*;
use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream};
use hashbrown::HashMap;
use rollcall_identity::engine::{
    CacheSettings, CacheState, DecidedBatch, EventBatch, PendingReceipt, StateTransfer,
    VerdictCount, Visibility,
};
use rollcall_identity::{
    CheckpointSink, Explanation, JournalEntry, JournalError, Name, Origin, Producer, Receipt, Rules,
};
use tokio::sync::oneshot;

use crate::directory::SharedDirectory;
use crate::failover::OwnershipGuard;
use crate::messages::{
    Apply, ApplyError, Batch, Committed, Explain, ExportTable, GetReadPosition, PublishChanges,
    Rejected, TakeCheckpoint, Ticket, UpdateMembership,
};
use crate::query::Query;
use crate::telemetry::{ClientSessions, Decided, QUOTA_WARNING, SessionLimit, TableSize};
use rollcall_journal::{CommitSink, JournalWriter};
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The cache mailbox as the sink of the journal.
pub(crate) struct CacheSink(pub Mailbox<Cache>);

impl CommitSink<Batch> for CacheSink {
    /// Bounded by the batches that the cache itself has handed over. A cache that has ended drops the
    /// entries and their receipts, and the waiting senders get an error.
    fn committed(&self, entries: Vec<JournalEntry<Batch>>, rules: Arc<Rules>) {
        drop(self.0.post(Committed(entries, rules)));
    }

    fn rejected(&self, batch: Batch, error: JournalError) {
        drop(self.0.post(Rejected(batch, error)));
    }

    fn checkpoint(&self, sink: CheckpointSink) -> bool {
        self.0.post(TakeCheckpoint(sink)).is_ok()
    }
}

/// The maximum number of expiry events per batch.
const MAX_EXPIRIES: usize = 1024;

/// The number of accounts and addresses per slice of a membership update. Other messages are handled
/// between slices.
const SLICE: usize = 1024;

/// The interval at which ended sessions and refusals that no longer matter are discarded.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// The interval at which expired sessions are looked for and rejected slices are submitted again.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// The inputs of decisions besides events and sessions.
#[derive(Clone)]
pub(crate) struct DecisionInputs {
    /// The effective rules.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The directory.
    pub directory: SharedDirectory,
}

/// The single writer of the table.
pub struct Cache {
    state: CacheState<Ticket, oneshot::Sender<()>, OwnershipGuard>,
    inputs: DecisionInputs,
    journal: JournalWriter<Batch>,
    query: Mailbox<Query>,
    clock: Clock,
    /// The sessions of each client when they were last reported.
    reported: HashMap<(Name, Name), (usize, Option<usize>)>,
}

impl Cache {
    /// A cache that takes its table from the journal or from `query`, and then applies what `journal`
    /// commits by the rules stored with it.
    pub(crate) fn new(
        ownership: OwnershipGuard,
        inputs: DecisionInputs,
        journal: JournalWriter<Batch>,
        query: Mailbox<Query>,
        clock: Clock,
    ) -> Self {
        let name = |text| Name::new(text).expect("a word of our own is a name");
        let origin = Arc::new(Origin {
            kind: Producer::Cache,
            producer: name("cache"),
            client: name("clock"),
            form: name("logoff-time"),
        });
        let settings = CacheSettings { origin, expiries: MAX_EXPIRIES, slice: SLICE };
        let state = CacheState::new(ownership, settings);
        Self { state, inputs, journal, query, clock, reported: HashMap::new() }
    }

    /// Posts the changes of a decided batch to the query actor before it counts the events, so that
    /// every counted event becomes visible. The future gives the outcome.
    fn publish(
        &self,
        DecidedBatch { publication, counts, mut pending }: DecidedBatch<Ticket>,
    ) -> impl Future<Output = (PendingReceipt<Ticket>, Visibility)> + use<> {
        // Posted here and not in the future, so that changes stay in order. The number of posts is
        // bounded by the batches that wait for these receipts.
        let posted = self.query.post(PublishChanges(publication));
        for VerdictCount { origin, verdict, ungranted, count } in &counts {
            let (verdict, ungranted, count) = (*verdict, *ungranted, *count);
            Decided { origin, verdict, ungranted, count }.emit();
        }
        if let Some(ticket) = pending.ticket_mut() {
            ticket.account.settle();
        }
        async move {
            let visibility = match posted {
                Ok(reply) => reply.await.unwrap_or(Visibility::NotVisible),
                Err(_) => Visibility::NotVisible,
            };
            (pending, visibility)
        }
    }

    /// Reports the sessions of the clients for which they or the quota changed.
    fn report_clients(&mut self) {
        let rules = self.inputs.rules.load();
        SessionLimit(rules.max_sessions).emit();
        for (producer, client, sessions) in self.state.table().source_sessions() {
            let authority = rules.authority(producer, client);
            let quota = authority.and_then(|authority| authority.max_sessions);
            let is_near = |(sessions, quota): (usize, Option<usize>)| {
                quota.is_some_and(|quota| sessions * 100 >= quota.saturating_mul(QUOTA_WARNING))
            };
            let now = (sessions, quota);
            let before = self.reported.insert((producer.clone(), client.clone()), now);
            if before == Some(now) {
                continue;
            }
            let is_near_quota = is_near(now) && !before.is_some_and(is_near);
            ClientSessions { producer, client, sessions, quota, is_near_quota }.emit();
        }
    }

    /// Reports the size of the table and the revision up to which it is applied.
    fn report_size(&self) {
        let (sessions, revision) = (self.state.table().len(), self.state.applied().0);
        TableSize { sessions, revision }.emit();
    }
}

impl Actor for Cache {
    const KIND: &'static str = "cache";
    const STAGE: Stage = Stage::Deciding;

    fn started(&mut self, context: &mut Context<Self>) {
        self.state.start(self.clock.now());
        self.carry_out(context);
        if self.state.is_ready() {
            self.report_size();
        }
        context.run_interval(CLEANUP_INTERVAL, |cell, _| {
            let Self { state, clock, inputs, .. } = cell.actor();
            state.forget_before(clock.now() - inputs.rules.load().retention());
        });
        context.run_interval(TICK_INTERVAL, |cell, context| {
            let cache = cell.actor();
            cache.state.tick(cache.clock.now());
            cache.carry_out(context);
            cache.report_clients();
        });
    }
}

impl Handler<Apply> for Cache {
    fn handle(
        &mut self,
        Apply { events, read, account }: Apply,
        context: &mut Context<Self>,
    ) -> Reply<Result<Receipt, ApplyError>> {
        let (receipt, taken) = oneshot::channel();
        let batch = EventBatch { events, read, ticket: Ticket { account, receipt } };
        self.state.submit(batch, &self.inputs.directory.read());
        self.carry_out(context);
        Reply::later(async { taken.await.unwrap_or(Err(ApplyError::Restarting)) })
    }
}

impl Handler<Committed> for Cache {
    fn handle(
        &mut self,
        Committed(entries, rules): Committed,
        context: &mut Context<Self>,
    ) -> Reply<()> {
        let mut posted = Vec::with_capacity(entries.len());
        for entry in entries {
            self.state.committed(entry, &rules, |_, _| {});
            // The changes are posted before the next entry, which may panic.
            while let Some(decided) = self.next_decided(context) {
                posted.push(self.publish(decided));
            }
        }
        self.report_size();
        let outcomes = stream::iter(posted).then(|outcome| outcome);
        let confirmed = wrap_stream::<_, ActorCell<Self>>(outcomes).map(
            |(pending, visibility), cell, context| {
                let cache = cell.actor();
                cache.state.confirm(pending, visibility, cache.clock.now());
                cache.carry_out(context);
            },
        );
        context.spawn(confirmed.finish());
        Reply::Now(())
    }
}

impl Handler<Rejected> for Cache {
    fn handle(
        &mut self,
        Rejected(batch, error): Rejected,
        context: &mut Context<Self>,
    ) -> Reply<()> {
        self.state.rejected(batch, error.into());
        self.carry_out(context);
        Reply::Now(())
    }
}

impl Handler<UpdateMembership> for Cache {
    fn handle(
        &mut self,
        UpdateMembership { affected, gone, origin }: UpdateMembership,
        context: &mut Context<Self>,
    ) -> Reply<Result<(), ApplyError>> {
        let (done, visible) = oneshot::channel();
        let (directory, now) = (self.inputs.directory.clone(), self.clock.now());
        let affected = Arc::unwrap_or_clone(affected);
        self.state.update_membership(affected, (gone, origin), (&directory.read(), now), done);
        self.carry_out(context);
        Reply::later(async { visible.await.map_err(|_| ApplyError::Restarting) })
    }
}

impl Handler<Explain> for Cache {
    fn handle(&mut self, Explain(address): Explain, _: &mut Context<Self>) -> Reply<Explanation> {
        Reply::Now(self.state.table().explain(address, self.clock.now()))
    }
}

impl Handler<ExportTable> for Cache {
    fn handle(&mut self, _: ExportTable, _: &mut Context<Self>) -> Reply<StateTransfer> {
        Reply::Now(self.state.export())
    }
}

impl Handler<TakeCheckpoint> for Cache {
    fn handle(&mut self, TakeCheckpoint(sink): TakeCheckpoint, _: &mut Context<Self>) -> Reply<()> {
        sink(self.state.snapshot());
        Reply::Now(())
    }
}

impl Handler<GetReadPosition> for Cache {
    fn handle(
        &mut self,
        GetReadPosition(source): GetReadPosition,
        _: &mut Context<Self>,
    ) -> Reply<Result<Option<Arc<[u8]>>, ApplyError>> {
        let journal = self.journal.clone();
        Reply::later(async move { Ok(journal.read_position(source).await?) })
    }
}

#[cfg(test)]
mod tests;
