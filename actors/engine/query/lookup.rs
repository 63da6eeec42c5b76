//! Lookups of one address that read the log of the query actor directly, without a message.
//!
//! Only the actor writes its log. It publishes the log when it starts to answer, so that an unfilled log
//! is never read. While the actor writes, and while none runs, a lookup is sent to it as a message.

use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use rollcall_identity::engine::ReadModel;
use rollcall_identity::{Address, Session};

use super::Query;
use crate::messages::LookupAddress;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};

/// A log that its query actor writes and lookups read.
pub(super) type SharedLog = Arc<RwLock<ReadModel>>;

/// The log of the current generation of the query actor.
#[derive(Clone, Default)]
pub(crate) struct PublishedLog(Arc<ArcSwap<Published>>);

/// The log of one generation.
#[derive(Clone, Default)]
struct Published {
    generation: u64,
    /// `None` while it does not answer yet.
    log: Option<SharedLog>,
}

impl PublishedLog {
    /// Publishes a log, unless a later generation has started: an abandoned one may continue late.
    pub(super) fn publish(&self, generation: u64, log: Option<&SharedLog>) {
        self.0.rcu(|now| {
            let stale = now.generation > generation;
            if stale { Published::clone(now) } else { Published { generation, log: log.cloned() } }
        });
    }
}

/// Looks up the session of an address.
#[derive(Clone)]
pub struct AddressLookup {
    query: Mailbox<Query>,
    published: PublishedLog,
    clock: Clock,
}

impl AddressLookup {
    /// Reads the log that the actor behind `query` publishes to `published`.
    pub(crate) fn new(query: Mailbox<Query>, published: PublishedLog, clock: Clock) -> Self {
        Self { query, published, clock }
    }

    /// The session of this address now.
    ///
    /// # Errors
    /// [`MailboxClosed`] when no query actor runs.
    pub async fn get(&self, address: Address) -> Result<Option<Arc<Session>>, MailboxClosed> {
        match self.try_get(address) {
            Some(found) => Ok(found),
            None => self.query.send(LookupAddress(address)).await,
        }
    }

    /// The same, if the log can be read without waiting.
    fn try_get(&self, address: Address) -> Option<Option<Arc<Session>>> {
        // An abandoned actor may still have its log published.
        if !self.query.is_running() {
            return None;
        }
        let published = self.published.0.load();
        // A log whose writer panicked is poisoned and may be half written.
        let model = published.log.as_ref()?.try_read().ok()?;
        Some(model.log().get(address, self.clock.now()).map(Arc::clone))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rollcall_identity::engine::{Publication, Visibility};
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

    /// A log in which Alice has the address until `expires`.
    fn log(expires: i64) -> SharedLog {
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
            proved: at,
            proof: Proof::Logon,
            precision: Precision::Millisecond,
            expires: Timestamp::from_millis(expires),
            revision: Revision(1),
            cause: cause.clone(),
            detail_sources: None,
        });
        let (revision, effect, after) = (Revision(1), Effect::Began, Some(session));
        let change = Change { revision, address: home(), effect, before: None, after, cause };
        let mut model = ReadModel::new(7, ChangeLogLimits::default());
        let mut publication = Publication::new(1, 1);
        publication.push(at, Some(change));
        assert_eq!(model.publish(&publication, at), Visibility::Visible);
        Arc::new(RwLock::new(model))
    }

    /// A lookup over an engine without sessions, at the log that the test publishes.
    fn story(test: impl AsyncFnOnce(Engine, AddressLookup)) {
        actix::System::new().block_on(async {
            let clock = Clock::from_fn(|| Timestamp::from_millis(NOW));
            let (journal, rules) = (MemoryJournal::new(7), Rules::default());
            let engine =
                Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await.unwrap();
            let lookup = AddressLookup::new(engine.query.clone(), PublishedLog::default(), clock);
            test(engine, lookup).await;
        });
    }

    fn is_there(found: Option<Option<Arc<Session>>>) -> Option<bool> {
        found.map(|found| found.is_some())
    }

    #[test]
    fn a_published_session_is_found_until_it_expires() {
        story(async |_, lookup| {
            assert_eq!(lookup.try_get(home()), None, "nothing is published yet");
            assert_eq!(lookup.get(home()).await, Ok(None), "the actor answers");
            lookup.published.publish(1, Some(&log(NOW + 1)));
            assert_eq!(is_there(lookup.try_get(home())), Some(true));
            assert!(lookup.get(home()).await.unwrap().is_some());
            lookup.published.publish(1, Some(&log(NOW)));
            assert_eq!(is_there(lookup.try_get(home())), Some(false), "its logoff time has come");
        });
    }

    #[test]
    fn a_lookup_neither_waits_for_the_writer_nor_reads_a_half_written_log() {
        story(async |_, lookup| {
            let log = log(NOW + 1);
            lookup.published.publish(1, Some(&log));
            let writing = log.write().unwrap();
            assert_eq!(lookup.try_get(home()), None);
            drop(writing);
            assert_eq!(is_there(lookup.try_get(home())), Some(true));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _writing = log.write().unwrap();
                panic!("in the middle of a change");
            }));
            assert!(panicked.is_err());
            assert_eq!(lookup.try_get(home()), None);
            assert_eq!(lookup.get(home()).await, Ok(None), "the actor answers");
        });
    }

    #[test]
    fn an_abandoned_generation_publishes_nothing() {
        story(async |_, lookup| {
            lookup.published.publish(1, Some(&log(NOW + 1)));
            lookup.published.publish(2, None);
            assert_eq!(lookup.try_get(home()), None, "its successor does not answer yet");
            lookup.published.publish(1, Some(&log(NOW + 1)));
            assert_eq!(lookup.try_get(home()), None, "it continued late");
        });
    }

    #[test]
    fn without_a_query_actor_there_is_no_answer() {
        story(async |engine, lookup| {
            lookup.published.publish(1, Some(&log(NOW + 1)));
            engine.supervisor.send(Stop("query".to_owned())).await.unwrap();
            assert!(lookup.get(home()).await.is_err());
        });
    }
}
