//! Children that panic, fail, freeze and quit, and the supervisor that outlives them all.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc as thread_channel;

use super::*;
use crate::mailbox::MailboxClosed;

const IMPATIENT: RestartPolicy = RestartPolicy {
    first: Duration::from_millis(5),
    longest: Duration::from_millis(20),
    reset_after: Duration::from_secs(60),
    probe_interval: Duration::from_millis(20),
    // Writing the backtrace of a panic takes a while, and must not count as freezing.
    hang: Duration::from_secs(3),
};

/// A child that does what it is told, however bad.
struct Child {
    born: usize,
    asked: usize,
}

impl Actor for Child {
    const KIND: &'static str = "child";
    const STAGE: Stage = Stage::Deciding;
    const CAPACITY: usize = 2;
}

#[derive(Debug)]
enum Do {
    Answer,
    Panic,
    Fail,
    Quit,
    Freeze(thread_channel::Receiver<()>),
    Wait(tokio::sync::oneshot::Receiver<()>),
}

impl Message for Do {
    type Result = (usize, usize);
}

impl Handler<Do> for Child {
    fn handle(&mut self, order: Do, context: &mut Context<Self>) -> Reply<(usize, usize)> {
        self.asked += 1;
        let answer = (self.born, self.asked);
        match order {
            Do::Answer => {}
            Do::Panic => panic!("told to panic"),
            Do::Fail => {
                context.run_later(Duration::ZERO, |cell, context| cell.fail("told to", context));
            }
            Do::Quit => context.terminate(),
            Do::Freeze(until) => drop(until.recv()),
            Do::Wait(until) => {
                return Reply::later(async move {
                    let _ = until.await;
                    answer
                });
            }
        }
        Reply::Now(answer)
    }
}

struct Nursery {
    supervisor: Mailbox<Supervisor>,
    child: Mailbox<Child>,
}

impl Nursery {
    async fn open() -> Self {
        let clock = Clock::system();
        let supervisor = Supervisor::start(&clock, IMPATIENT);
        let child = Mailbox::<Child>::new("child", clock);
        let births = AtomicUsize::new(0);
        let factory = move || Child { born: births.fetch_add(1, SeqCst) + 1, asked: 0 };
        supervisor.send(Spawn::new(child.clone(), factory)).await.unwrap();
        let nursery = Self { supervisor, child };
        nursery.until_child(1).await;
        nursery
    }

    /// Waits until the child of this birth answers.
    async fn until_child(&self, birth: usize) -> usize {
        for _ in 0..1000 {
            match self.child.send(Do::Answer).await {
                Ok((born, asked)) if born == birth => return asked,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!("child {birth} never came");
    }

    async fn attendance(&self) -> ActorStatus {
        self.supervisor.send(ListActors).await.unwrap().remove(0)
    }
}

fn story(test: impl AsyncFnOnce(Nursery)) {
    System::new().block_on(async { test(Nursery::open().await).await });
}

#[test]
fn a_child_that_panics_is_replaced_with_fresh_state_behind_the_same_mailbox() {
    story(async |nursery| {
        assert_eq!(nursery.child.send(Do::Panic).await, Err(MailboxClosed("child")));
        assert_eq!(nursery.until_child(2).await, 1, "the second child has fresh state");
        let attendance = nursery.attendance().await;
        assert_eq!(attendance.restarts, BTreeMap::from([("panic", 1)]));
        assert_eq!(attendance.state, ActorState::Running);
    });
}

#[test]
fn a_child_that_fails_is_replaced_and_its_error_is_kept() {
    story(async |nursery| {
        nursery.child.send(Do::Fail).await.unwrap();
        nursery.until_child(2).await;
        let attendance = nursery.attendance().await;
        assert_eq!(attendance.restarts, BTreeMap::from([("error", 1)]));
        assert_eq!(attendance.last_error.as_deref(), Some("told to"));
    });
}

#[test]
fn a_child_that_quits_is_replaced() {
    story(async |nursery| {
        let _ = nursery.child.send(Do::Quit).await;
        nursery.until_child(2).await;
        assert_eq!(nursery.attendance().await.restarts, BTreeMap::from([("stop", 1)]));
    });
}

#[test]
fn a_child_that_hangs_is_abandoned_and_replaced_while_it_still_sleeps() {
    story(async |nursery| {
        let (wake, sleep) = thread_channel::channel();
        let frozen = nursery.child.queue(Do::Freeze(sleep)).await.unwrap();
        nursery.until_child(2).await;
        assert_eq!(nursery.attendance().await.restarts, BTreeMap::from([("hang", 1)]));
        // It wakes, finishes what it did, and leaves without taking its successor along.
        wake.send(()).unwrap();
        let _ = frozen.await;
        tokio::time::sleep(IMPATIENT.probe_interval * 4).await;
        nursery.until_child(2).await;
        assert_eq!(nursery.attendance().await.restarts, BTreeMap::from([("hang", 1)]));
    });
}

#[test]
fn a_child_whose_birth_takes_several_rounds_is_not_taken_to_be_frozen() {
    story(async |nursery| {
        let late = Mailbox::<Child>::new("late", Clock::system());
        let (bear, birth) = thread_channel::channel::<()>();
        let birth = std::sync::Mutex::new(birth);
        let factory = move || {
            let _ = birth.lock().unwrap().recv();
            Child { born: 1, asked: 0 }
        };
        let hired = nursery.supervisor.queue(Spawn::new(late.clone(), factory)).await.unwrap();
        tokio::time::sleep(IMPATIENT.probe_interval * 3).await;
        bear.send(()).unwrap();
        hired.await.unwrap();
        tokio::time::sleep(IMPATIENT.hang * 2).await;
        let attendance = nursery.supervisor.send(ListActors).await.unwrap().remove(1);
        assert_eq!(attendance.restarts, BTreeMap::new());
    });
}

#[test]
fn a_child_that_keeps_panicking_backs_off_and_others_go_on() {
    story(async |nursery| {
        let other = Mailbox::<Child>::new("other", Clock::system());
        let hire = Spawn::new(other.clone(), || Child { born: 7, asked: 0 });
        nursery.supervisor.send(hire).await.unwrap();
        for birth in 1..=4 {
            nursery.until_child(birth).await;
            let _ = nursery.child.send(Do::Panic).await;
            assert_eq!(other.send(Do::Answer).await.map(|(born, _)| born), Ok(7));
        }
        nursery.until_child(5).await;
        assert_eq!(nursery.attendance().await.restarts["panic"], 4);
    });
}

#[test]
fn a_dismissed_child_is_gone_for_good() {
    story(async |nursery| {
        nursery.supervisor.send(Stop("child".to_owned())).await.unwrap();
        assert_eq!(nursery.child.send(Do::Answer).await, Err(MailboxClosed("child")));
        let all = nursery.supervisor.send(ListActors).await.unwrap();
        let all: Vec<_> = all.iter().map(|one| (one.actor.as_str(), one.state)).collect();
        assert_eq!(all, [("supervisor", ActorState::Running)], "it alone is left");
    });
}

#[test]
fn a_full_mailbox_makes_the_sender_wait_until_a_place_is_free() {
    story(async |nursery| {
        let (go, wait) = tokio::sync::oneshot::channel();
        let first = nursery.child.queue(Do::Wait(wait)).await.unwrap();
        let (_keep, wait) = tokio::sync::oneshot::channel();
        let _second = nursery.child.queue(Do::Wait(wait)).await.unwrap();
        let third = nursery.child.queue(Do::Answer);
        let mut third = std::pin::pin!(third);
        let early = tokio::time::timeout(Duration::from_millis(20), third.as_mut()).await;
        assert!(early.is_err(), "both places are taken");
        go.send(()).unwrap();
        first.await.unwrap();
        third.await.unwrap().await.unwrap();
    });
}

#[test]
fn what_was_queued_is_handled_although_nobody_waits_for_the_answer() {
    story(async |nursery| {
        let (go, wait) = thread_channel::channel();
        let busy = nursery.child.post(Do::Freeze(wait)).unwrap();
        drop(nursery.child.post(Do::Answer).unwrap());
        go.send(()).unwrap();
        busy.await.unwrap();
        assert_eq!(nursery.child.send(Do::Answer).await, Ok((1, 4)));
    });
}
