//! LDAP (RFC 4511) next to the library that implements the protocol: search requests and entries,
//! the operations that the library lacks (StartTLS, SASL bind), and a guard that validates each
//! response before the library parses it.

mod ber;
mod entry;
mod filter;
mod guard;
mod request;
mod response;

pub use ber::{BadBer, LIMIT, Reader, element, frame_length, integer, octets};
pub use entry::{Attribute, Entry, Values};
pub use filter::Filter;
pub use guard::{Guard, Passage};
pub use request::{Control, Scope, Search, sasl_bind, start_tls};
pub use response::{Body, Message, NOTICE, Outcome, code};
