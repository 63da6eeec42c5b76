//! The results of consistency checks, as REST and metrics report them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The result of a consistency check, or the reason why none was made.
pub type ComparisonStatus = Result<Drift, String>;

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// What it amounts to.
    pub(crate) outcome: Outcome,
    /// How many pages of sessions differ.
    pub(crate) differing: usize,
    /// How many could not be compared: they changed meanwhile, or the target refused a session there.
    pub(crate) unsettled: usize,
}

/// What a comparison amounts to.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    strum::IntoStaticStr,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The target holds what it should.
    Same,
    /// It does not, and is told everything anew.
    Differs,
    /// The target cannot tell what it holds.
    Unsupported,
    /// It was asked, and did not answer so that it is understood; it is asked again in its time.
    Error,
}
