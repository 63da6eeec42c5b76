//! Why a push target did not take something, in words that an administrator can act on.

use std::io;
use std::time::Duration;

use rollcall_wire::secure_edge::SecureEdgeError;
use strum::IntoStaticStr;

use rollcall_runtime::mailbox::MailboxClosed;

/// Something is not known to have arrived.
#[derive(Debug, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Trouble {
    /// No connection, no TLS, or an answer that broke off or was too late.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It asks for patience (429, 503).
    #[error("asks for patience (status {status}{}){}", waiting(.after), quoted(.said))]
    Busy {
        /// The HTTP status.
        status: u16,
        /// What its Retry-After says.
        after: Option<Duration>,
        /// What it says beside.
        said: Option<String>,
    },
    /// A status that nothing else explains.
    #[error("failed (status {status}){}", quoted(.said))]
    Failed {
        /// The HTTP status.
        status: u16,
        /// What it says beside.
        said: Option<String>,
    },
    /// It refuses who asks (401, 403).
    #[error("refuses the credentials (status {status}){}", quoted(.said))]
    Denied {
        /// The HTTP status.
        status: u16,
        /// What it says beside.
        said: Option<String>,
    },
    /// Its answer is no acknowledgement.
    #[error("answered wrongly: {0}")]
    Garbled(#[from] SecureEdgeError),
    /// It took the request for done, and says otherwise in its answer.
    #[error("answered wrongly: {0}")]
    Unaccepted(String),
    /// It is at another position than was thought (409).
    #[error("lost its place{}", quoted(.0))]
    Elsewhere(Option<String>),
    /// It cannot take this batch (400, 413, 422): a smaller one may go.
    #[error("cannot take the batch (status {status}){}", quoted(.said))]
    Indigestible {
        /// The HTTP status.
        status: u16,
        /// What it says beside.
        said: Option<String>,
    },
    /// Something on this machine is missing.
    #[error("cannot be spoken to: {0}")]
    Unprepared(String),
    /// The query actor is being replaced.
    #[error("waits for what is to be told: {0}")]
    Vacant(#[from] MailboxClosed),
    /// The thread that speaks has ended.
    #[error("the thread that speaks has ended")]
    Mute,
}

impl Trouble {
    /// What cannot be done with a file.
    pub(super) fn file(path: &std::path::Path, why: &io::Error) -> Self {
        Self::Unprepared(format!("{}: {why}", path.display()))
    }

    /// How long the target wants to be left alone.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Busy { after: Some(after), .. } => *after,
            _ => Duration::ZERO,
        }
    }

    /// The word of its kind, for metrics.
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
    fn troubles_are_told_in_plain_words() {
        let busy = Trouble::Busy {
            status: 429,
            after: Some(Duration::from_secs(7)),
            said: Some("slow down".to_owned()),
        };
        assert_eq!(busy.to_string(), "asks for patience (status 429, 7 s): slow down");
        assert_eq!((busy.word(), busy.patience()), ("busy", Duration::from_secs(7)));
        let failed = Trouble::Failed { status: 500, said: None };
        assert_eq!(failed.to_string(), "failed (status 500)");
        assert_eq!(failed.patience(), Duration::ZERO);
    }
}
