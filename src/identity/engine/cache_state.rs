//! The state machine of the cache: it orders events through the journal, applies what is committed,
//! and holds receipts back until the changes are visible.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::batch::{BatchOwner, EventBatch, Publication, Rejection, Visibility};
use super::decider::{Decider, Takeover};
use super::failover::{Ownership, StartMode, StateTransfer};
use super::membership_updates::{MembershipUpdates, PendingUpdate, SliceInputs, Step};
use super::outputs::{
    CacheOutput, DecidedBatch, PendingReceipt, Recovery, StartFailure, VerdictCount,
};
use crate::directory::{AffectedAccounts, Directory, RemovalPolicy, SessionEffects};
use crate::{
    Event, JournalEntry, JournalError, Origin, Revision, Rule, Rules, Table, TableSnapshot,
    Timestamp, Verdict,
};

/// The settings of the cache.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// The origin of expiry events.
    pub origin: Arc<Origin>,
    /// The maximum number of expiry events per batch. More follow as soon as the batch is visible.
    pub expiries: usize,
    /// The maximum number of accounts and addresses per slice of a membership update.
    pub slice: usize,
}

/// The cache. `T` is the ticket of a batch, `U` that of a membership update, and `O` the ownership,
/// which it holds as long as it lives.
#[derive(Debug)]
pub struct CacheState<T, U, O> {
    ownership: O,
    settings: CacheSettings,
    phase: Phase,
    decider: Decider,
    membership: MembershipUpdates<U>,
    /// Whether a batch of expiry events is in flight.
    is_expiring: bool,
    outputs: VecDeque<CacheOutput<T, U>>,
}

/// The progress of the start.
#[derive(Debug)]
enum Phase {
    /// Not started.
    New,
    /// It waits for the state of the query actor.
    AwaitsState,
    /// It waits for the table from the journal, with the state of the query actor if there is one.
    AwaitsTable(Option<StateTransfer>),
    /// The state is complete.
    Ready,
    /// It cannot start, or a later generation has started.
    Ended,
}

impl<T, U, O: Ownership> CacheState<T, U, O> {
    /// A cache that is not started.
    pub fn new(ownership: O, settings: CacheSettings) -> Self {
        Self {
            ownership,
            settings,
            phase: Phase::New,
            decider: Decider::default(),
            membership: MembershipUpdates::default(),
            is_expiring: false,
            outputs: VecDeque::new(),
        }
    }

    /// The next output. To be called until `None` after each input.
    pub fn poll_output(&mut self) -> Option<CacheOutput<T, U>> {
        self.outputs.pop_front()
    }

    /// Starts at `now`: from the recovered state, from the query actor, or from the journal.
    pub fn start(&mut self, now: Timestamp) {
        (self.phase, self.decider) = match self.ownership.start(now) {
            StartMode::FromLog(state) => {
                (Phase::Ready, Decider::from_table(state.table, state.snapshot.newest))
            }
            StartMode::FromPeer => {
                self.outputs.push_back(CacheOutput::RequestState);
                (Phase::AwaitsState, Decider::default())
            }
            // The epoch is a new one, because some changes may have been published only in part.
            StartMode::Empty => {
                self.outputs.push_back(CacheOutput::Reload);
                (Phase::AwaitsTable(None), Decider::default())
            }
        };
    }

    /// The state of the query actor arrived.
    pub fn peer_state(&mut self, state: StateTransfer) {
        if matches!(self.phase, Phase::AwaitsState) {
            self.phase = Phase::AwaitsTable(Some(state));
            self.outputs.push_back(CacheOutput::Reload);
        }
    }

    /// The journal read its table again; `None` if it keeps nothing.
    pub fn reloaded(&mut self, table: Result<Option<(Table, Revision)>, JournalError>) {
        match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::AwaitsTable(Some(state)) => self.take_over(state, table),
            Phase::AwaitsTable(None) => self.reload(table),
            other => self.phase = other,
        }
    }

    /// Continues where the generation before ended. From a durable journal: with everything
    /// committed; the read model then receives what it missed. Otherwise with the state of the read
    /// model, and events on their way through the journal are lost.
    fn take_over(
        &mut self,
        StateTransfer { generation, snapshot }: StateTransfer,
        table: Result<Option<(Table, Revision)>, JournalError>,
    ) {
        if let Err(stale) = self.ownership.complete_takeover(generation) {
            return self.outputs.push_back(CacheOutput::Failed(stale.into()));
        }
        let published = snapshot.sessions.len();
        let (table, error) = match table {
            Ok(table) => (table, None),
            Err(error) => (None, Some(error)),
        };
        let is_reloaded = table.is_some();
        let Takeover { decider, unpublished } = Decider::take_over(snapshot, table);
        self.become_ready(decider);
        if is_reloaded {
            let (sessions, missed) = (self.decider.table().len(), unpublished.len());
            self.recovered(Recovery::Resumed { sessions, missed });
            let missed = Publication::missed(self.ownership.generation(), unpublished);
            self.outputs.push_back(CacheOutput::PublishMissed(missed));
        } else {
            self.recovered(Recovery::Restored { sessions: published, error });
            self.outputs.push_back(CacheOutput::InvalidateCheckpoint);
        }
    }

    /// Continues from the journal alone, because no other copy exists.
    fn reload(&mut self, table: Result<Option<(Table, Revision)>, JournalError>) {
        match table {
            Ok(Some((table, newest))) => {
                self.recovered(Recovery::Reloaded { sessions: table.len() });
                self.become_ready(Decider::from_table(table, newest));
            }
            Ok(None) => {
                self.recovered(Recovery::Lost);
                self.become_ready(Decider::default());
            }
            Err(error) => {
                self.outputs.push_back(CacheOutput::Failed(StartFailure::Journal(error)));
            }
        }
    }

    fn become_ready(&mut self, decider: Decider) {
        (self.phase, self.decider) = (Phase::Ready, decider);
    }

    fn recovered(&mut self, recovery: Recovery) {
        self.outputs.push_back(CacheOutput::Recovered(recovery));
    }

    /// Submits the batch of a producer, with the principals and groups that the directory knows.
    pub fn submit(&mut self, batch: EventBatch<T>, directory: &Directory) {
        let EventBatch { mut events, read, ticket } = batch;
        if !directory.domains().is_empty() {
            events.iter_mut().for_each(|event| directory.enrich(event));
        }
        let ticket = BatchOwner::Producer(ticket);
        self.outputs.push_back(CacheOutput::Append(EventBatch { events, read, ticket }));
    }

    /// The batch is not in the journal, or not known to be.
    pub fn rejected(&mut self, batch: EventBatch<BatchOwner<T>>, reason: Rejection) {
        match batch.ticket {
            BatchOwner::Producer(ticket) => {
                self.outputs.push_back(CacheOutput::Reply(ticket, Err(reason)));
            }
            // The table proposes the expiries again after a minute.
            BatchOwner::Expiry => self.is_expiring = false,
            BatchOwner::Membership => self.membership.retry_later(batch.events),
        }
    }

    /// Applies a committed batch by the rules that the journal stored with it. `observe` receives
    /// each event with the table after it.
    ///
    /// A batch that the state included at the takeover is rejected: the generation that would
    /// answer it has ended. So is every batch once a later generation has started.
    pub fn committed(
        &mut self,
        entry: JournalEntry<EventBatch<BatchOwner<T>>>,
        rules: &Rules,
        observe: impl FnMut(&Event, &Table),
    ) {
        if !matches!(self.phase, Phase::Ready | Phase::Ended) {
            self.phase = Phase::Ended;
            self.outputs.push_back(CacheOutput::Failed(StartFailure::NotReady));
        }
        if !self.ownership.is_current() {
            self.phase = Phase::Ended;
        }
        let JournalEntry { first, batch } = entry;
        let is_ready = matches!(self.phase, Phase::Ready);
        if is_ready && self.decider.is_pending(first, &batch.events) {
            self.apply(first, batch, rules, observe);
        } else {
            self.rejected(batch, Rejection::Replaced);
        }
    }

    fn apply(
        &mut self,
        first: Revision,
        EventBatch { events, ticket: owner, .. }: EventBatch<BatchOwner<T>>,
        rules: &Rules,
        mut observe: impl FnMut(&Event, &Table),
    ) {
        let Self { decider, membership, outputs, .. } = self;
        let mut publication = Publication::new(self.ownership.generation(), events.len());
        let mut counts = Vec::new();
        let receipt = decider.apply_batch((first, &events), rules, |event, table, decision| {
            if decision.verdict == Verdict::Applied(Rule::AddressShared) {
                let origin = Arc::clone(&event.origin);
                outputs.push_back(CacheOutput::AddressShared(origin, event.address));
            }
            membership.observe(decision.change.as_ref());
            VerdictCount::add(&mut counts, &event.origin, &decision);
            publication.push(event.seen, decision.change);
            observe(event, table);
        });
        if let (BatchOwner::Membership, Some(origin)) = (&owner, membership.origin()) {
            outputs.push_back(CacheOutput::Proposed(Arc::clone(origin), events.len()));
        }
        let pending = PendingReceipt { owner, receipt };
        outputs.push_back(CacheOutput::Publish(DecidedBatch { publication, counts, pending }));
    }

    /// The outcome of a publication, at `now`.
    pub fn confirm(
        &mut self,
        PendingReceipt { owner, receipt }: PendingReceipt<T>,
        visibility: Visibility,
        now: Timestamp,
    ) {
        let is_visible = visibility == Visibility::Visible;
        match owner {
            BatchOwner::Producer(ticket) => {
                let result = if is_visible { Ok(receipt) } else { Err(Rejection::Replaced) };
                self.outputs.push_back(CacheOutput::Reply(ticket, result));
            }
            BatchOwner::Expiry => {
                self.is_expiring = false;
                if is_visible {
                    self.expire(now);
                }
            }
            BatchOwner::Membership if is_visible => self.outputs.push_back(CacheOutput::NextSlice),
            // The events are applied. A barrier shows when their effects are visible.
            BatchOwner::Membership => self.membership.retry_later(Vec::new()),
        }
    }

    /// Called about once a second: submits due expiries, and slices that were not accepted.
    pub fn tick(&mut self, now: Timestamp) {
        if let Some(events) = self.membership.take_retry() {
            self.append(events, BatchOwner::Membership);
        }
        self.expire(now);
    }

    /// Submits expiry events for the sessions whose time has passed, unless a batch is in flight.
    fn expire(&mut self, now: Timestamp) {
        if self.is_expiring || !matches!(self.phase, Phase::Ready) {
            return;
        }
        let CacheSettings { origin, expiries, .. } = &self.settings;
        let due = self.decider.due_expiries(now, origin, *expiries);
        if !due.is_empty() {
            self.is_expiring = true;
            self.append(due, BatchOwner::Expiry);
        }
    }

    fn append(&mut self, events: Vec<Event>, ticket: BatchOwner<T>) {
        let batch = EventBatch { events, read: None, ticket };
        self.outputs.push_back(CacheOutput::Append(batch));
    }

    /// Applies a directory change to the sessions of `affected` accounts. It is idempotent: a
    /// session that has the new state already gets no event.
    pub fn update_membership(
        &mut self,
        affected: AffectedAccounts,
        (removal, origin): (RemovalPolicy, Arc<Origin>),
        (directory, now): (&Directory, Timestamp),
        done: U,
    ) {
        let mut effects = SessionEffects::default();
        effects.add(affected, directory);
        if self.membership.add(PendingUpdate { effects, removal, origin, done }) {
            self.next_slice(directory, now);
        }
    }

    /// The next slice of the membership updates.
    pub fn next_slice(&mut self, directory: &Directory, now: Timestamp) {
        let (table, limit) = (self.decider.table(), self.settings.slice);
        let known = SliceInputs { table, directory, now, limit };
        while let Some(step) = self.membership.next_step(known) {
            match step {
                Step::Done(done) => {
                    self.outputs.push_back(CacheOutput::Updated(done));
                    continue;
                }
                Step::Barrier => self.append(Vec::new(), BatchOwner::Membership),
                Step::Yield => self.outputs.push_back(CacheOutput::NextSliceLater),
                Step::Submit(mut events) => {
                    events.iter_mut().for_each(|event| directory.enrich(event));
                    self.append(events, BatchOwner::Membership);
                }
            }
            return;
        }
    }

    /// Forgets the ends and refusals received before `before`.
    pub fn forget_before(&mut self, before: Timestamp) {
        self.decider.forget_before(before);
    }

    /// Whether the state is complete. Other inputs than those of the start wait until then.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether it waits for the state of the query actor.
    pub fn awaits_state(&self) -> bool {
        matches!(self.phase, Phase::AwaitsState)
    }

    /// The generation.
    pub fn generation(&self) -> u64 {
        self.ownership.generation()
    }

    /// The table.
    pub fn table(&self) -> &Table {
        self.decider.table()
    }

    /// The last position that is applied.
    pub fn applied(&self) -> Revision {
        self.decider.applied()
    }

    /// The complete state, for a checkpoint.
    pub fn snapshot(&self) -> TableSnapshot {
        self.decider.snapshot()
    }

    /// The complete state, for a query actor that takes over.
    pub fn export(&self) -> StateTransfer {
        StateTransfer { generation: self.generation(), snapshot: self.snapshot() }
    }
}
