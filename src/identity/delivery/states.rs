//! What is said of a consumer that is told everything: how it stands and begins, where it is, and what
//! becomes of what it is told.

use serde::{Deserialize, Serialize};

use crate::Cursor;

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It must be asked where it is.
    Probing,
    /// It must be told everything.
    StartResync,
    /// It is being told everything.
    Resyncing,
    /// It was told everything, and has not said yet that it took the end of that.
    FinishResync,
    /// It is told what is new.
    Following,
}

/// How a target begins that may hold something already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// It throws away what a synchronisation did not tell.
    Replace,
    /// It cannot throw anything away, and hears of ends too.
    Upsert,
}

/// Where a target says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPosition {
    /// It cannot be asked.
    Unsupported,
    /// It holds nothing, or nothing that is understood here.
    Empty,
    /// It knows everything up to there.
    At(Cursor),
}

/// What a target that cannot throw anything away is told under its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DeliveryScope {
    /// What the filter admits.
    #[default]
    #[serde(rename = "admitted")]
    Filtered,
    /// That, and of everybody else that nobody is there, until everything was told: it may have
    /// been told of them under another filter.
    #[serde(rename = "others_gone")]
    FilteredWithRemovals,
}

/// What was kept of a target over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPosition {
    /// Up to where it knew everything.
    pub cursor: Cursor,
    /// What it was being told.
    pub scope: DeliveryScope,
    /// Of what it was told.
    pub filter: FilterChange,
}

/// Whether a target was told of those of whom it is to be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterChange {
    /// It was.
    Unchanged,
    /// It holds too much or too little.
    Changed,
}

/// What follows from where a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeOutcome {
    /// It goes on from its own place.
    FromTarget,
    /// It goes on from what was kept; it was not spoken to.
    FromStored,
    /// The same, and everything is told once more, because it is to hear of others than before.
    Reconcile,
    /// It is told everything anew, for this reason.
    FullResync(&'static str),
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOutcome {
    /// It is told.
    Queued,
    /// What it told of can no longer be told on from there: the target is to be told everything anew.
    CursorExpired,
    /// It is told, and the target may hold somebody who is gone: that end is forgotten, and a target
    /// that overwrites cannot throw away what it was not told of.
    TombstonesExpired,
}

/// What became of a batch on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The target has said that it took all of it.
    Accepted,
    /// It cannot take the batch as it is, and says this.
    Rejected(String),
    /// It has said that it did not take it.
    NotApplied,
    /// It has said nothing that is understood: the batch may have arrived, or may yet.
    Unknown,
}

/// A batch has to be told again: the target is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MustResend;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// The target is at another place than was thought.
    PositionMismatch,
    /// Anything else.
    Other,
}
