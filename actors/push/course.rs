//! The way of one push target, walked: pages are read for it, said, and waited for. What it is told next,
//! and what follows when it does not take that, is decided in [`Delivery`].

mod drift;
mod telling;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rollcall_identity::delivery::{
    Delivery, Failure, Found, Hears, Kept, Opening, Scope, Standing,
};
use rollcall_identity::{Cursor, Filter, Page, Revision};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::drift::Suspects;
pub(crate) use self::drift::{Drift, Outcome};
use self::telling::Returned;
use super::keeping::Acknowledged;
use super::recipient::{Recipient, State};
use super::speech::{Mouths, Turn};
use super::trouble::Trouble;
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
    rate: Option<u32>,
    delivery: Delivery,
    turn: Turn,
    on_way: FuturesUnordered<BoxFuture<'static, Result<Returned, Trouble>>>,
    /// Whether somebody wishes that it is told everything anew.
    renew: bool,
    failures: u32,
    /// What was kept last, and when.
    kept: Option<(Cursor, Instant)>,
    next_check: Instant,
    suspects: Option<Suspects>,
    asking: Vec<oneshot::Sender<Compared>>,
}

/// What comes of a wish to compare: the words of what stands in its way.
pub(crate) type Compared = Result<Drift, String>;

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
            rate: None,
            delivery: Delivery::new(Opening::Replaces),
            turn: Turn::News(name()),
            on_way: FuturesUnordered::new(),
            renew: false,
            failures: 0,
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
        self.delivery = Delivery::new(self.mouths.ask(|speech| speech.opening()).await?);
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
                    self.keep_if(self.kept.map(|(cursor, _)| cursor) != self.delivery.cursor())
                        .await;
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
        match self.delivery.standing() {
            Standing::Unsure => self.find().await,
            Standing::Anew => self.begin().await.map(|()| Pace::On(0)),
            Standing::Synchronising | Standing::Following => self.go_on().await,
        }
    }

    /// Asks the target where it is, and looks up what was kept of it.
    async fn find(&mut self) -> Result<Pace, Trouble> {
        let place = self.mouths.ask(|speech| speech.place()).await??;
        let kept = self.recipient.load(&mut self.mouths).await?.map(|kept| {
            let is_same = kept.scope == self.recipient.scope();
            let scope = if is_same { Scope::Same } else { Scope::Other };
            Kept { cursor: kept.cursor, hears: kept.hears, scope }
        });
        let width = self.width().await?;
        let found = self.delivery.found(place, kept, width);
        self.turn = Turn::News(name());
        match found {
            Found::GoesOn => Ok(Pace::On(0)),
            Found::Resumes => Ok(Pace::Unheard),
            Found::Corrects => {
                self.synchronises("scope");
                // Before the first is gone: the filter may be changed back in the middle.
                self.keep_if(true).await;
                Ok(Pace::Unheard)
            }
            Found::Anew(reason) => {
                self.suspects = None;
                self.synchronises(reason);
                Ok(Pace::On(0))
            }
        }
    }

    /// How many batches the target takes at once, as it said last.
    async fn width(&mut self) -> Result<usize, Trouble> {
        self.mouths.ask(|speech| speech.window()).await
    }

    /// The target is told everything anew, for this reason.
    async fn anew(&mut self, reason: &'static str) -> Result<(), Trouble> {
        self.settle().await?;
        self.suspects = None;
        let width = self.width().await?;
        self.delivery.anew(width);
        self.turn = Turn::News(name());
        self.synchronises(reason);
        // Whoever cannot be asked where it is would go on from where it was, after a restart.
        self.keep_if(true).await;
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
        let width = self.width().await?;
        self.delivery.begun(width);
        Ok(())
    }

    /// Reads what is next, tells it, and ends the synchronisation where that was the last.
    async fn go_on(&mut self) -> Result<Pace, Trouble> {
        if self.delivery.look() {
            self.ears.newest.mark_unchanged();
        }
        loop {
            // The next page is read while these are told.
            self.launch()?;
            if !self.delivery.wants_page() {
                break;
            }
            let page = self.read(self.delivery.read_after(), self.recipient.page()).await?;
            if !self.delivery.take(page) {
                self.anew("too_long_away").await?;
                return Ok(Pace::On(0));
            }
        }
        let told = self.tell().await?;
        let is_told = self.delivery.is_told();
        if self.on_way.is_empty() {
            self.keep_now_and_then().await;
        }
        if !is_told {
            return Ok(Pace::On(told));
        }
        if let (Turn::Synchronisation(own), Some(cursor)) = (self.turn.clone(), self.delivery.end())
        {
            self.mouths.ask(move |speech| speech.end(&own, &cursor)).await??;
            let width = self.width().await?;
            self.delivery.ended(cursor, width);
            self.turn = Turn::News(name());
            self.kept = None;
            self.keep_now_and_then().await;
        }
        if self.delivery.rests() {
            self.kept = None;
            self.keep_now_and_then().await;
        }
        self.recipient.rests(self.delivery.cursor());
        if told == 0 && Clock::instant() >= self.next_check {
            self.check().await?;
            return Ok(Pace::On(0));
        }
        Ok(if told == 0 { Pace::Rest } else { Pace::On(told) })
    }

    async fn read(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page, Trouble> {
        let hears = self.delivery.hears();
        let filter = match hears {
            Hears::Admitted => Arc::clone(&self.filter),
            Hears::OthersGone => Arc::default(),
        };
        let mut page = self.ears.query.send(Read { cursor, since: None, filter, limit }).await?;
        if hears == Hears::OthersGone {
            let now = self.recipient.now();
            page.changes.iter_mut().for_each(|change| self.filter.conceal(change, now));
        }
        Ok(page)
    }

    /// Notes a failure, and says how long to wait.
    fn failed(&mut self, trouble: &Trouble) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.suspects = None;
        self.delivery.failed(match trouble {
            Trouble::Elsewhere(_) => Failure::Elsewhere,
            _ => Failure::Other,
        });
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
        let state = match self.delivery.standing() {
            Standing::Synchronising | Standing::Anew => State::Synchronising,
            Standing::Unsure | Standing::Following => State::Following,
        };
        self.recipient.is(state, self.delivery.cursor());
    }

    /// Keeps up to where the target knows, now and then.
    async fn keep_now_and_then(&mut self) {
        let due = self.kept.is_none_or(|(kept, when)| {
            Some(kept) != self.delivery.cursor() && when.elapsed() >= KEEPING
        });
        self.keep_if(due).await;
    }

    /// Keeps it, unless the target is in the middle of being told everything. What cannot be kept is
    /// told again after a restart: nothing is lost.
    async fn keep_if(&mut self, due: bool) {
        let place = (self.delivery.standing(), self.delivery.cursor(), due);
        let (Standing::Following, Some(cursor), true) = place else { return };
        self.kept = Some((cursor, Clock::instant()));
        let scope = self.recipient.scope().to_owned();
        let acknowledged = Acknowledged { cursor, scope, hears: self.delivery.hears() };
        if let Err(why) = self.recipient.keep(&mut self.mouths, acknowledged).await {
            NotKept { target: self.recipient.name(), why: &why.to_string() }.emit();
        }
    }

    /// Waits for something new. What is known and not kept is kept meanwhile.
    async fn rest(&mut self) -> Woken {
        let until_check = self.next_check.saturating_duration_since(Clock::instant());
        let kept = self.kept.is_some_and(|(kept, _)| Some(kept) == self.delivery.cursor());
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
