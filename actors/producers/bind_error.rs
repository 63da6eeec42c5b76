//! Why something that the server needs at its start cannot be bound or read.

use std::io;

use rollcall_runtime::tls::TlsError;

/// A resource that the server needs is unavailable, or its configuration is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The configuration is invalid: the next start would fail again.
    #[error("{0}")]
    Config(String),
    /// The system does not provide the resource now, such as an address that is in use.
    #[error("{0}")]
    Unavailable(String),
}

impl BindError {
    /// An I/O error of the component or file `what`.
    pub fn io(what: &dyn std::fmt::Display, error: &io::Error) -> Self {
        let text = format!("{what}: {error}");
        match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Self::Config(text),
            _ => Self::Unavailable(text),
        }
    }

    /// A certificate or key of the component `what` is invalid.
    pub fn tls(what: &dyn std::fmt::Display, error: &TlsError) -> Self {
        Self::Config(format!("{what}: {error}"))
    }
}
