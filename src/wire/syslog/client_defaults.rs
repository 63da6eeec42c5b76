//! The settings of a client that apply to all its lines.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rollcall_identity::{Name, Origin, Timestamp};

use super::values::LookupTables;

/// The source of the time of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeSource {
    /// The time in the line, if present.
    #[default]
    Sender,
    /// The time of arrival: for senders with an incorrect clock.
    Arrival,
}

/// The settings of a client that apply to all its lines.
#[derive(Debug, Clone)]
pub struct ClientDefaults {
    /// The default domain of users.
    pub domain: Option<Name>,
    /// The lookup tables of the client, which take precedence over those of the template.
    pub maps: LookupTables,
    /// The zone of local times.
    pub zone: TimeZone,
    /// The source of the time.
    pub time: TimeSource,
}

impl Default for ClientDefaults {
    /// No domain, no tables, UTC, the time in the line.
    fn default() -> Self {
        let (domain, maps, time) = (None, LookupTables::default(), TimeSource::Sender);
        Self { domain, maps, zone: TimeZone::UTC, time }
    }
}

/// The context of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineContext<'a> {
    pub(super) seen: Timestamp,
    pub(super) defaults: &'a ClientDefaults,
    pub(super) origin: &'a Arc<Origin>,
}
