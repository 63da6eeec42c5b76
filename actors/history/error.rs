//! Why a history query has no answer.

use rollcall_identity::Revision;

use crate::telemetry::HistoryOutcome;
use rollcall_journal::Corruption;

/// An error of a history query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The journal does not cover the time, or a part of it is damaged.
    #[error("{why}")]
    Unknown {
        /// The reason, as a sentence.
        why: String,
        /// Other known gaps.
        notes: Vec<String>,
    },
    /// The parameters are invalid.
    #[error("{0}")]
    Invalid(String),
    /// The query would take too long.
    #[error("{0}; narrow from and to, or query one address")]
    TooBroad(String),
    /// The journal cannot be read now.
    #[error("the journal cannot be read: {0}")]
    Unavailable(String),
    /// Applying this event panics: it is quarantined, and the query runs again.
    #[error("the event at {0} cannot be applied")]
    EventPanicked(Revision),
    /// The query cannot be written to the audit log, and is therefore not answered.
    #[error("the query cannot be written to the audit log and is not answered: {0}")]
    NotAudited(String),
}

impl From<Corruption> for HistoryError {
    fn from(damage: Corruption) -> Self {
        Self::Unavailable(damage.to_string())
    }
}

impl HistoryError {
    /// The word in the audit log and the metrics.
    pub fn outcome(&self) -> HistoryOutcome {
        match self {
            Self::Unknown { .. } => HistoryOutcome::Unknown,
            Self::Invalid(_) => HistoryOutcome::Invalid,
            Self::TooBroad(_) => HistoryOutcome::TooBroad,
            Self::Unavailable(_) | Self::EventPanicked(_) | Self::NotAudited(_) => {
                HistoryOutcome::Unavailable
            }
        }
    }
}
