//! The outputs of the cache state machine. Outputs are carried out in their order.

use std::sync::Arc;

use super::batch::{BatchOwner, EventBatch, Publication, Rejection};
use super::decider::Receipt;
use super::failover::StaleTakeover;
use crate::{Address, Decision, JournalError, Origin, UngrantedDetails, Verdict};

/// What the cache state machine requires of its environment.
#[derive(Debug)]
pub enum CacheOutput<T, U> {
    /// Request the state of the query actor; the reply goes to `CacheState::peer_state`.
    RequestState,
    /// Request the table from the journal; the reply goes to `CacheState::reloaded`.
    Reload,
    /// Append this batch. It returns to `CacheState::committed` or `CacheState::rejected`.
    Append(EventBatch<BatchOwner<T>>),
    /// Publish a decided batch. The outcome goes to `CacheState::confirm`.
    Publish(DecidedBatch<T>),
    /// Publish the changes that the generation before did not publish. A query actor that does not
    /// receive them takes over from this cache.
    PublishMissed(Publication),
    /// Committed events that were on their way to the generation before are not applied: the
    /// journal must not rely on a checkpoint.
    InvalidateCheckpoint,
    /// Answer a producer.
    Reply(T, Result<Receipt, Rejection>),
    /// A membership update is complete and visible.
    Updated(U),
    /// Call `CacheState::next_slice` now.
    NextSlice,
    /// Call `CacheState::next_slice` after other inputs.
    NextSliceLater,
    /// Count events that the cache itself submitted for this origin.
    Proposed(Arc<Origin>, usize),
    /// Report an address that is treated as shared from now on.
    AddressShared(Arc<Origin>, Address),
    /// Report that the state is complete after a failure.
    Recovered(Recovery),
    /// End this generation; the next one starts again.
    Failed(StartFailure),
}

/// A decided batch.
#[derive(Debug)]
pub struct DecidedBatch<T> {
    /// Its changes.
    pub publication: Publication,
    /// Its events by origin and verdict.
    pub counts: Vec<VerdictCount>,
    /// What is answered when the changes are visible.
    pub pending: PendingReceipt<T>,
}

/// The number of events of one origin with the same verdict and the same details that are not granted.
#[derive(Debug)]
pub struct VerdictCount {
    /// The origin.
    pub origin: Arc<Origin>,
    /// The verdict.
    pub verdict: Verdict,
    /// The details that were ignored because the source is not granted them.
    pub ungranted: UngrantedDetails,
    /// The number of events.
    pub count: u64,
}

impl VerdictCount {
    /// Counts one event in `counts`.
    pub(super) fn add(counts: &mut Vec<Self>, origin: &Arc<Origin>, decision: &Decision) {
        let Decision { verdict, ungranted, .. } = *decision;
        // Nearly always equal to the entry before: a list searched from its end needs no hash.
        let same = |known: &&mut Self| {
            Arc::ptr_eq(&known.origin, origin)
                && (known.verdict, known.ungranted) == (verdict, ungranted)
        };
        match counts.iter_mut().rev().find(same) {
            Some(known) => known.count += 1,
            None => counts.push(Self { origin: Arc::clone(origin), verdict, ungranted, count: 1 }),
        }
    }
}

/// A receipt that is held back until the changes are visible.
#[derive(Debug)]
#[must_use = "the owner of the batch waits for the outcome"]
pub struct PendingReceipt<T> {
    pub(super) owner: BatchOwner<T>,
    pub(super) receipt: Receipt,
}

impl<T> PendingReceipt<T> {
    /// The receipt, which is not sent yet: for counters.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The ticket of the producer; `None` for a batch of the cache itself.
    pub fn ticket_mut(&mut self) -> Option<&mut T> {
        match &mut self.owner {
            BatchOwner::Producer(ticket) => Some(ticket),
            BatchOwner::Expiry | BatchOwner::Membership => None,
        }
    }
}

/// How the state of a new generation was recovered.
#[derive(Debug)]
pub enum Recovery {
    /// From the journal, which includes everything committed.
    Resumed {
        /// The number of sessions.
        sessions: usize,
        /// The number of changes that were not published.
        missed: usize,
    },
    /// From the query actor; competing events are lost.
    Restored {
        /// The number of sessions.
        sessions: usize,
        /// Why the journal could not be read; `None` if it keeps nothing.
        error: Option<JournalError>,
    },
    /// From the journal alone, in a new epoch.
    Reloaded {
        /// The number of sessions.
        sessions: usize,
    },
    /// Not at all: the journal keeps nothing, and sessions are lost.
    Lost,
}

/// Why a generation cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    /// One of the two actors was replaced meanwhile.
    #[error(transparent)]
    Stale(#[from] StaleTakeover),
    /// No other copy of the state exists, and the journal cannot be read.
    #[error(transparent)]
    Journal(JournalError),
    /// A committed batch arrived before the state was complete.
    #[error("a committed batch arrived before the state was complete")]
    NotReady,
}
