//! What the configuration of a client says about all its lines.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rollcall_identity::{Name, Origin, Timestamp};

use super::values::Maps;

/// Whose clock says when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeSource {
    /// The sender's, where it writes a time.
    #[default]
    Sender,
    /// Ours, at the arrival of the line: for senders whose clocks are wrong.
    Arrival,
}

/// What a client's configuration says about all its lines.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The domain of users whose names have none.
    pub domain: Option<Name>,
    /// The client's own tables, asked before those of the template.
    pub maps: Maps,
    /// The zone of times that are written without one.
    pub zone: TimeZone,
    /// Whose clock counts.
    pub time: TimeSource,
}

impl Default for Defaults {
    /// No domain, no maps, UTC, the sender's clock.
    fn default() -> Self {
        let (domain, maps, time) = (None, Maps::default(), TimeSource::Sender);
        Self { domain, maps, zone: TimeZone::UTC, time }
    }
}

/// What a line is read with besides itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) seen: Timestamp,
    pub(super) defaults: &'a Defaults,
    pub(super) origin: &'a Arc<Origin>,
}
