//! Bytes to values and back, one module a tongue: what syslog senders write, what SRX firewalls
//! ask and push, how they are answered, and how a directory is read.
//!
//! This crate is pure. It opens no socket and reads no clock: the time of arrival is a parameter,
//! and every length that came from outside is checked before anything is allocated for it.

pub mod active_directory;
pub mod dns;
pub mod http;
pub mod ldap;
pub mod ptim;
pub mod srx;
pub mod syslog;
