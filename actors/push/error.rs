//! Errors of push targets, with texts that an administrator can act on.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::time::Duration;

use strum::IntoStaticStr;

use rollcall_runtime::mailbox::MailboxClosed;

/// Why a request to a push target was not acknowledged.
#[derive(Debug, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum PushError {
    /// No connection, no TLS, or a truncated or late response.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The target is busy.
    #[error("is busy{}", response.with_delay(.after))]
    Busy {
        /// The response.
        response: ErrorResponse,
        /// The delay that it requests.
        after: Option<Duration>,
    },
    /// Any other reported failure.
    #[error("failed{0}")]
    Failed(ErrorResponse),
    /// The target refuses the credentials.
    #[error("refuses the credentials{0}")]
    Denied(ErrorResponse),
    /// The response is neither an acknowledgement nor a reported failure.
    #[error("sent an invalid response: {0}")]
    ProtocolError(String),
    /// The target reports another position than expected.
    #[error("reports another position{0}")]
    PositionMismatch(ErrorResponse),
    /// The target rejects this batch. A smaller one may be accepted.
    #[error("rejects the batch{0}")]
    BatchRejected(ErrorResponse),
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

/// How a target reports a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ErrorResponse {
    /// The status code, if the protocol has one.
    pub(crate) status: Option<u16>,
    /// The text, sanitized for a log line.
    pub(crate) text: Option<String>,
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
    pub(crate) fn label(&self) -> &'static str {
        self.into()
    }
}

impl ErrorResponse {
    /// The text of an error with the status code, the requested delay and the text of the response.
    fn with_delay(&self, delay: &Option<Duration>) -> String {
        let status = self.status.map(|status| format!("status {status}"));
        let delay = delay.map(|delay| format!("{} s", delay.as_secs()));
        let details: Vec<String> = status.into_iter().chain(delay).collect();
        let details =
            if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
        let text = self.text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        details + &text
    }
}

impl Display for ErrorResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_delay(&None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_plain_texts() {
        let busy = PushError::Busy {
            response: ErrorResponse { status: Some(429), text: Some("slow down".to_owned()) },
            after: Some(Duration::from_secs(7)),
        };
        assert_eq!(busy.to_string(), "is busy (status 429, 7 s): slow down");
        assert_eq!((busy.label(), busy.retry_after()), ("busy", Duration::from_secs(7)));
        let failed = PushError::Failed(ErrorResponse { status: Some(500), text: None });
        assert_eq!(failed.to_string(), "failed (status 500)");
        assert_eq!(failed.retry_after(), Duration::ZERO);
        let text = Some("no such address".to_owned());
        let rejected = PushError::BatchRejected(ErrorResponse { status: None, text });
        assert_eq!(rejected.to_string(), "rejects the batch: no such address");
    }
}
