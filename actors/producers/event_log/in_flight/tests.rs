//! Batches over a journal that takes or refuses each of them when the test says so.

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

/// What becomes of the next batch.
type Verdict = Result<(), JournalError>;

/// Waits for a verdict before it appends anything; when there will be none any more, it takes all.
struct Judged {
    journal: MemoryJournal,
    verdicts: Receiver<Verdict>,
}

impl Journal for Judged {
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

/// A engine over a journal that is told what to do, and the sink of a producer.
struct Life {
    engine: Engine,
    sink: EventSink,
    verdicts: Sender<Verdict>,
}

impl Life {
    async fn begin() -> Self {
        let clock = Clock::from_fn(|| Timestamp::from_millis(1_795_290_600_000));
        let (verdicts, told) = bounded(4);
        let journal = Judged { journal: MemoryJournal::new(7), verdicts: told };
        let mut rules = Rules::default();
        let granted = Authority { kinds: vec![Kind::Login], ..Authority::default() };
        rules.authorities.insert((name("dc1"), name("dc1")), granted);
        let started = Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await;
        let engine = started.unwrap();
        let sink = test_producer::sink(&engine, (ProducerKind::EventLog, "dc1"), clock).await;
        Self { engine, sink, verdicts }
    }

    fn take(&self) {
        self.verdicts.send(Ok(())).unwrap();
    }

    fn refuse(&self) {
        self.verdicts.send(Err(JournalError("the disk is full".to_owned()))).unwrap();
    }

    /// The record behind which is read after a lost connection.
    async fn place(&self) -> Option<u64> {
        let place = self.sink.last_read(log()).await.unwrap()?;
        bookmark(&place).unwrap().record_id(CHANNEL)
    }

    /// How many events are visible.
    fn visible(&self) -> u64 {
        self.engine.newest.borrow().0
    }

    async fn end(self) {
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

/// The records from `first` to `last`, an event each, with the bookmark behind them.
fn batch(first: u64, last: u64) -> (InputBatch, Read) {
    let xml = rollcall_wire::event_log::Bookmark::after(CHANNEL, last).to_xml();
    let events = (first..=last).map(event).collect();
    let read = Some((log(), Arc::from(xml.as_bytes())));
    let input = InputBatch { events, read, ..InputBatch::default() };
    let (gathered, unaudited) = (DecodedBatch::default(), Vec::new());
    (input, Read { gathered, unaudited, place: Some(last), is_full: false })
}

fn place(read: Option<Read>) -> Option<u64> {
    read.and_then(|read| read.place)
}

fn story(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the story ends");
    });
}

#[test]
fn a_batch_waits_until_the_one_before_is_visible() {
    story(async {
        let life = Life::begin().await;
        let mut under_way = InFlight::new(&life.sink);
        let (input, read) = batch(1, 3);
        assert_eq!(place(under_way.submit(input, read).await.unwrap()), None);
        let (input, read) = batch(4, 6);
        let mut second = Box::pin(under_way.submit(input, read));
        assert!(poll!(second.as_mut()).is_pending());
        life.take();
        assert_eq!(place(second.await.unwrap()), Some(3));
        assert_eq!(life.visible(), 3, "the second is not taken yet");
        life.take();
        assert_eq!(place(under_way.settled().await.unwrap()), Some(6));
        assert_eq!((life.visible(), life.place().await), (6, Some(6)));
        assert!(under_way.settled().await.unwrap().is_none(), "nothing is under way");
        life.end().await;
    });
}

#[test]
fn what_follows_a_refused_batch_is_not_handed_over() {
    story(async {
        let life = Life::begin().await;
        let mut under_way = InFlight::new(&life.sink);
        let (input, read) = batch(1, 3);
        under_way.submit(input, read).await.unwrap();
        let (input, read) = batch(4, 6);
        let mut second = Box::pin(under_way.submit(input, read));
        assert!(poll!(second.as_mut()).is_pending());
        life.refuse();
        // For the second, had it been handed over: its bookmark would be there.
        life.take();
        assert!(matches!(second.await, Err(ApplyError::Journal(_))));
        assert_eq!((life.visible(), life.place().await), (0, None));
        assert!(under_way.settled().await.unwrap().is_none(), "nothing is under way");
        // Both are read again, in one answer or in two.
        let (input, read) = batch(1, 6);
        assert_eq!(place(under_way.submit(input, read).await.unwrap()), None);
        assert_eq!(place(under_way.settled().await.unwrap()), Some(6));
        assert_eq!((life.visible(), life.place().await), (6, Some(6)));
        life.end().await;
    });
}

#[test]
fn what_is_under_way_when_the_connection_is_lost_is_told_before_it_is_read_on() {
    story(async {
        let life = Life::begin().await;
        let mut under_way = InFlight::new(&life.sink);
        let (input, read) = batch(1, 3);
        under_way.submit(input, read).await.unwrap();
        // The next answer is waited for, and does not come: the connection is lost.
        let lost = std::future::ready("lost");
        match select(lost, pin!(under_way.settled())).await {
            Either::Left(("lost", _)) => {}
            _ => panic!("the journal has not said anything yet"),
        }
        life.take();
        assert_eq!(place(under_way.settled().await.unwrap()), Some(3), "it is under way as before");
        assert_eq!((life.visible(), life.place().await), (3, Some(3)));
        // The same, and it is refused: nobody goes on behind it.
        let (input, read) = batch(4, 6);
        under_way.submit(input, read).await.unwrap();
        assert!(poll!(pin!(under_way.settled())).is_pending());
        life.refuse();
        assert!(matches!(under_way.settled().await, Err(ApplyError::Journal(_))));
        assert_eq!((life.visible(), life.place().await), (3, Some(3)));
        life.end().await;
    });
}

#[test]
fn a_batch_without_anything_to_keep_is_visible_at_once() {
    story(async {
        let life = Life::begin().await;
        let mut under_way = InFlight::new(&life.sink);
        let (_, read) = batch(1, 3);
        under_way.submit(InputBatch::default(), read).await.unwrap();
        assert_eq!(place(under_way.settled().await.unwrap()), Some(3));
        assert_eq!((life.visible(), life.place().await), (0, None));
        life.end().await;
    });
}
