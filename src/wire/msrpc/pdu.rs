//! The PDUs of the connection-oriented protocol, one file each.

mod alter_context;
mod auth3;
mod bind;
mod bind_ack;
mod bind_nak;
mod cancel;
mod error;
mod fault;
mod header;
mod presentation;
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
pub(super) use header::{PduBuilder, PduFlags, PduHeader};
pub(super) use received::ReceivedPdu;
pub(super) use request::RequestPdu;
pub(super) use response::ResponsePdu;
pub(super) use verifier::{PROTECTED, Verifier};

pub use bind_nak::BindNakReason;
pub use error::{PduError, PduErrorKind};
pub use header::PduTooLong;
pub use presentation::{ContextRejection, ProviderReason};
pub use ptype::PduType;
pub use verifier::AuthType;
