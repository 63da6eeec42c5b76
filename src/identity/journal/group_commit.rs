//! Group commit: a group of batches is appended, committed together, and only then published. Used
//! by the journal thread and by the simulation.

use super::{Journal, JournalError, ReadPosition};
use crate::{Event, Revision};

/// Events that are appended together, with their read position.
pub trait JournalBatch {
    /// The events, in order.
    fn events(&self) -> &[Event];

    /// The producer's read position after these events.
    fn read_position(&self) -> Option<&ReadPosition>;
}

/// A request to the journal.
#[derive(Debug)]
pub enum JournalRequest<B, Q> {
    /// Append this batch.
    Append(B),
    /// A query about the committed state, including all earlier requests.
    Query(Q),
}

/// A batch that is committed. It may be applied.
#[derive(Debug)]
pub struct JournalEntry<B> {
    /// The position of its first event.
    pub first: Revision,
    /// The batch.
    pub batch: B,
}

/// The outcome of a group of requests.
#[derive(Debug)]
pub struct GroupOutcome<B, Q> {
    /// The committed batches in order.
    pub committed: Vec<JournalEntry<B>>,
    /// The batches that failed, each with the error. They are not published, and may or may not be
    /// on disk.
    pub failed: Vec<(B, JournalError)>,
    /// The queries, to be answered now.
    pub queries: Vec<Q>,
}

/// Appends the batches of `orders` and commits them together. No batch and no query is returned
/// before the commit.
pub fn commit_group<B: JournalBatch, Q>(
    journal: &mut (impl Journal + ?Sized),
    orders: impl IntoIterator<Item = JournalRequest<B, Q>>,
) -> GroupOutcome<B, Q> {
    let (mut appended, mut refused, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for order in orders {
        match order {
            JournalRequest::Query(question) => asked.push(question),
            JournalRequest::Append(batch) => {
                match journal.append(batch.events(), batch.read_position()) {
                    Ok(first) => appended.push(JournalEntry { first, batch }),
                    Err(error) => refused.push((batch, error)),
                }
            }
        }
    }
    if !appended.is_empty()
        && let Err(error) = journal.commit()
    {
        let lost = appended.drain(..).map(|entry| (entry.batch, error.clone()));
        refused.extend(lost);
    }
    GroupOutcome { committed: appended, failed: refused, queries: asked }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::test_support::{event_at, rules};
    use crate::{Kind, MemoryJournal, ReadSource, Rules, Table};

    struct Batch(Vec<Event>);

    impl JournalBatch for Batch {
        fn events(&self) -> &[Event] {
            &self.0
        }

        fn read_position(&self) -> Option<&ReadPosition> {
            None
        }
    }

    /// A journal that fails after a number of commits and refuses batches of two events.
    struct Failing {
        journal: MemoryJournal,
        commits: usize,
    }

    impl Journal for Failing {
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
            match events.len() {
                2 => Err(JournalError("it is too long".to_owned())),
                _ => self.journal.append(events, read),
            }
        }

        fn commit(&mut self) -> Result<Revision, JournalError> {
            self.commits =
                self.commits.checked_sub(1).ok_or(JournalError("it is full".to_owned()))?;
            self.journal.commit()
        }

        fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>> {
            self.journal.read_position(source)
        }
    }

    fn write(events: i64) -> JournalRequest<Batch, &'static str> {
        let logins = (0..events).map(|at| event_at(Kind::Login, "alice", at));
        JournalRequest::Append(Batch(logins.collect()))
    }

    #[test]
    fn only_committed_batches_are_published_and_a_group_has_one_commit() {
        let mut journal = Failing { journal: MemoryJournal::new(1), commits: 1 };
        journal.restore(&rules()).unwrap();
        let orders = [write(1), JournalRequest::Query("how far"), write(2), write(3)];
        let GroupOutcome { committed, failed: refused, queries: asked } =
            commit_group(&mut journal, orders);
        let firsts: Vec<u64> = committed.iter().map(|entry| entry.first.0).collect();
        assert_eq!((firsts, asked), (vec![1, 2], vec!["how far"]));
        assert_eq!(refused[0].1.0, "it is too long");
        let nothing = commit_group(&mut journal, [JournalRequest::<Batch, _>::Query("how far")]);
        assert_eq!(nothing.queries, ["how far"], "and nothing is committed for it");
        let GroupOutcome { committed, failed: refused, queries: asked } =
            commit_group(&mut journal, [write(1), JournalRequest::Query("and now"), write(1)]);
        assert!(committed.is_empty(), "the commit failed, so nothing is published");
        assert_eq!((refused.len(), asked), (2, vec!["and now"]));
        assert!(refused.iter().all(|(_, error)| error.0 == "it is full"));
    }
}
