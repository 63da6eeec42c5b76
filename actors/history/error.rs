//! Why a question about the past has no answer.

use rollcall_identity::Revision;

use crate::telemetry::HistoryOutcome;
use rollcall_journal::Corruption;

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Nobody knows: the journal does not reach so far back, or what would tell is damaged.
    #[error("{why}")]
    Unknown {
        /// Why, in a sentence.
        why: String,
        /// Other known gaps.
        notes: Vec<String>,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It would take too long.
    #[error("{0}; narrow from and to, or query one address")]
    TooBroad(String),
    /// The journal cannot be read now.
    #[error("the journal cannot be read: {0}")]
    Unavailable(String),
    /// Nobody survives folding this event: it is to be set aside, and the question asked anew.
    #[error("the event at {0} cannot be applied")]
    EventPanicked(Revision),
    /// Nobody is told anything whose asking is not on record.
    #[error("the query cannot be written to the audit log and is not answered: {0}")]
    NotAudited(String),
}

impl From<Corruption> for HistoryError {
    fn from(damage: Corruption) -> Self {
        Self::Unavailable(damage.to_string())
    }
}

impl HistoryError {
    /// The word in the record and the metrics.
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
