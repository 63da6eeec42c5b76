//! What can be wrong with a file of the journal.

use std::io;

/// Why a file, or a row of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// SQLite cannot read or write it.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A row is not what was written.
    #[error("a row is not what was written")]
    Sum,
    /// A value means nothing: written by a later version, or mangled.
    #[error("a value means nothing to this version")]
    Value,
    /// Rows are missing.
    #[error("rows are missing: {0}")]
    Missing(String),
    /// It is no such file, or one of a later version.
    #[error("it is no file of this journal")]
    Strange,
}
