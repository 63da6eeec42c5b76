//! What each kind of identity producer is configured with, a file for each kind.

pub(crate) mod active_directory;
pub(crate) mod event_log;
pub(crate) mod ptim;
pub(crate) mod syslog;
