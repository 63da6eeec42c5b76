//! The cache and the query actor die, one after the other and both at once: nobody who is there is
//! lost, nobody who left comes back, and no firewall is left with one who did.

mod recovery;

use crate::messages::Batch;
use crate::messages::Committed;
use crate::messages::Ticket;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use actix::System;
use rollcall_identity::{
    Address, Authority, ChangeLogLimits, Cursor, Effect, Event, Filter, Kind, MemoryJournal, Name,
    Origin, Page, Principal, Producer, Session, Timestamp,
};
use tokio::sync::oneshot;

use super::*;
use crate::messages::{Apply, ApplyError, Explain, ExportTable};
use crate::messages::{GetNewestCursor, LookupAddress, PublishChanges, ReadChanges};
use rollcall_identity::JournalEntry;
use rollcall_identity::Receipt;
use rollcall_identity::engine::{BatchOwner, Publication, Visibility};
use rollcall_journal::{DurableJournal, JournalOptions};
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::supervisor::{ActorState, Fault, ListActors};

const HOME: &str = "10.7.0.1";
const EPOCH: u64 = 7;
const START: i64 = 1_795_290_600_000;

struct Life {
    engine: Engine,
    time: Arc<AtomicI64>,
}

fn story(test: impl AsyncFnOnce(Life)) {
    told(async { test(Life::begin(|_| MemoryJournal::new(EPOCH)).await).await });
}

/// The same with a journal that keeps what it is given.
fn story_on_disk(test: impl AsyncFnOnce(Life)) {
    let folder = tempfile::tempdir().unwrap();
    let open = |clock: &Clock| {
        DurableJournal::open(folder.path(), JournalOptions::default(), clock.clone()).unwrap()
    };
    told(async { test(Life::begin(open).await).await });
}

fn told(story: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), story).await.expect("the story ends");
    });
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

impl Life {
    async fn begin<J: Journal + 'static>(open: impl FnOnce(&Clock) -> J) -> Self {
        let time = Arc::new(AtomicI64::new(START));
        let told = Arc::clone(&time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(told.load(SeqCst)));
        let kinds = vec![Kind::VpnUp, Kind::VpnDown];
        let mut rules = Rules::default();
        rules
            .authorities
            .insert((name("syslog"), name("relay")), Authority { kinds, ..Authority::default() });
        let engine =
            Engine::start(open(&clock), rules, ChangeLogLimits::default(), &clock).await.unwrap();
        let life = Self { engine, time };
        life.settled(0, 0).await;
        life
    }

    /// So many seconds later.
    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1000, SeqCst);
    }

    /// What the relay says, of something that many seconds ago.
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

    async fn see(&self, kind: Kind, user: &str) {
        assert_eq!(self.apply(self.event(kind, user, 0)).await.applied, 1);
    }

    async fn owner(&self) -> Option<String> {
        let found: Option<Arc<Session>> =
            self.engine.query.send(LookupAddress(address(HOME))).await.unwrap();
        let seen = self.engine.lookup.get(address(HOME)).await.unwrap();
        assert_eq!(seen, found, "whoever looks for themselves sees what the actor says");
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

    /// Waits until both answer, after at least so many panics of each.
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
        panic!("they never came back");
    }
}

#[test]
fn a_late_login_stays_out_of_a_new_cache() {
    story(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        life.pass(300);
        life.see(Kind::VpnDown, "alice").await;
        life.pass(60);
        life.kill_cache().await;
        let receipt = life.apply(life.event(Kind::VpnUp, "alice", 360)).await;
        assert_eq!((receipt.applied, receipt.refused), (0, 1));
        assert_eq!(life.owner().await, None);
    });
}

#[test]
fn a_new_cache_knows_what_competed_and_who_departed_where_the_journal_keeps_it() {
    story_on_disk(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        life.pass(60);
        let refused = life.apply(life.event(Kind::VpnDown, "bob", 0)).await;
        assert_eq!(refused.refused, 1, "bob is not there");
        let before = life.engine.cache.send(Explain(address(HOME))).await.unwrap();
        life.kill_cache().await;
        let after = life.engine.cache.send(Explain(address(HOME))).await.unwrap();
        assert_eq!(after.to_string(), before.to_string());
        assert!(after.to_string().contains("another user has the address"), "{after}");
        life.pass(10);
        let late = life.apply(life.event(Kind::VpnUp, "bob", 20)).await;
        assert_eq!((late.applied, late.refused), (0, 1), "bob had left again by then");
        assert_eq!(life.owner().await.as_deref(), Some("alice"));
    });
}

#[test]
fn what_is_committed_when_the_cache_dies_is_folded_and_told_by_the_next_one() {
    story_on_disk(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        let cookie = life.newest().await;
        life.pass(60);
        let (events, account) =
            (vec![life.event(Kind::VpnUp, "bob", 0)], EventAccount::open("test", 1));
        let apply = life.engine.cache.post(Apply { events, read: None, account }).unwrap();
        let fault = life.engine.cache.post(Fault).unwrap();
        let _ = tokio::join!(apply, fault);
        life.settled(1, 0).await;
        // One more, ordered behind it: by then it is known what became of it.
        life.see(Kind::VpnDown, "bob").await;
        assert_eq!(life.owner().await, None);
        let page = life.read(cookie).await;
        assert!(!page.resync, "the positions go on");
        assert_eq!(page.changes.iter().map(|c| c.effect).collect::<Vec<_>>(), [Effect::Ended]);
    });
}

#[test]
fn a_new_query_actor_tells_who_left_to_a_firewall_that_goes_on() {
    story(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        let cookie = life.newest().await;
        life.see(Kind::VpnDown, "alice").await;
        life.kill_query().await;
        let page = life.read(cookie).await;
        assert!(!page.resync);
        assert_eq!(page.changes.iter().map(|c| c.effect).collect::<Vec<_>>(), [Effect::Ended]);
    });
}

#[test]
fn a_session_that_ran_out_while_the_cache_was_gone_is_ended_by_the_next_one() {
    story(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        let _ = life.engine.cache.send(Fault).await;
        life.pass(10 * 24 * 3600);
        life.settled(1, 0).await;
        for _ in 0..1000 {
            let estate = life.engine.cache.send(ExportTable).await.unwrap();
            if estate.snapshot.sessions.is_empty() {
                assert_eq!(estate.snapshot.ends.len(), 1);
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("its expiry was never proposed");
    });
}

#[test]
fn they_take_over_from_each_other_again_and_again_in_one_epoch() {
    story(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        life.see(Kind::VpnUp, "bob").await;
        let before = life.newest().await;
        life.kill_cache().await;
        life.kill_query().await;
        assert_eq!(life.newest().await, before, "the new cache knew how far the old one was");
        assert_eq!(life.owner().await.as_deref(), Some("bob"));
        let page = life.read(before).await;
        assert!(!page.resync && page.changes.is_empty());
        life.see(Kind::VpnDown, "bob").await;
        assert_eq!(life.read(before).await.changes.len(), 1);
    });
}

#[test]
fn when_both_are_lost_no_firewall_goes_on_as_if_nothing_had_happened() {
    story(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        let cookie = life.newest().await;
        let (cache, query) = (life.engine.cache.post(Fault), life.engine.query.post(Fault));
        assert!(cache.unwrap().await.is_err() && query.unwrap().await.is_err());
        life.settled(1, 1).await;
        assert_eq!(life.owner().await, None);
        let after = life.newest().await;
        assert!(after.epoch > cookie.epoch, "{after} against {cookie}");
        assert!(life.read(cookie).await.resync);
        life.see(Kind::VpnUp, "bob").await;
        assert_eq!(life.owner().await.as_deref(), Some("bob"));
        // And from here on they keep what they know again.
        life.kill_query().await;
        assert_eq!(life.owner().await.as_deref(), Some("bob"));
    });
}

#[test]
fn what_a_cache_says_that_was_replaced_is_not_shown() {
    story(async |life| {
        life.see(Kind::VpnUp, "alice").await;
        life.kill_cache().await;
        let mut table = rollcall_identity::Table::default();
        let (rules, mallory) = (life.engine.rules.load(), life.event(Kind::VpnUp, "mallory", 0));
        let change = table.apply(Revision(50), &mallory, &rules).change;
        assert!(change.is_some());
        let cache = life.engine.cache.send(ExportTable).await.unwrap().generation;
        let mut late = Publication::new(cache - 1, 1);
        late.push(mallory.seen, change.clone());
        let shown = life.engine.query.send(PublishChanges(late)).await;
        assert_eq!(shown, Ok(Visibility::NotVisible));
        assert_eq!(life.owner().await.as_deref(), Some("alice"));
        let mut changed = Publication::new(cache, 1);
        changed.push(mallory.seen, change);
        life.engine.query.send(PublishChanges(changed)).await.unwrap();
        assert_eq!(life.owner().await.as_deref(), Some("mallory"), "its successor is heard");
    });
}

#[test]
fn what_is_folded_before_a_panic_in_the_same_commit_is_shown() {
    story(async |life| {
        let batch = |user| {
            let (receipt, taken) = oneshot::channel::<Result<Receipt, ApplyError>>();
            let events = vec![life.event(Kind::VpnUp, user, 0)];
            let account = EventAccount::open("test", 1);
            let ticket = BatchOwner::Producer(Ticket { account, receipt });
            (Batch { events, read: None, ticket }, taken)
        };
        let ((good, _taken), (bad, lost)) = (batch("alice"), batch("bob"));
        // There is no position after this one: to count on from it panics.
        let bad = JournalEntry { first: Revision(u64::MAX), batch: bad };
        let both = vec![JournalEntry { first: Revision(1), batch: good }, bad];
        drop(life.engine.cache.post(Committed(both, life.engine.rules.load_full())));
        assert!(lost.await.is_err(), "the second one's sender learns that it was not taken");
        life.settled(1, 0).await;
        assert_eq!(life.owner().await.as_deref(), Some("alice"));
        let why = life.engine.cache.send(Explain(address(HOME))).await.unwrap();
        assert!(why.session.is_some(), "the new cache and the query actor agree");
    });
}

#[test]
fn a_batch_without_events_does_not_take_the_place_of_the_next_event() {
    story(async |life| {
        let nothing =
            Apply { events: Vec::new(), read: None, account: EventAccount::open("test", 0) };
        life.engine.cache.send(nothing).await.unwrap().unwrap();
        life.kill_query().await;
        life.see(Kind::VpnUp, "alice").await;
        assert_eq!(life.owner().await.as_deref(), Some("alice"));
    });
}
