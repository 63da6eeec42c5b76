//! The settings of the identity producers, one file per kind.

pub(crate) mod active_directory;
pub(crate) mod event_log;
pub(crate) mod ptim;
pub(crate) mod syslog;
