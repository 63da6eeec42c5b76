//! Mailboxes that are measured and bounded by construction, and stay valid while the actor behind
//! them is replaced.
//!
//! An [`Actor`] is the behavior. An [`ActorCell`] runs it, and is the only type that actix sees, so
//! that no actor can skip the metrics. A [`Mailbox`] is the address of an actor: a number of
//! permits, and the actix address of the cell that runs now.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Addr, AsyncContext, Message};
use arc_swap::ArcSwapOption;
use futures_util::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::actor_handle::ActorHandle;
use crate::actor_metrics::{ActorMetrics, Stage};
use crate::clock::Clock;

/// What an actor does. Supervision, mailbox and metrics are those of its [`ActorCell`].
pub trait Actor: Sized + Unpin + 'static {
    /// The metric label, for instance `cache`.
    const KIND: &'static str;
    /// The stage of the event pipeline.
    const STAGE: Stage;
    /// How many messages may wait or be in progress before senders wait.
    const CAPACITY: usize = 64;

    /// Called once, before the first message.
    fn started(&mut self, _context: &mut Context<Self>) {}
}

/// An actor that handles messages of type `M`.
pub trait Handler<M: Message<Result: Send> + Send>: Actor {
    /// Handles one message. Long work goes into [`Reply::Later`]: the supervisor replaces an actor
    /// that blocks its thread for ten seconds.
    fn handle(&mut self, message: M, context: &mut Context<Self>) -> Reply<M::Result>;
}

/// The actix context of an actor.
pub type Context<A> = actix::Context<ActorCell<A>>;

/// The reply of an actor to one message.
pub enum Reply<T> {
    /// The reply is ready.
    Now(T),
    /// The reply follows. The actor handles further messages meanwhile; the sender's permit stays
    /// taken.
    Later(Pin<Box<dyn Future<Output = T>>>),
}

impl<T> Reply<T> {
    /// A reply that follows.
    pub fn later(reply: impl Future<Output = T> + 'static) -> Self {
        Self::Later(Box::pin(reply))
    }
}

/// A running actor: the only type in Rollcall that is an actix actor.
pub struct ActorCell<A: Actor> {
    actor: A,
    metrics: ActorMetrics,
    handle: ActorHandle,
    started: Option<oneshot::Sender<()>>,
}

impl<A: Actor> ActorCell<A> {
    /// A cell for `actor`. `started` is notified when the actor has started. When the cell is
    /// dropped, `handle` reports to the supervisor how it ended.
    pub(crate) fn new(
        actor: A,
        metrics: ActorMetrics,
        handle: ActorHandle,
        started: Option<oneshot::Sender<()>>,
    ) -> Self {
        Self { actor, metrics, handle, started }
    }

    /// Starts the cell in a context on the calling thread.
    pub(crate) fn start_here(self) -> Addr<Self> {
        let mut context = actix::Context::new();
        // The mailbox counts permits. The limit of actix must never be reached before that.
        context.set_mailbox_capacity(usize::MAX >> 8);
        context.run(self)
    }

    /// The actor, for futures that it spawned.
    pub fn actor(&mut self) -> &mut A {
        &mut self.actor
    }

    /// Ends this actor with an error. The supervisor replaces it after a backoff.
    pub fn fail(&mut self, error: impl std::fmt::Display, context: &mut Context<A>) {
        self.handle.failed(error.to_string());
        actix::ActorContext::terminate(context);
    }
}

impl<A: Actor> actix::Actor for ActorCell<A> {
    type Context = Context<A>;

    fn started(&mut self, context: &mut Context<A>) {
        self.actor.started(context);
        // Only the first start has a waiting caller.
        self.started.take().map(|started| started.send(()));
    }
}

/// A message in a mailbox, with its permit and the channel of its reply. It is handled even when
/// its sender no longer waits: actix itself skips messages without a waiting sender.
struct Envelope<M: Message> {
    message: M,
    permit: Permit,
    reply: oneshot::Sender<M::Result>,
}

impl<M: Message> Message for Envelope<M> {
    type Result = ();
}

/// One message in the mailbox. Dropping it frees the permit, whether the message was handled or
/// not.
struct Permit {
    metrics: ActorMetrics,
    _semaphore: Option<OwnedSemaphorePermit>,
}

impl Permit {
    fn new(metrics: &ActorMetrics, semaphore: Option<OwnedSemaphorePermit>) -> Self {
        metrics.queued();
        Self { metrics: metrics.clone(), _semaphore: semaphore }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.metrics.left();
    }
}

impl<A, M> actix::Handler<Envelope<M>> for ActorCell<A>
where
    A: Handler<M>,
    M: Message<Result: Send> + Send + 'static,
{
    type Result = ();

    fn handle(&mut self, envelope: Envelope<M>, context: &mut Context<A>) {
        if self.handle.is_superseded() {
            return actix::ActorContext::terminate(context);
        }
        let Envelope { message, permit, reply: channel } = envelope;
        let began = Clock::instant();
        let reply = self.actor.handle(message, context);
        self.metrics.handled(began.elapsed());
        // A sender that no longer waits does not need the reply.
        match reply {
            Reply::Now(reply) => drop(channel.send(reply)),
            Reply::Later(reply) => {
                context.spawn(wrap_future::<_, Self>(reply).map(|reply, _, _| {
                    drop(permit);
                    drop(channel.send(reply));
                }));
            }
        }
    }
}

/// No actor runs behind the mailbox, or the actor ended before it replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("actor {0} is not running")]
pub struct MailboxClosed(pub &'static str);

/// The address of an actor that stays valid when the actor is replaced.
pub struct Mailbox<A: Actor>(Arc<Slot<A>>);

struct Slot<A: Actor> {
    running: ArcSwapOption<Running<A>>,
    presence: watch::Sender<Presence>,
    metrics: ActorMetrics,
}

/// Whether an actor runs behind a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Restarting,
    Running,
    Stopped,
}

/// One generation of the actor. Its permits end with it: messages that wait for a hung actor must
/// neither take room from its successor nor wait forever.
struct Running<A: Actor> {
    address: Addr<ActorCell<A>>,
    permits: Arc<Semaphore>,
    ended: watch::Sender<bool>,
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Mailbox<A> {
    /// A mailbox without an actor yet.
    pub fn new(name: &str, clock: Clock) -> Self {
        Self(Arc::new(Slot {
            running: ArcSwapOption::empty(),
            presence: watch::Sender::new(Presence::Restarting),
            metrics: ActorMetrics::new(name, A::KIND, A::STAGE, A::CAPACITY, clock),
        }))
    }

    /// The metrics of this mailbox and its actor.
    pub fn metrics(&self) -> &ActorMetrics {
        &self.0.metrics
    }

    /// Sends `message`: waits for a permit, then for the reply.
    ///
    /// # Errors
    /// [`MailboxClosed`] when no actor runs. The message is then lost and counted as refused.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, MailboxClosed>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        self.queue(message).await?.await
    }

    /// Waits for a permit and queues `message`. The future gives the reply; the permit is taken
    /// until then.
    ///
    /// # Errors
    /// [`MailboxClosed`], as for [`Mailbox::send`].
    pub async fn queue<M>(
        &self,
        message: M,
    ) -> Result<
        impl Future<Output = Result<M::Result, MailboxClosed>> + Send + use<M, A>,
        MailboxClosed,
    >
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        let running = self.running()?;
        let permit = match Arc::clone(&running.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait_for_permit(&running).await?,
        };
        Ok(self.enqueue(&running, message, Some(permit)))
    }

    /// [`Mailbox::send`] for a thread that may block.
    ///
    /// # Errors
    /// [`MailboxClosed`], as for [`Mailbox::send`].
    pub fn send_blocking<M>(&self, message: M) -> Result<M::Result, MailboxClosed>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        futures_executor::block_on(self.send(message))
    }

    /// Queues `message` without a permit, in the order of the calls: for senders whose messages are
    /// bounded elsewhere. The future gives the reply.
    ///
    /// # Errors
    /// [`MailboxClosed`] at once when no actor runs.
    pub fn post<M>(
        &self,
        message: M,
    ) -> Result<
        impl Future<Output = Result<M::Result, MailboxClosed>> + Send + use<M, A>,
        MailboxClosed,
    >
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        Ok(self.enqueue(&*self.running()?, message, None))
    }

    /// Whether an actor runs behind the mailbox.
    pub fn is_running(&self) -> bool {
        self.0.running.load().is_some()
    }

    /// Waits while the actor is being started or replaced. Returns at once for an actor that is
    /// stopped for good.
    pub async fn wait_until_running(&self) {
        let mut presence = self.0.presence.subscribe();
        let _ = presence.wait_for(|presence| *presence != Presence::Restarting).await;
    }

    fn running(&self) -> Result<Arc<Running<A>>, MailboxClosed> {
        self.0.running.load_full().ok_or_else(|| self.refused())
    }

    fn refused(&self) -> MailboxClosed {
        self.0.metrics.refused();
        MailboxClosed(A::KIND)
    }

    async fn wait_for_permit(
        &self,
        running: &Running<A>,
    ) -> Result<OwnedSemaphorePermit, MailboxClosed> {
        let began = Clock::instant();
        let permit = Arc::clone(&running.permits).acquire_owned().await;
        self.0.metrics.waited(began.elapsed());
        permit.map_err(|_| self.refused())
    }

    fn enqueue<M>(
        &self,
        running: &Running<A>,
        message: M,
        permit: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = Result<M::Result, MailboxClosed>> + Send + use<M, A>
    where
        A: Handler<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        let (channel, reply) = oneshot::channel();
        let permit = Permit::new(&self.0.metrics, permit);
        let envelope = Envelope { message, permit, reply: channel };
        // Never full: the limit of actix is out of reach. An address without an actor drops the
        // envelope, and with it the reply channel.
        drop(running.address.try_send(envelope));
        let (mut ended, mailbox) = (running.ended.subscribe(), self.clone());
        async move {
            let ended = pin!(ended.wait_for(|ended| *ended));
            match select(reply, ended).await {
                Either::Left((Ok(reply), _)) => Ok(reply),
                Either::Left((Err(_), _)) | Either::Right(_) => Err(mailbox.refused()),
            }
        }
    }

    /// Attaches the next generation of the actor. The one before, if any, is no longer reachable,
    /// and its waiting senders get [`MailboxClosed`].
    pub(crate) fn attach(&self, address: Addr<ActorCell<A>>) {
        let (permits, ended) = (Arc::new(Semaphore::new(A::CAPACITY)), watch::Sender::new(false));
        self.swap(Some(Arc::new(Running { address, permits, ended })), Presence::Running);
    }

    /// No actor runs until the next one is attached.
    pub(crate) fn detach(&self) {
        self.swap(None, Presence::Restarting);
    }

    /// No actor runs any more.
    pub(crate) fn close(&self) {
        self.swap(None, Presence::Stopped);
    }

    fn swap(&self, running: Option<Arc<Running<A>>>, presence: Presence) {
        if let Some(before) = self.0.running.swap(running) {
            before.permits.close();
            before.ended.send_replace(true);
        }
        self.0.presence.send_replace(presence);
    }
}
