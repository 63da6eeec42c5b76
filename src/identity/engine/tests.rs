//! The rules of order of the cache, one test each.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::directory::{
    Account, AccountKind, AccountState, AffectedAccounts, Directory, DomainNames, Guid, Object,
    RemovalPolicy, UnqualifiedNames, Update,
};
use crate::test_support::{event_at, name, origin, rules, seconds};
use crate::{
    ChangeLogLimits, Event, JournalEntry, JournalError, Kind, Producer, Revision, Table,
    TableSnapshot, Timestamp,
};

type Batch = EventBatch<BatchOwner<&'static str>>;
type Output = CacheOutput<&'static str, &'static str>;

/// The generations of one test, and the ownership of one actor.
#[derive(Clone)]
struct Owner(Rc<RefCell<Generations>>, OwnershipLease);

impl Ownership for Owner {
    fn generation(&self) -> u64 {
        self.1.generation()
    }

    fn epoch(&self) -> u64 {
        self.0.borrow().epoch()
    }

    fn start(&self, now: Timestamp) -> StartMode {
        self.0.borrow_mut().start(self.1, now)
    }

    fn is_current(&self) -> bool {
        self.0.borrow_mut().is_current(self.1)
    }

    fn complete_takeover(&self, from: u64) -> Result<(), StaleTakeover> {
        self.0.borrow_mut().complete_takeover(self.1, from)
    }
}

impl Owner {
    /// The query actor of generation 1, started.
    fn first() -> Self {
        let mut generations = Generations::new(7, RecoveredState::default());
        let lease = generations.acquire(EngineRole::Query, 1);
        generations.start(lease, seconds(0));
        Self(Rc::new(RefCell::new(generations)), lease)
    }

    fn cache(&self, generation: u64) -> Cache {
        let lease = self.0.borrow_mut().acquire(EngineRole::Cache, generation);
        let settings = CacheSettings { origin: origin(Producer::Cache), expiries: 1, slice: 4 };
        let mut cache = CacheState::new(Self(self.0.clone(), lease), settings);
        cache.start(seconds(0));
        cache
    }
}

type Cache = CacheState<&'static str, &'static str, Owner>;

fn outputs(cache: &mut Cache) -> Vec<Output> {
    std::iter::from_fn(|| cache.poll_output()).collect()
}

/// The only output.
fn output(cache: &mut Cache) -> Output {
    let mut all = outputs(cache);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn submit(cache: &mut Cache, ticket: &'static str, events: Vec<Event>) -> Batch {
    let batch = EventBatch { events, read: None, ticket };
    cache.submit(batch, &Directory::default());
    appended(cache)
}

fn appended(cache: &mut Cache) -> Batch {
    match output(cache) {
        CacheOutput::Append(batch) => batch,
        other => panic!("{other:?}"),
    }
}

fn commit(cache: &mut Cache, first: u64, batch: Batch) {
    let entry = JournalEntry { first: Revision(first), batch };
    cache.committed(entry, &rules(), |_, _| {});
}

fn published(cache: &mut Cache) -> DecidedBatch<&'static str> {
    match output(cache) {
        CacheOutput::Publish(decided) => decided,
        other => panic!("{other:?}"),
    }
}

fn login(user: &str, after: i64) -> Event {
    event_at(Kind::VpnUp, user, after)
}

#[test]
fn a_batch_is_published_after_the_commit_and_answered_after_it_is_visible() {
    let mut cache = Owner::first().cache(2);
    let batch = submit(&mut cache, "relay", vec![login("alice@corp", 10)]);
    assert_eq!((cache.table().len(), cache.applied()), (0, Revision(0)), "it is not committed");
    commit(&mut cache, 1, batch);
    let decided = published(&mut cache);
    assert_eq!((cache.table().len(), decided.publication.changes.len()), (1, 1));
    assert_eq!((decided.publication.generation, decided.counts[0].count), (2, 1));
    cache.confirm(decided.pending, Visibility::Visible, seconds(10));
    let CacheOutput::Reply("relay", Ok(receipt)) = output(&mut cache) else { panic!("no receipt") };
    assert_eq!((receipt.revision, receipt.applied), (Revision(1), 1));
}

#[test]
fn a_batch_that_is_not_visible_gets_no_receipt() {
    let mut cache = Owner::first().cache(2);
    let batch = submit(&mut cache, "relay", vec![login("alice@corp", 10)]);
    commit(&mut cache, 1, batch);
    let decided = published(&mut cache);
    cache.confirm(decided.pending, Visibility::NotVisible, seconds(10));
    assert!(matches!(output(&mut cache), CacheOutput::Reply("relay", Err(Rejection::Replaced))));
}

#[test]
fn a_batch_that_the_journal_rejects_is_answered_with_the_reason() {
    let mut cache = Owner::first().cache(2);
    let batch = submit(&mut cache, "relay", vec![login("alice@corp", 10)]);
    cache.rejected(batch, Rejection::Journal(JournalError("it is full".to_owned())));
    let reply = output(&mut cache);
    assert!(matches!(reply, CacheOutput::Reply("relay", Err(Rejection::Journal(_)))), "{reply:?}");
    assert_eq!(cache.table().len(), 0);
}

#[test]
fn a_superseded_generation_applies_nothing() {
    let owner = Owner::first();
    let mut cache = owner.cache(2);
    let batch = submit(&mut cache, "relay", vec![login("alice@corp", 10)]);
    let _successor = owner.cache(3);
    commit(&mut cache, 1, batch);
    assert!(matches!(output(&mut cache), CacheOutput::Reply("relay", Err(Rejection::Replaced))));
    assert_eq!(cache.table().len(), 0);
}

#[test]
fn a_successor_publishes_what_is_missed_and_skips_what_it_reloaded() {
    let owner = Owner::first();
    let mut cache = owner.cache(2);
    let batch = submit(&mut cache, "relay", vec![login("alice@corp", 10)]);
    let (mut next, mut kept) = (owner.cache(3), Decider::default());
    assert!(!next.is_ready());
    assert!(matches!(output(&mut next), CacheOutput::RequestState));
    next.peer_state(StateTransfer { generation: 1, snapshot: TableSnapshot::default() });
    assert!(matches!(output(&mut next), CacheOutput::Reload));
    kept.apply_batch((Revision(1), &batch.events), &rules(), |_, _, _| {});
    next.reloaded(Ok(Some((Table::restore(kept.snapshot()), kept.applied()))));
    let all = outputs(&mut next);
    let [CacheOutput::Recovered(recovery), CacheOutput::PublishMissed(missed)] = &all[..] else {
        panic!("{all:?}")
    };
    assert!(matches!(recovery, Recovery::Resumed { sessions: 1, missed: 1 }), "{recovery:?}");
    let mut model = ReadModel::new(7, ChangeLogLimits::default());
    assert_eq!(model.publish(missed, seconds(10)), Visibility::Visible);
    assert_eq!(model.log().newest(), Revision(1));
    commit(&mut next, 1, batch);
    assert!(matches!(output(&mut next), CacheOutput::Reply("relay", Err(Rejection::Replaced))));
}

#[test]
fn without_a_journal_to_reload_the_state_of_the_query_actor_is_taken_over() {
    let owner = Owner::first();
    drop(owner.cache(2));
    let mut next = owner.cache(3);
    next.peer_state(StateTransfer { generation: 1, snapshot: TableSnapshot::default() });
    outputs(&mut next);
    next.reloaded(Err(JournalError("it is unreadable".to_owned())));
    let all = outputs(&mut next);
    let [CacheOutput::Recovered(recovery), CacheOutput::InvalidateCheckpoint] = &all[..] else {
        panic!("{all:?}")
    };
    assert!(matches!(recovery, Recovery::Restored { sessions: 0, error: Some(_) }));
    assert!(next.is_ready());
}

#[test]
fn a_takeover_from_a_replaced_query_actor_fails() {
    let owner = Owner::first();
    drop(owner.cache(2));
    let mut next = owner.cache(3);
    outputs(&mut next);
    next.peer_state(StateTransfer { generation: 9, snapshot: TableSnapshot::default() });
    outputs(&mut next);
    next.reloaded(Ok(None));
    assert!(matches!(output(&mut next), CacheOutput::Failed(StartFailure::Stale(_))));
    assert!(!next.is_ready());
}

#[test]
fn a_committed_batch_before_the_takeover_ends_the_generation() {
    let owner = Owner::first();
    let mut cache = owner.cache(2);
    let batch = submit(&mut cache, "relay", vec![login("alice@corp", 10)]);
    let mut next = owner.cache(3);
    outputs(&mut next);
    commit(&mut next, 1, batch);
    let all = outputs(&mut next);
    assert!(matches!(all[0], CacheOutput::Failed(StartFailure::NotReady)), "{all:?}");
}

#[test]
fn one_batch_of_expiry_events_is_in_flight() {
    let mut cache = Owner::first().cache(2);
    let mut other = login("bob@corp", 10);
    other.address = "10.0.0.8".parse().unwrap();
    let batch = submit(&mut cache, "relay", vec![login("alice@corp", 10), other]);
    commit(&mut cache, 1, batch);
    drop(published(&mut cache));
    let late = seconds(10 * 24 * 3600);
    cache.tick(late);
    let first = appended(&mut cache);
    assert_eq!(first.events.len(), 1, "one per batch here");
    cache.tick(late);
    assert!(outputs(&mut cache).is_empty(), "one is in flight");
    commit(&mut cache, 3, first);
    let decided = published(&mut cache);
    cache.confirm(decided.pending, Visibility::Visible, late);
    let second = appended(&mut cache);
    assert_eq!((second.events.len(), cache.table().len()), (1, 1));
    cache.rejected(second, Rejection::Busy);
    cache.tick(late + std::time::Duration::from_secs(61));
    assert_eq!(appended(&mut cache).events.len(), 1, "it is proposed again after a minute");
}

/// A directory in which Alice has an account, and the accounts that this affects.
fn directory() -> (Directory, AffectedAccounts) {
    let mut directory = Directory::default();
    let (dns, netbios) = (name("corp.example.com"), name("corp"));
    let sid = "S-1-5-21-1-2-3".parse().unwrap();
    directory.put_domain(DomainNames { dns, netbios, sid }, UnqualifiedNames::ThisDomain);
    let account = Account {
        kind: AccountKind::User,
        name: name("alice"),
        upn: None,
        display: None,
        mail: None,
        host: None,
        system: None,
        state: AccountState::Enabled,
        primary_group: None,
    };
    let (guid, dn) = (Guid([1; 16]), "CN=alice,DC=corp,DC=example,DC=com".into());
    let update = Update::Upsert { guid, dn, sid: None, object: Object::Account(account) };
    let affected = directory.apply(&name("corp.example.com"), vec![update]).unwrap();
    (directory, affected)
}

#[test]
fn a_membership_update_waits_for_earlier_batches_and_retries_a_rejected_slice() {
    let mut cache = Owner::first().cache(2);
    let (directory, affected) = directory();
    let earlier = submit(&mut cache, "relay", vec![login("alice@corp", 10)]);
    let source = (RemovalPolicy::default(), origin(Producer::ActiveDirectory));
    cache.update_membership(affected, source, (&directory, seconds(11)), "update");
    let barrier = appended(&mut cache);
    assert!(barrier.events.is_empty(), "the login is not in the table yet");
    commit(&mut cache, 1, earlier);
    drop(published(&mut cache));
    commit(&mut cache, 2, barrier);
    let slice = next_slice(&mut cache, &directory);
    assert_eq!(slice.events.len(), 1, "{slice:?}");
    cache.rejected(slice, Rejection::Busy);
    assert!(outputs(&mut cache).is_empty(), "it waits for the next tick");
    cache.tick(seconds(12));
    let again = appended(&mut cache);
    assert_eq!(again.events.len(), 1);
    commit(&mut cache, 2, again);
    let all = confirmed(&mut cache);
    assert!(matches!(all[..], [CacheOutput::NextSlice]), "{all:?}");
    cache.next_slice(&directory, seconds(13));
    assert!(matches!(output(&mut cache), CacheOutput::Updated("update")));
    let session = cache.table().sessions().next().unwrap();
    assert_eq!(session.principal.as_ref().unwrap().to_string(), "alice@corp.example.com");
}

/// Confirms the batch that is published, and returns what follows.
fn confirmed(cache: &mut Cache) -> Vec<Output> {
    let mut all = outputs(cache);
    let Some(CacheOutput::Publish(decided)) = all.pop() else { panic!("{all:?}") };
    assert!(matches!(all[..], [CacheOutput::Proposed(..)]), "{all:?}");
    cache.confirm(decided.pending, Visibility::Visible, seconds(12));
    outputs(cache)
}

/// The next slice that has events.
fn next_slice(cache: &mut Cache, directory: &Directory) -> Batch {
    let mut all = confirmed(cache);
    while let Some(CacheOutput::NextSlice | CacheOutput::NextSliceLater) = all.pop() {
        cache.next_slice(directory, seconds(12));
        all = outputs(cache);
        if let [CacheOutput::Append(_)] = all[..] {
            break;
        }
    }
    match all.pop() {
        Some(CacheOutput::Append(batch)) => batch,
        other => panic!("{other:?}"),
    }
}
