//! A producer that reads a log by position: after a crash at any moment, how far it had read and
//! what it had brought agree exactly.

use actix::System;
use rollcall_identity::ReadSource;
use rollcall_identity::{ChangeLogLimits, Producer as ProducerKind};
use rollcall_runtime::clock::Clock;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::{EventSink, InputBatch, Producer as Reads, ProducerActor, ProducerFuture, StopSignal};
use rollcall_engine::Engine;
use rollcall_identity::{Event, Journal, Timestamp};
use rollcall_journal::JournalOptions;
use rollcall_journal::test_support::*;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::Spawn;

/// How many entries the log has.
const ENTRIES: u64 = 400;

/// Reads a log of logins, a few entries at a time, from where it was.
struct Reader;

/// The entry at `place`.
fn entry(place: u64) -> Event {
    let host = u8::try_from(place % 200).unwrap();
    login(&format!("user{place}"), host, i64::try_from(place).unwrap())
}

async fn place(sink: &EventSink) -> u64 {
    let last = sink.last_read(name("Security")).await.unwrap();
    last.map_or(0, |bytes| u64::from_le_bytes(bytes.as_ref().try_into().unwrap()))
}

impl Reads for Reader {
    fn kind(&self) -> ProducerKind {
        ProducerKind::EventLog
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            let mut at = place(&sink).await;
            while at < ENTRIES && !stop.is_requested() {
                let upto = ENTRIES.min(at + 1 + at % 3);
                let events = (at..upto).map(entry).collect();
                let read = Some((name("Security"), Arc::from(upto.to_le_bytes())));
                let mut batch = InputBatch { events, read, ..InputBatch::default() };
                let pending = sink.submit(&mut batch).await.expect("there are events");
                pending.receipt().await.unwrap();
                at = upto;
            }
            stop.requested().await;
            Ok(())
        })
    }
}

/// A engine over the journal of `shelf`, and a mailbox with nobody behind it yet.
async fn engine(shelf: &TestFolder) -> (Engine, Mailbox<ProducerActor>) {
    let time = Arc::clone(&shelf.time);
    let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(SeqCst)));
    let engine =
        Engine::start(shelf.open(), rules(), ChangeLogLimits::default(), &clock).await.unwrap();
    (engine, Mailbox::new("dc1", clock))
}

async fn employ(engine: &Engine, desk: &Mailbox<ProducerActor>) {
    let (own, cache) = (desk.clone(), engine.cache.clone());
    let hired = move || ProducerActor::new(Arc::new(Reader), own.clone(), cache.clone());
    engine.supervisor.send(Spawn::new(desk.clone(), hired)).await.unwrap();
}

#[test]
fn how_far_was_read_is_committed_with_what_it_covers() {
    System::new().block_on(async {
        let shelf = TestFolder::new(JournalOptions::default());
        let (engine, desk) = engine(&shelf).await;
        employ(&engine, &desk).await;
        let (mut newest, mut crashes) = (engine.newest.clone(), 0);
        while newest.borrow_and_update().0 < ENTRIES {
            newest.changed().await.unwrap();
            let copy = shelf.copy();
            let life = copy.start();
            let source = ReadSource { producer: name("dc1"), name: name("Security") };
            let place = life.journal.read_position(&source);
            let place = place.map_or(0, |bytes| u64::from_le_bytes(bytes[..].try_into().unwrap()));
            assert_eq!(place, life.newest.0, "each entry is an event");
            crashes += 1;
        }
        assert!(crashes > 1, "only {crashes}");
        engine.stop().await;
    });
}

#[test]
fn a_producer_goes_on_where_it_was_after_a_restart() {
    System::new().block_on(async {
        let shelf = TestFolder::new(JournalOptions::default());
        let (first, desk) = engine(&shelf).await;
        employ(&first, &desk).await;
        let mut newest = first.newest.clone();
        newest.wait_for(|newest| newest.0 >= 50).await.unwrap();
        first.stop().await;
        let (second, desk) = engine(&shelf).await;
        employ(&second, &desk).await;
        let mut newest = second.newest.clone();
        newest.wait_for(|newest| newest.0 >= ENTRIES).await.unwrap();
        assert_eq!(newest.borrow().0, ENTRIES, "nothing was read twice");
        second.stop().await;
    });
}
