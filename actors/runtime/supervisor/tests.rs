//! Tests of the supervisor with actors that panic, fail, hang and stop.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc as thread_channel;

use super::*;
use crate::mailbox::MailboxClosed;

const FAST_POLICY: RestartPolicy = RestartPolicy {
    first: Duration::from_millis(5),
    longest: Duration::from_millis(20),
    reset_after: Duration::from_secs(60),
    probe_interval: Duration::from_millis(20),
    // Writing the backtrace of a panic takes a while, and must not count as a hang.
    hang: Duration::from_secs(3),
};

/// An actor that carries out orders, including harmful ones.
struct TestActor {
    instance: usize,
    handled: usize,
}

impl Actor for TestActor {
    const KIND: &'static str = "actor";
    const STAGE: Stage = Stage::Deciding;
    const CAPACITY: usize = 2;
}

#[derive(Debug)]
enum Order {
    Answer,
    Panic,
    Fail,
    Quit,
    Hang(thread_channel::Receiver<()>),
    Wait(tokio::sync::oneshot::Receiver<()>),
}

impl Message for Order {
    type Result = (usize, usize);
}

impl Handler<Order> for TestActor {
    fn handle(&mut self, order: Order, context: &mut Context<Self>) -> Reply<(usize, usize)> {
        self.handled += 1;
        let answer = (self.instance, self.handled);
        match order {
            Order::Answer => {}
            Order::Panic => panic!("ordered to panic"),
            Order::Fail => {
                context.run_later(Duration::ZERO, |cell, context| {
                    cell.fail("ordered to fail", context);
                });
            }
            Order::Quit => context.terminate(),
            Order::Hang(until) => drop(until.recv()),
            Order::Wait(until) => {
                return Reply::later(async move {
                    let _ = until.await;
                    answer
                });
            }
        }
        Reply::Now(answer)
    }
}

struct Fixture {
    supervisor: Mailbox<Supervisor>,
    actor: Mailbox<TestActor>,
}

impl Fixture {
    async fn open() -> Self {
        let clock = Clock::system();
        let supervisor = Supervisor::start(&clock, FAST_POLICY);
        let actor = Mailbox::<TestActor>::new("actor", clock);
        let instances = AtomicUsize::new(0);
        let factory =
            move || TestActor { instance: instances.fetch_add(1, SeqCst) + 1, handled: 0 };
        supervisor.send(Spawn::new(actor.clone(), factory)).await.unwrap();
        let fixture = Self { supervisor, actor };
        fixture.wait_for_instance(1).await;
        fixture
    }

    /// Waits until the instance with this number answers.
    async fn wait_for_instance(&self, instance: usize) -> usize {
        for _ in 0..1000 {
            match self.actor.send(Order::Answer).await {
                Ok((number, handled)) if number == instance => return handled,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!("instance {instance} did not start");
    }

    async fn status(&self) -> ActorStatus {
        self.supervisor.send(ListActors).await.unwrap().remove(0)
    }
}

fn story(test: impl AsyncFnOnce(Fixture)) {
    System::new().block_on(async { test(Fixture::open().await).await });
}

#[test]
fn an_actor_that_panics_is_replaced_with_fresh_state_behind_the_same_mailbox() {
    story(async |fixture| {
        assert_eq!(fixture.actor.send(Order::Panic).await, Err(MailboxClosed("actor")));
        assert_eq!(fixture.wait_for_instance(2).await, 1, "the second instance has fresh state");
        let status = fixture.status().await;
        assert_eq!(status.restarts, BTreeMap::from([("panic", 1)]));
        assert_eq!(status.state, ActorState::Running);
    });
}

#[test]
fn an_actor_that_fails_is_replaced_and_its_error_is_kept() {
    story(async |fixture| {
        fixture.actor.send(Order::Fail).await.unwrap();
        fixture.wait_for_instance(2).await;
        let status = fixture.status().await;
        assert_eq!(status.restarts, BTreeMap::from([("error", 1)]));
        assert_eq!(status.last_error.as_deref(), Some("ordered to fail"));
    });
}

#[test]
fn an_actor_that_quits_is_replaced() {
    story(async |fixture| {
        let _ = fixture.actor.send(Order::Quit).await;
        fixture.wait_for_instance(2).await;
        assert_eq!(fixture.status().await.restarts, BTreeMap::from([("stop", 1)]));
    });
}

#[test]
fn an_actor_that_hangs_is_abandoned_and_replaced_while_it_still_sleeps() {
    story(async |fixture| {
        let (wake, sleep) = thread_channel::channel();
        let hung = fixture.actor.queue(Order::Hang(sleep)).await.unwrap();
        fixture.wait_for_instance(2).await;
        assert_eq!(fixture.status().await.restarts, BTreeMap::from([("hang", 1)]));
        // It resumes, completes its handler and ends. Its successor keeps running.
        wake.send(()).unwrap();
        let _ = hung.await;
        tokio::time::sleep(FAST_POLICY.probe_interval * 4).await;
        fixture.wait_for_instance(2).await;
        assert_eq!(fixture.status().await.restarts, BTreeMap::from([("hang", 1)]));
    });
}

#[test]
fn an_actor_that_starts_slowly_is_not_reported_as_hung() {
    story(async |fixture| {
        let late = Mailbox::<TestActor>::new("late", Clock::system());
        let (start, instance) = thread_channel::channel::<()>();
        let instance = std::sync::Mutex::new(instance);
        let factory = move || {
            let _ = instance.lock().unwrap().recv();
            TestActor { instance: 1, handled: 0 }
        };
        let spawned = fixture.supervisor.queue(Spawn::new(late.clone(), factory)).await.unwrap();
        tokio::time::sleep(FAST_POLICY.probe_interval * 3).await;
        start.send(()).unwrap();
        spawned.await.unwrap();
        tokio::time::sleep(FAST_POLICY.hang * 2).await;
        let status = fixture.supervisor.send(ListActors).await.unwrap().remove(1);
        assert_eq!(status.restarts, BTreeMap::new());
    });
}

#[test]
fn an_actor_that_keeps_panicking_backs_off_and_others_go_on() {
    story(async |fixture| {
        let other = Mailbox::<TestActor>::new("other", Clock::system());
        let spawn = Spawn::new(other.clone(), || TestActor { instance: 7, handled: 0 });
        fixture.supervisor.send(spawn).await.unwrap();
        for instance in 1..=4 {
            fixture.wait_for_instance(instance).await;
            let _ = fixture.actor.send(Order::Panic).await;
            assert_eq!(other.send(Order::Answer).await.map(|(number, _)| number), Ok(7));
        }
        fixture.wait_for_instance(5).await;
        assert_eq!(fixture.status().await.restarts["panic"], 4);
    });
}

#[test]
fn a_stopped_actor_is_not_restarted() {
    story(async |fixture| {
        fixture.supervisor.send(Stop("actor".to_owned())).await.unwrap();
        assert_eq!(fixture.actor.send(Order::Answer).await, Err(MailboxClosed("actor")));
        let all = fixture.supervisor.send(ListActors).await.unwrap();
        let all: Vec<_> = all.iter().map(|one| (one.actor.as_str(), one.state)).collect();
        assert_eq!(all, [("supervisor", ActorState::Running)], "only the supervisor is left");
    });
}

#[test]
fn a_full_mailbox_blocks_the_sender_until_a_permit_is_free() {
    story(async |fixture| {
        let (go, wait) = tokio::sync::oneshot::channel();
        let first = fixture.actor.queue(Order::Wait(wait)).await.unwrap();
        let (_go, wait) = tokio::sync::oneshot::channel();
        let _second = fixture.actor.queue(Order::Wait(wait)).await.unwrap();
        let third = fixture.actor.queue(Order::Answer);
        let mut third = std::pin::pin!(third);
        let early = tokio::time::timeout(Duration::from_millis(20), third.as_mut()).await;
        assert!(early.is_err(), "both permits are in use");
        go.send(()).unwrap();
        first.await.unwrap();
        third.await.unwrap().await.unwrap();
    });
}

#[test]
fn queued_messages_are_handled_without_a_waiting_sender() {
    story(async |fixture| {
        let (go, wait) = thread_channel::channel();
        let busy = fixture.actor.post(Order::Hang(wait)).unwrap();
        drop(fixture.actor.post(Order::Answer).unwrap());
        go.send(()).unwrap();
        busy.await.unwrap();
        assert_eq!(fixture.actor.send(Order::Answer).await, Ok((1, 4)));
    });
}
