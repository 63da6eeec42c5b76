//! Why a query of an SRX cannot be answered.

use crate::http::BadBody;

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuestion {
    /// A parameter makes no sense.
    #[error("{name}: {reason}")]
    Parameter {
        /// Its name as documented, for instance `begintime`.
        name: &'static str,
        /// What is wrong with it; never its value.
        reason: &'static str,
    },
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BadBody),
    /// No question has this path or method.
    #[error("nothing is asked by this method and path")]
    Route,
}

impl BadQuestion {
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
