//! What segments and snapshots carry: whose positions they hold, and by which rules they are folded.

use rusqlite::Connection;

use super::damage::Damage;
use super::file::{self, About};

/// The stamp of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The life of the journal's positions.
    pub(super) epoch: u64,
    /// The fingerprint of the rules by which what comes after is folded.
    pub(super) rules: u64,
}

impl Stamp {
    /// Writes it down.
    pub(super) fn tell(self, sql: &Connection) -> rusqlite::Result<()> {
        file::tell(sql, About::Epoch, self.epoch)?;
        file::tell(sql, About::Rules, self.rules)
    }

    /// Reads it.
    pub(super) fn of(sql: &Connection) -> Result<Self, Damage> {
        Ok(Self { epoch: file::need(sql, About::Epoch)?, rules: file::need(sql, About::Rules)? })
    }
}
