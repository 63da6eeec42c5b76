//! The status of push targets, as REST and metrics report it.

use rollcall_identity::{Revision, Timestamp};
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;

use crate::capabilities::Capabilities;

/// The state of a push target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr, ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum State {
    /// No request was sent yet.
    Starting,
    /// A full resync is in progress.
    Synchronising,
    /// The target receives changes as they occur.
    Following,
    /// A request failed and will be retried.
    Retrying,
}

/// The status of a push target in the REST API.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetStatus {
    /// The configured name.
    pub(crate) name: String,
    /// The name of its section in the configuration: `secure_edge` or `srx_web_api`.
    pub(crate) kind: &'static str,
    /// The base URL.
    pub(crate) url: String,
    /// What the dialect can do with this target.
    pub(crate) capabilities: Capabilities,
    /// The state.
    pub(crate) state: State,
    /// The revision up to which the target has acknowledged all changes.
    #[schema(value_type = Option<u64>)]
    pub(crate) revision: Option<Revision>,
    /// The number of revisions that the target is behind; `null` before the first acknowledgement.
    pub(crate) lag_changes: Option<u64>,
    /// The number of seconds since the target last had every change; 0 while it has.
    pub(crate) lag_seconds: f64,
    /// The number of reports that the target accepted.
    pub(crate) reports: u64,
    /// The number of reports that the target had already.
    pub(crate) duplicates: u64,
    /// The number of reports that the target will never accept.
    pub(crate) refused: u64,
    /// The number of bytes of request bodies as sent.
    pub(crate) bytes: u64,
    /// The number of retries.
    pub(crate) retries: u64,
    /// The number of full resyncs.
    pub(crate) full_resyncs: u64,
    /// The last error.
    pub(crate) last_error: Option<String>,
    /// The time of the last error.
    #[schema(value_type = Option<String>)]
    pub(crate) last_error_at: Option<Timestamp>,
    /// The time of the last acknowledgement.
    #[schema(value_type = Option<String>)]
    pub(crate) last_acknowledged: Option<Timestamp>,
    /// The time of the next retry; `null` unless the last request failed.
    #[schema(value_type = Option<String>)]
    pub(crate) next_attempt: Option<Timestamp>,
    /// The time since which the target may hold ended sessions: it was disconnected for longer than
    /// tombstones are kept, and cannot discard entries. `null` if it does not, or after a full resync
    /// that was requested since.
    #[schema(value_type = Option<String>)]
    pub(crate) may_hold_ended: Option<Timestamp>,
    /// The result of the last consistency check.
    pub(crate) drift: Option<Drift>,
}

/// The result of a consistency check, or the reason why none was made.
pub type ComparisonStatus = Result<Drift, String>;

/// The result of a consistency check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// The outcome.
    pub(crate) outcome: Outcome,
    /// The number of pages of sessions that differ.
    pub(crate) differing: usize,
    /// The number of pages that could not be compared: they changed meanwhile, or the target refused
    /// one of their sessions.
    pub(crate) not_compared: usize,
}

/// The outcome of a consistency check.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The target has the expected content.
    Same,
    /// The content differs; a full resync starts.
    Differs,
    /// The target does not report its content.
    Unsupported,
    /// The content could not be read; the check is repeated after the next interval.
    Error,
}
