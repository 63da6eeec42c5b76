//! The trait of telemetry events: one struct per event, whose `emit` writes the log line and updates
//! the metrics together.
//!
//! Labels come from closed sets (actors, configured clients and templates, enums), never from a
//! user, a host or an address.

/// An occurrence that is logged and counted.
pub trait TelemetryEvent {
    /// Writes the log line and updates the metrics.
    fn emit(self);
}
