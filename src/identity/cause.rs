//! The event that caused a change or a session, as `explain` shows it.

use std::sync::Arc;

use serde::Serialize;

use crate::{Kind, Origin, Rule, Timestamp};

/// The event that caused a change, reduced to what `explain` needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The kind of event.
    pub kind: Kind,
    /// When it happened, by the source's clock.
    pub at: Timestamp,
    /// When Rollcall received it.
    pub seen: Timestamp,
    /// The source of the event.
    pub origin: Arc<Origin>,
    /// The rule that decided.
    pub rule: Rule,
}
