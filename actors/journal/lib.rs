//! The journal's own thread: it appends what the cache hands over, commits in groups, and hands
//! what is committed back to the cache, in order.

pub mod archive_reader;
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
mod session_rows;
mod snapshot;
mod string_table;
mod tar;
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
    CheckpointSink, GroupOutcome, Journal, JournalBatch, JournalEntry, JournalError, ReadSource,
    Revision, Rules, Table, TableSnapshot, commit_group,
};
use tokio::sync::{oneshot, watch};

pub use self::backup::{BackupReport, back_up};
pub use self::corruption::Corruption;
pub use self::durable::DurableJournal;
pub use self::inspect::{InspectReport, export, inspect};
use self::io_watchdog::{IoWatchdog, Told};
pub use self::manifest::{Manifest, Sealed};
pub use self::options::JournalOptions;
pub use self::replay::{ReplayDifference, ReplayReport, replay};
use crate::telemetry::{BatchRefused, Committed, DiskResponding};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// A batch that the journal's thread can carry.
pub trait Payload: JournalBatch + Send + 'static {}

impl<B: JournalBatch + Send + 'static> Payload for B {}

/// Where committed batches go, in their order. Calls return at once.
pub trait CommitSink<B>: Send + 'static {
    /// These batches are committed; `rules` decide them.
    fn committed(&self, entries: Vec<JournalEntry<B>>, rules: Arc<Rules>);

    /// This batch is not committed, because of `error`.
    fn rejected(&self, batch: B, error: JournalError);

    /// Requests the table as it stands after everything committed so far, for a checkpoint. Returns
    /// whether the request could be made.
    fn checkpoint(&self, survey: CheckpointSink) -> bool;
}

/// Why the journal did not accept a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// Its queue is full.
    #[error("too many events are under way")]
    Full,
    /// Its thread has ended.
    #[error("the journal's thread has ended")]
    Ended,
}

/// Why the journal takes no events at the moment; `None` while it does.
pub type WriteErrorWatch = watch::Receiver<Option<JournalError>>;

/// The way into the journal. When the last one is dropped, the thread commits and ends.
pub struct JournalWriter<B> {
    epoch: u64,
    orders: Sender<Order<B>>,
    illness: WriteErrorWatch,
}

/// What the journal's thread is asked for.
type Order<B> = rollcall_identity::JournalRequest<B, Question>;

/// What it is asked beside.
enum Question {
    Tell(ReadSource, oneshot::Sender<Option<Arc<[u8]>>>),
    Recall(oneshot::Sender<Reloaded>),
    Unsettle,
}

/// The table as everything committed folds to, and its last position; `None` when nothing is kept.
pub type Reloaded = Result<Option<(Table, Revision)>, JournalError>;

/// The journal's thread, to be waited for.
pub struct JournalThread {
    last: Sender<TableSnapshot>,
    thread: JoinHandle<()>,
}

impl JournalThread {
    /// Waits until it has ended, which it does when the last way into it is gone. `last` is the
    /// table as of some committed position, when somebody could tell.
    pub fn join(self, last: Option<TableSnapshot>) {
        let Self { last: tell, thread } = self;
        if let Some(last) = last {
            let _ = tell.try_send(last);
        }
        drop(tell);
        // One that panicked has nothing left to write.
        let _ = thread.join();
    }
}

/// How many batches one commit covers at most: what can wait, the cache's mailbox bounds already.
const GROUP: usize = 64;

/// How many events one commit covers at most, but for those of its last batch. A fraction of what one
/// stream may have under way: while these reach the disk, those before are decided and those after
/// are read.
const GROUP_EVENTS: usize = 8192;

/// How long whoever found no place waits before asking again: the time of a commit or two.
const ROOM: Duration = Duration::from_millis(10);

/// How long the thread waits for a batch before it looks after the journal.
const TENDING: Duration = Duration::from_secs(1);

impl<B> Clone for JournalWriter<B> {
    fn clone(&self) -> Self {
        Self { epoch: self.epoch, orders: self.orders.clone(), illness: self.illness.clone() }
    }
}

impl<B: Payload> JournalWriter<B> {
    /// Starts the thread. Committed batches go to `sink`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        journal: impl Journal + 'static,
        sink: impl CommitSink<B>,
        rules: Arc<ArcSwap<Rules>>,
        clock: Clock,
    ) -> io::Result<(Self, JournalThread)> {
        let (orders, inbox) = bounded(2 * GROUP);
        let (last, last_words) = bounded(1);
        let epoch = journal.epoch();
        let (tell, illness) = watch::channel(journal.write_error().cloned());
        let (tell, in_force) = (Arc::new(tell), rules.load_full());
        let pulse = IoWatchdog::start(Arc::clone(&tell), TENDING)?;
        let writing = Writing { journal, sink, rules, in_force, clock, pulse, tell };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writing.work(&inbox, &last_words))?;
        Ok((Self { epoch, orders, illness }, JournalThread { last, thread }))
    }

    /// The epoch of the positions that this journal hands out.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How the journal is.
    pub fn illness(&self) -> WriteErrorWatch {
        self.illness.clone()
    }

    /// Hands a batch over without waiting.
    ///
    /// # Errors
    /// The batch, when the journal does not accept it, with the reason.
    pub fn hand_over(&self, batch: B) -> Result<(), (B, NotAccepted)> {
        let (order, reason) = match self.orders.try_send(Order::Append(batch)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(order)) => (order, NotAccepted::Full),
            Err(TrySendError::Disconnected(order)) => (order, NotAccepted::Ended),
        };
        match order {
            Order::Append(batch) => Err((batch, reason)),
            // Only a write was sent.
            Order::Query(_) => Ok(()),
        }
    }

    /// How far `source` was read, as last committed.
    ///
    /// # Errors
    /// When the journal does not accept the question.
    pub async fn read_position(
        &self,
        source: ReadSource,
    ) -> Result<Option<Arc<[u8]>>, NotAccepted> {
        let (tell, told) = oneshot::channel();
        let order = Order::Query(Question::Tell(source, tell));
        self.orders.try_send(order).map_err(|_| NotAccepted::Full)?;
        told.await.map_err(|_| NotAccepted::Ended)
    }
}

impl<B: Payload> JournalWriter<B> {
    /// The table as everything committed folds to, for a cache to which nobody can hand it over. It
    /// waits for a place: without what is committed and was told to nobody, that cache would go on
    /// without what it holds.
    ///
    /// # Errors
    /// When the journal cannot be read, or its thread has ended.
    pub async fn recall(&self) -> Reloaded {
        let ended = || JournalError("its thread has ended".to_owned());
        let (tell, told) = oneshot::channel();
        let mut order = Order::Query(Question::Recall(tell));
        while let Err(refused) = self.orders.try_send(order) {
            let TrySendError::Full(again) = refused else { return Err(ended()) };
            order = again;
            tokio::time::sleep(ROOM).await;
        }
        told.await.map_err(|_| ended())?
    }

    /// What was on its way to a cache that is gone is not folded any more.
    pub fn unsettle(&self) {
        // Without it, the table is written down at its usual time.
        let _ = self.orders.try_send(Order::Query(Question::Unsettle));
    }
}

/// The thread at work.
struct Writing<J, S> {
    journal: J,
    sink: S,
    rules: Arc<ArcSwap<Rules>>,
    /// Those that the journal was told of: they decide what is committed until it is told of others.
    in_force: Arc<Rules>,
    clock: Clock,
    pulse: IoWatchdog,
    tell: Told,
}

impl<J: Journal, S> Writing<J, S> {
    fn work<B: Payload>(mut self, inbox: &Receiver<Order<B>>, last_words: &Receiver<TableSnapshot>)
    where
        S: CommitSink<B>,
    {
        loop {
            match inbox.recv_timeout(TENDING) {
                Ok(first) => self.write(group(first, inbox)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tend::<B>();
        }
        // Whoever waits for the end says so first, or goes away.
        self.journal.close(last_words.recv().ok());
    }

    /// Appends a group of batches, commits them together, and hands them on.
    fn write<B: Payload>(&mut self, group: impl Iterator<Item = Order<B>>)
    where
        S: CommitSink<B>,
    {
        self.govern();
        let began = Clock::instant();
        let journal = &mut self.journal;
        let (served, hung) = self.pulse.beat(|| commit_group(journal, group));
        self.answers(hung);
        let GroupOutcome { committed, failed: refused, queries: asked } = served;
        for (batch, error) in refused {
            BatchRefused { error: &error.0 }.emit();
            self.sink.rejected(batch, error);
        }
        if !committed.is_empty() {
            Committed { took: began.elapsed() }.emit();
            self.sink.committed(committed, Arc::clone(&self.in_force));
        }
        asked.into_iter().for_each(|question| self.answer(question));
    }

    fn answer(&mut self, question: Question) {
        // Whoever does not wait any more does not need it.
        match question {
            Question::Tell(source, tell) => drop(tell.send(self.journal.read_position(&source))),
            Question::Recall(tell) => drop(tell.send(self.journal.reload(&self.in_force))),
            Question::Unsettle => self.journal.invalidate_checkpoint(),
        }
    }

    /// Tells the journal by which rules it goes on: what it commits from now on is decided by them, and
    /// what it committed before by those before.
    fn govern(&mut self) {
        let rules = self.rules.load();
        if !Arc::ptr_eq(&rules, &self.in_force) {
            self.journal.set_rules(&rules);
            self.in_force = Arc::clone(&rules);
        }
    }

    /// The disk has answered, after it was said for so long that it does not.
    fn answers(&self, hung: Option<Duration>) {
        // When it failed in the end, that was said.
        if let Some(took) = hung.filter(|_| self.journal.write_error().is_none()) {
            DiskResponding { took }.emit();
        }
    }

    fn tend<B>(&mut self)
    where
        S: CommitSink<B>,
    {
        self.govern();
        let (journal, now) = (&mut self.journal, self.clock.now());
        let (survey, hung) = self.pulse.beat(|| journal.maintain(now));
        self.answers(hung);
        if let Some(survey) = survey {
            // Behind everything that was committed, and before everything that will be.
            if !self.sink.checkpoint(survey) {
                self.journal.invalidate_checkpoint();
            }
        }
        let illness = self.journal.write_error();
        self.tell.send_if_modified(|told| {
            let differs = told.as_ref().map(|told| &told.0) != illness.map(|illness| &illness.0);
            if differs {
                *told = illness.cloned();
            }
            differs
        });
    }
}

/// `first` and what waits behind it, as much as one commit covers.
fn group<B: Payload>(
    first: Order<B>,
    inbox: &Receiver<Order<B>>,
) -> impl Iterator<Item = Order<B>> {
    let (mut first, mut orders, mut events) = (Some(first), 0, 0);
    std::iter::from_fn(move || {
        let has_room = orders < GROUP && events < GROUP_EVENTS;
        let order = first.take().or_else(|| has_room.then(|| inbox.try_recv().ok()).flatten())?;
        orders += 1;
        if let Order::Append(batch) = &order {
            events += batch.events().len();
        }
        Some(order)
    })
}
