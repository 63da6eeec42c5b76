//! The cache actor: orders events through the journal, applies committed events to the table, and
//! publishes the changes to the query actor. The table decides; the actor carries messages.

pub mod membership_updates;

use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use arc_swap::ArcSwap;
use rollcall_identity::{
    CheckpointSink, Decider, Explanation, Name, Origin, Producer, Receipt, Rule, Rules, StartMode,
    Takeover, Timestamp, Verdict,
};
use tokio::sync::oneshot;

use self::membership_updates::MembershipUpdates;
use crate::directory::SharedDirectory;
use crate::failover::{NotReady, OwnershipGuard, request_state};
use crate::messages::{
    Apply, ApplyError, Batch, Committed, Explain, ExportLog, ExportTable, GetReadPosition,
    PublishChanges, StateTransfer, TakeCheckpoint,
};
use crate::query::Query;
use crate::telemetry::{
    AddressShared, CacheRestored, CacheResumed, Decided, StateLost, TableReloaded, TableSize,
};
use rollcall_journal::{CommitSink, Entry, JournalWriter, NotAccepted, Reloaded};
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::mailbox::{
    Actor, ActorCell, Context, Handler, Mailbox, MailboxClosed, Reply,
};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The number of events of a batch, by origin and verdict.
#[derive(Default)]
struct VerdictCounts<'a>(Vec<Decided<'a>>);

impl<'a> VerdictCounts<'a> {
    fn count(&mut self, origin: &'a Origin, verdict: Verdict) {
        // Nearly always equal to the entry before: a list searched from its end needs no hash.
        let same = |known: &&mut Decided<'_>| {
            std::ptr::eq(known.origin, origin) && known.verdict == verdict
        };
        match self.0.iter_mut().rev().find(same) {
            Some(known) => known.count += 1,
            None => self.0.push(Decided { origin, verdict, count: 1 }),
        }
    }
}

/// The cache mailbox as the sink of the journal.
pub(crate) struct CacheSink(pub Mailbox<Cache>);

impl CommitSink<Batch> for CacheSink {
    /// Bounded by the batches that the cache itself has handed over. A cache that has ended drops the
    /// entries and their receipts, and the waiting senders get an error.
    fn committed(&self, entries: Vec<Entry<Batch>>, rules: Arc<Rules>) {
        drop(self.0.post(Committed(entries, rules)));
    }

    fn checkpoint(&self, sink: CheckpointSink) -> bool {
        self.0.post(TakeCheckpoint(sink)).is_ok()
    }
}

/// The maximum number of expiry events per batch. More follow as soon as the batch is applied.
const MAX_EXPIRIES: usize = 1024;

/// The interval at which ended sessions and refusals that no longer matter are discarded.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

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
    ownership: OwnershipGuard,
    decider: Decider,
    inputs: DecisionInputs,
    membership: MembershipUpdates,
    journal: JournalWriter<Batch>,
    query: Mailbox<Query>,
    clock: Clock,
    origin: Arc<Origin>,
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
        Self {
            ownership,
            decider: Decider::default(),
            inputs,
            membership: MembershipUpdates::default(),
            journal,
            query,
            clock,
            origin,
        }
    }

    /// Adds principals and groups from the directory to the events and hands them to the journal. The
    /// reply follows when the events are visible.
    fn submit(
        &self,
        Apply { mut events, read, account }: Apply,
    ) -> Reply<Result<Receipt, ApplyError>> {
        self.inputs.directory.enrich(&mut events);
        let (receipt, taken) = oneshot::channel();
        match self.journal.submit(Batch { events, read, account, receipt }) {
            Ok(()) => Reply::later(async { taken.await.unwrap_or(Err(ApplyError::Restarting)) }),
            Err((batch, reason)) => {
                let word = match reason {
                    NotAccepted::Full => "cache_busy",
                    NotAccepted::Ended => "journal_unavailable",
                };
                Reply::Now(Err(batch.account.lost(word, reason.into())))
            }
        }
    }

    /// Applies one entry and posts its changes to the query actor before it counts the events, so that
    /// every counted event becomes visible. The future gives the receipt when it is.
    fn settle(
        &mut self,
        entry: &mut Entry<Batch>,
        rules: &Rules,
    ) -> impl Future<Output = Result<Receipt, MailboxClosed>> + use<> {
        let Self { decider, membership, .. } = self;
        let mut changed =
            PublishChanges::new(self.ownership.generation(), entry.batch.events.len());
        let mut counts = VerdictCounts::default();
        let committed = (entry.first, &*entry.batch.events);
        let receipt = decider.apply_batch(committed, rules, |event, _, decision| {
            if decision.verdict == Verdict::Applied(Rule::AddressShared) {
                AddressShared { origin: &event.origin, address: event.address }.emit();
            }
            membership.observe(decision.change.as_ref());
            counts.count(&event.origin, decision.verdict);
            changed.push(event.seen, decision.change);
        });
        // Posted here and not in the future, so that changes stay in order. The number of posts is
        // bounded by the batches that wait for these receipts.
        let shown = self.query.post(changed);
        counts.0.into_iter().for_each(Decided::emit);
        entry.batch.account.settle();
        async move { shown?.await.map(|()| receipt) }
    }

    /// Continues where the generation before ended. With a journal on disk: from everything committed,
    /// and the query actor then receives what it missed. Otherwise: from the state of the query actor,
    /// and events in the queue of the journal are lost.
    fn take_over(
        &mut self,
        StateTransfer { generation, snapshot }: StateTransfer,
        recalled: Reloaded,
    ) -> Result<(), NotReady> {
        self.ownership.complete_takeover(generation)?;
        let shown = snapshot.sessions.len();
        let (kept, error) = match recalled {
            Ok(kept) => (kept, None),
            Err(error) => (None, Some(error.0)),
        };
        let is_kept = kept.is_some();
        let Takeover { decider, unpublished: missed } = Decider::take_over(snapshot, kept);
        self.decider = decider;
        if is_kept {
            CacheResumed { sessions: self.decider.table().len(), missed: missed.len() }.emit();
            // A query actor that has ended takes over from this cache.
            drop(self.query.post(PublishChanges::missed(self.ownership.generation(), missed)));
        } else {
            CacheRestored { sessions: shown, error: error.as_deref() }.emit();
            self.journal.invalidate_checkpoint();
        }
        Ok(())
    }

    /// Reloads the table from the journal when no other actor has it. The epoch is a new one, because
    /// some changes may have been published only in part.
    fn reload(&self, context: &mut Context<Self>) {
        let journal = self.journal.clone();
        let recalled = async move { journal.reload().await };
        context.wait(wrap_future::<_, ActorCell<Self>>(recalled).map(|recalled, cell, context| {
            match recalled {
                Ok(Some((table, newest))) => {
                    TableReloaded { sessions: table.len() }.emit();
                    cell.actor().decider = Decider::from_table(table, newest);
                }
                Ok(None) => StateLost { actor: "cache" }.emit(),
                Err(error) => cell.fail(error, context),
            }
        }));
    }

    /// Reports the size of the table and the revision up to which it is applied.
    fn report_size(&self) {
        let (sessions, revision) = (self.decider.table().len(), self.decider.applied().0);
        TableSize { sessions, revision }.emit();
    }

    /// Submits expiry events for the sessions whose time has passed.
    fn expire(&mut self, now: Timestamp, context: &mut Context<Self>) {
        let due = self.decider.due_expiries(now, &self.origin, MAX_EXPIRIES);
        if due.is_empty() {
            return;
        }
        let more = due.len() == MAX_EXPIRIES;
        let account = EventAccount::open("cache", 0);
        if let Reply::Later(taken) = self.submit(Apply { events: due, read: None, account }) {
            let taken = wrap_future::<_, ActorCell<Self>>(taken);
            context.spawn(taken.map(move |_, cell, context| {
                if more {
                    let now = cell.actor().clock.now();
                    cell.actor().expire(now, context);
                }
            }));
        }
    }
}

impl Actor for Cache {
    const KIND: &'static str = "cache";
    const STAGE: Stage = Stage::Deciding;

    fn started(&mut self, context: &mut Context<Self>) {
        match self.ownership.start(self.clock.now()) {
            StartMode::FromLog(legacy) => {
                self.decider = Decider::from_table(legacy.table, legacy.snapshot.newest);
                self.report_size();
            }
            StartMode::Empty => self.reload(context),
            StartMode::FromPeer => {
                let (query, generation) = (self.query.clone(), self.ownership.generation());
                let journal = self.journal.clone();
                let known = async move {
                    let state = request_state(&query, ExportLog(generation)).await?;
                    Ok((state, journal.reload().await))
                };
                // No entry is applied before the table has what the generation before published.
                context.wait(wrap_future::<_, ActorCell<Self>>(known).map(
                    |known, cell, context| {
                        let taken = known
                            .and_then(|(state, recalled)| cell.actor().take_over(state, recalled));
                        if let Err(not_ready) = taken {
                            cell.fail(not_ready, context);
                        }
                    },
                ));
            }
        }
        context.run_interval(CLEANUP_INTERVAL, |cell, _| {
            let cache = cell.actor();
            cache.decider.forget_before(cache.clock.now() - cache.inputs.rules.load().retention());
        });
        context.run_interval(Duration::from_secs(1), |cell, context| {
            let now = cell.actor().clock.now();
            cell.actor().expire(now, context);
        });
    }
}

impl Handler<Apply> for Cache {
    fn handle(
        &mut self,
        apply: Apply,
        _: &mut Context<Self>,
    ) -> Reply<Result<Receipt, ApplyError>> {
        self.submit(apply)
    }
}

impl Handler<Committed> for Cache {
    fn handle(&mut self, committed: Committed, _: &mut Context<Self>) -> Reply<()> {
        let Committed(mut entries, rules) = committed;
        // Entries that the reload from the journal included are applied already. Their senders get an
        // error, because the generation that would answer them has ended.
        entries.retain(|entry| self.decider.is_pending(entry.first, &entry.batch.events));
        let mut receipts = Vec::with_capacity(entries.len());
        for entry in &mut entries {
            if !self.ownership.is_current() {
                // This generation hung and was replaced. The senders get an error, and the event
                // accounting counts the events as lost.
                return Reply::Now(());
            }
            receipts.push(self.settle(entry, &rules));
        }
        self.report_size();
        Reply::later(async move {
            for (entry, receipt) in entries.into_iter().zip(receipts) {
                // A sender that no longer waits does not need the receipt.
                let _ = entry.batch.receipt.send(receipt.await.map_err(ApplyError::from));
            }
        })
    }
}

impl Handler<Explain> for Cache {
    fn handle(&mut self, Explain(address): Explain, _: &mut Context<Self>) -> Reply<Explanation> {
        Reply::Now(self.decider.table().explain(address, self.clock.now()))
    }
}

impl Handler<ExportTable> for Cache {
    fn handle(&mut self, _: ExportTable, _: &mut Context<Self>) -> Reply<StateTransfer> {
        let snapshot = self.decider.snapshot();
        Reply::Now(StateTransfer { generation: self.ownership.generation(), snapshot })
    }
}

impl Handler<TakeCheckpoint> for Cache {
    fn handle(&mut self, TakeCheckpoint(sink): TakeCheckpoint, _: &mut Context<Self>) -> Reply<()> {
        sink(self.decider.snapshot());
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
