//! The header of segments and snapshots: the epoch of their positions, and the rules that decide.

use rusqlite::Connection;

use super::corruption::Corruption;
use super::file::{self, HeaderField};

/// The epoch and the rules of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// The epoch of the positions.
    pub(super) epoch: u64,
    /// The fingerprint of the rules that decide the following events.
    pub(super) rules: u64,
}

impl FileHeader {
    pub(super) fn write(self, sql: &Connection) -> rusqlite::Result<()> {
        file::write_field(sql, HeaderField::Epoch, self.epoch)?;
        file::write_field(sql, HeaderField::Rules, self.rules)
    }

    pub(super) fn read(sql: &Connection) -> Result<Self, Corruption> {
        Ok(Self {
            epoch: file::required_field(sql, HeaderField::Epoch)?,
            rules: file::required_field(sql, HeaderField::Rules)?,
        })
    }
}
