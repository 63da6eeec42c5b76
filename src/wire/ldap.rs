//! LDAP (RFC 4511) next to the library that implements the protocol: search requests and entries,
//! the operations that the library lacks (StartTLS, SASL bind), and a guard that validates each
//! response before the library parses it.

mod ber;
mod entry;
mod filter;
mod guard;
mod request;
mod response;

pub use ber::{BerError, BerReader, LIMIT, element, frame_length, integer, octets};
pub use entry::{AttributeValues, PartialAttribute, SearchResultEntry};
pub use filter::Filter;
pub use guard::{GuardVerdict, ResponseGuard};
pub use request::{Control, SearchRequest, SearchScope, sasl_bind, start_tls};
pub use response::{LdapMessage, LdapResult, ProtocolOp, UNSOLICITED_NOTIFICATION, code};
