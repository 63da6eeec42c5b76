//! How a connection to a remote system fails, and what follows from it.

use std::error::Error;

use rollcall_identity::Timestamp;
use serde::Serialize;

/// The step at which a connection failed: the label `stage` of the failure counters. The order is
/// that of the steps.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    strum::IntoStaticStr,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureStage {
    /// Name resolution.
    Resolve,
    /// The query of the endpoint mapper for the port of a service.
    Endpoint,
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Authentication.
    Credentials,
    /// The permission to read.
    Rights,
    /// Reading.
    Read,
    /// The submission of what was read.
    Submit,
}

/// What a failure means for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The server, the network or the answer: the next attempt follows after a backoff.
    Transient,
    /// The connection is renewed although it did not fail: the next attempt follows after the first
    /// backoff.
    Renewal,
    /// The account was refused: the next attempt follows when the pause of the account ends.
    CredentialsRefused,
}

/// The failure of a connection to a remote system.
pub trait RemoteError: Error {
    /// The step that failed.
    fn stage(&self) -> FailureStage;

    /// What it means for the next attempt.
    fn class(&self) -> FailureClass;

    /// What an administrator can do about it, if that is known.
    fn remedy(&self) -> Option<&'static str>;
}

/// The last failure of a connection, for the status of its producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    /// When it failed.
    pub at: Timestamp,
    /// The step that failed.
    pub stage: FailureStage,
    /// The error.
    pub error: String,
    /// What an administrator can do about it, if that is known.
    pub remedy: Option<&'static str>,
}

impl LastFailure {
    /// The failure `error`, at the time `at`.
    pub(crate) fn new(error: &impl RemoteError, at: Timestamp) -> Self {
        Self { at, stage: error.stage(), error: error.to_string(), remedy: error.remedy() }
    }
}
