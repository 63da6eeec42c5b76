//! Starts every actor from a factory, watches it, and replaces it when it ends.
//!
//! actix's own `Supervisor` does not survive a panic and restarts the same struct (0.13.5; the
//! tests below would fail with it). Here each actor has its own thread and holds a [`Lease`]: when
//! the actor is dropped, however that came about, the lease tells the supervisor, which waits for
//! a while that doubles with each failure and then asks the factory for a new one. The mailbox
//! stays the same, so nobody else has to know.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use actix::prelude::*;
use rollcall_identity::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

pub mod telemetry;

use self::telemetry::{ActorAbandoned, ActorEnded, ActorStarted};
use crate::actor_handle::{Ended, Lease};
use crate::actor_metrics::{End, Meter, Reading, Stage};
use crate::clock::Clock;
use crate::mailbox::{Desk, Mailbox, Receive, Reply, Role, Seat};
use crate::telemetry::TelemetryEvent;

/// How patient the supervisor is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The pause after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// An actor that lived this long has earned a short pause again.
    pub forgiven: Duration,
    /// How often each actor is asked whether it is still there.
    pub round: Duration,
    /// An actor that did not answer for so long is abandoned and replaced.
    pub freeze: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            forgiven: Duration::from_secs(60),
            round: Duration::from_secs(1),
            freeze: Duration::from_secs(10),
        }
    }
}

/// What an actor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// At work.
    Running,
    /// Ended, and waiting to be replaced.
    BackingOff,
}

/// One actor, for people who ask by REST.
#[derive(Debug, Clone, Serialize)]
pub struct Attendance {
    /// The name of the actor, for instance `syslog`.
    pub actor: String,
    /// What it is.
    pub kind: &'static str,
    /// Where it stands.
    pub stage: Stage,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// How often it was replaced, by cause.
    pub restarts: BTreeMap<&'static str, u64>,
    /// The error of its last end, if that was one.
    pub last_error: Option<String>,
    /// How many messages its mailbox holds at most.
    pub capacity: usize,
    /// What its meter reads.
    #[serde(flatten)]
    pub reading: Reading,
}

/// Starts an actor, now and whenever it has to be replaced. The answer comes when it is there for
/// the first time.
pub struct Hire(Box<dyn Post>);

impl Message for Hire {
    type Result = ();
}

impl Hire {
    /// The actor behind `mailbox` is whatever `factory` makes.
    pub fn new<R: Role>(
        mailbox: Mailbox<R>,
        factory: impl Fn() -> R + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(Vacancy { mailbox, factory: Arc::new(factory) }))
    }
}

/// Ends an actor for good. The answer comes when it is gone, or was not there.
#[derive(Debug)]
pub struct Dismiss(pub String);

impl Message for Dismiss {
    type Result = ();
}

/// Asks for the attendance of all actors.
#[derive(Debug)]
pub struct RollCall;

impl Message for RollCall {
    type Result = Vec<Attendance>;
}

/// A place that can be filled again and again.
trait Post: Send {
    fn meter(&self) -> &Meter;
    fn fill(&self, arbiter: &ArbiterHandle, lease: Lease, seated: oneshot::Sender<()>);
    fn vacate(&self);
    fn close(&self);
    /// Whether it could be asked: nobody can while nobody is seated.
    fn ask(&self, answered: Arc<AtomicBool>) -> bool;
}

struct Vacancy<R: Role> {
    mailbox: Mailbox<R>,
    factory: Arc<dyn Fn() -> R + Send + Sync>,
}

/// "Are you there?", answered by the seat itself.
pub struct Ping;

impl Message for Ping {
    type Result = ();
}

impl<R: Role> Receive<Ping> for R {
    fn receive(&mut self, _: Ping, _: &mut Desk<Self>) -> Reply<()> {
        Reply::Now(())
    }
}

/// Makes any role panic, for the stories of those that are replaced.
#[cfg(any(test, feature = "test-support"))]
pub struct Fault;

#[cfg(any(test, feature = "test-support"))]
impl Message for Fault {
    type Result = ();
}

#[cfg(any(test, feature = "test-support"))]
impl<R: Role> Receive<Fault> for R {
    fn receive(&mut self, _: Fault, _: &mut Desk<Self>) -> Reply<()> {
        panic!("told to");
    }
}

impl<R: Role> Post for Vacancy<R> {
    fn meter(&self) -> &Meter {
        self.mailbox.meter()
    }

    fn fill(&self, arbiter: &ArbiterHandle, mut lease: Lease, seated: oneshot::Sender<()>) {
        let (mailbox, factory) = (self.mailbox.clone(), Arc::clone(&self.factory));
        arbiter.spawn_fn(move || {
            match catch_unwind(AssertUnwindSafe(|| factory())) {
                Ok(role) if !lease.is_revoked() => {
                    let seat = Seat::new(role, mailbox.meter().clone(), lease, Some(seated));
                    mailbox.seat(seat.start_with());
                }
                Ok(_) => {}
                Err(_) => lease.failed("the factory panicked".to_owned()),
            };
        });
    }

    fn vacate(&self) {
        self.mailbox.vacate();
    }

    fn close(&self) {
        self.mailbox.close();
    }

    fn ask(&self, answered: Arc<AtomicBool>) -> bool {
        let Ok(answer) = self.mailbox.post(Ping) else { return false };
        actix::spawn(async move {
            if answer.await.is_ok() {
                answered.store(true, SeqCst);
            }
        });
        true
    }
}

/// The term of a place that nobody fills.
const NOBODY: u64 = 0;

/// One actor as the supervisor sees it.
struct Member {
    post: Box<dyn Post>,
    arbiter: Arbiter,
    state: State,
    since: Timestamp,
    term: Arc<AtomicU64>,
    failures: u32,
    restarts: BTreeMap<&'static str, u64>,
    last_error: Option<String>,
    /// Whether a question is with it, so that silence is its own.
    asked: bool,
    answered: Arc<AtomicBool>,
    silent_for: Duration,
    dismissed: Option<oneshot::Sender<()>>,
}

/// The role.
pub struct Supervisor {
    clock: Clock,
    patience: Patience,
    members: BTreeMap<Arc<str>, Member>,
    terms: u64,
    meter: Meter,
    began: Timestamp,
    reports: (mpsc::UnboundedSender<Ended>, Option<mpsc::UnboundedReceiver<Ended>>),
}

impl Supervisor {
    /// Starts the supervisor on the calling thread and returns its mailbox.
    pub fn start(clock: &Clock, patience: Patience) -> Mailbox<Self> {
        let mailbox = Mailbox::<Self>::new("supervisor", clock.clone());
        let (sender, receiver) = mpsc::unbounded_channel();
        let lease = Lease {
            actor: "supervisor".into(),
            term: 0,
            current: Arc::new(AtomicU64::new(0)),
            error: None,
            reports: sender.clone(),
        };
        let supervisor = Self {
            clock: clock.clone(),
            patience,
            members: BTreeMap::new(),
            terms: NOBODY,
            meter: mailbox.meter().clone(),
            began: clock.now(),
            reports: (sender, Some(receiver)),
        };
        let seat = Seat::new(supervisor, mailbox.meter().clone(), lease, None);
        mailbox.seat(seat.start_with());
        mailbox
    }

    /// Fills the actor's place, if it is empty and should not be.
    fn fill(&mut self, actor: &Arc<str>) -> oneshot::Receiver<()> {
        let ((seated, is_seated), now) = (oneshot::channel(), self.clock.now());
        let Some(member) = self.members.get_mut(actor) else { return is_seated };
        if member.state == State::Running || member.dismissed.is_some() {
            return is_seated;
        }
        // One count for all: a term never comes again, not even for an actor of the same name.
        self.terms += 1;
        let term = self.terms;
        member.term.store(term, SeqCst);
        let lease = Lease {
            actor: Arc::clone(actor),
            term,
            current: Arc::clone(&member.term),
            error: None,
            reports: self.reports.0.clone(),
        };
        member.state = State::Running;
        member.since = now;
        member.silent_for = Duration::ZERO;
        member.asked = false;
        member.answered.store(true, SeqCst);
        member.post.fill(&member.arbiter.handle(), lease, seated);
        ActorStarted { actor, kind: member.post.meter().kind(), term }.emit();
        is_seated
    }

    fn ended(&mut self, ended: Ended, desk: &mut Desk<Self>) {
        let Ended { actor, term, end, error } = ended;
        let Some(member) = self.members.get(&actor) else { return };
        // Somebody who was abandoned long ago has woken up and left: nothing to replace.
        if member.term.load(SeqCst) == term {
            self.replace(&actor, end, error, desk);
        }
    }

    fn replace(
        &mut self,
        actor: &Arc<str>,
        end: End,
        error: Option<String>,
        desk: &mut Desk<Self>,
    ) {
        let (now, patience) = (self.clock.now(), self.patience);
        let Some(member) = self.members.get_mut(actor) else { return };
        if member.dismissed.is_some() {
            self.leave(actor);
            return;
        }
        member.post.vacate();
        let lived = now.since(member.since);
        member.failures = if lived >= patience.forgiven { 1 } else { member.failures + 1 };
        member.state = State::BackingOff;
        member.since = now;
        *member.restarts.entry(end.into()).or_default() += 1;
        member.post.meter().restarted(end);
        let pause = pause(patience, member.failures);
        ActorEnded { actor, kind: member.post.meter().kind(), end, error: error.as_deref(), pause }
            .emit();
        member.last_error = error.or_else(|| (end != End::Stop).then(|| format!("{end:?}")));
        let actor = Arc::clone(actor);
        desk.run_later(pause, move |seat, _| drop(seat.role().fill(&actor)));
    }

    fn leave(&mut self, actor: &Arc<str>) {
        if let Some(member) = self.members.remove(actor) {
            member.arbiter.stop();
            if let Some(tell) = member.dismissed {
                let _ = tell.send(());
            }
        }
    }

    /// Asks all who run whether they are there, and abandons those who have not answered.
    fn make_round(&mut self, desk: &mut Desk<Self>) {
        let began = Clock::instant();
        let mut frozen = Vec::new();
        for (actor, member) in &mut self.members {
            if member.state != State::Running {
                continue;
            }
            if member.answered.swap(false, SeqCst) {
                member.silent_for = Duration::ZERO;
                member.asked = false;
            } else {
                member.silent_for += self.patience.round;
                if member.silent_for >= self.patience.freeze {
                    frozen.push(Arc::clone(actor));
                }
            }
            // One that is still being seated cannot be asked, and is in the next round.
            if !member.asked {
                member.asked = member.post.ask(Arc::clone(&member.answered));
            }
        }
        for actor in frozen {
            self.abandon(&actor, desk);
        }
        self.meter.handled(began.elapsed());
    }

    /// Leaves a frozen actor to its thread and replaces it on another.
    fn abandon(&mut self, actor: &Arc<str>, desk: &mut Desk<Self>) {
        if let Some(member) = self.members.get_mut(actor) {
            ActorAbandoned { actor, kind: member.post.meter().kind(), silent: member.silent_for }
                .emit();
            member.term.store(NOBODY, SeqCst);
            let frozen = std::mem::replace(&mut member.arbiter, Arbiter::new());
            frozen.stop();
        }
        self.replace(actor, End::Freeze, None, desk);
    }
}

/// The pause after so many failures in a row: doubling, with up to a quarter more by chance, so
/// that actors that failed together do not come back together.
fn pause(patience: Patience, failures: u32) -> Duration {
    let doubled = patience.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    doubled.min(patience.longest).mul_f64(1.0 + fastrand::f64() / 4.0)
}

impl Role for Supervisor {
    const KIND: &'static str = "supervisor";
    const STAGE: Stage = Stage::Supervising;

    fn started(&mut self, desk: &mut Desk<Self>) {
        if let Some(mut reports) = self.reports.1.take() {
            let reports = futures_util::stream::poll_fn(move |cx| reports.poll_recv(cx));
            desk.spawn(
                actix::fut::wrap_stream::<_, Seat<Self>>(reports)
                    .map(|ended, seat, desk| seat.role().ended(ended, desk))
                    .finish(),
            );
        }
        desk.run_interval(self.patience.round, |seat, desk| seat.role().make_round(desk));
    }
}

impl Receive<Hire> for Supervisor {
    fn receive(&mut self, Hire(post): Hire, _: &mut Desk<Self>) -> Reply<()> {
        let actor = Arc::clone(post.meter().actor());
        let member = Member {
            post,
            arbiter: Arbiter::new(),
            state: State::BackingOff,
            since: self.clock.now(),
            term: Arc::new(AtomicU64::new(NOBODY)),
            failures: 0,
            restarts: BTreeMap::new(),
            last_error: None,
            asked: false,
            answered: Arc::new(AtomicBool::new(true)),
            silent_for: Duration::ZERO,
            dismissed: None,
        };
        self.members.insert(Arc::clone(&actor), member);
        let seated = self.fill(&actor);
        Reply::later(async move {
            // One whose factory panics is tried again later; nobody waits for that.
            let _ = seated.await;
        })
    }
}

impl Receive<Dismiss> for Supervisor {
    fn receive(&mut self, Dismiss(actor): Dismiss, _: &mut Desk<Self>) -> Reply<()> {
        let actor: Arc<str> = actor.into();
        let Some(member) = self.members.get_mut(&actor) else { return Reply::Now(()) };
        let (tell, told) = oneshot::channel();
        member.dismissed = Some(tell);
        member.post.close();
        if member.state == State::Running {
            // The thread ends, and with it the actor; its lease tells us when.
            member.arbiter.stop();
        } else {
            self.leave(&actor);
        }
        Reply::later(async move {
            let _ = told.await;
        })
    }
}

impl Attendance {
    /// Of an actor that is there since then, and has never ended.
    fn of(meter: &Meter, since: Timestamp) -> Self {
        Self {
            actor: meter.actor().to_string(),
            kind: meter.kind(),
            stage: meter.stage(),
            state: State::Running,
            since,
            restarts: BTreeMap::new(),
            last_error: None,
            capacity: meter.capacity(),
            reading: meter.reading(),
        }
    }
}

impl Receive<RollCall> for Supervisor {
    fn receive(&mut self, _: RollCall, _: &mut Desk<Self>) -> Reply<Vec<Attendance>> {
        let of_member = |member: &Member| Attendance {
            state: member.state,
            restarts: member.restarts.clone(),
            last_error: member.last_error.clone(),
            ..Attendance::of(member.post.meter(), member.since)
        };
        // Whoever calls the roll is on it: the last, and while it answers it is there.
        let own = Attendance::of(&self.meter, self.began);
        Reply::Now(self.members.values().map(of_member).chain([own]).collect())
    }
}

#[cfg(test)]
mod tests;
