//! Errors of journal files.

use std::io;

/// Why a file or a row cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// SQLite cannot read or write the file.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system reported an error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The checksum of a row is wrong.
    #[error("the checksum of a row is wrong")]
    Sum,
    /// A value is invalid: a later version wrote it, or it is damaged.
    #[error("a value is invalid in this version")]
    Value,
    /// Rows are missing.
    #[error("rows are missing: {0}")]
    Missing(String),
    /// It is not a journal file, or a later version wrote it.
    #[error("it is not a journal file of this version")]
    WrongFormat,
}
