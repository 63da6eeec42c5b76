//! The messages between producers, cache, journal and query actor. They are in a module of their own,
//! so that these do not import each other.

use std::sync::Arc;

use actix::prelude::*;
use rollcall_identity::directory::{AffectedAccounts, RemovalPolicy};
use rollcall_identity::engine::{
    BatchOwner, EventBatch, Publication, Rejection, StateTransfer, Visibility,
};
use rollcall_identity::{
    Address, CheckpointSink, Cursor, Event, Explanation, Filter, JournalEntry, JournalError,
    Origin, Page, ReadPosition, ReadSource, Receipt, Revision, Rules, SearchPage, Session,
    Timestamp,
};
use rollcall_journal::NotAccepted;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::mailbox::MailboxClosed;
use tokio::sync::oneshot;

/// Applies events of one producer, in the order in which it received them.
#[derive(Debug)]
pub struct Apply {
    /// The events.
    pub events: Vec<Event>,
    /// The read position of the producer after them.
    pub read: Option<ReadPosition>,
    /// Accounts for the events until they are decided.
    pub account: EventAccount,
}

impl Message for Apply {
    type Result = Result<Receipt, ApplyError>;
}

/// What is answered when a batch is decided or rejected.
#[derive(Debug)]
pub struct Ticket {
    /// Accounts for the events until they are decided.
    pub account: EventAccount,
    /// Receives the result when the events are visible to consumers.
    pub receipt: oneshot::Sender<Result<Receipt, ApplyError>>,
}

impl Ticket {
    /// Answers with the result. A batch that was rejected before the decision is lost for this
    /// reason; a decided batch is settled already.
    pub(crate) fn reply(self, result: Result<Receipt, Rejection>) {
        let Self { account, receipt } = self;
        let result = result.map_err(|rejection| match rejection {
            Rejection::Busy => account.lost("cache_busy", ApplyError::Busy),
            Rejection::Journal(error) => {
                account.lost("journal_unavailable", ApplyError::Journal(error.0))
            }
            Rejection::Replaced => ApplyError::Restarting,
        });
        // A sender that no longer waits does not need the answer.
        let _ = receipt.send(result);
    }
}

/// A batch on its way through the journal.
pub type Batch = EventBatch<BatchOwner<Ticket>>;

/// Why a batch was not applied. None of its events is visible, and the sender may retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The queue of the journal is full.
    #[error("too many events are under way")]
    Busy,
    /// The journal is not writable.
    #[error("the journal is not writable: {0}")]
    Journal(String),
    /// The cache ended before the batch was applied.
    #[error("the cache is being replaced")]
    Restarting,
}

impl From<MailboxClosed> for ApplyError {
    fn from(_: MailboxClosed) -> Self {
        Self::Restarting
    }
}

/// The reason for which the journal did not accept a batch.
pub(crate) fn rejection(reason: NotAccepted) -> Rejection {
    match reason {
        NotAccepted::Full => Rejection::Busy,
        NotAccepted::Ended => Rejection::Journal(JournalError(reason.to_string())),
    }
}

impl From<NotAccepted> for ApplyError {
    fn from(reason: NotAccepted) -> Self {
        match reason {
            NotAccepted::Full => Self::Busy,
            NotAccepted::Ended => Self::Journal(reason.to_string()),
        }
    }
}

/// Explains why an address has its user, or has none.
#[derive(Debug)]
pub struct Explain(pub Address);

impl Message for Explain {
    type Result = Explanation;
}

/// Exports the table of the cache, for a query actor that takes over.
#[derive(Debug)]
pub struct ExportTable;

impl Message for ExportTable {
    type Result = StateTransfer;
}

/// Returns the last committed read position of a source.
#[derive(Debug)]
pub struct GetReadPosition(pub ReadSource);

impl Message for GetReadPosition {
    type Result = Result<Option<Arc<[u8]>>, ApplyError>;
}

/// Gives the table, as it is when this message is handled, to the journal for a checkpoint.
pub struct TakeCheckpoint(pub CheckpointSink);

impl Message for TakeCheckpoint {
    type Result = ();
}

/// Batches that the journal has committed, in order, and the rules that decide them. The journal has
/// stored these rules with the batches.
pub struct Committed(pub Vec<JournalEntry<Batch>>, pub Arc<Rules>);

impl Message for Committed {
    type Result = ();
}

/// A batch that the journal did not commit, and the reason.
pub struct Rejected(pub Batch, pub JournalError);

impl Message for Rejected {
    type Result = ();
}

/// Applies a directory change to the sessions of the accounts that it affects. The reply follows when
/// the result is visible to consumers.
///
/// It is idempotent: a session that has the new state already gets no event.
#[derive(Debug, Clone)]
pub struct UpdateMembership {
    /// The accounts.
    pub affected: Arc<AffectedAccounts>,
    /// What happens to the sessions of removed accounts.
    pub gone: RemovalPolicy,
    /// The directory, as the origin of the events.
    pub origin: Arc<Origin>,
}

impl Message for UpdateMembership {
    type Result = Result<(), ApplyError>;
}

/// Publishes the changes of one batch of events. The reply says whether they are visible.
#[derive(Debug)]
pub struct PublishChanges(pub Publication);

impl Message for PublishChanges {
    type Result = Visibility;
}

/// Reads the changes after a cursor.
#[derive(Debug, Clone)]
pub struct ReadChanges {
    /// The position of the consumer; `None` for one that has received nothing.
    pub cursor: Option<Cursor>,
    /// For a consumer without a cursor: only changes published at or after this time.
    pub since: Option<Timestamp>,
    /// The changes that it receives.
    pub filter: Arc<Filter>,
    /// The maximum number of changes.
    pub limit: usize,
}

impl Message for ReadChanges {
    type Result = Page;
}

/// Returns the session of an address.
#[derive(Debug, Clone, Copy)]
pub struct LookupAddress(pub Address);

impl Message for LookupAddress {
    type Result = Option<Arc<Session>>;
}

/// Returns the sessions that match, examining a bounded number per request.
pub struct SearchSessions {
    /// Start after this revision.
    pub after: Revision,
    /// The maximum number of sessions to examine.
    pub limit: usize,
    /// The predicate.
    pub wanted: Arc<dyn Fn(&Session) -> bool + Send + Sync>,
}

impl Message for SearchSessions {
    type Result = SearchPage;
}

/// Returns the cursor after the newest change.
#[derive(Debug, Clone, Copy)]
pub struct GetNewestCursor;

impl Message for GetNewestCursor {
    type Result = Cursor;
}

/// Returns the cursor from which every tombstone can still be read.
#[derive(Debug, Clone, Copy)]
pub struct GetOldestCursor;

impl Message for GetOldestCursor {
    type Result = Cursor;
}

/// Exports the log of the query actor, for the cache of this generation, which takes over.
#[derive(Debug)]
pub struct ExportLog(pub u64);

impl Message for ExportLog {
    type Result = StateTransfer;
}
