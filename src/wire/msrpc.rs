//! MSRPC over TCP as used by Windows servers: the encoding of calls and responses, and the state
//! machine of an association. Event logs are read with it.
//!
//! DCE/RPC is C706 (The Open Group, "DCE 1.1: Remote Procedure Call"), with the extensions of
//! MS-RPCE. The module does no I/O and has no security provider: an [`Association`] takes bytes and
//! returns actions, and a [`SecurityContext`] encrypts and decrypts.

mod association;
pub mod endpoint_mapper;
mod failure;
mod framing;
mod interface;
pub mod ndr;
mod pdu;
mod reassembly;
mod security;
pub mod security_accounts;
mod status;
mod uuid;

pub use association::{Action, Association, Call, CannotCall, Fault, Leg, Terms};
pub use failure::Failure;
pub use interface::Interface;
pub use pdu::{AuthType, BadPdu, Kind, NakReason, PduProblem, Rejection, RejectionReason, TooLong};
pub use security::{Security, SecurityError};
pub use status::FaultStatus;
pub use uuid::Uuid;
