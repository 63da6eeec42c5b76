//! Protocol codecs: they convert bytes to values and values to bytes, one module per protocol.
//!
//! The crate is pure. It does no I/O and reads no clock: the time of arrival is a parameter. Every
//! length from a peer is checked before memory is allocated for it.

pub mod active_directory;
pub mod event_log;
pub mod http;
pub mod ldap;
pub mod msrpc;
pub mod ptim;
pub mod secure_edge;
pub mod srx;
pub mod syslog;
