//! Mailboxes that are measured and bounded by construction, and stay valid while the actor behind
//! them is replaced.
//!
//! A [`Role`] is what an actor does. It sits in a [`Seat`], the one type that actix sees, so that
//! no role can forget to count. A [`Mailbox`] is how others reach it: a number of places, and the
//! address of whoever sits there now.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use arc_swap::ArcSwapOption;
use futures_util::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::actor_handle::Lease;
use crate::actor_metrics::{Meter, Stage};
use crate::clock::Clock;

/// What an actor does, without the machinery of being one.
pub trait Role: Sized + Unpin + 'static {
    /// The metric label, for instance `cache`.
    const KIND: &'static str;
    /// Where it stands in an event's way.
    const STAGE: Stage;
    /// How many messages may wait or be in work before senders wait.
    const CAPACITY: usize = 64;

    /// Called once, before the first message.
    fn started(&mut self, _desk: &mut Desk<Self>) {}
}

/// A role that takes messages of type `M`.
pub trait Receive<M: Message<Result: Send> + Send>: Role {
    /// Handles one message. Long work goes into [`Reply::Later`]: a role that holds its thread for
    /// ten seconds counts as frozen.
    fn receive(&mut self, message: M, desk: &mut Desk<Self>) -> Reply<M::Result>;
}

/// The context of a role.
pub type Desk<R> = Context<Seat<R>>;

/// The answer of a role to one message.
pub enum Reply<T> {
    /// It is here.
    Now(T),
    /// It will come; the role takes further messages meanwhile, but the sender's place stays taken.
    Later(Pin<Box<dyn Future<Output = T>>>),
}

impl<T> Reply<T> {
    /// An answer that will come.
    pub fn later(answer: impl Future<Output = T> + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }
}

/// A role at work: the only type in Rollcall that is an actix actor.
pub struct Seat<R: Role> {
    role: R,
    meter: Meter,
    lease: Lease,
    seated: Option<oneshot::Sender<()>>,
}

impl<R: Role> Seat<R> {
    /// Seats `role`. When it has begun, `seated` is told; when the seat is dropped, `lease` tells
    /// the supervisor how it ended.
    pub(crate) fn new(
        role: R,
        meter: Meter,
        lease: Lease,
        seated: Option<oneshot::Sender<()>>,
    ) -> Self {
        Self { role, meter, lease, seated }
    }

    /// Seats `role` in the context of the thread that calls this, and starts it.
    pub(crate) fn start_with(self) -> Addr<Self> {
        let mut desk = Context::new();
        // Places are counted by the mailbox; actix's own limit must only never be met before that.
        desk.set_mailbox_capacity(usize::MAX >> 8);
        desk.run(self)
    }

    /// The role that sits here, for futures that the role spawned.
    pub fn role(&mut self) -> &mut R {
        &mut self.role
    }

    /// Ends this actor with an error: the supervisor replaces it after a pause.
    pub fn fail(&mut self, error: impl std::fmt::Display, desk: &mut Desk<R>) {
        self.lease.failed(error.to_string());
        desk.terminate();
    }
}

impl<R: Role> Actor for Seat<R> {
    type Context = Context<Self>;

    fn started(&mut self, desk: &mut Desk<R>) {
        self.role.started(desk);
        // Only the one who hired it waits, and only for the first.
        self.seated.take().map(|seated| seated.send(()));
    }
}

/// A message on its way, with the place it takes and whoever waits for the answer. It is handled
/// whether somebody still waits or not: actix itself skips messages that nobody waits for.
struct Letter<M: Message> {
    message: M,
    place: Place,
    sender: oneshot::Sender<M::Result>,
}

impl<M: Message> Message for Letter<M> {
    type Result = ();
}

/// A place in a mailbox. It is free again when this is dropped, handled or not.
struct Place {
    meter: Meter,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    fn taken(meter: &Meter, permit: Option<OwnedSemaphorePermit>) -> Self {
        meter.queued();
        Self { meter: meter.clone(), _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.meter.left();
    }
}

impl<R, M> Handler<Letter<M>> for Seat<R>
where
    R: Receive<M>,
    M: Message<Result: Send> + Send + 'static,
{
    type Result = ();

    fn handle(&mut self, letter: Letter<M>, desk: &mut Desk<R>) {
        if self.lease.is_revoked() {
            return desk.terminate();
        }
        let Letter { message, place, sender } = letter;
        let began = Clock::instant();
        let reply = self.role.receive(message, desk);
        self.meter.handled(began.elapsed());
        // Whoever sent it may have gone: then nobody needs the answer.
        match reply {
            Reply::Now(answer) => drop(sender.send(answer)),
            Reply::Later(answer) => {
                desk.spawn(wrap_future::<_, Self>(answer).map(|answer, _, _| {
                    drop(place);
                    drop(sender.send(answer));
                }));
            }
        }
    }
}

/// Nobody is behind the mailbox, or whoever was went away with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the actor {0} is not there")]
pub struct Gone(pub &'static str);

/// How to reach a role: places, and the address of whoever plays it now.
pub struct Mailbox<R: Role>(Arc<Slot<R>>);

struct Slot<R: Role> {
    seated: ArcSwapOption<Seated<R>>,
    presence: watch::Sender<Presence>,
    meter: Meter,
}

/// Whether somebody is behind a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Vacant,
    Seated,
    Dismissed,
}

/// One holder of the role. Its places go with it: what waits for a frozen actor must not take room
/// from its successor, nor wait for ever.
struct Seated<R: Role> {
    address: Addr<Seat<R>>,
    places: Arc<Semaphore>,
    ended: watch::Sender<bool>,
}

impl<R: Role> Clone for Mailbox<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Role> Mailbox<R> {
    /// A mailbox with nobody behind it yet.
    pub fn new(name: &str, clock: Clock) -> Self {
        Self(Arc::new(Slot {
            seated: ArcSwapOption::empty(),
            presence: watch::Sender::new(Presence::Vacant),
            meter: Meter::new(name, R::KIND, R::STAGE, R::CAPACITY, clock),
        }))
    }

    /// The meter of this mailbox.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Sends `message`, waiting for a place, and waits for the answer.
    ///
    /// # Errors
    /// [`Gone`] when nobody is there; the message is lost then, and counted as refused.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, Gone>
    where
        R: Receive<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        self.queue(message).await?.await
    }

    /// Waits for a place and puts `message` there. The future gives the answer; the place is taken
    /// until then.
    ///
    /// # Errors
    /// [`Gone`], as for [`Mailbox::send`].
    pub async fn queue<M>(
        &self,
        message: M,
    ) -> Result<impl Future<Output = Result<M::Result, Gone>> + Send + use<M, R>, Gone>
    where
        R: Receive<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        let seated = self.seated()?;
        let permit = match Arc::clone(&seated.places).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait_for_place(&seated).await?,
        };
        Ok(self.enqueue(&seated, message, Some(permit)))
    }

    /// The same for a thread that may block.
    ///
    /// # Errors
    /// [`Gone`], as for [`Mailbox::send`].
    pub fn send_blocking<M>(&self, message: M) -> Result<M::Result, Gone>
    where
        R: Receive<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        futures_executor::block_on(self.send(message))
    }

    /// Puts `message` behind those already there, without waiting for a place: for senders whose
    /// own messages are bounded, in the order of the calls. The future gives the answer.
    ///
    /// # Errors
    /// [`Gone`] at once when nobody is there.
    pub fn post<M>(
        &self,
        message: M,
    ) -> Result<impl Future<Output = Result<M::Result, Gone>> + Send + use<M, R>, Gone>
    where
        R: Receive<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        Ok(self.enqueue(&*self.seated()?, message, None))
    }

    /// Whether somebody is behind the mailbox.
    pub fn is_seated(&self) -> bool {
        self.0.seated.load().is_some()
    }

    fn seated(&self) -> Result<Arc<Seated<R>>, Gone> {
        self.0.seated.load_full().ok_or_else(|| self.lost())
    }

    fn lost(&self) -> Gone {
        self.0.meter.refused();
        Gone(R::KIND)
    }

    async fn wait_for_place(&self, seated: &Seated<R>) -> Result<OwnedSemaphorePermit, Gone> {
        let began = Clock::instant();
        let permit = Arc::clone(&seated.places).acquire_owned().await;
        self.0.meter.waited(began.elapsed());
        permit.map_err(|_| self.lost())
    }

    fn enqueue<M>(
        &self,
        seated: &Seated<R>,
        message: M,
        permit: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = Result<M::Result, Gone>> + Send + use<M, R>
    where
        R: Receive<M>,
        M: Message<Result: Send> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let letter = Letter { message, place: Place::taken(&self.0.meter, permit), sender };
        // Never full: actix's limit is out of reach. An address without an actor drops the letter,
        // and with it the sender.
        drop(seated.address.try_send(letter));
        let (mut ended, mailbox) = (seated.ended.subscribe(), self.clone());
        async move {
            let ended = pin!(ended.wait_for(|ended| *ended));
            match select(answer, ended).await {
                Either::Left((Ok(answer), _)) => Ok(answer),
                Either::Left((Err(_), _)) | Either::Right(_) => Err(mailbox.lost()),
            }
        }
    }

    /// Waits while nobody is there who will be replaced. Only somebody who is dismissed for good is
    /// not waited for.
    pub async fn presence(&self) {
        let mut presence = self.0.presence.subscribe();
        let _ = presence.wait_for(|presence| *presence != Presence::Vacant).await;
    }

    /// Seats somebody new. The one before, if any, is no longer reachable, and whoever waits for it
    /// learns so.
    pub(crate) fn seat(&self, address: Addr<Seat<R>>) {
        let (places, ended) = (Arc::new(Semaphore::new(R::CAPACITY)), watch::Sender::new(false));
        self.swap(Some(Arc::new(Seated { address, places, ended })), Presence::Seated);
    }

    /// Nobody is there until somebody else is seated.
    pub(crate) fn vacate(&self) {
        self.swap(None, Presence::Vacant);
    }

    /// Nobody is there any more.
    pub(crate) fn close(&self) {
        self.swap(None, Presence::Dismissed);
    }

    fn swap(&self, seated: Option<Arc<Seated<R>>>, presence: Presence) {
        if let Some(before) = self.0.seated.swap(seated) {
            before.places.close();
            before.ended.send_replace(true);
        }
        self.0.presence.send_replace(presence);
    }
}
