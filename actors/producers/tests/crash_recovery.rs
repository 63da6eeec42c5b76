//! A producer that reads a log by position: after a crash at any time, the committed read position
//! and the committed events agree exactly.

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

/// The number of entries in the log.
const ENTRIES: u64 = 400;

/// Reads a log of logins, a few entries at a time, from the committed position.
struct Reader;

/// The entry at `position`.
fn entry(position: u64) -> Event {
    let host = u8::try_from(position % 200).unwrap();
    login(&format!("user{position}"), host, i64::try_from(position).unwrap())
}

async fn committed_position(sink: &EventSink) -> u64 {
    let last = sink.last_read(name("Security")).await.unwrap();
    last.map_or(0, |bytes| u64::from_le_bytes(bytes.as_ref().try_into().unwrap()))
}

impl Reads for Reader {
    fn kind(&self) -> ProducerKind {
        ProducerKind::EventLog
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            let mut position = committed_position(&sink).await;
            while position < ENTRIES && !stop.is_requested() {
                let upto = ENTRIES.min(position + 1 + position % 3);
                let events = (position..upto).map(entry).collect();
                let read = Some((name("Security"), Arc::from(upto.to_le_bytes())));
                let mut batch = InputBatch { events, read, ..InputBatch::default() };
                let pending = sink.submit(&mut batch).await.expect("there are events");
                pending.receipt().await.unwrap();
                position = upto;
            }
            stop.requested().await;
            Ok(())
        })
    }
}

/// An engine over the journal of `folder`, and a mailbox whose actor is not started.
async fn engine(folder: &TestFolder) -> (Engine, Mailbox<ProducerActor>) {
    let time = Arc::clone(&folder.time);
    let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(SeqCst)));
    let engine =
        Engine::start(folder.open(), rules(), ChangeLogLimits::default(), &clock).await.unwrap();
    (engine, Mailbox::new("dc1", clock))
}

async fn spawn_reader(engine: &Engine, mailbox: &Mailbox<ProducerActor>) {
    let (own, cache) = (mailbox.clone(), engine.cache.clone());
    let factory = move || ProducerActor::new(Arc::new(Reader), own.clone(), cache.clone());
    engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await.unwrap();
}

#[test]
fn the_read_position_is_committed_with_the_events_it_covers() {
    System::new().block_on(async {
        let folder = TestFolder::new(JournalOptions::default());
        let (engine, mailbox) = engine(&folder).await;
        spawn_reader(&engine, &mailbox).await;
        let (mut newest, mut crashes) = (engine.newest.clone(), 0);
        while newest.borrow_and_update().0 < ENTRIES {
            newest.changed().await.unwrap();
            let copy = folder.copy();
            let recovered = copy.start();
            let source = ReadSource { producer: name("dc1"), name: name("Security") };
            let position = recovered.journal.read_position(&source);
            let position =
                position.map_or(0, |bytes| u64::from_le_bytes(bytes[..].try_into().unwrap()));
            assert_eq!(position, recovered.newest.0, "each entry is an event");
            crashes += 1;
        }
        assert!(crashes > 1, "only {crashes}");
        engine.stop().await;
    });
}

#[test]
fn a_producer_resumes_at_the_committed_position_after_a_restart() {
    System::new().block_on(async {
        let folder = TestFolder::new(JournalOptions::default());
        let (first, mailbox) = engine(&folder).await;
        spawn_reader(&first, &mailbox).await;
        let mut newest = first.newest.clone();
        newest.wait_for(|newest| newest.0 >= 50).await.unwrap();
        first.stop().await;
        let (second, mailbox) = engine(&folder).await;
        spawn_reader(&second, &mailbox).await;
        let mut newest = second.newest.clone();
        newest.wait_for(|newest| newest.0 >= ENTRIES).await.unwrap();
        assert_eq!(newest.borrow().0, ENTRIES, "nothing was read twice");
        second.stop().await;
    });
}
