//! LDAP (RFC 4511) around the library that speaks it: what is asked, what is found, the steps that
//! the library cannot take (StartTLS and proofs), and the guard that looks at each answer before
//! the library does.

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
