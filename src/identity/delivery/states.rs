//! What is said of a consumer that is told everything: how it stands and begins, where it is, and what
//! becomes of what it is told.

use serde::{Deserialize, Serialize};

use crate::Cursor;

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It must be asked where it is.
    Unsure,
    /// It must be told everything.
    Anew,
    /// It is being told everything.
    Synchronising,
    /// It was told everything, and has not said yet that it took the end of that.
    Ending,
    /// It is told what is new.
    Following,
}

/// How a target begins that may hold something already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// It throws away what a synchronisation did not tell.
    Replaces,
    /// It cannot throw anything away, and hears of ends too.
    Overwrites,
}

/// Where a target says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPosition {
    /// It cannot be asked.
    Untold,
    /// It holds nothing, or nothing that is understood here.
    Nowhere,
    /// It knows everything up to there.
    At(Cursor),
}

/// What a target that cannot throw anything away is told under its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryScope {
    /// What the filter admits.
    #[default]
    Admitted,
    /// That, and of everybody else that nobody is there, until everything was told: it may have
    /// been told of them under another filter.
    OthersGone,
}

/// What was kept of a target over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPosition {
    /// Up to where it knew everything.
    pub cursor: Cursor,
    /// What it was being told.
    pub hears: DeliveryScope,
    /// Of what it was told.
    pub scope: FilterChange,
}

/// Whether a target was told of those of whom it is to be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterChange {
    /// It was.
    Same,
    /// It holds too much or too little.
    Other,
}

/// What follows from where a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeOutcome {
    /// It goes on from its own place.
    GoesOn,
    /// It goes on from what was kept; it was not spoken to.
    Resumes,
    /// The same, and everything is told once more, because it is to hear of others than before.
    Corrects,
    /// It is told everything anew, for this reason.
    Anew(&'static str),
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOutcome {
    /// It is told.
    On,
    /// What it told of can no longer be told on from there: the target is to be told everything anew.
    TooLate,
    /// It is told, and the target may hold somebody who is gone: that end is forgotten, and a target
    /// that overwrites cannot throw away what it was not told of.
    EndsForgotten,
}

/// What became of a batch on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The target has said that it took all of it.
    Taken,
    /// It cannot take the batch as it is, and says this.
    Indigestible(String),
    /// It has said that it did not take it.
    Untaken,
    /// It has said nothing that is understood: the batch may have arrived, or may yet.
    Lost,
}

/// A batch has to be told again: the target is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MustResend;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// The target is at another place than was thought.
    Elsewhere,
    /// Anything else.
    Other,
}
