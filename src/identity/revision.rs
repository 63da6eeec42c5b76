//! The revision: a position in the journal, which orders all changes and cursors.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A position in the journal. Only the journal assigns them: they start at 1 and never repeat
/// within an epoch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
