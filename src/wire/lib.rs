//! Bytes to values and back, one module a tongue: what syslog senders write, what SRX firewalls
//! ask and push and how they are answered, what a cloud is told, how a directory is read.
//!
//! This crate is pure. It opens no socket and reads no clock: the time of arrival is a parameter,
//! and every length that came from outside is checked before anything is allocated for it.

pub mod active_directory;
pub mod dns;
pub mod event_log;
pub mod http;
pub mod ldap;
pub mod msrpc;
pub mod ptim;
pub mod secure_edge;
pub mod srx;
pub mod syslog;
