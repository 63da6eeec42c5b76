//! .

pub mod syslog;
