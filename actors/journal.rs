//! The journal's own thread: it appends what the cache hands over, commits in groups, and hands
//! what is committed back to the cache, in order.

mod ahead;
mod archive;
mod backup;
mod cells;
mod damage;
mod durable;
mod events;
mod file;
mod fingerprint;
mod folder;
mod forgetting;
mod governing;
mod inspecting;
mod keeper;
mod known;
mod lexicon;
pub(crate) mod library;
mod manifest;
mod memories;
mod poison;
mod positions;
mod pulse;
mod reading;
mod replaying;
mod restoring;
mod sealing;
mod segment;
mod sessions;
mod snapshot;
mod stamp;
mod terms;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use rollcall_identity::{
    Batched, Event, Handover, Journal, JournalError, ReadPosition, Revision, Rules, Served, Source,
    Table, serve,
};
use tokio::sync::{oneshot, watch};

pub use self::backup::{BackedUp, back_up};
pub use self::damage::Damage;
pub use self::durable::DurableJournal;
pub use self::inspecting::{Inspected, export, inspect};
pub use self::manifest::{Manifest, Sealed};
use self::pulse::{Pulse, Told};
pub use self::replaying::{Differing, Replayed, replay};
pub use self::terms::Terms;
use crate::account::Account;
use crate::cache::{Cache, Receipt, Refused, TakeStock};
use crate::clock::Clock;
use crate::happenings::{Committed, Happening, JournalAnswers, JournalRefused};
use crate::mailbox::Mailbox;

/// A batch on its way through the journal.
pub(crate) struct Batch {
    /// What is to be appended.
    pub events: Vec<Event>,
    /// How far its producer has read with it.
    pub read: Option<ReadPosition>,
    /// What accounts for them until they are decided.
    pub account: Account,
    /// Who waits for it to be visible.
    pub receipt: oneshot::Sender<Result<Receipt, Refused>>,
}

impl Batched for Batch {
    fn events(&self) -> &[Event] {
        &self.events
    }

    fn read(&self) -> Option<&ReadPosition> {
        self.read.as_ref()
    }
}

/// A batch that is in the journal, from this position on.
pub(crate) struct Entry {
    /// The position of its first event.
    pub first: Revision,
    /// The batch.
    pub batch: Batch,
}

/// Why the journal takes no events at the moment; `None` while it does.
pub type Illness = watch::Receiver<Option<JournalError>>;

/// The way into the journal. When the last one is dropped, the thread commits and ends.
#[derive(Clone)]
pub struct JournalWriter {
    epoch: u64,
    orders: Sender<Order>,
    illness: Illness,
}

/// What the journal's thread is asked for.
type Order = rollcall_identity::Order<Batch, Question>;

/// What it is asked beside.
enum Question {
    Tell(Source, oneshot::Sender<Option<Arc<[u8]>>>),
    Recall(oneshot::Sender<Recalled>),
    Unsettle,
}

/// The table as everything committed folds to, and its last position; `None` when nothing is kept.
pub(crate) type Recalled = Result<Option<(Table, Revision)>, JournalError>;

/// The journal's thread, to be waited for.
pub(crate) struct JournalThread {
    last: Sender<Handover>,
    thread: JoinHandle<()>,
}

impl JournalThread {
    /// Waits until it has ended, which it does when the last way into it is gone. `last` is the
    /// table as of some committed position, when somebody could tell.
    pub(crate) fn join(self, last: Option<Handover>) {
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

impl JournalWriter {
    /// Starts the thread. What is committed goes to the actor behind `cache`.
    pub(crate) fn start(
        journal: impl Journal + 'static,
        cache: Mailbox<Cache>,
        rules: Arc<ArcSwap<Rules>>,
        clock: Clock,
    ) -> io::Result<(Self, JournalThread)> {
        let (orders, inbox) = bounded(2 * GROUP);
        let (last, last_words) = bounded(1);
        let epoch = journal.epoch();
        let (tell, illness) = watch::channel(journal.illness().cloned());
        let (tell, in_force) = (Arc::new(tell), rules.load_full());
        let pulse = Pulse::start(Arc::clone(&tell), TENDING)?;
        let writing = Writing { journal, cache, rules, in_force, clock, pulse, tell };
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
    pub fn illness(&self) -> Illness {
        self.illness.clone()
    }

    /// Hands a batch over without waiting.
    pub(crate) fn hand_over(&self, batch: Batch) -> Result<(), Refused> {
        self.orders.try_send(Order::Write(batch)).map_err(|refused| {
            let (order, reason, refused) = match refused {
                TrySendError::Full(order) => (order, "cache_busy", Refused::Busy),
                TrySendError::Disconnected(order) => {
                    let refused = Refused::Journal("its thread has ended".to_owned());
                    (order, "journal_ill", refused)
                }
            };
            match order {
                Order::Write(batch) => batch.account.lost(reason, refused),
                Order::Ask(_) => refused,
            }
        })
    }

    /// How far `source` was read, as last committed.
    pub(crate) async fn read_position(&self, source: Source) -> Result<Option<Arc<[u8]>>, Refused> {
        let (tell, told) = oneshot::channel();
        let order = Order::Ask(Question::Tell(source, tell));
        self.orders.try_send(order).map_err(|_| Refused::Busy)?;
        told.await.map_err(|_| Refused::Journal("its thread has ended".to_owned()))
    }
}

impl JournalWriter {
    /// The table as everything committed folds to, for a cache to which nobody can hand it over. It
    /// waits for a place: without what is committed and was told to nobody, that cache would go on
    /// without what it holds.
    pub(crate) async fn recall(&self) -> Recalled {
        let ended = || JournalError("its thread has ended".to_owned());
        let (tell, told) = oneshot::channel();
        let mut order = Order::Ask(Question::Recall(tell));
        while let Err(refused) = self.orders.try_send(order) {
            let TrySendError::Full(again) = refused else { return Err(ended()) };
            order = again;
            tokio::time::sleep(ROOM).await;
        }
        told.await.map_err(|_| ended())?
    }

    /// What was on its way to a cache that is gone is not folded any more.
    pub(crate) fn unsettle(&self) {
        // Without it, the table is written down at its usual time.
        let _ = self.orders.try_send(Order::Ask(Question::Unsettle));
    }
}

/// The thread at work.
struct Writing<J> {
    journal: J,
    cache: Mailbox<Cache>,
    rules: Arc<ArcSwap<Rules>>,
    /// Those that the journal was told of: they decide what is committed until it is told of others.
    in_force: Arc<Rules>,
    clock: Clock,
    pulse: Pulse,
    tell: Told,
}

impl<J: Journal> Writing<J> {
    fn work(mut self, inbox: &Receiver<Order>, last_words: &Receiver<Handover>) {
        loop {
            match inbox.recv_timeout(TENDING) {
                Ok(first) => self.write(group(first, inbox)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tend();
        }
        // Whoever waits for the end says so first, or goes away.
        self.journal.close(last_words.recv().ok());
    }

    /// Appends a group of batches, commits them together, and hands them on.
    fn write(&mut self, group: impl Iterator<Item = Order>) {
        self.govern();
        let began = Clock::instant();
        let journal = &mut self.journal;
        let (served, hung) = self.pulse.beat(|| serve(journal, group));
        self.answers(hung);
        let Served { committed, refused, asked } = served;
        for (batch, error) in refused {
            refuse(batch, &error);
        }
        if !committed.is_empty() {
            Committed { took: began.elapsed() }.emit();
            let entries = committed.into_iter().map(|(first, batch)| Entry { first, batch });
            self.cache.send_committed(entries.collect(), Arc::clone(&self.in_force));
        }
        asked.into_iter().for_each(|question| self.answer(question));
    }

    fn answer(&mut self, question: Question) {
        // Whoever does not wait any more does not need it.
        match question {
            Question::Tell(source, tell) => drop(tell.send(self.journal.read_position(&source))),
            Question::Recall(tell) => drop(tell.send(self.journal.recall(&self.in_force))),
            Question::Unsettle => self.journal.unsettle(),
        }
    }

    /// Tells the journal by which rules it goes on: what it commits from now on is decided by them, and
    /// what it committed before by those before.
    fn govern(&mut self) {
        let rules = self.rules.load();
        if !Arc::ptr_eq(&rules, &self.in_force) {
            self.journal.govern(&rules);
            self.in_force = Arc::clone(&rules);
        }
    }

    /// The disk has answered, after it was said for so long that it does not.
    fn answers(&self, hung: Option<Duration>) {
        // When it failed in the end, that was said.
        if let Some(took) = hung.filter(|_| self.journal.illness().is_none()) {
            JournalAnswers { took }.emit();
        }
    }

    fn tend(&mut self) {
        self.govern();
        let (journal, now) = (&mut self.journal, self.clock.now());
        let (survey, hung) = self.pulse.beat(|| journal.tend(now));
        self.answers(hung);
        if let Some(survey) = survey {
            // Behind everything that was committed, and before everything that will be.
            if self.cache.post(TakeStock(survey)).is_err() {
                self.journal.unsettle();
            }
        }
        let illness = self.journal.illness();
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
fn group(first: Order, inbox: &Receiver<Order>) -> impl Iterator<Item = Order> {
    let (mut first, mut orders, mut events) = (Some(first), 0, 0);
    std::iter::from_fn(move || {
        let has_room = orders < GROUP && events < GROUP_EVENTS;
        let order = first.take().or_else(|| has_room.then(|| inbox.try_recv().ok()).flatten())?;
        orders += 1;
        if let Order::Write(batch) = &order {
            events += batch.events.len();
        }
        Some(order)
    })
}

fn refuse(batch: Batch, error: &JournalError) {
    JournalRefused { error: &error.0 }.emit();
    let refused = batch.account.lost("journal_ill", Refused::Journal(error.0.clone()));
    // Whoever does not wait any more does not need it.
    let _ = batch.receipt.send(Err(refused));
}
