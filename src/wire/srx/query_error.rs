//! Why a query of an SRX is rejected.

use crate::http::BodyError;

/// Why a query is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// An invalid parameter.
    #[error("{name}: {reason}")]
    Parameter {
        /// The documented name, for instance `begintime`.
        name: &'static str,
        /// The reason; never quotes the value.
        reason: &'static str,
    },
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// No query has this path or method.
    #[error("no query has this method and path")]
    Route,
}

impl QueryError {
    pub(super) const fn parameter(name: &'static str, reason: &'static str) -> Self {
        Self::Parameter { name, reason }
    }

    /// The HTTP status: 400, or 404 for an unknown route.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Route => 404,
            Self::Parameter { .. } | Self::Body(_) => 400,
        }
    }
}
