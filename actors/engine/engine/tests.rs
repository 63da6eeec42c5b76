//! Failures of the cache, of the query actor and of both at once: no session is lost, no ended session
//! returns, and no firewall keeps one.

mod recovery;

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use actix::System;
use rollcall_identity::{
    Address, Authority, ChangeLogLimits, Cursor, Effect, Event, Filter, JournalEntry, Kind,
    MemoryJournal, Name, Origin, Page, Principal, Producer, Receipt, Session, Timestamp,
};
use tokio::sync::oneshot;

use super::*;
use crate::messages::{
    Apply, ApplyError, Batch, Committed, Explain, ExportTable, GetNewestCursor, LookupAddress,
    PublishChanges, ReadChanges, Ticket,
};
use rollcall_identity::engine::{BatchOwner, Publication, Visibility};
use rollcall_journal::{DurableJournal, JournalOptions};
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::supervisor::{ActorState, Fault, ListActors};

const HOME: &str = "10.7.0.1";
const EPOCH: u64 = 7;
const START: i64 = 1_795_290_600_000;

struct Fixture {
    engine: Engine,
    time: Arc<AtomicI64>,
}

fn run_in_memory(test: impl AsyncFnOnce(Fixture)) {
    run(async { test(Fixture::start(|_| MemoryJournal::new(EPOCH)).await).await });
}

/// The same with a durable journal.
fn run_on_disk(test: impl AsyncFnOnce(Fixture)) {
    let folder = tempfile::tempdir().unwrap();
    let open = |clock: &Clock| {
        DurableJournal::open(folder.path(), JournalOptions::default(), clock.clone()).unwrap()
    };
    run(async { test(Fixture::start(open).await).await });
}

fn run(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test ends in time");
    });
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

impl Fixture {
    async fn start<J: Journal + 'static>(open: impl FnOnce(&Clock) -> J) -> Self {
        let time = Arc::new(AtomicI64::new(START));
        let source = Arc::clone(&time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(source.load(SeqCst)));
        let kinds = vec![Kind::VpnUp, Kind::VpnDown];
        let mut rules = Rules::default();
        rules.authorities.insert((name("syslog"), name("relay")), Authority::unrestricted(kinds));
        let engine =
            Engine::start(open(&clock), rules, ChangeLogLimits::default(), &clock).await.unwrap();
        let fixture = Self { engine, time };
        fixture.settled(0, 0).await;
        fixture
    }

    /// Advances the clock by this number of seconds.
    fn advance(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1000, SeqCst);
    }

    /// An event of the relay, of this many seconds ago.
    fn event(&self, kind: Kind, user: &str, ago: i64) -> Event {
        let now = self.time.load(SeqCst);
        let origin = Origin {
            kind: Producer::Syslog,
            producer: name("syslog"),
            client: name("relay"),
            form: name("junos-vpn"),
        };
        Event {
            principal: Some(Principal::parse(user, None).unwrap()),
            at: Timestamp::from_millis(now - ago * 1000),
            ..Event::bare(kind, address(HOME), Timestamp::from_millis(now), Arc::new(origin))
        }
    }

    async fn apply(&self, event: Event) -> Receipt {
        let account = EventAccount::open("test", 1);
        self.engine
            .cache
            .send(Apply { events: vec![event], read: None, account })
            .await
            .unwrap()
            .unwrap()
    }

    async fn apply_kind(&self, kind: Kind, user: &str) {
        assert_eq!(self.apply(self.event(kind, user, 0)).await.applied, 1);
    }

    async fn owner(&self) -> Option<String> {
        let found: Option<Arc<Session>> =
            self.engine.query.send(LookupAddress(address(HOME))).await.unwrap();
        let seen = self.engine.lookup.get(address(HOME)).await.unwrap();
        assert_eq!(seen, found, "the direct lookup equals the answer of the actor");
        found.map(|session| session.principal.as_ref().unwrap().to_string())
    }

    async fn newest(&self) -> Cursor {
        self.engine.query.send(GetNewestCursor).await.unwrap()
    }

    async fn read(&self, cursor: Cursor) -> Page {
        let (since, filter, cursor) = (None, Arc::new(Filter::default()), Some(cursor));
        self.engine.query.send(ReadChanges { cursor, since, filter, limit: 100 }).await.unwrap()
    }

    async fn kill_cache(&self) {
        let _ = self.engine.cache.send(Fault).await;
        self.settled(1, 0).await;
    }

    async fn kill_query(&self) {
        let _ = self.engine.query.send(Fault).await;
        self.settled(0, 1).await;
    }

    /// Waits until both answer, after at least this number of panics of each.
    async fn settled(&self, cache: u64, query: u64) {
        for _ in 0..2000 {
            let all = self.engine.supervisor.send(ListActors).await.unwrap();
            let replaced = |actor: &str, times: u64| {
                all.iter().any(|one| {
                    let panics = one.restarts.get("panic").copied().unwrap_or_default();
                    one.actor == actor && one.state == ActorState::Running && panics >= times
                })
            };
            if replaced("cache", cache)
                && replaced("query", query)
                && self.engine.cache.send(ExportTable).await.is_ok()
                && self.engine.query.send(GetNewestCursor).await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the actors are not replaced");
    }
}

#[test]
fn a_new_cache_refuses_a_late_login() {
    run_in_memory(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        fixture.advance(300);
        fixture.apply_kind(Kind::VpnDown, "alice").await;
        fixture.advance(60);
        fixture.kill_cache().await;
        let receipt = fixture.apply(fixture.event(Kind::VpnUp, "alice", 360)).await;
        assert_eq!((receipt.applied, receipt.refused), (0, 1));
        assert_eq!(fixture.owner().await, None);
    });
}

#[test]
fn a_new_cache_reloads_competing_events_and_ends_from_a_durable_journal() {
    run_on_disk(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        fixture.advance(60);
        let refused = fixture.apply(fixture.event(Kind::VpnDown, "bob", 0)).await;
        assert_eq!(refused.refused, 1, "bob has no session");
        let before = fixture.engine.cache.send(Explain(address(HOME))).await.unwrap();
        fixture.kill_cache().await;
        let after = fixture.engine.cache.send(Explain(address(HOME))).await.unwrap();
        assert_eq!(after.to_string(), before.to_string());
        assert!(after.to_string().contains("another user has the address"), "{after}");
        fixture.advance(10);
        let late = fixture.apply(fixture.event(Kind::VpnUp, "bob", 20)).await;
        assert_eq!((late.applied, late.refused), (0, 1), "it is older than the logout of bob");
        assert_eq!(fixture.owner().await.as_deref(), Some("alice"));
    });
}

#[test]
fn a_new_cache_applies_and_publishes_what_was_committed_before() {
    run_on_disk(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        let cookie = fixture.newest().await;
        fixture.advance(60);
        let (events, account) =
            (vec![fixture.event(Kind::VpnUp, "bob", 0)], EventAccount::open("test", 1));
        let apply = fixture.engine.cache.post(Apply { events, read: None, account }).unwrap();
        let fault = fixture.engine.cache.post(Fault).unwrap();
        let _ = tokio::join!(apply, fault);
        fixture.settled(1, 0).await;
        // An event behind it: then the first one is decided.
        fixture.apply_kind(Kind::VpnDown, "bob").await;
        assert_eq!(fixture.owner().await, None);
        let page = fixture.read(cookie).await;
        assert!(!page.resync, "the positions continue");
        assert_eq!(page.changes.iter().map(|c| c.effect).collect::<Vec<_>>(), [Effect::Ended]);
    });
}

#[test]
fn a_new_query_actor_reports_ends_to_a_firewall_that_resumes() {
    run_in_memory(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        let cookie = fixture.newest().await;
        fixture.apply_kind(Kind::VpnDown, "alice").await;
        fixture.kill_query().await;
        let page = fixture.read(cookie).await;
        assert!(!page.resync);
        assert_eq!(page.changes.iter().map(|c| c.effect).collect::<Vec<_>>(), [Effect::Ended]);
    });
}

#[test]
fn a_new_cache_ends_a_session_that_expired_meanwhile() {
    run_in_memory(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        let _ = fixture.engine.cache.send(Fault).await;
        fixture.advance(10 * 24 * 3600);
        fixture.settled(1, 0).await;
        for _ in 0..1000 {
            let state = fixture.engine.cache.send(ExportTable).await.unwrap();
            if state.snapshot.sessions.is_empty() {
                assert_eq!(state.snapshot.ends.len(), 1);
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no expiry event is submitted");
    });
}

#[test]
fn repeated_takeovers_keep_the_epoch() {
    run_in_memory(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        fixture.apply_kind(Kind::VpnUp, "bob").await;
        let before = fixture.newest().await;
        fixture.kill_cache().await;
        fixture.kill_query().await;
        assert_eq!(fixture.newest().await, before, "the new cache continues at the same position");
        assert_eq!(fixture.owner().await.as_deref(), Some("bob"));
        let page = fixture.read(before).await;
        assert!(!page.resync && page.changes.is_empty());
        fixture.apply_kind(Kind::VpnDown, "bob").await;
        assert_eq!(fixture.read(before).await.changes.len(), 1);
    });
}

#[test]
fn when_both_are_lost_every_firewall_does_a_full_resync() {
    run_in_memory(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        let cookie = fixture.newest().await;
        let (cache, query) = (fixture.engine.cache.post(Fault), fixture.engine.query.post(Fault));
        assert!(cache.unwrap().await.is_err() && query.unwrap().await.is_err());
        fixture.settled(1, 1).await;
        assert_eq!(fixture.owner().await, None);
        let after = fixture.newest().await;
        assert!(after.epoch > cookie.epoch, "{after} against {cookie}");
        assert!(fixture.read(cookie).await.resync);
        fixture.apply_kind(Kind::VpnUp, "bob").await;
        assert_eq!(fixture.owner().await.as_deref(), Some("bob"));
        // From here on, the state survives again.
        fixture.kill_query().await;
        assert_eq!(fixture.owner().await.as_deref(), Some("bob"));
    });
}

#[test]
fn changes_of_a_replaced_cache_are_not_visible() {
    run_in_memory(async |fixture| {
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        fixture.kill_cache().await;
        let mut table = rollcall_identity::Table::default();
        let (rules, mallory) =
            (fixture.engine.rules.load(), fixture.event(Kind::VpnUp, "mallory", 0));
        let change = table.apply(Revision(50), &mallory, &rules).change;
        assert!(change.is_some());
        let cache = fixture.engine.cache.send(ExportTable).await.unwrap().generation;
        let mut late = Publication::new(cache - 1, 1);
        late.push(mallory.seen, change.clone());
        let shown = fixture.engine.query.send(PublishChanges(late)).await;
        assert_eq!(shown, Ok(Visibility::NotVisible));
        assert_eq!(fixture.owner().await.as_deref(), Some("alice"));
        let mut changed = Publication::new(cache, 1);
        changed.push(mallory.seen, change);
        fixture.engine.query.send(PublishChanges(changed)).await.unwrap();
        assert_eq!(
            fixture.owner().await.as_deref(),
            Some("mallory"),
            "the changes of the current cache are applied"
        );
    });
}

#[test]
fn a_batch_before_a_panic_in_the_same_commit_is_visible() {
    run_in_memory(async |fixture| {
        let batch = |user| {
            let (receipt, taken) = oneshot::channel::<Result<Receipt, ApplyError>>();
            let events = vec![fixture.event(Kind::VpnUp, user, 0)];
            let account = EventAccount::open("test", 1);
            let ticket = BatchOwner::Producer(Ticket { account, receipt });
            (Batch { events, read: None, ticket }, taken)
        };
        let ((good, _taken), (bad, lost)) = (batch("alice"), batch("bob"));
        // There is no position after this one: the increment panics.
        let bad = JournalEntry { first: Revision(u64::MAX), batch: bad };
        let both = vec![JournalEntry { first: Revision(1), batch: good }, bad];
        drop(fixture.engine.cache.post(Committed(both, fixture.engine.rules.load_full())));
        assert!(lost.await.is_err(), "the sender of the second batch gets an error");
        fixture.settled(1, 0).await;
        assert_eq!(fixture.owner().await.as_deref(), Some("alice"));
        let why = fixture.engine.cache.send(Explain(address(HOME))).await.unwrap();
        assert!(why.session.is_some(), "the new cache and the query actor agree");
    });
}

#[test]
fn a_batch_without_events_takes_no_position() {
    run_in_memory(async |fixture| {
        let nothing =
            Apply { events: Vec::new(), read: None, account: EventAccount::open("test", 0) };
        fixture.engine.cache.send(nothing).await.unwrap().unwrap();
        fixture.kill_query().await;
        fixture.apply_kind(Kind::VpnUp, "alice").await;
        assert_eq!(fixture.owner().await.as_deref(), Some("alice"));
    });
}
