//! A producer is a trait; one actor wraps them all and is how they reach the cache.

pub mod active_directory;
pub mod event_log;
pub mod metrics;
pub mod ptim;
mod resolver;
pub mod syslog;
mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod test_producer;
#[cfg(test)]
mod tests;
mod windows;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use futures_util::future::select;
use rollcall_identity::directory::{AffectedAccounts, RemovalPolicy};
use rollcall_identity::{Event, Name, Origin, Producer as Word, ReadPosition, ReadSource};
use tokio::sync::watch;

use crate::telemetry::ProducerBegins;
use rollcall_engine::cache::Cache;
use rollcall_engine::messages::UpdateMembership;
use rollcall_engine::messages::{Apply, ApplyError, GetReadPosition};
use rollcall_identity::Receipt;
use rollcall_journal::WriteErrorWatch;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::event_accounting::{Dropped, Received};
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

/// Something outside that knows who is where. It runs until it is told to stop, or fails.
pub trait Producer: Send + Sync + 'static {
    /// The word of its kind.
    fn word(&self) -> Word;

    /// Runs it. Called again after a failure, with everything bound as it was.
    fn run(self: Arc<Self>, outlet: Outlet, stop: Stop) -> Running;
}

/// A producer at work, on the thread of its actor.
pub type Running = Pin<Box<dyn Future<Output = Result<(), ProducerFailed>>>>;

/// Why a producer gave up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProducerFailed(pub String);

/// Tells a producer to stop taking in more and to hand over what it has.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Whether it is time, for threads that look between two waits.
    pub fn is_asked(&self) -> bool {
        // The actor that would ask is gone, which asks as well.
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is time.
    pub async fn asked(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// How a producer reaches the cache, and where it accounts for what it could not use.
#[derive(Clone)]
pub struct Outlet {
    name: Arc<str>,
    desk: Mailbox<Producing>,
    illness: WriteErrorWatch,
}

/// What one reading of a socket or one request brought: the left side of the account.
#[derive(Debug, Default)]
pub struct Harvest {
    /// The events that were read.
    pub events: Vec<Event>,
    /// How far the producer has read with them: its own name for what it reads, and its own bytes,
    /// at most [`ReadPosition::LIMIT`]. They are committed together.
    pub read: Option<(Name, Arc<[u8]>)>,
    dropped: Vec<Loss>,
}

#[derive(Debug)]
struct Loss {
    reason: &'static str,
    form: Option<Name>,
    count: u64,
}

impl Harvest {
    /// Notes an item out of which no event could be made: why, and which template or dialect was
    /// tried.
    pub fn lost(&mut self, reason: &'static str, form: Option<&Name>) {
        let same = |loss: &&mut Loss| loss.reason == reason && loss.form.as_ref() == form;
        match self.dropped.iter_mut().find(same) {
            Some(loss) => loss.count += 1,
            None => self.dropped.push(Loss { reason, form: form.cloned(), count: 1 }),
        }
    }
}

/// Events on their way to the cache. Whether anybody waits for the receipt or not, they are
/// decided, or counted as dropped.
pub struct Pending(Pin<Box<dyn Future<Output = Result<Receipt, ApplyError>> + Send>>);

impl Pending {
    /// Waits until they are visible.
    ///
    /// # Errors
    /// When the cache did not take them.
    pub async fn receipt(self) -> Result<Receipt, ApplyError> {
        self.0.await
    }
}

impl Outlet {
    /// The configured name of the producer.
    pub fn producer(&self) -> &str {
        &self.name
    }

    /// Waits while the journal takes nothing, or until it is time to `stop`. For a producer to whom
    /// nobody sends again what was refused: what it does not read meanwhile stays with the kernel,
    /// and a sender by stream feels it.
    pub async fn wait_for_journal(&self, stop: &Stop) {
        let (mut illness, mut stop) = (self.illness.clone(), stop.clone());
        let (well, stopped) = (pin!(illness.wait_for(Option::is_none)), pin!(stop.asked()));
        // A journal that is gone takes nothing, and whoever hands over to it is told so.
        let _ = select(stopped, well).await;
    }

    /// Hands over what was harvested, and leaves the harvest empty. Returns when there was a place
    /// in the producer's mailbox: this is how back-pressure reaches the socket.
    pub async fn hand_over(&self, harvest: &mut Harvest) -> Option<Pending> {
        let dropped: u64 = harvest.dropped.iter().map(|loss| loss.count).sum();
        // The next harvest is likely to be like this one: its place is made at once.
        let next = Vec::with_capacity(harvest.events.len());
        let events = std::mem::replace(&mut harvest.events, next);
        let count = events.len() as u64;
        Received { producer: &self.name, count: count + dropped }.emit();
        for Loss { reason, form, count } in harvest.dropped.drain(..) {
            self.dropped(reason, form.as_ref().map_or("none", Name::as_str), count);
        }
        let read = harvest.read.take();
        if events.is_empty() && read.is_none() {
            return None;
        }
        let read = read.and_then(|(name, place)| {
            Some(ReadPosition { source: self.source(name)?, position: place })
        });
        let account = EventAccount::open(Arc::clone(&self.name), count);
        let emit = Emit(Apply { events, read, account });
        // While the producer's actor is being replaced, what was read waits for its successor.
        self.desk.wait_until_running().await;
        Some(Pending(match self.desk.queue(emit).await {
            Ok(answer) => Box::pin(async { answer.await? }),
            Err(gone) => Box::pin(async move { Err(gone.into()) }),
        }))
    }

    /// How far the producer had read in what it calls `name` when it was last committed; `None` when
    /// it never was. To be asked at each beginning, since what was handed over and not committed is
    /// to be read again.
    ///
    /// # Errors
    /// When the journal cannot tell now.
    pub async fn last_read(&self, name: Name) -> Result<Option<Arc<[u8]>>, ApplyError> {
        let Some(source) = self.source(name) else { return Ok(None) };
        self.desk.wait_until_running().await;
        self.desk.send(GetReadPosition(source)).await?
    }

    fn source(&self, name: Name) -> Option<ReadSource> {
        Some(ReadSource { producer: Name::new(&self.name).ok()?, name })
    }

    /// Tells what a directory says otherwise, in the name of `origin`. Returns when whoever asks sees
    /// it; while the cache is being replaced or takes nothing, it waits.
    pub async fn learnt(
        &self,
        affected: Arc<AffectedAccounts>,
        gone: RemovalPolicy,
        origin: Arc<Origin>,
    ) {
        let learnt = UpdateMembership { affected, gone, origin };
        loop {
            self.desk.wait_until_running().await;
            if let Ok(answer) = self.desk.queue(Tell(learnt.clone())).await
                && let Ok(Ok(())) = answer.await
            {
                return;
            }
            tokio::time::sleep(TELL_AGAIN).await;
        }
    }

    fn dropped(&self, reason: &'static str, form: &str, count: u64) {
        Dropped { producer: &self.name, reason, form, count }.emit();
    }
}

/// How long to wait before what a directory says is told to another cache.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// What a directory says otherwise.
#[derive(Debug)]
pub(crate) struct Tell(UpdateMembership);

impl Message for Tell {
    type Result = Result<(), ApplyError>;
}

/// Events that the producer saw.
#[derive(Debug)]
pub struct Emit(Apply);

impl Message for Emit {
    type Result = Result<Receipt, ApplyError>;
}

/// Stop taking in more. The answer comes when everything taken in has been handed over.
#[derive(Debug)]
pub struct Close;

impl Message for Close {
    type Result = ();
}

/// The role of every producer's actor.
pub struct Producing {
    producer: Arc<dyn Producer>,
    desk: Mailbox<Self>,
    cache: Mailbox<Cache>,
    illness: WriteErrorWatch,
    stop: watch::Sender<bool>,
    done: watch::Sender<bool>,
}

impl Producing {
    /// An actor for `producer` behind `desk`, with the cache downstream.
    pub fn new(producer: Arc<dyn Producer>, desk: Mailbox<Self>, cache: Mailbox<Cache>) -> Self {
        Self {
            producer,
            desk,
            cache,
            illness: watch::Sender::new(None).subscribe(),
            stop: watch::Sender::new(false),
            done: watch::Sender::new(false),
        }
    }

    /// The same, and its producer can hear how the journal is.
    #[must_use]
    pub fn heeding(self, illness: WriteErrorWatch) -> Self {
        Self { illness, ..self }
    }
}

impl Actor for Producing {
    const KIND: &'static str = "producer";
    const STAGE: Stage = Stage::Receiving;

    fn started(&mut self, context: &mut Context<Self>) {
        let (name, desk) = (Arc::clone(self.desk.metrics().name()), self.desk.clone());
        let outlet = Outlet { name, desk, illness: self.illness.clone() };
        ProducerBegins { producer: outlet.producer() }.emit();
        let running = Arc::clone(&self.producer).run(outlet, Stop(self.stop.subscribe()));
        let running = wrap_future::<_, ActorCell<Self>>(running);
        context.spawn(running.map(|ended, cell, context| {
            let asked = *cell.actor().stop.borrow();
            match ended {
                Ok(()) if asked => drop(cell.actor().done.send_replace(true)),
                Ok(()) => cell.fail("the producer ended of itself", context),
                Err(failed) => cell.fail(failed, context),
            }
        }));
    }
}

impl Handler<Emit> for Producing {
    fn handle(
        &mut self,
        Emit(apply): Emit,
        _: &mut Context<Self>,
    ) -> Reply<Result<Receipt, ApplyError>> {
        let cache = self.cache.clone();
        Reply::later(async move {
            // What was received waits for a cache that is being replaced.
            cache.wait_until_running().await;
            cache.send(apply).await?
        })
    }
}

impl Handler<GetReadPosition> for Producing {
    fn handle(
        &mut self,
        asked: GetReadPosition,
        _: &mut Context<Self>,
    ) -> Reply<Result<Option<Arc<[u8]>>, ApplyError>> {
        let cache = self.cache.clone();
        Reply::later(async move {
            cache.wait_until_running().await;
            cache.send(asked).await?
        })
    }
}

impl Handler<Tell> for Producing {
    fn handle(
        &mut self,
        Tell(learnt): Tell,
        _: &mut Context<Self>,
    ) -> Reply<Result<(), ApplyError>> {
        let cache = self.cache.clone();
        Reply::later(async move {
            cache.wait_until_running().await;
            cache.send(learnt).await?
        })
    }
}

impl Handler<Close> for Producing {
    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Reply<()> {
        self.stop.send_replace(true);
        let mut done = self.done.subscribe();
        Reply::later(async move {
            let _ = done.wait_for(|done| *done).await;
        })
    }
}
