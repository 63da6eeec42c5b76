//! The interface of push dialects.
//!
//! ```text
//! PushTarget ─► Registration ─► DialectFactory   capabilities, files, settings that affect the content
//!                                    │ create, once per worker
//!                                    ▼
//! delivery loop ─ PushBatch ─►  Dialect::send     ─► Acknowledgement, or PushError
//!                               Dialect::position ─► ReadPosition      if the target reports it
//!                               Dialect::resync   ─► ReplaceContent    if a full resync replaces content
//!                               Dialect::content  ─► ReadContent       if the content can be compared
//! ```
//!
//! A dialect implements only the operations that its protocol has. The delivery loop decides with
//! [`Capabilities`] and with the operations that exist.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rollcall_config::PushTarget;
use rollcall_identity::delivery::TargetPosition;
use rollcall_identity::{Address, Change, Cursor, Session};
use rollcall_runtime::clock::Clock;

use crate::capabilities::Capabilities;
use crate::error::PushError;

/// One dialect.
pub(crate) struct Registration {
    /// The name of its section in the configuration, below `push`.
    pub(crate) section: &'static str,
    /// The factory for a target; `None` if the target has the settings of another dialect.
    pub(crate) factory: fn(&PushTarget) -> Option<Arc<dyn DialectFactory>>,
}

/// Creates the dialect of one target.
pub(crate) trait DialectFactory: Send + Sync {
    /// The capabilities of the target.
    fn capabilities(&self) -> Capabilities;

    /// The files of the dialect whose replacement restarts the target at a reload.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The settings that determine the content of the target, as one text. If they change, the target
    /// receives everything again.
    fn content_settings(&self) -> Option<String> {
        None
    }

    /// Creates the dialect for one worker. It reads no file and opens no connection.
    fn create(&self, clock: &Clock) -> Box<dyn Dialect>;
}

/// The connection of one worker to a target. Every request is idempotent and may be sent twice.
pub(crate) trait Dialect: Send {
    /// Sends a batch. Returns `Ok` only when the target has acknowledged all of it. The end of a session
    /// that the target does not hold is a duplicate.
    fn send(&mut self, batch: &PushBatch) -> Result<Acknowledgement, PushError>;

    /// The number of bytes of batches sent since the last call.
    fn take_bytes_sent(&mut self) -> u64;

    /// The position, if the target reports it.
    fn position(&mut self) -> Option<&mut dyn ReadPosition> {
        None
    }

    /// Full resyncs, if they replace the content of the target.
    fn resync(&mut self) -> Option<&mut dyn ReplaceContent> {
        None
    }

    /// The content, if the target reports it.
    fn content(&mut self) -> Option<&mut dyn ReadContent> {
        None
    }
}

/// A target that reports its position.
pub(crate) trait ReadPosition {
    /// Reads the position.
    fn read_position(&mut self) -> Result<ReportedPosition, PushError>;
}

/// A target whose content a full resync replaces. It also reports its position, which shows whether a
/// resync ended whose last response was lost.
pub(crate) trait ReplaceContent: ReadPosition {
    /// Starts a full resync with this ID. Returns the number of batches that the target accepts in
    /// parallel.
    fn start_resync(&mut self, id: &str) -> Result<usize, PushError>;

    /// Finishes a full resync at this position: entries that were not sent are deleted.
    fn finish_resync(&mut self, id: &str, at: &Cursor) -> Result<(), PushError>;
}

/// A target that reports its content.
pub(crate) trait ReadContent {
    /// Reads the content; `None` if this target does not support it, although its protocol does.
    fn read_content(&mut self) -> Result<Option<TargetContent>, PushError>;
}

/// The position that a target reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportedPosition {
    pub(crate) position: TargetPosition,
    /// The number of batches that the target accepts in parallel.
    pub(crate) window: usize,
}

/// The content of a target, read at one position.
pub(crate) struct TargetContent {
    /// The position; [`TargetPosition::Unsupported`] if the content was read without one.
    pub(crate) position: TargetPosition,
    /// Compares the content with the expected sessions.
    pub(crate) comparison: Box<dyn ContentComparison>,
}

/// Compares the content of a target with the sessions that it should hold, page by page. Addresses
/// are distributed over pages, so that a change during the comparison affects one page only.
pub(crate) trait ContentComparison: Send {
    /// Adds an expected session. Each address is added once.
    fn add(&mut self, session: &Session);

    /// The page of an address.
    fn page(&self, address: Address) -> usize;

    /// The pages on which the content differs from the added sessions.
    fn differing(&self) -> BTreeSet<usize>;
}

/// A batch of changes.
#[derive(Debug, Clone)]
pub(crate) struct PushBatch {
    /// The changes, at most one per address; empty for a batch that only advances the position.
    pub(crate) changes: Arc<[Change]>,
    /// The position of the target before this batch; `None` at the start of a full resync.
    pub(crate) after: Option<Cursor>,
    /// The position after it.
    pub(crate) next: Cursor,
    /// The session it belongs to.
    pub(crate) session: PushSession,
}

/// Batches that follow each other without a position query between them, with an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PushSession {
    /// Changes as they occur.
    Incremental(Arc<str>),
    /// A full resync that replaces the content.
    FullResync(Arc<str>),
}

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Acknowledgement {
    /// Reports that the target applied.
    pub(crate) accepted: u64,
    /// Reports that the target had already, and ends of sessions that it did not hold.
    pub(crate) duplicates: u64,
    /// Reports that the target will never accept: the address and the reason.
    pub(crate) refused: Vec<(Option<Address>, String)>,
}
