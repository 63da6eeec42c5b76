//! The way of one push target: where it stands, what it is told next, and what follows when it does
//! not take that.
//!
//! ```text
//!            nothing held, other scope, or too long away
//! Unsure ───────────────────────────────────────────────► Anew ──► Synchronising
//!   ▲  └── the target says where it is ──► Following ◄──────────────────┘ all is told
//!   └───────── anything went wrong ────────────┘
//! ```

mod drift;
mod telling;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rollcall_identity::{Cursor, Filter, Page, Revision};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::drift::Suspects;
pub(crate) use self::drift::{Drift, Outcome};
use self::telling::Landed;
use super::keeping::{Acknowledged, Hears};
use super::recipient::{Recipient, State};
use super::speech::{Beginning, Mouths, Place, Turn};
use super::trouble::Trouble;
use super::window::Window;
use crate::clock::Clock;
use crate::happenings::{Happening, NotKept, PushFailed, PushRecovered, Synchronises};
use crate::mailbox::Mailbox;
use crate::query::{Query, Read};

/// How long a position may be known and not kept: what is told again after a crash is told in vain.
const KEEPING: Duration = Duration::from_secs(1);

/// How long a request may still take when the house closes.
const GRACE: Duration = Duration::from_secs(1);

/// Something that somebody wants of a target.
pub(crate) enum Wish {
    /// Compare what it holds with what it should hold.
    Check(oneshot::Sender<Compared>),
    /// Tell it everything anew.
    Synchronise,
}

/// Whom a course reads from and is told by.
pub(super) struct Ears {
    pub(super) query: Mailbox<Query>,
    pub(super) newest: watch::Receiver<Revision>,
    pub(super) wishes: mpsc::Receiver<Wish>,
    pub(super) closing: watch::Receiver<bool>,
}

/// The way of one target.
pub(super) struct Course {
    recipient: Arc<Recipient>,
    mouths: Mouths,
    ears: Ears,
    filter: Arc<Filter>,
    beginning: Beginning,
    rate: Option<u32>,
    standing: Standing,
    turn: Turn,
    hears: Hears,
    /// Up to where the target knows everything.
    cursor: Option<Cursor>,
    /// From where to read on.
    read: Option<Cursor>,
    /// Whether there was more behind what was read last.
    more: bool,
    /// What is read and not yet known to have arrived.
    window: Window,
    on_way: FuturesUnordered<BoxFuture<'static, Result<Landed, Trouble>>>,
    /// Whether the target has said where it is, and has not been told anything since.
    confirmed: bool,
    /// Whether somebody wishes that it is told everything anew.
    renew: bool,
    failures: u32,
    /// How many reports were refused one after the other, and none taken between them.
    refusals: u32,
    /// What was kept last, and when.
    kept: Option<(Cursor, Instant)>,
    next_check: Instant,
    suspects: Option<Suspects>,
    asking: Vec<oneshot::Sender<Compared>>,
}

/// What comes of a wish to compare: the words of what stands in its way.
pub(crate) type Compared = Result<Drift, String>;

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It must be asked where it is.
    Unsure,
    /// It must be told everything.
    Anew,
    /// It is being told everything.
    Synchronising,
    /// It is told what is new.
    Following,
}

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// At once, or as fast as so many reports allow.
    On(usize),
    /// When something new became true.
    Rest,
    /// At once; the target was not spoken to, so no failure is over by it.
    Unheard,
}

/// What ended a wait.
enum Woken {
    /// Time, or something new.
    Up,
    Wished(Wish),
    Closing,
}

impl Course {
    pub(super) fn new(recipient: Arc<Recipient>, mouths: Mouths, ears: Ears) -> Self {
        let filter = Arc::new(recipient.target.filter());
        let next_check = Clock::instant() + recipient.check_every();
        Self {
            recipient,
            mouths,
            ears,
            filter,
            beginning: Beginning::Replaces,
            rate: None,
            standing: Standing::Unsure,
            turn: Turn::News(name()),
            hears: Hears::Admitted,
            cursor: None,
            read: None,
            more: false,
            window: Window::new(1, None),
            on_way: FuturesUnordered::new(),
            confirmed: false,
            renew: false,
            failures: 0,
            refusals: 0,
            kept: None,
            next_check,
            suspects: None,
            asking: Vec::new(),
        }
    }

    /// Tells the target everything, until the house closes.
    ///
    /// # Errors
    /// When the thread that speaks is gone; then another actor must take its place.
    pub(super) async fn run(mut self) -> Result<(), Trouble> {
        self.beginning = self.mouths.ask(|speech| speech.beginning()).await?;
        self.rate = self.mouths.ask(|speech| speech.rate()).await?;
        loop {
            let mut closing = self.ears.closing.clone();
            let too_late = async move {
                let _ = closing.wait_for(|closing| *closing).await;
                tokio::time::sleep(GRACE).await;
            };
            let stepped = tokio::select! {
                stepped = self.step() => stepped,
                // What is on its way may still arrive: then it is told twice.
                () = too_late => return Ok(()),
            };
            let woken = match stepped {
                Ok(Pace::Unheard) => self.pause(Duration::ZERO).await,
                Ok(Pace::Rest) => {
                    self.recovered();
                    self.rest().await
                }
                Ok(Pace::On(told)) => {
                    self.recovered();
                    self.pause(time_of(told, self.rate)).await
                }
                Err(Trouble::Mute) => return Err(Trouble::Mute),
                Err(trouble) => {
                    let pause = self.failed(&trouble);
                    self.pause(pause).await
                }
            };
            match woken {
                Woken::Up => {}
                Woken::Closing => {
                    // What is on its way may still arrive, and is told once more if it does not.
                    let _ = tokio::time::timeout(GRACE, self.settle()).await;
                    self.keep_if(self.kept.map(|(cursor, _)| cursor) != self.cursor).await;
                    return Ok(());
                }
                Woken::Wished(Wish::Synchronise) => self.renew = true,
                Woken::Wished(Wish::Check(answer)) => {
                    self.asking.push(answer);
                    self.next_check = Clock::instant();
                }
            }
        }
    }

    /// One step on the way.
    async fn step(&mut self) -> Result<Pace, Trouble> {
        if std::mem::take(&mut self.renew) {
            self.anew("requested").await?;
        }
        match self.standing {
            Standing::Unsure => self.find().await,
            Standing::Anew => self.begin().await.map(|()| Pace::On(0)),
            Standing::Synchronising | Standing::Following => self.go_on().await,
        }
    }

    /// Asks the target where it is. Its word counts, not what is remembered here: it may have been
    /// set back to an older state, or have taken what it could not acknowledge.
    async fn find(&mut self) -> Result<Pace, Trouble> {
        let place = self.mouths.ask(|speech| speech.place()).await??;
        let kept = self.recipient.load(&mut self.mouths).await?;
        let same_scope = kept.as_ref().is_none_or(|kept| kept.scope == self.recipient.scope());
        match place {
            Place::At(_) if !same_scope => self.anew("scope").await?,
            Place::At(cursor) => {
                self.follow(Some(cursor)).await?;
                self.confirmed = true;
            }
            Place::Nowhere => self.anew("empty").await?,
            Place::Untold => {
                self.resume(kept).await?;
                return Ok(Pace::Unheard);
            }
        }
        Ok(Pace::On(0))
    }

    /// Goes on where a target was left that cannot say where it is. It cannot throw anything away
    /// either: it is told of ends, and under another filter of those whom that does not admit.
    async fn resume(&mut self, kept: Option<Acknowledged>) -> Result<(), Trouble> {
        match (self.cursor, kept) {
            (Some(cursor), _) => self.follow(Some(cursor)).await,
            (None, None) => self.follow(Some(Cursor::FOREIGN)).await,
            (None, Some(kept)) if kept.scope == self.recipient.scope() => {
                self.hears = kept.hears;
                self.follow(Some(kept.cursor)).await
            }
            (None, Some(kept)) => {
                self.hears = Hears::OthersGone;
                self.follow(Some(kept.cursor.again())).await?;
                self.synchronises("scope");
                // Before the first is gone: the filter may be changed back in the middle.
                self.keep_if(true).await;
                Ok(())
            }
        }
    }

    /// Goes on with what is new from `cursor`, in a turn of its own.
    async fn follow(&mut self, cursor: Option<Cursor>) -> Result<(), Trouble> {
        self.standing = Standing::Following;
        self.turn = Turn::News(name());
        self.read_from(cursor).await
    }

    /// Nothing is on its way, and what is told next follows `cursor`.
    async fn read_from(&mut self, cursor: Option<Cursor>) -> Result<(), Trouble> {
        let width = self.mouths.ask(|speech| speech.window()).await?;
        self.window = Window::new(width, cursor);
        (self.cursor, self.read) = (cursor, cursor);
        Ok(())
    }

    async fn anew(&mut self, reason: &'static str) -> Result<(), Trouble> {
        self.settle().await?;
        self.suspects = None;
        match self.beginning {
            Beginning::Replaces => self.standing = Standing::Anew,
            Beginning::Overwrites => {
                self.follow(self.cursor.map(Cursor::again).or(Some(Cursor::FOREIGN))).await?;
            }
        }
        self.synchronises(reason);
        Ok(())
    }

    fn synchronises(&self, reason: &'static str) {
        self.recipient.synchronises();
        Synchronises { target: self.recipient.name(), reason }.emit();
    }

    async fn begin(&mut self) -> Result<(), Trouble> {
        let own = name();
        self.turn = Turn::Synchronisation(Arc::clone(&own));
        self.mouths.ask(move |speech| speech.begin(&own)).await??;
        self.read_from(None).await?;
        self.standing = Standing::Synchronising;
        Ok(())
    }

    /// Reads what is next, tells it, and ends the synchronisation where that was the last.
    async fn go_on(&mut self) -> Result<Pace, Trouble> {
        if self.window.is_empty() {
            // What comes while this is read and told wakes the rest after it.
            self.ears.newest.mark_unchanged();
            self.more = true;
        }
        loop {
            // The next page is read while these are told.
            self.launch()?;
            if !self.more || !self.window.has_room() {
                break;
            }
            let page = self.read(self.read, self.recipient.page()).await?;
            if page.resync && self.beginning == Beginning::Replaces && self.read.is_some() {
                self.anew("too_long_away").await?;
                return Ok(Pace::On(0));
            }
            (self.more, self.read) = (page.more, Some(page.next));
            if !page.changes.is_empty() {
                self.window.push(page.changes.into(), page.next);
            }
        }
        let told = self.tell().await?;
        if self.on_way.is_empty() {
            self.keep_now_and_then().await;
        }
        if self.more || !self.window.is_empty() {
            return Ok(Pace::On(told));
        }
        if let (Turn::Synchronisation(own), Some(cursor)) = (self.turn.clone(), self.cursor) {
            self.mouths.ask(move |speech| speech.end(&own, &cursor)).await??;
            self.follow(Some(cursor)).await?;
            self.kept = None;
            self.keep_now_and_then().await;
        }
        if self.hears == Hears::OthersGone {
            self.hears = Hears::Admitted;
            self.kept = None;
            self.keep_now_and_then().await;
        }
        self.recipient.rests(self.cursor);
        if told == 0 && Clock::instant() >= self.next_check {
            self.check().await?;
            return Ok(Pace::On(0));
        }
        Ok(if told == 0 { Pace::Rest } else { Pace::On(told) })
    }

    async fn read(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page, Trouble> {
        let filter = match self.hears {
            Hears::Admitted => Arc::clone(&self.filter),
            Hears::OthersGone => Arc::default(),
        };
        let mut page = self.ears.query.send(Read { cursor, since: None, filter, limit }).await?;
        if self.hears == Hears::OthersGone {
            let now = self.recipient.now();
            page.changes.iter_mut().for_each(|change| self.filter.conceal(change, now));
        }
        Ok(page)
    }

    /// Notes a failure, and says how long to wait.
    fn failed(&mut self, trouble: &Trouble) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.suspects = None;
        self.standing = match (trouble, self.standing) {
            // It has just said where it is, and does not go on from there.
            (Trouble::Elsewhere(_), _) if self.confirmed => Standing::Anew,
            (Trouble::Elsewhere(_), Standing::Synchronising) => Standing::Anew,
            // What it was told last may have arrived; it is told the very same again.
            (_, Standing::Synchronising | Standing::Anew) => self.standing,
            _ => Standing::Unsure,
        };
        self.confirmed = false;
        for asking in self.asking.drain(..) {
            // Whoever asked may have gone.
            let _ = asking.send(Err(trouble.to_string()));
        }
        let pause = self.recipient.pause(self.failures).max(trouble.patience());
        self.recipient.failed(trouble, pause);
        PushFailed { target: self.recipient.name(), trouble, pause, failures: self.failures }
            .emit();
        pause
    }

    fn recovered(&mut self) {
        if self.failures > 0 {
            PushRecovered { target: self.recipient.name(), failures: self.failures }.emit();
            self.failures = 0;
        }
        let state = match self.standing {
            Standing::Synchronising | Standing::Anew => State::Synchronising,
            Standing::Unsure | Standing::Following => State::Following,
        };
        self.recipient.is(state, self.cursor);
    }

    /// Keeps up to where the target knows, now and then.
    async fn keep_now_and_then(&mut self) {
        let due = self
            .kept
            .is_none_or(|(kept, when)| Some(kept) != self.cursor && when.elapsed() >= KEEPING);
        self.keep_if(due).await;
    }

    /// Keeps it, unless the target is in the middle of being told everything. What cannot be kept is
    /// told again after a restart: nothing is lost.
    async fn keep_if(&mut self, due: bool) {
        let (Standing::Following, Some(cursor), true) = (self.standing, self.cursor, due) else {
            return;
        };
        self.kept = Some((cursor, Clock::instant()));
        let scope = self.recipient.scope().to_owned();
        let acknowledged = Acknowledged { cursor, scope, hears: self.hears };
        if let Err(why) = self.recipient.keep(&mut self.mouths, acknowledged).await {
            NotKept { target: self.recipient.name(), why: &why.to_string() }.emit();
        }
    }

    /// Waits for something new. What is known and not kept is kept meanwhile.
    async fn rest(&mut self) -> Woken {
        let until_check = self.next_check.saturating_duration_since(Clock::instant());
        let kept = self.kept.is_some_and(|(kept, _)| Some(kept) == self.cursor);
        let wait = if kept { until_check } else { until_check.min(KEEPING) };
        let Ears { newest, wishes, closing, .. } = &mut self.ears;
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Woken::Closing,
            Some(wish) = wishes.recv() => Woken::Wished(wish),
            Ok(()) = newest.changed() => Woken::Up,
            () = tokio::time::sleep(wait) => Woken::Up,
        }
    }

    async fn pause(&mut self, pause: Duration) -> Woken {
        let Ears { wishes, closing, .. } = &mut self.ears;
        let over = async {
            // The timer ticks in milliseconds, in which a batch could have been told.
            match pause.is_zero() {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Woken::Closing,
            Some(wish) = wishes.recv() => Woken::Wished(wish),
            () = over => Woken::Up,
        }
    }
}

/// The name of a turn, that no other had.
fn name() -> Arc<str> {
    Uuid::new_v4().to_string().into()
}

/// How long so many reports take at a rate a second.
fn time_of(told: usize, rate: Option<u32>) -> Duration {
    rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(told as f64 / f64::from(rate)))
}
