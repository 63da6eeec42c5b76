//! Batches over a journal that accepts or rejects each batch on command of the test.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix::System;
use crossbeam_channel::{Receiver, Sender, bounded};
use futures_util::future::{Either, select};
use futures_util::poll;
use rollcall_identity::{
    Authority, ChangeLogLimits, Event, Journal, JournalError, Kind, MemoryJournal, Name, Origin,
    Principal, Producer as ProducerKind, ReadPosition, ReadSource, Revision, Rules, Table,
    Timestamp,
};

use super::super::decoder::{bookmark, log};
use super::*;
use crate::event_log::CHANNEL;
use crate::test_producer;
use rollcall_engine::Engine;
use rollcall_runtime::clock::Clock;

/// The result of the next append.
type Verdict = Result<(), JournalError>;

/// Waits for a verdict before each append. When the sender of verdicts is dropped, it accepts all
/// batches.
struct GatedJournal {
    journal: MemoryJournal,
    verdicts: Receiver<Verdict>,
}

impl Journal for GatedJournal {
    fn epoch(&self) -> u64 {
        self.journal.epoch()
    }

    fn restore(&mut self, rules: &Rules) -> Result<(Table, Revision), JournalError> {
        self.journal.restore(rules)
    }

    fn append(
        &mut self,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<Revision, JournalError> {
        self.verdicts.recv().unwrap_or(Ok(()))?;
        self.journal.append(events, read)
    }

    fn commit(&mut self) -> Result<Revision, JournalError> {
        self.journal.commit()
    }

    fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>> {
        self.journal.read_position(source)
    }
}

/// An engine over a gated journal, and the sink of a producer.
struct Fixture {
    engine: Engine,
    sink: EventSink,
    verdicts: Sender<Verdict>,
}

impl Fixture {
    async fn start() -> Self {
        let clock = Clock::from_fn(|| Timestamp::from_millis(1_795_290_600_000));
        let (verdicts, receiver) = bounded(4);
        let journal = GatedJournal { journal: MemoryJournal::new(7), verdicts: receiver };
        let mut rules = Rules::default();
        let authority = Authority::unrestricted([Kind::Login]);
        rules.authorities.insert((name("dc1"), name("dc1")), authority);
        let started = Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await;
        let engine = started.unwrap();
        let sink = test_producer::sink(&engine, (ProducerKind::EventLog, "dc1"), clock).await;
        Self { engine, sink, verdicts }
    }

    fn accept(&self) {
        self.verdicts.send(Ok(())).unwrap();
    }

    fn reject(&self) {
        self.verdicts.send(Err(JournalError("the disk is full".to_owned()))).unwrap();
    }

    /// The record after which reading resumes.
    async fn committed(&self) -> Option<u64> {
        let position = self.sink.last_read(log()).await.unwrap()?;
        bookmark(&position).unwrap().record_id(CHANNEL)
    }

    /// The number of visible events.
    fn visible(&self) -> u64 {
        self.engine.newest.borrow().0
    }

    async fn stop(self) {
        drop(self.verdicts);
        self.engine.stop().await;
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn event(record: u64) -> Event {
    let at = Timestamp::from_millis(1_795_290_600_000);
    let [producer, client, form] = ["dc1", "dc1", "4768"].map(name);
    Event {
        principal: Some(Principal::parse("alice@corp", None).unwrap()),
        ..Event::bare(
            Kind::Login,
            format!("10.0.0.{record}").parse().unwrap(),
            at,
            Arc::new(Origin { kind: ProducerKind::EventLog, producer, client, form }),
        )
    }
}

/// The records from `first` to `last`, one event each, with the bookmark after them.
fn batch(first: u64, last: u64) -> (InputBatch, Read) {
    let xml = rollcall_wire::event_log::Bookmark::after(CHANNEL, last).to_xml();
    let events = (first..=last).map(event).collect();
    let read = Some((log(), Arc::from(xml.as_bytes())));
    let input = InputBatch { events, read, ..InputBatch::default() };
    let (batch, unaudited) = (DecodedBatch::default(), Vec::new());
    (input, Read { batch, unaudited, last_record: Some(last), is_full: false })
}

fn last_record(read: Option<Read>) -> Option<u64> {
    read.and_then(|read| read.last_record)
}

fn run_test(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test ends in time");
    });
}

#[test]
fn a_batch_waits_until_the_one_before_is_visible() {
    run_test(async {
        let fixture = Fixture::start().await;
        let mut in_flight = InFlight::new(&fixture.sink);
        let (input, read) = batch(1, 3);
        assert_eq!(last_record(in_flight.submit(input, read).await.unwrap()), None);
        let (input, read) = batch(4, 6);
        let mut second = Box::pin(in_flight.submit(input, read));
        assert!(poll!(second.as_mut()).is_pending());
        fixture.accept();
        assert_eq!(last_record(second.await.unwrap()), Some(3));
        assert_eq!(fixture.visible(), 3, "the second is not accepted yet");
        fixture.accept();
        assert_eq!(last_record(in_flight.settled().await.unwrap()), Some(6));
        assert_eq!((fixture.visible(), fixture.committed().await), (6, Some(6)));
        assert!(in_flight.settled().await.unwrap().is_none(), "nothing is under way");
        fixture.stop().await;
    });
}

#[test]
fn the_batch_after_a_rejected_batch_is_not_submitted() {
    run_test(async {
        let fixture = Fixture::start().await;
        let mut in_flight = InFlight::new(&fixture.sink);
        let (input, read) = batch(1, 3);
        in_flight.submit(input, read).await.unwrap();
        let (input, read) = batch(4, 6);
        let mut second = Box::pin(in_flight.submit(input, read));
        assert!(poll!(second.as_mut()).is_pending());
        fixture.reject();
        // This verdict would accept the second batch, and its bookmark would be committed.
        fixture.accept();
        assert!(matches!(second.await, Err(ApplyError::Journal(_))));
        assert_eq!((fixture.visible(), fixture.committed().await), (0, None));
        assert!(in_flight.settled().await.unwrap().is_none(), "nothing is under way");
        // Both are read again, in one response or in two.
        let (input, read) = batch(1, 6);
        assert_eq!(last_record(in_flight.submit(input, read).await.unwrap()), None);
        assert_eq!(last_record(in_flight.settled().await.unwrap()), Some(6));
        assert_eq!((fixture.visible(), fixture.committed().await), (6, Some(6)));
        fixture.stop().await;
    });
}

#[test]
fn a_batch_in_flight_when_the_connection_is_lost_settles_before_reading_resumes() {
    run_test(async {
        let fixture = Fixture::start().await;
        let mut in_flight = InFlight::new(&fixture.sink);
        let (input, read) = batch(1, 3);
        in_flight.submit(input, read).await.unwrap();
        // The connection is lost before the next response.
        let lost = std::future::ready("lost");
        match select(lost, pin!(in_flight.settled())).await {
            Either::Left(("lost", _)) => {}
            _ => panic!("the journal has not decided yet"),
        }
        fixture.accept();
        assert_eq!(
            last_record(in_flight.settled().await.unwrap()),
            Some(3),
            "it is still in flight"
        );
        assert_eq!((fixture.visible(), fixture.committed().await), (3, Some(3)));
        // The same with a rejected batch: its bookmark is not committed.
        let (input, read) = batch(4, 6);
        in_flight.submit(input, read).await.unwrap();
        assert!(poll!(pin!(in_flight.settled())).is_pending());
        fixture.reject();
        assert!(matches!(in_flight.settled().await, Err(ApplyError::Journal(_))));
        assert_eq!((fixture.visible(), fixture.committed().await), (3, Some(3)));
        fixture.stop().await;
    });
}

#[test]
fn a_batch_without_events_and_bookmark_is_visible_at_once() {
    run_test(async {
        let fixture = Fixture::start().await;
        let mut in_flight = InFlight::new(&fixture.sink);
        let (_, read) = batch(1, 3);
        in_flight.submit(InputBatch::default(), read).await.unwrap();
        assert_eq!(last_record(in_flight.settled().await.unwrap()), Some(3));
        assert_eq!((fixture.visible(), fixture.committed().await), (0, None));
        fixture.stop().await;
    });
}
