//! Two writers share one log, each with a thread of its own: every follower applies the same
//! entries in the same order, and each writer gets the receipts of its own batches only.

use std::sync::Mutex;

use arc_swap::ArcSwap;
use rollcall_identity::{
    CheckpointSink, JournalBatch, JournalEntry, JournalError, MemoryJournal, TableSnapshot,
};

use super::*;
use crate::inspect::export_log;
use crate::log::{Followed, Log, LogEntry, LogReader};
use crate::replay::replay_by;
use crate::test_support::shared_log::SharedLog;
use crate::{CommitSink, Corruption, FollowSink, JournalThread, JournalWriter, export, quarantine};

const EPOCH: u64 = 1_795_300_716_697;

/// A batch of one writer.
struct Batch {
    writer: usize,
    events: Vec<Event>,
}

impl JournalBatch for Batch {
    fn events(&self) -> &[Event] {
        &self.events
    }

    fn read_position(&self) -> Option<&ReadPosition> {
        None
    }
}

/// What a follower has applied: its table, and the entries in the order in which they came.
#[derive(Default)]
struct Applied {
    table: Table,
    entries: Vec<(Revision, Event)>,
    /// The writer and the first position of each batch with a receipt.
    receipts: Vec<(usize, Revision)>,
}

impl Applied {
    fn apply(&mut self, position: Revision, event: &Event, rules: &Rules) {
        self.table.apply(position, event, rules);
        self.entries.push((position, event.clone()));
    }

    fn newest(&self) -> Revision {
        self.entries.last().map_or(Revision(0), |(position, _)| *position)
    }
}

/// The cache of a node, reduced to its table.
#[derive(Clone, Default)]
struct Follower(Arc<Mutex<Applied>>);

impl CommitSink<Batch> for Follower {
    fn committed(&self, entries: Vec<JournalEntry<Batch>>, rules: Arc<Rules>) {
        let mut applied = self.0.lock().unwrap();
        for JournalEntry { first, batch } in entries {
            applied.receipts.push((batch.writer, first));
            for (event, position) in batch.events.iter().zip(first.0..) {
                applied.apply(Revision(position), event, &rules);
            }
        }
    }

    fn rejected(&self, _: Batch, error: JournalError) {
        panic!("{error}");
    }

    fn checkpoint(&self, sink: CheckpointSink) -> bool {
        let applied = self.0.lock().unwrap();
        sink(applied.table.snapshot(applied.newest()));
        true
    }
}

impl FollowSink<Batch> for Follower {
    fn followed(&self, entries: Vec<LogEntry>, rules: Arc<Rules>) {
        let mut applied = self.0.lock().unwrap();
        for LogEntry { epoch, position, event } in entries {
            assert_eq!(epoch, EPOCH, "the epoch of the log");
            applied.apply(position, &event, &rules);
        }
    }
}

/// A node: a thread that appends to the log and follows it, the cache, and the folder in which the
/// node stores the log.
struct Node {
    folder: TestFolder,
    follower: Follower,
    writer: JournalWriter<Batch>,
    thread: JournalThread,
}

impl Node {
    fn start(log: &SharedLog) -> Self {
        let (folder, follower) = (TestFolder::new(JournalOptions::default()), Follower::default());
        let journal = folder.start().journal;
        let (shared, rules) = (log.writer(journal), Arc::new(ArcSwap::from_pointee(rules())));
        let (writer, thread) =
            JournalWriter::follow(shared, follower.clone(), rules, Clock::system()).unwrap();
        Self { folder, follower, writer, thread }
    }

    fn wait_for(&self, entries: usize) {
        until(|| self.follower.0.lock().unwrap().entries.len() >= entries);
    }

    /// Stops the thread and gives the folder, the follower, and the final table.
    fn stop(self) -> (TestFolder, Applied, TableSnapshot) {
        let Self { folder, follower, writer, thread } = self;
        drop(writer);
        let last = || {
            let applied = follower.0.lock().unwrap();
            applied.table.snapshot(applied.newest())
        };
        thread.join(Some(last()));
        let last = last();
        let applied = std::mem::take(&mut *follower.0.lock().unwrap());
        (folder, applied, last)
    }
}

/// Waits at most 20 s.
fn until(mut is_done: impl FnMut() -> bool) {
    let deadline = Clock::instant() + Duration::from_secs(20);
    while !is_done() {
        assert!(Clock::instant() < deadline, "the other threads make no progress");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs two nodes. Each batch belongs to the node of its index modulo 2, and the log orders them by
/// `order`, as far as that has batches left.
fn run(log: &SharedLog, events: &[Event], order: &[usize]) -> [Node; 2] {
    let nodes = [Node::start(log), Node::start(log)];
    let mut left = [0, 0];
    for (index, events) in events.chunks(2).enumerate() {
        let (writer, events) = (index % 2, events.to_vec());
        left[writer] += 1;
        assert!(nodes[writer].writer.submit(Batch { writer, events }).is_ok());
    }
    let mut order = order.iter().copied().chain((0..2).cycle());
    while left != [0, 0] {
        let writer = order.next().unwrap();
        if left[writer] > 0 {
            left[writer] -= 1;
            // The thread of the node may not have appended it yet.
            until(|| log.order_next(writer));
        }
    }
    nodes.iter().for_each(|node| node.wait_for(events.len()));
    nodes
}

fn stored(folder: &TestFolder) -> Vec<(Revision, Event)> {
    let (mut entries, ever) = (Vec::new(), ever());
    export(folder.path(), ever, |entry| {
        entries.push((entry.position, entry.event.clone()));
        Ok::<(), Corruption>(())
    })
    .unwrap();
    entries
}

fn ever() -> (Timestamp, Timestamp) {
    (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX))
}

proptest! {
    // A failure of a thread shows only after the deadline, so little is shrunk.
    #![proptest_config(ProptestConfig { max_shrink_iters: 4, ..ProptestConfig::with_cases(16) })]

    /// In whatever order the log takes the batches of two writers.
    #[test]
    fn two_followers_of_a_shared_log_apply_one_order_and_agree(
        events in arbitrary_events(40),
        order in prop::collection::vec(0..2_usize, 0..20),
    ) {
        let log = SharedLog::new(EPOCH);
        let nodes = run(&log, &events, &order);
        prop_assert_eq!(nodes.each_ref().map(|node| node.writer.epoch()), [EPOCH; 2]);
        let [(folder, one, last), (other_folder, other, other_last)] = nodes.map(Node::stop);
        // The same entries in the same order, without a gap.
        let positions = one.entries.iter().map(|(position, _)| position.0);
        prop_assert!(positions.eq(1..=events.len() as u64));
        prop_assert_eq!(&one.entries, &other.entries);
        prop_assert_eq!(State::of(&one.table, last.newest), State::of(&other.table, last.newest));
        // Receipts only for own batches, each at the position that all followers know.
        for (index, applied) in [&one, &other].into_iter().enumerate() {
            let batches = events.chunks(2).skip(index).step_by(2);
            let receipts = applied.receipts.iter().zip(batches);
            for ((writer, first), batch) in receipts {
                prop_assert_eq!(*writer, index);
                let entries = &one.entries[usize::try_from(first.0).unwrap() - 1..][..batch.len()];
                prop_assert!(entries.iter().map(|(_, event)| event).eq(batch));
            }
        }
        let receipts = one.receipts.len() + other.receipts.len();
        prop_assert_eq!(receipts, events.len().div_ceil(2));
        // Each node has stored the log, and its reader gives it again.
        prop_assert_eq!(&stored(&folder), &one.entries);
        prop_assert_eq!(&stored(&other_folder), &one.entries);
        let mut read = Vec::new();
        export_log(&log, ever(), |entry| {
            assert_eq!(entry.epoch, EPOCH);
            read.push((entry.position, entry.event.clone()));
            Ok::<(), Corruption>(())
        })
        .unwrap();
        prop_assert_eq!(&read, &one.entries);
        // A replay of the log by the same rules gives the table of either node.
        log.store(other_last);
        let reader: &dyn LogReader = &log;
        let hour = Duration::from_secs(3600);
        let replayed = replay_by(quarantine::apply, (reader, &rules()), hour).unwrap();
        prop_assert_eq!((replayed.events, replayed.differing.len()), (events.len() as u64, 0));
    }
}

#[test]
fn a_batch_has_no_position_before_the_log_orders_it() {
    let log = SharedLog::new(EPOCH);
    let [mut one, mut other] = [1, 2].map(|epoch| log.writer(MemoryJournal::new(epoch)));
    let batch = |writer, user| Batch { writer, events: vec![login(user, 1, 0)] };
    let alice = one.commit(&mut std::iter::once(batch(0, "alice")));
    let bob = other.commit(&mut std::iter::once(batch(1, "bob")));
    assert!(alice.followed.is_empty() && bob.followed.is_empty());
    assert!(one.wakeups().unwrap().is_empty());
    assert!(log.order_next(1) && log.order_next(0) && !log.order_next(0));
    assert_eq!(one.wakeups().unwrap().len(), 1);
    let followed = one.commit(&mut std::iter::empty()).followed;
    let [Followed::Foreign(bob), Followed::Own(alice)] = &followed[..] else {
        panic!("{} entries", followed.len());
    };
    assert_eq!((bob[0].position, alice.first), (Revision(1), Revision(2)));
    let followed = other.commit(&mut std::iter::empty()).followed;
    assert!(matches!(&followed[..], [Followed::Own(_), Followed::Foreign(_)]));
    assert_eq!([one.epoch(), other.epoch()], [EPOCH; 2], "the epoch is that of the log");
}
