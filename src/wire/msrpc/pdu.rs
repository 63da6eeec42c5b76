//! The PDUs of the connection-oriented protocol, one file each.

mod alter_context;
mod auth3;
mod bind;
mod bind_ack;
mod bind_nak;
mod cancel;
mod fault;
mod header;
mod presentation;
mod problem;
mod ptype;
mod received;
mod request;
mod response;
mod verifier;

pub(super) use alter_context::AlterContext;
pub(super) use auth3::Auth3;
pub(super) use bind::{Bind, MUST_RECEIVE};
pub(super) use bind_ack::BindAck;
pub(super) use bind_nak::BindNak;
pub(super) use cancel::{co_cancel, orphaned};
pub(super) use fault::FaultPdu;
pub(super) use header::{Draft, Flags, Header};
pub(super) use received::Received;
pub(super) use request::Request;
pub(super) use response::Response;
pub(super) use verifier::{PROTECTED, Verifier};

pub use bind_nak::NakReason;
pub use header::TooLong;
pub use presentation::{Rejection, RejectionReason};
pub use problem::{BadPdu, PduProblem};
pub use ptype::Kind;
pub use verifier::AuthType;
