//! The cache: puts events in order through the journal, folds them into the table, and shows the
//! changes to its consumers. It decides nothing itself; that is the table's.

pub mod membership_updates;

use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use arc_swap::ArcSwap;
use rollcall_identity::{
    Address, CheckpointSink, Decider, Event, Explanation, Name, Origin, Producer, ReadSource,
    Receipt, Rule, Rules, StartMode, Takeover, Timestamp, Verdict,
};
use tokio::sync::oneshot;

use self::membership_updates::MembershipUpdates;
use crate::directory::SharedDirectory;
use crate::failover::{NotReady, OwnershipGuard, estate};
use crate::messages::{
    Apply, ApplyError, Batch, Committed, Explain, ExportLog, ExportTable, GetReadPosition,
    PublishChanges, StateTransfer, TakeCheckpoint,
};
use crate::query::Query;
use crate::telemetry::{
    AddressShared, Decided, NothingToRestore, TableGrew, TableRecalled, TableRestored, TableResumed,
};
use rollcall_journal::{CommitSink, Entry, JournalWriter, NotAccepted, Recalled};
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::mailbox::{
    Actor, ActorCell, Context, Handler, Mailbox, MailboxClosed, Reply,
};
use rollcall_runtime::telemetry::TelemetryEvent;

/// What was decided about a batch, by origin and verdict.
#[derive(Default)]
struct VerdictCounts<'a>(Vec<Decided<'a>>);

impl<'a> VerdictCounts<'a> {
    fn count(&mut self, origin: &'a Origin, verdict: Verdict) {
        // Nearly always the same as the one before: a list, looked at from its end, needs no hash.
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
    /// Bounded by the batches that the cache itself has under way. A cache that is gone drops the
    /// entries, and with them the receipts: a waiting sender learns it that way.
    fn committed(&self, entries: Vec<Entry<Batch>>, rules: Arc<Rules>) {
        drop(self.0.post(Committed(entries, rules)));
    }

    fn checkpoint(&self, survey: CheckpointSink) -> bool {
        self.0.post(TakeCheckpoint(survey)).is_ok()
    }
}

/// How many expiries are proposed at once; the rest follows in the next second's round, or at once
/// when there are more.
const EXPIRIES: usize = 1024;

/// How often ends and refusals are forgotten that do not matter any more.
const FORGETTING: Duration = Duration::from_secs(60);

/// What decisions depend on besides events and sessions.
#[derive(Clone)]
pub(crate) struct DecisionInputs {
    /// The rules in force at each moment.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Who users and devices are.
    pub directory: SharedDirectory,
}

/// The role.
pub struct Cache {
    term: OwnershipGuard,
    decider: Decider,
    grounds: DecisionInputs,
    learning: MembershipUpdates,
    journal: JournalWriter<Batch>,
    query: Mailbox<Query>,
    clock: Clock,
    origin: Arc<Origin>,
}

impl Cache {
    /// A cache that fills its table from what `query` holds, and then folds what `journal` commits
    /// by the rules that were in force then.
    pub(crate) fn new(
        term: OwnershipGuard,
        grounds: DecisionInputs,
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
            term,
            decider: Decider::default(),
            grounds,
            learning: MembershipUpdates::default(),
            journal,
            query,
            clock,
            origin,
        }
    }

    /// Enters what directories know of those whom the events speak of, and hands them to the
    /// journal; the answer comes when they are visible.
    fn order(
        &self,
        Apply { mut events, read, account }: Apply,
    ) -> Reply<Result<Receipt, ApplyError>> {
        self.grounds.directory.enter(&mut events);
        let (receipt, taken) = oneshot::channel();
        match self.journal.hand_over(Batch { events, read, account, receipt }) {
            Ok(()) => Reply::later(async { taken.await.unwrap_or(Err(ApplyError::Restarting)) }),
            Err((batch, reason)) => {
                let word = match reason {
                    NotAccepted::Full => "cache_busy",
                    NotAccepted::Ended => "journal_ill",
                };
                Reply::Now(Err(batch.account.lost(word, reason.into())))
            }
        }
    }

    /// Folds one entry, and hands what became true to the query actor before it counts it: what
    /// is counted will be seen. The future gives the receipt when it is.
    fn settle(
        &mut self,
        entry: &mut Entry<Batch>,
        rules: &Rules,
    ) -> impl Future<Output = Result<Receipt, MailboxClosed>> + use<> {
        let Self { decider, learning, .. } = self;
        let mut changed = PublishChanges::by(self.term.number(), entry.batch.events.len());
        let mut tally = VerdictCounts::default();
        let committed = (entry.first, &*entry.batch.events);
        let receipt = decider.apply_batch(committed, rules, |event, _, decision| {
            if decision.verdict == Verdict::Applied(Rule::AddressShared) {
                AddressShared { origin: &event.origin, address: event.address }.emit();
            }
            learning.note(decision.change.as_ref());
            tally.count(&event.origin, decision.verdict);
            changed.note(event.seen, decision.change);
        });
        // Posted here and not in the future, so that changes stay in order; bounded by the batches
        // that wait for these receipts.
        let shown = self.query.post(changed);
        tally.0.into_iter().for_each(Decided::emit);
        entry.batch.account.settle();
        async move { shown?.await.map(|()| receipt) }
    }

    /// Goes on where its predecessor ended: from everything that is committed, when the journal
    /// keeps it, and then the query actor is told what it missed. Else from what the query actor
    /// holds, and what was on its way through the journal is lost to it.
    fn take_over(
        &mut self,
        StateTransfer { term, handover }: StateTransfer,
        recalled: Recalled,
    ) -> Result<(), NotReady> {
        self.term.succeed(term)?;
        let shown = handover.sessions.len();
        let (kept, error) = match recalled {
            Ok(kept) => (kept, None),
            Err(error) => (None, Some(error.0)),
        };
        let is_kept = kept.is_some();
        let Takeover { decider, unpublished: missed } = Decider::take_over(handover, kept);
        self.decider = decider;
        if is_kept {
            TableResumed { sessions: self.decider.table().len(), missed: missed.len() }.emit();
            // One that is gone meanwhile takes over from here.
            drop(self.query.post(PublishChanges::missed(self.term.number(), missed)));
        } else {
            TableRestored { sessions: shown, error: error.as_deref() }.emit();
            self.journal.unsettle();
        }
        Ok(())
    }

    /// Begins with what the journal has kept, when nobody else knows anything. Its epoch is a new
    /// one all the same: what was told and not shown to the end is told again.
    fn recall(&self, context: &mut Context<Self>) {
        let journal = self.journal.clone();
        let recalled = async move { journal.recall().await };
        context.wait(wrap_future::<_, ActorCell<Self>>(recalled).map(|recalled, cell, context| {
            match recalled {
                Ok(Some((table, newest))) => {
                    TableRecalled { sessions: table.len() }.emit();
                    cell.actor().decider = Decider::from_table(table, newest);
                }
                Ok(None) => NothingToRestore { actor: "cache" }.emit(),
                Err(error) => cell.fail(error, context),
            }
        }));
    }

    /// Says how large the table is, and how far it is folded.
    fn grew(&self) {
        let (sessions, revision) = (self.decider.table().len(), self.decider.applied().0);
        TableGrew { sessions, revision }.emit();
    }

    /// Proposes the end of the sessions whose time has passed.
    fn expire(&mut self, now: Timestamp, context: &mut Context<Self>) {
        let due = self.decider.due_expiries(now, &self.origin, EXPIRIES);
        if due.is_empty() {
            return;
        }
        let more = due.len() == EXPIRIES;
        let account = EventAccount::open("cache", 0);
        if let Reply::Later(taken) = self.order(Apply { events: due, read: None, account }) {
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
        match self.term.begin(self.clock.now()) {
            StartMode::FromLog(legacy) => {
                self.decider = Decider::from_table(legacy.table, legacy.snapshot.newest);
                self.grew();
            }
            StartMode::Empty => self.recall(context),
            StartMode::FromPeer => {
                let (query, term) = (self.query.clone(), self.term.number());
                let journal = self.journal.clone();
                let known = async move {
                    let estate = estate(&query, ExportLog(term)).await?;
                    Ok((estate, journal.recall().await))
                };
                // Nothing is folded before the table holds what its predecessor had shown.
                context.wait(wrap_future::<_, ActorCell<Self>>(known).map(
                    |known, cell, context| {
                        let taken = known.and_then(|(estate, recalled)| {
                            cell.actor().take_over(estate, recalled)
                        });
                        if let Err(vacant) = taken {
                            cell.fail(vacant, context);
                        }
                    },
                ));
            }
        }
        context.run_interval(FORGETTING, |cell, _| {
            let cache = cell.actor();
            cache.decider.forget_before(cache.clock.now() - cache.grounds.rules.load().retention());
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
        self.order(apply)
    }
}

impl Handler<Committed> for Cache {
    fn handle(&mut self, committed: Committed, _: &mut Context<Self>) -> Reply<()> {
        let Committed(mut entries, rules) = committed;
        // What was recalled from the journal is folded; whoever waits for it learns that the one
        // who would have told is gone.
        entries.retain(|entry| self.decider.is_pending(entry.first, &entry.batch.events));
        let mut receipts = Vec::with_capacity(entries.len());
        for entry in &mut entries {
            if !self.term.lasts() {
                // It was frozen, and its successor has begun without this: whoever waits learns
                // that it is gone, and the account that the events are lost.
                return Reply::Now(());
            }
            receipts.push(self.settle(entry, &rules));
        }
        self.grew();
        Reply::later(async move {
            for (entry, receipt) in entries.into_iter().zip(receipts) {
                // Whoever does not wait any more does not need it.
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
        let handover = self.decider.snapshot();
        Reply::Now(StateTransfer { term: self.term.number(), handover })
    }
}

impl Handler<TakeCheckpoint> for Cache {
    fn handle(
        &mut self,
        TakeCheckpoint(survey): TakeCheckpoint,
        _: &mut Context<Self>,
    ) -> Reply<()> {
        survey(self.decider.snapshot());
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
