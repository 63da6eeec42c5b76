//! The journal's thread: it appends the batches of the cache, commits them in groups, and returns
//! committed batches to the cache, in order.

pub mod archive_reader;
mod archive_writer;
mod backup;
mod checkpoint;
mod corruption;
mod durable;
mod event_reader;
mod event_rows;
mod file;
mod file_header;
mod fingerprint;
mod inspect;
mod io_watchdog;
mod layout;
pub mod log;
mod maintenance;
mod manifest;
mod memory_rows;
pub mod metrics;
mod name_erasure;
mod options;
mod position_rows;
mod quarantine;
mod read_ahead;
mod recovery;
mod replay;
mod row_codec;
mod rule_versions;
mod schema;
mod sealing;
mod segment;
mod segment_log;
mod session_rows;
mod snapshot;
mod string_table;
pub mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use rollcall_identity::{
    CheckpointSink, GroupOutcome, Journal, JournalBatch, JournalError, ReadSource, Revision, Rules,
    Table, TableSnapshot, commit_group,
};
use tokio::sync::{oneshot, watch};

pub use self::backup::{BackupReport, back_up};
pub use self::corruption::Corruption;
pub use self::durable::DurableJournal;
pub use self::event_reader::ReadSummary;
pub use self::inspect::{InspectReport, export, inspect};
use self::io_watchdog::{ErrorSender, IoWatchdog};
pub use self::manifest::{Manifest, Sealed};
pub use self::options::JournalOptions;
pub use self::replay::{ReplayDifference, ReplayReport, replay};
use crate::telemetry::{BatchRefused, Committed, DiskResponding};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// A batch in the journal, with its completion.
pub trait Payload: JournalBatch + Send + 'static {
    /// Reports that the batch is not committed, because of `error`.
    fn refuse(self, error: &JournalError);
}

/// Receives committed batches in order. Calls do not block.
pub trait CommitSink<B>: Send + 'static {
    /// These batches are committed, and `rules` decide them.
    fn committed(&self, entries: Vec<Entry<B>>, rules: Arc<Rules>);

    /// Requests the table after everything committed so far, for a snapshot. Returns whether the
    /// request was sent.
    fn checkpoint(&self, checkpoint_sink: CheckpointSink) -> bool;
}

/// A committed batch with its position.
#[derive(Debug)]
pub struct Entry<B> {
    /// The position of its first event.
    pub first: Revision,
    /// The batch.
    pub batch: B,
}

/// Why the journal did not accept a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The queue is full.
    #[error("too many events are in flight")]
    Full,
    /// The thread has ended.
    #[error("the journal's thread has ended")]
    Ended,
}

/// Why the journal is not writable; `None` while it is.
pub type WriteErrorWatch = watch::Receiver<Option<JournalError>>;

/// A handle of the journal's thread. When the last one is dropped, the thread commits and ends.
pub struct JournalWriter<B> {
    epoch: u64,
    requests: Sender<Request<B>>,
    write_error: WriteErrorWatch,
}

/// A request to the journal's thread.
type Request<B> = rollcall_identity::JournalRequest<B, WriterQuery>;

/// A request that appends nothing.
enum WriterQuery {
    ReadPosition(ReadSource, oneshot::Sender<Option<Arc<[u8]>>>),
    Reload(oneshot::Sender<Reloaded>),
    InvalidateCheckpoint,
}

/// The table after everything committed, and its last position; `None` if nothing is kept.
pub type Reloaded = Result<Option<(Table, Revision)>, JournalError>;

/// The journal's thread, for joining it.
pub struct JournalThread {
    last: Sender<TableSnapshot>,
    thread: JoinHandle<()>,
}

impl JournalThread {
    /// Waits until the thread ends, after the last writer was dropped. `last` is the table at a
    /// committed position, if it is available.
    pub fn join(self, last: Option<TableSnapshot>) {
        let Self { last: reply, thread } = self;
        if let Some(last) = last {
            let _ = reply.try_send(last);
        }
        drop(reply);
        // A thread that panicked has nothing left to write.
        let _ = thread.join();
    }
}

/// The maximum number of batches in one commit. The cache's mailbox bounds how many can wait.
const MAX_GROUP_BATCHES: usize = 64;

/// The maximum number of events in one commit, except for its last batch. It is a fraction of what
/// one stream may have in flight: while these events are written, earlier ones are decided and
/// later ones are read.
const MAX_GROUP_EVENTS: usize = 8192;

/// How long a reload waits before it retries a full queue: the time of one or two commits.
const QUEUE_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// How long the thread waits for a batch before it runs maintenance.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);

impl<B> Clone for JournalWriter<B> {
    fn clone(&self) -> Self {
        Self {
            epoch: self.epoch,
            requests: self.requests.clone(),
            write_error: self.write_error.clone(),
        }
    }
}

impl<B: Payload> JournalWriter<B> {
    /// Starts the thread. Committed batches go to `sink`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        journal: impl Journal + 'static,
        sink: impl CommitSink<B>,
        rules: Arc<ArcSwap<Rules>>,
        clock: Clock,
    ) -> io::Result<(Self, JournalThread)> {
        let (requests, inbox) = bounded(2 * MAX_GROUP_BATCHES);
        let (last, final_table) = bounded(1);
        let epoch = journal.epoch();
        let (reply, write_error) = watch::channel(journal.write_error().cloned());
        let (reply, effective) = (Arc::new(reply), rules.load_full());
        let watchdog = IoWatchdog::start(Arc::clone(&reply), MAINTENANCE_INTERVAL)?;
        let writer = WriterThread { journal, sink, rules, effective, clock, watchdog, reply };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&inbox, &final_table))?;
        Ok((Self { epoch, requests, write_error }, JournalThread { last, thread }))
    }

    /// The epoch of the positions of this journal.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Watches why the journal is not writable.
    pub fn write_error(&self) -> WriteErrorWatch {
        self.write_error.clone()
    }

    /// Submits a batch without waiting.
    ///
    /// # Errors
    /// Returns the batch with the reason if the journal does not accept it.
    pub fn submit(&self, batch: B) -> Result<(), (B, NotAccepted)> {
        let (request, reason) = match self.requests.try_send(Request::Append(batch)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(request)) => (request, NotAccepted::Full),
            Err(TrySendError::Disconnected(request)) => (request, NotAccepted::Ended),
        };
        match request {
            Request::Append(batch) => Err((batch, reason)),
            // Only an append was sent.
            Request::Query(_) => Ok(()),
        }
    }

    /// The last committed read position of `source`.
    ///
    /// # Errors
    /// If the journal does not accept the request.
    pub async fn read_position(
        &self,
        source: ReadSource,
    ) -> Result<Option<Arc<[u8]>>, NotAccepted> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Query(WriterQuery::ReadPosition(source, reply));
        self.requests.try_send(request).map_err(|_| NotAccepted::Full)?;
        answer.await.map_err(|_| NotAccepted::Ended)
    }
}

impl<B: Payload> JournalWriter<B> {
    /// Reads the table after everything committed, for a cache that no other part can restore. It
    /// waits for room in the queue: that cache must not continue without events that are committed
    /// but not published.
    ///
    /// # Errors
    /// If the journal cannot be read, or its thread has ended.
    pub async fn reload(&self) -> Reloaded {
        let ended = || JournalError("its thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let mut request = Request::Query(WriterQuery::Reload(reply));
        while let Err(refused) = self.requests.try_send(request) {
            let TrySendError::Full(again) = refused else { return Err(ended()) };
            request = again;
            tokio::time::sleep(QUEUE_RETRY_INTERVAL).await;
        }
        answer.await.map_err(|_| ended())?
    }

    /// Reports that batches in flight to a failed cache will not be applied.
    pub fn invalidate_checkpoint(&self) {
        // If the request is lost, the next periodic snapshot follows.
        let _ = self.requests.try_send(Request::Query(WriterQuery::InvalidateCheckpoint));
    }
}

/// The state of the thread.
struct WriterThread<J, S> {
    journal: J,
    sink: S,
    rules: Arc<ArcSwap<Rules>>,
    /// The rules last passed to the journal. They decide commits until the journal gets other
    /// rules.
    effective: Arc<Rules>,
    clock: Clock,
    watchdog: IoWatchdog,
    reply: ErrorSender,
}

impl<J: Journal, S> WriterThread<J, S> {
    fn run<B: Payload>(
        mut self,
        inbox: &Receiver<Request<B>>,
        final_table: &Receiver<TableSnapshot>,
    ) where
        S: CommitSink<B>,
    {
        loop {
            match inbox.recv_timeout(MAINTENANCE_INTERVAL) {
                Ok(first) => self.write(group(first, inbox)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.maintain::<B>();
        }
        // The owner of [`JournalThread`] sends the final table or drops its sender.
        self.journal.close(final_table.recv().ok());
    }

    /// Appends a group of batches, commits them together, and passes them on.
    fn write<B: Payload>(&mut self, group: impl Iterator<Item = Request<B>>)
    where
        S: CommitSink<B>,
    {
        self.update_rules();
        let started = Clock::instant();
        let journal = &mut self.journal;
        let (outcome, stalled) = self.watchdog.watch(|| commit_group(journal, group));
        self.report_recovered_disk(stalled);
        let GroupOutcome { committed, failed: refused, queries } = outcome;
        for (batch, error) in refused {
            BatchRefused { error: &error.0 }.emit();
            batch.refuse(&error);
        }
        if !committed.is_empty() {
            Committed { took: started.elapsed() }.emit();
            let entries = committed.into_iter().map(|(first, batch)| Entry { first, batch });
            self.sink.committed(entries.collect(), Arc::clone(&self.effective));
        }
        queries.into_iter().for_each(|query| self.answer(query));
    }

    fn answer(&mut self, query: WriterQuery) {
        // The requester may have stopped waiting.
        match query {
            WriterQuery::ReadPosition(source, reply) => {
                drop(reply.send(self.journal.read_position(&source)));
            }
            WriterQuery::Reload(reply) => drop(reply.send(self.journal.reload(&self.effective))),
            WriterQuery::InvalidateCheckpoint => self.journal.invalidate_checkpoint(),
        }
    }

    /// Passes changed rules to the journal: they decide later commits, and the rules before decide
    /// earlier ones.
    fn update_rules(&mut self) {
        let rules = self.rules.load();
        if !Arc::ptr_eq(&rules, &self.effective) {
            self.journal.set_rules(&rules);
            self.effective = Arc::clone(&rules);
        }
    }

    /// Reports that the disk responds again after a reported stall.
    fn report_recovered_disk(&self, stalled: Option<Duration>) {
        // If the operation failed, the error was reported.
        if let Some(took) = stalled.filter(|_| self.journal.write_error().is_none()) {
            DiskResponding { took }.emit();
        }
    }

    fn maintain<B>(&mut self)
    where
        S: CommitSink<B>,
    {
        self.update_rules();
        let (journal, now) = (&mut self.journal, self.clock.now());
        let (checkpoint_sink, stalled) = self.watchdog.watch(|| journal.maintain(now));
        self.report_recovered_disk(stalled);
        if let Some(checkpoint_sink) = checkpoint_sink {
            // The request is ordered after everything committed so far and before all later
            // commits.
            if !self.sink.checkpoint(checkpoint_sink) {
                self.journal.invalidate_checkpoint();
            }
        }
        let write_error = self.journal.write_error();
        self.reply.send_if_modified(|answer| {
            let differs = answer.as_ref().map(|answer| &answer.0)
                != write_error.map(|write_error| &write_error.0);
            if differs {
                *answer = write_error.cloned();
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
