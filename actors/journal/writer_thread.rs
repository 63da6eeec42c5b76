//! The thread that appends to a log and follows it: group commit, delivery in order, maintenance.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Select, TryRecvError, never};
use rollcall_identity::{CheckpointSink, JournalEntry, JournalError, Rules, TableSnapshot};

use super::io_watchdog::{ErrorSender, IoWatchdog};
use super::log::{CommitOutcome, Followed, Log, LogEntry};
use super::{CommitSink, FollowSink, Payload, Request, WriterQuery};
use crate::telemetry::{BatchRefused, Committed, DiskResponding};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The maximum number of batches in one commit. The cache's mailbox bounds how many can wait.
const MAX_GROUP_BATCHES: usize = 64;

/// The capacity of the queue: the group that is written, and the next one.
pub(super) const QUEUE_CAPACITY: usize = 2 * MAX_GROUP_BATCHES;

/// The maximum number of events in one commit, except for its last batch. It is a fraction of what
/// one stream may have in flight: while these events are written, earlier ones are decided and
/// later ones are read.
const MAX_GROUP_EVENTS: usize = 8192;

/// How long the thread waits for a batch before it runs maintenance.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);

/// The sink of a log with one writer, which has no entries of other writers.
pub(super) struct OwnEntries<S>(pub(super) S);

impl<B, S: CommitSink<B>> CommitSink<B> for OwnEntries<S> {
    fn committed(&self, entries: Vec<JournalEntry<B>>, rules: Arc<Rules>) {
        self.0.committed(entries, rules);
    }

    fn rejected(&self, batch: B, error: JournalError) {
        self.0.rejected(batch, error);
    }

    fn checkpoint(&self, sink: CheckpointSink) -> bool {
        self.0.checkpoint(sink)
    }
}

impl<B, S: CommitSink<B>> FollowSink<B> for OwnEntries<S> {
    fn followed(&self, entries: Vec<LogEntry>, _: Arc<Rules>) {
        debug_assert!(entries.is_empty(), "a log with one writer has entries of another");
    }
}

/// The state of the thread.
pub(super) struct WriterThread<B, L, S> {
    log: L,
    /// Signals entries of other writers; `None` for a log with one writer.
    wakeups: Option<Receiver<()>>,
    sink: S,
    rules: Arc<ArcSwap<Rules>>,
    /// The rules last passed to the journal. They decide commits until the journal gets other
    /// rules.
    effective: Arc<Rules>,
    clock: Clock,
    watchdog: IoWatchdog,
    errors: ErrorSender,
    batches: PhantomData<fn(B)>,
}

impl<B: Payload, L: Log<B>, S: FollowSink<B>> WriterThread<B, L, S> {
    /// Starts the watchdog. Write errors go to `errors`.
    pub(super) fn new(
        (log, sink): (L, S),
        rules: Arc<ArcSwap<Rules>>,
        clock: Clock,
        errors: ErrorSender,
    ) -> io::Result<Self> {
        let watchdog = IoWatchdog::start(Arc::clone(&errors), MAINTENANCE_INTERVAL)?;
        let (wakeups, effective) = (log.wakeups(), rules.load_full());
        let batches = PhantomData;
        Ok(Self { log, wakeups, sink, rules, effective, clock, watchdog, errors, batches })
    }

    /// Runs until every sender of `inbox` is dropped.
    pub(super) fn run(
        mut self,
        inbox: &Receiver<Request<B>>,
        final_table: &Receiver<TableSnapshot>,
    ) {
        loop {
            match self.receive(inbox) {
                Ok(first) => self.write(group(first, inbox)),
                Err(RecvTimeoutError::Timeout) if self.wakeups.is_some() => {
                    self.write(std::iter::empty());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.maintain();
        }
        // The owner of `JournalThread` sends the final table or drops its sender.
        self.log.storage().close(final_table.recv().ok());
    }

    /// The next request. A wakeup of the log counts as a timeout.
    fn receive(&mut self, inbox: &Receiver<Request<B>>) -> Result<Request<B>, RecvTimeoutError> {
        let Some(wakeups) = &self.wakeups else { return inbox.recv_timeout(MAINTENANCE_INTERVAL) };
        let mut select = Select::new();
        let (_, woken) = (select.recv(inbox), select.recv(wakeups));
        match select.ready_timeout(MAINTENANCE_INTERVAL) {
            Ok(ready) if ready == woken => {
                if wakeups.try_recv() == Err(TryRecvError::Disconnected) {
                    self.wakeups = Some(never());
                }
                Err(RecvTimeoutError::Timeout)
            }
            Ok(_) => inbox.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            }),
            Err(_) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Appends a group of batches, commits them together, and passes on what the log committed.
    fn write(&mut self, group: impl Iterator<Item = Request<B>>) {
        self.update_rules();
        let started = Clock::instant();
        let (log, mut queries) = (&mut self.log, Vec::new());
        let mut batches = group.filter_map(|request| match request {
            Request::Append(batch) => Some(batch),
            Request::Query(query) => {
                queries.push(query);
                None
            }
        });
        let (outcome, stalled) = self.watchdog.watch(|| log.commit(&mut batches));
        drop(batches);
        self.report_recovered_disk(stalled);
        let CommitOutcome { followed, failed } = outcome;
        for (batch, error) in failed {
            BatchRefused { error: &error.0 }.emit();
            self.sink.rejected(batch, error);
        }
        if !followed.is_empty() {
            Committed { took: started.elapsed() }.emit();
            self.deliver(followed);
        }
        queries.into_iter().for_each(|query| self.answer(query));
    }

    /// Passes entries to the sink in the order of the log.
    fn deliver(&mut self, followed: Vec<Followed<B>>) {
        let mut own = Vec::with_capacity(followed.len());
        for entries in followed {
            match entries {
                Followed::Own(entry) => own.push(entry),
                Followed::Foreign(entries) => {
                    self.deliver_own(&mut own);
                    self.sink.followed(entries, Arc::clone(&self.effective));
                }
            }
        }
        self.deliver_own(&mut own);
    }

    fn deliver_own(&mut self, own: &mut Vec<JournalEntry<B>>) {
        if !own.is_empty() {
            self.sink.committed(std::mem::take(own), Arc::clone(&self.effective));
        }
    }

    fn answer(&mut self, query: WriterQuery) {
        let journal = self.log.storage();
        // The requester may have stopped waiting.
        match query {
            WriterQuery::ReadPosition(source, reply) => {
                drop(reply.send(journal.read_position(&source)));
            }
            WriterQuery::Reload(reply) => drop(reply.send(journal.reload(&self.effective))),
            WriterQuery::InvalidateCheckpoint => journal.invalidate_checkpoint(),
        }
    }

    /// Passes changed rules to the journal: they decide later commits, and the rules before decide
    /// earlier ones.
    fn update_rules(&mut self) {
        let rules = self.rules.load();
        if !Arc::ptr_eq(&rules, &self.effective) {
            self.log.storage().set_rules(&rules);
            self.effective = Arc::clone(&rules);
        }
    }

    /// Reports that the disk responds again after a reported stall.
    fn report_recovered_disk(&mut self, stalled: Option<Duration>) {
        // If the operation failed, the error was reported.
        let journal = self.log.storage();
        if let Some(took) = stalled.filter(|_| journal.write_error().is_none()) {
            DiskResponding { took }.emit();
        }
    }

    fn maintain(&mut self) {
        self.update_rules();
        let (log, now) = (&mut self.log, self.clock.now());
        let (checkpoint_sink, stalled) = self.watchdog.watch(|| log.storage().maintain(now));
        self.report_recovered_disk(stalled);
        let journal = self.log.storage();
        if let Some(checkpoint_sink) = checkpoint_sink {
            // The request is ordered after everything committed so far and before all later
            // commits.
            if !self.sink.checkpoint(checkpoint_sink) {
                journal.invalidate_checkpoint();
            }
        }
        let error = journal.write_error();
        self.errors.send_if_modified(|published| {
            let differs = published.as_ref().map(|error| &error.0) != error.map(|error| &error.0);
            if differs {
                *published = error.cloned();
            }
            differs
        });
    }
}

/// `first` and the requests that wait behind it, up to the limits of one commit.
fn group<B: Payload>(
    first: Request<B>,
    inbox: &Receiver<Request<B>>,
) -> impl Iterator<Item = Request<B>> {
    let (mut first, mut requests, mut events) = (Some(first), 0, 0);
    std::iter::from_fn(move || {
        let has_room = requests < MAX_GROUP_BATCHES && events < MAX_GROUP_EVENTS;
        let request = first.take().or_else(|| has_room.then(|| inbox.try_recv().ok()).flatten())?;
        requests += 1;
        if let Request::Append(batch) = &request {
            events += batch.events().len();
        }
        Some(request)
    })
}
