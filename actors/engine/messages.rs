//! The messages between producers, cache, journal and query actor. They have a file of their own, so
//! that none of these has to name another.

use std::sync::Arc;

use actix::prelude::*;
use rollcall_identity::directory::{AffectedAccounts, RemovalPolicy as WhenGone};
use rollcall_identity::{
    Address, Change, CheckpointSink, Cursor, Event, Explanation, Filter, JournalBatch,
    JournalError, Origin, Page, ReadPosition, ReadSource, Receipt, Revision, Rules, SearchPage,
    Session, TableSnapshot, Timestamp,
};
use rollcall_journal::{Entry, NotAccepted, Payload};
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::mailbox::MailboxClosed;
use tokio::sync::oneshot;

/// Events of one producer, in the order in which they came.
#[derive(Debug)]
pub struct Apply {
    /// What the producer saw.
    pub events: Vec<Event>,
    /// How far it has read with them.
    pub read: Option<ReadPosition>,
    /// What accounts for them until they are decided.
    pub account: EventAccount,
}

impl Message for Apply {
    type Result = Result<Receipt, ApplyError>;
}

/// A batch on its way through the journal.
#[derive(Debug)]
pub struct Batch {
    /// What is to be appended.
    pub events: Vec<Event>,
    /// How far its producer has read with it.
    pub read: Option<ReadPosition>,
    /// What accounts for the events until they are decided.
    pub account: EventAccount,
    /// Where the answer goes when the events are visible.
    pub receipt: oneshot::Sender<Result<Receipt, ApplyError>>,
}

impl JournalBatch for Batch {
    fn events(&self) -> &[Event] {
        &self.events
    }

    fn read_position(&self) -> Option<&ReadPosition> {
        self.read.as_ref()
    }
}

impl Payload for Batch {
    fn refuse(self, error: &JournalError) {
        let refused = self.account.lost("journal_ill", ApplyError::Journal(error.0.clone()));
        // A sender that no longer waits does not need the answer.
        let _ = self.receipt.send(Err(refused));
    }
}

/// Why a batch was not taken. Nothing of it is visible; the sender may try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Too much is under way.
    #[error("too many events are under way")]
    Busy,
    /// The journal is ill.
    #[error("the journal cannot take events: {0}")]
    Journal(String),
    /// The cache went away while the batch was under way.
    #[error("the cache is being replaced")]
    Restarting,
}

impl From<MailboxClosed> for ApplyError {
    fn from(_: MailboxClosed) -> Self {
        Self::Restarting
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

/// Asks why an address has the user it has, or none.
#[derive(Debug)]
pub struct Explain(pub Address);

impl Message for Explain {
    type Result = Explanation;
}

/// Asks for all that is known, for a query actor that takes over from it.
#[derive(Debug)]
pub struct ExportTable;

impl Message for ExportTable {
    type Result = StateTransfer;
}

/// Asks how far a source was read, as last committed.
#[derive(Debug)]
pub struct GetReadPosition(pub ReadSource);

impl Message for GetReadPosition {
    type Result = Result<Option<Arc<[u8]>>, ApplyError>;
}

/// Gives the table, as it stands when this is reached, to whoever writes it down.
pub struct TakeCheckpoint(pub CheckpointSink);

impl Message for TakeCheckpoint {
    type Result = ();
}

/// What the journal has committed, in order, and the rules that decide it: those that the journal has
/// noted beside it.
pub struct Committed(pub Vec<Entry<Batch>>, pub Arc<Rules>);

impl Message for Committed {
    type Result = ();
}

/// A directory says otherwise of some accounts. The answer comes when whoever asks sees it.
///
/// It may be told again: what the sessions say already is not proposed twice.
#[derive(Debug, Clone)]
pub struct UpdateMembership {
    /// Of whom.
    pub affected: Arc<AffectedAccounts>,
    /// What becomes of the sessions of those who are gone.
    pub gone: WhenGone,
    /// Who says so.
    pub origin: Arc<Origin>,
}

impl Message for UpdateMembership {
    type Result = Result<(), ApplyError>;
}

/// What became true with one batch of events, in order.
#[derive(Debug)]
pub struct PublishChanges {
    /// The term of the cache that decided so.
    pub(crate) term: u64,
    pub(crate) changes: Vec<Change>,
    /// When its events were received, and how many in a row at the same time: one reading of a socket
    /// gives them all the same.
    pub(crate) seen: Vec<(Timestamp, usize)>,
}

impl Message for PublishChanges {
    type Result = ();
}

impl PublishChanges {
    /// Nothing yet of a batch of `events`, by the cache of this term.
    pub fn by(term: u64, events: usize) -> Self {
        Self { term, changes: Vec::with_capacity(events), seen: Vec::new() }
    }

    /// What became true and was not told, by the cache of this term.
    pub fn missed(term: u64, changes: Vec<Change>) -> Self {
        Self { term, changes, seen: Vec::new() }
    }

    /// Notes what became of an event that was received at `seen`.
    pub fn note(&mut self, seen: Timestamp, change: Option<Change>) {
        match self.seen.last_mut() {
            Some((last, count)) if *last == seen => *count += 1,
            _ => self.seen.push((seen, 1)),
        }
        self.changes.extend(change);
    }
}

/// Asks for the changes after a cursor.
#[derive(Debug, Clone)]
pub struct ReadChanges {
    /// Where the consumer stands; `None` for one that knows nothing.
    pub cursor: Option<Cursor>,
    /// Only what was told at or after this time, for a consumer without a cursor.
    pub since: Option<Timestamp>,
    /// What it wants to hear of.
    pub filter: Arc<Filter>,
    /// How many changes at most.
    pub limit: usize,
}

impl Message for ReadChanges {
    type Result = Page;
}

/// Asks who has an address.
#[derive(Debug, Clone, Copy)]
pub struct LookupAddress(pub Address);

impl Message for LookupAddress {
    type Result = Option<Arc<Session>>;
}

/// Asks for the sessions that are wanted, a bounded number looked at with each asking.
pub struct SearchSessions {
    /// Go on after this position.
    pub after: Revision,
    /// At most so many.
    pub limit: usize,
    /// Which ones.
    pub wanted: Arc<dyn Fn(&Session) -> bool + Send + Sync>,
}

impl Message for SearchSessions {
    type Result = SearchPage;
}

/// Asks for the cursor of a consumer that knows everything.
#[derive(Debug, Clone, Copy)]
pub struct GetNewestCursor;

impl Message for GetNewestCursor {
    type Result = Cursor;
}

/// Asks for the cursor from which everything that is remembered to have ended can still be read.
#[derive(Debug, Clone, Copy)]
pub struct GetOldestCursor;

impl Message for GetOldestCursor {
    type Result = Cursor;
}

/// Asks for all that is known, for the cache of this term, which takes over from it.
#[derive(Debug)]
pub struct ExportLog(pub u64);

impl Message for ExportLog {
    type Result = StateTransfer;
}

/// What the other holds, and in which of its terms it said so.
#[derive(Debug)]
pub struct StateTransfer {
    pub term: u64,
    pub handover: TableSnapshot,
}
