//! MSRPC over TCP as used by Windows servers: the encoding of calls and responses, and the state
//! machine of an association. Event logs are read with it.
//!
//! DCE/RPC is C706 (The Open Group, "DCE 1.1: Remote Procedure Call"), with the extensions of
//! MS-RPCE. The module does no I/O and has no security provider: an [`Association`] takes bytes and
//! returns actions, and a [`SecurityContext`] encrypts and decrypts.

mod association;
pub mod endpoint_mapper;
mod error;
mod fault_status;
mod framing;
mod interface;
pub mod ndr;
mod pdu;
mod reassembly;
pub mod samr;
mod security_context;
mod uuid;

pub use association::{
    Action, Association, AssociationOptions, AuthStep, Fault, OutgoingCall, RpcCallError,
};
pub use error::AssociationError;
pub use fault_status::FaultStatus;
pub use interface::Interface;
pub use pdu::{
    AuthType, BindNakReason, ContextRejection, PduError, PduErrorKind, PduTooLong, PduType,
    ProviderReason,
};
pub use security_context::{SecurityContext, SecurityError};
pub use uuid::Uuid;
