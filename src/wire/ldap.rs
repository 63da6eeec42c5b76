//! LDAP (RFC 4511), as much of it as it takes to read a directory: binding, StartTLS, searching.
//!
//! Written here, and not taken from a library, because the peer is not trusted before it has
//! proven itself: no length of a message makes this recurse or allocate, and an entry is looked at
//! where it was received.

mod ber;
mod filter;
mod request;
mod response;

pub use ber::{BadBer, LIMIT, Reader, element, frame_length, integer, octets};
pub use filter::Filter;
pub use request::{
    Control, Scope, Search, abandon, sasl_bind, search, simple_bind, start_tls, unbind,
};
pub use response::{Answered, Attribute, Body, Entry, Message, NOTICE, Outcome, Values, code};
