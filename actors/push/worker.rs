//! The worker threads of a push target. Each has a thread of its own, because requests block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::dialect::Dialect;
use crate::error::PushError;

type Job = Box<dyn FnOnce(&mut dyn Dialect) + Send>;

/// A worker thread. When this is dropped, it ends after its current request.
#[derive(Debug)]
pub(crate) struct Worker(crossbeam_channel::Sender<Job>);

/// The fence of a target: its one permit is held by the workers, so that a worker abandoned in the
/// middle of a request cannot send old data after its successor has sent new data.
pub(crate) type Fence = Arc<Semaphore>;

/// A fence whose permit is free.
pub(crate) fn new_fence() -> Fence {
    Arc::new(Semaphore::new(1))
}

/// The workers of one target, as many as run in parallel.
pub(crate) struct WorkerPool {
    name: String,
    permit: Arc<OwnedSemaphorePermit>,
    create: Box<dyn Fn() -> Box<dyn Dialect> + Send>,
    idle: Vec<Worker>,
}

impl WorkerPool {
    /// An empty pool. `create` creates the dialect of each worker, and `name` is the thread name. Waits
    /// until the workers of the previous pool have ended.
    pub(crate) async fn new(
        name: &str,
        fence: &Fence,
        create: impl Fn() -> Box<dyn Dialect> + Send + 'static,
    ) -> Result<Self, PushError> {
        let permit = Arc::clone(fence).acquire_owned().await.map_err(|_| PushError::WorkerGone)?;
        let (name, permit, create) = (name.to_owned(), Arc::new(permit), Box::new(create));
        Ok(Self { name, permit, create, idle: Vec::new() })
    }

    /// Takes an idle worker out of the pool, or starts one.
    pub(crate) fn acquire(&mut self) -> Result<Worker, PushError> {
        match self.idle.pop() {
            Some(worker) => Ok(worker),
            None => Worker::start(&self.name, Arc::clone(&self.permit), (self.create)()),
        }
    }

    /// Returns a worker to the pool.
    pub(crate) fn release(&mut self, worker: Worker) {
        self.idle.push(worker);
    }

    /// Runs `job` on an idle worker.
    pub(crate) async fn run<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut dyn Dialect) -> T + Send + 'static,
    ) -> Result<T, PushError> {
        let worker = self.acquire()?;
        let result = worker.run(job).await?;
        self.release(worker);
        Ok(result)
    }
}

impl Worker {
    fn start(
        name: &str,
        permit: Arc<OwnedSemaphorePermit>,
        mut dialect: Box<dyn Dialect>,
    ) -> Result<Self, PushError> {
        let (sender, jobs) = crossbeam_channel::bounded::<Job>(1);
        let run = move || {
            let _permit = permit;
            for job in jobs {
                // After a panic the reply channel of this job is dropped, and its caller gets an error.
                if catch_unwind(AssertUnwindSafe(|| job(&mut *dialect))).is_err() {
                    return;
                }
            }
        };
        let spawned = thread::Builder::new().name(format!("push {name}")).spawn(run);
        spawned.map_err(|why| PushError::NotConfigured(format!("no thread: {why}")))?;
        Ok(Self(sender))
    }

    /// Runs `job` on this worker at once, even if the returned future is dropped.
    pub(crate) fn run<T, J>(&self, job: J) -> impl Future<Output = Result<T, PushError>> + use<T, J>
    where
        T: Send + 'static,
        J: FnOnce(&mut dyn Dialect) -> T + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move |dialect| drop(reply.send(job(dialect))));
        // The only caller waits for each reply, so the queue has room.
        let sent = self.0.try_send(job).map_err(|_| PushError::WorkerGone);
        async move {
            sent?;
            result.await.map_err(|_| PushError::WorkerGone)
        }
    }
}
