//! What segments and snapshots carry: whose positions they hold, and by which rules they are folded.

use rusqlite::Connection;

use super::corruption::Corruption;
use super::file::{self, HeaderField};

/// The stamp of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// The life of the journal's positions.
    pub(super) epoch: u64,
    /// The fingerprint of the rules by which what comes after is folded.
    pub(super) rules: u64,
}

impl FileHeader {
    /// Writes it down.
    pub(super) fn tell(self, sql: &Connection) -> rusqlite::Result<()> {
        file::tell(sql, HeaderField::Epoch, self.epoch)?;
        file::tell(sql, HeaderField::Rules, self.rules)
    }

    /// Reads it.
    pub(super) fn of(sql: &Connection) -> Result<Self, Corruption> {
        Ok(Self {
            epoch: file::need(sql, HeaderField::Epoch)?,
            rules: file::need(sql, HeaderField::Rules)?,
        })
    }
}
