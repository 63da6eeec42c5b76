//! Errors of push targets, with texts that an administrator can act on.

use std::io;
use std::time::Duration;

use rollcall_wire::secure_edge::SecureEdgeError;
use strum::IntoStaticStr;

use rollcall_runtime::mailbox::MailboxClosed;

/// Why a request to a push target was not acknowledged.
#[derive(Debug, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum PushError {
    /// No connection, no TLS, or a truncated or late response.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The target is busy (429, 503).
    #[error("is busy (status {status}{}){}", waiting(.after), quoted(.said))]
    Busy {
        /// The HTTP status.
        status: u16,
        /// The delay of its Retry-After header.
        after: Option<Duration>,
        /// The text of the response.
        said: Option<String>,
    },
    /// Any other failure status.
    #[error("failed (status {status}){}", quoted(.said))]
    Failed {
        /// The HTTP status.
        status: u16,
        /// The text of the response.
        said: Option<String>,
    },
    /// The credentials are refused (401, 403).
    #[error("refuses the credentials (status {status}){}", quoted(.said))]
    Denied {
        /// The HTTP status.
        status: u16,
        /// The text of the response.
        said: Option<String>,
    },
    /// The response is no valid acknowledgement.
    #[error("sent an invalid response: {0}")]
    ProtocolError(#[from] SecureEdgeError),
    /// A success status with a body that reports a failure.
    #[error("sent an invalid response: {0}")]
    Unaccepted(String),
    /// The target reports another position than expected (409).
    #[error("reports another position{}", quoted(.0))]
    PositionMismatch(Option<String>),
    /// The target rejects this batch (400, 413, 422). A smaller one may be accepted.
    #[error("rejects the batch (status {status}){}", quoted(.said))]
    BatchRejected {
        /// The HTTP status.
        status: u16,
        /// The text of the response.
        said: Option<String>,
    },
    /// A local prerequisite is missing.
    #[error("not usable: {0}")]
    NotConfigured(String),
    /// The query actor is restarting.
    #[error("waits for changes: {0}")]
    QueryUnavailable(#[from] MailboxClosed),
    /// The worker thread has ended.
    #[error("the worker thread has ended")]
    WorkerGone,
}

impl PushError {
    /// A failed file operation.
    pub(super) fn file(path: &std::path::Path, why: &io::Error) -> Self {
        Self::NotConfigured(format!("{}: {why}", path.display()))
    }

    /// The delay that the target requests.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Busy { after: Some(after), .. } => *after,
            _ => Duration::ZERO,
        }
    }

    /// The metric label.
    pub(crate) fn word(&self) -> &'static str {
        self.into()
    }
}

fn quoted(said: &Option<String>) -> String {
    said.as_ref().map(|said| format!(": {said}")).unwrap_or_default()
}

fn waiting(after: &Option<Duration>) -> String {
    after.map(|after| format!(", {} s", after.as_secs())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_plain_texts() {
        let busy = PushError::Busy {
            status: 429,
            after: Some(Duration::from_secs(7)),
            said: Some("slow down".to_owned()),
        };
        assert_eq!(busy.to_string(), "is busy (status 429, 7 s): slow down");
        assert_eq!((busy.word(), busy.retry_after()), ("busy", Duration::from_secs(7)));
        let failed = PushError::Failed { status: 500, said: None };
        assert_eq!(failed.to_string(), "failed (status 500)");
        assert_eq!(failed.retry_after(), Duration::ZERO);
    }
}
