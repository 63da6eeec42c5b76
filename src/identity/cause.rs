//! The event that caused a change or a session, as `explain` shows it.

use std::sync::Arc;

use serde::Serialize;

use crate::{Kind, Origin, Rule, Timestamp};

/// The event that made something true, in as few words as `explain` needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What happened.
    pub kind: Kind,
    /// When, by the source's clock.
    pub at: Timestamp,
    /// When Rollcall received it.
    pub seen: Timestamp,
    /// Who said so.
    pub origin: Arc<Origin>,
    /// The rule that decided.
    pub rule: Rule,
}
