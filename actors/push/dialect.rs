//! The interface of push dialects, and the worker threads that run them. Each worker has a thread of its
//! own, because requests block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use rollcall_identity::delivery::{DeliveryMode, TargetPosition};
use rollcall_identity::{Address, Change, Cursor};
use rollcall_wire::secure_edge::DigestPages;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::PushError;

/// A batch of changes.
#[derive(Debug, Clone)]
pub(crate) struct PushBatch {
    /// The changes, at most one per address; empty for a batch that only advances the position.
    pub(crate) changes: Arc<[Change]>,
    /// The position of the target before this batch; `None` at the start of a full resync.
    pub(crate) after: Option<Cursor>,
    /// The position after it.
    pub(crate) next: Cursor,
    /// The session it belongs to.
    pub(crate) turn: PushSession,
}

/// Batches that follow each other without a position query between them, with an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PushSession {
    /// Changes as they occur.
    News(Arc<str>),
    /// A full resync.
    Synchronisation(Arc<str>),
}

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Acknowledgement {
    /// Reports that the target applied.
    pub(crate) accepted: u64,
    /// Reports that the target had already.
    pub(crate) duplicates: u64,
    /// Reports that the target will never accept: the address and the reason.
    pub(crate) refused: Vec<(Option<Address>, String)>,
}

/// A dialect of one target. Every request is idempotent and may be sent twice.
pub(crate) trait Dialect: Send {
    /// Whether a full resync replaces the content of the target or updates it.
    fn opening(&self) -> DeliveryMode;

    /// The position that the target reports, and the number of batches it accepts in parallel, each
    /// from a worker of its own.
    fn place(&mut self) -> Result<(TargetPosition, usize), PushError>;

    /// Starts a full resync with this identifier. Returns the number of batches that the target accepts
    /// in parallel.
    fn begin(&mut self, synchronisation: &str) -> Result<usize, PushError>;

    /// Sends a batch. Returns `Ok` only when the target has acknowledged all of it.
    fn tell(&mut self, batch: &PushBatch) -> Result<Acknowledgement, PushError>;

    /// Finishes a full resync.
    fn end(&mut self, synchronisation: &str, at: &Cursor) -> Result<(), PushError>;

    /// Digests of the content of the target; `None` when the dialect or the target does not support it.
    fn digests(&mut self) -> Result<Option<DigestPages>, PushError>;

    /// The maximum number of reports per second; `None` for no limit.
    fn rate(&self) -> Option<u32>;

    /// The bytes of request bodies sent since the last call.
    fn take_sent(&mut self) -> u64;
}

type Job = Box<dyn FnOnce(&mut dyn Dialect) + Send>;

/// A worker thread. When this is dropped, it ends after its current request.
#[derive(Debug)]
pub(crate) struct Worker(crossbeam_channel::Sender<Job>);

/// The fence of a target: a permit held by its workers, so that a worker abandoned in the middle of a
/// request cannot send old data after its successor has sent new data.
pub(crate) type FencePermit = Arc<Semaphore>;

/// A fence without holders.
pub(crate) fn floor() -> FencePermit {
    Arc::new(Semaphore::new(1))
}

/// The workers of one target, as many as run in parallel.
pub(crate) struct WorkerPool {
    name: String,
    floor: Arc<OwnedSemaphorePermit>,
    make: Box<dyn Fn() -> Box<dyn Dialect> + Send>,
    idle: Vec<Worker>,
}

impl WorkerPool {
    /// An empty pool. `make` makes the dialect of each worker, and `name` is the thread name. Waits until
    /// the workers of the previous pool have ended.
    pub(crate) async fn new(
        name: &str,
        floor: &FencePermit,
        make: impl Fn() -> Box<dyn Dialect> + Send + 'static,
    ) -> Result<Self, PushError> {
        let floor = Arc::clone(floor).acquire_owned().await.map_err(|_| PushError::WorkerGone)?;
        let (name, floor, make) = (name.to_owned(), Arc::new(floor), Box::new(make));
        Ok(Self { name, floor, make, idle: Vec::new() })
    }

    /// Takes an idle worker out of the pool, or starts one.
    pub(crate) fn take(&mut self) -> Result<Worker, PushError> {
        match self.idle.pop() {
            Some(worker) => Ok(worker),
            None => Worker::open(&self.name, Arc::clone(&self.floor), (self.make)()),
        }
    }

    /// Returns a worker to the pool.
    pub(crate) fn give(&mut self, worker: Worker) {
        self.idle.push(worker);
    }

    /// Runs `act` on an idle worker.
    pub(crate) async fn ask<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut dyn Dialect) -> T + Send + 'static,
    ) -> Result<T, PushError> {
        let worker = self.take()?;
        let answer = worker.ask(act).await?;
        self.give(worker);
        Ok(answer)
    }
}

impl Worker {
    fn open(
        name: &str,
        floor: Arc<OwnedSemaphorePermit>,
        mut dialect: Box<dyn Dialect>,
    ) -> Result<Self, PushError> {
        let (sender, jobs) = crossbeam_channel::bounded::<Job>(1);
        let spoken = move || {
            let _floor = floor;
            for job in jobs {
                // After a panic the reply channel of this job is dropped, and its caller gets an error.
                if catch_unwind(AssertUnwindSafe(|| job(&mut *dialect))).is_err() {
                    return;
                }
            }
        };
        let spawned = thread::Builder::new().name(format!("push {name}")).spawn(spoken);
        spawned.map_err(|why| PushError::NotConfigured(format!("no thread: {why}")))?;
        Ok(Self(sender))
    }

    /// Runs `act` on this worker at once, even if the returned future is dropped.
    pub(crate) fn ask<T, A>(&self, act: A) -> impl Future<Output = Result<T, PushError>> + use<T, A>
    where
        T: Send + 'static,
        A: FnOnce(&mut dyn Dialect) -> T + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |dialect| drop(tell.send(act(dialect))));
        // The only caller waits for each reply, so the queue has room.
        let sent = self.0.try_send(job).map_err(|_| PushError::WorkerGone);
        async move {
            sent?;
            told.await.map_err(|_| PushError::WorkerGone)
        }
    }
}
