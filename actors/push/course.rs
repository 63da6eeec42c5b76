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

use std::sync::Arc;
use std::time::{Duration, Instant};

use rollcall_identity::{Cursor, Filter, Page, Revision};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::drift::Suspects;
pub(crate) use self::drift::{Drift, Outcome};
use super::keeping::Acknowledged;
use super::recipient::{Recipient, State};
use super::speech::{Arrived, Beginning, Mouth, Piece, Place};
use super::trouble::Trouble;
use crate::clock::Clock;
use crate::happenings::{
    Happening, NotKept, PushFailed, PushRecovered, ReportRefused, Sent, Synchronises,
};
use crate::mailbox::Mailbox;
use crate::query::{Query, Read};

/// How long a position may be known and not kept: what is told again after a crash is told in vain.
const KEEPING: Duration = Duration::from_secs(1);

/// How long a request may still take when the house closes.
const GRACE: Duration = Duration::from_secs(1);

/// Something that somebody wants of a target.
pub(crate) enum Wish {
    /// Compare what it holds with what it should hold.
    Check(oneshot::Sender<Drift>),
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
    mouth: Mouth,
    ears: Ears,
    filter: Arc<Filter>,
    beginning: Beginning,
    standing: Standing,
    /// From where to read on.
    cursor: Option<Cursor>,
    /// Where the target was left.
    at: Option<Cursor>,
    /// What is to be told before anything else is read, the first last.
    pieces: Vec<Piece>,
    /// Whether there was more behind these pieces.
    more: bool,
    /// Whether the target has said where it is, and has not been told anything since.
    confirmed: bool,
    failures: u32,
    /// How many reports were refused one after the other, and none taken between them.
    refusals: u32,
    /// What was kept last, and when.
    kept: Option<(Cursor, Instant)>,
    next_check: Instant,
    suspects: Option<Suspects>,
    asking: Vec<oneshot::Sender<Drift>>,
}

/// How many reports in a row may be refused as bad ones. When more are, it is not the reports: a
/// proxy or a changed interface refuses everything, and what is not told is not given up.
const REFUSALS: u32 = 8;

/// How a target stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It must be asked where it is.
    Unsure,
    /// It must be told everything.
    Anew,
    /// It is being told everything, in a synchronisation of this name.
    Synchronising(Arc<str>),
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
    pub(super) fn new(recipient: Arc<Recipient>, mouth: Mouth, ears: Ears) -> Self {
        let filter = Arc::new(recipient.target.filter());
        let next_check = Clock::instant() + recipient.check_every();
        Self {
            recipient,
            mouth,
            ears,
            filter,
            beginning: Beginning::Replaces,
            standing: Standing::Unsure,
            cursor: None,
            at: None,
            pieces: Vec::new(),
            more: false,
            confirmed: false,
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
        self.beginning = self.mouth.ask(|speech| speech.beginning()).await?;
        let rate = self.mouth.ask(|speech| speech.rate()).await?;
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
                    self.pause(time_of(told, rate)).await
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
                    self.keep_if(self.kept.map(|(cursor, _)| cursor) != self.cursor).await;
                    return Ok(());
                }
                Woken::Wished(Wish::Synchronise) => self.anew("requested"),
                Woken::Wished(Wish::Check(answer)) => {
                    self.asking.push(answer);
                    self.next_check = Clock::instant();
                }
            }
        }
    }

    /// One step on the way.
    async fn step(&mut self) -> Result<Pace, Trouble> {
        match self.standing.clone() {
            Standing::Unsure => self.find().await,
            Standing::Anew => self.begin().await.map(|()| Pace::On(0)),
            Standing::Synchronising(name) => self.go_on(Some(&name)).await,
            Standing::Following => self.go_on(None).await,
        }
    }

    /// Asks the target where it is. Its word counts, not what is remembered here: it may have been
    /// set back to an older state, or have taken what it could not acknowledge.
    async fn find(&mut self) -> Result<Pace, Trouble> {
        let place = self.mouth.ask(|speech| speech.place()).await??;
        let kept = self.recipient.load(&self.mouth).await?;
        let same_scope = kept.as_ref().is_none_or(|kept| kept.scope == self.recipient.scope());
        let known = self.cursor.or(kept.map(|kept| kept.cursor));
        match place {
            Place::At(_) if !same_scope => self.anew("scope"),
            Place::At(cursor) => {
                (self.cursor, self.at) = (Some(cursor), Some(cursor));
                self.standing = Standing::Following;
                self.confirmed = true;
            }
            Place::Nowhere => self.anew("empty"),
            Place::Untold => {
                // A firewall cannot throw anything away: it is told of ends, too.
                let foreign = Some(Cursor::FOREIGN);
                self.cursor = if same_scope { known.or(foreign) } else { foreign };
                self.standing = Standing::Following;
                return Ok(Pace::Unheard);
            }
        }
        Ok(Pace::On(0))
    }

    fn anew(&mut self, reason: &'static str) {
        self.pieces.clear();
        self.suspects = None;
        match self.beginning {
            Beginning::Replaces => self.standing = Standing::Anew,
            Beginning::Overwrites => {
                self.cursor = self.cursor.map(Cursor::again).or(Some(Cursor::FOREIGN));
                self.standing = Standing::Following;
            }
        }
        self.recipient.synchronises();
        Synchronises { target: self.recipient.name(), reason }.emit();
    }

    async fn begin(&mut self) -> Result<(), Trouble> {
        let name: Arc<str> = Uuid::new_v4().to_string().into();
        let own = Arc::clone(&name);
        self.mouth.ask(move |speech| speech.begin(&own)).await??;
        (self.cursor, self.at) = (None, None);
        self.standing = Standing::Synchronising(name);
        Ok(())
    }

    /// Reads what is next, tells it, and ends the synchronisation where that was the last.
    async fn go_on(&mut self, synchronisation: Option<&Arc<str>>) -> Result<Pace, Trouble> {
        if self.pieces.is_empty() {
            // What comes while this is read and told wakes the rest after it.
            self.ears.newest.mark_unchanged();
            let page = self.read(self.cursor, self.recipient.page()).await?;
            if page.resync && self.beginning == Beginning::Replaces && self.cursor.is_some() {
                self.anew("too_long_away");
                return Ok(Pace::On(0));
            }
            self.more = page.more;
            self.cut(page);
        }
        let told = self.tell(synchronisation).await?;
        if self.more {
            return Ok(Pace::On(told));
        }
        if let (Some(name), Some(cursor)) = (synchronisation, self.cursor) {
            let own = Arc::clone(name);
            self.mouth.ask(move |speech| speech.end(&own, &cursor)).await??;
            self.at = Some(cursor);
            self.standing = Standing::Following;
            self.kept = None;
        }
        self.keep_now_and_then().await;
        self.recipient.rests(self.cursor);
        if told == 0 && Clock::instant() >= self.next_check {
            self.check().await?;
            return Ok(Pace::On(0));
        }
        Ok(if told == 0 { Pace::Rest } else { Pace::On(told) })
    }

    async fn read(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page, Trouble> {
        let read = Read { cursor, since: None, filter: Arc::clone(&self.filter), limit };
        Ok(self.ears.query.send(read).await?)
    }

    fn cut(&mut self, page: Page) {
        match page.changes.is_empty() {
            true => self.cursor = Some(page.next),
            false => self.pieces.push(Piece {
                changes: page.changes.into(),
                after: None,
                next: page.next,
                synchronisation: None,
            }),
        }
    }

    /// Tells the pieces, halving those that the target cannot take as a whole. Returns how many
    /// reports were told.
    async fn tell(&mut self, synchronisation: Option<&Arc<str>>) -> Result<usize, Trouble> {
        let mut told = 0;
        while let Some(piece) = self.pieces.last() {
            let (changes, next) = (Arc::clone(&piece.changes), piece.next);
            let piece = Piece {
                changes: Arc::clone(&changes),
                after: self.at,
                next,
                synchronisation: synchronisation.cloned(),
            };
            let began = Clock::instant();
            let (arrived, bytes) =
                self.mouth.ask(move |speech| (speech.tell(&piece), speech.take_sent())).await?;
            let (target, took) = (self.recipient.name(), began.elapsed());
            Sent { target, bytes, took }.emit();
            self.recipient.sent(bytes);
            match arrived {
                Ok(arrived) => {
                    self.arrived(&arrived);
                    self.refusals = 0;
                    (self.at, self.cursor) = (Some(next), Some(next));
                    self.confirmed = false;
                    told += changes.len();
                    self.pieces.pop();
                }
                Err(Trouble::Indigestible { .. }) if changes.len() > 1 => self.halve(),
                Err(trouble @ Trouble::Indigestible { .. }) => {
                    self.refusals += 1;
                    if self.refusals > REFUSALS {
                        // One more is given up with each attempt, in case they are bad after all.
                        self.refusals = REFUSALS - 1;
                        return Err(trouble);
                    }
                    let refused = vec![(Some(changes[0].address), trouble.to_string())];
                    self.arrived(&Arrived { refused, ..Arrived::default() });
                    self.cursor = Some(next);
                    told += 1;
                    self.pieces.pop();
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(told)
    }

    fn halve(&mut self) {
        let Some(whole) = self.pieces.pop() else { return };
        let (first, second) = whole.changes.split_at(whole.changes.len() / 2);
        let mut between = whole.next;
        if let Some(last) = first.last() {
            between.revision = last.revision;
        }
        let first = Piece { changes: first.into(), next: between, ..whole.clone() };
        let second = Piece { changes: second.into(), ..whole.clone() };
        self.pieces.extend([second, first]);
    }

    fn arrived(&self, arrived: &Arrived) {
        self.recipient.arrived(arrived);
        for (address, reason) in &arrived.refused {
            ReportRefused { target: self.recipient.name(), address: *address, reason }.emit();
        }
    }

    /// Notes a failure, and says how long to wait.
    fn failed(&mut self, trouble: &Trouble) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.suspects = None;
        self.standing = match (trouble, &self.standing) {
            // It has just said where it is, and does not go on from there.
            (Trouble::Elsewhere(_), _) if self.confirmed => Standing::Anew,
            (Trouble::Elsewhere(_), Standing::Synchronising(_)) => Standing::Anew,
            // What it was told last may have arrived; it is told the very same again.
            (_, Standing::Synchronising(_) | Standing::Anew) => self.standing.clone(),
            _ => Standing::Unsure,
        };
        self.confirmed = false;
        if !matches!(self.standing, Standing::Synchronising(_)) {
            self.pieces.clear();
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
            Standing::Synchronising(_) | Standing::Anew => State::Synchronising,
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

    /// Keeps it, unless the target is in the middle of a synchronisation. What cannot be kept is
    /// told again after a restart: nothing is lost.
    async fn keep_if(&mut self, due: bool) {
        let (Standing::Following, Some(cursor), true) = (&self.standing, self.cursor, due) else {
            return;
        };
        self.kept = Some((cursor, Clock::instant()));
        let acknowledged = Acknowledged { cursor, scope: self.recipient.scope().to_owned() };
        if let Err(why) = self.recipient.keep(&self.mouth, acknowledged).await {
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

/// How long so many reports take at a rate a second.
fn time_of(told: usize, rate: Option<u32>) -> Duration {
    rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(told as f64 / f64::from(rate)))
}
