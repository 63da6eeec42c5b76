//! A log in memory that several writers share: it orders their batches, and every writer follows
//! all entries. Each writer stores the log in a journal of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_channel::{Receiver, Sender, bounded};
use rollcall_identity::{
    Event, Journal, JournalBatch, JournalEntry, ReadPosition, Revision, RevisionRange,
    TableSnapshot, Timestamp,
};

use super::START;
use crate::log::{
    CommitOutcome, EachEntry, Followed, ListedSegment, Log, LogEntry, LogReader, LogSegment,
    Position,
};
use crate::{Corruption, Payload, ReadSummary};

/// The log.
#[derive(Clone)]
pub struct SharedLog(Arc<Mutex<State>>);

struct State {
    epoch: u64,
    next: Position,
    /// The batches in the order of the log.
    ordered: Vec<Stored>,
    writers: Vec<Inbox>,
    table: Option<TableSnapshot>,
}

/// A batch of a writer.
#[derive(Clone)]
struct Stored {
    writer: usize,
    /// Its first position; assigned when the log orders it.
    first: Position,
    events: Vec<Event>,
    read: Option<ReadPosition>,
}

/// The batches that a writer has appended and the log has not ordered yet.
struct Inbox {
    appended: VecDeque<Stored>,
    wakeups: Sender<()>,
}

impl SharedLog {
    /// An empty log.
    pub fn new(epoch: u64) -> Self {
        let (ordered, writers) = (Vec::new(), Vec::new());
        let state = State { epoch, next: Revision(1), ordered, writers, table: None };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A further writer, which stores the log in `journal`.
    pub fn writer<B, J: Journal>(&self, journal: J) -> SharedLogWriter<B, J> {
        let (wakeups, woken) = bounded(1);
        let mut state = self.lock();
        let writer = state.writers.len();
        state.writers.push(Inbox { appended: VecDeque::new(), wakeups });
        let (log, in_flight) = (self.clone(), VecDeque::new());
        SharedLogWriter { log, writer, in_flight, followed: 0, journal, woken }
    }

    /// Orders the oldest batch that `writer` appended. Returns whether there was one.
    pub fn order_next(&self, writer: usize) -> bool {
        let mut state = self.lock();
        let Some(mut batch) = state.writers[writer].appended.pop_front() else { return false };
        batch.first = state.next;
        state.next.0 += batch.events.len() as u64;
        state.ordered.push(batch);
        for inbox in &state.writers {
            // A wakeup that is not received yet serves for this batch, too.
            let _ = inbox.wakeups.try_send(());
        }
        true
    }

    /// Stores the table at a position of the log.
    pub fn store(&self, table: TableSnapshot) {
        self.lock().table = Some(table);
    }

    /// All entries in order.
    pub fn entries(&self) -> Vec<LogEntry> {
        let state = self.lock();
        state.ordered.iter().flat_map(|batch| batch.entries(state.epoch)).collect()
    }
}

impl Stored {
    fn entries(&self, epoch: u64) -> Vec<LogEntry> {
        let positions = (self.first.0..).map(Revision);
        let entry = |(position, event): (Position, &Event)| {
            let event = event.clone();
            LogEntry { epoch, position, event }
        };
        positions.zip(&self.events).map(entry).collect()
    }
}

/// One writer of a shared log.
pub struct SharedLogWriter<B, J> {
    log: SharedLog,
    writer: usize,
    /// Appended batches that have not come back.
    in_flight: VecDeque<B>,
    /// How many batches of the log this writer has followed.
    followed: usize,
    journal: J,
    woken: Receiver<()>,
}

impl<B: Payload, J: Journal> Log<B> for SharedLogWriter<B, J> {
    fn epoch(&self) -> u64 {
        self.log.lock().epoch
    }

    fn commit(&mut self, batches: &mut dyn Iterator<Item = B>) -> CommitOutcome<B> {
        let shared = self.log.clone();
        let mut state = shared.lock();
        for batch in batches {
            let (events, read) = (batch.events().to_vec(), batch.read_position().cloned());
            let stored = Stored { writer: self.writer, first: Revision(0), events, read };
            state.writers[self.writer].appended.push_back(stored);
            self.in_flight.push_back(batch);
        }
        let (epoch, news) = (state.epoch, state.ordered[self.followed..].to_vec());
        drop(state);
        self.followed += news.len();
        let followed = news.iter().map(|batch| self.follow(batch, epoch)).collect();
        CommitOutcome { followed, failed: Vec::new() }
    }

    fn wakeups(&self) -> Option<Receiver<()>> {
        Some(self.woken.clone())
    }

    fn storage(&mut self) -> &mut dyn Journal {
        &mut self.journal
    }
}

impl<B: JournalBatch, J: Journal> SharedLogWriter<B, J> {
    /// Stores a batch of the log at its position. The read positions of other writers are not those
    /// of the producers here.
    fn follow(&mut self, batch: &Stored, epoch: u64) -> Followed<B> {
        let is_own = batch.writer == self.writer;
        let read = batch.read.as_ref().filter(|_| is_own);
        let stored = self.journal.append(&batch.events, read).unwrap();
        assert_eq!(stored, batch.first, "the journal has the positions of the log");
        self.journal.commit().unwrap();
        if is_own {
            let own = self.in_flight.pop_front().expect("a batch that this writer appended");
            return Followed::Own(JournalEntry { first: batch.first, batch: own });
        }
        Followed::Foreign(batch.entries(epoch))
    }
}

impl LogReader for SharedLog {
    fn segments(&self) -> Result<Vec<ListedSegment>, Corruption> {
        let (first, file) = (Revision(1), "shared".to_owned());
        let segment = LogSegment {
            file: file.clone(),
            after: Revision(0),
            first,
            end: None,
            epoch: self.lock().epoch,
            begun: Timestamp::from_millis(START),
            is_sealed: false,
            is_nameless: false,
            rules: 0,
            rule_versions: Some(Vec::new()),
        };
        Ok(vec![ListedSegment { first, file, segment: Ok(segment) }])
    }

    fn read(
        &self,
        segment: &LogSegment,
        span: RevisionRange,
        each: EachEntry<'_>,
    ) -> Result<ReadSummary, Corruption> {
        let before = Revision(segment.first.0 - 1).max(span.after);
        let mut read = ReadSummary { last: before, ..ReadSummary::default() };
        let within = |entry: &LogEntry| entry.position > before && entry.position <= span.upto;
        for entry in self.entries().into_iter().filter(within) {
            (read.last, read.events) = (entry.position, read.events + 1);
            each(entry)?;
        }
        Ok(read)
    }

    fn beginning(&self, _: &LogSegment) -> Result<Option<TableSnapshot>, Corruption> {
        Ok(Some(TableSnapshot::default()))
    }

    fn newest_state(&self) -> Result<Option<TableSnapshot>, Corruption> {
        Ok(self.lock().table.clone())
    }
}
