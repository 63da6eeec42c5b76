//! The states, modes and outcomes of a delivery to a push target.

use serde::{Deserialize, Serialize};

use crate::Cursor;

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// The position of the target must be determined.
    Probing,
    /// A full resync must be started.
    StartResync,
    /// A full resync is in progress.
    Resyncing,
    /// The resync is sent; the target has not confirmed its end.
    FinishResync,
    /// The target receives new changes.
    Following,
}

/// How a target treats content that it holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// A resync replaces the content: what it does not include is discarded.
    Replace,
    /// The target cannot discard content, so it receives ends too.
    Upsert,
}

/// The position that a target reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPosition {
    /// The target cannot report a position.
    Unsupported,
    /// The target holds nothing, or nothing that is recognized.
    Empty,
    /// The target has everything up to this cursor.
    At(Cursor),
}

/// Which changes a target that cannot discard content receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DeliveryScope {
    /// The changes that the filter admits.
    #[default]
    #[serde(rename = "admitted")]
    Filtered,
    /// In addition, ends for all other sessions, until one complete pass: the target may have
    /// received them under an earlier filter.
    #[serde(rename = "others_gone")]
    FilteredWithRemovals,
}

/// The state of a target, stored across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPosition {
    /// The target had everything up to here.
    pub cursor: Cursor,
    /// Which changes it received.
    pub scope: DeliveryScope,
    /// Whether its filter has changed since.
    pub filter: FilterChange,
}

/// Whether the filter of a target has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterChange {
    /// It has not.
    Unchanged,
    /// It has: the target holds too many or too few sessions.
    Changed,
}

/// How a delivery resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeOutcome {
    /// From the position that the target reported.
    FromTarget,
    /// From the stored position; the target was not asked.
    FromStored,
    /// From the stored position, and everything is sent again because the filter has changed.
    Reconcile,
    /// With a full resync, for this reason.
    FullResync(&'static str),
}

/// The effect of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOutcome {
    /// The page is queued.
    Queued,
    /// The log cannot continue from the cursor: a full resync is needed.
    CursorExpired,
    /// The page is queued, but ends were dropped from the log. The target may keep a stale session,
    /// because an upsert target cannot discard what it does not receive.
    TombstonesExpired,
}

/// The outcome of a sent batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The target confirmed the whole batch.
    Accepted,
    /// The target rejected the content of the batch, with this reason.
    Rejected(String),
    /// The target reported that it did not apply the batch.
    NotApplied,
    /// No usable response: the batch may have been applied, or may be applied later.
    Unknown,
}

/// The batch must be sent again, because the target failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MustResend;

/// The kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// The target is at another position than expected.
    PositionMismatch,
    /// Any other failure.
    Other,
}
