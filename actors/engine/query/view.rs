//! What the query actor knows, for whoever asks about one address: they look for themselves, and need not
//! wait until the actor's thread has its turn.
//!
//! The actor alone writes its log. It shows the log from the moment on at which it answers, so that nobody
//! looks into one that is not filled yet. While it writes, and while nobody is there, a question is sent to
//! it as a message, like every other.

use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use rollcall_identity::{Address, ReadModel, Session};

use super::Query;
use crate::messages::LookupAddress;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};

/// A log that its query actor writes and others read.
pub(super) type Log = Arc<RwLock<ReadModel>>;

/// Where the query actor in office shows its log.
#[derive(Clone, Default)]
pub(crate) struct PublishedLog(Arc<ArcSwap<Shown>>);

/// What is shown in one term of a query actor.
#[derive(Clone, Default)]
struct Shown {
    term: u64,
    /// `None` while it does not answer yet.
    log: Option<Log>,
}

impl PublishedLog {
    /// Shows this, unless a later term has begun: one that was abandoned may wake up at any moment.
    pub(super) fn show(&self, term: u64, log: Option<&Log>) {
        self.0.rcu(|shown| {
            let later = shown.term > term;
            if later { Shown::clone(shown) } else { Shown { term, log: log.cloned() } }
        });
    }
}

/// How an address is asked for.
#[derive(Clone)]
pub struct AddressLookup {
    query: Mailbox<Query>,
    window: PublishedLog,
    clock: Clock,
}

impl AddressLookup {
    /// What the actor behind `query` shows at `window`.
    pub(crate) fn new(query: Mailbox<Query>, window: PublishedLog, clock: Clock) -> Self {
        Self { query, window, clock }
    }

    /// Who has this address now.
    ///
    /// # Errors
    /// [`MailboxClosed`] when there is no query actor.
    pub async fn look(&self, address: Address) -> Result<Option<Arc<Session>>, MailboxClosed> {
        match self.glance(address) {
            Some(found) => Ok(found),
            None => self.query.send(LookupAddress(address)).await,
        }
    }

    /// The same when it can be seen at once, without waiting for anybody.
    fn glance(&self, address: Address) -> Option<Option<Arc<Session>>> {
        // Whoever was abandoned because it does not answer may still show what it knew.
        if !self.query.is_running() {
            return None;
        }
        let shown = self.window.0.load();
        // A log whose writer panicked is poisoned, and may be half written.
        let answerer = shown.log.as_ref()?.try_read().ok()?;
        Some(answerer.log().get(address, self.clock.now()).map(Arc::clone))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rollcall_identity::{
        Cause, Change, ChangeLogLimits, Effect, Kind, Membership, MemoryJournal, Name, Origin,
        Precision, Principal, Producer, Proof, Revision, Rule, Rules, Timestamp,
    };

    use super::*;
    use crate::engine::Engine;
    use rollcall_runtime::supervisor::Stop;

    const NOW: i64 = 1_795_290_600_000;

    fn home() -> Address {
        "10.7.0.1".parse().unwrap()
    }

    /// A log in which somebody is at home until `expires`.
    fn log(expires: i64) -> Log {
        let at = Timestamp::from_millis(NOW);
        let [producer, client, form] = ["ptim", "fw1", "json"].map(|text| Name::new(text).unwrap());
        let origin = Arc::new(Origin { kind: Producer::Ptim, producer, client, form });
        let cause = Cause { kind: Kind::Login, at, seen: at, origin, rule: Rule::FirstUser };
        let session = Arc::new(Session {
            address: home(),
            principal: Some(Principal::parse("alice@corp", None).unwrap()),
            device: None,
            roles: None,
            membership: Membership::default(),
            posture: None,
            since: at,
            confirmed: at,
            proof: Proof::Logon,
            precision: Precision::Millisecond,
            expires: Timestamp::from_millis(expires),
            revision: Revision(1),
            cause: cause.clone(),
        });
        let (revision, effect, after) = (Revision(1), Effect::Began, Some(session));
        let change = Change { revision, address: home(), effect, before: None, after, cause };
        let mut answerer = ReadModel::new(7, ChangeLogLimits::default());
        assert!(answerer.apply(1, &[change], at));
        Arc::new(RwLock::new(answerer))
    }

    /// A view of a engine whose query actor itself knows nobody, at what the test shows.
    fn story(test: impl AsyncFnOnce(Engine, AddressLookup)) {
        actix::System::new().block_on(async {
            let clock = Clock::from_fn(|| Timestamp::from_millis(NOW));
            let (journal, rules) = (MemoryJournal::new(7), Rules::default());
            let engine =
                Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await.unwrap();
            let view = AddressLookup::new(engine.query.clone(), PublishedLog::default(), clock);
            test(engine, view).await;
        });
    }

    fn is_there(found: Option<Option<Arc<Session>>>) -> Option<bool> {
        found.map(|found| found.is_some())
    }

    #[test]
    fn what_is_shown_is_seen_until_it_runs_out() {
        story(async |_, view| {
            assert_eq!(view.glance(home()), None, "nothing is shown yet");
            assert_eq!(view.look(home()).await, Ok(None), "the actor answers");
            view.window.show(1, Some(&log(NOW + 1)));
            assert_eq!(is_there(view.glance(home())), Some(true));
            assert!(view.look(home()).await.unwrap().is_some());
            view.window.show(1, Some(&log(NOW)));
            assert_eq!(is_there(view.glance(home())), Some(false), "its logoff time has come");
        });
    }

    #[test]
    fn nobody_waits_for_who_writes_nor_sees_what_is_half_written() {
        story(async |_, view| {
            let log = log(NOW + 1);
            view.window.show(1, Some(&log));
            let writing = log.write().unwrap();
            assert_eq!(view.glance(home()), None);
            drop(writing);
            assert_eq!(is_there(view.glance(home())), Some(true));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _writing = log.write().unwrap();
                panic!("in the middle of a change");
            }));
            assert!(panicked.is_err());
            assert_eq!(view.glance(home()), None);
            assert_eq!(view.look(home()).await, Ok(None), "the actor answers");
        });
    }

    #[test]
    fn one_that_was_abandoned_shows_nothing_any_more() {
        story(async |_, view| {
            view.window.show(1, Some(&log(NOW + 1)));
            view.window.show(2, None);
            assert_eq!(view.glance(home()), None, "its successor does not answer yet");
            view.window.show(1, Some(&log(NOW + 1)));
            assert_eq!(view.glance(home()), None, "it woke up");
        });
    }

    #[test]
    fn without_a_query_actor_there_is_no_answer() {
        story(async |engine, view| {
            view.window.show(1, Some(&log(NOW + 1)));
            engine.supervisor.send(Stop("query".to_owned())).await.unwrap();
            assert!(view.look(home()).await.is_err());
        });
    }
}
