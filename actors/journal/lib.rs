//! The durable log of events: writing, following, reading, maintenance and recovery. A thread
//! appends the batches of the cache, commits them in groups, and returns committed batches to the
//! cache, in order.

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
mod writer_thread;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, TrySendError, bounded};
use rollcall_identity::{
    CheckpointSink, Journal, JournalBatch, JournalEntry, JournalError, ReadSource, Revision, Rules,
    Table, TableSnapshot,
};
use tokio::sync::{oneshot, watch};

pub use self::backup::{BackupReport, back_up};
pub use self::corruption::Corruption;
pub use self::durable::DurableJournal;
pub use self::event_reader::ReadSummary;
pub use self::inspect::{InspectReport, export, inspect};
use self::log::{LocalLog, Log, LogEntry};
pub use self::manifest::{Manifest, Sealed};
pub use self::options::JournalOptions;
pub use self::replay::{ReplayDifference, ReplayReport, replay};
use self::writer_thread::{OwnEntries, QUEUE_CAPACITY, WriterThread};
use rollcall_runtime::clock::Clock;

/// A batch that the journal's thread can carry.
pub trait Payload: JournalBatch + Send + 'static {}

impl<B: JournalBatch + Send + 'static> Payload for B {}

/// Receives committed batches in order. Calls do not block.
pub trait CommitSink<B>: Send + 'static {
    /// These batches are committed, and `rules` decide them.
    fn committed(&self, entries: Vec<JournalEntry<B>>, rules: Arc<Rules>);

    /// This batch is not committed, because of `error`.
    fn rejected(&self, batch: B, error: JournalError);

    /// Requests the table after everything committed so far, for a snapshot. Returns whether the
    /// request was sent.
    fn checkpoint(&self, checkpoint_sink: CheckpointSink) -> bool;
}

/// Receives the entries of all writers of a log in order. Calls do not block.
pub trait FollowSink<B>: CommitSink<B> {
    /// These entries of another writer are committed, and `rules` decide them.
    fn followed(&self, entries: Vec<LogEntry>, rules: Arc<Rules>);
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

/// How long a reload waits before it retries a full queue: the time of one or two commits.
const QUEUE_RETRY_INTERVAL: Duration = Duration::from_millis(10);

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
        Self::follow(LocalLog(journal), OwnEntries(sink), rules, clock)
    }

    /// The same for a log that other writers may share. The entries of all writers go to `sink`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn follow(
        mut log: impl Log<B> + 'static,
        sink: impl FollowSink<B>,
        rules: Arc<ArcSwap<Rules>>,
        clock: Clock,
    ) -> io::Result<(Self, JournalThread)> {
        let (requests, inbox) = bounded(QUEUE_CAPACITY);
        let (last, final_table) = bounded(1);
        let epoch = log.epoch();
        let (errors, write_error) = watch::channel(log.storage().write_error().cloned());
        let writer = WriterThread::new((log, sink), rules, clock, Arc::new(errors))?;
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
